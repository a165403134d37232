package kvtest

import (
	"fmt"
	"slices"
	"strings"
)

// Access is one step of a recorded transaction on a list: it appended Value, or
// read List (nil: nothing there).
type Access struct {
	Key    int
	Append bool
	Value  int
	List   []int
}

// Record is a transaction of a history. Unknown marks one whose commit had an
// ambiguous result.
type Record struct {
	ID       int
	Unknown  bool
	Accesses []Access
}

func (r Record) String() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "T%d:", r.ID)
	for _, a := range r.Accesses {
		if a.Append {
			fmt.Fprintf(&sb, " %d+=%d", a.Key, a.Value)
		} else {
			fmt.Fprintf(&sb, " %d=%v", a.Key, a.List)
		}
	}
	return sb.String()
}

// CheckSerializable checks a history of appends of unique values to lists, as
// Kingsbury and Alvaro do in «Elle» (VLDB 2020): the longest lists give the order
// of the versions, that order and the reads give the dependencies, and a cycle
// of dependencies is a history that no serial execution explains. final is what
// the lists hold at the end.
func CheckSerializable(history []Record, final map[int][]int) error {
	g, err := newGraph(history, final)
	if err != nil {
		return err
	}
	if c := g.cycle(); c != nil {
		var sb strings.Builder
		for _, id := range c {
			fmt.Fprintf(&sb, "\n  %s", g.byID[id])
		}
		return fmt.Errorf("cycle of dependencies:%s", sb.String())
	}
	return nil
}

type graph struct {
	byID map[int]Record
	next map[int]map[int]bool
	// writer is who appended a value; the zero id is nobody.
	writer map[int]int
}

func newGraph(history []Record, final map[int][]int) (*graph, error) {
	g := &graph{byID: map[int]Record{}, next: map[int]map[int]bool{}, writer: map[int]int{}}
	for _, r := range history {
		g.byID[r.ID] = r
		for _, a := range r.Accesses {
			if a.Append {
				g.writer[a.Value] = r.ID
			}
		}
	}
	if err := g.checkWrites(history, final); err != nil {
		return nil, err
	}
	for _, r := range history {
		own := map[int][]int{}
		for _, a := range r.Accesses {
			if a.Append {
				own[a.Key] = append(own[a.Key], a.Value)
				continue
			}
			if err := g.addRead(r, a, own[a.Key], final[a.Key]); err != nil {
				return nil, err
			}
		}
	}
	for _, list := range final {
		for i := 1; i < len(list); i++ {
			g.edge(g.writer[list[i-1]], g.writer[list[i]])
		}
	}
	return g, nil
}

// checkWrites checks that what was acknowledged is there once, and nothing else.
func (g *graph) checkWrites(history []Record, final map[int][]int) error {
	at := map[int]int{}
	for k, list := range final {
		for _, v := range list {
			if g.writer[v] == 0 {
				return fmt.Errorf("list %d holds %d, which nobody committed", k, v)
			}
			if at[v]++; at[v] > 1 {
				return fmt.Errorf("list %d holds %d twice", k, v)
			}
		}
	}
	for _, r := range history {
		n := 0
		total := 0
		for _, a := range r.Accesses {
			if a.Append {
				total++
				n += at[a.Value]
			}
		}
		if n != total && !(r.Unknown && n == 0) {
			return fmt.Errorf("%d of %d writes of %s are there (unknown outcome: %v)", n, total, r, r.Unknown)
		}
	}
	return nil
}

// addRead adds what a read tells: it follows the writer of its last value, and
// precedes the writer of the next one. own are the reader's earlier appends,
// which it must see last.
func (g *graph) addRead(r Record, a Access, own, final []int) error {
	if len(a.List) < len(own) || !slices.Equal(a.List[len(a.List)-len(own):], own) {
		return fmt.Errorf("%s does not read its own appends %v", r, own)
	}
	seen := a.List[:len(a.List)-len(own)]
	if len(seen) > len(final) || !slices.Equal(seen, final[:len(seen)]) {
		return fmt.Errorf("%s read what is no prefix of %v", r, final)
	}
	if len(seen) > 0 {
		g.edge(g.writer[seen[len(seen)-1]], r.ID)
	}
	if len(seen) < len(final) {
		g.edge(r.ID, g.writer[final[len(seen)]])
	}
	return nil
}

func (g *graph) edge(from, to int) {
	if from == to {
		return
	}
	if g.next[from] == nil {
		g.next[from] = map[int]bool{}
	}
	g.next[from][to] = true
}

// cycle returns the transactions of some cycle, or nil.
func (g *graph) cycle() []int {
	const (
		active = 1
		done   = 2
	)
	state := map[int]int{}
	var path []int
	var visit func(int) []int
	visit = func(n int) []int {
		state[n] = active
		path = append(path, n)
		for m := range g.next[n] {
			switch state[m] {
			case active:
				return slices.Clone(path[slices.Index(path, m):])
			case 0:
				if c := visit(m); c != nil {
					return c
				}
			}
		}
		path = path[:len(path)-1]
		state[n] = done
		return nil
	}
	for n := range g.next {
		if state[n] == 0 {
			if c := visit(n); c != nil {
				return c
			}
		}
	}
	return nil
}

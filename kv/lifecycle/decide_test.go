package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// world is an imaginary cluster: what nodes and ranges it has, and what the nodes
// last said of their counts.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	nodes  []Node
	ranges []*imagined
	// told are the counts that decisions see, a turn old.
	told []Node
	work workload
}

type imagined struct {
	desc   api.RangeDescriptor
	holder ids.NodeID
	use    usage
}

func newWorld(t *testing.T, ranges int) *world { return newWorldOf(t, ranges, 7) }

func newWorldOf(t *testing.T, ranges int, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), work: newWorkload()}
	w.join("region=r0,zone=z0")
	for i := range ranges {
		d := api.RangeDescriptor{RangeID: ids.RangeID(i + 1), Replicas: []api.ReplicaDescriptor{{Node: 1, Replica: 1}}, NextReplica: 2}
		w.ranges = append(w.ranges, &imagined{desc: d, holder: 1})
	}
	return w
}

func (w *world) join(place string) {
	w.nodes = append(w.nodes, Node{ID: ids.NodeID(len(w.nodes) + 1), Live: true, Locality: place})
}

func (w *world) count() {
	for i := range w.nodes {
		w.nodes[i].Replicas, w.nodes[i].Leases = 0, 0
	}
	for _, r := range w.ranges {
		for _, x := range r.desc.Replicas {
			w.nodes[x.Node-1].Replicas++
		}
		w.nodes[r.holder-1].Leases++
	}
}

// turn lets every node act once as a Manager does, all on counts of the last turn,
// and returns how many changes were made.
func (w *world) turn() int {
	w.count()
	w.run()
	w.told = append(w.told[:0], w.nodes...)
	changes := 0
	for _, n := range w.nodes {
		if !n.Live {
			continue
		}
		p := &Picture{Nodes: append([]Node(nil), w.told...), Replicas: 3, Draw: int64(w.work.turn / drawTurns)}
		p.Nodes[n.ID-1].CPU = w.work.cpu[n.ID].now
		repairs, spread := 0, p.Budget(n.ID)
		for _, i := range w.rng.Perm(len(w.ranges)) {
			r := w.ranges[i]
			if r.holder != n.ID {
				continue
			}
			a, ok := Decide(p, &r.desc, n.ID, w.used(r))
			if !ok || a.Spread && spread == 0 || repairs == 20*maxChanges || a.Follow && !w.mayFollow(p, r, n.ID, a.Transfer) {
				continue
			}
			if a.Spread {
				spread--
			}
			repairs++
			p.Expect(a, n.ID)
			w.apply(r, a)
			changes++
		}
	}
	return changes
}

func (w *world) apply(r *imagined, a Action) {
	w.t.Helper()
	d := &r.desc
	switch {
	case a.Transfer != 0:
		if x, ok := d.Replica(a.Transfer); !ok || x.Type != api.Voter || !w.nodes[a.Transfer-1].Live {
			w.t.Fatalf("lease of %s to %s", d.RangeID, a.Transfer)
		}
		w.moved(r, a)
	case a.Add != 0:
		if _, has := d.Replica(a.Add); has || !w.nodes[a.Add-1].takes() {
			w.t.Fatalf("replica of %s on %s: %s", d.RangeID, a.Add, a.Why)
		}
		d.Replicas = append(d.Replicas, api.ReplicaDescriptor{Node: a.Add, Replica: d.NextReplica})
		d.NextReplica++
	default:
		var kept []api.ReplicaDescriptor
		for _, x := range d.Replicas {
			if x.Node != a.Remove {
				kept = append(kept, x)
			}
		}
		if a.Remove == r.holder || len(kept) != len(d.Replicas)-1 {
			w.t.Fatalf("removing %s from %s", a.Remove, d.RangeID)
		}
		d.Replicas = kept
	}
}

// drawTurns is how many turns a drawing of lots stands; quietTurns is how many
// without a change show that there will be none.
const (
	drawTurns  = int(drawEvery / every)
	quietTurns = 4 * drawTurns
)

// settle runs turns until nothing changes any more.
func (w *world) settle(most int) {
	w.t.Helper()
	quiet := 0
	for i := range most + quietTurns {
		if quiet++; w.turn() > 0 {
			quiet = 0
		}
		w.checkQuorums()
		if quiet == quietTurns {
			w.t.Logf("settled after %d turns", i+1-quietTurns)
			return
		}
	}
	w.t.Fatalf("still changing after %d turns", most)
}

// checkQuorums fails if the changes made lose a range that the failures did not.
func (w *world) checkQuorums() {
	w.t.Helper()
	for _, r := range w.ranges {
		live := 0
		for _, x := range r.desc.Replicas {
			if w.nodes[x.Node-1].Live {
				live++
			}
		}
		if live < len(r.desc.Replicas)/2+1 {
			w.t.Fatalf("%s has %d live of %d", r.desc.RangeID, live, len(r.desc.Replicas))
		}
	}
}

func (w *world) checkSpread(replicas int) {
	w.t.Helper()
	w.count()
	most, least := Node{}, Node{Replicas: 1 << 30}
	mostLeases, leastLeases := 0, 1<<30
	for _, n := range w.nodes {
		if !n.takes() {
			if n.Replicas != 0 && (n.Dead || n.Decommissioning) {
				w.t.Fatalf("%s is leaving and has %d replicas", n.ID, n.Replicas)
			}
			continue
		}
		if n.Replicas > most.Replicas {
			most = n
		}
		if n.Replicas < least.Replicas {
			least = n
		}
		mostLeases, leastLeases = max(mostLeases, n.Leases), min(leastLeases, n.Leases)
	}
	w.t.Logf("replicas %d to %d a node, leases %d to %d", least.Replicas, most.Replicas, leastLeases, mostLeases)
	// Up to a margin between two nodes, and one more for places with fewer nodes.
	if most.Replicas-least.Replicas > 2*margin(most.Replicas, least.Replicas) {
		w.t.Fatalf("%s has %d replicas, %s %d", most.ID, most.Replicas, least.ID, least.Replicas)
	}
	if mostLeases-leastLeases > 2*margin(mostLeases, leastLeases) {
		w.t.Fatalf("%d leases on one node, %d on another", mostLeases, leastLeases)
	}
	for _, r := range w.ranges {
		if len(r.desc.Replicas) != replicas {
			w.t.Fatalf("%s has %d replicas", r.desc.RangeID, len(r.desc.Replicas))
		}
	}
}

// What a round does depends on the order in which ranges come up, so that one seed
// shows little.
func TestHundredNodes(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			testHundredNodes(t, newWorldOf(t, 600, seed))
		})
	}
}

func testHundredNodes(t *testing.T, w *world) {
	for i := range 119 {
		w.join(fmt.Sprintf("region=r%d,zone=z%d", i%3, i%7))
	}
	w.settle(300)
	w.checkSpread(3)
	for _, r := range w.ranges {
		for i, x := range r.desc.Replicas {
			for _, y := range r.desc.Replicas[:i] {
				if sharedTiers(w.nodes[x.Node-1].Locality, w.nodes[y.Node-1].Locality) != 0 {
					t.Fatalf("%s has two replicas in one region", r.desc.RangeID)
				}
			}
		}
	}
	// Some die for good and some leave: their ranges are whole again elsewhere.
	for _, i := range []int{5, 17} {
		w.nodes[i].Live, w.nodes[i].Dead = false, true
	}
	w.nodes[40].Decommissioning = true
	for _, r := range w.ranges {
		if !w.nodes[r.holder-1].Live {
			for _, x := range r.desc.Replicas {
				if w.nodes[x.Node-1].Live {
					r.holder = x.Node
				}
			}
		}
	}
	w.settle(300)
	w.checkSpread(3)
	// One that joins now is filled, though nobody has more than a replica too many.
	w.join("region=r0,zone=z0")
	w.settle(300)
	w.checkSpread(3)
}

// Ranges that have moved to one node at the same time do not all go back, unless the
// node has clearly too many now.
func TestOneTooMany(t *testing.T) {
	d := &api.RangeDescriptor{RangeID: 7}
	for i := range 4 {
		d.Replicas = append(d.Replicas, api.ReplicaDescriptor{Node: ids.NodeID(i + 1), Replica: ids.ReplicaID(i + 1)})
	}
	for _, c := range []struct {
		counts [4]int
		places [4]string
		live   bool
		goes   ids.NodeID
	}{
		{[4]int{17, 15, 14, 16}, [4]string{}, true, 1},
		{[4]int{17, 15, 14, 17}, [4]string{}, true, 1},
		{[4]int{17, 15, 14, 18}, [4]string{}, true, 1},
		{[4]int{17, 15, 14, 20}, [4]string{}, true, 4},
		{[4]int{17, 15, 14, 16}, [4]string{}, false, 4},
		{[4]int{17, 20, 14, 17}, [4]string{"a", "b", "c", "a"}, true, 1},
		{[4]int{17, 20, 14, 20}, [4]string{"a", "b", "c", "a"}, true, 4},
		{[4]int{20, 20, 14, 15}, [4]string{"a", "b", "c", "b"}, true, 2},
	} {
		p := &Picture{Replicas: 3}
		for i, n := range c.counts {
			p.Nodes = append(p.Nodes, Node{ID: ids.NodeID(i + 1), Live: true, Replicas: n, Locality: c.places[i]})
		}
		p.Nodes[3].Live = c.live
		if n := p.oneTooMany(d); n != c.goes {
			t.Errorf("%v, newest live %v: %s goes", c.counts, c.live, n)
		}
	}
}

func TestFewNodes(t *testing.T) {
	for n := 3; n <= 6; n++ {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			w := newWorld(t, 30)
			for range n - 1 {
				w.join("")
			}
			w.settle(200)
			w.checkSpread(min(3, n-1+n%2))
		})
	}
}

// A node's death is no reason to keep fewer copies, nor is its mere silence one to
// make more.
func TestThreeNodesLoseOne(t *testing.T) {
	w := newWorld(t, 20)
	w.join("")
	w.join("")
	w.settle(100)
	w.nodes[2].Live = false
	for _, r := range w.ranges {
		if r.holder == 3 {
			r.holder = 1
		}
	}
	for _, dead := range []bool{false, true} {
		w.nodes[2].Dead = dead
		w.settle(50)
		for _, r := range w.ranges {
			if len(r.desc.Replicas) != 3 {
				t.Fatalf("%d replicas while a node is gone (dead: %v)", len(r.desc.Replicas), dead)
			}
		}
	}
	w.join("")
	w.settle(100)
	w.checkSpread(3)
}

func TestDecommissionOneOfThree(t *testing.T) {
	w := newWorld(t, 20)
	w.join("")
	w.join("")
	w.settle(100)
	w.nodes[0].Decommissioning = true
	w.settle(100)
	w.checkSpread(2)
}

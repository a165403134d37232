package exec

import (
	"bytes"
	"container/heap"
	"slices"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// sortOp orders its input. Sort keys are encoded so that bytes compare as the
// values do. What does not fit in memory goes to disk as sorted runs.
type sortOp struct {
	run   *run
	id    int
	input Operator
	cols  []plan.Column
	keys  []sortCol
	top   *single

	store  *rowStore
	refs   []sortRef
	arena  []byte
	held   int
	spills []*spillRun
	merge  *merger
	at     int
	sorted bool
	out    *vec.Batch
}

// sortRef is a row with its key in the arena.
type sortRef struct{ off, end, row int }

func (b *builder) sort(n *plan.Sort) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	s := &sortOp{run: b.run, id: n.ID, input: in, cols: n.Input.Columns()}
	if n.Top != nil {
		if s.top, err = newSingle(n.Top); err != nil {
			return nil, err
		}
	}
	s.store = newRowStore(s.cols)
	s.out = newBatch(s.store.reprs)
	s.keys, err = sortCols(n.Keys, s.cols)
	return s, err
}

// Reset implements Operator.
func (s *sortOp) Reset() error {
	s.drop()
	return s.input.Reset()
}

func (s *sortOp) drop() {
	s.store.reset()
	if s.run.env != nil {
		s.run.env.Account.Release(s.held)
	}
	s.refs, s.arena, s.held, s.at, s.sorted = nil, nil, 0, 0, false
	for _, r := range s.spills {
		r.close()
	}
	s.spills, s.merge = nil, nil
}

// Close implements Operator.
func (s *sortOp) Close() {
	s.drop()
	s.input.Close()
}

// spillAt is how much a sort holds at most before it goes to disk, if the
// statement's budget does not end sooner.
const spillAt = 64 << 20

func (s *sortOp) load() error {
	s.sorted = true
	top := int64(-1)
	if s.top != nil {
		d, err := s.top.value(s.run.ctx())
		if err != nil {
			return err
		}
		if !d.IsNull() {
			top = d.Int()
		}
	}
	for {
		if err := s.run.canceled(); err != nil {
			return err
		}
		b, err := s.input.Next(vec.MaxBatch)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		before := len(s.arena)
		for i := range b.Len() {
			s.add(b, b.Pos(i))
		}
		if top >= 0 && int64(len(s.refs)) > 4*top+4*vec.MaxBatch {
			s.keep(int(top))
		}
		grown := len(s.arena) - before + b.Len()*(24+16*len(s.cols))
		if !s.run.env.Account.Fits(grown) || s.held+grown > spillAt {
			if err := s.spill(); err != nil {
				return err
			}
			continue
		}
		s.held += grown
		if err := s.run.env.Account.Grow(grown); err != nil {
			return err
		}
	}
	s.order()
	if len(s.spills) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
		var err error
		s.merge, err = newMerger(s.spills)
		return err
	}
	return nil
}

func (s *sortOp) add(b *vec.Batch, pos int) {
	off := len(s.arena)
	s.arena = appendSortKey(s.arena, s.keys, b, pos)
	s.refs = append(s.refs, sortRef{off, len(s.arena), s.store.add(b, pos)})
}

// order sorts the rows in memory; equal keys keep their order.
func (s *sortOp) order() {
	slices.SortFunc(s.refs, func(a, b sortRef) int {
		if c := bytes.Compare(s.arena[a.off:a.end], s.arena[b.off:b.end]); c != 0 {
			return c
		}
		return a.row - b.row
	})
}

// keep forgets all rows but the first n.
func (s *sortOp) keep(n int) {
	s.order()
	old, arena, refs := *s.store, s.arena, s.refs[:min(n, len(s.refs))]
	s.store = &rowStore{reprs: old.reprs}
	s.arena, s.refs = make([]byte, 0, len(arena)/4), make([]sortRef, 0, len(refs))
	for _, r := range refs {
		b, pos := old.at(r.row)
		off := len(s.arena)
		s.arena = append(s.arena, arena[r.off:r.end]...)
		s.refs = append(s.refs, sortRef{off, len(s.arena), s.store.add(b, pos)})
	}
}

// spill writes the rows in memory to disk in order.
func (s *sortOp) spill() error {
	s.order()
	w, err := newSpillRun(s.run.env.SpillDir, s.store.reprs)
	if err != nil {
		return err
	}
	s.spills = append(s.spills, w)
	for _, r := range s.refs {
		b, pos := s.store.at(r.row)
		if err := w.add(s.arena[r.off:r.end], b, pos); err != nil {
			return err
		}
	}
	if m := s.run.measure; m != nil {
		m[s.id].Spilled += w.bytes
	}
	s.store.reset()
	s.run.env.Account.Release(s.held)
	s.refs, s.arena, s.held = s.refs[:0], s.arena[:0], 0
	return w.finish()
}

// Next implements Operator.
func (s *sortOp) Next(want int) (*vec.Batch, error) {
	if !s.sorted {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	s.out.Reset()
	want = min(want, vec.MaxBatch)
	if s.merge != nil {
		return s.merge.next(s.out, want)
	}
	for s.out.N < want && s.at < len(s.refs) {
		b, pos := s.store.at(s.refs[s.at].row)
		s.out.AppendFrom(b, pos)
		s.at++
	}
	if s.out.N == 0 {
		return nil, nil
	}
	return s.out, nil
}

// merger merges sorted runs.
type merger struct{ runs mergeHeap }

type mergeHeap []*spillRun

func (h mergeHeap) Len() int { return len(h) }
func (h mergeHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h mergeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)   { *h = append(*h, x.(*spillRun)) }
func (h *mergeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newMerger(runs []*spillRun) (*merger, error) {
	m := &merger{}
	for i, r := range runs {
		r.number = i
		ok, err := r.advance()
		if err != nil {
			return nil, err
		}
		if ok {
			m.runs = append(m.runs, r)
		}
	}
	heap.Init(&m.runs)
	return m, nil
}

func (m *merger) next(out *vec.Batch, want int) (*vec.Batch, error) {
	for out.N < want && len(m.runs) > 0 {
		r := m.runs[0]
		out.AppendFrom(r.batch, r.pos)
		ok, err := r.advance()
		if err != nil {
			return nil, err
		}
		if ok {
			heap.Fix(&m.runs, 0)
		} else {
			heap.Pop(&m.runs)
		}
	}
	if out.N == 0 {
		return nil, nil
	}
	return out, nil
}

// spillTypes are the representations with the key in front.
func spillReprs(reprs []types.Repr) []types.Repr { return append([]types.Repr{types.Bytes}, reprs...) }

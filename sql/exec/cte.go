package exec

import (
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// cteState is the result of a CTE, read as far as anybody asked for.
type cteState struct {
	op    Operator
	cols  []plan.Column
	store *rowStore
	open  bool
	ended bool
}

func (c *cteState) reset() {
	c.store.reset()
	c.open, c.ended = false, false
}

// more reads the next batch of the CTE.
func (c *cteState) more(r *run, want int) error {
	if !c.open {
		c.open = true
		if err := c.op.Reset(); err != nil {
			return err
		}
	}
	b, err := c.op.Next(want)
	if err != nil {
		return err
	}
	if b == nil {
		c.ended = true
		return nil
	}
	c.store.addBatch(b)
	grown := liveBytes(b)
	c.store.bytes += grown
	return r.env.Account.Grow(grown)
}

// withOp runs the CTEs that modify data to their end and then its body.
type withOp struct {
	run       *run
	states    []*cteState
	modifying []bool
	body      Operator
	done      bool
}

func (b *builder) with(n *plan.With) (Operator, error) {
	w := &withOp{run: b.run}
	if b.run.ctes == nil {
		b.run.ctes = map[int]*cteState{}
	}
	for i := range n.CTEs {
		c := &n.CTEs[i]
		op, err := b.build(c.Plan)
		if err != nil {
			return nil, err
		}
		s := &cteState{op: op, cols: c.Plan.Columns(), store: newRowStore(c.Plan.Columns())}
		b.run.ctes[c.ID] = s
		w.states = append(w.states, s)
		w.modifying = append(w.modifying, c.Modifying)
	}
	var err error
	w.body, err = b.build(n.Body)
	return w, err
}

// Next implements Operator.
func (w *withOp) Next(want int) (*vec.Batch, error) {
	if !w.done {
		w.done = true
		for i, s := range w.states {
			for w.modifying[i] && !s.ended {
				if err := s.more(w.run, vec.MaxBatch); err != nil {
					return nil, err
				}
			}
		}
	}
	return w.body.Next(want)
}

// Reset implements Operator.
func (w *withOp) Reset() error {
	for _, s := range w.states {
		s.reset()
	}
	w.done = false
	return w.body.Reset()
}

// Close implements Operator.
func (w *withOp) Close() {
	for _, s := range w.states {
		s.reset()
		s.op.Close()
	}
	w.body.Close()
}

// cteScanOp reads a CTE's result.
type cteScanOp struct {
	run    *run
	id     int
	source []plan.ColID
	cols   []int
	at     int
	out    vec.Batch
}

func (b *builder) cteScan(n *plan.CTEScan) (Operator, error) {
	return &cteScanOp{run: b.run, id: n.CTE, source: n.Source}, nil
}

// Next implements Operator.
func (c *cteScanOp) Next(want int) (*vec.Batch, error) {
	s := c.run.ctes[c.id]
	if s == nil {
		return nil, types.Errorf(types.CodeInternal, "a WITH query is not in reach")
	}
	if c.cols == nil {
		var err error
		if c.cols, err = places(s.cols, c.source); err != nil {
			return nil, err
		}
	}
	for c.at >= s.store.n {
		if s.ended {
			return nil, nil
		}
		if err := s.more(c.run, want); err != nil {
			return nil, err
		}
	}
	b, p := s.store.at(c.at)
	to := min(b.N, p+want)
	c.at += to - p
	c.out = vec.Batch{Cols: c.out.Cols[:0], N: b.N}
	for _, i := range c.cols {
		// A copy of the head: the store may grow the vector while it is read.
		v := *b.Cols[i]
		c.out.Cols = append(c.out.Cols, &v)
	}
	c.out.Slice(p, to)
	return &c.out, nil
}

// Reset implements Operator.
func (c *cteScanOp) Reset() error { c.at = 0; return nil }

// Close implements Operator.
func (c *cteScanOp) Close() {}

// recursiveOp computes a recursive CTE round by round.
type recursiveOp struct {
	run           *run
	node          *plan.RecursiveCTE
	initial, step Operator
	icols, scols  []int
	types         []types.Type
	seen          map[string]struct{}
	work, next    *rowStore
	phase         int // 0: initial, 1: step
	opened        bool
	out           vec.Batch
	key           []byte
}

func (b *builder) recursive(n *plan.RecursiveCTE) (Operator, error) {
	if b.run.work == nil {
		b.run.work = map[int]*rowStore{}
	}
	i, err := b.build(n.Initial)
	if err != nil {
		return nil, err
	}
	s, err := b.build(n.Step)
	if err != nil {
		return nil, err
	}
	r := &recursiveOp{run: b.run, node: n, initial: i, step: s, types: columnTypes(n.Out),
		work: newRowStore(n.Out), next: newRowStore(n.Out)}
	if r.icols, err = places(n.Initial.Columns(), n.InitialCols); err != nil {
		return nil, err
	}
	r.scols, err = places(n.Step.Columns(), n.StepCols)
	return r, err
}

// seenEntry is what a row in the set of those seen takes beyond its bytes.
const seenEntry = 48

// Next implements Operator.
func (r *recursiveOp) Next(want int) (*vec.Batch, error) {
	for {
		if err := r.run.canceled(); err != nil {
			return nil, err
		}
		op, cols := r.initial, r.icols
		if r.phase == 1 {
			op, cols = r.step, r.scols
			if !r.opened {
				if r.next.n == 0 {
					return nil, nil
				}
				// What the last round found is what this one works on.
				r.work, r.next = r.next, r.work
				r.run.env.Account.Release(r.next.bytes)
				r.next.reset()
				r.run.work[r.node.CTE] = r.work
				r.opened = true
				if err := r.step.Reset(); err != nil {
					return nil, err
				}
			}
		}
		b, err := op.Next(want)
		if err != nil {
			return nil, err
		}
		if b == nil {
			r.phase, r.opened = 1, false
			continue
		}
		out, err := r.take(b, cols)
		if err != nil || out != nil {
			return out, err
		}
	}
}

// take keeps the new rows of a batch for the next round.
func (r *recursiveOp) take(b *vec.Batch, cols []int) (*vec.Batch, error) {
	r.out = vec.Batch{Cols: r.out.Cols[:0], N: b.N, Sel: b.Sel}
	for _, c := range cols {
		r.out.Cols = append(r.out.Cols, b.Cols[c])
	}
	if !r.node.All {
		sel := make([]int32, 0, b.Len())
		grown := 0
		for i := range b.Len() {
			p := b.Pos(i)
			r.key = r.key[:0]
			for c, v := range r.out.Cols {
				r.key = rowenc.AppendHashKey(r.key, r.types[c], v, p)
			}
			if _, ok := r.seen[string(r.key)]; !ok {
				r.seen[string(r.key)] = struct{}{}
				sel = append(sel, int32(p))
				grown += len(r.key) + seenEntry
			}
		}
		if len(sel) == 0 {
			return nil, nil
		}
		if err := r.run.env.Account.Grow(grown); err != nil {
			return nil, err
		}
		r.out.Sel = sel
	}
	for i := range r.out.Len() {
		r.next.add(&r.out, r.out.Pos(i))
	}
	grown := liveBytes(&r.out)
	r.next.bytes += grown
	return &r.out, r.run.env.Account.Grow(grown)
}

// Reset implements Operator.
func (r *recursiveOp) Reset() error {
	r.work.reset()
	r.next.reset()
	r.seen = map[string]struct{}{}
	r.phase, r.opened = 0, false
	return r.initial.Reset()
}

// Close implements Operator.
func (r *recursiveOp) Close() {
	r.work.reset()
	r.next.reset()
	r.seen = nil
	r.initial.Close()
	r.step.Close()
}

// workTableOp reads the last round's rows.
type workTableOp struct {
	run    *run
	id     int
	source []int
	at     int
	out    vec.Batch
}

func (b *builder) workTable(n *plan.WorkTableScan) (Operator, error) {
	return &workTableOp{run: b.run, id: n.CTE, source: n.Source}, nil
}

// Next implements Operator.
func (w *workTableOp) Next(want int) (*vec.Batch, error) {
	s := w.run.work[w.id]
	if s == nil || w.at >= s.n {
		return nil, nil
	}
	b, p := s.at(w.at)
	to := min(b.N, p+want)
	w.at += to - p
	w.out = vec.Batch{Cols: w.out.Cols[:0], N: b.N}
	for _, i := range w.source {
		w.out.Cols = append(w.out.Cols, b.Cols[i])
	}
	w.out.Slice(p, to)
	return &w.out, nil
}

// Reset implements Operator.
func (w *workTableOp) Reset() error { w.at = 0; return nil }

// Close implements Operator.
func (w *workTableOp) Close() {}

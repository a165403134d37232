package exec

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// windowOp computes functions over the partitions of its sorted input.
type windowOp struct {
	run    *run
	node   *plan.Window
	input  Operator
	by     hashCols
	order  []sortCol
	funcs  []windowFunc
	start  *single
	end    *single
	ostart types.Datum
	oend   types.Datum
	offs   *rangeOffsets

	part   *rowStore
	ahead  *vec.Batch // the batch whose rows from at on are not taken yet
	at     int
	key    []byte
	cur    []byte
	out    outbox
	ended  bool
	loaded bool
}

type windowFunc struct {
	info   builtin.Info
	body   builtin.WindowFunc
	isAgg  bool
	args   *scan.Instance
	nargs  int
	filter bool
	repr   types.Repr
	reprs  []types.Repr
}

func (b *builder) window(n *plan.Window) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	cols := n.Input.Columns()
	w := &windowOp{run: b.run, node: n, input: in, part: newRowStore(cols)}
	if w.by, err = newHashCols(cols, n.PartitionBy); err != nil {
		return nil, err
	}
	if w.order, err = sortCols(n.OrderBy, cols); err != nil {
		return nil, err
	}
	if n.Frame.StartOffset != nil {
		if w.start, err = newSingle(n.Frame.StartOffset); err != nil {
			return nil, err
		}
	}
	if n.Frame.EndOffset != nil {
		if w.end, err = newSingle(n.Frame.EndOffset); err != nil {
			return nil, err
		}
	}
	for i := range n.Funcs {
		f, err := newWindowFunc(&n.Funcs[i], cols)
		if err != nil {
			return nil, err
		}
		w.funcs = append(w.funcs, f)
	}
	return w, nil
}

func newWindowFunc(n *plan.WindowFunc, cols []plan.Column) (windowFunc, error) {
	c := n.Call
	f := windowFunc{repr: n.Out.Type.Repr(), nargs: len(c.Args), filter: c.Filter != nil}
	f.info = builtin.Info{Proc: c.Func, Name: c.Name, Ret: c.Typ, Collation: c.Collation}
	es := append([]plan.Scalar(nil), c.Args...)
	for _, a := range c.Args {
		f.info.ArgTypes = append(f.info.ArgTypes, a.Type())
	}
	if f.filter {
		es = append(es, c.Filter)
	}
	for _, e := range es {
		f.reprs = append(f.reprs, e.Type().Repr())
	}
	var err error
	if f.args, err = compileOpt(es, cols); err != nil {
		return f, err
	}
	p, ok := pgfacts.ProcByOID(c.Func)
	if !ok {
		return f, types.Errorf(types.CodeUndefinedFunction, "window function %d does not exist", c.Func)
	}
	f.info.Src = p.Src
	if p.Kind == 'w' {
		f.body, err = builtin.LookupWindow(p)
		return f, err
	}
	f.isAgg = true
	return f, nil
}

// Reset implements Operator.
func (w *windowOp) Reset() error {
	w.part.reset()
	w.out.reset()
	w.ahead, w.ended, w.loaded = nil, false, false
	return w.input.Reset()
}

// Close implements Operator.
func (w *windowOp) Close() { w.part.reset(); w.out.reset(); w.input.Close() }

// Next implements Operator.
func (w *windowOp) Next(want int) (*vec.Batch, error) {
	if !w.loaded {
		w.loaded = true
		if err := w.offsets(); err != nil {
			return nil, err
		}
	}
	for {
		if b := w.out.next(want); b != nil {
			return b, nil
		}
		if w.ended && w.ahead == nil {
			return nil, nil
		}
		if err := w.readPartition(); err != nil {
			return nil, err
		}
		if w.part.n > 0 {
			if err := w.compute(); err != nil {
				return nil, err
			}
		}
	}
}

func (w *windowOp) offsets() error {
	for _, o := range []struct {
		s    *single
		d    *types.Datum
		what string
	}{{w.start, &w.ostart, "starting"}, {w.end, &w.oend, "ending"}} {
		if o.s == nil {
			continue
		}
		d, err := o.s.value(w.run.ctx())
		if err != nil {
			return err
		}
		if d.IsNull() {
			return types.Errorf(types.CodeNullValueNotAllowed, "frame %s offset must not be null", o.what)
		}
		if w.node.Frame.Mode == expr.FrameRange {
			if negativeOffset(d) {
				return types.Errorf(types.CodeInvalidPrecedingOrFollowing, "invalid preceding or following size in window function")
			}
		} else if d.Int() < 0 {
			return types.Errorf(types.CodeInvalidPrecedingOrFollowing, "frame %s offset must not be negative", o.what)
		}
		*o.d = d
	}
	return nil
}

// readPartition reads the rows of the next partition.
func (w *windowOp) readPartition() error {
	w.part.reset()
	first := true
	for {
		if w.ahead == nil {
			if w.ended {
				return nil
			}
			b, err := w.input.Next(vec.MaxBatch)
			if err != nil {
				return err
			}
			if b == nil {
				w.ended = true
				return nil
			}
			w.ahead, w.at = b, 0
		}
		for ; w.at < w.ahead.Len(); w.at++ {
			p := w.ahead.Pos(w.at)
			w.key = w.by.append(w.key[:0], w.ahead, p)
			if first {
				w.cur = append(w.cur[:0], w.key...)
				first = false
			} else if string(w.key) != string(w.cur) {
				return nil
			}
			w.part.add(w.ahead, p)
		}
		w.ahead = nil
		if err := w.run.canceled(); err != nil {
			return err
		}
	}
}

// compute gives out the partition with the functions' values.
func (w *windowOp) compute() error {
	n := w.part.n
	p := &builtin.Partition{N: n}
	w.peers(p)
	if err := w.frames(p); err != nil {
		return err
	}
	results := make([]*vec.Vector, len(w.funcs))
	for i := range w.funcs {
		f := &w.funcs[i]
		args, err := w.arguments(f)
		if err != nil {
			return err
		}
		p.Args = args
		results[i] = vec.New(f.repr, n)
		if f.isAgg {
			err = w.aggregateOver(f, p, args, results[i])
		} else {
			err = f.body(w.run.ctx(), &f.info, p, results[i])
		}
		if err != nil {
			return err
		}
	}
	for from, b := range w.part.batches {
		out := &vec.Batch{Cols: append([]*vec.Vector(nil), b.Cols...), N: b.N}
		for i, r := range results {
			v := vec.New(w.funcs[i].repr, b.N)
			for k := range b.N {
				v.AppendFrom(r, from*vec.MaxBatch+k)
			}
			out.Cols = append(out.Cols, v)
		}
		w.out.push(out)
	}
	return nil
}

// arguments evaluates a function's operands over the partition.
func (w *windowOp) arguments(f *windowFunc) ([]*vec.Vector, error) {
	out := make([]*vec.Vector, len(f.reprs))
	for i, r := range f.reprs {
		out[i] = vec.New(r, w.part.n)
	}
	if f.args == nil {
		return out, nil
	}
	for _, b := range w.part.batches {
		vs, err := f.args.Eval(w.run.ctx(), b)
		if err != nil {
			return nil, err
		}
		for i, v := range vs {
			for k := range b.N {
				out[i].AppendFrom(v, k)
			}
		}
	}
	return out, nil
}

// peers bounds the rows that are equal by ORDER BY.
func (w *windowOp) peers(p *builtin.Partition) {
	n := w.part.n
	p.PeerStart, p.PeerEnd = make([]int32, n), make([]int32, n)
	var last, key []byte
	start := 0
	flush := func(end int) {
		for i := start; i < end; i++ {
			p.PeerStart[i], p.PeerEnd[i] = int32(start), int32(end)
		}
		start = end
	}
	for i := range n {
		b, pos := w.part.at(i)
		key = appendSortKey(key[:0], w.order, b, pos)
		if i > 0 && string(key) != string(last) {
			flush(i)
		}
		last = append(last[:0], key...)
	}
	flush(n)
}

// frames bounds each row's frame.
func (w *windowOp) frames(p *builtin.Partition) error {
	n := p.N
	p.FrameStart, p.FrameEnd = make([]int32, n), make([]int32, n)
	f := &w.node.Frame
	if f.Mode == expr.FrameRange && (w.start != nil || w.end != nil) {
		r, err := newRangeOffsets(w)
		if err != nil {
			return err
		}
		w.offs = r
	}
	groups := groupStarts(p)
	for i := range n {
		s, err := w.bound(p, groups, i, f.Start, w.ostart, true)
		if err != nil {
			return err
		}
		e, err := w.bound(p, groups, i, f.End, w.oend, false)
		if err != nil {
			return err
		}
		s, e = max(0, min(s, n)), max(0, min(e, n))
		p.FrameStart[i], p.FrameEnd[i] = int32(s), int32(max(s, e))
	}
	return nil
}

// groupStarts lists where peer groups start, and the end.
func groupStarts(p *builtin.Partition) []int32 {
	var out []int32
	for i := 0; i < p.N; i = int(p.PeerEnd[i]) {
		out = append(out, int32(i))
	}
	return append(out, int32(p.N))
}

// bound returns the start (inclusive) or end (exclusive) of row i's frame.
func (w *windowOp) bound(p *builtin.Partition, groups []int32, i int, b expr.FrameBound, off types.Datum, start bool) (int, error) {
	switch b {
	case expr.UnboundedPreceding:
		return 0, nil
	case expr.UnboundedFollowing:
		return p.N, nil
	case expr.CurrentRow:
		switch {
		case w.node.Frame.Mode == expr.FrameRows && start:
			return i, nil
		case w.node.Frame.Mode == expr.FrameRows:
			return i + 1, nil
		case start:
			return int(p.PeerStart[i]), nil
		}
		return int(p.PeerEnd[i]), nil
	}
	sign := 1
	if b == expr.OffsetPreceding {
		sign = -1
	}
	switch w.node.Frame.Mode {
	case expr.FrameRows:
		k := i + sign*int(min(off.Int(), int64(p.N)))
		if !start {
			k++
		}
		return k, nil
	case expr.FrameGroups:
		g := 0
		for g+1 < len(groups) && int(groups[g+1]) <= i {
			g++
		}
		k := g + sign*int(min(off.Int(), int64(p.N)))
		if !start {
			k++
		}
		return int(groups[max(0, min(k, len(groups)-1))]), nil
	}
	return w.offs.bound(p.N, i, sign, off, start)
}

// aggregateOver evaluates an aggregate over each row's frame. Frames that only
// grow are computed in one pass.
func (w *windowOp) aggregateOver(f *windowFunc, p *builtin.Partition, args []*vec.Vector, out *vec.Vector) error {
	info := f.info
	agg, err := builtin.NewAggregator(&info)
	if err != nil {
		return err
	}
	ctx := w.run.ctx()
	exclude := w.node.Frame.Exclude
	from, to := int32(-1), int32(0)
	for i := range p.N {
		if i&255 == 0 {
			if err := w.run.canceled(); err != nil {
				return err
			}
		}
		s, e := p.FrameStart[i], p.FrameEnd[i]
		if s != from || e < to || exclude != expr.ExcludeNone {
			agg.Reset()
			agg.Grow(1)
			from, to = s, s
		}
		var sel []int32
		for k := to; k < e; k++ {
			if f.filter {
				v := args[f.nargs]
				if v.IsNull(int(k)) || v.Int(int(k)) == 0 {
					continue
				}
			}
			if excluded(exclude, p, int32(i), k) {
				continue
			}
			sel = append(sel, k)
		}
		to = e
		if len(sel) > 0 {
			if err := agg.Update(ctx, args[:f.nargs], sel, p.N, nil); err != nil {
				return err
			}
		}
		if err := agg.Final(ctx, 0, out); err != nil {
			return err
		}
	}
	return nil
}

func excluded(x expr.FrameExclude, p *builtin.Partition, i, k int32) bool {
	peer := k >= p.PeerStart[i] && k < p.PeerEnd[i]
	switch x {
	case expr.ExcludeCurrentRow:
		return k == i
	case expr.ExcludeGroup:
		return peer
	case expr.ExcludeTies:
		return peer && k != i
	}
	return false
}

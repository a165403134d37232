package exec

import (
	"slices"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// aggCalls are the aggregates of one node with all their operands in one
// program.
type aggCalls struct {
	run   *run
	calls []aggCall
	inst  *scan.Instance
	held  int
}

type aggCall struct {
	info     builtin.Info
	agg      builtin.Aggregator
	args     []int
	argTypes []types.Type
	filter   int
	distinct bool
	order    []sortCol // places are in the program's results
	out      types.Repr
	// seen holds group and argument keys of DISTINCT; kept rows wait for ORDER BY.
	seen map[string]struct{}
	kept map[int][]keptRow
}

// keptRow is one input of an ordered aggregate.
type keptRow struct {
	key  []byte
	args []types.Datum
}

func newAggCalls(r *run, aggs []plan.AggCall, cols []plan.Column) (*aggCalls, error) {
	a := &aggCalls{run: r}
	var es []plan.Scalar
	for i := range aggs {
		ref := aggs[i].Call
		c := aggCall{info: scan.AggInfo(ref), filter: -1, distinct: ref.Distinct, out: aggs[i].Out.Type.Repr()}
		add := func(e plan.Scalar) int { es = append(es, e); return len(es) - 1 }
		args := ref.Args
		if len(ref.Direct) > 0 {
			// An ordered-set aggregate: direct arguments, then what it orders by.
			args = append(slices.Clone(ref.Direct), args...)
			c.info.ArgTypes = nil
			for _, x := range args {
				c.info.ArgTypes = append(c.info.ArgTypes, x.Type())
			}
			for _, k := range ref.OrderBy {
				c.info.Order = append(c.info.Order, builtin.Order{Desc: k.Desc, NullsFirst: k.NullsFirst})
			}
		}
		for _, x := range args {
			c.args = append(c.args, add(x))
			c.argTypes = append(c.argTypes, x.Type())
		}
		if ref.Filter != nil {
			c.filter = add(ref.Filter)
		}
		for _, k := range ref.OrderBy {
			c.order = append(c.order, sortCol{add(k.Arg), k.Arg.Type(), k.Desc, k.NullsFirst})
		}
		if c.distinct && collects(ref.Name) {
			// DISTINCT is made by sorting in PostgreSQL, which shows in what the
			// aggregate collects.
			for i, x := range args {
				c.order = append(c.order, sortCol{c.args[i], x.Type(), false, false})
			}
		}
		var err error
		if c.agg, err = builtin.NewAggregator(&c.info); err != nil {
			return nil, err
		}
		a.calls = append(a.calls, c)
	}
	var err error
	a.inst, err = compileOpt(es, cols)
	return a, err
}

// collects reports whether an aggregate's result shows the order of its input.
func collects(name string) bool {
	switch name {
	case "array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg":
		return true
	}
	return false
}

func (a *aggCalls) reset() {
	if a.run.env != nil {
		a.run.env.Account.Release(a.held)
	}
	a.held = 0
	for i := range a.calls {
		c := &a.calls[i]
		c.agg.Reset()
		c.seen, c.kept = nil, nil
	}
}

// grow makes room for n groups.
func (a *aggCalls) grow(n int) {
	for i := range a.calls {
		a.calls[i].agg.Grow(n)
	}
}

// update adds the rows of b; groups gives the group of each position, nil puts
// all into group 0.
func (a *aggCalls) update(b *vec.Batch, groups []int32) error {
	var vs []*vec.Vector
	if a.inst != nil {
		var err error
		if vs, err = a.inst.Eval(a.run.ctx(), b); err != nil {
			return err
		}
	}
	before := 0
	for i := range a.calls {
		before += a.calls[i].agg.MemBytes()
	}
	for i := range a.calls {
		if err := a.calls[i].update(a.run.ctx(), b, vs, groups); err != nil {
			return err
		}
	}
	after := 0
	for i := range a.calls {
		after += a.calls[i].agg.MemBytes()
	}
	if after > before {
		a.held += after - before
		return a.run.env.Account.Grow(after - before)
	}
	return nil
}

func groupOf(groups []int32, p int) int {
	if groups == nil {
		return 0
	}
	return int(groups[p])
}

func (c *aggCall) update(ctx *builtin.Ctx, b *vec.Batch, vs []*vec.Vector, groups []int32) error {
	args := make([]*vec.Vector, len(c.args))
	for i, p := range c.args {
		args[i] = vs[p]
	}
	sel := b.Sel
	if c.filter >= 0 {
		f := vs[c.filter]
		keep := make([]int32, 0, b.Len())
		for i := range b.Len() {
			if p := b.Pos(i); !f.IsNull(p) && f.Int(p) != 0 {
				keep = append(keep, int32(p))
			}
		}
		sel = keep
	}
	if c.distinct {
		sel = c.fresh(args, sel, b.N, groups)
	}
	if len(c.order) > 0 {
		c.keep(vs, args, sel, b.N, groups)
		return nil
	}
	if sel != nil && len(sel) == 0 {
		return nil
	}
	return c.agg.Update(ctx, args, sel, b.N, groups)
}

// fresh narrows to rows whose arguments are new in their group.
func (c *aggCall) fresh(args []*vec.Vector, sel []int32, n int, groups []int32) []int32 {
	if c.seen == nil {
		c.seen = map[string]struct{}{}
	}
	keep := make([]int32, 0, n)
	var key []byte
	each(sel, n, func(p int) {
		g := groupOf(groups, p)
		key = append(key[:0], byte(g), byte(g>>8), byte(g>>16), byte(g>>24))
		for i, v := range args {
			key = rowenc.AppendHashKey(key, c.argTypes[i], v, p)
		}
		if _, ok := c.seen[string(key)]; !ok {
			c.seen[string(key)] = struct{}{}
			keep = append(keep, int32(p))
		}
	})
	return keep
}

func each(sel []int32, n int, f func(p int)) {
	if sel != nil {
		for _, p := range sel {
			f(int(p))
		}
		return
	}
	for p := range n {
		f(p)
	}
}

// keep puts rows aside until all of their group are there.
func (c *aggCall) keep(vs, args []*vec.Vector, sel []int32, n int, groups []int32) {
	if c.kept == nil {
		c.kept = map[int][]keptRow{}
	}
	each(sel, n, func(p int) {
		var r keptRow
		for _, k := range c.order {
			r.key = rowenc.AppendSortKey(r.key, k.typ, vs[k.place], p, k.desc, k.nullsFirst)
		}
		for _, v := range args {
			r.args = append(r.args, v.Datum(p))
		}
		g := groupOf(groups, p)
		c.kept[g] = append(c.kept[g], r)
	})
}

// finish passes the rows that were put aside, in order.
func (c *aggCall) finish(ctx *builtin.Ctx) error {
	for _, g := range sortedGroups(c.kept) {
		rows := c.kept[g]
		slices.SortStableFunc(rows, func(a, b keptRow) int { return slices.Compare(a.key, b.key) })
		b := vec.NewBatch(c.argTypes, len(rows))
		groups := make([]int32, len(rows))
		for i, r := range rows {
			b.AppendRow(r.args)
			groups[i] = int32(g)
		}
		if err := c.agg.Update(ctx, b.Cols, nil, len(rows), groups); err != nil {
			return err
		}
	}
	c.kept = nil
	return nil
}

func sortedGroups(m map[int][]keptRow) []int {
	out := make([]int, 0, len(m))
	for g := range m {
		out = append(out, g)
	}
	slices.Sort(out)
	return out
}

// finish completes all aggregates.
func (a *aggCalls) finish() error {
	for i := range a.calls {
		if a.calls[i].kept != nil {
			if err := a.calls[i].finish(a.run.ctx()); err != nil {
				return err
			}
		}
	}
	return nil
}

// final appends the results of a group.
func (a *aggCalls) final(g int, out []*vec.Vector) error {
	for i := range a.calls {
		if err := a.calls[i].agg.Final(a.run.ctx(), g, out[i]); err != nil {
			return err
		}
	}
	return nil
}

// aggOp groups its input by hashing, or by watching for changes if it is sorted.
type aggOp struct {
	run    *run
	node   *plan.Aggregate
	input  Operator
	by     hashCols
	calls  *aggCalls
	states []int // of Merge: the places of the states
	groups *scan.Groups
	keys   *rowStore
	n      int
	at     int
	loaded bool
	ids    []int32
	held   int
	out    *vec.Batch
}

func (b *builder) aggregate(n *plan.Aggregate) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	cols := n.Input.Columns()
	a := &aggOp{run: b.run, node: n, input: in, out: vec.NewBatch(columnTypes(n.Out), 1)}
	if a.by, err = newHashCols(cols, n.GroupBy); err != nil {
		return nil, err
	}
	var groupCols []plan.Column
	for _, p := range a.by.places {
		groupCols = append(groupCols, cols[p])
	}
	a.keys = newRowStore(groupCols)
	if n.Merge {
		if a.states, err = places(cols, n.MergeCols); err != nil {
			return nil, err
		}
		a.calls = &aggCalls{run: b.run}
		for i := range n.Aggs {
			c := aggCall{info: scan.AggInfo(n.Aggs[i].Call), filter: -1}
			if c.agg, err = builtin.NewAggregator(&c.info); err != nil {
				return nil, err
			}
			a.calls.calls = append(a.calls.calls, c)
		}
		return a, nil
	}
	a.calls, err = newAggCalls(b.run, n.Aggs, cols)
	return a, err
}

// Reset implements Operator.
func (a *aggOp) Reset() error {
	a.free()
	return a.input.Reset()
}

func (a *aggOp) free() {
	if a.run.env != nil {
		a.run.env.Account.Release(a.held)
	}
	a.calls.reset()
	a.keys.reset()
	a.groups, a.n, a.at, a.loaded, a.held = nil, 0, 0, false, 0
}

// Close implements Operator.
func (a *aggOp) Close() { a.free(); a.input.Close() }

func (a *aggOp) load() error {
	a.loaded = true
	grouped := len(a.by.places) > 0
	if grouped {
		a.groups = scan.NewGroups(a.by.places, a.by.types)
	} else {
		a.n = 1
		a.calls.grow(1)
	}
	for {
		if err := a.run.canceled(); err != nil {
			return err
		}
		b, err := a.input.Next(vec.MaxBatch)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		ids := []int32(nil)
		if grouped {
			if ids, err = a.assign(b); err != nil {
				return err
			}
			a.calls.grow(a.n)
		}
		if a.states != nil {
			err = a.merge(b, ids)
		} else {
			err = a.calls.update(b, ids)
		}
		if err != nil {
			return err
		}
	}
	return a.calls.finish()
}

// assign numbers the group of each live position.
func (a *aggOp) assign(b *vec.Batch) ([]int32, error) {
	if cap(a.ids) < b.N {
		a.ids = make([]int32, max(b.N, vec.MaxBatch))
	}
	ids := a.ids[:b.N]
	grown := 0
	for i := range b.Len() {
		p := b.Pos(i)
		id, first := a.groups.Of(b, p)
		if first {
			a.n++
			t := a.keys.tail()
			for k, c := range a.by.places {
				t.Cols[k].AppendFrom(b.Cols[c], p)
			}
			t.N++
			a.keys.n++
			grown += 96 + 32*len(a.by.places)
		}
		ids[p] = id
	}
	a.held += grown
	return ids, a.run.env.Account.Grow(grown)
}

// merge adds partial states.
func (a *aggOp) merge(b *vec.Batch, ids []int32) error {
	for i := range a.calls.calls {
		v := b.Cols[a.states[i]]
		for j := range b.Len() {
			p := b.Pos(j)
			if v.IsNull(p) {
				continue
			}
			if err := a.calls.calls[i].agg.MergeState(groupOf(ids, p), v.Bytes(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Next implements Operator.
func (a *aggOp) Next(want int) (*vec.Batch, error) {
	if !a.loaded {
		if err := a.load(); err != nil {
			return nil, err
		}
	}
	a.out.Reset()
	nk := len(a.by.places)
	for a.at < a.n && a.out.N < min(want, vec.MaxBatch) {
		if nk > 0 {
			b, p := a.keys.at(a.at)
			for k := range nk {
				a.out.Cols[k].AppendFrom(b.Cols[k], p)
			}
		}
		if err := a.calls.final(a.at, a.out.Cols[nk:]); err != nil {
			return nil, err
		}
		a.out.N++
		a.at++
	}
	if a.out.N == 0 {
		return nil, nil
	}
	return a.out, nil
}

// groupingOp aggregates once for each grouping set.
type groupingOp struct {
	run    *run
	node   *plan.GroupingSets
	input  Operator
	by     []int
	types  []types.Type
	sets   []groupingSet
	out    outbox
	loaded bool
}

type groupingSet struct {
	in     []bool // by GroupBy: in this set
	calls  *aggCalls
	groups map[string]int32
	store  *rowStore
	n      int
	mask   int64
}

func (b *builder) groupingSets(n *plan.GroupingSets) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	cols := n.Input.Columns()
	g := &groupingOp{run: b.run, node: n, input: in}
	if g.by, err = places(cols, n.GroupBy); err != nil {
		return nil, err
	}
	var groupCols []plan.Column
	for _, p := range g.by {
		g.types = append(g.types, cols[p].Type)
		groupCols = append(groupCols, cols[p])
	}
	for _, set := range n.Sets {
		s := groupingSet{in: make([]bool, len(g.by)), store: newRowStore(groupCols)}
		for _, i := range set {
			s.in[i] = true
		}
		for i, in := range s.in {
			if !in {
				s.mask |= 1 << (len(s.in) - 1 - i)
			}
		}
		if s.calls, err = newAggCalls(b.run, n.Aggs, cols); err != nil {
			return nil, err
		}
		g.sets = append(g.sets, s)
	}
	return g, nil
}

// Reset implements Operator.
func (g *groupingOp) Reset() error {
	g.loaded = false
	g.out.reset()
	for i := range g.sets {
		s := &g.sets[i]
		s.calls.reset()
		s.store.reset()
		s.groups, s.n = map[string]int32{}, 0
	}
	return g.input.Reset()
}

// Close implements Operator.
func (g *groupingOp) Close() { g.out.reset(); g.input.Close() }

func (g *groupingOp) load() error {
	g.loaded = true
	var key []byte
	for {
		if err := g.run.canceled(); err != nil {
			return err
		}
		b, err := g.input.Next(vec.MaxBatch)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		ids := make([]int32, b.N)
		for i := range g.sets {
			s := &g.sets[i]
			for j := range b.Len() {
				p := b.Pos(j)
				key = key[:0]
				for k, c := range g.by {
					if s.in[k] {
						key = rowenc.AppendHashKey(key, g.types[k], b.Cols[c], p)
					}
				}
				ids[p] = s.group(key, b, p, g.by)
			}
			s.calls.grow(s.n)
			if err := s.calls.update(b, ids); err != nil {
				return err
			}
		}
	}
	return g.finish()
}

func (s *groupingSet) group(key []byte, b *vec.Batch, p int, by []int) int32 {
	id, ok := s.groups[string(key)]
	if !ok {
		id = int32(s.n)
		s.n++
		s.groups[string(key)] = id
		t := s.store.tail()
		for k, c := range by {
			if s.in[k] {
				t.Cols[k].AppendFrom(b.Cols[c], p)
			} else {
				t.Cols[k].AppendNull()
			}
		}
		t.N++
		s.store.n++
	}
	return id
}

func (g *groupingOp) finish() error {
	ts := columnTypes(g.node.Out)
	for i := range g.sets {
		s := &g.sets[i]
		empty := !slices.Contains(s.in, true)
		if empty && s.n == 0 {
			// The empty set has its one group even over no rows.
			t := s.store.tail()
			for _, c := range t.Cols {
				c.AppendNull()
			}
			t.N++
			s.store.n++
			s.n = 1
			s.calls.grow(1)
		}
		if err := s.calls.finish(); err != nil {
			return err
		}
		for at := 0; at < s.n; {
			out := vec.NewBatch(ts, min(s.n-at, vec.MaxBatch))
			for ; at < s.n && out.N < vec.MaxBatch; at++ {
				b, p := s.store.at(at)
				for k := range g.by {
					out.Cols[k].AppendFrom(b.Cols[k], p)
				}
				if err := s.calls.final(at, out.Cols[len(g.by):]); err != nil {
					return err
				}
				if g.node.SetCol != 0 {
					out.Cols[len(out.Cols)-1].AppendInt(s.mask)
				}
				out.N++
			}
			g.out.push(out)
		}
	}
	return nil
}

// Next implements Operator.
func (g *groupingOp) Next(want int) (*vec.Batch, error) {
	if !g.loaded {
		if err := g.load(); err != nil {
			return nil, err
		}
	}
	return g.out.next(want), nil
}

var _ = expr.FrameRows

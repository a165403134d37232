package scan

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// aggProgram is a compiled partial aggregation: group columns and, for each
// aggregate, its operands and filter over the read columns.
type aggProgram struct {
	groupBy []int
	types   []types.Type // of the group columns
	calls   []aggCall
	exprs   *Exprs // all operands and filters, in one program; nil without any
}

type aggCall struct {
	info   builtin.Info
	args   []int // places in exprs
	filter int   // -1: none
}

// AggInfo returns what an aggregate's constructor wants to know of a call.
func AggInfo(a *expr.AggRef) builtin.Info {
	info := builtin.Info{Proc: a.Func, Name: a.Name, Ret: a.Typ, Collation: a.Collation}
	for _, x := range a.Args {
		info.ArgTypes = append(info.ArgTypes, x.Type())
	}
	return info
}

func compileAggs(s *Spec) (*aggProgram, error) {
	p := &aggProgram{groupBy: s.GroupBy}
	for _, g := range s.GroupBy {
		if g >= len(s.Read) {
			return nil, types.ErrCorrupt
		}
		c, _ := s.Table.Column(s.Read[g])
		p.types = append(p.types, c.Type)
	}
	var es []expr.Expr
	for _, a := range s.Aggs {
		c := aggCall{info: AggInfo(a), filter: -1}
		for _, x := range a.Args {
			c.args = append(c.args, len(es))
			es = append(es, x)
		}
		if a.Filter != nil {
			c.filter = len(es)
			es = append(es, a.Filter)
		}
		p.calls = append(p.calls, c)
	}
	if len(es) == 0 {
		return p, nil
	}
	var err error
	p.exprs, err = Compile(es)
	return p, err
}

// aggRun is the state of one run.
type aggRun struct {
	p      *aggProgram
	aggs   []builtin.Aggregator
	exprs  *Instance
	groups *Groups
	keys   *vec.Batch // the group columns of each group
	rows   *vec.Batch
	ids    []int32
	buf    []byte
	sel    []int32
	args   []*vec.Vector
	n      int
}

func (p *aggProgram) open() (*aggRun, error) {
	r := &aggRun{p: p}
	for i := range p.calls {
		info := p.calls[i].info
		a, err := builtin.NewAggregator(&info)
		if err != nil {
			return nil, err
		}
		r.aggs = append(r.aggs, a)
	}
	if p.exprs != nil {
		r.exprs = p.exprs.New()
	}
	if len(p.groupBy) > 0 {
		r.groups = NewGroups(p.groupBy, p.types)
	}
	r.keys = vec.NewBatch(p.types, 0)
	return r, nil
}

func (a *aggRun) add(r *run, ks, vs [][]byte) error {
	if a.rows == nil {
		a.rows = newBatch(r.p.all)
	}
	a.rows.Reset()
	if err := r.p.all.Decode(ks, vs, a.rows.Cols); err != nil {
		return err
	}
	a.rows.N = len(vs)
	a.assign()
	var vecs []*vec.Vector
	if a.exprs != nil {
		var err error
		if vecs, err = a.exprs.Eval(r.ctx, a.rows); err != nil {
			return err
		}
	}
	for i, agg := range a.aggs {
		agg.Grow(a.n)
		c := &a.p.calls[i]
		a.args = a.args[:0]
		for _, x := range c.args {
			a.args = append(a.args, vecs[x])
		}
		var sel []int32
		if c.filter >= 0 {
			a.sel = a.sel[:0]
			f := vecs[c.filter]
			for j := range len(vs) {
				if !f.IsNull(j) && f.Int(j) != 0 {
					a.sel = append(a.sel, int32(j))
				}
			}
			if sel = a.sel; len(sel) == 0 {
				continue
			}
		}
		if err := agg.Update(r.ctx, a.args, sel, len(vs), a.ids); err != nil {
			return err
		}
	}
	return nil
}

// assign numbers the group of each row.
func (a *aggRun) assign() {
	if a.groups == nil {
		a.n, a.ids = 1, nil
		return
	}
	a.ids = a.ids[:0]
	for i := range a.rows.N {
		id, first := a.groups.Of(a.rows, i)
		if first {
			a.n++
			for k, g := range a.p.groupBy {
				a.keys.Cols[k].AppendFrom(a.rows.Cols[g], i)
			}
			a.keys.N++
		}
		a.ids = append(a.ids, id)
	}
}

// finish gives a row for each group: its columns, then the states.
func (a *aggRun) finish(*builtin.Ctx) (*vec.Batch, error) {
	out := a.keys
	if a.groups == nil {
		a.n = 1
		for _, agg := range a.aggs {
			agg.Grow(1)
		}
	}
	out.N = a.n
	for _, agg := range a.aggs {
		v := vec.New(types.Bytes, a.n)
		for g := range a.n {
			b, err := agg.AppendState(a.buf[:0], g)
			if err != nil {
				return nil, err
			}
			a.buf = b
			v.AppendBytes(b)
		}
		out.Cols = append(out.Cols, v)
	}
	return out, nil
}

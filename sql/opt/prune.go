package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// prune drops columns that nobody reads, from the root down. The root itself
// keeps its columns.
func (c *optimizer) prune(root plan.Node) {
	p := &pruner{ctes: make(map[int]plan.ColSet)}
	p.node(root, plan.OutputOf(root))
}

type pruner struct {
	// ctes collects what is read of each CTE; bodies are visited before the
	// entries that they read.
	ctes map[int]plan.ColSet
}

// scalars adds the columns that the node's own scalars name, wherever from.
func scalars(n plan.Node, need plan.ColSet) {
	plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
		need.AddScalar(e)
		return e
	})
}

func keep(out []plan.Column, need plan.ColSet) []plan.Column {
	var kept []plan.Column
	for _, o := range out {
		if need.Has(o.ID) {
			kept = append(kept, o)
		}
	}
	return kept
}

func copySet(s plan.ColSet) plan.ColSet {
	c := make(plan.ColSet, len(s)+4)
	for id := range s {
		c[id] = struct{}{}
	}
	return c
}

// node narrows n to need and recurses.
func (p *pruner) node(n plan.Node, need plan.ColSet) {
	need = copySet(need)
	switch x := n.(type) {
	case *plan.Scan:
		p.scan(x, need)
	case *plan.VirtualScan:
		p.virtual(x, need)
	case *plan.Values:
		p.values(x, need)
	case *plan.Project:
		p.project(x, need)
	case *plan.Filter:
		x.Out = keep(x.Out, need)
		scalars(x, need)
		p.node(x.Input, need)
		x.Out = x.Input.Columns()
	case *plan.Limit:
		scalars(x, need)
		addKeys(need, x.Ties)
		p.node(x.Input, need)
		x.Out = x.Input.Columns()
	case *plan.Sort:
		addKeys(need, x.Keys)
		scalars(x, need)
		p.node(x.Input, need)
		x.Out = x.Input.Columns()
	case *plan.Distinct:
		need.Add(x.On...)
		p.node(x.Input, need)
		x.Out = x.Input.Columns()
	case *plan.LockRows:
		for _, t := range x.Targets {
			need.Add(t.Key...)
		}
		p.node(x.Input, need)
		x.Out = x.Input.Columns()
	case *plan.Aggregate:
		p.aggregate(x, need)
	default:
		p.rest(n, need)
	}
}

func (p *pruner) rest(n plan.Node, need plan.ColSet) {
	switch x := n.(type) {
	case *plan.NestedLoop, *plan.HashJoin, *plan.MergeJoin, *plan.Apply:
		p.join(n, need)
	case *plan.With:
		p.node(x.Body, need)
		x.Out = x.Body.Columns()
		for i := len(x.CTEs) - 1; i >= 0; i-- {
			e := &x.CTEs[i]
			// A CTE keeps its columns: what reads it may run several times, and
			// modifying ones have fixed columns.
			p.node(e.Plan, plan.OutputOf(e.Plan))
		}
	case *plan.GroupingSets:
		need.Add(x.GroupBy...)
		scalars(x, need)
		p.node(x.Input, need)
	case *plan.Window:
		need.Add(x.PartitionBy...)
		addKeys(need, x.OrderBy)
		scalars(x, need)
		p.node(x.Input, need)
		x.Out = append([]plan.Column(nil), x.Input.Columns()...)
		for _, f := range x.Funcs {
			x.Out = append(x.Out, f.Out)
		}
	case *plan.ProjectSet:
		scalars(x, need)
		made := x.Out[len(x.Out)-len(x.Calls):]
		p.node(x.Input, need)
		x.Out = append(append([]plan.Column(nil), x.Input.Columns()...), made...)
	case *plan.SetOp:
		l, r := make(plan.ColSet), make(plan.ColSet)
		l.Add(x.LeftCols...)
		r.Add(x.RightCols...)
		p.node(x.Left, l)
		p.node(x.Right, r)
	case *plan.RecursiveCTE:
		l, r := make(plan.ColSet), make(plan.ColSet)
		l.Add(x.InitialCols...)
		r.Add(x.StepCols...)
		p.node(x.Initial, l)
		p.node(x.Step, r)
	case *plan.Mutation:
		in := make(plan.ColSet)
		scalars(x, in)
		in.Add(x.Old...)
		p.node(x.Input, in)
		if x.Conflict != nil && x.Conflict.Input != nil {
			p.node(x.Conflict.Input, plan.OutputOf(x.Conflict.Input))
		}
	case *plan.Utility:
		if x.Input != nil {
			p.node(x.Input, plan.OutputOf(x.Input))
		}
	default:
		for _, in := range n.Inputs() {
			p.node(in, plan.OutputOf(in))
		}
	}
}

func addKeys(need plan.ColSet, keys []plan.SortKey) {
	for _, k := range keys {
		need.Add(k.Col)
	}
}

func (p *pruner) scan(x *plan.Scan, need plan.ColSet) {
	scalars(x, need)
	out, read := x.Out[:0:0], x.Read[:0:0]
	for i, o := range x.Out {
		if need.Has(o.ID) {
			out, read = append(out, o), append(read, x.Read[i])
		}
	}
	x.Out, x.Read = out, read
}

func (p *pruner) virtual(x *plan.VirtualScan, need plan.ColSet) {
	scalars(x, need)
	out, read := x.Out[:0:0], x.Read[:0:0]
	for i, o := range x.Out {
		if need.Has(o.ID) {
			out, read = append(out, o), append(read, x.Read[i])
		}
	}
	x.Out, x.Read = out, read
}

func (p *pruner) values(x *plan.Values, need plan.ColSet) {
	all := true
	for _, o := range x.Out {
		all = all && need.Has(o.ID)
	}
	if all {
		return
	}
	out := keep(x.Out, need)
	for r, row := range x.Rows {
		var kept []plan.Scalar
		for i, o := range x.Out {
			if need.Has(o.ID) {
				kept = append(kept, row[i])
			}
		}
		x.Rows[r] = kept
	}
	x.Out = out
}

func (p *pruner) project(x *plan.Project, need plan.ColSet) {
	var out []plan.Column
	var exprs []plan.Scalar
	in := make(plan.ColSet)
	for i, o := range x.Out {
		if !need.Has(o.ID) {
			continue
		}
		out, exprs = append(out, o), append(exprs, x.Exprs[i])
		in.AddScalar(x.Exprs[i])
	}
	x.Out, x.Exprs = out, exprs
	p.node(x.Input, in)
}

func (p *pruner) aggregate(x *plan.Aggregate, need plan.ColSet) {
	var aggs []plan.AggCall
	for _, a := range x.Aggs {
		if need.Has(a.Out.ID) {
			aggs = append(aggs, a)
		}
	}
	x.Aggs = aggs
	x.Out = x.Out[:len(x.GroupBy):len(x.GroupBy)]
	for _, a := range aggs {
		x.Out = append(x.Out, a.Out)
	}
	in := make(plan.ColSet)
	scalars(x, in)
	in.Add(x.GroupBy...)
	p.node(x.Input, in)
}

// join narrows both sides of a join or Apply and sets its output anew.
func (p *pruner) join(n plan.Node, need plan.ColSet) {
	scalars(n, need)
	var l, r plan.Node
	var t plan.JoinType
	var mark plan.ColID
	switch x := n.(type) {
	case *plan.NestedLoop:
		l, r, t, mark = x.Left, x.Right, x.Type, x.Mark
	case *plan.HashJoin:
		l, r, t, mark = x.Left, x.Right, x.Type, x.Mark
	case *plan.MergeJoin:
		l, r, t = x.Left, x.Right, x.Type
	case *plan.Apply:
		l, r, t, mark = x.Left, x.Right, x.Type, x.Mark
		for id := range plan.Free(x.Right) {
			need.Add(id)
		}
	}
	p.node(l, need)
	p.node(r, need)
	n.Common().Out = joinOut(t, l, r, n.Columns(), mark)
}

// narrow wraps n in a projection to out if it puts out anything else.
func narrow(n plan.Node, out []plan.Column) plan.Node {
	have := n.Columns()
	same := len(have) == len(out)
	for i := range out {
		same = same && have[i].ID == out[i].ID
	}
	if same {
		return n
	}
	p := &plan.Project{Base: plan.Base{Out: append([]plan.Column(nil), out...)}, Input: n, Exprs: make([]plan.Scalar, len(out))}
	for i, o := range out {
		p.Exprs[i] = ref(o)
	}
	return p
}

func sameExpr(a, b expr.Expr) bool {
	if a == b {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	x, err := expr.Encode(nil, a)
	if err != nil {
		return false
	}
	y, err := expr.Encode(nil, b)
	return err == nil && string(x) == string(y)
}

package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// decorrelate turns Applies into joins where the right side's dependence on the
// left one can be expressed as join conditions.
func (c *optimizer) decorrelate(n plan.Node) plan.Node {
	n = plan.Rewrite(n, func(n plan.Node) plan.Node {
		if f, ok := n.(*plan.Filter); ok {
			return c.subFilter(f)
		}
		return n
	})
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		if a, ok := n.(*plan.Apply); ok {
			return c.applyToJoin(a)
		}
		return n
	})
}

// subFilter rewrites a filter over the values of subqueries.
func (c *optimizer) subFilter(f *plan.Filter) plan.Node {
	if r := c.valueFirst(f); r != nil {
		return r
	}
	if a, ok := f.Input.(*plan.Apply); ok && a.Type == plan.ScalarJoin && !anyVolatile(f.Conds) {
		return c.scalarFilter(f, a)
	}
	return c.markFilter(f)
}

// scalarFilter hands the conditions that do not name a scalar subquery's value
// on to what is below it.
func (c *optimizer) scalarFilter(f *plan.Filter, a *plan.Apply) plan.Node {
	value := plan.OutputOf(a.Right)
	var own, below []expr.Expr
	for _, e := range f.Conds {
		if value.Touches(e) {
			own = append(own, e)
		} else {
			below = append(below, e)
		}
	}
	if len(below) == 0 {
		return f
	}
	out := f.Out
	a.Left = c.subFilter(&plan.Filter{Base: plan.Base{Out: a.Left.Columns()}, Input: a.Left, Conds: below})
	a.Out = joinOut(a.Type, a.Left, a.Right, a.Out, a.Mark)
	return dropMissing(filter(a, own), out)
}

// markFilter turns a filter on the answer of an IN or EXISTS into a semi join,
// and one on that of a NOT EXISTS into an anti join. Conditions on other answers
// go on to the Applies below.
func (c *optimizer) markFilter(f *plan.Filter) plan.Node {
	a, ok := f.Input.(*plan.Apply)
	if !ok || a.Type != plan.MarkJoin || a.Guard != nil || anyVolatile(f.Conds) {
		return f
	}
	out := f.Out
	var own, below []expr.Expr
	for _, e := range f.Conds {
		if namesMark(e, a.Mark) {
			own = append(own, e)
		} else {
			below = append(below, e)
		}
	}
	if len(below) > 0 {
		a.Left = c.subFilter(&plan.Filter{Base: plan.Base{Out: a.Left.Columns()}, Input: a.Left, Conds: below})
	}
	if t, ok := markUse(own, a); ok {
		a.Type, a.On, a.MarkCond, a.Mark = t, expr.Conjuncts(a.On, a.MarkCond), nil, 0
		own = nil
	}
	a.Out = joinOut(a.Type, a.Left, a.Right, a.Out, a.Mark)
	return dropMissing(filter(a, own), out)
}

// valueFirst computes a subquery that depends on nothing before the query that
// compares a column with its value: to the query it is a parameter then, which
// an index can be searched for. It returns nil where that does not apply.
func (c *optimizer) valueFirst(f *plan.Filter) plan.Node {
	a, ok := f.Input.(*plan.Apply)
	if !ok || a.Type != plan.ScalarJoin || a.Guard != nil || len(a.On) > 0 || len(plan.Free(a.Right)) > 0 ||
		anyVolatile(f.Conds) || anyVolatileBelow(a.Right) {
		return nil
	}
	value := plan.OutputOf(a.Right)
	compares := false
	for _, e := range f.Conds {
		o, ok := e.(*expr.OpExpr)
		compares = compares || ok && len(o.Args) == 2 && pgfacts.StrategyOf(o.Op) != 0 && value.Touches(o)
	}
	if !compares {
		return nil
	}
	first := &plan.Apply{Type: plan.ScalarJoin, Left: &plan.Values{Rows: [][]plan.Scalar{{}}}, Right: a.Right}
	first.Out = joinOut(first.Type, first.Left, first.Right, nil, 0)
	rest := &plan.Filter{Base: plan.Base{Out: a.Left.Columns()}, Input: a.Left, Conds: f.Conds}
	j := &plan.Apply{Type: plan.InnerJoin, Left: first}
	j.Right = c.subFilter(rest)
	j.Out = joinOut(j.Type, j.Left, j.Right, nil, 0)
	return narrow(j, f.Out)
}

// oneRowLeft recognizes what valueFirst puts on the left.
func oneRowLeft(n plan.Node) bool {
	switch x := n.(type) {
	case *plan.Values:
		return len(x.Rows) == 1
	case *plan.Apply:
		return x.Type == plan.ScalarJoin && oneRowLeft(x.Left)
	}
	return false
}

// dropMissing narrows what a parent of n expected to what there is: answers
// that became joins are read by nobody any more.
func dropMissing(n plan.Node, out []plan.Column) plan.Node {
	have := plan.OutputOf(n)
	var kept []plan.Column
	for _, o := range out {
		if have.Has(o.ID) {
			kept = append(kept, o)
		}
	}
	return narrow(n, kept)
}

// markUse reports what the conditions make of an Apply's answer.
func markUse(conds []expr.Expr, a *plan.Apply) (plan.JoinType, bool) {
	if len(conds) != 1 || a.MarkAll {
		return 0, false
	}
	switch n := conds[0].(type) {
	case *expr.ColumnRef:
		return plan.SemiJoin, true
	case *expr.BoolExpr:
		if n.Op != expr.Not {
			return 0, false
		}
		_, ok := n.Args[0].(*expr.ColumnRef)
		// NOT IN needs its NULLs, NOT EXISTS has none.
		return plan.AntiJoin, ok && a.MarkCond == nil
	}
	return 0, false
}

// applyToJoin removes an Apply's correlation, if it can.
func (c *optimizer) applyToJoin(a *plan.Apply) plan.Node {
	if a.Guard != nil || anyVolatileBelow(a.Right) || anyMutation(a.Left) {
		return a
	}
	left := plan.OutputOf(a.Left)
	switch a.Type {
	case plan.SemiJoin, plan.AntiJoin, plan.MarkJoin:
		if a.MarkAll {
			return a
		}
		return c.existsToJoin(a, left)
	case plan.InnerJoin, plan.LeftJoin:
		return c.lateralToJoin(a, left)
	case plan.ScalarJoin:
		return c.scalarToJoin(a, left)
	}
	return a
}

// anyMutation reports whether a tree changes rows: it is carried out once and to
// its end, whatever is made of its rows.
func anyMutation(n plan.Node) bool {
	found := false
	plan.Walk(n, func(n plan.Node) {
		_, is := n.(*plan.Mutation)
		found = found || is
	})
	return found
}

func anyVolatileBelow(n plan.Node) bool {
	found := false
	plan.Walk(n, func(n plan.Node) {
		if _, ok := n.(*plan.Mutation); ok {
			found = true
		}
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			found = found || isVolatile(e)
			return e
		})
	})
	return found
}

// correlated reports whether a tree names columns of the set.
func correlated(n plan.Node, outer plan.ColSet) bool {
	for id := range plan.Free(n) {
		if outer.Has(id) {
			return true
		}
	}
	return false
}

// puller takes correlated conditions out of a tree.
type puller struct {
	outer plan.ColSet
	conds []expr.Expr
	// source maps columns of projections that were taken away.
	source map[plan.ColID]expr.Expr
	exists bool // only whether there are rows matters, not which columns
	any    bool // not even how many, as long as there is one
}

// pull returns n without its correlated conditions, which go to p.conds. It
// descends only through nodes that the conditions may rise above.
func (p *puller) pull(n plan.Node) plan.Node {
	switch x := n.(type) {
	case *plan.Filter:
		in := p.pull(x.Input)
		var stay []expr.Expr
		for _, e := range x.Conds {
			// What stood below and was stripped is no column any more.
			if e = p.through(e); p.outer.Touches(e) {
				p.conds = append(p.conds, e)
			} else {
				stay = append(stay, e)
			}
		}
		return filter(in, stay)
	case *plan.Project:
		if !p.exists || !p.strip(x) {
			return x
		}
		return p.pull(x.Input)
	case *plan.Sort:
		if p.exists {
			return p.pull(x.Input)
		}
	case *plan.Distinct:
		if p.exists && len(x.On) == len(x.Out) {
			return p.pull(x.Input)
		}
	case *plan.Limit:
		if k, ok := x.Count.(*expr.Const); p.any && ok && x.Offset == nil && !k.Value.IsNull() && k.Value.Int() > 0 {
			return p.pull(x.Input)
		}
	case *plan.NestedLoop:
		if x.Type == plan.InnerJoin {
			x.Left, x.Right = p.pull(x.Left), p.pull(x.Right)
			var stay []expr.Expr
			for _, e := range x.On {
				if e = p.through(e); p.outer.Touches(e) {
					p.conds = append(p.conds, e)
				} else {
					stay = append(stay, e)
				}
			}
			x.On = stay
			x.Out = append(append([]plan.Column(nil), x.Left.Columns()...), x.Right.Columns()...)
		}
	}
	return n
}

// strip forgets a projection: what is above names its inputs instead.
func (p *puller) strip(x *plan.Project) bool {
	for _, e := range x.Exprs {
		if hasSet(e) {
			return false
		}
	}
	if p.source == nil {
		p.source = make(map[plan.ColID]expr.Expr)
	}
	for i, o := range x.Out {
		if r, ok := x.Exprs[i].(*expr.ColumnRef); !ok || r.ID != o.ID {
			p.source[o.ID] = x.Exprs[i]
		}
	}
	return true
}

func hasSet(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		if f, ok := n.(*expr.FuncExpr); ok && f.ReturnSet {
			found = true
		}
		return !found
	})
	return found
}

// through puts stripped projections' expressions in place of their columns.
func (p *puller) through(e expr.Expr) expr.Expr {
	if e == nil || len(p.source) == 0 {
		return e
	}
	return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
		if s, ok := p.source[c.ID]; ok {
			return p.through(s)
		}
		return c
	})
}

// existsToJoin handles EXISTS, IN and their negations.
func (c *optimizer) existsToJoin(a *plan.Apply, left plan.ColSet) plan.Node {
	any := a.MarkCond == nil && len(a.On) == 0
	p := &puller{outer: left, exists: true, any: any}
	right := p.pull(a.Right)
	if correlated(right, left) {
		// What was taken out goes back: nothing is lost, only moved.
		if a.Right = restore(right, p, a); any {
			a.Right = first(a.Right)
		}
		return a
	}
	if any && len(p.conds) == 0 {
		right = first(right)
	}
	j := &plan.NestedLoop{Base: plan.Base{Out: a.Out}, Type: a.Type, Left: a.Left, Right: right, Mark: a.Mark, MarkCond: p.through(a.MarkCond)}
	for _, e := range append(append([]expr.Expr(nil), a.On...), p.conds...) {
		j.On = append(j.On, p.through(e))
	}
	return j
}

// first keeps one row: all that EXISTS asks for.
func first(n plan.Node) plan.Node {
	return &plan.Limit{Base: plan.Base{Out: n.Columns()}, Input: n, Count: &expr.Const{Value: types.NewInt(1), Typ: types.Int8Type}}
}

// restore puts pulled conditions and projections back above a tree.
func restore(n plan.Node, p *puller, a *plan.Apply) plan.Node {
	n = filter(n, p.conds)
	for i, e := range a.On {
		a.On[i] = p.through(e)
	}
	a.MarkCond = p.through(a.MarkCond)
	return n
}

// lateralToJoin handles LATERAL whose right side only filters by the left.
func (c *optimizer) lateralToJoin(a *plan.Apply, left plan.ColSet) plan.Node {
	if oneRowLeft(a.Left) {
		return a // values that the right side takes as parameters
	}
	pr, ok := a.Right.(*plan.Project)
	in := a.Right
	if ok {
		for _, e := range pr.Exprs {
			if left.Touches(e) || hasSet(e) || a.Type == plan.LeftJoin && !isRef(e) {
				return a
			}
		}
		in = pr.Input
	}
	p := &puller{outer: left}
	right := p.pull(in)
	if correlated(right, left) || len(p.conds) == 0 {
		right = filter(right, p.conds)
		if ok {
			pr.Input = right
		} else {
			a.Right = right
		}
		return a
	}
	out := append(append([]plan.Column(nil), a.Left.Columns()...), right.Columns()...)
	j := &plan.NestedLoop{Base: plan.Base{Out: out}, Type: a.Type, Left: a.Left, Right: right}
	if !ok {
		j.On = append(append([]expr.Expr(nil), a.On...), p.conds...)
		return narrow(j, a.Out)
	}
	source := make(map[plan.ColID]expr.Expr, len(pr.Out))
	for i, o := range pr.Out {
		source[o.ID] = pr.Exprs[i]
	}
	subst := func(e expr.Expr) expr.Expr {
		return expr.MapColumns(e, func(r *expr.ColumnRef) expr.Expr {
			if s, ok := source[r.ID]; ok {
				return s
			}
			return r
		})
	}
	for _, e := range a.On {
		j.On = append(j.On, subst(e))
	}
	j.On = append(j.On, p.conds...)
	top := &plan.Project{Base: plan.Base{Out: a.Out}, Input: j}
	for _, o := range a.Out {
		top.Exprs = append(top.Exprs, subst(ref(o)))
	}
	return top
}

// scalarToJoin turns a correlated scalar aggregate into a left join with the
// aggregation grouped by the correlated columns.
func (c *optimizer) scalarToJoin(a *plan.Apply, left plan.ColSet) plan.Node {
	if !correlated(a.Right, left) {
		return a
	}
	var pr *plan.Project
	n := a.Right
	if x, ok := n.(*plan.Project); ok {
		pr, n = x, x.Input
		for _, e := range x.Exprs {
			if left.Touches(e) {
				return a
			}
		}
	}
	agg, ok := n.(*plan.Aggregate)
	if !ok || len(agg.GroupBy) > 0 || !c.worthGrouping(a, agg) {
		return a
	}
	for _, g := range agg.Aggs {
		if left.Touches(g.Call) {
			return a
		}
	}
	p := &puller{outer: left}
	in := p.pull(agg.Input)
	keys, ok := correlationKeys(in, p.conds, left)
	if !ok || correlated(in, left) {
		agg.Input = filter(in, p.conds)
		return a
	}
	return c.groupedJoin(a, pr, agg, in, keys, p.conds)
}

// correlationKeys returns the inner columns that the conditions equate with the
// outer query.
func correlationKeys(in plan.Node, conds []expr.Expr, outer plan.ColSet) ([]plan.Column, bool) {
	var keys []plan.Column
	seen := make(plan.ColSet)
	inner := plan.OutputOf(in)
	for _, e := range conds {
		q, ok := asEquality(e)
		if !ok {
			return nil, false
		}
		l, r := q.left, q.right
		if outer.Touches(l) {
			l, r = r, l
		}
		col, ok := stripRelabel(l).(*expr.ColumnRef)
		if !ok || !inner.Has(col.ID) || inner.Touches(r) || outer.Touches(l) {
			return nil, false
		}
		if !seen.Has(col.ID) {
			seen.Add(col.ID)
			keys = append(keys, plan.Column{ID: col.ID, Name: col.Name, Type: col.Typ})
		}
	}
	return keys, len(keys) > 0
}

func (c *optimizer) groupedJoin(a *plan.Apply, pr *plan.Project, agg *plan.Aggregate, in plan.Node, keys []plan.Column, conds []expr.Expr) plan.Node {
	agg.Input = in
	agg.Out = append(append([]plan.Column(nil), keys...), agg.Out...)
	for _, k := range keys {
		agg.GroupBy = append(agg.GroupBy, k.ID)
	}
	out := append(append([]plan.Column(nil), a.Left.Columns()...), agg.Out...)
	j := &plan.NestedLoop{Base: plan.Base{Out: out}, Type: plan.LeftJoin, Left: a.Left, Right: agg, On: conds}
	// Without a group the aggregates have the value that they have over no rows.
	empty := make(map[plan.ColID]expr.Expr)
	for _, g := range agg.Aggs {
		if e := overNothing(g.Call, ref(g.Out)); e != nil {
			empty[g.Out.ID] = e
		}
	}
	fix := func(e expr.Expr) expr.Expr {
		return expr.MapColumns(e, func(r *expr.ColumnRef) expr.Expr {
			if x, ok := empty[r.ID]; ok {
				return x
			}
			return r
		})
	}
	// Columns that are only fixed need ids of their own above the join, but the
	// parent knows the old ones: the projection reuses them.
	top := &plan.Project{Base: plan.Base{Out: a.Out}, Input: j}
	source := make(map[plan.ColID]expr.Expr)
	if pr != nil {
		for i, o := range pr.Out {
			source[o.ID] = fix(pr.Exprs[i])
		}
	}
	for _, o := range a.Out {
		e, ok := source[o.ID]
		if !ok {
			e = fix(ref(o))
		}
		top.Exprs = append(top.Exprs, e)
	}
	return c.rename(top, j)
}

// rename gives aggregates below a projection fresh ids where the projection
// puts something else out under the old ones: an id means one column.
func (c *optimizer) rename(top *plan.Project, j *plan.NestedLoop) plan.Node {
	agg := j.Right.(*plan.Aggregate)
	moved := make(map[plan.ColID]plan.Column)
	for i := range agg.Aggs {
		o := &agg.Aggs[i].Out
		n := *o
		n.ID = c.newCol()
		moved[o.ID] = n
		*o = n
	}
	swap := func(cols []plan.Column) {
		for i, o := range cols {
			if n, ok := moved[o.ID]; ok {
				cols[i] = n
			}
		}
	}
	swap(agg.Out)
	swap(j.Out)
	for i, e := range top.Exprs {
		top.Exprs[i] = expr.MapColumns(e, func(r *expr.ColumnRef) expr.Expr {
			if n, ok := moved[r.ID]; ok {
				return ref(n)
			}
			return r
		})
	}
	return top
}

// overNothing returns what replaces an aggregate's column so that a missing
// group reads like an empty one: count is zero there, all others are NULL.
func overNothing(call *expr.AggRef, col expr.Expr) expr.Expr {
	p, ok := pgfacts.ProcByOID(call.Func)
	if !ok || p.Name != "count" && p.Name != "regr_count" {
		return nil
	}
	return &expr.Coalesce{Typ: types.Int8Type, Args: []expr.Expr{col, &expr.Const{Value: types.NewInt(0), Typ: types.Int8Type}}}
}

package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// pushDown moves every condition as far down as it may go, and turns outer
// joins into inner ones where a condition above rejects NULLs.
func (c *optimizer) pushDown(n plan.Node) plan.Node { return c.push(n, nil) }

// push returns n with conds applied: what n cannot take stays in a Filter above.
func (c *optimizer) push(n plan.Node, conds []expr.Expr) plan.Node {
	switch x := n.(type) {
	case *plan.Filter:
		if anyVolatile(x.Conds) {
			x.Input = c.push(x.Input, nil)
			return filter(x, conds)
		}
		return c.push(x.Input, append(append([]expr.Expr(nil), x.Conds...), conds...))
	case *plan.Project:
		return c.pushProject(x, conds)
	case *plan.NestedLoop:
		return c.pushJoin(x, conds)
	case *plan.Apply:
		return c.pushApply(x, conds)
	case *plan.Scan:
		return pushScan(x, conds)
	case *plan.VirtualScan:
		stay := takeSafe(&x.Filter, conds)
		return filter(x, stay)
	case *plan.Aggregate:
		return c.pushAggregate(x, conds)
	case *plan.SetOp:
		return c.pushSetOp(x, conds)
	case *plan.Sort:
		x.Input = c.push(x.Input, conds)
		return x
	case *plan.Distinct:
		return c.pushDistinct(x, conds)
	}
	plan.MapInputs(n, func(in plan.Node) plan.Node { return c.push(in, nil) })
	return filter(n, conds)
}

func filter(n plan.Node, conds []expr.Expr) plan.Node {
	if len(conds) == 0 {
		return n
	}
	if f, ok := n.(*plan.Filter); ok {
		f.Conds = append(append([]expr.Expr(nil), f.Conds...), conds...)
		return f
	}
	return &plan.Filter{Base: plan.Base{Out: n.Columns()}, Input: n, Conds: conds}
}

// takeSafe moves conditions that a scan may evaluate into dst and returns the
// rest. The order is kept, so a condition that may raise still comes after
// those that were written before it.
func takeSafe(dst *[]plan.Scalar, conds []expr.Expr) (stay []expr.Expr) {
	for _, e := range conds {
		if isVolatile(e) {
			stay = append(stay, e)
			continue
		}
		*dst = append(*dst, e)
	}
	return stay
}

func pushScan(x *plan.Scan, conds []expr.Expr) plan.Node {
	var stay, local []expr.Expr
	for _, e := range conds {
		if needsHost(e) {
			local = append(local, e)
		} else {
			stay = append(stay, e)
		}
	}
	return filter(x, append(takeSafe(&x.Filter, stay), local...))
}

// pushProject moves conditions below a projection by putting the expressions in
// place of its columns, unless those are volatile or expensive to repeat.
func (c *optimizer) pushProject(x *plan.Project, conds []expr.Expr) plan.Node {
	var below, stay []expr.Expr
	source := make(map[plan.ColID]expr.Expr, len(x.Out))
	for i, o := range x.Out {
		source[o.ID] = x.Exprs[i]
	}
	for _, e := range conds {
		ok := true
		r := expr.MapColumns(e, func(col *expr.ColumnRef) expr.Expr {
			src, mine := source[col.ID]
			if !mine {
				return col
			}
			switch stripRelabel(src).(type) {
			case *expr.ColumnRef, *expr.Const, *expr.Param:
			default:
				ok = ok && !isVolatile(src) && !mayRaise(src)
			}
			return src
		})
		if ok && !isVolatile(e) {
			below = append(below, r)
		} else {
			stay = append(stay, e)
		}
	}
	x.Input = c.push(x.Input, below)
	return filter(x, stay)
}

// pushJoin distributes conditions over a join.
func (c *optimizer) pushJoin(x *plan.NestedLoop, conds []expr.Expr) plan.Node {
	left, right := plan.OutputOf(x.Left), plan.OutputOf(x.Right)
	simplifyOuter(x, conds, left, right)
	var toLeft, toRight, on, stay []expr.Expr
	for _, e := range conds {
		l, r := left.Touches(e), right.Touches(e)
		switch {
		case isVolatile(e) || x.Mark != 0 && namesMark(e, x.Mark):
			stay = append(stay, e)
		case x.Type == plan.InnerJoin && l && r:
			on = append(on, e)
		case l && !r && x.Type != plan.FullJoin && x.Type != plan.RightJoin:
			toLeft = append(toLeft, e)
		case r && !l && x.Type == plan.InnerJoin:
			toRight = append(toRight, e)
		case !l && !r && x.Type != plan.FullJoin && x.Type != plan.RightJoin:
			toLeft = append(toLeft, e)
		default:
			stay = append(stay, e)
		}
	}
	var keep []expr.Expr
	for _, e := range x.On {
		l, r := left.Touches(e), right.Touches(e)
		switch {
		case isVolatile(e) || l && r || x.Type == plan.FullJoin || x.MarkCond != nil:
			keep = append(keep, e)
		case r:
			toRight = append(toRight, e)
		case l && (x.Type == plan.InnerJoin || x.Type == plan.SemiJoin):
			toLeft = append(toLeft, e)
		default:
			keep = append(keep, e)
		}
	}
	x.On = append(keep, on...)
	if x.Type == plan.InnerJoin {
		toLeft, toRight = transfer(x, toLeft, toRight)
		toLeft, toRight = narrowSides(x.On, left, right, toLeft, toRight)
	}
	x.Left, x.Right = c.push(x.Left, toLeft), c.push(x.Right, toRight)
	return filter(x, stay)
}

func namesMark(e expr.Expr, mark plan.ColID) bool {
	found := false
	expr.Columns(e, func(c *expr.ColumnRef) { found = found || c.ID == mark })
	return found
}

// transfer copies `column = constant` conditions over the join's equalities to
// the other side: `a.x = b.x AND a.x = 1` restricts b as well.
func transfer(x *plan.NestedLoop, toLeft, toRight []expr.Expr) (l, r []expr.Expr) {
	l, r = toLeft, toRight
	for _, e := range x.On {
		eq, ok := asEquality(e)
		if !ok || eq.left.Type() != eq.right.Type() {
			continue
		}
		a, aok := eq.left.(*expr.ColumnRef)
		b, bok := eq.right.(*expr.ColumnRef)
		if !aok || !bok {
			continue
		}
		for _, f := range toLeft {
			r = appendMoved(r, f, a, b)
			r = appendMoved(r, f, b, a)
		}
		for _, f := range toRight {
			l = appendMoved(l, f, a, b)
			l = appendMoved(l, f, b, a)
		}
	}
	return l, r
}

// appendMoved appends f, if it compares column from with a value, for column to.
func appendMoved(dst []expr.Expr, f expr.Expr, from, to *expr.ColumnRef) []expr.Expr {
	o, ok := f.(*expr.OpExpr)
	if !ok || len(o.Args) != 2 || o.Name != "=" {
		return dst
	}
	for i, a := range o.Args {
		col, ok := a.(*expr.ColumnRef)
		if !ok || col.ID != from.ID || hasColumns(o.Args[1-i]) {
			continue
		}
		n := *o
		n.Args = append([]expr.Expr(nil), o.Args...)
		n.Args[i] = to
		for _, d := range dst {
			if sameExpr(d, &n) {
				return dst
			}
		}
		return append(dst, &n)
	}
	return dst
}

func hasColumns(e expr.Expr) bool {
	found := false
	expr.Columns(e, func(*expr.ColumnRef) { found = true })
	return found
}

// simplifyOuter turns outer joins into narrower ones where a condition above
// rejects the rows that they add.
func simplifyOuter(x *plan.NestedLoop, conds []expr.Expr, left, right plan.ColSet) {
	rejects := func(side plan.ColSet) bool {
		for _, e := range conds {
			if rejectsNull(e, func(id expr.ColID) bool { return side.Has(id) }) {
				return true
			}
		}
		return false
	}
	switch x.Type {
	case plan.LeftJoin:
		if rejects(right) {
			x.Type = plan.InnerJoin
		}
	case plan.FullJoin:
		noLeft, noRight := rejects(left), rejects(right)
		switch {
		case noLeft && noRight:
			x.Type = plan.InnerJoin
		case noLeft: // rows without a left part are rejected
			x.Type = plan.LeftJoin
		case noRight:
			x.Type = plan.LeftJoin
			x.Left, x.Right = x.Right, x.Left
			l, r := plan.OutputOf(x.Left), plan.OutputOf(x.Right)
			clear(left)
			clear(right)
			for id := range l {
				left[id] = struct{}{}
			}
			for id := range r {
				right[id] = struct{}{}
			}
		}
	}
}

// pushApply moves conditions on the left side's columns below an Apply.
func (c *optimizer) pushApply(x *plan.Apply, conds []expr.Expr) plan.Node {
	left := plan.OutputOf(x.Left)
	all := plan.OutputOf(x)
	var toLeft, on, stay []expr.Expr
	for _, e := range conds {
		onlyLeft := true
		expr.Columns(e, func(col *expr.ColumnRef) { onlyLeft = onlyLeft && (left.Has(col.ID) || !all.Has(col.ID)) })
		switch {
		case isVolatile(e):
			stay = append(stay, e)
		case onlyLeft:
			toLeft = append(toLeft, e)
		case x.Type == plan.InnerJoin:
			on = append(on, e)
		default:
			stay = append(stay, e)
		}
	}
	x.On = append(x.On, on...)
	x.Left, x.Right = c.push(x.Left, toLeft), c.push(x.Right, nil)
	return filter(x, stay)
}

// pushAggregate moves conditions on grouping columns below an aggregation.
func (c *optimizer) pushAggregate(x *plan.Aggregate, conds []expr.Expr) plan.Node {
	group := make(plan.ColSet)
	group.Add(x.GroupBy...)
	out := plan.OutputOf(x)
	var below, stay []expr.Expr
	for _, e := range conds {
		ok := len(x.GroupBy) > 0 && !isVolatile(e)
		touches := false
		expr.Columns(e, func(col *expr.ColumnRef) {
			ok = ok && (group.Has(col.ID) || !out.Has(col.ID))
			touches = touches || group.Has(col.ID)
		})
		if ok && touches {
			below = append(below, e)
		} else {
			stay = append(stay, e)
		}
	}
	x.Input = c.push(x.Input, below)
	return filter(x, stay)
}

func (c *optimizer) pushDistinct(x *plan.Distinct, conds []expr.Expr) plan.Node {
	on := make(plan.ColSet)
	on.Add(x.On...)
	var below, stay []expr.Expr
	for _, e := range conds {
		if on.Covers(e) && !isVolatile(e) {
			below = append(below, e)
		} else {
			stay = append(stay, e)
		}
	}
	x.Input = c.push(x.Input, below)
	return filter(x, stay)
}

// pushSetOp copies conditions into both branches.
func (c *optimizer) pushSetOp(x *plan.SetOp, conds []expr.Expr) plan.Node {
	var stay, left, right []expr.Expr
	for _, e := range conds {
		if isVolatile(e) || expr.HasSubquery(e) {
			stay = append(stay, e)
			continue
		}
		left = append(left, throughSetOp(x, e, x.LeftCols))
		right = append(right, throughSetOp(x, e, x.RightCols))
	}
	x.Left, x.Right = c.push(x.Left, left), c.push(x.Right, right)
	return filter(x, stay)
}

func throughSetOp(x *plan.SetOp, e expr.Expr, cols []plan.ColID) expr.Expr {
	return expr.MapColumns(e, func(col *expr.ColumnRef) expr.Expr {
		for i, o := range x.Out {
			if o.ID == col.ID {
				return ref(plan.Column{ID: cols[i], Name: o.Name, Type: o.Type})
			}
		}
		return col
	})
}

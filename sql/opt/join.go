package opt

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// chooseJoins turns loops into hash and lookup joins.
func (c *optimizer) chooseJoins(n plan.Node) plan.Node {
	c.estimate(n)
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		x, ok := n.(*plan.NestedLoop)
		if !ok {
			return n
		}
		j := c.chooseJoin(x)
		if j != n {
			c.est(j)
		}
		return j
	})
}

// split takes the conditions of a join apart: equalities of the left side with
// the right one, and the rest.
func split(x *plan.NestedLoop, conds []expr.Expr) (eqs []equality, rest []expr.Expr) {
	left, right := plan.OutputOf(x.Left), plan.OutputOf(x.Right)
	for _, e := range conds {
		q, ok := asEquality(e)
		if ok && !isVolatile(e) {
			switch {
			case right.Touches(q.right) && !left.Touches(q.right) && left.Touches(q.left) && !right.Touches(q.left):
				eqs = append(eqs, q)
				continue
			case right.Touches(q.left) && !left.Touches(q.left) && left.Touches(q.right) && !right.Touches(q.right):
				q.left, q.right = q.right, q.left
				eqs = append(eqs, q)
				continue
			}
		}
		rest = append(rest, e)
	}
	return eqs, rest
}

func (c *optimizer) chooseJoin(x *plan.NestedLoop) plan.Node {
	if x.Type == plan.MarkJoin {
		return c.markJoin(x)
	}
	eqs, rest := split(x, x.On)
	if len(eqs) == 0 {
		return c.materialFirst(x)
	}
	hash := c.hashJoin(x, eqs, rest)
	if lookup := c.lookupJoin(x, eqs, rest); lookup != nil {
		h, l := c.est(hash), c.est(lookup)
		if l.TotalCost < h.TotalCost {
			return lookup
		}
	}
	if x.Type == plan.InnerJoin {
		// The other way round the lookup may be into the left side.
		y := *x
		y.Left, y.Right = x.Right, x.Left
		flipped := make([]equality, len(eqs))
		for i, q := range eqs {
			flipped[i] = equality{q.right, q.left, q.op}
		}
		if lookup := c.lookupJoin(&y, flipped, rest); lookup != nil {
			h, l := c.est(hash), c.est(lookup)
			if l.TotalCost < h.TotalCost {
				return lookup
			}
		}
	}
	return hash
}

// materialFirst puts the smaller side of a plain loop on the right, where it is
// kept.
func (c *optimizer) materialFirst(x *plan.NestedLoop) plan.Node {
	if x.Type == plan.InnerJoin && x.Left.Common().Est.Rows < x.Right.Common().Est.Rows {
		x.Left, x.Right = x.Right, x.Left
	}
	return x
}

func (c *optimizer) hashJoin(x *plan.NestedLoop, eqs []equality, rest []expr.Expr) plan.Node {
	h := &plan.HashJoin{Base: plan.Base{Out: x.Out}, Type: x.Type, Left: x.Left, Right: x.Right, Residual: rest}
	swap := false
	l, r := x.Left.Common().Est.Rows, x.Right.Common().Est.Rows
	switch x.Type {
	case plan.InnerJoin:
		swap = l < r
	case plan.LeftJoin:
		// A right join builds the side whose rows are all kept.
		if l*4 < r {
			swap, h.Type = true, plan.RightJoin
		}
	}
	for _, q := range eqs {
		a, b := q.left, q.right
		if swap {
			a, b = b, a
		}
		h.LeftKeys, h.RightKeys = append(h.LeftKeys, a), append(h.RightKeys, b)
	}
	if swap {
		h.Left, h.Right = x.Right, x.Left
	}
	return h
}

// markJoin makes IN (subquery) a hash join where its comparison is one
// equality; several columns need three-valued logic over all of them.
func (c *optimizer) markJoin(x *plan.NestedLoop) plan.Node {
	if x.MarkCond == nil {
		return c.existsMark(x)
	}
	if len(x.On) > 0 {
		return x
	}
	eqs, rest := split(x, expr.Conjuncts(nil, x.MarkCond))
	if len(eqs) != 1 || len(rest) > 0 {
		return x
	}
	return &plan.HashJoin{Base: plan.Base{Out: x.Out}, Type: plan.MarkJoin, Left: x.Left, Right: x.Right,
		LeftKeys: []plan.Scalar{eqs[0].left}, RightKeys: []plan.Scalar{eqs[0].right}, Mark: x.Mark, NullAware: true}
}

// existsMark makes EXISTS as a value a hash join: it is true where IN would be,
// and false where IN would be NULL.
func (c *optimizer) existsMark(x *plan.NestedLoop) plan.Node {
	eqs, rest := split(x, x.On)
	if len(eqs) == 0 {
		return x
	}
	in := plan.Column{ID: c.newCol(), Name: "exists", Type: types.BoolType}
	h := &plan.HashJoin{Type: plan.MarkJoin, Left: x.Left, Right: x.Right, Residual: rest, Mark: in.ID}
	for _, q := range eqs {
		h.LeftKeys, h.RightKeys = append(h.LeftKeys, q.left), append(h.RightKeys, q.right)
	}
	h.Out = append(append([]plan.Column(nil), x.Left.Columns()...), in)
	top := &plan.Project{Input: h}
	for _, o := range x.Left.Columns() {
		top.Out, top.Exprs = append(top.Out, o), append(top.Exprs, ref(o))
	}
	top.Out = append(top.Out, plan.Column{ID: x.Mark, Name: "exists", Type: types.BoolType})
	top.Exprs = append(top.Exprs, &expr.BooleanTest{Arg: ref(in), Test: expr.IsTrue})
	return top
}

// lookupJoin reads an index of the right side's table for each left row, if the
// right side is a plain read of a table and the equalities fit an index.
func (c *optimizer) lookupJoin(x *plan.NestedLoop, eqs []equality, rest []expr.Expr) plan.Node {
	switch x.Type {
	case plan.InnerJoin, plan.LeftJoin, plan.SemiJoin, plan.AntiJoin:
	default:
		return nil
	}
	s, ok := lookupTarget(x.Right)
	if !ok {
		return nil
	}
	byCol := make(map[catalog.ColumnID]equality)
	for _, q := range eqs {
		r, ok := stripRelabel(q.right).(*expr.ColumnRef)
		if !ok {
			continue
		}
		for i, o := range s.Out {
			if o.ID == r.ID && keyFits(s.Table, s.Read[i], q.left.Type().OID) {
				byCol[s.Read[i]] = q
			}
		}
	}
	ix, n := bestLookup(c, s, byCol)
	if ix == nil {
		return nil
	}
	j := &plan.LookupJoin{Base: plan.Base{Out: x.Out}, Type: x.Type, Input: x.Left, Table: s.Table, Index: ix, Alias: s.Alias,
		Read: s.Read, ReadOut: s.Out, Fetch: !covers(s, ix), Lock: s.Lock}
	used := make(map[*expr.OpExpr]bool)
	for _, k := range ix.Columns[:n] {
		q := byCol[k.Column]
		j.Keys = append(j.Keys, q.left)
		used[q.op] = true
	}
	j.Unique = n == len(ix.Columns) && (ix.Unique || ix.OID == s.Table.Primary)
	for _, q := range eqs {
		if !used[q.op] {
			j.Residual = append(j.Residual, q.op)
		}
	}
	j.Residual = append(append(j.Residual, rest...), s.Filter...)
	return j
}

// lookupTarget returns the read of a table that a side of a join is, spans
// turned back into conditions being out of reach.
func lookupTarget(n plan.Node) (*plan.Scan, bool) {
	s, ok := n.(*plan.Scan)
	if !ok || len(s.Spans) > 0 || s.Partial != nil || s.Limit != nil {
		return nil, false
	}
	return s, true
}

// bestLookup chooses the index whose first columns are covered by the most
// equalities, whole unique keys first.
func bestLookup(c *optimizer, s *plan.Scan, byCol map[catalog.ColumnID]equality) (*catalog.Index, int) {
	var best *catalog.Index
	bestN, bestScore := 0, 0
	for i := range s.Table.Indexes {
		ix := &s.Table.Indexes[i]
		if !ix.State.Readable() || ix.Predicate != nil {
			continue
		}
		n := 0
		for n < len(ix.Columns) {
			if _, ok := byCol[ix.Columns[n].Column]; !ok {
				break
			}
			n++
		}
		if n == 0 {
			continue
		}
		score := 2 * n
		if n == len(ix.Columns) && (ix.Unique || ix.OID == s.Table.Primary) {
			score += 100
		}
		if covers(s, ix) {
			score++
		}
		if score > bestScore {
			best, bestN, bestScore = ix, n, score
		}
	}
	return best, bestN
}

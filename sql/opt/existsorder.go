package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// existsJoin is a semi or an anti join above a tree of inner joins. It only drops
// rows of the tree, so it may be carried out before the joins, for the relation
// that its conditions name.
type existsJoin struct {
	typ   plan.JoinType
	right plan.Node
	on    []expr.Expr
	rel   int // that it may be applied to first; -1: to none
}

func isExists(j *plan.NestedLoop) bool {
	return (j.Type == plan.SemiJoin || j.Type == plan.AntiJoin) && j.MarkCond == nil && j.Mark == 0
}

// apply makes the join over n.
func (x *existsJoin) apply(n plan.Node) *plan.NestedLoop {
	return &plan.NestedLoop{Base: plan.Base{Out: n.Columns()}, Type: x.typ, Left: n, Right: x.right, On: x.on}
}

// atTop puts all semi and anti joins above the inner ones.
func (g *joinGraph) atTop(n plan.Node) plan.Node {
	for i := range g.exists {
		n = g.exists[i].apply(n)
	}
	return n
}

// placeExists looks at two places for each semi and anti join: above the inner
// joins, and right above the relation that it restricts. It returns nil if the
// former looks cheaper.
func (g *joinGraph) placeExists() plan.Node {
	any := false
	for i := range g.exists {
		x := &g.exists[i]
		x.rel = g.relationOf(x)
		any = any || x.rel >= 0
	}
	if !any || len(g.rels) < 2 {
		return nil
	}
	p := g.search()
	cost := p.cost
	rows := p.rows
	for i := range g.exists {
		var k float64
		k, rows = g.existsCost(&g.exists[i], rows)
		cost += k
	}
	low := &joinGraph{c: g.c, outs: g.outs, conds: g.conds, known: make(classes)}
	low.rels = append(low.rels, g.rels...)
	low.rows = append(low.rows, g.rows...)
	low.costs = append(low.costs, g.costs...)
	for i := range g.exists {
		x := &g.exists[i]
		if x.rel < 0 {
			low.exists = append(low.exists, *x)
			continue
		}
		k, rows := g.existsCost(x, low.rows[x.rel])
		low.costs[x.rel] += k
		low.rows[x.rel] = math.Max(rows, 1)
		low.rels[x.rel] = x.apply(low.rels[x.rel])
	}
	q := low.search()
	lowCost, rows := q.cost, q.rows
	for i := range low.exists {
		var k float64
		k, rows = g.existsCost(&low.exists[i], rows)
		lowCost += k
	}
	// Estimates of joins are worse than those of the relations below them.
	if lowCost > 1.1*cost {
		return nil
	}
	return low.atTop(low.build(q))
}

// relationOf returns the one relation that a semi or anti join restricts, -1 if
// there are several or moving it could raise an error for rows that are not wanted.
func (g *joinGraph) relationOf(x *existsJoin) int {
	rel := -1
	for _, e := range x.on {
		if isVolatile(e) || mayRaise(e) {
			return -1
		}
		for r, out := range g.outs {
			if out.Touches(e) {
				if rel >= 0 && rel != r {
					return -1
				}
				rel = r
			}
		}
	}
	return rel
}

// existsCost estimates what a semi or anti join of so many rows costs and leaves.
func (g *joinGraph) existsCost(x *existsJoin, rows float64) (cost, left float64) {
	g.c.estimate(x.right)
	r := x.right.Common().Est
	// The left side stands for any tree that has the relations' columns.
	var out []plan.Column
	for _, n := range g.rels {
		out = append(out, n.Columns()...)
	}
	j := x.apply(&plan.Values{Base: plan.Base{Out: out}})
	eqs, rest := split(j, x.on)
	left = g.c.equiRows(x.typ, eqs, g.c.selectivity(rest), rows, r.Rows)
	if len(eqs) == 0 {
		return r.TotalCost + rows*r.Rows*costCompare, left
	}
	cost = r.TotalCost + r.Rows*costHash*2 + rows*costHash
	if l, ok := g.c.lookupJoin(j, eqs, rest).(*plan.LookupJoin); ok {
		each := costSeek + g.c.lookupFinds(l)*costRow
		if l.Fetch {
			each += g.c.lookupFinds(l) * costFetch
		}
		cost = math.Min(cost, rows*each)
	}
	return cost, left
}

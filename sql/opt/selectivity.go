package opt

import (
	"math"
	"slices"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// together estimates the share of rows that several equalities keep. Columns of
// one key depend on each other as a rule, so that the product of the shares would
// be too small: the narrowest counts in full, the others a little.
func together(sels []float64) float64 {
	if len(sels) == 0 {
		return 1
	}
	low := slices.Min(sels)
	out, seen := low, false
	for _, s := range sels {
		if s == low && !seen {
			seen = true
			continue
		}
		out *= math.Pow(s, 0.25)
	}
	return out
}

// equiRows estimates the rows of a join by equalities.
func (c *optimizer) equiRows(t plan.JoinType, eqs []equality, rest []expr.Expr, l, r float64) float64 {
	sel := c.selectivity(rest)
	if len(eqs) == 0 {
		return joinRows(t, l, r, sel)
	}
	var sels []float64
	for _, q := range eqs {
		sels = append(sels, 1/math.Max(c.distinct(q.left, l), c.distinct(q.right, r)))
	}
	sel *= together(sels)
	if t == plan.SemiJoin && len(rest) == 0 {
		return math.Min(l, l*r*sel)
	}
	return joinRows(t, l, r, sel)
}

// sampleMin is the size of a histogram from which its bounds count as a sample of
// the column's values.
const sampleMin = 20

// sampled estimates the share of rows for which a condition on one column holds by
// evaluating it for what the statistics know of the column's values: the common
// ones, and the histogram's bounds as a sample of the rest (as PostgreSQL does for
// patterns). what is the estimate where there is nothing to go by.
func (c *optimizer) sampled(cond *expr.OpExpr, col expr.Expr, cs *stats.Column, what float64) float64 {
	r, ok := stripRelabel(col).(*expr.ColumnRef)
	if !ok || cs == nil || len(cs.Common)+len(cs.Bounds) < sampleMin || volatility(cond) != 'i' {
		return what
	}
	only := true
	e := expr.MapColumns(cond, func(x *expr.ColumnRef) expr.Expr {
		only = only && x.ID == r.ID
		y := *x
		y.ID = 0
		return &y
	})
	fixed := true
	expr.Walk(e, func(x expr.Expr) bool {
		switch x.(type) {
		case *expr.Param, *expr.SubqueryRef:
			fixed = false
		}
		return fixed
	})
	if !only || !fixed {
		return what
	}
	p, err := expr.Compile([]expr.Expr{e}, expr.Options{})
	if err != nil {
		return what
	}
	b := &vec.Batch{Cols: []*vec.Vector{vec.New(r.Typ.Repr(), len(cs.Common)+len(cs.Bounds))}, N: len(cs.Common) + len(cs.Bounds)}
	common := 0.0
	for _, m := range cs.Common {
		b.Cols[0].AppendDatum(m.Value)
		common += m.Frac
	}
	for _, v := range cs.Bounds {
		b.Cols[0].AppendDatum(v)
	}
	out, err := p.NewInstance().Eval(&expr.Ctx{Settings: types.DefaultSettings()}, b)
	if err != nil {
		return what
	}
	hit := func(i int) bool { return !out[0].IsNull(i) && out[0].Int(i) != 0 }
	sel := 0.0
	for i, m := range cs.Common {
		if hit(i) {
			sel += m.Frac
		}
	}
	rest := math.Max(0, 1-common-cs.NullFrac)
	if n := len(cs.Bounds); n > 0 {
		hits := 0.0
		for i := range n {
			if hit(len(cs.Common) + i) {
				hits++
			}
		}
		// A share below one bound's, or above all but one's, is not seen.
		share := math.Min(math.Max(hits/float64(n), math.Min(what, 0.5/float64(n))), math.Max(what, 1-0.5/float64(n)))
		sel += rest * share
	}
	return math.Min(math.Max(sel, 0), 1)
}

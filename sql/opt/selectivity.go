package opt

import (
	"math"
	"slices"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
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

// acrossSel estimates the share of pairs for which conditions across a join hold.
// What narrowSides took from an OR for one side has been counted there: the OR must
// not be counted in full once more (orclauses.c of PostgreSQL does the same).
func (c *optimizer) acrossSel(conds []expr.Expr, sides ...plan.ColSet) float64 {
	all := 1.0
	for _, e := range conds {
		sel := c.sel(e)
		if or, ok := e.(*expr.BoolExpr); ok && or.Op == expr.Or {
			for i, side := range sides {
				if !side.Touches(e) {
					continue
				}
				others := make(plan.ColSet)
				for j, o := range sides {
					if j != i {
						for id := range o {
							others[id] = struct{}{}
						}
					}
				}
				if k := implied(e, side, others); k != nil && others.Touches(e) {
					sel /= math.Max(c.sel(k), 1e-6)
				}
			}
		}
		all *= math.Min(sel, 1)
	}
	return all
}

// halfRange is a condition that bounds a column on one side by a constant.
type halfRange struct {
	col   plan.ColID
	upper bool
	sel   float64
}

func (c *optimizer) halfRange(e expr.Expr) (halfRange, bool) {
	o, ok := e.(*expr.OpExpr)
	if !ok || len(o.Args) != 2 {
		return halfRange{}, false
	}
	strat := pgfacts.StrategyOf(o.Op)
	r, ok := stripRelabel(o.Args[0]).(*expr.ColumnRef)
	k, kok := o.Args[1].(*expr.Const)
	if !ok || !kok || k.Value.IsNull() || strat == 0 || strat == 3 {
		return halfRange{}, false
	}
	if cs, _, _ := c.column(r); cs == nil {
		return halfRange{}, false
	}
	return halfRange{r.ID, strat < 3, c.sel(e)}, true
}

// bothEnds estimates the share of rows between bounds: those of one column on both
// sides depend on each other (clauselist_selectivity of PostgreSQL).
func bothEnds(hs []halfRange) float64 {
	all := 1.0
	for i, h := range hs {
		sel := h.sel
		for j, o := range hs {
			if o.col != h.col || o.upper == h.upper {
				continue
			}
			if sel = 1; j > i { // else it was counted with the other
				sel = math.Max(h.sel+o.sel-1, stats.DefaultInterval/10)
			}
			break
		}
		all *= sel
	}
	return all
}

// equiRows estimates the rows of a join by equalities and other conditions, which
// keep a share of the pairs.
func (c *optimizer) equiRows(t plan.JoinType, eqs []equality, sel, l, r float64) float64 {
	if len(eqs) == 0 {
		return joinRows(t, l, r, sel)
	}
	var sels []float64
	for _, q := range eqs {
		sels = append(sels, 1/math.Max(c.distinct(q.left, l), c.distinct(q.right, r)))
	}
	if t == plan.SemiJoin && sel == 1 {
		return math.Min(l, l*r*together(sels))
	}
	return joinRows(t, l, r, sel*together(sels))
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
	fixed := true
	expr.Walk(cond, func(x expr.Expr) bool {
		switch x := x.(type) {
		case *expr.Param, *expr.SubqueryRef:
			fixed = false
		case *expr.ColumnRef:
			fixed = fixed && x.ID == r.ID
		}
		return fixed
	})
	if !fixed {
		return what
	}
	// The column becomes a parameter, whose values are tried one after the other.
	p, err := expr.Compile([]expr.Expr{expr.MapColumns(cond, func(x *expr.ColumnRef) expr.Expr {
		return &expr.Param{Kind: expr.ParamExternal, Typ: x.Typ, Location: x.Location}
	})}, expr.Options{})
	if err != nil {
		return what
	}
	in, ctx := p.NewInstance(), &expr.Ctx{Settings: types.DefaultSettings(), Params: make([]types.Datum, 1)}
	hits := make([]bool, 0, len(cs.Common)+len(cs.Bounds))
	try := func(v types.Datum) bool {
		ctx.Params[0] = v
		d, err := in.EvalOne(ctx)
		hits = append(hits, err == nil && !d.IsNull() && d.Bool())
		return err == nil
	}
	common := 0.0
	for _, m := range cs.Common {
		if !try(m.Value) {
			return what
		}
		common += m.Frac
	}
	for _, v := range cs.Bounds {
		if !try(v) {
			return what
		}
	}
	sel := 0.0
	for i, m := range cs.Common {
		if hits[i] {
			sel += m.Frac
		}
	}
	rest := math.Max(0, 1-common-cs.NullFrac)
	if n := len(cs.Bounds); n > 0 {
		found := 0.0
		for i := range n {
			if hits[len(cs.Common)+i] {
				found++
			}
		}
		// A share below one bound's, or above all but one's, is not seen.
		share := math.Min(math.Max(found/float64(n), math.Min(what, 0.5/float64(n))), math.Max(what, 1-0.5/float64(n)))
		sel += rest * share
	}
	return math.Min(math.Max(sel, 0), 1)
}

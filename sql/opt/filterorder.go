package opt

import (
	"slices"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// orderFilters puts the conditions of scans, of whose tables there are statistics,
// into the order in which they cost least: by the share of rows that each one drops
// for its price (the rank of Hellerstein and Stonebraker, SIGMOD 1993). What may
// raise an error stays behind all that was written before it.
func (c *optimizer) orderFilters(n plan.Node) {
	plan.Walk(n, func(n plan.Node) {
		if s, ok := n.(*plan.Scan); ok && len(s.Filter) > 1 && c.stats(s.Table) != nil {
			c.learn(s)
			c.orderConds(s.Filter)
		}
	})
}

// orderConds sorts each stretch of conditions that cannot raise an error.
func (c *optimizer) orderConds(conds []plan.Scalar) {
	type ranked struct {
		e    plan.Scalar
		rank float64
	}
	for from := 0; from < len(conds); {
		to := from
		var run []ranked
		for to < len(conds) && !mayRaise(conds[to]) {
			run = append(run, ranked{conds[to], (c.sel(conds[to]) - 1) / condCost(conds[to])})
			to++
		}
		slices.SortStableFunc(run, func(a, b ranked) int {
			switch {
			case a.rank < b.rank:
				return -1
			case a.rank > b.rank:
				return 1
			}
			return 0
		})
		// Conditions on the first one's column come with it: it is decoded already.
		if len(run) > 0 {
			first := columnOf(run[0].e)
			slices.SortStableFunc(run, func(a, b ranked) int {
				return boolRank(first == 0 || columnOf(a.e) != first) - boolRank(first == 0 || columnOf(b.e) != first)
			})
		}
		for i, r := range run {
			conds[from+i] = r.e
		}
		from = max(to, from+1)
	}
}

func boolRank(v bool) int {
	if v {
		return 1
	}
	return 0
}

// columnOf returns the one column that a condition compares, 0 if it is another
// kind of condition.
func columnOf(e expr.Expr) plan.ColID {
	o, ok := e.(*expr.OpExpr)
	if !ok || len(o.Args) != 2 || hasColumns(o.Args[1]) {
		return 0
	}
	if r, ok := o.Args[0].(*expr.ColumnRef); ok {
		return r.ID
	}
	return 0
}

// condCost guesses what a condition costs for a row, decoding included, in
// comparisons of integers.
func condCost(e expr.Expr) float64 {
	cost := 0.0
	expr.Walk(e, func(n expr.Expr) bool {
		switch n := n.(type) {
		case *expr.ColumnRef:
			if n.Typ.Repr() == types.Int64 || n.Typ.Repr() == types.Float64 {
				cost++
			} else {
				cost += 3
			}
		case *expr.OpExpr:
			if cost++; n.Name == "~~" || n.Name == "!~~" || n.Name == "~~*" || n.Name == "!~~*" {
				cost += 8
			}
		case *expr.ScalarArrayOp:
			cost += 6
		case *expr.Const, *expr.Param, *expr.Relabel:
		default:
			cost += 2
		}
		return true
	})
	return max(cost, 1)
}

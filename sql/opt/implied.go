package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// implied returns what a condition across a join says of one side alone, nil if
// nothing: of `a.x = 1 AND b.y = 2 OR a.x = 3 AND b.z = 4` that is `a.x = 1 OR
// a.x = 3` for a. Each arm must say something of the side. The condition itself
// stays where it is.
func implied(e expr.Expr, side, other plan.ColSet) expr.Expr {
	or, ok := e.(*expr.BoolExpr)
	if !ok || or.Op != expr.Or {
		return nil
	}
	arms := make([]expr.Expr, len(or.Args))
	for i, arm := range or.Args {
		var mine []expr.Expr
		for _, k := range expr.Conjuncts(nil, arm) {
			switch {
			case isVolatile(k) || mayRaise(k):
			case side.Touches(k) && !other.Touches(k):
				mine = append(mine, k)
			case side.Touches(k):
				if sub := implied(k, side, other); sub != nil {
					mine = append(mine, sub)
				}
			}
		}
		if len(mine) == 0 {
			return nil
		}
		arms[i] = expr.MakeAnd(mine)
	}
	return &expr.BoolExpr{Op: expr.Or, Args: arms, Location: or.Location}
}

// narrowSides appends what conditions across an inner join say of its sides.
func narrowSides(conds []expr.Expr, left, right plan.ColSet, toLeft, toRight []expr.Expr) (l, r []expr.Expr) {
	for _, e := range conds {
		if isVolatile(e) {
			continue
		}
		if k := implied(e, left, right); k != nil {
			toLeft = append(toLeft, k)
		}
		if k := implied(e, right, left); k != nil {
			toRight = append(toRight, k)
		}
	}
	return toLeft, toRight
}

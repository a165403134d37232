package expr

import "github.com/pamirdb/pamir/sql/types"

// Fold replaces the immutable parts of e that need no input by their values.
// With a ctx, stable parts and parameters are replaced as well, as an estimate
// or just before execution. What raises an error is left as it is.
func Fold(e Expr, ctx *Ctx) Expr {
	return Rewrite(e, func(n Expr) Expr { return foldNode(n, ctx) })
}

func foldNode(e Expr, ctx *Ctx) Expr {
	switch n := e.(type) {
	case *Const, *ColumnRef, *CaseTest, *AggRef, *WindowRef, *SubqueryRef, *SetToDefault:
		return e
	case *Param:
		if ctx == nil {
			return e
		}
	case *FuncExpr:
		if n.ReturnSet {
			return e
		}
	case *BoolExpr:
		return foldBool(n)
	}
	limit := Immutable
	if ctx != nil {
		limit = Stable
	}
	if nodeVolatility(e) > limit {
		return e
	}
	constant := true
	children(e, func(c Expr) { constant = constant && IsConst(c) })
	if !constant {
		return e
	}
	if ctx == nil {
		ctx = &Ctx{}
	}
	p, err := Compile([]Expr{e}, Options{})
	if err != nil {
		return e
	}
	d, err := p.NewInstance().EvalOne(ctx)
	if err != nil {
		return e
	}
	return &Const{Value: d, Typ: e.Type(), Location: nodeLocation(e)}
}

// foldBool drops the operands that decide nothing.
func foldBool(n *BoolExpr) Expr {
	if n.Op == Not {
		if c, ok := n.Args[0].(*Const); ok {
			if c.Value.IsNull() {
				return c
			}
			return boolConst(!c.Value.Bool())
		}
		return n
	}
	var rest []Expr
	for _, a := range n.Args {
		c, ok := a.(*Const)
		switch {
		case !ok || c.Value.IsNull():
			rest = append(rest, a)
		case c.Value.Bool() == (n.Op == Or):
			if len(rest) == 0 {
				return boolConst(n.Op == Or)
			}
			// Operands before it may raise an error that must stay.
			rest = append(rest, a)
		}
	}
	switch {
	case len(rest) == 0:
		return boolConst(n.Op == And)
	case len(rest) == 1:
		return rest[0]
	case len(rest) == len(n.Args):
		return n
	}
	return &BoolExpr{Op: n.Op, Args: rest, Location: n.Location}
}

func boolConst(v bool) Expr { return &Const{Value: types.NewBool(v), Typ: types.BoolType} }

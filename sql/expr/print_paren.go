package expr

// simple reports whether e can stand as an operand of parent without
// parentheses: by its own syntax, or because parent binds less tightly.
func simple(e, parent Expr) bool {
	switch n := e.(type) {
	case *OpExpr:
		if p, ok := parent.(*OpExpr); ok {
			return arithmeticBinds(n, p)
		}
		return enclosed(parent, true)
	case *ScalarArrayOp, *NullTest, *BooleanTest, *DistinctExpr, *SubqueryRef, *RowCompare:
		return enclosed(parent, true)
	case *BoolExpr:
		if p, ok := parent.(*BoolExpr); ok {
			return p.Op == Or && n.Op != Not || p.Op != Not && n.Op != Or
		}
		return enclosed(parent, false)
	case *Relabel:
		return n.Form != ImplicitCast || simple(n.Arg, e)
	case *CoerceViaIO:
		return n.Form != ImplicitCast || simple(n.Arg, e)
	case *ArrayCoerce:
		return n.Form != ImplicitCast || simple(n.Arg, e)
	}
	return true
}

// enclosed reports whether parent puts separators of its own around operands.
func enclosed(parent Expr, inBool bool) bool {
	switch n := parent.(type) {
	case *FuncExpr:
		return n.Form == CallForm
	case *BoolExpr:
		return inBool
	case *Subscript, *ArrayExpr, *RowExpr, *Coalesce, *MinMax, *NullIf, *AggRef, *WindowRef, *CaseExpr:
		return true
	}
	return false
}

var arithmeticLevel = map[string]int{"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}

// arithmeticBinds reports whether a sum or product may stand bare inside
// another: products inside sums, and on the left within one level.
func arithmeticBinds(n, parent *OpExpr) bool {
	a, b := arithmeticLevel[n.Name], arithmeticLevel[parent.Name]
	if a == 0 || b == 0 || len(n.Args) != 2 || len(parent.Args) != 2 {
		return false
	}
	return a > b || a == b && parent.Args[0] == Expr(n)
}

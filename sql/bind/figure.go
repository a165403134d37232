package bind

import "github.com/pamirdb/pamir/sql/ast"

// figureName chooses the name of a result column that has no alias.
func figureName(n ast.Node) string {
	if name, strength := figure(n); strength > 0 {
		return name
	}
	return "?column?"
}

// figure returns a name and how much it is worth: 2 for one that was written, 1
// for that of a type or construct.
func figure(n ast.Node) (string, int) {
	switch n := n.(type) {
	case *ast.ColumnRef:
		names := stringsOf(n.Fields)
		if len(names) > 0 {
			return names[len(names)-1], 2
		}
	case *ast.A_Indirection:
		for i := len(n.Indirection) - 1; i >= 0; i-- {
			if s, ok := n.Indirection[i].(*ast.String); ok {
				return s.Sval, 2
			}
		}
		return figure(n.Arg)
	case *ast.FuncCall:
		names := stringsOf(n.Funcname)
		if len(names) > 0 {
			return names[len(names)-1], 2
		}
	case *ast.A_Expr:
		if n.Kind == ast.AEXPR_NULLIF {
			return "nullif", 2
		}
	case *ast.TypeCast:
		if name, s := figure(n.Arg); s > 1 {
			return name, s
		}
		if n.TypeName != nil {
			names := stringsOf(n.TypeName.Names)
			if len(names) > 0 {
				return names[len(names)-1], 1
			}
		}
	case *ast.CollateClause:
		return figure(n.Arg)
	case *ast.GroupingFunc:
		return "grouping", 2
	case *ast.SubLink:
		return figureSubLink(n)
	case *ast.CaseExpr:
		if n.Defresult != nil {
			if name, s := figure(n.Defresult); s > 1 {
				return name, s
			}
		}
		return "case", 1
	}
	return figureRare(n)
}

func figureRare(n ast.Node) (string, int) {
	switch n := n.(type) {
	case *ast.A_ArrayExpr:
		return "array", 2
	case *ast.RowExpr:
		return "row", 2
	case *ast.CoalesceExpr:
		return "coalesce", 2
	case *ast.MinMaxExpr:
		if n.Op == ast.IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *ast.SQLValueFunction:
		return valueFunctionName(n.Op), 2
	}
	return "", 0
}

func valueFunctionName(op ast.SQLValueFunctionOp) string {
	switch op {
	case ast.SVFOP_CURRENT_DATE:
		return "current_date"
	case ast.SVFOP_CURRENT_TIME, ast.SVFOP_CURRENT_TIME_N:
		return "current_time"
	case ast.SVFOP_CURRENT_TIMESTAMP, ast.SVFOP_CURRENT_TIMESTAMP_N:
		return "current_timestamp"
	case ast.SVFOP_LOCALTIME, ast.SVFOP_LOCALTIME_N:
		return "localtime"
	case ast.SVFOP_LOCALTIMESTAMP, ast.SVFOP_LOCALTIMESTAMP_N:
		return "localtimestamp"
	case ast.SVFOP_CURRENT_ROLE:
		return "current_role"
	case ast.SVFOP_CURRENT_USER:
		return "current_user"
	case ast.SVFOP_USER:
		return "user"
	case ast.SVFOP_SESSION_USER:
		return "session_user"
	case ast.SVFOP_CURRENT_CATALOG:
		return "current_catalog"
	case ast.SVFOP_CURRENT_SCHEMA:
		return "current_schema"
	}
	return "?column?"
}

func figureSubLink(n *ast.SubLink) (string, int) {
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		return "exists", 2
	case ast.ARRAY_SUBLINK:
		return "array", 2
	case ast.EXPR_SUBLINK:
		sel, ok := n.Subselect.(*ast.SelectStmt)
		if !ok {
			return "", 0
		}
		for sel.Larg != nil {
			sel = sel.Larg
		}
		if len(sel.TargetList) == 0 {
			return "", 0
		}
		if rt, ok := sel.TargetList[0].(*ast.ResTarget); ok {
			if rt.Name != "" {
				return rt.Name, 2
			}
			return figure(rt.Val)
		}
	}
	return "", 0
}

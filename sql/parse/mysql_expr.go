package parse

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/pamirdb/pamir/sql/ast"
)

// soleExpr returns the one expression of a SELECT that has nothing else.
func (l *mysqlLowerer) soleExpr(st sqlparser.Statement) ast.Node {
	if sel, ok := st.(*sqlparser.Select); ok && len(sel.SelectExprs) == 1 {
		if e, ok := sel.SelectExprs[0].(*sqlparser.AliasedExpr); ok {
			return l.expr(e.Expr)
		}
	}
	l.refuse("not an expression")
	return nil
}

// cond lowers an expression where a truth value is wanted: MySQL takes any
// number there.
func (l *mysqlLowerer) cond(e sqlparser.Expr) ast.Node {
	switch e := e.(type) {
	case *sqlparser.AndExpr:
		return boolExpr(ast.AND_EXPR, l.cond(e.Left), l.cond(e.Right))
	case *sqlparser.OrExpr:
		return boolExpr(ast.OR_EXPR, l.cond(e.Left), l.cond(e.Right))
	case *sqlparser.NotExpr:
		return boolExpr(ast.NOT_EXPR, l.cond(e.Expr))
	case *sqlparser.UnaryExpr:
		if e.Operator == sqlparser.BangStr {
			return boolExpr(ast.NOT_EXPR, l.cond(e.Expr))
		}
	case *sqlparser.ParenExpr:
		return l.cond(e.Expr)
	case sqlparser.BoolVal:
		return &ast.A_Const{Val: &ast.Boolean{Boolval: bool(e)}, Location: -1}
	case *sqlparser.SQLVal:
		if e.Type == sqlparser.IntVal {
			return &ast.A_Const{Val: &ast.Boolean{Boolval: string(e.Val) != "0"}, Location: -1}
		}
	}
	n := l.expr(e)
	if isTruth(e) {
		return n
	}
	return operator("<>", n, intConst("0"))
}

// isTruth tells whether an expression is of type boolean once lowered.
func isTruth(e sqlparser.Expr) bool {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return isTruth(e.Expr)
	case *sqlparser.UnaryExpr:
		return e.Operator == sqlparser.BangStr
	case *sqlparser.AndExpr, *sqlparser.OrExpr, *sqlparser.NotExpr, *sqlparser.ComparisonExpr, *sqlparser.RangeCond,
		*sqlparser.IsExpr, *sqlparser.ExistsExpr, *sqlparser.NullVal:
		return true
	}
	return false
}

// number lowers an expression where MySQL would count a truth value as 1 or 0.
func (l *mysqlLowerer) number(e sqlparser.Expr) ast.Node {
	n := l.expr(e)
	if _, isNull := e.(*sqlparser.NullVal); !isNull && isTruth(e) {
		return cast(n, "int4")
	}
	return n
}

func (l *mysqlLowerer) expr(e sqlparser.Expr) ast.Node {
	switch e := e.(type) {
	case *sqlparser.AndExpr, *sqlparser.OrExpr, *sqlparser.NotExpr:
		return l.cond(e)
	case *sqlparser.ParenExpr:
		return l.expr(e.Expr)
	case *sqlparser.ComparisonExpr:
		return l.comparison(e)
	case *sqlparser.RangeCond:
		kind, name := ast.AEXPR_BETWEEN, "BETWEEN"
		if e.Operator == sqlparser.NotBetweenStr {
			kind, name = ast.AEXPR_NOT_BETWEEN, "NOT BETWEEN"
		}
		bounds := &ast.List{Items: []ast.Node{l.expr(e.From), l.expr(e.To)}}
		return aExpr(kind, name, l.expr(e.Left), bounds)
	case *sqlparser.IsExpr:
		return l.is(e)
	case *sqlparser.ExistsExpr:
		return &ast.SubLink{SubLinkType: ast.EXISTS_SUBLINK, Subselect: l.query(e.Subquery.Select), Location: -1}
	case *sqlparser.Subquery:
		return &ast.SubLink{SubLinkType: ast.EXPR_SUBLINK, Subselect: l.query(e.Select), Location: -1}
	case *sqlparser.SQLVal:
		return l.value(e)
	case *sqlparser.NullVal:
		return &ast.A_Const{Isnull: true, Location: -1}
	case sqlparser.BoolVal:
		if e {
			return intConst("1")
		}
		return intConst("0")
	case *sqlparser.ColName:
		return column(e)
	case sqlparser.ValTuple:
		row := &ast.RowExpr{RowFormat: ast.COERCE_IMPLICIT_CAST, Location: -1, Args: l.list(sqlparser.Exprs(e))}
		return row
	case *sqlparser.BinaryExpr:
		return l.binary(e)
	case *sqlparser.UnaryExpr:
		return l.unary(e)
	case *sqlparser.CaseExpr:
		return l.caseExpr(e)
	case *sqlparser.Default:
		return &ast.SetToDefault{Location: -1}
	}
	return l.call(e)
}

func column(e *sqlparser.ColName) ast.Node {
	var parts []string
	if !e.Qualifier.Qualifier.IsEmpty() {
		parts = append(parts, lower(e.Qualifier.Qualifier.String()))
	}
	if !e.Qualifier.Name.IsEmpty() {
		parts = append(parts, lower(e.Qualifier.Name.String()))
	}
	return columnRef(append(parts, e.Name.Lowered())...)
}

func (l *mysqlLowerer) list(exprs sqlparser.Exprs) []ast.Node {
	out := make([]ast.Node, len(exprs))
	for i, e := range exprs {
		out[i] = l.expr(e)
	}
	return out
}

func (l *mysqlLowerer) comparison(e *sqlparser.ComparisonExpr) ast.Node {
	left := l.expr(e.Left)
	switch e.Operator {
	case sqlparser.InStr, sqlparser.NotInStr:
		return l.in(e, left)
	case sqlparser.NullSafeEqualStr:
		return aExpr(ast.AEXPR_NOT_DISTINCT, "=", left, l.expr(e.Right))
	case sqlparser.LikeStr, sqlparser.NotLikeStr:
		name := "~~"
		if e.Operator == sqlparser.NotLikeStr {
			name = "!~~"
		}
		right := l.expr(e.Right)
		if e.Escape != nil {
			right = call("pg_catalog.like_escape", right, l.expr(e.Escape))
		}
		return aExpr(ast.AEXPR_LIKE, name, left, right)
	case sqlparser.RegexpStr:
		return operator("~*", left, l.expr(e.Right))
	case sqlparser.NotRegexpStr:
		return operator("!~*", left, l.expr(e.Right))
	case sqlparser.NotEqualStr:
		return operator("<>", left, l.expr(e.Right))
	case sqlparser.JSONExtractOp:
		return operator("->", left, l.expr(e.Right))
	case sqlparser.JSONUnquoteExtractOp:
		return operator("->>", left, l.expr(e.Right))
	}
	return operator(e.Operator, left, l.expr(e.Right))
}

func (l *mysqlLowerer) in(e *sqlparser.ComparisonExpr, left ast.Node) ast.Node {
	negated := e.Operator == sqlparser.NotInStr
	switch right := e.Right.(type) {
	case sqlparser.ValTuple:
		name := "="
		if negated {
			name = "<>"
		}
		return aExpr(ast.AEXPR_IN, name, left, &ast.List{Items: l.list(sqlparser.Exprs(right))})
	case *sqlparser.Subquery:
		var out ast.Node = &ast.SubLink{SubLinkType: ast.ANY_SUBLINK, Testexpr: left, Subselect: l.query(right.Select), Location: -1}
		if negated {
			out = boolExpr(ast.NOT_EXPR, out)
		}
		return out
	}
	l.refuse("IN with %T is not supported", e.Right)
	return nil
}

func (l *mysqlLowerer) is(e *sqlparser.IsExpr) ast.Node {
	null := func(t ast.NullTestType) ast.Node {
		return &ast.NullTest{Arg: l.expr(e.Expr), Nulltesttype: t, Location: -1}
	}
	truth := func(t ast.BoolTestType) ast.Node {
		return &ast.BooleanTest{Arg: l.cond(e.Expr), Booltesttype: t, Location: -1}
	}
	switch e.Operator {
	case sqlparser.IsNullStr:
		return null(ast.IS_NULL)
	case sqlparser.IsNotNullStr:
		return null(ast.IS_NOT_NULL)
	case sqlparser.IsTrueStr:
		return truth(ast.IS_TRUE)
	case sqlparser.IsNotTrueStr:
		return truth(ast.IS_NOT_TRUE)
	case sqlparser.IsFalseStr:
		return truth(ast.IS_FALSE)
	}
	return truth(ast.IS_NOT_FALSE)
}

func (l *mysqlLowerer) value(e *sqlparser.SQLVal) ast.Node {
	text := string(e.Val)
	switch e.Type {
	case sqlparser.StrVal:
		return textConst(text)
	case sqlparser.IntVal:
		return intConst(text)
	case sqlparser.FloatVal:
		return &ast.A_Const{Val: &ast.Float{Fval: text}, Location: -1}
	case sqlparser.HexNum:
		return textConst(`\x` + evenHex(text[2:]))
	case sqlparser.HexVal:
		return textConst(`\x` + evenHex(text))
	case sqlparser.BitVal:
		return &ast.A_Const{Val: &ast.BitString{Bsval: "b" + text}, Location: -1}
	}
	l.refuse("parameter %s is not supported", text)
	return nil
}

func evenHex(s string) string {
	if len(s)%2 == 1 {
		return "0" + s
	}
	return s
}

func textConst(s string) ast.Node { return &ast.A_Const{Val: str(s), Location: -1} }

// intConst makes of digits what the PostgreSQL grammar would.
func intConst(text string) ast.Node {
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return &ast.A_Const{Val: &ast.Float{Fval: text}, Location: -1}
	}
	return &ast.A_Const{Val: &ast.Integer{Ival: int32(v)}, Location: -1}
}

func (l *mysqlLowerer) binary(e *sqlparser.BinaryExpr) ast.Node {
	if iv, ok := e.Right.(*sqlparser.IntervalExpr); ok {
		return operator(e.Operator, l.expr(e.Left), l.interval(iv))
	}
	left, right := l.number(e.Left), l.number(e.Right)
	switch e.Operator {
	case sqlparser.DivStr:
		// MySQL divides integers exactly.
		return operator("/", cast(left, "numeric"), right)
	case sqlparser.IntDivStr:
		return call("div", cast(left, "numeric"), cast(right, "numeric"))
	case sqlparser.BitXorStr:
		return operator("#", left, right)
	case sqlparser.JSONExtractOp:
		return operator("->", left, right)
	case sqlparser.JSONUnquoteExtractOp:
		return operator("->>", left, right)
	}
	return operator(e.Operator, left, right)
}

func (l *mysqlLowerer) unary(e *sqlparser.UnaryExpr) ast.Node {
	switch e.Operator {
	case sqlparser.BangStr:
		return boolExpr(ast.NOT_EXPR, l.cond(e.Expr))
	case sqlparser.UMinusStr:
		n := l.number(e.Expr)
		if c, ok := n.(*ast.A_Const); ok {
			switch v := c.Val.(type) {
			case *ast.Integer:
				return &ast.A_Const{Val: &ast.Integer{Ival: -v.Ival}, Location: -1}
			case *ast.Float:
				return &ast.A_Const{Val: &ast.Float{Fval: negatedText(v.Fval)}, Location: -1}
			}
		}
		return operator("-", nil, n)
	case sqlparser.UPlusStr:
		return l.number(e.Expr)
	case sqlparser.TildaStr:
		return operator("~", nil, l.number(e.Expr))
	case sqlparser.UBinaryStr, sqlparser.BinaryStr:
		if v, ok := e.Expr.(*sqlparser.SQLVal); ok && v.Type == sqlparser.StrVal {
			return textConst(`\x` + hex.EncodeToString(v.Val))
		}
		return l.expr(e.Expr)
	}
	// What is left are character set introducers.
	return l.expr(e.Expr)
}

func negatedText(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest
	}
	return "-" + s
}

func (l *mysqlLowerer) interval(e *sqlparser.IntervalExpr) ast.Node {
	unit := lower(e.Unit)
	switch unit {
	case "microsecond", "second", "minute", "hour", "day", "week", "month", "year":
		return operator("*", l.number(e.Expr), typedText("interval", "1 "+unit))
	case "quarter":
		return operator("*", l.number(e.Expr), typedText("interval", "3 months"))
	}
	l.refuse("interval unit %s is not supported", e.Unit)
	return nil
}

func (l *mysqlLowerer) caseExpr(e *sqlparser.CaseExpr) ast.Node {
	out := &ast.CaseExpr{Location: -1}
	if e.Expr != nil {
		out.Arg = l.expr(e.Expr)
	}
	for _, w := range e.Whens {
		when := &ast.CaseWhen{Result: l.expr(w.Val), Location: -1}
		if e.Expr != nil {
			when.Expr = l.expr(w.Cond)
		} else {
			when.Expr = l.cond(w.Cond)
		}
		out.Args = append(out.Args, when)
	}
	if e.Else != nil {
		out.Defresult = l.expr(e.Else)
	}
	return out
}

func boolExpr(op ast.BoolExprType, args ...ast.Node) ast.Node {
	// Chains are flat, as the PostgreSQL grammar makes them.
	var flat []ast.Node
	for _, a := range args {
		if b, ok := a.(*ast.BoolExpr); ok && b.Boolop == op && op != ast.NOT_EXPR {
			flat = append(flat, b.Args...)
			continue
		}
		flat = append(flat, a)
	}
	return &ast.BoolExpr{Boolop: op, Args: flat, Location: -1}
}

func aExpr(kind ast.A_Expr_Kind, name string, left, right ast.Node) ast.Node {
	return &ast.A_Expr{Kind: kind, Name: []ast.Node{str(name)}, Lexpr: left, Rexpr: right, Location: -1}
}

func operator(name string, left, right ast.Node) ast.Node {
	return aExpr(ast.AEXPR_OP, name, left, right)
}

func call(name string, args ...ast.Node) *ast.FuncCall {
	out := &ast.FuncCall{Args: args, Funcformat: ast.COERCE_EXPLICIT_CALL, Location: -1}
	for _, part := range strings.Split(name, ".") {
		out.Funcname = append(out.Funcname, str(part))
	}
	return out
}

func typeName(name string) *ast.TypeName {
	return &ast.TypeName{Names: []ast.Node{str("pg_catalog"), str(name)}, Typemod: -1, Location: -1}
}

func cast(n ast.Node, typ string) ast.Node {
	return &ast.TypeCast{Arg: n, TypeName: typeName(typ), Location: -1}
}

func typedText(typ, text string) ast.Node { return cast(textConst(text), typ) }

package parse

import (
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/pamirdb/pamir/sql/ast"
)

// call lowers everything that is a function to MySQL.
func (l *mysqlLowerer) call(e sqlparser.Expr) ast.Node {
	switch e := e.(type) {
	case *sqlparser.FuncExpr:
		return l.funcExpr(e)
	case *sqlparser.GroupConcatExpr:
		return l.groupConcat(e)
	case *sqlparser.ValuesFuncExpr:
		return columnRef("excluded", e.Name.Name.Lowered())
	case *sqlparser.SubstrExpr:
		args := []ast.Node{column(e.Name), l.number(e.From)}
		if e.To != nil {
			args = append(args, l.number(e.To))
		}
		return call("substr", args...)
	case *sqlparser.ConvertExpr:
		return l.convert(e)
	case *sqlparser.ConvertUsingExpr:
		return l.expr(e.Expr)
	case *sqlparser.CollateExpr:
		return l.expr(e.Expr)
	case *sqlparser.IntervalExpr:
		return l.interval(e)
	}
	l.refuse("expression %T is not supported", e)
	return nil
}

// renamed functions differ in nothing but their name.
var renamed = map[string]string{
	"ucase": "upper", "lcase": "lower", "char_length": "char_length", "character_length": "char_length",
	"length": "octet_length", "rand": "random", "substring": "substr", "mid": "substr", "pow": "power",
	"ceiling": "ceil", "last_insert_id": "lastval", "uuid": "gen_random_uuid", "std": "stddev_pop",
	"stddev": "stddev_pop", "variance": "var_pop", "truncate": "trunc", "bit_count": "bit_count",
	"database": "current_schema", "schema": "current_schema", "json_array": "jsonb_build_array",
	"json_object": "jsonb_build_object", "instr": "strpos", "log": "ln", "group_concat": "string_agg",
	"current_timestamp": "now", "sysdate": "clock_timestamp", "connection_id": "pg_backend_pid",
}

func (l *mysqlLowerer) funcExpr(e *sqlparser.FuncExpr) ast.Node {
	name := e.Name.Lowered()
	if n := l.specialCall(name, e); n != nil {
		return n
	}
	args, star := l.arguments(e)
	if to, ok := renamed[name]; ok {
		name = to
	}
	out := call(name, args...)
	if !e.Qualifier.IsEmpty() {
		out.Funcname = append([]ast.Node{str(lower(e.Qualifier.String()))}, out.Funcname...)
	}
	out.AggStar, out.AggDistinct = star, e.Distinct
	return out
}

func (l *mysqlLowerer) arguments(e *sqlparser.FuncExpr) (args []ast.Node, star bool) {
	for _, x := range e.Exprs {
		switch x := x.(type) {
		case *sqlparser.StarExpr:
			star = true
		case *sqlparser.AliasedExpr:
			args = append(args, l.number(x.Expr))
		default:
			l.refuse("argument %T is not supported", x)
		}
	}
	return args, star
}

// argument returns the i-th argument's tree, or nil.
func argument(e *sqlparser.FuncExpr, i int) sqlparser.Expr {
	if i < len(e.Exprs) {
		if a, ok := e.Exprs[i].(*sqlparser.AliasedExpr); ok {
			return a.Expr
		}
	}
	return nil
}

// specialCall lowers functions whose counterpart has another shape; nil if name
// is none of them, or has another number of arguments.
func (l *mysqlLowerer) specialCall(name string, e *sqlparser.FuncExpr) ast.Node {
	switch name {
	case "curdate", "current_date", "utc_date":
		return &ast.SQLValueFunction{Op: ast.SVFOP_CURRENT_DATE, Typmod: -1, Location: -1}
	case "now", "localtime", "localtimestamp", "utc_timestamp":
		return &ast.SQLValueFunction{Op: ast.SVFOP_LOCALTIMESTAMP, Typmod: -1, Location: -1}
	case "curtime", "current_time", "utc_time":
		return &ast.SQLValueFunction{Op: ast.SVFOP_LOCALTIME, Typmod: -1, Location: -1}
	case "user", "current_user":
		return &ast.SQLValueFunction{Op: ast.SVFOP_CURRENT_USER, Typmod: -1, Location: -1}
	}
	a, b := argument(e, 0), argument(e, 1)
	switch {
	case len(e.Exprs) == 1 && a != nil:
		switch name {
		case "year", "month", "day", "hour", "minute", "second", "quarter", "week", "dayofyear":
			field := map[string]string{"dayofyear": "doy"}[name]
			return cast(call("pg_catalog.extract", textConst(parensOr(field, name)), l.expr(a)), "int4")
		case "dayofmonth":
			return cast(call("pg_catalog.extract", textConst("day"), l.expr(a)), "int4")
		case "unix_timestamp":
			return cast(call("pg_catalog.extract", textConst("epoch"), l.expr(a)), "int8")
		case "from_unixtime":
			return call("to_timestamp", l.number(a))
		case "date":
			return cast(l.expr(a), "date")
		case "isnull":
			return &ast.NullTest{Arg: l.expr(a), Nulltesttype: ast.IS_NULL, Location: -1}
		case "hex":
			return call("upper", call("to_hex", l.number(a)))
		}
	case len(e.Exprs) == 2 && a != nil && b != nil:
		return l.binaryCall(name, a, b)
	case len(e.Exprs) == 3 && name == "if" && a != nil && b != nil:
		return &ast.CaseExpr{
			Args:      []ast.Node{&ast.CaseWhen{Expr: l.cond(a), Result: l.expr(b), Location: -1}},
			Defresult: l.expr(argument(e, 2)), Location: -1,
		}
	}
	switch name {
	case "coalesce":
		args, _ := l.arguments(e)
		return &ast.CoalesceExpr{Args: args, Location: -1}
	case "greatest", "least":
		args, _ := l.arguments(e)
		op := ast.IS_GREATEST
		if name == "least" {
			op = ast.IS_LEAST
		}
		return &ast.MinMaxExpr{Op: op, Args: args, Location: -1}
	}
	return nil
}

func (l *mysqlLowerer) binaryCall(name string, a, b sqlparser.Expr) ast.Node {
	switch name {
	case "ifnull":
		return &ast.CoalesceExpr{Args: []ast.Node{l.expr(a), l.expr(b)}, Location: -1}
	case "nullif":
		return aExpr(ast.AEXPR_NULLIF, "=", l.expr(a), l.expr(b))
	case "mod":
		return operator("%", l.number(a), l.number(b))
	case "locate":
		return call("strpos", l.expr(b), l.expr(a))
	case "datediff":
		return operator("-", cast(l.expr(a), "date"), cast(l.expr(b), "date"))
	case "date_add", "adddate", "date_sub", "subdate":
		iv, ok := b.(*sqlparser.IntervalExpr)
		if !ok {
			return nil
		}
		sign := "+"
		if strings.Contains(name, "sub") {
			sign = "-"
		}
		from := l.expr(a)
		if _, isText := a.(*sqlparser.SQLVal); isText {
			from = cast(from, "timestamp")
		}
		return operator(sign, from, l.interval(iv))
	}
	return nil
}

func (l *mysqlLowerer) groupConcat(e *sqlparser.GroupConcatExpr) ast.Node {
	var parts []ast.Node
	for _, x := range e.Exprs {
		if a, ok := x.(*sqlparser.AliasedExpr); ok {
			parts = append(parts, l.expr(a.Expr))
		}
	}
	if len(parts) == 0 {
		l.refuse("GROUP_CONCAT needs an expression")
		return nil
	}
	value := cast(parts[0], "text")
	if len(parts) > 1 {
		value = call("concat", parts...)
	}
	separator := ","
	if _, quoted, ok := strings.Cut(e.Separator, "'"); ok {
		separator = strings.TrimSuffix(quoted, "'")
	}
	out := call("string_agg", value, textConst(separator))
	out.AggDistinct = e.Distinct != ""
	out.AggOrder = l.orderBy(e.OrderBy)
	return out
}

func (l *mysqlLowerer) convert(e *sqlparser.ConvertExpr) ast.Node {
	n := l.number(e.Expr)
	switch typ := lower(e.Type.Type); typ {
	case "signed", "unsigned":
		return cast(n, "int8")
	case "decimal":
		return l.decimal(n, e.Type)
	case "char", "nchar":
		return cast(n, "text")
	case "binary":
		return cast(n, "bytea")
	case "date":
		return cast(n, "date")
	case "datetime":
		return cast(n, "timestamp")
	case "time":
		return cast(n, "time")
	case "json":
		return cast(n, "jsonb")
	default:
		l.refuse("conversion to %s is not supported", typ)
	}
	return nil
}

func (l *mysqlLowerer) decimal(n ast.Node, t *sqlparser.ConvertType) ast.Node {
	to := typeName("numeric")
	precision, scale := "10", "0"
	if t.Length != nil {
		precision = string(t.Length.Val)
	}
	if t.Scale != nil {
		scale = string(t.Scale.Val)
	}
	to.Typmods = []ast.Node{intConst(precision), intConst(scale)}
	return &ast.TypeCast{Arg: n, TypeName: to, Location: -1}
}

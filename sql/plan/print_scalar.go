package plan

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

// printer writes scalars for EXPLAIN: close to SQL, columns by name, with the
// entry's alias where several could be meant.
type printer struct {
	names map[ColID]string
	ids   bool // print ids: for golden files of plans under construction
}

func (p *printer) scalars(es []Scalar, sep string) string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = p.scalar(e)
	}
	return strings.Join(parts, sep)
}

func (p *printer) col(id ColID, name string) string {
	if n, ok := p.names[id]; ok && n != "" {
		name = n
	}
	if p.ids {
		return name + "#" + strconv.Itoa(int(id))
	}
	return name
}

func (p *printer) scalar(e Scalar) string {
	switch n := e.(type) {
	case nil:
		return ""
	case *expr.Const:
		return constText(n)
	case *expr.ColumnRef:
		return p.col(n.ID, n.Name)
	case *expr.Param:
		return paramText(n)
	case *expr.OpExpr:
		if len(n.Args) == 1 {
			return "(" + n.Name + " " + p.scalar(n.Args[0]) + ")"
		}
		return "(" + p.scalar(n.Args[0]) + " " + n.Name + " " + p.scalar(n.Args[1]) + ")"
	case *expr.BoolExpr:
		return p.boolean(n)
	case *expr.FuncExpr:
		return p.call(n)
	case *expr.ScalarArrayOp:
		q := " ANY ("
		if n.All {
			q = " ALL ("
		}
		return "(" + p.scalar(n.Left) + " " + n.Name + q + p.scalar(n.Right) + "))"
	case *expr.NullTest:
		if n.Not {
			return "(" + p.scalar(n.Arg) + " IS NOT NULL)"
		}
		return "(" + p.scalar(n.Arg) + " IS NULL)"
	case *expr.Relabel:
		return p.castText(n.Arg, n.Typ, n.Form)
	case *expr.CoerceViaIO:
		return p.castText(n.Arg, n.Typ, n.Form)
	case *expr.ArrayCoerce:
		return p.castText(n.Arg, n.Typ, n.Form)
	}
	return p.rare(e)
}

func (p *printer) rare(e Scalar) string {
	switch n := e.(type) {
	case *expr.CaseExpr:
		return p.caseText(n)
	case *expr.CaseTest:
		return "CASE_TEST"
	case *expr.Coalesce:
		return "COALESCE(" + p.scalars(n.Args, ", ") + ")"
	case *expr.NullIf:
		return "NULLIF(" + p.scalar(n.Left) + ", " + p.scalar(n.Right) + ")"
	case *expr.MinMax:
		if n.Least {
			return "LEAST(" + p.scalars(n.Args, ", ") + ")"
		}
		return "GREATEST(" + p.scalars(n.Args, ", ") + ")"
	case *expr.BooleanTest:
		return "(" + p.scalar(n.Arg) + " " + [...]string{"IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"}[n.Test] + ")"
	case *expr.DistinctExpr:
		return "(" + p.scalar(n.Left) + " IS DISTINCT FROM " + p.scalar(n.Right) + ")"
	case *expr.ArrayExpr:
		return "ARRAY[" + p.scalars(n.Elems, ", ") + "]"
	case *expr.RowExpr:
		return "ROW(" + p.scalars(n.Fields, ", ") + ")"
	case *expr.RowCompare:
		return "(ROW(" + p.scalars(n.Left, ", ") + ") " + [...]string{"<", "<=", ">=", ">"}[n.Cmp] + " ROW(" + p.scalars(n.Right, ", ") + "))"
	case *expr.FieldSelect:
		return "(" + p.scalar(n.Arg) + ")." + n.Name
	case *expr.Subscript:
		text := p.scalar(n.Arg) + "[" + p.scalars(n.Upper, "][") + "]"
		if n.Assign != nil {
			text = "(" + text + " := " + p.scalar(n.Assign) + ")"
		}
		return text
	case *expr.SQLValueFunction:
		return [...]string{"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP",
			"CURRENT_ROLE", "CURRENT_USER", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"}[n.Func]
	case *expr.AggRef:
		return p.aggText(n)
	case *expr.WindowRef:
		args := p.scalars(n.Args, ", ")
		if n.Star {
			args = "*"
		}
		return n.Name + "(" + args + ") OVER (?)"
	case *expr.SubqueryRef:
		return "(SubPlan)"
	case *expr.SetToDefault:
		return "DEFAULT"
	}
	return "?"
}

func (p *printer) boolean(n *expr.BoolExpr) string {
	switch n.Op {
	case expr.Not:
		return "(NOT " + p.scalar(n.Args[0]) + ")"
	case expr.Or:
		return "(" + p.scalars(n.Args, " OR ") + ")"
	}
	return "(" + p.scalars(n.Args, " AND ") + ")"
}

func (p *printer) call(n *expr.FuncExpr) string {
	if n.Form != expr.CallForm && len(n.Args) > 0 && n.Form != expr.SQLSyntax {
		return p.castText(n.Args[0], n.Typ, n.Form)
	}
	return n.Name + "(" + p.scalars(n.Args, ", ") + ")"
}

func (p *printer) castText(arg Scalar, t types.Type, form expr.CoerceForm) string {
	if form == expr.ImplicitCast && arg.Type().OID == t.OID {
		return p.scalar(arg)
	}
	return "(" + p.scalar(arg) + ")::" + t.String()
}

func (p *printer) caseText(n *expr.CaseExpr) string {
	var b strings.Builder
	b.WriteString("CASE")
	if n.Arg != nil {
		b.WriteString(" " + p.scalar(n.Arg))
	}
	for _, w := range n.Whens {
		b.WriteString(" WHEN " + p.scalar(w.Cond) + " THEN " + p.scalar(w.Result))
	}
	if n.Else != nil {
		b.WriteString(" ELSE " + p.scalar(n.Else))
	}
	return b.String() + " END"
}

func (p *printer) aggText(n *expr.AggRef) string {
	var b strings.Builder
	b.WriteString(n.Name + "(")
	switch {
	case n.Star:
		b.WriteString("*")
	case n.Distinct:
		b.WriteString("DISTINCT " + p.scalars(n.Args, ", "))
	default:
		b.WriteString(p.scalars(n.Args, ", "))
	}
	for i, k := range n.OrderBy {
		if i == 0 {
			b.WriteString(" ORDER BY ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(p.scalar(k.Arg) + direction(k.Desc, k.NullsFirst))
	}
	b.WriteString(")")
	if n.Filter != nil {
		b.WriteString(" FILTER (WHERE " + p.scalar(n.Filter) + ")")
	}
	return b.String()
}

func direction(desc, nullsFirst bool) string {
	s := ""
	if desc {
		s = " DESC"
	}
	if nullsFirst != desc {
		if nullsFirst {
			return s + " NULLS FIRST"
		}
		return s + " NULLS LAST"
	}
	return s
}

func paramText(n *expr.Param) string {
	switch n.Kind {
	case expr.ParamLiteral:
		return "?" + strconv.Itoa(n.Num+1)
	case expr.ParamExec:
		return "$p" + strconv.Itoa(n.Num)
	}
	return "$" + strconv.Itoa(n.Num+1)
}

// constText prints a constant as pg_get_expr does.
func constText(n *expr.Const) string {
	if n.Value.IsNull() {
		if n.Typ.OID == types.UnknownOID {
			return "NULL"
		}
		return "NULL::" + types.Of(n.Typ.OID).String()
	}
	if n.Typ.OID == types.UnknownOID {
		return quote(n.Value.Str())
	}
	s := types.TextOf(n.Typ.OID, n.Value, types.DefaultSettings())
	switch n.Typ.OID {
	case types.BoolOID:
		if n.Value.Bool() {
			return "true"
		}
		return "false"
	case types.Int4OID:
		if n.Value.Int() >= 0 {
			return s
		}
	case types.NumericOID:
		if strings.ContainsRune(s, '.') && s[0] != '-' {
			return s
		}
	}
	return quote(s) + "::" + types.Of(n.Typ.OID).String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

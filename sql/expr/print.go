package expr

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Namer gives names to what a tree knows by number. Any field may be nil.
type Namer struct {
	// Column names a column; without it the reference's own name is used.
	Column func(*ColumnRef) string
	// Type names a type that is not built in.
	Type func(types.Type) string
	// Subquery prints a subquery's query.
	Subquery func(*SubqueryRef) string
	// Names resolves reg* constants.
	Names types.NameResolver
	// Pretty leaves out the parentheses that precedence makes needless, as
	// pg_get_expr(…, true) does.
	Pretty bool
}

// Print returns the SQL text of e in the style of pg_get_expr.
func Print(e Expr, n *Namer) string {
	if n == nil {
		n = &Namer{}
	}
	p := &printer{n: n}
	p.expr(e)
	return p.b.String()
}

type printer struct {
	b strings.Builder
	n *Namer
}

func (p *printer) s(parts ...string) {
	for _, x := range parts {
		p.b.WriteString(x)
	}
}

func (p *printer) list(es []Expr) {
	for i, e := range es {
		if i > 0 {
			p.s(", ")
		}
		p.shown(e)
	}
}

// shown prints e with the implicit cast at its top, if it is one: without it
// the text might be read back as another operator or function.
func (p *printer) shown(e Expr) {
	switch n := e.(type) {
	case *Relabel:
		p.cast(n, n.Arg, n.Typ, ExplicitCast)
	case *CoerceViaIO:
		p.cast(n, n.Arg, n.Typ, ExplicitCast)
	case *ArrayCoerce:
		p.cast(n, n.Arg, n.Typ, ExplicitCast)
	case *FuncExpr:
		if n.Form == ImplicitCast {
			p.cast(n, n.Args[0], n.Typ, ExplicitCast)
			return
		}
		p.expr(e)
	default:
		p.expr(e)
	}
}

// operand prints an operand of parent, in parentheses if it needs them.
func (p *printer) operand(e, parent Expr, show bool) {
	paren := p.n.Pretty && !simple(e, parent)
	if paren {
		p.s("(")
	}
	if show {
		p.shown(e)
	} else {
		p.expr(e)
	}
	if paren {
		p.s(")")
	}
}

// open and close print the parentheses around an expression, which the pretty
// style leaves to operand.
func (p *printer) open() {
	if !p.n.Pretty {
		p.s("(")
	}
}

func (p *printer) close() {
	if !p.n.Pretty {
		p.s(")")
	}
}

func (p *printer) typeName(t types.Type) string {
	if _, ok := types.Lookup(t.OID); !ok && p.n.Type != nil {
		return p.n.Type(t)
	}
	return t.String()
}

func (p *printer) expr(e Expr) {
	switch n := e.(type) {
	case *Const:
		p.constant(n, true)
	case *ColumnRef:
		if p.n.Column != nil {
			p.s(p.n.Column(n))
		} else if n.Name != "" {
			p.s(builtin.QuoteIdent(n.Name))
		} else {
			p.s("@", strconv.Itoa(int(n.ID)))
		}
	case *Param:
		p.s("$", strconv.Itoa(n.Num+1))
	case *FuncExpr:
		p.call(n)
	case *OpExpr:
		p.operator(n)
	case *BoolExpr:
		p.boolean(n)
	case *Relabel:
		p.cast(n, n.Arg, n.Typ, n.Form)
	case *CoerceViaIO:
		p.cast(n, n.Arg, n.Typ, n.Form)
	case *ArrayCoerce:
		p.cast(n, n.Arg, n.Typ, n.Form)
	case *ScalarArrayOp:
		word := " ANY ("
		if n.All {
			word = " ALL ("
		}
		p.open()
		p.operand(n.Left, n, true)
		p.s(" ", n.Name, word)
		p.operand(n.Right, n, true)
		p.s(")")
		p.close()
	default:
		p.special(e)
	}
}

// constant prints a literal; showType adds its type where the bare literal
// would be read as another one.
func (p *printer) constant(c *Const, showType bool) {
	if c.Value.IsNull() {
		p.s("NULL")
		if showType {
			p.s("::", p.typeName(c.Typ))
		}
		return
	}
	st := types.DefaultSettings()
	st.Names = p.n.Names
	text := types.TextOf(c.Typ.OID, c.Value, st)
	switch c.Typ.OID {
	case types.BoolOID:
		if c.Value.Bool() {
			p.s("true")
		} else {
			p.s("false")
		}
		return
	case types.Int4OID:
		if text[0] != '-' {
			p.s(text)
			return
		}
	case types.NumericOID:
		if strings.Trim(text, "0123456789.") == "" && strings.IndexByte(text, '.') >= 0 && c.Typ.Mod < 0 {
			p.s(text)
			return
		}
	case types.UnknownOID:
		showType = false
	}
	p.s(builtin.QuoteLiteral(text))
	if showType {
		p.s("::", p.typeName(c.Typ))
	}
}

func (p *printer) cast(node, arg Expr, t types.Type, form CoerceForm) {
	if form == ImplicitCast {
		p.operand(arg, node, false)
		return
	}
	if c, ok := arg.(*Const); ok && c.Typ.OID == t.OID && c.Typ.Mod == -1 {
		p.constant(c, false)
	} else {
		p.open()
		p.operand(arg, node, false)
		p.close()
	}
	p.s("::", p.typeName(t))
}

func (p *printer) call(n *FuncExpr) {
	switch n.Form {
	case ImplicitCast:
		p.operand(n.Args[0], n, false)
		return
	case ExplicitCast:
		p.cast(n, n.Args[0], n.Typ, ExplicitCast)
		return
	}
	name := n.Name
	if name == "" {
		if f, ok := pgfacts.ProcByOID(n.Func); ok {
			name = builtin.QuoteIdent(f.Name)
		}
	}
	if n.Form == SQLSyntax && p.sqlSyntax(name, n) {
		return
	}
	p.s(name, "(")
	for i, a := range n.Args {
		if i > 0 {
			p.s(", ")
		}
		if n.Variadic && i == len(n.Args)-1 {
			p.s("VARIADIC ")
		}
		p.shown(a)
	}
	p.s(")")
}

// sqlSyntax prints the functions that the grammar has a form of its own for.
func (p *printer) sqlSyntax(name string, n *FuncExpr) bool {
	arg := func(i int) {
		if i < len(n.Args) {
			p.expr(n.Args[i])
		}
	}
	switch {
	case name == "timezone" && len(n.Args) == 2:
		p.s("(")
		arg(1)
		p.s(" AT TIME ZONE ")
		arg(0)
		p.s(")")
	case name == "extract" && len(n.Args) == 2:
		c, ok := n.Args[0].(*Const)
		if !ok {
			return false
		}
		p.s("EXTRACT(", c.Value.Str(), " FROM ")
		arg(1)
		p.s(")")
	case name == "position" && len(n.Args) == 2:
		p.s("POSITION((")
		arg(1)
		p.s(") IN (")
		arg(0)
		p.s("))")
	case name == "substring" && len(n.Args) >= 2:
		p.s("SUBSTRING(")
		arg(0)
		p.s(" FROM ")
		arg(1)
		if len(n.Args) == 3 {
			p.s(" FOR ")
			arg(2)
		}
		p.s(")")
	case name == "btrim" || name == "ltrim" || name == "rtrim":
		p.s("TRIM(", map[string]string{"btrim": "BOTH", "ltrim": "LEADING", "rtrim": "TRAILING"}[name])
		if len(n.Args) == 2 {
			p.s(" ")
			arg(1)
		}
		p.s(" FROM ")
		arg(0)
		p.s(")")
	default:
		return false
	}
	return true
}

func (p *printer) operator(n *OpExpr) {
	p.open()
	if len(n.Args) == 1 {
		p.s(n.Name, " ")
		p.operand(n.Args[0], n, true)
	} else {
		p.operand(n.Args[0], n, true)
		p.s(" ", n.Name, " ")
		p.operand(n.Args[1], n, true)
	}
	p.close()
}

func (p *printer) boolean(n *BoolExpr) {
	p.open()
	if n.Op == Not {
		p.s("NOT ")
		p.operand(n.Args[0], n, false)
		p.close()
		return
	}
	word := " AND "
	if n.Op == Or {
		word = " OR "
	}
	for i, a := range n.Args {
		if i > 0 {
			p.s(word)
		}
		p.operand(a, n, false)
	}
	p.close()
}

func (p *printer) special(e Expr) {
	switch n := e.(type) {
	case *CaseExpr:
		p.caseExpr(n)
	case *CaseTest:
		p.s("CASE_TEST_EXPR")
	case *Coalesce:
		p.s("COALESCE(")
		p.list(n.Args)
		p.s(")")
	case *NullIf:
		p.s("NULLIF(")
		p.shown(n.Left)
		p.s(", ")
		p.shown(n.Right)
		p.s(")")
	case *MinMax:
		if n.Least {
			p.s("LEAST(")
		} else {
			p.s("GREATEST(")
		}
		p.list(n.Args)
		p.s(")")
	case *NullTest:
		p.postfix(n, n.Arg, true, map[bool]string{false: " IS NULL", true: " IS NOT NULL"}[n.Not])
	case *BooleanTest:
		p.postfix(n, n.Arg, false, [...]string{" IS TRUE", " IS NOT TRUE", " IS FALSE", " IS NOT FALSE", " IS UNKNOWN", " IS NOT UNKNOWN"}[n.Test])
	case *DistinctExpr:
		p.open()
		p.operand(n.Left, n, true)
		p.s(" IS DISTINCT FROM ")
		p.operand(n.Right, n, true)
		p.close()
	case *ArrayExpr:
		p.s("ARRAY[")
		p.list(n.Elems)
		p.s("]")
	case *RowExpr:
		p.s("ROW(")
		p.list(n.Fields)
		p.s(")")
	case *RowCompare:
		p.s("(ROW(")
		p.list(n.Left)
		p.s(") ", [...]string{"<", "<=", ">=", ">"}[n.Cmp], " ROW(")
		p.list(n.Right)
		p.s("))")
	case *FieldSelect:
		p.s("(")
		p.expr(n.Arg)
		p.s(").", builtin.QuoteIdent(n.Name))
	default:
		p.rest(e)
	}
}

func (p *printer) postfix(node, arg Expr, show bool, word string) {
	p.open()
	p.operand(arg, node, show)
	p.s(word)
	p.close()
}

func (p *printer) caseExpr(n *CaseExpr) {
	p.s("CASE")
	if n.Arg != nil {
		p.s(" ")
		p.shown(n.Arg)
	}
	for _, w := range n.Whens {
		p.s(" WHEN ")
		cond := w.Cond
		// CASE x WHEN y is stored as a comparison of the test value with y.
		if o, ok := cond.(*OpExpr); ok && n.Arg != nil && len(o.Args) == 2 {
			if _, isTest := o.Args[0].(*CaseTest); isTest {
				cond = o.Args[1]
			}
		}
		p.expr(cond)
		p.s(" THEN ")
		p.shown(w.Result)
	}
	if n.Else != nil {
		p.s(" ELSE ")
		p.shown(n.Else)
	} else {
		p.s(" ELSE NULL::", p.typeName(n.Typ))
	}
	p.s(" END")
}

func (p *printer) rest(e Expr) {
	switch n := e.(type) {
	case *Subscript:
		p.subscript(n)
	case *SQLValueFunction:
		p.s([...]string{"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_ROLE",
			"CURRENT_USER", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"}[n.Func])
		if n.Typ.Mod >= 0 {
			p.s("(", strconv.Itoa(int(n.Typ.Mod)), ")")
		}
	case *AggRef:
		p.aggregate(n)
	case *WindowRef:
		p.window(n)
	case *SubqueryRef:
		p.subquery(n)
	case *SetToDefault:
		p.s("DEFAULT")
	}
}

func (p *printer) subscript(n *Subscript) {
	_, bare := n.Arg.(*ColumnRef)
	if bare {
		p.expr(n.Arg)
	} else {
		p.s("(")
		p.expr(n.Arg)
		p.s(")")
	}
	for i, u := range n.Upper {
		p.s("[")
		if n.Lower != nil {
			if n.Lower[i] != nil {
				p.expr(n.Lower[i])
			}
			p.s(":")
		}
		if u != nil {
			p.expr(u)
		}
		p.s("]")
	}
}

func (p *printer) keys(ks []SortKey) {
	for i, k := range ks {
		if i > 0 {
			p.s(", ")
		}
		p.expr(k.Arg)
		if k.Desc {
			p.s(" DESC")
		}
		if k.NullsFirst != k.Desc {
			p.s(map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[k.NullsFirst])
		}
	}
}

func (p *printer) aggregate(n *AggRef) {
	p.s(n.Name, "(")
	if n.Distinct {
		p.s("DISTINCT ")
	}
	if n.Star {
		p.s("*")
	}
	if len(n.Direct) > 0 {
		p.list(n.Direct)
		p.s(") WITHIN GROUP (ORDER BY ")
		p.keys(n.OrderBy)
	} else {
		p.list(n.Args)
		if len(n.OrderBy) > 0 {
			p.s(" ORDER BY ")
			p.keys(n.OrderBy)
		}
	}
	p.s(")")
	p.filter(n.Filter)
}

func (p *printer) filter(f Expr) {
	if f != nil {
		p.s(" FILTER (WHERE ")
		p.expr(f)
		p.s(")")
	}
}

func (p *printer) window(n *WindowRef) {
	p.s(n.Name, "(")
	if n.Star {
		p.s("*")
	}
	p.list(n.Args)
	p.s(")")
	p.filter(n.Filter)
	p.s(" OVER (")
	if len(n.PartitionBy) > 0 {
		p.s("PARTITION BY ")
		p.list(n.PartitionBy)
	}
	if len(n.OrderBy) > 0 {
		if len(n.PartitionBy) > 0 {
			p.s(" ")
		}
		p.s("ORDER BY ")
		p.keys(n.OrderBy)
	}
	p.frame(&n.Frame)
	p.s(")")
}

func (p *printer) frame(f *Frame) {
	if f.Mode == FrameRange && f.Start == UnboundedPreceding && f.End == CurrentRow && f.Exclude == ExcludeNone {
		return
	}
	bound := func(b FrameBound, off Expr) {
		if off != nil {
			p.expr(off)
			p.s(" ")
		}
		p.s([...]string{"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING"}[b])
	}
	p.s(" ", [...]string{"RANGE", "ROWS", "GROUPS"}[f.Mode], " BETWEEN ")
	bound(f.Start, f.StartOffset)
	p.s(" AND ")
	bound(f.End, f.EndOffset)
	p.s([...]string{"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"}[f.Exclude])
}

func (p *printer) subquery(n *SubqueryRef) {
	q := "SELECT"
	if p.n.Subquery != nil {
		q = p.n.Subquery(n)
	}
	switch n.Kind {
	case SubExists:
		p.s("(EXISTS ( ", q, "))")
	case SubArray:
		p.s("ARRAY( ", q, ")")
	case SubAny, SubAll:
		p.s("(")
		p.list(n.Left)
		name := "="
		if o, ok := n.Test.(*OpExpr); ok {
			name = o.Name
		}
		if n.Kind == SubAny && name == "=" {
			p.s(" IN ( ", q, "))")
			return
		}
		p.s(" ", name, map[SubqueryKind]string{SubAny: " ANY ( ", SubAll: " ALL ( "}[n.Kind], q, "))")
	default:
		p.s("( ", q, ")")
	}
}

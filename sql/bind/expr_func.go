package bind

import (
	"cmp"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// funcArgs binds the arguments of a call.
func (q *query) funcArgs(n *ast.FuncCall) (args []expr.Expr, call pgfacts.FuncCall, err error) {
	names := stringsOf(n.Funcname)
	call = pgfacts.FuncCall{Name: names[len(names)-1], Star: n.AggStar, Variadic: n.FuncVariadic}
	if len(names) > 1 && names[len(names)-2] != "pg_catalog" {
		if schema := names[len(names)-2]; q.b.resolver != nil {
			if _, ok := q.b.resolver.Schema(schema); !ok {
				return nil, call, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", schema).At(position(n.Location))
			}
		}
		return nil, call, types.Errorf(types.CodeUndefinedFunction, "function %s() does not exist", strings.Join(names, ".")).At(position(n.Location))
	}
	for i, a := range n.Args {
		if na, ok := a.(*ast.NamedArgExpr); ok {
			if call.ArgNames == nil {
				call.ArgNames = make([]string, len(n.Args))
			}
			call.ArgNames[i] = na.Name
			a = na.Arg
		}
		e, err := q.expr(a)
		if err != nil {
			return nil, call, err
		}
		args = append(args, e)
		call.Args = append(call.Args, e.Type().OID)
	}
	return args, call, nil
}

func (q *query) funcCall(n *ast.FuncCall) (expr.Expr, error) {
	isAgg := q.mayAggregate(n)
	if isAgg {
		q.inAgg++
	}
	args, call, err := q.funcArgs(n)
	if isAgg {
		q.inAgg--
	}
	if err != nil {
		return nil, err
	}
	ordered, err := q.withinGroup(n, &call)
	if err != nil {
		return nil, err
	}
	direct := len(args)
	for _, k := range ordered {
		args = append(args, k.Arg)
	}
	m, err := pgfacts.ResolveFunc(call)
	if err != nil {
		return nil, at(err, n.Location)
	}
	if m.Proc == nil {
		return q.b.disguisedCast(args[0], m, n.Location)
	}
	if args, err = q.b.callArgs(args, m, n.Location); err != nil {
		return nil, err
	}
	switch {
	case m.Proc.Kind == 'a' && n.Over == nil:
		return q.aggregate(n, m, args, direct, ordered)
	case m.Proc.Kind == 'a' || m.Proc.Kind == 'w':
		return q.windowCall(n, m, args)
	case m.Proc.Kind == 'p':
		return nil, types.Errorf(types.CodeWrongObjectType, "%s is a procedure", m.Proc.Name).WithHint("To call a procedure, use CALL.").At(position(n.Location))
	}
	return q.plainCall(n, m, args)
}

func (q *query) plainCall(n *ast.FuncCall, m *pgfacts.FuncMatch, args []expr.Expr) (expr.Expr, error) {
	name := m.Proc.Name
	wrong := func(what string) error {
		return types.Errorf(types.CodeWrongObjectType, "%s specified, but %s is not an aggregate function", what, name).At(position(n.Location))
	}
	switch {
	case n.AggStar:
		return nil, types.Errorf(types.CodeWrongObjectType, "%s(*) specified, but %s is not an aggregate function", name, name).At(position(n.Location))
	case n.AggDistinct:
		return nil, wrong("DISTINCT")
	case n.AggWithinGroup:
		return nil, wrong("WITHIN GROUP")
	case len(n.AggOrder) > 0:
		return nil, wrong("ORDER BY")
	case n.AggFilter != nil:
		return nil, wrong("FILTER")
	case n.Over != nil:
		return nil, types.Errorf(types.CodeWrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", name).At(position(n.Location))
	}
	if n.FuncVariadic && m.Proc.Variadic == types.AnyOID && len(args) > 0 && !args[len(args)-1].Type().IsArray() {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "VARIADIC argument must be an array").At(expr.LocationOf(args[len(args)-1]))
	}
	if name == "pg_typeof" && len(args) == 1 && args[0].Type().OID == types.UnknownOID {
		// A literal that nothing gives a type would be text once it is computed.
		return &expr.Const{Value: types.NewInt(int64(types.UnknownOID)), Typ: types.RegType, Location: position(n.Location)}, nil
	}
	e := &expr.FuncExpr{Func: m.Proc.OID, Args: args, Typ: types.Of(m.Ret), ReturnSet: m.Proc.RetSet, Variadic: n.FuncVariadic || m.Spread,
		Collation: inputCollation(args...), Name: name, Location: position(n.Location)}
	if m.Proc.RetSet {
		if err := q.allowSet(n.Location); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// allowSet checks that a set-returning function may stand here.
func (q *query) allowSet(loc int) error {
	switch q.clause {
	case clauseSelect, clauseOrderBy, clauseGroupBy, clauseDistinctOn:
		if q.conditional > 0 {
			return types.Errorf(types.CodeFeatureNotSupported, "set-returning functions are not allowed in conditional expressions").
				WithHint("You might be able to move the set-returning function into a LATERAL FROM item.").At(position(loc))
		}
		if q.inAgg > 0 {
			return types.Errorf(types.CodeFeatureNotSupported, "aggregate function calls cannot contain set-returning function calls").
				WithHint("You might be able to move the set-returning function into a LATERAL FROM item.").At(position(loc))
		}
		q.hasSRF = true
		return nil
	case clauseFrom, clauseNone:
		return nil
	}
	return types.Errorf(types.CodeFeatureNotSupported, "set-returning functions are not allowed in %s", clauseNames[q.clause]).At(position(loc))
}

func (b *binder) disguisedCast(e expr.Expr, m *pgfacts.FuncMatch, loc int) (expr.Expr, error) {
	return b.coerce(e, types.Of(m.Ret), pgfacts.Explicit, "", loc)
}

// callArgs brings arguments into declared order, coerces them, adds defaults
// and collects variadic ones.
func (b *binder) callArgs(args []expr.Expr, m *pgfacts.FuncMatch, loc int) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(args))
	for i, e := range args {
		c, err := b.coerce(e, types.Of(m.ArgTypes[i]), pgfacts.Implicit, "", loc)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	if m.Order != nil {
		sorted := make([]expr.Expr, m.Proc.NArgs)
		for i, p := range m.Order {
			sorted[p] = out[i]
		}
		out = sorted
	}
	if m.Defaults > 0 {
		if err := b.defaults(&out, m, loc); err != nil {
			return nil, err
		}
	}
	if m.Spread {
		elem := types.Of(m.ArgTypes[m.SpreadFrom])
		arr := &expr.ArrayExpr{Elems: out[m.SpreadFrom:], Typ: types.Of(types.ArrayOf(elem.OID))}
		out = append(out[:m.SpreadFrom:m.SpreadFrom], arr)
	}
	return out, nil
}

// defaults fills the arguments left out from pg_proc's texts, which are
// literals with casts.
func (b *binder) defaults(args *[]expr.Expr, m *pgfacts.FuncMatch, loc int) error {
	texts := splitDefaults(m.Proc.Defaults)
	for len(*args) < m.Proc.NArgs {
		*args = append(*args, nil)
	}
	first := m.Proc.NArgs - m.Proc.NDefaults
	for i, a := range *args {
		if a != nil {
			continue
		}
		if i-first < 0 || i-first >= len(texts) {
			return types.Errorf(types.CodeInternal, "default of %s is missing", m.Proc.Name).At(position(loc))
		}
		e, err := b.defaultText(texts[i-first], types.Of(m.Proc.Args[i]))
		if err != nil {
			return err
		}
		(*args)[i] = e
	}
	return nil
}

func (b *binder) defaultText(text string, t types.Type) (expr.Expr, error) {
	if lit, _, cast := strings.Cut(text, "::"); cast {
		text = lit
	}
	text = strings.Trim(text, " ()")
	if strings.EqualFold(text, "null") {
		return &expr.Const{Typ: t}, nil
	}
	if s, ok := strings.CutPrefix(text, "'"); ok {
		text = strings.ReplaceAll(strings.TrimSuffix(s, "'"), "''", "'")
	}
	return b.readLiteral(&expr.Const{Value: types.NewString(text), Typ: types.UnknownType}, t, pgfacts.Explicit, -1)
}

// splitDefaults cuts at commas outside of quotes.
func splitDefaults(s string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

// mayAggregate guesses from the name, before the arguments are bound, whether a
// call is an aggregate: nested ones must be recognized.
func (q *query) mayAggregate(n *ast.FuncCall) bool {
	if n.Over != nil || len(n.Funcname) == 0 {
		return false
	}
	s, ok := n.Funcname[len(n.Funcname)-1].(*ast.String)
	if !ok {
		return false
	}
	for _, p := range pgfacts.ProcsByName(s.Sval) {
		if p.Kind == 'a' {
			return true
		}
	}
	return false
}

func (q *query) withinGroup(n *ast.FuncCall, call *pgfacts.FuncCall) ([]expr.SortKey, error) {
	if !n.AggWithinGroup {
		return nil, nil
	}
	q.inAgg++
	defer func() { q.inAgg-- }()
	keys, err := q.aggOrder(n.AggOrder)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		call.Args = append(call.Args, k.Arg.Type().OID)
	}
	return keys, nil
}

func (q *query) aggOrder(ns []ast.Node) ([]expr.SortKey, error) {
	var keys []expr.SortKey
	for _, n := range ns {
		s, ok := n.(*ast.SortBy)
		if !ok {
			return nil, unsupported(n, -1)
		}
		e, err := q.expr(s.Node)
		if err != nil {
			return nil, err
		}
		if e, err = q.b.resolveUnknown(e); err != nil {
			return nil, err
		}
		k, err := q.b.sortKey(e, s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// sortKey reads direction and place of NULLs.
func (b *binder) sortKey(e expr.Expr, s *ast.SortBy) (expr.SortKey, error) {
	k := expr.SortKey{Arg: e, Collation: collationOf(e.Type())}
	switch s.SortbyDir {
	case ast.SORTBY_DESC:
		k.Desc = true
	case ast.SORTBY_USING:
		k.Desc = opName(s.UseOp) == ">"
	}
	switch s.SortbyNulls {
	case ast.SORTBY_NULLS_FIRST:
		k.NullsFirst = true
	case ast.SORTBY_NULLS_LAST:
	default:
		k.NullsFirst = k.Desc
	}
	if ops, ok := pgfacts.DefaultBtree(e.Type().OID); !ok || ops.Less == 0 {
		if e.Type().OID != types.RecordOID {
			return k, types.Errorf(types.CodeUndefinedFunction, "could not identify an ordering operator for type %s", types.Format(e.Type().OID, -1)).
				WithHint("Use an explicit ordering operator or modify the query.").At(cmp.Or(position(locationOf(s.Node)), expr.LocationOf(e)))
		}
	}
	return k, nil
}

func (q *query) groupingFunc(n *ast.GroupingFunc) (expr.Expr, error) {
	args, err := q.exprs(n.Args)
	if err != nil {
		return nil, err
	}
	if len(args) > 31 {
		return nil, types.Errorf(types.CodeTooManyArguments, "GROUPING must have fewer than 32 arguments").At(position(n.Location))
	}
	// A parameter of its own kind of number stands for the call until the
	// grouping columns are known.
	p := &expr.Param{Num: len(q.grouping), Kind: expr.ParamExec, Typ: types.Int4Type, Location: position(n.Location)}
	q.grouping = append(q.grouping, &groupingRef{param: p, args: args, loc: n.Location})
	q.hasAgg = true
	return p, nil
}

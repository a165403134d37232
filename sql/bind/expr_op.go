package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// op applies a binary operator to bound operands.
func (b *binder) op(name string, l, r expr.Expr, loc int) (expr.Expr, error) {
	lt, rt := l.Type().OID, r.Type().OID
	m, err := pgfacts.ResolveOperator(name, lt, rt)
	if err != nil {
		return nil, at(err, loc)
	}
	if l, err = b.coerce(l, types.Of(m.Left), pgfacts.Implicit, "", loc); err != nil {
		return nil, err
	}
	if r, err = b.coerce(r, types.Of(m.Right), pgfacts.Implicit, "", loc); err != nil {
		return nil, err
	}
	return &expr.OpExpr{Op: m.Op.OID, Func: m.Op.Func, Name: m.Op.Name, Args: []expr.Expr{l, r},
		Typ: types.Of(m.Result), Collation: inputCollation(l, r), Location: position(loc)}, nil
}

func (b *binder) prefixOp(name string, r expr.Expr, loc int) (expr.Expr, error) {
	m, err := pgfacts.ResolveOperator(name, 0, r.Type().OID)
	if err != nil {
		return nil, at(err, loc)
	}
	// A negated literal is a literal.
	if c, ok := r.(*expr.Const); ok && name == "-" && !c.Value.IsNull() {
		switch c.Typ.OID {
		case types.Int4OID, types.Int8OID:
			if v := c.Value.Int(); v != -v || v == 0 {
				return &expr.Const{Value: types.NewInt(-v), Typ: c.Typ, Location: position(loc)}, nil
			}
		}
	}
	if r, err = b.coerce(r, types.Of(m.Right), pgfacts.Implicit, "", loc); err != nil {
		return nil, err
	}
	return &expr.OpExpr{Op: m.Op.OID, Func: m.Op.Func, Name: m.Op.Name, Args: []expr.Expr{r},
		Typ: types.Of(m.Result), Collation: inputCollation(r), Location: position(loc)}, nil
}

func inputCollation(es ...expr.Expr) types.OID {
	for _, e := range es {
		if c := collationOf(e.Type()); c != 0 {
			return c
		}
	}
	return 0
}

func opName(ns []ast.Node) string {
	names := stringsOf(ns)
	if len(names) == 0 {
		return ""
	}
	name := names[len(names)-1]
	if name == "!=" {
		return "<>"
	}
	return name
}

func (q *query) operator(n *ast.A_Expr) (expr.Expr, error) {
	switch n.Kind {
	case ast.AEXPR_OP:
		return q.plainOp(n)
	case ast.AEXPR_OP_ANY, ast.AEXPR_OP_ALL:
		return q.arrayOp(n)
	case ast.AEXPR_DISTINCT, ast.AEXPR_NOT_DISTINCT:
		return q.distinct(n)
	case ast.AEXPR_NULLIF:
		return q.nullIf(n)
	case ast.AEXPR_IN:
		return q.in(n)
	case ast.AEXPR_LIKE, ast.AEXPR_ILIKE, ast.AEXPR_SIMILAR:
		l, err := q.expr(n.Lexpr)
		if err != nil {
			return nil, err
		}
		r, err := q.expr(n.Rexpr)
		if err != nil {
			return nil, err
		}
		return q.b.op(opName(n.Name), l, r, n.Location)
	case ast.AEXPR_BETWEEN, ast.AEXPR_NOT_BETWEEN, ast.AEXPR_BETWEEN_SYM, ast.AEXPR_NOT_BETWEEN_SYM:
		return q.between(n)
	}
	return nil, unsupported(n, n.Location)
}

func (q *query) plainOp(n *ast.A_Expr) (expr.Expr, error) {
	name := opName(n.Name)
	if n.Lexpr == nil {
		r, err := q.expr(n.Rexpr)
		if err != nil {
			return nil, err
		}
		return q.b.prefixOp(name, r, n.Location)
	}
	// A chain of one operator leans to the left: walk it without recursion.
	chain := []*ast.A_Expr{n}
	left := n.Lexpr
	for {
		x, ok := left.(*ast.A_Expr)
		if !ok || x.Kind != ast.AEXPR_OP || x.Lexpr == nil {
			break
		}
		chain = append(chain, x)
		left = x.Lexpr
	}
	l, err := q.operand(left)
	if err != nil {
		return nil, err
	}
	for i := len(chain) - 1; i >= 0; i-- {
		x := chain[i]
		r, err := q.operand(x.Rexpr)
		if err != nil {
			return nil, err
		}
		if err := rowOfSubquery(l, r, x); err != nil {
			return nil, err
		}
		if l, err = q.compare(opName(x.Name), l, r, x.Location); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// rowOfSubquery checks that a subquery has the columns of the row it is compared
// with.
func rowOfSubquery(l, r expr.Expr, n *ast.A_Expr) error {
	row, isRow := l.(*expr.RowExpr)
	if _, isSub := n.Rexpr.(*ast.SubLink); !isRow || !isSub {
		return nil
	}
	have := 1
	if sub, ok := r.(*expr.RowExpr); ok {
		have = len(sub.Fields)
	}
	switch {
	case have < len(row.Fields):
		return types.Errorf(types.CodeSyntaxError, "subquery has too few columns").At(position(n.Location))
	case have > len(row.Fields):
		return types.Errorf(types.CodeSyntaxError, "subquery has too many columns").At(position(n.Location))
	}
	return nil
}

// operand binds an operand; a row constructor stays one for row comparison.
func (q *query) operand(n ast.Node) (expr.Expr, error) {
	if s, ok := n.(*ast.SubLink); ok && s.SubLinkType == ast.EXPR_SUBLINK {
		return q.scalarOrRow(s)
	}
	return q.expr(n)
}

// compare applies an operator, to rows field by field.
func (q *query) compare(name string, l, r expr.Expr, loc int) (expr.Expr, error) {
	lr, lok := l.(*expr.RowExpr)
	rr, rok := r.(*expr.RowExpr)
	if lok && rok && lr.Table == "" && rr.Table == "" {
		return q.b.rowCompare(name, lr.Fields, rr.Fields, loc)
	}
	return q.b.op(name, l, r, loc)
}

func (b *binder) rowCompare(name string, l, r []expr.Expr, loc int) (expr.Expr, error) {
	if len(l) != len(r) {
		return nil, types.Errorf(types.CodeSyntaxError, "unequal number of entries in row expressions").At(position(loc))
	}
	if len(l) == 0 {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "cannot compare rows of zero length").At(position(loc))
	}
	var cmp expr.RowCompareOp
	switch name {
	case "=", "<>":
		parts := make([]expr.Expr, len(l))
		for i := range l {
			e, err := b.op(name, l[i], r[i], loc)
			if err != nil {
				return nil, err
			}
			parts[i] = e
		}
		if len(parts) == 1 {
			return parts[0], nil
		}
		op := expr.And
		if name == "<>" {
			op = expr.Or
		}
		return &expr.BoolExpr{Op: op, Args: parts, Location: position(loc)}, nil
	case "<":
		cmp = expr.RowLess
	case "<=":
		cmp = expr.RowLessEqual
	case ">=":
		cmp = expr.RowGreaterEqual
	case ">":
		cmp = expr.RowGreater
	default:
		return nil, types.Errorf(types.CodeFeatureNotSupported, "could not determine interpretation of row comparison operator %s", name).
			WithHint("Row comparison operators must be associated with btree operator families.").At(position(loc))
	}
	if len(l) == 1 {
		return b.op(name, l[0], r[0], loc)
	}
	strict := name[:1]
	out := &expr.RowCompare{Cmp: cmp, Location: position(loc)}
	for i := range l {
		e, err := b.op(strict, l[i], r[i], loc)
		if err != nil {
			return nil, err
		}
		o := e.(*expr.OpExpr)
		out.Ops, out.Funcs = append(out.Ops, o.Op), append(out.Funcs, o.Func)
		out.Left, out.Right = append(out.Left, o.Args[0]), append(out.Right, o.Args[1])
	}
	return out, nil
}

func (q *query) arrayOp(n *ast.A_Expr) (expr.Expr, error) {
	l, err := q.expr(n.Lexpr)
	if err != nil {
		return nil, err
	}
	r, err := q.expr(n.Rexpr)
	if err != nil {
		return nil, err
	}
	return q.b.scalarArray(opName(n.Name), l, r, n.Kind == ast.AEXPR_OP_ALL, n.Location)
}

func (b *binder) scalarArray(name string, l, r expr.Expr, all bool, loc int) (expr.Expr, error) {
	rt := r.Type().OID
	elem := types.ElemOf(rt)
	if rt == types.UnknownOID {
		elem = types.UnknownOID
	}
	if elem == 0 {
		return nil, types.Errorf(types.CodeWrongObjectType, "op ANY/ALL (array) requires array on right side").At(position(loc))
	}
	m, err := pgfacts.ResolveOperator(name, l.Type().OID, elem)
	if err != nil {
		return nil, at(err, loc)
	}
	if m.Result != types.BoolOID {
		return nil, types.Errorf(types.CodeWrongObjectType, "op ANY/ALL (array) requires operator to yield boolean").At(position(loc))
	}
	if l, err = b.coerce(l, types.Of(m.Left), pgfacts.Implicit, "", loc); err != nil {
		return nil, err
	}
	arr := types.ArrayOf(m.Right)
	if arr == 0 {
		return nil, types.Errorf(types.CodeUndefinedObject, "could not find array type for data type %s", types.Format(m.Right, -1)).At(position(loc))
	}
	if r, err = b.coerce(r, types.Of(arr), pgfacts.Implicit, "", loc); err != nil {
		return nil, err
	}
	return &expr.ScalarArrayOp{Op: m.Op.OID, Func: m.Op.Func, Name: m.Op.Name, All: all, Left: l, Right: r,
		Collation: inputCollation(l), Location: position(loc)}, nil
}

// in binds `x IN (a, b, ...)`: one ANY over an array where all elements have a
// common type with x, else comparisons joined by OR.
func (q *query) in(n *ast.A_Expr) (expr.Expr, error) {
	l, err := q.expr(n.Lexpr)
	if err != nil {
		return nil, err
	}
	list, ok := n.Rexpr.(*ast.List)
	if !ok {
		return nil, unsupported(n.Rexpr, n.Location)
	}
	name := opName(n.Name)
	elems, err := q.exprs(list.Items)
	if err != nil {
		return nil, err
	}
	row, isRow := l.(*expr.RowExpr)
	if !isRow && len(elems) > 1 {
		if e, ok, err := q.b.inArray(name, l, elems, n.Location); ok || err != nil {
			return e, err
		}
	}
	parts := make([]expr.Expr, len(elems))
	for i, r := range elems {
		if isRow {
			rr, ok := r.(*expr.RowExpr)
			if !ok {
				return nil, types.Errorf(types.CodeSyntaxError, "unequal number of entries in row expressions").At(position(n.Location))
			}
			parts[i], err = q.b.rowCompare(name, row.Fields, rr.Fields, n.Location)
		} else {
			parts[i], err = q.b.op(name, l, r, n.Location)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	op := expr.Or
	if name == "<>" {
		op = expr.And
	}
	return &expr.BoolExpr{Op: op, Args: parts, Location: position(n.Location)}, nil
}

func (b *binder) inArray(name string, l expr.Expr, elems []expr.Expr, loc int) (expr.Expr, bool, error) {
	oids := []types.OID{l.Type().OID}
	for _, e := range elems {
		// Elements that are no constants stay comparisons, as in PostgreSQL.
		if !constant(e) {
			return nil, false, nil
		}
		oids = append(oids, e.Type().OID)
	}
	t, err := pgfacts.CommonType("", oids)
	if err != nil || t == types.RecordOID || types.ArrayOf(t) == 0 {
		return nil, false, nil
	}
	arr := &expr.ArrayExpr{Typ: types.Of(types.ArrayOf(t)), Location: position(loc)}
	for _, e := range elems {
		c, err := b.coerce(e, types.Of(t), pgfacts.Implicit, "", loc)
		if err != nil {
			return nil, false, err
		}
		arr.Elems = append(arr.Elems, c)
	}
	e, err := b.scalarArray(name, l, arr, name == "<>", loc)
	return e, err == nil, err
}

func constant(e expr.Expr) bool {
	ok := true
	expr.Walk(e, func(n expr.Expr) bool {
		switch n.(type) {
		case *expr.ColumnRef, *expr.SubqueryRef, *expr.AggRef, *expr.WindowRef:
			ok = false
		}
		return ok
	})
	return ok
}

func (q *query) between(n *ast.A_Expr) (expr.Expr, error) {
	list, ok := n.Rexpr.(*ast.List)
	if !ok || len(list.Items) != 2 {
		return nil, unsupported(n.Rexpr, n.Location)
	}
	pair := func(lo, hi ast.Node) (expr.Expr, error) {
		var parts [2]expr.Expr
		ops := [2]string{">=", "<="}
		if n.Kind == ast.AEXPR_NOT_BETWEEN || n.Kind == ast.AEXPR_NOT_BETWEEN_SYM {
			ops = [2]string{"<", ">"}
		}
		for i, bound := range [2]ast.Node{lo, hi} {
			l, err := q.expr(n.Lexpr)
			if err != nil {
				return nil, err
			}
			r, err := q.expr(bound)
			if err != nil {
				return nil, err
			}
			if parts[i], err = q.compare(ops[i], l, r, n.Location); err != nil {
				return nil, err
			}
		}
		op := expr.And
		if ops[0] == "<" {
			op = expr.Or
		}
		return &expr.BoolExpr{Op: op, Args: parts[:], Location: position(n.Location)}, nil
	}
	first, err := pair(list.Items[0], list.Items[1])
	if err != nil || n.Kind == ast.AEXPR_BETWEEN || n.Kind == ast.AEXPR_NOT_BETWEEN {
		return first, err
	}
	second, err := pair(list.Items[1], list.Items[0])
	if err != nil {
		return nil, err
	}
	op := expr.Or
	if n.Kind == ast.AEXPR_NOT_BETWEEN_SYM {
		op = expr.And
	}
	return &expr.BoolExpr{Op: op, Args: []expr.Expr{first, second}, Location: position(n.Location)}, nil
}

func (q *query) pairOf(n *ast.A_Expr) (l, r expr.Expr, err error) {
	if l, err = q.expr(n.Lexpr); err != nil {
		return nil, nil, err
	}
	r, err = q.expr(n.Rexpr)
	return l, r, err
}

func (q *query) distinct(n *ast.A_Expr) (expr.Expr, error) {
	l, r, err := q.pairOf(n)
	if err != nil {
		return nil, err
	}
	lr, lok := l.(*expr.RowExpr)
	rr, rok := r.(*expr.RowExpr)
	var e expr.Expr
	if lok && rok {
		if len(lr.Fields) != len(rr.Fields) {
			return nil, types.Errorf(types.CodeSyntaxError, "unequal number of entries in row expressions").At(position(n.Location))
		}
		or := &expr.BoolExpr{Op: expr.Or, Location: position(n.Location)}
		for i := range lr.Fields {
			p, err := q.b.distinctPair(lr.Fields[i], rr.Fields[i], n.Location)
			if err != nil {
				return nil, err
			}
			or.Args = append(or.Args, p)
		}
		if e = or; len(or.Args) == 1 {
			e = or.Args[0]
		}
	} else if e, err = q.b.distinctPair(l, r, n.Location); err != nil {
		return nil, err
	}
	if n.Kind == ast.AEXPR_NOT_DISTINCT {
		e = &expr.BoolExpr{Op: expr.Not, Args: []expr.Expr{e}, Location: position(n.Location)}
	}
	return e, nil
}

func (b *binder) distinctPair(l, r expr.Expr, loc int) (expr.Expr, error) {
	e, err := b.op("=", l, r, loc)
	if err != nil {
		return nil, err
	}
	o := e.(*expr.OpExpr)
	return &expr.DistinctExpr{Op: o.Op, Func: o.Func, Name: o.Name, Left: o.Args[0], Right: o.Args[1],
		Collation: o.Collation, Location: position(loc)}, nil
}

func (q *query) nullIf(n *ast.A_Expr) (expr.Expr, error) {
	l, r, err := q.pairOf(n)
	if err != nil {
		return nil, err
	}
	e, err := q.b.op("=", l, r, n.Location)
	if err != nil {
		return nil, err
	}
	o := e.(*expr.OpExpr)
	if o.Typ.OID != types.BoolOID {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "NULLIF requires = operator to yield boolean").At(position(n.Location))
	}
	return &expr.NullIf{Op: o.Op, Func: o.Func, Left: o.Args[0], Right: o.Args[1], Typ: o.Args[0].Type(),
		Collation: o.Collation, Location: position(n.Location)}, nil
}

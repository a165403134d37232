package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// Functions that ARRAY(subquery) is made of.
const (
	arrayAggOID      types.OID = 2335
	arrayAggArrayOID types.OID = 4053
)

// subLink binds a subquery in an expression.
func (q *query) subLink(n *ast.SubLink) (expr.Expr, error) {
	if err := q.checkSubquery(n.Location); err != nil {
		return nil, err
	}
	sel, ok := n.Subselect.(*ast.SelectStmt)
	if !ok {
		return nil, unsupported(n.Subselect, n.Location)
	}
	rel, err := q.b.selectStmt(q, sel, nil)
	if err != nil {
		return nil, err
	}
	loc := position(n.Location)
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		return &expr.SubqueryRef{Kind: expr.SubExists, Plan: rel, Typ: types.BoolType, Location: loc}, nil
	case ast.EXPR_SUBLINK, ast.ARRAY_SUBLINK:
		if len(rel.cols) != 1 {
			return nil, types.Errorf(types.CodeSyntaxError, "subquery must return only one column").At(loc)
		}
		if rel, err = q.b.settleUnknown(rel); err != nil {
			return nil, err
		}
		if n.SubLinkType == ast.ARRAY_SUBLINK {
			return q.b.arraySubquery(rel, loc)
		}
		return &expr.SubqueryRef{Kind: expr.SubScalar, Plan: rel, Params: []int{0}, Typ: rel.cols[0].typ, Location: loc}, nil
	case ast.ANY_SUBLINK, ast.ALL_SUBLINK:
		return q.quantified(n, rel)
	}
	return nil, unsupported(n, n.Location)
}

func (q *query) checkSubquery(loc int) error {
	switch q.clause {
	case clauseCheck:
		return types.Errorf(types.CodeFeatureNotSupported, "cannot use subquery in check constraint").At(position(loc))
	case clauseDefault:
		return types.Errorf(types.CodeFeatureNotSupported, "cannot use subquery in DEFAULT expression").At(position(loc))
	case clauseIndex:
		return types.Errorf(types.CodeFeatureNotSupported, "cannot use subquery in index expression").At(position(loc))
	}
	return nil
}

// scalarOrRow binds a subquery that is compared with a row: several columns
// make a row of it.
func (q *query) scalarOrRow(n *ast.SubLink) (expr.Expr, error) {
	sel, ok := n.Subselect.(*ast.SelectStmt)
	if !ok {
		return nil, unsupported(n.Subselect, n.Location)
	}
	if err := q.checkSubquery(n.Location); err != nil {
		return nil, err
	}
	rel, err := q.b.selectStmt(q, sel, nil)
	if err != nil {
		return nil, err
	}
	if rel, err = q.b.settleUnknown(rel); err != nil {
		return nil, err
	}
	fields := subqueryFields(rel, position(n.Location))
	if len(fields) == 1 {
		return fields[0], nil
	}
	return &expr.RowExpr{Fields: fields, Names: make([]string, len(fields)), Typ: types.RecordType, Location: position(n.Location)}, nil
}

// subqueryFields refers to each column of a subquery of one row.
func subqueryFields(rel *relation, loc int) []expr.Expr {
	out := make([]expr.Expr, len(rel.cols))
	for i, c := range rel.cols {
		out[i] = &expr.SubqueryRef{Kind: expr.SubScalar, Plan: rel, Params: []int{i}, Typ: c.typ, Location: loc}
	}
	return out
}

func (q *query) quantified(n *ast.SubLink, rel *relation) (expr.Expr, error) {
	left, err := q.expr(n.Testexpr)
	if err != nil {
		return nil, err
	}
	ls := []expr.Expr{left}
	if row, ok := left.(*expr.RowExpr); ok {
		ls = row.Fields
	}
	loc := n.Location
	switch {
	case len(ls) < len(rel.cols):
		return nil, types.Errorf(types.CodeSyntaxError, "subquery has too many columns").At(position(loc))
	case len(ls) > len(rel.cols):
		return nil, types.Errorf(types.CodeSyntaxError, "subquery has too few columns").At(position(loc))
	}
	if rel, err = q.b.settleUnknown(rel); err != nil {
		return nil, err
	}
	name := "="
	if len(n.OperName) > 0 {
		name = opName(n.OperName)
	}
	rs := make([]expr.Expr, len(rel.cols))
	for i, c := range rel.cols {
		rs[i] = q.b.ref(c.id, c.typ)
	}
	test, err := q.b.rowCompareOrOp(name, ls, rs, loc)
	if err != nil {
		return nil, err
	}
	if test.Type().OID != types.BoolOID {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "row comparison operator must yield type boolean, not type %s",
			types.Format(test.Type().OID, -1)).At(position(loc))
	}
	kind := expr.SubAny
	if n.SubLinkType == ast.ALL_SUBLINK {
		kind = expr.SubAll
	}
	return &expr.SubqueryRef{Kind: kind, Plan: rel, Test: test, Typ: types.BoolType, Location: position(loc)}, nil
}

func (b *binder) rowCompareOrOp(name string, l, r []expr.Expr, loc int) (expr.Expr, error) {
	if len(l) == 1 {
		return b.op(name, l[0], r[0], loc)
	}
	return b.rowCompare(name, l, r, loc)
}

// arraySubquery makes ARRAY(SELECT ...) an aggregate over the subquery.
func (b *binder) arraySubquery(rel *relation, loc int) (expr.Expr, error) {
	c := rel.cols[0]
	arr, fn := types.ArrayOf(c.typ.OID), arrayAggOID
	if types.ElemOf(c.typ.OID) != 0 {
		arr, fn = c.typ.OID, arrayAggArrayOID
	}
	if arr == 0 {
		return nil, types.Errorf(types.CodeUndefinedObject, "could not find array type for data type %s", types.Format(c.typ.OID, -1)).At(loc)
	}
	t := types.Of(arr)
	id := b.newCol("array", t)
	out := plan.Column{ID: id, Name: "array", Type: t}
	agg := &plan.Aggregate{Base: plan.Base{Out: []plan.Column{out}}, Input: rel.node, Aggs: []plan.AggCall{{
		Call: &expr.AggRef{Func: fn, Name: "array_agg", Args: []expr.Expr{b.ref(c.id, c.typ)}, Typ: t}, Out: out,
	}}}
	inner := &relation{node: agg, cols: []outCol{{name: "array", id: id, typ: t}}}
	ref := &expr.SubqueryRef{Kind: expr.SubScalar, Plan: inner, Params: []int{0}, Typ: t, Location: loc}
	return &expr.Coalesce{Args: []expr.Expr{ref, &expr.ArrayExpr{Typ: t}}, Typ: t, Location: loc}, nil
}

// planter turns the subqueries of expressions into Apply nodes over node.
type planter struct {
	b    *binder
	node plan.Node
	done map[*relation]struct{} // scalar subqueries planted already
	// guard is what must be true for the subqueries planted now to be wanted.
	guard expr.Expr
}

// plant returns e with columns in place of its subqueries, which are computed
// above p.node from then on.
func (p *planter) plant(e expr.Expr) expr.Expr {
	if e == nil || !expr.HasSubquery(e) {
		return e
	}
	return expr.RewriteTop(e, func(n expr.Expr) (expr.Expr, bool) {
		switch n := n.(type) {
		case *expr.CaseExpr:
			return p.plantCase(n), true
		case *expr.SubqueryRef:
			return p.plantRef(n), true
		}
		return nil, false
	})
}

// plantCase plants the subqueries of a CASE so that those of an arm run only
// for rows that reach it.
func (p *planter) plantCase(n *expr.CaseExpr) expr.Expr {
	c := *n
	c.Whens = append([]expr.When(nil), n.Whens...)
	c.Arg = p.plant(n.Arg)
	outer := p.guard
	defer func() { p.guard = outer }()
	for i, w := range n.Whens {
		cond := p.plant(w.Cond)
		c.Whens[i].Cond = cond
		if c.Arg != nil {
			// The conditions stand for comparisons with the CASE's argument.
			cond = expr.Rewrite(cond, func(e expr.Expr) expr.Expr {
				if _, ok := e.(*expr.CaseTest); ok {
					return c.Arg
				}
				return e
			})
		}
		before := p.guard
		p.guard = both(before, &expr.BooleanTest{Arg: cond, Test: expr.IsTrue})
		c.Whens[i].Result = p.plant(w.Result)
		p.guard = both(before, &expr.BooleanTest{Arg: cond, Test: expr.IsNotTrue})
	}
	c.Else = p.plant(n.Else)
	return &c
}

func both(a, b expr.Expr) expr.Expr {
	if a == nil {
		return b
	}
	return &expr.BoolExpr{Op: expr.And, Args: []expr.Expr{a, b}}
}

// plantRef plants one subquery; its left operands may hold others.
func (p *planter) plantRef(s *expr.SubqueryRef) expr.Expr {
	rel := s.Plan.(*relation)
	switch s.Kind {
	case expr.SubScalar:
		return p.scalar(rel, s.Params[0])
	case expr.SubExists:
		return p.mark(rel, nil, false, "exists")
	case expr.SubAll:
		return p.mark(rel, p.plant(s.Test), true, "all")
	}
	return p.mark(rel, p.plant(s.Test), false, "any")
}

func (p *planter) plantAll(es []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(es))
	for i, e := range es {
		out[i] = p.plant(e)
	}
	return out
}

func (p *planter) scalar(rel *relation, field int) expr.Expr {
	if _, ok := p.done[rel]; !ok {
		if p.done == nil {
			p.done = make(map[*relation]struct{})
		}
		p.done[rel] = struct{}{}
		cols := columnsOf(rel)
		out := append(append([]plan.Column(nil), p.node.Columns()...), cols...)
		p.node = &plan.Apply{Base: plan.Base{Out: out}, Type: plan.ScalarJoin, Left: p.node, Right: narrow(rel), Guard: p.guard}
	}
	c := rel.cols[field]
	// To the client the value is computed, not a table's column.
	p.b.meta[c.id].table, p.b.meta[c.id].attr = 0, 0
	return p.b.ref(c.id, c.typ)
}

func (p *planter) mark(rel *relation, test expr.Expr, all bool, name string) expr.Expr {
	id := p.b.newCol(name, types.BoolType)
	out := append(append([]plan.Column(nil), p.node.Columns()...), plan.Column{ID: id, Name: name, Type: types.BoolType})
	p.node = &plan.Apply{Base: plan.Base{Out: out}, Type: plan.MarkJoin, Left: p.node, Right: rel.node,
		Mark: id, MarkCond: test, MarkAll: all, Guard: p.guard}
	return p.b.ref(id, types.BoolType)
}

func columnsOf(rel *relation) []plan.Column {
	out := make([]plan.Column, len(rel.cols))
	for i, c := range rel.cols {
		out[i] = plan.Column{ID: c.id, Name: c.name, Type: c.typ}
	}
	return out
}

// narrow returns rel's node putting out exactly rel's columns.
func narrow(rel *relation) plan.Node {
	have := rel.node.Columns()
	same := len(have) == len(rel.cols)
	for i := range have {
		same = same && have[i].ID == rel.cols[i].id
	}
	if same {
		return rel.node
	}
	p := &plan.Project{Base: plan.Base{Out: columnsOf(rel)}, Input: rel.node}
	for _, c := range rel.cols {
		p.Exprs = append(p.Exprs, &expr.ColumnRef{ID: c.id, Typ: c.typ, Collation: collationOf(c.typ), Name: c.name})
	}
	return p
}

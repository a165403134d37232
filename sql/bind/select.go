package bind

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// target is an entry of a select list; junk ones are there for ORDER BY and
// DISTINCT ON only.
type target struct {
	name string
	e    expr.Expr
	loc  int
	junk bool
}

// order is an ORDER BY entry: a place in the select list.
type order struct {
	target int
	key    expr.SortKey // Arg is not used
}

// selecting is a plain SELECT while it is bound.
type selecting struct {
	*query
	stmt       *ast.SelectStmt
	node       plan.Node
	targets    []target
	where      expr.Expr
	having     expr.Expr
	groups     []expr.Expr
	sets       [][]int
	orders     []order
	distinctOn []int
	distinct   bool
	count      expr.Expr
	offset     expr.Expr
	locks      []plan.LockTarget
	grouped    bool
}

// selectStmt binds a query. locks are locking clauses of an enclosing query
// that reach into this one.
func (b *binder) selectStmt(parent *query, s *ast.SelectStmt, locks []ast.Node) (*relation, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	q := b.newQuery(parent)
	with, err := q.with(s.WithClause)
	if err != nil {
		return nil, err
	}
	var rel *relation
	switch {
	case s.Op == ast.SETOP_UNION || s.Op == ast.SETOP_INTERSECT || s.Op == ast.SETOP_EXCEPT:
		rel, err = q.setOp(s)
	case len(s.ValuesLists) > 0:
		rel, err = q.values(s)
	default:
		rel, err = q.simple(s, locks)
	}
	if err != nil {
		return nil, err
	}
	return with(rel), nil
}

func (q *query) simple(s *ast.SelectStmt, locks []ast.Node) (*relation, error) {
	sel := &selecting{query: q, stmt: s}
	if err := sel.bindParts(append(append([]ast.Node(nil), s.LockingClause...), locks...)); err != nil {
		return nil, err
	}
	return sel.assemble()
}

// bindParts binds the clauses in PostgreSQL's order, so that the first error is
// the same.
func (s *selecting) bindParts(locks []ast.Node) (err error) {
	st := s.stmt
	if s.node, err = s.from(st.FromClause); err != nil {
		return err
	}
	if err := s.bindWindows(st.WindowClause); err != nil {
		return err
	}
	if s.targets, err = s.selectList(st.TargetList, clauseSelect); err != nil {
		return err
	}
	if s.where, err = s.condition(st.WhereClause, clauseWhere, "WHERE"); err != nil {
		return err
	}
	if s.having, err = s.condition(st.HavingClause, clauseHaving, "HAVING"); err != nil {
		return err
	}
	if s.orders, err = s.orderBy(st.SortClause); err != nil {
		return err
	}
	if err = s.groupBy(st.GroupClause); err != nil {
		return err
	}
	if err = s.bindDistinct(st.DistinctClause); err != nil {
		return err
	}
	if s.offset, err = s.limit(st.LimitOffset, clauseOffset); err != nil {
		return err
	}
	if s.count, err = s.limit(st.LimitCount, clauseLimit); err != nil {
		return err
	}
	if st.LimitOption == ast.LIMIT_OPTION_WITH_TIES && len(s.orders) == 0 {
		return types.Errorf(types.CodeSyntaxError, "WITH TIES cannot be specified without ORDER BY clause")
	}
	s.grouped = s.hasAgg || len(st.GroupClause) > 0 || s.having != nil
	return s.locking(locks)
}

// maxTargets bounds the columns of a result: clients count them in 16 bits and
// PostgreSQL in fewer.
const maxTargets = 1664

func (q *query) selectList(ns []ast.Node, c clause) ([]target, error) {
	saved := q.clause
	q.clause = c
	defer func() { q.clause = saved }()
	var out []target
	for _, n := range ns {
		rt, ok := n.(*ast.ResTarget)
		if !ok {
			return nil, unsupported(n, -1)
		}
		if star, ok := isStar(rt.Val); ok {
			ts, err := q.star(star)
			if err != nil {
				return nil, err
			}
			out = append(out, ts...)
			continue
		}
		if ts, ok, err := q.rowStar(rt.Val); ok || err != nil {
			if err != nil {
				return nil, err
			}
			out = append(out, ts...)
			continue
		}
		e, err := q.expr(rt.Val)
		if err != nil {
			return nil, err
		}
		name := rt.Name
		if name == "" {
			name = figureName(rt.Val)
		}
		out = append(out, target{name: name, e: e, loc: rt.Location})
	}
	if len(out) > maxTargets {
		return nil, types.Errorf(types.CodeTooManyColumns, "target lists can have at most %d entries", maxTargets)
	}
	return out, nil
}

func (q *query) condition(n ast.Node, c clause, what string) (expr.Expr, error) {
	if n == nil {
		return nil, nil
	}
	saved := q.clause
	q.clause = c
	defer func() { q.clause = saved }()
	e, err := q.expr(n)
	if err != nil {
		return nil, err
	}
	return q.b.boolean(e, what)
}

func (q *query) limit(n ast.Node, c clause) (expr.Expr, error) {
	if n == nil {
		return nil, nil
	}
	saved := q.clause
	q.clause = c
	defer func() { q.clause = saved }()
	if k, ok := n.(*ast.A_Const); ok && k.Isnull {
		return nil, nil
	}
	e, err := q.expr(n)
	if err != nil {
		return nil, err
	}
	name := clauseNames[c]
	if e.Type().OID == types.UnknownOID || e.Type().OID != types.Int8OID {
		if !pgfacts.CanCoerce(e.Type().OID, types.Int8OID, pgfacts.Assignment) {
			return nil, types.Errorf(types.CodeDatatypeMismatch, "argument of %s must be type bigint, not type %s", name,
				types.Format(e.Type().OID, -1)).At(expr.LocationOf(e))
		}
		if e, err = q.b.coerce(e, types.Int8Type, pgfacts.Assignment, "", -1); err != nil {
			return nil, err
		}
	}
	var bad error
	expr.Columns(e, func(col *expr.ColumnRef) {
		for _, it := range q.items {
			for i := range it.cols {
				if it.cols[i].id == col.ID {
					bad = types.Errorf(types.CodeInvalidColumnReference, "argument of %s must not contain variables", name).At(expr.LocationOf(col))
				}
			}
		}
	})
	return e, bad
}

// assemble builds the plan bottom-up in the order of evaluation.
func (s *selecting) assemble() (*relation, error) {
	b := s.b
	if s.where != nil {
		s.node = b.filter(s.node, expr.Conjuncts(nil, s.where))
	}
	if s.grouped {
		if err := s.aggregateStep(); err != nil {
			return nil, err
		}
	}
	if s.hasWindow {
		if err := s.windowStep(); err != nil {
			return nil, err
		}
	}
	if s.hasSRF {
		s.setStep()
	}
	late := s.postponed()
	cols, junk := s.project(late)
	if s.distinct && len(s.distinctOn) == 0 {
		s.node = b.distinctNode(s.node, cols[:len(cols)-junk], false)
	}
	keys := s.sortKeys(cols)
	if len(keys) > 0 {
		s.node = &plan.Sort{Base: plan.Base{Out: s.node.Columns()}, Input: s.node, Keys: keys}
	}
	if len(s.distinctOn) > 0 {
		var on []outCol
		for _, i := range s.distinctOn {
			on = append(on, cols[i])
		}
		s.node = b.distinctNode(s.node, on, len(keys) > 0)
	}
	if len(s.locks) > 0 {
		s.node = &plan.LockRows{Base: plan.Base{Out: s.node.Columns()}, Input: s.node, Targets: s.locks}
	}
	if len(late) > 0 {
		s.node = s.projectLate(late, cols)
	}
	if s.count != nil || s.offset != nil {
		s.node = s.limitNode(s.node, keys)
	}
	rel := &relation{s.node, cols[:len(cols)-junk]}
	rel.node = narrow(rel)
	return rel, nil
}

// limitNode puts LIMIT and OFFSET above n. Subqueries in them are computed once,
// beside the query: their values reach the limit as those of an Apply.
func (s *selecting) limitNode(n plan.Node, keys []plan.SortKey) plan.Node {
	p := planter{b: s.b, node: oneRow()}
	l := &plan.Limit{Base: plan.Base{Out: n.Columns()}, Input: n, Count: p.plant(s.count), Offset: p.plant(s.offset)}
	if s.stmt.LimitOption == ast.LIMIT_OPTION_WITH_TIES {
		l.WithTies, l.Ties = true, keys
	}
	if len(p.node.Columns()) == 0 {
		return l
	}
	out := append(append([]plan.Column(nil), p.node.Columns()...), l.Out...)
	return &plan.Apply{Base: plan.Base{Out: out}, Type: plan.InnerJoin, Left: p.node, Right: l}
}

func (b *binder) filter(n plan.Node, conds []expr.Expr) plan.Node {
	if len(conds) == 0 {
		return n
	}
	// Conditions without subqueries come first: they are cheap, and what is
	// above an Apply cannot be pushed below it without thought.
	var plain, sub []expr.Expr
	for _, c := range conds {
		if expr.HasSubquery(c) {
			sub = append(sub, c)
		} else {
			plain = append(plain, c)
		}
	}
	if len(plain) > 0 {
		n = &plan.Filter{Base: plan.Base{Out: n.Columns()}, Input: n, Conds: plain}
	}
	if len(sub) == 0 {
		return n
	}
	out := n.Columns()
	p := planter{b: b, node: n}
	sub = p.plantAll(sub)
	f := &plan.Filter{Base: plan.Base{Out: p.node.Columns()}, Input: p.node, Conds: sub}
	return narrowTo(f, out)
}

// narrowTo drops all columns but out.
func narrowTo(n plan.Node, out []plan.Column) plan.Node {
	if len(n.Columns()) == len(out) {
		return n
	}
	p := &plan.Project{Base: plan.Base{Out: out}, Input: n}
	for _, c := range out {
		p.Exprs = append(p.Exprs, &expr.ColumnRef{ID: c.ID, Typ: c.Type, Collation: collationOf(c.Type), Name: c.Name})
	}
	return p
}

// postponed lists the targets that are computed once the rows are in order: those
// that are volatile, such as nextval, and are not what the rows are ordered by.
func (s *selecting) postponed() map[int]bool {
	if len(s.orders) == 0 || s.distinct || len(s.distinctOn) > 0 {
		return nil
	}
	var late map[int]bool
	for i, t := range s.targets {
		isKey := slices.ContainsFunc(s.orders, func(o order) bool { return o.target == i })
		if !isKey && expr.VolatilityOf(t.e) == expr.Volatile && !expr.HasSubquery(t.e) {
			if late == nil {
				late = map[int]bool{}
			}
			late[i] = true
		}
	}
	return late
}

// projectLate computes the postponed targets above the rows in order.
func (s *selecting) projectLate(late map[int]bool, cols []outCol) plan.Node {
	p := &plan.Project{Input: s.node}
	for i, c := range cols {
		e := expr.Expr(s.b.ref(c.id, c.typ))
		if late[i] {
			e = s.targets[i].e
		}
		p.Exprs = append(p.Exprs, e)
		p.Out = append(p.Out, plan.Column{ID: c.id, Name: c.name, Type: c.typ})
	}
	return p
}

// project computes the select list, but for what is postponed, and returns its
// columns, junk ones last.
func (s *selecting) project(late map[int]bool) (cols []outCol, junk int) {
	p := planter{b: s.b, node: s.node}
	es := make([]expr.Expr, len(s.targets))
	for i, t := range s.targets {
		if es[i] = t.e; !late[i] {
			es[i] = p.plant(t.e)
		}
	}
	out := &plan.Project{Input: p.node}
	for i, t := range s.targets {
		if late[i] {
			cols = append(cols, outCol{t.name, s.b.newCol(t.name, t.e.Type()), t.e.Type(), expr.LocationOf(t.e)})
			continue
		}
		out.Exprs = append(out.Exprs, es[i])
		id := plan.ColID(0)
		// A column of an enclosing query gets a number of its own here: the
		// parameter that brings it in is not what this query puts out.
		if r, ok := es[i].(*expr.ColumnRef); ok && hasColumn(p.node, r.ID) {
			id = r.ID
		} else {
			id = s.b.newCol(t.name, es[i].Type())
		}
		cols = append(cols, outCol{t.name, id, es[i].Type(), expr.LocationOf(t.e)})
		out.Out = append(out.Out, plan.Column{ID: id, Name: t.name, Type: es[i].Type()})
		if t.junk {
			junk++
		}
	}
	s.node = out
	for i, t := range s.targets {
		if late[i] {
			s.keepColumns(out, t.e)
		}
	}
	return cols, junk
}

// keepColumns lets the columns that an expression reads pass through a projection.
func (s *selecting) keepColumns(p *plan.Project, e expr.Expr) {
	expr.Columns(e, func(c *expr.ColumnRef) {
		if hasColumn(p.Input, c.ID) && !hasColumn(p, c.ID) {
			p.Exprs = append(p.Exprs, c)
			p.Out = append(p.Out, plan.Column{ID: c.ID, Name: c.Name, Type: c.Typ})
		}
	})
}

func hasColumn(n plan.Node, id plan.ColID) bool {
	for _, c := range n.Columns() {
		if c.ID == id {
			return true
		}
	}
	return false
}

func (s *selecting) sortKeys(cols []outCol) []plan.SortKey {
	var keys []plan.SortKey
	seen := make(plan.ColSet)
	for _, o := range s.orders {
		id := cols[o.target].id
		if seen.Has(id) {
			continue
		}
		seen.Add(id)
		keys = append(keys, plan.SortKey{Col: id, Desc: o.key.Desc, NullsFirst: o.key.NullsFirst, Collation: o.key.Collation})
	}
	return keys
}

func (b *binder) distinctNode(n plan.Node, cols []outCol, sorted bool) plan.Node {
	d := &plan.Distinct{Base: plan.Base{Out: n.Columns()}, Input: n, Sorted: sorted}
	seen := make(plan.ColSet)
	for _, c := range cols {
		if !seen.Has(c.id) {
			seen.Add(c.id)
			d.On = append(d.On, c.id)
		}
	}
	return d
}

// setStep expands set-returning functions of the select list. Nested ones are
// expanded from the inside out.
func (s *selecting) setStep() {
	for {
		p := planter{b: s.b, node: s.node}
		for i := range s.targets {
			s.targets[i].e = p.plant(s.targets[i].e)
		}
		ps := &plan.ProjectSet{Input: p.node}
		ps.Out = append(ps.Out, p.node.Columns()...)
		for i := range s.targets {
			s.targets[i].e = expr.RewriteTop(s.targets[i].e, func(e expr.Expr) (expr.Expr, bool) { return s.takeSet(ps, e) })
		}
		if len(ps.Calls) == 0 {
			return
		}
		s.node = ps
	}
}

// takeSet moves a set-returning call without another one inside into ps.
func (s *selecting) takeSet(ps *plan.ProjectSet, e expr.Expr) (expr.Expr, bool) {
	f, ok := e.(*expr.FuncExpr)
	if !ok || !f.ReturnSet {
		return nil, false
	}
	for _, a := range f.Args {
		if hasSet(a) {
			return nil, false
		}
	}
	for i, c := range ps.Calls {
		if equal(c, f) {
			o := ps.Out[len(ps.Out)-len(ps.Calls)+i]
			return s.b.ref(o.ID, o.Type), true
		}
	}
	id := s.b.newCol(f.Name, f.Typ)
	ps.Calls = append(ps.Calls, f)
	ps.Out = append(ps.Out, plan.Column{ID: id, Name: f.Name, Type: f.Typ})
	return s.b.ref(id, f.Typ), true
}

func hasSet(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		if f, ok := n.(*expr.FuncExpr); ok && f.ReturnSet {
			found = true
		}
		return !found
	})
	return found
}

// values binds a VALUES list as a query.
func (q *query) values(s *ast.SelectStmt) (*relation, error) {
	q.clause = clauseValues
	rows, err := q.valueRows(s.ValuesLists)
	if err != nil {
		return nil, err
	}
	width := len(rows[0])
	rel := &relation{}
	cols := make([][]expr.Expr, width)
	outs := make([]plan.Column, width)
	for c := range cols {
		es := make([]expr.Expr, len(rows))
		for r := range rows {
			es[r] = rows[r][c]
		}
		t := es[0].Type()
		if len(rows) > 1 {
			if es, t, err = q.b.common("VALUES", es, -1); err != nil {
				return nil, err
			}
		}
		cols[c] = es
		name := "column" + itoa(c+1)
		id := q.b.newCol(name, t)
		outs[c] = plan.Column{ID: id, Name: name, Type: t}
		rel.cols = append(rel.cols, outCol{name, id, t, expr.LocationOf(es[0])})
	}
	rel.node = q.b.valuesNode(cols, len(rows), outs)
	return q.queryTail(rel, s)
}

// valuesNode makes rows of columns of expressions; rows with subqueries become
// a union of projections.
func (b *binder) valuesNode(cols [][]expr.Expr, rows int, outs []plan.Column) plan.Node {
	v := &plan.Values{Base: plan.Base{Out: outs}}
	sub := false
	for r := 0; r < rows; r++ {
		row := make([]plan.Scalar, len(cols))
		for c := range cols {
			row[c] = cols[c][r]
		}
		sub = sub || hasSubquery(row)
		v.Rows = append(v.Rows, row)
	}
	if !sub {
		return v
	}
	var node plan.Node
	for _, row := range v.Rows {
		p := planter{b: b, node: oneRow()}
		one := &plan.Project{Exprs: p.plantAll(row), Base: plan.Base{Out: outs}}
		one.Input = p.node
		if node == nil {
			node = one
			continue
		}
		// Each branch needs ids of its own.
		one.Out = nil
		ids, right := make([]plan.ColID, len(outs)), make([]plan.ColID, len(outs))
		for i, o := range outs {
			right[i] = b.newCol(o.Name, o.Type)
			one.Out = append(one.Out, plan.Column{ID: right[i], Name: o.Name, Type: o.Type})
			ids[i] = node.Columns()[i].ID
		}
		fresh := make([]plan.Column, len(outs))
		for i, o := range outs {
			fresh[i] = plan.Column{ID: b.newCol(o.Name, o.Type), Name: o.Name, Type: o.Type}
		}
		node = &plan.SetOp{Base: plan.Base{Out: fresh}, Op: plan.Union, All: true, Left: node, Right: one, LeftCols: ids, RightCols: right}
	}
	if have := node.Columns(); have[0].ID != outs[0].ID {
		p := &plan.Project{Base: plan.Base{Out: outs}, Input: node}
		for _, c := range have {
			p.Exprs = append(p.Exprs, b.ref(c.ID, c.Type))
		}
		return p
	}
	return node
}

func (q *query) valueRows(lists []ast.Node) ([][]expr.Expr, error) {
	var rows [][]expr.Expr
	for _, l := range lists {
		list, ok := l.(*ast.List)
		if !ok {
			return nil, unsupported(l, -1)
		}
		row, err := q.exprs(list.Items)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 && len(row) != len(rows[0]) {
			loc := 0
			if len(row) > 0 {
				loc = expr.LocationOf(row[0])
			}
			return nil, types.Errorf(types.CodeSyntaxError, "VALUES lists must all be the same length").At(loc)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

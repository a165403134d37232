package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

const (
	nextvalOID types.OID = 1574
)

// targetTable resolves the table that a statement changes.
func (b *binder) targetTable(n *ast.RangeVar, q *query, verb string) (*catalog.Table, error) {
	if q.findCTE(n.Relname) != nil && n.Schemaname == "" {
		if _, ok := b.resolver.Relation(catalog.Name{Name: n.Relname}); !ok {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "relation \"%s\" cannot be the target of a modifying statement", n.Relname).At(position(n.Location))
		}
	}
	d, err := b.relation(n)
	if err != nil {
		return nil, err
	}
	t, ok := d.(*catalog.Table)
	v, isView := d.(*catalog.View)
	switch {
	case isView:
		return nil, b.viewTarget(v, n.Relname, verb)
	case !ok:
		return nil, types.Errorf(types.CodeWrongObjectType, "cannot change %s \"%s\"", d.Kind(), n.Relname)
	case t.Virtual:
		return nil, types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system catalog", n.Relname)
	}
	if err := b.allowed(t, map[string]byte{"insert into": 'a', "update": 'w', "delete from": 'd'}[verb]); err != nil {
		return nil, err
	}
	return t, nil
}

// writer builds a Mutation.
type writer struct {
	*query
	table *catalog.Table
	alias string
	m     *plan.Mutation
	reads bool // columns of the table, other than by writing them
}

func (b *binder) newWriter(q *query, t *catalog.Table, rv *ast.RangeVar, op plan.MutationOp) *writer {
	alias := rv.Relname
	if rv.Alias != nil {
		alias = rv.Alias.Aliasname
	}
	return &writer{query: q, table: t, alias: alias, m: &plan.Mutation{Op: op, Table: t, Alias: alias}}
}

// rowItem shows one of the mutation's rows as a FROM entry.
func (w *writer) rowItem(alias string, ids []plan.ColID) *item {
	it := &item{alias: alias, relVisible: true, colsVisible: true, table: w.table}
	for i := range w.table.Columns {
		if c := &w.table.Columns[i]; ids[i] != 0 {
			it.cols = append(it.cols, column{name: c.Name, id: ids[i], typ: c.Type, hidden: c.Hidden || !c.State.Readable()})
		}
	}
	w.watch(ids)
	return it
}

// watch takes note of whether columns of the table's rows are read.
func (w *writer) watch(ids []plan.ColID) {
	if w.b.rows == nil {
		w.b.rows = make(map[plan.ColID]*writer)
	}
	for _, id := range ids {
		if id != 0 {
			w.b.rows[id] = w
		}
	}
}

// mayRead fails if the statement reads the table without the privilege to.
func (w *writer) mayRead() error {
	if !w.reads {
		return nil
	}
	return w.b.allowed(w.table, 'r')
}

// newRow makes ids for a row of the table.
func (w *writer) newRow() []plan.ColID {
	ids := make([]plan.ColID, len(w.table.Columns))
	for i := range w.table.Columns {
		ids[i] = w.b.tableCol(w.table, &w.table.Columns[i], w.alias)
	}
	return ids
}

// onRow moves a stored expression, whose columns are column ids of the table,
// onto a row of the mutation.
func (w *writer) onRow(e expr.Expr, ids []plan.ColID) expr.Expr {
	return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
		i := w.table.Ordinal(catalog.ColumnID(c.ID))
		if i < 0 {
			return c
		}
		return w.b.ref(ids[i], w.table.Columns[i].Type)
	})
}

// constraints fills in what every new row must pass, and what indexes need.
func (w *writer) constraints() {
	for i := range w.table.Columns {
		c := &w.table.Columns[i]
		if !c.State.Writable() {
			continue
		}
		if c.Generated != nil {
			w.m.Generated = append(w.m.Generated, plan.Assign{Column: c.ID, Expr: w.onRow(c.Generated.Tree, w.m.Row)})
		}
		if c.NotNull && !c.Hidden && w.mayBeNull(c) {
			w.m.NotNull = append(w.m.NotNull, c.ID)
		}
	}
	for i := range w.table.Constraints {
		c := &w.table.Constraints[i]
		if c.Kind == catalog.CheckConstraint && c.State.Writable() && c.Check != nil {
			w.m.Checks = append(w.m.Checks, plan.Check{Name: c.Name, Expr: w.onRow(c.Check.Tree, w.m.Row)})
		}
	}
	w.indexes()
}

func (w *writer) indexes() {
	for i := range w.table.Indexes {
		x := &w.table.Indexes[i]
		if !x.State.Deletable() {
			continue
		}
		ie := plan.IndexExprs{Index: x}
		if x.Predicate != nil {
			ie.Predicate = w.onRow(x.Predicate.Tree, w.m.Row)
		}
		for k, c := range x.Columns {
			if c.Expr == nil {
				continue
			}
			if ie.Exprs == nil {
				ie.Exprs = make([]plan.Scalar, len(x.Columns))
			}
			ie.Exprs[k] = w.onRow(c.Expr.Tree, w.m.Row)
		}
		if ie.Predicate != nil || ie.Exprs != nil {
			w.m.Indexes = append(w.m.Indexes, ie)
		}
	}
}

// mayBeNull reports whether the new value of a NOT NULL column needs a check.
func (w *writer) mayBeNull(c *catalog.Column) bool {
	if c.Generated != nil {
		return true
	}
	for _, s := range w.m.Set {
		if s.Column == c.ID {
			if k, ok := s.Expr.(*expr.Const); ok {
				return k.Value.IsNull()
			}
			return true
		}
	}
	return w.m.Op == plan.Insert
}

// assign coerces an expression to a column's type.
func (w *writer) assign(e expr.Expr, c *catalog.Column, loc int) (expr.Expr, error) {
	from := e.Type()
	if l := expr.LocationOf(e); l > 0 {
		loc = l - 1
	}
	r, err := w.b.coerce(e, c.Type, pgfacts.Assignment, "", loc)
	if err != nil && types.CodeOf(err) == types.CodeCannotCoerce {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "column \"%s\" is of type %s but expression is of type %s",
			c.Name, types.Format(c.Type.OID, -1), types.Format(from.OID, -1)).
			WithHint("You will need to rewrite or cast the expression.").At(position(loc))
	}
	return r, err
}

// defaultOf returns the expression of a column's default.
func (w *writer) defaultOf(c *catalog.Column) (expr.Expr, error) {
	switch {
	case c.Identity != catalog.NoIdentity && c.Sequence != 0:
		// The second argument, which no statement can give, says that the sequence is
		// the table's business: who may write to it may take a value.
		next := &expr.FuncExpr{Func: nextvalOID, Name: "nextval", Typ: types.Int8Type, Args: []expr.Expr{
			&expr.Const{Value: types.NewInt(int64(c.Sequence)), Typ: types.RegClassType}, boolConst(true),
		}}
		return w.b.coerce(next, c.Type, pgfacts.Assignment, "", -1)
	case c.Default != nil:
		return c.Default.Tree, nil
	}
	return &expr.Const{Typ: c.Type}, nil
}

// returning binds RETURNING over what the items show.
func (w *writer) returning(ns []ast.Node, items []*item) (*relation, error) {
	rel := &relation{node: w.m}
	if len(ns) == 0 {
		return rel, nil
	}
	saved := w.items
	w.items = items
	ts, err := w.selectList(ns, clauseReturning)
	w.items = saved
	if err != nil {
		return nil, err
	}
	sub := false
	for i := range ts {
		if ts[i].e, err = w.b.resolveUnknown(ts[i].e); err != nil {
			return nil, err
		}
		sub = sub || expr.HasSubquery(ts[i].e)
	}
	if sub {
		return w.returningAbove(ts, items), nil
	}
	for _, t := range ts {
		id := w.b.newCol(t.name, t.e.Type())
		if c, ok := t.e.(*expr.ColumnRef); ok {
			w.b.meta[id].table, w.b.meta[id].attr = w.b.meta[c.ID].table, w.b.meta[c.ID].attr
		}
		w.m.Returning = append(w.m.Returning, t.e)
		w.m.Out = append(w.m.Out, plan.Column{ID: id, Name: t.name, Type: t.e.Type()})
		rel.cols = append(rel.cols, outCol{t.name, id, t.e.Type(), expr.LocationOf(t.e)})
	}
	return rel, nil
}

// returningAbove computes RETURNING with subqueries above the mutation, which
// passes on the columns that they need.
func (w *writer) returningAbove(ts []target, items []*item) *relation {
	used := make(plan.ColSet)
	for _, t := range ts {
		addUsed(used, t.e)
	}
	for _, it := range items {
		for i := range it.cols {
			if c := &it.cols[i]; used.Has(c.id) && !hasColumn(w.m, c.id) {
				w.m.Returning = append(w.m.Returning, w.b.ref(c.id, c.typ))
				w.m.Out = append(w.m.Out, plan.Column{ID: c.id, Name: c.name, Type: c.typ})
			}
		}
	}
	if w.m.Returning == nil {
		// A row for each row changed, be there nothing in it.
		id := w.b.newCol("row", types.BoolType)
		w.m.Returning = append(w.m.Returning, boolConst(true))
		w.m.Out = append(w.m.Out, plan.Column{ID: id, Name: "row", Type: types.BoolType})
	}
	s := &selecting{query: w.query, node: w.m, targets: ts}
	cols, _ := s.project(nil)
	return &relation{s.node, cols}
}

func undefinedTarget(name, table string, loc int) error {
	return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, table).At(position(loc))
}

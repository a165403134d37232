package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// insert binds INSERT.
func (b *binder) insert(parent *query, s *ast.InsertStmt) (*relation, error) {
	q := b.newQuery(parent)
	with, err := q.with(s.WithClause)
	if err != nil {
		return nil, err
	}
	t, err := b.targetTable(s.Relation, q, "insert into")
	if err != nil {
		return nil, err
	}
	w := b.newWriter(q, t, s.Relation, plan.Insert)
	w.m.Row = w.newRow()
	cols, err := w.insertColumns(s)
	if err != nil {
		return nil, err
	}
	if err := w.insertSource(s, cols); err != nil {
		return nil, err
	}
	if err := w.insertDefaults(s, cols); err != nil {
		return nil, err
	}
	w.constraints()
	if s.OnConflictClause != nil {
		if err := w.onConflict(s.OnConflictClause); err != nil {
			return nil, err
		}
	}
	rel, err := w.returning(s.ReturningList, []*item{w.rowItem(w.alias, w.m.Row)})
	if err != nil {
		return nil, err
	}
	if err := w.mayRead(); err != nil {
		return nil, err
	}
	return with(rel), nil
}

// insertColumns resolves the column list; without one it is all columns.
func (w *writer) insertColumns(s *ast.InsertStmt) ([]place, error) {
	var cols []place
	if len(s.Cols) == 0 {
		for i := range w.table.Columns {
			if c := &w.table.Columns[i]; c.State.Readable() && !c.Hidden {
				cols = append(cols, place{col: c, typ: c.Type, loc: -1})
			}
		}
		return cols, nil
	}
	for _, n := range s.Cols {
		rt, ok := n.(*ast.ResTarget)
		if !ok {
			return nil, unsupported(n, -1)
		}
		pl, err := w.place(rt)
		if err != nil {
			return nil, err
		}
		if pl.twice(cols) {
			return nil, types.Errorf(types.CodeDuplicateColumn, "column \"%s\" specified more than once", rt.Name).At(position(rt.Location))
		}
		cols = append(cols, pl)
	}
	return cols, nil
}

func tooMany(loc int) error {
	return types.Errorf(types.CodeSyntaxError, "INSERT has more expressions than target columns").At(loc)
}

// insertSource binds the rows to insert: w.m.Input and the Set of the columns
// that they give.
func (w *writer) insertSource(s *ast.InsertStmt, cols []place) error {
	sel, _ := s.SelectStmt.(*ast.SelectStmt)
	switch {
	case s.SelectStmt == nil: // DEFAULT VALUES
		w.m.Input = oneRow()
		for _, pl := range cols {
			if err := w.setDefault(pl.col); err != nil {
				return err
			}
		}
		return nil
	case sel == nil:
		return unsupported(s.SelectStmt, -1)
	case len(sel.ValuesLists) > 0 && len(sel.SortClause) == 0 && sel.LimitCount == nil && sel.LimitOffset == nil && sel.WithClause == nil:
		return w.insertValues(s, sel, cols)
	}
	rel, err := w.b.selectStmt(w.query, sel, nil)
	if err != nil {
		return err
	}
	if len(rel.cols) > len(cols) {
		return tooMany(0)
	}
	if err := w.fewer(s, len(rel.cols), cols, -1); err != nil {
		return err
	}
	p := planter{b: w.b, node: rel.node}
	for i, c := range rel.cols {
		e, err := w.assignTo(w.b.unknownSource(rel.node, c), cols[i], c.loc-1)
		if err != nil {
			return err
		}
		w.put(&p, cols[i], e)
	}
	w.m.Input = p.node
	return nil
}

func (w *writer) set(c *catalog.Column, e expr.Expr) {
	w.m.Set = append(w.m.Set, plan.Assign{Column: c.ID, Expr: e})
}

// put gives a place of a new row its value. Subqueries in subscripts are computed
// above the source.
func (w *writer) put(p *planter, pl place, e expr.Expr) {
	if pl.part != nil {
		pl.part = p.plant(pl.part).(*expr.Subscript)
	}
	w.m.Set = pl.store(w.m.Set, e, &expr.Const{Typ: pl.col.Type})
}

func (w *writer) setDefault(c *catalog.Column) error {
	if c.Generated != nil {
		return nil
	}
	e, err := w.defaultOf(c)
	if err == nil {
		w.set(c, e)
	}
	return err
}

// fewer checks a source with fewer columns than the list names.
func (w *writer) fewer(s *ast.InsertStmt, n int, cols []place, loc int) error {
	if len(s.Cols) > 0 && n < len(cols) {
		if rt, ok := s.Cols[n].(*ast.ResTarget); ok {
			loc = rt.Location
		}
		return types.Errorf(types.CodeSyntaxError, "INSERT has more target columns than expressions").At(position(loc))
	}
	return nil
}

func (w *writer) insertValues(s *ast.InsertStmt, sel *ast.SelectStmt, cols []place) error {
	w.clause = clauseValues
	// The target table cannot be named in its new rows; errors may name it.
	target := w.rowItem(w.alias, w.m.Row)
	target.relVisible, target.colsVisible = false, false
	w.items = []*item{target}
	defer func() { w.items = nil }()
	var columns [][]expr.Expr
	width := -1
	for _, l := range sel.ValuesLists {
		list, ok := l.(*ast.List)
		if !ok {
			return unsupported(l, -1)
		}
		if width < 0 {
			width = len(list.Items)
			columns = make([][]expr.Expr, width)
		}
		if len(list.Items) != width {
			return types.Errorf(types.CodeSyntaxError, "VALUES lists must all be the same length").At(position(locationOf(list)))
		}
		if err := w.valuesRow(s, list.Items, cols, columns, len(sel.ValuesLists)); err != nil {
			return err
		}
	}
	outs := make([]plan.Column, 0, width)
	var used [][]expr.Expr
	var given []place
	for i := 0; i < width; i++ {
		pl := cols[i]
		if pl.col.Generated != nil {
			continue // only DEFAULT got this far
		}
		id := w.b.newCol(pl.col.Name, pl.typ)
		outs = append(outs, plan.Column{ID: id, Name: pl.col.Name, Type: pl.typ})
		used = append(used, columns[i])
		given = append(given, pl)
	}
	p := planter{b: w.b, node: w.b.valuesNode(used, len(sel.ValuesLists), outs)}
	for i, pl := range given {
		w.put(&p, pl, w.b.ref(outs[i].ID, pl.typ))
	}
	w.m.Input = p.node
	return nil
}

// valuesRow binds one row of VALUES into columns.
func (w *writer) valuesRow(s *ast.InsertStmt, items []ast.Node, cols []place, columns [][]expr.Expr, rows int) error {
	for i, n := range items {
		if i >= len(cols) {
			e, err := w.expr(n)
			if err != nil {
				return err
			}
			return tooMany(expr.LocationOf(e))
		}
		pl, c := cols[i], cols[i].col
		var e expr.Expr
		var err error
		if _, ok := n.(*ast.SetToDefault); ok {
			if err := pl.whole(); err != nil {
				return err
			}
			e, err = w.defaultOf(c)
			if c.Generated != nil {
				e = &expr.Const{Typ: c.Type}
			}
		} else {
			if err := w.writable(c, s.Override); err != nil {
				return err
			}
			if e, err = w.expr(n); err == nil {
				e, err = w.assignTo(e, pl, -1)
			}
		}
		if err != nil {
			return err
		}
		if columns[i] == nil {
			columns[i] = make([]expr.Expr, 0, rows)
		}
		columns[i] = append(columns[i], e)
	}
	return w.fewer(s, len(items), cols, -1)
}

// writable refuses values for generated and GENERATED ALWAYS columns.
func (w *writer) writable(c *catalog.Column, o ast.OverridingKind) error {
	if c.Generated != nil {
		return types.Errorf(types.CodeGeneratedAlways, "cannot insert a non-DEFAULT value into column \"%s\"", c.Name).
			WithDetail("Column \"%s\" is a generated column.", c.Name)
	}
	if c.Identity == catalog.IdentityAlways && o != ast.OVERRIDING_SYSTEM_VALUE && o != ast.OVERRIDING_USER_VALUE {
		return types.Errorf(types.CodeGeneratedAlways, "cannot insert a non-DEFAULT value into column \"%s\"", c.Name).
			WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name).
			WithHint("Use OVERRIDING SYSTEM VALUE to override.")
	}
	return nil
}

// insertDefaults sets the columns that the source does not give.
func (w *writer) insertDefaults(s *ast.InsertStmt, cols []place) error {
	given := make(map[catalog.ColumnID]int, len(w.m.Set))
	for i, a := range w.m.Set {
		given[a.Column] = i
	}
	if s.Override == ast.OVERRIDING_USER_VALUE {
		for _, pl := range cols {
			c := pl.col
			if i, ok := given[c.ID]; ok && c.Identity != catalog.NoIdentity {
				e, err := w.defaultOf(c)
				if err != nil {
					return err
				}
				w.m.Set[i].Expr = e
			}
		}
	}
	for i := range w.table.Columns {
		c := &w.table.Columns[i]
		if _, ok := given[c.ID]; ok || !c.State.Writable() || c.Hidden {
			continue
		}
		if err := w.setDefault(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) onConflict(n *ast.OnConflictClause) error {
	oc := &plan.OnConflict{}
	w.reads = w.reads || n.Infer != nil // to look for conflicts
	if err := w.arbiters(oc, n); err != nil {
		return err
	}
	for _, x := range oc.Arbiters {
		if w.deferrable(x) {
			return types.Errorf(types.CodeObjectNotInPrerequisite, "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters")
		}
	}
	w.m.Conflict = oc
	if n.Infer == nil && n.Location < 0 && len(oc.Arbiters) == 0 {
		// A table without a unique key has no conflicts.
		w.m.Conflict = nil
		return nil
	}
	if n.Action != ast.ONCONFLICT_UPDATE {
		return nil
	}
	// MySQL's grammar, which has no position for the clause, means any unique key.
	if len(oc.Arbiters) == 0 || n.Infer == nil && n.Location >= 0 {
		return types.Errorf(types.CodeSyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).").At(position(n.Location))
	}
	if err := w.b.allowed(w.table, 'w'); err != nil {
		return err
	}
	oc.Action = plan.ConflictUpdate
	oc.Existing = w.newRow()
	excluded := w.rowItem("excluded", w.m.Row)
	saved := w.items
	w.items = []*item{w.rowItem(w.alias, oc.Existing), excluded}
	defer func() { w.items = saved }()
	rows := &plan.ConflictRows{}
	for _, ids := range [][]plan.ColID{oc.Existing, w.m.Row} {
		for i, id := range ids {
			c := &w.table.Columns[i]
			rows.Out = append(rows.Out, plan.Column{ID: id, Name: c.Name, Type: c.Type})
		}
	}
	set, input, err := w.assignments(w.replaceAll(n.TargetList), rows, oc.Existing)
	if err != nil {
		return err
	}
	oc.Set = set
	where, err := w.condition(n.WhereClause, clauseWhere, "WHERE")
	if err != nil {
		return err
	}
	p := planter{b: w.b, node: input}
	oc.Where = p.plantAll(expr.Conjuncts(nil, where))
	if p.node != plan.Node(rows) {
		oc.Input = p.node
	}
	return nil
}

// replaceAll gives MySQL's REPLACE, which sets excluded.*, its columns.
func (w *writer) replaceAll(list []ast.Node) []ast.Node {
	if len(list) != 1 {
		return list
	}
	if rt, ok := list[0].(*ast.ResTarget); !ok || rt.Name != "" {
		return list
	}
	var out []ast.Node
	for i := range w.table.Columns {
		c := &w.table.Columns[i]
		if c.Hidden || !c.State.Readable() || c.Generated != nil {
			continue
		}
		out = append(out, &ast.ResTarget{Name: c.Name, Location: -1,
			Val: &ast.ColumnRef{Fields: []ast.Node{&ast.String{Sval: "excluded"}, &ast.String{Sval: c.Name}}, Location: -1}})
	}
	return out
}

// arbiters chooses the unique indexes that a conflict target means.
func (w *writer) arbiters(oc *plan.OnConflict, n *ast.OnConflictClause) error {
	unique := func(x *catalog.Index) bool {
		return (x.Unique || x.OID == w.table.Primary) && x.State.Readable() && !(x.OID == w.table.Primary && w.table.HasRowID())
	}
	if n.Infer == nil {
		for i := range w.table.Indexes {
			if x := &w.table.Indexes[i]; unique(x) {
				oc.Arbiters = append(oc.Arbiters, x)
			}
		}
		return nil
	}
	if name := n.Infer.Conname; name != "" {
		for i := range w.table.Constraints {
			c := &w.table.Constraints[i]
			if c.Name != name {
				continue
			}
			if x, ok := w.table.Index(c.Index); ok && unique(x) && c.Kind != catalog.ForeignKey {
				oc.Arbiters = []*catalog.Index{x}
				return nil
			}
			return types.Errorf(types.CodeWrongObjectType, "constraint in ON CONFLICT clause has no associated index").At(position(n.Infer.Location))
		}
		return types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", name, w.table.Name)
	}
	want := inference{columns: make(map[catalog.ColumnID]bool)}
	for _, e := range n.Infer.IndexElems {
		ie, ok := e.(*ast.IndexElem)
		if !ok {
			return unsupported(e, n.Infer.Location)
		}
		if ie.Name == "" {
			e, err := w.inferredExpr(ie.Expr)
			if err != nil {
				return err
			}
			want.exprs = append(want.exprs, e)
			continue
		}
		c, ok := w.table.ColumnByName(ie.Name)
		if !ok {
			return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" does not exist", ie.Name).At(position(n.Infer.Location))
		}
		want.columns[c.ID] = true
	}
	if n.Infer.WhereClause != nil {
		e, err := w.inferredExpr(n.Infer.WhereClause)
		if err != nil {
			return err
		}
		want.where = expr.Conjuncts(nil, e)
	}
	for i := range w.table.Indexes {
		x := &w.table.Indexes[i]
		if unique(x) && w.matches(x, &want) && w.implies(want.where, x) {
			oc.Arbiters = append(oc.Arbiters, x)
		}
	}
	if len(oc.Arbiters) == 0 {
		return types.Errorf(types.CodeInvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
	}
	return nil
}

// deferrable reports whether an index's constraint is checked late.
func (w *writer) deferrable(x *catalog.Index) bool {
	for i := range w.table.Constraints {
		if c := &w.table.Constraints[i]; c.Index == x.OID && c.Kind != catalog.ForeignKey && c.Deferrable {
			return true
		}
	}
	return false
}

// inference is what the index of a conflict target must be over.
type inference struct {
	columns map[catalog.ColumnID]bool
	exprs   []expr.Expr // over the new row
	where   []expr.Expr // conditions, likewise
}

// inferredExpr binds an expression of a conflict target.
func (w *writer) inferredExpr(n ast.Node) (expr.Expr, error) {
	items, clause := w.items, w.clause
	w.items, w.clause = []*item{w.rowItem(w.alias, w.m.Row)}, clauseIndex
	defer func() { w.items, w.clause = items, clause }()
	e, err := w.expr(n)
	if err != nil {
		return nil, err
	}
	return w.b.resolveUnknown(e)
}

// matches reports whether an index is over just the columns and expressions that
// are wanted, in any order.
func (w *writer) matches(x *catalog.Index, want *inference) bool {
	found := make([]bool, len(want.exprs))
	n := 0
	for _, c := range x.Columns {
		if c.Expr == nil {
			if !want.columns[c.Column] {
				return false
			}
			n++
			continue
		}
		tree, ok := w.onRow(c.Expr.Tree, w.m.Row), false
		for i, e := range want.exprs {
			if equal(e, tree) {
				ok, found[i] = true, true
			}
		}
		if !ok {
			return false
		}
	}
	for _, f := range found {
		if !f {
			return false
		}
	}
	return n == len(want.columns)
}

// implies reports whether an index has entries for all rows that meet some
// conditions: its own are among them, word for word.
func (w *writer) implies(conds []expr.Expr, x *catalog.Index) bool {
	if x.Predicate == nil {
		return true
	}
	for _, need := range expr.Conjuncts(nil, w.onRow(x.Predicate.Tree, w.m.Row)) {
		found := false
		for _, c := range conds {
			found = found || equal(c, need)
		}
		if !found {
			return false
		}
	}
	return true
}

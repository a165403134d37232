package bind

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// source is a bound FROM entry: its plan and the names it gives.
type source struct {
	node  plan.Node
	items []*item
}

// from binds a FROM list and makes its entries the query's name space.
func (q *query) from(ns []ast.Node) (plan.Node, error) {
	saved := q.clause
	q.clause = clauseFrom
	defer func() { q.clause = saved }()
	var all source
	for _, n := range ns {
		s, err := q.fromEntry(n, all.items)
		if err != nil {
			return nil, err
		}
		if err := checkAliases(all.items, s.items); err != nil {
			return nil, err
		}
		if all.node == nil {
			all.node = s.node
		} else {
			all.node = q.b.join(plan.InnerJoin, all.node, s.node, nil)
		}
		all.items = append(all.items, s.items...)
	}
	for _, it := range all.items {
		it.lateralOnly, it.lateralBad = false, false
	}
	q.items = append(q.items, all.items...)
	if all.node == nil {
		all.node = oneRow()
	}
	return all.node, nil
}

// oneRow is the input of a SELECT without FROM.
func oneRow() plan.Node { return &plan.Values{Rows: [][]plan.Scalar{{}}} }

func checkAliases(left, right []*item) error {
	for _, r := range right {
		for _, l := range left {
			if r.alias != "" && r.relVisible && l.relVisible && r.alias == l.alias && (r.schema == l.schema || r.schema == "" || l.schema == "") {
				return types.Errorf(types.CodeDuplicateAlias, "table name \"%s\" specified more than once", r.alias)
			}
		}
	}
	return nil
}

// join combines two plans; a right side that uses the left one's columns makes
// it an Apply.
func (b *binder) join(t plan.JoinType, l, r plan.Node, on []expr.Expr) plan.Node {
	out := append(append([]plan.Column(nil), l.Columns()...), r.Columns()...)
	free := plan.Free(r)
	for _, c := range l.Columns() {
		if free.Has(c.ID) {
			return &plan.Apply{Base: plan.Base{Out: out}, Type: t, Left: l, Right: r, On: on}
		}
	}
	return &plan.NestedLoop{Base: plan.Base{Out: out}, Type: t, Left: l, Right: r, On: on}
}

// beside makes the entries to the left visible to what is LATERAL only, while f
// runs.
func (q *query) beside(left []*item, lateral bool, f func() error) error {
	items, lat := q.items, q.lateral
	for _, it := range left {
		it.lateralOnly = true
	}
	q.items, q.lateral = append(append([]*item(nil), items...), left...), lateral
	err := f()
	q.items, q.lateral = items, lat
	return err
}

func (q *query) fromEntry(n ast.Node, left []*item) (source, error) {
	if err := q.b.enter(); err != nil {
		return source{}, err
	}
	defer q.b.leave()
	switch n := n.(type) {
	case *ast.RangeVar:
		return q.rangeVar(n)
	case *ast.RangeSubselect:
		return q.rangeSubselect(n, left)
	case *ast.JoinExpr:
		return q.joinExpr(n, left)
	case *ast.RangeFunction:
		return q.rangeFunction(n, left)
	case *ast.RangeTableSample:
		return q.rangeSample(n, left)
	}
	return source{}, unsupported(n, -1)
}

func (q *query) rangeVar(n *ast.RangeVar) (source, error) {
	alias, schema := n.Relname, n.Schemaname
	if n.Alias != nil {
		alias, schema = n.Alias.Aliasname, ""
	}
	if n.Schemaname == "" {
		if c := q.findCTE(n.Relname); c != nil {
			return q.cteSource(c, alias, n)
		}
	}
	ref := q.b.freeze[n]
	d, err := q.b.relationOf(n, ref)
	if err != nil {
		return source{}, q.notYetWith(n, err)
	}
	if err := q.b.allowed(d, 'r'); err != nil {
		return source{}, err
	}
	switch d := d.(type) {
	case *catalog.Table:
		if d.Virtual {
			return q.b.virtualSource(d, alias, schema, n)
		}
		return q.b.tableSource(d, alias, schema, n)
	case *catalog.View:
		return q.b.viewSource(d, alias, schema, n)
	case *catalog.Sequence:
		return q.b.sequenceSource(d, alias, schema, n)
	}
	return source{}, types.Errorf(types.CodeWrongObjectType, "cannot open relation \"%s\"", n.Relname).
		WithDetail("This operation is not supported for %ss.", d.Kind()).At(position(n.Location))
}

// notYetWith adds to the error of a missing relation that WITH has an entry of
// that name, if it has.
func (q *query) notYetWith(n *ast.RangeVar, err error) error {
	e, ok := err.(*types.Error)
	if !ok || n.Schemaname != "" {
		return err
	}
	for level := q; level != nil; level = level.parent {
		if slices.Contains(level.withNames, n.Relname) {
			return e.WithDetail("There is a WITH item named \"%s\", but it cannot be referenced from this part of the query.", n.Relname).
				WithHint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.")
		}
	}
	return err
}

// relationOf finds what a name in FROM stands for: in a view, what it stood for
// when the view was made, whatever its name is now.
func (b *binder) relationOf(n *ast.RangeVar, ref *catalog.ViewRef) (catalog.Descriptor, error) {
	if ref != nil {
		if d, ok := b.resolver.ByOID(ref.OID); ok {
			b.dependOn(d.Head())
			return d, nil
		}
	}
	return b.relation(n)
}

// databaseResolver is a Resolver that knows the session's database.
type databaseResolver interface{ Database() *catalog.Database }

// relation resolves a name to a table, view or sequence.
func (b *binder) relation(n *ast.RangeVar) (catalog.Descriptor, error) {
	name := catalog.Name{Database: n.Catalogname, Schema: n.Schemaname, Name: n.Relname}
	d, ok := b.resolver.Relation(name)
	if !ok {
		if r, ok := b.resolver.(databaseResolver); ok && n.Catalogname != "" && (r.Database() == nil || r.Database().Name != n.Catalogname) {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "cross-database references are not implemented: \"%s\"", name).At(position(n.Location))
		}
		return nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", name).At(position(n.Location))
	}
	if err := b.usable(d.Head().Schema, n); err != nil {
		return nil, err
	}
	b.dependOn(d.Head())
	return d, nil
}

// usable fails unless the session's role may name what is in a schema. What a view
// names was found when it was made.
func (b *binder) usable(schema types.OID, n *ast.RangeVar) error {
	sc, ok := b.resolver.ByOID(schema)
	if !ok || b.opts.Allow == nil || len(b.views) > 0 {
		return nil
	}
	err := b.opts.Allow(0, sc, 'U')
	if e, ok := err.(*types.Error); ok {
		return e.At(position(n.Location))
	}
	return err
}

// tableSource scans a table; all its columns, the hidden ones too, are put out.
func (b *binder) tableSource(t *catalog.Table, alias, schema string, n *ast.RangeVar) (source, error) {
	scan := &plan.Scan{Table: t, Index: t.PrimaryIndex(), Alias: alias}
	it := &item{alias: alias, schema: schema, relVisible: true, colsVisible: true, scan: scan, table: t}
	if n.Alias == nil && schema == "" {
		it.schema = b.schemaName(t.Schema)
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if !c.State.Writable() {
			continue
		}
		id := b.tableCol(t, c, alias)
		scan.Out = append(scan.Out, plan.Column{ID: id, Name: c.Name, Type: c.Type})
		scan.Read = append(scan.Read, c.ID)
		it.cols = append(it.cols, column{name: c.Name, id: id, typ: c.Type, attr: c.ID, hidden: c.Hidden || !c.State.Readable()})
	}
	if err := b.named(it, t, n); err != nil {
		return source{}, err
	}
	return source{scan, []*item{it}}, nil
}

func (b *binder) tableCol(t *catalog.Table, c *catalog.Column, alias string) plan.ColID {
	id := b.newCol(c.Name, c.Type)
	m := &b.meta[id]
	m.table, m.attr, m.item = t.ID, c.ID, alias
	return id
}

func (b *binder) schemaName(oid types.OID) string {
	if d, ok := b.resolver.ByOID(oid); ok {
		return d.Head().Name
	}
	return ""
}

func (b *binder) virtualSource(t *catalog.Table, alias, schema string, n *ast.RangeVar) (source, error) {
	scan := &plan.VirtualScan{Table: t, Alias: alias}
	it := &item{alias: alias, schema: schema, relVisible: true, colsVisible: true, table: t}
	if n.Alias == nil && schema == "" {
		it.schema = b.schemaName(t.Schema)
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		id := b.tableCol(t, c, alias)
		scan.Out = append(scan.Out, plan.Column{ID: id, Name: c.Name, Type: c.Type})
		scan.Read = append(scan.Read, c.ID)
		it.cols = append(it.cols, column{name: c.Name, id: id, typ: c.Type, attr: c.ID, hidden: c.Hidden})
	}
	if err := b.named(it, t, n); err != nil {
		return source{}, err
	}
	return source{scan, []*item{it}}, nil
}

// named gives the columns of a relation in FROM the names that the query knows
// them by.
func (b *binder) named(it *item, d catalog.Descriptor, n *ast.RangeVar) error {
	it.frozen(b.freeze[n])
	if t := b.tracing(); t != nil {
		t.relation(n, d, it)
	}
	return it.rename(n.Alias)
}

// rename applies an alias's column list.
func (it *item) rename(a *ast.Alias) error {
	if a == nil || len(a.Colnames) == 0 {
		return nil
	}
	names := stringsOf(a.Colnames)
	i := 0
	for k := range it.cols {
		if it.cols[k].hidden {
			continue
		}
		if i < len(names) {
			it.cols[k].name = names[i]
		}
		i++
	}
	if len(names) > i {
		return types.Errorf(types.CodeInvalidColumnReference, "table \"%s\" has %d columns available but %d columns specified",
			it.alias, i, len(names))
	}
	return nil
}

func (b *binder) viewSource(v *catalog.View, alias, schema string, n *ast.RangeVar) (source, error) {
	for _, oid := range b.views {
		if oid == v.ID {
			return source{}, types.Errorf(types.CodeInvalidObjectDefinition, "infinite recursion detected in rules for relation \"%s\"", v.Name)
		}
	}
	if b.opts.ParseView == nil {
		return source{}, types.Errorf(types.CodeFeatureNotSupported, "views are not available here")
	}
	stmt, err := b.opts.ParseView(v.Query)
	if err != nil {
		return source{}, err
	}
	sel, ok := unwrap(stmt).(*ast.SelectStmt)
	if !ok {
		return source{}, types.Errorf(types.CodeDataCorrupted, "view \"%s\" is not a query", v.Name)
	}
	saved := b.resolver
	if p, ok := b.resolver.(interface {
		WithPath([]string) catalog.Resolver
	}); ok && v.SearchPath != nil {
		b.resolver = p.WithPath(v.SearchPath)
	}
	outer := b.freeze
	b.views, b.freeze = append(b.views, v.ID), Freeze(sel, v.Refs)
	rel, err := b.selectStmt(nil, sel, nil)
	b.views, b.freeze = b.views[:len(b.views)-1], outer
	b.resolver = saved
	if err != nil {
		return source{}, err
	}
	target := make([]types.Type, len(rel.cols))
	for i := range rel.cols {
		if target[i] = rel.cols[i].typ; i < len(v.Columns) {
			target[i] = v.Columns[i].Type
		}
	}
	if rel, err = b.retype(rel, target); err != nil {
		return source{}, err
	}
	rel = b.viewColumns(rel, v)
	it := b.relItem(rel, alias)
	if it.schema = schema; n.Alias == nil && schema == "" {
		it.schema = b.schemaName(v.Schema)
	}
	for i := range it.cols {
		if i < len(v.Columns) {
			it.cols[i].name, it.cols[i].attr = v.Columns[i].Name, v.Columns[i].ID
		}
	}
	if err := b.named(it, v, n); err != nil {
		return source{}, err
	}
	return source{rel.node, []*item{it}}, nil
}

// viewColumns gives the columns of a view ids of their own: to the client they
// are the view's, not the tables'.
func (b *binder) viewColumns(rel *relation, v *catalog.View) *relation {
	p := &plan.Project{Input: rel.node}
	out := &relation{node: p}
	for i, c := range rel.cols {
		id := b.newCol(c.name, c.typ)
		b.meta[id].table, b.meta[id].attr = v.ID, catalog.ColumnID(i+1)
		p.Out = append(p.Out, plan.Column{ID: id, Name: c.name, Type: c.typ})
		p.Exprs = append(p.Exprs, b.ref(c.id, c.typ))
		out.cols = append(out.cols, outCol{c.name, id, c.typ, c.loc})
	}
	return out
}

func unwrap(n ast.Node) ast.Node {
	if r, ok := n.(*ast.RawStmt); ok {
		return unwrap(r.Stmt)
	}
	return n
}

// relItem shows a bound query under an alias.
func (b *binder) relItem(rel *relation, alias string) *item {
	it := &item{alias: alias, relVisible: alias != "", colsVisible: true}
	for _, c := range rel.cols {
		it.cols = append(it.cols, column{name: c.name, id: c.id, typ: c.typ})
	}
	return it
}

func (q *query) rangeSubselect(n *ast.RangeSubselect, left []*item) (source, error) {
	sel, ok := n.Subquery.(*ast.SelectStmt)
	if !ok {
		return source{}, unsupported(n.Subquery, -1)
	}
	var rel *relation
	err := q.beside(left, n.Lateral, func() (err error) {
		rel, err = q.b.selectStmt(q, sel, nil)
		return err
	})
	if err != nil {
		return source{}, err
	}
	if rel, err = q.b.settleUnknown(rel); err != nil {
		return source{}, err
	}
	rel = q.b.distinctIDs(rel)
	alias := ""
	if n.Alias != nil {
		alias = n.Alias.Aliasname
	}
	it := q.b.relItem(rel, alias)
	if err := it.rename(n.Alias); err != nil {
		return source{}, err
	}
	return source{rel.node, []*item{it}}, nil
}

// distinctIDs makes sure that every column of a query has its own id: SELECT a,
// a shows one twice, and outer joins and aliases need to tell them apart.
func (b *binder) distinctIDs(rel *relation) *relation {
	seen := make(plan.ColSet, len(rel.cols))
	dup := false
	for _, c := range rel.cols {
		dup = dup || seen.Has(c.id)
		seen.Add(c.id)
	}
	if !dup {
		return rel
	}
	p := &plan.Project{Input: rel.node}
	cols := make([]outCol, len(rel.cols))
	for i, c := range rel.cols {
		id := b.newCol(c.name, c.typ)
		b.meta[id].table, b.meta[id].attr = b.meta[c.id].table, b.meta[c.id].attr
		cols[i] = outCol{c.name, id, c.typ, c.loc}
		p.Out = append(p.Out, plan.Column{ID: id, Name: c.name, Type: c.typ})
		p.Exprs = append(p.Exprs, b.ref(c.id, c.typ))
	}
	return &relation{p, cols}
}

func (q *query) joinExpr(n *ast.JoinExpr, left []*item) (source, error) {
	l, err := q.fromEntry(n.Larg, left)
	if err != nil {
		return source{}, err
	}
	outer := n.Jointype == ast.JOIN_RIGHT || n.Jointype == ast.JOIN_FULL
	for _, it := range l.items {
		it.lateralBad = outer
	}
	r, err := q.fromEntry(n.Rarg, append(append([]*item(nil), left...), l.items...))
	if err != nil {
		return source{}, err
	}
	if err := checkAliases(l.items, r.items); err != nil {
		return source{}, err
	}
	using := stringsOf(n.UsingClause)
	if n.IsNatural {
		using = sharedNames(l.items, r.items)
	}
	var on []expr.Expr
	items := append(append([]*item(nil), l.items...), r.items...)
	if n.IsNatural || len(n.UsingClause) > 0 {
		if on, items, err = q.using(n, using, l, r); err != nil {
			return source{}, err
		}
	} else if n.Quals != nil {
		if on, err = q.joinCond(n.Quals, items); err != nil {
			return source{}, err
		}
	}
	node, err := q.joinNode(n, l.node, r.node, on)
	if err != nil {
		return source{}, err
	}
	if n.Alias != nil {
		it := &item{alias: n.Alias.Aliasname, relVisible: true, colsVisible: true}
		for _, in := range items {
			if in.colsVisible {
				it.cols = append(it.cols, in.cols...)
			}
		}
		if err := it.rename(n.Alias); err != nil {
			return source{}, err
		}
		items = []*item{it}
	}
	return source{node, items}, nil
}

func (q *query) joinNode(n *ast.JoinExpr, l, r plan.Node, on []expr.Expr) (plan.Node, error) {
	b := q.b
	var node plan.Node
	if hasSubquery(on) {
		// Subqueries in an outer join's condition belong to its inner side, which
		// is then run for each row of the other one.
		switch n.Jointype {
		case ast.JOIN_LEFT:
			return b.join(plan.LeftJoin, l, b.filter(r, on), nil), nil
		case ast.JOIN_RIGHT:
			return b.join(plan.LeftJoin, r, b.filter(l, on), nil), nil
		}
	}
	switch n.Jointype {
	case ast.JOIN_LEFT:
		node = b.join(plan.LeftJoin, l, r, nil)
	case ast.JOIN_RIGHT:
		// Columns go by id, so the sides may change places.
		node = b.join(plan.LeftJoin, r, l, nil)
	case ast.JOIN_FULL:
		node = b.join(plan.FullJoin, l, r, nil)
	default:
		node = b.join(plan.InnerJoin, l, r, nil)
	}
	for _, c := range on {
		if expr.HasSubquery(c) && n.Jointype != ast.JOIN_INNER {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "subqueries in the condition of a full join are not supported").At(expr.LocationOf(c))
		}
	}
	switch j := node.(type) {
	case *plan.NestedLoop:
		j.On = on
	case *plan.Apply:
		j.On = on
	}
	if !hasSubquery(on) {
		return node, nil
	}
	switch j := node.(type) {
	case *plan.NestedLoop:
		j.On = nil
	case *plan.Apply:
		j.On = nil
	}
	return b.filter(node, on), nil
}

func hasSubquery(es []expr.Expr) bool {
	for _, e := range es {
		if expr.HasSubquery(e) {
			return true
		}
	}
	return false
}

func (q *query) joinCond(n ast.Node, items []*item) ([]expr.Expr, error) {
	savedItems, savedClause, savedLat := q.items, q.clause, q.lateral
	flags := make([]bool, len(items))
	for i, it := range items {
		flags[i], it.lateralOnly = it.lateralOnly, false
	}
	q.items, q.clause = append(append([]*item(nil), savedItems...), items...), clauseJoin
	e, err := q.expr(n)
	q.items, q.clause, q.lateral = savedItems, savedClause, savedLat
	for i, it := range items {
		it.lateralOnly = flags[i]
	}
	if err != nil {
		return nil, err
	}
	if e, err = q.b.boolean(e, "JOIN/ON"); err != nil {
		return nil, err
	}
	return expr.Conjuncts(nil, e), nil
}

func sharedNames(l, r []*item) []string {
	var out []string
	for _, c := range visibleColumns(l) {
		for _, d := range visibleColumns(r) {
			if c.name == d.name {
				out = append(out, c.name)
				break
			}
		}
	}
	return out
}

func visibleColumns(items []*item) []column {
	var out []column
	for _, it := range items {
		if !it.colsVisible {
			continue
		}
		for _, c := range it.cols {
			if !c.hidden {
				out = append(out, c)
			}
		}
	}
	return out
}

func usingColumn(cols []column, name, side string) (*column, error) {
	var found *column
	for i := range cols {
		if cols[i].name == name {
			if found != nil {
				return nil, types.Errorf(types.CodeAmbiguousColumn, "common column name \"%s\" appears more than once in %s table", name, side)
			}
			found = &cols[i]
		}
	}
	if found == nil {
		return nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" specified in USING clause does not exist in %s table", name, side)
	}
	return found, nil
}

// using merges the columns of JOIN USING: the result shows them first and once.
func (q *query) using(n *ast.JoinExpr, names []string, l, r source) ([]expr.Expr, []*item, error) {
	lcols, rcols := visibleColumns(l.items), visibleColumns(r.items)
	joined := &item{colsVisible: true}
	merged := make(map[string]bool, len(names))
	var on []expr.Expr
	for _, name := range names {
		lc, err := usingColumn(lcols, name, "left")
		if err != nil {
			return nil, nil, err
		}
		rc, err := usingColumn(rcols, name, "right")
		if err != nil {
			return nil, nil, err
		}
		le, re := q.use(lc, -1), q.use(rc, -1)
		c, err := q.mergedColumn(n, name, lc, rc, le, re)
		if err != nil {
			return nil, nil, err
		}
		eq, err := q.b.op("=", le, re, -1)
		if err != nil {
			return nil, nil, err
		}
		on = append(on, eq)
		joined.cols = append(joined.cols, c)
		merged[name] = true
	}
	for _, cs := range [][]column{lcols, rcols} {
		for _, c := range cs {
			if !merged[c.name] {
				joined.cols = append(joined.cols, c)
			}
		}
	}
	items := []*item{joined}
	if n.JoinUsingAlias != nil {
		items = append(items, &item{alias: n.JoinUsingAlias.Aliasname, relVisible: true, cols: joined.cols[:len(names)]})
	}
	for _, it := range append(append([]*item(nil), l.items...), r.items...) {
		it.colsVisible = false
		items = append(items, it)
	}
	return on, items, nil
}

func (q *query) mergedColumn(n *ast.JoinExpr, name string, lc, rc *column, le, re expr.Expr) (column, error) {
	pair, t, err := q.b.common("JOIN/USING", []expr.Expr{le, re}, -1)
	if err != nil {
		return column{}, err
	}
	pick := func(c *column, e expr.Expr) column {
		if c.typ.OID == t.OID && c.merged == nil {
			return column{name: name, id: c.id, typ: c.typ}
		}
		return column{name: name, typ: t, merged: e}
	}
	switch n.Jointype {
	case ast.JOIN_RIGHT:
		return pick(rc, pair[1]), nil
	case ast.JOIN_FULL:
		return column{name: name, typ: t, merged: &expr.Coalesce{Args: pair, Typ: t}}, nil
	}
	return pick(lc, pair[0]), nil
}

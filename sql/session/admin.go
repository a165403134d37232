package session

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/schemachange"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
	"time"
)

// ownNode is a statement that PostgreSQL's grammar does not have.
type ownNode struct {
	ast.Node
	kind  ownKind
	table *ast.RangeVar // SHOW RANGES FROM TABLE, SPLIT AT
	rows  ast.Node      // SPLIT AT: the query of the values
}

type ownKind uint8

const (
	showRanges ownKind = iota
	splitAt
	showTables
	showDatabases
	showStatements
	showSessions
)

func (n *ownNode) tag() string {
	if n.kind == splitAt {
		return "ALTER TABLE"
	}
	return "SHOW"
}

// ownQueries are the SHOW statements that read tables of pamir_internal or
// pg_catalog.
var ownQueries = map[ownKind]string{
	showTables: `SELECT n.nspname::text AS schema_name, c.relname::text AS table_name, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pamir_internal') ORDER BY 1, 2`,
	showDatabases:  `SELECT datname::text AS database_name FROM pg_catalog.pg_database ORDER BY 1`,
	showStatements: `SELECT * FROM pamir_internal.statements ORDER BY calls DESC`,
	showSessions:   `SELECT * FROM pamir_internal.sessions ORDER BY pid`,
}

func (n *ownNode) columns() []plan.ResultColumn {
	if n.kind == showRanges {
		return []plan.ResultColumn{{Name: "range_id", Type: types.Int8Type}, {Name: "start_key", Type: types.TextType},
			{Name: "end_key", Type: types.TextType}, {Name: "replicas", Type: types.TextType}, {Name: "leaseholder", Type: types.Int4Type},
			{Name: "keys", Type: types.Int8Type}, {Name: "bytes", Type: types.Int8Type}}
	}
	return nil
}

// ownStatement recognizes statements of Pamir's own: SHOW RANGES [FROM TABLE t],
// SHOW TABLES, SHOW DATABASES, SHOW STATEMENTS, SHOW SESSIONS and
// ALTER TABLE t SPLIT AT VALUES (...) or a query.
func ownStatement(sql string) (st parse.Statement, ok bool, err error) {
	text := strings.TrimSpace(strings.TrimRight(strings.TrimSpace(sql), ";"))
	if len(text) > 1<<20 || len(text) < 8 {
		return st, false, nil
	}
	head := text[:min(len(text), 200)]
	w := strings.Fields(head)
	if len(w) < 2 {
		return st, false, nil
	}
	is := func(i int, s string) bool { return i < len(w) && strings.EqualFold(w[i], s) }
	st = parse.Statement{Text: text}
	switch {
	case is(0, "show") && len(w) == 2:
		k, ok := map[string]ownKind{"ranges": showRanges, "tables": showTables, "databases": showDatabases,
			"statements": showStatements, "sessions": showSessions}[strings.ToLower(w[1])]
		st.Node = &ownNode{Node: &ast.VariableShowStmt{}, kind: k}
		return st, ok, nil
	case is(0, "show") && is(1, "ranges") && is(2, "from") && is(3, "table"):
		rv, err := tableName(text[strings.Index(strings.ToLower(text), "table")+len("table"):])
		st.Node = &ownNode{Node: &ast.VariableShowStmt{}, kind: showRanges, table: rv}
		return st, true, err
	case is(0, "alter") && is(1, "table"):
		low := strings.ToLower(text)
		at := strings.Index(low, " split at ")
		if at < 0 {
			return st, false, nil
		}
		rv, err := tableName(text[strings.Index(low, "table")+len("table") : at])
		if err != nil {
			return st, false, nil
		}
		q, _, err := parse.ParseOne(text[at+len(" split at "):])
		st.Node = &ownNode{Node: &ast.AlterTableStmt{}, kind: splitAt, table: rv, rows: q.Node}
		return st, true, err
	}
	return st, false, nil
}

func tableName(text string) (*ast.RangeVar, error) {
	st, _, err := parse.ParseOne("TABLE " + text)
	if err != nil {
		return nil, err
	}
	if sel, ok := st.Node.(*ast.SelectStmt); ok && len(sel.FromClause) == 1 {
		if rv, ok := sel.FromClause[0].(*ast.RangeVar); ok {
			return rv, nil
		}
	}
	return nil, types.Errorf(types.CodeSyntaxError, "a table name is expected")
}

// relationTable resolves a stored table.
func (s *Session) relationTable(rv *ast.RangeVar) (*catalog.Table, error) {
	name := catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname}
	d, ok := s.resolve().Relation(name)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", name)
	}
	t, ok := d.(*catalog.Table)
	if !ok || t.Virtual {
		return nil, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a table", rv.Relname)
	}
	return t, nil
}

// own carries out a statement of Pamir's own.
func (s *Session) own(n *ownNode, w ResultWriter, formats []int16) error {
	switch n.kind {
	case showRanges:
		return s.showRanges(n, w, formats)
	case splitAt:
		return s.splitAt(n)
	}
	st, _, err := parse.ParseOne(ownQueries[n.kind])
	if err != nil {
		return err
	}
	p, err := s.makePlan(s.ctx, st.Node, nil)
	if err != nil {
		return err
	}
	if err := w.Columns(p.Result, formats); err != nil {
		return err
	}
	_, err = s.runPlan(p, nil, func(b *vec.Batch) error { return w.Batch(b, s.set.Types()) })
	return err
}

func (s *Session) showRanges(n *ownNode, w ResultWriter, formats []int16) error {
	start, end := keys.MinKey, keys.MaxKey
	if n.table != nil {
		t, err := s.relationTable(n.table)
		if err != nil {
			return err
		}
		start, end = keys.TableSpan(uint32(t.ID))
	}
	list, err := s.srv.db.Admin().Ranges(s.ctx, start, end)
	if err != nil {
		return err
	}
	cols := n.columns()
	if err := w.Columns(cols, formats); err != nil {
		return err
	}
	var ts []types.Type
	for _, c := range cols {
		ts = append(ts, c.Type)
	}
	b := vec.NewBatch(ts, len(list))
	for _, r := range list {
		var reps []string
		for _, x := range r.Desc.Replicas {
			reps = append(reps, strconv.Itoa(int(x.Node)))
		}
		b.AppendRow([]types.Datum{types.NewInt(int64(r.Desc.RangeID)), types.NewString(keys.Pretty(r.Desc.Start)), types.NewString(keys.Pretty(r.Desc.End)),
			types.NewString("{" + strings.Join(reps, ",") + "}"), types.NewInt(int64(r.Lease.Holder.Node)), types.NewInt(r.Keys), types.NewInt(r.Bytes)})
	}
	if b.N == 0 {
		return nil
	}
	return w.Batch(b, s.set.Types())
}

// splitAt makes range boundaries of rows' keys.
func (s *Session) splitAt(n *ownNode) error {
	t, err := s.relationTable(n.table)
	if err != nil {
		return err
	}
	x := t.PrimaryIndex()
	enc, err := rowenc.NewIndexEncoder(t, x, nil)
	if err != nil {
		return err
	}
	var at [][]byte
	add := func(row []types.Datum) error {
		if len(row) > len(x.Columns) {
			return types.Errorf(types.CodeSyntaxError, "SPLIT AT has more values than the primary key has columns")
		}
		at = append(at, enc.AppendPoint(nil, row))
		return nil
	}
	if sel, ok := n.rows.(*ast.SelectStmt); ok && len(sel.ValuesLists) > 0 {
		for _, l := range sel.ValuesLists {
			list, _ := l.(*ast.List)
			var row []types.Datum
			for i, e := range list.Items {
				if i >= len(x.Columns) {
					return types.Errorf(types.CodeSyntaxError, "SPLIT AT has more values than the primary key has columns")
				}
				d, err := s.evaluate(e, enc.ColumnType(i))
				if err != nil {
					return err
				}
				row = append(row, d)
			}
			if err := add(row); err != nil {
				return err
			}
		}
	} else if _, err := s.runInside(n.rows, nil, func(b *vec.Batch) error {
		for i := range b.Len() {
			if err := add(b.Row(nil, b.Pos(i))); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, k := range at {
		if err := s.srv.db.Admin().Split(s.ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// vacuum carries out VACUUM and ANALYZE. Old versions are collected by the
// ranges themselves; what is left to do here is to look at the data.
func (s *Session) vacuum(n *ast.VacuumStmt, w ResultWriter) (string, error) {
	analyze := !n.IsVacuumcmd
	for _, o := range n.Options {
		if d, ok := o.(*ast.DefElem); ok && strings.EqualFold(d.Defname, "analyze") {
			analyze = boolOption(d)
		}
	}
	tag := "ANALYZE"
	if n.IsVacuumcmd {
		tag = "VACUUM"
		if s.t.block {
			return "", types.Errorf(types.CodeActiveTransaction, "VACUUM cannot run inside a transaction block")
		}
	}
	var tables []*catalog.Table
	for _, r := range n.Rels {
		v, ok := r.(*ast.VacuumRelation)
		if !ok || v.Relation == nil {
			continue
		}
		t, err := s.vacuumed(v, analyze)
		if err != nil {
			return "", err
		}
		if t != nil && s.mayVacuum(t, tag, w) {
			tables = append(tables, t)
		}
	}
	if !analyze {
		return tag, nil
	}
	if len(n.Rels) == 0 {
		s.snapshot().Each(func(d catalog.Descriptor) bool {
			if t, ok := d.(*catalog.Table); ok && !t.Virtual && t.Database == s.database.ID && s.mayVacuum(t, tag, w) {
				tables = append(tables, t)
			}
			return true
		})
	}
	for _, t := range tables {
		if err := s.analyze(t); err != nil {
			return "", err
		}
	}
	return tag, nil
}

// mayVacuum reports whether the session's role owns a table or the database, and
// tells the client if not.
func (s *Session) mayVacuum(t *catalog.Table, tag string, w ResultWriter) bool {
	snap := s.snapshot()
	if snap.HasRole(s.user, t.Owner) || snap.HasRole(s.user, s.databaseIn(snap).Owner) {
		return true
	}
	s.notify(w, warning("01000", "skipping \"%s\" --- only table or database owner can "+strings.ToLower(tag)+" it", t.Name))
	return false
}

// vacuumed finds the table that VACUUM or ANALYZE names, and checks the columns;
// nil for one of the system's, which has nothing to be tidied.
func (s *Session) vacuumed(v *ast.VacuumRelation, analyze bool) (*catalog.Table, error) {
	if len(v.VaCols) > 0 && !analyze {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "ANALYZE option must be specified when a column list is provided")
	}
	name := catalog.Name{Database: v.Relation.Catalogname, Schema: v.Relation.Schemaname, Name: v.Relation.Relname}
	if d, ok := s.resolve().Relation(name); ok {
		if t, isTable := d.(*catalog.Table); isTable && t.Virtual {
			return nil, nil
		}
	}
	t, err := s.relationTable(v.Relation)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, n := range v.VaCols {
		c := constText(n)
		if _, ok := t.ColumnByName(c); !ok {
			return nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", c, t.Name)
		}
		if seen[c] {
			return nil, types.Errorf(types.CodeDuplicateColumn, "column \"%s\" of relation \"%s\" appears more than once", c, t.Name)
		}
		seen[c] = true
	}
	return t, nil
}

// analyze collects a table's statistics from all of its rows.
func (s *Session) analyze(t *catalog.Table) error {
	scan := &plan.Scan{Table: t, Index: t.PrimaryIndex()}
	for i := range t.Columns {
		c := &t.Columns[i]
		if !c.State.Readable() || c.Hidden {
			continue
		}
		scan.Read = append(scan.Read, c.ID)
		scan.Out = append(scan.Out, plan.Column{ID: plan.ColID(i + 1), Name: c.Name, Type: c.Type})
	}
	col := stats.NewCollector(scan.Read, uint64(t.ID))
	p := &plan.Plan{Root: scan, Flags: plan.Flags{ReadOnly: true}}
	var row []types.Datum
	_, err := s.runPlan(p, nil, func(b *vec.Batch) error {
		for i := range b.Len() {
			row = b.Row(row[:0], b.Pos(i))
			col.Add(row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.srv.store.PutStats(s.ctx, t.ID, col.Finish(0, builtin.MicrosOf(time.Now())))
}

// createTableAs carries out CREATE TABLE AS: the table, then INSERT ... SELECT.
func (s *Session) createTableAs(n *ast.CreateTableAsStmt, w ResultWriter) (string, error) {
	if n.Objtype == ast.OBJECT_MATVIEW {
		return "", types.Errorf(types.CodeFeatureNotSupported, "materialized views are not supported")
	}
	if n.IfNotExists {
		name := catalog.Name{Schema: n.Into.Rel.Schemaname, Name: n.Into.Rel.Relname}
		if _, exists := s.resolve().Relation(name); exists {
			e := types.Errorf(types.CodeDuplicateTable, "relation \"%s\" already exists, skipping", name.Name)
			e.Severity = "NOTICE"
			s.notify(w, e)
			return "CREATE TABLE AS", nil
		}
	}
	return s.fillNew(n.Into, n.Query)
}

func (s *Session) selectInto(n *ast.SelectStmt, text string) (string, error) {
	q := *n
	q.IntoClause = nil
	return s.fillNew(n.IntoClause, &q)
}

func (s *Session) fillNew(into *ast.IntoClause, query ast.Node) (string, error) {
	if ex, ok := query.(*ast.ExecuteStmt); ok {
		st, ok := s.stmts[ex.Name]
		if !ok {
			return "", types.Errorf(types.CodeInvalidStatementName, "prepared statement \"%s\" does not exist", ex.Name)
		}
		query = st.st.Node
	}
	p, err := s.makePlanAlone(s.ctx, query)
	if err != nil {
		return "", err
	}
	create := &ast.CreateStmt{Relation: into.Rel, Options: into.Options, Oncommit: into.OnCommit}
	if len(into.ColNames) > len(p.Result) {
		return "", types.Errorf(types.CodeSyntaxError, "too many column names were specified")
	}
	for i, c := range p.Result {
		name := c.Name
		if i < len(into.ColNames) {
			name = constText(into.ColNames[i])
		}
		create.TableElts = append(create.TableElts, &ast.ColumnDef{Colname: name, IsLocal: true,
			TypeName: &ast.TypeName{TypeOid: uint32(c.Type.OID), Typemod: c.Type.Mod}})
	}
	if err := s.changeCatalog("CREATE TABLE AS"); err != nil {
		return "", err
	}
	if _, err := schemachange.Run(s.ddlEnv(quiet{}), create); err != nil {
		return "", err
	}
	if into.SkipData {
		return "CREATE TABLE AS", nil
	}
	s.t.queue.Reset()
	n, err := s.runInside(&ast.InsertStmt{Relation: into.Rel, SelectStmt: query}, nil, nil)
	return "SELECT " + itoa(n), err
}

// setConstraints carries out SET CONSTRAINTS.
func (s *Session) setConstraints(n *ast.ConstraintsSetStmt, w ResultWriter) error {
	if !s.t.block {
		s.notify(w, warning(types.CodeNoActiveTransaction, "SET CONSTRAINTS can only be used in transaction blocks"))
	}
	if len(n.Constraints) == 0 {
		v := n.Deferred
		s.t.queue.AllSet, s.t.queue.Deferred = &v, nil
	}
	for _, c := range n.Constraints {
		if rv, ok := c.(*ast.RangeVar); ok {
			if err := s.setConstraint(rv, n.Deferred); err != nil {
				return err
			}
		}
	}
	if n.Deferred || s.t.txn == nil {
		return nil
	}
	s.prepareRunner(&s.main)
	return s.t.queue.Drain(&s.main.env, true)
}

// setConstraint sets when the constraints of a name are checked.
func (s *Session) setConstraint(rv *ast.RangeVar, deferred bool) error {
	found := false
	var bad error
	s.snapshot().Each(func(d catalog.Descriptor) bool {
		t, ok := d.(*catalog.Table)
		if !ok {
			return true
		}
		for i := range t.Constraints {
			c := &t.Constraints[i]
			switch {
			case c.Name != rv.Relname:
				continue
			case !c.Deferrable:
				bad = types.Errorf(types.CodeWrongObjectType, "constraint \"%s\" is not deferrable", c.Name)
			case deferred && c.Kind != catalog.ForeignKey:
				bad = types.Errorf(types.CodeFeatureNotSupported, "unique constraint \"%s\" cannot be deferred beyond the end of a statement", c.Name)
			}
			if s.t.queue.Deferred == nil {
				s.t.queue.Deferred = map[types.OID]bool{}
			}
			s.t.queue.Deferred[c.OID] = deferred
			found = true
		}
		return bad == nil
	})
	if !found && bad == nil {
		bad = types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" does not exist", rv.Relname)
	}
	return bad
}

// lockTables carries out LOCK TABLE. Rows are locked by who uses them; a table's
// name only has to exist.
func (s *Session) lockTables(n *ast.LockStmt) error {
	if !s.t.block {
		return types.Errorf(types.CodeNoActiveTransaction, "LOCK TABLE can only be used in transaction blocks")
	}
	for _, r := range n.Relations {
		if rv, ok := r.(*ast.RangeVar); ok {
			if _, err := s.relationTable(rv); err != nil {
				return err
			}
		}
	}
	return nil
}

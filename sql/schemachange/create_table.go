package schemachange

import (
	"errors"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/types"
)

// tableMaker turns the parts of CREATE TABLE, and of ALTER TABLE ADD, into a
// table descriptor.
type tableMaker struct {
	*Env
	t     *catalog.Table
	isNew bool
	// put are further descriptors: sequences, and tables that foreign keys
	// reference.
	put []catalog.Descriptor
	// fks are bound last: a table may reference itself.
	fks []pendingFK
	// generated are bound when all columns are there.
	generated []pendingGenerated
	// indexes are those that LIKE copies, made when all columns are there.
	indexes []*ast.IndexStmt
	// primary is the key that ADD COLUMN asks for, made when the column is there.
	primary *ast.Constraint
}

type pendingGenerated struct {
	column int
	con    *ast.Constraint
}

type pendingFK struct {
	con     *ast.Constraint
	columns []string
}

func (e *Env) createTable(s *ast.CreateStmt) error {
	n := rangeName(s.Relation)
	sc, err := e.schemaFor(s.Relation)
	var missing *types.Error
	if errors.As(err, &missing) && (missing.Code == types.CodeInvalidSchemaName || missing.Code == types.CodeInsufficientPrivilege && missing.Detail == "") {
		return missing.At(position(s.Relation.Location))
	}
	if err != nil {
		return err
	}
	if e.relationExists(sc, n.Name) {
		if s.IfNotExists {
			e.notice(types.CodeDuplicateTable, "relation \"%s\" already exists, skipping", n.Name)
			return nil
		}
		return duplicateRelation(n.Name)
	}
	switch {
	case len(s.InhRelations) > 0:
		return types.Errorf(types.CodeFeatureNotSupported, "table inheritance is not supported")
	case s.Partspec != nil || s.Partbound != nil:
		return types.Errorf(types.CodeFeatureNotSupported, "declarative partitioning is not supported: ranges split by themselves")
	case s.OfTypename != nil:
		return types.Errorf(types.CodeFeatureNotSupported, "typed tables are not supported")
	}
	m, err := e.newTable(n.Name, sc)
	if err != nil {
		return err
	}
	m.t.Temporary = e.isTemp(sc)
	if err := e.atCommit(m.t, s.Oncommit); err != nil {
		return err
	}
	if err := m.elements(s.TableElts); err != nil {
		return err
	}
	for _, c := range s.Constraints {
		if err := m.constraint(c.(*ast.Constraint), nil); err != nil {
			return err
		}
	}
	for _, o := range s.Options {
		if d, ok := o.(*ast.DefElem); ok {
			m.setOption(d)
		}
	}
	return m.finish()
}

// maxColumns bounds the columns of a table, as in PostgreSQL.
const maxColumns = 1600

// newTable starts a table without columns.
func (e *Env) newTable(name string, sc *catalog.Schema) (*tableMaker, error) {
	h, err := e.header(name, sc)
	if err != nil {
		return nil, err
	}
	rowType, err := e.oid()
	if err != nil {
		return nil, err
	}
	return &tableMaker{Env: e, isNew: true, t: &catalog.Table{Header: h, RowType: rowType, NextColumn: 1, NextStorage: 1}}, nil
}

func (m *tableMaker) setOption(d *ast.DefElem) {
	if m.t.Options == nil {
		m.t.Options = map[string]string{}
	}
	m.t.Options[strings.ToLower(d.Defname)] = defText(d)
}

// elements adds columns, what LIKE copies, and table constraints.
func (m *tableMaker) elements(elts []ast.Node) error {
	var cons []*ast.Constraint
	for _, n := range elts {
		switch x := n.(type) {
		case *ast.ColumnDef:
			if err := m.column(x); err != nil {
				return err
			}
		case *ast.TableLikeClause:
			if err := m.like(x); err != nil {
				return err
			}
		case *ast.Constraint:
			cons = append(cons, x)
		}
	}
	for _, g := range m.generated {
		if err := m.bindGenerated(g.column, g.con); err != nil {
			return err
		}
	}
	for _, c := range cons {
		if err := m.constraint(c, nil); err != nil {
			return err
		}
	}
	for _, n := range m.indexes {
		x, err := m.index(n)
		if err != nil {
			return err
		}
		m.t.Indexes = append(m.t.Indexes, *x)
	}
	return nil
}

// finish gives the table a key if it has none, a layout, and its foreign keys,
// and enters everything into the change.
func (m *tableMaker) finish() error {
	if len(m.t.Columns) > maxColumns {
		return types.Errorf(types.CodeTooManyColumns, "tables can have at most %d columns", maxColumns)
	}
	if m.t.Primary == 0 {
		if err := m.rowID(); err != nil {
			return err
		}
	}
	m.newLayout()
	m.Change.Put(append(m.put, m.t)...)
	m.put = nil
	for _, fk := range m.fks {
		if err := m.foreignKey(fk.con, fk.columns); err != nil {
			return err
		}
	}
	return nil
}

// newLayout makes the columns that exist now the layout of new rows. A layout
// keeps columns that online changes are still adding, since they are written.
func (m *tableMaker) newLayout(missing ...catalog.MissingValue) {
	l := catalog.Layout{ID: catalog.LayoutID(len(m.t.Layouts) + 1)}
	for i := range m.t.Columns {
		if c := &m.t.Columns[i]; c.State.Writable() && c.ID != catalog.RowIDColumn {
			l.Columns = append(l.Columns, c.ID)
		}
	}
	for i := range m.t.Layouts {
		m.t.Layouts[i].Missing = append(m.t.Layouts[i].Missing, missing...)
	}
	m.t.Layouts = append(m.t.Layouts, l)
	m.t.Layout = l.ID
}

// rowID gives the table its hidden key.
func (m *tableMaker) rowID() error {
	oid, err := m.oid()
	if err != nil {
		return err
	}
	m.t.Columns = append(m.t.Columns, catalog.Column{ID: catalog.RowIDColumn, Name: "rowid", Type: types.Of(types.Int8OID), NotNull: true, Hidden: true})
	m.t.Indexes = append(m.t.Indexes, catalog.Index{OID: oid, Storage: m.storage(), Name: m.t.Name + "_rowid", Unique: true,
		Columns: []catalog.IndexColumn{{Column: catalog.RowIDColumn}}})
	m.t.Primary = oid
	return nil
}

func (m *tableMaker) storage() catalog.StorageID {
	m.t.NextStorage++
	return m.t.NextStorage - 1
}

// serialTypes are the pseudo-types that make a sequence.
var serialTypes = map[string]types.OID{
	"smallserial": types.Int2OID, "serial2": types.Int2OID, "serial": types.Int4OID, "serial4": types.Int4OID,
	"bigserial": types.Int8OID, "serial8": types.Int8OID,
}

// column adds a column with its constraints.
func (m *tableMaker) column(d *ast.ColumnDef) error {
	if _, dup := m.t.ColumnByName(d.Colname); dup {
		if m.isNew {
			return types.Errorf(types.CodeDuplicateColumn, "column \"%s\" specified more than once", d.Colname)
		}
		return types.Errorf(types.CodeDuplicateColumn, "column \"%s\" of relation \"%s\" already exists", d.Colname, m.t.Name)
	}
	if systemColumns[d.Colname] {
		return types.Errorf(types.CodeDuplicateColumn, "column name \"%s\" conflicts with a system column name", d.Colname)
	}
	c := catalog.Column{ID: m.t.NextColumn, Name: truncateName(d.Colname), NotNull: d.IsNotNull}
	m.t.NextColumn++
	serial := types.OID(0)
	if names := stringList(d.TypeName.Names); len(names) == 1 && len(d.TypeName.ArrayBounds) == 0 {
		serial = serialTypes[names[0]]
	}
	if serial != 0 {
		c.Type, c.NotNull = types.Of(serial), true
	} else {
		t, err := bind.TypeOf(m.resolver(), d.TypeName)
		if err != nil {
			return err
		}
		if err := columnType(d.Colname, t); err != nil {
			return err
		}
		c.Type = t
	}
	if d.CollClause != nil {
		var err error
		if c.Collation, err = bind.Collation(d.CollClause, c.Type); err != nil {
			return err
		}
	}
	at := len(m.t.Columns)
	m.t.Columns = append(m.t.Columns, c)
	if serial != 0 {
		if err := m.serial(&m.t.Columns[at], serial, nil, false); err != nil {
			return err
		}
	}
	if d.RawDefault != nil {
		if err := m.setDefault(&m.t.Columns[at], d.RawDefault); err != nil {
			return err
		}
	}
	for _, n := range d.Constraints {
		if con, ok := n.(*ast.Constraint); ok {
			if err := m.columnConstraint(at, con, d.Constraints); err != nil {
				return err
			}
		}
	}
	return nil
}

var systemColumns = map[string]bool{"tableoid": true, "xmin": true, "cmin": true, "xmax": true, "cmax": true, "ctid": true}

// columnType refuses pseudo-types.
func columnType(name string, t types.Type) error {
	if info, ok := types.Lookup(t.OID); ok && info.Kind == 'p' {
		return types.Errorf(types.CodeInvalidTableDefinition, "column \"%s\" has pseudo-type %s", name, types.Format(t.OID, -1))
	}
	return nil
}

func (m *tableMaker) columnConstraint(at int, con *ast.Constraint, all []ast.Node) error {
	c := &m.t.Columns[at]
	switch con.Contype {
	case ast.CONSTR_NULL:
		if c.NotNull {
			e := types.Errorf(types.CodeSyntaxError, "conflicting NULL/NOT NULL declarations for column \"%s\" of table \"%s\"", c.Name, m.t.Name)
			if c.Sequence == 0 {
				e = e.At(position(con.Location))
			}
			return e
		}
	case ast.CONSTR_NOTNULL:
		c.NotNull = true
	case ast.CONSTR_DEFAULT:
		switch {
		case c.Identity != catalog.NoIdentity:
			return types.Errorf(types.CodeSyntaxError, "both default and identity specified for column \"%s\" of table \"%s\"", c.Name, m.t.Name).At(position(con.Location))
		case c.Default != nil:
			e := types.Errorf(types.CodeSyntaxError, "multiple default values specified for column \"%s\" of table \"%s\"", c.Name, m.t.Name)
			if c.Sequence == 0 {
				e = e.At(position(con.Location))
			}
			return e
		}
		return m.setDefault(c, con.RawExpr)
	case ast.CONSTR_IDENTITY:
		c.NotNull = true
		c.Identity = catalog.IdentityByDefault
		if con.GeneratedWhen == "a" {
			c.Identity = catalog.IdentityAlways
		}
		if !types.IsIntegerLike(c.Type.OID) {
			return types.Errorf(types.CodeInvalidParameterValue, "identity column type must be smallint, integer, or bigint")
		}
		return m.serial(c, c.Type.OID, con.Options, true)
	case ast.CONSTR_GENERATED:
		if i := indexOfConstraint(all, ast.CONSTR_DEFAULT); i >= 0 {
			if later := all[i].(*ast.Constraint); later.Location > con.Location {
				con = later
			}
			return types.Errorf(types.CodeSyntaxError, "both default and generation expression specified for column \"%s\" of table \"%s\"", c.Name, m.t.Name).At(position(con.Location))
		}
		if m.isNew {
			m.generated = append(m.generated, pendingGenerated{at, con})
			return nil
		}
		return m.bindGenerated(at, con)
	case ast.CONSTR_ATTR_DEFERRABLE, ast.CONSTR_ATTR_NOT_DEFERRABLE, ast.CONSTR_ATTR_DEFERRED, ast.CONSTR_ATTR_IMMEDIATE:
		// They belong to the constraint before them: deferrability.
	default:
		d := *con
		applyDeferrability(&d, con, all)
		if con.Contype == ast.CONSTR_PRIMARY && !m.isNew && m.t.HasRowID() {
			// The rows move to the new key once they have the column's values.
			c.NotNull = true
			d.Keys = []ast.Node{&ast.String{Sval: c.Name}}
			m.primary = &d
			return nil
		}
		return m.constraint(&d, []string{c.Name})
	}
	return nil
}

func indexOfConstraint(all []ast.Node, kind ast.ConstrType) int {
	return slices.IndexFunc(all, func(n ast.Node) bool {
		c, ok := n.(*ast.Constraint)
		return ok && c.Contype == kind
	})
}

// bindGenerated binds the expression of a generated column.
func (m *tableMaker) bindGenerated(at int, con *ast.Constraint) error {
	if err := m.refuseGenerated(at, con.RawExpr); err != nil {
		return err
	}
	c := &m.t.Columns[at]
	e, err := m.stored(bind.StoredGenerated, con.RawExpr, c.Type, c.Name)
	if err != nil {
		return err
	}
	if expr.VolatilityOf(e.Tree) != expr.Immutable {
		return types.Errorf(types.CodeInvalidObjectDefinition, "generation expression is not immutable")
	}
	c.Generated = e
	return nil
}

// refuseGenerated fails if an expression names a generated column.
func (m *tableMaker) refuseGenerated(at int, n ast.Node) error {
	var err error
	ast.Walk(n, func(n ast.Node) bool {
		ref, ok := n.(*ast.ColumnRef)
		if !ok || err != nil {
			return err == nil
		}
		names := stringList(ref.Fields)
		if len(names) == 0 {
			return true
		}
		name := names[len(names)-1]
		i := slices.IndexFunc(m.t.Columns, func(c catalog.Column) bool { return c.Name == name && c.State.Readable() })
		generated := i == at || i >= 0 && m.t.Columns[i].Generated != nil ||
			slices.ContainsFunc(m.generated, func(g pendingGenerated) bool { return g.column == i })
		if i >= 0 && generated {
			err = types.Errorf(types.CodeInvalidObjectDefinition, "cannot use generated column \"%s\" in column generation expression", name).
				WithDetail("A generated column cannot reference another generated column.").At(position(ref.Location))
		}
		return err == nil
	})
	return err
}

// applyDeferrability takes up the attributes that follow a column constraint in
// the list.
func applyDeferrability(d, con *ast.Constraint, all []ast.Node) {
	i := slices.IndexFunc(all, func(n ast.Node) bool { return n == ast.Node(con) })
	for _, n := range all[i+1:] {
		a, ok := n.(*ast.Constraint)
		if !ok {
			return
		}
		switch a.Contype {
		case ast.CONSTR_ATTR_DEFERRABLE:
			d.Deferrable = true
		case ast.CONSTR_ATTR_DEFERRED:
			d.Deferrable, d.Initdeferred = true, true
		case ast.CONSTR_ATTR_NOT_DEFERRABLE, ast.CONSTR_ATTR_IMMEDIATE:
		default:
			return
		}
	}
}

// stored binds an expression over the table's columns and keeps its text.
func (m *tableMaker) stored(kind bind.StoredKind, n ast.Node, want types.Type, column string) (*catalog.Expr, error) {
	tree, err := bind.Stored(kind, n, m.t, want, column, m.resolver(), m.Bind)
	if err != nil {
		return nil, err
	}
	source, err := parse.FormatExpr(n)
	if err != nil {
		return nil, err
	}
	return &catalog.Expr{Source: source, Tree: tree}, nil
}

func (m *tableMaker) setDefault(c *catalog.Column, n ast.Node) error {
	e, err := m.stored(bind.StoredDefault, n, c.Type, c.Name)
	if err != nil {
		return err
	}
	if k, ok := e.Tree.(*expr.Const); ok && k.Value.IsNull() {
		e = nil // what a column has anyway
	}
	c.Default = e
	return nil
}

// serial makes the sequence that a serial or identity column owns.
func (m *tableMaker) serial(c *catalog.Column, typ types.OID, options []ast.Node, identity bool) error {
	seq, err := m.sequenceFor(c, typ, options)
	if err != nil {
		return err
	}
	seq.Internal = identity
	c.Sequence = seq.ID
	m.put = append(m.put, seq)
	// The default names the sequence by its oid, so that renaming it is harmless.
	tree, err := nextvalExpr(seq.ID, c.Type)
	if err != nil {
		return err
	}
	c.Default = &catalog.Expr{Source: "nextval('" + strings.ReplaceAll(quoteIdent(seq.Name), "'", "''") + "'::regclass)", Tree: tree}
	if identity {
		c.Default.Source = ""
	}
	return nil
}

// What LIKE copies besides names and types.
const (
	likeComments    = 1 << 0
	likeConstraints = 1 << 2
	likeDefaults    = 1 << 3
	likeGenerated   = 1 << 4
	likeIdentity    = 1 << 5
	likeIndexes     = 1 << 6
)

// like copies another relation's columns and what INCLUDING names.
func (m *tableMaker) like(l *ast.TableLikeClause) error {
	d, err := m.relation(rangeName(l.Relation), l.Relation.Location)
	if err != nil {
		return err
	}
	src, isTable := d.(*catalog.Table)
	v, isView := d.(*catalog.View)
	switch {
	case isView:
		src = &catalog.Table{Header: v.Header, Columns: v.Columns}
	case !isTable:
		return types.Errorf(types.CodeWrongObjectType, "relation \"%s\" is invalid in LIKE clause", l.Relation.Relname).
			WithDetail("This operation is not supported for %ss.", d.Kind()).At(position(l.Relation.Location))
	}
	if err := m.mayOn(d, 'r'); err != nil {
		return err
	}
	for i := range src.Columns {
		if c := &src.Columns[i]; !c.Hidden && c.State.Readable() {
			if err := m.likeColumn(src, c, l.Options); err != nil {
				return err
			}
		}
	}
	for i := range src.Constraints {
		if err := m.likeConstraint(src, &src.Constraints[i], l.Options); err != nil {
			return err
		}
	}
	if l.Options&likeIndexes != 0 {
		return m.likePlainIndexes(src)
	}
	return nil
}

func (m *tableMaker) likeColumn(src *catalog.Table, c *catalog.Column, options uint32) error {
	if _, dup := m.t.ColumnByName(c.Name); dup {
		return types.Errorf(types.CodeDuplicateColumn, "column \"%s\" specified more than once", c.Name)
	}
	n := catalog.Column{ID: m.t.NextColumn, Name: c.Name, Type: c.Type, NotNull: c.NotNull, Collation: c.Collation}
	if options&likeDefaults != 0 && c.Identity == catalog.NoIdentity {
		n.Default = c.Default
	}
	if options&likeComments != 0 {
		n.Comment = c.Comment
	}
	m.t.NextColumn++
	m.t.Columns = append(m.t.Columns, n)
	at := len(m.t.Columns) - 1
	if c.Identity != catalog.NoIdentity && options&likeIdentity != 0 {
		m.t.Columns[at].Identity = c.Identity
		if err := m.serial(&m.t.Columns[at], c.Type.OID, nil, true); err != nil {
			return err
		}
		m.likeSequence(c.Sequence)
	}
	if c.Generated != nil && options&likeGenerated != 0 {
		// It may read columns that come later.
		n, err := parse.ParseExpr(pgcatalog.ExprText(m.resolver(), src, c.Generated))
		if err != nil {
			return err
		}
		m.generated = append(m.generated, pendingGenerated{at, &ast.Constraint{Contype: ast.CONSTR_GENERATED, RawExpr: n}})
	}
	return nil
}

// likeSequence gives the sequence that was made last the options of another.
func (m *tableMaker) likeSequence(of types.OID) {
	d, _ := m.Change.Snapshot().ByOID(of)
	from, ok := d.(*catalog.Sequence)
	if to, isSequence := m.put[len(m.put)-1].(*catalog.Sequence); ok && isSequence {
		to.Start, to.Increment, to.Min, to.Max, to.Cache, to.Cycle = from.Start, from.Increment, from.Min, from.Max, from.Cache, from.Cycle
	}
}

func (m *tableMaker) likeConstraint(src *catalog.Table, c *catalog.Constraint, options uint32) error {
	switch {
	case options&likeConstraints != 0 && c.Kind == catalog.CheckConstraint:
		n, err := parse.ParseExpr(pgcatalog.ExprText(m.resolver(), src, c.Check))
		if err != nil {
			return err
		}
		return m.constraint(&ast.Constraint{Contype: ast.CONSTR_CHECK, Conname: c.Name, RawExpr: n}, nil)
	case options&likeIndexes != 0 && (c.Kind == catalog.PrimaryKey || c.Kind == catalog.UniqueConstraint):
		con := &ast.Constraint{Contype: ast.CONSTR_PRIMARY, Keys: columnNames(src, c.Columns), Deferrable: c.Deferrable, Initdeferred: c.InitiallyDeferred}
		if c.Kind == catalog.UniqueConstraint {
			con.Contype = ast.CONSTR_UNIQUE
		}
		if x, ok := src.Index(c.Index); ok {
			con.Including, con.NullsNotDistinct = columnNames(src, x.Include), x.NullsNotDistinct
		}
		return m.constraint(con, nil)
	}
	return nil
}

func columnNames(t *catalog.Table, ids []catalog.ColumnID) []ast.Node {
	var out []ast.Node
	for _, id := range ids {
		c, _ := t.Column(id)
		out = append(out, &ast.String{Sval: c.Name})
	}
	return out
}

// likePlainIndexes keeps the indexes that no constraint has, to be made when all
// columns are there.
func (m *tableMaker) likePlainIndexes(src *catalog.Table) error {
	for i := range src.Indexes {
		x := &src.Indexes[i]
		ofConstraint := slices.ContainsFunc(src.Constraints, func(c catalog.Constraint) bool { return c.Index == x.OID && c.Kind != catalog.ForeignKey })
		if ofConstraint || !x.State.Readable() || x.OID == src.Primary {
			continue
		}
		def, _ := pgcatalog.IndexDef(m.resolver(), x.OID, 0, false)
		st, _, err := parse.ParseOne(def)
		if err != nil {
			return err
		}
		n, ok := st.Node.(*ast.IndexStmt)
		if !ok {
			return types.Errorf(types.CodeInternal, "no definition of index \"%s\"", x.Name)
		}
		n.Idxname = ""
		m.indexes = append(m.indexes, n)
	}
	return nil
}

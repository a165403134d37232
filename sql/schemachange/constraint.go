package schemachange

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// constraint adds a table constraint, or one of the column named.
func (m *tableMaker) constraint(c *ast.Constraint, columns []string) error {
	if c.Conname != "" {
		for i := range m.t.Constraints {
			if m.t.Constraints[i].Name == c.Conname {
				if m.isNew && c.Contype == ast.CONSTR_CHECK {
					return types.Errorf(types.CodeDuplicateObject, "check constraint \"%s\" already exists", c.Conname)
				}
				return types.Errorf(types.CodeDuplicateObject, "constraint \"%s\" for relation \"%s\" already exists", c.Conname, m.t.Name)
			}
		}
	}
	switch c.Contype {
	case ast.CONSTR_CHECK:
		return m.check(c, columns)
	case ast.CONSTR_PRIMARY, ast.CONSTR_UNIQUE:
		if len(c.Keys) > 0 {
			columns = stringList(c.Keys)
		}
		return m.uniqueConstraint(c, columns)
	case ast.CONSTR_FOREIGN:
		if len(c.FkAttrs) > 0 {
			columns = stringList(c.FkAttrs)
		}
		if m.isNew {
			m.fks = append(m.fks, pendingFK{c, columns})
			return nil
		}
		return m.foreignKey(c, columns)
	case ast.CONSTR_EXCLUSION:
		return types.Errorf(types.CodeFeatureNotSupported, "exclusion constraints are not supported")
	}
	return types.Errorf(types.CodeFeatureNotSupported, "constraint type %d is not supported", c.Contype)
}

func (m *tableMaker) names() []string {
	var out []string
	for i := range m.t.Constraints {
		out = append(out, m.t.Constraints[i].Name)
	}
	for i := range m.t.Indexes {
		out = append(out, m.t.Indexes[i].Name)
	}
	return out
}

func (m *tableMaker) check(c *ast.Constraint, columns []string) error {
	e, err := m.stored(bind.StoredCheck, c.RawExpr, types.Of(types.BoolOID), "")
	if err != nil {
		return err
	}
	var used []catalog.ColumnID
	ast.Walk(c.RawExpr, func(n ast.Node) bool {
		if ref, ok := n.(*ast.ColumnRef); ok {
			if names := stringList(ref.Fields); len(names) > 0 {
				if tc, ok := m.t.ColumnByName(names[len(names)-1]); ok && !slices.Contains(used, tc.ID) {
					used = append(used, tc.ID)
				}
			}
		}
		return true
	})
	name := c.Conname
	if name == "" {
		part := ""
		if len(columns) == 1 {
			part = columns[0]
		} else if len(used) == 1 {
			tc, _ := m.t.Column(used[0])
			part = tc.Name
		}
		name = m.freeName(m.t.Schema, m.names(), m.t.Name, part, "check")
	}
	oid, err := m.oid()
	if err != nil {
		return err
	}
	m.t.Constraints = append(m.t.Constraints, catalog.Constraint{OID: oid, Name: truncateName(name), Kind: catalog.CheckConstraint,
		Columns: used, Check: e, NoInherit: c.IsNoInherit, NotValid: c.SkipValidation})
	return nil
}

// columnIDs resolves the columns of a key.
func (m *tableMaker) columnIDs(names []string, loc int) ([]catalog.ColumnID, error) {
	var ids []catalog.ColumnID
	for _, n := range names {
		c, ok := m.t.ColumnByName(n)
		if !ok {
			return nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" named in key does not exist", n).At(position(loc))
		}
		if slices.Contains(ids, c.ID) {
			return nil, types.Errorf(types.CodeDuplicateColumn, "column \"%s\" appears twice in unique constraint", n).At(position(loc))
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// uniqueConstraint adds PRIMARY KEY or UNIQUE with the index that carries it.
func (m *tableMaker) uniqueConstraint(c *ast.Constraint, columns []string) error {
	primary := c.Contype == ast.CONSTR_PRIMARY
	if c.Initdeferred {
		return types.Errorf(types.CodeFeatureNotSupported, "unique constraints that are INITIALLY DEFERRED are not supported").
			WithHint("A DEFERRABLE one is checked at the end of each statement.").At(position(newLocation(m, c)))
	}
	if c.Indexname != "" {
		return m.constraintOnIndex(c)
	}
	if primary && m.t.Primary != 0 && !m.t.HasRowID() {
		return types.Errorf(types.CodeInvalidTableDefinition, "multiple primary keys for table \"%s\" are not allowed", m.t.Name).At(position(newLocation(m, c)))
	}
	ids, err := m.columnIDs(columns, c.Location)
	if err != nil {
		return err
	}
	x := catalog.Index{Unique: true, NullsNotDistinct: c.NullsNotDistinct}
	for _, id := range ids {
		if err := m.indexable(id); err != nil {
			return err
		}
		if primary {
			tc, _ := m.t.Column(id)
			tc.NotNull = true
		}
		x.Columns = append(x.Columns, catalog.IndexColumn{Column: id})
	}
	if x.Include, err = m.columnIDs(stringList(c.Including), c.Location); err != nil {
		return err
	}
	suffix, part := "key", strings.Join(slices.Concat(columns, stringList(c.Including)), "_")
	kind := catalog.UniqueConstraint
	if primary {
		suffix, part, kind = "pkey", "", catalog.PrimaryKey
	}
	x.Name = c.Conname
	if x.Name == "" {
		x.Name = m.freeName(m.t.Schema, m.names(), m.t.Name, part, suffix)
	} else if _, _, taken := m.Change.Snapshot().RelationOID(m.t.Schema, x.Name); taken || slices.Contains(m.names(), x.Name) {
		return duplicateRelation(x.Name)
	}
	x.Name = truncateName(x.Name)
	if x.OID, err = m.oid(); err != nil {
		return err
	}
	oid, err := m.oid()
	if err != nil {
		return err
	}
	x.Storage = m.storage()
	m.t.Indexes = append(m.t.Indexes, x)
	if primary {
		m.t.Primary = x.OID
	}
	m.t.Constraints = append(m.t.Constraints, catalog.Constraint{OID: oid, Name: x.Name, Kind: kind, Columns: ids, Index: x.OID,
		Deferrable: c.Deferrable, InitiallyDeferred: c.Initdeferred})
	return nil
}

// newLocation is where a constraint stands, in CREATE TABLE.
func newLocation(m *tableMaker, c *ast.Constraint) int {
	if m.isNew {
		return c.Location
	}
	return -1
}

// indexable refuses a column whose type has no order.
func (m *tableMaker) indexable(id catalog.ColumnID) error {
	c, _ := m.t.Column(id)
	return indexableType(c.Type)
}

func indexableType(t types.Type) error {
	if ops, ok := pgfacts.DefaultBtree(t.OID); ok && ops.Less != 0 || t.OID >= 16384 {
		return nil
	}
	return types.Errorf(types.CodeUndefinedObject, "data type %s has no default operator class for access method \"btree\"", types.Format(t.OID, -1)).
		WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
}

// constraintOnIndex makes a UNIQUE constraint of an existing unique index.
func (m *tableMaker) constraintOnIndex(c *ast.Constraint) error {
	i := slices.IndexFunc(m.t.Indexes, func(x catalog.Index) bool { return x.Name == c.Indexname })
	if i < 0 {
		return types.Errorf(types.CodeUndefinedObject, "index \"%s\" does not exist", c.Indexname)
	}
	x := &m.t.Indexes[i]
	if !x.Unique || x.Predicate != nil {
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a unique index", x.Name)
	}
	if c.Contype == ast.CONSTR_PRIMARY {
		return types.Errorf(types.CodeFeatureNotSupported, "PRIMARY KEY USING INDEX is not supported: rows are stored in the primary key's order; use ADD PRIMARY KEY")
	}
	oid, err := m.oid()
	if err != nil {
		return err
	}
	con := catalog.Constraint{OID: oid, Name: c.Conname, Kind: catalog.UniqueConstraint, Index: x.OID, Deferrable: c.Deferrable, InitiallyDeferred: c.Initdeferred}
	if con.Name == "" {
		con.Name = x.Name
	}
	if x.Name != con.Name {
		m.notice("00000", "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"", x.Name, con.Name)
	}
	x.Name = con.Name
	for _, ic := range x.Columns {
		if ic.Column == 0 {
			return types.Errorf(types.CodeWrongObjectType, "index \"%s\" contains expressions", x.Name)
		}
		con.Columns = append(con.Columns, ic.Column)
	}
	m.t.Constraints = append(m.t.Constraints, con)
	return nil
}

// foreignKey adds a foreign key; the table must be in the change already.
func (m *tableMaker) foreignKey(c *ast.Constraint, columns []string) error {
	t, err := m.table(m.t.ID)
	if err != nil {
		return err
	}
	if !m.isNew {
		t = m.t
	}
	d, err := m.relation(rangeName(c.Pktable), -1)
	if err != nil {
		return err
	}
	ref, ok := d.(*catalog.Table)
	if !ok || ref.Virtual {
		return types.Errorf(types.CodeWrongObjectType, "referenced relation \"%s\" is not a table", c.Pktable.Relname)
	}
	if err := m.mayOn(ref, 'x'); err != nil {
		return err
	}
	if err := sameLife(t, ref); err != nil {
		return err
	}
	self := ref.ID == t.ID
	if self {
		ref = t
	} else if ref, err = m.table(ref.ID); err != nil {
		return err
	}
	con := catalog.Constraint{Kind: catalog.ForeignKey, RefTable: ref.ID, OnUpdate: fkAction(c.FkUpdAction), OnDelete: fkAction(c.FkDelAction),
		Deferrable: c.Deferrable, InitiallyDeferred: c.Initdeferred, NotValid: c.SkipValidation}
	if c.FkMatchtype == "f" {
		con.Match = 'f'
	}
	if con.Columns, err = fkColumns(t, columns); err != nil {
		return err
	}
	if con.OnDeleteSet, err = fkColumns(t, stringList(c.FkDelSetCols)); err != nil {
		return err
	}
	if err := referenced(&con, ref, stringList(c.PkAttrs)); err != nil {
		return err
	}
	if err := comparableKeys(t, ref, &con, c.Conname); err != nil {
		return err
	}
	con.Name = truncateName(c.Conname)
	maker := &tableMaker{Env: m.Env, t: t}
	if con.Name == "" {
		con.Name = m.freeName(t.Schema, maker.names(), t.Name, strings.Join(columns, "_"), "fkey")
	}
	if con.OID, err = m.oid(); err != nil {
		return err
	}
	t.Constraints = append(t.Constraints, con)
	ref.InboundFKs = append(ref.InboundFKs, catalog.InboundFK{Table: t.ID, Constraint: con.OID})
	if !self {
		m.Change.Put(ref)
	}
	if m.isNew {
		m.Change.Put(t)
	}
	return nil
}

func fkAction(s string) catalog.FKAction {
	if s == "" {
		return catalog.FKNoAction
	}
	return catalog.FKAction(s[0])
}

func fkColumns(t *catalog.Table, names []string) ([]catalog.ColumnID, error) {
	var ids []catalog.ColumnID
	for _, n := range names {
		c, ok := t.ColumnByName(n)
		if !ok {
			return nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" referenced in foreign key constraint does not exist", n)
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// referenced finds the unique index that a foreign key stands on.
func referenced(con *catalog.Constraint, ref *catalog.Table, names []string) error {
	if len(names) == 0 {
		x := ref.PrimaryIndex()
		if x == nil || ref.HasRowID() {
			return types.Errorf(types.CodeUndefinedObject, "there is no primary key for referenced table \"%s\"", ref.Name)
		}
		for _, ic := range x.Columns {
			con.RefColumns = append(con.RefColumns, ic.Column)
		}
		con.Index = x.OID
	} else {
		var err error
		if con.RefColumns, err = fkColumns(ref, names); err != nil {
			return err
		}
		for i := range ref.Indexes {
			x := &ref.Indexes[i]
			if x.Unique && x.Predicate == nil && x.State.Readable() && sameColumns(x, con.RefColumns) {
				con.Index = x.OID
				break
			}
		}
		if con.Index == 0 {
			return types.Errorf(types.CodeInvalidForeignKey, "there is no unique constraint matching given keys for referenced table \"%s\"", ref.Name)
		}
	}
	for i := range ref.Constraints {
		if k := &ref.Constraints[i]; k.Index == con.Index && k.Kind != catalog.ForeignKey && k.Deferrable {
			return types.Errorf(types.CodeObjectNotInPrerequisite, "cannot use a deferrable %s for referenced table \"%s\"",
				map[bool]string{true: "primary key", false: "unique constraint"}[len(names) == 0], ref.Name)
		}
	}
	if len(con.RefColumns) != len(con.Columns) {
		return types.Errorf(types.CodeInvalidForeignKey, "number of referencing and referenced columns for foreign key disagree")
	}
	return nil
}

func sameColumns(x *catalog.Index, ids []catalog.ColumnID) bool {
	if len(x.Columns) != len(ids) {
		return false
	}
	for _, ic := range x.Columns {
		if ic.Column == 0 || !slices.Contains(ids, ic.Column) {
			return false
		}
	}
	return true
}

// comparableKeys refuses keys whose types have no common equality.
func comparableKeys(t, ref *catalog.Table, con *catalog.Constraint, name string) error {
	for i := range con.Columns {
		a, _ := t.Column(con.Columns[i])
		b, _ := ref.Column(con.RefColumns[i])
		if a.Type.OID == b.Type.OID || a.Type.Category() == b.Type.Category() {
			continue
		}
		if name == "" {
			name = makeName(t.Name, a.Name, "fkey")
		}
		return types.Errorf(types.CodeDatatypeMismatch, "foreign key constraint \"%s\" cannot be implemented", name).
			WithDetail("Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.", a.Name, b.Name, a.Type, b.Type)
	}
	return nil
}

package schemachange

import (
	"errors"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

// alterTag is the command tag of ALTER on a kind of object.
func alterTag(o ast.ObjectType) string {
	return "ALTER " + objectName(o)
}

func objectName(o ast.ObjectType) string {
	switch o {
	case ast.OBJECT_INDEX:
		return "INDEX"
	case ast.OBJECT_SEQUENCE:
		return "SEQUENCE"
	case ast.OBJECT_VIEW:
		return "VIEW"
	case ast.OBJECT_MATVIEW:
		return "MATERIALIZED VIEW"
	case ast.OBJECT_SCHEMA:
		return "SCHEMA"
	case ast.OBJECT_DATABASE:
		return "DATABASE"
	case ast.OBJECT_TYPE:
		return "TYPE"
	case ast.OBJECT_DOMAIN:
		return "DOMAIN"
	case ast.OBJECT_ROLE:
		return "ROLE"
	}
	if tag, ok := objectTags[o]; ok {
		return tag
	}
	if word, ok := builtinOnly[o]; ok {
		return strings.ToUpper(word)
	}
	return "TABLE"
}

func (e *Env) alterTable(s *ast.AlterTableStmt) error {
	if s.Objtype != ast.OBJECT_TABLE || changesOwner(s) {
		return e.alterOther(s)
	}
	t, ok, err := e.ownTable(s.Relation, s.MissingOk)
	if err != nil || !ok {
		return err
	}
	for _, n := range s.Cmds {
		if err := e.alterCommand(t, n.(*ast.AlterTableCmd)); err != nil {
			return err
		}
		// The next command starts from what this one left.
		if t, err = e.table(t.ID); err != nil {
			return err
		}
	}
	return nil
}

// changesOwner reports whether ALTER TABLE only gives a relation a new owner,
// which it does to any kind of them.
func changesOwner(s *ast.AlterTableStmt) bool {
	return !slices.ContainsFunc(s.Cmds, func(n ast.Node) bool { return n.(*ast.AlterTableCmd).Subtype != ast.AT_ChangeOwner })
}

// alterOther takes ALTER INDEX, SEQUENCE and VIEW, of which the owner is all
// that ALTER TABLE's commands change.
func (e *Env) alterOther(s *ast.AlterTableStmt) error {
	d, err := e.relation(rangeName(s.Relation), -1)
	if types.CodeOf(err) == types.CodeUndefinedTable && s.MissingOk {
		e.notice("00000", "relation \"%s\" does not exist, skipping", s.Relation.Relname)
		return nil
	}
	if err != nil {
		return err
	}
	if err := mustBe(d, s.Objtype); err != nil {
		return err
	}
	for _, n := range s.Cmds {
		c := n.(*ast.AlterTableCmd)
		isOptions := c.Subtype == ast.AT_SetRelOptions || c.Subtype == ast.AT_ResetRelOptions
		if v, isView := d.(*catalog.View); isView && isOptions {
			if err := e.alterViewOptions(v, c); err != nil {
				return err
			}
			d, _ = e.Change.Snapshot().ByOID(v.ID)
			continue
		}
		if c.Subtype != ast.AT_ChangeOwner {
			return types.Errorf(types.CodeFeatureNotSupported, "this form of %s is not supported", alterTag(s.Objtype))
		}
		if err := e.setOwner(d, c.Newowner); err != nil {
			return err
		}
	}
	return nil
}

// mustBe fails if a statement for one kind of relations names another. TABLE stands
// for all of them.
func mustBe(d catalog.Descriptor, kind ast.ObjectType) error {
	v, isView := d.(*catalog.View)
	t, isTable := d.(*catalog.Table)
	is := true
	switch {
	case isTable && t.Virtual:
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system catalog", t.Name)
	case kind == ast.OBJECT_SEQUENCE:
		is = d.Kind() == catalog.KindSequence
	case kind == ast.OBJECT_VIEW:
		is = isView && v.Materials == 0
	case kind == ast.OBJECT_MATVIEW:
		is = isView && v.Materials != 0
	case kind == ast.OBJECT_FOREIGN_TABLE:
		is = false
	}
	if !is {
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a %s", d.Head().Name, strings.ToLower(objectName(kind)))
	}
	return nil
}

// alterCommand carries out one command on a copy of the table and enters it.
func (e *Env) alterCommand(t *catalog.Table, c *ast.AlterTableCmd) error {
	m := &tableMaker{Env: e, t: t}
	switch c.Subtype {
	case ast.AT_AddColumn:
		return m.addColumn(c.Def.(*ast.ColumnDef), c.MissingOk)
	case ast.AT_DropColumn:
		return m.dropColumn(c)
	case ast.AT_AddConstraint:
		return m.addConstraint(c.Def.(*ast.Constraint))
	case ast.AT_DropConstraint:
		return m.dropConstraint(c)
	case ast.AT_ValidateConstraint:
		return m.validateConstraint(c.Name)
	case ast.AT_AlterColumnType:
		return m.alterType(c)
	case ast.AT_ChangeOwner:
		return e.setOwner(t, c.Newowner)
	case ast.AT_SetRelOptions, ast.AT_ResetRelOptions, ast.AT_ReplaceRelOptions:
		if l, ok := c.Def.(*ast.List); ok {
			for _, o := range l.Items {
				m.setOption(o.(*ast.DefElem))
			}
		}
		e.Change.Put(t)
		return nil
	case ast.AT_SetStorage, ast.AT_SetCompression, ast.AT_SetStatistics, ast.AT_ClusterOn, ast.AT_DropCluster, ast.AT_SetLogged,
		ast.AT_ReplicaIdentity, ast.AT_EnableTrigAll, ast.AT_DisableTrigAll, ast.AT_EnableTrigUser, ast.AT_DisableTrigUser:
		// Nothing here depends on them, but the column must be there.
		if c.Name == "" || c.Subtype != ast.AT_SetStorage && c.Subtype != ast.AT_SetCompression && c.Subtype != ast.AT_SetStatistics {
			return nil
		}
		if _, ok := t.ColumnByName(c.Name); !ok {
			return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", c.Name, t.Name)
		}
		return nil
	}
	return m.alterColumn(c)
}

// alterColumn carries out the commands on one column.
func (m *tableMaker) alterColumn(c *ast.AlterTableCmd) error {
	if c.Name == "" {
		return types.Errorf(types.CodeFeatureNotSupported, "this form of ALTER TABLE is not supported")
	}
	i := slices.IndexFunc(m.t.Columns, func(tc catalog.Column) bool { return tc.Name == c.Name && !tc.Hidden && tc.State.Readable() })
	if i < 0 {
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", c.Name, m.t.Name)
	}
	col := &m.t.Columns[i]
	switch c.Subtype {
	case ast.AT_ColumnDefault:
		col.Default = nil
		if c.Def != nil {
			if err := m.setDefault(col, c.Def); err != nil {
				return nowhere(err)
			}
		}
	case ast.AT_DropNotNull:
		if x := m.t.PrimaryIndex(); slices.ContainsFunc(x.Columns, func(ic catalog.IndexColumn) bool { return ic.Column == col.ID }) {
			return types.Errorf(types.CodeInvalidTableDefinition, "column \"%s\" is in a primary key", col.Name)
		}
		col.NotNull = false
	case ast.AT_SetNotNull:
		if err := m.validateNotNull(m.t, col); err != nil {
			return err
		}
		col.NotNull = true
	case ast.AT_AddIdentity:
		con := c.Def.(*ast.Constraint)
		if err := m.columnConstraint(i, con, []ast.Node{con}); err != nil {
			return err
		}
	case ast.AT_DropIdentity:
		if col.Identity == catalog.NoIdentity {
			if c.MissingOk {
				m.notice("00000", "column \"%s\" of relation \"%s\" is not an identity column, skipping", col.Name, m.t.Name)
				return nil
			}
			return notIdentity(m.t, col)
		}
		seq := col.Sequence
		col.Identity, col.Default, col.Sequence = 0, nil, 0
		m.Change.Drop(seq)
	case ast.AT_SetIdentity:
		if err := m.setIdentity(col, c); err != nil {
			return err
		}
	case ast.AT_DropExpression:
		if col.Generated == nil {
			if c.MissingOk {
				m.notice("00000", "column \"%s\" of relation \"%s\" is not a stored generated column, skipping", col.Name, m.t.Name)
				return nil
			}
			return types.Errorf(types.CodeObjectNotInPrerequisite, "column \"%s\" of relation \"%s\" is not a stored generated column", col.Name, m.t.Name)
		}
		col.Generated = nil
	default:
		return types.Errorf(types.CodeFeatureNotSupported, "this form of ALTER TABLE is not supported")
	}
	m.Change.Put(append(m.put, m.t)...)
	return nil
}

func notIdentity(t *catalog.Table, c *catalog.Column) error {
	return types.Errorf(types.CodeObjectNotInPrerequisite, "column \"%s\" of relation \"%s\" is not an identity column", c.Name, t.Name)
}

// setIdentity changes when an identity column takes values of its own, and the
// options of its sequence.
func (m *tableMaker) setIdentity(col *catalog.Column, c *ast.AlterTableCmd) error {
	if col.Identity == catalog.NoIdentity {
		return notIdentity(m.t, col)
	}
	l, ok := c.Def.(*ast.List)
	if !ok {
		return nil
	}
	var options []ast.Node
	for _, n := range l.Items {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		if d.Defname != "generated" {
			options = append(options, d)
			continue
		}
		col.Identity = catalog.IdentityByDefault
		if k, ok := d.Arg.(*ast.Integer); ok && k.Ival == 'a' {
			col.Identity = catalog.IdentityAlways
		}
	}
	if len(options) == 0 {
		return nil
	}
	d, _ := m.Change.Snapshot().ByOID(col.Sequence)
	q, ok := d.(*catalog.Sequence)
	if !ok {
		return types.Errorf(types.CodeUndefinedObject, "the sequence of column \"%s\" is gone", col.Name)
	}
	q, err := clone(q)
	if err != nil {
		return err
	}
	if err := m.sequenceOptions(q, options, false); err != nil {
		return err
	}
	m.Change.Put(q)
	return nil
}

// addColumn adds a column. A constant default costs nothing: rows that exist get
// it from their layout. Any other is computed for them now.
func (m *tableMaker) addColumn(d *ast.ColumnDef, ifNotExists bool) error {
	if _, dup := m.t.ColumnByName(d.Colname); dup && ifNotExists {
		m.notice(types.CodeDuplicateColumn, "column \"%s\" of relation \"%s\" already exists, skipping", d.Colname, m.t.Name)
		return nil
	}
	old, err := clone(m.t)
	if err != nil {
		return err
	}
	if err := m.column(d); err != nil {
		return err
	}
	id := m.t.NextColumn - 1
	col, _ := m.t.Column(id)
	// Its indexes and constraints come when the rows that exist have its values.
	indexes, constraints := m.t.Indexes, m.t.Constraints
	m.t.Indexes, m.t.Constraints = slices.Clone(old.Indexes), slices.Clone(old.Constraints)
	var missing []catalog.MissingValue
	compute := col.Generated != nil
	if col.Default != nil {
		if k, ok := constant(col.Default.Tree); ok {
			if !k.IsNull() {
				missing = append(missing, catalog.MissingValue{Column: id, Value: k})
			}
		} else {
			compute = true
		}
	}
	notNull := col.NotNull
	if compute {
		col.NotNull = false
	}
	m.newLayout(missing...)
	m.Change.Put(append(m.put, m.t)...)
	if compute {
		what := "DEFAULT"
		if err := m.Query(m.Ctx, "UPDATE "+m.sqlName(m.t)+" SET "+quoteIdent(col.Name)+" = "+what, nil); err != nil {
			return err
		}
	}
	if notNull {
		if len(missing) == 0 {
			if err := m.validateNotNull(m.t, col); err != nil {
				return err
			}
		}
		if compute {
			t, err := m.table(m.t.ID)
			if err != nil {
				return err
			}
			tc, _ := t.Column(id)
			tc.NotNull = true
			m.t = t
			m.Change.Put(t)
		}
	}
	before, err := clone(m.t)
	if err != nil {
		return err
	}
	m.t.Indexes, m.t.Constraints = indexes, constraints
	if err := m.settle(before); err != nil || m.primary == nil {
		return err
	}
	key := m.primary
	m.primary = nil
	return m.addConstraint(key)
}

// settle fills the indexes that are new against old, and checks the constraints
// that are.
func (m *tableMaker) settle(old *catalog.Table) error {
	if err := m.fill(old, m.t); err != nil {
		return err
	}
	m.Change.Put(m.t)
	for i := range m.t.Constraints {
		c := &m.t.Constraints[i]
		if _, had := old.Constraint(c.OID); had || c.NotValid {
			continue
		}
		if err := m.validate(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *tableMaker) validate(c *catalog.Constraint) error {
	switch c.Kind {
	case catalog.CheckConstraint:
		return m.validateCheck(m.t, c)
	case catalog.ForeignKey:
		return m.validateFK(m.t, c)
	}
	return nil
}

// constant evaluates an expression that is the same for every row and run.
func constant(e expr.Expr) (types.Datum, bool) {
	if expr.VolatilityOf(e) != expr.Immutable {
		return types.Null, false
	}
	p, err := expr.Compile([]expr.Expr{e}, expr.Options{})
	if err != nil {
		return types.Null, false
	}
	d, err := p.NewInstance().EvalOne(&expr.Ctx{})
	return d, err == nil
}

func (m *tableMaker) addConstraint(c *ast.Constraint) error {
	old, err := clone(m.t)
	if err != nil {
		return err
	}
	if c.Contype == ast.CONSTR_PRIMARY && m.t.HasRowID() {
		return m.addPrimaryKey(c, old)
	}
	if err := m.constraint(c, nil); err != nil {
		return err
	}
	m.Change.Put(m.t)
	return m.settle(old)
}

// addPrimaryKey moves the rows from the hidden key to the new one. Every index
// is written anew, since entries end in the primary key.
func (m *tableMaker) addPrimaryKey(c *ast.Constraint, old *catalog.Table) error {
	rowid := m.t.Primary
	if err := m.constraint(c, nil); err != nil {
		return err
	}
	var gone []catalog.StorageID
	i := slices.IndexFunc(m.t.Indexes, func(x catalog.Index) bool { return x.OID == rowid })
	gone = append(gone, m.t.Indexes[i].Storage)
	m.t.Indexes = slices.Delete(m.t.Indexes, i, i+1)
	for i := range m.t.Indexes {
		if x := &m.t.Indexes[i]; x.OID != m.t.Primary {
			gone = append(gone, x.Storage)
			x.Storage = m.storage()
		}
	}
	m.t.Columns = slices.DeleteFunc(m.t.Columns, func(tc catalog.Column) bool { return tc.ID == catalog.RowIDColumn })
	m.newLayout()
	if err := m.fill(old, m.t); err != nil {
		return err
	}
	m.clearStorage(m.t, gone...)
	m.Change.Put(m.t)
	return nil
}

func (m *tableMaker) validateConstraint(name string) error {
	for i := range m.t.Constraints {
		c := &m.t.Constraints[i]
		if c.Name != name {
			continue
		}
		if c.NotValid {
			if err := m.validate(c); err != nil {
				return err
			}
			c.NotValid = false
			m.Change.Put(m.t)
		}
		return nil
	}
	return types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", name, m.t.Name)
}

func (m *tableMaker) dropConstraint(c *ast.AlterTableCmd) error {
	i := slices.IndexFunc(m.t.Constraints, func(k catalog.Constraint) bool { return k.Name == c.Name })
	if i < 0 {
		if c.MissingOk {
			m.notice("00000", "constraint \"%s\" of relation \"%s\" does not exist, skipping", c.Name, m.t.Name)
			return nil
		}
		return types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", c.Name, m.t.Name)
	}
	k := m.t.Constraints[i]
	m.t.Constraints = slices.Delete(m.t.Constraints, i, i+1)
	switch k.Kind {
	case catalog.ForeignKey:
		return m.dropForeignKey(&k)
	case catalog.PrimaryKey:
		if err := m.dropReferences(k.Index, k.Name, c.Behavior); err != nil {
			return err
		}
		return m.dropPrimaryKey(&k)
	case catalog.UniqueConstraint:
		if err := m.dropReferences(k.Index, k.Name, c.Behavior); err != nil {
			return err
		}
		m.removeIndex(m.t, k.Index)
	}
	m.Change.Put(m.t)
	return nil
}

func (m *tableMaker) dropForeignKey(k *catalog.Constraint) error {
	ref := m.t
	if k.RefTable != m.t.ID {
		var err error
		if ref, err = m.table(k.RefTable); err != nil {
			return err
		}
	}
	ref.InboundFKs = slices.DeleteFunc(ref.InboundFKs, func(f catalog.InboundFK) bool { return f.Constraint == k.OID })
	m.Change.Put(m.t)
	if ref != m.t {
		m.Change.Put(ref)
	}
	return nil
}

// nowhere takes the position off an error: ALTER TABLE does not tell where in the
// statement a stored expression went wrong.
func nowhere(err error) error {
	var e *types.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Position = 0
	return &c
}

// dropReferences drops the foreign keys that stand on an index, or refuses.
func (m *tableMaker) dropReferences(index types.OID, name string, behavior ast.DropBehavior) error {
	var lines []string
	for _, in := range slices.Clone(m.t.InboundFKs) {
		t := m.t
		if in.Table != m.t.ID {
			var err error
			if t, err = m.table(in.Table); err != nil {
				return err
			}
		}
		fk, ok := t.Constraint(in.Constraint)
		if !ok || fk.Index != index {
			continue
		}
		if behavior != ast.DROP_CASCADE {
			lines = append(lines, "constraint "+fk.Name+" on table "+t.Name+" depends on index "+name)
			continue
		}
		oid := in.Constraint
		m.notice("00000", "drop cascades to constraint %s on table %s", fk.Name, t.Name)
		t.Constraints = slices.DeleteFunc(t.Constraints, func(c catalog.Constraint) bool { return c.OID == oid })
		m.t.InboundFKs = slices.DeleteFunc(m.t.InboundFKs, func(f catalog.InboundFK) bool { return f.Constraint == oid })
		if t != m.t {
			m.Change.Put(t)
		}
	}
	if lines == nil {
		return nil
	}
	return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop constraint %s on table %s because other objects depend on it", name, m.t.Name).
		WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
}

// dropPrimaryKey moves the rows back to a hidden key.
func (m *tableMaker) dropPrimaryKey(k *catalog.Constraint) error {
	return types.Errorf(types.CodeFeatureNotSupported, "dropping primary key \"%s\" is not supported: rows are stored in its order", k.Name).
		WithHint("Create a table without it and copy the rows.")
}

func (m *tableMaker) dropColumn(c *ast.AlterTableCmd) error {
	i := slices.IndexFunc(m.t.Columns, func(tc catalog.Column) bool { return tc.Name == c.Name && !tc.Hidden && tc.State.Readable() })
	if i < 0 {
		if c.MissingOk {
			m.notice("00000", "column \"%s\" of relation \"%s\" does not exist, skipping", c.Name, m.t.Name)
			return nil
		}
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", c.Name, m.t.Name)
	}
	id, seq := m.t.Columns[i].ID, m.t.Columns[i].Sequence
	if err := m.dropWithColumn(id, c.Behavior == ast.DROP_CASCADE); err != nil {
		return err
	}
	if x := m.t.PrimaryIndex(); slices.ContainsFunc(x.Columns, func(ic catalog.IndexColumn) bool { return ic.Column == id }) {
		return types.Errorf(types.CodeFeatureNotSupported, "dropping a column of the primary key is not supported: rows are stored in its order")
	}
	for _, k := range slices.Clone(m.t.Constraints) {
		if !slices.Contains(k.Columns, id) {
			continue
		}
		cmd := &ast.AlterTableCmd{Name: k.Name, Behavior: c.Behavior}
		if err := m.dropConstraint(cmd); err != nil {
			return err
		}
	}
	for _, x := range slices.Clone(m.t.Indexes) {
		uses := slices.Contains(x.Include, id)
		for _, ic := range x.Columns {
			uses = uses || ic.Column == id || ic.Expr != nil && readsColumn(ic.Expr.Tree, id)
		}
		if uses || x.Predicate != nil && readsColumn(x.Predicate.Tree, id) {
			m.removeIndex(m.t, x.OID)
		}
	}
	i = m.t.Ordinal(id)
	// The column stays behind as an absent one: old layouts need its type.
	old := &m.t.Columns[i]
	old.State, old.NotNull, old.Default, old.Generated, old.Sequence = catalog.Absent, false, nil, nil, 0
	m.newLayout()
	m.Change.Put(m.t)
	if seq != 0 {
		m.Change.Drop(seq)
	}
	return nil
}

// dropWithColumn drops what depends on a column from outside, or refuses. The
// table's own descriptor is in the maker's hands.
func (m *tableMaker) dropWithColumn(id catalog.ColumnID, cascade bool) error {
	roots := []object{{columnObject, m.t.ID, types.OID(id)}}
	also := m.fallout(roots)
	if len(also) == 0 {
		return nil
	}
	m.Change.Put(m.t)
	if err := m.mayDrop(roots, also, cascade); err != nil {
		return err
	}
	for _, d := range slices.Backward(also) {
		if err := m.removeObject(d.object); err != nil {
			return err
		}
	}
	var err error
	m.t, err = m.table(m.t.ID)
	return err
}

func readsColumn(e expr.Expr, id catalog.ColumnID) bool {
	found := false
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.ColumnRef); ok && catalog.ColumnID(c.ID) == id {
			found = true
		}
		return !found
	})
	return found
}

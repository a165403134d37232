package schemachange

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/types"
)

// renameObject is what the command tag of a rename names.
func renameObject(s *ast.RenameStmt) ast.ObjectType {
	if s.RenameType == ast.OBJECT_COLUMN || s.RenameType == ast.OBJECT_TABCONSTRAINT {
		if s.RelationType != 0 && s.RenameType == ast.OBJECT_COLUMN {
			return s.RelationType
		}
		return ast.OBJECT_TABLE
	}
	return s.RenameType
}

func (e *Env) rename(s *ast.RenameStmt) error {
	switch s.RenameType {
	case ast.OBJECT_TABLE, ast.OBJECT_VIEW, ast.OBJECT_SEQUENCE, ast.OBJECT_INDEX, ast.OBJECT_MATVIEW, ast.OBJECT_FOREIGN_TABLE:
		return e.renameRelation(s)
	case ast.OBJECT_COLUMN, ast.OBJECT_TABCONSTRAINT:
		return e.renamePart(s)
	case ast.OBJECT_SCHEMA:
		sc, ok := e.resolver().Schema(s.Subname)
		if !ok {
			return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", s.Subname)
		}
		if _, dup := e.resolver().Schema(s.Newname); dup {
			return types.Errorf(types.CodeDuplicateSchema, "schema \"%s\" already exists", s.Newname)
		}
		return renameTo(e, sc, s.Newname)
	case ast.OBJECT_DATABASE:
		db, ok := e.Change.Snapshot().Database(s.Subname)
		if !ok {
			return types.Errorf(types.CodeInvalidCatalogName, "database \"%s\" does not exist", s.Subname)
		}
		if _, dup := e.Change.Snapshot().Database(s.Newname); dup {
			return types.Errorf(types.CodeDuplicateDatabase, "database \"%s\" already exists", s.Newname)
		}
		if db.ID == e.Database.ID {
			return types.Errorf(types.CodeFeatureNotSupported, "current database cannot be renamed")
		}
		return renameTo(e, db, s.Newname)
	case ast.OBJECT_ROLE:
		r, ok := e.Change.Snapshot().Role(s.Subname)
		if !ok {
			return types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", s.Subname)
		}
		if _, dup := e.Change.Snapshot().Role(s.Newname); dup {
			return types.Errorf(types.CodeDuplicateObject, "role \"%s\" already exists", s.Newname)
		}
		if catalog.Reserved(r.Name) {
			return types.Errorf(types.CodeReservedName, "role name \"%s\" is reserved", r.Name).WithDetail("Role names starting with \"pg_\" are reserved.")
		}
		if err := freeRoleName(s.Newname); err != nil {
			return err
		}
		if r.Super && !e.role().Super {
			return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser to rename superusers")
		}
		if err := e.mayManageRoles("permission denied to rename role"); err != nil {
			return err
		}
		return renameTo(e, r, s.Newname)
	case ast.OBJECT_TYPE:
		if l, ok := s.Object.(*ast.List); ok {
			n := splitName(stringList(l.Items))
			t, ok := e.resolver().Type(n)
			if !ok {
				return types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
			}
			return renameTo(e, t, s.Newname)
		}
	}
	return e.renameAbsent(s)
}

// renameTo gives a copy of an object a new name and enters it.
func renameTo[D catalog.Descriptor](e *Env, d D, name string) error {
	if d.Kind() != catalog.KindRole {
		if err := e.mustOwn(d.Head(), d.Kind().String()); err != nil {
			return err
		}
	}
	if isSystems(d) {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system schema", d.Head().Name)
	}
	c, err := clone(d)
	if err != nil {
		return err
	}
	c.Head().Name = truncateName(name)
	e.Change.Put(c)
	return nil
}

func (e *Env) renameRelation(s *ast.RenameStmt) error {
	n := rangeName(s.Relation)
	oid, d, ok := e.resolver().RelationOID(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "relation \"%s\" does not exist, skipping", n)
			return nil
		}
		return types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	if _, _, dup := e.Change.Snapshot().RelationOID(d.Head().Schema, s.Newname); dup {
		return duplicateRelation(s.Newname)
	}
	t, isTable := d.(*catalog.Table)
	if !isTable || t.ID == oid {
		if err := mustBe(d, s.RenameType); err != nil {
			return err
		}
		return renameTo(e, d, s.Newname)
	}
	if err := e.mustOwn(&t.Header, "index"); err != nil {
		return err
	}
	t, err := clone(t)
	if err != nil {
		return err
	}
	x, _ := t.Index(oid)
	x.Name = truncateName(s.Newname)
	for i := range t.Constraints {
		if c := &t.Constraints[i]; c.Index == oid && c.Kind != catalog.ForeignKey {
			c.Name = x.Name
		}
	}
	e.Change.Put(t)
	return nil
}

// renamePart renames a column or constraint.
func (e *Env) renamePart(s *ast.RenameStmt) error {
	d, err := e.relation(rangeName(s.Relation), -1)
	if err != nil {
		if s.MissingOk {
			e.notice("00000", "relation \"%s\" does not exist, skipping", rangeName(s.Relation))
			return nil
		}
		return err
	}
	if v, ok := d.(*catalog.View); ok && s.RenameType == ast.OBJECT_COLUMN {
		if err := e.mustOwn(&v.Header, v.Kind().String()); err != nil {
			return err
		}
		if v, err = clone(v); err != nil {
			return err
		}
		if err := renameColumn(v.Columns, &v.Header, s.Subname, s.Newname); err != nil {
			return err
		}
		e.Change.Put(v)
		return nil
	}
	t, _, err := e.ownTable(s.Relation, false)
	if err != nil {
		return err
	}
	if s.RenameType == ast.OBJECT_COLUMN {
		if err := renameColumn(t.Columns, &t.Header, s.Subname, s.Newname); err != nil {
			return err
		}
		if err := e.renameInSources(t, s.Subname, s.Newname); err != nil {
			return err
		}
		e.Change.Put(t)
		return nil
	}
	i := slices.IndexFunc(t.Constraints, func(c catalog.Constraint) bool { return c.Name == s.Subname })
	if i < 0 {
		return types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", s.Subname, t.Name)
	}
	t.Constraints[i].Name = truncateName(s.Newname)
	if x, ok := t.Index(t.Constraints[i].Index); ok && t.Constraints[i].Kind != catalog.ForeignKey {
		x.Name = t.Constraints[i].Name
	}
	e.Change.Put(t)
	return nil
}

func renameColumn(cols []catalog.Column, h *catalog.Header, from, to string) error {
	at := -1
	for i := range cols {
		if cols[i].Hidden || !cols[i].State.Readable() {
			continue
		}
		switch cols[i].Name {
		case from:
			at = i
		case to:
			return types.Errorf(types.CodeDuplicateColumn, "column \"%s\" of relation \"%s\" already exists", to, h.Name)
		}
	}
	if at < 0 {
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" does not exist", from)
	}
	cols[at].Name = truncateName(to)
	return nil
}

func (e *Env) setOwner(d catalog.Descriptor, spec *ast.RoleSpec) error {
	if err := e.mustOwn(d.Head(), d.Kind().String()); err != nil {
		return err
	}
	r, err := e.findRole(spec)
	if err != nil {
		return err
	}
	if r.ID == d.Head().Owner {
		return nil
	}
	if isSystems(d) {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system schema", d.Head().Name)
	}
	if q, ok := d.(*catalog.Sequence); ok && q.OwnerTable != 0 {
		owner, _ := e.table(q.OwnerTable)
		return types.Errorf(types.CodeFeatureNotSupported, "cannot change owner of sequence \"%s\"", q.Name).
			WithDetail("Sequence \"%s\" is linked to table \"%s\".", q.Name, owner.Name)
	}
	if err := e.mayGive(d.Head(), r); err != nil {
		return err
	}
	return e.eachWithSequences(d, func(c catalog.Descriptor) { c.Head().Owner = r.ID })
}

// mayGive fails unless the user may make a role the owner of an object: he belongs
// to it, and it may create where the object is.
func (e *Env) mayGive(h *catalog.Header, to *catalog.Role) error {
	if err := e.mustBelong(to); err != nil || e.role().Super {
		return err
	}
	d, ok := e.Change.Snapshot().ByOID(h.Schema)
	if sc, isSchema := d.(*catalog.Schema); ok && isSchema {
		as := *e
		as.User = to.ID
		return as.mayCreate(sc)
	}
	return nil
}

// eachWithSequences changes copies of an object and, if it is a table, of the
// sequences that belong to it, and enters them.
func (e *Env) eachWithSequences(d catalog.Descriptor, change func(catalog.Descriptor)) error {
	for _, o := range append(e.sequencesOf(d), d) {
		c, err := clone(o)
		if err != nil {
			return err
		}
		change(c)
		e.Change.Put(c)
	}
	return nil
}

// sequencesOf lists the sequences that belong to a table.
func (e *Env) sequencesOf(d catalog.Descriptor) []catalog.Descriptor {
	var out []catalog.Descriptor
	if d.Kind() != catalog.KindTable {
		return nil
	}
	e.Change.Snapshot().Each(func(o catalog.Descriptor) bool {
		if q, ok := o.(*catalog.Sequence); ok && q.OwnerTable == d.Head().ID {
			out = append(out, q)
		}
		return true
	})
	return out
}

func (e *Env) alterOwner(s *ast.AlterOwnerStmt) error {
	switch s.ObjectType {
	case ast.OBJECT_SCHEMA, ast.OBJECT_DATABASE:
		name := s.Object.(*ast.String).Sval
		if s.ObjectType == ast.OBJECT_DATABASE {
			db, ok := e.Change.Snapshot().Database(name)
			if !ok {
				return types.Errorf(types.CodeInvalidCatalogName, "database \"%s\" does not exist", name)
			}
			return e.setOwner(db, s.Newowner)
		}
		sc, ok := e.resolver().Schema(name)
		if !ok {
			return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", name)
		}
		return e.setOwner(sc, s.Newowner)
	case ast.OBJECT_TYPE, ast.OBJECT_DOMAIN:
		if l, ok := s.Object.(*ast.List); ok {
			n := splitName(stringList(l.Items))
			t, ok := e.resolver().Type(n)
			if !ok {
				return types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
			}
			return e.setOwner(t, s.Newowner)
		}
		return types.Errorf(types.CodeUndefinedObject, "type does not exist")
	}
	return e.notYet("ALTER "+objectName(s.ObjectType)+" OWNER", s.ObjectType, s.Object, false)
}

// alterSchema carries out ALTER ... SET SCHEMA. A table's indexes and the sequences
// that belong to it go along.
func (e *Env) alterSchema(s *ast.AlterObjectSchemaStmt) error {
	var d catalog.Descriptor
	var err error
	switch l, isList := s.Object.(*ast.List); {
	case s.Relation != nil:
		d, err = e.relation(rangeName(s.Relation), -1)
	case isList && (s.ObjectType == ast.OBJECT_TYPE || s.ObjectType == ast.OBJECT_DOMAIN):
		n := splitName(stringList(l.Items))
		t, ok := e.resolver().Type(n)
		if !ok {
			return types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
		}
		d = t
	default:
		return e.notYet("ALTER "+objectName(s.ObjectType)+" SET SCHEMA", s.ObjectType, s.Object, s.MissingOk)
	}
	if types.CodeOf(err) == types.CodeUndefinedTable && s.MissingOk {
		e.notice("00000", "relation \"%s\" does not exist, skipping", s.Relation.Relname)
		return nil
	}
	if err != nil {
		return err
	}
	if s.Relation != nil {
		if err := mustBe(d, s.ObjectType); err != nil {
			return err
		}
	}
	if err := e.mustOwn(d.Head(), d.Kind().String()); err != nil {
		return err
	}
	if q, ok := d.(*catalog.Sequence); ok && q.OwnerTable != 0 {
		owner, _ := e.table(q.OwnerTable)
		return types.Errorf(types.CodeFeatureNotSupported, "cannot move an owned sequence into another schema").
			WithDetail("Sequence \"%s\" is linked to table \"%s\".", q.Name, owner.Name)
	}
	sc, err := e.creationSchema(catalog.Name{Schema: s.Newschema, Name: d.Head().Name})
	if err != nil {
		return err
	}
	if sc.ID == d.Head().Schema {
		return nil
	}
	for _, oid := range []types.OID{sc.ID, d.Head().Schema} {
		if strings.HasPrefix(e.schemaName(oid), catalog.TempPrefix) {
			return types.Errorf(types.CodeFeatureNotSupported, "cannot move objects into or out of temporary schemas")
		}
	}
	return e.moveTo(sc, d)
}

// moveTo puts an object, and what goes with it, into another schema.
func (e *Env) moveTo(sc *catalog.Schema, d catalog.Descriptor) error {
	all := append(e.sequencesOf(d), d)
	var names []string
	if t, ok := d.(*catalog.Table); ok {
		for i := range t.Indexes {
			if x := &t.Indexes[i]; x.OID != t.Primary || !t.HasRowID() {
				names = append(names, x.Name)
			}
		}
	}
	for _, o := range all {
		if o.Kind() != catalog.KindType {
			names = append(names, o.Head().Name)
		} else if _, ok := e.Change.Snapshot().Type(sc.ID, o.Head().Name); ok {
			return types.Errorf(types.CodeDuplicateObject, "type \"%s\" already exists in schema \"%s\"", o.Head().Name, sc.Name)
		}
	}
	for _, n := range names {
		if e.relationExists(sc, n) {
			return types.Errorf(types.CodeDuplicateTable, "relation \"%s\" already exists in schema \"%s\"", n, sc.Name)
		}
	}
	return e.eachWithSequences(d, func(c catalog.Descriptor) { c.Head().Schema = sc.ID })
}

func (e *Env) comment(s *ast.CommentStmt) error {
	switch s.Objtype {
	case ast.OBJECT_TABLE, ast.OBJECT_VIEW, ast.OBJECT_SEQUENCE, ast.OBJECT_INDEX, ast.OBJECT_MATVIEW, ast.OBJECT_COLUMN, ast.OBJECT_TABCONSTRAINT,
		ast.OBJECT_FOREIGN_TABLE:
		l, ok := s.Object.(*ast.List)
		if !ok {
			break
		}
		return e.commentOnRelation(s, stringList(l.Items))
	case ast.OBJECT_SCHEMA, ast.OBJECT_DATABASE, ast.OBJECT_ROLE:
		return e.commentOnGlobal(s, s.Object.(*ast.String).Sval)
	case ast.OBJECT_FUNCTION:
		_, absent, err := e.builtin(s.Objtype, s.Object)
		if err == nil {
			err = absent
		}
		return err // dumps comment on what is built in
	case ast.OBJECT_EXTENSION:
		return nil
	}
	if t, ok := s.Object.(*ast.TypeName); ok && s.Objtype == ast.OBJECT_DOMAIN {
		return e.noDomain(splitName(stringList(t.Names)), false)
	}
	if _, ok := builtinOnly[s.Objtype]; ok {
		return e.notYet("COMMENT ON "+objectName(s.Objtype), s.Objtype, s.Object, false)
	}
	return types.Errorf(types.CodeFeatureNotSupported, "COMMENT ON this kind of object is not supported")
}

// commentOnGlobal comments on what is in no schema.
func (e *Env) commentOnGlobal(s *ast.CommentStmt, name string) error {
	var d catalog.Descriptor
	var err error
	ok := false
	switch s.Objtype {
	case ast.OBJECT_SCHEMA:
		d, ok = e.resolver().Schema(name)
	case ast.OBJECT_DATABASE:
		d, ok = e.Change.Snapshot().Database(name)
	default:
		d, ok = e.Change.Snapshot().Role(name)
	}
	if !ok {
		return types.Errorf(types.CodeUndefinedObject, "\"%s\" does not exist", name)
	}
	r, isRole := d.(*catalog.Role)
	switch {
	case isRole && r.Super && !e.role().Super:
		err = types.Errorf(types.CodeInsufficientPrivilege, "must be superuser")
	case isRole:
		err = e.mayManageRoles("must have CREATEROLE privilege")
	default:
		err = e.mustOwn(d.Head(), d.Kind().String())
	}
	if err != nil {
		return err
	}
	c, err := clone(d)
	if err != nil {
		return err
	}
	c.Head().Comment = s.Comment
	e.Change.Put(c)
	return nil
}

func (e *Env) commentOnRelation(s *ast.CommentStmt, parts []string) error {
	part := ""
	if s.Objtype == ast.OBJECT_COLUMN || s.Objtype == ast.OBJECT_TABCONSTRAINT {
		part, parts = parts[len(parts)-1], parts[:len(parts)-1]
	}
	n := splitName(parts)
	oid, d, ok := e.resolver().RelationOID(n)
	if !ok {
		return types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	if err := mustBe(d, ast.OBJECT_TABLE); err != nil {
		return err
	}
	if err := e.mustOwn(d.Head(), d.Kind().String()); err != nil {
		return err
	}
	c, err := clone(d)
	if err != nil {
		return err
	}
	if err := setComment(c, oid, s.Objtype, part, s.Comment); err != nil {
		return err
	}
	e.Change.Put(c)
	return nil
}

// setComment sets the comment of a relation or of one of its parts.
func setComment(d catalog.Descriptor, oid types.OID, kind ast.ObjectType, part, text string) error {
	t, isTable := d.(*catalog.Table)
	var cols []catalog.Column
	if isTable {
		cols = t.Columns
	} else if v, ok := d.(*catalog.View); ok {
		cols = v.Columns
	}
	switch kind {
	case ast.OBJECT_COLUMN:
		for i := range cols {
			if cols[i].Name == part && !cols[i].Hidden {
				cols[i].Comment = text
				return nil
			}
		}
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", part, d.Head().Name)
	case ast.OBJECT_TABCONSTRAINT:
		for i := 0; isTable && i < len(t.Constraints); i++ {
			if t.Constraints[i].Name == part {
				t.Constraints[i].Comment = text
				return nil
			}
		}
		return types.Errorf(types.CodeUndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", part, d.Head().Name)
	}
	if isTable && t.ID != oid {
		if x, ok := t.Index(oid); ok {
			x.Comment = text
		}
		return nil
	}
	d.Head().Comment = text
	return nil
}

// renameInSources follows a renamed column in the texts that are kept of
// expressions; their bound trees name columns by id.
func (e *Env) renameInSources(t *catalog.Table, from, to string) error {
	exprs := []*catalog.Expr{}
	for i := range t.Columns {
		exprs = append(exprs, t.Columns[i].Generated)
	}
	for i := range t.Constraints {
		exprs = append(exprs, t.Constraints[i].Check)
	}
	for i := range t.Indexes {
		exprs = append(exprs, t.Indexes[i].Predicate)
		for k := range t.Indexes[i].Columns {
			exprs = append(exprs, t.Indexes[i].Columns[k].Expr)
		}
	}
	for _, x := range exprs {
		if x == nil {
			continue
		}
		n, err := parse.ParseExpr(x.Source)
		if err != nil {
			return err
		}
		ast.Walk(n, func(n ast.Node) bool {
			if c, ok := n.(*ast.ColumnRef); ok && len(c.Fields) > 0 {
				if last, ok := c.Fields[len(c.Fields)-1].(*ast.String); ok && last.Sval == from {
					last.Sval = to
				}
			}
			return true
		})
		if x.Source, err = parse.FormatExpr(n); err != nil {
			return err
		}
	}
	return nil
}

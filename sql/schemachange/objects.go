package schemachange

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

func (e *Env) createSchema(s *ast.CreateSchemaStmt) error {
	name, owner := s.Schemaname, e.role()
	if s.Authrole != nil {
		var err error
		if owner, err = e.findRole(s.Authrole); err != nil {
			return err
		}
		if name == "" {
			name = owner.Name
		}
	}
	if !e.may(e.Database, 'C') {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for database %s", e.Database.Name)
	}
	if err := e.mustBelong(owner); err != nil {
		return err
	}
	if len(name) > 3 && name[:3] == "pg_" {
		return types.Errorf(types.CodeReservedName, "unacceptable schema name \"%s\"", name).WithDetail("The prefix \"pg_\" is reserved for system schemas.")
	}
	if _, ok := e.resolver().Schema(name); ok {
		if s.IfNotExists {
			e.notice(types.CodeDuplicateSchema, "schema \"%s\" already exists, skipping", name)
			return nil
		}
		return types.Errorf(types.CodeDuplicateSchema, "schema \"%s\" already exists", name)
	}
	h, err := e.header(name, nil)
	if err != nil {
		return err
	}
	h.Owner = owner.ID
	e.Change.Put(&catalog.Schema{Header: h})
	return e.schemaElements(h.Name, owner.ID, s.SchemaElts)
}

// schemaElements carries out the statements within CREATE SCHEMA, in the schema
// and as its owner: sequences first, then tables, views, indexes and grants.
func (e *Env) schemaElements(schema string, owner types.OID, elts []ast.Node) error {
	if len(elts) == 0 {
		return nil
	}
	in := *e
	in.User, in.SearchPath = owner, append([]string{schema}, e.SearchPath...)
	var groups [5][]ast.Node
	for _, n := range elts {
		n, name, group := schemaElement(n)
		if _, f := runner(n); f == nil || group < 0 {
			return types.Errorf(types.CodeFeatureNotSupported, "this statement within CREATE SCHEMA is not supported")
		}
		if name != nil && name.Schemaname != "" && name.Schemaname != schema {
			return types.Errorf(types.CodeInvalidSchemaDefinition, "CREATE specifies a schema (%s) different from the one being created (%s)", name.Schemaname, schema)
		}
		if name != nil {
			name.Schemaname = schema
		}
		groups[group] = append(groups[group], n)
	}
	for _, group := range groups {
		for _, n := range group {
			_, f := runner(n)
			if err := f(&in); err != nil {
				return err
			}
		}
	}
	e.lastOID, e.endOID = in.lastOID, in.endOID
	return nil
}

// schemaElement returns a copy of a statement within CREATE SCHEMA, what it names
// there and when its turn is; group is negative for one that cannot be there. The
// statement itself may be prepared, and the schema be another the next time.
func schemaElement(n ast.Node) (copied ast.Node, name *ast.RangeVar, group int) {
	var rv ast.RangeVar
	switch x := n.(type) {
	case *ast.CreateSeqStmt:
		c := *x
		rv, c.Sequence = *x.Sequence, &rv
		return &c, &rv, 0
	case *ast.CreateStmt:
		c := *x
		rv, c.Relation = *x.Relation, &rv
		return &c, &rv, 1
	case *ast.ViewStmt:
		c := *x
		rv, c.View = *x.View, &rv
		return &c, &rv, 2
	case *ast.IndexStmt:
		c := *x
		rv, c.Relation = *x.Relation, &rv
		return &c, &rv, 3
	case *ast.GrantStmt:
		return x, nil, 4
	}
	return n, nil, -1
}

func (e *Env) createDatabase(s *ast.CreatedbStmt) error {
	if r := e.role(); !r.Super && !r.CreateDB {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied to create database")
	}
	if _, ok := e.Change.Snapshot().Database(s.Dbname); ok {
		return types.Errorf(types.CodeDuplicateDatabase, "database \"%s\" already exists", s.Dbname)
	}
	h, err := e.header(s.Dbname, nil)
	if err != nil {
		return err
	}
	h.Database = 0
	db := &catalog.Database{Header: h, Encoding: "UTF8", ConnLimit: -1}
	for _, n := range s.Options {
		d := n.(*ast.DefElem)
		switch d.Defname {
		case "owner":
			r, ok := e.Change.Snapshot().Role(defText(d))
			if !ok {
				return types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", defText(d))
			}
			if err := e.mustBelong(r); err != nil {
				return err
			}
			db.Owner = r.ID
		case "encoding":
			if v := defText(d); v != "" && v != "UTF8" && v != "utf8" && v != "UTF-8" && v != "utf-8" && v != "6" {
				return types.Errorf(types.CodeFeatureNotSupported, "encoding \"%s\" is not supported: databases are UTF8", v)
			}
		case "connection_limit":
			var n int64
			if err := setInt(&n, d); err != nil {
				return err
			}
			db.ConnLimit = int(n)
		case "is_template":
			db.IsTempl = defBool(d)
		case "allow_connections":
			db.NoConnect = !defBool(d)
		}
	}
	if db.Public, err = e.oid(); err != nil {
		return err
	}
	e.Change.Put(db, catalog.PublicSchema(db.Public, db.ID))
	return nil
}

func (e *Env) dropDatabase(s *ast.DropdbStmt) error {
	db, ok := e.Change.Snapshot().Database(s.Dbname)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "database \"%s\" does not exist, skipping", s.Dbname)
			return nil
		}
		return types.Errorf(types.CodeInvalidCatalogName, "database \"%s\" does not exist", s.Dbname)
	}
	if db.ID == e.Database.ID {
		return types.Errorf(types.CodeObjectInUse, "cannot drop the currently open database")
	}
	if err := e.mustOwn(&db.Header, "database"); err != nil {
		return err
	}
	var gone []types.OID
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if h := d.Head(); h.Database == db.ID {
			gone = append(gone, h.ID)
			if d.Kind() == catalog.KindTable {
				e.clearTable(h.ID)
			}
		}
		return true
	})
	e.Change.Drop(append(gone, db.ID)...)
	return nil
}

func (e *Env) createEnum(s *ast.CreateEnumStmt) error {
	n := splitName(stringList(s.TypeName))
	sc, err := e.creationSchema(n)
	if err != nil {
		return err
	}
	if _, dup := e.Change.Snapshot().Type(sc.ID, n.Name); dup {
		return types.Errorf(types.CodeDuplicateObject, "type \"%s\" already exists", n.Name)
	}
	h, err := e.header(n.Name, sc)
	if err != nil {
		return err
	}
	t := &catalog.Type{Header: h, Class: catalog.EnumType, Array: types.ArrayOf(h.ID)}
	seen := map[string]bool{}
	for i, l := range stringList(s.Vals) {
		if seen[l] {
			return types.Errorf(types.CodeUniqueViolation, "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"").
				WithDetail("Key (enumtypid, enumlabel)=(%d, %s) already exists.", t.ID, l)
		}
		seen[l] = true
		oid, err := e.oid()
		if err != nil {
			return err
		}
		t.Labels = append(t.Labels, catalog.EnumLabel{OID: oid, Label: l, Sort: float64(i + 1)})
	}
	e.Change.Put(t)
	return nil
}

// createView binds the query now, so that errors come now, and keeps its text.
func (e *Env) createView(s *ast.ViewStmt) error {
	n := rangeName(s.View)
	opts := e.Bind
	opts.Trace = true
	res, err := bind.Bind(s.Query, e.resolver(), opts)
	if err != nil {
		return err
	}
	rv := *s.View
	for _, d := range res.Depends {
		if h, ok := e.Change.Snapshot().ByOID(d.OID); ok && rv.Relpersistence != "t" && e.Temp.Ready {
			if sc, ok := e.Change.Snapshot().Schema(e.Database.ID, e.Temp.Schema); ok && h.Head().Schema == sc.ID {
				rv.Relpersistence = "t"
				e.notice("00000", "view \"%s\" will be a temporary view", n.Name)
			}
		}
	}
	sc, err := e.schemaFor(&rv)
	if err != nil {
		return err
	}
	if len(res.Params) > 0 {
		return types.Errorf(types.CodeUndefinedParameter, "there is no parameter $1")
	}
	v := &catalog.View{}
	old, _, exists := e.Change.Snapshot().RelationOID(sc.ID, n.Name)
	if exists {
		d, _ := e.Change.Snapshot().ByOID(old)
		prev, isView := d.(*catalog.View)
		if !s.Replace || !isView {
			return duplicateRelation(n.Name)
		}
		if err := e.mustOwn(&prev.Header, "view"); err != nil {
			return err
		}
		v.Header = prev.Header
		if err := replaceable(prev, res.Result, stringList(s.Aliases)); err != nil {
			return err
		}
	} else if v.Header, err = e.header(n.Name, sc); err != nil {
		return err
	}
	aliases := stringList(s.Aliases)
	if len(aliases) > len(res.Result) {
		return types.Errorf(types.CodeSyntaxError, "CREATE VIEW specifies more column names than columns")
	}
	seen := map[string]bool{}
	for i, c := range res.Result {
		name := c.Name
		if i < len(aliases) {
			name = aliases[i]
		}
		if seen[name] {
			return types.Errorf(types.CodeDuplicateColumn, "column \"%s\" specified more than once", name)
		}
		seen[name] = true
		v.Columns = append(v.Columns, catalog.Column{ID: catalog.ColumnID(i + 1), Name: name, Type: c.Type})
	}
	res.Trace.ExpandStars(s.Query)
	if v.Query, err = parse.Format(s.Query); err != nil {
		return err
	}
	if err := setViewOptions(v, s); err != nil {
		return err
	}
	v.SearchPath, v.Refs = e.SearchPath, res.Trace.Refs(s.Query)
	v.DependsOn = e.viewDepends(v.Refs, res.Depends)
	e.Change.Put(v)
	return nil
}

// viewDepends lists what a view depends on: the relations that it names, and not
// those below the views among them, and other objects.
func (e *Env) viewDepends(refs []catalog.ViewRef, all []plan.Dependency) []types.OID {
	var out []types.OID
	for _, d := range all {
		o, ok := e.Change.Snapshot().ByOID(d.OID)
		if !ok {
			continue
		}
		k := o.Kind()
		if k != catalog.KindTable && k != catalog.KindView || slices.ContainsFunc(refs, func(r catalog.ViewRef) bool { return r.OID == d.OID }) {
			out = append(out, d.OID)
		}
	}
	return out
}

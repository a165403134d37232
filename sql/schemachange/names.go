package schemachange

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// maxIdentifier is PostgreSQL's NAMEDATALEN less one, in bytes.
const maxIdentifier = 63

func position(loc int) int { return loc + 1 }

func stringList(ns []ast.Node) []string {
	var out []string
	for _, n := range ns {
		switch s := n.(type) {
		case *ast.String:
			out = append(out, s.Sval)
		case *ast.TypeName:
			out = append(out, stringList(s.Names)...)
		}
	}
	return out
}

// splitName takes [db.]schema.name apart.
func splitName(parts []string) catalog.Name {
	switch len(parts) {
	case 1:
		return catalog.Name{Name: parts[0]}
	case 2:
		return catalog.Name{Schema: parts[0], Name: parts[1]}
	case 3:
		return catalog.Name{Database: parts[0], Schema: parts[1], Name: parts[2]}
	}
	return catalog.Name{}
}

func rangeName(rv *ast.RangeVar) catalog.Name {
	return catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname}
}

// creationSchema returns the schema in which a named object is to be created.
func (e *Env) creationSchema(n catalog.Name) (*catalog.Schema, error) {
	r := e.resolver()
	if n.Database != "" && n.Database != e.Database.Name {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "cross-database references are not implemented: \"%s\"", n)
	}
	if n.Schema == "" {
		sc, ok := r.CreationSchema()
		if !ok {
			return nil, types.Errorf(types.CodeInvalidSchemaName, "no schema has been selected to create in")
		}
		return sc, e.mayCreate(sc)
	}
	sc, ok := r.Schema(n.Schema)
	if !ok {
		return nil, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
	}
	if isSystems(sc) {
		return nil, types.Errorf(types.CodeInsufficientPrivilege, "permission denied to create \"%s\"", n).WithDetail("System catalog modifications are currently disallowed.")
	}
	return sc, e.mayCreate(sc)
}

// isSystems reports whether something is one of the schemas of the system.
func isSystems(d catalog.Descriptor) bool {
	id := d.Head().ID
	return d.Kind() == catalog.KindSchema && (id < catalog.PublicOID || id == catalog.InformationSchemaOID || id == catalog.PamirInternalOID)
}

func (e *Env) mayCreate(sc *catalog.Schema) error {
	if !e.may(sc, 'C') {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for schema %s", sc.Name)
	}
	return nil
}

// relationExists reports whether a schema has a relation of that name.
func (e *Env) relationExists(sc *catalog.Schema, name string) bool {
	_, _, ok := e.Change.Snapshot().RelationOID(sc.ID, name)
	return ok
}

func duplicateRelation(name string) error {
	return types.Errorf(types.CodeDuplicateTable, "relation \"%s\" already exists", name)
}

// header makes the head of a new object.
func (e *Env) header(name string, sc *catalog.Schema) (catalog.Header, error) {
	oid, err := e.oid()
	if err != nil {
		return catalog.Header{}, err
	}
	h := catalog.Header{ID: oid, Name: truncateName(name), Database: e.Database.ID, Owner: e.User}
	if sc != nil {
		h.Schema = sc.ID
	}
	return h, nil
}

// truncateName cuts an identifier as PostgreSQL does, between characters.
func truncateName(s string) string {
	if len(s) <= maxIdentifier {
		return s
	}
	n := maxIdentifier
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// role returns the user's role.
func (e *Env) role() *catalog.Role {
	d, _ := e.Change.Snapshot().ByOID(e.User)
	r, ok := d.(*catalog.Role)
	if !ok {
		return &catalog.Role{}
	}
	return r
}

// mustOwn fails unless the user owns the object, by membership too, or is a
// superuser.
func (e *Env) mustOwn(h *catalog.Header, kind string) error {
	if e.role().Super || slices.Contains(e.roles(), h.Owner) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "must be owner of %s %s", kind, h.Name)
}

// roles are those whose privileges the user has.
func (e *Env) roles() []types.OID {
	roles := e.Change.Snapshot().RolesOf(e.User, true)
	if slices.Contains(roles, e.Database.Owner) {
		roles = append(roles, catalog.DatabaseOwnerRoleOID)
	}
	return roles
}

// may reports whether the user has a privilege on an object.
func (e *Env) may(o interface {
	HasPrivilege(roles []types.OID, privilege byte) bool
}, privilege byte) bool {
	return e.role().Super || o.HasPrivilege(e.roles(), privilege)
}

// mayOn fails unless the user has a privilege on a relation.
func (e *Env) mayOn(d catalog.Descriptor, privilege byte) error {
	if t, ok := d.(*catalog.Table); ok && t.Virtual && privilege == 'r' || e.may(d.Head(), privilege) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for %s %s", d.Kind(), d.Head().Name)
}

// relation finds a table, view or sequence (not an index).
func (e *Env) relation(n catalog.Name, loc int) (catalog.Descriptor, error) {
	d, ok := e.resolver().Relation(n)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n).At(position(loc))
	}
	return d, nil
}

// ownTable finds a table that the user may change, as a copy that may be
// changed. ok is false if there is none and missingOK.
func (e *Env) ownTable(rv *ast.RangeVar, missingOK bool) (t *catalog.Table, ok bool, err error) {
	t, ok, err = e.plainTable(rv, missingOK)
	if !ok || err != nil {
		return nil, false, err
	}
	if err := e.mustOwn(&t.Header, "table"); err != nil {
		return nil, false, err
	}
	t, err = clone(t)
	if err == nil {
		t.WriteLock = nil // the change that holds it ends it
	}
	return t, err == nil, err
}

// plainTable finds a table that is not one of the system's.
func (e *Env) plainTable(rv *ast.RangeVar, missingOK bool) (t *catalog.Table, ok bool, err error) {
	n := rangeName(rv)
	d, found := e.resolver().Relation(n)
	if !found {
		if missingOK {
			e.notice("00000", "relation \"%s\" does not exist, skipping", n)
			return nil, false, nil
		}
		return nil, false, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	t, isTable := d.(*catalog.Table)
	if !isTable {
		return nil, false, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a table", n.Name)
	}
	if t.Virtual {
		return nil, false, types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system catalog", n.Name)
	}
	return t, true, nil
}

// table finds a table by oid as a copy that may be changed.
func (e *Env) table(oid types.OID) (*catalog.Table, error) {
	d, ok := e.Change.Snapshot().ByOID(oid)
	t, isTable := d.(*catalog.Table)
	if !ok || !isTable {
		return nil, types.Errorf(types.CodeUndefinedTable, "relation with OID %d does not exist", oid)
	}
	if t, err := clone(t); err != nil || t.WriteLock == nil {
		return t, err
	} else {
		t.WriteLock = nil
		return t, nil
	}
}

// freeName makes a name that no relation of the schema and nothing in taken has:
// PostgreSQL's table_column_suffix, numbered if need be, cut to fit.
func (e *Env) freeName(schema types.OID, taken []string, table, columns, suffix string) string {
	for i := 0; ; i++ {
		tail := suffix
		if i > 0 {
			tail += strconv.Itoa(i)
		}
		name := makeName(table, columns, tail)
		if _, _, ok := e.Change.Snapshot().RelationOID(schema, name); !ok && !slices.Contains(taken, name) {
			return name
		}
	}
}

// makeName joins the parts, cutting the longer of the first two.
func makeName(table, columns, suffix string) string {
	room := maxIdentifier - len(suffix) - 1
	if columns != "" {
		room--
	}
	for len(table)+len(columns) > room {
		if len(table) > len(columns) {
			table = table[:len(table)-1]
		} else {
			columns = columns[:len(columns)-1]
		}
	}
	table, columns = strings.ToValidUTF8(table, ""), strings.ToValidUTF8(columns, "")
	if columns == "" {
		return table + "_" + suffix
	}
	return table + "_" + columns + "_" + suffix
}

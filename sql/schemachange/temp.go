package schemachange

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Temp is what the session knows of its temporary objects. They are objects like
// all others, in a schema that only this session searches and drops at its end.
type Temp struct {
	Schema string // its name
	Ready  bool   // the session has used it already
	// Used is called when something is created in the schema.
	Used func()
	// OnCommit is called for a table that loses its rows, or goes, at each commit.
	OnCommit func(table types.OID, drop bool)
}

// schemaFor returns the schema in which what rv names is to be created.
func (e *Env) schemaFor(rv *ast.RangeVar) (*catalog.Schema, error) {
	n := rangeName(rv)
	if n.Schema == "" && rv.Relpersistence != "t" {
		if i := slices.IndexFunc(e.SearchPath, func(s string) bool { return s != e.Temp.Schema }); i >= 0 && e.SearchPath[i] == catalog.TempAlias {
			return e.tempSchema()
		}
		return e.creationSchema(n)
	}
	alias := n.Schema == catalog.TempAlias || n.Schema == e.Temp.Schema
	switch {
	case rv.Relpersistence == "t" && n.Schema != "" && !alias:
		return nil, types.Errorf(types.CodeInvalidTableDefinition, "cannot create temporary relation in non-temporary schema").At(position(rv.Location))
	case rv.Relpersistence == "t" || alias:
		return e.tempSchema()
	}
	return e.creationSchema(n)
}

// tempSchema returns the session's schema for temporary objects, making it if
// this is the first of them. What an earlier session of the same number may have
// left when its node died goes.
func (e *Env) tempSchema() (*catalog.Schema, error) {
	if e.Temp.Schema == "" {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "temporary objects need a session")
	}
	if !e.Temp.Ready && !e.may(e.Database, 'T') {
		return nil, types.Errorf(types.CodeInsufficientPrivilege, "permission denied to create temporary tables in database \"%s\"", e.Database.Name)
	}
	sc, ok := e.Change.Snapshot().Schema(e.Database.ID, e.Temp.Schema)
	switch {
	case !ok:
		h, err := e.header(e.Temp.Schema, nil)
		if err != nil {
			return nil, err
		}
		h.Owner = catalog.RootRoleOID // it is the session's, whoever that acts for
		sc = &catalog.Schema{Header: h}
		e.Change.Put(sc)
	case !e.Temp.Ready:
		if err := e.emptySchema(sc); err != nil {
			return nil, err
		}
	}
	e.Temp.Ready = true
	e.Temp.Used()
	if !slices.Contains(e.SearchPath, e.Temp.Schema) {
		e.SearchPath = append([]string{e.Temp.Schema}, e.SearchPath...)
	}
	return sc, nil
}

// isTemp reports whether a schema is the session's for temporary objects.
func (e *Env) isTemp(sc *catalog.Schema) bool { return sc.Name == e.Temp.Schema }

// atCommit notes what ON COMMIT asks for.
func (e *Env) atCommit(t *catalog.Table, action ast.OnCommitAction) error {
	switch action {
	case ast.ONCOMMIT_DELETE_ROWS, ast.ONCOMMIT_DROP:
		if !t.Temporary {
			return types.Errorf(types.CodeInvalidTableDefinition, "ON COMMIT can only be used on temporary tables")
		}
		e.Temp.OnCommit(t.ID, action == ast.ONCOMMIT_DROP)
	}
	return nil
}

// sameLife refuses foreign keys between tables of which one outlives the other.
func sameLife(t, ref *catalog.Table) error {
	switch {
	case t.Temporary && !ref.Temporary:
		return types.Errorf(types.CodeInvalidTableDefinition, "constraints on temporary tables may reference only temporary tables")
	case !t.Temporary && ref.Temporary:
		return types.Errorf(types.CodeInvalidTableDefinition, "constraints on permanent tables may reference only permanent tables")
	}
	return nil
}

// EmptyTemp drops all that the session's temporary schema holds, and the schema.
func (e *Env) EmptyTemp() error {
	sc, ok := e.Change.Snapshot().Schema(e.Database.ID, e.Temp.Schema)
	if !ok {
		return nil
	}
	if err := e.emptySchema(sc); err != nil {
		return err
	}
	e.Change.Drop(sc.ID)
	return nil
}

// DropTable drops a table by oid, if it still exists.
func (e *Env) DropTable(oid types.OID) error {
	if d, ok := e.Change.Snapshot().ByOID(oid); !ok || d.Head().ID != oid {
		return nil
	}
	return e.dropAll([]object{{oid: oid}}, true)
}

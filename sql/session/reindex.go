package session

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// reindex carries out REINDEX. Indexes need no rebuilding here: what is left is to
// check that the statement means something, and that the user may say it.
func (s *Session) reindex(n *ast.ReindexStmt) error {
	concurrently := false
	for _, p := range n.Params {
		d, ok := p.(*ast.DefElem)
		if !ok {
			continue
		}
		switch d.Defname {
		case "concurrently":
			concurrently = true
		case "verbose", "tablespace":
		default:
			return types.Errorf(types.CodeSyntaxError, "unrecognized REINDEX option \"%s\"", d.Defname).At(d.Location + 1)
		}
	}
	alone := map[ast.ReindexObjectType]string{ast.REINDEX_OBJECT_SCHEMA: "REINDEX SCHEMA", ast.REINDEX_OBJECT_DATABASE: "REINDEX DATABASE",
		ast.REINDEX_OBJECT_SYSTEM: "REINDEX SYSTEM"}[n.Kind]
	if concurrently {
		alone = "REINDEX CONCURRENTLY"
	}
	if alone != "" && (s.t.block || s.t.implicit && s.t.statements > 0) {
		return types.Errorf(types.CodeActiveTransaction, "%s cannot run inside a transaction block", alone)
	}
	switch n.Kind {
	case ast.REINDEX_OBJECT_INDEX, ast.REINDEX_OBJECT_TABLE:
		return s.mayRebuild(n.Relation, n.Kind == ast.REINDEX_OBJECT_INDEX, concurrently)
	case ast.REINDEX_OBJECT_SCHEMA:
		sc, ok := s.resolve().Schema(n.Name)
		if !ok {
			return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", n.Name)
		}
		return s.ownerOf(&sc.Header, "schema", n.Name)
	}
	if concurrently && n.Kind == ast.REINDEX_OBJECT_SYSTEM {
		return errSystemConcurrently
	}
	db := s.databaseIn(s.snapshot())
	if n.Name != "" && n.Name != db.Name {
		return types.Errorf(types.CodeFeatureNotSupported, "can only reindex the currently open database")
	}
	return s.ownerOf(&db.Header, "database", db.Name)
}

var errSystemConcurrently = types.Errorf(types.CodeFeatureNotSupported, "cannot reindex system catalogs concurrently")

// mayRebuild checks that a name is that of a table of the user's, or of an index.
func (s *Session) mayRebuild(rv *ast.RangeVar, isIndex, concurrently bool) error {
	n := catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname}
	oid, d, ok := s.resolve().RelationOID(n)
	if !ok {
		return types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	t, isTable := d.(*catalog.Table)
	switch {
	case isIndex && (!isTable || oid == t.ID):
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not an index", n.Name)
	case !isIndex && (!isTable || oid != t.ID):
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a table or materialized view", n.Name)
	}
	if t.Virtual {
		if concurrently {
			return errSystemConcurrently
		}
		return nil
	}
	if isIndex {
		return s.ownerOf(&t.Header, "index", n.Name)
	}
	return s.ownerOf(&t.Header, "table", n.Name)
}

// ownerOf fails unless the user owns an object.
func (s *Session) ownerOf(h *catalog.Header, kind, name string) error {
	if s.snapshot().Superuser(s.user) || slices.Contains(s.rolesOf(s.user, true), h.Owner) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "must be owner of %s %s", kind, name)
}

// cluster carries out CLUSTER. Rows lie in the primary key's order anyway; the names
// are checked.
func (s *Session) cluster(n *ast.ClusterStmt) error {
	if n.Relation == nil {
		return nil
	}
	if err := s.mayRebuild(n.Relation, false, false); err != nil {
		return err
	}
	rv := n.Relation
	d, _ := s.resolve().Relation(catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname})
	t, ok := d.(*catalog.Table)
	if !ok || n.Indexname == "" {
		return nil
	}
	if !slices.ContainsFunc(t.Indexes, func(x catalog.Index) bool { return x.Name == n.Indexname }) {
		return types.Errorf(types.CodeUndefinedObject, "index \"%s\" for table \"%s\" does not exist", n.Indexname, t.Name)
	}
	return nil
}

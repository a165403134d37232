package schemachange

import (
	"context"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/types"
)

// Env is what a DDL statement runs in.
type Env struct {
	Ctx    context.Context
	DB     kv.DB
	Txn    kv.Txn
	Change *store.Change
	// NewOID allocates n consecutive oids.
	NewOID     func(ctx context.Context, n int) (types.OID, error)
	Database   *catalog.Database
	SearchPath []string
	User       types.OID
	Bind       bind.Options
	// Alone says that the transaction is this statement's alone, so that what it
	// fills need not be visible to others in it.
	Alone bool
	// Query runs a statement in the transaction, under the changed catalog, and
	// calls row (which may be nil) for each row.
	Query func(ctx context.Context, sql string, row func([]types.Datum) error) error
	Temp  Temp
	// Notice passes a message to the client.
	Notice func(*types.Error)

	lastOID, endOID types.OID
}

// Supports reports whether Run carries out the statement.
func Supports(n ast.Node) bool { return runner(n) != nil }

// Run carries out one DDL statement and returns its command tag.
func Run(env *Env, stmt ast.Node) (tag string, err error) {
	f := runner(stmt)
	if f == nil {
		return "", types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", stmt.Tag())
	}
	return f(env)
}

func runner(stmt ast.Node) func(*Env) (string, error) {
	switch s := stmt.(type) {
	case *ast.CreateStmt:
		return func(e *Env) (string, error) { return "CREATE TABLE", e.createTable(s) }
	case *ast.IndexStmt:
		return func(e *Env) (string, error) { return "CREATE INDEX", e.createIndex(s) }
	case *ast.AlterTableStmt:
		return func(e *Env) (string, error) { return alterTag(s.Objtype), e.alterTable(s) }
	case *ast.DropStmt:
		return func(e *Env) (string, error) { return dropTag(s.RemoveType), e.drop(s) }
	case *ast.TruncateStmt:
		return func(e *Env) (string, error) { return "TRUNCATE TABLE", e.truncate(s) }
	case *ast.CreateSeqStmt:
		return func(e *Env) (string, error) { return "CREATE SEQUENCE", e.createSequence(s) }
	case *ast.AlterSeqStmt:
		return func(e *Env) (string, error) { return "ALTER SEQUENCE", e.alterSequence(s) }
	case *ast.ViewStmt:
		return func(e *Env) (string, error) { return "CREATE VIEW", e.createView(s) }
	}
	return objectRunner(stmt)
}

func objectRunner(stmt ast.Node) func(*Env) (string, error) {
	switch s := stmt.(type) {
	case *ast.CreateSchemaStmt:
		return func(e *Env) (string, error) { return "CREATE SCHEMA", e.createSchema(s) }
	case *ast.CreatedbStmt:
		return func(e *Env) (string, error) { return "CREATE DATABASE", e.createDatabase(s) }
	case *ast.DropdbStmt:
		return func(e *Env) (string, error) { return "DROP DATABASE", e.dropDatabase(s) }
	case *ast.CreateEnumStmt:
		return func(e *Env) (string, error) { return "CREATE TYPE", e.createEnum(s) }
	case *ast.CreateRoleStmt:
		return func(e *Env) (string, error) { return "CREATE ROLE", e.createRole(s) }
	case *ast.AlterRoleStmt:
		return func(e *Env) (string, error) { return "ALTER ROLE", e.alterRole(s) }
	case *ast.DropRoleStmt:
		return func(e *Env) (string, error) { return "DROP ROLE", e.dropRole(s) }
	case *ast.GrantStmt:
		return func(e *Env) (string, error) { return grantTag(s.IsGrant, ""), e.grant(s) }
	case *ast.GrantRoleStmt:
		return func(e *Env) (string, error) { return grantTag(s.IsGrant, " ROLE"), e.grantRole(s) }
	case *ast.AlterEnumStmt:
		return func(e *Env) (string, error) { return "ALTER TYPE", e.alterEnum(s) }
	case *ast.CommentStmt:
		return func(e *Env) (string, error) { return "COMMENT", e.comment(s) }
	case *ast.RenameStmt:
		return func(e *Env) (string, error) { return alterTag(renameObject(s)), e.rename(s) }
	case *ast.AlterOwnerStmt:
		return func(e *Env) (string, error) { return alterTag(s.ObjectType), e.alterOwner(s) }
	case *ast.AlterObjectSchemaStmt:
		return func(e *Env) (string, error) { return alterTag(s.ObjectType), e.alterSchema(s) }
	}
	return nil
}

// resolver sees the catalog with the changes so far.
func (e *Env) resolver() *catalog.SessionResolver {
	return catalog.NewSessionResolver(e.Change.Snapshot(), e.Database, e.SearchPath, false)
}

// oid returns a fresh oid, taking them from the allocator a few at a time.
func (e *Env) oid() (types.OID, error) {
	if e.lastOID == e.endOID {
		const batch = 8
		first, err := e.NewOID(e.Ctx, batch)
		if err != nil {
			return 0, err
		}
		e.lastOID, e.endOID = first, first+batch
	}
	e.lastOID++
	return e.lastOID - 1, nil
}

func (e *Env) notice(code, format string, args ...any) {
	if e.Notice != nil {
		n := types.Errorf(code, format, args...)
		n.Severity = "NOTICE"
		e.Notice(n)
	}
}

// clone returns a descriptor that may be changed.
func clone[D catalog.Descriptor](d D) (D, error) { return catalog.Clone(d) }

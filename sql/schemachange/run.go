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
func Supports(n ast.Node) bool {
	_, f := runner(n)
	return f != nil
}

// Tag returns the command tag of a statement that Run carries out.
func Tag(n ast.Node) string {
	tag, _ := runner(n)
	return tag
}

// Run carries out one DDL statement and returns its command tag.
func Run(env *Env, stmt ast.Node) (tag string, err error) {
	tag, f := runner(stmt)
	if f == nil {
		return "", types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", stmt.Tag())
	}
	return tag, f(env)
}

// runner returns a statement's command tag and what carries it out.
func runner(stmt ast.Node) (tag string, f func(*Env) error) {
	switch s := stmt.(type) {
	case *ast.CreateStmt:
		return "CREATE TABLE", func(e *Env) error { return e.createTable(s) }
	case *ast.IndexStmt:
		return "CREATE INDEX", func(e *Env) error { return e.createIndex(s) }
	case *ast.AlterTableStmt:
		return alterTag(s.Objtype), func(e *Env) error { return e.alterTable(s) }
	case *ast.DropStmt:
		return dropTag(s.RemoveType), func(e *Env) error { return e.drop(s) }
	case *ast.TruncateStmt:
		return "TRUNCATE TABLE", func(e *Env) error { return e.truncate(s) }
	case *ast.CreateSeqStmt:
		return "CREATE SEQUENCE", func(e *Env) error { return e.createSequence(s) }
	case *ast.AlterSeqStmt:
		return "ALTER SEQUENCE", func(e *Env) error { return e.alterSequence(s) }
	case *ast.ViewStmt:
		return "CREATE VIEW", func(e *Env) error { return e.createView(s) }
	}
	return objectRunner(stmt)
}

func objectRunner(stmt ast.Node) (tag string, f func(*Env) error) {
	switch s := stmt.(type) {
	case *ast.CreateSchemaStmt:
		return "CREATE SCHEMA", func(e *Env) error { return e.createSchema(s) }
	case *ast.CreatedbStmt:
		return "CREATE DATABASE", func(e *Env) error { return e.createDatabase(s) }
	case *ast.DropdbStmt:
		return "DROP DATABASE", func(e *Env) error { return e.dropDatabase(s) }
	case *ast.CreateEnumStmt:
		return "CREATE TYPE", func(e *Env) error { return e.createEnum(s) }
	case *ast.CreateRoleStmt:
		return "CREATE ROLE", func(e *Env) error { return e.createRole(s) }
	case *ast.AlterRoleStmt:
		return "ALTER ROLE", func(e *Env) error { return e.alterRole(s) }
	case *ast.DropRoleStmt:
		return "DROP ROLE", func(e *Env) error { return e.dropRole(s) }
	case *ast.GrantStmt:
		return grantTag(s.IsGrant, ""), func(e *Env) error { return e.grant(s) }
	case *ast.GrantRoleStmt:
		return grantTag(s.IsGrant, " ROLE"), func(e *Env) error { return e.grantRole(s) }
	case *ast.AlterEnumStmt:
		return "ALTER TYPE", func(e *Env) error { return e.alterEnum(s) }
	case *ast.CommentStmt:
		return "COMMENT", func(e *Env) error { return e.comment(s) }
	case *ast.RenameStmt:
		return alterTag(renameObject(s)), func(e *Env) error { return e.rename(s) }
	case *ast.AlterOwnerStmt:
		return alterTag(s.ObjectType), func(e *Env) error { return e.alterOwner(s) }
	case *ast.AlterObjectSchemaStmt:
		return alterTag(s.ObjectType), func(e *Env) error { return e.alterSchema(s) }
	}
	return absentRunner(stmt)
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

func (e *Env) notice(code, format string, args ...any) { e.tell("NOTICE", code, format, args...) }

func (e *Env) warning(code, format string, args ...any) { e.tell("WARNING", code, format, args...) }

func (e *Env) tell(severity, code, format string, args ...any) {
	if e.Notice != nil {
		n := types.Errorf(code, format, args...)
		n.Severity = severity
		e.Notice(n)
	}
}

// clone returns a descriptor that may be changed.
func clone[D catalog.Descriptor](d D) (D, error) { return catalog.Clone(d) }

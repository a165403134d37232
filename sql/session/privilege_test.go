package session

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/types"
)

// A role reads and writes what it owns or was granted, and nothing else.
func TestPrivileges(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	ctx := context.Background()
	as := func(user string) func(sql string) string {
		s, err := New(ctx, h.srv, 0, Options{User: user, Database: "defaultdb"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return func(sql string) string {
			if err := s.Exec(ctx, sql, &textWriter{}); err != nil {
				return types.CodeOf(err)
			}
			return ""
		}
	}
	root := as("root")
	do := func(sql string) {
		t.Helper()
		if code := root(sql); code != "" {
			t.Fatalf("%s: SQLSTATE %s", sql, code)
		}
	}
	do("CREATE USER bob")
	do("CREATE TABLE p (a int PRIMARY KEY)")
	do("INSERT INTO p VALUES (1)")
	bob := as("bob")
	for _, sql := range []string{"SELECT * FROM p", "INSERT INTO p VALUES (2)", "UPDATE p SET a = 3", "DELETE FROM p",
		"CREATE VIEW v AS SELECT * FROM p", "COPY p TO STDOUT", "COPY p FROM STDIN", "SELECT (SELECT count(*) FROM p)", "DROP TABLE p", "TRUNCATE p"} {
		if code := bob(sql); code != types.CodeInsufficientPrivilege {
			t.Errorf("%s: SQLSTATE %q", sql, code)
		}
	}
	do("GRANT SELECT, INSERT ON p TO bob")
	for sql, want := range map[string]string{"SELECT * FROM p": "", "INSERT INTO p VALUES (4)": "", "DELETE FROM p": types.CodeInsufficientPrivilege} {
		if code := bob(sql); code != want {
			t.Errorf("after the grant, %s: SQLSTATE %q", sql, code)
		}
	}
	do("REVOKE SELECT ON p FROM bob")
	if code := bob("SELECT * FROM p"); code != types.CodeInsufficientPrivilege {
		t.Errorf("after the revocation: SQLSTATE %q", code)
	}
	do("CREATE VIEW rv AS SELECT count(*) FROM p")
	do("GRANT SELECT ON rv TO PUBLIC")
	if code := bob("SELECT * FROM rv"); code != "" {
		t.Errorf("a granted view: SQLSTATE %q", code)
	}
}

// A schema is made for another role only by who belongs to it: what it is made
// with is done as that role.
func TestSchemaForAnother(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int); CREATE ROLE a; CREATE ROLE b; GRANT CREATE ON DATABASE defaultdb TO a", "CREATE TABLE\nCREATE ROLE\nCREATE ROLE\nGRANT")
	h.expect("SET ROLE a", "SET")
	h.expect("CREATE SCHEMA AUTHORIZATION root GRANT ALL ON t TO a", `ERROR 42501: must be member of role "root"`)
	h.expect("CREATE SCHEMA AUTHORIZATION b", `ERROR 42501: must be member of role "b"`)
	h.expect("CREATE SCHEMA AUTHORIZATION a", "CREATE SCHEMA")
	h.expect("SELECT * FROM t", "ERROR 42501: permission denied for table t")
}

// A prepared CREATE SCHEMA with something in it makes it in the schema of whoever
// executes it.
func TestPreparedSchema(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE ROLE a; CREATE ROLE b; GRANT CREATE ON DATABASE defaultdb TO a, b", "CREATE ROLE\nCREATE ROLE\nGRANT")
	ctx := context.Background()
	if err := h.s.Prepare(ctx, "p", "CREATE SCHEMA AUTHORIZATION CURRENT_USER CREATE TABLE t (a int)", nil); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"a", "b"} {
		h.expect("SET ROLE "+role, "SET")
		if err := h.s.Bind(ctx, "", "p", nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := h.s.Execute(ctx, "", 0, &textWriter{}); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		if err := h.s.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		h.expect("SELECT count(*) FROM "+role+".t", "0\nSELECT 1")
	}
}

// The system's schemas keep their names and owners, for a superuser too: clients
// look things up in them.
func TestSystemSchemas(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE ROLE a", "CREATE ROLE")
	for _, name := range []string{"pg_catalog", "information_schema", "pamir_internal"} {
		for _, change := range []string{"RENAME TO x", "OWNER TO a"} {
			h.expect("ALTER SCHEMA "+name+" "+change, `ERROR 42501: permission denied: "`+name+`" is a system schema`)
		}
	}
	h.expect("SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'pg_class'", "1\nSELECT 1")
}

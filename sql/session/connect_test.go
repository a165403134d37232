package session

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/types"
)

// Who may not connect to a database does not get a session in it, nor who may make
// no temporary tables there one of those.
func TestConnectPrivilege(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE ROLE a LOGIN; CREATE ROLE b LOGIN", "CREATE ROLE\nCREATE ROLE")
	h.expect("GRANT CREATE ON DATABASE defaultdb TO a", "GRANT")
	h.expect("SELECT datacl FROM pg_database WHERE datname = 'defaultdb'", "{=Tc/root,root=CTc/root,a=C/root}\nSELECT 1")
	open := func(user string) (*Session, error) {
		return New(context.Background(), h.srv, 0, Options{User: user, Database: "defaultdb"})
	}
	b, err := open("b")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	h.expect("REVOKE CONNECT, TEMPORARY ON DATABASE defaultdb FROM PUBLIC; GRANT CONNECT ON DATABASE defaultdb TO a", "REVOKE\nGRANT")
	if got, want := h.run(b, "CREATE TEMP TABLE t (a int)"), `ERROR 42501: permission denied to create temporary tables in database "defaultdb"`; got != want+"\n" {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := open("b"); err == nil || types.CodeOf(err) != types.CodeInsufficientPrivilege {
		t.Errorf("b: %v", err)
	}
	a, err := open("a")
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
}

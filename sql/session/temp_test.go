package session

import (
	"context"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
)

// TestTemporary has a session's temporary tables hide others, be seen by nobody
// else, follow ON COMMIT, and go when the session does, or when its node starts.
func TestTemporary(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", "CREATE TABLE\nINSERT 0 1")
	h.expect("CREATE TEMP TABLE t (a int, b text); INSERT INTO t VALUES (2, 'x')", "CREATE TABLE\nINSERT 0 1")
	h.expect("SELECT * FROM t", "2|x\nSELECT 1")
	h.expect("SELECT * FROM public.t", "1\nSELECT 1")
	h.expect("SELECT * FROM pg_temp.t", "2|x\nSELECT 1")
	other := h.open()
	if got := h.run(other, "SELECT * FROM t"); got != "1\nSELECT 1\n" {
		t.Errorf("another session sees %s", got)
	}
	if got := h.run(other, "CREATE TEMP TABLE t (c int); SELECT * FROM t"); got != "CREATE TABLE\nSELECT 0\n" {
		t.Errorf("another session's own: %s", got)
	}
	h.expect("CREATE TEMP TABLE fk (a int REFERENCES public.t)", "ERROR 42P16: constraints on temporary tables may reference only temporary tables")
	h.expect("CREATE TEMP TABLE public.x (a int)", "ERROR 42P16: cannot create temporary relation in non-temporary schema")
	h.expect("CREATE TABLE x (a int) ON COMMIT DROP", "ERROR 42P16: ON COMMIT can only be used on temporary tables")
	h.expect("CREATE VIEW v AS SELECT b FROM t", "NOTICE: view \"v\" will be a temporary view\nCREATE VIEW")
	h.expect("BEGIN; CREATE TEMP TABLE gone (a int) ON COMMIT DROP; INSERT INTO gone VALUES (1); SELECT * FROM gone; COMMIT",
		"BEGIN\nCREATE TABLE\nINSERT 0 1\n1\nSELECT 1\nCOMMIT")
	h.expect("SELECT * FROM gone", "ERROR 42P01: relation \"gone\" does not exist")
	h.expect("CREATE TEMP TABLE empty (a int) ON COMMIT DELETE ROWS", "CREATE TABLE")
	h.expect("INSERT INTO empty VALUES (1)", "INSERT 0 1")
	h.expect("SELECT * FROM empty", "SELECT 0")
	h.expect("BEGIN; INSERT INTO empty VALUES (1); SELECT * FROM empty; COMMIT", "BEGIN\nINSERT 0 1\n1\nSELECT 1\nCOMMIT")
	h.expect("SELECT * FROM empty", "SELECT 0")
	h.expect("DROP TABLE t CASCADE; SELECT * FROM t", "NOTICE: drop cascades to view v\nDROP TABLE\n1\nSELECT 1")
	h.s.Close()
	names := h.run(other, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pg_temp%'")
	if strings.Count(names, "pg_temp_1_") != 1 {
		t.Errorf("schemas after a session's end:\n%s", names)
	}
	// The other one's node dies: nothing is dropped until it is back.
	h.srv.dropStaleTemp(context.Background())
	if got := h.run(h.open(), "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pg_temp%'"); got != "SELECT 0\n" {
		t.Errorf("schemas after a restart:\n%s", got)
	}
}

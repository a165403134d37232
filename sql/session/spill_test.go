package session

import (
	"context"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/sql/scan"
)

// A sort that does not fit goes to disk; what cannot go there ends in 53200, and
// the session lives on.
func TestMemoryBudget(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE")
	h.expect("INSERT INTO t SELECT g, lpad((g * 7919 % 20000)::text, 40, '0') FROM generate_series(1, 20000) g", "INSERT 0 20000")
	h.srv.cfg.StatementMemory = 1 << 20
	want := h.run(h.s, "SELECT a FROM t ORDER BY b DESC, a LIMIT 3 OFFSET 19990")
	h.srv.cfg.StatementMemory = 512 << 20
	if got := h.run(h.s, "SELECT a FROM t ORDER BY b DESC, a LIMIT 3 OFFSET 19990"); got != want || !strings.HasSuffix(got, "SELECT 3\n") {
		t.Errorf("spilled: %s\nin memory: %s", want, got)
	}
	if got := h.run(h.s, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT a FROM t ORDER BY b"); strings.Contains(got, "Spilled") {
		t.Errorf("a sort that fits was spilled:\n%s", got)
	}
	h.srv.cfg.StatementMemory = 1 << 20
	if got := h.run(h.s, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT a FROM t ORDER BY b"); !strings.Contains(got, "Spilled") {
		t.Errorf("a sort that does not fit was not spilled:\n%s", got)
	}
	if got := h.run(h.s, "SELECT count(*) FROM t x JOIN t y ON x.b = y.b WHERE x.a + y.a > 0"); !strings.Contains(got, "ERROR 53200") {
		t.Errorf("no end of memory: %s", got)
	}
	h.expect("SELECT count(*) FROM t", "20000\nSELECT 1")
}

// Another node learns of schema changes, and its transactions do not outlive the
// leases that they used.
func TestTwoNodes(t *testing.T) {
	ev := scan.NewEvaluator()
	db := kvtest.NewDB(kvtest.Options{Nodes: 2, Evaluator: ev})
	t.Cleanup(func() { db.Close() })
	ctx := context.Background()
	var nodes []*harness
	for i := range 2 {
		id := ids.NodeID(i + 1)
		srv := NewServer(Config{DB: db.Cluster.Node(id).DB, Node: id, Evaluator: ev, TempDir: t.TempDir()})
		if err := srv.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		h := &harness{t: t, db: db, srv: srv}
		h.s = h.open()
		nodes = append(nodes, h)
	}
	a, b := nodes[0], nodes[1]
	a.expect("CREATE TABLE t (a int PRIMARY KEY, b int)", "CREATE TABLE")
	b.expect("INSERT INTO t VALUES (1, 1)", "INSERT 0 1")
	a.expect("ALTER TABLE t ADD COLUMN c int DEFAULT 9", "ALTER TABLE")
	b.expect("SELECT * FROM t", "1|1|9\nSELECT 1")
	b.expect("INSERT INTO t VALUES (2, 2, 2)", "INSERT 0 1")
	a.expect("CREATE INDEX tb ON t (b)", "CREATE INDEX")
	b.expect("UPDATE t SET b = 3 WHERE a = 2", "UPDATE 1")
	a.expect("SELECT a FROM t WHERE b = 3", "2\nSELECT 1")
	b.expect("DROP TABLE t", "DROP TABLE")
	a.expect("SELECT * FROM t", "ERROR 42P01: relation \"t\" does not exist")
}

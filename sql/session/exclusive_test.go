package session

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/types"
)

// Writers go on while indexes and constraints are made: none of their rows may be
// missing from an index, and no row may slip past a constraint.
func TestSchemaChangesKeepWritersOut(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.run(h.s, "CREATE TABLE w (k int PRIMARY KEY, v int, p int); CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(0, 9) g")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		s := h.open()
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				k := next.Add(1)
				err := s.Exec(context.Background(), fmt.Sprintf("INSERT INTO w (k, v, p) VALUES (%d, %d, %d)", k, k%7, k%10), &textWriter{})
				if code := types.CodeOf(err); err != nil && code != types.CodeSerializationFailure && code != types.CodeForeignKeyViolation {
					t.Errorf("insert: %v", err)
				}
			}
		}()
	}
	for next.Load() < 50 {
		_ = h.run(h.s, "SELECT 1")
	}
	for i, ddl := range []string{"CREATE INDEX wv ON w (v)", "ALTER TABLE w ADD COLUMN d int NOT NULL DEFAULT 5", "ALTER TABLE w ADD CONSTRAINT wp FOREIGN KEY (p) REFERENCES parent",
		"CREATE INDEX wd ON w (d, v)", "ALTER TABLE w ADD CONSTRAINT wc CHECK (v < 7)"} {
		if out := h.run(h.s, ddl); strings.Contains(out, "ERROR") {
			t.Fatalf("%s: %s", ddl, out)
		}
		for from := next.Load(); next.Load() < from+30; {
			_ = h.run(h.s, "SELECT 1") // writers go on
		}
		_ = i
	}
	cancel()
	wg.Wait()
	all := h.run(h.s, "SELECT count(*) FROM w")
	for _, q := range []string{"SELECT count(*) FROM (SELECT v FROM w WHERE v >= 0 ORDER BY v) x", "SELECT count(*) FROM (SELECT d, v FROM w WHERE d = 5 ORDER BY d, v) x",
		"SELECT count(*) FROM w JOIN parent ON w.p = parent.id"} {
		if got := h.run(h.s, q); got != all {
			t.Errorf("%s: %q, the table has %q", q, got, all)
		}
	}
	if out := h.run(h.s, "EXPLAIN SELECT v FROM w WHERE v >= 0 ORDER BY v"); !strings.Contains(out, "wv") {
		t.Errorf("the index is not what was counted:\n%s", out)
	}
}

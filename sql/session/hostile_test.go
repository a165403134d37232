package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/kvtest"
)

// nested wraps an inner text n times.
func nested(before, inner, after string, n int) string {
	return strings.Repeat(before, n) + inner + strings.Repeat(after, n)
}

// list writes n items.
func list(n int, sep, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(sep)
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostile sends statements that are meant to hurt. What PostgreSQL answers
// is answered; what it refuses, or what goes deeper than the grammar is let go,
// is refused with a SQLSTATE; the session goes on in any case.
func TestHostile(t *testing.T) {
	const deep, long = 5000, 100000
	refused, tooDeep := "ERROR 42601", "ERROR 54001"
	for _, c := range []struct{ name, sql, want string }{
		{"a sum of 100,000", "SELECT " + strings.Repeat("1+", long) + "1", tooDeep},
		{"a sum of 3,000", "SELECT " + strings.Repeat("1+", 3000) + "1", "3001\n"},
		{"an AND of 100,000", "SELECT 1 WHERE " + strings.Repeat("true and ", long) + "true", "1\n"},
		{"an OR of 20,000", "SELECT count(*) FROM generate_series(1, 3) g WHERE " + list(20000, " OR ", "g = %d"), "3\n"},
		{"an IN of 50,000", "SELECT count(*) FROM generate_series(1, 10) g WHERE g IN (" + list(50000, ",", "%d") + ")", "10\n"},
		{"VALUES of 50,000", "SELECT count(*), sum(v.a) FROM (VALUES " + list(50000, ",", "(%d)") + ") v(a)", "50000|1249975000\n"},
		{"a union of 10,000", "SELECT count(*) FROM (" + strings.Repeat("SELECT 1 UNION ALL ", 10000) + "SELECT 1) v", tooDeep},
		{"a union of 1,000", "SELECT count(*) FROM (" + strings.Repeat("SELECT 1 UNION ALL ", 999) + "SELECT 1) v", "1000\n"},
		{"parentheses", "SELECT " + nested("(", "1", ")", deep), tooDeep},
		{"fewer parentheses", "SELECT " + nested("(", "1", ")", 900), "1\n"},
		{"CASE", "SELECT " + nested("CASE WHEN true THEN ", "1", " END", deep), tooDeep},
		{"fewer CASE", "SELECT " + nested("CASE WHEN true THEN ", "1", " END", 400), "1\n"},
		{"subselects", "SELECT " + nested("(SELECT ", "1", ")", deep), tooDeep},
		{"fewer subselects", "SELECT " + nested("(SELECT ", "1", ")", 200), "1\n"},
		{"derived tables", nested("SELECT * FROM (", "SELECT 1", ") x", deep), tooDeep},
		{"fewer derived tables", nested("SELECT * FROM (", "SELECT 1", ") x", 200), "1\n"},
		{"arrays", "SELECT " + nested("ARRAY[", "1", "]", deep), tooDeep},
		{"rows", "SELECT " + nested("ROW(", "1", ")", deep), tooDeep},
		{"calls", "SELECT " + nested("abs(", "1", ")", deep), tooDeep},
		{"fewer calls", "SELECT " + nested("abs(", "-1", ")", 400), "1\n"},
		{"casts", "SELECT 1" + strings.Repeat("::int", deep), tooDeep},
		{"unary minus", "SELECT " + strings.Repeat("- ", deep) + "1", tooDeep},
		{"NOT", "SELECT " + strings.Repeat("NOT ", deep) + "true", tooDeep},
		{"IS NULL", "SELECT 1" + strings.Repeat(" IS NULL", deep), tooDeep},
		{"jsonb steps", "SELECT '{}'::jsonb" + strings.Repeat("->'a'", deep), tooDeep},
		{"comments", "SELECT 1" + nested("/*", " x ", "*/", deep), tooDeep},
		{"an open comment", "SELECT 1 /* /* */", refused},
		{"an open string", "SELECT 'a", refused},
		{"an open dollar quote", "SELECT $$abc", refused},
		{"a literal of 16 MB", "SELECT length('" + strings.Repeat("a", 16<<20) + "')", "16777216\n"},
		{"an array literal", "SELECT '" + nested("{", "1", "}", deep) + "'::int[]", "ERROR 54000"},
		{"seven subscripts", "SELECT ('{1}'::int[])[1][1][1][1][1][1][1]", "ERROR 54000"},
		{"json", "SELECT length('" + nested("[", "", "]", long) + "'::json::text)", tooDeep},
		{"jsonb", "SELECT length('" + nested("[", "", "]", long) + "'::jsonb::text)", tooDeep},
		{"shallower jsonb", "SELECT length('" + nested("[", "", "]", deep) + "'::jsonb::text)", "10000\n"},
		{"1,665 columns", "SELECT " + list(1665, ",", "%d"), "ERROR 54011"},
		{"a table of 1,601 columns", "CREATE TABLE wide (" + list(1601, ",", "c%d int") + ")", "ERROR 54011"},
		{"CUBE of 13", "SELECT count(*) FROM generate_series(1, 2) g GROUP BY CUBE (" + list(13, ",", "g + %d") + ")", "ERROR 54011"},
		{"numeric too large", "SELECT 1e131072", "ERROR 22003"},
		{"numeric far too large", "SELECT '1e1000000000'::numeric", "ERROR 22003"},
		{"a power", "SELECT 9.9::numeric ^ 1000000", "ERROR 22003"},
		{"a factorial", "SELECT factorial(100000)", "ERROR 22003"},
		{"a long repeat", "SELECT length(repeat('a', 2000000000))", "ERROR 54000"},
		{"a longer repeat", "SELECT length(repeat(repeat('a', 1000000), 1000000))", "ERROR 54000"},
		{"a huge array", "SELECT array_fill(1, ARRAY[100000, 100000])", "ERROR 54000"},
		{"a regular expression that backtracks", "SELECT repeat('a', 5000) ~ '^(a*)*b'", "f\n"},
		{"a regular expression that multiplies", "SELECT 'a' ~ '(((a{1,100}){1,100}){1,100}){1,100}'", "ERROR 2201B"},
		{"LIKE that backtracks", "SELECT repeat('a', 5000) LIKE (repeat('%a', 2000) || 'b')", "f\n"},
		{"the least integer", "SELECT (-2147483648)::int / -1", "ERROR 22003"},
		{"WITH of 500", "WITH " + list(500, ",", "c%d AS (SELECT 1)") + " SELECT * FROM c499", "1\n"},
		{"30 tables joined", "SELECT count(*) FROM " + list(30, " CROSS JOIN ", "generate_series(1, 1) g%d"), "1\n"},
		{"a prepared statement of 65,535 parameters", "PREPARE p AS SELECT 1 WHERE 1 IN (0" + strings.TrimPrefix(list(65536, "", ",$%d"), ",$0") + ")", "PREPARE\n"},
		{"and one more", "PREPARE q AS SELECT $65536::int", "ERROR "},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHarness(t, kvtest.Options{})
			got := h.run(h.s, c.sql)
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%.80s…\n got %.200q\nwant %q", c.sql, got, c.want)
			}
			h.expect("SELECT 42", "42\nSELECT 1")
		})
	}
}

// TestEndless cancels statements without an end, and those that take more memory
// than they may.
func TestEndless(t *testing.T) {
	// What ends by its memory is given the time for it, on a busy machine too.
	for _, c := range []struct{ name, sql, want string }{
		{"a series", "SELECT count(*) FROM generate_series(1, 1000000000000) g", "ERROR 57014"},
		{"a product", "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b", "ERROR 57014"},
		{"recursion", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n % 7 FROM r) SELECT count(*) FROM r", "ERROR 57014"},
		{"a sort", "SELECT g FROM generate_series(1, 1000000000000) g ORDER BY -g LIMIT 3", "ERROR 57014"},
		{"an array", "SELECT array_agg(repeat('x', 1000)) FROM generate_series(1, 1000000000) g", "ERROR 53200"},
		{"recursion that keeps all", "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r) SELECT count(*) FROM r", "ERROR "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, kvtest.Options{})
			h.srv.cfg.StatementMemory = 16 << 20
			timeout := 300 * time.Millisecond
			if c.want == "ERROR 53200" {
				timeout = time.Minute
			}
			h.expect(fmt.Sprintf("SET statement_timeout = '%dms'", timeout.Milliseconds()), "SET")
			start := time.Now()
			got := h.run(h.s, c.sql)
			if took := time.Since(start); !strings.HasPrefix(got, c.want) || took > timeout+10*time.Second {
				t.Errorf("after %v: %.200q, want %q", took, got, c.want)
			}
			h.expect("SELECT 42", "42\nSELECT 1")
		})
	}
}

// TestCancelEndless cancels from outside.
func TestCancelEndless(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	done := make(chan string)
	go func() {
		w := &textWriter{}
		err := h.s.Exec(context.Background(), "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n % 7 FROM r) SELECT count(*) FROM r", w)
		done <- fmt.Sprint(err)
	}()
	for {
		select {
		case got := <-done:
			if !strings.Contains(got, "canceling statement due to user request") {
				t.Error(got)
			}
			return
		case <-time.After(time.Millisecond):
			h.s.Cancel() // nothing to cancel until the statement has begun
		}
	}
}

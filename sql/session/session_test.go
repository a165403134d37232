package session

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// textWriter collects results as text.
type textWriter struct {
	out  strings.Builder
	cols []plan.ResultColumn
	in   string
	mark int
}

func (w *textWriter) Columns(cols []plan.ResultColumn, _ []int16) error { w.cols = cols; return nil }

func (w *textWriter) Batch(b *vec.Batch, s *types.Settings) error {
	for i := range b.Len() {
		for c, v := range b.Cols {
			if c > 0 {
				w.out.WriteByte('|')
			}
			if v.IsNull(b.Pos(i)) {
				w.out.WriteString("NULL")
			} else {
				w.out.WriteString(types.TextOf(w.cols[c].Type.OID, v.Datum(b.Pos(i)), s))
			}
		}
		w.out.WriteByte('\n')
	}
	return nil
}

func (w *textWriter) Complete(tag string) error {
	fmt.Fprintf(&w.out, "%s\n", tag)
	w.mark = w.out.Len()
	return nil
}
func (w *textWriter) EmptyQuery() error { return nil }
func (w *textWriter) Suspended() error  { w.out.WriteString("...\n"); return nil }
func (w *textWriter) Notice(e *types.Error) {
	fmt.Fprintf(&w.out, "%s: %s\n", e.Severity, e.Message)
}
func (w *textWriter) Sent() bool { return false }
func (w *textWriter) Discard() {
	s := w.out.String()[:w.mark]
	w.out.Reset()
	w.out.WriteString(s)
}
func (w *textWriter) CopyIn(int, bool) (io.Reader, error) { return strings.NewReader(w.in), nil }
func (w *textWriter) CopyOut(int, bool) (io.WriteCloser, error) {
	return nopCloser{&w.out}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

type harness struct {
	t   testing.TB
	db  *kvtest.DB
	srv *Server
	s   *Session
}

func newHarness(t testing.TB, o kvtest.Options) *harness {
	t.Helper()
	ev := scan.NewEvaluator()
	o.Evaluator = ev
	db := kvtest.NewDB(o)
	t.Cleanup(func() { db.Close() })
	srv := NewServer(Config{DB: db, Node: 1, Evaluator: ev, TempDir: t.TempDir()})
	if err := srv.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	h := &harness{t: t, db: db, srv: srv}
	h.s = h.open()
	return h
}

func (h *harness) open() *Session {
	s, err := New(context.Background(), h.srv, 0, Options{User: "root", Database: "defaultdb"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.Close)
	return s
}

// run returns what a string of statements gives, or the error.
func (h *harness) run(s *Session, sql string) string {
	w := &textWriter{}
	if err := s.Exec(context.Background(), sql, w); err != nil {
		e := err.(*types.Error)
		fmt.Fprintf(&w.out, "ERROR %s: %s\n", e.Code, e.Message)
		if e.Detail != "" {
			fmt.Fprintf(&w.out, "DETAIL: %s\n", e.Detail)
		}
	}
	return w.out.String()
}

func (h *harness) expect(sql, want string) {
	h.t.Helper()
	if got := h.run(h.s, sql); strings.TrimSpace(got) != strings.TrimSpace(want) {
		h.t.Errorf("%s\n--- got\n%s--- want\n%s", sql, got, want)
	}
}

// variants are the ways in which storage may lie below the same statements.
var variants = map[string]kvtest.Options{
	"plain":     {},
	"every key": {SplitEveryKey: true},
	"flushed":   {FlushWrites: true},
	"nodes":     {Nodes: 3, SplitEveryKey: true, FlushWrites: true},
}

func TestBasics(t *testing.T) {
	for name, o := range variants {
		t.Run(name, func(t *testing.T) { basics(newHarness(t, o)) })
	}
}

func basics(h *harness) {
	h.expect("SELECT 1", "1\nSELECT 1")
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text, c numeric(10,2))", "CREATE TABLE")
	h.expect("INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', 2.5), (3, NULL, NULL)", "INSERT 0 3")
	h.expect("SELECT * FROM t ORDER BY a", "1|one|1.50\n2|two|2.50\n3|NULL|NULL\nSELECT 3")
	h.expect("SELECT b FROM t WHERE a = 2", "two\nSELECT 1")
	h.expect("INSERT INTO t VALUES (2, 'x', 0)", "ERROR 23505: duplicate key value violates unique constraint \"t_pkey\"\nDETAIL: Key (a)=(2) already exists.")
	h.expect("UPDATE t SET b = b || '!' WHERE a = 1", "UPDATE 1")
	h.expect("SELECT * FROM t WHERE a = 1", "1|one!|1.50\nSELECT 1")
	h.expect("DELETE FROM t WHERE a = 3", "DELETE 1")
	h.expect("SELECT count(*), sum(c) FROM t", "2|4.00\nSELECT 1")
	h.expect("BEGIN", "BEGIN")
	h.expect("INSERT INTO t VALUES (10, 'ten', 10)", "INSERT 0 1")
	h.expect("SELECT count(*) FROM t", "3\nSELECT 1")
	h.expect("ROLLBACK", "ROLLBACK")
	h.expect("SELECT count(*) FROM t", "2\nSELECT 1")
	h.expect("SELECT t.a, u.a FROM t JOIN t u ON t.a < u.a", "1|2\nSELECT 1")
}

func TestConstraints(t *testing.T) {
	for name, o := range variants {
		t.Run(name, func(t *testing.T) { constraints(newHarness(t, o)) })
	}
}

func constraints(h *harness) {
	h.expect("CREATE TABLE p (id serial PRIMARY KEY, name text UNIQUE, x int CHECK (x > 0))", "CREATE TABLE")
	h.expect("INSERT INTO p (name, x) VALUES ('a', 1), ('b', 2) RETURNING id, name", "1|a\n2|b\nINSERT 0 2")
	h.expect("INSERT INTO p (name, x) VALUES ('a', 5) ON CONFLICT (name) DO UPDATE SET x = excluded.x + p.x RETURNING *", "1|a|6\nINSERT 0 1")
	h.expect("INSERT INTO p (name, x) VALUES ('a', 5) ON CONFLICT DO NOTHING", "INSERT 0 0")
	h.expect("INSERT INTO p (id, name, x) VALUES (9, 'zz', -1)",
		"ERROR 23514: new row for relation \"p\" violates check constraint \"p_x_check\"\nDETAIL: Failing row contains (9, zz, -1).")
	h.expect("INSERT INTO p (id, name) VALUES (NULL, 'n')",
		"ERROR 23502: null value in column \"id\" of relation \"p\" violates not-null constraint\nDETAIL: Failing row contains (null, n, null).")
	h.expect("CREATE TABLE c (id int PRIMARY KEY, pid int REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL)", "CREATE TABLE")
	h.expect("INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL)", "INSERT 0 3")
	h.expect("INSERT INTO c VALUES (4, 99)",
		"ERROR 23503: insert or update on table \"c\" violates foreign key constraint \"c_pid_fkey\"\nDETAIL: Key (pid)=(99) is not present in table \"p\".")
	h.expect("DELETE FROM p WHERE id = 1", "DELETE 1")
	h.expect("SELECT * FROM c ORDER BY id", "2|2\n3|NULL\nSELECT 2")
	h.expect("UPDATE p SET id = 7 WHERE id = 2", "UPDATE 1")
	h.expect("SELECT * FROM c ORDER BY id", "2|NULL\n3|NULL\nSELECT 2")
	h.expect("CREATE INDEX cp ON c (pid)", "CREATE INDEX")
	h.expect("UPDATE c SET pid = 7 WHERE id = 3", "UPDATE 1")
	h.expect("SELECT id FROM c WHERE pid = 7", "3\nSELECT 1")
	h.expect("ALTER TABLE p ADD COLUMN e int DEFAULT 5", "ALTER TABLE")
	h.expect("ALTER TABLE p DROP COLUMN x", "ALTER TABLE")
	h.expect("SELECT * FROM p", "7|b|5\nSELECT 1")
}

func TestTransactions(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b int)", "CREATE TABLE")
	h.expect("BEGIN; INSERT INTO t VALUES (1, 1); SELECT 1/0", "BEGIN\nINSERT 0 1\nERROR 22012: division by zero")
	h.expect("SELECT 1", "ERROR 25P02: current transaction is aborted, commands ignored until end of transaction block")
	h.expect("COMMIT", "ROLLBACK")
	h.expect("SELECT count(*) FROM t", "0\nSELECT 1")
	h.expect("INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2); SELECT 1/0", "INSERT 0 1\nINSERT 0 1\nERROR 22012: division by zero")
	h.expect("SELECT count(*) FROM t", "0\nSELECT 1")
	h.expect("BEGIN; INSERT INTO t VALUES (1, 1); SAVEPOINT s; INSERT INTO t VALUES (2, 2)", "BEGIN\nINSERT 0 1\nSAVEPOINT\nINSERT 0 1")
	h.expect("INSERT INTO t VALUES (1, 5)", "ERROR 23505: duplicate key value violates unique constraint \"t_pkey\"\nDETAIL: Key (a)=(1) already exists.")
	h.expect("ROLLBACK TO s; COMMIT", "ROLLBACK\nCOMMIT")
	h.expect("SELECT * FROM t", "1|1\nSELECT 1")
	h.expect("BEGIN READ ONLY; INSERT INTO t VALUES (3, 3)", "BEGIN\nERROR 25006: cannot execute INSERT in a read-only transaction")
	h.expect("ROLLBACK", "ROLLBACK")
	h.expect("BEGIN; CREATE TABLE u (a int); INSERT INTO u VALUES (1); ROLLBACK", "BEGIN\nCREATE TABLE\nINSERT 0 1\nROLLBACK")
	h.expect("SELECT * FROM u", "ERROR 42P01: relation \"u\" does not exist")
	two := h.open()
	h.expect("BEGIN; UPDATE t SET b = 2 WHERE a = 1", "BEGIN\nUPDATE 1")
	if got := h.run(two, "SET lock_timeout = '50ms'; SELECT * FROM t WHERE a = 1 FOR UPDATE"); !strings.Contains(got, "55P03") {
		t.Errorf("a locked row was given out: %s", got)
	}
	if got := h.run(two, "SELECT * FROM t WHERE a = 1 FOR UPDATE SKIP LOCKED"); got != "SELECT 0\n" {
		t.Errorf("SKIP LOCKED: %s", got)
	}
	h.expect("COMMIT", "COMMIT")
}

func TestCopyAndCursors(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE")
	w := &textWriter{in: "1\tone\n2\t\\N\n3\tthr\\tee\n"}
	if err := h.s.Exec(context.Background(), "COPY t FROM STDIN", w); err != nil || w.out.String() != "COPY 3\n" {
		t.Fatal(w.out.String(), err)
	}
	h.expect("COPY t TO STDOUT", "1\tone\n2\t\\N\n3\tthr\\tee\nCOPY 3")
	h.expect("COPY (SELECT b, a FROM t ORDER BY a) TO STDOUT CSV HEADER", "b,a\none,1\n,2\nthr\tee,3\nCOPY 3")
	w = &textWriter{in: "4\tx\nfive\ty\n"}
	err := h.s.Exec(context.Background(), "COPY t FROM STDIN", w)
	if e, ok := err.(*types.Error); !ok || e.Code != "22P02" || !strings.Contains(e.Where, "COPY t, line 2, column a") {
		t.Errorf("%#v", err)
	}
	h.expect("SELECT count(*) FROM t", "3\nSELECT 1")
	h.expect("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT a FROM t ORDER BY a; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; FETCH LAST FROM c; CLOSE c; COMMIT",
		"BEGIN\nDECLARE CURSOR\n1\n2\nFETCH 2\n1\nFETCH 1\n3\nFETCH 1\nCLOSE CURSOR\nCOMMIT")
}

// TestCopyViolations has long COPYs that break a constraint say where, also when
// the row was sent long before the reader got to where it is.
func TestCopyViolations(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0))", "CREATE TABLE")
	rows := func(n int, change map[int]string) string {
		var sb strings.Builder
		for i := 1; i <= n; i++ {
			if s, ok := change[i]; ok {
				sb.WriteString(s)
			} else {
				fmt.Fprintf(&sb, "%d\t1\n", i)
			}
		}
		return sb.String()
	}
	for _, c := range []struct{ in, code, where string }{
		{rows(9000, map[int]string{4000: "7\t1\n"}), "23505", "COPY t, line 4000"},
		{rows(9000, map[int]string{8999: "8998\t1\n"}), "23505", "COPY t, line 8999"},
		{rows(9000, map[int]string{6000: "6000\t-1\n"}), "23514", "COPY t, line 6000: \"6000\t-1\""},
		{rows(9000, map[int]string{3: "\\N\t1\n"}), "23502", "COPY t, line 3: \"\\N\t1\""},
	} {
		err := h.s.Exec(context.Background(), "COPY t FROM STDIN", &textWriter{in: c.in})
		if e, ok := err.(*types.Error); !ok || e.Code != c.code || e.Where != c.where {
			t.Errorf("want %s at %s: %#v", c.code, c.where, err)
		}
		h.expect("SELECT count(*) FROM t", "0\nSELECT 1")
	}
	w := &textWriter{in: rows(9000, nil)}
	if err := h.s.Exec(context.Background(), "COPY t FROM STDIN", w); err != nil || w.out.String() != "COPY 9000\n" {
		t.Fatal(w.out.String(), err)
	}
	h.expect("SELECT count(*), sum(a) FROM t", "9000|40504500\nSELECT 1")
}

func TestExtended(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	ctx := context.Background()
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE")
	s := h.s
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.Prepare(ctx, "ins", "INSERT INTO t VALUES ($1, $2)", nil))
	ps, cols, err := s.DescribeStatement(ctx, "ins")
	do(err)
	if len(ps) != 2 || ps[0] != types.Int4OID || ps[1] != types.TextOID || cols != nil {
		t.Fatal(ps, cols)
	}
	w := &textWriter{}
	for i := range 5 {
		do(s.Bind(ctx, "", "ins", []Param{{Value: fmt.Appendf(nil, "%d", i)}, {Value: []byte("x")}}, nil))
		do(s.Execute(ctx, "", 0, w))
	}
	do(s.Sync(ctx))
	do(s.Prepare(ctx, "", "SELECT a FROM t WHERE a >= $1 ORDER BY a", nil))
	do(s.Bind(ctx, "p", "", []Param{{Value: []byte{0, 0, 0, 1}, Format: 1}}, nil))
	w = &textWriter{}
	do(s.Execute(ctx, "p", 2, w))
	do(s.Execute(ctx, "p", 2, w))
	do(s.Execute(ctx, "p", 2, w))
	do(s.Sync(ctx))
	if got := w.out.String(); got != "1\n2\n...\n3\n4\n...\nSELECT 0\n" {
		t.Errorf("%s", got)
	}
	if s.TxnStatus() != StatusIdle {
		t.Error("the transaction is open after Sync")
	}
}

// TestFillUnordered has unique indexes made of more rows than are written at once,
// whose keys leave their order late: what is there twice is found.
func TestFillUnordered(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE TABLE t (a int, b int)", "CREATE TABLE")
	h.expect("INSERT INTO t SELECT g, g % 4999 FROM generate_series(1, 5000) g", "INSERT 0 5000")
	for _, key := range []string{"PRIMARY KEY (b)", "UNIQUE (b)"} {
		got := h.run(h.s, "ALTER TABLE t ADD "+key)
		if !strings.Contains(got, "ERROR 23505: could not create unique index") || !strings.Contains(got, "DETAIL: Key (b)=(1) is duplicated.") {
			t.Errorf("%s: %s", key, got)
		}
	}
	h.expect("DELETE FROM t WHERE a = 1", "DELETE 1")
	h.expect("ALTER TABLE t ADD PRIMARY KEY (b)", "ALTER TABLE")
	h.expect("SELECT count(*), min(b), max(b) FROM t", "4999|0|4998\nSELECT 1")
	h.expect("SELECT a FROM t WHERE b IN (0, 1, 77) ORDER BY a", "77\n4999\n5000\nSELECT 3")
}

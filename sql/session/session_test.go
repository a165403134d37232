package session

import (
	"bytes"
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
func (w *textWriter) ParameterStatus(string, string) {}
func (w *textWriter) Sent() bool                     { return false }
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

func TestBasics(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
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

var _ = bytes.Equal

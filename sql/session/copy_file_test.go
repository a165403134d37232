package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/types"
)

// What is copied to a file of the node comes back from it, in every format.
func TestCopyFiles(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	dir := t.TempDir()
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE")
	h.expect(`INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, E'"thr\tee",\n')`, "INSERT 0 3")
	rows := h.run(h.s, "SELECT * FROM t ORDER BY a")
	for _, format := range []string{"text", "csv", "binary", "csv, HEADER"} {
		name := filepath.Join(dir, format)
		h.expect("COPY t TO '"+name+"' (FORMAT "+format+")", "COPY 3")
		h.expect("DELETE FROM t", "DELETE 3")
		h.expect("COPY t FROM '"+name+"' (FORMAT "+format+")", "COPY 3")
		if got := h.run(h.s, "SELECT * FROM t ORDER BY a"); got != rows {
			t.Errorf("%s: %s", format, got)
		}
	}
	name := filepath.Join(dir, "text")
	h.expect("COPY (SELECT 1) TO '"+name+"'", "COPY 1")
	if b, err := os.ReadFile(name); err != nil || string(b) != "1\n" {
		t.Errorf("a file that was there: %q, %v", b, err)
	}
}

// What fails says in PostgreSQL's words why, and where in the file.
func TestCopyFileErrors(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	dir := t.TempDir()
	h.expect("CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("bad", "1\tx\ntwo\ty\n")
	write("twice", "1\tx\n1\ty\n")
	for _, c := range []struct{ sql, code, message, where string }{
		{"COPY t FROM 'DIR/none'", "58P01", `could not open file "DIR/none" for reading: No such file or directory`, ""},
		{"COPY t FROM 'DIR'", "42809", `"DIR" is a directory`, ""},
		{"COPY t FROM 'DIR/bad/none'", "42809", `could not open file "DIR/bad/none" for reading: Not a directory`, ""},
		{"COPY t TO 'none'", "42602", "relative path not allowed for COPY to file", ""},
		{"COPY t TO 'DIR/none/none'", "58P01", `could not open file "DIR/none/none" for writing: No such file or directory`, ""},
		{"COPY t TO 'DIR'", "42809", `could not open file "DIR" for writing: Is a directory`, ""},
		{"COPY t FROM 'DIR/bad'", "22P02", `invalid input syntax for type integer: "two"`, `COPY t, line 2, column a: "two"`},
		{"COPY t FROM 'DIR/twice'", "23505", `duplicate key value violates unique constraint "t_pkey"`, "COPY t, line 2"},
	} {
		err := h.s.Exec(context.Background(), strings.ReplaceAll(c.sql, "DIR", dir), &textWriter{})
		e, ok := err.(*types.Error)
		if !ok || e.Code != c.code || e.Message != strings.ReplaceAll(c.message, "DIR", dir) || e.Where != c.where {
			t.Errorf("%s: %#v", c.sql, err)
		}
		h.expect("SELECT count(*) FROM t", "0\nSELECT 1")
	}
}

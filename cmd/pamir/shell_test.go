package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"select 1;\n", []string{"select 1;"}},
		{"select\n1\n;select 2; select 3", []string{"select\n1\n;", "select 2;", "select 3"}},
		{";;\n-- nothing;\n/* ; */\n", nil},
		{"select 1; -- one;\nselect 2;", []string{"select 1;", "select 2;"}},
		{"select 'a;\n''b;', \"c;\"\"d\";", []string{"select 'a;\n''b;', \"c;\"\"d\";"}},
		{`select E'a\';', 'b\'; select 2;`, []string{`select E'a\';', 'b\';`, "select 2;"}},
		{"select e'it''s;', name'x\\';", []string{"select e'it''s;', name'x\\';"}},
		{"do $$ a; $b$ ;\n$$; select $b$ ;$$; $b$, $1;", []string{"do $$ a; $b$ ;\n$$;", "select $b$ ;$$; $b$, $1;"}},
		{"select a$b$;select 2;", []string{"select a$b$;", "select 2;"}},
		{"select /* a /* b; */ c; */ 1;", []string{"select /* a /* b; */ c; */ 1;"}},
		{"create rule r as (select 1; select 2);", []string{"create rule r as (select 1; select 2);"}},
	} {
		var s splitter
		var got []string
		for line := range strings.SplitSeq(c.text, "\n") {
			got = append(got, s.feed(line)...)
		}
		if rest := s.rest(); rest != "" {
			got = append(got, rest)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	printTable(&b, []string{"a", "text"}, [][]string{{"1", "one\ntwo"}, {"10", ""}})
	printPosition(&b, "select 1,\n  é + zz;", 17)
	want := "a  | text\n---+-----\n1  | one +\n   | two\n10 |\n(2 rows)\nLINE 2:   é + zz;\n              ^\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// TestShell runs scripts as people write them.
func TestShell(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.boot()
	sql := func(in string, args ...string) (out string, err error) {
		cmd := exec.Command(c.bin, append([]string{"sql", "--insecure", "--host=" + c.sql[0]}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		b, err := cmd.CombinedOutput()
		return string(b), err
	}
	for _, x := range []struct {
		in, want string
		fails    bool
	}{
		{in: "create table t (a int primary key, b text default 'x;y');\ninsert into t values (1, 'one;\ntwo'); -- done\nselect * from t",
			want: "CREATE TABLE\nINSERT 0 1\na | b\n--+-----\n1 | one;+\n  | two\n(1 row)\n"},
		{in: "copy t from stdin;\n2\tzwei\n3\t\\N\n\\.\nselect count(*) from t;", want: "COPY 2\ncount\n-----\n3\n(1 row)\n"},
		{in: "copy t (a) to stdout;", want: "1\n2\n3\n"},
		{in: "copy t from stdin;\nx\ty\ndrop table t;\n\\.\ncopy nosuch from stdin;\ndrop table t;\n\\.\nselect count(*) from t;",
			want: "ERROR:  invalid input syntax for type integer: \"x\" (22P02)\nCONTEXT:  COPY t, line 1, column a: \"x\"\nERROR:  relation \"nosuch\" does not exist (42P01)\ncount\n-----\n3\n(1 row)\n", fails: true},
		{in: "select 1,\n  zz;\nselect 4 as four;", want: "ERROR:  column \"zz\" does not exist (42703)\nLINE 2:   zz;\n          ^\nfour\n----\n4\n(1 row)\n", fails: true},
		{in: "\\d t\n\\bogus\n\\q\nselect 1;", want: "column | type    | nullable | default\n-------+---------+----------+------------\na      | integer | not null |\nb      | text    |          | 'x;y'::text\n(2 rows)\n" +
			"indexes\n------------------------------------------------------\nCREATE UNIQUE INDEX t_pkey ON public.t USING btree (a)\n(1 row)\nconstraint | definition\n-----------+----------------\nt_pkey     | PRIMARY KEY (a)\n(1 row)\n" +
			"invalid command \\bogus. Try \\? for help.\n", fails: true},
		{in: "\\c postgres\nselect current_database();\n\\c nosuch\nselect current_database();", fails: true,
			want: "current_database\n----------------\npostgres\n(1 row)\nFATAL:  database \"nosuch\" does not exist (3D000)\ncurrent_database\n----------------\npostgres\n(1 row)\n"},
	} {
		got, err := sql(x.in)
		if got != x.want || (err != nil) != x.fails {
			t.Errorf("%s\ngave %v\n%s\nwant\n%s", x.in, err, got, x.want)
		}
	}
	for _, x := range []struct {
		in    string
		args  []string
		want  string
		fails bool
	}{
		{in: "7\tsieben\n", args: []string{"-e", "copy t from stdin", "-e", "select b from t where a = 7", "-e", "nonsense", "-e", "select 1"}, fails: true,
			want: "COPY 1\nb\n------\nsieben\n(1 row)\nERROR:  syntax error at or near \"nonsense\" (42601)\nLINE 1: nonsense\n        ^\n"},
		// A COPY among other statements of a string.
		{in: "8\tacht\n", args: []string{"-e", "delete from t;\n-- one; row\ncopy t from stdin; select 1 as x; copy t to stdout"},
			want: "DELETE 4\nCOPY 1\nx\n-\n1\n(1 row)\n8\tacht\n"},
		// Data stay as they are: bytes, carriage returns, and a last line without an end.
		{in: "delete from t;\r\ncopy t from stdin csv;\r\n1,\"a\r\nb\"\r\n2,c", want: "DELETE 1\nCOPY 2\n"},
		{in: "select a, length(b) as n from t order by a;\r\n", want: "a | n\n--+--\n1 | 4\n2 | 1\n(2 rows)\n"},
		{in: "\\d nosuch\n", fails: true, want: "ERROR:  relation \"nosuch\" does not exist (42P01)\n"},
		{args: []string{"-e", `create database "it's a \ db"`}, want: "CREATE DATABASE\n"},
		{args: []string{"-d", `it's a \ db`, "-e", "select current_database() as d"}, want: "d\n-----------\nit's a \\ db\n(1 row)\n"},
		{in: `\c "it's a \ db"` + "\nselect current_database() as d", want: "d\n-----------\nit's a \\ db\n(1 row)\n"},
	} {
		got, err := sql(x.in, x.args...)
		if got != x.want || (err != nil) != x.fails {
			t.Errorf("%s %q\ngave %v\n%s\nwant\n%s", x.in, x.args, err, got, x.want)
		}
	}
	data, err := sql("", "-e", "copy t to stdout binary")
	if err != nil || !strings.HasPrefix(data, "PGCOPY\n") {
		t.Fatalf("binary copy: %v, %q", err, data)
	}
	if got, err := sql(data, "-e", "create table u (a int, b text)", "-e", "copy u from stdin binary"); err != nil || got != "CREATE TABLE\nCOPY 2\n" {
		t.Errorf("binary copy: %v\n%s", err, got)
	}
	if got, err := sql("copy u from stdin (format binary);\n" + data); err != nil || got != "COPY 2\n" {
		t.Errorf("binary copy in a script: %v\n%s", err, got)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command(c.bin, "sql", "--insecure", "--host="+c.sql[0])
	cmd.Stdin = dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "reading statements: ") {
		t.Errorf("a script that cannot be read: %v\n%s", err, out)
	}
}

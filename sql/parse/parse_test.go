package parse

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// TestParse runs the golden files: parse (trees), format, error, template,
// normalize, mysql, split.
func TestParse(t *testing.T) {
	datadriven.Walk(t, "../../testdata/parse/golden", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return command(t, d)
		})
	})
}

func command(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "parse":
		return each(d.Input, Parse, func(s Statement) string { return Dump(s.Node) })
	case "format":
		return each(d.Input, Parse, formatted)
	case "statements":
		return each(d.Input, Parse, func(s Statement) string {
			return fmt.Sprintf("%d %s %q\n", s.Offset, s.Node.Tag(), s.Text)
		})
	case "error":
		if _, err := Parse(d.Input); err != nil {
			return describe(err)
		}
		return "no error"
	case "template":
		return templateCommand(d.Input)
	case "mysql":
		return each(d.Input, ParseMySQL, formatted)
	case "split":
		var b strings.Builder
		for st, err := range SplitMySQLDump(strings.NewReader(d.Input)) {
			if err != nil {
				b.WriteString(describe(err))
				continue
			}
			b.WriteString(formatted(st))
		}
		return b.String()
	case "normalize":
		return Normalize(d.Input)
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func each(sql string, parse func(string) ([]Statement, error), show func(Statement) string) string {
	all, err := parse(sql)
	if err != nil {
		return describe(err)
	}
	var b strings.Builder
	for _, s := range all {
		b.WriteString(show(s))
	}
	return b.String()
}

func formatted(s Statement) string {
	text, err := Format(s.Node)
	if err != nil {
		return describe(err)
	}
	return text + "\n"
}

func describe(err error) string {
	var te *types.Error
	if !errors.As(err, &te) {
		return "error without SQLSTATE: " + err.Error()
	}
	return fmt.Sprintf("%s at %d: %s\n", te.Code, te.Position, te.Message)
}

func templateCommand(sql string) string {
	key, lits, ok := Template(sql, nil, nil)
	if !ok {
		return "no template\n"
	}
	var b strings.Builder
	for _, c := range key {
		if c >= 1 && c <= 4 {
			fmt.Fprintf(&b, "«%s»", ast.LiteralClass(c))
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('\n')
	ts, ok, err := ParseTemplate(sql, lits)
	if err != nil {
		return b.String() + describe(err)
	}
	if !ok {
		return b.String() + "not usable\n"
	}
	for i, l := range lits {
		sign := ""
		if ts.Negated[i] {
			sign = " negated"
		}
		fmt.Fprintf(&b, "%d: %s%s\n", i, l.Key(sql), sign)
	}
	return b.String() + formatted(ts.Statement)
}

// corpus is what the properties below run over, and what fuzzing starts from.
func corpus(t testing.TB) []string {
	raw, err := os.ReadFile("../../testdata/parse/corpus.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n\n")
}

// TestTemplateRestores checks invariant 3 on the corpus.
func TestTemplateRestores(t *testing.T) {
	usable := 0
	for _, sql := range corpus(t) {
		if restores(t, sql) {
			usable++
		}
	}
	if usable < 20 {
		t.Fatalf("only %d statements of the corpus make a template", usable)
	}
}

// restores checks that a template with its literals put back is the tree of the
// statement, and so for a second statement whose literals differ.
func restores(t testing.TB, sql string) bool {
	_, lits, ok := Template(sql, nil, nil)
	if !ok {
		return false
	}
	ts, ok, err := ParseTemplate(sql, lits)
	if err != nil || !ok {
		return false
	}
	for _, other := range []string{sql, vary(sql, lits)} {
		key, otherLits, ok := Template(other, nil, nil)
		if first, _, _ := Template(sql, nil, nil); !ok || string(first) != string(key) {
			t.Fatalf("keys differ: %q and %q", sql, other)
		}
		want, err := Parse(other)
		if err != nil {
			t.Fatalf("%q parses, %q does not: %v", sql, other, err)
		}
		fresh, ok, err := ParseTemplate(sql, lits)
		if err != nil || !ok {
			t.Fatalf("%q made a template once only: %v", sql, err)
		}
		got := Restore(fresh.Node, other, otherLits, ts.Negated)
		clearLocations(got)
		clearLocations(want[0].Node)
		if !reflect.DeepEqual(got, want[0].Node) {
			t.Fatalf("%q:\n%s\nrestored as\n%s", other, Dump(want[0].Node), Dump(got))
		}
	}
	return true
}

// vary changes every literal within its class and length class.
func vary(sql string, lits []Literal) string {
	var b strings.Builder
	at := 0
	for _, l := range lits {
		b.WriteString(sql[at:l.Start])
		switch l.Class {
		case ast.ClassInt4:
			b.WriteString("7")
		case ast.ClassInt8:
			b.WriteString("5000000000")
		case ast.ClassNumeric:
			b.WriteString("00.125")
		default:
			b.WriteString("'it''s'")
		}
		at = l.End
	}
	return b.String() + sql[at:]
}

func clearLocations(n ast.Node) {
	ast.Walk(n, func(n ast.Node) bool {
		v := reflect.ValueOf(n).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Int {
				f.SetInt(0)
			}
		}
		return true
	})
}

// TestFormatRoundTrip: format, then parse, is the identity.
func TestFormatRoundTrip(t *testing.T) {
	for _, sql := range corpus(t) {
		all, err := Parse(sql)
		if err != nil {
			t.Fatalf("%q: %v", sql, err)
		}
		for _, s := range all {
			text, err := Format(s.Node)
			if err != nil {
				t.Fatalf("%q: %v", sql, err)
			}
			again, err := Parse(text)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q became %q: %v", sql, text, err)
			}
			clearLocations(s.Node)
			clearLocations(again[0].Node)
			if !reflect.DeepEqual(s.Node, again[0].Node) {
				t.Fatalf("%q became %q:\n%s\n%s", sql, text, Dump(s.Node), Dump(again[0].Node))
			}
		}
	}
}

func TestParseExpr(t *testing.T) {
	n, err := ParseExpr("a + 1 > 2 AND b IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	text, err := FormatExpr(n)
	if err != nil || text != "(a + 1) > 2 AND b IS NULL" {
		t.Fatalf("got %q, %v", text, err)
	}
	for _, bad := range []string{"", "1, 2", "1 FROM t", "1 AS x", "1; SELECT 2"} {
		if _, err := ParseExpr(bad); types.CodeOf(err) != types.CodeSyntaxError {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	var te *types.Error
	if _, err := ParseExpr("a + * b"); !errors.As(err, &te) || te.Position != 5 {
		t.Errorf("got %v", err)
	}
}

func TestParseOne(t *testing.T) {
	if _, ok, err := ParseOne(" -- nothing"); ok || err != nil {
		t.Errorf("empty: %v %v", ok, err)
	}
	if _, _, err := ParseOne("SELECT 1; SELECT 2"); types.CodeOf(err) != types.CodeSyntaxError {
		t.Errorf("two: %v", err)
	}
	if st, ok, err := ParseOne("SELECT 1;"); !ok || err != nil || st.Text != "SELECT 1" {
		t.Errorf("one: %+v %v %v", st, ok, err)
	}
}

// TestTemplateAllocates nothing into buffers that are large enough.
func TestTemplateAllocates(t *testing.T) {
	key, lits := make([]byte, 0, 256), make([]Literal, 0, 8)
	n := testing.AllocsPerRun(100, func() {
		if _, _, ok := Template(pgbenchSelect, key, lits); !ok {
			t.Fatal("no template")
		}
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

const pgbenchSelect = "SELECT abalance FROM pgbench_accounts WHERE aid = 312345;"

func BenchmarkTemplate(b *testing.B) {
	key, lits := make([]byte, 0, 256), make([]Literal, 0, 8)
	for b.Loop() {
		if _, _, ok := Template(pgbenchSelect, key[:0], lits[:0]); !ok {
			b.Fatal("no template")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(pgbenchSelect); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	sql := "SELECT " + strings.Repeat("f(a, 'text') + 1, ", 1000) + "2"
	b.SetBytes(int64(len(sql)))
	for b.Loop() {
		if err := guardPostgres(sql); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzGuard: no text crashes the parser, and every error carries a SQLSTATE.
func FuzzGuard(f *testing.F) {
	for _, sql := range corpus(f) {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		_, err := Parse(sql)
		var te *types.Error
		if err != nil && (!errors.As(err, &te) || len(te.Code) != 5) {
			t.Fatalf("%q: %v", sql, err)
		}
		if n := Normalize(sql); len(n) > maxNormalized {
			t.Fatalf("normalized to %d bytes", len(n))
		}
	})
}

// FuzzTemplate: a template always restores to the statement's own tree.
func FuzzTemplate(f *testing.F) {
	for _, sql := range corpus(f) {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) { restores(t, sql) })
}

// FuzzMySQL: no text crashes the MySQL dialect, neither as a statement nor as a
// dump, and what it makes can be printed.
func FuzzMySQL(f *testing.F) {
	raw, err := os.ReadFile("../../testdata/parse/golden/mysql")
	if err != nil {
		f.Fatal(err)
	}
	for _, test := range strings.Split(string(raw), "mysql\n") {
		sql, _, _ := strings.Cut(test, "\n----")
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		all, err := ParseMySQL(sql)
		var te *types.Error
		if err != nil && (!errors.As(err, &te) || len(te.Code) != 5) {
			t.Fatalf("%.200q: %.200v", sql, err)
		}
		for _, st := range all {
			if st.Node == nil || reflect.ValueOf(st.Node).IsNil() {
				t.Fatalf("%.200q: no tree", sql)
			}
			Dump(st.Node)
		}
		for range SplitMySQLDump(strings.NewReader(sql)) {
			continue
		}
	})
}

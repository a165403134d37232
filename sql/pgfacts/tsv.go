package pgfacts

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/pamirdb/pamir/sql/types"
)

//go:embed tsv/*.tsv
var files embed.FS

// Column is a column of a dumped catalog table.
type Column struct {
	Name string
	Type types.OID
}

// Table is a dumped catalog table: raw rows as text, a nil field is NULL.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]Field
}

// Field is one value of a raw row in its text form.
type Field struct {
	Text string
	Null bool
}

type rawTable struct {
	once  sync.Once
	lines []string
	cols  []Column
	table *Table
	full  sync.Once
}

var raw sync.Map // name -> *rawTable

// lines returns the rows of a table as unparsed lines.
func lines(name string) *rawTable {
	v, _ := raw.LoadOrStore(name, &rawTable{})
	t := v.(*rawTable)
	t.once.Do(func() {
		b, err := files.ReadFile("tsv/" + name + ".tsv")
		if err != nil {
			return
		}
		s := strings.TrimSuffix(string(b), "\n")
		head, rest, _ := strings.Cut(s, "\n")
		for _, c := range strings.Split(head, "\t") {
			n, oid, _ := strings.Cut(c, ":")
			t.cols = append(t.cols, Column{n, types.OID(mustUint(oid))})
		}
		t.lines = strings.Split(rest, "\n")
	})
	return t
}

// Rows returns the raw rows of a catalog table such as "pg_proc", for the
// built-in part of pg_catalog; ok is false if it is not among the facts.
func Rows(name string) (t *Table, ok bool) {
	r := lines(name)
	if r.cols == nil {
		return nil, false
	}
	r.full.Do(func() {
		t := &Table{Name: name, Columns: r.cols, Rows: make([][]Field, len(r.lines))}
		flat := make([]Field, len(r.lines)*len(r.cols))
		for i, l := range r.lines {
			row := flat[i*len(r.cols) : (i+1)*len(r.cols) : (i+1)*len(r.cols)]
			for j := range row {
				var f string
				f, l, _ = strings.Cut(l, "\t")
				row[j] = decodeField(f)
			}
			t.Rows[i] = row
		}
		r.table = t
	})
	return r.table, true
}

func decodeField(f string) Field {
	if f == `\N` {
		return Field{Null: true}
	}
	return Field{Text: unescape(f)}
}

// unescape undoes COPY's backslash sequences.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func mustUint(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("pgfacts: %q is not a number", s))
	}
	return n
}

// rowReader takes a line apart field by field.
type rowReader struct{ rest string }

func (r *rowReader) text() string {
	f, rest, _ := strings.Cut(r.rest, "\t")
	r.rest = rest
	if f == `\N` {
		return ""
	}
	return unescape(f)
}

func (r *rowReader) skip(n int) {
	for ; n > 0; n-- {
		_, r.rest, _ = strings.Cut(r.rest, "\t")
	}
}

func (r *rowReader) oid() types.OID { return types.OID(r.int()) }

func (r *rowReader) int() int {
	f, rest, _ := strings.Cut(r.rest, "\t")
	r.rest = rest
	n, neg := 0, false
	for i := 0; i < len(f); i++ {
		if f[i] == '-' {
			neg = true
			continue
		}
		n = n*10 + int(f[i]-'0')
	}
	if neg {
		return -n
	}
	return n
}

func (r *rowReader) bool() bool { return r.text() == "t" }

func (r *rowReader) char() byte {
	if s := r.text(); s != "" {
		return s[0]
	}
	return 0
}

// oids reads an oidvector ("1 2 3") or an array ("{1,2,3}").
func (r *rowReader) oids() []types.OID {
	s := strings.Trim(r.text(), "{}")
	if s == "" {
		return nil
	}
	f := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' })
	out := make([]types.OID, len(f))
	for i := range f {
		out[i] = types.OID(mustUint(f[i]))
	}
	return out
}

// names reads a text array whose elements need no more than plain quotes.
func (r *rowReader) names() []string {
	s := r.text()
	if len(s) < 2 {
		return nil
	}
	f := strings.Split(s[1:len(s)-1], ",")
	for i := range f {
		f[i] = strings.Trim(f[i], `"`)
	}
	return f
}

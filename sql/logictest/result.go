package logictest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// Result is what one statement of a string gives.
type Result struct {
	// Columns are "name:type"; nil for a statement without rows.
	Columns []string
	// Rows are printed rows.
	Rows []string
	Tag  string
}

// Answer is what a string of statements gives.
type Answer struct {
	Notices []string
	Results []Result
	Err     *types.Error
}

// column prints a result column: its name and its type with modifiers.
func column(name string, t types.Type) string {
	typ := t.String()
	if t.OID >= 16384 {
		typ = "defined"
	}
	return name + ":" + typ
}

// row prints a row; nil is NULL. Values are separated by bars; what could be
// taken for something else is escaped.
func row(values []*string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(" | ")
		}
		switch {
		case v == nil:
			b.WriteString("NULL")
		case *v == "":
			b.WriteString("''")
		case *v == "NULL":
			b.WriteString("'NULL'")
		default:
			b.WriteString(escape(*v))
		}
	}
	return b.String()
}

// escape makes line ends and blanks at the ends visible.
func escape(s string) string {
	s = strings.NewReplacer("\n", "\\n", "\r", "\\r", "\t", "\\t").Replace(s)
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return "'" + s + "'"
	}
	return s
}

// args returns what stands behind the directive for an answer, and whether it is
// a query's.
func (a *Answer) directive() (kind Kind, args string) {
	if a.Err != nil && len(a.Results) == 0 {
		args = "error " + a.Err.Code
		if a.Err.Position > 0 {
			args += fmt.Sprintf(" at %d", a.Err.Position)
		}
		return Statement, args
	}
	if a.Err == nil && len(a.Results) == 1 && a.Results[0].Columns == nil {
		return Statement, strings.TrimRight("ok "+a.Results[0].Tag, " ")
	}
	return Query, ""
}

// lines prints an answer. Rows are sorted within their result if sorted.
func (a *Answer) lines(sorted bool) []string {
	out := slices.Clone(a.Notices)
	plain := a.Err == nil && len(a.Results) == 1
	for _, r := range a.Results {
		if r.Columns != nil {
			out = append(out, "["+strings.Join(r.Columns, " | ")+"]")
		}
		rows := r.Rows
		if sorted {
			rows = slices.Sorted(slices.Values(rows))
		}
		for _, s := range rows {
			if s == "" {
				s = "()"
			}
			out = append(out, s)
		}
		implied := r.Columns != nil && r.Tag == fmt.Sprintf("SELECT %d", len(r.Rows)) || r.Columns == nil
		if !plain || !implied {
			out = append(out, "-- "+r.Tag)
		}
	}
	return append(out, a.errorLines()...)
}

func (a *Answer) errorLines() []string {
	if a.Err == nil {
		return nil
	}
	message := a.Err.Message
	if len(a.Results) > 0 {
		message = "ERROR " + a.Err.Code + ": " + message
	}
	out := strings.Split(message, "\n")
	if a.Err.Detail != "" {
		out = append(out, "DETAIL: "+escape(a.Err.Detail))
	}
	if a.Err.Hint != "" {
		out = append(out, "HINT: "+escape(a.Err.Hint))
	}
	return out
}

// Set makes an answer the record's expectation.
func (r *Record) Set(a *Answer) {
	was := r.Kind
	kind, args := a.directive()
	sorted := r.RowSort()
	if was == Raw {
		sorted = kind == Query && len(a.Results) == 1 && len(a.Results[0].Rows) > 1 && !ordered(r.SQL)
	}
	if was != Await {
		r.Kind = kind
	} else if kind == Query {
		args = "query"
	}
	if sorted && kind == Query {
		args = "rowsort"
	}
	r.Args = args
	r.Want = a.lines(sorted)
}

// Check returns what is wrong about an answer, or "".
func (r *Record) Check(a *Answer) string {
	got := *r
	got.Set(a)
	want := *r
	if r.Kind == Raw {
		return "no answer is recorded: run with -oracle"
	}
	if got.Kind == want.Kind && got.Args == want.Args && slices.Equal(got.Want, want.Want) {
		return ""
	}
	return fmt.Sprintf("%s\n--- want: %s\n%s\n--- got: %s\n%s", r.SQL, want.Args, strings.Join(want.Want, "\n"), got.Args, strings.Join(got.Want, "\n"))
}

// ordered reports whether a query has an ORDER BY outside parentheses.
func ordered(sql string) bool {
	depth := 0
	low := strings.ToLower(sql)
	for i := range low {
		switch low[i] {
		case '(':
			depth++
		case ')':
			depth--
		case 'o':
			if depth == 0 && strings.HasPrefix(strings.Join(strings.Fields(low[i:min(len(low), i+20)]), " "), "order by") {
				return true
			}
		}
	}
	return false
}

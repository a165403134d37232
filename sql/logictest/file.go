package logictest

import (
	"fmt"
	"strings"
)

// Kind is what a record does.
type Kind int

// The kinds of records.
const (
	// Raw is SQL whose answer is not known yet.
	Raw Kind = iota
	// Statement gives a tag or an error, Query rows.
	Statement
	Query
	// UseSession goes on with another session.
	UseSession
	// Async starts a statement, Await takes its answer.
	Async
	Await
)

// Record is one step of a file.
type Record struct {
	Kind Kind
	// Line is where the record's directive stands, from 1.
	Line int
	// Comments are the lines above it, with #, and the empty lines between them.
	Comments []string
	// Differs and PamirOnly say why the answer is not PostgreSQL's.
	Differs, PamirOnly string
	// Only are the variants that the record is for; none means all.
	Only []string
	// Session is the session that UseSession and Await name.
	Session string
	SQL     string
	// Copy is what a COPY FROM STDIN reads.
	Copy    string
	HasCopy bool
	// Args are the words behind the directive: "ok INSERT 0 1", "error 23505 at 8",
	// "rowsort".
	Args string
	// Want is what stands below the dashes.
	Want []string
}

// RowSort reports whether the order of rows does not matter.
func (r *Record) RowSort() bool { return r.Kind == Query && r.Args == "rowsort" }

// ForVariant reports whether the record is run in a variant.
func (r *Record) ForVariant(name string) bool {
	for _, o := range r.Only {
		if o == name {
			return true
		}
	}
	return len(r.Only) == 0
}

const (
	dashes  = "----"
	copyTag = "<<<<"
)

// Parse reads a file.
func Parse(text string) ([]*Record, error) {
	p := &parser{lines: strings.Split(text, "\n")}
	var records []*Record
	for {
		more, err := p.records()
		if err != nil {
			return nil, err
		}
		if more == nil {
			return records, nil
		}
		records = append(records, more...)
	}
}

type parser struct {
	lines []string
	at    int
}

// records reads the next record, or the several ones of a raw block; nil at the end.
func (p *parser) records() ([]*Record, error) {
	r := &Record{}
	for {
		if p.at >= len(p.lines) {
			if len(r.Comments) > 0 {
				r.Line = p.at
				return []*Record{r}, nil
			}
			return nil, nil
		}
		line := p.lines[p.at]
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" && len(r.Comments) > 0, strings.HasPrefix(line, "#"):
			r.Comments = append(r.Comments, line)
		case line == "":
		case word == "differs":
			r.Differs = rest
		case word == "pamir-only":
			r.PamirOnly = rest
		case word == "only":
			r.Only = strings.Fields(rest)
		default:
			r.Line = p.at + 1
			return p.body(r, word, rest)
		}
		p.at++
	}
}

// body reads a record from its directive on.
func (p *parser) body(r *Record, word, rest string) ([]*Record, error) {
	directives := map[string]Kind{"statement": Statement, "query": Query, "session": UseSession, "async": Async, "await": Await}
	kind, ok := directives[word]
	if !ok {
		return p.raw(r)
	}
	r.Kind, r.Args = kind, rest
	p.at++
	if kind == UseSession || kind == Await {
		r.Session, r.Args, _ = strings.Cut(rest, " ")
	}
	if kind == UseSession {
		if r.Session == "" {
			return nil, fmt.Errorf("line %d: session needs a name", r.Line)
		}
		return []*Record{r}, nil
	}
	part := &r.SQL
	var lines []string
	close := func() { *part, lines = strings.Join(lines, "\n"), nil }
	for ; p.at < len(p.lines) && p.lines[p.at] != ""; p.at++ {
		switch line := p.lines[p.at]; {
		case line == dashes && part != nil:
			close()
			part = nil
		case line == copyTag && part == &r.SQL:
			close()
			part, r.HasCopy = &r.Copy, true
		case part == nil:
			r.Want = append(r.Want, line)
		default:
			lines = append(lines, line)
		}
	}
	if part != nil {
		close()
	}
	return []*Record{r}, nil
}

// raw reads statements that nothing is known of.
func (p *parser) raw(first *Record) ([]*Record, error) {
	records := []*Record{first}
	r := first
	var lines []string
	for ; p.at < len(p.lines) && p.lines[p.at] != ""; p.at++ {
		if r == nil {
			r = &Record{Line: p.at + 1, Differs: first.Differs, PamirOnly: first.PamirOnly, Only: first.Only}
			records = append(records, r)
		}
		line := p.lines[p.at]
		lines = append(lines, line)
		if strings.HasSuffix(line, ";") {
			r.SQL = strings.TrimSuffix(strings.Join(lines, "\n"), ";")
			r, lines = nil, nil
		}
	}
	if r != nil {
		r.SQL = strings.Join(lines, "\n")
	}
	return records, nil
}

// Format prints records as a file.
func Format(records []*Record) string {
	var b strings.Builder
	for _, r := range records {
		r.format(&b)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (r *Record) format(b *strings.Builder) {
	line := func(words ...string) {
		b.WriteString(strings.TrimRight(strings.Join(words, " "), " "))
		b.WriteByte('\n')
	}
	for _, c := range r.Comments {
		line(c)
	}
	for _, a := range []struct{ word, rest string }{{"differs", r.Differs}, {"pamir-only", r.PamirOnly}, {"only", strings.Join(r.Only, " ")}} {
		if a.rest != "" {
			line(a.word, a.rest)
		}
	}
	switch r.Kind {
	case Raw:
		if r.SQL == "" {
			return
		}
		line(r.SQL + ";")
		line()
		return
	case Statement:
		line("statement", r.Args)
	case Query:
		line("query", r.Args)
	case UseSession:
		line("session", r.Session)
		line()
		return
	case Async:
		line("async", r.Args)
	case Await:
		line("await", r.Session, r.Args)
	}
	if r.SQL != "" {
		b.WriteString(r.SQL + "\n")
	}
	if r.HasCopy {
		b.WriteString(copyTag + "\n")
		if r.Copy != "" {
			b.WriteString(r.Copy + "\n")
		}
	}
	if len(r.Want) > 0 {
		b.WriteString(dashes + "\n")
		for _, w := range r.Want {
			b.WriteString(w + "\n")
		}
	}
	b.WriteByte('\n')
}

package parse

import "strings"

type mysqlKind uint8

const (
	mysqlWord   mysqlKind = iota // a bare word
	mysqlName                    // a name in backticks
	mysqlText                    // a string
	mysqlNumber                  // a number
	mysqlSymbol                  // one character of anything else
)

type mysqlToken struct {
	kind       mysqlKind
	start, end int
	text       string // words and names in lower case, strings unescaped
}

// mysqlTokens reads a statement word by word.
type mysqlTokens struct {
	sql      string
	tokens   []mysqlToken
	i        int
	lastName string   // the last part of the table name read last
	keyed    []string // the columns in the keys of the statement's table
	err      error
}

func newMySQLTokens(sql string) *mysqlTokens {
	p := &mysqlTokens{sql: sql}
	for i := 0; i < len(sql); {
		if isBlank(sql[i]) {
			i++
			continue
		}
		t := mysqlToken{start: i}
		switch c := sql[i]; {
		case c == '`':
			i = skipQuoted(sql, i)
			t.kind, t.text = mysqlName, lower(strings.ReplaceAll(unquoted(sql[t.start:i]), "``", "`"))
		case c == '\'' || c == '"':
			i = skipEscapeString(sql, i)
			t.kind, t.text = mysqlText, unescapeMySQL(sql[t.start:i])
		case isIdentStart(c):
			i = skipIdent(sql, i)
			t.kind, t.text = mysqlWord, lower(sql[t.start:i])
		case isDigit(c):
			i = skipNumber(sql, i)
			t.kind, t.text = mysqlNumber, sql[t.start:i]
		default:
			i++
			t.kind, t.text = mysqlSymbol, sql[t.start:i]
		}
		t.end = i
		p.tokens = append(p.tokens, t)
		if len(p.tokens) == 1 && t.kind == mysqlWord && !commandWords[t.text] {
			return p // the grammar's business: do not split a long INSERT
		}
	}
	return p
}

var commandWords = set("create alter drop truncate show describe desc use start savepoint rollback release set lock unlock explain")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// unquoted takes the quotes off, of which the second may be missing.
func unquoted(s string) string {
	if len(s) > 1 && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s[1:]
}

// unescapeMySQL returns what a string in quotes means.
func unescapeMySQL(s string) string {
	quote := s[0]
	s = unquoted(s)
	if strings.IndexByte(s, '\\') < 0 && strings.IndexByte(s, quote) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case c == '\\' && i+1 < len(s):
			i++
			c = s[i]
			if at := strings.IndexByte("0bnrtZ", c); at >= 0 {
				c = "\x00\b\n\r\t\x1a"[at]
			} else if c == '%' || c == '_' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// keepWildcards doubles the backslash of \% and \_ in strings: those stand for
// both characters, for a pattern to read, while the grammar would drop the first.
func keepWildcards(text string) string {
	if !strings.Contains(text, `\%`) && !strings.Contains(text, `\_`) {
		return text
	}
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		b.WriteByte(c)
		switch {
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case quote == 0 && (c == '#' || strings.HasPrefix(text[i:], "-- ") || strings.HasPrefix(text[i:], "/*")):
			end := commentEnd(text, i)
			b.WriteString(text[i+1 : end])
			i = end - 1
		case c == quote:
			quote = 0 // a doubled quote begins the string again
		case c == '\\' && (quote == '\'' || quote == '"') && i+1 < len(text):
			i++
			if text[i] == '%' || text[i] == '_' {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// commentEnd returns the place behind the comment that begins at i. A
// conditional comment holds code: only its head is passed.
func commentEnd(text string, i int) int {
	end := "\n"
	if text[i] == '/' {
		if end = "*/"; strings.HasPrefix(text[i:], "/*!") {
			return i + len("/*!")
		}
	}
	if n := strings.Index(text[i+1:], end); n >= 0 {
		return i + 1 + n + len(end)
	}
	return len(text)
}

// eat passes the given words, all or none.
func (p *mysqlTokens) eat(words ...string) bool {
	for k, w := range words {
		if p.i+k >= len(p.tokens) || p.tokens[p.i+k].kind != mysqlWord || p.tokens[p.i+k].text != w {
			return false
		}
	}
	p.i += len(words)
	return true
}

func (p *mysqlTokens) peekWord(w string) bool {
	return p.i < len(p.tokens) && p.tokens[p.i].kind == mysqlWord && p.tokens[p.i].text == w
}

func (p *mysqlTokens) symbol(s string) bool {
	if p.i < len(p.tokens) && p.tokens[p.i].kind == mysqlSymbol && p.tokens[p.i].text == s {
		p.i++
		return true
	}
	return false
}

// name reads a name, in lower case and without quotes.
func (p *mysqlTokens) name() string {
	if p.i < len(p.tokens) {
		switch t := p.tokens[p.i]; t.kind {
		case mysqlWord, mysqlName:
			p.i++
			return t.text
		}
	}
	p.fail()
	return "x"
}

// ident reads a name and quotes it for PostgreSQL.
func (p *mysqlTokens) ident() string { return quoteName(p.name()) }

func (p *mysqlTokens) tableName() string {
	p.lastName = p.name()
	out := quoteName(p.lastName)
	if p.symbol(".") {
		p.lastName = p.name()
		out += "." + quoteName(p.lastName)
	}
	return out
}

// text reads a string, a number or a word.
func (p *mysqlTokens) text() string {
	if p.i < len(p.tokens) && p.tokens[p.i].kind != mysqlSymbol {
		p.i++
		return p.tokens[p.i-1].text
	}
	p.fail()
	return ""
}

func (p *mysqlTokens) fail() {
	if p.err == nil {
		p.err = p.unexpected()
	}
}

func (p *mysqlTokens) end() error {
	if p.err == nil && p.i < len(p.tokens) {
		p.err = p.unexpected()
	}
	return p.err
}

func (p *mysqlTokens) rest() string {
	if p.i >= len(p.tokens) {
		return ""
	}
	return p.sql[p.tokens[p.i].start:]
}

// parens passes a balanced pair of parentheses and returns what is between.
func (p *mysqlTokens) parens() string {
	if !p.symbol("(") {
		p.fail()
		return ""
	}
	start, depth := p.tokens[p.i-1].end, 1
	for p.i < len(p.tokens) {
		switch t := p.tokens[p.i]; {
		case t.kind != mysqlSymbol:
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		}
		p.i++
		if depth == 0 {
			return p.sql[start:p.tokens[p.i-1].start]
		}
	}
	p.fail()
	return ""
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

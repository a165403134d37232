package parse

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// maxNormalized bounds a normalized text: statistics keep many of them.
const maxNormalized = 4096

// Normalize returns a statement's text for statistics: every literal is a
// parameter, blanks and comments are one blank, words outside quotes are in
// lower case, and lists of parameters are cut short. It accepts any text.
func Normalize(sql string) string {
	n := normalizer{sql: sql, param: highestParam(sql)}
	for n.i < len(sql) && n.out.Len() < maxNormalized {
		n.token()
	}
	text := collapseLists(strings.TrimRight(n.out.String(), " ;"))
	if len(text) > maxNormalized {
		text = text[:maxNormalized]
	}
	return strings.ToValidUTF8(text, "?")
}

// Fingerprint identifies a normalized text.
func Fingerprint(normalized string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(normalized)) // never fails
	return h.Sum64()
}

type normalizer struct {
	sql   string
	i     int
	param int
	out   strings.Builder
	blank bool // a blank is due before the next token
}

// highestParam finds the parameters that a text has already, so that those made
// of literals come after.
func highestParam(sql string) int {
	highest := 0
	for i := 0; i < len(sql); i++ {
		if sql[i] != '$' {
			continue
		}
		end := i + 1
		for end < len(sql) && isDigit(sql[end]) && end-i < 6 {
			end++
		}
		if v, err := strconv.Atoi(sql[i+1 : end]); err == nil {
			highest = max(highest, v)
		}
		i = end - 1
	}
	return highest
}

func (n *normalizer) emit(s string) {
	if n.blank && n.out.Len() > 0 {
		n.out.WriteByte(' ')
	}
	n.blank = false
	n.out.WriteString(s)
}

func (n *normalizer) literal() {
	n.param++
	n.emit("$" + strconv.Itoa(n.param))
}

func (n *normalizer) token() {
	sql, start := n.sql, n.i
	switch c := sql[start]; {
	case isBlank(c):
		n.i, n.blank = start+1, true
	case strings.HasPrefix(sql[start:], "--"):
		n.i, n.blank = skipLineComment(sql, start), true
	case strings.HasPrefix(sql[start:], "/*"):
		n.i, _, _ = skipBlockComment(sql, start)
		n.blank = true
	case isIdentStart(c):
		n.identifier()
	case isDigit(c), c == '.' && start+1 < len(sql) && isDigit(sql[start+1]):
		n.i = skipNumber(sql, start)
		n.literal()
	case c == '\'':
		n.i = skipQuoted(sql, start)
		n.literal()
	case c == '$':
		n.i = skipDollar(sql, start)
		if n.i > start+1 && !isDigit(sql[start+1]) {
			n.literal()
			return
		}
		n.emit(sql[start:n.i])
	case c == '"':
		n.i = skipQuoted(sql, start)
		n.emit(sql[start:n.i])
	default:
		n.i++
		n.emit(sql[start:n.i])
	}
}

func (n *normalizer) identifier() {
	start := n.i
	n.i = skipIdent(n.sql, start)
	if n.i-start == 1 && n.i < len(n.sql) && n.sql[n.i] == '\'' {
		switch n.sql[start] | 0x20 {
		case 'e':
			n.i = skipEscapeString(n.sql, n.i)
			n.literal()
			return
		case 'b', 'x', 'n':
			n.i = skipQuoted(n.sql, n.i)
			n.literal()
			return
		}
	}
	n.emit(lower(n.sql[start:n.i]))
}

// lower folds what PostgreSQL folds in an identifier: ASCII letters.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}

func skipNumber(s string, i int) int {
	for i < len(s) && (isIdent(s[i]) || s[i] == '.' || (s[i] == '+' || s[i] == '-') && s[i-1]|0x20 == 'e') {
		i++
	}
	return i
}

// collapseLists cuts ($1, $2, $3) to ($1, ...): statements that differ in the
// length of a list are one statement to statistics.
func collapseLists(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		end, cut := listOfParams(text, i)
		if end > 0 {
			b.WriteString(text[i:cut])
			b.WriteString(", ...)")
			i = end
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}

// listOfParams recognizes "(" param { "," param } ")" with two parameters or
// more at i; cut is where the first ends.
func listOfParams(text string, i int) (end, cut int) {
	if text[i] != '(' {
		return 0, 0
	}
	count := 0
	for i++; i < len(text); i++ {
		for i < len(text) && text[i] == ' ' {
			i++
		}
		digits := i + 1
		if i >= len(text) || text[i] != '$' {
			return 0, 0
		}
		for digits < len(text) && isDigit(text[digits]) {
			digits++
		}
		if digits == i+1 || digits >= len(text) {
			return 0, 0
		}
		count++
		if count == 1 {
			cut = digits
		}
		i = digits
		if text[i] == ')' && count > 1 {
			return i + 1, cut
		}
		if text[i] != ',' {
			return 0, 0
		}
	}
	return 0, 0
}

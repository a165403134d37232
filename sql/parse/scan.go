package parse

import "strings"

// Character classes and skippers that the guard, the template lexer and the
// dump splitter share. All take a position and return the one after, never
// beyond the end of the text, however the text is broken.

const (
	classBlank = 1 << iota
	classIdentStart
	classIdent
	classDigit
	classOperator
)

var classes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			t[c] = classBlank
		case c >= '0' && c <= '9':
			t[c] = classDigit | classIdent
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= 0x80:
			t[c] = classIdentStart | classIdent
		case c == '$':
			t[c] = classIdent
		case strings.IndexByte("+-*/<>=~!@#%^&|`?:", byte(c)) >= 0:
			t[c] = classOperator
		}
	}
	return t
}()

func isBlank(c byte) bool      { return classes[c]&classBlank != 0 }
func isIdentStart(c byte) bool { return classes[c]&classIdentStart != 0 }
func isIdent(c byte) bool      { return classes[c]&classIdent != 0 }
func isDigit(c byte) bool      { return classes[c]&classDigit != 0 }
func isOperator(c byte) bool   { return classes[c]&classOperator != 0 }

func skipIdent(s string, i int) int {
	for i < len(s) && isIdent(s[i]) {
		i++
	}
	return i
}

// skipQuoted passes a string or identifier in the quotes that it begins with;
// doubled quotes are part of it.
func skipQuoted(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); {
		at := strings.IndexByte(s[i:], quote)
		if at < 0 {
			return len(s)
		}
		i += at + 1
		if i >= len(s) || s[i] != quote {
			return i
		}
		i++
	}
	return len(s)
}

// skipEscapeString passes a string in which backslashes escape.
func skipEscapeString(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			if i+1 >= len(s) || s[i+1] != quote {
				return i + 1
			}
			i++
		}
	}
	return len(s)
}

// skipDollar passes a dollar-quoted string, or a parameter, or a lone dollar.
func skipDollar(s string, i int) int {
	end := i + 1
	if end < len(s) && isDigit(s[end]) {
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		return end
	}
	for end < len(s) && s[end] != '$' && isIdent(s[end]) {
		end++
	}
	if end >= len(s) || s[end] != '$' {
		return i + 1
	}
	tag := s[i : end+1]
	at := strings.Index(s[end+1:], tag)
	if at < 0 {
		return len(s)
	}
	return end + 1 + at + len(tag)
}

func skipLineComment(s string, i int) int {
	if at := strings.IndexAny(s[i:], "\r\n"); at >= 0 {
		return i + at
	}
	return len(s)
}

// skipBlockComment passes a comment with the comments nested in it and tells
// how deep they go, and whether its end is there.
func skipBlockComment(s string, i int) (next, deepest int, closed bool) {
	depth := 0
	for i+1 < len(s) {
		switch {
		case s[i] == '/' && s[i+1] == '*':
			depth++
			deepest = max(deepest, depth)
			i += 2
		case s[i] == '*' && s[i+1] == '/':
			depth--
			i += 2
			if depth == 0 {
				return i, deepest, true
			}
		default:
			i++
		}
	}
	return len(s), deepest, false
}

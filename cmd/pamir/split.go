package main

import "strings"

// splitter divides what is typed into statements at the semicolons that are not
// part of a string, a name, a comment or parentheses, as psql does.
type splitter struct {
	text   strings.Builder
	inside byte   // what the end of the last line is in: ' e(scapes) " $ or * for a comment; 0
	tag    string // that ends a dollar-quoted string
	depth  int    // of comments
	parens int
	begun  bool // something but blanks and comments has come
}

// feed takes a line and returns the statements that it completes.
func (s *splitter) feed(line string) []string {
	line += "\n"
	var done []string
	start := 0
	for i := 0; i < len(line); {
		if s.inside != 0 {
			i = s.skip(line, i)
			continue
		}
		n := s.token(line, i)
		if n == 0 { // a semicolon that ends
			s.text.WriteString(line[start : i+1])
			if s.begun {
				done = append(done, strings.TrimSpace(s.text.String()))
			}
			*s = splitter{}
			i++
			start = i
			continue
		}
		i += n
	}
	if s.text.WriteString(line[start:]); !s.pending() {
		*s = splitter{}
	}
	return done
}

// pending tells whether a statement has begun and not ended.
func (s *splitter) pending() bool { return s.begun || s.inside != 0 }

// rest returns what has begun and forgets it: "" for nothing.
func (s *splitter) rest() string {
	text := ""
	if s.begun {
		text = strings.TrimSpace(s.text.String())
	}
	*s = splitter{}
	return text
}

// token looks at what begins at i outside of everything, and returns its length;
// 0 for the end of a statement.
func (s *splitter) token(line string, i int) int {
	rest := line[i:]
	switch c := rest[0]; {
	case c == ';' && s.parens == 0:
		return 0
	case strings.HasPrefix(rest, "--"):
		return len(rest)
	case strings.HasPrefix(rest, "/*"):
		s.inside, s.depth = '*', 1
		return 2
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return 1
	default:
		s.begun = true
		switch c {
		case '\'':
			s.inside = '\''
			if i > 0 && (line[i-1] == 'e' || line[i-1] == 'E') && (i == 1 || !wordByte(line[i-2])) {
				s.inside = 'e'
			}
		case '"':
			s.inside = '"'
		case '(':
			s.parens++
		case ')':
			s.parens = max(s.parens-1, 0)
		case '$':
			if tag := dollarTag(rest); tag != "" && (i == 0 || !wordByte(line[i-1])) {
				s.inside, s.tag = '$', tag
				return len(tag)
			}
		}
		return 1
	}
}

// skip returns where what the text is inside of ends, or the line.
func (s *splitter) skip(line string, i int) int {
	rest := line[i:]
	switch s.inside {
	case '*':
		switch {
		case strings.HasPrefix(rest, "/*"):
			s.depth++
			return i + 2
		case strings.HasPrefix(rest, "*/"):
			if s.depth--; s.depth == 0 {
				s.inside = 0
			}
			return i + 2
		}
		return i + 1
	case '$':
		n := strings.Index(rest, s.tag)
		if n < 0 {
			return len(line)
		}
		s.inside = 0
		return i + n + len(s.tag)
	case 'e':
		if rest[0] == '\\' {
			return min(i+2, len(line))
		}
	}
	// A doubled quote ends a string and begins another, which comes to the same.
	if q := s.inside; rest[0] == q || q == 'e' && rest[0] == '\'' {
		if s.inside = 0; q == 'e' && len(rest) > 1 && rest[1] == '\'' {
			s.inside = 'e'
			return i + 2
		}
	}
	return i + 1
}

func wordByte(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// dollarTag returns the $tag$ that s begins with, "" for none.
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			return s[:i+1]
		case !wordByte(c) || i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}

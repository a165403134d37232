package types

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// pathToken is a token of a jsonpath.
type pathToken struct {
	// kind is i for an identifier, k for a key word, s for a string, v for a
	// variable, n for a number, o for an operator, 0 at the end.
	kind byte
	text string // operators and key words in their own spelling; else the value
	raw  string // as it stands in the input
}

// pathKeywords are the words with a meaning; true says that only lower case counts.
var pathKeywords = map[string]bool{"is": false, "to": false, "abs": false, "lax": false, "flag": false, "last": false, "null": true,
	"size": false, "true": true, "type": false, "with": false, "false": true, "floor": false, "double": false, "exists": false,
	"starts": false, "strict": false, "ceiling": false, "unknown": false, "datetime": false, "keyvalue": false, "like_regex": false}

const pathSpecial = "?%$.[]{}()|&!=<>@#,*:-+/"

func isPathSpace(c byte) bool { return strings.IndexByte(" \t\n\r\f", c) >= 0 }

// isPathOther reports whether a byte can be part of an unquoted word.
func isPathOther(c byte) bool {
	return !isPathSpace(c) && c != '"' && c != '\\' && strings.IndexByte(pathSpecial, c) < 0
}

// pathScanner cuts a jsonpath into tokens.
type pathScanner struct {
	s   string
	pos int
}

// pathError is a syntax error at a piece of the input; "" is its end.
func pathError(what, near string) error {
	if near == "" {
		return Errorf(CodeSyntaxError, "%s at end of jsonpath input", what)
	}
	return Errorf(CodeSyntaxError, "%s at or near \"%s\" of jsonpath input", what, near)
}

func (p *pathScanner) next() (pathToken, error) {
	if err := p.skip(); err != nil {
		return pathToken{}, err
	}
	if p.pos >= len(p.s) {
		return pathToken{}, nil
	}
	start, c := p.pos, p.s[p.pos]
	rest := p.s[p.pos:]
	switch {
	case c == '"':
		v, err := p.quoted()
		return pathToken{'s', v, p.s[start:p.pos]}, err
	case strings.HasPrefix(rest, `$"`):
		p.pos++
		v, err := p.quoted()
		return pathToken{'v', v, p.s[start:p.pos]}, err
	case c == '$' && len(rest) > 1 && isPathOther(rest[1]):
		for p.pos++; p.pos < len(p.s) && isPathOther(p.s[p.pos]); p.pos++ {
		}
		return pathToken{'v', p.s[start+1 : p.pos], p.s[start:p.pos]}, nil
	case c >= '0' && c <= '9' || c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return p.number()
	case strings.IndexByte(pathSpecial, c) >= 0:
		n := 1
		for _, op := range []string{"&&", "||", "**", "<=", "==", "<>", "!=", ">="} {
			if strings.HasPrefix(rest, op) {
				n = 2
			}
		}
		p.pos += n
		op := rest[:n]
		if op == "<>" {
			op = "!="
		}
		return pathToken{'o', op, rest[:n]}, nil
	}
	return p.word()
}

// skip passes blanks and comments.
func (p *pathScanner) skip() error {
	for p.pos < len(p.s) {
		switch {
		case isPathSpace(p.s[p.pos]):
			p.pos++
		case strings.HasPrefix(p.s[p.pos:], "/*"):
			end := strings.Index(p.s[p.pos+2:], "*/")
			if end < 0 {
				return pathError("unexpected end of comment", "")
			}
			p.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

// number reads a number; it may not run into a word.
func (p *pathScanner) number() (pathToken, error) {
	start := p.pos
	digits := func() {
		for p.pos < len(p.s) && p.s[p.pos] >= '0' && p.s[p.pos] <= '9' {
			p.pos++
		}
	}
	digits()
	whole := p.s[start:p.pos]
	if p.pos < len(p.s) && p.s[p.pos] == '.' {
		p.pos++
		digits()
	}
	bad := len(whole) > 1 && whole[0] == '0'
	if p.pos < len(p.s) && (p.s[p.pos] == 'e' || p.s[p.pos] == 'E') {
		p.pos++
		if p.pos < len(p.s) && (p.s[p.pos] == '+' || p.s[p.pos] == '-') {
			p.pos++
		}
		from := p.pos
		digits()
		bad = bad || p.pos == from
	}
	if p.pos < len(p.s) && isPathOther(p.s[p.pos]) {
		_, n := utf8.DecodeRuneInString(p.s[p.pos:])
		p.pos += n
		bad = true
	}
	if bad {
		return pathToken{}, pathError("trailing junk after numeric literal", p.s[start:p.pos])
	}
	raw := p.s[start:p.pos]
	return pathToken{'n', raw, raw}, nil
}

// word reads an unquoted word, in which escapes count.
func (p *pathScanner) word() (pathToken, error) {
	start := p.pos
	var b []byte
	for p.pos < len(p.s) {
		if c := p.s[p.pos]; c == '\\' {
			var err error
			if b, err = p.escape(b); err != nil {
				return pathToken{}, err
			}
		} else if isPathOther(c) {
			b = append(b, c)
			p.pos++
		} else {
			break
		}
	}
	v, raw := string(b), p.s[start:p.pos]
	lower := strings.ToLower(v)
	if lowerOnly, ok := pathKeywords[lower]; ok && (!lowerOnly || v == lower) {
		return pathToken{'k', lower, raw}, nil
	}
	return pathToken{'i', v, raw}, nil
}

// quoted reads a string in double quotes.
func (p *pathScanner) quoted() (string, error) {
	var b []byte
	for p.pos++; p.pos < len(p.s); {
		switch c := p.s[p.pos]; c {
		case '"':
			p.pos++
			return string(b), nil
		case '\\':
			var err error
			if b, err = p.escape(b); err != nil {
				return "", err
			}
		default:
			b = append(b, c)
			p.pos++
		}
	}
	return "", pathError("unexpected end of quoted string", "")
}

// escape reads what a backslash begins. Unicode escapes that follow one another are
// read together, for they may be surrogates.
func (p *pathScanner) escape(b []byte) ([]byte, error) {
	if p.pos+1 >= len(p.s) {
		return nil, pathError("unexpected end after backslash", `\`)
	}
	start := p.pos
	c := p.s[p.pos+1]
	if i := strings.IndexByte("bfnrtv", c); i >= 0 {
		p.pos += 2
		return append(b, "\b\f\n\r\t\v"[i]), nil
	}
	switch c {
	case 'x':
		v, err := strconv.ParseUint(p.s[min(p.pos+2, len(p.s)):min(p.pos+4, len(p.s))], 16, 8)
		if err != nil || p.pos+4 > len(p.s) {
			end := p.pos + 2
			for end < len(p.s) && end < p.pos+4 && isHexDigit(p.s[end]) {
				end++
			}
			return nil, pathError("invalid hex character sequence", p.s[start:end])
		}
		p.pos += 4
		return appendPathRune(b, rune(v))
	case 'u':
		return p.unicode(b)
	}
	p.pos++
	_, n := utf8.DecodeRuneInString(p.s[p.pos:])
	b = append(b, p.s[p.pos:p.pos+n]...)
	p.pos += n
	return b, nil
}

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// codeUnit reads \uXXXX or \u{X...}.
func (p *pathScanner) codeUnit() (rune, error) {
	start := p.pos
	p.pos += 2
	from, braces, most := p.pos, false, 4
	if p.pos < len(p.s) && p.s[p.pos] == '{' {
		from, braces, most = p.pos+1, true, 6
	}
	end := from
	for end < len(p.s) && end < from+most && isHexDigit(p.s[end]) {
		end++
	}
	bad := end == from || !braces && end != from+4 || braces && (end >= len(p.s) || p.s[end] != '}')
	if bad {
		return 0, pathError("invalid unicode sequence", p.s[start:end])
	}
	v, _ := strconv.ParseUint(p.s[from:end], 16, 32)
	if p.pos = end; braces {
		p.pos++
	}
	return rune(v), nil
}

func pathSurrogate(which, after string) error {
	return Errorf(CodeInvalidTextRepresentation, "invalid input syntax for type jsonpath").
		WithDetail("Unicode %s surrogate must %s a high surrogate.", which, after)
}

func (p *pathScanner) unicode(b []byte) ([]byte, error) {
	r, err := p.codeUnit()
	if err != nil {
		return nil, err
	}
	switch {
	case r >= 0xdc00 && r < 0xe000:
		return nil, pathSurrogate("low", "follow")
	case r >= 0xd800 && r < 0xdc00:
		if !strings.HasPrefix(p.s[p.pos:], `\u`) {
			return nil, pathSurrogate("low", "follow")
		}
		low, err := p.codeUnit()
		if err != nil {
			return nil, err
		}
		if low >= 0xd800 && low < 0xdc00 {
			return nil, pathSurrogate("high", "not follow")
		}
		if low < 0xdc00 || low >= 0xe000 {
			return nil, pathSurrogate("low", "follow")
		}
		r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
	}
	return appendPathRune(b, r)
}

func appendPathRune(b []byte, r rune) ([]byte, error) {
	if r == 0 {
		return nil, Errorf(CodeUntranslatableCharacter, "unsupported Unicode escape sequence").
			WithDetail("\\u0000 cannot be converted to text.")
	}
	return utf8.AppendRune(b, r), nil
}

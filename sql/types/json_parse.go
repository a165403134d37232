package types

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth bounds nesting, as PostgreSQL's stack limit does.
const maxJSONDepth = 6000

// jsonParser reads JSON text; with build it also makes the value.
type jsonParser struct {
	s     string
	pos   int
	depth int
	build bool
	name  string // type name for errors
}

// ValidateJSON checks that s is JSON text.
func ValidateJSON(s string) error {
	p := &jsonParser{s: s, name: "json"}
	_, err := p.document()
	return err
}

// ParseJSONB turns JSON text into the flat jsonb image.
func ParseJSONB(s string) ([]byte, error) {
	p := &jsonParser{s: s, name: "json", build: true}
	v, err := p.document()
	if err != nil {
		return nil, err
	}
	return AppendJSONB(nil, v), nil
}

// ParseJSON turns JSON text into a value tree.
func ParseJSON(s string) (*JSONValue, error) {
	p := &jsonParser{s: s, name: "json", build: true}
	return p.document()
}

func (p *jsonParser) document() (*JSONValue, error) {
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(p.s) {
		return nil, p.expected("end of input")
	}
	return v, nil
}

func (p *jsonParser) space() {
	for p.pos < len(p.s) {
		switch p.s[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *jsonParser) fail(detail string) error {
	line := 1 + strings.Count(p.s[:min(p.pos, len(p.s))], "\n")
	start := strings.LastIndexByte(p.s[:min(p.pos, len(p.s))], '\n') + 1
	end := min(p.pos+len(p.token()), len(p.s))
	prefix, suffix := "", ""
	if end-start > 50 {
		start = end - 50
		for start < end && !utf8.RuneStart(p.s[start]) {
			start++
		}
		prefix = "..."
	}
	if end < len(p.s) && p.s[end] != '\n' && p.s[end] != '\r' {
		suffix = "..."
	}
	e := Errorf(CodeInvalidTextRepresentation, "invalid input syntax for type %s", p.name).WithDetail("%s", detail)
	e.Where = "JSON data, line " + itoa(line) + ": " + prefix + p.s[start:end] + suffix
	return e
}

// token returns the token at the current position, for errors.
func (p *jsonParser) token() string {
	if p.pos >= len(p.s) {
		return ""
	}
	i := p.pos
	for i < len(p.s) && isJSONWord(p.s[i]) {
		i++
	}
	if i == p.pos {
		_, n := utf8.DecodeRuneInString(p.s[i:])
		if p.s[i] == '"' {
			return p.stringToken()
		}
		i += n
	}
	return p.s[p.pos:i]
}

func (p *jsonParser) stringToken() string {
	for i := p.pos + 1; i < len(p.s); i++ {
		if p.s[i] == '\\' {
			i++
		} else if p.s[i] == '"' {
			return p.s[p.pos : i+1]
		}
	}
	return p.s[p.pos:]
}

func isJSONWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '+' || c == '-' || c == '.' || c >= 0x80
}

func (p *jsonParser) expected(what string) error {
	if p.pos >= len(p.s) {
		return p.fail("The input string ended unexpectedly.")
	}
	if c := p.s[p.pos]; !strings.ContainsRune(`{}[],:"`, rune(c)) && !p.validToken() {
		return p.fail("Token \"" + p.token() + "\" is invalid.")
	}
	return p.fail("Expected " + what + ", but found \"" + p.token() + "\".")
}

func (p *jsonParser) validToken() bool {
	t := p.token()
	return t == "true" || t == "false" || t == "null" || validJSONNumber(t)
}

func (p *jsonParser) value() (*JSONValue, error) {
	p.space()
	if p.pos >= len(p.s) {
		return nil, p.expected("JSON value")
	}
	if p.depth++; p.depth > maxJSONDepth {
		return nil, Errorf(CodeStatementTooComplex, "stack depth limit exceeded")
	}
	defer func() { p.depth-- }()
	switch c := p.s[p.pos]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, err := p.str()
		return &JSONValue{Kind: JSONString, Str: s}, err
	}
	t := p.token()
	switch t {
	case "true":
		p.pos += 4
		return &JSONValue{Kind: JSONBool, Bool: true}, nil
	case "false":
		p.pos += 5
		return &JSONValue{Kind: JSONBool}, nil
	case "null":
		p.pos += 4
		return &JSONValue{Kind: JSONNull}, nil
	}
	if !validJSONNumber(t) {
		return nil, p.expected("JSON value")
	}
	p.pos += len(t)
	if !p.build {
		return nil, nil
	}
	n, err := ParseNumeric(t)
	return &JSONValue{Kind: JSONNumber, Num: n}, err
}

func validJSONNumber(t string) bool {
	i := 0
	if i < len(t) && t[i] == '-' {
		i++
	}
	digits := func() int {
		n := i
		for i < len(t) && t[i] >= '0' && t[i] <= '9' {
			i++
		}
		return i - n
	}
	if i < len(t) && t[i] == '0' {
		i++
	} else if digits() == 0 {
		return false
	}
	if i < len(t) && t[i] == '.' {
		i++
		if digits() == 0 {
			return false
		}
	}
	if i < len(t) && (t[i] == 'e' || t[i] == 'E') {
		i++
		if i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		if digits() == 0 {
			return false
		}
	}
	return i == len(t)
}

func (p *jsonParser) array() (*JSONValue, error) {
	p.pos++
	v := &JSONValue{Kind: JSONArray}
	if p.space(); p.pos < len(p.s) && p.s[p.pos] == ']' {
		p.pos++
		return v, nil
	}
	for {
		e, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.build {
			v.Elems = append(v.Elems, e)
		}
		p.space()
		if p.pos < len(p.s) && p.s[p.pos] == ',' {
			p.pos++
			continue
		}
		if p.pos < len(p.s) && p.s[p.pos] == ']' {
			p.pos++
			return v, nil
		}
		return nil, p.expected(`"," or "]"`)
	}
}

func (p *jsonParser) object() (*JSONValue, error) {
	p.pos++
	v := &JSONValue{Kind: JSONObject}
	if p.space(); p.pos < len(p.s) && p.s[p.pos] == '}' {
		p.pos++
		return v, nil
	}
	want := `string or "}"`
	for {
		p.space()
		if p.pos >= len(p.s) || p.s[p.pos] != '"' {
			return nil, p.expected(want)
		}
		want = "string"
		k, err := p.str()
		if err != nil {
			return nil, err
		}
		if p.space(); p.pos >= len(p.s) || p.s[p.pos] != ':' {
			return nil, p.expected(`":"`)
		}
		p.pos++
		e, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.build {
			v.Keys, v.Elems = append(v.Keys, k), append(v.Elems, e)
		}
		p.space()
		if p.pos < len(p.s) && p.s[p.pos] == ',' {
			p.pos++
			continue
		}
		if p.pos < len(p.s) && p.s[p.pos] == '}' {
			p.pos++
			return v, nil
		}
		return nil, p.expected(`"," or "}"`)
	}
}

// str reads a string literal; without build, escapes are only checked.
func (p *jsonParser) str() (string, error) {
	start := p.pos
	p.pos++
	seg := p.pos
	var b []byte
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case c == '"':
			out := p.s[seg:p.pos]
			p.pos++
			if b != nil {
				return string(append(b, out...)), nil
			}
			return out, nil
		case c < 0x20:
			d := "Character with value 0x" + strconv.FormatInt(int64(c)+0x100, 16)[1:] + " must be escaped."
			p.pos = start
			return "", p.fail(d)
		case c != '\\':
			p.pos++
			continue
		}
		b = append(b, p.s[seg:p.pos]...)
		var err error
		if b, err = p.escape(b); err != nil {
			return "", err
		}
		seg = p.pos
	}
	p.pos = start
	return "", p.fail("Token \"" + p.stringToken() + "\" is invalid.")
}

func (p *jsonParser) escape(b []byte) ([]byte, error) {
	if p.pos+1 >= len(p.s) {
		return nil, p.fail("The input string ended unexpectedly.")
	}
	c := p.s[p.pos+1]
	p.pos += 2
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return append(b, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return nil, p.fail("Escape sequence \"\\" + string(rune(c)) + "\" is invalid.")
	}
	r, ok := p.hex4()
	if !ok {
		return nil, p.fail("\"\\u\" must be followed by four hexadecimal digits.")
	}
	if !p.build {
		return b, nil
	}
	return p.codePoint(b, r)
}

func (p *jsonParser) hex4() (rune, bool) {
	if p.pos+4 > len(p.s) {
		return 0, false
	}
	v, err := strconv.ParseUint(p.s[p.pos:p.pos+4], 16, 16)
	p.pos += 4
	return rune(v), err == nil
}

func (p *jsonParser) codePoint(b []byte, r rune) ([]byte, error) {
	switch {
	case r == 0:
		return nil, Errorf(CodeUntranslatableCharacter, "unsupported Unicode escape sequence").
			WithDetail("\\u0000 cannot be converted to text.")
	case r >= 0xdc00 && r < 0xe000:
		return nil, p.fail("Unicode low surrogate must follow a high surrogate.")
	case r >= 0xd800 && r < 0xdc00:
		if !strings.HasPrefix(p.s[p.pos:], `\u`) {
			return nil, p.fail("Unicode low surrogate must follow a high surrogate.")
		}
		p.pos += 2
		lo, ok := p.hex4()
		if !ok || lo < 0xdc00 || lo >= 0xe000 {
			return nil, p.fail("Unicode low surrogate must follow a high surrogate.")
		}
		r = 0x10000 + (r-0xd800)<<10 + (lo - 0xdc00)
	}
	return utf8.AppendRune(b, r), nil
}

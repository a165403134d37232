package types

import (
	"strconv"
	"strings"
)

// arrayParser reads an array literal.
type arrayParser struct {
	s     string
	pos   int
	elem  Type
	delim byte
	st    *Settings
	dims  []int32 // counts of the first branch, by depth
	depth int     // depth at which elements were found, 0 unknown
	elems []Datum
}

func parseArray(t Type, s string, st *Settings) (Datum, error) {
	elem := Type{OID: ElemOf(t.OID), Mod: t.Mod}
	p := &arrayParser{s: s, elem: elem, delim: arrayDelim(elem.OID), st: st}
	lower, sizes, err := p.bounds()
	if err != nil {
		return Null, err
	}
	if p.space(); p.peek() != '{' {
		return Null, p.malformed("Array value must start with \"{\" or dimension information.")
	}
	if _, err := p.level(1); err != nil {
		return Null, err
	}
	if p.space(); p.pos < len(p.s) {
		return Null, p.malformed("Junk after closing right brace.")
	}
	a := Array{Elem: elem.OID, Elems: p.elems}
	if len(p.elems) == 0 {
		if lower != nil {
			return Null, p.malformed("Specified array dimensions do not match array contents.")
		}
		return ArrayDatum(a), nil
	}
	a.Dims = p.dims
	for range a.Dims {
		a.Lower = append(a.Lower, 1)
	}
	if lower != nil {
		if len(lower) != len(a.Dims) {
			return Null, p.malformed("Specified array dimensions do not match array contents.")
		}
		for i := range sizes {
			if sizes[i] != a.Dims[i] {
				return Null, p.malformed("Specified array dimensions do not match array contents.")
			}
		}
		a.Lower = lower
	}
	return ArrayDatum(a), nil
}

func (p *arrayParser) malformed(detail string) error {
	e := &Error{Code: CodeInvalidTextRepresentation, Message: "malformed array literal: \"" + p.s + "\""}
	e.Detail = detail
	return e
}

func (p *arrayParser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

func (p *arrayParser) space() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\n\r\v\f", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

// bounds reads [l:u]... = in front of the braces.
func (p *arrayParser) bounds() (lower, sizes []int32, err error) {
	for p.space(); p.peek() == '['; p.space() {
		end := strings.IndexByte(p.s[p.pos:], ']')
		if end < 0 {
			return nil, nil, p.malformed("Missing \"]\" after array dimensions.")
		}
		l, u, two := strings.Cut(p.s[p.pos+1:p.pos+end], ":")
		if !two {
			l, u = "1", l
		}
		lo, err1 := strconv.ParseInt(l, 10, 32)
		hi, err2 := strconv.ParseInt(u, 10, 32)
		if err1 != nil || err2 != nil {
			return nil, nil, p.malformed("\"[\" must introduce explicitly-specified array dimensions.")
		}
		if hi < lo {
			return nil, nil, Errorf(CodeArraySubscriptError, "upper bound cannot be less than lower bound")
		}
		lower, sizes = append(lower, int32(lo)), append(sizes, int32(hi-lo+1))
		p.pos += end + 1
	}
	if lower != nil {
		if p.space(); p.peek() != '=' {
			return nil, nil, p.malformed("Missing \"=\" after array dimensions.")
		}
		p.pos++
	}
	return lower, sizes, nil
}

// level reads one pair of braces and returns the number of items in it.
func (p *arrayParser) level(depth int) (int32, error) {
	if depth > 6 {
		return 0, Errorf(CodeProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)", depth, 6)
	}
	p.pos++ // {
	n := int32(0)
	p.space()
	if p.peek() == '}' {
		p.pos++
		if depth > 1 {
			return 0, p.malformed("Unexpected \"}\" character.")
		}
		return 0, nil
	}
	for {
		p.space()
		if err := p.item(depth); err != nil {
			return 0, err
		}
		n++
		p.space()
		switch p.peek() {
		case p.delim:
			p.pos++
			if p.space(); p.peek() == '}' {
				return 0, p.malformed("Unexpected \"}\" character.")
			}
			continue
		case '}':
			p.pos++
			return n, p.setDim(depth, n)
		case 0:
			return 0, p.malformed("Unexpected end of input.")
		}
		return 0, p.malformed("Unexpected array element.")
	}
}

func (p *arrayParser) setDim(depth int, n int32) error {
	for len(p.dims) < depth {
		p.dims = append(p.dims, 0)
	}
	if p.dims[depth-1] != 0 && p.dims[depth-1] != n {
		return p.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	p.dims[depth-1] = n
	return nil
}

func (p *arrayParser) item(depth int) error {
	if p.peek() == '{' {
		if p.depth != 0 && p.depth <= depth {
			return p.malformed("Unexpected \"{\" character.")
		}
		_, err := p.level(depth + 1)
		return err
	}
	if p.depth != 0 && p.depth != depth {
		return p.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	p.depth = depth
	s, quoted, err := p.token()
	if err != nil {
		return err
	}
	if !quoted && strings.EqualFold(s, "null") {
		p.elems = append(p.elems, Null)
		return nil
	}
	d, err := ParseText(p.elem, s, p.st)
	if err == nil && p.elem.Mod >= 0 {
		d, err = ApplyMod(d, p.elem, false)
	}
	p.elems = append(p.elems, d)
	return err
}

// token reads an element's text; trailing spaces of an unquoted one go.
func (p *arrayParser) token() (s string, quoted bool, err error) {
	var b []byte
	keep := 0 // length up to which spaces must stay
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case c == '\\':
			if p.pos++; p.pos >= len(p.s) {
				return "", false, p.malformed("Unexpected end of input.")
			}
			b = append(b, p.s[p.pos])
			keep = len(b)
		case c == '"':
			if len(b) > 0 && !quoted {
				return "", false, p.malformed("Unexpected array element.")
			}
			quoted = true
			if b, err = p.quoted(b); err != nil {
				return "", false, err
			}
			keep = len(b)
		case c == p.delim || c == '}':
			b = b[:max(keep, len(strings.TrimRight(string(b), " \t\n\r\v\f")))]
			if len(b) == 0 && !quoted {
				return "", false, p.malformed("Unexpected \"" + string(rune(c)) + "\" character.")
			}
			return string(b), quoted, nil
		case c == '{':
			return "", false, p.malformed("Unexpected \"{\" character.")
		case quoted && strings.IndexByte(" \t\n\r\v\f", c) < 0:
			return "", false, p.malformed("Unexpected array element.")
		case quoted:
		default:
			b = append(b, c)
		}
		p.pos++
	}
	return "", false, p.malformed("Unexpected end of input.")
}

// quoted reads up to the closing quote, which it leaves as current.
func (p *arrayParser) quoted(b []byte) ([]byte, error) {
	for p.pos++; p.pos < len(p.s); p.pos++ {
		switch p.s[p.pos] {
		case '"':
			return b, nil
		case '\\':
			if p.pos++; p.pos >= len(p.s) {
				return nil, p.malformed("Unexpected end of input.")
			}
		}
		b = append(b, p.s[p.pos])
	}
	return nil, p.malformed("Unexpected end of input.")
}

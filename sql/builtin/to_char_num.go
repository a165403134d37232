package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// numToken is one element of a numeric template.
type numToken struct {
	kind byte // 9 0 . , L S M(I) P(L) G(SG) R(PR) V t(h) E N(RN) " (literal)
	text string
}

// numTemplate is a numeric template taken apart.
type numTemplate struct {
	toks      []numToken
	fill      bool
	pre, post int
	zeroStart int // first position with forced zeros, pre if none
	lastZero  int // fraction digits that FM must keep
	multi     int // digits after V
	sign      byte
	signFirst bool
	expo      bool
	roman     bool
	lower     bool
	bracket   bool
}

func parseNumTemplate(f string) (*numTemplate, error) {
	t := &numTemplate{zeroStart: -1}
	point, v := false, false
	for i := 0; i < len(f); {
		u := strings.ToUpper(f[i:min(len(f), i+4)])
		step := 1
		switch {
		case strings.HasPrefix(u, "FM"):
			t.fill, step = true, 2
		case strings.HasPrefix(u, "EEEE"):
			t.expo, step = true, 4
			t.add('E', "")
		case strings.HasPrefix(u, "RN"):
			t.roman, t.lower, step = true, f[i] == 'r', 2
		case strings.HasPrefix(u, "MI"):
			t.setSign('M')
			step = 2
		case strings.HasPrefix(u, "PL"):
			t.add('P', "")
			step = 2
		case strings.HasPrefix(u, "SG"):
			t.setSign('G')
			step = 2
		case strings.HasPrefix(u, "PR"):
			t.bracket, step = true, 2
			t.add('R', "")
		case strings.HasPrefix(u, "TH"):
			t.add('t', f[i:i+2])
			step = 2
		case u[0] == 'S':
			if t.sign != 0 {
				return nil, types.Errorf(types.CodeSyntaxError, "cannot use \"S\" twice")
			}
			t.signFirst = t.pre+t.post == 0 && !point
			t.setSign('S')
		case u[0] == '9' || u[0] == '0':
			t.digit(u[0], point, v)
		case u[0] == '.' || u[0] == 'D':
			if point {
				return nil, types.Errorf(types.CodeSyntaxError, "multiple decimal points")
			}
			point = true
			t.add('.', "")
		case u[0] == ',' || u[0] == 'G':
			t.add(',', "")
		case u[0] == 'L' || u[0] == '$':
			// The currency symbol of locale C is nothing, of which a blank is left.
			text := " "
			if u[0] == '$' {
				text = "$"
			}
			t.add('"', text)
		case u[0] == 'V':
			v = true
		case u[0] == 'B' || u[0] == 'C':
		default:
			lit, next := templateLiteral(f, i)
			t.add('"', lit)
			step = next - i
		}
		i += step
	}
	if t.zeroStart < 0 {
		t.zeroStart = t.pre
	}
	return t, nil
}

func (t *numTemplate) add(kind byte, text string) { t.toks = append(t.toks, numToken{kind, text}) }

func (t *numTemplate) setSign(k byte) {
	t.sign = k
	t.add(k, "")
}

func (t *numTemplate) digit(c byte, point, v bool) {
	switch {
	case point:
		t.post++
		if c == '0' {
			t.lastZero = t.post
		}
	default:
		if c == '0' && t.zeroStart < 0 {
			t.zeroStart = t.pre
		}
		t.pre++
		if v {
			t.multi++
		}
	}
	t.add(c, "")
}

// format formats n by the template.
func (t *numTemplate) format(n types.Numeric) string {
	if t.roman {
		return t.romanText(n)
	}
	if t.expo {
		return t.exponent(n)
	}
	neg := n.Sign() < 0 && !n.IsNaN()
	if t.multi > 0 {
		p := types.NumericFromInt(1)
		for i := 0; i < t.multi; i++ {
			p = p.Mul(types.NumericFromInt(10))
		}
		n = n.Mul(p)
	}
	whole, frac := "", ""
	overflow := n.IsSpecial()
	if !overflow {
		s := n.Abs().Round(t.post).String()
		whole, frac, _ = strings.Cut(s, ".")
		if whole == "0" && t.post > 0 {
			whole = ""
		}
		neg = neg && strings.Trim(s, "0.") != ""
		overflow = len(whole) > t.pre
	}
	if overflow {
		whole, frac = strings.Repeat("#", t.pre), strings.Repeat("#", t.post)
	}
	if t.fill && !overflow {
		keep := max(t.lastZero, len(strings.TrimRight(frac, "0")))
		if frac = frac[:min(keep, len(frac))]; frac == "" && whole == "" {
			whole = "0"
		}
	}
	return t.emit(whole, frac, neg)
}

// emitter builds a number from left to right; the sign comes directly before
// the first visible character of it.
type emitter struct {
	b       strings.Builder
	started bool
	sign    string // pending, written before the first digit or the point
}

func (e *emitter) begin() {
	if !e.started {
		e.started = true
		e.b.WriteString(e.sign)
	}
}

func (t *numTemplate) leadingSign(neg bool) string {
	switch {
	case t.bracket && neg:
		return "<"
	case t.sign == 'S' && t.signFirst:
		if neg {
			return "-"
		}
		return "+"
	case t.sign != 0 || t.fill && !neg:
		return ""
	case neg:
		return "-"
	}
	return " "
}

func (t *numTemplate) emit(whole, frac string, neg bool) string {
	e := &emitter{sign: t.leadingSign(neg)}
	pos, fpos := 0, 0
	width := len(e.sign)
	for _, k := range t.toks {
		switch k.kind {
		case '9', '0':
			if pos < t.pre {
				t.wholeDigit(e, whole, pos)
				pos++
			} else {
				if fpos < len(frac) {
					e.begin()
					e.b.WriteByte(frac[fpos])
				}
				fpos++
			}
		case '.':
			e.begin()
			e.b.WriteByte('.')
		case ',':
			if e.started {
				e.b.WriteByte(',')
			} else if !t.fill {
				e.b.WriteByte(' ')
			}
		case '"':
			e.b.WriteString(k.text)
		case 't':
			if !neg && !strings.HasPrefix(whole, "#") {
				e.b.WriteString(strings.TrimPrefix(ordinal(whole, k.text), whole))
			}
		default:
			t.signToken(e, k.kind, neg)
		}
	}
	if !e.started && width > 0 && t.pre > 0 {
		e.begin()
	}
	return e.b.String()
}

func (t *numTemplate) wholeDigit(e *emitter, whole string, pos int) {
	at := pos - (t.pre - len(whole))
	switch {
	case at >= 0:
		e.begin()
		e.b.WriteByte(whole[at])
	case pos >= t.zeroStart:
		e.begin()
		e.b.WriteByte('0')
	case !t.fill:
		e.b.WriteByte(' ')
	}
}

func (t *numTemplate) signToken(e *emitter, kind byte, neg bool) {
	minus, plus := "-", "+"
	switch kind {
	case 'S':
		if t.signFirst {
			return
		}
	case 'M':
		if plus = " "; t.fill {
			plus = ""
		}
	case 'P':
		if minus = " "; t.fill {
			minus = ""
		}
	case 'R':
		minus, plus = ">", " "
		if t.fill {
			plus = ""
		}
	case 'G':
	default:
		return
	}
	if neg {
		e.b.WriteString(minus)
	} else {
		e.b.WriteString(plus)
	}
}

func (t *numTemplate) exponent(n types.Numeric) string {
	if n.IsSpecial() {
		return " " + strings.Repeat("#", t.pre) + "." + strings.Repeat("#", t.post+4)
	}
	// Rounded in decimal, for a float would round halves by its binary digits.
	exp := n.Exponent()
	r := n.Round(t.post - exp)
	if r.Exponent() > exp {
		exp++
	}
	sign := "+"
	if exp < 0 {
		sign, exp = "-", -exp
	}
	s := mantissa(r, t.post) + "e" + sign + pad2(exp)
	if n.Sign() >= 0 && !t.fill {
		return " " + s
	}
	return s
}

// mantissa writes the first digits of n with a point behind the first one.
func mantissa(n types.Numeric, decimals int) string {
	s, negative := strings.CutPrefix(n.String(), "-")
	s = strings.TrimLeft(strings.Replace(s, ".", "", 1), "0")
	s += strings.Repeat("0", max(0, decimals+1-len(s)))
	out := s[:1]
	if decimals > 0 {
		out += "." + s[1:decimals+1]
	}
	if negative {
		out = "-" + out
	}
	return out
}

func pad2(v int) string {
	if v < 10 {
		return "0" + strconv.Itoa(v)
	}
	return strconv.Itoa(v)
}

func (t *numTemplate) romanText(n types.Numeric) string {
	v, ok := n.Int64()
	s := strings.Repeat("#", 15)
	if ok && v >= 1 && v <= 3999 {
		s = ""
		for i, r := range []string{"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"} {
			for w := [...]int64{1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1}[i]; v >= w; v -= w {
				s += r
			}
		}
		if !t.fill {
			s = strings.Repeat(" ", max(0, 15-len(s))) + s
		}
	}
	if t.lower {
		return strings.ToLower(s)
	}
	return s
}

func numTemplateOf(c *Call, k int) (*numTemplate, error) {
	type cached struct {
		f string
		t *numTemplate
	}
	if t, ok := c.Cache.(cached); ok && t.f == c.Str(k) {
		return t.t, nil
	}
	f := strings.Clone(c.Str(k))
	t, err := parseNumTemplate(f)
	if err == nil {
		c.Cache = cached{f, t}
	}
	return t, err
}

func init() {
	for name, get := range map[string]func(c *Call) (types.Numeric, error){
		"int4_to_char":    func(c *Call) (types.Numeric, error) { return types.NumericFromInt(c.Int(0)), nil },
		"int8_to_char":    func(c *Call) (types.Numeric, error) { return types.NumericFromInt(c.Int(0)), nil },
		"numeric_to_char": func(c *Call) (types.Numeric, error) { return c.Num(0), nil },
		"float4_to_char":  func(c *Call) (types.Numeric, error) { return floatForTemplate(c, 32) },
		"float8_to_char":  func(c *Call) (types.Numeric, error) { return floatForTemplate(c, 64) },
	} {
		row(name, func(c *Call) error {
			n, err := get(c)
			if err != nil {
				return err
			}
			t, err := numTemplateOf(c, 1)
			if err != nil {
				return err
			}
			return c.RetStr(t.format(n))
		})
	}
	row("numeric_to_number", toNumber)
}

// floatForTemplate rounds a float as C's printf does, in binary.
func floatForTemplate(c *Call, bits int) (types.Numeric, error) {
	f := c.Float(0)
	t, err := numTemplateOf(c, 1)
	switch {
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0) || t.roman || t.multi > 0:
		return types.NumericFromFloat(f, bits)
	case t.expo:
		return types.ParseNumeric(strconv.FormatFloat(f, 'e', t.post, 64))
	}
	digits := 15
	if bits == 32 {
		digits = 6
	}
	whole := len(strconv.FormatFloat(math.Abs(f), 'f', 0, 64))
	return types.ParseNumeric(strconv.FormatFloat(f, 'f', max(0, min(t.post, digits-whole)), 64))
}

// toNumber reads a number by a template: what is no digit, sign or point goes.
func toNumber(c *Call) error {
	s := c.Str(0)
	t, err := numTemplateOf(c, 1)
	if err != nil {
		return err
	}
	if c.Str(1) == "" {
		return c.RetNull()
	}
	neg := strings.ContainsAny(s, "-<")
	var b strings.Builder
	point := false
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			if !point && digits >= t.pre+t.multi || point && digits >= t.post {
				continue
			}
			b.WriteRune(r)
			digits++
		case r == '.' && !point && t.post > 0:
			point, digits = true, 0
			b.WriteRune(r)
		}
	}
	n, err := types.ParseNumeric(b.String())
	if err != nil {
		return types.Errorf(types.CodeInvalidTextRepresentation, "invalid input syntax for type numeric: \"%s\"", " ")
	}
	if t.post > 0 && int(n.Scale) > t.post {
		n = n.Round(t.post)
	}
	if neg {
		n = n.Neg()
	}
	if t.multi > 0 {
		p := types.NumericFromInt(1).Shift(t.multi)
		if n, err = n.Div(p); err != nil {
			return err
		}
	}
	return c.RetNum(n)
}

package types

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
)

func parseFloat(s string, oid OID) (Datum, error) {
	name, bits := "double precision", 64
	if oid == Float4OID {
		name, bits = "real", 32
	}
	t := trimSpace(s)
	switch strings.ToLower(t) {
	case "nan":
		return NewFloat(math.NaN()), nil
	case "infinity", "inf", "+infinity", "+inf":
		return NewFloat(math.Inf(1)), nil
	case "-infinity", "-inf":
		return NewFloat(math.Inf(-1)), nil
	}
	// Go also accepts underscores and words that PostgreSQL does not.
	if t == "" || strings.ContainsAny(t, "_iInN") {
		return Null, syntaxError(name, s)
	}
	v, err := strconv.ParseFloat(t, bits)
	if err != nil {
		if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
			return Null, Errorf(CodeNumericValueOutOfRange, "\"%s\" is out of range for type %s", t, name)
		}
		return Null, syntaxError(name, s)
	}
	if v == 0 && strings.ContainsAny(mantissa(t), "123456789") {
		return Null, Errorf(CodeNumericValueOutOfRange, "\"%s\" is out of range for type %s", t, name)
	}
	return NewFloat(v), nil
}

func mantissa(s string) string {
	if len(s) > 1 && (s[1] == 'x' || s[1] == 'X') {
		return ""
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

// AppendTextFloat appends the text form of a float: the shortest digits that
// read back the same, or fewer if extra_float_digits is not positive.
func AppendTextFloat(b []byte, oid OID, v float64, st *Settings) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, 1):
		return append(b, "Infinity"...)
	case math.IsInf(v, -1):
		return append(b, "-Infinity"...)
	}
	bits, digits := 64, 15
	if oid == Float4OID {
		bits, digits = 32, 6
	}
	prec := -1
	if st != nil && st.ExtraFloatDigits <= 0 {
		prec = max(1, digits+st.ExtraFloatDigits)
		return appendG(b, v, prec, bits)
	}
	// PostgreSQL prints an exponent below 1e-4 and from 1e15 (1e6 for real).
	if a := math.Abs(v); a >= 1<<24 && (bits == 32 || a >= 1<<53) {
		return appendLargeFloat(b, v, bits)
	}
	abs := math.Abs(v)
	expMin, expMax := 1e-4, 1e15
	if bits == 32 {
		expMin, expMax = float64(float32(1e-4)), 1e6
		abs = float64(float32(abs))
	}
	if abs == 0 || abs >= expMin && abs < expMax {
		return strconv.AppendFloat(b, v, 'f', -1, bits)
	}
	return strconv.AppendFloat(b, v, 'e', -1, bits)
}

// appendLargeFloat prints a float above the exact integers. Shortest digits may
// lie exactly between two floats there; PostgreSQL does not count on the reader
// to round them to even, and prints more.
func appendLargeFloat(b []byte, v float64, bits int) []byte {
	s := strconv.FormatFloat(v, 'e', -1, bits)
	for digits := 1; digits < 18 && isMidpoint(s, v, bits); digits++ {
		if t := strconv.FormatFloat(v, 'e', digits, bits); len(t) > len(s) && !strings.Contains(t, "0e") {
			s = t
		}
	}
	if a := math.Abs(v); bits == 64 && a < 1e15 || bits == 32 && a < 1e6 {
		return strconv.AppendFloat(b, v, 'f', -1, bits)
	}
	return append(b, s...)
}

// isMidpoint reports whether decimal s lies exactly between v and a neighbour.
func isMidpoint(s string, v float64, bits int) bool {
	exact, _, err := big.ParseFloat(s, 10, 2000, big.ToNearestEven)
	if err != nil {
		return false
	}
	for _, dir := range []float64{math.Inf(1), math.Inf(-1)} {
		o := math.Nextafter(v, dir)
		if bits == 32 {
			o = float64(math.Nextafter32(float32(v), float32(dir)))
		}
		if math.IsInf(o, 0) {
			continue
		}
		mid := new(big.Float).SetPrec(2000).SetFloat64(v)
		mid.Add(mid, new(big.Float).SetPrec(2000).SetFloat64(o)).Quo(mid, big.NewFloat(2))
		if exact.Cmp(mid) == 0 {
			return true
		}
	}
	return false
}

// appendG prints like C's %.*g: trailing zeros dropped, two exponent digits.
func appendG(b []byte, v float64, prec, bits int) []byte {
	s := strconv.FormatFloat(v, 'e', prec-1, bits)
	i := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[i+1:])
	if exp < -4 || exp >= prec {
		m := s[:i]
		if strings.IndexByte(m, '.') >= 0 {
			m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
		}
		return append(append(b, m...), s[i:]...)
	}
	f := strconv.FormatFloat(v, 'f', prec-1-exp, bits)
	if strings.IndexByte(f, '.') >= 0 {
		f = strings.TrimRight(strings.TrimRight(f, "0"), ".")
	}
	return append(b, f...)
}

func parseBytea(s string) (Datum, error) {
	if strings.HasPrefix(s, `\x`) {
		h := strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
				return -1
			}
			return r
		}, s[2:])
		if len(h)%2 != 0 {
			return Null, Errorf(CodeInvalidParameterValue, "invalid hexadecimal data: odd number of digits")
		}
		b, err := hex.DecodeString(h)
		if err != nil {
			for _, r := range h {
				if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
					return Null, Errorf(CodeInvalidParameterValue, "invalid hexadecimal digit: \"%c\"", r)
				}
			}
		}
		return NewBytes(b), nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		switch {
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return Null, Errorf(CodeInvalidTextRepresentation, "invalid input syntax for type bytea")
		}
	}
	return NewBytes(out), nil
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func appendBytea(b, v []byte, st *Settings) []byte {
	if st == nil || !st.ByteaEscape {
		b = append(b, '\\', 'x')
		return hex.AppendEncode(b, v)
	}
	for _, c := range v {
		switch {
		case c == '\\':
			b = append(b, '\\', '\\')
		case c < 0x20 || c > 0x7e:
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			b = append(b, c)
		}
	}
	return b
}

func parseUUID(s string) (Datum, error) {
	t := s
	if strings.HasPrefix(t, "{") {
		if !strings.HasSuffix(t, "}") {
			return Null, syntaxError("uuid", s)
		}
		t = t[1 : len(t)-1]
	}
	var out [16]byte
	i := 0
	for k := range out {
		if i+2 > len(t) {
			return Null, syntaxError("uuid", s)
		}
		if _, err := hex.Decode(out[k:k+1], []byte(t[i:i+2])); err != nil {
			return Null, syntaxError("uuid", s)
		}
		i += 2
		// A hyphen may follow any group of four digits.
		if k%2 == 1 && k < 15 && i < len(t) && t[i] == '-' {
			i++
		}
	}
	if i != len(t) {
		return Null, syntaxError("uuid", s)
	}
	return NewBytes(out[:]), nil
}

func appendUUID(b, v []byte) []byte {
	if len(v) != 16 {
		return append(b, v...)
	}
	for i, c := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
	}
	return b
}

// parseTID reads (block,offset); the value is kept as its text.
func parseTID(s string) (Datum, error) {
	t, opened := strings.CutPrefix(trimSpace(s), "(")
	t, closed := strings.CutSuffix(t, ")")
	a, b, ok := strings.Cut(t, ",")
	block, err1 := strconv.ParseUint(a, 10, 32)
	offset, err2 := strconv.ParseUint(b, 10, 16)
	if !opened || !closed || !ok || err1 != nil || err2 != nil {
		return Null, syntaxError("tid", s)
	}
	return NewString("(" + strconv.FormatUint(block, 10) + "," + strconv.FormatUint(offset, 10) + ")"), nil
}

// tidParts are the block and the offset of a tid's text.
func tidParts(s string) (block uint32, offset uint16) {
	a, b, _ := strings.Cut(strings.Trim(s, "()"), ",")
	x, _ := strconv.ParseUint(a, 10, 32)
	y, _ := strconv.ParseUint(b, 10, 16)
	return uint32(x), uint16(y)
}

func parseMoney(s string) (Datum, error) {
	t := strings.NewReplacer("$", "", ",", "", " ", "").Replace(s)
	if t == "" {
		return NewInt(0), nil
	}
	neg := false
	if strings.HasPrefix(t, "(") && strings.HasSuffix(t, ")") {
		neg, t = true, t[1:len(t)-1]
	}
	n, err := ParseNumeric(t)
	if err != nil || n.IsSpecial() {
		return Null, syntaxError("money", s)
	}
	r := n.Round(2)
	if r.Big != nil {
		return Null, Errorf(CodeNumericValueOutOfRange, "value \"%s\" is out of range for type money", s)
	}
	if neg {
		r.Coef = -r.Coef
	}
	return NewInt(r.Coef), nil
}

func appendMoney(b []byte, v int64) []byte {
	u := uint64(v)
	if v < 0 {
		b = append(b, '-')
		u = -u
	}
	b = append(b, '$')
	whole := strconv.FormatUint(u/100, 10)
	for i, c := range []byte(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, c)
	}
	return append(b, '.', byte('0'+u%100/10), byte('0'+u%10))
}

func parseLSN(s string) (Datum, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return Null, syntaxError("pg_lsn", s)
	}
	return NewInt(int64(h<<32 | l)), nil
}

func appendLSN(b []byte, v uint64) []byte {
	b = append(b, strings.ToUpper(strconv.FormatUint(v>>32, 16))...)
	b = append(b, '/')
	return append(b, strings.ToUpper(strconv.FormatUint(v&0xffffffff, 16))...)
}

// Bit strings are a 32-bit length in bits, big-endian, and the bits packed from
// the left: their binary wire format.
func parseBits(t Type, s string) (Datum, error) {
	digits, hexa := s, false
	if s != "" {
		switch s[0] {
		case 'b', 'B':
			digits = s[1:]
		case 'x', 'X':
			digits, hexa = s[1:], true
		}
	}
	var bits []byte
	for _, c := range digits {
		if !hexa {
			if c != '0' && c != '1' {
				return Null, Errorf(CodeInvalidTextRepresentation, "\"%c\" is not a valid binary digit", c)
			}
			bits = append(bits, byte(c-'0'))
			continue
		}
		v, err := strconv.ParseUint(string(c), 16, 8)
		if err != nil {
			return Null, Errorf(CodeInvalidTextRepresentation, "\"%c\" is not a valid hexadecimal digit", c)
		}
		bits = append(bits, byte(v>>3&1), byte(v>>2&1), byte(v>>1&1), byte(v&1))
	}
	_ = t
	return NewBytes(packBits(bits)), nil
}

func packBits(bits []byte) []byte {
	n := len(bits)
	out := make([]byte, 4+(n+7)/8)
	out[0], out[1], out[2], out[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	for i, v := range bits {
		out[4+i/8] |= v << (7 - uint(i)%8)
	}
	return out
}

func appendBits(b, v []byte) []byte {
	if len(v) < 4 {
		return b
	}
	n := int(v[0])<<24 | int(v[1])<<16 | int(v[2])<<8 | int(v[3])
	for i := 0; i < n && 4+i/8 < len(v); i++ {
		b = append(b, '0'+v[4+i/8]>>(7-uint(i)%8)&1)
	}
	return b
}

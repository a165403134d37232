package types

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
)

func itoa(v int) string { return strconv.Itoa(v) }

// ParseNumeric reads a numeric.
func ParseNumeric(s string) (Numeric, error) {
	t := trimSpace(s)
	if t == "" {
		return Numeric{}, syntaxError("numeric", s)
	}
	neg := false
	body := t
	if body[0] == '+' || body[0] == '-' {
		neg = body[0] == '-'
		body = body[1:]
	}
	if body == "" || body[0] > '9' {
		return parseNumericWord(t, s)
	}
	digits, scale, exp, ok := scanDecimal(body)
	if !ok {
		return Numeric{}, syntaxError("numeric", s)
	}
	scale -= exp
	if scale > maxNumericScale || len(strings.TrimLeft(digits, "0"))-scale > maxIntegerDigits || exp > maxIntegerDigits {
		return Numeric{}, errNumericOverflow()
	}
	return assembleNumeric(digits, scale, neg), nil
}

func errNumericOverflow() *Error {
	return Errorf(CodeNumericValueOutOfRange, "value overflows numeric format")
}

// ErrNumericOverflow returns the error of a numeric too large to represent.
func ErrNumericOverflow() error { return errNumericOverflow() }

func parseNumericWord(t, s string) (Numeric, error) {
	switch strings.ToLower(t) {
	case "nan":
		return NumericNaN, nil
	case "infinity", "inf", "+infinity", "+inf":
		return NumericPosInf, nil
	case "-infinity", "-inf":
		return NumericNegInf, nil
	}
	return Numeric{}, syntaxError("numeric", s)
}

// scanDecimal takes apart digits[.digits][e[+-]digits]. The digits come back
// without the point.
func scanDecimal(s string) (digits string, scale, exp int, ok bool) {
	i, point := 0, -1
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' && point < 0) {
		if s[i] == '.' {
			point = i
		}
		i++
	}
	digits = s[:i]
	if point >= 0 {
		scale = i - point - 1
		digits = s[:point] + s[point+1:i]
	}
	if digits == "" {
		return "", 0, 0, false
	}
	if i == len(s) {
		return digits, scale, 0, true
	}
	if s[i] != 'e' && s[i] != 'E' || i+1 == len(s) || strings.IndexByte(s[i:], '_') >= 0 {
		return "", 0, 0, false
	}
	e, err := strconv.Atoi(s[i+1:])
	if err != nil {
		if ne, isNum := err.(*strconv.NumError); !isNum || ne.Err != strconv.ErrRange {
			return "", 0, 0, false
		}
		e = math.MaxInt32 // out of any range
	}
	return digits, scale, e, true
}

func assembleNumeric(digits string, scale int, neg bool) Numeric {
	if scale < 0 {
		digits += strings.Repeat("0", -scale)
		scale = 0
	}
	if len(digits) <= 18 {
		v := int64(0)
		for i := 0; i < len(digits); i++ {
			v = v*10 + int64(digits[i]-'0')
		}
		if neg {
			v = -v
		}
		return Numeric{Coef: v, Scale: int16(scale)}
	}
	b, _ := new(big.Int).SetString(digits, 10)
	if neg {
		b.Neg(b)
	}
	return NumericFromBig(b, int16(scale))
}

// AppendNumeric appends the text form of n.
func AppendNumeric(b []byte, n Numeric) []byte {
	switch n.Scale {
	case ScaleNaN:
		return append(b, "NaN"...)
	case ScalePosInf:
		return append(b, "Infinity"...)
	case ScaleNegInf:
		return append(b, "-Infinity"...)
	}
	var buf [24]byte
	var ds []byte
	if n.Big != nil {
		ds = n.Big.Append(nil, 10)
	} else {
		ds = strconv.AppendInt(buf[:0], n.Coef, 10)
	}
	if ds[0] == '-' {
		b = append(b, '-')
		ds = ds[1:]
	}
	scale := int(n.Scale)
	if scale == 0 {
		return append(b, ds...)
	}
	if len(ds) <= scale {
		b = append(b, '0', '.')
		for i := len(ds); i < scale; i++ {
			b = append(b, '0')
		}
		return append(b, ds...)
	}
	b = append(b, ds[:len(ds)-scale]...)
	b = append(b, '.')
	return append(b, ds[len(ds)-scale:]...)
}

// String returns the text form of n.
func (n Numeric) String() string { return string(AppendNumeric(nil, n)) }

// Float64 returns the nearest float.
func (n Numeric) Float64() float64 {
	switch n.Scale {
	case ScaleNaN:
		return math.NaN()
	case ScalePosInf:
		return math.Inf(1)
	case ScaleNegInf:
		return math.Inf(-1)
	}
	if n.Big == nil && absU(n.Coef) < 1<<53 && n.Scale <= 18 {
		// Both operands are exact, so the quotient is correctly rounded.
		return float64(n.Coef) / float64(pow10Table[n.Scale])
	}
	f, _ := strconv.ParseFloat(n.String(), 64)
	return f
}

// NumericFromFloat converts through the 15 (or 6) significant digits that
// PostgreSQL keeps.
func NumericFromFloat(f float64, bits int) (Numeric, error) {
	switch {
	case math.IsNaN(f):
		return NumericNaN, nil
	case math.IsInf(f, 1):
		return NumericPosInf, nil
	case math.IsInf(f, -1):
		return NumericNegInf, nil
	}
	prec := 15
	if bits == 32 {
		prec = 6
	}
	return ParseNumeric(string(appendG(nil, f, prec, 64)))
}

// Binary format: ndigits, weight, sign, dscale, base-10000 digits.
const (
	numericPos    = 0x0000
	numericNeg    = 0x4000
	numericNaN    = 0xC000
	numericPosInf = 0xD000
	numericNegInf = 0xF000
)

func appendNumericBinary(b []byte, n Numeric) []byte {
	be := binary.BigEndian
	if n.Scale < 0 {
		sign := map[int16]uint16{ScaleNaN: numericNaN, ScalePosInf: numericPosInf, ScaleNegInf: numericNegInf}[n.Scale]
		b = append(b, 0, 0, 0, 0)
		b = be.AppendUint16(b, sign)
		if n.Scale != ScaleNaN {
			return append(b, 0, 0x20) // a leftover of PostgreSQL's own form
		}
		return append(b, 0, 0)
	}
	ds := new(big.Int).Abs(n.Int()).String()
	if ds == "0" {
		ds = ""
	}
	// Align the point to a multiple of four digits on both sides.
	pad := (4 - int(n.Scale)%4) % 4
	ds += strings.Repeat("0", pad)
	frac := int(n.Scale) + pad
	if r := len(ds) % 4; r != 0 {
		ds = strings.Repeat("0", 4-r) + ds
	}
	var groups []uint16
	for i := 0; i < len(ds); i += 4 {
		v, _ := strconv.ParseUint(ds[i:i+4], 10, 16)
		groups = append(groups, uint16(v))
	}
	weight := len(groups) - frac/4 - 1
	for len(groups) > 0 && groups[0] == 0 {
		groups = groups[1:]
		weight--
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	sign := uint16(numericPos)
	if n.Sign() < 0 {
		sign = numericNeg
	}
	if len(groups) == 0 {
		weight = 0
	}
	b = be.AppendUint16(b, uint16(len(groups)))
	b = be.AppendUint16(b, uint16(int16(weight)))
	b = be.AppendUint16(b, sign)
	b = be.AppendUint16(b, uint16(n.Scale))
	for _, g := range groups {
		b = be.AppendUint16(b, g)
	}
	return b
}

func decodeNumericBinary(b []byte) (Numeric, error) {
	be := binary.BigEndian
	if len(b) < 8 {
		return Numeric{}, wrongSize(len(b), 8)
	}
	nd, weight := int(be.Uint16(b)), int(int16(be.Uint16(b[2:])))
	sign, scale := be.Uint16(b[4:]), int(be.Uint16(b[6:]))
	switch sign {
	case numericNaN:
		return NumericNaN, nil
	case numericPosInf:
		return NumericPosInf, nil
	case numericNegInf:
		return NumericNegInf, nil
	case numericPos, numericNeg:
	default:
		return Numeric{}, Errorf(CodeInvalidBinaryRepresentation, "invalid sign in external \"numeric\" value")
	}
	if scale > maxNumericScale {
		return Numeric{}, Errorf(CodeInvalidBinaryRepresentation, "invalid scale in external \"numeric\" value")
	}
	if len(b) != 8+2*nd {
		return Numeric{}, wrongSize(len(b), 8+2*nd)
	}
	// By way of decimal text, whose conversion is not quadratic.
	digits := make([]byte, 1, 1+4*nd)
	digits[0] = '0'
	for i := 0; i < nd; i++ {
		d := be.Uint16(b[8+2*i:])
		if d >= 10000 {
			return Numeric{}, Errorf(CodeInvalidBinaryRepresentation, "invalid digit in external \"numeric\" value")
		}
		digits = append(digits, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
	}
	v, _ := new(big.Int).SetString(string(digits), 10)
	// v counts units of 10^(4*(weight-nd+1)); bring it to 10^-scale.
	shift := 4*(weight-nd+1) + scale
	if shift >= 0 {
		v.Mul(v, bigPow10(shift))
	} else {
		v.Quo(v, bigPow10(-shift))
	}
	if sign == numericNeg {
		v.Neg(v)
	}
	return NumericFromBig(v, int16(scale)), nil
}

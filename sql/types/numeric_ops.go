package types

import (
	"math"
	"math/big"
	"math/bits"
)

// Limits of PostgreSQL's numeric.
const (
	maxNumericScale  = 16383
	maxDisplayScale  = 1000
	minSigDigits     = 16
	maxIntegerDigits = 131072
)

var pow10Table = func() (t [19]int64) {
	p := int64(1)
	for i := range t {
		t[i] = p
		if i < 18 {
			p *= 10
		}
	}
	return t
}()

var bigTen = big.NewInt(10)

// bigPow10 returns 10^n as a fresh integer.
func bigPow10(n int) *big.Int {
	if n <= 18 {
		return big.NewInt(pow10Table[n])
	}
	return new(big.Int).Exp(bigTen, big.NewInt(int64(n)), nil)
}

func mulOverflows(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(absU(a), absU(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, true
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), false
	}
	return int64(lo), false
}

func absU(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// rescaleUp returns the coefficient of n at a larger scale; ok is false if it
// does not fit an int64.
func (n Numeric) rescaleUp(scale int16) (int64, bool) {
	d := int(scale - n.Scale)
	if n.Big != nil || d > 18 {
		return 0, n.Big == nil && n.Coef == 0
	}
	v, over := mulOverflows(n.Coef, pow10Table[d])
	return v, !over
}

func (n Numeric) bigAt(scale int16) *big.Int {
	b := n.Int()
	if scale > n.Scale {
		return new(big.Int).Mul(b, bigPow10(int(scale-n.Scale)))
	}
	return b
}

// Sign returns -1, 0 or 1; NaN has sign 1, being greater than everything.
func (n Numeric) Sign() int {
	switch {
	case n.Scale == ScaleNegInf:
		return -1
	case n.Scale < 0:
		return 1
	case n.Big != nil:
		return n.Big.Sign()
	case n.Coef > 0:
		return 1
	case n.Coef < 0:
		return -1
	}
	return 0
}

// Neg returns -n.
func (n Numeric) Neg() Numeric {
	switch n.Scale {
	case ScaleNaN:
		return n
	case ScalePosInf:
		return NumericNegInf
	case ScaleNegInf:
		return NumericPosInf
	}
	if n.Big != nil || n.Coef == math.MinInt64 {
		return NumericFromBig(new(big.Int).Neg(n.Int()), n.Scale)
	}
	n.Coef = -n.Coef
	return n
}

// Abs returns |n|.
func (n Numeric) Abs() Numeric {
	if n.Sign() < 0 {
		return n.Neg()
	}
	return n
}

// Add returns a + b.
func (n Numeric) Add(b Numeric) Numeric {
	if n.Scale < 0 || b.Scale < 0 {
		return addSpecial(n, b)
	}
	scale := max(n.Scale, b.Scale)
	x, ok1 := n.rescaleUp(scale)
	y, ok2 := b.rescaleUp(scale)
	if ok1 && ok2 {
		if s := x + y; (s > x) == (y > 0) {
			return Numeric{Coef: s, Scale: scale}
		}
	}
	return NumericFromBig(new(big.Int).Add(n.bigAt(scale), b.bigAt(scale)), scale)
}

// Sub returns a - b.
func (n Numeric) Sub(b Numeric) Numeric { return n.Add(b.Neg()) }

func addSpecial(a, b Numeric) Numeric {
	switch {
	case a.IsNaN() || b.IsNaN():
		return NumericNaN
	case a.Scale >= 0:
		return b
	case b.Scale >= 0 || a.Scale == b.Scale:
		return a
	}
	return NumericNaN
}

// Mul returns a × b.
func (n Numeric) Mul(b Numeric) Numeric {
	if n.Scale < 0 || b.Scale < 0 {
		return mulSpecial(n, b)
	}
	scale := int(n.Scale) + int(b.Scale)
	if n.Big == nil && b.Big == nil && scale <= maxNumericScale {
		if v, over := mulOverflows(n.Coef, b.Coef); !over {
			return Numeric{Coef: v, Scale: int16(scale)}
		}
	}
	p := new(big.Int).Mul(n.Int(), b.Int())
	if scale > maxNumericScale {
		p = divRound(p, bigPow10(scale-maxNumericScale))
		scale = maxNumericScale
	}
	return NumericFromBig(p, int16(scale))
}

func mulSpecial(a, b Numeric) Numeric {
	s := a.Sign() * b.Sign()
	switch {
	case a.IsNaN() || b.IsNaN() || s == 0:
		return NumericNaN
	case s > 0:
		return NumericPosInf
	}
	return NumericNegInf
}

// Cmp orders numerics: -Infinity, finite, Infinity, NaN.
func (n Numeric) Cmp(b Numeric) int {
	if n.Scale == b.Scale && n.Big == nil && b.Big == nil && n.Scale >= 0 {
		switch {
		case n.Coef < b.Coef:
			return -1
		case n.Coef > b.Coef:
			return 1
		}
		return 0
	}
	if n.Scale < 0 || b.Scale < 0 {
		return specialRank(n) - specialRank(b)
	}
	if s, t := n.Sign(), b.Sign(); s != t {
		if s < t {
			return -1
		}
		return 1
	}
	scale := max(n.Scale, b.Scale)
	x, ok1 := n.rescaleUp(scale)
	y, ok2 := b.rescaleUp(scale)
	if ok1 && ok2 {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return n.bigAt(scale).Cmp(b.bigAt(scale))
}

func specialRank(n Numeric) int {
	switch n.Scale {
	case ScaleNaN:
		return 3
	case ScalePosInf:
		return 2
	case ScaleNegInf:
		return 0
	}
	return 1
}

// digits returns the number of decimal digits of the coefficient, 0 for zero.
func (n Numeric) digits() int {
	if n.Big != nil {
		return len(new(big.Int).Abs(n.Big).String())
	}
	u, d := absU(n.Coef), 0
	for u != 0 {
		u /= 10
		d++
	}
	return d
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// group returns the weight and value of the leading base-10000 digit, which is
// what PostgreSQL's scale rules are written in.
func (n Numeric) group() (weight, first int) {
	d := n.digits()
	if d == 0 {
		return 0, 0
	}
	exp := d - 1 - int(n.Scale)
	weight = floorDiv(exp, 4)
	want := exp - 4*weight + 1
	if n.Big == nil {
		u := absU(n.Coef)
		for ; d > want; d-- {
			u /= 10
		}
		for ; d < want; d++ {
			u *= 10
		}
		return weight, int(u)
	}
	s := new(big.Int).Abs(n.Big).String()
	for i := 0; i < want; i++ {
		c := byte('0')
		if i < len(s) {
			c = s[i]
		}
		first = first*10 + int(c-'0')
	}
	return weight, first
}

func clampScale(s int, atLeast ...int16) int {
	for _, a := range atLeast {
		s = max(s, int(a))
	}
	return min(max(s, 0), maxDisplayScale)
}

func divScale(a, b Numeric) int {
	w1, f1 := a.group()
	w2, f2 := b.group()
	q := w1 - w2
	if f1 <= f2 {
		q--
	}
	return clampScale(minSigDigits-q*4, a.Scale, b.Scale)
}

func errDivisionByZero() *Error {
	return Errorf(CodeDivisionByZero, "division by zero")
}

// ErrDivisionByZero returns the error of a division by zero.
func ErrDivisionByZero() error { return errDivisionByZero() }

// Div returns a / b at the scale that PostgreSQL chooses.
func (n Numeric) Div(b Numeric) (Numeric, error) {
	if n.Scale < 0 || b.Scale < 0 {
		return divSpecial(n, b)
	}
	if b.Sign() == 0 {
		return Numeric{}, errDivisionByZero()
	}
	return n.quo(b, divScale(n, b), true), nil
}

// quo returns a / b at a scale, rounded half away from zero or truncated.
func (n Numeric) quo(b Numeric, scale int, round bool) Numeric {
	shift := scale + int(b.Scale) - int(n.Scale)
	num, den := n.Int(), b.Int()
	if shift >= 0 {
		num = new(big.Int).Mul(num, bigPow10(shift))
	} else {
		den = new(big.Int).Mul(den, bigPow10(-shift))
	}
	if round {
		return NumericFromBig(divRound(num, den), int16(scale))
	}
	return NumericFromBig(new(big.Int).Quo(num, den), int16(scale))
}

// divRound returns a / b rounded half away from zero.
func divRound(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	r.Abs(r).Lsh(r, 1)
	if r.CmpAbs(b) >= 0 {
		if (a.Sign() < 0) != (b.Sign() < 0) {
			return q.Sub(q, big.NewInt(1))
		}
		return q.Add(q, big.NewInt(1))
	}
	return q
}

func divSpecial(a, b Numeric) (Numeric, error) {
	switch {
	case a.IsNaN() || b.IsNaN():
		return NumericNaN, nil
	case a.Scale < 0 && b.Scale < 0:
		return NumericNaN, nil
	case a.Scale < 0:
		if b.Sign() == 0 {
			return Numeric{}, errDivisionByZero()
		}
		return mulSpecial(a, b), nil
	}
	return Numeric{}, nil // finite / infinite
}

// DivTrunc returns the integer quotient, truncated toward zero (div).
func (n Numeric) DivTrunc(b Numeric) (Numeric, error) {
	if n.Scale < 0 || b.Scale < 0 {
		return divSpecial(n, b)
	}
	if b.Sign() == 0 {
		return Numeric{}, errDivisionByZero()
	}
	return n.quo(b, 0, false), nil
}

// Mod returns the remainder of the truncated division.
func (n Numeric) Mod(b Numeric) (Numeric, error) {
	switch {
	case n.IsNaN() || b.IsNaN():
		return NumericNaN, nil
	case n.Scale < 0:
		if b.Sign() == 0 && b.Scale >= 0 {
			return Numeric{}, errDivisionByZero()
		}
		return NumericNaN, nil
	case b.Scale < 0:
		return n, nil
	case b.Sign() == 0:
		return Numeric{}, errDivisionByZero()
	}
	scale := max(n.Scale, b.Scale)
	x, ok1 := n.rescaleUp(scale)
	y, ok2 := b.rescaleUp(scale)
	if ok1 && ok2 && y != -1 {
		return Numeric{Coef: x % y, Scale: scale}, nil
	}
	return NumericFromBig(new(big.Int).Rem(n.bigAt(scale), b.bigAt(scale)), scale), nil
}

// Round returns n rounded half away from zero to a number of decimals, which
// may be negative.
func (n Numeric) Round(decimals int) Numeric { return n.cut(decimals, true) }

// Trunc returns n cut to a number of decimals.
func (n Numeric) Trunc(decimals int) Numeric { return n.cut(decimals, false) }

func (n Numeric) cut(decimals int, round bool) Numeric {
	if n.Scale < 0 {
		return n
	}
	decimals = min(max(decimals, -maxIntegerDigits), maxNumericScale)
	if decimals >= int(n.Scale) {
		if v, ok := n.rescaleUp(int16(decimals)); ok {
			return Numeric{Coef: v, Scale: int16(decimals)}
		}
		return NumericFromBig(n.bigAt(int16(decimals)), int16(decimals))
	}
	drop := int(n.Scale) - decimals
	if n.Big == nil && drop <= 18 && decimals >= 0 {
		p := pow10Table[drop]
		q, r := n.Coef/p, n.Coef%p
		if round && absU(r) >= uint64(p)-absU(r) {
			if n.Coef < 0 {
				q--
			} else {
				q++
			}
		}
		return Numeric{Coef: q, Scale: int16(decimals)}
	}
	var q *big.Int
	if round {
		q = divRound(n.Int(), bigPow10(drop))
	} else {
		q = new(big.Int).Quo(n.Int(), bigPow10(drop))
	}
	if decimals < 0 {
		return NumericFromBig(q.Mul(q, bigPow10(-decimals)), 0)
	}
	return NumericFromBig(q, int16(decimals))
}

// Floor returns the greatest integer not above n.
func (n Numeric) Floor() Numeric {
	t := n.Trunc(0)
	if n.Sign() < 0 && n.Scale >= 0 && t.Cmp(n) != 0 {
		return t.Sub(NumericFromInt(1))
	}
	return t
}

// Ceil returns the least integer not below n.
func (n Numeric) Ceil() Numeric { return n.Neg().Floor().Neg() }

// Int64 returns n rounded to an integer; ok is false out of range.
func (n Numeric) Int64() (v int64, ok bool) {
	if n.Scale < 0 {
		return 0, false
	}
	r := n
	if n.Scale != 0 {
		r = n.Round(0)
	}
	return r.Coef, r.Big == nil
}

// Exponent returns the power of ten of the leading digit, 0 for zero.
func (n Numeric) Exponent() int {
	if n.Sign() == 0 {
		return 0
	}
	return n.exponent()
}

// Shift returns n × 10^places, exactly.
func (n Numeric) Shift(places int) Numeric {
	if n.Scale < 0 {
		return n
	}
	if places < 0 {
		n.Scale += int16(-places)
		return n
	}
	if places <= int(n.Scale) {
		n.Scale -= int16(places)
		return n
	}
	return NumericFromBig(new(big.Int).Mul(n.Int(), bigPow10(places-int(n.Scale))), 0)
}

// IsInteger reports whether n has no fraction.
func (n Numeric) IsInteger() bool { return n.Scale >= 0 && n.Trunc(0).Cmp(n) == 0 }

// Reduce drops trailing zeros after the point (trim_scale).
func (n Numeric) Reduce() Numeric {
	for n.Scale > 0 {
		if n.Big != nil {
			q, r := new(big.Int).QuoRem(n.Big, bigTen, new(big.Int))
			if r.Sign() != 0 {
				return n
			}
			n = NumericFromBig(q, n.Scale-1)
			continue
		}
		if n.Coef%10 != 0 {
			return n
		}
		n.Coef /= 10
		n.Scale--
	}
	return n
}

// ApplyNumericMod rounds n to a declared precision and scale.
func ApplyNumericMod(n Numeric, mod int32) (Numeric, error) {
	if mod < 4 || n.IsNaN() {
		return n, nil
	}
	p, s := NumericMod(mod)
	if n.Scale < 0 {
		return n, Errorf(CodeNumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d cannot hold an infinite value.", p, s)
	}
	if int(n.Scale) != s {
		n = n.Round(s)
	}
	if d := n.digits(); d > p && d-int(n.Scale) > p-s {
		limit := "1"
		if p != s {
			limit = "10^" + itoa(p-s)
		}
		return n, Errorf(CodeNumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d must round to an absolute value less than %s.", p, s, limit)
	}
	if s < 0 && n.digits() > p-s {
		return n, Errorf(CodeNumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d must round to an absolute value less than 10^%d.", p, s, p-s)
	}
	return n, nil
}

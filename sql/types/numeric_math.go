package types

import (
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// toDecimal and fromDecimal go through apd for the transcendental functions.
func (n Numeric) toDecimal() *apd.Decimal {
	d := new(apd.Decimal)
	d.Coeff.SetMathBigInt(new(big.Int).Abs(n.Int()))
	d.Negative = n.Sign() < 0
	d.Exponent = -int32(n.Scale)
	return d
}

// fromDecimal rounds d half away from zero to a number of decimals.
func fromDecimal(d *apd.Decimal, scale int) Numeric {
	b := d.Coeff.MathBigInt()
	if d.Negative {
		b = new(big.Int).Neg(b)
	}
	if e := int(d.Exponent) + scale; e >= 0 {
		b = new(big.Int).Mul(b, bigPow10(e))
	} else {
		b = divRound(b, bigPow10(-e))
	}
	return NumericFromBig(b, int16(scale))
}

func apdContext(digits int) *apd.Context {
	c := apd.BaseContext.WithPrecision(uint32(max(digits, 20)))
	c.MaxExponent, c.MinExponent = apd.MaxExponent, apd.MinExponent
	c.Traps = apd.DefaultTraps &^ (apd.Inexact | apd.Rounded | apd.Subnormal | apd.Underflow)
	return c
}

// exponent returns the power of ten of the leading digit.
func (n Numeric) exponent() int { return n.digits() - 1 - int(n.Scale) }

// NumericSqrt returns the square root at PostgreSQL's scale.
func NumericSqrt(n Numeric) (Numeric, error) {
	if n.Scale < 0 {
		if n.Scale == ScaleNegInf {
			return n, errSqrt()
		}
		return n, nil
	}
	if n.Sign() < 0 {
		return n, errSqrt()
	}
	w, _ := n.group()
	sweight := (w+1)*4/2 - 1
	scale := clampScale(minSigDigits-sweight, n.Scale)
	// One more digit decides the rounding; the rest only matters if it is not
	// zero, and a square root that ends in 5 exactly has a zero rest.
	shift := 2*(scale+1) - int(n.Scale)
	v := n.Int()
	if shift >= 0 {
		v = new(big.Int).Mul(v, bigPow10(shift))
	} else {
		v = new(big.Int).Quo(v, bigPow10(-shift))
	}
	r := new(big.Int).Sqrt(v)
	return NumericFromBig(divRound(r, bigTen), int16(scale)), nil
}

func errSqrt() *Error {
	return Errorf(CodeInvalidPowerArgument, "cannot take square root of a negative number")
}

const log10e = 0.434294481903252

// NumericExp returns e^n at PostgreSQL's scale.
func NumericExp(n Numeric) (Numeric, error) {
	switch {
	case n.IsNaN(), n.Scale == ScalePosInf:
		return n, nil
	case n.Scale == ScaleNegInf:
		return Numeric{}, nil
	}
	val := n.Float64() * log10e
	if val >= maxIntegerDigits {
		return n, errNumericOverflow()
	}
	val = math.Max(math.Min(val, 2000), -2000)
	scale := clampScale(minSigDigits-int(val), n.Scale)
	return expAt(n, scale)
}

func expAt(n Numeric, scale int) (Numeric, error) {
	f := n.Float64() * log10e
	if f < -float64(scale)-5 {
		return Numeric{Scale: int16(scale)}, nil
	}
	d := new(apd.Decimal)
	digits := scale + int(math.Max(f, 0)) + 12
	if _, err := apdContext(digits).Exp(d, n.toDecimal()); err != nil {
		return n, errNumericOverflow()
	}
	return fromDecimal(d, scale), nil
}

// lnWeight estimates the power of ten of ln(n), which sets its scale.
func lnWeight(n Numeric) int {
	f := n.Float64()
	if f >= 0.9 && f <= 1.1 {
		x := n.Sub(NumericFromInt(1))
		if x.Sign() == 0 {
			return 0
		}
		w, first := x.group()
		return w*4 + int(math.Log10(float64(first)))
	}
	if n.Sign() == 0 {
		return 0
	}
	w, first := n.group()
	weight, lead := w*4, float64(first)
	if n.digits()-1-n.exponent()+4*w > 0 {
		// PostgreSQL looks at two base-10000 digits if there are two.
		if second, ok := n.secondGroup(w); ok {
			lead = lead*10000 + float64(second)
			weight -= 4
		}
	}
	ln := math.Log(lead) + float64(weight)*math.Ln10
	return int(math.Log10(math.Abs(ln)))
}

// secondGroup returns the base-10000 digit after the leading one.
func (n Numeric) secondGroup(weight int) (int, bool) {
	lead := n.Abs().Trunc(max(-4*(weight-1), 0))
	if weight-1 >= 0 {
		lead = n.Abs().quo(NumericFromBig(bigPow10(4*(weight-1)), 0), 0, false)
		v := new(big.Int).Mod(lead.Int(), big.NewInt(10000))
		return int(v.Int64()), n.hasDigitsBelow(weight)
	}
	v := new(big.Int).Mod(lead.Int(), big.NewInt(10000))
	return int(v.Int64()), n.hasDigitsBelow(weight)
}

func (n Numeric) hasDigitsBelow(weight int) bool {
	if weight < 0 {
		return int(n.Scale) > -4*weight
	}
	whole := n.quo(NumericFromBig(bigPow10(4*weight), 0), 0, false)
	return whole.Mul(NumericFromBig(bigPow10(4*weight), 0)).Cmp(n) != 0
}

func lnArgument(n Numeric) error {
	switch {
	case n.Sign() == 0:
		return Errorf(CodeInvalidLogArgument, "cannot take logarithm of zero")
	case n.Sign() < 0:
		return Errorf(CodeInvalidLogArgument, "cannot take logarithm of a negative number")
	}
	return nil
}

// NumericLn returns the natural logarithm at PostgreSQL's scale.
func NumericLn(n Numeric) (Numeric, error) {
	if n.IsNaN() || n.Scale == ScalePosInf {
		return n, nil
	}
	if err := lnArgument(n); err != nil {
		return n, err
	}
	return lnAt(n, clampScale(minSigDigits-lnWeight(n), n.Scale))
}

func lnAt(n Numeric, scale int) (Numeric, error) {
	d, err := lnDecimal(n, scale+12)
	if err != nil {
		return n, err
	}
	return fromDecimal(d, scale), nil
}

func lnDecimal(n Numeric, digits int) (*apd.Decimal, error) {
	d := new(apd.Decimal)
	if _, err := apdContext(digits+10).Ln(d, n.toDecimal()); err != nil {
		return nil, Errorf(CodeInvalidLogArgument, "logarithm failed: %v", err)
	}
	return d, nil
}

// NumericLog returns the logarithm of n to a base at PostgreSQL's scale.
func NumericLog(base, n Numeric) (Numeric, error) {
	if base.IsNaN() || n.IsNaN() {
		return NumericNaN, nil
	}
	if n.Scale == ScaleNegInf {
		return n, lnArgument(n)
	}
	if err := lnArgument(base); err != nil {
		return n, err
	}
	if err := lnArgument(n); err != nil {
		return n, err
	}
	switch {
	case base.IsSpecial() && n.IsSpecial():
		return NumericNaN, nil
	case base.IsSpecial():
		return Numeric{}, nil
	case n.IsSpecial():
		return NumericPosInf, nil
	}
	scale := clampScale(minSigDigits-(lnWeight(n)-lnWeight(base)), n.Scale, base.Scale)
	lb, err := lnDecimal(base, scale+20)
	if err != nil {
		return n, err
	}
	ln, err := lnDecimal(n, scale+20)
	if err != nil {
		return n, err
	}
	if lb.IsZero() {
		return n, errDivisionByZero()
	}
	q := new(apd.Decimal)
	if _, err := apdContext(scale+30).Quo(q, ln, lb); err != nil {
		return n, errNumericOverflow()
	}
	return fromDecimal(q, scale), nil
}

// NumericVariance returns the variance, or its root, of n values with a given
// sum and sum of squares.
func NumericVariance(n int64, sum, squares Numeric, sample, root bool) (Numeric, error) {
	if sum.IsSpecial() || squares.IsSpecial() {
		return NumericNaN, nil
	}
	count := NumericFromInt(n)
	num := count.Mul(squares).Sub(sum.Mul(sum))
	if num.Sign() <= 0 {
		return Numeric{}, nil
	}
	den := count.Mul(count)
	if sample {
		den = count.Mul(NumericFromInt(n - 1))
	}
	scale := divScale(num, den)
	v := num.quo(den, scale, true)
	if !root {
		return v, nil
	}
	shift := 2*(scale+1) - int(v.Scale)
	s := new(big.Int).Sqrt(new(big.Int).Mul(v.Int(), bigPow10(shift)))
	return NumericFromBig(divRound(s, bigTen), int16(scale)), nil
}

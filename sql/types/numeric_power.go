package types

import (
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// NumericPower returns base^exp at PostgreSQL's scale.
func NumericPower(base, exp Numeric) (Numeric, error) {
	if base.Scale < 0 || exp.Scale < 0 {
		return powerSpecial(base, exp)
	}
	if base.Sign() == 0 && exp.Sign() < 0 {
		return base, Errorf(CodeInvalidPowerArgument, "zero raised to a negative power is undefined")
	}
	if base.Sign() < 0 && !exp.IsInteger() {
		return base, Errorf(CodeInvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
	}
	if exp.IsInteger() {
		if e := exp.Trunc(0); e.Big == nil && e.Coef >= math.MinInt32 && e.Coef <= math.MaxInt32 {
			return powerInt(base, exp, e.Coef)
		}
	}
	if base.Sign() == 0 {
		return Numeric{Scale: minSigDigits}, nil
	}
	return powerGeneral(base, exp)
}

// powerInt raises to an integer power.
func powerInt(base, exp Numeric, e int64) (Numeric, error) {
	switch e {
	case 0:
		return NumericFromInt(1).Round(clampScale(minSigDigits, base.Scale)), nil
	}
	if base.Sign() == 0 {
		return Numeric{Scale: int16(clampScale(minSigDigits, base.Scale, exp.Scale))}, nil
	}
	lead, weight := leadingDigits(base)
	f := float64(e) * (math.Log10(lead) + float64(weight))
	if f > maxIntegerDigits+1 {
		return base, errNumericOverflow()
	}
	scale := clampScale(minSigDigits, base.Scale, exp.Scale)
	if f+1 < -float64(scale) {
		return Numeric{Scale: int16(scale)}, nil
	}
	switch e {
	case 1:
		return base.Round(scale), nil
	case -1:
		return NumericFromInt(1).quo(base, scale, true), nil
	case 2:
		return base.Mul(base).Round(scale), nil
	}
	return powerByApd(base, NumericFromInt(e), scale, f)
}

// leadingDigits returns base's absolute value as lead × 10^weight, the lead
// made of at most the first two base-10000 digits.
func leadingDigits(base Numeric) (lead float64, weight int) {
	w, first := base.group()
	lead, weight = float64(first), w*4
	if second, ok := base.secondGroup(w); ok {
		lead = lead*10000 + float64(second)
		weight -= 4
	}
	return lead, weight
}

func powerByApd(base, exp Numeric, scale int, log10 float64) (Numeric, error) {
	digits := scale + int(math.Max(log10, 0)) + 16
	if exp.IsInteger() && exp.Sign() > 0 && exp.Big == nil && exp.Coef*int64(base.digits()) < 20000 {
		b := new(big.Int).Exp(base.Int(), big.NewInt(exp.Coef), nil)
		total := int(base.Scale) * int(exp.Coef)
		if total <= scale {
			return NumericFromBig(b.Mul(b, bigPow10(scale-total)), int16(scale)), nil
		}
		return NumericFromBig(divRound(b, bigPow10(total-scale)), int16(scale)), nil
	}
	d := new(apd.Decimal)
	c := apdContext(digits + 10)
	if _, err := c.Pow(d, base.toDecimal(), exp.toDecimal()); err != nil {
		return base, errNumericOverflow()
	}
	return fromDecimal(d, scale), nil
}

// powerGeneral computes exp(exp × ln(base)).
func powerGeneral(base, exp Numeric) (Numeric, error) {
	neg := base.Sign() < 0
	if neg {
		base = base.Abs()
		half, err := exp.Trunc(0).Mod(NumericFromInt(2))
		if err != nil {
			return base, err
		}
		neg = half.Sign() != 0
	}
	ln, err := lnAt(base, max(8-lnWeight(base), int(exp.Scale), 8)+8)
	if err != nil {
		return base, err
	}
	val := ln.Mul(exp).Float64() * log10e
	if val > maxIntegerDigits {
		return base, errNumericOverflow()
	}
	scale := clampScale(minSigDigits-int(math.Max(val, -2000)), base.Scale, exp.Scale)
	if val < -float64(scale)-2 {
		return Numeric{Scale: int16(scale)}, nil
	}
	r, err := powerByApd(base, exp, scale, val)
	if neg {
		r = r.Neg()
	}
	return r, err
}

// powerSpecial follows the rules of POSIX for NaN and the infinities.
func powerSpecial(base, exp Numeric) (Numeric, error) {
	one := NumericFromInt(1)
	switch {
	case base.Scale >= 0 && base.Cmp(one) == 0, exp.Scale >= 0 && exp.Sign() == 0:
		return one, nil
	case base.IsNaN() || exp.IsNaN():
		return NumericNaN, nil
	}
	if exp.IsSpecial() {
		c := base.Abs().Cmp(one)
		switch {
		case base.Sign() == 0 && exp.Sign() < 0:
			return base, Errorf(CodeInvalidPowerArgument, "zero raised to a negative power is undefined")
		case c == 0:
			return one, nil
		case (c > 0) == (exp.Sign() > 0):
			return NumericPosInf, nil
		}
		return Numeric{}, nil
	}
	switch {
	case exp.Sign() < 0:
		return Numeric{}, nil
	case base.Sign() > 0:
		return NumericPosInf, nil
	case !exp.IsInteger():
		return base, Errorf(CodeInvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
	}
	odd, err := exp.Mod(NumericFromInt(2))
	if err == nil && odd.Sign() != 0 {
		return NumericNegInf, nil
	}
	return NumericPosInf, err
}

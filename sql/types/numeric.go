package types

import "math/big"

// Numeric is a decimal: Coef × 10^-Scale, or Big × 10^-Scale when Big is set.
// Scale is the display scale. A negative Scale marks NaN and the infinities.
type Numeric struct {
	Coef  int64
	Scale int16
	Big   *big.Int
}

// Special forms, told apart by their Scale.
const (
	ScaleNaN    int16 = -1
	ScalePosInf int16 = -2
	ScaleNegInf int16 = -3
)

// The special numerics.
var (
	NumericNaN    = Numeric{Scale: ScaleNaN}
	NumericPosInf = Numeric{Scale: ScalePosInf}
	NumericNegInf = Numeric{Scale: ScaleNegInf}
)

// NumericFromInt returns v with display scale 0.
func NumericFromInt(v int64) Numeric { return Numeric{Coef: v} }

// NumericFromBig returns b × 10^-scale in its normal form; it keeps b.
func NumericFromBig(b *big.Int, scale int16) Numeric {
	if b.IsInt64() {
		return Numeric{Coef: b.Int64(), Scale: scale}
	}
	return Numeric{Scale: scale, Big: b}
}

// IsSpecial reports whether n is NaN or an infinity.
func (n Numeric) IsSpecial() bool { return n.Scale < 0 }

// IsNaN reports whether n is NaN.
func (n Numeric) IsNaN() bool { return n.Scale == ScaleNaN }

// Int returns the coefficient as a big integer that the caller may not change.
func (n Numeric) Int() *big.Int {
	if n.Big != nil {
		return n.Big
	}
	return big.NewInt(n.Coef)
}

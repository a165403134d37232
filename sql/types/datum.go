package types

import (
	"math"
	"math/big"
	"unsafe"
)

// Datum is one SQL value, or NULL if it is the zero Datum. It does not know its
// type: whoever holds it does.
type Datum struct {
	repr  Repr
	scale int16 // numerics: display scale, or a special form
	i     int64 // Int64 values; float bits; numeric coefficient
	s     string
	big   *big.Int
}

// Null is SQL's NULL.
var Null = Datum{}

// NewInt returns an Int64 datum: any integer, oid, date, time or timestamp.
func NewInt(v int64) Datum { return Datum{repr: Int64, i: v} }

// NewBool returns a boolean.
func NewBool(v bool) Datum {
	if v {
		return Datum{repr: Int64, i: 1}
	}
	return Datum{repr: Int64}
}

// NewFloat returns a Float64 datum.
func NewFloat(v float64) Datum { return Datum{repr: Float64, i: int64(math.Float64bits(v))} }

// NewString returns a Bytes datum.
func NewString(s string) Datum { return Datum{repr: Bytes, s: s} }

// NewBytes returns a Bytes datum holding a copy of b.
func NewBytes(b []byte) Datum { return Datum{repr: Bytes, s: string(b)} }

// NewNumeric returns a numeric.
func NewNumeric(n Numeric) Datum {
	return Datum{repr: Numerics, i: n.Coef, scale: n.Scale, big: n.Big}
}

// IsNull reports whether d is NULL.
func (d Datum) IsNull() bool { return d.repr == Invalid }

// Repr returns the representation of d, Invalid for NULL.
func (d Datum) Repr() Repr { return d.repr }

// Int returns the value of an Int64 datum.
func (d Datum) Int() int64 { return d.i }

// Bool returns the value of a boolean datum.
func (d Datum) Bool() bool { return d.i != 0 }

// Float returns the value of a Float64 datum.
func (d Datum) Float() float64 { return math.Float64frombits(uint64(d.i)) }

// Str returns the value of a Bytes datum as a string.
func (d Datum) Str() string { return d.s }

// Bytes returns the value of a Bytes datum. The bytes must not be changed.
func (d Datum) Bytes() []byte { return unsafe.Slice(unsafe.StringData(d.s), len(d.s)) }

// Numeric returns the value of a numeric datum.
func (d Datum) Numeric() Numeric { return Numeric{Coef: d.i, Scale: d.scale, Big: d.big} }

// BytesEqual reports whether two data have the same image: same null-ness, and
// the same bits. It is not SQL equality: 1.0 and 1.00 differ.
func (d Datum) BytesEqual(o Datum) bool {
	if d.repr != o.repr || d.scale != o.scale || d.i != o.i || d.s != o.s {
		return false
	}
	if d.big == nil || o.big == nil {
		return d.big == o.big
	}
	return d.big.Cmp(o.big) == 0
}

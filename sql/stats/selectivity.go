package stats

import (
	"bytes"
	"math"
	"math/big"
	"sort"

	"github.com/pamirdb/pamir/sql/types"
)

// Shares of rows that a condition keeps when nothing is known about it.
const (
	DefaultEq       = 0.005
	DefaultRange    = 1.0 / 3
	DefaultInterval = 0.005
	DefaultMatch    = 0.005
	DefaultNull     = 0.005
	DefaultBool     = 0.5
	DefaultDistinct = 200
	DefaultRows     = 1000
)

func clamp(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return math.Min(f, 1)
}

// Eq estimates the share of rows whose value equals v.
func (c *Column) Eq(v types.Datum, rows float64) float64 {
	if c == nil {
		return DefaultEq
	}
	if v.IsNull() {
		return 0
	}
	sum := 0.0
	for _, m := range c.Common {
		if compare(m.Value, v) == 0 || samePadded(m.Value, v) {
			return clamp(m.Frac)
		}
		sum += m.Frac
	}
	others := c.DistinctOf(rows) - float64(len(c.Common))
	if others < 1 {
		// All values are common and v is none of them: rarer than the rarest.
		return clamp(0.5 / math.Max(rows, 1))
	}
	return clamp((1 - sum - c.NullFrac) / others)
}

// EqUnknown estimates the share of rows equal to a value that is not known.
func (c *Column) EqUnknown(rows float64) float64 {
	if c == nil {
		return DefaultEq
	}
	return clamp((1 - c.NullFrac) / c.DistinctOf(rows))
}

// Null estimates the share of NULLs.
func (c *Column) Null() float64 {
	if c == nil {
		return DefaultNull
	}
	return clamp(c.NullFrac)
}

// Less estimates the share of rows below v, or equal to it if inclusive.
func (c *Column) Less(v types.Datum, inclusive bool) float64 {
	if c == nil || v.IsNull() || (len(c.Bounds) < 2 && len(c.Common) == 0) {
		return DefaultRange
	}
	below, common := 0.0, 0.0
	for _, m := range c.Common {
		common += m.Frac
		if k := compare(m.Value, v); k < 0 || k == 0 && inclusive {
			below += m.Frac
		}
	}
	rest := clamp(1 - common - c.NullFrac)
	return clamp(below + rest*c.histogramBelow(v))
}

// Range estimates the share of rows between low and high; a NULL datum is an
// open end.
func (c *Column) Range(low, high types.Datum, lowIncl, highIncl bool) float64 {
	switch {
	case low.IsNull() && high.IsNull():
		return clamp(1 - c.Null())
	case c == nil || len(c.Bounds) < 2 && len(c.Common) == 0:
		if low.IsNull() || high.IsNull() {
			return DefaultRange
		}
		return DefaultInterval
	case low.IsNull():
		return c.Less(high, highIncl)
	case high.IsNull():
		return clamp(1 - c.NullFrac - c.Less(low, !lowIncl))
	}
	return clamp(c.Less(high, highIncl) - c.Less(low, !lowIncl))
}

// samePadded reports whether two strings differ in trailing blanks alone: values
// of character(n) are stored with them, and constants come without.
func samePadded(a, b types.Datum) bool {
	return a.Repr() == types.Bytes && b.Repr() == types.Bytes &&
		bytes.Equal(bytes.TrimRight(a.Bytes(), " "), bytes.TrimRight(b.Bytes(), " "))
}

func (c *Column) histogramBelow(v types.Datum) float64 {
	n := len(c.Bounds)
	if n < 2 {
		return 0.5
	}
	i := sort.Search(n, func(i int) bool { return compare(c.Bounds[i], v) >= 0 })
	switch i {
	case 0:
		return 0
	case n:
		return 1
	}
	return (float64(i-1) + position(c.Bounds[i-1], c.Bounds[i], v)) / float64(n-1)
}

// position says where between low and high v lies, 0 to 1.
func position(low, high, v types.Datum) float64 {
	l, h, x := number(low), number(high), number(v)
	if !(h > l) || math.IsInf(h-l, 0) {
		return 0.5
	}
	return clamp((x - l) / (h - l))
}

// number maps a datum to the number line, keeping the order roughly.
func number(d types.Datum) float64 {
	switch d.Repr() {
	case types.Int64:
		return float64(d.Int())
	case types.Float64:
		return d.Float()
	case types.Numerics:
		n := d.Numeric()
		if n.IsSpecial() {
			return math.Inf(1)
		}
		f, _ := new(big.Float).SetInt(n.Int()).Float64()
		return f * math.Pow10(-int(n.Scale))
	}
	var u uint64
	s := d.Str()
	for i := 0; i < 7; i++ {
		u <<= 8
		if i < len(s) {
			u |= uint64(s[i])
		}
	}
	return float64(u)
}

// compare orders data of one type well enough for estimates.
func compare(a, b types.Datum) int {
	if a.Repr() != b.Repr() {
		return cmpFloat(number(a), number(b))
	}
	switch a.Repr() {
	case types.Int64:
		switch x, y := a.Int(), b.Int(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	case types.Bytes:
		return bytes.Compare(a.Bytes(), b.Bytes())
	case types.Numerics:
		return cmpNumeric(a.Numeric(), b.Numeric())
	}
	return cmpFloat(number(a), number(b))
}

func cmpFloat(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	case x == y:
		return 0
	case x != x && y != y:
		return 0
	case x != x: // NaN is the greatest
		return 1
	}
	return -1
}

func cmpNumeric(a, b types.Numeric) int {
	if a.IsSpecial() || b.IsSpecial() {
		rank := func(n types.Numeric) int {
			switch {
			case n.Scale == types.ScaleNegInf:
				return -1
			case n.Scale == types.ScalePosInf:
				return 1
			case n.IsNaN():
				return 2
			}
			return 0
		}
		return rank(a) - rank(b)
	}
	x, y := a.Int(), b.Int()
	if d := int64(a.Scale) - int64(b.Scale); d != 0 {
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(abs(d)), nil)
		if d > 0 {
			y = p.Mul(p, y)
		} else {
			x = p.Mul(p, x)
		}
	}
	return x.Cmp(y)
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

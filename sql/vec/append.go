package vec

import (
	"slices"

	"github.com/pamirdb/pamir/sql/types"
)

// extend adds one position at the end and returns it.
func (v *Vector) extend() int {
	i := v.n
	v.n++
	switch v.Repr {
	case types.Int64:
		v.Ints = append(v.Ints, 0)
	case types.Float64:
		v.Floats = append(v.Floats, 0)
	case types.Bytes:
		v.Spans = append(v.Spans, Span{})
	case types.Numerics:
		v.Ints = append(v.Ints, 0)
		v.Scales = append(v.Scales, 0)
	}
	return i
}

// Extend adds n positions at the end, whose values are zero, and returns the
// first: decoders write them by position.
func (v *Vector) Extend(n int) int {
	i := v.n
	v.n += n
	switch v.Repr {
	case types.Int64:
		v.Ints = extendBy(v.Ints, n)
	case types.Float64:
		v.Floats = extendBy(v.Floats, n)
	case types.Bytes:
		v.Spans = extendBy(v.Spans, n)
	case types.Numerics:
		v.Ints, v.Scales = extendBy(v.Ints, n), extendBy(v.Scales, n)
	}
	return i
}

func extendBy[T any](s []T, n int) []T {
	l := len(s)
	s = slices.Grow(s, n)[:l+n]
	clear(s[l:])
	return s
}

// AppendInt appends an Int64 value.
func (v *Vector) AppendInt(x int64) { v.Ints = append(v.Ints, x); v.n++ }

// AppendBool appends a boolean.
func (v *Vector) AppendBool(x bool) {
	i := int64(0)
	if x {
		i = 1
	}
	v.AppendInt(i)
}

// AppendFloat appends a Float64 value.
func (v *Vector) AppendFloat(x float64) { v.Floats = append(v.Floats, x); v.n++ }

// AppendBytes appends a copy of b.
func (v *Vector) AppendBytes(b []byte) { v.SetBytes(v.extend(), b) }

// AppendStr appends a copy of s.
func (v *Vector) AppendStr(s string) { v.SetStr(v.extend(), s) }

// AppendNumeric appends a numeric.
func (v *Vector) AppendNumeric(n types.Numeric) { v.SetNumeric(v.extend(), n) }

// AppendNull appends NULL.
func (v *Vector) AppendNull() { v.SetNull(v.extend()) }

// AppendDatum appends d.
func (v *Vector) AppendDatum(d types.Datum) {
	i := v.extend()
	if d.IsNull() {
		v.SetNull(i)
		return
	}
	v.SetDatum(i, d)
}

// AppendFrom appends the value at position j of src, which has the same
// representation.
func (v *Vector) AppendFrom(src *Vector, j int) {
	i := v.extend()
	if src.IsNull(j) {
		v.SetNull(i)
		return
	}
	v.copyValue(i, src, j)
}

// CopyFrom stores the value at position j of src at position i.
func (v *Vector) CopyFrom(i int, src *Vector, j int) {
	if src.IsNull(j) {
		v.SetNull(i)
		v.zero(i)
		return
	}
	v.ClearNull(i)
	v.copyValue(i, src, j)
}

func (v *Vector) copyValue(i int, src *Vector, j int) {
	switch v.Repr {
	case types.Int64:
		v.Ints[i] = src.Int(j)
	case types.Float64:
		v.Floats[i] = src.Float(j)
	case types.Bytes:
		v.SetBytes(i, src.Bytes(j))
	case types.Numerics:
		v.SetNumeric(i, src.Numeric(j))
	}
}

// AppendSel appends the values of src at the positions sel, or its first n
// values when sel is nil.
func (v *Vector) AppendSel(src *Vector, sel []int32, n int) {
	if sel == nil && !src.Const {
		v.appendRange(src, n)
		return
	}
	switch {
	case sel != nil && !src.Const:
		v.gather(src, sel)
	case sel != nil:
		for _, j := range sel {
			v.AppendFrom(src, int(j))
		}
	default:
		for j := 0; j < n; j++ {
			v.AppendFrom(src, j)
		}
	}
}

func (v *Vector) appendRange(src *Vector, n int) {
	base := v.n
	switch v.Repr {
	case types.Int64:
		v.Ints = append(v.Ints, src.Ints[:n]...)
		v.n += n
	case types.Float64:
		v.Floats = append(v.Floats, src.Floats[:n]...)
		v.n += n
	default:
		for j := 0; j < n; j++ {
			v.AppendFrom(src, j)
		}
		return
	}
	if src.HasNulls() {
		for j := 0; j < n; j++ {
			if src.IsNull(j) {
				v.SetNull(base + j)
			}
		}
	}
}

// Alias makes v show the values of src without copying; v must not be written
// to until it is Reset.
func (v *Vector) Alias(src *Vector) {
	*v = *src
	v.shared = true
	// Full slices, so that an append through v cannot reach src's memory.
	v.Nulls = v.Nulls[:len(v.Nulls):len(v.Nulls)]
	v.Ints = v.Ints[:len(v.Ints):len(v.Ints)]
	v.Floats = v.Floats[:len(v.Floats):len(v.Floats)]
	v.Spans = v.Spans[:len(v.Spans):len(v.Spans)]
	v.Scales = v.Scales[:len(v.Scales):len(v.Scales)]
	v.Arena = v.Arena[:len(v.Arena):len(v.Arena)]
}

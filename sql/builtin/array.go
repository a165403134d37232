package builtin

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	rows(map[string]RowFunc{
		"array_append":      func(c *Call) error { return arrayInsert(c, 0, 1, false) },
		"array_prepend":     func(c *Call) error { return arrayInsert(c, 1, 0, true) },
		"array_cat":         arrayCat,
		"array_dims":        arrayDims,
		"array_ndims":       func(c *Call) error { return dimOrNull(c, int64(c.Array(0).NDim())) },
		"array_cardinality": func(c *Call) error { return c.RetInt(int64(c.Array(0).Len())) },
		"array_length":      func(c *Call) error { return arrayBound(c, func(l, _ int32) int32 { return l }) },
		"array_lower":       func(c *Call) error { return arrayBound(c, func(_, lo int32) int32 { return lo }) },
		"array_upper":       func(c *Call) error { return arrayBound(c, func(l, lo int32) int32 { return lo + l - 1 }) },
		"array_position":    func(c *Call) error { return arrayPosition(c, 0) },
		"array_position_start": func(c *Call) error {
			if c.IsNull(2) {
				return types.Errorf(types.CodeNullValueNotAllowed, "initial position must not be null")
			}
			return arrayPosition(c, c.Int(2))
		},
		"array_positions":              arrayPositions,
		"array_remove":                 func(c *Call) error { return arrayReplace(c, true) },
		"array_replace":                func(c *Call) error { return arrayReplace(c, false) },
		"array_fill":                   func(c *Call) error { return arrayFill(c, false) },
		"array_fill_with_lower_bounds": func(c *Call) error { return arrayFill(c, true) },
		"arraycontains":                func(c *Call) error { return c.RetBool(arrayContains(c.Array(0), c.Array(1))) },
		"arraycontained":               func(c *Call) error { return c.RetBool(arrayContains(c.Array(1), c.Array(0))) },
		"arrayoverlap":                 arrayOverlap,
		"trim_array":                   trimArray,
		"array_to_text": func(c *Call) error {
			return c.RetStr(joinArray(c, c.Array(0), c.Str(1), "", false))
		},
		"array_to_text_null": func(c *Call) error {
			if c.IsNull(0) || c.IsNull(1) {
				return c.RetNull()
			}
			null, has := "", !c.IsNull(2)
			if has {
				null = c.Str(2)
			}
			return c.RetStr(joinArray(c, c.Array(0), c.Str(1), null, has))
		},
		"text_to_array":      func(c *Call) error { return textToArray(c, false) },
		"text_to_array_null": func(c *Call) error { return textToArray(c, true) },
		"oidvectortypes":     oidVectorTypes,
	})
	setFuncs["text_to_table"] = textToTable(false)
	setFuncs["text_to_table_null"] = textToTable(true)
}

// Array returns array argument k of the current row.
func (c *Call) Array(k int) types.FlatArray { return types.FlatArray(c.Bytes(k)) }

// elemType is the element type of array argument k.
func (c *Call) elemType(k int) types.OID { return c.Info.ArgTypes[k].Elem().OID }

func retArray(c *Call, a types.Array) error {
	c.Out.EndBytes(c.Row, types.AppendArray(c.Out.BeginBytes(), a))
	return nil
}

func dimOrNull(c *Call, n int64) error {
	if n == 0 {
		return c.RetNull()
	}
	return c.RetInt(n)
}

// arrayInsert adds an element at either end.
func arrayInsert(c *Call, ak, ek int, front bool) error {
	a := types.Array{Elem: c.elemType(ak)}
	if !c.IsNull(ak) {
		a = types.DecodeArray(c.Bytes(ak))
	}
	e := c.Args[ek].Datum(c.Row)
	switch len(a.Dims) {
	case 0:
		a.Dims, a.Lower = []int32{1}, []int32{1}
	case 1:
		a.Dims[0]++
	default:
		return types.Errorf("22000", "argument must be empty or one-dimensional array")
	}
	if front {
		a.Elems = append([]types.Datum{e}, a.Elems...)
	} else {
		a.Elems = append(a.Elems, e)
	}
	return retArray(c, a)
}

func incompatible(detail string) error {
	e := types.Errorf(types.CodeArraySubscriptError, "cannot concatenate incompatible arrays")
	e.Detail = detail
	return e
}

func arrayCat(c *Call) error {
	if c.IsNull(0) || c.IsNull(1) {
		k := 0
		if c.IsNull(0) {
			k = 1
		}
		c.Out.CopyFrom(c.Row, c.Args[k], c.Row)
		return nil
	}
	a, b := types.DecodeArray(c.Bytes(0)), types.DecodeArray(c.Bytes(1))
	switch {
	case len(a.Dims) == 0:
		return retArray(c, b)
	case len(b.Dims) == 0:
		return retArray(c, a)
	}
	out := types.Array{Elem: a.Elem, Elems: append(append([]types.Datum(nil), a.Elems...), b.Elems...)}
	d := len(a.Dims) - len(b.Dims)
	switch {
	case d == 0:
		if !sameInts(a.Dims[1:], b.Dims[1:]) || !sameInts(a.Lower[1:], b.Lower[1:]) {
			return incompatible("Arrays with differing element dimensions are not compatible for concatenation.")
		}
		out.Dims, out.Lower = append([]int32(nil), a.Dims...), a.Lower
		out.Dims[0] += b.Dims[0]
	case d == 1:
		if !sameInts(a.Dims[1:], b.Dims) || !sameInts(a.Lower[1:], b.Lower) {
			return incompatible("Arrays with differing dimensions are not compatible for concatenation.")
		}
		out.Dims, out.Lower = append([]int32(nil), a.Dims...), a.Lower
		out.Dims[0]++
	case d == -1:
		if !sameInts(b.Dims[1:], a.Dims) || !sameInts(b.Lower[1:], a.Lower) {
			return incompatible("Arrays with differing dimensions are not compatible for concatenation.")
		}
		out.Dims, out.Lower = append([]int32(nil), b.Dims...), b.Lower
		out.Dims[0]++
	default:
		return incompatible("Arrays of " + types.TextOf(types.Int4OID, types.NewInt(int64(len(a.Dims))), nil) + " and " +
			types.TextOf(types.Int4OID, types.NewInt(int64(len(b.Dims))), nil) + " dimensions are not compatible for concatenation.")
	}
	return retArray(c, out)
}

func arrayDims(c *Call) error {
	f := c.Array(0)
	if f.NDim() == 0 {
		return c.RetNull()
	}
	var b []byte
	for d := 0; d < f.NDim(); d++ {
		l, lo := f.Dim(d)
		b = append(b, '[')
		b = types.AppendTextInt(b, types.Int4OID, int64(lo), nil)
		b = append(b, ':')
		b = types.AppendTextInt(b, types.Int4OID, int64(lo+l-1), nil)
		b = append(b, ']')
	}
	return c.RetBytes(b)
}

func arrayBound(c *Call, f func(length, lower int32) int32) error {
	a, d := c.Array(0), int(c.Int(1))-1
	if d < 0 || d >= a.NDim() {
		return c.RetNull()
	}
	return c.RetInt(int64(f(a.Dim(d))))
}

// sameElem is IS NOT DISTINCT FROM between elements.
func sameElem(oid types.OID, a, b types.Datum) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	return types.Compare(oid, a, b) == 0
}

func arrayPosition(c *Call, start int64) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	f, want := c.Array(0), c.Datum(1)
	if f.NDim() > 1 {
		return types.Errorf(types.CodeFeatureNotSupported, "searching for elements in multidimensional arrays is not supported")
	}
	for i := 0; i < f.Len(); i++ {
		_, lo := f.Dim(0)
		at := int64(lo) + int64(i)
		if (start == 0 || at >= start) && sameElem(f.Elem(), f.At(i), want) {
			return c.RetInt(at)
		}
	}
	return c.RetNull()
}

func arrayPositions(c *Call) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	f, want := c.Array(0), c.Datum(1)
	if f.NDim() > 1 {
		return types.Errorf(types.CodeFeatureNotSupported, "searching for elements in multidimensional arrays is not supported")
	}
	var out []types.Datum
	for i := 0; i < f.Len(); i++ {
		if _, lo := f.Dim(0); sameElem(f.Elem(), f.At(i), want) {
			out = append(out, types.NewInt(int64(lo)+int64(i)))
		}
	}
	return retArray(c, types.NewArray(types.Int4OID, out))
}

func arrayReplace(c *Call, remove bool) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	a, want := types.DecodeArray(c.Bytes(0)), c.Datum(1)
	if remove && len(a.Dims) > 1 {
		return types.Errorf(types.CodeFeatureNotSupported, "removing elements from multidimensional arrays is not supported")
	}
	kept := a.Elems[:0:0]
	for _, e := range a.Elems {
		if !sameElem(a.Elem, e, want) {
			kept = append(kept, e)
		} else if !remove {
			kept = append(kept, c.Args[2].Datum(c.Row))
		}
	}
	if a.Elems = kept; remove && len(a.Dims) == 1 {
		if a.Dims[0] = int32(len(kept)); len(kept) == 0 {
			a.Dims, a.Lower = nil, nil
		}
	}
	return retArray(c, a)
}

func arrayFill(c *Call, bounds bool) error {
	if c.IsNull(1) || bounds && c.IsNull(2) {
		return types.Errorf(types.CodeNullValueNotAllowed, "dimension array or low bound array cannot be null")
	}
	a := types.Array{Elem: c.Info.ArgTypes[0].OID}
	n := int64(1)
	dims := types.DecodeArray(c.Bytes(1))
	if len(dims.Dims) > 1 {
		return types.Errorf(types.CodeArraySubscriptError, "wrong number of array subscripts").WithDetail("Dimension array must be one dimensional.")
	}
	for _, d := range dims.Elems {
		if d.IsNull() {
			return types.Errorf(types.CodeNullValueNotAllowed, "dimension values cannot be null")
		}
		if n *= d.Int(); d.Int() < 0 || n > 1<<22 {
			return types.Errorf(types.CodeProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", 1<<22)
		}
		a.Dims, a.Lower = append(a.Dims, int32(d.Int())), append(a.Lower, 1)
	}
	if bounds {
		los := types.DecodeArray(c.Bytes(2)).Elems
		if len(los) != len(a.Dims) {
			return types.Errorf(types.CodeArraySubscriptError, "wrong number of array subscripts").
				WithDetail("Low bound array has different size than dimensions array.")
		}
		for i, lo := range los {
			a.Lower[i] = int32(lo.Int())
		}
	}
	if len(a.Dims) == 0 || n == 0 {
		return retArray(c, types.Array{Elem: a.Elem})
	}
	e := c.Args[0].Datum(c.Row)
	for ; n > 0; n-- {
		a.Elems = append(a.Elems, e)
	}
	return retArray(c, a)
}

// arrayContains reports whether every element of b is in a; NULL never is.
func arrayContains(a, b types.FlatArray) bool {
	for i := 0; i < b.Len(); i++ {
		if e := b.At(i); e.IsNull() || !hasElem(a, e) {
			return false
		}
	}
	return true
}

func hasElem(a types.FlatArray, e types.Datum) bool {
	for i := 0; i < a.Len(); i++ {
		if x := a.At(i); !x.IsNull() && types.Compare(a.Elem(), x, e) == 0 {
			return true
		}
	}
	return false
}

func arrayOverlap(c *Call) error {
	a, b := c.Array(0), c.Array(1)
	for i := 0; i < b.Len(); i++ {
		if e := b.At(i); !e.IsNull() && hasElem(a, e) {
			return c.RetBool(true)
		}
	}
	return c.RetBool(false)
}

func trimArray(c *Call) error {
	a, n := types.DecodeArray(c.Bytes(0)), c.Int(1)
	length := int64(0)
	if len(a.Dims) > 0 {
		length = int64(a.Dims[0])
	}
	if n < 0 || n > length {
		return types.Errorf("2202E", "number of elements to trim must be between 0 and %d", length)
	}
	if length == n {
		return retArray(c, types.Array{Elem: a.Elem})
	}
	per := int64(len(a.Elems)) / length
	a.Elems, a.Dims[0] = a.Elems[:per*(length-n)], int32(length-n)
	for d := range a.Lower {
		a.Lower[d] = 1
	}
	return retArray(c, a)
}

func joinArray(c *Call, f types.FlatArray, sep, null string, hasNull bool) string {
	var parts []string
	for i := 0; i < f.Len(); i++ {
		e := f.At(i)
		if !e.IsNull() {
			parts = append(parts, types.TextOf(f.Elem(), e, c.Ctx.Set()))
		} else if hasNull {
			parts = append(parts, null)
		}
	}
	return strings.Join(parts, sep)
}

// splitText is string_to_array: a NULL separator splits into characters.
func splitText(s string, sep types.Datum) []string {
	switch {
	case s == "":
		return nil
	case sep.IsNull():
		return strings.Split(s, "")
	case sep.Str() == "":
		return []string{s}
	}
	return strings.Split(s, sep.Str())
}

func textParts(s string, sep, null types.Datum) []types.Datum {
	var out []types.Datum
	for _, p := range splitText(s, sep) {
		if !null.IsNull() && p == null.Str() {
			out = append(out, types.Null)
		} else {
			out = append(out, types.NewString(p))
		}
	}
	return out
}

func textToArray(c *Call, hasNull bool) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	null := types.Null
	if hasNull {
		null = c.Datum(2)
	}
	return retArray(c, types.NewArray(types.TextOID, textParts(c.Str(0), c.Datum(1), null)))
}

func textToTable(hasNull bool) SetFunc {
	return func(_ *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
		it := &sliceIter{}
		if args[0].IsNull() {
			return it, nil
		}
		null := types.Null
		if hasNull {
			null = args[2]
		}
		for _, d := range textParts(args[0].Str(), args[1], null) {
			it.rows = append(it.rows, []types.Datum{d})
		}
		return it, nil
	}
}

func oidVectorTypes(c *Call) error {
	f := c.Array(0)
	var parts []string
	for i := 0; i < f.Len(); i++ {
		parts = append(parts, types.Format(types.OID(f.At(i).Int()), -1))
	}
	return c.RetStr(strings.Join(parts, ", "))
}

package expr

import (
	"strconv"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// maxArrayElems bounds what an assignment far outside an array makes of it.
const maxArrayElems = 1 << 24

// assignOne replaces a part of an array or jsonb value.
func (s *subscriptNode) assignOne(v *vec.Vector, up, lo []*vec.Vector, asg *vec.Vector, i int) (types.Datum, error) {
	what := "array"
	if s.jsonb {
		what = "jsonb"
	}
	for _, bounds := range [][]*vec.Vector{up, lo} {
		for _, u := range bounds {
			if u != nil && u.IsNull(i) {
				return types.Null, types.Errorf(types.CodeNullValueNotAllowed, "%s subscript in assignment must not be null", what)
			}
		}
	}
	if s.jsonb {
		return s.assignJSON(v, up, asg, i)
	}
	a := types.Array{Elem: s.elem}
	if !v.IsNull(i) {
		a = types.DecodeArray(v.Bytes(i))
	}
	at := make([]bounds, len(up))
	for d := range up {
		at[d].from, at[d].to = bound(up[d], i), bound(up[d], i)
		if s.slice {
			at[d].from = bound(lo[d], i)
		}
	}
	var err error
	switch {
	case !s.slice:
		err = setElement(&a, at, asg.Datum(i))
	case asg.IsNull(i): // nothing to take elements from
	default:
		err = setSlice(&a, at, types.DecodeArray(asg.Bytes(i)).Elems)
	}
	if err != nil {
		return types.Null, err
	}
	return types.ArrayDatum(a), nil
}

// bounds are the positions that an assignment to one dimension means; nil is a
// bound that was left out.
type bounds struct{ from, to *int64 }

func bound(v *vec.Vector, i int) *int64 {
	if v == nil {
		return nil
	}
	k := v.Int(i)
	return &k
}

func wrongSubscripts() error {
	return types.Errorf(types.CodeArraySubscriptError, "wrong number of array subscripts")
}

func outOfArray() error {
	return types.Errorf(types.CodeArraySubscriptError, "array subscript out of range")
}

// setElement replaces one element. An empty array gets just that one; an array
// of one dimension grows to it, with NULLs in between.
func setElement(a *types.Array, at []bounds, d types.Datum) error {
	switch {
	case len(a.Dims) == 0:
		for _, b := range at {
			a.Dims, a.Lower = append(a.Dims, 1), append(a.Lower, int32(*b.from))
		}
		a.Elems = []types.Datum{d}
		return nil
	case len(a.Dims) != len(at):
		return wrongSubscripts()
	case len(at) == 1:
		if err := grow(a, *at[0].from, *at[0].from); err != nil {
			return err
		}
	}
	p := 0
	for k, b := range at {
		off := *b.from - int64(a.Lower[k])
		if off < 0 || off >= int64(a.Dims[k]) {
			return outOfArray()
		}
		p = p*int(a.Dims[k]) + int(off)
	}
	a.Elems[p] = d
	return nil
}

// grow extends an array of one dimension, so that it has the positions from and
// to.
func grow(a *types.Array, from, to int64) error {
	low := int64(a.Lower[0])
	high := max(to, low+int64(a.Dims[0])-1)
	if high-min(low, from) >= maxArrayElems {
		return types.Errorf(types.CodeProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxArrayElems)
	}
	if from < low {
		a.Elems = append(make([]types.Datum, low-from), a.Elems...)
		a.Lower[0] = int32(from)
	}
	for int64(len(a.Elems)) <= high-int64(a.Lower[0]) {
		a.Elems = append(a.Elems, types.Null)
	}
	a.Dims[0] = int32(len(a.Elems))
	return nil
}

// setSlice replaces a rectangle of elements by the first ones of src.
func setSlice(a *types.Array, at []bounds, src []types.Datum) error {
	empty := len(a.Dims) == 0
	if !empty && len(at) > len(a.Dims) {
		return wrongSubscripts()
	}
	n := len(at)
	if !empty {
		n = len(a.Dims)
	}
	from, to := make([]int64, n), make([]int64, n)
	total := int64(1)
	for k := range from {
		if !empty {
			from[k], to[k] = int64(a.Lower[k]), int64(a.Lower[k])+int64(a.Dims[k])-1
		}
		if k < len(at) {
			if empty && (at[k].from == nil || at[k].to == nil) {
				return types.Errorf(types.CodeArraySubscriptError, "array slice subscript must provide both boundaries").
					WithDetail("When assigning to a slice of an empty array value, slice boundaries must be fully specified.")
			}
			if at[k].from != nil {
				from[k] = *at[k].from
			}
			if at[k].to != nil {
				to[k] = *at[k].to
			}
		}
		if from[k] > to[k] {
			return types.Errorf(types.CodeArraySubscriptError, "upper bound cannot be less than lower bound")
		}
		if total *= to[k] - from[k] + 1; total >= maxArrayElems {
			return types.Errorf(types.CodeProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxArrayElems)
		}
	}
	if err := makeRoom(a, from, to); err != nil {
		return err
	}
	if int64(len(src)) < total {
		return types.Errorf(types.CodeArraySubscriptError, "source array too small")
	}
	fillSlice(a, from, to, 0, 0, &src)
	return nil
}

// makeRoom gives the array the positions of a slice.
func makeRoom(a *types.Array, from, to []int64) error {
	switch len(a.Dims) {
	case 0:
		n := int64(1)
		for k := range from {
			n *= to[k] - from[k] + 1
			a.Dims, a.Lower = append(a.Dims, int32(to[k]-from[k]+1)), append(a.Lower, int32(from[k]))
		}
		a.Elems = make([]types.Datum, n)
		return nil
	case 1:
		return grow(a, from[0], to[0])
	}
	for k := range from {
		if from[k] < int64(a.Lower[k]) || to[k] >= int64(a.Lower[k])+int64(a.Dims[k]) {
			return outOfArray()
		}
	}
	return nil
}

func fillSlice(a *types.Array, from, to []int64, d, at int, src *[]types.Datum) {
	for k := from[d]; k <= to[d]; k++ {
		p := at*int(a.Dims[d]) + int(k-int64(a.Lower[d]))
		if d+1 < len(from) {
			fillSlice(a, from, to, d+1, p, src)
			continue
		}
		a.Elems[p] = (*src)[0]
		*src = (*src)[1:]
	}
}

// assignJSON replaces what a path means, and makes what is missing on the way.
func (s *subscriptNode) assignJSON(v *vec.Vector, up []*vec.Vector, asg *vec.Vector, i int) (types.Datum, error) {
	path := make([]string, len(up))
	for k, u := range up {
		if s.textSubs[k] {
			path[k] = u.Str(i)
		} else {
			path[k] = strconv.FormatInt(u.Int(i), 10)
		}
	}
	val := &types.JSONValue{Kind: types.JSONNull}
	if !asg.IsNull(i) {
		val = types.JSONB(asg.Bytes(i)).Tree()
	}
	t := &types.JSONValue{Kind: types.JSONObject}
	switch {
	case !v.IsNull(i):
		t = types.JSONB(v.Bytes(i)).Tree()
	case !s.textSubs[0]:
		t.Kind = types.JSONArray
	}
	if err := setJSON(t, path, 0, val); err != nil {
		return types.Null, err
	}
	return types.NewBytes(types.AppendJSONB(nil, t)), nil
}

// setJSON puts val where the path leads from t, from its element depth on.
func setJSON(t *types.JSONValue, path []string, depth int, val *types.JSONValue) error {
	var at *(*types.JSONValue)
	switch t.Kind {
	case types.JSONObject:
		for i, k := range t.Keys {
			if k == path[depth] {
				at = &t.Elems[i]
			}
		}
		if at == nil {
			t.Keys, t.Elems = append(t.Keys, path[depth]), append(t.Elems, nil)
			at = &t.Elems[len(t.Elems)-1]
		}
	case types.JSONArray:
		i, err := strconv.ParseInt(path[depth], 10, 32)
		if err != nil {
			return types.Errorf(types.CodeInvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"", depth+1, path[depth])
		}
		n := int64(len(t.Elems))
		if i < 0 && -i > n {
			return types.Errorf(types.CodeInvalidParameterValue, "path element at position %d is out of range: %d", depth+1, i)
		}
		if i < 0 {
			i += n
		}
		if at, err = slot(t, i); err != nil {
			return err
		}
	default:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot replace existing key").
			WithDetail("The path assumes key is a composite object, but it is a scalar value.")
	}
	if depth == len(path)-1 {
		*at = val
		return nil
	}
	if *at == nil {
		*at = &types.JSONValue{Kind: types.JSONObject}
		if _, err := strconv.ParseInt(path[depth+1], 10, 32); err == nil {
			(*at).Kind = types.JSONArray
		}
	}
	return setJSON(*at, path, depth+1, val)
}

// slot returns the place of an array's element i, nil in it if the array had to
// grow, with nulls before it.
func slot(t *types.JSONValue, i int64) (**types.JSONValue, error) {
	if i >= maxArrayElems {
		return nil, types.Errorf(types.CodeProgramLimitExceeded, "total size of jsonb array elements exceeds the maximum of %d bytes", 1<<28-1)
	}
	if n := int64(len(t.Elems)); i >= n {
		for ; n < i; n++ {
			t.Elems = append(t.Elems, &types.JSONValue{Kind: types.JSONNull})
		}
		t.Elems = append(t.Elems, nil)
	}
	return &t.Elems[i], nil
}

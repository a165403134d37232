package builtin

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func init() {
	aggregates["string_agg"] = newStringAgg
	aggregates["array_agg"] = newArrayAgg
	for _, b := range []bool{false, true} {
		prefix := "json"
		if b {
			prefix = "jsonb"
		}
		aggregates[prefix+"_agg"] = newJSONAgg(b)
		aggregates[prefix+"_object_agg"] = newJSONObjectAgg(b)
	}
}

// textState is a text that grows.
type textState struct {
	any bool
	b   []byte
	// sep is the separator before the first piece, for merging.
	sep []byte
}

func newStringAgg(*Info) (Aggregator, error) {
	a := &stateAgg[textState]{notNull: 1}
	a.update = func(_ *Ctx, s *textState, args []*vec.Vector, i int) error {
		before := len(s.b)
		if !args[1].IsNull(i) {
			if s.any {
				s.b = append(s.b, args[1].Bytes(i)...)
			} else {
				s.sep = append([]byte(nil), args[1].Bytes(i)...)
			}
		}
		s.any = true
		s.b = append(s.b, args[0].Bytes(i)...)
		a.extra += len(s.b) - before
		if len(s.b) > maxValueBytes {
			return tooLarge()
		}
		return nil
	}
	a.final = func(_ *Ctx, s *textState, out *vec.Vector) error {
		if !s.any {
			out.AppendNull()
		} else {
			out.AppendBytes(s.b)
		}
		return nil
	}
	a.encode = func(b []byte, s *textState) []byte {
		b = binary.AppendVarint(b, b2i(s.any))
		b = types.AppendDatum(b, types.NewBytes(s.sep))
		return types.AppendDatum(b, types.NewBytes(s.b))
	}
	a.merge = func(s *textState, r *stateReader) error {
		any, sep, t := r.int(), r.datum(), r.datum()
		if any == 0 || r.err != nil {
			return r.err
		}
		if s.any {
			s.b = append(s.b, sep.Str()...)
		} else {
			s.sep = []byte(sep.Str())
		}
		s.any = true
		s.b = append(s.b, t.Str()...)
		return nil
	}
	return a, nil
}

// listState is a list of values.
type listState struct{ elems []types.Datum }

func listAgg(final func(*Ctx, *listState, *vec.Vector) error) *stateAgg[listState] {
	a := &stateAgg[listState]{}
	a.update = func(_ *Ctx, s *listState, args []*vec.Vector, i int) error {
		for _, v := range args {
			d := v.Datum(i)
			s.elems = append(s.elems, d)
			a.extra += 64 + len(d.Str())
		}
		return nil
	}
	a.final = final
	a.encode = func(b []byte, s *listState) []byte {
		b = binary.AppendVarint(b, int64(len(s.elems)))
		for _, d := range s.elems {
			b = types.AppendDatum(b, d)
		}
		return b
	}
	a.merge = func(s *listState, r *stateReader) error {
		for n := r.int(); n > 0 && r.err == nil; n-- {
			s.elems = append(s.elems, r.datum())
		}
		return r.err
	}
	return a
}

func newArrayAgg(i *Info) (Aggregator, error) {
	t := i.ArgTypes[0]
	return listAgg(func(_ *Ctx, s *listState, out *vec.Vector) error {
		if len(s.elems) == 0 {
			out.AppendNull()
			return nil
		}
		if !t.IsArray() {
			out.AppendDatum(types.ArrayDatum(types.NewArray(t.OID, s.elems)))
			return nil
		}
		arr, err := stackArrays(t.Elem().OID, s.elems)
		if err == nil {
			out.AppendDatum(types.ArrayDatum(arr))
		}
		return err
	}), nil
}

// stackArrays makes an array of one dimension more.
func stackArrays(elem types.OID, parts []types.Datum) (types.Array, error) {
	out := types.Array{Elem: elem}
	for k, d := range parts {
		if d.IsNull() {
			return out, types.Errorf(types.CodeNullValueNotAllowed, "cannot accumulate null arrays")
		}
		a := types.DecodeArray(d.Bytes())
		if len(a.Dims) == 0 {
			return out, types.Errorf(types.CodeArraySubscriptError, "cannot accumulate empty arrays")
		}
		if k == 0 {
			out.Dims = append([]int32{int32(len(parts))}, a.Dims...)
			out.Lower = append([]int32{1}, a.Lower...)
		} else if !sameInts(out.Dims[1:], a.Dims) {
			return out, types.Errorf(types.CodeArraySubscriptError, "cannot accumulate arrays of different dimensionality")
		}
		out.Elems = append(out.Elems, a.Elems...)
	}
	return out, nil
}

func sameInts(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func newJSONAgg(binaryForm bool) func(*Info) (Aggregator, error) {
	return func(i *Info) (Aggregator, error) {
		t := i.ArgTypes[0].OID
		return listAgg(func(ctx *Ctx, s *listState, out *vec.Vector) error {
			if len(s.elems) == 0 {
				out.AppendNull()
				return nil
			}
			if binaryForm {
				v := &types.JSONValue{Kind: types.JSONArray}
				for _, d := range s.elems {
					v.Elems = append(v.Elems, toJSONValue(ctx, t, d))
				}
				out.AppendBytes(types.AppendJSONB(nil, v))
				return nil
			}
			b := []byte{'['}
			for k, d := range s.elems {
				if k > 0 {
					b = append(b, ", "...)
					if t == types.RecordOID || types.ElemOf(t) != 0 {
						b = append(b, "\n "...)
					}
				}
				b = appendJSON(b, ctx, t, d)
			}
			out.AppendBytes(append(b, ']'))
			return nil
		}), nil
	}
}

func newJSONObjectAgg(binaryForm bool) func(*Info) (Aggregator, error) {
	return func(i *Info) (Aggregator, error) {
		kt, vt := i.ArgTypes[0].OID, i.ArgTypes[1].OID
		return listAgg(func(ctx *Ctx, s *listState, out *vec.Vector) error {
			if len(s.elems) == 0 {
				out.AppendNull()
				return nil
			}
			v := &types.JSONValue{Kind: types.JSONObject}
			b := []byte("{ ")
			for k := 0; k+1 < len(s.elems); k += 2 {
				if s.elems[k].IsNull() {
					return types.Errorf(types.CodeInvalidParameterValue, "field name must not be null")
				}
				key := types.TextOf(kt, s.elems[k], ctx.Set())
				if binaryForm {
					v.Keys = append(v.Keys, key)
					v.Elems = append(v.Elems, toJSONValue(ctx, vt, s.elems[k+1]))
					continue
				}
				if k > 0 {
					b = append(b, ", "...)
				}
				b = append(types.AppendJSONString(b, key), " : "...)
				b = appendJSON(b, ctx, vt, s.elems[k+1])
			}
			if binaryForm {
				out.AppendBytes(types.AppendJSONB(nil, v))
			} else {
				out.AppendBytes(append(b, " }"...))
			}
			return nil
		}), nil
	}
}

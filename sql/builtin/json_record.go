package builtin

import (
	"strconv"

	"github.com/pamirdb/pamir/sql/types"
)

// The functions that make rows of JSON objects by a column definition list get
// the list's names, types and modifiers as arrays behind their own argument.

func init() {
	rows(map[string]RowFunc{
		"json_to_record":  func(c *Call) error { return toRecord(c, rawJSON(c.Str(0))) },
		"jsonb_to_record": func(c *Call) error { return toRecord(c, jsonbRaw(c.JSONB(0))) },
	})
	setFuncs["json_to_recordset"] = func(ctx *Ctx, info *Info, args []types.Datum) (SetIter, error) {
		return toRecordSet(ctx, info, rawJSON(args[0].Str()), args)
	}
	setFuncs["jsonb_to_recordset"] = func(ctx *Ctx, info *Info, args []types.Datum) (SetIter, error) {
		return toRecordSet(ctx, info, jsonbRaw(types.JSONB(args[0].Bytes())), args)
	}
}

func jsonbRaw(j types.JSONB) rawJSON { return rawJSON(types.AppendJSONBText(nil, j)) }

// column of a definition list.
type recordColumn struct {
	name string
	typ  types.Type
}

func recordColumns(names, oids, mods types.Datum) []recordColumn {
	ns, os, ms := types.FlatArray(names.Bytes()), types.FlatArray(oids.Bytes()), types.FlatArray(mods.Bytes())
	out := make([]recordColumn, ns.Len())
	for i := range out {
		out[i] = recordColumn{ns.At(i).Str(), types.Type{OID: types.OID(os.At(i).Int()), Mod: int32(ms.At(i).Int())}}
	}
	return out
}

func toRecord(c *Call, j rawJSON) error {
	if len(c.Args) < 4 {
		return types.Errorf(types.CodeFeatureNotSupported, "%s outside of FROM is not supported", c.Info.Name)
	}
	if j.kind() != '{' {
		return notObject(j)
	}
	cols := recordColumns(c.Datum(1), c.Datum(2), c.Datum(3))
	vals, err := populate(c.Ctx, j, cols)
	if err != nil {
		return err
	}
	fields := make([]types.Field, len(cols))
	for i, v := range vals {
		fields[i] = types.Field{Type: cols[i].typ.OID, Value: v, Name: cols[i].name}
	}
	return c.RetBytes(types.AppendRecord(nil, fields))
}

func notObject(j rawJSON) error {
	what := "a scalar"
	if j.kind() == '[' {
		what = "an array"
	}
	// PostgreSQL names the part of it that reads the object.
	return types.Errorf(types.CodeInvalidParameterValue, "cannot call populate_composite on %s", what)
}

func toRecordSet(ctx *Ctx, info *Info, j rawJSON, args []types.Datum) (SetIter, error) {
	if len(args) < 4 {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "%s outside of FROM is not supported", info.Name)
	}
	switch j.kind() {
	case '[':
	case '{':
		return nil, types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on an object", info.Name)
	default:
		return nil, types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on a scalar", info.Name)
	}
	cols := recordColumns(args[1], args[2], args[3])
	it := &sliceIter{}
	var bad error
	j.each(func(_ string, e rawJSON) bool {
		if e.kind() != '{' {
			bad = types.Errorf(types.CodeInvalidParameterValue, "argument of %s must be an array of objects", info.Name)
			return false
		}
		var vals []types.Datum
		if vals, bad = populate(ctx, e, cols); bad == nil {
			it.rows = append(it.rows, vals)
		}
		return bad == nil
	})
	return it, bad
}

// populate reads an object's fields as columns. Of equal keys the last counts.
func populate(ctx *Ctx, j rawJSON, cols []recordColumn) ([]types.Datum, error) {
	vals := make([]types.Datum, len(cols))
	var bad error
	j.each(func(key string, v rawJSON) bool {
		for i, c := range cols {
			if c.name != key || bad != nil {
				continue
			}
			if vals[i], bad = fromJSON(ctx, v, c.typ, key); bad == nil {
				vals[i], bad = types.ApplyMod(vals[i], c.typ, false)
			}
		}
		return bad == nil
	})
	return vals, bad
}

// fromJSON reads a JSON value as a value of type t.
func fromJSON(ctx *Ctx, v rawJSON, t types.Type, key string) (types.Datum, error) {
	base := types.Of(t.OID)
	kind := v.kind()
	switch {
	case kind == 'n':
		return types.Null, nil
	case t.OID == types.JSONOID || t.OID == types.JSONBOID:
		return types.ParseText(base, string(v), ctx.Set())
	case kind == '"':
		return types.ParseText(base, v.text(), ctx.Set())
	case types.ElemOf(t.OID) != 0 && t.OID != types.OIDVectorOID && t.OID != types.Int2VectorOID:
		if kind != '[' {
			return types.Null, notArray("value", key)
		}
		f := jsonArray{ctx: ctx, key: key, a: types.Array{Elem: types.ElemOf(t.OID)}}
		if err := f.fill(v, 0, ""); err != nil {
			return types.Null, err
		}
		if len(f.a.Elems) == 0 {
			f.a.Dims, f.a.Lower = nil, nil
		}
		return types.ArrayDatum(f.a), nil
	}
	return types.ParseText(base, string(v), ctx.Set())
}

func notArray(what, key string) error {
	return types.Errorf(types.CodeInvalidTextRepresentation, "expected JSON array").WithHint("See the %s of key \"%s\".", what, key)
}

// jsonArray reads a JSON array as an array of SQL. The first scalar met says how
// many dimensions there are.
type jsonArray struct {
	ctx  *Ctx
	key  string
	a    types.Array
	dims int
}

// fill adds the elements of v, which lies at path.
func (f *jsonArray) fill(v rawJSON, depth int, path string) error {
	n := int32(0)
	var bad error
	v.each(func(_ string, e rawJSON) bool {
		switch at := path + "[" + strconv.Itoa(int(n)) + "]"; {
		case e.kind() == '[' && (f.dims == 0 || depth+1 < f.dims):
			bad = f.fill(e, depth+1, at)
		case f.dims > depth+1:
			bad = notArray("array element "+at, f.key)
		default:
			f.dims = depth + 1
			var d types.Datum
			if d, bad = fromJSON(f.ctx, e, types.Of(f.a.Elem), f.key); bad == nil {
				f.a.Elems = append(f.a.Elems, d)
			}
		}
		n++
		return bad == nil
	})
	for len(f.a.Dims) <= depth {
		f.a.Dims, f.a.Lower = append(f.a.Dims, -1), append(f.a.Lower, 1)
	}
	if bad == nil && f.a.Dims[depth] >= 0 && f.a.Dims[depth] != n {
		bad = types.Errorf(types.CodeInvalidTextRepresentation, "malformed JSON array").
			WithDetail("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	f.a.Dims[depth] = n
	return bad
}

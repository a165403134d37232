package builtin

import "github.com/pamirdb/pamir/sql/types"

// buildArgs returns the arguments of a VARIADIC "any" function with their
// types.
func buildArgs(c *Call) ([]types.Datum, []types.OID) {
	var ds []types.Datum
	var ts []types.OID
	if c.Info.Variadic && len(c.Args) == 1 {
		if c.IsNull(0) {
			return nil, nil
		}
		a := types.DecodeArray(c.Bytes(0))
		for _, e := range a.Elems {
			ds, ts = append(ds, e), append(ts, a.Elem)
		}
		return ds, ts
	}
	for k := range c.Args {
		ds, ts = append(ds, c.Datum(k)), append(ts, c.Info.ArgTypes[k].OID)
	}
	return ds, ts
}

func registerJSONBuild() {
	for _, k := range []struct {
		prefix string
		jsonb  bool
	}{{"json", false}, {"jsonb", true}} {
		row(k.prefix+"_build_array", func(c *Call) error { return buildArray(c, k.jsonb) })
		row(k.prefix+"_build_array_noargs", func(c *Call) error { return buildArray(c, k.jsonb) })
		row(k.prefix+"_build_object", func(c *Call) error { return buildObject(c, k.jsonb) })
		row(k.prefix+"_build_object_noargs", func(c *Call) error { return buildObject(c, k.jsonb) })
	}
	rows(map[string]RowFunc{
		"to_json":  func(c *Call) error { return c.RetBytes(appendJSON(nil, c.Ctx, c.Info.ArgTypes[0].OID, c.Datum(0))) },
		"to_jsonb": func(c *Call) error { return retTree(c, toJSONValue(c.Ctx, c.Info.ArgTypes[0].OID, c.Datum(0))) },
		"array_to_json": func(c *Call) error {
			next := 0
			return c.RetBytes(appendJSONArray(nil, c.Ctx, c.Array(0), 0, &next, false))
		},
		"array_to_json_pretty": func(c *Call) error {
			next := 0
			return c.RetBytes(appendJSONArray(nil, c.Ctx, c.Array(0), 0, &next, c.Bool(1)))
		},
		"row_to_json":        func(c *Call) error { return c.RetBytes(appendJSONRecord(nil, c.Ctx, c.Datum(0), nil, false)) },
		"row_to_json_pretty": func(c *Call) error { return c.RetBytes(appendJSONRecord(nil, c.Ctx, c.Datum(0), nil, c.Bool(1))) },
	})
}

func buildArray(c *Call, jsonb bool) error {
	ds, ts := buildArgs(c)
	if c.Info.Variadic && ds == nil && len(c.Args) == 1 && c.IsNull(0) {
		return c.RetNull()
	}
	if jsonb {
		v := &types.JSONValue{Kind: types.JSONArray}
		for i, d := range ds {
			v.Elems = append(v.Elems, toJSONValue(c.Ctx, ts[i], d))
		}
		return retTree(c, v)
	}
	b := []byte{'['}
	for i, d := range ds {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendJSON(b, c.Ctx, ts[i], d)
	}
	return c.RetBytes(append(b, ']'))
}

func buildObject(c *Call, jsonb bool) error {
	ds, ts := buildArgs(c)
	if c.Info.Variadic && ds == nil && len(c.Args) == 1 && c.IsNull(0) {
		return c.RetNull()
	}
	if len(ds)%2 != 0 {
		name := "json_build_object()"
		if jsonb {
			name = "jsonb_build_object()"
		}
		return types.Errorf(types.CodeInvalidParameterValue, "argument list must have even number of elements").
			WithHint("The arguments of %s must consist of alternating keys and values.", name)
	}
	v, b := &types.JSONValue{Kind: types.JSONObject}, []byte{'{'}
	for i := 0; i < len(ds); i += 2 {
		if ds[i].IsNull() {
			return nullKey(i, jsonb)
		}
		key := types.TextOf(ts[i], ds[i], c.Ctx.Set())
		if jsonb {
			v.Keys, v.Elems = append(v.Keys, key), append(v.Elems, toJSONValue(c.Ctx, ts[i+1], ds[i+1]))
			continue
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(types.AppendJSONString(b, key), " : "...)
		b = appendJSON(b, c.Ctx, ts[i+1], ds[i+1])
	}
	if jsonb {
		return retTree(c, v)
	}
	return c.RetBytes(append(b, '}'))
}

func nullKey(i int, jsonb bool) error {
	e := types.Errorf(types.CodeInvalidParameterValue, "argument %d cannot be null", i+1)
	if jsonb {
		return types.Errorf(types.CodeInvalidParameterValue, "argument %d: key must not be null", i+1)
	}
	return e.WithHint("Object keys should be text.")
}

package builtin

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// JSONB returns jsonb argument k of the current row.
func (c *Call) JSONB(k int) types.JSONB { return types.JSONB(c.Bytes(k)) }

func retTree(c *Call, v *types.JSONValue) error { return c.RetBytes(types.AppendJSONB(nil, v)) }

// jsonbStep goes one step down a path.
func jsonbStep(j types.JSONB, key string) (types.JSONB, bool) {
	switch j.Kind() {
	case types.JSONObject:
		return j.Get(key)
	case types.JSONArray:
		i, err := strconv.ParseInt(strings.TrimSpace(key), 10, 32)
		if err != nil {
			return nil, false
		}
		return jsonbElem(j, i)
	}
	return nil, false
}

func jsonbElem(j types.JSONB, i int64) (types.JSONB, bool) {
	if j.IsScalar() && (i == 0 || i == -1) {
		return j, true // a scalar is stored as an array of one, which shows here
	}
	if j.Kind() != types.JSONArray {
		return nil, false
	}
	if i < 0 {
		i += int64(j.Len())
	}
	if i < 0 || i >= int64(j.Len()) {
		return nil, false
	}
	return j.Elem(int(i)), true
}

func init() {
	asJSONB := func(c *Call, v types.JSONB, ok bool) error {
		if !ok {
			return c.RetNull()
		}
		return c.RetBytes(v)
	}
	asText := func(c *Call, v types.JSONB, ok bool) error {
		if !ok {
			return c.RetNull()
		}
		return c.Ret(jsonbText(v))
	}
	for _, k := range []struct {
		suffix string
		ret    func(*Call, types.JSONB, bool) error
	}{{"", asJSONB}, {"_text", asText}} {
		row("jsonb_object_field"+k.suffix, func(c *Call) error {
			v, ok := c.JSONB(0).Get(c.Str(1))
			return k.ret(c, v, ok)
		})
		row("jsonb_array_element"+k.suffix, func(c *Call) error {
			v, ok := jsonbElem(c.JSONB(0), c.Int(1))
			return k.ret(c, v, ok)
		})
		row("jsonb_extract_path"+k.suffix, func(c *Call) error {
			v, ok := c.JSONB(0), true
			for _, p := range types.DecodeArray(c.Bytes(1)).Elems {
				if ok = ok && !p.IsNull(); ok {
					v, ok = jsonbStep(v, p.Str())
				}
			}
			return k.ret(c, v, ok)
		})
	}
	rows(map[string]RowFunc{
		"jsonb_typeof": func(c *Call) error {
			return c.RetStr(map[types.JSONKind]string{types.JSONNull: "null", types.JSONBool: "boolean", types.JSONNumber: "number",
				types.JSONString: "string", types.JSONArray: "array", types.JSONObject: "object"}[c.JSONB(0).Kind()])
		},
		"jsonb_array_length": func(c *Call) error {
			j := c.JSONB(0)
			if err := wantArray(j.Kind() == types.JSONArray, j.Kind() == types.JSONObject); err != nil {
				return err
			}
			return c.RetInt(int64(j.Len()))
		},
		"jsonb_contains":     func(c *Call) error { return c.RetBool(jsonbContains(c.JSONB(0), c.JSONB(1), true)) },
		"jsonb_contained":    func(c *Call) error { return c.RetBool(jsonbContains(c.JSONB(1), c.JSONB(0), true)) },
		"jsonb_exists":       func(c *Call) error { return c.RetBool(jsonbExists(c.JSONB(0), c.Str(1))) },
		"jsonb_exists_any":   func(c *Call) error { return c.RetBool(existsMany(c, false)) },
		"jsonb_exists_all":   func(c *Call) error { return c.RetBool(existsMany(c, true)) },
		"jsonb_concat":       func(c *Call) error { return retTree(c, jsonbConcat(c.JSONB(0), c.JSONB(1))) },
		"jsonb_delete":       func(c *Call) error { return jsonbDeleteKeys(c, []types.Datum{c.Datum(1)}) },
		"jsonb_delete_array": func(c *Call) error { return jsonbDeleteKeys(c, types.DecodeArray(c.Bytes(1)).Elems) },
		"jsonb_delete_idx":   jsonbDeleteIndex,
		"jsonb_delete_path":  func(c *Call) error { return jsonbSet(c, nil, setDelete) },
		"jsonb_set":          jsonbSetFunc,
		"jsonb_set_lax":      jsonbSetLax,
		"jsonb_insert":       jsonbInsert,
		"jsonb_strip_nulls":  func(c *Call) error { return retTree(c, stripNulls(c.JSONB(0).Tree())) },
		"jsonb_pretty":       func(c *Call) error { return c.RetBytes(appendPretty(nil, c.JSONB(0), 0)) },
		"jsonb_object":       func(c *Call) error { return jsonFromArrays(c, true) },
		"jsonb_object_two_arg": func(c *Call) error {
			return jsonFromArrays(c, true)
		},
		"jsonb_bool": func(c *Call) error {
			if c.JSONB(0).Kind() != types.JSONBool {
				return jsonbCast(c, "boolean")
			}
			return c.RetBool(c.JSONB(0).Bool())
		},
		"jsonb_numeric": func(c *Call) error {
			if c.JSONB(0).Kind() != types.JSONNumber {
				return jsonbCast(c, "numeric")
			}
			return c.RetNum(c.JSONB(0).Num())
		},
	})
	for n, r := range map[string]intRange{"jsonb_int2": rangeInt2, "jsonb_int4": rangeInt4, "jsonb_int8": rangeInt8} {
		row(n, func(c *Call) error {
			if c.JSONB(0).Kind() != types.JSONNumber {
				return jsonbCast(c, r.name)
			}
			return numericInt(c, c.JSONB(0).Num(), r)
		})
	}
	for n, single := range map[string]bool{"jsonb_float4": true, "jsonb_float8": false} {
		row(n, func(c *Call) error {
			if c.JSONB(0).Kind() != types.JSONNumber {
				return jsonbCast(c, types.Format(c.Info.Ret.OID, -1))
			}
			return numericToFloat(c, c.JSONB(0).Num(), single)
		})
	}
	registerJSONBuild()
}

func jsonbCast(c *Call, to string) error {
	kind := map[types.JSONKind]string{types.JSONNull: "null", types.JSONBool: "boolean", types.JSONNumber: "numeric",
		types.JSONString: "string", types.JSONArray: "array", types.JSONObject: "object"}[c.JSONB(0).Kind()]
	return types.Errorf(types.CodeInvalidParameterValue, "cannot cast jsonb %s to type %s", kind, to)
}

// jsonbContains is @>: a scalar may be contained in a top-level array.
func jsonbContains(a, b types.JSONB, top bool) bool {
	switch {
	case a.Kind() == types.JSONArray && b.IsScalar() && top:
		return arrayHas(a, b)
	case a.Kind() != b.Kind():
		return false
	case b.Kind() == types.JSONObject:
		for i := 0; i < b.Len(); i++ {
			v, ok := a.Get(string(b.Key(i)))
			if !ok || !jsonbContains(v, b.Elem(i), false) {
				return false
			}
		}
		return true
	case b.Kind() == types.JSONArray:
		for i := 0; i < b.Len(); i++ {
			if !arrayHas(a, b.Elem(i)) {
				return false
			}
		}
		return true
	}
	return types.CompareJSONB(a, b) == 0
}

func arrayHas(a, e types.JSONB) bool {
	for i := 0; i < a.Len(); i++ {
		if jsonbContains(a.Elem(i), e, false) {
			return true
		}
	}
	return false
}

func jsonbExists(j types.JSONB, key string) bool {
	switch j.Kind() {
	case types.JSONObject:
		_, ok := j.Get(key)
		return ok
	case types.JSONArray:
		for i := 0; i < j.Len(); i++ {
			if e := j.Elem(i); e.Kind() == types.JSONString && string(e.Str()) == key {
				return true
			}
		}
	case types.JSONString:
		return string(j.Str()) == key
	}
	return false
}

func existsMany(c *Call, all bool) bool {
	for _, k := range types.DecodeArray(c.Bytes(1)).Elems {
		if k.IsNull() {
			continue
		}
		if jsonbExists(c.JSONB(0), k.Str()) != all {
			return !all
		}
	}
	return all
}

func jsonbConcat(a, b types.JSONB) *types.JSONValue {
	x, y := a.Tree(), b.Tree()
	if x.Kind == types.JSONObject && y.Kind == types.JSONObject {
		x.Keys, x.Elems = append(x.Keys, y.Keys...), append(x.Elems, y.Elems...)
		return x
	}
	out := &types.JSONValue{Kind: types.JSONArray}
	for _, v := range []*types.JSONValue{x, y} {
		if v.Kind == types.JSONArray {
			out.Elems = append(out.Elems, v.Elems...)
		} else {
			out.Elems = append(out.Elems, v)
		}
	}
	return out
}

func jsonbDeleteKeys(c *Call, keys []types.Datum) error {
	v := c.JSONB(0).Tree()
	if c.JSONB(0).IsScalar() {
		return types.Errorf(types.CodeInvalidParameterValue, "cannot delete from scalar")
	}
	out := &types.JSONValue{Kind: v.Kind}
	for i, e := range v.Elems {
		drop := false
		for _, k := range keys {
			if k.IsNull() {
				continue
			}
			if v.Kind == types.JSONObject {
				drop = drop || v.Keys[i] == k.Str()
			} else {
				drop = drop || e.Kind == types.JSONString && e.Str == k.Str()
			}
		}
		if drop {
			continue
		}
		if v.Kind == types.JSONObject {
			out.Keys = append(out.Keys, v.Keys[i])
		}
		out.Elems = append(out.Elems, e)
	}
	return retTree(c, out)
}

func jsonbDeleteIndex(c *Call) error {
	j := c.JSONB(0)
	switch {
	case j.IsScalar():
		return types.Errorf(types.CodeInvalidParameterValue, "cannot delete from scalar")
	case j.Kind() == types.JSONObject:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot delete from object using integer index")
	}
	v, i := j.Tree(), c.Int(1)
	if i < 0 {
		i += int64(len(v.Elems))
	}
	if i >= 0 && i < int64(len(v.Elems)) {
		v.Elems = append(v.Elems[:i:i], v.Elems[i+1:]...)
	}
	return retTree(c, v)
}

// setMode is what jsonbSet does at the end of the path.
type setMode uint8

const (
	setCreate setMode = iota
	setReplace
	setDelete
	insertBefore
	insertAfter
)

func jsonbSetFunc(c *Call) error {
	mode := setReplace
	if c.Bool(3) {
		mode = setCreate
	}
	return jsonbSet(c, c.JSONB(2).Tree(), mode)
}

func jsonbInsert(c *Call) error {
	mode := insertBefore
	if c.Bool(3) {
		mode = insertAfter
	}
	return jsonbSet(c, c.JSONB(2).Tree(), mode)
}

func jsonbSetLax(c *Call) error {
	if c.IsNull(0) || c.IsNull(1) || c.IsNull(3) {
		return c.RetNull()
	}
	if !c.IsNull(2) {
		return jsonbSetFunc(c)
	}
	if c.IsNull(4) {
		return types.Errorf(types.CodeInvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
	}
	switch c.Str(4) {
	case "raise_exception":
		return types.Errorf(types.CodeNullValueNotAllowed, "JSON value must not be null").
			WithDetail("Exception was raised because null_value_treatment is \"raise_exception\".").
			WithHint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")
	case "use_json_null":
		mode := setReplace
		if c.Bool(3) {
			mode = setCreate
		}
		return jsonbSet(c, &types.JSONValue{Kind: types.JSONNull}, mode)
	case "delete_key":
		return jsonbSet(c, nil, setDelete)
	case "return_target":
		return c.RetBytes(c.Bytes(0))
	}
	return types.Errorf(types.CodeInvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
}

func jsonbSet(c *Call, v *types.JSONValue, mode setMode) error {
	j := c.JSONB(0)
	path := types.DecodeArray(c.Bytes(1)).Elems
	if j.IsScalar() {
		what := "set path in scalar"
		if mode == setDelete {
			what = "delete path in scalar"
		}
		return types.Errorf(types.CodeInvalidParameterValue, "cannot %s", what)
	}
	if len(path) == 0 || j.Len() == 0 && mode != setCreate && mode < insertBefore {
		return c.RetBytes(j)
	}
	out, err := setAt(j.Tree(), path, 0, v, mode)
	if err != nil {
		return err
	}
	return retTree(c, out)
}

func setAt(t *types.JSONValue, path []types.Datum, depth int, v *types.JSONValue, mode setMode) (*types.JSONValue, error) {
	if path[depth].IsNull() {
		return nil, types.Errorf(types.CodeNullValueNotAllowed, "path element at position %d is null", depth+1)
	}
	key, last := path[depth].Str(), depth == len(path)-1
	switch t.Kind {
	case types.JSONObject:
		return setInObject(t, key, path, depth, last, v, mode)
	case types.JSONArray:
		i, err := strconv.ParseInt(strings.TrimSpace(key), 10, 32)
		if err != nil {
			return nil, types.Errorf(types.CodeInvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"", depth+1, key)
		}
		return setInArray(t, int(i), path, depth, last, v, mode)
	}
	return t, nil
}

func setInObject(t *types.JSONValue, key string, path []types.Datum, depth int, last bool, v *types.JSONValue, mode setMode) (*types.JSONValue, error) {
	at := -1
	for i, k := range t.Keys {
		if k == key {
			at = i
		}
	}
	switch {
	case at < 0:
		if last && (mode == setCreate || mode >= insertBefore) {
			t.Keys, t.Elems = append(t.Keys, key), append(t.Elems, v)
		}
		return t, nil
	case !last:
		e, err := setAt(t.Elems[at], path, depth+1, v, mode)
		t.Elems[at] = e
		return t, err
	case mode == setDelete:
		t.Keys, t.Elems = append(t.Keys[:at], t.Keys[at+1:]...), append(t.Elems[:at], t.Elems[at+1:]...)
	case mode >= insertBefore:
		return nil, types.Errorf(types.CodeInvalidParameterValue, "cannot replace existing key").
			WithHint("Try using the function jsonb_set to replace key value.")
	default:
		t.Elems[at] = v
	}
	return t, nil
}

func setInArray(t *types.JSONValue, i int, path []types.Datum, depth int, last bool, v *types.JSONValue, mode setMode) (*types.JSONValue, error) {
	n := len(t.Elems)
	if i < 0 {
		i += n
	}
	inside := i >= 0 && i < n
	if !last {
		if !inside {
			return t, nil
		}
		e, err := setAt(t.Elems[i], path, depth+1, v, mode)
		t.Elems[i] = e
		return t, err
	}
	insert := func(at int) {
		at = min(max(at, 0), n)
		t.Elems = append(t.Elems[:at:at], append([]*types.JSONValue{v}, t.Elems[at:]...)...)
	}
	switch mode {
	case setDelete:
		if inside {
			t.Elems = append(t.Elems[:i], t.Elems[i+1:]...)
		}
	case insertBefore:
		insert(i)
	case insertAfter:
		if i < 0 {
			insert(0)
		} else {
			insert(i + 1)
		}
	default:
		if inside {
			t.Elems[i] = v
		} else if mode == setCreate {
			insert(i)
		}
	}
	return t, nil
}

func appendPretty(b []byte, j types.JSONB, depth int) []byte {
	if j.IsScalar() {
		return types.AppendJSONBText(b, j)
	}
	indent := func(d int) { b = append(append(b, '\n'), strings.Repeat("    ", d)...) }
	object := j.Kind() == types.JSONObject
	if object {
		b = append(b, '{')
	} else {
		b = append(b, '[')
	}
	for i := 0; i < j.Len(); i++ {
		if i > 0 {
			b = append(b, ',')
		}
		indent(depth + 1)
		if object {
			b = append(types.AppendJSONString(b, string(j.Key(i))), ": "...)
		}
		b = appendPretty(b, j.Elem(i), depth+1)
	}
	indent(depth)
	if object {
		return append(b, '}')
	}
	return append(b, ']')
}

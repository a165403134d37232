package builtin

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// rawJSON is valid JSON text of one value; its parts keep their spelling.
type rawJSON string

func (j rawJSON) trim() rawJSON { return rawJSON(strings.Trim(string(j), " \t\n\r")) }

func (j rawJSON) kind() byte {
	t := j.trim()
	if t == "" {
		return 0
	}
	switch t[0] {
	case '{', '[', '"', 't', 'f', 'n':
		return t[0]
	}
	return '0'
}

// skipString returns the index after the string literal that starts at i.
func (j rawJSON) skipString(i int) int {
	for i++; i < len(j); i++ {
		switch j[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// skipValue returns the index after the value that starts at i.
func (j rawJSON) skipValue(i int) int {
	depth := 0
	for i < len(j) {
		switch j[i] {
		case '"':
			i = j.skipString(i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// each calls f for every element of an array (key empty) or pair of an object,
// until f returns false.
func (j rawJSON) each(f func(key string, v rawJSON) bool) {
	t := j.trim()
	if len(t) < 2 {
		return
	}
	object := t[0] == '{'
	i := 1
	for {
		for i < len(t) && strings.IndexByte(" \t\n\r,", t[i]) >= 0 {
			i++
		}
		if i >= len(t) || t[i] == '}' || t[i] == ']' {
			return
		}
		key := ""
		if object {
			end := t.skipString(i)
			key = rawJSON(t[i:end]).text()
			i = end
			for t[i] != ':' {
				i++
			}
			i++
			for strings.IndexByte(" \t\n\r", t[i]) >= 0 {
				i++
			}
		}
		end := t.skipValue(i)
		if !f(key, t[i:end].trim()) {
			return
		}
		i = end
	}
}

// text is what ->> gives: strings without quotes, the rest as it is.
func (j rawJSON) text() string {
	t := j.trim()
	if t == "" || t[0] != '"' {
		return string(t)
	}
	if strings.IndexByte(string(t), '\\') < 0 {
		return string(t[1 : len(t)-1])
	}
	v, err := types.ParseJSON(string(t))
	if err != nil {
		return string(t[1 : len(t)-1])
	}
	return v.Str
}

func (j rawJSON) length() int {
	n := 0
	j.each(func(string, rawJSON) bool { n++; return true })
	return n
}

// field returns the last pair with a key: later duplicates win.
func (j rawJSON) field(key string) (v rawJSON, ok bool) {
	if j.kind() != '{' {
		return "", false
	}
	j.each(func(k string, e rawJSON) bool {
		if k == key {
			v, ok = e, true
		}
		return true
	})
	return v, ok
}

func (j rawJSON) element(i int64) (v rawJSON, ok bool) {
	if j.kind() != '[' {
		return "", false
	}
	if i < 0 {
		i += int64(j.length())
	}
	at := int64(0)
	j.each(func(_ string, e rawJSON) bool {
		if at == i {
			v, ok = e, true
			return false
		}
		at++
		return true
	})
	return v, ok
}

func (j rawJSON) step(key string) (rawJSON, bool) {
	if j.kind() == '[' {
		i, err := strconv.ParseInt(strings.TrimSpace(key), 10, 32)
		if err != nil {
			return "", false
		}
		return j.element(i)
	}
	return j.field(key)
}

func init() {
	asJSON := func(c *Call, v rawJSON, ok bool) error {
		if !ok {
			return c.RetNull()
		}
		return c.RetStr(string(v.trim()))
	}
	asText := func(c *Call, v rawJSON, ok bool) error {
		if !ok || v.kind() == 'n' {
			return c.RetNull()
		}
		return c.RetStr(v.text())
	}
	raw := func(c *Call) rawJSON { return rawJSON(c.Str(0)) }
	for _, k := range []struct {
		suffix string
		ret    func(*Call, rawJSON, bool) error
	}{{"", asJSON}, {"_text", asText}} {
		row("json_object_field"+k.suffix, func(c *Call) error {
			v, ok := raw(c).field(c.Str(1))
			return k.ret(c, v, ok)
		})
		row("json_array_element"+k.suffix, func(c *Call) error {
			v, ok := raw(c).element(c.Int(1))
			return k.ret(c, v, ok)
		})
		row("json_extract_path"+k.suffix, func(c *Call) error {
			v, ok := raw(c), true
			for _, p := range types.DecodeArray(c.Bytes(1)).Elems {
				if ok = ok && !p.IsNull(); ok {
					v, ok = v.step(p.Str())
				}
			}
			return k.ret(c, v, ok)
		})
	}
	rows(map[string]RowFunc{
		"json_typeof": func(c *Call) error {
			return c.RetStr(map[byte]string{'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null", '0': "number"}[raw(c).kind()])
		},
		"json_array_length": func(c *Call) error {
			if err := wantArray(raw(c).kind() == '[', raw(c).kind() == '{'); err != nil {
				return err
			}
			return c.RetInt(int64(raw(c).length()))
		},
		"json_strip_nulls": func(c *Call) error {
			v, err := types.ParseJSON(c.Str(0))
			if err != nil {
				return err
			}
			return c.RetBytes(appendCompact(nil, stripNulls(v)))
		},
		"json_object": func(c *Call) error {
			return jsonFromArrays(c, false)
		},
		"json_object_two_arg": func(c *Call) error { return jsonFromArrays(c, false) },
	})
	registerJSONSets()
}

func wantArray(isArray, isObject bool) error {
	switch {
	case isArray:
		return nil
	case isObject:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot get array length of a non-array")
	}
	return types.Errorf(types.CodeInvalidParameterValue, "cannot get array length of a scalar")
}

// appendCompact prints a tree without spaces and with its keys in order.
func appendCompact(b []byte, v *types.JSONValue) []byte {
	switch v.Kind {
	case types.JSONArray, types.JSONObject:
		open, end := byte('['), byte(']')
		if v.Kind == types.JSONObject {
			open, end = '{', '}'
		}
		b = append(b, open)
		for i, e := range v.Elems {
			if i > 0 {
				b = append(b, ',')
			}
			if v.Kind == types.JSONObject {
				b = append(types.AppendJSONString(b, v.Keys[i]), ':')
			}
			b = appendCompact(b, e)
		}
		return append(b, end)
	}
	return types.AppendJSONBText(b, types.AppendJSONB(nil, v))
}

func stripNulls(v *types.JSONValue) *types.JSONValue {
	out := *v
	out.Keys, out.Elems = nil, nil
	for i, e := range v.Elems {
		if v.Kind == types.JSONObject {
			if e.Kind == types.JSONNull {
				continue
			}
			out.Keys = append(out.Keys, v.Keys[i])
		}
		out.Elems = append(out.Elems, stripNulls(e))
	}
	return &out
}

func jsonFromArrays(c *Call, binaryForm bool) error {
	keys, vals := types.DecodeArray(c.Bytes(0)), types.Array{}
	if len(c.Args) > 1 {
		vals = types.DecodeArray(c.Bytes(1))
		if len(keys.Dims) > 1 || len(keys.Dims) != len(vals.Dims) {
			return types.Errorf(types.CodeArraySubscriptError, "wrong number of array subscripts")
		}
		if len(keys.Elems) != len(vals.Elems) {
			return types.Errorf(types.CodeArraySubscriptError, "mismatched array dimensions")
		}
	} else {
		switch {
		case len(keys.Dims) == 1 && len(keys.Elems)%2 != 0:
			return types.Errorf(types.CodeArraySubscriptError, "array must have even number of elements")
		case len(keys.Dims) == 2 && keys.Dims[1] != 2:
			return types.Errorf(types.CodeArraySubscriptError, "array must have two columns")
		case len(keys.Dims) > 2:
			return types.Errorf(types.CodeArraySubscriptError, "wrong number of array subscripts")
		}
		var ks []types.Datum
		for i, e := range keys.Elems {
			if i%2 == 0 {
				ks = append(ks, e)
			} else {
				vals.Elems = append(vals.Elems, e)
			}
		}
		keys.Elems = ks
	}
	v := &types.JSONValue{Kind: types.JSONObject}
	for i, k := range keys.Elems {
		if k.IsNull() {
			return types.Errorf(types.CodeNullValueNotAllowed, "null value not allowed for object key")
		}
		e := &types.JSONValue{Kind: types.JSONNull}
		if !vals.Elems[i].IsNull() {
			e = &types.JSONValue{Kind: types.JSONString, Str: vals.Elems[i].Str()}
		}
		v.Keys, v.Elems = append(v.Keys, k.Str()), append(v.Elems, e)
	}
	if binaryForm {
		return c.RetBytes(types.AppendJSONB(nil, v))
	}
	b := []byte{'{'}
	for i, e := range v.Elems {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(types.AppendJSONString(b, v.Keys[i]), " : "...)
		b = appendCompact(b, e)
	}
	return c.RetBytes(append(b, '}'))
}

// registerJSONSets has the functions that take a value apart into rows.
func registerJSONSets() {
	collect := func(jsonb, object, text, keyOnly bool, name string) SetFunc {
		return func(_ *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
			it := &sliceIter{}
			add := func(key string, v types.Datum) {
				switch {
				case keyOnly:
					it.rows = append(it.rows, []types.Datum{types.NewString(key)})
				case object:
					it.rows = append(it.rows, []types.Datum{types.NewString(key), v})
				default:
					it.rows = append(it.rows, []types.Datum{v})
				}
			}
			if jsonb {
				return it, eachJSONB(types.JSONB(args[0].Bytes()), object, text, name, add)
			}
			return it, eachRaw(rawJSON(args[0].Str()), object, text, name, add)
		}
	}
	for _, p := range []string{"json", "jsonb"} {
		b := p == "jsonb"
		setFuncs[p+"_array_elements"] = collect(b, false, false, false, p+"_array_elements")
		setFuncs[p+"_array_elements_text"] = collect(b, false, true, false, p+"_array_elements_text")
		setFuncs[p+"_each"] = collect(b, true, false, false, p+"_each")
		setFuncs[p+"_each_text"] = collect(b, true, true, false, p+"_each_text")
		setFuncs[p+"_object_keys"] = collect(b, true, false, true, p+"_object_keys")
	}
}

func wrongShape(object, isArray, isScalar bool, name string) error {
	switch {
	case object && isArray && strings.HasSuffix(name, "keys"):
		return types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on an array", name)
	case object && isScalar && strings.HasSuffix(name, "keys"):
		return types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on a scalar", name)
	case object && isArray:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot deconstruct an array as an object")
	case object:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot deconstruct a scalar")
	case isScalar:
		return types.Errorf(types.CodeInvalidParameterValue, "cannot extract elements from a scalar")
	}
	return types.Errorf(types.CodeInvalidParameterValue, "cannot extract elements from an object")
}

func eachRaw(j rawJSON, object, text bool, name string, add func(string, types.Datum)) error {
	k := j.kind()
	if object != (k == '{') || !object && k != '[' {
		switch {
		case !object && k == '{':
			return types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on a non-array", name)
		case !object:
			return types.Errorf(types.CodeInvalidParameterValue, "cannot call %s on a scalar", name)
		}
		return wrongShape(object, k == '[', k != '[' && k != '{', name)
	}
	j.each(func(key string, v rawJSON) bool {
		switch {
		case !text:
			add(key, types.NewString(string(v)))
		case v.kind() == 'n':
			add(key, types.Null)
		default:
			add(key, types.NewString(v.text()))
		}
		return true
	})
	return nil
}

func eachJSONB(j types.JSONB, object, text bool, name string, add func(string, types.Datum)) error {
	if object != (j.Kind() == types.JSONObject) || !object && j.Kind() != types.JSONArray {
		return wrongShape(object, j.Kind() == types.JSONArray, j.IsScalar(), name)
	}
	for i := 0; i < j.Len(); i++ {
		key := ""
		if object {
			key = string(j.Key(i))
		}
		d := types.NewBytes(j.Elem(i))
		if text {
			d = jsonbText(j.Elem(i))
		}
		add(key, d)
	}
	return nil
}

// jsonbText is what ->> gives.
func jsonbText(j types.JSONB) types.Datum {
	switch j.Kind() {
	case types.JSONNull:
		return types.Null
	case types.JSONString:
		return types.NewBytes(j.Str())
	}
	return types.NewBytes(types.AppendJSONBText(nil, j))
}

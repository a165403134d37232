package builtin

import (
	"math"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// appendJSON appends the JSON text of a value of type oid.
func appendJSON(b []byte, ctx *Ctx, oid types.OID, d types.Datum) []byte {
	if d.IsNull() {
		return append(b, "null"...)
	}
	switch oid {
	case types.BoolOID:
		if d.Bool() {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case types.JSONOID:
		return append(b, d.Str()...)
	case types.JSONBOID:
		return types.AppendJSONBText(b, d.Bytes())
	case types.Int2OID, types.Int4OID, types.Int8OID, types.Float4OID, types.Float8OID, types.NumericOID:
		if jsonNumber(d) {
			return types.AppendText(b, oid, d, ctx.Set())
		}
		return types.AppendJSONString(b, types.TextOf(oid, d, ctx.Set()))
	case types.DateOID, types.TimestampOID, types.TimestampTZOID:
		return append(append(append(b, '"'), jsonTime(ctx, oid, d)...), '"')
	case types.RecordOID:
		return appendJSONRecord(b, ctx, d, nil, false)
	}
	if types.ElemOf(oid) != 0 {
		f := types.FlatArray(d.Bytes())
		next := 0
		return appendJSONArray(b, ctx, f, 0, &next, false)
	}
	return types.AppendJSONString(b, types.TextOf(oid, d, ctx.Set()))
}

func jsonNumber(d types.Datum) bool {
	switch d.Repr() {
	case types.Float64:
		return !math.IsNaN(d.Float()) && !math.IsInf(d.Float(), 0)
	case types.Numerics:
		return !d.Numeric().IsSpecial()
	}
	return true
}

// jsonTime prints dates and times by ISO 8601 whatever the session's style.
func jsonTime(ctx *Ctx, oid types.OID, d types.Datum) string {
	st := *ctx.Set()
	st.DateStyle = types.DateISO
	s := types.TextOf(oid, d, &st)
	if oid != types.DateOID {
		s = strings.Replace(s, " ", "T", 1)
	}
	if oid == types.TimestampTZOID && !types.IsInfinite(d.Int()) {
		bc := strings.HasSuffix(s, " BC")
		s = strings.TrimSuffix(s, " BC")
		if len(s) > 3 && (s[len(s)-3] == '+' || s[len(s)-3] == '-') {
			s += ":00"
		}
		if bc {
			s += " BC"
		}
	}
	return s
}

func appendJSONArray(b []byte, ctx *Ctx, f types.FlatArray, dim int, next *int, pretty bool) []byte {
	if f.NDim() == 0 {
		return append(b, "[]"...)
	}
	n, _ := f.Dim(dim)
	b = append(b, '[')
	for i := int32(0); i < n; i++ {
		if i > 0 {
			b = append(b, ',')
			if pretty && dim == 0 {
				b = append(b, "\n "...)
			}
		}
		if dim+1 < f.NDim() {
			b = appendJSONArray(b, ctx, f, dim+1, next, pretty)
			continue
		}
		b = appendJSON(b, ctx, f.Elem(), f.At(*next))
		*next++
	}
	return append(b, ']')
}

func appendJSONRecord(b []byte, ctx *Ctx, d types.Datum, names []string, pretty bool) []byte {
	b = append(b, '{')
	for i, f := range types.DecodeRecord(d.Bytes()) {
		if i > 0 {
			b = append(b, ',')
			if pretty {
				b = append(b, "\n "...)
			}
		}
		b = append(types.AppendJSONString(b, fieldName(names, f.Name, i)), ':')
		b = appendJSON(b, ctx, f.Type, f.Value)
	}
	return append(b, '}')
}

func fieldName(names []string, own string, i int) string {
	if own != "" {
		return own
	}
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "f" + types.TextOf(types.Int4OID, types.NewInt(int64(i)+1), nil)
}

// toJSONValue turns a value into a JSON tree.
func toJSONValue(ctx *Ctx, oid types.OID, d types.Datum) *types.JSONValue {
	if d.IsNull() {
		return &types.JSONValue{Kind: types.JSONNull}
	}
	switch oid {
	case types.BoolOID:
		return &types.JSONValue{Kind: types.JSONBool, Bool: d.Bool()}
	case types.JSONBOID:
		return types.JSONB(d.Bytes()).Tree()
	case types.Int2OID, types.Int4OID, types.Int8OID:
		return &types.JSONValue{Kind: types.JSONNumber, Num: types.NumericFromInt(d.Int())}
	case types.NumericOID:
		if jsonNumber(d) {
			return &types.JSONValue{Kind: types.JSONNumber, Num: d.Numeric()}
		}
	}
	text := string(appendJSON(nil, ctx, oid, d))
	v, err := types.ParseJSON(text)
	if err != nil {
		return &types.JSONValue{Kind: types.JSONString, Str: text}
	}
	return v
}

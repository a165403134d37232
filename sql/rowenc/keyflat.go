package rowenc

import (
	"encoding/binary"
	"strings"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/types"
)

// Parts of an array's inner encoding: the terminator sorts below elements, so
// that a prefix sorts first.
const (
	arrayEnd  = 0x01
	arrayElem = keys.NotNullMarker
	arrayNull = keys.NullMarker
)

// appendArray encodes the elements in order, then their number's shape. The
// inner encoding is wrapped as bytes, so that stepping over it needs no types.
func appendArray(b []byte, t types.Type, d types.Datum) []byte {
	var buf [128]byte
	return keys.AppendBytes(b, innerArray(buf[:0], t, types.FlatArray(d.Bytes())))
}

func innerArray(b []byte, t types.Type, f types.FlatArray) []byte {
	if len(f) < 6 {
		return append(b, arrayEnd)
	}
	elem := types.Of(f.Elem())
	k := keyKindOf(elem.OID)
	for i := range f.Len() {
		v := f.At(i)
		if v.IsNull() {
			b = append(b, arrayNull)
			continue
		}
		b = appendKeyKind(append(b, arrayElem), k, elem, v)
	}
	b = append(b, arrayEnd, byte(f.NDim()))
	for i := range f.NDim() {
		n, _ := f.Dim(i)
		b = binary.BigEndian.AppendUint32(b, uint32(n)^(1<<31))
	}
	for i := range f.NDim() {
		_, lower := f.Dim(i)
		b = binary.BigEndian.AppendUint32(b, uint32(lower)^(1<<31))
	}
	return b
}

func skipArray(b []byte) ([]byte, error) { return skipString(b) }

// jsonbRanks orders kinds as PostgreSQL does: null, string, number, boolean,
// array, object.
const jsonbRanks = "ns#bao"

func appendJSONB(b []byte, d types.Datum) []byte {
	var buf [128]byte
	return keys.AppendBytes(b, innerJSONB(buf[:0], types.JSONB(d.Bytes()), true))
}

// innerJSONB encodes a value; arrays and objects order by their size first. An
// empty array at the top sorts below everything, as in PostgreSQL.
func innerJSONB(b []byte, j types.JSONB, top bool) []byte {
	k := j.Kind()
	if top && k == types.JSONArray && j.Len() == 0 {
		return append(b, 0)
	}
	b = append(b, byte(strings.IndexByte(jsonbRanks, byte(k))+1))
	switch k {
	case types.JSONBool:
		if j.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case types.JSONNumber:
		return appendNumeric(b, j.Num())
	case types.JSONString:
		return keys.AppendBytes(b, j.Str())
	case types.JSONArray:
		b = binary.BigEndian.AppendUint32(b, uint32(j.Len()))
		for i := range j.Len() {
			b = innerJSONB(b, j.Elem(i), false)
		}
	case types.JSONObject:
		b = binary.BigEndian.AppendUint32(b, uint32(j.Len()))
		for i := range j.Len() {
			key := j.Key(i)
			b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
			b = append(b, key...)
			b = innerJSONB(b, j.Elem(i), false)
		}
	}
	return b
}

func skipJSONB(b []byte) ([]byte, error) { return skipString(b) }

package types

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Compare orders two values of type oid that are not NULL by the type's default
// btree order under collation C.
func Compare(oid OID, a, b Datum) int {
	switch a.repr {
	case Int64:
		return CompareInts(oid, a.i, b.i)
	case Float64:
		return CompareFloats(a.Float(), b.Float())
	case Numerics:
		return a.Numeric().Cmp(b.Numeric())
	}
	return CompareBytes(oid, a.Bytes(), b.Bytes())
}

// CompareInts orders Int64 values.
func CompareInts(oid OID, a, b int64) int {
	if oid == PgLSNOID || oid == XID8OID {
		a, b = a^math.MinInt64, b^math.MinInt64
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// CompareFloats orders floats: NaN is the greatest and equal to itself.
func CompareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	}
	return -1
}

// TrimPadding returns a bpchar value without its trailing spaces.
func TrimPadding(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// CompareBytes orders Bytes values of type oid.
func CompareBytes(oid OID, a, b []byte) int {
	switch oid {
	case TextOID, VarCharOID, NameOID, ByteaOID, UUIDOID, UnknownOID:
		return bytes.Compare(a, b)
	case BPCharOID:
		return bytes.Compare(TrimPadding(a), TrimPadding(b))
	case IntervalOID:
		return DecodeInterval(a).Cmp(DecodeInterval(b))
	case TimeTZOID:
		return compareTimeTZ(DecodeTimeTZ(a), DecodeTimeTZ(b))
	case JSONBOID:
		return CompareJSONB(a, b)
	case RecordOID:
		return compareRecords(DecodeRecord(a), DecodeRecord(b))
	case BitOID, VarBitOID:
		return compareBits(a, b)
	}
	if ElemOf(oid) != 0 || oid == AnyArrayOID {
		return compareArrays(a, b)
	}
	return bytes.Compare(a, b)
}

func compareBits(a, b []byte) int {
	if len(a) < 4 || len(b) < 4 {
		return len(a) - len(b)
	}
	if c := bytes.Compare(a[4:], b[4:]); c != 0 {
		return c
	}
	return bytes.Compare(a[:4], b[:4])
}

func compareTimeTZ(a, b TimeTZ) int {
	x, y := a.Micros+int64(a.West)*MicrosPerSecond, b.Micros+int64(b.West)*MicrosPerSecond
	switch {
	case x != y:
		return CompareInts(0, x, y)
	case a.West != b.West:
		return CompareInts(0, int64(a.West), int64(b.West))
	}
	return 0
}

// compareArrays orders by elements, then by number of elements, dimensions,
// and bounds; a NULL element is greater than any other and equal to NULL.
func compareArrays(x, y []byte) int {
	a, b := FlatArray(x), FlatArray(y)
	if len(a) < 6 || len(b) < 6 {
		return len(a) - len(b)
	}
	elem, r := a.Elem(), ReprOf(a.Elem())
	n := min(a.Len(), b.Len())
	for i := 0; i < n; i++ {
		p, pn := a.Image(i)
		q, qn := b.Image(i)
		if pn || qn {
			if pn && qn {
				continue
			}
			return boolInt(pn) - boolInt(qn)
		}
		if c := compareImages(elem, r, p, q); c != 0 {
			return c
		}
	}
	if c := a.Len() - b.Len(); c != 0 {
		return c
	}
	if c := a.NDim() - b.NDim(); c != 0 {
		return c
	}
	for d := 0; d < a.NDim(); d++ {
		l1, lo1 := a.Dim(d)
		l2, lo2 := b.Dim(d)
		if l1 != l2 {
			return int(l1) - int(l2)
		}
		if lo1 != lo2 {
			return int(lo1) - int(lo2)
		}
	}
	return 0
}

func compareImages(oid OID, r Repr, p, q []byte) int {
	if r == Bytes {
		return CompareBytes(oid, p, q)
	}
	x, _ := FromImage(r, p)
	y, _ := FromImage(r, q)
	return Compare(oid, x, y)
}

func compareRecords(a, b []Field) int {
	for i := 0; i < min(len(a), len(b)); i++ {
		x, y := a[i].Value, b[i].Value
		if x.IsNull() || y.IsNull() {
			if x.IsNull() && y.IsNull() {
				continue
			}
			return boolInt(x.IsNull()) - boolInt(y.IsNull())
		}
		if c := Compare(a[i].Type, x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// AppendHashKey appends bytes that are equal exactly for equal values of type
// oid: what hash tables and DISTINCT compare.
func AppendHashKey(b []byte, oid OID, d Datum) []byte {
	switch d.repr {
	case Int64:
		return binary.LittleEndian.AppendUint64(b, uint64(d.i))
	case Float64:
		return binary.LittleEndian.AppendUint64(b, FloatKey(d.Float()))
	case Numerics:
		return AppendNumericImage(b, d.Numeric().Reduce())
	}
	return AppendBytesHashKey(b, oid, d.Bytes())
}

// FloatKey returns bits that are equal exactly for equal floats.
func FloatKey(f float64) uint64 {
	switch {
	case f == 0:
		return 0
	case math.IsNaN(f):
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(f)
}

// BytesAreKey reports whether equal values of a Bytes type have equal bytes.
func BytesAreKey(oid OID) bool {
	switch oid {
	case TextOID, VarCharOID, NameOID, ByteaOID, UUIDOID, UnknownOID, BitOID, VarBitOID, TimeTZOID:
		return true
	}
	return IsEnum(oid)
}

// AppendBytesHashKey is AppendHashKey for a Bytes value.
func AppendBytesHashKey(b []byte, oid OID, v []byte) []byte {
	switch {
	case BytesAreKey(oid):
		return append(b, v...)
	case oid == BPCharOID:
		return append(b, TrimPadding(v)...)
	case oid == IntervalOID:
		days, us := DecodeInterval(v).Span()
		b = binary.LittleEndian.AppendUint64(b, uint64(days))
		return binary.LittleEndian.AppendUint64(b, uint64(us))
	case oid == JSONBOID:
		return appendJSONBKey(b, v)
	case oid == RecordOID:
		for _, f := range DecodeRecord(v) {
			b = appendNested(b, f.Type, f.Value)
		}
		return b
	case ElemOf(oid) != 0:
		f := FlatArray(v)
		if len(f) < 6 {
			return b
		}
		b = append(b, f[1])
		b = append(b, f[6:6+8*f.NDim()]...)
		for i := 0; i < f.Len(); i++ {
			b = appendNested(b, f.Elem(), f.At(i))
		}
		return b
	}
	return append(b, v...)
}

func appendNested(b []byte, oid OID, d Datum) []byte {
	if d.IsNull() {
		return append(b, 0)
	}
	k := AppendHashKey(nil, oid, d)
	b = binary.AppendUvarint(append(b, 1), uint64(len(k)))
	return append(b, k...)
}

func appendJSONBKey(b []byte, j JSONB) []byte {
	b = append(b, byte(j.Kind()))
	switch j.Kind() {
	case JSONNumber:
		k := AppendNumericImage(nil, j.Num().Reduce())
		return append(binary.AppendUvarint(b, uint64(len(k))), k...)
	case JSONArray, JSONObject:
		b = binary.AppendUvarint(b, uint64(j.Len()))
		for i := 0; i < j.Len(); i++ {
			if j.Kind() == JSONObject {
				b = binary.AppendUvarint(b, uint64(len(j.Key(i))))
				b = append(b, j.Key(i)...)
			}
			b = appendJSONBKey(b, j.Elem(i))
		}
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(j)))
	return append(b, j...)
}

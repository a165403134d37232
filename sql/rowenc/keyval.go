package rowenc

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// nullLowMarker stands for NULL where NULLs sort below values before the
// column's direction is applied.
const nullLowMarker = 0x08

// keyKind says how a type's values are encoded in keys.
type keyKind uint8

const (
	keyInt keyKind = iota
	keyFloat
	keyBytes
	keyBPChar
	keyFixed16
	keyNumeric
	keyInterval
	keyTimeTZ
	keyArray
	keyJSONB
	keyRecord
)

func keyKindOf(oid types.OID) keyKind {
	switch types.ReprOf(oid) {
	case types.Int64:
		return keyInt
	case types.Float64:
		return keyFloat
	case types.Numerics:
		return keyNumeric
	}
	switch oid {
	case types.BPCharOID:
		return keyBPChar
	case types.UUIDOID:
		return keyFixed16
	case types.IntervalOID:
		return keyInterval
	case types.TimeTZOID:
		return keyTimeTZ
	case types.JSONBOID:
		return keyJSONB
	case types.RecordOID:
		return keyRecord
	}
	if types.ElemOf(oid) != 0 && oid != types.NameOID {
		return keyArray
	}
	return keyBytes
}

// Exact reports whether the key encoding of a type's values gives back their
// exact image.
func Exact(t types.Type) bool {
	switch keyKindOf(t.OID) {
	case keyInt, keyBytes, keyFixed16:
		return true
	}
	return false
}

// AppendKeyValue appends the ascending key encoding of a value of type t that
// is not NULL. Values of one equality class have one encoding.
func AppendKeyValue(b []byte, t types.Type, d types.Datum) []byte {
	return appendKeyKind(b, keyKindOf(t.OID), t, d)
}

func appendKeyKind(b []byte, k keyKind, t types.Type, d types.Datum) []byte {
	switch k {
	case keyInt:
		return keys.AppendInt(b, d.Int())
	case keyFloat:
		return keys.AppendFloat(b, d.Float())
	case keyBytes:
		return keys.AppendString(b, d.Str())
	case keyBPChar:
		return keys.AppendString(b, trimPad(d.Str()))
	case keyFixed16:
		return append(b, d.Str()...)
	case keyNumeric:
		return appendNumeric(b, d.Numeric())
	case keyInterval:
		return appendInterval(b, d.Str())
	case keyTimeTZ:
		return appendTimeTZ(b, d.Str())
	case keyArray:
		return appendArray(b, t, d)
	case keyJSONB:
		return appendJSONB(b, d)
	case keyRecord:
		return appendRecord(b, d)
	}
	return keys.AppendString(b, d.Str())
}

// appendRecord encodes a row by its fields, the first of them first. The names
// that fields may have make no difference.
func appendRecord(b []byte, d types.Datum) []byte {
	for _, f := range types.DecodeRecord(d.Bytes()) {
		if f.Value.IsNull() {
			b = append(b, keys.NullMarker)
			continue
		}
		b = AppendKeyValue(append(b, keys.NotNullMarker), types.Of(f.Type), f.Value)
	}
	return b
}

func trimPad(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// appendInterval encodes the length that PostgreSQL compares intervals by: a
// month has 30 days, a day 24 hours.
func appendInterval(b []byte, img string) []byte {
	if len(img) != 16 {
		return append(b, make([]byte, 16)...)
	}
	raw := []byte(img)
	micros := int64(binary.BigEndian.Uint64(raw))
	days := int64(int32(binary.BigEndian.Uint32(raw[8:])))
	months := int64(int32(binary.BigEndian.Uint32(raw[12:])))
	// Whole days and the rest in [0, day), so that the pair orders as the sum.
	const day = 86_400_000_000
	whole, rest := micros/day, micros%day
	if rest < 0 {
		rest += day
		whole--
	}
	b = binary.BigEndian.AppendUint64(b, uint64(whole+days+months*30)^(1<<63))
	return binary.BigEndian.AppendUint64(b, uint64(rest))
}

// appendTimeTZ orders by the instant, then by the zone.
func appendTimeTZ(b []byte, img string) []byte {
	if len(img) != 12 {
		return append(b, make([]byte, 12)...)
	}
	raw := []byte(img)
	micros := int64(binary.BigEndian.Uint64(raw))
	zone := int32(binary.BigEndian.Uint32(raw[8:]))
	b = binary.BigEndian.AppendUint64(b, uint64(micros+int64(zone)*1_000_000)^(1<<63))
	return binary.BigEndian.AppendUint32(b, uint32(zone)^(1<<31))
}

// Classes of numerics, in order.
const (
	numNegInf byte = iota + 1
	numNegative
	numZero
	numPositive
	numPosInf
	numNaN
)

// appendNumeric encodes sign, decimal exponent and digits: 0.d1d2… × 10^exp,
// without trailing zeros, so that equal values of any scale encode alike.
func appendNumeric(b []byte, n types.Numeric) []byte {
	switch n.Scale {
	case types.ScaleNaN:
		return append(b, numNaN)
	case types.ScalePosInf:
		return append(b, numPosInf)
	case types.ScaleNegInf:
		return append(b, numNegInf)
	}
	if n.Big == nil && n.Coef == 0 {
		return append(b, numZero)
	}
	var buf [24]byte
	digits, negative := numericDigits(buf[:0], n)
	exp := int64(len(digits)) - int64(n.Scale)
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	if negative {
		b = append(b, numNegative)
	} else {
		b = append(b, numPositive)
	}
	from := len(b)
	b = keys.AppendInt(b, exp)
	for i := 0; i < len(digits); i += 2 {
		p := (digits[i] - '0') * 10
		if i+1 < len(digits) {
			p += digits[i+1] - '0'
		}
		b = append(b, p+1)
	}
	b = append(b, 0)
	if negative {
		keys.Invert(b, from)
	}
	return b
}

func numericDigits(buf []byte, n types.Numeric) (digits []byte, negative bool) {
	if n.Big != nil {
		negative = n.Big.Sign() < 0
		return new(big.Int).Abs(n.Big).Append(buf, 10), negative
	}
	u := uint64(n.Coef)
	if n.Coef < 0 {
		negative, u = true, -u
	}
	return appendUint(buf, u), negative
}

func appendUint(b []byte, u uint64) []byte {
	var t [20]byte
	i := len(t)
	for {
		i--
		t[i] = byte('0' + u%10)
		if u /= 10; u == 0 {
			return append(b, t[i:]...)
		}
	}
}

// skipKeyValue returns what follows one encoded value of kind k in b.
func skipKeyValue(b []byte, k keyKind) ([]byte, error) {
	switch k {
	case keyInt:
		if len(b) == 0 {
			return nil, keys.ErrCorrupt
		}
		n := int(b[0]) - 0x88
		if n < 0 {
			n = -n
		}
		return skipN(b, 1+n)
	case keyFloat:
		return skipN(b, 8)
	case keyFixed16, keyInterval:
		return skipN(b, 16)
	case keyTimeTZ:
		return skipN(b, 12)
	case keyNumeric:
		return skipNumeric(b)
	case keyArray:
		return skipArray(b)
	case keyJSONB:
		return skipJSONB(b)
	}
	return skipString(b)
}

func skipN(b []byte, n int) ([]byte, error) {
	if len(b) < n {
		return nil, keys.ErrCorrupt
	}
	return b[n:], nil
}

func skipString(b []byte) ([]byte, error) {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != 0 {
			continue
		}
		if b[i+1] == 1 {
			return b[i+2:], nil
		}
		i++
	}
	return nil, keys.ErrCorrupt
}

func skipNumeric(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, keys.ErrCorrupt
	}
	end := byte(0)
	switch b[0] {
	case numPositive:
	case numNegative:
		end = 0xff
	default:
		return b[1:], nil
	}
	// The exponent's bytes may look like the terminator: step over it first.
	n := 0
	if len(b) > 1 {
		if n = int(b[1]^end) - 0x88; n < 0 {
			n = -n
		}
	}
	for i := 2 + n; i < len(b); i++ {
		if b[i] == end {
			return b[i+1:], nil
		}
	}
	return nil, keys.ErrCorrupt
}

// decodeKeyValue decodes an exact type's value and returns what follows it.
func decodeKeyValue(b []byte, k keyKind) (types.Datum, []byte, error) {
	switch k {
	case keyInt:
		v, rest, err := keys.DecodeInt(b)
		return types.NewInt(v), rest, err
	case keyFloat:
		v, rest, err := keys.DecodeFloat(b)
		return types.NewFloat(v), rest, err
	case keyFixed16:
		if len(b) < 16 {
			return types.Null, nil, keys.ErrCorrupt
		}
		return types.NewBytes(b[:16]), b[16:], nil
	case keyBytes:
		var buf [64]byte
		v, rest, err := keys.DecodeBytes(buf[:0], b)
		return types.NewBytes(v), rest, err
	}
	rest, err := skipKeyValue(b, k)
	return types.Null, rest, err
}

// floatBits is the stored image of a float.
func floatBits(f float64) uint64 { return math.Float64bits(f) }

// AppendHashKey appends position i of v, a value of type t, so that two values
// have the same bytes exactly if they are equal; NULLs are equal.
func AppendHashKey(b []byte, t types.Type, v *vec.Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, keys.NullMarker)
	}
	b = append(b, keys.NotNullMarker)
	switch k := keyKindOf(t.OID); k {
	case keyInt:
		return keys.AppendInt(b, v.Int(i))
	case keyFloat:
		return keys.AppendFloat(b, v.Float(i))
	case keyBytes:
		return keys.AppendBytes(b, v.Bytes(i))
	default:
		return appendKeyKind(b, k, t, v.View(i))
	}
}

// AppendSortKey appends position i of v so that bytes order as ORDER BY does.
func AppendSortKey(b []byte, t types.Type, v *vec.Vector, i int, desc, nullsFirst bool) []byte {
	from := len(b)
	if v.IsNull(i) {
		if nullsFirst {
			return append(b, nullLowMarker)
		}
		return append(b, keys.NullMarker)
	}
	b = append(b, keys.NotNullMarker)
	from++
	switch k := keyKindOf(t.OID); k {
	case keyInt:
		b = keys.AppendInt(b, v.Int(i))
	case keyFloat:
		b = keys.AppendFloat(b, v.Float(i))
	case keyBytes:
		b = keys.AppendBytes(b, v.Bytes(i))
	default:
		b = appendKeyKind(b, k, t, v.View(i))
	}
	if desc {
		keys.Invert(b, from)
	}
	return b
}

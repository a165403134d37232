package types

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// AppendBinary appends the binary wire form of a value that is not NULL, as
// PostgreSQL's send functions do.
func AppendBinary(b []byte, oid OID, d Datum, st *Settings) []byte {
	be := binary.BigEndian
	switch d.repr {
	case Int64:
		return AppendBinaryInt(b, oid, d.i)
	case Float64:
		if oid == Float4OID {
			return be.AppendUint32(b, math.Float32bits(float32(d.Float())))
		}
		if f := d.Float(); f != f {
			return be.AppendUint64(b, 0x7ff8000000000000) // one NaN for all
		}
		return be.AppendUint64(b, uint64(d.i))
	case Numerics:
		return appendNumericBinary(b, d.Numeric())
	}
	return AppendBinaryBytes(b, oid, d.Bytes(), st)
}

// AppendBinaryInt appends the binary form of an Int64 value.
func AppendBinaryInt(b []byte, oid OID, v int64) []byte {
	switch intWidth(oid) {
	case 1:
		return append(b, byte(v))
	case 2:
		return binary.BigEndian.AppendUint16(b, uint16(v))
	case 4:
		return binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return binary.BigEndian.AppendUint64(b, uint64(v))
}

func intWidth(oid OID) int {
	switch oid {
	case BoolOID, QCharOID:
		return 1
	case Int2OID:
		return 2
	case Int8OID, TimeOID, TimestampOID, TimestampTZOID, MoneyOID, XID8OID, PgLSNOID:
		return 8
	}
	return 4
}

// AppendBinaryBytes appends the binary form of a Bytes value.
func AppendBinaryBytes(b []byte, oid OID, v []byte, st *Settings) []byte {
	switch {
	case oid == JSONBOID:
		return AppendJSONBText(append(b, 1), v)
	case oid == JsonpathOID:
		b = append(b, 1)
	case oid == TIDOID:
		block, offset := tidParts(string(v))
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, block), offset)
	case oid == RecordOID:
		return appendRecordBinary(b, v, st)
	case ElemOf(oid) != 0:
		return appendArrayBinary(b, v, st)
	case IsEnum(oid):
		v = enumLabel(v)
	}
	return append(b, v...)
}

func appendArrayBinary(b, v []byte, st *Settings) []byte {
	f, be := FlatArray(v), binary.BigEndian
	hasNull := uint32(0)
	for i := 0; i < f.Len(); i++ {
		if _, null := f.Image(i); null {
			hasNull = 1
		}
	}
	b = be.AppendUint32(b, uint32(f.NDim()))
	b = be.AppendUint32(b, hasNull)
	b = be.AppendUint32(b, uint32(f.Elem()))
	for d := 0; d < f.NDim(); d++ {
		l, lo := f.Dim(d)
		b = be.AppendUint32(b, uint32(l))
		b = be.AppendUint32(b, uint32(lo))
	}
	for i := 0; i < f.Len(); i++ {
		b = appendSized(b, f.Elem(), f.At(i), st)
	}
	return b
}

func appendSized(b []byte, oid OID, d Datum, st *Settings) []byte {
	be := binary.BigEndian
	if d.IsNull() {
		return be.AppendUint32(b, math.MaxUint32)
	}
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = AppendBinary(b, oid, d, st)
	be.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendRecordBinary(b, v []byte, st *Settings) []byte {
	fs := DecodeRecord(v)
	b = binary.BigEndian.AppendUint32(b, uint32(len(fs)))
	for _, f := range fs {
		b = binary.BigEndian.AppendUint32(b, uint32(f.Type))
		b = appendSized(b, f.Type, f.Value, st)
	}
	return b
}

// DecodeBinary reads a value of type t from its binary wire form, as
// PostgreSQL's receive functions do.
func DecodeBinary(t Type, b []byte, st *Settings) (Datum, error) {
	switch ReprOf(t.OID) {
	case Int64:
		return decodeBinaryInt(t.OID, b)
	case Float64:
		if t.OID == Float4OID && len(b) == 4 {
			return NewFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(b)))), nil
		}
		if t.OID == Float8OID && len(b) == 8 {
			return NewFloat(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
		}
		return Null, wrongSize(len(b), floatWidth(t.OID))
	case Numerics:
		n, err := decodeNumericBinary(b)
		return NewNumeric(n), err
	}
	return decodeBinaryBytes(t, b, st)
}

func floatWidth(oid OID) int {
	if oid == Float4OID {
		return 4
	}
	return 8
}

func wrongSize(have, want int) error {
	if have < want {
		return Errorf(CodeProtocolViolation, "insufficient data left in message")
	}
	return Errorf(CodeInvalidBinaryRepresentation, "incorrect binary data format in bind parameter")
}

func decodeBinaryInt(oid OID, b []byte) (Datum, error) {
	w := intWidth(oid)
	if len(b) < w {
		return Null, Errorf(CodeProtocolViolation, "insufficient data left in message")
	}
	if len(b) > w {
		return Null, Errorf(CodeInvalidBinaryRepresentation, "incorrect binary data format in bind parameter")
	}
	switch {
	case oid == BoolOID:
		return NewBool(b[0] != 0), nil
	case w == 1:
		return NewInt(int64(b[0])), nil
	case w == 2:
		return NewInt(int64(int16(binary.BigEndian.Uint16(b)))), nil
	case w == 8:
		v := int64(binary.BigEndian.Uint64(b))
		if (oid == TimestampOID || oid == TimestampTZOID) && !IsInfinite(v) && !ValidTimestamp(v) {
			return Null, Errorf(CodeDatetimeFieldOverflow, "timestamp out of range")
		}
		if oid == TimeOID && (v < 0 || v > MicrosPerDay) {
			return Null, Errorf(CodeDatetimeFieldOverflow, "time out of range")
		}
		return NewInt(v), nil
	case oid == Int4OID:
		return NewInt(int64(int32(binary.BigEndian.Uint32(b)))), nil
	case oid == DateOID:
		v := int64(int32(binary.BigEndian.Uint32(b)))
		if v != DateInfinity && v != DateNegInfinity && !ValidDate(v) {
			return Null, Errorf(CodeDatetimeFieldOverflow, "date out of range")
		}
		return NewInt(v), nil
	}
	return NewInt(int64(binary.BigEndian.Uint32(b))), nil
}

// CheckUTF8 rejects text that is not UTF-8 or holds a zero byte.
func CheckUTF8(b []byte) error {
	if bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) {
		return nil
	}
	for i := 0; i < len(b); {
		r, w := utf8.DecodeRune(b[i:])
		if b[i] == 0 || r == utf8.RuneError && w <= 1 {
			s := ""
			for _, c := range b[i:min(len(b), i+max(1, seqLen(b[i])))] {
				if s != "" {
					s += " "
				}
				s += "0x" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
			}
			return Errorf(CodeCharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": %s", s)
		}
		i += w
	}
	return nil
}

func seqLen(c byte) int {
	switch {
	case c >= 0xf8:
		return 1
	case c >= 0xf0:
		return 4
	case c >= 0xe0:
		return 3
	case c >= 0xc0:
		return 2
	}
	return 1
}

func decodeBinaryBytes(t Type, b []byte, st *Settings) (Datum, error) {
	switch t.OID {
	case ByteaOID:
		return NewBytes(b), nil
	case UUIDOID:
		if len(b) != 16 {
			return Null, wrongSize(len(b), 16)
		}
		return NewBytes(b), nil
	case IntervalOID:
		if len(b) != 16 {
			return Null, wrongSize(len(b), 16)
		}
		return NewBytes(b), nil
	case TimeTZOID:
		if len(b) != 12 {
			return Null, wrongSize(len(b), 12)
		}
		return NewBytes(b), nil
	case TIDOID:
		if len(b) != 6 {
			return Null, wrongSize(len(b), 6)
		}
		return parseTID(fmt.Sprintf("(%d,%d)", binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:])))
	case BitOID, VarBitOID:
		if len(b) < 4 {
			return Null, wrongSize(len(b), 4)
		}
		if n := 4 + (int(binary.BigEndian.Uint32(b))+7)/8; len(b) != n {
			return Null, wrongSize(len(b), n)
		}
		return NewBytes(b), nil
	}
	if ElemOf(t.OID) != 0 {
		return decodeArrayBinary(t, b, st)
	}
	if t.OID == JSONBOID || t.OID == JsonpathOID {
		if len(b) == 0 || b[0] != 1 {
			return Null, Errorf(CodeInternal, "unsupported %s version number %d", Format(t.OID, -1), append(b, 0)[0])
		}
		b = b[1:]
	}
	if err := CheckUTF8(b); err != nil {
		return Null, err
	}
	if plainText(t.OID) && t.OID != JSONOID && t.OID != JsonpathOID && t.OID != NameOID {
		return NewBytes(b), nil
	}
	return ParseText(t, string(b), st)
}

func decodeArrayBinary(t Type, b []byte, st *Settings) (Datum, error) {
	be := binary.BigEndian
	short := Errorf(CodeProtocolViolation, "insufficient data left in message")
	if len(b) < 12 {
		return Null, short
	}
	ndim, elem := int(be.Uint32(b)), OID(be.Uint32(b[8:]))
	if ndim > 6 {
		return Null, Errorf(CodeProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)", ndim, 6)
	}
	if elem != ElemOf(t.OID) {
		return Null, Errorf(CodeDatatypeMismatch, "binary data has array element type %d (%s) instead of expected %d (%s)",
			elem, Format(elem, -1), ElemOf(t.OID), Format(ElemOf(t.OID), -1))
	}
	b = b[12:]
	a := Array{Elem: elem}
	n := 1
	for d := 0; d < ndim; d++ {
		if len(b) < 8 {
			return Null, short
		}
		l, lo := int32(be.Uint32(b)), int32(be.Uint32(b[4:]))
		b = b[8:]
		if n *= int(l); l < 0 || n > len(b)/4+1 && n > 0 {
			return Null, short
		}
		a.Dims, a.Lower = append(a.Dims, l), append(a.Lower, lo)
	}
	if ndim == 0 || n == 0 {
		return ArrayDatum(Array{Elem: elem}), nil
	}
	for i := 0; i < n; i++ {
		if len(b) < 4 {
			return Null, short
		}
		l := int32(be.Uint32(b))
		b = b[4:]
		if l == -1 {
			a.Elems = append(a.Elems, Null)
			continue
		}
		if l < 0 || int(l) > len(b) {
			return Null, short
		}
		d, err := DecodeBinary(Of(elem), b[:l], st)
		if err != nil {
			return Null, err
		}
		a.Elems = append(a.Elems, d)
		b = b[l:]
	}
	if len(b) != 0 {
		return Null, wrongSize(len(b), 0)
	}
	return ArrayDatum(a), nil
}

package types

import (
	"strconv"
	"strings"
)

// ParseText reads a value of type t from its text form, as PostgreSQL's input
// functions do. Modifiers are applied by ApplyMod, but for interval's fields.
func ParseText(t Type, s string, st *Settings) (Datum, error) {
	switch t.OID {
	case TextOID, VarCharOID, BPCharOID, UnknownOID, CStringOID, RefCursorOID, XMLOID:
		return NewString(s), nil
	case Int4OID:
		return parseInt(s, 32, "integer")
	case Int8OID:
		return parseInt(s, 64, "bigint")
	case Int2OID:
		return parseInt(s, 16, "smallint")
	case BoolOID:
		return parseBool(s)
	case NumericOID:
		n, err := ParseNumeric(s)
		if err != nil {
			return Null, err
		}
		return NewNumeric(n), nil
	case Float8OID, Float4OID:
		return parseFloat(s, t.OID)
	case NameOID:
		return NewString(TruncateName(s)), nil
	case QCharOID:
		return parseQChar(s), nil
	case ByteaOID:
		return parseBytea(s)
	case UUIDOID:
		return parseUUID(s)
	case JSONOID:
		if err := ValidateJSON(s); err != nil {
			return Null, err
		}
		return NewString(s), nil
	case JSONBOID:
		b, err := ParseJSONB(s)
		if err != nil {
			return Null, err
		}
		return NewBytes(b), nil
	case OIDOID, XIDOID, CIDOID, XID8OID:
		return parseOID(s, t.OID)
	case MoneyOID:
		return parseMoney(s)
	}
	return parseOther(t, s, st)
}

func parseOther(t Type, s string, st *Settings) (Datum, error) {
	if st == nil {
		st = DefaultSettings()
	}
	switch t.OID {
	case DateOID:
		return parseDate(s, st)
	case TimeOID:
		return parseTime(s, st)
	case TimeTZOID:
		return parseTimeTZ(s, st)
	case TimestampOID:
		return parseTimestamp(s, st, false)
	case TimestampTZOID:
		return parseTimestamp(s, st, true)
	case IntervalOID:
		return parseInterval(s, t.Mod, st)
	case OIDVectorOID, Int2VectorOID:
		return parseVectorType(t, s)
	case VoidOID:
		return NewString(""), nil
	case RecordOID:
		return Null, Errorf(CodeFeatureNotSupported, "input of anonymous composite types is not implemented")
	case PgLSNOID:
		return parseLSN(s)
	case TIDOID:
		return parseTID(s)
	case JsonpathOID:
		p, err := ParseJSONPath(s)
		if err != nil {
			return Null, err
		}
		return NewString(p.String()), nil
	case BitOID, VarBitOID:
		return parseBits(t, s)
	case ACLItemOID:
		if !strings.Contains(s, "=") {
			return Null, Errorf(CodeInvalidTextRepresentation, "missing \"=\" sign")
		}
		return NewString(s), nil
	}
	if IsRegType(t.OID) {
		return parseReg(t.OID, s, st)
	}
	if e := ElemOf(t.OID); e != 0 {
		return parseArray(t, s, st)
	}
	if IsEnum(t.OID) {
		return parseEnum(t.OID, s, st)
	}
	return Null, Errorf(CodeFeatureNotSupported, "cannot accept a value of type %s", Format(t.OID, -1))
}

// AppendText appends the text form of a value that is not NULL, as PostgreSQL's
// output functions write it.
func AppendText(b []byte, oid OID, d Datum, st *Settings) []byte {
	switch d.repr {
	case Int64:
		return AppendTextInt(b, oid, d.i, st)
	case Float64:
		return AppendTextFloat(b, oid, d.Float(), st)
	case Numerics:
		return AppendNumeric(b, d.Numeric())
	case Bytes:
		return AppendTextBytes(b, oid, d.Bytes(), st)
	}
	return b
}

// TextOf returns the text form of a value that is not NULL.
func TextOf(oid OID, d Datum, st *Settings) string {
	if d.repr == Bytes && plainText(oid) {
		return d.s
	}
	return string(AppendText(nil, oid, d, st))
}

func plainText(oid OID) bool {
	switch oid {
	case TextOID, VarCharOID, BPCharOID, NameOID, JSONOID, UnknownOID, CStringOID, XMLOID, JsonpathOID:
		return true
	}
	return false
}

// AppendTextInt appends the text form of an Int64 value.
func AppendTextInt(b []byte, oid OID, v int64, st *Settings) []byte {
	switch oid {
	case Int4OID, Int8OID, Int2OID, OIDOID, XIDOID, CIDOID:
		return strconv.AppendInt(b, v, 10)
	case BoolOID:
		if v != 0 {
			return append(b, 't')
		}
		return append(b, 'f')
	case QCharOID:
		return appendQChar(b, byte(v))
	case XID8OID:
		return strconv.AppendUint(b, uint64(v), 10)
	case MoneyOID:
		return appendMoney(b, v)
	case PgLSNOID:
		return appendLSN(b, uint64(v))
	case DateOID:
		return AppendDate(b, v, st)
	case TimeOID:
		return appendTimeOfDay(b, v)
	case TimestampOID:
		return AppendTimestamp(b, v, st)
	case TimestampTZOID:
		return AppendTimestampTZ(b, v, st)
	}
	if IsRegType(oid) {
		return appendReg(b, oid, OID(v), st)
	}
	return strconv.AppendInt(b, v, 10)
}

// AppendTextBytes appends the text form of a Bytes value.
func AppendTextBytes(b []byte, oid OID, v []byte, st *Settings) []byte {
	switch oid {
	case TextOID, VarCharOID, BPCharOID, NameOID, JSONOID, UnknownOID, CStringOID:
		return append(b, v...)
	case ByteaOID:
		return appendBytea(b, v, st)
	case UUIDOID:
		return appendUUID(b, v)
	case JSONBOID:
		return AppendJSONBText(b, v)
	case IntervalOID:
		return AppendInterval(b, DecodeInterval(v), st)
	case TimeTZOID:
		return appendTimeTZ(b, v)
	case OIDVectorOID, Int2VectorOID:
		return appendVectorType(b, v)
	case RecordOID:
		return appendRecord(b, v, st)
	case BitOID, VarBitOID:
		return appendBits(b, v)
	case VoidOID:
		return b
	}
	if ElemOf(oid) != 0 || oid == AnyArrayOID {
		return appendArray(b, v, st)
	}
	if IsEnum(oid) {
		v = enumLabel(v)
	}
	return append(b, v...)
}

// syntaxError quotes the value as it is: PostgreSQL does not escape it.
func syntaxError(typeName, s string) error {
	return &Error{Code: CodeInvalidTextRepresentation,
		Message: "invalid input syntax for type " + typeName + ": \"" + s + "\""}
}

func trimSpace(s string) string { return strings.Trim(s, " \t\n\r\v\f") }

func parseInt(s string, bits int, name string) (Datum, error) {
	// The common case: digits only, too few to overflow.
	if n := len(s); n > 0 && n < 10 && bits >= 32 {
		v := int64(0)
		for i := 0; ; i++ {
			if i == n {
				return NewInt(v), nil
			}
			c := s[i] - '0'
			if c > 9 {
				break
			}
			v = v*10 + int64(c)
		}
	}
	t := trimSpace(s)
	if t == "" || strings.IndexByte(t, '_') >= 0 {
		return Null, syntaxError(name, s)
	}
	v, err := strconv.ParseInt(t, 10, bits)
	if err != nil {
		if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
			return Null, Errorf(CodeNumericValueOutOfRange, "value \"%s\" is out of range for type %s", s, name)
		}
		return Null, syntaxError(name, s)
	}
	return NewInt(v), nil
}

func parseBool(s string) (Datum, error) {
	t := strings.ToLower(trimSpace(s))
	for _, w := range [...]string{"true", "yes"} {
		if t != "" && strings.HasPrefix(w, t) {
			return NewBool(true), nil
		}
	}
	for _, w := range [...]string{"false", "no"} {
		if t != "" && strings.HasPrefix(w, t) {
			return NewBool(false), nil
		}
	}
	switch t {
	case "on", "1":
		return NewBool(true), nil
	case "off", "of", "0":
		return NewBool(false), nil
	}
	return Null, syntaxError("boolean", s)
}

// maxNameBytes is the longest identifier.
const maxNameBytes = 63

// TruncateName cuts an identifier to PostgreSQL's length at a character
// boundary.
func TruncateName(s string) string {
	if len(s) <= maxNameBytes {
		return s
	}
	n := maxNameBytes
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

func parseQChar(s string) Datum {
	if len(s) == 4 && s[0] == '\\' {
		if v, err := strconv.ParseUint(s[1:], 8, 8); err == nil {
			return NewInt(int64(v))
		}
	}
	if s == "" {
		return NewInt(0)
	}
	return NewInt(int64(s[0]))
}

func appendQChar(b []byte, c byte) []byte {
	switch {
	case c == 0:
		return b
	case c >= 0x80:
		return append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
	}
	return append(b, c)
}

func parseOID(s string, oid OID) (Datum, error) {
	name := Format(oid, -1)
	t := trimSpace(s)
	if oid == XID8OID {
		v, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return Null, syntaxError(name, s)
		}
		return NewInt(int64(v)), nil
	}
	v, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		if ne, ok := err.(*strconv.NumError); !ok || ne.Err != strconv.ErrRange {
			return Null, syntaxError(name, s)
		}
	}
	if err != nil || v > 1<<32-1 || v < -(1<<31) {
		return Null, Errorf(CodeNumericValueOutOfRange, "value \"%s\" is out of range for type %s", s, name)
	}
	return NewInt(int64(uint32(v))), nil
}

// IsRegType reports whether oid is one of the reg* types.
func IsRegType(oid OID) bool {
	switch oid {
	case RegProcOID, RegProcedureOID, RegOperOID, RegOperatorOID, RegClassOID, RegTypeOID,
		RegConfigOID, RegDictionaryOID, RegNamespaceOID, RegRoleOID, RegCollationOID:
		return true
	}
	return false
}

func parseReg(kind OID, s string, st *Settings) (Datum, error) {
	if s == "-" {
		return NewInt(0), nil
	}
	if v, err := strconv.ParseUint(s, 10, 32); err == nil {
		return NewInt(int64(v)), nil
	}
	if kind == RegTypeOID && (st == nil || st.Names == nil) {
		if i, ok := LookupName(s); ok {
			return NewInt(int64(i.OID)), nil
		}
	}
	if st == nil || st.Names == nil {
		return Null, Errorf(CodeUndefinedObject, "%s \"%s\" does not exist", Format(kind, -1), s)
	}
	v, err := st.Names.RegOID(kind, s)
	if err != nil {
		return Null, err
	}
	return NewInt(int64(v)), nil
}

func appendReg(b []byte, kind, v OID, st *Settings) []byte {
	if v == 0 {
		return append(b, '-')
	}
	if st != nil && st.Names != nil {
		if n, ok := st.Names.RegName(kind, v); ok {
			return append(b, n...)
		}
	} else if kind == RegTypeOID {
		if s := Format(v, -1); !strings.HasPrefix(s, unnamed) {
			return append(b, s...)
		}
	}
	return strconv.AppendUint(b, uint64(v), 10)
}

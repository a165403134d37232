package types

import (
	"regexp"
	"strconv"
	"strings"
)

// OID identifies a catalog object; built-in ones keep PostgreSQL's numbers.
type OID uint32

// Type is a type together with its modifier; -1 means no modifier. It is a
// small comparable value.
type Type struct {
	OID OID
	Mod int32
}

// Of returns the type oid without a modifier.
func Of(oid OID) Type { return Type{OID: oid, Mod: -1} }

// Info is what pg_type says about a built-in type.
type Info struct {
	OID       OID
	Name      string
	Len       int16
	Kind      byte // typtype: b, c, d, e, p, r, m
	Category  byte
	Preferred bool
	Delim     byte
	Elem      OID
	Array     OID
}

// Repr says which vector representation the values of a type have.
type Repr uint8

// The representations; Invalid is the zero value and marks NULL in a Datum.
const (
	Invalid Repr = iota
	Int64
	Float64
	Bytes
	Numerics
)

// String names the representation.
func (r Repr) String() string {
	switch r {
	case Int64:
		return "int64"
	case Float64:
		return "float64"
	case Bytes:
		return "bytes"
	case Numerics:
		return "numeric"
	}
	return "invalid"
}

const maxDirectOID = 8192

// directIndex finds a built-in type's row by oid in one load.
var directIndex = func() (t [maxDirectOID]uint8) {
	for i := range builtinInfos {
		t[builtinInfos[i].OID] = uint8(i + 1)
	}
	return t
}()

var infoByName = func() map[string]*Info {
	m := make(map[string]*Info, len(builtinInfos))
	for i := range builtinInfos {
		m[builtinInfos[i].Name] = &builtinInfos[i]
	}
	return m
}()

// Lookup returns the facts of a built-in type.
func Lookup(oid OID) (*Info, bool) {
	if oid < maxDirectOID {
		if i := directIndex[oid]; i != 0 {
			return &builtinInfos[i-1], true
		}
	}
	return nil, false
}

// LookupName returns the facts of the built-in type called name in pg_type,
// such as "int4" or "_text".
func LookupName(name string) (*Info, bool) {
	i, ok := infoByName[name]
	return i, ok
}

// Builtins calls f for every built-in type in the order of their oids.
func Builtins(f func(*Info)) {
	for i := range builtinInfos {
		f(&builtinInfos[i])
	}
}

// ReprOf returns the representation of values of type oid. Types that are not
// built in are flat bytes, but for enums, whose labels are bytes as well.
func ReprOf(oid OID) Repr {
	switch oid {
	case Int4OID, Int8OID, Int2OID, BoolOID, DateOID, TimestampOID, TimestampTZOID, TimeOID,
		OIDOID, QCharOID, MoneyOID, XIDOID, CIDOID, XID8OID, PgLSNOID,
		RegProcOID, RegProcedureOID, RegOperOID, RegOperatorOID, RegClassOID, RegTypeOID,
		RegConfigOID, RegDictionaryOID, RegNamespaceOID, RegRoleOID, RegCollationOID:
		return Int64
	case Float4OID, Float8OID:
		return Float64
	case NumericOID:
		return Numerics
	}
	return Bytes
}

// Repr returns the representation of t's values.
func (t Type) Repr() Repr { return ReprOf(t.OID) }

// WithMod returns t with another modifier.
func (t Type) WithMod(mod int32) Type { return Type{OID: t.OID, Mod: mod} }

// Category returns pg_type's typcategory.
func (t Type) Category() byte {
	switch {
	case IsEnum(t.OID):
		return 'E'
	case t.OID >= firstUserOID:
		return 'A'
	}
	if i, ok := Lookup(t.OID); ok {
		return i.Category
	}
	return 'U'
}

// IsArray reports whether values of t are arrays (the vector types included).
func (t Type) IsArray() bool { return ElemOf(t.OID) != 0 && t.OID != NameOID }

// ElemOf returns the element type of a built-in true array type, or 0.
func ElemOf(oid OID) OID {
	if oid >= firstUserOID {
		if oid&userArrayBit != 0 {
			return oid &^ userArrayBit
		}
		return 0
	}
	if oid == RecordArrayOID {
		return RecordOID
	}
	if i, ok := Lookup(oid); ok && i.Category == 'A' && i.Kind == 'b' {
		return i.Elem
	}
	return 0
}

// ArrayOf returns the array type over a built-in element type, or 0.
func ArrayOf(oid OID) OID {
	if IsEnum(oid) {
		return oid | userArrayBit
	}
	if i, ok := Lookup(oid); ok {
		return i.Array
	}
	return 0
}

// Elem returns the element type of an array type, keeping the modifier.
func (t Type) Elem() Type { return Type{OID: ElemOf(t.OID), Mod: t.Mod} }

// IsPolymorphic reports whether oid is one of the polymorphic pseudo-types.
func IsPolymorphic(oid OID) bool {
	switch oid {
	case AnyElementOID, AnyArrayOID, AnyNonArrayOID, AnyEnumOID, AnyRangeOID, AnyMultirangeOID,
		AnyCompatibleOID, AnyCompatibleArrayOID, AnyCompatibleNonArrayOID, AnyCompatibleRangeOID,
		AnyCompatibleMultirangeOID:
		return true
	}
	return false
}

// IsIntegerLike reports whether values of oid are 2, 4 or 8 byte integers.
func IsIntegerLike(oid OID) bool { return oid == Int2OID || oid == Int4OID || oid == Int8OID }

// IsUnsigned32 reports whether values of oid are unsigned 32-bit integers: oid,
// the reg* types, xid and cid.
func IsUnsigned32(oid OID) bool {
	return oid == OIDOID || oid == XIDOID || oid == CIDOID || IsRegType(oid)
}

// IsCollatable reports whether values of oid are compared under a collation.
func IsCollatable(oid OID) bool {
	switch oid {
	case TextOID, VarCharOID, BPCharOID, NameOID:
		return true
	}
	if e := ElemOf(oid); e != 0 {
		return IsCollatable(e)
	}
	return false
}

// sqlNames are the names the SQL standard gives to types whose pg_type name
// differs; format_type prints them.
var sqlNames = map[OID]string{
	BoolOID: "boolean", QCharOID: `"char"`, Int8OID: "bigint", Int2OID: "smallint", Int4OID: "integer",
	Float4OID: "real", Float8OID: "double precision", BPCharOID: "character", VarCharOID: "character varying",
	TimeOID: "time without time zone", TimestampOID: "timestamp without time zone",
	TimestampTZOID: "timestamp with time zone", TimeTZOID: "time with time zone",
	BitOID: "bit", VarBitOID: "bit varying", AnyOID: `"any"`,
}

// unnamed begins what Format prints for types that only the catalog can name.
const unnamed = "???"

var unnamedForm = regexp.MustCompile(`\?\?\?([0-9]+)`)

// NameTypes puts the names of users' types into a text that Format's answers are
// in: name finds a type's.
func NameTypes(text string, name func(OID) string) string {
	if !strings.Contains(text, unnamed) {
		return text
	}
	return unnamedForm.ReplaceAllStringFunc(text, func(s string) string {
		oid, err := strconv.ParseUint(s[len(unnamed):], 10, 32)
		if err != nil {
			return s
		}
		return name(OID(oid))
	})
}

// String returns the type as format_type prints it, modifier included.
func (t Type) String() string { return FormatMod(t.OID, t.Mod) }

// Format returns the SQL name of a built-in type as errors show it. With a
// modifier it is FormatMod. Only the catalog can name a user's type: NameTypes
// puts such names in.
func Format(oid OID, mod int32) string {
	if oid >= firstUserOID {
		return unnamed + strconv.FormatUint(uint64(oid), 10)
	}
	if mod < 0 {
		switch e := ElemOf(oid); {
		case oid == BPCharOID:
			return "character"
		case e == BPCharOID:
			return "character[]"
		case oid == BitOID:
			return "bit"
		case e == BitOID:
			return "bit[]"
		}
	}
	return FormatMod(oid, mod)
}

// FormatMod returns the SQL name of a built-in type with its modifier, as the
// SQL function format_type does: it reads back as the same type, so char
// without a length is bpchar. Unknown oids print as "???".
func FormatMod(oid OID, mod int32) string {
	info, ok := Lookup(oid)
	if !ok {
		return "???"
	}
	suffix := ""
	if e := ElemOf(oid); e != 0 && info.Len == -1 && oid != Int2VectorOID && oid != OIDVectorOID {
		suffix = "[]"
		oid = e
		if info, ok = Lookup(oid); !ok {
			return "???"
		}
	}
	return formatScalar(info, mod) + suffix
}

func formatScalar(info *Info, mod int32) string {
	switch info.OID {
	case BPCharOID:
		if mod >= 4 {
			return "character(" + strconv.Itoa(int(mod-4)) + ")"
		}
		// Without a length the internal name is printed: "character" alone
		// would be read back as character(1).
		return "bpchar"
	case VarCharOID:
		if mod >= 4 {
			return "character varying(" + strconv.Itoa(int(mod-4)) + ")"
		}
	case NumericOID:
		if mod >= 4 {
			p, s := NumericMod(mod)
			return "numeric(" + strconv.Itoa(p) + "," + strconv.Itoa(s) + ")"
		}
	case TimeOID, TimestampOID, TimeTZOID, TimestampTZOID:
		return formatTimeType(info.OID, mod)
	case IntervalOID:
		if mod >= 0 {
			return "interval" + intervalModString(mod)
		}
	case BitOID:
		if mod > 0 {
			return "bit(" + strconv.Itoa(int(mod)) + ")"
		}
		return `"bit"`
	case VarBitOID:
		if mod >= 0 {
			return "bit varying(" + strconv.Itoa(int(mod)) + ")"
		}
	}
	if n, ok := sqlNames[info.OID]; ok {
		return n
	}
	return info.Name
}

func formatTimeType(oid OID, mod int32) string {
	base, zone := "time", " without time zone"
	if oid == TimestampOID || oid == TimestampTZOID {
		base = "timestamp"
	}
	if oid == TimeTZOID || oid == TimestampTZOID {
		zone = " with time zone"
	}
	if mod >= 0 {
		base += "(" + strconv.Itoa(int(mod)) + ")"
	}
	return base + zone
}

// NumericMod splits numeric's modifier into precision and scale.
func NumericMod(mod int32) (precision, scale int) {
	if mod < 4 {
		return 0, 0
	}
	m := mod - 4
	// The scale is an 11-bit signed number since PostgreSQL 15.
	return int(m>>16) & 0xffff, int((m&0x7ff)^1024) - 1024
}

// MakeNumericMod builds numeric's modifier.
func MakeNumericMod(precision, scale int) int32 {
	return int32(precision<<16|scale&0x7ff) + 4
}

// Interval field bits, as they appear in interval's modifier.
const (
	intervalMonth     = 1 << 1
	intervalYear      = 1 << 2
	intervalDay       = 1 << 3
	intervalHour      = 1 << 10
	intervalMinute    = 1 << 11
	intervalSecond    = 1 << 12
	intervalFullRange = 0x7fff
	intervalFullPrec  = 0xffff
)

// CheckIntervalMod refuses a modifier whose fields are none that an interval can
// be restricted to.
func CheckIntervalMod(mod int32) error {
	fields := int(mod>>16) & 0x7fff
	if mod >= 0 && fields != intervalFullRange && intervalModString(int32(fields<<16|intervalFullPrec)) == "" {
		return Errorf(CodeInternal, "invalid INTERVAL typmod: 0x%x", uint32(mod))
	}
	return nil
}

func intervalModString(mod int32) string {
	fields, prec := int(mod>>16)&0x7fff, int(mod)&0xffff
	s := ""
	switch fields {
	case intervalYear:
		s = " year"
	case intervalMonth:
		s = " month"
	case intervalDay:
		s = " day"
	case intervalHour:
		s = " hour"
	case intervalMinute:
		s = " minute"
	case intervalSecond:
		s = " second"
	case intervalYear | intervalMonth:
		s = " year to month"
	case intervalDay | intervalHour:
		s = " day to hour"
	case intervalDay | intervalHour | intervalMinute:
		s = " day to minute"
	case intervalDay | intervalHour | intervalMinute | intervalSecond:
		s = " day to second"
	case intervalHour | intervalMinute:
		s = " hour to minute"
	case intervalHour | intervalMinute | intervalSecond:
		s = " hour to second"
	case intervalMinute | intervalSecond:
		s = " minute to second"
	}
	if prec != intervalFullPrec {
		s += "(" + strconv.Itoa(prec) + ")"
	}
	return s
}

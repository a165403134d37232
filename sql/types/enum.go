package types

import (
	"encoding/binary"
	"math"
)

// User-defined types are enums; the oid of the array type over one is that of
// the enum with this bit set, so that either is known from the other alone.
const (
	firstUserOID OID = 16384
	userArrayBit OID = 1 << 30
)

// IsEnum reports whether oid is a user-defined type, not an array of one.
func IsEnum(oid OID) bool { return oid >= firstUserOID && oid&userArrayBit == 0 }

// Label is one value of an enum; Sort orders the labels.
type Label struct {
	Sort  float64
	Label string
}

// An enum's value is the place of its label in the order, as eight bytes that
// compare as the places do, and the label: it sorts and prints by itself, and
// labels may be added between others.

// NewEnum returns the value of a label.
func NewEnum(l Label) Datum {
	u := math.Float64bits(l.Sort)
	if u>>63 != 0 {
		u = ^u
	} else {
		u |= 1 << 63
	}
	return NewBytes(append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(l.Label)), u), l.Label...))
}

func enumLabel(v []byte) []byte {
	if len(v) < 8 {
		return v
	}
	return v[8:]
}

func parseEnum(oid OID, s string, st *Settings) (Datum, error) {
	if st == nil || st.Names == nil {
		return Null, Errorf(CodeFeatureNotSupported, "values of enums cannot be read here")
	}
	name, labels, ok := st.Names.EnumLabels(oid)
	if !ok {
		return Null, Errorf(CodeInternal, "cache lookup failed for type %d", oid)
	}
	for _, l := range labels {
		if l.Label == s {
			return NewEnum(l), nil
		}
	}
	return Null, Errorf(CodeInvalidTextRepresentation, "invalid input value for enum %s: \"%s\"", name, s)
}

package types

import (
	"strings"
	"unicode/utf8"
)

// ApplyMod makes a value fit the modifier of t: the length of strings, the
// precision and scale of numerics, the precision of times. An explicit cast
// cuts a string silently; otherwise only spaces may be lost.
func ApplyMod(d Datum, t Type, explicit bool) (Datum, error) {
	if t.Mod < 0 || d.IsNull() {
		return d, nil
	}
	switch t.OID {
	case VarCharOID, BPCharOID:
		if t.Mod < 4 {
			return d, nil
		}
		if t.OID == BPCharOID {
			return fitBPChar(d, int(t.Mod)-4, explicit)
		}
		return fitVarChar(d, int(t.Mod)-4, explicit)
	case NumericOID:
		n, err := ApplyNumericMod(d.Numeric(), t.Mod)
		return NewNumeric(n), err
	case TimeOID:
		return NewInt(roundMicros(d.Int(), int(t.Mod))), nil
	case TimestampOID, TimestampTZOID:
		if IsInfinite(d.Int()) {
			return d, nil
		}
		return NewInt(roundTimestamp(d.Int(), int(t.Mod))), nil
	case TimeTZOID:
		v := DecodeTimeTZ(d.Bytes())
		v.Micros = roundMicros(v.Micros, int(t.Mod))
		return v.Datum(), nil
	case IntervalOID:
		return adjustInterval(DecodeInterval(d.Bytes()), t.Mod).Datum(), nil
	case BitOID, VarBitOID:
		return fitBits(d, t, explicit)
	}
	if e := ElemOf(t.OID); e != 0 {
		return applyModToArray(d, Type{OID: e, Mod: t.Mod}, explicit)
	}
	return d, nil
}

func roundTimestamp(us int64, prec int) int64 {
	return roundMicros(us, prec)
}

func applyModToArray(d Datum, elem Type, explicit bool) (Datum, error) {
	a := DecodeArray(d.Bytes())
	for i, e := range a.Elems {
		v, err := ApplyMod(e, elem, explicit)
		if err != nil {
			return Null, err
		}
		a.Elems[i] = v
	}
	return ArrayDatum(a), nil
}

// cutChars returns the byte length of the first n characters of s, and whether
// s has no more than that.
func cutChars(s string, n int) (bytes int, whole bool) {
	if len(s) <= n {
		return len(s), true
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	return i, i == len(s)
}

func fitVarChar(d Datum, n int, explicit bool) (Datum, error) {
	s := d.Str()
	cut, whole := cutChars(s, n)
	if whole {
		return d, nil
	}
	if !explicit && strings.TrimRight(s[cut:], " ") != "" {
		return Null, tooLong("character varying", n)
	}
	return NewString(s[:cut]), nil
}

func tooLong(name string, n int) error {
	return Errorf(CodeStringDataRightTruncation, "value too long for type %s(%d)", name, n)
}

// maxCharLength is the greatest length a column may declare.
const maxCharLength = 10485760

func fitBPChar(d Datum, n int, explicit bool) (Datum, error) {
	s := d.Str()
	cut, whole := cutChars(s, n)
	if !whole {
		if !explicit && strings.TrimRight(s[cut:], " ") != "" {
			return Null, tooLong("character", n)
		}
		return NewString(s[:cut]), nil
	}
	if n > maxCharLength {
		return Null, Errorf(CodeProgramLimitExceeded, "length for type character cannot exceed %d", maxCharLength)
	}
	if pad := n - utf8.RuneCountInString(s); pad > 0 {
		return NewString(s + strings.Repeat(" ", pad)), nil
	}
	return d, nil
}

// MaxBits is the greatest length of a bit string type.
const MaxBits = 83886080

func fitBits(d Datum, t Type, explicit bool) (Datum, error) {
	b := d.Bytes()
	if len(b) < 4 {
		return Null, ErrCorrupt
	}
	n, want := int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3]), int(t.Mod)
	if want <= 0 || n == want || t.OID == VarBitOID && n <= want {
		return d, nil
	}
	if want > MaxBits {
		return Null, Errorf(CodeInvalidParameterValue, "length for type bit cannot exceed %d", MaxBits)
	}
	if !explicit {
		if t.OID == BitOID {
			return Null, Errorf(CodeStringDataLengthMismatch, "bit string length %d does not match type bit(%d)", n, want)
		}
		return Null, Errorf(CodeStringDataRightTruncation, "bit string too long for type bit varying(%d)", want)
	}
	bits := make([]byte, want)
	for i := 0; i < min(n, want); i++ {
		bits[i] = b[4+i/8] >> (7 - uint(i)%8) & 1
	}
	return NewBytes(packBits(bits)), nil
}

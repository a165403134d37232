package keys

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrCorrupt reports bytes that no encoder of this package wrote.
var ErrCorrupt = errors.New("keys: malformed encoding")

// Integers take a length byte and the significant bytes, so that small ids are
// short: intZero+n for an n-byte non-negative value, intZero-n for a negative.
const (
	intZero   = 0x88
	escape    = 0x00
	escTerm   = 0x01
	escNul    = 0xff
	descFlip  = 0xff
	maxIntLen = 8
)

// AppendUint appends the ordered encoding of v.
func AppendUint(b []byte, v uint64) []byte {
	n := 0
	for x := v; x != 0; x >>= 8 {
		n++
	}
	b = append(b, byte(intZero+n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*uint(i))))
	}
	return b
}

// AppendInt appends the ordered encoding of v.
func AppendInt(b []byte, v int64) []byte {
	if v >= 0 {
		return AppendUint(b, uint64(v))
	}
	// A negative number keeps its low bytes; fewer bytes means closer to zero.
	n := 1
	for n < maxIntLen && v < -(1<<(8*uint(n))) {
		n++
	}
	b = append(b, byte(intZero-n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(uint64(v)>>(8*uint(i))))
	}
	return b
}

// DecodeInt reads an integer written by AppendInt and returns what follows it.
func DecodeInt(b []byte) (v int64, rest []byte, err error) {
	u, neg, rest, err := decodeIntBytes(b)
	if err != nil {
		return 0, nil, err
	}
	if !neg && u > math.MaxInt64 {
		return 0, nil, ErrCorrupt
	}
	return int64(u), rest, nil
}

// DecodeUint reads an integer written by AppendUint and returns what follows.
func DecodeUint(b []byte) (v uint64, rest []byte, err error) {
	u, neg, rest, err := decodeIntBytes(b)
	if err == nil && neg {
		err = ErrCorrupt
	}
	return u, rest, err
}

func decodeIntBytes(b []byte) (u uint64, neg bool, rest []byte, err error) {
	if len(b) == 0 {
		return 0, false, nil, ErrCorrupt
	}
	n := int(b[0]) - intZero
	if neg = n < 0; neg {
		n = -n
		u = math.MaxUint64
	}
	if n > maxIntLen || len(b) < 1+n {
		return 0, false, nil, ErrCorrupt
	}
	for _, c := range b[1 : 1+n] {
		u = u<<8 | uint64(c)
	}
	if neg && int64(u) >= 0 {
		return 0, false, nil, ErrCorrupt
	}
	return u, neg, b[1+n:], nil
}

// AppendBytes appends the ordered, self-delimiting encoding of v: NUL bytes are
// escaped, and \x00\x01 ends it, so "a" sorts before "a\x00" and before "ab".
func AppendBytes(b, v []byte) []byte {
	for _, c := range v {
		if c == escape {
			b = append(b, escape, escNul)
			continue
		}
		b = append(b, c)
	}
	return append(b, escape, escTerm)
}

// AppendString is AppendBytes for a string.
func AppendString(b []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == escape {
			b = append(b, escape, escNul)
			continue
		}
		b = append(b, v[i])
	}
	return append(b, escape, escTerm)
}

// DecodeBytes appends to dst the value written by AppendBytes and returns what
// follows it in b.
func DecodeBytes(dst, b []byte) (v, rest []byte, err error) {
	for i := 0; i < len(b); i++ {
		if b[i] != escape {
			dst = append(dst, b[i])
			continue
		}
		if i+1 >= len(b) {
			break
		}
		switch b[i+1] {
		case escTerm:
			return dst, b[i+2:], nil
		case escNul:
			dst = append(dst, escape)
			i++
		default:
			return nil, nil, ErrCorrupt
		}
	}
	return nil, nil, ErrCorrupt
}

// AppendFloat appends the ordered encoding of v. -0 equals 0, and every NaN is
// the same value, above +Inf, as PostgreSQL orders them.
func AppendFloat(b []byte, v float64) []byte {
	if v == 0 {
		v = 0
	}
	u := math.Float64bits(v)
	switch {
	case v != v:
		u = math.MaxUint64
	case u>>63 != 0:
		u = ^u
	default:
		u |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, u)
}

// DecodeFloat reads what AppendFloat wrote.
func DecodeFloat(b []byte) (v float64, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, ErrCorrupt
	}
	u := binary.BigEndian.Uint64(b)
	switch {
	case u == math.MaxUint64:
		v = math.NaN()
	case u>>63 != 0:
		v = math.Float64frombits(u &^ (1 << 63))
	default:
		v = math.Float64frombits(^u)
	}
	return v, b[8:], nil
}

// Invert complements b[from:] in place: a descending column is the complement
// of its ascending encoding. To decode, invert a copy of the column's bytes.
func Invert(b []byte, from int) {
	for i := from; i < len(b); i++ {
		b[i] ^= descFlip
	}
}

// Next returns the smallest key above k.
func Next(k []byte) []byte { return append(append(make([]byte, 0, len(k)+1), k...), 0) }

// PrefixEnd returns the smallest key above every key that has the prefix k, or
// nil when there is none.
func PrefixEnd(k []byte) []byte {
	e := append([]byte(nil), k...)
	for i := len(e) - 1; i >= 0; i-- {
		if e[i]++; e[i] != 0 {
			return e[:i+1]
		}
	}
	return nil
}

package types

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
)

// ErrCorrupt reports flat bytes that this package did not write.
var ErrCorrupt = errors.New("types: malformed value")

// AppendNumericImage appends the exact flat image of n: a byte that says how
// the coefficient is stored, the display scale, the coefficient.
func AppendNumericImage(b []byte, n Numeric) []byte {
	if n.Big == nil {
		b = append(b, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(n.Scale))
		return binary.BigEndian.AppendUint64(b, uint64(n.Coef))
	}
	sign := byte(1)
	if n.Big.Sign() < 0 {
		sign = 2
	}
	b = append(b, sign)
	b = binary.BigEndian.AppendUint16(b, uint16(n.Scale))
	return append(b, n.Big.Bytes()...)
}

// NumericFromImage reads what AppendNumericImage wrote; b is exactly its bytes.
func NumericFromImage(b []byte) (Numeric, error) {
	if len(b) < 3 {
		return Numeric{}, ErrCorrupt
	}
	scale := int16(binary.BigEndian.Uint16(b[1:]))
	if b[0] == 0 {
		if len(b) != 11 {
			return Numeric{}, ErrCorrupt
		}
		return Numeric{Coef: int64(binary.BigEndian.Uint64(b[3:])), Scale: scale}, nil
	}
	i := new(big.Int).SetBytes(b[3:])
	if b[0] == 2 {
		i.Neg(i)
	}
	return NumericFromBig(i, scale), nil
}

// AppendImage appends the flat image of a value that is not NULL; the image
// does not tell its own length.
func AppendImage(b []byte, d Datum) []byte {
	switch d.repr {
	case Int64, Float64:
		return binary.BigEndian.AppendUint64(b, uint64(d.i))
	case Bytes:
		return append(b, d.s...)
	case Numerics:
		return AppendNumericImage(b, d.Numeric())
	}
	return b
}

// FromImage reads what AppendImage wrote; b is exactly its bytes.
func FromImage(r Repr, b []byte) (Datum, error) {
	switch r {
	case Int64:
		if len(b) != 8 {
			return Null, ErrCorrupt
		}
		return NewInt(int64(binary.BigEndian.Uint64(b))), nil
	case Float64:
		if len(b) != 8 {
			return Null, ErrCorrupt
		}
		return NewFloat(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	case Bytes:
		return NewBytes(b), nil
	case Numerics:
		n, err := NumericFromImage(b)
		return NewNumeric(n), err
	}
	return Null, ErrCorrupt
}

// AppendDatum appends a self-delimiting image: representation, length, image.
func AppendDatum(b []byte, d Datum) []byte {
	b = append(b, byte(d.repr))
	if d.repr == Invalid {
		return b
	}
	if d.repr == Bytes {
		b = binary.AppendUvarint(b, uint64(len(d.s)))
		return append(b, d.s...)
	}
	at := len(b)
	b = append(b, 0)
	b = AppendImage(b, d)
	n := len(b) - at - 1
	if n < 0x80 {
		b[at] = byte(n)
		return b
	}
	img := append([]byte(nil), b[at+1:]...)
	b = binary.AppendUvarint(b[:at], uint64(n))
	return append(b, img...)
}

// DecodeDatum reads what AppendDatum wrote and returns what follows it.
func DecodeDatum(b []byte) (d Datum, rest []byte, err error) {
	if len(b) == 0 {
		return Null, nil, ErrCorrupt
	}
	r := Repr(b[0])
	b = b[1:]
	if r == Invalid {
		return Null, b, nil
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || uint64(len(b)-w) < n {
		return Null, nil, ErrCorrupt
	}
	d, err = FromImage(r, b[w:w+int(n)])
	return d, b[w+int(n):], err
}

package scan

import (
	"encoding/binary"
	"math"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// AppendBatch appends the live rows of b in a form that DecodeBatch reads.
func AppendBatch(dst []byte, b *vec.Batch) []byte {
	n := b.Len()
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(len(b.Cols)))
	for _, c := range b.Cols {
		dst = appendVector(dst, c, b)
	}
	return dst
}

func appendVector(dst []byte, v *vec.Vector, b *vec.Batch) []byte {
	n := b.Len()
	dst = append(dst, byte(v.Repr))
	at := len(dst)
	dst = append(dst, make([]byte, (n+7)/8)...)
	for i := range n {
		p := b.Pos(i)
		if v.IsNull(p) {
			dst[at+i>>3] |= 1 << (i & 7)
			continue
		}
		switch v.Repr {
		case types.Int64:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v.Int(p)))
		case types.Float64:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float(p)))
		case types.Bytes:
			x := v.Bytes(p)
			dst = binary.AppendUvarint(dst, uint64(len(x)))
			dst = append(dst, x...)
		case types.Numerics:
			dst = types.AppendDatum(dst, types.NewNumeric(v.Numeric(p)))
		}
	}
	return dst
}

// DecodeBatch reads what AppendBatch wrote and returns what follows it.
func DecodeBatch(b []byte) (*vec.Batch, []byte, error) {
	rows, b, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	cols, b, err := uvarint(b)
	if err != nil || cols > 1<<16 || rows > 1<<24 {
		return nil, nil, types.ErrCorrupt
	}
	out := &vec.Batch{Cols: make([]*vec.Vector, cols), N: int(rows)}
	for i := range out.Cols {
		if out.Cols[i], b, err = decodeVector(b, int(rows)); err != nil {
			return nil, nil, err
		}
	}
	return out, b, nil
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, types.ErrCorrupt
	}
	return v, b[n:], nil
}

func decodeVector(b []byte, n int) (*vec.Vector, []byte, error) {
	bits := (n + 7) / 8
	if len(b) < 1+bits {
		return nil, nil, types.ErrCorrupt
	}
	v := vec.New(types.Repr(b[0]), n)
	nulls := b[1 : 1+bits]
	b = b[1+bits:]
	for i := range n {
		if nulls[i>>3]&(1<<(i&7)) != 0 {
			v.AppendNull()
			continue
		}
		switch v.Repr {
		case types.Int64, types.Float64:
			if len(b) < 8 {
				return nil, nil, types.ErrCorrupt
			}
			x := binary.LittleEndian.Uint64(b)
			b = b[8:]
			if v.Repr == types.Int64 {
				v.AppendInt(int64(x))
			} else {
				v.AppendFloat(math.Float64frombits(x))
			}
		case types.Bytes:
			l, rest, err := uvarint(b)
			if err != nil || uint64(len(rest)) < l {
				return nil, nil, types.ErrCorrupt
			}
			v.AppendBytes(rest[:l])
			b = rest[l:]
		case types.Numerics:
			d, rest, err := types.DecodeDatum(b)
			if err != nil {
				return nil, nil, err
			}
			v.AppendDatum(d)
			b = rest
		default:
			return nil, nil, types.ErrCorrupt
		}
	}
	return v, b, nil
}

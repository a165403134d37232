package rowenc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// ErrUnknownLayout says that a row was written under a newer descriptor.
var ErrUnknownLayout = errors.New("rowenc: row of an unknown layout")

// errCorrupt reports a value that is no row.
var errCorrupt = fmt.Errorf("rowenc: malformed row: %w", types.ErrCorrupt)

// wideOffsets in the layout word says that end offsets have four bytes.
const wideOffsets = 0x8000

// entryLayout is the layout number in index entries' values.
const entryLayout = 0x7fff

// fixedKind says how a column is stored in the fixed section; notFixed columns
// go to the bytes.
type fixedKind uint8

const (
	notFixed fixedKind = iota
	fixBool
	fix16
	fix32
	fixU32
	fix64
	fixF32
	fixF64
	fixB16
)

func fixedKindOf(oid types.OID) fixedKind {
	switch oid {
	case types.BoolOID:
		return fixBool
	case types.Int2OID:
		return fix16
	case types.Int4OID, types.DateOID:
		return fix32
	case types.OIDOID:
		return fixU32
	case types.Float4OID:
		return fixF32
	case types.Float8OID:
		return fixF64
	case types.UUIDOID, types.IntervalOID:
		return fixB16
	}
	if types.ReprOf(oid) == types.Int64 {
		return fix64
	}
	return notFixed
}

func (k fixedKind) width() int {
	return [...]int{0, 1, 2, 4, 4, 8, 4, 8, 16}[k]
}

// field is a column's place in rows of one layout.
type field struct {
	ordinal int // in Table.Columns; -1: the column is gone
	kind    fixedKind
	repr    types.Repr
	null    int // bit in the bitmap
	off     int // in the fixed section, from the row's start
	slot    int // among the variable-width columns
}

// shape is a layout made concrete.
type shape struct {
	id     uint16
	fields []field
	fixEnd int // where the offset table starts
	slots  int // variable-width columns
}

// newShape lays columns out. Columns that the table has lost keep their place;
// their types come from the layout's own table entry, which outlives the column
// as an Absent one.
func newShape(t *catalog.Table, id uint16, cols []catalog.ColumnID) (*shape, error) {
	s := &shape{id: id, fields: make([]field, len(cols))}
	at := 2 + (len(cols)+7)/8
	for i, c := range cols {
		o := t.Ordinal(c)
		if o < 0 {
			return nil, fmt.Errorf("rowenc: layout %d of %s names column %d, which is gone", id, t.Name, c)
		}
		oid := t.Columns[o].Type.OID
		f := field{ordinal: o, kind: fixedKindOf(oid), repr: types.ReprOf(oid), null: i}
		if f.kind == notFixed {
			f.slot = s.slots
			s.slots++
		} else {
			f.off = at
			at += f.kind.width()
		}
		s.fields[i] = f
	}
	s.fixEnd = at
	return s, nil
}

// append writes a row; row is parallel to Table.Columns.
func (s *shape) append(b []byte, row []types.Datum) []byte {
	start := len(b)
	b, ok := s.appendWith(b, row, false)
	if !ok {
		b, _ = s.appendWith(b[:start], row, true)
	}
	return b
}

func (s *shape) appendWith(b []byte, row []types.Datum, wide bool) ([]byte, bool) {
	start := len(b)
	size := 2
	word := s.id
	if wide {
		word |= wideOffsets
		size = 4
	}
	head := s.fixEnd + s.slots*size
	b = growBy(b, head)
	r := b[start:]
	binary.LittleEndian.PutUint16(r, word)
	for i := range s.fields {
		f := &s.fields[i]
		d := row[f.ordinal]
		if d.IsNull() {
			b[start+2+f.null>>3] |= 1 << (f.null & 7)
		} else if f.kind != notFixed {
			putFixed(b[start+f.off:], f.kind, d)
		} else if f.repr == types.Numerics {
			b = appendCompactNumeric(b, d.Numeric())
		} else {
			b = append(b, d.Str()...)
		}
		if f.kind != notFixed {
			continue
		}
		end := len(b) - start - head
		at := start + s.fixEnd + f.slot*size
		switch {
		case wide:
			binary.LittleEndian.PutUint32(b[at:], uint32(end))
		case end > math.MaxUint16:
			return b, false
		default:
			binary.LittleEndian.PutUint16(b[at:], uint16(end))
		}
	}
	return b, true
}

func growBy(b []byte, n int) []byte {
	l := len(b)
	if cap(b)-l < n {
		c := make([]byte, l, 2*cap(b)+n+32)
		copy(c, b)
		b = c
	}
	b = b[:l+n]
	clear(b[l:])
	return b
}

func putFixed(b []byte, k fixedKind, d types.Datum) {
	switch k {
	case fixBool:
		b[0] = byte(d.Int())
	case fix16:
		binary.LittleEndian.PutUint16(b, uint16(d.Int()))
	case fix32, fixU32:
		binary.LittleEndian.PutUint32(b, uint32(d.Int()))
	case fix64:
		binary.LittleEndian.PutUint64(b, uint64(d.Int()))
	case fixF32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(float32(d.Float())))
	case fixF64:
		binary.LittleEndian.PutUint64(b, floatBits(d.Float()))
	case fixB16:
		copy(b[:16], d.Str())
	}
}

// appendCompactNumeric writes the display scale and the coefficient in as few
// bytes as it needs: up to eight in two's complement, or a sign and the
// magnitude of one that does not fit.
func appendCompactNumeric(b []byte, n types.Numeric) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(n.Scale))
	if n.Big != nil {
		sign := byte(0)
		if n.Big.Sign() < 0 {
			sign = 1
		}
		b = append(b, sign)
		mag := n.Big.Bytes()
		// At least eight bytes of magnitude keep the form apart from the short one.
		for i := len(mag); i < 8; i++ {
			b = append(b, 0)
		}
		return append(b, mag...)
	}
	w := 1
	for w < 8 && n.Coef>>(8*w-1) != 0 && n.Coef>>(8*w-1) != -1 {
		w++
	}
	for i := w - 1; i >= 0; i-- {
		b = append(b, byte(n.Coef>>(8*i)))
	}
	return b
}

func compactNumeric(b []byte) (types.Numeric, error) {
	if len(b) < 3 {
		return types.Numeric{}, errCorrupt
	}
	scale := int16(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) > 8 {
		m := new(big.Int).SetBytes(b[1:])
		if b[0] == 1 {
			m.Neg(m)
		}
		return types.NumericFromBig(m, scale), nil
	}
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return types.Numeric{Coef: v, Scale: scale}, nil
}

package api

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// CodecVersion is the first byte of everything that this package encodes.
const CodecVersion = 1

// ErrMalformed reports bytes that no encoder of this package wrote.
var ErrMalformed = errors.New("api: malformed encoding")

// The encoding is fields in a fixed order: unsigned varints for numbers, zigzag
// for signed ones, length+1 before bytes (0: nil). A field that is mostly absent
// is announced by a bit of the mask that precedes its struct.

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
func appendInt(b []byte, v int64) []byte   { return binary.AppendVarint(b, v) }

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(v))+1)
	return append(b, v...)
}

func appendText(b []byte, v string) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendTS(b []byte, t hlc.Timestamp) []byte {
	b = binary.AppendUvarint(b, uint64(t.WallNanos))
	return binary.AppendUvarint(b, uint64(uint32(t.Logical)))
}

func appendTxnID(b []byte, id ids.TxnID) []byte { return append(b, id[:]...) }

// appendList appends a nil-preserving list.
func appendList[T any](b []byte, list []T, each func([]byte, *T) []byte) []byte {
	if list == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(list))+1)
	for i := range list {
		b = each(b, &list[i])
	}
	return b
}

// decoder reads fields; the first error sticks and every later field is zero.
// Byte slices alias the input.
type decoder struct {
	b   []byte
	err error
}

func newDecoder(b []byte) *decoder {
	d := &decoder{b: b}
	if v := d.byte(); d.err == nil && v != CodecVersion {
		d.err = fmt.Errorf("api: encoding version %d, this program knows %d", v, CodecVersion)
	}
	return d
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = ErrMalformed
	}
	d.b = nil
}

// finish returns the error, which trailing bytes are too.
func (d *decoder) finish() error {
	if d.err == nil && len(d.b) != 0 {
		d.err = ErrMalformed
	}
	return d.err
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// enum reads a byte that is at most limit.
func (d *decoder) enum(limit byte) byte {
	v := d.byte()
	if v > limit {
		d.fail()
		return 0
	}
	return v
}

func (d *decoder) bool() bool { return d.enum(1) == 1 }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uint()
	if v > 1<<32-1 {
		d.fail()
		return 0
	}
	return uint32(v)
}

func (d *decoder) int32() int32 {
	v := d.int()
	if int64(int32(v)) != v {
		d.fail()
		return 0
	}
	return int32(v)
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	return d.take(n - 1)
}

func (d *decoder) text() string { return string(d.take(d.uint())) }

func (d *decoder) ts() hlc.Timestamp {
	w := d.uint()
	return hlc.Timestamp{WallNanos: int64(w), Logical: int32(d.uint32())}
}

func (d *decoder) txnID() (id ids.TxnID) {
	copy(id[:], d.take(uint64(len(id))))
	return id
}

// readList reads what appendList wrote. Every element takes at least one byte,
// which bounds what a malformed length can make us allocate.
func readList[T any](d *decoder, each func(*decoder, *T)) []T {
	n := d.uint()
	if n == 0 {
		return nil
	}
	if n--; n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	list := make([]T, 0, min(n, 1024))
	for range n {
		var v T
		if each(d, &v); d.err != nil {
			return nil
		}
		list = append(list, v)
	}
	return list
}

func appendSpan(b []byte, s *Span) []byte { return appendBytes(appendBytes(b, s.Start), s.End) }

func readSpan(d *decoder, s *Span) { s.Start, s.End = d.bytes(), d.bytes() }

func appendNode(b []byte, n *ids.NodeID) []byte { return appendInt(b, int64(*n)) }

func readNode(d *decoder, n *ids.NodeID) { *n = ids.NodeID(d.int32()) }

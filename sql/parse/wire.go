package parse

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/ast"
)

// wireReader decodes the grammar's serialized trees. The grammar and its Go
// bindings share one format of length-delimited fields; decoding it straight
// into our nodes saves building the bindings' nodes first.
type wireReader struct {
	bad     bool // the bytes end in the middle of a field
	unknown int  // a node number that no raw tree should have

}

// next takes one field off b: its number, and its value or its bytes. sub is
// nil for a plain value and non-nil, though possibly empty, for bytes.
func (r *wireReader) next(b []byte) (field int, v uint64, sub, rest []byte) {
	tag, b := r.varint(b)
	field = int(tag >> 3)
	switch tag & 7 {
	case 0:
		v, b = r.varint(b)
		return field, v, nil, b
	case 1:
		if len(b) < 8 {
			r.bad = true
			return 0, 0, nil, nil
		}
		return field, binary.LittleEndian.Uint64(b), nil, b[8:]
	case 2:
		n, b := r.varint(b)
		if n > uint64(len(b)) {
			r.bad = true
			return 0, 0, nil, nil
		}
		return field, 0, b[:n:n], b[n:]
	}
	r.bad = true
	return 0, 0, nil, nil
}

func (r *wireReader) varint(b []byte) (uint64, []byte) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:]
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		r.bad = true
		return 0, nil
	}
	return v, b[n:]
}

// statements decodes a parse result: its version, then raw statements.
func (r *wireReader) statements(b []byte) []*ast.RawStmt {
	var out []*ast.RawStmt
	for len(b) > 0 {
		var f int
		var sub []byte
		f, _, sub, b = r.next(b)
		if f == 2 {
			out = append(out, r.lowerRawStmt(sub))
		}
	}
	return out
}

// wireWriter encodes our trees as the grammar's deparser reads them.
type wireWriter struct {
	b   []byte
	err ast.Node // a node that has no serialized form
}

// open starts a field of bytes and returns where its contents begin.
func (w *wireWriter) open(field int) int {
	w.b = binary.AppendUvarint(w.b, uint64(field)<<3|2)
	return len(w.b)
}

// close puts the length in front of what was written since open.
func (w *wireWriter) close(at int) {
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(w.b)-at))
	w.b = append(w.b, head[:n]...)
	copy(w.b[at+n:], w.b[at:len(w.b)-n])
	copy(w.b[at:], head[:n])
}

func (w *wireWriter) integer(field int, v uint64) {
	if v == 0 {
		return
	}
	w.b = binary.AppendUvarint(w.b, uint64(field)<<3)
	w.b = binary.AppendUvarint(w.b, v)
}

func (w *wireWriter) flag(field int, v bool) {
	if v {
		w.integer(field, 1)
	}
}

func (w *wireWriter) text(field int, v string) {
	if v == "" {
		return
	}
	w.b = binary.AppendUvarint(w.b, uint64(field)<<3|2)
	w.b = binary.AppendUvarint(w.b, uint64(len(v)))
	w.b = append(w.b, v...)
}

// other writes nodes that PostgreSQL does not have: a lifted literal reads back
// as a parameter.
func (w *wireWriter) other(n ast.Node) {
	if l, ok := n.(*ast.LiftedConst); ok {
		w.node(&ast.ParamRef{Number: int32(l.Index + 1), Location: l.Location})
		return
	}
	w.err = n
}

package pgwire

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// column is how one column of the current result is encoded.
type column struct {
	oid    types.OID
	binary bool
}

// rows appends a DataRow for each row from first on, until the buffer is full,
// and returns the row to go on with. It is the one message that is encoded here
// and not by pgproto3: values go from vectors into the output without a copy in
// between (BenchmarkDataRows compares).
func (w *writer) rows(cols []column, b *vec.Batch, first int, s *types.Settings) int {
	n := b.Len()
	out := w.out
	for ; first < n; first++ {
		pos := b.Pos(first)
		at := len(out)
		out = append(out, 'D', 0, 0, 0, 0, byte(len(cols)>>8), byte(len(cols)))
		for i := range cols {
			v := b.Cols[i]
			if v.IsNull(pos) {
				out = append(out, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			lenAt := len(out)
			out = append(out, 0, 0, 0, 0)
			if cols[i].binary {
				out = appendBinary(out, cols[i].oid, v, pos, s)
			} else {
				out = appendText(out, cols[i].oid, v, pos, s)
			}
			binary.BigEndian.PutUint32(out[lenAt:], uint32(len(out)-lenAt-4))
		}
		binary.BigEndian.PutUint32(out[at+1:], uint32(len(out)-at-1))
		if len(out) >= writeBufferBytes {
			first++
			break
		}
	}
	w.out = out
	return first
}

func appendText(out []byte, oid types.OID, v *vec.Vector, pos int, s *types.Settings) []byte {
	switch v.Repr {
	case types.Int64:
		return types.AppendTextInt(out, oid, v.Int(pos), s)
	case types.Bytes:
		return types.AppendTextBytes(out, oid, v.Bytes(pos), s)
	}
	return types.AppendText(out, oid, v.View(pos), s)
}

func appendBinary(out []byte, oid types.OID, v *vec.Vector, pos int, s *types.Settings) []byte {
	switch v.Repr {
	case types.Int64:
		return types.AppendBinaryInt(out, oid, v.Int(pos))
	case types.Bytes:
		return types.AppendBinaryBytes(out, oid, v.Bytes(pos), s)
	}
	return types.AppendBinary(out, oid, v.View(pos), s)
}

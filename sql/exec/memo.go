package exec

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// memo remembers what the right side of an Apply gave for the parameters seen so
// far, where that is a row or two: a correlated subquery that cannot become a
// join runs once for each combination of values instead of once for each row
// (Memoize in PostgreSQL).
type memo struct {
	rows  map[string]memoRows
	store *rowStore
	key   []byte
	size  int // in bytes, about
	hits  int
	tries int
	off   bool
}

// memoRows are places in the memo's store.
type memoRows struct{ from, n int }

// Bounds on what is remembered, and how many lookups tell whether it is worth it.
const (
	memoBytes = 4 << 20
	memoTrial = 1000
)

func newMemo(cols []plan.Column) *memo { return &memo{store: newRowStore(cols)} }

// reset forgets everything: other parameters, further out, may have changed.
func (m *memo) reset() {
	m.store.reset()
	m.rows, m.size, m.hits, m.tries, m.off = nil, 0, 0, 0, false
}

// find looks for what the left row at position p of b leads to.
func (m *memo) find(b *vec.Batch, params []int, p int) (memoRows, bool) {
	m.key = m.key[:0]
	for _, c := range params {
		m.key = appendImage(m.key, b.Cols[c].Datum(p))
	}
	m.tries++
	at, ok := m.rows[string(m.key)]
	if ok {
		m.hits++
	} else if m.tries >= memoTrial && m.hits*16 < m.tries {
		m.off = true
		m.rows = nil
		m.store.reset()
	}
	return at, ok
}

// keep remembers the rows of s for the key that was looked for last.
func (m *memo) keep(s *rowStore) {
	if m.off || m.size > memoBytes {
		return
	}
	if m.rows == nil {
		m.rows = map[string]memoRows{}
	}
	m.rows[string(m.key)] = memoRows{m.store.n, s.n}
	m.size += len(m.key) + 48
	for i := range s.n {
		b, p := s.at(i)
		m.store.add(b, p)
		for _, v := range b.Cols {
			m.size += 16 + len(v.Datum(p).Str())
		}
	}
}

// appendImage appends what tells a value from all others of its type, those that
// are equal to it but look different included.
func appendImage(b []byte, d types.Datum) []byte {
	if d.IsNull() {
		return append(b, 0)
	}
	b = append(b, 1, byte(d.Repr()))
	if d.Repr() == types.Numerics {
		n := d.Numeric()
		b = binary.AppendVarint(b, int64(n.Scale))
		if n.Big != nil {
			text := types.TextOf(types.NumericOID, d, types.DefaultSettings())
			return append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	b = binary.BigEndian.AppendUint64(b, uint64(d.Int()))
	b = binary.AppendUvarint(b, uint64(len(d.Str())))
	return append(b, d.Str()...)
}

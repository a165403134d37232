package vec

import "github.com/pamirdb/pamir/sql/types"

// Batch is a set of rows by column. Sel lists the live positions in ascending
// order, or is nil when all N are live.
type Batch struct {
	Cols []*Vector
	Sel  []int32
	N    int
}

// NewBatch returns an empty batch with columns of the given types.
func NewBatch(ts []types.Type, capacity int) *Batch {
	b := &Batch{Cols: make([]*Vector, len(ts))}
	for i, t := range ts {
		b.Cols[i] = New(t.Repr(), capacity)
	}
	return b
}

// Len returns the number of live rows.
func (b *Batch) Len() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.N
}

// Pos returns the position of the i-th live row.
func (b *Batch) Pos(i int) int {
	if b.Sel != nil {
		return int(b.Sel[i])
	}
	return i
}

// Reset empties the batch and its columns.
func (b *Batch) Reset() {
	for _, c := range b.Cols {
		c.Reset()
	}
	b.Sel, b.N = nil, 0
}

// AppendRow appends one row of data, one datum for each column.
func (b *Batch) AppendRow(row []types.Datum) {
	for i, c := range b.Cols {
		c.AppendDatum(row[i])
	}
	b.N++
}

// AppendFrom appends the row at position pos of src.
func (b *Batch) AppendFrom(src *Batch, pos int) {
	for i, c := range b.Cols {
		c.AppendFrom(src.Cols[i], pos)
	}
	b.N++
}

// AppendBatch appends the live rows of src.
func (b *Batch) AppendBatch(src *Batch) {
	for i, c := range b.Cols {
		c.AppendSel(src.Cols[i], src.Sel, src.N)
	}
	b.N += src.Len()
}

// Row copies the row at position pos into dst, growing it as needed.
func (b *Batch) Row(dst []types.Datum, pos int) []types.Datum {
	for _, c := range b.Cols {
		dst = append(dst, c.Datum(pos))
	}
	return dst
}

// Slice narrows the batch to live rows [from, to).
func (b *Batch) Slice(from, to int) {
	if b.Sel != nil {
		b.Sel = b.Sel[from:to]
		return
	}
	if from == 0 {
		b.N = min(b.N, to)
		return
	}
	sel := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		sel = append(sel, int32(i))
	}
	b.Sel = sel
}

// MemBytes returns the memory the columns hold.
func (b *Batch) MemBytes() int {
	n := 0
	for _, c := range b.Cols {
		n += c.MemBytes()
	}
	return n
}

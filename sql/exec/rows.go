package exec

import (
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// rowStore keeps rows in memory by column; rows are found by their number.
type rowStore struct {
	reprs   []types.Repr
	batches []*vec.Batch
	n       int
	bytes   int
}

func newRowStore(cols []plan.Column) *rowStore {
	s := &rowStore{}
	for i := range cols {
		s.reprs = append(s.reprs, cols[i].Type.Repr())
	}
	return s
}

func newBatch(reprs []types.Repr) *vec.Batch {
	b := &vec.Batch{Cols: make([]*vec.Vector, len(reprs))}
	for i, r := range reprs {
		b.Cols[i] = vec.New(r, 0)
	}
	return b
}

func (s *rowStore) reset() {
	s.batches, s.n, s.bytes = nil, 0, 0
}

// tail returns the batch that the next row goes to.
func (s *rowStore) tail() *vec.Batch {
	if s.n&(vec.MaxBatch-1) == 0 {
		s.batches = append(s.batches, newBatch(s.reprs))
	}
	return s.batches[len(s.batches)-1]
}

// add appends the row at position pos of b and returns its number.
func (s *rowStore) add(b *vec.Batch, pos int) int {
	s.tail().AppendFrom(b, pos)
	s.n++
	return s.n - 1
}

// addBatch appends the live rows of b.
func (s *rowStore) addBatch(b *vec.Batch) {
	if s.n&(vec.MaxBatch-1) == 0 && b.Len() <= vec.MaxBatch {
		t := newBatch(s.reprs)
		t.AppendBatch(b)
		if b.Len() > 0 {
			s.batches = append(s.batches, t)
			s.n += t.N
		}
		return
	}
	for i := range b.Len() {
		s.add(b, b.Pos(i))
	}
}

// at returns where row i is.
func (s *rowStore) at(i int) (*vec.Batch, int) { return s.batches[i/vec.MaxBatch], i % vec.MaxBatch }

// gather appends column c of the rows to dst.
func (s *rowStore) gather(dst *vec.Vector, c int, rows []int32) {
	if len(s.batches) == 1 {
		dst.AppendSel(s.batches[0].Cols[c], rows, len(rows))
		return
	}
	s.scatter(dst, c, rows, nil, dst.Extend(len(rows)))
}

// scatter stores column c of the rows in dst: the k-th at position to[k], or at
// from+k if to is nil.
func (s *rowStore) scatter(dst *vec.Vector, c int, rows, to []int32, from int) {
	for k, r := range rows {
		src, p := s.batches[r/vec.MaxBatch].Cols[c], int(r%vec.MaxBatch)
		at := from + k
		if to != nil {
			at = int(to[k])
		}
		if dst.Repr == types.Int64 && !src.HasNulls() {
			dst.Ints[at] = src.Ints[p]
		} else {
			dst.CopyFrom(at, src, p)
		}
	}
}

// outbox hands rows out in the portions that are asked for.
type outbox struct {
	queue []*vec.Batch
	from  int // live rows of queue[0] handed out already
	view  vec.Batch
}

func (o *outbox) reset() { clear(o.queue); o.queue, o.from = o.queue[:0], 0 }

func (o *outbox) push(b *vec.Batch) {
	if b != nil && b.Len() > 0 {
		o.queue = append(o.queue, b)
	}
}

// next returns at most want rows, nil if there are none.
func (o *outbox) next(want int) *vec.Batch {
	if len(o.queue) == 0 {
		return nil
	}
	b := o.queue[0]
	n := b.Len()
	if o.from == 0 && n <= want {
		o.pop()
		return b
	}
	to := min(n, o.from+want)
	o.view = vec.Batch{Cols: b.Cols, N: b.N, Sel: b.Sel}
	o.view.Slice(o.from, to)
	if o.from = to; to == n {
		o.pop()
	}
	return &o.view
}

func (o *outbox) pop() {
	o.queue[0] = nil
	o.queue = o.queue[1:]
	o.from = 0
}

// Account limits the memory of a statement.
type Account struct {
	Limit, used int64
}

// Grow charges n bytes, or fails if the statement would hold too much.
func (a *Account) Grow(n int) error {
	if a == nil {
		return nil
	}
	a.used += int64(n)
	if a.Limit > 0 && a.used > a.Limit {
		return types.Errorf(types.CodeOutOfMemory, "out of memory").
			WithDetail("The statement needs more than its budget of %d bytes.", a.Limit)
	}
	return nil
}

// Fits reports whether n more bytes are within the limit.
func (a *Account) Fits(n int) bool {
	return a == nil || a.Limit == 0 || a.used+int64(n) <= a.Limit
}

// Release gives n bytes back.
func (a *Account) Release(n int) {
	if a != nil {
		a.used -= int64(n)
	}
}

// Used returns the bytes held.
func (a *Account) Used() int64 { return a.used }

// liveBytes estimates the memory that a copy of the live rows of b takes.
func liveBytes(b *vec.Batch) int {
	n := b.Len()
	total := n * len(b.Cols) * 16
	for _, v := range b.Cols {
		if v.Repr != types.Bytes {
			continue
		}
		for i := range n {
			if p := b.Pos(i); !v.IsNull(p) {
				total += len(v.Bytes(p))
			}
		}
	}
	return total
}

// drain reads all rows of an operator into a store.
func drain(r *run, op Operator, s *rowStore) error {
	for {
		if err := r.canceled(); err != nil {
			return err
		}
		b, err := op.Next(vec.MaxBatch)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		s.addBatch(b)
		if grown := liveBytes(b); grown > 0 {
			s.bytes += grown
			if err := r.env.Account.Grow(grown); err != nil {
				return err
			}
		}
	}
}

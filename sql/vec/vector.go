package vec

import (
	"math/big"
	"unsafe"

	"github.com/pamirdb/pamir/sql/types"
)

// MaxBatch is the number of rows a full batch holds.
const MaxBatch = 1024

// NextSize returns the size of the batch after one of size n: batches grow
// 1 → 32 → 1,024, so that a point query pays for one row only.
func NextSize(n int) int {
	switch {
	case n < 1:
		return 1
	case n < 32:
		return 32
	}
	return MaxBatch
}

// Span locates one value in an arena.
type Span struct{ Off, Len uint32 }

// Vector holds the values of one column. Which slices are used follows from
// Repr: Ints for Int64, Floats for Float64, Spans and Arena for Bytes, Ints and
// Scales (and Bigs when it is not nil) for Numerics.
type Vector struct {
	Repr   types.Repr
	Const  bool
	shared bool // Arena belongs to another vector or to the reader
	n      int
	Nulls  []uint64
	Ints   []int64
	Floats []float64
	Spans  []Span
	Arena  []byte
	Scales []int16
	Bigs   []*big.Int
}

// New returns an empty vector with room for capacity values.
func New(r types.Repr, capacity int) *Vector {
	v := &Vector{Repr: r}
	v.Grow(capacity)
	return v
}

// NewConst returns a constant vector holding d for every row.
func NewConst(r types.Repr, d types.Datum) *Vector {
	v := &Vector{Repr: r}
	v.SetConst(d)
	return v
}

// Init prepares a zero or used vector for values of representation r.
func (v *Vector) Init(r types.Repr) {
	v.Reset()
	v.Repr = r
}

// Len returns the number of values, 1 for a constant.
func (v *Vector) Len() int { return v.n }

// HasNulls reports whether any value may be NULL.
func (v *Vector) HasNulls() bool { return len(v.Nulls) != 0 }

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.n, v.Const = 0, false
	v.Nulls = v.Nulls[:0]
	v.Ints, v.Floats, v.Spans, v.Scales = v.Ints[:0], v.Floats[:0], v.Spans[:0], v.Scales[:0]
	if v.shared {
		v.Arena, v.shared = nil, false
	}
	v.Arena = v.Arena[:0]
	v.Bigs = nil
}

// Grow makes room for capacity values without changing the length.
func (v *Vector) Grow(capacity int) {
	switch v.Repr {
	case types.Int64:
		v.Ints = growTo(v.Ints, capacity)
	case types.Float64:
		v.Floats = growTo(v.Floats, capacity)
	case types.Bytes:
		v.Spans = growTo(v.Spans, capacity)
	case types.Numerics:
		v.Ints = growTo(v.Ints, capacity)
		v.Scales = growTo(v.Scales, capacity)
	}
}

func growTo[T any](s []T, capacity int) []T {
	if cap(s) >= capacity {
		return s
	}
	t := make([]T, len(s), capacity)
	copy(t, s)
	return t
}

// Resize sets the length to n, drops NULL marks and constness, and leaves the
// values undefined: kernels call it before they write by position.
func (v *Vector) Resize(n int) {
	v.Const = false
	v.Nulls = v.Nulls[:0]
	if v.shared {
		v.Arena, v.shared = nil, false
	}
	v.Arena = v.Arena[:0]
	v.n = n
	switch v.Repr {
	case types.Int64:
		v.Ints = growTo(v.Ints, n)[:n]
	case types.Float64:
		v.Floats = growTo(v.Floats, n)[:n]
	case types.Bytes:
		v.Spans = growTo(v.Spans, n)[:n]
	case types.Numerics:
		v.Ints = growTo(v.Ints, n)[:n]
		v.Scales = growTo(v.Scales, n)[:n]
		v.Bigs = nil
	}
}

func (v *Vector) pos(i int) int {
	if v.Const {
		return 0
	}
	return i
}

// IsNull reports whether the value at position i is NULL.
func (v *Vector) IsNull(i int) bool {
	if len(v.Nulls) == 0 {
		return false
	}
	i = v.pos(i)
	w := i >> 6
	return w < len(v.Nulls) && v.Nulls[w]&(1<<(uint(i)&63)) != 0
}

// SetNull marks position i as NULL.
func (v *Vector) SetNull(i int) {
	w := i >> 6
	if w >= len(v.Nulls) {
		v.growNulls(w + 1)
	}
	v.Nulls[w] |= 1 << (uint(i) & 63)
}

func (v *Vector) growNulls(words int) {
	old := len(v.Nulls)
	if cap(v.Nulls) < words {
		v.Nulls = growTo(v.Nulls, words)
	}
	v.Nulls = v.Nulls[:words]
	clear(v.Nulls[old:])
}

// ClearNull marks position i as not NULL.
func (v *Vector) ClearNull(i int) {
	if w := i >> 6; w < len(v.Nulls) {
		v.Nulls[w] &^= 1 << (uint(i) & 63)
	}
}

// Int returns the Int64 value at position i.
func (v *Vector) Int(i int) int64 { return v.Ints[v.pos(i)] }

// Bool returns the boolean at position i.
func (v *Vector) Bool(i int) bool { return v.Ints[v.pos(i)] != 0 }

// Float returns the Float64 value at position i.
func (v *Vector) Float(i int) float64 { return v.Floats[v.pos(i)] }

// Bytes returns the value at position i; it lies in the arena and must not be
// changed or kept longer than the vector.
func (v *Vector) Bytes(i int) []byte {
	s := v.Spans[v.pos(i)]
	return v.Arena[s.Off : s.Off+s.Len : s.Off+s.Len]
}

// Str returns the value at position i as a string that lives as long as the
// vector's contents.
func (v *Vector) Str(i int) string {
	b := v.Bytes(i)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Numeric returns the numeric at position i.
func (v *Vector) Numeric(i int) types.Numeric {
	i = v.pos(i)
	n := types.Numeric{Coef: v.Ints[i], Scale: v.Scales[i]}
	if v.Bigs != nil && i < len(v.Bigs) {
		n.Big = v.Bigs[i]
	}
	return n
}

// Datum returns a copy of the value at position i.
func (v *Vector) Datum(i int) types.Datum {
	if v.IsNull(i) {
		return types.Null
	}
	switch v.Repr {
	case types.Int64:
		return types.NewInt(v.Int(i))
	case types.Float64:
		return types.NewFloat(v.Float(i))
	case types.Bytes:
		return types.NewBytes(v.Bytes(i))
	case types.Numerics:
		return types.NewNumeric(v.Numeric(i))
	}
	return types.Null
}

// View returns the value at position i without copying bytes: the datum is
// valid as long as the vector's contents.
func (v *Vector) View(i int) types.Datum {
	if v.Repr == types.Bytes && !v.IsNull(i) {
		return types.NewString(v.Str(i))
	}
	return v.Datum(i)
}

// SetInt stores an Int64 value at position i.
func (v *Vector) SetInt(i int, x int64) { v.Ints[i] = x }

// SetBool stores a boolean at position i.
func (v *Vector) SetBool(i int, x bool) {
	if x {
		v.Ints[i] = 1
	} else {
		v.Ints[i] = 0
	}
}

// SetFloat stores a Float64 value at position i.
func (v *Vector) SetFloat(i int, x float64) { v.Floats[i] = x }

// SetBytes copies b into the arena as the value at position i.
func (v *Vector) SetBytes(i int, b []byte) {
	if v.shared {
		v.unshare()
	}
	v.Spans[i] = Span{uint32(len(v.Arena)), uint32(len(b))}
	v.Arena = append(v.Arena, b...)
}

// SetStr copies s into the arena as the value at position i.
func (v *Vector) SetStr(i int, s string) {
	if v.shared {
		v.unshare()
	}
	v.Spans[i] = Span{uint32(len(v.Arena)), uint32(len(s))}
	v.Arena = append(v.Arena, s...)
}

// BeginBytes and EndBytes let a kernel append a value's bytes to Arena by
// itself: b := v.BeginBytes(); b = append(b, ...); v.EndBytes(i, b).
func (v *Vector) BeginBytes() []byte {
	if v.shared {
		v.unshare()
	}
	return v.Arena
}

// EndBytes makes what was appended since BeginBytes the value at position i.
func (v *Vector) EndBytes(i int, b []byte) {
	off := len(v.Arena)
	v.Arena = b
	v.Spans[i] = Span{uint32(off), uint32(len(b) - off)}
}

func (v *Vector) unshare() {
	v.Arena = append(make([]byte, 0, 2*len(v.Arena)+64), v.Arena...)
	v.shared = false
}

// SetNumeric stores a numeric at position i.
func (v *Vector) SetNumeric(i int, n types.Numeric) {
	v.Ints[i], v.Scales[i] = n.Coef, n.Scale
	if n.Big != nil || v.Bigs != nil {
		v.setBig(i, n.Big)
	}
}

func (v *Vector) setBig(i int, b *big.Int) {
	if i >= len(v.Bigs) {
		if b == nil {
			return
		}
		t := make([]*big.Int, max(i+1, v.n))
		copy(t, v.Bigs)
		v.Bigs = t
	}
	v.Bigs[i] = b
}

// SetDatum stores d at position i, NULL included.
func (v *Vector) SetDatum(i int, d types.Datum) {
	if d.IsNull() {
		v.SetNull(i)
		v.zero(i)
		return
	}
	v.ClearNull(i)
	switch v.Repr {
	case types.Int64:
		v.Ints[i] = d.Int()
	case types.Float64:
		v.Floats[i] = d.Float()
	case types.Bytes:
		v.SetStr(i, d.Str())
	case types.Numerics:
		v.SetNumeric(i, d.Numeric())
	}
}

// zero gives a NULL position a harmless value, so that kernels which compute
// over NULLs cannot fail on it.
func (v *Vector) zero(i int) {
	switch v.Repr {
	case types.Int64:
		v.Ints[i] = 0
	case types.Float64:
		v.Floats[i] = 0
	case types.Bytes:
		v.Spans[i] = Span{}
	case types.Numerics:
		v.Ints[i], v.Scales[i] = 0, 0
		if i < len(v.Bigs) {
			v.Bigs[i] = nil
		}
	}
}

// SetConst makes v a constant vector holding d.
func (v *Vector) SetConst(d types.Datum) {
	v.Resize(1)
	v.SetDatum(0, d)
	v.Const = true
}

// ShareArena lets spans set from now on point into arena, which v will never
// write to. Earlier values of v must be gone (after Reset or Resize).
func (v *Vector) ShareArena(arena []byte) {
	v.Arena, v.shared = arena[:len(arena):len(arena)], true
}

// SetSpan makes bytes [off, off+n) of a shared arena the value at position i.
func (v *Vector) SetSpan(i int, off, n uint32) { v.Spans[i] = Span{off, n} }

// MemBytes returns the memory the vector holds, for accounts.
func (v *Vector) MemBytes() int {
	n := cap(v.Nulls)*8 + cap(v.Ints)*8 + cap(v.Floats)*8 + cap(v.Spans)*8 + cap(v.Scales)*2 + len(v.Bigs)*64
	if !v.shared {
		n += cap(v.Arena)
	}
	return n
}

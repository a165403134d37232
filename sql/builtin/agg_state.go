package builtin

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// stateAgg is an Aggregator over states of one Go type.
type stateAgg[S any] struct {
	states []S
	extra  int // bytes held beyond the states themselves
	// notNull counts the leading arguments that skip the row when NULL.
	notNull int
	update  func(ctx *Ctx, s *S, args []*vec.Vector, i int) error
	final   func(ctx *Ctx, s *S, out *vec.Vector) error
	encode  func(b []byte, s *S) []byte
	merge   func(s *S, r *stateReader) error
}

// Grow implements Aggregator.
func (a *stateAgg[S]) Grow(groups int) {
	if groups <= len(a.states) {
		return
	}
	if cap(a.states) < groups {
		next := make([]S, len(a.states), max(groups, 2*cap(a.states)))
		copy(next, a.states)
		a.states = next
	}
	old := len(a.states)
	a.states = a.states[:groups]
	clear(a.states[old:])
}

// Update implements Aggregator.
func (a *stateAgg[S]) Update(ctx *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error {
	return eachRow(sel, n, groups, func(i, g int) error {
		for k := 0; k < a.notNull; k++ {
			if args[k].IsNull(i) {
				return nil
			}
		}
		return a.update(ctx, &a.states[g], args, i)
	})
}

// Final implements Aggregator.
func (a *stateAgg[S]) Final(ctx *Ctx, group int, out *vec.Vector) error {
	return a.final(ctx, &a.states[group], out)
}

// AppendState implements Aggregator.
func (a *stateAgg[S]) AppendState(b []byte, group int) ([]byte, error) {
	if a.encode == nil {
		return nil, types.Errorf(types.CodeInternal, "aggregate has no partial state")
	}
	return a.encode(b, &a.states[group]), nil
}

// MergeState implements Aggregator.
func (a *stateAgg[S]) MergeState(group int, state []byte) error {
	if a.merge == nil {
		return types.Errorf(types.CodeInternal, "aggregate has no partial state")
	}
	r := &stateReader{b: state}
	if err := a.merge(&a.states[group], r); err != nil {
		return err
	}
	return r.err
}

// MemBytes implements Aggregator.
func (a *stateAgg[S]) MemBytes() int {
	var s S
	return cap(a.states)*int(unsafe.Sizeof(s)) + a.extra
}

// Reset implements Aggregator.
func (a *stateAgg[S]) Reset() {
	clear(a.states)
	a.states, a.extra = a.states[:0], 0
}

// stateReader reads a serialized state.
type stateReader struct {
	b   []byte
	err error
}

func (r *stateReader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.err, r.b = types.ErrCorrupt, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stateReader) float() float64 {
	if len(r.b) < 8 {
		r.err, r.b = types.ErrCorrupt, nil
		return 0
	}
	v := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return math.Float64frombits(v)
}

func (r *stateReader) datum() types.Datum {
	d, rest, err := types.DecodeDatum(r.b)
	if err != nil {
		r.err, r.b = err, nil
		return types.Null
	}
	r.b = rest
	return d
}

func appendFloatState(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

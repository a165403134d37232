package vec

import (
	"slices"

	"github.com/pamirdb/pamir/sql/types"
)

// gather appends the values of src, which is no constant, at the positions at:
// room is made once, and the representation is looked at once.
func (v *Vector) gather(src *Vector, at []int32) {
	base := v.Extend(len(at))
	if src.HasNulls() || src.Bigs != nil || v.Bigs != nil {
		for k, j := range at {
			if src.IsNull(int(j)) {
				v.SetNull(base + k)
			} else {
				v.copyValue(base+k, src, int(j))
			}
		}
		return
	}
	switch v.Repr {
	case types.Int64:
		out, in := v.Ints[base:], src.Ints
		for k, j := range at {
			out[k] = in[j]
		}
	case types.Float64:
		out, in := v.Floats[base:], src.Floats
		for k, j := range at {
			out[k] = in[j]
		}
	case types.Numerics:
		out, in := v.Ints[base:], src.Ints
		scales, inScales := v.Scales[base:], src.Scales
		for k, j := range at {
			out[k], scales[k] = in[j], inScales[j]
		}
	case types.Bytes:
		v.gatherBytes(base, src, at)
	}
}

func (v *Vector) gatherBytes(base int, src *Vector, at []int32) {
	if v.shared {
		v.unshare()
	}
	size := 0
	for _, j := range at {
		size += int(src.Spans[j].Len)
	}
	arena := slices.Grow(v.Arena, size)
	out := v.Spans[base:]
	for k, j := range at {
		s := src.Spans[j]
		out[k] = Span{uint32(len(arena)), s.Len}
		arena = append(arena, src.Arena[s.Off:s.Off+s.Len]...)
	}
	v.Arena = arena
}

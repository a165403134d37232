package builtin

import (
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func init() {
	for src, f := range map[string]WindowFunc{
		"window_row_number": func(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
			for i := 0; i < p.N; i++ {
				out.AppendInt(int64(i) + 1)
			}
			return nil
		},
		"window_rank":                         windowRank,
		"window_dense_rank":                   windowDenseRank,
		"window_percent_rank":                 windowPercentRank,
		"window_cume_dist":                    windowCumeDist,
		"window_ntile":                        windowNtile,
		"window_lag":                          windowShift(-1, false, false),
		"window_lag_with_offset":              windowShift(-1, true, false),
		"window_lag_with_offset_and_default":  windowShift(-1, true, true),
		"window_lead":                         windowShift(1, false, false),
		"window_lead_with_offset":             windowShift(1, true, false),
		"window_lead_with_offset_and_default": windowShift(1, true, true),
		"window_first_value":                  windowNth(func(lo, _ int, _ int64) int { return lo }),
		"window_last_value":                   windowNth(func(_, hi int, _ int64) int { return hi - 1 }),
		"window_nth_value":                    windowNthValue,
	} {
		windowFuncs[src] = f
	}
}

func windowRank(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	for i := 0; i < p.N; i++ {
		out.AppendInt(int64(p.PeerStart[i]) + 1)
	}
	return nil
}

func windowDenseRank(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	rank := int64(0)
	for i := 0; i < p.N; i++ {
		if int(p.PeerStart[i]) == i {
			rank++
		}
		out.AppendInt(rank)
	}
	return nil
}

func windowPercentRank(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	for i := 0; i < p.N; i++ {
		if p.N <= 1 {
			out.AppendFloat(0)
			continue
		}
		out.AppendFloat(float64(p.PeerStart[i]) / float64(p.N-1))
	}
	return nil
}

func windowCumeDist(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	for i := 0; i < p.N; i++ {
		out.AppendFloat(float64(p.PeerEnd[i]) / float64(p.N))
	}
	return nil
}

func windowNtile(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	if p.N == 0 {
		return nil
	}
	if p.Args[0].IsNull(0) {
		for i := 0; i < p.N; i++ {
			out.AppendNull()
		}
		return nil
	}
	buckets := p.Args[0].Int(0)
	if buckets <= 0 {
		return types.Errorf(types.CodeInvalidArgumentForNtile, "argument of ntile must be greater than zero")
	}
	n := int64(p.N)
	size, extra := n/buckets, n%buckets
	for i := int64(0); i < n; i++ {
		// The first buckets take one row more each.
		if big := extra * (size + 1); i < big {
			out.AppendInt(i/(size+1) + 1)
		} else {
			out.AppendInt(extra + (i-big)/max(size, 1) + 1)
		}
	}
	return nil
}

func windowShift(dir int64, hasOffset, hasDefault bool) WindowFunc {
	return func(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
		for i := 0; i < p.N; i++ {
			off := int64(1)
			if hasOffset {
				if p.Args[1].IsNull(i) {
					out.AppendNull()
					continue
				}
				off = p.Args[1].Int(i)
			}
			switch j := int64(i) + dir*off; {
			case j >= 0 && j < int64(p.N):
				out.AppendFrom(p.Args[0], int(j))
			case hasDefault:
				out.AppendFrom(p.Args[2], i)
			default:
				out.AppendNull()
			}
		}
		return nil
	}
}

// windowNth takes the value at a position of each row's frame.
func windowNth(pos func(lo, hi int, n int64) int) WindowFunc {
	return func(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
		for i := 0; i < p.N; i++ {
			lo, hi := int(p.FrameStart[i]), int(p.FrameEnd[i])
			if at := pos(lo, hi, 0); lo < hi && at >= lo && at < hi {
				out.AppendFrom(p.Args[0], at)
			} else {
				out.AppendNull()
			}
		}
		return nil
	}
}

func windowNthValue(_ *Ctx, _ *Info, p *Partition, out *vec.Vector) error {
	for i := 0; i < p.N; i++ {
		if p.Args[1].IsNull(i) {
			out.AppendNull()
			continue
		}
		n := p.Args[1].Int(i)
		if n <= 0 {
			return types.Errorf(types.CodeInvalidArgumentForNthValue, "argument of nth_value must be greater than zero")
		}
		if at := int64(p.FrameStart[i]) + n - 1; at < int64(p.FrameEnd[i]) {
			out.AppendFrom(p.Args[0], int(at))
		} else {
			out.AppendNull()
		}
	}
	return nil
}

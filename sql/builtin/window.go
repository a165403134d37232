package builtin

import (
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/vec"
)

// Partition is one partition of a window, complete and in order.
type Partition struct {
	N int
	// PeerStart and PeerEnd bound each row's peers, FrameStart and FrameEnd its
	// frame, half-open. Frames may be nil for functions that ignore them.
	PeerStart, PeerEnd   []int32
	FrameStart, FrameEnd []int32
	// Args are the argument columns over the partition's rows.
	Args []*vec.Vector
}

// WindowFunc appends the function's value for every row of p to out.
type WindowFunc func(ctx *Ctx, info *Info, p *Partition, out *vec.Vector) error

var windowFuncs = map[string]WindowFunc{}

// LookupWindow returns the body of a window function that is not an aggregate.
func LookupWindow(p *pgfacts.Proc) (WindowFunc, error) {
	if f, ok := windowFuncs[p.Src]; ok {
		return f, nil
	}
	return nil, NotImplemented(p)
}

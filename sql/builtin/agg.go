package builtin

import (
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Aggregator holds the states of one aggregate for many groups, numbered from
// zero. FILTER, DISTINCT and ORDER BY are the caller's: it narrows or orders
// what it passes to Update.
type Aggregator interface {
	// Grow makes room for groups; new ones start empty.
	Grow(groups int)
	// Update adds the rows at the positions of sel (nil: the first n). groups
	// gives each position's group; nil puts all into group 0.
	Update(ctx *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error
	// Final appends a group's result to out. It does not change the state.
	Final(ctx *Ctx, group int, out *vec.Vector) error
	// AppendState appends a group's serialized state, MergeState adds one.
	AppendState(b []byte, group int) ([]byte, error)
	MergeState(group int, state []byte) error
	// MemBytes is the memory held; Reset drops all groups.
	MemBytes() int
	Reset()
}

// aggregates by pg_proc name: the constructors look at the argument types.
var aggregates = map[string]func(*Info) (Aggregator, error){}

// NewAggregator returns an empty aggregator for an aggregate function. The
// Info's types are those of the call.
func NewAggregator(info *Info) (Aggregator, error) {
	p, ok := pgfacts.ProcByOID(info.Proc)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedFunction, "aggregate %d does not exist", info.Proc)
	}
	f, ok := aggregates[p.Name]
	if !ok {
		return nil, NotImplemented(p)
	}
	info.Name = p.Name
	return f(info)
}

// eachRow calls f for every selected position with its group.
func eachRow(sel []int32, n int, groups []int32, f func(i, g int) error) error {
	if sel != nil {
		for _, i := range sel {
			g := 0
			if groups != nil {
				g = int(groups[i])
			}
			if err := f(int(i), g); err != nil {
				return err
			}
		}
		return nil
	}
	for i := 0; i < n; i++ {
		g := 0
		if groups != nil {
			g = int(groups[i])
		}
		if err := f(i, g); err != nil {
			return err
		}
	}
	return nil
}

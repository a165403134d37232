package builtin

import (
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/vec"

	"github.com/pamirdb/pamir/sql/types"
)

// SetIter produces the rows of a set-returning function.
type SetIter interface {
	// Next appends at most want rows to out, one vector for each result
	// column, and returns their number; 0 means the end.
	Next(out []*vec.Vector, want int) (int, error)
}

// SetFunc opens a set-returning function for one list of arguments. Strict
// functions are not opened with a NULL argument: they return no rows.
type SetFunc func(ctx *Ctx, info *Info, args []types.Datum) (SetIter, error)

var setFuncs = map[string]SetFunc{}

// LookupSet returns the body of a set-returning function.
func LookupSet(p *pgfacts.Proc) (SetFunc, error) {
	if f, ok := setFuncs[Key(p)]; ok {
		return f, nil
	}
	return nil, NotImplemented(p)
}

// sliceIter is a SetIter over rows that are all there.
type sliceIter struct{ rows [][]types.Datum }

// Next implements SetIter.
func (s *sliceIter) Next(out []*vec.Vector, want int) (int, error) {
	n := min(want, len(s.rows))
	for _, r := range s.rows[:n] {
		for k, d := range r {
			if k < len(out) {
				out[k].AppendDatum(d)
			}
		}
	}
	s.rows = s.rows[n:]
	return n, nil
}

package scan

import (
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Groups numbers the combinations of values of some columns, in the order in which
// they come. A single column of integers has a table of its own.
type Groups struct {
	places []int
	types  []types.Type
	single bool
	ints   vec.IntTable
	null   int32 // the number of NULL among the integers, plus one
	keys   map[string]int32
	buf    []byte
	n      int32
}

// NewGroups returns groups by the columns at places, which have these types.
func NewGroups(places []int, ts []types.Type) *Groups {
	g := &Groups{places: places, types: ts, single: len(ts) == 1 && ts[0].Repr() == types.Int64}
	if !g.single {
		g.keys = map[string]int32{}
	}
	return g
}

// Of returns the number of the group of the row at position p, and whether it is
// the first of it.
func (g *Groups) Of(b *vec.Batch, p int) (id int32, first bool) {
	if !g.single {
		g.buf = g.buf[:0]
		for k, c := range g.places {
			g.buf = rowenc.AppendHashKey(g.buf, g.types[k], b.Cols[c], p)
		}
		id, ok := g.keys[string(g.buf)]
		if !ok {
			id = g.n
			g.n++
			g.keys[string(g.buf)] = id
		}
		return id, !ok
	}
	at := &g.null
	if v := b.Cols[g.places[0]]; !v.IsNull(p) {
		at = g.ints.At(v.Int(p))
	}
	if first = *at == 0; first {
		g.n++
		*at = g.n
	}
	return *at - 1, first
}

package builtin

import (
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Hypothetical-set aggregates get the hypothetical row as direct arguments and
// then the rows of the group, sorted by the caller.

func init() {
	aggregates["rank"] = newHypothetical(func(s *hypothetical, out *vec.Vector) {
		out.AppendInt(1 + s.before)
	})
	aggregates["dense_rank"] = newHypothetical(func(s *hypothetical, out *vec.Vector) {
		out.AppendInt(1 + s.distinct)
	})
	aggregates["percent_rank"] = newHypothetical(func(s *hypothetical, out *vec.Vector) {
		share := 0.0
		if s.rows > 0 {
			share = float64(s.before) / float64(s.rows)
		}
		out.AppendFloat(share)
	})
	aggregates["cume_dist"] = newHypothetical(func(s *hypothetical, out *vec.Vector) {
		out.AppendFloat(float64(s.before+s.peers+1) / float64(s.rows+1))
	})
}

// hypothetical counts the rows of a group: all, those before the hypothetical
// row, the different ones among them, and those equal to it.
type hypothetical struct {
	rows, before, distinct, peers int64
	last                          []types.Datum
}

func newHypothetical(final func(*hypothetical, *vec.Vector)) func(*Info) (Aggregator, error) {
	return func(info *Info) (Aggregator, error) {
		keys := len(info.Order)
		compare := func(k int, a, b types.Datum) int {
			o := info.Order[k]
			if a.IsNull() || b.IsNull() {
				c := 0
				if a.IsNull() != b.IsNull() {
					if c = 1; a.IsNull() == o.NullsFirst {
						c = -1
					}
				}
				return c
			}
			c := types.Compare(info.ArgTypes[k].OID, a, b)
			if o.Desc {
				return -c
			}
			return c
		}
		a := &stateAgg[hypothetical]{final: func(_ *Ctx, s *hypothetical, out *vec.Vector) error {
			final(s, out)
			return nil
		}}
		a.update = func(_ *Ctx, s *hypothetical, args []*vec.Vector, i int) error {
			s.rows++
			c := 0
			for k := 0; k < keys && c == 0; k++ {
				c = compare(k, args[keys+k].Datum(i), args[k].Datum(i))
			}
			switch {
			case c == 0:
				s.peers++
			case c < 0:
				s.before++
				s.countDistinct(args[keys:], i, compare)
			}
			return nil
		}
		return a, nil
	}
}

// countDistinct counts a row that differs from the one before it.
func (s *hypothetical) countDistinct(row []*vec.Vector, i int, compare func(int, types.Datum, types.Datum) int) {
	same := s.last != nil
	for k := 0; k < len(row) && same; k++ {
		same = compare(k, s.last[k], row[k].Datum(i)) == 0
	}
	if same {
		return
	}
	s.distinct++
	s.last = s.last[:0]
	for k := range row {
		s.last = append(s.last, row[k].Datum(i))
	}
}

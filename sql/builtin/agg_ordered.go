package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Ordered-set aggregates get their direct arguments first and then the values,
// sorted by the caller.

func init() {
	aggregates["percentile_cont"] = newPercentile(interpolate)
	aggregates["percentile_disc"] = newPercentile(nil)
	aggregates["mode"] = newMode
}

// orderedState is the direct arguments of a group and its values that are not
// NULL.
type orderedState struct {
	direct []types.Datum
	vals   []types.Datum
}

func orderedAgg(direct int, final func(*Ctx, *orderedState, *vec.Vector) error) *stateAgg[orderedState] {
	a := &stateAgg[orderedState]{final: final}
	a.update = func(_ *Ctx, s *orderedState, args []*vec.Vector, i int) error {
		if s.direct == nil {
			for _, v := range args[:direct] {
				s.direct = append(s.direct, v.Datum(i))
			}
		}
		if v := args[direct]; !v.IsNull(i) {
			d := v.Datum(i)
			s.vals = append(s.vals, d)
			a.extra += 64 + len(d.Str())
		}
		return nil
	}
	return a
}

// interpolate returns the value between a and b at a share of the way.
func interpolate(oid types.OID, a, b types.Datum, share float64) (types.Datum, error) {
	if oid != types.IntervalOID {
		return types.NewFloat(a.Float() + share*(b.Float()-a.Float())), nil
	}
	lo, hi := types.DecodeInterval(a.Bytes()), types.DecodeInterval(b.Bytes())
	diff, err := subIntervals(hi, lo)
	if err != nil {
		return types.Null, err
	}
	part, err := mulInterval(diff, share)
	if err != nil {
		return types.Null, err
	}
	sum, err := addIntervals(lo, part)
	return sum.Datum(), err
}

// newPercentile makes percentile_disc, or with between percentile_cont.
func newPercentile(between func(types.OID, types.Datum, types.Datum, float64) (types.Datum, error)) func(*Info) (Aggregator, error) {
	return func(i *Info) (Aggregator, error) {
		many, oid := i.ArgTypes[0].IsArray(), i.ArgTypes[1].OID
		one := func(s *orderedState, p float64) (types.Datum, error) {
			if p < 0 || p > 1 || math.IsNaN(p) {
				return types.Null, types.Errorf(types.CodeNumericValueOutOfRange, "percentile value %g is not between 0 and 1", p)
			}
			n := float64(len(s.vals))
			if between == nil {
				return s.vals[max(0, int(math.Ceil(p*n))-1)], nil
			}
			at := p * (n - 1)
			lo, hi := int(math.Floor(at)), int(math.Ceil(at))
			if lo == hi {
				return s.vals[lo], nil
			}
			return between(oid, s.vals[lo], s.vals[hi], at-float64(lo))
		}
		return orderedAgg(1, func(_ *Ctx, s *orderedState, out *vec.Vector) error {
			if s.direct == nil || s.direct[0].IsNull() || len(s.vals) == 0 {
				out.AppendNull()
				return nil
			}
			if !many {
				d, err := one(s, s.direct[0].Float())
				out.AppendDatum(d)
				return err
			}
			a := types.DecodeArray(s.direct[0].Bytes())
			for k, p := range a.Elems {
				if p.IsNull() {
					continue
				}
				d, err := one(s, p.Float())
				if err != nil {
					return err
				}
				a.Elems[k] = d
			}
			a.Elem = oid
			out.AppendDatum(types.ArrayDatum(a))
			return nil
		}), nil
	}
}

// newMode makes mode: the first of the most frequent values.
func newMode(i *Info) (Aggregator, error) {
	oid := i.ArgTypes[0].OID
	return orderedAgg(0, func(_ *Ctx, s *orderedState, out *vec.Vector) error {
		best, bestRun, run := types.Null, 0, 0
		for k, d := range s.vals {
			if k > 0 && types.Compare(oid, s.vals[k-1], d) == 0 {
				run++
			} else {
				run = 1
			}
			if run > bestRun {
				best, bestRun = d, run
			}
		}
		out.AppendDatum(best)
		return nil
	}), nil
}

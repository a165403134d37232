package exec

import (
	"math"
	"sort"
	"time"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// rangeOffsets finds RANGE frames with an offset, over numbers and times.
type rangeOffsets struct {
	col  *vec.Vector
	desc bool
	typ  types.Type
	loc  *time.Location
	// The rows from first to before last are not NULL; the others are peers at
	// one end.
	first, last int
}

func newRangeOffsets(w *windowOp) (*rangeOffsets, error) {
	if len(w.order) != 1 {
		return nil, types.Errorf(types.CodeWindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
	}
	c := w.order[0]
	r := &rangeOffsets{desc: c.desc, typ: c.typ, col: vec.New(c.typ.Repr(), w.part.n), loc: time.UTC}
	if c.typ.OID == types.TimestampTZOID {
		r.loc = w.run.ctx().Set().Loc()
	}
	for _, b := range w.part.batches {
		for k := range b.N {
			r.col.AppendFrom(b.Cols[c.place], k)
		}
	}
	r.last = r.col.Len()
	for r.first < r.last && r.col.IsNull(r.first) {
		r.first++
	}
	for r.last > r.first && r.col.IsNull(r.last-1) {
		r.last--
	}
	return r, nil
}

// bound searches for the first row beyond the current value plus or minus off.
func (r *rangeOffsets) bound(n, i, sign int, off types.Datum, start bool) (int, error) {
	if r.col.IsNull(i) {
		lo, hi := 0, r.first
		if i >= r.last {
			lo, hi = r.last, n
		}
		if start {
			return lo, nil
		}
		return hi, nil
	}
	if r.desc {
		sign = -sign
	}
	limit, err := r.shift(r.col.View(i), off, sign)
	if err != nil {
		return 0, err
	}
	return r.first + sort.Search(r.last-r.first, func(k int) bool {
		c := r.compare(r.col.View(r.first+k), limit)
		if r.desc {
			c = -c
		}
		return c > 0 || start && c == 0
	}), nil
}

// compare orders a value against a limit. Limits of dates are points in time.
func (r *rangeOffsets) compare(v, limit types.Datum) int {
	if r.typ.OID == types.DateOID {
		return types.Compare(types.TimestampOID, types.NewInt(dateMicros(v.Int())), limit)
	}
	return types.Compare(r.typ.OID, v, limit)
}

func dateMicros(day int64) int64 {
	switch day {
	case types.DateInfinity:
		return math.MaxInt64
	case types.DateNegInfinity:
		return math.MinInt64
	}
	return day * types.MicrosPerDay
}

// shift adds off to v, or takes it away.
func (r *rangeOffsets) shift(v, off types.Datum, sign int) (types.Datum, error) {
	switch r.typ.OID {
	case types.DateOID:
		return r.shiftTime(dateMicros(v.Int()), off, sign)
	case types.TimestampOID, types.TimestampTZOID:
		return r.shiftTime(v.Int(), off, sign)
	case types.TimeOID:
		return types.NewInt(v.Int() + int64(sign)*types.DecodeInterval(off.Bytes()).Micros), nil
	case types.IntervalOID:
		a, b := types.DecodeInterval(v.Bytes()), types.DecodeInterval(off.Bytes())
		n := int64(sign)
		return types.Interval{Micros: a.Micros + n*b.Micros, Days: a.Days + int32(n)*b.Days, Months: a.Months + int32(n)*b.Months}.Datum(), nil
	}
	switch {
	case v.Repr() == types.Int64 && off.Repr() == types.Int64:
		return types.NewInt(saturated(v.Int(), int64(sign)*off.Int())), nil
	case v.Repr() == types.Float64 && off.Repr() == types.Float64:
		return types.NewFloat(v.Float() + float64(sign)*off.Float()), nil
	case v.Repr() == types.Numerics && off.Repr() == types.Numerics:
		o := off.Numeric()
		if sign < 0 {
			o = o.Neg()
		}
		return types.NewNumeric(v.Numeric().Add(o)), nil
	}
	return types.Null, types.Errorf(types.CodeFeatureNotSupported,
		"RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s", r.typ)
}

func (r *rangeOffsets) shiftTime(at int64, off types.Datum, sign int) (types.Datum, error) {
	if at == math.MaxInt64 || at == math.MinInt64 {
		return types.NewInt(at), nil
	}
	v := types.DecodeInterval(off.Bytes())
	if sign < 0 {
		v = types.Interval{Micros: -v.Micros, Days: -v.Days, Months: -v.Months}
	}
	t, err := builtin.AddToTimestampTZ(at, v, r.loc)
	return types.NewInt(t), err
}

// saturated adds two integers; past the ends there is nothing to find.
func saturated(a, b int64) int64 {
	switch s := a + b; {
	case b > 0 && s < a:
		return math.MaxInt64
	case b < 0 && s > a:
		return math.MinInt64
	default:
		return s
	}
}

// negativeOffset reports whether an offset would turn its direction around.
func negativeOffset(d types.Datum) bool {
	switch d.Repr() {
	case types.Int64:
		return d.Int() < 0
	case types.Float64:
		return d.Float() < 0 || math.IsNaN(d.Float())
	case types.Numerics:
		return d.Numeric().IsNaN() || d.Numeric().Sign() < 0
	}
	return types.DecodeInterval(d.Bytes()).Cmp(types.Interval{}) < 0
}

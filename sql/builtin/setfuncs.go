package builtin

import (
	"time"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func init() {
	for _, n := range []string{"int4", "int8"} {
		setFuncs["generate_series_"+n] = seriesInt
		setFuncs["generate_series_step_"+n] = seriesInt
	}
	setFuncs["generate_series_numeric"] = seriesNumeric
	setFuncs["generate_series_step_numeric"] = seriesNumeric
	setFuncs["generate_series_timestamp"] = seriesTimestamp(false)
	setFuncs["generate_series_timestamptz"] = seriesTimestamp(true)
	setFuncs["array_unnest"] = unnest
	setFuncs["generate_subscripts"] = subscripts
	setFuncs["generate_subscripts_nodir"] = subscripts
}

// intSeries counts from cur to end by step.
type intSeries struct {
	cur, end, step int64
	done           bool
	ctx            *Ctx
}

// Next implements SetIter.
func (s *intSeries) Next(out []*vec.Vector, want int) (int, error) {
	if err := s.ctx.Canceled(); err != nil {
		return 0, err
	}
	n := 0
	for n < want && !s.done {
		if s.step > 0 && s.cur > s.end || s.step < 0 && s.cur < s.end {
			s.done = true
			break
		}
		out[0].AppendInt(s.cur)
		n++
		next, over := addOverflows(s.cur, s.step)
		s.cur, s.done = next, over
	}
	return n, nil
}

func zeroStep() error {
	return types.Errorf(types.CodeInvalidParameterValue, "step size cannot equal zero")
}

func seriesInt(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	s := &intSeries{cur: args[0].Int(), end: args[1].Int(), step: 1, ctx: ctx}
	if len(args) > 2 {
		if s.step = args[2].Int(); s.step == 0 {
			return nil, zeroStep()
		}
	}
	return s, nil
}

// funcIter is a SetIter of one column over a function that gives values one at
// a time.
type funcIter func() (types.Datum, bool, error)

// Next implements SetIter.
func (f funcIter) Next(out []*vec.Vector, want int) (int, error) {
	for n := 0; n < want; n++ {
		d, ok, err := f()
		if err != nil || !ok {
			return n, err
		}
		out[0].AppendDatum(d)
	}
	return want, nil
}

func seriesNumeric(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	cur, end, step := args[0].Numeric(), args[1].Numeric(), types.NumericFromInt(1)
	if len(args) > 2 {
		step = args[2].Numeric()
	}
	for i, n := range []types.Numeric{cur, end, step} {
		if n.IsSpecial() {
			what := "infinity"
			if n.IsNaN() {
				what = "NaN"
			}
			return nil, types.Errorf(types.CodeInvalidParameterValue, "%s cannot be %s", [...]string{"start value", "stop value", "step size"}[i], what)
		}
	}
	dir := step.Sign()
	if dir == 0 {
		return nil, zeroStep()
	}
	return funcIter(func() (types.Datum, bool, error) {
		if cur.Cmp(end)*dir > 0 {
			return types.Null, false, ctx.Canceled()
		}
		d := types.NewNumeric(cur)
		cur = cur.Add(step)
		return d, true, nil
	}), nil
}

func seriesTimestamp(tz bool) SetFunc {
	return func(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
		cur, end, step := args[0].Int(), args[1].Int(), types.DecodeInterval(args[2].Bytes())
		dir := step.Cmp(types.Interval{})
		if dir == 0 {
			return nil, zeroStep()
		}
		loc := time.UTC
		if tz {
			loc = ctx.Set().Loc()
		}
		return funcIter(func() (types.Datum, bool, error) {
			if cur > end && dir > 0 || cur < end && dir < 0 {
				return types.Null, false, ctx.Canceled()
			}
			d := types.NewInt(cur)
			var err error
			cur, err = AddToTimestampTZ(cur, step, loc)
			return d, true, err
		}), nil
	}
}

func unnest(_ *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	f := types.FlatArray(args[0].Bytes())
	i, n := 0, f.Len()
	return funcIter(func() (types.Datum, bool, error) {
		if i >= n {
			return types.Null, false, nil
		}
		i++
		return f.At(i - 1), true, nil
	}), nil
}

func subscripts(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	f, d := types.FlatArray(args[0].Bytes()), int(args[1].Int())-1
	if d < 0 || d >= f.NDim() {
		return &sliceIter{}, nil
	}
	l, low := f.Dim(d)
	s := &intSeries{cur: int64(low), end: int64(low) + int64(l) - 1, step: 1, ctx: ctx}
	if len(args) > 2 && args[2].Bool() {
		s.cur, s.end, s.step = s.end, s.cur, -1
	}
	return s, nil
}

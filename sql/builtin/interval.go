package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	rows(map[string]RowFunc{
		"interval_pl":               intervalBin(addIntervals),
		"interval_mi":               intervalBin(subIntervals),
		"interval_um":               func(c *Call) error { return retInterval(c)(subIntervals(types.Interval{}, c.Interval(0))) },
		"interval_mul":              func(c *Call) error { return retInterval(c)(mulInterval(c.Interval(0), c.Float(1))) },
		"mul_d_interval":            func(c *Call) error { return retInterval(c)(mulInterval(c.Interval(1), c.Float(0))) },
		"interval_div":              func(c *Call) error { return retInterval(c)(divInterval(c.Interval(0), c.Float(1))) },
		"interval_finite":           func(c *Call) error { return c.RetBool(true) },
		"interval_justify_days":     func(c *Call) error { return retInterval(c)(justifyDays(c.Interval(0))) },
		"interval_justify_hours":    func(c *Call) error { return retInterval(c)(justifyHours(c.Interval(0))) },
		"interval_justify_interval": func(c *Call) error { return retInterval(c)(justifyInterval(c.Interval(0))) },
		"time_interval":             func(c *Call) error { return c.Ret(types.Interval{Micros: c.Int(0)}.Datum()) },
		"interval_time": func(c *Call) error {
			_, us := types.SplitTimestamp(c.Interval(0).Micros)
			return c.RetInt(us)
		},
		"make_interval": makeInterval,
	})
}

// Interval returns interval argument k of the current row.
func (c *Call) Interval(k int) types.Interval { return types.DecodeInterval(c.Bytes(k)) }

func retInterval(c *Call) func(types.Interval, error) error {
	return func(v types.Interval, err error) error {
		if err != nil {
			return err
		}
		return c.Ret(v.Datum())
	}
}

func intervalBin(f func(a, b types.Interval) (types.Interval, error)) RowFunc {
	return func(c *Call) error { return retInterval(c)(f(c.Interval(0), c.Interval(1))) }
}

func intervalOverflow() error {
	return types.Errorf(types.CodeDatetimeFieldOverflow, "interval out of range")
}

func addIntervals(a, b types.Interval) (types.Interval, error) {
	m, d := int64(a.Months)+int64(b.Months), int64(a.Days)+int64(b.Days)
	us, over := addOverflows(a.Micros, b.Micros)
	if over || m != int64(int32(m)) || d != int64(int32(d)) {
		return a, intervalOverflow()
	}
	return types.Interval{Micros: us, Days: int32(d), Months: int32(m)}, nil
}

func subIntervals(a, b types.Interval) (types.Interval, error) {
	m, d := int64(a.Months)-int64(b.Months), int64(a.Days)-int64(b.Days)
	us := a.Micros - b.Micros
	if (a.Micros^b.Micros)&(a.Micros^us) < 0 || m != int64(int32(m)) || d != int64(int32(d)) {
		return a, intervalOverflow()
	}
	return types.Interval{Micros: us, Days: int32(d), Months: int32(m)}, nil
}

// tsRound drops the noise of a float computation beyond microseconds.
func tsRound(f float64) float64 { return math.RoundToEven(f*1e6) / 1e6 }

func mulInterval(v types.Interval, f float64) (types.Interval, error) {
	return scaleInterval(v, func(x float64) float64 { return x * f })
}

func divInterval(v types.Interval, f float64) (types.Interval, error) {
	if f == 0 {
		return v, types.ErrDivisionByZero()
	}
	return scaleInterval(v, func(x float64) float64 { return x / f })
}

// scaleInterval scales each part; fractions of months go to days, fractions of
// days to time.
func scaleInterval(v types.Interval, f func(float64) float64) (types.Interval, error) {
	m := f(float64(v.Months))
	d := f(float64(v.Days))
	us := f(float64(v.Micros))
	if math.IsNaN(m+d+us) || math.Abs(m) > math.MaxInt32 || math.Abs(d) > math.MaxInt32 {
		return v, intervalOverflow()
	}
	r := types.Interval{Months: int32(m), Days: int32(d)}
	monthDays := tsRound((m - float64(r.Months)) * 30)
	sec := tsRound((d - float64(r.Days) + monthDays - math.Trunc(monthDays)) * 86400)
	days := int64(r.Days) + int64(monthDays)
	if math.Abs(sec) >= 86400 {
		days += int64(sec / 86400)
		sec -= math.Trunc(sec/86400) * 86400
	}
	if r.Days = int32(days); int64(r.Days) != days {
		return v, intervalOverflow()
	}
	us = math.RoundToEven(us + sec*1e6)
	if us < -9.2233720368547758e18 || us >= 9.2233720368547758e18 {
		return v, intervalOverflow()
	}
	r.Micros = int64(us)
	return r, nil
}

// daysToMonths makes months of every 30 days.
func daysToMonths(v *types.Interval) error {
	whole := v.Days / 30
	v.Days -= whole * 30
	months := int64(v.Months) + int64(whole)
	if v.Months = int32(months); int64(v.Months) != months {
		return intervalOverflow()
	}
	return nil
}

func justifyDays(v types.Interval) (types.Interval, error) {
	if err := daysToMonths(&v); err != nil {
		return v, err
	}
	if v.Months > 0 && v.Days < 0 {
		v.Days += 30
		v.Months--
	} else if v.Months < 0 && v.Days > 0 {
		v.Days -= 30
		v.Months++
	}
	return v, nil
}

func justifyHours(v types.Interval) (types.Interval, error) {
	whole := v.Micros / types.MicrosPerDay
	v.Micros -= whole * types.MicrosPerDay
	days := int64(v.Days) + whole
	if v.Days = int32(days); int64(v.Days) != days {
		return v, intervalOverflow()
	}
	if v.Days > 0 && v.Micros < 0 {
		v.Micros += types.MicrosPerDay
		v.Days--
	} else if v.Days < 0 && v.Micros > 0 {
		v.Micros -= types.MicrosPerDay
		v.Days++
	}
	return v, nil
}

func justifyInterval(v types.Interval) (types.Interval, error) {
	if v.Days > 0 && v.Micros > 0 || v.Days < 0 && v.Micros < 0 {
		// Fewer days first, so that those of the time cannot overflow them.
		if err := daysToMonths(&v); err != nil {
			return v, err
		}
	}
	whole := v.Micros / types.MicrosPerDay
	v.Micros -= whole * types.MicrosPerDay
	v.Days += int32(whole)
	if err := daysToMonths(&v); err != nil {
		return v, err
	}
	if v.Months > 0 && (v.Days < 0 || v.Days == 0 && v.Micros < 0) {
		v.Days += 30
		v.Months--
	} else if v.Months < 0 && (v.Days > 0 || v.Days == 0 && v.Micros > 0) {
		v.Days -= 30
		v.Months++
	}
	if v.Days > 0 && v.Micros < 0 {
		v.Micros += types.MicrosPerDay
		v.Days--
	} else if v.Days < 0 && v.Micros > 0 {
		v.Micros -= types.MicrosPerDay
		v.Days++
	}
	return v, nil
}

func makeInterval(c *Call) error {
	sec := c.Float(6)
	if math.IsNaN(sec) || math.IsInf(sec, 0) {
		return intervalOverflow()
	}
	m := c.Int(0)*12 + c.Int(1)
	d := c.Int(2)*7 + c.Int(3)
	us := float64(c.Int(4)*3600+c.Int(5)*60)*1e6 + math.RoundToEven(sec*1e6)
	if m != int64(int32(m)) || d != int64(int32(d)) || math.Abs(us) >= 9.2233720368547758e18 {
		return intervalOverflow()
	}
	return c.Ret(types.Interval{Micros: int64(us), Days: int32(d), Months: int32(m)}.Datum())
}

package builtin

import (
	"math"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

func dateOutOfRange() error {
	return types.Errorf(types.CodeDatetimeFieldOverflow, "date out of range")
}

func timestampOutOfRange() error {
	return types.Errorf(types.CodeDatetimeFieldOverflow, "timestamp out of range")
}

func init() {
	rows(map[string]RowFunc{
		"date_mi":                             dateMinusDate,
		"date_pli":                            func(c *Call) error { return datePlus(c, c.Int(0), c.Int(1)) },
		"date_mii":                            func(c *Call) error { return datePlus(c, c.Int(0), -c.Int(1)) },
		"sql:integer_pl_date(int4,date)":      func(c *Call) error { return datePlus(c, c.Int(1), c.Int(0)) },
		"date_pl_interval":                    func(c *Call) error { return dateInterval(c, c.Interval(1), 0) },
		"date_mi_interval":                    func(c *Call) error { return dateInterval(c, negate(c.Interval(1)), 0) },
		"sql:interval_pl_date(interval,date)": func(c *Call) error { return dateInterval(c, c.Interval(0), 1) },
		"timestamp_pl_interval":               func(c *Call) error { return retTS(c)(addToTimestamp(c.Int(0), c.Interval(1))) },
		"timestamp_mi_interval":               func(c *Call) error { return retTS(c)(addToTimestamp(c.Int(0), negate(c.Interval(1)))) },
		"timestamptz_pl_interval":             func(c *Call) error { return retTS(c)(AddToTimestampTZ(c.Int(0), c.Interval(1), c.loc())) },
		"timestamptz_mi_interval": func(c *Call) error {
			return retTS(c)(AddToTimestampTZ(c.Int(0), negate(c.Interval(1)), c.loc()))
		},
		"sql:interval_pl_timestamp(interval,timestamp)": func(c *Call) error {
			return retTS(c)(addToTimestamp(c.Int(1), c.Interval(0)))
		},
		"sql:interval_pl_timestamptz(interval,timestamptz)": func(c *Call) error {
			return retTS(c)(AddToTimestampTZ(c.Int(1), c.Interval(0), c.loc()))
		},
		"timestamp_mi":  timestampMinus,
		"timestamp_age": func(c *Call) error { return retInterval(c)(age(c.Int(0), c.Int(1))) },
		"timestamptz_age": func(c *Call) error {
			return retInterval(c)(ageTZ(c.Int(0), c.Int(1), c.loc()))
		},
		"sql:age(timestamp)":   func(c *Call) error { return retInterval(c)(age(c.today(), c.Int(0))) },
		"sql:age(timestamptz)": func(c *Call) error { return retInterval(c)(ageTZ(types.ToUTC(c.today(), c.loc()), c.Int(0), c.loc())) },
		"time_pl_interval":     func(c *Call) error { return c.RetInt(wrapDay(c.Int(0) + c.Interval(1).Micros)) },
		"time_mi_interval":     func(c *Call) error { return c.RetInt(wrapDay(c.Int(0) - c.Interval(1).Micros)) },
		"sql:interval_pl_time(interval,time)": func(c *Call) error {
			return c.RetInt(wrapDay(c.Int(1) + c.Interval(0).Micros))
		},
		"time_mi_time":       func(c *Call) error { return c.Ret(types.Interval{Micros: c.Int(0) - c.Int(1)}.Datum()) },
		"timetz_pl_interval": func(c *Call) error { return timetzPlus(c, c.Interval(1).Micros, 0) },
		"timetz_mi_interval": func(c *Call) error { return timetzPlus(c, -c.Interval(1).Micros, 0) },
		"sql:interval_pl_timetz(interval,timetz)": func(c *Call) error {
			return timetzPlus(c, c.Interval(0).Micros, 1)
		},
		"datetime_timestamp": func(c *Call) error { return dateTime(c, c.Int(0), c.Int(1)) },
		"sql:timedate_pl(time,date)": func(c *Call) error {
			return dateTime(c, c.Int(1), c.Int(0))
		},
		"datetimetz_timestamptz":         func(c *Call) error { return dateTimeTZ(c, 0, 1) },
		"sql:timetzdate_pl(timetz,date)": func(c *Call) error { return dateTimeTZ(c, 1, 0) },
		"sql:timestamptz(date,time)": func(c *Call) error {
			ts, err := dateToTimestamp(c.Int(0))
			if err != nil || types.IsInfinite(ts) {
				return retTS(c)(ts, err)
			}
			return c.RetInt(types.ToUTC(ts+c.Int(1), c.loc()))
		},
		"date_finite": func(c *Call) error {
			return c.RetBool(c.Int(0) != types.DateInfinity && c.Int(0) != types.DateNegInfinity)
		},
		"timestamp_finite": func(c *Call) error { return c.RetBool(!types.IsInfinite(c.Int(0))) },
		"now":              func(c *Call) error { return c.RetInt(c.Ctx.TxnTime) },
		"statement_timestamp": func(c *Call) error {
			return c.RetInt(c.Ctx.StmtTime)
		},
		"clock_timestamp": func(c *Call) error { return c.RetInt(c.Ctx.ClockTime()) },
		"timeofday":       timeOfDay,
	})
	registerTimeCasts()
	registerMixedCompare()
}

func (c *Call) loc() *time.Location { return c.Ctx.Set().Loc() }

// today is midnight of the current date, in local time.
func (c *Call) today() int64 {
	day, _ := types.SplitTimestamp(types.ToLocal(c.Ctx.TxnTime, c.loc()))
	return day * types.MicrosPerDay
}

func retTS(c *Call) func(int64, error) error {
	return func(v int64, err error) error {
		if err != nil {
			return err
		}
		return c.RetInt(v)
	}
}

func negate(v types.Interval) types.Interval {
	return types.Interval{Micros: -v.Micros, Days: -v.Days, Months: -v.Months}
}

func wrapDay(us int64) int64 {
	_, us = types.SplitTimestamp(us)
	return us
}

func dateInfinite(d int64) bool { return d == types.DateInfinity || d == types.DateNegInfinity }

func dateMinusDate(c *Call) error {
	if dateInfinite(c.Int(0)) || dateInfinite(c.Int(1)) {
		return types.Errorf(types.CodeDatetimeFieldOverflow, "cannot subtract infinite dates")
	}
	return c.RetInt(c.Int(0) - c.Int(1))
}

func datePlus(c *Call, d, n int64) error {
	if dateInfinite(d) {
		return c.RetInt(d)
	}
	if d += n; !types.ValidDate(d) {
		return dateOutOfRange()
	}
	return c.RetInt(d)
}

func dateToTimestamp(d int64) (int64, error) {
	switch d {
	case types.DateInfinity:
		return types.TimeInfinity, nil
	case types.DateNegInfinity:
		return types.TimeNegInfinity, nil
	}
	if d >= 107751967 {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "date out of range for timestamp")
	}
	return d * types.MicrosPerDay, nil
}

func dateInterval(c *Call, v types.Interval, k int) error {
	ts, err := dateToTimestamp(c.Int(k))
	if err != nil {
		return err
	}
	return retTS(c)(addToTimestamp(ts, v))
}

// addMonths moves a wall-clock timestamp by months, to the last day of a month
// that is too short.
func addMonths(ts int64, months int32) int64 {
	if months == 0 {
		return ts
	}
	day, us := types.SplitTimestamp(ts)
	y, m, d := types.CivilFromDays(day)
	t := int64(y)*12 + int64(m-1) + int64(months)
	y, m = int(t/12), int(t%12)
	if m < 0 {
		m += 12
		y--
	}
	m++
	d = min(d, types.DaysInMonth(y, m))
	return types.DaysFromCivil(y, m, d)*types.MicrosPerDay + us
}

func addToTimestamp(ts int64, v types.Interval) (int64, error) {
	if types.IsInfinite(ts) {
		return ts, nil
	}
	ts = addMonths(ts, v.Months)
	ts += int64(v.Days) * types.MicrosPerDay
	ts, over := addOverflows(ts, v.Micros)
	if over || !types.ValidTimestamp(ts) {
		return 0, timestampOutOfRange()
	}
	return ts, nil
}

// AddToTimestampTZ adds an interval to a timestamp with time zone: months and
// days by the zone's wall clock, the rest in elapsed time.
func AddToTimestampTZ(ts int64, v types.Interval, loc *time.Location) (int64, error) {
	if types.IsInfinite(ts) {
		return ts, nil
	}
	if v.Months != 0 || v.Days != 0 {
		local := addMonths(types.ToLocal(ts, loc), v.Months)
		ts = types.ToUTC(local+int64(v.Days)*types.MicrosPerDay, loc)
	}
	ts, over := addOverflows(ts, v.Micros)
	if over || !types.ValidTimestamp(ts) {
		return 0, timestampOutOfRange()
	}
	return ts, nil
}

func timestampMinus(c *Call) error {
	a, b := c.Int(0), c.Int(1)
	if types.IsInfinite(a) || types.IsInfinite(b) {
		return types.Errorf(types.CodeDatetimeFieldOverflow, "cannot subtract infinite timestamps")
	}
	return retInterval(c)(justifyHours(types.Interval{Micros: a - b}))
}

// age is the difference in years, months, days and time, as one would say it.
func age(a, b int64) (types.Interval, error) {
	if types.IsInfinite(a) || types.IsInfinite(b) {
		return types.Interval{}, timestampOutOfRange()
	}
	neg := a < b
	if neg {
		a, b = b, a
	}
	ad, au := types.SplitTimestamp(a)
	bd, bu := types.SplitTimestamp(b)
	ay, am, aday := types.CivilFromDays(ad)
	by, bm, bday := types.CivilFromDays(bd)
	us, days, months := au-bu, aday-bday, (ay-by)*12+am-bm
	if us < 0 {
		us += types.MicrosPerDay
		days--
	}
	for days < 0 {
		// Days are borrowed from the month of the earlier date.
		days += types.DaysInMonth(by, bm)
		months--
	}
	v := types.Interval{Micros: us, Days: int32(days), Months: int32(months)}
	if neg {
		v = negate(v)
	}
	return v, nil
}

func ageTZ(a, b int64, loc *time.Location) (types.Interval, error) {
	if types.IsInfinite(a) || types.IsInfinite(b) {
		return types.Interval{}, timestampOutOfRange()
	}
	return age(types.ToLocal(a, loc), types.ToLocal(b, loc))
}

func timetzPlus(c *Call, us int64, k int) error {
	t := types.DecodeTimeTZ(c.Bytes(k))
	t.Micros = wrapDay(t.Micros + us)
	return c.Ret(t.Datum())
}

func dateTime(c *Call, d, us int64) error {
	ts, err := dateToTimestamp(d)
	if err != nil || types.IsInfinite(ts) {
		return retTS(c)(ts, err)
	}
	if ts += us; !types.ValidTimestamp(ts) {
		return timestampOutOfRange()
	}
	return c.RetInt(ts)
}

func dateTimeTZ(c *Call, dk, tk int) error {
	ts, err := dateToTimestamp(c.Int(dk))
	if err != nil || types.IsInfinite(ts) {
		return retTS(c)(ts, err)
	}
	t := types.DecodeTimeTZ(c.Bytes(tk))
	ts += t.Micros + int64(t.West)*types.MicrosPerSecond
	if !types.ValidTimestamp(ts) {
		return timestampOutOfRange()
	}
	return c.RetInt(ts)
}

func timeOfDay(c *Call) error {
	ts := c.Ctx.ClockTime()
	t := time.UnixMicro(ts + epoch2000).In(c.loc())
	return c.RetStr(t.Format("Mon Jan 02 15:04:05.000000 2006 MST"))
}

func registerTimeCasts() {
	rows(map[string]RowFunc{
		"date_timestamp": func(c *Call) error { return retTS(c)(dateToTimestamp(c.Int(0))) },
		"date_timestamptz": func(c *Call) error {
			ts, err := dateToTimestamp(c.Int(0))
			return retTS(c)(toUTC(ts, c.loc()), err)
		},
		"timestamp_date":   func(c *Call) error { return c.RetInt(timestampDate(c.Int(0))) },
		"timestamptz_date": func(c *Call) error { return c.RetInt(timestampDate(toLocal(c.Int(0), c.loc()))) },
		"timestamp_timestamptz": func(c *Call) error {
			ts := toUTC(c.Int(0), c.loc())
			if !types.IsInfinite(ts) && !types.ValidTimestamp(ts) {
				return timestampOutOfRange()
			}
			return c.RetInt(ts)
		},
		"timestamptz_timestamp": func(c *Call) error { return c.RetInt(toLocal(c.Int(0), c.loc())) },
		"timestamp_time": func(c *Call) error {
			if types.IsInfinite(c.Int(0)) {
				return c.RetNull()
			}
			return c.RetInt(wrapDay(c.Int(0)))
		},
		"timestamptz_time": func(c *Call) error {
			if types.IsInfinite(c.Int(0)) {
				return c.RetNull()
			}
			return c.RetInt(wrapDay(toLocal(c.Int(0), c.loc())))
		},
		"timestamptz_timetz": func(c *Call) error {
			if types.IsInfinite(c.Int(0)) {
				return c.RetNull()
			}
			east, _ := types.ZoneOffset(c.Int(0), c.loc())
			return c.Ret(types.TimeTZ{Micros: wrapDay(toLocal(c.Int(0), c.loc())), West: int32(-east)}.Datum())
		},
		"time_timetz": func(c *Call) error {
			east, _ := types.ZoneOffset(c.Ctx.TxnTime, c.loc())
			return c.Ret(types.TimeTZ{Micros: c.Int(0), West: int32(-east)}.Datum())
		},
		"timetz_time":        func(c *Call) error { return c.RetInt(types.DecodeTimeTZ(c.Bytes(0)).Micros) },
		"float8_timestamptz": floatToTimestamp,
	})
}

func toUTC(ts int64, loc *time.Location) int64 {
	if types.IsInfinite(ts) {
		return ts
	}
	return types.ToUTC(ts, loc)
}

func toLocal(ts int64, loc *time.Location) int64 {
	if types.IsInfinite(ts) {
		return ts
	}
	return types.ToLocal(ts, loc)
}

func timestampDate(ts int64) int64 {
	switch ts {
	case types.TimeInfinity:
		return types.DateInfinity
	case types.TimeNegInfinity:
		return types.DateNegInfinity
	}
	d, _ := types.SplitTimestamp(ts)
	return d
}

func floatToTimestamp(c *Call) error {
	f := c.Float(0)
	switch {
	case math.IsNaN(f):
		return types.Errorf(types.CodeDatetimeFieldOverflow, "timestamp cannot be NaN")
	case math.IsInf(f, 1):
		return c.RetInt(types.TimeInfinity)
	case math.IsInf(f, -1):
		return c.RetInt(types.TimeNegInfinity)
	}
	us := math.RoundToEven((f - epoch2000/1e6) * 1e6)
	if us < -2.2e17 || us > 9.3e18 || !types.ValidTimestamp(int64(us)) {
		return types.Errorf(types.CodeDatetimeFieldOverflow, "timestamp out of range: \"%g\"", f)
	}
	return c.RetInt(int64(us))
}

// registerMixedCompare has the comparisons of dates and timestamps with each
// other.
func registerMixedCompare() {
	conv := map[string]func(c *Call, k int) int64{
		"date": func(c *Call, k int) int64 {
			d := c.Int(k)
			if ts, err := dateToTimestamp(d); err == nil {
				return ts
			}
			return types.TimeInfinity - 1 // later than every finite timestamp
		},
		"timestamp":   func(c *Call, k int) int64 { return c.Int(k) },
		"timestamptz": func(c *Call, k int) int64 { return toLocal(c.Int(k), c.loc()) },
	}
	for a, fa := range conv {
		for b, fb := range conv {
			if a == b {
				continue
			}
			for _, s := range opSuffixes {
				row(a+"_"+s.suffix+"_"+b, func(c *Call) error {
					x, y := fa(c, 0), fb(c, 1)
					return c.RetBool(s.op.holds(int(b2i(x > y) - b2i(x < y))))
				})
			}
			row(a+"_cmp_"+b, func(c *Call) error {
				x, y := fa(c, 0), fb(c, 1)
				return c.RetInt(b2i(x > y) - b2i(x < y))
			})
		}
	}
}

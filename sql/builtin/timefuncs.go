package builtin

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	rows(map[string]RowFunc{
		"timestamp_trunc": func(c *Call) error {
			return retTS(c)(truncLocal(c.Str(0), c.Int(1), "timestamp without time zone"))
		},
		"timestamptz_trunc":      func(c *Call) error { return truncTZ(c, c.loc()) },
		"timestamptz_trunc_zone": truncNamedZone,
		"interval_trunc":         truncInterval,
		"timestamp_bin":          dateBin,
		"timestamptz_bin":        dateBin,
		"timestamptz_zone": func(c *Call) error {
			return atZone(c, func(ts int64, l *time.Location) int64 { return toLocal(ts, l) })
		},
		"timestamp_zone":    func(c *Call) error { return atZone(c, func(ts int64, l *time.Location) int64 { return toUTC(ts, l) }) },
		"timestamptz_izone": func(c *Call) error { return atOffset(c, 1) },
		"timestamp_izone":   func(c *Call) error { return atOffset(c, -1) },
		"timetz_zone":       timetzZone,
		"timetz_izone": func(c *Call) error {
			sec, err := zoneOffset(c)
			if err != nil {
				return err
			}
			return shiftTimeTZ(c, int(sec))
		},
		"make_date":        makeDate,
		"make_time":        func(c *Call) error { return retTS(c)(makeTime(c.Int(0), c.Int(1), c.Float(2))) },
		"make_timestamp":   func(c *Call) error { return retTS(c)(makeTimestamp(c)) },
		"make_timestamptz": func(c *Call) error { return makeTimestampTZ(c, c.loc(), nil) },
		"make_timestamptz_at_timezone": func(c *Call) error {
			if _, err := makeTimestamp(c); err != nil {
				return err
			}
			loc, err := types.LoadNumericZone(c.Str(6))
			return makeTimestampTZ(c, loc, err)
		},
	})
	registerOverlaps()
}

// namedZone finds a zone, remembering the last one at the call site.
func namedZone(c *Call, name string) (*time.Location, error) {
	type cached struct {
		name string
		loc  *time.Location
	}
	if k, ok := c.Cache.(cached); ok && k.name == name {
		return k.loc, nil
	}
	loc, err := types.LoadZone(name)
	if err == nil {
		c.Cache = cached{strings.Clone(name), loc}
	}
	return loc, err
}

func atZone(c *Call, f func(int64, *time.Location) int64) error {
	if types.IsInfinite(c.Int(1)) {
		return c.RetInt(c.Int(1))
	}
	loc, err := namedZone(c, c.Str(0))
	if err != nil {
		return err
	}
	return c.RetInt(f(c.Int(1), loc))
}

// zoneOffset reads an interval as a time zone, in whole seconds.
func zoneOffset(c *Call) (int64, error) {
	v := c.Interval(0)
	if v.Months != 0 || v.Days != 0 {
		return 0, types.Errorf(types.CodeInvalidParameterValue, "interval time zone \"%s\" must not include months or days",
			types.AppendInterval(nil, v, c.Ctx.Set()))
	}
	return v.Micros / types.MicrosPerSecond, nil
}

func atOffset(c *Call, sign int64) error {
	if types.IsInfinite(c.Int(1)) {
		return c.RetInt(c.Int(1))
	}
	sec, err := zoneOffset(c)
	return retTS(c)(c.Int(1)+sign*sec*types.MicrosPerSecond, err)
}

func timetzZone(c *Call) error {
	loc, err := namedZone(c, c.Str(0))
	if err != nil {
		return err
	}
	east, _ := types.ZoneOffset(c.Ctx.TxnTime, loc)
	return shiftTimeTZ(c, east)
}

func shiftTimeTZ(c *Call, east int) error {
	t := types.DecodeTimeTZ(c.Bytes(1))
	t.Micros = wrapDay(t.Micros + int64(int(t.West)+east)*types.MicrosPerSecond)
	t.West = int32(-east)
	return c.Ret(t.Datum())
}

// truncLocal cuts a wall-clock timestamp to a unit.
func truncLocal(given string, ts int64, typeName string) (int64, error) {
	unit := unitName(given)
	if types.IsInfinite(ts) {
		return ts, nil
	}
	out, _, ok := truncUnit(unit, ts)
	if !ok {
		return 0, truncError(given, unit, typeName)
	}
	return out, nil
}

func truncError(given, unit, typeName string) error {
	switch unit {
	case "epoch", "dow", "isodow", "doy", "isoyear", "julian", "timezone", "timezone_hour", "timezone_minute":
		return types.Errorf(types.CodeFeatureNotSupported, "unit \"%s\" not supported for type %s", strings.ToLower(given), typeName)
	}
	return types.Errorf(types.CodeInvalidParameterValue, "unit \"%s\" not recognized for type %s", strings.ToLower(given), typeName)
}

// truncUnit also reports whether the unit is a day or more, for which a zone's
// offset may change.
func truncUnit(unit string, ts int64) (out int64, days, ok bool) {
	day, us := types.SplitTimestamp(ts)
	y, m, d := types.CivilFromDays(day)
	cut := map[string]int64{"microseconds": 1, "milliseconds": 1000, "second": types.MicrosPerSecond,
		"minute": types.MicrosPerMinute, "hour": types.MicrosPerHour}
	if unit, ok := cut[unit]; ok {
		return day*types.MicrosPerDay + us - us%unit, false, true
	}
	switch unit {
	case "day":
	case "week":
		day -= int64((types.Weekday(day) + 6) % 7)
		return day * types.MicrosPerDay, true, true
	case "month":
		d = 1
	case "quarter":
		m, d = (m-1)/3*3+1, 1
	case "year":
		m, d = 1, 1
	case "decade":
		if y > 0 {
			y = y / 10 * 10
		} else {
			y = -((8 - (y - 1)) / 10) * 10
		}
		m, d = 1, 1
	case "century":
		y, m, d = truncYears(y, 100), 1, 1
	case "millennium":
		y, m, d = truncYears(y, 1000), 1, 1
	default:
		return 0, false, false
	}
	return types.DaysFromCivil(y, m, d) * types.MicrosPerDay, true, true
}

func truncYears(y, n int) int {
	if y > 0 {
		return (y+n-1)/n*n - n + 1
	}
	return -((n-1-(y-1))/n)*n + 1
}

func truncTZ(c *Call, loc *time.Location) error {
	ts := c.Int(1)
	local := toLocal(ts, loc)
	out, err := truncLocal(c.Str(0), local, "timestamp with time zone")
	if err != nil || types.IsInfinite(ts) {
		return retTS(c)(out, err)
	}
	if _, days, _ := truncUnit(unitName(c.Str(0)), local); !days {
		return c.RetInt(out - (local - ts))
	}
	return c.RetInt(types.ToUTC(out, loc))
}

func truncNamedZone(c *Call) error {
	if types.IsInfinite(c.Int(1)) {
		return c.RetInt(c.Int(1))
	}
	loc, err := namedZone(c, c.Str(2))
	if err != nil {
		return err
	}
	return truncTZ(c, loc)
}

func truncInterval(c *Call) error {
	v, unit := c.Interval(1), unitName(c.Str(0))
	months := map[string]int32{"millennium": 12000, "century": 1200, "decade": 120, "year": 12, "quarter": 3, "month": 1}
	micros := map[string]int64{"hour": types.MicrosPerHour, "minute": types.MicrosPerMinute, "second": types.MicrosPerSecond,
		"milliseconds": 1000, "microseconds": 1}
	switch {
	case months[unit] != 0:
		v = types.Interval{Months: v.Months - v.Months%months[unit]}
	case unit == "day":
		v.Micros = 0
	case micros[unit] != 0:
		v.Micros -= v.Micros % micros[unit]
	case unit == "week":
		return types.Errorf(types.CodeFeatureNotSupported, "unit \"%s\" not supported for type %s", strings.ToLower(c.Str(0)), "interval").
			WithDetail("Months usually have fractional weeks.")
	default:
		return truncError(c.Str(0), unit, "interval")
	}
	return c.Ret(v.Datum())
}

func dateBin(c *Call) error {
	v, ts, origin := c.Interval(0), c.Int(1), c.Int(2)
	switch {
	case types.IsInfinite(ts):
		return c.RetInt(ts)
	case types.IsInfinite(origin):
		return types.Errorf(types.CodeDatetimeFieldOverflow, "origin out of range")
	case v.Months != 0:
		return types.Errorf(types.CodeFeatureNotSupported, "timestamps cannot be binned into intervals containing months or years")
	}
	stride := int64(v.Days)*types.MicrosPerDay + v.Micros
	if stride <= 0 {
		return types.Errorf(types.CodeDatetimeFieldOverflow, "stride must be greater than zero")
	}
	diff := ts - origin
	bin := diff - diff%stride
	if diff%stride < 0 {
		bin -= stride
	}
	return c.RetInt(origin + bin)
}

func makeDate(c *Call) error {
	d, ok := civilDay(c.Int(0), c.Int(1), c.Int(2))
	if !ok {
		y := c.Int(0)
		if y < 0 && y != math.MinInt32 {
			y++ // as the message of PostgreSQL has it
		}
		return types.Errorf(types.CodeDatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", y, c.Int(1), c.Int(2))
	}
	if !types.ValidDate(d) {
		return types.Errorf(types.CodeDatetimeFieldOverflow, "date out of range: %d-%02d-%02d", c.Int(0), c.Int(1), c.Int(2))
	}
	return c.RetInt(d)
}

// civilDay checks a date; negative years are BC.
func civilDay(y, m, d int64) (int64, bool) {
	if y == 0 || y == math.MinInt32 || m < 1 || m > 12 || d < 1 {
		return 0, false
	}
	if y > 6000000 || y < -6000000 {
		return 1 << 40, true // no valid date
	}
	if y < 0 {
		y++
	}
	if d > int64(types.DaysInMonth(int(y), int(m))) {
		return 0, false
	}
	return types.DaysFromCivil(int(y), int(m), int(d)), true
}

func makeTime(h, m int64, sec float64) (int64, error) {
	bad := math.IsNaN(sec) || h < 0 || m < 0 || m > 59 || math.RoundToEven(sec*1e6) < 0 || sec > 60 || h > 24 || h == 24 && (m > 0 || sec > 0)
	if bad {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "time field value out of range: %d:%02d:%s", h, m, cSeconds(sec))
	}
	return h*types.MicrosPerHour + m*types.MicrosPerMinute + int64(math.RoundToEven(sec*1e6)), nil
}

// cSeconds prints seconds as C's %02g does.
func cSeconds(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return string(types.AppendTextFloat(nil, types.Float8OID, f, nil))
	}
	s := strconv.FormatFloat(f, 'g', 6, 64)
	if len(s) < 2 {
		s = "0" + s
	}
	return s
}

func makeTimestamp(c *Call) (int64, error) {
	d, ok := civilDay(c.Int(0), c.Int(1), c.Int(2))
	if !ok {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", c.Int(0), c.Int(1), c.Int(2))
	}
	if d == 1<<40 {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "date out of range: %d-%02d-%02d", c.Int(0), c.Int(1), c.Int(2))
	}
	us, err := makeTime(c.Int(3), c.Int(4), c.Float(5))
	if err != nil {
		return 0, err
	}
	if d < -2451546 || d > 107751967 || !types.ValidTimestamp(d*types.MicrosPerDay+us) {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "timestamp out of range: %d-%02d-%02d %d:%02d:%s",
			c.Int(0), c.Int(1), c.Int(2), c.Int(3), c.Int(4), cSeconds(c.Float(5)))
	}
	return d*types.MicrosPerDay + us, nil
}

func makeTimestampTZ(c *Call, loc *time.Location, err error) error {
	if err != nil {
		return err
	}
	ts, err := makeTimestamp(c)
	return retTS(c)(types.ToUTC(ts, loc), err)
}

// registerOverlaps has (s1, e1) OVERLAPS (s2, e2), where an end may be an
// interval.
func registerOverlaps() {
	overlaps := func(conv func(c *Call, start, k int) (types.Datum, error), oid types.OID) RowFunc {
		return func(c *Call) error {
			var p [4]types.Datum
			for k := range p {
				d, err := conv(c, k&^1, k)
				if err != nil {
					return err
				}
				p[k] = d
			}
			return c.Ret(periodsOverlap(oid, p))
		}
	}
	plain := func(c *Call, _, k int) (types.Datum, error) { return c.Datum(k), nil }
	row("overlaps_timestamp", overlaps(plain, types.TimestampOID))
	row("overlaps_time", overlaps(plain, types.TimeOID))
	row("overlaps_timetz", overlaps(plain, types.TimeTZOID))
	for _, t := range []struct {
		name string
		oid  types.OID
	}{{"timestamp", types.TimestampOID}, {"timestamptz", types.TimestampTZOID}, {"time", types.TimeOID}} {
		conv := func(c *Call, start, k int) (types.Datum, error) {
			if c.Info.ArgTypes[k].OID != types.IntervalOID || c.IsNull(k) || c.IsNull(start) {
				if c.Info.ArgTypes[k].OID == types.IntervalOID {
					return types.Null, nil
				}
				return c.Datum(k), nil
			}
			switch t.oid {
			case types.TimeOID:
				return types.NewInt(wrapDay(c.Int(start) + c.Interval(k).Micros)), nil
			case types.TimestampTZOID:
				v, err := AddToTimestampTZ(c.Int(start), c.Interval(k), c.loc())
				return types.NewInt(v), err
			}
			v, err := addToTimestamp(c.Int(start), c.Interval(k))
			return types.NewInt(v), err
		}
		for _, args := range []string{"%,%,%,interval", "%,interval,%,interval", "%,interval,%,%"} {
			row("sql:overlaps("+strings.ReplaceAll(args, "%", t.name)+")", overlaps(conv, t.oid))
		}
	}
}

// periodsOverlap follows the standard's rules for NULLs: a period with one end
// missing is the other end.
func periodsOverlap(oid types.OID, p [4]types.Datum) types.Datum {
	for k := 0; k < 4; k += 2 {
		s, e := p[k], p[k+1]
		if s.IsNull() && e.IsNull() {
			return types.Null
		}
		if s.IsNull() || !e.IsNull() && types.Compare(oid, s, e) > 0 {
			p[k], p[k+1] = e, s
		}
	}
	s1, e1, s2, e2 := p[0], p[1], p[2], p[3]
	switch c := types.Compare(oid, s1, s2); {
	case c > 0:
		return overlapAfter(oid, s1, e2, e1)
	case c < 0:
		return overlapAfter(oid, s2, e1, e2)
	}
	if e1.IsNull() || e2.IsNull() {
		return types.Null
	}
	return types.NewBool(true)
}

// overlapAfter decides when the period starting at s starts later; other is the
// end of the earlier one, own that of the later one.
func overlapAfter(oid types.OID, s, other, own types.Datum) types.Datum {
	if other.IsNull() {
		return types.Null
	}
	if types.Compare(oid, s, other) < 0 {
		return types.NewBool(true)
	}
	if own.IsNull() {
		return types.Null
	}
	return types.NewBool(false)
}

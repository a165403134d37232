package builtin

import (
	"math"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

// partSource is a value that fields are taken from.
type partSource struct {
	name   string // for errors
	local  int64  // wall clock of a timestamp
	utc    int64  // of a timestamptz
	day    int64
	micros int64 // within the day
	isDate bool
	isTime bool
	hasTZ  bool
	east   int
}

// timeUnits maps the spellings of a field to its name.
var timeUnits = map[string]string{
	"timezone_h": "timezone_hour", "timezone_m": "timezone_minute",
	"microsecond": "microseconds", "us": "microseconds", "usec": "microseconds", "usecs": "microseconds", "useconds": "microseconds", "microsecon": "microseconds",
	"millisecond": "milliseconds", "ms": "milliseconds", "msec": "milliseconds", "msecs": "milliseconds", "mseconds": "milliseconds", "millisecon": "milliseconds",
	"sec": "second", "secs": "second", "seconds": "second", "s": "second", "second": "second",
	"min": "minute", "mins": "minute", "minutes": "minute", "m": "minute", "minute": "minute",
	"hours": "hour", "hr": "hour", "hrs": "hour", "h": "hour", "hour": "hour",
	"days": "day", "d": "day", "day": "day", "weeks": "week", "w": "week", "week": "week",
	"months": "month", "mon": "month", "mons": "month", "month": "month",
	"qtr": "quarter", "quarter": "quarter", "years": "year", "yr": "year", "yrs": "year", "y": "year", "year": "year",
	"decades": "decade", "dec": "decade", "decs": "decade", "decade": "decade",
	"centuries": "century", "cent": "century", "c": "century", "century": "century",
	"millennia": "millennium", "mil": "millennium", "mils": "millennium", "millennium": "millennium",
	"microseconds": "microseconds", "milliseconds": "milliseconds",
}

func unitName(s string) string {
	l := strings.ToLower(s)
	if u, ok := timeUnits[l]; ok {
		return u
	}
	return l
}

func init() {
	for _, k := range []struct {
		src string
		get func(c *Call) (partSource, bool)
	}{
		{"timestamp", func(c *Call) (partSource, bool) {
			return fromTimestamp("timestamp without time zone", c.Int(1)), types.IsInfinite(c.Int(1))
		}},
		{"timestamptz", timestamptzSource},
		{"time", func(c *Call) (partSource, bool) {
			return partSource{name: "time without time zone", micros: c.Int(1), isTime: true}, false
		}},
		{"timetz", timetzSource},
	} {
		row("extract_"+k.src, func(c *Call) error { return extractPart(c, k.get, false) })
		row(k.src+"_part", func(c *Call) error { return extractPart(c, k.get, true) })
	}
	date := func(c *Call) (partSource, bool) {
		return partSource{name: "date", day: c.Int(1), isDate: true, local: c.Int(1) * types.MicrosPerDay}, dateInfinite(c.Int(1))
	}
	row("extract_date", func(c *Call) error { return extractPart(c, date, false) })
	row("sql:date_part(text,date)", func(c *Call) error { return extractPart(c, dateAsTimestamp, true) })
	row("extract_interval", func(c *Call) error { return extractInterval(c, false) })
	row("interval_part", func(c *Call) error { return extractInterval(c, true) })
}

func dateAsTimestamp(c *Call) (partSource, bool) {
	return fromTimestamp("timestamp without time zone", c.Int(1)*types.MicrosPerDay), dateInfinite(c.Int(1))
}

func fromTimestamp(name string, local int64) partSource {
	day, us := types.SplitTimestamp(local)
	return partSource{name: name, local: local, day: day, micros: us}
}

func timestamptzSource(c *Call) (partSource, bool) {
	ts := c.Int(1)
	if types.IsInfinite(ts) {
		return partSource{name: "timestamp with time zone", hasTZ: true, local: ts}, true
	}
	east, _ := types.ZoneOffset(ts, c.loc())
	p := fromTimestamp("timestamp with time zone", ts+int64(east)*types.MicrosPerSecond)
	p.hasTZ, p.east, p.utc = true, east, ts
	return p, false
}

func timetzSource(c *Call) (partSource, bool) {
	t := types.DecodeTimeTZ(c.Bytes(1))
	return partSource{name: "time with time zone", micros: t.Micros, isTime: true, hasTZ: true, east: -int(t.West)}, false
}

// part is a field's value: an exact decimal.
type part struct {
	v     int64
	scale int16
	plus  int64 // to be added, where the sum may be too large
	// num is the value instead, where it has too many digits.
	num *types.Numeric
}

func extractPart(c *Call, get func(*Call) (partSource, bool), float bool) error {
	unit := unitName(c.Str(0))
	p, infinite := get(c)
	if infinite {
		return extractInfinite(c, p, unit, float)
	}
	r, ok, err := p.field(unit)
	if err != nil {
		return err
	}
	if !ok {
		return unitError(c.Str(0), unit, p.name)
	}
	return retPart(c, r, float)
}

func unitError(given, unit, typeName string) error {
	switch unit {
	case "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century",
		"millennium", "epoch", "dow", "isodow", "doy", "isoyear", "julian", "timezone", "timezone_hour", "timezone_minute":
		return types.Errorf(types.CodeFeatureNotSupported, "unit \"%s\" not supported for type %s", strings.ToLower(given), typeName)
	}
	return types.Errorf(types.CodeInvalidParameterValue, "unit \"%s\" not recognized for type %s", strings.ToLower(given), typeName)
}

func retPart(c *Call, r part, float bool) error {
	n := types.Numeric{Coef: r.v, Scale: r.scale}
	if r.num != nil {
		n = *r.num
	}
	if r.plus != 0 {
		n = n.Add(types.Numeric{Coef: r.plus, Scale: r.scale})
	}
	if float {
		return c.RetFloat(n.Float64())
	}
	return c.RetNum(n)
}

// extractInfinite gives infinity for fields that grow without bound, NULL for
// those that go round.
func extractInfinite(c *Call, p partSource, unit string, float bool) error {
	switch unit {
	case "year", "decade", "century", "millennium", "epoch", "julian", "isoyear":
		neg := c.Int(1) < 0
		if float {
			return c.RetFloat(math.Inf(int(1 - 2*b2i(neg))))
		}
		if neg {
			return c.RetNum(types.NumericNegInf)
		}
		return c.RetNum(types.NumericPosInf)
	}
	if _, ok, _ := p.field(unit); !ok {
		return unitError(c.Str(0), unit, p.name)
	}
	return c.RetNull()
}

func (p partSource) field(unit string) (r part, ok bool, err error) {
	if !p.isDate {
		switch unit {
		case "microseconds":
			return part{v: p.micros % types.MicrosPerMinute, scale: 0}, true, nil
		case "milliseconds":
			return part{v: p.micros % types.MicrosPerMinute, scale: 3}, true, nil
		case "second":
			return part{v: p.micros % types.MicrosPerMinute, scale: 6}, true, nil
		case "minute":
			return part{v: p.micros / types.MicrosPerMinute % 60, scale: 0}, true, nil
		case "hour":
			return part{v: p.micros / types.MicrosPerHour, scale: 0}, true, nil
		}
	}
	if p.hasTZ {
		switch unit {
		case "timezone":
			return part{v: int64(p.east), scale: 0}, true, nil
		case "timezone_hour":
			return part{v: int64(p.east / 3600), scale: 0}, true, nil
		case "timezone_minute":
			return part{v: int64(p.east / 60 % 60), scale: 0}, true, nil
		}
	}
	if unit == "epoch" {
		return p.epoch(), true, nil
	}
	if p.isTime {
		return part{}, false, nil
	}
	return p.dateField(unit)
}

func (p partSource) epoch() part {
	switch {
	case p.isTime:
		return part{v: p.micros - int64(p.east)*types.MicrosPerSecond, scale: 6}
	case p.hasTZ:
		return part{v: p.utc, scale: 6, plus: epoch2000}
	case p.isDate:
		return part{v: p.day*86400 + epoch2000/1000000, scale: 0}
	}
	return part{v: p.local, scale: 6, plus: epoch2000}
}

func (p partSource) dateField(unit string) (part, bool, error) {
	y, m, d := types.CivilFromDays(p.day)
	whole := func(v int) (part, bool, error) { return part{v: int64(v), scale: 0}, true, nil }
	switch unit {
	case "day":
		return whole(d)
	case "month":
		return whole(m)
	case "quarter":
		return whole((m-1)/3 + 1)
	case "week":
		_, w := isoWeek(p.day)
		return whole(w)
	case "isoyear":
		iy, _ := isoWeek(p.day)
		return whole(shiftBC(iy))
	case "year":
		return whole(shiftBC(y))
	case "decade":
		return whole(floorDiv(y, 10))
	case "century":
		return whole(centuries(y, 100))
	case "millennium":
		return whole(centuries(y, 1000))
	case "dow":
		return whole(types.Weekday(p.day))
	case "isodow":
		return whole((types.Weekday(p.day)+6)%7 + 1)
	case "doy":
		return whole(int(p.day-types.DaysFromCivil(y, 1, 1)) + 1)
	case "julian":
		return p.julian()
	}
	return part{}, false, nil
}

// julian is the Julian day; a timestamp's has the time of day as a fraction.
func (p partSource) julian() (part, bool, error) {
	jd := p.day + 2451545
	if p.isDate || p.micros == 0 && p.isDate {
		return part{v: jd, scale: 0}, true, nil
	}
	n, err := types.NumericFromInt(p.micros).Div(types.NumericFromInt(types.MicrosPerDay))
	if err != nil {
		return part{}, false, err
	}
	s := types.NumericFromInt(jd).Add(n)
	return part{num: &s}, true, nil
}

// shiftBC turns the astronomical year into one without a year zero.
func shiftBC(y int) int {
	if y <= 0 {
		return y - 1
	}
	return y
}

func centuries(y, n int) int {
	if y > 0 {
		return (y + n - 1) / n
	}
	return -((n - 1 - (y - 1)) / n)
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// isoWeek returns the ISO 8601 year and week of a day.
func isoWeek(day int64) (year, week int) {
	t := time.Unix((day+10957)*86400, 0).UTC()
	return t.ISOWeek()
}

func extractInterval(c *Call, float bool) error {
	v, unit := c.Interval(1), unitName(c.Str(0))
	us := v.Micros
	var r part
	switch unit {
	case "microseconds":
		r = part{v: us % types.MicrosPerMinute, scale: 0}
	case "milliseconds":
		r = part{v: us % types.MicrosPerMinute, scale: 3}
	case "second":
		r = part{v: us % types.MicrosPerMinute, scale: 6}
	case "minute":
		r = part{v: us / types.MicrosPerMinute % 60, scale: 0}
	case "hour":
		r = part{v: us / types.MicrosPerHour, scale: 0}
	case "day":
		r = part{v: int64(v.Days), scale: 0}
	case "month":
		r = part{v: int64(v.Months % 12), scale: 0}
	case "quarter":
		r = part{v: int64(v.Months%12/3 + 1), scale: 0}
	case "year":
		r = part{v: int64(v.Months / 12), scale: 0}
	case "decade":
		r = part{v: int64(v.Months / 120), scale: 0}
	case "century":
		r = part{v: int64(v.Months / 1200), scale: 0}
	case "millennium":
		r = part{v: int64(v.Months / 12000), scale: 0}
	case "epoch":
		return intervalEpoch(c, v, float)
	default:
		return unitError(c.Str(0), unit, "interval")
	}
	return retPart(c, r, float)
}

// intervalEpoch counts years of 365.25 days and months of 30.
func intervalEpoch(c *Call, v types.Interval, float bool) error {
	secs := int64(v.Months/12)*31557600 + int64(v.Months%12)*30*86400 + int64(v.Days)*86400
	n := types.NumericFromInt(secs).Mul(types.NumericFromInt(1000000)).Add(types.NumericFromInt(v.Micros))
	n = n.Mul(types.Numeric{Coef: 1, Scale: 6})
	if float {
		return c.RetFloat(n.Float64())
	}
	return c.RetNum(n)
}

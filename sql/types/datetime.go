package types

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones work where the system has no database of them
)

// The extreme dates and timestamps stand for the infinities.
const (
	DateInfinity     = math.MaxInt32
	DateNegInfinity  = math.MinInt32
	TimeInfinity     = math.MaxInt64
	TimeNegInfinity  = math.MinInt64
	MicrosPerSecond  = 1000000
	MicrosPerMinute  = 60 * MicrosPerSecond
	MicrosPerHour    = 60 * MicrosPerMinute
	MicrosPerDay     = 24 * MicrosPerHour
	unixToPgDays     = 10957
	unixToPgSeconds  = unixToPgDays * 86400
	minDate          = -2451545            // Julian day 0
	endDate          = 2145031949          // after 5874897-12-31
	minTimestamp     = -211813488000000000 // 4714-11-24 BC
	endTimestamp     = 9223371331200000000 // 294277-01-01
	julianOf2000     = 2451545
	maxTimeOfDay     = MicrosPerDay
	maxZoneDisp      = 15*3600 + 59*60 + 59
	secondsPerDay    = 86400
	daysIn400Years   = 146097
	daysTo2000March1 = 60
)

// DaysFromCivil returns the day number (2000-01-01 is 0) of a proleptic
// Gregorian date; year 0 is 1 BC.
func DaysFromCivil(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	y -= 2000
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	return int64(era)*daysIn400Years + int64(yoe*365+yoe/4-yoe/100+doy) + daysTo2000March1
}

// CivilFromDays is the inverse of DaysFromCivil.
func CivilFromDays(days int64) (y, m, d int) {
	days -= daysTo2000March1
	era := days / daysIn400Years
	if days%daysIn400Years < 0 {
		era--
	}
	doe := int(days - era*daysIn400Years)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	y = int(era)*400 + yoe + 2000
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// IsLeap reports whether a year has 366 days.
func IsLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// DaysInMonth returns the length of a month.
func DaysInMonth(y, m int) int {
	if m == 2 && IsLeap(y) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
}

// SplitTimestamp returns the day number and the microseconds within the day.
func SplitTimestamp(ts int64) (day, micros int64) {
	day, micros = ts/MicrosPerDay, ts%MicrosPerDay
	if micros < 0 {
		day--
		micros += MicrosPerDay
	}
	return day, micros
}

// ZoneOffset returns the seconds east of UTC, and the abbreviation, that a zone
// has at a timestamp in UTC.
func ZoneOffset(ts int64, loc *time.Location) (offset int, abbrev string) {
	if loc == time.UTC {
		return 0, "UTC"
	}
	sec := ts / MicrosPerSecond
	if ts%MicrosPerSecond < 0 {
		sec--
	}
	abbrev, offset = time.Unix(sec+unixToPgSeconds, 0).In(loc).Zone()
	return offset, abbrev
}

// ToLocal turns a timestamp in UTC into the zone's wall clock.
func ToLocal(ts int64, loc *time.Location) int64 {
	off, _ := ZoneOffset(ts, loc)
	return ts + int64(off)*MicrosPerSecond
}

// ToUTC turns a wall-clock timestamp of a zone into UTC. A time that a clock
// change skipped is taken by the offset before it, a doubled one by the later.
func ToUTC(local int64, loc *time.Location) int64 {
	if loc == time.UTC {
		return local
	}
	before, _ := ZoneOffset(local-MicrosPerDay, loc)
	after, _ := ZoneOffset(local+MicrosPerDay, loc)
	if before == after {
		return local - int64(before)*MicrosPerSecond
	}
	u1, u2 := local-int64(before)*MicrosPerSecond, local-int64(after)*MicrosPerSecond
	o1, _ := ZoneOffset(u1, loc)
	o2, _ := ZoneOffset(u2, loc)
	if o2 == after {
		return u2
	}
	_ = o1
	return u1
}

// IsInfinite reports whether a timestamp is an infinity.
func IsInfinite(ts int64) bool { return ts == TimeInfinity || ts == TimeNegInfinity }

// ValidTimestamp reports whether a finite timestamp is in range.
func ValidTimestamp(ts int64) bool { return ts >= minTimestamp && ts < endTimestamp }

// ValidDate reports whether a finite date is in range.
func ValidDate(d int64) bool { return d >= minDate && d < endDate }

func appendPad(b []byte, v, width int) []byte {
	var buf [20]byte
	s := strconv.AppendInt(buf[:0], int64(v), 10)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

// AppendDate appends a date in the session's style.
func AppendDate(b []byte, v int64, st *Settings) []byte {
	if v == DateInfinity {
		return append(b, "infinity"...)
	}
	if v == DateNegInfinity {
		return append(b, "-infinity"...)
	}
	y, m, d := CivilFromDays(v)
	bc := y <= 0
	if bc {
		y = 1 - y
	}
	b = appendYMD(b, y, m, d, st, '-')
	if bc {
		b = append(b, " BC"...)
	}
	return b
}

func appendYMD(b []byte, y, m, d int, st *Settings, pgSep byte) []byte {
	style, order := DateISO, OrderMDY
	if st != nil {
		style, order = st.DateStyle, st.DateOrder
	}
	sep := byte('/')
	switch style {
	case DateISO:
		b = append(appendPad(b, y, 4), '-')
		b = append(appendPad(b, m, 2), '-')
		return appendPad(b, d, 2)
	case DateGerman:
		b = append(appendPad(b, d, 2), '.')
		b = append(appendPad(b, m, 2), '.')
		return appendPad(b, y, 4)
	case DatePostgres:
		sep = pgSep
	}
	if order == OrderDMY {
		m, d = d, m
	}
	if order == OrderYMD && style == DatePostgres {
		b = append(appendPad(b, y, 4), sep)
		b = append(appendPad(b, m, 2), sep)
		return appendPad(b, d, 2)
	}
	b = append(appendPad(b, m, 2), sep)
	b = append(appendPad(b, d, 2), sep)
	return appendPad(b, y, 4)
}

// appendTimeOfDay appends HH:MM:SS[.ffffff].
func appendTimeOfDay(b []byte, us int64) []byte {
	h := us / MicrosPerHour
	m := us / MicrosPerMinute % 60
	b = appendPad(b, int(h), 2)
	b = append(b, ':', byte('0'+m/10), byte('0'+m%10), ':')
	return appendSeconds(b, us%MicrosPerMinute, 2)
}

// appendSeconds appends seconds with as many decimals as they need.
func appendSeconds(b []byte, us int64, width int) []byte {
	b = appendPad(b, int(us/MicrosPerSecond), width)
	f := us % MicrosPerSecond
	if f == 0 {
		return b
	}
	b = append(b, '.')
	for div := int64(100000); f > 0; div /= 10 {
		b = append(b, byte('0'+f/div))
		f %= div
	}
	return b
}

// AppendTimestamp appends a timestamp without time zone.
func AppendTimestamp(b []byte, v int64, st *Settings) []byte {
	if out, ok := appendInfinity(b, v); ok {
		return out
	}
	return appendLocal(b, v, st, "", 0, false)
}

// AppendTimestampTZ appends a timestamp with time zone in the session's zone.
func AppendTimestampTZ(b []byte, v int64, st *Settings) []byte {
	if out, ok := appendInfinity(b, v); ok {
		return out
	}
	off, abbrev := ZoneOffset(v, st.Loc())
	return appendLocal(b, v+int64(off)*MicrosPerSecond, st, abbrev, off, true)
}

func appendInfinity(b []byte, v int64) ([]byte, bool) {
	switch v {
	case TimeInfinity:
		return append(b, "infinity"...), true
	case TimeNegInfinity:
		return append(b, "-infinity"...), true
	}
	return b, false
}

var dayAbbrevs = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
var monthAbbrevs = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

// Weekday returns 0 for Sunday.
func Weekday(day int64) int { return int(((day+6)%7 + 7) % 7) }

func appendLocal(b []byte, v int64, st *Settings, abbrev string, off int, zone bool) []byte {
	day, us := SplitTimestamp(v)
	y, m, d := CivilFromDays(day)
	bc := y <= 0
	if bc {
		y = 1 - y
	}
	style := DateISO
	if st != nil {
		style = st.DateStyle
	}
	if style == DatePostgres {
		b = append(append(b, dayAbbrevs[Weekday(day)]...), ' ')
		if st.DateOrder == OrderDMY {
			b = append(append(appendPad(b, d, 2), ' '), monthAbbrevs[m-1]...)
		} else {
			b = append(append(append(b, monthAbbrevs[m-1]...), ' '), appendPad(nil, d, 2)...)
		}
		b = append(appendTimeOfDay(append(b, ' '), us), ' ')
		b = appendPad(b, y, 4)
	} else {
		b = append(appendYMD(b, y, m, d, st, '/'), ' ')
		b = appendTimeOfDay(b, us)
	}
	if zone {
		b = appendZone(b, style, abbrev, off)
	}
	if bc {
		b = append(b, " BC"...)
	}
	return b
}

func appendZone(b []byte, style DateStyle, abbrev string, off int) []byte {
	if style != DateISO {
		if abbrev != "" && abbrev[0] != '+' && abbrev[0] != '-' {
			return append(append(b, ' '), abbrev...)
		}
		b = append(b, ' ')
	}
	return AppendZoneOffset(b, off)
}

// AppendZoneOffset appends +HH[:MM[:SS]] for seconds east of UTC.
func AppendZoneOffset(b []byte, off int) []byte {
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	b = appendPad(append(b, sign), off/3600, 2)
	if off%3600 != 0 {
		b = appendPad(append(b, ':'), off/60%60, 2)
		if off%60 != 0 {
			b = appendPad(append(b, ':'), off%60, 2)
		}
	}
	return b
}

// TimeTZ is a time of day in a zone given by seconds west of UTC.
type TimeTZ struct {
	Micros int64
	West   int32
}

// DecodeTimeTZ reads the flat image.
func DecodeTimeTZ(b []byte) TimeTZ {
	if len(b) != 12 {
		return TimeTZ{}
	}
	return TimeTZ{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
}

// Datum returns t as a datum.
func (t TimeTZ) Datum() Datum {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(t.Micros))
	binary.BigEndian.PutUint32(b[8:], uint32(t.West))
	return NewBytes(b[:])
}

func appendTimeTZ(b, v []byte) []byte {
	t := DecodeTimeTZ(v)
	return AppendZoneOffset(appendTimeOfDay(b, t.Micros), -int(t.West))
}

// LoadZone finds a time zone by name, abbreviation or offset, as SET TIME ZONE
// and AT TIME ZONE accept it.
func LoadZone(name string) (*time.Location, error) {
	n := trimSpace(name)
	if strings.EqualFold(n, "utc") {
		return time.UTC, nil
	}
	if a, ok := zoneAbbrevs()[strings.ToLower(n)]; ok {
		return a.location(n), nil
	}
	if off, ok := posixOffset(n); ok {
		return time.FixedZone(n, off), nil
	}
	if loc, ok := findLocation(n); ok {
		return loc, nil
	}
	if loc, ok := posixZone(n); ok {
		return loc, nil
	}
	return nil, Errorf(CodeInvalidParameterValue, "time zone \"%s\" not recognized", name)
}

// findLocation looks a zone up whatever the case of its name.
func findLocation(n string) (*time.Location, bool) {
	if n == "" || strings.EqualFold(n, "local") || strings.Contains(n, "..") {
		return nil, false
	}
	if loc, err := time.LoadLocation(n); err == nil {
		return loc, true
	}
	parts := strings.FieldsFunc(strings.ToLower(n), func(r rune) bool { return r == '/' })
	for i, p := range parts {
		words := strings.Split(p, "_")
		for j, w := range words {
			if w != "" && w != "of" && w != "es" {
				words[j] = strings.ToUpper(w[:1]) + w[1:]
			}
		}
		parts[i] = strings.Join(words, "_")
	}
	for _, c := range []string{strings.Join(parts, "/"), strings.ToUpper(n)} {
		if loc, err := time.LoadLocation(c); err == nil {
			return loc, true
		}
	}
	return nil, false
}

// posixOffset reads a bare offset such as -5 or +05:30. As in POSIX, a name
// without a letter counts west, but SET TIME ZONE -5 means east of UTC; callers
// that want the former negate.
func posixOffset(s string) (int, bool) {
	if s == "" || s[0] != '+' && s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	sign := -1 // a string such as '+05' counts west
	t := s
	if t[0] == '+' || t[0] == '-' {
		if t[0] == '-' {
			sign = 1
		}
		t = t[1:]
	}
	parts := strings.Split(t, ":")
	off, unit := 0, 3600
	for _, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || len(parts) > 3 {
			return 0, false
		}
		off += v * unit
		unit /= 60
	}
	return sign * off, true
}

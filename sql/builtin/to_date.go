package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// readClock collects the fields that to_date and to_timestamp read.
type readClock struct {
	given string
	s     string // given, as far as it is read in another form
	pos   int
	f     map[string]int64 // fields by upper-case pattern; 0 is one that is not there
	clock int              // of 12 hours or 24
	pm    bool
	bc    bool
	hasTZ bool
	west  bool
	ff    int    // digits of FFn, whose precision the result has; 0 without one
	short bool   // the year has no more than its last two digits
	mode  string // "ISO" or "Gregorian", whichever fields of dates are used
}

// sameField are the patterns that share a field with another.
var sameField = map[string]string{"HH12": "HH", "HH24": "HH", "SSSSS": "SSSS", "YYYY": "YEAR", "YYY": "YEAR", "YY": "YEAR", "Y": "YEAR",
	"IYYY": "YEAR", "IYY": "YEAR", "IY": "YEAR", "I": "YEAR", "IW": "WW", "ID": "D", "IDDD": "DDD",
	"FF1": "US", "FF2": "US", "FF3": "US", "FF4": "US", "FF5": "US", "FF6": "US"}

// dateModes are the fields that belong to one way to write dates.
var dateModes = map[string]string{"IYYY": "ISO", "IYY": "ISO", "IY": "ISO", "I": "ISO", "IDDD": "ISO", "ID": "ISO", "IW": "ISO",
	"D": "Gregorian", "DD": "Gregorian", "DDD": "Gregorian", "MM": "Gregorian", "MON": "Gregorian", "MONTH": "Gregorian", "RM": "Gregorian",
	"W": "Gregorian", "WW": "Gregorian", "Y": "Gregorian", "YY": "Gregorian", "YYY": "Gregorian", "YYYY": "Gregorian", "Y,YYY": "Gregorian"}

// put enters a field; one that is there must be the same.
func (r *readClock) put(key, given string, v int64) error {
	if old := r.f[key]; old != 0 && old != v {
		return types.Errorf(types.CodeInvalidDatetimeFormat, "conflicting values for \"%s\" field in formatting string", given).
			WithDetail("This value contradicts a previous setting for the same field type.")
	}
	r.f[key] = v
	return nil
}

func readError(what, s string) *types.Error {
	return types.Errorf(types.CodeInvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", s, what)
}

func (r *readClock) skipSpace() {
	for r.pos < len(r.s) && strings.IndexByte(" \t\n", r.s[r.pos]) >= 0 {
		r.pos++
	}
}

// maxDigits is how many digits a pattern takes when more follow.
var maxDigits = map[string]int{"HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "MS": 3, "US": 6, "SSSS": 5, "SSSSS": 5,
	"YYYY": 4, "YYY": 3, "YY": 2, "Y": 1, "IYYY": 4, "IYY": 3, "IY": 2, "I": 1, "MM": 2, "DD": 2, "DDD": 3, "IDDD": 3,
	"D": 1, "ID": 1, "W": 1, "WW": 2, "IW": 2, "CC": 2, "Q": 1, "J": 7, "TZH": 2, "TZM": 2,
	"FF1": 1, "FF2": 2, "FF3": 3, "FF4": 4, "FF5": 5, "FF6": 6}

func isDigitByte(b byte) bool { return b >= '0' && b <= '9' }

// number reads the digits of a pattern; next says that another number follows
// at once, so that the width counts.
func (r *readClock) number(key string, exact bool) (int64, int, error) {
	r.skipSpace()
	i := r.pos
	if i < len(r.s) && (r.s[i] == '-' || r.s[i] == '+') && key != "TZM" {
		i++
	}
	start := i
	for i < len(r.s) && isDigitByte(r.s[i]) && (!exact || i-start < maxDigits[key]) {
		i++
	}
	if i == start {
		end := min(len(r.s), r.pos+max(1, maxDigits[key]))
		e := readError(key, r.s[r.pos:end])
		e.Detail = "Value must be an integer."
		return 0, 0, e
	}
	v, err := strconv.ParseInt(r.s[r.pos:i], 10, 32)
	if err != nil {
		return 0, 0, types.Errorf(types.CodeDatetimeFieldOverflow, "value for \"%s\" in source string is out of range", key)
	}
	n := i - start
	r.pos = i
	return v, n, nil
}

func (r *readClock) word(key, given string, words []string, short bool) error {
	rest := strings.ToLower(r.s[r.pos:])
	for i, w := range words {
		w = strings.ToLower(w)
		if short {
			w = w[:3]
		}
		if strings.HasPrefix(rest, w) {
			r.pos += len(w)
			return r.put(key, given, int64(i)+1)
		}
	}
	return r.noWord(given)
}

// noWord is the error of a word that is none of those allowed.
func (r *readClock) noWord(given string) error {
	word := r.s[r.pos:]
	if i := strings.IndexAny(word, " \t\n\r\v\f"); i >= 0 {
		word = word[:i]
	}
	return readError(given, word).WithDetail("The given value did not match any of the allowed values for this field.")
}

func (r *readClock) read(nodes []templateNode) error {
	for i, n := range nodes {
		if r.pos >= len(r.s) {
			return nil
		}
		if n.key == "" {
			next := ""
			if i+1 < len(nodes) {
				next = strings.ToUpper(nodes[i+1].key)
			}
			r.literal(n.literal, next)
			continue
		}
		exact := i+1 < len(nodes) && nodes[i+1].key != "" && maxDigits[strings.ToUpper(nodes[i+1].key)] > 0
		if err := r.pattern(strings.ToUpper(n.key), n, exact); err != nil {
			return err
		}
	}
	return nil
}

// literal passes over text between patterns: any separator matches any other.
func (r *readClock) literal(lit, next string) {
	c := r.s[r.pos]
	l := lit[0]
	letter := l >= 'a' && l <= 'z' || l >= 'A' && l <= 'Z'
	switch {
	case l == ' ':
		r.skipSpace()
		if r.pos < len(r.s) && next != "TZH" && strings.IndexByte("-/,.:;'", r.s[r.pos]) >= 0 {
			r.pos++
		}
	case letter:
		r.pos += min(len(lit), len(r.s)-r.pos)
	case !isDigitByte(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '+',
		(c == '-' || c == '+') && (l == c || strings.IndexByte("-/,.:;", l) >= 0):
		r.pos++
		r.skipSpace()
	}
}

func (r *readClock) pattern(key string, n templateNode, exact bool) error {
	if m := dateModes[key]; m != "" {
		if r.mode != "" && r.mode != m {
			return types.Errorf(types.CodeInvalidDatetimeFormat, "invalid combination of date conventions").
				WithHint("Do not mix Gregorian and ISO week date conventions in a formatting template.")
		}
		r.mode = m
	}
	switch key {
	case "MONTH":
		return r.word("MM", n.key, fullMonths[:], false)
	case "MON":
		return r.word("MM", n.key, fullMonths[:], true)
	case "DAY":
		return r.word("D", n.key, fullDays[:], false)
	case "DY":
		return r.word("D", n.key, fullDays[:], true)
	case "RM":
		return r.roman()
	case "AM", "PM":
		return r.half(n.key, "am", "pm", &r.pm)
	case "A.M.", "P.M.":
		return r.half(n.key, "a.m.", "p.m.", &r.pm)
	case "AD", "BC":
		return r.half(n.key, "ad", "bc", &r.bc)
	case "A.D.", "B.C.":
		return r.half(n.key, "a.d.", "b.c.", &r.bc)
	case "TZ", "OF":
		return types.Errorf(types.CodeFeatureNotSupported, "formatting field \"%s\" is only supported in to_char", n.key)
	case "FX":
		return nil
	case "Y,YYY":
		rest := strings.Replace(r.s[r.pos:], ",", "", 1)
		r.s, r.pos, key = rest, 0, "YYYY"
	}
	v, digits, err := r.number(key, exact)
	if err != nil {
		return err
	}
	if err := r.store(key, n.key, v, digits); err != nil {
		return err
	}
	if n.th != "" {
		r.pos = min(len(r.s), r.pos+2)
	}
	return nil
}

func (r *readClock) roman() error {
	rest := strings.ToUpper(r.s[r.pos:])
	best := -1
	for i, w := range romanMonths {
		if strings.HasPrefix(rest, w) && (best < 0 || len(w) > len(romanMonths[best])) {
			best = i
		}
	}
	if best < 0 {
		return r.noWord("RM")
	}
	r.pos += len(romanMonths[best])
	return r.put("MM", "RM", int64(best)+1)
}

// half reads which half of the day or of the calendar it is.
func (r *readClock) half(given, first, second string, isSecond *bool) error {
	rest := r.s[r.pos:min(len(r.s), r.pos+len(first))]
	switch {
	case strings.EqualFold(rest, first):
		*isSecond = false
	case strings.EqualFold(rest, second):
		*isSecond = true
	default:
		return r.noWord(given)
	}
	if isSecond == &r.pm {
		r.clock = 12
	}
	r.pos += len(first)
	return nil
}

func (r *readClock) store(key, given string, v int64, digits int) error {
	switch key {
	case "Q": // it does not say which day
		return nil
	case "TZH":
		r.hasTZ, r.west, v = true, v < 0, max(v, -v)
	case "TZM":
		r.hasTZ = true
	}
	field := key
	if f, ok := sameField[key]; ok {
		field = f
	}
	if err := r.put(field, given, v); err != nil {
		return err
	}
	switch key {
	case "HH12", "HH":
		r.clock = 12
	case "MS": // the digits are a fraction: 12.3 with MS is 300 milliseconds
		r.f[field] = v * int64(math.Pow10(max(0, 3-digits)))
	case "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		r.f[field] = v * int64(math.Pow10(max(0, 6-digits)))
		if key != "US" {
			r.ff = int(key[2] - '0')
		}
	case "ID": // D counts from Sunday
		if r.f[field] = v + 1; v >= 7 {
			r.f[field] = 1
		}
	case "YY", "Y", "IY", "I":
		r.short = true
		fallthrough
	case "YYY", "IYY":
		if digits < 4 {
			r.f[field] = nearYear(v)
		}
	}
	return nil
}

// nearYear completes a short year to the one nearest to 2020.
func nearYear(v int64) int64 {
	switch {
	case v < 70:
		return v + 2000
	case v < 100:
		return v + 1900
	case v < 520:
		return v + 2000
	case v < 1000:
		return v + 1000
	}
	return v
}

// east is the offset of the zone in seconds.
func (r *readClock) east() (int64, error) {
	h, m := r.f["TZH"], r.f["TZM"]
	if h > 15 || m > 59 {
		return 0, types.Errorf(types.CodeInvalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", r.given)
	}
	if r.west {
		return -h*3600 - m*60, nil
	}
	return h*3600 + m*60, nil
}

func (r *readClock) outOfRange() error {
	return types.Errorf(types.CodeDatetimeFieldOverflow, "date/time field value out of range: \"%s\"", r.given)
}

// time is the time of day in microseconds; ok is false if there is no such time.
func (r *readClock) time() (micros int64, ok bool, err error) {
	x := r.f["SSSS"]
	h, m, s := x/3600, x/60%60, x%60
	for _, f := range []struct {
		name string
		to   *int64
	}{{"HH", &h}, {"MI", &m}, {"SS", &s}} {
		if v := r.f[f.name]; v != 0 {
			*f.to = v
		}
	}
	if r.clock == 12 {
		if h < 1 || h > 12 {
			return 0, false, types.Errorf(types.CodeInvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", h).
				WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
		}
		if h %= 12; r.pm {
			h += 12
		}
	}
	us := r.f["MS"]*1000 + r.f["US"]
	ok = h >= 0 && h < 24 && m >= 0 && m < 60 && s >= 0 && s < 60 && us >= 0 && us < types.MicrosPerSecond
	return h*types.MicrosPerHour + m*types.MicrosPerMinute + s*types.MicrosPerSecond + us, ok, nil
}

// year is the year, counted so that 0 is 1 BC.
func (r *readClock) year() int64 {
	y, cc := r.f["YEAR"], r.f["CC"]
	if r.bc {
		cc = -cc
	}
	switch {
	case y != 0 && cc != 0 && r.short:
		switch y %= 100; {
		case y == 0 && cc >= 0:
			return cc * 100
		case y == 0:
			return cc*100 + 1
		case cc < 0:
			return (cc+1)*100 - y + 1
		}
		return (cc-1)*100 + y
	case y != 0:
		if r.bc {
			y = -y
		}
		if y < 0 {
			y++ // there is no year 0
		}
		return y
	case cc > 0: // the first year of the century
		return (cc-1)*100 + 1
	case cc < 0:
		return cc*100 + 1
	}
	return 0
}

// date is the day, counted from 2000-01-01.
func (r *readClock) date() (int64, error) {
	// What is checked is what was given: without a year any day of a month will do.
	y, m, d := int(r.year()), 1, 1
	hasYear, hasMonth, hasDay := r.f["YEAR"] != 0 || r.f["CC"] != 0, false, false
	set := func(day int64) {
		y, m, d = types.CivilFromDays(day)
		hasYear, hasMonth, hasDay = true, true, true
	}
	if j := r.f["J"]; j != 0 {
		set(j - 2451545)
	}
	ofYear, ofMonth := r.f["DDD"], r.f["DD"]
	if w := r.f["WW"]; w != 0 && r.mode == "ISO" {
		weekday := (r.f["D"] + 5) % 7 // from Monday, as 0
		if r.f["D"] == 0 {
			weekday = 0
		}
		set(isoMonday(y) + (w-1)*7 + weekday)
	} else if w != 0 {
		ofYear = (w-1)*7 + 1
	}
	if w := r.f["W"]; w != 0 {
		ofMonth = (w-1)*7 + 1
	}
	if ofMonth != 0 {
		d, hasDay = int(ofMonth), true
	}
	if v := r.f["MM"]; v != 0 {
		m, hasMonth = int(v), true
	}
	if ofYear != 0 && (m <= 1 || d <= 1) {
		switch {
		case y == 0 && !r.bc:
			return 0, types.Errorf(types.CodeInvalidDatetimeFormat, "cannot calculate day of year without year information")
		case r.mode == "ISO":
			set(isoMonday(y) + ofYear - 1)
		case ofYear < 1 || ofYear > 365 && (ofYear > 366 || types.DaysInMonth(y, 2) < 29):
			return 0, r.outOfRange()
		default:
			_, month, day := types.CivilFromDays(types.DaysFromCivil(y, 1, 1) + ofYear - 1)
			if m <= 1 {
				m = month
			}
			if d <= 1 {
				d = day
			}
			hasMonth, hasDay = true, true
		}
	}
	if hasMonth && (m < 1 || m > 12) || hasDay && (d < 1 || d > 31) || hasYear && hasMonth && hasDay && d > types.DaysInMonth(y, m) {
		return 0, r.outOfRange()
	}
	return types.DaysFromCivil(y, m, d), nil
}

// isoMonday is the first day of a year that consists of weeks.
func isoMonday(y int) int64 {
	jan4 := types.DaysFromCivil(y, 1, 4)
	return jan4 - int64((types.Weekday(jan4)+6)%7)
}

// Days on which the ranges of dates and timestamps begin and end.
const (
	firstDay         = -2451545
	lastDay          = 2145031948
	lastTimestampDay = 106751982
)

// dateAndTime are the day and the time of day that were read.
func (r *readClock) dateAndTime() (day, micros int64, err error) {
	micros, ok, err := r.time()
	if err != nil {
		return 0, 0, err
	}
	if day, err = r.date(); err == nil && !ok {
		err = r.outOfRange()
	}
	return day, micros, err
}

// readBy reads a text by a template.
func readBy(c *Call) (*readClock, error) {
	text := strings.TrimLeft(c.Str(0), " \t\n")
	r := &readClock{given: c.Str(0), s: text, f: map[string]int64{}}
	return r, r.read(template(c, 1))
}

func init() {
	row("to_date", func(c *Call) error {
		r, err := readBy(c)
		if err != nil {
			return err
		}
		day, _, err := r.dateAndTime()
		if err != nil {
			return err
		}
		if _, err := r.east(); err != nil {
			return err
		}
		if day < firstDay || day > lastDay {
			return types.Errorf(types.CodeDatetimeFieldOverflow, "date out of range: \"%s\"", r.given)
		}
		return c.RetInt(day)
	})
	row("to_timestamp", func(c *Call) error {
		r, err := readBy(c)
		if err != nil {
			return err
		}
		day, micros, err := r.dateAndTime()
		if err != nil {
			return err
		}
		east, err := r.east()
		if err != nil {
			return err
		}
		if day < firstDay || day > lastTimestampDay {
			return types.Errorf(types.CodeDatetimeFieldOverflow, "timestamp out of range")
		}
		ts := day*types.MicrosPerDay + micros
		if r.ff > 0 {
			unit := int64(math.Pow10(6 - r.ff))
			ts = int64(floorDiv(int(ts+unit/2), int(unit))) * unit
		}
		if r.hasTZ {
			return c.RetInt(ts - east*types.MicrosPerSecond)
		}
		return c.RetInt(types.ToUTC(ts, c.loc()))
	})
}

package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// readClock collects the fields that to_date and to_timestamp read.
type readClock struct {
	s     string
	pos   int
	f     map[string]int64 // fields by upper-case pattern
	us    int64
	pm    bool
	am    bool
	bc    bool
	east  int64
	hasTZ bool
	ff    int    // digits of FFn, whose precision the result has; 0 without one
	mode  string // "ISO" or "Gregorian", whichever fields of dates are used
}

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

func readError(what, s string) error {
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
		e := readError(key, r.s[r.pos:end]).(*types.Error)
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
	end := r.pos
	for end < len(r.s) && r.s[end] != ' ' {
		end++
	}
	e := readError(given, r.s[r.pos:end]).(*types.Error)
	e.Detail = "The given value did not match any of the allowed values for this field."
	return e
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
		return r.word("DAYNAME", n.key, fullDays[:], false)
	case "DY":
		return r.word("DAYNAME", n.key, fullDays[:], true)
	case "RM":
		return r.roman()
	case "AM", "PM", "A.M.", "P.M.":
		rest := strings.ToLower(strings.ReplaceAll(r.s[r.pos:], ".", ""))
		if !strings.HasPrefix(rest, "am") && !strings.HasPrefix(rest, "pm") {
			return readError(n.key, r.s[r.pos:min(len(r.s), r.pos+len(key))])
		}
		r.am, r.pm = rest[0] == 'a', rest[0] == 'p'
		r.pos += len(key)
		return nil
	case "AD", "BC", "A.D.", "B.C.":
		r.bc = strings.ToLower(r.s[r.pos:r.pos+1]) == "b"
		r.pos = min(len(r.s), r.pos+len(key))
		return nil
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
		return readError("RM", r.s[r.pos:])
	}
	r.pos += len(romanMonths[best])
	return r.put("MM", "RM", int64(best)+1)
}

func (r *readClock) store(key, given string, v int64, digits int) error {
	if strings.HasPrefix(key, "FF") {
		r.ff = int(key[2] - '0')
	}
	switch key {
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		// The digits are a fraction: 12.3 with MS is 300 milliseconds.
		r.us = int64(math.Round(float64(v) * math.Pow10(6-digits)))
	case "HH12", "HH":
		return r.put("HH12", given, v)
	case "SSSSS":
		return r.put("SSSS", given, v)
	case "YYYY", "YYY", "YY", "Y":
		if digits < 4 && key != "YYYY" {
			v = nearYear(v, digits)
		}
		return r.put("YEAR", given, v)
	case "IYYY", "IYY", "IY", "I":
		if digits < 4 && key != "IYYY" {
			v = nearYear(v, digits)
		}
		return r.put("ISOYEAR", given, v)
	case "TZH":
		r.hasTZ = true
		r.east += v * 3600
	case "TZM":
		if r.east < 0 {
			v = -v
		}
		r.east += v * 60
	default:
		return r.put(key, given, v)
	}
	return nil
}

// nearYear completes a short year to the one nearest to 2020.
func nearYear(v int64, digits int) int64 {
	switch digits {
	case 1, 2:
		if v < 70 {
			return v + 2000
		}
		return v + 1900
	case 3:
		if v < 520 {
			return v + 2000
		}
		return v + 1000
	}
	return v
}

// resolve turns the fields into a wall-clock timestamp.
func (r *readClock) resolve() (int64, error) {
	day, err := r.date()
	if err != nil {
		return 0, err
	}
	h, has12 := r.f["HH24"], false
	if v, ok := r.f["HH12"]; ok {
		h, has12 = v, true
	}
	if has12 || r.am || r.pm {
		if h < 1 || h > 12 {
			return 0, types.Errorf(types.CodeInvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", h).
				WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
		}
		if r.pm && h < 12 {
			h += 12
		} else if r.am && h == 12 {
			h = 0
		}
	}
	m, s := r.f["MI"], r.f["SS"]
	if x, ok := r.f["SSSS"]; ok {
		h, m, s = x/3600, x/60%60, x%60
	}
	if h > 23 || m > 59 || s > 59 || h < 0 || m < 0 || s < 0 {
		return 0, types.Errorf(types.CodeDatetimeFieldOverflow, "date/time field value out of range: \"%s\"", r.s)
	}
	return day*types.MicrosPerDay + h*types.MicrosPerHour + m*types.MicrosPerMinute + s*types.MicrosPerSecond + r.us, nil
}

func (r *readClock) date() (int64, error) {
	bad := types.Errorf(types.CodeDatetimeFieldOverflow, "date/time field value out of range: \"%s\"", r.s)
	if j, ok := r.f["J"]; ok {
		return j - 2451545, nil
	}
	y, haveYear := r.f["YEAR"]
	if cc, ok := r.f["CC"]; ok && !haveYear {
		y = (cc-1)*100 + 1
	}
	if !haveYear && r.f["CC"] == 0 {
		y = 0 // without a year it is 1 BC
	} else {
		if r.bc {
			y = -y
		}
		if y < 0 {
			y++ // there is no year 0
		}
	}
	if iy, ok := r.f["ISOYEAR"]; ok {
		jan4 := types.DaysFromCivil(int(iy), 1, 4)
		monday := jan4 - int64((types.Weekday(jan4)+6)%7)
		if d, ok := r.f["IDDD"]; ok {
			return monday + d - 1, nil
		}
		return monday + (max(r.f["IW"], 1)-1)*7 + max(r.f["ID"], 1) - 1, nil
	}
	if d, ok := r.f["DDD"]; ok {
		if !haveYear {
			return 0, types.Errorf(types.CodeInvalidDatetimeFormat, "cannot calculate day of year without year information")
		}
		if d < 1 || d > 365 && (d > 366 || types.DaysInMonth(int(y), 2) < 29) {
			return 0, bad
		}
		return types.DaysFromCivil(int(y), 1, 1) + d - 1, nil
	}
	m, d := int64(1), int64(1)
	if v, ok := r.f["Q"]; ok {
		m = (v-1)*3 + 1
	}
	if v, ok := r.f["MM"]; ok {
		m = v
	}
	if v, ok := r.f["DD"]; ok {
		d = v
	}
	if w, ok := r.f["WW"]; ok {
		return types.DaysFromCivil(int(y), 1, 1) + (w-1)*7, nil
	}
	if w, ok := r.f["W"]; ok {
		d = (w-1)*7 + 1
	}
	if m < 1 || m > 12 || d < 1 || d > int64(types.DaysInMonth(int(y), int(m))) {
		return 0, bad
	}
	return types.DaysFromCivil(int(y), int(m), int(d)), nil
}

func readBy(c *Call) (*readClock, int64, error) {
	r := &readClock{s: strings.TrimLeft(c.Str(0), " \t\n"), f: map[string]int64{}}
	if err := r.read(template(c, 1)); err != nil {
		return nil, 0, err
	}
	ts, err := r.resolve()
	return r, ts, err
}

func init() {
	row("to_date", func(c *Call) error {
		_, ts, err := readBy(c)
		if err != nil {
			return err
		}
		d, _ := types.SplitTimestamp(ts)
		return c.RetInt(d)
	})
	row("to_timestamp", func(c *Call) error {
		r, ts, err := readBy(c)
		if err != nil {
			return err
		}
		if r.ff > 0 {
			unit := int64(math.Pow10(6 - r.ff))
			ts = int64(floorDiv(int(ts+unit/2), int(unit))) * unit
		}
		if r.hasTZ {
			return c.RetInt(ts - r.east*types.MicrosPerSecond)
		}
		return c.RetInt(types.ToUTC(ts, c.loc()))
	})
}

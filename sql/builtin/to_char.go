package builtin

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

// templateKeys are the patterns of date/time templates; longer ones first where
// one begins another.
var templateKeys = []string{"A.D.", "a.d.", "A.M.", "a.m.", "B.C.", "b.c.", "P.M.", "p.m.",
	"SSSSS", "MONTH", "Month", "month", "IYYY", "Y,YYY", "YYYY", "HH24", "HH12", "SSSS", "IDDD",
	"hh24", "hh12", "yyyy", "iyyy", "y,yyy", "sssss", "ssss", "iddd",
	"DAY", "Day", "day", "DDD", "MON", "Mon", "mon", "IYY", "YYY", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
	"ddd", "iyy", "yyy", "tzh", "tzm", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6",
	"AD", "ad", "AM", "am", "BC", "bc", "CC", "cc", "DD", "dd", "DY", "Dy", "dy", "FX", "fx", "HH", "hh", "ID", "id", "IW", "iw", "IY", "iy",
	"MI", "mi", "MM", "mm", "MS", "ms", "OF", "of", "PM", "pm", "RM", "rm", "SS", "ss", "TZ", "tz", "US", "us", "WW", "ww", "YY", "yy",
	"D", "d", "I", "i", "J", "j", "Q", "q", "W", "w", "Y", "y"}

// templateNode is a pattern with its modifiers, or literal text.
type templateNode struct {
	key     string
	literal string
	fill    bool // FM: no padding
	tm      bool
	th      string // TH or th
}

// parseTemplate takes a date/time template apart.
func parseTemplate(f string) []templateNode {
	var out []templateNode
	for i := 0; i < len(f); {
		n := templateNode{}
		j := i
		for prefixed := true; prefixed; {
			switch {
			case strings.HasPrefix(f[j:], "FM"), strings.HasPrefix(f[j:], "fm"):
				n.fill, j = true, j+2
			case strings.HasPrefix(f[j:], "TM"), strings.HasPrefix(f[j:], "tm"):
				n.tm, j = true, j+2
			default:
				prefixed = false
			}
		}
		for _, k := range templateKeys {
			if strings.HasPrefix(f[j:], k) {
				n.key = k
				break
			}
		}
		if n.key != "" {
			i = j + len(n.key)
			if strings.HasPrefix(f[i:], "TH") || strings.HasPrefix(f[i:], "th") {
				n.th, i = f[i:i+2], i+2
			}
			out = append(out, n)
			continue
		}
		lit, next := templateLiteral(f, i)
		out = append(out, templateNode{literal: lit})
		i = next
	}
	return out
}

// templateLiteral reads a quoted run or one character that is no pattern.
func templateLiteral(f string, i int) (string, int) {
	if f[i] == '"' {
		var b strings.Builder
		for i++; i < len(f) && f[i] != '"'; i++ {
			if f[i] == '\\' && i+1 < len(f) {
				i++
			}
			b.WriteByte(f[i])
		}
		return b.String(), min(i+1, len(f))
	}
	if f[i] == '\\' && i+1 < len(f) && f[i+1] == '"' {
		return `"`, i + 2
	}
	_, w := utf8.DecodeRuneInString(f[i:])
	return f[i : i+w], i + w
}

// clockValue is what a date/time template prints.
type clockValue struct {
	year, month, day int
	dayNo            int64
	hour             int64
	min, sec, us     int
	interval         bool
	east             int
	zone             string
	hasZone          bool
}

var fullMonths = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
var fullDays = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
var romanMonths = [...]string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// likeCase gives a word the case of a pattern: MONTH, Month or month.
func likeCase(word, key string) string {
	switch {
	case key == strings.ToUpper(key):
		return strings.ToUpper(word)
	case key == strings.ToLower(key):
		return strings.ToLower(word)
	}
	return word
}

func ordinal(s, th string) string {
	if th == "" || s == "" {
		return s
	}
	suffix := "th"
	if n := len(s); n < 2 || s[n-2] != '1' {
		switch s[n-1] {
		case '1':
			suffix = "st"
		case '2':
			suffix = "nd"
		case '3':
			suffix = "rd"
		}
	}
	if th == "TH" {
		suffix = strings.ToUpper(suffix)
	}
	return s + suffix
}

func (v *clockValue) number(n templateNode, x int64, width int) string {
	s := strconv.FormatInt(x, 10)
	if !n.fill {
		neg := strings.HasPrefix(s, "-")
		s = strings.TrimPrefix(s, "-")
		for len(s) < width {
			s = "0" + s
		}
		if neg {
			s = "-" + s
		}
	}
	return ordinal(s, n.th)
}

func (v *clockValue) word(n templateNode, w string) string {
	w = likeCase(w, n.key)
	if !n.fill && !n.tm {
		return w + strings.Repeat(" ", 9-len(w))
	}
	return w
}

func (v *clockValue) print(nodes []templateNode) (string, error) {
	var b strings.Builder
	for _, n := range nodes {
		if n.key == "" {
			b.WriteString(n.literal)
			continue
		}
		s, err := v.field(n)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func (v *clockValue) field(n templateNode) (string, error) {
	key := strings.ToUpper(n.key)
	switch key {
	case "HH24":
		return v.number(n, v.hour, 2), nil
	case "HH12", "HH":
		h := v.hour % 12
		if h == 0 && v.hour >= 0 {
			h = 12
		}
		return v.number(n, h, 2), nil
	case "MI":
		return v.number(n, int64(v.min), 2), nil
	case "SS":
		return v.number(n, int64(v.sec), 2), nil
	case "MS", "FF3":
		return v.number(n, int64(v.us/1000), 3), nil
	case "US", "FF6":
		return v.number(n, int64(v.us), 6), nil
	case "FF1":
		return v.number(n, int64(v.us/100000), 1), nil
	case "FF2":
		return v.number(n, int64(v.us/10000), 2), nil
	case "FF4":
		return v.number(n, int64(v.us/100), 4), nil
	case "FF5":
		return v.number(n, int64(v.us/10), 5), nil
	case "SSSS", "SSSSS":
		return ordinal(strconv.FormatInt(v.hour*3600+int64(v.min)*60+int64(v.sec), 10), n.th), nil
	case "AM", "PM", "A.M.", "P.M.":
		w := "AM"
		if h := v.hour % 24; h >= 12 {
			w = "PM"
		}
		if strings.Contains(key, ".") {
			w = w[:1] + "." + w[1:] + "."
		}
		return likeCase(w, n.key), nil
	}
	return v.dateField(n, key)
}

func (v *clockValue) dateField(n templateNode, key string) (string, error) {
	y := v.year
	if y <= 0 && !v.interval {
		y = 1 - y
	}
	switch key {
	case "Y,YYY":
		return ordinal(strconv.Itoa(y/1000)+","+v.number(templateNode{}, int64(y%1000), 3), n.th), nil
	case "YYYY":
		return v.number(n, int64(y), 4), nil
	case "YYY":
		return v.number(n, int64(y%1000), 3), nil
	case "YY":
		return v.number(n, int64(y%100), 2), nil
	case "Y":
		return v.number(n, int64(y%10), 1), nil
	case "CC":
		c := (y-1)/100 + 1
		if v.interval {
			c = y / 100
		} else if v.year <= 0 {
			c = -c
		}
		return v.number(n, int64(c), 2), nil
	case "MM":
		return v.number(n, int64(v.month), 2), nil
	case "DD":
		return v.number(n, int64(v.day), 2), nil
	case "Q":
		if v.month == 0 {
			return "", nil
		}
		return v.number(n, int64(v.month-1)/3+1, 1), nil
	case "RM":
		if v.month == 0 {
			return "", nil
		}
		w := romanMonths[(v.month+11)%12]
		if !n.fill {
			w += strings.Repeat(" ", 4-len(w))
		}
		return likeCase(w, n.key), nil
	case "W":
		return v.number(n, int64(v.day-1)/7+1, 1), nil
	}
	if v.interval {
		return v.intervalField(n, key)
	}
	return v.calendarField(n, key)
}

// intervalField has the patterns that mean nothing for intervals.
func (v *clockValue) intervalField(n templateNode, key string) (string, error) {
	switch key {
	case "DDD":
		d := int64(v.year)*360 + int64(v.month)*30 + int64(v.day)
		return v.number(n, d, 3-int(b2i(d < 0))), nil
	case "J", "WW", "IYYY", "IYY", "IY", "I", "IW", "IDDD", "ID", "D":
		return v.number(n, 0, len(key)), nil
	}
	return "", types.Errorf(types.CodeInvalidDatetimeFormat, "invalid format specification for an interval value").
		WithHint("Intervals are not tied to specific calendar dates.")
}

func (v *clockValue) calendarField(n templateNode, key string) (string, error) {
	iy, iw := isoWeek(v.dayNo)
	if iy <= 0 {
		iy = 1 - iy
	}
	dow := types.Weekday(v.dayNo)
	doy := v.dayNo - types.DaysFromCivil(v.year, 1, 1) + 1
	switch key {
	case "MONTH":
		return v.word(n, fullMonths[v.month-1]), nil
	case "MON":
		return likeCase(fullMonths[v.month-1][:3], n.key), nil
	case "DAY":
		return v.word(n, fullDays[dow]), nil
	case "DY":
		return likeCase(fullDays[dow][:3], n.key), nil
	case "D":
		return v.number(n, int64(dow)+1, 1), nil
	case "ID":
		return v.number(n, int64((dow+6)%7)+1, 1), nil
	case "DDD":
		return v.number(n, doy, 3), nil
	case "IDDD":
		return v.number(n, int64(iw-1)*7+int64((dow+6)%7)+1, 3), nil
	case "WW":
		return v.number(n, (doy-1)/7+1, 2), nil
	case "IW":
		return v.number(n, int64(iw), 2), nil
	case "IYYY":
		return v.number(n, int64(iy), 4), nil
	case "IYY":
		return v.number(n, int64(iy%1000), 3), nil
	case "IY":
		return v.number(n, int64(iy%100), 2), nil
	case "I":
		return v.number(n, int64(iy%10), 1), nil
	case "J":
		return ordinal(strconv.FormatInt(v.dayNo+2451545, 10), n.th), nil
	case "BC", "AD", "B.C.", "A.D.":
		w := "AD"
		if v.year <= 0 {
			w = "BC"
		}
		if strings.Contains(key, ".") {
			w = w[:1] + "." + w[1:] + "."
		}
		return likeCase(w, n.key), nil
	}
	return v.zoneField(n, key), nil
}

func (v *clockValue) zoneField(n templateNode, key string) string {
	if !v.hasZone && key == "TZ" {
		return ""
	}
	abs, sign := v.east, "+"
	if abs < 0 {
		abs, sign = -abs, "-"
	}
	two := func(x int) string { return v.number(templateNode{}, int64(x), 2) }
	switch key {
	case "TZ":
		return likeCase(v.zone, n.key)
	case "TZH":
		return sign + two(abs/3600)
	case "TZM":
		return two(abs / 60 % 60)
	case "OF":
		if s := two(abs / 60 % 60); s != "00" {
			return sign + two(abs/3600) + ":" + s
		}
		return sign + two(abs/3600)
	}
	return ""
}

func clockOf(local int64) clockValue {
	day, us := types.SplitTimestamp(local)
	v := clockValue{dayNo: day, hour: us / types.MicrosPerHour, min: int(us / types.MicrosPerMinute % 60),
		sec: int(us / types.MicrosPerSecond % 60), us: int(us % types.MicrosPerSecond)}
	v.year, v.month, v.day = types.CivilFromDays(day)
	return v
}

// template returns the parsed template of argument k, remembering the last one.
func template(c *Call, k int) []templateNode {
	type cached struct {
		f     string
		nodes []templateNode
	}
	if t, ok := c.Cache.(cached); ok && t.f == c.Str(k) {
		return t.nodes
	}
	f := strings.Clone(c.Str(k))
	nodes := parseTemplate(f)
	c.Cache = cached{f, nodes}
	return nodes
}

func init() {
	print := func(c *Call, v clockValue) error {
		if c.Str(1) == "" {
			return c.RetNull()
		}
		s, err := v.print(template(c, 1))
		if err != nil {
			return err
		}
		return c.RetStr(s)
	}
	rows(map[string]RowFunc{
		"timestamp_to_char": func(c *Call) error {
			if types.IsInfinite(c.Int(0)) {
				return c.RetNull()
			}
			return print(c, clockOf(c.Int(0)))
		},
		"timestamptz_to_char": func(c *Call) error {
			if types.IsInfinite(c.Int(0)) {
				return c.RetNull()
			}
			east, abbrev := types.ZoneOffset(c.Int(0), c.loc())
			v := clockOf(c.Int(0) + int64(east)*types.MicrosPerSecond)
			v.hasZone, v.east, v.zone = true, east, abbrev
			return print(c, v)
		},
		"interval_to_char": func(c *Call) error {
			i := c.Interval(0)
			us := i.Micros
			return print(c, clockValue{interval: true, year: int(i.Months / 12), month: int(i.Months % 12), day: int(i.Days),
				hour: us / types.MicrosPerHour, min: int(us / types.MicrosPerMinute % 60),
				sec: int(us / types.MicrosPerSecond % 60), us: int(us % types.MicrosPerSecond)})
		},
	})
}

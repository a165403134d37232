package types

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// intervalParser reads an interval; amounts are kept exact until they are
// spread over months, days and microseconds.
type intervalParser struct {
	s      string
	pos    int
	v      Interval
	years  int64 // counted into v.Months in the end
	over   bool
	seen   map[byte]bool
	fields int // of the type modifier, 0 for all
	// allNegative says that the first sign counts for all parts.
	allNegative bool
}

// Units of an interval, as single letters.
const (
	unitMicro   = 'u'
	unitMilli   = 'l'
	unitSecond  = 's'
	unitMinute  = 'm'
	unitHour    = 'h'
	unitDay     = 'd'
	unitWeek    = 'w'
	unitMonth   = 'M'
	unitYear    = 'y'
	unitDecade  = 'D'
	unitCentury = 'c'
	unitMill    = 'K'
)

var intervalUnits = map[string]byte{
	"microsecond": unitMicro, "us": unitMicro, "usec": unitMicro, "microsecon": unitMicro,
	"millisecond": unitMilli, "ms": unitMilli, "msec": unitMilli, "millisecon": unitMilli, "mseconds": unitMilli,
	"useconds": unitMicro,
	"second":   unitSecond, "sec": unitSecond, "s": unitSecond,
	"minute": unitMinute, "min": unitMinute, "m": unitMinute,
	"hour": unitHour, "hr": unitHour, "h": unitHour,
	"day": unitDay, "d": unitDay, "week": unitWeek, "w": unitWeek,
	"month": unitMonth, "mon": unitMonth,
	"year": unitYear, "yr": unitYear, "y": unitYear,
	"decade": unitDecade, "dec": unitDecade, "century": unitCentury, "centurie": unitCentury, "cent": unitCentury, "c": unitCentury,
	"millennium": unitMill, "millennia": unitMill, "mil": unitMill,
}

// IntervalUnit returns the letter of a unit's name, plural or not.
func intervalUnit(w string) (byte, bool) {
	if u, ok := intervalUnits[w]; ok {
		return u, true
	}
	u, ok := intervalUnits[strings.TrimSuffix(w, "s")]
	return u, ok
}

func parseInterval(s string, mod int32, st *Settings) (Datum, error) {
	p := &intervalParser{s: strings.ToLower(trimSpace(s)), seen: map[byte]bool{}}
	if mod >= 0 {
		if f := int(mod>>16) & intervalFullRange; f != intervalFullRange {
			p.fields = f
		}
	}
	ok := p.parse(st)
	switch {
	case !ok:
		return Null, &Error{Code: CodeInvalidDatetimeFormat, Message: "invalid input syntax for type interval: \"" + s + "\""}
	case p.over:
		return Null, &Error{Code: CodeIntervalFieldOverflow, Message: "interval field value out of range: \"" + s + "\""}
	case !p.addYears():
		return Null, &Error{Code: CodeDatetimeFieldOverflow, Message: "interval out of range"}
	}
	return adjustInterval(p.v, mod).Datum(), nil
}

func (p *intervalParser) parse(st *Settings) bool {
	if p.s == "" {
		return false
	}
	if p.s[0] == 'p' {
		return p.iso()
	}
	p.allNegative = st.IntervalStyle == IntervalSQLStandard && p.s[0] == '-' && !hasMoreSigns(p.s)
	ago := false
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case strings.IndexByte(" \t\n\r@,", c) >= 0:
			p.pos++
			continue
		case isDigit(c) || c == '+' || c == '-' || c == '.':
			if ago || !p.amount() {
				return false
			}
		case strings.HasPrefix(p.s[p.pos:], "ago"):
			p.pos += 3
			ago = true
		default:
			return false
		}
	}
	if ago {
		p.negate()
	}
	return len(p.seen) > 0
}

// hasMoreSigns reports whether a part behind the first has a sign. One between
// digits parts years from months.
func hasMoreSigns(s string) bool {
	for i := 1; i < len(s); i++ {
		if (s[i] == '+' || s[i] == '-') && !isDigit(s[i-1]) {
			return true
		}
	}
	return false
}

// negate turns all parts around; the least of each has no counterpart.
func (p *intervalParser) negate() {
	p.over = p.over || p.v.Micros == math.MinInt64 || p.v.Days == math.MinInt32 || p.v.Months == math.MinInt32 || p.years == math.MinInt32
	p.v = Interval{-p.v.Micros, -p.v.Days, -p.v.Months}
	p.years = -p.years
}

// addYears counts the years into the months; false if they are too many together.
func (p *intervalParser) addYears() bool {
	m := int64(p.v.Months) + p.years*12
	p.v.Months = int32(m)
	return m == int64(p.v.Months)
}

// amount reads a number with its unit, a time, or year-month.
func (p *intervalParser) amount() bool {
	neg := p.allNegative
	if c := p.s[p.pos]; c == '+' || c == '-' {
		neg = c == '-'
		p.pos++
		for p.pos < len(p.s) && p.s[p.pos] == ' ' {
			p.pos++
		}
	}
	i := p.pos
	for p.pos < len(p.s) && (isDigit(p.s[p.pos]) || p.s[p.pos] == '.') {
		p.pos++
	}
	num := p.s[i:p.pos]
	if num == "" || num == "." || strings.Count(num, ".") > 1 {
		return false
	}
	if p.pos < len(p.s) {
		switch {
		case p.s[p.pos] == ':':
			return p.time(num, neg)
		case p.s[p.pos] == '-' && p.pos+1 < len(p.s) && isDigit(p.s[p.pos+1]):
			return p.yearMonth(num, neg)
		}
	}
	j := p.pos
	for j < len(p.s) && (p.s[j] == ' ' || p.s[j] == '\t') {
		j++
	}
	k := j
	for k < len(p.s) && p.s[k] >= 'a' && p.s[k] <= 'z' {
		k++
	}
	unit, ok := intervalUnit(p.s[j:k])
	if ok {
		p.pos = k
	} else {
		if k > j && p.s[j:k] != "ago" {
			return false
		}
		unit = p.bareUnit(j)
	}
	if p.seen[unit] {
		return false
	}
	p.seen[unit] = true
	if unit == unitSecond && strings.Contains(num, ".") {
		p.seen[unitMilli], p.seen[unitMicro] = true, true
	}
	return p.add(num, neg, unit)
}

// bareUnit is the meaning of a number without a unit: days before a time or
// hours, the unit of a number that follows it otherwise, and for the last one
// that of the modifier's last field, else seconds.
func (p *intervalParser) bareUnit(next int) byte {
	if rest := strings.TrimLeft(p.s[next:], "+- \t"); rest != "" && isDigit(rest[0]) {
		rest = strings.TrimLeft(rest, "0123456789.")
		if rest != "" && rest[0] == ':' {
			return unitDay
		}
		word := strings.TrimLeft(rest, " \t")
		end := len(word) - len(strings.TrimLeft(word, "abcdefghijklmnopqrstuvwxyz"))
		unit, ok := intervalUnit(word[:end])
		if !ok {
			unit = p.bareUnit(len(p.s) - len(rest))
		}
		if unit == unitHour {
			return unitDay
		}
		return unit
	}
	switch {
	case p.fields == 0, p.fields&intervalSecond != 0:
		return unitSecond
	case p.fields&intervalMinute != 0:
		return unitMinute
	case p.fields&intervalHour != 0:
		return unitHour
	case p.fields&intervalDay != 0:
		return unitDay
	case p.fields&intervalMonth != 0:
		return unitMonth
	}
	return unitYear
}

func (p *intervalParser) yearMonth(y string, neg bool) bool {
	p.pos++
	i := p.pos
	for p.pos < len(p.s) && isDigit(p.s[p.pos]) {
		p.pos++
	}
	m, err := strconv.Atoi(p.s[i:p.pos])
	if err != nil || m > 11 || p.seen[unitYear] {
		p.over = p.over || m > 11
		return err == nil && !p.seen[unitYear]
	}
	if p.pos < len(p.s) && p.s[p.pos] == '-' {
		return false
	}
	p.seen[unitYear], p.seen[unitMonth] = true, true
	return p.add(y, neg, unitYear) && p.add(strconv.Itoa(m), neg, unitMonth)
}

func (p *intervalParser) time(h string, neg bool) bool {
	if p.seen[unitHour] || strings.IndexByte(h, '.') >= 0 {
		return false
	}
	part := func() string {
		p.pos++
		i := p.pos
		for p.pos < len(p.s) && (isDigit(p.s[p.pos]) || p.s[p.pos] == '.') {
			p.pos++
		}
		return p.s[i:p.pos]
	}
	m, s := part(), ""
	three := p.pos < len(p.s) && p.s[p.pos] == ':'
	if three {
		s = part()
	} else if strings.IndexByte(m, '.') >= 0 || p.fields == intervalMinute|intervalSecond {
		h, m, s = "0", h, m // mm:ss.ff
	}
	if m == "" || three && s == "" {
		return false
	}
	if s == "" {
		s = "0"
	}
	mv, err1 := strconv.Atoi(m)
	sv, err2 := strconv.ParseFloat(s, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	if mv > 59 || sv > 60 {
		p.over = true
	}
	for _, u := range []byte{unitHour, unitMinute, unitSecond, unitMilli, unitMicro} {
		if p.seen[u] {
			return false
		}
		p.seen[u] = true
	}
	return p.add(h, neg, unitHour) && p.add(m, neg, unitMinute) && p.add(s, neg, unitSecond)
}

// microsPer holds how much time a unit is; months and years are not time.
var microsPer = map[byte]int64{unitMicro: 1, unitMilli: 1000, unitSecond: MicrosPerSecond,
	unitMinute: MicrosPerMinute, unitHour: MicrosPerHour}

// add adds num units; a fraction spills into the smaller parts.
func (p *intervalParser) add(num string, neg bool, unit byte) bool {
	whole, frac, _ := strings.Cut(num, ".")
	if whole == "" {
		whole = "0"
	}
	n, ok := new(big.Int).SetString(whole, 10)
	if !ok {
		return false
	}
	f := 0.0
	if frac != "" {
		f, _ = strconv.ParseFloat("0."+frac, 64)
	}
	if neg {
		n.Neg(n)
		f = -f
	}
	if !n.IsInt64() {
		p.over = true
		return true
	}
	p.spread(n.Int64(), f, unit)
	return true
}

func (p *intervalParser) spread(n int64, f float64, unit byte) {
	if per, ok := microsPer[unit]; ok {
		p.addMicros(n, per)
		p.addMicros(int64(math.RoundToEven(f*float64(per))), 1)
		return
	}
	switch unit {
	case unitDay:
		p.addDays(n)
		p.addMicros(int64(math.RoundToEven(f*MicrosPerDay)), 1)
	case unitWeek:
		p.addDays(n * 7)
		p.fracDays(f * 7)
	case unitMonth:
		p.addMonths(n)
		p.fracDays(f * 30)
	default:
		years := map[byte]int64{unitYear: 1, unitDecade: 10, unitCentury: 100, unitMill: 1000}[unit]
		y, over := mulOverflows(n, years)
		p.years += y
		p.over = p.over || over || p.years > math.MaxInt32 || p.years < math.MinInt32
		p.addMonths(int64(math.RoundToEven(f * float64(years) * 12)))
	}
}

func (p *intervalParser) fracDays(f float64) {
	whole := math.Trunc(f)
	p.addDays(int64(whole))
	p.addMicros(int64(math.RoundToEven((f-whole)*MicrosPerDay)), 1)
}

func (p *intervalParser) addMicros(n, per int64) {
	d, over := n, false
	if per != 1 {
		d, over = mulOverflows(n, per)
	}
	s := p.v.Micros + d
	p.over = p.over || over || (s > p.v.Micros) != (d > 0) && d != 0
	p.v.Micros = s
}

func (p *intervalParser) addDays(n int64) {
	s := int64(p.v.Days) + n
	p.over = p.over || s > math.MaxInt32 || s < math.MinInt32
	p.v.Days = int32(s)
}

func (p *intervalParser) addMonths(n int64) {
	s := int64(p.v.Months) + n
	p.over = p.over || s > math.MaxInt32 || s < math.MinInt32
	p.v.Months = int32(s)
}

// iso reads ISO 8601's forms: P1Y2M3DT4H5M6S, P0001-02-03T04:05:06 and
// P00010203T040506.
func (p *intervalParser) iso() bool {
	date, tm, hasT := strings.Cut(p.s[1:], "t")
	if date == "" && tm == "" || hasT && tm == "" {
		return false
	}
	p.seen[unitSecond] = true
	return p.isoPart(date, isoDate) && p.isoPart(tm, isoTime)
}

// isoForm is how the date or the time of an ISO 8601 interval is written.
type isoForm struct {
	units map[byte]byte
	sep   byte   // between the parts of the extended form
	parts []byte // their units
	width []int  // of the parts in the basic form, without separators
}

var (
	isoDate = isoForm{map[byte]byte{'y': unitYear, 'm': unitMonth, 'w': unitWeek, 'd': unitDay}, '-',
		[]byte{unitYear, unitMonth, unitDay}, []int{4, 2, 2}}
	isoTime = isoForm{map[byte]byte{'h': unitHour, 'm': unitMinute, 's': unitSecond}, ':',
		[]byte{unitHour, unitMinute, unitSecond}, []int{2, 2, 2}}
)

func (p *intervalParser) isoPart(s string, form isoForm) bool {
	if s == "" {
		return true
	}
	num, neg, rest, ok := isoNumber(s)
	if !ok {
		return false
	}
	if rest == "" {
		total := 0
		for _, w := range form.width {
			total += w
		}
		if len(num) == total && !strings.ContainsAny(num, ".e") {
			for i, w := range form.width {
				p.add(num[:w], neg, form.parts[i])
				num = num[w:]
			}
			return true
		}
	}
	if rest == "" || rest[0] == form.sep {
		for _, unit := range form.parts {
			if num, neg, rest, ok = isoNumber(s); !ok || !p.add(num, neg, unit) {
				return false
			}
			if rest == "" {
				return true
			}
			if rest[0] != form.sep {
				return false
			}
			s = rest[1:]
		}
		return false
	}
	for s != "" {
		if num, neg, rest, ok = isoNumber(s); !ok || rest == "" {
			return false
		}
		unit, isUnit := form.units[rest[0]]
		if !isUnit || !p.add(num, neg, unit) {
			return false
		}
		s = rest[1:]
	}
	return true
}

// isoNumber reads a number with a sign and an exponent, if it has them.
func isoNumber(s string) (num string, neg bool, rest string, ok bool) {
	neg = s != "" && s[0] == '-'
	if neg || s != "" && s[0] == '+' {
		s = s[1:]
	}
	i, digits := 0, 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '.') {
		if isDigit(s[i]) {
			digits++
		}
		i++
	}
	if digits == 0 || strings.Count(s[:i], ".") > 1 {
		return "", false, "", false
	}
	end := i
	if j := i + 1; j < len(s) && s[i] == 'e' {
		if s[j] == '+' || s[j] == '-' {
			j++
		}
		for j < len(s) && isDigit(s[j]) {
			j++
			end = j
		}
	}
	if num = s[:end]; end > i || strings.Contains(num, ".") { // PostgreSQL reads them as floats
		v, err := strconv.ParseFloat(num, 64)
		if err != nil || v > 1e15 {
			return "", false, "", false
		}
		num = strconv.FormatFloat(v, 'f', 40, 64)
	}
	return num, neg, s[end:], true
}

// adjustInterval applies interval's modifier: fields below the last one are
// dropped, seconds are rounded.
func adjustInterval(v Interval, mod int32) Interval {
	if mod < 0 {
		return v
	}
	if f := int(mod>>16) & intervalFullRange; f != intervalFullRange {
		switch {
		case f&intervalSecond != 0:
		case f&intervalMinute != 0:
			v.Micros -= v.Micros % MicrosPerMinute
		case f&intervalHour != 0:
			v.Micros -= v.Micros % MicrosPerHour
		case f&intervalDay != 0:
			v.Micros = 0
		case f&intervalMonth != 0:
			v.Micros, v.Days = 0, 0
		case f&intervalYear != 0:
			v.Micros, v.Days = 0, 0
			v.Months -= v.Months % 12
		}
	}
	if prec := int(mod) & intervalFullPrec; prec < 6 {
		v.Micros = roundMicros(v.Micros, prec)
	}
	return v
}

// roundMicros rounds microseconds to a number of decimals of a second.
func roundMicros(us int64, prec int) int64 {
	if prec < 0 || prec >= 6 {
		return us
	}
	unit := pow10Table[6-prec]
	if us >= 0 {
		return (us + unit/2) / unit * unit
	}
	return -((-us + unit/2) / unit * unit)
}

// RoundMicros rounds microseconds to a number of decimals of a second.
func RoundMicros(us int64, prec int) int64 { return roundMicros(us, prec) }

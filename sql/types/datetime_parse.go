package types

import (
	"strconv"
	"strings"
	"time"
)

// dtKind is what a date/time input turned out to be.
type dtKind uint8

const (
	dtFields dtKind = iota
	dtInfinity
	dtNegInfinity
	dtEpoch
	dtNow
	dtDayOffset // today and its neighbours
)

// dtParser collects the fields of a date/time input.
type dtParser struct {
	s        string // lower case
	pos      int
	order    DateOrder
	kind     dtKind
	dayShift int64

	year, month, day  int
	nums              []dtNumber // bare numbers that belong to a date
	haveDate          bool
	haveMonth         bool
	before            []dtNumber // the numbers before a month's name that stands alone
	bc                bool
	micros            int64
	haveTime          bool
	pm, am            bool
	haveZone          bool
	zoneEast          int
	zoneLoc           *time.Location
	zoneName          string // the abbreviation that zoneLoc is for
	badZone           string
	outOfRange, tzBig bool
}

type dtNumber struct {
	v, digits int
}

// parse returns false if the input is malformed.
func (p *dtParser) parse() bool {
	for {
		p.skip()
		if p.pos >= len(p.s) {
			return p.finish()
		}
		ok := false
		switch c := p.s[p.pos]; {
		case isDigit(c):
			ok = p.number()
		case c == '+' || c == '-':
			ok = p.signed()
		case c >= 'a' && c <= 'z':
			ok = p.word()
		}
		if !ok {
			return false
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *dtParser) skip() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\n\r\v\f,", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *dtParser) digits() string {
	i := p.pos
	for i < len(p.s) && isDigit(p.s[i]) {
		i++
	}
	d := p.s[p.pos:i]
	p.pos = i
	return d
}

func (p *dtParser) at(i int) byte {
	if p.pos+i < len(p.s) {
		return p.s[p.pos+i]
	}
	return 0
}

func (p *dtParser) number() bool {
	start := p.pos
	d := p.digits()
	switch c := p.at(0); {
	case c == ':':
		p.pos = start
		return p.clock()
	case (c == '-' || c == '/' || c == '.') && !p.haveDate && p.at(1) != 0:
		if c == '.' && len(d) == 4 && p.yearAndDay(d) {
			return true
		}
		if c == '.' && p.dotIsFraction(d) {
			break
		}
		p.pos = start
		return p.separated(c)
	}
	return p.bare(d)
}

// dotIsFraction tells 20240101.5 from 1.2.2003.
func (p *dtParser) dotIsFraction(d string) bool {
	rest := p.s[p.pos+1:]
	i := 0
	for i < len(rest) && isDigit(rest[i]) {
		i++
	}
	return len(d) > 4 || i == 0 || i >= len(rest) || rest[i] != '.'
}

// separated reads a date such as 2003-1-2, 1/2/2003, 2-jan-2003.
func (p *dtParser) separated(sep byte) bool {
	for k := 0; k < 3; k++ {
		if k > 0 {
			if p.at(0) != sep {
				break
			}
			p.pos++
		}
		if isDigit(p.at(0)) {
			d := p.digits()
			v, err := strconv.Atoi(d)
			if err != nil {
				return false
			}
			if k == 1 && len(d) == 3 && len(p.nums) == 1 && p.at(0) != sep {
				return p.dayOfYear(v)
			}
			p.nums = append(p.nums, dtNumber{v, len(d)})
			continue
		}
		i := p.pos
		for p.pos < len(p.s) && p.s[p.pos] >= 'a' && p.s[p.pos] <= 'z' {
			p.pos++
		}
		m, ok := monthNames[p.s[i:p.pos]]
		if !ok || p.haveMonth || k == 2 {
			return false
		}
		p.month, p.haveMonth = m, true
	}
	n := len(p.nums)
	if p.haveMonth {
		n++
	}
	p.haveDate = n == 3
	return n >= 2
}

// yearAndDay reads 2003.123, the position being at the point.
func (p *dtParser) yearAndDay(year string) bool {
	rest := p.s[p.pos+1:]
	if len(rest) < 3 || !isDigit(rest[0]) || !isDigit(rest[1]) || !isDigit(rest[2]) || len(rest) > 3 && (isDigit(rest[3]) || rest[3] == '.') {
		return false
	}
	y, err := strconv.Atoi(year)
	if err != nil {
		return false
	}
	p.pos++
	day, err := strconv.Atoi(p.digits())
	if err != nil {
		return false
	}
	p.nums = append(p.nums, dtNumber{y, 4})
	return p.dayOfYear(day)
}

// dayOfYear takes the second number for the day of the year.
func (p *dtParser) dayOfYear(v int) bool {
	y, m, d := CivilFromDays(DaysFromCivil(p.nums[0].v, 1, 1) + int64(v) - 1)
	p.year, p.month, p.day = y, m, d
	p.nums, p.haveDate = nil, true
	p.haveMonth = true
	p.nums = []dtNumber{{y, 4}, {d, 2}}
	return true
}

// bare reads a run of digits: part of a date, a date or a time.
func (p *dtParser) bare(d string) bool {
	n := len(d)
	v, err := strconv.Atoi(d)
	if err != nil {
		return false
	}
	dateDone := p.haveDate || len(p.nums) >= 3 || p.haveMonth && len(p.nums) >= 2
	switch {
	case dateDone && !p.haveTime && (n == 6 || n == 4 || n == 2):
		return p.packedTime(d)
	case n == 8 && len(p.nums) == 0 && !p.haveMonth:
		p.nums = []dtNumber{{v / 10000, 4}, {v / 100 % 100, 2}, {v % 100, 2}}
		p.order, p.haveDate = OrderYMD, true
		return true
	case n == 6 && len(p.nums) == 0 && !p.haveMonth:
		p.nums = []dtNumber{{v / 10000, 2}, {v / 100 % 100, 2}, {v % 100, 2}}
		p.order, p.haveDate = OrderYMD, true
		return true
	case dateDone:
		return false
	}
	p.nums = append(p.nums, dtNumber{v, n})
	return true
}

func (p *dtParser) packedTime(d string) bool {
	v, _ := strconv.Atoi(d)
	var h, m, s int
	switch len(d) {
	case 6:
		h, m, s = v/10000, v/100%100, v%100
	case 4:
		h, m = v/100, v%100
	default:
		h = v
	}
	us, ok := p.fraction()
	return ok && p.setTime(h, m, s, us)
}

// fraction reads .ffffff, rounded to microseconds.
func (p *dtParser) fraction() (int64, bool) {
	if p.at(0) != '.' {
		return 0, true
	}
	p.pos++
	d := p.digits()
	if d == "" {
		return 0, true
	}
	f, err := strconv.ParseFloat("0."+d, 64)
	return int64(f*1e6 + 0.5), err == nil
}

func (p *dtParser) clock() bool {
	h, err := strconv.Atoi(p.digits())
	if err != nil {
		return false
	}
	p.pos++
	md := p.digits()
	m, err := strconv.Atoi(md)
	if err != nil {
		return false
	}
	s := 0
	if p.at(0) == ':' {
		p.pos++
		if s, err = strconv.Atoi(p.digits()); err != nil {
			return false
		}
	}
	us, ok := p.fraction()
	return ok && p.setTime(h, m, s, us)
}

func (p *dtParser) setTime(h, m, s int, us int64) bool {
	if p.haveTime {
		return false
	}
	p.haveTime = true
	p.micros = int64(h)*MicrosPerHour + int64(m)*MicrosPerMinute + int64(s)*MicrosPerSecond + us
	if m > 59 || s > 60 || h > 24 || p.micros > MicrosPerDay {
		p.outOfRange = true
	}
	return true
}

// signed reads a zone's offset, or -infinity.
func (p *dtParser) signed() bool {
	if strings.HasPrefix(p.s[p.pos:], "-infinity") {
		p.pos += len("-infinity")
		p.kind = dtNegInfinity
		return true
	}
	if strings.HasPrefix(p.s[p.pos:], "+infinity") {
		p.pos += len("+infinity")
		p.kind = dtInfinity
		return true
	}
	if p.haveZone && p.zoneLoc == nil && p.zoneEast != 0 {
		return false
	}
	sign := 1
	if p.s[p.pos] == '-' {
		sign = -1
	}
	p.pos++
	d := p.digits()
	if d == "" {
		return false
	}
	v, err := strconv.Atoi(d)
	if err != nil {
		return false
	}
	h, m, s := v, 0, 0
	switch {
	case len(d) == 4 || len(d) == 3:
		h, m = v/100, v%100
	case len(d) == 6:
		h, m, s = v/10000, v/100%100, v%100
	}
	for k := 0; k < 2 && p.at(0) == ':'; k++ {
		p.pos++
		x, err := strconv.Atoi(p.digits())
		if err != nil {
			return false
		}
		if k == 0 {
			m = x
		} else {
			s = x
		}
	}
	if h > 15 || m > 59 || s > 59 {
		p.tzBig = true
	}
	p.haveZone, p.zoneLoc = true, nil
	p.zoneEast = sign * (h*3600 + m*60 + s)
	return true
}

var monthNames = map[string]int{
	"january": 1, "february": 2, "march": 3, "april": 4, "may": 5, "june": 6, "july": 7, "august": 8,
	"september": 9, "october": 10, "november": 11, "december": 12, "jan": 1, "feb": 2, "mar": 3, "apr": 4,
	"jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11, "dec": 12,
}

var dayNames = map[string]bool{
	"sunday": true, "monday": true, "tuesday": true, "wednesday": true, "thursday": true, "friday": true,
	"saturday": true, "sun": true, "mon": true, "tue": true, "tues": true, "wed": true, "weds": true,
	"thu": true, "thur": true, "thurs": true, "fri": true, "sat": true, "on": true, "at": true,
}

func (p *dtParser) word() bool {
	i := p.pos
	for p.pos < len(p.s) && (p.s[p.pos] >= 'a' && p.s[p.pos] <= 'z' || p.s[p.pos] == '_' || p.s[p.pos] == '/') {
		p.pos++
	}
	w := p.s[i:p.pos]
	if m, ok := monthNames[w]; ok {
		if p.haveMonth {
			return false
		}
		p.month, p.haveMonth, p.before = m, true, p.nums
		if p.at(0) == '-' || p.at(0) == '.' {
			p.pos++
		}
		return true
	}
	if dayNames[w] {
		return true
	}
	switch w {
	case "t":
		return isDigit(p.at(0))
	case "j", "jd", "julian":
		return p.julian()
	case "am":
		p.am = true
	case "pm":
		p.pm = true
	case "ad":
	case "bc":
		p.bc = true
	case "infinity":
		p.kind = dtInfinity
	case "epoch":
		p.kind = dtEpoch
	case "now":
		p.kind = dtNow
	case "today":
		p.kind = dtDayOffset
	case "tomorrow":
		p.kind, p.dayShift = dtDayOffset, 1
	case "yesterday":
		p.kind, p.dayShift = dtDayOffset, -1
	case "allballs":
		p.haveTime, p.haveZone = true, true
	default:
		return p.zoneWord(i, w)
	}
	return true
}

func (p *dtParser) julian() bool {
	d := p.digits()
	v, err := strconv.Atoi(d)
	if err != nil {
		return false
	}
	p.year, p.month, p.day = CivilFromDays(int64(v) - julianOf2000)
	p.nums = []dtNumber{{p.year, 4}, {p.month, 2}, {p.day, 2}}
	p.order, p.haveDate = OrderYMD, true
	return true
}

func (p *dtParser) zoneWord(start int, w string) bool {
	if a, ok := zoneAbbrevs()[w]; ok && !(p.at(0) == '-' || p.at(0) == '+' || isDigit(p.at(0))) {
		p.haveZone, p.zoneEast = true, a.east
		if a.zone != "" {
			p.zoneLoc, p.zoneName = a.location(w), w
		}
		return true
	}
	// A full name may hold digits and signs: Etc/GMT+5.
	for p.pos < len(p.s) && strings.IndexByte(" \t,", p.s[p.pos]) < 0 {
		p.pos++
	}
	w = p.s[start:p.pos]
	loc, ok := findLocation(w)
	if !ok {
		loc, ok = posixZone(w)
	}
	if !ok {
		if strings.IndexByte(w, '/') > 0 {
			p.badZone = w
		}
		return p.badZone != ""
	}
	p.haveZone, p.zoneLoc = true, loc
	return true
}

// finish makes year, month and day of the numbers seen.
func (p *dtParser) finish() bool {
	if p.kind != dtFields {
		return len(p.nums) == 0
	}
	if (p.am || p.pm) && p.haveTime {
		h := p.micros / MicrosPerHour
		if h > 12 {
			p.outOfRange = true
		}
		if p.pm && h != 12 {
			p.micros += 12 * MicrosPerHour
		} else if p.am && h == 12 {
			p.micros -= 12 * MicrosPerHour
		}
	}
	if len(p.nums) == 0 && !p.haveMonth {
		return true
	}
	return p.arrange()
}

func (p *dtParser) arrange() bool {
	n := p.nums
	var y, d dtNumber
	if p.haveMonth {
		yearFirst := len(n) == 2 && (n[0].digits > 2 || p.order == OrderYMD)
		if len(n) != 2 || p.misplacedMonth(yearFirst) {
			return false
		}
		y, d = n[1], n[0]
		if yearFirst && (n[0].digits > 2 || n[1].digits <= 2) {
			y, d = n[0], n[1]
		}
	} else {
		if len(n) != 3 {
			return false
		}
		var m dtNumber
		switch {
		case n[0].digits > 2 || p.order == OrderYMD:
			y, m, d = n[0], n[1], n[2]
		case p.order == OrderDMY:
			d, m, y = n[0], n[1], n[2]
		default:
			m, d, y = n[0], n[1], n[2]
		}
		p.month = m.v
	}
	p.year, p.day, p.haveDate = y.v, d.v, true
	if y.digits <= 2 && !p.bc {
		if p.year < 70 {
			p.year += 2000
		} else {
			p.year += 1900
		}
	}
	if y.v == 0 && y.digits > 2 {
		p.outOfRange = true
	}
	if p.bc {
		p.year = 1 - p.year
	}
	if p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31 {
		p.outOfRange = true
	} else if p.day > DaysInMonth(p.year, p.month) {
		p.outOfRange = true
	}
	return true
}

// misplacedMonth reports whether a month's name comes where the numbers before it
// have said which month it is already.
func (p *dtParser) misplacedMonth(yearFirst bool) bool {
	switch len(p.before) {
	case 2:
		return !yearFirst
	case 1:
		// A first number counts as the month until the name makes it the day.
		return !yearFirst && p.order == OrderMDY && (p.before[0].v < 1 || p.before[0].v > 31)
	}
	return false
}

// datedZone reports whether the offset of a zone that was named depends on the
// date.
func (p *dtParser) datedZone() bool {
	if p.zoneLoc == nil || p.zoneName != "" {
		return false
	}
	start, end := time.Unix(0, 0).In(p.zoneLoc).ZoneBounds()
	return !start.IsZero() || !end.IsZero()
}

func newDTParser(s string, st *Settings) *dtParser {
	return &dtParser{s: strings.ToLower(s), order: st.DateOrder}
}

// check turns what went wrong into PostgreSQL's errors.
func (p *dtParser) check(ok bool, typeName, s string) error {
	switch {
	case p.badZone != "":
		return Errorf(CodeInvalidParameterValue, "time zone \"%s\" not recognized", p.badZone)
	case !ok:
		e := syntaxError(typeName, s).(*Error)
		e.Code = CodeInvalidDatetimeFormat
		return e
	case p.tzBig:
		return Errorf(CodeInvalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", s)
	case p.outOfRange:
		e := Errorf(CodeDatetimeFieldOverflow, "date/time field value out of range: \"%s\"", s)
		if p.haveDate && (p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31) {
			e.Hint = "Perhaps you need a different \"datestyle\" setting."
		}
		return e
	}
	return nil
}

func parseDate(s string, st *Settings) (Datum, error) {
	p := newDTParser(s, st)
	ok := p.parse()
	if err := p.check(ok && (p.kind != dtFields || p.haveDate), "date", s); err != nil {
		return Null, err
	}
	switch p.kind {
	case dtInfinity:
		return NewInt(DateInfinity), nil
	case dtNegInfinity:
		return NewInt(DateNegInfinity), nil
	case dtEpoch:
		return NewInt(-unixToPgDays), nil
	case dtNow, dtDayOffset:
		day, _ := SplitTimestamp(ToLocal(st.Now, st.Loc()))
		return NewInt(day + p.dayShift), nil
	}
	d := DaysFromCivil(p.year, p.month, p.day)
	if !ValidDate(d) {
		return Null, Errorf(CodeDatetimeFieldOverflow, "date out of range: \"%s\"", s)
	}
	return NewInt(d), nil
}

func parseTimestamp(s string, st *Settings, tz bool) (Datum, error) {
	name := "timestamp"
	if tz {
		name = "timestamp with time zone"
	}
	p := newDTParser(s, st)
	ok := p.parse()
	if err := p.check(ok && (p.kind != dtFields || p.haveDate), name, s); err != nil {
		return Null, err
	}
	var local int64
	switch p.kind {
	case dtInfinity:
		return NewInt(TimeInfinity), nil
	case dtNegInfinity:
		return NewInt(TimeNegInfinity), nil
	case dtEpoch:
		return NewInt(-unixToPgSeconds * MicrosPerSecond), nil
	case dtNow:
		if tz {
			return NewInt(st.Now), nil
		}
		return NewInt(ToLocal(st.Now, st.Loc())), nil
	case dtDayOffset:
		day, _ := SplitTimestamp(ToLocal(st.Now, st.Loc()))
		local = (day+p.dayShift)*MicrosPerDay + p.micros
	default:
		day := DaysFromCivil(p.year, p.month, p.day)
		if day < minDate-1 || day > 107751967 {
			return Null, Errorf(CodeDatetimeFieldOverflow, "timestamp out of range: \"%s\"", s)
		}
		local = day*MicrosPerDay + p.micros
	}
	if tz {
		local = p.toUTC(local, st)
	}
	if !ValidTimestamp(local) {
		return Null, Errorf(CodeDatetimeFieldOverflow, "timestamp out of range: \"%s\"", s)
	}
	return NewInt(local), nil
}

func (p *dtParser) toUTC(local int64, st *Settings) int64 {
	switch {
	case p.zoneName != "":
		return local - int64(abbrevOffset(local, p.zoneLoc, p.zoneName))*MicrosPerSecond
	case p.zoneLoc != nil:
		return ToUTC(local, p.zoneLoc)
	case p.haveZone:
		return local - int64(p.zoneEast)*MicrosPerSecond
	}
	return ToUTC(local, st.Loc())
}

func parseTime(s string, st *Settings) (Datum, error) {
	t, _, err := parseTimeFields(s, st, "time")
	return NewInt(t), err
}

// parseTimeFields reads a time of day; a date before it is allowed.
func parseTimeFields(s string, st *Settings, name string) (int64, *dtParser, error) {
	p := newDTParser(s, st)
	ok := p.parse()
	if !p.haveTime && p.kind == dtFields {
		// Bare digits are a time here: 040506.
		q := newDTParser(s, st)
		q.haveDate = true
		if len(trimSpace(s)) > 2 && q.parse() && q.haveTime {
			p, ok = q, true
			p.haveDate = false
		}
	}
	if p.kind == dtNow {
		_, us := SplitTimestamp(ToLocal(st.Now, st.Loc()))
		return us, p, nil
	}
	return p.micros, p, p.check(ok && p.haveTime && p.kind == dtFields && (p.haveDate || !p.datedZone()), name, s)
}

func parseTimeTZ(s string, st *Settings) (Datum, error) {
	us, p, err := parseTimeFields(s, st, "time with time zone")
	if err != nil {
		return Null, err
	}
	east := p.zoneEast
	if !p.haveZone || p.zoneLoc != nil {
		loc := st.Loc()
		if p.zoneLoc != nil {
			loc = p.zoneLoc
		}
		now := st.Now
		if p.haveDate {
			now = DaysFromCivil(p.year, p.month, p.day)*MicrosPerDay + us
		}
		east, _ = ZoneOffset(now, loc)
	}
	return TimeTZ{us, int32(-east)}.Datum(), nil
}

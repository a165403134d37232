package types

import (
	"encoding/binary"
	"strconv"
)

// Interval is a span of time; its three parts are independent.
type Interval struct {
	Micros int64
	Days   int32
	Months int32
}

// DecodeInterval reads the flat image.
func DecodeInterval(b []byte) Interval {
	if len(b) != 16 {
		return Interval{}
	}
	be := binary.BigEndian
	return Interval{int64(be.Uint64(b)), int32(be.Uint32(b[8:])), int32(be.Uint32(b[12:]))}
}

// AppendImage appends the flat image.
func (v Interval) AppendImage(b []byte) []byte {
	be := binary.BigEndian
	b = be.AppendUint64(b, uint64(v.Micros))
	b = be.AppendUint32(b, uint32(v.Days))
	return be.AppendUint32(b, uint32(v.Months))
}

// Datum returns v as a datum.
func (v Interval) Datum() Datum { return NewString(string(v.AppendImage(nil))) }

// Cmp orders intervals by their length with 30-day months and 24-hour days.
func (v Interval) Cmp(o Interval) int {
	vd, vm := v.span()
	od, om := o.span()
	switch {
	case vd != od:
		if vd < od {
			return -1
		}
		return 1
	case vm < om:
		return -1
	case vm > om:
		return 1
	}
	return 0
}

// span returns the interval as whole days and microseconds within a day: two
// intervals are equal exactly if their spans are.
func (v Interval) span() (days, micros int64) {
	days, micros = SplitTimestamp(v.Micros)
	return days + int64(v.Days) + 30*int64(v.Months), micros
}

// Span is the normal form under which equal intervals agree.
func (v Interval) Span() (days, micros int64) { return v.span() }

// AppendInterval appends v in the session's interval style.
func AppendInterval(b []byte, v Interval, st *Settings) []byte {
	style := IntervalPostgres
	if st != nil {
		style = st.IntervalStyle
	}
	switch style {
	case IntervalPostgresVerbose:
		return appendVerbose(b, v)
	case IntervalSQLStandard:
		return appendSQLInterval(b, v)
	case IntervalISO8601:
		return appendISOInterval(b, v)
	}
	return appendPgInterval(b, v)
}

func appendPgInterval(b []byte, v Interval) []byte {
	start, neg := len(b), false
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(b) > start {
			b = append(b, ' ')
		}
		if neg && n > 0 {
			b = append(b, '+')
		}
		b = strconv.AppendInt(b, n, 10)
		b = append(append(b, ' '), unit...)
		if n != 1 {
			b = append(b, 's')
		}
		neg = n < 0
	}
	part(int64(v.Months/12), "year")
	part(int64(v.Months%12), "mon")
	part(int64(v.Days), "day")
	if v.Micros != 0 || len(b) == start {
		if len(b) > start {
			b = append(b, ' ')
		}
		us := v.Micros
		if us < 0 {
			b = append(b, '-')
		} else if neg {
			b = append(b, '+')
		}
		b = appendDuration(b, us)
	}
	return b
}

// appendDuration appends |us| as HH:MM:SS[.ffffff].
func appendDuration(b []byte, us int64) []byte {
	u := absU(us)
	h := u / MicrosPerHour
	if h < 10 {
		b = append(b, '0')
	}
	b = strconv.AppendUint(b, h, 10)
	m := u / MicrosPerMinute % 60
	b = append(b, ':', byte('0'+m/10), byte('0'+m%10), ':')
	return appendSeconds(b, int64(u%MicrosPerMinute), 2)
}

func appendVerbose(b []byte, v Interval) []byte {
	b = append(b, '@')
	start, ago := len(b), false
	first := true
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if first {
			ago, first = n < 0, false
		}
		if ago {
			n = -n
		}
		b = append(strconv.AppendInt(append(b, ' '), n, 10), ' ')
		b = append(b, unit...)
		if n != 1 && n != -1 || unit == "sec" {
			b = append(b, 's')
		}
	}
	part(int64(v.Months/12), "year")
	part(int64(v.Months%12), "mon")
	part(int64(v.Days), "day")
	part(v.Micros/MicrosPerHour, "hour")
	part(v.Micros/MicrosPerMinute%60, "min")
	if us := v.Micros % MicrosPerMinute; us != 0 {
		if first {
			ago = us < 0
		}
		if ago {
			us = -us
		}
		b = append(b, ' ')
		if us < 0 {
			b = append(b, '-')
		}
		abs := int64(absU(us))
		b = append(appendSeconds(b, abs, 1), " sec"...)
		if abs != MicrosPerSecond {
			b = append(b, 's')
		}
	}
	if len(b) == start {
		b = append(b, " 0"...)
	}
	if ago {
		b = append(b, " ago"...)
	}
	return b
}

func appendSQLInterval(b []byte, v Interval) []byte {
	hasYM, hasDT := v.Months != 0, v.Days != 0 || v.Micros != 0
	neg := v.Months < 0 || v.Days < 0 || v.Micros < 0
	pos := v.Months > 0 || v.Days > 0 || v.Micros > 0
	if !hasYM && !hasDT {
		return append(b, '0')
	}
	months, days, us := int64(v.Months), int64(v.Days), v.Micros
	if neg && pos || hasYM && hasDT {
		// Mixed forms carry a sign on every part.
		b = signed(b, months < 0)
		b = appendYearMonth(b, months)
		b = signed(append(b, ' '), days < 0)
		b = strconv.AppendUint(b, absU(days), 10)
		b = signed(append(b, ' '), us < 0)
		return appendSQLTime(b, us)
	}
	if neg {
		b = append(b, '-')
	}
	if hasYM {
		return appendYearMonth(b, months)
	}
	if days != 0 {
		b = append(strconv.AppendUint(b, absU(days), 10), ' ')
	}
	return appendSQLTime(b, us)
}

func signed(b []byte, neg bool) []byte {
	if neg {
		return append(b, '-')
	}
	return append(b, '+')
}

func appendYearMonth(b []byte, months int64) []byte {
	u := absU(months)
	b = append(strconv.AppendUint(b, u/12, 10), '-')
	return strconv.AppendUint(b, u%12, 10)
}

func appendSQLTime(b []byte, us int64) []byte {
	u := absU(us)
	b = strconv.AppendUint(b, u/MicrosPerHour, 10)
	m := u / MicrosPerMinute % 60
	b = append(b, ':', byte('0'+m/10), byte('0'+m%10), ':')
	return appendSeconds(b, int64(u%MicrosPerMinute), 2)
}

func appendISOInterval(b []byte, v Interval) []byte {
	if v == (Interval{}) {
		return append(b, "PT0S"...)
	}
	part := func(n int64, unit byte) {
		if n != 0 {
			b = append(strconv.AppendInt(b, n, 10), unit)
		}
	}
	b = append(b, 'P')
	part(int64(v.Months/12), 'Y')
	part(int64(v.Months%12), 'M')
	part(int64(v.Days), 'D')
	if v.Micros == 0 {
		return b
	}
	b = append(b, 'T')
	part(v.Micros/MicrosPerHour, 'H')
	part(v.Micros/MicrosPerMinute%60, 'M')
	if us := v.Micros % MicrosPerMinute; us != 0 {
		if us < 0 {
			b = append(b, '-')
		}
		b = append(appendSeconds(b, int64(absU(us)), 1), 'S')
	}
	return b
}

package builtin

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// pathTime is a date or time that .datetime() has read.
type pathTime struct {
	oid types.OID
	// day counts from 2000-01-01, 0 for times; micros are those of the day, both by
	// the wall clock.
	day, micros int64
	// east is how many seconds the zone is east of UTC, of types with a zone.
	east int64
}

// String is the value as it stands in JSON.
func (t *pathTime) String() string {
	var s string
	switch t.oid {
	case types.DateOID:
		return types.TextOf(types.DateOID, types.NewInt(t.day), defaultSettings)
	case types.TimeOID, types.TimeTZOID:
		s = types.TextOf(types.TimeOID, types.NewInt(t.micros), defaultSettings)
	default:
		s = strings.Replace(string(types.AppendTimestamp(nil, t.day*types.MicrosPerDay+t.micros, defaultSettings)), " ", "T", 1)
	}
	if t.oid == types.TimeTZOID || t.oid == types.TimestampTZOID {
		zone := string(types.AppendZoneOffset(nil, int(t.east)))
		if !strings.Contains(zone, ":") {
			zone += ":00"
		}
		s += zone
	}
	return s
}

// pathTimeFormats are the ISO 8601 forms that .datetime() knows by itself.
var pathTimeFormats = func() [][]templateNode {
	out := [][]templateNode{parseTemplate("yyyy-mm-dd")}
	for _, date := range []string{"", "yyyy-mm-dd ", `yyyy-mm-dd"T"`} {
		for _, fraction := range []string{".US", ""} {
			for _, zone := range []string{"TZH:TZM", "TZH", ""} {
				out = append(out, parseTemplate(date+"HH24:MI:SS"+fraction+zone))
			}
		}
	}
	return out
}()

// datetime runs .datetime().
func (r *pathRun) datetime(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	if v.kind() != types.JSONString {
		return r.fail(types.CodeInvalidJSONDatetime, "jsonpath item method .datetime() can only be applied to a string")
	}
	s := string(v.j.Str())
	var t *pathTime
	var err error
	if i.Left != nil {
		if t, err = readStrictly(s, parseTemplate(i.Left.Str)); err != nil {
			if !r.throws {
				err = nil
			}
			return pathFailed, err
		}
	} else {
		for _, f := range pathTimeFormats {
			if t, err = readStrictly(s, f); err == nil {
				break
			}
		}
		if err != nil {
			if !r.throws {
				return pathFailed, nil
			}
			return pathFailed, types.Errorf(types.CodeInvalidJSONDatetime, "datetime format is not recognized: \"%s\"", s).
				WithHint("Use a datetime template argument to specify the input data format.")
		}
	}
	return r.next(i, &pathValue{when: t}, found)
}

func badFormat(format string, args ...any) error {
	return types.Errorf(types.CodeInvalidDatetimeFormat, format, args...)
}

// readStrictly reads all of a text by all of a template. Which fields there are says
// what type it has.
func readStrictly(s string, nodes []templateNode) (*pathTime, error) {
	r := &readClock{given: s, s: s, f: map[string]int64{}}
	var dated, timed, zoned bool
	for k, n := range nodes {
		if n.key == "" {
			if err := r.separator(n.literal); err != nil {
				return nil, err
			}
			continue
		}
		key := strings.ToUpper(n.key)
		if key == "TZ" || key == "OF" {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "formatting field \"%s\" is only supported in to_char", n.key)
		}
		switch {
		case strings.HasPrefix(key, "TZ"):
			zoned = true
		case dateModes[key] != "" || key == "CC" || key == "J" || key == "Q" || key == "DAY" || key == "DY" || key == "BC" || key == "AD" ||
			key == "B.C." || key == "A.D.":
			dated = true
		case key != "FX":
			timed = true
		}
		if r.skipSpace(); r.pos >= len(r.s) {
			return nil, badFormat("input string is too short for datetime format")
		}
		exact := k+1 < len(nodes) && nodes[k+1].key != "" && maxDigits[strings.ToUpper(nodes[k+1].key)] > 0
		if err := r.pattern(key, n, exact); err != nil {
			return nil, err
		}
	}
	if r.skipSpace(); r.pos < len(r.s) {
		return nil, badFormat("trailing characters remain in input string after datetime format")
	}
	return r.pathTime(dated, timed, zoned)
}

// separator passes over what a template has between fields, which must be the same.
func (r *readClock) separator(lit string) error {
	if r.pos >= len(r.s) {
		return badFormat("input string is too short for datetime format")
	}
	if !strings.HasPrefix(r.s[r.pos:], lit) {
		return badFormat("unmatched format separator \"%s\"", lit)
	}
	r.pos += len(lit)
	return nil
}

func (r *readClock) pathTime(dated, timed, zoned bool) (*pathTime, error) {
	if zoned && !timed {
		return nil, badFormat("datetime format is zoned but not timed")
	}
	if !dated && !timed {
		return nil, badFormat("datetime format is not dated and not timed")
	}
	day, micros, err := r.dateAndTime()
	if err != nil {
		return nil, err
	}
	east, err := r.east()
	if err != nil {
		return nil, err
	}
	t := &pathTime{oid: types.TimeOID, micros: micros, east: east}
	switch {
	case dated && timed:
		if day < firstDay || day > lastTimestampDay {
			return nil, r.outOfRange()
		}
		t.oid, t.day = types.TimestampOID, day
	case dated:
		if day < firstDay || day > lastDay {
			return nil, r.outOfRange()
		}
		t.oid, t.day, t.micros = types.DateOID, day, 0
	}
	switch {
	case zoned && dated:
		t.oid = types.TimestampTZOID
	case zoned:
		t.oid = types.TimeTZOID
	}
	return t, nil
}

// compareTimes compares two dates or times; ok is false if they cannot be. What has
// no zone is compared with what has one in the session's, if that is allowed.
func (r *pathRun) compareTimes(a, b *pathTime) (cmp int, ok bool, err error) {
	isTime := func(t *pathTime) bool { return t.oid == types.TimeOID || t.oid == types.TimeTZOID }
	isZoned := func(t *pathTime) bool { return t.oid == types.TimeTZOID || t.oid == types.TimestampTZOID }
	if isTime(a) != isTime(b) {
		return 0, false, nil
	}
	var utc [2]pathTime
	for k, t := range []*pathTime{a, b} {
		other := []*pathTime{b, a}[k]
		utc[k] = *t
		if !isZoned(t) && isZoned(other) {
			if !r.useTZ {
				return 0, false, types.Errorf(types.CodeFeatureNotSupported, "cannot convert value from %s to %s without time zone usage",
					shortName(t.oid), shortName(other.oid)).WithHint("Use *_tz() function for time zone support.")
			}
			utc[k].east = r.eastOf(t, isTime(t))
		}
		utc[k].micros -= utc[k].east * types.MicrosPerSecond
		if !isTime(t) {
			over := floorDiv(int(utc[k].micros), int(types.MicrosPerDay))
			utc[k].day += int64(over)
			utc[k].micros -= int64(over) * types.MicrosPerDay
		}
	}
	cmp = types.CompareInts(types.Int8OID, utc[0].day, utc[1].day)
	if cmp == 0 {
		cmp = types.CompareInts(types.Int8OID, utc[0].micros, utc[1].micros)
	}
	if cmp == 0 && isTime(a) { // as timetz has it: then by the zone, the eastern one first
		cmp = types.CompareInts(types.Int8OID, utc[1].east, utc[0].east)
	}
	return cmp, true, nil
}

// eastOf is how far the session's zone is east of UTC: for a time now, else at the
// time itself.
func (r *pathRun) eastOf(t *pathTime, isTime bool) int64 {
	loc, at := r.c.Set().Loc(), r.c.TxnTime
	if !isTime {
		// Beyond the range of timestamps zones do not matter.
		day := max(firstDay, min(t.day, lastTimestampDay))
		at = types.ToUTC(day*types.MicrosPerDay+t.micros, loc)
	}
	offset, _ := types.ZoneOffset(at, loc)
	return int64(offset)
}

// shortName is a type's name as it is in pg_type.
func shortName(oid types.OID) string {
	info, _ := types.Lookup(oid)
	if info == nil {
		return ""
	}
	return info.Name
}

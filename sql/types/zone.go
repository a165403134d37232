package types

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// LoadZoneSetting finds the time zone that a TimeZone setting names, and the
// name under which the setting is shown: a zone of the tz database in any case,
// a number of hours east of Greenwich, or an offset by POSIX, which counts
// west. What it returns as a name it accepts again.
func LoadZoneSetting(value string) (loc *time.Location, name string, err error) {
	v := trimSpace(value)
	switch strings.ToUpper(v) {
	case "UTC", "Z", "ZULU", "GREENWICH":
		return time.UTC, "UTC", nil
	case "GMT":
		return time.FixedZone("GMT", 0), "GMT", nil
	}
	if h, err := strconv.ParseFloat(v, 64); err == nil && h >= -24 && h <= 24 {
		east := int(math.Round(h * 3600))
		abbrev := hoursText(east, true)
		return time.FixedZone(abbrev, east), "<" + abbrev + ">" + hoursText(-east, true), nil
	}
	if strings.HasPrefix(v, "<") {
		abbrev, rest, ok := strings.Cut(v[1:], ">")
		if east, good := posixOffset(rest); ok && good {
			return time.FixedZone(abbrev, east), v, nil
		}
	} else if east, ok := posixOffset(v); ok {
		return time.FixedZone("", east), v, nil
	}
	if l, ok := findLocation(v); ok && !strings.ContainsAny(v, " .") {
		return l, l.String(), nil
	}
	if l, ok := posixZone(v); ok {
		return l, v, nil
	}
	return nil, "", Errorf(CodeInvalidParameterValue, "invalid value for parameter \"TimeZone\": \"%s\"", value)
}

// hoursText prints an offset as ±HH[:MM].
func hoursText(sec int, sign bool) string {
	s, abs := "+", sec
	if sec < 0 {
		s, abs = "-", -sec
	}
	if !sign {
		s = ""
	}
	if m := abs / 60 % 60; m != 0 {
		return fmt.Sprintf("%s%02d:%02d", s, abs/3600, m)
	}
	return fmt.Sprintf("%s%02d", s, abs/3600)
}

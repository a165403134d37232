package settings

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

// canonical checks a value and returns it as SHOW prints it.
func (d *Var) canonical(value string) (string, error) {
	switch strings.ToLower(d.Name) {
	case "datestyle":
		return dateStyle(value)
	case "timezone":
		_, name, err := zone(value)
		return name, err
	case "client_encoding":
		switch strings.ToUpper(strings.NewReplacer("-", "", "_", "", "'", "").Replace(value)) {
		case "UTF8", "UNICODE":
			return "UTF8", nil
		case "SQLASCII":
			return "SQL_ASCII", nil
		}
		return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"client_encoding\": \"%s\"", value)
	case "search_path":
		if !validList(value) {
			return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"search_path\": \"%s\"", value).
				WithDetail("List syntax is invalid.")
		}
		return value, nil
	case "application_name":
		return asciiOnly(value), nil
	case "standard_conforming_strings":
		if v, err := boolean(d, value); err != nil || v == "on" {
			return v, err
		}
		return "", types.Errorf(types.CodeFeatureNotSupported, "standard_conforming_strings cannot be turned off")
	}
	switch d.Type {
	case "bool":
		return boolean(d, value)
	case "enum":
		return d.enum(value)
	case "integer":
		return d.number(value)
	}
	return value, nil
}

// validList reports whether a value is a list of names, quoted or without blanks.
func validList(s string) bool {
	if strings.TrimSpace(s) == "" {
		return true
	}
	for {
		s = strings.TrimLeft(s, " \t\n")
		if strings.HasPrefix(s, `"`) {
			end := strings.Index(strings.ReplaceAll(s[1:], `""`, "xx"), `"`)
			if end < 0 {
				return false
			}
			s = s[end+2:]
		} else {
			end := strings.IndexAny(s, " \t\n,\"")
			if end < 0 {
				return s != ""
			}
			if end == 0 {
				return false
			}
			s = s[end:]
		}
		s = strings.TrimLeft(s, " \t\n")
		if s == "" {
			return true
		}
		if s[0] != ',' {
			return false
		}
		s = s[1:]
	}
}

// asciiOnly puts question marks in place of bytes that logs could not show.
func asciiOnly(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func (d *Var) bad(value string) *types.Error {
	return types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", d.Name, value)
}

func boolean(d *Var, value string) (string, error) {
	v := strings.ToLower(value)
	switch {
	case v == "on" || v == "1" || v != "" && (strings.HasPrefix("true", v) || strings.HasPrefix("yes", v)):
		return "on", nil
	case v == "off" || v == "of" || v == "0" || v != "" && (strings.HasPrefix("false", v) || strings.HasPrefix("no", v)):
		return "off", nil
	}
	return "", types.Errorf(types.CodeInvalidParameterValue, "parameter \"%s\" requires a Boolean value", d.Name)
}

func (d *Var) enum(value string) (string, error) {
	v := strings.ToLower(value)
	if v == "debug" && slices.Contains(d.Enum, "debug2") {
		v = "debug2" // a name that is taken and not offered
	}
	if slices.Contains(d.Enum, v) {
		return v, nil
	}
	if strings.EqualFold(d.Name, "synchronous_commit") {
		return boolean(d, value)
	}
	return "", d.bad(value).WithHint("Available values: %s.", strings.Join(d.Enum, ", "))
}

func (d *Var) number(value string) (string, error) {
	n, ok := parseUnits(value, d.Unit)
	if !ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && d.Unit == "" {
			return strconv.FormatFloat(f, 'g', -1, 64), nil
		}
		return "", d.noNumber(value)
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return "", d.bad(value).WithHint("Value exceeds integer range.")
	}
	if (d.Min != 0 || d.Max != 0) && (n < d.Min || n > d.Max) {
		unit := ""
		if d.Unit != "" {
			unit = " " + d.Unit
		}
		return "", types.Errorf(types.CodeInvalidParameterValue, "%d%s is outside the valid range for parameter \"%s\" (%d .. %d)", n, unit, d.Name, d.Min, d.Max)
	}
	return printUnits(n, d.Unit), nil
}

// noNumber is the error of a value that is no number, or has no unit that it may be
// given in.
func (d *Var) noNumber(value string) error {
	of := units[d.Unit]
	if len(of) == 0 || strings.IndexAny(strings.TrimLeft(value, " +-."), "0123456789") != 0 {
		return d.bad(value)
	}
	var names []string
	for _, u := range slices.Backward(of) {
		names = append(names, `"`+u.name+`"`)
	}
	last := len(names) - 1
	return d.bad(value).WithHint("Valid units for this parameter are %s, and %s.", strings.Join(names[:last], ", "), names[last])
}

// unit is a unit that a value may be given in, and how many of the parameter's own
// it is.
type unit struct {
	name string
	size float64
}

// units are those that may be used, by the parameter's own, the largest first.
var units = map[string][]unit{
	"ms": {{"d", 86_400_000}, {"h", 3_600_000}, {"min", 60_000}, {"s", 1000}, {"ms", 1}, {"us", 0.001}},
	"s":  {{"d", 86_400}, {"h", 3600}, {"min", 60}, {"s", 1}, {"ms", 0.001}, {"us", 0.000_001}},
	"kB": {{"TB", 1 << 30}, {"GB", 1 << 20}, {"MB", 1 << 10}, {"kB", 1}, {"B", 1.0 / 1024}},
}

// parseUnits reads a number with an optional unit, in the parameter's own unit.
func parseUnits(s, own string) (int64, bool) {
	s = strings.TrimSpace(s)
	if own == "" {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	end := strings.LastIndexAny(s, ".0123456789") + 1
	v, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0, false
	}
	if suffix := strings.TrimSpace(s[end:]); suffix != "" {
		of := units[own]
		i := slices.IndexFunc(of, func(u unit) bool { return u.name == suffix })
		if i < 0 {
			return 0, false
		}
		isWhole := v == math.Trunc(v)
		if v *= of[i].size; !isWhole && i+1 < len(of) {
			v = math.RoundToEven(v/of[i+1].size) * of[i+1].size // whole ones of the next smaller unit
		}
	}
	const limit = 1 << 62
	return int64(max(-limit, min(limit, math.RoundToEven(v)))), true
}

// printUnits prints a number in the largest unit that divides it.
func printUnits(n int64, own string) string {
	if n > 0 {
		for _, u := range units[own] {
			if u.size >= 1 && n%int64(u.size) == 0 {
				return fmt.Sprintf("%d%s", n/int64(u.size), u.name)
			}
		}
	}
	return strconv.FormatInt(n, 10)
}

func dateStyle(value string) (string, error) {
	style, order := "ISO", "MDY"
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch strings.ToUpper(w) {
		case "ISO":
			style = "ISO"
		case "SQL":
			style = "SQL"
		case "POSTGRES", "POSTGRESQL":
			style = "Postgres"
		case "GERMAN":
			style, order = "German", "DMY"
		case "MDY", "US", "NONEURO", "NONEUROPEAN":
			order = "MDY"
		case "DMY", "EURO", "EUROPEAN":
			order = "DMY"
		case "YMD":
			order = "YMD"
		case "DEFAULT":
		default:
			return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"DateStyle\": \"%s\"", value).
				WithDetail("Unrecognized key word: \"%s\".", strings.ToLower(w))
		}
	}
	return style + ", " + order, nil
}

// zone finds a time zone by name, by abbreviation of UTC or by offset.
func zone(value string) (*time.Location, string, error) {
	v := strings.TrimSpace(value)
	switch strings.ToUpper(v) {
	case "UTC", "Z", "ZULU", "GREENWICH":
		return time.UTC, "UTC", nil
	case "GMT":
		return time.FixedZone("GMT", 0), "GMT", nil
	case "LOCAL", "DEFAULT", "":
		return time.UTC, "UTC", nil
	}
	return types.LoadZoneSetting(value)
}

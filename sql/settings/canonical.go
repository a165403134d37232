package settings

import (
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
	case "default_with_oids":
		v, err := boolean(d, value)
		if v == "on" {
			return "", types.Errorf(types.CodeFeatureNotSupported, "tables declared WITH OIDS are not supported")
		}
		return v, err
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
	case "integer", "real":
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
	if slices.Contains(d.Enum, "on") {
		if v, err := boolean(d, value); err == nil {
			return v, nil // other spellings are taken and not offered
		}
	}
	return "", d.bad(value).WithHint("Available values: %s.", strings.Join(d.Enum, ", "))
}

func (d *Var) number(value string) (string, error) {
	n, ok := parseUnits(value, d.Unit)
	if !ok {
		return "", d.noNumber(value)
	}
	if d.Type == "integer" {
		if n = math.RoundToEven(n); n < math.MinInt32 || n > math.MaxInt32 {
			return "", d.bad(value).WithHint("Value exceeds integer range.")
		}
	}
	if (d.Min != 0 || d.Max != 0) && (n < d.Min || n > d.Max) {
		unit := ""
		if d.Unit != "" {
			unit = " " + d.Unit
		}
		return "", types.Errorf(types.CodeInvalidParameterValue, "%s%s is outside the valid range for parameter \"%s\" (%s .. %s)",
			d.format(n), unit, d.Name, d.format(d.Min), d.format(d.Max))
	}
	return d.inUnits(n), nil
}

// shown prints a number in the parameter's own unit as SHOW does.
func (d *Var) shown(value string) string {
	if n, ok := parseUnits(value, d.Unit); ok && (d.Type == "integer" || d.Type == "real") {
		return d.inUnits(n)
	}
	return value
}

// format prints a number of the parameter's type.
func (d *Var) format(v float64) string {
	if d.Type == "integer" {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
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
	"B":  {{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}},
	// Blocks.
	"8kB": {{"TB", 1 << 27}, {"GB", 1 << 17}, {"MB", 1 << 7}, {"kB", 1.0 / 8}, {"B", 1.0 / 8192}},
}

// parseUnits reads a number with an optional unit, in the parameter's own unit.
func parseUnits(s, own string) (float64, bool) {
	s = strings.TrimSpace(s)
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
	return v, true
}

// inUnits prints a number in the largest unit that it is a whole number of, else
// in the smallest.
func (d *Var) inUnits(n float64) string {
	of := units[d.Unit]
	if n <= 0 || len(of) == 0 {
		return d.format(n)
	}
	var v float64
	for _, u := range of {
		v = n / u.size
		if math.Abs(math.RoundToEven(v)/v-1) <= 1e-8 {
			return d.format(math.RoundToEven(v)) + u.name
		}
	}
	return d.format(v) + of[len(of)-1].name
}

// dateStyle reads a style, an order or both; what is not said stays as it is in old.
func dateStyle(value, old string) (string, error) {
	style, order, _ := strings.Cut(old, ", ")
	hasStyle, hasOrder, conflict := false, false, false
	setStyle := func(v string) { conflict, style, hasStyle = conflict || hasStyle && v != style, v, true }
	setOrder := func(v string) { conflict, order, hasOrder = conflict || hasOrder && v != order, v, true }
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch k := strings.ToUpper(w); {
		case k == "ISO" || k == "SQL":
			setStyle(k)
		case strings.HasPrefix(k, "POSTGRES"):
			setStyle("Postgres")
		case k == "GERMAN":
			setStyle("German")
			if !hasOrder {
				order = "DMY"
			}
		case k == "MDY" || k == "US" || strings.HasPrefix(k, "NONEURO"):
			setOrder("MDY")
		case k == "DMY" || strings.HasPrefix(k, "EURO"):
			setOrder("DMY")
		case k == "YMD":
			setOrder("YMD")
		case k == "DEFAULT":
			if !hasStyle {
				style = "ISO"
			}
			if !hasOrder {
				order = "MDY"
			}
		default:
			return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"DateStyle\": \"%s\"", value).
				WithDetail("Unrecognized key word: \"%s\".", strings.ToLower(w))
		}
	}
	if conflict {
		return "", types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"DateStyle\": \"%s\"", value).
			WithDetail("Conflicting \"datestyle\" specifications.")
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

package settings

import (
	"fmt"
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
		return "", d.bad(value)
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

var timeUnits = []struct {
	name string
	ms   int64
}{{"d", 86_400_000}, {"h", 3_600_000}, {"min", 60_000}, {"s", 1000}, {"ms", 1}}

var sizeUnits = []struct {
	name string
	kb   int64
}{{"TB", 1 << 30}, {"GB", 1 << 20}, {"MB", 1 << 10}, {"kB", 1}}

// parseUnits reads a number with an optional unit, in the parameter's own unit.
func parseUnits(s, unit string) (int64, bool) {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '-' && end == 0 || s[end] == '+' && end == 0) {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil {
		return 0, false
	}
	suffix := strings.TrimSpace(s[end:])
	if suffix == "" {
		return n, true
	}
	if unit == "ms" {
		for _, u := range timeUnits {
			if suffix == u.name {
				return n * u.ms, true
			}
		}
	}
	if unit == "kB" {
		for _, u := range sizeUnits {
			if suffix == u.name {
				return n * u.kb, true
			}
		}
	}
	return 0, false
}

// printUnits prints a number in the largest unit that divides it.
func printUnits(n int64, unit string) string {
	if n > 0 && unit == "ms" {
		for _, u := range timeUnits {
			if n%u.ms == 0 {
				return fmt.Sprintf("%d%s", n/u.ms, u.name)
			}
		}
	}
	if n > 0 && unit == "kB" {
		for _, u := range sizeUnits {
			if n%u.kb == 0 {
				return fmt.Sprintf("%d%s", n/u.kb, u.name)
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

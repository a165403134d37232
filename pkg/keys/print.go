package keys

import (
	"fmt"
	"strconv"
	"strings"
)

// Pretty prints a logical key for people: /Table/104/1/42, /System/"node"/3,
// /Meta/<end key>. What it cannot decode it prints in hexadecimal.
func Pretty(k []byte) string {
	switch {
	case len(k) == 0:
		return "/Min"
	case string(k) == string(MaxKey):
		return "/Max"
	case k[0] == metaByte:
		if len(k) == 1 {
			return "/Meta"
		}
		if end, rest, err := DecodeBytes(nil, k[1:]); err == nil {
			return "/Meta" + Pretty(end) + printParts(rest)
		}
		return "/Meta" + printParts(k[1:])
	case k[0] == systemByte:
		if len(k) == 1 {
			return "/System"
		}
		if name, rest, err := DecodeBytes(nil, k[1:]); err == nil {
			return "/System/" + string(name) + printParts(rest)
		}
		return "/System" + printParts(k[1:])
	case k[0] == tableByte:
		if len(k) == 1 {
			return "/Table"
		}
		return "/Table" + printParts(k[1:])
	}
	return fmt.Sprintf("/%x", k)
}

// Markers before a column's value; sql/rowenc writes them. NULL sorts last
// ascending, as in PostgreSQL.
const (
	// NotNullMarker precedes the encoding of a value.
	NotNullMarker = 0x10
	// NullMarker stands for NULL.
	NullMarker = 0x20
)

// printParts prints encoded columns by what their bytes look like: integers and
// text exactly, anything else in hexadecimal.
func printParts(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		out.WriteByte('/')
		switch {
		case b[0] == NullMarker:
			out.WriteString("NULL")
			b = b[1:]
			continue
		case b[0] == NotNullMarker:
			b = b[1:]
		}
		if v, rest, err := DecodeInt(b); err == nil {
			out.WriteString(strconv.FormatInt(v, 10))
			b = rest
			continue
		}
		if v, rest, err := DecodeBytes(nil, b); err == nil && printable(v) {
			out.WriteString(strconv.Quote(string(v)))
			b = rest
			continue
		}
		fmt.Fprintf(&out, "0x%x", b)
		break
	}
	return out.String()
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

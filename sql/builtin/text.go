package builtin

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	kernel("textcat", concat)
	kernel("byteacat", concat)
	rows(map[string]RowFunc{
		"textlen":        func(c *Call) error { return c.RetInt(int64(utf8.RuneCount(c.Bytes(0)))) },
		"bpcharlen":      func(c *Call) error { return c.RetInt(int64(utf8.RuneCount(types.TrimPadding(c.Bytes(0))))) },
		"textoctetlen":   octetLen,
		"bpcharoctetlen": octetLen,
		"byteaoctetlen":  octetLen,
		"upper":          func(c *Call) error { return c.RetStr(mapCase(c.Str(0), true)) },
		"lower":          func(c *Call) error { return c.RetStr(mapCase(c.Str(0), false)) },
		"initcap":        initcap,
		"text_substr":    func(c *Call) error { return substr(c, c.Int(1), c.Int(2), true) },
		"bytea_substr":   func(c *Call) error { return byteSubstr(c, c.Int(1), c.Int(2), true) },
		"text_left":      textLeft,
		"text_right":     textRight,
		"text_reverse":   textReverse,
		"replace_text":   replaceText,
		"textpos":        textPos,
		"byteapos":       func(c *Call) error { return c.RetInt(int64(bytes.Index(c.Bytes(0), c.Bytes(1)) + 1)) },
		"repeat":         repeat,
		"lpad":           func(c *Call) error { return pad(c, c.Str(2), true) },
		"rpad":           func(c *Call) error { return pad(c, c.Str(2), false) },
		"split_part":     splitPart,
		"translate":      translate,
		"ascii":          ascii,
		"chr":            chr,
		"btrim":          func(c *Call) error { return trimChars(c, c.Str(1), true, true) },
		"btrim1":         func(c *Call) error { return trimChars(c, " ", true, true) },
		"ltrim":          func(c *Call) error { return trimChars(c, c.Str(1), true, false) },
		"ltrim1":         func(c *Call) error { return trimChars(c, " ", true, false) },
		"rtrim":          func(c *Call) error { return trimChars(c, c.Str(1), false, true) },
		"rtrim1":         func(c *Call) error { return c.RetBytes(types.TrimPadding(c.Bytes(0))) },
		"byteatrim":      func(c *Call) error { return trimBytes(c, true, true) },
		"bytealtrim":     func(c *Call) error { return trimBytes(c, true, false) },
		"byteartrim":     func(c *Call) error { return trimBytes(c, false, true) },
		"text_starts_with": func(c *Call) error {
			return c.RetBool(strings.HasPrefix(c.Str(0), c.Str(1)))
		},
		"text_substr_no_len":  func(c *Call) error { return substr(c, c.Int(1), 0, false) },
		"bytea_substr_no_len": func(c *Call) error { return byteSubstr(c, c.Int(1), 0, false) },
		"textoverlay":         func(c *Call) error { return overlay(c, c.Int(3)) },
		"textoverlay_no_len": func(c *Call) error {
			return overlay(c, int64(utf8.RuneCount(c.Bytes(1))))
		},
		"byteaoverlay":        func(c *Call) error { return byteOverlay(c, c.Int(3)) },
		"byteaoverlay_no_len": func(c *Call) error { return byteOverlay(c, int64(len(c.Bytes(1)))) },
		"sql:lpad(text,int4)": func(c *Call) error { return pad(c, " ", true) },
		"sql:rpad(text,int4)": func(c *Call) error { return pad(c, " ", false) },
		"sql:bit_length(text)": func(c *Call) error {
			return c.RetInt(8 * int64(len(c.Bytes(0))))
		},
		"sql:bit_length(bytea)": func(c *Call) error { return c.RetInt(8 * int64(len(c.Bytes(0)))) },
		"nameconcatoid": func(c *Call) error {
			suffix := "_" + types.TextOf(types.OIDOID, c.Datum(1), nil)
			s := c.Str(0)
			for len(s)+len(suffix) > 63 {
				s = s[:len(s)-1]
			}
			return c.RetStr(s + suffix)
		},
	})
	registerAnyCat()
}

// concat appends the second argument to the first.
func concat(c *Call) error {
	a, b, out := c.Args[0], c.Args[1], c.Out
	for k, n := 0, c.len(); k < n; k++ {
		i := c.pos(k)
		out.EndBytes(i, append(append(out.BeginBytes(), a.Bytes(i)...), b.Bytes(i)...))
	}
	return nil
}

// registerAnyCat has text || anything and anything || text, which print the
// other operand.
func registerAnyCat() {
	text := func(c *Call, k int) string {
		// The operand is cast to text, which is not printing for these types.
		switch oid := c.Info.ArgTypes[k].OID; oid {
		case types.BoolOID:
			return strconv.FormatBool(c.Datum(k).Int() != 0)
		case types.BPCharOID:
			return strings.TrimRight(string(c.Bytes(k)), " ")
		default:
			return types.TextOf(oid, c.Datum(k), c.Ctx.Set())
		}
	}
	both := func(c *Call) error { return c.RetStr(text(c, 0) + text(c, 1)) }
	row("sql:textanycat(text,anynonarray)", both)
	row("sql:anytextcat(anynonarray,text)", both)
}

func octetLen(c *Call) error { return c.RetInt(int64(len(c.Bytes(0)))) }

func mapCase(s string, upper bool) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			if upper {
				return strings.ToUpper(s)
			}
			return strings.ToLower(s)
		}
	}
	if upper {
		return strings.ToUpper(s)
	}
	return strings.ToLower(s)
}

func initcap(c *Call) error {
	inWord := false
	return c.RetStr(strings.Map(func(r rune) rune {
		alnum := unicode.IsLetter(r) || unicode.IsDigit(r)
		defer func() { inWord = alnum }()
		if inWord {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, c.Str(0)))
}

// runeRange returns the part of s from character start (1-based) of n
// characters; n below zero means to the end.
func runeRange(s string, start, n int64) string {
	if start > 1 {
		s = skipRunes(s, start-1)
	}
	if n < 0 {
		return s
	}
	return s[:len(s)-len(skipRunes(s, n))]
}

func skipRunes(s string, n int64) string {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < 0x80 {
			i++
			continue
		}
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	return s[i:]
}

func substrBounds(start, n int64, hasLen bool) (from, count int64, err error) {
	if !hasLen {
		return max(start, 1), -1, nil
	}
	end := start + n
	if n < 0 {
		return 0, 0, types.Errorf(types.CodeSubstringError, "negative substring length not allowed")
	}
	if end < start {
		return max(start, 1), -1, nil // overflow: everything
	}
	from = max(start, 1)
	return from, max(end-from, 0), nil
}

func substr(c *Call, start, n int64, hasLen bool) error {
	from, count, err := substrBounds(start, n, hasLen)
	if err != nil {
		return err
	}
	return c.RetStr(runeRange(c.Str(0), from, count))
}

func byteSubstr(c *Call, start, n int64, hasLen bool) error {
	from, count, err := substrBounds(start, n, hasLen)
	if err != nil {
		return err
	}
	b := c.Bytes(0)
	lo := min(from-1, int64(len(b)))
	hi := int64(len(b))
	if count >= 0 {
		hi = min(lo+count, hi)
	}
	return c.RetBytes(b[lo:hi])
}

func textLeft(c *Call) error {
	s, n := c.Str(0), c.Int(1)
	if n < 0 {
		n = max(int64(utf8.RuneCountInString(s))+n, 0)
	}
	return c.RetStr(runeRange(s, 1, n))
}

func textRight(c *Call) error {
	s, n := c.Str(0), c.Int(1)
	total := int64(utf8.RuneCountInString(s))
	if n < 0 {
		n = -n
	} else {
		n = max(total-n, 0)
	}
	return c.RetStr(skipRunes(s, n))
}

func textReverse(c *Call) error {
	rs := []rune(c.Str(0))
	for i, j := 0, len(rs)-1; i < j; i, j = i+1, j-1 {
		rs[i], rs[j] = rs[j], rs[i]
	}
	return c.RetStr(string(rs))
}

func replaceText(c *Call) error {
	if c.Str(1) == "" {
		return c.RetStr(c.Str(0))
	}
	return c.RetStr(strings.ReplaceAll(c.Str(0), c.Str(1), c.Str(2)))
}

func textPos(c *Call) error {
	s := c.Str(0)
	i := strings.Index(s, c.Str(1))
	if i < 0 {
		return c.RetInt(0)
	}
	return c.RetInt(int64(utf8.RuneCountInString(s[:i])) + 1)
}

// maxValueBytes bounds a single value: less than PostgreSQL's gigabyte, for a
// node's memory is shared by many sessions.
const maxValueBytes = 1 << 28

func tooLarge() error {
	return types.Errorf(types.CodeProgramLimitExceeded, "requested length too large")
}

func repeat(c *Call) error {
	s, n := c.Str(0), max(c.Int(1), 0)
	if int64(len(s))*n > maxValueBytes {
		return tooLarge()
	}
	return c.RetStr(strings.Repeat(s, int(n)))
}

func pad(c *Call, fill string, left bool) error {
	s, want := c.Str(0), max(c.Int(1), 0)
	if want > maxValueBytes/4 {
		return tooLarge()
	}
	have := int64(utf8.RuneCountInString(s))
	if have >= want {
		return c.RetStr(runeRange(s, 1, want))
	}
	if fill == "" {
		return c.RetStr(s)
	}
	need := want - have
	unit := int64(utf8.RuneCountInString(fill))
	p := strings.Repeat(fill, int(need/unit)) + runeRange(fill, 1, need%unit)
	if left {
		return c.RetStr(p + s)
	}
	return c.RetStr(s + p)
}

func splitPart(c *Call) error {
	s, sep, n := c.Str(0), c.Str(1), c.Int(2)
	if n == 0 {
		return types.Errorf(types.CodeInvalidParameterValue, "field position must not be zero")
	}
	if s == "" {
		return c.RetStr("")
	}
	parts := []string{s}
	if sep != "" {
		parts = strings.Split(s, sep)
	}
	if n < 0 {
		n += int64(len(parts)) + 1
	}
	if n < 1 || n > int64(len(parts)) {
		return c.RetStr("")
	}
	return c.RetStr(parts[n-1])
}

func translate(c *Call) error {
	from, to := []rune(c.Str(1)), []rune(c.Str(2))
	return c.RetStr(strings.Map(func(r rune) rune {
		for i, f := range from {
			if f == r {
				if i < len(to) {
					return to[i]
				}
				return -1
			}
		}
		return r
	}, c.Str(0)))
}

func ascii(c *Call) error {
	if c.Str(0) == "" {
		return c.RetInt(0)
	}
	r, _ := utf8.DecodeRuneInString(c.Str(0))
	return c.RetInt(int64(r))
}

func chr(c *Call) error {
	v := c.Int(0)
	switch {
	case v == 0:
		return types.Errorf(types.CodeProgramLimitExceeded, "null character not permitted")
	case v < 0:
		return types.Errorf(types.CodeInvalidParameterValue, "character number must be positive")
	case v > unicode.MaxRune:
		return types.Errorf(types.CodeProgramLimitExceeded, "requested character too large for encoding: %d", v)
	case v >= 0xd800 && v < 0xe000:
		return types.Errorf(types.CodeProgramLimitExceeded, "requested character not valid for encoding: %d", v)
	}
	return c.RetStr(string(rune(v)))
}

func trimChars(c *Call, set string, left, right bool) error {
	s := c.Str(0)
	if left {
		s = strings.TrimLeft(s, set)
	}
	if right {
		s = strings.TrimRight(s, set)
	}
	return c.RetStr(s)
}

func trimBytes(c *Call, left, right bool) error {
	b, set := c.Bytes(0), c.Bytes(1)
	for left && len(b) > 0 && bytes.IndexByte(set, b[0]) >= 0 {
		b = b[1:]
	}
	for right && len(b) > 0 && bytes.IndexByte(set, b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return c.RetBytes(b)
}

func overlay(c *Call, n int64) error {
	s, repl, start := c.Str(0), c.Str(1), c.Int(2)
	if start <= 0 {
		return types.Errorf(types.CodeSubstringError, "negative substring length not allowed")
	}
	if start+n > rangeInt4.max {
		return rangeInt4.overflow()
	}
	return c.RetStr(runeRange(s, 1, start-1) + repl + skipRunes(s, max(start-1+n, 0)))
}

func byteOverlay(c *Call, n int64) error {
	b, start := c.Bytes(0), c.Int(2)
	if start <= 0 {
		return types.Errorf(types.CodeSubstringError, "negative substring length not allowed")
	}
	if start+n > rangeInt4.max {
		return rangeInt4.overflow()
	}
	lo := min(start-1, int64(len(b)))
	hi := min(max(start-1+n, 0), int64(len(b)))
	out := append([]byte(nil), b[:lo]...)
	out = append(out, c.Bytes(1)...)
	return c.RetBytes(append(out, b[hi:]...))
}

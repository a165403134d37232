package builtin

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	rows(map[string]RowFunc{
		"pg_num_nulls":                  func(c *Call) error { return numNulls(c, true) },
		"pg_num_nonnulls":               func(c *Call) error { return numNulls(c, false) },
		"width_bucket_array":            widthBucketArray,
		"sql:substring(text,text,text)": substringSimilar,
		"enum_cmp": func(c *Call) error {
			return c.RetInt(int64(bytes.Compare(c.Bytes(0), c.Bytes(1))))
		},
		"enum_first":     func(c *Call) error { return enumEnd(c, true) },
		"enum_last":      func(c *Call) error { return enumEnd(c, false) },
		"enum_range_all": func(c *Call) error { return enumRange(c, types.Null, types.Null) },
		"enum_range_bounds": func(c *Call) error {
			return enumRange(c, c.Datum(0), c.Datum(1))
		},
	})
}

// numNulls counts the arguments, or the elements of a VARIADIC array, that are
// NULL or are not.
func numNulls(c *Call, null bool) error {
	n := int64(0)
	if c.Info.Variadic {
		if c.IsNull(0) {
			return c.RetNull()
		}
		f := c.Array(0)
		for i := 0; i < f.Len(); i++ {
			if _, isNull := f.Image(i); isNull == null {
				n++
			}
		}
		return c.RetInt(n)
	}
	for k := range c.Args {
		if c.IsNull(k) == null {
			n++
		}
	}
	return c.RetInt(n)
}

func widthBucketArray(c *Call) error {
	f, x := c.Array(1), c.Datum(0)
	if f.NDim() > 1 {
		return types.Errorf(types.CodeArraySubscriptError, "thresholds must be one-dimensional array")
	}
	for i := 0; i < f.Len(); i++ {
		if f.At(i).IsNull() {
			return types.Errorf(types.CodeNullValueNotAllowed, "thresholds array must not contain NULLs")
		}
	}
	return c.RetInt(int64(sort.Search(f.Len(), func(i int) bool { return types.Compare(f.Elem(), f.At(i), x) > 0 })))
}

// substringSimilar is SUBSTRING(s SIMILAR pattern ESCAPE e): the part between
// the two escaped quotes, or all of it.
func substringSimilar(c *Call) error {
	s, pat, esc := c.Str(0), c.Str(1), c.Str(2)
	if utf8.RuneCountInString(esc) > 1 {
		return types.Errorf(types.CodeInvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	mark := esc + `"`
	parts := strings.Split(pat, mark)
	if esc == "" || len(parts) == 1 {
		parts = []string{"", pat, ""}
	}
	if len(parts) != 3 {
		return types.Errorf("2200C", "SQL regular expression may not contain more than two escape-double-quote separators")
	}
	re := "^"
	for i, p := range parts {
		body := similarBody(p, esc)
		if i == 1 {
			re += "(" + body + ")"
		} else {
			re += "(?:" + body + ")"
		}
	}
	p, err := compilePattern(re+"$", "")
	if err != nil {
		return err
	}
	m := p.re.FindStringSubmatchIndex(s)
	if err := p.failed(); err != nil {
		return err
	}
	if m == nil || m[2] < 0 {
		return c.RetNull()
	}
	return c.RetStr(s[m[2]:m[3]])
}

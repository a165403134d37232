package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

// formatArgs gives format() its arguments by position.
type formatArgs struct {
	c    *Call
	flat types.FlatArray // after VARIADIC
}

func (a formatArgs) get(k int) (d types.Datum, oid types.OID, ok bool) {
	if a.c.Info.Variadic {
		if a.flat == nil || k > a.flat.Len() {
			return types.Null, 0, false
		}
		return a.flat.At(k - 1), a.flat.Elem(), true
	}
	if k >= len(a.c.Args) {
		return types.Null, 0, false
	}
	return a.c.Datum(k), a.c.Info.ArgTypes[k].OID, true
}

// formatText is format(): %s, %I, %L, %% with positions, width and a minus.
func formatText(c *Call) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	args := formatArgs{c: c}
	if c.Info.Variadic && len(c.Args) > 1 && !c.IsNull(1) {
		args.flat = types.FlatArray(c.Bytes(1))
	}
	f := c.Str(0)
	var out strings.Builder
	next := 1
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			out.WriteByte(f[i])
			continue
		}
		if i++; i >= len(f) {
			return unterminated()
		}
		if f[i] == '%' {
			out.WriteByte('%')
			continue
		}
		var err error
		if i, err = formatOne(&out, args, f, i, &next); err != nil {
			return err
		}
	}
	return c.RetStr(out.String())
}

func unterminated() error {
	return types.Errorf(types.CodeInvalidParameterValue, "unterminated format() type specifier").
		WithHint("%s", formatHint)
}

func number(f string, i int) (v, next int) {
	for next = i; next < len(f) && f[next] >= '0' && f[next] <= '9' && v < 1<<27; next++ {
		v = v*10 + int(f[next]-'0')
	}
	return v, next
}

func formatOne(out *strings.Builder, args formatArgs, f string, i int, next *int) (int, error) {
	pos, width, left := 0, 0, false
	if v, j := number(f, i); j > i && j < len(f) && f[j] == '$' {
		if v == 0 {
			return i, types.Errorf(types.CodeInvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
		}
		pos, i = v, j+1
	}
	for i < len(f) && f[i] == '-' {
		left = true
		i++
	}
	if i < len(f) && f[i] == '*' {
		i++
		wpos := *next
		if v, j := number(f, i); j > i && j < len(f) && f[j] == '$' {
			if v == 0 {
				return i, types.Errorf(types.CodeInvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
			}
			wpos, i = v, j+1
		}
		*next = wpos + 1
		d, oid, ok := args.get(wpos)
		if !ok {
			return i, tooFew()
		}
		if !d.IsNull() {
			w, err := types.ParseText(types.Int4Type, types.TextOf(oid, d, args.c.Ctx.Set()), nil)
			if err != nil {
				return i, err
			}
			if width = int(w.Int()); width < 0 {
				width, left = -width, true
			}
		}
	} else {
		width, i = number(f, i)
	}
	if i >= len(f) {
		return i, unterminated()
	}
	if pos == 0 {
		pos = *next
	}
	*next = pos + 1
	d, oid, ok := args.get(pos)
	if strings.IndexByte("sIL", f[i]) < 0 {
		return i, types.Errorf(types.CodeInvalidParameterValue, "unrecognized format() type specifier \"%c\"", f[i]).
			WithHint("%s", formatHint)
	}
	if !ok {
		return i, tooFew()
	}
	s, err := formatValue(args, f[i], d, oid)
	pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if left {
		out.WriteString(s + pad)
	} else {
		out.WriteString(pad + s)
	}
	return i, err
}

func tooFew() error {
	return types.Errorf(types.CodeInvalidParameterValue, "too few arguments for format()")
}

func formatValue(args formatArgs, verb byte, d types.Datum, oid types.OID) (string, error) {
	if d.IsNull() {
		switch verb {
		case 'I':
			return "", types.Errorf(types.CodeNullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
		case 'L':
			return "NULL", nil
		}
		return "", nil
	}
	s := types.TextOf(oid, d, args.c.Ctx.Set())
	switch verb {
	case 'I':
		return QuoteIdent(s), nil
	case 'L':
		return QuoteLiteral(s), nil
	}
	return s, nil
}

const formatHint = "For a single \"%\" use \"%%\"."

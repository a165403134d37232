package builtin

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	hexMD5 := func(c *Call) error {
		s := md5.Sum(c.Bytes(0))
		return c.RetStr(hex.EncodeToString(s[:]))
	}
	rows(map[string]RowFunc{
		"md5_text":  hexMD5,
		"md5_bytea": hexMD5,
		"sha224_bytea": func(c *Call) error {
			s := sha256.Sum224(c.Bytes(0))
			return c.RetBytes(s[:])
		},
		"sha256_bytea": func(c *Call) error {
			s := sha256.Sum256(c.Bytes(0))
			return c.RetBytes(s[:])
		},
		"sha384_bytea": func(c *Call) error {
			s := sha512.Sum384(c.Bytes(0))
			return c.RetBytes(s[:])
		},
		"sha512_bytea": func(c *Call) error {
			s := sha512.Sum512(c.Bytes(0))
			return c.RetBytes(s[:])
		},
		"to_hex32":      func(c *Call) error { return c.RetStr(strconv.FormatUint(uint64(uint32(c.Int(0))), 16)) },
		"to_hex64":      func(c *Call) error { return c.RetStr(strconv.FormatUint(uint64(c.Int(0)), 16)) },
		"binary_encode": binaryEncode,
		"binary_decode": binaryDecode,
		"quote_ident":   func(c *Call) error { return c.RetStr(QuoteIdent(c.Str(0))) },
		"quote_literal": func(c *Call) error { return c.RetStr(QuoteLiteral(c.Str(0))) },
		"quote_nullable": func(c *Call) error {
			if c.IsNull(0) {
				return c.RetStr("NULL")
			}
			return c.RetStr(QuoteLiteral(c.Str(0)))
		},
		"sql:quote_literal(anyelement)": func(c *Call) error { return c.RetStr(QuoteLiteral(argText(c, 0))) },
		"sql:quote_nullable(anyelement)": func(c *Call) error {
			if c.IsNull(0) {
				return c.RetStr("NULL")
			}
			return c.RetStr(QuoteLiteral(argText(c, 0)))
		},
		"text_concat": func(c *Call) error {
			if c.Info.Variadic && c.IsNull(0) {
				return c.RetNull()
			}
			return c.RetStr(strings.Join(concatArgs(c, 0), ""))
		},
		"text_concat_ws":         concatWS,
		"text_format":            formatText,
		"text_format_nv":         formatText,
		"bytea_bit_count":        bitCount,
		"byteaGetByte":           getByte,
		"byteaSetByte":           setByte,
		"byteaGetBit":            getBit,
		"byteaSetBit":            setBit,
		"unicode_normalize_func": normalize,
		"unicode_is_normalized": func(c *Call) error {
			f, err := normForm(c.Str(1))
			if err != nil {
				return err
			}
			return c.RetBool(f.IsNormalString(c.Str(0)))
		},
		"unistr":      unistr,
		"parse_ident": parseIdent,
	})
}

func argText(c *Call, k int) string {
	return types.TextOf(c.Info.ArgTypes[k].OID, c.Datum(k), c.Ctx.Set())
}

// concatArgs returns the texts of the arguments from k on that are not NULL;
// after VARIADIC those are the array's elements.
func concatArgs(c *Call, k int) []string {
	var out []string
	if c.Info.Variadic {
		if c.IsNull(k) {
			return nil
		}
		f := types.FlatArray(c.Bytes(k))
		for i := 0; i < f.Len(); i++ {
			if e := f.At(i); !e.IsNull() {
				out = append(out, types.TextOf(f.Elem(), e, c.Ctx.Set()))
			}
		}
		return out
	}
	for ; k < len(c.Args); k++ {
		if !c.IsNull(k) {
			out = append(out, argText(c, k))
		}
	}
	return out
}

func concatWS(c *Call) error {
	if c.IsNull(0) || c.Info.Variadic && c.IsNull(1) {
		return c.RetNull()
	}
	return c.RetStr(strings.Join(concatArgs(c, 1), c.Str(0)))
}

// QuoteLiteral returns s as an SQL string literal.
func QuoteLiteral(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.IndexByte(s, '\\') >= 0 {
		return "E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// QuoteIdent returns s as an SQL identifier, quoted where necessary.
func QuoteIdent(s string) string {
	plain := s != "" && (s[0] == '_' || s[0] >= 'a' && s[0] <= 'z')
	for i := 0; i < len(s) && plain; i++ {
		ch := s[i]
		plain = ch == '_' || ch >= 'a' && ch <= 'z' || ch >= '0' && ch <= '9'
	}
	if plain && !reservedWords[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// reservedWords are the keywords that cannot stand as a name unquoted.
var reservedWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric authorization between bigint binary
		bit boolean both case cast char character check coalesce collate collation column concurrently constraint create
		cross current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
		decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze
		from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into
		is isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none normalize
		not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision
		primary real references returning right row select session_user setof similar smallint some substring symmetric
		table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
		verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
		xmlroot xmlserialize xmltable`) {
		m[w] = true
	}
	return m
}()

func binaryEncode(c *Call) error {
	b := c.Bytes(0)
	switch strings.ToLower(c.Str(1)) {
	case "hex":
		return c.RetStr(hex.EncodeToString(b))
	case "base64":
		s := base64.StdEncoding.EncodeToString(b)
		var out strings.Builder
		for len(s) > 76 {
			out.WriteString(s[:76] + "\n")
			s = s[76:]
		}
		return c.RetStr(out.String() + s)
	case "escape":
		var out []byte
		for _, ch := range b {
			switch {
			case ch == 0 || ch >= 0x80:
				out = append(out, '\\', '0'+ch>>6, '0'+ch>>3&7, '0'+ch&7)
			case ch == '\\':
				out = append(out, '\\', '\\')
			default:
				out = append(out, ch)
			}
		}
		return c.RetBytes(out)
	}
	return types.Errorf(types.CodeInvalidParameterValue, "unrecognized encoding: \"%s\"", c.Str(1))
}

func binaryDecode(c *Call) error {
	s := c.Str(0)
	switch strings.ToLower(c.Str(1)) {
	case "hex", "escape":
		in := s
		if strings.EqualFold(c.Str(1), "hex") {
			in = `\x` + s
		} else if strings.HasPrefix(s, `\x`) {
			in = `\134` + s[1:]
		}
		d, err := types.ParseText(types.ByteaType, in, nil)
		if err != nil {
			return err
		}
		return c.Ret(d)
	case "base64":
		clean := strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
				return -1
			}
			return r
		}, s)
		b, err := base64.StdEncoding.DecodeString(clean)
		if err != nil {
			for _, r := range clean {
				if r != '=' && !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", r) {
					return types.Errorf(types.CodeInvalidParameterValue, "invalid symbol \"%c\" found while decoding base64 sequence", r)
				}
			}
			return types.Errorf(types.CodeInvalidParameterValue, "invalid base64 end sequence").
				WithHint("Input data is missing padding, is truncated, or is otherwise corrupted.")
		}
		return c.RetBytes(b)
	}
	return types.Errorf(types.CodeInvalidParameterValue, "unrecognized encoding: \"%s\"", c.Str(1))
}

func bitCount(c *Call) error {
	n := 0
	for _, b := range c.Bytes(0) {
		n += bits.OnesCount8(b)
	}
	return c.RetInt(int64(n))
}

func indexError(i int64, n int) error {
	return types.Errorf(types.CodeArraySubscriptError, "index %d out of valid range, 0..%d", i, n-1)
}

func getByte(c *Call) error {
	b, i := c.Bytes(0), c.Int(1)
	if i < 0 || i >= int64(len(b)) {
		return indexError(i, len(b))
	}
	return c.RetInt(int64(b[i]))
}

func setByte(c *Call) error {
	b, i := append([]byte(nil), c.Bytes(0)...), c.Int(1)
	if i < 0 || i >= int64(len(b)) {
		return indexError(i, len(b))
	}
	b[i] = byte(c.Int(2))
	return c.RetBytes(b)
}

func getBit(c *Call) error {
	b, i := c.Bytes(0), c.Int(1)
	if i < 0 || i >= int64(len(b))*8 {
		return indexError(i, len(b)*8)
	}
	return c.RetInt(int64(b[i/8] >> (uint(i) % 8) & 1))
}

func setBit(c *Call) error {
	b, i := append([]byte(nil), c.Bytes(0)...), c.Int(1)
	if i < 0 || i >= int64(len(b))*8 {
		return indexError(i, len(b)*8)
	}
	switch c.Int(2) {
	case 0:
		b[i/8] &^= 1 << (uint(i) % 8)
	case 1:
		b[i/8] |= 1 << (uint(i) % 8)
	default:
		return types.Errorf(types.CodeInvalidParameterValue, "new bit must be 0 or 1")
	}
	return c.RetBytes(b)
}

func normForm(name string) (norm.Form, error) {
	switch strings.ToUpper(name) {
	case "NFC":
		return norm.NFC, nil
	case "NFD":
		return norm.NFD, nil
	case "NFKC":
		return norm.NFKC, nil
	case "NFKD":
		return norm.NFKD, nil
	}
	return 0, types.Errorf(types.CodeInvalidParameterValue, "invalid normalization form: %s", name)
}

func normalize(c *Call) error {
	f, err := normForm(c.Str(1))
	if err != nil {
		return err
	}
	return c.RetStr(f.String(c.Str(0)))
}

// unistr reads \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX.
func unistr(c *Call) error {
	s := c.Str(0)
	var out strings.Builder
	pair := types.Errorf(types.CodeSyntaxError, "invalid Unicode surrogate pair")
	high := rune(0) // the first of a pair, to be followed by the second at once
	bad := types.Errorf(types.CodeSyntaxError, "invalid Unicode escape").
		WithHint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
	for i := 0; i < len(s); {
		if high != 0 && (s[i] != '\\' || strings.HasPrefix(s[i:], `\\`)) {
			return pair
		}
		if s[i] != '\\' {
			out.WriteByte(s[i])
			i++
			continue
		}
		if strings.HasPrefix(s[i:], `\\`) {
			out.WriteByte('\\')
			i += 2
			continue
		}
		start, n := i+1, 4
		if start < len(s) {
			switch s[start] {
			case '+':
				start, n = start+1, 6
			case 'u':
				start++
			case 'U':
				start, n = start+1, 8
			}
		}
		if start+n > len(s) {
			return bad
		}
		v, err := strconv.ParseUint(s[start:start+n], 16, 32)
		if err != nil {
			return bad
		}
		i = start + n
		switch r := rune(v); {
		case v < 1 || v > unicode.MaxRune:
			return types.Errorf(types.CodeInvalidParameterValue, "invalid Unicode code point: %04X", v)
		case utf16.IsSurrogate(r) && r < 0xdc00:
			if high != 0 {
				return pair
			}
			high = r
		case utf16.IsSurrogate(r):
			if high == 0 {
				return pair
			}
			out.WriteRune(utf16.DecodeRune(high, r))
			high = 0
		case high != 0:
			return pair
		default:
			out.WriteRune(r)
		}
	}
	if high != 0 {
		return pair
	}
	return c.RetStr(out.String())
}

// parseIdent splits a qualified name into its parts.
func parseIdent(c *Call) error {
	s, strict := c.Str(0), c.Bool(1)
	bad := func() error {
		return types.Errorf(types.CodeInvalidParameterValue, "string is not a valid identifier: \"%s\"", c.Str(0))
	}
	var parts []types.Datum
	s = strings.TrimLeft(s, " \t\n")
	for {
		var part string
		switch {
		case strings.HasPrefix(s, `"`):
			i := 1
			for i < len(s) && (s[i] != '"' || strings.HasPrefix(s[i:], `""`)) {
				if s[i] == '"' {
					part += `"`
					i += 2
					continue
				}
				part += s[i : i+1]
				i++
			}
			if i >= len(s) || part == "" {
				return bad()
			}
			s = s[i+1:]
		default:
			i := 0
			for i < len(s) && (s[i] == '_' || s[i] >= 0x80 || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' ||
				i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '$')) {
				i++
			}
			if i == 0 {
				return bad()
			}
			part, s = strings.ToLower(s[:i]), s[i:]
		}
		parts = append(parts, types.NewString(part))
		s = strings.TrimLeft(s, " \t\n")
		if !strings.HasPrefix(s, ".") {
			break
		}
		s = strings.TrimLeft(s[1:], " \t\n")
	}
	if s != "" && strict {
		return bad()
	}
	return c.Ret(types.ArrayDatum(types.NewArray(types.TextOID, parts)))
}

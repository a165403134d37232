package builtin

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	rows(map[string]RowFunc{
		"pg_convert_from":    convertFrom,
		"pg_convert_to":      func(c *Call) error { return convertTo(c, "UTF8", c.Str(1)) },
		"pg_convert":         func(c *Call) error { return convertTo(c, c.Str(1), c.Str(2)) },
		"length_in_encoding": lengthInEncoding,
	})
}

// charset is an encoding of text; enc is nil for UTF8.
type charset struct {
	name string
	enc  encoding.Encoding
}

// charsets are the encodings that text is converted from and to, by their names
// without punctuation.
var charsets = map[string]charset{
	"utf8": {name: "UTF8"}, "unicode": {name: "UTF8"},
	"latin1": {"LATIN1", charmap.ISO8859_1}, "iso88591": {"LATIN1", charmap.ISO8859_1},
	"latin2": {"LATIN2", charmap.ISO8859_2}, "iso88592": {"LATIN2", charmap.ISO8859_2},
	"latin3": {"LATIN3", charmap.ISO8859_3}, "iso88593": {"LATIN3", charmap.ISO8859_3},
	"latin4": {"LATIN4", charmap.ISO8859_4}, "iso88594": {"LATIN4", charmap.ISO8859_4},
	"latin5": {"LATIN5", charmap.ISO8859_9}, "iso88599": {"LATIN5", charmap.ISO8859_9},
	"latin6": {"LATIN6", charmap.ISO8859_10}, "iso885910": {"LATIN6", charmap.ISO8859_10},
	"latin7": {"LATIN7", charmap.ISO8859_13}, "iso885913": {"LATIN7", charmap.ISO8859_13},
	"latin8": {"LATIN8", charmap.ISO8859_14}, "iso885914": {"LATIN8", charmap.ISO8859_14},
	"latin9": {"LATIN9", charmap.ISO8859_15}, "iso885915": {"LATIN9", charmap.ISO8859_15},
	"latin10": {"LATIN10", charmap.ISO8859_16}, "iso885916": {"LATIN10", charmap.ISO8859_16},
	"iso88595": {"ISO_8859_5", charmap.ISO8859_5}, "iso88596": {"ISO_8859_6", charmap.ISO8859_6},
	"iso88597": {"ISO_8859_7", charmap.ISO8859_7}, "iso88598": {"ISO_8859_8", charmap.ISO8859_8},
	"win866": {"WIN866", charmap.CodePage866}, "win874": {"WIN874", charmap.Windows874},
	"win1250": {"WIN1250", charmap.Windows1250}, "win1251": {"WIN1251", charmap.Windows1251},
	"win1252": {"WIN1252", charmap.Windows1252}, "win1253": {"WIN1253", charmap.Windows1253},
	"win1254": {"WIN1254", charmap.Windows1254}, "win1255": {"WIN1255", charmap.Windows1255},
	"win1256": {"WIN1256", charmap.Windows1256}, "win1257": {"WIN1257", charmap.Windows1257},
	"win1258": {"WIN1258", charmap.Windows1258},
	"koi8r":   {"KOI8R", charmap.KOI8R}, "koi8": {"KOI8R", charmap.KOI8R}, "koi8u": {"KOI8U", charmap.KOI8U},
	"sjis": {"SJIS", japanese.ShiftJIS}, "eucjp": {"EUC_JP", japanese.EUCJP}, "euckr": {"EUC_KR", korean.EUCKR},
	"gbk": {"GBK", simplifiedchinese.GBK}, "gb18030": {"GB18030", simplifiedchinese.GB18030}, "big5": {"BIG5", traditionalchinese.Big5},
}

// findCharset looks an encoding up; role says what it is for, in errors.
func findCharset(name, role string) (charset, error) {
	key := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, name))
	if c, ok := charsets[key]; ok {
		return c, nil
	}
	return charset{}, types.Errorf(types.CodeInvalidParameterValue, "invalid %s encoding name \"%s\"", role, name)
}

// decode returns b as UTF8.
func (c charset) decode(b []byte) ([]byte, error) {
	if c.enc == nil {
		return b, types.CheckUTF8(b)
	}
	dec := c.enc.NewDecoder()
	out, err := dec.Bytes(b)
	if err != nil || !strings.ContainsRune(string(out), utf8.RuneError) {
		return out, err
	}
	// Which character it was: the first that is lost alone.
	for i := range b {
		if one, err := c.enc.NewDecoder().Bytes(b[:i+1]); err != nil || strings.ContainsRune(string(one), utf8.RuneError) {
			return nil, noEquivalent(b[i:i+1], c.name, "UTF8")
		}
	}
	return out, nil
}

// encode returns UTF8 text in the encoding.
func (c charset) encode(b []byte) ([]byte, error) {
	if c.enc == nil {
		return b, nil
	}
	enc := c.enc.NewEncoder()
	if out, err := enc.Bytes(b); err == nil {
		return out, nil
	}
	for _, r := range string(b) {
		if _, err := c.enc.NewEncoder().Bytes([]byte(string(r))); err != nil {
			return nil, noEquivalent([]byte(string(r)), "UTF8", c.name)
		}
	}
	return nil, noEquivalent(b, "UTF8", c.name)
}

func noEquivalent(b []byte, from, to string) error {
	const digits = "0123456789abcdef"
	var shown []string
	for _, x := range b {
		shown = append(shown, "0x"+string([]byte{digits[x>>4], digits[x&15]}))
	}
	return types.Errorf("22P05", "character with byte sequence %s in encoding \"%s\" has no equivalent in encoding \"%s\"",
		strings.Join(shown, " "), from, to)
}

func convertFrom(c *Call) error {
	cs, err := findCharset(c.Str(1), "source")
	if err != nil {
		return err
	}
	b, err := cs.decode(c.Bytes(0))
	if err != nil {
		return err
	}
	return c.RetBytes(b)
}

func convertTo(c *Call, from, to string) error {
	src, err := findCharset(from, "source")
	if err != nil {
		return err
	}
	dst, err := findCharset(to, "destination")
	if err != nil {
		return err
	}
	b, err := src.decode(c.Bytes(0))
	if err != nil {
		return err
	}
	if b, err = dst.encode(b); err != nil {
		return err
	}
	return c.RetBytes(b)
}

func lengthInEncoding(c *Call) error {
	cs, err := findCharset(c.Str(1), "encoding")
	if err != nil {
		return types.Errorf(types.CodeInvalidParameterValue, "invalid encoding name \"%s\"", c.Str(1))
	}
	b, err := cs.decode(c.Bytes(0))
	if err != nil {
		return err
	}
	return c.RetInt(int64(utf8.RuneCount(b)))
}

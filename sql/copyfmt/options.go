package copyfmt

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// MaxRowBytes bounds one row's text, and with it what a client that sends no
// line end makes a node hold.
const MaxRowBytes = 128 << 20

// Options are COPY's; the zero value is not usable, see Text and CSV.
type Options struct {
	// Binary has no other options; BinaryReader reads it.
	Binary    bool
	CSV       bool
	Delimiter byte
	// Null is the text that stands for NULL.
	Null string
	// Header writes a line of names, or skips one; HeaderMatch compares it.
	Header, HeaderMatch bool
	// Quote and Escape are CSV's.
	Quote, Escape byte
	// ForceQuote lists columns that are always quoted; ForceQuoteAll means all.
	ForceQuote    []bool
	ForceQuoteAll bool
	// ForceNull and ForceNotNull change how NULL is recognized in CSV.
	ForceNull, ForceNotNull []bool
}

// Text returns the text format's defaults.
func Text() Options { return Options{Delimiter: '\t', Null: `\N`} }

// CSV returns the CSV format's defaults.
func CSV() Options { return Options{CSV: true, Delimiter: ',', Quote: '"', Escape: '"'} }

// Check reports a combination that PostgreSQL refuses.
func (o *Options) Check() error {
	bad := func(code, msg string) error { return &types.Error{Code: code, Message: msg} }
	const feature, param = "0A000", "22023"
	switch {
	case o.Delimiter == '\n' || o.Delimiter == '\r':
		return bad(param, "COPY delimiter cannot be newline or carriage return")
	case strings.ContainsAny(o.Null, "\r\n"):
		return bad(param, "COPY null representation cannot use newline or carriage return")
	case !o.CSV && strings.IndexByte(`\.abcdefghijklmnopqrstuvwxyz0123456789`, o.Delimiter) >= 0:
		return bad(param, `COPY delimiter cannot be "`+string(o.Delimiter)+`"`)
	case o.CSV && o.Delimiter == o.Quote:
		return bad(param, "COPY delimiter and quote must be different")
	case !o.CSV && (o.ForceQuoteAll || o.ForceQuote != nil):
		return bad(feature, "COPY force quote available only in CSV mode")
	case !o.CSV && o.ForceNotNull != nil:
		return bad(feature, "COPY force not null available only in CSV mode")
	case !o.CSV && o.ForceNull != nil:
		return bad(feature, "COPY force null available only in CSV mode")
	case strings.IndexByte(o.Null, o.Delimiter) >= 0:
		return bad(feature, "COPY delimiter must not appear in the NULL specification")
	case o.CSV && o.Null != "" && strings.IndexByte(o.Null, o.Quote) >= 0:
		return bad(feature, "CSV quote character must not appear in the NULL specification")
	}
	return nil
}

// Field is one value: text, or NULL.
type Field struct {
	Text []byte
	Null bool
}

func at(list []bool, i int) bool { return i < len(list) && list[i] }

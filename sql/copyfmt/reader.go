package copyfmt

import (
	"bytes"
	"fmt"
	"io"

	"github.com/pamirdb/pamir/sql/types"
)

const readerBuffer = 256 << 10

// Reader takes rows out of a stream.
type Reader struct {
	src   io.Reader
	o     Options
	names []string

	buf        []byte
	start, end int
	eof        bool
	ending     ending
	line       int
	begun      bool
	fields     []Field
	scratch    []byte
	text       []byte // of the last row's line
}

// NewReader returns a reader of rows that have one field for each name.
func NewReader(src io.Reader, o Options, names []string) *Reader {
	return &Reader{src: src, o: o, names: names, buf: make([]byte, readerBuffer), fields: make([]Field, 0, len(names))}
}

// Line is the number of the last row's line, from 1, for error contexts, Text
// what is in it, until the next Read.
func (r *Reader) Line() int { return r.line }

// Column is -1: a line is read before it is divided.
func (r *Reader) Column() int { return -1 }

// Text is described at Line.
func (r *Reader) Text() []byte { return r.text }

// Read returns the next row; its fields are valid until the next call. io.EOF
// ends the data.
func (r *Reader) Read() ([]Field, error) {
	if !r.begun {
		r.begun = true
		if r.o.Header || r.o.HeaderMatch {
			if err := r.header(); err != nil {
				return nil, err
			}
		}
	}
	fields, err := r.row()
	if err != nil {
		return nil, err
	}
	switch {
	case len(fields) < len(r.names):
		return nil, r.bad(fmt.Sprintf("missing data for column %q", r.names[len(fields)]))
	case len(fields) > len(r.names):
		return nil, r.bad("extra data after last expected column")
	}
	return fields, nil
}

func (r *Reader) bad(msg string) *types.Error {
	return &types.Error{Code: types.CodeBadCopyFileFormat, Message: msg}
}

func (r *Reader) header() error {
	fields, err := r.row()
	switch {
	case err == io.EOF && r.o.HeaderMatch:
		// As if there were an empty line.
		fields, r.line = []Field{{Null: r.o.Null == ""}}, r.line+1
	case err == io.EOF:
		return nil
	case err != nil || !r.o.HeaderMatch:
		return err
	}
	if len(fields) != len(r.names) {
		return r.bad(fmt.Sprintf("wrong number of fields in header line: got %d, expected %d", len(fields), len(r.names)))
	}
	for i, f := range fields {
		if f.Null {
			return r.bad(fmt.Sprintf("column name mismatch in header line field %d: got null value (\"%s\"), expected \"%s\"", i+1, r.o.Null, r.names[i]))
		}
		if string(f.Text) != r.names[i] {
			return r.bad(fmt.Sprintf("column name mismatch in header line field %d: got \"%s\", expected \"%s\"", i+1, f.Text, r.names[i]))
		}
	}
	return nil
}

// row splits one row, of any number of fields.
func (r *Reader) row() ([]Field, error) {
	r.text = nil // there is no such row yet
	line, err := r.next()
	if err != nil {
		return nil, err
	}
	r.fields, r.scratch, r.text = r.fields[:0], r.scratch[:0], line
	if len(r.names) == 0 && len(line) == 0 {
		return r.fields, nil
	}
	if r.o.CSV {
		return r.splitCSV(line)
	}
	return r.splitText(line)
}

// fill reads more, moving or growing the buffer.
func (r *Reader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		if len(r.buf) >= MaxRowBytes {
			return &types.Error{Code: "54000", Message: "COPY row is too long"}
		}
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	if err == io.EOF {
		r.eof, err = true, nil
	}
	return err
}

func (r *Reader) splitText(line []byte) ([]Field, error) {
	for {
		field, rest, more := line, []byte(nil), false
		if i := r.textEnd(line); i >= 0 {
			field, rest, more = line[:i], line[i+1:], true
		}
		switch {
		case string(field) == r.o.Null:
			r.fields = append(r.fields, Field{Null: true})
		case bytes.IndexByte(field, '\\') < 0:
			r.fields = append(r.fields, Field{Text: field})
		default:
			from := len(r.scratch)
			r.scratch = appendUnescaped(r.scratch, field)
			text := r.scratch[from:len(r.scratch):len(r.scratch)]
			// Escapes may spell any byte.
			if err := types.CheckUTF8(text); err != nil {
				return nil, err
			}
			r.fields = append(r.fields, Field{Text: text})
		}
		if !more {
			return r.fields, nil
		}
		line = rest
	}
}

// textEnd returns where the first field ends; a delimiter behind a backslash is
// data.
func (r *Reader) textEnd(line []byte) int {
	from := 0
	for {
		i := bytes.IndexByte(line[from:], r.o.Delimiter)
		if i < 0 {
			return -1
		}
		if i += from; !r.escaped(line[:i]) {
			return i
		}
		from = i + 1
	}
}

// appendUnescaped undoes the text format's backslash sequences.
func appendUnescaped(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		if i++; i == len(src) {
			break // nothing follows that it could be about
		}
		switch c = src[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'v':
			dst = append(dst, '\v')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v := c - '0'
			for k := 0; k < 2 && i+1 < len(src) && src[i+1] >= '0' && src[i+1] <= '7'; k++ {
				i++
				v = v<<3 | (src[i] - '0')
			}
			dst = append(dst, v)
		case 'x':
			if i+1 < len(src) && hex(src[i+1]) >= 0 {
				v := 0
				for k := 0; k < 2 && i+1 < len(src) && hex(src[i+1]) >= 0; k++ {
					i++
					v = v<<4 | hex(src[i])
				}
				dst = append(dst, byte(v))
				continue
			}
			dst = append(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func (r *Reader) splitCSV(line []byte) ([]Field, error) {
	o := &r.o
	for i := 0; ; {
		from, quoted, in := len(r.scratch), false, false
	field:
		for i < len(line) {
			switch c := line[i]; {
			case in && c == o.Escape && i+1 < len(line) && (line[i+1] == o.Quote || line[i+1] == o.Escape):
				r.scratch = append(r.scratch, line[i+1])
				i++
			case c == o.Quote:
				in = !in
				quoted = true
			case c == o.Delimiter && !in:
				break field
			default:
				r.scratch = append(r.scratch, c)
			}
			i++
		}
		if in {
			return nil, r.bad("unterminated CSV quoted field")
		}
		text := r.scratch[from:len(r.scratch):len(r.scratch)]
		n := len(r.fields)
		isNull := string(text) == o.Null && (!quoted && !at(o.ForceNotNull, n) || quoted && at(o.ForceNull, n))
		r.fields = append(r.fields, Field{Text: text, Null: isNull})
		if i >= len(line) {
			return r.fields, nil
		}
		i++ // the delimiter
		if i == len(line) {
			empty := Field{Text: []byte{}, Null: o.Null == "" && !at(o.ForceNotNull, n+1)}
			r.fields = append(r.fields, empty)
			return r.fields, nil
		}
	}
}

package copyfmt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pamirdb/pamir/sql/types"
)

// BinaryHeader begins a copy in binary format, BinaryTrailer ends it.
const (
	BinaryHeader  = signature + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	BinaryTrailer = "\xff\xff"

	signature = "PGCOPY\n\xff\r\n\x00"
)

// Flags of the header: the low half may be ignored by those who do not know it.
const (
	flagOIDs     = 1 << 16
	flagsUnknown = 0xfffe << 16
)

// fieldStep is how much room is made at a time for a field that a client
// announced but has not sent.
const fieldStep = 64 << 10

// BinaryReader takes rows out of a stream in binary format.
type BinaryReader struct {
	src     *bufio.Reader
	columns int
	fields  []Field
	arena   []byte
	ends    []int // of the fields in arena; -1 for NULL
	line    int
	col     int
	begun   bool
}

// NewBinaryReader returns a reader of rows with so many fields.
func NewBinaryReader(src io.Reader, columns int) *BinaryReader {
	return &BinaryReader{src: bufio.NewReaderSize(src, fieldStep), columns: columns, col: -1}
}

// Line is the number of the row last read, from 1; 0 is the header.
func (r *BinaryReader) Line() int { return r.line }

// Text is nothing: a row has no text.
func (r *BinaryReader) Text() []byte { return nil }

// Column is the field in which reading failed, -1 for none.
func (r *BinaryReader) Column() int { return r.col }

func bad(format string, args ...any) error {
	return types.Errorf(types.CodeBadCopyFileFormat, format, args...)
}

// Read returns the next row, whose fields are in the binary format of their
// types and valid until the next call; io.EOF ends the data.
func (r *BinaryReader) Read() ([]Field, error) {
	if !r.begun {
		if err := r.header(); err != nil {
			return nil, err
		}
		r.begun = true
	}
	r.line++
	r.col = -1
	var b [2]byte
	if err := r.full(b[:]); err != nil {
		return nil, noMore(err)
	}
	n := int(int16(binary.BigEndian.Uint16(b[:])))
	if n == -1 {
		if _, err := r.src.ReadByte(); err != nil {
			return nil, err
		}
		return nil, bad("received copy data after EOF marker")
	}
	if n != r.columns {
		return nil, bad("row field count is %d, expected %d", n, r.columns)
	}
	r.arena, r.ends, r.fields = r.arena[:0], r.ends[:0], r.fields[:0]
	for i := range n {
		r.col = i
		if err := r.field(); err != nil {
			return nil, err
		}
	}
	r.col = -1
	start := 0
	for _, end := range r.ends {
		if end < 0 {
			r.fields = append(r.fields, Field{Null: true})
			continue
		}
		r.fields = append(r.fields, Field{Text: r.arena[start:end:end]})
		start = end
	}
	return r.fields, nil
}

// field reads one field into the arena, which grows with what arrives.
func (r *BinaryReader) field() error {
	var b [4]byte
	if err := r.full(b[:]); err != nil {
		return short(err)
	}
	n := int(int32(binary.BigEndian.Uint32(b[:])))
	if n == -1 {
		r.ends = append(r.ends, -1)
		return nil
	}
	if n < 0 {
		return bad("invalid field size")
	}
	if len(r.arena)+n > MaxRowBytes {
		return &types.Error{Code: types.CodeProgramLimitExceeded, Message: "COPY row is too long"}
	}
	for n > 0 {
		step := min(n, fieldStep)
		at := len(r.arena)
		r.arena = append(r.arena, make([]byte, step)...)
		if err := r.full(r.arena[at:]); err != nil {
			return short(err)
		}
		n -= step
	}
	r.ends = append(r.ends, len(r.arena))
	return nil
}

// header checks the signature and skips what it may skip.
func (r *BinaryReader) header() error {
	sig := make([]byte, len(signature))
	if err := r.full(sig); err != nil || string(sig) != signature {
		return given(err, "COPY file signature not recognized")
	}
	var b [4]byte
	if err := r.full(b[:]); err != nil {
		return given(err, "invalid COPY file header (missing flags)")
	}
	switch flags := binary.BigEndian.Uint32(b[:]); {
	case flags&flagOIDs != 0:
		return bad("invalid COPY file header (WITH OIDS)")
	case flags&flagsUnknown != 0:
		return bad("unrecognized critical flags in COPY file header")
	}
	if err := r.full(b[:]); err != nil || int32(binary.BigEndian.Uint32(b[:])) < 0 {
		return given(err, "invalid COPY file header (missing length)")
	}
	if _, err := io.CopyN(io.Discard, r.src, int64(binary.BigEndian.Uint32(b[:]))); err != nil {
		return given(err, "invalid COPY file header (wrong length)")
	}
	return nil
}

func (r *BinaryReader) full(b []byte) error {
	_, err := io.ReadFull(r.src, b)
	return err
}

// noMore makes the end of all of an end in the midst of a count.
func noMore(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// short makes an error of an end within a row; other errors are the client's.
func short(err error) error { return given(err, "unexpected EOF in COPY data") }

func given(err error, msg string) error {
	if err == nil || noMore(err) == io.EOF {
		return bad("%s", msg)
	}
	return fmt.Errorf("reading COPY data: %w", err)
}

package pgwire

import (
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

var _ session.ResultWriter = (*result)(nil)

// result is the ResultWriter of a connection: a conn whose methods a session may
// call.
type result struct {
	c *conn
	// extended says that Describe announced the columns already.
	extended bool
	cols     []column
}

// Columns implements session.ResultWriter.
func (r *result) Columns(cols []plan.ResultColumn, formats []int16) error {
	if len(formats) > 1 && len(formats) != len(cols) {
		return types.Errorf(types.CodeProtocolViolation, "bind message has %d result formats but query has %d columns", len(formats), len(cols))
	}
	r.cols = r.cols[:0]
	for i := range cols {
		f := formatOf(formats, i)
		if f != 0 && f != 1 {
			return types.Errorf(types.CodeInvalidParameterValue, "unsupported format code: %d", f)
		}
		r.cols = append(r.cols, column{oid: cols[i].Type.OID, binary: f == 1})
	}
	if !r.extended {
		r.c.w.rowDescription(cols, formats)
	}
	return r.c.w.err
}

// Batch implements session.ResultWriter.
func (r *result) Batch(b *vec.Batch, s *types.Settings) error {
	w := &r.c.w
	for next, n := 0, b.Len(); next < n; {
		next = w.rows(r.cols, b, next, s)
		if err := w.relieve(); err != nil {
			return err
		}
	}
	return w.err
}

// Complete implements session.ResultWriter.
func (r *result) Complete(tag string) error {
	r.c.w.commandComplete(tag)
	r.c.w.begin()
	return r.c.w.relieve()
}

// EmptyQuery implements session.ResultWriter.
func (r *result) EmptyQuery() error {
	r.c.w.send(emptyQuery)
	r.c.w.begin()
	return r.c.w.err
}

// Suspended implements session.ResultWriter.
func (r *result) Suspended() error {
	r.c.w.send(portalSuspended)
	r.c.w.begin()
	return r.c.w.err
}

// Notice implements session.ResultWriter.
func (r *result) Notice(e *types.Error) {
	severity := severityNotice
	if len(e.Code) == 5 && e.Code[:2] == "01" {
		severity = severityWarning
	}
	r.c.w.notice(e, severity)
}

// Sent implements session.ResultWriter.
func (r *result) Sent() bool { return r.c.w.sent }

// Discard implements session.ResultWriter.
func (r *result) Discard() { r.c.w.discard() }

// copyFormats are the overall format of a copy and those of its columns, all the
// same.
func copyFormats(columns int, binary bool) (byte, []uint16) {
	codes := make([]uint16, columns)
	if !binary {
		return 0, codes
	}
	for i := range codes {
		codes[i] = 1
	}
	return 1, codes
}

// CopyIn implements session.ResultWriter.
func (r *result) CopyIn(columns int, binary bool) (io.Reader, error) {
	format, codes := copyFormats(columns, binary)
	r.c.w.send(&pgproto3.CopyInResponse{OverallFormat: format, ColumnFormatCodes: codes})
	if err := r.c.w.flush(); err != nil {
		return nil, err
	}
	return &copyReader{c: r.c}, nil
}

// copyReader hands out the client's data; what it read last must be used up
// before the next message is read.
type copyReader struct {
	c    *conn
	rest []byte
	err  error // io.EOF after the end
}

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *copyReader) next() {
	kind, msg, err := r.c.r.message()
	if err != nil {
		// Only CopyDone ends the data: a connection that ends before it has lost
		// some, and none may stay.
		r.err = r.c.lost(unexpected(err))
		return
	}
	switch kind {
	case 'd':
		// Decoding takes the data as it is: no copy.
		m := &r.c.in.copyData
		if err := decode(m, msg); err != nil {
			r.err = err
			return
		}
		r.rest, m.Data = m.Data, nil
	case 'c':
		r.err = io.EOF
	case 'f':
		m := &r.c.in.copyFail
		if r.err = decode(m, msg); r.err == nil {
			r.err = types.Errorf(types.CodeQueryCanceled, "COPY from stdin failed: %s", m.Message)
		}
	case 'H', 'S':
		// A client may flush or sync while it copies; both mean nothing here.
	default:
		r.c.outOfStep = true
		r.err = badMessage(fmt.Sprintf("unexpected message type 0x%02X during COPY from stdin", kind))
	}
}

// CopyOut implements session.ResultWriter.
func (r *result) CopyOut(columns int, binary bool) (io.WriteCloser, error) {
	format, codes := copyFormats(columns, binary)
	r.c.w.send(&pgproto3.CopyOutResponse{OverallFormat: format, ColumnFormatCodes: codes})
	return copyWriter{r.c}, r.c.w.err
}

type copyWriter struct{ c *conn }

// Write implements io.Writer: p becomes one message.
func (o copyWriter) Write(p []byte) (int, error) {
	w := &o.c.w
	w.data.Data = p
	w.send(&w.data)
	w.data.Data = nil
	if err := w.relieve(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements io.Closer.
func (o copyWriter) Close() error {
	o.c.w.send(copyDone)
	return o.c.w.err
}

var _ session.BeforeSync = (*result)(nil)

// BeforeSync implements session.BeforeSync: Sync was sent along with Execute.
func (r *result) BeforeSync() bool { return r.extended && r.c.r.nextIs('S') }

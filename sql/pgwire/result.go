package pgwire

import (
	"io"

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
		r.cols = append(r.cols, column{oid: cols[i].Type.OID, binary: formatOf(formats, i) == 1})
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
	r.c.w.empty('I')
	r.c.w.begin()
	return r.c.w.err
}

// Suspended implements session.ResultWriter.
func (r *result) Suspended() error {
	r.c.w.empty('s')
	r.c.w.begin()
	return r.c.w.err
}

// Notice implements session.ResultWriter.
func (r *result) Notice(e *types.Error) {
	severity := severityNotice
	if len(e.Code) == 5 && e.Code[:2] == "01" {
		severity = severityWarning
	}
	r.c.w.problem('N', e, severity)
}

// ParameterStatus implements session.ResultWriter.
func (r *result) ParameterStatus(name, value string) { r.c.w.parameterStatus(name, value) }

// Sent implements session.ResultWriter.
func (r *result) Sent() bool { return r.c.w.sent }

// Discard implements session.ResultWriter.
func (r *result) Discard() { r.c.w.discard() }

// copyResponse announces a copy: one format for all columns.
func (r *result) copyResponse(kind byte, columns int, binary bool) {
	format := 0
	if binary {
		format = 1
	}
	w := &r.c.w
	at := w.open(kind)
	w.out = append(w.out, byte(format))
	w.int16(columns)
	for range columns {
		w.int16(format)
	}
	w.close(at)
}

// CopyIn implements session.ResultWriter.
func (r *result) CopyIn(columns int, binary bool) (io.Reader, error) {
	r.copyResponse('G', columns, binary)
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
		r.err = r.c.lost(err)
		return
	}
	switch kind {
	case 'd':
		r.rest = msg
	case 'c':
		r.err = io.EOF
	case 'f':
		m := body{b: msg}
		r.err = types.Errorf(types.CodeQueryCanceled, "COPY from stdin failed: %s", m.text())
	case 'H', 'S':
		// A client may flush or sync while it copies; both mean nothing here.
	default:
		r.err = r.c.lost(protocolError("unexpected message type 0x%02X during COPY from stdin", kind))
	}
}

// CopyOut implements session.ResultWriter.
func (r *result) CopyOut(columns int, binary bool) (io.WriteCloser, error) {
	r.copyResponse('H', columns, binary)
	return copyWriter{r.c}, r.c.w.err
}

type copyWriter struct{ c *conn }

// Write implements io.Writer: p becomes one message.
func (o copyWriter) Write(p []byte) (int, error) {
	w := &o.c.w
	at := w.open('d')
	w.out = append(w.out, p...)
	w.close(at)
	if err := w.relieve(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements io.Closer.
func (o copyWriter) Close() error {
	o.c.w.empty('c')
	return o.c.w.err
}

var _ session.BeforeSync = (*result)(nil)

// BeforeSync implements session.BeforeSync: Sync was sent along with Execute.
func (r *result) BeforeSync() bool { return r.extended && r.c.r.nextIs('S') }

package pgwire

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// writeBufferBytes is how much of a statement's result is held back before it
// starts to leave; until then the statement can be run again unseen.
const writeBufferBytes = 64 << 10

const (
	severityFatal   = "FATAL"
	severityError   = "ERROR"
	severityNotice  = "NOTICE"
	severityWarning = "WARNING"
)

// writer gathers messages and sends them in one write.
type writer struct {
	dst  io.Writer
	out  []byte
	err  error // of a write; nothing is written after it
	mark int   // where the current statement's messages begin in out
	sent bool  // some of them have left
}

// open begins a message and returns its place for close.
func (w *writer) open(kind byte) int {
	w.out = append(w.out, kind, 0, 0, 0, 0)
	return len(w.out) - 4
}

func (w *writer) close(at int) {
	binary.BigEndian.PutUint32(w.out[at:], uint32(len(w.out)-at))
}

func (w *writer) int16(v int) { w.out = append(w.out, byte(v>>8), byte(v)) }

func (w *writer) int32(v int) {
	w.out = append(w.out, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func (w *writer) text(s string) {
	w.out = append(w.out, s...)
	w.out = append(w.out, 0)
}

// empty writes a message without contents.
func (w *writer) empty(kind byte) { w.out = append(w.out, kind, 0, 0, 0, 4) }

// begin marks where a statement's messages begin.
func (w *writer) begin() { w.mark, w.sent = len(w.out), false }

// discard forgets the messages of the current statement.
func (w *writer) discard() { w.out = w.out[:w.mark] }

// flush sends everything.
func (w *writer) flush() error {
	if w.err != nil || len(w.out) == 0 {
		return w.err
	}
	if len(w.out) > w.mark {
		w.sent = true
	}
	_, w.err = w.dst.Write(w.out)
	if cap(w.out) > 4*writeBufferBytes {
		w.out = nil
	}
	w.out, w.mark = w.out[:0], 0
	return w.err
}

// relieve sends when enough has gathered: first what is complete, and of the
// current statement only what exceeds the buffer by itself.
func (w *writer) relieve() error {
	if len(w.out) < writeBufferBytes {
		return w.err
	}
	if len(w.out)-w.mark >= writeBufferBytes {
		return w.flush()
	}
	if w.err == nil && w.mark > 0 {
		_, w.err = w.dst.Write(w.out[:w.mark])
		w.out = append(w.out[:0], w.out[w.mark:]...)
		w.mark = 0
	}
	return w.err
}

func (w *writer) readyForQuery(status byte) {
	w.out = append(w.out, 'Z', 0, 0, 0, 5, status)
}

func (w *writer) commandComplete(tag string) {
	at := w.open('C')
	w.text(tag)
	w.close(at)
}

func (w *writer) parameterStatus(name, value string) {
	at := w.open('S')
	w.text(name)
	w.text(value)
	w.close(at)
}

// formatOf returns the format of column i: one code stands for all columns, none
// for text.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 0:
		return 0
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return 0
}

func (w *writer) rowDescription(cols []plan.ResultColumn, formats []int16) {
	at := w.open('T')
	w.int16(len(cols))
	for i := range cols {
		c := &cols[i]
		w.text(c.Name)
		w.int32(int(c.Table))
		w.int16(int(c.Attr))
		w.int32(int(c.Type.OID))
		w.int16(typeLen(c.Type.OID))
		w.int32(int(c.Type.Mod))
		w.int16(int(formatOf(formats, i)))
	}
	w.close(at)
}

// typeLen is pg_type.typlen: -1 for a type of variable length.
func typeLen(oid types.OID) int {
	if info, ok := types.Lookup(oid); ok {
		return int(info.Len)
	}
	return -1
}

func (w *writer) parameterDescription(params []types.OID) {
	at := w.open('t')
	w.int16(len(params))
	for _, p := range params {
		w.int32(int(p))
	}
	w.close(at)
}

// problem writes an ErrorResponse ('E') or a NoticeResponse ('N').
func (w *writer) problem(kind byte, e *types.Error, severity string) {
	if e.Severity != "" {
		severity = e.Severity
	}
	at := w.open(kind)
	field := func(code byte, v string) {
		if v != "" {
			w.out = append(w.out, code)
			w.text(v)
		}
	}
	field('S', severity)
	field('V', severity)
	field('C', e.Code)
	field('M', e.Message)
	field('D', e.Detail)
	field('H', e.Hint)
	if e.Position > 0 {
		field('P', itoa(e.Position))
	}
	field('W', e.Where)
	field('s', e.Schema)
	field('t', e.Table)
	field('c', e.Column)
	field('d', e.DataType)
	field('n', e.Constraint)
	w.out = append(w.out, 0)
	w.close(at)
}

// asError makes a *types.Error of whatever a session returned.
func asError(err error) *types.Error {
	var e *types.Error
	if errors.As(err, &e) {
		return e
	}
	return types.Errorf(types.CodeInternal, "%s", err.Error())
}

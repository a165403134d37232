package pgwire

import (
	"errors"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

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

	// Messages of every statement are built in place.
	ready    pgproto3.ReadyForQuery
	complete pgproto3.CommandComplete
	columns  pgproto3.RowDescription
	names    []byte // of columns
	data     pgproto3.CopyData
}

// Messages without contents.
var (
	parseComplete   = &pgproto3.ParseComplete{}
	bindComplete    = &pgproto3.BindComplete{}
	closeComplete   = &pgproto3.CloseComplete{}
	noData          = &pgproto3.NoData{}
	emptyQuery      = &pgproto3.EmptyQueryResponse{}
	portalSuspended = &pgproto3.PortalSuspended{}
	copyDone        = &pgproto3.CopyDone{}
)

// send appends a message. Only one that is longer than the protocol allows
// cannot be encoded; the connection ends with it.
func (w *writer) send(m pgproto3.BackendMessage) {
	out, err := m.Encode(w.out)
	if err != nil {
		w.err = err
		return
	}
	w.out = out
}

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

// rest gives a large buffer back once all of it has left.
func (w *writer) rest() {
	if cap(w.out) > idleBufferBytes && len(w.out) == 0 {
		w.out = nil
	}
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
	w.ready.TxStatus = status
	w.send(&w.ready)
}

func (w *writer) commandComplete(tag string) {
	w.complete.CommandTag = append(w.complete.CommandTag[:0], tag...)
	w.send(&w.complete)
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

// rowDescription describes columns. The description is built in place of the
// last one: drivers ask for one with each statement.
func (w *writer) rowDescription(cols []plan.ResultColumn, formats []int16) {
	fields, names := w.columns.Fields[:0], w.names[:0]
	for i := range cols {
		c := &cols[i]
		at := len(names)
		names = append(names, c.Name...)
		fields = append(fields, pgproto3.FieldDescription{Name: names[at:len(names):len(names)], TableOID: uint32(c.Table),
			TableAttributeNumber: uint16(c.Attr), DataTypeOID: uint32(c.Type.OID), DataTypeSize: typeLen(c.Type.OID),
			TypeModifier: c.Type.Mod, Format: formatOf(formats, i)})
	}
	w.columns.Fields, w.names = fields, names
	w.send(&w.columns)
}

// typeLen is pg_type.typlen: -1 for a type of variable length.
func typeLen(oid types.OID) int16 {
	if info, ok := types.Lookup(oid); ok {
		return int16(info.Len)
	}
	return -1
}

func (w *writer) parameterDescription(params []types.OID) {
	m := pgproto3.ParameterDescription{ParameterOIDs: make([]uint32, len(params))}
	for i, p := range params {
		m.ParameterOIDs[i] = uint32(p)
	}
	w.send(&m)
}

// problem is what an ErrorResponse or a NoticeResponse says.
func problem(e *types.Error, severity string) pgproto3.ErrorResponse {
	if e.Severity != "" {
		severity = e.Severity
	}
	return pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: e.Code, Message: e.Message,
		Detail: e.Detail, Hint: e.Hint, Position: int32(e.Position), Where: e.Where, SchemaName: e.Schema, TableName: e.Table,
		ColumnName: e.Column, DataTypeName: e.DataType, ConstraintName: e.Constraint}
}

func (w *writer) error(e *types.Error, severity string) {
	m := problem(e, severity)
	w.send(&m)
}

func (w *writer) notice(e *types.Error, severity string) {
	m := pgproto3.NoticeResponse(problem(e, severity))
	w.send(&m)
}

// asError makes a *types.Error of whatever a session returned.
func asError(err error) *types.Error {
	var e *types.Error
	if errors.As(err, &e) {
		return e
	}
	return types.Errorf(types.CodeInternal, "%s", err.Error())
}

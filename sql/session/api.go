package session

import (
	"io"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// ResultWriter takes what statements give, in order. Its methods are called on
// the goroutine that called Exec or Execute. An error from it (the client is
// gone) ends the statement.
type ResultWriter interface {
	// Columns announces rows: before the first Batch of every statement that
	// returns rows, even if it returns none. formats are the result formats that
	// Bind was given (nil in the simple protocol: all text); one entry stands
	// for all columns. In the extended protocol nothing is sent here, since
	// Describe did.
	Columns(cols []plan.ResultColumn, formats []int16) error
	// Batch takes rows; the batch is valid during the call only.
	Batch(b *vec.Batch, s *types.Settings) error
	// Complete ends a statement with its command tag, such as "SELECT 3".
	Complete(tag string) error
	// EmptyQuery answers a string without a statement.
	EmptyQuery() error
	// Suspended ends an Execute whose row limit was reached before the rows.
	Suspended() error
	// Notice passes a message that is no error.
	Notice(e *types.Error)
	// Sent reports whether anything of the current statement (since the last
	// Complete) has left for the client and cannot be taken back. While it is
	// false, Discard must be able to forget what was written.
	Sent() bool
	// Discard forgets what was buffered since the last Complete: the statement
	// is run again.
	Discard()
	// CopyIn starts COPY FROM STDIN and returns the client's data; io.EOF ends
	// it, any other error (CopyFail) aborts the statement.
	CopyIn(columns int, binary bool) (io.Reader, error)
	// CopyOut starts COPY TO STDOUT; each Write is a row. Close
	// ends the copy.
	CopyOut(columns int, binary bool) (io.WriteCloser, error)
}

// Options say who a session is for.
type Options struct {
	User, Database  string
	ApplicationName string
	RemoteAddr      string
	// Settings are the further parameters of the startup message.
	Settings map[string]string
}

// Status bytes, as ReadyForQuery has them.
const (
	StatusIdle   = 'I'
	StatusBlock  = 'T'
	StatusFailed = 'E'
)

// Param is a bound parameter as it came over the wire: in text (format 0) or
// binary (1). A nil Value is NULL.
type Param struct {
	Value  []byte
	Format int16
}

package pgwire

import (
	"bytes"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/sql/types"
)

// received holds one message of each kind that a client sends again and again;
// decoding overwrites the last one.
type received struct {
	query    pgproto3.Query
	parse    pgproto3.Parse
	bind     pgproto3.Bind
	describe pgproto3.Describe
	execute  pgproto3.Execute
	close    pgproto3.Close
	copyData pgproto3.CopyData
	copyFail pgproto3.CopyFail
	flush    pgproto3.Flush
	sync     pgproto3.Sync
}

// decode decodes a message's body. Its error is the client's fault but leaves
// the two sides in step, for the body has been read: it ends a statement, not
// the connection.
func decode(m pgproto3.FrontendMessage, msg []byte) error {
	if err := m.Decode(msg); err != nil {
		return malformed(m, msg)
	}
	if n := bodyLen(m); n >= 0 && n != len(msg) {
		return badMessage("invalid message format")
	}
	return nil
}

func badMessage(text string) *types.Error {
	return types.Errorf(types.CodeProtocolViolation, "%s", text)
}

// bodyLen is how long the body was that m was decoded from if nothing followed
// m in it; -1 for messages whose own Decode checks that.
func bodyLen(m pgproto3.FrontendMessage) int {
	switch m := m.(type) {
	case *pgproto3.Parse:
		return len(m.Name) + 1 + len(m.Query) + 1 + 2 + 4*len(m.ParameterOIDs)
	case *pgproto3.Bind:
		n := len(m.DestinationPortal) + 1 + len(m.PreparedStatement) + 1 +
			2 + 2*len(m.ParameterFormatCodes) + 2 + 4*len(m.Parameters) + 2 + 2*len(m.ResultFormatCodes)
		for _, p := range m.Parameters {
			n += len(p)
		}
		return n
	case *pgproto3.Execute:
		return len(m.Portal) + 1 + 4
	case *pgproto3.SASLInitialResponse:
		return len(m.AuthMechanism) + 1 + 4 + len(m.Data)
	}
	return -1
}

// malformed says of a body that cannot be decoded what PostgreSQL says: a string
// does not end, something is missing, or there is too much.
func malformed(m pgproto3.FrontendMessage, msg []byte) *types.Error {
	strings, fixed := 0, 0 // at the body's start: bytes, then strings
	switch m.(type) {
	case *pgproto3.Parse, *pgproto3.Bind:
		strings = 2
	case *pgproto3.Query, *pgproto3.Execute, *pgproto3.CopyFail, *pgproto3.SASLInitialResponse:
		strings = 1
	case *pgproto3.Describe, *pgproto3.Close:
		strings, fixed = 1, 1
	}
	if len(msg) < fixed {
		return badMessage("no data left in message")
	}
	if bytes.Count(msg[fixed:], []byte{0}) < strings {
		return badMessage("invalid string in message")
	}
	switch m.(type) {
	case *pgproto3.Parse, *pgproto3.Bind, *pgproto3.Execute, *pgproto3.SASLInitialResponse, *pgproto3.FunctionCall:
		return badMessage("insufficient data left in message")
	}
	return badMessage("invalid message format")
}

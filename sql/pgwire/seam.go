package pgwire

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
)

// Session is what a connection needs of a client's session. All methods but
// Cancel are called on the connection's goroutine. Errors that are no
// *types.Error reach the client as XX000.
type Session interface {
	// Exec runs a string of statements in the simple protocol.
	Exec(ctx context.Context, sql string, w session.ResultWriter) error
	// Prepare, Bind, Execute and Close are the messages of the extended protocol;
	// Sync ends an implicit transaction, also after an error.
	Prepare(ctx context.Context, name, sql string, paramTypes []types.OID) error
	// Bind may keep params and resultFormats only if it copies them.
	Bind(ctx context.Context, portal, statement string, params []session.Param, resultFormats []int16) error
	// DescribeStatement returns the types of parameters and the columns of the
	// result; columns are nil for a statement that returns no rows.
	DescribeStatement(ctx context.Context, name string) (params []types.OID, columns []plan.ResultColumn, err error)
	// DescribePortal returns the columns of a portal, nil for none, and the
	// formats that Bind was given.
	DescribePortal(ctx context.Context, name string) (columns []plan.ResultColumn, formats []int16, err error)
	Execute(ctx context.Context, portal string, maxRows int, w session.ResultWriter) error
	CloseStatement(name string)
	ClosePortal(name string)
	Sync(ctx context.Context) error
	// Fail says that a message failed before it reached the session: an open
	// transaction fails with it, as with any other error.
	Fail(ctx context.Context)
	// TxnStatus is the status byte of ReadyForQuery.
	TxnStatus() byte
	// Parameters calls report for each setting that the client follows, with its
	// value now.
	Parameters(report func(name, value string))
	// SettingsVersion changes whenever a setting may have changed.
	SettingsVersion() uint64
	// IdleTimeout is how long the client may now stay idle; 0 is forever.
	IdleTimeout() time.Duration
	// Cancel interrupts the statement that runs, if any, from any goroutine.
	Cancel()
	// Close ends the session and rolls back what is open.
	Close()
}

// Sessions opens sessions and knows who may have one.
type Sessions interface {
	// Verifier returns the stored password verifier of a role that may log in;
	// ok is false for a role that does not exist or has no password.
	Verifier(ctx context.Context, user string) (v security.Verifier, ok bool, err error)
	// Open opens a session for an authenticated user; pid identifies it in
	// pg_stat_activity and in cancel requests.
	Open(ctx context.Context, pid int32, o session.Options) (Session, error)
}

package kv

import (
	"context"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// DB opens transactions. Its methods are safe for concurrent use.
type DB interface {
	Begin(ctx context.Context, o TxnOptions) (Txn, error)
	// Run calls f in a transaction and commits, starting over while that is
	// sound; f must be free of other effects.
	Run(ctx context.Context, o TxnOptions, f func(Txn) error) error
	// Increment adds to a counter outside any transaction.
	Increment(ctx context.Context, key api.Key, delta int64) (int64, error)
	Clock() *hlc.Clock
	Admin() Admin
}

// Admin shows and changes the ranges.
type Admin interface {
	// Ranges describes the ranges that overlap [start, end), in key order.
	Ranges(ctx context.Context, start, end api.Key) ([]api.RangeInfo, error)
	// Split makes key a range boundary; nothing happens if it is one.
	Split(ctx context.Context, key api.Key) error
	TransferLease(ctx context.Context, key api.Key, to ids.NodeID) error
	ChangeReplicas(ctx context.Context, key api.Key, add, remove []ids.NodeID) error
	// ClearSpan deletes all data of a span that no transaction can reach any
	// more (a dropped table's).
	ClearSpan(ctx context.Context, start, end api.Key) error
}

// TxnOptions say how a transaction runs.
type TxnOptions struct {
	Isolation api.Isolation
	ReadOnly  bool
	// AsOf reads at a past timestamp; the transaction is read-only.
	AsOf hlc.Timestamp
	// LockTimeoutNanos bounds each wait for a lock; 0 means no bound.
	LockTimeoutNanos int64
}

// Savepoint marks a place to roll back to.
type Savepoint struct{ Seq api.Seq }

// Txn is one transaction. It is used by one goroutine at a time, except that
// reads of one statement may be sent concurrently.
type Txn interface {
	ID() ids.TxnID
	// Send runs a batch: reads at the snapshot and b.ReadSeq, writes into the
	// buffer. Responses are in b.Responses, aligned with b.Requests. With
	// b.Commit the transaction commits in the same step if every condition holds.
	// On *api.RetryError and *api.AbortedError the transaction can only Restart or
	// Rollback; on *api.ConditionFailedError it stays usable.
	Send(ctx context.Context, b *Batch) error
	// Step begins the next statement: its reads will see what was written before.
	// At READ COMMITTED it takes a new snapshot. It returns the sequence to read
	// at.
	Step() api.Seq
	// Savepoint and RollbackTo undo the writes since; locks stay.
	Savepoint() Savepoint
	RollbackTo(ctx context.Context, s Savepoint) error
	// Restart forgets reads and writes and takes a new snapshot, keeping age and
	// locks where it can, so that a statement or transaction can run again.
	Restart(ctx context.Context) error
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	ReadTimestamp() hlc.Timestamp
	// CommitTimestamp is valid after Commit.
	CommitTimestamp() hlc.Timestamp
	// SetDeadline lowers the latest allowed commit timestamp (KV.md, 21).
	SetDeadline(t hlc.Timestamp)
	Info() TxnInfo
}

// TxnInfo describes a transaction for pamir_internal.transactions and EXPLAIN.
type TxnInfo struct {
	ID                          ids.TxnID
	Isolation                   api.Isolation
	StartTS, ReadTS             hlc.Timestamp
	BufferedWrites, BufferBytes int
	Restarts, Refreshes         int
	// Ranges counts ranges touched, RPCs remote requests, Proposals Raft
	// commands.
	Ranges, RPCs, Proposals int
	RowsScanned             int64
}

// Batch is requests with room for their responses. It may be reused after
// Reset; the responses' bytes stay valid until then or longer.
type Batch struct {
	Requests  []api.Request
	Responses []api.Response
	// ReadSeq is the sequence that reads see; Step returns it. Zero sees all.
	ReadSeq api.Seq
	// Commit commits with this batch: for a statement outside a transaction
	// block, so that its conditions and its commit are one request (KV.md, 20).
	Commit bool
	Stats  api.BatchStats
}

// Get adds a read of key.
func (b *Batch) Get(key api.Key) {
	b.Requests = append(b.Requests, api.Request{Kind: api.Get, Key: key})
}

// GetLocked adds a locking read of key.
func (b *Batch) GetLocked(key api.Key, s api.LockStrength, w api.WaitPolicy) {
	b.Requests = append(b.Requests, api.Request{Kind: api.Get, Key: key, Lock: s, Wait: w})
}

// Scan adds a scan of [start, end).
func (b *Batch) Scan(start, end api.Key, o *api.ScanOptions) {
	b.Requests = append(b.Requests, api.Request{Kind: api.Scan, Key: start, End: end, Scan: o})
}

// Put adds a write.
func (b *Batch) Put(key api.Key, value []byte, e api.Expect) {
	b.Requests = append(b.Requests, api.Request{Kind: api.Put, Key: key, Value: value, Expect: e})
}

// Delete adds a deletion.
func (b *Batch) Delete(key api.Key, e api.Expect) {
	b.Requests = append(b.Requests, api.Request{Kind: api.Delete, Key: key, Expect: e})
}

// Reset empties b for reuse.
func (b *Batch) Reset() {
	clear(b.Requests)
	clear(b.Responses)
	*b = Batch{Requests: b.Requests[:0], Responses: b.Responses[:0]}
}

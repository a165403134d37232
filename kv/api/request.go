package api

import (
	"context"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Key is a logical key; see package keys.
type Key = []byte

// Span is [Start, End); a nil End means the single key Start.
type Span struct{ Start, End Key }

// Seq numbers the writes of a transaction, from 1. A statement reads at the
// sequence that it started at.
type Seq int32

// Kind says what a request does.
type Kind uint8

// Kinds of requests. Data requests carry SQL's reads and writes; transaction
// requests decide fates; admin requests change ranges.
const (
	// Get reads Key; with Lock it locks the key too, present or not.
	Get Kind = iota + 1
	// Scan reads [Key, End) in either direction through an optional program.
	Scan
	// Put and Delete write one key if Expect holds. Inside a transaction that
	// does not commit in the same batch they lay intents.
	Put
	Delete
	// DeleteRange deletes every visible key of [Key, End) without reading it out;
	// only for spans that the schema made unreachable (dropped tables), outside
	// transactions.
	DeleteRange
	// Increment adds Delta to a counter outside any transaction and returns the
	// new value; sequences and id allocators stand on it.
	Increment

	// ValidateLock checks at commit that Key still has the version that a lock
	// was taken on, and raises the timestamp cache to the commit timestamp.
	ValidateLock
	// Refresh fails if [Key, End) has a write in (RefreshFrom, header's read
	// timestamp]; else the span counts as read at the new timestamp.
	Refresh
	// EndTxn commits or aborts; with writes of the same range in the batch it is
	// one-phase, with InFlight it stages a parallel commit.
	EndTxn
	// HeartbeatTxn keeps a record alive, creating it if need be. With the status
	// Staging in its arguments it takes a staging back that has failed.
	HeartbeatTxn
	// PushTxn asks for a decision on another transaction's fate.
	PushTxn
	// QueryTxn waits until a transaction is finished or has new dependencies.
	QueryTxn
	// QueryIntent asks whether a write of a staging transaction is there, and
	// prevents it from ever appearing if not.
	QueryIntent
	// RecoverTxn finalizes a staging record after its intents were queried, or
	// removes one that nothing refers to any more.
	RecoverTxn
	// ResolveIntent turns the intents of a finished transaction at Key, or in
	// [Key, End), into versions or removes them, and releases its locks.
	ResolveIntent
	// ReleaseLocks drops unreplicated locks of the header's transaction.
	ReleaseLocks

	// AdminSplit splits the range at Key. AdminTransferLease moves the lease to
	// Node. AdminChangeReplicas adds and removes replicas one at a time.
	// AdminMerge absorbs the right neighbour.
	AdminSplit
	AdminMerge
	AdminTransferLease
	AdminChangeReplicas
	// RangeStatus describes the range for people and for the lifecycle.
	RangeStatus
	// GC removes versions that no reader at or above the threshold can see.
	GC
	// Checksum computes a checksum of the replicated state at one log position.
	Checksum
)

// LockStrength is how a read locks what it returns.
type LockStrength uint8

// Strengths, as SQL's FOR KEY SHARE/SHARE (shared) and FOR NO KEY
// UPDATE/UPDATE (exclusive).
const (
	LockNone LockStrength = iota
	LockShared
	LockExclusive
)

// WaitPolicy is what a request does at a foreign lock.
type WaitPolicy uint8

// Wait policies.
const (
	WaitBlock WaitPolicy = iota
	WaitError            // NOWAIT
	WaitSkip             // SKIP LOCKED
)

// ExpectKind says what a write requires of its key.
type ExpectKind uint8

// Expectations. A violated ExpectAbsent is a ConditionFailedError with the row
// that is there; a violated ExpectVersion means that the transaction's read is
// stale: RetryError.
const (
	ExpectAny ExpectKind = iota
	// ExpectAbsent: no visible row, in committed state or by this transaction.
	ExpectAbsent
	// ExpectVersion: the newest committed version is the one at Version (zero:
	// none, or a deletion).
	ExpectVersion
	// ExpectFresh: the caller knows that nobody else ever wrote the key (an
	// allocated id); checked only under the invariants build tag.
	ExpectFresh
)

// Expect is the condition that a write carries (KV.md, 17).
type Expect struct {
	Kind    ExpectKind
	Version hlc.Timestamp
}

// Request is one operation on one span. It is one wide struct, not an
// interface, so that a batch of one allocates nothing.
type Request struct {
	Kind Kind
	// Lock is how a read locks. Of a write or ValidateLock it is the lock that the
	// transaction counts on holding: if it was lost, RetryError.
	Lock    LockStrength
	Wait    WaitPolicy
	Reverse bool
	// LockSeq is the Header.LockSeq up to which a lock that is counted on was taken.
	// One that was taken later was lost in between, and others may have had it.
	LockSeq Seq
	// Key and End are the span; End is nil for single-key requests.
	Key, End Key
	// Value is what Put writes.
	Value  []byte
	Expect Expect
	// Seq is the write's sequence number.
	Seq Seq
	// Delta is Increment's.
	Delta int64
	// Scan holds a scan's options; nil means none.
	Scan *ScanOptions
	// RefreshFrom is where a refresh's interval starts, exclusively.
	RefreshFrom hlc.Timestamp
	// Txn holds the arguments of transaction requests.
	Txn *TxnArgs
	// Admin holds the arguments of admin requests.
	Admin *AdminArgs
}

// ScanOptions limits a scan and says what to do with its rows.
type ScanOptions struct {
	// Program is for the injected evaluator; nil returns keys and values.
	Program []byte
	// MaxRows and MaxBytes bound the answer (0: no bound); MaxRows counts rows
	// that survive the program. A bounded answer has a resume key.
	MaxRows  int64
	MaxBytes int64
	// KeysOnly leaves values out.
	KeysOnly bool
	// Latest asks for the newest committed rows, also where the snapshot is older
	// than they are: what a foreign key's check needs of the rows that refer to one
	// that it has locked. The coordinator moves the snapshot up or answers a
	// RetryError; ranges do not look at it.
	Latest bool
}

// TxnArgs are the arguments of transaction requests.
type TxnArgs struct {
	// Commit is EndTxn's decision; RecoverTxn's tells whether all in-flight
	// writes were found.
	Commit bool
	// Locks lists the spans whose intents and locks must be resolved.
	Locks []Span
	// InFlight lists a parallel commit's writes.
	InFlight []InFlightWrite
	// Ignored are rolled-back sequence intervals.
	Ignored []SeqInterval
	// Deadline is the latest allowed commit timestamp; zero means none.
	Deadline hlc.Timestamp
	// Pushee is the transaction that PushTxn, QueryTxn, QueryIntent and
	// RecoverTxn are about; ResolveIntent's status is in it.
	Pushee TxnMeta
	Status TxnStatus
	// PushTo is the timestamp above which the pushee must commit; PushAbort asks
	// for its end instead.
	PushTo hlc.Timestamp
	// On ResolveIntent PushAbort leaves an abort marker where an intent is
	// removed: the transaction may still run.
	PushAbort bool
	// Lazy, on ResolveIntent, says that nobody needs the resolution soon: the
	// range takes note of the commit and resolves when it suits. With the status
	// Staging it only takes note: the transaction is committed, its record does
	// not say so yet. Without Lazy, Staging is for a batch in which RecoverTxn has
	// just made the record say so.
	Lazy bool
	// PusheeSeen is when the pusher's node last heard of the pushee: a pushee
	// without a record counts as alive for a while after that.
	PusheeSeen hlc.Timestamp
	// Waits are the pusher's known waits-for edges that lead to it; the pushee's
	// anchor keeps them for a while, so that cycles over nodes are found.
	Waits []WaitEdge
	// Forget, on RecoverTxn, removes the record of a finished
	// transaction. The coordinator sends it once every span of Locks is resolved.
	Forget bool
}

// WaitEdge says that one transaction waits for another's lock.
type WaitEdge struct {
	Waiter, Blocker ids.TxnID
	// StartTS is the waiter's age.
	StartTS hlc.Timestamp
	// AgeNanos is for how long nobody has seen the waiter wait: what travels from
	// node to node grows old on its way.
	AgeNanos int64
}

// InFlightWrite is a write that a staging record depends on.
type InFlightWrite struct {
	Key Key
	Seq Seq
}

// SeqInterval is [From, To] of rolled-back sequence numbers.
type SeqInterval struct{ From, To Seq }

// AdminArgs are the arguments of admin requests.
type AdminArgs struct {
	// Node is the target of a lease transfer.
	Node ids.NodeID
	// Add and Remove are replica changes.
	Add, Remove []ids.NodeID
	// ExpectGeneration refuses when the descriptor has moved on (0: any).
	ExpectGeneration uint64
	// Threshold is GC's.
	Threshold hlc.Timestamp
}

// Header is what a batch's requests share.
type Header struct {
	// RangeID and Generation are what the sender believes; the receiver answers
	// a RangeMismatchError when Key is not in its bounds, and tells of a newer
	// descriptor. Generation 0 asks for no news.
	RangeID    ids.RangeID
	Generation uint64
	// Txn is the sender's transaction; nil for non-transactional batches.
	Txn *TxnMeta
	// ReadTS is the read timestamp; zero lets the leaseholder choose its own
	// present for a batch that stays in one range (non-transactional reads).
	ReadTS hlc.Timestamp
	// ReadSeq is the sequence at which carried and laid writes are visible.
	ReadSeq Seq
	// LockSeq is above that of every batch of the transaction that was answered and
	// took locks. A lock keeps the one of the batch that took it first.
	LockSeq Seq
	// Ignored are rolled-back sequence intervals.
	Ignored []SeqInterval
	// Carried are the sender's buffered writes inside the spans read, in key
	// order (SQL.md, 5).
	Carried []CarriedWrite
	// CanRefresh says that the sender has read nothing else yet, so that the
	// server may move ReadTS up by itself and say so in the response.
	CanRefresh bool
	// NoIntents says that the transaction has laid no intents before this batch,
	// which saves looking for them. It is a hint: false is always right.
	NoIntents bool
	// Gateway is the node of the coordinator.
	Gateway ids.NodeID
	// LockTimeoutNanos bounds lock waits (0: none): 55P03.
	LockTimeoutNanos int64
	// Once says that the batch must not be executed twice, whatever is in it: when
	// the answer is lost, the sender gets an AmbiguousError. It stays on the
	// sender's node.
	Once bool
	// ObservedAt is what the coordinator knows of nodes' clocks. It stays on the
	// sender's node: kv/route puts the target's into Txn.Observed.
	ObservedAt []ObservedTimestamp
}

// ObservedTimestamp is a node's clock when a transaction's snapshot first met it.
type ObservedTimestamp struct {
	Node ids.NodeID
	TS   hlc.Timestamp
}

// CarriedWrite is a buffered write that a read must see. The newest one at or
// below ReadSeq of each key is carried.
type CarriedWrite struct {
	Key     Key
	Value   []byte
	Deleted bool
}

// BatchRequest is requests for one range, evaluated in order as one unit.
type BatchRequest struct {
	Header
	Requests []Request
}

// Response answers the request at the same place.
type Response struct {
	// Value and Exists answer Get. VersionTS is the version read or, with a lock,
	// the newest committed version: what a later write is based on.
	Value     []byte
	Exists    bool
	VersionTS hlc.Timestamp
	// Skipped reports a Get that left a locked key out.
	Skipped bool
	// KVs answers a scan without a program; Result one with a program, locally
	// as the evaluator made it, or Encoded when it came over the network. Raw is
	// set when the server did not know the program's version: KVs hold the rows.
	KVs     []KeyValue
	Result  ScanResult
	Encoded []byte
	Raw     bool
	// Parts holds one answer for each range, in scan order, when a scan with a
	// program covered several; then only Resume and Locked are set beside it.
	Parts []Response
	// Locked lists what a locking scan locked.
	Locked []LockedKey
	// Resume is where a bounded scan goes on (a start key; for a reverse scan an
	// exclusive end); nil when the span is exhausted.
	Resume Key
	// Number answers Increment, Checksum (as bits) and counts; an Encoded result
	// comes with its count of rows.
	Number int64
	// Txn is a transaction's state after PushTxn, QueryTxn, HeartbeatTxn.
	Txn *TxnRecord
	// Waits are the known waits-for edges that lead to QueryTxn's transaction.
	Waits []WaitEdge
	// Found answers QueryIntent.
	Found bool
	// Range answers RangeStatus and AdminSplit.
	Range *RangeInfo
}

// KeyValue is a row as kv knows it.
type KeyValue struct {
	Key       Key
	Value     []byte
	VersionTS hlc.Timestamp
}

// LockedKey is a key that a locking scan locked, with the version it is based on.
type LockedKey struct {
	Key       Key
	VersionTS hlc.Timestamp
}

// BatchResponse answers a batch.
type BatchResponse struct {
	Responses []Response
	// Now is the server's clock, for the sender's.
	Now hlc.Timestamp
	// ReadTS is where the batch was read, when the server chose or moved it.
	ReadTS hlc.Timestamp
	// WriteTS is the timestamp the transaction's writes were pushed to; the
	// commit's timestamp in answer to EndTxn.
	WriteTS hlc.Timestamp
	// Observed is the leaseholder's clock at the first contact of the
	// transaction: values above it are not uncertain on that node.
	Observed hlc.Timestamp
	Node     ids.NodeID
	// ObservedAt lists Node and Observed of each node that took part, when
	// kv/route merged several answers; it is not encoded.
	ObservedAt []ObservedTimestamp
	// Newer is the range's descriptor if the sender's is older.
	Newer *RangeDescriptor
	// Stats counts the work for EXPLAIN ANALYZE.
	Stats BatchStats
}

// BatchStats counts what a batch did.
type BatchStats struct {
	RowsScanned, BytesScanned int64
	Proposals                 int64
	LockWaitNanos             int64
	// Ranges and RPCs count ranges reached and requests to other nodes; kv/route
	// fills them.
	Ranges, RPCs int64
}

// ScanResult is what an evaluator made of a scan.
type ScanResult interface {
	// Encode appends the form that the requester's evaluator can decode.
	Encode(dst []byte) []byte
	// Size returns rows and bytes.
	Size() (rows, bytes int64)
}

// Evaluator runs programs over visible rows; the server injects it, so that kv
// stays ignorant of SQL (SQL.md, 6).
type Evaluator interface {
	// Open starts a run. ErrUnknownProgram makes the store send raw rows.
	Open(program []byte, maxRows int64) (ScanRun, error)
}

// ScanRun is one run of a program.
type ScanRun interface {
	// Block takes up to 1,024 visible rows in scan order; the slices live only
	// within the call. It returns how many rows it consumed (fewer than given
	// only when its row limit is reached: then the run is done) and, for locking
	// scans, appends the indexes of the rows that passed to pass.
	Block(keys, values [][]byte, pass []int32) (consumed int, passed []int32, err error)
	// Finish returns the result.
	Finish() (ScanResult, error)
}

// Sender sends a batch to the range that it is for.
type Sender interface {
	Send(ctx context.Context, ba *BatchRequest) (*BatchResponse, error)
}

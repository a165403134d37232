package txn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// state says what a transaction may do next.
type state uint8

const (
	open state = iota
	// stuck: a RetryError was returned; only Restart or Rollback follow, and at
	// READ COMMITTED also RollbackTo and Step.
	stuck
	// aborted by another transaction: its id is dead.
	aborted
	committed
	rolledBack
)

// errFinished answers a call on a transaction that has ended.
var errFinished = errors.New("txn: the transaction has ended")

// Txn implements kv.Txn.
type Txn struct {
	db   *DB
	opts kv.TxnOptions
	// meta is replaced, never changed: requests and servers refer to it.
	meta      atomic.Pointer[api.TxnMeta]
	firstMeta api.TxnMeta
	// snap is held shared by reads, and exclusively by what may move ReadTS.
	snap sync.RWMutex
	// mu guards what concurrent reads of one statement record: reads, locks,
	// lockSpans, observed, info, keep.
	mu    sync.Mutex
	state atomic.Uint32
	// seq is the last sequence number given to a write.
	seq atomic.Int32
	// bufMu is held shared by reads that look into buf, and exclusively by one that
	// flushes it; nothing else runs beside reads.
	bufMu sync.RWMutex
	buf   buffer
	// reads are the spans read without a lock since the snapshot was taken.
	reads spanSet
	// locks are the keys locked; lockSpans is where locks may be, including those
	// of requests that failed.
	locks     lockSet
	lockSpans spanSet
	// intents is where intents may be; flushedSeq is the newest sequence laid.
	intents    spanSet
	flushedSeq atomic.Int32
	// lockSeq counts the answered batches that took locks.
	lockSeq  atomic.Int32
	ignored  []api.SeqInterval
	observed []api.ObservedTimestamp
	// retryTS is where a failed refresh had to go: the next snapshot is above it.
	retryTS  hlc.Timestamp
	deadline hlc.Timestamp
	// beaten is set before the first heartbeat, staged before the first EndTxn
	// that is not the whole commit: the record may exist.
	beaten, beating atomic.Bool
	staged          bool
	// doubtful is set when a request that writes has failed: on another node it may
	// still be under way, and find its transaction's record gone. So an aborted
	// record then stays for garbage collection.
	doubtful bool
	// victim is set when the transaction was chosen to break a deadlock: starting
	// over with its locks would bring the deadlock back.
	victim bool
	// holds is set while the transaction holds locks or intents: heartbeats.
	holds atomic.Bool
	info  kv.TxnInfo
	keep  arena
	// readKeep holds read spans of one statement or snapshot.
	readKeep arena
	// firstBatch serves the first request; later ones are allocated, since a
	// request that was given up may still be read by a server.
	firstBatch     api.BatchRequest
	firstBatchUsed atomic.Bool
	endArgs        api.TxnArgs
	commitTS       hlc.Timestamp
	prev, next     *Txn
}

var _ kv.Txn = (*Txn)(nil)

// ID implements kv.Txn.
func (t *Txn) ID() ids.TxnID { return t.meta.Load().ID }

// ReadTimestamp implements kv.Txn.
func (t *Txn) ReadTimestamp() hlc.Timestamp { return t.meta.Load().ReadTS }

// CommitTimestamp implements kv.Txn.
func (t *Txn) CommitTimestamp() hlc.Timestamp { return t.commitTS }

// SetDeadline implements kv.Txn.
func (t *Txn) SetDeadline(ts hlc.Timestamp) {
	if t.deadline.IsZero() || ts.Less(t.deadline) {
		t.deadline = ts
	}
}

func (t *Txn) status() state     { return state(t.state.Load()) }
func (t *Txn) setStatus(s state) { t.state.Store(uint32(s)) }

// usable fails unless requests may be sent.
func (t *Txn) usable() error {
	switch t.status() {
	case open:
		return nil
	case stuck:
		return &api.RetryError{Reason: api.ReasonRefreshFailed, Timestamp: t.retryTS}
	case aborted:
		return &api.AbortedError{Reason: "by another transaction"}
	}
	return errFinished
}

// snapshotInto gives m a snapshot of the present, at least at floor.
func (t *Txn) snapshotInto(m *api.TxnMeta, floor hlc.Timestamp) {
	clock := t.db.cfg.Clock
	if !t.opts.AsOf.IsZero() {
		// The past is certain: whatever is above it came later.
		m.ReadTS, m.UncertaintyLimit, m.Observed = t.opts.AsOf, t.opts.AsOf, t.opts.AsOf
		m.WriteTS = m.ReadTS
		return
	}
	now := clock.Now()
	m.ReadTS = now.Forward(floor)
	m.WriteTS = m.WriteTS.Forward(m.ReadTS)
	m.UncertaintyLimit = now.Add(clock.MaxOffset()).Forward(m.ReadTS)
	// This node's own clock is observed now: no value written here later is
	// uncertain. Other nodes' clocks are not known any more.
	m.Observed = now
	t.observed = nil
}

// edit returns a copy of the metadata to change and store back.
func (t *Txn) edit() *api.TxnMeta {
	m := *t.meta.Load()
	return &m
}

// Step implements kv.Txn.
func (t *Txn) Step() api.Seq {
	if t.opts.Isolation == api.ReadCommitted && t.status() == open {
		t.newSnapshot()
	}
	return api.Seq(t.seq.Load())
}

// flushed returns the newest sequence laid as an intent; zero means none.
func (t *Txn) flushed() api.Seq { return api.Seq(t.flushedSeq.Load()) }

// newSnapshot moves to the present and forgets what was read.
func (t *Txn) newSnapshot() {
	m := t.edit()
	t.snapshotInto(m, t.retryTS)
	t.meta.Store(m)
	t.reads.reset()
	t.readKeep = arena{}
}

// Savepoint implements kv.Txn.
func (t *Txn) Savepoint() kv.Savepoint { return kv.Savepoint{Seq: api.Seq(t.seq.Load())} }

// RollbackTo implements kv.Txn.
func (t *Txn) RollbackTo(_ context.Context, s kv.Savepoint) error {
	if t.status() == stuck && t.opts.Isolation == api.ReadCommitted {
		// The statement starts over on a new snapshot, which Step takes.
		t.setStatus(open)
		t.newSnapshot()
	}
	if err := t.usable(); err != nil {
		return err
	}
	last := api.Seq(t.seq.Load())
	if s.Seq >= last {
		return nil
	}
	t.buf.rollback(s.Seq)
	if t.flushed() > s.Seq {
		t.ignore(api.SeqInterval{From: s.Seq + 1, To: last})
	}
	return nil
}

// ignore adds an interval of rolled-back sequence numbers. It ends at the last
// sequence, so that it covers every earlier one that starts later.
func (t *Txn) ignore(i api.SeqInterval) {
	n := len(t.ignored)
	for n > 0 && t.ignored[n-1].From >= i.From {
		n--
	}
	// A copy: sent headers refer to the old list.
	t.ignored = append(t.ignored[:n:n], i)
}

// Restart implements kv.Txn.
func (t *Txn) Restart(context.Context) error {
	s := t.status()
	if s == committed || s == rolledBack {
		return errFinished
	}
	t.db.stats.restarts.Add(1)
	t.mu.Lock()
	t.info.Restarts++
	t.mu.Unlock()
	t.buf = buffer{}
	t.reads.reset()
	t.readKeep = arena{}
	// The locks stay, but what was seen under them is forgotten: one may have been
	// lost, and the key written since.
	t.locks.reset()
	m := t.edit()
	if s == aborted || t.flushed() > 0 || t.staged || t.victim {
		// The id is dead, or marks intents and a record of the failed attempt, or
		// its locks are what others wait for.
		t.abandon(false)
		m.ID, m.Anchor = newTxnID(), nil
		t.resetHoldings()
	}
	t.snapshotInto(m, t.retryTS)
	m.WriteTS = m.ReadTS
	t.meta.Store(m)
	t.setStatus(open)
	return nil
}

// resetHoldings forgets locks, intents and record: they were a former id's.
func (t *Txn) resetHoldings() {
	t.holds.Store(false)
	t.beaten.Store(false)
	t.staged, t.victim, t.doubtful = false, false, false
	t.locks.reset()
	t.lockSpans.reset()
	t.intents.reset()
	t.flushedSeq.Store(0)
	t.ignored = nil
}

// Info implements kv.Txn.
func (t *Txn) Info() kv.TxnInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.info
	m := t.meta.Load()
	i.ID, i.Isolation, i.StartTS, i.ReadTS = m.ID, m.Isolation, m.StartTS, m.ReadTS
	return i
}

// noteBuffer keeps Info's picture of the buffer.
func (t *Txn) noteBuffer() {
	t.mu.Lock()
	t.info.BufferedWrites, t.info.BufferBytes = t.buf.versions, t.buf.size
	t.mu.Unlock()
}

// end finishes the transaction's life in this DB.
func (t *Txn) end(s state) {
	t.setStatus(s)
	t.holds.Store(false)
	t.db.open.remove(t)
}

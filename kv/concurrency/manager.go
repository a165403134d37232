package concurrency

import (
	"context"
	"sync"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// Manager keeps the requests and transactions of one range apart. Its methods
// are safe for concurrent use.
type Manager struct {
	latches latches
	locks   *lockTable
	reads   *tsCache
	waits   *Waits

	mu sync.Mutex
	// pushed remembers above which timestamp writers are known to commit.
	pushed map[ids.TxnID]hlc.Timestamp
	// lookup is Pushed, bound once, and settled Committed.
	lookup  func(ids.TxnID) hlc.Timestamp
	settled func(*api.TxnMeta) hlc.Timestamp

	ends ends
}

// maxPushed bounds the memory of pushes; forgetting only costs another push.
const maxPushed = 4096

// NewManager returns the manager of a range whose lease starts at lease. waits is
// the node's graph; nil makes one for this range alone.
func NewManager(waits *Waits, lease hlc.Timestamp) *Manager {
	if waits == nil {
		waits = NewWaits()
	}
	m := &Manager{locks: newLockTable(), reads: newTSCache(), waits: waits}
	m.lookup, m.settled = m.Pushed, m.ends.committed
	m.latches.points = make(map[uint64]*Latch)
	m.reads.low = lease
	return m
}

// UseClock makes the manager read the wall time from nanos instead of the
// system; it is called before the manager is used.
func (m *Manager) UseClock(nanos func() int64) { m.locks.now = nanos }

// Waits returns the node's graph.
func (m *Manager) Waits() *Waits { return m.waits }

// Acquire takes a request's latches, waiting for conflicting ones.
func (m *Manager) Acquire(ctx context.Context, g *Guard) error { return m.latches.acquire(ctx, g) }

// Release gives a request's latches back.
func (m *Manager) Release(g *Guard) { m.latches.release(g) }

// LatchAll waits for every request and keeps new ones out until the returned
// function is called: for splits and lease transfers.
func (m *Manager) LatchAll(ctx context.Context) (release func(), err error) {
	g := &Guard{}
	g.Span([]byte{}, append(append([]byte(nil), keys.MaxKey...), 0xff), hlc.Timestamp{}, true)
	if err := m.latches.acquire(ctx, g); err != nil {
		return nil, err
	}
	return func() { m.latches.release(g) }, nil
}

// PointPending returns what to wait for before key may be read at ts without a
// latch, or nil.
func (m *Manager) PointPending(key []byte, hash uint64, ts hlc.Timestamp) <-chan struct{} {
	if c := m.latches.pending(key, hash, ts); c != nil {
		return c
	}
	return nil
}

// NoteRead records that key was, or is about to be, read at ts.
func (m *Manager) NoteRead(hash uint64, ts hlc.Timestamp, id ids.TxnID) {
	m.reads.addPoint(hash, ts, id)
}

// NoteReadSpan records that [start, end) was read at ts.
func (m *Manager) NoteReadSpan(start, end []byte, ts hlc.Timestamp, id ids.TxnID) {
	m.reads.addSpan(start, end, ts, id)
}

// LatestRead returns the timestamp above which a write of key by id, which would
// be at the given timestamp, must land.
func (m *Manager) LatestRead(key []byte, hash uint64, id ids.TxnID, at hlc.Timestamp) hlc.Timestamp {
	return m.reads.get(key, hash, id, at)
}

// LatestReadAnywhere bounds all reads of the range.
func (m *Manager) LatestReadAnywhere() hlc.Timestamp { return m.reads.latest() }

// TryLock takes a lock for a transaction if nobody is in the way. A new lock
// remembers seq, the batch's Header.LockSeq.
func (m *Manager) TryLock(key []byte, hash uint64, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) bool {
	return m.locks.try(key, hash, txn, s, seq)
}

// Lock takes a lock like TryLock and returns nil, or a place in its queue.
func (m *Manager) Lock(key []byte, hash uint64, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) *Waiter {
	return m.locks.lock(key, hash, txn, s, seq)
}

// Discover enters a foreign intent as a lock and queues for it. The caller holds
// a latch on the key, so that the intent cannot have been resolved meanwhile.
func (m *Manager) Discover(key []byte, hash uint64, by, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) *Waiter {
	return m.locks.discover(key, hash, by, txn, s, seq)
}

// WriteBlocked reports whether a write of key must wait for a lock.
func (m *Manager) WriteBlocked(key []byte, hash uint64, id ids.TxnID) bool {
	return m.locks.conflicting(key, hash, id)
}

// LockedByOther reports whether a lock of strength s would conflict with one that
// is held.
func (m *Manager) LockedByOther(key []byte, hash uint64, id ids.TxnID, s api.LockStrength) bool {
	return m.locks.lockedByOther(key, hash, id, s)
}

// Held returns how strongly a transaction holds a key with a lock that it took
// with a batch up to seq: one that was taken later tells of a loss before.
func (m *Manager) Held(key []byte, hash uint64, id ids.TxnID, seq api.Seq) api.LockStrength {
	return m.locks.held(key, hash, id, seq)
}

// ReleaseKey drops a transaction's lock of one key.
func (m *Manager) ReleaseKey(key []byte, hash uint64, id ids.TxnID) {
	m.locks.releaseKey(key, hash, id)
}

// ReleaseTxn drops a transaction's locks in [start, end); a nil end means all.
func (m *Manager) ReleaseTxn(id ids.TxnID, start, end []byte) { m.locks.releaseTxn(id, start, end) }

// NoteLocked makes the keys that a transaction holds in [start, end) count as read
// at ts; a nil end means all. A lock gives way only to writers above what its
// holder saw.
func (m *Manager) NoteLocked(id ids.TxnID, start, end []byte, ts hlc.Timestamp) {
	m.locks.hashes(id, start, end, func(hash uint64) { m.reads.addPoint(hash, ts, id) })
}

// NotePushed remembers that a transaction can only commit above ts.
func (m *Manager) NotePushed(id ids.TxnID, ts hlc.Timestamp) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pushed == nil || len(m.pushed) >= maxPushed {
		m.pushed = make(map[ids.TxnID]hlc.Timestamp)
	}
	m.pushed[id] = m.pushed[id].Forward(ts)
}

// Pushed returns a timestamp at or above which a transaction is known to commit,
// or zero.
func (m *Manager) Pushed(id ids.TxnID) hlc.Timestamp {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pushed[id]
}

// PushedFunc returns Pushed as a function, without allocating one.
func (m *Manager) PushedFunc() func(ids.TxnID) hlc.Timestamp { return m.lookup }

// LeaseAcquired starts a lease: every key counts as read at its start. Locks of
// the previous holder are entered with ImportLocks.
func (m *Manager) LeaseAcquired(start hlc.Timestamp) { m.reads.raise(start) }

// LeaseLost forgets all locks and sends everybody who waits back to routing.
func (m *Manager) LeaseLost() { m.locks.clear(nil) }

// CopyTo gives right, the manager of a split's right half that starts at key,
// what it must know, and forgets the locks at or above key here. The caller
// holds LatchAll.
func (m *Manager) CopyTo(right *Manager, key []byte) {
	m.reads.copyTo(right.reads)
	right.ImportLocks(m.ExportLocks(key, nil))
	m.locks.clear(key)
}

// Truncate forgets the locks at or above key and sends their waiters back.
func (m *Manager) Truncate(key []byte) { m.locks.clear(key) }

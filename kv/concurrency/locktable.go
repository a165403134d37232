package concurrency

import (
	"bytes"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// lockTable holds the locks of transactions on a range's keys, and who waits.
type lockTable struct {
	mu    sync.Mutex
	locks map[uint64]*lock // by hash, chained
	txns  map[ids.TxnID]*lockOwner
	// Spare structures, so that an uncontended lock allocates nothing.
	spareLocks  []*lock
	spareOwners []*lockOwner
	now         func() int64
}

const maxSpare = 1024

// lock is one key's entry; it exists while somebody holds it or waits.
type lock struct {
	key     []byte
	hash    uint64
	next    *lock
	holders []holder
	queue   []*Waiter
}

type holder struct {
	owner    *lockOwner
	strength api.LockStrength
	// replicated marks the lock that an intent is.
	replicated bool
	// seq is the Header.LockSeq of the batch that took the lock first.
	seq   api.Seq
	place int // of the lock in the owner's list
}

// lockOwner is a transaction that holds locks here.
type lockOwner struct {
	txn api.TxnMeta
	// seenNanos is when it was last heard of here, in wall time.
	seenNanos int64
	locks     []*lock
}

// WaitResult says how a wait for a lock ended.
type WaitResult uint8

// Results of waiting. After Dropped the request starts over: the lock table was
// given up, or the key moved to another range.
const (
	Waiting WaitResult = iota
	Granted
	Dropped
	Victim
)

// Waiter is a place in a lock's queue.
type Waiter struct {
	// C receives once the wait is over.
	C chan struct{}

	table    *lockTable
	lock     *lock
	txn      api.TxnMeta
	strength api.LockStrength
	seq      api.Seq // for the lock that is taken in the end
	result   WaitResult
	// suspected is that edges of other nodes, which may be no more, look like a
	// deadlock: see Waits.Check.
	suspected Suspicion
}

func newLockTable() *lockTable {
	return &lockTable{locks: make(map[uint64]*lock), txns: make(map[ids.TxnID]*lockOwner),
		now: func() int64 { return time.Now().UnixNano() }}
}

func (t *lockTable) find(key []byte, hash uint64) *lock {
	for l := t.locks[hash]; l != nil; l = l.next {
		if bytes.Equal(l.key, key) {
			return l
		}
	}
	return nil
}

func (t *lockTable) findOrAdd(key []byte, hash uint64) *lock {
	if l := t.find(key, hash); l != nil {
		return l
	}
	var l *lock
	if n := len(t.spareLocks); n > 0 {
		l, t.spareLocks = t.spareLocks[n-1], t.spareLocks[:n-1]
	} else {
		l = &lock{}
	}
	l.key, l.hash, l.next = append(l.key[:0], key...), hash, t.locks[hash]
	t.locks[hash] = l
	return l
}

// drop removes an entry that nobody uses.
func (t *lockTable) drop(l *lock) {
	if len(l.holders) > 0 || len(l.queue) > 0 {
		return
	}
	if head := t.locks[l.hash]; head == l {
		if l.next == nil {
			delete(t.locks, l.hash)
		} else {
			t.locks[l.hash] = l.next
		}
	} else {
		for p := head; p != nil; p = p.next {
			if p.next == l {
				p.next = l.next
				break
			}
		}
	}
	l.next = nil
	if len(t.spareLocks) < maxSpare && cap(l.key) <= 512 {
		t.spareLocks = append(t.spareLocks, l)
	}
}

// owner returns a transaction's entry. A replicated lock that is discovered again
// is no sign of life.
func (t *lockTable) owner(txn *api.TxnMeta, discovered bool) *lockOwner {
	o := t.txns[txn.ID]
	if o != nil && discovered {
		return o
	}
	if o == nil {
		if n := len(t.spareOwners); n > 0 {
			o, t.spareOwners = t.spareOwners[n-1], t.spareOwners[:n-1]
		} else {
			o = &lockOwner{}
		}
		t.txns[txn.ID] = o
	}
	// The request's bytes belong to the sender; keep our own anchor.
	anchor := o.txn.Anchor
	if len(txn.Anchor) > 0 && !bytes.Equal(anchor, txn.Anchor) {
		anchor = append([]byte(nil), txn.Anchor...)
	}
	o.txn = *txn
	o.txn.Anchor = anchor
	o.seenNanos = t.now()
	return o
}

func (l *lock) holder(id ids.TxnID) *holder {
	for i := range l.holders {
		if l.holders[i].owner.txn.ID == id {
			return &l.holders[i]
		}
	}
	return nil
}

// conflicts reports whether a request must wait for a holder. LockNone is a
// reader, which only intents stop.
func (h *holder) conflicts(id ids.TxnID, s api.LockStrength) bool {
	switch {
	case h.owner.txn.ID == id:
		return false
	case s == api.LockNone:
		return h.replicated
	}
	return s == api.LockExclusive || h.strength == api.LockExclusive
}

func (l *lock) blocked(id ids.TxnID, s api.LockStrength) bool {
	for i := range l.holders {
		if l.holders[i].conflicts(id, s) {
			return true
		}
	}
	return false
}

// queued reports whether a waiter is in the way of a newcomer.
func (l *lock) queued(id ids.TxnID, s api.LockStrength) bool {
	for _, w := range l.queue {
		if w.stops(id, s) {
			return true
		}
	}
	return false
}

func (w *Waiter) stops(id ids.TxnID, s api.LockStrength) bool {
	return w.txn.ID != id && w.strength != api.LockNone && s != api.LockNone &&
		(s == api.LockExclusive || w.strength == api.LockExclusive)
}

// try takes the lock if nobody is in the way.
func (t *lockTable) try(key []byte, hash uint64, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.find(key, hash)
	if l == nil {
		t.hold(t.findOrAdd(key, hash), txn, s, seq, false)
		return true
	}
	if !t.free(l, txn.ID, s) {
		return false
	}
	t.hold(l, txn, s, seq, false)
	return true
}

func (t *lockTable) free(l *lock, id ids.TxnID, s api.LockStrength) bool {
	if h := l.holder(id); h != nil && h.strength >= s {
		return true
	} else if h != nil {
		return !l.blocked(id, s)
	}
	return !l.blocked(id, s) && !l.queued(id, s)
}

func (t *lockTable) hold(l *lock, txn *api.TxnMeta, s api.LockStrength, seq api.Seq, replicated bool) {
	o := t.owner(txn, replicated)
	if h := l.holder(txn.ID); h != nil {
		h.strength = max(h.strength, s)
		h.replicated = h.replicated || replicated
		return
	}
	l.holders = append(l.holders, holder{o, s, replicated, seq, len(o.locks)})
	o.locks = append(o.locks, l)
}

// lock takes the lock and returns nil, or a place in its queue.
func (t *lockTable) lock(key []byte, hash uint64, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) *Waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.findOrAdd(key, hash)
	if t.free(l, txn.ID, s) {
		t.hold(l, txn, s, seq, false)
		return nil
	}
	w := t.newWaiter(l, txn, s, seq)
	if l.holder(txn.ID) == nil {
		l.queue = append(l.queue, w)
		return w
	}
	// An upgrade goes before everybody who does not hold the lock.
	i := 0
	for i < len(l.queue) && l.holder(l.queue[i].txn.ID) != nil {
		i++
	}
	l.enqueue(i, w)
	return w
}

func (t *lockTable) newWaiter(l *lock, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) *Waiter {
	w := &Waiter{C: make(chan struct{}, 1), table: t, lock: l, txn: *txn, strength: s, seq: seq}
	w.txn.Anchor = append([]byte(nil), txn.Anchor...)
	return w
}

func (l *lock) enqueue(i int, w *Waiter) {
	l.queue = append(l.queue, nil)
	copy(l.queue[i+1:], l.queue[i:])
	l.queue[i] = w
}

// discover enters an intent as a lock that its writer holds and queues a waiter
// for it, before others: it was there first. A lock that the waiter's
// transaction took meanwhile is given up, for the intent was older.
func (t *lockTable) discover(key []byte, hash uint64, by, txn *api.TxnMeta, s api.LockStrength, seq api.Seq) *Waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.findOrAdd(key, hash)
	t.hold(l, by, api.LockExclusive, 0, true)
	if s != api.LockNone {
		t.unhold(l, txn.ID)
	}
	w := t.newWaiter(l, txn, s, seq)
	l.enqueue(0, w)
	return w
}

// conflicting reports whether a write by id would have to wait for a lock.
func (t *lockTable) conflicting(key []byte, hash uint64, id ids.TxnID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locks) == 0 {
		return false
	}
	l := t.find(key, hash)
	return l != nil && !t.free(l, id, api.LockExclusive)
}

// lockedByOther reports whether a locking read that skips or refuses locked rows
// would meet a foreign lock.
func (t *lockTable) lockedByOther(key []byte, hash uint64, id ids.TxnID, s api.LockStrength) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.find(key, hash)
	return l != nil && l.blocked(id, s)
}

// unhold removes a holder without waking anybody.
func (t *lockTable) unhold(l *lock, id ids.TxnID) bool {
	for i := range l.holders {
		if o, place := l.holders[i].owner, l.holders[i].place; o.txn.ID == id {
			last := len(l.holders) - 1
			l.holders[i], l.holders[last] = l.holders[last], holder{}
			l.holders = l.holders[:last]
			o.forget(place)
			if len(o.locks) == 0 {
				t.dropOwner(o)
			}
			return true
		}
	}
	return false
}

// forget takes the lock at a place out of the owner's list; the last one moves
// there.
func (o *lockOwner) forget(place int) {
	n := len(o.locks) - 1
	if moved := o.locks[n]; place < n {
		o.locks[place] = moved
		moved.holder(o.txn.ID).place = place
	}
	o.locks[n] = nil
	o.locks = o.locks[:n]
}

func (t *lockTable) dropOwner(o *lockOwner) {
	delete(t.txns, o.txn.ID)
	if len(t.spareOwners) < maxSpare {
		*o = lockOwner{locks: o.locks[:0]}
		t.spareOwners = append(t.spareOwners, o)
	}
}

// grant hands the lock to whom it can and drops an unused entry.
func (t *lockTable) grant(l *lock) {
	for i := 0; i < len(l.queue); {
		w := l.queue[i]
		ok := !l.blocked(w.txn.ID, w.strength)
		for j := 0; ok && j < i; j++ {
			ok = !l.queue[j].stops(w.txn.ID, w.strength)
		}
		if !ok {
			i++
			continue
		}
		l.queue = append(l.queue[:i], l.queue[i+1:]...)
		if w.strength != api.LockNone {
			t.hold(l, &w.txn, w.strength, w.seq, false)
		}
		w.finish(Granted)
	}
	t.drop(l)
}

func (w *Waiter) finish(r WaitResult) {
	if w.result == Waiting {
		w.result = r
		w.C <- struct{}{}
	}
}

// Result returns how the wait ended, or Waiting.
func (w *Waiter) Result() WaitResult {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	return w.result
}

// Cancel leaves the queue. A lock that was granted meanwhile is released.
func (w *Waiter) Cancel() {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.result == Granted && w.strength != api.LockNone {
		if t.unhold(w.lock, w.txn.ID) {
			t.grant(w.lock)
		}
		return
	}
	t.dequeue(w)
}

func (t *lockTable) dequeue(w *Waiter) {
	for i, o := range w.lock.queue {
		if o == w {
			w.lock.queue = append(w.lock.queue[:i], w.lock.queue[i+1:]...)
			t.grant(w.lock)
			return
		}
	}
}

// Blocker is a transaction that a waiter waits for.
type Blocker struct {
	Txn api.TxnMeta
	// Holds tells a holder from a waiter ahead; Replicated an intent.
	Holds, Replicated bool
	// SeenNanos is when the holder was last heard of here.
	SeenNanos int64
}

// Blockers returns whom w waits for now. First reports whether w is the first in
// the queue: who is first cares for the holder.
func (w *Waiter) Blockers() (bs []Blocker, first bool) {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.result != Waiting {
		return nil, false
	}
	for i := range w.lock.holders {
		if h := &w.lock.holders[i]; h.conflicts(w.txn.ID, w.strength) {
			bs = append(bs, Blocker{h.owner.txn, true, h.replicated, h.owner.seenNanos})
		}
	}
	for i, o := range w.lock.queue {
		if o == w {
			return bs, i == 0
		}
		if o.stops(w.txn.ID, w.strength) {
			bs = append(bs, Blocker{Txn: o.txn})
		}
	}
	return bs, false
}

// releaseKey drops a transaction's lock of one key.
func (t *lockTable) releaseKey(key []byte, hash uint64, id ids.TxnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locks) == 0 {
		return
	}
	if l := t.find(key, hash); l != nil && t.unhold(l, id) {
		t.grant(l)
	}
}

// releaseTxn drops a transaction's locks in [start, end), or all if end is nil.
func (t *lockTable) releaseTxn(id ids.TxnID, start, end []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.txns[id]
	if o == nil {
		return
	}
	for i := len(o.locks) - 1; i >= 0; i-- {
		l := o.locks[i]
		if end != nil && (bytes.Compare(l.key, start) < 0 || bytes.Compare(l.key, end) >= 0) {
			continue
		}
		t.unhold(l, id)
		t.grant(l)
	}
}

// hashes calls f with the hash of each key that a transaction holds in
// [start, end), or of all if end is nil.
func (t *lockTable) hashes(id ids.TxnID, start, end []byte, f func(hash uint64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.txns[id]
	if o == nil {
		return
	}
	for _, l := range o.locks {
		if end == nil || bytes.Compare(l.key, start) >= 0 && bytes.Compare(l.key, end) < 0 {
			f(l.hash)
		}
	}
}

// held returns how strongly a transaction holds a key.
func (t *lockTable) held(key []byte, hash uint64, id ids.TxnID, seq api.Seq) api.LockStrength {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.find(key, hash); l != nil {
		if h := l.holder(id); h != nil && h.seq <= seq {
			return h.strength
		}
	}
	return api.LockNone
}

// clear gives up all locks at or above start and sends their waiters back.
func (t *lockTable) clear(start []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var doomed []*lock
	for _, l := range t.locks {
		for ; l != nil; l = l.next {
			if bytes.Compare(l.key, start) >= 0 {
				doomed = append(doomed, l)
			}
		}
	}
	for _, l := range doomed {
		for len(l.holders) > 0 {
			t.unhold(l, l.holders[0].owner.txn.ID)
		}
		for _, w := range l.queue {
			w.finish(Dropped)
		}
		clear(l.queue)
		l.queue = l.queue[:0]
		t.drop(l)
	}
}

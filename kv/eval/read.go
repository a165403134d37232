package eval

import (
	"context"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// takeReadLocks takes the locks of the batch's locking Gets, waiting in turn; no
// latch is held here.
func (ev *evaluation) takeReadLocks(ctx context.Context) error {
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		if r.Kind != api.Get || r.Lock == api.LockNone {
			continue
		}
		hash := concurrency.Hash(r.Key)
		if ev.m.TryLock(r.Key, hash, ev.txn, r.Lock, ev.ba.LockSeq) {
			continue
		}
		switch r.Wait {
		case api.WaitError:
			return &api.LockUnavailableError{Key: r.Key}
		case api.WaitSkip:
			continue
		}
		if w := ev.m.Lock(r.Key, hash, ev.txn, r.Lock, ev.ba.LockSeq); w != nil {
			if err := ev.await(ctx, w, r.Key, false); err != nil {
				return err
			}
			// A dropped wait leaves no lock: the caller's checks send the batch back,
			// or the next turn takes it.
			if w.Result() != concurrency.Granted {
				return ev.rebound()
			}
		}
	}
	return nil
}

// rebound is what to do after a wait that was dropped: the range may be gone
// from here, else the batch tries again.
func (ev *evaluation) rebound() error {
	if _, err := ev.rng.CheckLease(ev.readTS); err != nil {
		return err
	}
	ev.desc = ev.rng.Desc()
	if err := ev.checkBounds(); err != nil {
		return err
	}
	ev.blocked = blockedKey{}
	return errBlocked
}

// readUnlatched answers a batch of Gets. A read is noted before it looks for
// writes under way, and a write asks for reads after it has its latch: one of
// the two sees the other. So the read needs no latch.
func (ev *evaluation) readUnlatched(ctx context.Context) error {
	if err := ev.enter(); err != nil {
		return err
	}
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		hash := concurrency.Hash(r.Key)
		ts := ev.readTS.Forward(ev.opts.Limit)
		if r.Lock != api.LockNone {
			ts = hlc.MaxTimestamp
		} else {
			ev.m.NoteRead(hash, ev.readTS, ev.opts.ID)
		}
		for waited := false; ; waited = true {
			c := ev.m.PointPending(r.Key, hash, ts)
			if c == nil {
				if waited {
					// The range may have split or moved meanwhile.
					if err := ev.enter(); err != nil {
						return err
					}
				}
				break
			}
			select {
			case <-c:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := ev.get(r, &ev.resp.Responses[i]); err != nil {
			return err
		}
	}
	// A split or a move of the lease takes along what was noted before its latch on
	// everything. If all of it came between our look at the range and a note, that
	// note was lost, and the value that was read may yet change.
	if err := ev.enter(); err != nil {
		clear(ev.resp.Responses)
		return err
	}
	if len(ev.conflicts) == 0 {
		return nil
	}
	// A conflict is entered into the lock table under a latch, lest it be resolved
	// unseen. Reading again with latches finds it again, if it is still there.
	clear(ev.resp.Responses)
	ev.conflicts = ev.conflicts[:0]
	ev.collectLatches()
	if err := ev.m.Acquire(ctx, &ev.guard); err != nil {
		return err
	}
	err := ev.evaluateLatched()
	if err != errConflict {
		ev.m.Release(&ev.guard)
	}
	return err
}

// get reads one key, which is locked already if the request says so.
func (ev *evaluation) get(r *api.Request, resp *api.Response) error {
	if ev.readTS.Less(ev.gcLimit) && r.Lock == api.LockNone {
		return &api.GCError{Threshold: ev.gcLimit}
	}
	if r.Lock != api.LockNone && r.Wait == api.WaitSkip &&
		ev.m.Held(r.Key, concurrency.Hash(r.Key), ev.txn.ID, ev.ba.LockSeq) < r.Lock {
		resp.Skipped = true
		return nil
	}
	if c := ev.carried(r.Key); c != nil && r.Lock == api.LockNone {
		resp.Exists, resp.Value = !c.Deleted, c.Value
		return nil
	}
	if !ev.ba.NoIntents && ev.ba.Txn != nil {
		if err := ev.checkMarker(r.Key, nil); err != nil {
			return err
		}
	}
	ev.opts.Lock = r.Lock != api.LockNone
	row, err := mvcc.Get(ev.eng, &ev.sc, ev.space, r.Key, &ev.opts)
	ev.opts.Lock = false
	if err != nil {
		return err
	}
	if row.Conflict != nil {
		if r.Wait == api.WaitSkip {
			resp.Skipped = true
			return nil
		}
		ev.addConflict(r.Key, row.Conflict, r.Lock, r.Wait)
		return nil
	}
	if r.Lock == api.LockNone {
		if !row.Uncertain.IsZero() {
			return &api.RetryError{Reason: api.ReasonUncertain, Timestamp: row.Uncertain}
		}
		resp.Value, resp.Exists, resp.VersionTS = row.Value, row.Exists, row.TS
		if !row.Exists {
			resp.VersionTS = hlc.Timestamp{}
		}
		return nil
	}
	if ev.readTS.Less(row.Newest) {
		return newerVersion(row.Newest)
	}
	resp.Value, resp.Exists, resp.VersionTS = row.Value, row.Exists, row.Base()
	if c := ev.carried(r.Key); c != nil {
		resp.Exists, resp.Value = !c.Deleted, c.Value
	}
	return nil
}

// newerVersion sends a transaction that locks a key to a snapshot above the version
// that it met, and not just to the version: what it then writes must lie above it,
// and would be pushed there at the commit, which costs a parallel one another round.
func newerVersion(ts hlc.Timestamp) error {
	return &api.RetryError{Reason: api.ReasonNewerVersion, Timestamp: ts.Next()}
}

// carried returns the buffered write of a key, if the batch carries one.
func (ev *evaluation) carried(key api.Key) *api.CarriedWrite {
	c := ev.ba.Carried
	for lo, hi := 0, len(c); lo < hi; {
		mid := (lo + hi) / 2
		switch a, b := string(c[mid].Key), string(key); {
		case a < b:
			lo = mid + 1
		case a > b:
			hi = mid
		default:
			return &c[mid]
		}
	}
	return nil
}

// checkMarker fails when an intent of the batch's transaction was removed from
// what it reads: it was aborted.
func (ev *evaluation) checkMarker(start, end api.Key) error {
	if end == nil {
		ev.buf = mvcc.AppendMarkerKey(ev.buf[:0], ev.space, start, ev.txn.ID)
		if _, ok := ev.eng.Get(ev.buf); ok {
			return &api.AbortedError{Reason: "its writes were removed"}
		}
		return nil
	}
	if mvcc.HasMarker(ev.openView(), ev.space, start, end, ev.txn.ID) {
		return &api.AbortedError{Reason: "its writes were removed"}
	}
	return nil
}

func (ev *evaluation) openView() engine.View {
	if ev.view == nil {
		ev.view = ev.eng.View()
	}
	return ev.view
}

func (ev *evaluation) addConflict(key api.Key, in *mvcc.Intent, s api.LockStrength, w api.WaitPolicy) {
	ev.conflicts = append(ev.conflicts, conflict{key: key, by: in.Txn, strength: s, wait: w})
}

// head reads the newest state of a key; the intent of a transaction that is known
// to have committed counts as a version.
func (ev *evaluation) head(key api.Key) (mvcc.Head, error) {
	h, err := mvcc.GetHead(ev.eng, &ev.sc, ev.space, key)
	if err != nil || h.Intent == nil || h.Intent.Txn.ID == ev.opts.ID {
		return h, err
	}
	if ts := ev.opts.Committed(&h.Intent.Txn); !ts.IsZero() {
		laid := h
		return laid.Settle(ts), nil
	}
	return h, nil
}

// mayReplace fails while an intent that counts as a version must stay, for its
// writer's fate still hangs on it. Who would write over it waits, or, once that
// has taken too long, deals with the writer as with one that is not known to have
// committed.
func (ev *evaluation) mayReplace(h *mvcc.Head) error {
	if !h.Settled() {
		return nil
	}
	laid := h.Laid()
	_, recorded := ev.m.Recorded(&laid.Intent.Txn)
	select {
	case <-recorded:
		return nil
	default:
	}
	if recorded == nil || ev.impatient { // forgotten meanwhile, or stuck
		*h = *laid
		return nil
	}
	ev.unsaid = recorded
	return errUnsaid
}

// refresh checks that nothing was written to what the transaction read since.
func (ev *evaluation) refresh(r *api.Request) error {
	to := ev.readTS
	if r.End == nil {
		return ev.refreshPoint(r, to)
	}
	ts, open, err := mvcc.ChangedSince(ev.openView(), ev.space, r.Key, r.End, r.RefreshFrom, to, &ev.opts)
	if err != nil {
		return err
	}
	if !ts.IsZero() {
		return &api.RetryError{Reason: api.ReasonRefreshFailed, Timestamp: ts}
	}
	for _, c := range open {
		ev.addConflict(c.Key, c.Intent, api.LockNone, r.Wait)
	}
	ev.m.NoteReadSpan(r.Key, r.End, to, ev.opts.ID)
	return nil
}

func (ev *evaluation) refreshPoint(r *api.Request, to hlc.Timestamp) error {
	hash := concurrency.Hash(r.Key)
	head, err := ev.head(r.Key)
	if err != nil {
		return err
	}
	if head.Settled() && r.RefreshFrom.Less(head.Newest) && head.Newest.LessEq(to) {
		return &api.RetryError{Reason: api.ReasonRefreshFailed, Timestamp: head.Newest}
	}
	if ts, ok := mvcc.HasVersionIn(ev.eng, &ev.sc, ev.space, r.Key, r.RefreshFrom, to); ok {
		return &api.RetryError{Reason: api.ReasonRefreshFailed, Timestamp: ts}
	}
	if in := head.Intent; in != nil && ev.opts.MayChange(in, to) {
		ev.addConflict(r.Key, in, api.LockNone, r.Wait)
		return nil
	}
	ev.m.NoteRead(hash, to, ev.opts.ID)
	return nil
}

// validateLock checks that nobody wrote a key since it was locked, and makes it
// count as read where the transaction commits.
func (ev *evaluation) validateLock(r *api.Request) error {
	if err := ev.checkHeld(r, concurrency.Hash(r.Key)); err != nil {
		return err
	}
	head, err := ev.head(r.Key)
	if err != nil {
		return err
	}
	if in := head.Intent; in != nil && in.Txn.ID != ev.opts.ID {
		// The lock was lost: somebody laid an intent under it.
		ev.addConflict(r.Key, in, api.LockShared, r.Wait)
		return nil
	}
	if head.Base() != r.Expect.Version {
		return &api.RetryError{Reason: api.ReasonStaleBase, Timestamp: head.Newest}
	}
	if ev.plan.end == nil {
		// The commit is decided elsewhere, at the timestamp that the header names.
		ev.m.NoteRead(concurrency.Hash(r.Key), ev.writeTS, ev.opts.ID)
	}
	return nil
}

package eval

import (
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/keys"
)

// endTxn commits, stages or aborts the header's transaction, after all writes of
// the batch were checked.
func (ev *evaluation) endTxn(r *api.Request) error {
	rec, err := ev.ownRecord(r)
	if err != nil {
		return err
	}
	if err := ev.weigh(r); err != nil {
		return err
	}
	switch {
	case !r.Txn.Commit:
		return ev.abort(r, rec)
	case rec != nil && rec.Status == api.Aborted:
		return &api.AbortedError{Reason: "by a conflicting transaction"}
	case rec != nil && rec.Status == api.Committed:
		return ev.commitAgain(rec)
	}
	if err := ev.checkCommit(r); err != nil {
		return err
	}
	commit := ev.writeTS
	for i := range ev.ba.Requests {
		if v := &ev.ba.Requests[i]; v.Kind == api.ValidateLock {
			ev.m.NoteRead(concurrency.Hash(v.Key), commit, ev.opts.ID)
		}
	}
	if ev.plan.onePhase {
		ev.putVersions(commit)
		if err := ev.resolveLocal(r, api.Committed); err != nil {
			return err
		}
		if rec != nil {
			ev.changes.DeleteRecord(rec.Anchor, rec.ID)
		}
		ev.releaseLater(ev.txn.ID, nil, nil)
		return nil
	}
	return ev.commitByRecord(r, rec == nil)
}

// isUnknown reports whether the transaction has locked and laid nothing before
// this batch: then it is unknown to everybody, and nobody can have decided about
// it.
func (ev *evaluation) isUnknown(r *api.Request) bool {
	return ev.ba.CanRefresh && ev.ba.NoIntents && ev.plan.onePhase && len(r.Txn.Locks) == 0
}

// ownRecord reads the header's transaction's record and takes pushes into
// account.
func (ev *evaluation) ownRecord(r *api.Request) (*api.TxnRecord, error) {
	if ev.isUnknown(r) {
		return nil, nil
	}
	anchor := ev.anchor()
	rec, err := mvcc.GetRecord(ev.eng, &ev.buf, ev.space, anchor, ev.txn.ID)
	if err != nil {
		return nil, err
	}
	if rec != nil {
		if rec.Epoch > ev.txn.Epoch {
			return nil, &api.AbortedError{Reason: "an older epoch"}
		}
		ev.writeTS = ev.writeTS.Forward(rec.WriteTS)
		if rec.Status != api.Pending {
			return rec, nil // decided, or staged where no push reaches it any more
		}
	}
	ev.above(ev.m.LatestRead(ev.own, concurrency.Hash(ev.own), ev.opts.ID, ev.writeTS))
	return rec, nil
}

// checkCommit checks what only the final timestamp tells.
func (ev *evaluation) checkCommit(r *api.Request) error {
	for i := range ev.writes {
		if in := ev.writes[i].head.Intent; in != nil && in.Txn.Epoch == ev.txn.Epoch {
			ev.writeTS = ev.writeTS.Forward(in.Txn.WriteTS)
		}
	}
	if ev.txn.Isolation == api.Serializable && ev.writeTS != ev.readTS {
		return &api.RetryError{Reason: api.ReasonPushed, Timestamp: ev.writeTS}
	}
	if d := r.Txn.Deadline; !d.IsZero() && d.Less(ev.writeTS) {
		return &api.DeadlineError{CommitTS: ev.writeTS}
	}
	return nil
}

// commitAgain answers a commit of a transaction that is committed: a recovery was
// faster.
func (ev *evaluation) commitAgain(rec *api.TxnRecord) error {
	ev.writeTS = rec.WriteTS
	ev.writes = ev.writes[:0]
	if !ev.plan.leave {
		if _, err := ev.resolveSpans(rec.Locks, ev.fate(api.Committed)); err != nil {
			return err
		}
	}
	ev.releaseLater(ev.txn.ID, nil, nil)
	return nil
}

// commitByRecord writes a record, perhaps its first: the transaction has writes
// elsewhere.
func (ev *evaluation) commitByRecord(r *api.Request, fresh bool) error {
	rec := ev.newRecord(api.Committed)
	rec.Locks, rec.Ignored = r.Txn.Locks, r.Txn.Ignored
	if len(r.Txn.InFlight) > 0 {
		ev.putIntents()
		rec.Status, rec.InFlight = api.Staging, r.Txn.InFlight
		ev.changes.PutRecord(rec, fresh)
		return nil
	}
	ev.putVersions(ev.writeTS)
	ev.changes.PutRecord(rec, fresh)
	if err := ev.resolveLocal(r, api.Committed); err != nil {
		return err
	}
	ev.releaseLater(ev.txn.ID, nil, nil)
	return nil
}

func (ev *evaluation) newRecord(s api.TxnStatus) *api.TxnRecord {
	rec := &api.TxnRecord{TxnMeta: *ev.ba.Txn, Status: s, LastHeartbeat: ev.resp.Now}
	rec.Anchor = ev.anchor()
	rec.WriteTS, rec.ReadTS = ev.writeTS, ev.readTS
	return rec
}

// abort ends the transaction without its writes.
func (ev *evaluation) abort(r *api.Request, rec *api.TxnRecord) error {
	if rec != nil && rec.Status == api.Committed {
		return &api.AmbiguousError{Cause: "the transaction was committed by a recovery"}
	}
	ev.writes = ev.writes[:0]
	here := !ev.plan.leave
	for i := range r.Txn.Locks {
		here = here && ev.spanInRange(r.Txn.Locks[i].Start, r.Txn.Locks[i].End)
	}
	switch {
	case here && rec != nil:
		ev.changes.DeleteRecord(rec.Anchor, rec.ID)
	case !here && !(ev.ba.NoIntents && rec == nil):
		n := ev.newRecord(api.Aborted)
		n.Locks = r.Txn.Locks
		ev.changes.PutRecord(n, rec == nil)
	}
	if err := ev.resolveLocal(r, api.Aborted); err != nil {
		return err
	}
	ev.unlock(nil, nil)
	return nil
}

// forget removes the record of a finished transaction that nothing refers to any
// more.
func (ev *evaluation) forget(rec *api.TxnRecord) error {
	if rec != nil && rec.Status != api.Staging {
		ev.changes.DeleteRecord(rec.Anchor, rec.ID)
	}
	return nil
}

// fate is what the header's transaction's intents become.
func (ev *evaluation) fate(s api.TxnStatus) *mvcc.Resolution {
	res := &mvcc.Resolution{ID: ev.txn.ID, Epoch: ev.txn.Epoch, Status: s, TS: ev.writeTS, Ignored: ev.ba.Ignored}
	if e := ev.plan.end; e != nil && e.Txn.Ignored != nil {
		res.Ignored = e.Txn.Ignored
	}
	return res
}

// resolveLocal resolves the intents of EndTxn's spans that lie in this range, in
// the same command.
func (ev *evaluation) resolveLocal(r *api.Request, s api.TxnStatus) error {
	if ev.ba.NoIntents || ev.plan.leave {
		return nil
	}
	_, err := ev.resolveSpans(r.Txn.Locks, ev.fate(s))
	return err
}

// maxResolve is how many intents one command resolves.
const maxResolve = 2000

// weigh finds out whether the transaction has more intents in this range than
// one command should resolve; then it needs its record for a while.
func (ev *evaluation) weigh(r *api.Request) error {
	if ev.ba.NoIntents {
		return nil
	}
	n := 0
	for _, s := range r.Txn.Locks {
		s, ok := ev.clip(s)
		switch {
		case !ok:
		case s.End == nil:
			n++
		default:
			found, err := mvcc.FindIntents(ev.openView(), ev.space, s.Start, s.End, ev.txn.ID, maxResolve-n+1)
			if err != nil {
				return err
			}
			n += len(found)
		}
		if n > maxResolve {
			ev.plan.leave, ev.plan.onePhase = true, false
			return nil
		}
	}
	return nil
}

// resolveSpans resolves a transaction's intents in spans, except where this batch
// writes: there the write decides. A span with more than one command should
// resolve is left off at the key returned.
func (ev *evaluation) resolveSpans(spans []api.Span, res *mvcc.Resolution) (resume api.Key, err error) {
	for _, s := range spans {
		s, ok := ev.clip(s)
		if !ok {
			continue
		}
		if s.End == nil {
			if err := ev.resolveKey(s.Start, res); err != nil {
				return nil, err
			}
			continue
		}
		found, err := mvcc.FindIntents(ev.openView(), ev.space, s.Start, s.End, res.ID, maxResolve)
		if err != nil {
			return nil, err
		}
		for i := range found {
			h := &found[i]
			if ev.earlier(h.Key) != nil {
				continue
			}
			if invariants {
				is, err := mvcc.GetHead(ev.eng, &ev.sc, ev.space, h.Key)
				assert(err == nil && is.Newest == h.Newest && is.Live == h.Live && is.IntentBytes == h.IntentBytes,
					"head of %q is %+v, %v, not %+v", h.Key, is, err, h.Head)
			}
			ev.resolve(h.Key, &h.Head, res)
		}
		if len(found) == maxResolve {
			return keys.Next(found[len(found)-1].Key), nil
		}
	}
	return nil, nil
}

func (ev *evaluation) resolveKey(key api.Key, res *mvcc.Resolution) error {
	if ev.earlier(key) != nil {
		return nil
	}
	head, err := mvcc.GetHead(ev.eng, &ev.sc, ev.space, key)
	if err != nil {
		return err
	}
	ev.resolve(key, &head, res)
	return nil
}

func (ev *evaluation) resolve(key api.Key, head *mvcc.Head, res *mvcc.Resolution) {
	if in := head.Intent; invariants && res.Status == api.Committed && in != nil && in.Txn.ID == res.ID && in.Txn.Epoch == res.Epoch {
		assert(head.Newest.Less(res.TS), "%q has a version at %s, and an intent that was committed at %s", key, head.Newest, res.TS)
	}
	ev.changes.Resolve(key, head, res)
}

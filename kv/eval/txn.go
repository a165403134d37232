package eval

import (
	"context"
	"fmt"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// HeartbeatInterval is how often a coordinator must renew its record, or create
// one, once its transaction holds locks or has laid intents.
const HeartbeatInterval = time.Second

// txnExpiry is how long a silent transaction counts as alive, and stagingExpiry
// how long one whose commit is under way may stay so before others finish it.
const (
	txnExpiry     = 5 * HeartbeatInterval
	stagingExpiry = 2 * HeartbeatInterval
)

func expired(last, now hlc.Timestamp, after time.Duration) bool {
	return last.WallNanos+int64(after) < now.WallNanos
}

// record reads a transaction's record.
func (ev *evaluation) record(t *api.TxnMeta, anchor api.Key) (*api.TxnRecord, error) {
	return mvcc.GetRecord(ev.eng, &ev.buf, ev.space, anchor, t.ID)
}

// heartbeat renews the header's transaction's record and answers its state.
func (ev *evaluation) heartbeat(r *api.Request, resp *api.Response) error {
	if ev.ba.Txn == nil {
		return fmt.Errorf("eval: heartbeat without a transaction")
	}
	anchor := ev.anchorOr(r.Key)
	rec, err := ev.record(ev.ba.Txn, anchor)
	if err != nil {
		return err
	}
	fresh := rec == nil
	if fresh {
		rec = ev.newRecord(api.Pending)
		rec.Anchor = anchor
	} else {
		c := *rec
		rec = &c
	}
	if rec.Status == api.Staging && r.Txn != nil && r.Txn.Status == api.Staging {
		// The coordinator knows that a write of this attempt was not laid, and will
		// wait for locks: until it stages again, others may push it.
		rec.Status, rec.InFlight = api.Pending, nil
	}
	if rec.Status == api.Pending || rec.Status == api.Staging {
		rec.LastHeartbeat = ev.resp.Now
		ev.changes.PutRecord(rec, fresh)
	}
	resp.Txn = rec
	return nil
}

// push asks for a decision about another transaction. A pending one is moved
// above a reader's timestamp by the timestamp cache alone: its commit asks there.
// It is aborted only when its coordinator is silent.
func (ev *evaluation) push(r *api.Request, resp *api.Response) error {
	a := r.Txn
	ev.m.Waits().AddRemote(a.Waits)
	p := &a.Pushee
	rec, err := ev.record(p, p.Anchor)
	if err != nil {
		return err
	}
	now := ev.resp.Now
	last := a.PusheeSeen
	fresh := rec == nil
	if fresh {
		last = last.Forward(p.StartTS)
		rec = &api.TxnRecord{TxnMeta: *p, Status: api.Pending, LastHeartbeat: last}
	} else {
		c := *rec
		rec = &c
		last = rec.LastHeartbeat
	}
	resp.Txn = rec
	if rec.Status != api.Pending {
		return nil
	}
	if expired(last, now, txnExpiry) {
		rec.Status = api.Aborted
		rec.LastHeartbeat = now
		ev.changes.PutRecord(rec, fresh)
		return nil
	}
	if !a.PushAbort {
		k := recordKey(p.Anchor, p.ID)
		ev.m.NoteRead(concurrency.Hash(k), a.PushTo, noTxn)
		rec.WriteTS = rec.WriteTS.Forward(a.PushTo.Next())
	}
	return nil
}

var noTxn = api.TxnMeta{}.ID

// queryTxn answers a transaction's record and who is known to wait for it.
func (ev *evaluation) queryTxn(r *api.Request, resp *api.Response) error {
	p := &r.Txn.Pushee
	ev.m.Waits().AddRemote(r.Txn.Waits)
	rec, err := ev.record(p, p.Anchor)
	if err != nil {
		return err
	}
	if rec == nil {
		rec = &api.TxnRecord{TxnMeta: *p, Status: api.Pending}
	}
	resp.Txn = rec
	resp.Waits = ev.m.Waits().LeadingTo(p.ID)
	return nil
}

// queryIntent tells whether a write of a staging transaction is there. If not,
// the key counts as read where the transaction staged, so that the write cannot
// appear there any more.
func (ev *evaluation) queryIntent(r *api.Request, resp *api.Response) error {
	p := &r.Txn.Pushee
	head, err := mvcc.GetHead(ev.eng, &ev.sc, ev.space, r.Key)
	if err != nil {
		return err
	}
	if in := head.Intent; in != nil && in.Txn.ID == p.ID && in.Txn.Epoch == p.Epoch &&
		in.Txn.WriteTS.LessEq(p.WriteTS) && (r.Seq == 0 || in.HasSeq(r.Seq)) {
		resp.Found = true
		return nil
	}
	ev.m.NoteRead(concurrency.Hash(r.Key), p.WriteTS, noTxn)
	return nil
}

// recoverTxn decides a staging transaction after its writes were looked for.
func (ev *evaluation) recoverTxn(r *api.Request, resp *api.Response) error {
	p := &r.Txn.Pushee
	rec, err := ev.record(p, p.Anchor)
	if err != nil {
		return err
	}
	if r.Txn.Forget {
		return ev.forget(rec)
	}
	if rec == nil {
		// Not staged, or finished and forgotten, in which case nothing is left that
		// the tombstone could mislead. It keeps the record from coming late.
		rec = &api.TxnRecord{TxnMeta: *p, Status: api.Aborted, LastHeartbeat: ev.resp.Now}
		ev.changes.PutRecord(rec, true)
		resp.Txn = rec
		return nil
	}
	c := *rec
	rec = &c
	resp.Txn = rec
	if rec.Status != api.Staging || rec.Epoch != p.Epoch || rec.WriteTS != p.WriteTS {
		return nil // staged again or decided: what was looked for does not count
	}
	rec.Status = api.Aborted
	if r.Txn.Commit {
		rec.Status = api.Committed
	}
	rec.InFlight = nil
	rec.LastHeartbeat = ev.resp.Now
	ev.changes.PutRecord(rec, false)
	return nil
}

// hearOfCommits takes note of the commits that a batch of resolutions tells of,
// and hands their locks on at once: an intent whose writer has committed reads as
// a version. So a lazy batch can wait for others; done says that it was news only.
func (ev *evaluation) hearOfCommits(ctx context.Context) (done bool, err error) {
	lazy, news := len(ev.ba.Requests) > 0, false
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		a := r.Txn
		if r.Kind != api.ResolveIntent || a == nil || len(a.Ignored) > 0 ||
			a.Status != api.Committed && !(a.Status == api.Staging && a.Lazy) {
			lazy = false
			continue
		}
		ev.m.NoteCommitted(&a.Pushee, a.Pushee.WriteTS, a.Status == api.Committed)
		if r.End == nil {
			ev.m.ReleaseKey(r.Key, concurrency.Hash(r.Key), a.Pushee.ID)
		} else {
			ev.m.ReleaseTxn(a.Pushee.ID, r.Key, r.End)
		}
		lazy = lazy && a.Lazy
		news = news || a.Status == api.Staging
	}
	if news || !lazy {
		return news && lazy, nil
	}
	return false, ev.m.Turn(ctx)
}

// resolveIntent makes a finished transaction's fate known to its intents.
func (ev *evaluation) resolveIntent(r *api.Request, resp *api.Response) error {
	a := r.Txn
	if a == nil {
		return fmt.Errorf("eval: ResolveIntent without arguments")
	}
	res := &mvcc.Resolution{ID: a.Pushee.ID, Epoch: a.Pushee.Epoch, Status: a.Status, TS: a.Pushee.WriteTS,
		Ignored: a.Ignored, Mark: a.PushAbort}
	if res.Status == api.Staging {
		if !ev.recovered(a.Pushee.ID) {
			return fmt.Errorf("eval: a staging transaction's intents cannot be resolved")
		}
		res.Status = api.Committed
	}
	before := len(ev.changes.Ops)
	var err error
	if resp.Resume, err = ev.resolveSpans([]api.Span{{Start: r.Key, End: r.End}}, res); err != nil {
		return err
	}
	resp.Number = int64(len(ev.changes.Ops) - before)
	if res.Status == api.Committed || res.Status == api.Aborted {
		ev.releaseLater(a.Pushee.ID, r.Key, r.End)
	}
	return nil
}

// recovered reports whether this batch has made a transaction's record say that
// it is committed.
func (ev *evaluation) recovered(id ids.TxnID) bool {
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		if r.Kind != api.RecoverTxn || r.Txn.Pushee.ID != id {
			continue
		}
		rec := ev.resp.Responses[i].Txn
		return rec != nil && rec.Status == api.Committed
	}
	return false
}

// collectGarbage removes what nobody can read at or above the threshold.
func (ev *evaluation) collectGarbage(r *api.Request, resp *api.Response) error {
	if r.Admin == nil {
		return fmt.Errorf("eval: GC without a threshold")
	}
	t := r.Admin.Threshold
	var maxOps int64 = 10_000
	if r.Scan != nil && r.Scan.MaxRows > 0 {
		maxOps = r.Scan.MaxRows
	}
	n, resume, err := ev.changes.CollectGarbage(ev.openView(), ev.space, r.Key, r.End, t, maxOps)
	if err != nil {
		return err
	}
	resp.Number, resp.Resume = n, resume
	if ev.gcLimit.Less(t) {
		ev.gc = t
	}
	return nil
}

package eval

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// checkWrite looks at what a write meets: locks, intents, its condition and the
// timestamps that it must land above. Nothing is written yet, since a later
// request of the batch may move all of them up.
func (ev *evaluation) checkWrite(r *api.Request) error {
	hash := concurrency.Hash(r.Key)
	if err := ev.checkHeld(r, hash); err != nil {
		return err
	}
	if ev.m.WriteBlocked(r.Key, hash, ev.txn.ID) {
		ev.blocked = blockedKey{key: r.Key, strength: api.LockExclusive, wait: r.Wait}
		return errBlocked
	}
	w := pendingWrite{req: r}
	// A fresh key has at most an intent of this transaction: an earlier version of
	// the row, or what an earlier try of the commit laid.
	if r.Expect.Kind != api.ExpectFresh || ev.mayHaveLaid() || invariants {
		var err error
		if w.head, err = ev.head(r.Key); err != nil {
			return err
		}
		if err := ev.mayReplace(&w.head); err != nil {
			return err
		}
		if in := w.head.Intent; in != nil && in.Txn.ID != ev.opts.ID {
			ev.addConflict(r.Key, in, api.LockExclusive, r.Wait)
			return nil
		}
	}
	if err := ev.checkExpect(r, &w.head); err != nil {
		return err
	}
	ev.above(w.head.Newest)
	ev.above(ev.m.LatestRead(r.Key, hash, ev.opts.ID, ev.writeTS))
	if n := len(ev.writes); n > 0 && bytes.Compare(r.Key, ev.writes[n-1].req.Key) <= 0 {
		w.after = ev.replaceEarlier(r.Key)
	}
	ev.writes = append(ev.writes, w)
	return nil
}

// mayHaveLaid reports whether the transaction may have intents already.
func (ev *evaluation) mayHaveLaid() bool {
	return ev.ba.Txn != nil && !ev.ba.NoIntents
}

// checkHeld fails when a lock that the transaction counts on was lost, with the
// leaseholder that it was taken at: somebody may have taken and released it
// meanwhile, and left the key as it was (a child of a row, say). At SERIALIZABLE
// versions and refreshes tell of all that happened, but not of what others are
// about to do who now have the lock, and at another level count on it alone.
func (ev *evaluation) checkHeld(r *api.Request, hash uint64) error {
	switch {
	case r.Lock == api.LockNone || ev.m.Held(r.Key, hash, ev.txn.ID, r.LockSeq) >= r.Lock:
		return nil
	case ev.txn.Isolation == api.Serializable && !ev.m.LockedByOther(r.Key, hash, ev.txn.ID, r.Lock):
		return nil
	}
	return &api.RetryError{Reason: api.ReasonStaleBase, Timestamp: ev.readTS}
}

// above moves the batch's writes above a timestamp.
func (ev *evaluation) above(ts hlc.Timestamp) {
	if ev.writeTS.LessEq(ts) {
		ev.writeTS = ts.Next()
	}
}

// indexFrom is how many writes are searched one by one.
const indexFrom = 16

// earlier returns the batch's own write of a key, if there is one.
func (ev *evaluation) earlier(key api.Key) *pendingWrite {
	if len(ev.writes) < indexFrom {
		for i := range ev.writes {
			if w := &ev.writes[i]; !w.gone && bytes.Equal(w.req.Key, key) {
				return w
			}
		}
		return nil
	}
	if ev.index == nil {
		ev.index = make(map[string]int, len(ev.writes))
	}
	for ; ev.indexed < len(ev.writes); ev.indexed++ {
		ev.index[string(ev.writes[ev.indexed].req.Key)] = ev.indexed
	}
	if i, ok := ev.index[string(key)]; ok && !ev.writes[i].gone {
		return &ev.writes[i]
	}
	return nil
}

// replaceEarlier marks the batch's earlier write of a key as replaced and returns
// it, by position from 1.
func (ev *evaluation) replaceEarlier(key api.Key) int {
	w := ev.earlier(key)
	if w == nil {
		return 0
	}
	w.gone = true
	for i := range ev.writes {
		if &ev.writes[i] == w {
			return i + 1
		}
	}
	return 0
}

// checkExpect checks a write's condition against the newest state.
func (ev *evaluation) checkExpect(r *api.Request, h *mvcc.Head) error {
	switch r.Expect.Kind {
	case api.ExpectAbsent:
		return ev.checkAbsent(r, h)
	case api.ExpectVersion:
		if h.Base() != r.Expect.Version {
			return &api.RetryError{Reason: api.ReasonStaleBase, Timestamp: h.Newest}
		}
	case api.ExpectFresh:
		if invariants {
			assert(!h.Live && (h.Intent == nil || ev.mayHaveLaid()), "a fresh key exists: %q", r.Key)
		}
	default:
		// A blind write over a version that the snapshot does not show: the first
		// committer wins at REPEATABLE READ; SERIALIZABLE refreshes, for the write
		// lands above it.
		if t := ev.ba.Txn; t != nil && t.Isolation == api.RepeatableRead && ev.readTS.Less(h.Newest) {
			return &api.RetryError{Reason: api.ReasonNewerVersion, Timestamp: h.Newest}
		}
	}
	return nil
}

func (ev *evaluation) checkAbsent(r *api.Request, h *mvcc.Head) error {
	if len(ev.writes) > 0 && bytes.Compare(r.Key, ev.writes[len(ev.writes)-1].req.Key) <= 0 {
		if w := ev.earlier(r.Key); w != nil {
			if w.req.Kind == api.Put {
				return &api.ConditionFailedError{Key: r.Key, Existing: w.req.Value}
			}
			return nil
		}
	}
	if h.Intent != nil && h.Intent.Txn.Epoch == ev.opts.Epoch {
		if r.Seq != 0 && h.Intent.HasSeq(r.Seq) {
			return nil // sent again: the condition held when it was laid
		}
		if w, ok := h.Intent.At(0, ev.opts.Ignored); ok {
			if w.Deleted {
				return nil
			}
			return &api.ConditionFailedError{Key: r.Key, Existing: w.Value}
		}
	}
	if h.Live {
		return &api.ConditionFailedError{Key: r.Key, Existing: h.Value, VersionTS: h.Newest}
	}
	return nil
}

// finishWrites turns the checked writes, and the transaction's end, into effects.
func (ev *evaluation) finishWrites() error {
	if ev.plan.end != nil {
		return ev.endTxn(ev.plan.end)
	}
	if len(ev.writes) == 0 {
		return nil
	}
	if ev.ba.Txn == nil {
		ev.putVersions(ev.writeTS)
		return nil
	}
	ev.putIntents()
	return nil
}

// putVersions writes the batch's values as committed versions.
func (ev *evaluation) putVersions(ts hlc.Timestamp) {
	size := 0
	for i := range ev.writes {
		r := ev.writes[i].req
		size += 2*len(r.Key) + len(r.Value) + 32
	}
	ev.changes.Grow(2*len(ev.writes), size)
	for i := range ev.writes {
		w := &ev.writes[i]
		if w.gone {
			continue
		}
		if invariants {
			assert(w.head.Newest.Less(ts), "version of %q at %s is not below the new one at %s", w.req.Key, w.head.Newest, ts)
		}
		if w.head.Intent != nil {
			ev.changes.DeleteIntent(w.req.Key, w.head.IntentBytes)
		}
		ev.changes.PutVersion(w.req.Key, ts, w.req.Value, w.req.Kind == api.Delete, &w.head)
	}
}

// putIntents lays the batch's values as provisional versions. Several writes of
// one key become one intent with a history.
func (ev *evaluation) putIntents() {
	meta := *ev.ba.Txn
	meta.WriteTS = ev.writeTS
	for i := range ev.writes {
		if in := ev.writes[i].head.Intent; in != nil && in.Txn.Epoch == meta.Epoch {
			meta.WriteTS = meta.WriteTS.Forward(in.Txn.WriteTS)
		}
	}
	ev.writeTS = meta.WriteTS
	for i := range ev.writes {
		w := &ev.writes[i]
		v := mvcc.SeqValue{Seq: w.req.Seq, Deleted: w.req.Kind == api.Delete, Value: w.req.Value}
		before := w.head.Intent
		if w.after > 0 {
			before = w.intent(ev)
		}
		in := mvcc.Intent{Txn: meta, SeqValue: v}
		if before != nil {
			in = before.Rewrite(&meta, v)
		}
		if w.gone {
			w.laid = &in
			continue
		}
		ev.changes.PutIntent(w.req.Key, &in, &w.head)
	}
}

// intent returns what the batch's earlier write of the key laid.
func (w *pendingWrite) intent(ev *evaluation) *mvcc.Intent { return ev.writes[w.after-1].laid }

// increment adds to a counter outside any transaction: eight bytes, big endian.
func (ev *evaluation) increment(r *api.Request, resp *api.Response) error {
	if ev.ba.Txn != nil {
		return fmt.Errorf("eval: Increment inside a transaction")
	}
	put := *r
	put.Kind, put.Expect = api.Put, api.Expect{}
	n := len(ev.writes)
	if err := ev.checkWrite(&put); err != nil || len(ev.writes) == n {
		return err
	}
	h := &ev.writes[n].head
	var old int64
	if h.Live {
		if len(h.Value) != 8 {
			return fmt.Errorf("eval: increment of %q: the value is not a counter", r.Key)
		}
		old = int64(binary.BigEndian.Uint64(h.Value))
	}
	sum := old + r.Delta
	if (sum > old) != (r.Delta > 0) && r.Delta != 0 {
		return fmt.Errorf("eval: increment of %q overflows", r.Key)
	}
	put.Value = binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(sum))
	resp.Number = sum
	return nil
}

// deleteRange removes a span with all its history; nobody can reach it any more.
func (ev *evaluation) deleteRange(r *api.Request, resp *api.Response) error {
	if ev.ba.Txn != nil {
		return fmt.Errorf("eval: DeleteRange inside a transaction")
	}
	n, err := ev.changes.ClearSpan(ev.openView(), ev.space, r.Key, r.End)
	resp.Number = n
	ev.m.ReleaseTxn(ev.txn.ID, nil, nil)
	return err
}

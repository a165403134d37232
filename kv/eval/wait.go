package eval

import (
	"bytes"
	"context"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// A waiter first looks around after probeFirst, then every probeNext; one that
// is not the first in its queue does so less often. One that suspects a deadlock
// looks again after probeFirst: if it is one, several have stopped for it.
const (
	probeFirst = 50 * time.Millisecond
	probeNext  = 200 * time.Millisecond
	probeRest  = 400 * time.Millisecond // less than an edge lives
)

// handleBlocked waits for the lock that stopped the batch.
func (ev *evaluation) handleBlocked(ctx context.Context) error {
	b := ev.blocked
	ev.blocked = blockedKey{}
	if b.key == nil {
		return nil
	}
	if b.wait == api.WaitError {
		return &api.LockUnavailableError{Key: b.key}
	}
	w := ev.m.Lock(b.key, concurrency.Hash(b.key), ev.txn, b.strength, ev.ba.LockSeq)
	if w == nil {
		return nil
	}
	return ev.await(ctx, w, b.key, false)
}

// recordWait is how long a batch waits for a record to tell of a commit that was
// heard of; after that it treats the writer like any other.
const recordWait = 500 * time.Millisecond

// awaitRecord waits for the record of a committed transaction to say so.
func (ev *evaluation) awaitRecord(ctx context.Context) error {
	t := time.NewTimer(recordWait)
	defer t.Stop()
	select {
	case <-ev.unsaid:
	case <-t.C:
		ev.impatient = true
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// handleConflicts deals with the foreign intents that stopped the batch, whose
// latches are still held.
func (ev *evaluation) handleConflicts(ctx context.Context) error {
	first := &ev.conflicts[0]
	for i := range ev.conflicts {
		if ev.conflicts[i].strength != api.LockNone {
			first = &ev.conflicts[i]
			break
		}
	}
	if first.strength == api.LockNone {
		ev.m.Release(&ev.guard)
		return ev.pushForRead(ctx)
	}
	if first.wait == api.WaitError {
		ev.m.Release(&ev.guard)
		return ev.pushNoWait(ctx, first)
	}
	key := bytes.Clone(first.key)
	w := ev.m.Discover(key, concurrency.Hash(key), &first.by, ev.txn, first.strength, ev.ba.LockSeq)
	ev.m.Release(&ev.guard)
	return ev.await(ctx, w, key, true)
}

// pushNoWait looks whether a writer has ended, else gives up at once.
func (ev *evaluation) pushNoWait(ctx context.Context, c *conflict) error {
	rec, err := ev.pushTxn(ctx, &c.by, hlc.Timestamp{}, true, ev.resp.Now)
	if err != nil {
		return err
	}
	if rec.Status != api.Committed && rec.Status != api.Aborted {
		return &api.LockUnavailableError{Key: bytes.Clone(c.key)}
	}
	return ev.resolveConflicts(ctx, rec)
}

// pushForRead moves the writers above the read, or finds that they have ended.
// Only one whose commit is under way makes the reader wait.
func (ev *evaluation) pushForRead(ctx context.Context) error {
	to := ev.readTS.Forward(ev.opts.Limit)
	seen := make(map[ids.TxnID]bool)
	deadline := ev.lockDeadline()
	for i := range ev.conflicts {
		c := ev.conflicts[i]
		if seen[c.by.ID] {
			continue
		}
		seen[c.by.ID] = true
		for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
			settled, err := ev.settleForRead(ctx, &c.by, to)
			if err != nil {
				return err
			}
			if settled {
				break
			}
			if !deadline.IsZero() && time.Now().After(deadline) {
				return &api.LockUnavailableError{Key: bytes.Clone(c.key), Timeout: true}
			}
			if err := pauseFor(ctx, pause); err != nil {
				return err
			}
		}
	}
	return nil
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settleForRead pushes one writer for a reader and reports whether the reader may
// try again.
func (ev *evaluation) settleForRead(ctx context.Context, by *api.TxnMeta, to hlc.Timestamp) (bool, error) {
	rec, err := ev.pushTxn(ctx, by, to, false, ev.resp.Now)
	if err != nil {
		return false, err
	}
	if rec.Status == api.Staging {
		if rec, err = ev.recoverIfStale(ctx, rec); err != nil {
			return false, err
		}
	}
	switch {
	case rec.Status == api.Committed || rec.Status == api.Aborted:
		return true, ev.resolveConflicts(ctx, rec)
	case rec.Status == api.Pending && to.Less(rec.WriteTS):
		ev.m.NotePushed(by.ID, rec.WriteTS)
		return true, nil
	}
	return false, nil
}

// resolveConflicts resolves what the batch met of a transaction that has ended.
func (ev *evaluation) resolveConflicts(ctx context.Context, rec *api.TxnRecord) error {
	var spans []api.Span
	for i := range ev.conflicts {
		if c := &ev.conflicts[i]; c.by.ID == rec.ID {
			spans = append(spans, api.Span{Start: c.key})
		}
	}
	return ev.resolveHere(ctx, rec, spans)
}

// resolveHere resolves keys of this range.
func (ev *evaluation) resolveHere(ctx context.Context, rec *api.TxnRecord, spans []api.Span) error {
	ba := &api.BatchRequest{Header: api.Header{RangeID: ev.rng.RangeID(), Gateway: ev.rng.Node()}}
	for _, s := range spans {
		ba.Requests = append(ba.Requests, api.Request{Kind: api.ResolveIntent, Key: bytes.Clone(s.Start),
			Txn: &api.TxnArgs{Pushee: rec.TxnMeta, Status: rec.Status, Ignored: rec.Ignored, PushAbort: true}})
	}
	_, err := Execute(ctx, ev.rng, ev.m, ba)
	return err
}

// pushTxn sends a push to the range of the pushee's record.
func (ev *evaluation) pushTxn(ctx context.Context, by *api.TxnMeta, to hlc.Timestamp, abort bool, seen hlc.Timestamp) (*api.TxnRecord, error) {
	args := &api.TxnArgs{Pushee: *by, PushTo: to, PushAbort: abort, PusheeSeen: seen}
	if abort {
		args.Waits = ev.m.Waits().LeadingTo(by.ID)
	}
	resp, err := ev.sendTxn(ctx, api.PushTxn, by.Anchor, args)
	if err != nil {
		return nil, err
	}
	return resp.Txn, nil
}

// sendTxn sends one request about another transaction to where it belongs; this
// range answers itself.
func (ev *evaluation) sendTxn(ctx context.Context, k api.Kind, key api.Key, args *api.TxnArgs) (*api.Response, error) {
	ba := &api.BatchRequest{
		Header:   api.Header{Gateway: ev.rng.Node()},
		Requests: []api.Request{{Kind: k, Key: key, Txn: args}},
	}
	if k == api.QueryIntent && len(args.InFlight) == 1 {
		ba.Requests[0].Seq = args.InFlight[0].Seq
	}
	var resp *api.BatchResponse
	var err error
	if ev.rng.Desc().Contains(key) {
		ba.RangeID = ev.rng.RangeID()
		resp, err = Execute(ctx, ev.rng, ev.m, ba)
	} else {
		resp, err = ev.rng.Sender().Send(ctx, ba)
	}
	if err != nil {
		return nil, err
	}
	return &resp.Responses[0], nil
}

// recoverIfStale finishes a staging transaction whose coordinator seems to be
// gone: it is committed exactly if all its writes are there.
func (ev *evaluation) recoverIfStale(ctx context.Context, rec *api.TxnRecord) (*api.TxnRecord, error) {
	if !expired(rec.LastHeartbeat, ev.rng.Clock().Now(), stagingExpiry) {
		return rec, nil
	}
	all := true
	for i := range rec.InFlight {
		w := rec.InFlight[i]
		resp, err := ev.sendTxn(ctx, api.QueryIntent, w.Key,
			&api.TxnArgs{Pushee: rec.TxnMeta, InFlight: []api.InFlightWrite{w}})
		if err != nil {
			return nil, err
		}
		if !resp.Found {
			all = false
			break
		}
	}
	resp, err := ev.sendTxn(ctx, api.RecoverTxn, rec.Anchor, &api.TxnArgs{Pushee: rec.TxnMeta, Commit: all})
	if err != nil {
		return nil, err
	}
	return resp.Txn, nil
}

func (ev *evaluation) lockDeadline() time.Time {
	if n := ev.ba.LockTimeoutNanos; n > 0 {
		return time.Now().Add(time.Duration(n))
	}
	return time.Time{}
}

// await waits in a lock's queue. Meanwhile it looks for deadlocks and for
// holders whose coordinators are gone. now makes it look at once: an intent that
// was just discovered may be a finished transaction's.
func (ev *evaluation) await(ctx context.Context, w *concurrency.Waiter, key api.Key, now bool) error {
	start := time.Now()
	defer func() { ev.waitNano += int64(time.Since(start)) }()
	waits := ev.m.Waits()
	waits.Add(w, ev.suspected)
	defer func() { ev.suspected = waits.Remove(w) }()
	if waits.Check(w) {
		w.Cancel()
		return &api.DeadlockError{}
	}
	first := probeFirst
	if now {
		first = 0
	}
	timer := time.NewTimer(first)
	defer timer.Stop()
	var timeout <-chan time.Time
	if n := ev.ba.LockTimeoutNanos; n > 0 {
		t := time.NewTimer(time.Duration(n))
		defer t.Stop()
		timeout = t.C
	}
	for {
		select {
		case <-w.C:
			if w.Result() == concurrency.Victim {
				return &api.DeadlockError{}
			}
			return nil
		case <-timer.C:
			next, err := ev.probe(ctx, w, key)
			if err != nil {
				w.Cancel()
				return err
			}
			if now { // that look came before the first one
				next, now = min(next, probeFirst), false
			}
			timer.Reset(next)
		case <-timeout:
			w.Cancel()
			return &api.LockUnavailableError{Key: bytes.Clone(key), Timeout: true}
		case <-ctx.Done():
			w.Cancel()
			return context.Cause(ctx)
		}
	}
}

// probe asks around for a waiter: whether it is part of a deadlock, and, if it
// is the first in its queue, what has become of the holders.
func (ev *evaluation) probe(ctx context.Context, w *concurrency.Waiter, key api.Key) (next time.Duration, err error) {
	waits := ev.m.Waits()
	if t := ev.ba.Txn; t != nil && len(t.Anchor) > 0 && !ev.rng.Desc().Contains(t.Anchor) {
		resp, err := ev.sendTxn(ctx, api.QueryTxn, t.Anchor, &api.TxnArgs{Pushee: *t})
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err == nil && resp.Txn.Status == api.Aborted:
			return 0, &api.AbortedError{Reason: "by a conflicting transaction"}
		case err == nil:
			waits.AddRemote(resp.Waits)
		}
	}
	if waits.Check(w) {
		return 0, &api.DeadlockError{}
	}
	blockers, first := w.Blockers()
	suspects := waits.Suspects(w)
	switch {
	case !first && suspects:
		return probeFirst, nil
	case !first:
		return probeRest, nil
	}
	for i := range blockers {
		if b := &blockers[i]; b.Holds {
			if err := ev.pushHolder(ctx, b, key); err != nil {
				return 0, err
			}
		}
	}
	if suspects {
		return probeFirst, nil
	}
	return probeNext, nil
}

// pushHolder asks what has become of a lock's holder and releases the lock if it
// has ended.
func (ev *evaluation) pushHolder(ctx context.Context, b *concurrency.Blocker, key api.Key) error {
	seen := hlc.Timestamp{WallNanos: b.SeenNanos}
	if len(b.Txn.Anchor) == 0 {
		// Without a place to ask, silence decides; a lock that its holder still
		// counts on is missed at its commit.
		if expired(seen, hlc.Timestamp{WallNanos: ev.rng.Clock().PhysicalNanos()}, txnExpiry) {
			ev.m.ReleaseKey(key, concurrency.Hash(key), b.Txn.ID)
		}
		return nil
	}
	rec, err := ev.pushTxn(ctx, &b.Txn, hlc.Timestamp{}, true, seen)
	if err == nil && rec.Status == api.Staging {
		rec, err = ev.recoverIfStale(ctx, rec)
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil // the other range may answer next time
	}
	if rec.Status != api.Committed && rec.Status != api.Aborted {
		return nil
	}
	if !b.Replicated {
		ev.m.ReleaseKey(key, concurrency.Hash(key), b.Txn.ID)
		return nil
	}
	spans := []api.Span{{Start: key}}
	for i := range ev.conflicts {
		if c := &ev.conflicts[i]; c.by.ID == rec.ID && !bytes.Equal(c.key, key) {
			spans = append(spans, api.Span{Start: c.key})
		}
	}
	return ev.resolveHere(ctx, rec, spans)
}

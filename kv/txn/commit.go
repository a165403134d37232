package txn

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/route"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// Commit implements kv.Txn.
func (t *Txn) Commit(ctx context.Context) error {
	if err := t.usable(); err != nil {
		return err
	}
	return t.commit(ctx, nil)
}

// commit commits what is buffered and laid. b is the batch that commits with its
// writes, for the places of its conditions; nil without one.
func (t *Txn) commit(ctx context.Context, b *kv.Batch) error {
	if t.buf.len() == 0 && t.flushed() == 0 {
		t.commitReadOnly()
		return nil
	}
	for {
		at := t.meta.Load().ReadTS
		err := t.tryCommit(ctx, b)
		if err == nil {
			t.db.stats.committed.Add(1)
			return nil
		}
		if err := t.absorb(ctx, err, at); err != nil {
			return t.commitFailed(err)
		}
	}
}

// commitReadOnly ends a transaction without writes: its reads are a snapshot, and
// nothing depends on its locks any more.
func (t *Txn) commitReadOnly() {
	t.commitTS = t.meta.Load().ReadTS
	t.end(committed)
	t.db.stats.committed.Add(1)
	if !t.lockSpans.empty() || t.beaten.Load() {
		t.abandon(true)
	}
}

// commitFailed decides what may follow a failed commit.
func (t *Txn) commitFailed(err error) error {
	var ambiguous *api.AmbiguousError
	switch {
	case errors.As(err, &ambiguous):
		t.db.stats.ambiguous.Add(1)
		t.end(rolledBack)
		t.releaseOnly()
	case t.status() == open && (asCondition(err) == nil || t.staged || t.flushed() > 0):
		t.setStatus(stuck)
	}
	return err
}

func asCondition(err error) *api.ConditionFailedError {
	var failed *api.ConditionFailedError
	if errors.As(err, &failed) {
		return failed
	}
	return nil
}

// tryCommit commits at the present timestamps.
func (t *Txn) tryCommit(ctx context.Context, b *kv.Batch) error {
	l := &t.db.cfg.Limits
	if t.flushed() > 0 || t.buf.size > l.BatchBytes || t.buf.versions > l.FlushWrites {
		return t.commitLaid(ctx)
	}
	list := t.buf.all()
	t.mu.Lock()
	t.ensureAnchor(list[0].key)
	t.mu.Unlock()
	locks := t.unwritten(list)
	desc, err := t.db.cfg.Ranges.Range(ctx, t.meta.Load().Anchor)
	if err != nil {
		return err
	}
	if holdsAll(desc, list) {
		inside, outside := partitionLocks(desc, locks)
		err := t.commitOnePhase(ctx, b, list, inside, outside)
		var spans *route.SpansRangesError
		if !errors.As(err, &spans) {
			return err
		}
		if desc, err = t.db.cfg.Ranges.Range(ctx, t.meta.Load().Anchor); err != nil {
			return err
		}
	}
	if len(list) > l.InFlightWrites {
		return t.commitLaid(ctx)
	}
	return t.commitParallel(ctx, b, desc, list, locks)
}

// unwritten returns the locked keys without a write, in key order: what a commit
// must validate.
func (t *Txn) unwritten(list []*pending) []held {
	if len(t.locks.list) == 0 {
		return nil
	}
	var out []held
	for _, h := range t.locks.list {
		if t.buf.get(h.key) == nil {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b held) int { return bytes.Compare(a.key, b.key) })
	return out
}

// holdsAll reports whether all writes, which are in key order, are in the range
// desc, which holds the anchor.
func holdsAll(desc *api.RangeDescriptor, list []*pending) bool {
	n := len(list)
	return n == 0 || desc.Contains(list[0].key) && desc.Contains(list[n-1].key)
}

// partitionLocks splits locks, which are in key order, into those in a range and
// the others.
func partitionLocks(desc *api.RangeDescriptor, locks []held) (inside, outside []held) {
	n := len(locks)
	if n == 0 || desc.Contains(locks[0].key) && desc.Contains(locks[n-1].key) {
		return locks, nil
	}
	for _, h := range locks {
		if desc.Contains(h.key) {
			inside = append(inside, h)
		} else {
			outside = append(outside, h)
		}
	}
	return inside, outside
}

func appendValidations(reqs []api.Request, locks []held) []api.Request {
	for _, h := range locks {
		e := api.Expect{Kind: api.ExpectVersion, Version: h.version}
		reqs = append(reqs, api.Request{Kind: api.ValidateLock, Key: h.key, Expect: e, Lock: h.strength, LockSeq: h.seq})
	}
	return reqs
}

// endTxn returns the request that decides the transaction.
func (t *Txn) endTxn(commit bool) api.Request {
	return api.Request{Kind: api.EndTxn, Key: t.meta.Load().Anchor, Txn: &api.TxnArgs{
		Commit: commit, Locks: t.holdings(), Ignored: t.ignored, Deadline: t.deadline,
	}}
}

// endFixed returns the request that decides the transaction at its present
// timestamp and no later: locks were validated up to there.
func (t *Txn) endFixed(locks []held) api.Request {
	end := t.endTxn(true)
	end.Txn.Deadline = t.fixedDeadline(locks)
	return end
}

// fixedDeadline is the latest timestamp to commit at when locks were validated
// apart from the commit.
func (t *Txn) fixedDeadline(locks []held) hlc.Timestamp {
	at := t.meta.Load().WriteTS
	if len(locks) == 0 || !t.deadline.IsZero() && t.deadline.Less(at) {
		return t.deadline
	}
	return at
}

// pushedPastLocks turns the news that a fixed timestamp did not hold into another
// try at a later one.
func (t *Txn) pushedPastLocks(err error, locks []held) error {
	var late *api.DeadlineError
	if len(locks) == 0 || !errors.As(err, &late) || !t.deadline.IsZero() && t.deadline.Less(late.CommitTS) {
		return err
	}
	up := t.edit()
	up.WriteTS = up.WriteTS.Forward(late.CommitTS)
	t.meta.Store(up)
	return &againError{}
}

// endOnePhase is endTxn without what only a record needs. A transaction that
// holds locks is known to others, so that its record must be consulted: one span
// of its locks says so.
func (t *Txn) endOnePhase(outside []held) api.Request {
	a := &t.endArgs
	*a = api.TxnArgs{Commit: true, Deadline: t.fixedDeadline(outside)}
	if !t.lockSpans.empty() {
		a.Locks = []api.Span{{Start: t.meta.Load().Anchor}}
	}
	return api.Request{Kind: api.EndTxn, Key: t.meta.Load().Anchor, Txn: a}
}

// holdings lists where intents and locks may be.
func (t *Txn) holdings() []api.Span {
	if t.intents.empty() {
		return slices.Clone(t.lockSpans.spans())
	}
	var all spanSet
	for _, s := range t.intents.spans() {
		all.add(s.Start, s.End)
	}
	for _, s := range t.lockSpans.spans() {
		all.add(s.Start, s.End)
	}
	return all.spans()
}

// commitOnePhase sends everything with the decision to one range: one proposal.
// Locks outside of it are validated first, which fixes the timestamp.
func (t *Txn) commitOnePhase(ctx context.Context, b *kv.Batch, list []*pending, locks, outside []held) error {
	if len(outside) > 0 {
		if err := t.settle(ctx); err != nil {
			return err
		}
		if err := t.validate(ctx, outside); err != nil {
			return err
		}
	}
	reqs := make([]api.Request, 0, len(locks)+len(list)+1)
	reqs = appendValidations(reqs, locks)
	writes := len(reqs)
	for _, p := range list {
		reqs = append(reqs, writeRequest(p, p.last()))
	}
	reqs = append(reqs, t.endOnePhase(outside))
	ba := t.newBatch()
	ba.Requests = reqs
	ba.ReadSeq = t.readSeq(0)
	ba.CanRefresh = t.reads.empty() && len(outside) == 0
	br, err := t.db.cfg.Ranges.Send(ctx, ba)
	if err != nil {
		// A write that waited for a lock was given it, though the batch then failed.
		for _, p := range list {
			t.lockSpans.add(p.key, nil)
		}
		err = t.pushedPastLocks(err, outside)
		return conditionOf(err, reqs, func(i int) int32 {
			if i < writes || i-writes >= len(list) {
				return -1
			}
			return list[i-writes].index
		})
	}
	t.db.stats.onePhase.Add(1)
	if b != nil {
		addStats(&b.Stats, &br.Stats)
	}
	t.mu.Lock()
	t.noteAnswer(br)
	t.mu.Unlock()
	t.commitTS = br.WriteTS
	t.causality(br.WriteTS)
	t.end(committed)
	t.finishOnePhase(ctx)
	return nil
}

// causality keeps this node's clock above a commit that another node's clock or
// readers have pushed, so that the next transaction here sees it.
func (t *Txn) causality(ts hlc.Timestamp) {
	if t.firstMeta.ReadTS.Less(ts) {
		_ = t.db.cfg.Clock.Update(ts) // too far ahead: the node is about to stop serving
	}
}

// finishOnePhase releases what the commit's own range could not: locks elsewhere.
func (t *Txn) finishOnePhase(ctx context.Context) {
	if t.lockSpans.empty() {
		return
	}
	desc, err := t.db.cfg.Ranges.Range(ctx, t.meta.Load().Anchor)
	var outside []api.Span
	for _, s := range t.lockSpans.spans() {
		if err != nil || !desc.Contains(s.Start) || s.End != nil && bytes.Compare(s.End, desc.End) > 0 {
			outside = append(outside, s)
		}
	}
	if len(outside) == 0 {
		return
	}
	c := t.cleanup(api.Committed)
	c.intents, c.locks, c.decide, c.forget = nil, outside, false, false
	t.db.background("txn release", c.run)
}

// commitLaid lays all writes as intents and then decides in a second step: for
// large transactions and for a second try after a parallel commit.
func (t *Txn) commitLaid(ctx context.Context) error {
	locks := t.unwritten(nil)
	if err := t.flush(ctx); err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
	locks = t.unlaid(locks)
	if err := t.validate(ctx, locks); err != nil {
		return err
	}
	t.staged = true
	for {
		ba := t.newBatch()
		ba.NoIntents = false
		ba.Requests = []api.Request{t.endFixed(locks)}
		br, err := t.db.cfg.Ranges.Send(ctx, ba)
		if err == nil {
			// A recovery may have committed it before, at an earlier timestamp than
			// this one's.
			at := br.WriteTS
			if at.IsZero() {
				at = ba.Txn.WriteTS
			}
			t.committedAt(at, false)
			return nil
		}
		// The record stays until we are told of it, so that asking again is safe.
		var ambiguous *api.AmbiguousError
		if !errors.As(err, &ambiguous) || ctx.Err() != nil {
			return t.pushedPastLocks(err, locks)
		}
		if err := sleep(ctx, retryPause); err != nil {
			return &api.AmbiguousError{Cause: ambiguous.Cause}
		}
	}
}

// unlaid drops the locks on keys with an intent: the intent was laid on the
// locked version and keeps others out.
func (t *Txn) unlaid(locks []held) []held {
	spans := t.intents.spans()
	out := locks[:0]
	for _, h := range locks {
		if h.laid { // the spans of many intents have merged
			continue
		}
		i, found := slices.BinarySearchFunc(spans, h.key, func(s api.Span, k api.Key) int { return bytes.Compare(s.Start, k) })
		if !found || spans[i].End != nil {
			out = append(out, h)
		}
	}
	return out
}

// settle makes the timestamps fit for a decision: a serializable transaction
// commits at the timestamp that it read at.
func (t *Txn) settle(ctx context.Context) error {
	m := t.meta.Load()
	if m.Isolation != api.Serializable || !m.ReadTS.Less(m.WriteTS) {
		return nil
	}
	return &api.RetryError{Reason: api.ReasonPushed, Timestamp: m.WriteTS}
}

// validate checks locks without a write and keeps later writers above the commit
// timestamp.
func (t *Txn) validate(ctx context.Context, locks []held) error {
	for len(locks) > 0 {
		n := min(len(locks), maxValidations)
		ba := t.newBatch()
		ba.Requests = appendValidations(make([]api.Request, 0, n), locks[:n])
		br, err := t.db.cfg.Ranges.Send(ctx, ba)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.noteAnswer(br)
		t.mu.Unlock()
		locks = locks[n:]
	}
	return nil
}

const maxValidations = 4096

// committedAt ends the transaction; the rest happens behind the client's back.
func (t *Txn) committedAt(ts hlc.Timestamp, decide bool) {
	t.commitTS = ts
	t.causality(ts)
	t.end(committed)
	c := t.cleanup(api.Committed)
	c.decide = decide
	t.db.finish(c)
}

package eval

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// evaluation is one batch on its way. It is pooled.
type evaluation struct {
	rng  Range
	m    *concurrency.Manager
	ba   *api.BatchRequest
	resp *api.BatchResponse

	desc  *api.RangeDescriptor
	lease api.Lease
	eng   engine.Engine
	space keys.SpaceID
	view  engine.View // opened by the first scan

	// txn is who asks, as locks know it: the header's transaction, or anon.
	txn  *api.TxnMeta
	anon api.TxnMeta
	// readTS is the snapshot, writeTS where writes will land.
	readTS, writeTS hlc.Timestamp
	moved           bool
	opts            mvcc.ReadOptions

	plan     plan
	guard    concurrency.Guard
	sc       mvcc.Scratch
	buf      []byte
	own      []byte // the own record's key among latches
	writes   []pendingWrite
	index    map[string]int // of the first indexed writes, by key
	indexed  int
	changes  mvcc.Changes
	gc       hlc.Timestamp
	gcLimit  hlc.Timestamp
	after    []release
	block    scanBlock
	scanner  mvcc.Scanner
	kept     []byte // memory of plain rows
	waitNano int64
	// suspected goes from one wait to the next: a lock table that is given up again
	// and again must not hide a deadlock.
	suspected concurrency.Suspicion

	// conflicts are the foreign intents in the way; blocked is a foreign lock.
	conflicts []conflict
	blocked   blockedKey
	// unsaid is closed once the record tells of the commit of the writer whose
	// intent the batch would write over.
	unsaid <-chan struct{}
	// impatient counts only on commits that records tell of.
	impatient bool
	// done answers the proposal; lent is set while it may still come.
	done      chan error
	onApplied func(error) // applied, bound once
	lent      bool
}

// plan is what a look over the batch's requests tells.
type plan struct {
	// latched batches take latches; others only read single keys.
	latched bool
	mutates bool
	end     *api.Request
	// onePhase: everything that the transaction wrote is here and now.
	onePhase bool
	// leave: the transaction has too many intents here for one command; its
	// coordinator has them resolved bit by bit.
	leave bool
	// reads says that there are reads whose latches hold off only writers at or
	// below the snapshot.
	reads bool
	// proposes says that effects are likely, though not of a transaction's writes.
	proposes bool
}

// pendingWrite is a write whose conditions hold.
type pendingWrite struct {
	req  *api.Request
	head mvcc.Head
	// gone marks a write that a later one of the batch replaced; after is the
	// position, from 1, of the one that this one replaced.
	gone  bool
	after int
	laid  *mvcc.Intent
}

// release is a lock to give back once the command has applied.
type release struct {
	id         ids.TxnID
	start, end []byte
	all        bool
}

// conflict is a foreign intent in the way of a request.
type conflict struct {
	key      api.Key
	by       api.TxnMeta
	strength api.LockStrength
	wait     api.WaitPolicy
}

// blockedKey is a key whose lock somebody else holds.
type blockedKey struct {
	key      api.Key
	strength api.LockStrength
	wait     api.WaitPolicy
}

// Signals between evaluating and sequencing; they never leave the package.
var (
	errConflict = errors.New("eval: foreign intents in the way")
	errBlocked  = errors.New("eval: foreign lock in the way")
	errUnsaid   = errors.New("eval: over the intent of a commit that no record tells of yet")
)

var pool = sync.Pool{New: func() any {
	ev := &evaluation{done: make(chan error, 1)}
	ev.onApplied = ev.applied
	return ev
}}

// maxAttempts bounds how often a batch is tried: every turn waits for something
// or moves the batch's timestamps up, so the bound only stops a defect.
const maxAttempts = 10_000

// Execute evaluates a batch at the leaseholder and replicates its effects. ctx
// bounds waiting only: once proposed, a command may still apply, and a batch
// given up then is ambiguous.
func Execute(ctx context.Context, r Range, m *concurrency.Manager, ba *api.BatchRequest) (*api.BatchResponse, error) {
	ev := pool.Get().(*evaluation)
	ev.init(r, m, ba)
	resp, err := ev.run(ctx)
	if !ev.lent {
		ev.recycle()
	}
	return resp, err
}

func (ev *evaluation) init(r Range, m *concurrency.Manager, ba *api.BatchRequest) {
	ev.rng, ev.m, ev.ba = r, m, ba
	type one struct {
		api.BatchResponse
		first [1]api.Response
	}
	if len(ba.Requests) == 1 {
		o := &one{}
		o.Responses = o.first[:]
		ev.resp = &o.BatchResponse
	} else {
		ev.resp = &api.BatchResponse{Responses: make([]api.Response, len(ba.Requests))}
	}
	ev.resp.Node = r.Node()
	ev.setTimestamps()
}

func (ev *evaluation) recycle() {
	done, guard, sc, buf, own := ev.done, ev.guard, ev.sc, ev.buf, ev.own
	writes, after, conflicts, block := ev.writes, ev.after, ev.conflicts, ev.block
	ev.scanner.Release()
	guard.Reset()
	clear(writes)
	clear(after)
	clear(conflicts)
	block.reset()
	if cap(writes) > 4096 {
		writes = nil
	}
	*ev = evaluation{done: done, onApplied: ev.onApplied, guard: guard, sc: sc, buf: buf, own: own,
		writes: writes[:0], after: after[:0], conflicts: conflicts[:0], block: block, scanner: ev.scanner}
	pool.Put(ev)
}

// setTimestamps chooses where the batch reads and writes.
func (ev *evaluation) setTimestamps() {
	h := &ev.ba.Header
	clock := ev.rng.Clock()
	if t := h.Txn; t != nil && t.Gateway != ev.rng.Node() {
		// A remote transaction's timestamps: what is served later must lie above.
		// A clock that is too far ahead was refused when the message came in.
		_ = clock.Update(t.ReadTS.Forward(t.WriteTS))
	}
	now := clock.Now()
	ev.resp.Now = now
	ev.readTS = h.ReadTS
	if h.Txn == nil {
		if ev.readTS.IsZero() {
			ev.readTS = now
			ev.resp.ReadTS = now
		}
		ev.writeTS = now
		ev.anon = api.TxnMeta{ID: anonymousID(), ReadTS: now, WriteTS: now, StartTS: now, Gateway: ev.rng.Node()}
		ev.txn = &ev.anon
		ev.opts = mvcc.ReadOptions{TS: ev.readTS}
		return
	}
	t := h.Txn
	ev.txn = t
	if ev.readTS.IsZero() {
		ev.readTS = t.ReadTS
	}
	ev.writeTS = t.WriteTS.Forward(ev.readTS)
	ev.opts = mvcc.ReadOptions{TS: ev.readTS, Limit: t.UncertaintyLimit, ID: t.ID, Epoch: t.Epoch,
		Seq: h.ReadSeq, Ignored: h.Ignored}
	ev.opts.Limit = minTS(t.UncertaintyLimit, ev.observed(now))
}

// observed returns this node's clock at the transaction's first contact with it:
// what was written here later is not older than the transaction.
func (ev *evaluation) observed(now hlc.Timestamp) hlc.Timestamp {
	if o := ev.ba.Txn.Observed; !o.IsZero() {
		return o
	}
	ev.resp.Observed = now
	return now
}

func minTS(a, b hlc.Timestamp) hlc.Timestamp {
	if b.Less(a) {
		return b
	}
	return a
}

// run sequences and evaluates until nothing is in the way.
func (ev *evaluation) run(ctx context.Context) (*api.BatchResponse, error) {
	if done, err := ev.hearOfCommits(ctx); err != nil {
		return nil, err
	} else if done {
		return ev.finish()
	}
	for attempt := 0; attempt < maxAttempts; attempt++ {
		err := ev.attempt(ctx)
		switch {
		case err == nil:
			return ev.finish()
		case err == errConflict:
			err = ev.handleConflicts(ctx)
		case err == errBlocked:
			err = ev.handleBlocked(ctx)
		case err == errUnsaid:
			err = ev.awaitRecord(ctx)
		default:
			err = ev.moveUp(err)
		}
		if err != nil {
			return nil, err
		}
		ev.resetAttempt()
	}
	return nil, fmt.Errorf("eval: batch on %s made no progress", ev.rng.RangeID())
}

// moveUp moves the batch's snapshot when the sender allows it and the error says
// that it helps.
func (ev *evaluation) moveUp(err error) error {
	if !ev.ba.CanRefresh || ev.ba.Txn == nil {
		return err
	}
	var retry *api.RetryError
	if !errors.As(err, &retry) || retry.Timestamp.LessEq(ev.readTS) {
		return err
	}
	switch retry.Reason {
	case api.ReasonUncertain, api.ReasonNewerVersion, api.ReasonPushed:
	default:
		return err
	}
	ev.readTS = retry.Timestamp
	ev.writeTS = ev.writeTS.Forward(ev.readTS)
	ev.opts.TS = ev.readTS
	ev.moved = true
	return nil
}

func (ev *evaluation) resetAttempt() {
	ev.resetEvaluation()
	ev.guard.Reset()
	ev.plan = plan{}
}

// resetEvaluation forgets what evaluating made, but neither latches nor plan.
func (ev *evaluation) resetEvaluation() {
	clear(ev.resp.Responses)
	ev.writes, ev.index, ev.indexed = ev.writes[:0], nil, 0
	ev.after = ev.after[:0]
	ev.conflicts = ev.conflicts[:0]
	ev.changes.Reset()
	ev.gc = hlc.Timestamp{}
}

func (ev *evaluation) finish() (*api.BatchResponse, error) {
	if ev.moved {
		ev.resp.ReadTS = ev.readTS
	}
	if ev.ba.Txn != nil && (ev.plan.mutates || ev.moved) {
		ev.resp.WriteTS = ev.writeTS
	}
	ev.resp.Stats.LockWaitNanos = ev.waitNano
	return ev.resp, nil
}

// attempt evaluates the batch once; it holds no latch when it returns, except
// that handling conflicts needs them: errConflict leaves them held.
func (ev *evaluation) attempt(ctx context.Context) (err error) {
	ev.desc = ev.rng.Desc()
	if err := ev.makePlan(); err != nil {
		return err
	}
	if err := ev.takeReadLocks(ctx); err != nil {
		return err
	}
	if ev.plan.mutates || ev.plan.proposes {
		if err := ev.rng.WaitRoom(ctx); err != nil {
			return err
		}
	}
	if !ev.plan.latched {
		return ev.readUnlatched(ctx)
	}
	ev.collectLatches()
	if err := ev.m.Acquire(ctx, &ev.guard); err != nil {
		return err
	}
	for {
		err = ev.evaluateLatched()
		if ev.view != nil {
			ev.view.Close()
			ev.view = nil
		}
		// Latches that hold everybody off are good for a later snapshot as well,
		// and trying again under them cannot be overtaken by new readers.
		if err == nil || ev.plan.reads || ev.moveUp(err) != nil {
			break
		}
		ev.resetEvaluation()
	}
	if err == nil && (len(ev.changes.Ops) > 0 || !ev.gc.IsZero()) {
		// A sender that has given up may be about to send the batch again, or to
		// commit without it: from here on it would have to wait for our latches.
		if err = ctx.Err(); err == nil {
			return ev.propose(ctx)
		}
	}
	if err == nil {
		ev.giveBack()
	}
	if err != errConflict {
		ev.m.Release(&ev.guard)
	}
	return err
}

// enter checks what may have changed while the batch waited.
func (ev *evaluation) enter() error {
	if d := ev.rng.Desc(); d != ev.desc {
		ev.desc = d
		if err := ev.checkBounds(); err != nil {
			return err
		}
	}
	var err error
	if ev.lease, err = ev.rng.CheckLease(ev.readTS.Forward(ev.writeTS)); err != nil {
		var elsewhere *api.NotLeaseholderError
		if errors.As(err, &elsewhere) {
			// Locks count at the leaseholder only. One that was taken here since the
			// lease was lost would stop others who come too late until it expires.
			ev.m.ReleaseTxn(ev.txn.ID, nil, nil)
		}
		return err
	}
	ev.eng, ev.space = ev.rng.Engine(), ev.rng.Space()
	ev.gcLimit = ev.rng.GCThreshold()
	if t := ev.ba.Txn; t != nil && ev.opts.Limit.Less(ev.lease.Start) {
		// Values below the lease's start may have been served by an earlier holder
		// whose clock was ahead of ours.
		ev.opts.Limit = minTS(t.UncertaintyLimit, ev.lease.Start)
	}
	ev.opts.Pushed, ev.opts.Committed = ev.m.PushedFunc(), ev.m.CommittedFunc()
	return nil
}

func (ev *evaluation) evaluateLatched() error {
	if err := ev.enter(); err != nil {
		return err
	}
	for i := range ev.ba.Requests {
		if err := ev.evaluate(i, &ev.ba.Requests[i]); err != nil {
			var c *api.ConditionFailedError
			if errors.As(err, &c) {
				c.Index = i
			}
			return err
		}
	}
	if len(ev.conflicts) > 0 {
		return errConflict
	}
	return ev.finishWrites()
}

// evaluate runs one request under latches.
func (ev *evaluation) evaluate(i int, r *api.Request) error {
	resp := &ev.resp.Responses[i]
	switch r.Kind {
	case api.Get:
		if r.Lock == api.LockNone {
			ev.m.NoteRead(concurrency.Hash(r.Key), ev.readTS, ev.opts.ID)
		}
		return ev.get(r, resp)
	case api.Scan:
		return ev.scan(r, resp)
	case api.Put, api.Delete:
		return ev.checkWrite(r)
	case api.Increment:
		return ev.increment(r, resp)
	case api.DeleteRange:
		return ev.deleteRange(r, resp)
	case api.ValidateLock:
		return ev.validateLock(r)
	case api.Refresh:
		return ev.refresh(r)
	case api.EndTxn:
		return nil // finishWrites does it, after every write is checked
	case api.HeartbeatTxn:
		return ev.heartbeat(r, resp)
	case api.PushTxn:
		return ev.push(r, resp)
	case api.QueryTxn:
		return ev.queryTxn(r, resp)
	case api.QueryIntent:
		return ev.queryIntent(r, resp)
	case api.RecoverTxn:
		return ev.recoverTxn(r, resp)
	case api.ResolveIntent:
		return ev.resolveIntent(r, resp)
	case api.ReleaseLocks:
		ev.unlock(r.Key, r.End)
		return nil
	case api.GC:
		return ev.collectGarbage(r, resp)
	}
	return fmt.Errorf("eval: request kind %d is not evaluated at a range", r.Kind)
}

// propose replicates the effects and waits until they are applied.
func (ev *evaluation) propose(ctx context.Context) error {
	e := &Effects{Ops: ev.changes.Ops, BytesDelta: ev.changes.Bytes, KeysDelta: ev.changes.Keys, GCThreshold: ev.gc}
	ev.resp.Stats.Proposals++
	ev.lent = true
	ev.rng.Propose(ev.lease, e, ev.onApplied)
	select {
	case err := <-ev.done:
		ev.lent = false
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ev.done:
		ev.lent = false
		return err
	default:
		return &api.AmbiguousError{Cause: context.Cause(ctx).Error()}
	}
}

// applied ends a proposal: it runs where the command was applied.
func (ev *evaluation) applied(err error) {
	if err == nil {
		ev.giveBack()
	} else if ev.ba.Txn == nil {
		ev.m.ReleaseTxn(ev.txn.ID, nil, nil)
	}
	ev.m.Release(&ev.guard)
	ev.done <- err
}

// giveBack releases the locks that the batch ended.
func (ev *evaluation) giveBack() {
	for i := range ev.after {
		switch a := &ev.after[i]; {
		case a.all:
			ev.m.ReleaseTxn(a.id, nil, nil)
		case a.end == nil:
			ev.m.ReleaseKey(a.start, concurrency.Hash(a.start), a.id)
		default:
			ev.m.ReleaseTxn(a.id, a.start, a.end)
		}
	}
	if ev.ba.Txn == nil {
		ev.m.ReleaseTxn(ev.txn.ID, nil, nil)
	}
}

// unlock releases the locks of a transaction that ends without checking them:
// what it saw under them must hold up to its snapshot.
func (ev *evaluation) unlock(start, end []byte) {
	if t := ev.ba.Txn; t != nil && t.Isolation == api.Serializable {
		switch {
		case end == nil && len(start) > 0:
			ev.m.NoteRead(concurrency.Hash(start), ev.readTS, t.ID)
		default:
			ev.m.NoteLocked(t.ID, start, end, ev.readTS)
		}
	}
	ev.releaseLater(ev.txn.ID, start, end)
}

func (ev *evaluation) releaseLater(id ids.TxnID, start, end []byte) {
	ev.after = append(ev.after, release{id: id, start: start, end: end, all: len(start) == 0 && end == nil})
}

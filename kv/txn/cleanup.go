package txn

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// Rollback implements kv.Txn. It may follow anything, even a commit.
func (t *Txn) Rollback(context.Context) error {
	switch t.status() {
	case committed, rolledBack:
		return nil
	}
	t.end(rolledBack)
	t.db.stats.rolledBack.Add(1)
	t.abandon(true)
	return nil
}

// cleanup is what is left of a transaction after its end.
type cleanup struct {
	db     *DB
	meta   *api.TxnMeta
	status api.TxnStatus
	// decide says that the record must still be told.
	decide, forget bool
	end            api.Request
	intents, locks []api.Span
	ignored        []api.SeqInterval
	local          int // of intents: those resolved together with the record
}

// cleanup captures what the transaction leaves behind.
func (t *Txn) cleanup(s api.TxnStatus) *cleanup {
	m := t.edit()
	if s == api.Committed {
		m.WriteTS = t.commitTS
		if m.Isolation == api.Serializable {
			m.ReadTS = t.commitTS
		}
	}
	c := &cleanup{
		db: t.db, meta: m, status: s, ignored: t.ignored,
		intents: slices.Clone(t.intents.spans()), locks: slices.Clone(t.lockSpans.spans()),
		decide: t.staged || t.flushed() > 0 || t.beaten.Load(),
		forget: (t.staged || t.flushed() > 0 || t.beaten.Load()) && !(s == api.Aborted && t.doubtful),
	}
	if m.Anchor != nil {
		c.end = t.endTxn(s == api.Committed)
		c.end.Txn.Deadline = hlc.Timestamp{}
	}
	return c
}

// abandon undoes a transaction or gives up a former id. With wait it gives the
// release of locks a moment: who hears of a rollback expects them to be free.
func (t *Txn) abandon(wait bool) {
	if t.meta.Load().Anchor == nil {
		return
	}
	c := t.cleanup(api.Aborted)
	if !c.decide && len(c.locks) == 0 {
		return
	}
	released := make(chan struct{})
	t.db.background("txn rollback", func(ctx context.Context) error {
		defer close(released)
		return c.run(ctx)
	})
	if !wait {
		return
	}
	timer := time.NewTimer(releaseWait)
	defer timer.Stop()
	select {
	case <-released:
	case <-timer.C:
	}
}

// releaseOnly drops locks after an unknown outcome: nothing else may be touched.
func (t *Txn) releaseOnly() {
	if t.lockSpans.empty() {
		return
	}
	c := t.cleanup(api.Aborted)
	c.decide, c.forget, c.intents = false, false, nil
	t.db.background("txn release", c.run)
}

const (
	releaseWait    = 200 * time.Millisecond
	cleanupTimeout = 30 * time.Second
)

// run decides the record, resolves intents, releases locks and removes the
// record, in this order: whoever meets an intent must find the decision.
func (c *cleanup) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	if c.decide {
		if err := c.sendEnd(ctx); err != nil {
			var gone *api.AbortedError
			if c.status == api.Committed || !errors.As(err, &gone) {
				return errors.Join(err, c.release(ctx))
			}
		}
	}
	if c.status == api.Committed {
		c.dropCovered()
		if err := c.release(ctx); err != nil {
			return errors.Join(err, c.resolve(ctx))
		}
		c.locks = nil
	}
	if err := errors.Join(c.resolve(ctx), c.release(ctx)); err != nil {
		return err
	}
	if c.forget {
		c.db.forgets.add(c)
	}
	return nil
}

func (c *cleanup) sendEnd(ctx context.Context) error {
	for {
		err := c.send(ctx, []api.Request{c.end}, c.meta)
		var ambiguous *api.AmbiguousError
		if !errors.As(err, &ambiguous) || sleep(ctx, retryPause) != nil {
			return err
		}
		// The record stays until it is forgotten, so that asking twice is safe.
	}
}

// lazyIntents is how many intents may wait to be resolved together with those of
// others.
const lazyIntents = 256

func (c *cleanup) resolve(ctx context.Context) error {
	if len(c.intents) == 0 {
		return nil
	}
	// A large transaction takes many commands, one after another: should each wait
	// for company, others would wait for the last.
	lazy := c.status == api.Committed && len(c.intents) <= lazyIntents &&
		!slices.ContainsFunc(c.intents, func(s api.Span) bool { return s.End != nil })
	args := c.resolution(lazy)
	for left := c.intents; len(left) > 0; {
		reqs := make([]api.Request, 0, len(left))
		for _, s := range left {
			for _, part := range c.cut(ctx, s) {
				reqs = append(reqs, api.Request{Kind: api.ResolveIntent, Key: part.Start, End: part.End, Txn: args})
			}
		}
		br, err := c.sendBatch(ctx, reqs, nil)
		if err != nil {
			return err
		}
		// What is too much for one command is left off at a key.
		left = nil
		for i := range reqs {
			if r := br.Responses[i].Resume; r != nil {
				left = append(left, api.Span{Start: r, End: reqs[i].End})
			}
		}
	}
	return nil
}

func (c *cleanup) resolution(lazy bool) *api.TxnArgs {
	return &api.TxnArgs{Pushee: *c.meta, Status: c.status, Ignored: c.ignored, Lazy: lazy}
}

// cut divides a span along the ranges, as far as they are known: each of them
// leaves off at a key of its own, and goes on there.
func (c *cleanup) cut(ctx context.Context, s api.Span) []api.Span {
	var out []api.Span
	for s.End != nil {
		desc, err := c.db.cfg.Ranges.Range(ctx, s.Start)
		if err != nil || bytes.Compare(desc.End, s.End) >= 0 || bytes.Compare(desc.End, s.Start) <= 0 {
			break
		}
		out = append(out, api.Span{Start: s.Start, End: desc.End})
		s.Start = desc.End
	}
	return append(out, s)
}

// dropCovered forgets the locks that resolving intents releases as well. Both
// lists are in key order.
func (c *cleanup) dropCovered() {
	left := c.locks[:0]
	for _, l := range c.locks {
		i, found := slices.BinarySearchFunc(c.intents, l.Start, func(s api.Span, k api.Key) int { return bytes.Compare(s.Start, k) })
		if l.End == nil && (found || i > 0 && bytes.Compare(l.Start, c.intents[i-1].End) < 0) {
			continue
		}
		left = append(left, l)
	}
	c.locks = left
}

func (c *cleanup) release(ctx context.Context) error {
	if len(c.locks) == 0 {
		return nil
	}
	reqs := make([]api.Request, 0, len(c.locks))
	for _, s := range c.locks {
		reqs = append(reqs, api.Request{Kind: api.ReleaseLocks, Key: s.Start, End: s.End})
	}
	return c.send(ctx, reqs, c.meta)
}

func (c *cleanup) send(ctx context.Context, reqs []api.Request, m *api.TxnMeta) error {
	_, err := c.sendBatch(ctx, reqs, m)
	return err
}

func (c *cleanup) sendBatch(ctx context.Context, reqs []api.Request, m *api.TxnMeta) (*api.BatchResponse, error) {
	ba := &api.BatchRequest{Requests: reqs}
	ba.Txn, ba.Gateway = m, c.meta.Gateway
	if m != nil {
		ba.ReadTS = m.ReadTS
	}
	return c.db.cfg.Ranges.Send(ctx, ba)
}

// heartbeatEvery is how often records of long transactions are renewed, and how
// old a transaction is before it needs one.
const heartbeatEvery = time.Second

// heartbeatLoop renews the records of the open transactions that hold something.
func (d *DB) heartbeatLoop(ctx context.Context) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.heartbeatAll(ctx)
		}
	}
}

// heartbeatAll sends the due heartbeats, each range's on its own, so that an
// unavailable range costs only its own transactions their lives.
func (d *DB) heartbeatAll(ctx context.Context) {
	due := d.cfg.Clock.PhysicalNanos() - int64(heartbeatEvery)
	d.open.each(func(t *Txn) {
		m := t.meta.Load()
		if !t.holds.Load() || m.StartTS.WallNanos > due || t.status() == aborted || m.Anchor == nil || !t.beating.CompareAndSwap(false, true) {
			return
		}
		d.background("txn heartbeat", func(ctx context.Context) error {
			defer t.beating.Store(false)
			return t.heartbeat(ctx, m)
		})
	})
}

func (t *Txn) heartbeat(ctx context.Context, m *api.TxnMeta) error {
	ctx, cancel := context.WithTimeout(ctx, 5*heartbeatEvery)
	defer cancel()
	if !t.holds.Load() {
		return nil
	}
	t.beaten.Store(true)
	t.db.stats.heartbeats.Add(1)
	ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.HeartbeatTxn, Key: m.Anchor, Txn: &api.TxnArgs{}}}}
	ba.Txn, ba.ReadTS, ba.Gateway = m, m.ReadTS, m.Gateway
	br, err := t.db.cfg.Ranges.Send(ctx, ba)
	var gone *api.AbortedError
	dead := errors.As(err, &gone) || err == nil && br.Responses[0].Txn != nil && br.Responses[0].Txn.Status == api.Aborted
	if dead && t.ID() == m.ID {
		t.state.CompareAndSwap(uint32(open), uint32(aborted))
	}
	return err
}

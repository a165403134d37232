package txn

import (
	"context"
	"sync"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// finisher completes parallel commits: a transaction whose writes and staging
// record are laid is committed, and what is left is to say so in the record, to
// resolve the intents and to remove the record. While one batch of that is on its
// way to a range, the next ones gather: at leisure each goes by itself and at
// once, and under load many share a command.
type finisher struct {
	mu sync.Mutex
	// queues holds what waits for each anchor range; a range with an entry has a
	// goroutine that sees to it.
	queues map[ids.RangeID][]*cleanup
}

// Bounds on one batch: of commits, and of the intents of a commit that takes
// this way.
const (
	finishAtOnce  = 64
	finishIntents = 64
)

// finish sees to the rest of a committed transaction behind everybody's back.
func (d *DB) finish(c *cleanup) {
	id, ok := c.finishRange()
	if !ok {
		d.background("txn resolve", c.run)
		return
	}
	f := &d.finishes
	f.mu.Lock()
	list, busy := f.queues[id]
	if f.queues == nil {
		f.queues = map[ids.RangeID][]*cleanup{}
	}
	if f.queues[id] = append(list, c); busy {
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	d.background("txn finish", func(ctx context.Context) error {
		for {
			list := f.take(id)
			if list == nil {
				return nil
			}
			d.finishBatch(ctx, list)
		}
	})
}

// take returns the next commits of a range, or gives the range up.
func (f *finisher) take(id ids.RangeID) []*cleanup {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.queues[id]
	if len(list) == 0 {
		delete(f.queues, id)
		return nil
	}
	n := min(len(list), finishAtOnce)
	f.queues[id] = list[n:]
	return list[:n:n]
}

// finishRange returns the range of the record of a commit that can be completed
// together with others: one of few keys, all of whose locks are on them.
func (c *cleanup) finishRange() (ids.RangeID, bool) {
	if !c.decide || !c.forget || len(c.intents) > finishIntents {
		return 0, false
	}
	for _, s := range c.intents {
		if s.End != nil {
			return 0, false
		}
	}
	if c.dropCovered(); len(c.locks) > 0 {
		return 0, false
	}
	desc, err := c.db.cfg.Ranges.Range(c.db.group.Context(), c.meta.Anchor)
	if err != nil {
		return 0, false
	}
	return desc.RangeID, true
}

// finishBatch makes the records say that their transactions are committed,
// resolving the intents next to them in the same command, and then lets the other
// intents go their lazy way.
func (d *DB) finishBatch(ctx context.Context, list []*cleanup) {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	ba := &api.BatchRequest{Header: api.Header{Gateway: list[0].meta.Gateway}, Requests: make([]api.Request, 0, 2*len(list))}
	for _, c := range list {
		ba.Requests = append(ba.Requests, api.Request{Kind: api.RecoverTxn, Key: c.meta.Anchor, Txn: &api.TxnArgs{Pushee: *c.meta, Commit: true}})
	}
	desc, err := d.cfg.Ranges.Range(ctx, list[0].meta.Anchor)
	if err == nil {
		for _, c := range list {
			c.takeLocal(ba, desc)
		}
		var br *api.BatchResponse
		if br, err = d.cfg.Ranges.Send(ctx, ba); err == nil {
			list = d.finished(list, br)
		}
	}
	if err != nil {
		for _, c := range list {
			d.background("txn resolve", c.run)
		}
		return
	}
	if len(list) > 0 {
		d.background("txn resolve", func(ctx context.Context) error { return d.resolveAll(ctx, list) })
	}
}

// takeLocal adds the resolutions of intents in a range to the batch that decides
// the record. Should the range have been split, those on the other side fail: no
// intent may be resolved before the record says what it becomes.
func (c *cleanup) takeLocal(ba *api.BatchRequest, desc *api.RangeDescriptor) {
	args := c.resolution(false)
	args.Status = api.Staging
	c.local = 0
	for i, s := range c.intents {
		if !desc.Contains(s.Start) {
			continue
		}
		ba.Requests = append(ba.Requests, api.Request{Kind: api.ResolveIntent, Key: s.Start, Txn: args})
		// Those seen to go to the front; the order matters to nobody any more.
		c.intents[i], c.intents[c.local] = c.intents[c.local], c.intents[i]
		c.local++
	}
}

// finished sorts out the commits whose record does not say so: they go the long
// way. The others have had their local intents resolved.
func (d *DB) finished(list []*cleanup, br *api.BatchResponse) []*cleanup {
	out := list[:0]
	for i, c := range list {
		if r := br.Responses[i].Txn; r == nil || r.Status != api.Committed {
			d.background("txn resolve", c.run)
			continue
		}
		c.intents = c.intents[c.local:]
		out = append(out, c)
	}
	return out
}

// resolveAll resolves the intents that some committed transactions have left in
// other ranges than their records', and has the records removed.
func (d *DB) resolveAll(ctx context.Context, list []*cleanup) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	ba := &api.BatchRequest{Header: api.Header{Gateway: list[0].meta.Gateway}}
	for _, c := range list {
		args := c.resolution(true)
		for _, s := range c.intents {
			ba.Requests = append(ba.Requests, api.Request{Kind: api.ResolveIntent, Key: s.Start, Txn: args})
		}
	}
	if len(ba.Requests) > 0 {
		if _, err := d.cfg.Ranges.Send(ctx, ba); err != nil {
			return err
		}
	}
	d.forgets.add(list...)
	return nil
}

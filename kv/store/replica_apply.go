package store

import (
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

var results = [4][]byte{resultApplied: {resultApplied}, resultWrongLease: {resultWrongLease}, resultStale: {resultStale}}

// ApplyBatch implements raftgroup.StateMachine.
func (r *Replica) ApplyBatch(b *engine.Batch, entries []raftgroup.Entry) [][]byte {
	r.adopt()
	cur := *r.cur.Load()
	r.next, r.splits = &cur, r.splits[:0]
	out := make([][]byte, len(entries))
	changed := false
	for i := range entries {
		if entries[i].Kind != raftgroup.EntryCommand {
			r.applied = entries[i].Members
			continue
		}
		if len(entries[i].Data) == 0 {
			out[i] = results[resultApplied] // a barrier
			continue
		}
		c, err := decodeCommand(entries[i].Data)
		if err != nil {
			// Every replica has the same bytes: going on would lose the command on
			// all of them alike, which is worse than stopping.
			panic(fmt.Sprintf("%s: entry %d: %v", r.id, entries[i].Index, err))
		}
		result := r.applyCommand(b, &c)
		out[i] = results[result]
		changed = changed || result == resultApplied
	}
	if changed {
		putInfo(b, r.id, &r.next.info)
	}
	return out
}

// adopt takes up the state that a split seeded after this replica was opened
// without any: whoever applies entries has a state in the engine.
func (r *Replica) adopt() {
	if r.cur.Load() != nil {
		return
	}
	st, ok, err := loadState(r.store.cfg.Engine, r.id)
	if err != nil || !ok {
		panic(fmt.Sprintf("%s: entries to apply and no state to apply them to: %v", r.id, err))
	}
	r.cur.CompareAndSwap(nil, st)
}

// applyCommand applies one command to the working copy and the batch.
func (r *Replica) applyCommand(b *engine.Batch, c *command) int {
	s := r.next
	if c.LeaseSeq != s.lease.Seq {
		return resultWrongLease
	}
	switch {
	case c.Effects != nil:
		eval.ApplyEffects(b, s.info.space, c.Effects)
		s.info.bytes += c.Effects.BytesDelta
		s.info.keys += c.Effects.KeysDelta
		s.info.gcThreshold = s.info.gcThreshold.Forward(c.Effects.GCThreshold)
	case c.Lease != nil:
		s.lease = *c.Lease
		putLease(b, r.id, &s.lease)
	case c.Desc != nil:
		if c.Desc.Generation != s.desc.Generation+1 {
			return resultStale
		}
		s.desc = *c.Desc
		putDesc(b, &s.desc)
	case c.Split != nil:
		return r.applySplit(b, c.Split)
	}
	return resultApplied
}

// Applied implements raftgroup.StateMachine: the batch is visible now.
func (r *Replica) Applied([]raftgroup.Entry, [][]byte) {
	old, now := r.cur.Load(), r.next
	if now == nil {
		return
	}
	r.next = nil
	if now.lease.Seq != old.lease.Seq {
		r.leaseChanged(&now.lease)
	}
	for _, s := range r.splits {
		r.store.splitApplied(r, s, now)
	}
	r.cur.Store(now)
}

// LeaderChanged implements raftgroup.StateMachine.
func (r *Replica) LeaderChanged(isLeader bool, _ ids.NodeID, _ uint64) {
	if isLeader {
		r.store.wantLease(r)
	}
}

// leaseChanged follows a new lease before anyone can see it.
func (r *Replica) leaseChanged(l *api.Lease) {
	if l.Holder.Node == r.store.cfg.Node && l.Holder.Replica == r.self.Replica && r.proposing.Load() == l.Seq {
		r.m.LeaseAcquired(l.Start)
		r.own(l.Seq)
		return
	}
	r.ownSeq.Store(0)
	r.m.LeaseLost()
}

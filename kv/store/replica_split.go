package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// split divides the range at key: one command under a latch over the whole range
// writes both descriptors and the right half's group seed. The right half shares
// the space, so that no data moves.
func (r *Replica) split(ctx context.Context, key api.Key) error {
	r.admin.Lock()
	defer r.admin.Unlock()
	if r.id == MetaRange {
		return fmt.Errorf("the meta range does not split")
	}
	if d := r.Desc(); bytes.Equal(d.Start, key) {
		return nil
	} else if !d.Contains(key) {
		return r.store.mismatch(r, key)
	}
	id, err := r.newRangeID(ctx)
	if err != nil {
		return err
	}
	// The right half opens once the split is durable (splitApplied), and nobody
	// serves its keys until then: little should be left to write at that point.
	if err := r.store.cfg.Engine.Flush(ctx); err != nil {
		return err
	}
	rightBytes, rightKeys := r.measure(key)
	release, err := r.m.LatchAll(ctx)
	if err != nil {
		return err
	}
	lease, err := r.CheckLease(hlc.Timestamp{})
	if err == nil && !r.cur.Load().desc.Contains(key) {
		err = r.store.mismatch(r, key)
	}
	if err != nil {
		release()
		return err
	}
	c := &command{LeaseSeq: lease.Seq, Split: newSplit(&r.cur.Load().desc, lease, id, key)}
	c.Split.RightBytes, c.Split.RightKeys = rightBytes, rightKeys
	ch := make(chan error, 1)
	// The latch goes when the split has applied or never will, whoever still
	// waits for it: in between the right half belongs to nobody here.
	r.propose(c, func(err error) { release(); ch <- err })
	select {
	case err = <-ch:
	case <-ctx.Done():
		err = &api.AmbiguousError{Cause: ctx.Err().Error()}
	}
	if err != nil {
		return err
	}
	// Followers apply a split only once they hear that it is committed, and
	// heartbeats do not tell them: an empty entry does. A new leader begins with
	// one of its own.
	if err := r.group.ReadBarrier(ctx); !errors.Is(err, raftgroup.ErrNotLeader) {
		return err
	}
	return nil
}

// newSplit divides a descriptor at key. The right half's first lease is the left
// one's, for the same holder.
func newSplit(d *api.RangeDescriptor, lease api.Lease, id ids.RangeID, key api.Key) *splitTrigger {
	left := *d
	left.Generation++
	right := left
	right.Replicas = append([]api.ReplicaDescriptor(nil), left.Replicas...)
	right.RangeID, right.Start = id, bytes.Clone(key)
	left.End = right.Start
	lease.Seq = 1
	return &splitTrigger{Left: left, Right: right, RightLease: lease}
}

func (r *Replica) newRangeID(ctx context.Context) (ids.RangeID, error) {
	ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.Increment, Key: rangeIDKey, Delta: 1}}}
	br, err := r.store.cfg.Sender.Send(ctx, ba)
	if err != nil {
		return 0, fmt.Errorf("allocating a range id: %w", err)
	}
	return ids.RangeID(firstUserRange + br.Responses[0].Number), nil
}

// measure counts what lies at or above key; writes that go on make it an
// estimate.
func (r *Replica) measure(key api.Key) (size, count int64) {
	st := r.cur.Load()
	v := r.store.cfg.Engine.View()
	defer v.Close()
	it := v.Iter(keys.AppendEngineBound(nil, st.info.space, key), keys.AppendEngineBound(nil, st.info.space, st.desc.End))
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		size += int64(len(it.Key()) + len(it.Value()))
		count++
	}
	return size, count
}

// MiddleKey returns a key that halves the range's data, nil if there is none.
func (r *Replica) MiddleKey() api.Key {
	st := r.cur.Load()
	if st == nil {
		return nil
	}
	v := r.store.cfg.Engine.View()
	defer v.Close()
	it := v.Iter(keys.AppendEngineBound(nil, st.info.space, st.desc.Start), keys.AppendEngineBound(nil, st.info.space, st.desc.End))
	defer it.Close()
	var total int64
	for ok := it.First(); ok; ok = it.Next() {
		total += int64(len(it.Key()) + len(it.Value()))
	}
	var sum int64
	for ok := it.First(); ok; ok = it.Next() {
		if sum += int64(len(it.Key()) + len(it.Value())); sum*2 < total {
			continue
		}
		k, _, err := keys.DecodeEngineVersion(nil, it.Key())
		if err != nil || bytes.Compare(k, st.desc.Start) <= 0 {
			continue
		}
		return bytes.Clone(k)
	}
	return nil
}

// applySplit is the split's part of ApplyBatch.
func (r *Replica) applySplit(b *engine.Batch, t *splitTrigger) int {
	s := r.next
	if t.Left.Generation != s.desc.Generation+1 {
		return resultStale
	}
	right := state{desc: t.Right, lease: t.RightLease,
		info: info{space: s.info.space, bytes: t.RightBytes, keys: t.RightKeys, gcThreshold: s.info.gcThreshold}}
	right.put(b)
	if err := r.store.host.Seed(b, t.Right.RangeID, r.members()); err != nil {
		panic(fmt.Sprintf("%s: seeding %s: %v", r.id, t.Right.RangeID, err))
	}
	s.desc = t.Left
	s.info.bytes = max(0, s.info.bytes-t.RightBytes)
	s.info.keys = max(0, s.info.keys-t.RightKeys)
	putDesc(b, &s.desc)
	r.splits = append(r.splits, t)
	return resultApplied
}

// members is the configuration applied here: the same on every replica at the
// same index, since configurations are entries.
func (r *Replica) members() []raftgroup.Member {
	if r.applied == nil {
		// A snapshot brought it, and no configuration has been applied since.
		if gs, ok, err := raftgroup.LoadState(r.store.cfg.Engine, r.id); err == nil && ok {
			r.applied = gs.Members
		}
	}
	return r.applied
}

// splitApplied follows a split before anyone can see it.
func (s *Store) splitApplied(r *Replica, t *splitTrigger, now *state) {
	var m *concurrency.Manager
	held := r.ownSeq.Load() != 0 && r.ownSeq.Load() == now.lease.Seq
	if held {
		// A single-key read takes no latch: one that was admitted here and has not
		// noted itself yet is below the clock.
		m = concurrency.NewManager(s.waits, s.cfg.Clock.Now().Forward(t.RightLease.Start))
		r.m.CopyTo(m, t.Right.Start)
	}
	id := t.Right.RangeID
	s.tasks.Go("open split range", func(ctx context.Context) {
		// The seed and the split must be durable before the group can promise
		// anything: a replay of the split would wipe it.
		if err := s.cfg.Engine.Flush(ctx); err != nil {
			s.log.Error("flushing a split", "range", id, "err", err)
			return
		}
		rep, ok := t.Right.Replica(s.cfg.Node)
		if !ok {
			return
		}
		st, ok, err := loadState(s.cfg.Engine, id)
		if err == nil && ok {
			err = s.open(id, raftgroup.Member{Node: rep.Node, Replica: rep.Replica, Learner: rep.Type == api.Learner}, st, m)
		}
		if err != nil {
			s.log.Error("opening a split range", "range", id, "err", err)
			return
		}
		if right, found := s.Replica(id); found && ok {
			right.cur.CompareAndSwap(nil, st) // a message had opened it before
		}
		if !held {
			return
		}
		if right, ok := s.Replica(id); ok {
			if err := right.group.Campaign(); err != nil {
				s.log.Debug("campaign after a split", "range", id, "err", err)
			}
			// The right half first, so that every key stays covered. What fails is
			// made up for by the store's loop.
			s.tidy(ctx, right)
			s.tidy(ctx, r)
		}
	})
}

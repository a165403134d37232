package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup"
)

// Operations between stores: a byte, the range id, a number.
const (
	opRevoke = iota + 1
	// opRemoved tells a node that its replica may have been removed.
	opRemoved
	// opAdded tells a node that it is about to become a member, with the number
	// of its replica.
	opAdded
	// opAlive asks nothing: an answer suffices.
	opAlive
)

// revokeTimeout bounds the wait for a live holder's answer; a dead one refuses at
// once.
const revokeTimeout = time.Second

// maxShippedLocks bounds what travels with a revoked lease; past it, validation
// at commit decides (KV.md, 17).
const maxShippedLocks = 256 << 10

var (
	errMessage    = errors.New("store: malformed message")
	errNotStarted = errors.New("store: not started yet")
	errNoPeers    = errors.New("store: this node has no peers")
)

func encodeOp(op byte, r ids.RangeID, n uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{op}, uint64(r))
	return binary.BigEndian.AppendUint64(b, n)
}

func (s *Store) registerRPC() {
	s.cfg.Peers.Handle(rpc.MethodStore, func(ctx context.Context, from ids.NodeID, p []byte) ([]byte, error) {
		if len(p) != 17 {
			return nil, errMessage
		}
		id, n := ids.RangeID(binary.BigEndian.Uint64(p[1:])), binary.BigEndian.Uint64(p[9:])
		switch p[0] {
		case opRevoke:
			return s.handleRevoke(ctx, id, n)
		case opRemoved:
			if !s.started.Load() {
				return nil, errNotStarted
			}
			if r, ok := s.Replica(id); ok {
				s.tasks.Go("replica gc", func(ctx context.Context) { s.collectIfRemoved(ctx, r) })
			}
			return nil, nil
		case opAdded:
			return nil, s.openEmpty(id, ids.ReplicaID(n))
		case opAlive:
			return nil, nil
		}
		return nil, errMessage
	})
}

// handleRevoke gives up a lease, whether it is known here yet or not.
func (s *Store) handleRevoke(ctx context.Context, id ids.RangeID, seq uint64) ([]byte, error) {
	// The lease may be an earlier life's: what that one served is below the clock
	// only once that has been outlived.
	if err := s.outlive(ctx); err != nil {
		return nil, err
	}
	if !s.started.Load() {
		return nil, errNotStarted
	}
	s.mu.Lock()
	if _, open := s.host.Lookup(id); !open {
		s.mu.revoked[id] = max(s.mu.revoked[id], seq)
		s.mu.Unlock()
		return s.cfg.Clock.Now().AppendAsc(nil), nil
	}
	s.mu.Unlock()
	r, ok := s.Replica(id)
	if !ok {
		return nil, errNotStarted // being opened or removed: the sender asks again
	}
	return r.handleRevoke(seq), nil
}

// handleRevoke gives up a lease and answers with the highest timestamp served and
// the locks held.
func (r *Replica) handleRevoke(seq uint64) []byte {
	served := r.revoke(seq)
	out := served.AppendAsc(nil)
	st := r.cur.Load()
	if st == nil {
		return out
	}
	if locks := concurrency.EncodeLocks(nil, r.m.ExportLocks(st.desc.Start, st.desc.End)); len(locks) <= maxShippedLocks {
		out = append(out, locks...)
	}
	return out
}

// askToRevoke asks a node to give up a lease. The locks that come with the answer
// are entered into r's manager once its lease is acquired.
func (s *Store) askToRevoke(ctx context.Context, holder ids.NodeID, id ids.RangeID, seq uint64, r *Replica) (served hlc.Timestamp, ok bool) {
	if s.cfg.Peers == nil {
		return served, false
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	b, err := s.cfg.Peers.Call(ctx, holder, rpc.Normal, rpc.MethodStore, encodeOp(opRevoke, id, seq))
	if err != nil || len(b) < hlc.EncodedLen {
		return served, false
	}
	if rest := b[hlc.EncodedLen:]; len(rest) > 0 {
		if locks, err := concurrency.DecodeLocks(rest); err == nil {
			r.m.ImportLocks(locks)
		}
	}
	return hlc.DecodeAsc(b), true
}

// unknownPatience is how long messages for a range without a group here are
// refused before an empty group is opened for it. Most likely it is the child of
// a split that has not applied here yet, which must not start out empty; a leader
// that adds this node says so (opAdded).
const unknownPatience = 3 * time.Second

// HandleUnknown is raftgroup's callback for a range without a group here.
func (s *Store) HandleUnknown(id ids.RangeID, replica ids.ReplicaID, _ ids.NodeID) {
	if !s.started.Load() {
		return
	}
	s.mu.Lock()
	known := s.mu.expected[id] || s.mu.opening[id]
	if !known {
		s.mu.expected[id] = true
	}
	s.mu.Unlock()
	if known {
		return
	}
	started := s.tasks.Go("open unknown replica", func(ctx context.Context) {
		defer s.unexpect(id)
		select {
		case <-time.After(unknownPatience):
		case <-ctx.Done():
			return
		}
		if err := s.openEmpty(id, replica); err != nil {
			s.log.Error("opening a replica", "range", id, "err", err)
		}
	})
	if !started {
		s.unexpect(id)
	}
}

func (s *Store) unexpect(id ids.RangeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.expected, id)
}

// openEmpty opens a replica that waits for a snapshot, unless this node has the
// range's data or a later replica was removed from here.
func (s *Store) openEmpty(id ids.RangeID, replica ids.ReplicaID) error {
	if !s.started.Load() {
		return errNotStarted
	}
	st, ok, err := loadState(s.cfg.Engine, id)
	if err != nil {
		return err
	}
	if ok {
		// The child of a split that is applied and not open yet, or a replica that
		// was not opened: its own path opens it.
		if rep, member := st.desc.Replica(s.cfg.Node); member && rep.Replica >= replica {
			return nil
		}
		if _, open := s.host.Lookup(id); !open {
			return fmt.Errorf("%s has data here of a replica that was not opened", id)
		}
	}
	if replica <= raftgroup.Tombstone(s.cfg.Engine, id) {
		return fmt.Errorf("replica %d of %s was removed from here", replica, id)
	}
	return s.open(id, raftgroup.Member{Node: s.cfg.Node, Replica: replica, Learner: true}, nil, nil)
}

// collectIfRemoved removes a replica that the range no longer has, as the meta
// range confirms.
func (s *Store) collectIfRemoved(ctx context.Context, r *Replica) {
	if r.group.IsLeader() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	st := r.cur.Load()
	removed, err := s.confirmRemoved(ctx, r, st)
	if err != nil {
		s.log.Debug("not known whether a replica was removed", "range", r.id, "err", err)
	}
	if !removed {
		return
	}
	if err := s.host.Remove(r.id, r.self.Replica); err != nil {
		s.log.Error("removing a replica", "range", r.id, "err", err)
		return
	}
	if st != nil {
		s.deleteSpans(r.spans(st))
	}
	s.log.Info("removed a replica that the range no longer has", "range", r.id)
}

// confirmRemoved asks the meta range. Its entry may be older than what is here,
// and then says nothing.
func (s *Store) confirmRemoved(ctx context.Context, r *Replica, st *state) (bool, error) {
	if r.id == MetaRange {
		// It has no entry: its leaseholder knows.
		br, err := s.cfg.Sender.Send(ctx, &api.BatchRequest{Requests: []api.Request{{Kind: api.RangeStatus, Key: keys.MinKey}}})
		if err != nil || br.Responses[0].Range == nil {
			return false, err
		}
		d := &br.Responses[0].Range.Desc
		return d.RangeID == r.id && !hasReplica(d, r.self) && d.NextReplica > r.self.Replica, nil
	}
	if st != nil {
		descs, err := meta.Lookup(ctx, s.cfg.Sender, st.desc.Start)
		if err != nil || len(descs) == 0 {
			return false, err
		}
		d := &descs[0]
		return d.RangeID == r.id && d.Generation >= st.desc.Generation && !hasReplica(d, r.self), nil
	}
	// Without data here the range's place is not known: look through all.
	all, err := meta.All(ctx, s.cfg.Sender)
	if err != nil {
		return false, err
	}
	for i := range all {
		if all[i].RangeID == r.id {
			return !hasReplica(&all[i], r.self) && all[i].NextReplica > r.self.Replica, nil
		}
	}
	return false, nil
}

func hasReplica(d *api.RangeDescriptor, m raftgroup.Member) bool {
	rep, ok := d.Replica(m.Node)
	return ok && rep.Replica == m.Replica
}

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup"
)

// Operations between stores: a byte, the range id, a number.
const (
	opRevoke = iota + 1
	// opRemoved tells a node that its replica may have been removed.
	opRemoved
)

// revokeTimeout bounds the wait for a live holder's answer; a dead one refuses at
// once.
const revokeTimeout = time.Second

// maxShippedLocks bounds what travels with a revoked lease; past it, validation
// at commit decides (KV.md, 17).
const maxShippedLocks = 256 << 10

var errMessage = errors.New("store: malformed message")

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
		r, ok := s.Replica(id)
		switch p[0] {
		case opRevoke:
			// Without a replica, the lease's process life is over: nothing is served.
			if !ok {
				return s.cfg.Clock.Now().AppendAsc(nil), nil
			}
			return r.handleRevoke(n), nil
		case opRemoved:
			if ok {
				s.tasks.Go("replica gc", func(ctx context.Context) { s.collectIfRemoved(ctx, r) })
			}
			return nil, nil
		}
		return nil, errMessage
	})
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

// HandleUnknown is raftgroup's callback for a range without a group here: the
// leader has added this node.
func (s *Store) HandleUnknown(id ids.RangeID, replica ids.ReplicaID, _ ids.NodeID) {
	if s.host == nil {
		return
	}
	s.tasks.Go("open replica", func(context.Context) {
		st, ok, err := loadState(s.cfg.Engine, id)
		if err != nil {
			s.log.Error("replica state", "range", id, "err", err)
			return
		}
		if ok {
			// The child of a split that is applied and not open yet, or a replica
			// that was not opened: its own path opens it.
			if rep, member := st.desc.Replica(s.cfg.Node); member && rep.Replica >= replica {
				return
			}
		}
		if replica <= raftgroup.Tombstone(s.cfg.Engine, id) {
			return
		}
		if err := s.open(id, raftgroup.Member{Node: s.cfg.Node, Replica: replica, Learner: true}, nil, nil); err != nil {
			s.log.Error("opening a replica", "range", id, "err", err)
		}
	})
}

// collectIfRemoved removes a replica that the range no longer has, as the meta
// range confirms.
func (s *Store) collectIfRemoved(ctx context.Context, r *Replica) {
	st := r.cur.Load()
	if st == nil || r.group.IsLeader() || r.id == MetaRange {
		return
	}
	descs, err := meta.Lookup(ctx, s.cfg.Sender, st.desc.Start)
	if err != nil || len(descs) == 0 {
		return
	}
	d := descs[0]
	if rep, member := d.Replica(s.cfg.Node); d.RangeID != r.id || d.Generation < st.desc.Generation || member && rep.Replica == r.self.Replica {
		return
	}
	spans := r.spans(st)
	if err := s.host.Remove(r.id, r.self.Replica); err != nil {
		s.log.Error("removing a replica", "range", r.id, "err", err)
		return
	}
	s.deleteSpans(spans)
	s.log.Info("removed a replica that the range no longer has", "range", r.id)
}

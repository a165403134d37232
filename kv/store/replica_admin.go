package store

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup"
)

// changeTimeout bounds how long a new replica may take to catch up.
const changeTimeout = 2 * time.Minute

// serveAdmin carries out admin requests; ok is false for others.
func (r *Replica) serveAdmin(ctx context.Context, ba *api.BatchRequest) (br *api.BatchResponse, err error, ok bool) {
	req := &ba.Requests[0]
	resp := api.Response{}
	switch req.Kind {
	case api.AdminSplit:
		err = r.split(ctx, req.Key)
	case api.AdminTransferLease:
		err = r.transferLease(ctx, req.Admin.Node)
	case api.AdminChangeReplicas:
		err = r.changeReplicas(ctx, req.Admin)
	case api.AdminMerge:
		err = errors.New("ranges are not merged yet")
	case api.RangeStatus:
	case api.Checksum:
		resp.Number, err = r.checksum(ctx)
	default:
		return nil, nil, false
	}
	if err != nil {
		return nil, err, true
	}
	resp.Range = r.Status()
	return &api.BatchResponse{Responses: []api.Response{resp}, Now: r.store.cfg.Clock.Now(), Node: r.store.cfg.Node}, nil, true
}

// Status describes the range as this replica knows it.
func (r *Replica) Status() *api.RangeInfo {
	st := r.cur.Load()
	gs := r.group.Status()
	info := &api.RangeInfo{Desc: st.desc, Lease: st.lease, Leader: gs.Leader, Term: gs.Term, Applied: gs.Applied, Commit: gs.Commit,
		LogBytes: gs.LogBytes, Bytes: st.info.bytes, Keys: st.info.keys}
	info.ReadsPerSecond, info.WritesPerSecond = r.load.rates()
	for _, p := range gs.Progress {
		if p.Member.Node == r.store.cfg.Node {
			continue
		}
		if time.Since(p.LastContact) > 5*time.Second || p.Match+1000 < gs.Commit {
			info.Behind = append(info.Behind, p.Member.Node)
		}
	}
	return info
}

// IsLeaseholder reports whether this replica may serve now.
func (r *Replica) IsLeaseholder() bool {
	_, err := r.CheckLease(hlc.Timestamp{})
	return err == nil
}

// changeReplicas adds and removes replicas, one at a time: the descriptor changes
// before a member is added and after one is removed, so that nobody routes to
// what is not there, and nothing is collected that still votes.
func (r *Replica) changeReplicas(ctx context.Context, a *api.AdminArgs) error {
	r.admin.Lock()
	defer r.admin.Unlock()
	if a.ExpectGeneration != 0 && a.ExpectGeneration != r.Desc().Generation {
		return fmt.Errorf("%s has moved on to generation %d", r.id, r.Desc().Generation)
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for _, n := range a.Add {
		if err := r.addReplica(ctx, n); err != nil {
			return fmt.Errorf("adding %s to %s: %w", n, r.id, err)
		}
	}
	for _, n := range a.Remove {
		if err := r.removeReplica(ctx, n); err != nil {
			return fmt.Errorf("removing %s from %s: %w", n, r.id, err)
		}
	}
	return nil
}

// changeDesc replicates a changed descriptor and tells the meta range.
func (r *Replica) changeDesc(ctx context.Context, change func(d *api.RangeDescriptor)) error {
	lease, err := r.CheckLease(hlc.Timestamp{})
	if err != nil {
		return err
	}
	d := r.cur.Load().desc
	d.Replicas = append([]api.ReplicaDescriptor(nil), d.Replicas...)
	change(&d)
	d.Generation++
	if err := r.proposeWait(ctx, &command{LeaseSeq: lease.Seq, Desc: &d}); err != nil {
		return err
	}
	r.store.tidy(ctx, r)
	return nil
}

func (r *Replica) addReplica(ctx context.Context, n ids.NodeID) error {
	rep, exists := r.Desc().Replica(n)
	if exists && rep.Type == api.Voter {
		return nil
	}
	if !exists {
		err := r.changeDesc(ctx, func(d *api.RangeDescriptor) {
			rep = api.ReplicaDescriptor{Node: n, Replica: d.NextReplica, Type: api.Learner}
			d.NextReplica++
			d.Replicas = append(d.Replicas, rep)
		})
		if err != nil {
			return err
		}
	}
	m := raftgroup.Member{Node: n, Replica: rep.Replica, Learner: true}
	if !r.hasMember(n) {
		if r.store.cfg.Peers == nil {
			return errNoPeers
		}
		if _, err := r.store.cfg.Peers.Call(ctx, n, rpc.Normal, rpc.MethodStore, encodeOp(opAdded, r.id, uint64(rep.Replica))); err != nil {
			return err
		}
		if err := r.group.ChangeMember(ctx, raftgroup.Change{Kind: raftgroup.AddLearner, Member: m, PrevIndex: r.group.Status().ConfigIndex}); err != nil {
			return err
		}
	}
	if err := r.awaitCaughtUp(ctx, n); err != nil {
		return err
	}
	if err := r.shareLease(ctx); err != nil {
		return err
	}
	if err := r.group.ChangeMember(ctx, raftgroup.Change{Kind: raftgroup.Promote, Member: m, PrevIndex: r.group.Status().ConfigIndex}); err != nil {
		return err
	}
	return r.changeDesc(ctx, func(d *api.RangeDescriptor) {
		for i := range d.Replicas {
			if d.Replicas[i].Node == n {
				d.Replicas[i].Type = api.Voter
			}
		}
	})
}

func (r *Replica) hasMember(n ids.NodeID) bool {
	for _, m := range r.group.Status().Members {
		if m.Node == n {
			return true
		}
	}
	return false
}

// awaitCaughtUp waits until a learner's log is nearly as long as the leader's: it
// counts for the quorum as soon as it votes.
func (r *Replica) awaitCaughtUp(ctx context.Context, n ids.NodeID) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if !r.group.IsLeader() {
			return r.notLeaseholder()
		}
		if r.caughtUp(n) {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("the new replica did not catch up: %w", ctx.Err())
		}
	}
}

// caughtUp reports whether a member's log is nearly as long as this leader's.
func (r *Replica) caughtUp(n ids.NodeID) bool {
	gs := r.group.Status()
	for _, p := range gs.Progress {
		if p.Member.Node == n {
			return p.Match > 0 && p.Match+50 >= gs.Commit
		}
	}
	return false
}

func (r *Replica) removeReplica(ctx context.Context, n ids.NodeID) error {
	rep, exists := r.Desc().Replica(n)
	if !exists {
		return nil
	}
	if n == r.store.cfg.Node {
		return errors.New("the leaseholder does not remove itself: transfer the lease first")
	}
	if rep.Type == api.Voter && voters(r.Desc()) == 1 {
		return errors.New("the last voter cannot be removed")
	}
	if r.hasMember(n) {
		m := raftgroup.Member{Node: n, Replica: rep.Replica}
		if err := r.group.ChangeMember(ctx, raftgroup.Change{Kind: raftgroup.Remove, Member: m, PrevIndex: r.group.Status().ConfigIndex}); err != nil {
			return err
		}
	}
	err := r.changeDesc(ctx, func(d *api.RangeDescriptor) {
		kept := d.Replicas[:0]
		for _, x := range d.Replicas {
			if x.Node != n {
				kept = append(kept, x)
			}
		}
		d.Replicas = kept
	})
	if err == nil && r.store.cfg.Peers != nil {
		// A node that is down finds out by itself when it comes back.
		r.store.tasks.Go("tell a removed replica", func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err := r.store.cfg.Peers.Call(ctx, n, rpc.Normal, rpc.MethodStore, encodeOp(opRemoved, r.id, uint64(rep.Replica)))
			if err != nil {
				r.store.log.Debug("removed replica not told", "range", r.id, "node", n, "err", err)
			}
		})
	}
	return err
}

// checksum sums the replica's data once all that was committed is applied.
func (r *Replica) checksum(ctx context.Context) (int64, error) {
	if err := r.group.ReadBarrier(ctx); err != nil {
		return 0, err
	}
	return r.ChecksumHere(), nil
}

// ChecksumHere sums the replica's data as it is now, behind or not.
func (r *Replica) ChecksumHere() int64 {
	st := r.cur.Load()
	if st == nil {
		return 0
	}
	v := r.store.cfg.Engine.View()
	defer v.Close()
	sum := crc32.New(castagnoli)
	for _, sp := range r.spans(st) {
		it := v.Iter(sp[0], sp[1])
		for ok := it.First(); ok; ok = it.Next() {
			sum.Write(keys.EngineSuffix(it.Key()))
			sum.Write(it.Value())
		}
		it.Close()
	}
	return int64(sum.Sum32())
}

// drainAtOnce is how many leases are handed over at a time.
const drainAtOnce = 16

// Drain gives every lease that another node can take away, and announces that
// this node is about to stop.
func (s *Store) Drain(ctx context.Context) error {
	if err := s.live.SetDraining(ctx); err != nil {
		s.log.Debug("draining not announced", "err", err)
	}
	live, err := s.live.All(ctx)
	if err != nil {
		live = nil
	}
	limit := make(chan struct{}, drainAtOnce)
	var wg sync.WaitGroup
	s.Replicas(func(r *Replica) bool {
		if !r.IsLeaseholder() || voters(r.Desc()) < 2 {
			return true
		}
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		wg.Add(1)
		started := s.tasks.Go("hand over a lease", func(context.Context) {
			defer wg.Done()
			r.giveAway(ctx, live)
			<-limit
		})
		if !started {
			wg.Done()
		}
		return started
	})
	wg.Wait()
	return ctx.Err()
}

// giveAway hands the lease to any voter that takes it.
func (r *Replica) giveAway(ctx context.Context, live map[ids.NodeID]api.Liveness) {
	for _, rep := range r.Desc().Replicas {
		lv, known := live[rep.Node]
		if rep.Node == r.store.cfg.Node || rep.Type != api.Voter || known && (!r.store.live.IsLive(lv) || lv.Draining) {
			continue
		}
		if err := r.transferLease(ctx, rep.Node); err == nil || ctx.Err() != nil {
			return
		}
	}
}

// Lease returns the lease as applied here.
func (r *Replica) Lease() api.Lease {
	if s := r.cur.Load(); s != nil {
		return s.lease
	}
	return api.Lease{}
}

// Size returns the range's data in bytes.
func (r *Replica) Size() int64 {
	if s := r.cur.Load(); s != nil {
		return s.info.bytes
	}
	return 0
}

// WrittenSince reports whether the range was written to since the last call.
func (r *Replica) WrittenSince() bool {
	n := r.load.writes.Load()
	return r.writesSeen.Swap(n) != n
}

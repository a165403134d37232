package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup"
)

// Expiration leases (of the meta and system ranges) last leaseDuration and are
// renewed every renewEvery.
const (
	leaseDuration = 2500 * time.Millisecond
	renewEvery    = 800 * time.Millisecond
)

// endless reports a lease without end: that of a range with one voter.
func endless(l *api.Lease) bool { return l.Expiration.IsZero() && l.Epoch == 0 }

// CheckLease implements eval.Range.
func (r *Replica) CheckLease(ts hlc.Timestamp) (api.Lease, error) {
	s := r.cur.Load()
	if s == nil {
		return api.Lease{}, &api.NotLeaseholderError{RangeID: r.id}
	}
	if own := r.ownSeq.Load(); own == 0 || own != s.lease.Seq {
		return s.lease, r.notLeaseholder()
	}
	if endless(&s.lease) {
		return s.lease, nil
	}
	expiration := s.lease.Expiration.WallNanos
	if s.lease.Epoch != 0 {
		expiration = r.store.live.ownExpiration(s.lease.Epoch)
	}
	now := max(r.store.cfg.Clock.PhysicalNanos(), ts.WallNanos)
	if now >= expiration-int64(r.store.cfg.Clock.MaxOffset()) {
		return s.lease, r.notLeaseholder()
	}
	return s.lease, nil
}

// leaseAttempt is an acquisition that goes on, for all who wait for it.
type leaseAttempt struct {
	done chan struct{}
	err  error // once done
}

// acquireLease makes this replica the leaseholder if it leads the group. Its
// error says where to go instead, or that nobody can serve right now. Requests
// that come at the same time share one attempt, which may take seconds, and no
// one's end ends it for the others.
func (r *Replica) acquireLease(ctx context.Context) error {
	r.attemptMu.Lock()
	a := r.attempt
	if a == nil {
		a = &leaseAttempt{done: make(chan struct{})}
		r.attempt = a
		started := r.store.tasks.Go("acquire lease", func(ctx context.Context) {
			a.err = r.tryLease(ctx)
			r.attemptMu.Lock()
			r.attempt = nil
			r.attemptMu.Unlock()
			close(a.done)
		})
		if !started {
			r.attempt = nil
			r.attemptMu.Unlock()
			return &api.UnavailableError{RangeID: r.id, Reason: "the node is stopping"}
		}
	}
	r.attemptMu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Replica) tryLease(ctx context.Context) error {
	r.leaseMu.Lock()
	defer r.leaseMu.Unlock()
	if _, err := r.CheckLease(hlc.Timestamp{}); err == nil {
		return nil // somebody else acquired it meanwhile
	}
	if !r.group.IsLeader() {
		return r.redirectOrUnavailable()
	}
	// A leader that has just been elected may not have applied what its
	// predecessor committed, a lease among it.
	bctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := r.group.ReadBarrier(bctx); err != nil {
		return r.redirectOrUnavailable()
	}
	s := r.cur.Load()
	if _, ok := s.desc.Replica(r.store.cfg.Node); !ok {
		return r.redirectOrUnavailable()
	}
	start, err := r.endOfOldLease(bctx, s)
	if err != nil {
		return err
	}
	return r.requestLease(bctx, s, start)
}

func (r *Replica) redirectOrUnavailable() error {
	err := r.notLeaseholder()
	var n *api.NotLeaseholderError
	if errors.As(err, &n) && n.Lease == nil {
		return &api.UnavailableError{RangeID: r.id, Reason: "no leader is known yet"}
	}
	return err
}

// endOfOldLease makes sure that the old lease serves nothing any more and returns
// a timestamp above everything that was served under it.
func (r *Replica) endOfOldLease(ctx context.Context, s *state) (hlc.Timestamp, error) {
	old, clock := &s.lease, r.store.cfg.Clock
	switch {
	case old.Seq == 0:
		return clock.Now(), nil
	case old.Holder.Node == r.store.cfg.Node:
		// Our own, from before or from an earlier life. That life's clock was at
		// most as far above the wall as clocks may differ, both ways.
		if err := r.store.outlive(ctx); err != nil {
			return hlc.Timestamp{}, &api.UnavailableError{RangeID: r.id, Reason: "this node has just restarted"}
		}
		return clock.Now().Forward(old.Start.Next()), nil
	}
	if served, ok := r.store.askToRevoke(ctx, old.Holder.Node, r.id, old.Seq, r); ok {
		if err := clock.Update(served); err != nil {
			return hlc.Timestamp{}, err
		}
		return clock.Now().Forward(served.Next()), nil
	}
	expiration := old.Expiration
	if old.Epoch != 0 {
		var err error
		if expiration, err = r.store.live.end(ctx, old.Holder.Node, old.Epoch); err != nil {
			return hlc.Timestamp{}, &api.UnavailableError{RangeID: r.id, Reason: err.Error()}
		}
	}
	if endless(old) {
		return hlc.Timestamp{}, &api.UnavailableError{RangeID: r.id, Reason: fmt.Sprintf("%s holds an endless lease and does not answer", old.Holder.Node)}
	}
	for clock.PhysicalNanos() <= expiration.WallNanos {
		select {
		case <-time.After(time.Duration(expiration.WallNanos-clock.PhysicalNanos()) + time.Millisecond):
		case <-ctx.Done():
			return hlc.Timestamp{}, &api.UnavailableError{RangeID: r.id, Reason: "the old lease has not expired yet"}
		}
	}
	return clock.Now().Forward(expiration.Next()), nil
}

// outlive waits until no timestamp that an earlier life of this node may have
// served lies ahead of the clock. A node alone has no clock but its own.
func (s *Store) outlive(ctx context.Context) error {
	if s.cfg.Peers == nil {
		return nil
	}
	wait := s.startNanos + 2*int64(s.cfg.Clock.MaxOffset()) - s.cfg.Clock.PhysicalNanos()
	if wait <= 0 {
		return nil
	}
	select {
	case <-time.After(time.Duration(wait)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// requestLease proposes this replica's lease in the place of the current one.
func (r *Replica) requestLease(ctx context.Context, s *state, start hlc.Timestamp) error {
	l := api.Lease{Seq: s.lease.Seq + 1, Start: start}
	l.Holder, _ = s.desc.Replica(r.store.cfg.Node)
	if err := r.setTerm(ctx, &l, r.shared(s)); err != nil {
		return err
	}
	r.proposing.Store(l.Seq)
	return r.proposeWait(ctx, &command{LeaseSeq: s.lease.Seq, Lease: &l})
}

// shared reports whether anybody else may ever have to wait for this replica's
// lease to end. Between a member's promotion and the descriptor that says so,
// only the group's configuration tells.
func (r *Replica) shared(s *state) bool {
	return len(s.desc.Replicas) > 1 || len(r.group.Status().Members) > 1
}

// setTerm chooses how long a lease lasts: without end for a range with one voter,
// by expiration for those ranges that liveness itself stands on, by the node's
// liveness for all others.
func (r *Replica) setTerm(ctx context.Context, l *api.Lease, shared bool) error {
	if !shared {
		return nil
	}
	if r.byExpiration() {
		l.Expiration = r.store.cfg.Clock.Now().Add(leaseDuration)
		return nil
	}
	epoch, err := r.store.live.ownEpoch(ctx)
	if err != nil {
		return &api.UnavailableError{RangeID: r.id, Reason: err.Error()}
	}
	l.Epoch = epoch
	return nil
}

// byExpiration reports whether the range must not depend on liveness records.
func (r *Replica) byExpiration() bool {
	return string(r.cur.Load().desc.Start) < string(keys.SystemEnd)
}

// renew extends an expiration lease. Called by the store's loop.
func (r *Replica) renew(ctx context.Context) {
	s := r.cur.Load()
	if s == nil || s.lease.Expiration.IsZero() || r.ownSeq.Load() != s.lease.Seq || !r.group.IsLeader() {
		return
	}
	l := s.lease
	l.Expiration = r.store.cfg.Clock.Now().Add(leaseDuration)
	ctx, cancel := context.WithTimeout(ctx, leaseDuration)
	defer cancel()
	if err := r.proposeWait(ctx, &command{LeaseSeq: l.Seq, Lease: &l}); err != nil {
		r.store.log.Debug("lease not renewed", "range", r.id, "err", err)
	}
}

// shareLease gives an endless lease an end, before a second voter exists who
// could not wait for it.
func (r *Replica) shareLease(ctx context.Context) error {
	r.leaseMu.Lock()
	defer r.leaseMu.Unlock()
	s := r.cur.Load()
	if !endless(&s.lease) {
		return nil
	}
	l := s.lease
	l.Seq++
	if err := r.setTerm(ctx, &l, true); err != nil {
		return err
	}
	r.proposing.Store(l.Seq)
	return r.proposeWait(ctx, &command{LeaseSeq: s.lease.Seq, Lease: &l})
}

// own makes the sequence of a lease that was just acquired the one to serve
// under, unless it was revoked before it got here.
func (r *Replica) own(seq uint64) {
	r.ownSeq.Store(seq)
	if r.revoked.Load() >= seq {
		r.ownSeq.CompareAndSwap(seq, 0)
	}
}

// revoke ends this process's use of a lease for good and returns a timestamp
// above everything served under it. The new holder may know of the lease before
// this replica does.
func (r *Replica) revoke(seq uint64) hlc.Timestamp {
	for old := r.revoked.Load(); old < seq && !r.revoked.CompareAndSwap(old, seq); old = r.revoked.Load() {
	}
	r.ownSeq.CompareAndSwap(seq, 0)
	// Whatever was admitted before the swap reads below its own timestamp, which
	// the cache has or the clock has passed.
	return r.store.cfg.Clock.Now().Forward(r.m.LatestReadAnywhere())
}

// transferLease moves leadership, and with it the lease, to another node.
func (r *Replica) transferLease(ctx context.Context, to ids.NodeID) error {
	s := r.cur.Load()
	rep, ok := s.desc.Replica(to)
	if !ok || rep.Type != api.Voter {
		return fmt.Errorf("%s has no voting replica of %s", to, r.id)
	}
	if to == r.store.cfg.Node {
		return nil
	}
	if !r.group.IsLeader() {
		// The leader takes the lease, and can then pass it on.
		return r.redirectOrUnavailable()
	}
	// Raft would try for seconds, and nobody could serve meanwhile.
	if err := r.store.ask(ctx, to); err != nil {
		return &api.UnavailableError{RangeID: r.id, Reason: fmt.Sprintf("%s does not answer", to)}
	}
	if !r.caughtUp(to) {
		return fmt.Errorf("the replica of %s on %s lags behind", r.id, to)
	}
	// Frozen until the new leader has asked for the lease; if leadership does not
	// move, the next request acquires it again.
	r.ownSeq.CompareAndSwap(s.lease.Seq, 0)
	err := r.group.TransferLeadership(ctx, to)
	if errors.Is(err, raftgroup.ErrNotLeader) {
		return r.redirectOrUnavailable()
	}
	return err
}

package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Replica is this node's copy of a range: eval.Range to evaluation and
// raftgroup.StateMachine to its group.
type Replica struct {
	store *Store
	id    ids.RangeID
	self  raftgroup.Member
	group raftgroup.Group
	m     *concurrency.Manager

	// cur is what readers see; nil until a snapshot has arrived.
	cur atomic.Pointer[state]
	// ownSeq is the lease sequence that this process acquired: no other is
	// served under. Zero while revoked or never acquired.
	ownSeq atomic.Uint64
	// revoked is the highest sequence that this process has promised never to
	// serve under, applied here or not.
	revoked atomic.Uint64
	// entered is the generation of the descriptor that the meta range has for
	// certain; tidying keeps one goroutine at it. missing is when the store's loop
	// first saw the group without a leader, in Unix nanoseconds.
	entered atomic.Uint64
	tidying atomic.Bool
	missing atomic.Int64
	// proposing is the sequence of the lease that this process has asked for: a
	// lease that only the log remembers is another life's.
	proposing atomic.Uint64
	// next is ApplyBatch's working copy; splits waits for Applied. Both belong to
	// the apply goroutine.
	next    *state
	splits  []*splitTrigger
	applied []raftgroup.Member

	load    load
	traffic traffic
	// writesSeen is the count of writes at the last collection of versions.
	writesSeen atomic.Int64

	// leaseMu serializes lease acquisition; admin serializes splits and
	// membership changes. Both are held across proposals, never by Apply.
	leaseMu sync.Mutex
	admin   sync.Mutex
	// attempt is the acquisition of the lease that goes on, if one does.
	attemptMu sync.Mutex
	attempt   *leaseAttempt
	// opened is held until group is set.
	opened sync.WaitGroup
	// leaderSince is when this replica became leader, in Unix nanoseconds.
	leaderSince atomic.Int64
}

var (
	_ eval.Range             = (*Replica)(nil)
	_ raftgroup.StateMachine = (*Replica)(nil)
)

func newReplica(s *Store, id ids.RangeID, self raftgroup.Member, st *state) *Replica {
	r := &Replica{store: s, id: id, self: self}
	r.load.at = time.Now()
	start := s.cfg.Clock.Now()
	if gs, ok, err := raftgroup.LoadState(s.cfg.Engine, id); err == nil && ok {
		r.applied = gs.Members
	}
	if st != nil {
		r.cur.Store(st)
		start = st.lease.Start.Forward(start)
	}
	r.m = concurrency.NewManager(s.waits, start)
	return r
}

// RangeID implements eval.Range.
func (r *Replica) RangeID() ids.RangeID { return r.id }

// Desc implements eval.Range.
func (r *Replica) Desc() *api.RangeDescriptor {
	if s := r.cur.Load(); s != nil {
		return &s.desc
	}
	return &api.RangeDescriptor{RangeID: r.id}
}

// Node implements eval.Range.
func (r *Replica) Node() ids.NodeID { return r.store.cfg.Node }

// Clock implements eval.Range.
func (r *Replica) Clock() *hlc.Clock { return r.store.cfg.Clock }

// Engine implements eval.Range.
func (r *Replica) Engine() engine.Engine { return r.store.cfg.Engine }

// Space implements eval.Range.
func (r *Replica) Space() keys.SpaceID { return r.cur.Load().info.space }

// GCThreshold implements eval.Range.
func (r *Replica) GCThreshold() hlc.Timestamp { return r.cur.Load().info.gcThreshold }

// WaitRoom implements eval.Range.
func (r *Replica) WaitRoom(ctx context.Context) error { return r.store.cfg.Engine.WaitRoom(ctx) }

// Sender implements eval.Range.
func (r *Replica) Sender() api.Sender { return r.store.cfg.Sender }

// Evaluator implements eval.Range.
func (r *Replica) Evaluator() api.Evaluator { return r.store.cfg.Evaluator }

// Propose implements eval.Range.
func (r *Replica) Propose(lease api.Lease, e *eval.Effects, done func(error)) {
	r.propose(&command{LeaseSeq: lease.Seq, Effects: e}, done)
}

// propose replicates a command and reports what became of it.
func (r *Replica) propose(c *command, done func(error)) {
	r.group.Propose(c.encode(), func(result []byte, err error) {
		done(r.outcome(result, err))
	})
}

// outcome turns what the group says into kv's errors.
func (r *Replica) outcome(result []byte, err error) error {
	switch {
	case err == nil && len(result) == 1 && result[0] == resultApplied:
		return nil
	case err == nil:
		// Refused by every replica alike: certainly not executed.
		return r.notLeaseholder()
	case errors.Is(err, raftgroup.ErrNotLeader), errors.Is(err, raftgroup.ErrDropped):
		return r.notLeaseholder()
	}
	return &api.AmbiguousError{Cause: err.Error()}
}

// proposeWait is propose for callers that wait.
func (r *Replica) proposeWait(ctx context.Context, c *command) error {
	ch := make(chan error, 1)
	r.propose(c, func(err error) { ch <- err })
	select {
	case err := <-ch:
		return err
	case <-ctx.Done():
		return &api.AmbiguousError{Cause: ctx.Err().Error()}
	}
}

// notLeaseholder is a redirect with the best hint there is.
func (r *Replica) notLeaseholder() error {
	s := r.cur.Load()
	if s == nil {
		return &api.NotLeaseholderError{RangeID: r.id}
	}
	hint := s.lease
	if leader, _ := r.group.Leader(); leader != 0 && leader != hint.Holder.Node {
		// The leader is who takes the lease next.
		if rep, ok := s.desc.Replica(leader); ok {
			hint = api.Lease{Seq: hint.Seq, Holder: rep}
		}
	}
	if hint.Holder.Node == r.store.cfg.Node {
		return &api.NotLeaseholderError{RangeID: r.id}
	}
	return &api.NotLeaseholderError{RangeID: r.id, Lease: &hint}
}

// serve runs a batch on this replica.
func (r *Replica) serve(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	s := r.cur.Load()
	if s == nil {
		return nil, &api.NotLeaseholderError{RangeID: r.id}
	}
	for i := range ba.Requests {
		req := &ba.Requests[i]
		inside := s.desc.Contains(req.Key)
		if inside && req.End != nil {
			inside = string(req.End) <= string(s.desc.End)
		}
		if !inside {
			return nil, r.store.mismatch(r, req.Key)
		}
	}
	if _, err := r.CheckLease(ba.ReadTS); err != nil {
		if err := r.acquireLease(ctx); err != nil {
			return nil, err
		}
	}
	if len(ba.Requests) > 0 && ba.Requests[0].Kind >= api.AdminSplit {
		if br, err, ok := r.serveAdmin(ctx, ba); ok {
			return br, err
		}
	}
	r.count(ba)
	br, err := eval.Execute(ctx, r, r.m, ba)
	now := r.cur.Load()
	switch {
	case now == nil:
	case err == nil:
		// A sender whose requests succeed would not hear of new replicas otherwise,
		// and know none but dead ones some day.
		if g := now.desc.Generation; ba.Generation != 0 && ba.Generation < g {
			br.Newer = &now.desc
		}
	case now.desc.Generation != s.desc.Generation:
		// A split may have moved the keys away while the batch waited.
		for i := range ba.Requests {
			if !now.desc.Contains(ba.Requests[i].Key) {
				return nil, r.store.mismatch(r, ba.Requests[i].Key)
			}
		}
	}
	return br, err
}

// load counts requests, for rates.
type load struct {
	reads, writes atomic.Int64

	mu                    sync.Mutex
	at                    time.Time // of the last look, of the replica's start before the first
	looked                bool
	lastReads, lastWrites int64
	readRate, writeRate   float64
}

func (l *load) count(ba *api.BatchRequest) {
	if len(ba.Requests) == 0 {
		return
	}
	switch ba.Requests[0].Kind {
	case api.Get, api.Scan, api.Refresh:
		l.reads.Add(1)
	default:
		l.writes.Add(1)
	}
}

// rates returns requests per second since the last look that was at least a
// second ago, or since the start, smoothed.
func (l *load) rates() (reads, writes float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if d := now.Sub(l.at).Seconds(); d >= 1 {
		r, w := l.reads.Load(), l.writes.Load()
		read, write := float64(r-l.lastReads)/d, float64(w-l.lastWrites)/d
		if l.looked {
			read, write = (l.readRate+read)/2, (l.writeRate+write)/2
		}
		l.readRate, l.writeRate = read, write
		l.at, l.looked, l.lastReads, l.lastWrites = now, true, r, w
	}
	return l.readRate, l.writeRate
}

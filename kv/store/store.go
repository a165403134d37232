package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Config says what a store stands on.
type Config struct {
	Node   ids.NodeID
	Engine engine.Engine
	Clock  *hlc.Clock
	Peers  rpc.Peers // nil on a node that is alone
	// Sender reaches any range (the router).
	Sender    api.Sender
	Evaluator api.Evaluator
	Logger    *slog.Logger
	// CPU returns the CPU time that this process has used. Nil means that nobody
	// knows: the node counts as idle.
	CPU func() time.Duration
}

// Ranges that every cluster starts with.
const (
	MetaRange   = meta.FirstRangeID
	SystemRange = ids.RangeID(2)
	TableRange  = ids.RangeID(3)
)

// Store is one node's replicas. It is an api.Sender for the ranges that have one.
type Store struct {
	cfg   Config
	host  raftgroup.Host
	log   *slog.Logger
	waits *concurrency.Waits
	live  *Liveness
	cpu   cpuLoad
	known acquaintances
	tasks *stop.Group
	// startNanos is the wall clock when this process's store started.
	startNanos int64
	// started says that host may be used by what the network calls.
	started atomic.Bool

	mu struct {
		sync.Mutex
		// opening holds the ranges whose group is being opened; expected those
		// that somebody sends messages for and no path here has opened yet.
		opening, expected map[ids.RangeID]bool
		// revoked holds the sequences of leases that this node gave up for ranges
		// that were not open here, such as the child of a split still under way.
		revoked map[ids.RangeID]uint64
	}
}

// New returns a store; Start opens its replicas.
func New(cfg Config) *Store {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, log: cfg.Logger, waits: concurrency.NewWaits(), tasks: stop.New(context.Background()),
		startNanos: cfg.Clock.PhysicalNanos()}
	s.cpu.used = cfg.CPU
	s.live = newLiveness(cfg.Node, cfg.Clock, cfg.Sender, cfg.Logger, s.Counts, &s.cpu)
	s.known.nodes = map[ids.NodeID]*acquaintance{}
	s.mu.opening = map[ids.RangeID]bool{}
	s.mu.expected = map[ids.RangeID]bool{}
	s.mu.revoked = map[ids.RangeID]uint64{}
	if cfg.Peers != nil {
		s.registerRPC()
	}
	return s
}

// Liveness returns the node's liveness component.
func (s *Store) Liveness() *Liveness { return s.live }

// Waits returns the node's waits-for graph.
func (s *Store) Waits() *concurrency.Waits { return s.waits }

// Bootstrap writes a new cluster's ranges into an empty engine: one voter each,
// on this node, and the meta entries that describe them.
func Bootstrap(ctx context.Context, host raftgroup.Host, e engine.Engine, node ids.NodeID, clock *hlc.Clock) error {
	self := api.ReplicaDescriptor{Node: node, Replica: 1}
	bounds := [][2]api.Key{{keys.MinKey, keys.MetaEnd}, {keys.SystemPrefix, keys.SystemEnd}, {keys.TablePrefix, keys.MaxKey}}
	var b engine.Batch
	now := clock.Now()
	for i, kb := range bounds {
		st := state{
			desc: api.RangeDescriptor{RangeID: ids.RangeID(i + 1), Start: kb[0], End: kb[1], Replicas: []api.ReplicaDescriptor{self}, NextReplica: 2, Generation: 1},
			info: info{space: raftgroup.FirstSpace},
		}
		st.lease.Start = now
		st.put(&b)
		if err := host.Seed(&b, st.desc.RangeID, []raftgroup.Member{{Node: node, Replica: 1}}); err != nil {
			return err
		}
	}
	return e.WaitFlushed(ctx, e.Write(&b))
}

// firstUserRange is where the allocator of range ids starts.
const firstUserRange = 10

// rangeIDKey is the allocator of range ids.
var rangeIDKey = keys.System("rangeid")

// clockKey holds a recent reading of this node's clock.
var clockKey = keys.EngineStore("clock")

// StartClock makes sure that the clock goes on from where an earlier life of this
// store left it, even if the wall clock was set back meanwhile.
//
// An earlier life may have served timestamps as far above its wall clock as other
// nodes' clocks pulled it; endOfOldLease waits that out before it starts a lease
// anew.
func StartClock(ctx context.Context, e engine.Engine, clock *hlc.Clock) error {
	if v, ok := e.Get(clockKey); ok && len(v) == hlc.EncodedLen {
		clock.Forward(hlc.DecodeAsc(v))
	}
	return ctx.Err()
}

func storeClock(e engine.Engine, clock *hlc.Clock) {
	var b engine.Batch
	b.Put(clockKey, clock.Now().AppendAsc(nil))
	e.Write(&b)
}

// Start opens the replicas found in the engine and runs the store's loops.
func (s *Store) Start(ctx context.Context, host raftgroup.Host) error {
	s.host = host
	s.started.Store(true)
	if err := s.openReplicas(); err != nil {
		return err
	}
	s.tasks.Go("store loop", s.loop)
	s.tasks.Go("liveness loop", s.livenessLoop)
	return nil
}

func (s *Store) openReplicas() error {
	v := s.cfg.Engine.View()
	var found []ids.RangeID
	start, end := keys.EngineReplicasSpan()
	it := v.Iter(start, end)
	for ok := it.First(); ok; ok = it.Next() {
		if r, name, ok := keys.DecodeEngineReplica(it.Key()); ok && name == nameDesc {
			found = append(found, r)
		}
	}
	it.Close()
	v.Close()
	errs := make(chan error, len(found))
	for _, id := range found {
		go func() { errs <- s.openStored(id) }()
	}
	var all error
	for range found {
		all = errors.Join(all, <-errs)
	}
	return all
}

// openStored opens a replica whose data is in the engine.
func (s *Store) openStored(id ids.RangeID) error {
	st, ok, err := loadState(s.cfg.Engine, id)
	if err != nil || !ok {
		return err
	}
	rep, ok := st.desc.Replica(s.cfg.Node)
	if !ok {
		// Removed while this node was away: what is left is collected later.
		rep = api.ReplicaDescriptor{Node: s.cfg.Node}
		gs, found, err := raftgroup.LoadState(s.cfg.Engine, id)
		if err != nil || !found {
			return err
		}
		for _, m := range gs.Members {
			if m.Node == s.cfg.Node {
				rep.Replica = m.Replica
			}
		}
		if rep.Replica == 0 {
			return nil
		}
	}
	return s.open(id, raftgroup.Member{Node: rep.Node, Replica: rep.Replica, Learner: rep.Type == api.Learner}, st, nil)
}

// open opens a replica's group; m is the manager of a split-off range.
func (s *Store) open(id ids.RangeID, self raftgroup.Member, st *state, m *concurrency.Manager) error {
	s.mu.Lock()
	if _, exists := s.host.Lookup(id); exists || s.mu.opening[id] {
		s.mu.Unlock()
		return nil
	}
	s.mu.opening[id] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.mu.opening, id)
		s.mu.Unlock()
	}()
	r := newReplica(s, id, self, st)
	if m != nil {
		r.m = m
		r.own(st.lease.Seq)
	}
	r.opened.Add(1)
	g, err := s.host.Open(id, self, r)
	if err == nil {
		r.group = g
		s.mu.Lock()
		seq, revoked := s.mu.revoked[id]
		delete(s.mu.revoked, id)
		s.mu.Unlock()
		if revoked {
			r.revoke(seq)
		}
	}
	r.opened.Done()
	if err != nil {
		return fmt.Errorf("opening %s: %w", id, err)
	}
	return nil
}

// Replica returns this node's replica of a range; before Start there is none,
// though the network may ask already.
func (s *Store) Replica(id ids.RangeID) (*Replica, bool) {
	if !s.started.Load() {
		return nil, false
	}
	g, ok := s.host.Lookup(id)
	if !ok {
		return nil, false
	}
	r, ok := g.StateMachine().(*Replica)
	if !ok {
		return nil, false
	}
	r.opened.Wait()
	return r, r.group != nil
}

// Replicas calls f for each replica until it returns false.
func (s *Store) Replicas(f func(*Replica) bool) {
	if !s.started.Load() {
		return
	}
	s.host.Groups(func(g raftgroup.Group) bool {
		r, ok := s.Replica(g.RangeID())
		return !ok || f(r)
	})
}

// Counts returns how many replicas this node has, and how many leases.
func (s *Store) Counts() (replicas, leases int) {
	s.Replicas(func(r *Replica) bool {
		replicas++
		if r.IsLeaseholder() {
			leases++
		}
		return true
	})
	return replicas, leases
}

// Send implements api.Sender for the ranges with a replica here.
func (s *Store) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	r, ok := s.Replica(ba.RangeID)
	if !ok {
		return nil, &api.RangeNotFoundError{RangeID: ba.RangeID}
	}
	return r.serve(ctx, ba)
}

// FirstRange returns the meta range's descriptor if this node has a replica.
func (s *Store) FirstRange() *api.RangeDescriptor {
	r, ok := s.Replica(MetaRange)
	if !ok || r.cur.Load() == nil {
		return nil
	}
	if since := r.missing.Load(); since != 0 && time.Now().UnixNano()-since > int64(removedAfter)/2 {
		return nil // perhaps removed: others know better
	}
	d := r.cur.Load().desc
	return &d
}

// mismatch corrects a sender whose key is not in r, with what this node knows of
// the range that has it.
func (s *Store) mismatch(r *Replica, key api.Key) error {
	e := &api.RangeMismatchError{Descs: []api.RangeDescriptor{*r.Desc()}}
	s.Replicas(func(o *Replica) bool {
		if st := o.cur.Load(); st != nil && o != r && st.desc.Contains(key) {
			e.Descs = append(e.Descs, st.desc)
			return false
		}
		return true
	})
	return e
}

// wantLease acquires a lease in the background: a new leader serves at once.
func (s *Store) wantLease(r *Replica) {
	r.leaderSince.Store(time.Now().UnixNano())
	s.tasks.Go("acquire lease", func(ctx context.Context) {
		r.opened.Wait()
		if r.group == nil || r.cur.Load() == nil {
			return
		}
		for range 20 {
			err := r.acquireLease(ctx)
			if err == nil {
				s.tidy(ctx, r)
				return
			}
			var unavailable *api.UnavailableError
			if !errors.As(err, &unavailable) || !r.group.IsLeader() {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// tidy enters a range's descriptor into the meta range, if this node serves the
// range: after a split or a membership change, and after a lease was acquired,
// since either may have been cut short before.
func (s *Store) tidy(ctx context.Context, r *Replica) {
	if !r.tidying.CompareAndSwap(false, true) {
		return
	}
	defer r.tidying.Store(false)
	if r.id == MetaRange {
		if voters(r.Desc()) == 1 && r.ownSeq.Load() == 1 {
			s.enterFirst(ctx)
		}
		r.entered.Store(r.Desc().Generation) // it has no entry: it is gossiped
		return
	}
	d := *r.Desc()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := meta.Update(ctx, s.cfg.Sender, &d); err != nil {
		s.log.Debug("meta entry not entered yet", "range", r.id, "err", err)
		return
	}
	r.entered.Store(d.Generation)
}

// enterFirst enters the first ranges of a new cluster, so that lookups find them
// even before those ranges have a lease.
func (s *Store) enterFirst(ctx context.Context) {
	for _, id := range []ids.RangeID{SystemRange, TableRange} {
		if r, ok := s.Replica(id); ok {
			d := *r.Desc()
			if err := meta.Update(ctx, s, &d); err != nil {
				s.log.Warn("meta entry of a new cluster not entered", "range", id, "err", err)
			}
		}
	}
}

// loop does what is due now and then for all replicas.
func (s *Store) loop(ctx context.Context) {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if n%4 == 0 {
			storeClock(s.cfg.Engine, s.cfg.Clock)
		}
		s.Replicas(func(r *Replica) bool {
			s.look(r)
			return true
		})
	}
}

// removedAfter is how long a replica is without a leader before the meta range is
// asked whether the range still has it.
const removedAfter = 5 * time.Second

// look does what is due for one replica. It must cost next to nothing.
func (s *Store) look(r *Replica) {
	st := r.cur.Load()
	if st != nil && !st.lease.Expiration.IsZero() {
		s.tasks.Go("renew lease", r.renew)
	}
	if st != nil && r.entered.Load() != st.desc.Generation && r.IsLeaseholder() {
		s.tasks.Go("meta entry", func(ctx context.Context) { s.tidy(ctx, r) })
	}
	if leader, _ := r.group.Leader(); leader != 0 {
		r.missing.Store(0)
		return
	}
	now := time.Now().UnixNano()
	switch since := r.missing.Load(); {
	case since == 0:
		r.missing.Store(now)
	case now-since > int64(removedAfter):
		r.missing.Store(now)
		s.tasks.Go("replica gc", func(ctx context.Context) { s.collectIfRemoved(ctx, r) })
	}
}

// livenessLoop keeps the node's record alive once a lease depends on it, or other
// nodes look at it.
func (s *Store) livenessLoop(ctx context.Context) {
	t := time.NewTicker(heartbeatEvery)
	defer t.Stop()
	for {
		if s.live.needed.Load() {
			hctx, cancel := context.WithTimeout(ctx, livenessDuration)
			if err := s.live.heartbeat(hctx); err != nil && ctx.Err() == nil {
				s.log.Debug("liveness record not renewed", "err", err)
			}
			cancel()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// KeepAlive makes this node renew its liveness record from now on: it is part of
// a cluster of several nodes.
func (s *Store) KeepAlive() { s.live.needed.Store(true) }

// Close stops the loops; the host, whose state machines the replicas are, is
// closed by its owner.
func (s *Store) Close() { s.tasks.Stop() }

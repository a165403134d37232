package raftgroup

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/raftgroup/logstore"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

// ErrNotReady may be returned (wrapped) by StateMachine.Restore for a snapshot that
// cannot be taken now, but may be in a moment: the sender tries again soon.
var ErrNotReady = transport.ErrNotReady

// ErrUnknown is ambiguous: a snapshot replaced the part of the log that may have
// held the command.
var ErrUnknown = errors.New("raftgroup: the command's outcome is unknown")

// group implements Group and transport.Group. Its Raft instance is replaced when
// a snapshot is installed; everything else lives as long as the group.
type group struct {
	h        *host
	id       ids.RangeID
	self     Member
	serverID raft.ServerID
	sm       StateMachine
	log      logstore.Store
	stop     *stop.Group
	// life tells this opening of the group from others, in the headers of its
	// entries.
	life uint64

	openedAt time.Time
	opened   chan struct{} // closed once Lookup finds the group

	inst    atomic.Pointer[instance]
	lifeMu  sync.Mutex // replacing or closing the instance
	isClose bool       // guarded by lifeMu

	// applyMu makes applying and the swap of a snapshot exclude each other, and
	// is held while done functions run. It guards batch and keys below. Taken
	// before prop.mu.
	applyMu    sync.Mutex
	batch      engine.Batch
	appliedKey []byte

	state   atomic.Pointer[State] // as applied
	seq     atomic.Uint64         // engine batch that holds the state
	voters  atomic.Int64
	tokens  tokens
	prop    proposer
	nudging atomic.Bool
	compact atomic.Bool
}

// instance is one hashicorp/raft instance and what belongs to it.
type instance struct {
	raft   *raft.Raft
	ep     *transport.Endpoint
	notify chan bool
	events chan raft.Observation
	stop   *stop.Group
	dead   chan struct{} // closed once Raft has shut down
}

func (h *host) openGroup(r ids.RangeID, self Member, sm StateMachine) (*group, error) {
	if err := h.flushSeed(r); err != nil {
		return nil, err
	}
	st, _, err := LoadState(h.engine, r)
	if err != nil {
		return nil, err
	}
	log, err := h.openLog(r, self)
	if err != nil {
		return nil, err
	}
	g := &group{
		h: h, id: r, self: self, sm: sm, log: log,
		serverID:   transport.ServerID(h.node, self.Replica),
		stop:       stop.New(context.Background()),
		life:       newLife(),
		openedAt:   time.Now(),
		opened:     make(chan struct{}),
		appliedKey: keys.EngineReplica(r, nameApplied),
	}
	g.prop.init(g)
	g.setState(st)
	log.SetHooks(logstore.Hooks{Appending: g.prop.appending, Keep: g.keepFrom, Ahead: g.mayRunAhead})
	if err := g.startInstance(); err != nil {
		_ = log.Close()
		return nil, err
	}
	g.stop.Go("raft refusals", g.prop.watch)
	return g, nil
}

// mayRunAhead tells whether entries may go to the followers while the leader is
// still writing them, which is safe because of three things: ApplyBatch waits for
// the leader's own write, so does the commit index that followers hear of, and
// writes become durable in order, votes and terms included. A leader that crashes
// before may thus lose entries, but none that anybody took for committed.
func (g *group) mayRunAhead() bool {
	in := g.inst.Load()
	return in != nil && g.voters.Load() > 1 && in.raft.State() == raft.Leader
}

func newLife() uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("reading random bytes: %v", err))
	}
	return binary.BigEndian.Uint64(b[:])
}

// flushSeed makes a seeded state durable: a group must not acknowledge entries
// that a crash would leave without what they build on.
func (h *host) flushSeed(r ids.RangeID) error {
	d := h.engine.DurableView()
	_, durable := d.Get(keys.EngineReplica(r, nameApplied))
	d.Close()
	if _, ok := h.engine.Get(keys.EngineReplica(r, nameApplied)); !ok || durable {
		return nil
	}
	return h.engine.Flush(context.Background())
}

// keyReplica is the stable key of the replica that a log belongs to.
var keyReplica = []byte("pamir/replica")

// openLog opens the log of a replica. What an earlier replica of the range left,
// which was removed, goes first.
func (h *host) openLog(r ids.RangeID, self Member) (logstore.Store, error) {
	log, err := h.logs.Open(r)
	if err != nil {
		return nil, err
	}
	owner, err := log.GetUint64(keyReplica)
	if err == nil && owner != uint64(self.Replica) {
		if err := log.Close(); err != nil {
			return nil, err
		}
		if err := h.logs.Remove(r); err != nil {
			return nil, err
		}
		if log, err = h.logs.Open(r); err != nil {
			return nil, err
		}
		owner = 0
	}
	if owner == 0 {
		if err := log.SetUint64(keyReplica, uint64(self.Replica)); err != nil {
			_ = log.Close()
			return nil, err
		}
	}
	return log, nil
}

// checkLog wipes a log that does not continue the state, and sees that the term
// is not below the state's.
func (g *group) checkLog(st *State) error {
	first, err := g.log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := g.log.LastIndex()
	if err != nil {
		return err
	}
	if last != 0 && first != st.Index+1 && !g.logHolds(st.Index, st.Term) {
		g.h.log.Warn("wiping a log that does not continue the state",
			"range", g.id, "first", first, "last", last, "applied", st.Index)
		if err := g.log.Wipe(); err != nil {
			return err
		}
	}
	term, err := g.log.GetUint64([]byte("CurrentTerm"))
	if err != nil && err.Error() != logstore.ErrNotFound.Error() {
		return err
	}
	if term < st.Term {
		return g.log.SetUint64([]byte("CurrentTerm"), st.Term)
	}
	return nil
}

func (g *group) logHolds(index, term uint64) bool {
	var l raft.Log
	return index != 0 && g.log.GetLog(index, &l) == nil && l.Term == term
}

// startInstance opens Raft on the log and the state in the engine.
func (g *group) startInstance() error {
	st := g.state.Load()
	if err := g.checkLog(st); err != nil {
		return err
	}
	in := &instance{
		notify: make(chan bool, 16),
		events: make(chan raft.Observation, 16),
		stop:   stop.New(context.Background()),
		dead:   make(chan struct{}),
	}
	var err error
	if in.ep, err = g.h.trans.Open(g.id, g.h.node, g.self.Replica, (*groupPeer)(g)); err != nil {
		return err
	}
	in.raft, err = raft.NewRaft(g.h.raftConfig(g, in), (*fsm)(g), g.log, g.log, (*snapshotStore)(g), in.ep)
	if err != nil {
		_ = in.ep.Close()
		return fmt.Errorf("raftgroup: opening %s: %w", g.id, err)
	}
	in.raft.RegisterObserver(raft.NewObserver(in.events, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	g.inst.Store(in)
	in.stop.Go("raft leadership", func(ctx context.Context) { g.watchLeadership(ctx, in) })
	if g.onlyVoter(in) {
		in.ep.Inject(&raft.TimeoutNowRequest{RPCHeader: g.header()})
	}
	return nil
}

func (h *host) raftConfig(g *group, in *instance) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = g.serverID
	c.HeartbeatTimeout = h.opts.HeartbeatTimeout
	c.ElectionTimeout = h.opts.HeartbeatTimeout
	c.LeaderLeaseTimeout = h.opts.HeartbeatTimeout * 5 / 6
	c.CommitTimeout = h.opts.HeartbeatTimeout / 4
	// Entries of ours hold many commands, and Raft makes lists of this length for
	// each commit.
	c.MaxAppendEntries = 64
	c.BatchApplyCh = true // so that handing over an entry never blocks
	c.SnapshotInterval = 10000 * time.Hour
	c.SnapshotThreshold = 1 << 62
	c.TrailingLogs = h.opts.TrailingEntries
	c.NoSnapshotRestoreOnStart = true
	c.NoLegacyTelemetry = true
	c.ShutdownOnRemove = false
	c.NotifyCh = in.notify
	c.Logger = newRaftLogger(h.log, g)
	return c
}

func (g *group) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(g.serverID), Addr: []byte(g.serverID)}
}

func (g *group) onlyVoter(in *instance) bool {
	voters, self := 0, false
	for _, s := range configuration(in) {
		if s.Suffrage == raft.Voter {
			voters++
			self = self || s.ID == g.serverID
		}
	}
	return self && voters == 1
}

// configuration returns the latest servers, without asking Raft's main loop.
func configuration(in *instance) []raft.Server {
	f := in.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// shutdown ends Raft. The endpoint goes first, because Raft waits for calls
// under way.
func (in *instance) shutdown() {
	_ = in.ep.Close()
	_ = in.raft.Shutdown().Error()
	close(in.dead)
	in.stop.Stop()
}

// drainWait is how long closing waits for commands under way, which spares their
// proposers an unknown outcome.
const drainWait = 200 * time.Millisecond

func (g *group) close() {
	g.prop.drain(drainWait)
	g.lifeMu.Lock()
	defer g.lifeMu.Unlock()
	if g.isClose {
		return
	}
	g.isClose = true
	in := g.inst.Load()
	wasLeader := in.raft.State() == raft.Leader
	in.shutdown()
	g.stop.Stop()
	g.prop.close()
	if wasLeader {
		g.sm.LeaderChanged(false, 0, in.raft.CurrentTerm())
	}
	if err := g.log.Close(); err != nil {
		g.h.log.Error("closing a raft log", "range", g.id, "err", err)
	}
}

// watchLeadership tells the state machine who leads. A new leader commits an
// empty command of its own: what lost against it is then known to be lost.
func (g *group) watchLeadership(ctx context.Context, in *instance) {
	select {
	case <-g.opened:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case leads := <-in.notify:
			term := in.raft.CurrentTerm()
			if leads {
				g.prop.add(command{barrier: true})
				g.sm.LeaderChanged(true, g.h.node, term)
				continue
			}
			leader, _ := g.Leader()
			g.sm.LeaderChanged(false, leader, term)
		case <-in.events:
			if leader, term := g.Leader(); leader != 0 && leader != g.h.node {
				g.sm.LeaderChanged(false, leader, term)
			}
		}
	}
}

func (g *group) setState(st State) {
	g.state.Store(&st)
	voters := 0
	for _, m := range st.Members {
		if !m.Learner {
			voters++
		}
	}
	g.voters.Store(int64(voters))
}

// RangeID implements Group.
func (g *group) RangeID() ids.RangeID { return g.id }

// StateMachine implements Group.
func (g *group) StateMachine() StateMachine { return g.sm }

// IsLeader implements Group. The transport may ask before Raft is there.
func (g *group) IsLeader() bool {
	in := g.inst.Load()
	return in != nil && in.raft.State() == raft.Leader
}

func (g *group) leaderNode(r *raft.Raft) ids.NodeID {
	_, id := r.LeaderWithID()
	n, _ := transport.ParseServerID(string(id))
	return n
}

// Leader implements Group.
func (g *group) Leader() (ids.NodeID, uint64) {
	r := g.inst.Load().raft
	return g.leaderNode(r), r.CurrentTerm()
}

// Propose implements Group.
func (g *group) Propose(cmd []byte, done func([]byte, error)) {
	if len(cmd) > MaxCommandBytes {
		panic(fmt.Sprintf("raftgroup: command of %d bytes", len(cmd)))
	}
	g.prop.add(command{data: cmd, done: done})
}

// ReadBarrier implements Group.
func (g *group) ReadBarrier(ctx context.Context) error {
	if !g.IsLeader() {
		return ErrNotLeader
	}
	ch := make(chan error, 1)
	g.prop.add(command{barrier: true, done: func(_ []byte, err error) { ch <- err }})
	select {
	case err := <-ch:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status implements Group.
func (g *group) Status() Status {
	in := g.inst.Load()
	r := in.raft
	st := g.state.Load()
	first, _ := g.log.FirstIndex() // the bounds are cached: no error is possible
	last, _ := g.log.LastIndex()
	s := Status{
		Range: g.id, Self: g.self, Leader: g.leaderNode(r), IsLeader: r.State() == raft.Leader,
		Term: r.CurrentTerm(), LastIndex: max(last, st.Index), Commit: r.CommitIndex(), Applied: st.Index,
		FirstIndex: first, FlushedApplied: g.flushedIndex(), ConfigIndex: st.ConfigIndex,
		Members: append([]Member(nil), st.Members...), LogBytes: g.log.Bytes(), LastContact: r.LastContact(),
	}
	for _, m := range s.Members {
		if m.Replica == g.self.Replica {
			s.Self.Learner = m.Learner
		}
	}
	if s.IsLeader {
		for _, m := range s.Members {
			p := Progress{Member: m, Match: s.LastIndex, LastContact: time.Now()}
			if m.Replica != g.self.Replica {
				a := in.ep.Acked(transport.ServerID(m.Node, m.Replica), s.Term)
				p.Match, p.LastContact = a.Index, a.At
			}
			s.Progress = append(s.Progress, p)
		}
	}
	return s
}

// flushedIndex returns the applied index that a restart would find.
func (g *group) flushedIndex() uint64 {
	d := g.h.engine.DurableView()
	defer d.Close()
	if v, ok := d.Get(g.appliedKey); ok && len(v) == 16 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

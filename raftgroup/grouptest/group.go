package grouptest

import (
	"context"
	"fmt"
	"sort"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Host is a node's fake raftgroup.Host.
type Host struct {
	c      *Cluster
	node   ids.NodeID
	engine engine.Engine
	groups map[ids.RangeID]*Group
}

var (
	_ raftgroup.Host  = (*Host)(nil)
	_ raftgroup.Group = (*Group)(nil)
)

func newHost(c *Cluster, n ids.NodeID, e engine.Engine) *Host {
	return &Host{c: c, node: n, engine: e, groups: map[ids.RangeID]*Group{}}
}

// Open implements raftgroup.Host. The first replica of a range that opens with a
// voter's state becomes its leader.
func (h *Host) Open(r ids.RangeID, self raftgroup.Member, sm raftgroup.StateMachine) (raftgroup.Group, error) {
	st, seeded, err := raftgroup.LoadState(h.engine, r)
	if err != nil {
		return nil, err
	}
	if t := raftgroup.Tombstone(h.engine, r); t >= self.Replica {
		return nil, fmt.Errorf("grouptest: replica %d of %s was removed", self.Replica, r)
	}
	c := h.c
	c.mu.Lock()
	if h.groups[r] != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("grouptest: %s is open", r)
	}
	g := &Group{host: h, id: r, self: self, sm: sm, applied: st.Index, term: st.Term, waiters: map[uint64]waiter{}}
	l := c.ranges[r]
	if l == nil {
		l = &rangeLog{id: r, first: 1, held: map[ids.NodeID]bool{}}
		c.ranges[r] = l
	}
	if seeded && l.term == 0 {
		l.first, l.commit, l.term = st.Index+1, st.Index, st.Term
		l.members, l.configIndex = st.Members, st.ConfigIndex
	}
	h.groups[r] = g
	leader, term := l.leader, l.term
	if leader == 0 && seeded && !self.Learner {
		l.leader, leader = h.node, h.node
		l.term++
		term = l.term
		l.append(entry{barrier: true})
	}
	if leader != 0 {
		c.calls = append(c.calls, func() { sm.LeaderChanged(leader == h.node, leader, term) })
	}
	auto := c.auto
	c.mu.Unlock()
	c.runCalls()
	if auto {
		c.Step()
	}
	return g, nil
}

// Seed implements raftgroup.Host.
func (h *Host) Seed(b *engine.Batch, r ids.RangeID, members []raftgroup.Member) error {
	if _, ok, err := raftgroup.LoadState(h.engine, r); ok || err != nil {
		return err
	}
	raftgroup.PutApplied(b, r, raftgroup.SeedIndex, raftgroup.SeedTerm)
	raftgroup.PutConfig(b, r, raftgroup.SeedIndex, members)
	return nil
}

// Lookup implements raftgroup.Host.
func (h *Host) Lookup(r ids.RangeID) (raftgroup.Group, bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	g, ok := h.groups[r]
	if !ok {
		return nil, false
	}
	return g, true
}

// Remove implements raftgroup.Host.
func (h *Host) Remove(r ids.RangeID, self ids.ReplicaID) error {
	h.close(r)
	b := &engine.Batch{}
	raftgroup.PutTombstone(b, r, self)
	h.engine.Write(b)
	return nil
}

func (h *Host) close(r ids.RangeID) {
	h.c.mu.Lock()
	g := h.groups[r]
	delete(h.groups, r)
	if g != nil {
		for _, id := range g.waitingIDs() {
			done := g.waiters[id].done
			h.c.calls = append(h.c.calls, func() { done(nil, raftgroup.ErrClosed) })
		}
		g.waiters = map[uint64]waiter{}
	}
	h.c.mu.Unlock()
	h.c.runCalls()
}

// Groups implements raftgroup.Host, in the order of range ids.
func (h *Host) Groups(f func(raftgroup.Group) bool) {
	h.c.mu.Lock()
	var gs []*Group
	for _, r := range h.c.rangeIDs() {
		if g := h.groups[r]; g != nil {
			gs = append(gs, g)
		}
	}
	h.c.mu.Unlock()
	for _, g := range gs {
		if !f(g) {
			return
		}
	}
}

// Close implements raftgroup.Host.
func (h *Host) Close() error {
	h.c.mu.Lock()
	rs := h.c.rangeIDs()
	h.c.mu.Unlock()
	for _, r := range rs {
		h.close(r)
	}
	return nil
}

// Group is a fake raftgroup.Group.
type Group struct {
	host    *Host
	id      ids.RangeID
	self    raftgroup.Member
	sm      raftgroup.StateMachine
	applied uint64
	term    uint64
	waiters map[uint64]waiter
}

type waiter struct {
	term uint64
	done func([]byte, error)
}

func (g *Group) waitingIDs() []uint64 {
	out := make([]uint64, 0, len(g.waiters))
	for id := range g.waiters {
		out = append(out, id)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// RangeID implements raftgroup.Group.
func (g *Group) RangeID() ids.RangeID { return g.id }

// Propose implements raftgroup.Group.
func (g *Group) Propose(cmd []byte, done func([]byte, error)) {
	c := g.host.c
	c.mu.Lock()
	l := c.ranges[g.id]
	switch {
	case g.host.groups[g.id] != g:
		c.calls = append(c.calls, func() { done(nil, raftgroup.ErrClosed) })
	case l.leader != g.host.node:
		c.calls = append(c.calls, func() { done(nil, raftgroup.ErrNotLeader) })
	default:
		c.nextID++
		g.waiters[c.nextID] = waiter{l.term, done}
		l.append(entry{Entry: raftgroup.Entry{Data: cmd}, node: g.host.node, id: c.nextID})
	}
	auto := c.auto
	c.mu.Unlock()
	if auto {
		c.Step()
	} else {
		c.runCalls()
	}
}

// apply runs entries through the state machine, and answers proposers.
func (g *Group) apply(todo []entry) {
	b := &engine.Batch{}
	var seen []raftgroup.Entry
	for _, e := range todo {
		if e.barrier {
			continue
		}
		if e.Kind == raftgroup.EntryConfig {
			raftgroup.PutConfig(b, g.id, e.Index, e.Members)
		}
		seen = append(seen, e.Entry)
	}
	var results [][]byte
	if len(seen) > 0 {
		results = g.sm.ApplyBatch(b, seen)
	}
	last := todo[len(todo)-1]
	raftgroup.PutApplied(b, g.id, last.Index, last.Term)
	g.host.engine.Write(b)
	if len(seen) > 0 {
		g.sm.Applied(seen, results)
	}
	for _, f := range g.settle(todo, results) {
		f()
	}
}

// settle advances the applied index and returns the answers that are now known.
func (g *Group) settle(todo []entry, results [][]byte) (answers []func()) {
	c := g.host.c
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for _, e := range todo {
		if e.barrier {
			continue
		}
		result := results[i]
		i++
		w, ok := g.waiters[e.id]
		if e.node != g.host.node || e.id == 0 || !ok {
			continue
		}
		delete(g.waiters, e.id)
		answers = append(answers, func() { w.done(result, nil) })
	}
	last := todo[len(todo)-1]
	g.applied, g.term = last.Index, last.Term
	for _, id := range g.waitingIDs() {
		if w := g.waiters[id]; w.term < g.term {
			delete(g.waiters, id)
			answers = append(answers, func() { w.done(nil, raftgroup.ErrDropped) })
		}
	}
	return answers
}

// ReadBarrier implements raftgroup.Group: it steps the cluster.
func (g *Group) ReadBarrier(context.Context) error {
	c := g.host.c
	c.mu.Lock()
	l := c.ranges[g.id]
	if l.leader != g.host.node {
		c.mu.Unlock()
		return raftgroup.ErrNotLeader
	}
	l.append(entry{barrier: true})
	c.mu.Unlock()
	c.Step()
	return nil
}

// ChangeMember implements raftgroup.Group.
func (g *Group) ChangeMember(_ context.Context, ch raftgroup.Change) error {
	c := g.host.c
	c.mu.Lock()
	l := c.ranges[g.id]
	if l.leader != g.host.node {
		c.mu.Unlock()
		return raftgroup.ErrNotLeader
	}
	if ch.PrevIndex != l.configIndex {
		c.mu.Unlock()
		return fmt.Errorf("grouptest: configuration is at %d, not %d", l.configIndex, ch.PrevIndex)
	}
	var ms []raftgroup.Member
	for _, m := range l.members {
		if m.Replica != ch.Member.Replica {
			ms = append(ms, m)
		}
	}
	if ch.Kind != raftgroup.Remove {
		m := ch.Member
		m.Learner = ch.Kind == raftgroup.AddLearner
		ms = append(ms, m)
	}
	l.members = ms
	l.configIndex = l.append(entry{Entry: raftgroup.Entry{Kind: raftgroup.EntryConfig, Members: ms}})
	c.mu.Unlock()
	c.Step()
	return nil
}

// TransferLeadership implements raftgroup.Group.
func (g *Group) TransferLeadership(_ context.Context, to ids.NodeID) error {
	c := g.host.c
	c.mu.Lock()
	l := c.ranges[g.id]
	leads := l.leader == g.host.node
	pending := len(l.entries) - int(l.commit+1-l.first)
	c.mu.Unlock()
	if !leads {
		return raftgroup.ErrNotLeader
	}
	c.ElectKeeping(g.id, to, pending)
	return nil
}

// Campaign implements raftgroup.Group: the replica wins.
func (g *Group) Campaign() error {
	g.host.c.Elect(g.id, g.host.node)
	return nil
}

// StateMachine implements raftgroup.Group.
func (g *Group) StateMachine() raftgroup.StateMachine { return g.sm }

// IsLeader implements raftgroup.Group.
func (g *Group) IsLeader() bool {
	n, _ := g.Leader()
	return n == g.host.node
}

// Leader implements raftgroup.Group.
func (g *Group) Leader() (ids.NodeID, uint64) {
	g.host.c.mu.Lock()
	defer g.host.c.mu.Unlock()
	l := g.host.c.ranges[g.id]
	return l.leader, l.term
}

// Status implements raftgroup.Group.
func (g *Group) Status() raftgroup.Status {
	c := g.host.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.ranges[g.id]
	s := raftgroup.Status{
		Range: g.id, Self: g.self, Leader: l.leader, IsLeader: l.leader == g.host.node,
		Term: l.term, LastIndex: l.last(), Commit: l.commit, Applied: g.applied,
		FirstIndex: l.first, FlushedApplied: g.applied, ConfigIndex: l.configIndex,
		Members: append([]raftgroup.Member(nil), l.members...),
	}
	if s.IsLeader {
		for _, m := range l.members {
			p := raftgroup.Progress{Member: m}
			if h := c.nodes[m.Node]; h != nil && h.groups[g.id] != nil {
				p.Match = h.groups[g.id].applied
			}
			s.Progress = append(s.Progress, p)
		}
	}
	return s
}

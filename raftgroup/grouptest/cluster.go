package grouptest

import (
	"bytes"
	"fmt"
	"math/rand"
	"sort"
	"sync"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Cluster is a set of nodes and the logs of their ranges.
type Cluster struct {
	// mu guards everything below. It is never held across a call into a state
	// machine or a done function, so both may call back.
	mu       sync.Mutex
	rng      *rand.Rand
	nodes    map[ids.NodeID]*Host
	ranges   map[ids.RangeID]*rangeLog
	auto     bool
	stepping bool
	again    bool
	calls    []func() // to run without mu, in order
	nextID   uint64   // of proposals, over all restarts
}

// rangeLog is the one log of a range. Entries above commit are the leader's
// alone and may still be lost.
type rangeLog struct {
	id          ids.RangeID
	entries     []entry
	first       uint64 // index of entries[0]
	commit      uint64
	term        uint64
	leader      ids.NodeID
	members     []raftgroup.Member
	configIndex uint64
	held        map[ids.NodeID]bool
}

type entry struct {
	raftgroup.Entry
	barrier bool
	node    ids.NodeID
	id      uint64
}

// New returns a cluster of nodes with memory engines. Commands commit and apply
// in Step, or at the end of each Propose once SetAuto(true) was called.
func New(seed int64, nodes ...ids.NodeID) *Cluster {
	c := &Cluster{
		rng:    rand.New(rand.NewSource(seed)),
		nodes:  map[ids.NodeID]*Host{},
		ranges: map[ids.RangeID]*rangeLog{},
	}
	for _, n := range nodes {
		c.nodes[n] = newHost(c, n, engine.OpenMemory())
	}
	return c
}

// Host returns a node's host.
func (c *Cluster) Host(n ids.NodeID) *Host {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[n]
}

// Engine returns a node's engine.
func (c *Cluster) Engine(n ids.NodeID) engine.Engine { return c.Host(n).engine }

// SetAuto makes every proposal commit and apply at once.
func (c *Cluster) SetAuto(on bool) {
	c.mu.Lock()
	c.auto = on
	c.mu.Unlock()
	if on {
		c.Step()
	}
}

// Hold stops a node's replica of r from applying until Release: it lags.
func (c *Cluster) Hold(r ids.RangeID, n ids.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges[r].held[n] = true
}

// Release ends Hold; Step then lets the replica catch up.
func (c *Cluster) Release(r ids.RangeID, n ids.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ranges[r].held, n)
}

// Restart closes a node's host and gives the node a new one over the same
// engine; proposals under way hear ErrClosed. The test opens its groups again.
func (c *Cluster) Restart(n ids.NodeID) *Host {
	h := c.Host(n)
	_ = h.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[n] = newHost(c, n, h.engine)
	return c.nodes[n]
}

// Elect makes node the leader of r in a new term. A random prefix of what the
// old leader had not committed survives, as it would if the new leader had
// received it.
func (c *Cluster) Elect(r ids.RangeID, node ids.NodeID) {
	c.mu.Lock()
	l := c.ranges[r]
	keep := 0
	if n := len(l.entries) - int(l.commit+1-l.first); n > 0 {
		keep = c.rng.Intn(n + 1)
	}
	c.mu.Unlock()
	c.ElectKeeping(r, node, keep)
}

// ElectKeeping is Elect with a chosen number of surviving uncommitted entries.
func (c *Cluster) ElectKeeping(r ids.RangeID, node ids.NodeID, keep int) {
	c.mu.Lock()
	l := c.ranges[r]
	if n := int(l.commit+1-l.first) + keep; n < len(l.entries) {
		l.entries = l.entries[:n]
	}
	l.term++
	l.leader = node
	l.append(entry{barrier: true})
	c.announce(l)
	auto := c.auto
	c.mu.Unlock()
	c.runCalls()
	if auto {
		c.Step()
	}
}

// announce queues LeaderChanged for every open replica. Caller holds mu.
func (c *Cluster) announce(l *rangeLog) {
	for _, n := range c.nodeIDs() {
		if g := c.nodes[n].groups[l.id]; g != nil {
			sm, is, leader, term := g.sm, l.leader == n, l.leader, l.term
			c.calls = append(c.calls, func() { sm.LeaderChanged(is, leader, term) })
		}
	}
}

func (c *Cluster) nodeIDs() []ids.NodeID {
	out := make([]ids.NodeID, 0, len(c.nodes))
	for n := range c.nodes {
		out = append(out, n)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

func (c *Cluster) rangeIDs() []ids.RangeID {
	out := make([]ids.RangeID, 0, len(c.ranges))
	for r := range c.ranges {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// runCalls runs what was queued under mu.
func (c *Cluster) runCalls() {
	for {
		c.mu.Lock()
		calls := c.calls
		c.calls = nil
		c.mu.Unlock()
		if len(calls) == 0 {
			return
		}
		for _, f := range calls {
			f()
		}
	}
}

// Step commits what leaders have, applies it wherever it is not held back, and
// runs until nothing is left to do. Calls from within a step return at once, and
// the step that runs takes up their work.
func (c *Cluster) Step() {
	c.mu.Lock()
	if c.stepping {
		c.again = true
		c.mu.Unlock()
		return
	}
	c.stepping = true
	c.mu.Unlock()
	for busy := true; busy; {
		c.runCalls()
		busy = false
		c.mu.Lock()
		c.again = false
		rs, ns := c.rangeIDs(), c.nodeIDs()
		c.mu.Unlock()
		for _, r := range rs {
			for _, n := range ns {
				busy = c.stepReplica(r, n) || busy
			}
		}
		c.mu.Lock()
		if busy = busy || c.again || len(c.calls) > 0; !busy {
			c.stepping = false
		}
		c.mu.Unlock()
	}
}

// stepReplica commits r's log and applies what one replica has not applied.
func (c *Cluster) stepReplica(r ids.RangeID, n ids.NodeID) bool {
	c.mu.Lock()
	l, g := c.ranges[r], (*Group)(nil)
	if h := c.nodes[n]; h != nil {
		g = h.groups[r]
	}
	leads := l != nil && l.leader != 0 && c.nodes[l.leader] != nil && c.nodes[l.leader].groups[r] != nil
	if leads {
		l.commit = l.last()
	}
	if g == nil || l.held[n] || g.applied >= l.commit {
		c.mu.Unlock()
		return false
	}
	if g.applied+1 < l.first {
		c.mu.Unlock()
		return c.installSnapshot(l, g)
	}
	todo := append([]entry(nil), l.entries[g.applied+1-l.first:l.commit+1-l.first]...)
	c.mu.Unlock()
	g.apply(todo)
	return true
}

// installSnapshot copies the state of the range's leader, or of any replica that
// has one, to g.
func (c *Cluster) installSnapshot(l *rangeLog, g *Group) bool {
	c.mu.Lock()
	var src *Group
	for _, n := range append([]ids.NodeID{l.leader}, c.nodeIDs()...) {
		if h := c.nodes[n]; h != nil && h.groups[l.id] != nil && h.groups[l.id].applied >= l.first-1 {
			src = h.groups[l.id]
			break
		}
	}
	if src == nil || src == g {
		c.mu.Unlock()
		return false
	}
	space := raftgroup.NextSpace(g.host.engine)
	c.mu.Unlock()

	v := src.host.engine.View()
	defer v.Close()
	st, _, err := raftgroup.LoadState(v, l.id)
	var buf bytes.Buffer
	if err == nil {
		err = src.sm.Snapshot(v, &buf)
	}
	var swap func(*engine.Batch) error
	if err == nil {
		swap, err = g.sm.Restore(space, &buf)
	}
	b := &engine.Batch{}
	if err == nil {
		err = swap(b)
	}
	if err != nil {
		panic(fmt.Sprintf("grouptest: snapshot of %s to %s: %v", l.id, g.host.node, err))
	}
	raftgroup.PutApplied(b, l.id, st.Index, st.Term)
	raftgroup.PutConfig(b, l.id, st.ConfigIndex, st.Members)
	g.host.engine.Write(b)
	c.mu.Lock()
	g.applied, g.term = st.Index, st.Term
	c.mu.Unlock()
	return true
}

// Truncate forgets the log below index, so that a replica that is behind it needs
// a snapshot.
func (c *Cluster) Truncate(r ids.RangeID, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.ranges[r]
	if index > l.commit+1 {
		index = l.commit + 1
	}
	if index > l.first {
		l.entries = append([]entry(nil), l.entries[index-l.first:]...)
		l.first = index
	}
}

func (l *rangeLog) last() uint64 { return l.first + uint64(len(l.entries)) - 1 }

func (l *rangeLog) append(e entry) uint64 {
	e.Index, e.Term = l.last()+1, l.term
	l.entries = append(l.entries, e)
	return e.Index
}

package transport

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// Timing of failure detection.
const (
	monitorTick    = 150 * time.Millisecond
	silence        = 1500 * time.Millisecond
	pingTimeout    = 400 * time.Millisecond
	successorDelay = 300 * time.Millisecond
	// equalsDelay sets apart survivors that each take themselves for the first:
	// they looked at the ends of logs at different moments.
	equalsDelay     = 40 * time.Millisecond
	successorTries  = 6
	suspectPause    = time.Second
	campaignsAtOnce = 16
)

// monitor looks for leaders that have gone silent and groups without one.
func (t *Transport) monitor(ctx context.Context) {
	tick := time.NewTicker(monitorTick)
	defer tick.Stop()
	leaderless := map[ids.RangeID]int{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.expireVotes(now)
			t.checkLeaderless(leaderless)
			for _, n := range t.silentLeaders(now) {
				t.stop.Go("raft silence check", func(ctx context.Context) { t.checkSilent(ctx, n) })
			}
		}
	}
}

func (t *Transport) groups() []*Endpoint {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*Endpoint, 0, len(t.endpoints))
	for _, ep := range t.endpoints {
		out = append(out, ep)
	}
	// Low ids first: meta and liveness have to serve before anything else can.
	slices.SortFunc(out, func(a, b *Endpoint) int { return cmp.Compare(a.rng, b.rng) })
	return out
}

// rank orders nodes differently for each range, so that leaders spread.
func rank(r ids.RangeID, n ids.NodeID) uint64 {
	h := fnv.New64a()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(r))
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	_, _ = h.Write(b[:]) // a hash never fails
	return h.Sum64()
}

// checkLeaderless lets one voter after another stand in groups that have had no
// leader since they were opened, once a majority is there to vote. seen counts
// the ticks.
func (t *Transport) checkLeaderless(seen map[ids.RangeID]int) {
	self := t.peers.Self()
	for _, ep := range t.groups() {
		if ep.group.Leader() != 0 {
			delete(seen, ep.rng)
			continue
		}
		voters := ep.group.Voters()
		if !slices.Contains(voters, self) || !ep.group.MayStand() {
			continue
		}
		t.acquaint(voters)
		if !t.majorityUp(voters) {
			continue
		}
		slices.SortFunc(voters, func(a, b ids.NodeID) int { return cmp.Compare(rank(ep.rng, a), rank(ep.rng, b)) })
		seen[ep.rng]++
		if turn := slices.Index(voters, self); seen[ep.rng] == 1+2*turn {
			ep.group.Campaign(true)
		}
	}
}

func (t *Transport) majorityUp(voters []ids.NodeID) bool {
	t.peerMu.Lock()
	defer t.peerMu.Unlock()
	up := 0
	for _, n := range voters {
		if p := t.state[n]; n == t.peers.Self() || p != nil && p.up && !p.met.IsZero() {
			up++
		}
	}
	return up > len(voters)/2
}

// acquaint pings those of the nodes that have not been heard of yet.
func (t *Transport) acquaint(nodes []ids.NodeID) {
	now := time.Now()
	for _, n := range nodes {
		if n == t.peers.Self() {
			continue
		}
		t.peerMu.Lock()
		p := t.peerLocked(n)
		ask := p.met.IsZero() && now.Sub(p.asked) > pingTimeout
		if ask {
			p.asked = now
		}
		t.peerMu.Unlock()
		if ask {
			t.stop.Go("raft acquaintance", func(ctx context.Context) {
				_, _ = t.ping(ctx, n, []byte{askAlive}) // an answer is noted on arrival
			})
		}
	}
}

// silentLeaders returns the nodes that lead groups here and have not been heard
// for too long.
func (t *Transport) silentLeaders(now time.Time) []ids.NodeID {
	led := map[ids.NodeID]bool{}
	for _, ep := range t.groups() {
		if n := ep.group.Leader(); n != 0 && n != t.peers.Self() {
			led[n] = true
		}
	}
	var out []ids.NodeID
	t.peerMu.Lock()
	defer t.peerMu.Unlock()
	for n := range led {
		p := t.peerLocked(n)
		if now.Sub(p.heard) > silence && now.Sub(p.suspected) > suspectPause {
			p.suspected = now
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// The questions of a ping.
const (
	askAlive  = 0 // nothing: an answer suffices
	askSilent = 1 // is that node silent for you, too?
	askLogs   = 2 // where do your logs of these ranges end?
)

func (t *Transport) ping(ctx context.Context, to ids.NodeID, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	b, err := t.peers.Call(ctx, to, rpc.Normal, rpc.MethodPing, payload)
	if err == nil {
		t.noteHeard(to)
	}
	return b, err
}

func (t *Transport) handlePing(_ context.Context, from ids.NodeID, payload []byte) ([]byte, error) {
	t.noteHeard(from)
	c := cursor{b: payload}
	switch c.byte() {
	case askSilent:
		n := ids.NodeID(c.uvarint())
		t.peerMu.Lock()
		p := t.peerLocked(n)
		silent := !p.up || time.Since(p.heard) > silence*2/3
		t.peerMu.Unlock()
		return []byte{bit(silent, 1)}, nil
	case askLogs:
		var out []byte
		for len(c.b) > 0 && !c.bad {
			r := ids.RangeID(c.uvarint())
			var term, index uint64
			if ep := t.endpoint(r); ep != nil {
				term, index = ep.group.LastLog()
			}
			out = binary.AppendUvarint(binary.AppendUvarint(out, term), index)
		}
		return out, nil
	}
	return nil, nil
}

// checkSilent declares a node dead if it does not answer, and one of the other
// voters' nodes has not heard of it either.
func (t *Transport) checkSilent(ctx context.Context, n ids.NodeID) {
	if _, err := t.ping(ctx, n, []byte{askAlive}); err == nil || ctx.Err() != nil {
		return
	}
	question := binary.AppendUvarint([]byte{askSilent}, uint64(n))
	for _, w := range t.witnesses(n) {
		if b, err := t.ping(ctx, w, question); err == nil {
			if len(b) == 1 && b[0] == 1 {
				t.log.Warn("node is silent", "peer", n, "witness", w)
				t.failover(ctx, n)
			}
			return
		}
	}
}

// witnesses returns the other voters of the groups that n leads.
func (t *Transport) witnesses(n ids.NodeID) []ids.NodeID {
	var out []ids.NodeID
	for _, ep := range t.groups() {
		if ep.group.Leader() != n {
			continue
		}
		for _, v := range ep.group.Voters() {
			if v != n && v != t.peers.Self() && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	slices.Sort(out)
	return out
}

// logEnd is where a replica's log ends.
type logEnd struct{ term, index uint64 }

// failover sees to new leaders for the groups that a dead node led. Each
// survivor comes to the same order of successors: the most advanced log first.
func (t *Transport) failover(ctx context.Context, dead ids.NodeID) {
	self := t.peers.Self()
	var orphans []*Endpoint
	var terms []uint64
	for _, ep := range t.groups() {
		if ep.group.Leader() == dead && slices.Contains(ep.group.Voters(), self) &&
			ep.succeeding.CompareAndSwap(false, true) {
			orphans = append(orphans, ep)
			terms = append(terms, ep.group.CurrentTerm())
		}
	}
	if len(orphans) == 0 {
		return
	}
	t.log.Info("taking over from a dead node", "peer", dead, "groups", len(orphans))
	ends := t.askLogEnds(ctx, dead, orphans)
	limit := make(chan struct{}, campaignsAtOnce)
	var wg sync.WaitGroup
	for i, ep := range orphans {
		turn, place := successorTurn(ep, self, dead, func(n ids.NodeID) (logEnd, bool) {
			e, ok := ends[n]
			if !ok {
				return logEnd{}, false
			}
			return e[i], true
		})
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			return // closing: the flags do not matter any more
		}
		wg.Add(1)
		started := t.stop.Go("raft successor", func(ctx context.Context) {
			defer wg.Done()
			defer func() { <-limit }()
			succeed(ctx, ep, dead, terms[i], turn, place)
		})
		if !started {
			wg.Done()
			return
		}
	}
	wg.Wait()
}

// succeed stands for election when its turn comes and nobody else leads, nor
// stands, which the term tells. Should votes be split, it stands again, apart from
// the others: Raft's own candidates would first wait for an election timeout.
func succeed(ctx context.Context, ep *Endpoint, dead ids.NodeID, term uint64, turn, place int) {
	defer ep.succeeding.Store(false)
	wait := time.Duration(turn)*successorDelay + time.Duration(place)*equalsDelay
	for try := range successorTries {
		if !ep.pause(ctx, wait) {
			return
		}
		if n := ep.group.Leader(); n != 0 && n != dead {
			return
		}
		if try > 0 || ep.group.CurrentTerm() == term {
			ep.group.Campaign(false)
		}
		wait = time.Duration(2+place) * successorDelay
	}
}

// pause waits, and reports whether nothing ended the wait early.
func (ep *Endpoint) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-ep.closed:
	}
	return false
}

// successorTurn returns when self is to stand, and its place among the survivors
// whatever their logs hold.
func successorTurn(ep *Endpoint, self, dead ids.NodeID, end func(ids.NodeID) (logEnd, bool)) (turn, place int) {
	type candidate struct {
		node  ids.NodeID
		end   logEnd
		known bool
	}
	var cs []candidate
	for _, v := range ep.group.Voters() {
		if v == dead {
			continue
		}
		if rank(ep.rng, v) < rank(ep.rng, self) {
			place++
		}
		c := candidate{node: v}
		if v == self {
			c.end.term, c.end.index = ep.group.LastLog()
			c.known = true
		} else {
			c.end, c.known = end(v)
		}
		cs = append(cs, c)
	}
	slices.SortFunc(cs, func(a, b candidate) int {
		if a.known != b.known {
			if a.known {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.end.term, a.end.term), cmp.Compare(b.end.index, a.end.index),
			cmp.Compare(rank(ep.rng, a.node), rank(ep.rng, b.node)))
	})
	return slices.IndexFunc(cs, func(c candidate) bool { return c.node == self }), place
}

// askLogEnds asks the other survivors where their logs of the orphaned groups
// end; who does not answer is missing.
func (t *Transport) askLogEnds(ctx context.Context, dead ids.NodeID, orphans []*Endpoint) map[ids.NodeID][]logEnd {
	question := []byte{askLogs}
	for _, ep := range orphans {
		question = binary.AppendUvarint(question, uint64(ep.rng))
	}
	var mu sync.Mutex
	out := map[ids.NodeID][]logEnd{}
	var wg sync.WaitGroup
	for _, n := range t.witnesses(dead) {
		wg.Add(1)
		started := t.stop.Go("raft log ends", func(ctx context.Context) {
			defer wg.Done()
			b, err := t.ping(ctx, n, question)
			if err != nil {
				return
			}
			c := cursor{b: b}
			ends := make([]logEnd, len(orphans))
			for i := range ends {
				ends[i] = logEnd{c.uvarint(), c.uvarint()}
			}
			if !c.bad {
				mu.Lock()
				out[n] = ends
				mu.Unlock()
			}
		})
		if !started {
			wg.Done()
		}
	}
	wg.Wait()
	return out
}

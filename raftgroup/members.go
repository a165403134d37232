package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

var _ transport.Group = (*groupPeer)(nil)

// groupPeer is the group as the transport sees it.
type groupPeer group

// ChangeMember implements Group.
func (g *group) ChangeMember(ctx context.Context, c Change) error {
	if c.PrevIndex == 0 {
		return errors.New("raftgroup: a membership change needs the index that it was decided on")
	}
	r := g.inst.Load().raft
	id := transport.ServerID(c.Member.Node, c.Member.Replica)
	var f raft.IndexFuture
	switch c.Kind {
	case AddLearner:
		f = r.AddNonvoter(id, raft.ServerAddress(id), c.PrevIndex, 0)
	case Promote:
		f = r.AddVoter(id, raft.ServerAddress(id), c.PrevIndex, 0)
	case Remove:
		f = r.RemoveServer(id, c.PrevIndex, 0)
	default:
		return fmt.Errorf("raftgroup: unknown membership change %d", c.Kind)
	}
	return g.await(ctx, f)
}

// await waits for a future of Raft's.
func (g *group) await(ctx context.Context, f raft.Future) error {
	ch := make(chan error, 1)
	go func() { ch <- f.Error() }() // ends with the future, at the latest with Raft
	select {
	case err := <-ch:
		if definite(err) {
			return ErrNotLeader
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-g.stop.Done():
		return ErrClosed
	}
}

// TransferLeadership implements Group.
func (g *group) TransferLeadership(ctx context.Context, to ids.NodeID) error {
	for _, m := range g.state.Load().Members {
		if m.Node == to && !m.Learner {
			id := transport.ServerID(m.Node, m.Replica)
			return g.await(ctx, g.inst.Load().raft.LeadershipTransferToServer(id, raft.ServerAddress(id)))
		}
	}
	return fmt.Errorf("raftgroup: %s has no voter on %s", g.id, to)
}

// Campaign implements Group.
func (g *group) Campaign() error {
	in := g.inst.Load()
	if in == nil {
		return fmt.Errorf("raftgroup: %s is being opened", g.id)
	}
	if in.raft.State() == raft.Leader {
		return nil
	}
	if !slices.ContainsFunc(configuration(in), func(s raft.Server) bool {
		return s.ID == g.serverID && s.Suffrage == raft.Voter
	}) {
		return fmt.Errorf("raftgroup: this replica of %s does not vote", g.id)
	}
	g.endElection(in)
	in.ep.Inject(&raft.TimeoutNowRequest{RPCHeader: g.header()})
	return nil
}

// endElection makes a follower of a candidate. Raft's candidate takes no notice of
// a TimeoutNow until its election times out, and no leader's entries either once
// it has one. A vote request of its next term, as if of one that gave up, frees it.
//
// A heartbeat makes it a follower by name only: heartbeats pass by Raft's main
// loop, which waits for the election's end until something else comes along, and
// an append from the past is nothing but that.
func (g *group) endElection(in *instance) {
	if in.raft.State() == raft.Candidate {
		in.ep.Inject(&raft.RequestVoteRequest{RPCHeader: g.header(), Term: in.raft.CurrentTerm() + 1})
	} else {
		in.ep.Inject(&raft.AppendEntriesRequest{RPCHeader: g.header()})
	}
}

// CurrentTerm returns the group's term.
func (g *group) CurrentTerm() uint64 { return (*groupPeer)(g).CurrentTerm() }

func (p *groupPeer) CurrentTerm() uint64 {
	if in := p.inst.Load(); in != nil {
		return in.raft.CurrentTerm()
	}
	return 0
}

func (p *groupPeer) StaleTerm() {
	g := (*group)(p)
	if !g.IsLeader() || !g.nudging.CompareAndSwap(false, true) {
		return
	}
	started := g.stop.Go("raft nudge", func(context.Context) {
		defer g.nudging.Store(false)
		_ = g.inst.Load().raft.VerifyLeader().Error() // it steps down by itself
	})
	if !started {
		g.nudging.Store(false)
	}
}

func (p *groupPeer) Leads(term uint64) bool {
	in := p.inst.Load()
	return in != nil && in.raft.State() == raft.Leader && in.raft.CurrentTerm() == term
}

// Durable implements transport.Group.
func (p *groupPeer) Durable() uint64 { return p.log.Durable() }

func (p *groupPeer) IsLeader() bool {
	in := p.inst.Load()
	return in != nil && in.raft.State() == raft.Leader
}

func (p *groupPeer) Leader() ids.NodeID {
	if in := p.inst.Load(); in != nil {
		return (*group)(p).leaderNode(in.raft)
	}
	return 0
}

// Voters answers from the applied configuration: who votes after a change that
// is not committed does not matter for who stands first.
func (p *groupPeer) Voters() []ids.NodeID {
	var out []ids.NodeID
	for _, m := range p.state.Load().Members {
		if !m.Learner {
			out = append(out, m.Node)
		}
	}
	return out
}

func (p *groupPeer) LastLog() (term, index uint64) {
	st := p.state.Load()
	term, index = st.Term, st.Index
	var l raft.Log
	if last, err := p.log.LastIndex(); err == nil && last > index && p.log.GetLog(last, &l) == nil {
		term, index = l.Term, l.Index
	}
	return term, index
}

// seedPatience is how long the child of a split leaves the lead to the child on
// the parent's leaseholder, which campaigns at once.
const seedPatience = time.Second

func (p *groupPeer) MayStand() bool {
	return p.state.Load().Index > SeedIndex || time.Since(p.openedAt) > seedPatience
}

// Campaign lets Raft's election timer fire, if it never heard from a leader, or
// makes the replica stand without asking first.
func (p *groupPeer) Campaign(polite bool) {
	g := (*group)(p)
	if !polite {
		if err := g.Campaign(); err != nil {
			g.h.log.Debug("not standing for election", "range", g.id, "err", err)
		}
		return
	}
	in := g.inst.Load()
	if in == nil {
		return // being opened
	}
	// Lowering the timeout, by however little, restarts Raft's timer at zero.
	r := in.raft
	c := r.ReloadableConfig()
	c.HeartbeatTimeout--
	if err := r.ReloadConfig(c); err != nil {
		g.h.log.Debug("not standing for election", "range", g.id, "err", err)
	}
}

// TakingOver implements transport.Group.
func (p *groupPeer) TakingOver() {
	if in := p.inst.Load(); in != nil {
		(*group)(p).endElection(in)
	}
}

func (p *groupPeer) SendSnapshot(token uint64, w io.Writer) error {
	return (*group)(p).SendSnapshot(token, w)
}

func (p *groupPeer) ReceiveSnapshot(ctx context.Context, h transport.SnapshotHeader, r io.Reader) (uint64, error) {
	return (*group)(p).ReceiveSnapshot(ctx, h, r)
}

package raftgroup

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

// fsm is the group as Raft applies to it.
type fsm group

// answer is the part of an apply batch that one of our entries takes.
type answer struct {
	e     *packed
	first int // its first result
}

// ApplyBatch implements raft.BatchingFSM: one engine batch for all the entries.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	g := (*group)(f)
	// See mayRunAhead: Raft counts the leader's own copy when it is not written yet.
	if g.log.WaitDurable(logs[len(logs)-1].Index) != nil {
		return make([]any, len(logs)) // the process is ending
	}
	g.applyMu.Lock()
	defer g.applyMu.Unlock()
	st := *g.state.Load()
	g.batch.Reset()
	var entries []Entry
	var answers []answer
	from := st.Index
	for _, l := range logs {
		if l.Index <= st.Index {
			continue // in the engine since before a restart, or by a snapshot
		}
		st.Index, st.Term = l.Index, l.Term
		if l.Type == raft.LogConfiguration {
			st.ConfigIndex, st.Members = l.Index, members(raft.DecodeConfiguration(l.Data))
			PutConfig(&g.batch, g.id, st.ConfigIndex, st.Members)
			entries = append(entries, Entry{Index: l.Index, Term: l.Term, Kind: EntryConfig, Members: st.Members})
			continue
		}
		var a answer
		entries, a = g.unpack(entries, l)
		if a.e != nil {
			answers = append(answers, a)
		}
	}
	if st.Index > from {
		results := g.apply(&st, entries)
		g.tell(answers, results, st.Term)
	}
	return make([]any, len(logs))
}

// unpack appends an entry's commands. If it is ours, its proposers are to hear.
func (g *group) unpack(entries []Entry, l *raft.Log) ([]Entry, answer) {
	life, id, rest, ok := packedID(l.Data)
	if !ok {
		panic(fmt.Sprintf("raftgroup: entry %d of %s is malformed", l.Index, g.id))
	}
	a := answer{first: len(entries)}
	if life == g.life {
		a.e = g.prop.applied(id)
	}
	err := decodePacked(rest, func(data []byte, barrier bool) {
		if !barrier {
			entries = append(entries, Entry{Index: l.Index, Term: l.Term, Kind: EntryCommand, Data: data})
		}
	})
	if err != nil {
		panic(fmt.Sprintf("raftgroup: entry %d of %s: %v", l.Index, g.id, err))
	}
	return entries, a
}

// apply writes the effects of entries and the state after them, as one batch.
func (g *group) apply(st *State, entries []Entry) [][]byte {
	var results [][]byte
	if len(entries) > 0 {
		results = g.sm.ApplyBatch(&g.batch, entries)
		if len(results) != len(entries) {
			panic(fmt.Sprintf("raftgroup: %d results for %d entries of %s", len(results), len(entries), g.id))
		}
	}
	v := binary.BigEndian.AppendUint64(make([]byte, 0, 16), st.Index)
	g.batch.Put(g.appliedKey, binary.BigEndian.AppendUint64(v, st.Term))
	g.seq.Store(uint64(g.h.engine.Write(&g.batch)))
	g.setState(*st)
	if len(entries) > 0 {
		g.sm.Applied(entries, results)
	}
	return results
}

// tell sends the next entry off, so that its sync overlaps with the answers, and
// then answers proposers.
func (g *group) tell(answers []answer, results [][]byte, term uint64) {
	dropped := g.prop.settle(term)
	for _, a := range answers {
		at := a.first
		for i := range a.e.cmds {
			c := &a.e.cmds[i]
			if c.barrier {
				c.finish(nil, nil)
				continue
			}
			c.finish(results[at], nil)
			at++
		}
	}
	for _, e := range dropped {
		for i := range e.cmds {
			e.cmds[i].finish(nil, ErrDropped)
		}
	}
}

// members translates Raft's configuration.
func members(c raft.Configuration) []Member {
	ms := make([]Member, 0, len(c.Servers))
	for _, s := range c.Servers {
		n, r := transport.ParseServerID(string(s.ID))
		ms = append(ms, Member{Node: n, Replica: r, Learner: s.Suffrage != raft.Voter})
	}
	return ms
}

func toConfiguration(ms []Member) (c raft.Configuration) {
	for _, m := range ms {
		id := transport.ServerID(m.Node, m.Replica)
		s := raft.Server{Suffrage: raft.Voter, ID: id, Address: raft.ServerAddress(id)}
		if m.Learner {
			s.Suffrage = raft.Nonvoter
		}
		c.Servers = append(c.Servers, s)
	}
	return c
}

// Apply implements raft.FSM; Raft uses ApplyBatch instead.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// Snapshot implements raft.FSM: the state is in the engine already, and has only
// to be flushed up to here.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	return flushPoint{(*group)(f), engine.Seq(f.seq.Load())}, nil
}

// Restore implements raft.FSM. Snapshots are installed around Raft, which then
// starts anew, so it never gets here.
func (f *fsm) Restore(io.ReadCloser) error {
	return fmt.Errorf("raftgroup: unexpected restore of %s", f.id)
}

// flushPoint is a snapshot as far as Raft is concerned.
type flushPoint struct {
	g   *group
	seq engine.Seq
}

// Persist implements raft.FSMSnapshot.
func (p flushPoint) Persist(sink raft.SnapshotSink) error {
	if err := p.g.h.engine.WaitFlushed(p.g.stop.Context(), p.seq); err != nil {
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (flushPoint) Release() {}

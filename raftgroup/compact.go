package raftgroup

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

// Limits of a log.
const (
	// trailingBytes bounds what stays after truncation, where entries are large.
	trailingBytes = 32 << 20
	// compactBytes of log are reason enough to truncate, however few the entries.
	compactBytes = 16 << 20
	// laggardBytes of log are kept for a follower that is behind; past that it
	// gets a snapshot.
	laggardBytes = 64 << 20
	// laggardSilence is how long a follower that does not answer is waited for.
	laggardSilence = 30 * time.Second
)

// compactLoop truncates logs whose state has been flushed.
func (h *host) compactLoop(ctx context.Context) {
	tick := time.NewTicker(h.opts.CompactionInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, g := range h.sorted() {
				if g.wantsCompaction() && g.compact.CompareAndSwap(false, true) {
					started := g.stop.Go("raft log truncation", func(context.Context) {
						defer g.compact.Store(false)
						g.truncate()
					})
					if !started {
						g.compact.Store(false)
					}
				}
			}
		}
	}
}

// wantsCompaction decides on what has been flushed: a log that nothing was
// flushed of cannot shrink.
func (g *group) wantsCompaction() bool {
	first, err := g.log.FirstIndex()
	if err != nil || first == 0 {
		return false
	}
	trailing := g.trailing()
	if g.state.Load().Index < first+trailing {
		return false
	}
	flushed := g.flushedIndex()
	if flushed < first+trailing {
		return false
	}
	return flushed-first > 2*trailing || g.log.Bytes() > compactBytes
}

// trailing returns how many entries stay after truncation.
func (g *group) trailing() uint64 {
	first, _ := g.log.FirstIndex() // cached: no error is possible
	last, _ := g.log.LastIndex()
	n := g.h.opts.TrailingEntries
	if first == 0 || last < first {
		return n
	}
	if each := uint64(g.log.Bytes())/(last-first+1) + 1; n*each > trailingBytes {
		n = max(1, trailingBytes/each)
	}
	return n
}

// truncate makes Raft take a snapshot, which consists of nothing but a wait for
// the flush, and truncate its log.
func (g *group) truncate() {
	r := g.inst.Load().raft
	c := r.ReloadableConfig()
	if c.TrailingLogs = g.trailing(); c.TrailingLogs != 0 {
		if err := r.ReloadConfig(c); err != nil {
			g.h.log.Debug("setting trailing entries", "range", g.id, "err", err)
		}
	}
	if err := r.Snapshot().Error(); err != nil {
		g.h.log.Debug("log not truncated", "range", g.id, "err", err)
	}
}

// keepFrom returns the lowest index that followers still need; the log store asks
// before it truncates.
func (g *group) keepFrom() uint64 {
	in := g.inst.Load()
	const everything = 1 << 62
	if in == nil || in.raft.State() != raft.Leader || g.log.Bytes() > laggardBytes {
		return everything
	}
	keep, term := uint64(everything), in.raft.CurrentTerm()
	for _, m := range g.state.Load().Members {
		if m.Replica == g.self.Replica {
			continue
		}
		a := in.ep.Acked(transport.ServerID(m.Node, m.Replica), term)
		if !a.At.IsZero() && time.Since(a.At) < laggardSilence {
			keep = min(keep, a.Index+1)
		}
	}
	return keep
}

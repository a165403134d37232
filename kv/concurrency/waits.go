package concurrency

import (
	"bytes"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// edgeLife is for how long an edge that another node told of counts, from when it
// was last seen there: the pauses between probes add up along a cycle over
// several nodes.
const edgeLife = 2 * time.Second

// Waits is a node's graph of who waits for whom, over all its ranges, and of
// what probes from other nodes told.
type Waits struct {
	mu     sync.Mutex
	local  map[ids.TxnID][]*Waiter
	remote map[ids.TxnID]map[ids.TxnID]remoteEdge
}

type remoteEdge struct {
	start hlc.Timestamp
	seen  time.Time
}

func (e *remoteEdge) alive(now time.Time) bool { return now.Sub(e.seen) < edgeLife }

// NewWaits returns an empty graph.
func NewWaits() *Waits {
	return &Waits{local: make(map[ids.TxnID][]*Waiter), remote: make(map[ids.TxnID]map[ids.TxnID]remoteEdge)}
}

// Suspicion is when a deadlock was first seen through edges of other nodes, or zero.
type Suspicion struct{ since time.Time }

// Add enters a waiter, with the suspicion that its batch already had.
func (g *Waits) Add(w *Waiter, s Suspicion) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.suspected = s
	g.local[w.txn.ID] = append(g.local[w.txn.ID], w)
}

// Remove takes a waiter out of the graph and returns its suspicion.
func (g *Waits) Remove(w *Waiter) Suspicion {
	g.mu.Lock()
	defer g.mu.Unlock()
	ws := g.local[w.txn.ID]
	for i, o := range ws {
		if o == w {
			ws = append(ws[:i], ws[i+1:]...)
			break
		}
	}
	if len(ws) == 0 {
		delete(g.local, w.txn.ID)
	} else {
		g.local[w.txn.ID] = ws
	}
	return w.suspected
}

// AddRemote enters edges that a probe brought, with the age that they have: what
// nodes tell each other again and again must not stay young by that.
func (g *Waits) AddRemote(edges []api.WaitEdge) {
	if len(edges) == 0 {
		return
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, out := range g.remote {
		for b, e := range out {
			if !e.alive(now) {
				delete(out, b)
			}
		}
		if len(out) == 0 {
			delete(g.remote, id)
		}
	}
	for _, e := range edges {
		if g.remote[e.Waiter] == nil {
			g.remote[e.Waiter] = make(map[ids.TxnID]remoteEdge)
		}
		seen := now.Add(-time.Duration(e.AgeNanos))
		if old, ok := g.remote[e.Waiter][e.Blocker]; !ok || old.seen.Before(seen) {
			g.remote[e.Waiter][e.Blocker] = remoteEdge{e.StartTS, seen}
		}
	}
}

// edge is one step of the graph as a walk sees it.
type edge struct {
	api.WaitEdge
	remote bool
}

// edges returns what a transaction waits for; of what other nodes told, only what
// was seen there after a time. The mutex is held.
func (g *Waits) edges(id ids.TxnID, now, after time.Time) []edge {
	var out []edge
	for _, w := range g.local[id] {
		bs, _ := w.Blockers()
		for i := range bs {
			out = append(out, edge{api.WaitEdge{Waiter: id, Blocker: bs[i].Txn.ID, StartTS: w.txn.StartTS}, false})
		}
	}
	for b, e := range g.remote[id] {
		if e.alive(now) && e.seen.After(after) {
			age := int64(max(0, now.Sub(e.seen)))
			out = append(out, edge{api.WaitEdge{Waiter: id, Blocker: b, StartTS: e.start, AgeNanos: age}, true})
		}
	}
	return out
}

// LeadingTo returns the edges on paths that end at a transaction.
func (g *Waits) LeadingTo(id ids.TxnID) []api.WaitEdge {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	into := make(map[ids.TxnID][]api.WaitEdge)
	add := func(from ids.TxnID) {
		for _, e := range g.edges(from, now, time.Time{}) {
			into[e.Blocker] = append(into[e.Blocker], e.WaitEdge)
		}
	}
	for from := range g.local {
		add(from)
	}
	for from := range g.remote {
		if g.local[from] == nil {
			add(from)
		}
	}
	var out []api.WaitEdge
	seen := map[ids.TxnID]bool{id: true}
	for todo := []ids.TxnID{id}; len(todo) > 0; todo = todo[1:] {
		for _, e := range into[todo[0]] {
			out = append(out, e)
			if !seen[e.Waiter] {
				seen[e.Waiter] = true
				todo = append(todo, e.Waiter)
			}
		}
	}
	return out
}

// Check looks for a cycle through w's transaction. It reports whether w must
// give way; a younger member that waits on this node is told itself, and one on
// another node finds the cycle there.
//
// Edges of other nodes may be no more: a queue that moved with its range's lease
// has another order, for one, and old and new edges look like a cycle. So a cycle
// over nodes counts once all its edges have been seen after it was suspected.
func (g *Waits) Check(w *Waiter) bool {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	path := g.cycle(w.txn.ID, now, w.suspected.since)
	if path == nil {
		if !w.suspected.since.IsZero() && g.cycle(w.txn.ID, now, time.Time{}) == nil {
			w.suspected = Suspicion{}
		}
		return false
	}
	remote := false
	victim := path[0].WaitEdge
	for _, e := range path {
		remote = remote || e.remote
		if younger(e.WaitEdge, victim) {
			victim = e.WaitEdge
		}
	}
	if remote && w.suspected.since.IsZero() {
		w.suspected.since = now
		return false
	}
	if victim.Waiter == w.txn.ID {
		return true
	}
	for _, v := range g.local[victim.Waiter] {
		v.table.mu.Lock()
		if v.result == Waiting {
			v.finish(Victim)
			v.table.dequeue(v)
		}
		v.table.mu.Unlock()
	}
	return false
}

// Suspects reports whether w seems to be part of a deadlock that is not certain yet.
func (g *Waits) Suspects(w *Waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !w.suspected.since.IsZero()
}

// younger orders the members of a cycle: everybody must choose the same victim.
func younger(a, b api.WaitEdge) bool {
	if c := a.StartTS.Compare(b.StartTS); c != 0 {
		return c > 0
	}
	return bytes.Compare(a.Waiter[:], b.Waiter[:]) > 0
}

// cycle returns a path of edges from a transaction back to itself, or nil. Those of
// other nodes count if they were seen there after a time.
func (g *Waits) cycle(id ids.TxnID, now, after time.Time) []edge {
	seen := make(map[ids.TxnID]bool)
	var path []edge
	var walk func(ids.TxnID) bool
	walk = func(at ids.TxnID) bool {
		for _, e := range g.edges(at, now, after) {
			if e.Blocker == id {
				path = append(path, e)
				return true
			}
			if seen[e.Blocker] {
				continue
			}
			seen[e.Blocker] = true
			path = append(path, e)
			if walk(e.Blocker) {
				return true
			}
			path = path[:len(path)-1]
		}
		return false
	}
	if walk(id) {
		return path
	}
	return nil
}

package concurrency

import (
	"bytes"
	"context"
	"hash/maphash"
	"sync"

	"github.com/pamirdb/pamir/pkg/hlc"
)

// hashSeed is per process: hashes never leave it.
var hashSeed = maphash.MakeSeed()

// Hash returns the hash by which latches, locks and reads of a key are found.
func Hash(key []byte) uint64 { return maphash.Bytes(hashSeed, key) }

// Latch is one span that a request needs to itself. Reads do not conflict with
// each other, nor with writes above their timestamp; a write with a zero
// timestamp conflicts with every read.
type Latch struct {
	Start, End []byte // nil End: the key Start
	TS         hlc.Timestamp
	Write      bool

	hash  uint64
	guard *Guard
	next  *Latch
}

// Guard is a request's set of latches.
type Guard struct {
	Latches []Latch
	// freed is closed when the guard is released; it exists only once somebody
	// waits.
	freed    chan struct{}
	inserted bool
}

// Point adds a latch on one key.
func (g *Guard) Point(key []byte, hash uint64, ts hlc.Timestamp, write bool) {
	g.Latches = append(g.Latches, Latch{Start: key, hash: hash, TS: ts, Write: write})
}

// Span adds a latch on [start, end).
func (g *Guard) Span(start, end []byte, ts hlc.Timestamp, write bool) {
	g.Latches = append(g.Latches, Latch{Start: start, End: end, TS: ts, Write: write})
}

// Reset empties a released guard for reuse.
func (g *Guard) Reset() {
	clear(g.Latches)
	*g = Guard{Latches: g.Latches[:0]}
}

// latches is a range's set of latches, held and waiting.
type latches struct {
	mu     sync.Mutex
	points map[uint64]*Latch
	spans  []*Latch
}

func conflict(a, b *Latch) bool {
	switch {
	case a.guard == b.guard || !a.Write && !b.Write:
		return false
	case a.Write && b.Write:
		return true
	case a.Write:
		return a.TS.LessEq(b.TS)
	}
	return b.TS.LessEq(a.TS)
}

func overlap(a, b *Latch) bool {
	switch {
	case a.End == nil && b.End == nil:
		return bytes.Equal(a.Start, b.Start)
	case a.End == nil:
		return bytes.Compare(b.Start, a.Start) <= 0 && bytes.Compare(a.Start, b.End) < 0
	case b.End == nil:
		return bytes.Compare(a.Start, b.Start) <= 0 && bytes.Compare(b.Start, a.End) < 0
	}
	return bytes.Compare(a.Start, b.End) < 0 && bytes.Compare(b.Start, a.End) < 0
}

// before calls f for each latch in the set that conflicts with l.
func (m *latches) before(l *Latch, f func(*Guard)) {
	if l.End == nil {
		for o := m.points[l.hash]; o != nil; o = o.next {
			if conflict(o, l) && overlap(o, l) {
				f(o.guard)
			}
		}
	} else {
		for _, o := range m.points {
			for ; o != nil; o = o.next {
				if conflict(o, l) && overlap(o, l) {
					f(o.guard)
				}
			}
		}
	}
	for _, o := range m.spans {
		if conflict(o, l) && overlap(o, l) {
			f(o.guard)
		}
	}
}

// acquire puts g's latches into the set and waits for those before them. When
// ctx ends first the latches are withdrawn.
func (m *latches) acquire(ctx context.Context, g *Guard) error {
	var waits []chan struct{}
	m.mu.Lock()
	for i := range g.Latches {
		l := &g.Latches[i]
		l.guard = g
		m.before(l, func(o *Guard) { waits = append(waits, o.waitChan()) })
	}
	for i := range g.Latches {
		m.insert(&g.Latches[i])
	}
	g.inserted = true
	m.mu.Unlock()
	for _, c := range waits {
		select {
		case <-c:
		case <-ctx.Done():
			m.release(g)
			return context.Cause(ctx)
		}
	}
	return nil
}

// waitChan is called under the set's mutex.
func (g *Guard) waitChan() chan struct{} {
	if g.freed == nil {
		g.freed = make(chan struct{})
	}
	return g.freed
}

func (m *latches) insert(l *Latch) {
	if l.End != nil {
		m.spans = append(m.spans, l)
		return
	}
	l.next = m.points[l.hash]
	m.points[l.hash] = l
}

func (m *latches) release(g *Guard) {
	m.mu.Lock()
	if !g.inserted {
		m.mu.Unlock()
		return
	}
	for i := range g.Latches {
		m.remove(&g.Latches[i])
	}
	g.inserted = false
	if g.freed != nil {
		close(g.freed)
		g.freed = nil
	}
	m.mu.Unlock()
}

func (m *latches) remove(l *Latch) {
	if l.End != nil {
		for i, o := range m.spans {
			if o == l {
				last := len(m.spans) - 1
				m.spans[i], m.spans[last] = m.spans[last], nil
				m.spans = m.spans[:last]
				return
			}
		}
		return
	}
	head := m.points[l.hash]
	if head == l {
		if l.next == nil {
			delete(m.points, l.hash)
		} else {
			m.points[l.hash] = l.next
		}
		return
	}
	for p := head; p != nil; p = p.next {
		if p.next == l {
			p.next = l.next
			return
		}
	}
}

// pending returns what to wait for before a key may be read at ts: a write under
// way, or nil.
func (m *latches) pending(key []byte, hash uint64, ts hlc.Timestamp) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.points) == 0 && len(m.spans) == 0 {
		return nil
	}
	for o := m.points[hash]; o != nil; o = o.next {
		if o.Write && o.TS.LessEq(ts) && bytes.Equal(o.Start, key) {
			return o.guard.waitChan()
		}
	}
	for _, o := range m.spans {
		if o.Write && o.TS.LessEq(ts) && bytes.Compare(o.Start, key) <= 0 && bytes.Compare(key, o.End) < 0 {
			return o.guard.waitChan()
		}
	}
	return nil
}

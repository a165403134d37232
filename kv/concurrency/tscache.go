package concurrency

import (
	"bytes"
	"sync"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/tidwall/btree"
)

// Bounds of one generation of the timestamp cache.
const (
	maxReadPoints = 16384
	maxReadSpans  = 2048
)

// read is the latest read of something, and whose it was (zero: several, or
// nobody's).
type read struct {
	ts hlc.Timestamp
	id ids.TxnID
}

// merge keeps the later read; two readers at one timestamp become nobody.
func (r read) merge(o read) read {
	switch c := r.ts.Compare(o.ts); {
	case c < 0:
		return o
	case c == 0 && r.id != o.id:
		return read{ts: r.ts}
	}
	return r
}

// segment is one interval of the span cache; segments of a tree are disjoint.
type segment struct {
	start, end []byte
	read
}

func segmentLess(a, b segment) bool { return bytes.Compare(a.start, b.start) < 0 }

// generation is one age of the cache. The older of two is read only.
type generation struct {
	points map[uint64]read
	spans  *btree.BTreeG[segment]
	latest hlc.Timestamp
}

func newGeneration() *generation {
	return &generation{
		points: make(map[uint64]read),
		spans:  btree.NewBTreeGOptions(segmentLess, btree.Options{NoLocks: true, Degree: 16}),
	}
}

// tsCache remembers the latest read of each key, so that writes land above it.
// Points are kept by hash: a collision only moves a write needlessly. What falls
// out raises the low-water mark.
type tsCache struct {
	mu       sync.Mutex
	low      hlc.Timestamp
	cur, old *generation
}

func newTSCache() *tsCache { return &tsCache{cur: newGeneration(), old: newGeneration()} }

func (c *tsCache) rotate() {
	c.low = c.low.Forward(c.old.latest)
	c.old, c.cur = c.cur, newGeneration()
}

// addPoint notes a read of one key.
func (c *tsCache) addPoint(hash uint64, ts hlc.Timestamp, id ids.TxnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ts.LessEq(c.low) {
		return
	}
	was, ok := c.cur.points[hash]
	if !ok && len(c.cur.points) >= maxReadPoints {
		c.rotate()
	}
	now := was.merge(read{ts, id})
	if now != was {
		c.cur.points[hash] = now
		c.cur.latest = c.cur.latest.Forward(ts)
	}
}

// addSpan notes a read of [start, end).
func (c *tsCache) addSpan(start, end []byte, ts hlc.Timestamp, id ids.TxnID) {
	if bytes.Compare(start, end) >= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ts.LessEq(c.low) {
		return
	}
	if c.cur.spans.Len() >= maxReadSpans {
		c.rotate()
	}
	c.cur.latest = c.cur.latest.Forward(ts)
	n := read{ts, id}
	// Cut what overlaps at the new bounds, then fill the gaps between.
	var hit []segment
	t := c.cur.spans
	t.Descend(segment{start: start}, func(s segment) bool {
		if bytes.Compare(s.end, start) > 0 {
			hit = append(hit, s)
		}
		return false
	})
	t.Ascend(segment{start: start}, func(s segment) bool {
		if bytes.Compare(s.start, end) >= 0 {
			return false
		}
		if len(hit) == 0 || !bytes.Equal(hit[len(hit)-1].start, s.start) {
			hit = append(hit, s)
		}
		return true
	})
	if len(hit) == 1 && bytes.Equal(hit[0].start, start) && bytes.Equal(hit[0].end, end) {
		// The usual case: the same span again.
		t.Set(segment{hit[0].start, hit[0].end, hit[0].merge(n)})
		return
	}
	own := append(append(make([]byte, 0, len(start)+len(end)), start...), end...)
	start, end = own[:len(start):len(start)], own[len(start):]
	at := start
	put := func(from, to []byte, r read) {
		if bytes.Compare(from, to) < 0 {
			t.Set(segment{from, to, r})
		}
	}
	for _, s := range hit {
		t.Delete(s)
		put(s.start, start, s.read)
		lo, hi := s.start, s.end
		if bytes.Compare(lo, start) < 0 {
			lo = start
		}
		if bytes.Compare(hi, end) > 0 {
			hi = end
		}
		put(at, lo, n)
		put(lo, hi, s.merge(n))
		put(end, s.end, s.read)
		at = hi
	}
	put(at, end, n)
}

// get returns the latest read of a key that a write by id at the given timestamp
// must land above: reads by others, and its own at a later snapshot that it gave
// up again.
func (c *tsCache) get(key []byte, hash uint64, id ids.TxnID, at hlc.Timestamp) hlc.Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := read{ts: c.low}
	for _, g := range [2]*generation{c.cur, c.old} {
		if p, ok := g.points[hash]; ok {
			r = r.merge(p)
		}
		if g.spans.Len() > 0 {
			g.spans.Descend(segment{start: key}, func(s segment) bool {
				if bytes.Compare(key, s.end) < 0 {
					r = r.merge(s.read)
				}
				return false
			})
		}
	}
	if r.id == id && !id.IsZero() && r.ts.LessEq(at) {
		// The transaction's own read hides older ones, which lie below its
		// snapshot and so below its write.
		return hlc.Timestamp{}
	}
	return r.ts
}

// latest returns an upper bound of everything read.
func (c *tsCache) latest() hlc.Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.low.Forward(c.cur.latest).Forward(c.old.latest)
}

// raise makes every key count as read at ts.
func (c *tsCache) raise(ts hlc.Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.low = c.low.Forward(ts)
}

// copyTo makes o hold at least what c holds.
func (c *tsCache) copyTo(o *tsCache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.low = o.low.Forward(c.low)
	for i, g := range [2]*generation{c.old, c.cur} {
		to := o.old
		if i == 1 {
			to = o.cur
		}
		for h, r := range g.points {
			to.points[h] = to.points[h].merge(r)
		}
		if to.spans.Len() == 0 {
			to.spans = g.spans.Copy()
		} else if g.spans.Len() > 0 {
			// Both halves had reads of their own: be safe rather than exact.
			o.low = o.low.Forward(g.latest)
		}
		to.latest = to.latest.Forward(g.latest)
	}
}

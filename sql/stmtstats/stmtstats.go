// Package stmtstats counts statements by fingerprint: how often they run, how
// long they take, how often they fail.
//
// It owns the figures and their bounds; it refuses to normalize statements.
//
// Invariants:
//  1. Recording takes one short lock of one shard and allocates nothing for a
//     statement that is known.
//  2. At most maxStatements are kept; what comes later counts as «other».
package stmtstats

import (
	"hash/maphash"
	"math/bits"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxStatements = 5000
	shards        = 16
	buckets       = 40 // by powers of two of nanoseconds
	window        = 10 // seconds that a rate looks back
)

// Stat is a statement's figures.
type Stat struct {
	Fingerprint, Database        string
	Calls, Errors, Rows, Retries int64
	Mean, P50, P99               time.Duration
	// Rate is calls a second over the last seconds.
	Rate float64
}

type key struct{ fingerprint, database string }

type entry struct {
	calls, errors, rows, retries int64
	total                        time.Duration
	hist                         [buckets]uint32
	perSecond                    [window]uint32
	second                       int64
}

type shard struct {
	mu sync.Mutex
	m  map[key]*entry
}

// Collector collects figures; it is safe for concurrent use.
type Collector struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [shards]shard
	start  time.Time
}

// New returns an empty collector.
func New() *Collector {
	c := &Collector{seed: maphash.MakeSeed(), start: time.Now()}
	for i := range c.shards {
		c.shards[i].m = map[key]*entry{}
	}
	return c
}

// Record counts one execution.
func (c *Collector) Record(fingerprint, database string, d time.Duration, rows int64, failed bool, retries int) {
	now := int64(time.Since(c.start) / time.Second)
	s := &c.shards[maphash.String(c.seed, fingerprint)%shards]
	k := key{fingerprint, database}
	s.mu.Lock()
	e := s.m[k]
	if e == nil {
		if c.count.Add(1) > maxStatements {
			c.count.Add(-1)
			k = key{"other", ""}
			e = s.m[k]
		}
		if e == nil {
			e = &entry{}
			s.m[k] = e
		}
	}
	e.add(now, d, rows, failed, retries)
	s.mu.Unlock()
}

func (e *entry) add(now int64, d time.Duration, rows int64, failed bool, retries int) {
	e.calls++
	e.rows += rows
	e.retries += int64(retries)
	if failed {
		e.errors++
	}
	e.total += d
	e.hist[min(bits.Len64(uint64(max(d, 0))), buckets-1)]++
	e.roll(now)
	e.perSecond[now%window]++
}

// roll empties the seconds that have passed since the last call.
func (e *entry) roll(now int64) {
	for t := max(e.second+1, now-window+1); t <= now; t++ {
		e.perSecond[t%window] = 0
	}
	e.second = max(e.second, now)
}

func (e *entry) stat(k key, now int64) Stat {
	e.roll(now)
	var recent uint32
	for _, n := range e.perSecond {
		recent += n
	}
	s := Stat{Fingerprint: k.fingerprint, Database: k.database, Calls: e.calls, Errors: e.errors, Rows: e.rows, Retries: e.retries,
		P50: e.quantile(0.5), P99: e.quantile(0.99), Rate: float64(recent) / float64(min(window, now+1))}
	if e.calls > 0 {
		s.Mean = e.total / time.Duration(e.calls)
	}
	return s
}

// quantile estimates from the histogram: the middle of the bucket.
func (e *entry) quantile(q float64) time.Duration {
	want := int64(q * float64(e.calls))
	for i, n := range e.hist {
		if want -= int64(n); want < 0 {
			if i == 0 {
				return 0
			}
			return time.Duration(3) << (i - 1) / 2
		}
	}
	return 0
}

// Snapshot returns all figures, most calls first.
func (c *Collector) Snapshot() []Stat {
	now := int64(time.Since(c.start) / time.Second)
	var out []Stat
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for k, e := range s.m {
			out = append(out, e.stat(k, now))
		}
		s.mu.Unlock()
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Calls != out[j].Calls {
			return out[i].Calls > out[j].Calls
		}
		return out[i].Fingerprint < out[j].Fingerprint
	})
	return out
}

// Totals adds up all statements.
func (c *Collector) Totals() Stat {
	var t Stat
	for _, s := range c.Snapshot() {
		t.Calls += s.Calls
		t.Errors += s.Errors
		t.Rows += s.Rows
		t.Retries += s.Retries
		t.Rate += s.Rate
	}
	return t
}

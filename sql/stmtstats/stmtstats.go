package stmtstats

import (
	"math/bits"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// MaxStatements bounds how many statements are told apart.
const MaxStatements = 5000

// Other is the text under which statements past the bound are counted.
const Other = "(other statements)"

// window is how many seconds a rate looks back.
const window = 10

// buckets of latencies: powers of two of microseconds, each in four parts.
const (
	subBuckets = 4
	nBuckets   = 36 * subBuckets
)

// Stat is the figures of one statement.
type Stat struct {
	Query, Database     string
	Calls, Errors, Rows int64
	Retries             int64
	Mean, P50, P99      time.Duration
	Rate                float64 // calls per second over the last seconds
}

type key struct{ query, database string }

// Entry is the counters of one statement.
type Entry struct {
	calls, errors, rows, retries, nanos atomic.Int64
	hist                                [nBuckets]atomic.Uint32
	// ring counts calls by second; a slot belongs to the second in its stamp.
	ring [window + 2]slot
}

type slot struct{ second, calls atomic.Int64 }

// Collector counts. Its methods are safe for concurrent use.
type Collector struct {
	entries sync.Map // key -> *Entry
	count   atomic.Int64
	start   time.Time
	total   Entry
}

// New returns an empty collector.
func New() *Collector { return &Collector{start: time.Now()} }

// Record counts one execution of a statement, which ended at end and took d.
func (c *Collector) Record(e *Entry, end time.Time, d time.Duration, rows int64, failed bool, retries int) {
	second := int64(end.Sub(c.start) / time.Second)
	e.add(second, d, rows, failed, retries)
	c.total.add(second, d, rows, failed, retries)
}

// Find returns the counters of a statement. They stay the same: a plan keeps
// them.
func (c *Collector) Find(query, database string) *Entry {
	k := key{query, database}
	if e, ok := c.entries.Load(k); ok {
		return e.(*Entry)
	}
	if c.count.Load() >= MaxStatements {
		k = key{Other, ""}
	}
	e, loaded := c.entries.LoadOrStore(k, &Entry{})
	if !loaded {
		c.count.Add(1)
	}
	return e.(*Entry)
}

func (e *Entry) add(second int64, d time.Duration, rows int64, failed bool, retries int) {
	e.calls.Add(1)
	e.nanos.Add(int64(d))
	if rows != 0 {
		e.rows.Add(rows)
	}
	if failed {
		e.errors.Add(1)
	}
	if retries != 0 {
		e.retries.Add(int64(retries))
	}
	e.hist[bucket(d)].Add(1)
	s := &e.ring[second%int64(len(e.ring))]
	if old := s.second.Load(); old != second && s.second.CompareAndSwap(old, second) {
		s.calls.Store(0)
	}
	s.calls.Add(1)
}

// bucket maps a latency to its place in the histogram.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	exp := bits.Len64(us) - 1
	sub := 0
	if exp >= 2 {
		sub = int(us>>(exp-2)) & (subBuckets - 1)
	}
	return min(exp*subBuckets+sub, nBuckets-1)
}

// upper is the largest latency of a bucket.
func upper(b int) time.Duration {
	exp, sub := b/subBuckets, b%subBuckets
	if exp < 2 {
		return time.Duration(uint64(2)<<exp-1) * time.Microsecond
	}
	return time.Duration((uint64(subBuckets+sub+1)<<(exp-2))-1) * time.Microsecond
}

// rate is the calls per second of the last whole seconds.
func (e *Entry) rate(now int64) float64 {
	var n int64
	for i := range e.ring {
		if s := e.ring[i].second.Load(); s < now && s >= now-window {
			n += e.ring[i].calls.Load()
		}
	}
	return float64(n) / float64(min(window, max(now, 1)))
}

func (e *Entry) stat(now int64) Stat {
	s := Stat{Calls: e.calls.Load(), Errors: e.errors.Load(), Rows: e.rows.Load(), Retries: e.retries.Load(), Rate: e.rate(now)}
	if s.Calls > 0 {
		s.Mean = time.Duration(e.nanos.Load() / s.Calls)
	}
	s.P50, s.P99 = e.quantile(0.5), e.quantile(0.99)
	return s
}

func (e *Entry) quantile(q float64) time.Duration {
	var total int64
	var counts [nBuckets]int64
	for i := range e.hist {
		counts[i] = int64(e.hist[i].Load())
		total += counts[i]
	}
	want := int64(q*float64(total)) + 1
	var sum int64
	for i, n := range counts {
		if sum += n; n > 0 && sum >= min(want, total) {
			return upper(i)
		}
	}
	return 0
}

// Snapshot returns the figures, those with the most time spent first.
func (c *Collector) Snapshot() []Stat {
	now := int64(time.Since(c.start) / time.Second)
	var out []Stat
	c.entries.Range(func(k, v any) bool {
		s := v.(*Entry).stat(now)
		s.Query, s.Database = k.(key).query, k.(key).database
		out = append(out, s)
		return true
	})
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		x, y := a.Mean*time.Duration(a.Calls), b.Mean*time.Duration(b.Calls)
		if x != y {
			return x > y
		}
		return a.Query < b.Query
	})
	return out
}

// Total returns the figures of all statements together.
func (c *Collector) Total() Stat { return c.total.stat(int64(time.Since(c.start) / time.Second)) }

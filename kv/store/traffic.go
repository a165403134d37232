package store

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

const (
	// BusyRate is how many batches a second a gateway sends at least to a range
	// that it is said to use.
	BusyRate = 20
	// trafficHalfLife is how fast rates forget. A look sooner than minLook after
	// the last one would see noise.
	trafficHalfLife = 5 * time.Second
	minLook         = 500 * time.Millisecond
	// gatewaySlots is how many gateways a range tells apart.
	gatewaySlots = 8
)

// Traffic is who uses a range, as its leaseholder sees it. Batches are what
// counts, not rows or bytes: each one from another node is a round trip.
type Traffic struct {
	// Gateways are the nodes that send batches.
	Gateways []Gateway
	// Total is batches per second of all gateways.
	Total float64
	// Held is for how long this lease has been looked at; zero means that nothing
	// is known yet.
	Held time.Duration
}

// Gateway is one node's share of a range's traffic.
type Gateway struct {
	Node ids.NodeID
	// Rate is batches per second, decaying.
	Rate float64
	// Steady is for how long the node has sent at least BusyRate without a pause.
	Steady time.Duration
}

// From returns what one node sends.
func (t *Traffic) From(n ids.NodeID) Gateway {
	for _, g := range t.Gateways {
		if g.Node == n {
			return g
		}
	}
	return Gateway{Node: n}
}

// Most returns the node that sends the most.
func (t *Traffic) Most() (most Gateway) {
	for _, g := range t.Gateways {
		if g.Rate > most.Rate {
			most = g
		}
	}
	return most
}

// traffic counts a range's batches by gateway, without a lock, and makes rates of
// the counts when somebody looks.
type traffic struct {
	slots [gatewaySlots]struct{ node, batches atomic.Int64 }
	// rest counts the batches of gateways that have found no slot.
	rest atomic.Int64

	// mu guards what looks keep: sums of batches and weight, the sum of seconds,
	// decay alike, so that their quotient is right from the first look on.
	mu          sync.Mutex
	lease       uint64
	since, last time.Time
	sums        []gatewaySum
	restSum     float64
	weight      float64
}

type gatewaySum struct {
	node    ids.NodeID
	batches float64
	fresh   int64 // counted since the last look
	steady  time.Duration
}

// count notes a batch; those without a gateway are the cluster's own business.
func (t *traffic) count(gateway ids.NodeID) {
	if gateway == 0 {
		return
	}
	n := int64(gateway)
	for i := range int64(gatewaySlots) {
		s := &t.slots[uint64(n+i)%gatewaySlots]
		if s.node.Load() == n || s.node.CompareAndSwap(0, n) || s.node.Load() == n {
			s.batches.Add(1)
			return
		}
	}
	t.rest.Add(1)
}

// look returns the rates under a lease. What was counted under another is
// forgotten: the holder was another one then, or had lost touch.
func (t *traffic) look(now time.Time, lease uint64) Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	if lease != t.lease {
		t.collect(0)
		t.lease, t.since, t.last = lease, now, now
		t.sums, t.restSum, t.weight = t.sums[:0], 0, 0
	}
	if d := now.Sub(t.last); d >= minLook {
		t.last = now
		t.collect(d)
	}
	if t.weight == 0 {
		return Traffic{}
	}
	out := Traffic{Held: t.last.Sub(t.since), Total: t.restSum / t.weight}
	for _, s := range t.sums {
		g := Gateway{Node: s.node, Rate: s.batches / t.weight, Steady: s.steady}
		out.Gateways = append(out.Gateways, g)
		out.Total += g.Rate
	}
	return out
}

// collect takes the counts of the last d into the sums; the caller holds mu.
func (t *traffic) collect(d time.Duration) {
	fade := math.Exp2(-float64(d) / float64(trafficHalfLife))
	rest := t.rest.Swap(0)
	t.restSum = t.restSum*fade + float64(rest)
	t.weight = t.weight*fade + d.Seconds()
	least, idlest := int64(math.MaxInt64), 0
	for i := range t.slots {
		s := &t.slots[i]
		node := s.node.Load()
		if node == 0 {
			continue
		}
		n := s.batches.Swap(0)
		if n < least {
			least, idlest = n, i
		}
		if n > 0 {
			t.sum(ids.NodeID(node)).fresh += n
		} else {
			// A batch counted just now goes to whoever has the slot next: one is
			// nothing to a rate.
			s.node.Store(0)
		}
	}
	if rest > 0 {
		// Somebody busier may be without a slot.
		t.slots[idlest].node.Store(0)
	}
	kept := t.sums[:0]
	for _, s := range t.sums {
		if s.steady += d; float64(s.fresh) < BusyRate*d.Seconds() {
			s.steady = 0
		}
		s.batches, s.fresh = s.batches*fade+float64(s.fresh), 0
		if s.batches > 0.01 {
			kept = append(kept, s)
		}
	}
	t.sums = kept
}

// sum finds or makes a node's sum.
func (t *traffic) sum(n ids.NodeID) *gatewaySum {
	for i := range t.sums {
		if t.sums[i].node == n {
			return &t.sums[i]
		}
	}
	t.sums = append(t.sums, gatewaySum{node: n})
	return &t.sums[len(t.sums)-1]
}

// Traffic returns who uses the range, for a leaseholder that looks now and then.
// The ranges that liveness stands on have no traffic that a lease should follow.
func (r *Replica) Traffic() Traffic {
	s := r.cur.Load()
	if s == nil {
		return Traffic{}
	}
	t := r.traffic.look(time.Now(), s.lease.Seq)
	if r.byExpiration() {
		return Traffic{Held: t.Held}
	}
	return t
}

// count notes a batch that this leaseholder serves.
func (r *Replica) count(ba *api.BatchRequest) {
	r.load.count(ba)
	r.traffic.count(ba.Gateway)
}

package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
)

// workload is what an imaginary cluster's clients do, and what it costs. A turn is
// a second.
type workload struct {
	turn int
	// gatewayCost and leaseCost are the share of a node's processors that a batch
	// a second costs where it comes from and where it is evaluated.
	gatewayCost, leaseCost float64
	cpu                    map[ids.NodeID]*imaginedCPU
	// followAt and followed are each manager's memory.
	followAt map[ids.NodeID]int
	followed map[ids.NodeID]map[ids.RangeID]followed
	follows  int
}

// imaginedCPU is the load now, as the node itself sees it and as others hear of it.
type imaginedCPU struct{ really, now, lately float64 }

// usage is what clients do with a range.
type usage struct {
	// from is batches per second from each gateway, since a turn.
	from  map[ids.NodeID]float64
	since int
	// heldSince is the turn in which the holder got the lease; moves counts the
	// lease's moves.
	heldSince, moves int
}

func newWorkload() workload {
	return workload{cpu: map[ids.NodeID]*imaginedCPU{}, followAt: map[ids.NodeID]int{}, followed: map[ids.NodeID]map[ids.RangeID]followed{}}
}

func (w *workload) now() time.Time { return time.Unix(int64(w.turn), 0) }

// load sets what clients do with a range from now on.
func (w *world) load(r *imagined, from map[ids.NodeID]float64) {
	r.use.from, r.use.since = from, w.work.turn
	r.use.moves = 0
}

// run lets the workload run for a turn.
func (w *world) run() {
	w.work.turn++
	really := map[ids.NodeID]float64{}
	for _, r := range w.ranges {
		for n, rate := range r.use.from {
			really[n] += rate * w.work.gatewayCost
			really[r.holder] += rate * w.work.leaseCost
		}
	}
	for i := range w.nodes {
		n := &w.nodes[i]
		c := w.work.cpu[n.ID]
		if c == nil {
			c = &imaginedCPU{}
			w.work.cpu[n.ID] = c
		}
		c.really = min(really[n.ID], 1)
		c.now += (c.really - c.now) * 0.2
		c.lately = max(c.now, c.lately+(c.now-c.lately)*0.05)
		n.CPU = c.lately
	}
}

// used is what a range's leaseholder sees: the real rates, give or take some.
func (w *world) used(r *imagined) *Use {
	u := &Use{Traffic: store.Traffic{Held: time.Duration(w.work.turn-r.use.heldSince) * time.Second}, Hold: w.work.followed[r.holder][r.desc.RangeID].hold}
	for n := range w.nodes {
		id := ids.NodeID(n + 1)
		if rate := r.use.from[id]; rate > 0 {
			rate *= 0.9 + 0.2*w.rng.Float64()
			steady := time.Duration(w.work.turn-max(r.use.since, r.use.heldSince)) * time.Second
			u.Gateways = append(u.Gateways, store.Gateway{Node: id, Rate: rate, Steady: steady})
			u.Total += rate
		}
	}
	return u
}

// mayFollow is what a manager keeps in mind about leases that follow.
func (w *world) mayFollow(p *Picture, r *imagined, self, to ids.NodeID) bool {
	if w.work.turn < w.work.followAt[self] {
		return false
	}
	w.work.followAt[self] = w.work.turn + int((p.followPause(to)+time.Second-1)/time.Second)
	if w.work.followed[self] == nil {
		w.work.followed[self] = map[ids.RangeID]followed{}
	}
	w.work.followed[self][r.desc.RangeID] = w.work.followed[self][r.desc.RangeID].again(w.work.now())
	return true
}

func (w *world) moved(r *imagined, a Action) {
	r.holder, r.use.heldSince = a.Transfer, w.work.turn
	r.use.moves++
	if a.Follow {
		w.work.follows++
		if n := w.nodes[a.Transfer-1]; w.told[n.ID-1].CPU > cpuFull {
			w.t.Fatalf("%s follows to %s, which is full: %v", r.desc.RangeID, n.ID, n.CPU)
		}
	}
}

// calm runs turns until nothing has changed for a while, longer than any pause.
func (w *world) calm(most int) {
	w.t.Helper()
	quiet := 0
	for i := range most {
		if quiet++; w.turn() > 0 {
			quiet = 0
		}
		if quiet == 60 {
			w.t.Logf("calm after %d turns", i-60)
			return
		}
	}
	w.t.Fatalf("still changing after %d turns", most)
}

// imaginary is a cluster whose replicas and leases are spread evenly already.
func imaginary(t *testing.T, nodes, ranges int) *world {
	w := newWorld(t, ranges)
	w.nodes[0].Locality = ""
	for range nodes - 1 {
		w.join("")
	}
	for i, r := range w.ranges {
		r.desc.Replicas, r.desc.NextReplica = nil, 4
		stride := 1 + i/nodes%((nodes-1)/2)
		for j := range 3 {
			n := ids.NodeID((i+j*stride)%nodes + 1)
			r.desc.Replicas = append(r.desc.Replicas, api.ReplicaDescriptor{Node: n, Replica: ids.ReplicaID(j + 1)})
		}
		r.holder = r.desc.Replicas[0].Node
	}
	w.calm(200)
	w.checkSpread(3)
	return w
}

// All clients talk to one node: what it has replicas of follows, everything else
// stays, and when the clients are gone the leases spread evenly again.
func TestWorkloadOfOneGateway(t *testing.T) {
	for _, nodes := range []int{3, 5, 30} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			w := imaginary(t, nodes, 10*nodes)
			for _, r := range w.ranges {
				w.load(r, map[ids.NodeID]float64{1: 200})
			}
			w.calm(300)
			for _, r := range w.ranges {
				_, here := r.desc.Replica(1)
				if here && r.holder != 1 || here && r.use.moves > 1 {
					t.Errorf("the lease of %s is with %s after %d moves", r.desc.RangeID, r.holder, r.use.moves)
				}
			}
			for _, r := range w.ranges {
				w.load(r, nil)
			}
			w.calm(300)
			w.checkSpread(3)
		})
	}
}

// Each range has a gateway that it is used from; it may as well be none that has a
// replica.
func TestWorkloadOfManyGateways(t *testing.T) {
	w := imaginary(t, 40, 300)
	for i, r := range w.ranges {
		w.load(r, map[ids.NodeID]float64{ids.NodeID(i%40 + 1): 100, ids.NodeID((i+7)%40 + 1): 20, ids.NodeID((i+9)%40 + 1): 10})
	}
	w.calm(600)
	for i, r := range w.ranges {
		if _, here := r.desc.Replica(ids.NodeID(i%40 + 1)); here && r.holder != ids.NodeID(i%40+1) {
			t.Errorf("the lease of %s is with %s", r.desc.RangeID, r.holder)
		}
	}
	for _, r := range w.ranges {
		w.load(r, nil)
	}
	w.calm(300)
	w.checkSpread(3)
}

// Shares that are about equal move nothing, nor do small rates.
func TestWorkloadWithoutMajority(t *testing.T) {
	for _, from := range []map[ids.NodeID]float64{{1: 500, 2: 500}, {1: 300, 2: 300, 3: 300}, {1: 600, 2: 400}, {1: 30}, {1: 34, 2: 1}} {
		w := imaginary(t, 3, 20)
		for _, r := range w.ranges {
			w.load(r, from)
		}
		w.calm(300)
		if w.work.follows != 0 {
			t.Errorf("%v: %d moves", from, w.work.follows)
		}
		w.checkSpread(3)
	}
}

// More than a node can do is not sent to it; what has outgrown it spreads over the
// others; and either comes to an end.
func TestWorkloadForMoreThanOneNode(t *testing.T) {
	w := imaginary(t, 5, 60)
	w.work.gatewayCost, w.work.leaseCost = 0.4/6000, 0.8/6000
	for _, r := range w.ranges {
		w.load(r, map[ids.NodeID]float64{1: 100})
	}
	peak := 0.0
	for range 300 {
		w.turn()
		peak = max(peak, w.work.cpu[1].really)
	}
	w.count()
	t.Logf("%d leases on the gateway's node, load %.2f, at most %.2f", w.nodes[0].Leases, w.work.cpu[1].really, peak)
	if w.nodes[0].Leases < 18 || peak > cpuHot {
		t.Errorf("%d leases on the gateway's node, load up to %.2f", w.nodes[0].Leases, peak)
	}
	w.calm(600)
	// Now the same clients do more.
	for _, r := range w.ranges {
		w.load(r, map[ids.NodeID]float64{1: 140})
	}
	moves := 0
	for range 1200 {
		moves += w.turn()
	}
	w.count()
	t.Logf("later %d leases, load %.2f, %d moves in 1,200 turns", w.nodes[0].Leases, w.work.cpu[1].really, moves)
	if w.work.cpu[1].really > 0.9 || moves > 60 {
		t.Errorf("%d leases, load %.2f after %d moves", w.nodes[0].Leases, w.work.cpu[1].really, moves)
	}
	w.calm(600)
}

// A range that is too much for its gateway's node goes to and fro less and less.
func TestWorkloadInOneRange(t *testing.T) {
	w := imaginary(t, 3, 12)
	w.work.gatewayCost, w.work.leaseCost = 0.65/3000, 0.3/3000
	w.load(w.ranges[1], map[ids.NodeID]float64{1: 3000})
	for range 3600 {
		w.turn()
	}
	t.Logf("%d moves in an hour", w.ranges[1].use.moves)
	if n := w.ranges[1].use.moves; n == 0 || n > 24 {
		t.Errorf("%d moves in an hour", n)
	}
}

// Clients that change sides all the time do not drag the leases with them.
func TestWorkloadThatChangesSides(t *testing.T) {
	w := imaginary(t, 3, 12)
	moves := 0
	for i := range 120 {
		for _, r := range w.ranges {
			w.load(r, map[ids.NodeID]float64{ids.NodeID(i%2 + 1): 500})
		}
		for range 30 {
			moves += w.turn()
		}
	}
	t.Logf("%d moves of 12 leases in 120 changes of side", moves)
	if moves > 12*20 {
		t.Errorf("%d moves of 12 leases in 120 changes of side", moves)
	}
}

func TestFollow(t *testing.T) {
	desc := &api.RangeDescriptor{RangeID: 7, Replicas: []api.ReplicaDescriptor{{Node: 1, Replica: 1}, {Node: 2, Replica: 2}, {Node: 3, Replica: 3}}}
	many := 5 * time.Minute
	gw := func(n ids.NodeID, rate float64, steady time.Duration) store.Gateway {
		return store.Gateway{Node: n, Rate: rate, Steady: steady}
	}
	for _, c := range []struct {
		name     string
		gateways []store.Gateway
		held     time.Duration
		change   func(p *Picture, u *Use)
		to       ids.NodeID
	}{
		{"one gateway elsewhere", []store.Gateway{gw(2, 100, many)}, many, nil, 2},
		{"the holder's own", []store.Gateway{gw(1, 100, many)}, many, nil, 0},
		{"a clear majority", []store.Gateway{gw(1, 20, many), gw(2, 100, many), gw(3, 20, many)}, many, nil, 2},
		{"no clear majority", []store.Gateway{gw(2, 100, many), gw(3, 60, many)}, many, nil, 0},
		{"a majority, but the holder's own is near", []store.Gateway{gw(1, 45, many), gw(2, 100, many)}, many, nil, 0},
		{"hardly any load", []store.Gateway{gw(2, followRate-1, many)}, many, nil, 0},
		{"a burst", []store.Gateway{gw(2, 1000, time.Second)}, many, nil, 0},
		{"the lease has just come", []store.Gateway{gw(2, 100, 9*time.Second)}, 9 * time.Second, nil, 0},
		{"the lease has come back", []store.Gateway{gw(2, 100, many)}, 30 * time.Second, func(_ *Picture, u *Use) { u.Hold = 40 * time.Second }, 0},
		{"a gateway without a replica", []store.Gateway{gw(4, 100, many)}, many, nil, 0},
		{"an unknown gateway", []store.Gateway{gw(9, 100, many)}, many, nil, 0},
		{"a dead gateway", []store.Gateway{gw(2, 100, many)}, many, func(p *Picture, _ *Use) { p.Nodes[1].Live = false }, 0},
		{"a draining gateway", []store.Gateway{gw(2, 100, many)}, many, func(p *Picture, _ *Use) { p.Nodes[1].Draining = true }, 0},
		{"a busy gateway", []store.Gateway{gw(2, 100, many)}, many, func(p *Picture, _ *Use) { p.Nodes[1].CPU = 0.74 }, 2},
		{"a full gateway", []store.Gateway{gw(2, 100, many)}, many, func(p *Picture, _ *Use) { p.Nodes[1].CPU = 0.76 }, 0},
	} {
		p := &Picture{Replicas: 3}
		for n := range ids.NodeID(4) {
			p.Nodes = append(p.Nodes, Node{ID: n + 1, Live: true, Replicas: 10, Leases: 3})
		}
		u := &Use{Traffic: store.Traffic{Gateways: c.gateways, Held: c.held}}
		for _, g := range c.gateways {
			u.Total += g.Rate
		}
		if c.change != nil {
			c.change(p, u)
		}
		a, ok := Decide(p, desc, 1, u)
		if ok != (c.to != 0) || a.Transfer != c.to || a.Follow != ok {
			t.Errorf("%s: %+v, %v", c.name, a, ok)
		}
	}
}

// The workload keeps a lease from being spread, unless its node has too much to do.
func TestKeep(t *testing.T) {
	desc := &api.RangeDescriptor{RangeID: 7, Replicas: []api.ReplicaDescriptor{{Node: 1, Replica: 1}, {Node: 2, Replica: 2}, {Node: 3, Replica: 3}}}
	for _, c := range []struct {
		name           string
		own, others    float64
		held           time.Duration
		cpu, otherCPUs float64
		moves          bool
	}{
		{"nothing to do", 0, 0, time.Minute, 0, 0, true},
		{"nothing known yet", 0, 0, 0, 0, 0, false},
		{"clients here", 30, 0, time.Second, 0.5, 0.1, false},
		{"hardly any", 19, 0, time.Minute, 0.5, 0.1, true},
		{"half of them here", 55, 50, time.Minute, 0.5, 0.1, false},
		{"most of them elsewhere", 45, 55, time.Minute, 0.5, 0.1, true},
		{"too much for this node", 500, 0, time.Minute, 0.9, 0.3, true},
		{"too much for all", 500, 0, time.Minute, 0.9, 0.8, false},
	} {
		p := &Picture{Replicas: 3}
		for n := range ids.NodeID(3) {
			p.Nodes = append(p.Nodes, Node{ID: n + 1, Live: true, Replicas: 20, Leases: 1, CPU: c.otherCPUs})
		}
		p.Nodes[0].Leases, p.Nodes[0].CPU = 18, c.cpu
		u := &Use{Traffic: store.Traffic{Gateways: []store.Gateway{{Node: 1, Rate: c.own, Steady: c.held}, {Node: 2, Rate: c.others / 2}, {Node: 3, Rate: c.others / 2}}, Total: c.own + c.others, Held: c.held}}
		if a, ok := Decide(p, desc, 1, u); ok != c.moves || ok && (!a.Spread || a.Transfer == 0) {
			t.Errorf("%s: %+v, %v", c.name, a, ok)
		}
	}
}

func TestFollowedAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	var f followed
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 320, 600, 600} {
		if f = f.again(now); f.hold != want*time.Second {
			t.Errorf("move %d: %s", i, f.hold)
		}
		now = now.Add(f.hold + time.Minute)
	}
	if f = f.again(now.Add(2 * time.Hour)); f.hold != holdFor {
		t.Errorf("long after: %s", f.hold)
	}
}

package lifecycle

import (
	"cmp"
	"math"
	"slices"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Node is a node as decisions see it.
type Node struct {
	ID ids.NodeID
	// Live nodes answer; Dead ones have not for so long that their replicas are
	// given up. A node may be neither.
	Live, Dead                bool
	Draining, Decommissioning bool
	Locality                  string
	Replicas, Leases          int
	// CPU is which part of its processors the node uses, from 0 to 1.
	CPU float64
}

// Picture is what a decision is made from.
type Picture struct {
	Nodes []Node
	// Replicas is how many voters a range should have.
	Replicas int
}

func (p *Picture) node(id ids.NodeID) (Node, bool) {
	for _, n := range p.Nodes {
		if n.ID == id {
			return n, true
		}
	}
	return Node{}, false
}

// leaving reports whether a node should lose its replicas.
func (p *Picture) leaving(id ids.NodeID) bool {
	n, ok := p.node(id)
	return ok && (n.Dead || n.Decommissioning)
}

// takes reports whether a node may be given replicas and leases.
func (n *Node) takes() bool { return n.Live && !n.Draining && !n.Decommissioning }

// Action is one change of a range.
type Action struct {
	// Add and Remove change replicas; Transfer moves the lease.
	Add, Remove, Transfer ids.NodeID
	// Spread says that the range would be whole without the change.
	Spread bool
	// Follow says that the lease follows the workload.
	Follow bool
	Why    string
}

// Decide returns the next change that a range needs, from the point of view of
// its leaseholder self.
func Decide(p *Picture, d *api.RangeDescriptor, self ids.NodeID, u *Use) (Action, bool) {
	for _, r := range d.Replicas {
		if r.Type != api.Learner {
			continue
		}
		if n, _ := p.node(r.Node); n.Live && !p.leaving(r.Node) {
			return Action{Add: r.Node, Why: "a learner is to become a voter"}, true
		}
		return Action{Remove: r.Node, Why: "a learner's node is gone"}, true
	}
	want, voters := p.want(), len(d.Replicas)
	target, found := p.best(d)
	for _, r := range d.Replicas {
		if !p.leaving(r.Node) {
			continue
		}
		if voters > want && p.survives(d, r.Node) {
			return p.remove(r.Node, d, self, "its node is dead or leaving")
		}
		if found {
			return Action{Add: target, Why: "a replica's node is dead or leaving"}, true
		}
	}
	switch {
	case voters < want && found:
		return Action{Add: target, Why: "the range has too few replicas"}, true
	case p.tooMany(voters, want):
		if n := p.worst(d); p.survives(d, n) {
			return p.remove(n, d, self, "the range has more replicas than it should")
		}
	}
	if a, ok := p.followWorkload(d, self, u); ok {
		return a, true
	}
	if a, ok := p.moveReplica(d, target, found); ok {
		return a, true
	}
	return p.moveLease(d, self, u)
}

// want is how many voters a range should have: an odd number, for an even one
// survives no more failures than the odd one below. A dead node counts, since it
// may come back: losing one of three nodes is no reason to keep fewer copies.
func (p *Picture) want() int {
	n := 0
	for _, x := range p.Nodes {
		if !x.Decommissioning {
			n++
		}
	}
	if n%2 == 0 && n > 0 {
		n--
	}
	return min(p.Replicas, n)
}

// tooMany reports whether a range of healthy voters should lose one. A cluster
// that has shrunk keeps the copies it has: two are worth more than one to whoever
// loses a disk.
func (p *Picture) tooMany(voters, want int) bool {
	return voters > want && (voters > p.Replicas || voters%2 == 0 && voters > 2)
}

// survives reports whether the voters other than n still have a living majority,
// before and after n goes.
func (p *Picture) survives(d *api.RangeDescriptor, n ids.NodeID) bool {
	live := 0
	for _, r := range d.Replicas {
		if x, ok := p.node(r.Node); ok && x.Live && r.Node != n {
			live++
		}
	}
	return live >= (len(d.Replicas)-1)/2+1
}

// remove takes a replica away; the leaseholder's own goes after its lease.
func (p *Picture) remove(n ids.NodeID, d *api.RangeDescriptor, self ids.NodeID, why string) (Action, bool) {
	if n != self {
		return Action{Remove: n, Why: why}, true
	}
	to, ok := p.fewestLeases(d, self)
	return Action{Transfer: to.ID, Why: why}, ok
}

// best returns the node that a further replica should go to: one in another
// place than the others if there is any, with the fewest replicas. Among equals
// the range's id decides, so that ranges do not all go to the same.
func (p *Picture) best(d *api.RangeDescriptor) (ids.NodeID, bool) {
	var places []string
	for _, r := range d.Replicas {
		if n, ok := p.node(r.Node); ok && !p.leaving(r.Node) {
			places = append(places, n.Locality)
		}
	}
	var best Node
	found := false
	for _, n := range p.Nodes {
		if _, has := d.Replica(n.ID); has || !n.takes() {
			continue
		}
		if !found || cmp.Or(cmp.Compare(nearest(n.Locality, places), nearest(best.Locality, places)),
			cmp.Compare(n.Replicas, best.Replicas), cmp.Compare(order(d.RangeID, n.ID), order(d.RangeID, best.ID))) < 0 {
			best, found = n, true
		}
	}
	return best.ID, found
}

// order mixes ids into a number that orders nodes differently for each range.
func order(r ids.RangeID, n ids.NodeID) uint64 {
	x := (uint64(r) + 1) * 0x9e3779b97f4a7c15
	x ^= uint64(n) * 0xd1b54a32d192ed03
	x ^= x >> 29
	return x * 0xbf58476d1ce4e5b9
}

// nearest returns how many leading tiers a place shares with the nearest other.
func nearest(place string, others []string) int {
	most := 0
	for _, o := range others {
		most = max(most, sharedTiers(place, o))
	}
	return most
}

func sharedTiers(a, b string) int {
	if a == "" || b == "" {
		return 0
	}
	for i, n := 0, 0; ; i++ {
		endA, endB := i == len(a) || a[i] == ',', i == len(b) || b[i] == ','
		switch {
		case endA && endB:
			if n++; i == len(a) || i == len(b) {
				return n
			}
		case endA || endB || a[i] != b[i]:
			return n
		}
	}
}

// worst returns the node whose replica the range should lose.
func (p *Picture) worst(d *api.RangeDescriptor) ids.NodeID {
	return slices.MaxFunc(d.Replicas, func(v, w api.ReplicaDescriptor) int {
		a, b := v.Node, w.Node
		x, _ := p.node(a)
		y, _ := p.node(b)
		return cmp.Or(cmp.Compare(btoi(p.leaving(a)), btoi(p.leaving(b))), cmp.Compare(btoi(!x.Live), btoi(!y.Live)),
			cmp.Compare(p.crowding(d, a), p.crowding(d, b)), cmp.Compare(x.Replicas, y.Replicas), cmp.Compare(a, b))
	}).Node
}

// crowding is how near the range's other replicas are to the one on n.
func (p *Picture) crowding(d *api.RangeDescriptor, n ids.NodeID) int {
	me, _ := p.node(n)
	return nearest(me.Locality, p.placesWithout(d, n))
}

func (p *Picture) placesWithout(d *api.RangeDescriptor, n ids.NodeID) []string {
	var places []string
	for _, r := range d.Replicas {
		if o, ok := p.node(r.Node); ok && r.Node != n {
			places = append(places, o.Locality)
		}
	}
	return places
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// margin is the difference between two nodes that is worth a move: a move takes
// one away and adds one, and large counts need only be about equal.
func margin(a, b int) int { return max(2, (a+b)/16) }

// mean is how much of something each node would have, if it were spread evenly.
func (p *Picture) mean(count func(*Node) int) float64 {
	sum, takers := 0, 0
	for i := range p.Nodes {
		if p.Nodes[i].takes() {
			sum += count(&p.Nodes[i])
			takers++
		}
	}
	return float64(sum) / float64(max(takers, 1))
}

func replicasOf(n *Node) int { return n.Replicas }
func leasesOf(n *Node) int   { return n.Leases }

// Budget is how many changes that only spread load a node may start before it
// hears of new counts: more if it serves far more ranges than others.
func (p *Picture) Budget(self ids.NodeID) int {
	me, _ := p.node(self)
	return 1 + max(0, me.Leases-int(p.mean(leasesOf)))/8
}

// surplus reports whether a range is among those that a node has too many of.
// Several leaseholders may decide about one node's replicas at once: all of them
// draw the same lot for the range, so that about as many go as should.
func surplus(r ids.RangeID, n ids.NodeID, count int, mean float64) bool {
	over := float64(count) - mean
	return over >= 1 && order(r, n+ids.NodeID(count)<<12)%uint64(count) < uint64(math.Ceil(over))
}

// moveReplica starts to move a replica where that makes the spread better: over
// places first, then over nodes. The one too many goes in a later turn.
func (p *Picture) moveReplica(d *api.RangeDescriptor, target ids.NodeID, found bool) (Action, bool) {
	if !found || len(d.Replicas) < 2 {
		return Action{}, false
	}
	from, ok := p.node(p.worst(d))
	if !ok || !from.Live {
		return Action{}, false
	}
	now, rest := p.crowding(d, from.ID), p.placesWithout(d, from.ID)
	if to, _ := p.node(target); nearest(to.Locality, rest) < now {
		return Action{Add: target, Spread: true, Why: "replicas are too near each other"}, true
	}
	mean := p.mean(replicasOf)
	if !surplus(d.RangeID, from.ID, from.Replicas, mean) {
		return Action{}, false
	}
	var to Node
	for _, n := range p.Nodes {
		if _, has := d.Replica(n.ID); has || !n.takes() || float64(n.Replicas) >= mean || from.Replicas-n.Replicas < margin(from.Replicas, n.Replicas) {
			continue
		}
		if (to.ID == 0 || order(d.RangeID, n.ID) < order(d.RangeID, to.ID)) && nearest(n.Locality, rest) <= now {
			to = n
		}
	}
	return Action{Add: to.ID, Spread: true, Why: "replicas are spread unevenly"}, to.ID != 0
}

// moveLease moves the lease where that makes the spread of leases better, unless
// the workload keeps it.
func (p *Picture) moveLease(d *api.RangeDescriptor, self ids.NodeID, u *Use) (Action, bool) {
	me, ok := p.node(self)
	to, has := p.fewestLeases(d, self)
	if !ok || !has || me.Leases-to.Leases < margin(me.Leases, to.Leases) || float64(me.Leases)-p.mean(leasesOf) < 1 || p.keeps(d, &me, &to, u) {
		return Action{}, false
	}
	return Action{Transfer: to.ID, Spread: true, Why: "leases are spread unevenly"}, true
}

// fewestLeases returns the other voter's node that has the fewest leases.
func (p *Picture) fewestLeases(d *api.RangeDescriptor, self ids.NodeID) (best Node, has bool) {
	for _, r := range d.Replicas {
		n, ok := p.node(r.Node)
		if !ok || r.Node == self || r.Type != api.Voter || !n.takes() {
			continue
		}
		if !has || cmp.Or(cmp.Compare(n.Leases, best.Leases), cmp.Compare(order(d.RangeID, n.ID), order(d.RangeID, best.ID))) < 0 {
			best, has = n, true
		}
	}
	return best, has
}

// Expect changes the picture as the action will.
func (p *Picture) Expect(a Action, self ids.NodeID) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		switch {
		case n.ID == a.Add:
			n.Replicas++
		case n.ID == a.Remove:
			n.Replicas--
		case a.Transfer != 0 && n.ID == a.Transfer:
			n.Leases++
		case a.Transfer != 0 && n.ID == self:
			n.Leases--
		}
	}
}

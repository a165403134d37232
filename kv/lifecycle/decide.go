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
	// Draw numbers the drawings of lots. It changes now and then, but not before the
	// counts tell what those have done that won.
	Draw int64
}

func (p *Picture) node(id ids.NodeID) (Node, bool) {
	for i := range p.Nodes {
		if p.Nodes[i].ID == id {
			return p.Nodes[i], true
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
	for _, r := range d.Replicas {
		if !p.leaving(r.Node) {
			continue
		}
		if voters > want && p.survives(d, r.Node) {
			return p.remove(r.Node, d, self, "its node is dead or leaving")
		}
		if target, found := p.best(d); found {
			return Action{Add: target, Why: "a replica's node is dead or leaving"}, true
		}
	}
	switch {
	case voters < want:
		if target, found := p.best(d); found {
			return Action{Add: target, Why: "the range has too few replicas"}, true
		}
	case p.tooMany(voters, want):
		if n := p.oneTooMany(d); p.survives(d, n) {
			return p.remove(n, d, self, "the range has more replicas than it should")
		}
	}
	if a, ok := p.followWorkload(d, self, u); ok {
		return a, true
	}
	if a, ok := p.moveReplica(d); ok {
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
		return cmp.Or(p.worse(d, &x, &y), cmp.Compare(x.Replicas, y.Replicas), cmp.Compare(a, b))
	}).Node
}

// worse compares two nodes of a range but for what else they have.
func (p *Picture) worse(d *api.RangeDescriptor, a, b *Node) int {
	return cmp.Or(cmp.Compare(btoi(p.leaving(a.ID)), btoi(p.leaving(b.ID))), cmp.Compare(btoi(!a.Live), btoi(!b.Live)),
		cmp.Compare(p.crowding(d, a.ID), p.crowding(d, b.ID)))
}

// oneTooMany returns the node whose replica a range should lose that may be in the
// middle of a move: that is not the newest one, if its node has not as many more than
// another as would be worth the next move. Else ranges that have moved to the same
// node at the same time would all come back, to meet there again.
func (p *Picture) oneTooMany(d *api.RangeDescriptor) ids.NodeID {
	newest := slices.MaxFunc(d.Replicas, func(a, b api.ReplicaDescriptor) int { return cmp.Compare(a.Replica, b.Replica) }).Node
	worst := p.worst(d)
	if worst != newest {
		return worst
	}
	n, _ := p.node(newest)
	most := -1
	for _, r := range d.Replicas {
		if o, _ := p.node(r.Node); r.Node != newest && p.worse(d, &n, &o) == 0 && o.Replicas > most && n.Replicas-o.Replicas < margin(n.Replicas, o.Replicas) {
			worst, most = r.Node, o.Replicas
		}
	}
	return worst
}

// crowding is how near the range's other replicas are to the one on n.
func (p *Picture) crowding(d *api.RangeDescriptor, n ids.NodeID) int {
	return p.crowdingAt(n, p.placesWithout(d, n))
}

func (p *Picture) crowdingAt(n ids.NodeID, others []string) int {
	me, _ := p.node(n)
	return nearest(me.Locality, others)
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

// takers returns those nodes that may be given something for which which holds.
func (p *Picture) takers(which func(*Node) bool) (out []*Node) {
	for i := range p.Nodes {
		if n := &p.Nodes[i]; n.takes() && which(n) {
			out = append(out, n)
		}
	}
	return out
}

func all(*Node) bool { return true }

// mean is how much of something each node would have, if it were spread evenly.
func mean(nodes []*Node, count func(*Node) int) float64 {
	sum := 0
	for _, n := range nodes {
		sum += count(n)
	}
	return float64(sum) / float64(max(len(nodes), 1))
}

// ranges is how many ranges there are: each has a lease.
func (p *Picture) ranges() (n int) {
	for i := range p.Nodes {
		n += p.Nodes[i].Leases
	}
	return n
}

func replicasOf(n *Node) int { return n.Replicas }
func leasesOf(n *Node) int   { return n.Leases }

// Budget is how many changes that only spread load a node may start before it
// hears of new counts: more if it serves far more ranges than others.
func (p *Picture) Budget(self ids.NodeID) int {
	me, _ := p.node(self)
	return 1 + max(0, me.Leases-int(mean(p.takers(all), leasesOf)))/8
}

// draws reports whether a range is among the few of so many that a node, with so much
// of something, gives away or is given. Several leaseholders may decide about one
// node at once, by counts that are some seconds old: what they draw stays the same
// as long as the counts do, so that about as many ranges move as should, and not as
// many again in each round. It changes with p.Draw all the same, for those that win
// may be none at all.
func (p *Picture) draws(r ids.RangeID, n ids.NodeID, count int, few float64, many int) bool {
	const parts = 1 << 20
	lot := order(r, n) ^ order(ids.RangeID(p.Draw), ids.NodeID(count))
	return float64(order(ids.RangeID(lot), n)%parts) < parts*math.Ceil(few)/float64(max(many, 1))
}

// uneven reports whether a range should take what one node has to another, which
// has clearly less. One that has more than its share gives some away. If that is
// nobody, those that have their share give to one that has clearly less, as a node
// that has just joined. many is how many ranges may do the one and the other.
func (p *Picture) uneven(r ids.RangeID, from, to *Node, count func(*Node) int, mean float64, many [2]int) bool {
	a, b := count(from), count(to)
	over, under := float64(a)-mean, mean-float64(b)
	switch {
	case a-b < margin(a, b):
		return false
	case over >= 1:
		return p.draws(r, from.ID, a, over, many[0])
	}
	return under >= 1 && p.draws(r, to.ID, b, under, many[1])
}

// moveReplica starts to move a replica where that makes the spread better: over
// places first, then over nodes. The one too many goes in a later turn.
func (p *Picture) moveReplica(d *api.RangeDescriptor) (Action, bool) {
	if len(d.Replicas) < 2 {
		return Action{}, false
	}
	worst, ok := p.node(p.worst(d))
	if !ok || !worst.Live {
		return Action{}, false
	}
	if now := p.crowding(d, worst.ID); now > 0 {
		if to, found := p.best(d); found && p.crowdingAt(to, p.placesWithout(d, worst.ID)) < now {
			return Action{Add: to, Spread: true, Why: "replicas are too near each other"}, true
		}
	}
	for _, r := range d.Replicas {
		if from, ok := p.node(r.Node); ok && from.Live {
			if to := p.lessBusy(d, &from); to != 0 {
				return Action{Add: to, Spread: true, Why: "replicas are spread unevenly"}, true
			}
		}
	}
	return Action{}, false
}

// lessBusy returns the node that should have the replica instead, if any: one that
// is as far from the others.
func (p *Picture) lessBusy(d *api.RangeDescriptor, from *Node) (to ids.NodeID) {
	fewer := p.takers(func(n *Node) bool { return from.Replicas-n.Replicas >= margin(from.Replicas, n.Replicas) })
	if len(fewer) == 0 {
		return 0
	}
	rest := p.placesWithout(d, from.ID)
	now := nearest(from.Locality, rest)
	asFar := func(n *Node) bool { return nearest(n.Locality, rest) <= now }
	fewer = slices.DeleteFunc(fewer, func(n *Node) bool {
		_, has := d.Replica(n.ID)
		return has || !asFar(n)
	})
	if len(fewer) == 0 {
		return 0
	}
	// A place with few nodes has more on each: that is nothing for other places to
	// take, and does not count.
	mean, many := mean(p.takers(asFar), replicasOf), [2]int{from.Replicas, p.ranges()}
	for _, n := range fewer {
		if float64(n.Replicas) < mean && (to == 0 || order(d.RangeID, n.ID) < order(d.RangeID, to)) && p.uneven(d.RangeID, from, n, replicasOf, mean, many) {
			to = n.ID
		}
	}
	return to
}

// moveLease moves the lease where that makes the spread of leases better, unless
// the workload keeps it.
func (p *Picture) moveLease(d *api.RangeDescriptor, self ids.NodeID, u *Use) (Action, bool) {
	me, ok := p.node(self)
	to, has := p.fewestLeases(d, self)
	if !ok || !has || me.Leases-to.Leases < margin(me.Leases, to.Leases) || p.keeps(d, &me, &to, u) {
		return Action{}, false
	}
	// This node alone decides about its leases, so that no lots are needed for what
	// it gives; several may give to the other.
	if !p.uneven(d.RangeID, &me, &to, leasesOf, mean(p.takers(all), leasesOf), [2]int{1, to.Replicas}) {
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

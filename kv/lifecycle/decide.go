package lifecycle

import (
	"cmp"
	"slices"
	"strings"

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

// Action is one change of a range.
type Action struct {
	// Add and Remove change replicas; Transfer moves the lease.
	Add, Remove, Transfer ids.NodeID
	Why                   string
}

// Decide returns the next change that a range needs, from the point of view of
// its leaseholder self.
func Decide(p *Picture, d *api.RangeDescriptor, self ids.NodeID) (Action, bool) {
	for _, r := range d.Replicas {
		if r.Type != api.Learner {
			continue
		}
		if n, _ := p.node(r.Node); n.Live {
			return Action{Add: r.Node, Why: "a learner is to become a voter"}, true
		}
		return Action{Remove: r.Node, Why: "a learner's node is gone"}, true
	}
	want := min(p.Replicas, odd(p.usable()))
	voters := len(d.Replicas)
	target, found := p.best(d)
	for _, r := range d.Replicas {
		if !p.leaving(r.Node) {
			continue
		}
		if voters > want || voters > 1 && voters-1 >= want {
			return p.remove(r.Node, d, self, "its node is dead or leaving")
		}
		if found {
			return Action{Add: target, Why: "a replica's node is dead or leaving"}, true
		}
	}
	switch {
	case voters < want && found:
		return Action{Add: target, Why: "the range has too few replicas"}, true
	case voters > want && voters > 1:
		return p.remove(p.worst(d), d, self, "the range has more replicas than it should")
	}
	return p.rebalance(d, self, target, found)
}

// odd returns the greatest odd number up to n: an even number of voters survives
// no more failures than the odd one below.
func odd(n int) int {
	if n%2 == 0 && n > 0 {
		return n - 1
	}
	return n
}

// usable counts nodes that replicas may be on.
func (p *Picture) usable() int {
	n := 0
	for _, x := range p.Nodes {
		if !x.Dead && !x.Decommissioning {
			n++
		}
	}
	return n
}

// remove takes a replica away; the leaseholder's own goes after its lease.
func (p *Picture) remove(n ids.NodeID, d *api.RangeDescriptor, self ids.NodeID, why string) (Action, bool) {
	if n != self {
		return Action{Remove: n, Why: why}, true
	}
	for _, r := range d.Replicas {
		if x, ok := p.node(r.Node); ok && r.Node != self && x.Live && !x.Draining && !p.leaving(r.Node) {
			return Action{Transfer: r.Node, Why: why}, true
		}
	}
	return Action{}, false
}

// best returns the node that a further replica should go to: one in another
// place than the others if there is any, with the fewest replicas.
func (p *Picture) best(d *api.RangeDescriptor) (ids.NodeID, bool) {
	var places []string
	for _, r := range d.Replicas {
		if n, ok := p.node(r.Node); ok && !p.leaving(r.Node) {
			places = append(places, n.Locality)
		}
	}
	var candidates []Node
	for _, n := range p.Nodes {
		if _, has := d.Replica(n.ID); !has && n.Live && !n.Draining && !n.Decommissioning {
			candidates = append(candidates, n)
		}
	}
	if len(candidates) == 0 {
		return 0, false
	}
	return slices.MinFunc(candidates, func(a, b Node) int {
		return cmp.Or(cmp.Compare(nearest(a.Locality, places), nearest(b.Locality, places)), cmp.Compare(a.Replicas, b.Replicas), cmp.Compare(a.ID, b.ID))
	}).ID, true
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
	x, y := strings.Split(a, ","), strings.Split(b, ",")
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

// worst returns the node whose replica the range should lose.
func (p *Picture) worst(d *api.RangeDescriptor) ids.NodeID {
	return slices.MaxFunc(d.Replicas, func(a, b api.ReplicaDescriptor) int {
		x, _ := p.node(a.Node)
		y, _ := p.node(b.Node)
		return cmp.Or(cmp.Compare(btoi(p.leaving(a.Node)), btoi(p.leaving(b.Node))), cmp.Compare(btoi(!x.Live), btoi(!y.Live)),
			cmp.Compare(p.crowding(d, a.Node), p.crowding(d, b.Node)), cmp.Compare(x.Replicas, y.Replicas), cmp.Compare(a.Node, b.Node))
	}).Node
}

// crowding is how near the range's other replicas are to the one on n.
func (p *Picture) crowding(d *api.RangeDescriptor, n ids.NodeID) int {
	me, _ := p.node(n)
	var others []string
	for _, r := range d.Replicas {
		if o, ok := p.node(r.Node); ok && r.Node != n {
			others = append(others, o.Locality)
		}
	}
	return nearest(me.Locality, others)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rebalance moves a replica or the lease where that makes the spread better.
func (p *Picture) rebalance(d *api.RangeDescriptor, self, target ids.NodeID, found bool) (Action, bool) {
	if found && len(d.Replicas) > 1 {
		from, to := p.worst(d), target
		a, _ := p.node(from)
		b, _ := p.node(to)
		// The move takes one away and adds one: with a difference of two, both
		// would end up alike.
		if from != self && a.Live && a.Replicas-b.Replicas >= 2 && p.noCloser(d, from, to) {
			return Action{Add: to, Why: "replicas are spread unevenly"}, true
		}
	}
	me, ok := p.node(self)
	if !ok {
		return Action{}, false
	}
	best, has := Node{}, false
	for _, r := range d.Replicas {
		n, ok := p.node(r.Node)
		if !ok || r.Node == self || r.Type != api.Voter || !n.Live || n.Draining || n.Decommissioning {
			continue
		}
		if !has || n.Leases < best.Leases || n.Leases == best.Leases && n.ID < best.ID {
			best, has = n, true
		}
	}
	if has && me.Leases-best.Leases >= 2 {
		return Action{Transfer: best.ID, Why: "leases are spread unevenly"}, true
	}
	return Action{}, false
}

// noCloser reports whether moving a replica keeps the others at least as far away.
func (p *Picture) noCloser(d *api.RangeDescriptor, from, to ids.NodeID) bool {
	target, _ := p.node(to)
	var others []string
	for _, r := range d.Replicas {
		if n, ok := p.node(r.Node); ok && r.Node != from {
			others = append(others, n.Locality)
		}
	}
	return nearest(target.Locality, others) <= p.crowding(d, from)
}

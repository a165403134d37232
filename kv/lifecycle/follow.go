package lifecycle

import (
	"fmt"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
)

// When a lease follows the workload. What it takes to move one is more than what
// it takes to keep it, everywhere, so that no lease goes to and fro.
const (
	// A gateway that is worth a move sends followRate batches a second, has done so
	// for followAfter, and sends followShare of all batches and followTimes as many
	// as the holder's own.
	followRate  = 2 * store.BusyRate
	followAfter = 3 * time.Second
	followShare = 2.0 / 3
	followTimes = 3
	// The holder's own keep the lease where it is while it sends keepRate batches a
	// second, keepShare of all.
	keepRate  = store.BusyRate
	keepShare = 1.0 / 2
	// holdFor is how long a lease stays at least before it follows: then it
	// has paid for the move, and the rates are no accident. A lease that is back
	// soon after it was sent away stays for longer and longer, up to maxHold.
	holdFor = 10 * time.Second
	maxHold = 10 * time.Minute
	// followEvery is how far apart a node's moves after the workload are, and
	// followSlowly if they go to a node that is busier than cpuBusy. With many nodes
	// they are farther apart, for the nodes choose by loads that are some seconds old.
	followEvery        = time.Second
	followSlowly       = 5 * time.Second
	followEveryPerNode = 100 * time.Millisecond
	// A node whose processors are busier than cpuFull is sent no lease that follows.
	// One busier than cpuHot keeps none from nodes that are less so by cpuGap.
	cpuBusy = 0.50
	cpuFull = 0.75
	cpuHot  = 0.85
	cpuGap  = 0.20
)

// Use is what the leaseholder of a range knows of who uses it.
type Use struct {
	store.Traffic
	// Hold is how long the lease should stay, beyond holdFor.
	Hold time.Duration
}

// followWorkload moves the lease to the node that most of the range's batches come
// from: what spans ranges then starts in one place, and needs no other node but
// for the followers' answers.
func (p *Picture) followWorkload(d *api.RangeDescriptor, self ids.NodeID, u *Use) (Action, bool) {
	g, ok := p.attracted(d, self, u)
	if !ok || g.Steady < followAfter || u.Held < max(holdFor, u.Hold) {
		return Action{}, false
	}
	return Action{Transfer: g.Node, Follow: true,
		Why: fmt.Sprintf("the workload comes from there: %.0f of %.0f batches/s", g.Rate, u.Total)}, true
}

// attracted returns the gateway that the lease should go to, sooner or later.
func (p *Picture) attracted(d *api.RangeDescriptor, self ids.NodeID, u *Use) (store.Gateway, bool) {
	g := u.Most()
	if g.Node == self || g.Rate < followRate || g.Rate < followShare*u.Total || g.Rate < followTimes*u.From(self).Rate {
		return g, false
	}
	r, has := d.Replica(g.Node)
	n, known := p.node(g.Node)
	return g, has && known && r.Type == api.Voter && n.takes() && n.CPU <= cpuFull
}

// keeps reports whether the workload keeps the lease from going to another node
// where there are fewer, for it is here, or the lease will follow it elsewhere: not
// if this node has too much to do and the other has not.
func (p *Picture) keeps(d *api.RangeDescriptor, me, to *Node, u *Use) bool {
	if u.Held == 0 {
		return true // nothing is known yet; the next round knows
	}
	if me.CPU > cpuHot && to.CPU <= me.CPU-cpuGap {
		return false
	}
	if _, goes := p.attracted(d, me.ID, u); goes {
		return true
	}
	g := u.From(me.ID)
	return g.Rate >= keepRate && g.Rate >= keepShare*u.Total
}

// followPause is how long a node waits after a lease followed the workload to
// another, which has to feel the load before it gets more.
func (p *Picture) followPause(to ids.NodeID) time.Duration {
	pause := max(followEvery, time.Duration(len(p.Nodes))*followEveryPerNode)
	if n, _ := p.node(to); n.CPU > cpuBusy {
		pause = max(pause, followSlowly)
	}
	return pause
}

// followed remembers when a lease was sent after its workload, and how long it
// stays if it comes back.
type followed struct {
	at   time.Time
	hold time.Duration
}

// again is what is remembered when the lease follows once more.
func (f followed) again(now time.Time) followed {
	if f.forgotten(now) {
		return followed{now, holdFor}
	}
	return followed{now, min(2*f.hold, maxHold)}
}

// forgotten reports whether the move was so long ago that it says nothing about
// the next: a workload may well come from elsewhere at another time of the day.
func (f followed) forgotten(now time.Time) bool {
	return f.hold == 0 || now.Sub(f.at) > 10*f.hold
}

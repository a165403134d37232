package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

func near(got, want float64) bool { return math.Abs(got-want) <= want*0.01+0.01 }

// drive sends batches at steady rates, mixed, for some looks a second apart.
func drive(t *traffic, now *time.Time, looks int, rates map[ids.NodeID]int) (tr Traffic) {
	var batches []ids.NodeID
	for n, rate := range rates {
		batches = append(batches, slices.Repeat([]ids.NodeID{n}, rate)...)
	}
	slices.Sort(batches)
	rng := rand.New(rand.NewPCG(1, 1))
	for range looks {
		rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
		for _, n := range batches {
			t.count(n)
		}
		*now = now.Add(time.Second)
		tr = t.look(*now, 1)
	}
	return tr
}

// Rates are right from the first look on, forget with their half life, and start
// anew under another lease.
func TestTrafficRates(t *testing.T) {
	var tr traffic
	now := time.Unix(1000, 0)
	tr.count(1)
	if got := tr.look(now, 1); got.Held != 0 || got.Total != 0 {
		t.Fatalf("at first sight: %+v", got)
	}
	got := drive(&tr, &now, 1, map[ids.NodeID]int{1: 300, 2: 100, 0: 50})
	if !near(got.From(1).Rate, 300) || !near(got.From(2).Rate, 100) || !near(got.Total, 400) || got.Most().Node != 1 || got.Held != time.Second {
		t.Fatalf("after a second: %+v", got)
	}
	if got = drive(&tr, &now, 60, map[ids.NodeID]int{1: 300, 2: 5}); !near(got.From(1).Rate, 300) || got.From(1).Steady != 61*time.Second || got.From(2).Steady != 0 {
		t.Fatalf("after a minute: %+v", got)
	}
	if got = drive(&tr, &now, 5, nil); math.Abs(got.From(1).Rate-150) > 5 || got.From(1).Steady != 0 {
		t.Fatalf("a half life after it: %+v", got)
	}
	if got = tr.look(now.Add(10*time.Millisecond), 1); math.Abs(got.Total-150) > 5 {
		t.Fatalf("a look at once: %+v", got)
	}
	drive(&tr, &now, 1, map[ids.NodeID]int{1: 1000})
	if got = tr.look(now.Add(time.Second), 2); got.Held != 0 || got.Total != 0 {
		t.Fatalf("under another lease: %+v", got)
	}
}

// More gateways than slots do not hide the one that matters.
func TestTrafficOfManyGateways(t *testing.T) {
	var tr traffic
	now := time.Unix(1000, 0)
	tr.look(now, 1)
	crowd := map[ids.NodeID]int{}
	for n := range 30 {
		crowd[ids.NodeID(n+1)] = 5
	}
	drive(&tr, &now, 10, crowd)
	for n := range gatewaySlots { // all slots are taken
		tr.count(ids.NodeID(n + 1))
	}
	crowd[99] = 2000
	got := drive(&tr, &now, 60, crowd)
	if most := got.Most(); most.Node != 99 || most.Rate < 1800 || !near(got.Total, 2150) {
		t.Fatalf("the busiest is %+v of %v", most, got.Total)
	}
}

func TestTrafficCountsWithoutAllocating(t *testing.T) {
	var tr traffic
	if n := testing.AllocsPerRun(100, func() { tr.count(3) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkTrafficCount(b *testing.B) {
	var tr traffic
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tr.count(3)
		}
	})
}

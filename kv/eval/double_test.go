package eval_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// cluster is a few ranges over one engine, which apply what they propose at
// once, or, with delay set, a moment later on another goroutine.
type cluster struct {
	eng    engine.Engine
	clock  *hlc.Clock
	ranges []*testRange
	delay  time.Duration
	// proposals counts commands.
	proposals atomic.Int64
	wg        sync.WaitGroup
}

type testRange struct {
	c    *cluster
	id   ids.RangeID
	desc *api.RangeDescriptor
	m    *concurrency.Manager
	eval api.Evaluator

	mu          sync.Mutex
	lease       api.Lease
	lost        bool
	threshold   hlc.Timestamp
	bytes, keys int64
}

const testSpace = keys.SpaceID(7)

// newCluster makes ranges that end at bounds, and one for the rest.
func newCluster(physical func() int64, bounds ...string) *cluster {
	c := &cluster{eng: engine.OpenMemory(), clock: hlc.NewClock(physical, 250*time.Millisecond)}
	waits := concurrency.NewWaits()
	start := []byte{}
	for i := 0; i <= len(bounds); i++ {
		end := keys.MaxKey
		if i < len(bounds) {
			end = []byte(bounds[i])
		}
		id := ids.RangeID(i + 1)
		r := &testRange{c: c, id: id, m: concurrency.NewManager(waits, hlc.Timestamp{}),
			desc: &api.RangeDescriptor{RangeID: id, Start: start, End: end, Generation: 1}}
		r.lease, r.eval = api.Lease{Seq: 1}, letters{}
		r.m.UseClock(c.clock.PhysicalNanos)
		c.ranges = append(c.ranges, r)
		start = end
	}
	return c
}

func (c *cluster) close() {
	c.wg.Wait()
	_ = c.eng.Close()
}

// Send routes by the first key, and a push by its pushee's anchor.
func (c *cluster) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	r := &ba.Requests[0]
	k := r.Key
	if len(k) == 0 && r.Txn != nil {
		k = r.Txn.Pushee.Anchor
	}
	rng := c.at(k)
	return eval.Execute(ctx, rng, rng.m, ba)
}

func (c *cluster) at(k []byte) *testRange {
	for _, r := range c.ranges {
		if r.desc.Contains(k) {
			return r
		}
	}
	panic("no range")
}

func (r *testRange) RangeID() ids.RangeID       { return r.id }
func (r *testRange) Desc() *api.RangeDescriptor { return r.desc }
func (r *testRange) Node() ids.NodeID           { return 1 }
func (r *testRange) Clock() *hlc.Clock          { return r.c.clock }
func (r *testRange) Engine() engine.Engine      { return r.c.eng }
func (r *testRange) Space() keys.SpaceID        { return testSpace }
func (r *testRange) Sender() api.Sender         { return r.c }
func (r *testRange) Evaluator() api.Evaluator   { return r.eval }

func (r *testRange) WaitRoom(context.Context) error { return nil }

func (r *testRange) CheckLease(hlc.Timestamp) (api.Lease, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return api.Lease{}, &api.NotLeaseholderError{RangeID: r.id}
	}
	return r.lease, nil
}

func (r *testRange) GCThreshold() hlc.Timestamp {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.threshold
}

func (r *testRange) Propose(_ api.Lease, e *eval.Effects, done func(error)) {
	r.c.proposals.Add(1)
	if r.c.delay == 0 {
		r.apply(e)
		done(nil)
		return
	}
	// What is applied is what came over the wire.
	data := e.Encode(nil)
	r.c.wg.Add(1)
	go func() {
		defer r.c.wg.Done()
		time.Sleep(r.c.delay)
		d, err := eval.DecodeEffects(data)
		if err == nil {
			r.apply(d)
		}
		done(err)
	}()
}

func (r *testRange) apply(e *eval.Effects) {
	var b engine.Batch
	eval.ApplyEffects(&b, testSpace, e)
	r.c.eng.Write(&b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += e.BytesDelta
	r.keys += e.KeysDelta
	r.threshold = r.threshold.Forward(e.GCThreshold)
}

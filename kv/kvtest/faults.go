package kvtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Faults makes ranges misbehave as a network and a busy cluster do. Each rate is
// the share of batches, of a thousand, that it befalls.
type Faults struct {
	// Refuse answers UnavailableError without executing.
	Refuse int
	// Lose executes, then loses the answer.
	Lose int
	// Retry answers a RetryError without executing.
	Retry int
	// Delay waits up to two milliseconds first.
	Delay int
	// Count counts what was done.
	Count atomic.Int64

	off atomic.Bool
	mu  sync.Mutex
	r   *rand.Rand
}

// NewFaults returns faults that follow from a seed.
func NewFaults(seed uint64) *Faults { return &Faults{r: rand.New(rand.NewPCG(seed, 1))} }

// Stop ends the faults.
func (f *Faults) Stop() { f.off.Store(true) }

// Wrap is for Options.Wrap.
func (f *Faults) Wrap(_ ids.NodeID, s api.Sender) api.Sender { return &faulty{f, s} }

func (f *Faults) roll(rate int) bool {
	if rate == 0 || f.off.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	hit := f.r.IntN(1000) < rate
	if hit {
		f.Count.Add(1)
	}
	return hit
}

type faulty struct {
	f *Faults
	s api.Sender
}

// Send implements api.Sender.
func (s *faulty) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	f := s.f
	if f.roll(f.Delay) {
		time.Sleep(time.Duration(rand.N(2 * time.Millisecond)))
	}
	if f.roll(f.Refuse) {
		return nil, &api.UnavailableError{RangeID: ba.RangeID, Reason: "fault"}
	}
	if ba.Txn != nil && retriable(ba) && f.roll(f.Retry) {
		return nil, &api.RetryError{Reason: api.ReasonPushed, Timestamp: ba.Txn.ReadTS.Next()}
	}
	br, err := s.s.Send(ctx, ba)
	if err == nil && f.roll(f.Lose) {
		if decides(ba) {
			return nil, &api.AmbiguousError{Cause: "fault"}
		}
		return nil, &api.UnavailableError{RangeID: ba.RangeID, Reason: "lost"}
	}
	return br, err
}

// retriable reports whether a range might answer the batch with a RetryError.
func retriable(ba *api.BatchRequest) bool {
	switch ba.Requests[0].Kind {
	case api.Get, api.Scan, api.Put, api.Delete:
		return true
	}
	return false
}

// decides reports whether a lost answer leaves the sender in doubt.
func decides(ba *api.BatchRequest) bool {
	for i := range ba.Requests {
		switch r := &ba.Requests[i]; r.Kind {
		case api.Increment:
			return true
		case api.EndTxn:
			return r.Txn.Commit
		case api.Put, api.Delete:
			if ba.Txn == nil {
				return true
			}
		}
	}
	return false
}

package kvtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
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

// ranges is a node's ranges, which refuse batches.
type ranges struct {
	f *Faults
	s api.Sender
}

// Send implements api.Sender.
func (s *ranges) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
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
	return s.s.Send(ctx, ba)
}

// way is what a router sends through to its own node's ranges, and peers to other
// nodes'. Answers get lost on both.
type way struct {
	f *Faults
	s api.Sender
}

// Send implements api.Sender.
func (w *way) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	br, err := w.s.Send(ctx, ba)
	if err == nil && w.f.roll(w.f.Lose) {
		return nil, rpc.ErrUnreachable
	}
	return br, err
}

type peers struct {
	rpc.Peers
	f *Faults
}

// Call implements rpc.Peers.
func (p *peers) Call(ctx context.Context, to ids.NodeID, c rpc.Class, m rpc.Method, payload []byte) ([]byte, error) {
	b, err := p.Peers.Call(ctx, to, c, m, payload)
	if err == nil && p.f.roll(p.f.Lose) {
		return nil, rpc.ErrUnreachable
	}
	return b, err
}

// retriable reports whether a range might answer the batch with a RetryError.
func retriable(ba *api.BatchRequest) bool {
	switch ba.Requests[0].Kind {
	case api.Get, api.Scan, api.Put, api.Delete:
		return true
	}
	return false
}

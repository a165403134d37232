package kvtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// space is where all ranges keep their data: as the children of one split do.
const space keys.SpaceID = 1

// memRange is a range that applies at once. It implements eval.Range.
type memRange struct {
	c     *Cluster
	id    ids.RangeID
	m     *concurrency.Manager
	desc  atomic.Pointer[api.RangeDescriptor]
	lease atomic.Pointer[api.Lease]
	gc    atomic.Pointer[hlc.Timestamp]
	bytes atomic.Int64
	keys  atomic.Int64
}

var _ eval.Range = (*memRange)(nil)

func (r *memRange) holder() *Node { return r.c.Node(r.lease.Load().Holder.Node) }

// RangeID implements eval.Range.
func (r *memRange) RangeID() ids.RangeID { return r.id }

// Desc implements eval.Range.
func (r *memRange) Desc() *api.RangeDescriptor { return r.desc.Load() }

// Node implements eval.Range.
func (r *memRange) Node() ids.NodeID { return r.lease.Load().Holder.Node }

// Clock implements eval.Range.
func (r *memRange) Clock() *hlc.Clock { return r.holder().clock }

// Engine implements eval.Range.
func (r *memRange) Engine() engine.Engine { return r.c.eng }

// Space implements eval.Range.
func (r *memRange) Space() keys.SpaceID { return space }

// CheckLease implements eval.Range. A range whose lease moved was replaced by a
// twin: its own record names the new holder.
func (r *memRange) CheckLease(hlc.Timestamp) (api.Lease, error) {
	r.c.mu.RLock()
	current := r.c.rangeAtLocked(r.desc.Load().Start) == r
	r.c.mu.RUnlock()
	lease := r.lease.Load()
	if !current {
		return *lease, &api.NotLeaseholderError{RangeID: r.id, Lease: lease}
	}
	return *lease, nil
}

// GCThreshold implements eval.Range.
func (r *memRange) GCThreshold() hlc.Timestamp {
	if t := r.gc.Load(); t != nil {
		return *t
	}
	return hlc.Timestamp{}
}

// Propose implements eval.Range.
func (r *memRange) Propose(_ api.Lease, e *eval.Effects, done func(error)) {
	var b engine.Batch
	for i := range e.Ops {
		op := &e.Ops[i]
		key := keys.AppendEngineSuffix(nil, space, op.Key)
		switch {
		case op.End != nil:
			b.DeleteRange(key, keys.AppendEngineSuffix(nil, space, op.End))
		case op.Delete:
			b.Delete(key)
		default:
			b.Put(key, op.Value)
		}
	}
	r.c.eng.Write(&b)
	for most := r.c.largest.Load(); int64(b.Bytes()) > most; most = r.c.largest.Load() {
		if r.c.largest.CompareAndSwap(most, int64(b.Bytes())) {
			break
		}
	}
	r.bytes.Add(e.BytesDelta)
	r.keys.Add(e.KeysDelta)
	if !e.GCThreshold.IsZero() {
		r.gc.Store(&e.GCThreshold)
	}
	done(nil)
}

// WaitRoom implements eval.Range.
func (r *memRange) WaitRoom(context.Context) error { return nil }

// Sender implements eval.Range.
func (r *memRange) Sender() api.Sender { return r.holder().Router }

// Evaluator implements eval.Range.
func (r *memRange) Evaluator() api.Evaluator {
	if e := r.c.opts.Evaluator; e != nil {
		return e
	}
	return noPrograms{}
}

// noPrograms knows no program, so that scans answer raw rows.
type noPrograms struct{}

func (noPrograms) Open([]byte, int64) (api.ScanRun, error) { return nil, api.ErrUnknownProgram }

// local serves a node's ranges.
type local struct{ n *Node }

// Send implements api.Sender.
func (l *local) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	c := l.n.c
	if len(ba.Requests) == 0 {
		return &api.BatchResponse{Now: l.n.clock.Now(), Node: l.n.id}, nil
	}
	r := c.rangeByID(ba.RangeID)
	if r == nil {
		return nil, &api.RangeNotFoundError{RangeID: ba.RangeID}
	}
	if lease := r.lease.Load(); lease.Holder.Node != l.n.id {
		return nil, &api.NotLeaseholderError{RangeID: r.id, Lease: lease}
	}
	if br, err, ok := l.admin(r, &ba.Requests[0]); ok {
		return br, err
	}
	br, err := eval.Execute(ctx, r, r.m, ba)
	if err == nil && c.opts.SplitEveryKey {
		for i := range ba.Requests {
			if req := &ba.Requests[i]; req.Kind == api.Put {
				c.Split(req.Key)
				if n := ids.NodeID(len(c.nodes)); n > 1 {
					c.MoveLease(req.Key, 1+rand.N(n))
				}
			}
		}
	}
	return br, err
}

// admin answers what concerns the range itself.
func (l *local) admin(r *memRange, req *api.Request) (br *api.BatchResponse, err error, ok bool) {
	desc := r.desc.Load()
	switch req.Kind {
	case api.AdminSplit, api.AdminTransferLease, api.RangeStatus:
		if !desc.Contains(req.Key) {
			return nil, &api.RangeMismatchError{Descs: []api.RangeDescriptor{*desc, r.c.descAt(req.Key)}}, true
		}
	case api.AdminChangeReplicas, api.AdminMerge, api.Checksum:
		return nil, fmt.Errorf("kvtest: request kind %d needs replication", req.Kind), true
	default:
		return nil, nil, false
	}
	switch req.Kind {
	case api.AdminSplit:
		r.c.Split(req.Key)
	case api.AdminTransferLease:
		r.c.MoveLease(req.Key, req.Admin.Node)
	}
	info := &api.RangeInfo{Desc: *r.desc.Load(), Lease: *r.lease.Load(), Leader: r.Node(), Bytes: r.bytes.Load(), Keys: r.keys.Load()}
	return &api.BatchResponse{Responses: []api.Response{{Range: info}}, Node: l.n.id}, nil, true
}

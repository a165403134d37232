package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// gossipEvery is how often a node exchanges addresses with each other node.
const gossipEvery = 2 * time.Second

// registry is what this node knows of the others: their descriptors and the
// first range's. The copies in the system range are the truth; gossip makes them
// known where that range cannot be reached yet.
type registry struct {
	log    *slog.Logger
	engine engine.Engine

	mu    sync.Mutex
	self  ids.NodeID
	nodes map[ids.NodeID]api.NodeDescriptor
	first *api.RangeDescriptor
}

// gossipMessage is what two nodes tell each other.
type gossipMessage struct {
	Nodes []api.NodeDescriptor
	First *api.RangeDescriptor
}

func newRegistry(e engine.Engine, log *slog.Logger) *registry {
	r := &registry{log: log, engine: e, nodes: map[ids.NodeID]api.NodeDescriptor{}}
	if b, ok := e.Get(nodesKey); ok {
		var known []api.NodeDescriptor
		if err := json.Unmarshal(b, &known); err != nil {
			log.Warn("the stored addresses are damaged; relying on --join", "err", err)
		}
		for _, n := range known {
			r.nodes[n.Node] = n
		}
	}
	return r
}

// resolve is the network's address book.
func (r *registry) resolve(id ids.NodeID) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.nodes[id]
	return n.RPCAddr, ok && n.RPCAddr != ""
}

// setSelf enters this node's own descriptor.
func (r *registry) setSelf(d api.NodeDescriptor) {
	r.mu.Lock()
	r.self = d.Node
	r.mu.Unlock()
	r.learn([]api.NodeDescriptor{d}, nil)
}

// learn takes descriptors that are newer than what is known.
func (r *registry) learn(nodes []api.NodeDescriptor, first *api.RangeDescriptor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := false
	for _, n := range nodes {
		if old, ok := r.nodes[n.Node]; n.Node != 0 && (!ok || n.StartedNanos > old.StartedNanos) {
			r.nodes[n.Node] = n
			changed = true
		}
	}
	if first != nil && (r.first == nil || first.Generation > r.first.Generation) {
		r.first = first
	}
	if changed {
		r.persistLocked()
	}
}

func (r *registry) persistLocked() {
	b, err := json.Marshal(slices.Collect(maps.Values(r.nodes)))
	if err != nil {
		r.log.Error("encoding the addresses", "err", err)
		return
	}
	var batch engine.Batch
	batch.Put(nodesKey, b)
	r.engine.Write(&batch) // durable with the next flush: --join covers the rest
}

// all returns the known nodes by id.
func (r *registry) all() []api.NodeDescriptor {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Collect(maps.Values(r.nodes))
	slices.SortFunc(out, func(a, b api.NodeDescriptor) int { return int(a.Node) - int(b.Node) })
	return out
}

// firstRange returns the newest known descriptor of the meta range.
func (r *registry) firstRange() *api.RangeDescriptor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// message is what this node has to say; own is the first range as its store
// knows it, if it has a replica.
func (r *registry) message(own *api.RangeDescriptor) gossipMessage {
	r.learn(nil, own)
	return gossipMessage{Nodes: r.all(), First: r.firstRange()}
}

// handle answers another node's gossip.
func (r *registry) handle(own func() *api.RangeDescriptor) rpc.Handler {
	return func(_ context.Context, from ids.NodeID, payload []byte) ([]byte, error) {
		r.mu.Lock()
		self := r.self
		r.mu.Unlock()
		if from == self {
			return nil, errors.New(errItself) // an address of --join is this node's
		}
		var m gossipMessage
		if err := json.Unmarshal(payload, &m); err != nil {
			return nil, err
		}
		r.learn(m.Nodes, m.First)
		return json.Marshal(r.message(own()))
	}
}

// exchange tells one node what is known and takes what it knows.
func (r *registry) exchange(ctx context.Context, call func(context.Context, []byte) ([]byte, error), own *api.RangeDescriptor) error {
	b, err := json.Marshal(r.message(own))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, gossipEvery)
	defer cancel()
	answer, err := call(ctx, b)
	if err != nil {
		return err
	}
	var m gossipMessage
	if err := json.Unmarshal(answer, &m); err != nil {
		return err
	}
	r.learn(m.Nodes, m.First)
	return nil
}

// run exchanges addresses until the context ends. A node that cannot be reached
// is not worth a log line: liveness is another component's business.
func (r *registry) run(ctx context.Context, n *rpc.Node, join []string, own func() *api.RangeDescriptor) {
	t := time.NewTicker(gossipEvery)
	defer t.Stop()
	for {
		others := 0
		for _, d := range r.all() {
			if d.Node == n.Self() {
				continue
			}
			call := func(ctx context.Context, b []byte) ([]byte, error) {
				return n.Call(ctx, d.Node, rpc.Normal, rpc.MethodGossip, b)
			}
			if r.exchange(ctx, call, own()) == nil {
				others++
			}
		}
		// Nobody answers: the addresses may be old; ask those given by --join.
		for _, addr := range join {
			if others > 0 {
				break
			}
			call := func(ctx context.Context, b []byte) ([]byte, error) {
				return n.CallAddr(ctx, addr, rpc.MethodGossip, b)
			}
			if r.exchange(ctx, call, own()) == nil {
				others++
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

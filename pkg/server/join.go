package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// errNotInitialized is what an uninitialized node answers, by text since it
// crosses the network.
const errNotInitialized = "this node does not belong to a cluster yet: run pamir init once, against any node"

// joinRequest is sent by a node without an id.
type joinRequest struct{ Node api.NodeDescriptor }

// joinAnswer makes the sender a member.
type joinAnswer struct {
	Identity identity
	gossipMessage
}

// membership is how a new node comes to its identity: by joining, or by being
// told to start a new cluster.
type membership struct {
	log  *slog.Logger
	net  *rpc.Node
	self api.NodeDescriptor
	join []string
	// initialized receives the identity of a cluster that pamir init created here.
	initialized chan identity
}

// handleInit starts a new cluster with this node as its first.
func (m *membership) handleInit(_ context.Context, _ ids.NodeID, _ []byte) ([]byte, error) {
	select {
	case m.initialized <- identity{Cluster: uuid.NewString(), Node: 1}:
		return nil, nil
	default:
		return nil, errors.New("the cluster is initialized already")
	}
}

// wait blocks until this node has an identity; bootstrap says that it is the
// first node of a new cluster.
func (m *membership) wait(ctx context.Context, r *registry) (id identity, bootstrap bool, err error) {
	logged := map[string]string{}
	for {
		for _, addr := range m.join {
			answer, err := m.tryJoin(ctx, addr)
			if err == nil {
				r.learn(answer.Nodes, answer.First)
				return answer.Identity, false, nil
			}
			if text := err.Error(); logged[addr] != text && ctx.Err() == nil {
				logged[addr] = text
				m.log.Info("waiting to join a cluster", "node", addr, "because", text)
			}
		}
		select {
		case id := <-m.initialized:
			return id, true, nil
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return id, false, ctx.Err()
		}
	}
}

func (m *membership) tryJoin(ctx context.Context, addr string) (*joinAnswer, error) {
	if addr == m.self.RPCAddr {
		return nil, errors.New("that is this node")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b, err := json.Marshal(joinRequest{m.self})
	if err != nil {
		return nil, err
	}
	out, err := m.net.CallAddr(ctx, addr, rpc.MethodJoin, b)
	if err != nil {
		return nil, err
	}
	var a joinAnswer
	if err := json.Unmarshal(out, &a); err != nil {
		return nil, err
	}
	if a.Identity.Node == 0 || a.Identity.Cluster == "" {
		return nil, fmt.Errorf("%s gave no identity", addr)
	}
	return &a, nil
}

// nodeIDKey is the allocator of node ids.
var nodeIDKey = keys.System("nodeid")

// admit gives a new node its id.
func admit(ctx context.Context, db kv.DB, cluster string, r *registry, own *api.RangeDescriptor, payload []byte) ([]byte, error) {
	var req joinRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, err
	}
	n, err := db.Increment(ctx, nodeIDKey, 1)
	if err != nil {
		return nil, fmt.Errorf("allocating a node id: %w", err)
	}
	// Node 1 is the cluster's first; the counter starts behind it.
	req.Node.Node = ids.NodeID(n + 1)
	r.learn([]api.NodeDescriptor{req.Node}, nil)
	return json.Marshal(joinAnswer{Identity: identity{cluster, req.Node.Node}, gossipMessage: r.message(own)})
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
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

// errInitializing is what a node answers that is about to start a cluster, by text
// as well.
const errInitializing = "this node is being initialized"

// errItself is what a node answers that has asked itself, by text as well. --join
// has its address, too, and may spell it in another way than the node does.
const errItself = "this is the node that asks"

// joinRequest is sent by a node without an id. Token is the process's.
type joinRequest struct {
	Node  api.NodeDescriptor
	Token string
}

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
	// token tells this process's requests from those of others.
	token string
	// inits are calls of pamir init; each gets its answer.
	inits chan chan<- error
	// initializing says that this node is about to start a cluster; whoever asks
	// to join, or is told to start one, too, learns of it.
	initializing atomic.Bool
	// settled is closed once identity is this node's.
	settled  chan struct{}
	identity identity
	// said is what was last logged of an address, or that it is this node's own.
	said map[string]string
}

// settle ends the search for a cluster.
func (m *membership) settle(id identity) {
	m.identity = id
	close(m.settled)
}

// errInitialized refuses to start a second cluster.
func errInitialized(cluster string) error {
	return fmt.Errorf("the cluster is initialized already (its id is %s); the other nodes join it by themselves", cluster)
}

// handleInit starts a new cluster with this node as its first, unless there is one
// to join.
func (m *membership) handleInit(ctx context.Context, _ ids.NodeID, _ []byte) ([]byte, error) {
	answer := make(chan error, 1)
	select {
	case m.inits <- answer:
	case <-m.settled:
		return nil, errInitialized(m.identity.Cluster)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-answer:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// joinEvery is how often a node without a cluster asks for one.
const joinEvery = 500 * time.Millisecond

// wait blocks until this node has an identity; bootstrap says that it is the
// first node of a new cluster.
func (m *membership) wait(ctx context.Context, r *registry) (id identity, bootstrap bool, err error) {
	m.said = map[string]string{}
	m.log.Info("this node belongs to no cluster yet; it asks the nodes of --join for one. For a new cluster run pamir init once",
		"join", m.join, "init", "pamir init --host="+m.self.RPCAddr)
	for {
		if id, _ := m.tryAll(ctx, r); id != nil {
			return *id, false, nil
		}
		select {
		case answer := <-m.inits:
			id, bootstrap, err := m.initialize(ctx, r)
			answer <- err
			if id != nil {
				return *id, bootstrap, nil
			}
		case <-time.After(joinEvery):
		case <-ctx.Done():
			return id, false, ctx.Err()
		}
	}
}

// initialize starts a cluster unless another node has one, or is about to. Each
// node raises its flag before it asks the others: of two that are told at once, one
// sees the other's flag, or both do, and nobody goes on who has seen one.
func (m *membership) initialize(ctx context.Context, r *registry) (id *identity, bootstrap bool, err error) {
	m.initializing.Store(true)
	id, rival := m.tryAll(ctx, r)
	switch {
	case id != nil:
		return id, false, errInitialized(id.Cluster)
	case rival != "":
		m.initializing.Store(false)
		return nil, false, fmt.Errorf("the node at %s is being initialized at the same time; this one joins its cluster. If none comes up, run pamir init again", rival)
	}
	return &identity{Cluster: uuid.NewString(), Node: 1}, true, nil
}

// tryAll asks the addresses of --join for membership, one after the other: each
// yes is an id that is used up. rival is one that is being initialized.
func (m *membership) tryAll(ctx context.Context, r *registry) (id *identity, rival string) {
	for _, addr := range m.join {
		if addr == m.self.RPCAddr || m.said[addr] == errItself {
			continue // every node gets the same list
		}
		answer, err := m.tryJoin(ctx, addr)
		if err == nil {
			r.learn(answer.Nodes, answer.First)
			return &answer.Identity, ""
		}
		switch err.Error() {
		case errItself:
			m.said[addr] = errItself
			continue
		case errInitializing:
			rival = addr
		}
		m.say(ctx, addr, err)
	}
	return nil, rival
}

// say logs why an address is of no help, once for each reason.
func (m *membership) say(ctx context.Context, addr string, err error) {
	text := err.Error()
	var wrong *rpc.AddrError
	level := slog.LevelInfo
	if errors.As(err, &wrong) {
		text, level = wrong.Reason, slog.LevelWarn
	}
	if m.said[addr] == text || ctx.Err() != nil {
		return
	}
	m.said[addr] = text
	m.log.Log(ctx, level, "waiting to join a cluster", "node", addr, "because", text)
}

func (m *membership) tryJoin(ctx context.Context, addr string) (*joinAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b, err := json.Marshal(joinRequest{m.self, m.token})
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
func admit(ctx context.Context, db kv.DB, cluster string, r *registry, own *api.RangeDescriptor, req joinRequest) ([]byte, error) {
	n, err := db.Increment(ctx, nodeIDKey, 1)
	if err != nil {
		return nil, fmt.Errorf("allocating a node id: %w", err)
	}
	// Node 1 is the cluster's first; the counter starts behind it.
	req.Node.Node = ids.NodeID(n + 1)
	r.learn([]api.NodeDescriptor{req.Node}, nil)
	return json.Marshal(joinAnswer{Identity: identity{cluster, req.Node.Node}, gossipMessage: r.message(own)})
}

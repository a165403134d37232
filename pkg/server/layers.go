package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/lifecycle"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/kv/route"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/kv/txn"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/sql/pgwire"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/session"
)

// layers are what a node with an identity consists of, from below.
type layers struct {
	host      raftgroup.Host
	store     *store.Store
	router    *route.Router
	db        *txn.DB
	lifecycle *lifecycle.Manager
	sql       *session.Server
}

// lateSender stands in for the router, which stands on the store, which stands
// on the router.
type lateSender struct{ router *route.Router }

// Send implements api.Sender.
func (l *lateSender) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	return l.router.Send(ctx, ba)
}

// buildLayers puts the layers together; nothing serves before start.
func (s *Server) buildLayers(ctx context.Context, id identity, bootstrap bool) (*layers, error) {
	var peers rpc.Peers
	if s.net != nil {
		peers = s.net
	}
	if err := store.StartClock(ctx, s.engine, s.clock); err != nil {
		return nil, err
	}
	l := &layers{}
	sender, evaluator := &lateSender{}, scan.NewEvaluator()
	l.store = store.New(store.Config{Node: id.Node, Engine: s.engine, Clock: s.clock, Peers: peers, Sender: sender, Evaluator: evaluator, Logger: s.log, CPU: cpuTime})
	var err error
	l.host, err = raftgroup.NewHost(raftgroup.Options{Node: id.Node, Engine: s.engine, Peers: peers, LogDir: s.raftDir(), Logger: s.log,
		Unknown: l.store.HandleUnknown, Fatal: s.fatal})
	if err != nil {
		return nil, fmt.Errorf("opening the Raft groups: %w", err)
	}
	node := func() ids.NodeID { return id.Node }
	l.router = route.New(route.Config{Local: l.store, Node: node, Peers: peers, Clock: s.clock, Lookup: meta.Lookup, Alive: l.store.Alive, Go: s.tasks.Go, FirstRange: func() (api.RangeDescriptor, bool) {
		d := l.store.FirstRange()
		if d == nil {
			d = s.registry.firstRange()
		}
		if d == nil {
			return api.RangeDescriptor{}, false
		}
		return *d, true
	}})
	sender.router = l.router
	if peers != nil {
		route.RegisterServer(peers, l.store, s.clock)
	}
	if bootstrap {
		if err := store.Bootstrap(ctx, l.host, s.engine, id.Node, s.clock); err != nil {
			return nil, fmt.Errorf("bootstrapping the cluster: %w", err)
		}
	}
	l.db = txn.NewDB(txn.Config{Ranges: l.router, Clock: s.clock, Node: node, Logger: s.log})
	l.lifecycle = lifecycle.New(lifecycle.Config{Store: l.store, Node: id.Node, Admin: l.db.Admin(), Logger: s.log, Nodes: s.registry.all,
		Replicas: s.cfg.Replicas, RangeMaxBytes: s.cfg.RangeMaxBytes, DeadAfter: s.cfg.StoreDeadAfter})
	l.sql = session.NewServer(session.Config{DB: l.db, Node: id.Node, Evaluator: evaluator, Live: &live{s: s, l: l}, Announce: s.announceCatalog})
	if peers != nil {
		peers.HandleMessage(rpc.MethodCatalog, func(ids.NodeID, []byte) { l.sql.Store().Nudge() })
	}
	s.sessions.sql.Store(l.sql)
	return l, nil
}

// announceCatalog tells the other nodes that the catalog has changed, so that a
// schema change waits for their answer and not for their next look.
func (s *Server) announceCatalog() {
	if s.net == nil {
		return
	}
	for _, d := range s.registry.all() {
		if d.Node != s.net.Self() {
			_ = s.net.Send(d.Node, rpc.Normal, rpc.MethodCatalog, nil) // whoever misses it polls
		}
	}
}

// start opens the replicas and the catalog.
func (l *layers) start(ctx context.Context, s *Server) error {
	if err := l.store.Start(ctx, l.host); err != nil {
		return err
	}
	if s.net != nil {
		s.tasks.Go("gossip", func(ctx context.Context) { s.registry.run(ctx, s.net, s.cfg.Join, s.ownFirstRange) })
		s.tasks.Go("several nodes", func(ctx context.Context) { keepAliveInCluster(ctx, s, l) })
	}
	if err := l.sql.Start(ctx); err != nil {
		return err
	}
	l.lifecycle.Start()
	return nil
}

// keepAliveInCluster starts heartbeats as soon as there is another node to see
// them; a node alone writes nothing while idle.
func keepAliveInCluster(ctx context.Context, s *Server, l *layers) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for len(s.registry.all()) < 2 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
	l.store.KeepAlive()
}

// stop takes the layers down from the top.
func (l *layers) stop(ctx context.Context, handOver bool) {
	l.lifecycle.Close()
	if handOver {
		_ = l.store.Drain(ctx) // what was not handed over in time expires
	}
	l.sql.Close()
	l.db.Close()
	l.store.Close()
	_ = l.host.Close() // its files are synced with each write
}

// sessions adapts the SQL layer to the wire.
type sessions struct {
	sql atomic.Pointer[session.Server] // set before the node serves
}

// Verifier implements pgwire.Sessions.
func (x *sessions) Verifier(_ context.Context, user string) (v security.Verifier, ok bool, err error) {
	r, found := x.sql.Load().Store().Snapshot().Role(user)
	if !found || !r.Login || r.Password == "" || r.Expired(time.Now()) {
		return v, false, nil
	}
	v, err = security.ParseVerifier(r.Password)
	return v, err == nil, err
}

// Open implements pgwire.Sessions.
func (x *sessions) Open(ctx context.Context, pid int32, o session.Options) (pgwire.Session, error) {
	s, err := session.New(ctx, x.sql.Load(), pid, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) ownFirstRange() *api.RangeDescriptor {
	if l := s.layers.Load(); l != nil {
		return l.store.FirstRange()
	}
	return nil
}

func (s *Server) handleInit(ctx context.Context, from ids.NodeID, payload []byte) ([]byte, error) {
	if id := s.identity.Load(); id != nil {
		return nil, errInitialized(id.Cluster)
	}
	if s.Member() {
		return nil, errors.New("this node belongs to a cluster already and is waiting for its other nodes")
	}
	if _, err := s.members.handleInit(ctx, from, payload); err != nil {
		return nil, err
	}
	// Only now can others join, and see that there is a cluster.
	return nil, s.WaitReady(ctx)
}

func (s *Server) handleJoin(ctx context.Context, _ ids.NodeID, payload []byte) ([]byte, error) {
	var req joinRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, err
	}
	if req.Token == s.members.token {
		return nil, errors.New(errItself)
	}
	id, l := s.identity.Load(), s.layers.Load()
	if id == nil || l == nil {
		if s.members.initializing.Load() {
			return nil, errors.New(errInitializing)
		}
		return nil, errors.New(errNotInitialized)
	}
	return admit(ctx, l.db, id.Cluster, s.registry, l.store.FirstRange(), req)
}

// AdminOp is what an operator's command, or another node, asks of a node.
type AdminOp string

// The operations.
const (
	AdminStatus       AdminOp = "status"
	AdminDrain        AdminOp = "drain"
	AdminDecommission AdminOp = "decommission"
	// What one node tells another about itself.
	AdminSessions     AdminOp = "sessions"
	AdminStatements   AdminOp = "statements"
	AdminTransactions AdminOp = "transactions"
	AdminCounters     AdminOp = "counters"
)

// AdminRequest is the request of pamir node.
type AdminRequest struct {
	Op   AdminOp
	Node ids.NodeID
}

// StatusAnswer answers AdminStatus. Trouble says why Nodes are what the node From
// knows by itself; it is empty as long as the ranges that hold the truth answer.
type StatusAnswer struct {
	From    ids.NodeID
	Nodes   []NodeStatus
	Trouble string
}

// DrainAnswer answers AdminDrain: how many sessions are left.
type DrainAnswer struct{ Sessions int }

// How long the ranges get to tell of the nodes, and sessions to end their
// transactions, before an operator hears what there is to say. What comes after
// must fit into the time that pamir node waits.
const (
	statusWithin        = 2 * time.Second
	drainSessionsWithin = 5 * time.Second
)

// status describes the nodes even when most of them are gone: that is when an
// operator asks.
func (s *Server) status(ctx context.Context) StatusAnswer {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	a := StatusAnswer{From: s.NodeID()}
	var err error
	if a.Nodes, err = s.Nodes(ctx); err != nil {
		a.Nodes, a.Trouble = s.KnownNodes(), err.Error()
	}
	return a
}

// drain takes no new sessions and gives the leases away. Sessions that do not end
// their transactions do not hold the leases back: they go on with those of others.
func (s *Server) drain(ctx context.Context, l *layers) (left int, err error) {
	s.draining.Store(true)
	sctx, cancel := context.WithTimeout(ctx, drainSessionsWithin)
	s.pg.Drain(sctx)
	cancel()
	err = l.store.Drain(ctx)
	return s.pg.Conns(), err
}

func (s *Server) handleAdmin(ctx context.Context, _ ids.NodeID, payload []byte) ([]byte, error) {
	var r AdminRequest
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, err
	}
	l := s.layers.Load()
	if l == nil {
		return nil, errors.New(errNotInitialized)
	}
	switch r.Op {
	case AdminStatus:
		return json.Marshal(s.status(ctx))
	case AdminDrain:
		left, err := s.drain(ctx, l)
		if err != nil {
			return nil, err
		}
		return json.Marshal(DrainAnswer{left})
	case AdminDecommission:
		return nil, l.store.Liveness().SetDecommissioning(ctx, r.Node, true)
	case AdminSessions, AdminStatements, AdminTransactions, AdminCounters:
		return json.Marshal(s.own(l, r.Op))
	}
	return nil, fmt.Errorf("unknown operation %q", r.Op)
}

// DB returns the node's key-value database; nil until it serves.
func (s *Server) DB() kv.DB {
	if l := s.layers.Load(); l != nil {
		return l.db
	}
	return nil
}

// allKeys bounds everything.
var allKeys = [2]api.Key{keys.MinKey, keys.MaxKey}

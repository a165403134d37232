package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/pgwire"
	"github.com/pamirdb/pamir/sql/types"
)

// Server is one node.
type Server struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	engine  engine.Engine
	clock   *hlc.Clock
	tasks   *stop.Group

	net      *rpc.Node // nil on a node that nobody else can join
	registry *registry
	members  *membership
	rpcL     net.Listener
	sqlL     net.Listener
	httpL    net.Listener
	http     *http.Server
	sqlTLS   *tls.Config
	pg       *pgwire.Server
	sessions sessions

	identity atomic.Pointer[identity]
	layers   atomic.Pointer[layers]
	ready    chan struct{}
	failed   chan error
	// alone says that no other node will serve on: there is nobody to hand leases to.
	alone atomic.Bool
	// member says that the store belonged to a cluster when the node started.
	member atomic.Bool
	// draining says that the node gives its sessions and leases away.
	draining atomic.Bool
	stopOnce sync.Once
	stopErr  error
}

// Start starts a node and returns once its ports are open. A node that belongs
// to no cluster yet goes on waiting for one in the background; WaitReady tells
// when it serves.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, started: time.Now(), tasks: stop.New(ctx),
		ready: make(chan struct{}), failed: make(chan error, 1), clock: hlc.NewClock(nil, cfg.MaxOffset)}
	go pgfacts.Preload() // so that the first statement does not pay for it
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Stop(ctx))
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	if err := s.openEngine(); err != nil {
		return err
	}
	s.registry = newRegistry(s.engine, s.log)
	if err := s.openNetwork(ctx); err != nil {
		return err
	}
	if err := s.openClients(); err != nil {
		return err
	}
	if s.cfg.Insecure && (s.cfg.SQLAddr != "" || s.cfg.ListenAddr != "") {
		s.log.Warn("running insecure: no TLS and no passwords; anyone who reaches the ports is root")
	}
	id, known, err := loadIdentity(s.engine)
	if err != nil {
		return err
	}
	if !known && s.net == nil && !s.cfg.SingleNode {
		return errors.New("a new node needs --listen-addr and --join, or start-single-node")
	}
	s.member.Store(known)
	s.tasks.Go("node start", func(ctx context.Context) {
		if err := s.boot(ctx, id, known); err != nil && ctx.Err() == nil {
			s.failed <- err
		}
	})
	return nil
}

func (s *Server) openEngine() (err error) {
	if s.cfg.StoreDir == "" {
		s.engine = engine.OpenMemory()
		return nil
	}
	if err := os.MkdirAll(s.cfg.StoreDir, 0o700); err != nil {
		return fmt.Errorf("store %s: the directory cannot be made: %w", s.cfg.StoreDir, err)
	}
	s.engine, err = engine.Open(s.cfg.StoreDir, engine.Options{Fatal: s.fatal})
	advice := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrLocked):
		advice = "; stop that one, or give this node a directory of its own"
	case errors.Is(err, engine.ErrNewerVersion):
		advice = "; start it with the pamir that wrote it: nothing was changed"
	}
	return fmt.Errorf("store %s: %w%s", s.cfg.StoreDir, err, advice)
}

// fatal ends the process: a store that cannot be written must not go on.
func (s *Server) fatal(err error) {
	s.log.Error("the store cannot be written; ending the process", "err", err)
	os.Exit(7)
}

// listen opens a port; flag is where its address came from. The listener is nil
// if there is an error: a nil *net.TCPListener would not be.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		err = errors.New("another process listens there; stop it, or give another address")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = errors.New("this machine does not have that address")
	case errors.Is(err, syscall.EACCES):
		err = errors.New("the system does not allow it; take a port from 1024 up")
	}
	return nil, fmt.Errorf("%s=%s: %w", flag, addr, err)
}

// openNetwork opens the node port and answers join and init from then on.
func (s *Server) openNetwork(ctx context.Context) error {
	var serverTLS, clientTLS *tls.Config
	if !s.cfg.Insecure {
		var err error
		if serverTLS, clientTLS, s.sqlTLS, err = security.NodeTLS(s.cfg.CertsDir); err != nil {
			return err
		}
	}
	if s.cfg.ListenAddr == "" {
		return nil
	}
	l, err := listen("--listen-addr", s.cfg.ListenAddr)
	if err != nil {
		return err
	}
	s.rpcL = l
	s.net = rpc.NewNode(context.WithoutCancel(ctx), rpc.Options{Resolve: s.registry.resolve, ServerTLS: serverTLS, ClientTLS: clientTLS, Logger: s.log})
	s.members = &membership{log: s.log, net: s.net, self: s.descriptor(0), join: s.cfg.Join, token: uuid.NewString(), inits: make(chan chan<- error), settled: make(chan struct{})}
	s.net.Handle(rpc.MethodInit, s.handleInit)
	s.net.Handle(rpc.MethodJoin, s.handleJoin)
	s.net.Handle(rpc.MethodAdmin, s.handleAdmin)
	s.net.Handle(rpc.MethodGossip, s.registry.handle(s.ownFirstRange))
	s.tasks.Go("node port", func(context.Context) {
		if err := s.net.Serve(l); err != nil {
			s.log.Error("node port", "err", err)
		}
	})
	return nil
}

// openClients opens the SQL and HTTP ports. SQL clients wait for a while until the
// node serves; HTTP answers at once.
func (s *Server) openClients() (err error) {
	s.pg = pgwire.NewServer(pgwire.Config{Sessions: &s.sessions, TLS: s.sqlTLS, Insecure: s.cfg.Insecure, Ready: s.ready,
		Unready: s.unready, Logger: s.log})
	if s.cfg.SQLAddr != "" {
		if s.sqlL, err = listen("--sql-addr", s.cfg.SQLAddr); err != nil {
			return err
		}
		s.tasks.Go("sql port", func(context.Context) {
			if err := s.pg.Serve(s.sqlL); err != nil && !errors.Is(err, net.ErrClosed) {
				s.log.Error("SQL port", "err", err)
			}
		})
	}
	if s.cfg.HTTPAddr == "" || s.cfg.HTTPHandler == nil {
		return nil
	}
	if s.httpL, err = listen("--http-addr", s.cfg.HTTPAddr); err != nil {
		return err
	}
	s.http = &http.Server{Handler: s.cfg.HTTPHandler(s), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	l := s.httpL
	if s.sqlTLS != nil {
		c := s.sqlTLS.Clone()
		c.ClientAuth = tls.NoClientCert
		l = tls.NewListener(l, c)
	}
	s.tasks.Go("http", func(context.Context) {
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http port", "err", err)
		}
	})
	return nil
}

// How long a SQL client waits for a member of a cluster to serve, which takes as
// long as its peers do, and for a node that nobody has made a member.
const (
	memberWait    = 30 * time.Second
	strangerWait  = 3 * time.Second
	startingUp    = "the database system is starting up"
	initByCommand = "Run pamir init once, against any node of a new cluster."
)

// unready tells a SQL client why it cannot be served yet, in PostgreSQL's words
// where it has some.
func (s *Server) unready() (time.Duration, *types.Error) {
	if s.cfg.SingleNode || s.Member() || s.NodeID() != 0 {
		return memberWait, types.Errorf(types.CodeCannotConnectNow, startingUp)
	}
	return strangerWait, types.Errorf(types.CodeCannotConnectNow, "this node does not belong to a cluster yet").WithHint(initByCommand)
}

// boot brings the node from its identity to serving.
func (s *Server) boot(ctx context.Context, id identity, known bool) error {
	bootstrap := false
	if !known {
		var err error
		if s.cfg.SingleNode {
			id, bootstrap = identity{Cluster: uuid.NewString(), Node: 1}, true
		} else if id, bootstrap, err = s.members.wait(ctx, s.registry); err != nil {
			return err
		}
	}
	if s.net != nil {
		s.members.settle(id)
		s.net.SetIdentity(id.Node, id.Cluster)
		s.registry.setSelf(s.descriptor(id.Node))
	}
	l, err := s.buildLayers(ctx, id, bootstrap)
	if err != nil {
		return err
	}
	// Only a store that holds what it should has an identity: a crash during
	// bootstrap leaves a new store, and a joiner joins again.
	if !known {
		if err := storeIdentity(ctx, s.engine, id); err != nil {
			return err
		}
	}
	s.identity.Store(&id)
	s.layers.Store(l)
	s.tasks.Go("start watch", func(ctx context.Context) { s.watchStart(ctx, l) })
	if err := l.start(ctx, s); err != nil {
		return err
	}
	close(s.ready)
	s.log.Info("serving", "node", id.Node, "cluster", id.Cluster, "sql", s.SQLAddr(), "nodes", s.RPCAddr(), "http", s.HTTPURL(),
		"after", time.Since(s.started).Round(time.Millisecond).String())
	return nil
}

// patience is how long a start may take before the log says what it waits for,
// and how long until it says so again.
const patience, impatience = 3 * time.Second, 30 * time.Second

// watchStart tells why a member of a cluster does not serve: as a rule because
// too few of the others are there.
func (s *Server) watchStart(ctx context.Context, l *layers) {
	for wait := patience; ; wait = impatience {
		select {
		case <-s.ready:
			return
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		var nodes []ids.NodeID
		for _, d := range s.registry.all() {
			nodes = append(nodes, d.Node)
		}
		var silent []string
		for _, n := range l.store.Silent(ctx, nodes) {
			addr, _ := s.registry.resolve(n)
			silent = append(silent, fmt.Sprintf("%s at %s", n, addr))
		}
		s.log.Warn("not serving yet: waiting for a majority of the replicas of the system ranges. Start the other nodes, or see why they do not answer",
			"silent", strings.Join(silent, ", "))
	}
}

func (s *Server) descriptor(id ids.NodeID) api.NodeDescriptor {
	return api.NodeDescriptor{Node: id, RPCAddr: s.advertised(), SQLAddr: announced(s.cfg.SQLAddr, s.SQLAddr()), HTTPAddr: s.announcedHTTP(),
		Locality: s.cfg.Locality, StartedNanos: time.Now().UnixNano(), Version: Version}
}

func (s *Server) advertised() string {
	if s.cfg.AdvertiseAddr != "" {
		return s.cfg.AdvertiseAddr
	}
	return announced(s.cfg.ListenAddr, s.RPCAddr())
}

func (s *Server) announcedHTTP() string { return announced(s.cfg.HTTPAddr, s.httpAddr()) }

// announced is what others dial to reach what listens at addr. A name that it was
// given by stays one: others look it up themselves, and the certificate may be for
// it alone. An address that stands for all of this machine's means, elsewhere,
// another machine.
func announced(given, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if name, _, err := net.SplitHostPort(given); err == nil && name != "" && net.ParseIP(name) == nil {
		return net.JoinHostPort(name, port)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return addr
	}
	return net.JoinHostPort(thisMachine(), port)
}

// nameWithin bounds how long a name server may take to say whether it knows this
// machine.
const nameWithin = 2 * time.Second

// thisMachine is the machine's name, or an address if nobody knows the name. It is
// found out once: asking may take long, and addresses are shown often.
var thisMachine = sync.OnceValue(func() string {
	if name, err := os.Hostname(); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), nameWithin)
		defer cancel()
		if _, err := net.DefaultResolver.LookupHost(ctx, name); err == nil {
			return name
		}
	}
	all, _ := net.InterfaceAddrs() // none, if they cannot be listed
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
})

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// SQLAddr, RPCAddr and HTTPURL say where the node listens; "" where it does not.
func (s *Server) SQLAddr() string { return addrOf(s.sqlL) }

// RPCAddr is the address for other nodes.
func (s *Server) RPCAddr() string { return addrOf(s.rpcL) }

func (s *Server) httpAddr() string { return addrOf(s.httpL) }

// HTTPURL is the dashboard's address.
func (s *Server) HTTPURL() string {
	switch {
	case s.httpL == nil:
		return ""
	case s.cfg.Insecure:
		return "http://" + s.announcedHTTP()
	}
	return "https://" + s.announcedHTTP()
}

// NodeID is 0 until the node has joined.
func (s *Server) NodeID() ids.NodeID {
	if id := s.identity.Load(); id != nil {
		return id.Node
	}
	return 0
}

// ClusterID is empty until the node has joined.
func (s *Server) ClusterID() string {
	if id := s.identity.Load(); id != nil {
		return id.Cluster
	}
	return ""
}

// Member reports whether the store belonged to a cluster when the node started:
// such a node needs no init.
func (s *Server) Member() bool { return s.member.Load() }

// Insecure reports whether the node runs without TLS and passwords.
func (s *Server) Insecure() bool { return s.cfg.Insecure }

// Started is when the process's node started.
func (s *Server) Started() time.Time { return s.started }

// Ready reports whether the node serves SQL.
func (s *Server) Ready() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// Draining reports whether the node is on its way out: it takes no new sessions.
func (s *Server) Draining() bool { return s.draining.Load() }

// WaitReady waits until the node serves SQL.
func (s *Server) WaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case err := <-s.failed:
		s.failed <- err // for whoever asks next
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failed delivers an error that the node cannot go on from.
func (s *Server) Failed() <-chan error { return s.failed }

// ServeConn serves a client connection from inside of this process.
func (s *Server) ServeConn(c net.Conn) error {
	if !s.Ready() {
		return errors.New("the node does not serve yet")
	}
	if !s.tasks.Go("embedded connection", func(context.Context) {
		if err := s.pg.ServeTrusted(c); err != nil {
			s.log.Debug("embedded connection", "err", err)
		}
	}) {
		return errors.New("the node is stopping")
	}
	return nil
}

// drainWithin is how much of a stop goes to sessions and leases.
const drainWithin = time.Second

// Stop stops the node in the reverse order of its start. Sessions are given a
// moment to end their transactions, and leases are handed over; what is committed
// is on disk when Stop returns.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

// StopWithCluster is Stop for a node whose whole cluster stops: leases are not
// handed over.
func (s *Server) StopWithCluster(ctx context.Context) error {
	s.alone.Store(true)
	return s.Stop(ctx)
}

func (s *Server) stop(ctx context.Context) error {
	s.draining.Store(true)
	dctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	var errs []error
	if s.pg != nil {
		s.pg.Drain(dctx)
		if l := s.layers.Load(); l != nil {
			l.db.Hurry() // sessions that are still at it end now
		}
		errs = append(errs, s.pg.Close())
	}
	if l := s.layers.Load(); l != nil {
		l.stop(dctx, !s.alone.Load())
	}
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	if s.rpcL != nil {
		errs = append(errs, s.rpcL.Close())
	}
	if s.net != nil {
		s.net.Close()
	}
	if s.sqlL != nil {
		_ = s.sqlL.Close() // closed already if it was served
	}
	s.tasks.Stop()
	if s.engine != nil {
		errs = append(errs, s.engine.Close())
	}
	return errors.Join(errs...)
}

// raftDir is where the Raft logs are; "" keeps them in memory.
func (s *Server) raftDir() string {
	if s.cfg.StoreDir == "" {
		return ""
	}
	return filepath.Join(s.cfg.StoreDir, "raft")
}

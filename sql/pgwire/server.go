package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/sql/types"
)

// Defaults of Config.
const (
	DefaultMaxMessageBytes = 128 << 20
	DefaultMaxConns        = 10_000
)

// Config says whom a server serves, and how.
type Config struct {
	Sessions Sessions
	// TLS encrypts connections; a client certificate that it verified names the
	// user. Without Insecure only encrypted connections are taken.
	TLS *tls.Config
	// Insecure trusts every client to be who it says it is.
	Insecure bool
	// MaxMessageBytes bounds one message of a client, MaxConns how many clients
	// there are at a time.
	MaxMessageBytes int
	MaxConns        int
	// Ready closes once there may be sessions; nil is from the start. Unready tells
	// how long a client that came before waits, and what it is told then.
	Ready   <-chan struct{}
	Unready func() (wait time.Duration, why *types.Error)
	Logger  *slog.Logger
}

// Server serves connections. Close, or Drain and Close, end it.
type Server struct {
	cfg      Config
	group    *stop.Group
	draining atomic.Bool
	closing  atomic.Bool

	mu struct {
		sync.Mutex
		conns     map[int32]*conn // those that passed authentication
		open      map[*conn]struct{}
		listeners map[net.Listener]struct{}
		lastPID   int32
	}
}

// NewServer returns a server that serves nobody yet.
func NewServer(cfg Config) *Server {
	if cfg.MaxMessageBytes <= 0 {
		cfg.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = DefaultMaxConns
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{cfg: cfg, group: stop.New(context.Background())}
	s.mu.conns = map[int32]*conn{}
	s.mu.open = map[*conn]struct{}{}
	s.mu.listeners = map[net.Listener]struct{}{}
	return s
}

// Serve accepts connections until the listener or the server is closed, which
// closes the listener as well.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.mu.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.mu.listeners, l)
		s.mu.Unlock()
	}()
	if s.draining.Load() {
		return l.Close()
	}
	backoff := time.Duration(0)
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.draining.Load() {
				return nil
			}
			// Out of file descriptors, most likely: others will close some.
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			s.cfg.Logger.Warn("accepting a client connection failed", "error", err)
			select {
			case <-time.After(backoff):
				continue
			case <-s.group.Done():
				return nil
			}
		}
		backoff = 0
		if err := s.ServeConn(c); err != nil {
			return nil
		}
	}
}

// ErrClosed is returned for connections that come after the end.
var ErrClosed = errors.New("pgwire: server closed")

// ServeConn serves one connection in a goroutine of its own and closes it in the
// end.
func (s *Server) ServeConn(c net.Conn) error { return s.serveConn(c, false) }

// ServeTrusted serves a connection from inside of this process: it needs neither
// encryption nor a password.
func (s *Server) ServeTrusted(c net.Conn) error { return s.serveConn(c, true) }

func (s *Server) serveConn(nc net.Conn, trusted bool) error {
	c := newConn(s, nc)
	c.trusted = trusted
	s.mu.Lock()
	full := len(s.mu.open) >= s.cfg.MaxConns
	if !full {
		s.mu.open[c] = struct{}{}
		c.pid, c.secret = s.newKeyLocked()
	}
	s.mu.Unlock()
	serve := c.serve
	if full {
		serve = func(context.Context) {
			c.refuse(fatal(types.CodeTooManyConnections, "sorry, too many clients already"))
		}
	}
	if !s.group.Go("pgwire connection", serve) {
		c.close()
		return ErrClosed
	}
	return nil
}

// refuse tells a client why it is not served. It reads the startup message
// first: clients do not expect an error before they have sent it.
func (c *conn) refuse(e *types.Error) {
	defer c.close()
	if err := c.net.SetDeadline(time.Now().Add(goodbyeTimeout)); err != nil {
		return
	}
	if _, err := c.negotiate(); err != nil {
		return
	}
	c.w.error(e, severityFatal)
	_ = c.w.flush() // the client is sent away in any case
}

// newKeyLocked finds a free process id and draws a secret for cancel requests.
func (s *Server) newKeyLocked() (pid int32, secret []byte) {
	for {
		s.mu.lastPID++
		if s.mu.lastPID <= 0 {
			s.mu.lastPID = 1
		}
		if _, taken := s.mu.conns[s.mu.lastPID]; !taken {
			break
		}
	}
	secret = make([]byte, 4)
	// crypto/rand never fails on the systems that Go supports.
	_, _ = rand.Read(secret)
	return s.mu.lastPID, secret
}

func (s *Server) register(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.conns[c.pid] = c
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.open, c)
	if s.mu.conns[c.pid] == c {
		delete(s.mu.conns, c.pid)
	}
}

// cancel answers a cancel request: whoever knows the secret may interrupt.
func (s *Server) cancel(pid int32, secret []byte) {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c != nil && subtle.ConstantTimeCompare(c.secret, secret) == 1 {
		c.sess.Cancel()
	}
}

// Cancel interrupts the statement of the session with the given process id, if
// there is one.
func (s *Server) Cancel(pid int32) bool {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.sess.Cancel()
	return true
}

// Conns is how many connections there are.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.open)
}

// drainPoll is how often draining looks for connections that came to rest.
const drainPoll = 20 * time.Millisecond

// Drain stops accepting, ends connections that are idle with 57P01, and waits
// for the others to end their transactions, until ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.draining.Store(true)
	s.mu.Lock()
	for l := range s.mu.listeners {
		_ = l.Close() // Serve sees the end either way
	}
	s.mu.Unlock()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for s.wakeIdle() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// wakeIdle interrupts the waits of connections that are idle, or have not even
// started, and tells how many connections are left.
func (s *Server) wakeIdle() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.open {
		if st := c.state.Load(); st == stateWaiting || st == stateStarting {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // fails on a closed one only
		}
	}
	return len(s.mu.open)
}

// Close ends all connections at once, tells their clients, and waits until
// every goroutine is gone.
func (s *Server) Close() error {
	s.draining.Store(true)
	s.closing.Store(true)
	s.mu.Lock()
	for l := range s.mu.listeners {
		_ = l.Close() // Serve sees the end either way
	}
	conns := make([]*conn, 0, len(s.mu.open))
	for c := range s.mu.open {
		conns = append(conns, c)
	}
	registered := make([]*conn, 0, len(s.mu.conns))
	for _, c := range s.mu.conns {
		registered = append(registered, c)
	}
	s.mu.Unlock()
	for _, c := range registered {
		c.sess.Cancel()
	}
	for _, c := range conns {
		// Reads end now; a write that a client does not take ends soon.
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
		_ = c.raw.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	}
	s.group.Stop()
	return nil
}

package session

import (
	"context"
	"log/slog"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/stmtstats"
	"github.com/pamirdb/pamir/sql/types"
)

// Version is what version() and server_version report.
const (
	ServerVersion    = "15.0 (Pamir)"
	ServerVersionNum = "150000"
)

// Config is what a node's SQL layer needs.
type Config struct {
	DB   kv.DB
	Node ids.NodeID
	// Evaluator is the one that the node's stores run programs with.
	Evaluator *scan.Evaluator
	// Live answers for the tables of pamir_internal; nil leaves them empty but for
	// this node's sessions and statements.
	Live LiveSource
	// Announce tells the other nodes' stores that the catalog has changed, without
	// blocking; nil where there are none.
	Announce func()
	// TempDir is for spills; "" is the system's.
	TempDir string
	// StatementMemory bounds one statement's memory (0: 512 MiB).
	StatementMemory int64
	// Naive runs the plans without the optimizer's rules, for tests.
	Naive bool
}

// LiveSource is what the server knows of the node and the cluster, beyond SQL.
type LiveSource interface {
	Nodes(ctx context.Context) ([]pgcatalog.Node, error)
	Ranges(ctx context.Context) ([]api.RangeInfo, error)
	// Transactions, Sessions and Statements are those of all nodes; silent are the
	// nodes that gave no answer in time.
	Transactions(ctx context.Context) (all []pgcatalog.Transaction, silent []ids.NodeID)
	Sessions(ctx context.Context) (all []pgcatalog.Session, silent []ids.NodeID)
	Statements(ctx context.Context) (all []pgcatalog.Statement, silent []ids.NodeID)
}

// Server is the SQL layer of one node.
type Server struct {
	cfg   Config
	db    kv.DB
	store *store.Store
	stats *stmtstats.Collector
	seqs  *sequences

	lastRowID atomic.Int64
	nextRowID func() int64 // rowID
	nextPID   atomic.Int32

	plansMu sync.RWMutex
	plans   map[string]*planEntry

	mu       sync.Mutex
	sessions map[int32]*Session
	closed   bool
}

// NewServer returns a SQL layer over a database; Start makes it usable.
func NewServer(cfg Config) *Server {
	if cfg.Evaluator == nil {
		cfg.Evaluator = scan.NewEvaluator()
	}
	if cfg.StatementMemory == 0 {
		cfg.StatementMemory = 512 << 20
	}
	if cfg.TempDir == "" {
		cfg.TempDir = os.TempDir()
	}
	s := &Server{cfg: cfg, db: cfg.DB, stats: stmtstats.New(), plans: map[string]*planEntry{}, sessions: map[int32]*Session{}}
	s.store = store.New(cfg.DB, cfg.Node, pgcatalog.Descriptors(), cfg.Announce)
	s.seqs = newSequences(s)
	s.nextRowID = s.rowID
	return s
}

// Start creates the catalog if need be and loads it.
func (s *Server) Start(ctx context.Context) error {
	if err := s.store.Start(ctx); err != nil {
		return err
	}
	s.dropStaleTemp(ctx)
	return nil
}

// Close ends all sessions and stops following the catalog.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	open := make([]*Session, 0, len(s.sessions))
	for _, x := range s.sessions {
		open = append(open, x)
	}
	s.mu.Unlock()
	for _, x := range open {
		x.Cancel()
	}
	if len(open) > 0 {
		slog.Debug("sessions open at shutdown", "count", len(open))
	}
	s.store.Close()
}

// Store returns the node's catalog.
func (s *Server) Store() *store.Store { return s.store }

// Statements returns the figures by statement, for the dashboard.
func (s *Server) Stats() *stmtstats.Collector { return s.stats }

// rowID returns a new hidden rowid: time in steps of about a microsecond above
// the node's number, so that ids of one node ascend and those of two differ.
func (s *Server) rowID() int64 {
	const nodeBits = 12
	now := (time.Now().UnixNano() >> 10) << nodeBits
	for {
		last := s.lastRowID.Load()
		next := max(now, last+1<<nodeBits)
		if s.lastRowID.CompareAndSwap(last, next) {
			return next | int64(s.cfg.Node)&(1<<nodeBits-1)
		}
	}
}

// planEntry is a plan that any session may use.
type planEntry struct {
	key     string
	plan    *plan.Plan
	negated []bool
	stats   *stmtstats.Entry
	gen     uint64
	epoch   uint64
	role    types.OID // it may do what the plan does
	path    string    // search_path, which says what names in it stand for
	choice  *choice   // nil for a plan that is not shared
}

// maxPlans bounds the shared plan cache; a full one is dropped.
const maxPlans = 4096

func (s *Server) lookupPlan(key []byte) *planEntry {
	s.plansMu.RLock()
	defer s.plansMu.RUnlock()
	return s.plans[string(key)]
}

func (s *Server) keepPlan(e *planEntry) {
	s.plansMu.Lock()
	defer s.plansMu.Unlock()
	if len(s.plans) >= maxPlans {
		clear(s.plans)
	}
	s.plans[e.key] = e
}

func (s *Server) register(x *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return types.Errorf(types.CodeAdminShutdown, "terminating connection due to administrator command")
	}
	s.sessions[x.pid] = x
	return nil
}

func (s *Server) unregister(x *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.pid)
}

// Sessions describes the open sessions by pid.
func (s *Server) Sessions() []pgcatalog.Session {
	s.mu.Lock()
	open := make([]*Session, 0, len(s.sessions))
	for _, x := range s.sessions {
		open = append(open, x)
	}
	s.mu.Unlock()
	sort.Slice(open, func(i, j int) bool { return open[i].pid < open[j].pid })
	out := make([]pgcatalog.Session, len(open))
	for i, x := range open {
		out[i] = x.describe()
	}
	return out
}

// Find returns a session by pid.
func (s *Server) Find(pid int32) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.sessions[pid]
	return x, ok
}

// Statements describes the statements by fingerprint.
func (s *Server) Statements() []pgcatalog.Statement {
	var out []pgcatalog.Statement
	for _, x := range s.stats.Snapshot() {
		out = append(out, pgcatalog.Statement{Node: s.cfg.Node, Query: x.Query, Database: x.Database, Calls: x.Calls, Errors: x.Errors,
			Rows: x.Rows, Retries: x.Retries, MeanSeconds: x.Mean.Seconds(), P50Seconds: x.P50.Seconds(), P99Seconds: x.P99.Seconds(),
			CallsPerSecond: x.Rate})
	}
	return out
}

// Transactions describes the open transactions of this node's sessions.
func (s *Server) Transactions() []pgcatalog.Transaction {
	s.mu.Lock()
	open := make([]*Session, 0, len(s.sessions))
	for _, x := range s.sessions {
		open = append(open, x)
	}
	s.mu.Unlock()
	var out []pgcatalog.Transaction
	for _, x := range open {
		if t, ok := x.transaction(); ok {
			out = append(out, t)
		}
	}
	return out
}

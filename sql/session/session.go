package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/settings"
	"github.com/pamirdb/pamir/sql/types"
)

// Session is one client's session.
type Session struct {
	srv  *Server
	pid  int32
	opts Options
	set  *settings.Values

	// login is who logged in, sessionUser who SET SESSION AUTHORIZATION made of it,
	// user who SET ROLE made of that; identify keeps them.
	login, sessionUser, user types.OID
	sessionName, userName    string
	database                 *catalog.Database
	started                  time.Time

	// ctx is the context of statements; Cancel ends it, and the next statement
	// makes another.
	parent   context.Context
	ctx      context.Context
	cancelMu sync.Mutex
	cancel   context.CancelFunc
	active   atomic.Bool
	// received is when the current message began, clock when something was last
	// timed: reading the clock is not free.
	received, clock time.Time
	canceled        atomic.Bool
	timedOut        atomic.Bool

	warnings warnings

	t        txnState
	temp     temporary
	resolver *catalog.SessionResolver
	schema   string // where the resolver creates
	prefix   []byte // of plan keys, as of prefixAt
	prefixAt uint64
	// pathSetting is search_path as it is set, as of prefixAt.
	pathSetting string
	plans       map[string]*sessionPlan
	stmts       map[string]*prepared
	portals     map[string]*portal
	main        runner // of the simple protocol and the unnamed portal
	unnamed     portal
	lastSeq     types.OID
	currvals    map[types.OID]int64

	keyBuf  []byte
	keyPart func(*catalog.Table, *catalog.IndexColumn) string
	lits    []parse.Literal
	tag     []byte
	lastTag string

	// info is what other goroutines may look at.
	infoMu sync.Mutex
	info   sessionInfo
}

type sessionInfo struct {
	query                            string
	queryStart, txnStart, stateSince time.Time
	state                            string
	txn                              kv.Txn
}

// New opens a session. pid 0 takes a number of the server's own.
func New(ctx context.Context, srv *Server, pid int32, o Options) (*Session, error) {
	if pid == 0 {
		pid = srv.nextPID.Add(1)
	}
	s := &Session{srv: srv, pid: pid, opts: o, set: settings.New(), parent: ctx, started: time.Now(),
		plans: map[string]*sessionPlan{}, stmts: map[string]*prepared{}, portals: map[string]*portal{}, currvals: map[types.OID]int64{}}
	s.keyPart = func(t *catalog.Table, c *catalog.IndexColumn) string { return pgcatalog.KeyPart(s.resolve(), t, c) }
	snap := srv.store.Snapshot()
	role, ok := snap.Role(o.User)
	if !ok {
		return nil, fatal(types.CodeInvalidAuthorization, "role \"%s\" does not exist", o.User)
	}
	if !role.Login {
		return nil, fatal(types.CodeInvalidAuthorization, "role \"%s\" is not permitted to log in", o.User)
	}
	s.login, s.sessionUser, s.user, s.sessionName, s.userName = role.ID, role.ID, role.ID, o.User, o.User
	name := o.Database
	if name == "" {
		name = o.User
	}
	db, ok := snap.Database(name)
	if !ok && o.Database == "" {
		name = "defaultdb"
		db, ok = snap.Database(name)
	}
	if !ok {
		if err := srv.store.Refresh(ctx); err == nil {
			db, ok = srv.store.Snapshot().Database(name)
		}
	}
	if !ok {
		return nil, fatal(types.CodeInvalidCatalogName, "database \"%s\" does not exist", name)
	}
	s.database = db
	s.opts.Database = db.Name
	if !s.holds(s.login, db, 'c') {
		err := fatal(types.CodeInsufficientPrivilege, "permission denied for database \"%s\"", db.Name)
		return nil, err.WithDetail("User does not have CONNECT privilege.")
	}
	if err := s.applySettings(role, db, o); err != nil {
		return nil, err
	}
	s.set.Seal()
	s.info.state, s.info.stateSince = "idle", s.started
	return s, srv.register(s)
}

func fatal(code, format string, args ...any) *types.Error {
	e := types.Errorf(code, format, args...)
	e.Severity = "FATAL"
	return e
}

// applySettings sets what role, database and startup message ask for.
func (s *Session) applySettings(role *catalog.Role, db *catalog.Database, o Options) error {
	if err := s.set.Set("session_authorization", o.User, false); err != nil {
		return err
	}
	for _, m := range []map[string]string{db.Settings, role.Settings} {
		for k, v := range m {
			_ = s.startSetting(k, v) // a stored setting that is no longer valid is ignored
		}
	}
	if err := s.startSettings(o.Settings); err != nil {
		return err
	}
	if o.ApplicationName != "" {
		if err := s.set.Set("application_name", o.ApplicationName, false); err != nil {
			return err
		}
	}
	s.follow() // the client is told what follows from the settings, too
	return nil
}

// PID identifies the session.
func (s *Session) PID() int32 { return s.pid }

// Parameters calls report for each setting that the client follows.
func (s *Session) Parameters(report func(name, value string)) {
	for _, v := range settings.All() {
		if v.Report {
			x, _ := s.set.Get(v.Name)
			report(v.Name, x)
		}
	}
}

// SettingsVersion changes whenever a setting may have changed.
func (s *Session) SettingsVersion() uint64 { return s.set.Version() }

// IdleTimeout is how long the client may now stay idle; 0 is forever.
func (s *Session) IdleTimeout() time.Duration { return s.set.IdleTimeout(s.t.block) }

// TxnStatus is the status byte of ReadyForQuery.
func (s *Session) TxnStatus() byte {
	switch {
	case s.t.failed:
		return StatusFailed
	case s.t.block:
		return StatusBlock
	}
	return StatusIdle
}

// Cancel interrupts the running statement, if any. It may be called from any
// goroutine.
func (s *Session) Cancel() {
	if !s.active.Load() {
		return
	}
	s.canceled.Store(true)
	s.cancelMu.Lock()
	defer s.cancelMu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// Close rolls back what is open and forgets the session.
func (s *Session) Close() {
	s.closePortals()
	if s.t.open() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(s.parent), 2*time.Second)
		defer stop()
		s.rollback(ctx)
	}
	s.closeTemp()
	s.cancelMu.Lock()
	if s.cancel != nil {
		s.cancel()
	}
	s.cancelMu.Unlock()
	s.srv.unregister(s)
}

// begin marks the start of a message that runs something.
func (s *Session) begin(ctx context.Context, query string) {
	s.timedOut.Store(false)
	s.canceled.Store(false)
	if s.ctx == nil || s.parent != ctx || s.ctx.Err() != nil {
		s.cancelMu.Lock()
		if s.cancel != nil {
			s.cancel()
		}
		s.parent = ctx
		s.ctx, s.cancel = context.WithCancel(ctx)
		s.cancelMu.Unlock()
	}
	now := time.Now()
	s.received, s.clock = now, now
	s.infoMu.Lock()
	s.info.query, s.info.queryStart, s.info.stateSince, s.info.state = query, now, now, "active"
	s.infoMu.Unlock()
	s.active.Store(true)
}

func (s *Session) end() {
	s.active.Store(false)
	state := "idle"
	switch {
	case s.t.failed:
		state = "idle in transaction (aborted)"
	case s.t.block:
		state = "idle in transaction"
	}
	if s.clock == s.received {
		s.clock = time.Now()
	}
	s.infoMu.Lock()
	s.info.state, s.info.stateSince = state, s.clock
	s.info.txn = s.t.txn
	if s.info.txnStart = s.t.started; s.t.txn == nil {
		s.info.txnStart = time.Time{}
	}
	s.infoMu.Unlock()
}

func (s *Session) describe() pgcatalog.Session {
	s.infoMu.Lock()
	defer s.infoMu.Unlock()
	app, _ := s.set.Get("application_name")
	return pgcatalog.Session{Node: s.srv.cfg.Node, PID: s.pid, User: s.opts.User, Database: s.database.Name,
		UserOID: s.login, DatabaseOID: s.database.ID, Application: app, Client: s.opts.RemoteAddr,
		State: s.info.state, Query: withoutPasswords(s.info.query), Started: s.started, QueryStart: s.info.queryStart,
		TxnStart: s.info.txnStart, StateChange: s.info.stateSince}
}

func (s *Session) transaction() (pgcatalog.Transaction, bool) {
	s.infoMu.Lock()
	defer s.infoMu.Unlock()
	if s.info.txn == nil || s.info.txnStart.IsZero() {
		return pgcatalog.Transaction{}, false
	}
	i := s.info.txn.Info()
	return pgcatalog.Transaction{Node: s.srv.cfg.Node, ID: i.ID.String(), SessionPID: s.pid, Isolation: i.Isolation.String(),
		Started: s.info.txnStart, ReadTS: i.ReadTS.String(), BufferedWrites: int64(i.BufferedWrites), BufferBytes: int64(i.BufferBytes),
		Restarts: int64(i.Restarts), Ranges: int64(i.Ranges)}, true
}

// runner is what one execution at a time needs; it is reused.
type runner struct {
	env     exec.Env
	eval    builtin.Ctx
	account exec.Account
	params  []types.Datum
	lits    []types.Datum
	st      statement
}

// prepare fills a runner for a statement of the current transaction.
func (s *Session) prepareRunner(r *runner) {
	t := s.set.Types()
	r.eval.Settings = t
	r.eval.TxnTime, r.eval.StmtTime = s.t.time, s.t.stmtTime
	s.resolve()
	r.eval.User, r.eval.SessionUser, r.eval.Database = s.userName, s.sessionName, s.database.Name
	r.eval.Schema = s.schema
	r.eval.Sequences, r.eval.Host, r.eval.Cancel = (*sessionSequences)(s), (*host)(s), &s.canceled
	r.eval.Params, r.eval.Literals = r.params, r.lits
	r.account = exec.Account{Limit: s.srv.cfg.StatementMemory}
	r.env.Ctx, r.env.Eval, r.env.Txn, r.env.Scan = s.ctx, &r.eval, s.t.txn, s.srv.cfg.Evaluator
	r.env.Snapshot, r.env.Virtual, r.env.Account = s.snapshot(), (*virtualTables)(s), &r.account
	r.env.KeyPart = s.keyPart
	r.env.SpillDir, r.env.Queue, r.env.RowID = s.srv.cfg.TempDir, &s.t.queue, s.srv.nextRowID
	r.env.MayCommit, r.env.Committed, r.env.Measure = false, false, false
}

package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/settings"
	"github.com/pamirdb/pamir/sql/types"
)

// txnState is a session's transaction.
type txnState struct {
	// block is an explicit transaction block, implicit one that lasts until the
	// end of a query string or until Sync.
	block, implicit, failed bool
	txn                     kv.Txn
	use                     store.Use
	change                  *store.Change
	// unlock lets writers back to the tables that a schema change had to itself.
	unlock func()
	iso    api.Isolation
	// uncommitted says that READ UNCOMMITTED was asked for, which is shown.
	uncommitted bool
	readOnly    bool
	// deferrable is kept to be shown: no transaction here waits for a safe snapshot.
	deferrable bool
	isoSet     bool
	// statements counts what ran in the transaction and cannot be run again.
	statements int
	savepoints []savepoint
	queue      exec.Queue
	saved      *settings.Snapshot
	started    time.Time
	ticks      int
	time       int64 // of now(), microseconds since 2000
	stmtTime   int64
}

type savepoint struct {
	name  string
	mark  kv.Savepoint
	cat   *store.Mark
	queue int
	set   *settings.Snapshot
	ro    bool
	born  int // among portals and savepoints
}

// tick numbers what a transaction makes, from 1.
func (t *txnState) tick() int {
	t.ticks++
	return t.ticks
}

// open reports whether there is anything to end.
func (t *txnState) open() bool { return t.block || t.implicit || t.txn != nil || t.use.Valid() }

// snapshot is the catalog as the current statement sees it.
func (s *Session) snapshot() *catalog.Snapshot {
	if s.t.change != nil {
		return s.t.change.Snapshot()
	}
	if s.t.use.Valid() {
		return s.t.use.Snapshot()
	}
	return s.srv.store.Snapshot()
}

// enter gets ready for a statement: the transaction's hold on the catalog.
func (s *Session) enter() {
	// A statement's time is when its message came.
	s.t.stmtTime = builtin.MicrosOf(s.received)
	if !s.t.use.Valid() {
		s.t.use = s.srv.store.Acquire()
		s.t.started, s.t.time = s.received, s.t.stmtTime
		st := s.set.Types()
		st.Now, st.Names = s.t.time, (*names)(s)
		if !s.t.isoSet {
			s.t.iso, s.t.readOnly = s.isolation(), s.set.Bool("default_transaction_read_only")
			s.t.uncommitted = s.set.Isolation() == uncommitted
			s.t.deferrable = s.set.Bool("default_transaction_deferrable")
		}
	}
}

func (s *Session) isolation() api.Isolation {
	return isolationOf(s.set.Isolation())
}

// uncommitted is an isolation level that is no other than READ COMMITTED.
const uncommitted = "read uncommitted"

func isolationOf(name string) api.Isolation {
	switch name {
	case "read committed", uncommitted:
		return api.ReadCommitted
	case "repeatable read":
		return api.RepeatableRead
	}
	return api.Serializable
}

// ensureTxn begins the kv transaction if there is none.
func (s *Session) ensureTxn() error {
	if s.t.txn != nil {
		return nil
	}
	t, err := s.srv.db.Begin(s.ctx, kv.TxnOptions{Isolation: s.t.iso, LockTimeoutNanos: int64(s.set.LockTimeout())})
	if err != nil {
		return err
	}
	s.t.txn = t
	return nil
}

// begin starts a transaction block.
func (s *Session) beginBlock(st *ast.TransactionStmt) error {
	s.t.block = true
	s.enter()
	return s.transactionModes(st.Options)
}

// transactionModes applies ISOLATION LEVEL, READ ONLY and their kin.
func (s *Session) transactionModes(options []ast.Node) error {
	for _, n := range options {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		v := constText(d.Arg)
		yes := v == "1" || v == "true" || v == "on"
		switch d.Defname {
		case "transaction_isolation":
			if s.t.statements > 0 && isolationOf(v) != s.t.iso {
				return types.Errorf(types.CodeActiveTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
			}
			s.t.iso, s.t.isoSet = isolationOf(v), true
			s.t.uncommitted = v == uncommitted
		case "transaction_read_only":
			if s.t.readOnly && !yes && (s.t.statements > 0 || len(s.t.savepoints) > 0) {
				return types.Errorf(types.CodeActiveTransaction, "cannot set transaction read-write mode inside a read-only transaction")
			}
			s.t.readOnly, s.t.isoSet = yes, true
		case "transaction_deferrable":
			s.t.deferrable, s.t.isoSet = yes, true
		}
	}
	return nil
}

// commit ends the transaction successfully or rolls it back and says why.
func (s *Session) commit(ctx context.Context) error {
	if s.t.txn == nil {
		unlock := s.t.unlock
		s.finish(true)
		if unlock != nil {
			unlock()
		}
		return nil
	}
	err := s.commitTxn(ctx)
	if err != nil {
		s.rollback(ctx)
		return err
	}
	change, unlock := s.t.change, s.t.unlock
	s.finish(true)
	if unlock != nil {
		defer unlock()
	}
	if change != nil {
		// The change is durable; a failure to see it everywhere is no failure of
		// the transaction.
		if err := change.Publish(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) commitTxn(ctx context.Context) error {
	s.prepareRunner(&s.main)
	if err := s.t.queue.Drain(&s.main.env, true); err != nil {
		return err
	}
	if err := s.tempAtCommit(); err != nil {
		return err
	}
	if err := s.materialize(); err != nil {
		return err
	}
	if s.t.change != nil {
		if err := s.t.change.Write(ctx, s.t.txn); err != nil {
			return err
		}
	} else {
		s.t.txn.SetDeadline(s.t.use.Deadline())
	}
	return s.t.txn.Commit(ctx)
}

// rollback ends the transaction and undoes it.
func (s *Session) rollback(ctx context.Context) {
	if s.t.txn != nil {
		_ = s.t.txn.Rollback(context.WithoutCancel(ctx)) // what is left is cleaned up by others
	}
	s.t.savepoints = s.t.savepoints[:0]
	s.restoreSettings()
	unlock := s.t.unlock
	s.finish(false)
	if unlock != nil {
		unlock()
	}
}

// keepSettings remembers the settings that a rollback goes back to, before the
// transaction's first change of one.
func (s *Session) keepSettings() {
	if s.t.saved == nil {
		s.t.saved = s.set.Snapshot()
	}
}

// restoreSettings undoes what was set since the last savepoint, or in the
// transaction.
func (s *Session) restoreSettings() {
	if n := len(s.t.savepoints); n > 0 {
		s.set.Restore(s.t.savepoints[n-1].set)
	} else if s.t.saved != nil {
		s.set.Restore(s.t.saved)
	}
}

// finish forgets the transaction.
func (s *Session) finish(committed bool) {
	s.closeTxnPortals(committed)
	s.t.use.Release()
	s.set.EndLocal()
	s.t.queue.Reset()
	s.t = txnState{savepoints: s.t.savepoints[:0], queue: s.t.queue}
	s.main.env.Txn = nil
}

// fail notes that a statement has failed: the transaction is over, but for a
// block's savepoints.
func (s *Session) fail(ctx context.Context) {
	if !s.t.block {
		s.rollback(ctx)
		return
	}
	s.t.failed = true
	s.restoreSettings()
	s.t.queue.RollbackTo(s.t.queue.Mark())
	if len(s.t.savepoints) == 0 && s.t.txn != nil {
		// Nothing can come back: let others have the locks.
		_ = s.t.txn.Rollback(context.WithoutCancel(ctx))
	}
}

// restart prepares the transaction's first statement to run again.
func (s *Session) restart(ctx context.Context, err error) error {
	s.t.queue.Reset()
	s.t.change = nil
	if s.t.txn != nil {
		if err := s.t.txn.Restart(ctx); err != nil {
			_ = s.t.txn.Rollback(ctx)
			s.t.txn = nil
		}
	}
	s.t.use.Release()
	var late *api.DeadlineError
	if errors.As(err, &late) || errors.Is(err, rowenc.ErrUnknownLayout) {
		// The catalog has moved on, or the lease on it has run out.
		if err := s.srv.store.Refresh(ctx); err != nil {
			s.t.use = store.Use{}
			return err
		}
	}
	s.t.use = s.srv.store.Acquire()
	return nil
}

// maxReruns bounds how often the server runs a statement again by itself.
const maxReruns = 200

// again decides whether a failed statement is run again, and prepares that.
// first says that nothing before it in its transaction would be lost.
func (s *Session) again(ctx context.Context, err error, w ResultWriter, attempt int, mark kv.Savepoint, queue int) bool {
	retry := rerunnable(err) || isDeadlock(err) && !s.t.block && s.t.statements == 0
	if !retry || attempt >= maxReruns || w.Sent() || ctx.Err() != nil {
		return false
	}
	if attempt > 3 {
		// Spread the contenders out: each waits a random part of a growing time.
		d := time.Duration(rand.Int64N(int64(time.Millisecond) << min(attempt-3, 6)))
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
	w.Discard()
	if s.t.statements == 0 {
		return s.restart(ctx, err) == nil
	}
	if s.t.iso != api.ReadCommitted || s.t.txn == nil {
		return false
	}
	var aborted *api.AbortedError
	if errors.As(err, &aborted) || isDeadlock(err) {
		return false
	}
	s.t.queue.RollbackTo(queue)
	return s.t.txn.RollbackTo(ctx, mark) == nil
}

// transactionStmt carries out BEGIN, COMMIT and their kin.
func (s *Session) transactionStmt(st *ast.TransactionStmt, w ResultWriter) (string, error) {
	switch st.Kind {
	case ast.TRANS_STMT_BEGIN, ast.TRANS_STMT_START:
		tag := "BEGIN"
		if st.Kind == ast.TRANS_STMT_START {
			tag = "START TRANSACTION"
		}
		if s.t.block {
			s.notify(w, warning(types.CodeActiveTransaction, "there is already a transaction in progress"))
			return tag, nil
		}
		return tag, s.beginBlock(st)
	case ast.TRANS_STMT_COMMIT:
		return s.commitBlock(st, w)
	case ast.TRANS_STMT_ROLLBACK:
		if !s.t.block {
			if st.Chain {
				return "", chainAlone("ROLLBACK")
			}
			s.notify(w, warning(types.CodeNoActiveTransaction, "there is no transaction in progress"))
			if s.t.implicit {
				s.rollback(s.ctx)
			}
			return "ROLLBACK", nil
		}
		again := s.chain(st)
		s.rollback(s.ctx)
		return "ROLLBACK", again()
	case ast.TRANS_STMT_SAVEPOINT, ast.TRANS_STMT_RELEASE, ast.TRANS_STMT_ROLLBACK_TO:
		return s.savepointStmt(st)
	}
	return "", types.Errorf(types.CodeFeatureNotSupported, "prepared transactions are not supported")
}

// notify passes a message that is no error, if the client wants to see its kind.
func (s *Session) notify(w ResultWriter, e *types.Error) {
	if s.set.Wants(e.Severity) {
		w.Notice(e)
	}
}

func warning(code, format string, args ...any) *types.Error {
	e := types.Errorf(code, format, args...)
	e.Severity = "WARNING"
	return e
}

// chain gives what begins the next transaction of AND CHAIN, with the modes of
// this one, once it has ended.
func (s *Session) chain(st *ast.TransactionStmt) func() error {
	if !st.Chain {
		return func() error { return nil }
	}
	iso, none, readOnly, deferrable := s.t.iso, s.t.uncommitted, s.t.readOnly, s.t.deferrable
	return func() error {
		if err := s.beginBlock(&ast.TransactionStmt{}); err != nil {
			return err
		}
		s.t.iso, s.t.uncommitted, s.t.readOnly, s.t.deferrable, s.t.isoSet = iso, none, readOnly, deferrable, true
		return nil
	}
}

func chainAlone(verb string) error {
	return types.Errorf(types.CodeNoActiveTransaction, "%s AND CHAIN can only be used in transaction blocks", verb)
}

func (s *Session) commitBlock(st *ast.TransactionStmt, w ResultWriter) (string, error) {
	if !s.t.block {
		if st.Chain {
			return "", chainAlone("COMMIT")
		}
		s.notify(w, warning(types.CodeNoActiveTransaction, "there is no transaction in progress"))
		if s.t.implicit {
			return "COMMIT", s.commit(s.ctx)
		}
		return "COMMIT", nil
	}
	again := s.chain(st)
	if s.t.failed {
		s.rollback(s.ctx)
		return "ROLLBACK", again()
	}
	if err := s.commit(s.ctx); err != nil {
		return "", err
	}
	return "COMMIT", again()
}

func (s *Session) savepointStmt(st *ast.TransactionStmt) (string, error) {
	name := st.SavepointName
	verb := map[ast.TransactionStmtKind]string{ast.TRANS_STMT_SAVEPOINT: "SAVEPOINT", ast.TRANS_STMT_RELEASE: "RELEASE SAVEPOINT",
		ast.TRANS_STMT_ROLLBACK_TO: "ROLLBACK TO SAVEPOINT"}[st.Kind]
	if !s.t.block {
		return "", types.Errorf(types.CodeNoActiveTransaction, "%s can only be used in transaction blocks", verb)
	}
	if st.Kind == ast.TRANS_STMT_SAVEPOINT {
		s.enter()
		if err := s.ensureTxn(); err != nil {
			return "", err
		}
		sp := savepoint{name: name, mark: s.t.txn.Savepoint(), queue: s.t.queue.Mark(), set: s.set.Snapshot(), ro: s.t.readOnly, born: s.t.tick()}
		if s.t.change != nil {
			m := s.t.change.Mark()
			sp.cat = &m
		}
		s.t.savepoints = append(s.t.savepoints, sp)
		// A statement before a savepoint must not be run again on a new snapshot.
		s.t.statements++
		return "SAVEPOINT", nil
	}
	at := -1
	for i := len(s.t.savepoints) - 1; i >= 0 && at < 0; i-- {
		if s.t.savepoints[i].name == name {
			at = i
		}
	}
	if at < 0 {
		return "", types.Errorf(types.CodeInvalidSavepoint, "savepoint \"%s\" does not exist", name)
	}
	if st.Kind == ast.TRANS_STMT_RELEASE {
		s.t.readOnly = s.t.savepoints[at].ro // a mode set within it ends with it
		s.t.savepoints = s.t.savepoints[:at]
		return "RELEASE", nil
	}
	sp := &s.t.savepoints[at]
	if err := s.t.txn.RollbackTo(s.ctx, sp.mark); err != nil {
		return "", err
	}
	s.t.queue.RollbackTo(sp.queue)
	switch {
	case s.t.change == nil:
	case sp.cat != nil:
		s.t.change.RollbackTo(*sp.cat)
	default:
		s.t.change.RollbackTo(s.t.change.Origin())
	}
	s.set.Restore(sp.set)
	s.t.readOnly = sp.ro
	s.closePortalsAfter(sp)
	s.t.savepoints = s.t.savepoints[:at+1]
	s.t.failed = false
	return "ROLLBACK", nil
}

// Fail notes that something failed outside of the session that a statement's
// transaction depends on: it fails as with an error of its own.
func (s *Session) Fail(ctx context.Context) {
	if s.t.failed {
		return
	}
	s.fail(ctx)
}

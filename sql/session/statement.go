package session

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Exec runs a string of statements in the simple protocol. Several statements
// without BEGIN are one transaction.
func (s *Session) Exec(ctx context.Context, sql string, w ResultWriter) error {
	s.begin(ctx, sql)
	defer s.end()
	s.dropUnnamed()
	if s.dialect() == "postgres" {
		key, lits, ok := parse.Template(sql, s.planKey(s.keyBuf[:0]), s.lits[:0])
		s.keyBuf, s.lits = key, lits
		if ok {
			if done, err := s.execTemplate(sql, key, lits, w); done {
				return s.done(err)
			}
		}
	}
	return s.done(s.execString(sql, w))
}

// done ends a message: an error ends the transaction.
func (s *Session) done(err error) error {
	if err == nil {
		return nil
	}
	e := s.translate(err)
	s.fail(s.ctx)
	return e
}

// execTemplate runs a single plannable statement by its template. done is false
// if it must be parsed as it is.
func (s *Session) execTemplate(sql string, key []byte, lits []parse.Literal, w ResultWriter) (done bool, err error) {
	if s.t.failed {
		return true, errFailed()
	}
	s.enter()
	p := s.cached(key)
	if p == nil {
		var ok bool
		if p, ok = s.templatePlan(sql, key, lits); !ok {
			return false, nil
		}
	}
	r := &s.main.st
	s.main.params = s.main.params[:0]
	if p.choice.wanted() {
		if c, again := s.customTemplate(p.planEntry, sql); c != nil {
			*r = statement{s: s, sql: sql, plan: c, w: w, runner: &s.main, make: again}
			s.main.lits = s.main.lits[:0]
			return true, s.runStatement(r)
		}
	}
	*r = statement{s: s, sql: sql, plan: p, w: w, runner: &s.main, key: key, lits: lits}
	if s.main.lits, err = s.literals(s.main.lits[:0], p.planEntry, sql, lits); err != nil {
		return true, err
	}
	return true, s.runStatement(r)
}

func errFailed() error {
	return types.Errorf(types.CodeInFailedTransaction, "current transaction is aborted, commands ignored until end of transaction block")
}

// parseString parses a string in the session's dialect.
func (s *Session) parseString(sql string) ([]parse.Statement, error) {
	if st, ok, err := ownStatement(sql); ok || err != nil {
		return []parse.Statement{st}, err
	}
	if s.dialect() == "mysql" && !isSessionStatement(sql) {
		return parse.ParseMySQL(sql)
	}
	return parse.Parse(sql)
}

// isSessionStatement lets SET and SHOW through to the PostgreSQL grammar whatever
// the dialect, so that a session can go back.
func isSessionStatement(sql string) bool {
	f := strings.Fields(sql)
	return len(f) > 1 && strings.EqualFold(f[0], "set") && strings.HasPrefix(strings.ToLower(f[1]), "sql_dialect")
}

func (s *Session) execString(sql string, w ResultWriter) error {
	all, err := s.parseString(sql)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return w.EmptyQuery()
	}
	for i := range all {
		if len(all) > 1 && !s.t.block {
			s.t.implicit = true
		}
		if err := s.execNode(&all[i], w); err != nil {
			return inText(err, sql)
		}
	}
	if s.t.implicit && !s.t.block {
		return s.commit(s.ctx)
	}
	return nil
}

// execNode runs one parsed statement.
func (s *Session) execNode(st *parse.Statement, w ResultWriter) error {
	if s.t.failed && !endsBlock(st.Node) {
		return errFailed()
	}
	if !plannable(st.Node) {
		return s.utility(st, w, nil)
	}
	s.enter()
	make := func() (*sessionPlan, error) {
		p, err := s.makePlanAlone(s.ctx, st.Node)
		if err != nil {
			return nil, err
		}
		return s.newEntry(nil, p, nil, st.Text), nil
	}
	p, err := make()
	if err != nil {
		return err
	}
	s.main.params, s.main.lits = s.main.params[:0], s.main.lits[:0]
	return s.runStatement(&statement{s: s, sql: st.Text, plan: p, w: w, runner: &s.main, make: make})
}

// endsBlock reports whether a statement is allowed in a failed block.
func endsBlock(n ast.Node) bool {
	t, ok := n.(*ast.TransactionStmt)
	if !ok {
		return false
	}
	switch t.Kind {
	case ast.TRANS_STMT_COMMIT, ast.TRANS_STMT_ROLLBACK, ast.TRANS_STMT_ROLLBACK_TO:
		return true
	}
	return false
}

// statement is one execution of a plan.
type statement struct {
	s       *Session
	sql     string
	plan    *sessionPlan
	runner  *runner
	w       ResultWriter
	formats []int16
	// maxRows suspends after so many rows (0: never); portal keeps the state.
	maxRows int
	portal  *portal
	// A plan that is no longer good is made anew from one of these: a prepared
	// statement, a template, or what make knows.
	prep *prepared
	key  []byte
	lits []parse.Literal
	make func() (*sessionPlan, error)
	// wait says that the transaction goes on after the statement although there is
	// no block: until Sync.
	wait bool
	// rows are those sent; affected, those that were changed.
	rows, affected int64
}

// runStatement runs a plan to its end, again if need be, and commits if the
// statement stands alone.
func (s *Session) runStatement(st *statement) error {
	for _, e := range st.plan.plan.Notices {
		s.notify(st.w, e)
	}
	start := s.clock
	retries := 0
	stop := s.limitTime()
	defer stop()
	var err error
	for attempt := 0; ; attempt++ {
		var mark kv.Savepoint
		if s.t.txn != nil {
			mark = s.t.txn.Savepoint()
		}
		queue := s.t.queue.Mark()
		if err = s.try(st); err == nil {
			break
		}
		if !s.again(s.ctx, err, st.w, attempt, mark, queue) {
			break
		}
		retries++
		if !s.current(st.plan.planEntry) || s.t.change != nil {
			if st.plan, err = st.replan(); err != nil {
				break
			}
		}
	}
	s.clock = time.Now()
	s.srv.stats.Record(st.plan.stats, s.clock, s.clock.Sub(start), max(st.rows, st.affected), err != nil, retries)
	return err
}

// replan makes the statement's plan anew.
func (st *statement) replan() (*sessionPlan, error) {
	s := st.s
	switch {
	case st.prep != nil:
		err := s.planPrepared(st.prep)
		return st.prep.plan, err
	case st.make != nil:
		return st.make()
	}
	if p := s.cached(st.key); p != nil {
		return p, nil
	}
	p, ok := s.templatePlan(st.sql, st.key, st.lits)
	if !ok {
		return nil, types.Errorf(types.CodeSerializationFailure, "could not serialize access due to a schema change")
	}
	return p, nil
}

// limitTime arms statement_timeout.
func (s *Session) limitTime() func() {
	d := s.set.StatementTimeout()
	if d == 0 {
		return func() {}
	}
	t := time.AfterFunc(d, func() {
		s.timedOut.Store(true)
		s.canceled.Store(true)
		s.cancelMu.Lock()
		defer s.cancelMu.Unlock()
		if s.cancel != nil {
			s.cancel()
		}
	})
	return func() { t.Stop() }
}

// alone reports whether the statement is a transaction of its own.
func (s *Session) alone(st *statement) bool { return !s.t.block && !s.t.implicit && !st.wait }

// try runs a plan once.
func (s *Session) try(st *statement) error {
	p := st.plan.plan
	if s.t.readOnly && !p.Flags.ReadOnly {
		return types.Errorf(types.CodeReadOnlyTransaction, "cannot execute %s in a read-only transaction", tagWord(p.Tag))
	}
	if !p.Flags.NoSnapshot {
		if err := s.ensureTxn(); err != nil {
			return err
		}
	}
	in, err := st.plan.take()
	if err != nil {
		return err
	}
	s.warnings.take() // of an attempt that failed
	s.arm(st.runner, p)
	if s.alone(st) && s.t.txn != nil && !p.Flags.ReadOnly {
		st.runner.env.MayCommit = s.t.change == nil && len(s.temp.commit) == 0
		s.t.txn.SetDeadline(s.t.use.Deadline())
	}
	done, err := s.drain(st, in)
	if err != nil {
		in.Finish()
		return err
	}
	if !done {
		st.portal.suspend(in, st)
		s.t.statements++
		return st.w.Suspended()
	}
	affected := in.Affected()
	committed := st.runner.env.Committed
	st.plan.give(in)
	if err := s.settle(st, committed); err != nil {
		return err
	}
	for _, e := range s.warnings.take() {
		s.notify(st.w, e)
	}
	st.affected = affected
	return st.w.Complete(s.commandTag(p, affected, st.rows))
}

// arm prepares a runner to run a plan at the next statement's sequence.
func (s *Session) arm(r *runner, p *plan.Plan) {
	s.prepareRunner(r)
	r.env.Seq = -1
	if s.t.txn != nil {
		// Sequence 0 would mean «everything»: a first statement sees nothing of its
		// own.
		if seq := s.t.txn.Step(); seq > 0 {
			r.env.Seq = seq
		}
	}
	if n := p.ExecParams; cap(r.eval.ExecParams) < n {
		r.eval.ExecParams = make([]types.Datum, n)
	} else {
		r.eval.ExecParams = r.eval.ExecParams[:n]
	}
}

// drain passes the rows on. done is false if the row limit came first.
func (s *Session) drain(st *statement, in *exec.Instance) (done bool, err error) {
	st.rows = 0
	if err := in.Run(&st.runner.env); err != nil {
		return false, err
	}
	p := st.plan.plan
	if p.Result != nil {
		if err := st.w.Columns(p.Result, st.formats); err != nil {
			return false, err
		}
	}
	want := vec.MaxBatch
	if p.Flags.Volatile {
		want = 1
	}
	for {
		if st.maxRows > 0 {
			left := int64(st.maxRows) - st.rows
			if left <= 0 {
				return false, nil
			}
			want = int(min(left, vec.MaxBatch))
		}
		b, err := in.Next(want)
		if err != nil {
			return false, err
		}
		if b == nil {
			return true, nil
		}
		st.rows += int64(b.Len())
		if p.Result != nil {
			if err := st.w.Batch(b, st.runner.eval.Settings); err != nil {
				return false, err
			}
		}
		want = vec.NextSize(want)
	}
}

// settle carries out what follows a statement, and commits one that stands
// alone.
func (s *Session) settle(st *statement, committed bool) error {
	if committed {
		s.finish(true)
		return nil
	}
	if err := s.t.queue.Drain(&st.runner.env, false); err != nil {
		return err
	}
	if !s.alone(st) {
		s.t.statements++
		return nil
	}
	return s.commitAlone()
}

// commitAlone commits a statement's own transaction, keeping it whole on an
// error that a rerun may mend.
func (s *Session) commitAlone() error {
	if s.t.txn == nil {
		s.finish(true)
		return nil
	}
	if err := s.commitTxn(s.ctx); err != nil {
		return err
	}
	change := s.t.change
	s.finish(true)
	if change != nil {
		return change.Publish(context.WithoutCancel(s.ctx))
	}
	return nil
}

func tagWord(t plan.Tag) string {
	switch t {
	case plan.TagInsert:
		return "INSERT"
	case plan.TagUpdate:
		return "UPDATE"
	case plan.TagDelete:
		return "DELETE"
	case plan.TagMerge:
		return "MERGE"
	}
	return "SELECT"
}

// commandTag is what CommandComplete says.
func (s *Session) commandTag(p *plan.Plan, affected, rows int64) string {
	b := s.tag[:0]
	switch p.Tag {
	case plan.TagInsert:
		b = append(b, "INSERT 0 "...)
	case plan.TagUpdate:
		b = append(b, "UPDATE "...)
	case plan.TagDelete:
		b = append(b, "DELETE "...)
	case plan.TagMerge:
		b = append(b, "MERGE "...)
	default:
		b = append(b, "SELECT "...)
		affected = rows
	}
	s.tag = strconv.AppendInt(b, affected, 10)
	if string(s.tag) != s.lastTag {
		s.lastTag = string(s.tag)
	}
	return s.lastTag
}

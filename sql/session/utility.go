package session

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/opt"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/schemachange"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// utility runs a statement that has no plan of its own. p is the portal in the
// extended protocol, nil in the simple one.
func (s *Session) utility(st *parse.Statement, w ResultWriter, p *portal) error {
	stop := s.limitTime()
	defer stop()
	if t, ok := st.Node.(*ast.TransactionStmt); ok {
		tag, err := s.transactionStmt(t, w)
		if err != nil {
			return err
		}
		return w.Complete(tag)
	}
	if p != nil && !s.t.block {
		s.t.implicit = true
	}
	s.enter()
	var formats []int16
	if p != nil {
		formats = p.formats
	}
	tag, err := s.runUtility(st, w, formats, p)
	for attempt := 0; err != nil && rerunnable(err) && s.t.statements == 0 && attempt < 20 && !w.Sent() && s.ctx.Err() == nil; attempt++ {
		w.Discard()
		if e := s.restart(s.ctx, err); e != nil {
			return e
		}
		tag, err = s.runUtility(st, w, formats, p)
	}
	if err != nil {
		return err
	}
	if p != nil {
		p.tag = tag
	}
	s.t.statements++
	if !s.t.block && !s.t.implicit {
		if err := s.commit(s.ctx); err != nil {
			return err
		}
	}
	if tag == "" {
		return nil // completed by itself
	}
	return w.Complete(tag)
}

// runUtility returns the command tag, or "" if the writer was told.
func (s *Session) runUtility(st *parse.Statement, w ResultWriter, formats []int16, p *portal) (string, error) {
	switch n := st.Node.(type) {
	case *ast.VariableSetStmt:
		return s.setStmt(n, w)
	case *ast.VariableShowStmt:
		return "SHOW", s.show(n.Name, w, formats)
	case *ast.ExplainStmt:
		return "EXPLAIN", s.explain(n, st.Text, w, formats, p)
	case *ast.PrepareStmt:
		return "PREPARE", s.prepareStmt(n, st.Text)
	case *ast.ExecuteStmt:
		return "", s.executeStmt(n, w)
	case *ast.DeallocateStmt:
		return s.deallocate(n)
	case *ast.DeclareCursorStmt:
		return "DECLARE CURSOR", s.declare(n, st.Text)
	case *ast.FetchStmt:
		return s.fetch(n, w, formats)
	case *ast.ClosePortalStmt:
		return s.closeCursor(n)
	case *ast.DiscardStmt:
		return s.discard(n)
	case *ast.CopyStmt:
		return s.copyStmt(n, w)
	case *ast.VacuumStmt:
		return s.vacuum(n, w)
	case *ast.CreateTableAsStmt:
		return s.createTableAs(n, w)
	case *ast.SelectStmt: // SELECT INTO
		return s.selectInto(n, st.Text)
	case *ast.ConstraintsSetStmt:
		return "SET CONSTRAINTS", s.setConstraints(n, w)
	case *ast.LockStmt:
		return "LOCK TABLE", s.lockTables(n)
	case *ownNode:
		return n.tag(), s.own(n, w, formats)
	case *ast.CheckPointStmt:
		return "CHECKPOINT", nil
	case *ast.ReindexStmt:
		return "REINDEX", s.reindex(n)
	case *ast.ClusterStmt:
		return "CLUSTER", s.cluster(n)
	case *ast.UnlistenStmt:
		return "UNLISTEN", nil // nobody can listen yet
	}
	if schemachange.Supports(st.Node) {
		return s.ddl(st.Node, w)
	}
	return "", types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", statementName(st.Node))
}

// changeCatalog begins changing the catalog in the current transaction.
func (s *Session) changeCatalog(tag string) error {
	if s.t.readOnly {
		return types.Errorf(types.CodeReadOnlyTransaction, "cannot execute %s in a read-only transaction", tag)
	}
	if err := s.ensureTxn(); err != nil {
		return err
	}
	if s.t.change != nil {
		return nil
	}
	c, err := s.srv.store.Begin(s.ctx, s.t.txn)
	if err != nil {
		return err
	}
	s.t.change = c
	return nil
}

func (s *Session) ddl(n ast.Node, w ResultWriter) (string, error) {
	if alone := runsAlone(n); alone != "" && (s.t.block || s.t.implicit && s.t.statements > 0) {
		return "", types.Errorf(types.CodeActiveTransaction, "%s cannot run inside a transaction block", alone)
	}
	until, err := s.excludeWriters(n)
	if err != nil {
		return "", err
	}
	if err := s.changeCatalog(schemachange.Tag(n)); err != nil {
		return "", err
	}
	if !until.IsZero() {
		// Past the lock's end writers may be back.
		s.t.txn.SetDeadline(hlc.Timestamp{WallNanos: until.UnixNano()})
	}
	return schemachange.Run(s.ddlEnv(w), n)
}

// runsAlone names a statement that must not be one of several in a transaction; ""
// for others.
func runsAlone(n ast.Node) string {
	switch x := n.(type) {
	case *ast.CreatedbStmt, *ast.DropdbStmt:
		return schemachange.Tag(n)
	case *ast.IndexStmt:
		if x.Concurrent {
			return "CREATE INDEX CONCURRENTLY"
		}
	case *ast.DropStmt:
		if x.Concurrent {
			return "DROP INDEX CONCURRENTLY"
		}
	}
	return ""
}

// writeLockFor bounds how long a schema change may keep writers out.
const writeLockFor = 10 * time.Minute

// excludeWriters keeps writers out of the tables that a schema change fills or
// checks. It must come before the transaction has done anything: later in a
// block the change runs against whatever others commit meanwhile.
func (s *Session) excludeWriters(n ast.Node) (until time.Time, err error) {
	if s.t.txn != nil || s.t.change != nil || s.t.readOnly {
		return until, nil
	}
	oids := schemachange.Exclusive(n, s.resolve())
	if len(oids) == 0 {
		return until, nil
	}
	owner := ids.NewTxnID().String()
	until = time.Now().Add(writeLockFor)
	s.t.use.Release()
	s.t.use, s.resolver = store.Use{}, nil
	s.t.unlock = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.parent), 10*time.Second)
		defer cancel()
		if err := s.srv.store.UnlockTables(ctx, oids, owner); err != nil {
			slog.Warn("a table stays locked against writers until the lock expires", "err", err)
		}
	}
	err = s.srv.store.LockTables(s.ctx, oids, owner, until)
	s.t.use = s.srv.store.Acquire()
	return until, err
}

func (s *Session) ddlEnv(w ResultWriter) *schemachange.Env {
	return &schemachange.Env{Ctx: s.ctx, DB: s.srv.db, Txn: s.t.txn, Change: s.t.change, NewOID: s.srv.store.NewOID,
		Database: s.databaseIn(s.snapshot()), SearchPath: s.searchPath(), User: s.user, Bind: s.bindOptions(),
		Alone: !s.t.block && !s.t.implicit, Query: s.query, Temp: s.tempEnv(), Notice: func(e *types.Error) { s.notify(w, e) }}
}

// query runs one statement inside of the current transaction and hands its rows
// to row.
func (s *Session) query(_ contextT, sql string, row func([]types.Datum) error) error {
	st, ok, err := parse.ParseOne(sql)
	if err != nil || !ok {
		return err
	}
	_, err = s.runInside(st.Node, nil, func(b *vec.Batch) error {
		if row == nil {
			return nil
		}
		for i := range b.Len() {
			if err := row(b.Row(nil, b.Pos(i))); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// runInside plans and runs a statement in the current transaction, without a
// client.
func (s *Session) runInside(n ast.Node, params []types.Datum, f func(*vec.Batch) error) (affected int64, err error) {
	p, err := opt.Prepare(s.ctx, n, s.resolve(), opt.Options{Settings: s.set.Types(), ParseView: parseView, Allow: s.allow, Stats: s.srv.store.Stats, Naive: s.srv.cfg.Naive})
	if err != nil {
		return 0, err
	}
	return s.runPlan(p, params, f)
}

func (s *Session) runPlan(p *plan.Plan, params []types.Datum, f func(*vec.Batch) error) (affected int64, err error) {
	if s.t.readOnly && !p.Flags.ReadOnly {
		return 0, types.Errorf(types.CodeReadOnlyTransaction, "cannot execute %s in a read-only transaction", tagWord(p.Tag))
	}
	if err := s.ensureTxn(); err != nil {
		return 0, err
	}
	in, err := exec.Build(p)
	if err != nil {
		return 0, err
	}
	defer in.Finish()
	r := &runner{params: params}
	s.arm(r, p)
	if err := in.Run(&r.env); err != nil {
		return 0, err
	}
	for {
		b, err := in.Next(vec.MaxBatch)
		if err != nil {
			return 0, err
		}
		if b == nil {
			break
		}
		if f != nil {
			if err := f(b); err != nil {
				return 0, err
			}
		}
	}
	affected = in.Affected()
	return affected, s.t.queue.Drain(&r.env, false)
}

// constText is the text of a constant in an option.
func constText(n ast.Node) string {
	switch v := n.(type) {
	case *ast.A_Const:
		if v.Isnull {
			return ""
		}
		return constText(v.Val)
	case *ast.String:
		return v.Sval
	case *ast.Integer:
		return itoa(int64(v.Ival))
	case *ast.Float:
		return v.Fval
	case *ast.Boolean:
		if v.Boolval {
			return "true"
		}
		return "false"
	case *ast.TypeCast:
		return constText(v.Arg)
	case *ast.TypeName:
		return constText(v.Names[len(v.Names)-1])
	case *ast.List:
		var parts []string
		for _, x := range v.Items {
			parts = append(parts, constText(x))
		}
		return strings.Join(parts, ", ")
	case *ast.ColumnRef:
		if len(v.Fields) == 1 {
			return constText(v.Fields[0])
		}
	}
	return ""
}

func boolOption(d *ast.DefElem) bool {
	if d.Arg == nil {
		return true
	}
	switch strings.ToLower(constText(d.Arg)) {
	case "false", "off", "0", "f", "no":
		return false
	}
	return true
}

package session

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// prepared is a prepared statement.
type prepared struct {
	name, sql string
	st        parse.Statement
	empty     bool
	declared  []types.Type
	plan      *sessionPlan // nil for utilities
	params    []types.Type
	fromSQL   bool // by PREPARE
	at        time.Time
	result    []plan.ResultColumn
	settings  uint64 // their version when it was planned
}

// portal is a bound statement, perhaps half run.
type portal struct {
	name    string
	at      time.Time
	stmt    *prepared
	params  []types.Datum
	formats []int16
	runner  *runner

	in      *exec.Instance // while suspended
	plan    *sessionPlan
	done    bool
	total   int64
	started bool
	tag     string // of what was done
	// rest are rows beyond a limit of a statement without a plan, of which given
	// have been given.
	rest  *vec.Batch
	given int
	// held are the rows of a WITH HOLD cursor after its transaction.
	held   *held
	hold   bool
	scroll bool
	cursor bool
	pos    int64
	// born is when in its transaction it was made, among portals and savepoints; 0
	// for one that has outlived its own.
	born int
	// broken: its query failed, and cannot go on.
	broken bool
}

// suspend keeps an instance for the next Execute.
func (p *portal) suspend(in *exec.Instance, st *statement) {
	p.in, p.plan = in, st.plan
	p.total += st.rows
}

func (p *portal) close() {
	if p.in != nil {
		p.in.Finish()
		p.in = nil
	}
	p.done, p.held, p.rest = true, nil, nil
}

func (s *Session) closePortals() {
	for n, p := range s.portals {
		if p.hold && p.held != nil && p.held.all {
			p.born = 0
			continue
		}
		p.close()
		delete(s.portals, n)
	}
	s.unnamed.close()
}

// closePortalsAfter ends the portals that were made after a savepoint. The others
// read what there was before it, and go on.
func (s *Session) closePortalsAfter(sp *savepoint) {
	for n, p := range s.portals {
		if p.born > sp.born {
			p.close()
			delete(s.portals, n)
		}
	}
	s.unnamed.close()
}

// dropUnnamed forgets the unnamed statement and portal: a string of statements
// would be their next use.
func (s *Session) dropUnnamed() {
	if s.unnamed.stmt != nil && !s.t.failed {
		s.unnamed.close()
		s.unnamed.stmt = nil
	}
	if len(s.stmts) > 0 {
		delete(s.stmts, "")
	}
}

// closeTxnPortals ends the portals of a transaction; those WITH HOLD have their
// rows already.
func (s *Session) closeTxnPortals(bool) { s.closePortals() }

// Prepare parses and plans a statement of the extended protocol.
func (s *Session) Prepare(ctx context.Context, name, sql string, paramTypes []types.OID) error {
	s.begin(ctx, sql)
	defer s.end()
	return s.done(s.prepareNamed(name, sql, paramTypes))
}

func (s *Session) prepareNamed(name, sql string, oids []types.OID) error {
	if name == "" && s.sameUnnamed(sql, oids) {
		return nil
	}
	if name == "" {
		delete(s.stmts, "") // also if the new one turns out wrong
	}
	p := &prepared{name: name, sql: sql, at: time.Now()}
	for _, o := range oids {
		if o == 0 {
			o = types.UnknownOID
		}
		p.declared = append(p.declared, types.Of(o))
	}
	if err := s.planPrepared(p); err != nil {
		return err
	}
	if _, ok := s.stmts[name]; ok && name != "" {
		return types.Errorf(types.CodeDuplicatePreparedStatement, "prepared statement \"%s\" already exists", name)
	}
	p.settings = s.set.Version()
	s.stmts[name] = p
	return nil
}

// sameUnnamed reports whether the unnamed statement is already the one that a
// client wants, as it is for those that send the same text again and again.
func (s *Session) sameUnnamed(sql string, oids []types.OID) bool {
	p := s.stmts[""]
	if p == nil || p.sql != sql || p.plan == nil || len(oids) != len(p.declared) || s.t.failed || s.t.change != nil || !s.current(p.plan.planEntry) ||
		p.settings != s.set.Version() {
		return false
	}
	for i, o := range oids {
		if o == 0 {
			o = types.UnknownOID
		}
		if p.declared[i].OID != o {
			return false
		}
	}
	return true
}

// preparedKey is the plan key of a prepared statement: text and declared types.
func (s *Session) preparedKey(p *prepared) []byte {
	k := append(s.planKey(s.keyBuf[:0]), 1)
	for _, t := range p.declared {
		k = append(k, byte(t.OID), byte(t.OID>>8), byte(t.OID>>16), byte(t.OID>>24))
	}
	k = append(append(k, 0), p.sql...)
	s.keyBuf = k
	return k
}

// planPrepared finds or makes the plan of a prepared statement.
func (s *Session) planPrepared(p *prepared) error {
	fresh := !s.t.open()
	s.enter()
	defer func() {
		if fresh && !s.t.block {
			// Parse alone begins nothing that would have to be ended by Sync.
			s.t.implicit = true
		}
	}()
	key := s.preparedKey(p)
	if e := s.cached(key); e != nil {
		if err := s.adopt(p, e); err != nil {
			return err
		}
		return s.refuseFailed(p)
	}
	if p.st.Node == nil && !p.empty {
		all, err := s.parseString(p.sql)
		switch {
		case err != nil:
			return err
		case len(all) > 1:
			return types.Errorf(types.CodeSyntaxError, "cannot insert multiple commands into a prepared statement")
		case len(all) == 0:
			p.empty = true
			return nil
		}
		p.st = all[0]
	}
	if p.empty {
		return nil
	}
	if err := s.refuseFailed(p); err != nil {
		return err
	}
	if !plannable(p.st.Node) {
		return s.describeUtility(p)
	}
	pl, err := s.makePlan(s.ctx, p.st.Node, p.declared)
	if err != nil && p.fromSQL {
		return err // PREPARE's own text is its message's
	}
	if err != nil {
		return inText(err, p.sql)
	}
	return s.adopt(p, s.newEntry(s.preparedKey(p), pl, nil, p.sql))
}

// adopt gives a prepared statement its plan; a client that was told of the
// result's columns must not get others.
func (s *Session) adopt(p *prepared, e *sessionPlan) error {
	if p.plan != nil && !sameColumns(p.result, e.plan.Result) {
		return types.Errorf(types.CodeFeatureNotSupported, "cached plan must not change result type")
	}
	p.plan, p.params, p.result = e, e.plan.Params, e.plan.Result
	return nil
}

func sameColumns(a, b []plan.ResultColumn) bool {
	return slices.EqualFunc(a, b, func(x, y plan.ResultColumn) bool { return x.Name == y.Name && x.Type == y.Type })
}

func (s *Session) refuseFailed(p *prepared) error {
	if s.t.failed && (p.st.Node == nil || !endsBlock(p.st.Node)) {
		return errFailed()
	}
	return nil
}

// Bind makes a portal of a prepared statement and values. It is not shown as
// something that runs: it takes no time, but for a plan that is made anew.
func (s *Session) Bind(ctx context.Context, portalName, statement string, params []Param, formats []int16) error {
	return s.done(s.bind(ctx, portalName, statement, params, formats))
}

func (s *Session) bind(ctx context.Context, name, statement string, params []Param, formats []int16) error {
	st, ok := s.stmts[statement]
	if !ok {
		return noStatement(statement)
	}
	if len(params) != len(st.params) {
		return types.Errorf(types.CodeProtocolViolation, "bind message supplies %d parameters, but prepared statement \"%s\" requires %d",
			len(params), statement, len(st.params))
	}
	if err := s.refuseFailed(st); err != nil {
		return err
	}
	if st.plan != nil && (s.t.change != nil || !s.current(st.plan.planEntry)) {
		s.begin(ctx, st.sql)
		err := s.planPrepared(st)
		s.end()
		if err != nil {
			return err
		}
	}
	if n := len(formats); n > 1 && st.result != nil && n != len(st.result) {
		return types.Errorf(types.CodeProtocolViolation, "bind message has %d result formats but query has %d columns", n, len(st.result))
	}
	p := &s.unnamed
	if name == "" {
		p.close()
		*p = portal{params: p.params[:0], formats: p.formats[:0]}
		p.runner = &s.main
	} else {
		if _, ok := s.portals[name]; ok {
			return types.Errorf(types.CodeDuplicateCursor, "cursor \"%s\" already exists", name)
		}
		p = &portal{name: name, runner: &runner{}}
		p.born = s.t.tick()
		s.portals[name] = p
	}
	p.stmt = st
	p.formats = append(p.formats, formats...)
	for i := range params {
		d, err := s.param(&params[i], st.params[i])
		if err != nil {
			s.ClosePortal(name)
			return parameterError(err, name, i+1, &params[i])
		}
		p.params = append(p.params, d)
	}
	return nil
}

// parameterError says in an error which parameter it was.
func parameterError(err error, portal string, number int, p *Param) error {
	var e *types.Error
	if !errors.As(err, &e) {
		return err
	}
	where := "unnamed portal"
	if portal != "" {
		where = "portal \"" + portal + "\""
	}
	where += " parameter $" + strconv.Itoa(number)
	if p.Format == 0 && e.Code != types.CodeCharacterNotInRepertoire {
		where += " = '...'" // values of clients stay out of logs
	}
	c := *e
	if c.Where != "" {
		where = c.Where + "\n" + where
	}
	c.Where = where
	if c.Code == types.CodeInvalidBinaryRepresentation && strings.HasSuffix(c.Message, "in bind parameter") {
		c.Message += " " + strconv.Itoa(number)
	}
	return &c
}

// param reads a parameter's value.
func (s *Session) param(p *Param, t types.Type) (types.Datum, error) {
	switch {
	case p.Value == nil:
		return types.Null, nil
	case p.Format == 0:
		return s.textParam(p.Value, t)
	case p.Format == 1:
		return types.DecodeBinary(t, p.Value, s.set.Types())
	}
	return types.Null, types.Errorf(types.CodeInvalidParameterValue, "unsupported format code: %d", p.Format)
}

// textParam reads a parameter in text; plain integers take no detour.
func (s *Session) textParam(v []byte, t types.Type) (types.Datum, error) {
	if t.OID == types.Int4OID || t.OID == types.Int8OID {
		if x, ok := smallInt(v); ok {
			return types.NewInt(x), nil
		}
	}
	if err := types.CheckUTF8(v); err != nil {
		return types.Null, err
	}
	return types.ParseText(t, string(v), s.set.Types())
}

// DescribeStatement returns what a prepared statement takes and gives.
func (s *Session) DescribeStatement(_ context.Context, name string) ([]types.OID, []plan.ResultColumn, error) {
	p, ok := s.stmts[name]
	if !ok {
		return nil, nil, s.done(noStatement(name))
	}
	if s.t.failed && p.result != nil {
		return nil, nil, errFailed()
	}
	out := make([]types.OID, len(p.params))
	for i, t := range p.params {
		out[i] = t.OID
	}
	return out, p.result, nil
}

// DescribePortal returns the columns of a portal and their formats.
func (s *Session) DescribePortal(_ context.Context, name string) ([]plan.ResultColumn, []int16, error) {
	p := s.portal(name)
	if p == nil {
		return nil, nil, s.done(noPortal(name))
	}
	if s.t.failed && p.stmt.result != nil {
		return nil, nil, errFailed()
	}
	return p.stmt.result, p.formats, nil
}

func noStatement(name string) error {
	if name == "" {
		return types.Errorf(types.CodeInvalidStatementName, "unnamed prepared statement does not exist")
	}
	return types.Errorf(types.CodeInvalidStatementName, "prepared statement \"%s\" does not exist", name)
}

func noPortal(name string) error {
	return types.Errorf(types.CodeInvalidCursorName, "portal \"%s\" does not exist", name)
}

func (s *Session) portal(name string) *portal {
	if name == "" {
		if s.unnamed.stmt == nil {
			return nil
		}
		return &s.unnamed
	}
	return s.portals[name]
}

// BeforeSync may be implemented by a ResultWriter that knows that nothing but
// Sync follows this Execute: the statement may then commit by itself.
type BeforeSync interface{ BeforeSync() bool }

// Execute runs a portal, at most maxRows rows of it (0: all).
func (s *Session) Execute(ctx context.Context, name string, maxRows int, w ResultWriter) error {
	p := s.portal(name)
	query := s.info.query
	if p != nil {
		query = p.stmt.sql
	}
	s.begin(ctx, query)
	defer s.end()
	if p == nil {
		return s.done(noPortal(name))
	}
	return s.done(s.execute(p, maxRows, w))
}

func (s *Session) execute(p *portal, maxRows int, w ResultWriter) error {
	if p.stmt.empty {
		return w.EmptyQuery()
	}
	if err := s.refuseFailed(p.stmt); err != nil {
		return err
	}
	if p.in != nil {
		return s.resume(p, maxRows, w)
	}
	switch {
	case p.rest != nil:
		return s.giveRest(p, maxRows, w, p.stmt.result)
	case p.done && p.started:
		return s.executeAgain(p, w)
	case p.stmt.plan == nil && maxRows > 0 && p.stmt.result != nil:
		return s.runLimited(p, maxRows, w)
	case p.stmt.plan == nil:
		return s.executeUtility(p, w)
	}
	s.enter()
	if !s.current(p.stmt.plan.planEntry) || s.t.change != nil {
		if err := s.planPrepared(p.stmt); err != nil {
			return err
		}
	}
	wait := true
	if b, ok := w.(BeforeSync); ok && b.BeforeSync() && !s.t.block && s.t.statements == 0 && maxRows == 0 {
		wait = false
		s.t.implicit = false
	} else if !s.t.block {
		s.t.implicit = true
	}
	p.runner.params, p.runner.lits = p.params, nil
	p.started = true
	use := p.stmt.plan
	if use.choice.wanted() && p.stmt.settings == s.set.Version() {
		if c := s.customPrepared(p.stmt, p.params); c != nil {
			use = c
		}
	}
	st := &p.runner.st
	*st = statement{s: s, sql: p.stmt.sql, plan: use, runner: p.runner, w: w, formats: p.formats, maxRows: maxRows,
		portal: p, wait: wait, prep: p.stmt}
	err := s.runStatement(st)
	p.done, p.tag = p.in == nil, s.lastTag
	return err
}

// executeUtility runs a portal whose statement has no plan. If that ended the
// transaction, it ended the portal.
func (s *Session) executeUtility(p *portal, w ResultWriter) error {
	if err := s.utility(&p.stmt.st, w, p); err != nil {
		return inText(err, p.stmt.sql)
	}
	p.started, p.done = true, true
	if !s.t.open() {
		s.unnamed.stmt = nil
	}
	return nil
}

// executeAgain answers for a portal that has given all its rows: a query has no
// more, a statement with RETURNING has done its work, and others have no end to
// stand at.
func (s *Session) executeAgain(p *portal, w ResultWriter) error {
	switch {
	case p.stmt.result == nil || p.tag == "":
		return types.Errorf(types.CodeObjectNotInPrerequisite, "portal \"%s\" cannot be run", p.name)
	case p.stmt.plan != nil && p.stmt.plan.plan.Tag == plan.TagSelect:
		return w.Complete(s.commandTag(p.stmt.plan.plan, 0, 0))
	}
	return w.Complete(p.tag)
}

// resume gives more rows of a suspended portal.
func (s *Session) resume(p *portal, maxRows int, w ResultWriter) error {
	if err := w.Columns(p.plan.plan.Result, p.formats); err != nil {
		return err
	}
	p.runner.env.Ctx = s.ctx
	n, done, err := s.pull(p, int64(maxRows), func(b *vec.Batch) error { return w.Batch(b, p.runner.eval.Settings) })
	if err != nil {
		return err
	}
	p.total += n
	if !done {
		return w.Suspended()
	}
	p.tag = s.commandTag(p.plan.plan, 0, n) // from here on it is one that has run
	return w.Complete(p.tag)
}

// pull reads at most maxRows rows (0: all) of a running portal.
func (s *Session) pull(p *portal, maxRows int64, f func(*vec.Batch) error) (n int64, done bool, err error) {
	for {
		want := int64(vec.MaxBatch)
		if maxRows > 0 {
			if want = min(want, maxRows-n); want == 0 {
				return n, false, nil
			}
		}
		b, err := p.in.Next(int(want))
		if err != nil {
			return n, false, err
		}
		if b == nil {
			p.plan.give(p.in)
			p.in, p.done = nil, true
			return n, true, nil
		}
		n += int64(b.Len())
		if err := f(b); err != nil {
			return n, false, err
		}
	}
}

// CloseStatement forgets a prepared statement.
func (s *Session) CloseStatement(name string) { delete(s.stmts, name) }

// ClosePortal forgets a portal.
func (s *Session) ClosePortal(name string) {
	if name == "" {
		s.unnamed.close()
		s.unnamed.stmt = nil
		return
	}
	if p, ok := s.portals[name]; ok {
		p.close()
		delete(s.portals, name)
	}
}

// Sync ends an implicit transaction.
func (s *Session) Sync(ctx context.Context) error {
	if s.t.block {
		return nil
	}
	// Portals last as long as their transaction, even one that did nothing.
	s.closePortals()
	s.unnamed.stmt = nil
	if !s.t.open() {
		return nil
	}
	s.begin(ctx, s.info.query)
	defer s.end()
	if s.t.failed {
		s.rollback(s.ctx)
		return nil
	}
	if err := s.commit(s.ctx); err != nil {
		return s.translate(err)
	}
	return nil
}

// describeUtility fills in what a statement without a plan of its own gives.
func (s *Session) describeUtility(p *prepared) error {
	switch n := p.st.Node.(type) {
	case *ast.ExplainStmt:
		p.result = []plan.ResultColumn{{Name: "QUERY PLAN", Type: types.TextType}}
	case *ast.VariableShowStmt:
		p.result = showColumns(n.Name)
	case *ownNode:
		p.result = n.columns()
	case *ast.FetchStmt:
		if c, ok := s.portals[n.Portalname]; ok && !n.Ismove {
			p.result = c.stmt.result
		}
	case *ast.ExecuteStmt:
		if st, ok := s.stmts[n.Name]; ok {
			p.result = st.result
		}
	}
	return nil
}

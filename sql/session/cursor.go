package session

import (
	"time"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Options of DECLARE CURSOR, as PostgreSQL's raw node has them.
const (
	cursorScroll = 0x0002
	cursorHold   = 0x0020
)

// held is the result of a cursor, kept as far as it was read.
type held struct {
	rows *vec.Batch
	all  bool
}

// prepareStmt carries out PREPARE.
func (s *Session) prepareStmt(n *ast.PrepareStmt, text string) error {
	if !plannable(n.Query) {
		return types.Errorf(types.CodeFeatureNotSupported, "only SELECT, INSERT, UPDATE and DELETE can be prepared in SQL")
	}
	p := &prepared{name: n.Name, sql: text, fromSQL: true, at: time.Now(), settings: s.set.Version(), st: parse.Statement{Node: n.Query, Text: text}}
	for _, a := range n.Argtypes {
		t, ok := a.(*ast.TypeName)
		if !ok {
			continue
		}
		x, err := bind.TypeOf(s.resolve(), t)
		if err != nil {
			return err
		}
		// A parameter has no length, whatever its type was written with.
		p.declared = append(p.declared, x.WithMod(-1))
	}
	if err := s.planPrepared(p); err != nil {
		return err
	}
	if _, ok := s.stmts[n.Name]; ok {
		return types.Errorf(types.CodeDuplicatePreparedStatement, "prepared statement \"%s\" already exists", n.Name)
	}
	s.stmts[n.Name] = p
	return nil
}

// executeStmt carries out EXECUTE.
func (s *Session) executeStmt(n *ast.ExecuteStmt, w ResultWriter) error {
	p, ok := s.stmts[n.Name]
	if !ok {
		return types.Errorf(types.CodeInvalidStatementName, "prepared statement \"%s\" does not exist", n.Name)
	}
	params, err := s.executeParams(p, n)
	if err != nil {
		return err
	}
	if p.plan == nil {
		return s.utility(&p.st, w, nil)
	}
	if !s.current(p.plan.planEntry) || s.t.change != nil {
		if err := s.planPrepared(p); err != nil {
			return err
		}
	}
	use := p.plan
	if use.choice.wanted() && p.settings == s.set.Version() {
		if c := s.customPrepared(p, params); c != nil {
			use = c
		}
	}
	r := &runner{params: params}
	return s.runStatement(&statement{s: s, sql: p.sql, plan: use, runner: r, w: w, wait: true, prep: p})
}

// executeParams evaluates EXECUTE's arguments as the statement's parameters.
func (s *Session) executeParams(p *prepared, n *ast.ExecuteStmt) ([]types.Datum, error) {
	if len(n.Params) != len(p.params) {
		return nil, types.Errorf(types.CodeSyntaxError, "wrong number of parameters for prepared statement \"%s\"", n.Name).
			WithDetail("Expected %d parameters but got %d.", len(p.params), len(n.Params))
	}
	out := make([]types.Datum, len(n.Params))
	for i, a := range n.Params {
		d, err := s.evaluate(a, p.params[i])
		if err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

// evaluate computes an expression that reads no columns, as a value of type t.
func (s *Session) evaluate(n ast.Node, t types.Type) (types.Datum, error) {
	e, err := bind.Stored(bind.StoredDefault, n, nil, t, "", s.resolve(), s.bindOptions())
	if err != nil {
		return types.Null, err
	}
	prog, err := expr.Compile([]expr.Expr{e}, expr.Options{})
	if err != nil {
		return types.Null, err
	}
	r := &runner{}
	s.prepareRunner(r)
	return prog.NewInstance().EvalOne(&r.eval)
}

func (s *Session) deallocate(n *ast.DeallocateStmt) (string, error) {
	if n.Isall || n.Name == "" {
		clear(s.stmts)
		return "DEALLOCATE ALL", nil
	}
	if _, ok := s.stmts[n.Name]; !ok {
		return "", types.Errorf(types.CodeInvalidStatementName, "prepared statement \"%s\" does not exist", n.Name)
	}
	delete(s.stmts, n.Name)
	return "DEALLOCATE", nil
}

// declare carries out DECLARE CURSOR.
func (s *Session) declare(n *ast.DeclareCursorStmt, text string) error {
	hold := n.Options&cursorHold != 0
	if !s.t.block && !hold {
		return types.Errorf(types.CodeNoActiveTransaction, "DECLARE CURSOR can only be used in transaction blocks")
	}
	if _, ok := s.portals[n.Portalname]; ok {
		return types.Errorf(types.CodeDuplicateCursor, "cursor \"%s\" already exists", n.Portalname)
	}
	pl, err := s.makePlanAlone(s.ctx, n.Query)
	if err != nil {
		return err
	}
	e := s.newEntry(nil, pl, nil, text)
	p := &portal{name: n.Portalname, runner: &runner{}, cursor: true, hold: hold, scroll: n.Options&cursorScroll != 0, at: time.Now(), plan: e,
		stmt: &prepared{sql: text, st: parse.Statement{Node: n.Query, Text: text}, plan: e, result: pl.Result}}
	if err := s.ensureTxn(); err != nil {
		return err
	}
	in, err := e.take()
	if err != nil {
		return err
	}
	s.arm(p.runner, pl)
	if err := in.Run(&p.runner.env); err != nil {
		in.Finish()
		return err
	}
	p.in = in
	p.held = &held{rows: vec.NewBatch(resultTypes(p), 0)}
	p.born = s.t.tick()
	s.portals[n.Portalname] = p
	if hold && !s.t.block {
		return s.read(p, -1)
	}
	return nil
}

func resultTypes(p *portal) []types.Type {
	var out []types.Type
	for _, c := range p.stmt.result {
		out = append(out, c.Type)
	}
	return out
}

// materialize reads the rest of the cursors that outlive their transaction.
func (s *Session) materialize() error {
	for _, p := range s.portals {
		if p.hold && p.in != nil {
			if err := s.read(p, -1); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads a cursor's rows into its store until it has n (-1: all).
func (s *Session) read(p *portal, n int64) error {
	if p.held.all || p.in == nil {
		return nil
	}
	p.runner.env.Ctx = s.ctx
	left := int64(0)
	if n >= 0 {
		if left = n - int64(p.held.rows.N); left <= 0 {
			return nil
		}
	}
	_, done, err := s.pull(p, left, func(b *vec.Batch) error {
		p.held.rows.AppendBatch(b)
		return nil
	})
	p.held.all = p.held.all || done
	return err
}

// fetch carries out FETCH and MOVE. pos is the row that the cursor stands on,
// counted from 1; 0 is before the first.
func (s *Session) fetch(n *ast.FetchStmt, w ResultWriter, formats []int16) (string, error) {
	p, ok := s.portals[n.Portalname]
	if !ok || p.held == nil {
		return "", types.Errorf(types.CodeInvalidCursorName, "cursor \"%s\" does not exist", n.Portalname)
	}
	if p.broken {
		return "", types.Errorf(types.CodeObjectNotInPrerequisite, "portal \"%s\" cannot be run", n.Portalname)
	}
	rows, err := s.cursorRows(p, n)
	if err != nil {
		p.broken = true
		return "", err
	}
	tag := "FETCH "
	if n.Ismove {
		tag = "MOVE "
	} else {
		if err := w.Columns(p.stmt.result, formats); err != nil {
			return "", err
		}
		if len(rows) > 0 {
			sel := make([]int32, len(rows))
			for i, r := range rows {
				sel[i] = int32(r - 1)
			}
			// Backward rows are not in ascending order: one by one.
			for i := range sel {
				b := &vec.Batch{Cols: p.held.rows.Cols, N: p.held.rows.N, Sel: sel[i : i+1]}
				if err := w.Batch(b, s.set.Types()); err != nil {
					return "", err
				}
			}
		}
	}
	return tag + itoa(int64(len(rows))), nil
}

const fetchAll = 1<<63 - 1

// cursorRows moves the cursor and returns the rows it passes, numbered from 1.
func (s *Session) cursorRows(p *portal, n *ast.FetchStmt) ([]int64, error) {
	count, back := n.HowMany, n.Direction == ast.FETCH_BACKWARD
	switch n.Direction {
	case ast.FETCH_ABSOLUTE, ast.FETCH_RELATIVE:
		to := count
		if n.Direction == ast.FETCH_RELATIVE {
			to = p.pos + count
		} else if count < 0 {
			if err := s.read(p, -1); err != nil {
				return nil, err
			}
			to = int64(p.held.rows.N) + 1 + count
		}
		if err := s.read(p, max(to, 0)); err != nil {
			return nil, err
		}
		p.pos = max(0, min(to, int64(p.held.rows.N)+1))
		if p.pos < 1 || p.pos > int64(p.held.rows.N) {
			return nil, nil
		}
		return []int64{p.pos}, nil
	}
	if count < 0 && count != -fetchAll {
		back, count = !back, -count
	}
	if back {
		var out []int64
		for p.pos > 0 && count > 0 {
			if p.pos--; p.pos > 0 {
				out = append(out, p.pos)
			}
			count--
		}
		return out, nil
	}
	if count == 0 {
		if p.pos < 1 || p.pos > int64(p.held.rows.N) {
			return nil, nil
		}
		return []int64{p.pos}, nil
	}
	want := int64(-1)
	if count < fetchAll-p.pos {
		want = p.pos + count
	}
	if err := s.read(p, want); err != nil {
		return nil, err
	}
	var out []int64
	total := int64(p.held.rows.N)
	for count > 0 && p.pos <= total {
		if p.pos++; p.pos <= total {
			out = append(out, p.pos)
		}
		count--
	}
	return out, nil
}

func (s *Session) closeCursor(n *ast.ClosePortalStmt) (string, error) {
	if n.Portalname == "" {
		s.closeCursors()
		return "CLOSE CURSOR ALL", nil
	}
	p, ok := s.portals[n.Portalname]
	if !ok {
		return "", types.Errorf(types.CodeInvalidCursorName, "cursor \"%s\" does not exist", n.Portalname)
	}
	p.close()
	delete(s.portals, n.Portalname)
	return "CLOSE CURSOR", nil
}

func (s *Session) closeCursors() {
	for n, p := range s.portals {
		if p.cursor {
			p.close()
			delete(s.portals, n)
		}
	}
}

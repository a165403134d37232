package pgwire

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// fakeSessions opens fake sessions and remembers the last of them.
type fakeSessions struct {
	verifiers map[string]security.Verifier
	mu        sync.Mutex
	last      *fakeSession
	closed    int
	// tame refuses what never ends or panics as told, for fuzzing.
	tame bool
}

func (f *fakeSessions) Verifier(_ context.Context, user string) (security.Verifier, bool, error) {
	v, ok := f.verifiers[user]
	return v, ok, nil
}

func (f *fakeSessions) Open(_ context.Context, pid int32, o session.Options) (Session, error) {
	if o.User == "nobody" {
		return nil, types.Errorf(types.CodeInvalidAuthorization, "role %q does not exist", o.User)
	}
	s := &fakeSession{
		owner: f, pid: pid, opts: o, status: 'I', cancel: make(chan struct{}, 1),
		statements: map[string]string{}, portals: map[string]*fakePortal{},
		settings: types.DefaultSettings(), batch: vec.NewBatch(fakeTypes, 64),
	}
	f.mu.Lock()
	f.last = s
	f.mu.Unlock()
	return s, nil
}

// fakeSession understands a handful of words:
//
//	rows N          N rows of (int4, text, NULL)
//	tx, end         begins, ends a transaction
//	error CODE text an error; fatal CODE text ends the connection
//	notice text     a notice
//	half N          N rows, then an error
//	retry           two tries, the first discarded
//	idle N          sets the idle timeout in milliseconds
//	wait            waits to be canceled
//	set N V         reports a setting
//	copyin, copyout copies; copyin answers with the number of bytes
//	panic           panics
//	param           one row: the parameters as text
type fakeSession struct {
	owner      *fakeSessions
	pid        int32
	opts       session.Options
	status     byte
	cancel     chan struct{}
	statements map[string]string
	portals    map[string]*fakePortal
	settings   *types.Settings
	batch      *vec.Batch
	idle       time.Duration
	waiting    chan struct{}
	reported   [][2]string
	version    uint64
}

type fakePortal struct {
	sql     string
	params  []string
	formats []int16
	next    int
}

var (
	fakeTypes = []types.Type{types.Of(types.Int4OID), types.Of(types.TextOID), types.Of(types.BoolOID)}
	fakeCols  = []plan.ResultColumn{{Name: "id", Type: fakeTypes[0], Table: 16384, Attr: 1}, {Name: "name", Type: fakeTypes[1]}, {Name: "none", Type: fakeTypes[2]}}
)

func (s *fakeSession) fill(from, n int) *vec.Batch {
	s.batch.Reset()
	for i := range n {
		s.batch.AppendRow([]types.Datum{types.NewInt(int64(from + i)), types.NewString("row " + strconv.Itoa(from+i)), types.Null})
	}
	return s.batch
}

func (s *fakeSession) Exec(ctx context.Context, sql string, w session.ResultWriter) error {
	if strings.TrimSpace(sql) == "" {
		return w.EmptyQuery()
	}
	for _, st := range strings.Split(sql, ";") {
		if err := s.run(ctx, strings.TrimSpace(st), &fakePortal{sql: st}, 0, w); err != nil {
			if s.status == 'T' {
				s.status = 'E'
			}
			return err
		}
	}
	return nil
}

func (s *fakeSession) run(ctx context.Context, sql string, p *fakePortal, maxRows int, w session.ResultWriter) error {
	word, rest, _ := strings.Cut(sql, " ")
	n, _ := strconv.Atoi(rest)
	if s.owner != nil && s.owner.tame {
		if n = min(n, 500); word == "wait" || word == "panic" || word == "error" && !strings.HasPrefix(rest, "22012 x") || word == "fatal" {
			word = "not"
		}
	}
	if s.status == 'E' && word != "end" {
		return types.Errorf(types.CodeInFailedTransaction, "current transaction is aborted, commands ignored until end of transaction block")
	}
	switch word {
	case "rows":
		return s.rows(p, n, maxRows, w)
	case "tx":
		s.status = 'T'
		return w.Complete("BEGIN")
	case "end":
		s.status = 'I'
		return w.Complete("COMMIT")
	case "error", "fatal":
		code, text, _ := strings.Cut(rest, " ")
		e := types.Errorf(code, "%s", text).WithDetail("a detail").WithHint("a hint").At(3).On("s", "t", "c", "k")
		if word == "fatal" {
			e.Severity = "FATAL"
		}
		return e
	case "notice":
		w.Notice(types.Errorf("00000", "%s", rest))
		w.Notice(types.Errorf("01000", "%s", rest))
		return w.Complete("DO")
	case "half":
		if err := s.rows(p, n, 0, noComplete{w}); err != nil {
			return err
		}
		return types.Errorf(types.CodeDivisionByZero, "division by zero")
	case "retry":
		return s.retry(w)
	case "wait":
		return s.wait()
	case "idle":
		s.idle = time.Duration(n) * time.Millisecond
		return w.Complete("SET")
	case "set":
		name, value, _ := strings.Cut(rest, " ")
		s.reported, s.version = append(s.reported, [2]string{name, value}), s.version+1
		return w.Complete("SET")
	case "panic":
		panic("as told")
	case "param":
		return s.param(p, w)
	}
	return s.copy(word, w)
}

func (s *fakeSession) wait() error {
	if s.waiting != nil {
		close(s.waiting)
	}
	<-s.cancel
	return types.Errorf(types.CodeQueryCanceled, "canceling statement due to user request")
}

func (s *fakeSession) copy(word string, w session.ResultWriter) error {
	switch word {
	case "copyin":
		r, err := w.CopyIn(2, false)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil {
			return err
		}
		return w.Complete("COPY " + strconv.FormatInt(n, 10))
	case "copyout":
		o, err := w.CopyOut(1, false)
		if err != nil {
			return err
		}
		for i := range 3 {
			if _, err := fmt.Fprintf(o, "line %d\n", i); err != nil {
				return err
			}
		}
		if err := o.Close(); err != nil {
			return err
		}
		return w.Complete("COPY 3")
	}
	return types.Errorf(types.CodeSyntaxError, "syntax error at or near %q", word).At(1)
}

type noComplete struct{ session.ResultWriter }

func (noComplete) Complete(string) error { return nil }

func (s *fakeSession) rows(p *fakePortal, n, maxRows int, w session.ResultWriter) error {
	if err := w.Columns(fakeCols, p.formats); err != nil {
		return err
	}
	end := n
	if maxRows > 0 {
		end = min(n, p.next+maxRows)
	}
	for p.next < end {
		k := min(end-p.next, 100)
		if err := w.Batch(s.fill(p.next, k), s.settings); err != nil {
			return err
		}
		p.next += k
	}
	if p.next < n {
		return w.Suspended()
	}
	return w.Complete("SELECT " + strconv.Itoa(n))
}

func (s *fakeSession) retry(w session.ResultWriter) error {
	if err := w.Columns(fakeCols, nil); err != nil {
		return err
	}
	if err := w.Batch(s.fill(100, 5), s.settings); err != nil {
		return err
	}
	if w.Sent() {
		return types.Errorf(types.CodeSerializationFailure, "restart transaction")
	}
	w.Discard()
	return s.rows(&fakePortal{}, 1, 0, w)
}

func (s *fakeSession) param(p *fakePortal, w session.ResultWriter) error {
	cols := []plan.ResultColumn{{Name: "p", Type: fakeTypes[1]}}
	if err := w.Columns(cols, p.formats); err != nil {
		return err
	}
	b := vec.NewBatch(fakeTypes[1:2], 1)
	b.AppendRow([]types.Datum{types.NewString(strings.Join(p.params, ","))})
	if err := w.Batch(b, s.settings); err != nil {
		return err
	}
	return w.Complete("SELECT 1")
}

func (s *fakeSession) Prepare(_ context.Context, name, sql string, _ []types.OID) error {
	if strings.HasPrefix(sql, "bad") {
		return types.Errorf(types.CodeSyntaxError, "syntax error at or near \"bad\"").At(1)
	}
	s.statements[name] = sql
	return nil
}

func (s *fakeSession) Bind(_ context.Context, portal, statement string, params []session.Param, formats []int16) error {
	sql, ok := s.statements[statement]
	if !ok {
		return types.Errorf(types.CodeInvalidStatementName, "prepared statement %q does not exist", statement)
	}
	p := &fakePortal{sql: sql, formats: formats}
	for _, v := range params {
		switch {
		case v.Value == nil:
			p.params = append(p.params, "NULL")
		case v.Format == 1:
			p.params = append(p.params, fmt.Sprintf("%x", v.Value))
		default:
			p.params = append(p.params, string(v.Value))
		}
	}
	s.portals[portal] = p
	return nil
}

func columnsOf(sql string) []plan.ResultColumn {
	switch {
	case strings.HasPrefix(sql, "rows"), strings.HasPrefix(sql, "half"):
		return fakeCols
	case strings.HasPrefix(sql, "param"):
		return []plan.ResultColumn{{Name: "p", Type: fakeTypes[1]}}
	}
	return nil
}

func (s *fakeSession) DescribeStatement(_ context.Context, name string) ([]types.OID, []plan.ResultColumn, error) {
	sql, ok := s.statements[name]
	if !ok {
		return nil, nil, types.Errorf(types.CodeInvalidStatementName, "prepared statement %q does not exist", name)
	}
	var params []types.OID
	for range strings.Count(sql, "$") {
		params = append(params, types.TextOID)
	}
	return params, columnsOf(sql), nil
}

func (s *fakeSession) DescribePortal(_ context.Context, name string) ([]plan.ResultColumn, []int16, error) {
	p, ok := s.portals[name]
	if !ok {
		return nil, nil, types.Errorf(types.CodeInvalidCursorName, "portal %q does not exist", name)
	}
	return columnsOf(p.sql), p.formats, nil
}

func (s *fakeSession) Execute(ctx context.Context, portal string, maxRows int, w session.ResultWriter) error {
	p, ok := s.portals[portal]
	if !ok {
		return types.Errorf(types.CodeInvalidCursorName, "portal %q does not exist", portal)
	}
	return s.run(ctx, p.sql, p, maxRows, w)
}

func (s *fakeSession) Fail(context.Context) {
	if s.status == 'T' {
		s.status = 'E'
	}
}

func (s *fakeSession) CloseStatement(name string) { delete(s.statements, name) }
func (s *fakeSession) ClosePortal(name string)    { delete(s.portals, name) }
func (s *fakeSession) Sync(context.Context) error { return nil }
func (s *fakeSession) TxnStatus() byte            { return s.status }

func (s *fakeSession) SettingsVersion() uint64 { return s.version }

func (s *fakeSession) IdleTimeout() time.Duration { return s.idle }

func (s *fakeSession) Parameters(report func(name, value string)) {
	report("server_version", "15.0")
	report("client_encoding", "UTF8")
	report("standard_conforming_strings", "on")
	for _, r := range s.reported {
		report(r[0], r[1])
	}
}

func (s *fakeSession) Cancel() {
	select {
	case s.cancel <- struct{}{}:
	default:
	}
}

func (s *fakeSession) Close() {
	s.owner.mu.Lock()
	defer s.owner.mu.Unlock()
	s.owner.closed++
}

// testServer returns a server over fake sessions that ends with the test.
func testServer(t testing.TB, cfg Config) (*Server, *fakeSessions) {
	f, ok := cfg.Sessions.(*fakeSessions)
	if !ok {
		f = &fakeSessions{}
		cfg.Sessions = f
	}
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	s := NewServer(cfg)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := s.Conns(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return s, f
}

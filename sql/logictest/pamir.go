package logictest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// patience is how long a statement may take before it is canceled.
const patience = 30 * time.Second

// Variant is a way of lying below and getting to the same statements.
type Variant struct {
	Name    string
	Storage kvtest.Options
	// Naive plans without the optimizer's rules.
	Naive bool
	// Extended runs single statements through the extended protocol.
	Extended bool
}

// Variants are all ways, the plain one first.
var Variants = []Variant{
	{Name: "plain"},
	{Name: "extended", Extended: true},
	{Name: "naive", Naive: true},
	{Name: "flush", Storage: kvtest.Options{FlushWrites: true}},
	{Name: "split", Storage: kvtest.Options{SplitEveryKey: true}},
	{Name: "nodes", Storage: kvtest.Options{Nodes: 3, SplitEveryKey: true, FlushWrites: true}},
}

// Pamir is an Engine: a database of ours in memory.
type Pamir struct {
	v   Variant
	db  *kvtest.DB
	srv *session.Server

	mu       sync.Mutex
	sessions map[string]*session.Session
}

// NewPamir starts an empty database.
func NewPamir(v Variant, tempDir string) (*Pamir, error) {
	ev := scan.NewEvaluator()
	o := v.Storage
	o.Evaluator = ev
	p := &Pamir{v: v, db: kvtest.NewDB(o), sessions: map[string]*session.Session{}}
	p.srv = session.NewServer(session.Config{DB: p.db, Node: 1, Evaluator: ev, TempDir: tempDir, Naive: v.Naive})
	if err := p.srv.Start(context.Background()); err != nil {
		p.db.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the sessions and the database.
func (p *Pamir) Close() {
	for _, s := range p.sessions {
		s.Close()
	}
	p.srv.Close()
	p.db.Close()
}

func (p *Pamir) open(name string) (*session.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sessions[name]; s != nil {
		return s, nil
	}
	o := session.Options{User: "root", Database: "defaultdb"}
	if p.srv.Store().Snapshot() != nil {
		if _, ok := p.srv.Store().Snapshot().Role(name); ok {
			o.User = name
		}
	}
	s, err := session.New(context.Background(), p.srv, 0, o)
	if err == nil {
		p.sessions[name] = s
	}
	return s, err
}

// Run implements Engine.
func (p *Pamir) Run(name, sql, in string) *Answer {
	s, err := p.open(name)
	w := &writer{in: in}
	if err == nil {
		timer := time.AfterFunc(patience, s.Cancel)
		defer timer.Stop()
		if p.v.Extended {
			err = extended(s, sql, w)
		} else {
			err = s.Exec(context.Background(), sql, w)
		}
	}
	if err != nil {
		w.finish("")
		if w.open {
			w.a.Results = w.a.Results[:len(w.a.Results)-1]
		}
		if !errors.As(err, &w.a.Err) {
			w.a.Err = types.Errorf("XX000", "not an error for clients: %v", err)
		}
	}
	return &w.a
}

// extended runs a statement as a driver does: parse, bind, describe, execute,
// sync. A string of several statements goes the simple way.
func extended(s *session.Session, sql string, w *writer) error {
	ctx := context.Background()
	err := func() error {
		if err := s.Prepare(ctx, "", sql, nil); err != nil {
			return err
		}
		if err := s.Bind(ctx, "", "", nil, nil); err != nil {
			return err
		}
		cols, _, err := s.DescribePortal(ctx, "")
		if err != nil {
			return err
		}
		w.described, w.cols = true, cols
		return s.Execute(ctx, "", 0, w)
	}()
	var e *types.Error
	several := errors.As(err, &e) && e.Code == types.CodeSyntaxError && strings.HasPrefix(e.Message, "cannot insert multiple commands")
	if err2 := s.Sync(ctx); err == nil {
		err = err2
	}
	if several {
		w.described = false
		return s.Exec(ctx, sql, w)
	}
	return err
}

// writer collects results. open is true while a statement has not completed.
type writer struct {
	a         Answer
	cols      []plan.ResultColumn
	described bool
	open      bool
	in        string
	mark      int
}

func (w *writer) begin() *Result {
	if !w.open {
		w.open = true
		w.a.Results = append(w.a.Results, Result{})
	}
	return &w.a.Results[len(w.a.Results)-1]
}

func (w *writer) finish(tag string) {
	if tag == "" {
		return
	}
	r := w.begin()
	if w.described && w.cols != nil && r.Columns == nil {
		_ = w.Columns(w.cols, nil)
	}
	r.Tag = tag
	w.open = false
	w.mark = len(w.a.Notices)
}

// Columns implements session.ResultWriter.
func (w *writer) Columns(cols []plan.ResultColumn, _ []int16) error {
	r := w.begin()
	w.cols = cols
	r.Columns = []string{}
	for _, c := range cols {
		r.Columns = append(r.Columns, column(c.Name, c.Type))
	}
	return nil
}

// Batch implements session.ResultWriter.
func (w *writer) Batch(b *vec.Batch, s *types.Settings) error {
	r := w.begin()
	for i := range b.Len() {
		values := make([]*string, len(b.Cols))
		for c, v := range b.Cols {
			if !v.IsNull(b.Pos(i)) {
				text := types.TextOf(w.cols[c].Type.OID, v.Datum(b.Pos(i)), s)
				values[c] = &text
			}
		}
		r.Rows = append(r.Rows, row(values))
	}
	return nil
}

// Complete implements session.ResultWriter.
func (w *writer) Complete(tag string) error {
	w.finish(tag)
	return nil
}

// EmptyQuery implements session.ResultWriter.
func (w *writer) EmptyQuery() error { return nil }

// Suspended implements session.ResultWriter; no portal here has a row limit.
func (w *writer) Suspended() error { return errors.New("suspended without a limit") }

// Notice implements session.ResultWriter.
func (w *writer) Notice(e *types.Error) {
	w.a.Notices = append(w.a.Notices, e.Severity+": "+escape(e.Message))
}

// ParameterStatus implements session.ResultWriter.
func (w *writer) ParameterStatus(string, string) {}

// Sent implements session.ResultWriter.
func (w *writer) Sent() bool { return false }

// Discard implements session.ResultWriter.
func (w *writer) Discard() {
	if w.open {
		w.open = false
		w.a.Results = w.a.Results[:len(w.a.Results)-1]
	}
	w.a.Notices = w.a.Notices[:w.mark]
}

// CopyIn implements session.ResultWriter.
func (w *writer) CopyIn(int, bool) (io.Reader, error) {
	in := w.in
	if in != "" {
		in += "\n"
	}
	return strings.NewReader(in), nil
}

// CopyOut implements session.ResultWriter.
func (w *writer) CopyOut(int, bool) (io.WriteCloser, error) { return &copyOut{w: w}, nil }

type copyOut struct {
	w *writer
	b strings.Builder
}

func (c *copyOut) Write(p []byte) (int, error) { return c.b.Write(p) }

func (c *copyOut) Close() error {
	c.w.begin().copied(c.b.String())
	return nil
}

// copied makes the lines of a COPY TO STDOUT rows.
func (r *Result) copied(text string) {
	r.Columns = []string{"COPY"}
	for line := range strings.Lines(text) {
		r.Rows = append(r.Rows, escape(line))
	}
}

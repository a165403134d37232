package session

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/settings"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// virtualTables makes the rows of virtual tables for a session.
type virtualTables Session

// ScanVirtual implements exec.VirtualTables.
func (v *virtualTables) ScanVirtual(ctx context.Context, t *catalog.Table, eqs []exec.VirtualEq, emit func([]types.Datum) error) error {
	s := (*Session)(v)
	env := &pgcatalog.Env{Ctx: ctx, Resolver: s.resolve(), Settings: s.set.Types(), User: s.user, Live: (*live)(s), ViewText: s.viewText}
	list := make([]pgcatalog.Eq, len(eqs))
	for i, e := range eqs {
		list[i] = pgcatalog.Eq{Column: e.Column, Value: e.Value}
	}
	return pgcatalog.Scan(env, t, list, emit)
}

// live is what virtual tables see of the node and the session.
type live Session

// Nodes implements pgcatalog.Live.
func (l *live) Nodes(ctx context.Context) ([]pgcatalog.Node, error) {
	if x := l.srv.cfg.Live; x != nil {
		return x.Nodes(ctx)
	}
	return nil, nil
}

// Ranges implements pgcatalog.Live.
func (l *live) Ranges(ctx context.Context) ([]api.RangeInfo, error) {
	if x := l.srv.cfg.Live; x != nil {
		return x.Ranges(ctx)
	}
	return nil, nil
}

// Transactions implements pgcatalog.Live.
func (l *live) Transactions(ctx context.Context) ([]pgcatalog.Transaction, error) {
	if x := l.srv.cfg.Live; x != nil {
		all, silent := x.Transactions(ctx)
		l.missing("transactions", silent)
		return all, nil
	}
	return l.srv.Transactions(), nil
}

// Sessions implements pgcatalog.Live.
func (l *live) Sessions(ctx context.Context) ([]pgcatalog.Session, error) {
	if x := l.srv.cfg.Live; x != nil {
		all, silent := x.Sessions(ctx)
		l.missing("sessions", silent)
		return all, nil
	}
	return l.srv.Sessions(), nil
}

// Statements implements pgcatalog.Live.
func (l *live) Statements(ctx context.Context) ([]pgcatalog.Statement, error) {
	if x := l.srv.cfg.Live; x != nil {
		all, silent := x.Statements(ctx)
		l.missing("statements", silent)
		return all, nil
	}
	return l.srv.Statements(), nil
}

// Backends implements pgcatalog.Live.
func (l *live) Backends() []pgcatalog.Session { return l.srv.Sessions() }

// missing tells the client whose rows are not there.
func (l *live) missing(what string, silent []ids.NodeID) {
	for _, n := range silent {
		l.warnings.add(warning(types.CodeWarning, "node %d does not answer: its %s are missing", n, what))
	}
}

// warnings are what a statement's operators have to say. They may run on other
// goroutines than the session's, so what they say waits for the statement's end.
type warnings struct {
	some atomic.Bool
	mu   sync.Mutex
	list []*types.Error
}

func (w *warnings) add(e *types.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, e)
	w.some.Store(true)
}

// take empties the list.
func (w *warnings) take() []*types.Error {
	if !w.some.Load() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.list
	w.list = nil
	w.some.Store(false)
	return list
}

// Settings implements pgcatalog.Live.
func (l *live) Settings() []pgcatalog.Setting {
	s := (*Session)(l)
	var out []pgcatalog.Setting
	for _, v := range settings.All() {
		x, _ := s.getSetting(v.Name)
		source := "default"
		if x != v.Default {
			source = "session"
		}
		out = append(out, pgcatalog.Setting{Name: v.Name, Value: v.Setting(x), Unit: v.Unit, Category: v.Category, Description: v.Description,
			Context: v.Context, Type: v.Type, Source: source, Default: v.Setting(v.Default)})
	}
	return out
}

// Prepared implements pgcatalog.Live.
func (l *live) Prepared() []pgcatalog.Prepared {
	var out []pgcatalog.Prepared
	for _, name := range slices.Sorted(maps.Keys(l.stmts)) {
		if name == "" {
			continue
		}
		p := l.stmts[name]
		x := pgcatalog.Prepared{Name: name, Statement: p.sql, At: p.at, FromSQL: p.fromSQL}
		for _, t := range p.params {
			x.Params = append(x.Params, t.OID)
		}
		out = append(out, x)
	}
	return out
}

// Cursors implements pgcatalog.Live.
func (l *live) Cursors() []pgcatalog.Cursor {
	var out []pgcatalog.Cursor
	for _, name := range slices.Sorted(maps.Keys(l.portals)) {
		if p := l.portals[name]; p.cursor {
			out = append(out, pgcatalog.Cursor{Name: name, Statement: p.stmt.sql, At: p.at, Hold: p.hold, Scrollable: p.scroll})
		}
	}
	return out
}

// RowCount implements pgcatalog.Live.
func (l *live) RowCount(table types.OID) (float64, bool) {
	t := l.srv.store.Stats(table)
	if t == nil {
		return 0, false
	}
	return t.Rows, true
}

// quiet is a ResultWriter for statements without a client.
type quiet struct{}

// Columns implements ResultWriter.
func (quiet) Columns([]plan.ResultColumn, []int16) error { return nil }

// Batch implements ResultWriter.
func (quiet) Batch(*vec.Batch, *types.Settings) error { return nil }

// Complete implements ResultWriter.
func (quiet) Complete(string) error { return nil }

// EmptyQuery implements ResultWriter.
func (quiet) EmptyQuery() error { return nil }

// Suspended implements ResultWriter.
func (quiet) Suspended() error { return nil }

// Notice implements ResultWriter.
func (quiet) Notice(*types.Error) {}

// Sent implements ResultWriter.
func (quiet) Sent() bool { return false }

// Discard implements ResultWriter.
func (quiet) Discard() {}

// CopyIn implements ResultWriter.
func (quiet) CopyIn(int, bool) (io.Reader, error) { return nil, io.EOF }

// CopyOut implements ResultWriter.
func (quiet) CopyOut(int, bool) (io.WriteCloser, error) { return nil, io.ErrClosedPipe }

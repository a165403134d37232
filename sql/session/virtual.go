package session

import (
	"context"
	"io"

	"github.com/pamirdb/pamir/kv/api"
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
		return x.Transactions(ctx)
	}
	return l.srv.Transactions(), nil
}

// Sessions implements pgcatalog.Live.
func (l *live) Sessions(ctx context.Context) ([]pgcatalog.Session, error) {
	if x := l.srv.cfg.Live; x != nil {
		return x.Sessions(ctx)
	}
	return l.srv.Sessions(), nil
}

// Statements implements pgcatalog.Live.
func (l *live) Statements(ctx context.Context) ([]pgcatalog.Statement, error) {
	if x := l.srv.cfg.Live; x != nil {
		return x.Statements(ctx)
	}
	return l.srv.Statements(), nil
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
		out = append(out, pgcatalog.Setting{Name: v.Name, Value: x, Unit: v.Unit, Category: v.Category, Description: v.Description,
			Context: v.Context, Type: v.Type, Source: source, Default: v.Default})
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

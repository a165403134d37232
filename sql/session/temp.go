package session

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/schemachange"
	"github.com/pamirdb/pamir/sql/types"
)

// temporary is what a session keeps about its temporary objects.
type temporary struct {
	schema string // empty until the session makes one
	commit []tempAction
}

// tempAction is what ON COMMIT says of a table.
type tempAction struct {
	table types.OID
	drop  bool
}

// tempName is the name of the session's temporary schema. It begins with the
// node's number, so that a node that starts again finds what its sessions left.
func (s *Session) tempName() string {
	return s.srv.tempPrefix() + strconv.Itoa(int(s.pid))
}

func (s *Server) tempPrefix() string {
	return catalog.TempPrefix + strconv.Itoa(int(s.cfg.Node)) + "_"
}

func (s *Session) tempEnv() schemachange.Temp {
	return schemachange.Temp{
		Schema: s.tempName(),
		Ready:  s.temp.schema != "",
		Used: func() {
			// The search path and all that was planned under it have changed.
			s.temp.schema = s.tempName()
			s.prefix, s.resolver = nil, nil
		},
		OnCommit: func(table types.OID, drop bool) {
			s.temp.commit = append(s.temp.commit, tempAction{table, drop})
		},
	}
}

// tempAtCommit carries out ON COMMIT as the last thing in a transaction.
func (s *Session) tempAtCommit() error {
	if len(s.temp.commit) == 0 {
		return nil
	}
	readOnly := s.t.readOnly
	s.t.readOnly = false
	defer func() { s.t.readOnly = readOnly }()
	s.temp.commit = slices.DeleteFunc(s.temp.commit, func(a tempAction) bool {
		d, ok := s.snapshot().ByOID(a.table)
		return !ok || d.Head().ID != a.table
	})
	for _, a := range s.temp.commit {
		if a.drop {
			if err := s.changeCatalog("DROP TABLE"); err != nil {
				return err
			}
			if err := s.ddlEnv(quiet{}).DropTable(a.table); err != nil {
				return err
			}
			continue
		}
		d, _ := s.snapshot().ByOID(a.table)
		if err := s.asOwner(d.Head(), "DELETE FROM pg_temp."+quoteName(d.Head().Name)); err != nil {
			return err
		}
	}
	return nil
}

// asOwner runs a statement on an object as its owner, whoever the session acts
// for by now.
func (s *Session) asOwner(h *catalog.Header, sql string) error {
	s.follow()
	user := s.user
	s.user = h.Owner
	defer func() { s.user = user }()
	return s.query(s.ctx, sql, nil)
}

// discardTemp drops the temporary objects as part of the current transaction.
func (s *Session) discardTemp() error {
	if s.temp.schema == "" {
		return nil
	}
	if err := s.changeCatalog("DISCARD TEMP"); err != nil {
		return err
	}
	return s.ddlEnv(quiet{}).EmptyTemp()
}

func quoteName(n string) string { return `"` + strings.ReplaceAll(n, `"`, `""`) + `"` }

// dropTemp drops the session's temporary objects. No transaction is open.
func (s *Session) dropTemp(ctx context.Context) error {
	if s.temp.schema == "" {
		return nil
	}
	const attempts = 20
	var err error
	for range attempts {
		if err = s.tryDropTemp(ctx); err == nil {
			s.temp = temporary{}
			s.prefix, s.resolver = nil, nil
			return nil
		}
		s.rollback(ctx)
		if !rerunnable(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (s *Session) tryDropTemp(ctx context.Context) error {
	s.begin(ctx, "")
	defer s.end()
	s.enter()
	s.t.readOnly = false
	if err := s.changeCatalog("DROP TABLE"); err != nil {
		return err
	}
	env := s.ddlEnv(quiet{})
	env.Temp.Schema = s.temp.schema
	if err := env.EmptyTemp(); err != nil {
		return err
	}
	return s.commit(ctx)
}

// closeTemp drops the temporary objects at the session's end. A node that stops
// leaves them to its next start.
func (s *Session) closeTemp() {
	if s.temp.schema == "" || s.srv.isClosed() {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(s.parent), 10*time.Second)
	defer stop()
	if err := s.dropTemp(ctx); err != nil && !s.srv.isClosed() {
		slog.Warn("temporary tables of a session are left until the node starts again", "schema", s.temp.schema, "err", err)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// dropStaleTemp drops what sessions of this node left when it died.
func (s *Server) dropStaleTemp(ctx context.Context) {
	type stale struct{ database, schema string }
	var all []stale
	snap := s.store.Snapshot()
	snap.Each(func(d catalog.Descriptor) bool {
		sc, ok := d.(*catalog.Schema)
		if !ok || !strings.HasPrefix(sc.Name, s.tempPrefix()) {
			return true
		}
		if x, ok := snap.ByOID(sc.Database); ok {
			all = append(all, stale{x.Head().Name, sc.Name})
		}
		return true
	})
	for _, x := range all {
		u, err := New(ctx, s, 0, Options{User: "root", Database: x.database})
		if err != nil {
			slog.Warn("temporary tables of a dead session stay", "schema", x.schema, "err", err)
			continue
		}
		u.temp.schema = x.schema
		if err := u.dropTemp(ctx); err != nil {
			slog.Warn("temporary tables of a dead session stay", "schema", x.schema, "err", err)
			u.temp.schema = ""
		}
		u.Close()
	}
}

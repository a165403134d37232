package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/types"
)

// allow fails unless the session's role has a privilege on a relation: as a
// superuser, as its owner, or by a grant to it, to a role it belongs to, or to
// everybody. Privileges are PostgreSQL's letters. Plans are cached by role, and a
// grant or revocation makes a new catalog generation, which ends them.
func (s *Session) allow(d catalog.Descriptor, privilege byte) error {
	if t, ok := d.(*catalog.Table); ok && privilege != 'r' && s.t.change == nil && s.writeLocked(t) {
		return errWriteLocked
	}
	h := d.Head()
	snap := s.resolve().Snapshot()
	if snap.Superuser(s.user) {
		return nil
	}
	if t, virtual := d.(*catalog.Table); virtual && t.Virtual {
		return nil
	}
	roles := snap.RolesOf(s.user, true)
	if h.HasPrivilege(roles, privilege) || slices.Contains(roles, allData(privilege)) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for %s %s", d.Kind(), h.Name)
}

// allData is the predefined role whose members have a privilege on every relation.
func allData(privilege byte) types.OID {
	switch privilege {
	case 'r':
		return catalog.ReadAllDataRoleOID
	case 'a', 'w', 'd':
		return catalog.WriteAllDataRoleOID
	}
	return types.OID(0)
}

// errWriteLocked says that a schema change has a table to itself. It does not
// leave the session.
var errWriteLocked = errors.New("table is locked against writers")

// writeLocked reports whether writing to t must wait for a schema change: to t
// itself, or to a table that a foreign key makes it write to or look at.
func (s *Session) writeLocked(t *catalog.Table) bool {
	if s.srv.store.WriteLocked(t) {
		return true
	}
	for _, in := range t.InboundFKs {
		d, _ := s.snapshot().ByOID(in.Table)
		if o, ok := d.(*catalog.Table); ok && s.srv.store.WriteLocked(o) {
			return true
		}
	}
	return false
}

// writerPoll is how often a waiting writer looks for the end of a schema change.
const writerPoll = 10 * time.Millisecond

// awaitWriters moves the session to a newer catalog generation, in the hope that
// a schema change has let writers back. A transaction that has begun is held by
// its generation and has to start over.
func (s *Session) awaitWriters(ctx context.Context) error {
	if s.t.txn != nil {
		return types.Errorf(types.CodeSerializationFailure, "could not serialize access due to a concurrent schema change")
	}
	valid := s.t.use.Valid()
	s.t.use.Release()
	s.t.use, s.resolver = store.Use{}, nil
	select {
	case <-time.After(writerPoll):
	case <-ctx.Done():
	}
	if valid {
		s.t.use = s.srv.store.Acquire()
	}
	return ctx.Err()
}

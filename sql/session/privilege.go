package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/catalog/store"
	"github.com/pamirdb/pamir/sql/types"
)

// allow fails unless a role has a privilege on a relation or a schema: as a
// superuser, as its owner, or by a grant to it, to a role it belongs to, or to
// everybody. Privileges are PostgreSQL's letters. Plans are cached by role, and a
// grant or revocation makes a new catalog generation, which ends them.
// role is the session's own if it is 0.
func (s *Session) allow(role types.OID, d catalog.Descriptor, privilege byte) error {
	if t, ok := d.(*catalog.Table); ok && privilege != 'r' && s.t.change == nil && s.writeLocked(t) {
		return errWriteLocked
	}
	if s.follow(); role == 0 {
		role = s.user
	}
	if s.holds(role, d, privilege) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for %s %s", d.Kind(), d.Head().Name)
}

// holds reports whether a role has a privilege on an object.
func (s *Session) holds(user types.OID, d catalog.Descriptor, privilege byte) bool {
	h := d.Head()
	if s.snapshot().Superuser(user) {
		return true
	}
	switch x := d.(type) {
	case *catalog.Table:
		if x.Virtual {
			return privilege == 'r'
		}
	case *catalog.Schema:
		isSystems := h.ID == catalog.PgCatalogOID || h.ID == catalog.InformationSchemaOID || h.ID == catalog.PamirInternalOID
		if privilege == 'U' && (isSystems || strings.HasPrefix(h.Name, catalog.TempPrefix)) {
			return true
		}
	case *catalog.Database:
		return x.HasPrivilege(s.rolesOf(user, true), privilege)
	}
	roles := s.rolesOf(user, true)
	return h.HasPrivilege(roles, privilege) || slices.ContainsFunc(allData(d, privilege), func(r types.OID) bool { return slices.Contains(roles, r) })
}

// rolesOf lists the roles that a role belongs to in this database; only those whose
// privileges it has without asking if inherited.
func (s *Session) rolesOf(user types.OID, inherited bool) []types.OID {
	snap := s.snapshot()
	roles := snap.RolesOf(user, inherited)
	if slices.Contains(roles, s.databaseIn(snap).Owner) {
		roles = append(roles, catalog.DatabaseOwnerRoleOID)
	}
	return roles
}

// allData lists the predefined roles whose members have a privilege on every
// relation or schema.
func allData(d catalog.Descriptor, privilege byte) []types.OID {
	switch d.Kind() {
	case catalog.KindSchema:
		if privilege == 'U' {
			return []types.OID{catalog.ReadAllDataRoleOID, catalog.WriteAllDataRoleOID}
		}
	case catalog.KindTable, catalog.KindView, catalog.KindSequence:
		switch privilege {
		case 'r':
			return []types.OID{catalog.ReadAllDataRoleOID}
		case 'a', 'w', 'd':
			return []types.OID{catalog.WriteAllDataRoleOID}
		}
	}
	return nil
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

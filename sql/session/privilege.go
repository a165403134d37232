package session

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// allow fails unless the session's role has a privilege on a relation: as a
// superuser, as its owner, or by a grant to it, to a role it belongs to, or to
// everybody. Privileges are PostgreSQL's letters. Plans are cached by role, and a
// grant or revocation makes a new catalog generation, which ends them.
func (s *Session) allow(d catalog.Descriptor, privilege byte) error {
	h := d.Head()
	snap := s.resolve().Snapshot()
	rd, _ := snap.ByOID(s.user)
	role, ok := rd.(*catalog.Role)
	if ok && role.Super {
		return nil
	}
	if t, virtual := d.(*catalog.Table); virtual && t.Virtual {
		return nil
	}
	roles := []types.OID{s.user}
	for i := 0; ok && i < len(roles); i++ {
		md, _ := snap.ByOID(roles[i])
		if m, isRole := md.(*catalog.Role); isRole {
			for _, g := range m.MemberOf {
				if !slices.Contains(roles, g) {
					roles = append(roles, g)
				}
			}
		}
	}
	if slices.Contains(roles, h.Owner) {
		return nil
	}
	for _, g := range h.ACL {
		if (g.Grantee == 0 || slices.Contains(roles, g.Grantee)) && g.Column == 0 && strings.IndexByte(g.Privileges, privilege) >= 0 {
			return nil
		}
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "permission denied for %s %s", d.Kind(), h.Name)
}

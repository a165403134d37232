package catalog

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

// Expires tells when the role's password stops being good, in the microseconds
// of a timestamptz; ok is false if it never does.
func (r *Role) Expires() (at int64, ok bool) {
	if r.ValidUntil == "" {
		return 0, false
	}
	d, err := types.ParseText(types.TimestampTZType, r.ValidUntil, types.DefaultSettings())
	if err != nil {
		return math.MinInt64, true // what cannot be read must not let anybody in
	}
	return d.Int(), true
}

// Expired reports whether the role's password is no longer good.
func (r *Role) Expired(now time.Time) bool {
	at, ok := r.Expires()
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return ok && at < now.Sub(epoch).Microseconds()
}

// Oids of roles that every cluster has. Nobody logs in as one; their members may
// do something.
const (
	ReadAllStatsRoleOID  types.OID = 3375
	MonitorRoleOID       types.OID = 3373
	ReadFilesRoleOID     types.OID = 4569
	WriteFilesRoleOID    types.OID = 4570
	ExecuteRoleOID       types.OID = 4571
	ReadAllDataRoleOID   types.OID = 6181
	WriteAllDataRoleOID  types.OID = 6182
	readAllSettingsOID   types.OID = 3374
	DatabaseOwnerRoleOID types.OID = 6171 // its one member is the owner of the database at hand
)

// PredefinedRoles are the roles that every cluster has.
func PredefinedRoles() []Descriptor {
	role := func(oid types.OID, name string, memberOf ...types.OID) Descriptor {
		return &Role{Header: Header{ID: oid, Name: name, Version: 1}, Inherit: true, ConnLimit: -1, MemberOf: memberOf}
	}
	return []Descriptor{
		role(DatabaseOwnerRoleOID, "pg_database_owner"),
		role(MonitorRoleOID, "pg_monitor", readAllSettingsOID, ReadAllStatsRoleOID),
		role(readAllSettingsOID, "pg_read_all_settings"),
		role(ReadAllStatsRoleOID, "pg_read_all_stats"),
		role(ReadFilesRoleOID, "pg_read_server_files"),
		role(WriteFilesRoleOID, "pg_write_server_files"),
		role(ExecuteRoleOID, "pg_execute_server_program"),
		role(ReadAllDataRoleOID, "pg_read_all_data"),
		role(WriteAllDataRoleOID, "pg_write_all_data"),
	}
}

// Reserved reports whether a role's name is one that only predefined roles have.
func Reserved(role string) bool { return strings.HasPrefix(role, "pg_") }

// RolesOf lists a role and those it belongs to, over any number of steps; only
// those whose privileges it has without asking if inherited.
func (s *Snapshot) RolesOf(role types.OID, inherited bool) []types.OID {
	roles := []types.OID{role}
	for i := 0; i < len(roles); i++ {
		d, _ := s.ByOID(roles[i])
		r, ok := d.(*Role)
		if !ok || inherited && !r.Inherit {
			continue
		}
		for _, g := range r.MemberOf {
			if !slices.Contains(roles, g) {
				roles = append(roles, g)
			}
		}
	}
	return roles
}

// HasPrivilege reports whether one of roles may do something with an object: as
// its owner, or because it was granted.
func (h *Header) HasPrivilege(roles []types.OID, privilege byte) bool {
	if slices.Contains(roles, h.Owner) {
		return true
	}
	return slices.ContainsFunc(h.ACL, func(g Grant) bool {
		return (g.Grantee == 0 || slices.Contains(roles, g.Grantee)) && g.Column == 0 && strings.IndexByte(g.Privileges, privilege) >= 0
	})
}

// HasPrivilege is Header's. As long as nothing was granted or revoked, everybody
// may connect to a database and make temporary tables there.
func (d *Database) HasPrivilege(roles []types.OID, privilege byte) bool {
	return len(d.ACL) == 0 && (privilege == 'c' || privilege == 'T') || d.Header.HasPrivilege(roles, privilege)
}

// PublicSchema is a new database's schema public: everybody may use what is in
// it, and the database's owner create there.
func PublicSchema(oid, database types.OID) *Schema {
	acl := []Grant{{Grantee: DatabaseOwnerRoleOID, Grantor: DatabaseOwnerRoleOID, Privileges: "UC"}, {Grantor: DatabaseOwnerRoleOID, Privileges: "U"}}
	return &Schema{Header: Header{ID: oid, Name: "public", Database: database, Owner: DatabaseOwnerRoleOID, Version: 1, ACL: acl, Comment: "standard public schema"}}
}

// Superuser reports whether a role may do everything.
func (s *Snapshot) Superuser(role types.OID) bool {
	d, _ := s.ByOID(role)
	r, ok := d.(*Role)
	return ok && r.Super
}

// HasRole reports whether a role may do what another may: as a superuser, or by
// membership.
func (s *Snapshot) HasRole(role, other types.OID) bool {
	return s.Superuser(role) || slices.Contains(s.RolesOf(role, true), other)
}

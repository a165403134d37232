package schemachange

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// replaceable checks CREATE OR REPLACE VIEW: columns may only be added.
func replaceable(prev *catalog.View, cols []plan.ResultColumn, aliases []string) error {
	if len(cols) < len(prev.Columns) {
		return types.Errorf(types.CodeInvalidTableDefinition, "cannot drop columns from view")
	}
	for i, old := range prev.Columns {
		name := cols[i].Name
		if i < len(aliases) {
			name = aliases[i]
		}
		if name != old.Name {
			return types.Errorf(types.CodeInvalidTableDefinition, "cannot change name of view column \"%s\" to \"%s\"", old.Name, name).
				WithHint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")
		}
		if cols[i].Type != old.Type {
			return types.Errorf(types.CodeInvalidTableDefinition, "cannot change data type of view column \"%s\" from %s to %s", old.Name, old.Type, cols[i].Type)
		}
	}
	return nil
}

// findRole resolves a role specification.
func (e *Env) findRole(r *ast.RoleSpec) (*catalog.Role, error) {
	switch r.Roletype {
	case ast.ROLESPEC_CURRENT_ROLE, ast.ROLESPEC_CURRENT_USER, ast.ROLESPEC_SESSION_USER:
		return e.role(), nil
	}
	role, ok := e.Change.Snapshot().Role(r.Rolename)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", r.Rolename)
	}
	return role, nil
}

// mayManageRoles fails with a message unless the user may make and change roles.
func (e *Env) mayManageRoles(message string, args ...any) error {
	if r := e.role(); !r.Super && !r.CreateRole {
		return types.Errorf(types.CodeInsufficientPrivilege, message, args...)
	}
	return nil
}

// mustBelong fails unless the user belongs to a role, or is a superuser.
func (e *Env) mustBelong(r *catalog.Role) error {
	if e.role().Super || slices.Contains(e.Change.Snapshot().RolesOf(e.User, false), r.ID) {
		return nil
	}
	return types.Errorf(types.CodeInsufficientPrivilege, "must be member of role \"%s\"", r.Name)
}

func (e *Env) createRole(s *ast.CreateRoleStmt) error {
	if err := e.mayManageRoles("permission denied to create role"); err != nil {
		return err
	}
	if _, dup := e.Change.Snapshot().Role(s.Role); dup {
		return types.Errorf(types.CodeDuplicateObject, "role \"%s\" already exists", s.Role)
	}
	if err := freeRoleName(s.Role); err != nil {
		return err
	}
	h, err := e.header(s.Role, nil)
	if err != nil {
		return err
	}
	h.Database, h.Owner = 0, 0
	r := &catalog.Role{Header: h, Inherit: true, ConnLimit: -1, Login: s.StmtType == ast.ROLESTMT_USER}
	if err := e.roleOptions(r, s.Options, true); err != nil {
		return err
	}
	e.Change.Put(r)
	return nil
}

// freeRoleName refuses the names that roles of users may not have.
func freeRoleName(name string) error {
	err := types.Errorf(types.CodeReservedName, "role name \"%s\" is reserved", name)
	switch {
	case catalog.Reserved(name):
		return err.WithDetail("Role names starting with \"pg_\" are reserved.")
	case name == "public" || name == "none" || name == security.NodeUser:
		return err
	}
	return nil
}

func (e *Env) alterRole(s *ast.AlterRoleStmt) error {
	r, err := e.findRole(s.Role)
	if err != nil {
		return err
	}
	if catalog.Reserved(r.Name) {
		return types.Errorf(types.CodeReservedName, "role name \"%s\" is reserved", r.Name).WithDetail("Cannot alter reserved roles.")
	}
	ownPassword := r.ID == e.User && len(s.Options) == 1 && s.Options[0].(*ast.DefElem).Defname == "password"
	if r.Super && !e.role().Super {
		return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser to alter superuser roles or change superuser attribute")
	}
	if !ownPassword {
		if err := e.mayManageRoles("permission denied"); err != nil {
			return err
		}
	}
	if r, err = clone(r); err != nil {
		return err
	}
	if err := e.roleOptions(r, s.Options, s.Action >= 0); err != nil {
		return err
	}
	e.Change.Put(r)
	return nil
}

func (e *Env) roleOptions(r *catalog.Role, options []ast.Node, add bool) error {
	flags := map[string]*bool{"superuser": &r.Super, "inherit": &r.Inherit, "createrole": &r.CreateRole, "createdb": &r.CreateDB,
		"canlogin": &r.Login, "isreplication": &r.Replication, "bypassrls": &r.BypassRLS}
	for _, n := range options {
		d := n.(*ast.DefElem)
		if f := flags[d.Defname]; f != nil {
			if d.Defname == "superuser" && defBool(d) && !e.role().Super {
				return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser to create superusers")
			}
			*f = defBool(d)
			continue
		}
		switch d.Defname {
		case "password":
			if err := setPassword(r, d); err != nil {
				return err
			}
		case "connectionlimit":
			var n int64
			if err := setInt(&n, d); err != nil {
				return err
			}
			r.ConnLimit = int(n)
		case "validUntil":
			v, err := types.ParseText(types.TimestampTZType, defText(d), types.DefaultSettings())
			if err != nil {
				return err
			}
			r.ValidUntil = types.TextOf(types.TimestampTZOID, v, types.DefaultSettings())
		case "addroleto", "rolemembers", "adminmembers":
			if err := e.memberOption(r, d, add); err != nil {
				return err
			}
		case "sysid":
		default:
			return types.Errorf(types.CodeFeatureNotSupported, "role option \"%s\" is not supported", d.Defname)
		}
	}
	return nil
}

// setPassword keeps a verifier; the password itself is never stored.
func setPassword(r *catalog.Role, d *ast.DefElem) error {
	if d.Arg == nil {
		r.Password = ""
		return nil
	}
	text := defText(d)
	if v, err := security.ParseVerifier(text); err == nil {
		r.Password = v.String()
		return nil
	}
	v, err := security.NewVerifier(text)
	if err != nil {
		return err
	}
	r.Password = v.String()
	return nil
}

func (e *Env) memberOption(r *catalog.Role, d *ast.DefElem, add bool) error {
	l, ok := d.Arg.(*ast.List)
	if !ok {
		return nil
	}
	for _, n := range l.Items {
		other, err := e.findRole(n.(*ast.RoleSpec))
		if err != nil {
			return err
		}
		if d.Defname == "addroleto" {
			if err := e.mayChangeMember(other, r, add); err != nil {
				return err
			}
			setMember(r, other.ID, add)
			continue
		}
		if err := e.mayChangeMember(r, other, add); err != nil {
			return err
		}
		if other, err = clone(other); err != nil {
			return err
		}
		setMember(other, r.ID, add)
		e.Change.Put(other)
	}
	return nil
}

// mayChangeMember fails unless the user may make a role a member of a group, or no
// member of it.
func (e *Env) mayChangeMember(group, r *catalog.Role, in bool) error {
	if group.Super && !e.role().Super {
		return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser to alter superusers")
	}
	if err := e.mayManageRoles("must have admin option on role \"%s\"", group.Name); err != nil {
		return err
	}
	switch {
	case !in:
	case group.ID == catalog.DatabaseOwnerRoleOID:
		return types.Errorf(types.CodeInternal, "role \"%s\" cannot have explicit members", group.Name)
	case r.ID == catalog.DatabaseOwnerRoleOID:
		return types.Errorf(types.CodeInternal, "role \"%s\" cannot be a member of any role", r.Name)
	case slices.Contains(e.Change.Snapshot().RolesOf(group.ID, false), r.ID):
		return types.Errorf(types.CodeInvalidGrantOperation, "role \"%s\" is a member of role \"%s\"", group.Name, r.Name)
	}
	return nil
}

func setMember(r *catalog.Role, group types.OID, in bool) {
	r.MemberOf = slices.DeleteFunc(r.MemberOf, func(o types.OID) bool { return o == group })
	if in {
		r.MemberOf = append(r.MemberOf, group)
	}
}

func (e *Env) dropRole(s *ast.DropRoleStmt) error {
	if err := e.mayManageRoles("permission denied to drop role"); err != nil {
		return err
	}
	for _, n := range s.Roles {
		spec := n.(*ast.RoleSpec)
		r, ok := e.Change.Snapshot().Role(spec.Rolename)
		if !ok {
			if s.MissingOk {
				e.notice("00000", "role \"%s\" does not exist, skipping", spec.Rolename)
				continue
			}
			return types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", spec.Rolename)
		}
		if catalog.Reserved(r.Name) || r.ID == catalog.RootRoleOID {
			return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop role %s because it is required by the database system", r.Name)
		}
		if r.Super && !e.role().Super {
			return types.Errorf(types.CodeInsufficientPrivilege, "must be superuser to drop superusers")
		}
		if r.ID == e.User {
			return types.Errorf(types.CodeObjectInUse, "current user cannot be dropped")
		}
		if lines := e.needsRole(r.ID); len(lines) > 0 {
			return types.Errorf(types.CodeDependentObjectsStillExist, "role \"%s\" cannot be dropped because some objects depend on it", r.Name).
				WithDetail("%s", strings.Join(lines, "\n"))
		}
		if err := e.endMemberships(r.ID); err != nil {
			return err
		}
		e.Change.Drop(r.ID)
	}
	return nil
}

// endMemberships takes the members out of a role that goes.
func (e *Env) endMemberships(group types.OID) error {
	var members []*catalog.Role
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if r, ok := d.(*catalog.Role); ok && slices.Contains(r.MemberOf, group) {
			members = append(members, r)
		}
		return true
	})
	for _, r := range members {
		r, err := clone(r)
		if err != nil {
			return err
		}
		setMember(r, group, false)
		e.Change.Put(r)
	}
	return nil
}

// needsRole tells what a role owns and what it may do.
func (e *Env) needsRole(role types.OID) []string {
	var held []types.OID
	lines := map[types.OID]string{}
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		h := d.Head()
		switch {
		case h.Owner == role:
			lines[h.ID] = "owner of " + e.describe(object{oid: h.ID})
		case slices.ContainsFunc(h.ACL, func(g catalog.Grant) bool { return g.Grantee == role }):
			lines[h.ID] = "privileges for " + e.describe(object{oid: h.ID})
		default:
			return true
		}
		held = append(held, h.ID)
		return true
	})
	slices.Sort(held)
	out := make([]string, len(held))
	for i, oid := range held {
		out[i] = lines[oid]
	}
	return out
}

func grantTag(grant bool, what string) string {
	if grant {
		return "GRANT" + what
	}
	return "REVOKE" + what
}

// privilegeLetters are pg_class.relacl's letters.
var privilegeLetters = map[string]string{"select": "r", "insert": "a", "update": "w", "delete": "d", "truncate": "D", "references": "x",
	"trigger": "t", "usage": "U", "create": "C", "connect": "c", "temporary": "T", "temp": "T", "execute": "X"}

// allPrivileges are those that ALL stands for, by kind.
var allPrivileges = map[ast.ObjectType]string{ast.OBJECT_TABLE: "arwdDxt", ast.OBJECT_SEQUENCE: "rwU", ast.OBJECT_SCHEMA: "UC",
	ast.OBJECT_DATABASE: "CTc", ast.OBJECT_TYPE: "U", ast.OBJECT_FUNCTION: "X"}

func (e *Env) grant(s *ast.GrantStmt) error {
	letters := ""
	for _, n := range s.Privileges {
		p := n.(*ast.AccessPriv)
		l, ok := privilegeLetters[strings.ToLower(p.PrivName)]
		switch {
		case !ok:
			return types.Errorf(types.CodeSyntaxError, "unrecognized privilege type \"%s\"", p.PrivName)
		case len(p.Cols) > 0:
			// As a privilege on the whole table it would be more than was meant.
			return types.Errorf(types.CodeFeatureNotSupported, "privileges on columns are not supported")
		case !strings.Contains(allPrivileges[s.Objtype], l) && (s.Objtype != ast.OBJECT_TABLE || l != "U"):
			what := "relation"
			if s.Objtype != ast.OBJECT_TABLE {
				what = strings.ToLower(objectName(s.Objtype))
			}
			return types.Errorf(types.CodeInvalidGrantOperation, "invalid privilege type %s for %s", strings.ToUpper(p.PrivName), what)
		}
		letters += l
	}
	if len(s.Privileges) == 0 {
		letters = allPrivileges[s.Objtype]
	}
	targets, err := e.grantTargets(s)
	if err != nil {
		return err
	}
	for _, d := range targets {
		if db, ok := d.(*catalog.Database); ok && len(db.ACL) == 0 {
			// What was so by default is now said, so that it can be revoked.
			db.ACL = []catalog.Grant{{Grantor: db.Owner, Privileges: "Tc"}, {Grantee: db.Owner, Grantor: db.Owner, Privileges: "CTc"}}
		}
		for _, n := range s.Grantees {
			spec := n.(*ast.RoleSpec)
			grantee := types.OID(0)
			if spec.Roletype != ast.ROLESPEC_PUBLIC {
				r, err := e.findRole(spec)
				if err != nil {
					return err
				}
				grantee = r.ID
			}
			setGrant(d.Head(), grantee, e.User, letters, s.IsGrant)
		}
		e.Change.Put(d)
	}
	return nil
}

// setGrant adds or takes privileges of one grantee.
func setGrant(h *catalog.Header, grantee, grantor types.OID, letters string, add bool) {
	i := slices.IndexFunc(h.ACL, func(g catalog.Grant) bool { return g.Grantee == grantee && g.Column == 0 })
	if i < 0 {
		if !add {
			return
		}
		h.ACL = append(h.ACL, catalog.Grant{Grantee: grantee, Grantor: grantor})
		i = len(h.ACL) - 1
	}
	g := &h.ACL[i]
	for _, l := range letters {
		g.Privileges = strings.ReplaceAll(g.Privileges, string(l), "")
		if add {
			g.Privileges += string(l)
		}
	}
	if g.Privileges == "" {
		h.ACL = slices.Delete(h.ACL, i, i+1)
	}
}

// grantTargets are copies of the objects that a GRANT names.
func (e *Env) grantTargets(s *ast.GrantStmt) ([]catalog.Descriptor, error) {
	var out []catalog.Descriptor
	add := func(d catalog.Descriptor) error {
		if err := e.mustOwn(d.Head(), d.Kind().String()); err != nil {
			return err
		}
		c, err := clone(d)
		out = append(out, c)
		return err
	}
	for _, n := range s.Objects {
		switch x := n.(type) {
		case *ast.RangeVar:
			d, err := e.relation(rangeName(x), -1)
			if err != nil {
				return nil, err
			}
			if s.Objtype == ast.OBJECT_SEQUENCE && d.Kind() != catalog.KindSequence {
				return nil, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a sequence", d.Head().Name)
			}
			if err := add(d); err != nil {
				return nil, err
			}
		case *ast.String:
			if err := e.namedTarget(s, x.Sval, add); err != nil {
				return nil, err
			}
		default:
			return nil, types.Errorf(types.CodeFeatureNotSupported, "GRANT on this kind of object is not supported")
		}
	}
	return out, nil
}

func (e *Env) namedTarget(s *ast.GrantStmt, name string, add func(catalog.Descriptor) error) error {
	if s.Objtype == ast.OBJECT_DATABASE {
		db, ok := e.Change.Snapshot().Database(name)
		if !ok {
			return types.Errorf(types.CodeInvalidCatalogName, "database \"%s\" does not exist", name)
		}
		return add(db)
	}
	sc, ok := e.resolver().Schema(name)
	if !ok {
		return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	if s.Targtype != ast.ACL_TARGET_ALL_IN_SCHEMA {
		return add(sc)
	}
	var all []catalog.Descriptor
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		isSeq := d.Kind() == catalog.KindSequence
		isRel := d.Kind() == catalog.KindTable || d.Kind() == catalog.KindView
		if d.Head().Schema == sc.ID && (s.Objtype == ast.OBJECT_SEQUENCE && isSeq || s.Objtype == ast.OBJECT_TABLE && isRel) {
			all = append(all, d)
		}
		return true
	})
	for _, d := range all {
		if err := add(d); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) grantRole(s *ast.GrantRoleStmt) error {
	for _, g := range s.GrantedRoles {
		group, ok := e.Change.Snapshot().Role(g.(*ast.AccessPriv).PrivName)
		if !ok {
			return types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", g.(*ast.AccessPriv).PrivName)
		}
		for _, n := range s.GranteeRoles {
			r, err := e.findRole(n.(*ast.RoleSpec))
			if err != nil {
				return err
			}
			if err := e.mayChangeMember(group, r, s.IsGrant); err != nil {
				return err
			}
			switch member := slices.Contains(r.MemberOf, group.ID); {
			case member && s.IsGrant:
				e.notice("00000", "role \"%s\" is already a member of role \"%s\"", r.Name, group.Name)
				continue
			case !member && !s.IsGrant:
				e.warning("01000", "role \"%s\" is not a member of role \"%s\"", r.Name, group.Name)
				continue
			}
			if r, err = clone(r); err != nil {
				return err
			}
			setMember(r, group.ID, s.IsGrant)
			e.Change.Put(r)
		}
	}
	return nil
}

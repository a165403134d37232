package pgcatalog

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// encodingUTF8 is PostgreSQL's number of the only encoding.
const encodingUTF8 = 6

func databaseRows(s *scan) error {
	return s.each(func(d catalog.Descriptor) error {
		db, ok := d.(*catalog.Database)
		if !ok {
			return nil
		}
		limit := int64(-1)
		if db.ConnLimit != 0 {
			limit = int64(db.ConnLimit)
		}
		return s.put(oidCol("oid", db.ID), textCol("datname", db.Name), oidCol("datdba", db.Owner), intCol("encoding", encodingUTF8),
			charCol("datlocprovider", 'c'), boolCol("datistemplate", db.IsTempl), boolCol("datallowconn", !db.NoConnect),
			intCol("datconnlimit", limit), intCol("datfrozenxid", 0), intCol("datminmxid", 0),
			oidCol("dattablespace", 1663), textCol("datcollate", "C"), textCol("datctype", "C.UTF-8"), s.acl("datacl", db))
	})
}

func tablespaceRows(s *scan) error {
	for oid, name := range map[types.OID]string{1663: "pg_default", 1664: "pg_global"} {
		if err := s.put(oidCol("oid", oid), textCol("spcname", name), oidCol("spcowner", catalog.RootRoleOID)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) eachRole(f func(*catalog.Role) error) error {
	return s.each(func(d catalog.Descriptor) error {
		if r, ok := d.(*catalog.Role); ok {
			return f(r)
		}
		return nil
	})
}

func connLimit(r *catalog.Role) int64 {
	if r.ConnLimit == 0 {
		return -1
	}
	return int64(r.ConnLimit)
}

// roleRows serves pg_authid, which shows verifiers, and pg_roles, which hides them.
func roleRows(showPassword bool) func(*scan) error {
	return func(s *scan) error {
		return s.eachRole(func(r *catalog.Role) error {
			password := nullCol("rolpassword")
			switch {
			case !showPassword:
				password = textCol("rolpassword", "********")
			case s.userIsSuper():
				password = optTextCol("rolpassword", r.Password)
			}
			cols := []col{oidCol("oid", r.ID), textCol("rolname", r.Name), boolCol("rolsuper", r.Super), boolCol("rolinherit", r.Inherit),
				boolCol("rolcreaterole", r.CreateRole), boolCol("rolcreatedb", r.CreateDB), boolCol("rolcanlogin", r.Login),
				boolCol("rolreplication", r.Replication), boolCol("rolbypassrls", r.BypassRLS), intCol("rolconnlimit", connLimit(r)), password}
			if at, ok := r.Expires(); ok {
				cols = append(cols, intCol("rolvaliduntil", at))
			}
			return s.put(cols...)
		})
	}
}

func (s *scan) userIsSuper() bool {
	return s.snap.Superuser(s.User)
}

func userRows(s *scan) error {
	return s.eachRole(func(r *catalog.Role) error {
		if !r.Login {
			return nil
		}
		return s.put(textCol("usename", r.Name), oidCol("usesysid", r.ID), boolCol("usecreatedb", r.CreateDB), boolCol("usesuper", r.Super),
			boolCol("userepl", r.Replication), boolCol("usebypassrls", r.BypassRLS), textCol("passwd", "********"))
	})
}

func groupRows(s *scan) error {
	return s.eachRole(func(r *catalog.Role) error {
		if r.Login {
			return nil
		}
		var members []string
		if err := s.eachRole(func(m *catalog.Role) error {
			for _, g := range m.MemberOf {
				if g == r.ID {
					members = append(members, formatOID(m.ID))
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return s.put(textCol("groname", r.Name), oidCol("grosysid", r.ID), s.parsed("grolist", "{"+strings.Join(members, ",")+"}"))
	})
}

func memberRows(s *scan) error {
	return s.eachRole(func(r *catalog.Role) error {
		for _, g := range r.MemberOf {
			if err := s.put(oidCol("roleid", g), oidCol("member", r.ID), oidCol("grantor", catalog.RootRoleOID), boolCol("admin_option", false)); err != nil {
				return err
			}
		}
		return nil
	})
}

// name returns the name of any object, or "" for an unknown one.
func (s *scan) name(oid types.OID) string {
	if d, ok := s.snap.ByOID(oid); ok {
		return d.Head().Name
	}
	return ""
}

// ownerPrivileges are what an owner has before anything is granted, and
// publicPrivileges what everybody has, by kind.
var (
	ownerPrivileges = map[catalog.Kind]string{catalog.KindTable: "arwdDxt", catalog.KindView: "arwdDxt", catalog.KindSequence: "rwU",
		catalog.KindSchema: "UC", catalog.KindDatabase: "CTc", catalog.KindType: "U"}
	publicPrivileges = map[catalog.Kind]string{catalog.KindType: "U"}
)

// acl prints grants as aclitem[], behind what is there by default; no grants is
// NULL: the default privileges.
func (s *scan) acl(column string, d catalog.Descriptor) col {
	var items []string
	h := d.Head()
	grants := slices.Clone(h.ACL)
	for _, x := range []catalog.Grant{{Grantee: 0, Privileges: publicPrivileges[d.Kind()]}, {Grantee: h.Owner, Privileges: ownerPrivileges[d.Kind()]}} {
		known := slices.ContainsFunc(grants, func(g catalog.Grant) bool { return g.Grantee == x.Grantee && g.Column == 0 })
		if len(h.ACL) > 0 && !known && x.Privileges != "" {
			x.Grantor = h.Owner
			grants = append([]catalog.Grant{x}, grants...)
		}
	}
	for _, g := range grants {
		if g.Column != 0 {
			continue
		}
		grantee := ""
		if g.Grantee != 0 {
			grantee = s.name(g.Grantee)
		}
		items = append(items, grantText(grantee, g.Privileges, s.name(g.Grantor)))
	}
	if items == nil {
		return nullCol(column)
	}
	v, err := aclArray(items)
	if err != nil {
		return nullCol(column)
	}
	return col{column, v}
}

// grantText is an aclitem as an element of an array's text; everybody has no name.
func grantText(grantee, privileges, grantor string) string {
	quote := func(name string) string {
		plain := func(r rune) bool {
			return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		}
		if !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
			return name
		}
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(quote(grantee)+"="+privileges+"/"+quote(grantor)) + `"`
}

func aclArray(items []string) (types.Datum, error) {
	return parseText(types.Of(aclItemArray), "{"+strings.Join(items, ",")+"}")
}

// DefaultACL is acldefault: the privileges on an object of a kind of its owner and
// of everybody, if nobody was given or denied any.
func DefaultACL(snap *catalog.Snapshot, kind byte, owner types.OID) (types.Datum, error) {
	p, ok := map[byte]struct{ public, owner string }{'c': {}, 'r': {"", "arwdDxt"}, 's': {"", "rwU"}, 'd': {"Tc", "CTc"}, 'f': {"X", "X"}, 'l': {"U", "U"},
		'L': {"", "rw"}, 'n': {"", "UC"}, 'p': {"", "sA"}, 't': {"", "C"}, 'F': {"", "U"}, 'S': {"", "U"}, 'T': {"U", "U"}}[kind]
	if !ok {
		return types.Null, types.Errorf(types.CodeInternal, "unrecognized objtype abbreviation: %c", kind)
	}
	name := formatOID(owner)
	if d, ok := snap.ByOID(owner); ok {
		name = d.Head().Name
	}
	var items []string
	for _, x := range []struct{ grantee, privileges string }{{"", p.public}, {name, p.owner}} {
		if x.privileges != "" {
			items = append(items, grantText(x.grantee, x.privileges, name))
		}
	}
	return aclArray(items)
}

// tablesRows serves pg_tables.
func tablesRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		has := false
		for i := range t.Indexes {
			has = has || showIndex(t, &t.Indexes[i])
		}
		return s.put(textCol("schemaname", s.name(t.Schema)), textCol("tablename", t.Name), textCol("tableowner", s.name(t.Owner)),
			nullCol("tablespace"), boolCol("hasindexes", has), boolCol("hasrules", false), boolCol("hastriggers", len(t.InboundFKs) > 0),
			boolCol("rowsecurity", false))
	})
}

func indexesRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Indexes {
			x := &t.Indexes[i]
			if !showIndex(t, x) {
				continue
			}
			def, _ := IndexDef(s.Resolver, x.OID, 0, false)
			if err := s.put(textCol("schemaname", s.name(t.Schema)), textCol("tablename", t.Name), textCol("indexname", x.Name),
				nullCol("tablespace"), textCol("indexdef", def)); err != nil {
				return err
			}
		}
		return nil
	})
}

func viewsRows(materialized bool) func(*scan) error {
	return func(s *scan) error {
		return s.eachRelation("", func(d catalog.Descriptor) error {
			v, ok := d.(*catalog.View)
			if !ok || (v.Materials != 0) != materialized {
				return nil
			}
			def := s.viewText(v)
			if materialized {
				return s.put(textCol("schemaname", s.name(v.Schema)), textCol("matviewname", v.Name), textCol("matviewowner", s.name(v.Owner)),
					boolCol("hasindexes", false), boolCol("ispopulated", true), textCol("definition", def))
			}
			return s.put(textCol("schemaname", s.name(v.Schema)), textCol("viewname", v.Name), textCol("viewowner", s.name(v.Owner)), textCol("definition", def))
		})
	}
}

func sequencesRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		q, ok := d.(*catalog.Sequence)
		if !ok {
			return nil
		}
		return s.put(textCol("schemaname", s.name(q.Schema)), textCol("sequencename", q.Name), textCol("sequenceowner", s.name(q.Owner)),
			oidCol("data_type", q.Type), intCol("start_value", q.Start), intCol("min_value", q.Min), intCol("max_value", q.Max),
			intCol("increment_by", q.Increment), boolCol("cycle", q.Cycle), intCol("cache_size", max(q.Cache, 1)), nullCol("last_value"))
	})
}

func statTablesRows(s *scan) error {
	return s.eachRelation("relid", func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok || t.Virtual {
			return nil
		}
		n, _ := s.rowCount(t.ID)
		return s.put(oidCol("relid", t.ID), textCol("schemaname", s.name(t.Schema)), textCol("relname", t.Name), intCol("n_live_tup", int64(n)),
			intCol("n_dead_tup", 0))
	})
}

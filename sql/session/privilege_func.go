package session

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// privilegeNames are the privileges that may be asked for, by kind of object.
var privilegeNames = map[string]map[string]byte{
	"table":      {"SELECT": 'r', "INSERT": 'a', "UPDATE": 'w', "DELETE": 'd', "TRUNCATE": 'D', "REFERENCES": 'x', "TRIGGER": 't', "RULE": 0},
	"any_column": {"SELECT": 'r', "INSERT": 'a', "UPDATE": 'w', "REFERENCES": 'x'},
	"column":     {"SELECT": 'r', "INSERT": 'a', "UPDATE": 'w', "REFERENCES": 'x'},
	"sequence":   {"USAGE": 'U', "SELECT": 'r', "UPDATE": 'w'},
	"schema":     {"CREATE": 'C', "USAGE": 'U'},
	"database":   {"CREATE": 'C', "CONNECT": 'c', "TEMPORARY": 'T', "TEMP": 'T'},
}

// privilegeFunc is has_table_privilege or one of its kin: whether a role, the
// current one if none is named, has any of some privileges on an object.
func privilegeFunc(kind string) hostFunc {
	args := 2
	if kind == "column" {
		args = 3
	}
	return func(s *Session, a []types.Datum) (types.Datum, error) {
		user := s.user
		if len(a) > args {
			var err error
			if user, err = s.roleArg(a[0]); err != nil {
				return types.Null, err
			}
			a = a[1:]
		}
		d, err := s.objectArg(kind, a[0])
		if d == nil || err != nil {
			return types.Null, err
		}
		if kind == "column" {
			if found, err := hasColumn(d, a[1]); !found || err != nil {
				return types.Null, err
			}
		}
		has := false
		for _, p := range strings.Split(a[args-1].Str(), ",") {
			name, option := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(p)), " WITH GRANT OPTION")
			letter, ok := privilegeNames[kind][name]
			if !ok {
				return types.Null, types.Errorf(types.CodeInvalidParameterValue, "unrecognized privilege type: \"%s\"", strings.TrimSpace(p))
			}
			switch {
			case letter == 0: // nobody has what is no privilege any longer
			case option:
				has = has || slices.Contains(s.rolesOf(user, true), d.Head().Owner) || s.snapshot().Superuser(user)
			default:
				has = has || s.holds(user, d, letter)
			}
		}
		return types.NewBool(has), nil
	}
}

// hasColumn reports whether a relation has a column, which must be there if it is
// named.
func hasColumn(d catalog.Descriptor, column types.Datum) (bool, error) {
	cols := catalog.ColumnsOf(d)
	named := column.Repr() == types.Bytes
	found := slices.ContainsFunc(cols, func(c catalog.Column) bool {
		return !c.Hidden && (named && c.Name == column.Str() || !named && int64(c.ID) == column.Int())
	})
	if !found && named {
		return false, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", column.Str(), d.Head().Name)
	}
	return found, nil
}

// roleArg finds a role by its name or oid; 0 is everybody.
func (s *Session) roleArg(d types.Datum) (types.OID, error) {
	if d.Repr() != types.Bytes {
		return types.OID(d.Int()), nil
	}
	if d.Str() == "public" {
		return 0, nil
	}
	r, ok := s.snapshot().Role(d.Str())
	if !ok {
		return 0, types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", d.Str())
	}
	return r.ID, nil
}

// objectArg finds an object by its name, which must exist, or by its oid.
func (s *Session) objectArg(kind string, a types.Datum) (catalog.Descriptor, error) {
	if a.Repr() != types.Bytes {
		d, _ := s.snapshot().ByOID(types.OID(a.Int()))
		return d, nil
	}
	switch kind {
	case "schema":
		if sc, ok := s.resolve().Schema(a.Str()); ok {
			return sc, nil
		}
		return nil, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", a.Str())
	case "database":
		if db, ok := s.snapshot().Database(a.Str()); ok {
			return db, nil
		}
		return nil, types.Errorf(types.CodeInvalidCatalogName, "database \"%s\" does not exist", a.Str())
	}
	rv, err := tableName(a.Str())
	if err != nil {
		return nil, err
	}
	n := catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname}
	d, ok := s.resolve().Relation(n)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	if _, isSequence := d.(*catalog.Sequence); kind == "sequence" && !isSequence {
		return nil, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a sequence", d.Head().Name)
	}
	return d, nil
}

// hasRole is pg_has_role: whether a role belongs to another (MEMBER), or has its
// privileges (USAGE).
func hasRole(s *Session, a []types.Datum) (types.Datum, error) {
	user := s.user
	var err error
	if len(a) > 2 {
		if user, err = s.roleArg(a[0]); err != nil {
			return types.Null, err
		}
		a = a[1:]
	}
	role, err := s.roleArg(a[0])
	if err == nil && role == 0 && a[0].Repr() == types.Bytes {
		err = types.Errorf(types.CodeUndefinedObject, "role \"public\" does not exist")
	}
	if err != nil {
		return types.Null, err
	}
	snap, has := s.snapshot(), false
	for _, p := range strings.Split(a[1].Str(), ",") {
		switch name := strings.ToUpper(strings.TrimSpace(p)); name {
		case "MEMBER", "USAGE":
			has = has || snap.Superuser(user) || slices.Contains(s.rolesOf(user, name == "USAGE"), role)
		case "MEMBER WITH GRANT OPTION", "MEMBER WITH ADMIN OPTION", "USAGE WITH GRANT OPTION", "USAGE WITH ADMIN OPTION":
			has = has || snap.Superuser(user)
		default:
			return types.Null, types.Errorf(types.CodeInvalidParameterValue, "unrecognized privilege type: \"%s\"", strings.TrimSpace(p))
		}
	}
	return types.NewBool(has), nil
}

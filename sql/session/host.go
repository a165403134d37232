package session

import (
	"strings"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/types"
)

// host answers the functions that look into the catalog or the session.
type host Session

type hostFunc func(s *Session, a []types.Datum) (types.Datum, error)

// CallHost implements builtin.Host.
func (h *host) CallHost(_ *builtin.Ctx, proc string, args []types.Datum) (types.Datum, bool, error) {
	f, ok := hostFuncs[proc]
	if !ok {
		return types.Null, false, nil
	}
	d, err := f((*Session)(h), args)
	return d, true, err
}

// found makes text of an answer, NULL without one.
func found(v string, ok bool) (types.Datum, error) {
	if !ok {
		return types.Null, nil
	}
	return types.NewString(v), nil
}

func oidArg(a []types.Datum, i int) types.OID {
	if i >= len(a) || a[i].IsNull() {
		return 0
	}
	return types.OID(a[i].Int())
}

// hostFuncs are set in init: some of them evaluate statements, which may call
// functions again.
var hostFuncs map[string]hostFunc

func init() {
	yes := func(*Session, []types.Datum) (types.Datum, error) { return types.NewBool(true), nil }
	no := func(*Session, []types.Datum) (types.Datum, error) { return types.NewBool(false), nil }
	zero := func(*Session, []types.Datum) (types.Datum, error) { return types.NewInt(0), nil }
	null := func(*Session, []types.Datum) (types.Datum, error) { return types.Null, nil }
	hostFuncs = map[string]hostFunc{
		"pg_get_indexdef": func(s *Session, a []types.Datum) (types.Datum, error) {
			col, pretty := 0, false
			if len(a) > 2 {
				col, pretty = int(a[1].Int()), a[2].Bool()
			}
			return found(pgcatalog.IndexDef(s.resolve(), oidArg(a, 0), col, pretty))
		},
		"pg_get_constraintdef": func(s *Session, a []types.Datum) (types.Datum, error) {
			return found(pgcatalog.ConstraintDef(s.resolve(), oidArg(a, 0), len(a) > 1 && a[1].Bool()))
		},
		"pg_get_viewdef": func(s *Session, a []types.Datum) (types.Datum, error) {
			if a[0].Repr() == types.Bytes {
				d, err := s.objectArg("view", a[0])
				if err != nil {
					return types.Null, err
				}
				return found(s.viewDef(d.Head().ID))
			}
			return found(s.viewDef(oidArg(a, 0)))
		},
		"acldefault": func(s *Session, a []types.Datum) (types.Datum, error) {
			return pgcatalog.DefaultACL(s.snapshot(), byte(a[0].Int()), oidArg(a, 1))
		},
		"pg_get_expr":            getExpr,
		"pg_table_is_visible":    visible,
		"pg_type_is_visible":     yes,
		"pg_function_is_visible": yes, "pg_operator_is_visible": yes, "pg_opclass_is_visible": yes, "pg_opfamily_is_visible": yes,
		"pg_collation_is_visible": yes, "pg_conversion_is_visible": yes, "pg_statistics_obj_is_visible": yes,
		"pg_ts_config_is_visible": yes, "pg_ts_dict_is_visible": yes, "pg_ts_parser_is_visible": yes, "pg_ts_template_is_visible": yes,
		"pg_get_userbyid": userByID,
		"obj_description": func(s *Session, a []types.Datum) (types.Datum, error) {
			return found(pgcatalog.Comment(s.resolve(), oidArg(a, 0), 0))
		},
		"shobj_description": func(s *Session, a []types.Datum) (types.Datum, error) {
			return found(pgcatalog.Comment(s.resolve(), oidArg(a, 0), 0))
		},
		"col_description":                 colDescription,
		"set_config":                      setConfig,
		"current_setting":                 currentSetting,
		"current_schema":                  currentSchema,
		"current_schemas":                 currentSchemas,
		"pg_backend_pid":                  func(s *Session, _ []types.Datum) (types.Datum, error) { return types.NewInt(int64(s.pid)), nil },
		"pg_relation_size":                relationSize,
		"pg_table_size":                   relationSize,
		"pg_total_relation_size":          totalSize,
		"pg_indexes_size":                 indexesSize,
		"pg_database_size":                databaseSize,
		"pg_get_serial_sequence":          serialSequence,
		"pg_sequence_last_value":          sequenceLastValue,
		"pg_encoding_to_char":             func(*Session, []types.Datum) (types.Datum, error) { return types.NewString("UTF8"), nil },
		"pg_is_in_recovery":               no,
		"pg_relation_is_publishable":      no,
		"pg_relation_filenode":            null,
		"pg_get_function_sqlbody":         null,
		"pg_get_partkeydef":               null,
		"pg_get_statisticsobjdef_columns": null,
		"pg_get_ruledef":                  null,
		"pg_get_triggerdef":               null,
		"pg_get_functiondef":              null,
		"pg_cancel_backend":               cancelBackend,
		"pg_terminate_backend":            cancelBackend,
		"txid_current":                    txid,
		"pg_current_xact_id":              txid,
		"format_type":                     formatType,
		"to_regclass":                     toRegclass,
		"pg_my_temp_schema":               zero,
		"pg_is_other_temp_schema":         no,
		"version": func(*Session, []types.Datum) (types.Datum, error) {
			return types.NewString("PostgreSQL " + ServerVersion), nil
		},
		"pg_postmaster_start_time":    null,
		"row_security_active":         no,
		"pg_notification_queue_usage": null,
	}
	for _, what := range []string{"function", "type", "language", "tablespace", "foreign_data_wrapper", "server", "parameter"} {
		hostFuncs["has_"+what+"_privilege"] = yes
	}
	for kind := range privilegeNames {
		hostFuncs["has_"+kind+"_privilege"] = privilegeFunc(kind)
	}
	hostFuncs["pg_has_role"] = hasRole
}

func visible(s *Session, a []types.Datum) (types.Datum, error) {
	v, ok := pgcatalog.RelationVisible(s.resolve(), oidArg(a, 0))
	if !ok {
		return types.Null, nil
	}
	return types.NewBool(v), nil
}

func userByID(s *Session, a []types.Datum) (types.Datum, error) {
	if d, ok := s.snapshot().ByOID(oidArg(a, 0)); ok && d.Kind() == catalog.KindRole {
		return types.NewString(d.Head().Name), nil
	}
	return types.NewString("unknown (OID=" + itoa(int64(oidArg(a, 0))) + ")"), nil
}

func colDescription(s *Session, a []types.Datum) (types.Datum, error) {
	return found(pgcatalog.Comment(s.resolve(), oidArg(a, 0), catalog.ColumnID(a[1].Int())))
}

func setConfig(s *Session, a []types.Datum) (types.Datum, error) {
	v := ""
	if !a[1].IsNull() {
		v = a[1].Str()
	}
	s.keepSettings()
	if err := s.assign(a[0].Str(), v, a[2].Bool()); err != nil {
		return types.Null, err
	}
	out, _ := s.getSetting(a[0].Str())
	return types.NewString(out), nil
}

func currentSetting(s *Session, a []types.Datum) (types.Datum, error) {
	v, ok := s.getSetting(a[0].Str())
	if !ok {
		if len(a) > 1 && !a[1].IsNull() && a[1].Bool() {
			return types.Null, nil
		}
		return types.Null, types.Errorf(types.CodeUndefinedObject, "unrecognized configuration parameter \"%s\"", a[0].Str())
	}
	return types.NewString(v), nil
}

func currentSchema(s *Session, _ []types.Datum) (types.Datum, error) {
	if sc, ok := s.resolve().CreationSchema(); ok {
		return types.NewString(sc.Name), nil
	}
	return types.Null, nil
}

func currentSchemas(s *Session, a []types.Datum) (types.Datum, error) {
	implicit := len(a) > 0 && a[0].Bool()
	var out []types.Datum
	named := false
	for _, p := range s.searchPath() {
		named = named || p == "pg_catalog"
	}
	for _, oid := range s.resolve().SearchPath() {
		if oid == catalog.PgCatalogOID && !implicit && !named {
			continue
		}
		if d, ok := s.snapshot().ByOID(oid); ok {
			out = append(out, types.NewString(d.Head().Name))
		}
	}
	return types.ArrayDatum(types.NewArray(types.NameOID, out)), nil
}

func serialSequence(s *Session, a []types.Datum) (types.Datum, error) {
	rv, err := tableName(a[0].Str())
	if err != nil {
		return types.Null, err
	}
	t, err := s.relationTable(rv)
	if err != nil {
		return types.Null, err
	}
	c, ok := t.ColumnByName(a[1].Str())
	if !ok {
		return types.Null, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", a[1].Str(), t.Name)
	}
	if c.Sequence == 0 {
		return types.Null, nil
	}
	seq, ok := s.snapshot().ByOID(c.Sequence)
	if !ok {
		return types.Null, nil
	}
	schema, ok := s.snapshot().ByOID(seq.Head().Schema)
	if !ok {
		return types.Null, nil
	}
	return types.NewString(pgcatalog.QuoteIdent(schema.Head().Name) + "." + pgcatalog.QuoteIdent(seq.Head().Name)), nil
}

func sequenceLastValue(s *Session, a []types.Datum) (types.Datum, error) {
	d, ok := s.snapshot().ByOID(oidArg(a, 0))
	q, is := d.(*catalog.Sequence)
	if !ok || !is {
		return types.Null, nil
	}
	v, called, err := s.srv.seqs.last(s.ctx, q)
	if err != nil || !called {
		return types.Null, err
	}
	return types.NewInt(v), nil
}

func cancelBackend(s *Session, a []types.Datum) (types.Datum, error) {
	x, ok := s.srv.Find(int32(a[0].Int()))
	if ok {
		x.Cancel()
	}
	return types.NewBool(ok), nil
}

func txid(s *Session, _ []types.Datum) (types.Datum, error) {
	if err := s.ensureTxn(); err != nil {
		return types.Null, err
	}
	return types.NewInt(s.t.txn.Info().StartTS.WallNanos / 1000), nil
}

func formatType(s *Session, a []types.Datum) (types.Datum, error) {
	if a[0].IsNull() {
		return types.Null, nil
	}
	t := types.Of(types.OID(a[0].Int()))
	if len(a) > 1 && !a[1].IsNull() {
		t.Mod = int32(a[1].Int())
	}
	return types.NewString(pgcatalog.TypeName(s.resolve(), t)), nil
}

func toRegclass(s *Session, a []types.Datum) (types.Datum, error) {
	rv, err := tableName(a[0].Str())
	if err != nil {
		return types.Null, nil
	}
	oid, _, ok := s.resolve().RelationOID(catalog.Name{Database: rv.Catalogname, Schema: rv.Schemaname, Name: rv.Relname})
	if !ok {
		return types.Null, nil
	}
	return types.NewInt(int64(oid)), nil
}

func getExpr(s *Session, a []types.Datum) (types.Datum, error) {
	return types.NewString(pgcatalog.GetExpr(s.resolve(), a[0].Str(), oidArg(a, 1), len(a) > 2 && a[2].Bool())), nil
}

// names answers for the reg* types.
type names Session

// RegName implements types.NameResolver.
func (n *names) RegName(kind, oid types.OID) (string, bool) {
	return pgcatalog.Names{Resolver: (*Session)(n).resolve()}.RegName(kind, oid)
}

// RegOID implements types.NameResolver.
func (n *names) RegOID(kind types.OID, name string) (types.OID, error) {
	s := (*Session)(n)
	switch kind {
	case types.RegClassOID:
		return s.regRelation(name)
	case types.RegTypeOID:
		return s.regType(name)
	case types.RegRoleOID:
		name, err := singleName(name)
		if err != nil {
			return 0, err
		}
		if r, ok := s.snapshot().Role(name); ok {
			return r.ID, nil
		}
		return 0, types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", name)
	case types.RegNamespaceOID:
		name, err := singleName(name)
		if err != nil {
			return 0, err
		}
		if sc, ok := s.resolve().Schema(name); ok {
			return sc.ID, nil
		}
		return 0, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	return s.regFact(kind, name)
}

// singleName reads a name that has no other before it: in lower case, or quoted.
func singleName(text string) (string, error) {
	text = strings.TrimSpace(text)
	inner, quoted := strings.CutPrefix(text, `"`)
	if !quoted {
		if text == "" || strings.ContainsAny(text, `." `) {
			return "", types.Errorf(types.CodeInvalidName, "invalid name syntax")
		}
		return strings.ToLower(text), nil
	}
	inner, closed := strings.CutSuffix(inner, `"`)
	if name := strings.ReplaceAll(inner, `""`, ""); !closed || inner == "" || strings.Contains(name, `"`) {
		return "", types.Errorf(types.CodeInvalidName, "invalid name syntax")
	}
	return strings.ReplaceAll(inner, `""`, `"`), nil
}

// EnumLabels implements types.NameResolver.
func (n *names) EnumLabels(oid types.OID) (string, []types.Label, bool) {
	return pgcatalog.Names{Resolver: (*Session)(n).resolve()}.EnumLabels(oid)
}

// parseType reads a type's name.
func (s *Session) parseType(name string) (types.Type, error) {
	n, err := parse.ParseExpr("NULL::" + name)
	if err != nil {
		return types.Type{}, err
	}
	return castTarget(n, s.resolve())
}

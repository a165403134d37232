package builtin

import (
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// ServerVersion is what version() and server_version report: the release of
// PostgreSQL whose behaviour this is.
const ServerVersion = "15.0"

// hostDefaults answer for functions of the host where it has no answer of its
// own: a system with one all-powerful user and nothing hidden.
var hostDefaults = map[string]types.Datum{
	"obj_description":                types.Null,
	"shobj_description":              types.Null,
	"col_description":                types.Null,
	"pg_relation_size":               types.NewInt(0),
	"pg_table_size":                  types.NewInt(0),
	"pg_indexes_size":                types.NewInt(0),
	"pg_total_relation_size":         types.NewInt(0),
	"pg_is_in_recovery":              types.NewBool(false),
	"pg_is_other_temp_schema":        types.NewBool(false),
	"pg_my_temp_schema":              types.NewInt(0),
	"pg_get_partkeydef":              types.Null,
	"pg_get_statisticsobjdef":        types.Null,
	"pg_get_serial_sequence":         types.Null,
	"pg_get_partition_constraintdef": types.Null,
	"pg_get_ruledef":                 types.Null,
	"pg_get_triggerdef":              types.Null,
	"pg_get_function_sqlbody":        types.Null,
	"pg_relation_is_publishable":     types.NewBool(false),
	"pg_tablespace_location":         types.NewString(""),
	"pg_backend_pid":                 types.NewInt(0),
	"pg_stat_get_numscans":           types.NewInt(0),
	"pg_is_wal_replay_paused":        types.NewBool(false),
	"pg_relation_is_updatable":       types.NewInt(28),
	"row_security_active":            types.NewBool(false),
	"pg_index_column_has_property":   types.Null,
	"pg_index_has_property":          types.Null,
	"pg_indexam_has_property":        types.Null,
	"pg_get_viewdef":                 types.Null,
	"inet_client_addr":               types.Null,
	"inet_client_port":               types.Null,
	"inet_server_addr":               types.Null,
	"inet_server_port":               types.Null,
	"current_query":                  types.Null,
	"pg_jit_available":               types.NewBool(false),
	"pg_trigger_depth":               types.NewInt(0),
	"pg_conf_load_time":              types.Null,
	"pg_filenode_relation":           types.Null,
	"pg_relation_filenode":           types.Null,
	"pg_relation_filepath":           types.Null,
}

// isHostFunc reports whether a function without a body is the host's business.
func isHostFunc(p *pgfacts.Proc) bool {
	if p.Kind != 'f' || p.RetSet {
		return false
	}
	if _, ok := hostDefaults[p.Name]; ok {
		return true
	}
	for _, prefix := range []string{"pg_", "has_", "to_reg", "txid_", "currtid", "inet_", "obj_desc", "col_desc"} {
		if strings.HasPrefix(p.Name, prefix) {
			return true
		}
	}
	switch p.Name {
	case "current_setting", "set_config", "regclass", "amvalidate", "lastval", "mxid_age", "age", "acldefault":
		return true
	}
	return false
}

// hostImpl passes a call on to the host.
func hostImpl(p *pgfacts.Proc) *Impl {
	name := p.Name
	return &Impl{Kernel: perRow(func(c *Call) error {
		args := make([]types.Datum, len(c.Args))
		for i := range args {
			args[i] = c.Datum(i)
		}
		if c.Ctx.Host != nil {
			if d, ok, err := c.Ctx.Host.CallHost(c.Ctx, name, args); ok || err != nil {
				if err != nil {
					return err
				}
				return c.Ret(d)
			}
		}
		return hostDefault(c, name)
	})}
}

func hostDefault(c *Call, name string) error {
	if d, ok := hostDefaults[name]; ok {
		return c.Ret(d)
	}
	switch {
	case strings.HasPrefix(name, "has_") || strings.HasSuffix(name, "_is_visible") || name == "pg_has_role":
		return c.RetBool(true)
	case strings.HasPrefix(name, "to_reg"):
		return resolveReg(c)
	case strings.HasPrefix(name, "pg_stat_get_"):
		return c.RetNull()
	}
	return types.Errorf(types.CodeFeatureNotSupported, "function %s is not supported", name)
}

// resolveReg is to_regclass and its kin: NULL instead of an error.
func resolveReg(c *Call) error {
	d, err := types.ParseText(c.Info.Ret, c.Str(0), c.Ctx.Set())
	if err != nil || d.Int() == 0 {
		return c.RetNull()
	}
	return c.Ret(d)
}

func init() {
	text := func(s func(c *Ctx) string) RowFunc {
		return func(c *Call) error { return c.RetStr(s(c.Ctx)) }
	}
	rows(map[string]RowFunc{
		"current_database": text(func(c *Ctx) string { return c.Database }),
		"current_user":     text(func(c *Ctx) string { return c.User }),
		"session_user":     text(func(c *Ctx) string { return c.SessionUser }),
		"pgsql_version":    text(func(*Ctx) string { return "PostgreSQL " + ServerVersion + " (Pamir)" }),
		"current_schema": func(c *Call) error {
			if c.Ctx.Schema == "" {
				return c.RetNull()
			}
			return c.RetStr(c.Ctx.Schema)
		},
		"current_schemas":            currentSchemas,
		"getdatabaseencoding":        text(func(*Ctx) string { return "UTF8" }),
		"pg_client_encoding":         text(func(*Ctx) string { return "UTF8" }),
		"PG_encoding_to_char":        encodingToChar,
		"PG_char_to_encoding":        charToEncoding,
		"format_type":                formatType,
		"pg_typeof":                  func(c *Call) error { return c.RetInt(int64(c.Info.ArgTypes[0].OID)) },
		"pg_column_size":             columnSize,
		"pg_sleep":                   sleep,
		"pg_encoding_max_length_sql": func(c *Call) error { return c.RetInt(4) },
		"pg_get_expr":                hostOrArg,
		"pg_get_expr_ext":            hostOrArg,
		"pg_collation_for": func(c *Call) error {
			if !types.IsCollatable(c.Info.ArgTypes[0].OID) {
				return c.RetNull()
			}
			return c.RetStr("\"default\"")
		},
		"nextval_oid": func(c *Call) error {
			identity := len(c.Args) > 1
			return sequence(c, func(s Sequences) (int64, error) { return s.Nextval(types.OID(c.Int(0)), identity) })
		},
		"currval_oid": func(c *Call) error {
			return sequence(c, func(s Sequences) (int64, error) { return s.Currval(types.OID(c.Int(0))) })
		},
		"lastval":     func(c *Call) error { return sequence(c, Sequences.Lastval) },
		"setval_oid":  func(c *Call) error { return setval(c, true) },
		"setval3_oid": func(c *Call) error { return setval(c, c.Bool(2)) },
	})
}

// hostOrArg asks the host; stored expressions are text already where it has no
// answer.
func hostOrArg(c *Call) error {
	args := make([]types.Datum, len(c.Args))
	for i := range args {
		args[i] = c.Datum(i)
	}
	if c.Ctx.Host != nil {
		if d, ok, err := c.Ctx.Host.CallHost(c.Ctx, c.Info.Name, args); ok || err != nil {
			if err != nil {
				return err
			}
			return c.Ret(d)
		}
	}
	return c.RetBytes(c.Bytes(0))
}

func currentSchemas(c *Call) error {
	if c.Ctx.Host != nil {
		if d, ok, err := c.Ctx.Host.CallHost(c.Ctx, "current_schemas", []types.Datum{c.Datum(0)}); ok || err != nil {
			if err != nil {
				return err
			}
			return c.Ret(d)
		}
	}
	var elems []types.Datum
	if c.Bool(0) {
		elems = append(elems, types.NewString("pg_catalog"))
	}
	if c.Ctx.Schema != "" {
		elems = append(elems, types.NewString(c.Ctx.Schema))
	}
	return c.Ret(types.ArrayDatum(types.NewArray(types.NameOID, elems)))
}

func encodingToChar(c *Call) error {
	switch c.Int(0) {
	case 6:
		return c.RetStr("UTF8")
	case 0:
		return c.RetStr("SQL_ASCII")
	}
	return c.RetStr("")
}

func charToEncoding(c *Call) error {
	switch strings.ToLower(strings.ReplaceAll(c.Str(0), "-", "")) {
	case "utf8", "unicode":
		return c.RetInt(6)
	case "sql_ascii":
		return c.RetInt(0)
	}
	return c.RetInt(-1)
}

func formatType(c *Call) error {
	if c.IsNull(0) {
		return c.RetNull()
	}
	mod := int32(-1)
	given := !c.IsNull(1)
	if given {
		mod = int32(c.Int(1))
	}
	oid := types.OID(c.Int(0))
	if oid == 0 {
		return c.RetStr("-")
	}
	if oid == types.IntervalOID {
		if err := types.CheckIntervalMod(mod); err != nil {
			return err
		}
	}
	s := types.Format(oid, mod)
	if given {
		s = types.FormatMod(oid, mod)
	}
	if _, known := types.Lookup(oid); !known && c.Ctx.Host != nil {
		if d, ok, err := c.Ctx.Host.CallHost(c.Ctx, "format_type", []types.Datum{c.Datum(0), c.Datum(1)}); ok || err != nil {
			if err != nil {
				return err
			}
			return c.Ret(d)
		}
	}
	return c.RetStr(s)
}

func columnSize(c *Call) error {
	switch d := c.Datum(0); d.Repr() {
	case types.Bytes:
		return c.RetInt(int64(len(d.Str())) + 1)
	case types.Int64, types.Float64:
		if i, ok := types.Lookup(c.Info.ArgTypes[0].OID); ok && i.Len > 0 {
			return c.RetInt(int64(i.Len))
		}
		return c.RetInt(8)
	default:
		return c.RetInt(int64(len(types.AppendBinary(nil, types.NumericOID, d, nil))))
	}
}

// sleep waits, and looks at the cancel flag meanwhile.
func sleep(c *Call) error {
	end := time.Now().Add(time.Duration(c.Float(0) * float64(time.Second)))
	for {
		if err := c.Ctx.Canceled(); err != nil {
			return err
		}
		left := time.Until(end)
		if left <= 0 {
			return c.RetStr("")
		}
		time.Sleep(min(left, 10*time.Millisecond))
	}
}

func sequence(c *Call, f func(Sequences) (int64, error)) error {
	if c.Ctx.Sequences == nil {
		return types.Errorf(types.CodeFeatureNotSupported, "sequences cannot be used here")
	}
	v, err := f(c.Ctx.Sequences)
	if err != nil {
		return err
	}
	return c.RetInt(v)
}

func setval(c *Call, called bool) error {
	return sequence(c, func(s Sequences) (int64, error) {
		return c.Int(1), s.Setval(types.OID(c.Int(0)), c.Int(1), called)
	})
}

package settings

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// Var describes a parameter.
type Var struct {
	Name, Default, Unit, Category, Description, Context, Type string
	Enum                                                      []string
	// Report says that clients are told of changes.
	Report bool
	// Min and Max bound numbers; both 0 means no bound.
	Min, Max float64
}

func str(name, def, desc string) *Var {
	return &Var{Name: name, Default: def, Description: desc, Type: "string", Context: "user", Category: "Client Connection Defaults"}
}

func flag(name, def, desc string) *Var {
	v := str(name, def, desc)
	v.Type = "bool"
	return v
}

func enum(name, def, desc string, values ...string) *Var {
	v := str(name, def, desc)
	v.Type, v.Enum = "enum", values
	return v
}

func num(name, def, unit, desc string, lo, hi float64) *Var {
	v := str(name, def, desc)
	v.Type, v.Unit, v.Min, v.Max = "integer", unit, lo, hi
	v.Default = v.shown(def)
	return v
}

// Setting is a value as pg_settings has it: numbers in the parameter's unit.
func (d *Var) Setting(value string) string {
	if d.Unit == "" {
		return value
	}
	if n, ok := parseUnits(value, d.Unit); ok {
		return d.format(n)
	}
	return value
}

func report(v *Var) *Var { v.Report = true; return v }

func internal(v *Var) *Var { v.Context = "internal"; v.Category = "Preset Options"; return v }

// changeable returns the error of changing a parameter that a session cannot change.
func (d *Var) changeable(name string) error {
	if d.Context == "internal" {
		return types.Errorf(types.CodeCantChangeRuntimeParam, "parameter \"%s\" cannot be changed", name)
	}
	if d.Context == "postmaster" {
		return types.Errorf(types.CodeCantChangeRuntimeParam, "parameter \"%s\" cannot be changed without restarting the server", name)
	}
	return nil
}

func restart(v *Var) *Var { v.Context = "postmaster"; return v }

const maxInt = 1<<31 - 1

var isolationLevels = []string{"serializable", "repeatable read", "read committed", "read uncommitted"}

// own are the parameters that something here asks for, or that say what it is.
var own = []*Var{
	report(str("application_name", "", "Sets the application name to be reported in statistics and logs.")),
	enum("backslash_quote", "safe_encoding", "Sets whether \"\\'\" is allowed in string literals.", "safe_encoding", "on", "off"),
	internal(num("block_size", "8192", "", "Shows the size of a disk block.", 0, 0)),
	enum("bytea_output", "hex", "Sets the output format for bytea.", "escape", "hex"),
	flag("check_function_bodies", "on", "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE."),
	report(str("client_encoding", "UTF8", "Sets the client's character set encoding.")),
	enum("client_min_messages", "notice", "Sets the message levels that are sent to the client.",
		messageLevels...),
	report(str("DateStyle", "ISO, MDY", "Sets the display format for date and time values.")),
	num("deadlock_timeout", "1000", "ms", "Sets the time to wait on a lock before checking for deadlock.", 1, maxInt),
	str("default_table_access_method", "heap", "Sets the default table access method for new tables."),
	str("default_tablespace", "", "Sets the default tablespace to create tables and indexes in."),
	flag("default_transaction_deferrable", "off", "Sets the default deferrable status of new transactions."),
	enum("default_transaction_isolation", "serializable", "Sets the transaction isolation level of each new transaction.", isolationLevels...),
	report(flag("default_transaction_read_only", "off", "Sets the default read-only status of new transactions.")),
	flag("default_with_oids", "off", "Creates new tables with OIDs by default."),
	flag("enable_bitmapscan", "on", "Enables the planner's use of bitmap-scan plans."),
	flag("enable_hashagg", "on", "Enables the planner's use of hashed aggregation plans."),
	flag("enable_hashjoin", "on", "Enables the planner's use of hash join plans."),
	flag("enable_indexscan", "on", "Enables the planner's use of index-scan plans."),
	flag("enable_mergejoin", "on", "Enables the planner's use of merge join plans."),
	flag("enable_nestloop", "on", "Enables the planner's use of nested-loop join plans."),
	flag("enable_seqscan", "on", "Enables the planner's use of sequential-scan plans."),
	flag("enable_sort", "on", "Enables the planner's use of explicit sort steps."),
	flag("escape_string_warning", "on", "Warn about backslash escapes in ordinary string literals."),
	num("extra_float_digits", "1", "", "Sets the number of digits displayed for floating-point values.", -15, 3),
	num("gin_pending_list_limit", "4096", "kB", "Sets the maximum size of the pending list for GIN index.", 0, maxInt),
	num("idle_in_transaction_session_timeout", "0", "ms", "Sets the maximum allowed idle time between queries, when in a transaction.", 0, maxInt),
	num("idle_session_timeout", "0", "ms", "Sets the maximum allowed idle time between queries, when not in a transaction.", 0, maxInt),
	internal(report(flag("in_hot_standby", "off", "Shows whether hot standby is currently active."))),
	internal(report(flag("integer_datetimes", "on", "Shows whether datetimes are integer based."))),
	report(enum("IntervalStyle", "postgres", "Sets the display format for interval values.", "postgres", "postgres_verbose", "sql_standard", "iso_8601")),
	internal(report(flag("is_superuser", "on", "Shows whether the current user is a superuser."))),
	flag("jit", "off", "Allow JIT compilation."),
	internal(str("lc_collate", "C", "Shows the collation order locale.")),
	internal(str("lc_ctype", "C.UTF-8", "Shows the character classification and case conversion locale.")),
	str("lc_messages", "C", "Sets the language in which messages are displayed."),
	str("lc_monetary", "C", "Sets the locale for formatting monetary amounts."),
	str("lc_numeric", "C", "Sets the locale for formatting numbers."),
	str("lc_time", "C", "Sets the locale for formatting date and time values."),
	num("lock_timeout", "0", "ms", "Sets the maximum allowed duration of any wait for a lock.", 0, maxInt),
	num("log_min_duration_statement", "-1", "ms", "Sets the minimum execution time above which statements are logged.", -1, maxInt),
	enum("log_statement", "none", "Sets the type of statements logged.", "none", "ddl", "mod", "all"),
	num("maintenance_work_mem", "65536", "kB", "Sets the maximum memory to be used for maintenance operations.", 1024, maxInt),
	internal(num("max_connections", "1000", "", "Sets the maximum number of concurrent connections.", 0, 0)),
	internal(num("max_identifier_length", "63", "", "Shows the maximum identifier length.", 0, 0)),
	internal(num("max_index_keys", "32", "", "Shows the maximum number of index keys.", 0, 0)),
	num("max_parallel_workers_per_gather", "2", "", "Sets the maximum number of parallel processes per executor node.", 0, 1024),
	restart(num("max_prepared_transactions", "0", "", "Sets the maximum number of simultaneously prepared transactions.", 0, 0x3ffff)),
	enum("password_encryption", "scram-sha-256", "Chooses the algorithm for encrypting passwords.", "scram-sha-256"),
	enum("plan_cache_mode", "auto", "Controls the planner's selection of custom or generic plan.", "auto", "force_generic_plan", "force_custom_plan"),
	str("role", "none", "Sets the current role."),
	flag("row_security", "on", "Enable row security."),
	str("search_path", `"$user", public`, "Sets the schema search order for names that are not schema-qualified."),
	internal(report(str("server_encoding", "UTF8", "Shows the server (database) character set encoding."))),
	internal(report(str("server_version", "15.0 (Pamir)", "Shows the server version."))),
	internal(num("server_version_num", "150000", "", "Shows the server version as an integer.", 0, 0)),
	report(str("session_authorization", "", "Sets the session user name.")),
	enum("session_replication_role", "origin", "Sets the session's behavior for triggers and rewrite rules.", "origin", "replica", "local"),
	internal(str("shared_buffers", "128MB", "Sets the number of shared memory buffers used by the server.")),
	enum("sql_dialect", "postgres", "Chooses the grammar that statements are read with.", "postgres", "mysql"),
	internal(flag("ssl", "off", "Shows whether SSL connections are enabled.")),
	report(flag("standard_conforming_strings", "on", "Causes '...' strings to treat backslashes literally.")),
	num("statement_timeout", "0", "ms", "Sets the maximum allowed duration of any statement.", 0, maxInt),
	flag("synchronize_seqscans", "on", "Enable synchronized sequential scans."),
	enum("synchronous_commit", "on", "Sets the current transaction's synchronization level.", "local", "remote_write", "remote_apply", "on", "off"),
	num("tcp_keepalives_idle", "0", "s", "Time between issuing TCP keepalives.", 0, maxInt),
	str("temp_tablespaces", "", "Sets the tablespaces to use for temporary tables and sort files."),
	report(str("TimeZone", "UTC", "Sets the time zone for displaying and interpreting time stamps.")),
	str("timezone_abbreviations", "Default", "Selects a file of time zone abbreviations."),
	flag("transaction_deferrable", "off", "Whether to defer a read-only serializable transaction."),
	enum("transaction_isolation", "serializable", "Sets the current transaction's isolation level.", isolationLevels...),
	flag("transaction_read_only", "off", "Sets the current transaction's read-only status."),
	flag("transform_null_equals", "off", "Treats \"expr=NULL\" as \"expr IS NULL\"."),
	internal(str("wal_level", "replica", "Sets the level of information written to the WAL.")),
	num("work_mem", "4096", "kB", "Sets the maximum memory to be used for query workspaces.", 64, maxInt),
	enum("xmlbinary", "base64", "Sets how binary values are to be encoded in XML.", "base64", "hex"),
	enum("xmloption", "content", "Sets whether XML data is to be considered as documents or content fragments.", "content", "document"),
}

// vars are all parameters, in the order of their names.
var vars = withAdvice(own)

var byName = func() map[string]*Var {
	m := make(map[string]*Var, len(vars))
	for _, v := range vars {
		m[strings.ToLower(v.Name)] = v
	}
	return m
}()

// Lookup finds a parameter.
func Lookup(name string) (*Var, bool) {
	v, ok := byName[name]
	if !ok {
		v, ok = byName[strings.ToLower(name)]
	}
	return v, ok
}

// All lists the parameters by name.
func All() []*Var { return vars }

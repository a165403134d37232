package pgcatalog

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Live is the node's and the cluster's moving state. A nil Live makes the tables
// over it empty (a test without a server).
type Live interface {
	Nodes(ctx context.Context) ([]Node, error)
	Ranges(ctx context.Context) ([]api.RangeInfo, error)
	// Transactions, Sessions and Statements are those of all nodes that answer.
	Transactions(ctx context.Context) ([]Transaction, error)
	Sessions(ctx context.Context) ([]Session, error)
	Statements(ctx context.Context) ([]Statement, error)
	// Backends are this node's sessions: a pid means something here only.
	Backends() []Session
	// Settings are the current session's.
	Settings() []Setting
	// Prepared and Cursors are the current session's.
	Prepared() []Prepared
	Cursors() []Cursor
	// RowCount estimates a table's rows from its statistics.
	RowCount(table types.OID) (rows float64, ok bool)
}

// Node is a row of pamir_internal.nodes.
type Node struct {
	ID                         ids.NodeID
	RPCAddr, SQLAddr, HTTPAddr string
	Locality, Version          string
	Started                    time.Time
	Live, Draining             bool
	Decommissioning            bool
	Ranges, Leases             int64
	Bytes                      int64
}

// Transaction is a row of pamir_internal.transactions.
type Transaction struct {
	Node           ids.NodeID
	ID             string
	SessionPID     int32
	Isolation      string
	Started        time.Time
	ReadTS         string
	BufferedWrites int64
	BufferBytes    int64
	Restarts       int64
	Ranges         int64
}

// Session is a row of pamir_internal.sessions and of pg_stat_activity.
type Session struct {
	Node                          ids.NodeID
	PID                           int32
	User, Database                string
	UserOID, DatabaseOID          types.OID
	Application, Client           string
	State                         string // active, idle, idle in transaction, idle in transaction (aborted)
	Query                         string
	Started, QueryStart, TxnStart time.Time
	StateChange                   time.Time
	WaitEvent                     string
}

// Statement is a row of pamir_internal.statements: figures by fingerprint.
type Statement struct {
	Node                   ids.NodeID
	Query                  string
	Database               string
	Calls, Errors, Rows    int64
	Retries                int64
	MeanSeconds            float64
	P50Seconds, P99Seconds float64
	CallsPerSecond         float64
}

// Prepared is a row of pg_prepared_statements.
type Prepared struct {
	Name, Statement string
	At              time.Time
	Params          []types.OID
	FromSQL         bool
}

// Cursor is a row of pg_cursors.
type Cursor struct {
	Name, Statement          string
	At                       time.Time
	Hold, Binary, Scrollable bool
}

// Setting is a row of pg_settings.
type Setting struct {
	Name, Value, Unit, Category, Description string
	Context, Type, Source                    string
	Default                                  string
}

func (s *scan) rowCount(oid types.OID) (float64, bool) {
	if s.Live == nil {
		return 0, false
	}
	return s.Live.RowCount(oid)
}

// pgEpoch is where PostgreSQL's timestamps count from.
var pgEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func timeCol(name string, t time.Time) col {
	if t.IsZero() {
		return nullCol(name)
	}
	return intCol(name, t.Sub(pgEpoch).Microseconds())
}

// internalTable is a table of pamir_internal.
type internalTable struct {
	name    string
	columns []catalog.Column
	rows    func(*scan) error
}

func columns(spec ...any) []catalog.Column {
	var out []catalog.Column
	for i := 0; i < len(spec); i += 2 {
		out = append(out, catalog.Column{ID: catalog.ColumnID(i/2 + 1), Name: spec[i].(string), Type: types.Of(spec[i+1].(types.OID))})
	}
	return out
}

// internalTables lists the tables of pamir_internal; new ones go to the end,
// since their oids count up.
func internalTables() []internalTable {
	const i4, i8, text, boolean, f8, tz = types.Int4OID, types.Int8OID, types.TextOID, types.BoolOID, types.Float8OID, types.TimestampTZOID
	i4s := types.ArrayOf(i4)
	return []internalTable{
		{"nodes", columns("node_id", i4, "address", text, "sql_address", text, "http_address", text, "locality", text, "version", text,
			"started_at", tz, "is_live", boolean, "is_draining", boolean, "is_decommissioning", boolean, "ranges", i8, "leases", i8, "bytes", i8), nodeRows},
		{"ranges", columns("range_id", i8, "start_key", text, "end_key", text, "replicas", i4s, "learners", i4s, "leaseholder", i4, "lease_sequence", i8,
			"raft_leader", i4, "raft_term", i8, "applied_index", i8, "bytes", i8, "keys", i8, "log_bytes", i8, "reads_per_second", f8,
			"writes_per_second", f8, "generation", i8, "behind", i4s), rangeRows},
		{"transactions", columns("node_id", i4, "id", text, "session_pid", i4, "isolation", text, "started_at", tz, "read_timestamp", text,
			"buffered_writes", i8, "buffer_bytes", i8, "restarts", i8, "ranges", i8), transactionRows},
		{"sessions", columns("node_id", i4, "pid", i4, "user_name", text, "database", text, "application_name", text, "client_address", text,
			"state", text, "query", text, "started_at", tz, "query_started_at", tz, "transaction_started_at", tz), sessionRows},
		{"statements", columns("node_id", i4, "query", text, "database", text, "calls", i8, "errors", i8, "rows", i8, "retries", i8, "mean_seconds", f8,
			"p50_seconds", f8, "p99_seconds", f8, "calls_per_second", f8), statementRows},
	}
}

func nodeRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	nodes, err := s.Live.Nodes(s.Ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := s.put(intCol("node_id", int64(n.ID)), textCol("address", n.RPCAddr), textCol("sql_address", n.SQLAddr), textCol("http_address", n.HTTPAddr),
			textCol("locality", n.Locality), textCol("version", n.Version), timeCol("started_at", n.Started), boolCol("is_live", n.Live),
			boolCol("is_draining", n.Draining), boolCol("is_decommissioning", n.Decommissioning), intCol("ranges", n.Ranges), intCol("leases", n.Leases),
			intCol("bytes", n.Bytes)); err != nil {
			return err
		}
	}
	return nil
}

func nodeArray(nodes []ids.NodeID) string {
	c := make([]catalog.ColumnID, len(nodes))
	for i, n := range nodes {
		c[i] = catalog.ColumnID(n)
	}
	return columnArray(c)
}

func rangeRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	ranges, err := s.Live.Ranges(s.Ctx)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		var voters, learners []ids.NodeID
		for _, rep := range r.Desc.Replicas {
			if rep.Type == api.Voter {
				voters = append(voters, rep.Node)
			} else {
				learners = append(learners, rep.Node)
			}
		}
		if err := s.put(intCol("range_id", int64(r.Desc.RangeID)), textCol("start_key", keys.Pretty(r.Desc.Start)), textCol("end_key", keys.Pretty(r.Desc.End)),
			s.parsed("replicas", nodeArray(voters)), s.parsed("learners", nodeArray(learners)), intCol("leaseholder", int64(r.Lease.Holder.Node)),
			intCol("lease_sequence", int64(r.Lease.Seq)), intCol("raft_leader", int64(r.Leader)), intCol("raft_term", int64(r.Term)),
			intCol("applied_index", int64(r.Applied)), intCol("bytes", r.Bytes), intCol("keys", r.Keys), intCol("log_bytes", r.LogBytes),
			floatCol("reads_per_second", r.ReadsPerSecond), floatCol("writes_per_second", r.WritesPerSecond),
			intCol("generation", int64(r.Desc.Generation)), s.parsed("behind", nodeArray(r.Behind))); err != nil {
			return err
		}
	}
	return nil
}

func transactionRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	txns, err := s.Live.Transactions(s.Ctx)
	if err != nil {
		return err
	}
	for _, t := range txns {
		if err := s.put(intCol("node_id", int64(t.Node)), textCol("id", t.ID), intCol("session_pid", int64(t.SessionPID)), textCol("isolation", t.Isolation),
			timeCol("started_at", t.Started), textCol("read_timestamp", t.ReadTS), intCol("buffered_writes", t.BufferedWrites),
			intCol("buffer_bytes", t.BufferBytes), intCol("restarts", t.Restarts), intCol("ranges", t.Ranges)); err != nil {
			return err
		}
	}
	return nil
}

// hidden stands for a statement that the viewer may not read.
const hidden = "<insufficient privilege>"

// maySee returns whether the session's role may read the statements of another:
// its own, and a superuser or a member of pg_read_all_stats all.
func (s *scan) maySee() func(user string) bool {
	d, ok := s.snap.ByOID(s.User)
	all := s.snap.HasRole(s.User, catalog.ReadAllStatsRoleOID)
	return func(user string) bool { return all || ok && user == d.Head().Name }
}

func sessionRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	all, err := s.Live.Sessions(s.Ctx)
	if err != nil {
		return err
	}
	may := s.maySee()
	for _, x := range all {
		if !may(x.User) {
			x.Query, x.Client = hidden, ""
		}
		if err := s.put(intCol("node_id", int64(x.Node)), intCol("pid", int64(x.PID)), textCol("user_name", x.User), textCol("database", x.Database),
			textCol("application_name", x.Application), textCol("client_address", x.Client), textCol("state", x.State), textCol("query", x.Query),
			timeCol("started_at", x.Started), timeCol("query_started_at", x.QueryStart), timeCol("transaction_started_at", x.TxnStart)); err != nil {
			return err
		}
	}
	return nil
}

func statementRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	all, err := s.Live.Statements(s.Ctx)
	if err != nil {
		return err
	}
	may := s.maySee()
	for _, x := range all {
		if !may("") {
			x.Query = hidden
		}
		if err := s.put(intCol("node_id", int64(x.Node)), textCol("query", x.Query), textCol("database", x.Database), intCol("calls", x.Calls), intCol("errors", x.Errors), intCol("rows", x.Rows),
			intCol("retries", x.Retries), floatCol("mean_seconds", x.MeanSeconds), floatCol("p50_seconds", x.P50Seconds), floatCol("p99_seconds", x.P99Seconds),
			floatCol("calls_per_second", x.CallsPerSecond)); err != nil {
			return err
		}
	}
	return nil
}

func activityRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	may := s.maySee()
	for _, x := range s.Live.Backends() {
		kind := "client backend"
		if !may(x.User) {
			kind = ""
			x = Session{PID: x.PID, User: x.User, UserOID: x.UserOID, Database: x.Database, DatabaseOID: x.DatabaseOID, Application: x.Application, Query: hidden}
		}
		if err := s.put(oidCol("datid", x.DatabaseOID), textCol("datname", x.Database), intCol("pid", int64(x.PID)), oidCol("usesysid", x.UserOID),
			textCol("usename", x.User), textCol("application_name", x.Application), timeCol("backend_start", x.Started), timeCol("xact_start", x.TxnStart),
			timeCol("query_start", x.QueryStart), timeCol("state_change", x.StateChange), optTextCol("wait_event", x.WaitEvent), optTextCol("state", x.State),
			textCol("query", x.Query), optTextCol("backend_type", kind)); err != nil {
			return err
		}
	}
	return nil
}

func settingRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	want, one := s.wantText("name")
	for _, x := range s.Live.Settings() {
		if one && want != x.Name {
			continue
		}
		if err := s.put(textCol("name", x.Name), textCol("setting", x.Value), optTextCol("unit", x.Unit), textCol("category", x.Category),
			textCol("short_desc", x.Description), textCol("context", x.Context), textCol("vartype", x.Type), textCol("source", x.Source),
			textCol("boot_val", x.Default), textCol("reset_val", x.Default), boolCol("pending_restart", false)); err != nil {
			return err
		}
	}
	return nil
}

func preparedRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	for _, p := range s.Live.Prepared() {
		var oids []types.Datum
		for _, t := range p.Params {
			oids = append(oids, types.NewInt(int64(t)))
		}
		params := types.ArrayDatum(types.NewArray(types.RegTypeOID, oids))
		if err := s.put(textCol("name", p.Name), textCol("statement", p.Statement), timeCol("prepare_time", p.At),
			col{"parameter_types", params}, boolCol("from_sql", p.FromSQL), intCol("generic_plans", 0), intCol("custom_plans", 0)); err != nil {
			return err
		}
	}
	return nil
}

func cursorRows(s *scan) error {
	if s.Live == nil {
		return nil
	}
	for _, c := range s.Live.Cursors() {
		if err := s.put(textCol("name", c.Name), textCol("statement", c.Statement), boolCol("is_holdable", c.Hold), boolCol("is_binary", c.Binary),
			boolCol("is_scrollable", c.Scrollable), timeCol("creation_time", c.At)); err != nil {
			return err
		}
	}
	return nil
}

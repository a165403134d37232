package server

import (
	"strings"
	"unicode"

	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Counters are this node's totals since it started; a reader takes differences.
type Counters struct {
	Reads        int64 `json:"reads"`
	Writes       int64 `json:"writes"`
	Others       int64 `json:"others"`
	Errors       int64 `json:"errors"`
	Retries      int64 `json:"retries"`
	Sessions     int64 `json:"sessions"`
	Commits      int64 `json:"commits"`
	OnePhase     int64 `json:"onePhaseCommits"`
	Parallel     int64 `json:"parallelCommits"`
	Rollbacks    int64 `json:"rollbacks"`
	Refreshes    int64 `json:"refreshes"`
	RPCs         int64 `json:"rpcs"`
	Redirects    int64 `json:"redirects"`
	Ranges       int64 `json:"ranges"`
	Leases       int64 `json:"leases"`
	LeaseFollows int64 `json:"leaseFollows"`
	CPUPermille  int64 `json:"cpuPermille"`
	OverlayBytes int64 `json:"overlayBytes"`
	FileBytes    int64 `json:"fileBytes"`
	Flushes      int64 `json:"flushes"`
}

// NodeCounters are the totals of one node.
type NodeCounters struct {
	Node          ids.NodeID `json:"node"`
	UptimeSeconds float64    `json:"uptimeSeconds"`
	Counters      Counters   `json:"counters"`
}

// Metric is one figure for monitoring.
type Metric struct {
	Name, Help string
	Value      float64
	Gauge      bool
}

// Metrics lists the counters with their names for monitoring.
func (c Counters) Metrics() []Metric {
	counter := func(name, help string, v int64) Metric { return Metric{Name: name, Help: help, Value: float64(v)} }
	gauge := func(name, help string, v int64) Metric {
		return Metric{Name: name, Help: help, Value: float64(v), Gauge: true}
	}
	return []Metric{
		counter("sql_reads_total", "Statements that read.", c.Reads),
		counter("sql_writes_total", "Statements that wrote.", c.Writes),
		counter("sql_others_total", "Other statements.", c.Others),
		counter("sql_errors_total", "Statements that failed.", c.Errors),
		counter("sql_retries_total", "Statements run again inside the server.", c.Retries),
		gauge("sql_sessions", "Open sessions.", c.Sessions),
		counter("txn_commits_total", "Transactions committed.", c.Commits),
		counter("txn_one_phase_commits_total", "Commits that were one command of one range.", c.OnePhase),
		counter("txn_parallel_commits_total", "Commits over several ranges.", c.Parallel),
		counter("txn_rollbacks_total", "Transactions rolled back.", c.Rollbacks),
		counter("txn_refreshes_total", "Read refreshes.", c.Refreshes),
		counter("route_rpcs_total", "Batches sent to other nodes.", c.RPCs),
		counter("route_redirects_total", "Batches that went to the wrong place first.", c.Redirects),
		gauge("store_replicas", "Replicas on this node.", c.Ranges),
		gauge("store_leases", "Ranges that this node serves.", c.Leases),
		counter("lifecycle_lease_follows_total", "Leases that this node sent to where their workload comes from.", c.LeaseFollows),
		gauge("node_cpu_permille", "Which part of its processors the process uses, as placing leases sees it.", c.CPUPermille),
		gauge("engine_overlay_bytes", "Bytes applied and not flushed yet.", c.OverlayBytes),
		gauge("engine_file_bytes", "Size of the state file.", c.FileBytes),
		counter("engine_flushes_total", "Flushes of the overlay.", c.Flushes),
	}
}

// Counters returns the totals now.
func (s *Server) Counters() Counters {
	l := s.layers.Load()
	if l == nil || !s.Ready() {
		return Counters{}
	}
	t, r, e := l.db.Stats(), l.router.Stats(), s.engine.Stats()
	c := Counters{Sessions: int64(s.pg.Conns()), Commits: t.Committed, OnePhase: t.OnePhase, Parallel: t.Parallel, Rollbacks: t.RolledBack,
		LeaseFollows: l.lifecycle.Follows(), CPUPermille: int64(1000 * l.store.CPULoad()),
		Refreshes: t.Refreshes, RPCs: r.RPCs, Redirects: r.Redirects, OverlayBytes: e.OverlayBytes, FileBytes: e.FileBytes, Flushes: e.Flushes}
	for _, st := range l.sql.Statements() {
		switch verb(st.Query) {
		case "select", "table", "values", "with":
			c.Reads += st.Calls
		case "insert", "update", "delete", "copy", "merge":
			c.Writes += st.Calls
		default:
			c.Others += st.Calls
		}
		c.Errors += st.Errors
		c.Retries += st.Retries
	}
	l.store.Replicas(func(rep *store.Replica) bool {
		c.Ranges++
		if rep.IsLeaseholder() {
			c.Leases++
		}
		return true
	})
	return c
}

// verb is the first word of a statement, in lower case.
func verb(q string) string {
	q = strings.TrimLeft(q, " (\n\t")
	i := strings.IndexFunc(q, func(r rune) bool { return !unicode.IsLetter(r) })
	if i < 0 {
		i = len(q)
	}
	return strings.ToLower(q[:i])
}

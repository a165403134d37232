package admin

import (
	"context"
	"sort"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/server"
)

// hidden stands for a statement that the viewer may not read, as in
// pg_stat_activity.
const hidden = "<insufficient privilege>"

// maxTables is how many of a range's tables are named.
const maxTables = 20

// clusterTimeout is how long ranges get to answer before a node tells what it
// knows by itself.
const clusterTimeout = 2 * time.Second

// answers are the JSON API's. Beside an error they give what this node knows by
// itself, or nil.
type answers struct{ s Source }

// Overview is /api/v1/overview: counters since the nodes started; a client takes
// differences for rates.
type Overview struct {
	Node     ids.NodeID            `json:"node"`
	Cluster  string                `json:"cluster"`
	Version  string                `json:"version"`
	Insecure bool                  `json:"insecure"`
	Ready    bool                  `json:"ready"`
	Draining bool                  `json:"draining"`
	Uptime   float64               `json:"uptimeSeconds"`
	Now      int64                 `json:"nowMillis"`
	Counters server.Counters       `json:"counters"` // this node's
	Nodes    []server.NodeCounters `json:"nodes"`    // of all nodes that answer
}

func (a *answers) overview(ctx context.Context) (any, error) {
	all, err := a.s.ClusterCounters(ctx)
	if err != nil {
		return nil, err
	}
	return Overview{Node: a.s.NodeID(), Cluster: a.s.ClusterID(), Version: server.Version, Insecure: a.s.Insecure(), Ready: a.s.Ready(),
		Draining: a.s.Draining(), Uptime: time.Since(a.s.Started()).Seconds(), Now: time.Now().UnixMilli(), Counters: a.s.Counters(),
		Nodes: orEmpty(all)}, nil
}

// orEmpty makes a list that JSON prints as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Node is an element of /api/v1/nodes.
type Node struct {
	ID              ids.NodeID `json:"id"`
	RPCAddr         string     `json:"rpcAddr"`
	SQLAddr         string     `json:"sqlAddr"`
	HTTPAddr        string     `json:"httpAddr"`
	Locality        string     `json:"locality"`
	Version         string     `json:"version"`
	Started         time.Time  `json:"started"`
	Live            bool       `json:"live"`
	Draining        bool       `json:"draining"`
	Decommissioning bool       `json:"decommissioning"`
	Replicas        int64      `json:"replicas"`
	Leases          int64      `json:"leases"`
	Bytes           int64      `json:"bytes"`
}

func (a *answers) nodes(ctx context.Context) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	all, err := a.s.Nodes(ctx)
	if err != nil {
		all = a.s.KnownNodes()
	}
	out := make([]Node, 0, len(all))
	for _, n := range all {
		out = append(out, Node{n.ID, n.RPCAddr, n.SQLAddr, n.HTTPAddr, n.Locality, n.Version, n.Started, n.Live, n.Draining,
			n.Decommissioning, n.Ranges, n.Leases, n.Bytes})
	}
	return out, err
}

// Range is an element of /api/v1/ranges.
type Range struct {
	ID          ids.RangeID  `json:"id"`
	Start       string       `json:"start"`
	End         string       `json:"end"`
	Tables      []string     `json:"tables"`     // the first of them
	TableCount  int          `json:"tableCount"` // of all of them
	Replicas    []ids.NodeID `json:"replicas"`
	Learners    []ids.NodeID `json:"learners"`
	Behind      []ids.NodeID `json:"behind"`
	Leaseholder ids.NodeID   `json:"leaseholder"`
	Leader      ids.NodeID   `json:"leader"`
	Term        uint64       `json:"term"`
	Applied     uint64       `json:"applied"`
	Bytes       int64        `json:"bytes"`
	Keys        int64        `json:"keys"`
	Reads       float64      `json:"readsPerSecond"`
	Writes      float64      `json:"writesPerSecond"`
}

func (a *answers) ranges(ctx context.Context) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	infos, err := a.s.Ranges(ctx)
	if err != nil {
		infos = a.s.OwnRanges()
	}
	relations := a.s.Relations()
	out := make([]Range, 0, len(infos))
	for _, i := range infos {
		r := Range{ID: i.Desc.RangeID, Start: keys.Pretty(i.Desc.Start), End: keys.Pretty(i.Desc.End), Behind: orEmpty(i.Behind),
			Replicas: []ids.NodeID{}, Learners: []ids.NodeID{}, Leaseholder: i.Lease.Holder.Node, Leader: i.Leader, Term: i.Term,
			Applied: i.Applied, Bytes: i.Bytes, Keys: i.Keys, Reads: i.ReadsPerSecond, Writes: i.WritesPerSecond}
		for _, rep := range i.Desc.Replicas {
			if rep.Type == api.Learner {
				r.Learners = append(r.Learners, rep.Node)
			} else {
				r.Replicas = append(r.Replicas, rep.Node)
			}
		}
		r.Tables, r.TableCount = tablesIn(relations, i.Desc.Start, i.Desc.End)
		out = append(out, r)
	}
	return out, err
}

// tablesIn names the first tables with keys in [start, end), and counts all.
// relations are in the order of their numbers, which is that of their keys.
func tablesIn(relations []server.Relation, start, end api.Key) (names []string, count int) {
	from := sort.Search(len(relations), func(i int) bool {
		_, past := keys.TableSpan(relations[i].ID)
		return string(past) > string(start)
	})
	rest := relations[from:]
	count = sort.Search(len(rest), func(i int) bool {
		first, _ := keys.TableSpan(rest[i].ID)
		return string(first) >= string(end)
	})
	names = []string{}
	for _, t := range rest[:min(count, maxTables)] {
		names = append(names, t.Name)
	}
	return names, count
}

// Session is an element of /api/v1/sessions.
type Session struct {
	Node        ids.NodeID `json:"node"`
	PID         int32      `json:"pid"`
	User        string     `json:"user"`
	Database    string     `json:"database"`
	Application string     `json:"application"`
	Client      string     `json:"client"`
	State       string     `json:"state"`
	Query       string     `json:"query"`
	Started     time.Time  `json:"started"`
	QueryStart  time.Time  `json:"queryStart"`
}

func (a *answers) sessions(ctx context.Context) (any, error) {
	all, err := a.s.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	v, out := viewerOf(ctx), make([]Session, 0, len(all))
	for _, x := range all {
		if !v.super && x.User != v.user {
			x.Query, x.Client = hidden, ""
		}
		out = append(out, Session{x.Node, x.PID, x.User, x.Database, x.Application, x.Client, x.State, x.Query, x.Started, x.QueryStart})
	}
	return out, nil
}

// Statement is an element of /api/v1/statements: figures of a statement with its
// literals taken out, on one node.
type Statement struct {
	Node           ids.NodeID `json:"node"`
	Query          string     `json:"query"`
	Database       string     `json:"database"`
	Calls          int64      `json:"calls"`
	Errors         int64      `json:"errors"`
	Rows           int64      `json:"rows"`
	Retries        int64      `json:"retries"`
	MeanSeconds    float64    `json:"meanSeconds"`
	P50Seconds     float64    `json:"p50Seconds"`
	P99Seconds     float64    `json:"p99Seconds"`
	CallsPerSecond float64    `json:"callsPerSecond"`
}

func (a *answers) statements(ctx context.Context) (any, error) {
	all, err := a.s.Statements(ctx)
	if err != nil {
		return nil, err
	}
	v, out := viewerOf(ctx), make([]Statement, 0, len(all))
	for _, x := range all {
		if !v.super {
			x.Query = hidden
		}
		out = append(out, Statement{x.Node, x.Query, x.Database, x.Calls, x.Errors, x.Rows, x.Retries, x.MeanSeconds, x.P50Seconds,
			x.P99Seconds, x.CallsPerSecond})
	}
	return out, nil
}

// Transaction is an element of /api/v1/transactions: one that is open.
type Transaction struct {
	Node           ids.NodeID `json:"node"`
	ID             string     `json:"id"`
	SessionPID     int32      `json:"sessionPID"`
	Isolation      string     `json:"isolation"`
	Started        time.Time  `json:"started"`
	ReadTS         string     `json:"readTimestamp"`
	BufferedWrites int64      `json:"bufferedWrites"`
	BufferBytes    int64      `json:"bufferBytes"`
	Restarts       int64      `json:"restarts"`
	Ranges         int64      `json:"ranges"`
}

func (a *answers) transactions(ctx context.Context) (any, error) {
	all, err := a.s.Transactions(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Transaction, 0, len(all))
	for _, t := range all {
		out = append(out, Transaction(t))
	}
	return out, nil
}

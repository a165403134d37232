package admin

import (
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/server"
	"github.com/pamirdb/pamir/sql/pgcatalog"
)

//go:embed assets
var assets embed.FS

// requestTimeout bounds each API request.
const requestTimeout = 5 * time.Second

// Source is what the dashboard shows; *server.Server implements it.
type Source interface {
	NodeID() ids.NodeID
	ClusterID() string
	Insecure() bool
	Ready() bool
	Started() time.Time
	Counters() server.Counters
	Nodes(ctx context.Context) ([]pgcatalog.Node, error)
	Ranges(ctx context.Context) ([]api.RangeInfo, error)
	Sessions(ctx context.Context) ([]pgcatalog.Session, error)
	Statements(ctx context.Context) ([]pgcatalog.Statement, error)
	Transactions(ctx context.Context) ([]pgcatalog.Transaction, error)
	// CheckPassword reports whether the password is the role's.
	CheckPassword(ctx context.Context, user, password string) bool
}

// Handler serves the dashboard of a node.
func Handler(s Source) http.Handler {
	mux := http.NewServeMux()
	page, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the embedded tree has that folder
	}
	guarded := http.NewServeMux()
	guarded.Handle("/", http.FileServerFS(page))
	guarded.Handle("GET /metrics", metricsHandler(s))
	handleJSON(guarded, "GET /api/v1/overview", func(context.Context) (any, error) { return overview(s), nil })
	handleJSON(guarded, "GET /api/v1/nodes", func(ctx context.Context) (any, error) { return s.Nodes(ctx) })
	handleJSON(guarded, "GET /api/v1/ranges", func(ctx context.Context) (any, error) { return ranges(ctx, s) })
	handleJSON(guarded, "GET /api/v1/sessions", func(ctx context.Context) (any, error) { return s.Sessions(ctx) })
	handleJSON(guarded, "GET /api/v1/statements", func(ctx context.Context) (any, error) { return s.Statements(ctx) })
	handleJSON(guarded, "GET /api/v1/transactions", func(ctx context.Context) (any, error) { return s.Transactions(ctx) })
	profiles(s, guarded)
	mux.Handle("/", authenticated(s, guarded))
	mux.HandleFunc("GET /health", health(s))
	return mux
}

// profiles serves Go's profiles of the process, to root alone: they may show parts
// of statements.
func profiles(s Source, mux *http.ServeMux) {
	pages := map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	}
	for path, page := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if user, _, _ := r.BasicAuth(); !s.Insecure() && user != "root" {
				http.Error(w, "profiles are for root", http.StatusForbidden)
				return
			}
			page(w, r)
		})
	}
}

// authenticated asks for a role's name and password on a secure cluster.
func authenticated(s Source, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !s.Insecure() {
			user, password, ok := r.BasicAuth()
			if !ok || subtle.ConstantTimeEq(int32(len(password)), 0) == 1 || !s.CheckPassword(r.Context(), user, password) {
				w.Header().Set("WWW-Authenticate", `Basic realm="pamir"`)
				http.Error(w, "authentication required: a SQL role with a password", http.StatusUnauthorized)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// health answers 200 while the process lives, and with ?ready=1 only while it
// serves SQL.
func health(s Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ready := s.Ready()
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("ready") != "" && !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		writeJSON(w, map[string]any{"node": s.NodeID(), "ready": ready})
	}
}

func handleJSON(mux *http.ServeMux, pattern string, f func(context.Context) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		v, err := f(ctx)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			writeJSON(w, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, v)
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}

// Overview is /api/v1/overview: this node's counters since it started; a client
// takes differences for rates.
type Overview struct {
	Node     ids.NodeID      `json:"node"`
	Cluster  string          `json:"cluster"`
	Version  string          `json:"version"`
	Insecure bool            `json:"insecure"`
	Ready    bool            `json:"ready"`
	Uptime   float64         `json:"uptimeSeconds"`
	Now      int64           `json:"nowMillis"`
	Counters server.Counters `json:"counters"`
}

func overview(s Source) Overview {
	return Overview{Node: s.NodeID(), Cluster: s.ClusterID(), Version: server.Version, Insecure: s.Insecure(), Ready: s.Ready(),
		Uptime: time.Since(s.Started()).Seconds(), Now: time.Now().UnixMilli(), Counters: s.Counters()}
}

// Range is an element of /api/v1/ranges.
type Range struct {
	ID          ids.RangeID  `json:"id"`
	Start       string       `json:"start"`
	End         string       `json:"end"`
	Replicas    []ids.NodeID `json:"replicas"`
	Learners    []ids.NodeID `json:"learners,omitempty"`
	Behind      []ids.NodeID `json:"behind,omitempty"`
	Leaseholder ids.NodeID   `json:"leaseholder"`
	Leader      ids.NodeID   `json:"leader"`
	Term        uint64       `json:"term"`
	Applied     uint64       `json:"applied"`
	Bytes       int64        `json:"bytes"`
	Keys        int64        `json:"keys"`
	Reads       float64      `json:"readsPerSecond"`
	Writes      float64      `json:"writesPerSecond"`
}

func ranges(ctx context.Context, s Source) ([]Range, error) {
	infos, err := s.Ranges(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Range, 0, len(infos))
	for _, i := range infos {
		r := Range{ID: i.Desc.RangeID, Start: keys.Pretty(i.Desc.Start), End: keys.Pretty(i.Desc.End), Behind: i.Behind,
			Leaseholder: i.Lease.Holder.Node, Leader: i.Leader, Term: i.Term, Applied: i.Applied, Bytes: i.Bytes, Keys: i.Keys,
			Reads: i.ReadsPerSecond, Writes: i.WritesPerSecond}
		for _, rep := range i.Desc.Replicas {
			if rep.Type == api.Learner {
				r.Learners = append(r.Learners, rep.Node)
				continue
			}
			r.Replicas = append(r.Replicas, rep.Node)
		}
		out = append(out, r)
	}
	return out, nil
}

// metricsHandler serves Prometheus's text format.
func metricsHandler(s Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{s})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the counters when it is asked.
type collector struct{ s Source }

// Describe implements prometheus.Collector: unchecked, since server.Counters
// says what there is.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.s.Counters().Metrics() {
		kind := prometheus.CounterValue
		if m.Gauge {
			kind = prometheus.GaugeValue
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("pamir_"+m.Name, m.Help, nil, nil), kind, m.Value)
	}
}

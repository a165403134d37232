package admin

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
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
	Draining() bool
	Started() time.Time
	Counters() server.Counters
	// Login reports whether the password is the role's, and whether the role is
	// a superuser.
	Login(ctx context.Context, user, password string) (super, ok bool)
	ClusterSource
}

// ClusterSource is what a node knows of its cluster.
type ClusterSource interface {
	ClusterCounters(ctx context.Context) ([]server.NodeCounters, error)
	Nodes(ctx context.Context) ([]pgcatalog.Node, error)
	Ranges(ctx context.Context) ([]api.RangeInfo, error)
	// KnownNodes and OwnRanges are what the node knows by itself.
	KnownNodes() []pgcatalog.Node
	OwnRanges() []api.RangeInfo
	Relations() []server.Relation
	Sessions(ctx context.Context) ([]pgcatalog.Session, error)
	Statements(ctx context.Context) ([]pgcatalog.Statement, error)
	Transactions(ctx context.Context) ([]pgcatalog.Transaction, error)
}

// Handler serves the dashboard of a node.
func Handler(s Source) http.Handler {
	page, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the embedded tree has that folder
	}
	guarded := http.NewServeMux()
	guarded.Handle("GET /", http.FileServerFS(page))
	guarded.Handle("GET /metrics", metricsHandler(s))
	a := &answers{s}
	for path, f := range map[string]answer{"overview": a.overview, "nodes": a.nodes, "ranges": a.ranges, "sessions": a.sessions,
		"statements": a.statements, "transactions": a.transactions} {
		guarded.HandleFunc("GET /api/v1/"+path, serveJSON(f))
	}
	guarded.HandleFunc("GET /api/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, apiError{Error: "there is no " + r.URL.Path})
	})
	profiles(guarded)
	mux := http.NewServeMux()
	mux.Handle("/", authenticated(s, guarded))
	mux.HandleFunc("GET /health", health(s))
	return mux
}

// profiles serves Go's profiles of the process, to superusers alone: they may
// show parts of statements.
func profiles(mux *http.ServeMux) {
	for path, page := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !viewerOf(r.Context()).super {
				http.Error(w, "profiles are for superusers", http.StatusForbidden)
				return
			}
			page(w, r)
		})
	}
}

// viewer is whom an answer is for.
type viewer struct {
	user  string
	super bool
}

type viewerKey struct{}

// viewerOf returns who asks; nobody, outside of authenticated.
func viewerOf(ctx context.Context) viewer {
	v, _ := ctx.Value(viewerKey{}).(viewer)
	return v
}

// authenticated asks for a role's name and password on a secure cluster. On an
// insecure one everybody is a superuser, as with SQL.
func authenticated(s Source, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		v := viewer{super: true}
		if !s.Insecure() {
			user, password, given := r.BasicAuth()
			super, ok := false, false
			if given && password != "" {
				super, ok = s.Login(r.Context(), user, password)
			}
			if !ok {
				w.Header().Set("WWW-Authenticate", `Basic realm="pamir"`)
				http.Error(w, "authentication required: a SQL role with a password", http.StatusUnauthorized)
				return
			}
			v = viewer{user, super}
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), viewerKey{}, v)))
	})
}

// Health is the answer of /health.
type Health struct {
	Node     ids.NodeID `json:"node"`
	Ready    bool       `json:"ready"`
	Draining bool       `json:"draining"`
}

// health answers 200 while the process lives, and with ?ready=1 only while it
// takes new SQL sessions.
func health(s Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := Health{Node: s.NodeID(), Draining: s.Draining()}
		h.Ready = s.Ready() && !h.Draining
		status := http.StatusOK
		if r.URL.Query().Has("ready") && !h.Ready {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, status, h)
	}
}

// answer makes what an API path gives.
type answer func(context.Context) (any, error)

// apiError is what the API gives instead; Partial is what this node knows by
// itself, in the same form.
type apiError struct {
	Error   string `json:"error"`
	Partial any    `json:"partial,omitempty"`
}

func serveJSON(f answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		v, err := f(ctx)
		if err != nil {
			writeJSON(w, http.StatusServiceUnavailable, apiError{err.Error(), v})
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/server"
	"github.com/pamirdb/pamir/sql/pgcatalog"
)

// fake is a node of a cluster of two with one range that holds the table t.
type fake struct {
	secure, draining, starting bool
	fail                       error
	started                    time.Time
}

func (f *fake) NodeID() ids.NodeID { return 1 }
func (f *fake) ClusterID() string  { return "c0ffee" }
func (f *fake) Insecure() bool     { return !f.secure }
func (f *fake) Ready() bool        { return !f.starting }
func (f *fake) Draining() bool     { return f.draining }
func (f *fake) Started() time.Time { return f.started }
func (f *fake) Counters() server.Counters {
	return server.Counters{Reads: 7, Writes: 3, Sessions: 2, Commits: 5, Ranges: 1, Leases: 1}
}

// Login knows root, a superuser, and bob.
func (f *fake) Login(_ context.Context, user, password string) (super, ok bool) {
	return user == "root", (user == "root" || user == "bob") && password == "s3cret-"+user
}

func (f *fake) ClusterCounters(context.Context) ([]server.NodeCounters, error) {
	return []server.NodeCounters{{Node: 1, UptimeSeconds: 10, Counters: f.Counters()}}, f.fail
}

func (f *fake) Nodes(context.Context) ([]pgcatalog.Node, error) {
	return []pgcatalog.Node{{ID: 1, RPCAddr: "a:1", SQLAddr: "a:2", HTTPAddr: "a:3", Locality: "zone=a", Version: "1", Started: f.started, Live: true, Ranges: 1, Leases: 1, Bytes: 99},
		{ID: 2, RPCAddr: "b:1", Draining: true}}, f.fail
}

func (f *fake) Ranges(context.Context) ([]api.RangeInfo, error) {
	return []api.RangeInfo{{Desc: api.RangeDescriptor{RangeID: 4, Start: keys.TableIndex(100, 1), End: keys.MaxKey,
		Replicas: []api.ReplicaDescriptor{{Node: 1, Replica: 1}, {Node: 2, Replica: 2, Type: api.Learner}}},
		Lease: api.Lease{Holder: api.ReplicaDescriptor{Node: 1, Replica: 1}}, Leader: 1, Term: 6, Applied: 77, Bytes: 99, Keys: 9, Behind: []ids.NodeID{2},
		ReadsPerSecond: 1.5, WritesPerSecond: 2.5}}, f.fail
}

func (f *fake) KnownNodes() []pgcatalog.Node { return []pgcatalog.Node{{ID: 1, Live: true}, {ID: 2}} }

func (f *fake) OwnRanges() []api.RangeInfo {
	return []api.RangeInfo{{Desc: api.RangeDescriptor{RangeID: 4, Start: keys.MinKey, End: keys.MaxKey}}}
}

func (f *fake) Relations() []server.Relation {
	return []server.Relation{{ID: 99, Name: "d.public.before"}, {ID: 100, Name: "d.public.t"}, {ID: 101, Name: "d.public.u"}}
}

func (f *fake) Sessions(context.Context) ([]pgcatalog.Session, error) {
	return []pgcatalog.Session{{Node: 1, PID: 11, User: "root", Client: "10.0.0.1:1", Query: "SELECT 'roots'", State: "active"},
		{Node: 1, PID: 12, User: "bob", Query: "SELECT 'bobs'", State: "idle"}}, f.fail
}

func (f *fake) Statements(context.Context) ([]pgcatalog.Statement, error) {
	return []pgcatalog.Statement{{Node: 1, Query: "select $1", Database: "d", Calls: 4, Rows: 4, MeanSeconds: 0.5}}, f.fail
}

func (f *fake) Transactions(context.Context) ([]pgcatalog.Transaction, error) { return nil, f.fail }

// request asks a node; user "" gives no credentials.
func request(t *testing.T, f *fake, method, path, user string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if user != "" {
		r.SetBasicAuth(user, "s3cret-"+user)
	}
	w := httptest.NewRecorder()
	Handler(f).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// want fails unless a request gives the status; it returns the answer.
func want(t *testing.T, f *fake, method, path, user string, status int) string {
	t.Helper()
	r := request(t, f, method, path, user)
	b := body(t, r)
	if r.StatusCode != status {
		t.Errorf("%s %s as %q: status %d, want %d: %.200s", method, path, user, r.StatusCode, status, b)
	}
	return b
}

// answerTo decodes what an API path gives.
func answerTo[T any](t *testing.T, f *fake, path, user string) (v T) {
	t.Helper()
	r := request(t, f, "GET", "/api/v1/"+path, user)
	if ct := r.Header.Get("Content-Type"); ct != "application/json" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers %v", path, r.Header)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func TestAPI(t *testing.T) {
	f := &fake{started: time.Now().Add(-10 * time.Second)}
	o := answerTo[Overview](t, f, "overview", "")
	if o.Node != 1 || o.Cluster != "c0ffee" || !o.Insecure || !o.Ready || o.Uptime < 10 || o.Counters.Reads != 7 || len(o.Nodes) != 1 || o.Nodes[0].Counters.Commits != 5 {
		t.Errorf("overview: %+v", o)
	}
	nodes := answerTo[[]Node](t, f, "nodes", "")
	if len(nodes) != 2 || nodes[0].HTTPAddr != "a:3" || nodes[0].Replicas != 1 || !nodes[0].Live || nodes[0].Bytes != 99 || nodes[1].Live || !nodes[1].Draining {
		t.Errorf("nodes: %+v", nodes)
	}
	r := answerTo[[]Range](t, f, "ranges", "")[0]
	if r.ID != 4 || r.Start != "/Table/100/1" || r.End != "/Max" || r.Leaseholder != 1 || r.Leader != 1 || r.Applied != 77 || r.Keys != 9 || r.Reads != 1.5 || r.Writes != 2.5 {
		t.Errorf("range: %+v", r)
	}
	if !slices.Equal(r.Replicas, []ids.NodeID{1}) || !slices.Equal(r.Learners, []ids.NodeID{2}) || !slices.Equal(r.Behind, []ids.NodeID{2}) {
		t.Errorf("replicas: %+v", r)
	}
	if !slices.Equal(r.Tables, []string{"d.public.t", "d.public.u"}) || r.TableCount != 2 {
		t.Errorf("tables: %v of %d", r.Tables, r.TableCount)
	}
	if s := answerTo[[]Session](t, f, "sessions", ""); len(s) != 2 || s[0].Query != "SELECT 'roots'" || s[0].Client == "" || s[1].PID != 12 {
		t.Errorf("sessions: %+v", s)
	}
	if s := answerTo[[]Statement](t, f, "statements", ""); len(s) != 1 || s[0].Query != "select $1" || s[0].Calls != 4 || s[0].MeanSeconds != 0.5 {
		t.Errorf("statements: %+v", s)
	}
	if b := want(t, f, "GET", "/api/v1/transactions", "", 200); b != "[]\n" {
		t.Errorf("no transaction is %q", b)
	}
}

// The names of the fields are what programs rely on.
func TestFieldNames(t *testing.T) {
	f := &fake{}
	for path, names := range map[string]string{
		"overview":   "cluster counters draining insecure node nodes nowMillis ready uptimeSeconds version",
		"nodes":      "bytes decommissioning draining httpAddr id leases live locality replicas rpcAddr sqlAddr started version",
		"ranges":     "applied behind bytes end id keys leader learners leaseholder readsPerSecond replicas start tableCount tables term writesPerSecond",
		"sessions":   "application client database node pid query queryStart started state user",
		"statements": "calls callsPerSecond database errors meanSeconds node p50Seconds p99Seconds query retries rows",
	} {
		raw := answerTo[json.RawMessage](t, f, path, "")
		var one map[string]any
		var list []map[string]any
		if json.Unmarshal(raw, &one) != nil {
			if err := json.Unmarshal(raw, &list); err != nil {
				t.Fatal(err)
			}
			one = list[0]
		}
		var got []string
		for k := range one {
			got = append(got, k)
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != names {
			t.Errorf("%s:\n got %s\nwant %s", path, s, names)
		}
	}
}

func TestAPIFailure(t *testing.T) {
	f := &fake{fail: errors.New("no range answers")}
	for _, path := range []string{"overview", "sessions", "statements", "transactions"} {
		if b := want(t, f, "GET", "/api/v1/"+path, "", http.StatusServiceUnavailable); b != `{"error":"no range answers"}`+"\n" {
			t.Errorf("%s: %s", path, b)
		}
	}
}

// Where the cluster does not answer, the node tells what it knows by itself.
func TestPartialAnswers(t *testing.T) {
	f := &fake{fail: errors.New("no range answers")}
	type partial[T any] struct {
		Error   string
		Partial []T
	}
	nodes := answerTo[partial[Node]](t, f, "nodes", "")
	if nodes.Error != "no range answers" || len(nodes.Partial) != 2 || !nodes.Partial[0].Live || nodes.Partial[1].Live {
		t.Errorf("nodes: %+v", nodes)
	}
	ranges := answerTo[partial[Range]](t, f, "ranges", "")
	if ranges.Error != "no range answers" || len(ranges.Partial) != 1 || ranges.Partial[0].ID != 4 || ranges.Partial[0].Leader != 0 {
		t.Errorf("ranges: %+v", ranges)
	}
	for _, path := range []string{"nodes", "ranges"} {
		want(t, f, "GET", "/api/v1/"+path, "", http.StatusServiceUnavailable)
	}
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		f             fake
		status, ready int
		body          string
	}{
		{fake{}, 200, 200, `{"node":1,"ready":true,"draining":false}`},
		{fake{secure: true}, 200, 200, `{"node":1,"ready":true,"draining":false}`},
		{fake{starting: true}, 200, 503, `{"node":1,"ready":false,"draining":false}`},
		{fake{draining: true}, 200, 503, `{"node":1,"ready":false,"draining":true}`},
	} {
		if b := want(t, &c.f, "GET", "/health", "", c.status); b != c.body+"\n" {
			t.Errorf("%+v: %s", c.f, b)
		}
		for _, q := range []string{"?ready=1", "?ready"} {
			if b := want(t, &c.f, "GET", "/health"+q, "", c.ready); b != c.body+"\n" {
				t.Errorf("%+v: %s", c.f, b)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	f := &fake{}
	r := request(t, f, "GET", "/metrics", "")
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]float64{"pamir_sql_reads_total": 7, "pamir_sql_writes_total": 3, "pamir_txn_commits_total": 5,
		"pamir_sql_errors_total": 0, "pamir_route_rpcs_total": 0, "pamir_engine_flushes_total": 0} {
		m := families[name]
		if m == nil || m.GetMetric()[0].GetCounter() == nil || m.GetMetric()[0].GetCounter().GetValue() != value || m.GetHelp() == "" {
			t.Errorf("%s: %v, want the counter %v", name, m, value)
		}
	}
	for name, value := range map[string]float64{"pamir_sql_sessions": 2, "pamir_store_replicas": 1, "pamir_store_leases": 1, "pamir_node_ready": 1,
		"pamir_engine_file_bytes": 0, "pamir_engine_overlay_bytes": 0} {
		m := families[name]
		if m == nil || m.GetMetric()[0].GetGauge() == nil || m.GetMetric()[0].GetGauge().GetValue() != value {
			t.Errorf("%s: %v, want the gauge %v", name, m, value)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	f.draining = true
	if !strings.Contains(want(t, f, "GET", "/metrics", "", 200), "\npamir_node_ready 0\n") {
		t.Error("a draining node is ready")
	}
}

func TestPaths(t *testing.T) {
	f := &fake{}
	if b := want(t, f, "GET", "/api/v1/nothing", "", 404); b != `{"error":"there is no /api/v1/nothing"}`+"\n" {
		t.Errorf("%s", b)
	}
	for _, path := range []string{"/nothing", "/assets/", "/admin.go", "/../admin.go", "/api", "/healthz", "/metrics/x", "/debug/pprof/nothing"} {
		if s := request(t, f, "GET", path, "").StatusCode; s != 404 && s != 301 && s != 307 {
			t.Errorf("%s: status %d", path, s)
		}
	}
	for _, path := range []string{"/", "/app.js", "/style.css", "/icon.svg", "/metrics", "/health", "/api/v1/overview", "/debug/pprof/"} {
		want(t, f, "GET", path, "", 200)
		want(t, f, "HEAD", path, "", 200)
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			want(t, f, method, path, "", http.StatusMethodNotAllowed)
		}
	}
	h := request(t, f, "GET", "/", "").Header
	if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self'") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	page := want(t, f, "GET", "/", "", 200)
	if strings.Contains(page, "<script>") || strings.Contains(page, "http://") || strings.Contains(page, "style=") {
		t.Error("the page holds what its own policy refuses")
	}
}

func TestSecureNeedsLogin(t *testing.T) {
	f := &fake{secure: true}
	for _, path := range []string{"/", "/app.js", "/metrics", "/api/v1/overview", "/api/v1/nothing", "/debug/pprof/", "/debug/pprof/profile", "/nothing"} {
		want(t, f, "GET", path, "", http.StatusUnauthorized)
		want(t, f, "GET", path, "mallory", http.StatusUnauthorized)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("root", "")
	w := httptest.NewRecorder()
	Handler(f).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Basic realm="pamir"` {
		t.Errorf("an empty password: %d %v", w.Code, w.Header())
	}
	for _, user := range []string{"root", "bob"} {
		for _, path := range []string{"/", "/metrics", "/api/v1/overview"} {
			want(t, f, "GET", path, user, 200)
		}
	}
	want(t, f, "GET", "/debug/pprof/", "root", 200)
	want(t, f, "GET", "/debug/pprof/", "bob", http.StatusForbidden)
	want(t, f, "GET", "/debug/pprof/profile?seconds=1", "bob", http.StatusForbidden)
}

// Only a superuser reads what others run.
func TestStatementsOfOthersAreHidden(t *testing.T) {
	f := &fake{secure: true}
	all := answerTo[[]Session](t, f, "sessions", "root")
	if all[0].Query != "SELECT 'roots'" || all[1].Query != "SELECT 'bobs'" {
		t.Errorf("root sees %+v", all)
	}
	his := answerTo[[]Session](t, f, "sessions", "bob")
	if his[0].Query != hidden || his[0].Client != "" || his[1].Query != "SELECT 'bobs'" {
		t.Errorf("bob sees %+v", his)
	}
	if s := answerTo[[]Statement](t, f, "statements", "bob"); s[0].Query != hidden {
		t.Errorf("bob sees %+v", s)
	}
}

func TestTablesInIsBounded(t *testing.T) {
	var all []server.Relation
	for i := range 100 {
		all = append(all, server.Relation{ID: uint32(1000 + i), Name: fmt.Sprint("t", i)})
	}
	names, count := tablesIn(all, keys.TableIndex(1000, 1), keys.TableIndex(1090, 1))
	// The end lies behind the first bytes of table 1090's span.
	if len(names) != maxTables || names[0] != "t0" || count != 91 {
		t.Errorf("%d names, %d tables", len(names), count)
	}
	if names, count := tablesIn(all, keys.MinKey, keys.TableIndex(1, 1)); names == nil || count != 0 {
		t.Errorf("%v, %d", names, count)
	}
}

func newRecorder(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

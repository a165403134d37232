package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pamirdb/pamir/pkg/server"
)

// serve runs a node in memory with its dashboard, and a connection to it.
func serve(t *testing.T) (*server.Server, *pgx.Conn) {
	t.Helper()
	ctx := t.Context()
	s, err := server.Start(ctx, server.Config{SQLAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", SingleNode: true, Insecure: true, Replicas: 1,
		Logger: slog.New(slog.DiscardHandler), HTTPHandler: func(s *server.Server) http.Handler { return Handler(s) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, "postgresql://root@"+s.SQLAddr()+"/defaultdb?sslmode=disable&application_name=shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the node may be gone
	return s, conn
}

func fetch(t *testing.T, s *server.Server, path string) string {
	t.Helper()
	r, err := http.Get(s.HTTPURL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b := body(t, r)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", path, r.Status, b)
	}
	return b
}

func fetchAPI[T any](t *testing.T, s *server.Server, path string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(fetch(t, s, "/api/v1/"+path)), &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// The figures are those of what ran.
func TestNode(t *testing.T) {
	s, conn := serve(t)
	before := fetchAPI[Overview](t, s, "overview").Counters
	exec(t, conn, "CREATE TABLE goods (k int PRIMARY KEY, v text)")
	exec(t, conn, "INSERT INTO goods SELECT g, 'x' FROM generate_series(1, 10) g")
	exec(t, conn, "UPDATE goods SET v = 'y' WHERE k <= 4")
	for range 3 {
		exec(t, conn, "SELECT v FROM goods WHERE k = 5")
	}
	exec(t, conn, "ALTER TABLE goods SPLIT AT VALUES (5)")
	o := fetchAPI[Overview](t, s, "overview")
	if c := o.Counters; c.Reads != before.Reads+3 || c.Writes != before.Writes+2 || c.Sessions != 1 || c.Commits <= before.Commits || c.Leases < 1 || c.Ranges < c.Leases {
		t.Errorf("before %+v, after %+v", before, c)
	}
	if len(o.Nodes) != 1 || o.Nodes[0].Counters.Writes != o.Counters.Writes || o.Nodes[0].Node != 1 || o.Nodes[0].UptimeSeconds <= 0 {
		t.Errorf("nodes %+v", o.Nodes)
	}
	nodes := fetchAPI[[]Node](t, s, "nodes")
	if len(nodes) != 1 || !nodes[0].Live || nodes[0].Leases < 1 || nodes[0].SQLAddr != s.SQLAddr() {
		t.Errorf("nodes %+v", nodes)
	}
	holding := 0
	for i, r := range fetchAPI[[]Range](t, s, "ranges") {
		if r.Leaseholder != 1 || r.Leader != 1 || len(r.Replicas) != 1 || i == 0 && r.Start != "/Min" {
			t.Errorf("range %+v", r)
		}
		for _, name := range r.Tables {
			if name == "defaultdb.public.goods" {
				holding++
			}
			if strings.Contains(name, "pg_catalog") {
				t.Errorf("r%d holds %s, which is virtual", r.ID, name)
			}
		}
	}
	if holding != 2 {
		t.Errorf("%d ranges hold the table that was split once", holding)
	}
	rows := map[string]int64{}
	for _, x := range fetchAPI[[]Statement](t, s, "statements") {
		rows[x.Query] = x.Rows
	}
	if rows["select v from goods where k = $1"] != 3 || rows["update goods set v = $1 where k <= $2"] != 4 {
		t.Errorf("rows by statement: %v", rows)
	}
	sessions := fetchAPI[[]Session](t, s, "sessions")
	if len(sessions) != 1 || sessions[0].Application != "shop" || sessions[0].State != "idle" || !strings.HasPrefix(sessions[0].Query, "ALTER TABLE") {
		t.Errorf("sessions %+v", sessions)
	}
	exec(t, conn, "BEGIN; INSERT INTO goods VALUES (100)")
	if x := fetchAPI[[]Transaction](t, s, "transactions"); len(x) != 1 || x[0].BufferedWrites != 1 || x[0].SessionPID != sessions[0].PID {
		t.Errorf("transactions %+v", x)
	}
	exec(t, conn, "ROLLBACK")
}

// Nothing that proves who somebody is shows anywhere.
func TestNoSecrets(t *testing.T) {
	s, conn := serve(t)
	exec(t, conn, "CREATE USER clerk PASSWORD 'geheim'")
	for _, path := range []string{"/api/v1/overview", "/api/v1/nodes", "/api/v1/ranges", "/api/v1/sessions", "/api/v1/statements", "/api/v1/transactions",
		"/metrics", "/health", "/debug/pprof/goroutine?debug=2"} {
		if b := fetch(t, s, path); strings.Contains(b, "geheim") || strings.Contains(b, "SCRAM-SHA-256$") {
			t.Errorf("%s holds a secret", path)
		}
	}
	if super, ok := s.Login(t.Context(), "clerk", "geheim"); super || !ok {
		t.Errorf("clerk: superuser %t, known %t", super, ok)
	}
	for user, password := range map[string]string{"clerk": "falsch", "nobody": "geheim", "root": ""} {
		if _, ok := s.Login(t.Context(), user, password); ok {
			t.Errorf("%s entered with %q", user, password)
		}
	}
}

// A node that drains is alive, and not ready: whoever balances load looks elsewhere.
func TestDraining(t *testing.T) {
	s, _ := serve(t)
	if !strings.Contains(fetch(t, s, "/health?ready=1"), `"ready":true`) {
		t.Error("a node that serves is not ready")
	}
	h := Handler(s)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	w := newRecorder(h, "/health?ready=1")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"draining":true`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

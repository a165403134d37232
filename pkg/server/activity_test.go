package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/server"
)

// startCluster runs n nodes in this process, in memory, that stop with the test.
func startCluster(t *testing.T, n int) []*server.Server {
	t.Helper()
	ctx := t.Context()
	var nodes []*server.Server
	for i := range n {
		c := server.Config{SQLAddr: "127.0.0.1:0", ListenAddr: "127.0.0.1:0", Insecure: true, Logger: slog.New(slog.DiscardHandler)}
		if i > 0 {
			c.Join = []string{nodes[0].RPCAddr()}
		}
		s, err := server.Start(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopNode(t, s) })
		nodes = append(nodes, s)
		if i == 0 {
			initialize(t, s.RPCAddr())
		}
		if err := s.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

func stopNode(t *testing.T, s *server.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.StopWithCluster(ctx); err != nil {
		t.Error(err)
	}
}

func initialize(t *testing.T, addr string) {
	t.Helper()
	n := rpc.NewNode(t.Context(), rpc.Options{})
	defer n.Close()
	if _, err := n.CallAddr(t.Context(), addr, rpc.MethodInit, nil); err != nil {
		t.Fatal(err)
	}
}

// connect opens a connection that notes the notices it gets.
func connect(t *testing.T, s *server.Server, notices *[]string) *pgx.Conn {
	t.Helper()
	c, err := pgx.ParseConfig(fmt.Sprintf("postgresql://root@%s/defaultdb?sslmode=disable", s.SQLAddr()))
	if err != nil {
		t.Fatal(err)
	}
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		*notices = append(*notices, n.Severity+" "+n.Code+" "+n.Message)
	}
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline, err := time.Now().Add(20*time.Second), errors.New("never tried")
	for time.Now().Before(deadline) {
		if err = ok(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

// nodesOf lists the node ids that a query finds, in order.
func nodesOf(conn *pgx.Conn, query string) (string, error) {
	rows, err := conn.Query(context.Background(), query)
	if err != nil {
		return "", err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	return strings.Trim(fmt.Sprint(list), "[]"), err
}

// Any node shows what all of them do; whoever does not answer is named.
func TestActivityOfAllNodes(t *testing.T) {
	nodes := startCluster(t, 3)
	var notices []string
	var conns []*pgx.Conn
	for i, s := range nodes {
		conn := connect(t, s, &notices)
		conns = append(conns, conn)
		if i == 0 {
			if _, err := conn.Exec(t.Context(), "CREATE TABLE t (a INT PRIMARY KEY)"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, conn := range conns {
		eventually(t, "an open transaction", func() error {
			_, err := conn.Exec(t.Context(), fmt.Sprintf("BEGIN; INSERT INTO t VALUES (%d)", i))
			if err != nil {
				_, _ = conn.Exec(t.Context(), "ROLLBACK") // and again
			}
			return err
		})
	}
	looker := connect(t, nodes[1], &notices)
	for table, query := range map[string]string{
		"sessions":     "SELECT node_id FROM pamir_internal.sessions WHERE state = 'idle in transaction' ORDER BY 1",
		"transactions": "SELECT node_id FROM pamir_internal.transactions WHERE buffered_writes > 0 ORDER BY 1",
		"statements":   "SELECT node_id FROM pamir_internal.statements WHERE query LIKE 'insert into t values%' ORDER BY 1",
	} {
		eventually(t, table, func() error {
			got, err := nodesOf(looker, query)
			if err == nil && got != "1 2 3" {
				err = fmt.Errorf("of nodes %s, want 1 2 3", got)
			}
			return err
		})
	}
	notices = nil
	if got, err := nodesOf(looker, "SELECT count(*)::int4 FROM pg_stat_activity"); err != nil || got != "2" {
		t.Errorf("pg_stat_activity has %s backends (%v), want this node's 2", got, err)
	}
	if len(notices) > 0 {
		t.Errorf("notices while all nodes answer: %v", notices)
	}

	stopNode(t, nodes[2])
	began := time.Now()
	got, err := nodesOf(looker, "SELECT DISTINCT node_id FROM pamir_internal.sessions ORDER BY 1")
	if err != nil || got != "1 2" {
		t.Errorf("sessions of nodes %s (%v), want 1 2", got, err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the answer without node 3 took %s", d)
	}
	want := "WARNING 01000 node 3 does not answer: its sessions are missing"
	if len(notices) != 1 || notices[0] != want {
		t.Errorf("notices %q, want %q", notices, want)
	}
}

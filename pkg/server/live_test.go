package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/server"
)

// TestNodesAfterDrain: a node that was drained is draining at once for whoever
// asks, also if he asked just before.
func TestNodesAfterDrain(t *testing.T) {
	nodes := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	draining := func(at int) int {
		t.Helper()
		all, err := nodes[at].Nodes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, d := range all {
			if d.Draining {
				n++
			}
		}
		return n
	}
	for at := range nodes {
		if n := draining(at); n != 0 {
			t.Fatalf("node %d: %d nodes drain", at+1, n)
		}
	}
	n := rpc.NewNode(ctx, rpc.Options{})
	defer n.Close()
	b, err := json.Marshal(server.AdminRequest{Op: server.AdminDrain})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.CallAddr(ctx, nodes[1].RPCAddr(), rpc.MethodAdmin, b); err != nil {
		t.Fatal(err)
	}
	for at := range nodes {
		if n := draining(at); n != 1 {
			t.Errorf("node %d: %d nodes drain", at+1, n)
		}
	}
}

// TestLoneNodeStarted: a node that nobody can join started once.
func TestLoneNodeStarted(t *testing.T) {
	s, err := server.Start(t.Context(), server.Config{SingleNode: true, Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer stopNode(t, s)
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Nodes(t.Context())
	if err != nil || len(all) != 1 || !all[0].Started.Equal(s.Started()) {
		t.Errorf("%v, %v; started %s", all, err, s.Started())
	}
}

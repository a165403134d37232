package server_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/server"
)

// TestJoinsItself: --join holds the node's own address, by a name that the node
// does not know itself by. Initialized, it does not take itself for a rival.
func TestJoinsItself(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(own)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("localhost", port)
	s, err := server.Start(t.Context(), server.Config{ListenAddr: own, Join: []string{addr}, Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer stopNode(t, s)
	initialize(t, addr)
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Nor does gossip with itself count as one with another node.
	n := rpc.NewNode(t.Context(), rpc.Options{})
	defer n.Close()
	n.SetIdentity(s.NodeID(), s.ClusterID())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if answer, err := n.CallAddr(ctx, addr, rpc.MethodGossip, []byte("{}")); err == nil {
		t.Errorf("the node answered itself: %s", answer)
	}
}

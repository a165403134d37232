package raftgroup

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// tcpNode is a node with a directory and real sockets.
type tcpNode struct {
	e    engine.Engine
	net  *rpc.Node
	l    net.Listener
	h    Host
	done chan struct{}
}

func startTCP(t *testing.T, n ids.NodeID, dir, addr string, resolve func(ids.NodeID) (string, bool)) *tcpNode {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	node := rpc.NewNode(context.Background(), rpc.Options{Resolve: resolve, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	node.SetIdentity(n, "test")
	h, err := NewHost(Options{Node: n, Engine: e, Peers: node, LogDir: dir + "/raft"})
	if err != nil {
		t.Fatal(err)
	}
	x := &tcpNode{e, node, l, h, make(chan struct{})}
	go func() { defer close(x.done); _ = node.Serve(l) }()
	return x
}

func (x *tcpNode) open(t *testing.T, n ids.NodeID, r ids.RangeID) {
	t.Helper()
	b := &engine.Batch{}
	if err := x.h.Seed(b, r, voters(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	x.e.Write(b)
	if _, err := x.h.Open(r, Member{Node: n, Replica: ids.ReplicaID(n)}, &listSM{e: x.e, r: r, node: n}); err != nil {
		t.Fatal(err)
	}
}

func (x *tcpNode) close(t *testing.T) {
	t.Helper()
	x.l.Close()
	x.net.Close()
	<-x.done
	if err := x.h.Close(); err != nil {
		t.Error(err)
	}
	if err := x.e.Close(); err != nil {
		t.Error(err)
	}
}

// TestFailoverOverTCP loses each node in turn, with disks and sockets.
func TestFailoverOverTCP(t *testing.T) {
	var mu sync.Mutex
	addrs := map[ids.NodeID]string{}
	dirs := map[ids.NodeID]string{}
	resolve := func(n ids.NodeID) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		a, ok := addrs[n]
		return a, ok
	}
	nodes := map[ids.NodeID]*tcpNode{}
	for n := ids.NodeID(1); n <= 3; n++ {
		dirs[n] = t.TempDir()
		nodes[n] = startTCP(t, n, dirs[n], "127.0.0.1:0", resolve)
		mu.Lock()
		addrs[n] = nodes[n].l.Addr().String()
		mu.Unlock()
	}
	const ranges = 8
	for n, x := range nodes {
		for r := ids.RangeID(1); r <= ranges; r++ {
			x.open(t, n, r)
		}
	}
	leader := func(r ids.RangeID) Group {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			for _, x := range nodes {
				if g, ok := x.h.Lookup(r); ok && g.IsLeader() {
					return g
				}
			}
		}
		t.Fatalf("%s has no leader", r)
		return nil
	}
	var want []string
	for round := 0; round < 4; round++ {
		start := time.Now()
		cmd := fmt.Sprint("c", round)
		for r := ids.RangeID(1); r <= ranges; r++ {
			mustPropose(t, leader(r), cmd)
		}
		want = append(want, cmd)
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("round %d: all groups served after %v", round, d)
		} else {
			t.Logf("round %d: all groups served after %v", round, d)
		}
		if round > 0 { // let the one that came back catch up before the next is lost
			n := ids.NodeID(1 + (round-1)%3)
			nodes[n] = startTCP(t, n, dirs[n], addrs[n], resolve)
			for r := ids.RangeID(1); r <= ranges; r++ {
				nodes[n].open(t, n, r)
			}
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			same := true
			for _, x := range nodes {
				for r := ids.RangeID(1); r <= ranges; r++ {
					same = same && join((&listSM{e: x.e, r: r}).items()) == join(want)
				}
			}
			if same {
				t.Logf("round %d: all agree after %v", round, time.Since(start))
				break
			}
			if time.Now().After(end) {
				t.Fatal("the nodes do not agree")
			}
		}
		if round < 3 {
			n := ids.NodeID(1 + round%3)
			start := time.Now()
			nodes[n].close(t)
			delete(nodes, n)
			t.Logf("round %d: closing took %v", round, time.Since(start))
		}
	}
	for _, x := range nodes {
		x.close(t)
	}
}

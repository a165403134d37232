package raftgroup

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// benchCluster is three nodes with disks in one process.
func benchCluster(b *testing.B, ranges int) (hosts []Host, leader func(ids.RangeID) Group, closeAll func()) {
	net := rpc.NewMemNetwork()
	var engines []engine.Engine
	var nodes []*rpc.MemNode
	for n := ids.NodeID(1); n <= 3; n++ {
		dir := b.TempDir()
		e, err := engine.Open(dir, engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		p := net.Node(n)
		h, err := NewHost(Options{Node: n, Engine: e, LogDir: dir + "/raft", Peers: p})
		if err != nil {
			b.Fatal(err)
		}
		p.Start()
		engines, hosts, nodes = append(engines, e), append(hosts, h), append(nodes, p)
		for r := ids.RangeID(1); int(r) <= ranges; r++ {
			bt := &engine.Batch{}
			if err := h.Seed(bt, r, voters(1, 2, 3)); err != nil {
				b.Fatal(err)
			}
			e.Write(bt)
			if _, err := h.Open(r, voters(n)[0], &listSM{e: e, r: r, node: n}); err != nil {
				b.Fatal(err)
			}
		}
	}
	leader = func(r ids.RangeID) Group {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			for _, h := range hosts {
				if g, _ := h.Lookup(r); g.IsLeader() {
					return g
				}
			}
		}
		b.Fatalf("%s has no leader", r)
		return nil
	}
	return hosts, leader, func() {
		for i := range hosts {
			_ = hosts[i].Close()
			nodes[i].Close()
			_ = engines[i].Close()
		}
	}
}

func BenchmarkProposeThreeNodes(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			_, leader, closeAll := benchCluster(b, 1)
			defer closeAll()
			g := leader(1)
			cmd := strings.Repeat("x", 200)
			if _, err := propose(g, cmd); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := 0; c < clients; c++ {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := c; i < b.N; i += clients {
						if _, err := propose(g, cmd); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			wg.Wait()
			b.StopTimer()
		})
	}
}

// BenchmarkIdle measures what a second of 30 idle groups on three nodes costs;
// read it with -benchtime 5x and the process's CPU time.
func BenchmarkIdle(b *testing.B) {
	_, leader, closeAll := benchCluster(b, 30)
	defer closeAll()
	for r := ids.RangeID(1); r <= 30; r++ {
		leader(r)
	}
	time.Sleep(time.Second)
	start := cpuTime(b)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		time.Sleep(time.Second)
	}
	b.StopTimer()
	b.ReportMetric(100*(cpuTime(b)-start).Seconds()/float64(b.N), "%cpu")
}

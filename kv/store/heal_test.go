package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/lifecycle"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// manage starts a node's lifecycle manager; it stops with the test.
func (c *testCluster) manage(n *node) {
	n.store.KeepAlive()
	m := lifecycle.New(lifecycle.Config{Store: n.store, Node: n.id, Admin: n.db.Admin(), Logger: testLog(), Replicas: 3, DeadAfter: 2 * time.Second,
		Nodes: func() []api.NodeDescriptor {
			var out []api.NodeDescriptor
			for id := range c.known.Load() {
				out = append(out, api.NodeDescriptor{Node: ids.NodeID(id + 1)})
			}
			return out
		}})
	m.Start()
	n.managers = append(n.managers, m)
}

func testLog() *slog.Logger {
	if os.Getenv("PAMIR_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// noneLeft tells when a node has no replica that its range does not have; that it
// is given new ones meanwhile, to spread them, is as it should be.
func (c *testCluster) noneLeft(asked, n *node) func(ctx context.Context) (string, bool) {
	return func(ctx context.Context) (string, bool) {
		infos, err := asked.db.Admin().Ranges(ctx, keys.MinKey, keys.MaxKey)
		if err != nil {
			return err.Error(), false
		}
		has := map[ids.RangeID]api.ReplicaDescriptor{}
		for i := range infos {
			if rep, ok := infos[i].Desc.Replica(n.id); ok {
				has[infos[i].Desc.RangeID] = rep
			}
		}
		var left []string
		n.store.Replicas(func(r *store.Replica) bool {
			knows, _ := r.Desc().Replica(n.id)
			if rep, ok := has[r.RangeID()]; !ok || knows.Replica != rep.Replica {
				left = append(left, fmt.Sprintf("%s, which has %v", r.RangeID(), rep))
			}
			return true
		})
		return fmt.Sprint("left are replicas of ", left), len(left) == 0
	}
}

// await waits until ok, or fails with what it last said.
func (c *testCluster) await(what string, d time.Duration, ok func(ctx context.Context) (string, bool)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	began := time.Now()
	for last := ""; ; {
		said, done := ok(ctx)
		if done {
			c.t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
			return
		}
		if ctx.Err() == nil {
			last = said
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			c.t.Fatalf("not %s after %s: %s", what, d, last)
		}
	}
}

// replicasOn reports whether every range has voters exactly on these nodes.
func (c *testCluster) replicasOn(from *node, nodes ...ids.NodeID) func(context.Context) (string, bool) {
	return func(ctx context.Context) (string, bool) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		infos, err := from.db.Admin().Ranges(ctx, keys.MinKey, keys.MaxKey)
		if err != nil {
			return err.Error(), false
		}
		for _, info := range infos {
			said := info.Desc.RangeID.String()
			for _, r := range info.Desc.Replicas {
				said += " " + r.Node.String()
				if r.Type != api.Voter {
					return said + " learns", false
				}
			}
			if len(info.Desc.Replicas) != len(nodes) {
				return said, false
			}
			for _, n := range nodes {
				if _, ok := info.Desc.Replica(n); !ok {
					return said, false
				}
			}
		}
		return "", true
	}
}

// Nodes join and get replicas; one dies and is replaced; when it comes back, it
// gives up what it is no longer part of.
func TestClusterHeals(t *testing.T) {
	t.Parallel()
	c := &testCluster{t: t, w: rpc.NewMemNetwork()}
	t.Cleanup(c.close)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()}
	join := func(i int) *node {
		n := c.startNode(ids.NodeID(i+1), dirs[i], i == 0)
		c.known.Store(max(c.known.Load(), int64(i+1)))
		if i < len(c.nodes) {
			c.nodes[i] = n
		} else {
			c.nodes = append(c.nodes, n)
		}
		c.manage(n)
		return n
	}
	ctx := context.Background()
	first := join(0)
	for i := range 3 {
		if err := first.db.Admin().Split(ctx, accountKey(3+3*i)); err != nil {
			t.Fatal(err)
		}
	}
	b := newBank(c, 12)
	b.run(c.nodes, 2)
	join(1)
	third := join(2)
	c.await("replicated", time.Minute, c.replicasOn(first, 1, 2, 3))
	// The clients are on the first node, which would keep all leases.
	c.await("the third node has a lease", time.Minute, func(ctx context.Context) (string, bool) {
		err := first.db.Admin().TransferLease(ctx, accountKey(3), third.id)
		_, leases := third.store.Counts()
		return fmt.Sprint(err), leases > 0
	})
	third.stop()
	join(3)
	c.await("healed", time.Minute, c.replicasOn(first, 1, 2, 4))
	third = join(2)
	c.await("tidied up", time.Minute, c.noneLeft(first, third))
	b.finish([]*node{c.nodes[0], c.nodes[1], c.nodes[3]})
	c.checkReplicasAgree()
}

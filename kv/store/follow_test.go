package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// leases returns who holds the lease of each range of tables, in key order.
func (c *testCluster) leases() (holders []ids.NodeID, leases []api.Lease) {
	c.t.Helper()
	infos, err := c.nodes[0].db.Admin().Ranges(context.Background(), keys.TablePrefix, keys.MaxKey)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range infos {
		holders = append(holders, infos[i].Lease.Holder.Node)
		leases = append(leases, infos[i].Lease)
	}
	return holders, leases
}

// inVirtualTime runs a test in a process of its own: channels of virtual time must
// not get into pools that tests in real time take from.
func inVirtualTime(t *testing.T, test func(t *testing.T)) {
	if os.Getenv("PAMIR_TEST_ALONE") != "" {
		synctest.Test(t, test)
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PAMIR_TEST_ALONE=1")
	out, err := cmd.CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Fatal(err)
	}
}

// Leases go to the node that the clients talk to and stay there as long as they
// do; then they spread again.
func TestLeasesFollowTheWorkload(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		c := &testCluster{t: t, w: rpc.NewMemNetwork()}
		c.known.Store(3)
		t.Cleanup(c.close)
		for i := range 3 {
			c.nodes = append(c.nodes, c.startNode(ids.NodeID(i+1), "", i == 0))
		}
		ctx := context.Background()
		first := c.nodes[0]
		for i := range 3 {
			if err := first.db.Admin().Split(ctx, accountKey(3+3*i)); err != nil {
				t.Fatal(err)
			}
		}
		b := newBank(c, 12)
		for _, n := range c.nodes {
			c.manage(n)
		}
		c.await("replicated", time.Minute, c.replicasOn(first, 1, 2, 3))
		even := func(context.Context) (string, bool) {
			var counts []int
			for _, n := range c.nodes {
				_, leases := n.store.Counts()
				counts = append(counts, leases)
			}
			return fmt.Sprint(counts), slices.Max(counts)-slices.Min(counts) <= 1
		}
		c.await("spread", time.Minute, even)
		b.pause = 30 * time.Millisecond
		b.run(c.nodes[1:2], 5)
		c.await("where the workload is", 30*time.Second, func(context.Context) (string, bool) {
			holders, _ := c.leases()
			for _, n := range holders {
				if n != 2 {
					return fmt.Sprint(holders), false
				}
			}
			return "", true
		})
		_, before := c.leases()
		time.Sleep(30 * time.Second) // virtual: as many rounds of each manager
		_, after := c.leases()
		for i := range before {
			if before[i].Seq != after[i].Seq {
				t.Errorf("a lease has moved: %+v, then %+v", before[i], after[i])
			}
		}
		b.finish(c.nodes)
		c.await("spread again", time.Minute, even)
		// A move takes milliseconds. What takes longest is a deadlock of two transfers
		// on different nodes, which is looked for after 50 ms and made sure of after as
		// many; another may follow.
		const stall = 250 * time.Millisecond
		for _, w := range b.workers {
			if n := w.ambiguous.Load(); n != 0 || w.slowest > stall {
				t.Errorf("%d ambiguous transfers, %s at most", n, w.slowest)
			}
		}
	})
}

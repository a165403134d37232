package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// bank moves money between accounts on all nodes at once and counts, for each
// worker, its own deposits into a ledger row of its own.
type bank struct {
	c        *testCluster
	accounts int
	workers  []*worker
	// pause is what a worker does between transfers.
	pause time.Duration
	stop  atomic.Bool
	wg    sync.WaitGroup
}

type worker struct {
	id        int
	acked     atomic.Int64
	ambiguous atomic.Int64
	// slowest is the longest that a transfer took; the worker's own until it ends.
	slowest time.Duration
}

const startBalance = 100

func accountKey(i int) api.Key { return tkey(i) }
func ledgerKey(i int) api.Key  { return tkey(10_000 + i) }

func newBank(c *testCluster, accounts int) *bank {
	for i := range accounts {
		c.put(c.nodes[0], i, strconv.Itoa(startBalance))
	}
	b := &bank{c: c, accounts: accounts}
	c.t.Cleanup(func() { // before the nodes stop
		b.stop.Store(true)
		b.wg.Wait()
	})
	return b
}

func number(r *api.Response) int {
	n, _ := strconv.Atoi(string(r.Value))
	return n
}

// transfer moves one unit and notes it in the worker's ledger.
func (b *bank) transfer(ctx context.Context, n *node, w *worker, from, to int) error {
	return n.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var g kv.Batch
		g.Get(accountKey(from))
		g.Get(accountKey(to))
		g.Get(ledgerKey(w.id))
		if err := t.Send(ctx, &g); err != nil {
			return err
		}
		var p kv.Batch
		p.Put(accountKey(from), []byte(strconv.Itoa(number(&g.Responses[0])-1)), api.Expect{})
		p.Put(accountKey(to), []byte(strconv.Itoa(number(&g.Responses[1])+1)), api.Expect{})
		p.Put(ledgerKey(w.id), []byte(strconv.Itoa(number(&g.Responses[2])+1)), api.Expect{})
		return t.Send(ctx, &p)
	})
}

// run starts workers on the nodes; a worker gives up a transfer after a while, and
// counts it as ambiguous if it may have happened.
func (b *bank) run(nodes []*node, perNode int) {
	for _, n := range nodes {
		for range perNode {
			w := &worker{id: len(b.workers)}
			b.workers = append(b.workers, w)
			b.wg.Add(1)
			go func() {
				defer b.wg.Done()
				rng := rand.New(rand.NewPCG(uint64(w.id), 1))
				for !b.stop.Load() {
					time.Sleep(b.pause)
					ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
					from := rng.IntN(b.accounts)
					began := time.Now()
					err := b.transfer(ctx, n, w, from, (from+1+rng.IntN(b.accounts-1))%b.accounts)
					cancel()
					w.slowest = max(w.slowest, time.Since(began))
					var amb *api.AmbiguousError
					switch {
					case err == nil:
						w.acked.Add(1)
					case errors.As(err, &amb) || errors.Is(err, context.DeadlineExceeded):
						w.ambiguous.Add(1)
					}
				}
			}()
		}
	}
}

// finish stops the workers and checks what they left, as every node sees it.
func (b *bank) finish(nodes []*node) {
	b.c.t.Helper()
	b.stop.Store(true)
	b.wg.Wait()
	for _, n := range nodes {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		sum, ledger := 0, make([]int, len(b.workers))
		err := n.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
			var g kv.Batch
			for i := range b.accounts {
				g.Get(accountKey(i))
			}
			for i := range b.workers {
				g.Get(ledgerKey(i))
			}
			if err := t.Send(ctx, &g); err != nil {
				return err
			}
			sum = 0
			for i := range b.accounts {
				sum += number(&g.Responses[i])
			}
			for i := range b.workers {
				ledger[i] = number(&g.Responses[b.accounts+i])
			}
			return nil
		})
		if err != nil {
			b.c.t.Fatal(err)
		}
		if sum != b.accounts*startBalance {
			b.c.t.Errorf("the accounts sum up to %d on %s, not %d", sum, n.id, b.accounts*startBalance)
		}
		total := 0
		for i, w := range b.workers {
			total += ledger[i]
			if got, acked := int64(ledger[i]), w.acked.Load(); got < acked || got > acked+w.ambiguous.Load() {
				b.c.t.Errorf("worker %d has %d transfers on %s: %d acknowledged, %d ambiguous", i, got, n.id, acked, w.ambiguous.Load())
			}
		}
		if total == 0 {
			b.c.t.Error("nothing was transferred")
		}
		b.c.t.Logf("%d transfers as %s sees them", total, n.id)
	}
}

// replicate gives every range three replicas.
func (c *testCluster) replicate() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, n := range c.nodes {
		n.store.KeepAlive()
	}
	for _, k := range []api.Key{keys.MinKey, keys.SystemPrefix, keys.TablePrefix} {
		if err := c.nodes[0].db.Admin().ChangeReplicas(ctx, k, []ids.NodeID{2, 3}, nil); err != nil {
			c.t.Fatalf("%s: %v", keys.Pretty(k), err)
		}
	}
}

func TestSplitsAndLeaseMovesUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.replicate()
	b := newBank(c, 30)
	b.run(c.nodes, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	admin := c.nodes[1].db.Admin()
	for i := range 12 {
		at := (i*7 + 3) % 30
		if err := admin.Split(ctx, accountKey(at)); err != nil {
			t.Errorf("split at %d: %v", at, err)
		}
		to := ids.NodeID(i%3 + 1)
		if err := admin.TransferLease(ctx, accountKey(at), to); err != nil {
			t.Logf("lease at %d to %s: %v", at, to, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.finish(c.nodes)
	infos, err := admin.Ranges(ctx, keys.MinKey, keys.MaxKey)
	if err != nil || len(infos) != 15 {
		t.Fatalf("%d ranges, %v", len(infos), err)
	}
	for i := 1; i < len(infos); i++ {
		if string(infos[i].Desc.Start) != string(infos[i-1].Desc.End) && i > 1 {
			t.Errorf("a gap before %s", keys.Pretty(infos[i].Desc.Start))
		}
	}
	c.checkReplicasAgree()
}

// checkReplicasAgree compares the replicas' checksums until they are alike.
func (c *testCluster) checkReplicasAgree() {
	c.t.Helper()
	c.await("replicas agree", 20*time.Second, func(ctx context.Context) (string, bool) {
		infos, err := c.nodes[0].db.Admin().Ranges(ctx, keys.TablePrefix, keys.MaxKey)
		if err != nil {
			return err.Error(), false
		}
		for _, info := range infos {
			var said []string
			sums := map[int64]bool{}
			for _, n := range c.nodes {
				if r, ok := n.store.Replica(info.Desc.RangeID); ok && n.db != nil {
					sum := r.ChecksumHere()
					said, sums[sum] = append(said, fmt.Sprintf("%s %08x", n.id, sum)), true
				}
			}
			if len(said) != len(info.Desc.Replicas) || len(sums) != 1 {
				return fmt.Sprintf("%s: %v of %d", info.Desc.RangeID, said, len(info.Desc.Replicas)), false
			}
		}
		return "", true
	})
}

// A leaseholder that is cut off serves until its lease ends, and nobody else
// before that; then the others go on without it, and it catches up when it is back.
//
// The others know where else to ask, though the leaseholder was the only replica
// when they looked, and has served them ever since.
func TestLeaseholderCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, n := range c.nodes {
		c.get(n, 0)
	}
	c.replicate()
	for _, n := range c.nodes {
		c.get(n, 0)
		if d, err := n.router.Range(ctx, accountKey(0)); err != nil || len(d.Replicas) != 3 {
			t.Errorf("%s knows %+v, %v", n.id, d, err)
		}
	}
	b := newBank(c, 10)
	if err := c.nodes[0].db.Admin().Split(ctx, accountKey(5)); err != nil {
		t.Fatal(err)
	}
	b.run(c.nodes, 2)
	time.Sleep(300 * time.Millisecond)
	c.w.Isolate(1, true)
	began := time.Now()
	for c.tryPut(c.nodes[1], 20_000, "without n1") != nil && time.Since(began) < 20*time.Second {
	}
	t.Logf("served without the leaseholder after %s", time.Since(began))
	if d := time.Since(began); d > 6*time.Second {
		t.Errorf("took %s", d)
	}
	time.Sleep(500 * time.Millisecond)
	c.w.Isolate(1, false)
	time.Sleep(500 * time.Millisecond)
	if got := c.get(c.nodes[0], 20_000); got != "without n1" {
		t.Errorf("the node that was cut off reads %q", got)
	}
	b.finish(c.nodes)
	c.checkReplicasAgree()
}

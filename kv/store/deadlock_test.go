package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// A deadlock over two nodes is found soon, even if the transaction that has to give
// way is not the first to wait for its lock.
func TestDeadlockOverNodes(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		c := &testCluster{t: t, w: rpc.NewMemNetwork()}
		t.Cleanup(c.close)
		for i := range 3 {
			c.nodes = append(c.nodes, c.startNode(ids.NodeID(i+1), "", i == 0))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		admin := c.nodes[0].db.Admin()
		if err := admin.Split(ctx, tkey(5)); err != nil {
			t.Fatal(err)
		}
		c.put(c.nodes[0], 1, "a")
		c.put(c.nodes[0], 7, "b")
		for _, n := range c.nodes {
			n.store.KeepAlive()
		}
		for _, k := range []api.Key{keys.MinKey, keys.SystemPrefix, keys.TablePrefix, tkey(5)} {
			if err := admin.ChangeReplicas(ctx, k, []ids.NodeID{2, 3}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for key, n := range map[int]ids.NodeID{1: 2, 7: 3} {
			if err := admin.TransferLease(ctx, tkey(key), n); err != nil {
				t.Fatal(err)
			}
		}
		begin := func() kv.Txn {
			time.Sleep(time.Millisecond) // the next one is younger
			txn, err := c.nodes[0].db.Begin(ctx, kv.TxnOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = txn.Rollback(context.Background()) })
			return txn
		}
		lock := func(txn kv.Txn, key int) error {
			var b kv.Batch
			b.GetLocked(tkey(key), api.LockExclusive, api.WaitBlock)
			return txn.Send(ctx, &b)
		}
		old, young, other := begin(), begin(), begin()
		if err := errors.Join(lock(old, 7), lock(young, 1)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			_ = lock(other, 7)
			_ = other.Rollback(ctx)
		})
		time.Sleep(time.Millisecond)
		wg.Go(func() {
			var deadlock *api.DeadlockError
			if err := lock(young, 7); !errors.As(err, &deadlock) {
				t.Errorf("the younger got %v", err)
			}
			_ = young.Rollback(ctx)
		})
		time.Sleep(time.Millisecond)
		began := time.Now()
		if err := lock(old, 1); err != nil {
			t.Errorf("the older got %v", err)
		}
		t.Logf("the older waited for %s", time.Since(began))
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Errorf("the older waited for %s", d)
		}
		_ = old.Rollback(ctx)
	})
}

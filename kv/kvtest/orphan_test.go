package kvtest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Parents are rows 0 to 4, in the first ranges; the children of parent p are the
// rows from 20+10p on, in others.
const parents, children = 5, 8

func childKey(p, n int) api.Key { return key(20 + 10*p + n) }

// chaos drops all locks again and again until stop is called, now and then late
// enough for a slow machine to commit something in between.
func chaos(c *kvtest.Cluster) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-done:
				return
			case <-time.After(rand.N(16 * time.Millisecond)):
				c.DropLocks()
			}
		}
	}()
	return func() { close(done); wg.Wait() }
}

// insertChild adds a child if its parent is there, as a foreign key demands.
func insertChild(ctx context.Context, t kv.Txn, p, n int) error {
	var b kv.Batch
	b.Put(childKey(p, n), val("child"), api.Expect{})
	if err := t.Send(ctx, &b); err != nil {
		return err
	}
	b.Reset()
	b.GetLocked(key(p), api.LockShared, api.WaitBlock)
	b.ReadSeq = t.Step()
	if err := t.Send(ctx, &b); err != nil {
		return err
	}
	if !b.Responses[0].Exists {
		return errNoParent
	}
	linger()
	return nil
}

// linger gives the locks time to get lost before the commit.
func linger() { time.Sleep(rand.N(time.Millisecond)) }

var errNoParent = errors.New("no parent")

// deleteParent removes a parent with its children, or puts it back. It reports
// whether it saw children without a parent, which counts only if it commits.
func deleteParent(ctx context.Context, t kv.Txn, p int) (orphans bool, err error) {
	var b kv.Batch
	b.GetLocked(key(p), api.LockExclusive, api.WaitBlock)
	if err := t.Send(ctx, &b); err != nil {
		return false, err
	}
	exists := b.Responses[0].Exists
	linger()
	b.Reset()
	b.ReadSeq = t.Step()
	// The snapshot may be older than a child that came before our lock.
	b.Scan(childKey(p, 0), childKey(p, children), &api.ScanOptions{Latest: true})
	if err := t.Send(ctx, &b); err != nil {
		return false, err
	}
	if len(b.Responses[0].KVs) > 0 {
		orphans = !exists
		b.Reset()
		for n := range children {
			b.Delete(childKey(p, n), api.Expect{})
		}
		b.Delete(key(p), api.Expect{})
		return orphans, t.Send(ctx, &b)
	}
	b.Reset()
	if exists {
		b.Delete(key(p), api.Expect{})
	} else {
		b.Put(key(p), val("parent"), api.Expect{})
	}
	return false, t.Send(ctx, &b)
}

// TestNoOrphans runs foreign keys' locks at every level while locks get lost.
func TestNoOrphans(t *testing.T) {
	for name, o := range shapes() {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			stop := chaos(c)
			var wg sync.WaitGroup
			for w := range 6 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					r := rand.New(rand.NewPCG(uint64(w), 5))
					db := c.Node(ids.NodeID(w%max(1, o.Nodes) + 1))
					for range 150 {
						p, n := r.IntN(parents), r.IntN(children)
						orphans := false
						err := db.Run(ctx, kv.TxnOptions{Isolation: levels[w%3]}, func(t kv.Txn) (err error) {
							if w < 3 {
								return insertChild(ctx, t, p, n)
							}
							orphans, err = deleteParent(ctx, t, p)
							return err
						})
						if orphans && err == nil {
							t.Errorf("worker %d (%s): children without their parent %d", w, levels[w%3], p)
						}
						if err != nil && !errors.Is(err, errNoParent) {
							t.Errorf("worker %d: %v", w, err)
							return
						}
					}
				}()
			}
			wg.Wait()
			stop()
			checkOrphans(t, c)
		})
	}
}

func checkOrphans(t *testing.T, c *kvtest.Cluster) {
	t.Helper()
	tx := begin(t, c.Node(1), kv.TxnOptions{})
	for p := range parents {
		parent, kids := get(t, tx, p), scan(t, tx, 20+10*p, 20+10*p+children)
		if parent == "-" && kids != "" {
			t.Errorf("parent %d is gone, its children are not: %s", p, kids)
		}
	}
	must(t, tx.Rollback(context.Background()))
}

func addParent(t *testing.T, db kv.DB, p int) {
	t.Helper()
	tx := begin(t, db, kv.TxnOptions{})
	put(t, tx, p, "parent")
	must(t, tx.Commit(context.Background()))
}

func lock(t *testing.T, tx kv.Txn, i int, s api.LockStrength) {
	t.Helper()
	var b kv.Batch
	b.GetLocked(key(i), s, api.WaitBlock)
	must(t, tx.Send(context.Background(), &b))
}

// TestLockLostToAnother loses a child's lock of its parent, which then gets deleted by
// one who relies on having it locked. Whatever the level, only one of them may commit.
func TestLockLostToAnother(t *testing.T) {
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		ctx := context.Background()
		for p, level := range levels {
			addParent(t, db, p)
			child := begin(t, db, kv.TxnOptions{Isolation: level})
			put(t, child, 20+10*p, "child")
			lock(t, child, p, api.LockShared)
			c.DropLocks()
			parent := begin(t, db, kv.TxnOptions{Isolation: api.ReadCommitted})
			if _, err := deleteParent(ctx, parent, p); err != nil {
				t.Fatal(err)
			}
			if err := child.Commit(ctx); err == nil {
				t.Errorf("%s: a child without its lock committed under the lock of another", level)
			} else {
				must(t, child.Rollback(ctx))
			}
			must(t, parent.Commit(ctx))
		}
	})
}

// TestLockLostAndTakenAgain loses a lock that is taken again when somebody else has
// had it, and left the key as it was.
func TestLockLostAndTakenAgain(t *testing.T) {
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		ctx := context.Background()
		addParent(t, db, 0)
		for i, level := range []api.Isolation{api.ReadCommitted, api.RepeatableRead} {
			parent := begin(t, db, kv.TxnOptions{Isolation: level})
			lock(t, parent, 0, api.LockExclusive)
			c.DropLocks()
			must(t, db.Run(ctx, kv.TxnOptions{Isolation: level}, func(tx kv.Txn) error {
				return insertChild(ctx, tx, 0, i)
			}))
			lock(t, parent, 0, api.LockExclusive)
			put(t, parent, 90, "no child")
			if err := parent.Commit(ctx); err == nil {
				t.Errorf("%s: a lock that others had in between counts as held", level)
			} else {
				must(t, parent.Rollback(ctx))
			}
		}
	})
}

// TestListAppendWithoutLocks checks that lost locks cost retries, not isolation.
func TestListAppendWithoutLocks(t *testing.T) {
	for name, o := range shapes() {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			stop := chaos(c)
			defer stop()
			l := &lists{c: c, keys: 6}
			l.run(t, max(o.Nodes, 1), 6, 25, kv.TxnOptions{})
		})
	}
}

package kvtest_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/pkg/hlc"
)

var levels = []api.Isolation{api.Serializable, api.RepeatableRead, api.ReadCommitted}

// commitPut writes one row in a transaction of its own.
func commitPut(t *testing.T, db kv.DB, i int, value string) {
	t.Helper()
	tx := begin(t, db, kv.TxnOptions{})
	b := &kv.Batch{Commit: true}
	b.Put(key(i), []byte(value), api.Expect{})
	must(t, tx.Send(context.Background(), b))
}

func isRetry(err error) bool {
	var retry *api.RetryError
	return errors.As(err, &retry)
}

func TestWriteSkew(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		for _, level := range levels {
			commitPut(t, db, 1, "on")
			commitPut(t, db, 25, "on")
			a, b := begin(t, db, kv.TxnOptions{Isolation: level}), begin(t, db, kv.TxnOptions{Isolation: level})
			for _, tx := range []kv.Txn{a, b} {
				if get(t, tx, 1)+get(t, tx, 25) != "onon" {
					t.Fatal("wrong start")
				}
			}
			put(t, a, 1, "off")
			put(t, b, 25, "off")
			must(t, a.Commit(ctx))
			err := b.Commit(ctx)
			if level == api.Serializable != isRetry(err) {
				t.Fatalf("%s: second commit: %v", level, err)
			}
			must(t, b.Rollback(ctx))
		}
	})
}

// At READ COMMITTED rows are locked before they are written; the other levels
// must find out at commit.
func TestLostUpdate(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		for _, level := range []api.Isolation{api.Serializable, api.RepeatableRead} {
			commitPut(t, db, 1, "0")
			a := begin(t, db, kv.TxnOptions{Isolation: level})
			get(t, a, 1)
			commitPut(t, db, 1, "5")
			var b kv.Batch
			b.Put(key(1), []byte("1"), api.Expect{})
			err := a.Send(ctx, &b)
			if err == nil {
				err = a.Commit(ctx)
			}
			if !isRetry(err) {
				t.Fatalf("%s: %v", level, err)
			}
			must(t, a.Restart(ctx))
			if got := get(t, a, 1); got != "5" {
				t.Fatalf("%s: read %s after restart", level, got)
			}
			must(t, a.Rollback(ctx))
		}
	})
}

func TestCountersDoNotLoseIncrements(t *testing.T) {
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		for _, level := range levels {
			commitPut(t, db, 30, "0")
			var wg sync.WaitGroup
			const workers, each = 4, 25
			for range workers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for range each {
						if err := increment(db, level); err != nil {
							t.Error(level, err)
						}
					}
				}()
			}
			wg.Wait()
			tx := begin(t, db, kv.TxnOptions{})
			if got := get(t, tx, 30); got != strconv.Itoa(workers*each) {
				t.Fatalf("%s: %s", level, got)
			}
			must(t, tx.Rollback(context.Background()))
		}
	})
}

func increment(db kv.DB, level api.Isolation) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return db.Run(ctx, kv.TxnOptions{Isolation: level}, func(t kv.Txn) error {
		var b kv.Batch
		b.GetLocked(key(30), api.LockExclusive, api.WaitBlock)
		if err := t.Send(ctx, &b); err != nil {
			return err
		}
		n, err := strconv.Atoi(string(b.Responses[0].Value))
		if err != nil {
			return err
		}
		b.Reset()
		b.Put(key(30), []byte(strconv.Itoa(n+1)), api.Expect{})
		return t.Send(ctx, &b)
	})
}

func TestSnapshots(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		if c.Moves() {
			// What is written after the move of a lease is uncertain: it may be older
			// than the transaction, and to have read the row forbids to refresh.
			return
		}
		for _, level := range levels {
			commitPut(t, db, 1, "old")
			a := begin(t, db, kv.TxnOptions{Isolation: level})
			get(t, a, 1)
			commitPut(t, db, 1, "new")
			if got := get(t, a, 1); got != "old" {
				t.Fatalf("%s: %s within a statement", level, got)
			}
			a.Step()
			want := "old"
			if level == api.ReadCommitted {
				want = "new"
			}
			if got := get(t, a, 1); got != want {
				t.Fatalf("%s: %s in the next statement", level, got)
			}
			must(t, a.Commit(ctx))
		}
	})
}

// A locking read at READ COMMITTED that waited sees what it waited for; the
// statement's snapshot moves if nothing else was read.
func TestLockingReadWaits(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		for _, level := range levels {
			commitPut(t, db, 1, "old")
			a, w := begin(t, db, kv.TxnOptions{Isolation: level}), begin(t, db, kv.TxnOptions{Isolation: level})
			var b kv.Batch
			b.GetLocked(key(1), api.LockExclusive, api.WaitBlock)
			must(t, a.Send(ctx, &b))
			put(t, a, 1, "new")
			done := make(chan string)
			go func() {
				var b kv.Batch
				b.GetLocked(key(1), api.LockExclusive, api.WaitBlock)
				if err := w.Send(ctx, &b); err != nil {
					done <- err.Error()
					return
				}
				done <- string(b.Responses[0].Value)
			}()
			for !waiting(c) {
				time.Sleep(time.Millisecond)
			}
			must(t, a.Commit(ctx))
			if got := <-done; got != "new" {
				t.Fatalf("%s: %s", level, got)
			}
			must(t, w.Commit(ctx))
		}
	})
}

// waiting reports whether somebody waits for a lock.
func waiting(c *kvtest.Cluster) bool {
	for _, r := range c.DumpLocks() {
		if r == '<' {
			return true
		}
	}
	return false
}

func TestLocksEndWithTheirTransaction(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		commitPut(t, db, 1, "x")
		commitPut(t, db, 35, "y")
		noWait := func() error {
			tx := begin(t, db, kv.TxnOptions{})
			var b kv.Batch
			b.GetLocked(key(1), api.LockExclusive, api.WaitError)
			b.GetLocked(key(35), api.LockExclusive, api.WaitError)
			err := tx.Send(ctx, &b)
			must(t, tx.Rollback(ctx))
			return err
		}
		for _, end := range []func(kv.Txn) error{
			func(tx kv.Txn) error { return tx.Rollback(ctx) },
			func(tx kv.Txn) error { return tx.Commit(ctx) },
		} {
			tx := begin(t, db, kv.TxnOptions{})
			var b kv.Batch
			b.GetLocked(key(1), api.LockShared, api.WaitBlock)
			b.Requests = append(b.Requests, api.Request{Kind: api.Scan, Key: key(20), End: key(50), Lock: api.LockExclusive})
			must(t, tx.Send(ctx, &b))
			var locked *api.LockUnavailableError
			if err := noWait(); !errors.As(err, &locked) {
				t.Fatalf("locked rows: %v", err)
			}
			must(t, end(tx))
			must(t, noWait())
		}
	})
}

func TestAsOf(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		commitPut(t, db, 1, "old")
		then := db.Clock().Now()
		commitPut(t, db, 1, "new")
		tx := begin(t, db, kv.TxnOptions{AsOf: then})
		if got := get(t, tx, 1); got != "old" {
			t.Fatal(got)
		}
		var b kv.Batch
		b.Put(key(1), []byte("x"), api.Expect{})
		if err := tx.Send(ctx, &b); err == nil {
			t.Fatal("wrote into the past")
		}
		must(t, tx.Commit(ctx))
	})
}

func TestDeadline(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		tx := begin(t, db, kv.TxnOptions{})
		put(t, tx, 1, "x")
		put(t, tx, 45, "x")
		tx.SetDeadline(hlc.Timestamp{WallNanos: tx.ReadTimestamp().WallNanos - 1})
		var late *api.DeadlineError
		if err := tx.Commit(ctx); !errors.As(err, &late) {
			t.Fatal(err)
		}
		must(t, tx.Rollback(ctx))
		tx = begin(t, db, kv.TxnOptions{})
		if got := scan(t, tx, 0, 50); got != "" {
			t.Fatal(got)
		}
		must(t, tx.Rollback(ctx))
	})
}

func TestDeadlockIsBroken(t *testing.T) {
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		commitPut(t, db, 1, "0")
		commitPut(t, db, 35, "0")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				order := []int{1, 35}
				if w%2 == 1 {
					order = []int{35, 1}
				}
				for range 2 {
					err := db.Run(ctx, kv.TxnOptions{Isolation: levels[w%3]}, func(tx kv.Txn) error {
						var b kv.Batch
						for _, k := range order {
							b.Reset()
							b.GetLocked(key(k), api.LockExclusive, api.WaitBlock)
							if err := tx.Send(ctx, &b); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
	})
}

func TestIncrementAndAdmin(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		for i := int64(1); i < 4; i++ {
			n, err := db.Increment(ctx, key(3), 10)
			must(t, err)
			if n != 10*i {
				t.Fatal(n)
			}
		}
		for i := range 30 {
			commitPut(t, db, i+10, "v")
		}
		before, err := db.Admin().Ranges(ctx, key(0), key(100))
		must(t, err)
		must(t, db.Admin().Split(ctx, append(key(15), 1)))
		after, err := db.Admin().Ranges(ctx, key(0), key(100))
		must(t, err)
		if len(after) != len(before)+1 {
			t.Fatalf("%d ranges, then %d", len(before), len(after))
		}
		must(t, db.Admin().ClearSpan(ctx, key(12), key(38)))
		tx := begin(t, db, kv.TxnOptions{})
		if got := scan(t, tx, 10, 50); got != "v v v v " {
			t.Fatal(got)
		}
		must(t, tx.Commit(ctx))
	})
}

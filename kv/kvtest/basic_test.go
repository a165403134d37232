package kvtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/kv/txn"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

func key(i int) api.Key { return keys.AppendInt(keys.TableIndex(104, 1), int64(i)) }

func val(format string, args ...any) []byte { return fmt.Appendf(nil, format, args...) }

// shapes are the clusters that every test of behaviour runs on.
func shapes() map[string]kvtest.Options {
	var splits []api.Key
	for i := range 8 {
		splits = append(splits, key(10*i))
	}
	return map[string]kvtest.Options{
		"one range":  {},
		"ranges":     {Splits: splits},
		"every key":  {SplitEveryKey: true},
		"flushed":    {FlushWrites: true, Splits: splits},
		"nodes":      {Nodes: 3, Splits: splits},
		"moving":     {Nodes: 3, SplitEveryKey: true},
		"small sets": {Splits: splits, Limits: txn.Limits{CarryBytes: 64, BatchBytes: 256, InFlightWrites: 2}},
	}
}

func onShapes(t *testing.T, f func(t *testing.T, c *kvtest.Cluster, db kv.DB)) {
	for name, o := range shapes() {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			f(t, c, c.Node(1))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, db kv.DB, o kv.TxnOptions) kv.Txn {
	t.Helper()
	tx, err := db.Begin(context.Background(), o)
	must(t, err)
	return tx
}

func put(t *testing.T, tx kv.Txn, i int, format string, args ...any) {
	t.Helper()
	var b kv.Batch
	b.Put(key(i), val(format, args...), api.Expect{})
	must(t, tx.Send(context.Background(), &b))
}

func get(t *testing.T, tx kv.Txn, i int) string {
	t.Helper()
	var b kv.Batch
	b.Get(key(i))
	must(t, tx.Send(context.Background(), &b))
	if !b.Responses[0].Exists {
		return "-"
	}
	return string(b.Responses[0].Value)
}

func scan(t *testing.T, tx kv.Txn, from, to int) string {
	t.Helper()
	var b kv.Batch
	b.Scan(key(from), key(to), nil)
	must(t, tx.Send(context.Background(), &b))
	out := ""
	for _, kv := range b.Responses[0].KVs {
		out += string(kv.Value) + " "
	}
	return out
}

func TestWriteAndRead(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		tx := begin(t, db, kv.TxnOptions{})
		for i := range 50 {
			put(t, tx, i, "v%d", i)
		}
		if got := get(t, tx, 7); got != "v7" {
			t.Fatal(got)
		}
		if got := scan(t, tx, 38, 42); got != "v38 v39 v40 v41 " {
			t.Fatal(got)
		}
		must(t, tx.Commit(ctx))
		tx = begin(t, db, kv.TxnOptions{})
		if got := scan(t, tx, 8, 12); got != "v8 v9 v10 v11 " {
			t.Fatal(got)
		}
		if got := get(t, tx, 50); got != "-" {
			t.Fatal(got)
		}
		must(t, tx.Commit(ctx))
		t.Log(c.Ranges(), "ranges")
	})
}

// A range splits between what its transaction wrote and the commit, which finds
// that the half with the record is two ranges by now: nothing failed.
func TestSplitBeforeCommit(t *testing.T) {
	ctx := context.Background()
	for _, apart := range []int{1, 15} { // all in the range that splits, or not
		c := kvtest.NewCluster(kvtest.Options{Splits: []api.Key{key(0), key(10), key(20)}})
		db := c.Node(1)
		tx := begin(t, db, kv.TxnOptions{})
		for _, k := range []int{2, 8, apart} {
			put(t, tx, k, "v%d", k)
			if got, want := get(t, tx, k), fmt.Sprintf("v%d", k); got != want {
				t.Fatal(got)
			}
			// The router learns where everything is.
			get(t, tx, k+1)
		}
		c.Split(key(5))
		must(t, tx.Commit(ctx))
		tx = begin(t, db, kv.TxnOptions{})
		if got := scan(t, tx, 2, 20); !strings.Contains(got, "v2 ") || !strings.Contains(got, "v8 ") {
			t.Fatal(got)
		}
		must(t, tx.Commit(ctx))
		c.Close()
	}
}

func TestInsertConflict(t *testing.T) {
	ctx := context.Background()
	onShapes(t, func(t *testing.T, c *kvtest.Cluster, db kv.DB) {
		insert := func(commit bool, ks ...int) error {
			tx := begin(t, db, kv.TxnOptions{})
			b := &kv.Batch{Commit: commit}
			for _, k := range ks {
				b.Put(key(k), val("n%d", k), api.Expect{Kind: api.ExpectAbsent})
			}
			err := tx.Send(ctx, b)
			if err == nil && !commit {
				err = tx.Commit(ctx)
			}
			if err != nil {
				must(t, tx.Rollback(ctx))
			}
			return err
		}
		must(t, insert(true, 25))
		must(t, insert(false, 35, 45))
		for _, commit := range []bool{true, false} {
			for _, ks := range [][]int{{1, 2, 25}, {25}, {24, 35}, {5, 5}} {
				err := insert(commit, ks...)
				var failed *api.ConditionFailedError
				if !errors.As(err, &failed) || failed.Index != len(ks)-1 || string(failed.Existing) != fmt.Sprintf("n%d", ks[len(ks)-1]) {
					t.Fatalf("commit %v, insert %v: %#v", commit, ks, err)
				}
			}
		}
		tx := begin(t, db, kv.TxnOptions{})
		if got := scan(t, tx, 0, 100); got != "n25 n35 n45 " {
			t.Fatal(got)
		}
		must(t, tx.Rollback(ctx))
	})
}

// meddler loses the answer to one batch, and does something before.
type meddler struct {
	api.Sender
	lost   atomic.Bool
	loses  func(*api.BatchRequest, *api.Request) bool
	before func(*api.TxnMeta) error
}

func (m *meddler) wrap(_ ids.NodeID, s api.Sender) api.Sender {
	m.Sender = s
	return m
}

func (m *meddler) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	br, err := m.Sender.Send(ctx, ba)
	if ba.Txn == nil || err != nil {
		return br, err
	}
	for i := range ba.Requests {
		if m.loses(ba, &ba.Requests[i]) && m.lost.CompareAndSwap(false, true) {
			return nil, errors.Join(m.before(ba.Txn), rpc.ErrUnreachable)
		}
	}
	return br, err
}

// about sends a request about another's transaction.
func about(db *kvtest.Node, of *api.TxnMeta, k api.Kind, at api.Key, args api.TxnArgs) (*api.Response, error) {
	args.Pushee = *of
	br, err := db.Router.Send(context.Background(), &api.BatchRequest{Requests: []api.Request{{Kind: k, Key: at, Txn: &args}}})
	if err != nil {
		return nil, err
	}
	return &br.Responses[0], nil
}

// The answer to a write of a parallel commit gets lost, somebody who takes the
// coordinator for dead finds that the transaction is committed, and the write that
// is sent again meets a newer one. That must not count as a failed commit, after
// which all is done again.
func TestLostAnswerOfAWrite(t *testing.T) {
	ctx := context.Background()
	staged := make(chan struct{})
	m := &meddler{loses: func(_ *api.BatchRequest, r *api.Request) bool {
		if r.Kind == api.EndTxn && len(r.Txn.InFlight) > 0 {
			close(staged)
		}
		return r.Kind == api.Put && bytes.Equal(r.Key, key(15))
	}}
	c := kvtest.NewCluster(kvtest.Options{Splits: []api.Key{key(0), key(10), key(20)}, Wrap: m.wrap})
	defer c.Close()
	db := c.Node(1)
	m.before = func(of *api.TxnMeta) error {
		<-staged
		if r, err := about(db, of, api.RecoverTxn, of.Anchor, api.TxnArgs{Commit: true}); err != nil || r.Txn.Status != api.Committed {
			t.Errorf("recovered: %+v, %v", r, err)
		}
		if _, err := about(db, of, api.ResolveIntent, key(15), api.TxnArgs{Status: api.Committed}); err != nil {
			return err
		}
		return db.Run(ctx, kv.TxnOptions{}, func(tx kv.Txn) error {
			put(t, tx, 15, "%s", get(t, tx, 15)+"y")
			return nil
		})
	}
	runs := 0
	must(t, db.Run(ctx, kv.TxnOptions{}, func(tx kv.Txn) error {
		runs++
		put(t, tx, 5, "%s", get(t, tx, 5)+"x")
		put(t, tx, 15, "x")
		return nil
	}))
	tx := begin(t, db, kv.TxnOptions{})
	if got := get(t, tx, 5); got != "-x" || runs != 1 {
		t.Errorf("%q after %d runs", got, runs)
	}
	if got := get(t, tx, 15); got != "xy" {
		t.Errorf("read %q after two transactions", got)
	}
	must(t, tx.Commit(ctx))
}

// The answer to a commit of laid intents gets lost, and somebody who met one of
// them builds on it and asks to move the transaction up, before the coordinator asks
// again. It is committed all the same.
func TestLostAnswerOfACommit(t *testing.T) {
	ctx := context.Background()
	m := &meddler{loses: func(_ *api.BatchRequest, r *api.Request) bool { return r.Kind == api.EndTxn && r.Txn.Commit }}
	c := kvtest.NewCluster(kvtest.Options{FlushWrites: true, Wrap: m.wrap})
	defer c.Close()
	db := c.Node(1)
	m.before = func(of *api.TxnMeta) error {
		must(t, db.Run(ctx, kv.TxnOptions{}, func(tx kv.Txn) error {
			put(t, tx, 5, "%s", get(t, tx, 5)+"y")
			return nil
		}))
		to := db.Clock().Now()
		_, err := about(db, of, api.PushTxn, of.Anchor, api.TxnArgs{PushTo: to, PusheeSeen: to})
		return err
	}
	runs := 0
	must(t, db.Run(ctx, kv.TxnOptions{}, func(tx kv.Txn) error {
		runs++
		put(t, tx, 5, "%s", get(t, tx, 5)+"x")
		return nil
	}))
	tx := begin(t, db, kv.TxnOptions{})
	if got := get(t, tx, 5); got != "-xy" || runs != 1 {
		t.Errorf("%q after %d runs", got, runs)
	}
	must(t, tx.Commit(ctx))
}

// Two transactions whose commits are pushed above what they staged read what the
// other one has written anew. Each waits for the other there, unless one gives way.
func TestPushedCommitsMeet(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m := &meddler{}
	var both sync.WaitGroup
	both.Add(2)
	m.loses = func(_ *api.BatchRequest, r *api.Request) bool {
		if r.Kind == api.EndTxn && len(r.Txn.InFlight) > 0 {
			both.Done()
			both.Wait()
		}
		return false
	}
	c := kvtest.NewCluster(kvtest.Options{Splits: []api.Key{key(0), key(10), key(20), key(30), key(40)}, Wrap: m.wrap})
	defer c.Close()
	db := c.Node(1)
	a := begin(t, db, kv.TxnOptions{})
	get(t, a, 21)
	b := begin(t, db, kv.TxnOptions{})
	get(t, b, 11) // so that a's write there is pushed
	late := begin(t, db, kv.TxnOptions{})
	get(t, late, 31) // and b's
	must(t, late.Commit(ctx))
	put(t, a, 1, "a")
	put(t, a, 11, "a")
	put(t, b, 21, "b")
	put(t, b, 31, "b")
	ends := make(chan error, 2)
	for _, tx := range []kv.Txn{a, b} {
		go func() { ends <- tx.Commit(ctx) }()
	}
	committed := 0
	for range 2 {
		err := <-ends
		var retry *api.RetryError
		switch {
		case err == nil:
			committed++
		case !errors.As(err, &retry):
			t.Error(err)
		}
	}
	if committed == 0 {
		t.Error("neither was committed")
	}
	must(t, a.Rollback(ctx))
	must(t, b.Rollback(ctx))
}

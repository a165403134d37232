package kvtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/pkg/ids"
)

func TestCheckerFindsAnomalies(t *testing.T) {
	read := func(k int, l ...int) kvtest.Access { return kvtest.Access{Key: k, List: l} }
	app := func(k, v int) kvtest.Access { return kvtest.Access{Key: k, Append: true, Value: v} }
	for name, c := range map[string]struct {
		history []kvtest.Record
		final   map[int][]int
		ok      bool
	}{
		"serial":      {[]kvtest.Record{{ID: 1, Accesses: []kvtest.Access{app(1, 10)}}, {ID: 2, Accesses: []kvtest.Access{read(1, 10), app(1, 11)}}}, map[int][]int{1: {10, 11}}, true},
		"lost update": {[]kvtest.Record{{ID: 1, Accesses: []kvtest.Access{read(1), app(1, 10)}}, {ID: 2, Accesses: []kvtest.Access{read(1), app(1, 11)}}}, map[int][]int{1: {10, 11}}, false},
		"write skew":  {[]kvtest.Record{{ID: 1, Accesses: []kvtest.Access{read(1), app(2, 10)}}, {ID: 2, Accesses: []kvtest.Access{read(2), app(1, 11)}}}, map[int][]int{1: {11}, 2: {10}}, false},
		"lost write":  {[]kvtest.Record{{ID: 1, Accesses: []kvtest.Access{app(1, 10)}}}, map[int][]int{}, false},
		"torn":        {[]kvtest.Record{{ID: 1, Unknown: true, Accesses: []kvtest.Access{app(1, 10), app(2, 11)}}}, map[int][]int{1: {10}}, false},
		"dirty":       {nil, map[int][]int{1: {10}}, false},
	} {
		if err := kvtest.CheckSerializable(c.history, c.final); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lists runs random transactions over a few lists and returns what committed.
type lists struct {
	c       *kvtest.Cluster
	keys    int
	nextVal atomic.Int64
	nextTxn atomic.Int64
	mu      sync.Mutex
	history []kvtest.Record
	retries atomic.Int64
}

func decodeList(b []byte) (l []int) {
	if len(b) > 0 {
		if err := json.Unmarshal(b, &l); err != nil {
			panic(err)
		}
	}
	return l
}

func encodeList(l []int) []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return b
}

// listKey spreads the lists over the ranges of the shapes.
func listKey(k int) api.Key { return key(7 * k) }

// step appends to or reads one list.
func (l *lists) step(ctx context.Context, r *rand.Rand, t kv.Txn) (kvtest.Access, error) {
	a := kvtest.Access{Key: r.IntN(l.keys), Append: r.IntN(2) == 0}
	var b kv.Batch
	k := listKey(a.Key)
	switch {
	case a.Append && r.IntN(2) == 0:
		b.GetLocked(k, api.LockExclusive, api.WaitBlock)
	case !a.Append && r.IntN(3) == 0:
		b.Scan(k, append(k[:len(k):len(k)], 0), nil)
	default:
		b.Get(k)
	}
	if err := t.Send(ctx, &b); err != nil {
		return a, err
	}
	value := b.Responses[0].Value
	if kvs := b.Responses[0].KVs; len(kvs) > 0 {
		value = kvs[0].Value
	}
	a.List = decodeList(value)
	if !a.Append {
		return a, nil
	}
	a.Value = int(l.nextVal.Add(1))
	b.Reset()
	b.Put(k, encodeList(append(a.List, a.Value)), api.Expect{})
	t.Step()
	return a, t.Send(ctx, &b)
}

// transaction runs one transaction until it commits or its outcome is unknown.
func (l *lists) transaction(ctx context.Context, r *rand.Rand, db kv.DB, o kv.TxnOptions) error {
	var rec kvtest.Record
	n := 1 + r.IntN(4)
	err := db.Run(ctx, o, func(t kv.Txn) error {
		l.retries.Add(1)
		rec = kvtest.Record{ID: int(l.nextTxn.Add(1))}
		for range n {
			a, err := l.step(ctx, r, t)
			if err != nil {
				return err
			}
			if a.Append {
				// The read before the append is an access of its own.
				rec.Accesses = append(rec.Accesses, kvtest.Access{Key: a.Key, List: a.List})
			}
			rec.Accesses = append(rec.Accesses, a)
		}
		return nil
	})
	var ambiguous *api.AmbiguousError
	if errors.As(err, &ambiguous) {
		rec.Unknown, err = true, nil
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.history = append(l.history, rec)
	l.mu.Unlock()
	return nil
}

func (l *lists) final(ctx context.Context, db kv.DB) (map[int][]int, error) {
	out := map[int][]int{}
	err := db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		for k := range l.keys {
			b.Get(listKey(k))
		}
		if err := t.Send(ctx, &b); err != nil {
			return err
		}
		for k := range l.keys {
			out[k] = decodeList(b.Responses[k].Value)
		}
		return nil
	})
	return out, err
}

// run runs workers and checks the history.
func (l *lists) run(t *testing.T, nodes, workers, each int, o kv.TxnOptions) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(w), 99))
			for range each {
				if err := l.transaction(ctx, r, l.c.Node(ids.NodeID(w%nodes+1)), o); err != nil {
					t.Errorf("worker %d: %v", w, err)
					return
				}
			}
		}()
	}
	wg.Wait()
	final, err := l.final(ctx, l.c.Node(1))
	must(t, err)
	if o.Isolation == api.Serializable {
		if err := kvtest.CheckSerializable(l.history, final); err != nil {
			t.Error(err)
		}
	}
	s := l.c.Node(1).Stats()
	t.Logf("%d transactions in %d tries; %d ranges; node 1: %+v", len(l.history), l.retries.Load(), l.c.Ranges(), s)
}

// rounds is how much each worker does: deadlocks over nodes take a while to find.
func rounds(o kvtest.Options, n int) int {
	if o.Nodes > 1 {
		return n / 3
	}
	return n
}

func TestListAppend(t *testing.T) {
	for name, o := range shapes() {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			l := &lists{c: c, keys: 6}
			l.run(t, max(o.Nodes, 1), 6, rounds(o, 40), kv.TxnOptions{})
		})
	}
}

func TestListAppendWithFaults(t *testing.T) {
	for name, o := range shapes() {
		t.Run(name, func(t *testing.T) {
			f := kvtest.NewFaults(5)
			f.Refuse, f.Lose, f.Retry, f.Delay = 20, 30, 30, 50
			o.Faults = f
			c := kvtest.NewCluster(o)
			defer c.Close()
			l := &lists{c: c, keys: 6}
			l.run(t, max(o.Nodes, 1), 6, rounds(o, 25), kv.TxnOptions{})
			f.Stop()
			t.Log(f.Count.Load(), "faults")
		})
	}
}

package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/lifecycle"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/kv/route"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/kv/txn"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// node is a whole kv node over a memory network.
type node struct {
	id     ids.NodeID
	eng    engine.Engine
	net    *rpc.MemNode
	host   raftgroup.Host
	store  *store.Store
	router *route.Router
	db     *txn.DB

	managers []*lifecycle.Manager
}

// late forwards to a sender that does not exist yet.
type late struct{ s api.Sender }

func (l *late) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	return l.s.Send(ctx, ba)
}

type testCluster struct {
	t     *testing.T
	w     *rpc.MemNetwork
	nodes []*node
	// known is how many nodes there have been.
	known atomic.Int64
	// stores are nodes' stores, for those that look for the first range.
	mu     sync.Mutex
	stores []*store.Store
}

// firstRange asks every store that there is, as gossip would.
func (c *testCluster) firstRange() (api.RangeDescriptor, bool) {
	c.mu.Lock()
	stores := slices.Clone(c.stores)
	c.mu.Unlock()
	for _, s := range slices.Backward(stores) {
		if d := s.FirstRange(); d != nil {
			return *d, true
		}
	}
	return api.RangeDescriptor{}, false
}

func newCluster(t *testing.T, n int) *testCluster {
	c := &testCluster{t: t, w: rpc.NewMemNetwork()}
	for i := range n {
		c.nodes = append(c.nodes, c.startNode(ids.NodeID(i+1), t.TempDir(), i == 0))
	}
	t.Cleanup(c.close)
	return c
}

func (c *testCluster) close() {
	for _, n := range c.nodes {
		n.stop()
	}
}

func (n *node) stop() {
	if n.db == nil {
		return
	}
	for _, m := range n.managers {
		m.Close()
	}
	n.db.Close()
	n.db = nil
	n.store.Close()
	n.host.Close()
	n.net.Close()
	n.eng.Close()
}

func (c *testCluster) startNode(id ids.NodeID, dir string, bootstrap bool) *node {
	c.t.Helper()
	ctx := context.Background()
	n := &node{id: id, net: c.w.Node(id)}
	var err error
	if dir == "" { // in memory, where nothing waits for a disk: for virtual time
		n.eng = engine.OpenMemory()
	} else if n.eng, err = engine.Open(dir, engine.Options{}); err != nil {
		c.t.Fatal(err)
	}
	clock := hlc.NewClock(nil, 250*time.Millisecond)
	if err := store.StartClock(ctx, n.eng, clock); err != nil {
		c.t.Fatal(err)
	}
	sender := &late{}
	n.store = store.New(store.Config{Node: id, Engine: n.eng, Clock: clock, Peers: n.net, Sender: sender, Evaluator: noPrograms{}, Logger: testLog()})
	if n.host, err = raftgroup.NewHost(raftgroup.Options{Node: id, Engine: n.eng, Peers: n.net, LogDir: dir, Unknown: n.store.HandleUnknown}); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.stores = append(c.stores, n.store)
	c.mu.Unlock()
	n.router = route.New(route.Config{Local: n.store, Node: func() ids.NodeID { return id }, Peers: n.net, Lookup: meta.Lookup, Clock: clock, Alive: n.store.Alive,
		FirstRange: c.firstRange})
	sender.s = n.router
	route.RegisterServer(n.net, n.store, clock)
	if bootstrap {
		if err := store.Bootstrap(ctx, n.host, n.eng, id, clock); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := n.store.Start(ctx, n.host); err != nil {
		c.t.Fatal(err)
	}
	n.net.Start()
	n.db = txn.NewDB(txn.Config{Ranges: n.router, Clock: clock, Node: func() ids.NodeID { return id }})
	return n
}

type noPrograms struct{}

func (noPrograms) Open([]byte, int64) (api.ScanRun, error) { return nil, api.ErrUnknownProgram }

func tkey(i int) api.Key { return keys.AppendInt(keys.TableIndex(104, 1), int64(i)) }

func (c *testCluster) put(n *node, i int, v string) {
	c.t.Helper()
	if err := c.tryPut(n, i, v); err != nil {
		c.t.Fatalf("put %d: %v", i, err)
	}
}

func (c *testCluster) tryPut(n *node, i int, v string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return n.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Put(tkey(i), []byte(v), api.Expect{})
		return t.Send(ctx, &b)
	})
}

func (c *testCluster) get(n *node, i int) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out string
	err := n.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Get(tkey(i))
		err := t.Send(ctx, &b)
		if err == nil {
			out = string(b.Responses[0].Value)
		}
		return err
	})
	if err != nil {
		c.t.Fatalf("get %d: %v", i, err)
	}
	return out
}

func TestOneNodeWritesSplitsAndRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &testCluster{t: t, w: rpc.NewMemNetwork()}
	n := c.startNode(1, dir, true)
	c.nodes = []*node{n}
	for i := range 40 {
		c.put(n, i, fmt.Sprint("v", i))
	}
	ctx := context.Background()
	for _, at := range []int{10, 20, 30} {
		if err := n.db.Admin().Split(ctx, tkey(at)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		if got := c.get(n, i); got != fmt.Sprint("v", i) {
			t.Fatalf("%d is %q after the split", i, got)
		}
		c.put(n, i, fmt.Sprint("w", i))
	}
	n.stop()
	n = c.startNode(1, dir, false)
	c.nodes = []*node{n}
	defer n.stop()
	for i := range 40 {
		if got := c.get(n, i); got != fmt.Sprint("w", i) {
			t.Fatalf("%d is %q after a restart", i, got)
		}
	}
	infos, err := n.db.Admin().Ranges(ctx, keys.MinKey, keys.MaxKey)
	if err != nil || len(infos) != 6 {
		t.Fatalf("%d ranges, %v", len(infos), err)
	}
}

func TestThreeNodesSurviveTheLossOfOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	n := c.nodes[0]
	for _, o := range c.nodes {
		o.store.KeepAlive()
	}
	c.put(n, 1, "a")
	if err := n.db.Admin().Split(ctx, tkey(5)); err != nil {
		t.Fatal(err)
	}
	for _, k := range []api.Key{keys.MinKey, keys.SystemPrefix, keys.TablePrefix, tkey(5)} {
		if err := n.db.Admin().ChangeReplicas(ctx, k, []ids.NodeID{2, 3}, nil); err != nil {
			t.Fatalf("%s: %v", keys.Pretty(k), err)
		}
	}
	for i := range 10 {
		c.put(c.nodes[i%3], i, fmt.Sprint("v", i))
	}
	if err := n.db.Admin().TransferLease(ctx, tkey(5), 2); err != nil {
		t.Fatal(err)
	}
	c.put(c.nodes[2], 7, "moved")
	began := time.Now()
	n.stop() // node 1 held most leases
	c.put(c.nodes[1], 3, "after")
	t.Logf("served again after %s", time.Since(began))
	for i, want := range map[int]string{1: "v1", 3: "after", 7: "moved", 9: "v9"} {
		if got := c.get(c.nodes[2], i); got != want {
			t.Fatalf("%d is %q, want %q", i, got, want)
		}
	}
}

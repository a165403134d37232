package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/route"
	"github.com/pamirdb/pamir/kv/txn"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Options describe a cluster in memory. The zero value is one node with one range.
type Options struct {
	// Nodes is how many nodes there are (0: 1); ranges are dealt out among them.
	Nodes int
	// Splits are the first range bounds.
	Splits []api.Key
	// SplitEveryKey makes each written key a range of its own.
	SplitEveryKey bool
	// FlushWrites lays every write down as an intent at once.
	FlushWrites bool
	// Limits bound the coordinators' buffers.
	Limits txn.Limits
	// Evaluator runs scan programs; nil knows none.
	Evaluator api.Evaluator
	// Clock replaces the nodes' clocks (node 1's is what DB.Clock returns).
	Clock func(ids.NodeID) *hlc.Clock
	// MaxOffset is the clocks' largest difference (0: 250 ms).
	MaxOffset time.Duration
	// Wrap puts something between a router and its own node's ranges.
	Wrap func(ids.NodeID, api.Sender) api.Sender
	// Faults are what goes wrong with batches; nil means nothing.
	Faults *Faults
}

// Cluster is nodes and ranges in memory.
type Cluster struct {
	opts  Options
	eng   engine.Engine
	net   *rpc.MemNetwork
	nodes []*Node
	// mu guards ranges, which is in key order, byID and lastID.
	mu     sync.RWMutex
	ranges []*memRange
	byID   map[ids.RangeID]*memRange
	lastID ids.RangeID
	// largest is the size of the largest command.
	largest atomic.Int64
}

// Node is one node's coordinator and router.
type Node struct {
	*txn.DB
	Router *route.Router

	c     *Cluster
	id    ids.NodeID
	clock *hlc.Clock
	peers *rpc.MemNode
	waits *concurrency.Waits
}

// DB is a cluster seen from its first node.
type DB struct {
	*txn.DB
	Cluster *Cluster
}

// NewDB returns a database in memory. It must be closed.
func NewDB(o Options) *DB {
	c := NewCluster(o)
	return &DB{DB: c.nodes[0].DB, Cluster: c}
}

// Close ends the cluster.
func (d *DB) Close() { d.Cluster.Close() }

// NewCluster returns a cluster in memory. It must be closed.
func NewCluster(o Options) *Cluster {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.MaxOffset == 0 {
		o.MaxOffset = 250 * time.Millisecond
	}
	if o.FlushWrites {
		o.Limits.FlushWrites, o.Limits.BulkWrites = 1, 2
	}
	c := &Cluster{opts: o, eng: engine.OpenMemory(), net: rpc.NewMemNetwork(), byID: map[ids.RangeID]*memRange{}}
	for i := range o.Nodes {
		c.nodes = append(c.nodes, c.newNode(ids.NodeID(i+1)))
	}
	first := c.newRange(keys.MinKey, keys.MaxKey, 1)
	c.ranges = []*memRange{first}
	for _, n := range c.nodes {
		n.peers.Start()
	}
	for i, k := range append([]api.Key{keys.MetaEnd, keys.SystemEnd}, o.Splits...) {
		c.Split(k)
		c.MoveLease(k, ids.NodeID(i%o.Nodes+1))
	}
	return c
}

func (c *Cluster) newNode(id ids.NodeID) *Node {
	n := &Node{c: c, id: id, waits: concurrency.NewWaits(), peers: c.net.Node(id)}
	if c.opts.Clock != nil {
		n.clock = c.opts.Clock(id)
	} else {
		n.clock = hlc.NewClock(nil, c.opts.MaxOffset)
	}
	var served, own api.Sender = &local{n}, &local{n}
	var net rpc.Peers = n.peers
	if f := c.opts.Faults; f != nil {
		served = &ranges{f, served}
		own, net = &way{f, served}, &peers{n.peers, f}
	}
	if c.opts.Wrap != nil {
		own = c.opts.Wrap(id, own)
	}
	route.RegisterServer(n.peers, served, n.clock)
	self := func() ids.NodeID { return id }
	n.Router = route.New(route.Config{
		Local: own, Node: self, Peers: net, Clock: n.clock,
		FirstRange: func() (api.RangeDescriptor, bool) { return c.descAt(keys.MinKey), true },
		Lookup: func(_ context.Context, _ api.Sender, key api.Key) ([]api.RangeDescriptor, error) {
			return []api.RangeDescriptor{c.descAt(key)}, nil
		},
	})
	n.DB = txn.NewDB(txn.Config{Ranges: n.Router, Clock: n.clock, Node: self, Limits: c.opts.Limits})
	return n
}

// Node returns a node, from 1.
func (c *Cluster) Node(id ids.NodeID) *Node { return c.nodes[id-1] }

// Net returns the network between the nodes, for cutting links.
func (c *Cluster) Net() *rpc.MemNetwork { return c.net }

// Close ends all nodes.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.DB.Close()
	}
	for _, n := range c.nodes {
		n.peers.Close()
	}
	_ = c.eng.Close() // an engine in memory has nothing to lose
}

// descAt returns the descriptor of the range that holds key.
func (c *Cluster) descAt(key api.Key) api.RangeDescriptor {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return *c.rangeAtLocked(key).desc.Load()
}

func (c *Cluster) rangeAtLocked(key api.Key) *memRange {
	i, found := slices.BinarySearchFunc(c.ranges, key, func(r *memRange, k api.Key) int {
		return bytes.Compare(r.desc.Load().Start, k)
	})
	if !found {
		i--
	}
	return c.ranges[i]
}

// rangeByID returns a range, which may have been narrowed since it was looked up.
func (c *Cluster) rangeByID(id ids.RangeID) *memRange {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id]
}

// LargestCommand returns the size in bytes of the largest command so far.
func (c *Cluster) LargestCommand() int64 { return c.largest.Load() }

// Ranges returns how many ranges there are.
func (c *Cluster) Ranges() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.ranges)
}

// Moves reports whether leases move by themselves.
func (c *Cluster) Moves() bool { return c.opts.SplitEveryKey && len(c.nodes) > 1 }

// Split makes key a range bound.
func (c *Cluster) Split(key api.Key) {
	for {
		c.mu.RLock()
		r := c.rangeAtLocked(key)
		c.mu.RUnlock()
		release, err := r.m.LatchAll(context.Background())
		if err != nil {
			panic(fmt.Sprintf("kvtest: latching %s: %v", r.id, err))
		}
		done := c.splitLatched(r, key)
		release()
		if done {
			return
		}
	}
}

// splitLatched splits r at key; false means that r no longer holds it.
func (c *Cluster) splitLatched(r *memRange, key api.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := r.desc.Load()
	if !old.Contains(key) {
		return false
	}
	if bytes.Equal(old.Start, key) {
		return true
	}
	key = bytes.Clone(key)
	right := c.newRange(key, old.End, r.lease.Load().Holder.Node)
	lease := *r.lease.Load()
	right.lease.Store(&lease)
	r.m.CopyTo(right.m, key)
	left := *old
	left.End = key
	left.Generation++
	r.desc.Store(&left)
	right.desc.Load().Generation = left.Generation
	i := slices.Index(c.ranges, r)
	c.ranges = slices.Insert(c.ranges, i+1, right)
	return true
}

// SplitAll makes every stored key of [start, end) a range bound.
func (c *Cluster) SplitAll(ctx context.Context, start, end api.Key) error {
	br, err := c.nodes[0].Router.Send(ctx, &api.BatchRequest{Requests: []api.Request{
		{Kind: api.Scan, Key: start, End: end, Scan: &api.ScanOptions{KeysOnly: true}},
	}})
	if err != nil {
		return err
	}
	for _, kv := range br.Responses[0].KVs {
		c.Split(kv.Key)
	}
	return nil
}

// MoveLease gives the range that holds key to another node. Locks travel with it.
func (c *Cluster) MoveLease(key api.Key, to ids.NodeID) {
	for {
		c.mu.RLock()
		r := c.rangeAtLocked(key)
		c.mu.RUnlock()
		if c.moveLease(r, to) {
			return
		}
	}
}

// moveLease moves the lease of r; false means that r was replaced meanwhile.
func (c *Cluster) moveLease(r *memRange, to ids.NodeID) bool {
	release, err := r.m.LatchAll(context.Background())
	if err != nil {
		panic(fmt.Sprintf("kvtest: latching %s: %v", r.id, err))
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[r.id] != r {
		return false
	}
	old := r.lease.Load()
	if old.Holder.Node == to {
		return true
	}
	// The new lease starts above all that the old one has served.
	start := c.Node(old.Holder.Node).clock.Now().Forward(r.m.LatestReadAnywhere()).Next()
	m := concurrency.NewManager(c.Node(to).waits, start)
	m.ImportLocks(r.m.ExportLocks(nil, nil))
	next := c.replace(r, m)
	next.lease.Store(&api.Lease{Seq: old.Seq + 1, Start: start, Holder: replicaOn(to)})
	r.lease.Store(next.lease.Load())
	r.m.LeaseLost()
	return true
}

// replace puts a twin of r with another lock table into r's place.
func (c *Cluster) replace(r *memRange, m *concurrency.Manager) *memRange {
	next := &memRange{c: c, id: r.id, m: m}
	d := *r.desc.Load()
	next.desc.Store(&d)
	c.ranges[slices.Index(c.ranges, r)] = next
	c.byID[r.id] = next
	return next
}

func replicaOn(n ids.NodeID) api.ReplicaDescriptor {
	return api.ReplicaDescriptor{Node: n, Replica: ids.ReplicaID(n)}
}

func (c *Cluster) newRange(start, end api.Key, on ids.NodeID) *memRange {
	c.lastID++
	r := &memRange{c: c, id: c.lastID, m: concurrency.NewManager(c.Node(on).waits, hlc.Timestamp{})}
	d := &api.RangeDescriptor{RangeID: r.id, Start: start, End: end, Generation: 1}
	for _, n := range c.nodes {
		d.Replicas = append(d.Replicas, replicaOn(n.id))
	}
	r.desc.Store(d)
	r.lease.Store(&api.Lease{Seq: 1, Holder: replicaOn(on)})
	c.byID[r.id] = r
	return r
}

// DropLocks forgets the locks of every range, as a leaseholder's crash does: only
// what transactions check at their commit protects them then.
func (c *Cluster) DropLocks() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, r := range c.ranges {
		r.m.LeaseLost()
	}
}

// DumpLocks shows every range's lock table.
func (c *Cluster) DumpLocks() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var sb strings.Builder
	for _, r := range c.ranges {
		if s := r.m.Dump(func(id ids.TxnID) string { return id.Short() }); s != "" {
			fmt.Fprintf(&sb, "%s [%s, %s)\n%s\n", r.id, keys.Pretty(r.desc.Load().Start), keys.Pretty(r.desc.Load().End), s)
		}
	}
	return sb.String()
}

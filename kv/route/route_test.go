package route

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// world is ranges that remember what reached them. Each range has one holder.
type world struct {
	mu     sync.Mutex
	ranges []api.RangeDescriptor
	holder map[ids.RangeID]ids.NodeID
	// hints are what other replicas say about the holder.
	hints map[ids.RangeID]ids.NodeID
	fail  func(n ids.NodeID, ba *api.BatchRequest) error
	after func(n ids.NodeID, ba *api.BatchRequest) error
	log   []string
}

type worldNode struct {
	w  *world
	id ids.NodeID
}

func (n *worldNode) Send(_ context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%s/%s:%d", n.id, ba.RangeID, len(ba.Requests)))
	if w.fail != nil {
		if err := w.fail(n.id, ba); err != nil {
			return nil, err
		}
	}
	for i := range w.ranges {
		d := &w.ranges[i]
		if d.RangeID != ba.RangeID {
			continue
		}
		if h := w.holder[d.RangeID]; h != n.id {
			err := &api.NotLeaseholderError{RangeID: d.RangeID}
			if hint := w.hints[d.RangeID]; hint != 0 {
				err.Lease = &api.Lease{Holder: api.ReplicaDescriptor{Node: hint}}
			}
			return nil, err
		}
		for j := range ba.Requests {
			r := &ba.Requests[j]
			if !d.Contains(r.Key) || r.End != nil && bytes.Compare(r.End, d.End) > 0 {
				return nil, &api.RangeMismatchError{Descs: []api.RangeDescriptor{*d}}
			}
		}
		br := answer(ba)
		if ba.Generation < d.Generation {
			now := *d
			br.Newer = &now
		}
		if w.after != nil {
			if err := w.after(n.id, ba); err != nil {
				return nil, err
			}
		}
		return br, nil
	}
	return nil, &api.RangeNotFoundError{RangeID: ba.RangeID}
}

// answer returns each request's span as its one row.
func answer(ba *api.BatchRequest) *api.BatchResponse {
	br := &api.BatchResponse{Responses: make([]api.Response, len(ba.Requests))}
	for i := range ba.Requests {
		r := &ba.Requests[i]
		br.Responses[i].KVs = []api.KeyValue{{Key: append(api.Key(nil), r.Key...), Value: append([]byte(nil), r.End...)}}
		br.Responses[i].Value = append([]byte("v:"), r.Key...)
	}
	return br
}

// split cuts the range that holds key.
func (w *world) split(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.ranges {
		d := &w.ranges[i]
		if !d.Contains(api.Key(key)) || string(d.Start) == key {
			continue
		}
		right := *d
		right.RangeID = ids.RangeID(len(w.ranges) + 1)
		right.Start = api.Key(key)
		d.End = api.Key(key)
		d.Generation++
		right.Generation = d.Generation
		w.holder[right.RangeID] = w.holder[d.RangeID]
		w.ranges = append(w.ranges, right)
		return
	}
}

func newWorld(t *testing.T, nodes int) (*world, []*Router) {
	w := &world{holder: map[ids.RangeID]ids.NodeID{1: 1}, hints: map[ids.RangeID]ids.NodeID{}}
	d := api.RangeDescriptor{RangeID: 1, Start: keys.MinKey, End: keys.MaxKey, Generation: 1}
	net := rpc.NewMemNetwork()
	var routers []*Router
	for i := range nodes {
		id := ids.NodeID(i + 1)
		d.Replicas = append(d.Replicas, api.ReplicaDescriptor{Node: id, Replica: ids.ReplicaID(id)})
		clock := hlc.NewClock(nil, time.Second)
		peers := net.Node(id)
		local := &worldNode{w, id}
		RegisterServer(peers, local, clock)
		t.Cleanup(peers.Close)
		peers.Start()
		routers = append(routers, New(Config{
			Local: local, Node: func() ids.NodeID { return id }, Peers: peers, Clock: clock,
			FirstRange: func() (api.RangeDescriptor, bool) { return w.at(nil), true },
			Lookup: func(_ context.Context, _ api.Sender, key api.Key) ([]api.RangeDescriptor, error) {
				return []api.RangeDescriptor{w.at(key)}, nil
			},
		}))
	}
	w.ranges = []api.RangeDescriptor{d}
	w.split("\x03")
	return w, routers
}

func (w *world) at(key api.Key) api.RangeDescriptor {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.ranges {
		if d.Contains(key) {
			return d
		}
	}
	panic("no range")
}

func (w *world) takeLog() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := fmt.Sprint(w.log)
	w.log = nil
	return s
}

func gets(ks ...string) *api.BatchRequest {
	ba := &api.BatchRequest{}
	for _, k := range ks {
		ba.Requests = append(ba.Requests, api.Request{Kind: api.Get, Key: api.Key(k)})
	}
	return ba
}

func TestStaleCacheIsCorrected(t *testing.T) {
	ctx := context.Background()
	w, rs := newWorld(t, 1)
	r := rs[0]
	if _, err := r.Send(ctx, gets("\x04a", "\x04z")); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"\x04m", "\x04f", "\x04t"} {
		w.split(k)
	}
	ks := []string{"\x04z", "\x04a", "\x04g", "\x04n", "\x04b"}
	br, err := r.Send(ctx, gets(ks...))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range ks {
		if got := string(br.Responses[i].Value); got != "v:"+k {
			t.Errorf("%q: %q", k, got)
		}
	}
	if br.Stats.Ranges != 4 {
		t.Errorf("%d ranges", br.Stats.Ranges)
	}
	w.takeLog()
	if _, err := r.Send(ctx, gets("\x04g")); err != nil || len(w.takeLog()) > len("[n1/r99:1]") {
		t.Error("the second time is not straight", err)
	}
}

func TestCommitIsNeverSplit(t *testing.T) {
	ctx := context.Background()
	w, rs := newWorld(t, 1)
	ba := gets("\x04a", "\x04z")
	ba.Requests[0].Kind = api.Put
	ba.Requests[1].Kind = api.EndTxn
	ba.Requests[1].Txn = &api.TxnArgs{Commit: true}
	ba.Txn = &api.TxnMeta{}
	if _, err := rs[0].Send(ctx, ba); err != nil {
		t.Fatal(err)
	}
	w.split("\x04m")
	var spans *SpansRangesError
	if _, err := rs[0].Send(ctx, ba); !errors.As(err, &spans) {
		t.Fatal(err)
	}
}

func TestScanOverRanges(t *testing.T) {
	ctx := context.Background()
	w, rs := newWorld(t, 1)
	for _, k := range []string{"\x04m", "\x04f"} {
		w.split(k)
	}
	for _, c := range []struct {
		reverse bool
		limit   int64
		want    string
		resume  string
	}{
		{false, 0, "\x04a-\x04f \x04f-\x04m \x04m-\x04q ", ""},
		{true, 0, "\x04m-\x04q \x04f-\x04m \x04a-\x04f ", ""},
		{false, 2, "\x04a-\x04f \x04f-\x04m ", "\x04m"},
		{true, 2, "\x04m-\x04q \x04f-\x04m ", "\x04f"},
		{false, 3, "\x04a-\x04f \x04f-\x04m \x04m-\x04q ", ""},
	} {
		ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.Scan, Key: api.Key("\x04a"), End: api.Key("\x04q"),
			Reverse: c.reverse, Scan: &api.ScanOptions{MaxRows: c.limit}}}}
		br, err := rs[0].Send(ctx, ba)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, kv := range br.Responses[0].KVs {
			got += fmt.Sprintf("%s-%s ", kv.Key, kv.Value)
		}
		if got != c.want || string(br.Responses[0].Resume) != c.resume {
			t.Errorf("reverse %v limit %d: %q, resume %q", c.reverse, c.limit, got, br.Responses[0].Resume)
		}
	}
}

func TestLeaseholderIsFound(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w, rs := newWorld(t, 3)
	r := w.at(api.Key("\x04")).RangeID
	for i, c := range []struct{ holder, hint ids.NodeID }{{1, 0}, {3, 3}, {2, 0}, {2, 2}, {3, 1}, {1, 2}} {
		w.mu.Lock()
		w.holder[r], w.hints[r] = c.holder, c.hint
		w.mu.Unlock()
		if _, err := rs[0].Send(ctx, gets("\x04a")); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		w.takeLog()
		if _, err := rs[0].Send(ctx, gets("\x04a")); err != nil {
			t.Fatal(err)
		}
		if got, want := w.takeLog(), fmt.Sprintf("[%s/%s:1]", c.holder, r); got != want {
			t.Errorf("%d: went to %s, want %s", i, got, want)
		}
	}
}

func TestWhatIsSentTwice(t *testing.T) {
	ctx := context.Background()
	txn := &api.TxnMeta{}
	for name, c := range map[string]struct {
		req   api.Request
		txn   *api.TxnMeta
		twice bool
	}{
		"get":       {api.Request{Kind: api.Get}, nil, true},
		"intent":    {api.Request{Kind: api.Put}, txn, true},
		"put":       {api.Request{Kind: api.Put}, nil, false},
		"increment": {api.Request{Kind: api.Increment}, nil, false},
		"commit":    {api.Request{Kind: api.EndTxn, Txn: &api.TxnArgs{Commit: true}}, txn, false},
		"abort":     {api.Request{Kind: api.EndTxn, Txn: &api.TxnArgs{}}, txn, true},
	} {
		w, rs := newWorld(t, 1)
		lost := false
		w.after = func(ids.NodeID, *api.BatchRequest) error {
			if lost {
				return nil
			}
			lost = true
			return rpc.ErrUnreachable
		}
		c.req.Key = api.Key("\x04a")
		_, err := rs[0].Send(ctx, &api.BatchRequest{Header: api.Header{Txn: c.txn}, Requests: []api.Request{c.req}})
		var ambiguous *api.AmbiguousError
		if c.twice && err != nil || !c.twice && !errors.As(err, &ambiguous) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnavailableIsTriedAgain(t *testing.T) {
	w, rs := newWorld(t, 3)
	tries := 0
	w.fail = func(_ ids.NodeID, ba *api.BatchRequest) error {
		if tries++; tries < 12 {
			return &api.UnavailableError{RangeID: ba.RangeID}
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := rs[1].Send(ctx, gets("\x04a")); err != nil {
		t.Fatal(err)
	}
	w.fail = func(_ ids.NodeID, ba *api.BatchRequest) error { return &api.UnavailableError{RangeID: ba.RangeID} }
	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := rs[1].Send(ctx, gets("\x04a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// A sender hears of new replicas from the leaseholder that it keeps asking.
func TestNewerDescriptorIsTakenOver(t *testing.T) {
	ctx := t.Context()
	w, rs := newWorld(t, 3)
	for i, r := range rs {
		if _, err := r.Send(ctx, gets("\x04a")); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		d := &w.ranges[len(w.ranges)-1]
		d.Replicas = append(slices.Clone(d.Replicas), api.ReplicaDescriptor{Node: 9, Replica: ids.ReplicaID(9 + i)})
		d.Generation++
		want := *d
		w.mu.Unlock()
		if _, err := r.Send(ctx, gets("\x04a")); err != nil {
			t.Fatal(err)
		}
		got, err := r.Range(ctx, api.Key("\x04a"))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("router %d has %+v, want %+v, %v", i+1, got, want, err)
		}
		w.takeLog()
		if _, err := r.Send(ctx, gets("\x04a")); err != nil {
			t.Fatal(err)
		}
		if got := w.takeLog(); got != "[n1/r2:1]" {
			t.Errorf("router %d forgot the leaseholder: %s", i+1, got)
		}
	}
}

// A node that does not answer is not waited for while others do, not even when
// they have nothing to offer yet. If nobody seems to answer, all are tried.
func TestTheDeadAreNotAsked(t *testing.T) {
	w, rs := newWorld(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := rs[1].Send(ctx, gets("\x04a")); err != nil {
		t.Fatal(err)
	}
	r := w.at(api.Key("\x04")).RangeID
	rs[1].cfg.Alive = func(n ids.NodeID) bool { return n != 1 }
	w.mu.Lock()
	w.hints[r] = 1
	tries := 0
	w.fail = func(n ids.NodeID, _ *api.BatchRequest) error {
		if n == 1 {
			t.Error("the dead node was asked")
		}
		if tries++; tries == 10 {
			w.holder[r] = 3
		}
		return nil
	}
	w.mu.Unlock()
	if _, err := rs[1].Send(ctx, gets("\x04a")); err != nil {
		t.Fatal(err)
	}
	rs[0].cfg.Node = func() ids.NodeID { return 9 } // a node without a replica
	rs[0].cfg.Alive = func(n ids.NodeID) bool { return n == 9 }
	w.mu.Lock()
	w.fail, w.hints[r] = nil, 0
	w.mu.Unlock()
	if _, err := rs[0].Send(ctx, gets("\x04a")); err != nil {
		t.Fatal(err)
	}
}

func TestConditionNamesTheWholeBatchsRequest(t *testing.T) {
	ctx := context.Background()
	w, rs := newWorld(t, 1)
	w.split("\x04m")
	w.fail = func(_ ids.NodeID, ba *api.BatchRequest) error {
		for i := range ba.Requests {
			if string(ba.Requests[i].Key) == "\x04z" {
				return &api.ConditionFailedError{Index: i}
			}
		}
		return nil
	}
	_, err := rs[0].Send(ctx, gets("\x04n", "\x04a", "\x04b", "\x04z"))
	var failed *api.ConditionFailedError
	if !errors.As(err, &failed) || failed.Index != 3 {
		t.Fatal(err)
	}
}

// The cache stays disjoint and ordered, and never forgets a newer generation for
// an older one.
func TestCacheProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	var c rangeCache
	for range 5000 {
		a, b := byte(r.IntN(40)), byte(r.IntN(40))
		if a > b {
			a, b = b, a
		}
		d := api.RangeDescriptor{RangeID: ids.RangeID(1 + r.IntN(8)), Start: api.Key{a}, End: api.Key{b}, Generation: uint64(r.IntN(20))}
		c.insert(d)
		if r.IntN(50) == 0 && len(c.list()) > 0 {
			e := c.list()[r.IntN(len(c.list()))]
			c.evict(e)
		}
		last := api.Key{}
		for _, e := range c.list() {
			if bytes.Compare(e.desc.Start, last) < 0 || bytes.Compare(e.desc.Start, e.desc.End) >= 0 {
				t.Fatalf("entry %v after %x", e.desc, last)
			}
			last = e.desc.End
		}
		for k := range byte(40) {
			if e := c.at(api.Key{k}); e != nil && !e.desc.Contains(api.Key{k}) {
				t.Fatalf("%d found in %v", k, e.desc)
			}
		}
	}
}

func BenchmarkLocalSend(b *testing.B) {
	d := api.RangeDescriptor{RangeID: 1, Start: keys.MinKey, End: keys.MaxKey, Replicas: []api.ReplicaDescriptor{{Node: 1}}}
	r := New(Config{Local: constant{}, Node: func() ids.NodeID { return 1 }, FirstRange: func() (api.RangeDescriptor, bool) { return d, true }})
	r.Insert(d)
	ctx, ba := context.Background(), gets("\x04a")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Send(ctx, ba); err != nil {
			b.Fatal(err)
		}
	}
}

type constant struct{}

var constantAnswer api.BatchResponse

func (constant) Send(context.Context, *api.BatchRequest) (*api.BatchResponse, error) {
	return &constantAnswer, nil
}

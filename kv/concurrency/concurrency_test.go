package concurrency_test

import (
	"context"
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// script runs the lock table and the timestamp cache without evaluation:
//
//	txn NAME ts=N
//	request NAME t=TXN k=KEY [share] [after=NAME] asks for a lock, perhaps after a wait that was dropped
//	discover NAME t=TXN by=TXN k=KEY     meets an intent
//	sequence NAME                        says how the request stands, and for whom it waits
//	check NAME                           looks for a deadlock
//	cancel NAME / finish TXN [k=KEY]     leaves the queue / releases locks
//	edges FROM->TO...                    what a probe from elsewhere told
//	read k=KEY | span=A-B ts=N [t=TXN]   a read; latest k=KEY [t=TXN at=N] asks for it
//	split KEY / clear / dump
type script struct {
	m     *concurrency.Manager
	right *concurrency.Manager
	waits *concurrency.Waits
	txns  map[string]*api.TxnMeta
	reqs  map[string]*concurrency.Waiter
}

func newScript() *script {
	w := concurrency.NewWaits()
	return &script{m: concurrency.NewManager(w, hlc.Timestamp{}), waits: w, txns: map[string]*api.TxnMeta{}, reqs: map[string]*concurrency.Waiter{}}
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "../../testdata/concurrency", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

func name(id ids.TxnID) string { return strings.TrimRight(string(id[:]), "\x00") }

func ts(n int64) hlc.Timestamp { return hlc.Timestamp{WallNanos: n} }

func arg(d *datadriven.TestData, key string) string {
	for _, x := range d.CmdArgs {
		if x.Key == key && len(x.Vals) > 0 {
			return x.Vals[0]
		}
	}
	return ""
}

func num(d *datadriven.TestData, key string) int64 {
	n, _ := strconv.ParseInt(arg(d, key), 10, 64)
	return n
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	first := ""
	if len(d.CmdArgs) > 0 {
		first = d.CmdArgs[0].Key
	}
	key := []byte(arg(d, "k"))
	hash := concurrency.Hash(key)
	txn := s.txns[arg(d, "t")]
	id := ids.TxnID{}
	if txn != nil {
		id = txn.ID
	}
	switch d.Cmd {
	case "txn":
		m := &api.TxnMeta{StartTS: ts(num(d, "ts"))}
		copy(m.ID[:], first)
		s.txns[first] = m
		return ""
	case "request":
		strength := api.LockExclusive
		if d.HasArg("share") {
			strength = api.LockShared
		}
		var suspected concurrency.Suspicion
		if w := s.reqs[arg(d, "after")]; w != nil {
			suspected = s.waits.Remove(w)
		}
		return s.enter(first, s.m.Lock(key, hash, txn, strength, 1), suspected)
	case "discover":
		return s.enter(first, s.m.Discover(key, hash, s.txns[arg(d, "by")], txn, api.LockExclusive, 1), concurrency.Suspicion{})
	case "sequence":
		return s.sequence(first)
	case "check":
		return fmt.Sprintf("must give way: %v\n", s.waits.Check(s.reqs[first]))
	case "cancel":
		s.reqs[first].Cancel()
		s.waits.Remove(s.reqs[first])
		return ""
	case "finish":
		id := s.txns[first].ID
		if len(key) > 0 {
			s.m.ReleaseKey(key, hash, id)
		} else {
			s.m.ReleaseTxn(id, nil, nil)
		}
		return ""
	case "edges":
		for _, a := range d.CmdArgs {
			if a.Key == "age" {
				continue
			}
			from, to, _ := strings.Cut(a.Key, "->")
			s.waits.AddRemote([]api.WaitEdge{{Waiter: s.txns[from].ID, Blocker: s.txns[to].ID, StartTS: s.txns[from].StartTS,
				AgeNanos: int64(time.Duration(num(d, "age")) * time.Millisecond)}})
		}
		return ""
	case "leading-to":
		var sb strings.Builder
		for _, e := range s.waits.LeadingTo(s.txns[first].ID) {
			fmt.Fprintf(&sb, "%s->%s\n", name(e.Waiter), name(e.Blocker))
		}
		return sb.String()
	case "read":
		if span := arg(d, "span"); span != "" {
			from, to, _ := strings.Cut(span, "-")
			s.m.NoteReadSpan([]byte(from), []byte(to), ts(num(d, "ts")), id)
		} else {
			s.m.NoteRead(hash, ts(num(d, "ts")), id)
		}
		return ""
	case "latest":
		return fmt.Sprintln(s.m.LatestRead(key, hash, id, ts(num(d, "at"))).WallNanos)
	case "split":
		s.right = concurrency.NewManager(s.waits, hlc.Timestamp{})
		s.m.CopyTo(s.right, []byte(first))
		return fmt.Sprintf("left:\n%s\nright:\n%s\n", s.m.Dump(name), s.right.Dump(name))
	case "clear":
		s.m.LeaseLost()
		return ""
	case "dump":
		return s.m.Dump(name) + "\n"
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

func (s *script) enter(request string, w *concurrency.Waiter, suspected concurrency.Suspicion) string {
	if w == nil {
		return "held\n"
	}
	s.reqs[request] = w
	s.waits.Add(w, suspected)
	return "waits\n"
}

func (s *script) sequence(request string) string {
	w := s.reqs[request]
	select {
	case <-w.C:
		s.waits.Remove(w)
	default:
	}
	out := [...]string{"waiting", "granted", "dropped", "victim"}[w.Result()]
	bs, first := w.Blockers()
	for _, b := range bs {
		out += " for " + name(b.Txn.ID)
	}
	if first {
		out += ", first"
	}
	return out + "\n"
}

// TestLatchesExclude runs guards over a few keys and checks that conflicting ones
// never overlap, and that everybody gets a turn.
func TestLatchesExclude(t *testing.T) {
	m := concurrency.NewManager(nil, hlc.Timestamp{})
	var mu sync.Mutex
	writers, readers := [8]int{}, [8]int{}
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewSource(int64(g)))
			var guard concurrency.Guard
			for i := 0; i < 2000; i++ {
				a, b, write := rnd.Intn(8), rnd.Intn(8), rnd.Intn(2) == 0
				span := rnd.Intn(4) == 0 && a < b
				guard.Reset()
				var hold []int
				if span {
					guard.Span([]byte{byte(a)}, []byte{byte(b)}, ts(5), write)
					for k := a; k < b; k++ {
						hold = append(hold, k)
					}
				} else {
					guard.Point([]byte{byte(a)}, concurrency.Hash([]byte{byte(a)}), ts(5), write)
					hold = append(hold, a)
				}
				if err := m.Acquire(context.Background(), &guard); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, k := range hold {
					if writers[k] > 0 || write && readers[k] > 0 {
						t.Errorf("key %d is not exclusive", k)
					}
					if write {
						writers[k]++
					} else {
						readers[k]++
					}
				}
				mu.Unlock()
				mu.Lock()
				for _, k := range hold {
					if write {
						writers[k]--
					} else {
						readers[k]--
					}
				}
				mu.Unlock()
				m.Release(&guard)
			}
		}()
	}
	wg.Wait()
}

func TestLatchTimestamps(t *testing.T) {
	m := concurrency.NewManager(nil, hlc.Timestamp{})
	key := []byte("k")
	var w concurrency.Guard
	w.Point(key, concurrency.Hash(key), ts(10), true)
	if err := m.Acquire(context.Background(), &w); err != nil {
		t.Fatal(err)
	}
	if m.PointPending(key, concurrency.Hash(key), ts(9)) != nil {
		t.Error("a read below a write waits for it")
	}
	c := m.PointPending(key, concurrency.Hash(key), ts(10))
	if c == nil {
		t.Fatal("a read at a write does not wait for it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if _, err := m.LatchAll(ctx); err == nil {
		t.Error("the whole range was latched over a write")
	}
	m.Release(&w)
	<-c
	release, err := m.LatchAll(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if m.PointPending(key, concurrency.Hash(key), ts(1)) == nil {
		t.Error("a read passes a latch over the whole range")
	}
	release()
}

// TestReadsAgainstModel checks that the timestamp cache never forgets a read: it
// may only answer too high.
func TestReadsAgainstModel(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	m := concurrency.NewManager(nil, ts(3))
	a, b := ids.TxnID{1}, ids.TxnID{2}
	others := map[string]int64{} // latest read by b or nobody
	key := func() []byte { return []byte(fmt.Sprintf("%03d", rnd.Intn(200))) }
	for i := int64(4); i < 40_000; i++ {
		at := i - int64(rnd.Intn(50))
		who := [3]ids.TxnID{a, b, {}}[rnd.Intn(3)]
		if rnd.Intn(4) == 0 {
			lo, hi := key(), key()
			m.NoteReadSpan(lo, hi, ts(at), who)
			for k := 0; k < 200 && who != a; k++ {
				if s := fmt.Sprintf("%03d", k); string(lo) <= s && s < string(hi) {
					others[s] = max(others[s], at)
				}
			}
		} else {
			k := key()
			m.NoteRead(concurrency.Hash(k), ts(at), who)
			if who != a {
				others[string(k)] = max(others[string(k)], at)
			}
		}
		k := key()
		got := m.LatestRead(k, concurrency.Hash(k), ids.TxnID{9}, ts(0))
		if got.WallNanos < max(others[string(k)], 3) {
			t.Fatalf("step %d: %s was read at %d, the cache says %d", i, k, others[string(k)], got.WallNanos)
		}
	}
}

func TestLocksTravel(t *testing.T) {
	m := concurrency.NewManager(nil, hlc.Timestamp{})
	txn := &api.TxnMeta{ID: ids.TxnID{'t'}, Anchor: []byte("a"), StartTS: ts(1), ReadTS: ts(2), WriteTS: ts(3), Gateway: 4, Epoch: 1, Isolation: api.ReadCommitted}
	for _, k := range []string{"a", "b", "c"} {
		if !m.TryLock([]byte(k), concurrency.Hash([]byte(k)), txn, api.LockShared, 1) {
			t.Fatal("not locked")
		}
	}
	raw := concurrency.EncodeLocks(nil, m.ExportLocks([]byte("b"), nil))
	locks, err := concurrency.DecodeLocks(raw)
	if err != nil {
		t.Fatal(err)
	}
	to := concurrency.NewManager(nil, hlc.Timestamp{})
	to.ImportLocks(locks)
	if got := to.Dump(name); got != "\"b\" t=shared\n\"c\" t=shared" {
		t.Errorf("imported %s", got)
	}
	if fmt.Sprint(to.ExportLocks(nil, nil)) != fmt.Sprint(m.ExportLocks([]byte("b"), nil)) {
		t.Error("locks changed on the way")
	}
	for i := range raw[:len(raw)-1] {
		// Some prefixes end between two locks; none may crash.
		_, _ = concurrency.DecodeLocks(raw[:i])
	}
}

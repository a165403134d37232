package eval_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// A small coordinator runs random transactions against the ranges, in all the
// ways a real one may: reads with and without locks, scans, one-phase and
// parallel commits, rollbacks, coordinators that die. Every value is the id of
// the write that made it, so a committed history can be checked: replayed in the
// order of commit timestamps, every serializable transaction must have read
// exactly what the replay shows.

type observed struct {
	key, value string
	how        string
	at         hlc.Timestamp
}

type committedTxn struct {
	ts     hlc.Timestamp
	reads  []observed
	writes map[string]string // "" is a deletion
	name   string
}

type client struct {
	c    *cluster
	rnd  *rand.Rand
	n    int
	id   int
	keys []string
	iso  api.Isolation
	// silent transactions are left behind by a coordinator that died.
	silent bool
}

var errGiveUp = errors.New("gave up")

// errMoved: the locks were validated at another timestamp than the commit's.
var errMoved = &api.RetryError{Reason: api.ReasonPushed}

func (cl *client) send(ba *api.BatchRequest) (*api.BatchResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return cl.c.Send(ctx, ba)
}

// txnRun is one transaction of a client.
type txnRun struct {
	*client
	meta   api.TxnMeta
	read   map[string]bool
	locked map[string]hlc.Timestamp
	out    committedTxn
	laid   []api.Span
}

func (cl *client) begin() *txnRun {
	now := cl.c.clock.Now()
	cl.n++
	return &txnRun{client: cl,
		meta: api.TxnMeta{ID: ids.NewTxnID(), ReadTS: now, WriteTS: now, StartTS: now, UncertaintyLimit: now,
			Observed: now, Gateway: 1, Isolation: cl.iso},
		read: map[string]bool{}, locked: map[string]hlc.Timestamp{},
		out: committedTxn{writes: map[string]string{}, name: fmt.Sprintf("%d.%d", cl.id, cl.n)}}
}

func (t *txnRun) batch(reqs ...api.Request) *api.BatchRequest {
	m := t.meta
	ba := &api.BatchRequest{Requests: reqs}
	ba.Txn, ba.NoIntents = &m, len(t.laid) == 0
	return ba
}

// do sends a batch, refreshing as a coordinator does.
func (t *txnRun) do(reqs ...api.Request) (*api.BatchResponse, error) {
	var last *api.RetryError
	for try := 0; try < 1000; try++ {
		ba := t.batch(reqs...)
		ba.CanRefresh = len(t.read) == 0
		resp, err := t.send(ba)
		var retry *api.RetryError
		if err == nil {
			t.meta.ReadTS = t.meta.ReadTS.Forward(resp.ReadTS)
			t.meta.WriteTS = t.meta.WriteTS.Forward(resp.WriteTS).Forward(t.meta.ReadTS)
			return resp, nil
		}
		if !errors.As(err, &retry) || retry.Reason == api.ReasonStaleBase || retry.Reason == api.ReasonRefreshFailed || t.iso == api.RepeatableRead {
			return nil, err
		}
		last = retry
		if try > 5 {
			// Two transactions that push each other's commits with every refresh
			// part ways only by chance.
			time.Sleep(time.Duration(t.rnd.Intn(200)) * time.Microsecond)
		}
		if err := t.refresh(retry.Timestamp); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %v %s, read %s write %s: %+v", errGiveUp, last, last.Timestamp, t.meta.ReadTS, t.meta.WriteTS, reqs)
}

func (t *txnRun) refresh(to hlc.Timestamp) error {
	from := t.meta.ReadTS
	m := t.meta
	m.ReadTS, m.WriteTS = to, t.meta.WriteTS.Forward(to)
	for k := range t.read {
		r := api.Request{Kind: api.Refresh, Key: []byte(k), RefreshFrom: from}
		spans := []api.Request{r}
		if k == "*" {
			spans = nil
			for _, rng := range t.c.ranges {
				spans = append(spans, api.Request{Kind: api.Refresh, Key: rng.desc.Start, End: rng.desc.End, RefreshFrom: from})
			}
		}
		for _, r := range spans {
			ba := t.batch(r)
			ba.Txn = &m
			if _, err := t.send(ba); err != nil {
				return err
			}
		}
	}
	t.meta = m
	return nil
}

func (t *txnRun) get(k string, lock api.LockStrength) error {
	if _, mine := t.out.writes[k]; mine {
		return nil
	}
	if lock != api.LockNone && t.meta.Anchor == nil {
		t.meta.Anchor = []byte(k)
	}
	resp, err := t.do(api.Request{Kind: api.Get, Key: []byte(k), Lock: lock})
	if err != nil {
		return err
	}
	r := &resp.Responses[0]
	if lock != api.LockNone {
		t.locked[k] = r.VersionTS
	} else {
		t.read[k] = true
	}
	t.out.reads = append(t.out.reads, observed{k, string(r.Value), fmt.Sprintf("get lock=%d", lock), t.meta.ReadTS})
	return nil
}

func (t *txnRun) scan() error {
	for _, rng := range t.c.ranges {
		resp, err := t.do(api.Request{Kind: api.Scan, Key: rng.desc.Start, End: rng.desc.End})
		if err != nil {
			return err
		}
		t.read["*"] = true
		got := map[string]string{}
		for _, kv := range resp.Responses[0].KVs {
			got[string(kv.Key)] = string(kv.Value)
		}
		for _, k := range t.keys {
			if _, mine := t.out.writes[k]; !mine && rng.desc.Contains([]byte(k)) {
				t.out.reads = append(t.out.reads, observed{k, got[k], "scan", t.meta.ReadTS})
			}
		}
	}
	return nil
}

func (t *txnRun) write(k string) {
	v := t.out.name + "/" + strconv.Itoa(len(t.out.writes))
	if t.rnd.Intn(8) == 0 {
		v = ""
	}
	t.out.writes[k] = v
	if t.meta.Anchor == nil {
		t.meta.Anchor = []byte(k)
	}
}

func (t *txnRun) put(k string) api.Request {
	v := t.out.writes[k]
	r := api.Request{Kind: api.Put, Key: []byte(k), Value: []byte(v), Seq: 1}
	if v == "" {
		r.Kind, r.Value = api.Delete, nil
	}
	if base, ok := t.locked[k]; ok {
		r.Expect = api.Expect{Kind: api.ExpectVersion, Version: base}
	}
	return r
}

// commit commits in one phase if it can, else in parallel.
func (t *txnRun) commit() error {
	var ks []string
	for k := range t.out.writes {
		ks = append(ks, k)
	}
	for k := range t.locked {
		if _, ok := t.out.writes[k]; !ok {
			ks = append(ks, k)
		}
	}
	sort.Strings(ks)
	one := true
	var locks []api.Span
	for _, k := range ks {
		one = one && t.c.at([]byte(k)) == t.c.at(t.meta.Anchor)
		locks = append(locks, api.Span{Start: []byte(k)})
	}
	end := api.Request{Kind: api.EndTxn, Key: t.meta.Anchor, Txn: &api.TxnArgs{Commit: true, Locks: locks}}
	if one {
		var reqs []api.Request
		for _, k := range ks {
			if _, ok := t.out.writes[k]; ok {
				reqs = append(reqs, t.put(k))
			} else {
				reqs = append(reqs, api.Request{Kind: api.ValidateLock, Key: []byte(k), Expect: api.Expect{Kind: api.ExpectVersion, Version: t.locked[k]}})
			}
		}
		resp, err := t.do(append(reqs, end)...)
		if err == nil {
			t.out.ts = resp.WriteTS
		}
		return err
	}
	return t.commitParallel(ks, locks, end)
}

func (t *txnRun) commitParallel(ks []string, locks []api.Span, end api.Request) error {
	// Lay everything first, so that the timestamp is known, then stage and decide.
	t.laid = locks
	for _, k := range ks {
		if _, ok := t.out.writes[k]; ok {
			if _, err := t.do(t.put(k)); err != nil {
				return err
			}
			end.Txn.InFlight = append(end.Txn.InFlight, api.InFlightWrite{Key: []byte(k), Seq: 1})
		}
	}
	if t.meta.ReadTS.Less(t.meta.WriteTS) && t.iso == api.Serializable {
		if err := t.refresh(t.meta.WriteTS); err != nil {
			return err
		}
	}
	at := t.meta.WriteTS
	for _, k := range ks {
		if _, ok := t.out.writes[k]; ok {
			continue
		}
		if _, err := t.do(api.Request{Kind: api.ValidateLock, Key: []byte(k), Expect: api.Expect{Kind: api.ExpectVersion, Version: t.locked[k]}}); err != nil {
			return err
		}
	}
	if at != t.meta.WriteTS {
		return errMoved
	}
	resp, err := t.send(t.batch(end)) // no refresh: the locks hold at this timestamp
	if err != nil {
		return err
	}
	t.out.ts = t.meta.WriteTS.Forward(resp.WriteTS)
	if t.silent && t.rnd.Intn(4) == 0 {
		return nil // the coordinator dies once all is staged: the transaction is committed
	}
	if t.rnd.Intn(2) == 0 {
		end.Txn = &api.TxnArgs{Commit: true, Locks: locks}
		if _, err := t.do(end); err != nil {
			return fmt.Errorf("explicit commit: %w", err)
		}
	} else if err := t.recover(&api.TxnArgs{Commit: true}); err != nil {
		return fmt.Errorf("explicit commit: %w", err)
	}
	t.resolve(api.Committed)
	return t.recover(&api.TxnArgs{Forget: true})
}

// recover tells the record of a staged transaction that all its writes are there,
// or that nobody needs it any more.
func (t *txnRun) recover(args *api.TxnArgs) error {
	m := t.meta
	m.WriteTS = t.meta.WriteTS.Forward(t.out.ts)
	args.Pushee = m
	_, err := t.send(&api.BatchRequest{Requests: []api.Request{{Kind: api.RecoverTxn, Key: m.Anchor, Txn: args}}})
	return err
}

func (t *txnRun) resolve(s api.TxnStatus) {
	m := t.meta
	m.WriteTS = t.meta.WriteTS.Forward(t.out.ts)
	for _, sp := range t.laid {
		if _, err := t.send(&api.BatchRequest{Requests: []api.Request{{Kind: api.ResolveIntent, Key: sp.Start,
			Txn: &api.TxnArgs{Pushee: m, Status: s}}}}); err != nil {
			panic(err)
		}
	}
}

func (t *txnRun) rollback() {
	if t.silent && t.rnd.Intn(3) == 0 {
		return // dies
	}
	if t.meta.Anchor != nil {
		_, _ = t.send(t.batch(api.Request{Kind: api.EndTxn, Key: t.meta.Anchor, Txn: &api.TxnArgs{Locks: t.laid}}))
	}
	t.resolve(api.Aborted)
	for _, r := range t.c.ranges {
		_, _ = t.send(t.batch(api.Request{Kind: api.ReleaseLocks, Key: r.desc.Start, End: r.desc.End}))
	}
}

// run executes one random transaction.
func (cl *client) run() (*committedTxn, error) {
	t := cl.begin()
	err := func() error {
		for i, n := 0, 1+cl.rnd.Intn(4); i < n; i++ {
			k := cl.keys[cl.rnd.Intn(len(cl.keys))]
			var err error
			switch cl.rnd.Intn(6) {
			case 0:
				err = t.scan()
			case 1, 2:
				err = t.get(k, api.LockNone)
			case 3:
				if err = t.get(k, api.LockExclusive); err == nil {
					t.write(k)
				}
			case 4:
				err = t.get(k, api.LockShared)
			default:
				t.write(k)
			}
			if err != nil {
				return err
			}
		}
		if len(t.out.writes) == 0 {
			t.out.ts = t.meta.ReadTS
			t.rollback()
			return nil
		}
		return t.commit()
	}()
	if err != nil {
		t.rollback()
		return nil, err
	}
	return &t.out, nil
}

func TestSerializableHistories(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bounds []string
		delay  time.Duration
		silent bool
	}{
		{"one range", nil, 0, false},
		{"one range, slow log", nil, 200 * time.Microsecond, false},
		{"three ranges", []string{"k3", "k6"}, 100 * time.Microsecond, false},
		{"dying coordinators", []string{"k3", "k6"}, 50 * time.Microsecond, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Virtual time runs ten times as fast, so that abandoned transactions
			// expire within the test.
			start := time.Now()
			speed := int64(1)
			if tc.silent {
				speed = 40
			}
			c := newCluster(func() int64 { return 1e9 + int64(time.Since(start))*speed }, tc.bounds...)
			c.delay = tc.delay
			defer c.close()
			history, failures := runClients(t, c, tc.silent)
			checkHistory(t, history)
			t.Logf("%d committed, %v", len(history), failures)
			if len(history) < 10 {
				t.Fatalf("only %d transactions committed", len(history))
			}
			checkSize(t, c)
		})
	}
}

func runClients(t *testing.T, c *cluster, silent bool) ([]*committedTxn, map[string]int) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	var ks []string
	for i := 0; i < 9; i++ {
		ks = append(ks, "k"+strconv.Itoa(i))
	}
	var mu sync.Mutex
	var history []*committedTxn
	failures := map[string]int{}
	var wg sync.WaitGroup
	end := time.Now().Add(900 * time.Millisecond)
	for i := 0; i < 12; i++ {
		cl := &client{c: c, rnd: rand.New(rand.NewSource(seed + int64(i))), id: i, keys: ks, silent: silent}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(end) {
				out, err := cl.run()
				mu.Lock()
				if err == nil {
					history = append(history, out)
				} else {
					failures[err.Error()]++
					if !expectedFailure(err) {
						t.Errorf("transaction failed: %v", err)
					}
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return history, failures
}

func expectedFailure(err error) bool {
	var retry *api.RetryError
	var dead *api.DeadlockError
	var gone *api.AbortedError
	return errors.As(err, &retry) || errors.As(err, &dead) || errors.As(err, &gone)
}

// checkHistory replays the transactions in commit order.
func checkHistory(t *testing.T, history []*committedTxn) {
	sort.Slice(history, func(i, j int) bool {
		a, b := history[i], history[j]
		if c := a.ts.Compare(b.ts); c != 0 {
			return c < 0
		}
		// A reader at a commit's timestamp sees it.
		return len(a.writes) > len(b.writes)
	})
	state, by := map[string]string{}, map[string]*committedTxn{}
	for i := 0; i < len(history); i++ {
		// Of several at one timestamp whoever saw the others comes after them.
		for j := i; j < len(history) && history[j].ts == history[i].ts; j++ {
			if matches(state, history[j]) {
				history[i], history[j] = history[j], history[i]
				break
			}
		}
		h := history[i]
		for _, r := range h.reads {
			if state[r.key] != r.value {
				t.Errorf("%s at %s read %s=%q by %s at %s, but the order of commits says %q since %s; reads %v writes %v",
					h.name, h.ts, r.key, r.value, r.how, r.at, state[r.key], by[r.key].ts, h.reads, h.writes)
			}
		}
		for k, v := range h.writes {
			state[k], by[k] = v, h
		}
	}
}

func matches(state map[string]string, h *committedTxn) bool {
	for _, r := range h.reads {
		if state[r.key] != r.value {
			return false
		}
	}
	return true
}

// checkSize compares the kept sizes with what is there.
func checkSize(t *testing.T, c *cluster) {
	v := c.eng.View()
	defer v.Close()
	for _, r := range c.ranges {
		checkRangeSize(t, v, r)
	}
}

func checkRangeSize(t *testing.T, v engine.View, r *testRange) {
	size, live, err := mvcc.Size(v, testSpace, r.desc.Start, r.desc.End)
	if err != nil || size != r.bytes || live != r.keys {
		t.Errorf("%s holds %d bytes and %d keys, counted %d and %d (%v)", r.id, size, live, r.bytes, r.keys, err)
	}
}

package eval_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// script runs evaluation scripts. Commands:
//
//	cluster [bounds=(m,t)]          fresh ranges
//	txn NAME [iso=rr|rc] [limit=MS] a transaction that begins now
//	batch [t=NAME] [refresh] [noint] [seq=N] [at=MS] [timeout=MS] [async=NAME] [carry=(k:v,...)] [ignored=(a-b)]
//	  one request a line, see request()
//	wait NAME                       the answer of an async batch
//	advance MS                      moves the clock
//	lose-lease / gain-lease         of the first range
//	locks / dump                    show the lock tables, the store
//
// Each command happens a millisecond after the one before; timestamps are shown
// in milliseconds, with +n for a logical part.
type script struct {
	c     *cluster
	nanos atomic.Int64
	txns  map[string]*api.TxnMeta
	names map[ids.TxnID]string
	async map[string]chan string
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "../../testdata/eval", func(t *testing.T, path string) {
		s := &script{}
		s.reset(nil)
		defer func() { s.c.close() }()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.nanos.Add(1e6)
			return s.run(t, d)
		})
		for name := range s.async {
			t.Errorf("nobody waited for %s", name)
		}
	})
}

func (s *script) reset(bounds []string) {
	if s.c != nil {
		s.c.close()
	}
	s.nanos.Store(0)
	s.c = newCluster(s.nanos.Load, bounds...)
	s.txns, s.names = map[string]*api.TxnMeta{}, map[ids.TxnID]string{}
	s.async = map[string]chan string{}
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "cluster":
		var bounds []string
		for _, a := range d.CmdArgs {
			if a.Key == "bounds" {
				bounds = a.Vals
			}
		}
		s.reset(bounds)
		s.nanos.Add(1e6)
		return ""
	case "txn":
		return s.newTxn(d)
	case "batch":
		return s.batch(t, d)
	case "wait":
		name := d.CmdArgs[0].Key
		ch := s.async[name]
		delete(s.async, name)
		select {
		case out := <-ch:
			return out
		case <-time.After(10 * time.Second):
			return "still waiting\n" + s.locks()
		}
	case "advance":
		s.nanos.Add(mustInt(d.CmdArgs[0].Key) * 1e6)
		return ""
	case "lose-lease", "gain-lease":
		r := s.c.ranges[0]
		r.mu.Lock()
		if r.lost = d.Cmd == "lose-lease"; !r.lost {
			r.lease.Seq++
			r.lease.Start = s.c.clock.Now()
		}
		start := r.lease.Start
		r.mu.Unlock()
		if r.lost {
			r.m.LeaseLost()
		} else {
			r.m.LeaseAcquired(start)
		}
		return ""
	case "locks":
		return s.locks()
	case "dump":
		return s.dump(t)
	}
	return "unknown command"
}

func (s *script) newTxn(d *datadriven.TestData) string {
	now := hlc.Timestamp{WallNanos: s.nanos.Load()}
	name := d.CmdArgs[0].Key
	id := ids.TxnID{}
	copy(id[:], fmt.Sprintf("%02d-%s", len(s.txns)+1, name))
	m := &api.TxnMeta{ID: id, ReadTS: now, WriteTS: now, StartTS: now, UncertaintyLimit: now, Observed: now, Gateway: 1}
	for _, a := range d.CmdArgs[1:] {
		switch a.Key {
		case "iso":
			m.Isolation = map[string]api.Isolation{"rr": api.RepeatableRead, "rc": api.ReadCommitted}[a.Vals[0]]
		case "limit":
			m.UncertaintyLimit = now.Add(time.Duration(mustInt(a.Vals[0])) * time.Millisecond)
			m.Observed = m.UncertaintyLimit
		case "anchor":
			m.Anchor = []byte(a.Vals[0])
		case "epoch":
			m.Epoch = int32(mustInt(a.Vals[0]))
		}
	}
	s.txns[name], s.names[id] = m, name
	return ""
}

func (s *script) batch(t *testing.T, d *datadriven.TestData) string {
	ba := &api.BatchRequest{}
	ba.Gateway = 1
	var async string
	var txn *api.TxnMeta
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "t":
			m := *s.txns[a.Vals[0]]
			txn, ba.Txn = s.txns[a.Vals[0]], &m
		case "refresh":
			ba.CanRefresh = true
		case "noint":
			ba.NoIntents = true
		case "seq":
			ba.ReadSeq = api.Seq(mustInt(a.Vals[0]))
		case "at":
			ba.ReadTS = parseTS(a.Vals[0])
		case "timeout":
			ba.LockTimeoutNanos = mustInt(a.Vals[0]) * 1e6
		case "async":
			async = a.Vals[0]
		case "ignored":
			ba.Ignored = parseIgnored(a.Vals)
		case "carry":
			for _, v := range a.Vals {
				k, val, ok := strings.Cut(v, ":")
				ba.Carried = append(ba.Carried, api.CarriedWrite{Key: []byte(k), Value: []byte(val), Deleted: !ok})
			}
		default:
			t.Fatalf("%s: unknown argument %s", d.Pos, a.Key)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		r, err := s.request(line, ba)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		if txn != nil && len(txn.Anchor) == 0 && (r.Lock != api.LockNone || r.Kind == api.Put || r.Kind == api.Delete) {
			txn.Anchor = r.Key
			ba.Txn.Anchor = r.Key
		}
		ba.Requests = append(ba.Requests, r)
	}
	if async == "" {
		return s.send(ba, txn)
	}
	ch := make(chan string, 1)
	s.async[async] = ch
	before := s.locks()
	go func() { ch <- s.send(ba, txn) }()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if len(ch) > 0 {
			return "done\n"
		}
		if now := s.locks(); now != before && strings.Contains(now, "<-") {
			return "waits\n"
		}
	}
	return "neither done nor waiting\n"
}

func (s *script) send(ba *api.BatchRequest, txn *api.TxnMeta) string {
	before := s.c.proposals.Load()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	resp, err := s.c.Send(ctx, ba)
	var sb strings.Builder
	if err != nil {
		return s.showError(err)
	}
	for i := range resp.Responses {
		s.showResponse(&sb, &ba.Requests[i], &resp.Responses[i])
	}
	if !resp.ReadTS.IsZero() && ba.Txn != nil {
		fmt.Fprintf(&sb, "read at %s\n", showTS(resp.ReadTS))
		txn.ReadTS = resp.ReadTS
	}
	if !resp.WriteTS.IsZero() {
		fmt.Fprintf(&sb, "write at %s\n", showTS(resp.WriteTS))
		txn.WriteTS = txn.WriteTS.Forward(resp.WriteTS)
	}
	if n := s.c.proposals.Load() - before; n > 1 {
		fmt.Fprintf(&sb, "%d proposals\n", n)
	}
	return sb.String()
}

func (s *script) showError(err error) string {
	var retry *api.RetryError
	var cond *api.ConditionFailedError
	switch {
	case errors.As(err, &retry):
		return fmt.Sprintf("error: %v, %s\n", err, showTS(retry.Timestamp))
	case errors.As(err, &cond):
		return fmt.Sprintf("error: %v: request %d, %s=%s at %s\n", err, cond.Index, cond.Key, cond.Existing, showTS(cond.VersionTS))
	}
	return fmt.Sprintf("error: %v\n", err)
}

func (s *script) showResponse(sb *strings.Builder, r *api.Request, resp *api.Response) {
	switch r.Kind {
	case api.Get:
		switch {
		case resp.Skipped:
			fmt.Fprintf(sb, "%s: skipped\n", r.Key)
		case resp.Exists:
			fmt.Fprintf(sb, "%s=%s at %s\n", r.Key, resp.Value, showTS(resp.VersionTS))
		default:
			fmt.Fprintf(sb, "%s: none, base %s\n", r.Key, showTS(resp.VersionTS))
		}
	case api.Scan:
		for _, kv := range resp.KVs {
			fmt.Fprintf(sb, "%s=%s at %s\n", kv.Key, printable(kv.Value), showTS(kv.VersionTS))
		}
		for _, l := range resp.Locked {
			fmt.Fprintf(sb, "locked %s at %s\n", l.Key, showTS(l.VersionTS))
		}
		if resp.Result != nil {
			rows, bytes := resp.Result.Size()
			fmt.Fprintf(sb, "program: %s (%d rows, %d bytes)\n", resp.Result.Encode(nil), rows, bytes)
		}
		if resp.Raw {
			fmt.Fprintf(sb, "raw\n")
		}
		if resp.Resume != nil {
			fmt.Fprintf(sb, "resume %q\n", resp.Resume)
		}
	case api.Increment, api.ResolveIntent, api.DeleteRange, api.GC:
		fmt.Fprintf(sb, "number %d\n", resp.Number)
	case api.QueryIntent:
		fmt.Fprintf(sb, "found %v\n", resp.Found)
	}
	if resp.Txn != nil {
		fmt.Fprintf(sb, "%s is %s at %s\n", s.names[resp.Txn.ID], resp.Txn.Status, showTS(resp.Txn.WriteTS))
	}
	for _, w := range resp.Waits {
		fmt.Fprintf(sb, "%s waits for %s\n", s.names[w.Waiter], s.names[w.Blocker])
	}
}

func (s *script) locks() string {
	var out []string
	for _, r := range s.c.ranges {
		if l := r.m.Dump(s.name); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

func (s *script) name(id ids.TxnID) string {
	if n := s.names[id]; n != "" {
		return n
	}
	return "request"
}

func (s *script) dump(t *testing.T) string {
	v := s.c.eng.View()
	defer v.Close()
	var sb strings.Builder
	if err := mvcc.Dump(&sb, v, testSpace, nil, []byte{0xff, 0xff}, s.name, showTS); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.c.ranges {
		size, live, err := mvcc.Size(v, testSpace, r.desc.Start, r.desc.End)
		if err != nil || size != r.bytes || live != r.keys {
			fmt.Fprintf(&sb, "%s: size %d bytes, %d keys, but counted %d and %d (%v)\n", r.id, size, live, r.bytes, r.keys, err)
		}
	}
	return sb.String()
}

func printable(v []byte) string {
	q := strconv.Quote(string(v))
	if len(q) == len(v)+2 {
		return string(v)
	}
	return q
}

func mustInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func parseTS(s string) hlc.Timestamp {
	ms, logical, _ := strings.Cut(s, "+")
	ts := hlc.Timestamp{WallNanos: mustInt(ms) * 1e6}
	if logical != "" {
		ts.Logical = int32(mustInt(logical))
	}
	return ts
}

func showTS(ts hlc.Timestamp) string {
	if ts.Logical != 0 {
		return fmt.Sprintf("%d+%d", ts.WallNanos/1e6, ts.Logical)
	}
	return strconv.FormatInt(ts.WallNanos/1e6, 10)
}

func parseIgnored(vals []string) (out []api.SeqInterval) {
	for _, v := range vals {
		a, b, _ := strings.Cut(v, "-")
		out = append(out, api.SeqInterval{From: api.Seq(mustInt(a)), To: api.Seq(mustInt(b))})
	}
	return out
}

// request reads one request: "kind key[-end] [words...]".
func (s *script) request(line string, ba *api.BatchRequest) (api.Request, error) {
	f := strings.Fields(line)
	kinds := map[string]api.Kind{"get": api.Get, "scan": api.Scan, "rscan": api.Scan, "put": api.Put, "del": api.Delete,
		"clear": api.DeleteRange, "incr": api.Increment, "validate": api.ValidateLock, "refresh": api.Refresh,
		"commit": api.EndTxn, "stage": api.EndTxn, "abort": api.EndTxn, "forget": api.RecoverTxn, "heartbeat": api.HeartbeatTxn,
		"push": api.PushTxn, "query": api.QueryTxn, "query-intent": api.QueryIntent, "recover": api.RecoverTxn,
		"resolve": api.ResolveIntent, "release": api.ReleaseLocks, "gc": api.GC}
	r := api.Request{Kind: kinds[f[0]]}
	if r.Kind == 0 {
		return r, fmt.Errorf("unknown request %q", f[0])
	}
	words := f[1:]
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		start, end, ranged := strings.Cut(words[0], "-")
		r.Key = []byte(start)
		if ranged {
			r.End = []byte(end)
		}
		words = words[1:]
	}
	switch r.Kind {
	case api.EndTxn:
		r.Txn = &api.TxnArgs{Commit: f[0] != "abort", Ignored: ba.Ignored}
		if len(r.Key) == 0 {
			r.Key = ba.Txn.Anchor
		}
	case api.HeartbeatTxn:
		r.Key = ba.Txn.Anchor
	case api.PushTxn, api.QueryTxn, api.RecoverTxn, api.QueryIntent, api.ResolveIntent:
		r.Txn = &api.TxnArgs{Forget: f[0] == "forget"}
	}
	r.Reverse = f[0] == "rscan"
	for _, w := range words {
		if err := s.word(&r, w); err != nil {
			return r, err
		}
	}
	if r.Txn != nil && len(r.Key) == 0 {
		r.Key = r.Txn.Pushee.Anchor
	}
	return r, nil
}

func (s *script) word(r *api.Request, w string) error {
	k, v, _ := strings.Cut(w, "=")
	scan := func() *api.ScanOptions {
		if r.Scan == nil {
			r.Scan = &api.ScanOptions{}
		}
		return r.Scan
	}
	switch k {
	case "lock":
		r.Lock = api.LockExclusive
	case "share":
		r.Lock = api.LockShared
	case "nowait":
		r.Wait = api.WaitError
	case "skip":
		r.Wait = api.WaitSkip
	case "v":
		r.Value = []byte(v)
	case "absent":
		r.Expect.Kind = api.ExpectAbsent
	case "fresh":
		r.Expect.Kind = api.ExpectFresh
	case "version":
		r.Expect = api.Expect{Kind: api.ExpectVersion, Version: parseTS(v)}
	case "seq":
		r.Seq = api.Seq(mustInt(v))
	case "by":
		r.Delta = mustInt(v)
	case "rows":
		scan().MaxRows = mustInt(v)
	case "bytes":
		scan().MaxBytes = mustInt(v)
	case "keys":
		scan().KeysOnly = true
	case "program":
		scan().Program = []byte(v)
	case "from":
		r.RefreshFrom = parseTS(v)
	case "threshold":
		r.Admin = &api.AdminArgs{Threshold: parseTS(v)}
	case "deadline":
		r.Txn.Deadline = parseTS(v)
	case "locks":
		for _, l := range strings.Split(v, ",") {
			start, end, ranged := strings.Cut(l, "-")
			sp := api.Span{Start: []byte(start)}
			if ranged {
				sp.End = []byte(end)
			}
			r.Txn.Locks = append(r.Txn.Locks, sp)
		}
	case "inflight":
		for _, l := range strings.Split(v, ",") {
			key, seq, _ := strings.Cut(l, ":")
			r.Txn.InFlight = append(r.Txn.InFlight, api.InFlightWrite{Key: []byte(key), Seq: api.Seq(mustInt(seq))})
		}
	case "of":
		r.Txn.Pushee = *s.txns[v]
	case "ts":
		r.Txn.Pushee.WriteTS = parseTS(v)
	case "abort":
		r.Txn.PushAbort = true
	case "to":
		r.Txn.PushTo = parseTS(v)
	case "seen":
		r.Txn.PusheeSeen = parseTS(v)
	case "found":
		r.Txn.Commit = true
	case "status":
		r.Txn.Status = map[string]api.TxnStatus{"committed": api.Committed, "aborted": api.Aborted, "pending": api.Pending, "staging": api.Staging}[v]
	default:
		return fmt.Errorf("unknown word %q", w)
	}
	return nil
}

// letters is an evaluator: the program "a" passes rows whose value starts with
// a, and its result is the keys; "?" is unknown.
type letters struct{}

type lettersRun struct {
	prefix string
	max    int64
	keys   []string
	bytes  int64
}

func (letters) Open(program []byte, maxRows int64) (api.ScanRun, error) {
	if string(program) == "?" {
		return nil, api.ErrUnknownProgram
	}
	return &lettersRun{prefix: string(program), max: maxRows}, nil
}

func (l *lettersRun) Block(keys, values [][]byte, pass []int32) (int, []int32, error) {
	for i := range keys {
		if l.max > 0 && int64(len(l.keys)) >= l.max {
			return i, pass, nil
		}
		if strings.HasPrefix(string(values[i]), l.prefix) {
			pass = append(pass, int32(i))
			l.keys = append(l.keys, string(keys[i]))
			l.bytes += int64(len(values[i]))
		}
	}
	return len(keys), pass, nil
}

func (l *lettersRun) Finish() (api.ScanResult, error) { return l, nil }

func (l *lettersRun) Encode(b []byte) []byte { return append(b, strings.Join(l.keys, " ")...) }
func (l *lettersRun) Size() (int64, int64)   { return int64(len(l.keys)), l.bytes }

func TestEffectsEncoding(t *testing.T) {
	e := &eval.Effects{BytesDelta: -5, KeysDelta: 3, GCThreshold: hlc.Timestamp{WallNanos: 9, Logical: 2}, Ops: []eval.EffectOp{
		{Key: []byte("a"), Value: []byte("x")}, {Key: []byte("b"), Delete: true},
		{Key: []byte("c"), End: []byte("d"), Delete: true}, {Key: []byte("e"), Value: []byte{}}}}
	raw := e.Encode(nil)
	got, err := eval.DecodeEffects(raw)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(e) {
		t.Fatalf("%v: %v, want %v", err, got, e)
	}
	for i := range raw {
		if _, err := eval.DecodeEffects(raw[:i]); err == nil {
			t.Fatalf("the first %d bytes decode", i)
		}
	}
}

// A sender that has given up may be about to go on without the batch.
func TestGivenUpBatchHasNoEffect(t *testing.T) {
	c := newCluster(nil)
	defer c.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	now := c.clock.Now()
	txn := &api.TxnMeta{ID: ids.TxnID{1}, Anchor: api.Key("k"), StartTS: now, ReadTS: now, WriteTS: now}
	_, err := c.Send(ctx, &api.BatchRequest{Header: api.Header{Txn: txn, ReadTS: now},
		Requests: []api.Request{{Kind: api.Put, Key: api.Key("k"), Value: []byte("v"), Seq: 1}}})
	if !errors.Is(err, context.Canceled) || c.proposals.Load() != 0 {
		t.Errorf("%v, %d commands", err, c.proposals.Load())
	}
}

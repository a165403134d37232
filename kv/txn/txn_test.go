package txn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

func randomKey(r *rand.Rand) api.Key { return fmt.Appendf(nil, "k%03d", r.IntN(300)) }

// A set of spans covers at least what was added, in order, and exactly that
// while it is small.
func TestSpanSetCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		var s spanSet
		var added []api.Span
		for range 1 << (n % 12) {
			sp := api.Span{Start: randomKey(r)}
			if r.IntN(2) == 0 {
				if end := randomKey(r); bytes.Compare(sp.Start, end) < 0 {
					sp.End = end
				}
			}
			s.add(sp.Start, sp.End)
			added = append(added, sp)
		}
		spans := s.spans()
		if len(spans) > 2*maxSpans {
			t.Fatalf("%d spans", len(spans))
		}
		for i := 1; i < len(spans); i++ {
			if bytes.Compare(spanEnd(spans[i-1]), spans[i].Start) > 0 {
				t.Fatalf("%s overlaps %s", spans[i-1], spans[i])
			}
		}
		covered := func(list []api.Span, k api.Key) bool {
			return slices.ContainsFunc(list, func(sp api.Span) bool {
				return bytes.Compare(sp.Start, k) <= 0 && bytes.Compare(k, spanEnd(sp)) < 0
			})
		}
		for i := range 300 {
			k := fmt.Appendf(nil, "k%03d", i)
			want, got := covered(added, k), covered(spans, k)
			if want && !got || got && !want && len(added) <= maxSpans {
				t.Fatalf("%s: covered %v, want %v", k, got, want)
			}
		}
	}
}

func TestSpanSetCoarsens(t *testing.T) {
	var s spanSet
	for i := range 50_000 {
		s.add(fmt.Appendf(nil, "%08d", i*2), nil)
	}
	if n := len(s.spans()); n > 2*maxSpans {
		t.Fatalf("%d spans", n)
	}
	for _, i := range []int{0, 777, 49_999} {
		k := fmt.Appendf(nil, "%08d", i*2)
		if !slices.ContainsFunc(s.spans(), func(sp api.Span) bool {
			return bytes.Compare(sp.Start, k) <= 0 && bytes.Compare(k, spanEnd(sp)) < 0
		}) {
			t.Errorf("%s is not covered", k)
		}
	}
}

// The buffer is an ordered map with history, small or large.
func TestBufferMatchesMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 60 {
		var b buffer
		model := map[string][]version{}
		for seq := api.Seq(1); int(seq) < 2+n*4; seq++ {
			if r.IntN(10) == 0 {
				to := seq - api.Seq(r.IntN(int(seq)))
				b.rollback(to)
				for k, vs := range model {
					vs = slices.DeleteFunc(slices.Clone(vs), func(v version) bool { return v.seq > to })
					if model[k] = vs; len(vs) == 0 {
						delete(model, k)
					}
				}
			}
			k := randomKey(r)
			v := version{seq: seq, value: fmt.Append(nil, seq)}
			b.put(k, v)
			model[string(k)] = append(model[string(k)], v)
		}
		checkBuffer(t, &b, model)
	}
}

func checkBuffer(t *testing.T, b *buffer, model map[string][]version) {
	t.Helper()
	ks := slices.Sorted(maps.Keys(model))
	size, versions := 0, 0
	for i, p := range b.all() {
		if string(p.key) != ks[i] || len(p.versions) != len(model[ks[i]]) {
			t.Fatalf("entry %d is %s with %d versions", i, p.key, len(p.versions))
		}
		size += len(p.key)
		for j, v := range p.versions {
			if v.seq != model[ks[i]][j].seq {
				t.Fatalf("%s: version %d", p.key, v.seq)
			}
			size += len(v.value) + versionOverhead
			versions++
		}
	}
	if b.len() != len(ks) || b.size != size || b.versions != versions {
		t.Fatalf("%d keys, %d bytes, %d versions; want %d, %d, %d", b.len(), b.size, b.versions, len(ks), size, versions)
	}
	var got []string
	b.ascend(api.Key("k100"), api.Key("k200"), func(p *pending) bool { got = append(got, string(p.key)); return true })
	want := slices.DeleteFunc(ks, func(k string) bool { return k < "k100" || k >= "k200" })
	if !slices.Equal(got, want) {
		t.Fatalf("ascend: %v, want %v", got, want)
	}
}

// scripted answers by a function and remembers the kinds of requests.
type scripted struct {
	mu     sync.Mutex
	answer func(ba *api.BatchRequest) (*api.BatchResponse, error)
	kinds  []api.Kind
	desc   api.RangeDescriptor
}

func (s *scripted) Send(_ context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ba.Requests {
		s.kinds = append(s.kinds, ba.Requests[i].Kind)
	}
	if s.answer != nil {
		if br, err := s.answer(ba); br != nil || err != nil {
			return br, err
		}
	}
	br := &api.BatchResponse{Responses: make([]api.Response, len(ba.Requests))}
	if ba.Txn != nil {
		br.WriteTS = ba.Txn.WriteTS
	}
	return br, nil
}

func (s *scripted) Range(context.Context, api.Key) (*api.RangeDescriptor, error) { return &s.desc, nil }

func (s *scripted) sent(k api.Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, o := range s.kinds {
		if o == k {
			n++
		}
	}
	return n
}

func newScripted(end api.Key) (*scripted, *DB) {
	s := &scripted{desc: api.RangeDescriptor{Start: keys.MinKey, End: end}}
	return s, NewDB(Config{Ranges: s, Clock: hlc.NewClock(nil, time.Second), Node: func() ids.NodeID { return 1 }})
}

func lockingTxn(t *testing.T, db *DB, age time.Duration) *Txn {
	t.Helper()
	tx := db.begin(kv.TxnOptions{})
	m := tx.edit()
	m.StartTS.WallNanos -= int64(age)
	tx.meta.Store(m)
	var b kv.Batch
	b.GetLocked(api.Key("a"), api.LockExclusive, api.WaitBlock)
	if err := tx.Send(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestHeartbeatsOfOldHoldersOnly(t *testing.T) {
	s, db := newScripted(keys.MaxKey)
	defer db.Close()
	young := lockingTxn(t, db, 0)
	idle := db.begin(kv.TxnOptions{})
	m := idle.edit()
	m.StartTS.WallNanos -= int64(time.Hour)
	idle.meta.Store(m)
	old := lockingTxn(t, db, 2*time.Second)
	db.heartbeatAll(context.Background())
	db.WaitIdle()
	if n := s.sent(api.HeartbeatTxn); n != 1 || !old.beaten.Load() {
		t.Fatalf("%d heartbeats", n)
	}
	if n := len(db.Transactions()); n != 3 {
		t.Fatalf("%d open transactions", n)
	}
	s.answer = func(ba *api.BatchRequest) (*api.BatchResponse, error) {
		if ba.Requests[0].Kind != api.HeartbeatTxn {
			return nil, nil
		}
		return &api.BatchResponse{Responses: []api.Response{{Txn: &api.TxnRecord{Status: api.Aborted}}}}, nil
	}
	db.heartbeatAll(context.Background())
	db.WaitIdle()
	var aborted *api.AbortedError
	if err := old.Commit(context.Background()); !errors.As(err, &aborted) {
		t.Fatalf("an aborted transaction commits: %v", err)
	}
	for _, tx := range []*Txn{young, idle, old} {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(db.Transactions()); n != 0 {
		t.Fatalf("%d open transactions", n)
	}
}

// An unknown outcome of a staging is looked up; only without an answer it is the
// client's.
func TestAmbiguousStaging(t *testing.T) {
	for _, c := range []struct {
		name      string
		found     bool
		committed bool
	}{{"all there", true, true}, {"one missing", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			s, db := newScripted(api.Key("m"))
			defer db.Close()
			s.answer = func(ba *api.BatchRequest) (*api.BatchResponse, error) {
				last := &ba.Requests[len(ba.Requests)-1]
				switch {
				case last.Kind == api.EndTxn && len(last.Txn.InFlight) > 0:
					return nil, &api.AmbiguousError{Cause: "test"}
				case last.Kind == api.QueryIntent:
					return &api.BatchResponse{Responses: []api.Response{{Found: c.found}}}, nil
				case last.Kind == api.RecoverTxn:
					rec := &api.TxnRecord{TxnMeta: last.Txn.Pushee, Status: api.Aborted}
					if last.Txn.Commit {
						rec.Status = api.Committed
					}
					return &api.BatchResponse{Responses: []api.Response{{Txn: rec}}}, nil
				}
				return nil, nil
			}
			tx := db.begin(kv.TxnOptions{})
			b := &kv.Batch{Commit: true}
			b.Put(api.Key("a"), nil, api.Expect{})
			b.Put(api.Key("z"), nil, api.Expect{})
			err := tx.Send(context.Background(), b)
			var aborted *api.AbortedError
			if c.committed && err != nil || !c.committed && !errors.As(err, &aborted) {
				t.Fatal(err)
			}
			if err := tx.Rollback(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAmbiguousOnePhaseIsToldOnce(t *testing.T) {
	s, db := newScripted(keys.MaxKey)
	defer db.Close()
	s.answer = func(ba *api.BatchRequest) (*api.BatchResponse, error) {
		if ba.Requests[len(ba.Requests)-1].Kind == api.EndTxn {
			return nil, &api.AmbiguousError{Cause: "test"}
		}
		return nil, nil
	}
	err := db.Run(context.Background(), kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Put(api.Key("a"), nil, api.Expect{})
		return t.Send(context.Background(), &b)
	})
	var ambiguous *api.AmbiguousError
	if !errors.As(err, &ambiguous) || s.sent(api.EndTxn) != 1 {
		t.Fatal(err, s.sent(api.EndTxn))
	}
}

// A lock in the way of a parallel commit takes the staging record back first.
func TestLockInTheWayOfStaging(t *testing.T) {
	s, db := newScripted(api.Key("m"))
	defer db.Close()
	blocked := true
	s.answer = func(ba *api.BatchRequest) (*api.BatchResponse, error) {
		r := &ba.Requests[0]
		switch {
		case r.Kind == api.Put && string(r.Key) == "z" && blocked:
			if r.Wait != api.WaitError {
				t.Error("a write waits while the record is staged")
			}
			blocked = false
			return nil, &api.LockUnavailableError{Key: r.Key}
		case r.Kind == api.HeartbeatTxn && r.Txn.Status == api.Staging:
			return &api.BatchResponse{Responses: []api.Response{{Txn: &api.TxnRecord{}}}}, nil
		}
		return nil, nil
	}
	err := db.Run(context.Background(), kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Put(api.Key("a"), nil, api.Expect{})
		b.Put(api.Key("z"), nil, api.Expect{})
		return t.Send(context.Background(), &b)
	})
	if err != nil || s.sent(api.HeartbeatTxn) != 1 {
		t.Fatal(err, s.sent(api.HeartbeatTxn))
	}
}

func TestIgnoredIntervals(t *testing.T) {
	tx := &Txn{}
	for _, i := range []api.SeqInterval{{From: 5, To: 6}, {From: 9, To: 12}, {From: 8, To: 13}, {From: 3, To: 20}} {
		tx.ignore(i)
	}
	if got := fmt.Sprint(tx.ignored); got != "[{3 20}]" {
		t.Fatal(got)
	}
}

func (*scripted) Tell(context.Context, *api.BatchRequest) {}

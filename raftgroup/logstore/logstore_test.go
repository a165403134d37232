package logstore

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func entries(first, n uint64, term uint64) (out []*raft.Log) {
	for i := first; i < first+n; i++ {
		out = append(out, &raft.Log{Index: i, Term: term, Data: []byte(fmt.Sprint(i, ".", term))})
	}
	return out
}

func dirs(t *testing.T) map[string]Dir {
	d, err := OpenDir(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return map[string]Dir{"bolt": d, "memory": NewMemoryDir()}
}

func open(t *testing.T, d Dir) Store {
	t.Helper()
	s, err := d.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAgreesWithSlice drives both stores at random, reopening them, against a
// plain slice.
func TestAgreesWithSlice(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	for name, d := range dirs(t) {
		r := rand.New(rand.NewSource(seed))
		s := open(t, d)
		var model []*raft.Log
		for step := 0; step < 150; step++ {
			last := uint64(0)
			if len(model) > 0 {
				last = model[len(model)-1].Index
			}
			switch op := r.Intn(10); {
			case op < 5 || len(model) == 0:
				at := last + 1
				if last == 0 {
					at = uint64(1 + r.Intn(20))
				}
				es := entries(at, uint64(1+r.Intn(5)), uint64(step))
				if err := s.StoreLogs(es); err != nil {
					t.Fatal(err)
				}
				model = append(model, es...)
			case op < 7: // head
				cut := r.Intn(len(model))
				if cut > 0 {
					if err := s.DeleteRange(model[0].Index, model[cut-1].Index); err != nil {
						t.Fatal(err)
					}
					model = model[cut:]
				}
			case op < 8: // suffix
				cut := r.Intn(len(model))
				if err := s.DeleteRange(model[cut].Index, last); err != nil {
					t.Fatal(err)
				}
				model = model[:cut]
			case op < 9:
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, d)
			}
			check(t, name, s, model)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func check(t *testing.T, name string, s Store, model []*raft.Log) {
	t.Helper()
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	var l raft.Log
	if len(model) == 0 {
		if first != 0 || last != 0 || !errors.Is(s.GetLog(1, &l), raft.ErrLogNotFound) {
			t.Fatalf("%s: empty log has bounds %d-%d", name, first, last)
		}
		return
	}
	if first != model[0].Index || last != model[len(model)-1].Index {
		t.Fatalf("%s: bounds %d-%d, want %d-%d", name, first, last, model[0].Index, model[len(model)-1].Index)
	}
	for _, m := range model {
		if err := s.GetLog(m.Index, &l); err != nil || l.Term != m.Term || string(l.Data) != string(m.Data) {
			t.Fatalf("%s: entry %d is %v %v, want %v", name, m.Index, l, err, m)
		}
	}
	if !errors.Is(s.GetLog(last+1, &l), raft.ErrLogNotFound) || !errors.Is(s.GetLog(first-1, &l), raft.ErrLogNotFound) {
		t.Fatalf("%s: reads outside of the log succeed", name)
	}
}

func TestVoteIsAtomic(t *testing.T) {
	for name, d := range dirs(t) {
		s := open(t, d)
		if _, err := s.GetUint64([]byte(keyVoteTerm)); err == nil || err.Error() != "not found" {
			t.Fatalf("%s: missing vote answers %v", name, err)
		}
		if _, err := s.Get([]byte(keyVoteCand)); err == nil || err.Error() != "not found" {
			t.Fatalf("%s: missing candidate answers %v", name, err)
		}
		must(t, s.SetUint64([]byte(keyVoteTerm), 7))
		must(t, s.Set([]byte(keyVoteCand), []byte("2/2")))
		must(t, s.SetUint64([]byte(keyTerm), 8))
		// A crash between the two writes of the next vote.
		must(t, s.SetUint64([]byte(keyVoteTerm), 9))
		must(t, s.Close())
		s = open(t, d)
		term, err := s.GetUint64([]byte(keyVoteTerm))
		must(t, err)
		cand, err := s.Get([]byte(keyVoteCand))
		must(t, err)
		cur, err := s.GetUint64([]byte(keyTerm))
		must(t, err)
		if term != 7 || string(cand) != "2/2" || cur != 8 {
			t.Fatalf("%s: vote %d for %s, term %d", name, term, cand, cur)
		}
		must(t, s.Close())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHooks(t *testing.T) {
	for name, d := range dirs(t) {
		s := open(t, d)
		keep, seen := uint64(4), 0
		s.SetHooks(Hooks{Appending: func(ls []*raft.Log) { seen += len(ls) }, Keep: func() uint64 { return keep }})
		must(t, s.StoreLogs(entries(1, 10, 1)))
		must(t, s.DeleteRange(1, 8))
		first, _ := s.FirstIndex()
		if first != 4 || seen != 10 {
			t.Fatalf("%s: first %d after truncation, %d entries seen", name, first, seen)
		}
		must(t, s.DeleteRange(6, 10)) // a divergent end is not held back
		last, _ := s.LastIndex()
		if last != 5 {
			t.Fatalf("%s: last %d", name, last)
		}
		must(t, s.Wipe())
		check(t, name, s, nil)
		must(t, s.Close())
		must(t, d.Remove(1))
		s = open(t, d)
		check(t, name, s, nil)
		must(t, s.Close())
	}
}

func TestWriteErrorIsFatal(t *testing.T) {
	var got error
	d, err := OpenDir(t.TempDir(), Options{Fatal: func(err error) { got = err }})
	must(t, err)
	s := open(t, d)
	must(t, s.Close())
	if err := s.StoreLogs(entries(1, 1, 1)); err == nil || got == nil {
		t.Fatal("a failed write was not fatal")
	}
	got = nil
	if err := s.Set([]byte("k"), []byte("v")); err == nil || got == nil {
		t.Fatal("a failed stable write was not fatal")
	}
}

func BenchmarkAppend(b *testing.B) {
	d, err := OpenDir(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := d.Open(1)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 1000)
	b.ResetTimer()
	for i := 1; i <= b.N; i++ {
		if err := s.StoreLog(&raft.Log{Index: uint64(i), Term: 1, Data: data}); err != nil {
			b.Fatal(err)
		}
		if i%2000 == 0 {
			if err := s.DeleteRange(1, uint64(i-1000)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestAhead lets appends return before they are written, and cuts the end of the
// log off meanwhile: an old write that ends must not pass for a new one.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMortalDir()
		d.SetWrite(time.Second)
		s := open(t, d)
		s.SetHooks(Hooks{Ahead: func() bool { return true }})
		start := time.Now()
		must(t, s.StoreLogs(entries(1, 2, 1)))
		must(t, s.StoreLogs(entries(3, 2, 1)))
		if last, _ := s.LastIndex(); last != 4 || s.Durable() != 0 || time.Since(start) > 0 {
			t.Fatalf("last %d, durable %d after %v", last, s.Durable(), time.Since(start))
		}
		must(t, s.DeleteRange(3, 4)) // comes after what was started before
		if s.Durable() != math.MaxUint64 {
			t.Fatalf("durable %d after the cut", s.Durable())
		}
		time.Sleep(time.Second / 2)
		must(t, s.StoreLogs(entries(3, 2, 2)))
		time.Sleep(3 * time.Second / 4) // the first writes end
		if s.Durable() != 2 {
			t.Fatalf("durable %d before the write has ended", s.Durable())
		}
		must(t, s.WaitDurable(4))
		if d := time.Since(start); d != 3*time.Second/2 || s.Durable() != math.MaxUint64 {
			t.Fatalf("waited until %v, durable %d", d, s.Durable())
		}
		must(t, s.StoreLogs(entries(5, 1, 2)))
		d.Crash()
		must(t, s.Close())
		s = open(t, d)
		if last, _ := s.LastIndex(); last != 4 {
			t.Fatalf("%d entries after the crash", last)
		}
		must(t, s.Close())
	})
}

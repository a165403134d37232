package logstore

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

func openDir(t *testing.T, path string) *boltDir {
	t.Helper()
	d, err := OpenDir(path, Options{})
	must(t, err)
	return d.(*boltDir)
}

// TestGroupsShareAFile lets groups append, truncate, restart and be removed side
// by side, and compares each with its own model after the file was reopened.
func TestGroupsShareAFile(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	const groups = 6
	models := make([][]*raft.Log, groups)
	for round := 0; round < 3; round++ {
		var wg sync.WaitGroup
		for g := range models {
			wg.Add(1)
			go func() {
				defer wg.Done()
				models[g] = driveGroup(t, d, ids.RangeID(g+1), models[g], rand.New(rand.NewSource(int64(round*groups+g))))
			}()
		}
		wg.Wait()
		must(t, d.Close())
		d = openDir(t, path)
		for g, model := range models {
			s, err := d.Open(ids.RangeID(g + 1))
			must(t, err)
			check(t, fmt.Sprint("group ", g, " in round ", round), s, model)
			if v, err := s.GetUint64([]byte(keyTerm)); err != nil || v != uint64(g*100) {
				t.Fatalf("group %d: term %d, %v", g, v, err)
			}
			must(t, s.Close())
		}
	}
	if len(d.slots) != groups || d.last > 2*groups {
		t.Fatalf("%d ranges in %d slots, want slots to be used again", len(d.slots), d.last)
	}
	must(t, d.Close())
}

func driveGroup(t *testing.T, d Dir, id ids.RangeID, model []*raft.Log, r *rand.Rand) []*raft.Log {
	s, err := d.Open(id)
	if err == nil && r.Intn(3) == 0 { // a replica that leaves and comes back
		err = s.Close()
		if err == nil {
			err = d.Remove(id)
		}
		model = nil
		if err == nil {
			s, err = d.Open(id)
		}
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	for step := 0; step < 40 && err == nil; step++ {
		last := uint64(r.Intn(30))
		if len(model) > 0 {
			last = model[len(model)-1].Index
		}
		switch op := r.Intn(8); {
		case op < 5 || len(model) == 0:
			es := entries(last+1, uint64(1+r.Intn(4)), uint64(step))
			err = s.StoreLogs(es)
			model = append(model, es...)
		case op == 5:
			cut := r.Intn(len(model) + 1)
			if cut > 0 {
				err = s.DeleteRange(model[0].Index, model[cut-1].Index)
				model = model[cut:]
			}
		case op == 6:
			cut := r.Intn(len(model))
			err = s.DeleteRange(model[cut].Index, last)
			model = model[:cut]
		default:
			err = s.SetUint64([]byte(keyTerm), uint64(step))
		}
	}
	if err == nil {
		err = s.SetUint64([]byte(keyTerm), uint64(id-1)*100)
	}
	if err != nil {
		t.Error(err)
	}
	return model
}

// TestCrashWhileTruncating finds a log whose head was about to go: what is below
// the new start must never be taken for entries again.
func TestCrashWhileTruncating(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	s, err := d.Open(7)
	must(t, err)
	must(t, s.SetUint64([]byte(keyTerm), 3))
	must(t, s.StoreLogs(entries(1, 100, 1)))
	b := s.(*store).b.(*boltBackend)
	b.head.first, b.head.clearing = 101, true // the header of a wiped log, and then the crash
	must(t, d.write.do([]*raft.Log{b.header()}))
	must(t, d.Close())

	d = openDir(t, path)
	s, err = d.Open(7)
	must(t, err)
	check(t, "after the crash", s, nil)
	must(t, s.StoreLogs(entries(11, 5, 2)))
	must(t, s.Close())
	must(t, d.Close())
	d = openDir(t, path)
	s, err = d.Open(7)
	must(t, err)
	check(t, "restarted lower", s, entries(11, 5, 2))
	must(t, s.Close())
	must(t, d.Close())
}

// TestLongTruncation deletes in several transactions.
func TestLongTruncation(t *testing.T) {
	d := openDir(t, t.TempDir())
	s, err := d.Open(1)
	must(t, err)
	const n = 3*deleteChunk + 5
	all := entries(1, n, 1)
	must(t, s.StoreLogs(all))
	must(t, s.DeleteRange(deleteChunk/2, n))
	must(t, s.StoreLogs(entries(deleteChunk/2, n, 2)))
	must(t, s.DeleteRange(1, 2*deleteChunk))
	last := uint64(deleteChunk/2 + n - 1)
	check(t, "after both", s, entries(2*deleteChunk+1, last-2*deleteChunk, 2))
	must(t, s.Close())
	must(t, d.Close())
}

// TestCommitterJoins sees that callers who come together share transactions and
// that each of them waits for its own.
func TestCommitterJoins(t *testing.T) {
	gate, calls, stored := make(chan struct{}), 0, 0
	c := &committer{store: func(ls []*raft.Log) error {
		calls++
		stored += len(ls)
		<-gate
		return nil
	}}
	first := c.add(entries(1, 1, 1))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); must(t, c.wait(first)) }()
	gate <- struct{}{}
	wg.Wait()
	var later []*appending
	for i := uint64(0); i < 10; i++ {
		later = append(later, c.add(entries(i, 2, 1)))
	}
	for _, a := range later {
		wg.Add(1)
		go func() { defer wg.Done(); must(t, c.wait(a)) }()
	}
	close(gate)
	wg.Wait()
	if calls != 2 || stored != 21 || c.busy || len(c.queue) != 0 {
		t.Fatalf("%d transactions for %d entries", calls, stored)
	}
}

func FuzzHeader(f *testing.F) {
	h := header{first: 300, clearing: true}
	h.put("a", []byte{1})
	h.put("bc", binary.BigEndian.AppendUint64(nil, 7))
	f.Add(h.encode())
	f.Add([]byte{headerVersion, 0, 1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, err := decodeHeader(h.encode())
		if err != nil || again.first != h.first || again.clearing != h.clearing || len(again.values) != len(h.values) {
			t.Fatalf("%v %v %v", h, again, err)
		}
	})
}

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
	// Segments so small that the journal is drained all the time.
	d, err := OpenDir(path, Options{Segment: 2000})
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

// TestCommitterJoins sees that callers who come together share transactions and
// that each of them waits for its own.
func TestCommitterJoins(t *testing.T) {
	gate, calls, stored := make(chan struct{}), 0, 0
	ops := func(first, n uint64) (out []op) {
		for _, l := range entries(first, n, 1) {
			out = append(out, op{log: l})
		}
		return out
	}
	c := &committer{store: func(o []op) error {
		calls++
		stored += len(o)
		<-gate
		return nil
	}}
	first := c.add(ops(1, 1))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); must(t, c.wait(first)) }()
	gate <- struct{}{}
	wg.Wait()
	var later []*appending
	for i := uint64(0); i < 10; i++ {
		later = append(later, c.add(ops(i, 2)))
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
	h := header{first: 300}
	h.put("a", []byte{1})
	h.put("bc", binary.BigEndian.AppendUint64(nil, 7))
	f.Add(h.encode())
	f.Add([]byte{headerVersion, 1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, err := decodeHeader(h.encode())
		if err != nil || again.first != h.first || len(again.values) != len(h.values) {
			t.Fatalf("%v %v %v", h, again, err)
		}
	})
}

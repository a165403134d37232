package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// newJournal opens a journal with segments of some bytes.
func newJournal(t *testing.T, dir string, full int64) *journal {
	t.Helper()
	j, err := reopen(t, dir, full)
	must(t, err)
	return j
}

func reopen(t *testing.T, dir string, full int64) (*journal, error) {
	t.Helper()
	b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"), MsgpackUseNewTimeFormat: true})
	must(t, err)
	j, err := openJournal(dir, b, full, 42, func(err error) { t.Error(err) })
	if err != nil {
		must(t, b.Close())
	}
	return j, err
}

type model map[uint64]*raft.Log

func (m model) apply(ops []op) {
	for _, o := range ops {
		if o.log != nil {
			m[o.log.Index] = o.log
			continue
		}
		for k := range m {
			if o.first <= k && k <= o.last {
				delete(m, k)
			}
		}
	}
}

func (m model) check(t *testing.T, what string, get func(uint64, *raft.Log) error) {
	t.Helper()
	for k := uint64(1); k < 130; k++ {
		var l raft.Log
		err := get(k, &l)
		want, ok := m[k]
		switch {
		case !ok && errors.Is(err, raft.ErrLogNotFound):
		case !ok || err != nil:
			t.Fatalf("%s: %d: %v, %v, want %v", what, k, l, err, want)
		case l.Term != want.Term || !bytes.Equal(l.Data, want.Data) || !bytes.Equal(l.Extensions, want.Extensions) ||
			l.Type != want.Type || !l.AppendedAt.Equal(want.AppendedAt):
			t.Fatalf("%s: %d is %v, want %v", what, k, l, want)
		}
	}
}

func randomOps(r *rand.Rand, step int) (ops []op) {
	for range 1 + r.Intn(4) {
		k := uint64(1 + r.Intn(120))
		switch r.Intn(4) {
		case 0:
			ops = append(ops, op{first: k, last: k + uint64(r.Intn(20))})
		default:
			l := &raft.Log{Index: k, Term: uint64(step), Type: raft.LogType(r.Intn(5)), Data: []byte(fmt.Sprint(step, " ", k))}
			if r.Intn(3) == 0 {
				l.Extensions, l.AppendedAt = []byte{byte(step)}, time.Unix(int64(step), 5)
			}
			ops = append(ops, op{log: l})
		}
	}
	return ops
}

// TestJournalAgreesWithMap drives the journal at random, with segments that are
// drained all the time, ends of the process, and drains that were cut off.
func TestJournalAgreesWithMap(t *testing.T) {
	for seed := range 10 {
		r := rand.New(rand.NewSource(int64(seed)))
		dir, m := t.TempDir(), model{}
		full := int64(200 + r.Intn(2000))
		j := newJournal(t, dir, full)
		for step := range 120 {
			ops := randomOps(r, step)
			if r.Intn(20) == 0 { // drain at once, or late
				j.quick = time.Duration(r.Intn(2)) * time.Hour
			}
			must(t, j.write(ops))
			m.apply(ops)
			switch r.Intn(12) {
			case 0:
				m.check(t, "live", j.get)
			case 1:
				must(t, j.close()) // which writes nothing
				j = newJournal(t, dir, full)
				m.check(t, "after a crash", j.get)
			case 2:
				cutDrain(t, j, r)
				m.check(t, "in a drain", j.get)
				must(t, j.close()) // which writes nothing
				j = newJournal(t, dir, full)
				m.check(t, "after half a drain", j.get)
			}
		}
		must(t, j.close())
	}
}

// awaitDrain has the frozen segment drained.
func awaitDrain(j *journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.frozen != nil {
		if !j.draining {
			j.startDrain()
		}
		j.idle.Wait()
	}
}

// cutDrain does a part of what draining the active segment would do.
func cutDrain(t *testing.T, j *journal, r *rand.Rand) {
	t.Helper()
	awaitDrain(j)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, g := range j.active.gone {
		if i < r.Intn(4) {
			must(t, j.b.DeleteRange(g.first, g.last))
		}
	}
	for _, at := range j.active.puts {
		var l raft.Log
		must(t, j.active.read(at, &l))
		if r.Intn(2) == 0 {
			must(t, j.b.StoreLogs([]*raft.Log{&l}))
		}
	}
}

// TestDrainLeavesNothingBehind compares the raft-boltdb file itself.
func TestDrainLeavesNothingBehind(t *testing.T) {
	dir, m := t.TempDir(), model{}
	j := newJournal(t, dir, 500)
	r := rand.New(rand.NewSource(9))
	for step := range 200 {
		ops := randomOps(r, step)
		must(t, j.write(ops))
		m.apply(ops)
	}
	must(t, j.write([]op{{first: 1, last: 60}}))
	m.apply([]op{{first: 1, last: 60}})
	_, err := j.rotate()
	must(t, err)
	awaitDrain(j)
	m.check(t, "drained", j.b.GetLog)
	must(t, j.close())
}

// TestTornFrame cuts the last frame off at every byte, or spoils one: what was
// acknowledged before it stands, and what comes after is kept.
func TestTornFrame(t *testing.T) {
	dir, m := t.TempDir(), model{}
	j := newJournal(t, dir, segmentBytes)
	one, two, three := []op{{log: entries(1, 1, 1)[0]}}, []op{{log: entries(2, 1, 1)[0]}, {first: 1, last: 1}}, []op{{log: entries(3, 1, 7)[0]}}
	must(t, j.write(one))
	before := j.active.pos
	must(t, j.write(two))
	end := j.active.pos
	must(t, j.close())
	m.apply(one)
	path := filepath.Join(dir, "journal-0")
	whole, err := os.ReadFile(path)
	must(t, err)
	for at := before; at < end; at++ {
		for _, spoilt := range [][]byte{
			append(slices.Clone(whole[:at]), make([]byte, 1000)...),
			append(append(slices.Clone(whole[:at]), whole[at]^1), whole[at+1:]...),
			whole[:at],
		} {
			must(t, os.WriteFile(path, spoilt, 0o600))
			j := newJournal(t, dir, segmentBytes)
			m.check(t, fmt.Sprint("spoilt at ", at), j.get)
			must(t, j.write(three))
			must(t, j.close())
			j = newJournal(t, dir, segmentBytes)
			after := model{}
			after.apply(one)
			after.apply(three)
			after.check(t, "and written again", j.get)
			must(t, j.close())
		}
	}
}

// TestMissingFrames refuses a journal whose synced beginning is gone.
func TestMissingFrames(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(t, dir, segmentBytes)
	for i := range uint64(3) {
		must(t, j.write([]op{{log: entries(i+1, 1, 1)[0]}}))
	}
	first := j.active.puts[2].off - frameHeader
	must(t, j.close())
	path := filepath.Join(dir, "journal-0")
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, whole[first:], 0o600))
	if _, err := reopen(t, dir, segmentBytes); !errors.Is(err, errDamaged) {
		t.Fatalf("opened a journal without its first frame: %v", err)
	}
}

func TestSpans(t *testing.T) {
	for seed := range 50 {
		r := rand.New(rand.NewSource(int64(seed)))
		var s spans
		in := map[uint64]bool{}
		for range 30 {
			first := uint64(r.Intn(100))
			last := first + uint64(r.Intn(8))
			s.add(first, last)
			for k := first; k <= last; k++ {
				in[k] = true
			}
			for k := range uint64(110) {
				if s.has(k) != in[k] {
					t.Fatalf("seed %d: %v has %d: %v", seed, s, k, s.has(k))
				}
			}
			for i := 1; i < len(s); i++ {
				if s[i].first <= s[i-1].last+1 {
					t.Fatalf("seed %d: %v is not merged", seed, s)
				}
			}
		}
	}
}

// FuzzOp decodes anything without harm, and what it accepts it writes alike.
func FuzzOp(f *testing.F) {
	f.Add(appendOp(nil, op{first: 3, last: 9}))
	f.Add(appendOp(nil, op{log: &raft.Log{Index: 1, Term: 2, Data: []byte("d"), Extensions: []byte("e"), AppendedAt: time.Unix(1, 2)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, n, err := decodeOp(b)
		if err != nil {
			return
		}
		again, m, err := decodeOp(appendOp(nil, o))
		if err != nil || m > n {
			t.Fatalf("%v: %v", o, err)
		}
		if (o.log == nil) != (again.log == nil) || o.first != again.first || o.last != again.last {
			t.Fatalf("%v is %v", o, again)
		}
		if o.log != nil && (!bytes.Equal(o.log.Data, again.log.Data) || o.log.Index != again.log.Index || o.log.Term != again.log.Term) {
			t.Fatalf("%v is %v", o.log, again.log)
		}
	})
}

// TestDeletedBeforeDrain checks that what is deleted while its segment waits never
// reaches the raft-boltdb file, and stays deleted after a crash.
func TestDeletedBeforeDrain(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(t, dir, 4000)
	j.quick = 0
	var l raft.Log
	for k := uint64(1); j.frozen == nil; k++ {
		must(t, j.write([]op{{log: entries(k, 1, 1)[0]}}))
	}
	last := j.frozen.last
	must(t, j.write([]op{{first: 1, last: last - 1}}))
	check := func(when string) {
		t.Helper()
		if err := j.get(1, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("%s a deleted entry is there: %v", when, err)
		}
		must(t, j.get(last, &l))
	}
	check("waiting")
	must(t, j.close())
	j = newJournal(t, dir, 4000)
	if j.frozen == nil {
		t.Fatal("drained on closing")
	}
	check("opened again")
	awaitDrain(j)
	check("drained")
	if err := j.b.GetLog(1, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a deleted entry was drained: %v", err)
	}
	must(t, j.b.GetLog(last, &l))
	must(t, j.close())
}

package raftgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// store is a lone node with a directory.
type store struct {
	e  engine.Engine
	h  Host
	gs map[ids.RangeID]Group
}

func openStore(t testing.TB, dir string, ranges ...ids.RangeID) *store {
	t.Helper()
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHost(Options{Node: 1, Engine: e, LogDir: dir + "/raft", CompactionInterval: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{e, h, map[ids.RangeID]Group{}}
	b := &engine.Batch{}
	for _, r := range ranges {
		if err := h.Seed(b, r, voters(1)); err != nil {
			t.Fatal(err)
		}
	}
	e.Write(b)
	for _, r := range ranges {
		g, err := h.Open(r, voters(1)[0], &listSM{e: e, r: r, node: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.gs[r] = g
	}
	return s
}

func (s *store) close(t testing.TB) {
	t.Helper()
	if err := s.h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.e.Close(); err != nil {
		t.Fatal(err)
	}
}

func waitLeader(t testing.TB, g Group) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !g.IsLeader(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has no leader: %+v", g.RangeID(), g.Status())
		}
	}
}

func TestLoneVoterRestarts(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for round := 0; round < 4; round++ {
		s := openStore(t, dir, 1)
		waitLeader(t, s.gs[1])
		if err := s.gs[1].ReadBarrier(bg); err != nil {
			t.Fatal(err)
		}
		sm := s.gs[1].StateMachine().(*listSM)
		if got := join(sm.items()); got != join(want) {
			t.Fatalf("round %d: found %s, want %s", round, got, join(want))
		}
		var wg sync.WaitGroup
		for i := 0; i < 20; i++ {
			wg.Add(1)
			go func() { defer wg.Done(); mustPropose(t, s.gs[1], fmt.Sprintf("c%d.%d", round, i)) }()
		}
		wg.Wait()
		want = sm.items()
		if len(want) != 20*(round+1) {
			t.Fatalf("round %d: %d items", round, len(want))
		}
		s.close(t)
	}
}

func TestOpeningManyGroupsIsQuick(t *testing.T) {
	dir := t.TempDir()
	var rs []ids.RangeID
	for r := ids.RangeID(1); r <= 30; r++ {
		rs = append(rs, r)
	}
	s := openStore(t, dir, rs...)
	for _, r := range rs {
		waitLeader(t, s.gs[r])
		mustPropose(t, s.gs[r], "x")
	}
	s.close(t)
	start := time.Now()
	s = openStore(t, dir, rs...)
	opened := time.Since(start)
	for _, r := range rs {
		waitLeader(t, s.gs[r])
	}
	t.Logf("opened 30 groups in %v, all led after %v", opened, time.Since(start))
	if d := time.Since(start); d > 5*time.Second {
		t.Fatalf("30 groups took %v", d)
	}
	s.close(t)
}

func TestTruncationFollowsTheFlush(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.Open(dir, engine.Options{FlushInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHost(Options{
		Node: 1, Engine: e, LogDir: dir + "/raft", TrailingEntries: 20, CompactionInterval: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &engine.Batch{}
	if err := h.Seed(b, 1, voters(1)); err != nil {
		t.Fatal(err)
	}
	e.Write(b)
	g, err := h.Open(1, voters(1)[0], &listSM{e: e, r: 1, node: 1})
	if err != nil {
		t.Fatal(err)
	}
	waitLeader(t, g)
	for i := 0; i < 100; i++ {
		mustPropose(t, g, fmt.Sprint(i))
	}
	st := g.Status()
	if st.FirstIndex != SeedIndex+1 || st.FlushedApplied >= st.Applied {
		t.Fatalf("log was truncated without a flush: %+v", st)
	}
	if err := e.Flush(bg); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); g.Status().FirstIndex == SeedIndex+1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("log was not truncated: %+v", g.Status())
		}
	}
	if st := g.Status(); st.LastIndex-st.FirstIndex+1 < 20 {
		t.Fatalf("too little left: %+v", st)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledProcessLosesNothing kills a child process in the middle of its work,
// several times, and checks that what it reported as done is there once.
func TestKilledProcessLosesNothing(t *testing.T) {
	if dir := os.Getenv("RAFTGROUP_CHILD"); dir != "" {
		runChild(t, dir)
		return
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := 0; round < 4; round++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLosesNothing$")
		cmd.Env = append(os.Environ(), "RAFTGROUP_CHILD="+dir, fmt.Sprintf("RAFTGROUP_ROUND=%d", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf, read := make([]byte, 4096), ""
		for strings.Count(read, "\n") < 150+round*40 {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatalf("child ended: %v\n%s", err, read)
			}
			read += string(buf[:n])
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		lines := strings.Split(read, "\n")
		for _, l := range lines[:len(lines)-1] {
			if id, ok := strings.CutPrefix(l, "ack "); ok {
				acked[id] = true
			}
		}
	}
	s := openStore(t, dir, 1)
	defer s.close(t)
	waitLeader(t, s.gs[1])
	if err := s.gs[1].ReadBarrier(bg); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, it := range s.gs[1].StateMachine().(*listSM).items() {
		if seen[it]++; seen[it] > 1 {
			t.Fatalf("%s applied twice", it)
		}
	}
	for id := range acked {
		if seen[id] == 0 {
			t.Fatalf("acknowledged %s is missing (%d acknowledged, %d there)", id, len(acked), len(seen))
		}
	}
}

// runChild proposes until it is killed, flushing at odd moments.
func runChild(t *testing.T, dir string) {
	s := openStore(t, dir, 1)
	waitLeader(t, s.gs[1])
	var mu sync.Mutex
	for w := 0; w < 4; w++ {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s.%d.%d", os.Getenv("RAFTGROUP_ROUND"), w, i)
				if _, err := propose(s.gs[1], id); err != nil {
					continue
				}
				mu.Lock()
				fmt.Println("ack " + id)
				mu.Unlock()
				if i%17 == w {
					_ = s.e.Flush(bg)
				}
			}
		}()
	}
	select {}
}

// TestFutureCanBeEnded notices when another release of hashicorp/raft has changed
// its futures.
func TestFutureCanBeEnded(t *testing.T) {
	s := openStore(t, t.TempDir(), 1)
	defer s.close(t)
	waitLeader(t, s.gs[1])
	g := s.gs[1].(*group)
	f := g.inst.Load().raft.ApplyLog(raft.Log{Data: encodePacked(1, &packed{})}, 0)
	if !endWith(f, make(chan struct{})) {
		t.Fatal("an apply future has no ShutdownCh")
	}
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveLeavesATombstone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 1, 2)
	waitLeader(t, s.gs[1])
	mustPropose(t, s.gs[1], "x")
	if err := s.h.Remove(1, 1); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.h.Lookup(1); ok {
		t.Fatal("removed group is still there")
	}
	if _, err := propose(s.gs[1], "y"); !errors.Is(err, ErrClosed) {
		t.Fatalf("removed group answers %v", err)
	}
	if _, err := s.h.Open(1, Member{Node: 1, Replica: 1}, nil); !errors.Is(err, ErrNotFound) {
		t.Fatalf("removed replica opens: %v", err)
	}
	s.close(t)
	s = openStore(t, dir, 2)
	defer s.close(t)
	if tomb := Tombstone(s.e, 1); tomb != 1 {
		t.Fatalf("tombstone %d after restart", tomb)
	}
	if _, ok, _ := LoadState(s.e, 1); ok {
		t.Fatal("state of a removed range is still there")
	}
}

func BenchmarkPropose(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := openStore(b, b.TempDir(), 1)
			defer s.close(b)
			waitLeader(b, s.gs[1])
			cmd := strings.Repeat("x", 200)
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := 0; c < clients; c++ {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := c; i < b.N; i += clients {
						if _, err := propose(s.gs[1], cmd); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			wg.Wait()
		})
	}
}

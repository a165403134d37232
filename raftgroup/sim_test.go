package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/raftgroup/logstore"
)

// simulation is a few nodes under virtual time. Engines and logs outlive their
// nodes, as disks do.
type simulation struct {
	t       *testing.T
	net     *rpc.MemNetwork
	engines map[ids.NodeID]engine.Engine
	logs    map[ids.NodeID]logstore.Mortal
	peers   map[ids.NodeID]*rpc.MemNode
	hosts   map[ids.NodeID]Host
	unknown func(n ids.NodeID, r ids.RangeID, replica ids.ReplicaID)
	ranges  []ids.RangeID
}

func newSimulation(t *testing.T, nodes int) *simulation {
	s := &simulation{
		t: t, net: rpc.NewMemNetwork(),
		engines: map[ids.NodeID]engine.Engine{}, logs: map[ids.NodeID]logstore.Mortal{},
		peers: map[ids.NodeID]*rpc.MemNode{}, hosts: map[ids.NodeID]Host{},
		ranges: []ids.RangeID{1},
	}
	s.net.SetDelay(time.Millisecond)
	for n := ids.NodeID(1); int(n) <= nodes; n++ {
		s.engines[n], s.logs[n] = engine.OpenMemory(), logstore.NewMortalDir()
		s.logs[n].SetWrite(time.Duration(n) * time.Millisecond)
		s.start(n)
	}
	return s
}

func (s *simulation) start(n ids.NodeID) {
	s.t.Helper()
	level := slog.LevelError
	if os.Getenv("RAFTGROUP_TRACE") != "" {
		level = slog.LevelDebug
	}
	s.peers[n] = s.net.Node(n)
	h, err := NewHost(Options{
		Node: n, Engine: s.engines[n], Peers: s.peers[n], Logs: s.logs[n], TrailingEntries: 50,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", n),
		Unknown: func(r ids.RangeID, replica ids.ReplicaID, _ ids.NodeID) {
			if s.unknown != nil {
				s.unknown(n, r, replica)
			}
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.hosts[n] = h
	s.peers[n].Start()
}

// crash takes a node off the network, lets its disk forget what was not written
// yet, and closes it.
func (s *simulation) crash(n ids.NodeID) {
	s.t.Helper()
	s.peers[n].Close()
	s.logs[n].Crash()
	if err := s.hosts[n].Close(); err != nil {
		s.t.Fatal(err)
	}
	delete(s.hosts, n)
}

func (s *simulation) close() {
	for n := range s.hosts {
		s.crash(n)
	}
}

// seed starts r on nodes.
func (s *simulation) seed(r ids.RangeID, nodes ...ids.NodeID) {
	s.t.Helper()
	for _, n := range nodes {
		b := &engine.Batch{}
		if err := s.hosts[n].Seed(b, r, voters(nodes...)); err != nil {
			s.t.Fatal(err)
		}
		s.engines[n].Write(b)
		s.open(n, r)
	}
}

func (s *simulation) open(n ids.NodeID, r ids.RangeID) Group {
	s.t.Helper()
	g, err := s.hosts[n].Open(r, Member{Node: n, Replica: ids.ReplicaID(n)}, &listSM{e: s.engines[n], r: r, node: n})
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *simulation) group(n ids.NodeID, r ids.RangeID) Group {
	s.t.Helper()
	g, ok := s.hosts[n].Lookup(r)
	if !ok {
		s.t.Fatalf("node %d has no %s", n, r)
	}
	return g
}

func (s *simulation) items(n ids.NodeID, r ids.RangeID) []string {
	return (&listSM{e: s.engines[n], r: r}).items()
}

// until waits, in virtual time, and returns how long it took.
func (s *simulation) until(what string, limit time.Duration, f func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !f() {
		if time.Since(start) > limit {
			for n, h := range s.hosts {
				h.Groups(func(g Group) bool { s.t.Logf("node %d: %+v", n, g.Status()); return true })
			}
			s.t.Fatalf("%s: not after %v", what, limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

// leader returns the leader of the highest term.
func (s *simulation) leader(r ids.RangeID, besides ...ids.NodeID) Group {
	var best Group
	for n, h := range s.hosts {
		g, ok := h.Lookup(r)
		if !ok || !g.IsLeader() || len(besides) > 0 && n == besides[0] {
			continue
		}
		if best == nil || g.Status().Term > best.Status().Term {
			best = g
		}
	}
	return best
}

func (s *simulation) waitLeader(r ids.RangeID, limit time.Duration, besides ...ids.NodeID) (Group, time.Duration) {
	s.t.Helper()
	var g Group
	d := s.until("a leader", limit, func() bool { g = s.leader(r, besides...); return g != nil })
	return g, d
}

func (s *simulation) waitSame(r ids.RangeID, limit time.Duration, want []string, nodes ...ids.NodeID) {
	s.t.Helper()
	s.until(fmt.Sprintf("%v to agree on %d items", nodes, len(want)), limit, func() bool {
		for _, n := range nodes {
			if join(s.items(n, r)) != join(want) {
				return false
			}
		}
		return true
	})
}

func simulate(t *testing.T, nodes int, f func(t *testing.T, s *simulation)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, nodes)
		defer s.close()
		f(t, s)
	})
}

func TestReplicationAndFirstElection(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		g, d := s.waitLeader(1, 10*time.Second)
		if d > 2*time.Second {
			t.Errorf("the first election took %v", d)
		}
		var want []string
		for i := 0; i < 50; i++ {
			cmd := fmt.Sprint("c", i)
			mustPropose(t, g, cmd)
			want = append(want, cmd)
		}
		s.waitSame(1, 5*time.Second, want, 1, 2, 3)
		for n := ids.NodeID(1); n <= 3; n++ {
			if f := s.group(n, 1); f != g {
				if _, err := propose(f, "no"); !errors.Is(err, ErrNotLeader) {
					t.Errorf("follower answers %v", err)
				}
				if l, _ := f.Leader(); l != g.Status().Self.Node {
					t.Errorf("node %d thinks that %d leads", n, l)
				}
			}
		}
		for _, p := range g.Status().Progress {
			if p.Match < g.Status().Commit {
				t.Errorf("acknowledged index of %v is %d of %d", p.Member, p.Match, g.Status().Commit)
			}
		}
	})
}

// TestDeadLeaderIsReplacedAtOnce crashes leaders one after another: the
// survivors' failure detectors, not timeouts, have to find the next.
func TestDeadLeaderIsReplacedAtOnce(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		g, _ := s.waitLeader(1, 10*time.Second)
		var want []string
		for round := 0; round < 5; round++ {
			cmd := fmt.Sprint("r", round)
			mustPropose(t, g, cmd)
			want = append(want, cmd)
			dead := g.Status().Self.Node
			s.crash(dead)
			next, d := s.waitLeader(1, 10*time.Second)
			if d > 700*time.Millisecond {
				t.Errorf("round %d: fail-over took %v", round, d)
			}
			mustPropose(t, next, cmd+"b")
			want = append(want, cmd+"b")
			s.start(dead)
			s.open(dead, 1)
			s.waitSame(1, 5*time.Second, want, 1, 2, 3)
			g = next
		}
	})
}

// TestPartitionedLeader cuts the leader off in silence. The others confirm it to
// each other and go on; what the old leader took in vain is dropped, definitely.
func TestPartitionedLeader(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		old, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, old, "before")
		n := old.Status().Self.Node
		s.net.Isolate(n, true)
		lost := make(chan error, 1)
		old.Propose([]byte("lost"), func(_ []byte, err error) { lost <- err })
		next, d := s.waitLeader(1, 10*time.Second, n)
		if d > 4*time.Second {
			t.Errorf("fail-over from silence took %v", d)
		}
		mustPropose(t, next, "after")
		select {
		case err := <-lost:
			t.Fatalf("the outcome of a partitioned command was told early: %v", err)
		default:
		}
		s.net.Isolate(n, false)
		s.until("the old leader to step down", 3*time.Second, func() bool { return !old.IsLeader() })
		select {
		case err := <-lost:
			if !errors.Is(err, ErrDropped) {
				t.Errorf("lost command ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the proposer of the lost command never heard")
		}
		s.waitSame(1, 5*time.Second, []string{"before", "after"}, 1, 2, 3)
	})
}

// TestLaggardGetsASnapshot leaves a node behind until the log is truncated.
func TestLaggardGetsASnapshot(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		g, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, g, "first")
		n := 1 + g.Status().Self.Node%3
		s.crash(n)
		want := []string{"first"}
		for i := 0; i < 400; i++ {
			cmd := fmt.Sprint("c", i)
			mustPropose(t, g, cmd)
			want = append(want, cmd)
		}
		s.until("truncation", 2*time.Minute, func() bool { return g.Status().FirstIndex > 200 })
		s.start(n)
		f := s.open(n, 1)
		s.waitSame(1, 20*time.Second, want, 1, 2, 3)
		if st := f.Status(); st.FirstIndex != 0 && st.FirstIndex < 100 {
			t.Errorf("the old log is still there: %+v", st)
		}
		mustPropose(t, g, "last")
		want = append(want, "last")
		s.waitSame(1, 10*time.Second, want, 1, 2, 3)
		// And once more after a restart, from what the snapshot left.
		s.crash(n)
		s.start(n)
		s.open(n, 1)
		mustPropose(t, g, "end")
		s.waitSame(1, 10*time.Second, append(want, "end"), 1, 2, 3)
	})
}

// TestMembership grows a group from one node to three, moves the lead and shrinks
// it again.
func TestMembership(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.unknown = func(n ids.NodeID, r ids.RangeID, _ ids.ReplicaID) {
			go func() {
				_, _ = s.hosts[n].Open(r, Member{Node: n, Replica: ids.ReplicaID(n)}, &listSM{e: s.engines[n], r: r, node: n})
			}()
		}
		s.seed(1, 1)
		g, d := s.waitLeader(1, 10*time.Second)
		if d > 50*time.Millisecond {
			t.Errorf("a lone voter took %v to lead", d)
		}
		mustPropose(t, g, "a")
		change := func(k ChangeKind, n ids.NodeID) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := g.ChangeMember(ctx, Change{Kind: k, Member: Member{Node: n, Replica: ids.ReplicaID(n)}, PrevIndex: g.Status().ConfigIndex})
			if err != nil {
				t.Fatalf("change %d of node %d: %v", k, n, err)
			}
		}
		if err := g.ChangeMember(bg, Change{Kind: AddLearner, Member: Member{Node: 2, Replica: 2}, PrevIndex: 7}); err == nil {
			t.Error("a change decided on another configuration went through")
		}
		for n := ids.NodeID(2); n <= 3; n++ {
			change(AddLearner, n)
			s.until("the learner to catch up", 10*time.Second, func() bool {
				for _, p := range g.Status().Progress {
					if p.Member.Node == n && p.Match >= g.Status().Commit {
						return true
					}
				}
				return false
			})
			change(Promote, n)
		}
		mustPropose(t, g, "b")
		s.waitSame(1, 5*time.Second, []string{"a", "b"}, 1, 2, 3)
		if err := g.TransferLeadership(bg, 2); err != nil {
			t.Fatal(err)
		}
		s.until("node 2 to lead", 5*time.Second, func() bool { return s.group(2, 1).IsLeader() })
		g = s.group(2, 1)
		mustPropose(t, g, "c")
		change(Remove, 1)
		if err := s.hosts[1].Remove(1, 1); err != nil {
			t.Fatal(err)
		}
		mustPropose(t, g, "d")
		s.waitSame(1, 5*time.Second, []string{"a", "b", "c", "d"}, 2, 3)
		if ms := g.Status().Members; len(ms) != 2 {
			t.Errorf("members %v", ms)
		}
	})
}

// TestWholeClusterRestarts crashes everything at once.
func TestWholeClusterRestarts(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		s.seed(2, 1, 2, 3)
		var want []string
		for round := 0; round < 3; round++ {
			for r := ids.RangeID(1); r <= 2; r++ {
				g, d := s.waitLeader(r, 10*time.Second)
				if d > 1500*time.Millisecond {
					t.Errorf("round %d: the election took %v", round, d)
				}
				mustPropose(t, g, fmt.Sprint("r", round))
			}
			want = append(want, fmt.Sprint("r", round))
			for n := ids.NodeID(1); n <= 3; n++ {
				s.crash(n)
			}
			for n := ids.NodeID(1); n <= 3; n++ {
				s.start(n)
				s.open(n, 1)
				s.open(n, 2)
			}
		}
		s.waitLeader(1, 10*time.Second)
		s.waitSame(1, 5*time.Second, want, 1, 2, 3)
	})
}

// TestNothingAcknowledgedIsLost proposes from all nodes while leaders crash and
// links break, and compares what was acknowledged with what is there.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		s.waitLeader(1, 10*time.Second)
		var mu sync.Mutex
		acked, dropped := map[string]bool{}, map[string]bool{}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		hosts := make(chan struct{}, 1) // a mutex that virtual time passes by
		for w := 0; w < 4; w++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(3 * time.Millisecond):
					}
					hosts <- struct{}{}
					g := s.leader(1)
					<-hosts
					if g == nil {
						continue
					}
					id := fmt.Sprintf("w%d.%d", w, i)
					_, err := propose(g, id)
					mu.Lock()
					switch {
					case err == nil:
						acked[id] = true
					case errors.Is(err, ErrDropped), errors.Is(err, ErrNotLeader):
						dropped[id] = true
					}
					mu.Unlock()
				}
			}()
		}
		for round := 0; round < 6; round++ {
			time.Sleep(700 * time.Millisecond)
			hosts <- struct{}{}
			g, _ := s.waitLeader(1, 15*time.Second)
			<-hosts
			n := g.Status().Self.Node
			if round%2 == 0 {
				hosts <- struct{}{}
				s.crash(n)
				<-hosts
				time.Sleep(time.Second)
				hosts <- struct{}{}
				s.start(n)
				s.open(n, 1)
				<-hosts
				continue
			}
			s.net.Isolate(n, true)
			time.Sleep(5 * time.Second)
			s.net.Isolate(n, false)
		}
		close(stop)
		wg.Wait()
		g, _ := s.waitLeader(1, 15*time.Second)
		if err := g.ReadBarrier(bg); err != nil {
			t.Fatal(err)
		}
		want := s.items(g.Status().Self.Node, 1)
		seen := map[string]int{}
		for _, it := range want {
			if seen[it]++; seen[it] > 1 {
				t.Errorf("%s applied twice", it)
			}
			if dropped[it] {
				t.Errorf("%s applied although it was reported as dropped", it)
			}
		}
		for id := range acked {
			if seen[id] == 0 {
				t.Errorf("acknowledged %s is missing", id)
			}
		}
		if len(acked) < 500 {
			t.Errorf("only %d commands went through", len(acked))
		}
		s.waitSame(1, 20*time.Second, want, 1, 2, 3)
	})
}

// TestSlowLeaderDisk lets a leader's disk be so slow that a follower has entries
// long before: until the leader has them too, they are neither acknowledged nor
// applied anywhere, because a crash can still undo them.
func TestSlowLeaderDisk(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		g, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, g, "first")
		s.waitSame(1, 5*time.Second, []string{"first"}, 1, 2, 3)
		leader := g.Status().Self.Node
		has, lacks := leader%3+1, (leader+1)%3+1
		s.logs[leader].SetWrite(2500 * time.Millisecond)
		s.net.Isolate(lacks, true)
		acked := make(chan error, 2)
		for _, cmd := range []string{"a", "b"} {
			g.Propose([]byte(cmd), func(_ []byte, err error) { acked <- err })
			time.Sleep(time.Second) // more appends than one tell of what is committed
		}
		if log := s.group(has, 1).Status().LastIndex; log <= s.group(has, 1).Status().Applied {
			t.Fatalf("the follower's log ends at %d", log)
		}
		for _, n := range []ids.NodeID{leader, has} {
			if items := s.items(n, 1); len(items) != 1 {
				t.Fatalf("node %d has applied %q", n, items)
			}
		}
		if len(acked) > 0 {
			t.Fatal("acknowledged what the leader has not written")
		}
		s.crash(leader)
		s.net.Isolate(has, true)
		s.net.Isolate(lacks, false)
		s.logs[leader].SetWrite(time.Millisecond)
		s.start(leader)
		s.open(leader, 1)
		next, _ := s.waitLeader(1, 20*time.Second, has)
		mustPropose(t, next, "other")
		s.net.Isolate(has, false)
		s.waitSame(1, 20*time.Second, []string{"first", "other"}, 1, 2, 3)
		for range 2 {
			if err := <-acked; err == nil {
				t.Fatal("acknowledged what is gone")
			}
		}
	})
}

// TestDivergentLogGoesWithTheSnapshot heals a deposed leader by snapshot. Entries
// that it never committed must not come back when it leads again.
func TestDivergentLogGoesWithTheSnapshot(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		old, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, old, "first")
		n := old.Status().Self.Node
		s.net.Isolate(n, true)
		ends := make(chan error, 300)
		for i := 0; i < cap(ends); i++ {
			old.Propose([]byte(fmt.Sprint("ghost", i)), func(_ []byte, err error) { ends <- err })
		}
		next, _ := s.waitLeader(1, 10*time.Second, n)
		want := []string{"first"}
		for i := 0; i < 400; i++ {
			cmd := fmt.Sprint("c", i)
			mustPropose(t, next, cmd)
			want = append(want, cmd)
		}
		// A follower that is silent for a while does not hold truncation up.
		s.until("truncation", 3*time.Minute, func() bool { return next.Status().FirstIndex > 200 })
		s.net.Isolate(n, false)
		s.waitSame(1, 20*time.Second, want, 1, 2, 3)
		for i := 0; i < cap(ends); i++ {
			select {
			case err := <-ends:
				if err == nil {
					t.Fatal("a ghost was acknowledged")
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%d proposers of ghosts never heard", cap(ends)-i)
			}
		}
		// Now the healed node leads and feeds one that was away.
		away := 1 + n%3
		if away == next.Status().Self.Node {
			away = 1 + away%3
		}
		s.crash(away)
		if err := next.TransferLeadership(bg, n); err != nil {
			t.Fatal(err)
		}
		s.until("the healed node to lead", 5*time.Second, func() bool { return s.group(n, 1).IsLeader() })
		mustPropose(t, s.group(n, 1), "last")
		want = append(want, "last")
		s.start(away)
		s.open(away, 1)
		s.waitSame(1, 10*time.Second, want, 1, 2, 3)
	})
}

// TestTransferToCandidate hands over to a replica that has just asked in vain
// whether it would be voted for, as one does that was opened and has not heard of
// the leader yet. Raft's candidate would not hear the request, the leader would
// take no proposals for the length of an election timeout, and stay.
func TestTransferToCandidate(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		leader, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, leader, "first")
		s.waitSame(1, 10*time.Second, []string{"first"}, 1, 2, 3)
		to := 1 + leader.Status().Self.Node%3
		s.crash(to)
		s.start(to)
		g := s.open(to, 1).(*group)
		(*groupPeer)(g).Campaign(true)
		time.Sleep(5 * time.Millisecond) // it asks, and is refused
		start := time.Now()
		if err := leader.TransferLeadership(bg, to); err != nil {
			t.Fatal(err)
		}
		s.until("the candidate to lead", time.Second, g.IsLeader)
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("the transfer took %v", d)
		}
		mustPropose(t, g, "second")
		s.waitSame(1, 10*time.Second, []string{"first", "second"}, 1, 2, 3)
	})
}

// TestEarlyVoteIsHeld opens the child of a split late on one node: the vote that
// came before is answered once the group is there.
func TestEarlyVoteIsHeld(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		s.waitLeader(1, 10*time.Second)
		s.crash(3)
		members := voters(1, 2, 3)
		seedOn := func(n ids.NodeID) {
			b := &engine.Batch{}
			if err := s.hosts[n].Seed(b, 2, members); err != nil {
				t.Fatal(err)
			}
			s.engines[n].Write(b)
		}
		seedOn(1)
		seedOn(2)
		g := s.open(1, 2)
		if err := g.Campaign(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if g.IsLeader() {
			t.Fatal("leads without a majority")
		}
		s.open(2, 2)
		s.until("the child to be led", 500*time.Millisecond, func() bool { return g.IsLeader() })
	})
}

// TestRollingRestart restarts each node while the others go
// on, so that every log and state is read back at some point.
func TestRollingRestart(t *testing.T) {
	simulate(t, 3, func(t *testing.T, s *simulation) {
		s.seed(1, 1, 2, 3)
		var want []string
		for round := 0; round < 9; round++ {
			g, d := s.waitLeader(1, 10*time.Second)
			if d > 2*time.Second {
				t.Errorf("round %d: no leader for %v", round, d)
			}
			for i := 0; i < 80; i++ {
				cmd := fmt.Sprintf("r%d.%d", round, i)
				mustPropose(t, g, cmd)
				want = append(want, cmd)
			}
			n := ids.NodeID(1 + round%3)
			s.crash(n)
			g, _ = s.waitLeader(1, 10*time.Second)
			mustPropose(t, g, fmt.Sprint("without ", n))
			want = append(want, fmt.Sprint("without ", n))
			time.Sleep(7 * time.Second)
			s.start(n)
			s.open(n, 1)
			s.waitSame(1, 10*time.Second, want, 1, 2, 3)
		}
	})
}

// refusingSM refuses snapshots until it is told otherwise.
type refusingSM struct {
	*listSM
	refuse atomic.Bool
	asked  atomic.Int64
}

func (s *refusingSM) Restore(space keys.SpaceID, src io.Reader) (func(*engine.Batch) error, error) {
	swap, err := s.listSM.Restore(space, src)
	return func(b *engine.Batch) error {
		s.asked.Add(1)
		if s.refuse.Load() {
			return errors.New("overlaps")
		}
		return swap(b)
	}, err
}

// TestRefusedSnapshotIsSentAgain gives a learner a snapshot that it cannot take at
// first; what it was received into must be gone, and the next attempt come soon.
func TestRefusedSnapshotIsSentAgain(t *testing.T) {
	simulate(t, 2, func(t *testing.T, s *simulation) {
		s.seed(1, 1)
		g, _ := s.waitLeader(1, 10*time.Second)
		mustPropose(t, g, "a")
		sm := &refusingSM{listSM: &listSM{e: s.engines[2], r: 1, node: 2}}
		sm.refuse.Store(true)
		m := Member{Node: 2, Replica: 2}
		if _, err := s.hosts[2].Open(1, m, sm); err != nil {
			t.Fatal(err)
		}
		if err := g.ChangeMember(bg, Change{Kind: AddLearner, Member: m, PrevIndex: g.Status().ConfigIndex}); err != nil {
			t.Fatal(err)
		}
		s.until("two refusals", 5*time.Second, func() bool { return sm.asked.Load() >= 2 })
		v := s.engines[2].View()
		it := v.Iter([]byte{3}, []byte{4}) // all spaces
		if it.First() {
			t.Errorf("a refused snapshot left %q", it.Key())
		}
		it.Close()
		v.Close()
		sm.refuse.Store(false)
		s.waitSame(1, 5*time.Second, []string{"a"}, 2)
	})
}

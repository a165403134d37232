package grouptest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// logSM keeps every command under its index and answers with the count so far.
type logSM struct {
	e       engine.Engine
	r       ids.RangeID
	n       uint64
	leading bool
}

func (s *logSM) ApplyBatch(b *engine.Batch, es []raftgroup.Entry) [][]byte {
	out := make([][]byte, len(es))
	for i, e := range es {
		if e.Kind == raftgroup.EntryCommand {
			s.n++
			b.Put(keys.EngineReplica(s.r, fmt.Sprintf("x/%08d", e.Index)), e.Data)
		}
		out[i] = binary.AppendUvarint(nil, s.n)
	}
	return out
}
func (s *logSM) Applied([]raftgroup.Entry, [][]byte) {}
func (s *logSM) Snapshot(v engine.View, w io.Writer) error {
	it := v.Iter(keys.EngineReplicaSpan(s.r))
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if _, name, _ := keys.DecodeEngineReplica(it.Key()); name[:2] == "x/" {
			if _, err := fmt.Fprintf(w, "%s %s\n", name, it.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}
func (s *logSM) Restore(_ keys.SpaceID, r io.Reader) (func(*engine.Batch) error, error) {
	var name, val string
	all := map[string]string{}
	for {
		if _, err := fmt.Fscan(r, &name, &val); err != nil {
			break
		}
		all[name] = val
	}
	s.n = uint64(len(all))
	return func(b *engine.Batch) error {
		for k, v := range all {
			b.Put(keys.EngineReplica(s.r, k), []byte(v))
		}
		return nil
	}, nil
}
func (s *logSM) LeaderChanged(is bool, _ ids.NodeID, _ uint64) { s.leading = is }

func dump(e engine.Engine, r ids.RangeID) (out string) {
	v := e.View()
	defer v.Close()
	it := v.Iter(keys.EngineReplicaSpan(r))
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if _, name, _ := keys.DecodeEngineReplica(it.Key()); name[:2] == "x/" {
			out += string(it.Value()) + ";"
		}
	}
	return out
}

func start(t *testing.T, c *Cluster, nodes ...ids.NodeID) map[ids.NodeID]raftgroup.Group {
	t.Helper()
	gs := map[ids.NodeID]raftgroup.Group{}
	var ms []raftgroup.Member
	for _, n := range nodes {
		ms = append(ms, raftgroup.Member{Node: n, Replica: ids.ReplicaID(n)})
	}
	for i, n := range nodes {
		b := &engine.Batch{}
		if err := c.Host(n).Seed(b, 7, ms); err != nil {
			t.Fatal(err)
		}
		c.Engine(n).Write(b)
		g, err := c.Host(n).Open(7, ms[i], &logSM{e: c.Engine(n), r: 7})
		if err != nil {
			t.Fatal(err)
		}
		gs[n] = g
	}
	return gs
}

func TestCommitDropAndCatchUp(t *testing.T) {
	c := New(1, 1, 2, 3)
	gs := start(t, c, 1, 2, 3)
	c.Step()
	var got []string
	propose := func(n ids.NodeID, cmd string) {
		gs[n].Propose([]byte(cmd), func(r []byte, err error) {
			got = append(got, fmt.Sprintf("%s=%x %v", cmd, r, err))
		})
	}
	propose(1, "a")
	propose(2, "b")
	c.Step()
	propose(1, "c")
	propose(1, "d")
	c.Hold(7, 3)
	c.ElectKeeping(7, 2, 1) // c survives, d does not
	c.Step()
	want := fmt.Sprint([]string{"b=  " + raftgroup.ErrNotLeader.Error(), "a=01 <nil>", "c=02 <nil>", "d=  " + raftgroup.ErrDropped.Error()})
	for i := range got { // a nil result prints as nothing
		if got[i][2] == ' ' {
			got[i] = got[i][:2] + " " + got[i][2:]
		}
	}
	if fmt.Sprint(got) != want {
		t.Fatalf("answers %v\nwant    %v", got, want)
	}
	if d := dump(c.Engine(3), 7); d != "a;" {
		t.Fatalf("held replica applied %q", d)
	}
	c.Truncate(7, gs[2].Status().Commit)
	c.Release(7, 3)
	c.Step()
	for n := ids.NodeID(1); n <= 3; n++ {
		if d := dump(c.Engine(n), 7); d != "a;c;" {
			t.Fatalf("node %d has %q", n, d)
		}
	}
}

func TestMembershipAndRestart(t *testing.T) {
	c := New(1, 1, 2)
	c.SetAuto(true)
	g := start(t, c, 1)[1]
	ok := false
	g.Propose([]byte("a"), func(_ []byte, err error) { ok = err == nil })
	if !ok {
		t.Fatal("automatic mode did not apply")
	}
	m2 := raftgroup.Member{Node: 2, Replica: 2}
	if err := g.ChangeMember(context.Background(), raftgroup.Change{Member: m2, PrevIndex: 3}); err == nil {
		t.Fatal("stale change went through")
	}
	if err := g.ChangeMember(context.Background(), raftgroup.Change{Member: m2, PrevIndex: g.Status().ConfigIndex}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Host(2).Open(7, m2, &logSM{e: c.Engine(2), r: 7}); err != nil {
		t.Fatal(err)
	}
	if d := dump(c.Engine(2), 7); d != "a;" {
		t.Fatalf("new member has %q", d)
	}
	h := c.Restart(1)
	var got error
	g.Propose([]byte("x"), func(_ []byte, err error) { got = err })
	if !errors.Is(got, raftgroup.ErrClosed) {
		t.Fatalf("closed group answers %v", got)
	}
	g, err := h.Open(7, raftgroup.Member{Node: 1, Replica: 1}, &logSM{e: c.Engine(1), r: 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.ReadBarrier(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(7, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(7, raftgroup.Member{Node: 1, Replica: 1}, nil); err == nil {
		t.Fatal("a removed replica came back")
	}
}

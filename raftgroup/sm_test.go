package raftgroup

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// listSM appends each command to a list in its space, and answers with its
// position. The position is state, so applying twice shows.
type listSM struct {
	e    engine.Engine
	r    ids.RangeID
	node ids.NodeID

	mu      sync.Mutex
	leading bool
	leader  ids.NodeID
	led     int // times that this replica became leader
}

func (s *listSM) key(space keys.SpaceID, n uint64) []byte {
	return keys.AppendEngineLocal(nil, space, []byte(s.r.String()), []byte(fmt.Sprintf("%08d", n)))
}

// head reads the replica record: its space and the number of items.
func (s *listSM) head(rd engine.Reader) (keys.SpaceID, uint64) {
	v, ok := rd.Get(keys.EngineReplica(s.r, "list"))
	if !ok {
		return FirstSpace, 0
	}
	return keys.SpaceID(binary.BigEndian.Uint32(v)), binary.BigEndian.Uint64(v[4:])
}

func (s *listSM) putHead(b *engine.Batch, space keys.SpaceID, n uint64) {
	v := binary.BigEndian.AppendUint32(nil, uint32(space))
	b.Put(keys.EngineReplica(s.r, "list"), binary.BigEndian.AppendUint64(v, n))
}

func (s *listSM) ApplyBatch(b *engine.Batch, es []Entry) [][]byte {
	space, n := s.head(s.e)
	out := make([][]byte, len(es))
	for i, e := range es {
		if e.Kind != EntryCommand {
			continue
		}
		n++
		b.Put(s.key(space, n), e.Data)
		out[i] = []byte(fmt.Sprint(n))
	}
	s.putHead(b, space, n)
	return out
}

func (s *listSM) Applied([]Entry, [][]byte) {}

func (s *listSM) Snapshot(v engine.View, w io.Writer) error {
	space, n := s.head(v)
	for i := uint64(1); i <= n; i++ {
		val, ok := v.Get(s.key(space, i))
		if !ok {
			return fmt.Errorf("item %d is missing", i)
		}
		if _, err := fmt.Fprintln(w, string(val)); err != nil {
			return err
		}
	}
	return nil
}

func (s *listSM) Restore(space keys.SpaceID, src io.Reader) (func(*engine.Batch) error, error) {
	sc := bufio.NewScanner(src)
	n := uint64(0)
	for sc.Scan() {
		n++
		b := &engine.Batch{}
		b.Put(s.key(space, n), []byte(sc.Text()))
		s.e.Write(b)
	}
	return func(b *engine.Batch) error {
		s.putHead(b, space, n)
		return nil
	}, sc.Err()
}

func (s *listSM) LeaderChanged(is bool, leader ids.NodeID, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is && !s.leading {
		s.led++
	}
	s.leading, s.leader = is, leader
}

// items returns the list.
func (s *listSM) items() []string {
	v := s.e.View()
	defer v.Close()
	space, n := s.head(v)
	var out []string
	for i := uint64(1); i <= n; i++ {
		val, ok := v.Get(s.key(space, i))
		if !ok {
			val = []byte("MISSING")
		}
		out = append(out, string(val))
	}
	return out
}

// propose waits for a command's end.
func propose(g Group, cmd string) (string, error) {
	type end struct {
		r   string
		err error
	}
	ch := make(chan end, 2)
	g.Propose([]byte(cmd), func(r []byte, err error) { ch <- end{string(r), err} })
	e := <-ch
	return e.r, e.err
}

func mustPropose(t *testing.T, g Group, cmd string) {
	t.Helper()
	if _, err := propose(g, cmd); err != nil {
		t.Fatalf("proposing %s: %v", cmd, err)
	}
}

func voters(nodes ...ids.NodeID) (ms []Member) {
	for _, n := range nodes {
		ms = append(ms, Member{Node: n, Replica: ids.ReplicaID(n)})
	}
	return ms
}

func join(items []string) string { return strings.Join(items, " ") }

var bg = context.Background()

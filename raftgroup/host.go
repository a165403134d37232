package raftgroup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/raftgroup/logstore"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

// Options configures a Host.
type Options struct {
	// Node is this node's id.
	Node   ids.NodeID
	Engine engine.Engine
	// Peers reaches the other nodes. NewHost registers its handlers, so it has to
	// come before the network starts. May be nil for a node that is alone.
	Peers rpc.Peers
	// LogDir holds the Raft logs and the snapshot spool; empty means in memory.
	LogDir string
	// Logs replaces LogDir, for tests that restart a node in memory.
	Logs   logstore.Dir
	Logger *slog.Logger
	// Unknown is called when a message arrives for a range that has no group
	// here. It must not block. May be nil.
	Unknown func(r ids.RangeID, replica ids.ReplicaID, from ids.NodeID)
	// Fatal is called when the log cannot be written, and must not return to
	// normal work. The default panics.
	Fatal func(error)
	// HeartbeatTimeout is also the election timeout; 3 s unless set.
	HeartbeatTimeout time.Duration
	// TrailingEntries stay in the log after truncation; 1,000 unless set.
	TrailingEntries uint64
	// CompactionInterval is how often logs are looked at; 5 s unless set.
	CompactionInterval time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	if o.HeartbeatTimeout == 0 {
		o.HeartbeatTimeout = 3 * time.Second
	}
	if o.TrailingEntries == 0 {
		o.TrailingEntries = 1000
	}
	if o.CompactionInterval == 0 {
		o.CompactionInterval = 5 * time.Second
	}
	if o.Peers == nil {
		o.Peers = alone{o.Node}
	}
	return o
}

// host implements Host.
type host struct {
	opts   Options
	node   ids.NodeID
	engine engine.Engine
	log    *slog.Logger
	logs   logstore.Dir
	spool  string
	trans  *transport.Transport
	stop   *stop.Group

	// mu guards groups and closed; never held while a group opens or closes.
	mu     sync.RWMutex
	groups map[ids.RangeID]*group
	busy   map[ids.RangeID]bool // being opened or removed
	closed bool

	spaceMu sync.Mutex
}

// NewHost returns a host without groups. It must be called before the network of
// o.Peers starts.
func NewHost(o Options) (Host, error) {
	o = o.withDefaults()
	h := &host{
		opts: o, node: o.Node, engine: o.Engine, log: o.Logger, logs: o.Logs,
		stop:   stop.New(context.Background()),
		groups: map[ids.RangeID]*group{},
		busy:   map[ids.RangeID]bool{},
	}
	if err := h.openDirs(); err != nil {
		return nil, err
	}
	h.dropAbandonedSpaces()
	h.trans = transport.New(transport.Options{
		Peers: o.Peers, Logger: o.Logger, WaitRoom: o.Engine.WaitRoom, Unknown: o.Unknown,
		Tombstone: func(r ids.RangeID) ids.ReplicaID { return Tombstone(h.engine, r) },
	})
	h.stop.Go("raft log compaction", h.compactLoop)
	return h, nil
}

func (h *host) openDirs() (err error) {
	if h.logs == nil {
		if h.opts.LogDir == "" {
			h.logs = logstore.NewMemoryDir()
		} else if h.logs, err = logstore.OpenDir(h.opts.LogDir, logstore.Options{Fatal: h.opts.Fatal}); err != nil {
			return err
		}
	}
	if h.opts.LogDir == "" {
		return nil
	}
	// What a crash left in the spool was never installed.
	h.spool = filepath.Join(h.opts.LogDir, "spool")
	if err := os.RemoveAll(h.spool); err != nil {
		return fmt.Errorf("raftgroup: clearing the snapshot spool: %w", err)
	}
	if err := os.MkdirAll(h.spool, 0o750); err != nil {
		return fmt.Errorf("raftgroup: %w", err)
	}
	return nil
}

// Open implements Host.
func (h *host) Open(r ids.RangeID, self Member, sm StateMachine) (Group, error) {
	if t := Tombstone(h.engine, r); t >= self.Replica {
		return nil, fmt.Errorf("%w: replica %d of %s was removed", ErrNotFound, self.Replica, r)
	}
	if err := h.reserve(r, true); err != nil {
		return nil, err
	}
	g, err := h.openGroup(r, self, sm)
	h.mu.Lock()
	delete(h.busy, r)
	closed := h.closed
	if err == nil && !closed {
		h.groups[r] = g
	}
	h.mu.Unlock()
	if err == nil {
		close(g.opened)
	}
	if err != nil {
		return nil, err
	}
	if closed {
		g.close()
		return nil, ErrClosed
	}
	return g, nil
}

// reserve keeps others from opening or removing r at the same time.
func (h *host) reserve(r ids.RangeID, opening bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return ErrClosed
	case h.busy[r]:
		return fmt.Errorf("raftgroup: %s is being opened or removed", r)
	case opening && h.groups[r] != nil:
		return fmt.Errorf("raftgroup: %s is open", r)
	}
	h.busy[r] = true
	return nil
}

// Seed implements Host.
func (h *host) Seed(b *engine.Batch, r ids.RangeID, members []Member) error {
	if _, ok, err := LoadState(h.engine, r); ok || err != nil {
		return err
	}
	PutApplied(b, r, SeedIndex, SeedTerm)
	PutConfig(b, r, SeedIndex, members)
	return nil
}

// Lookup implements Host.
func (h *host) Lookup(r ids.RangeID) (Group, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	g, ok := h.groups[r]
	if !ok {
		return nil, false
	}
	return g, true
}

// Remove implements Host. The tombstone is durable before the vote goes with the
// log: a replica that came back without its vote could vote twice.
func (h *host) Remove(r ids.RangeID, self ids.ReplicaID) error {
	if err := h.reserve(r, false); err != nil {
		return err
	}
	h.mu.Lock()
	g := h.groups[r]
	delete(h.groups, r)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.busy, r)
		h.mu.Unlock()
	}()
	if g != nil {
		g.close()
	}
	b := &engine.Batch{}
	PutTombstone(b, r, self)
	if err := h.engine.WaitFlushed(context.Background(), h.engine.Write(b)); err != nil {
		return err
	}
	return h.logs.Remove(r)
}

func (h *host) sorted() []*group {
	h.mu.RLock()
	defer h.mu.RUnlock()
	gs := make([]*group, 0, len(h.groups))
	for _, g := range h.groups {
		gs = append(gs, g)
	}
	slices.SortFunc(gs, func(a, b *group) int { return cmp.Compare(a.id, b.id) })
	return gs
}

// Groups implements Host, in the order of range ids.
func (h *host) Groups(f func(Group) bool) {
	for _, g := range h.sorted() {
		if !f(g) {
			return
		}
	}
}

// Close implements Host.
func (h *host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.stop.Stop()
	var wg sync.WaitGroup
	for _, g := range h.sorted() {
		wg.Add(1)
		go func() { defer wg.Done(); g.close() }()
	}
	wg.Wait()
	h.trans.Close()
	if h.opts.Logs == nil {
		return h.logs.Close()
	}
	return nil
}

// pendingSpace prefixes the store keys of spaces that a snapshot is filling.
const pendingSpace = "raft/pending-space/"

func pendingKey(s keys.SpaceID) []byte {
	return keys.EngineStore(fmt.Sprintf("%s%08x", pendingSpace, uint32(s)))
}

// takeSpace allocates a space for a snapshot; until the swap it is marked as
// pending, and a restart deletes it.
func (h *host) takeSpace() keys.SpaceID {
	h.spaceMu.Lock()
	defer h.spaceMu.Unlock()
	s := NextSpace(h.engine)
	b := &engine.Batch{}
	b.Put(pendingKey(s), []byte{1})
	h.engine.Write(b)
	return s
}

func (h *host) dropSpace(s keys.SpaceID) {
	b := &engine.Batch{}
	b.DeleteRange(keys.EngineSpaceSpan(s))
	b.Delete(pendingKey(s))
	h.engine.Write(b)
}

func (h *host) dropAbandonedSpaces() {
	start := keys.EngineStore(pendingSpace)
	v := h.engine.View()
	it := v.Iter(start, keys.PrefixEnd(start))
	var abandoned []keys.SpaceID
	for ok := it.First(); ok; ok = it.Next() {
		var s uint32
		if _, err := fmt.Sscanf(string(it.Key()[len(start):]), "%x", &s); err == nil {
			abandoned = append(abandoned, keys.SpaceID(s))
		}
	}
	it.Close()
	v.Close()
	for _, s := range abandoned {
		h.dropSpace(s)
	}
}

// alone is the network of a node without peers.
type alone struct{ node ids.NodeID }

var errAlone = errors.New("this node has no peers")

func (a alone) Self() ids.NodeID { return a.node }
func (a alone) Call(context.Context, ids.NodeID, rpc.Class, rpc.Method, []byte) ([]byte, error) {
	return nil, &rpc.NotSentError{Cause: errAlone}
}
func (a alone) Send(ids.NodeID, rpc.Class, rpc.Method, []byte) error {
	return &rpc.NotSentError{Cause: errAlone}
}
func (a alone) Stream(context.Context, ids.NodeID, rpc.Method, []byte, io.Reader) ([]byte, error) {
	return nil, &rpc.NotSentError{Cause: errAlone}
}
func (a alone) Handle(rpc.Method, rpc.Handler)               {}
func (a alone) HandleMessage(rpc.Method, rpc.MessageHandler) {}
func (a alone) HandleStream(rpc.Method, rpc.StreamHandler)   {}
func (a alone) OnPeerChange(func(ids.NodeID, bool))          {}

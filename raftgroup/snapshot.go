package raftgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/raftgroup/engine"
	"github.com/pamirdb/pamir/raftgroup/transport"
)

// snapshotStore is the group as Raft's snapshot store: it holds metadata only,
// always derived from the engine.
type snapshotStore group

func (s *snapshotStore) meta(st *State) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: 1, ID: "engine", Index: st.Index, Term: st.Term,
		Configuration: toConfiguration(st.Members), ConfigurationIndex: st.ConfigIndex,
		Size: transport.TokenBytes,
	}
}

// List implements raft.SnapshotStore.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	st, ok, err := LoadState(s.h.engine, s.id)
	if err != nil || !ok || st.Index == 0 {
		return nil, err
	}
	return []*raft.SnapshotMeta{s.meta(&st)}, nil
}

// Open implements raft.SnapshotStore: it pins a view and returns its number. The
// contents are streamed from the same view.
func (s *snapshotStore) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	v := s.h.engine.View()
	st, ok, err := LoadState(v, s.id)
	if err == nil && !ok {
		err = fmt.Errorf("raftgroup: %s has no state to send", s.id)
	}
	if err != nil {
		v.Close()
		return nil, nil, err
	}
	n := s.tokens.put(v)
	return s.meta(&st), &tokenReader{Reader: bytes.NewReader(transport.Token(n)), t: &s.tokens, n: n}, nil
}

// Create implements raft.SnapshotStore; there is nothing to write.
func (s *snapshotStore) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return noSink{}, nil
}

type noSink struct{}

func (noSink) Write(p []byte) (int, error) { return len(p), nil }
func (noSink) Close() error                { return nil }
func (noSink) Cancel() error               { return nil }
func (noSink) ID() string                  { return "engine" }

// tokens are the views of snapshots that are being sent.
type tokens struct {
	mu    sync.Mutex
	next  uint64
	views map[uint64]engine.View
}

func (t *tokens) put(v engine.View) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.views == nil {
		t.views = map[uint64]engine.View{}
	}
	t.next++
	t.views[t.next] = v
	return t.next
}

func (t *tokens) get(n uint64) (engine.View, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.views[n]
	return v, ok
}

func (t *tokens) drop(n uint64) {
	t.mu.Lock()
	v, ok := t.views[n]
	delete(t.views, n)
	t.mu.Unlock()
	if ok {
		v.Close()
	}
}

// tokenReader is the contents of a snapshot for Raft; closing it ends the view.
type tokenReader struct {
	*bytes.Reader
	t *tokens
	n uint64
}

func (r *tokenReader) Close() error {
	r.t.drop(r.n)
	return nil
}

// SendSnapshot implements transport.Group. Raft closes the token's reader only
// after the stream has ended.
func (g *group) SendSnapshot(token uint64, w io.Writer) error {
	v, ok := g.tokens.get(token)
	if !ok {
		return fmt.Errorf("raftgroup: snapshot %d of %s is gone", token, g.id)
	}
	return g.sm.Snapshot(v, w)
}

// ReceiveSnapshot implements transport.Group. The old log goes last: entries in
// it may be what a majority counts on, until the snapshot that covers them is on
// disk.
func (g *group) ReceiveSnapshot(ctx context.Context, h transport.SnapshotHeader, r io.Reader) (uint64, error) {
	if g.inst.Load() == nil {
		return 0, transport.ErrNotReady
	}
	if g.hasUpTo(h.Index, h.LastTerm) {
		_, err := io.Copy(io.Discard, r)
		return g.CurrentTerm(), err
	}
	if h.Term < g.CurrentTerm() {
		return 0, fmt.Errorf("raftgroup: snapshot of %s from term %d", g.id, h.Term)
	}
	spool, err := g.h.spoolSnapshot(r)
	if err != nil {
		return 0, err
	}
	defer spool.remove()
	g.lifeMu.Lock()
	defer g.lifeMu.Unlock()
	if g.isClose {
		return 0, transport.ErrNotReady
	}
	if g.hasUpTo(h.Index, h.LastTerm) {
		return g.CurrentTerm(), nil
	}
	if g.IsLeader() {
		return 0, fmt.Errorf("raftgroup: %s leads here", g.id)
	}
	if err := g.install(ctx, h, spool); err != nil {
		return 0, err
	}
	return g.restart()
}

// hasUpTo reports whether the state or the log reaches a snapshot's end.
func (g *group) hasUpTo(index, term uint64) bool {
	return g.state.Load().Index >= index || g.logHolds(index, term)
}

// install fills a fresh space and swaps it in, durably.
func (g *group) install(ctx context.Context, h transport.SnapshotHeader, spool *spool) error {
	space := g.h.takeSpace()
	src, err := spool.open()
	if err != nil {
		return err
	}
	swap, err := g.sm.Restore(space, src)
	err = errors.Join(err, src.Close())
	if err != nil {
		g.h.dropSpace(space)
		return fmt.Errorf("raftgroup: restoring %s: %w", g.id, err)
	}
	b := &engine.Batch{}
	st := State{
		Index: h.Index, Term: h.LastTerm, ConfigIndex: h.ConfigIndex,
		Members: members(raft.DecodeConfiguration(h.Configuration)),
	}
	g.applyMu.Lock()
	if g.state.Load().Index >= h.Index {
		g.applyMu.Unlock()
		g.h.dropSpace(space)
		return nil // the log got there first
	}
	if err := swap(b); err != nil {
		g.applyMu.Unlock()
		g.h.dropSpace(space)
		// What stands in the way, such as a parent that has not split here yet,
		// goes by itself: the sender should try again soon.
		return fmt.Errorf("%w: swapping in a snapshot of %s: %w", ErrNotReady, g.id, err)
	}
	PutApplied(b, g.id, st.Index, st.Term)
	PutConfig(b, g.id, st.ConfigIndex, st.Members)
	b.Delete(pendingKey(space))
	seq := g.h.engine.Write(b)
	g.seq.Store(uint64(seq))
	g.setState(st)
	covered := g.prop.covered(st.Index)
	for _, e := range covered {
		for i := range e.cmds {
			e.cmds[i].finish(nil, ErrUnknown)
		}
	}
	g.applyMu.Unlock()
	return g.h.engine.WaitFlushed(ctx, seq)
}

// restart replaces the Raft instance by one that starts from the state in the
// engine, without a log. The caller holds lifeMu.
func (g *group) restart() (term uint64, err error) {
	in := g.inst.Load()
	in.shutdown()
	g.prop.finish(g.prop.orphaned(), ErrNotLeader)
	if err := g.startInstance(); err != nil {
		// Without an instance the group could never serve again.
		g.h.opts.Fatal(fmt.Errorf("raftgroup: reopening %s after a snapshot: %w", g.id, err))
		return 0, err
	}
	g.h.log.Info("installed a snapshot", "range", g.id, "index", g.state.Load().Index)
	return g.CurrentTerm(), nil
}

// spool holds a received snapshot until it is known to be whole.
type spool struct {
	path string
	mem  []byte
}

func (h *host) spoolSnapshot(r io.Reader) (*spool, error) {
	if h.spool == "" {
		b, err := io.ReadAll(r)
		return &spool{mem: b}, err
	}
	f, err := os.CreateTemp(h.spool, "snapshot-")
	if err != nil {
		return nil, fmt.Errorf("raftgroup: %w", err)
	}
	s := &spool{path: filepath.Clean(f.Name())}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		s.remove()
		return nil, fmt.Errorf("raftgroup: spooling a snapshot: %w", err)
	}
	return s, nil
}

func (s *spool) open() (io.ReadCloser, error) {
	if s.path == "" {
		return io.NopCloser(bytes.NewReader(s.mem)), nil
	}
	return os.Open(s.path)
}

func (s *spool) remove() {
	if s.path != "" {
		_ = os.Remove(s.path) // a leftover goes when the host opens
	}
}

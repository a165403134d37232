package engine

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
)

// store implements Engine, with a file (db set) or without.
type store struct {
	opts Options
	db   *bolt.DB
	stop *stop.Group

	// mu guards pic, the active layer's content and the sequence numbers. It is
	// never held over disk reads or writes.
	mu      sync.RWMutex
	pic     picture
	written Seq
	frozen  Seq   // last batch in the frozen layer
	shared  *view // the view of the newest state, or nil; holds one reference

	flushed  atomic.Uint64
	want     atomic.Uint64 // highest number somebody waits for
	crowded  atomic.Bool   // the overlay is past its bound
	wake     chan struct{}
	progress notifier
	bases    atomic.Int64
	flushMu  sync.Mutex // one flush at a time

	flushes, flushedKeys, flushNanos atomic.Int64
	fileBytes                        atomic.Int64
}

// notifier wakes everybody who waits for a change.
type notifier struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notifier) broadcast() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

// OpenMemory returns an engine without a file: nothing is durable, and everything
// counts as flushed at once.
func OpenMemory() Engine {
	s := &store{opts: Options{}.withDefaults(), wake: make(chan struct{}, 1)}
	s.pic.active = newLayer(true)
	return s
}

// Write implements Engine.
func (s *store) Write(b *Batch) Seq {
	for i := range b.ops {
		if n := len(b.ops[i].Key); n == 0 && b.ops[i].End == nil || n > MaxKeyBytes {
			panic(fmt.Sprintf("engine: key of %d bytes", n))
		}
	}
	var hint btree.PathHint
	s.mu.Lock()
	l := s.pic.active
	for i := range b.ops {
		if invariants && b.ops[i].Fresh {
			s.assertFresh(b.ops[i].Key)
		}
		l.apply(&b.ops[i], &hint)
	}
	s.written++
	seq := s.written
	old := s.shared
	s.shared = nil
	size, keys := l.bytes, l.keys()
	if s.db == nil {
		s.flushed.Store(uint64(seq))
	}
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
	if s.db == nil {
		return seq
	}
	if size > s.opts.FlushBytes || keys > s.opts.FlushKeys {
		s.poke()
		if size > s.opts.MaxBytes || keys > s.opts.MaxKeys {
			s.crowded.Store(true)
		}
	}
	return seq
}

func (s *store) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Get implements Reader.
func (s *store) Get(key []byte) ([]byte, bool) {
	s.mu.RLock()
	if it, ok := s.pic.active.tree.Get(at(key)); ok {
		s.mu.RUnlock()
		return it.value, it.value != nil
	}
	if s.pic.base == nil && s.pic.frozen == nil {
		s.mu.RUnlock()
		return nil, false
	}
	pic := s.below()
	s.mu.RUnlock()
	value, mapped, ok := pic.getBelow(key)
	if ok && mapped {
		value = append(make([]byte, 0, len(value)), value...)
	}
	pic.base.unref()
	return value, ok
}

// below returns the picture with a fixed active layer that has only its spans:
// the tree may change once mu is released. The caller drops the base.
func (s *store) below() picture {
	pic := s.pic
	pic.base.ref()
	if spans := pic.active.spans; len(spans) == 0 {
		pic.active = noLayer
	} else {
		pic.active = &layer{spans: spans}
	}
	return pic
}

var noLayer = &layer{}

// SeekGE implements Reader. Each turn reads one consistent state; between turns
// the caller's latches keep the span still.
func (s *store) SeekGE(lower, upper []byte) (key, value []byte, ok bool) {
	return s.seek(lower, upper, false)
}

// Newest implements Reader.
func (s *store) Newest(lower, upper []byte) (key, value []byte, ok bool) {
	return s.seek(lower, upper, true)
}

// seek is SeekGE, or Newest.
func (s *store) seek(lower, upper []byte, newest bool) (key, value []byte, ok bool) {
	for {
		s.mu.RLock()
		var dead deadKeys
		a, aok := seekLive(s.pic.active, lower, upper, &dead)
		if invariants && newest && aok {
			s.assertNewest(lower, &a)
		}
		if newest && aok || s.pic.base == nil && s.pic.frozen == nil {
			s.mu.RUnlock()
			if dead.more() {
				lower = after(dead.last())
				continue
			}
			return a.key, a.value, aok
		}
		pic := s.below()
		s.mu.RUnlock()
		below := pic.seekBelow
		if newest {
			below = pic.newestBelow
		}
		k, v, mapped, ok := below(lower, upper)
		for ok && dead.has(k) {
			k, v, mapped, ok = below(after(k), upper)
		}
		limit := a.key
		if dead.more() {
			limit = dead.last()
		}
		if ok && (limit == nil || bytes.Compare(k, limit) < 0) {
			if mapped {
				k, v = copyPair(k, v)
			}
			pic.base.unref()
			return k, v, true
		}
		pic.base.unref()
		if !dead.more() {
			return a.key, a.value, aok
		}
		lower = after(dead.last())
	}
}

// assertNewest panics when an older layer has an entry in [lower, it.key) that newer
// ones do not hide. The caller holds mu.
func (s *store) assertNewest(lower []byte, it *item) {
	pic := s.below()
	defer pic.base.unref()
	for {
		k, _, _, ok := pic.seekBelow(lower, it.key)
		if !ok {
			return
		}
		if _, hidden := s.pic.active.tree.Get(at(k)); !hidden {
			panic(fmt.Sprintf("engine: %x was taken for the newest, but %x is there", it.key, k))
		}
		lower = after(k)
	}
}

// assertFresh panics when a key is there. The caller holds mu.
func (s *store) assertFresh(key []byte) {
	it, ok := s.pic.active.tree.Get(at(key))
	there := it.value != nil
	if !ok {
		_, _, there = s.pic.getBelow(key)
	}
	if there {
		panic(fmt.Sprintf("engine: fresh key %x is there", key))
	}
}

// copyPair copies a key and a value out of the file's mapping, in one allocation.
func copyPair(k, v []byte) (key, value []byte) {
	buf := append(append(make([]byte, 0, len(k)+len(v)), k...), v...)
	return buf[:len(k):len(k)], buf[len(k):]
}

// View implements Engine.
func (s *store) View() View {
	s.mu.RLock()
	if v := s.shared; v != nil && v.tryRef() {
		s.mu.RUnlock()
		return v
	}
	s.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.shared; v != nil && v.tryRef() {
		return v
	}
	v := &view{pic: s.pic, seq: s.written}
	v.pic.active = s.pic.active.snapshot()
	v.pic.base.ref()
	v.refs.Store(2) // the caller's and the store's
	s.shared = v
	return v
}

// DurableView implements Engine.
func (s *store) DurableView() View {
	if s.db == nil {
		return s.View()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := &view{pic: picture{active: emptyLayer, base: s.pic.base.ref()}, seq: Seq(s.flushed.Load())}
	v.refs.Store(1)
	return v
}

var emptyLayer = newLayer(true)

// Stats implements Engine.
func (s *store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{
		OverlayBytes: s.pic.active.bytes,
		OverlayKeys:  s.pic.active.keys(),
		FileBytes:    s.fileBytes.Load(),
		WrittenSeq:   s.written,
		FlushedSeq:   s.FlushedSeq(),
		Flushes:      s.flushes.Load(),
		FlushedKeys:  s.flushedKeys.Load(),
		FlushNanos:   s.flushNanos.Load(),
	}
	if f := s.pic.frozen; f != nil {
		st.OverlayBytes += f.bytes
		st.OverlayKeys += f.keys()
	}
	return st
}

// FlushedSeq implements Engine.
func (s *store) FlushedSeq() Seq { return Seq(s.flushed.Load()) }

// Flush implements Engine.
func (s *store) Flush(ctx context.Context) error {
	s.mu.RLock()
	seq := s.written
	s.mu.RUnlock()
	return s.WaitFlushed(ctx, seq)
}

// WaitFlushed implements Engine.
func (s *store) WaitFlushed(ctx context.Context, seq Seq) error {
	for s.FlushedSeq() < seq {
		ch := s.progress.wait()
		for {
			w := s.want.Load()
			if w >= uint64(seq) || s.want.CompareAndSwap(w, uint64(seq)) {
				break
			}
		}
		s.poke()
		if s.FlushedSeq() >= seq {
			return nil
		}
		select {
		case <-ch:
		case <-s.stop.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// WaitRoom implements Engine.
func (s *store) WaitRoom(ctx context.Context) error {
	for s.crowded.Load() {
		ch := s.progress.wait()
		if !s.crowded.Load() {
			return nil
		}
		s.poke()
		select {
		case <-ch:
		case <-s.stop.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// closeWait bounds how long Close waits for views that somebody still reads.
const closeWait = 2 * time.Second

// Close implements Engine.
func (s *store) Close() error {
	if s.db == nil {
		return nil
	}
	s.stop.Stop()
	s.flush()
	s.progress.broadcast()
	s.mu.Lock()
	b, v := s.pic.base, s.shared
	s.pic.base, s.shared = nil, nil
	s.mu.Unlock()
	if b == nil {
		return nil // closed before
	}
	if v != nil {
		v.Close()
	}
	b.unref()
	// Unmapping the file under a reader would crash it, so leaked views keep the
	// mapping alive.
	for end := time.Now().Add(closeWait); s.bases.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("engine: closed with %d read transactions open", s.bases.Load())
		}
	}
	return s.db.Close()
}

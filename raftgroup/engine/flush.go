package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// fillPercent leaves room in pages for keys that arrive between others, yet
// wastes less than bbolt's half on the ascending keys of a bulk load.
const fillPercent = 0.7

// flushLoop cuts and writes overlay versions until the engine closes.
func (s *store) flushLoop(ctx context.Context) {
	timer := time.NewTimer(s.opts.FlushInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
			s.flush()
			timer.Reset(s.opts.FlushInterval)
			continue
		}
		for s.due() && ctx.Err() == nil {
			s.flush()
			timer.Reset(s.opts.FlushInterval)
		}
	}
}

// due reports whether there is a reason to flush before the interval is over.
func (s *store) due() bool {
	if s.want.Load() > s.flushed.Load() {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := s.pic.active
	return a.bytes > s.opts.FlushBytes || a.keys() > s.opts.FlushKeys
}

// flush writes everything written so far, in one transaction. A bound decides
// when it is called, never what it writes: state ahead of its own applied index
// would be applied a second time after a crash.
func (s *store) flush() {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	frozen, seq := s.freeze()
	if frozen == nil {
		return
	}
	s.progress.broadcast() // there is room again
	start := time.Now()
	if err := s.db.Update(func(tx *bolt.Tx) error { return writeLayer(tx, frozen) }); err != nil {
		s.opts.Fatal(fmt.Errorf("engine: flushing: %w", err))
		return
	}
	next, err := newBase(s.db, &s.bases)
	if err != nil {
		s.opts.Fatal(err)
		return
	}
	s.publish(next, seq)
	s.flushes.Add(1)
	s.flushedKeys.Add(int64(frozen.tree.Len()))
	s.flushNanos.Add(int64(time.Since(start)))
	s.noteFileSize()
	s.progress.broadcast()
}

// freeze makes the active layer the frozen one.
func (s *store) freeze() (*layer, Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pic.base == nil {
		return nil, 0 // closed
	}
	if s.pic.active.empty() {
		if s.flushed.Load() < uint64(s.written) {
			s.flushed.Store(uint64(s.written)) // empty batches only
			s.progress.broadcast()
		}
		return nil, 0
	}
	if s.shared != nil {
		s.shared.Close()
		s.shared = nil
	}
	s.pic.frozen, s.frozen = s.pic.active, s.written
	s.pic.active = newLayer(false)
	s.crowded.Store(false)
	return s.pic.frozen, s.frozen
}

// publish replaces the frozen layer by the file that now holds it.
func (s *store) publish(next *base, seq Seq) {
	s.mu.Lock()
	old, v := s.pic.base, s.shared
	s.pic.base, s.pic.frozen, s.shared = next, nil, nil
	s.flushed.Store(uint64(seq))
	s.mu.Unlock()
	if v != nil {
		v.Close()
	}
	old.unref()
}

// writeLayer applies a layer to the file: first its spans, which hide only what
// is older than its entries.
func writeLayer(tx *bolt.Tx, l *layer) error {
	b := tx.Bucket(dataBucket)
	b.FillPercent = fillPercent
	for _, sp := range l.spans {
		if err := deleteSpan(b, sp); err != nil {
			return err
		}
	}
	var err error
	l.tree.Scan(func(it item) bool {
		if it.value == nil {
			err = b.Delete(it.key)
		} else {
			err = b.Put(it.key, it.value)
		}
		return err == nil
	})
	return err
}

// deleteSpan deletes in chunks, because a cursor may skip entries when what it
// stands on is deleted.
func deleteSpan(b *bolt.Bucket, sp span) error {
	const chunk = 4096
	c := b.Cursor()
	for {
		var doomed [][]byte
		for k, _ := c.Seek(sp.start); k != nil && bytes.Compare(k, sp.end) < 0 && len(doomed) < chunk; k, _ = c.Next() {
			doomed = append(doomed, bytes.Clone(k))
		}
		for _, k := range doomed {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		if len(doomed) < chunk {
			return nil
		}
	}
}

func (s *store) noteFileSize() {
	if info, err := os.Stat(s.db.Path()); err == nil {
		s.fileBytes.Store(info.Size())
	}
}

package logstore

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

// memoryDir keeps logs for as long as it lives: a group that is opened again
// finds what it wrote, as on a disk that never fails.
type memoryDir struct {
	write time.Duration // what a write takes

	mu   sync.Mutex
	logs map[ids.RangeID]*memoryBackend
}

// NewMemoryDir returns a Dir without files.
func NewMemoryDir() Dir { return &memoryDir{logs: map[ids.RangeID]*memoryBackend{}} }

// Mortal is a Dir in memory whose writes take time and that can crash, for
// simulations.
type Mortal interface {
	Dir
	// SetWrite changes what a write takes from now on.
	SetWrite(d time.Duration)
	// Crash forgets what is not written yet. Stores that are open write nowhere
	// from now on, and say so for entries; those that are opened later go on from
	// what is left.
	Crash()
}

// NewMortalDir returns one whose writes take no time yet.
func NewMortalDir() Mortal { return &memoryDir{logs: map[ids.RangeID]*memoryBackend{}} }

// SetWrite implements Mortal.
func (d *memoryDir) SetWrite(write time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write = write
	for _, b := range d.logs {
		b.mu.Lock()
		b.write = write
		b.mu.Unlock()
	}
}

// Crash implements Mortal.
func (d *memoryDir) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for r, b := range d.logs {
		d.logs[r] = b.crash()
	}
}

// Open implements Dir.
func (d *memoryDir) Open(r ids.RangeID) (Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.logs[r]
	if b == nil {
		b = &memoryBackend{write: d.write, values: map[string][]byte{}}
		d.logs[r] = b
	}
	return newStore(b, func(err error) {
		if !errors.Is(err, errCrashed) {
			panic(err)
		}
	}, func(f func()) { go f() })
}

// Remove implements Dir.
func (d *memoryDir) Remove(r ids.RangeID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.logs, r)
	return nil
}

// Later implements Dir.
func (d *memoryDir) Later(func() bool) bool { return false }

// Close implements Dir. What was written stays: see memoryDir.
func (d *memoryDir) Close() error { return nil }

type memoryBackend struct {
	mu      sync.RWMutex
	write   time.Duration
	first   uint64
	logs    []raft.Log
	values  map[string][]byte
	crashed bool
	// writing are the entries at the end that are not written yet, in order.
	writing []*memoryWrite
}

// memoryWrite is a write that takes time.
type memoryWrite struct {
	first uint64
	takes time.Duration
}

var errCrashed = errors.New("logstore: crashed")

// crash returns what a crash leaves.
func (b *memoryBackend) crash() *memoryBackend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.crashed = true
	left := &memoryBackend{write: b.write, first: b.first, logs: slices.Clone(b.logs), values: maps.Clone(b.values)}
	if len(b.writing) > 0 {
		if from := b.writing[0].first; from <= left.first {
			left.logs, left.first = nil, 0
		} else if from < left.first+uint64(len(left.logs)) {
			left.logs = left.logs[:from-left.first]
		}
	}
	return left
}

// takeTime waits for a write and all before it.
func (b *memoryBackend) takeTime(w *memoryWrite) error {
	if w.takes > 0 {
		time.Sleep(w.takes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.crashed {
		return errCrashed
	}
	if i := slices.Index(b.writing, w); i >= 0 {
		b.writing = b.writing[i+1:]
	}
	return nil
}

func (b *memoryBackend) bounds() (first, last uint64, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.logs) == 0 {
		return 0, 0, nil
	}
	return b.first, b.first + uint64(len(b.logs)) - 1, nil
}

func (b *memoryBackend) get(index uint64, l *raft.Log) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if index < b.first || index >= b.first+uint64(len(b.logs)) {
		return raft.ErrLogNotFound
	}
	*l = b.logs[index-b.first]
	return nil
}

func (b *memoryBackend) start(logs []*raft.Log) (func() error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.crashed {
		return nil, errCrashed
	}
	w := &memoryWrite{logs[0].Index, b.write}
	if b.write > 0 {
		b.writing = append(b.writing, w)
	}
	for _, l := range logs {
		if len(b.logs) == 0 {
			b.first = l.Index
		}
		if at := l.Index - b.first; at < uint64(len(b.logs)) {
			b.logs[at] = *l
		} else {
			b.logs = append(b.logs, *l)
		}
	}
	return func() error { return b.takeTime(w) }, nil
}

func (b *memoryBackend) deleteRange(first, last uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = nil
	end := b.first + uint64(len(b.logs))
	switch {
	case first <= b.first && last+1 >= end:
		b.logs, b.first = nil, 0
	case first <= b.first:
		b.logs = append([]raft.Log(nil), b.logs[last+1-b.first:]...)
		b.first = last + 1
	default:
		b.logs = b.logs[:first-b.first]
	}
	return nil
}

func (b *memoryBackend) set(key string, value []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = nil // this write comes after those
	b.values[key] = value
	return nil
}

func (b *memoryBackend) value(key string) ([]byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if v, ok := b.values[key]; ok {
		return v, nil
	}
	return nil, ErrNotFound
}

func (b *memoryBackend) close() error { return nil }

package logstore

import (
	"sync"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

// memoryDir keeps logs for as long as it lives: a group that is opened again
// finds what it wrote, as on a disk that never fails.
type memoryDir struct {
	mu   sync.Mutex
	logs map[ids.RangeID]*memoryBackend
}

// NewMemoryDir returns a Dir without files.
func NewMemoryDir() Dir { return &memoryDir{logs: map[ids.RangeID]*memoryBackend{}} }

// Open implements Dir.
func (d *memoryDir) Open(r ids.RangeID) (Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.logs[r]
	if b == nil {
		b = &memoryBackend{values: map[string][]byte{}}
		d.logs[r] = b
	}
	return newStore(b, func(err error) { panic(err) })
}

// Remove implements Dir.
func (d *memoryDir) Remove(r ids.RangeID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.logs, r)
	return nil
}

// Later implements Dir.
func (d *memoryDir) Later(func()) bool { return false }

// Close implements Dir. What was written stays: see memoryDir.
func (d *memoryDir) Close() error { return nil }

type memoryBackend struct {
	mu     sync.RWMutex
	first  uint64
	logs   []raft.Log
	values map[string][]byte
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

func (b *memoryBackend) append(logs []*raft.Log) error {
	b.mu.Lock()
	defer b.mu.Unlock()
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
	return nil
}

func (b *memoryBackend) deleteRange(first, last uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
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

package logstore

import (
	"encoding/binary"
	"sync"

	"github.com/hashicorp/raft"
)

// Raft's stable keys. The vote is kept under one key of ours.
const (
	keyTerm     = "CurrentTerm"
	keyVoteTerm = "LastVoteTerm"
	keyVoteCand = "LastVoteCand"
	keyVote     = "pamir/vote"
)

// backend is durable storage below the cache; its writes are synced.
type backend interface {
	bounds() (first, last uint64, err error)
	get(index uint64, l *raft.Log) error
	append(logs []*raft.Log) error
	deleteRange(first, last uint64) error
	set(key string, value []byte) error
	value(key string) ([]byte, error) // ErrNotFound when absent
	close() error
}

// Limits of the tail that a store keeps in memory for replication.
const (
	tailEntries = 1024
	tailBytes   = 1 << 20
)

// store adds to a backend what both implementations share: cached bounds and
// tail, the atomic vote, hooks and the end of the process on write errors.
type store struct {
	b     backend
	fatal func(error)

	mu          sync.RWMutex
	first, last uint64
	tail        []*raft.Log // consecutive, ending at last
	tailSize    int64
	bytes       int64
	values      map[string][]byte
	heldTerm    uint64 // LastVoteTerm that waits for its candidate
	appending   func([]*raft.Log)
	keep        func() uint64
}

func newStore(b backend, fatal func(error)) (*store, error) {
	s := &store{b: b, fatal: fatal, values: map[string][]byte{}}
	var err error
	s.first, s.last, err = b.bounds()
	return s, err
}

// IsMonotonic implements raft.MonotonicLogStore.
func (s *store) IsMonotonic() bool { return true }

// SetHooks implements Store.
func (s *store) SetHooks(appending func([]*raft.Log), keep func() uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appending, s.keep = appending, keep
}

// FirstIndex implements raft.LogStore.
func (s *store) FirstIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.first, nil
}

// LastIndex implements raft.LogStore.
func (s *store) LastIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last, nil
}

// Bytes implements Store.
func (s *store) Bytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bytes
}

// GetLog implements raft.LogStore.
func (s *store) GetLog(index uint64, l *raft.Log) error {
	s.mu.RLock()
	if s.last == 0 || index < s.first || index > s.last {
		s.mu.RUnlock()
		return raft.ErrLogNotFound
	}
	if back := s.last - index; back < uint64(len(s.tail)) {
		*l = *s.tail[uint64(len(s.tail))-1-back]
		s.mu.RUnlock()
		return nil
	}
	s.mu.RUnlock()
	return s.b.get(index, l)
}

// StoreLog implements raft.LogStore.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (s *store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	s.mu.RLock()
	appending := s.appending
	s.mu.RUnlock()
	if appending != nil {
		appending(logs)
	}
	if err := s.b.append(logs); err != nil {
		s.fatal(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != 0 && logs[0].Index != s.last+1 || len(s.tail) == 0 {
		s.tail, s.tailSize = nil, 0
	}
	if s.last == 0 {
		s.first = logs[0].Index
	}
	for _, l := range logs {
		kept := *l
		s.tail = append(s.tail, &kept)
		s.tailSize += int64(len(l.Data))
		s.bytes += entryBytes(l)
	}
	s.last = logs[len(logs)-1].Index
	s.trimTail()
	return nil
}

func entryBytes(l *raft.Log) int64 { return int64(len(l.Data)) + 64 }

func (s *store) trimTail() {
	drop := 0
	for n := len(s.tail); drop < n-1 && (n-drop > tailEntries || s.tailSize > tailBytes); drop++ {
		s.tailSize -= int64(len(s.tail[drop].Data))
		s.tail[drop] = nil
	}
	if drop > 0 {
		s.tail = s.tail[drop:]
	}
}

// DeleteRange implements raft.LogStore. Raft truncates the head after a
// snapshot, and the end where it diverges from the leader's.
func (s *store) DeleteRange(first, last uint64) error {
	s.mu.RLock()
	head := first <= s.first && last < s.last
	keep := s.keep
	from, to := s.first, s.last
	s.mu.RUnlock()
	if head && keep != nil {
		if k := keep(); last >= k {
			if k <= from {
				return nil
			}
			last = k - 1
		}
	}
	if to == 0 || last < from || first > to {
		return nil
	}
	if err := s.b.deleteRange(first, last); err != nil {
		s.fatal(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.last - s.first + 1
	switch {
	case head:
		s.first = last + 1
	case first <= s.first:
		s.first, s.last = 0, 0
	default:
		s.last = first - 1
	}
	left := uint64(0)
	if s.last != 0 {
		left = s.last - s.first + 1
	}
	s.bytes = int64(float64(s.bytes) * float64(left) / float64(total))
	s.cutTail(head, first)
	return nil
}

// cutTail drops what was deleted from the cached tail.
func (s *store) cutTail(head bool, first uint64) {
	if s.last == 0 || !head && len(s.tail) > 0 && first <= s.tail[0].Index {
		s.tail, s.tailSize = nil, 0
		return
	}
	if !head {
		for n := len(s.tail); n > 0 && s.tail[n-1].Index > s.last; n-- {
			s.tailSize -= int64(len(s.tail[n-1].Data))
			s.tail = s.tail[:n-1]
		}
		return
	}
	drop := 0
	for drop < len(s.tail) && s.tail[drop].Index < s.first {
		s.tailSize -= int64(len(s.tail[drop].Data))
		drop++
	}
	s.tail = s.tail[drop:]
}

// Wipe implements Store.
func (s *store) Wipe() error {
	s.mu.RLock()
	first, last := s.first, s.last
	s.mu.RUnlock()
	if last == 0 {
		return nil
	}
	return s.DeleteRange(first, last)
}

// Set implements raft.StableStore.
func (s *store) Set(key, value []byte) error {
	if string(key) == keyVoteCand {
		s.mu.RLock()
		term := s.heldTerm
		s.mu.RUnlock()
		return s.put(keyVote, append(binary.BigEndian.AppendUint64(nil, term), value...))
	}
	return s.put(string(key), append([]byte(nil), value...))
}

func (s *store) put(key string, value []byte) error {
	if old, err := s.value(key); err == nil && string(old) == string(value) {
		return nil
	}
	if err := s.b.set(key, value); err != nil {
		s.fatal(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

func (s *store) value(key string) ([]byte, error) {
	s.mu.RLock()
	v, ok := s.values[key]
	s.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := s.b.value(key)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = v
	return v, nil
}

// Get implements raft.StableStore.
func (s *store) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteCand {
		return s.value(string(key))
	}
	v, err := s.value(keyVote)
	if err != nil {
		return nil, err
	}
	return v[8:], nil
}

// SetUint64 implements raft.StableStore. The term of a vote waits for the
// candidate, which Raft writes next.
func (s *store) SetUint64(key []byte, v uint64) error {
	if string(key) == keyVoteTerm {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heldTerm = v
		return nil
	}
	return s.put(string(key), binary.BigEndian.AppendUint64(nil, v))
}

// GetUint64 implements raft.StableStore.
func (s *store) GetUint64(key []byte) (uint64, error) {
	name := string(key)
	if name == keyVoteTerm {
		name = keyVote
	}
	v, err := s.value(name)
	if err != nil {
		return 0, err
	}
	if len(v) < 8 {
		return 0, ErrNotFound
	}
	return binary.BigEndian.Uint64(v), nil
}

// Close implements Store.
func (s *store) Close() error { return s.b.close() }

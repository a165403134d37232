package logstore

import (
	"encoding/binary"
	"math"
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
	// start begins to write entries, in the order of its calls and before all
	// writes that are called later. done returns once they are durable.
	start(logs []*raft.Log) (done func() error, err error)
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
	// spawn runs a function in a goroutine.
	spawn func(func())

	mu          sync.RWMutex
	first, last uint64
	tail        []*raft.Log // consecutive, ending at last
	tailSize    int64
	bytes       int64
	values      map[string][]byte
	heldTerm    uint64 // LastVoteTerm that waits for its candidate
	hooks       Hooks

	// durable is the last entry that a crash leaves; what is ahead of it is being
	// written by goroutines that ahead counts. cuts counts the times that the end
	// of the log was deleted.
	durable uint64
	cuts    int
	moved   *sync.Cond
	ahead   sync.WaitGroup
	failed  error
}

func newStore(b backend, fatal func(error), spawn func(func())) (*store, error) {
	s := &store{b: b, fatal: fatal, spawn: spawn, values: map[string][]byte{}}
	s.moved = sync.NewCond(&s.mu)
	var err error
	s.first, s.last, err = b.bounds()
	s.durable = s.last
	return s, err
}

// IsMonotonic implements raft.MonotonicLogStore.
func (s *store) IsMonotonic() bool { return true }

// SetHooks implements Store.
func (s *store) SetHooks(h Hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = h
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
	hooks := s.hooks
	s.mu.RUnlock()
	if hooks.Appending != nil {
		hooks.Appending(logs)
	}
	done, err := s.b.start(logs)
	if err != nil {
		return s.fail(err)
	}
	last := logs[len(logs)-1].Index
	if hooks.Ahead != nil && hooks.Ahead() {
		cuts := s.grow(logs)
		s.ahead.Add(1)
		s.spawn(func() {
			defer s.ahead.Done()
			if err := done(); err != nil {
				_ = s.fail(err)
				return
			}
			s.written(last, cuts)
		})
		return nil
	}
	if err := done(); err != nil {
		return s.fail(err)
	}
	s.written(last, s.grow(logs))
	return nil
}

// fail ends the process, or at least this log.
func (s *store) fail(err error) error {
	s.mu.Lock()
	s.failed = err
	s.moved.Broadcast()
	s.mu.Unlock()
	s.fatal(err)
	return err
}

// grow makes entries readable, and returns how often the end has been cut.
func (s *store) grow(logs []*raft.Log) (cuts int) {
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
	return s.cuts
}

// written notes that entries are durable, unless the end of the log has been cut
// since: then the cut has said so.
func (s *store) written(last uint64, cuts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cuts == s.cuts && last > s.durable {
		s.durable = last
		s.moved.Broadcast()
	}
}

// Durable implements Store.
func (s *store) Durable() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.durable == s.last {
		return math.MaxUint64 // also of a log whose entries are in a snapshot
	}
	return s.durable
}

// WaitDurable implements Store.
func (s *store) WaitDurable(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.durable < min(index, s.last) && s.failed == nil {
		s.moved.Wait()
	}
	return s.failed
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
	keep := s.hooks.Keep
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
		return s.fail(err)
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
	if !head {
		// All that was written before the cut is durable now.
		s.durable = s.last
		s.cuts++
		s.moved.Broadcast()
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
		return s.fail(err)
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
func (s *store) Close() error {
	s.ahead.Wait()
	return s.b.close()
}

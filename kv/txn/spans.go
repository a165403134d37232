package txn

import (
	"bytes"
	"slices"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/keys"
)

// maxSpans is how many spans a set keeps apart; beyond it neighbours merge. A
// merged span covers more than was touched: that can only cost a needless
// refresh failure or a visit to a range, never an answer.
const maxSpans = 512

// spanSet is a set of keys and spans. Its zero value is empty.
type spanSet struct {
	list   []api.Span
	first  [2]api.Span
	sorted bool
}

func (s *spanSet) empty() bool { return len(s.list) == 0 }

func (s *spanSet) reset() { *s = spanSet{} }

// add adds [start, end), or start alone if end is nil; the set keeps the bytes.
func (s *spanSet) add(start, end api.Key) {
	if s.list == nil {
		s.list = s.first[:0]
	}
	s.list = append(s.list, api.Span{Start: start, End: end})
	s.sorted = false
	if len(s.list) > 2*maxSpans {
		s.compact()
		if len(s.list) > maxSpans {
			s.coarsen()
		}
	}
}

// has reports whether the last span added is this one: loops over one key are
// common, and a longer search is not worth its time.
func (s *spanSet) has(start, end api.Key) bool {
	if len(s.list) == 0 {
		return false
	}
	l := &s.list[len(s.list)-1]
	return bytes.Equal(l.Start, start) && bytes.Equal(l.End, end) && (l.End == nil) == (end == nil)
}

// compact sorts the spans and joins those that touch.
func (s *spanSet) compact() {
	if s.sorted || len(s.list) < 2 {
		s.sorted = true
		return
	}
	slices.SortFunc(s.list, func(a, b api.Span) int { return bytes.Compare(a.Start, b.Start) })
	out := s.list[:1]
	for _, sp := range s.list[1:] {
		last := &out[len(out)-1]
		switch {
		case bytes.Equal(sp.Start, last.Start):
			last.End = laterEnd(*last, sp)
		case last.End != nil && bytes.Compare(sp.Start, last.End) <= 0:
			if end := spanEnd(sp); bytes.Compare(end, last.End) > 0 {
				last.End = end
			}
		default:
			out = append(out, sp)
		}
	}
	s.list = out
	s.sorted = true
}

// laterEnd returns the end of the union of two spans that start together.
func laterEnd(a, b api.Span) api.Key {
	switch {
	case a.End == nil:
		return b.End
	case b.End == nil || bytes.Compare(a.End, b.End) > 0:
		return a.End
	}
	return b.End
}

// coarsen joins neighbours until half of the bound is left.
func (s *spanSet) coarsen() {
	group := (len(s.list) + maxSpans/2 - 1) / (maxSpans / 2)
	out := s.list[:0]
	for i := 0; i < len(s.list); i += group {
		part := s.list[i:min(i+group, len(s.list))]
		sp := part[0]
		if len(part) > 1 {
			sp.End = spanEnd(part[len(part)-1])
			for _, o := range part[:len(part)-1] {
				if end := spanEnd(o); bytes.Compare(end, sp.End) > 0 {
					sp.End = end
				}
			}
		}
		out = append(out, sp)
	}
	clear(s.list[len(out):])
	s.list = out
}

// spans returns the set in key order; the slice belongs to the set.
func (s *spanSet) spans() []api.Span {
	s.compact()
	return s.list
}

func spanEnd(s api.Span) api.Key {
	if s.End == nil {
		return keys.Next(s.Start)
	}
	return s.End
}

// held is a locked key and the newest committed version when it was locked.
type held struct {
	key      api.Key
	version  hlc.Timestamp
	strength api.LockStrength
	exists   bool
	// seq is the highest Header.LockSeq that the lock can have been taken with.
	seq api.Seq
	// laid says that an intent of ours was laid on the key.
	laid bool
}

// lockSet remembers locked keys.
type lockSet struct {
	list []held
	// byKey is built once the list is too long to walk.
	byKey map[string]int32
}

const walkLocks = 16

func (l *lockSet) find(k api.Key) *held {
	if l.byKey != nil {
		if i, ok := l.byKey[string(k)]; ok {
			return &l.list[i]
		}
		return nil
	}
	for i := range l.list {
		if bytes.Equal(l.list[i].key, k) {
			return &l.list[i]
		}
	}
	return nil
}

// add remembers a lock. A key locked again keeps its first version: the lock
// has kept others out since, and if it was lost, validation must notice.
func (l *lockSet) add(a *arena, h held) {
	if old := l.find(h.key); old != nil {
		old.strength = max(old.strength, h.strength)
		return
	}
	h.key = a.copy(h.key)
	l.list = append(l.list, h)
	switch {
	case l.byKey != nil:
		l.byKey[string(h.key)] = int32(len(l.list) - 1)
	case len(l.list) > walkLocks:
		l.byKey = make(map[string]int32, 4*walkLocks)
		for i := range l.list {
			l.byKey[string(l.list[i].key)] = int32(i)
		}
	}
}

func (l *lockSet) reset() { *l = lockSet{} }

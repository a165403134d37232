package engine

import (
	"bytes"
	"sync"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
)

// source is one layer of a merge: a tree or the file, without what the spans of
// the layers above hide.
type source struct {
	tree   *layer
	it     btree.IterG[item]
	base   *base
	cur    *bolt.Cursor
	hide   [2]spanSet
	ok     bool
	key    []byte
	value  []byte
	inited bool
}

func (s *source) openTree(l *layer) {
	s.tree, s.ok = l, false
	s.it.Init(l.tree, false)
	s.inited = true
}

func (s *source) openBase(b *base) {
	s.base, s.cur, s.ok = b, b.cursor(), false
	s.inited = true
}

func (s *source) close() {
	if s.tree != nil {
		s.it.Release()
	}
	if s.cur != nil {
		s.base.release(s.cur)
	}
	s.tree, s.base, s.cur, s.hide = nil, nil, nil, [2]spanSet{}
	s.key, s.value, s.ok, s.inited = nil, nil, false, false
}

func (s *source) setTree(ok bool) {
	if s.ok = ok; ok {
		it := s.it.Item()
		s.key, s.value = it.key, it.value
	}
}

func (s *source) setBase(k, v []byte) { s.ok, s.key, s.value = k != nil, k, v }

func (s *source) rawGE(k []byte) {
	if s.tree != nil {
		s.setTree(s.it.Seek(at(k)))
		return
	}
	s.setBase(s.cur.Seek(k))
}

// rawLT positions at the last entry below k; nil means the last of all.
func (s *source) rawLT(k []byte) {
	switch {
	case s.tree != nil && k != nil && s.it.Seek(at(k)):
		s.setTree(s.it.Prev())
	case s.tree != nil:
		s.setTree(s.it.Last())
	default:
		if k != nil {
			if at, _ := s.cur.Seek(k); at != nil {
				s.setBase(s.cur.Prev())
				return
			}
		}
		s.setBase(s.cur.Last())
	}
}

func (s *source) hidden() (span, bool) {
	for _, set := range s.hide {
		if h, ok := set.find(s.key); ok {
			return h, true
		}
	}
	return span{}, false
}

func (s *source) skipForward() {
	for s.ok {
		h, hidden := s.hidden()
		if !hidden {
			return
		}
		s.rawGE(h.end)
	}
}

func (s *source) skipBackward() {
	for s.ok {
		h, hidden := s.hidden()
		if !hidden {
			return
		}
		s.rawLT(h.start)
	}
}

func (s *source) seekGE(k []byte) { s.rawGE(k); s.skipForward() }
func (s *source) seekLT(k []byte) { s.rawLT(k); s.skipBackward() }

func (s *source) next() {
	if s.tree != nil {
		s.setTree(s.it.Next())
	} else {
		s.setBase(s.cur.Next())
	}
	s.skipForward()
}

func (s *source) prev() {
	if s.tree != nil {
		s.setTree(s.it.Prev())
	} else {
		s.setBase(s.cur.Prev())
	}
	s.skipBackward()
}

// iterator merges the sources of a view, newest first: on equal keys the first
// source wins, and a tombstone hides the others.
type iterator struct {
	srcs         [3]source
	n            int
	lower, upper []byte
	at           int // the source that holds the position, or -1
	backward     bool
	closed       bool
}

var iterators = sync.Pool{New: func() any { return new(iterator) }}

// Iter implements View.
func (v *view) Iter(lower, upper []byte) Iterator {
	i := iterators.Get().(*iterator)
	i.lower, i.upper, i.n, i.at, i.backward, i.closed = lower, upper, 0, -1, false, false
	p := &v.pic
	if p.active != nil && p.active.tree.Len() > 0 {
		i.srcs[i.n].openTree(p.active)
		i.n++
	}
	var above spanSet
	if p.active != nil {
		above = p.active.spans
	}
	if p.frozen != nil && p.frozen.tree.Len() > 0 {
		i.srcs[i.n].openTree(p.frozen)
		i.srcs[i.n].hide[0] = above
		i.n++
	}
	if p.base != nil {
		i.srcs[i.n].openBase(p.base)
		i.srcs[i.n].hide[0] = above
		if p.frozen != nil {
			i.srcs[i.n].hide[1] = p.frozen.spans
		}
		i.n++
	}
	return i
}

func (i *iterator) Valid() bool   { return i.at >= 0 }
func (i *iterator) Key() []byte   { return i.srcs[i.at].key }
func (i *iterator) Value() []byte { return i.srcs[i.at].value }

func (i *iterator) Close() {
	if i.closed {
		return
	}
	for j := 0; j < i.n; j++ {
		i.srcs[j].close()
	}
	i.closed, i.at, i.lower, i.upper = true, -1, nil, nil
	iterators.Put(i)
}

func (i *iterator) First() bool { return i.seekForward(i.lower) }

func (i *iterator) Last() bool { return i.seekBackward(i.upper) }

func (i *iterator) SeekGE(key []byte) bool {
	if bytes.Compare(key, i.lower) < 0 {
		key = i.lower
	}
	return i.seekForward(key)
}

func (i *iterator) SeekLT(key []byte) bool {
	if i.upper != nil && bytes.Compare(key, i.upper) > 0 {
		key = i.upper
	}
	return i.seekBackward(key)
}

func (i *iterator) seekForward(key []byte) bool {
	for j := 0; j < i.n; j++ {
		i.srcs[j].seekGE(key)
	}
	i.backward = false
	return i.settleForward()
}

// seekBackward seeks below key; nil means from the end.
func (i *iterator) seekBackward(key []byte) bool {
	for j := 0; j < i.n; j++ {
		i.srcs[j].seekLT(key)
	}
	i.backward = true
	return i.settleBackward()
}

func (i *iterator) Next() bool {
	if i.at < 0 {
		return false
	}
	key := i.srcs[i.at].key
	if i.backward {
		for j := 0; j < i.n; j++ {
			if j != i.at {
				i.srcs[j].seekGE(key)
			}
		}
		i.backward = false
	}
	i.stepForward(key)
	return i.settleForward()
}

func (i *iterator) Prev() bool {
	if i.at < 0 {
		return false
	}
	key := i.srcs[i.at].key
	if !i.backward {
		for j := 0; j < i.n; j++ {
			i.srcs[j].seekLT(key)
		}
		i.backward = true
		return i.settleBackward()
	}
	i.stepBackward(key)
	return i.settleBackward()
}

func (i *iterator) stepForward(key []byte) {
	for j := 0; j < i.n; j++ {
		if s := &i.srcs[j]; s.ok && bytes.Equal(s.key, key) {
			s.next()
		}
	}
}

func (i *iterator) stepBackward(key []byte) {
	for j := 0; j < i.n; j++ {
		if s := &i.srcs[j]; s.ok && bytes.Equal(s.key, key) {
			s.prev()
		}
	}
}

func (i *iterator) settleForward() bool {
	for {
		i.at = -1
		for j := 0; j < i.n; j++ {
			if s := &i.srcs[j]; s.ok && (i.at < 0 || bytes.Compare(s.key, i.srcs[i.at].key) < 0) {
				i.at = j
			}
		}
		if i.at < 0 {
			return false
		}
		s := &i.srcs[i.at]
		if !inSpan(s.key, i.upper) {
			i.at = -1
			return false
		}
		if s.value != nil {
			return true
		}
		i.stepForward(s.key)
	}
}

func (i *iterator) settleBackward() bool {
	for {
		i.at = -1
		for j := 0; j < i.n; j++ {
			if s := &i.srcs[j]; s.ok && (i.at < 0 || bytes.Compare(s.key, i.srcs[i.at].key) > 0) {
				i.at = j
			}
		}
		if i.at < 0 {
			return false
		}
		s := &i.srcs[i.at]
		if bytes.Compare(s.key, i.lower) < 0 {
			i.at = -1
			return false
		}
		if s.value != nil {
			return true
		}
		i.stepBackward(s.key)
	}
}

package engine

import (
	"bytes"
	"encoding/binary"
	"sort"

	"github.com/tidwall/btree"
)

// MaxKeyBytes is the longest key that an engine takes.
const MaxKeyBytes = 32 << 10

// itemOverhead approximates what an overlay entry costs beyond its bytes, and
// spanKeys what a range deletion counts in keys.
const (
	itemOverhead = 120
	spanKeys     = 64
)

// item is an overlay entry; a nil value is a tombstone. first and second are the
// key's first 16 bytes, or zeros where it ends: comparing them seldom leaves the
// tree's node, and the keys lie elsewhere in memory.
type item struct {
	first, second uint64
	key, value    []byte
	// fresh: below the layer there is no such key.
	fresh bool
}

const itemHead = 16

// at returns the item of a key.
func at(key []byte) item {
	if len(key) >= itemHead {
		return item{first: binary.BigEndian.Uint64(key), second: binary.BigEndian.Uint64(key[8:]), key: key}
	}
	var head [itemHead]byte
	copy(head[:], key)
	return item{first: binary.BigEndian.Uint64(head[:]), second: binary.BigEndian.Uint64(head[8:]), key: key}
}

var noBytes = []byte{}

func itemLess(a, b item) bool {
	switch {
	case a.first != b.first:
		return a.first < b.first
	case a.second != b.second:
		return a.second < b.second
	case len(a.key) < itemHead || len(b.key) < itemHead:
		return len(a.key) < len(b.key) // the longer one goes on with zeros
	}
	return bytes.Compare(a.key[itemHead:], b.key[itemHead:]) < 0
}

// span is a half-open interval that hides what lies below its layer.
type span struct{ start, end []byte }

// spanSet is sorted and disjoint, and never changed in place.
type spanSet []span

// find returns the span that holds key.
func (s spanSet) find(key []byte) (span, bool) {
	if len(s) == 0 {
		return span{}, false
	}
	i := sort.Search(len(s), func(i int) bool { return bytes.Compare(s[i].end, key) > 0 })
	if i < len(s) && bytes.Compare(s[i].start, key) <= 0 {
		return s[i], true
	}
	return span{}, false
}

// with returns a set that also covers n, merging what touches it.
func (s spanSet) with(n span) spanSet {
	out := make(spanSet, 0, len(s)+1)
	i := 0
	for ; i < len(s) && bytes.Compare(s[i].end, n.start) < 0; i++ {
		out = append(out, s[i])
	}
	for ; i < len(s) && bytes.Compare(s[i].start, n.end) <= 0; i++ {
		if bytes.Compare(s[i].start, n.start) < 0 {
			n.start = s[i].start
		}
		if bytes.Compare(s[i].end, n.end) > 0 {
			n.end = s[i].end
		}
	}
	return append(append(out, n), s[i:]...)
}

// layer is one tree of the overlay. bottom marks a layer with nothing below it,
// which needs neither tombstones nor spans.
type layer struct {
	tree   *btree.BTreeG[item]
	spans  spanSet
	bytes  int64
	bottom bool
}

func newLayer(bottom bool) *layer {
	return &layer{
		tree:   btree.NewBTreeGOptions(itemLess, btree.Options{NoLocks: true, Degree: 24}),
		bottom: bottom,
	}
}

// snapshot returns a layer that later changes of l do not reach.
func (l *layer) snapshot() *layer {
	c := *l
	c.tree = l.tree.Copy()
	return &c
}

func (l *layer) keys() int64 { return int64(l.tree.Len() + spanKeys*len(l.spans)) }

func (l *layer) empty() bool { return l.tree.Len() == 0 && len(l.spans) == 0 }

func (l *layer) apply(op *Op, hint *btree.PathHint) {
	switch {
	case op.End != nil:
		l.deleteRange(op.Key, op.End)
	case op.Delete && l.bottom:
		if old, ok := l.tree.DeleteHint(at(op.Key), hint); ok {
			l.bytes -= itemBytes(old)
		}
	case op.Delete:
		l.delete(op.Key, hint)
	case op.Value == nil:
		l.set(op.Key, noBytes, op.Fresh, hint)
	default:
		l.set(op.Key, op.Value, op.Fresh, hint)
	}
}

func itemBytes(it item) int64 { return int64(len(it.key) + len(it.value) + itemOverhead) }

// set puts a value, or a tombstone. Whether there is such a key below the layer is
// what the entry that was there first knows.
func (l *layer) set(key, value []byte, fresh bool, hint *btree.PathHint) {
	it := at(key)
	it.value, it.fresh = value, fresh
	old, replaced := l.tree.SetHint(it, hint)
	l.bytes += itemBytes(it)
	if !replaced {
		return
	}
	l.bytes -= itemBytes(old)
	if old.fresh != fresh {
		it.fresh = old.fresh
		l.tree.SetHint(it, hint)
	}
}

// delete leaves a tombstone where there may be such a key below the layer.
func (l *layer) delete(key []byte, hint *btree.PathHint) {
	it := at(key)
	if old, ok := l.tree.DeleteHint(it, hint); ok {
		l.bytes -= itemBytes(old)
		if old.fresh {
			return
		}
	}
	l.tree.SetHint(it, hint)
	l.bytes += itemBytes(it)
}

func (l *layer) deleteRange(start, end []byte) {
	if bytes.Compare(start, end) >= 0 {
		return
	}
	var doomed []item
	l.tree.Ascend(at(start), func(it item) bool {
		if bytes.Compare(it.key, end) >= 0 {
			return false
		}
		doomed = append(doomed, it)
		return true
	})
	for _, it := range doomed {
		l.tree.Delete(it)
		l.bytes -= itemBytes(it)
	}
	if !l.bottom {
		l.spans = l.spans.with(span{start, end})
		l.bytes += int64(len(start)+len(end)) + itemOverhead
	}
}

package txn

import (
	"bytes"
	"slices"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/tidwall/btree"
)

// version is one buffered write of a key.
type version struct {
	seq     api.Seq
	deleted bool
	value   []byte
}

// basis is the condition on the committed state that a key is written under, and
// the lock, taken up to lockSeq, that its first write was based on.
type basis struct {
	expect  api.Expect
	lock    api.LockStrength
	lockSeq api.Seq
}

// pending is a key's buffered writes, oldest first, and what they are based on.
type pending struct {
	key api.Key
	basis
	// index is the write's place in the batch that commits, for a condition that
	// is checked only there.
	index    int32
	versions []version
	first    [1]version
}

// visible returns the newest write at or below seq (zero: the newest).
func (p *pending) visible(seq api.Seq) (version, bool) {
	for i := len(p.versions) - 1; i >= 0; i-- {
		if seq == 0 || p.versions[i].seq <= seq {
			return p.versions[i], true
		}
	}
	return version{}, false
}

func (p *pending) last() version { return p.versions[len(p.versions)-1] }

// smallBuffer is up to which count a sorted slice is cheaper than a tree.
const smallBuffer = 32

// buffer is a transaction's unsent writes in key order.
type buffer struct {
	small []*pending
	few   [2]*pending
	tree  *btree.BTreeG[*pending]
	// size counts keys, values and a fixed overhead for each version.
	size     int
	versions int
}

const versionOverhead = 64

func comparePending(p *pending, k api.Key) int { return bytes.Compare(p.key, k) }

func newTree() *btree.BTreeG[*pending] {
	return btree.NewBTreeGOptions(func(a, b *pending) bool { return bytes.Compare(a.key, b.key) < 0 },
		btree.Options{NoLocks: true})
}

// len returns the number of keys.
func (b *buffer) len() int {
	if b.tree != nil {
		return b.tree.Len()
	}
	return len(b.small)
}

// get returns a key's writes, or nil.
func (b *buffer) get(k api.Key) *pending {
	if b.tree != nil {
		p, ok := b.tree.Get(&pending{key: k})
		if !ok {
			return nil
		}
		return p
	}
	if len(b.small) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(b.small, k, comparePending)
	if !ok {
		return nil
	}
	return b.small[i]
}

// put adds a write to a key, whose bytes and value the buffer keeps. It returns
// the key's entry and whether it is new.
func (b *buffer) put(k api.Key, v version) (p *pending, fresh bool) {
	b.size += len(v.value) + versionOverhead
	b.versions++
	if p := b.get(k); p != nil {
		p.versions = append(p.versions, v)
		return p, false
	}
	b.size += len(k)
	p = &pending{key: k, index: -1}
	p.first[0] = v
	p.versions = p.first[:1]
	b.insert(p)
	return p, true
}

func (b *buffer) insert(p *pending) {
	if b.tree != nil {
		b.tree.Set(p)
		return
	}
	n := len(b.small)
	if b.small == nil {
		b.small = b.few[:0]
	}
	if n > 0 && bytes.Compare(b.small[n-1].key, p.key) < 0 {
		b.small = append(b.small, p)
	} else {
		i, _ := slices.BinarySearchFunc(b.small, p.key, comparePending)
		b.small = slices.Insert(b.small, i, p)
	}
	if n+1 > smallBuffer {
		b.tree = newTree()
		for _, p := range b.small {
			b.tree.Load(p)
		}
		b.small = nil
	}
}

// ascend calls f for the entries of [start, end) in key order until it returns
// false; a nil end means no bound.
func (b *buffer) ascend(start, end api.Key, f func(*pending) bool) {
	below := func(p *pending) bool { return end == nil || bytes.Compare(p.key, end) < 0 }
	if b.tree != nil {
		b.tree.Ascend(&pending{key: start}, func(p *pending) bool { return below(p) && f(p) })
		return
	}
	i, _ := slices.BinarySearchFunc(b.small, start, comparePending)
	for ; i < len(b.small) && below(b.small[i]); i++ {
		if !f(b.small[i]) {
			return
		}
	}
}

// all returns every entry in key order.
func (b *buffer) all() []*pending {
	if b.tree == nil {
		return b.small
	}
	list := make([]*pending, 0, b.tree.Len())
	b.tree.Scan(func(p *pending) bool { list = append(list, p); return true })
	return list
}

// rollback forgets the writes above seq.
func (b *buffer) rollback(seq api.Seq) {
	keep := slices.Clone(b.all()) // small may lie in b itself
	*b = buffer{}
	for _, p := range keep {
		n := len(p.versions)
		for n > 0 && p.versions[n-1].seq > seq {
			n--
		}
		if n == 0 {
			continue
		}
		p.versions = p.versions[:n]
		b.size += len(p.key)
		for _, v := range p.versions {
			b.size += len(v.value) + versionOverhead
		}
		b.versions += n
		b.insert(p)
	}
}

// arena copies bytes into chunks that are never written again.
type arena struct {
	chunk  []byte
	grow   int
	inline [96]byte
}

const maxChunk = 32 << 10

func (a *arena) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	if len(b) > cap(a.chunk)-len(a.chunk) {
		if a.chunk == nil && len(b) <= len(a.inline) {
			a.chunk = a.inline[:0]
		} else {
			a.grow = min(max(2*a.grow, 256), maxChunk)
			a.chunk = make([]byte, 0, max(a.grow, len(b)))
		}
	}
	n := len(a.chunk)
	a.chunk = append(a.chunk, b...)
	return a.chunk[n:len(a.chunk):len(a.chunk)]
}

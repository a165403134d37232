package engine

import (
	"bytes"
	"sync"

	"github.com/tidwall/btree"
)

// picture is what a reader sees: newest layer first. frozen and base may be nil.
type picture struct {
	active, frozen *layer
	base           *base
}

// probes holds tree iterators, which are large and point at themselves.
var probes = sync.Pool{New: func() any { return new(btree.IterG[item]) }}

// seekLayer returns the first entry, tombstones included, at or above lower.
func seekLayer(l *layer, lower []byte) (item, bool) {
	if l == nil || l.tree.Len() == 0 {
		return item{}, false
	}
	it := probes.Get().(*btree.IterG[item])
	it.Init(l.tree, false)
	ok := it.Seek(at(lower))
	var got item
	if ok {
		got = it.Item()
	}
	it.Release()
	probes.Put(it)
	return got, ok
}

// maxDead is how many tombstones one turn of a seek passes over: as a rule there
// is at most one, of a row's intent.
const maxDead = 4

// deadKeys are the tombstones that a seek has passed over, in key order.
type deadKeys struct {
	keys [maxDead][]byte
	n    int
	full bool // and it stopped at the last one
}

func (d *deadKeys) more() bool { return d.full }

func (d *deadKeys) last() []byte { return d.keys[d.n-1] }

func (d *deadKeys) has(key []byte) bool {
	for _, k := range d.keys[:d.n] {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// seekLive returns the first entry in [lower, upper) that is no tombstone, and
// which tombstones lie before it. It gives up when there are too many.
func seekLive(l *layer, lower, upper []byte, dead *deadKeys) (item, bool) {
	if l.tree.Len() == 0 {
		return item{}, false
	}
	it := probes.Get().(*btree.IterG[item])
	it.Init(l.tree, false)
	var got item
	ok := it.Seek(at(lower))
	for ok {
		if got = it.Item(); !inSpan(got.key, upper) {
			got, ok = item{}, false
			break
		}
		if got.value != nil {
			break
		}
		dead.keys[dead.n] = got.key
		got = item{}
		if dead.n++; dead.n == maxDead {
			dead.full, ok = true, false
			break
		}
		ok = it.Next()
	}
	it.Release()
	probes.Put(it)
	return got, ok
}

// inSpan reports whether key lies below upper; nil means no bound.
func inSpan(key, upper []byte) bool { return upper == nil || bytes.Compare(key, upper) < 0 }

// getBelow looks key up in the frozen tree and the file, where the active layer
// has no entry for it. mapped tells that value lies in the file's mapping.
func (p *picture) getBelow(key []byte) (value []byte, mapped, ok bool) {
	if _, hidden := p.active.spans.find(key); hidden {
		return nil, false, false
	}
	if p.frozen != nil {
		if it, found := p.frozen.tree.Get(at(key)); found {
			return it.value, false, it.value != nil
		}
		if _, hidden := p.frozen.spans.find(key); hidden {
			return nil, false, false
		}
	}
	if p.base == nil {
		return nil, false, false
	}
	value, ok = p.base.get(key)
	return value, true, ok
}

// seekBelow returns the first live entry in [lower, upper) of the frozen tree and
// the file, as the active layer's spans let them be seen.
func (p *picture) seekBelow(lower, upper []byte) (k, v []byte, mapped, ok bool) {
	bk, bv, bok := p.seekBase(lower, upper)
	for {
		f, fok := seekVisible(p.frozen, lower, p.active.spans)
		fok = fok && inSpan(f.key, upper)
		if !fok {
			return bk, bv, true, bok
		}
		if bok && bytes.Compare(bk, f.key) < 0 {
			return bk, bv, true, true
		}
		if f.value != nil {
			return f.key, f.value, false, true
		}
		lower = after(f.key)
		if bok && bytes.Equal(bk, f.key) { // hidden by the tombstone
			bk, bv, bok = p.seekBase(lower, upper)
		}
	}
}

// newestBelow is seekBelow for Reader.Newest: the file needs no look if the frozen
// tree has an entry.
func (p *picture) newestBelow(lower, upper []byte) (k, v []byte, mapped, ok bool) {
	if f, ok := seekVisible(p.frozen, lower, p.active.spans); ok && f.value != nil && inSpan(f.key, upper) {
		return f.key, f.value, false, true
	}
	return p.seekBelow(lower, upper)
}

// seekVisible is seekLayer, skipping what above hides.
func seekVisible(l *layer, lower []byte, above spanSet) (item, bool) {
	it, ok := seekLayer(l, lower)
	for ok {
		s, hidden := above.find(it.key)
		if !hidden {
			break
		}
		it, ok = seekLayer(l, s.end)
	}
	return it, ok
}

// seekBase returns the first entry of the file that no layer's span hides.
func (p *picture) seekBase(lower, upper []byte) (k, v []byte, ok bool) {
	if p.base == nil {
		return nil, nil, false
	}
	c := p.base.cursor()
	k, v = c.Seek(lower)
	for k != nil {
		s, hidden := p.active.spans.find(k)
		if !hidden && p.frozen != nil {
			s, hidden = p.frozen.spans.find(k)
		}
		if !hidden {
			break
		}
		k, v = c.Seek(s.end)
	}
	p.base.release(c)
	if k == nil || !inSpan(k, upper) {
		return nil, nil, false
	}
	return k, v, true
}

func after(k []byte) []byte { return append(append(make([]byte, 0, len(k)+1), k...), 0) }

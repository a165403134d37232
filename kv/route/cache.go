package route

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// entry is a cached range. The descriptor never changes; the holder is a hint.
type entry struct {
	desc   api.RangeDescriptor
	holder atomic.Int32
}

func newEntry(d api.RangeDescriptor) *entry {
	return &entry{desc: api.RangeDescriptor{
		RangeID: d.RangeID, Start: bytes.Clone(d.Start), End: bytes.Clone(d.End),
		Replicas: slices.Clone(d.Replicas), NextReplica: d.NextReplica, Generation: d.Generation,
	}}
}

func (e *entry) leaseholder() ids.NodeID     { return ids.NodeID(e.holder.Load()) }
func (e *entry) setLeaseholder(n ids.NodeID) { e.holder.Store(int32(n)) }

// contains reports whether a request's span lies in the range.
func (e *entry) contains(r *api.Request) bool {
	if !e.desc.Contains(r.Key) {
		return false
	}
	return r.End == nil || bytes.Compare(r.End, e.desc.End) <= 0
}

// rangeCache holds disjoint entries ordered by end key. Readers take no lock:
// changes publish a new slice.
type rangeCache struct {
	sorted atomic.Pointer[[]*entry]
	// mu serializes changes.
	mu sync.Mutex
}

func (c *rangeCache) list() []*entry {
	if p := c.sorted.Load(); p != nil {
		return *p
	}
	return nil
}

// at returns the entry whose range holds key.
func (c *rangeCache) at(key api.Key) *entry {
	list := c.list()
	lo, hi := 0, len(list)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); bytes.Compare(list[m].desc.End, key) > 0 {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo == len(list) || !list[lo].desc.Contains(key) {
		return nil
	}
	return list[lo]
}

// insert adds descriptors; each replaces what it overlaps unless that is newer.
func (c *rangeCache) insert(descs ...api.RangeDescriptor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.list())
	for _, d := range descs {
		list = insertOne(list, d)
	}
	c.sorted.Store(&list)
}

func insertOne(list []*entry, d api.RangeDescriptor) []*entry {
	if bytes.Compare(d.Start, d.End) >= 0 {
		return list
	}
	from, _ := slices.BinarySearchFunc(list, d.Start, func(e *entry, k api.Key) int {
		if bytes.Compare(e.desc.End, k) > 0 {
			return 1
		}
		return -1
	})
	to := from
	e := newEntry(d)
	for ; to < len(list) && bytes.Compare(list[to].desc.Start, d.End) < 0; to++ {
		old := list[to]
		if old.desc.RangeID == d.RangeID {
			if old.desc.Generation > d.Generation {
				return list
			}
			e.setLeaseholder(old.leaseholder())
		} else if old.desc.Generation > d.Generation {
			return list
		} else if e.leaseholder() == 0 {
			// A split's child starts where its parent was.
			e.setLeaseholder(old.leaseholder())
		}
	}
	return slices.Replace(list, from, to, e)
}

// evict drops e if it is still cached.
func (c *rangeCache) evict(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list()
	i := slices.Index(list, e)
	if i < 0 {
		return
	}
	next := slices.Delete(slices.Clone(list), i, i+1)
	c.sorted.Store(&next)
}

// isMeta reports whether key is in the meta range, whose descriptor is not in
// the meta range.
func isMeta(key api.Key) bool { return bytes.Compare(key, keys.MetaEnd) < 0 }

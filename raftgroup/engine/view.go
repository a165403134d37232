package engine

import (
	"bytes"
	"sync/atomic"
)

// view is an immutable picture, shared by all who asked for it before the next
// write; each has to close it once.
type view struct {
	pic  picture
	seq  Seq
	refs atomic.Int64
}

func (v *view) Seq() Seq { return v.seq }

// tryRef takes a reference unless the last one is gone.
func (v *view) tryRef() bool {
	for {
		n := v.refs.Load()
		if n <= 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (v *view) Close() {
	switch n := v.refs.Add(-1); {
	case n == 0:
		v.pic.base.unref()
	case n < 0:
		panic("engine: view closed twice")
	}
}

// Get implements Reader.
func (v *view) Get(key []byte) ([]byte, bool) {
	if it, ok := v.pic.active.tree.Get(at(key)); ok {
		return it.value, it.value != nil
	}
	value, _, ok := v.pic.getBelow(key)
	return value, ok
}

// Newest implements Reader.
func (v *view) Newest(lower, upper []byte) (key, value []byte, ok bool) {
	return v.SeekGE(lower, upper)
}

// SeekGE implements Reader.
func (v *view) SeekGE(lower, upper []byte) (key, value []byte, ok bool) {
	for {
		a, aok := seekLayer(v.pic.active, lower)
		k, val, _, ok := v.pic.seekBelow(lower, upper)
		if !aok || !inSpan(a.key, upper) {
			return k, val, ok
		}
		if ok && bytes.Compare(k, a.key) < 0 {
			return k, val, true
		}
		if a.value != nil {
			return a.key, a.value, true
		}
		lower = after(a.key)
	}
}

package vec

import "math/bits"

// IntTable maps integers to numbers above zero: rows of hash joins and groups of
// aggregations. It is open addressing with linear probing (Knuth, volume 3, 6.4,
// algorithm L) and Fibonacci hashing; nothing is ever deleted. The zero value is
// ready.
type IntTable struct {
	slots []intSlot
	shift uint
	n     int
}

type intSlot struct {
	key int64
	val int32 // 0: free
}

func (t *IntTable) home(key int64) uint64 {
	return uint64(key) * 0x9e3779b97f4a7c15 >> t.shift
}

// Get returns the number of a key, 0 if it has none.
func (t *IntTable) Get(key int64) int32 {
	if len(t.slots) == 0 {
		return 0
	}
	mask := uint64(len(t.slots) - 1)
	for i := t.home(key); ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.val == 0 || s.key == key {
			return s.val
		}
	}
}

// At returns where the number of a key is kept, for reading and writing; what it
// points to must be above zero before the next call.
func (t *IntTable) At(key int64) *int32 {
	if 2*t.n >= len(t.slots) {
		t.grow()
	}
	mask := uint64(len(t.slots) - 1)
	for i := t.home(key); ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.val == 0 {
			s.key = key
			t.n++
			return &s.val
		}
		if s.key == key {
			return &s.val
		}
	}
}

func (t *IntTable) grow() {
	old := t.slots
	size := max(64, 4*t.n)
	size = 1 << bits.Len(uint(size-1))
	t.slots = make([]intSlot, size)
	t.shift = uint(64 - bits.TrailingZeros(uint(size)))
	mask := uint64(size - 1)
	for _, s := range old {
		if s.val == 0 {
			continue
		}
		i := t.home(s.key)
		for t.slots[i].val != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

// Keys returns the keys, in no order.
func (t *IntTable) Keys() []int64 {
	out := make([]int64, 0, t.n)
	for i := range t.slots {
		if s := &t.slots[i]; s.val != 0 {
			out = append(out, s.key)
		}
	}
	return out
}

// Len returns the number of keys.
func (t *IntTable) Len() int { return t.n }

// MemBytes returns the memory that the table takes.
func (t *IntTable) MemBytes() int { return len(t.slots) * 16 }

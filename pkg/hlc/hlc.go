package hlc

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Timestamp is a hybrid logical time: wall nanoseconds since the Unix epoch and
// a logical counter that orders events within one nanosecond.
type Timestamp struct {
	WallNanos int64
	Logical   int32
}

// MaxTimestamp is above every timestamp in use.
var MaxTimestamp = Timestamp{WallNanos: 1<<63 - 1, Logical: 1<<31 - 1}

// EncodedLen is the length of an encoded timestamp in bytes.
const EncodedLen = 12

// Compare returns -1, 0 or +1.
func (t Timestamp) Compare(o Timestamp) int {
	if c := cmp.Compare(t.WallNanos, o.WallNanos); c != 0 {
		return c
	}
	return cmp.Compare(t.Logical, o.Logical)
}

// Less reports t < o.
func (t Timestamp) Less(o Timestamp) bool {
	return t.WallNanos < o.WallNanos || (t.WallNanos == o.WallNanos && t.Logical < o.Logical)
}

// LessEq reports t <= o.
func (t Timestamp) LessEq(o Timestamp) bool { return !o.Less(t) }

// IsZero reports whether t is the zero timestamp.
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Next returns the smallest timestamp above t.
func (t Timestamp) Next() Timestamp {
	if t.Logical == 1<<31-1 {
		return Timestamp{WallNanos: t.WallNanos + 1}
	}
	return Timestamp{WallNanos: t.WallNanos, Logical: t.Logical + 1}
}

// Prev returns the largest timestamp below t; the zero timestamp has none.
func (t Timestamp) Prev() Timestamp {
	switch {
	case t.Logical > 0:
		return Timestamp{WallNanos: t.WallNanos, Logical: t.Logical - 1}
	case t.WallNanos > 0:
		return Timestamp{WallNanos: t.WallNanos - 1, Logical: 1<<31 - 1}
	}
	panic("hlc: no timestamp below zero")
}

// Add returns t moved by d of wall time, keeping the logical part.
func (t Timestamp) Add(d time.Duration) Timestamp {
	return Timestamp{WallNanos: t.WallNanos + int64(d), Logical: t.Logical}
}

// Forward returns the greater of t and o.
func (t Timestamp) Forward(o Timestamp) Timestamp {
	if t.Less(o) {
		return o
	}
	return t
}

// Time returns the wall part as a time in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, t.WallNanos).UTC() }

// String prints "seconds.nanoseconds,logical".
func (t Timestamp) String() string {
	return fmt.Sprintf("%d.%09d,%d", t.WallNanos/1e9, t.WallNanos%1e9, t.Logical)
}

// Parse reads what String prints.
func Parse(s string) (Timestamp, error) {
	wall, logical, _ := strings.Cut(s, ",")
	sec, nano, _ := strings.Cut(wall, ".")
	ws, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return Timestamp{}, fmt.Errorf("timestamp %q: %w", s, err)
	}
	var wn, l int64
	if nano != "" {
		if wn, err = strconv.ParseInt((nano + "000000000")[:9], 10, 64); err != nil {
			return Timestamp{}, fmt.Errorf("timestamp %q: %w", s, err)
		}
	}
	if logical != "" {
		if l, err = strconv.ParseInt(logical, 10, 32); err != nil {
			return Timestamp{}, fmt.Errorf("timestamp %q: %w", s, err)
		}
	}
	return Timestamp{WallNanos: ws*1e9 + wn, Logical: int32(l)}, nil
}

// AppendAsc appends the 12-byte encoding whose byte order is time order.
func (t Timestamp) AppendAsc(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.WallNanos))
	return binary.BigEndian.AppendUint32(b, uint32(t.Logical))
}

// AppendDesc appends the 12-byte encoding in which later times sort first.
func (t Timestamp) AppendDesc(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, ^uint64(t.WallNanos))
	return binary.BigEndian.AppendUint32(b, ^uint32(t.Logical))
}

// DecodeAsc reads what AppendAsc wrote; b must hold EncodedLen bytes.
func DecodeAsc(b []byte) Timestamp {
	return Timestamp{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
}

// DecodeDesc reads what AppendDesc wrote; b must hold EncodedLen bytes.
func DecodeDesc(b []byte) Timestamp {
	return Timestamp{int64(^binary.BigEndian.Uint64(b)), int32(^binary.BigEndian.Uint32(b[8:]))}
}

// Clock is a hybrid logical clock. Its methods are safe for concurrent use.
type Clock struct {
	physical  func() int64
	maxOffset time.Duration

	mu   sync.Mutex
	last Timestamp
}

// NewClock returns a clock over a physical source of Unix nanoseconds (nil for
// the system clock). maxOffset is the largest difference between two nodes'
// physical clocks that the cluster is built for.
func NewClock(physical func() int64, maxOffset time.Duration) *Clock {
	if physical == nil {
		physical = func() int64 { return time.Now().UnixNano() }
	}
	return &Clock{physical: physical, maxOffset: maxOffset}
}

// MaxOffset returns the clock offset that the cluster tolerates.
func (c *Clock) MaxOffset() time.Duration { return c.maxOffset }

// PhysicalNanos returns the physical source's reading.
func (c *Clock) PhysicalNanos() int64 { return c.physical() }

// Now returns a timestamp above every one returned or passed to Update before.
func (c *Clock) Now() Timestamp {
	p := c.physical()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.WallNanos < p {
		c.last = Timestamp{WallNanos: p}
	} else {
		c.last = c.last.Next()
	}
	return c.last
}

// Forward moves the clock up to t, however far ahead: a bound that this node
// stored itself.
func (c *Clock) Forward(t Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.last.Forward(t)
}

// Update moves the clock up to t, a timestamp received from another node. It
// returns an error, and changes nothing, when t is further ahead of the
// physical clock than a correct peer could be.
func (c *Clock) Update(t Timestamp) error {
	p := c.physical()
	if c.maxOffset > 0 && t.WallNanos-p > int64(2*c.maxOffset) {
		return fmt.Errorf("remote clock is %s ahead, beyond the maximum offset of %s",
			time.Duration(t.WallNanos-p), c.maxOffset)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.last.Forward(t)
	return nil
}

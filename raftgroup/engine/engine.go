package engine

import (
	"context"
)

// Seq numbers the batches that an engine has taken, from 1.
type Seq uint64

// Engine is ordered bytes. Its methods are safe for concurrent use.
type Engine interface {
	Reader
	// View returns a consistent, immutable picture of the engine. It must be
	// closed. Opening one is cheap: views of one overlay version share it.
	View() View
	// Write applies a batch to the overlay and returns its number. It never
	// blocks on the disk.
	Write(b *Batch) Seq
	// Flush makes everything written before the call durable.
	Flush(ctx context.Context) error
	// FlushedSeq returns the highest number that is durable. A memory engine
	// answers what was written last.
	FlushedSeq() Seq
	// WaitFlushed waits until seq is durable, asking for a flush if need be.
	WaitFlushed(ctx context.Context, seq Seq) error
	// WaitRoom waits while the overlay is past its bound. Proposers call it
	// before they replicate a command, since applying must not block.
	WaitRoom(ctx context.Context) error
	// DurableView is a picture of what is on disk: what a restart would find. A
	// memory engine answers its newest state.
	DurableView() View
	// Stats describes sizes and flushes.
	Stats() Stats
	// Close flushes and releases the file.
	Close() error
}

// Reader reads single keys. On an Engine it reads the newest state without
// taking a picture of it: the caller's latches keep what it reads still.
type Reader interface {
	// Get returns the value of key. The bytes must not be changed and stay
	// valid until the Reader is closed (an Engine's: for good).
	Get(key []byte) (value []byte, ok bool)
	// SeekGE returns the first entry in [lower, upper).
	SeekGE(lower, upper []byte) (key, value []byte, ok bool)
	// Newest is SeekGE for a span in which every key lay below all of those that
	// were there, when it was written: the versions of a row. What was written
	// last comes first, so that older layers need no look.
	Newest(lower, upper []byte) (key, value []byte, ok bool)
}

// View is a consistent picture of an engine.
type View interface {
	Reader
	// Iter returns an iterator over [lower, upper); nil upper means no bound.
	// It must be closed before the view.
	Iter(lower, upper []byte) Iterator
	// Seq is the number of the last batch in the picture.
	Seq() Seq
	Close()
}

// Iterator walks a span in either direction. It starts unpositioned. Key and
// Value stay valid until the next positioning call.
type Iterator interface {
	First() bool
	Last() bool
	SeekGE(key []byte) bool
	// SeekLT positions at the last entry below key.
	SeekLT(key []byte) bool
	Next() bool
	Prev() bool
	Valid() bool
	Key() []byte
	Value() []byte
	Close()
}

// Stats describes an engine; sizes are in bytes.
type Stats struct {
	OverlayBytes, OverlayKeys, FileBytes int64
	WrittenSeq, FlushedSeq               Seq
	Flushes, FlushedKeys                 int64
	FlushNanos                           int64
}

// Op is one change of a batch: a put, or a deletion if Delete is set. A range
// deletion has End set. Fresh says that a put's key is not there.
type Op struct {
	Key, Value, End []byte
	Delete, Fresh   bool
}

// Batch is an ordered list of changes; the last one to a key wins. It keeps
// references to the slices that it is given.
type Batch struct {
	ops   []Op
	bytes int
}

// Put sets key to value.
func (b *Batch) Put(key, value []byte) {
	b.ops = append(b.ops, Op{Key: key, Value: value})
	b.bytes += len(key) + len(value)
}

// PutFresh is Put for a key that is not there. If it is deleted again before it
// is flushed, nothing of it reaches the file.
func (b *Batch) PutFresh(key, value []byte) {
	b.ops = append(b.ops, Op{Key: key, Value: value, Fresh: true})
	b.bytes += len(key) + len(value)
}

// Delete removes key.
func (b *Batch) Delete(key []byte) {
	b.ops = append(b.ops, Op{Key: key, Delete: true})
	b.bytes += len(key)
}

// DeleteRange removes every key in [start, end).
func (b *Batch) DeleteRange(start, end []byte) {
	b.ops = append(b.ops, Op{Key: start, End: end, Delete: true})
	b.bytes += len(start) + len(end)
}

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns the size of keys and values.
func (b *Batch) Bytes() int { return b.bytes }

// Ops returns the changes in order.
func (b *Batch) Ops() []Op { return b.ops }

// Reset empties b for reuse.
func (b *Batch) Reset() { b.ops, b.bytes = b.ops[:0], 0 }

package logstore

import (
	"errors"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
)

// ErrNotFound is what a missing stable key answers; Raft compares its text.
var ErrNotFound = errors.New("not found")

// Store is one group's log and stable values.
type Store interface {
	raft.LogStore
	raft.MonotonicLogStore
	raft.StableStore
	SetHooks(Hooks)
	// Durable returns the last entry that a crash would leave, and a number above
	// all if that is the last there is. WaitDurable returns once an entry is among
	// these. They matter to who lets appends return ahead of their write.
	Durable() uint64
	WaitDurable(index uint64) error
	// Wipe deletes all entries, and keeps the stable values.
	Wipe() error
	// Bytes approximates the size of the entries held.
	Bytes() int64
	Close() error
}

// Hooks is what a log asks its owner.
type Hooks struct {
	// Appending is called with entries just before they are written.
	Appending func([]*raft.Log)
	// Keep tells the lowest index that truncating the head must leave.
	Keep func() uint64
	// Ahead tells whether the entries that are being appended may be written after
	// the append has returned; no by default.
	Ahead func() bool
}

// Dir opens the stores of a node.
type Dir interface {
	Open(r ids.RangeID) (Store, error)
	// Remove deletes a store for good; it must be closed.
	Remove(r ids.RangeID) error
	// Later reports whether entries that were given to a store now would wait for
	// a write that is under way. Then f is called when it ends, and must not
	// block. It says whether it brings entries about, for which the next write
	// waits a moment. So a caller can go on gathering entries, instead of queueing
	// up too early.
	Later(f func() bool) bool
	// Close is called once all stores are closed.
	Close() error
}

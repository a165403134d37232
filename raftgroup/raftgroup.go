package raftgroup

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Errors of proposing. Everything else that Propose reports is ambiguous.
var (
	// ErrNotLeader is definite: the command was not and will not be applied.
	ErrNotLeader = errors.New("raftgroup: not the leader")
	// ErrDropped is definite: the command was overtaken and can never apply.
	ErrDropped = errors.New("raftgroup: command was dropped")
	// ErrClosed is ambiguous: the group was closed while the command was under
	// way.
	ErrClosed = errors.New("raftgroup: group closed")
	// ErrNotFound reports a range without a group here.
	ErrNotFound = errors.New("raftgroup: no such group")
)

// Member is one replica of a group.
type Member struct {
	Node    ids.NodeID
	Replica ids.ReplicaID
	// Learner replicas receive the log and do not vote.
	Learner bool
}

// EntryKind tells commands from configurations.
type EntryKind uint8

// The kinds of entries that a state machine sees.
const (
	EntryCommand EntryKind = iota
	EntryConfig
)

// Entry is one committed command, or a configuration (Members set). Several
// entries may share one (Index, Term): the proposer packs commands.
type Entry struct {
	Index, Term uint64
	Kind        EntryKind
	Data        []byte
	Members     []Member
}

// StateMachine is what a group replicates; kv/store implements it.
//
// ApplyBatch appends the effects of entries to b and returns a result for each.
// It must be deterministic: no clock, no randomness, no map order. The group
// adds its own applied index, term and configuration to the same batch, writes
// it to the engine, and then calls Applied, where side effects belong.
type StateMachine interface {
	ApplyBatch(b *engine.Batch, entries []Entry) [][]byte
	// Applied is called after the batch is visible, before proposers hear of
	// it. It must not block.
	Applied(entries []Entry, results [][]byte)
	// Snapshot writes the replica's whole state as of the view.
	Snapshot(v engine.View, dst io.Writer) error
	// Restore fills the fresh space with what Snapshot wrote, in bounded
	// batches, and returns a function that appends the swap (the change of the
	// replica record, the deletion of range-id state, and what the new bounds
	// no longer cover) to the final batch. Nothing is visible before that.
	Restore(space keys.SpaceID, src io.Reader) (swap func(b *engine.Batch) error, err error)
	// LeaderChanged is called when this replica gains or loses leadership, and
	// when it hears of another leader. It must not block.
	LeaderChanged(isLeader bool, leader ids.NodeID, term uint64)
}

// Host owns the one map from range id to group on a node.
type Host interface {
	// Open opens the group of a range whose state (seed or earlier life) is in
	// the engine. An unknown range gets an empty group that waits for a
	// snapshot; self is this node's replica.
	Open(r ids.RangeID, self Member, sm StateMachine) (Group, error)
	// Seed adds to b the initial state of a group that starts from data already
	// in the engine (bootstrap, or the child of a split): index 10, term 5,
	// members. It never overwrites an existing vote or log. The group may be
	// opened once the batch is flushed.
	Seed(b *engine.Batch, r ids.RangeID, members []Member) error
	Lookup(r ids.RangeID) (Group, bool)
	// Remove closes a group, deletes its log and vote and everything under its
	// range-id keys, and leaves a tombstone with the replica id.
	Remove(r ids.RangeID, self ids.ReplicaID) error
	// Groups calls f for each group until it returns false.
	Groups(f func(Group) bool)
	Close() error
}

// Group is one range's Raft group on this node.
type Group interface {
	RangeID() ids.RangeID
	// Propose replicates cmd (at most MaxCommandBytes). done is called exactly
	// once, from the apply goroutine: with the state machine's result once the
	// command has been applied here, with ErrNotLeader or ErrDropped once it can
	// never be, or with ErrClosed. It is never called early: latches may be
	// released in it. A command is handed to Raft at most once.
	Propose(cmd []byte, done func(result []byte, err error))
	// ReadBarrier returns when everything committed before the call is applied
	// here; it commits an empty entry.
	ReadBarrier(ctx context.Context) error
	// ChangeMember adds, promotes or removes one replica; leader only.
	ChangeMember(ctx context.Context, c Change) error
	// TransferLeadership asks a member's node to take over.
	TransferLeadership(ctx context.Context, to ids.NodeID) error
	// Campaign makes this replica stand for election at once.
	Campaign() error
	StateMachine() StateMachine
	Status() Status
	// IsLeader and Leader answer from memory.
	IsLeader() bool
	Leader() (node ids.NodeID, term uint64)
}

// MaxCommandBytes is the largest command that Propose takes.
const MaxCommandBytes = 64 << 20

// ChangeKind says what a membership change does.
type ChangeKind uint8

// Membership changes; one at a time per group.
const (
	AddLearner ChangeKind = iota
	Promote
	Remove
)

// Change is one membership change. PrevIndex is the configuration's index that
// it was decided on; a group that has moved on refuses.
type Change struct {
	Kind      ChangeKind
	Member    Member
	PrevIndex uint64
}

// Progress is what a leader knows of one member.
type Progress struct {
	Member      Member
	Match       uint64
	LastContact time.Time
}

// Status describes a group for people and for the lifecycle's decisions.
type Status struct {
	Range                                   ids.RangeID
	Self                                    Member
	Leader                                  ids.NodeID
	IsLeader                                bool
	Term, LastIndex, Commit, Applied        uint64
	FirstIndex, FlushedApplied, ConfigIndex uint64
	Members                                 []Member
	Progress                                []Progress // leader only
	LogBytes                                int64
	LastContact                             time.Time
}

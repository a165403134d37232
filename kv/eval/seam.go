package eval

import (
	"context"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Range is the leaseholder as evaluation sees it; kv/store implements it (and
// kv/kvtest, without Raft).
type Range interface {
	RangeID() ids.RangeID
	// Desc returns the current descriptor; it must not be changed.
	Desc() *api.RangeDescriptor
	Node() ids.NodeID
	Clock() *hlc.Clock
	// Engine and Space say where the range's data is. The space is read once a
	// batch is sequenced: it changes only while no lease is held here.
	Engine() engine.Engine
	Space() keys.SpaceID
	// CheckLease fails with a redirect unless this replica may serve requests up
	// to timestamp ts now. It returns the lease, whose Start bounds what records
	// and observed timestamps may be trusted.
	CheckLease(ts hlc.Timestamp) (api.Lease, error)
	GCThreshold() hlc.Timestamp
	// Propose replicates effects under the lease and calls done exactly once: nil
	// when they are applied here, a redirect or *api.UnavailableError when they
	// never will be, *api.AmbiguousError when nobody can know. Latches are
	// released in done.
	Propose(lease api.Lease, e *Effects, done func(error))
	// WaitRoom waits while the store or the group is overloaded.
	WaitRoom(ctx context.Context) error
	// Sender reaches other ranges, for pushes and intent resolution.
	Sender() api.Sender
	// Evaluator runs scan programs.
	Evaluator() api.Evaluator
}

// Effects is what a command does to the replicated state: engine operations
// whose keys lack the space header's space id, since that differs from replica
// to replica. Op keys are made by mvcc and start with the kind byte of the
// space's parts (local or data).
type Effects struct {
	Ops []EffectOp
	// BytesDelta and KeysDelta keep the range's size.
	BytesDelta, KeysDelta int64
	// GCThreshold raises the range's threshold when set.
	GCThreshold hlc.Timestamp
}

// EffectOp is one put or deletion. A set End deletes [Key, End).
type EffectOp = mvcc.Op

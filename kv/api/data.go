package api

import (
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Isolation is a transaction's isolation level.
type Isolation uint8

// Isolation levels. RepeatableRead is snapshot isolation; ReadCommitted takes a
// snapshot for each statement.
const (
	Serializable Isolation = iota
	RepeatableRead
	ReadCommitted
)

func (i Isolation) String() string {
	return [...]string{"serializable", "repeatable read", "read committed"}[i]
}

// TxnStatus is the state of a transaction record.
type TxnStatus uint8

// States of a record. Staging means: committed as soon as every in-flight write
// is there (parallel commit; Taft et al., "CockroachDB", SIGMOD 2020).
const (
	Pending TxnStatus = iota
	Staging
	Committed
	Aborted
)

func (s TxnStatus) String() string {
	return [...]string{"pending", "staging", "committed", "aborted"}[s]
}

// TxnMeta identifies a transaction and its timestamps; it travels with every
// request and is what an intent stores of its writer.
type TxnMeta struct {
	ID ids.TxnID
	// Anchor is the key that the record is stored at: the first key locked.
	Anchor Key
	// Epoch counts restarts that keep the id.
	Epoch int32
	// ReadTS is the snapshot; WriteTS the provisional commit timestamp.
	ReadTS, WriteTS hlc.Timestamp
	// UncertaintyLimit bounds the interval above ReadTS in which a value may
	// have been written before the transaction began.
	UncertaintyLimit hlc.Timestamp
	// Observed is this node's clock at first contact (zero: none).
	Observed hlc.Timestamp
	// StartTS is the first ReadTS: age, for deadlock victims.
	StartTS   hlc.Timestamp
	Isolation Isolation
	Gateway   ids.NodeID
}

// TxnRecord is the one place where a transaction's fate is decided.
type TxnRecord struct {
	TxnMeta
	Status        TxnStatus
	LastHeartbeat hlc.Timestamp
	Locks         []Span
	InFlight      []InFlightWrite
	Ignored       []SeqInterval
}

// ReplicaType tells voters from learners.
type ReplicaType uint8

// Replica types.
const (
	Voter ReplicaType = iota
	Learner
)

// ReplicaDescriptor is one replica of a range.
type ReplicaDescriptor struct {
	Node    ids.NodeID
	Replica ids.ReplicaID
	Type    ReplicaType
}

// RangeDescriptor is a range's bounds and members. The range's own replicated
// copy is the truth; the meta range's follows it, ordered by Generation, and a
// reader of a stale one is corrected by a RangeMismatchError.
type RangeDescriptor struct {
	RangeID     ids.RangeID
	Start, End  Key
	Replicas    []ReplicaDescriptor
	NextReplica ids.ReplicaID
	// Generation grows with every split, merge and membership change.
	Generation uint64
}

// Contains reports whether key lies in the range.
func (d *RangeDescriptor) Contains(key Key) bool {
	return string(d.Start) <= string(key) && string(key) < string(d.End)
}

// Replica returns the replica on a node.
func (d *RangeDescriptor) Replica(n ids.NodeID) (ReplicaDescriptor, bool) {
	for _, r := range d.Replicas {
		if r.Node == n {
			return r, true
		}
	}
	return ReplicaDescriptor{}, false
}

// Lease is the replicated right to serve a range (KV.md, 12).
type Lease struct {
	// Seq grows with every change of holder and every new start.
	Seq    uint64
	Holder ReplicaDescriptor
	Start  hlc.Timestamp
	// Expiration ends an expiration lease; zero for an epoch lease, which lasts
	// while the holder's liveness record has Epoch and has not expired, and for
	// the lease of a range with one voter, which never ends (Epoch 0).
	Expiration hlc.Timestamp
	Epoch      int64
}

// Liveness is a node's record in the system span.
type Liveness struct {
	Node       ids.NodeID
	Epoch      int64
	Expiration hlc.Timestamp
	Draining   bool
	// Decommissioning nodes get no new replicas and lose theirs.
	Decommissioning bool
	// Replicas and Leases say how much the node has, as of its last renewal.
	Replicas, Leases int64
}

// NodeLoad is how busy a node is. It is written together with the node's liveness
// record, but is one of its own: programs that do not know it yet read the other.
type NodeLoad struct {
	Node ids.NodeID
	// CPUPermille is which part of its processors the node's process uses.
	CPUPermille int64
}

// NodeDescriptor is a node's entry in the registry.
type NodeDescriptor struct {
	Node                       ids.NodeID
	RPCAddr, SQLAddr, HTTPAddr string
	Locality                   string
	StartedNanos               int64
	Version                    string
}

// RangeInfo describes a range to people and to the lifecycle.
type RangeInfo struct {
	Desc  RangeDescriptor
	Lease Lease
	// Leader is the Raft leader as the answering replica knows it.
	Leader                ids.NodeID
	Term, Applied, Commit uint64
	LogBytes              int64
	// Bytes and Keys size the range's data.
	Bytes, Keys int64
	// ReadsPerSecond and WritesPerSecond are decaying averages of requests.
	ReadsPerSecond, WritesPerSecond float64
	// Behind lists replicas that lag or are silent.
	Behind []ids.NodeID
}

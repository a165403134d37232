package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// The index and term at which a group starts that was seeded from data: a
// replica that comes later asks from index 1, which no log holds, and so gets a
// snapshot with the inherited data.
const (
	SeedIndex = 10
	SeedTerm  = 5
)

// FirstSpace is the key space of the ranges that a fresh store starts with;
// snapshots are received into later ones.
const FirstSpace keys.SpaceID = 1

// Names of a group's values under its range id.
const (
	nameApplied   = "raft/applied"
	nameConfig    = "raft/config"
	nameTombstone = "raft/tombstone"
	// spaceCounter holds the next free space id.
	spaceCounter = "raft/next-space"
)

// ErrCorrupt reports a group record that this package did not write.
var ErrCorrupt = errors.New("raftgroup: malformed group record")

// State is what a group keeps in the engine, in the same batch as the effects
// that it describes.
type State struct {
	Index, Term uint64
	ConfigIndex uint64
	Members     []Member
}

// LoadState reads a group's state; ok is false for a range without one.
func LoadState(rd engine.Reader, r ids.RangeID) (s State, ok bool, err error) {
	v, ok := rd.Get(keys.EngineReplica(r, nameApplied))
	if !ok {
		return State{}, false, nil
	}
	if len(v) != 16 {
		return State{}, false, fmt.Errorf("%w: applied index of %s", ErrCorrupt, r)
	}
	s.Index, s.Term = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
	if v, ok = rd.Get(keys.EngineReplica(r, nameConfig)); !ok {
		return s, true, nil
	}
	if len(v) < 8 {
		return State{}, false, fmt.Errorf("%w: configuration of %s", ErrCorrupt, r)
	}
	s.ConfigIndex = binary.BigEndian.Uint64(v)
	if s.Members, err = decodeMembers(v[8:]); err != nil {
		return State{}, false, fmt.Errorf("%w: configuration of %s", err, r)
	}
	return s, true, nil
}

// PutApplied adds the applied index and term to b.
func PutApplied(b *engine.Batch, r ids.RangeID, index, term uint64) {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, 16), index)
	b.Put(keys.EngineReplica(r, nameApplied), binary.BigEndian.AppendUint64(v, term))
}

// PutConfig adds the configuration and its index to b.
func PutConfig(b *engine.Batch, r ids.RangeID, index uint64, members []Member) {
	v := binary.BigEndian.AppendUint64(nil, index)
	b.Put(keys.EngineReplica(r, nameConfig), appendMembers(v, members))
}

func appendMembers(b []byte, ms []Member) []byte {
	b = binary.AppendUvarint(b, uint64(len(ms)))
	for _, m := range ms {
		b = binary.AppendUvarint(b, uint64(m.Node))
		b = binary.AppendUvarint(b, uint64(m.Replica))
		if m.Learner {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func decodeMembers(b []byte) ([]Member, error) {
	count, b, err := takeUvarint(b)
	if err != nil || count > uint64(len(b)) {
		return nil, ErrCorrupt
	}
	ms := make([]Member, count)
	for i := range ms {
		var node, replica uint64
		if node, b, err = takeUvarint(b); err != nil {
			return nil, err
		}
		if replica, b, err = takeUvarint(b); err != nil {
			return nil, err
		}
		if len(b) == 0 {
			return nil, ErrCorrupt
		}
		ms[i] = Member{Node: ids.NodeID(node), Replica: ids.ReplicaID(replica), Learner: b[0] == 1}
		b = b[1:]
	}
	return ms, nil
}

func takeUvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, ErrCorrupt
	}
	return v, b[n:], nil
}

// Tombstone returns the highest replica id of r that was removed from this
// store; messages for it or a lower one are stale.
func Tombstone(rd engine.Reader, r ids.RangeID) ids.ReplicaID {
	v, ok := rd.Get(keys.EngineReplica(r, nameTombstone))
	if !ok || len(v) != 4 {
		return 0
	}
	return ids.ReplicaID(binary.BigEndian.Uint32(v))
}

// PutTombstone adds to b the deletion of everything under the range's id, but
// for a tombstone with the replica id.
func PutTombstone(b *engine.Batch, r ids.RangeID, replica ids.ReplicaID) {
	b.DeleteRange(keys.EngineReplicaSpan(r))
	b.Put(keys.EngineReplica(r, nameTombstone), binary.BigEndian.AppendUint32(nil, uint32(replica)))
}

// NextSpace takes a fresh space id. The counter reaches the disk before, or
// together with, whatever is written to the space later. Callers serialize.
func NextSpace(e engine.Engine) keys.SpaceID {
	key := keys.EngineStore(spaceCounter)
	next := FirstSpace + 1
	if v, ok := e.Get(key); ok && len(v) == 4 {
		next = keys.SpaceID(binary.BigEndian.Uint32(v))
	}
	b := &engine.Batch{}
	b.Put(key, binary.BigEndian.AppendUint32(nil, uint32(next)+1))
	e.Write(b)
	return next
}

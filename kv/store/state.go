package store

import (
	"encoding/binary"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// state is a replica's replicated state: what the descriptor, lease and info
// records under its range id hold. A published state never changes.
type state struct {
	desc  api.RangeDescriptor
	lease api.Lease
	info  info
}

// info are the small values that change with many commands.
type info struct {
	space       keys.SpaceID
	bytes, keys int64
	gcThreshold hlc.Timestamp
}

// Names of the records.
const (
	nameDesc  = "kv/desc"
	nameLease = "kv/lease"
	nameInfo  = "kv/info"
)

const infoVersion = 1

func (i *info) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{infoVersion}, uint32(i.space))
	b = binary.AppendVarint(binary.AppendVarint(b, i.bytes), i.keys)
	return i.gcThreshold.AppendAsc(b)
}

func decodeInfo(b []byte) (i info, err error) {
	bad := fmt.Errorf("store: malformed replica record")
	if len(b) < 5 || b[0] != infoVersion {
		return i, bad
	}
	i.space = keys.SpaceID(binary.BigEndian.Uint32(b[1:]))
	b = b[5:]
	var n int
	if i.bytes, n = binary.Varint(b); n <= 0 {
		return i, bad
	}
	b = b[n:]
	if i.keys, n = binary.Varint(b); n <= 0 || len(b)-n != hlc.EncodedLen {
		return i, bad
	}
	i.gcThreshold = hlc.DecodeAsc(b[n:])
	return i, nil
}

func putDesc(b *engine.Batch, d *api.RangeDescriptor) {
	b.Put(keys.EngineReplica(d.RangeID, nameDesc), api.AppendRangeDescriptor(nil, d))
}

func putLease(b *engine.Batch, r ids.RangeID, l *api.Lease) {
	b.Put(keys.EngineReplica(r, nameLease), api.AppendLease(nil, l))
}

func putInfo(b *engine.Batch, r ids.RangeID, i *info) {
	b.Put(keys.EngineReplica(r, nameInfo), i.encode())
}

func (s *state) put(b *engine.Batch) {
	putDesc(b, &s.desc)
	putLease(b, s.desc.RangeID, &s.lease)
	putInfo(b, s.desc.RangeID, &s.info)
}

// loadState reads a replica's state; ok is false for one without data.
func loadState(rd engine.Reader, r ids.RangeID) (s *state, ok bool, err error) {
	v, ok := rd.Get(keys.EngineReplica(r, nameDesc))
	if !ok {
		return nil, false, nil
	}
	s = &state{}
	if s.desc, err = api.DecodeRangeDescriptor(v); err != nil {
		return nil, false, fmt.Errorf("descriptor of %s: %w", r, err)
	}
	if v, ok = rd.Get(keys.EngineReplica(r, nameLease)); ok {
		if s.lease, err = api.DecodeLease(v); err != nil {
			return nil, false, fmt.Errorf("lease of %s: %w", r, err)
		}
	}
	if v, ok = rd.Get(keys.EngineReplica(r, nameInfo)); ok {
		if s.info, err = decodeInfo(v); err != nil {
			return nil, false, fmt.Errorf("%s: %w", r, err)
		}
	}
	return s, true, nil
}

// voters counts the members that vote.
func voters(d *api.RangeDescriptor) int {
	n := 0
	for _, r := range d.Replicas {
		if r.Type == api.Voter {
			n++
		}
	}
	return n
}

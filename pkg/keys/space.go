package keys

import (
	"bytes"
	"encoding/binary"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// Logical key prefixes, in key order.
const (
	metaByte   = 0x02
	systemByte = 0x03
	tableByte  = 0x04
)

// Bounds of the logical key space and its parts.
var (
	// MinKey is the start of the first range.
	MinKey = []byte{}
	// MaxKey is the end of the last range; no key reaches it.
	MaxKey = []byte{0xff, 0xff}
	// MetaPrefix and MetaEnd bound the meta range, which is exactly
	// [MinKey, MetaEnd) and never splits.
	MetaPrefix = []byte{metaByte}
	MetaEnd    = []byte{systemByte}
	// SystemPrefix and SystemEnd bound the system span.
	SystemPrefix = []byte{systemByte}
	SystemEnd    = []byte{tableByte}
	// TablePrefix and TableEnd bound all table data.
	TablePrefix = []byte{tableByte}
	TableEnd    = []byte{tableByte + 1}
)

// Meta returns the meta key under which the descriptor of the range that ends
// at end is stored. The range that holds key k is the first meta entry whose
// end is above k: seek to Meta(Next(k)).
func Meta(end []byte) []byte {
	return AppendBytes(append(make([]byte, 0, len(end)+4), metaByte), end)
}

// System returns the key of a system value: a name and ordered parts.
func System(name string, parts ...uint64) []byte {
	b := AppendString([]byte{systemByte}, name)
	for _, p := range parts {
		b = AppendUint(b, p)
	}
	return b
}

// SystemSpan returns the span of all system values with that name.
func SystemSpan(name string) (start, end []byte) {
	b := AppendString([]byte{systemByte}, name)
	return b, PrefixEnd(b)
}

// TableIndex returns the prefix of one index of one table. Both ids are storage
// ids that are never reused.
func TableIndex(table, index uint32) []byte { return AppendTableIndex(nil, table, index) }

// AppendTableIndex appends the prefix of one index to b.
func AppendTableIndex(b []byte, table, index uint32) []byte {
	b = append(b, tableByte)
	b = AppendUint(b, uint64(table))
	return AppendUint(b, uint64(index))
}

// TableSpan returns the span of all indexes of a table.
func TableSpan(table uint32) (start, end []byte) {
	b := AppendUint([]byte{tableByte}, uint64(table))
	return b, PrefixEnd(b)
}

// DecodeTableIndex splits a table key into its ids and the encoded columns.
func DecodeTableIndex(k []byte) (table, index uint32, rest []byte, err error) {
	if len(k) == 0 || k[0] != tableByte {
		return 0, 0, nil, ErrCorrupt
	}
	t, rest, err := DecodeUint(k[1:])
	if err != nil {
		return 0, 0, nil, err
	}
	i, rest, err := DecodeUint(rest)
	return uint32(t), uint32(i), rest, err
}

// Engine key prefixes, in key order.
const (
	engineStore   = 0x01
	engineReplica = 0x02
	engineSpace   = 0x03

	spaceLocal = 0x01
	spaceData  = 0x02
)

// SpaceID names a key space of one engine. A snapshot is received into a fresh
// space, and the children of a split share their parent's.
type SpaceID uint32

// EngineStore returns the engine key of a store-local value.
func EngineStore(name string) []byte { return append([]byte{engineStore}, name...) }

// EngineReplica returns the engine key of a value of one range's replica.
func EngineReplica(r ids.RangeID, name string) []byte {
	b := append(make([]byte, 0, 9+len(name)), engineReplica)
	b = binary.BigEndian.AppendUint64(b, uint64(r))
	return append(b, name...)
}

// EngineReplicaSpan bounds all values of one range's replica.
func EngineReplicaSpan(r ids.RangeID) (start, end []byte) {
	s := EngineReplica(r, "")
	return s, PrefixEnd(s)
}

// EngineReplicasSpan bounds the values of all replicas of a store.
func EngineReplicasSpan() (start, end []byte) {
	return []byte{engineReplica}, []byte{engineReplica + 1}
}

// DecodeEngineReplica splits a key made by EngineReplica.
func DecodeEngineReplica(k []byte) (r ids.RangeID, name string, ok bool) {
	if len(k) < 9 || k[0] != engineReplica {
		return 0, "", false
	}
	return ids.RangeID(binary.BigEndian.Uint64(k[1:])), string(k[9:]), true
}

// spaceHeader is the length of what precedes a logical key in a space.
const spaceHeader = 6

func appendSpace(b []byte, s SpaceID, kind byte) []byte {
	b = append(b, engineSpace)
	b = binary.BigEndian.AppendUint32(b, uint32(s))
	return append(b, kind)
}

// AppendEngineLocal appends the engine key of key-addressed local state: anchor
// is a logical key, suffix tells its values apart.
func AppendEngineLocal(b []byte, s SpaceID, anchor, suffix []byte) []byte {
	b = AppendBytes(appendSpace(b, s, spaceLocal), anchor)
	return append(b, suffix...)
}

// DecodeEngineLocal splits a key made by AppendEngineLocal.
func DecodeEngineLocal(k []byte) (anchor, suffix []byte, err error) {
	if len(k) < spaceHeader || k[0] != engineSpace || k[5] != spaceLocal {
		return nil, nil, ErrCorrupt
	}
	return DecodeBytes(nil, k[spaceHeader:])
}

// AppendEngineVersion appends the engine key of a version of a logical key.
// hlc.MaxTimestamp is the intent's place: it sorts before every version. The
// key is escaped and terminated, so that a span end that extends a stored key
// (Next(k) for one) still lies above all of that key's versions.
func AppendEngineVersion(b []byte, s SpaceID, key []byte, ts hlc.Timestamp) []byte {
	return ts.AppendDesc(AppendBytes(appendSpace(b, s, spaceData), key))
}

// AppendEngineData appends the prefix that all versions of a logical key share.
func AppendEngineData(b []byte, s SpaceID, key []byte) []byte {
	return AppendBytes(appendSpace(b, s, spaceData), key)
}

// AppendEngineBound appends the engine key that stands for a bound of a logical
// span: the versions of k lie at or above it exactly when k >= bound.
func AppendEngineBound(b []byte, s SpaceID, bound []byte) []byte {
	return appendBound(appendSpace(b, s, spaceData), bound)
}

// DecodeEngineVersion splits a key made by AppendEngineVersion. The key aliases
// k when nothing in it was escaped, else it is appended to scratch[:0].
func DecodeEngineVersion(scratch, k []byte) (key []byte, ts hlc.Timestamp, err error) {
	const tail = hlc.EncodedLen + 2
	if len(k) < spaceHeader+tail || k[0] != engineSpace || k[5] != spaceData {
		return nil, hlc.Timestamp{}, ErrCorrupt
	}
	n := len(k) - hlc.EncodedLen
	ts = hlc.DecodeDesc(k[n:])
	key = k[spaceHeader : n-2]
	if bytes.IndexByte(key, escape) >= 0 {
		key, _, err = DecodeBytes(scratch[:0], k[spaceHeader:n])
	}
	return key, ts, err
}

// EngineSpans returns the engine spans of the logical span [start, end) in a
// space: its local state and its versions.
func EngineSpans(s SpaceID, start, end []byte) [2][2][]byte {
	return [2][2][]byte{
		{appendBound(appendSpace(nil, s, spaceLocal), start), appendBound(appendSpace(nil, s, spaceLocal), end)},
		{AppendEngineBound(nil, s, start), AppendEngineBound(nil, s, end)},
	}
}

// appendBound appends a bound without the terminator's last byte, so that every
// key at or above it sorts after.
func appendBound(b, key []byte) []byte {
	b = AppendBytes(b, key)
	return b[:len(b)-1]
}

// EngineSpaceSpan bounds a whole space, for deleting it.
func EngineSpaceSpan(s SpaceID) (start, end []byte) {
	start = binary.BigEndian.AppendUint32([]byte{engineSpace}, uint32(s))
	return start, PrefixEnd(start)
}

// EngineSuffix returns an engine key of a space without the part that names the
// space: what replicas of different spaces have in common.
func EngineSuffix(k []byte) []byte { return k[spaceHeader-1:] }

// AppendEngineSuffix appends the engine key of a suffix in a space.
func AppendEngineSuffix(b []byte, s SpaceID, suffix []byte) []byte {
	b = append(b, engineSpace)
	b = binary.BigEndian.AppendUint32(b, uint32(s))
	return append(b, suffix...)
}

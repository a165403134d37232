package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// Suffixes of key-addressed local state.
const (
	suffixRecord = 't'
	suffixMarker = 'm'
)

const recordVersion = 1

// AppendRecordKey appends the engine key of a transaction's record.
func AppendRecordKey(b []byte, s keys.SpaceID, anchor api.Key, id ids.TxnID) []byte {
	return appendLocal(b, s, anchor, suffixRecord, id)
}

// AppendMarkerKey appends the engine key of an abort marker: the place where an
// aborted transaction's intent was removed, so that the transaction, should it
// still run, does not miss its own write unknowingly.
func AppendMarkerKey(b []byte, s keys.SpaceID, key api.Key, id ids.TxnID) []byte {
	return appendLocal(b, s, key, suffixMarker, id)
}

func appendLocal(b []byte, s keys.SpaceID, anchor api.Key, kind byte, id ids.TxnID) []byte {
	b = keys.AppendEngineLocal(b, s, anchor, nil)
	return append(append(b, kind), id[:]...)
}

// DecodeLocalKey splits an engine key made by AppendRecordKey or
// AppendMarkerKey.
func DecodeLocalKey(k []byte) (anchor api.Key, id ids.TxnID, record bool, err error) {
	anchor, suffix, err := keys.DecodeEngineLocal(k)
	if err != nil {
		return nil, id, false, err
	}
	if len(suffix) != 1+len(id) || suffix[0] != suffixRecord && suffix[0] != suffixMarker {
		return nil, id, false, fmt.Errorf("local key: %w", ErrCorrupt)
	}
	copy(id[:], suffix[1:])
	return anchor, id, suffix[0] == suffixRecord, nil
}

// EncodeRecord appends the stored form of a transaction record.
func EncodeRecord(b []byte, r *api.TxnRecord) []byte {
	b = append(b, recordVersion, byte(r.Status))
	b = appendMeta(b, &r.TxnMeta)
	b = r.ReadTS.AppendAsc(b)
	b = r.LastHeartbeat.AppendAsc(b)
	b = binary.AppendUvarint(b, uint64(len(r.Locks)))
	for _, s := range r.Locks {
		b = appendBytes(b, s.Start)
		if s.End == nil {
			b = append(b, 0)
			continue
		}
		b = appendBytes(append(b, 1), s.End)
	}
	b = binary.AppendUvarint(b, uint64(len(r.InFlight)))
	for _, w := range r.InFlight {
		b = binary.AppendUvarint(appendBytes(b, w.Key), uint64(w.Seq))
	}
	b = binary.AppendUvarint(b, uint64(len(r.Ignored)))
	for _, i := range r.Ignored {
		b = binary.AppendUvarint(b, uint64(i.From))
		b = binary.AppendUvarint(b, uint64(i.To))
	}
	return b
}

// DecodeRecord reads a stored transaction record; its bytes alias raw.
func DecodeRecord(raw []byte) (*api.TxnRecord, error) {
	d := decoder{b: raw}
	if d.byte() != recordVersion {
		return nil, fmt.Errorf("transaction record: %w", ErrCorrupt)
	}
	r := &api.TxnRecord{Status: api.TxnStatus(d.byte())}
	d.meta(&r.TxnMeta)
	r.ReadTS = d.ts()
	r.LastHeartbeat = d.ts()
	for n := d.count(); n > 0 && !d.bad; n-- {
		s := api.Span{Start: d.bytes()}
		if d.byte() == 1 {
			s.End = d.bytes()
		}
		r.Locks = append(r.Locks, s)
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		r.InFlight = append(r.InFlight, api.InFlightWrite{Key: d.bytes(), Seq: api.Seq(d.uvarint())})
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		r.Ignored = append(r.Ignored, api.SeqInterval{From: api.Seq(d.uvarint()), To: api.Seq(d.uvarint())})
	}
	if d.bad || len(d.b) != 0 || r.Status > api.Aborted {
		return nil, fmt.Errorf("transaction record: %w", ErrCorrupt)
	}
	return r, nil
}

package mvcc

import (
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// ReadOptions say what a reader may see.
type ReadOptions struct {
	// TS is the snapshot. Versions in (TS, Limit] are uncertain; a Limit at or
	// below TS means that none are.
	TS, Limit hlc.Timestamp
	// ID and Epoch are the reader's transaction, if it has one.
	ID    ids.TxnID
	Epoch int32
	// Seq and Ignored select among the reader's own writes (Seq 0: all).
	Seq     api.Seq
	Ignored []api.SeqInterval
	// Lock makes every foreign intent a conflict: who locks must not pass.
	Lock bool
	// Pushed returns a timestamp above which a writer is known to commit, or
	// zero; nil knows nothing.
	Pushed func(ids.TxnID) hlc.Timestamp
	// Committed returns when an intent's writer is known to have committed, or
	// zero; nil knows nothing. Such an intent is read as the version that it will
	// become.
	Committed func(*api.TxnMeta) hlc.Timestamp
}

// settled returns the timestamp of the version that a foreign intent is bound to
// become, or zero.
func (o *ReadOptions) settled(in *Intent) hlc.Timestamp {
	if o.Committed == nil || o.own(in) {
		return hlc.Timestamp{}
	}
	return o.Committed(&in.Txn)
}

// own reports whether an intent is the reader's.
func (o *ReadOptions) own(in *Intent) bool { return in.Txn.ID == o.ID && !o.ID.IsZero() }

// inTheWay reports whether the reader must not pass over a foreign intent.
func (o *ReadOptions) inTheWay(in *Intent) bool {
	if o.Lock {
		return true
	}
	limit := o.TS.Forward(o.Limit)
	if limit.Less(in.Txn.WriteTS) {
		return false
	}
	return o.Pushed == nil || o.Pushed(in.Txn.ID).LessEq(limit)
}

// Row is what a key looks like to a reader.
type Row struct {
	// Value is the visible value if Exists; TS its version (zero for the
	// reader's own provisional write).
	Value  []byte
	Exists bool
	Own    bool
	TS     hlc.Timestamp
	// Newest is the newest committed version, Live whether it is a value. They
	// are always set when the newest version is visible, else only if Lock or
	// newest was asked for.
	Newest hlc.Timestamp
	Live   bool
	// Conflict is a foreign intent in the way.
	Conflict *Intent
	// Uncertain is the newest version in the uncertainty interval, if any.
	Uncertain hlc.Timestamp
}

// Base returns the version that a write to the key would be based on: the newest
// committed version, or zero for none or a deletion.
func (r *Row) Base() hlc.Timestamp {
	if r.Live {
		return r.Newest
	}
	return hlc.Timestamp{}
}

// Scratch holds the buffers of point reads; reusing it makes them free of
// allocations.
type Scratch struct {
	lower, upper []byte
	n            int
	intent       Intent
}

// set makes lower and upper bound the versions of key.
func (sc *Scratch) set(s keys.SpaceID, key []byte) {
	sc.lower = keys.AppendEngineData(sc.lower[:0], s, key)
	sc.n = len(sc.lower)
	sc.upper = append(sc.upper[:0], sc.lower...)
	sc.upper[sc.n-1]++
}

// at moves lower to a version.
func (sc *Scratch) at(ts hlc.Timestamp) []byte {
	sc.lower = ts.AppendDesc(sc.lower[:sc.n])
	return sc.lower
}

// maxVersion is the highest timestamp of a version: right below an intent.
var maxVersion = hlc.MaxTimestamp.Prev()

// Get reads one key. In the usual case it costs one seek.
func Get(r engine.Reader, sc *Scratch, s keys.SpaceID, key []byte, o *ReadOptions) (Row, error) {
	var row Row
	sc.set(s, key)
	k, raw, ok := r.Newest(sc.at(hlc.MaxTimestamp), sc.upper)
	if !ok {
		return row, nil
	}
	ts := hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
	if ts == hlc.MaxTimestamp {
		in := &sc.intent
		if err := in.decode(raw); err != nil {
			return row, err
		}
		done, from := row.intent(in, o)
		if done {
			return row, nil
		}
		if k, raw, ok = r.Newest(sc.at(from), sc.upper); !ok {
			return row, nil
		}
		ts = hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
	}
	return row, row.versions(r, sc, o, ts, raw)
}

// intent takes an intent, which it does not keep, into account. It returns where to look for versions,
// or that there is no need to.
func (row *Row) intent(in *Intent, o *ReadOptions) (done bool, from hlc.Timestamp) {
	if ts := o.settled(in); !ts.IsZero() {
		row.Newest, row.Live = ts, !in.Deleted
		switch {
		case ts.LessEq(o.TS):
			row.Exists, row.Value, row.TS = !in.Deleted, in.Value, ts
			return true, from
		case ts.LessEq(o.Limit):
			row.Uncertain = ts
		}
		return false, maxVersion
	}
	if !o.own(in) {
		if o.inTheWay(in) {
			c := *in
			row.Conflict = &c
			return true, from
		}
		return false, maxVersion
	}
	if in.Txn.Epoch != o.Epoch {
		return false, maxVersion
	}
	if w, ok := in.At(o.Seq, o.Ignored); ok {
		row.Own, row.Exists, row.Value = true, !w.Deleted, w.Value
		return !o.Lock, maxVersion
	}
	return false, maxVersion
}

// versions picks the visible version; ts and raw are the newest one.
func (row *Row) versions(r engine.Reader, sc *Scratch, o *ReadOptions, ts hlc.Timestamp, raw []byte) error {
	v, deleted, err := DecodeValue(raw)
	if err != nil {
		return err
	}
	if row.Newest.IsZero() {
		row.Newest, row.Live = ts, !deleted
	}
	if row.Own {
		return nil
	}
	if o.TS.Less(ts) {
		k, raw, ok := []byte(nil), raw, true
		if ts.LessEq(o.Limit) {
			row.Uncertain = row.Uncertain.Forward(ts)
		} else if row.Uncertain.IsZero() && o.TS.Less(o.Limit) {
			// Something between the snapshot and the limit may lie below.
			if k, _, ok = r.Newest(sc.at(o.Limit), sc.upper); ok {
				if t := hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:]); o.TS.Less(t) {
					row.Uncertain = t
				}
			}
		}
		if k, raw, ok = r.Newest(sc.at(o.TS), sc.upper); !ok {
			return nil
		}
		ts = hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
		if v, deleted, err = DecodeValue(raw); err != nil {
			return err
		}
	}
	row.Exists, row.Value, row.TS = !deleted, v, ts
	return nil
}

// Head is the newest state of a key: what a writer must know.
type Head struct {
	// Intent is whoever's intent is there.
	Intent *Intent
	// Newest is the newest committed version (zero: none), Live whether it is a
	// value, Value its bytes, StoredBytes its size with the key.
	Newest hlc.Timestamp
	Live   bool
	Value  []byte
	// IntentBytes is the intent's size with its key.
	IntentBytes int64
	// settles is what the key holds if the state above already counts an intent
	// as the version that it is bound to become.
	settles *Head
	// read: it is what GetHead found, not what somebody knows without a look.
	read bool
}

// Settle returns the state in which the intent of a transaction that committed
// at ts has become a version. Whatever is written over it makes it so.
func (h *Head) Settle(ts hlc.Timestamp) Head {
	in := h.Intent
	return Head{Newest: ts, Live: !in.Deleted, Value: in.Value, settles: h}
}

// Laid returns the state with the intent that Settle counted as a version.
func (h *Head) Laid() *Head { return h.settles }

// Settled reports whether the state counts on an intent that is to be resolved.
func (h *Head) Settled() bool { return h.settles != nil }

// Base is like Row.Base.
func (h *Head) Base() hlc.Timestamp {
	if h.Live {
		return h.Newest
	}
	return hlc.Timestamp{}
}

// GetHead reads the newest state of a key.
func GetHead(r engine.Reader, sc *Scratch, s keys.SpaceID, key []byte) (Head, error) {
	h := Head{read: true}
	sc.set(s, key)
	k, raw, ok := r.Newest(sc.at(hlc.MaxTimestamp), sc.upper)
	if !ok {
		return h, nil
	}
	ts := hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
	var err error
	if ts == hlc.MaxTimestamp {
		if h.Intent, err = DecodeIntent(raw); err != nil {
			return h, err
		}
		h.IntentBytes = entryBytes(len(k), len(raw))
		if k, raw, ok = r.Newest(sc.at(maxVersion), sc.upper); !ok {
			return h, nil
		}
		ts = hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
	}
	v, deleted, err := DecodeValue(raw)
	h.Newest, h.Live, h.Value = ts, !deleted, v
	return h, err
}

// HasVersionIn reports the newest version in (from, to], which refreshes and
// in-doubt commits ask for.
func HasVersionIn(r engine.Reader, sc *Scratch, s keys.SpaceID, key []byte, from, to hlc.Timestamp) (hlc.Timestamp, bool) {
	sc.set(s, key)
	k, _, ok := r.Newest(sc.at(to), sc.upper)
	if !ok {
		return hlc.Timestamp{}, false
	}
	ts := hlc.DecodeDesc(k[len(k)-hlc.EncodedLen:])
	return ts, from.Less(ts)
}

// spaceHeaderBytes is what an engine key has before the part that all replicas
// share, which is what sizes are counted in.
const spaceHeaderBytes = 5

func entryBytes(key, value int) int64 { return int64(key - spaceHeaderBytes + value) }

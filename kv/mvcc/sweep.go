package mvcc

import (
	"bytes"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// entry is one engine entry of a key: an intent or a version.
type entry struct {
	engineKey, raw []byte
	prefix         []byte
	ts             hlc.Timestamp
}

// sweep calls f for every intent and version of [start, end), newest first within
// a key, until f returns false.
func sweep(v engine.View, s keys.SpaceID, start, end []byte, f func(e *entry) bool) error {
	it := v.Iter(keys.AppendEngineBound(nil, s, start), keys.AppendEngineBound(nil, s, end))
	defer it.Close()
	var e entry
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		if len(k) < spaceHeader+terminator+hlc.EncodedLen {
			return ErrCorrupt
		}
		e.engineKey, e.raw = k, it.Value()
		e.prefix = k[:len(k)-hlc.EncodedLen]
		e.ts = hlc.DecodeDesc(k[len(e.prefix):])
		if len(e.raw) == 0 {
			return ErrCorrupt
		}
		if !f(&e) {
			return nil
		}
	}
	return nil
}

func (e *entry) isIntent() bool { return e.ts == hlc.MaxTimestamp }

func (e *entry) key() ([]byte, error) {
	k, _, err := keys.DecodeBytes(nil, e.prefix[spaceHeader:])
	return k, err
}

func (e *entry) size() int64 { return entryBytes(len(e.engineKey), len(e.raw)) }

// ChangedSince returns the timestamp of the newest version in (o.TS, to], or
// zero, and the foreign intents that may still become one.
func ChangedSince(v engine.View, s keys.SpaceID, start, end []byte, from, to hlc.Timestamp, o *ReadOptions) (hlc.Timestamp, []FoundIntent, error) {
	var found hlc.Timestamp
	var open []FoundIntent
	var bad error
	at := *o
	at.TS, at.Limit, at.Lock = to, to, false
	err := sweep(v, s, start, end, func(e *entry) bool {
		if !e.isIntent() {
			if from.Less(e.ts) && e.ts.LessEq(to) {
				found = found.Forward(e.ts)
			}
			return true
		}
		var in *Intent
		if in, bad = DecodeIntent(bytes.Clone(e.raw)); bad != nil {
			return false
		}
		if ts := at.settled(in); !ts.IsZero() {
			if from.Less(ts) && ts.LessEq(to) {
				found = found.Forward(ts)
			}
		} else if !at.own(in) && at.inTheWay(in) {
			var k []byte
			k, bad = e.key()
			open = append(open, FoundIntent{k, in})
		}
		return bad == nil && len(open) < maxConflicts
	})
	if err == nil {
		err = bad
	}
	return found, open, err
}

// MayChange reports whether a foreign intent may still become a version at or
// below to.
func (o *ReadOptions) MayChange(in *Intent, to hlc.Timestamp) bool {
	at := *o
	at.TS, at.Limit, at.Lock = to, to, false
	return !at.own(in) && at.inTheWay(in)
}

// KeyHead is a key and its newest state, but for the newest version's value.
type KeyHead struct {
	Key api.Key
	Head
}

// FindIntents returns the keys in [start, end) with an intent of a transaction,
// at most limit.
func FindIntents(v engine.View, s keys.SpaceID, start, end []byte, id ids.TxnID, limit int) ([]KeyHead, error) {
	var out []KeyHead
	var prefix []byte // of the last one, until its newest version was seen
	var bad error
	err := sweep(v, s, start, end, func(e *entry) bool {
		if !e.isIntent() {
			if len(prefix) > 0 && bytes.Equal(prefix, e.prefix) {
				h := &out[len(out)-1].Head
				h.Newest, h.Live = e.ts, e.raw[0] == flagValue
			}
			prefix = prefix[:0]
			return true
		}
		if len(out) == limit {
			return false
		}
		prefix = prefix[:0]
		in, err := DecodeIntent(bytes.Clone(e.raw))
		if err == nil && in.Txn.ID == id {
			var k []byte
			k, err = e.key()
			prefix = append(prefix, e.prefix...)
			out = append(out, KeyHead{k, Head{Intent: in, IntentBytes: e.size()}})
		}
		bad = err
		return err == nil
	})
	if err == nil {
		err = bad
	}
	return out, err
}

// Size counts a span: the bytes of its versions and intents, and the keys whose
// newest committed version is a value. It is what Changes keeps up to date.
func Size(v engine.View, s keys.SpaceID, start, end []byte) (size, live int64, err error) {
	var prefix []byte
	err = sweep(v, s, start, end, func(e *entry) bool {
		size += e.size()
		if !e.isIntent() && !bytes.Equal(prefix, e.prefix) {
			prefix = append(prefix[:0], e.prefix...)
			if e.raw[0] == flagValue {
				live++
			}
		}
		return true
	})
	return size, live, err
}

// SplitKey returns a key that divides a span into halves of about the same size,
// or nil when it has fewer than two keys.
func SplitKey(v engine.View, s keys.SpaceID, start, end []byte) (api.Key, error) {
	total, _, err := Size(v, s, start, end)
	if err != nil {
		return nil, err
	}
	var at int64
	var split, prefix []byte
	var bad error
	err = sweep(v, s, start, end, func(e *entry) bool {
		if prefix == nil || !bytes.Equal(e.prefix, prefix) {
			if prefix != nil && 2*at >= total {
				split, bad = e.key()
				return false
			}
			prefix = append(prefix[:0], e.prefix...)
		}
		at += e.size()
		return true
	})
	if err == nil {
		err = bad
	}
	return split, err
}

// ClearSpan removes everything in [start, end) and returns how many live keys
// that were.
func (c *Changes) ClearSpan(v engine.View, s keys.SpaceID, start, end []byte) (int64, error) {
	size, live, err := Size(v, s, start, end)
	if err != nil || size == 0 {
		return 0, err
	}
	c.Ops = append(c.Ops, Op{
		Key:    keys.EngineSuffix(keys.AppendEngineBound(nil, 0, start)),
		End:    keys.EngineSuffix(keys.AppendEngineBound(nil, 0, end)),
		Delete: true,
	})
	c.Bytes -= size
	c.Keys -= live
	return live, nil
}

// CollectGarbage removes versions that no reader at or above the threshold can
// see, and what is left of transactions that ended before it. After maxOps
// removals it returns where to go on.
func (c *Changes) CollectGarbage(v engine.View, s keys.SpaceID, start, end []byte, t hlc.Timestamp, maxOps int64) (removed int64, resume api.Key, err error) {
	var prefix []byte
	shadowed := false
	var bad error
	err = sweep(v, s, start, end, func(e *entry) bool {
		if !bytes.Equal(prefix, e.prefix) {
			if removed >= maxOps {
				resume, bad = e.key()
				return false
			}
			prefix, shadowed = append(prefix[:0], e.prefix...), false
		}
		if e.isIntent() || t.Less(e.ts) {
			return true
		}
		// The newest version at or below the threshold is what its readers see;
		// a deletion they see as well when it is gone.
		if shadowed || e.raw[0] == flagTombstone {
			c.Ops = append(c.Ops, Op{Key: bytes.Clone(keys.EngineSuffix(e.engineKey)), Delete: true})
			c.Bytes -= e.size()
			removed++
		}
		shadowed = true
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil || resume != nil {
		return removed, resume, err
	}
	n, err := c.collectLocal(v, s, start, end, t)
	return removed + n, nil, err
}

// collectLocal removes tombstones of aborted transactions, undecided records of
// vanished ones and abort markers that are older than the threshold.
func (c *Changes) collectLocal(v engine.View, s keys.SpaceID, start, end []byte, t hlc.Timestamp) (removed int64, err error) {
	span := keys.EngineSpans(s, start, end)[0]
	it := v.Iter(span[0], span[1])
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, _, record, err := DecodeLocalKey(it.Key())
		if err != nil {
			return removed, err
		}
		old := false
		if record {
			rec, err := DecodeRecord(it.Value())
			if err != nil {
				return removed, err
			}
			old = (rec.Status == api.Aborted || rec.Status == api.Pending) && rec.LastHeartbeat.Less(t)
		} else if b := it.Value(); len(b) == hlc.EncodedLen {
			old = hlc.DecodeAsc(b).Less(t)
		}
		if old {
			c.Ops = append(c.Ops, Op{Key: bytes.Clone(keys.EngineSuffix(it.Key())), Delete: true})
			removed++
		}
	}
	return removed, nil
}

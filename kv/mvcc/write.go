package mvcc

import (
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// Op is a change of the replicated state. Its keys lack the space's name; see
// keys.EngineSuffix. Fresh says that a value's key is not there.
type Op struct {
	Key, Value, End []byte
	Delete, Fresh   bool
}

// Changes collects operations and what they do to the range's size: Bytes counts
// all versions and intents, Keys the keys whose newest committed version is a
// value.
type Changes struct {
	Ops         []Op
	Bytes, Keys int64
	arena       []byte
}

// Reset empties c and gives up what it handed out.
func (c *Changes) Reset() { *c = Changes{} }

// Grow makes room for n operations of about size bytes in all.
func (c *Changes) Grow(n, size int) {
	if cap(c.Ops)-len(c.Ops) < n {
		c.Ops = append(make([]Op, 0, len(c.Ops)+n), c.Ops...)
	}
	if cap(c.arena)-len(c.arena) < size {
		c.arena = make([]byte, 0, size)
	}
}

// arenaChunk is how much memory for keys and values is taken at a time.
const arenaChunk = 512

// room returns the arena's end, with room for n more bytes.
func (c *Changes) room(n int) []byte {
	if cap(c.arena)-len(c.arena) < n {
		c.arena = make([]byte, 0, max(n, arenaChunk))
	}
	return c.arena[len(c.arena):len(c.arena):cap(c.arena)]
}

func (c *Changes) took(b []byte) []byte {
	if len(b) <= cap(c.arena)-len(c.arena) && cap(b) == cap(c.arena)-len(c.arena) {
		c.arena = c.arena[:len(c.arena)+len(b)]
	}
	return b[:len(b):len(b)]
}

// versionKey returns the suffix of a version's engine key.
func (c *Changes) versionKey(key []byte, ts hlc.Timestamp) []byte {
	b := c.room(2*len(key) + 8 + hlc.EncodedLen + spaceHeader)
	return keys.EngineSuffix(c.took(keys.AppendEngineVersion(b, 0, key, ts)))
}

// settle resolves the intent that head counts as a version already.
func (c *Changes) settle(key []byte, head *Head) {
	if was := head.settles; was != nil {
		c.DeleteIntent(key, was.IntentBytes)
		c.PutVersion(key, head.Newest, was.Intent.Value, was.Intent.Deleted, was)
	}
}

// PutVersion writes a committed version above head.
func (c *Changes) PutVersion(key []byte, ts hlc.Timestamp, value []byte, deleted bool, head *Head) {
	c.settle(key, head)
	k := c.versionKey(key, ts)
	var v []byte
	if deleted {
		v = c.took(AppendTombstone(c.room(1)))
	} else {
		v = c.took(AppendValue(c.room(1+len(value)), value))
	}
	c.Ops = append(c.Ops, Op{Key: k, Value: v})
	c.Bytes += int64(len(k) + len(v))
	switch {
	case head.Live && deleted:
		c.Keys--
	case !head.Live && !deleted:
		c.Keys++
	}
}

// PutIntent writes an intent over what head holds.
func (c *Changes) PutIntent(key []byte, in *Intent, head *Head) {
	c.settle(key, head)
	k := c.versionKey(key, hlc.MaxTimestamp)
	v := in.Encode(nil)
	c.Ops = append(c.Ops, Op{Key: k, Value: v, Fresh: head.read && head.Intent == nil})
	c.Bytes += int64(len(k)+len(v)) - head.IntentBytes
}

// DeleteIntent removes the intent of a key; size is its stored size.
func (c *Changes) DeleteIntent(key []byte, size int64) {
	c.Ops = append(c.Ops, Op{Key: c.versionKey(key, hlc.MaxTimestamp), Delete: true})
	c.Bytes -= size
}

// Resolution is the fate of a transaction, as an intent learns it.
type Resolution struct {
	ID     ids.TxnID
	Epoch  int32
	Status api.TxnStatus
	// TS is the commit timestamp, or what a pending writer was pushed to.
	TS hlc.Timestamp
	// Ignored are the sequences that were rolled back.
	Ignored []api.SeqInterval
	// Mark leaves an abort marker where an intent is removed.
	Mark bool
}

// Resolve turns the intent in head into a version, removes it, or moves it up.
// It reports whether there was an intent of that transaction.
func (c *Changes) Resolve(key []byte, head *Head, r *Resolution) bool {
	in := head.Intent
	if in == nil || in.Txn.ID != r.ID {
		return false
	}
	switch r.Status {
	case api.Committed:
		c.DeleteIntent(key, head.IntentBytes)
		if in.Txn.Epoch == r.Epoch {
			if w, ok := in.At(0, r.Ignored); ok {
				c.PutVersion(key, r.TS, w.Value, w.Deleted, head)
			}
		}
	case api.Aborted:
		c.DeleteIntent(key, head.IntentBytes)
		if r.Mark {
			k := AppendMarkerKey(nil, 0, key, r.ID)
			c.Ops = append(c.Ops, Op{Key: keys.EngineSuffix(k), Value: r.TS.AppendAsc(nil)})
		}
	default:
		if !in.Txn.WriteTS.Less(r.TS) {
			return true
		}
		moved := *in
		moved.Txn.WriteTS = r.TS
		c.PutIntent(key, &moved, head)
	}
	return true
}

// PutRecord writes a transaction record. Fresh says that there is none.
func (c *Changes) PutRecord(rec *api.TxnRecord, fresh bool) {
	k := AppendRecordKey(nil, 0, rec.Anchor, rec.ID)
	c.Ops = append(c.Ops, Op{Key: keys.EngineSuffix(k), Value: EncodeRecord(nil, rec), Fresh: fresh})
}

// DeleteRecord removes a transaction record.
func (c *Changes) DeleteRecord(anchor api.Key, id ids.TxnID) {
	k := AppendRecordKey(nil, 0, anchor, id)
	c.Ops = append(c.Ops, Op{Key: keys.EngineSuffix(k), Delete: true})
}

// GetRecord reads a transaction record; nil means that there is none.
func GetRecord(r engine.Reader, buf *[]byte, s keys.SpaceID, anchor api.Key, id ids.TxnID) (*api.TxnRecord, error) {
	*buf = AppendRecordKey((*buf)[:0], s, anchor, id)
	raw, ok := r.Get(*buf)
	if !ok {
		return nil, nil
	}
	return DecodeRecord(raw)
}

// HasMarker reports whether an intent of the transaction was removed from a key
// of [start, end) by its abort; a nil end means the key start alone.
func HasMarker(v engine.View, s keys.SpaceID, start, end []byte, id ids.TxnID) bool {
	if end == nil {
		_, ok := v.Get(AppendMarkerKey(nil, s, start, id))
		return ok
	}
	span := keys.EngineSpans(s, start, end)[0]
	it := v.Iter(span[0], span[1])
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if _, found, record, err := DecodeLocalKey(it.Key()); err == nil && !record && found == id {
			return true
		}
	}
	return false
}

package eval

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

var anonymous atomic.Uint64

// anonymousID names a request without a transaction in the lock table. It is
// unique in the process, which is as far as it goes.
func anonymousID() ids.TxnID {
	id := ids.TxnID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	binary.BigEndian.PutUint64(id[8:], anonymous.Add(1))
	return id
}

func (ev *evaluation) makePlan() error {
	if err := ev.checkBounds(); err != nil {
		return err
	}
	p := &ev.plan
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		switch r.Kind {
		case api.Get:
			p.reads = p.reads || r.Lock == api.LockNone
			continue
		case api.Scan, api.Refresh:
			p.reads = true
		case api.ReleaseLocks, api.QueryTxn:
		case api.Put, api.Delete, api.Increment, api.DeleteRange:
			p.mutates = true
		case api.EndTxn:
			p.mutates = true
			p.end = r
			if ev.ba.Txn == nil || r.Txn == nil {
				return fmt.Errorf("eval: EndTxn without a transaction")
			}
		default:
			p.proposes = true
		}
		p.latched = true
	}
	if p.end != nil {
		p.onePhase = ev.isOnePhase(p.end)
	}
	return nil
}

// isOnePhase reports whether the batch holds all writes of its transaction, so that
// versions can be written straight and no record is needed. With intents laid it
// needs one: a coordinator that misses the answer asks again, and whoever met an
// intent asks for the record, before it is resolved or after.
func (ev *evaluation) isOnePhase(end *api.Request) bool {
	a := end.Txn
	return a.Commit && len(a.InFlight) == 0 && ev.ba.NoIntents && ev.inRange(ev.anchor())
}

// anchor returns where the header's transaction has its record.
func (ev *evaluation) anchor() api.Key {
	if len(ev.ba.Txn.Anchor) > 0 {
		return ev.ba.Txn.Anchor
	}
	if ev.plan.end != nil {
		return ev.plan.end.Key
	}
	return nil
}

func (ev *evaluation) inRange(k api.Key) bool { return ev.desc.Contains(k) }

func (ev *evaluation) spanInRange(start, end api.Key) bool {
	if end == nil {
		return ev.desc.Contains(start)
	}
	return bytes.Compare(ev.desc.Start, start) <= 0 && bytes.Compare(end, ev.desc.End) <= 0
}

// checkBounds refuses a batch that is not all for this range.
func (ev *evaluation) checkBounds() error {
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		ok := true
		switch r.Kind {
		case api.ReleaseLocks:
		case api.EndTxn, api.HeartbeatTxn:
			if t := ev.ba.Txn; t != nil && len(t.Anchor) > 0 {
				ok = ev.inRange(t.Anchor)
			} else {
				ok = ev.inRange(r.Key)
			}
		case api.PushTxn, api.QueryTxn, api.RecoverTxn:
			if r.Txn == nil {
				return fmt.Errorf("eval: request of kind %d without arguments", r.Kind)
			}
			ok = ev.inRange(r.Txn.Pushee.Anchor)
		default:
			ok = ev.spanInRange(r.Key, r.End)
		}
		if !ok {
			return &api.RangeMismatchError{Descs: []api.RangeDescriptor{*ev.desc}}
		}
	}
	return nil
}

// collectLatches adds the latches that the batch needs.
func (ev *evaluation) collectLatches() {
	g := &ev.guard
	if cap(g.Latches) < len(ev.ba.Requests)+2 {
		g.Latches = make([]concurrency.Latch, 0, len(ev.ba.Requests)+4)
	}
	for i := range ev.ba.Requests {
		r := &ev.ba.Requests[i]
		switch r.Kind {
		case api.Get, api.Scan, api.Refresh:
			ts := ev.readTS.Forward(ev.opts.Limit)
			if r.Lock != api.LockNone {
				ts = hlc.MaxTimestamp
			}
			ev.latch(r.Key, r.End, ts, false)
		case api.Put, api.Delete, api.Increment:
			ev.latch(r.Key, nil, ev.writeTS, true)
		case api.ValidateLock:
			ev.latch(r.Key, nil, hlc.MaxTimestamp, false)
		case api.DeleteRange, api.QueryIntent, api.ResolveIntent:
			ev.latch(r.Key, r.End, hlc.Timestamp{}, true)
		case api.EndTxn:
			if !ev.isUnknown(r) {
				ev.own = appendRecordKey(ev.own[:0], ev.anchor(), ev.txn.ID)
				ev.latch(ev.own, nil, hlc.Timestamp{}, true)
			}
			if !ev.ba.NoIntents {
				ev.eachLocalLock(r, func(s api.Span) { ev.latch(s.Start, s.End, hlc.Timestamp{}, true) })
			}
		case api.HeartbeatTxn:
			ev.latchRecord(ev.anchorOr(r.Key), ev.txn.ID, true)
		case api.PushTxn, api.RecoverTxn:
			ev.latchRecord(r.Txn.Pushee.Anchor, r.Txn.Pushee.ID, true)
		case api.QueryTxn:
			ev.latchRecord(r.Txn.Pushee.Anchor, r.Txn.Pushee.ID, false)
		case api.GC:
			ev.latch([]byte{0}, nil, hlc.Timestamp{}, true)
		}
	}
}

func (ev *evaluation) anchorOr(k api.Key) api.Key {
	if a := ev.ba.Txn.Anchor; len(a) > 0 {
		return a
	}
	return k
}

// eachLocalLock calls f for the parts of EndTxn's lock spans in this range.
func (ev *evaluation) eachLocalLock(r *api.Request, f func(api.Span)) {
	for _, s := range r.Txn.Locks {
		if s, ok := ev.clip(s); ok {
			f(s)
		}
	}
}

func (ev *evaluation) clip(s api.Span) (api.Span, bool) {
	if s.End == nil {
		return s, ev.inRange(s.Start)
	}
	if bytes.Compare(s.Start, ev.desc.Start) < 0 {
		s.Start = ev.desc.Start
	}
	if bytes.Compare(s.End, ev.desc.End) > 0 {
		s.End = ev.desc.End
	}
	return s, bytes.Compare(s.Start, s.End) < 0
}

func (ev *evaluation) latch(start, end []byte, ts hlc.Timestamp, write bool) {
	if end == nil {
		ev.guard.Point(start, concurrency.Hash(start), ts, write)
		return
	}
	ev.guard.Span(start, end, ts, write)
}

// recordKey names a record among latches and in the timestamp cache; no logical
// key starts with its first byte.
func recordKey(anchor api.Key, id ids.TxnID) []byte {
	return appendRecordKey(make([]byte, 0, 32+len(anchor)), anchor, id)
}

func appendRecordKey(b []byte, anchor api.Key, id ids.TxnID) []byte {
	return keys.EngineSuffix(mvcc.AppendRecordKey(b, 0, anchor, id))
}

func (ev *evaluation) latchRecord(anchor api.Key, id ids.TxnID, write bool) {
	ev.latch(recordKey(anchor, id), nil, hlc.Timestamp{}, write)
}

package mvcc

import (
	"bytes"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// maxConflicts bounds how many foreign intents one scan collects before it stops
// for them: the caller deals with all of them at once.
const maxConflicts = 256

// spaceHeader is how long an engine key is before its logical key, and tail what
// follows it.
const (
	spaceHeader = 6
	terminator  = 2
)

// FoundIntent is a foreign intent and where it lies.
type FoundIntent struct {
	Key    api.Key
	Intent *Intent
}

// Scanner walks the rows that a reader sees in a span: versions, its own intents
// and the writes that it carries, merged into one sequence. After Next answers
// true the row is in Key, Value, TS and Newest; the bytes live as long as the
// view.
type Scanner struct {
	opts    ReadOptions
	it      engine.Iterator
	reverse bool

	lower, upper []byte // of the iterator

	// carried are the writes not yet merged, in key order.
	carried []api.CarriedWrite

	// The engine's next row; ekey is nil when there is none.
	eng     scanRow
	haveEng bool
	seek    []byte // scratch
	arena   []byte // unescaped keys
	// lastIntent is the one met last; settledAt what is known of its writer, if that
	// has committed. A load leaves many intents of one writer side by side.
	lastIntent Intent
	settledID  ids.TxnID
	settledIn  int32 // epoch
	settledAt  hlc.Timestamp

	scanRow
	// Conflicts are the foreign intents met; Uncertain the newest uncertain
	// version.
	Conflicts []FoundIntent
	Uncertain hlc.Timestamp
	err       error
}

type scanRow struct {
	Key, Value []byte
	// TS is the version seen, Newest the newest committed one and Live whether
	// that is a value.
	TS, Newest hlc.Timestamp
	Live       bool
	Own        bool
}

// Base is like Row.Base.
func (r *scanRow) Base() hlc.Timestamp {
	if r.Live {
		return r.Newest
	}
	return hlc.Timestamp{}
}

// NewScanner starts a scan of [start, end). carried are the reader's buffered
// writes inside the span, in key order.
func NewScanner(v engine.View, s keys.SpaceID, start, end []byte, reverse bool,
	carried []api.CarriedWrite, o *ReadOptions) *Scanner {
	sc := new(Scanner)
	sc.Start(v, s, start, end, reverse, carried, o)
	return sc
}

// Start is NewScanner with the memory of a scanner that has been closed.
func (s *Scanner) Start(v engine.View, space keys.SpaceID, start, end []byte, reverse bool,
	carried []api.CarriedWrite, o *ReadOptions) {
	lower := keys.AppendEngineBound(s.lower[:0], space, start)
	upper := keys.AppendEngineBound(s.upper[:0], space, end)
	*s = Scanner{opts: *o, it: v.Iter(lower, upper), reverse: reverse, lower: lower, upper: upper, seek: s.seek, arena: s.arena[:0]}
	s.carried = clipCarried(carried, start, end)
	if reverse {
		s.it.Last()
	} else {
		s.it.First()
	}
}

func clipCarried(c []api.CarriedWrite, start, end []byte) []api.CarriedWrite {
	for len(c) > 0 && bytes.Compare(c[0].Key, start) < 0 {
		c = c[1:]
	}
	for len(c) > 0 && bytes.Compare(c[len(c)-1].Key, end) >= 0 {
		c = c[:len(c)-1]
	}
	return c
}

// Close releases the scan's iterator; the rows stay valid until the view closes or
// the scanner starts again.
func (s *Scanner) Close() { s.it.Close() }

// Release forgets what a closed scanner still refers to, but for its own memory.
func (s *Scanner) Release() {
	*s = Scanner{lower: s.lower, upper: s.upper, seek: s.seek, arena: s.arena[:0]}
	if cap(s.arena) > 64<<10 {
		s.arena = nil
	}
}

// Err reports stored bytes that could not be read.
func (s *Scanner) Err() error { return s.err }

// ResetArena lets the scanner reuse the memory of keys handed out before.
func (s *Scanner) ResetArena() { s.arena = s.arena[:0] }

// SwapArena gives the scanner other memory for keys and returns what it used: the
// keys of a block may outlive the reading of the next one.
func (s *Scanner) SwapArena(arena []byte) []byte {
	arena, s.arena = s.arena, arena
	return arena
}

// Next moves to the next visible row.
func (s *Scanner) Next() bool {
	for {
		if !s.haveEng {
			s.loadEngine()
		}
		if len(s.carried) == 0 {
			if s.eng.Key == nil {
				return false
			}
			s.scanRow, s.haveEng = s.eng, false
			return true
		}
		c := &s.carried[0]
		if s.reverse {
			c = &s.carried[len(s.carried)-1]
		}
		cmp := -1
		if s.eng.Key != nil {
			if cmp = bytes.Compare(c.Key, s.eng.Key); s.reverse {
				cmp = -cmp
			}
		}
		if cmp > 0 {
			s.scanRow, s.haveEng = s.eng, false
			return true
		}
		row := scanRow{Key: c.Key, Value: c.Value, Own: true}
		if cmp == 0 {
			row.Newest, row.Live = s.eng.Newest, s.eng.Live
			s.haveEng = false
		}
		if s.reverse {
			s.carried = s.carried[:len(s.carried)-1]
		} else {
			s.carried = s.carried[1:]
		}
		if !c.Deleted {
			s.scanRow = row
			return true
		}
	}
}

// loadEngine finds the engine's next visible row.
func (s *Scanner) loadEngine() {
	s.haveEng = true
	for s.it.Valid() && s.err == nil && len(s.Conflicts) < maxConflicts {
		var visible bool
		if s.reverse {
			visible = s.groupReverse()
		} else {
			visible = s.group()
		}
		if visible {
			return
		}
	}
	s.eng.Key = nil
}

// groupReverse reads the key that the iterator stands at, from its first
// version, and moves to the key before it.
func (s *Scanner) groupReverse() bool {
	k := s.it.Key()
	prefix := k[:len(k)-hlc.EncodedLen]
	if !s.it.SeekGE(prefix) {
		s.err = ErrCorrupt
		return false
	}
	visible := s.read(prefix)
	s.it.SeekLT(prefix)
	return visible
}

// group reads the key that the iterator stands at and moves to the one after it.
func (s *Scanner) group() bool {
	k := s.it.Key()
	prefix := k[:len(k)-hlc.EncodedLen]
	visible := s.read(prefix)
	// A key has few versions as a rule, so a seek pays only after some steps.
	for i := 0; s.it.Valid() && samePrefix(s.it.Key(), prefix); i++ {
		if i < 3 {
			s.it.Next()
			continue
		}
		s.seek = append(s.seek[:0], prefix...)
		s.seek[len(s.seek)-1]++
		s.it.SeekGE(s.seek)
		break
	}
	return visible
}

func samePrefix(k, prefix []byte) bool {
	return len(k) == len(prefix)+hlc.EncodedLen && bytes.Equal(k[:len(prefix)], prefix)
}

// read picks the visible version among those of one key, the iterator standing
// at the newest, and fills s.eng.
func (s *Scanner) read(prefix []byte) bool {
	row := &s.eng
	*row = scanRow{}
	k, raw := s.it.Key(), s.it.Value()
	ts := hlc.DecodeDesc(k[len(prefix):])
	own, conflict := false, false
	if ts == hlc.MaxTimestamp {
		in := &s.lastIntent
		if s.err = in.decode(raw); s.err != nil {
			return false
		}
		if at := s.settled(in); !at.IsZero() {
			row.Newest, row.Live = at, !in.Deleted
			if at.LessEq(s.opts.TS) {
				return !in.Deleted && s.finish(prefix, in.Value, at)
			}
			if at.LessEq(s.opts.Limit) {
				s.Uncertain = s.Uncertain.Forward(at)
			}
		} else if own, conflict = s.intent(in, raw, prefix); conflict {
			return false
		}
		if !s.it.Next() || !samePrefix(s.it.Key(), prefix) {
			return own && s.finishOwn(prefix)
		}
		k, raw = s.it.Key(), s.it.Value()
		ts = hlc.DecodeDesc(k[len(prefix):])
	}
	if len(raw) == 0 {
		s.err = ErrCorrupt
		return false
	}
	if row.Newest.IsZero() {
		row.Newest, row.Live = ts, raw[0] == flagValue
	}
	if own {
		return s.finishOwn(prefix)
	}
	for s.opts.TS.Less(ts) {
		if ts.LessEq(s.opts.Limit) {
			s.Uncertain = s.Uncertain.Forward(ts)
		}
		if !s.it.Next() || !samePrefix(s.it.Key(), prefix) {
			return false
		}
		k, raw = s.it.Key(), s.it.Value()
		ts = hlc.DecodeDesc(k[len(prefix):])
	}
	v, deleted, err := DecodeValue(raw)
	if err != nil {
		s.err = err
		return false
	}
	return !deleted && s.finish(prefix, v, ts)
}

// settled is ReadOptions.settled with a memory of one transaction: that it has
// committed never changes.
func (s *Scanner) settled(in *Intent) hlc.Timestamp {
	if !s.settledAt.IsZero() && in.Txn.ID == s.settledID && in.Txn.Epoch == s.settledIn {
		return s.settledAt
	}
	at := s.opts.settled(in)
	if !at.IsZero() {
		s.settledID, s.settledIn, s.settledAt = in.Txn.ID, in.Txn.Epoch, at
	}
	return at
}

// finish makes a version the row.
func (s *Scanner) finish(prefix, value []byte, ts hlc.Timestamp) bool {
	s.eng.Key, s.eng.Value, s.eng.TS = s.logical(prefix), value, ts
	return true
}

// intent takes an intent into account: the reader's own goes into s.eng, marked
// with a deletion by a nil Key.
func (s *Scanner) intent(in *Intent, raw, prefix []byte) (own, conflict bool) {
	o := &s.opts
	if !o.own(in) {
		if o.inTheWay(in) {
			// A conflict outlives the view.
			if in, s.err = DecodeIntent(bytes.Clone(raw)); s.err != nil {
				return false, true
			}
			key := append([]byte(nil), s.logical(prefix)...)
			s.Conflicts = append(s.Conflicts, FoundIntent{key, in})
			return false, true
		}
		return false, false
	}
	if in.Txn.Epoch != o.Epoch {
		return false, false
	}
	w, ok := in.At(o.Seq, o.Ignored)
	if !ok {
		return false, false
	}
	s.eng.Own = !w.Deleted
	s.eng.Value = w.Value
	return true, false
}

func (s *Scanner) finishOwn(prefix []byte) bool {
	if !s.eng.Own {
		return false
	}
	s.eng.Key = s.logical(prefix)
	return true
}

// logical returns the logical key of an engine prefix, without a copy when
// nothing in it was escaped.
func (s *Scanner) logical(prefix []byte) []byte {
	raw := prefix[spaceHeader : len(prefix)-terminator]
	if bytes.IndexByte(raw, 0) < 0 {
		return raw[:len(raw):len(raw)]
	}
	n := len(s.arena)
	if cap(s.arena)-n < len(raw) {
		// Keys handed out keep the old memory alive.
		s.arena, n = make([]byte, 0, max(4096, 2*cap(s.arena), len(raw))), 0
	}
	out, _, err := keys.DecodeBytes(s.arena, prefix[spaceHeader:])
	if err != nil {
		s.err = err
		return nil
	}
	s.arena = out
	return out[n:len(out):len(out)]
}

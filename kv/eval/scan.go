package eval

import (
	"bytes"
	"errors"
	"slices"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/concurrency"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/keys"
)

// maxBlock is the most rows that an evaluator gets at a time.
const maxBlock = 1024

// scanBlock holds a scan's rows on their way to the evaluator.
type scanBlock struct {
	keys, values [][]byte
	rows         []blockRow
	pass         []int32
	most         int // rows held at a time since the last reset
}

// blockRow is what locking needs of a row.
type blockRow struct {
	base, newest hlc.Timestamp
}

// reset forgets all rows that the block has held: a small scan does not pay for
// the room that a large one left.
func (b *scanBlock) reset() {
	b.clear()
	clear(b.keys[:b.most])
	clear(b.values[:b.most])
	b.pass, b.most = b.pass[:0], 0
}

func (b *scanBlock) clear() {
	b.most = max(b.most, len(b.keys))
	b.keys, b.values, b.rows = b.keys[:0], b.values[:0], b.rows[:0]
}

var noOptions api.ScanOptions

// scanRun is one scan under way.
type scanRun struct {
	ev   *evaluation
	r    *api.Request
	o    *api.ScanOptions
	resp *api.Response
	sc   *mvcc.Scanner
	run  api.ScanRun // nil: plain rows

	rows, bytes, outBytes int64
	// resume is where the answer ends when full is set.
	resume api.Key
	full   bool
}

// scan reads a span through the optional program.
func (ev *evaluation) scan(r *api.Request, resp *api.Response) error {
	if ev.readTS.Less(ev.gcLimit) {
		return &api.GCError{Threshold: ev.gcLimit}
	}
	if !ev.ba.NoIntents && ev.ba.Txn != nil {
		if err := ev.checkMarker(r.Key, r.End); err != nil {
			return err
		}
	}
	s := scanRun{ev: ev, r: r, o: r.Scan, resp: resp}
	if s.o == nil {
		s.o = &noOptions
	}
	if s.o.Program != nil {
		run, err := ev.rng.Evaluator().Open(s.o.Program, s.o.MaxRows)
		switch {
		case errors.Is(err, api.ErrUnknownProgram):
			resp.Raw = true
		case err != nil:
			return err
		default:
			s.run = run
		}
	}
	o := ev.opts
	o.Lock = r.Lock != api.LockNone
	s.sc = &ev.scanner
	s.sc.Start(ev.openView(), ev.space, r.Key, r.End, r.Reverse, ev.ba.Carried, &o)
	defer s.sc.Close()
	if err := s.blocks(); err != nil {
		return err
	}
	return s.finish()
}

// blocks feeds the rows, in growing blocks, to the evaluator.
func (s *scanRun) blocks() error {
	b := &s.ev.block
	want := maxBlock
	if s.o.MaxRows > 0 && s.o.MaxRows < maxBlock {
		want = int(s.o.MaxRows)
	}
	if s.run == nil && s.o.MaxRows > 0 {
		// One more tells whether there is a rest.
		want++
	}
	for n := 0; !s.full; n++ {
		if n == serialBlocks && s.mayReadAhead() {
			return s.blocksAhead()
		}
		b.clear()
		s.sc.ResetArena()
		for len(b.keys) < want && s.sc.Next() {
			if s.skip() {
				continue
			}
			s.bytes += int64(len(s.sc.Key) + len(s.sc.Value))
			b.keys, b.values = append(b.keys, s.sc.Key), append(b.values, s.sc.Value)
			if s.r.Lock != api.LockNone || s.run == nil {
				b.rows = append(b.rows, s.versions())
			}
		}
		if err := s.sc.Err(); err != nil {
			return err
		}
		if err := s.inTheWay(); err != nil {
			return err
		}
		if len(b.keys) == 0 {
			return nil
		}
		last := len(b.keys) < want
		if err := s.block(b); err != nil {
			return err
		}
		if last {
			return nil
		}
		if want = min(want*8, maxBlock); s.o.MaxBytes > 0 && s.bytes >= s.o.MaxBytes && !s.full {
			s.stopAfter(b.keys[len(b.keys)-1])
		}
	}
	return nil
}

// versions returns what an answer says of the scanner's row: the version read or,
// with a lock, the one that a write would be based on.
func (s *scanRun) versions() blockRow {
	if s.r.Lock != api.LockNone {
		return blockRow{s.sc.Base(), s.sc.Newest}
	}
	return blockRow{s.sc.TS, s.sc.Newest}
}

// skip reports whether SKIP LOCKED leaves the row out.
func (s *scanRun) skip() bool {
	return s.r.Lock != api.LockNone && s.r.Wait == api.WaitSkip &&
		s.ev.m.LockedByOther(s.sc.Key, concurrency.Hash(s.sc.Key), s.ev.txn.ID, s.r.Lock)
}

// inTheWay reports what stops the scan so far.
func (s *scanRun) inTheWay() error {
	if !s.sc.Uncertain.IsZero() && s.r.Lock == api.LockNone {
		return &api.RetryError{Reason: api.ReasonUncertain, Timestamp: s.sc.Uncertain}
	}
	if len(s.sc.Conflicts) == 0 || s.r.Wait == api.WaitSkip {
		s.sc.Conflicts = nil
		return nil
	}
	for _, c := range s.sc.Conflicts {
		s.ev.addConflict(c.Key, c.Intent, s.r.Lock, s.r.Wait)
	}
	return errConflict
}

// block takes one block of visible rows.
func (s *scanRun) block(b *scanBlock) error {
	s.rows += int64(len(b.keys))
	if s.run == nil {
		return s.plain(b)
	}
	consumed, passed, err := s.run.Block(b.keys, b.values, b.pass[:0])
	if err != nil {
		return err
	}
	b.pass = passed
	if consumed < len(b.keys) {
		s.stopBefore(b.keys[consumed], consumed, b)
	}
	if s.r.Lock != api.LockNone {
		for _, i := range passed {
			if err := s.lock(b, int(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain answers rows as they are.
func (s *scanRun) plain(b *scanBlock) error {
	s.resp.KVs = slices.Grow(s.resp.KVs, len(b.keys))
	for i := range b.keys {
		if s.o.MaxRows > 0 && int64(len(s.resp.KVs)) >= s.o.MaxRows ||
			s.o.MaxBytes > 0 && s.outBytes >= s.o.MaxBytes && len(s.resp.KVs) > 0 {
			s.stopBefore(b.keys[i], i, b)
			return nil
		}
		if s.r.Lock != api.LockNone {
			if err := s.lock(b, i); err != nil {
				return err
			}
		}
		kv := api.KeyValue{Key: s.keep(b.keys[i]), VersionTS: b.rows[i].base}
		if !s.o.KeysOnly {
			kv.Value = s.keep(b.values[i])
		}
		s.resp.KVs = append(s.resp.KVs, kv)
	}
	return nil
}

// keep copies bytes out of the view. The scans of a batch share memory for them.
func (s *scanRun) keep(v []byte) []byte {
	out := s.ev.kept
	if cap(out)-len(out) < len(v) {
		// What was handed out keeps the old memory; only the length goes on.
		out = make([]byte, 0, max(len(v), min(max(256, 2*cap(out)), 64<<10)))
	}
	n := len(out)
	s.outBytes += int64(len(v))
	out = append(out, v...)
	s.ev.kept = out
	return out[n:len(out):len(out)]
}

// lock locks a row that passed. A row that changed after the snapshot cannot be
// locked as it was seen.
func (s *scanRun) lock(b *scanBlock, i int) error {
	ev, key := s.ev, b.keys[i]
	if !ev.m.TryLock(key, concurrency.Hash(key), ev.txn, s.r.Lock, ev.ba.LockSeq) {
		if s.r.Wait == api.WaitError {
			return &api.LockUnavailableError{Key: bytes.Clone(key)}
		}
		ev.blocked = blockedKey{bytes.Clone(key), s.r.Lock, s.r.Wait}
		return errBlocked
	}
	row := &b.rows[i]
	if ev.readTS.Less(row.newest) {
		return newerVersion(row.newest)
	}
	s.resp.Locked = append(s.resp.Locked, api.LockedKey{Key: bytes.Clone(key), VersionTS: row.base})
	return nil
}

// stopBefore ends the answer before the i-th row of the block.
func (s *scanRun) stopBefore(key []byte, i int, b *scanBlock) {
	s.full = true
	switch {
	case !s.r.Reverse:
		s.resume = bytes.Clone(key)
	case i > 0:
		s.resume = bytes.Clone(b.keys[i-1])
	default:
		s.resume = keys.Next(key)
	}
}

// stopAfter ends the answer after a row.
func (s *scanRun) stopAfter(key []byte) {
	s.full = true
	if s.r.Reverse {
		s.resume = bytes.Clone(key)
		return
	}
	s.resume = keys.Next(key)
}

func (s *scanRun) finish() error {
	ev := s.ev
	start, end := s.r.Key, s.r.End
	if s.full {
		s.resp.Resume = s.resume
		if s.r.Reverse {
			start = s.resume
		} else {
			end = s.resume
		}
	}
	ev.m.NoteReadSpan(start, end, ev.readTS, ev.opts.ID)
	ev.resp.Stats.RowsScanned += s.rows
	ev.resp.Stats.BytesScanned += s.bytes
	if s.run == nil {
		return nil
	}
	res, err := s.run.Finish()
	s.resp.Result = res
	return err
}

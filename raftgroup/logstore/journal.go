package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// op is one change of the log file: an entry, or the deletion of a run of them.
type op struct {
	log         *raft.Log // nil for a deletion
	first, last uint64
}

// journal is a raft-boltdb file with a journal before it. A write goes to the end
// of a preallocated file and costs one sync that moves no metadata, where a
// transaction of bbolt costs two and rewrites pages. Full segments move to the
// raft-boltdb file in the background, without the entries that have been deleted
// meanwhile: that is why they wait as long as they can.
//
//	write ─▶ active segment ─▶ (full) frozen segment ─▶ drain ─▶ raft.db
//	get   ◀─ active, else frozen, else raft.db
//
// After a crash the segments that were not drained are read again; what they say
// stands above what raft.db says, so a drain may be cut off anywhere.
type journal struct {
	b     *raftboltdb.BoltStore
	full  int64 // bytes after which a segment is full
	quick time.Duration
	fatal func(error)
	salt  uint64

	// Only the writer, of which there is one at a time, has these.
	seq uint64 // of the last frame
	buf []byte

	mu     sync.RWMutex
	active *segment // never nil
	frozen *segment // nil if everything else is drained
	spare  *segment // nil while frozen is not
	// draining: the frozen segment is on its way, and must not be changed.
	draining bool
	since    time.Time // when the active segment began
	idle     *sync.Cond
	closed   bool
}

// segmentBytes is when a segment of the journal is full; two of them exist. A busy
// group truncates its log every few thousand entries, and what was truncated
// before its segment is drained never goes to the raft-boltdb file: a segment
// should hold several times that. Reading one at a start takes some 30 ms.
const segmentBytes = 32 << 20

// A frozen segment is drained when the active one is three quarters full, so that
// there is room to write meanwhile. One that filled up within quickFill is drained
// at once: little of it will be truncated in time, and the next is full soon.
const quickFill = 4 * time.Second

func (j *journal) drainAt() int64 { return j.full / 4 * 3 }

// markAt is where raft.db says what has been drained; slot 0 begins at 1.
const markAt = 0

// mark is the content of that entry.
type mark struct {
	drained uint64 // the last frame whose segment has been drained
	salt    uint64 // makes the checksums of this journal its own
}

const markVersion = 1

func (m mark) log() *raft.Log {
	b := binary.BigEndian.AppendUint64([]byte{markVersion}, m.drained)
	return &raft.Log{Index: markAt, Data: binary.BigEndian.AppendUint64(b, m.salt)}
}

func decodeMark(b []byte) (m mark, err error) {
	if len(b) != 17 || b[0] != markVersion {
		return m, errors.New("logstore: malformed mark of the journal")
	}
	return mark{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}, nil
}

// errDamaged says that synced frames cannot be read.
var errDamaged = errors.New("logstore: the journal is damaged: frames are missing")

// openJournal opens the journal's segments in a directory, and reads what has not
// been drained. salt is that of a new journal.
func openJournal(dir string, b *raftboltdb.BoltStore, full int64, salt uint64, fatal func(error)) (*journal, error) {
	j := &journal{b: b, full: full, quick: quickFill, fatal: fatal, since: time.Now()}
	j.idle = sync.NewCond(&j.mu)
	var l raft.Log
	err := b.GetLog(markAt, &l)
	m := mark{salt: salt}
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		err = b.StoreLogs([]*raft.Log{m.log()})
	case err == nil:
		m, err = decodeMark(l.Data)
	}
	if err != nil {
		return nil, err
	}
	j.salt, j.seq = m.salt, m.drained
	var live []*segment
	for i := range 2 {
		s, err := openSegment(filepath.Join(dir, fmt.Sprintf("journal-%d", i)))
		if err != nil {
			j.closeFiles(live...)
			return nil, err
		}
		live = append(live, s)
	}
	if err := j.recover(live[0], live[1], m.drained); err != nil {
		j.closeFiles(live...)
		return nil, err
	}
	return j, nil
}

// recover reads both segments and finds out which is which.
func (j *journal) recover(a, b *segment, drained uint64) error {
	for _, s := range []*segment{a, b} {
		if err := s.load(j.salt, drained); err != nil {
			return err
		}
	}
	// The older first; an empty one is the younger.
	if b.first != 0 && (a.first == 0 || b.first < a.first) {
		a, b = b, a
	}
	if a.first != 0 && a.first != drained+1 || b.first != 0 && b.first != a.last+1 {
		return errDamaged
	}
	switch {
	case b.first != 0:
		j.frozen, j.active, j.seq = a, b, b.last
		for _, g := range b.gone {
			a.forget(g.first, g.last)
		}
	case a.first != 0:
		j.active, j.spare, j.seq = a, b, a.last
	default:
		j.active, j.spare = a, b
	}
	return nil
}

// write makes changes durable, all of them or none. Only one caller at a time.
func (j *journal) write(ops []op) error {
	j.buf = appendFrame(j.buf[:0], j.salt, j.seq+1, ops)
	s := j.active // only the writer changes it
	if s.pos > 0 && s.pos+int64(len(j.buf)) > j.full {
		var err error
		if s, err = j.rotate(); err != nil {
			return err
		}
	}
	if err := s.put(j.buf, j.full); err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	j.seq++
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := s.index(j.buf, s.pos); err != nil {
		return err
	}
	s.pos += int64(len(j.buf))
	if j.frozen != nil && !j.draining {
		for _, o := range ops {
			if o.log == nil {
				j.frozen.forget(o.first, o.last)
			}
		}
		if s.pos >= j.drainAt() {
			j.startDrain()
		}
	}
	if s.first == 0 {
		s.first = j.seq
	}
	s.last = j.seq
	if cap(j.buf) > 4*commitBytes {
		j.buf = nil
	}
	return nil
}

// rotate freezes the active segment and goes on in the other, once that has been
// drained.
func (j *journal) rotate() (*segment, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.frozen != nil && !j.closed {
		if !j.draining {
			j.startDrain()
		}
		j.idle.Wait()
	}
	if j.closed {
		return nil, errClosed
	}
	j.frozen, j.active, j.spare = j.active, j.spare, nil
	if time.Since(j.since) < j.quick {
		j.startDrain()
	}
	j.since = time.Now()
	return j.active, nil
}

// startDrain has the frozen segment drained. The caller holds mu.
func (j *journal) startDrain() {
	j.draining = true
	go j.drain(j.frozen)
}

// drain moves a frozen segment to the raft-boltdb file.
func (j *journal) drain(s *segment) {
	err := s.drain(j.b, mark{s.last, j.salt})
	j.mu.Lock()
	if err == nil {
		s.reset()
		j.frozen, j.spare, j.draining = nil, s, false
	} else {
		j.closed = true
	}
	j.idle.Broadcast()
	j.mu.Unlock()
	if err != nil {
		j.fatal(fmt.Errorf("logstore: draining the journal: %w", err))
	}
}

// get reads an entry.
func (j *journal) get(key uint64, l *raft.Log) error {
	j.mu.RLock()
	for _, s := range []*segment{j.active, j.frozen} {
		if s == nil {
			continue
		}
		if at, ok := s.puts[key]; ok {
			defer j.mu.RUnlock()
			return s.read(at, l)
		}
		if s.gone.has(key) {
			j.mu.RUnlock()
			return raft.ErrLogNotFound
		}
	}
	// While raft.db is being read, a drain only adds what the frozen segment said,
	// and this key is not in it.
	defer j.mu.RUnlock()
	return j.b.GetLog(key, l)
}

// close waits for a drain; what the segments hold is read again at open.
func (j *journal) close() error {
	j.mu.Lock()
	for j.draining && !j.closed {
		j.idle.Wait()
	}
	j.closed = true
	j.idle.Broadcast()
	j.mu.Unlock()
	j.closeFiles(j.active, j.frozen, j.spare)
	return j.b.Close()
}

func (j *journal) closeFiles(ss ...*segment) {
	for _, s := range ss {
		if s != nil {
			_ = s.f.Close() // all that counts was synced
		}
	}
}

// A frame is what one write adds, and is read whole or not at all:
//
//	checksum of the rest (4) | length of the ops (4) | sequence number (8) | ops
//
// Sequence numbers have no gap, so what an earlier use of the segment left behind
// a frame is never taken for the next. The checksum starts from the journal's
// salt, so that no entry can hold bytes that pass for a frame.
const frameHeader = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func frameSum(salt uint64, b []byte) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Update(0, castagnoli, s[:]), castagnoli, b)
}

func appendFrame(b []byte, salt, seq uint64, ops []op) []byte {
	b = append(b, make([]byte, frameHeader)...)
	for _, o := range ops {
		b = appendOp(b, o)
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-frameHeader))
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint32(b, frameSum(salt, b[4:]))
	return b
}

// frameAt returns the whole frame that b begins with, or nothing.
func frameAt(b []byte, salt uint64) (frame []byte, seq uint64) {
	if len(b) < frameHeader {
		return nil, 0
	}
	n := int64(binary.LittleEndian.Uint32(b[4:])) + frameHeader
	if n > int64(len(b)) || frameSum(salt, b[4:n]) != binary.LittleEndian.Uint32(b) {
		return nil, 0
	}
	return b[:n], binary.LittleEndian.Uint64(b[8:])
}

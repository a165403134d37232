package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// segment is one file of the journal, and what it changes in the raft-boltdb file.
type segment struct {
	f           *os.File
	pos         int64  // where the next frame goes
	size        int64  // of the file: blocks below it exist
	first, last uint64 // its frames; 0 if there are none

	puts map[uint64]place
	gone spans // deleted below this segment, and not necessarily put again
}

// place is where an entry lies in the segment.
type place struct{ off, n uint32 }

func openSegment(path string) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("logstore: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("logstore: %w", err)
	}
	return &segment{f: f, size: st.Size(), puts: map[uint64]place{}}, nil
}

// load reads the frames after those that were drained.
func (s *segment) load(salt, drained uint64) error {
	var head [frameHeader]byte
	if _, err := s.f.ReadAt(head[:], 0); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	// Segments are drained whole, so the first frame tells about all.
	if binary.LittleEndian.Uint64(head[8:]) <= drained {
		return nil
	}
	b := make([]byte, s.size)
	if _, err := s.f.ReadAt(b, 0); err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	for {
		frame, seq := frameAt(b[s.pos:], salt)
		if frame == nil || s.first != 0 && seq != s.last+1 {
			break
		}
		if err := s.index(frame, s.pos); err != nil {
			return err
		}
		if s.first == 0 {
			s.first = seq
		}
		s.last = seq
		s.pos += int64(len(frame))
	}
	if s.first == 0 {
		return nil
	}
	// The process may have ended between writing the last frame and its sync.
	return datasync(s.f)
}

// growth is by how much a segment's file grows while it is filled for the first
// time: a sync that overwrites blocks is two to three times as fast as one that
// adds some.
const growth = 1 << 20

// put writes a frame at the end and syncs.
func (s *segment) put(frame []byte, full int64) error {
	end := s.pos + int64(len(frame))
	if _, err := s.f.WriteAt(frame, s.pos); err != nil {
		return err
	}
	if end > s.size {
		to := max(min(end+growth, full), end)
		if _, err := s.f.WriteAt(make([]byte, to-end), end); err != nil {
			return err
		}
		s.size = to
		return s.f.Sync()
	}
	return datasync(s.f)
}

// index enters a frame's changes.
func (s *segment) index(frame []byte, at int64) error {
	for off := frameHeader; off < len(frame); {
		o, n, err := decodeOp(frame[off:])
		if err != nil {
			return err
		}
		if o.log != nil {
			s.puts[o.log.Index] = place{uint32(at + int64(off)), uint32(n)}
		} else {
			s.delete(o.first, o.last)
		}
		off += n
	}
	return nil
}

func (s *segment) delete(first, last uint64) {
	s.gone.add(first, last)
	s.forget(first, last)
}

// forget drops entries that need not be drained any more.
func (s *segment) forget(first, last uint64) {
	if last-first > uint64(len(s.puts)) {
		maps.DeleteFunc(s.puts, func(k uint64, _ place) bool { return first <= k && k <= last })
		return
	}
	for k := first; k <= last; k++ {
		delete(s.puts, k)
	}
}

func (s *segment) read(at place, l *raft.Log) error {
	b := make([]byte, at.n)
	if _, err := s.f.ReadAt(b, int64(at.off)); err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	o, _, err := decodeOp(b)
	if err == nil {
		*l = *o.log
	}
	return err
}

// drain applies what is left of the segment to the raft-boltdb file; the last
// transaction carries the mark.
func (s *segment) drain(b *raftboltdb.BoltStore, m mark) error {
	for _, g := range s.gone {
		if err := b.DeleteRange(g.first, g.last); err != nil {
			return err
		}
	}
	data := make([]byte, s.pos)
	if _, err := s.f.ReadAt(data, 0); err != nil {
		return err
	}
	keys := slices.Sorted(maps.Keys(s.puts))
	logs := make([]*raft.Log, 0, min(len(keys)+1, drainEntries+1))
	size := 0
	for i, k := range keys {
		o, _, err := decodeOp(data[s.puts[k].off:])
		if err != nil {
			return err
		}
		logs = append(logs, o.log)
		if size += len(o.log.Data); i+1 < len(keys) && (len(logs) == drainEntries || size > drainBytes) {
			if err := b.StoreLogs(logs); err != nil {
				return err
			}
			logs, size = logs[:0], 0
		}
	}
	return b.StoreLogs(append(logs, m.log()))
}

// Limits of one transaction of a drain.
const (
	drainEntries = 8192
	drainBytes   = 4 << 20
)

// reset forgets the contents; the blocks stay.
func (s *segment) reset() {
	s.pos, s.first, s.last, s.gone = 0, 0, 0, nil
	s.puts = map[uint64]place{}
}

// spans are runs of keys: sorted, apart from each other.
type spans []span

type span struct{ first, last uint64 }

func (s *spans) add(first, last uint64) {
	// Those that touch it: from the first that ends at first-1 or later.
	from := sort.Search(len(*s), func(i int) bool { return first == 0 || (*s)[i].last >= first-1 })
	to := from
	for ; to < len(*s) && ((*s)[to].first <= last || (*s)[to].first == last+1); to++ {
		first, last = min(first, (*s)[to].first), max(last, (*s)[to].last)
	}
	*s = slices.Replace(*s, from, to, span{first, last})
}

func (s spans) has(k uint64) bool {
	_, ok := slices.BinarySearchFunc(s, k, func(r span, k uint64) int {
		switch {
		case r.last < k:
			return -1
		case r.first > k:
			return 1
		}
		return 0
	})
	return ok
}

// Kinds of operations in a frame.
const (
	opPut    = 1
	opDelete = 2
)

func appendOp(b []byte, o op) []byte {
	if o.log == nil {
		b = append(b, opDelete)
		b = binary.AppendUvarint(b, o.first)
		return binary.AppendUvarint(b, o.last)
	}
	l := o.log
	b = append(b, opPut, byte(l.Type))
	b = binary.AppendUvarint(b, l.Index)
	b = binary.AppendUvarint(b, l.Term)
	appended := int64(0)
	if !l.AppendedAt.IsZero() {
		appended = l.AppendedAt.UnixNano()
	}
	b = binary.AppendVarint(b, appended)
	b = binary.AppendUvarint(b, uint64(len(l.Extensions)))
	b = append(b, l.Extensions...)
	b = binary.AppendUvarint(b, uint64(len(l.Data)))
	return append(b, l.Data...)
}

var errOp = errors.New("logstore: malformed entry in the journal")

// decodeOp reads the change that b begins with, and how long it is. Its data lies
// in b.
func decodeOp(b []byte) (o op, n int, err error) {
	d := decoder{b: b}
	switch kind := d.byte(); kind {
	case opDelete:
		o.first, o.last = d.uint(), d.uint()
		if o.first > o.last {
			d.bad = true
		}
	case opPut:
		l := &raft.Log{Type: raft.LogType(d.byte()), Index: d.uint(), Term: d.uint()}
		if at := d.int(); at != 0 {
			l.AppendedAt = time.Unix(0, at)
		}
		l.Extensions = d.bytes()
		l.Data = d.bytes()
		o.log = l
	default:
		d.bad = true
	}
	if d.bad {
		return op{}, 0, errOp
	}
	return o, d.at, nil
}

// decoder reads the parts of an operation.
type decoder struct {
	b   []byte
	at  int
	bad bool
}

func (d *decoder) byte() byte {
	if d.at >= len(d.b) {
		d.bad = true
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	d.take(n)
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b[d.at:])
	d.take(n)
	return v
}

func (d *decoder) take(n int) {
	if n <= 0 {
		d.bad = true
		return
	}
	d.at += n
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if d.bad || n > uint64(len(d.b)-d.at) {
		d.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at : d.at]
}

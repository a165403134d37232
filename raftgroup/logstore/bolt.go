package logstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/stop"
	bolt "go.etcd.io/bbolt"
)

// Options tunes a directory of logs.
type Options struct {
	// Fatal is called with a write error and must not return to normal work. The
	// default panics.
	Fatal func(error)
	// Segment is how many bytes of the journal move to the raft-boltdb file at a
	// time, 32 MiB if it is 0.
	Segment int64
}

func (o Options) segment() int64 {
	if o.Segment == 0 {
		return segmentBytes
	}
	return o.Segment
}

// The logs of a node share one raft-boltdb store: an entry of a group lies at
// slot<<slotShift | index. Index 0 of a slot is its header, and slot 0 lists which
// range has which slot.
const (
	slotShift = 40
	maxIndex  = 1<<slotShift - 1
	maxSlot   = 1<<(64-slotShift) - 1
	headerAt  = 0
	listSlot  = 0
)

// logMap is the address space of the file; one that outgrows it is mapped again,
// which waits for readers.
const logMap = 256 << 30

// boltDir keeps the logs of all groups in one raft-boltdb file with a journal
// before it, so that one sync serves the appends of many groups.
type boltDir struct {
	j     *journal
	fatal func(error)
	write committer
	// ahead runs the writes that leaders do not wait for.
	ahead *stop.Group

	mu    sync.Mutex
	slots map[ids.RangeID]uint64
	free  []uint64
	last  uint64 // the highest slot that was ever used
}

// OpenDir opens or creates the log file of a directory.
func OpenDir(path string, opts Options) (Dir, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("logstore: %w", err)
	}
	if opts.Fatal == nil {
		opts.Fatal = func(err error) { panic(err) }
	}
	file := filepath.Join(path, "raft.db")
	b, err := raftboltdb.New(raftboltdb.Options{
		Path:                    file,
		MsgpackUseNewTimeFormat: true,
		BoltOptions: &bolt.Options{
			Timeout:         time.Nanosecond,
			NoFreelistSync:  true,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: logMap,
			NoStatistics:    true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("logstore: opening the Raft log %s: %w", file, err)
	}
	j, err := openJournal(path, b, opts.segment(), rand.Uint64(), opts.Fatal)
	if err == nil {
		err = syncDir(path)
	}
	d := &boltDir{j: j, fatal: opts.Fatal, slots: map[ids.RangeID]uint64{}, ahead: stop.New(context.Background())}
	if err == nil {
		d.write.store = j.write
		err = d.loadSlots()
	}
	if err == nil {
		return d, nil
	}
	if j != nil {
		_ = j.close()
	} else {
		_ = b.Close()
	}
	return nil, fmt.Errorf("logstore: reading the Raft log %s: %w", file, err)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("logstore: %w", err)
	}
	return nil
}

func at(slot, index uint64) uint64 { return slot<<slotShift | index }

// lastFrom returns the end of the run of entries that starts at first, or 0 if
// there is none there.
func (d *boltDir) lastFrom(slot, first uint64) (uint64, error) {
	var l raft.Log
	has := func(i uint64) (bool, error) {
		if i > maxIndex {
			return false, nil
		}
		err := d.j.get(at(slot, i), &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	step := uint64(1)
	for ; ; step *= 2 {
		ok, err := has(first + step - 1)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
	}
	if step == 1 {
		return 0, nil
	}
	// An entry is at first+step/2-1, and none at first+step-1.
	lo, hi := first+step/2-1, first+step-1
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		ok, err := has(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// loadSlots reads which range has which slot.
func (d *boltDir) loadSlots() error {
	var err error
	if d.last, err = d.lastFrom(listSlot, 1); err != nil {
		return err
	}
	var l raft.Log
	for s := uint64(1); s <= d.last; s++ {
		if err := d.j.get(at(listSlot, s), &l); err != nil {
			return err
		}
		r := ids.RangeID(binary.BigEndian.Uint64(l.Data))
		if r == 0 {
			d.free = append(d.free, s)
		} else {
			d.slots[r] = s
		}
	}
	return nil
}

// listed returns the entry that gives a slot to a range; 0 gives it back.
func listed(slot uint64, r ids.RangeID) op {
	return op{log: &raft.Log{Index: at(listSlot, slot), Data: binary.BigEndian.AppendUint64(nil, uint64(r))}}
}

// slot returns a range's slot, and takes one if it has none: then entry must be
// written before the slot is used.
func (d *boltDir) slot(r ids.RangeID) (s uint64, entry []op, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.slots[r]; ok {
		return s, nil, nil
	}
	if n := len(d.free); n > 0 {
		s, d.free = d.free[n-1], d.free[:n-1]
	} else if d.last == maxSlot {
		return 0, nil, errors.New("logstore: too many logs")
	} else {
		d.last++
		s = d.last
	}
	d.slots[r] = s
	return s, []op{listed(s, r)}, nil
}

// Open implements Dir.
func (d *boltDir) Open(r ids.RangeID) (Store, error) {
	slot, entry, err := d.slot(r)
	if err != nil {
		return nil, err
	}
	b := &boltBackend{d: d, slot: slot, head: header{first: 1}}
	if entry != nil {
		err = d.write.do(entry)
	} else {
		err = b.load()
	}
	if err != nil {
		return nil, fmt.Errorf("logstore: opening the log of %s: %w", r, err)
	}
	return newStore(b, func(err error) {
		d.fatal(fmt.Errorf("logstore: writing the log of %s: %w", r, err))
	}, d.spawn)
}

// Remove implements Dir.
func (d *boltDir) Remove(r ids.RangeID) error {
	d.mu.Lock()
	slot, ok := d.slots[r]
	d.mu.Unlock()
	if !ok {
		return nil
	}
	err := d.write.do([]op{{first: at(slot, headerAt), last: at(slot, maxIndex)}, listed(slot, 0)})
	if err != nil {
		return fmt.Errorf("logstore: removing the log of %s: %w", r, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.slots, r)
	d.free = append(d.free, slot)
	return nil
}

// Later implements Dir.
func (d *boltDir) Later(f func() bool) bool { return d.write.later(f) }

// spawn runs f, after Close by itself: the journal then answers that it is closed.
func (d *boltDir) spawn(f func()) {
	if !d.ahead.Go("raft log", func(context.Context) { f() }) {
		f()
	}
}

// Close implements Dir.
func (d *boltDir) Close() error {
	d.ahead.Stop()
	return d.j.close()
}

// boltBackend is one group's part of the file.
type boltBackend struct {
	d    *boltDir
	slot uint64

	// mu guards all below; writes of the header queue up in the order of changes.
	mu     sync.Mutex
	head   header
	last   uint64 // 0 in an empty log
	closed bool
}

var errClosed = errors.New("logstore: the log is closed")

// load reads the header and finds the end of the log.
func (b *boltBackend) load() error {
	var l raft.Log
	err := b.d.j.get(at(b.slot, headerAt), &l)
	if err == nil {
		b.head, err = decodeHeader(l.Data)
	} else if errors.Is(err, raft.ErrLogNotFound) {
		err = nil // nothing but entries from 1 on
	}
	if err != nil {
		return err
	}
	b.last, err = b.d.lastFrom(b.slot, b.head.first)
	return err
}

func (b *boltBackend) bounds() (first, last uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == 0 {
		return 0, 0, nil
	}
	return b.head.first, b.last, nil
}

func (b *boltBackend) get(index uint64, l *raft.Log) error {
	err := b.d.j.get(at(b.slot, index), l)
	l.Index = index
	return err
}

func (b *boltBackend) start(logs []*raft.Log) (func() error, error) {
	moved := make([]raft.Log, len(logs))
	out := make([]op, len(logs), len(logs)+1)
	for i, l := range logs {
		if l.Index == 0 || l.Index > maxIndex {
			return nil, fmt.Errorf("logstore: index %d is out of bounds", l.Index)
		}
		moved[i] = *l
		moved[i].Index = at(b.slot, l.Index)
		out[i].log = &moved[i]
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, errClosed
	}
	if b.last == 0 && b.head.first != logs[0].Index {
		b.head.first = logs[0].Index
		out = append(out, b.header())
	}
	b.last = logs[len(logs)-1].Index
	w := b.d.write.add(out)
	b.mu.Unlock()
	return func() error { return b.d.write.wait(w) }, nil
}

// header returns the entry that holds the header; the caller holds mu.
func (b *boltBackend) header() op {
	return op{log: &raft.Log{Index: at(b.slot, headerAt), Data: b.head.encode()}}
}

// deleteRange deletes the head of the log or its end.
func (b *boltBackend) deleteRange(first, last uint64) error {
	ops := []op{{first: at(b.slot, first), last: at(b.slot, last)}}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errClosed
	}
	if first > b.head.first {
		b.last = first - 1
	} else {
		b.head.first = last + 1
		ops = append(ops, b.header())
		if last >= b.last {
			b.last = 0
		}
	}
	w := b.d.write.add(ops)
	b.mu.Unlock()
	return b.d.write.wait(w)
}

func (b *boltBackend) set(key string, value []byte) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errClosed
	}
	b.head.put(key, value)
	w := b.d.write.add([]op{b.header()})
	b.mu.Unlock()
	return b.d.write.wait(w)
}

func (b *boltBackend) value(key string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.head.values[key]; ok {
		return v, nil
	}
	return nil, ErrNotFound
}

func (b *boltBackend) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// header is what a group keeps besides its entries.
type header struct {
	// first is where the log starts, or would.
	first  uint64
	values map[string][]byte
}

const headerVersion = 2

func (h *header) put(key string, value []byte) {
	if h.values == nil {
		h.values = make(map[string][]byte)
	}
	h.values[key] = value
}

func (h *header) encode() []byte {
	b := binary.AppendUvarint([]byte{headerVersion}, h.first)
	names := make([]string, 0, len(h.values))
	for k := range h.values {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		b = binary.AppendUvarint(b, uint64(len(k)))
		b = append(b, k...)
		b = binary.AppendUvarint(b, uint64(len(h.values[k])))
		b = append(b, h.values[k]...)
	}
	return b
}

var errHeader = errors.New("logstore: malformed header")

func decodeHeader(b []byte) (h header, err error) {
	if len(b) == 0 || b[0] != headerVersion {
		return h, errHeader
	}
	first, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return h, errHeader
	}
	h.first = first
	b = b[1+n:]
	part := func() []byte {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			err = errHeader
			return nil
		}
		v := b[n : n+int(size)]
		b = b[n+int(size):]
		return v
	}
	for len(b) > 0 && err == nil {
		k := string(part())
		v := part()
		h.put(k, append([]byte(nil), v...))
	}
	return h, err
}

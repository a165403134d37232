package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

// A snapshot is a version byte, the range's records, then key-values: a length
// and bytes each, keys without their space; a zero key length ends it, and a
// checksum of all before follows.
const snapshotVersion = 1

// restoreBatchBytes bounds what one engine batch of a restore holds.
const restoreBatchBytes = 1 << 20

// spans are the engine spans of the replica's data.
func (r *Replica) spans(st *state) [2][2][]byte {
	return keys.EngineSpans(st.info.space, st.desc.Start, st.desc.End)
}

// Snapshot implements raftgroup.StateMachine.
func (r *Replica) Snapshot(v engine.View, dst io.Writer) error {
	st, ok, err := loadState(v, r.id)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s has no data to send", r.id)
	}
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(dst, sum), 64<<10)
	head := appendSized([]byte{snapshotVersion}, api.AppendRangeDescriptor(nil, &st.desc))
	head = appendSized(head, api.AppendLease(nil, &st.lease))
	head = appendSized(head, st.info.encode())
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, sp := range r.spans(st) {
		if err := writeSpan(w, v, sp[0], sp[1]); err != nil {
			return err
		}
	}
	if err := w.WriteByte(0); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = dst.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func writeSpan(w *bufio.Writer, v engine.View, start, end []byte) error {
	it := v.Iter(start, end)
	defer it.Close()
	var buf []byte
	for ok := it.First(); ok; ok = it.Next() {
		buf = appendSized(appendSized(buf[:0], keys.EngineSuffix(it.Key())), it.Value())
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

var errSnapshot = errors.New("store: malformed snapshot")

// summed reads and sums what was read.
type summed struct {
	r   *bufio.Reader
	sum uint32
	one [1]byte
}

func (s *summed) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.one[0] = c
		s.sum = crc32.Update(s.sum, castagnoli, s.one[:])
	}
	return c, err
}

func (s *summed) sized() ([]byte, error) {
	n, err := binary.ReadUvarint(s)
	if err != nil {
		return nil, err
	}
	if n > raftgroup.MaxCommandBytes {
		return nil, errSnapshot
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.r, b); err != nil {
		return nil, err
	}
	s.sum = crc32.Update(s.sum, castagnoli, b)
	return b, nil
}

// Restore implements raftgroup.StateMachine.
func (r *Replica) Restore(space keys.SpaceID, src io.Reader) (func(b *engine.Batch) error, error) {
	in := &summed{r: bufio.NewReaderSize(src, 64<<10)}
	if v, err := in.ReadByte(); err != nil || v != snapshotVersion {
		return nil, errors.Join(errSnapshot, err)
	}
	st, err := readHead(in)
	if err != nil {
		return nil, err
	}
	st.info.space = space
	if err := r.restoreData(in, space); err != nil {
		return nil, err
	}
	want := in.sum
	var tail [4]byte
	if _, err := io.ReadFull(in.r, tail[:]); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(tail[:]) != want {
		return nil, fmt.Errorf("%w: checksum", errSnapshot)
	}
	return func(b *engine.Batch) error { return r.swap(b, st) }, nil
}

func readHead(in *summed) (*state, error) {
	var parts [3][]byte
	for i := range parts {
		var err error
		if parts[i], err = in.sized(); err != nil {
			return nil, err
		}
	}
	st := &state{}
	var err error
	if st.desc, err = api.DecodeRangeDescriptor(parts[0]); err != nil {
		return nil, err
	}
	if st.lease, err = api.DecodeLease(parts[1]); err != nil {
		return nil, err
	}
	st.info, err = decodeInfo(parts[2])
	return st, err
}

// sameRow reports whether two of a snapshot's keys differ by their version only.
func sameRow(a, b []byte) bool {
	n := len(a) - hlc.EncodedLen
	return n > 0 && len(a) == len(b) && bytes.Equal(a[:n], b[:n])
}

func (r *Replica) restoreData(in *summed, space keys.SpaceID) error {
	b := &engine.Batch{}
	var last []byte
	for {
		k, err := in.sized()
		if err != nil {
			return err
		}
		if len(k) == 0 {
			break
		}
		v, err := in.sized()
		if err != nil {
			return err
		}
		// A row's newest version comes first here: an older one must not get into a
		// batch, and a layer of the engine, that is newer (engine.Reader.Newest).
		if b.Bytes() > restoreBatchBytes && !sameRow(last, k) {
			r.store.cfg.Engine.Write(b)
			b = &engine.Batch{}
			if err := r.store.cfg.Engine.WaitRoom(r.store.tasks.Context()); err != nil {
				return err
			}
		}
		b.Put(keys.AppendEngineSuffix(nil, space, k), v)
		last = k
	}
	if b.Len() > 0 {
		r.store.cfg.Engine.Write(b)
	}
	return nil
}

// swap makes a restored state current: the records change, and what the replica
// had before goes, also what the new bounds no longer cover.
func (r *Replica) swap(b *engine.Batch, st *state) error {
	if err := r.store.overlaps(r, &st.desc); err != nil {
		return err
	}
	old := r.cur.Load()
	if old == nil {
		// A split has left its child's data here, too late for this group, which
		// was open and empty by then.
		var err error
		if old, _, err = loadState(r.store.cfg.Engine, r.id); err != nil {
			return err
		}
	}
	if old != nil {
		for _, sp := range r.spans(old) {
			b.DeleteRange(sp[0], sp[1])
		}
	}
	st.put(b)
	r.applied = nil
	r.ownSeq.Store(0)
	r.m.LeaseLost()
	r.cur.Store(st)
	return nil
}

// overlaps refuses a snapshot for an uninitialized replica whose bounds another
// replica here still has: that one has not applied its split yet.
func (s *Store) overlaps(r *Replica, d *api.RangeDescriptor) error {
	if r.cur.Load() != nil {
		return nil
	}
	var err error
	s.Replicas(func(o *Replica) bool {
		if st := o.cur.Load(); st != nil && o != r && string(st.desc.Start) < string(d.End) && string(d.Start) < string(st.desc.End) {
			err = fmt.Errorf("snapshot of %s overlaps %s, which has not split here yet", r.id, o.id)
			return false
		}
		return true
	})
	return err
}

// deleteSpans deletes the data of a replica that is gone.
func (s *Store) deleteSpans(spans [2][2][]byte) {
	var b engine.Batch
	for _, sp := range spans {
		b.DeleteRange(sp[0], sp[1])
	}
	s.cfg.Engine.Write(&b)
}

package scan

import (
	"encoding/binary"
	"slices"

	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// A join's other side says which keys are of any use, once it has been read. These
// go to the scan along with the program, so that rows without a partner are dropped
// where they lie, before their other columns are decoded (a semi-join reduction, as
// in Bernstein and Chiu, JACM 28:1; the sets are exact, no Bloom filters). The join
// does not rely on it: whoever does not know of the sets sends more rows.

// MaxKeys is how many keys a set may have: it travels with every page of a scan.
const MaxKeys = 16 << 10

// KeyFilter says that rows matter only if the column at a place in Read is one of
// Keys, which are in order and differ from each other.
type KeyFilter struct {
	Place int
	Keys  []int64
}

// AppendKeyFilters appends filters to a program.
func AppendKeyFilters(b []byte, fs []KeyFilter) []byte {
	b = binary.AppendUvarint(b, uint64(len(fs)))
	for i := range fs {
		f := &fs[i]
		b = binary.AppendUvarint(b, uint64(f.Place))
		b = binary.AppendUvarint(b, uint64(len(f.Keys)))
		last := int64(0)
		for _, k := range f.Keys {
			b = binary.AppendUvarint(b, uint64(k-last))
			last = k
		}
	}
	return b
}

// keyFilters reads what AppendKeyFilters wrote; a program may end before it.
func (r *reader) keyFilters(columns int) []*keySet {
	if len(r.b) == 0 {
		return nil
	}
	out := make([]*keySet, 0, 2)
	for range r.count() {
		place := r.uint()
		keys := make([]int64, r.count())
		last := int64(0)
		for i := range keys {
			last += int64(r.uint())
			keys[i] = last
		}
		if r.bad || place >= uint64(columns) {
			r.bad = true
			return nil
		}
		out = append(out, newKeySet(int(place), keys))
	}
	return out
}

// keySet is a filter at work.
type keySet struct {
	place int
	// min and bits hold keys that lie close together, table others.
	min   int64
	bits  []uint64
	table *vec.IntTable

	dec            *rowenc.Decoder
	col            []*vec.Vector
	tested, passed int
	off            bool
}

func newKeySet(place int, keys []int64) *keySet {
	s := &keySet{place: place}
	if len(keys) == 0 {
		return s
	}
	s.min = keys[0]
	if width := uint64(keys[len(keys)-1]) - uint64(s.min); width < uint64(64*len(keys)+4096) {
		s.bits = make([]uint64, width/64+1)
		for _, k := range keys {
			d := uint64(k) - uint64(s.min)
			s.bits[d/64] |= 1 << (d % 64)
		}
		return s
	}
	s.table = &vec.IntTable{}
	for _, k := range keys {
		*s.table.At(k) = 1
	}
	return s
}

func (s *keySet) has(k int64) bool {
	if s.table != nil {
		return s.table.Get(k) != 0
	}
	d := uint64(k) - uint64(s.min)
	return d/64 < uint64(len(s.bits)) && s.bits[d/64]&(1<<(d%64)) != 0
}

// A set that lets most rows pass costs more than it saves.
const keyTrial = 8192

// narrow keeps the rows whose key is in the set: of ks and vs, and of live, their
// positions. It does so in place.
func (s *keySet) narrow(p *program, live []int32, ks, vs [][]byte) ([]int32, [][]byte, [][]byte, error) {
	if s.off {
		return live, ks, vs, nil
	}
	if s.dec == nil {
		want := p.spec.Read[s.place : s.place+1]
		var err error
		if s.dec, err = rowenc.NewDecoder(p.spec.Table, p.spec.Index, slices.Clone(want)); err != nil {
			return live, ks, vs, err
		}
		if s.dec.Reprs()[0] != types.Int64 {
			return live, ks, vs, types.ErrCorrupt
		}
		s.col = []*vec.Vector{vec.New(types.Int64, len(vs))}
	}
	v := s.col[0]
	v.Reset()
	if err := s.dec.Decode(ks, vs, s.col); err != nil {
		return live, ks, vs, err
	}
	n := 0
	nulls := v.HasNulls()
	for i := range vs {
		if nulls && v.IsNull(i) || !s.has(v.Ints[i]) {
			continue
		}
		live[n], ks[n], vs[n] = live[i], ks[i], vs[i]
		n++
	}
	s.tested, s.passed = s.tested+len(vs), s.passed+n
	s.off = s.tested >= keyTrial && 4*s.passed > 3*s.tested
	return live[:n], ks[:n], vs[:n], nil
}

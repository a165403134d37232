package rowenc

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// source says where a wanted column comes from in rows of one layout.
type source struct {
	out     int // place among the wanted columns
	field   field
	inValue bool
	missing types.Datum // neither in the value nor in the key
}

// keySource is a wanted column that is read from the key.
type keySource struct {
	col keyCol
	out int // -1: stepped over
}

// variant is how rows of one layout are decoded.
type variant struct {
	shape   *shape
	sources []source
	keys    []keySource // up to the last one wanted
}

// Decoder fills vectors with the wanted columns of one index's rows or entries.
// It is immutable and may be shared.
type Decoder struct {
	table    *catalog.Table
	index    *catalog.Index
	want     []catalog.ColumnID
	reprs    []types.Repr
	prefix   int
	variants []variant // by layout, in the table's order; one for entries
	scratch  sync.Pool
}

// NewDecoder compiles the decoding of columns want of rows of index x.
func NewDecoder(t *catalog.Table, x *catalog.Index, want []catalog.ColumnID) (*Decoder, error) {
	d := &Decoder{table: t, index: x, want: want,
		prefix: len(keys.TableIndex(uint32(t.ID), uint32(x.Storage)))}
	d.scratch.New = func() any { return new(keyScratch) }
	for _, id := range want {
		c, ok := t.Column(id)
		if !ok {
			return nil, fmt.Errorf("rowenc: table %s has no column %d", t.Name, id)
		}
		d.reprs = append(d.reprs, c.Type.Repr())
	}
	if x.OID != t.Primary {
		v, err := d.entryVariant()
		d.variants = []variant{v}
		return d, err
	}
	for i := range t.Layouts {
		v, err := d.rowVariant(&t.Layouts[i])
		if err != nil {
			return nil, err
		}
		d.variants = append(d.variants, v)
	}
	return d, nil
}

func (d *Decoder) rowVariant(l *catalog.Layout) (variant, error) {
	s, err := newShape(d.table, uint16(l.ID), l.Columns)
	if err != nil {
		return variant{}, err
	}
	pk, err := pkCols(d.table)
	if err != nil {
		return variant{}, err
	}
	v := variant{shape: s}
	inKey := map[int]bool{}
	for out, id := range d.want {
		if v.fromValue(d.table, out, id) {
			continue
		}
		o := d.table.Ordinal(id)
		found := false
		for i := range pk {
			if pk[i].ordinal == o {
				inKey[i], found = true, true
			}
		}
		if !found {
			v.sources = append(v.sources, source{out: out, missing: missingValue(d.table, l, id)})
		}
	}
	v.keys = d.keyPlan(pk, inKey)
	return v, nil
}

// fromValue adds a source for a column that is in the value.
func (v *variant) fromValue(t *catalog.Table, out int, id catalog.ColumnID) bool {
	o := t.Ordinal(id)
	for _, f := range v.shape.fields {
		if f.ordinal == o {
			v.sources = append(v.sources, source{out: out, field: f, inValue: true})
			return true
		}
	}
	return false
}

// missingValue looks for the value of a column that is younger than the layout.
func missingValue(t *catalog.Table, l *catalog.Layout, id catalog.ColumnID) types.Datum {
	for _, m := range l.Missing {
		if m.Column == id {
			return m.Value
		}
	}
	return types.Null
}

func (d *Decoder) entryVariant() (variant, error) {
	s, err := newShape(d.table, entryLayout, entryColumns(d.table, d.index))
	if err != nil {
		return variant{}, err
	}
	v := variant{shape: s}
	var cols []keyCol
	for i := range d.index.Columns {
		c, err := newKeyCol(d.table, &d.index.Columns[i], true)
		if err != nil {
			return v, err
		}
		cols = append(cols, c)
	}
	if !d.index.Unique {
		pk, err := pkCols(d.table)
		if err != nil {
			return v, err
		}
		cols = append(cols, pk...)
	}
	inKey := map[int]bool{}
	for out, id := range d.want {
		if v.fromValue(d.table, out, id) {
			continue
		}
		o := d.table.Ordinal(id)
		found := false
		for i := range cols {
			if cols[i].ordinal == o && !found {
				inKey[i], found = true, true
			}
		}
		if !found {
			return v, fmt.Errorf("rowenc: index %s does not cover column %d", d.index.Name, id)
		}
	}
	v.keys = d.keyPlan(cols, inKey)
	return v, nil
}

func (d *Decoder) keyPlan(cols []keyCol, wanted map[int]bool) []keySource {
	last := -1
	for i := range wanted {
		last = max(last, i)
	}
	out := make([]keySource, 0, last+1)
	for i := 0; i <= last; i++ {
		ks := keySource{col: cols[i], out: -1}
		if wanted[i] {
			for o, id := range d.want {
				if d.table.Ordinal(id) == cols[i].ordinal {
					ks.out = o
				}
			}
		}
		out = append(out, ks)
	}
	return out
}

// NeedsKeys reports whether any wanted column is read from the key.
func (d *Decoder) NeedsKeys() bool {
	for i := range d.variants {
		if len(d.variants[i].keys) > 0 {
			return true
		}
	}
	return false
}

// variantOf finds how to decode a row.
func (d *Decoder) variantOf(value []byte) (*variant, error) {
	if len(value) < 2 {
		return nil, errCorrupt
	}
	id := binary.LittleEndian.Uint16(value) &^ wideOffsets
	if len(d.variants) == 1 && d.variants[0].shape.id == id {
		return &d.variants[0], nil
	}
	if i := int(id) - 1; i >= 0 && i < len(d.variants) && d.variants[i].shape.id == id {
		return &d.variants[i], nil
	}
	for i := range d.variants {
		if d.variants[i].shape.id == id {
			return &d.variants[i], nil
		}
	}
	return nil, ErrUnknownLayout
}

// Decode appends the wanted columns of the rows to cols, which are parallel to
// the wanted columns and may hold rows already.
func (d *Decoder) Decode(ks, values [][]byte, cols []*vec.Vector) error {
	for from := 0; from < len(values); {
		v, err := d.variantOf(values[from])
		if err != nil {
			return err
		}
		word := values[from][0]
		hi := values[from][1] &^ (wideOffsets >> 8)
		to := from + 1
		for to < len(values) && len(values[to]) >= 2 && values[to][0] == word && values[to][1]&^(wideOffsets>>8) == hi {
			to++
		}
		if err := d.run(v, ks[from:to], values[from:to], cols); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// DecodeRow appends one row: the shape of a point query.
func (d *Decoder) DecodeRow(key, value []byte, cols []*vec.Vector) error {
	v, err := d.variantOf(value)
	if err != nil {
		return err
	}
	s := d.scratch.Get().(*keyScratch)
	s.k[0], s.v[0] = key, value
	err = d.run(v, s.k[:], s.v[:], cols)
	s.k[0], s.v[0] = nil, nil
	d.scratch.Put(s)
	return err
}

type keyScratch struct {
	k, v [1][]byte
	inv  []byte
	str  []byte
}

func (d *Decoder) run(v *variant, ks, values [][]byte, cols []*vec.Vector) error {
	for _, val := range values {
		if len(val) < v.shape.fixEnd {
			return errCorrupt
		}
	}
	for i := range v.sources {
		s := &v.sources[i]
		col := cols[s.out]
		switch {
		case !s.inValue:
			for range values {
				col.AppendDatum(s.missing)
			}
		case s.field.kind != notFixed:
			decodeFixed(&s.field, values, col)
		default:
			if err := decodeVariable(v.shape, &s.field, values, col); err != nil {
				return err
			}
		}
	}
	if len(v.keys) == 0 {
		return nil
	}
	s := d.scratch.Get().(*keyScratch)
	defer d.scratch.Put(s)
	for _, k := range ks {
		if err := d.decodeKey(s, v, k, cols); err != nil {
			return err
		}
	}
	return nil
}

// decodeFixed reads a fixed-width column of all rows, a loop for each width: the
// kind is not looked at again for every value.
func decodeFixed(f *field, values [][]byte, col *vec.Vector) {
	at, off := col.Extend(len(values)), f.off
	word, bit := 2+f.null>>3, byte(1)<<(f.null&7)
	switch f.kind {
	case fixBool:
		ints(values, col, at, word, bit, func(r []byte) int64 { return int64(r[off]) })
	case fix16:
		ints(values, col, at, word, bit, func(r []byte) int64 { return int64(int16(binary.LittleEndian.Uint16(r[off:]))) })
	case fix32:
		ints(values, col, at, word, bit, func(r []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(r[off:]))) })
	case fixU32:
		ints(values, col, at, word, bit, func(r []byte) int64 { return int64(binary.LittleEndian.Uint32(r[off:])) })
	case fix64:
		ints(values, col, at, word, bit, func(r []byte) int64 { return int64(binary.LittleEndian.Uint64(r[off:])) })
	default:
		for i, r := range values {
			if r[word]&bit != 0 {
				col.SetNull(at + i)
				continue
			}
			switch b := r[off:]; f.kind {
			case fixF32:
				col.SetFloat(at+i, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
			case fixF64:
				col.SetFloat(at+i, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			case fixB16:
				col.SetBytes(at+i, b[:16])
			}
		}
	}
}

// ints fills positions from at on; it is small enough for read to be inlined.
func ints(values [][]byte, col *vec.Vector, at, word int, bit byte, read func(r []byte) int64) {
	out := col.Ints[at : at+len(values)]
	for i, r := range values {
		if r[word]&bit != 0 {
			col.SetNull(at + i)
			continue
		}
		out[i] = read(r)
	}
}

// decodeVariable reads a variable-width column of all rows.
func decodeVariable(s *shape, f *field, values [][]byte, col *vec.Vector) error {
	at := col.Extend(len(values))
	word, bit := 2+f.null>>3, byte(1)<<(f.null&7)
	numeric := f.repr == types.Numerics
	for i, r := range values {
		if r[word]&bit != 0 {
			col.SetNull(at + i)
			continue
		}
		b, err := s.variable(r, f.slot)
		switch {
		case err != nil:
			return err
		case !numeric:
			col.SetBytes(at+i, b)
		case len(b)-3 > 7:
			n, err := compactNumeric(b)
			if err != nil {
				return err
			}
			col.SetNumeric(at+i, n)
		case len(b) < 3:
			return errCorrupt
		default:
			// compactNumeric without its detours.
			v := int64(int8(b[2]))
			for _, c := range b[3:] {
				v = v<<8 | int64(c)
			}
			col.Ints[at+i], col.Scales[at+i] = v, int16(binary.BigEndian.Uint16(b))
		}
	}
	return nil
}

// variable returns the bytes of a variable-width column.
func (s *shape) variable(r []byte, slot int) ([]byte, error) {
	var from, to int
	base := s.fixEnd
	if r[1]&(wideOffsets>>8) != 0 {
		base += s.slots * 4
		if len(r) < base {
			return nil, errCorrupt
		}
		to = int(binary.LittleEndian.Uint32(r[s.fixEnd+slot*4:]))
		if slot > 0 {
			from = int(binary.LittleEndian.Uint32(r[s.fixEnd+slot*4-4:]))
		}
	} else {
		base += s.slots * 2
		if len(r) < base {
			return nil, errCorrupt
		}
		to = int(binary.LittleEndian.Uint16(r[s.fixEnd+slot*2:]))
		if slot > 0 {
			from = int(binary.LittleEndian.Uint16(r[s.fixEnd+slot*2-2:]))
		}
	}
	if from > to || base+to > len(r) {
		return nil, errCorrupt
	}
	return r[base+from : base+to], nil
}

func (d *Decoder) decodeKey(s *keyScratch, v *variant, k []byte, cols []*vec.Vector) error {
	if len(k) < d.prefix {
		return keys.ErrCorrupt
	}
	k = k[d.prefix:]
	for i := range v.keys {
		src := &v.keys[i]
		rest, err := src.decode(s, k, cols)
		if err != nil {
			return err
		}
		k = rest
	}
	return nil
}

// decode reads one key column, appends it if wanted, and returns what follows.
func (src *keySource) decode(s *keyScratch, k []byte, cols []*vec.Vector) ([]byte, error) {
	c := &src.col
	b := k
	if c.desc {
		s.inv = append(s.inv[:0], k...)
		keys.Invert(s.inv, 0)
		b = s.inv
	}
	total := len(b)
	if c.marker {
		if len(b) == 0 {
			return nil, keys.ErrCorrupt
		}
		m := b[0]
		b = b[1:]
		if m != keys.NotNullMarker {
			if src.out >= 0 {
				cols[src.out].AppendNull()
			}
			return k[1:], nil
		}
	}
	var rest []byte
	var err error
	switch {
	case src.out < 0:
		rest, err = skipKeyValue(b, c.kind)
	case c.kind == keyInt:
		var x int64
		if x, rest, err = keys.DecodeInt(b); err == nil {
			cols[src.out].AppendInt(x)
		}
	case c.kind == keyBytes:
		if s.str, rest, err = keys.DecodeBytes(s.str[:0], b); err == nil {
			cols[src.out].AppendBytes(s.str)
		}
	default:
		var x types.Datum
		if x, rest, err = decodeKeyValue(b, c.kind); err == nil {
			cols[src.out].AppendDatum(x)
		}
	}
	if err != nil {
		return nil, err
	}
	return k[total-len(rest):], nil
}

// Reprs returns the representations of the wanted columns.
func (d *Decoder) Reprs() []types.Repr { return d.reprs }

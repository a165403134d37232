package scan

import (
	"encoding/binary"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

// programVersion begins every program.
const programVersion = 1

// Spec is what a program says: which columns of which index, which rows, and
// whether to aggregate. Column ids in expressions are places in Read.
type Spec struct {
	Table  *catalog.Table
	Index  *catalog.Index
	Read   []catalog.ColumnID
	Filter []expr.Expr
	// GroupBy and Aggs aggregate what passes; Aggs' operands are over Read.
	Aggregate bool
	GroupBy   []int
	Aggs      []*expr.AggRef
}

// Encode appends the fixed part of the program.
func (s *Spec) Encode(b []byte) ([]byte, error) {
	b = append(b, programVersion)
	b = appendTable(b, s.Table, s.Index)
	b = binary.AppendUvarint(b, uint64(len(s.Read)))
	for _, c := range s.Read {
		b = binary.AppendUvarint(b, uint64(c))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Filter)))
	var err error
	for _, e := range s.Filter {
		if b, err = appendExpr(b, e); err != nil {
			return nil, err
		}
	}
	if !s.Aggregate {
		return append(b, 0), nil
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(s.GroupBy)))
	for _, g := range s.GroupBy {
		b = binary.AppendUvarint(b, uint64(g))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Aggs)))
	for _, a := range s.Aggs {
		if b, err = appendExpr(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendExpr(b []byte, e expr.Expr) ([]byte, error) {
	img, err := expr.Encode(nil, e)
	if err != nil {
		return nil, err
	}
	b = binary.AppendUvarint(b, uint64(len(img)))
	return append(b, img...), nil
}

// appendTable appends what decoding rows needs of a table and one index.
func appendTable(b []byte, t *catalog.Table, x *catalog.Index) []byte {
	b = binary.AppendUvarint(b, uint64(t.ID))
	b = binary.AppendUvarint(b, uint64(t.Layout))
	b = binary.AppendUvarint(b, uint64(t.Primary))
	b = binary.AppendUvarint(b, uint64(len(t.Columns)))
	for i := range t.Columns {
		c := &t.Columns[i]
		b = binary.AppendUvarint(b, uint64(c.ID))
		b = binary.AppendUvarint(b, uint64(c.Type.OID))
		b = binary.AppendVarint(b, int64(c.Type.Mod))
	}
	b = binary.AppendUvarint(b, uint64(len(t.Layouts)))
	for i := range t.Layouts {
		l := &t.Layouts[i]
		b = binary.AppendUvarint(b, uint64(l.ID))
		b = appendColumnIDs(b, l.Columns)
		b = binary.AppendUvarint(b, uint64(len(l.Missing)))
		for _, m := range l.Missing {
			b = binary.AppendUvarint(b, uint64(m.Column))
			b = types.AppendDatum(b, m.Value)
		}
	}
	b = appendIndex(b, t.PrimaryIndex())
	return appendIndex(b, x)
}

func appendColumnIDs(b []byte, ids []catalog.ColumnID) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, c := range ids {
		b = binary.AppendUvarint(b, uint64(c))
	}
	return b
}

func appendIndex(b []byte, x *catalog.Index) []byte {
	b = binary.AppendUvarint(b, uint64(x.OID))
	b = binary.AppendUvarint(b, uint64(x.Storage))
	flags := uint64(0)
	if x.Unique {
		flags |= 1
	}
	if x.NullsNotDistinct {
		flags |= 2
	}
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendUvarint(b, uint64(len(x.Columns)))
	for _, c := range x.Columns {
		f := uint64(0)
		if c.Desc {
			f |= 1
		}
		if c.NullsFirst {
			f |= 2
		}
		b = binary.AppendUvarint(b, uint64(c.Column))
		b = binary.AppendUvarint(b, f)
	}
	return appendColumnIDs(b, x.Include)
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a length; each element takes at least one byte.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) datum() types.Datum {
	d, rest, err := types.DecodeDatum(r.b)
	if err != nil {
		r.bad, r.b = true, nil
		return types.Null
	}
	r.b = rest
	return d
}

func (r *reader) expr() expr.Expr {
	n := r.count()
	if r.bad {
		return nil
	}
	e, rest, err := expr.Decode(r.b[:n])
	if err != nil || len(rest) > 0 {
		r.bad = true
		return nil
	}
	r.b = r.b[n:]
	return e
}

func (r *reader) columnIDs() []catalog.ColumnID {
	out := make([]catalog.ColumnID, r.count())
	for i := range out {
		out[i] = catalog.ColumnID(r.uint())
	}
	return out
}

func (r *reader) table() (*catalog.Table, *catalog.Index) {
	t := &catalog.Table{}
	t.ID = types.OID(r.uint())
	t.Layout = catalog.LayoutID(r.uint())
	t.Primary = types.OID(r.uint())
	t.Columns = make([]catalog.Column, r.count())
	for i := range t.Columns {
		c := &t.Columns[i]
		c.ID = catalog.ColumnID(r.uint())
		c.Type.OID = types.OID(r.uint())
		c.Type.Mod = int32(r.int())
	}
	t.Layouts = make([]catalog.Layout, r.count())
	for i := range t.Layouts {
		l := &t.Layouts[i]
		l.ID = catalog.LayoutID(r.uint())
		l.Columns = r.columnIDs()
		for range r.count() {
			l.Missing = append(l.Missing, catalog.MissingValue{Column: catalog.ColumnID(r.uint()), Value: r.datum()})
		}
	}
	pk, x := r.index(), r.index()
	t.Indexes = []catalog.Index{pk}
	if x.OID != pk.OID {
		t.Indexes = append(t.Indexes, x)
	}
	return t, &t.Indexes[len(t.Indexes)-1]
}

func (r *reader) index() (x catalog.Index) {
	x.OID = types.OID(r.uint())
	x.Storage = catalog.StorageID(r.uint())
	flags := r.uint()
	x.Unique, x.NullsNotDistinct = flags&1 != 0, flags&2 != 0
	x.Columns = make([]catalog.IndexColumn, r.count())
	for i := range x.Columns {
		x.Columns[i].Column = catalog.ColumnID(r.uint())
		f := r.uint()
		x.Columns[i].Desc, x.Columns[i].NullsFirst = f&1 != 0, f&2 != 0
	}
	x.Include = r.columnIDs()
	return x
}

func decodeSpec(b []byte) (*Spec, bool) {
	if len(b) == 0 || b[0] != programVersion {
		return nil, false
	}
	r := &reader{b: b[1:]}
	s := &Spec{}
	s.Table, s.Index = r.table()
	s.Read = r.columnIDs()
	for range r.count() {
		s.Filter = append(s.Filter, r.expr())
	}
	if s.Aggregate = r.uint() == 1; s.Aggregate {
		s.GroupBy = make([]int, r.count())
		for i := range s.GroupBy {
			s.GroupBy[i] = int(r.uint())
		}
		for range r.count() {
			a, ok := r.expr().(*expr.AggRef)
			if !ok {
				return nil, false
			}
			s.Aggs = append(s.Aggs, a)
		}
	}
	return s, !r.bad
}

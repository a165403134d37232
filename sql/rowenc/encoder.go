package rowenc

import (
	"fmt"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// keyCol is one column of a key.
type keyCol struct {
	ordinal int // in Table.Columns; -1: an expression
	typ     types.Type
	kind    keyKind
	desc    bool
	marker  bool // entries of secondary indexes mark NULLs
	nullLow bool // NULL below values, before desc complements
}

// appendTo appends one column's encoding.
func (c *keyCol) appendTo(b []byte, d types.Datum) []byte {
	from := len(b)
	switch {
	case d.IsNull() && c.nullLow:
		b = append(b, nullLowMarker)
	case d.IsNull():
		b = append(b, keys.NullMarker)
	default:
		if c.marker {
			b = append(b, keys.NotNullMarker)
		}
		b = appendKeyKind(b, c.kind, c.typ, d)
	}
	if c.desc {
		keys.Invert(b, from)
	}
	return b
}

// IndexEncoder makes the key-values of one index. It is immutable.
type IndexEncoder struct {
	Table   *catalog.Table
	Index   *catalog.Index
	Primary bool
	prefix  []byte
	cols    []keyCol
	pk      []keyCol
	value   *shape
}

// NewIndexEncoder compiles an index of t. exprTypes gives the types of
// expression columns, parallel to x.Columns, and may be nil without any.
func NewIndexEncoder(t *catalog.Table, x *catalog.Index, exprTypes []types.Type) (*IndexEncoder, error) {
	e := &IndexEncoder{Table: t, Index: x, Primary: x.OID == t.Primary}
	e.prefix = keys.TableIndex(uint32(t.ID), uint32(x.Storage))
	for i := range x.Columns {
		c, err := newKeyCol(t, &x.Columns[i], !e.Primary)
		if err != nil {
			return nil, err
		}
		if c.ordinal < 0 {
			if i >= len(exprTypes) || exprTypes[i].OID == 0 {
				return nil, fmt.Errorf("rowenc: index %s: type of expression %d unknown", x.Name, i+1)
			}
			c.typ, c.kind = exprTypes[i], keyKindOf(exprTypes[i].OID)
		}
		e.cols = append(e.cols, c)
	}
	var err error
	if e.Primary {
		l, ok := t.LayoutByID(t.Layout)
		if !ok {
			return nil, fmt.Errorf("rowenc: table %s has no layout %d", t.Name, t.Layout)
		}
		e.value, err = newShape(t, uint16(l.ID), l.Columns)
		return e, err
	}
	if e.pk, err = pkCols(t); err != nil {
		return nil, err
	}
	e.value, err = newShape(t, entryLayout, entryColumns(t, x))
	return e, err
}

func newKeyCol(t *catalog.Table, ic *catalog.IndexColumn, marker bool) (keyCol, error) {
	c := keyCol{ordinal: -1, desc: ic.Desc, marker: marker, nullLow: ic.NullsFirst != ic.Desc}
	if ic.Column == 0 {
		return c, nil
	}
	if c.ordinal = t.Ordinal(ic.Column); c.ordinal < 0 {
		return c, fmt.Errorf("rowenc: index column %d of %s is gone", ic.Column, t.Name)
	}
	c.typ = t.Columns[c.ordinal].Type
	c.kind = keyKindOf(c.typ.OID)
	return c, nil
}

func pkCols(t *catalog.Table) ([]keyCol, error) {
	p := t.PrimaryIndex()
	if p == nil {
		return nil, fmt.Errorf("rowenc: table %s has no primary index", t.Name)
	}
	out := make([]keyCol, len(p.Columns))
	for i := range p.Columns {
		c, err := newKeyCol(t, &p.Columns[i], false)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// entryColumns lists the columns in the value of an entry: the included ones,
// and those of the key and the primary key whose image the key does not give
// back. A unique entry has the primary key in its value only.
func entryColumns(t *catalog.Table, x *catalog.Index) []catalog.ColumnID {
	var out []catalog.ColumnID
	seen := map[catalog.ColumnID]bool{}
	add := func(id catalog.ColumnID, inKey bool) {
		o := t.Ordinal(id)
		if o < 0 || seen[id] || inKey && Exact(t.Columns[o].Type) {
			return
		}
		seen[id] = true
		out = append(out, id)
	}
	// An expression's type is not in the descriptor, so nothing behind it can
	// be read from the key: such an entry has everything in its value.
	exact := !hasExpression(x)
	inKey := map[catalog.ColumnID]bool{}
	for _, c := range x.Columns {
		if c.Column != 0 {
			add(c.Column, exact)
			inKey[c.Column] = exact
		}
	}
	for _, c := range t.PrimaryIndex().Columns {
		add(c.Column, exact && (!x.Unique || inKey[c.Column]))
	}
	for _, c := range x.Include {
		add(c, inKey[c])
	}
	return out
}

func hasExpression(x *catalog.Index) bool {
	for i := range x.Columns {
		if x.Columns[i].Column == 0 {
			return true
		}
	}
	return false
}

// Prefix returns the key prefix of the index; it must not be changed.
func (e *IndexEncoder) Prefix() []byte { return e.prefix }

// ColumnType returns the type of key column i.
func (e *IndexEncoder) ColumnType(i int) types.Type { return e.cols[i].typ }

// AppendKey appends the key of a row. row is parallel to Table.Columns; exprs
// are the values of expression columns, parallel to Index.Columns (nil without
// any).
func (e *IndexEncoder) AppendKey(b []byte, row, exprs []types.Datum) []byte {
	b = append(b, e.prefix...)
	null := false
	for i := range e.cols {
		c := &e.cols[i]
		var d types.Datum
		if c.ordinal < 0 {
			d = exprs[i]
		} else {
			d = row[c.ordinal]
		}
		null = null || d.IsNull()
		b = c.appendTo(b, d)
	}
	if e.Primary || e.Index.Unique && (!null || e.Index.NullsNotDistinct) {
		return b
	}
	for i := range e.pk {
		b = e.pk[i].appendTo(b, row[e.pk[i].ordinal])
	}
	return b
}

// AppendValue appends the value of a row or entry.
func (e *IndexEncoder) AppendValue(b []byte, row []types.Datum) []byte {
	return e.value.append(b, row)
}

// AppendPoint appends the key that all columns of the index are fixed by; vals
// are parallel to Index.Columns and not NULL.
func (e *IndexEncoder) AppendPoint(b []byte, vals []types.Datum) []byte {
	b = append(b, e.prefix...)
	return e.AppendColumns(b, 0, vals)
}

// AppendColumns appends the encodings of index columns from..from+len(vals).
func (e *IndexEncoder) AppendColumns(b []byte, from int, vals []types.Datum) []byte {
	for i, d := range vals {
		b = e.cols[from+i].appendTo(b, d)
	}
	return b
}

// Desc reports whether key column i is stored complemented.
func (e *IndexEncoder) Desc(i int) bool { return e.cols[i].desc }

// NotNullBounds returns the bytes between which all values but NULL of column i
// lie, to be appended to a prefix: [low, high).
func (e *IndexEncoder) NotNullBounds(i int) (low, high []byte) {
	c := &e.cols[i]
	if !c.marker {
		return nil, nil
	}
	low, high = []byte{keys.NotNullMarker}, []byte{keys.NotNullMarker + 1}
	if c.desc {
		// Complemented, the bounds change places.
		return []byte{^byte(keys.NotNullMarker)}, []byte{^byte(keys.NotNullMarker) + 1}
	}
	return low, high
}

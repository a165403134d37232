package stats

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Table describes the contents of one table.
type Table struct {
	Rows     float64
	AvgWidth float64 // bytes a row
	// Collected is when, in microseconds since 2000.
	Collected int64
	Columns   map[catalog.ColumnID]*Column
}

// Column describes the values of one column.
type Column struct {
	NullFrac float64
	// Distinct is the number of distinct values; negative: times the row count.
	Distinct float64
	AvgWidth float64
	// Common are the most common values with their share of all rows.
	Common []Common
	// Bounds cut the values that are not Common into parts of equal size.
	Bounds []types.Datum
	// Correlation of the value order with the row order, -1 to 1.
	Correlation float64
}

// Common is a frequent value.
type Common struct {
	Value types.Datum
	Frac  float64
}

// Column returns the description of a column, or nil.
func (t *Table) Column(id catalog.ColumnID) *Column {
	if t == nil {
		return nil
	}
	return t.Columns[id]
}

// DistinctOf returns the number of distinct values among rows rows.
func (c *Column) DistinctOf(rows float64) float64 {
	d := c.Distinct
	if d < 0 {
		d = -d * rows
	}
	return math.Max(1, math.Min(d, math.Max(rows, 1)))
}

const encodingVersion = 1

type tableImage struct {
	Rows      float64                          `json:"rows"`
	AvgWidth  float64                          `json:"width"`
	Collected int64                            `json:"collected"`
	Columns   map[catalog.ColumnID]columnImage `json:"columns"`
}

type columnImage struct {
	NullFrac    float64              `json:"nulls"`
	Distinct    float64              `json:"distinct"`
	AvgWidth    float64              `json:"width"`
	Correlation float64              `json:"correlation"`
	Common      []catalog.DatumImage `json:"common,omitempty"`
	Fracs       []float64            `json:"fracs,omitempty"`
	Bounds      []catalog.DatumImage `json:"bounds,omitempty"`
}

// Encode returns the stored form of t.
func (t *Table) Encode() ([]byte, error) {
	im := tableImage{Rows: t.Rows, AvgWidth: t.AvgWidth, Collected: t.Collected,
		Columns: make(map[catalog.ColumnID]columnImage, len(t.Columns))}
	for id, c := range t.Columns {
		ci := columnImage{NullFrac: c.NullFrac, Distinct: c.Distinct, AvgWidth: c.AvgWidth, Correlation: c.Correlation}
		for _, v := range c.Common {
			ci.Common = append(ci.Common, catalog.ImageOf(v.Value))
			ci.Fracs = append(ci.Fracs, v.Frac)
		}
		for _, v := range c.Bounds {
			ci.Bounds = append(ci.Bounds, catalog.ImageOf(v))
		}
		im.Columns[id] = ci
	}
	b, err := json.Marshal(im)
	return append([]byte{encodingVersion}, b...), err
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*Table, error) {
	if len(b) == 0 {
		return nil, errors.New("stats: empty descriptor")
	}
	if b[0] > encodingVersion {
		return nil, catalog.ErrNewerEncoding
	}
	var im tableImage
	if err := json.Unmarshal(b[1:], &im); err != nil {
		return nil, err
	}
	t := &Table{Rows: im.Rows, AvgWidth: im.AvgWidth, Collected: im.Collected,
		Columns: make(map[catalog.ColumnID]*Column, len(im.Columns))}
	for id, ci := range im.Columns {
		c, err := ci.column()
		if err != nil {
			return nil, err
		}
		t.Columns[id] = c
	}
	return t, nil
}

func (ci *columnImage) column() (*Column, error) {
	c := &Column{NullFrac: ci.NullFrac, Distinct: ci.Distinct, AvgWidth: ci.AvgWidth, Correlation: ci.Correlation}
	if len(ci.Common) != len(ci.Fracs) {
		return nil, errors.New("stats: malformed common values")
	}
	for i, im := range ci.Common {
		d, err := im.Datum()
		if err != nil {
			return nil, err
		}
		c.Common = append(c.Common, Common{d, ci.Fracs[i]})
	}
	for _, im := range ci.Bounds {
		d, err := im.Datum()
		if err != nil {
			return nil, err
		}
		c.Bounds = append(c.Bounds, d)
	}
	return c, nil
}

package catalog

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"

	"github.com/pamirdb/pamir/sql/types"
)

// DatumImage is the stored form of a datum: one field by representation, none
// for NULL.
type DatumImage struct {
	Int   *int64  `json:"i,omitempty"`
	Float *uint64 `json:"f,omitempty"`
	Bytes *[]byte `json:"b,omitempty"`
	Coef  string  `json:"n,omitempty"`
	Scale int16   `json:"s,omitempty"`
}

// ImageOf returns the stored form of d, whatever its type.
func ImageOf(d types.Datum) DatumImage {
	var im DatumImage
	switch d.Repr() {
	case types.Int64:
		v := d.Int()
		im.Int = &v
	case types.Float64:
		v := math.Float64bits(d.Float())
		im.Float = &v
	case types.Bytes:
		v := []byte(d.Str())
		im.Bytes = &v
	case types.Numerics:
		n := d.Numeric()
		im.Coef, im.Scale = n.Int().String(), n.Scale
	}
	return im
}

// Datum returns what ImageOf stored.
func (im DatumImage) Datum() (types.Datum, error) {
	switch {
	case im.Int != nil:
		return types.NewInt(*im.Int), nil
	case im.Float != nil:
		return types.NewFloat(math.Float64frombits(*im.Float)), nil
	case im.Bytes != nil:
		return types.NewBytes(*im.Bytes), nil
	case im.Coef != "":
		n, ok := new(big.Int).SetString(im.Coef, 10)
		if !ok {
			return types.Null, fmt.Errorf("catalog: malformed numeric %q", im.Coef)
		}
		return types.NewNumeric(types.NumericFromBig(n, im.Scale)), nil
	}
	return types.Null, nil
}

// missingImage is the stored form of a MissingValue.
type missingImage struct {
	Column ColumnID   `json:"column"`
	Value  DatumImage `json:"value"`
}

// MarshalJSON stores the value by its image, whatever its type.
func (m MissingValue) MarshalJSON() ([]byte, error) {
	return json.Marshal(missingImage{m.Column, ImageOf(m.Value)})
}

// UnmarshalJSON reads what MarshalJSON stored.
func (m *MissingValue) UnmarshalJSON(b []byte) (err error) {
	var v missingImage
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	m.Column = v.Column
	m.Value, err = v.Value.Datum()
	return err
}

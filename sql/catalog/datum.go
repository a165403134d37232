package catalog

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"

	"github.com/pamirdb/pamir/sql/types"
)

// datumImage is the stored form of a datum: one field by representation.
type datumImage struct {
	Int   *int64  `json:"i,omitempty"`
	Float *uint64 `json:"f,omitempty"`
	Bytes *[]byte `json:"b,omitempty"`
	Coef  string  `json:"n,omitempty"`
	Scale int16   `json:"s,omitempty"`
}

// MarshalJSON stores the value by its image, whatever its type.
func (m MissingValue) MarshalJSON() ([]byte, error) {
	var im datumImage
	switch d := m.Value; d.Repr() {
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
	return json.Marshal(struct {
		Column ColumnID   `json:"column"`
		Value  datumImage `json:"value"`
	}{m.Column, im})
}

// UnmarshalJSON reads what MarshalJSON stored.
func (m *MissingValue) UnmarshalJSON(b []byte) error {
	var v struct {
		Column ColumnID   `json:"column"`
		Value  datumImage `json:"value"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	m.Column = v.Column
	switch im := v.Value; {
	case im.Int != nil:
		m.Value = types.NewInt(*im.Int)
	case im.Float != nil:
		m.Value = types.NewFloat(math.Float64frombits(*im.Float))
	case im.Bytes != nil:
		m.Value = types.NewBytes(*im.Bytes)
	case im.Coef != "":
		n, ok := new(big.Int).SetString(im.Coef, 10)
		if !ok {
			return fmt.Errorf("catalog: malformed numeric %q", im.Coef)
		}
		m.Value = types.NewNumeric(types.NumericFromBig(n, im.Scale))
	}
	return nil
}

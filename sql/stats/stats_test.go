package stats

import (
	"math"
	"reflect"
	"testing"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// collect gathers statistics of n rows of (unique, one of ten, NULL every
// fourth row, skewed text).
func collect(n int) *Table {
	c := NewCollector([]catalog.ColumnID{1, 2, 3, 4}, 7)
	for i := range n {
		row := []types.Datum{types.NewInt(int64(i)), types.NewInt(int64(i % 10)), types.Null, types.NewString("rare" + string(rune('a'+i%26)))}
		if i%4 != 0 {
			row[2] = types.NewFloat(float64(i))
		}
		if i%2 == 0 {
			row[3] = types.NewString("common")
		}
		c.Add(row)
	}
	return c.Finish(0, 42)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCollectAndEstimate(t *testing.T) {
	const n = 100_000
	s := collect(n)
	near(t, "rows", s.Rows, n, 0)
	near(t, "unique", s.Column(1).DistinctOf(n), n, n*0.05)
	near(t, "ten values", s.Column(2).DistinctOf(n), 10, 0)
	near(t, "nulls", s.Column(3).NullFrac, 0.25, 0.02)
	near(t, "eq of ten", s.Column(2).Eq(types.NewInt(3), n), 0.1, 0.01)
	near(t, "eq of a value that is not there", s.Column(2).Eq(types.NewInt(33), n), 0, 0.001)
	near(t, "common", s.Column(4).Eq(types.NewString("common"), n), 0.5, 0.02)
	near(t, "less", s.Column(1).Less(types.NewInt(n/4), false), 0.25, 0.02)
	near(t, "range", s.Column(1).Range(types.NewInt(n/2), types.NewInt(n/2+n/10), true, false), 0.1, 0.02)
	near(t, "above, with nulls", s.Column(3).Range(types.NewFloat(n/2), types.Null, true, false), 0.375, 0.03)
}

func TestSelectivityIsAShare(t *testing.T) {
	cols := []*Column{nil, {}, {Distinct: -5, NullFrac: 3, Common: []Common{{types.NewInt(1), 9}}}, collect(50).Column(3)}
	vals := []types.Datum{types.Null, types.NewInt(1), types.NewFloat(math.NaN()), types.NewString(""), types.NewNumeric(types.NumericNaN)}
	for _, c := range cols {
		for _, v := range vals {
			for _, w := range vals {
				for _, f := range []float64{c.Eq(v, 10), c.EqUnknown(0), c.Null(), c.Less(v, true), c.Range(v, w, true, true)} {
					if !(f >= 0 && f <= 1) {
						t.Fatalf("selectivity %v of %+v for %v, %v", f, c, v, w)
					}
				}
			}
		}
	}
}

func TestStorage(t *testing.T) {
	s := collect(5000)
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, s) {
		t.Fatal("statistics changed in storage")
	}
	if !reflect.DeepEqual(collect(5000), s) {
		t.Fatal("the same rows gave other statistics")
	}
	for _, bad := range [][]byte{nil, {encodingVersion + 1}, b[:len(b)/2]} {
		if _, err := Decode(bad); err == nil {
			t.Fatal("malformed statistics were read")
		}
	}
}

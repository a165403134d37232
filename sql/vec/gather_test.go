package vec

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/pamirdb/pamir/sql/types"
)

func TestIntTable(t *testing.T) {
	var tab IntTable
	want := map[int64]int32{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		k := int64(r.Uint64())
		if i%2 == 0 {
			k = int64(r.IntN(5000)) - 2500
		}
		if got := tab.Get(k); got != want[k] {
			t.Fatalf("key %d: %d, want %d", k, got, want[k])
		}
		*tab.At(k) = int32(i + 1)
		want[k] = int32(i + 1)
	}
	for k, v := range want {
		if got := tab.Get(k); got != v {
			t.Fatalf("key %d: %d, want %d", k, got, v)
		}
	}
}

// Gathering positions gives what appending one after the other gives.
func TestAppendSel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, repr := range []types.Repr{types.Int64, types.Float64, types.Bytes, types.Numerics} {
		for _, odd := range []string{"", "null", "big", "const"} {
			src := New(repr, 0)
			for i := range 50 {
				switch {
				case odd == "null" && i%7 == 3:
					src.AppendNull()
				case repr == types.Int64:
					src.AppendInt(int64(i))
				case repr == types.Float64:
					src.AppendFloat(float64(i) / 4)
				case repr == types.Bytes:
					src.AppendStr("abcdefghij"[:i%10])
				case odd == "big" && i%5 == 2:
					src.AppendNumeric(types.NumericFromBig(new(big.Int).Lsh(big.NewInt(int64(i+1)), 80), 2))
				default:
					src.AppendNumeric(types.Numeric{Coef: int64(i), Scale: int16(i % 3)})
				}
			}
			if odd == "const" {
				src = NewConst(repr, src.Datum(5))
			}
			sel := make([]int32, 30)
			for i := range sel {
				sel[i] = int32(r.IntN(50))
			}
			got, want := New(repr, 0), New(repr, 0)
			for range 2 { // onto an empty vector, and onto one that holds values
				got.AppendSel(src, sel, 50)
				for _, j := range sel {
					want.AppendFrom(src, int(j))
				}
			}
			if got.Len() != want.Len() {
				t.Fatalf("%v %q: %d values, want %d", repr, odd, got.Len(), want.Len())
			}
			for i := range want.Len() {
				if g, w := got.Datum(i), want.Datum(i); g.IsNull() != w.IsNull() || types.TextOf(oidOf(repr), g, types.DefaultSettings()) != types.TextOf(oidOf(repr), w, types.DefaultSettings()) {
					t.Fatalf("%v %q: value %d is %v, want %v", repr, odd, i, g, w)
				}
			}
		}
	}
}

func oidOf(r types.Repr) types.OID {
	return map[types.Repr]types.OID{types.Int64: types.Int8OID, types.Float64: types.Float8OID, types.Bytes: types.TextOID, types.Numerics: types.NumericOID}[r]
}

func BenchmarkIntTable(b *testing.B) {
	var tab IntTable
	for i := range int32(100_000) {
		*tab.At(int64(i) * 4) = i + 1
	}
	var n int32
	for i := 0; b.Loop(); i++ {
		n += tab.Get(int64(i % 400_000))
	}
}

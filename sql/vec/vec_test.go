package vec

import (
	"flag"
	"testing"

	"github.com/pamirdb/pamir/sql/types"
)

var _ = flag.Bool("rewrite", false, "there are no golden files here")

func parse(t *testing.T, oid types.OID, s string) types.Datum {
	t.Helper()
	if s == "~" {
		return types.Null
	}
	d, err := types.ParseText(types.Of(oid), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var columns = map[types.OID][]string{
	types.Int8OID:    {"1", "~", "-5", "1"},
	types.Float8OID:  {"0", "-0", "~", "NaN"},
	types.TextOID:    {"", "abc", "~", "abc"},
	types.NumericOID: {"1.0", "1.00", "~", "99999999999999999999999.5"},
	types.BPCharOID:  {"a", "a  ", "~", "b"},
}

// TestVectorOps checks that values come back, whichever way they went in, and
// that hashes and keys follow equality.
func TestVectorOps(t *testing.T) {
	for oid, texts := range columns {
		r := types.ReprOf(oid)
		a := New(r, 0)
		for _, s := range texts {
			a.AppendDatum(parse(t, oid, s))
		}
		b := New(r, 0)
		b.Resize(len(texts))
		for i := range texts {
			b.CopyFrom(i, a, i)
		}
		c := New(r, 0)
		c.AppendSel(a, []int32{3, 1, 0}, 4)
		d := New(r, 0)
		d.AppendSel(a, nil, 4)
		var alias Vector
		alias.Alias(a)
		hashes := make([]uint64, 4)
		HashInto(oid, a, nil, 4, hashes)
		for i := range texts {
			want := a.Datum(i)
			for name, got := range map[string]types.Datum{"copy": b.Datum(i), "range": d.Datum(i), "alias": alias.Datum(i)} {
				if !got.BytesEqual(want) {
					t.Errorf("%s %s at %d: %v", types.Of(oid), name, i, got)
				}
			}
			for j := range texts {
				eq := Equal(oid, a, i, a, j)
				keys := string(AppendKey(nil, oid, a, i)) == string(AppendKey(nil, oid, a, j))
				if eq != keys || eq && hashes[i] != hashes[j] || eq != (CompareNulls(oid, false, a, i, a, j) == 0) {
					t.Errorf("%s: positions %d and %d: equal %v, keys %v, hashes %v", types.Of(oid), i, j, eq, keys, hashes[i] == hashes[j])
				}
			}
		}
		for k, i := range []int{3, 1, 0} {
			if !c.Datum(k).BytesEqual(a.Datum(i)) {
				t.Errorf("%s: selection lost position %d", types.Of(oid), i)
			}
		}
	}
}

// TestSharedArena checks that nobody writes into bytes he only looks at.
func TestSharedArena(t *testing.T) {
	page := []byte("hello world, and more")
	v := New(types.Bytes, 2)
	v.Resize(2)
	v.ShareArena(page[:11])
	v.SetSpan(0, 0, 5)
	v.SetBytes(1, []byte("X"))
	if v.Str(0) != "hello" || v.Str(1) != "X" || string(page) != "hello world, and more" {
		t.Fatalf("%q %q %q", v.Str(0), v.Str(1), page)
	}
	v.ShareArena(page)
	v.Reset()
	v.AppendStr("overwrites?")
	if string(page) != "hello world, and more" {
		t.Fatalf("%q", page)
	}
}

// TestConst checks that a constant answers at every position.
func TestConst(t *testing.T) {
	v := NewConst(types.Bytes, types.NewString("x"))
	if v.Str(0) != "x" || v.Str(77) != "x" || v.IsNull(77) {
		t.Fatal("constant lost its value")
	}
	if v.SetConst(types.Null); !v.IsNull(77) {
		t.Fatal("constant NULL is not NULL everywhere")
	}
}

// TestBatch checks slicing and copying of rows with a selection.
func TestBatch(t *testing.T) {
	b := NewBatch([]types.Type{types.Int4Type, types.TextType}, 0)
	for i := int64(0); i < 6; i++ {
		b.AppendRow([]types.Datum{types.NewInt(i), types.NewString("r")})
	}
	b.Sel = []int32{1, 3, 5}
	b.Slice(1, 3)
	out := NewBatch([]types.Type{types.Int4Type, types.TextType}, 0)
	out.AppendBatch(b)
	if out.N != 2 || out.Cols[0].Int(0) != 3 || out.Cols[0].Int(1) != 5 {
		t.Fatal(out.N, out.Cols[0].Ints)
	}
	b.Sel = nil
	b.Slice(4, 6)
	if b.Len() != 2 || b.Pos(0) != 4 {
		t.Fatal(b.Len(), b.Pos(0))
	}
}

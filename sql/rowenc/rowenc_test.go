package rowenc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// ordered lists values of a type in PostgreSQL's order, as text; values of one
// equality class share an entry, separated by |.
var ordered = []struct {
	oid  types.OID
	vals [][]string
}{
	{types.BoolOID, [][]string{{"f"}, {"t"}}},
	{types.Int4OID, [][]string{{"-2147483648"}, {"-256"}, {"-1"}, {"0"}, {"1"}, {"255"}, {"256"}, {"2147483647"}}},
	{types.Int8OID, [][]string{{"-9223372036854775808"}, {"-1"}, {"0"}, {"9223372036854775807"}}},
	{types.Float8OID, [][]string{{"-Infinity"}, {"-1e300"}, {"-1"}, {"0", "-0"}, {"1e-300"}, {"1"}, {"Infinity"}, {"NaN"}}},
	{types.NumericOID, [][]string{{"-Infinity"}, {"-1e40"}, {"-123456789012345678901"}, {"-100"}, {"-99.5"}, {"-1.01"}, {"-1", "-1.00"}, {"-0.5", "-0.500"}, {"-0.01"},
		{"0", "0.000"}, {"0.001"}, {"0.01"}, {"0.5"}, {"1", "1.0", "1.00"}, {"1.01"}, {"9"}, {"10", "10.0"}, {"99.5"}, {"100", "1e2"}, {"123456789012345678901"}, {"1e40"},
		{"Infinity"}, {"NaN"}}},
	{types.TextOID, [][]string{{""}, {"A"}, {"a"}, {"a "}, {"ab"}, {"b"}, {"é"}}},
	{types.BPCharOID, [][]string{{"", "  "}, {"a", "a ", "a   "}, {"a b"}, {"b"}}},
	{types.ByteaOID, [][]string{{`\x`}, {`\x00`}, {`\x0000`}, {`\x0001`}, {`\x01`}, {`\xff`}, {`\xff00`}}},
	{types.DateOID, [][]string{{"-infinity"}, {"0001-01-01 BC"}, {"1999-12-31"}, {"2000-01-01"}, {"infinity"}}},
	{types.TimestampOID, [][]string{{"-infinity"}, {"1999-12-31 23:59:59.999999"}, {"2000-01-01 00:00:00"}, {"infinity"}}},
	{types.TimeOID, [][]string{{"00:00:00"}, {"12:00:00.000001"}, {"24:00:00"}}},
	{types.TimeTZOID, [][]string{{"00:00:00+02"}, {"00:00:00+00"}, {"01:00:00+00"}, {"00:00:00-03"}}},
	{types.IntervalOID, [][]string{{"-1 mon"}, {"-1 day"}, {"-1 us"}, {"0"}, {"1 us"}, {"23:59:59"}, {"1 day", "24 hours"}, {"1 mon", "30 days", "720 hours"}, {"1 year"}}},
	{types.UUIDOID, [][]string{{"00000000-0000-0000-0000-000000000000"}, {"00000000-0000-0000-0000-000000000001"}, {"ffffffff-ffff-ffff-ffff-ffffffffffff"}}},
	{types.Int4ArrayOID, [][]string{{"{}"}, {"{-1}"}, {"{1}"}, {"{1,2}"}, {"{1,NULL}"}, {"{2}"}, {"{NULL}"}}},
	{types.JSONBOID, [][]string{{"[]"}, {"null"}, {`"a"`}, {`"b"`}, {"1", "1.0"}, {"2"}, {"false"}, {"true"}, {"[1]"}, {"[2]"}, {"[1,2]"}, {`{}`}, {`{"a":1}`}, {`{"a":2}`}}},
}

func TestKeyOrder(t *testing.T) {
	for _, c := range ordered {
		typ := types.Of(c.oid)
		type enc struct {
			class int
			text  string
			key   []byte
		}
		var all []enc
		for class, texts := range c.vals {
			for _, s := range texts {
				d, err := types.ParseText(typ, s, types.DefaultSettings())
				if err != nil {
					t.Fatalf("%s %q: %v", typ, s, err)
				}
				key := AppendKeyValue(nil, typ, d)
				all = append(all, enc{class, s, key})
				if rest, err := skipKeyValue(append(bytes.Clone(key), 7), keyKindOf(c.oid)); err != nil || len(rest) != 1 {
					t.Errorf("%s %q: stepping over it leaves %x, %v", typ, s, rest, err)
				}
				if got, rest, err := decodeKeyValue(append(bytes.Clone(key), 7), keyKindOf(c.oid)); Exact(typ) && (err != nil || len(rest) != 1 || !got.BytesEqual(d)) {
					t.Errorf("%s %q does not come back from its key", typ, s)
				}
			}
		}
		for _, a := range all {
			for _, b := range all {
				got := bytes.Compare(a.key, b.key)
				want := 0
				if a.class != b.class {
					want = 1
					if a.class < b.class {
						want = -1
					}
				}
				if got != want {
					t.Errorf("%s: %q and %q compare as %d, want %d", typ, a.text, b.text, got, want)
				}
			}
		}
	}
}

func TestNumericKeysOrderAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() types.Numeric {
		n := types.Numeric{Coef: int64(r.Uint64()) >> r.IntN(64), Scale: int16(r.IntN(20))}
		if r.IntN(4) == 0 {
			b := new(big.Int).Mul(big.NewInt(int64(r.Uint64())), big.NewInt(int64(r.Uint64())))
			n = types.NumericFromBig(b, int16(r.IntN(40)))
		}
		return n
	}
	for range 20000 {
		a, b := random(), random()
		if got, want := bytes.Compare(appendNumeric(nil, a), appendNumeric(nil, b)), a.Cmp(b); got != want {
			t.Fatalf("%v and %v compare as %d, want %d", a, b, got, want)
		}
	}
}

// testTable has a column of each stored kind; the primary key is (i, s).
func testTable() *catalog.Table {
	oids := []types.OID{types.Int4OID, types.TextOID, types.BoolOID, types.Int2OID, types.Int8OID, types.Float4OID, types.Float8OID, types.NumericOID,
		types.UUIDOID, types.ByteaOID, types.OIDOID, types.BPCharOID}
	t := &catalog.Table{Header: catalog.Header{ID: 20000, Name: "t"}, Primary: 20001, Layout: 1}
	l := catalog.Layout{ID: 1}
	for i, o := range oids {
		id := catalog.ColumnID(i + 1)
		t.Columns = append(t.Columns, catalog.Column{ID: id, Name: fmt.Sprintf("c%d", id), Type: types.Of(o)})
		if i > 1 {
			l.Columns = append(l.Columns, id)
		}
	}
	t.Layouts = []catalog.Layout{l}
	t.Indexes = []catalog.Index{
		{OID: 20001, Storage: 1, Name: "pk", Unique: true, Columns: []catalog.IndexColumn{{Column: 1}, {Column: 2, Desc: true}}},
		{OID: 20002, Storage: 2, Name: "x", Columns: []catalog.IndexColumn{{Column: 8, Desc: true}, {Column: 5, NullsFirst: true}}, Include: []catalog.ColumnID{10}},
		{OID: 20003, Storage: 3, Name: "u", Unique: true, Columns: []catalog.IndexColumn{{Column: 7}}},
	}
	return t
}

func randomRow(r *rand.Rand, t *catalog.Table) []types.Datum {
	row := make([]types.Datum, len(t.Columns))
	bs := func(n int) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = []byte{0, 1, 'a', 0xff}[r.IntN(4)]
		}
		return string(b)
	}
	for i := range t.Columns {
		if i > 1 && r.IntN(4) == 0 {
			continue
		}
		v := int64(r.Uint64()) >> r.IntN(64)
		switch t.Columns[i].Type.OID {
		case types.BoolOID:
			row[i] = types.NewBool(v&1 != 0)
		case types.Int2OID:
			row[i] = types.NewInt(int64(int16(v)))
		case types.Int4OID:
			row[i] = types.NewInt(int64(int32(v)))
		case types.OIDOID:
			row[i] = types.NewInt(int64(uint32(v)))
		case types.Int8OID:
			row[i] = types.NewInt(v)
		case types.Float4OID:
			row[i] = types.NewFloat(float64(float32(v)))
		case types.Float8OID:
			row[i] = types.NewFloat(math.Ldexp(float64(v), r.IntN(100)-50))
		case types.NumericOID:
			row[i] = types.NewNumeric(types.Numeric{Coef: v, Scale: int16(r.IntN(9))})
			if r.IntN(3) == 0 {
				row[i] = types.NewNumeric(types.NumericFromBig(new(big.Int).Lsh(big.NewInt(v|1), 70), 5))
			}
		case types.UUIDOID:
			row[i] = types.NewString(string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(v)), r.Uint64())))
		case types.BPCharOID:
			row[i] = types.NewString("x   ")
		default:
			row[i] = types.NewString(bs(6))
			if r.IntN(50) == 0 {
				row[i] = types.NewString(bs(1) + string(make([]byte, 70000)))
			}
		}
	}
	return row
}

func TestRowsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tab := testTable()
	for x := range tab.Indexes {
		enc, err := NewIndexEncoder(tab, &tab.Indexes[x], nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []catalog.ColumnID{3, 1, 12, 8, 2, 9, 7, 4, 10, 11, 5, 6}
		switch x {
		case 1:
			want = []catalog.ColumnID{10, 8, 2, 1, 5}
		case 2:
			want = []catalog.ColumnID{2, 7, 1}
		}
		dec, err := NewDecoder(tab, &tab.Indexes[x], want)
		if err != nil {
			t.Fatal(err)
		}
		var ks, vs [][]byte
		var rows [][]types.Datum
		for range 300 {
			row := randomRow(r, tab)
			rows = append(rows, row)
			ks = append(ks, enc.AppendKey(nil, row, nil))
			vs = append(vs, enc.AppendValue(nil, row))
		}
		var cols []*vec.Vector
		for _, p := range dec.Reprs() {
			cols = append(cols, vec.New(p, 0))
		}
		if err := dec.Decode(ks, vs, cols); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			for c, id := range want {
				if got := cols[c].Datum(i); !got.BytesEqual(row[id-1]) {
					t.Fatalf("index %d, row %d, column %d: %v, want %v", x, i, id, got, row[id-1])
				}
			}
		}
	}
}

func TestLayouts(t *testing.T) {
	tab := testTable()
	old, err := NewIndexEncoder(tab, &tab.Indexes[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	row := randomRow(rand.New(rand.NewPCG(5, 6)), tab)
	k, v := old.AppendKey(nil, row, nil), old.AppendValue(nil, row)

	// A column with a constant default is added, another one is dropped.
	tab.Columns = append(tab.Columns, catalog.Column{ID: 13, Name: "new", Type: types.Of(types.Int4OID)})
	tab.Columns[2].State = catalog.Absent
	tab.Layouts[0].Missing = []catalog.MissingValue{{Column: 13, Value: types.NewInt(77)}}
	second := catalog.Layout{ID: 2, Columns: []catalog.ColumnID{4, 5, 6, 7, 8, 9, 10, 11, 12, 13}}
	before, err := NewDecoder(tab, &tab.Indexes[0], []catalog.ColumnID{13})
	if err != nil {
		t.Fatal(err)
	}
	tab.Layouts, tab.Layout = append(tab.Layouts, second), 2
	dec, err := NewDecoder(tab, &tab.Indexes[0], []catalog.ColumnID{13, 5, 1})
	if err != nil {
		t.Fatal(err)
	}
	cur, err := NewIndexEncoder(tab, &tab.Indexes[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	row = append(row, types.NewInt(5))
	k2, v2 := cur.AppendKey(nil, row, nil), cur.AppendValue(nil, row)
	cols := []*vec.Vector{vec.New(types.Int64, 0), vec.New(types.Int64, 0), vec.New(types.Int64, 0)}
	if err := dec.Decode([][]byte{k, k2, k}, [][]byte{v, v2, v}, cols); err != nil {
		t.Fatal(err)
	}
	if cols[0].Int(0) != 77 || cols[0].Int(1) != 5 || cols[0].Int(2) != 77 || !cols[1].Datum(0).BytesEqual(cols[1].Datum(1)) {
		t.Error("values of two layouts got mixed up")
	}
	one := []*vec.Vector{vec.New(types.Int64, 0)}
	if err := before.DecodeRow(k2, v2, one); err != ErrUnknownLayout {
		t.Errorf("a younger layout: %v", err)
	}
}

func TestUniqueEntriesWithNull(t *testing.T) {
	tab := testTable()
	enc, err := NewIndexEncoder(tab, &tab.Indexes[2], nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	a, b := randomRow(r, tab), randomRow(r, tab)
	a[6], b[6] = types.Null, types.Null
	if bytes.Equal(enc.AppendKey(nil, a, nil), enc.AppendKey(nil, b, nil)) {
		t.Error("two NULLs collide in a unique index")
	}
	a[6], b[6] = types.NewFloat(1), types.NewFloat(1)
	if !bytes.Equal(enc.AppendKey(nil, a, nil), enc.AppendKey(nil, b, nil)) {
		t.Error("equal values do not collide in a unique index")
	}
}

func FuzzDecoder(f *testing.F) {
	tab := testTable()
	enc, _ := NewIndexEncoder(tab, &tab.Indexes[0], nil)
	row := randomRow(rand.New(rand.NewPCG(9, 9)), tab)
	f.Add(enc.AppendKey(nil, row, nil), enc.AppendValue(nil, row))
	dec, err := NewDecoder(tab, &tab.Indexes[0], []catalog.ColumnID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, k, v []byte) {
		var cols []*vec.Vector
		for _, p := range dec.Reprs() {
			cols = append(cols, vec.New(p, 0))
		}
		_ = dec.DecodeRow(k, v, cols) // any error will do, a panic will not
	})
}

func BenchmarkDecodeFourOfTwelve(b *testing.B) {
	tab := testTable()
	enc, _ := NewIndexEncoder(tab, &tab.Indexes[0], nil)
	r := rand.New(rand.NewPCG(1, 1))
	var ks, vs [][]byte
	for range 1024 {
		row := randomRow(r, tab)
		ks, vs = append(ks, enc.AppendKey(nil, row, nil)), append(vs, enc.AppendValue(nil, row))
	}
	dec, _ := NewDecoder(tab, &tab.Indexes[0], []catalog.ColumnID{3, 5, 7, 11})
	var cols []*vec.Vector
	for _, p := range dec.Reprs() {
		cols = append(cols, vec.New(p, 1024))
	}
	for range b.N {
		for _, c := range cols {
			c.Reset()
		}
		if err := dec.Decode(ks, vs, cols); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/row")
}

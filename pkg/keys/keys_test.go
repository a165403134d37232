package keys

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

var edgeInts = []int64{math.MinInt64, math.MinInt64 + 1, -1 << 56, -(1 << 56) - 1, -65537, -65536, -65535, -257, -256, -255,
	-129, -128, -2, -1, 0, 1, 127, 128, 255, 256, 257, 65535, 65536, 1 << 32, 1 << 56, math.MaxInt64 - 1, math.MaxInt64}

func TestIntOrderAndRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	vals := slices.Clone(edgeInts)
	for range 2000 {
		vals = append(vals, int64(r.Uint64())>>r.IntN(64))
	}
	for _, a := range vals {
		ea := AppendInt(nil, a)
		if v, rest, err := DecodeInt(append(ea, 7)); v != a || len(rest) != 1 || err != nil {
			t.Fatalf("%d came back as %d, %v", a, v, err)
		}
		b := vals[r.IntN(len(vals))]
		if got := bytes.Compare(ea, AppendInt(nil, b)); got != cmp.Compare(a, b) {
			t.Fatalf("order of %d and %d is %d", a, b, got)
		}
	}
}

func TestFloatOrder(t *testing.T) {
	vals := []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, math.MaxFloat64, math.Inf(1), math.NaN()}
	for i := range vals {
		for j := range vals {
			if got := bytes.Compare(AppendFloat(nil, vals[i]), AppendFloat(nil, vals[j])); got != cmp.Compare(i, j) {
				t.Fatalf("order of %v and %v is %d", vals[i], vals[j], got)
			}
		}
	}
	if !bytes.Equal(AppendFloat(nil, math.Copysign(0, -1)), AppendFloat(nil, 0)) {
		t.Fatal("-0 and 0 differ")
	}
}

func randomKey(r *rand.Rand) []byte {
	k := make([]byte, r.IntN(5))
	for i := range k {
		k[i] = []byte{0, 1, 2, 'a', 0xfe, 0xff}[r.IntN(6)]
	}
	return k
}

func TestBytesOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		a, b := randomKey(r), randomKey(r)
		ea, eb := AppendBytes(nil, a), AppendBytes(nil, b)
		if bytes.Compare(ea, eb) != bytes.Compare(a, b) {
			t.Fatalf("order of %x and %x", a, b)
		}
		if v, rest, err := DecodeBytes(nil, append(ea, 9)); err != nil || !bytes.Equal(v, a) || len(rest) != 1 {
			t.Fatalf("%x came back as %x, %v", a, v, err)
		}
	}
}

// Every version and local value of a key lies inside an engine span exactly when
// the key lies inside the logical span, whatever prefixes the bounds share.
func TestEngineSpansHoldTheirKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		k, start, end := randomKey(r), randomKey(r), randomKey(r)
		if bytes.Compare(start, end) > 0 {
			start, end = end, start
		}
		inside := bytes.Compare(start, k) <= 0 && bytes.Compare(k, end) < 0
		spans := EngineSpans(7, start, end)
		ts := hlc.Timestamp{WallNanos: int64(r.Uint64() >> 1), Logical: int32(r.Uint32() >> 1)}
		ev := AppendEngineVersion(nil, 7, k, ts)
		el := AppendEngineLocal(nil, 7, k, []byte("txn"))
		for i, e := range [][]byte{el, ev} {
			if got := bytes.Compare(spans[i][0], e) <= 0 && bytes.Compare(e, spans[i][1]) < 0; got != inside {
				t.Fatalf("key %x in [%x, %x): %v, its engine key %v", k, start, end, inside, got)
			}
		}
		if dk, dts, err := DecodeEngineVersion(nil, ev); err != nil || !bytes.Equal(dk, k) || dts != ts {
			t.Fatalf("%x@%s came back as %x@%s %v", k, ts, dk, dts, err)
		}
		if a, s, err := DecodeEngineLocal(el); err != nil || !bytes.Equal(a, k) || string(s) != "txn" {
			t.Fatalf("local key of %x: %x %q %v", k, a, s, err)
		}
	}
}

func TestVersionsNewestFirst(t *testing.T) {
	old := AppendEngineVersion(nil, 1, []byte("k"), hlc.Timestamp{WallNanos: 5})
	recent := AppendEngineVersion(nil, 1, []byte("k"), hlc.Timestamp{WallNanos: 5, Logical: 1})
	intent := AppendEngineVersion(nil, 1, []byte("k"), hlc.MaxTimestamp)
	if bytes.Compare(intent, recent) >= 0 || bytes.Compare(recent, old) >= 0 {
		t.Fatal("versions out of order")
	}
}

func TestPretty(t *testing.T) {
	for _, c := range []struct {
		k    []byte
		want string
	}{
		{MinKey, "/Min"}, {MaxKey, "/Max"}, {MetaEnd, "/System"}, {TablePrefix, "/Table"},
		{System("node", 3), "/System/node/3"},
		{AppendString(AppendInt(TableIndex(104, 1), -42), "x"), `/Table/104/1/-42/"x"`},
		{Meta(TableIndex(104, 2)), "/Meta/Table/104/2"},
		{append(AppendInt(append(TableIndex(104, 1), NotNullMarker), 7), NullMarker), "/Table/104/1/7/NULL"},
	} {
		if got := Pretty(c.k); got != c.want {
			t.Errorf("%x: %s, want %s", c.k, got, c.want)
		}
	}
}

func TestReplicaKeys(t *testing.T) {
	r, name, ok := DecodeEngineReplica(EngineReplica(1<<40, "raft/x"))
	if !ok || r != ids.RangeID(1<<40) || name != "raft/x" {
		t.Fatal(r, name, ok)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x89, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, rest, err := DecodeInt(b); err == nil {
			again := AppendInt(nil, v)
			if w, _, err := DecodeInt(again); err != nil || w != v || len(rest) > len(b) {
				t.Fatal("integer does not survive")
			}
		}
		if v, _, err := DecodeBytes(nil, b); err == nil {
			if w, _, err := DecodeBytes(nil, AppendBytes(nil, v)); err != nil || !bytes.Equal(w, v) {
				t.Fatal("bytes do not survive")
			}
		}
		_, _, _ = DecodeEngineVersion(nil, b)
		_ = Pretty(b)
	})
}

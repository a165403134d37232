package vec

import (
	"hash/maphash"
	"math/bits"

	"github.com/pamirdb/pamir/sql/types"
)

// Compare orders the values at position i of a and j of b, neither of them
// NULL, by the default order of type oid.
func Compare(oid types.OID, a *Vector, i int, b *Vector, j int) int {
	switch a.Repr {
	case types.Int64:
		return types.CompareInts(oid, a.Int(i), b.Int(j))
	case types.Float64:
		return types.CompareFloats(a.Float(i), b.Float(j))
	case types.Numerics:
		return a.Numeric(i).Cmp(b.Numeric(j))
	}
	return types.CompareBytes(oid, a.Bytes(i), b.Bytes(j))
}

// CompareNulls orders values that may be NULL; NULLs are equal to each other
// and greater than all else, or smaller with nullsFirst.
func CompareNulls(oid types.OID, nullsFirst bool, a *Vector, i int, b *Vector, j int) int {
	an, bn := a.IsNull(i), b.IsNull(j)
	if !an && !bn {
		return Compare(oid, a, i, b, j)
	}
	if an == bn {
		return 0
	}
	if an != nullsFirst {
		return 1
	}
	return -1
}

// Equal reports whether two values are not distinct: NULLs are equal.
func Equal(oid types.OID, a *Vector, i int, b *Vector, j int) bool {
	an, bn := a.IsNull(i), b.IsNull(j)
	if an || bn {
		return an && bn
	}
	if a.Repr == types.Int64 {
		return a.Int(i) == b.Int(j)
	}
	if a.Repr == types.Bytes && types.BytesAreKey(oid) {
		return a.Str(i) == b.Str(j)
	}
	return Compare(oid, a, i, b, j) == 0
}

var seed = maphash.MakeSeed()

const (
	nullHash = 0x9e3779b97f4a7c15
	mixMul   = 0xbf58476d1ce4e5b9
)

func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v^nullHash, mixMul)
	return hi ^ lo
}

// HashInto folds the hash of the values of v, at the positions of sel (nil: the
// first n), into hashes, which is indexed by position. Equal values hash alike;
// hashes differ between processes.
func HashInto(oid types.OID, v *Vector, sel []int32, n int, hashes []uint64) {
	if sel == nil {
		for i := 0; i < n; i++ {
			hashes[i] = mix(hashes[i], hashAt(oid, v, i))
		}
		return
	}
	for _, i := range sel {
		hashes[i] = mix(hashes[i], hashAt(oid, v, int(i)))
	}
}

func hashAt(oid types.OID, v *Vector, i int) uint64 {
	if v.IsNull(i) {
		return nullHash
	}
	switch v.Repr {
	case types.Int64:
		return uint64(v.Int(i))
	case types.Float64:
		return types.FloatKey(v.Float(i))
	case types.Numerics:
		n := v.Numeric(i).Reduce()
		if n.Big == nil {
			return mix(uint64(n.Coef), uint64(n.Scale))
		}
		return maphash.Bytes(seed, types.AppendNumericImage(nil, n))
	}
	if types.BytesAreKey(oid) {
		return maphash.Bytes(seed, v.Bytes(i))
	}
	if oid == types.BPCharOID {
		return maphash.Bytes(seed, types.TrimPadding(v.Bytes(i)))
	}
	return maphash.Bytes(seed, types.AppendBytesHashKey(nil, oid, v.Bytes(i)))
}

// AppendKey appends bytes that are equal exactly when the values at position i
// are not distinct; each value is self-delimiting, so keys may be concatenated.
func AppendKey(b []byte, oid types.OID, v *Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, 0)
	}
	if v.Repr == types.Int64 {
		x := uint64(v.Int(i))
		return append(b, 1, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
	}
	b = append(b, 1, 0, 0, 0, 0)
	at := len(b)
	if v.Repr == types.Bytes {
		b = types.AppendBytesHashKey(b, oid, v.Bytes(i))
	} else {
		b = types.AppendHashKey(b, oid, v.Datum(i))
	}
	n := uint32(len(b) - at)
	b[at-4], b[at-3], b[at-2], b[at-1] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	return b
}

// AppendText appends the text form of the value at position i, which is not
// NULL.
func (v *Vector) AppendText(b []byte, oid types.OID, i int, st *types.Settings) []byte {
	switch v.Repr {
	case types.Int64:
		return types.AppendTextInt(b, oid, v.Int(i), st)
	case types.Bytes:
		return types.AppendTextBytes(b, oid, v.Bytes(i), st)
	case types.Float64:
		return types.AppendTextFloat(b, oid, v.Float(i), st)
	}
	return types.AppendNumeric(b, v.Numeric(i))
}

// AppendBinary appends the binary form of the value at position i, which is not
// NULL.
func (v *Vector) AppendBinary(b []byte, oid types.OID, i int, st *types.Settings) []byte {
	switch v.Repr {
	case types.Int64:
		return types.AppendBinaryInt(b, oid, v.Int(i))
	case types.Bytes:
		return types.AppendBinaryBytes(b, oid, v.Bytes(i), st)
	}
	return types.AppendBinary(b, oid, v.Datum(i), st)
}

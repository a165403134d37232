package builtin

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/pamirdb/pamir/sql/types"
)

// PostgreSQL's hash functions of values: Jenkins's lookup3 over an image of the
// value. The extended ones take a seed and give 64 bits, whose lower half is the
// plain hash if the seed is 0.

// hashState is the state of lookup3.
type hashState struct{ a, b, c uint32 }

func newHash(length int, seed uint64) hashState {
	init := 0x9e3779b9 + uint32(length) + 3923095
	h := hashState{init, init, init}
	if seed != 0 {
		h.a += uint32(seed >> 32)
		h.b += uint32(seed)
		h.mix()
	}
	return h
}

func (h *hashState) mix() {
	a, b, c := h.a, h.b, h.c
	a -= c
	a ^= bits.RotateLeft32(c, 4)
	c += b
	b -= a
	b ^= bits.RotateLeft32(a, 6)
	a += c
	c -= b
	c ^= bits.RotateLeft32(b, 8)
	b += a
	a -= c
	a ^= bits.RotateLeft32(c, 16)
	c += b
	b -= a
	b ^= bits.RotateLeft32(a, 19)
	a += c
	c -= b
	c ^= bits.RotateLeft32(b, 4)
	b += a
	h.a, h.b, h.c = a, b, c
}

func (h *hashState) final() uint64 {
	a, b, c := h.a, h.b, h.c
	c ^= b
	c -= bits.RotateLeft32(b, 14)
	a ^= c
	a -= bits.RotateLeft32(c, 11)
	b ^= a
	b -= bits.RotateLeft32(a, 25)
	c ^= b
	c -= bits.RotateLeft32(b, 16)
	a ^= c
	a -= bits.RotateLeft32(c, 4)
	b ^= a
	b -= bits.RotateLeft32(a, 14)
	c ^= b
	c -= bits.RotateLeft32(b, 24)
	return uint64(b)<<32 | uint64(c)
}

func hashBytes(k []byte, seed uint64) uint64 {
	h := newHash(len(k), seed)
	for len(k) >= 12 {
		h.a += binary.LittleEndian.Uint32(k)
		h.b += binary.LittleEndian.Uint32(k[4:])
		h.c += binary.LittleEndian.Uint32(k[8:])
		h.mix()
		k = k[12:]
	}
	for i, x := range k {
		v := uint32(x)
		switch {
		case i < 4:
			h.a += v << (8 * i)
		case i < 8:
			h.b += v << (8 * (i - 4))
		default: // the lowest byte of c is the length's
			h.c += v << (8 * (i - 7))
		}
	}
	return h.final()
}

func hashUint32(v uint32, seed uint64) uint64 {
	h := newHash(4, seed)
	h.a += v
	return h.final()
}

// hashInt64 gives small numbers the hash that they have as integers.
func hashInt64(v int64, seed uint64) uint64 {
	low, high := uint32(v), uint32(v>>32)
	if v < 0 {
		high = ^high
	}
	return hashUint32(low^high, seed)
}

func hashFloat(v float64, seed uint64) uint64 {
	if v == 0 {
		return seed
	}
	if math.IsNaN(v) {
		v = math.Float64frombits(0x7ff8000000000000)
	}
	return hashBytes(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)), seed)
}

// hashNumeric hashes the digits in base 10000 without zeros at the ends.
func hashNumeric(n types.Numeric, seed uint64) uint64 {
	if n.IsSpecial() {
		return seed
	}
	image := types.AppendBinary(nil, types.NumericOID, types.NewNumeric(n), nil)
	weight, digits := int16(binary.BigEndian.Uint16(image[2:])), image[8:]
	for len(digits) > 0 && digits[0] == 0 && digits[1] == 0 {
		digits = digits[2:]
		weight--
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 && digits[len(digits)-2] == 0 {
		digits = digits[:len(digits)-2]
	}
	if len(digits) == 0 {
		return seed - 1
	}
	little := make([]byte, len(digits))
	for i := 0; i < len(digits); i += 2 {
		little[i], little[i+1] = digits[i+1], digits[i]
	}
	return hashBytes(little, seed) ^ uint64(int64(weight))
}

// hashJSONB hashes the keys and scalars in order; extended is with 64 bits.
func hashJSONB(j types.JSONB, seed uint64, extended bool) uint64 {
	const array, object = 0x40000000, 0x20000000
	if !j.IsScalar() && j.Len() == 0 {
		return seed
	}
	hash := uint64(0)
	add := func(v uint64) {
		if extended {
			high, low := bits.RotateLeft32(uint32(hash>>32), 1), bits.RotateLeft32(uint32(hash), 1) // each half by itself
			hash = (uint64(high)<<32 | uint64(low)) ^ v
		} else {
			hash = uint64(bits.RotateLeft32(uint32(hash), 1) ^ uint32(v))
		}
	}
	mark := func(v uint64) {
		if extended {
			v |= v << 32
		}
		hash ^= v
	}
	scalar := func(s types.JSONB) {
		switch s.Kind() {
		case types.JSONNull:
			add(seed + 1)
		case types.JSONBool:
			flag := uint64(4)
			if s.Bool() {
				flag = 2
			}
			if seed != 0 {
				flag = hashUint32(uint32(boolByte(s.Bool())), seed)
			}
			add(flag)
		case types.JSONNumber:
			add(hashNumeric(s.Num(), seed))
		default:
			add(hashBytes(s.Str(), seed))
		}
	}
	var walk func(types.JSONB)
	walk = func(v types.JSONB) {
		switch v.Kind() {
		case types.JSONArray:
			mark(array)
		case types.JSONObject:
			mark(object)
		default:
			scalar(v)
			return
		}
		for i := 0; i < v.Len(); i++ {
			if v.Kind() == types.JSONObject {
				add(hashBytes(v.Key(i), seed))
			}
			walk(v.Elem(i))
		}
	}
	if j.IsScalar() {
		mark(array) // a scalar is stored as an array of one
	}
	walk(j)
	return hash
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// hashDatum hashes a value as its type's hash function does; ok is false if the type
// has none here.
func hashDatum(oid types.OID, d types.Datum, seed uint64, extended bool) (h uint64, ok bool) {
	switch oid {
	case types.Int2OID, types.Int4OID, types.DateOID, types.OIDOID, types.BoolOID, types.QCharOID:
		return hashUint32(uint32(d.Int()), seed), true
	case types.Int8OID, types.TimeOID, types.TimestampOID, types.TimestampTZOID:
		return hashInt64(d.Int(), seed), true
	case types.Float4OID, types.Float8OID:
		return hashFloat(d.Float(), seed), true
	case types.NumericOID:
		return hashNumeric(d.Numeric(), seed), true
	case types.TextOID, types.VarCharOID, types.NameOID, types.ByteaOID, types.UUIDOID:
		return hashBytes(d.Bytes(), seed), true
	case types.BPCharOID:
		return hashBytes(bytes.TrimRight(d.Bytes(), " "), seed), true
	case types.TimeTZOID:
		t := types.DecodeTimeTZ(d.Bytes())
		return hashInt64(t.Micros, seed) ^ hashUint32(uint32(t.West), seed), true
	case types.IntervalOID:
		v := types.DecodeInterval(d.Bytes())
		days := int64(v.Months)*30 + int64(v.Days) // their product may pass 64 bits, of which the lower ones count
		return hashInt64(v.Micros+days*types.MicrosPerDay, seed), true
	case types.JSONBOID:
		return hashJSONB(d.Bytes(), seed, extended), true
	}
	if types.ElemOf(oid) != 0 {
		return hashArray(types.DecodeArray(d.Bytes()), seed, extended)
	}
	return 0, false
}

func hashArray(a types.Array, seed uint64, extended bool) (h uint64, ok bool) {
	h = 1
	for _, e := range a.Elems {
		x := uint64(0)
		if !e.IsNull() {
			if x, ok = hashDatum(a.Elem, e, seed, extended); !ok {
				return 0, false
			}
		}
		if !extended {
			h, x = uint64(uint32(h)), uint64(uint32(x))
		}
		h = h<<5 - h + x
	}
	return h, true
}

// oidvectorBytes are the elements as they lie in memory.
func oidvectorBytes(d types.Datum) []byte {
	var b []byte
	for _, e := range types.DecodeArray(d.Bytes()).Elems {
		b = binary.LittleEndian.AppendUint32(b, uint32(e.Int()))
	}
	return b
}

func hashFunc(extended bool) RowFunc {
	return func(c *Call) error {
		seed := uint64(0)
		if extended {
			seed = uint64(c.Int(1))
		}
		oid, d := c.Info.ArgTypes[0].OID, c.Datum(0)
		h, ok := uint64(0), true
		if oid == types.OIDVectorOID {
			h = hashBytes(oidvectorBytes(d), seed)
		} else if h, ok = hashDatum(oid, d, seed, extended); !ok {
			return types.Errorf(types.CodeUndefinedFunction, "could not identify a hash function for type %s", types.Format(oid, -1))
		}
		if extended {
			return c.RetInt(int64(h))
		}
		return c.RetInt(int64(int32(uint32(h))))
	}
}

func init() {
	for _, n := range []string{"hashint2", "hashint4", "hashint8", "hashoid", "hashchar", "hashfloat4", "hashfloat8", "hashtext", "hashname",
		"hashbpchar", "hashoidvector", "hashvarlena"} {
		row(n, hashFunc(false))
		row(n+"extended", hashFunc(true))
	}
	for _, n := range []string{"hash_numeric", "hash_array", "time_hash", "timetz_hash", "timestamp_hash", "interval_hash", "uuid_hash",
		"jsonb_hash"} {
		row(n, hashFunc(false))
		row(n+"_extended", hashFunc(true))
	}
}

package types

import (
	"encoding/binary"
	"strings"
)

// Array is an array value taken apart. Elements are in row-major order.
type Array struct {
	Elem  OID
	Dims  []int32
	Lower []int32
	Elems []Datum
}

// Flat image: version, number of dimensions, element oid, length and lower
// bound of each dimension, end offset and null flag of each element (one word:
// end<<1 | null), the elements' images.
const arrayVersion = 1

// NewArray returns a one-dimensional array with lower bound 1.
func NewArray(elem OID, elems []Datum) Array {
	a := Array{Elem: elem, Elems: elems}
	if len(elems) > 0 {
		a.Dims, a.Lower = []int32{int32(len(elems))}, []int32{1}
	}
	return a
}

// AppendArray appends the flat image of a.
func AppendArray(b []byte, a Array) []byte {
	be := binary.BigEndian
	b = append(b, arrayVersion, byte(len(a.Dims)))
	b = be.AppendUint32(b, uint32(a.Elem))
	for i, d := range a.Dims {
		b = be.AppendUint32(b, uint32(d))
		b = be.AppendUint32(b, uint32(a.Lower[i]))
	}
	table := len(b)
	b = append(b, make([]byte, 4*len(a.Elems))...)
	base := len(b)
	for i, e := range a.Elems {
		flag := uint32(1)
		if !e.IsNull() {
			b = AppendImage(b, e)
			flag = 0
		}
		be.PutUint32(b[table+4*i:], uint32(len(b)-base)<<1|flag)
	}
	return b
}

// ArrayDatum returns a as a datum.
func ArrayDatum(a Array) Datum { return NewString(string(AppendArray(nil, a))) }

// FlatArray reads a flat array image without taking it apart.
type FlatArray []byte

// NDim returns the number of dimensions, 0 for an empty array.
func (f FlatArray) NDim() int {
	if len(f) < 6 {
		return 0
	}
	return int(f[1])
}

// Elem returns the element type.
func (f FlatArray) Elem() OID { return OID(binary.BigEndian.Uint32(f[2:])) }

// Dim returns the length and lower bound of dimension d, from zero.
func (f FlatArray) Dim(d int) (length, lower int32) {
	p := f[6+8*d:]
	return int32(binary.BigEndian.Uint32(p)), int32(binary.BigEndian.Uint32(p[4:]))
}

// Len returns the number of elements in all dimensions.
func (f FlatArray) Len() int {
	if f.NDim() == 0 {
		return 0
	}
	n := 1
	for d := 0; d < f.NDim(); d++ {
		l, _ := f.Dim(d)
		n *= int(l)
	}
	return n
}

func (f FlatArray) entry(i int) (end int, null bool) {
	w := binary.BigEndian.Uint32(f[6+8*f.NDim()+4*i:])
	return int(w >> 1), w&1 != 0
}

// Image returns the flat image of element i in row-major order.
func (f FlatArray) Image(i int) (b []byte, null bool) {
	end, null := f.entry(i)
	start := 0
	if i > 0 {
		start, _ = f.entry(i - 1)
	}
	base := 6 + 8*f.NDim() + 4*f.Len()
	return f[base+start : base+end], null
}

// At returns element i in row-major order.
func (f FlatArray) At(i int) Datum {
	b, null := f.Image(i)
	if null {
		return Null
	}
	d, _ := FromImage(ReprOf(f.Elem()), b)
	return d
}

// DecodeArray takes a flat image apart.
func DecodeArray(b []byte) Array {
	f := FlatArray(b)
	if len(f) < 6 {
		return Array{}
	}
	a := Array{Elem: f.Elem()}
	for d := 0; d < f.NDim(); d++ {
		l, lo := f.Dim(d)
		a.Dims, a.Lower = append(a.Dims, l), append(a.Lower, lo)
	}
	a.Elems = make([]Datum, f.Len())
	for i := range a.Elems {
		a.Elems[i] = f.At(i)
	}
	return a
}

func arrayDelim(elem OID) byte {
	if i, ok := Lookup(elem); ok {
		return i.Delim
	}
	return ','
}

func appendArray(b, v []byte, st *Settings) []byte {
	f := FlatArray(v)
	if f.NDim() == 0 {
		return append(b, "{}"...)
	}
	custom := false
	for d := 0; d < f.NDim(); d++ {
		_, lo := f.Dim(d)
		custom = custom || lo != 1
	}
	if custom {
		for d := 0; d < f.NDim(); d++ {
			l, lo := f.Dim(d)
			b = append(b, "["+itoa(int(lo))+":"+itoa(int(lo)+int(l)-1)+"]"...)
		}
		b = append(b, '=')
	}
	next := 0
	return appendArrayDim(b, f, 0, &next, arrayDelim(f.Elem()), st)
}

func appendArrayDim(b []byte, f FlatArray, d int, next *int, delim byte, st *Settings) []byte {
	n, _ := f.Dim(d)
	b = append(b, '{')
	for i := int32(0); i < n; i++ {
		if i > 0 {
			b = append(b, delim)
		}
		if d+1 < f.NDim() {
			b = appendArrayDim(b, f, d+1, next, delim, st)
			continue
		}
		e := f.At(*next)
		*next++
		if e.IsNull() {
			b = append(b, "NULL"...)
			continue
		}
		b = appendArrayElem(b, TextOf(f.Elem(), e, st), delim)
	}
	return append(b, '}')
}

func appendArrayElem(b []byte, s string, delim byte) []byte {
	quote := s == "" || strings.EqualFold(s, "null")
	for i := 0; i < len(s) && !quote; i++ {
		switch c := s[i]; c {
		case '"', '\\', '{', '}', ' ', '\t', '\n', '\r', '\v', '\f':
			quote = true
		default:
			quote = c == delim
		}
	}
	if !quote {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// AppendArrayLiteralElem appends one element quoted as array output does.
func AppendArrayLiteralElem(b []byte, s string) []byte { return appendArrayElem(b, s, ',') }

// parseVectorType reads oidvector and int2vector: numbers between spaces.
func parseVectorType(t Type, s string) (Datum, error) {
	elem := Of(ElemOf(t.OID))
	a := Array{Elem: elem.OID}
	for _, f := range strings.Fields(s) {
		d, err := ParseText(elem, f, nil)
		if err != nil {
			return Null, err
		}
		a.Elems = append(a.Elems, d)
	}
	// Vectors have one dimension that starts at zero, even when empty.
	a.Dims, a.Lower = []int32{int32(len(a.Elems))}, []int32{0}
	return ArrayDatum(a), nil
}

// VectorDatum returns an oidvector or int2vector.
func VectorDatum(elem OID, vs []int64) Datum {
	a := Array{Elem: elem, Dims: []int32{int32(len(vs))}, Lower: []int32{0}}
	for _, v := range vs {
		a.Elems = append(a.Elems, NewInt(v))
	}
	return ArrayDatum(a)
}

func appendVectorType(b, v []byte) []byte {
	f := FlatArray(v)
	for i := 0; i < f.Len(); i++ {
		if i > 0 {
			b = append(b, ' ')
		}
		b = AppendTextInt(b, Int8OID, f.At(i).Int(), nil)
	}
	return b
}

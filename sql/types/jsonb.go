package types

import (
	"encoding/binary"
	"sort"
	"strings"
)

// JSONKind is the kind of a JSON value.
type JSONKind byte

// The kinds; their values are the tags of the flat image.
const (
	JSONNull   JSONKind = 'n'
	JSONBool   JSONKind = 'b'
	JSONNumber JSONKind = '#'
	JSONString JSONKind = 's'
	JSONArray  JSONKind = 'a'
	JSONObject JSONKind = 'o'
)

// JSONValue is a JSON value as a tree, for building.
type JSONValue struct {
	Kind  JSONKind
	Bool  bool
	Num   Numeric
	Str   string
	Keys  []string // of an object, parallel to Elems
	Elems []*JSONValue
}

// JSONB is a value in the flat image: a tag; then a boolean byte, a numeric
// image, the string's bytes; for an array the count, the end offset of each
// element, the elements; for an object the count, the end offsets of keys, those
// of values, the keys sorted by length and bytes, the values.
type JSONB []byte

// Kind returns the value's kind.
func (j JSONB) Kind() JSONKind {
	if len(j) == 0 {
		return JSONNull
	}
	return JSONKind(j[0])
}

// IsScalar reports whether j is neither an object nor an array.
func (j JSONB) IsScalar() bool { k := j.Kind(); return k != JSONArray && k != JSONObject }

// Bool returns the value of a boolean.
func (j JSONB) Bool() bool { return len(j) > 1 && j[1] != 0 }

// Num returns the value of a number.
func (j JSONB) Num() Numeric {
	n, _ := NumericFromImage(j[1:])
	return n
}

// Str returns the value of a string, sharing memory.
func (j JSONB) Str() []byte { return j[1:] }

// Len returns the number of elements of an array or pairs of an object.
func (j JSONB) Len() int {
	if j.IsScalar() || len(j) < 5 {
		return 0
	}
	return int(binary.BigEndian.Uint32(j[1:]))
}

func (j JSONB) end(table, i int) int {
	if i < 0 {
		return 0
	}
	return int(binary.BigEndian.Uint32(j[5+4*(table*j.Len()+i):]))
}

// Elem returns element i of an array, or the value of pair i of an object.
func (j JSONB) Elem(i int) JSONB {
	n := j.Len()
	if j.Kind() == JSONArray {
		base := 5 + 4*n
		return j[base+j.end(0, i-1) : base+j.end(0, i)]
	}
	base := 5 + 8*n + j.end(0, n-1)
	from := 0
	if i > 0 {
		from = j.end(1, i-1)
	}
	return j[base+from : base+j.end(1, i)]
}

// Key returns the key of pair i of an object, sharing memory.
func (j JSONB) Key(i int) []byte {
	base := 5 + 8*j.Len()
	return j[base+j.end(0, i-1) : base+j.end(0, i)]
}

// Get returns the value under a key of an object.
func (j JSONB) Get(key string) (JSONB, bool) {
	if j.Kind() != JSONObject {
		return nil, false
	}
	n := j.Len()
	i := sort.Search(n, func(i int) bool { return compareKeys(string(j.Key(i)), key) >= 0 })
	if i < n && string(j.Key(i)) == key {
		return j.Elem(i), true
	}
	return nil, false
}

// compareKeys orders object keys: shorter first, then by bytes.
func compareKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Tree returns the value as a tree.
func (j JSONB) Tree() *JSONValue {
	v := &JSONValue{Kind: j.Kind()}
	switch v.Kind {
	case JSONBool:
		v.Bool = j.Bool()
	case JSONNumber:
		v.Num = j.Num()
	case JSONString:
		v.Str = string(j.Str())
	case JSONArray, JSONObject:
		for i := 0; i < j.Len(); i++ {
			if v.Kind == JSONObject {
				v.Keys = append(v.Keys, string(j.Key(i)))
			}
			v.Elems = append(v.Elems, j.Elem(i).Tree())
		}
	}
	return v
}

// AppendJSONB appends the flat image of v. Of equal keys the last one counts.
func AppendJSONB(b []byte, v *JSONValue) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case JSONBool:
		if v.Bool {
			return append(b, 1)
		}
		return append(b, 0)
	case JSONNumber:
		return AppendNumericImage(b, v.Num)
	case JSONString:
		return append(b, v.Str...)
	case JSONArray:
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.Elems)))
		return appendJSONElems(b, v.Elems)
	case JSONObject:
		return appendJSONObject(b, v)
	}
	return b
}

// appendJSONElems appends the end offsets and the images of elements.
func appendJSONElems(b []byte, es []*JSONValue) []byte {
	table := len(b)
	b = append(b, make([]byte, 4*len(es))...)
	base := len(b)
	for i, e := range es {
		b = AppendJSONB(b, e)
		binary.BigEndian.PutUint32(b[table+4*i:], uint32(len(b)-base))
	}
	return b
}

func appendJSONObject(b []byte, v *JSONValue) []byte {
	order := make([]int, len(v.Keys))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(x, y int) bool { return compareKeys(v.Keys[order[x]], v.Keys[order[y]]) < 0 })
	n := 0
	for _, i := range order {
		if n > 0 && v.Keys[order[n-1]] == v.Keys[i] {
			order[n-1] = i
			continue
		}
		order[n] = i
		n++
	}
	order = order[:n]
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	table := len(b)
	b = append(b, make([]byte, 8*n)...)
	base := len(b)
	for k, i := range order {
		b = append(b, v.Keys[i]...)
		binary.BigEndian.PutUint32(b[table+4*k:], uint32(len(b)-base))
	}
	base = len(b)
	for k, i := range order {
		b = AppendJSONB(b, v.Elems[i])
		binary.BigEndian.PutUint32(b[table+4*(n+k):], uint32(len(b)-base))
	}
	return b
}

// AppendJSONBText appends the text form of a flat jsonb image.
func AppendJSONBText(b []byte, v []byte) []byte {
	j := JSONB(v)
	switch j.Kind() {
	case JSONNull:
		return append(b, "null"...)
	case JSONBool:
		if j.Bool() {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case JSONNumber:
		return AppendNumeric(b, j.Num())
	case JSONString:
		return AppendJSONString(b, string(j.Str()))
	case JSONArray:
		b = append(b, '[')
		for i := 0; i < j.Len(); i++ {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = AppendJSONBText(b, j.Elem(i))
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i := 0; i < j.Len(); i++ {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = AppendJSONString(b, string(j.Key(i)))
		b = append(b, ": "...)
		b = AppendJSONBText(b, j.Elem(i))
	}
	return append(b, '}')
}

// AppendJSONString appends s as a JSON string literal.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if k := strings.IndexByte("\"\\\b\f\n\r\t", c); k >= 0 {
			b = append(b, '\\', `"\bfnrt`[k])
			continue
		}
		b = append(b, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func jsonRank(k JSONKind) int { return strings.IndexByte("ns#bao", byte(k)) }

// CompareJSONB orders jsonb values: objects, arrays, booleans, numbers, strings,
// null, from the greatest.
func CompareJSONB(a, b JSONB) int {
	if c := jsonRank(a.Kind()) - jsonRank(b.Kind()); c != 0 {
		// An empty array sorts below everything, a quirk kept for ever.
		if a.Kind() == JSONArray && a.Len() == 0 {
			return -1
		}
		if b.Kind() == JSONArray && b.Len() == 0 {
			return 1
		}
		return c
	}
	switch a.Kind() {
	case JSONBool:
		return boolInt(a.Bool()) - boolInt(b.Bool())
	case JSONNumber:
		return a.Num().Cmp(b.Num())
	case JSONString:
		return strings.Compare(string(a.Str()), string(b.Str()))
	case JSONArray, JSONObject:
		if c := a.Len() - b.Len(); c != 0 {
			return c
		}
		for i := 0; i < a.Len(); i++ {
			if a.Kind() == JSONObject {
				if c := compareKeys(string(a.Key(i)), string(b.Key(i))); c != 0 {
					return c
				}
			}
			if c := CompareJSONB(a.Elem(i), b.Elem(i)); c != 0 {
				return c
			}
		}
	}
	return 0
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

package types

import (
	"encoding/binary"
	"strings"
)

// Field is one field of a composite value.
type Field struct {
	Type  OID
	Value Datum
	// Name is empty for the fields of an anonymous row.
	Name string
}

// Flat image of a record: count; type oid, end<<1|null of each field; images. If
// the fields have names, the count has its highest bit set and the names follow,
// each with its length before it.
const namedRecord = 1 << 31

// AppendRecord appends the flat image of a composite value.
func AppendRecord(b []byte, fs []Field) []byte {
	be := binary.BigEndian
	count := uint32(len(fs))
	if len(fs) > 0 && fs[0].Name != "" {
		count |= namedRecord
	}
	b = be.AppendUint32(b, count)
	table := len(b)
	b = append(b, make([]byte, 8*len(fs))...)
	base := len(b)
	for i, f := range fs {
		flag := uint32(1)
		if !f.Value.IsNull() {
			b = AppendImage(b, f.Value)
			flag = 0
		}
		be.PutUint32(b[table+8*i:], uint32(f.Type))
		be.PutUint32(b[table+8*i+4:], uint32(len(b)-base)<<1|flag)
	}
	if count&namedRecord != 0 {
		for _, f := range fs {
			b = append(binary.AppendUvarint(b, uint64(len(f.Name))), f.Name...)
		}
	}
	return b
}

// DecodeRecord takes a composite value apart.
func DecodeRecord(b []byte) []Field {
	be := binary.BigEndian
	if len(b) < 4 {
		return nil
	}
	count := be.Uint32(b)
	n := int(count &^ namedRecord)
	fs := make([]Field, n)
	base, start := 4+8*n, 0
	for i := range fs {
		fs[i].Type = OID(be.Uint32(b[4+8*i:]))
		w := be.Uint32(b[8+8*i:])
		end := int(w >> 1)
		if w&1 == 0 {
			fs[i].Value, _ = FromImage(ReprOf(fs[i].Type), b[base+start:base+end])
		}
		start = end
	}
	if count&namedRecord != 0 {
		names := b[base+start:]
		for i := range fs {
			n, k := binary.Uvarint(names)
			if k <= 0 || n > uint64(len(names)-k) {
				break
			}
			fs[i].Name, names = string(names[k:k+int(n)]), names[k+int(n):]
		}
	}
	return fs
}

func appendRecord(b, v []byte, st *Settings) []byte {
	b = append(b, '(')
	for i, f := range DecodeRecord(v) {
		if i > 0 {
			b = append(b, ',')
		}
		if !f.Value.IsNull() {
			b = appendRecordField(b, TextOf(f.Type, f.Value, st))
		}
	}
	return append(b, ')')
}

func appendRecordField(b []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "\"\\(), \t\n\r\v\f") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, s[i])
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

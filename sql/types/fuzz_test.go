package types

import (
	"flag"
	"testing"
)

var _ = flag.Bool("rewrite", false, "there are no golden files of this package alone")

var fuzzTypes = []OID{BoolOID, Int4OID, Int8OID, NumericOID, Float8OID, ByteaOID, UUIDOID, JSONOID, JSONBOID, JsonpathOID, DateOID, TimeOID,
	TimeTZOID, TimestampOID, TimestampTZOID, IntervalOID, Int4ArrayOID, TextArrayOID, OIDVectorOID, MoneyOID, VarBitOID, QCharOID}

// FuzzParseText feeds texts to every type's input. What is accepted must print,
// and the print must be accepted and print the same again.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{"", "1", "-1.5e3", "2024-02-29 12:34:56.789+05:30", "1 mon -3 days 04:05:06", "{1,{2}}", `{"a":[1,null]}`,
		`\x00ff`, "infinity", "J2451545", "P1Y2M3DT4H5M6S", "[2:3]={1,2}", "10:11:12 PM PST", "99991231", "1-2 3 4:5:6"} {
		for i := range fuzzTypes {
			f.Add(uint8(i), s)
		}
	}
	st := DefaultSettings()
	f.Fuzz(func(t *testing.T, k uint8, s string) {
		ty := Of(fuzzTypes[int(k)%len(fuzzTypes)])
		d, err := ParseText(ty, s, st)
		if err != nil {
			if CodeOf(err) == CodeInternal {
				t.Fatalf("%s %q: %v", ty, s, err)
			}
			return
		}
		text := TextOf(ty.OID, d, st)
		again, err := ParseText(ty, text, st)
		if err != nil {
			t.Fatalf("%s %q prints as %q, which is rejected: %v", ty, s, text, err)
		}
		if second := TextOf(ty.OID, again, st); second != text {
			t.Fatalf("%s %q prints as %q, then as %q", ty, s, text, second)
		}
		if ty.OID != JSONOID && Compare(ty.OID, d, again) != 0 {
			t.Fatalf("%s %q differs from its print %q", ty, s, text)
		}
	})
}

// FuzzDecodeBinary feeds bytes to every type's binary input. What is accepted
// must go back to bytes that are read as the same value.
func FuzzDecodeBinary(f *testing.F) {
	st := DefaultSettings()
	for i, oid := range fuzzTypes {
		for _, s := range []string{"1", "2024-02-29 12:00", "{1,2}", `{"a":1}`, "1 day", "\\x00"} {
			if d, err := ParseText(Of(oid), s, st); err == nil {
				f.Add(uint8(i), AppendBinary(nil, oid, d, st))
			}
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, b []byte) {
		ty := Of(fuzzTypes[int(k)%len(fuzzTypes)])
		d, err := DecodeBinary(ty, b, st)
		if err != nil {
			return
		}
		again, err := DecodeBinary(ty, AppendBinary(nil, ty.OID, d, st), st)
		if err != nil {
			t.Fatalf("%s %x: %v", ty, b, err)
		}
		if ty.OID != JSONOID && Compare(ty.OID, d, again) != 0 {
			t.Fatalf("%s %x changed", ty, b)
		}
		TextOf(ty.OID, d, st)
	})
}

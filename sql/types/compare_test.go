package types

import "testing"

// samples are values of each type, some of them equal in value but not in
// image.
var samples = map[OID][]string{
	Int4OID:         {"-1", "0", "7"},
	Float8OID:       {"-Infinity", "-0", "0", "1.5", "NaN", "Infinity"},
	NumericOID:      {"-Infinity", "-1.5", "0", "0.00", "1", "1.0", "1.000", "100", "1e2", "99999999999999999999999", "99999999999999999999999.0", "Infinity", "NaN"},
	BPCharOID:       {"", "a", "a  ", "ab", "b"},
	TextOID:         {"", "a", "a  ", "ab", "b"},
	IntervalOID:     {"0", "1 day", "24:00:00", "1 mon", "30 days", "720:00:00", "-1 day", "29 days 24:00:00"},
	TimeTZOID:       {"10:00+00", "11:00+01", "10:00-01"},
	UUIDOID:         {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"},
	JSONBOID:        {"null", `"a"`, "1", "1.0", "true", "false", "[]", "[1]", "[1.0]", "[1,2]", "{}", `{"a":1}`, `{"a":1.00}`, `{"b":1}`, `{"aa":1,"b":2}`},
	Int4ArrayOID:    {"{}", "{1}", "{1,2}", "{NULL}", "{{1},{2}}", "[0:1]={1,2}"},
	NumericArrayOID: {"{1.0}", "{1}", "{1,2.50}", "{1,2.5}"},
	ByteaOID:        {`\x`, `\x00`, `\xff`},
	VarBitOID:       {"", "0", "1", "10", "01"},
}

// TestCompareAndKeys checks that comparison is an order, and that hash keys are
// equal exactly for equal values.
func TestCompareAndKeys(t *testing.T) {
	sign := func(c int) int { return min(1, max(-1, c)) }
	for oid, texts := range samples {
		var ds []Datum
		for _, s := range texts {
			d, err := ParseText(Of(oid), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			ds = append(ds, d)
		}
		for i, a := range ds {
			for j, b := range ds {
				c := sign(Compare(oid, a, b))
				if c != -sign(Compare(oid, b, a)) {
					t.Errorf("%s: %s and %s are not ordered", Of(oid), texts[i], texts[j])
				}
				same := string(AppendHashKey(nil, oid, a)) == string(AppendHashKey(nil, oid, b))
				if same != (c == 0) {
					t.Errorf("%s: %s and %s compare as %d, but equal keys: %v", Of(oid), texts[i], texts[j], c, same)
				}
				for k, x := range ds {
					if c <= 0 && Compare(oid, b, x) <= 0 && Compare(oid, a, x) > 0 {
						t.Errorf("%s: %s <= %s <= %s is not transitive", Of(oid), texts[i], texts[j], texts[k])
					}
				}
			}
		}
	}
}

// TestDatumImages checks that serialized data come back bit by bit.
func TestDatumImages(t *testing.T) {
	for oid, texts := range samples {
		for _, s := range texts {
			d, err := ParseText(Of(oid), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			back, rest, err := DecodeDatum(append(AppendDatum(nil, d), 'x'))
			if err != nil || string(rest) != "x" || !back.BytesEqual(d) {
				t.Errorf("%s %s: %v %q", Of(oid), s, err, rest)
			}
		}
	}
	if d, rest, err := DecodeDatum(AppendDatum(nil, Null)); err != nil || !d.IsNull() || len(rest) != 0 {
		t.Error("NULL did not come back")
	}
}

// TestNumericMod checks precision and scale against the texts of PostgreSQL.
func TestNumericMod(t *testing.T) {
	for _, c := range []struct {
		in   string
		p, s int
		want string
	}{
		{"1.239", 10, 2, "1.24"}, {"-0.005", 3, 2, "-0.01"}, {"999.995", 5, 2, "!22003"}, {"12345", 3, -2, "12300"},
		{"0.00123", 3, 5, "0.00123"}, {"0.01", 3, 5, "!22003"}, {"NaN", 3, 2, "NaN"}, {"Infinity", 3, 2, "!22003"},
		{"99999999999999999999", 20, 0, "99999999999999999999"}, {"99999", 3, -2, "!22003"},
	} {
		n, err := ParseNumeric(c.in)
		if err != nil {
			t.Fatal(err)
		}
		mod := MakeNumericMod(c.p, c.s)
		if p, s := NumericMod(mod); p != c.p || s != c.s {
			t.Errorf("modifier of (%d,%d) reads as (%d,%d)", c.p, c.s, p, s)
		}
		got := ""
		if r, err := ApplyNumericMod(n, mod); err != nil {
			got = "!" + CodeOf(err)
		} else {
			got = r.String()
		}
		if got != c.want {
			t.Errorf("%s as numeric(%d,%d): got %s, want %s", c.in, c.p, c.s, got, c.want)
		}
	}
}

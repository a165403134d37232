package pgfacts

import (
	"testing"

	"github.com/pamirdb/pamir/sql/types"
)

func TestResolveOperator(t *testing.T) {
	for _, c := range []struct {
		name        string
		left, right types.OID
		result      types.OID
		code        string
	}{
		{"+", types.Int4OID, types.UnknownOID, types.Int4OID, ""},
		{"||", types.TextOID, types.Int4OID, types.TextOID, ""},
		{"=", types.Int4OID, types.TextOID, 0, "42883"},
		{"=", types.VarCharOID, types.UnknownOID, types.BoolOID, ""},
		{"+", types.UnknownOID, types.UnknownOID, 0, "42725"},
		{"-", 0, types.NumericOID, types.NumericOID, ""},
		{"=", types.Int4ArrayOID, types.UnknownOID, types.BoolOID, ""},
	} {
		m, err := ResolveOperator(c.name, c.left, c.right)
		if c.code != "" {
			if types.CodeOf(err) != c.code {
				t.Errorf("%v: %v", c, err)
			}
			continue
		}
		if err != nil || m.Result != c.result {
			t.Errorf("%v: %v %v", c, m, err)
		}
	}
}

func TestResolveFunc(t *testing.T) {
	for _, c := range []struct {
		name string
		args []types.OID
		ret  types.OID
		code string
	}{
		{"sum", []types.OID{types.Int4OID}, types.Int8OID, ""},
		{"round", []types.OID{types.NumericOID, types.Int4OID}, types.NumericOID, ""},
		{"array_agg", []types.OID{types.Int4OID}, types.Int4ArrayOID, ""},
		{"substring", []types.OID{types.VarCharOID, types.Int4OID, types.Int4OID}, types.TextOID, ""},
		{"max", []types.OID{types.VarCharOID}, types.TextOID, ""},
		{"lower", []types.OID{types.UnknownOID}, types.TextOID, ""},
		{"concat", []types.OID{types.Int4OID, types.TextOID}, types.TextOID, ""},
		{"count", nil, types.Int8OID, ""},
		{"nosuch", []types.OID{types.Int4OID}, 0, "42883"},
		{"int4", []types.OID{types.UnknownOID}, types.Int4OID, ""},
		{"abs", []types.OID{types.UnknownOID}, types.Float8OID, ""},
		{"array_append", []types.OID{types.Int4ArrayOID, types.Int4OID}, types.Int4ArrayOID, ""},
	} {
		m, err := ResolveFunc(FuncCall{Name: c.name, Args: c.args})
		if c.code != "" {
			if types.CodeOf(err) != c.code {
				t.Errorf("%v: %v", c, err)
			}
			continue
		}
		if err != nil || m.Ret != c.ret {
			t.Errorf("%v: %+v %v", c, m, err)
		}
	}
	if b, ok := DefaultBtree(types.Int4OID); !ok || b.Less != 97 || b.Equal != 96 {
		t.Error("btree operators of int4:", b)
	}
	if got, err := CommonType("UNION", []types.OID{types.Int4OID, types.NumericOID}); err != nil || got != types.NumericOID {
		t.Error("common type of int4 and numeric:", got, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		var f facts
		f.load()
	}
}

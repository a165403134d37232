package expr

import (
	"testing"

	"github.com/pamirdb/pamir/sql/types"
)

// FuzzDecode feeds bytes to the reader of stored trees, which must refuse or
// return a tree that is written and printed without trouble.
func FuzzDecode(f *testing.F) {
	x := &ColumnRef{ID: 1, Typ: types.Int4Type, Name: "x"}
	for _, e := range []Expr{x, &Const{Value: types.NewString("a"), Typ: types.TextType},
		&CaseExpr{Arg: x, Whens: []When{{&CaseTest{types.Int4Type}, x}}, Typ: types.Int4Type},
		&BoolExpr{Op: Or, Args: []Expr{&NullTest{Arg: x}, &BooleanTest{Arg: x, Test: IsNotUnknown}}},
		&AggRef{Name: "sum", Args: []Expr{x}, OrderBy: []SortKey{{Arg: x, Desc: true}}, Typ: types.Int8Type},
		&WindowRef{Name: "lag", Args: []Expr{x}, Typ: types.Int4Type, Frame: Frame{Mode: FrameRows, Start: OffsetPreceding, StartOffset: x}},
		&Subscript{Arg: x, Upper: []Expr{x}, Lower: []Expr{nil}, Typ: types.Int4Type},
		&RowCompare{Cmp: RowLess, Left: []Expr{x}, Right: []Expr{x}, Ops: []types.OID{97}, Funcs: []types.OID{66}}} {
		b, err := Encode(nil, e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _, err := Decode(b)
		if err != nil || e == nil {
			return
		}
		first, err := Encode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		again, rest, err := Decode(first)
		if err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		if second, _ := Encode(nil, again); string(second) != string(first) {
			t.Fatal("the tree changed")
		}
	})
}

// TestPrint shows trees in the style of pg_get_expr.
func TestPrint(t *testing.T) {
	x := &ColumnRef{ID: 0, Typ: types.Int4Type, Name: "x"}
	s := &ColumnRef{ID: 1, Typ: types.Of(types.VarCharOID).WithMod(14), Name: "Name"}
	text := func(v string) Expr { return &Const{Value: types.NewString(v), Typ: types.TextType} }
	for _, c := range []struct {
		e    Expr
		want string
	}{
		{op(t, ">", x, intConst(0)), "(x > 0)"},
		{op(t, "+", x, intConst(-5)), "(x + '-5'::integer)"},
		{op(t, "=", &Relabel{Arg: s, Typ: types.TextType, Form: ExplicitCast}, text("it's")), `(("Name")::text = 'it''s'::text)`},
		{&BoolExpr{Op: And, Args: []Expr{&NullTest{Arg: x, Not: true}, &BoolExpr{Op: Not, Args: []Expr{op(t, "=", x, intConst(1))}}}}, "((x IS NOT NULL) AND (NOT (x = 1)))"},
		{&CaseExpr{Whens: []When{{op(t, "=", x, intConst(1)), text("one")}}, Else: text("other"), Typ: types.TextType}, "CASE WHEN (x = 1) THEN 'one'::text ELSE 'other'::text END"},
		{&Coalesce{Args: []Expr{x, intConst(7)}, Typ: types.Int4Type}, "COALESCE(x, 7)"},
		{&SQLValueFunction{Func: CurrentTimestamp, Typ: types.TimestampTZType}, "CURRENT_TIMESTAMP"},
		{&Const{Typ: types.NumericType, Value: types.NewNumeric(types.Numeric{Coef: 150, Scale: 2})}, "1.50"},
		{&Const{Typ: types.NumericType.WithMod(-1)}, "NULL::numeric"},
		{op(t, "=", &Relabel{Arg: s, Typ: types.TextType, Form: ImplicitCast}, text("a")), `(("Name")::text = 'a'::text)`},
		{&FuncExpr{Func: 870, Args: []Expr{text("A")}, Typ: types.TextType}, "lower('A'::text)"},
		{&ScalarArrayOp{Name: "=", Left: x, Right: &ArrayExpr{Elems: []Expr{intConst(1), intConst(2)}, Typ: types.Int4ArrayType}}, "(x = ANY (ARRAY[1, 2]))"},
	} {
		if got := Print(c.e, nil); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	for _, c := range []struct {
		e    Expr
		want string
	}{
		{op(t, ">", x, intConst(0)), "x > 0"},
		{op(t, "*", op(t, "+", x, intConst(1)), intConst(2)), "(x + 1) * 2"},
		{op(t, "+", op(t, "*", x, intConst(1)), intConst(2)), "x * 1 + 2"},
		{op(t, "-", x, op(t, "-", x, intConst(2))), "x - (x - 2)"},
		{&BoolExpr{Op: Or, Args: []Expr{&BoolExpr{Op: And, Args: []Expr{op(t, ">", x, intConst(0)), &NullTest{Arg: s}}}, op(t, "=", x, intConst(1))}}, `x > 0 AND "Name" IS NULL OR x = 1`},
		{&BoolExpr{Op: And, Args: []Expr{&BoolExpr{Op: Or, Args: []Expr{op(t, ">", x, intConst(0)), op(t, "<", x, intConst(0))}}, op(t, "=", x, intConst(1))}}, `(x > 0 OR x < 0) AND x = 1`},
		{op(t, "=", &Relabel{Arg: s, Typ: types.TextType, Form: ImplicitCast}, text("a")), `"Name"::text = 'a'::text`},
	} {
		if got := Print(c.e, &Namer{Pretty: true}); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

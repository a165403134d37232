package expr

import (
	"testing"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func col(i int, t types.Type) Expr { return &ColumnRef{ID: ColID(i), Typ: t} }

func intConst(v int64) Expr { return &Const{Value: types.NewInt(v), Typ: types.Int4Type} }

// op binds a binary operator, whose operands have the declared types already.
func op(t testing.TB, name string, l, r Expr) Expr {
	t.Helper()
	m, err := pgfacts.ResolveOperator(name, l.Type().OID, r.Type().OID)
	if err != nil {
		t.Fatal(err)
	}
	return &OpExpr{Op: m.Op.OID, Func: m.Op.Func, Name: name, Args: []Expr{l, r}, Typ: types.Of(m.Result)}
}

func ints(vs ...int64) *vec.Batch {
	b := vec.NewBatch([]types.Type{types.Int4Type}, len(vs))
	for _, v := range vs {
		if v == -99 {
			b.AppendRow([]types.Datum{types.Null})
			continue
		}
		b.AppendRow([]types.Datum{types.NewInt(v)})
	}
	return b
}

func show(v *vec.Vector, oid types.OID, b *vec.Batch) string {
	s := ""
	for k := 0; k < b.Len(); k++ {
		i := b.Pos(k)
		if v.IsNull(i) {
			s += "~ "
			continue
		}
		s += string(v.AppendText(nil, oid, i, nil)) + " "
	}
	return s
}

func TestEval(t *testing.T) {
	x := col(0, types.Int4Type)
	for _, c := range []struct {
		e    Expr
		want string
	}{
		{op(t, "+", x, intConst(1)), "2 3 ~ 4 "},
		{op(t, "<", x, intConst(2)), "t f ~ f "},
		{&BoolExpr{Op: And, Args: []Expr{op(t, ">", x, intConst(1)), op(t, ">", op(t, "/", intConst(6), op(t, "-", x, intConst(1))), intConst(4))}}, "f t ~ f "},
		{&BoolExpr{Op: Or, Args: []Expr{op(t, "=", x, intConst(1)), &Const{Typ: types.BoolType}}}, "t ~ ~ ~ "},
		{&CaseExpr{Whens: []When{{op(t, "=", x, intConst(1)), intConst(10)}, {op(t, "=", x, intConst(2)), intConst(20)}}, Typ: types.Int4Type}, "10 20 ~ ~ "},
		{&CaseExpr{Arg: x, Whens: []When{{op(t, "=", &CaseTest{types.Int4Type}, intConst(3)), intConst(30)}}, Else: x, Typ: types.Int4Type}, "1 2 ~ 30 "},
		{&Coalesce{Args: []Expr{x, intConst(7)}, Typ: types.Int4Type}, "1 2 7 3 "},
		{&NullTest{Arg: x}, "f f t f "},
		{&MinMax{Args: []Expr{x, intConst(2)}, Typ: types.Int4Type}, "2 2 2 3 "},
		{&CoerceViaIO{Arg: x, Typ: types.TextType}, "1 2 ~ 3 "},
	} {
		p, err := Compile([]Expr{c.e}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := ints(1, 2, -99, 3)
		out, err := p.NewInstance().Eval(&Ctx{}, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(out[0], c.e.Type().OID, b); got != c.want {
			t.Errorf("%T: got %q, want %q", c.e, got, c.want)
		}
		enc, err := Encode(nil, c.e)
		if err != nil {
			t.Fatal(err)
		}
		dec, rest, err := Decode(enc)
		if err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		if again, _ := Encode(nil, dec); string(again) != string(enc) {
			t.Errorf("%T: serialized form changed", c.e)
		}
	}
}

func TestErrorNamesFirstRow(t *testing.T) {
	x := col(0, types.Int4Type)
	p, err := Compile([]Expr{op(t, "/", intConst(1), op(t, "-", x, intConst(5))), op(t, "/", intConst(1), op(t, "-", x, intConst(3)))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.NewInstance().Eval(&Ctx{}, ints(1, 2, 3, 4, 5))
	if re, ok := err.(*RowError); !ok || re.Row != 2 || types.CodeOf(err) != "22012" {
		t.Fatalf("%#v", err)
	}
}

func TestFilter(t *testing.T) {
	x := col(0, types.Int4Type)
	p, err := CompileFilter(&BoolExpr{Op: And, Args: []Expr{op(t, ">", x, intConst(1)), op(t, "<", x, intConst(5))}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := p.NewInstance()
	for _, c := range []struct {
		in   []int64
		want int
	}{{[]int64{1, 2, 3, 4, 5, 6}, 3}, {[]int64{1, -99, 3}, 1}, {[]int64{9}, 0}} {
		b := ints(c.in...)
		if err := in.Filter(&Ctx{}, b); err != nil {
			t.Fatal(err)
		}
		if b.Len() != c.want {
			t.Errorf("%v: %v", c.in, b.Sel)
		}
	}
}

func BenchmarkPoint(b *testing.B) {
	e := op(b, "+", col(0, types.Int4Type), &Param{Num: 0, Typ: types.Int4Type})
	p, err := Compile([]Expr{e}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	in, batch, ctx := p.NewInstance(), ints(1), &Ctx{Params: []types.Datum{types.NewInt(5)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := in.Eval(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	p, err := CompileFilter(op(b, "<", col(0, types.Int4Type), intConst(512)), Options{})
	if err != nil {
		b.Fatal(err)
	}
	vs := make([]int64, 1024)
	for i := range vs {
		vs[i] = int64(i * 7919 % 1024)
	}
	in, batch := p.NewInstance(), ints(vs...)
	for b.Loop() {
		batch.Sel = nil
		if err := in.Filter(&Ctx{}, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/row")
}

func BenchmarkNumericSum(b *testing.B) {
	num := types.NumericType
	e := op(b, "*", col(0, num), op(b, "-", &Const{Value: types.NewNumeric(types.NumericFromInt(1).Round(2)), Typ: num}, col(1, num)))
	p, err := Compile([]Expr{e}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	batch := vec.NewBatch([]types.Type{num, num}, 1024)
	for i := 0; i < 1024; i++ {
		batch.AppendRow([]types.Datum{types.NewNumeric(types.Numeric{Coef: int64(i * 100), Scale: 2}), types.NewNumeric(types.Numeric{Coef: 5, Scale: 2})})
	}
	in := p.NewInstance()
	for b.Loop() {
		if _, err := in.Eval(&Ctx{}, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/row")
}

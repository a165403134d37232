package expr_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func oracleSettings(t testing.TB) *types.Settings {
	loc, err := time.LoadLocation(oracleZone)
	if err != nil {
		t.Fatal(err)
	}
	st := types.DefaultSettings()
	st.Location, st.TimeZoneName = loc, oracleZone
	return st
}

func readLines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func typeNamed(t testing.TB, n string) types.Type {
	i, ok := types.LookupName(n)
	if !ok {
		t.Fatalf("no type %s", n)
	}
	return types.Of(i.OID)
}

// sample is one call with its answer.
type sample struct {
	args []types.Datum
	text string // of the call, for messages
	want string
}

// sampleGroup is all calls of one function.
type sampleGroup struct {
	oid     types.OID
	sig     string
	types   []types.Type
	samples []sample
}

func loadGroups(t *testing.T, st *types.Settings) []*sampleGroup {
	var out []*sampleGroup
	for _, l := range readLines(t, functionsFile) {
		f := strings.Split(l, "\t")
		id, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 || out[len(out)-1].oid != types.OID(id) {
			g := &sampleGroup{oid: types.OID(id), sig: f[1]}
			list := f[1][strings.IndexByte(f[1], '(')+1 : len(f[1])-1]
			for _, n := range strings.Split(list, ",") {
				if n != "" {
					g.types = append(g.types, typeNamed(t, n))
				}
			}
			out = append(out, g)
		}
		g := out[len(out)-1]
		s := sample{want: unescapeField(f[len(f)-1])}
		for i, ty := range g.types {
			v := unescapeField(f[2+i])
			d, err := types.ParseText(ty, v, st)
			if err != nil {
				t.Fatalf("%s: argument %q: %v", g.sig, v, err)
			}
			s.args = append(s.args, d)
			s.text += "|" + v
		}
		g.samples = append(g.samples, s)
	}
	return out
}

func (g *sampleGroup) compile(t *testing.T) (*expr.Program, types.Type) {
	p, _ := pgfacts.ProcByOID(g.oid)
	var oids []types.OID
	var args []expr.Expr
	for i, ty := range g.types {
		oids = append(oids, ty.OID)
		args = append(args, &expr.ColumnRef{ID: expr.ColID(i), Typ: ty})
	}
	_, ret, err := pgfacts.Polymorphic(oids, p.Args, p.Ret)
	if err != nil {
		t.Fatalf("%s: %v", g.sig, err)
	}
	e := &expr.FuncExpr{Func: g.oid, Args: args, Typ: types.Of(ret), Name: p.Name}
	prog, err := expr.Compile([]expr.Expr{e}, expr.Options{})
	if err != nil {
		t.Fatalf("%s: %v", g.sig, err)
	}
	return prog, e.Typ
}

func answer(v *vec.Vector, oid types.OID, i int, st *types.Settings) string {
	if v.IsNull(i) {
		return "~"
	}
	return "=" + string(v.AppendText(nil, oid, i, st))
}

// same allows the last digits of floating-point functions to differ.
func same(oid types.OID, got, want string) bool {
	if got == want {
		return true
	}
	if types.ReprOf(oid) == types.Float64 && got[0] == '=' && want[0] == '=' {
		a, err1 := strconv.ParseFloat(got[1:], 64)
		b, err2 := strconv.ParseFloat(want[1:], 64)
		return err1 == nil && err2 == nil && (a == b || math.Abs(a-b) <= 1e-13*math.Max(math.Abs(a), math.Abs(b)))
	}
	return false
}

// sameSign compares the results of comparison functions, of which only the
// sign means anything.
func sameSign(sig, got, want string) bool {
	a, err1 := strconv.Atoi(got[1:])
	b, err2 := strconv.Atoi(want[1:])
	return strings.Contains(sig, "cmp(") && err1 == nil && err2 == nil && (a < 0) == (b < 0) && (a > 0) == (b > 0)
}

// deviations are answers that differ on purpose: letters beyond ASCII have
// cases (the reference server runs under locale C), overflow is an error where
// PostgreSQL wraps around, and nonsensical type modifiers are let be.
var deviations = []string{"upper(text) |héllo ñ", "initcap(text) |héllo ñ", "make_interval(", "interval(interval,int4)",
	"right(text,int4) |abc|-2147483648", "right(text,int4) |  x |-2147483648", "bpchar(bpchar,int4,bool) ",
	"bit(int4,int4)", "bit(int8,int4)"}

func deviates(sig, text string) bool {
	for _, d := range deviations {
		if strings.HasPrefix(sig+" "+text, d) {
			return true
		}
	}
	return false
}

func errorText(err error) string {
	var e *types.Error
	if errors.As(err, &e) {
		return "!" + e.Code + " " + e.Message
	}
	return "!" + err.Error()
}

// TestOracle compares every function with PostgreSQL's answers, at batch sizes
// 1, 3 and all rows at once.
func TestOracle(t *testing.T) {
	if *oracle != "" {
		generateFunctions(t)
	}
	st := oracleSettings(t)
	bad, total := 0, 0
	for _, g := range loadGroups(t, st) {
		prog, ret := g.compile(t)
		in, ctx := prog.NewInstance(), &expr.Ctx{Settings: st}
		var good []sample
		for _, s := range g.samples {
			total++
			b := vec.NewBatch(g.types, 1)
			b.AppendRow(s.args)
			var got string
			if out, err := in.Eval(ctx, b); err != nil {
				got = errorText(err)
			} else {
				got = answer(out[0], ret.OID, 0, st)
				good = append(good, s)
			}
			if !same(ret.OID, got, s.want) && !sameSign(g.sig, got, s.want) && !deviates(g.sig, s.text) {
				if bad++; bad <= 400 {
					t.Errorf("%s %s: got %s, want %s", g.sig, s.text, got, s.want)
				}
			}
		}
		for _, size := range []int{3, 1024} {
			checkBatches(t, g, prog, ret, good, size, st)
		}
	}
	t.Logf("%d of %d answers differ", bad, total)
}

// checkBatches evaluates the samples in batches with every other row dead, and
// compares with the answers of single rows.
func checkBatches(t *testing.T, g *sampleGroup, prog *expr.Program, ret types.Type, samples []sample, size int, st *types.Settings) {
	in, one, ctx := prog.NewInstance(), prog.NewInstance(), &expr.Ctx{Settings: st}
	for len(samples) > 0 {
		part := samples[:min(size, len(samples))]
		samples = samples[len(part):]
		b := vec.NewBatch(g.types, 0)
		b.Sel = []int32{}
		for i, s := range part {
			b.AppendRow(s.args)
			b.Sel = append(b.Sel, int32(2*i))
			nulls := make([]types.Datum, len(g.types))
			b.AppendRow(nulls)
		}
		out, err := in.Eval(ctx, b)
		if err != nil {
			t.Errorf("%s at batch size %d: %v", g.sig, size, err)
			return
		}
		for i, s := range part {
			single := vec.NewBatch(g.types, 1)
			single.AppendRow(s.args)
			want, err := one.Eval(ctx, single)
			if err != nil {
				t.Fatal(err)
			}
			if a, w := answer(out[0], ret.OID, 2*i, st), answer(want[0], ret.OID, 0, st); a != w {
				t.Errorf("%s %s at batch size %d: got %s, want %s", g.sig, s.text, size, a, w)
			}
		}
	}
}

// TestAggregates compares aggregates with PostgreSQL's answers, fed at once and
// in two merged parts.
func TestAggregates(t *testing.T) {
	if *oracle != "" {
		generateAggregates(t)
	}
	st := oracleSettings(t)
	ctx := &expr.Ctx{Settings: st}
	for _, l := range readLines(t, aggregatesFile) {
		f := strings.Split(l, "\t")
		id, _ := strconv.Atoi(f[0])
		size, _ := strconv.Atoi(f[2])
		want := unescapeField(f[3])
		names := strings.Split(f[1][strings.IndexByte(f[1], '(')+1:len(f[1])-1], ",")
		p, _ := pgfacts.ProcByOID(types.OID(id))
		info := &builtin.Info{Proc: p.OID}
		var oids []types.OID
		for _, n := range names {
			ty := typeNamed(t, n)
			info.ArgTypes, oids = append(info.ArgTypes, ty), append(oids, ty.OID)
		}
		_, ret, err := pgfacts.Polymorphic(oids, p.Args, p.Ret)
		if err != nil {
			t.Fatal(err)
		}
		b := vec.NewBatch(info.ArgTypes, 0)
		for i, row := range combos(names, 9) {
			if i == size {
				break
			}
			var ds []types.Datum
			for k, v := range row {
				d, err := types.ParseText(info.ArgTypes[k], v, st)
				if err != nil {
					t.Fatal(err)
				}
				ds = append(ds, d)
			}
			b.AppendRow(ds)
		}
		whole, err := aggregate(ctx, info, ret, b, 0)
		if err != nil {
			whole = errorText(err)
		}
		if !same(ret, whole, want) {
			t.Errorf("%s of %d values: got %s, want %s", f[1], size, whole, want)
			continue
		}
		if merged, err := aggregate(ctx, info, ret, b, size/2+1); err == nil && !same(ret, merged, want) {
			t.Errorf("%s of %d values, merged: got %s, want %s", f[1], size, merged, want)
		}
	}
}

// aggregate feeds the batch to one aggregator, or, with a split, to two that
// are merged.
func aggregate(ctx *expr.Ctx, info *builtin.Info, ret types.OID, b *vec.Batch, split int) (string, error) {
	a, err := builtin.NewAggregator(info)
	if err != nil {
		return "", err
	}
	a.Grow(1)
	var first, second []int32
	for i := 0; i < b.N; i++ {
		if split > 0 && i >= split {
			second = append(second, int32(i))
		} else {
			first = append(first, int32(i))
		}
	}
	if split == 0 {
		if err := a.Update(ctx, b.Cols, nil, b.N, nil); err != nil {
			return "", err
		}
	} else {
		for _, sel := range [][]int32{first, second} {
			part, err := builtin.NewAggregator(info)
			if err != nil {
				return "", err
			}
			part.Grow(1)
			if len(sel) > 0 {
				if err := part.Update(ctx, b.Cols, sel, b.N, nil); err != nil {
					return "", err
				}
			}
			state, err := part.AppendState(nil, 0)
			if err != nil {
				return "", err
			}
			if err := a.MergeState(0, state); err != nil {
				return "", err
			}
		}
	}
	out := vec.New(types.ReprOf(ret), 1)
	if err := a.Final(ctx, 0, out); err != nil {
		return "", err
	}
	return answer(out, ret, 0, ctx.Settings), nil
}

// TestInputs compares text and binary forms of every type with PostgreSQL's.
func TestInputs(t *testing.T) {
	if *oracle != "" {
		generateInputs(t)
	}
	st := oracleSettings(t)
	for _, l := range readLines(t, inputsFile) {
		f := strings.Split(l, "\t")
		ty, in, want, bin := typeNamed(t, f[0]), unescapeField(f[1]), unescapeField(f[2]), f[3]
		d, err := types.ParseText(ty, in, st)
		got := ""
		if err != nil {
			got = errorText(err)
		} else {
			got = "=" + types.TextOf(ty.OID, d, st)
		}
		if got != want {
			t.Errorf("%s %q: got %s, want %s", f[0], in, got, want)
			continue
		}
		if err != nil {
			continue
		}
		raw := types.AppendBinary(nil, ty.OID, d, st)
		if h := "=" + hex.EncodeToString(raw); h != bin {
			t.Errorf("%s %q binary: got %s, want %s", f[0], in, h, bin)
		}
		back, err := types.DecodeBinary(ty, raw, st)
		if err != nil || types.TextOf(ty.OID, back, st) != got[1:] {
			t.Errorf("%s %q read back from binary: %v %v", f[0], in, types.TextOf(ty.OID, back, st), err)
		}
	}
}

// TestMissing keeps the list of PostgreSQL's functions that have no body.
func TestMissing(t *testing.T) {
	got := fmt.Sprintf("%d functions\n%s\n", len(builtin.Missing()), strings.Join(builtin.Missing(), "\n"))
	if *oracle != "" || *rewrite {
		write(t, missingFile, got)
	}
	if want := strings.Join(readLines(t, missingFile), "\n") + "\n"; got != want {
		t.Errorf("the list of missing functions changed; run the test with -rewrite, and read the diff of %s", missingFile)
	}
}

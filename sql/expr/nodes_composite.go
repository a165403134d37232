package expr

import (
	"slices"
	"strconv"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func (c *compiler) compileComposite(e Expr) (node, error) {
	switch n := e.(type) {
	case *ArrayExpr:
		args, err := c.compileAll(n.Elems)
		return &arrayNode{reg: c.reg(types.Bytes), args: args, nested: n.Nested, elem: n.Typ.Elem().OID}, err
	case *RowExpr:
		args, err := c.compileAll(n.Fields)
		r := &rowNode{reg: c.reg(types.Bytes), args: args}
		for i, f := range n.Fields {
			r.types = append(r.types, f.Type().OID)
			if i < len(n.Names) && n.Names[i] != "" && n.Names[i] != "f"+strconv.Itoa(i+1) {
				r.names = n.Names
			}
		}
		return r, err
	case *RowCompare:
		return c.rowCompare(n)
	case *FieldSelect:
		a, err := c.compile(n.Arg)
		return &fieldNode{reg: c.reg(n.Typ.Repr()), arg: a, field: n.Field}, err
	case *ArrayCoerce:
		return c.arrayCoerce(n)
	case *Subscript:
		return c.subscript(n)
	case *SQLValueFunction:
		return &valueNode{reg: c.reg(n.Typ.Repr()), fn: n.Func, typ: n.Typ}, nil
	case *AggRef:
		return nil, types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed here").At(n.Location)
	case *WindowRef:
		return nil, types.Errorf(types.CodeWindowingError, "window functions are not allowed here").At(n.Location)
	case *SubqueryRef:
		return nil, types.Errorf(types.CodeFeatureNotSupported, "cannot use subquery here").At(n.Location)
	}
	return nil, types.Errorf(types.CodeInternal, "expression %T cannot be evaluated", e)
}

// perRowNode evaluates its arguments and then computes row by row.
func evalArgs(in *Instance, args []node, sel []int32, n int) ([]*vec.Vector, error) {
	vs := make([]*vec.Vector, len(args))
	for i, a := range args {
		v, err := a.eval(in, sel, n)
		if err != nil {
			return nil, err
		}
		vs[i] = v
	}
	return vs, nil
}

type arrayNode struct {
	reg    int
	args   []node
	nested bool
	elem   types.OID
}

func (a *arrayNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	vs, err := evalArgs(in, a.args, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[a.reg]
	out.Resize(n)
	rows := selOrAll(sel, n)
	if len(rows) > 0 && !slices.ContainsFunc(vs, func(v *vec.Vector) bool { return !v.Const }) {
		arr, err := a.make(vs, int(rows[0]))
		if err != nil {
			return nil, err
		}
		out.SetConst(types.ArrayDatum(arr))
		return out, nil
	}
	for _, p := range rows {
		arr, err := a.make(vs, int(p))
		if err != nil {
			return nil, err
		}
		out.EndBytes(int(p), types.AppendArray(out.BeginBytes(), arr))
	}
	return out, nil
}

// make returns the array of row i.
func (a *arrayNode) make(vs []*vec.Vector, i int) (types.Array, error) {
	elems := make([]types.Datum, len(vs))
	for k, v := range vs {
		elems[k] = v.Datum(i)
	}
	if !a.nested {
		return types.NewArray(a.elem, elems), nil
	}
	arr, err := nestArrays(a.elem, elems)
	if err != nil {
		return arr, &RowError{Row: i, Err: err}
	}
	return arr, nil
}

// nestArrays makes an array of arrays, all of the same shape.
func nestArrays(elem types.OID, parts []types.Datum) (types.Array, error) {
	out := types.Array{Elem: elem}
	for k, d := range parts {
		var a types.Array
		if !d.IsNull() {
			a = types.DecodeArray(d.Bytes())
		}
		if k == 0 {
			out.Dims = append([]int32{int32(len(parts))}, a.Dims...)
			out.Lower = append([]int32{1}, a.Lower...)
		} else if !sameDims(out.Dims[1:], a.Dims) {
			return out, types.Errorf(types.CodeArraySubscriptError, "multidimensional arrays must have array expressions with matching dimensions")
		}
		out.Elems = append(out.Elems, a.Elems...)
	}
	if len(out.Elems) == 0 {
		return types.Array{Elem: elem}, nil
	}
	return out, nil
}

func sameDims(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

type rowNode struct {
	reg   int
	args  []node
	types []types.OID
	names []string // nil for an anonymous row
}

func (r *rowNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	vs, err := evalArgs(in, r.args, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[r.reg]
	out.Resize(n)
	fs := make([]types.Field, len(vs))
	for _, p := range selOrAll(sel, n) {
		for k, v := range vs {
			fs[k] = types.Field{Type: r.types[k], Value: v.View(int(p))}
			if r.names != nil {
				fs[k].Name = r.names[k]
			}
		}
		out.EndBytes(int(p), types.AppendRecord(out.BeginBytes(), fs))
	}
	return out, nil
}

type fieldNode struct {
	reg   int
	arg   node
	field int
}

func (f *fieldNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := f.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[f.reg]
	out.Resize(n)
	for _, p := range selOrAll(sel, n) {
		i := int(p)
		d := types.Null
		if !v.IsNull(i) {
			if fs := types.DecodeRecord(v.Bytes(i)); f.field < len(fs) {
				d = fs[f.field].Value
			}
		}
		out.SetDatum(i, d)
	}
	return out, nil
}

// rowCompareNode compares rows column by column.
type rowCompareNode struct {
	reg         int
	cmp         RowCompareOp
	oids        []types.OID
	left, right []node
}

func (c *compiler) rowCompare(n *RowCompare) (node, error) {
	r := &rowCompareNode{reg: c.reg(types.Int64), cmp: n.Cmp}
	for _, e := range n.Left {
		r.oids = append(r.oids, e.Type().OID)
	}
	var err error
	if r.left, err = c.compileAll(n.Left); err != nil {
		return nil, err
	}
	r.right, err = c.compileAll(n.Right)
	return r, err
}

func (r *rowCompareNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	ls, err := evalArgs(in, r.left, sel, n)
	if err != nil {
		return nil, err
	}
	rs, err := evalArgs(in, r.right, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[r.reg]
	out.Resize(n)
	for _, p := range selOrAll(sel, n) {
		i := int(p)
		out.SetDatum(i, r.compare(ls, rs, i))
	}
	return out, nil
}

func (r *rowCompareNode) compare(ls, rs []*vec.Vector, i int) types.Datum {
	c := 0
	for k := range ls {
		if ls[k].IsNull(i) || rs[k].IsNull(i) {
			return types.Null
		}
		if c = vec.Compare(r.oids[k], ls[k], i, rs[k], i); c != 0 {
			break
		}
	}
	switch r.cmp {
	case RowLess:
		return types.NewBool(c < 0)
	case RowLessEqual:
		return types.NewBool(c <= 0)
	case RowGreaterEqual:
		return types.NewBool(c >= 0)
	}
	return types.NewBool(c > 0)
}

// arrayCoerceNode converts the elements of arrays.
type arrayCoerceNode struct {
	reg  int
	arg  node
	elem node
	test int
	to   types.OID
}

func (c *compiler) arrayCoerce(n *ArrayCoerce) (node, error) {
	a, err := c.compile(n.Arg)
	if err != nil {
		return nil, err
	}
	an := &arrayCoerceNode{reg: c.reg(types.Bytes), arg: a, to: n.Typ.Elem().OID}
	an.test = c.reg(n.Arg.Type().Elem().Repr())
	outer := c.caseTest
	c.caseTest = &regNode{an.test}
	an.elem, err = c.arm(n.Elem)
	c.caseTest = outer
	return an, err
}

func (c *arrayCoerceNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := c.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[c.reg]
	out.Resize(n)
	for _, p := range selOrAll(sel, n) {
		i := int(p)
		if v.IsNull(i) {
			out.SetNull(i)
			continue
		}
		a := types.DecodeArray(v.Bytes(i))
		test := &in.regs[c.test]
		test.Reset()
		for _, e := range a.Elems {
			test.AppendDatum(e)
		}
		if len(a.Elems) > 0 {
			res, err := c.elem.eval(in, nil, len(a.Elems))
			if err != nil {
				return nil, &RowError{Row: i, Err: asRowError(err, nil).Err}
			}
			for k := range a.Elems {
				a.Elems[k] = res.Datum(k)
			}
		}
		a.Elem = c.to
		out.EndBytes(i, types.AppendArray(out.BeginBytes(), a))
	}
	return out, nil
}

// valueNode is CURRENT_TIMESTAMP and its kin.
type valueNode struct {
	reg int
	fn  ValueFunc
	typ types.Type
}

func (f *valueNode) eval(in *Instance, _ []int32, _ int) (*vec.Vector, error) {
	out := &in.regs[f.reg]
	d, err := types.ApplyMod(f.value(in.ctx), f.typ, false)
	if err != nil {
		return nil, err
	}
	out.SetConst(d)
	return out, nil
}

func (f *valueNode) value(ctx *Ctx) types.Datum {
	loc := ctx.Set().Loc()
	switch f.fn {
	case CurrentTimestamp:
		return types.NewInt(ctx.TxnTime)
	case LocalTimestamp:
		return types.NewInt(types.ToLocal(ctx.TxnTime, loc))
	case CurrentDate:
		day, _ := types.SplitTimestamp(types.ToLocal(ctx.TxnTime, loc))
		return types.NewInt(day)
	case LocalTime:
		_, us := types.SplitTimestamp(types.ToLocal(ctx.TxnTime, loc))
		return types.NewInt(us)
	case CurrentTime:
		_, us := types.SplitTimestamp(types.ToLocal(ctx.TxnTime, loc))
		east, _ := types.ZoneOffset(ctx.TxnTime, loc)
		return types.TimeTZ{Micros: us, West: int32(-east)}.Datum()
	case CurrentRole, CurrentUser:
		return types.NewString(ctx.User)
	case SessionUser:
		return types.NewString(ctx.SessionUser)
	case CurrentCatalog:
		return types.NewString(ctx.Database)
	case CurrentSchema:
		if ctx.Schema == "" {
			return types.Null
		}
		return types.NewString(ctx.Schema)
	}
	return types.Null
}

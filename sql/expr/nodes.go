package expr

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// colNode is a column of the input batch.
type colNode struct{ ord int }

func (c *colNode) eval(in *Instance, _ []int32, _ int) (*vec.Vector, error) {
	return in.cols[c.ord], nil
}

// constNode is a constant; its vector is shared and never written to.
type constNode struct{ v *vec.Vector }

func newConst(r types.Repr, d types.Datum) *constNode { return &constNode{vec.NewConst(r, d)} }

func (c *constNode) eval(*Instance, []int32, int) (*vec.Vector, error) { return c.v, nil }

// regNode is a register that another node fills.
type regNode struct{ reg int }

func (r *regNode) eval(in *Instance, _ []int32, _ int) (*vec.Vector, error) {
	return &in.regs[r.reg], nil
}

// paramNode is a parameter, loaded at each evaluation.
type paramNode struct {
	reg  int
	num  int
	kind ParamKind
}

func (p *paramNode) eval(in *Instance, _ []int32, _ int) (*vec.Vector, error) {
	var ps []types.Datum
	switch p.kind {
	case ParamExternal:
		ps = in.ctx.Params
	case ParamLiteral:
		ps = in.ctx.Literals
	case ParamExec:
		ps = in.ctx.ExecParams
	}
	if p.num >= len(ps) {
		return nil, types.Errorf(types.CodeUndefinedParameter, "no value found for parameter %d", p.num+1)
	}
	v := &in.regs[p.reg]
	v.SetConst(ps[p.num])
	return v, nil
}

// callNode calls a function body.
type callNode struct {
	reg      int
	slot     int
	sel      int // selection buffer of a strict function
	args     []node
	impl     *builtin.Impl
	info     *builtin.Info
	strict   bool
	volatile bool
}

func (c *callNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	call := &in.calls[c.slot]
	allConst, nulls := !c.volatile, false
	for i, a := range c.args {
		v, err := a.eval(in, sel, n)
		if err != nil {
			return nil, err
		}
		call.Args[i] = v
		allConst = allConst && v.Const
		nulls = nulls || v.HasNulls()
	}
	out := &in.regs[c.reg]
	if allConst {
		return c.evalConst(in, call, out, sel)
	}
	out.Resize(n)
	if nulls && c.strict {
		var none bool
		if sel, none = c.skipNulls(in, call, out, sel, n); none {
			return out, nil
		}
	}
	call.Ctx, call.Out, call.Sel, call.N = in.ctx, out, sel, n
	if err := c.impl.Kernel(call); err != nil {
		return nil, &RowError{Row: call.Row, Err: err}
	}
	return out, nil
}

// evalConst evaluates once for all rows.
func (c *callNode) evalConst(in *Instance, call *builtin.Call, out *vec.Vector, sel []int32) (*vec.Vector, error) {
	if c.strict {
		for _, a := range call.Args {
			if a.IsNull(0) {
				out.SetConst(types.Null)
				return out, nil
			}
		}
	}
	out.Resize(1)
	call.Ctx, call.Out, call.Sel, call.N = in.ctx, out, nil, 1
	if err := c.impl.Kernel(call); err != nil {
		row := 0
		if len(sel) > 0 {
			row = int(sel[0])
		}
		return nil, &RowError{Row: row, Err: err}
	}
	out.Const = true
	return out, nil
}

// skipNulls marks the rows with a NULL argument as NULL in out, and returns the
// selection of the others; none says that there are no others.
func (c *callNode) skipNulls(in *Instance, call *builtin.Call, out *vec.Vector, sel []int32, n int) (rest []int32, none bool) {
	for _, a := range call.Args {
		if !a.HasNulls() {
			continue
		}
		if a.Const {
			if a.IsNull(0) {
				out.SetConst(types.Null)
				return nil, true
			}
			continue
		}
		if len(out.Nulls) < len(a.Nulls) {
			out.SetNull(len(a.Nulls)*64 - 1)
			out.ClearNull(len(a.Nulls)*64 - 1)
		}
		for w, bits := range a.Nulls {
			out.Nulls[w] |= bits
		}
	}
	if c.impl.Total {
		return sel, false
	}
	dst := in.selBuf(c.sel, n)
	for _, i := range selOrAll(sel, n) {
		if !out.IsNull(int(i)) {
			dst = append(dst, i)
		}
	}
	in.sels[c.sel] = dst
	return dst, len(dst) == 0
}

// narrow selects directly where the function can and nothing is NULL.
func (c *callNode) narrow(in *Instance, sel []int32, n int, dst []int32) ([]int32, bool, error) {
	if c.impl.Narrow == nil {
		return nil, false, nil
	}
	call := &in.calls[c.slot]
	nulls := false
	for i, a := range c.args {
		v, err := a.eval(in, sel, n)
		if err != nil {
			return nil, true, err
		}
		call.Args[i] = v
		nulls = nulls || v.HasNulls()
	}
	if nulls {
		// The arguments are evaluated again, into the same registers.
		return nil, false, nil
	}
	call.Ctx, call.Sel, call.N = in.ctx, sel, n
	return c.impl.Narrow(call, dst), true, nil
}

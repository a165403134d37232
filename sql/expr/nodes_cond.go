package expr

import (
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// caseNode is CASE: a condition is evaluated for the rows that no earlier one
// took, a result for the rows of its arm.
type caseNode struct {
	reg     int
	sel     int // three buffers: two for open rows by turns, one for the arm
	arg     node
	test    int // register of the argument, if there is one
	conds   []node
	results []node
	els     node
}

func (c *compiler) caseExpr(e *CaseExpr) (node, error) {
	cn := &caseNode{reg: c.reg(e.Typ.Repr()), sel: c.selSlot()}
	c.selSlot()
	c.selSlot()
	outer := c.caseTest
	defer func() { c.caseTest = outer }()
	if e.Arg != nil {
		a, err := c.compile(e.Arg)
		if err != nil {
			return nil, err
		}
		cn.arg, cn.test = a, c.reg(e.Arg.Type().Repr())
	}
	for _, w := range e.Whens {
		if e.Arg != nil {
			c.caseTest = &regNode{cn.test}
		}
		cond, err := c.arm(w.Cond)
		c.caseTest = outer
		if err != nil {
			return nil, err
		}
		res, err := c.arm(w.Result)
		if err != nil {
			return nil, err
		}
		cn.conds, cn.results = append(cn.conds, cond), append(cn.results, res)
	}
	if e.Else != nil {
		els, err := c.arm(e.Else)
		if err != nil {
			return nil, err
		}
		cn.els = els
	}
	return cn, nil
}

func (c *caseNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	if c.arg != nil {
		v, err := c.arg.eval(in, sel, n)
		if err != nil {
			return nil, err
		}
		in.regs[c.test].Alias(v)
	}
	out := &in.regs[c.reg]
	out.Resize(n)
	open, openSel := selOrAll(sel, n), sel
	for k, cond := range c.conds {
		if len(open) == 0 {
			return out, nil
		}
		v, err := cond.eval(in, openSel, n)
		if err != nil {
			return nil, err
		}
		rest, taken := in.selBuf(c.sel+k&1, n), in.selBuf(c.sel+2, n)
		for _, i := range open {
			if !v.IsNull(int(i)) && v.Int(int(i)) != 0 {
				taken = append(taken, i)
			} else {
				rest = append(rest, i)
			}
		}
		in.sels[c.sel+k&1], in.sels[c.sel+2] = rest, taken
		if err := fill(in, out, c.results[k], taken, n); err != nil {
			return nil, err
		}
		open, openSel = rest, rest
	}
	if c.els == nil {
		for _, i := range open {
			out.SetDatum(int(i), types.Null)
		}
		return out, nil
	}
	return out, fill(in, out, c.els, open, n)
}

// fill stores a result for the rows of sel in out.
func fill(in *Instance, out *vec.Vector, res node, sel []int32, n int) error {
	if len(sel) == 0 {
		return nil
	}
	v, err := res.eval(in, sel, n)
	if err != nil {
		return err
	}
	copyRows(out, v, sel)
	return nil
}

func copyRows(out, v *vec.Vector, sel []int32) {
	if out.Repr == types.Int64 && !v.HasNulls() && !out.HasNulls() {
		if v.Const {
			x := v.Ints[0]
			for _, i := range sel {
				out.Ints[i] = x
			}
			return
		}
		for _, i := range sel {
			out.Ints[i] = v.Ints[i]
		}
		return
	}
	for _, i := range sel {
		out.CopyFrom(int(i), v, int(i))
	}
}

// coalesceNode is COALESCE.
type coalesceNode struct {
	reg  int
	sel  int // two buffers by turns
	args []node
}

func (c *coalesceNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	out := &in.regs[c.reg]
	open, openSel := selOrAll(sel, n), sel
	for k, a := range c.args {
		v, err := a.eval(in, openSel, n)
		if err != nil {
			return nil, err
		}
		if k == 0 {
			if !v.HasNulls() {
				return v, nil
			}
			out.Resize(n)
		}
		rest := in.selBuf(c.sel+k&1, n)
		for _, i := range open {
			if v.IsNull(int(i)) {
				rest = append(rest, i)
			} else {
				out.CopyFrom(int(i), v, int(i))
			}
		}
		in.sels[c.sel+k&1] = rest
		if open, openSel = rest, rest; len(open) == 0 {
			return out, nil
		}
	}
	for _, i := range open {
		out.SetDatum(int(i), types.Null)
	}
	return out, nil
}

// nullIfNode is NULLIF.
type nullIfNode struct {
	reg  int
	eq   node
	left node
}

func (c *nullIfNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	eq, err := c.eq.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	l, err := c.left.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[c.reg]
	out.Resize(n)
	for _, i := range selOrAll(sel, n) {
		if !eq.IsNull(int(i)) && eq.Int(int(i)) != 0 {
			out.SetDatum(int(i), types.Null)
		} else {
			out.CopyFrom(int(i), l, int(i))
		}
	}
	return out, nil
}

// distinctNode is IS DISTINCT FROM.
type distinctNode struct {
	reg         int
	eq          node
	left, right node
}

func (c *distinctNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	eq, err := c.eq.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	l, err := c.left.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	r, err := c.right.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[c.reg]
	out.Resize(n)
	for _, i := range selOrAll(sel, n) {
		ln, rn := l.IsNull(int(i)), r.IsNull(int(i))
		if ln || rn {
			out.SetBool(int(i), ln != rn)
		} else {
			out.SetBool(int(i), eq.Int(int(i)) == 0)
		}
	}
	return out, nil
}

// minMaxNode is GREATEST or LEAST; NULLs are passed over.
type minMaxNode struct {
	reg   int
	oid   types.OID
	least bool
	args  []node
}

func (c *minMaxNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	out := &in.regs[c.reg]
	out.Resize(n)
	rows := selOrAll(sel, n)
	for k, a := range c.args {
		v, err := a.eval(in, sel, n)
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			i := int(p)
			if k == 0 {
				out.CopyFrom(i, v, i)
				continue
			}
			if v.IsNull(i) {
				continue
			}
			if out.IsNull(i) || (vec.Compare(c.oid, v, i, out, i) < 0) == c.least && vec.Compare(c.oid, v, i, out, i) != 0 {
				out.CopyFrom(i, v, i)
			}
		}
	}
	return out, nil
}

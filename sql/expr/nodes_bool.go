package expr

import (
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// logicNode is AND or OR: each operand sees only the rows that the ones before
// have not decided. FALSE decides an AND, TRUE an OR.
type logicNode struct {
	reg  int
	sel  int // two buffers, by turns
	or   bool
	args []node
}

func (l *logicNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	out := &in.regs[l.reg]
	out.Resize(n)
	cur := selOrAll(sel, n)
	deciding, start := int64(0), int64(1)
	if l.or {
		deciding, start = 1, 0
	}
	for _, i := range cur {
		out.Ints[i] = start
	}
	undecided := sel
	for k, a := range l.args {
		if len(cur) == 0 {
			break
		}
		v, err := a.eval(in, undecided, n)
		if err != nil {
			return nil, err
		}
		next := in.selBuf(l.sel+k&1, n)
		for _, i := range cur {
			switch {
			case v.IsNull(int(i)):
				out.SetNull(int(i))
				next = append(next, i)
			case v.Int(int(i)) == deciding:
				out.ClearNull(int(i))
				out.Ints[i] = deciding
			default:
				next = append(next, i)
			}
		}
		in.sels[l.sel+k&1] = next
		cur, undecided = next, next
	}
	return out, nil
}

// notNode is NOT.
type notNode struct {
	reg int
	arg node
}

func (l *notNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := l.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[l.reg]
	if v.Const {
		if v.IsNull(0) {
			out.SetConst(types.Null)
		} else {
			out.SetConst(types.NewBool(v.Ints[0] == 0))
		}
		return out, nil
	}
	out.Resize(n)
	out.Nulls = append(out.Nulls[:0], v.Nulls...)
	for _, i := range selOrAll(sel, n) {
		out.Ints[i] = v.Ints[i] ^ 1
	}
	return out, nil
}

func (c *compiler) boolean(b *BoolExpr) (node, error) {
	if b.Op == Not {
		a, err := c.compile(b.Args[0])
		if err != nil {
			return nil, err
		}
		return &notNode{reg: c.reg(types.Int64), arg: a}, nil
	}
	l := &logicNode{reg: c.reg(types.Int64), sel: c.selSlot(), or: b.Op == Or}
	c.selSlot()
	for i, e := range b.Args {
		compile := c.arm
		if i == 0 {
			compile = c.compile
		}
		a, err := compile(e)
		if err != nil {
			return nil, err
		}
		if k, ok := a.(*constNode); ok && !k.v.IsNull(0) {
			if (k.v.Ints[0] != 0) == l.or {
				if i == 0 {
					return a, nil
				}
				// It decides whatever is still open; the rest never runs.
				l.args = append(l.args, a)
				break
			}
			continue
		}
		l.args = append(l.args, a)
	}
	if len(l.args) == 0 {
		return newConst(types.Int64, types.NewBool(!l.or)), nil
	}
	return l, nil
}

// narrow selects the rows for which an OR is true without its three-valued
// result; an AND is flattened by CompileFilter already.
func (l *logicNode) narrow(in *Instance, sel []int32, n int, dst []int32) ([]int32, bool, error) {
	v, err := l.eval(in, sel, n)
	if err != nil {
		return nil, true, err
	}
	return keepTrue(v, sel, n, dst), true, nil
}

// nullTestNode is IS [NOT] NULL.
type nullTestNode struct {
	reg      int
	arg      node
	not, row bool
}

func (t *nullTestNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := t.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[t.reg]
	if v.Const {
		out.SetConst(types.NewBool(t.test(v, 0)))
		return out, nil
	}
	out.Resize(n)
	for _, i := range selOrAll(sel, n) {
		out.SetBool(int(i), t.test(v, int(i)))
	}
	return out, nil
}

func (t *nullTestNode) test(v *vec.Vector, i int) bool {
	null := v.IsNull(i)
	if null || !t.row {
		return null != t.not
	}
	// A row is null if all its fields are, and not null if none is.
	for _, f := range types.DecodeRecord(v.Bytes(i)) {
		if f.Value.IsNull() == t.not {
			return false
		}
	}
	return true
}

// boolTestNode is IS [NOT] TRUE, FALSE, UNKNOWN.
type boolTestNode struct {
	reg  int
	arg  node
	test BoolTestKind
}

func (t *boolTestNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := t.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[t.reg]
	if v.Const {
		out.SetConst(types.NewBool(t.holds(v, 0)))
		return out, nil
	}
	out.Resize(n)
	for _, i := range selOrAll(sel, n) {
		out.SetBool(int(i), t.holds(v, int(i)))
	}
	return out, nil
}

func (t *boolTestNode) holds(v *vec.Vector, i int) bool {
	null := v.IsNull(i)
	val := !null && v.Int(i) != 0
	switch t.test {
	case IsTrue:
		return val
	case IsNotTrue:
		return !val
	case IsFalse:
		return !null && !val
	case IsNotFalse:
		return null || val
	case IsUnknown:
		return null
	}
	return !null
}

package expr

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func (c *compiler) compileSpecial(e Expr) (node, error) {
	switch n := e.(type) {
	case *CaseExpr:
		return c.caseExpr(n)
	case *CaseTest:
		if c.caseTest == nil {
			return nil, types.Errorf(types.CodeInternal, "case test value outside CASE")
		}
		return c.caseTest, nil
	case *Coalesce:
		return c.coalesce(n)
	case *NullIf:
		return c.nullIf(n)
	case *MinMax:
		args, err := c.compileAll(n.Args)
		return &minMaxNode{reg: c.reg(n.Typ.Repr()), oid: n.Typ.OID, least: n.Least, args: args}, err
	case *NullTest:
		a, err := c.compile(n.Arg)
		return &nullTestNode{reg: c.reg(types.Int64), arg: a, not: n.Not, row: n.Row}, err
	case *BooleanTest:
		a, err := c.compile(n.Arg)
		return &boolTestNode{reg: c.reg(types.Int64), arg: a, test: n.Test}, err
	case *DistinctExpr:
		return c.distinct(n)
	case *ScalarArrayOp:
		return c.scalarArray(n)
	case *CoerceViaIO:
		return c.viaIO(n)
	}
	return c.compileComposite(e)
}

func (c *compiler) coalesce(n *Coalesce) (node, error) {
	cn := &coalesceNode{reg: c.reg(n.Typ.Repr()), sel: c.selSlot()}
	c.selSlot()
	for i, e := range n.Args {
		compile := c.arm
		if i == 0 {
			compile = c.compile
		}
		a, err := compile(e)
		if err != nil {
			return nil, err
		}
		cn.args = append(cn.args, a)
	}
	return cn, nil
}

func (c *compiler) nullIf(n *NullIf) (node, error) {
	eq, err := c.call(n.Func, []Expr{n.Left, n.Right}, types.BoolType, n.Collation, false)
	if err != nil {
		return nil, err
	}
	l, err := c.compile(n.Left)
	return &nullIfNode{reg: c.reg(n.Typ.Repr()), eq: eq, left: l}, err
}

func (c *compiler) distinct(n *DistinctExpr) (node, error) {
	eq, err := c.call(n.Func, []Expr{n.Left, n.Right}, types.BoolType, n.Collation, false)
	if err != nil {
		return nil, err
	}
	l, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := c.compile(n.Right)
	return &distinctNode{reg: c.reg(types.Int64), eq: eq, left: l, right: r}, err
}

// ioNode converts by printing and reading again.
type ioNode struct {
	reg      int
	arg      node
	from, to types.Type
}

func (c *compiler) viaIO(n *CoerceViaIO) (node, error) {
	a, err := c.compile(n.Arg)
	if err != nil {
		return nil, err
	}
	io := &ioNode{reg: c.reg(n.Typ.Repr()), arg: a, from: n.Arg.Type(), to: n.Typ}
	if k, ok := a.(*constNode); ok && k.v.IsNull(0) {
		return newConst(n.Typ.Repr(), types.Null), nil
	}
	return io, nil
}

func (c *ioNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := c.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[c.reg]
	if v.Const {
		d, err := c.convert(in, v, 0)
		if err != nil {
			row := 0
			if len(sel) > 0 {
				row = int(sel[0])
			}
			return nil, &RowError{Row: row, Err: err}
		}
		out.SetConst(d)
		return out, nil
	}
	out.Resize(n)
	st := in.ctx.Set()
	toText := isPlainText(c.to.OID)
	for _, p := range selOrAll(sel, n) {
		i := int(p)
		if toText && !v.IsNull(i) {
			out.EndBytes(i, v.AppendText(out.BeginBytes(), c.from.OID, i, st))
			continue
		}
		d, err := c.convert(in, v, i)
		if err != nil {
			return nil, &RowError{Row: i, Err: err}
		}
		out.SetDatum(i, d)
	}
	return out, nil
}

func isPlainText(oid types.OID) bool {
	return oid == types.TextOID || oid == types.VarCharOID || oid == types.BPCharOID
}

func (c *ioNode) convert(in *Instance, v *vec.Vector, i int) (types.Datum, error) {
	if v.IsNull(i) {
		return types.Null, nil
	}
	st := in.ctx.Set()
	return types.ParseText(c.to, types.TextOf(c.from.OID, v.Datum(i), st), st)
}

// scalarArrayNode is op ANY (array) or op ALL (array).
type scalarArrayNode struct {
	reg         int
	left, right node
	all         bool
	strict      bool
	impl        *builtin.Impl
	info        *builtin.Info
	elem        types.Type
	equality    bool // the operator is the type's equality, usable by key
	slot        int  // selection buffers
}

func (c *compiler) scalarArray(n *ScalarArrayOp) (node, error) {
	p, ok := pgfacts.ProcByOID(n.Func)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedFunction, "function with OID %d does not exist", n.Func)
	}
	impl, err := builtin.Lookup(p)
	if err != nil {
		return nil, err
	}
	l, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := c.compile(n.Right)
	if err != nil {
		return nil, err
	}
	elem := n.Right.Type().Elem()
	lt := n.Left.Type()
	sn := &scalarArrayNode{reg: c.reg(types.Int64), left: l, right: r, all: n.All, strict: p.Strict, impl: impl, elem: elem, slot: c.selSlot()}
	sn.info = &builtin.Info{Proc: n.Func, Name: p.Name, Src: p.Src, ArgTypes: []types.Type{lt, elem}, Ret: types.BoolType, Collation: n.Collation}
	sn.equality = !n.All && pgfacts.StrategyOf(n.Op) == 3 && lt.Repr() == elem.Repr() &&
		(lt.Repr() == types.Int64 || lt.Repr() == types.Bytes && types.BytesAreKey(lt.OID) && types.BytesAreKey(elem.OID))
	return sn, nil
}

func (s *scalarArrayNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	l, err := s.left.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	r, err := s.right.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[s.reg]
	out.Resize(n)
	rows := selOrAll(sel, n)
	if r.Const {
		if r.IsNull(0) {
			out.SetConst(types.Null)
			return out, nil
		}
		return out, s.constArray(in, l, types.FlatArray(r.Bytes(0)), rows, n, out)
	}
	elems, one := vec.New(s.elem.Repr(), 0), vec.New(l.Repr, 1)
	for _, p := range rows {
		i := int(p)
		if r.IsNull(i) {
			out.SetNull(i)
			continue
		}
		elems.Reset()
		f := types.FlatArray(r.Bytes(i))
		for k := 0; k < f.Len(); k++ {
			elems.AppendDatum(f.At(k))
		}
		one.SetConst(l.Datum(i))
		res, err := s.decide(in, one, elems)
		if err != nil {
			return nil, &RowError{Row: i, Err: err}
		}
		out.SetDatum(i, res)
	}
	return out, nil
}

// decide compares one value with all elements.
func (s *scalarArrayNode) decide(in *Instance, one, elems *vec.Vector) (types.Datum, error) {
	res, null := s.all, false
	tmp := vec.New(types.Int64, 1)
	for k := 0; k < elems.Len(); k++ {
		if s.strict && (one.IsNull(0) || elems.IsNull(k)) {
			null = true
			continue
		}
		tmp.Resize(1)
		e := vec.NewConst(elems.Repr, elems.View(k))
		call := builtin.Call{Ctx: in.ctx, Info: s.info, Args: []*vec.Vector{one, e}, Out: tmp, N: 1}
		if err := s.impl.Kernel(&call); err != nil {
			return types.Null, err
		}
		if tmp.IsNull(0) {
			null = true
		} else if (tmp.Ints[0] != 0) != s.all {
			return types.NewBool(!s.all), nil
		}
	}
	if null {
		return types.Null, nil
	}
	return types.NewBool(res), nil
}

// smallList is the length up to which a list is compared element by element.
const smallList = 4

// constArray compares all rows with each element in turn, leaving out rows that
// are decided; long lists of an equality go through a set.
func (s *scalarArrayNode) constArray(in *Instance, l *vec.Vector, f types.FlatArray, rows []int32, n int, out *vec.Vector) error {
	if s.equality && f.Len() > smallList {
		s.bySet(l, f, rows, out)
		return nil
	}
	open := append(in.selBuf(s.slot, n), rows...)
	in.sels[s.slot] = open
	for _, i := range rows {
		out.SetBool(int(i), s.all)
	}
	tmp := vec.New(types.Int64, n)
	for k := 0; k < f.Len() && len(open) > 0; k++ {
		e := vec.NewConst(s.elem.Repr(), f.At(k))
		tmp.Resize(n)
		live := open
		if s.strict {
			live = live[:0:0]
			for _, i := range open {
				if e.IsNull(0) || l.IsNull(int(i)) {
					out.SetNull(int(i))
				} else {
					live = append(live, i)
				}
			}
		}
		if len(live) == 0 {
			continue
		}
		call := builtin.Call{Ctx: in.ctx, Info: s.info, Args: []*vec.Vector{l, e}, Out: tmp, Sel: live, N: n}
		if err := s.impl.Kernel(&call); err != nil {
			return &RowError{Row: call.Row, Err: err}
		}
		open = s.stillOpen(open, l, e, tmp, out)
	}
	return nil
}

func (s *scalarArrayNode) stillOpen(open []int32, l, e, tmp, out *vec.Vector) []int32 {
	rest := open[:0]
	for _, p := range open {
		i := int(p)
		skipped := s.strict && (e.IsNull(0) || l.IsNull(i))
		if !skipped && tmp.IsNull(i) {
			out.SetNull(i)
			skipped = true
		}
		if !skipped && (tmp.Int(i) != 0) != s.all {
			out.ClearNull(i)
			out.SetBool(i, !s.all)
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

func (s *scalarArrayNode) bySet(l *vec.Vector, f types.FlatArray, rows []int32, out *vec.Vector) {
	hasNull := false
	ints, strs := map[int64]struct{}{}, map[string]struct{}{}
	for k := 0; k < f.Len(); k++ {
		d := f.At(k)
		switch {
		case d.IsNull():
			hasNull = true
		case s.elem.Repr() == types.Int64:
			ints[d.Int()] = struct{}{}
		default:
			strs[d.Str()] = struct{}{}
		}
	}
	for _, p := range rows {
		i := int(p)
		if l.IsNull(i) {
			out.SetNull(i)
			continue
		}
		var ok bool
		if s.elem.Repr() == types.Int64 {
			_, ok = ints[l.Int(i)]
		} else {
			_, ok = strs[l.Str(i)]
		}
		if !ok && hasNull {
			out.SetNull(i)
		}
		out.SetBool(i, ok)
	}
}

package expr

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Options change how a program is compiled.
type Options struct {
	// Ordinal maps a column id to the ordinal of the input batch; nil takes the
	// id itself.
	Ordinal func(ColID) (int, bool)
	// KeepErrors leaves out folding, for tests.
	NoFold bool
}

// Compile turns expressions into one program. Column references must be of the
// current query level; subqueries, aggregates and window calls must be gone.
func Compile(es []Expr, opt Options) (*Program, error) {
	c := &compiler{opt: opt, prog: &Program{sels: 2}}
	c.countShared(es)
	for _, e := range es {
		n, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		c.prog.outs = append(c.prog.outs, n)
		c.prog.types = append(c.prog.types, e.Type())
	}
	return c.prog, nil
}

// CompileFilter compiles a condition for Filter, its conjuncts one by one.
func CompileFilter(cond Expr, opt Options) (*Program, error) {
	return Compile(Conjuncts(nil, cond), opt)
}

type compiler struct {
	opt  Options
	prog *Program
	// conditional counts the enclosing arms that may not run for all rows.
	conditional int
	shared      map[string]int // occurrences by serialized form
	memo        map[string]*memoNode
	// caseTest is the register of the innermost CASE argument.
	caseTest *regNode
}

func (c *compiler) reg(r types.Repr) int {
	c.prog.regs = append(c.prog.regs, r)
	return len(c.prog.regs) - 1
}

func (c *compiler) selSlot() int {
	c.prog.sels++
	return c.prog.sels - 1
}

// maxSharedNodes bounds the search for common subexpressions, which looks at
// every subtree's serialized form.
const maxSharedNodes = 300

func (c *compiler) countShared(es []Expr) {
	nodes := 0
	for _, e := range es {
		Walk(e, func(Expr) bool { nodes++; return nodes <= maxSharedNodes })
	}
	if nodes > maxSharedNodes || nodes < 4 {
		return
	}
	c.shared, c.memo = map[string]int{}, map[string]*memoNode{}
	for _, e := range es {
		Walk(e, func(n Expr) bool {
			if sharable(n) {
				if k, err := Encode(nil, n); err == nil {
					c.shared[string(k)]++
				}
			}
			return true
		})
	}
}

func sharable(e Expr) bool {
	switch e.(type) {
	case *FuncExpr, *OpExpr, *CoerceViaIO:
		return true
	}
	return false
}

func (c *compiler) compile(e Expr) (node, error) {
	if c.conditional == 0 && c.shared != nil && c.caseTest == nil && sharable(e) && VolatilityOf(e) != Volatile {
		k, err := Encode(nil, e)
		if err == nil && c.shared[string(k)] > 1 {
			return c.compileShared(string(k), e)
		}
	}
	return c.compileNode(e)
}

func (c *compiler) compileShared(k string, e Expr) (node, error) {
	if m := c.memo[k]; m != nil {
		return m, nil
	}
	n, err := c.compileNode(e)
	if err != nil {
		return nil, err
	}
	if _, isConst := n.(*constNode); isConst {
		return n, nil
	}
	m := &memoNode{inner: n, slot: c.prog.memos}
	c.prog.memos++
	c.memo[k] = m
	return m, nil
}

func (c *compiler) compileAll(es []Expr) ([]node, error) {
	out := make([]node, len(es))
	for i, e := range es {
		n, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// arm compiles an operand that runs only for some of the rows.
func (c *compiler) arm(e Expr) (node, error) {
	c.conditional++
	defer func() { c.conditional-- }()
	return c.compile(e)
}

func (c *compiler) compileNode(e Expr) (node, error) {
	switch n := e.(type) {
	case *Const:
		return newConst(n.Typ.Repr(), n.Value), nil
	case *ColumnRef:
		return c.column(n)
	case *Param:
		return &paramNode{reg: c.reg(n.Typ.Repr()), num: n.Num, kind: n.Kind}, nil
	case *FuncExpr:
		if n.ReturnSet {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "set-valued function called in context that cannot accept a set").At(n.Location)
		}
		return c.call(n.Func, n.Args, n.Typ, n.Collation, n.Variadic)
	case *OpExpr:
		return c.call(n.Func, n.Args, n.Typ, n.Collation, false)
	case *BoolExpr:
		return c.boolean(n)
	case *Relabel:
		return c.relabel(n)
	}
	return c.compileSpecial(e)
}

func (c *compiler) column(n *ColumnRef) (node, error) {
	if n.Outer > 0 {
		return nil, types.Errorf(types.CodeInternal, "column %q of an outer query was not bound to a parameter", n.Name)
	}
	ord := int(n.ID)
	if c.opt.Ordinal != nil {
		o, ok := c.opt.Ordinal(n.ID)
		if !ok {
			return nil, types.Errorf(types.CodeInternal, "column %q (%d) is not in the input row", n.Name, n.ID)
		}
		ord = o
	}
	return &colNode{ord}, nil
}

// relabel changes nothing at run time unless the representations differ.
func (c *compiler) relabel(n *Relabel) (node, error) {
	from, to := n.Arg.Type().Repr(), n.Typ.Repr()
	arg, err := c.compile(n.Arg)
	if err != nil {
		return nil, err
	}
	if from != to && from != types.Invalid {
		return nil, types.Errorf(types.CodeInternal, "cannot relabel %s as %s", n.Arg.Type(), n.Typ)
	}
	// int4 and oid have the same 32 bits but differ in their sign.
	fromOID, toOID := n.Arg.Type().OID, n.Typ.OID
	switch {
	case fromOID == types.Int4OID && types.IsUnsigned32(toOID):
		return &signNode{reg: c.reg(types.Int64), arg: arg, f: func(v int64) int64 { return int64(uint32(v)) }}, nil
	case types.IsUnsigned32(fromOID) && toOID == types.Int4OID:
		return &signNode{reg: c.reg(types.Int64), arg: arg, f: func(v int64) int64 { return int64(int32(v)) }}, nil
	}
	return arg, nil
}

// signNode reads 32 bits with or without a sign.
type signNode struct {
	reg int
	arg node
	f   func(int64) int64
}

func (s *signNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := s.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	out := &in.regs[s.reg]
	if v.Const {
		if v.IsNull(0) {
			out.SetConst(types.Null)
		} else {
			out.SetConst(types.NewInt(s.f(v.Ints[0])))
		}
		return out, nil
	}
	out.Resize(n)
	out.Nulls = append(out.Nulls[:0], v.Nulls...)
	for _, i := range selOrAll(sel, n) {
		out.Ints[i] = s.f(v.Ints[i])
	}
	return out, nil
}

// call compiles the call of a function by oid.
func (c *compiler) call(fn types.OID, args []Expr, ret types.Type, coll types.OID, variadic bool) (node, error) {
	p, ok := pgfacts.ProcByOID(fn)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedFunction, "function with OID %d does not exist", fn)
	}
	impl, err := builtin.Lookup(p)
	if err != nil {
		return nil, err
	}
	nodes, err := c.compileAll(args)
	if err != nil {
		return nil, err
	}
	info := &builtin.Info{Proc: fn, Name: p.Name, Src: p.Src, Ret: ret, Collation: coll, Variadic: variadic}
	for _, a := range args {
		info.ArgTypes = append(info.ArgTypes, a.Type())
	}
	cn := &callNode{reg: c.reg(ret.Repr()), args: nodes, impl: impl, info: info, strict: p.Strict,
		volatile: p.Volatile == 'v', slot: len(c.prog.calls), sel: -1}
	if cn.strict {
		cn.sel = c.selSlot()
	}
	c.prog.calls = append(c.prog.calls, cn)
	if p.Volatile == 'i' && !c.opt.NoFold {
		if k, ok := foldCall(cn); ok {
			return k, nil
		}
	}
	return cn, nil
}

// foldCall computes an immutable call over constants. What fails is left for
// run time, where it may never be reached.
func foldCall(cn *callNode) (*constNode, bool) {
	for _, a := range cn.args {
		if _, ok := a.(*constNode); !ok {
			return nil, false
		}
	}
	args := make([]*vec.Vector, len(cn.args))
	for i, a := range cn.args {
		args[i] = a.(*constNode).v
		if cn.strict && args[i].IsNull(0) {
			return newConst(cn.info.Ret.Repr(), types.Null), true
		}
	}
	out := vec.New(cn.info.Ret.Repr(), 1)
	out.Resize(1)
	call := builtin.Call{Ctx: &Ctx{}, Info: cn.info, Args: args, Out: out, N: 1}
	if cn.impl.Kernel(&call) != nil {
		return nil, false
	}
	return newConst(out.Repr, out.Datum(0)), true
}

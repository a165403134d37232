package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// fold computes what needs no row, and simplifies conditions whose value is
// known. An expression that raises is left for the executor: it may never be
// reached.
func (c *optimizer) fold(n plan.Node) plan.Node {
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		plan.MapScalars(n, foldScalar)
		switch x := n.(type) {
		case *plan.Filter:
			return foldFilter(x)
		case *plan.NestedLoop:
			x.On = dropTrue(x.On)
		case *plan.Apply:
			x.On = dropTrue(x.On)
		}
		return n
	})
}

func foldScalar(e expr.Expr) expr.Expr {
	return expr.Rewrite(e, foldNode)
}

// foldNode folds one node whose operands are folded already.
func foldNode(e expr.Expr) expr.Expr {
	switch n := e.(type) {
	case *expr.BoolExpr:
		return foldBool(n)
	case *expr.OpExpr:
		if strictNull(n.Func, n.Args) {
			return &expr.Const{Typ: n.Typ, Location: n.Location}
		}
		if allConst(n.Args) {
			return evaluate(e)
		}
	case *expr.FuncExpr:
		if !n.ReturnSet && strictNull(n.Func, n.Args) {
			return &expr.Const{Typ: n.Typ, Location: n.Location}
		}
		if allConst(n.Args) && !n.ReturnSet && len(n.Args) > 0 {
			return evaluate(e)
		}
	case *expr.Relabel:
		if k, ok := n.Arg.(*expr.Const); ok {
			return &expr.Const{Value: k.Value, Typ: n.Typ, Location: k.Location}
		}
	case *expr.ArrayExpr:
		// An array of constants stays one: index spans want its elements.
	case *expr.NullTest:
		if k, ok := n.Arg.(*expr.Const); ok && !n.Row {
			return boolean(k.Value.IsNull() != n.Not)
		}
	}
	return e
}

// strictNull reports whether a function is not even called, because one of its
// operands is NULL.
func strictNull(fn types.OID, args []expr.Expr) bool {
	for _, a := range args {
		if k, ok := a.(*expr.Const); ok && k.Value.IsNull() {
			p, ok := pgfacts.ProcByOID(fn)
			return ok && p.Strict
		}
	}
	return false
}

func boolean(v bool) expr.Expr {
	return &expr.Const{Value: types.NewBool(v), Typ: types.BoolType}
}

func allConst(es []expr.Expr) bool {
	for _, e := range es {
		if _, ok := e.(*expr.Const); !ok {
			return false
		}
	}
	return true
}

// evaluate computes an immutable expression over constants, or returns it as it
// is.
func evaluate(e expr.Expr) expr.Expr {
	if volatility(e) != 'i' {
		return e
	}
	p, err := expr.Compile([]expr.Expr{e}, expr.Options{})
	if err != nil {
		return e
	}
	d, err := p.NewInstance().EvalOne(&expr.Ctx{Settings: types.DefaultSettings()})
	if err != nil {
		return e
	}
	return &expr.Const{Value: d, Typ: e.Type(), Location: expr.LocationOf(e)}
}

// truth says what a constant condition is: 't', 'f' (NULL counts as false where
// rows are chosen) or 0.
func truth(e expr.Expr) byte {
	k, ok := e.(*expr.Const)
	switch {
	case !ok:
		return 0
	case k.Value.IsNull():
		return 'n'
	case k.Value.Bool():
		return 't'
	}
	return 'f'
}

func foldBool(n *expr.BoolExpr) expr.Expr {
	if n.Op == expr.Not {
		switch truth(n.Args[0]) {
		case 't':
			return boolean(false)
		case 'f':
			return boolean(true)
		case 'n':
			return n.Args[0]
		}
		if in, ok := n.Args[0].(*expr.BoolExpr); ok && in.Op == expr.Not {
			return in.Args[0]
		}
		return n
	}
	stop, skip := byte('f'), byte('t')
	if n.Op == expr.Or {
		stop, skip = 't', 'f'
	}
	var args []expr.Expr
	for _, a := range n.Args {
		switch truth(a) {
		case skip:
			continue
		case stop:
			// What stands before may raise; it is kept unless it cannot.
			if !anyRaises(args) {
				return a
			}
		}
		if in, ok := a.(*expr.BoolExpr); ok && in.Op == n.Op {
			args = append(args, in.Args...)
			continue
		}
		args = append(args, a)
	}
	if n.Op == expr.Or && len(args) > 1 {
		if e := factor(args, n.Location); e != nil {
			return e
		}
	}
	switch len(args) {
	case 0:
		return boolean(skip == 't')
	case 1:
		return args[0]
	case len(n.Args):
		same := true
		for i := range args {
			same = same && args[i] == n.Args[i]
		}
		if same {
			return n
		}
	}
	return &expr.BoolExpr{Op: n.Op, Args: args, Location: n.Location}
}

// factor takes out what all arms of an OR have in common: `(a AND b) OR (a AND
// c)` is `a AND (b OR c)`, and a may be a join's equality. It returns nil if
// there is nothing.
func factor(arms []expr.Expr, location int) expr.Expr {
	var common []expr.Expr
	for _, e := range expr.Conjuncts(nil, arms[0]) {
		everywhere := !isVolatile(e)
		for _, a := range arms[1:] {
			everywhere = everywhere && without(expr.Conjuncts(nil, a), e) != nil
		}
		if everywhere {
			common = append(common, e)
		}
	}
	if len(common) == 0 {
		return nil
	}
	or := &expr.BoolExpr{Op: expr.Or, Location: location}
	for _, a := range arms {
		rest := expr.Conjuncts(nil, a)
		for _, e := range common {
			rest = without(rest, e)
		}
		if len(rest) == 0 {
			// One arm asks for nothing else: the others add nothing.
			return expr.MakeAnd(common)
		}
		or.Args = append(or.Args, expr.MakeAnd(rest))
	}
	return &expr.BoolExpr{Op: expr.And, Args: append(common, or), Location: location}
}

// without returns conjuncts less one; nil, which no other result is, if they do
// not hold it.
func without(conds []expr.Expr, e expr.Expr) []expr.Expr {
	for i, c := range conds {
		if sameExpr(c, e) {
			return append(append(make([]expr.Expr, 0, len(conds)), conds[:i]...), conds[i+1:]...)
		}
	}
	return nil
}

func anyRaises(es []expr.Expr) bool {
	for _, e := range es {
		if mayRaise(e) || isVolatile(e) {
			return true
		}
	}
	return false
}

func dropTrue(conds []expr.Expr) []expr.Expr {
	var out []expr.Expr
	for _, e := range conds {
		if truth(e) == 't' {
			continue
		}
		out = append(out, expr.Conjuncts(nil, e)...)
	}
	return out
}

// foldFilter drops true conditions; a false one leaves no rows.
func foldFilter(x *plan.Filter) plan.Node {
	x.Conds = dropTrue(x.Conds)
	for _, e := range x.Conds {
		if t := truth(e); t == 'f' || t == 'n' {
			return &plan.Values{Base: plan.Base{Out: x.Out}}
		}
	}
	if len(x.Conds) == 0 {
		return x.Input
	}
	return x
}

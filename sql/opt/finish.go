package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// finish makes a tree runnable and describes it: correlated columns become
// parameters, nodes get numbers, and the flags are computed.
func finish(p *plan.Plan) {
	bindApplies(p, p.Root)
	compactLiterals(p)
	n := 0
	plan.Walk(p.Root, func(x plan.Node) {
		n++
		x.Common().ID = n
	})
	p.Nodes = n
	setFlags(p)
}

// compactLiterals drops literals that the plan reads as no type at all or as a
// type that a coercion replaced: what stays is parsed for every execution.
func compactLiterals(p *plan.Plan) {
	if len(p.Literals) == 0 {
		return
	}
	used := make([]bool, len(p.Literals))
	each := func(f func(*expr.Param) expr.Expr) {
		plan.Walk(p.Root, func(n plan.Node) {
			plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
				return expr.Rewrite(e, func(x expr.Expr) expr.Expr {
					if l, ok := x.(*expr.Param); ok && l.Kind == expr.ParamLiteral {
						return f(l)
					}
					return x
				})
			})
		})
	}
	each(func(l *expr.Param) expr.Expr {
		used[l.Num] = true
		return l
	})
	to := make([]int, len(used))
	var kept []plan.Literal
	for i, u := range used {
		if to[i] = len(kept); u {
			kept = append(kept, p.Literals[i])
		}
	}
	if len(kept) == len(p.Literals) {
		return
	}
	p.Literals = kept
	moved := make(map[*expr.Param]*expr.Param)
	each(func(l *expr.Param) expr.Expr {
		if moved[l] == nil {
			m := *l
			m.Num = to[l.Num]
			moved[l] = &m
			moved[&m] = &m // a shared subtree may be met again
		}
		return moved[l]
	})
}

// bindApplies gives each Apply parameters for what its right side takes from
// its left one, and replaces the columns there.
func bindApplies(p *plan.Plan, n plan.Node) {
	if a, ok := n.(*plan.Apply); ok {
		bindApply(p, a)
	}
	for _, c := range n.Inputs() {
		bindApplies(p, c)
	}
}

func bindApply(p *plan.Plan, a *plan.Apply) {
	free := plan.Free(a.Right)
	if len(free) == 0 {
		return
	}
	param := make(map[plan.ColID]*expr.Param)
	for _, c := range a.Left.Columns() {
		if !free.Has(c.ID) || param[c.ID] != nil {
			continue
		}
		x := &expr.Param{Num: p.ExecParams, Kind: expr.ParamExec, Typ: c.Type}
		p.ExecParams++
		param[c.ID] = x
		a.Params = append(a.Params, plan.ApplyParam{Param: x.Num, Col: c.ID, Type: c.Type})
	}
	plan.Walk(a.Right, func(n plan.Node) {
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
				if x := param[c.ID]; x != nil {
					return x
				}
				return c
			})
		})
	})
}

func setFlags(p *plan.Plan) {
	f := &p.Flags
	f.ReadOnly, f.NoSnapshot = p.Tag != plan.TagUtility, true
	f.Generic = true
	plan.Walk(p.Root, func(n plan.Node) {
		switch n := n.(type) {
		case *plan.Mutation:
			f.ReadOnly, f.NoSnapshot = false, false
		case *plan.Scan:
			f.NoSnapshot = false
			f.Generic = f.Generic && (len(n.Spans) == 0 && len(n.Filter) == 0 || n.Index.Unique && spansAreKeys(n))
			lockFlags(f, n.Lock)
		case *plan.PointGet:
			f.NoSnapshot = false
			lockFlags(f, n.Lock)
		case *plan.IndexFetch:
			f.NoSnapshot = false
			lockFlags(f, n.Lock)
		case *plan.LookupJoin:
			f.NoSnapshot = false
			f.Generic = false
			lockFlags(f, n.Lock)
		case *plan.VirtualScan:
			f.NoSnapshot = false
		case *plan.LockRows:
			f.Locking, f.ReadOnly = true, false
		case *plan.Utility:
			f.NoSnapshot = false
		case *plan.HashJoin, *plan.MergeJoin, *plan.NestedLoop:
			f.Generic = false
		case *plan.Apply:
			n.Memo = len(n.Params) > 0 && !anyVolatileBelow(n.Right) && !locks(n.Right)
		}
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			f.Volatile = f.Volatile || isVolatile(e)
			return e
		})
	})
	f.Point = isPoint(p.Root)
	if m, ok := p.Root.(*plan.Mutation); ok {
		f.PointWrite = isPointWrite(m)
	}
}

func lockFlags(f *plan.Flags, l plan.Locking) {
	if l.Strength != plan.LockNone {
		f.Locking = true
		f.ReadOnly = false
	}
}

func spansAreKeys(n *plan.Scan) bool {
	for _, s := range n.Spans {
		if len(s.Eq) < len(n.Index.Columns) {
			return false
		}
	}
	return len(n.Spans) > 0
}

// isPoint reports whether a plan reads one key, with nothing above but a
// projection or filter.
func isPoint(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.PointGet:
		return true
	case *plan.Project:
		return isPoint(n.Input)
	case *plan.Filter:
		return isPoint(n.Input)
	}
	return false
}

func isPointWrite(m *plan.Mutation) bool {
	if isPoint(m.Input) {
		return true
	}
	v, ok := m.Input.(*plan.Values)
	return ok && len(v.Rows) == 1
}

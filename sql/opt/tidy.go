package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// tidy removes what the other phases leave over: projections that change
// nothing, locks that a scan can take by itself, and sorts' needless limits.
func (c *optimizer) tidy(n plan.Node) plan.Node {
	n = plan.Rewrite(n, c.tidyNode)
	if m := mainMutation(n); m != nil {
		lockTarget(m)
	}
	return n
}

// mainMutation finds the statement's own mutation, below what RETURNING adds.
func mainMutation(n plan.Node) *plan.Mutation {
	for {
		switch x := n.(type) {
		case *plan.Mutation:
			return x
		case *plan.Project:
			n = x.Input
		case *plan.Apply:
			n = x.Left
		default:
			return nil
		}
	}
}

func (c *optimizer) tidyNode(n plan.Node) plan.Node {
	switch x := n.(type) {
	case *plan.Project:
		return tidyProject(x)
	case *plan.Filter:
		if len(x.Conds) == 0 {
			return x.Input
		}
		if p, ok := x.Input.(*plan.PointGet); ok && !anyVolatile(x.Conds) && !hasSubqueries(x.Conds) {
			p.Filter = append(p.Filter, x.Conds...)
			return p
		}
	case *plan.LockRows:
		if x != c.underLimit {
			return tidyLock(x)
		}
	}
	return n
}

func hasSubqueries(es []expr.Expr) bool {
	for _, e := range es {
		if expr.HasSubquery(e) {
			return true
		}
	}
	return false
}

// tidyProject drops a projection that renames nothing, merges two of them, and
// lets a leaf put out its columns in the wanted order.
func tidyProject(x *plan.Project) plan.Node {
	if in, ok := x.Input.(*plan.Project); ok {
		if m := mergeProjects(x, in); m != nil {
			return tidyProject(m)
		}
	}
	if !allRefs(x) {
		return x
	}
	have := x.Input.Columns()
	if len(have) == len(x.Out) {
		same := true
		for i, o := range x.Out {
			same = same && have[i].ID == o.ID && x.Exprs[i].(*expr.ColumnRef).ID == o.ID
		}
		if same {
			return x.Input
		}
	}
	if p, ok := x.Input.(*plan.PointGet); ok {
		return reorderPoint(x, p)
	}
	if s, ok := x.Input.(*plan.Scan); ok && s.Partial == nil {
		return reorderScan(x, s)
	}
	return x
}

// allRefs reports whether a projection only passes columns on under their ids.
func allRefs(x *plan.Project) bool {
	for i, e := range x.Exprs {
		r, ok := e.(*expr.ColumnRef)
		if !ok || r.ID != x.Out[i].ID {
			return false
		}
	}
	return true
}

// mergeProjects puts the inner expressions into the outer ones, unless that
// would compute something twice or drop something volatile.
func mergeProjects(x, in *plan.Project) *plan.Project {
	source := make(map[plan.ColID]expr.Expr, len(in.Out))
	simple := true
	for i, o := range in.Out {
		source[o.ID] = in.Exprs[i]
		switch in.Exprs[i].(type) {
		case *expr.ColumnRef, *expr.Const, *expr.Param:
		default:
			simple = false
		}
	}
	if !simple && !allRefs(x) {
		return nil
	}
	m := &plan.Project{Base: x.Base, Input: in.Input, Exprs: make([]plan.Scalar, len(x.Exprs))}
	used := make(map[plan.ColID]int)
	for i, e := range x.Exprs {
		expr.Columns(e, func(r *expr.ColumnRef) { used[r.ID]++ })
		m.Exprs[i] = expr.MapColumns(e, func(r *expr.ColumnRef) expr.Expr {
			if s, ok := source[r.ID]; ok {
				return s
			}
			return r
		})
	}
	for i, o := range in.Out {
		if used[o.ID] > 1 && !isRef(in.Exprs[i]) || used[o.ID] == 0 && isVolatile(in.Exprs[i]) {
			return nil
		}
	}
	return m
}

func isRef(e expr.Expr) bool {
	switch e.(type) {
	case *expr.ColumnRef, *expr.Const, *expr.Param:
		return true
	}
	return false
}

// reorderPoint makes a point read put out exactly the projection's columns, if
// the filter needs no others.
func reorderPoint(x *plan.Project, p *plan.PointGet) plan.Node {
	need := plan.OutputOf(x)
	for _, e := range p.Filter {
		need2 := make(plan.ColSet)
		need2.AddScalar(e)
		own := plan.OutputOf(p)
		for id := range need2 {
			if own.Has(id) && !need.Has(id) {
				return x
			}
		}
	}
	read := p.Read[:0:0]
	for _, o := range x.Out {
		for i, h := range p.Out {
			if h.ID == o.ID {
				read = append(read, p.Read[i])
				break
			}
		}
	}
	p.Out, p.Read = x.Out, read
	return p
}

func reorderScan(x *plan.Project, s *plan.Scan) plan.Node {
	need, own := plan.OutputOf(x), plan.OutputOf(s)
	for _, e := range s.Filter {
		cols := make(plan.ColSet)
		cols.AddScalar(e)
		for id := range cols {
			if own.Has(id) && !need.Has(id) {
				return x
			}
		}
	}
	read := s.Read[:0:0]
	for _, o := range x.Out {
		for i, h := range s.Out {
			if h.ID == o.ID {
				read = append(read, s.Read[i])
				break
			}
		}
	}
	s.Out, s.Read = x.Out, read
	return s
}

// tidyLock lets a scan of one table lock what it gives, if nothing in between
// drops rows.
func tidyLock(x *plan.LockRows) plan.Node {
	if len(x.Targets) != 1 {
		return x
	}
	if setLock(x.Input, x.Targets[0].Lock) {
		return x.Input
	}
	return x
}

func setLock(n plan.Node, l plan.Locking) bool {
	switch n := n.(type) {
	case *plan.Project:
		return setLock(n.Input, l)
	case *plan.Sort:
		// Blocking on locked rows while sorting is what PostgreSQL avoids only
		// by locking after the sort; order and rows are the same.
		return false
	case *plan.PointGet:
		n.Lock = l
		return true
	case *plan.Scan:
		n.Lock = l
		return true
	case *plan.IndexFetch:
		n.Lock = l
		return true
	}
	return false
}

// lockTarget lets the reading half of a single-table UPDATE or DELETE lock the
// rows that it is about to change.
func lockTarget(m *plan.Mutation) {
	if m.Op == plan.Insert || !m.Once {
		return
	}
	setLock(m.Input, plan.Locking{Strength: plan.LockUpdate})
}

package plan

import "github.com/pamirdb/pamir/sql/expr"

// Walk calls f for n and everything below it, parents first.
func Walk(n Node, f func(Node)) {
	if n == nil {
		return
	}
	f(n)
	for _, c := range n.Inputs() {
		Walk(c, f)
	}
}

// Rewrite replaces every node below n, children first, and n itself by what f
// makes of it. It changes the nodes in place: only their one owner may call it.
func Rewrite(n Node, f func(Node) Node) Node {
	if n == nil {
		return nil
	}
	MapInputs(n, func(c Node) Node { return Rewrite(c, f) })
	return f(n)
}

// MapInputs replaces the children of n, from left to right, by what f makes of
// them.
func MapInputs(n Node, f func(Node) Node) {
	switch n := n.(type) {
	case *IndexFetch:
		n.Input = f(n.Input)
	case *Filter:
		n.Input = f(n.Input)
	case *Project:
		n.Input = f(n.Input)
	case *ProjectSet:
		n.Input = f(n.Input)
	case *Limit:
		n.Input = f(n.Input)
	case *Sort:
		n.Input = f(n.Input)
	case *Distinct:
		n.Input = f(n.Input)
	case *Aggregate:
		n.Input = f(n.Input)
	case *GroupingSets:
		n.Input = f(n.Input)
	case *Window:
		n.Input = f(n.Input)
	case *LockRows:
		n.Input = f(n.Input)
	case *LookupJoin:
		n.Input = f(n.Input)
	case *Mutation:
		n.Input = f(n.Input)
		if n.Conflict != nil && n.Conflict.Input != nil {
			n.Conflict.Input = f(n.Conflict.Input)
		}
	case *Utility:
		if n.Input != nil {
			n.Input = f(n.Input)
		}
	default:
		mapPair(n, f)
	}
}

func mapPair(n Node, f func(Node) Node) {
	switch n := n.(type) {
	case *SetOp:
		n.Left, n.Right = f(n.Left), f(n.Right)
	case *HashJoin:
		n.Left, n.Right = f(n.Left), f(n.Right)
	case *MergeJoin:
		n.Left, n.Right = f(n.Left), f(n.Right)
	case *NestedLoop:
		n.Left, n.Right = f(n.Left), f(n.Right)
	case *Apply:
		n.Left, n.Right = f(n.Left), f(n.Right)
	case *RecursiveCTE:
		n.Initial, n.Step = f(n.Initial), f(n.Step)
	case *With:
		for i := range n.CTEs {
			n.CTEs[i].Plan = f(n.CTEs[i].Plan)
		}
		n.Body = f(n.Body)
	}
}

// MapScalars replaces every scalar that n itself holds by what f makes of it.
func MapScalars(n Node, f func(Scalar) Scalar) {
	one := func(e *Scalar) {
		if *e != nil {
			*e = f(*e)
		}
	}
	many := func(es []Scalar) {
		for i := range es {
			one(&es[i])
		}
	}
	switch n := n.(type) {
	case *Values:
		for _, r := range n.Rows {
			many(r)
		}
	case *Scan:
		mapSpans(n.Spans, one)
		many(n.Filter)
		one(&n.Limit)
		if n.Partial != nil {
			mapAggs(n.Partial.Aggs, f)
		}
	case *PointGet:
		many(n.Key)
		many(n.Filter)
	case *IndexFetch:
		many(n.Filter)
	case *VirtualScan:
		for i := range n.Eq {
			one(&n.Eq[i].Value)
		}
		many(n.Filter)
	case *Filter:
		many(n.Conds)
	case *Project:
		many(n.Exprs)
	case *ProjectSet:
		many(n.Calls)
	case *FunctionScan:
		many(n.Calls)
	case *Limit:
		one(&n.Count)
		one(&n.Offset)
	case *Sort:
		one(&n.Top)
	case *Aggregate:
		mapAggs(n.Aggs, f)
	case *GroupingSets:
		mapAggs(n.Aggs, f)
	case *Window:
		mapWindow(n, f)
	case *Mutation:
		mapMutation(n, f)
	default:
		mapJoinScalars(n, one, many)
	}
}

func mapJoinScalars(n Node, one func(*Scalar), many func([]Scalar)) {
	switch n := n.(type) {
	case *HashJoin:
		many(n.LeftKeys)
		many(n.RightKeys)
		many(n.Residual)
	case *MergeJoin:
		many(n.Residual)
	case *NestedLoop:
		many(n.On)
		one(&n.MarkCond)
	case *LookupJoin:
		many(n.Keys)
		many(n.Residual)
	case *Apply:
		many(n.On)
		one(&n.MarkCond)
		one(&n.Guard)
	}
}

func mapSpans(spans []Span, one func(*Scalar)) {
	for i := range spans {
		s := &spans[i]
		for j := range s.Eq {
			one(&s.Eq[j].Value)
		}
		if s.Low != nil {
			one(&s.Low.Value)
		}
		if s.High != nil {
			one(&s.High.Value)
		}
	}
}

// mapAggs rewrites the operands of aggregates, each taken for one scalar.
func mapAggs(aggs []AggCall, f func(Scalar) Scalar) {
	for i := range aggs {
		if c, ok := f(aggs[i].Call).(*expr.AggRef); ok {
			aggs[i].Call = c
		}
	}
}

func mapWindow(n *Window, f func(Scalar) Scalar) {
	for i := range n.Funcs {
		if c, ok := f(n.Funcs[i].Call).(*expr.WindowRef); ok {
			n.Funcs[i].Call = c
		}
	}
	if n.Frame.StartOffset != nil {
		n.Frame.StartOffset = f(n.Frame.StartOffset)
	}
	if n.Frame.EndOffset != nil {
		n.Frame.EndOffset = f(n.Frame.EndOffset)
	}
}

func mapMutation(n *Mutation, f func(Scalar) Scalar) {
	assigns := func(as []Assign) {
		for i := range as {
			as[i].Expr = f(as[i].Expr)
		}
	}
	assigns(n.Set)
	assigns(n.Generated)
	for i := range n.Checks {
		n.Checks[i].Expr = f(n.Checks[i].Expr)
	}
	for i := range n.Indexes {
		x := &n.Indexes[i]
		if x.Predicate != nil {
			x.Predicate = f(x.Predicate)
		}
		for j := range x.Exprs {
			if x.Exprs[j] != nil {
				x.Exprs[j] = f(x.Exprs[j])
			}
		}
	}
	if n.Conflict != nil {
		assigns(n.Conflict.Set)
		for i := range n.Conflict.Where {
			n.Conflict.Where[i] = f(n.Conflict.Where[i])
		}
	}
	for i := range n.Returning {
		n.Returning[i] = f(n.Returning[i])
	}
}

// ColSet is a set of columns.
type ColSet map[ColID]struct{}

// Add puts columns into the set.
func (s ColSet) Add(ids ...ColID) {
	for _, id := range ids {
		s[id] = struct{}{}
	}
}

// Has reports whether the set holds id.
func (s ColSet) Has(id ColID) bool {
	_, ok := s[id]
	return ok
}

// AddScalar adds the columns that e names.
func (s ColSet) AddScalar(e Scalar) {
	expr.Columns(e, func(c *expr.ColumnRef) { s[c.ID] = struct{}{} })
}

// Covers reports whether the set holds all columns that e names.
func (s ColSet) Covers(e Scalar) bool {
	ok := true
	expr.Columns(e, func(c *expr.ColumnRef) { ok = ok && s.Has(c.ID) })
	return ok
}

// Touches reports whether e names a column of the set.
func (s ColSet) Touches(e Scalar) bool {
	ok := false
	expr.Columns(e, func(c *expr.ColumnRef) { ok = ok || s.Has(c.ID) })
	return ok
}

// OutputOf returns the columns that n puts out.
func OutputOf(n Node) ColSet {
	s := make(ColSet)
	for _, c := range n.Columns() {
		s[c.ID] = struct{}{}
	}
	return s
}

// Defined returns all columns that some node of the tree puts out or makes for
// its own use.
func Defined(n Node) ColSet {
	s := make(ColSet)
	Walk(n, func(n Node) {
		for _, c := range n.Columns() {
			s[c.ID] = struct{}{}
		}
		switch n := n.(type) {
		case *Scan:
			for _, c := range n.In {
				s[c.ID] = struct{}{}
			}
		case *LookupJoin:
			for _, c := range n.ReadOut {
				s[c.ID] = struct{}{}
			}
		case *Mutation:
			s.Add(n.Row...)
			if n.Conflict != nil {
				s.Add(n.Conflict.Existing...)
			}
		}
	})
	return s
}

// Free returns the columns that the tree names and does not define: what it
// takes from an enclosing query.
func Free(n Node) ColSet {
	defined, free := Defined(n), make(ColSet)
	Walk(n, func(n Node) {
		MapScalars(n, func(e Scalar) Scalar {
			expr.Columns(e, func(c *expr.ColumnRef) {
				if !defined.Has(c.ID) {
					free[c.ID] = struct{}{}
				}
			})
			return e
		})
	})
	return free
}

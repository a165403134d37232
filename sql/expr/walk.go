package expr

// Walk calls f for e and its descendants in pre-order; where f returns false
// the descendants are left out. A subquery's plan is not entered.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	children(e, func(c Expr) { Walk(c, f) })
}

// children calls f for the direct operands of e that are not nil.
func children(e Expr, f func(Expr)) {
	// mapChildren visits every operand; returning them as they are builds
	// nothing new, so it doubles as the visitor.
	mapChildren(e, func(c Expr) Expr {
		f(c)
		return c
	})
}

// Rewrite applies f bottom-up: operands first, then the node itself. Subtrees
// that f leaves as they are stay shared with the old tree.
func Rewrite(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	return f(mapChildren(e, func(c Expr) Expr { return Rewrite(c, f) }))
}

// RewriteTop applies f top-down: if f returns a replacement and true, that
// subtree is final; otherwise the operands are rewritten.
func RewriteTop(e Expr, f func(Expr) (Expr, bool)) Expr {
	if e == nil {
		return nil
	}
	if r, ok := f(e); ok {
		return r
	}
	return mapChildren(e, func(c Expr) Expr { return RewriteTop(c, f) })
}

// RewriteAll rewrites every expression of es and reports whether any changed;
// if none did, es itself comes back.
func RewriteAll(es []Expr, f func(Expr) Expr) ([]Expr, bool) {
	return mapSlice(es, func(e Expr) Expr { return Rewrite(e, f) })
}

// MapColumns replaces every reference to a column of the current query level.
func MapColumns(e Expr, f func(*ColumnRef) Expr) Expr {
	return Rewrite(e, func(n Expr) Expr {
		if c, ok := n.(*ColumnRef); ok && c.Outer == 0 {
			return f(c)
		}
		return n
	})
}

func mapSlice(es []Expr, f func(Expr) Expr) ([]Expr, bool) {
	var out []Expr
	for i, e := range es {
		if e == nil {
			continue
		}
		r := f(e)
		if r != e && out == nil {
			out = append([]Expr(nil), es...)
		}
		if out != nil {
			out[i] = r
		}
	}
	if out == nil {
		return es, false
	}
	return out, true
}

func mapOne(e Expr, f func(Expr) Expr, changed *bool) Expr {
	if e == nil {
		return nil
	}
	r := f(e)
	if r != e {
		*changed = true
	}
	return r
}

func mapMany(es []Expr, f func(Expr) Expr, changed *bool) []Expr {
	out, c := mapSlice(es, f)
	*changed = *changed || c
	return out
}

func mapKeys(ks []SortKey, f func(Expr) Expr, changed *bool) []SortKey {
	if len(ks) == 0 {
		return ks
	}
	out := append([]SortKey(nil), ks...)
	for i := range out {
		out[i].Arg = mapOne(out[i].Arg, f, changed)
	}
	return out
}

// mapChildren returns e with its direct operands replaced by f's results, or e
// itself if none changed.
func mapChildren(e Expr, f func(Expr) Expr) Expr {
	ch := false
	switch n := e.(type) {
	case *FuncExpr:
		if args := mapMany(n.Args, f, &ch); ch {
			c := *n
			c.Args = args
			return &c
		}
	case *OpExpr:
		if args := mapMany(n.Args, f, &ch); ch {
			c := *n
			c.Args = args
			return &c
		}
	case *BoolExpr:
		if args := mapMany(n.Args, f, &ch); ch {
			c := *n
			c.Args = args
			return &c
		}
	case *Coalesce:
		if args := mapMany(n.Args, f, &ch); ch {
			c := *n
			c.Args = args
			return &c
		}
	case *MinMax:
		if args := mapMany(n.Args, f, &ch); ch {
			c := *n
			c.Args = args
			return &c
		}
	case *ArrayExpr:
		if args := mapMany(n.Elems, f, &ch); ch {
			c := *n
			c.Elems = args
			return &c
		}
	case *RowExpr:
		if args := mapMany(n.Fields, f, &ch); ch {
			c := *n
			c.Fields = args
			return &c
		}
	default:
		return mapOther(e, f)
	}
	return e
}

func mapOther(e Expr, f func(Expr) Expr) Expr {
	ch := false
	switch n := e.(type) {
	case *ScalarArrayOp:
		c := *n
		c.Left, c.Right = mapOne(n.Left, f, &ch), mapOne(n.Right, f, &ch)
		return pick(ch, e, &c)
	case *CaseExpr:
		return mapCase(n, f)
	case *NullIf:
		c := *n
		c.Left, c.Right = mapOne(n.Left, f, &ch), mapOne(n.Right, f, &ch)
		return pick(ch, e, &c)
	case *DistinctExpr:
		c := *n
		c.Left, c.Right = mapOne(n.Left, f, &ch), mapOne(n.Right, f, &ch)
		return pick(ch, e, &c)
	case *RowCompare:
		c := *n
		c.Left, c.Right = mapMany(n.Left, f, &ch), mapMany(n.Right, f, &ch)
		return pick(ch, e, &c)
	case *Subscript:
		c := *n
		c.Arg, c.Assign = mapOne(n.Arg, f, &ch), mapOne(n.Assign, f, &ch)
		c.Upper, c.Lower = mapMany(n.Upper, f, &ch), mapMany(n.Lower, f, &ch)
		return pick(ch, e, &c)
	case *AggRef:
		c := *n
		c.Args, c.Direct = mapMany(n.Args, f, &ch), mapMany(n.Direct, f, &ch)
		c.OrderBy, c.Filter = mapKeys(n.OrderBy, f, &ch), mapOne(n.Filter, f, &ch)
		return pick(ch, e, &c)
	case *WindowRef:
		return mapWindow(n, f)
	case *SubqueryRef:
		c := *n
		c.Left, c.Test = mapMany(n.Left, f, &ch), mapOne(n.Test, f, &ch)
		return pick(ch, e, &c)
	}
	return mapUnary(e, f)
}

func mapUnary(e Expr, f func(Expr) Expr) Expr {
	ch := false
	switch n := e.(type) {
	case *NullTest:
		c := *n
		c.Arg = mapOne(n.Arg, f, &ch)
		return pick(ch, e, &c)
	case *BooleanTest:
		c := *n
		c.Arg = mapOne(n.Arg, f, &ch)
		return pick(ch, e, &c)
	case *Relabel:
		c := *n
		c.Arg = mapOne(n.Arg, f, &ch)
		return pick(ch, e, &c)
	case *CoerceViaIO:
		c := *n
		c.Arg = mapOne(n.Arg, f, &ch)
		return pick(ch, e, &c)
	case *ArrayCoerce:
		c := *n
		c.Arg, c.Elem = mapOne(n.Arg, f, &ch), mapOne(n.Elem, f, &ch)
		return pick(ch, e, &c)
	case *FieldSelect:
		c := *n
		c.Arg = mapOne(n.Arg, f, &ch)
		return pick(ch, e, &c)
	}
	return e
}

func mapCase(n *CaseExpr, f func(Expr) Expr) Expr {
	ch := false
	c := *n
	c.Arg = mapOne(n.Arg, f, &ch)
	c.Whens = append([]When(nil), n.Whens...)
	for i := range c.Whens {
		c.Whens[i].Cond = mapOne(c.Whens[i].Cond, f, &ch)
		c.Whens[i].Result = mapOne(c.Whens[i].Result, f, &ch)
	}
	c.Else = mapOne(n.Else, f, &ch)
	return pick(ch, n, &c)
}

func mapWindow(n *WindowRef, f func(Expr) Expr) Expr {
	ch := false
	c := *n
	c.Args, c.Filter = mapMany(n.Args, f, &ch), mapOne(n.Filter, f, &ch)
	c.PartitionBy, c.OrderBy = mapMany(n.PartitionBy, f, &ch), mapKeys(n.OrderBy, f, &ch)
	c.Frame.StartOffset = mapOne(n.Frame.StartOffset, f, &ch)
	c.Frame.EndOffset = mapOne(n.Frame.EndOffset, f, &ch)
	return pick(ch, n, &c)
}

func pick(changed bool, old, new Expr) Expr {
	if changed {
		return new
	}
	return old
}

// Columns calls f for every column of the current query level that e uses.
func Columns(e Expr, f func(*ColumnRef)) {
	Walk(e, func(n Expr) bool {
		if c, ok := n.(*ColumnRef); ok && c.Outer == 0 {
			f(c)
		}
		return true
	})
}

// HasSubquery reports whether e contains a SubqueryRef.
func HasSubquery(e Expr) bool { return contains(e, kindSubquery) }

// HasAggregate reports whether e contains an AggRef.
func HasAggregate(e Expr) bool { return contains(e, kindAgg) }

// HasWindow reports whether e contains a WindowRef.
func HasWindow(e Expr) bool { return contains(e, kindWindow) }

// HasParam reports whether e contains a parameter of any kind.
func HasParam(e Expr) bool { return contains(e, kindParam) }

func contains(e Expr, k nodeKind) bool {
	found := false
	Walk(e, func(n Expr) bool {
		found = found || n.kind() == k
		return !found
	})
	return found
}

// Conjuncts appends the operands of a conjunction to dst, flattening nested
// ones; any other expression is its own single conjunct.
func Conjuncts(dst []Expr, e Expr) []Expr {
	if b, ok := e.(*BoolExpr); ok && b.Op == And {
		for _, a := range b.Args {
			dst = Conjuncts(dst, a)
		}
		return dst
	}
	if e == nil {
		return dst
	}
	return append(dst, e)
}

// MakeAnd joins conditions; nil for none.
func MakeAnd(es []Expr) Expr {
	switch len(es) {
	case 0:
		return nil
	case 1:
		return es[0]
	}
	return &BoolExpr{Op: And, Args: es}
}

// LocationOf returns where e begins in the statement, as far as positions are
// known: an operator begins with its left operand.
func LocationOf(e Expr) int {
	loc := 0
	Walk(e, func(n Expr) bool {
		l := nodeLocation(n)
		if l != 0 && (loc == 0 || l < loc) {
			loc = l
		}
		switch n.(type) {
		case *OpExpr, *FuncExpr, *ScalarArrayOp, *BoolExpr, *DistinctExpr, *NullIf, *Relabel, *CoerceViaIO, *ArrayCoerce,
			*NullTest, *BooleanTest:
			return true
		}
		return l == 0
	})
	return loc
}

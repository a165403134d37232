package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// Bits of WindowDef.FrameOptions, as PostgreSQL numbers them.
const (
	frameRange             = 0x2
	frameRows              = 0x4
	frameGroups            = 0x8
	frameStartUnbounded    = 0x20
	frameEndUnbounded      = 0x100
	frameStartCurrent      = 0x200
	frameEndCurrent        = 0x400
	frameStartPreceding    = 0x800
	frameEndPreceding      = 0x1000
	frameStartFollowing    = 0x2000
	frameEndFollowing      = 0x4000
	frameExcludeCurrentRow = 0x8000
	frameExcludeGroup      = 0x10000
	frameExcludeTies       = 0x20000
)

func (s *selecting) bindWindows(ns []ast.Node) error {
	for _, n := range ns {
		w, ok := n.(*ast.WindowDef)
		if !ok {
			return unsupported(n, -1)
		}
		if s.windows == nil {
			s.windows = make(map[string]*ast.WindowDef)
		}
		if _, dup := s.windows[w.Name]; dup {
			return types.Errorf(types.CodeWindowingError, "window \"%s\" is already defined", w.Name).At(position(w.Location))
		}
		s.windows[w.Name] = w
	}
	return nil
}

func (q *query) checkWindow(loc int) error {
	if q.inAgg > 0 {
		return types.Errorf(types.CodeGroupingError, "aggregate function calls cannot contain window function calls").At(position(loc))
	}
	if q.inWindow > 0 {
		return types.Errorf(types.CodeWindowingError, "window function calls cannot be nested").At(position(loc))
	}
	switch q.clause {
	case clauseSelect, clauseOrderBy, clauseDistinctOn:
		return nil
	}
	return types.Errorf(types.CodeWindowingError, "window functions are not allowed in %s", clauseNames[q.clause]).At(position(loc))
}

func (q *query) windowCall(n *ast.FuncCall, m *pgfacts.FuncMatch, args []expr.Expr) (expr.Expr, error) {
	if n.Over == nil {
		return nil, types.Errorf(types.CodeWrongObjectType, "window function %s requires an OVER clause", m.Proc.Name).At(position(n.Location))
	}
	if err := q.checkWindow(n.Location); err != nil {
		return nil, err
	}
	switch {
	case n.AggDistinct:
		return nil, types.Errorf(types.CodeFeatureNotSupported, "DISTINCT is not implemented for window functions").At(position(n.Location))
	case len(n.AggOrder) > 0:
		return nil, types.Errorf(types.CodeFeatureNotSupported, "aggregate ORDER BY is not implemented for window functions").At(position(n.Location))
	case n.AggFilter != nil && m.Proc.Kind == 'w':
		return nil, types.Errorf(types.CodeFeatureNotSupported, "FILTER is not implemented for non-aggregate window functions").At(position(n.Location))
	}
	w := &expr.WindowRef{Func: m.Proc.OID, Name: m.Proc.Name, Args: args, Star: n.AggStar, Typ: types.Of(m.Ret),
		Collation: inputCollation(args...), Location: position(n.Location)}
	var err error
	if w.Filter, err = q.aggFilter(n); err != nil {
		return nil, err
	}
	if err := q.windowSpec(w, n.Over, 0); err != nil {
		return nil, err
	}
	q.hasWindow = true
	return w, nil
}

// windowSpec fills in the window that a definition or a name stands for.
func (q *query) windowSpec(w *expr.WindowRef, d *ast.WindowDef, depth int) error {
	ref := d.Refname
	if d.Name != "" && depth == 0 {
		ref = d.Name
	}
	if ref != "" {
		base, ok := q.windows[ref]
		if !ok || depth > len(q.windows) {
			return types.Errorf(types.CodeUndefinedObject, "window \"%s\" does not exist", ref).At(position(d.Location))
		}
		if err := q.windowSpec(w, base, depth+1); err != nil {
			return err
		}
		if d.Name != "" && depth == 0 {
			return nil
		}
		if len(d.PartitionClause) > 0 {
			return types.Errorf(types.CodeWindowingError, "cannot override PARTITION BY clause of window \"%s\"", ref).At(position(d.Location))
		}
		if len(d.OrderClause) > 0 && len(w.OrderBy) > 0 {
			return types.Errorf(types.CodeWindowingError, "cannot override ORDER BY clause of window \"%s\"", ref).At(position(d.Location))
		}
	}
	q.inWindow++
	defer func() { q.inWindow-- }()
	saved := q.clause
	defer func() { q.clause = saved }()
	q.clause = clausePartition
	for _, n := range d.PartitionClause {
		e, err := q.expr(n)
		if err != nil {
			return err
		}
		if e, err = q.b.resolveUnknown(e); err != nil {
			return err
		}
		w.PartitionBy = append(w.PartitionBy, e)
	}
	q.clause = clauseWindowOrder
	if len(d.OrderClause) > 0 {
		keys, err := q.aggOrder(d.OrderClause)
		if err != nil {
			return err
		}
		w.OrderBy = keys
	}
	q.clause = clauseFrame
	return q.frame(w, d)
}

func (q *query) frame(w *expr.WindowRef, d *ast.WindowDef) error {
	o := d.FrameOptions
	f := &w.Frame
	switch {
	case o&frameRows != 0:
		f.Mode = expr.FrameRows
	case o&frameGroups != 0:
		f.Mode = expr.FrameGroups
		if len(w.OrderBy) == 0 {
			return types.Errorf(types.CodeWindowingError, "GROUPS mode requires an ORDER BY clause").At(position(d.Location))
		}
	}
	f.Start, f.End = expr.UnboundedPreceding, expr.CurrentRow
	switch {
	case o&frameStartCurrent != 0:
		f.Start = expr.CurrentRow
	case o&frameStartPreceding != 0:
		f.Start = expr.OffsetPreceding
	case o&frameStartFollowing != 0:
		f.Start = expr.OffsetFollowing
	case o&frameStartUnbounded != 0:
		f.Start = expr.UnboundedPreceding
	}
	switch {
	case o&frameEndUnbounded != 0:
		f.End = expr.UnboundedFollowing
	case o&frameEndPreceding != 0:
		f.End = expr.OffsetPreceding
	case o&frameEndFollowing != 0:
		f.End = expr.OffsetFollowing
	case o&frameEndCurrent != 0:
		f.End = expr.CurrentRow
	}
	switch {
	case o&frameExcludeCurrentRow != 0:
		f.Exclude = expr.ExcludeCurrentRow
	case o&frameExcludeGroup != 0:
		f.Exclude = expr.ExcludeGroup
	case o&frameExcludeTies != 0:
		f.Exclude = expr.ExcludeTies
	}
	if o&frameRange != 0 && o&(frameStartPreceding|frameStartFollowing|frameEndPreceding|frameEndFollowing) != 0 && len(w.OrderBy) != 1 {
		return types.Errorf(types.CodeWindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column").At(position(d.Location))
	}
	var err error
	if f.StartOffset, err = q.frameOffset(d.StartOffset, w); err != nil {
		return err
	}
	f.EndOffset, err = q.frameOffset(d.EndOffset, w)
	return err
}

func (q *query) frameOffset(n ast.Node, w *expr.WindowRef) (expr.Expr, error) {
	if n == nil {
		return nil, nil
	}
	if w.Frame.Mode == expr.FrameRange {
		return q.rangeOffset(n, w)
	}
	e, err := q.expr(n)
	if err != nil {
		return nil, err
	}
	name := "ROWS"
	if w.Frame.Mode == expr.FrameGroups {
		name = "GROUPS"
	}
	return q.b.coerce(e, types.Int8Type, pgfacts.Implicit, "argument of "+name, expr.LocationOf(e)-1)
}

// sameWindow reports whether two calls can share one window.
func sameWindow(a, b *expr.WindowRef) bool {
	x := expr.WindowRef{PartitionBy: a.PartitionBy, OrderBy: a.OrderBy, Frame: a.Frame, Typ: types.BoolType}
	y := expr.WindowRef{PartitionBy: b.PartitionBy, OrderBy: b.OrderBy, Frame: b.Frame, Typ: types.BoolType}
	return equal(&x, &y)
}

// windowStep computes window functions, one window after the other, and puts
// columns in their places.
func (s *selecting) windowStep() error {
	p := planter{b: s.b, node: s.node}
	var calls []*expr.WindowRef
	for i := range s.targets {
		if !expr.HasWindow(s.targets[i].e) {
			continue
		}
		s.targets[i].e = p.plant(s.targets[i].e)
		expr.Walk(s.targets[i].e, func(n expr.Expr) bool {
			w, ok := n.(*expr.WindowRef)
			if ok {
				calls = append(calls, w)
			}
			return !ok
		})
	}
	s.node = p.node
	for len(calls) > 0 {
		var same, rest []*expr.WindowRef
		for _, c := range calls {
			if sameWindow(calls[0], c) {
				same = append(same, c)
			} else {
				rest = append(rest, c)
			}
		}
		s.oneWindow(same)
		calls = rest
	}
	return nil
}

func (s *selecting) oneWindow(calls []*expr.WindowRef) {
	first := calls[0]
	pr := &plan.Project{Base: plan.Base{Out: append([]plan.Column(nil), s.node.Columns()...)}, Input: s.node}
	for _, c := range s.node.Columns() {
		pr.Exprs = append(pr.Exprs, s.b.ref(c.ID, c.Type))
	}
	have := plan.OutputOf(s.node)
	column := func(e expr.Expr) plan.ColID {
		if c, ok := e.(*expr.ColumnRef); ok && have.Has(c.ID) {
			return c.ID
		}
		id := s.b.newCol(figureExpr(e), e.Type())
		pr.Out = append(pr.Out, plan.Column{ID: id, Name: figureExpr(e), Type: e.Type()})
		pr.Exprs = append(pr.Exprs, e)
		return id
	}
	w := &plan.Window{Frame: first.Frame}
	var keys []plan.SortKey
	for _, e := range first.PartitionBy {
		id := column(e)
		w.PartitionBy = append(w.PartitionBy, id)
		keys = append(keys, plan.SortKey{Col: id, Collation: collationOf(e.Type())})
	}
	for _, k := range first.OrderBy {
		key := plan.SortKey{Col: column(k.Arg), Desc: k.Desc, NullsFirst: k.NullsFirst, Collation: k.Collation}
		w.OrderBy = append(w.OrderBy, key)
		keys = append(keys, key)
	}
	node := s.node
	if len(pr.Exprs) > len(node.Columns()) {
		node = pr
	}
	if len(keys) > 0 {
		node = &plan.Sort{Base: plan.Base{Out: node.Columns()}, Input: node, Keys: keys}
	}
	w.Input = node
	w.Out = append([]plan.Column(nil), node.Columns()...)
	cols := make(map[*expr.WindowRef]plan.ColID, len(calls))
	for _, c := range calls {
		call := *c
		call.PartitionBy, call.OrderBy, call.Frame = nil, nil, expr.Frame{}
		out := plan.Column{ID: s.b.newCol(c.Name, c.Typ), Name: c.Name, Type: c.Typ}
		cols[c] = out.ID
		w.Funcs = append(w.Funcs, plan.WindowFunc{Call: &call, Out: out})
		w.Out = append(w.Out, out)
	}
	for i := range s.targets {
		s.targets[i].e = expr.RewriteTop(s.targets[i].e, func(e expr.Expr) (expr.Expr, bool) {
			if c, ok := e.(*expr.WindowRef); ok {
				if id, ok := cols[c]; ok {
					return s.b.ref(id, c.Typ), true
				}
			}
			return nil, false
		})
	}
	s.node = w
}

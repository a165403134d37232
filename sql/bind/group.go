package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// maxSets bounds what CUBE and its products may expand to, as in PostgreSQL.
const maxSets = 4096

// groupBy binds GROUP BY into the list of grouping expressions and, if there is
// more than a plain list, the grouping sets over it.
func (s *selecting) groupBy(ns []ast.Node) error {
	saved := s.clause
	s.clause = clauseGroupBy
	defer func() { s.clause = saved }()
	product := [][]int{{}}
	plain := true
	for _, n := range ns {
		sets, simple, err := s.groupElement(n)
		if err != nil {
			return err
		}
		plain = plain && simple
		var next [][]int
		for _, p := range product {
			for _, x := range sets {
				next = append(next, union(p, x))
			}
		}
		if product = next; len(product) > maxSets {
			return types.Errorf(types.CodeStatementTooComplex, "too many grouping sets present (maximum %d)", maxSets)
		}
	}
	if !plain {
		s.sets = product
	}
	return nil
}

func union(a, b []int) []int {
	out := append([]int(nil), a...)
	for _, x := range b {
		dup := false
		for _, y := range out {
			dup = dup || x == y
		}
		if !dup {
			out = append(out, x)
		}
	}
	return out
}

// groupElement returns the sets that one element of GROUP BY stands for.
func (s *selecting) groupElement(n ast.Node) (sets [][]int, simple bool, err error) {
	gs, ok := n.(*ast.GroupingSet)
	if !ok {
		set, err := s.groupExprs(n)
		return [][]int{set}, true, err
	}
	if gs.Kind == ast.GROUPING_SET_EMPTY {
		return [][]int{{}}, false, nil
	}
	if gs.Kind == ast.GROUPING_SET_SETS {
		for _, c := range gs.Content {
			in, _, err := s.groupElement(c)
			if err != nil {
				return nil, false, err
			}
			sets = append(sets, in...)
		}
		return sets, false, nil
	}
	var parts [][]int
	for _, c := range gs.Content {
		p, err := s.groupExprs(c)
		if err != nil {
			return nil, false, err
		}
		parts = append(parts, p)
	}
	if gs.Kind == ast.GROUPING_SET_ROLLUP {
		for k := len(parts); k >= 0; k-- {
			var set []int
			for _, p := range parts[:k] {
				set = union(set, p)
			}
			sets = append(sets, set)
		}
		return sets, false, nil
	}
	if len(parts) > 12 {
		return nil, false, types.Errorf(types.CodeTooManyColumns, "CUBE is limited to 12 elements").At(position(gs.Location))
	}
	for bits := 1<<len(parts) - 1; bits >= 0; bits-- {
		var set []int
		for i, p := range parts {
			if bits&(1<<(len(parts)-1-i)) != 0 {
				set = union(set, p)
			}
		}
		sets = append(sets, set)
	}
	return sets, false, nil
}

// groupExprs binds one grouping expression, or each of a parenthesized list.
func (s *selecting) groupExprs(n ast.Node) ([]int, error) {
	if r, ok := n.(*ast.RowExpr); ok && r.RowFormat == ast.COERCE_IMPLICIT_CAST {
		var set []int
		for _, a := range r.Args {
			x, err := s.groupExprs(a)
			if err != nil {
				return nil, err
			}
			set = union(set, x)
		}
		return set, nil
	}
	var e expr.Expr
	i, ok, err := s.entry(n, "GROUP BY")
	if err != nil {
		return nil, err
	}
	if ok {
		if s.targets[i].e, err = s.b.resolveUnknown(s.targets[i].e); err != nil {
			return nil, err
		}
		e = s.targets[i].e
		if expr.HasAggregate(e) {
			return nil, types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed in GROUP BY").At(expr.LocationOf(e))
		}
	} else {
		if e, err = s.expr(n); err != nil {
			return nil, err
		}
		if e, err = s.b.resolveUnknown(e); err != nil {
			return nil, err
		}
	}
	if expr.HasWindow(e) {
		return nil, types.Errorf(types.CodeWindowingError, "window functions are not allowed in GROUP BY").At(expr.LocationOf(e))
	}
	if err := groupable(e); err != nil {
		return nil, err
	}
	for k, g := range s.groups {
		if equal(g, e) {
			return []int{k}, nil
		}
	}
	s.groups = append(s.groups, e)
	return []int{len(s.groups) - 1}, nil
}

// grouper moves aggregation into a node and what is above it onto its output.
type grouper struct {
	*selecting
	in      plan.ColSet // what the aggregation's input puts out
	keys    []plan.ColID
	out     []plan.ColID // of the keys, above
	aggs    []plan.AggCall
	set     plan.ColID
	grouped plan.ColSet
}

// aggregateStep puts an aggregation above s.node and rewrites the select list
// and HAVING onto it.
func (s *selecting) aggregateStep() error {
	g := &grouper{selecting: s, grouped: make(plan.ColSet), aggs: append([]plan.AggCall(nil), s.outerAggs...)}
	for _, t := range s.targets {
		if err := g.collect(t.e); err != nil {
			return err
		}
	}
	if err := g.collect(s.having); err != nil {
		return err
	}
	if s.recurses && len(g.aggs) > 0 {
		return types.Errorf(types.CodeInvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term").At(g.aggs[0].Call.Location)
	}
	if err := g.input(); err != nil {
		return err
	}
	g.dependent()
	node := g.makeNode()
	if err := g.checkDirect(); err != nil {
		return err
	}
	for i := range s.targets {
		e, err := g.above(s.targets[i].e)
		if err != nil {
			return err
		}
		s.targets[i].e = e
	}
	having, err := g.above(s.having)
	if err != nil {
		return err
	}
	s.node = node
	if having != nil {
		s.node = s.b.filter(s.node, expr.Conjuncts(nil, having))
	}
	return nil
}

// collect finds the aggregates of an expression.
func (g *grouper) collect(e expr.Expr) error {
	var bad error
	expr.Walk(e, func(n expr.Expr) bool {
		a, ok := n.(*expr.AggRef)
		if !ok {
			return bad == nil
		}
		for _, c := range g.aggs {
			if equal(c.Call, a) {
				return false
			}
		}
		id := g.b.newCol(a.Name, a.Typ)
		g.aggs = append(g.aggs, plan.AggCall{Call: a, Out: plan.Column{ID: id, Name: a.Name, Type: a.Typ}})
		return false
	})
	return bad
}

// input prepares the aggregation's input: subqueries in grouping expressions
// and aggregate arguments, and columns for expressions that are grouped by.
func (g *grouper) input() error {
	p := planter{b: g.b, node: g.node}
	exprs := p.plantAll(g.groups)
	for i := range g.aggs {
		g.aggs[i].Call = plantAgg(&p, g.aggs[i].Call)
	}
	g.node = p.node
	g.in = plan.OutputOf(g.node)
	var proj *plan.Project
	for _, e := range exprs {
		if c, ok := e.(*expr.ColumnRef); ok && g.in.Has(c.ID) {
			g.keys = append(g.keys, c.ID)
			continue
		}
		if proj == nil {
			proj = &plan.Project{Base: plan.Base{Out: append([]plan.Column(nil), g.node.Columns()...)}, Input: g.node}
			for _, c := range g.node.Columns() {
				proj.Exprs = append(proj.Exprs, g.b.ref(c.ID, c.Type))
			}
		}
		id := g.b.newCol(figureExpr(e), e.Type())
		proj.Out = append(proj.Out, plan.Column{ID: id, Name: figureExpr(e), Type: e.Type()})
		proj.Exprs = append(proj.Exprs, e)
		g.keys = append(g.keys, id)
	}
	if proj != nil {
		g.node = proj
	}
	return nil
}

// checkDirect refuses direct arguments that differ within a group.
func (g *grouper) checkDirect() error {
	groups := make(plan.ColSet)
	groups.Add(g.keys...)
	var bad error
	for _, a := range g.aggs {
		for _, d := range a.Call.Direct {
			expr.Columns(d, func(c *expr.ColumnRef) {
				if g.in.Has(c.ID) && !groups.Has(c.ID) && bad == nil {
					bad = types.Errorf(types.CodeGroupingError, "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
						g.columnName(c.ID)).WithDetail("Direct arguments of an ordered-set aggregate must use only grouped columns.").At(c.Location)
				}
			})
		}
	}
	return bad
}

func figureExpr(e expr.Expr) string {
	switch n := e.(type) {
	case *expr.ColumnRef:
		return n.Name
	case *expr.FuncExpr:
		return n.Name
	}
	return "?column?"
}

func plantAgg(p *planter, a *expr.AggRef) *expr.AggRef {
	if r, ok := p.plant(a).(*expr.AggRef); ok {
		return r
	}
	return a
}

// dependent adds the columns of tables whose whole primary key is grouped by:
// they have one value in each group.
func (g *grouper) dependent() {
	if g.sets != nil || len(g.keys) == 0 {
		return
	}
	have := make(plan.ColSet)
	have.Add(g.keys...)
	used := make(plan.ColSet)
	for _, t := range g.targets {
		addUsed(used, t.e)
	}
	addUsed(used, g.having)
	for _, it := range g.items {
		if it.table == nil || it.scan == nil || !keyCovered(it, have) {
			continue
		}
		for i := range it.cols {
			if id := it.cols[i].id; used.Has(id) && !have.Has(id) && g.in.Has(id) {
				have.Add(id)
				g.keys = append(g.keys, id)
				g.groups = append(g.groups, g.b.ref(id, it.cols[i].typ))
			}
		}
	}
}

func keyCovered(it *item, have plan.ColSet) bool {
	x := it.table.PrimaryIndex()
	if x == nil || it.table.HasRowID() {
		return false
	}
	for _, c := range x.Columns {
		if id, ok := it.scanCol(c.Column); !ok || !have.Has(id) {
			return false
		}
	}
	return true
}

// scanCol returns the id of a table column in the entry's scan.
func (it *item) scanCol(c catalog.ColumnID) (plan.ColID, bool) {
	for i, r := range it.scan.Read {
		if r == c {
			return it.scan.Out[i].ID, true
		}
	}
	return 0, false
}

// addUsed adds the columns that an expression and its subqueries name.
func addUsed(s plan.ColSet, e expr.Expr) {
	expr.Walk(e, func(n expr.Expr) bool {
		switch n := n.(type) {
		case *expr.ColumnRef:
			s.Add(n.ID)
		case *expr.SubqueryRef:
			for id := range plan.Free(n.Plan.(*relation).node) {
				s.Add(id)
			}
		}
		return true
	})
}

func (g *grouper) makeNode() plan.Node {
	types4 := func(ids []plan.ColID) []plan.Column {
		out := make([]plan.Column, len(ids))
		for i, id := range ids {
			out[i] = plan.Column{ID: id, Name: g.b.meta[id].name, Type: g.b.meta[id].typ}
		}
		return out
	}
	aggOut := make([]plan.Column, len(g.aggs))
	for i, a := range g.aggs {
		aggOut[i] = a.Out
	}
	if g.sets == nil {
		g.out = g.keys
		g.grouped.Add(g.keys...)
		return &plan.Aggregate{Base: plan.Base{Out: append(types4(g.keys), aggOut...)}, Input: g.node, GroupBy: g.keys, Aggs: g.aggs}
	}
	for _, k := range g.keys {
		m := g.b.meta[k]
		id := g.b.newCol(m.name, m.typ)
		g.b.meta[id].table, g.b.meta[id].attr, g.b.meta[id].item = m.table, m.attr, m.item
		g.out = append(g.out, id)
	}
	g.grouped.Add(g.out...)
	n := &plan.GroupingSets{Base: plan.Base{Out: append(types4(g.out), aggOut...)}, Input: g.node, GroupBy: g.keys, GroupOut: g.out, Sets: g.sets, Aggs: g.aggs}
	if len(g.grouping) > 0 {
		g.set = g.b.newCol("grouping", types.Int4Type)
		n.SetCol = g.set
		n.Out = append(n.Out, plan.Column{ID: g.set, Name: "grouping", Type: types.Int4Type})
	}
	return n
}

// above rewrites an expression onto the aggregation's output.
func (g *grouper) above(e expr.Expr) (expr.Expr, error) {
	if e == nil {
		return nil, nil
	}
	var bad error
	r := expr.RewriteTop(e, func(n expr.Expr) (expr.Expr, bool) {
		if a, ok := n.(*expr.AggRef); ok {
			return g.aggColumn(a), true
		}
		for i, k := range g.groups {
			if equal(k, n) {
				return g.b.ref(g.out[i], n.Type()), true
			}
		}
		switch n := n.(type) {
		case *expr.Param:
			if n.Kind == expr.ParamExec {
				r, err := g.groupingValue(g.grouping[n.Num])
				if err != nil {
					bad = err
					return n, true
				}
				return r, true
			}
		case *expr.ColumnRef:
			if g.in.Has(n.ID) && !g.grouped.Has(n.ID) && bad == nil {
				bad = types.Errorf(types.CodeGroupingError, "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
					g.columnName(n.ID)).At(n.Location)
			}
		case *expr.SubqueryRef:
			if err := g.intoSubquery(n); err != nil && bad == nil {
				bad = err
			}
		}
		return nil, false
	})
	return r, bad
}

func (g *grouper) aggColumn(a *expr.AggRef) expr.Expr {
	for _, c := range g.aggs {
		if equal(c.Call, a) || c.Call.Location == a.Location && c.Call.Func == a.Func {
			return g.b.ref(c.Out.ID, c.Out.Type)
		}
	}
	return a
}

// intoSubquery checks and rewrites what a subquery takes from the grouped query.
func (g *grouper) intoSubquery(n *expr.SubqueryRef) error {
	node := n.Plan.(*relation).node
	moved := make(map[plan.ColID]plan.ColID)
	for i, k := range g.keys {
		if g.out[i] != k {
			moved[k] = g.out[i]
		}
	}
	for id := range plan.Free(node) {
		if _, ok := moved[id]; g.in.Has(id) && !g.grouped.Has(id) && !ok {
			return types.Errorf(types.CodeGroupingError, "subquery uses ungrouped column \"%s\" from outer query", g.columnName(id)).At(locationOfColumn(node, id, n.Location))
		}
	}
	if len(moved) == 0 {
		return nil
	}
	plan.Walk(node, func(p plan.Node) {
		plan.MapScalars(p, func(e plan.Scalar) plan.Scalar {
			return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
				if to, ok := moved[c.ID]; ok {
					return g.b.ref(to, c.Typ)
				}
				return c
			})
		})
	})
	return nil
}

// groupingValue computes GROUPING(...) from the set column.
func (g *grouper) groupingValue(r *groupingRef) (expr.Expr, error) {
	var out expr.Expr = intConst(0)
	for _, a := range r.args {
		at := -1
		for i, k := range g.groups {
			if equal(k, a) {
				at = i
			}
		}
		if at < 0 {
			return nil, types.Errorf(types.CodeGroupingError, "arguments to GROUPING must be grouping expressions of the associated query level").At(expr.LocationOf(a))
		}
		if g.set == 0 {
			continue
		}
		bit, err := g.b.op(">>", g.b.ref(g.set, types.Int4Type), intConst(int32(len(g.keys)-1-at)), -1)
		if err != nil {
			return nil, err
		}
		if bit, err = g.b.op("&", bit, intConst(1), -1); err != nil {
			return nil, err
		}
		if out, err = g.b.op("<<", out, intConst(1), -1); err != nil {
			return nil, err
		}
		if out, err = g.b.op("|", out, bit, -1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// columnName returns a column as messages name it, with its table.
func (q *query) columnName(id plan.ColID) string {
	for _, it := range q.items {
		for i := range it.cols {
			if it.cols[i].id == id && it.alias != "" {
				return it.alias + "." + it.cols[i].name
			}
		}
	}
	return q.b.meta[id].name
}

// locationOfColumn finds where a plan's scalars name a column.
func locationOfColumn(n plan.Node, id plan.ColID, otherwise int) int {
	found := 0
	plan.Walk(n, func(n plan.Node) {
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			expr.Columns(e, func(c *expr.ColumnRef) {
				if c.ID == id && found == 0 {
					found = c.Location
				}
			})
			return e
		})
	})
	if found == 0 {
		return otherwise
	}
	return found
}

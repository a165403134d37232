package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// cte is a WITH entry in scope.
type cte struct {
	id    int
	name  string
	cols  []outCol
	node  plan.Node
	write bool
	// working is set while the recursive term is bound: references read the
	// last round's rows.
	working bool
	refs    int
	pending bool // being bound, not recursive: not to be seen
	keep    bool // MATERIALIZED
	// paths are the columns that SEARCH and CYCLE add; the recursive term's * does
	// not show them.
	paths *pathColumns
}

func (q *query) findCTE(name string) *cte {
	for level := q; level != nil; level = level.parent {
		for i := len(level.ctes) - 1; i >= 0; i-- {
			if c := level.ctes[i]; c.name == name && !c.pending {
				return c
			}
		}
	}
	return nil
}

func (q *query) cteSource(c *cte, alias string, n *ast.RangeVar) (source, error) {
	c.refs++
	if len(c.cols) == 0 && c.write {
		return source{}, types.Errorf(types.CodeFeatureNotSupported, "WITH query \"%s\" does not have a RETURNING clause", c.name).At(position(n.Location))
	}
	it := &item{alias: alias, relVisible: true, colsVisible: true}
	var outs []plan.Column
	var src []plan.ColID
	var places []int
	for i, col := range c.cols {
		id := q.b.newCol(col.name, col.typ)
		m := q.b.meta[col.id]
		q.b.meta[id].item, q.b.meta[id].table, q.b.meta[id].attr = alias, m.table, m.attr
		outs = append(outs, plan.Column{ID: id, Name: col.name, Type: col.typ})
		src = append(src, col.id)
		places = append(places, i)
		it.cols = append(it.cols, column{name: col.name, id: id, typ: col.typ})
	}
	if err := it.rename(n.Alias); err != nil {
		return source{}, err
	}
	if c.working {
		q.recurses = true
		return q.workSource(c, it, &plan.WorkTableScan{Base: plan.Base{Out: outs}, CTE: c.id, Name: c.name, Source: places})
	}
	return source{&plan.CTEScan{Base: plan.Base{Out: outs}, CTE: c.id, Name: c.name, Source: src}, []*item{it}}, nil
}

// workSource reads the rows of the last round.
func (q *query) workSource(c *cte, it *item, scan *plan.WorkTableScan) (source, error) {
	if c.paths == nil {
		return source{scan, []*item{it}}, nil
	}
	for i := c.paths.base; i < len(it.cols); i++ {
		it.cols[i].apart = true
	}
	if c.paths.cycle == nil {
		return source{scan, []*item{it}}, nil
	}
	n, err := c.paths.open(scan, &it.cols[len(it.cols)-2])
	return source{n, []*item{it}}, err
}

// with binds a WITH clause into the query's scope and returns what wraps the
// query's plan.
func (q *query) with(w *ast.WithClause) (func(*relation) *relation, error) {
	if w == nil {
		return func(r *relation) *relation { return r }, nil
	}
	for _, n := range w.Ctes {
		if c, ok := n.(*ast.CommonTableExpr); ok && !w.Recursive {
			q.withNames = append(q.withNames, c.Ctename)
		}
	}
	var entries []*cte
	for _, n := range w.Ctes {
		c, ok := n.(*ast.CommonTableExpr)
		if !ok {
			return nil, unsupported(n, -1)
		}
		for _, e := range entries {
			if e.name == c.Ctename {
				return nil, types.Errorf(types.CodeDuplicateAlias, "WITH query name \"%s\" specified more than once", c.Ctename).At(position(c.Location))
			}
		}
		e, err := q.bindCTE(c, w.Recursive)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return func(r *relation) *relation {
		wn := &plan.With{Base: plan.Base{Out: r.node.Columns()}, Body: r.node}
		for _, e := range entries {
			wn.CTEs = append(wn.CTEs, plan.CTE{ID: e.id, Name: e.name, Plan: e.node, Modifying: e.write, Materialized: e.keep})
		}
		return &relation{wn, r.cols}
	}, nil
}

func (q *query) bindCTE(c *ast.CommonTableExpr, recursive bool) (*cte, error) {
	q.b.ctes++
	e := &cte{id: q.b.ctes, name: c.Ctename, keep: c.Ctematerialized == ast.CTEMaterializeAlways}
	if sel, ok := c.Ctequery.(*ast.SelectStmt); ok && recursive && mentions(sel, c.Ctename) {
		if err := q.recursiveCTE(e, sel, c); err != nil {
			return nil, err
		}
		return e, nil
	}
	if c.SearchClause != nil || c.CycleClause != nil {
		return nil, types.Errorf(types.CodeSyntaxError, "WITH query is not recursive").At(position(c.Location))
	}
	rel, err := q.cteQuery(c, e)
	if err != nil {
		return nil, err
	}
	if rel, err = q.b.settleUnknown(rel); err != nil {
		return nil, err
	}
	e.node, e.cols = rel.node, append([]outCol(nil), rel.cols...)
	if err := nameColumns(e, c); err != nil {
		return nil, err
	}
	q.ctes = append(q.ctes, e)
	return e, nil
}

func (q *query) cteQuery(c *ast.CommonTableExpr, e *cte) (*relation, error) {
	top := q.parent == nil
	write := func(f func() (*relation, error)) (*relation, error) {
		if !top {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "WITH clause containing a data-modifying statement must be at the top level").At(position(c.Location))
		}
		e.write = true
		return f()
	}
	switch s := c.Ctequery.(type) {
	case *ast.SelectStmt:
		return q.b.selectStmt(q, s, nil)
	case *ast.InsertStmt:
		return write(func() (*relation, error) { return q.b.insert(q, s) })
	case *ast.UpdateStmt:
		return write(func() (*relation, error) { return q.b.update(q, s) })
	case *ast.DeleteStmt:
		return write(func() (*relation, error) { return q.b.delete(q, s) })
	}
	return nil, unsupported(c.Ctequery, c.Location)
}

func nameColumns(e *cte, c *ast.CommonTableExpr) error {
	names := stringsOf(c.Aliascolnames)
	if len(names) > len(e.cols) {
		return types.Errorf(types.CodeInvalidColumnReference, "WITH query \"%s\" has %d columns available but %d columns specified",
			e.name, len(e.cols), len(names)).At(position(c.Location))
	}
	for i, n := range names {
		e.cols[i].name = n
	}
	return nil
}

// mentions reports whether a query names a relation.
func mentions(s *ast.SelectStmt, name string) bool {
	_, ok := mentioned(s, name)
	return ok
}

// mentioned finds where a query names a relation first.
func mentioned(s *ast.SelectStmt, name string) (loc int, found bool) {
	ast.Walk(s, func(n ast.Node) bool {
		if rv, ok := n.(*ast.RangeVar); ok && !found && rv.Schemaname == "" && rv.Relname == name {
			loc, found = rv.Location, true
		}
		return !found
	})
	return loc, found
}

func (q *query) recursiveCTE(e *cte, s *ast.SelectStmt, c *ast.CommonTableExpr) error {
	bad := func(format string) error {
		return types.Errorf(types.CodeInvalidRecursion, format, e.name).At(position(c.Location))
	}
	if s.Op != ast.SETOP_UNION {
		return bad("recursive query \"%s\" does not have the form non-recursive-term UNION [ALL] recursive-term")
	}
	if loc, ok := mentioned(s.Larg, e.name); ok {
		return types.Errorf(types.CodeInvalidRecursion, "recursive reference to query \"%s\" must not appear within its non-recursive term", e.name).At(position(loc))
	}
	if err := checkRecursion(c, s); err != nil {
		return err
	}
	inner := q.b.newQuery(q)
	with, err := inner.with(s.WithClause)
	if err != nil {
		return err
	}
	first, err := q.b.selectStmt(inner, s.Larg, nil)
	if err != nil {
		return err
	}
	if first, err = q.b.settleUnknown(first); err != nil {
		return err
	}
	first = with(first)
	e.cols = append([]outCol(nil), first.cols...)
	if err := nameColumns(e, c); err != nil {
		return err
	}
	again := s.Rarg
	if e.paths, err = q.pathColumns(c, namesOf(e.cols)); err != nil {
		return err
	}
	if e.paths != nil {
		if again, err = e.paths.step(c, s.Rarg); err != nil {
			return err
		}
		first = e.paths.start(first)
		e.cols = append(e.cols, first.cols[len(e.cols):]...)
	}
	for i := range e.cols {
		e.cols[i].id = q.b.newCol(e.cols[i].name, e.cols[i].typ)
	}
	e.working = true
	inner.ctes = append(inner.ctes, e)
	step, err := q.b.selectStmt(inner, again, nil)
	if err != nil {
		return err
	}
	e.working = false
	if e.paths != nil && len(step.cols) == len(first.cols) {
		if step, err = e.paths.next(step); err != nil {
			return err
		}
	}
	if len(step.cols) != len(first.cols) {
		return types.Errorf(types.CodeSyntaxError, "each UNION query must have the same number of columns").At(firstLoc(step))
	}
	if step, err = q.stepTypes(e, first, step); err != nil {
		return err
	}
	n := &plan.RecursiveCTE{CTE: e.id, Name: e.name, All: s.All, Initial: first.node, Step: step.node}
	for i, col := range e.cols {
		n.Out = append(n.Out, plan.Column{ID: col.id, Name: col.name, Type: col.typ})
		n.InitialCols, n.StepCols = append(n.InitialCols, first.cols[i].id), append(n.StepCols, step.cols[i].id)
	}
	e.node = n
	q.ctes = append(q.ctes, e)
	return nil
}

func namesOf(cols []outCol) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.name
	}
	return out
}

// stepTypes brings the recursive term to the types of the first one.
func (q *query) stepTypes(e *cte, first, step *relation) (*relation, error) {
	target := make([]types.Type, len(first.cols))
	differs := func(i int, overall types.Type) error {
		return types.Errorf(types.CodeDatatypeMismatch,
			"recursive query \"%s\" column %d has type %s in non-recursive term but type %s overall",
			e.name, i+1, first.cols[i].typ, overall).WithHint("Cast the output of the non-recursive term to the correct type.").At(first.cols[i].loc)
	}
	for i, c := range first.cols {
		target[i] = c.typ
		have := step.cols[i].typ
		if have.OID == types.UnknownOID {
			continue
		}
		if have.OID == c.typ.OID {
			if c.typ.Mod >= 0 && have.Mod != c.typ.Mod {
				return nil, differs(i, c.typ.WithMod(-1))
			}
			target[i] = have
			continue
		}
		out, _, err := q.b.common("UNION", []expr.Expr{&expr.Const{Typ: c.typ}, &expr.Const{Typ: have}}, -1)
		if err != nil {
			return nil, at(err, step.cols[i].loc-1)
		}
		if overall := out[0].Type(); overall.OID != c.typ.OID {
			return nil, differs(i, overall)
		}
	}
	return q.b.retype(step, target)
}

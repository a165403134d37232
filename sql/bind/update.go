package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// oldRow scans the target table and remembers where its columns are.
func (w *writer) oldRow(rv *ast.RangeVar) (source, error) {
	src, err := w.b.tableSource(w.table, w.alias, "", rv)
	if err != nil {
		return source{}, err
	}
	if rv.Alias == nil {
		src.items[0].schema = w.b.schemaName(w.table.Schema)
	}
	scan := src.items[0].scan
	w.m.Old = make([]plan.ColID, len(w.table.Columns))
	for i, c := range scan.Read {
		w.m.Old[w.table.Ordinal(c)] = scan.Out[i].ID
	}
	return src, nil
}

// withFrom joins the target with the entries of FROM or USING.
func (w *writer) withFrom(src source, from []ast.Node) (plan.Node, error) {
	w.items = nil
	if len(from) == 0 {
		w.items = src.items
		w.m.Once = true
		return src.node, nil
	}
	node, err := w.from(from)
	if err != nil {
		return nil, err
	}
	if err := checkAliases(src.items, w.items); err != nil {
		return nil, err
	}
	w.items = append(append([]*item(nil), src.items...), w.items...)
	return w.b.join(plan.InnerJoin, src.node, node, nil), nil
}

func (w *writer) where(n ast.Node, node plan.Node) (plan.Node, error) {
	if _, ok := n.(*ast.CurrentOfExpr); ok {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "WHERE CURRENT OF is not supported")
	}
	cond, err := w.condition(n, clauseWhere, "WHERE")
	if err != nil {
		return nil, err
	}
	if cond == nil {
		return node, nil
	}
	return w.b.filter(node, expr.Conjuncts(nil, cond)), nil
}

// update binds UPDATE.
func (b *binder) update(parent *query, s *ast.UpdateStmt) (*relation, error) {
	q := b.newQuery(parent)
	with, err := q.with(s.WithClause)
	if err != nil {
		return nil, err
	}
	t, err := b.targetTable(s.Relation, q, "update")
	if err != nil {
		return nil, err
	}
	w := b.newWriter(q, t, s.Relation, plan.Update)
	src, err := w.oldRow(s.Relation)
	if err != nil {
		return nil, err
	}
	node, err := w.withFrom(src, s.FromClause)
	if err != nil {
		return nil, err
	}
	if node, err = w.where(s.WhereClause, node); err != nil {
		return nil, err
	}
	if w.m.Set, w.m.Input, err = w.assignments(s.TargetList, node); err != nil {
		return nil, err
	}
	w.m.Row = w.newRow()
	w.constraints()
	rows := append([]*item{w.rowItem(w.alias, w.m.Row)}, w.items[1:]...)
	rel, err := w.returning(s.ReturningList, rows)
	if err != nil {
		return nil, err
	}
	return with(rel), nil
}

// delete binds DELETE.
func (b *binder) delete(parent *query, s *ast.DeleteStmt) (*relation, error) {
	q := b.newQuery(parent)
	with, err := q.with(s.WithClause)
	if err != nil {
		return nil, err
	}
	t, err := b.targetTable(s.Relation, q, "delete from")
	if err != nil {
		return nil, err
	}
	w := b.newWriter(q, t, s.Relation, plan.Delete)
	src, err := w.oldRow(s.Relation)
	if err != nil {
		return nil, err
	}
	node, err := w.withFrom(src, s.UsingClause)
	if err != nil {
		return nil, err
	}
	if w.m.Input, err = w.where(s.WhereClause, node); err != nil {
		return nil, err
	}
	w.m.Row = w.m.Old
	w.indexes()
	rel, err := w.returning(s.ReturningList, w.items)
	if err != nil {
		return nil, err
	}
	return with(rel), nil
}

// assignments binds a SET list; subqueries in it are computed above node.
func (w *writer) assignments(ns []ast.Node, node plan.Node) ([]plan.Assign, plan.Node, error) {
	saved := w.clause
	w.clause = clauseUpdate
	defer func() { w.clause = saved }()
	p := planter{b: w.b, node: node}
	var out []plan.Assign
	multi := make(map[int][]expr.Expr)
	for _, n := range ns {
		rt, ok := n.(*ast.ResTarget)
		if !ok {
			return nil, nil, unsupported(n, -1)
		}
		c, err := w.setTarget(rt, out)
		if err != nil {
			return nil, nil, err
		}
		var e expr.Expr
		switch v := rt.Val.(type) {
		case *ast.SetToDefault:
			if c.Generated != nil {
				continue
			}
			e, err = w.defaultOf(c)
		case *ast.MultiAssignRef:
			e, err = w.multiAssign(v, c, multi)
		default:
			if err := w.updatable(c); err != nil {
				return nil, nil, err
			}
			if e, err = w.expr(v); err == nil {
				e, err = w.assign(e, c, -1)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		out = append(out, plan.Assign{Column: c.ID, Expr: p.plant(e)})
	}
	return out, p.node, nil
}

func (w *writer) updatable(c *catalog.Column) error {
	if c.Generated != nil {
		return types.Errorf(types.CodeGeneratedAlways, "column \"%s\" can only be updated to DEFAULT", c.Name).
			WithDetail("Column \"%s\" is a generated column.", c.Name)
	}
	if c.Identity == catalog.IdentityAlways {
		return types.Errorf(types.CodeGeneratedAlways, "column \"%s\" can only be updated to DEFAULT", c.Name).
			WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name)
	}
	return nil
}

func (w *writer) setTarget(rt *ast.ResTarget, done []plan.Assign) (*catalog.Column, error) {
	if len(rt.Indirection) > 0 {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "assignment to parts of a column is not supported").At(position(rt.Location))
	}
	c, ok := w.table.ColumnByName(rt.Name)
	if !ok {
		return nil, undefinedTarget(rt.Name, w.table.Name, rt.Location)
	}
	for _, a := range done {
		if a.Column == c.ID {
			return nil, types.Errorf(types.CodeSyntaxError, "multiple assignments to same column \"%s\"", c.Name)
		}
	}
	return c, nil
}

// multiAssign binds one column of (a, b) = (...).
func (w *writer) multiAssign(v *ast.MultiAssignRef, c *catalog.Column, multi map[int][]expr.Expr) (expr.Expr, error) {
	if err := w.updatable(c); err != nil {
		return nil, err
	}
	switch src := v.Source.(type) {
	case *ast.RowExpr:
		if len(src.Args) != int(v.Ncolumns) {
			return nil, types.Errorf(types.CodeSyntaxError, "number of columns does not match number of values").At(position(src.Location))
		}
		arg := src.Args[v.Colno-1]
		if _, ok := arg.(*ast.SetToDefault); ok {
			return w.defaultOf(c)
		}
		e, err := w.expr(arg)
		if err != nil {
			return nil, err
		}
		return w.assign(e, c, -1)
	case *ast.SubLink:
		fields, ok := multi[src.Location]
		if !ok {
			e, err := w.scalarOrRow(src)
			if err != nil {
				return nil, err
			}
			fields = []expr.Expr{e}
			if row, ok := e.(*expr.RowExpr); ok {
				fields = row.Fields
			}
			if len(fields) != int(v.Ncolumns) {
				return nil, types.Errorf(types.CodeSyntaxError, "number of columns does not match number of values").At(position(src.Location))
			}
			// The grammar repeats the source for each column; it is run once.
			multi[src.Location] = fields
		}
		return w.assign(fields[v.Colno-1], c, -1)
	}
	return nil, types.Errorf(types.CodeFeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
}

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
	w.watch(w.m.Old)
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
	if w.m.Set, w.m.Input, err = w.assignments(s.TargetList, node, w.m.Old); err != nil {
		return nil, err
	}
	w.m.Row = w.newRow()
	w.constraints()
	rows := append([]*item{w.rowItem(w.alias, w.m.Row)}, w.items[1:]...)
	rel, err := w.returning(s.ReturningList, rows)
	if err != nil {
		return nil, err
	}
	if err := w.mayRead(); err != nil {
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
	if err := w.mayRead(); err != nil {
		return nil, err
	}
	return with(rel), nil
}

// assignments binds a SET list; subqueries in it are computed above node. old is
// the row whose columns are changed in part.
func (w *writer) assignments(ns []ast.Node, node plan.Node, old []plan.ColID) ([]plan.Assign, plan.Node, error) {
	saved := w.clause
	w.clause = clauseUpdate
	defer func() { w.clause = saved }()
	p := planter{b: w.b, node: node}
	var out []plan.Assign
	var done []place
	multi := make(map[int][]expr.Expr)
	for _, n := range ns {
		rt, ok := n.(*ast.ResTarget)
		if !ok {
			return nil, nil, unsupported(n, -1)
		}
		pl, err := w.place(rt)
		if err != nil {
			return nil, nil, err
		}
		if pl.twice(done) {
			return nil, nil, types.Errorf(types.CodeSyntaxError, "multiple assignments to same column \"%s\"", pl.col.Name)
		}
		done = append(done, pl)
		e, err := w.assigned(rt.Val, pl, multi)
		if err != nil {
			return nil, nil, err
		}
		if e == nil {
			continue
		}
		if pl.part != nil {
			pl.part = p.plant(pl.part).(*expr.Subscript)
		}
		was := w.b.ref(old[w.table.Ordinal(pl.col.ID)], pl.col.Type)
		out = pl.store(out, p.plant(e), was)
	}
	return out, p.node, nil
}

// assigned binds what a SET list gives one place; nothing for DEFAULT of a
// generated column.
func (w *writer) assigned(n ast.Node, pl place, multi map[int][]expr.Expr) (expr.Expr, error) {
	switch v := n.(type) {
	case *ast.SetToDefault:
		if pl.col.Generated != nil {
			return nil, nil
		}
		if err := pl.whole(); err != nil {
			return nil, err
		}
		return w.defaultOf(pl.col)
	case *ast.MultiAssignRef:
		return w.multiAssign(v, pl, multi)
	}
	if err := w.updatable(pl.col); err != nil {
		return nil, err
	}
	e, err := w.expr(n)
	if err != nil {
		return nil, err
	}
	return w.assignTo(e, pl, -1)
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

// multiAssign binds one column of (a, b) = (...).
func (w *writer) multiAssign(v *ast.MultiAssignRef, pl place, multi map[int][]expr.Expr) (expr.Expr, error) {
	if err := w.updatable(pl.col); err != nil {
		return nil, err
	}
	switch src := v.Source.(type) {
	case *ast.RowExpr:
		if len(src.Args) != int(v.Ncolumns) {
			return nil, types.Errorf(types.CodeSyntaxError, "number of columns does not match number of values").At(position(src.Location))
		}
		arg := src.Args[v.Colno-1]
		if _, ok := arg.(*ast.SetToDefault); ok {
			if err := pl.whole(); err != nil {
				return nil, err
			}
			return w.defaultOf(pl.col)
		}
		e, err := w.expr(arg)
		if err != nil {
			return nil, err
		}
		return w.assignTo(e, pl, -1)
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
		return w.assignTo(fields[v.Colno-1], pl, -1)
	}
	return nil, types.Errorf(types.CodeFeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
}

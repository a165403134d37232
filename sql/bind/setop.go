package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

func setOpName(s *ast.SelectStmt) string {
	switch s.Op {
	case ast.SETOP_INTERSECT:
		return "INTERSECT"
	case ast.SETOP_EXCEPT:
		return "EXCEPT"
	}
	return "UNION"
}

// setOp binds UNION, INTERSECT and EXCEPT with what follows them.
func (q *query) setOp(s *ast.SelectStmt) (*relation, error) {
	saved := q.items
	defer func() { q.items = saved }()
	rel, err := q.setTree(s)
	if err != nil {
		return nil, err
	}
	return q.queryTail(rel, s)
}

func (q *query) setTree(s *ast.SelectStmt) (*relation, error) {
	if err := q.b.enter(); err != nil {
		return nil, err
	}
	defer q.b.leave()
	l, err := q.setBranch(s.Larg)
	if err != nil {
		return nil, err
	}
	r, err := q.setBranch(s.Rarg)
	if err != nil {
		return nil, err
	}
	return q.b.combine(setOpName(s), s.All, l, r)
}

// setBranch binds an operand; only a bare set operation is part of the tree.
func (q *query) setBranch(s *ast.SelectStmt) (*relation, error) {
	bare := s.Larg != nil && s.WithClause == nil && len(s.SortClause) == 0 && s.LimitCount == nil && s.LimitOffset == nil && len(s.LockingClause) == 0
	if bare {
		return q.setTree(s)
	}
	rel, err := q.b.selectStmt(q, s, nil)
	if err != nil {
		return nil, err
	}
	q.items = append(q.items, shownAs("*SELECT* "+itoa(len(q.items)+1), rel))
	return rel, nil
}

// shownAs makes a query's columns an entry that only errors name.
func shownAs(alias string, rel *relation) *item {
	it := &item{alias: alias}
	for _, c := range rel.cols {
		it.cols = append(it.cols, column{name: c.name, id: c.id, typ: c.typ})
	}
	return it
}

func firstLoc(r *relation) int {
	if len(r.cols) == 0 {
		return 0
	}
	return r.cols[0].loc
}

// combine brings two operands to common types and puts a set operation above.
func (b *binder) combine(name string, all bool, l, r *relation) (*relation, error) {
	if len(l.cols) != len(r.cols) {
		return nil, types.Errorf(types.CodeSyntaxError, "each %s query must have the same number of columns", name).At(firstLoc(r))
	}
	target := make([]types.Type, len(l.cols))
	for i := range l.cols {
		oid, err := pgfacts.CommonType(name, []types.OID{l.cols[i].typ.OID, r.cols[i].typ.OID})
		if err != nil {
			return nil, at(err, r.cols[i].loc-1)
		}
		target[i] = types.Of(oid)
		if l.cols[i].typ == r.cols[i].typ {
			target[i] = l.cols[i].typ
		}
		if l.cols[i].typ.OID == types.UnknownOID && r.cols[i].typ.OID == types.UnknownOID {
			target[i] = types.TextType
		}
		if !all {
			if err := groupable(&expr.Const{Typ: target[i]}); err != nil {
				return nil, err
			}
		}
	}
	l, err := b.retype(l, target)
	if err != nil {
		return nil, err
	}
	if r, err = b.retype(r, target); err != nil {
		return nil, err
	}
	op := plan.Union
	switch name {
	case "INTERSECT":
		op = plan.Intersect
	case "EXCEPT":
		op = plan.Except
	}
	n := &plan.SetOp{Op: op, All: all, Left: l.node, Right: r.node}
	out := &relation{node: n}
	for i := range l.cols {
		id := b.newCol(l.cols[i].name, target[i])
		n.LeftCols, n.RightCols = append(n.LeftCols, l.cols[i].id), append(n.RightCols, r.cols[i].id)
		n.Out = append(n.Out, plan.Column{ID: id, Name: l.cols[i].name, Type: target[i]})
		out.cols = append(out.cols, outCol{l.cols[i].name, id, target[i], l.cols[i].loc})
	}
	return out, nil
}

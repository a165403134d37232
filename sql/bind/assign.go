package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// place is what a SET list or an INSERT's column list names: a column, or a part
// of one.
type place struct {
	col *catalog.Column
	// part takes the element or slice that is meant; its Arg and Assign are set
	// when the value is stored. nil means the whole column.
	part *expr.Subscript
	typ  types.Type // of the value
	loc  int
}

// place resolves a target with its subscripts.
func (w *writer) place(rt *ast.ResTarget) (place, error) {
	c, ok := w.table.ColumnByName(rt.Name)
	if !ok {
		return place{}, undefinedTarget(rt.Name, w.table.Name, rt.Location)
	}
	p := place{col: c, typ: c.Type, loc: rt.Location}
	if len(rt.Indirection) == 0 {
		return p, nil
	}
	for _, n := range rt.Indirection {
		switch f := n.(type) {
		case *ast.String:
			return place{}, types.Errorf(types.CodeDatatypeMismatch,
				"cannot assign to field \"%s\" of column \"%s\" because its type %s is not a composite type", f.Sval, c.Name,
				types.Format(c.Type.OID, -1)).At(position(rt.Location))
		case *ast.A_Star:
			return place{}, types.Errorf(types.CodeFeatureNotSupported, "row expansion via \"*\" is not supported here").At(position(rt.Location))
		}
	}
	sub, err := w.subscripts(rt.Indirection, c.Type, position(rt.Location), true)
	if err != nil {
		return place{}, err
	}
	p.part, p.typ = sub, sub.Typ
	sub.Typ = c.Type
	return p, nil
}

// assignTo coerces an expression to what a place takes.
func (w *writer) assignTo(e expr.Expr, p place, loc int) (expr.Expr, error) {
	if p.part == nil {
		return w.assign(e, p.col, loc)
	}
	from := e.Type()
	if l := expr.LocationOf(e); l > 0 {
		loc = l - 1
	}
	r, err := w.b.coerce(e, p.typ, pgfacts.Assignment, "", loc)
	if err != nil && types.CodeOf(err) == types.CodeCannotCoerce {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "subscripted assignment to \"%s\" requires type %s but expression is of type %s",
			p.col.Name, types.Format(p.typ.OID, -1), types.Format(from.OID, -1)).
			WithHint("You will need to rewrite or cast the expression.").At(position(p.loc))
	}
	return r, err
}

// whole refuses DEFAULT for a part of a column.
func (p place) whole() error {
	if p.part == nil {
		return nil
	}
	return types.Errorf(types.CodeFeatureNotSupported, "cannot set an array element to DEFAULT").At(position(p.loc))
}

// store adds an assignment. One to a part replaces that part of what the
// statement gave the column before, or of old.
func (p place) store(set []plan.Assign, e, old expr.Expr) []plan.Assign {
	if p.part == nil {
		return append(set, plan.Assign{Column: p.col.ID, Expr: e})
	}
	s := *p.part
	s.Assign = e
	for i, a := range set {
		if a.Column == p.col.ID {
			s.Arg = a.Expr
			set[i].Expr = &s
			return set
		}
	}
	s.Arg = old
	return append(set, plan.Assign{Column: p.col.ID, Expr: &s})
}

// twice reports whether a column that was named before may not be named again:
// only its parts may.
func (p place) twice(done []place) bool {
	for _, o := range done {
		if o.col == p.col && (o.part == nil || p.part == nil) {
			return true
		}
	}
	return false
}

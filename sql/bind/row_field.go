package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// rowFields returns the names and values of a composite value's fields, as far
// as they are known before it is computed.
func rowFields(e expr.Expr) (names []string, values []expr.Expr) {
	switch n := e.(type) {
	case *expr.RowExpr:
		for i, f := range n.Names {
			if f == "" {
				f = "f" + itoa(i+1)
			}
			names = append(names, f)
		}
		return names, n.Fields
	case *expr.FuncExpr:
		p, ok := pgfacts.ProcByOID(n.Func)
		if !ok || n.Typ.OID != types.RecordOID {
			return nil, nil
		}
		for i, o := range outArgs(p) {
			names = append(names, o.name)
			values = append(values, &expr.FieldSelect{Arg: e, Field: i, Name: o.name, Typ: types.Of(o.typ), Location: n.Location})
		}
	}
	return names, values
}

// field takes a field of a composite value.
func (q *query) field(e expr.Expr, name string, loc int) (expr.Expr, error) {
	if e.Type().OID != types.RecordOID {
		return nil, types.Errorf(types.CodeWrongObjectType, "column notation .%s applied to type %s, which is not a composite type", name,
			types.Format(e.Type().OID, -1)).At(position(loc))
	}
	names, values := rowFields(e)
	for i, f := range names {
		if f == name {
			return values[i], nil
		}
	}
	if row, ok := e.(*expr.RowExpr); ok && row.Table != "" {
		return nil, types.Errorf(types.CodeUndefinedColumn, "column %s.%s does not exist", row.Table, name).At(position(loc))
	}
	return nil, types.Errorf(types.CodeUndefinedColumn, "could not identify column \"%s\" in record data type", name).At(position(loc))
}

// rowStar expands (value).* of a select list; ok is false for anything else.
func (q *query) rowStar(n ast.Node) (ts []target, ok bool, err error) {
	ind, isInd := n.(*ast.A_Indirection)
	if !isInd || len(ind.Indirection) == 0 {
		return nil, false, nil
	}
	last := len(ind.Indirection) - 1
	if _, star := ind.Indirection[last].(*ast.A_Star); !star {
		return nil, false, nil
	}
	rest := *ind
	rest.Indirection = ind.Indirection[:last]
	e, err := q.indirection(&rest)
	if err != nil {
		return nil, true, err
	}
	loc := expr.LocationOf(e)
	if e.Type().OID != types.RecordOID {
		return nil, true, types.Errorf(types.CodeWrongObjectType, "type %s is not composite", types.Format(e.Type().OID, -1))
	}
	names, values := rowFields(e)
	if names == nil {
		return nil, true, types.Errorf(types.CodeDatatypeMismatch, "record type has not been registered").At(loc)
	}
	for i, v := range values {
		ts = append(ts, target{name: names[i], e: v, loc: loc - 1})
	}
	return ts, true, nil
}

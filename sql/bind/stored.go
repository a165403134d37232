package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// StoredKind says what a stored expression is for.
type StoredKind uint8

// The kinds of stored expressions.
const (
	StoredDefault StoredKind = iota
	StoredCheck
	StoredIndexExpr
	StoredPredicate
	StoredGenerated
)

// Stored binds an expression that a descriptor keeps: a default or generated
// value (coerced to want), a CHECK, an index expression or predicate. Columns of
// table, which may be nil for a default, come out with their ColumnID as id.
func Stored(kind StoredKind, n ast.Node, table *catalog.Table, want types.Type, column string, r catalog.Resolver, o Options) (expr.Expr, error) {
	b := newBinder(r, o)
	// Queries are compared with the expressions of indexes, but not with others.
	b.exact = kind != StoredIndexExpr && kind != StoredPredicate
	q := b.newQuery(nil)
	q.clause = [...]clause{clauseDefault, clauseCheck, clauseIndex, clauseIndex, clauseDefault}[kind]
	toColumn := make(map[plan.ColID]catalog.ColumnID)
	if table != nil && kind != StoredDefault {
		it := &item{alias: table.Name, relVisible: true, colsVisible: true, table: table}
		for i := range table.Columns {
			c := &table.Columns[i]
			id := b.tableCol(table, c, table.Name)
			toColumn[id] = c.ID
			it.cols = append(it.cols, shown(c, id))
		}
		q.items = []*item{it}
	}
	e, err := q.expr(n)
	if err != nil {
		return nil, defaultColumnError(kind, err, n)
	}
	switch kind {
	case StoredCheck:
		e, err = b.boolean(e, "CHECK")
	case StoredPredicate:
		e, err = b.boolean(e, "WHERE")
	case StoredIndexExpr:
		e, err = b.resolveUnknown(e)
	default:
		if kind == StoredGenerated && expr.VolatilityOf(e) != expr.Immutable {
			return nil, types.Errorf(types.CodeInvalidObjectDefinition, "generation expression is not immutable")
		}
		from := e.Type()
		if e, err = b.coerce(e, want, pgfacts.Assignment, "", expr.LocationOf(e)-1); types.CodeOf(err) == types.CodeCannotCoerce {
			err = types.Errorf(types.CodeDatatypeMismatch, "column \"%s\" is of type %s but default expression is of type %s", column,
				types.Format(want.OID, -1), types.Format(from.OID, -1)).WithHint("You will need to rewrite or cast the expression.")
		}
	}
	if err != nil {
		return nil, err
	}
	if len(b.params) > 0 {
		return nil, types.Errorf(types.CodeUndefinedParameter, "there is no parameter $1")
	}
	if expr.HasSubquery(e) {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "cannot use subquery in %s", clauseNames[q.clause])
	}
	return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
		m := *c
		m.ID = plan.ColID(toColumn[c.ID])
		return &m
	}), nil
}

func shown(c *catalog.Column, id plan.ColID) column {
	return column{name: c.Name, id: id, typ: c.Type, hidden: c.Hidden || !c.State.Readable()}
}

// defaultColumnError says what a column in a DEFAULT means.
func defaultColumnError(kind StoredKind, err error, n ast.Node) error {
	if kind != StoredDefault || types.CodeOf(err) != types.CodeUndefinedColumn {
		return err
	}
	loc := -1
	ast.Walk(n, func(x ast.Node) bool {
		if c, ok := x.(*ast.ColumnRef); ok && loc < 0 {
			loc = c.Location
		}
		return true
	})
	return types.Errorf(types.CodeFeatureNotSupported, "cannot use column reference in DEFAULT expression").At(position(loc))
}

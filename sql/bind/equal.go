package bind

import (
	"bytes"

	"github.com/pamirdb/pamir/sql/expr"
)

// equal reports whether two expressions are the same tree, locations aside.
func equal(a, b expr.Expr) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Type() != b.Type() {
		return false
	}
	if x, ok := a.(*expr.ColumnRef); ok {
		y, ok := b.(*expr.ColumnRef)
		return ok && x.ID == y.ID && x.Outer == y.Outer
	}
	// A subquery's plan has column ids of its own, so no two are equal.
	if expr.HasSubquery(a) || expr.HasSubquery(b) {
		return false
	}
	x, err := expr.Encode(nil, a)
	if err != nil {
		return false
	}
	y, err := expr.Encode(nil, b)
	return err == nil && bytes.Equal(x, y)
}

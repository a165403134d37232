package opt

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// addInt8 builds a + b for bigints.
func addInt8(a, b expr.Expr) expr.Expr {
	op, ok := pgfacts.LookupOperator("+", types.Int8OID, types.Int8OID)
	if !ok {
		return a
	}
	return &expr.OpExpr{Op: op.OID, Func: op.Func, Name: "+", Args: []expr.Expr{a, b}, Typ: types.Int8Type}
}

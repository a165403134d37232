package catalog

import "github.com/pamirdb/pamir/sql/expr"

// Expr is a stored expression: its SQL text as given, and its bound tree, in
// which a column of the object's own table has its ColumnID as column id.
type Expr struct {
	Source string    `json:"source"`
	Tree   expr.Expr `json:"-"`
}

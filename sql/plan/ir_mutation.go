package plan

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// MutationOp says what a Mutation does to its table.
type MutationOp uint8

// The mutations.
const (
	Insert MutationOp = iota
	Update
	Delete
)

// Mutation changes rows of one table.
//
// Three rows take part, all in the shape of Table.Columns: the old one (update,
// delete), the new one (insert, update), and with ON CONFLICT the existing one.
// Row holds one column id for each of Table.Columns, and stands for the new row
// in Checks, Indexes and Returning (for a delete: for the old row). Checks and
// index expressions are compiled once over Row and may be run over old rows too.
type Mutation struct {
	Base
	Op    MutationOp
	Table *catalog.Table
	Alias string
	Input Node
	// Old are the input columns that hold the old row, parallel to
	// Table.Columns (0 for an absent column).
	Old []ColID
	// Row are the ids of the row after the change, parallel to Table.Columns.
	Row []ColID
	// Set gives the new values by column; insert names every column but the
	// hidden rowid, which the executor draws, update the changed ones.
	// Expressions are over the input.
	Set []Assign
	// Generated are stored generated columns, computed over Row after Set.
	Generated []Assign
	NotNull   []catalog.ColumnID // columns that Set may leave NULL and must not
	Checks    []Check
	Indexes   []IndexExprs
	Conflict  *OnConflict
	// Returning is parallel to Out, over Row and, for UPDATE FROM and DELETE
	// USING, the input's columns. nil: no rows, only a count.
	Returning []Scalar
	// Once says that the input gives each old row at most once, so that
	// repeated rows need not be looked for.
	Once bool
}

// Assign gives a column its value.
type Assign struct {
	Column catalog.ColumnID
	Expr   Scalar
}

// Check is a CHECK constraint over Mutation.Row; NULL passes.
type Check struct {
	Name string
	Expr Scalar
}

// IndexExprs are the predicate and the expression columns of one index over
// Mutation.Row; indexes of plain columns have none.
type IndexExprs struct {
	Index     *catalog.Index
	Predicate Scalar   // nil: all rows
	Exprs     []Scalar // parallel to Index.Columns; nil for plain columns
}

// ConflictAction is what ON CONFLICT does.
type ConflictAction uint8

// The conflict actions.
const (
	ConflictNothing ConflictAction = iota
	ConflictUpdate
	// ConflictReplace deletes every conflicting row first (MySQL's REPLACE).
	ConflictReplace
)

// OnConflict is INSERT's ON CONFLICT clause.
type OnConflict struct {
	Action ConflictAction
	// Arbiters are the unique indexes to look at; for DO NOTHING without a
	// target all of them.
	Arbiters []*catalog.Index
	// Existing are the ids of the conflicting row's columns, parallel to
	// Table.Columns.
	Existing []ColID
	// Input, if there are subqueries, computes them above ConflictRows, for one
	// conflict at a time.
	Input Node
	// Set and Where are over Existing and, as EXCLUDED, Row, and over Input's
	// columns if there is one.
	Set   []Assign
	Where []Scalar
}

// ConflictRows puts out one row: a conflicting one and the new one in its way.
type ConflictRows struct{ Base }

// Inputs implements Node.
func (n *ConflictRows) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Mutation) Inputs() []Node {
	if n.Conflict != nil && n.Conflict.Input != nil {
		return []Node{n.Input, n.Conflict.Input}
	}
	return []Node{n.Input}
}

// ResultColumn describes a column for RowDescription.
type ResultColumn struct {
	Name  string
	Type  types.Type
	Table types.OID        // 0: computed
	Attr  catalog.ColumnID // 0: computed
}

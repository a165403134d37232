package plan

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

// ColID identifies a column within one plan.
type ColID = expr.ColID

// Scalar is a bound scalar expression. Its columns are those of the children of
// the node that holds it.
type Scalar = expr.Expr

// Column is one output column of a node.
type Column struct {
	ID   ColID
	Name string
	Type types.Type
}

// Estimate is what the planner expects of a node.
type Estimate struct {
	Rows        float64
	StartupCost float64
	TotalCost   float64
	Width       int
}

// Node is a plan node.
type Node interface {
	// Columns lists the output, in the order of the batch.
	Columns() []Column
	// Inputs lists the children from left to right.
	Inputs() []Node
	// Common returns what all nodes share.
	Common() *Base
}

// Base is what all nodes share; nodes embed it.
type Base struct {
	// ID numbers the nodes of a plan from 1 in preorder: the key under which
	// the executor reports what it measured.
	ID  int
	Out []Column
	Est Estimate
}

// Columns implements Node.
func (b *Base) Columns() []Column { return b.Out }

// Common implements Node.
func (b *Base) Common() *Base { return b }

// Inputs implements Node for leaves.
func (b *Base) Inputs() []Node { return nil }

// LockStrength is the row lock that a scan takes.
type LockStrength uint8

// The row locks, weakest first.
const (
	LockNone LockStrength = iota
	LockKeyShare
	LockShare
	LockNoKeyUpdate
	LockUpdate
)

// LockWait says what a locking read does when a row is locked.
type LockWait uint8

// The wait policies.
const (
	LockBlock LockWait = iota
	LockSkip
	LockError
)

// Locking is a lock strength with its wait policy.
type Locking struct {
	Strength LockStrength
	Wait     LockWait
}

// SortKey orders by one column of the input.
type SortKey struct {
	Col        ColID
	Desc       bool
	NullsFirst bool
	Collation  types.OID
}

// Values gives constant rows; every expression is evaluated once per run. With
// one row and no column it is the input of a SELECT without FROM.
type Values struct {
	Base
	Rows [][]Scalar
}

// Bound is one end of a range over an index column.
type Bound struct {
	Value     Scalar
	Inclusive bool
}

// SpanKey is one equality of a span's prefix.
type SpanKey struct {
	Value Scalar // nil with Null
	// Null matches NULL itself (IS NULL). Without it a Value that turns out to
	// be NULL makes the span empty.
	Null bool
	// Each says that Value is an array: one span for each distinct element that
	// is not NULL.
	Each bool
}

// Span is a part of an index: equalities on its first columns, then at most one
// range on the next. Its expressions read parameters only and are evaluated at
// run time; their types have the index column's equality and order. A NULL
// bound makes the span empty. A range never holds NULLs. Spans of a scan may
// overlap: the executor sorts and merges them in index order.
type Span struct {
	Eq        []SpanKey
	Low, High *Bound
	// NotNull is a range that has no bound: all values but NULL.
	NotNull bool
}

// Scan reads an index of a table: the primary one for whole rows, another one
// for the columns that it covers (its key columns, the primary key's and what it
// includes). Without Spans it reads all of it. Rows come in index order if
// Ordered, else in any.
type Scan struct {
	Base
	Table   *catalog.Table
	Index   *catalog.Index
	Alias   string
	Read    []catalog.ColumnID // the table columns behind Out, in its order
	Spans   []Span
	Reverse bool
	Ordered bool
	// Filter are conjuncts over Out that are immutable or stable, free of
	// subqueries, and hence may run at the leaseholder.
	Filter []Scalar
	// Limit bounds the rows that anyone above will want, after Filter. nil: all.
	Limit Scalar
	// Partial, if set, aggregates below: Out is then Partial's and the columns
	// of Read are In.
	Partial *PartialAgg
	In      []Column
	Lock    Locking
}

// PartialAgg is an aggregation inside of a scan. The scan gives a row for each
// group and block: the group columns, then one state for each aggregate, which
// an Aggregate with Merge set combines.
type PartialAgg struct {
	GroupBy []ColID
	Aggs    []AggCall
}

// PointGet reads at most one row by all columns of a unique index: the shape of
// point queries. Key expressions read parameters only; a NULL one finds nothing.
type PointGet struct {
	Base
	Table  *catalog.Table
	Index  *catalog.Index
	Alias  string
	Key    []Scalar
	Read   []catalog.ColumnID
	Filter []Scalar
	Lock   Locking
	// Fetch says that Index is a secondary one that does not cover Read: the
	// row itself is read next.
	Fetch bool
}

// IndexFetch reads the rows of the primary keys that its input gives, in the
// input's order: the second half of a scan over an index that does not cover.
type IndexFetch struct {
	Base
	Input  Node
	Table  *catalog.Table
	Alias  string
	Key    []ColID // the primary key's columns in the input
	Read   []catalog.ColumnID
	Pass   []Column // input columns passed through, after the read ones in Out
	Filter []Scalar // over Out
	Lock   Locking
}

// VirtualScan reads a virtual table. Equalities are offered so that a lookup by
// oid or name need not build the whole table; Filter still applies to all rows.
type VirtualScan struct {
	Base
	Table  *catalog.Table
	Alias  string
	Read   []catalog.ColumnID
	Eq     []VirtualEq
	Filter []Scalar
}

// VirtualEq is an equality that all wanted rows of a virtual table satisfy.
type VirtualEq struct {
	Column catalog.ColumnID
	Value  Scalar // over parameters
}

// Filter keeps the rows for which all conjuncts are true.
type Filter struct {
	Base
	Input Node
	Conds []Scalar
}

// Project computes its output from its input's: Exprs is parallel to Out. A
// column reference alone costs nothing.
type Project struct {
	Base
	Input Node
	Exprs []Scalar
}

// ProjectSet expands set-returning calls in a select list, in lockstep, padding
// the shorter with NULLs. Out is the input's columns and one for each call.
type ProjectSet struct {
	Base
	Input Node
	Calls []Scalar // each is a call of a set-returning function
}

// FunctionScan reads set-returning functions in FROM, in lockstep for ROWS
// FROM. A function with several result columns fills that many of Out.
// Ordinality appends a bigint.
type FunctionScan struct {
	Base
	Calls      []Scalar
	Widths     []int // result columns for each call
	Ordinality bool
	Alias      string
}

// Limit passes Count rows after skipping Offset; nil means none. Values are
// bigint; NULL means no limit; a negative one raises.
type Limit struct {
	Base
	Input  Node
	Count  Scalar
	Offset Scalar
	// WithTies also passes the peers of the last row by Ties.
	WithTies bool
	Ties     []SortKey
}

// Sort orders its input; with Top it keeps the first Top rows only (Limit still
// stands above). Prefix keys are already in order.
type Sort struct {
	Base
	Input  Node
	Keys   []SortKey
	Prefix int
	Top    Scalar // nil: all
}

// Distinct passes the first row of each group of equal On columns. With Sorted
// equal rows are adjacent.
type Distinct struct {
	Base
	Input  Node
	On     []ColID
	Sorted bool
}

// SetOpKind is a set operation.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp combines two inputs column by column; LeftCols and RightCols name the
// columns behind Out.
type SetOp struct {
	Base
	Op                  SetOpKind
	All                 bool
	Left, Right         Node
	LeftCols, RightCols []ColID
}

// LockRows locks the rows that its input came from, for a FOR UPDATE that
// cannot lock in its scan.
type LockRows struct {
	Base
	Input   Node
	Targets []LockTarget
}

// LockTarget names the primary key columns of one table in the input.
type LockTarget struct {
	Table *catalog.Table
	Key   []ColID
	Lock  Locking
}

// With runs plans whose results others read by CTEScan. Modifying ones always
// run to their end; the rest as far as they are read.
type With struct {
	Base
	CTEs []CTE
	Body Node
}

// CTE is a named subplan.
type CTE struct {
	ID        int
	Name      string
	Plan      Node
	Modifying bool
	// Materialized says that the statement asked for it to be kept apart.
	Materialized bool
}

// CTEScan reads the result of a CTE. Source is parallel to Out.
type CTEScan struct {
	Base
	CTE    int
	Name   string
	Source []ColID
}

// RecursiveCTE computes Initial, then Step over the rows of the last round
// until none is new. InitialCols and StepCols are parallel to Out.
type RecursiveCTE struct {
	Base
	CTE                   int
	Name                  string
	All                   bool
	Initial, Step         Node
	InitialCols, StepCols []ColID
}

// WorkTableScan reads the last round's rows inside of Step. Source is the
// place of each column in the RecursiveCTE's Out.
type WorkTableScan struct {
	Base
	CTE    int
	Name   string
	Source []int
}

// Explain prints the plan of Target; with Analyze it runs it first.
type Explain struct {
	Base
	Target  *Plan
	Stmt    ast.Node
	Options ExplainOptions
}

// Utility is a statement that the session or the schema changer carries out by
// itself. Input is the query within it (COPY (SELECT ...), CREATE TABLE AS,
// DECLARE CURSOR), if any.
type Utility struct {
	Base
	Stmt  ast.Node
	Input Node
}

// Inputs implements Node.
func (n *IndexFetch) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Filter) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Project) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *ProjectSet) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Limit) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Sort) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Distinct) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *SetOp) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *LockRows) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *With) Inputs() []Node {
	in := make([]Node, 0, len(n.CTEs)+1)
	for i := range n.CTEs {
		in = append(in, n.CTEs[i].Plan)
	}
	return append(in, n.Body)
}

// Inputs implements Node.
func (n *RecursiveCTE) Inputs() []Node { return []Node{n.Initial, n.Step} }

// Inputs implements Node.
func (n *Utility) Inputs() []Node {
	if n.Input == nil {
		return nil
	}
	return []Node{n.Input}
}

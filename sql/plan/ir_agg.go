package plan

import "github.com/pamirdb/pamir/sql/expr"

// AggCall is one aggregate of an aggregation. Its Out column is in the node's
// Out, after the grouping columns, in the order of the calls.
type AggCall struct {
	// Call's operands are over the node's input; its Level and Location mean
	// nothing here.
	Call *expr.AggRef
	Out  Column
}

// Aggregate groups its input. Out is the grouping columns, then the aggregates.
// Without GroupBy it gives exactly one row.
type Aggregate struct {
	Base
	Input   Node
	GroupBy []ColID
	Aggs    []AggCall
	// Sorted says that equal groups are adjacent: stream instead of hashing.
	Sorted bool
	// Merge says that the input holds states of a scan's PartialAgg: the
	// columns MergeCols, one for each of Aggs.
	Merge     bool
	MergeCols []ColID
}

// GroupingSets aggregates its input once for each set. A grouping column that
// is not in a row's set is NULL. SetCol, if not 0, is the last of Out: an int4
// with a bit for each of GroupBy, lowest for the last, set where it is not in
// the row's set: what GROUPING is made of.
type GroupingSets struct {
	Base
	Input   Node
	GroupBy []ColID
	// GroupOut are the ids of the grouping columns in Out, parallel to GroupBy.
	GroupOut []ColID
	Sets     [][]int // places in GroupBy
	Aggs     []AggCall
	SetCol   ColID
}

// WindowFrame is the frame of a window. Offsets are evaluated once, over
// parameters.
type WindowFrame = expr.Frame

// WindowFunc is one window function or aggregate over a window.
type WindowFunc struct {
	// Call names an aggregate or a window function; its window is the node's,
	// its own PartitionBy, OrderBy and Frame are empty.
	Call *expr.WindowRef
	Out  Column
}

// Window computes functions over one window. The input is sorted by PartitionBy
// and OrderBy. Out is the input's columns, then one for each function.
type Window struct {
	Base
	Input       Node
	PartitionBy []ColID
	OrderBy     []SortKey
	Frame       WindowFrame
	Funcs       []WindowFunc
}

// Inputs implements Node.
func (n *Aggregate) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *GroupingSets) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Window) Inputs() []Node { return []Node{n.Input} }

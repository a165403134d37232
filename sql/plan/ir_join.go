package plan

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// JoinType says which rows a join gives.
type JoinType uint8

// The join types. Semi, Anti and Mark give each left row once at most: if it
// has a match, if it has none, always with the answer in a boolean column.
const (
	InnerJoin JoinType = iota
	LeftJoin
	RightJoin
	FullJoin
	SemiJoin
	AntiJoin
	// MarkJoin appends a boolean: true with a match, else NULL if some
	// comparison was NULL, else false: SQL's IN and ANY.
	MarkJoin
	// ScalarJoin appends the right side's columns of the one matching row, NULLs
	// without a match, and raises 21000 for a second one.
	ScalarJoin
)

// HashJoin joins on equal keys; it builds a table of the right side. A NULL key
// matches nothing, unless its place in NullEq says that NULLs are equal.
type HashJoin struct {
	Base
	Type                JoinType
	Left, Right         Node
	LeftKeys, RightKeys []Scalar
	NullEq              []bool // nil: all false
	// Residual are further conditions over both sides' columns, for all types
	// part of the match.
	Residual []Scalar
	// NullAware makes an anti join NOT IN: a row passes only if no comparison
	// was true or NULL. A Mark join of IN is always so.
	NullAware bool
	Mark      ColID // of MarkJoin; last in Out
}

// MergeJoin joins inputs that are sorted by their keys.
type MergeJoin struct {
	Base
	Type                JoinType
	Left, Right         Node
	LeftKeys, RightKeys []SortKey
	Residual            []Scalar
}

// NestedLoop joins on any condition; the right side does not depend on the
// left. It may be materialized.
type NestedLoop struct {
	Base
	Type        JoinType
	Left, Right Node
	On          []Scalar
	Mark        ColID
	// MarkCond is the comparison of a MarkJoin whose NULLs count; On restricts
	// the rows compared.
	MarkCond Scalar
}

// LookupJoin reads an index for each input row, in batches. Key expressions are
// over the input's columns and cover the index's first columns. Out is the
// input's columns, then those of Read; Semi and Anti give the input's only.
type LookupJoin struct {
	Base
	Type   JoinType // Inner, Left, Semi, Anti
	Input  Node
	Table  *catalog.Table
	Index  *catalog.Index
	Alias  string
	Keys   []Scalar
	Unique bool // Keys cover a unique index: one row at most
	// Fetch reads the row itself after a secondary entry.
	Fetch bool
	Read  []catalog.ColumnID
	// ReadOut are the columns of Read, also when Out lacks them.
	ReadOut []Column
	// Residual are conditions over input and read columns, part of the match.
	Residual []Scalar
	Lock     Locking
}

// ApplyParam hands a column of the left side to the right side.
type ApplyParam struct {
	Param int // Num of the parameter of kind ParamExec
	Col   ColID
	Type  types.Type
}

// Apply runs its right side for each left row, with the parameters set from
// that row. It is how every subquery and LATERAL comes from the binder. Without
// Params the right side's rows are the same for all and may be kept.
type Apply struct {
	Base
	Type        JoinType // Inner, Left, Semi, Anti, Mark, Scalar
	Left, Right Node
	Params      []ApplyParam
	On          []Scalar // over both sides, part of the match
	Mark        ColID
	MarkCond    Scalar // over both sides
	// MarkAll turns Mark into ALL: false if some comparison is false, else NULL
	// if some was NULL, else true.
	MarkAll bool
	// Guard, over the left columns, says for which rows the right side is
	// wanted at all: others get NULLs. It keeps subqueries in arms of CASE lazy.
	Guard Scalar
	// Memo says that the right side depends on Params alone, so that its rows may
	// be remembered.
	Memo bool
}

// Inputs implements Node.
func (n *HashJoin) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *MergeJoin) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *NestedLoop) Inputs() []Node { return []Node{n.Left, n.Right} }

// Inputs implements Node.
func (n *LookupJoin) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Apply) Inputs() []Node { return []Node{n.Left, n.Right} }

// String names the join type.
func (t JoinType) String() string {
	return [...]string{"Inner", "Left", "Right", "Full", "Semi", "Anti", "Mark", "Scalar"}[t]
}

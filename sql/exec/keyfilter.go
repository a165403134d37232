package exec

import (
	"slices"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
)

// keyTaker is an operator that may drop rows whose column is none of some keys,
// which are in order: whoever asks drops them anyway.
type keyTaker interface {
	takeKeys(col plan.ColID, keys []int64)
}

// Below so many left rows the keys are not worth the trouble.
const keysMinLeft = 1000

// offerKeys tells the left side of a join which of its rows have a partner.
func (j *hashJoinOp) offerKeys() {
	switch j.node.Type {
	case plan.InnerJoin, plan.SemiJoin, plan.RightJoin:
	default:
		return
	}
	t, ok := j.left.(keyTaker)
	if !ok || j.ints == nil || j.ints.Len() > scan.MaxKeys || len(j.nulls) > 0 {
		return
	}
	rows := j.node.Left.Common().Est.Rows
	c, ok := j.node.LeftKeys[0].(*expr.ColumnRef)
	if !ok || c.Outer != 0 || rows < keysMinLeft || rows < float64(j.ints.Len()) {
		return
	}
	keys := j.ints.Keys()
	slices.Sort(keys)
	t.takeKeys(c.ID, keys)
}

func (m *measured) takeKeys(col plan.ColID, keys []int64) {
	if t, ok := m.op.(keyTaker); ok {
		t.takeKeys(col, keys)
	}
}

// takeKeys passes keys on where the column comes from the left side, all of whose
// rows with other keys may go without anything else changing.
func (j *hashJoinOp) takeKeys(col plan.ColID, keys []int64) {
	switch j.node.Type {
	case plan.InnerJoin, plan.LeftJoin, plan.SemiJoin, plan.AntiJoin:
		passKeys(j.left, j.node.Left, col, keys)
	}
}

func (l *lookupOp) takeKeys(col plan.ColID, keys []int64) {
	switch l.node.Type {
	case plan.InnerJoin, plan.LeftJoin, plan.SemiJoin, plan.AntiJoin:
		passKeys(l.input, l.node.Input, col, keys)
	}
}

func passKeys(op Operator, n plan.Node, col plan.ColID, keys []int64) {
	if t, ok := op.(keyTaker); ok {
		if _, err := place(n.Columns(), col); err == nil {
			t.takeKeys(col, keys)
		}
	}
}

// takeKeys implements keyTaker. What counts rows before they are dropped, or locks
// them, goes on as it is.
func (s *scanOp) takeKeys(col plan.ColID, keys []int64) {
	if s.started || s.node.Partial != nil || s.limit != nil || s.lock != api.LockNone {
		return
	}
	if i, err := place(s.node.Out, col); err == nil && i < len(s.node.Read) {
		s.keys = append(s.keys, scan.KeyFilter{Place: i, Keys: keys})
	}
}

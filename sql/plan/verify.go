package plan

import (
	"fmt"

	"github.com/pamirdb/pamir/sql/expr"
)

// Verify checks what the executor relies on: every scalar names only columns
// that the node's children put out, and operators that pass columns on put out
// exactly what they are documented to.
func Verify(n Node) error {
	for _, c := range n.Inputs() {
		if err := Verify(c); err != nil {
			return err
		}
	}
	have := make(ColSet)
	for _, c := range n.Inputs() {
		for _, o := range c.Columns() {
			have.Add(o.ID)
		}
	}
	if err := verifyScope(n, have); err != nil {
		return err
	}
	return verifyShape(n)
}

// verifyScope checks the columns that scalars and column lists name.
func verifyScope(n Node, have ColSet) error {
	switch x := n.(type) {
	case *Scan:
		for _, o := range x.Out {
			have.Add(o.ID)
		}
		for _, o := range x.In {
			have.Add(o.ID)
		}
	case *PointGet, *VirtualScan, *IndexFetch:
		for _, o := range n.Columns() {
			have.Add(o.ID)
		}
	case *LookupJoin:
		for _, o := range x.ReadOut {
			have.Add(o.ID)
		}
	case *Aggregate:
		if x.Merge {
			// The operands were evaluated below; only their types matter here.
			return verifyLists(x, have)
		}
	case *Mutation:
		have.Add(x.Row...)
		if x.Conflict != nil {
			have.Add(x.Conflict.Existing...)
		}
	}
	var err error
	bad := func(id ColID, name string) {
		if err == nil && !have.Has(id) {
			err = fmt.Errorf("%T names column %s#%d, which its inputs do not put out", n, name, id)
		}
	}
	MapScalars(n, func(e Scalar) Scalar {
		expr.Walk(e, func(s expr.Expr) bool {
			switch s := s.(type) {
			case *expr.ColumnRef:
				bad(s.ID, s.Name)
			case *expr.SubqueryRef, *expr.SetToDefault:
				err = fmt.Errorf("%T holds a %T", n, s)
			}
			return true
		})
		return e
	})
	if err != nil {
		return err
	}
	return verifyLists(n, have)
}

func verifyLists(n Node, have ColSet) error {
	for _, id := range columnLists(n) {
		if !have.Has(id) {
			return fmt.Errorf("%T names column #%d, which its inputs do not put out", n, id)
		}
	}
	return nil
}

// columnLists returns the columns that a node names outside of scalars.
func columnLists(n Node) []ColID {
	var ids []ColID
	keys := func(ks []SortKey) {
		for _, k := range ks {
			ids = append(ids, k.Col)
		}
	}
	switch x := n.(type) {
	case *Sort:
		keys(x.Keys)
	case *Limit:
		keys(x.Ties)
	case *Distinct:
		ids = append(ids, x.On...)
	case *Aggregate:
		ids = append(append(ids, x.GroupBy...), x.MergeCols...)
	case *GroupingSets:
		ids = append(ids, x.GroupBy...)
	case *Window:
		ids = append(ids, x.PartitionBy...)
		keys(x.OrderBy)
	case *SetOp:
		ids = append(append(ids, x.LeftCols...), x.RightCols...)
	case *RecursiveCTE:
		ids = append(append(ids, x.InitialCols...), x.StepCols...)
	case *IndexFetch:
		ids = append(ids, x.Key...)
	case *LockRows:
		for _, t := range x.Targets {
			ids = append(ids, t.Key...)
		}
	case *Apply:
		for _, p := range x.Params {
			ids = append(ids, p.Col)
		}
	case *Mutation:
		for _, id := range x.Old {
			if id != 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func verifyShape(n Node) error {
	wrong := func() error { return fmt.Errorf("%T puts out something else than it is documented to", n) }
	same := func(want []Column) error {
		have := n.Columns()
		if len(have) != len(want) {
			return wrong()
		}
		for i := range want {
			if have[i].ID != want[i].ID {
				return wrong()
			}
		}
		return nil
	}
	both := func(l, r Node, t JoinType) error {
		switch t {
		case SemiJoin, AntiJoin:
			return same(l.Columns())
		case MarkJoin:
			if len(n.Columns()) != len(l.Columns())+1 {
				return wrong()
			}
			return nil
		}
		return same(append(append([]Column(nil), l.Columns()...), r.Columns()...))
	}
	switch x := n.(type) {
	case *Filter:
		return same(x.Input.Columns())
	case *Sort:
		return same(x.Input.Columns())
	case *Limit:
		return same(x.Input.Columns())
	case *Distinct:
		return same(x.Input.Columns())
	case *LockRows:
		return same(x.Input.Columns())
	case *NestedLoop:
		return both(x.Left, x.Right, x.Type)
	case *HashJoin:
		return both(x.Left, x.Right, x.Type)
	case *Apply:
		return both(x.Left, x.Right, x.Type)
	case *LookupJoin:
		if x.Type == SemiJoin || x.Type == AntiJoin {
			return same(x.Input.Columns())
		}
		return same(append(append([]Column(nil), x.Input.Columns()...), x.ReadOut...))
	case *Project:
		if len(x.Exprs) != len(x.Out) {
			return wrong()
		}
	case *Values:
		for _, r := range x.Rows {
			if len(r) != len(x.Out) {
				return wrong()
			}
		}
	case *Scan:
		if x.Partial == nil && len(x.Out) != len(x.Read) {
			return wrong()
		}
	}
	return nil
}

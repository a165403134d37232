package opt

import "github.com/pamirdb/pamir/sql/plan"

// reshape sets the output of nodes that only pass columns on from what their
// children put out now: rules that exchange or narrow children need not care.
// The root keeps its columns and their order.
func reshape(root plan.Node) plan.Node {
	want := append([]plan.Column(nil), root.Columns()...)
	reshapeNode(root)
	return narrow(root, want)
}

func reshapeNode(n plan.Node) {
	for _, in := range n.Inputs() {
		reshapeNode(in)
	}
	b := n.Common()
	switch x := n.(type) {
	case *plan.Filter:
		b.Out = x.Input.Columns()
	case *plan.Sort:
		b.Out = x.Input.Columns()
	case *plan.Limit:
		b.Out = x.Input.Columns()
	case *plan.Distinct:
		b.Out = x.Input.Columns()
	case *plan.LockRows:
		b.Out = x.Input.Columns()
	case *plan.With:
		b.Out = x.Body.Columns()
	case *plan.Window:
		b.Out = append([]plan.Column(nil), x.Input.Columns()...)
		for _, f := range x.Funcs {
			b.Out = append(b.Out, f.Out)
		}
	case *plan.ProjectSet:
		made := x.Out[len(x.Out)-len(x.Calls):]
		b.Out = append(append([]plan.Column(nil), x.Input.Columns()...), made...)
	case *plan.NestedLoop:
		b.Out = joinOut(x.Type, x.Left, x.Right, b.Out, x.Mark)
	case *plan.HashJoin:
		b.Out = joinOut(x.Type, x.Left, x.Right, b.Out, x.Mark)
	case *plan.MergeJoin:
		b.Out = joinOut(x.Type, x.Left, x.Right, b.Out, 0)
	case *plan.Apply:
		b.Out = joinOut(x.Type, x.Left, x.Right, b.Out, x.Mark)
	case *plan.LookupJoin:
		b.Out = append([]plan.Column(nil), x.Input.Columns()...)
		if x.Type != plan.SemiJoin && x.Type != plan.AntiJoin {
			b.Out = append(b.Out, x.ReadOut...)
		}
	}
}

// joinOut is what a join puts out: the left side's columns, then the right
// one's, or the answer.
func joinOut(t plan.JoinType, l, r plan.Node, old []plan.Column, mark plan.ColID) []plan.Column {
	out := append([]plan.Column(nil), l.Columns()...)
	switch t {
	case plan.SemiJoin, plan.AntiJoin:
		return out
	case plan.MarkJoin:
		for _, c := range old {
			if c.ID == mark {
				out = append(out, c)
			}
		}
		return out
	}
	return append(out, r.Columns()...)
}

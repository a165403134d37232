package opt

import (
	"fmt"
	"hash/fnv"

	"github.com/pamirdb/pamir/sql/plan"
)

// Shape is a fingerprint of what a plan does, whatever the values are that it does
// it with: its operators, and the tables and indexes that they read, in order. Two
// plans of one statement that have the same shape do the same work.
func Shape(p *plan.Plan) uint64 {
	h := fnv.New64a()
	plan.Walk(p.Root, func(n plan.Node) {
		fmt.Fprintf(h, "%T %d ", n, len(n.Inputs()))
		switch x := n.(type) {
		case *plan.Scan:
			bounds := 0
			if len(x.Spans) > 0 {
				bounds = 1 + 2*len(x.Spans[0].Eq)
			}
			fmt.Fprint(h, x.Table.ID, x.Index.OID, bounds, x.Reverse, x.Partial != nil)
		case *plan.PointGet:
			fmt.Fprint(h, x.Table.ID, x.Index.OID)
		case *plan.LookupJoin:
			fmt.Fprint(h, x.Table.ID, x.Index.OID, x.Type)
		case *plan.HashJoin:
			fmt.Fprint(h, x.Type, len(x.LeftKeys))
		}
	})
	return h.Sum64()
}

// ReadsTables reports whether a plan reads any table by more than a unique key.
func ReadsTables(p *plan.Plan) bool {
	found := false
	plan.Walk(p.Root, func(n plan.Node) {
		switch n.(type) {
		case *plan.Scan, *plan.LookupJoin:
			found = true
		}
	})
	return found
}

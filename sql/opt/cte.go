package opt

import (
	"github.com/pamirdb/pamir/sql/plan"
)

// inlineCTEs puts a CTE that is read once in its reader's place, and drops one
// that nobody reads. Those that modify, recurse or are volatile stay.
func (c *optimizer) inlineCTEs(n plan.Node) plan.Node {
	refs := make(map[int]int)
	plan.Walk(n, func(n plan.Node) {
		if s, ok := n.(*plan.CTEScan); ok {
			refs[s.CTE]++
		}
	})
	inline := make(map[int]plan.Node)
	n = plan.Rewrite(n, func(n plan.Node) plan.Node {
		w, ok := n.(*plan.With)
		if !ok {
			return n
		}
		var kept []plan.CTE
		for _, e := range w.CTEs {
			_, recursive := e.Plan.(*plan.RecursiveCTE)
			switch {
			case e.Modifying:
				kept = append(kept, e)
			case refs[e.ID] == 0:
			case refs[e.ID] == 1 && !e.Materialized && !recursive && !anyVolatileBelow(e.Plan) && !locks(e.Plan):
				inline[e.ID] = e.Plan
			default:
				kept = append(kept, e)
			}
		}
		if w.CTEs = kept; len(kept) == 0 {
			return w.Body
		}
		return w
	})
	if len(inline) == 0 {
		return n
	}
	return replaceScans(n, inline)
}

func locks(n plan.Node) bool {
	found := false
	plan.Walk(n, func(n plan.Node) {
		if _, ok := n.(*plan.LockRows); ok {
			found = true
		}
	})
	return found
}

// replaceScans puts plans in place of the scans of inlined CTEs; those may
// themselves read others.
func replaceScans(n plan.Node, inline map[int]plan.Node) plan.Node {
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		s, ok := n.(*plan.CTEScan)
		if !ok || inline[s.CTE] == nil {
			return n
		}
		body := replaceScans(inline[s.CTE], inline)
		p := &plan.Project{Base: plan.Base{Out: s.Out}, Input: body}
		have := make(map[plan.ColID]plan.Column)
		for _, o := range body.Columns() {
			have[o.ID] = o
		}
		for _, id := range s.Source {
			p.Exprs = append(p.Exprs, ref(have[id]))
		}
		return p
	})
}

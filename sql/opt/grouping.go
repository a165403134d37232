package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// costApply is what one run of an Apply's right side costs besides what it reads.
const costApply = 60

// worthGrouping guesses whether aggregating all groups once beats running the
// subquery for each row. Where an index finds the rows of one group, the subquery
// wins as long as it runs for a small part of the groups.
func (c *optimizer) worthGrouping(a *plan.Apply, agg *plan.Aggregate) bool {
	c.estimate(a.Left)
	c.estimate(agg.Input)
	rows := a.Left.Common().Est.Rows
	if rows <= 20 {
		return false
	}
	s, conds := scanBelow(agg.Input)
	if s == nil {
		// What a join costs is not known before its order is.
		return rows > 100
	}
	eqs, rest, calls := c.correlatedEqs(s, conds, plan.OutputOf(a.Left), rows)
	each, ok := c.lookupEach(s, eqs)
	if !ok {
		return true
	}
	total := c.tableRows(s.Table)
	grouped := total*costRow + total*c.selectivity(rest)*costHash + rows*costHash
	return calls*(costSeek+costApply+each) > grouped
}

// scanBelow returns the scan that an input consists of, with the conditions on it;
// nil for anything else.
func scanBelow(n plan.Node) (*plan.Scan, []expr.Expr) {
	var conds []expr.Expr
	for {
		switch x := n.(type) {
		case *plan.Filter:
			conds = append(conds, x.Conds...)
			n = x.Input
		case *plan.Scan:
			return x, append(conds, x.Filter...)
		default:
			return nil, nil
		}
	}
}

// correlatedEqs sorts conditions on a scan into columns equated with the outer
// query and others, and says how often the subquery runs, being memoized.
func (c *optimizer) correlatedEqs(s *plan.Scan, conds []expr.Expr, outer plan.ColSet, rows float64) (eqs map[catalog.ColumnID]bool, rest []expr.Expr, calls float64) {
	eqs, calls = make(map[catalog.ColumnID]bool), 1
	for _, e := range conds {
		q, ok := asEquality(e)
		if !ok || !outer.Touches(e) {
			rest = append(rest, e)
			continue
		}
		l, r := q.left, q.right
		if outer.Touches(l) {
			l, r = r, l
		}
		col, ok := stripRelabel(l).(*expr.ColumnRef)
		if !ok {
			continue
		}
		for i, o := range s.Out {
			if o.ID == col.ID {
				eqs[s.Read[i]] = true
				calls *= c.distinct(r, rows)
			}
		}
	}
	return eqs, rest, math.Min(calls, rows)
}

// lookupEach estimates what reading the rows of one combination of values costs by
// the best index, if there is one.
func (c *optimizer) lookupEach(s *plan.Scan, eqs map[catalog.ColumnID]bool) (cost float64, ok bool) {
	total, st := c.tableRows(s.Table), c.stats(s.Table)
	for i := range s.Table.Indexes {
		ix := &s.Table.Indexes[i]
		if !ix.State.Readable() || ix.Predicate != nil {
			continue
		}
		var sels []float64
		for _, k := range ix.Columns {
			if !eqs[k.Column] {
				break
			}
			sels = append(sels, st.Column(k.Column).EqUnknown(total))
		}
		if len(sels) == 0 {
			continue
		}
		n := math.Max(1, total*together(sels))
		k := n * costRow
		if ix.OID != s.Table.Primary {
			k += n * costFetch
		}
		if !ok || k < cost {
			cost, ok = k, true
		}
	}
	return cost, ok
}

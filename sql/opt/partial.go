package opt

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// mergeable are the aggregates whose states may be combined in any order.
var mergeable = map[string]bool{
	"count": true, "sum": true, "avg": true, "min": true, "max": true, "bool_and": true, "bool_or": true, "every": true,
	"bit_and": true, "bit_or": true, "stddev": true, "stddev_samp": true, "stddev_pop": true,
	"variance": true, "var_samp": true, "var_pop": true,
}

// maxPartialGroups is the number of groups up to which grouping at the
// leaseholder pays: beyond, nearly every row is a group of its own.
const maxPartialGroups = 0.25

// aggregates moves aggregation next to the data, and reads the least or
// greatest key of an index instead of a table.
func (c *optimizer) aggregates(n plan.Node) plan.Node {
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		a, ok := n.(*plan.Aggregate)
		if !ok || a.Merge {
			return n
		}
		a.Input = skipRefs(a.Input)
		s, ok := a.Input.(*plan.Scan)
		if !ok || s.Partial != nil || s.Limit != nil || s.Lock.Strength != plan.LockNone {
			return n
		}
		if !c.extreme(a, s) {
			c.partial(a, s)
		}
		return a
	})
}

// skipRefs passes over a projection that only passes columns on: an
// aggregation reads by id.
func skipRefs(n plan.Node) plan.Node {
	if p, ok := n.(*plan.Project); ok && allRefs(p) {
		return skipRefs(p.Input)
	}
	return n
}

// partial splits an aggregation into one within the scan and one above.
func (c *optimizer) partial(a *plan.Aggregate, s *plan.Scan) {
	for _, g := range a.Aggs {
		if !splits(g.Call) {
			return
		}
	}
	if len(a.GroupBy) > 0 && (len(a.Aggs) == 0 || c.groups(a.GroupBy, s.Out, s.Est.Rows) > maxPartialGroups*s.Est.Rows) {
		return
	}
	p := &plan.PartialAgg{GroupBy: a.GroupBy}
	s.In, s.Out = s.Out, nil
	for _, id := range a.GroupBy {
		for _, o := range s.In {
			if o.ID == id {
				s.Out = append(s.Out, o)
				break
			}
		}
	}
	for _, g := range a.Aggs {
		state := plan.Column{ID: c.newCol(), Name: g.Out.Name, Type: types.ByteaType}
		p.Aggs = append(p.Aggs, plan.AggCall{Call: g.Call, Out: state})
		s.Out = append(s.Out, state)
		a.MergeCols = append(a.MergeCols, state.ID)
	}
	s.Partial, a.Merge = p, true
}

// splits reports whether a call can be computed in parts.
func splits(a *expr.AggRef) bool {
	if a.Distinct || len(a.OrderBy) > 0 || len(a.Direct) > 0 || !mergeable[a.Name] || isVolatile(a) || needsHost(a) || expr.HasSubquery(a) {
		return false
	}
	if a.Filter == nil {
		return true
	}
	// Operands of rows that the filter rejects are computed there as well.
	for _, x := range a.Args {
		if mayRaise(x) {
			return false
		}
	}
	return true
}

// extreme turns min(column) or max(column) of a whole table, or of an equality
// prefix, into reading one entry of an index.
func (c *optimizer) extreme(a *plan.Aggregate, s *plan.Scan) bool {
	if len(a.GroupBy) > 0 || len(a.Aggs) != 1 || len(s.Filter) > 0 || len(s.Spans) > 1 {
		return false
	}
	call := a.Aggs[0].Call
	if call.Name != "min" && call.Name != "max" || call.Filter != nil || len(call.Args) != 1 {
		return false
	}
	r, ok := stripRelabel(call.Args[0]).(*expr.ColumnRef)
	if !ok {
		return false
	}
	var col catalog.ColumnID
	for i, o := range s.Out {
		if o.ID == r.ID {
			col = s.Read[i]
		}
	}
	ops, ok := pgfacts.DefaultBtree(r.Typ.OID)
	if col == 0 || !ok || ops.Less == 0 {
		return false
	}
	ix, span := c.extremeIndex(s, col)
	if ix == nil {
		return false
	}
	s.Index, s.Spans = ix, []plan.Span{span}
	s.Ordered, s.Reverse = true, (call.Name == "max") != ix.Columns[len(span.Eq)].Desc
	s.Limit = &expr.Const{Value: types.NewInt(1), Typ: types.Int8Type}
	s.Est = plan.Estimate{Rows: 1, TotalCost: costSeek}
	return true
}

// extremeIndex finds an index whose entries within the scan's span are ordered
// by a column.
func (c *optimizer) extremeIndex(s *plan.Scan, col catalog.ColumnID) (*catalog.Index, plan.Span) {
	fits := func(ix *catalog.Index, at int) bool {
		return ix.State.Readable() && ix.Predicate == nil && at < len(ix.Columns) && ix.Columns[at].Column == col && covers(s, ix)
	}
	if len(s.Spans) == 1 {
		span := s.Spans[0]
		for _, k := range span.Eq {
			if k.Each {
				return nil, span
			}
		}
		if !fits(s.Index, len(span.Eq)) {
			return nil, span
		}
		span.NotNull = span.Low == nil && span.High == nil
		return s.Index, span
	}
	for i := range s.Table.Indexes {
		if ix := &s.Table.Indexes[i]; fits(ix, 0) {
			return ix, plan.Span{NotNull: true}
		}
	}
	return nil, plan.Span{}
}

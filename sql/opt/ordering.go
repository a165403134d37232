package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// orderings lets index order stand in for sorts and grouping, and hands limits
// down to scans and sorts.
func (c *optimizer) orderings(n plan.Node) plan.Node {
	c.estimate(n)
	return c.order(n, nil)
}

// order visits n under the limit that applies to its rows, if nothing between
// drops or reorders them.
func (c *optimizer) order(n plan.Node, limit *plan.Limit) plan.Node {
	switch x := n.(type) {
	case *plan.Limit:
		in := x
		if x.Count == nil || x.WithTies || isVolatile(x.Count) || x.Offset != nil && isVolatile(x.Offset) {
			in = nil
		}
		x.Input = c.order(x.Input, in)
		return x
	case *plan.Project:
		// It changes neither number nor order of rows, and computes what is volatile
		// only for those that are asked for.
		x.Input = c.order(x.Input, limit)
		return x
	case *plan.Sort:
		return c.orderSort(x, limit)
	case *plan.Scan:
		c.limitScan(x, limit)
		return x
	case *plan.LockRows:
		// Under a limit rows are locked one by one, as they are wanted.
		if limit != nil {
			c.underLimit = x
		}
	case *plan.IndexFetch:
		if len(x.Filter) == 0 && x.Lock.Strength == plan.LockNone {
			x.Input = c.order(x.Input, limit)
		}
		return x
	}
	plan.MapInputs(n, func(in plan.Node) plan.Node { return c.order(in, nil) })
	return n
}

// limitScan tells a scan how many rows will be wanted at most.
func (c *optimizer) limitScan(x *plan.Scan, limit *plan.Limit) {
	if limit == nil || x.Partial != nil || x.Lock.Strength != plan.LockNone {
		return
	}
	x.Limit = sumLimit(limit)
}

// sumLimit is Count + Offset.
func sumLimit(l *plan.Limit) plan.Scalar {
	if l.Offset == nil {
		return l.Count
	}
	return foldNode(addInt8(l.Count, l.Offset))
}

// orderSort drops a sort that an index can stand in for, or keeps the first
// rows only.
func (c *optimizer) orderSort(x *plan.Sort, limit *plan.Limit) plan.Node {
	if in := c.sorted(x.Input, x.Keys, limit, x.Est.Rows); in != nil {
		return c.order(in, limit)
	}
	if limit != nil {
		x.Top = sumLimit(limit)
	}
	x.Input = c.order(x.Input, nil)
	return x
}

// sorted returns n giving its rows in the order of keys without sorting, or nil
// if it cannot or should not.
func (c *optimizer) sorted(n plan.Node, keys []plan.SortKey, limit *plan.Limit, rows float64) plan.Node {
	switch x := n.(type) {
	case *plan.Project:
		inner, ok := throughProject(x, keys)
		if !ok {
			return nil
		}
		in := c.sorted(x.Input, inner, limit, rows)
		if in == nil {
			return nil
		}
		x.Input = in
		return x
	case *plan.Filter:
		// A filter keeps the order; how much of the input the limit needs is not
		// known, so only the rows count.
		in := c.sorted(x.Input, keys, nil, rows)
		if in == nil {
			return nil
		}
		x.Input = in
		return x
	case *plan.PointGet:
		return x
	case *plan.Scan:
		return c.sortedScan(x, keys, limit)
	case *plan.IndexFetch:
		return c.sortedFetch(x, keys)
	}
	return nil
}

func throughProject(x *plan.Project, keys []plan.SortKey) ([]plan.SortKey, bool) {
	out := make([]plan.SortKey, len(keys))
	for i, k := range keys {
		out[i] = k
		found := false
		for j, o := range x.Out {
			if o.ID != k.Col {
				continue
			}
			r, ok := x.Exprs[j].(*expr.ColumnRef)
			if !ok {
				return nil, false
			}
			out[i].Col, found = r.ID, true
			break
		}
		if !found {
			return nil, false
		}
	}
	return out, true
}

// indexOrder reports whether an index scan over spans gives the order of keys,
// and in which direction. Columns fixed by equality in a single span have one
// value and may be left out.
func indexOrder(t *catalog.Table, ix *catalog.Index, spans []plan.Span, keys []plan.SortKey, colOf map[plan.ColID]catalog.ColumnID) (reverse, ok bool) {
	fixed := make(map[catalog.ColumnID]bool)
	if len(spans) == 1 {
		for i, k := range spans[0].Eq {
			if !k.Each {
				fixed[ix.Columns[i].Column] = true
			}
		}
	}
	columns := entryColumns(t, ix)
	at, direction := 0, 0
	for _, k := range keys {
		col, known := colOf[k.Col]
		if !known {
			return false, false
		}
		if fixed[col] {
			continue
		}
		for at < len(columns) && fixed[columns[at].Column] {
			at++
		}
		if at >= len(columns) {
			// A whole key was ordered by already: the rest decides nothing.
			return direction < 0, !ix.Unique || allNotNull(t, ix)
		}
		c := columns[at]
		at++
		if c.Column != col {
			return false, false
		}
		d := 0
		notNull := columnNotNull(t, col)
		switch {
		case c.Desc == k.Desc && (notNull || c.NullsFirst == k.NullsFirst):
			d = 1
		case c.Desc != k.Desc && (notNull || c.NullsFirst != k.NullsFirst):
			d = -1
		}
		if d == 0 || direction != 0 && d != direction {
			return false, false
		}
		direction = d
	}
	return direction < 0, true
}

// entryColumns are the columns that an index's entries are ordered by: those of
// a secondary index that is not unique end in the primary key.
func entryColumns(t *catalog.Table, ix *catalog.Index) []catalog.IndexColumn {
	if ix.Unique || ix.OID == t.Primary {
		return ix.Columns
	}
	return append(append([]catalog.IndexColumn(nil), ix.Columns...), t.PrimaryIndex().Columns...)
}

func columnNotNull(t *catalog.Table, id catalog.ColumnID) bool {
	c, ok := t.Column(id)
	return ok && c.NotNull
}

func allNotNull(t *catalog.Table, ix *catalog.Index) bool {
	for _, c := range ix.Columns {
		if c.Column == 0 || !columnNotNull(t, c.Column) {
			return false
		}
	}
	return true
}

func colsOf(out []plan.Column, read []catalog.ColumnID) map[plan.ColID]catalog.ColumnID {
	m := make(map[plan.ColID]catalog.ColumnID, len(read))
	for i, id := range read {
		m[out[i].ID] = id
	}
	return m
}

// sortedScan makes a scan ordered, changing its index where that is cheaper
// than sorting.
func (c *optimizer) sortedScan(x *plan.Scan, keys []plan.SortKey, limit *plan.Limit) plan.Node {
	if x.Partial != nil {
		return nil
	}
	colOf := colsOf(x.Out, x.Read)
	if reverse, ok := indexOrder(x.Table, x.Index, x.Spans, keys, colOf); ok {
		x.Ordered, x.Reverse = true, reverse
		return x
	}
	if len(x.Spans) > 0 {
		return nil
	}
	rows := math.Max(x.Est.Rows, 1)
	sortCost := x.Est.TotalCost + rows*costCompare*math.Log2(rows+2)
	for i := range x.Table.Indexes {
		ix := &x.Table.Indexes[i]
		if !ix.State.Readable() || !c.predicateHolds(x, ix) || ix.OID == x.Index.OID {
			continue
		}
		reverse, ok := indexOrder(x.Table, ix, nil, keys, colOf)
		if !ok {
			continue
		}
		cost := c.tableRows(x.Table) * costRow
		if !covers(x, ix) {
			cost += rows * costFetch
		}
		if limit != nil {
			cost *= math.Min(1, limitRows(limit)/rows)
		}
		if cost >= sortCost {
			continue
		}
		x.Index, x.Ordered, x.Reverse = ix, true, reverse
		if covers(x, ix) {
			return x
		}
		f := c.fetch(x).(*plan.IndexFetch)
		s := f.Input.(*plan.Scan)
		s.Ordered, s.Reverse = true, reverse
		return f
	}
	return nil
}

func limitRows(l *plan.Limit) float64 {
	if k, ok := sumLimit(l).(*expr.Const); ok && !k.Value.IsNull() {
		return float64(k.Value.Int())
	}
	return 100
}

// sortedFetch orders the index scan below a fetch: the fetch keeps the order.
func (c *optimizer) sortedFetch(x *plan.IndexFetch, keys []plan.SortKey) plan.Node {
	s, ok := x.Input.(*plan.Scan)
	if !ok {
		return nil
	}
	if reverse, ok := indexOrder(s.Table, s.Index, s.Spans, keys, colsOf(x.Out, x.Read)); ok {
		s.Ordered, s.Reverse = true, reverse
		return x
	}
	return nil
}

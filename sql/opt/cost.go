package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// tableRows is the number of rows that a table is taken to have.
func (c *optimizer) tableRows(t *catalog.Table) float64 {
	if s := c.stats(t); s != nil {
		return max(s.Rows, 1)
	}
	return stats.DefaultRows
}

// colInfo says where a column comes from.
type colInfo struct {
	table *catalog.Table
	attr  catalog.ColumnID
}

// learn remembers the origin of the columns below n.
func (c *optimizer) learn(n plan.Node) {
	if c.cols == nil {
		c.cols = make(map[plan.ColID]colInfo)
	}
	put := func(t *catalog.Table, cols []plan.Column, read []catalog.ColumnID) {
		for i, id := range read {
			c.cols[cols[i].ID] = colInfo{t, id}
		}
	}
	plan.Walk(n, func(n plan.Node) {
		switch x := n.(type) {
		case *plan.Scan:
			if x.Partial == nil {
				put(x.Table, x.Out, x.Read)
			} else {
				put(x.Table, x.In, x.Read)
			}
		case *plan.PointGet:
			put(x.Table, x.Out, x.Read)
		case *plan.IndexFetch:
			put(x.Table, x.Out[:len(x.Read)], x.Read)
		case *plan.LookupJoin:
			put(x.Table, x.ReadOut, x.Read)
		case *plan.VirtualScan:
			put(x.Table, x.Out, x.Read)
		}
	})
}

// column returns the statistics of the column that e is, and its table's rows.
func (c *optimizer) column(e expr.Expr) (cs *stats.Column, rows float64, ok bool) {
	r, ok := stripRelabel(e).(*expr.ColumnRef)
	if !ok {
		return nil, 0, false
	}
	info, ok := c.cols[r.ID]
	if !ok {
		return nil, 0, false
	}
	st := c.stats(info.table)
	return st.Column(info.attr), c.tableRows(info.table), true
}

// distinct estimates how many values an expression takes among rows rows.
func (c *optimizer) distinct(e expr.Expr, rows float64) float64 {
	cs, total, ok := c.column(e)
	if !ok {
		return math.Min(rows, stats.DefaultDistinct)
	}
	if cs == nil {
		info := c.cols[stripRelabel(e).(*expr.ColumnRef).ID]
		if uniqueColumn(info.table, info.attr) {
			return math.Max(1, math.Min(total, rows))
		}
		return math.Max(1, math.Min(rows, stats.DefaultDistinct))
	}
	return math.Max(1, math.Min(cs.DistinctOf(total), math.Max(rows, 1)))
}

// uniqueColumn reports whether a column alone is a unique key.
func uniqueColumn(t *catalog.Table, id catalog.ColumnID) bool {
	for i := range t.Indexes {
		x := &t.Indexes[i]
		if (x.Unique || x.OID == t.Primary) && len(x.Columns) == 1 && x.Columns[0].Column == id && x.Predicate == nil {
			return true
		}
	}
	return false
}

// selectivity estimates the share of rows for which all conditions hold.
func (c *optimizer) selectivity(conds []expr.Expr) float64 {
	sel := 1.0
	var ranges []halfRange
	for _, e := range conds {
		if h, ok := c.halfRange(e); ok {
			ranges = append(ranges, h)
			continue
		}
		sel *= c.sel(e)
	}
	return sel * bothEnds(ranges)
}

func (c *optimizer) sel(e expr.Expr) float64 {
	switch n := e.(type) {
	case *expr.Const:
		if n.Value.IsNull() || !n.Value.Bool() {
			return 0
		}
		return 1
	case *expr.OpExpr:
		return c.opSel(n)
	case *expr.BoolExpr:
		return c.boolSel(n)
	case *expr.NullTest:
		cs, _, _ := c.column(n.Arg)
		if n.Not {
			return 1 - cs.Null()
		}
		return cs.Null()
	case *expr.ScalarArrayOp:
		cs, rows, _ := c.column(n.Left)
		k := 10.0
		if a, ok := n.Right.(*expr.ArrayExpr); ok {
			k = float64(len(a.Elems))
		}
		s := math.Min(1, k*cs.EqUnknown(rows))
		if n.All {
			return 1 - s
		}
		return s
	case *expr.BooleanTest, *expr.ColumnRef:
		return stats.DefaultBool
	}
	return stats.DefaultRange
}

func (c *optimizer) boolSel(n *expr.BoolExpr) float64 {
	switch n.Op {
	case expr.And:
		return c.selectivity(n.Args)
	case expr.Or:
		none := 1.0
		for _, a := range n.Args {
			none *= 1 - c.sel(a)
		}
		return 1 - none
	}
	return 1 - c.sel(n.Args[0])
}

func (c *optimizer) opSel(n *expr.OpExpr) float64 {
	if len(n.Args) != 2 {
		return stats.DefaultRange
	}
	l, r := n.Args[0], n.Args[1]
	strat := pgfacts.StrategyOf(n.Op)
	lc, lrows, lok := c.column(l)
	rc, rrows, rok := c.column(r)
	if !lok && rok {
		l, r, lc, lrows, lok, rok = r, l, rc, rrows, true, false
		if strat != 0 {
			strat = 6 - strat
		}
	}
	switch {
	case lok && rok && strat == 3:
		return 1 / math.Max(c.distinct(n.Args[0], lrows), c.distinct(n.Args[1], rrows))
	case lok && strat == 3:
		if lc == nil && c.isUnique(l) {
			return 1 / math.Max(lrows, 1)
		}
		return eqSel(lc, r, lrows)
	case n.Name == "<>":
		return 1 - eqSel(lc, r, lrows)
	case strat == 1 || strat == 2:
		return rangeSel(lc, nil, &plan.Bound{Value: r, Inclusive: strat == 2})
	case strat == 4 || strat == 5:
		return rangeSel(lc, &plan.Bound{Value: r, Inclusive: strat == 4}, nil)
	case n.Name == "~~" || n.Name == "~~*" || n.Name == "~" || n.Name == "~*":
		return c.sampled(n, l, lc, 0.05)
	case n.Name == "!~~" || n.Name == "!~~*" || n.Name == "!~" || n.Name == "!~*":
		return c.sampled(n, l, lc, 0.95)
	}
	return stats.DefaultRange
}

func (c *optimizer) isUnique(e expr.Expr) bool {
	r, ok := stripRelabel(e).(*expr.ColumnRef)
	if !ok {
		return false
	}
	info, ok := c.cols[r.ID]
	return ok && uniqueColumn(info.table, info.attr)
}

// estimate fills in Est from the leaves up. Estimates that an access path left
// are kept.
func (c *optimizer) estimate(n plan.Node) {
	c.learn(n)
	c.est(n)
}

func (c *optimizer) est(n plan.Node) *plan.Estimate {
	var ins []*plan.Estimate
	cost := 0.0
	for _, in := range n.Inputs() {
		e := c.est(in)
		ins = append(ins, e)
		cost += e.TotalCost
	}
	e := &n.Common().Est
	e.Width = width(n.Columns())
	_, writes := n.(*plan.Mutation)
	switch {
	case len(ins) == 0:
		c.leaf(n, e)
	case len(ins) == 1 || writes:
		c.single(n, e, ins[0])
	default:
		c.pair(n, e, ins, cost)
	}
	e.Rows = math.Max(e.Rows, 0)
	return e
}

func width(cols []plan.Column) int {
	w := 0
	for _, c := range cols {
		switch c.Type.OID {
		case types.BoolOID:
			w++
		case types.Int2OID:
			w += 2
		case types.Int4OID, types.DateOID, types.Float4OID, types.OIDOID:
			w += 4
		case types.TextOID, types.VarCharOID, types.BPCharOID, types.JSONOID, types.JSONBOID, types.NumericOID:
			w += 32
			if m := c.Type.Mod - 4; c.Type.OID == types.BPCharOID && m > 0 {
				w += int(m) - 31
			}
		default:
			w += 8
		}
	}
	return w
}

func (c *optimizer) leaf(n plan.Node, e *plan.Estimate) {
	switch x := n.(type) {
	case *plan.Values:
		e.Rows, e.TotalCost = float64(len(x.Rows)), float64(len(x.Rows))*0.1
	case *plan.Scan:
		if e.TotalCost == 0 {
			rows := c.tableRows(x.Table)
			e.Rows, e.TotalCost = rows*c.selectivity(x.Filter), rows*costRow
		}
		if x.Partial != nil {
			e.Rows = c.groups(x.Partial.GroupBy, x.In, e.Rows)
		}
	case *plan.PointGet:
		e.Rows, e.TotalCost = 1, costSeek
	case *plan.VirtualScan:
		e.Rows = math.Max(1, 100*c.selectivity(x.Filter))
		e.TotalCost = 200
		if len(x.Eq) > 0 {
			e.TotalCost = 20
		}
	case *plan.FunctionScan:
		e.Rows, e.TotalCost = 100, 100
	case *plan.ConflictRows:
		e.Rows, e.TotalCost = 1, 0.1
	case *plan.CTEScan, *plan.WorkTableScan:
		e.Rows, e.TotalCost = 100, 20
	}
}

func (c *optimizer) single(n plan.Node, e, in *plan.Estimate) {
	e.Rows, e.StartupCost, e.TotalCost = in.Rows, in.StartupCost, in.TotalCost+in.Rows*0.05
	switch x := n.(type) {
	case *plan.Filter:
		e.Rows = in.Rows * c.selectivity(x.Conds)
		e.TotalCost = in.TotalCost + in.Rows*costCompare
	case *plan.IndexFetch:
		e.Rows = in.Rows * c.selectivity(x.Filter)
		e.TotalCost = in.TotalCost + in.Rows*costFetch
	case *plan.Sort:
		e.TotalCost = in.TotalCost + in.Rows*costCompare*math.Log2(in.Rows+2)
		e.StartupCost = e.TotalCost
	case *plan.Limit:
		if k, ok := x.Count.(*expr.Const); ok && !k.Value.IsNull() {
			e.Rows = math.Min(in.Rows, float64(k.Value.Int()))
		} else if x.Count != nil {
			e.Rows = math.Max(1, in.Rows/10)
		}
		if in.Rows > 0 {
			e.TotalCost = in.StartupCost + (in.TotalCost-in.StartupCost)*math.Min(1, e.Rows/in.Rows)
		}
	case *plan.Aggregate:
		e.Rows = c.groups(x.GroupBy, n.Columns(), in.Rows)
		e.TotalCost = in.TotalCost + in.Rows*costHash
		e.StartupCost = e.TotalCost
	case *plan.GroupingSets:
		e.Rows = c.groups(x.GroupBy, x.Input.Columns(), in.Rows) * float64(len(x.Sets)) / 2
		e.TotalCost = in.TotalCost + in.Rows*costHash*float64(len(x.Sets))
	case *plan.Distinct:
		e.Rows = c.groups(x.On, n.Columns(), in.Rows)
		e.TotalCost = in.TotalCost + in.Rows*costHash
	case *plan.ProjectSet:
		e.Rows = in.Rows * 10
	case *plan.LookupJoin:
		// What the residual conditions drop has been read before.
		found := in.Rows * math.Max(c.lookupFinds(x), 0.01)
		e.Rows = found * c.selectivity(x.Residual)
		e.TotalCost = in.TotalCost + in.Rows*costSeek + found*costRow
		if x.Fetch {
			e.TotalCost += found * costFetch
		}
		if x.Type == plan.LeftJoin {
			e.Rows = math.Max(e.Rows, in.Rows)
		}
		if x.Type == plan.SemiJoin || x.Type == plan.AntiJoin {
			e.Rows = in.Rows / 2
		}
	case *plan.Mutation:
		e.TotalCost = in.TotalCost + in.Rows*costFetch
		if len(x.Out) == 0 {
			e.Rows = 0
		}
	}
}

// lookupFinds estimates the rows that one lookup finds, before the residual
// conditions.
func (c *optimizer) lookupFinds(x *plan.LookupJoin) float64 {
	if x.Unique {
		return 1
	}
	rows := c.tableRows(x.Table)
	st := c.stats(x.Table)
	var sels []float64
	for i := range x.Keys {
		sels = append(sels, st.Column(x.Index.Columns[i].Column).EqUnknown(rows))
	}
	return rows * together(sels)
}

func (c *optimizer) groups(ids []plan.ColID, cols []plan.Column, rows float64) float64 {
	if len(ids) == 0 {
		return 1
	}
	n := 1.0
	for _, id := range ids {
		for _, col := range cols {
			if col.ID == id {
				n *= c.distinct(ref(col), rows)
				break
			}
		}
	}
	return math.Max(1, math.Min(n, rows))
}

func (c *optimizer) pair(n plan.Node, e *plan.Estimate, ins []*plan.Estimate, cost float64) {
	l, r := ins[0], ins[1]
	switch x := n.(type) {
	case *plan.NestedLoop:
		eqs, rest := split(x, x.On)
		e.Rows = c.equiRows(x.Type, eqs, c.acrossSel(rest, plan.OutputOf(x.Left), plan.OutputOf(x.Right)), l.Rows, r.Rows)
		e.TotalCost = cost + l.Rows*r.Rows*costCompare
		if len(eqs) > 0 {
			// It will become a hash join.
			e.TotalCost = math.Min(e.TotalCost, cost+r.Rows*costHash*2+l.Rows*costHash+e.Rows*0.05)
		}
	case *plan.HashJoin:
		eqs := make([]equality, len(x.LeftKeys))
		for i := range eqs {
			eqs[i] = equality{left: x.LeftKeys[i], right: x.RightKeys[i]}
		}
		e.Rows = c.equiRows(x.Type, eqs, c.acrossSel(x.Residual, plan.OutputOf(x.Left), plan.OutputOf(x.Right)), l.Rows, r.Rows)
		e.StartupCost = l.StartupCost + r.TotalCost + r.Rows*costHash*2
		e.TotalCost = cost + r.Rows*costHash*2 + l.Rows*costHash + e.Rows*0.05
	case *plan.MergeJoin:
		e.Rows = joinRows(x.Type, l.Rows, r.Rows, 1/math.Max(1, math.Max(l.Rows, r.Rows)))
		e.TotalCost = cost + (l.Rows+r.Rows)*costCompare
	case *plan.Apply:
		e.Rows = joinRows(x.Type, l.Rows, r.Rows, c.selectivity(x.On))
		e.TotalCost = l.TotalCost + math.Max(1, l.Rows)*r.TotalCost
		if len(x.Params) == 0 && len(plan.Free(x.Right)) == 0 {
			e.TotalCost = cost
		}
	case *plan.SetOp:
		e.Rows = l.Rows
		if x.Op == plan.Union {
			e.Rows = l.Rows + r.Rows
		}
		e.TotalCost = cost + (l.Rows+r.Rows)*costHash
	case *plan.RecursiveCTE:
		e.Rows, e.TotalCost = l.Rows*10, l.TotalCost+10*r.TotalCost
	case *plan.With:
		last := ins[len(ins)-1]
		e.Rows, e.TotalCost = last.Rows, cost
	}
}

func joinRows(t plan.JoinType, l, r, sel float64) float64 {
	inner := l * r * sel
	switch t {
	case plan.LeftJoin:
		return math.Max(inner, l)
	case plan.RightJoin:
		return math.Max(inner, r)
	case plan.FullJoin:
		return math.Max(inner, l+r)
	case plan.SemiJoin:
		return math.Min(l, math.Max(inner, l*0.1))
	case plan.AntiJoin:
		return math.Max(l-inner, l*0.1)
	case plan.MarkJoin, plan.ScalarJoin:
		return l
	}
	return inner
}

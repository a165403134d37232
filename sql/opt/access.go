package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// Costs, in units of decoding one row within a scan.
const (
	costRow     = 1.0
	costSeek    = 20.0 // one more span
	costFetch   = 12.0 // a row by its primary key after an index entry
	costCompare = 0.2
	costHash    = 0.6
)

// wideRow is the size in bytes from which an index counts as a narrower copy of
// its table.
const wideRow = 200

// chooseAccess gives every scan its index and spans.
func (c *optimizer) chooseAccess(n plan.Node) plan.Node {
	return plan.Rewrite(n, func(n plan.Node) plan.Node {
		switch x := n.(type) {
		case *plan.Scan:
			if len(x.Spans) == 0 {
				return c.access(x)
			}
		case *plan.VirtualScan:
			virtualEqs(x)
		}
		return n
	})
}

// constraint is what one conjunct says about one column of a scan.
type constraint struct {
	cond  int // place in Filter
	col   catalog.ColumnID
	strat int // 1 < 2 <= 3 = 4 >= 5 >; 0 for the rest
	value expr.Expr
	each  bool // = ANY(value)
	null  bool
	not   bool // IS NOT NULL
	list  []expr.Expr
}

// path is a way to read a table.
type path struct {
	index  *catalog.Index
	spans  []plan.Span
	used   map[int]bool // conjuncts that the spans make sure of
	eq     int          // index columns fixed by equality
	rows   float64
	cost   float64
	point  bool
	covers bool
}

func (c *optimizer) access(x *plan.Scan) plan.Node {
	cons := c.constraints(x)
	best := c.bestPath(x, cons)
	return c.applyPath(x, best)
}

func (c *optimizer) bestPath(x *plan.Scan, cons []constraint) *path {
	rows := c.tableRows(x.Table)
	best := &path{index: x.Table.PrimaryIndex(), rows: rows, cost: rows * costRow, covers: true}
	for i := range x.Table.Indexes {
		ix := &x.Table.Indexes[i]
		if !ix.State.Readable() || !c.predicateHolds(x, ix) {
			continue
		}
		p := c.indexPath(x, ix, cons, rows)
		if p != nil && p.better(best) {
			best = p
		}
	}
	return best
}

// better prefers a known single row, then the lower cost.
func (p *path) better(o *path) bool {
	if p.point != o.point {
		return p.point
	}
	return p.cost < o.cost || p.cost == o.cost && p.covers && !o.covers
}

// constraints reads the conjuncts of a scan that can restrict an index.
func (c *optimizer) constraints(x *plan.Scan) []constraint {
	cols := make(map[plan.ColID]catalog.ColumnID, len(x.Out))
	for i, o := range x.Out {
		cols[o.ID] = x.Read[i]
	}
	var out []constraint
	for i, e := range x.Filter {
		if k, ok := constraintOf(e, x, cols); ok {
			k.cond = i
			out = append(out, k)
		}
	}
	return out
}

func constraintOf(e expr.Expr, x *plan.Scan, cols map[plan.ColID]catalog.ColumnID) (constraint, bool) {
	column := func(e expr.Expr) (catalog.ColumnID, bool) {
		r, ok := stripRelabel(e).(*expr.ColumnRef)
		if !ok {
			return 0, false
		}
		id, ok := cols[r.ID]
		return id, ok
	}
	fixed := func(e expr.Expr) bool {
		ok := !isVolatile(e) && !expr.HasSubquery(e)
		expr.Columns(e, func(r *expr.ColumnRef) { _, own := cols[r.ID]; ok = ok && !own })
		return ok
	}
	switch n := e.(type) {
	case *expr.OpExpr:
		return opConstraint(n, x, column, fixed)
	case *expr.ScalarArrayOp:
		col, ok := column(n.Left)
		if !ok || n.All || pgfacts.StrategyOf(n.Op) != 3 || !fixed(n.Right) || !keyFits(x.Table, col, types.ElemOf(n.Right.Type().OID)) {
			return constraint{}, false
		}
		k := constraint{col: col, strat: 3, value: n.Right, each: true}
		if a, ok := n.Right.(*expr.ArrayExpr); ok && !a.Nested {
			k.list = a.Elems
		}
		return k, true
	case *expr.NullTest:
		if col, ok := column(n.Arg); ok && !n.Row {
			return constraint{col: col, null: !n.Not, not: n.Not}, true
		}
	case *expr.ColumnRef:
		if col, ok := column(n); ok {
			return constraint{col: col, strat: 3, value: &expr.Const{Value: types.NewBool(true), Typ: types.BoolType}}, true
		}
	case *expr.BoolExpr:
		if n.Op == expr.Not {
			if col, ok := column(n.Args[0]); ok {
				return constraint{col: col, strat: 3, value: &expr.Const{Value: types.NewBool(false), Typ: types.BoolType}}, true
			}
		}
	}
	return constraint{}, false
}

func opConstraint(n *expr.OpExpr, x *plan.Scan, column func(expr.Expr) (catalog.ColumnID, bool), fixed func(expr.Expr) bool) (constraint, bool) {
	strat := pgfacts.StrategyOf(n.Op)
	if strat == 0 || len(n.Args) != 2 {
		return constraint{}, false
	}
	if col, ok := column(n.Args[0]); ok && fixed(n.Args[1]) && keyFits(x.Table, col, n.Args[1].Type().OID) {
		return constraint{col: col, strat: strat, value: n.Args[1]}, true
	}
	if col, ok := column(n.Args[1]); ok && fixed(n.Args[0]) && keyFits(x.Table, col, n.Args[0].Type().OID) {
		return constraint{col: col, strat: 6 - strat, value: n.Args[0]}, true
	}
	return constraint{}, false
}

// keyFits reports whether a value of type t can be compared with stored keys of
// a column.
func keyFits(t *catalog.Table, col catalog.ColumnID, typ types.OID) bool {
	c, ok := t.Column(col)
	return ok && sameEquality(c.Type.OID, typ)
}

// predicateHolds reports whether a partial index has all rows that the scan
// wants: every conjunct of its predicate is a conjunct of the filter.
func (c *optimizer) predicateHolds(x *plan.Scan, ix *catalog.Index) bool {
	if ix.Predicate == nil {
		return true
	}
	byCol := make(map[plan.ColID]plan.Column)
	for i, o := range x.Out {
		byCol[plan.ColID(x.Read[i])] = o
	}
	for _, want := range expr.Conjuncts(nil, ix.Predicate.Tree) {
		missing := false
		w := expr.MapColumns(want, func(r *expr.ColumnRef) expr.Expr {
			o, ok := byCol[r.ID]
			if !ok {
				missing = true
				return r
			}
			return ref(o)
		})
		found := false
		for _, have := range x.Filter {
			found = found || sameExpr(have, w)
		}
		if missing || !found {
			return false
		}
	}
	return true
}

// indexPath builds the best spans that an index offers; nil if it is of no use.
func (c *optimizer) indexPath(x *plan.Scan, ix *catalog.Index, cons []constraint, rows float64) *path {
	p := &path{index: ix, used: make(map[int]bool), rows: rows, covers: covers(x, ix)}
	b := &spanBuilder{c: c, x: x, p: p, cons: cons, spans: []plan.Span{{}}}
	st := c.stats(x.Table)
	for _, k := range ix.Columns {
		if k.Column == 0 || !b.equality(k.Column, st) {
			break
		}
		p.eq++
	}
	ranged := false
	if p.eq < len(ix.Columns) && ix.Columns[p.eq].Column != 0 {
		ranged = b.bounds(ix.Columns[p.eq].Column, st)
	}
	unique := (ix.Unique || ix.OID == x.Table.Primary) && p.eq == len(ix.Columns) && !b.nulls
	if p.eq == 0 && !ranged {
		if ix.OID == x.Table.Primary || !p.covers || st == nil || st.AvgWidth < wideRow {
			return nil
		}
		// A narrower copy of the table; it pays where rows are wide, for an entry
		// costs nearly as much to decode as a narrow row.
		p.cost = rows * costRow * max(0.5, wideRow/(2*st.AvgWidth))
		return p
	}
	p.spans = b.spans
	n := float64(len(b.spans)) * b.each
	p.rows = math.Max(rows*b.sel, 1e-3)
	if unique {
		p.rows = math.Min(p.rows, n)
		p.point = len(b.spans) == 1 && b.each == 1
	}
	p.cost = n*costSeek + p.rows*costRow
	if !p.covers {
		p.cost += p.rows * costFetch
	}
	return p
}

// covers reports whether an index holds all columns that a scan puts out.
func covers(x *plan.Scan, ix *catalog.Index) bool {
	if ix.OID == x.Table.Primary {
		return true
	}
	have := make(map[catalog.ColumnID]bool)
	for _, k := range ix.Columns {
		have[k.Column] = true
	}
	for _, id := range ix.Include {
		have[id] = true
	}
	for _, k := range x.Table.PrimaryIndex().Columns {
		have[k.Column] = true
	}
	for _, id := range x.Read {
		if !have[id] {
			return false
		}
	}
	return true
}

// applyPath turns the scan into what the path says.
func (c *optimizer) applyPath(x *plan.Scan, p *path) plan.Node {
	all := x.Filter
	x.Filter = nil
	for i, e := range all {
		if !p.used[i] {
			x.Filter = append(x.Filter, e)
		}
	}
	x.Index = p.index
	c.learn(x)
	x.Est = plan.Estimate{Rows: p.rows * c.selectivity(x.Filter), TotalCost: p.cost}
	if p.point {
		key := make([]plan.Scalar, len(p.spans[0].Eq))
		for i, k := range p.spans[0].Eq {
			key[i] = k.Value
		}
		return &plan.PointGet{Base: x.Base, Table: x.Table, Index: p.index, Alias: x.Alias, Key: key, Read: x.Read,
			Filter: x.Filter, Lock: x.Lock, Fetch: !p.covers}
	}
	x.Spans = p.spans
	if p.covers {
		return x
	}
	return c.fetch(x)
}

// fetch splits a scan over an index that does not cover into the index scan
// and the reading of rows.
func (c *optimizer) fetch(x *plan.Scan) plan.Node {
	f := &plan.IndexFetch{Base: x.Base, Table: x.Table, Alias: x.Alias, Read: x.Read, Lock: x.Lock}
	have := make(map[catalog.ColumnID]plan.Column, len(x.Out))
	for i, id := range x.Read {
		have[id] = x.Out[i]
	}
	s := &plan.Scan{Table: x.Table, Index: x.Index, Alias: x.Alias, Spans: x.Spans, Lock: plan.Locking{}}
	add := func(id catalog.ColumnID) plan.ColID {
		for i, r := range s.Read {
			if r == id {
				return s.Out[i].ID
			}
		}
		o, ok := have[id]
		if ok {
			// The fetched row has this column under its own id.
			o.ID = c.newCol()
		} else if col, found := x.Table.Column(id); found {
			o = plan.Column{ID: c.newCol(), Name: col.Name, Type: col.Type}
		}
		s.Out, s.Read = append(s.Out, o), append(s.Read, id)
		return o.ID
	}
	for _, k := range x.Table.PrimaryIndex().Columns {
		f.Key = append(f.Key, add(k.Column))
	}
	c.splitFilter(x, s, f, have, add)
	// The path's cost counts the fetch, which is the other node's.
	s.Est = plan.Estimate{Rows: x.Est.Rows, TotalCost: x.Est.TotalCost / 2}
	f.Est = plan.Estimate{}
	f.Input = s
	return f
}

// splitFilter evaluates the conditions that the index's columns suffice for
// before the rows are read.
func (c *optimizer) splitFilter(x, s *plan.Scan, f *plan.IndexFetch, have map[catalog.ColumnID]plan.Column, add func(catalog.ColumnID) plan.ColID) {
	inIndex := make(map[catalog.ColumnID]bool)
	for _, k := range x.Index.Columns {
		inIndex[k.Column] = k.Column != 0
	}
	for _, id := range x.Index.Include {
		inIndex[id] = true
	}
	for _, k := range x.Table.PrimaryIndex().Columns {
		inIndex[k.Column] = true
	}
	colOf := make(map[plan.ColID]catalog.ColumnID, len(have))
	for id, o := range have {
		colOf[o.ID] = id
	}
	for _, e := range x.Filter {
		ok := !mayRaise(e)
		expr.Columns(e, func(r *expr.ColumnRef) {
			if id, own := colOf[r.ID]; own {
				ok = ok && inIndex[id]
			}
		})
		if !ok {
			f.Filter = append(f.Filter, e)
			continue
		}
		s.Filter = append(s.Filter, expr.MapColumns(e, func(r *expr.ColumnRef) expr.Expr {
			id, own := colOf[r.ID]
			if !own {
				return r
			}
			m := *r
			m.ID = add(id)
			return &m
		}))
	}
}

// virtualEqs offers equalities on columns of a virtual table to its producer.
func virtualEqs(x *plan.VirtualScan) {
	cols := make(map[plan.ColID]catalog.ColumnID, len(x.Out))
	for i, o := range x.Out {
		cols[o.ID] = x.Read[i]
	}
	for _, e := range x.Filter {
		o, ok := e.(*expr.OpExpr)
		if !ok || len(o.Args) != 2 || pgfacts.StrategyOf(o.Op) != 3 {
			continue
		}
		for i, a := range o.Args {
			r, ok := stripRelabel(a).(*expr.ColumnRef)
			if !ok {
				continue
			}
			id, own := cols[r.ID]
			v := o.Args[1-i]
			free := true
			expr.Columns(v, func(r *expr.ColumnRef) { _, own := cols[r.ID]; free = free && !own })
			if own && free && !isVolatile(v) {
				x.Eq = append(x.Eq, plan.VirtualEq{Column: id, Value: v})
				break
			}
		}
	}
}

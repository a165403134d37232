package opt

import (
	"math"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// maxSpans bounds the product of IN lists over several columns; beyond, a list
// stays a filter.
const maxSpans = 1000

// spanBuilder turns constraints into spans of one index, column by column.
type spanBuilder struct {
	c     *optimizer
	x     *plan.Scan
	p     *path
	cons  []constraint
	spans []plan.Span
	each  float64 // expected elements of array keys
	sel   float64
	nulls bool
	began bool
}

func (b *spanBuilder) begin() {
	if !b.began {
		b.began, b.each, b.sel = true, 1, 1
	}
}

// equality extends all spans by the equality on a column, if there is one.
func (b *spanBuilder) equality(col catalog.ColumnID, st *stats.Table) bool {
	b.begin()
	k := b.pickEquality(col)
	if k == nil {
		return false
	}
	cs := st.Column(col)
	rows := b.c.tableRows(b.x.Table)
	switch {
	case k.null:
		b.extend(plan.SpanKey{Null: true})
		b.nulls = true
		b.sel *= cs.Null()
	case k.list != nil:
		var next []plan.Span
		for _, s := range b.spans {
			for _, e := range k.list {
				n := s
				n.Eq = append(append([]plan.SpanKey(nil), s.Eq...), plan.SpanKey{Value: e})
				next = append(next, n)
			}
		}
		b.spans = next
		sum := 0.0
		for _, e := range k.list {
			sum += eqSel(cs, e, rows)
		}
		b.sel *= math.Min(sum, 1)
	case k.each:
		b.extend(plan.SpanKey{Value: k.value, Each: true})
		b.each *= 10
		b.sel *= math.Min(10*eqSel(cs, nil, rows), 1)
	default:
		b.extend(plan.SpanKey{Value: k.value})
		b.sel *= eqSel(cs, k.value, rows)
	}
	b.p.used[k.cond] = true
	return true
}

// pickEquality chooses the narrowest equality on a column.
func (b *spanBuilder) pickEquality(col catalog.ColumnID) *constraint {
	var best *constraint
	for i := range b.cons {
		k := &b.cons[i]
		if k.col != col || k.strat != 3 && !k.null {
			continue
		}
		if k.list != nil && len(b.spans)*len(k.list) > maxSpans {
			continue
		}
		if k.each && k.list == nil && b.each > 1 {
			continue // one array is enough: the product is not known
		}
		if best == nil || best.each && !k.each {
			best = k
		}
	}
	return best
}

func (b *spanBuilder) extend(k plan.SpanKey) {
	for i := range b.spans {
		b.spans[i].Eq = append(b.spans[i].Eq, k)
	}
}

// bounds restricts all spans by ranges on a column.
func (b *spanBuilder) bounds(col catalog.ColumnID, st *stats.Table) bool {
	b.begin()
	var low, high *plan.Bound
	notNull := false
	for i := range b.cons {
		k := &b.cons[i]
		if k.col != col {
			continue
		}
		switch {
		case k.not:
			notNull = true
			b.p.used[k.cond] = true
		case (k.strat == 4 || k.strat == 5) && low == nil:
			low = &plan.Bound{Value: k.value, Inclusive: k.strat == 4}
			b.p.used[k.cond] = true
		case (k.strat == 1 || k.strat == 2) && high == nil:
			high = &plan.Bound{Value: k.value, Inclusive: k.strat == 2}
			b.p.used[k.cond] = true
		}
	}
	if low == nil && high == nil && !notNull {
		return false
	}
	for i := range b.spans {
		b.spans[i].Low, b.spans[i].High, b.spans[i].NotNull = low, high, low == nil && high == nil
	}
	b.sel *= rangeSel(st.Column(col), low, high)
	return true
}

func eqSel(cs *stats.Column, v expr.Expr, rows float64) float64 {
	if k, ok := v.(*expr.Const); ok && cs != nil {
		return cs.Eq(k.Value, rows)
	}
	return cs.EqUnknown(rows)
}

func rangeSel(cs *stats.Column, low, high *plan.Bound) float64 {
	value := func(b *plan.Bound) (types.Datum, bool) {
		if b == nil {
			return types.Null, true
		}
		k, ok := b.Value.(*expr.Const)
		if !ok {
			return types.Null, false
		}
		return k.Value, true
	}
	lo, lok := value(low)
	hi, hok := value(high)
	if !lok || !hok {
		if low != nil && high != nil {
			return stats.DefaultInterval
		}
		return stats.DefaultRange
	}
	return cs.Range(lo, hi, low != nil && low.Inclusive, high != nil && high.Inclusive)
}

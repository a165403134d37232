package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// checkAggregate refuses aggregates of q where they make no sense; own says that
// they stand in q itself, not in a subquery.
func (q *query) checkAggregate(loc int, own bool) error {
	if q.inAgg > 0 {
		return types.Errorf(types.CodeGroupingError, "aggregate function calls cannot be nested").At(position(loc))
	}
	switch q.clause {
	case clauseSelect, clauseHaving, clauseOrderBy, clauseDistinctOn, clausePartition, clauseWindowOrder, clauseFrame:
		return nil
	case clauseNone, clauseFrom:
		if !own {
			return types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed in FROM clause of their own query level").At(position(loc))
		}
	case clauseJoin:
		return types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed in JOIN conditions").At(position(loc))
	case clauseFilter:
		return types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed in FILTER").At(position(loc))
	}
	return types.Errorf(types.CodeGroupingError, "aggregate functions are not allowed in %s", clauseNames[q.clause]).At(position(loc))
}

func (q *query) aggregate(n *ast.FuncCall, m *pgfacts.FuncMatch, args []expr.Expr, direct int, ordered []expr.SortKey) (expr.Expr, error) {
	agg := &expr.AggRef{Func: m.Proc.OID, Name: m.Proc.Name, Args: args, Star: n.AggStar, Distinct: n.AggDistinct,
		Typ: types.Of(m.Ret), Collation: inputCollation(args...), Location: position(n.Location)}
	if !n.AggStar && len(args) == 0 && m.Proc.NArgs == 0 {
		return nil, types.Errorf(types.CodeWrongObjectType, "%s(*) must be used to call a parameterless aggregate function", m.Proc.Name).At(position(n.Location))
	}
	f, ok := pgfacts.AggregateByOID(m.Proc.OID)
	switch {
	case n.AggWithinGroup && ok && f.Kind == 'n':
		return nil, types.Errorf(types.CodeWrongObjectType, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", m.Proc.Name).At(position(n.Location))
	case n.AggWithinGroup:
		if err := q.orderedSet(agg, f, direct, ordered); err != nil {
			return nil, err
		}
	case ok && f.Kind != 'n':
		return nil, types.Errorf(types.CodeWrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", m.Proc.Name).At(position(n.Location))
	default:
		q.inAgg++
		keys, err := q.aggOrder(n.AggOrder)
		q.inAgg--
		if err != nil {
			return nil, err
		}
		agg.OrderBy = keys
	}
	if n.AggDistinct {
		if err := checkAggDistinct(agg); err != nil {
			return nil, err
		}
	}
	filter, err := q.aggFilter(n)
	if err != nil {
		return nil, err
	}
	agg.Filter = filter
	owner := q.ownerOf(agg)
	if err := owner.checkAggregate(n.Location, owner == q); err != nil {
		return nil, err
	}
	owner.hasAgg = true
	if owner != q {
		return owner.adopt(agg), nil
	}
	return agg, nil
}

// orderedSet takes the arguments of an aggregate with WITHIN GROUP apart. What a
// hypothetical row has is brought to the types of what it is ranked among.
func (q *query) orderedSet(agg *expr.AggRef, f *pgfacts.Aggregate, direct int, ordered []expr.SortKey) error {
	agg.Direct, agg.Args = agg.Args[:direct], agg.Args[direct:]
	if f != nil && f.Kind == 'h' {
		if len(agg.Direct) != len(agg.Args) {
			return types.Errorf(types.CodeUndefinedFunction, "function %s does not exist", pgfacts.Signature(pgfacts.FuncCall{Name: agg.Name, Args: typesOf(agg.Direct, agg.Args)})).
				WithHint("To use the hypothetical-set aggregate %s, the number of hypothetical direct arguments (here %d) must match the number of ordering columns (here %d).",
					agg.Name, len(agg.Direct), len(agg.Args)).At(agg.Location)
		}
		for i, d := range agg.Direct {
			both, _, err := q.b.common("WITHIN GROUP", []expr.Expr{agg.Args[i], d}, -1)
			if err != nil {
				return err
			}
			agg.Args[i], agg.Direct[i] = both[0], both[1]
		}
	}
	for i := range ordered {
		ordered[i].Arg = agg.Args[i]
	}
	agg.OrderBy = ordered
	return nil
}

func typesOf(lists ...[]expr.Expr) []types.OID {
	var out []types.OID
	for _, es := range lists {
		for _, e := range es {
			out = append(out, e.Type().OID)
		}
	}
	return out
}

// ownerOf returns the query that an aggregate is computed by: the innermost one
// whose columns it takes, which may be an enclosing one.
func (q *query) ownerOf(agg *expr.AggRef) *query {
	used := make(plan.ColSet)
	for _, e := range agg.Args {
		addUsed(used, e)
	}
	for _, k := range agg.OrderBy {
		addUsed(used, k.Arg)
	}
	addUsed(used, agg.Filter)
	for level := q; level != nil; level = level.parent {
		for id := range used {
			if level.owns(id) {
				return level
			}
		}
	}
	return q
}

// owns reports whether a column comes from the query's FROM or is an aggregate
// of it.
func (q *query) owns(id plan.ColID) bool {
	for _, l := range q.outerAggs {
		if l.Out.ID == id {
			return true
		}
	}
	found := false
	for _, it := range q.items {
		for i := range it.cols {
			if c := &it.cols[i]; c.merged != nil {
				expr.Columns(c.merged, func(r *expr.ColumnRef) { found = found || r.ID == id })
			} else {
				found = found || c.id == id
			}
		}
	}
	return found
}

// adopt makes an aggregate that stands in a subquery one of q.
func (q *query) adopt(agg *expr.AggRef) expr.Expr {
	for _, l := range q.outerAggs {
		if equal(l.Call, agg) {
			return q.b.ref(l.Out.ID, l.Out.Type)
		}
	}
	id := q.b.newCol(agg.Name, agg.Typ)
	q.outerAggs = append(q.outerAggs, plan.AggCall{Call: agg, Out: plan.Column{ID: id, Name: agg.Name, Type: agg.Typ}})
	return q.b.ref(id, agg.Typ)
}

func checkAggDistinct(agg *expr.AggRef) error {
	for _, k := range agg.OrderBy {
		found := false
		for _, a := range agg.Args {
			found = found || equal(a, k.Arg)
		}
		if !found {
			return types.Errorf(types.CodeInvalidColumnReference,
				"in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list").At(expr.LocationOf(k.Arg))
		}
	}
	for _, a := range agg.Args {
		if ops, ok := pgfacts.DefaultBtree(a.Type().OID); !ok || ops.Equal == 0 {
			return types.Errorf(types.CodeUndefinedFunction, "could not identify an equality operator for type %s",
				types.Format(a.Type().OID, -1)).At(expr.LocationOf(a))
		}
	}
	return nil
}

func (q *query) aggFilter(n *ast.FuncCall) (expr.Expr, error) {
	if n.AggFilter == nil {
		return nil, nil
	}
	saved := q.clause
	q.clause = clauseFilter
	defer func() { q.clause = saved }()
	f, err := q.expr(n.AggFilter)
	if err != nil {
		return nil, err
	}
	return q.b.boolean(f, "FILTER")
}

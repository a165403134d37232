package bind

import (
	"strconv"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

func itoa(i int) string { return strconv.Itoa(i) }

// entry finds what an ORDER BY, GROUP BY or DISTINCT ON entry means by SQL-92's
// rules: an output name or a position. ok is false if it is an expression.
func (s *selecting) entry(n ast.Node, what string) (i int, ok bool, err error) {
	switch n := n.(type) {
	case *ast.ColumnRef:
		names := stringsOf(n.Fields)
		if len(n.Fields) != 1 || len(names) != 1 {
			return 0, false, nil
		}
		if what == "GROUP BY" && s.hasColumn(names[0]) {
			return 0, false, nil
		}
		found := -1
		for i, t := range s.targets {
			if t.junk || t.name != names[0] {
				continue
			}
			if found >= 0 && !equal(s.targets[found].e, t.e) {
				return 0, false, types.Errorf(types.CodeAmbiguousColumn, "%s \"%s\" is ambiguous", what, names[0]).At(position(n.Location))
			}
			if found < 0 {
				found = i
			}
		}
		return found, found >= 0, nil
	case *ast.A_Const:
		v, isInt := n.Val.(*ast.Integer)
		if !isInt {
			return 0, false, types.Errorf(types.CodeSyntaxError, "non-integer constant in %s", what).At(position(n.Location))
		}
		at := 0
		for i, t := range s.targets {
			if t.junk {
				continue
			}
			if at++; at == int(v.Ival) {
				return i, true, nil
			}
		}
		return 0, false, types.Errorf(types.CodeInvalidColumnReference, "%s position %d is not in select list", what, v.Ival).At(position(n.Location))
	}
	return 0, false, nil
}

func (s *selecting) hasColumn(name string) bool {
	for _, it := range s.items {
		if !it.colsVisible {
			continue
		}
		for i := range it.cols {
			if it.cols[i].name == name && !it.cols[i].hidden {
				return true
			}
		}
	}
	return false
}

// place finds or adds the select-list entry for an ORDER BY or DISTINCT ON
// expression.
func (s *selecting) place(n ast.Node, what string, c clause) (int, error) {
	if i, ok, err := s.entry(n, what); ok || err != nil {
		return i, err
	}
	saved := s.clause
	s.clause = c
	defer func() { s.clause = saved }()
	e, err := s.expr(n)
	if err != nil {
		return 0, err
	}
	for i, t := range s.targets {
		if equal(t.e, e) {
			return i, nil
		}
	}
	s.targets = append(s.targets, target{name: "?column?", e: e, loc: -1, junk: true})
	return len(s.targets) - 1, nil
}

func (s *selecting) orderBy(ns []ast.Node) ([]order, error) {
	var out []order
	for _, n := range ns {
		sb, ok := n.(*ast.SortBy)
		if !ok {
			return nil, unsupported(n, -1)
		}
		i, err := s.place(sb.Node, "ORDER BY", clauseOrderBy)
		if err != nil {
			return nil, err
		}
		if s.targets[i].e, err = s.b.resolveUnknown(s.targets[i].e); err != nil {
			return nil, err
		}
		k, err := s.b.sortKey(s.targets[i].e, sb)
		if err != nil {
			return nil, err
		}
		out = append(out, order{i, k})
	}
	return out, nil
}

func (s *selecting) bindDistinct(ns []ast.Node) error {
	if len(ns) == 0 {
		return nil
	}
	s.distinct = true
	if len(ns) == 1 && ns[0] == nil {
		for _, o := range s.orders {
			if s.targets[o.target].junk {
				return types.Errorf(types.CodeInvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list").
					At(expr.LocationOf(s.targets[o.target].e))
			}
		}
		for i, t := range s.targets {
			e, err := s.b.resolveUnknown(t.e)
			if err != nil {
				return err
			}
			s.targets[i].e = e
			if err := groupable(e); err != nil {
				return err
			}
		}
		return nil
	}
	seen := make(map[int]bool)
	for _, n := range ns {
		i, err := s.place(n, "DISTINCT ON", clauseDistinctOn)
		if err != nil {
			return err
		}
		if s.targets[i].e, err = s.b.resolveUnknown(s.targets[i].e); err != nil {
			return err
		}
		if !seen[i] {
			seen[i] = true
			s.distinctOn = append(s.distinctOn, i)
		}
	}
	covered := 0
	for k, o := range s.orders {
		if k >= len(seen) && covered == len(seen) {
			break
		}
		if !seen[o.target] {
			if covered < len(seen) {
				return types.Errorf(types.CodeInvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions").
					At(position(locationOf(ns[0])))
			}
			break
		}
		covered++
	}
	return nil
}

func groupable(e expr.Expr) error {
	t := e.Type().OID
	if t == types.RecordOID {
		return nil
	}
	if ops, ok := pgfacts.DefaultBtree(t); !ok || ops.Equal == 0 {
		return types.Errorf(types.CodeUndefinedFunction, "could not identify an equality operator for type %s", types.Format(t, -1)).At(expr.LocationOf(e))
	}
	return nil
}

// queryTail applies ORDER BY and LIMIT to a set operation or VALUES, whose
// output names are all there is to order by.
func (q *query) queryTail(rel *relation, st *ast.SelectStmt) (*relation, error) {
	s := &selecting{query: q, stmt: st, node: rel.node}
	for _, c := range rel.cols {
		s.targets = append(s.targets, target{name: c.name, e: q.b.ref(c.id, c.typ), loc: -1})
	}
	out := shownAs("", rel)
	if out.colsVisible = true; len(st.ValuesLists) > 0 {
		out.alias, out.relVisible = "*VALUES*", true
	}
	q.items = append(q.items, out)
	var err error
	if s.orders, err = s.tailOrder(st.SortClause); err != nil {
		return nil, err
	}
	if s.offset, err = s.limit(st.LimitOffset, clauseOffset); err != nil {
		return nil, err
	}
	if s.count, err = s.limit(st.LimitCount, clauseLimit); err != nil {
		return nil, err
	}
	if len(st.LockingClause) > 0 {
		what := "UNION/INTERSECT/EXCEPT"
		if len(st.ValuesLists) > 0 {
			what = "VALUES"
			return nil, types.Errorf(types.CodeFeatureNotSupported, "%s cannot be applied to %s", lockName(st.LockingClause[0]), what)
		}
		return nil, types.Errorf(types.CodeFeatureNotSupported, "%s is not allowed with %s", lockName(st.LockingClause[0]), what)
	}
	if len(s.orders) == 0 && s.count == nil && s.offset == nil {
		return rel, nil
	}
	cols, node := rel.cols, rel.node
	if len(s.targets) > len(cols) { // VALUES ordered by expressions
		s.node = node
		cols, _ = s.project(nil)
		node = s.node
	}
	keys := s.sortKeys(cols)
	if len(keys) > 0 {
		node = &plan.Sort{Base: plan.Base{Out: node.Columns()}, Input: node, Keys: keys}
	}
	if s.count != nil || s.offset != nil {
		node = s.limitNode(node, keys)
	}
	tail := &relation{node, cols[:len(rel.cols)]}
	tail.node = narrow(tail)
	return tail, nil
}

// tailOrder binds ORDER BY of a set operation, which takes output columns alone,
// or of VALUES, which takes expressions over them, too.
func (s *selecting) tailOrder(ns []ast.Node) ([]order, error) {
	if len(s.stmt.ValuesLists) > 0 {
		return s.orderBy(ns)
	}
	for _, n := range ns {
		sb, ok := n.(*ast.SortBy)
		if !ok {
			continue
		}
		if _, ok, err := s.entry(sb.Node, "ORDER BY"); err != nil {
			return nil, err
		} else if ok {
			continue
		}
		saved := s.clause
		s.clause = clauseOrderBy
		e, err := s.expr(sb.Node)
		if s.clause = saved; err != nil {
			return nil, err
		}
		return nil, types.Errorf(types.CodeFeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause").
			WithDetail("Only result column names can be used, not expressions or functions.").
			WithHint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.").At(expr.LocationOf(e))
	}
	return s.orderBy(ns)
}

// locationOf returns where an expression of the syntax tree begins, -1 unknown.
func locationOf(n ast.Node) int {
	loc := -1
	ast.Walk(n, func(x ast.Node) bool {
		l := -1
		switch x := x.(type) {
		case *ast.ColumnRef:
			l = x.Location
		case *ast.A_Const:
			l = x.Location
		case *ast.FuncCall:
			l = x.Location
		case *ast.ParamRef:
			l = x.Location
		case *ast.LiftedConst:
			l = x.Location
		}
		if l >= 0 && (loc < 0 || l < loc) {
			loc = l
		}
		return true
	})
	return loc
}

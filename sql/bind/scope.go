package bind

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// item is an entry of a query's FROM list, or what a join makes of two.
type item struct {
	alias  string
	schema string // set for a table without an alias: schema.table.column works
	cols   []column
	// relVisible entries may qualify a column; colsVisible ones give their
	// columns to unqualified names and to *.
	relVisible, colsVisible bool
	// lateralOnly entries are on the left side of a join whose right side is
	// being bound; they may be used by LATERAL only, and not at all if
	// lateralBad (the join is RIGHT or FULL).
	lateralOnly, lateralBad bool
	scan                    *plan.Scan // of a base table
	table                   *catalog.Table
}

// column is a column that a FROM entry shows.
type column struct {
	name string
	id   plan.ColID
	typ  types.Type
	// attr is the column's id in its table or view.
	attr   catalog.ColumnID
	hidden bool
	// apart keeps a column out of *.
	apart bool
	// merged is set for a column of FULL JOIN USING, which is an expression
	// over both sides.
	merged expr.Expr
}

// clause says where in a query an expression stands, for errors.
type clause uint8

const (
	clauseNone clause = iota
	clauseSelect
	clauseWhere
	clauseHaving
	clauseGroupBy
	clauseOrderBy
	clauseJoin
	clauseFrom
	clauseLimit
	clauseOffset
	clauseValues
	clauseReturning
	clauseUpdate
	clauseInsert
	clauseCheck
	clauseDefault
	clauseIndex
	clauseFilter
	clauseDistinctOn
	clausePartition
	clauseWindowOrder
	clauseFrame
	clausePolicy
)

var clauseNames = [...]string{
	clauseNone: "this context", clauseSelect: "SELECT", clauseWhere: "WHERE", clauseHaving: "HAVING",
	clauseGroupBy: "GROUP BY", clauseOrderBy: "ORDER BY", clauseJoin: "JOIN conditions", clauseFrom: "functions in FROM",
	clauseLimit: "LIMIT", clauseOffset: "OFFSET", clauseValues: "VALUES", clauseReturning: "RETURNING",
	clauseUpdate: "UPDATE", clauseInsert: "INSERT", clauseCheck: "check constraints", clauseDefault: "DEFAULT expressions",
	clauseIndex: "index expressions", clauseFilter: "FILTER", clauseDistinctOn: "DISTINCT ON",
	clausePartition: "window PARTITION BY", clauseWindowOrder: "window ORDER BY", clauseFrame: "window frame",
	clausePolicy: "policy expressions",
}

// query is one level of a statement: its name space and what its expressions
// were found to contain.
type query struct {
	b      *binder
	parent *query
	items  []*item
	ctes   []*cte
	clause clause
	// lateral is set while the right side of a join or a LATERAL entry is
	// bound: entries that are lateralOnly may be used.
	lateral  bool
	windows  map[string]*ast.WindowDef
	inAgg    int
	inWindow int
	hasAgg   bool
	// recurses is set while FROM names the recursive query that this one is the
	// step of.
	recurses bool
	// withNames are the names that the query's own WITH gives, also those that
	// are not in scope yet.
	withNames []string
	hasWindow bool
	hasSRF    bool
	grouping  []*groupingRef
	// outerAggs are aggregates of the query that stand in its subqueries.
	outerAggs []plan.AggCall
	// caseTest marks that a set-returning function would be conditional.
	conditional int
}

// groupingRef is a GROUPING(...) call, waiting for the grouping columns.
type groupingRef struct {
	param *expr.Param
	args  []expr.Expr
	loc   int
}

func (b *binder) newQuery(parent *query) *query {
	return &query{b: b, parent: parent}
}

func stringsOf(ns []ast.Node) []string {
	out := make([]string, 0, len(ns))
	for _, n := range ns {
		if s, ok := n.(*ast.String); ok {
			out = append(out, s.Sval)
		}
	}
	return out
}

// columnRef resolves a column reference that is not a star.
func (q *query) columnRef(n *ast.ColumnRef) (expr.Expr, error) {
	names := stringsOf(n.Fields)
	if len(names) != len(n.Fields) {
		return q.starRow(names, n.Location)
	}
	switch len(names) {
	case 1:
		return q.unqualified(names[0], n.Location)
	case 2:
		return q.qualified("", names[0], names[1], n.Location)
	case 3:
		return q.qualified(names[0], names[1], names[2], n.Location)
	case 4:
		return q.qualified(names[1], names[2], names[3], n.Location)
	}
	return nil, types.Errorf(types.CodeSyntaxError, "improper qualified name (too many dotted names): %s",
		strings.Join(names, ".")).At(position(n.Location))
}

func (q *query) unqualified(name string, loc int) (expr.Expr, error) {
	for level := q; level != nil; level = level.parent {
		e, err := level.columnHere(name, loc)
		if err != nil || e != nil {
			return e, err
		}
	}
	for level := q; level != nil; level = level.parent {
		for _, it := range level.items {
			if e := systemColumn(it, name, loc); e != nil && it.colsVisible {
				return e, nil
			}
		}
	}
	// A bare table name means its whole row.
	for level := q; level != nil; level = level.parent {
		for _, it := range level.items {
			if it.relVisible && it.alias == name {
				return level.wholeRow(it, loc)
			}
		}
	}
	return nil, q.missingColumn("", name, loc)
}

func (q *query) columnHere(name string, loc int) (expr.Expr, error) {
	var found expr.Expr
	for _, it := range q.items {
		if !it.colsVisible || it.lateralOnly && !q.lateral {
			continue
		}
		for i := range it.cols {
			c := &it.cols[i]
			if c.name != name || c.hidden {
				continue
			}
			if found != nil {
				return nil, types.Errorf(types.CodeAmbiguousColumn, "column reference \"%s\" is ambiguous", name).At(position(loc))
			}
			if err := it.usable(loc); err != nil {
				return nil, err
			}
			found = q.use(c, loc)
		}
	}
	return found, nil
}

func (it *item) usable(loc int) error {
	if it.lateralOnly && it.lateralBad {
		return types.Errorf(types.CodeInvalidColumnReference, "invalid reference to FROM-clause entry for table \"%s\"", it.alias).
			WithDetail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.").At(position(loc))
	}
	return nil
}

func (q *query) use(c *column, loc int) expr.Expr {
	if t := q.b.tracing(); t != nil {
		t.used[c.id] = true
	}
	if w := q.b.rows[c.id]; w != nil {
		w.reads = true
	}
	if c.merged != nil {
		return c.merged
	}
	r := q.b.ref(c.id, c.typ)
	r.Location = position(loc)
	return r
}

func (q *query) findItem(schema, name string, loc int) (*item, *query, error) {
	for level := q; level != nil; level = level.parent {
		var found *item
		for _, it := range level.items {
			if !it.relVisible || it.alias != name || it.lateralOnly && !level.lateral {
				continue
			}
			if schema != "" && it.schema != schema {
				continue
			}
			if found != nil {
				return nil, nil, types.Errorf(types.CodeAmbiguousAlias, "table reference \"%s\" is ambiguous", name).At(position(loc))
			}
			found = it
		}
		if found != nil {
			return found, level, found.usable(loc)
		}
	}
	return nil, nil, nil
}

func (q *query) qualified(schema, table, name string, loc int) (expr.Expr, error) {
	it, level, err := q.findItem(schema, table, loc)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, q.missingItem(table, loc)
	}
	var found expr.Expr
	for i := range it.cols {
		if c := &it.cols[i]; c.name == name && !c.hidden {
			if found != nil {
				return nil, types.Errorf(types.CodeAmbiguousColumn, "column reference \"%s\" is ambiguous", name).At(position(loc))
			}
			found = level.use(c, loc)
		}
	}
	if found == nil {
		if found = systemColumn(it, name, loc); found == nil {
			return nil, q.missingColumn(table, name, loc)
		}
	}
	return found, nil
}

// systemColumn gives the one system column there is: which table a row is from.
func systemColumn(it *item, name string, loc int) expr.Expr {
	if name != "tableoid" || it.table == nil {
		return nil
	}
	return &expr.Const{Value: types.NewInt(int64(it.table.ID)), Typ: types.OIDType, Location: position(loc)}
}

// missingItem explains why a qualifier names nothing.
func (q *query) missingItem(table string, loc int) error {
	for level := q; level != nil; level = level.parent {
		for _, it := range level.items {
			if it.alias == table && (it.lateralOnly || !it.relVisible) {
				return types.Errorf(types.CodeUndefinedTable, "invalid reference to FROM-clause entry for table \"%s\"", table).
					WithHint("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", table).At(position(loc))
			}
			if it.table != nil && it.table.Name == table && it.alias != table {
				return types.Errorf(types.CodeUndefinedTable, "invalid reference to FROM-clause entry for table \"%s\"", table).
					WithHint("Perhaps you meant to reference the table alias \"%s\".", it.alias).At(position(loc))
			}
		}
	}
	return types.Errorf(types.CodeUndefinedTable, "missing FROM-clause entry for table \"%s\"", table).At(position(loc))
}

func (q *query) wholeRow(it *item, loc int) (expr.Expr, error) {
	row := &expr.RowExpr{Typ: types.RecordType, Location: position(loc), Table: it.alias}
	for i := range it.cols {
		if c := &it.cols[i]; !c.hidden && !c.apart {
			row.Fields = append(row.Fields, q.use(c, loc))
			row.Names = append(row.Names, c.name)
		}
	}
	return row, nil
}

// starRow makes table.* one value where it does not stand for several.
func (q *query) starRow(names []string, loc int) (expr.Expr, error) {
	if len(names) == 0 {
		return nil, types.Errorf(types.CodeSyntaxError, "row expansion via \"*\" is not supported here").At(position(loc))
	}
	schema, table := "", names[len(names)-1]
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	it, level, err := q.findItem(schema, table, loc)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, q.missingItem(table, loc)
	}
	return level.wholeRow(it, loc)
}

// star expands * and table.* into columns.
func (q *query) star(n *ast.ColumnRef) ([]target, error) {
	names := stringsOf(n.Fields[:len(n.Fields)-1])
	var out []target
	add := func(level *query, it *item) {
		if t := q.b.tracing(); t != nil {
			t.star(n, level, it)
		}
		for i := range it.cols {
			if c := &it.cols[i]; !c.hidden && !c.apart {
				out = append(out, target{name: c.name, e: level.use(c, n.Location), loc: n.Location})
			}
		}
	}
	if len(names) == 0 {
		any := false
		for _, it := range q.items {
			if it.colsVisible && !it.lateralOnly {
				any = true
				add(q, it)
			}
		}
		if !any {
			return nil, types.Errorf(types.CodeSyntaxError, "SELECT * with no tables specified is not valid").At(position(n.Location))
		}
		return out, nil
	}
	schema := ""
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	it, level, err := q.findItem(schema, names[len(names)-1], n.Location)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, q.missingItem(names[len(names)-1], n.Location)
	}
	add(level, it)
	return out, nil
}

func isStar(n ast.Node) (*ast.ColumnRef, bool) {
	c, ok := n.(*ast.ColumnRef)
	if !ok || len(c.Fields) == 0 {
		return nil, false
	}
	_, ok = c.Fields[len(c.Fields)-1].(*ast.A_Star)
	return c, ok
}

package parse

import (
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/pamirdb/pamir/sql/ast"
)

// mysqlLowerer lowers one statement of the MySQL grammar. The first thing
// without a counterpart is kept as its error.
type mysqlLowerer struct {
	err error
}

func (l *mysqlLowerer) refuse(format string, args ...any) {
	if l.err == nil {
		l.err = unsupportedMySQL(format, args...)
	}
}

func (l *mysqlLowerer) statement(st sqlparser.Statement) ast.Node {
	switch st := st.(type) {
	case sqlparser.SelectStatement:
		return l.query(st)
	case *sqlparser.Insert:
		return l.insert(st)
	case *sqlparser.Update:
		return l.update(st)
	case *sqlparser.Delete:
		return l.delete(st)
	case *sqlparser.Begin:
		return &ast.TransactionStmt{Kind: ast.TRANS_STMT_BEGIN, Location: -1}
	case *sqlparser.Commit:
		return &ast.TransactionStmt{Kind: ast.TRANS_STMT_COMMIT, Location: -1}
	case *sqlparser.Rollback:
		return &ast.TransactionStmt{Kind: ast.TRANS_STMT_ROLLBACK, Location: -1}
	}
	l.refuse("statement %T is not supported", st)
	return nil
}

func (l *mysqlLowerer) query(st sqlparser.SelectStatement) *ast.SelectStmt {
	switch st := st.(type) {
	case *sqlparser.Select:
		return l.selectStmt(st)
	case *sqlparser.ParenSelect:
		return l.query(st.Select)
	case *sqlparser.Union:
		out := &ast.SelectStmt{
			Op: ast.SETOP_UNION, All: st.Type == sqlparser.UnionAllStr,
			Larg: l.query(st.Left), Rarg: l.query(st.Right),
			SortClause: l.orderBy(st.OrderBy),
		}
		l.limit(out, st.Limit)
		return out
	}
	l.refuse("query %T is not supported", st)
	return &ast.SelectStmt{}
}

func (l *mysqlLowerer) selectStmt(st *sqlparser.Select) *ast.SelectStmt {
	out := &ast.SelectStmt{
		Op:            ast.SETOP_NONE,
		TargetList:    l.targets(st.SelectExprs),
		FromClause:    l.tables(st.From),
		WhereClause:   l.where(st.Where),
		HavingClause:  l.where(st.Having),
		SortClause:    l.orderBy(st.OrderBy),
		GroupDistinct: false,
	}
	if st.Distinct != "" {
		out.DistinctClause = []ast.Node{nil}
	}
	for _, g := range st.GroupBy {
		out.GroupClause = append(out.GroupClause, l.expr(g))
	}
	l.limit(out, st.Limit)
	switch st.Lock {
	case sqlparser.ForUpdateStr:
		out.LockingClause = []ast.Node{&ast.LockingClause{Strength: ast.LCS_FORUPDATE, WaitPolicy: ast.LockWaitBlock}}
	case sqlparser.ShareModeStr:
		out.LockingClause = []ast.Node{&ast.LockingClause{Strength: ast.LCS_FORSHARE, WaitPolicy: ast.LockWaitBlock}}
	}
	return out
}

// limit sets LIMIT and OFFSET; every query passes here, so it also sets the
// option that a query without them has.
func (l *mysqlLowerer) limit(out *ast.SelectStmt, limit *sqlparser.Limit) {
	out.LimitOption = ast.LIMIT_OPTION_DEFAULT
	if limit == nil {
		return
	}
	out.LimitOption = ast.LIMIT_OPTION_COUNT
	out.LimitCount = l.expr(limit.Rowcount)
	if limit.Offset != nil {
		out.LimitOffset = l.expr(limit.Offset)
	}
}

func (l *mysqlLowerer) where(w *sqlparser.Where) ast.Node {
	if w == nil {
		return nil
	}
	return l.cond(w.Expr)
}

func (l *mysqlLowerer) targets(exprs sqlparser.SelectExprs) []ast.Node {
	var out []ast.Node
	for _, e := range exprs {
		switch e := e.(type) {
		case *sqlparser.AliasedExpr:
			t := &ast.ResTarget{Val: l.expr(e.Expr), Location: -1}
			if !e.As.IsEmpty() {
				t.Name = e.As.Lowered()
			}
			out = append(out, t)
		case *sqlparser.StarExpr:
			ref := &ast.ColumnRef{Location: -1}
			if !e.TableName.Qualifier.IsEmpty() {
				ref.Fields = append(ref.Fields, str(lower(e.TableName.Qualifier.String())))
			}
			if !e.TableName.Name.IsEmpty() {
				ref.Fields = append(ref.Fields, str(lower(e.TableName.Name.String())))
			}
			ref.Fields = append(ref.Fields, &ast.A_Star{})
			out = append(out, &ast.ResTarget{Val: ref, Location: -1})
		default:
			l.refuse("select expression %T is not supported", e)
		}
	}
	return out
}

// orderBy spells out where NULLs go: first in MySQL's ascending order.
func (l *mysqlLowerer) orderBy(orders sqlparser.OrderBy) []ast.Node {
	var out []ast.Node
	for _, o := range orders {
		s := &ast.SortBy{Node: l.expr(o.Expr), SortbyDir: ast.SORTBY_DEFAULT, SortbyNulls: ast.SORTBY_NULLS_FIRST, Location: -1}
		if o.Direction == sqlparser.DescScr {
			s.SortbyDir, s.SortbyNulls = ast.SORTBY_DESC, ast.SORTBY_NULLS_LAST
		}
		out = append(out, s)
	}
	return out
}

func (l *mysqlLowerer) tables(exprs sqlparser.TableExprs) []ast.Node {
	var out []ast.Node
	for _, e := range exprs {
		if a, ok := e.(*sqlparser.AliasedTableExpr); ok && len(exprs) == 1 && isDual(a) {
			return nil
		}
		out = append(out, l.table(e))
	}
	return out
}

func isDual(a *sqlparser.AliasedTableExpr) bool {
	n, ok := a.Expr.(sqlparser.TableName)
	return ok && n.Qualifier.IsEmpty() && lower(n.Name.String()) == "dual"
}

func (l *mysqlLowerer) table(e sqlparser.TableExpr) ast.Node {
	switch e := e.(type) {
	case *sqlparser.AliasedTableExpr:
		var alias *ast.Alias
		if !e.As.IsEmpty() {
			alias = &ast.Alias{Aliasname: lower(e.As.String())}
		}
		switch t := e.Expr.(type) {
		case sqlparser.TableName:
			r := rangeVar(t)
			r.Alias = alias
			return r
		case *sqlparser.Subquery:
			return &ast.RangeSubselect{Subquery: l.query(t.Select), Alias: alias}
		}
	case *sqlparser.ParenTableExpr:
		if len(e.Exprs) == 1 {
			return l.table(e.Exprs[0])
		}
	case *sqlparser.JoinTableExpr:
		return l.join(e)
	}
	l.refuse("table expression %T is not supported", e)
	return nil
}

func rangeVar(t sqlparser.TableName) *ast.RangeVar {
	return &ast.RangeVar{
		Schemaname: lower(t.Qualifier.String()), Relname: lower(t.Name.String()),
		Inh: true, Relpersistence: "p", Location: -1,
	}
}

func (l *mysqlLowerer) join(e *sqlparser.JoinTableExpr) ast.Node {
	out := &ast.JoinExpr{Jointype: ast.JOIN_INNER, Larg: l.table(e.LeftExpr), Rarg: l.table(e.RightExpr)}
	switch e.Join {
	case sqlparser.LeftJoinStr, sqlparser.NaturalLeftJoinStr:
		out.Jointype = ast.JOIN_LEFT
	case sqlparser.RightJoinStr, sqlparser.NaturalRightJoinStr:
		out.Jointype = ast.JOIN_RIGHT
	}
	out.IsNatural = strings.HasPrefix(e.Join, "natural")
	if e.Condition.On != nil {
		out.Quals = l.cond(e.Condition.On)
	}
	for _, c := range e.Condition.Using {
		out.UsingClause = append(out.UsingClause, str(c.Lowered()))
	}
	return out
}

func (l *mysqlLowerer) insert(st *sqlparser.Insert) ast.Node {
	out := &ast.InsertStmt{Relation: rangeVar(st.Table), Override: ast.OVERRIDING_NOT_SET}
	for _, c := range st.Columns {
		out.Cols = append(out.Cols, &ast.ResTarget{Name: c.Lowered(), Location: -1})
	}
	switch rows := st.Rows.(type) {
	case sqlparser.Values:
		out.SelectStmt = l.values(rows, len(st.Columns))
	case sqlparser.SelectStatement:
		out.SelectStmt = l.query(rows)
	default:
		l.refuse("rows %T are not supported", st.Rows)
	}
	switch {
	case st.Action == sqlparser.ReplaceStr:
		out.OnConflictClause = replace()
	case len(st.OnDup) > 0:
		out.OnConflictClause = &ast.OnConflictClause{
			Action: ast.ONCONFLICT_UPDATE, Location: -1,
			TargetList: ofTable(out.Relation, l.assignments(sqlparser.UpdateExprs(st.OnDup))),
		}
	case st.Ignore != "":
		out.OnConflictClause = &ast.OnConflictClause{Action: ast.ONCONFLICT_NOTHING, Location: -1}
	}
	return out
}

// values lowers rows; an empty row is one of defaults.
func (l *mysqlLowerer) values(rows sqlparser.Values, columns int) ast.Node {
	if len(rows) == 1 && len(rows[0]) == 0 && columns == 0 {
		return nil // DEFAULT VALUES
	}
	out := &ast.SelectStmt{Op: ast.SETOP_NONE, LimitOption: ast.LIMIT_OPTION_DEFAULT, ValuesLists: make([]ast.Node, 0, len(rows))}
	for _, row := range rows {
		items := make([]ast.Node, len(row))
		for i, e := range row {
			items[i] = l.expr(e)
		}
		out.ValuesLists = append(out.ValuesLists, &ast.List{Items: items})
	}
	return out
}

// replace makes REPLACE an update of the whole row on any conflict. SET
// excluded.* is no SQL: only the binder knows a table's other columns, which get
// their defaults.
func replace() *ast.OnConflictClause {
	all := &ast.ColumnRef{Fields: []ast.Node{str("excluded"), &ast.A_Star{}}, Location: -1}
	return &ast.OnConflictClause{Action: ast.ONCONFLICT_UPDATE, Location: -1,
		TargetList: []ast.Node{&ast.ResTarget{Val: all, Location: -1}}}
}

// HasNoText reports whether a statement's tree has no form in PostgreSQL's
// grammar, so that Format cannot write it.
func HasNoText(n ast.Node) bool {
	in, ok := n.(*ast.InsertStmt)
	if !ok || in.OnConflictClause == nil || len(in.OnConflictClause.TargetList) != 1 {
		return false
	}
	rt, ok := in.OnConflictClause.TargetList[0].(*ast.ResTarget)
	return ok && rt.Name == ""
}

// ofTable makes bare column names those of the row that is there: PostgreSQL
// would not know whether the new one is meant.
func ofTable(rv *ast.RangeVar, list []ast.Node) []ast.Node {
	var qualify func(n ast.Node) ast.Node
	qualify = func(n ast.Node) ast.Node {
		switch x := n.(type) {
		case *ast.SelectStmt:
			return n
		case *ast.ColumnRef:
			if len(x.Fields) == 1 {
				x.Fields = append([]ast.Node{str(rv.Relname)}, x.Fields...)
			}
			return x
		}
		ast.MapChildren(n, qualify)
		return n
	}
	for _, n := range list {
		qualify(n)
	}
	return list
}

func (l *mysqlLowerer) assignments(exprs sqlparser.UpdateExprs) []ast.Node {
	var out []ast.Node
	for _, e := range exprs {
		out = append(out, &ast.ResTarget{Name: e.Name.Name.Lowered(), Val: l.expr(e.Expr), Location: -1})
	}
	return out
}

func (l *mysqlLowerer) update(st *sqlparser.Update) ast.Node {
	target, rest := l.target(st.TableExprs, "UPDATE")
	if len(rest) > 0 || st.OrderBy != nil || st.Limit != nil {
		l.refuse("UPDATE of one table without ORDER BY and LIMIT only")
	}
	return &ast.UpdateStmt{Relation: target, TargetList: l.assignments(st.Exprs), WhereClause: l.where(st.Where)}
}

func (l *mysqlLowerer) delete(st *sqlparser.Delete) ast.Node {
	target, rest := l.target(st.TableExprs, "DELETE")
	if len(rest) > 0 || len(st.Targets) > 0 || st.OrderBy != nil || st.Limit != nil {
		l.refuse("DELETE from one table without ORDER BY and LIMIT only")
	}
	return &ast.DeleteStmt{Relation: target, WhereClause: l.where(st.Where)}
}

func (l *mysqlLowerer) target(exprs sqlparser.TableExprs, verb string) (*ast.RangeVar, []ast.Node) {
	tables := l.tables(exprs)
	if len(tables) > 0 {
		if r, ok := tables[0].(*ast.RangeVar); ok {
			return r, tables[1:]
		}
	}
	l.refuse("%s of a join is not supported", verb)
	return &ast.RangeVar{}, nil
}

func str(s string) *ast.String { return &ast.String{Sval: s} }

func columnRef(parts ...string) *ast.ColumnRef {
	out := &ast.ColumnRef{Location: -1}
	for _, p := range parts {
		out.Fields = append(out.Fields, str(p))
	}
	return out
}

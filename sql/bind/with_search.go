package bind

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

const arrayCatOID types.OID = 383

// pathColumns are the columns that SEARCH and CYCLE add to a recursive query:
// the place of a row in the search, whether it closes a cycle, and the rows it
// came by.
type pathColumns struct {
	b      *binder
	search *ast.CTESearchClause
	cycle  *ast.CTECycleClause
	base   int   // the query's own columns
	by     []int // of them, what SEARCH goes by
	along  []int // and CYCLE
	// value and other mark rows that close a cycle and rows that do not.
	value, other expr.Expr
	alias        string // of the recursive reference
}

// pathColumns checks a WITH entry's clauses; nil if it has none.
func (q *query) pathColumns(c *ast.CommonTableExpr, names []string) (*pathColumns, error) {
	if c.SearchClause == nil && c.CycleClause == nil {
		return nil, nil
	}
	p := &pathColumns{b: q.b, search: c.SearchClause, cycle: c.CycleClause, base: len(names)}
	var err error
	if s := p.search; s != nil {
		if p.by, err = columnsNamed(s.SearchColList, names, "search", s.Location); err != nil {
			return nil, err
		}
		if err := unused(s.SearchSeqColumn, "search sequence", names, s.Location); err != nil {
			return nil, err
		}
	}
	if y := p.cycle; y != nil {
		if err := q.cycleClause(p, y, names); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (q *query) cycleClause(p *pathColumns, y *ast.CTECycleClause, names []string) error {
	var err error
	if p.along, err = columnsNamed(y.CycleColList, names, "cycle", y.Location); err != nil {
		return err
	}
	for _, x := range [][2]string{{y.CycleMarkColumn, "cycle mark"}, {y.CyclePathColumn, "cycle path"}} {
		if err := unused(x[0], x[1], names, y.Location); err != nil {
			return err
		}
		if p.search != nil && p.search.SearchSeqColumn == x[0] {
			return types.Errorf(types.CodeSyntaxError, "search sequence column name and %s column name are the same", x[1]).At(position(p.search.Location))
		}
	}
	if y.CycleMarkColumn == y.CyclePathColumn {
		return types.Errorf(types.CodeSyntaxError, "cycle mark column name and cycle path column name are the same").At(position(y.Location))
	}
	p.value, p.other = boolConst(true), boolConst(false)
	if y.CycleMarkValue == nil {
		return nil
	}
	if p.value, err = q.expr(y.CycleMarkValue); err != nil {
		return err
	}
	if p.other, err = q.expr(y.CycleMarkDefault); err != nil {
		return err
	}
	both, _, err := q.b.common("CYCLE", []expr.Expr{p.value, p.other}, y.Location)
	if err != nil {
		return err
	}
	p.value, p.other = both[0], both[1]
	return nil
}

func columnsNamed(list []ast.Node, names []string, what string, loc int) ([]int, error) {
	var out []int
	for _, n := range stringsOf(list) {
		i := slices.Index(names, n)
		if i < 0 {
			return nil, types.Errorf(types.CodeSyntaxError, "%s column \"%s\" not in WITH query column list", what, n).At(position(loc))
		}
		if slices.Contains(out, i) {
			return nil, types.Errorf(types.CodeDuplicateColumn, "%s column \"%s\" specified more than once", what, n).At(position(loc))
		}
		out = append(out, i)
	}
	return out, nil
}

func unused(name, what string, names []string, loc int) error {
	if !slices.Contains(names, name) {
		return nil
	}
	return types.Errorf(types.CodeSyntaxError, "%s column name \"%s\" already used in WITH query column list", what, name).At(position(loc))
}

// names are the added columns'.
func (p *pathColumns) names() []string {
	var out []string
	if p.search != nil {
		out = append(out, p.search.SearchSeqColumn)
	}
	if p.cycle != nil {
		out = append(out, p.cycle.CycleMarkColumn, p.cycle.CyclePathColumn)
	}
	return out
}

// row is the value of some of a relation's columns.
func (p *pathColumns) row(rel *relation, cols []int, first ...expr.Expr) expr.Expr {
	r := &expr.RowExpr{Typ: types.RecordType}
	r.Fields = append(r.Fields, first...)
	for _, i := range cols {
		r.Fields = append(r.Fields, p.b.ref(rel.cols[i].id, rel.cols[i].typ))
	}
	for i := range r.Fields {
		r.Names = append(r.Names, "f"+itoa(i+1))
	}
	return r
}

func list(e expr.Expr) expr.Expr {
	return &expr.ArrayExpr{Elems: []expr.Expr{e}, Typ: types.Of(types.RecordArrayOID)}
}

// start adds the columns to the first rows.
func (p *pathColumns) start(rel *relation) *relation {
	var es []expr.Expr
	if s := p.search; s != nil {
		if s.SearchBreadthFirst {
			es = append(es, p.row(rel, p.by, bigConst(0)))
		} else {
			es = append(es, list(p.row(rel, p.by)))
		}
	}
	if p.cycle != nil {
		es = append(es, p.other, list(p.row(rel, p.along)))
	}
	return p.extend(rel, es)
}

func bigConst(v int64) expr.Expr { return &expr.Const{Value: types.NewInt(v), Typ: types.Int8Type} }

// extend puts columns behind a relation's own.
func (p *pathColumns) extend(rel *relation, es []expr.Expr) *relation {
	n := &plan.Project{Input: rel.node}
	out := &relation{node: n}
	for _, c := range rel.cols[:p.base] {
		id := p.b.newCol(c.name, c.typ)
		n.Out = append(n.Out, plan.Column{ID: id, Name: c.name, Type: c.typ})
		n.Exprs = append(n.Exprs, p.b.ref(c.id, c.typ))
		out.cols = append(out.cols, outCol{c.name, id, c.typ, c.loc})
	}
	for i, name := range p.names() {
		id := p.b.newCol(name, es[i].Type())
		n.Out = append(n.Out, plan.Column{ID: id, Name: name, Type: es[i].Type()})
		n.Exprs = append(n.Exprs, es[i])
		out.cols = append(out.cols, outCol{name, id, es[i].Type(), 0})
	}
	return out
}

// step makes the recursive term pass on the columns of the row that it started
// from. Rows that closed a cycle are not started from.
func (p *pathColumns) step(c *ast.CommonTableExpr, s *ast.SelectStmt) (*ast.SelectStmt, error) {
	if s.Larg != nil {
		return nil, types.Errorf(types.CodeSyntaxError, "with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT")
	}
	if p.alias = referenceIn(s.FromClause, c.Ctename); p.alias == "" {
		return nil, types.Errorf(types.CodeFeatureNotSupported,
			"with a SEARCH or CYCLE clause, the recursive reference to WITH query \"%s\" must be at the top level of its right-hand SELECT", c.Ctename)
	}
	own := *s
	own.TargetList = slices.Clone(s.TargetList)
	for _, name := range p.names() {
		own.TargetList = append(own.TargetList, &ast.ResTarget{Name: name, Val: p.column(name), Location: -1})
	}
	return &own, nil
}

func (p *pathColumns) column(name string) *ast.ColumnRef {
	return &ast.ColumnRef{Fields: []ast.Node{&ast.String{Sval: p.alias}, &ast.String{Sval: name}}, Location: -1}
}

// referenceIn finds the alias under which a FROM list names a relation.
func referenceIn(from []ast.Node, name string) string {
	for _, n := range from {
		switch x := n.(type) {
		case *ast.RangeVar:
			if x.Schemaname != "" || x.Relname != name {
				continue
			}
			if x.Alias != nil {
				return x.Alias.Aliasname
			}
			return x.Relname
		case *ast.JoinExpr:
			if a := referenceIn([]ast.Node{x.Larg, x.Rarg}, name); a != "" {
				return a
			}
		}
	}
	return ""
}

// next computes the columns of the rows that a step found.
func (p *pathColumns) next(rel *relation) (*relation, error) {
	was := func(i int) expr.Expr { c := rel.cols[p.base+i]; return p.b.ref(c.id, c.typ) }
	cat := func(path, row expr.Expr) expr.Expr {
		return &expr.FuncExpr{Func: arrayCatOID, Name: "array_cat", Typ: types.Of(types.RecordArrayOID), Args: []expr.Expr{path, list(row)}}
	}
	var es []expr.Expr
	at := 0
	if s := p.search; s != nil {
		if s.SearchBreadthFirst {
			depth, err := p.b.op("+", &expr.FieldSelect{Arg: was(at), Name: "f1", Typ: types.Int8Type}, bigConst(1), -1)
			if err != nil {
				return nil, err
			}
			es = append(es, p.row(rel, p.by, depth))
		} else {
			es = append(es, cat(was(at), p.row(rel, p.by)))
		}
		at++
	}
	if p.cycle != nil {
		row := p.row(rel, p.along)
		met, err := p.b.scalarArray("=", row, was(at+1), false, -1)
		if err != nil {
			return nil, err
		}
		mark := &expr.CaseExpr{Whens: []expr.When{{Cond: met, Result: p.value}}, Else: p.other, Typ: p.value.Type()}
		es = append(es, mark, cat(was(at+1), row))
	}
	return p.extend(rel, es), nil
}

// open keeps the rows of the last round that closed no cycle.
func (p *pathColumns) open(node plan.Node, mark *column) (plan.Node, error) {
	goes, err := p.b.op("<>", p.b.ref(mark.id, mark.typ), p.value, -1)
	if err != nil {
		return nil, err
	}
	if goes, err = p.b.coerce(goes, types.BoolType, pgfacts.Implicit, "", -1); err != nil {
		return nil, err
	}
	return p.b.filter(node, []expr.Expr{goes}), nil
}

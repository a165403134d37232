package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
)

// Trace tells what the names in a statement's own text stand for. Names inside
// the views that it reads are theirs.
type Trace struct {
	relations map[*ast.RangeVar]catalog.ViewRef
	ids       map[*ast.RangeVar][]plan.ColID
	stars     map[*ast.ColumnRef][]ast.Node
	used      map[plan.ColID]bool
}

func newTrace() *Trace {
	return &Trace{relations: map[*ast.RangeVar]catalog.ViewRef{}, ids: map[*ast.RangeVar][]plan.ColID{},
		stars: map[*ast.ColumnRef][]ast.Node{}, used: map[plan.ColID]bool{}}
}

// tracing returns the trace to write to, or nil.
func (b *binder) tracing() *Trace {
	if len(b.views) > 0 {
		return nil
	}
	return b.trace
}

func (t *Trace) relation(n *ast.RangeVar, oid catalog.Descriptor, it *item) {
	ref, ids := catalog.ViewRef{OID: oid.Head().ID}, []plan.ColID(nil)
	for i := range it.cols {
		if c := &it.cols[i]; !c.hidden {
			ref.Columns = append(ref.Columns, catalog.ViewColumn{ID: c.attr, Name: c.name})
			ids = append(ids, c.id)
		}
	}
	t.relations[n], t.ids[n] = ref, ids
}

// Refs lists what the RangeVars of a statement's tree stand for, in the tree's
// order; an entry without an oid is none of a relation.
func (t *Trace) Refs(n ast.Node) []catalog.ViewRef {
	var out []catalog.ViewRef
	eachRangeVar(n, func(rv *ast.RangeVar) {
		ref, ids := t.relations[rv], t.ids[rv]
		for i := range ref.Columns {
			ref.Columns[i].Used = t.used[ids[i]]
		}
		out = append(out, ref)
	})
	return out
}

// eachRangeVar visits the RangeVars of a tree, in an order that only its shape
// decides.
func eachRangeVar(n ast.Node, visit func(*ast.RangeVar)) {
	if rv, ok := n.(*ast.RangeVar); ok {
		visit(rv)
	}
	ast.Children(n, func(c ast.Node) { eachRangeVar(c, visit) })
}

// Freeze pairs the RangeVars of a view's tree with what they stood for when the
// view was made.
func Freeze(n ast.Node, refs []catalog.ViewRef) map[*ast.RangeVar]*catalog.ViewRef {
	out := make(map[*ast.RangeVar]*catalog.ViewRef, len(refs))
	i := 0
	eachRangeVar(n, func(rv *ast.RangeVar) {
		if i < len(refs) && refs[i].OID != 0 {
			out[rv] = &refs[i]
		}
		i++
	})
	return out
}

// star notes the columns that a star stands for, each by a name that finds it.
func (t *Trace) star(n *ast.ColumnRef, level *query, it *item) {
	for i := range it.cols {
		c := &it.cols[i]
		if c.hidden {
			continue
		}
		fields := []ast.Node{&ast.String{Sval: c.name}}
		if rel := relationOf(level, it, c); rel != "" {
			fields = append([]ast.Node{&ast.String{Sval: rel}}, fields...)
		}
		t.stars[n] = append(t.stars[n], &ast.ResTarget{Val: &ast.ColumnRef{Fields: fields, Location: n.Location}, Location: n.Location})
	}
}

// relationOf names an entry that qualifies a column; "" where the column stands
// for more than one entry's.
func relationOf(level *query, it *item, c *column) string {
	if it.relVisible {
		return it.alias
	}
	for _, other := range level.items {
		for i := range other.cols {
			if o := &other.cols[i]; other.relVisible && c.merged == nil && o.id == c.id && o.name == c.name {
				return other.alias
			}
		}
	}
	return ""
}

// ExpandStars replaces the stars in the lists of a statement's queries by the
// columns that they stand for.
func (t *Trace) ExpandStars(n ast.Node) {
	if sel, ok := n.(*ast.SelectStmt); ok {
		sel.TargetList = t.expanded(sel.TargetList)
	}
	ast.Children(n, t.ExpandStars)
}

func (t *Trace) expanded(list []ast.Node) []ast.Node {
	var out []ast.Node
	for _, n := range list {
		if rt, ok := n.(*ast.ResTarget); ok {
			if star, ok := isStar(rt.Val); ok && t.stars[star] != nil {
				out = append(out, t.stars[star]...)
				continue
			}
		}
		out = append(out, n)
	}
	return out
}

// frozen makes a FROM entry of a view's query look as when the view was made:
// the columns of then under their names of then.
func (it *item) frozen(ref *catalog.ViewRef) {
	if ref == nil {
		return
	}
	now := it.cols
	it.cols = make([]column, 0, len(now))
	for _, want := range ref.Columns {
		for i := range now {
			if now[i].attr == want.ID && !now[i].hidden {
				c := now[i]
				c.name = want.Name
				it.cols = append(it.cols, c)
			}
		}
	}
}

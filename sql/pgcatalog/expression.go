package pgcatalog

import (
	"strconv"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

// exprText prints a stored expression of a relation, with the names that things
// have now.
func (s *scan) exprText(d catalog.Descriptor, e *catalog.Expr) string {
	return exprText(s.Resolver, d, e, false)
}

// ExprText prints a stored expression of a relation so that it can be read again,
// with the names that things have now.
func ExprText(r *catalog.SessionResolver, d catalog.Descriptor, e *catalog.Expr) string {
	return exprText(r, d, e, false)
}

func exprText(r *catalog.SessionResolver, d catalog.Descriptor, e *catalog.Expr, pretty bool) string {
	if e == nil {
		return ""
	}
	if e.Tree == nil {
		return e.Source
	}
	cols := catalog.ColumnsOf(d)
	return expr.Print(e.Tree, &expr.Namer{Pretty: pretty, Names: Names{r},
		Type: func(t types.Type) string { return TypeName(r, t) },
		Column: func(c *expr.ColumnRef) string {
			for i := range cols {
				if cols[i].ID == catalog.ColumnID(c.ID) {
					return QuoteIdent(cols[i].Name)
				}
			}
			return QuoteIdent(c.Name)
		}})
}

// GetExpr is pg_get_expr for a text that a catalog column of a relation shows.
// Those texts are in the plain style; the pretty one is printed from the
// expression that has the text.
func GetExpr(r *catalog.SessionResolver, text string, rel types.OID, pretty bool) string {
	d, ok := r.ByOID(rel)
	if !pretty || !ok {
		return text
	}
	for _, e := range storedExprs(d) {
		if exprText(r, d, e, false) == text {
			return exprText(r, d, e, true)
		}
	}
	return text
}

// storedExprs are all expressions that a relation keeps.
func storedExprs(d catalog.Descriptor) []*catalog.Expr {
	var out []*catalog.Expr
	add := func(e *catalog.Expr) {
		if e != nil {
			out = append(out, e)
		}
	}
	for _, c := range catalog.ColumnsOf(d) {
		add(c.Default)
		add(c.Generated)
	}
	t, ok := d.(*catalog.Table)
	if !ok {
		return out
	}
	for i := range t.Constraints {
		add(t.Constraints[i].Check)
	}
	for i := range t.Indexes {
		add(t.Indexes[i].Predicate)
		for j := range t.Indexes[i].Columns {
			add(t.Indexes[i].Columns[j].Expr)
		}
	}
	return out
}

// looksLikeCall reports whether an expression prints as a function call, which
// an index column shows without parentheses.
func looksLikeCall(e expr.Expr) bool {
	switch n := e.(type) {
	case *expr.FuncExpr:
		return n.Form == expr.CallForm || n.Form == expr.SQLSyntax
	case *expr.Coalesce, *expr.MinMax, *expr.NullIf, *expr.SQLValueFunction:
		return true
	}
	return false
}

// indexColumnNames are the names that an index gives to its key columns: those
// of the table's, or after what their expressions do.
func indexColumnNames(t *catalog.Table, x *catalog.Index) []string {
	names, taken := make([]string, len(x.Columns)), map[string]bool{}
	for j := range x.Columns {
		base := "expr"
		if c, ok := t.Column(x.Columns[j].Column); ok && x.Columns[j].Expr == nil {
			base = c.Name
		} else if e := x.Columns[j].Expr; e != nil {
			if n := figureName(e.Tree); n != "" {
				base = n
			}
		}
		names[j] = base
		for i := 1; taken[names[j]]; i++ {
			names[j] = base + strconv.Itoa(i)
		}
		taken[names[j]] = true
	}
	return names
}

func figureName(e expr.Expr) string {
	switch n := e.(type) {
	case *expr.ColumnRef:
		return n.Name
	case *expr.FuncExpr:
		if n.Form == expr.CallForm {
			return n.Name
		}
		return figureName(n.Args[0])
	case *expr.Relabel:
		return figureName(n.Arg)
	case *expr.CoerceViaIO:
		return figureName(n.Arg)
	case *expr.Coalesce:
		return "coalesce"
	case *expr.CaseExpr:
		return "case"
	}
	return ""
}

// Names answers for the reg* types and enums from a session's view of the
// catalog; it refuses to read names.
type Names struct{ Resolver *catalog.SessionResolver }

// RegOID implements types.NameResolver.
func (n Names) RegOID(kind types.OID, name string) (types.OID, error) {
	return 0, types.Errorf(types.CodeUndefinedObject, "%s \"%s\" does not exist", types.Format(kind, -1), name)
}

// EnumLabels implements types.NameResolver.
func (n Names) EnumLabels(oid types.OID) (string, []types.Label, bool) {
	d, _ := n.Resolver.ByOID(oid)
	t, ok := d.(*catalog.Type)
	if !ok {
		return "", nil, false
	}
	labels := make([]types.Label, len(t.Labels))
	for i, l := range t.Labels {
		labels[i] = types.Label{Sort: l.Sort, Label: l.Label}
	}
	return QuoteIdent(t.Name), labels, true
}

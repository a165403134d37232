package schemachange

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// alterType gives a column another type: where the stored images are the same it
// only says so, else the rows are rewritten into a new column in the old one's
// place.
func (m *tableMaker) alterType(c *ast.AlterTableCmd) error {
	i := slices.IndexFunc(m.t.Columns, func(tc catalog.Column) bool { return tc.Name == c.Name && !tc.Hidden && tc.State.Readable() })
	if i < 0 {
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", c.Name, m.t.Name)
	}
	def := c.Def.(*ast.ColumnDef)
	to, err := bind.TypeOf(m.resolver(), def.TypeName)
	if err != nil {
		return err
	}
	col := &m.t.Columns[i]
	if views := m.viewsReading(m.t.ID, col.ID); len(views) > 0 {
		return types.Errorf(types.CodeFeatureNotSupported, "cannot alter type of a column used by a view or rule").
			WithDetail("rule _RETURN on view %s depends on column \"%s\"", views[0].Name, col.Name)
	}
	if def.RawDefault == nil && sameImage(col.Type, to) {
		col.Type = to
		m.Change.Put(m.t)
		return nil
	}
	if x := m.t.PrimaryIndex(); slices.ContainsFunc(x.Columns, func(ic catalog.IndexColumn) bool { return ic.Column == col.ID }) {
		return types.Errorf(types.CodeFeatureNotSupported, "changing the type of column \"%s\" is not supported: rows are stored in its order", col.Name).
			WithHint("Create a table with the other type and copy the rows.")
	}
	using := quoteIdent(col.Name)
	switch {
	case def.RawDefault != nil:
		if using, err = m.usingClause(def.RawDefault, col, to); err != nil {
			return err
		}
	case !pgfacts.CanCoerce(col.Type.OID, to.OID, pgfacts.Assignment):
		return types.Errorf(types.CodeDatatypeMismatch, "column \"%s\" cannot be cast automatically to type %s", col.Name, types.Format(to.OID, -1)).
			WithHint("You might need to specify \"USING %s::%s\".", quoteIdent(col.Name), to)
	}
	return m.rewriteColumn(i, to, using)
}

// usingClause checks ALTER TYPE's expression and returns its text.
func (m *tableMaker) usingClause(n ast.Node, col *catalog.Column, to types.Type) (string, error) {
	e, err := bind.Stored(bind.StoredIndexExpr, n, m.t, types.Type{}, "", m.resolver(), m.Bind)
	if err != nil {
		return "", err
	}
	if !pgfacts.CanCoerce(e.Type().OID, to.OID, pgfacts.Assignment) {
		return "", types.Errorf(types.CodeDatatypeMismatch, "result of USING clause for column \"%s\" cannot be cast automatically to type %s", col.Name, types.Format(to.OID, -1)).
			WithHint("You might need to add an explicit cast.")
	}
	return parse.FormatExpr(n)
}

// rewriteColumn fills a new column and puts it where the old one was, in indexes
// and constraints too.
func (m *tableMaker) rewriteColumn(i int, to types.Type, using string) error {
	old := m.t.Columns[i]
	tmp := catalog.Column{ID: m.t.NextColumn, Name: "........pamir.new." + old.Name, Type: to}
	m.t.NextColumn++
	m.t.Columns = slices.Insert(m.t.Columns, i+1, tmp)
	m.newLayout()
	m.Change.Put(m.t)
	if err := m.Query(m.Ctx, "UPDATE "+m.sqlName(m.t)+" SET "+quoteIdent(tmp.Name)+" = ("+using+")", nil); err != nil {
		return unplaced(err)
	}
	t, err := m.table(m.t.ID)
	if err != nil {
		return err
	}
	m.t = t
	indexes, checks, err := m.replaceColumn(old.ID, tmp.ID)
	if err != nil {
		return err
	}
	again := m.boundAgain(indexes, checks)
	if err := m.dropColumn(&ast.AlterTableCmd{Name: old.Name}); err != nil {
		return err
	}
	col, _ := m.t.Column(tmp.ID)
	col.Name, col.NotNull, col.Comment, col.Identity, col.Sequence = old.Name, old.NotNull, old.Comment, old.Identity, old.Sequence
	if old.Default != nil {
		if err := m.retypeDefault(col, &old); err != nil {
			return err
		}
	}
	before, err := clone(m.t)
	if err != nil {
		return err
	}
	for _, x := range again {
		n, err := parse.ParseExpr(x.text)
		if err != nil {
			return err
		}
		if *x.at, err = m.stored(x.kind, n, types.Of(types.BoolOID), ""); err != nil {
			return unplaced(err)
		}
	}
	m.t.Indexes = append(m.t.Indexes, indexes...)
	m.t.Constraints = append(m.t.Constraints, checks...)
	return m.settle(before)
}

// rebinding is a stored expression to be bound again, from its text: a column in
// it has another type.
type rebinding struct {
	at   **catalog.Expr
	kind bind.StoredKind
	text string
}

// boundAgain lists the expressions of indexes and checks, in the words of now.
func (m *tableMaker) boundAgain(indexes []catalog.Index, checks []catalog.Constraint) []rebinding {
	var out []rebinding
	add := func(at **catalog.Expr, kind bind.StoredKind) {
		if *at != nil {
			out = append(out, rebinding{at, kind, pgcatalog.ExprText(m.resolver(), m.t, *at)})
		}
	}
	for i := range indexes {
		for j := range indexes[i].Columns {
			add(&indexes[i].Columns[j].Expr, bind.StoredIndexExpr)
		}
		add(&indexes[i].Predicate, bind.StoredPredicate)
	}
	for i := range checks {
		add(&checks[i].Check, bind.StoredCheck)
	}
	return out
}

// retypeDefault gives a column the default that it had with another type.
func (m *tableMaker) retypeDefault(col, old *catalog.Column) error {
	if old.Sequence != 0 {
		tree, err := nextvalExpr(old.Sequence, col.Type)
		if err != nil {
			return err
		}
		col.Default = &catalog.Expr{Source: old.Default.Source, Tree: tree}
		return nil
	}
	n, err := parse.ParseExpr(pgcatalog.ExprText(m.resolver(), m.t, old.Default))
	if err != nil {
		return err
	}
	if err = m.setDefault(col, n); types.CodeOf(err) == types.CodeDatatypeMismatch {
		return types.Errorf(types.CodeDatatypeMismatch, "default for column \"%s\" cannot be cast automatically to type %s", col.Name, types.Format(col.Type.OID, -1))
	}
	return err
}

// replaceColumn takes out the indexes on a column, to be built anew on another
// one, and the checks over it; keys name the other column from now on.
func (m *tableMaker) replaceColumn(from, to catalog.ColumnID) (indexes []catalog.Index, checks []catalog.Constraint, err error) {
	m.t.Indexes = slices.DeleteFunc(m.t.Indexes, func(x catalog.Index) bool {
		uses := x.Predicate != nil && readsColumn(x.Predicate.Tree, from)
		for k := range x.Columns {
			if e := x.Columns[k].Expr; e != nil {
				uses = uses || readsColumn(e.Tree, from)
			} else if x.Columns[k].Column == from {
				x.Columns[k].Column, uses = to, true
			}
		}
		for k := range x.Include {
			if x.Include[k] == from {
				x.Include[k], uses = to, true
			}
		}
		if uses {
			m.clearStorage(m.t, x.Storage)
			x.Storage = m.storage()
			indexes = append(indexes, x)
		}
		return uses
	})
	m.t.Constraints = slices.DeleteFunc(m.t.Constraints, func(c catalog.Constraint) bool {
		uses := slices.Contains(c.Columns, from)
		for k := range c.Columns {
			if c.Columns[k] == from {
				c.Columns[k] = to
			}
		}
		if uses && c.Kind == catalog.CheckConstraint {
			checks = append(checks, c)
			return true
		}
		return false
	})
	for _, in := range m.t.InboundFKs {
		t := m.t
		if in.Table != m.t.ID {
			if t, err = m.table(in.Table); err != nil {
				return nil, nil, err
			}
		}
		if fk, ok := t.Constraint(in.Constraint); ok {
			for k := range fk.RefColumns {
				if fk.RefColumns[k] == from {
					fk.RefColumns[k] = to
				}
			}
		}
		if t != m.t {
			m.Change.Put(t)
		}
	}
	return indexes, checks, nil
}

// unplaced takes the position out of the error of a statement that the client
// did not write.
func unplaced(err error) error {
	if e, ok := err.(*types.Error); ok && e.Position != 0 {
		c := *e
		c.Position = 0
		return &c
	}
	return err
}

// sameImage reports whether every value of one type is stored as the same value
// of the other would be.
func sameImage(from, to types.Type) bool {
	text := func(o types.OID) bool { return o == types.TextOID || o == types.VarCharOID }
	switch {
	case from == to:
		return true
	case text(from.OID) && text(to.OID):
		return to.Mod < 0 || from.Mod >= 0 && from.Mod <= to.Mod
	case from.OID == to.OID && from.OID == types.NumericOID:
		return to.Mod < 0
	}
	return false
}

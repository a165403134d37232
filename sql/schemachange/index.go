package schemachange

import (
	"context"
	"log/slog"
	"slices"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

func (e *Env) createIndex(s *ast.IndexStmt) error {
	t, ok, err := e.ownTable(s.Relation, false)
	if err != nil || !ok {
		return err
	}
	old, err := clone(t)
	if err != nil {
		return err
	}
	m := &tableMaker{Env: e, t: t}
	x, err := m.index(s)
	if err != nil {
		return err
	}
	if s.Idxname != "" {
		sc, _ := e.resolver().ByOID(t.Schema)
		if e.relationExists(sc.(*catalog.Schema), s.Idxname) {
			if s.IfNotExists {
				e.notice(types.CodeDuplicateTable, "relation \"%s\" already exists, skipping", s.Idxname)
				return nil
			}
			return duplicateRelation(s.Idxname)
		}
	}
	t.Indexes = append(t.Indexes, *x)
	if err := e.fill(old, t); err != nil {
		return err
	}
	e.Change.Put(t)
	return nil
}

// index makes the descriptor of an index statement.
func (m *tableMaker) index(s *ast.IndexStmt) (*catalog.Index, error) {
	x := &catalog.Index{Name: truncateName(s.Idxname), Unique: s.Unique, NullsNotDistinct: s.NullsNotDistinct}
	switch s.AccessMethod {
	case "", "btree":
	case "hash":
		x.Method = s.AccessMethod // served by an ordered index, which does all a hash index does
	default:
		if !slices.Contains([]string{"gist", "gin", "spgist", "brin"}, s.AccessMethod) {
			return nil, types.Errorf(types.CodeUndefinedObject, "access method \"%s\" does not exist", s.AccessMethod)
		}
		return nil, types.Errorf(types.CodeFeatureNotSupported, "access method \"%s\" is not supported", s.AccessMethod)
	}
	var names []string
	for _, n := range s.IndexParams {
		el := n.(*ast.IndexElem)
		c, name, err := m.indexColumn(el)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		x.Columns = append(x.Columns, c)
	}
	for _, n := range s.IndexIncludingParams {
		el := n.(*ast.IndexElem)
		c, ok := m.t.ColumnByName(el.Name)
		if !ok {
			return nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" does not exist", el.Name)
		}
		x.Include = append(x.Include, c.ID)
		names = append(names, c.Name)
	}
	if s.WhereClause != nil {
		p, err := m.stored(bind.StoredPredicate, s.WhereClause, types.Of(types.BoolOID), "")
		if err != nil {
			return nil, err
		}
		if expr.VolatilityOf(p.Tree) != expr.Immutable {
			return nil, types.Errorf(types.CodeInvalidObjectDefinition, "functions in index predicate must be marked IMMUTABLE")
		}
		x.Predicate = p
	}
	if x.Name == "" {
		part := ""
		for i, n := range names {
			if i > 0 {
				part += "_"
			}
			part += n
		}
		x.Name = m.freeName(m.t.Schema, m.names(), m.t.Name, part, "idx")
	}
	var err error
	if x.OID, err = m.oid(); err != nil {
		return nil, err
	}
	x.Storage = m.storage()
	return x, nil
}

func (m *tableMaker) indexColumn(el *ast.IndexElem) (c catalog.IndexColumn, name string, err error) {
	c.Desc = el.Ordering == ast.SORTBY_DESC
	switch el.NullsOrdering {
	case ast.SORTBY_NULLS_FIRST:
		c.NullsFirst = true
	case ast.SORTBY_NULLS_DEFAULT:
		c.NullsFirst = c.Desc
	}
	if el.Expr == nil {
		tc, ok := m.t.ColumnByName(el.Name)
		if !ok {
			return c, "", types.Errorf(types.CodeUndefinedColumn, "column \"%s\" does not exist", el.Name)
		}
		c.Column = tc.ID
		return c, el.Name, indexableType(tc.Type)
	}
	e, err := m.stored(bind.StoredIndexExpr, el.Expr, types.Type{}, "")
	if err != nil {
		return c, "", err
	}
	if expr.VolatilityOf(e.Tree) != expr.Immutable {
		return c, "", types.Errorf(types.CodeInvalidObjectDefinition, "functions in index expression must be marked IMMUTABLE")
	}
	if err := indexableType(e.Tree.Type()); err != nil {
		return c, "", err
	}
	c.Expr = e
	name = "expr"
	if f, ok := el.Expr.(*ast.FuncCall); ok {
		if parts := stringList(f.Funcname); len(parts) > 0 {
			name = parts[len(parts)-1]
		}
	}
	return c, name, nil
}

// clearStorage deletes an index's data once the change is committed and no node
// uses the old descriptor any more.
func (e *Env) clearStorage(t *catalog.Table, ids ...catalog.StorageID) {
	db, table := e.DB, uint32(t.ID)
	e.Change.AfterCommit(func(ctx context.Context) {
		for _, id := range ids {
			start := keys.TableIndex(table, uint32(id))
			if err := db.Admin().ClearSpan(ctx, start, keys.PrefixEnd(start)); err != nil {
				slog.Warn("data of a dropped index is left behind", "table", table, "index", id, "err", err)
			}
		}
	})
}

// dropIndexByName drops an index that carries no constraint.
func (e *Env) dropIndexByName(n catalog.Name, missingOK bool) error {
	oid, d, ok := e.resolver().RelationOID(n)
	t, isTable := d.(*catalog.Table)
	if ok && isTable && oid != t.ID {
		for i := range t.Constraints {
			if c := &t.Constraints[i]; c.Index == oid && c.Kind != catalog.ForeignKey {
				return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop index %s because constraint %s on table %s requires it", n.Name, c.Name, t.Name).
					WithHint("You can drop constraint %s on table %s instead.", c.Name, t.Name)
			}
		}
		if err := e.mustOwn(&t.Header, "index"); err != nil {
			return err
		}
		t, err := clone(t)
		if err != nil {
			return err
		}
		e.removeIndex(t, oid)
		e.Change.Put(t)
		return nil
	}
	if ok {
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not an index", n.Name).WithHint("%s", howToDrop(oid, d))
	}
	if missingOK {
		e.notice("00000", "index \"%s\" does not exist, skipping", n)
		return nil
	}
	return types.Errorf(types.CodeUndefinedObject, "index \"%s\" does not exist", n)
}

// removeIndex takes an index out of a table that may be changed.
func (e *Env) removeIndex(t *catalog.Table, oid types.OID) {
	i := slices.IndexFunc(t.Indexes, func(x catalog.Index) bool { return x.OID == oid })
	if i < 0 {
		return
	}
	e.clearStorage(t, t.Indexes[i].Storage)
	t.Indexes = slices.Delete(t.Indexes, i, i+1)
}

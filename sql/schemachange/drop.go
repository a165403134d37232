package schemachange

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

func dropTag(o ast.ObjectType) string { return "DROP " + objectName(o) }

func (e *Env) drop(s *ast.DropStmt) error {
	var roots []object
	for _, n := range s.Objects {
		if _, ok := builtinOnly[s.RemoveType]; ok {
			if err := e.dropBuiltin(s.RemoveType, n, s.MissingOk); err != nil {
				return err
			}
			continue
		}
		var parts []string
		switch x := n.(type) {
		case *ast.List:
			parts = stringList(x.Items)
		case *ast.TypeName:
			parts = stringList(x.Names)
		case *ast.String:
			parts = []string{x.Sval}
		}
		name := splitName(parts)
		if s.RemoveType == ast.OBJECT_INDEX {
			if err := e.dropIndexByName(name, s.MissingOk); err != nil {
				return err
			}
			continue
		}
		d, err := e.dropTarget(s, name)
		if err != nil {
			return err
		}
		if o := (object{}); d != nil {
			if o.oid = d.Head().ID; !slices.Contains(roots, o) {
				roots = append(roots, o)
			}
		}
	}
	return e.dropAll(roots, s.Behavior == ast.DROP_CASCADE)
}

// dropTarget finds what a DROP names; nil if there is none and that is fine.
func (e *Env) dropTarget(s *ast.DropStmt, n catalog.Name) (catalog.Descriptor, error) {
	switch s.RemoveType {
	case ast.OBJECT_TABLE, ast.OBJECT_VIEW, ast.OBJECT_MATVIEW, ast.OBJECT_SEQUENCE, ast.OBJECT_FOREIGN_TABLE:
		return e.dropRelation(s, n)
	case ast.OBJECT_SCHEMA:
		return e.dropSchema(s, n.Name)
	case ast.OBJECT_TYPE:
		return e.dropType(s, n)
	case ast.OBJECT_DOMAIN:
		return nil, e.noDomain(n, s.MissingOk)
	}
	return nil, types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", dropTag(s.RemoveType))
}

// relationWord names what a DROP is after, as messages do.
func relationWord(o ast.ObjectType) string {
	switch o {
	case ast.OBJECT_VIEW:
		return "view"
	case ast.OBJECT_MATVIEW:
		return "materialized view"
	case ast.OBJECT_SEQUENCE:
		return "sequence"
	case ast.OBJECT_FOREIGN_TABLE:
		return "foreign table"
	}
	return "table"
}

func (e *Env) dropRelation(s *ast.DropStmt, n catalog.Name) (catalog.Descriptor, error) {
	word := relationWord(s.RemoveType)
	if err := e.needSchema(n); err != nil && s.MissingOk {
		return nil, e.skipMissing(err, true)
	}
	oid, d, ok := e.resolver().RelationOID(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "%s \"%s\" does not exist, skipping", word, n.Name)
			return nil, nil
		}
		code := types.CodeUndefinedTable
		if s.RemoveType == ast.OBJECT_FOREIGN_TABLE {
			code = types.CodeUndefinedObject
		}
		return nil, types.Errorf(code, "%s \"%s\" does not exist", word, n)
	}
	if t, isTable := d.(*catalog.Table); isTable && t.Virtual {
		return nil, types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system catalog", n.Name)
	}
	kinds := map[ast.ObjectType]catalog.Kind{ast.OBJECT_TABLE: catalog.KindTable, ast.OBJECT_VIEW: catalog.KindView,
		ast.OBJECT_SEQUENCE: catalog.KindSequence}
	if kind, ok := kinds[s.RemoveType]; oid != d.Head().ID || !ok || d.Kind() != kind {
		return nil, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a %s", n.Name, word).WithHint("%s", howToDrop(oid, d))
	}
	if err := e.mustOwn(d.Head(), word); err != nil {
		return nil, err
	}
	return d, nil
}

// howToDrop says what removes a relation that was taken for another kind.
func howToDrop(oid types.OID, d catalog.Descriptor) string {
	kind := d.Kind().String()
	if oid != d.Head().ID {
		return "Use DROP INDEX to remove an index."
	}
	return "Use DROP " + strings.ToUpper(kind) + " to remove a " + kind + "."
}

// removeTable drops a table with its data, its keys' ends in other tables and the
// sequences that its columns own.
func (e *Env) removeTable(t *catalog.Table) error {
	for _, in := range t.InboundFKs {
		if in.Table == t.ID {
			continue
		}
		other, err := e.table(in.Table)
		if err != nil {
			return err
		}
		other.Constraints = slices.DeleteFunc(other.Constraints, func(c catalog.Constraint) bool { return c.OID == in.Constraint })
		e.Change.Put(other)
	}
	for i := range t.Constraints {
		if c := &t.Constraints[i]; c.Kind == catalog.ForeignKey && c.RefTable != t.ID {
			if err := e.forgetInbound(c); err != nil {
				return err
			}
		}
	}
	var gone []types.OID
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if q, ok := d.(*catalog.Sequence); ok && q.OwnerTable == t.ID {
			gone = append(gone, q.ID)
		}
		return true
	})
	e.Change.Drop(append(gone, t.ID)...)
	e.clearTable(t.ID)
	return nil
}

// forgetInbound takes a foreign key out of the table it references.
func (e *Env) forgetInbound(c *catalog.Constraint) error {
	ref, err := e.table(c.RefTable)
	if err != nil {
		return err
	}
	ref.InboundFKs = slices.DeleteFunc(ref.InboundFKs, func(f catalog.InboundFK) bool { return f.Constraint == c.OID })
	e.Change.Put(ref)
	return nil
}

// clearTable deletes a table's data once nobody can reach it.
func (e *Env) clearTable(oid types.OID) {
	db := e.DB
	e.Change.AfterCommit(func(ctx context.Context) {
		start, end := keys.TableSpan(uint32(oid))
		if err := db.Admin().ClearSpan(ctx, start, end); err != nil {
			slog.Warn("data of a dropped table is left behind", "table", uint32(oid), "err", err)
		}
	})
}

// takesFrom reports whether a column's default names a sequence.
func takesFrom(c *catalog.Column, seq types.OID) bool {
	if c.Sequence == seq {
		return true
	}
	if c.Default == nil || !c.State.Readable() {
		return false
	}
	found := false
	expr.Walk(c.Default.Tree, func(x expr.Expr) bool {
		k, ok := x.(*expr.Const)
		found = found || ok && k.Typ.OID == types.RegClassOID && !k.Value.IsNull() && types.OID(k.Value.Int()) == seq
		return !found
	})
	return found
}

// truncate gives each table, and what references it with CASCADE, new storage.
func (e *Env) truncate(s *ast.TruncateStmt) error {
	var order []types.OID
	wanted := map[types.OID]bool{}
	var add func(t *catalog.Table) error
	add = func(t *catalog.Table) error {
		if wanted[t.ID] {
			return nil
		}
		if err := e.mayOn(t, 'D'); err != nil {
			return err
		}
		wanted[t.ID] = true
		order = append(order, t.ID)
		if s.Behavior != ast.DROP_CASCADE {
			return nil
		}
		for _, in := range t.InboundFKs {
			other, err := e.table(in.Table)
			if err != nil {
				return err
			}
			if !wanted[other.ID] {
				e.notice("00000", "truncate cascades to table \"%s\"", other.Name)
			}
			if err := add(other); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range s.Relations {
		t, _, err := e.plainTable(n.(*ast.RangeVar), false)
		if err != nil {
			return err
		}
		if err := add(t); err != nil {
			return err
		}
	}
	for _, oid := range order {
		if err := e.truncateTable(oid, wanted, s.RestartSeqs); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) truncateTable(oid types.OID, with map[types.OID]bool, restart bool) error {
	t, err := e.table(oid)
	if err != nil {
		return err
	}
	for _, in := range t.InboundFKs {
		if !with[in.Table] {
			other, err := e.table(in.Table)
			if err != nil {
				return err
			}
			return types.Errorf(types.CodeFeatureNotSupported, "cannot truncate a table referenced in a foreign key constraint").
				WithDetail("Table \"%s\" references \"%s\".", other.Name, t.Name).
				WithHint("Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.", other.Name)
		}
	}
	var old []catalog.StorageID
	for i := range t.Indexes {
		old = append(old, t.Indexes[i].Storage)
		t.Indexes[i].Storage = t.NextStorage
		t.NextStorage++
	}
	e.clearStorage(t, old...)
	e.Change.Put(t)
	if !restart {
		return nil
	}
	for i := range t.Columns {
		d, ok := e.Change.Snapshot().ByOID(t.Columns[i].Sequence)
		q, isSeq := d.(*catalog.Sequence)
		if t.Columns[i].Sequence == 0 || !ok || !isSeq {
			continue
		}
		if q, err = clone(q); err != nil {
			return err
		}
		q.StorageID++
		e.Change.Put(q)
	}
	return nil
}

func (e *Env) dropSchema(s *ast.DropStmt, name string) (catalog.Descriptor, error) {
	sc, ok := e.resolver().Schema(name)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "schema \"%s\" does not exist, skipping", name)
			return nil, nil
		}
		return nil, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	if err := e.mustOwn(&sc.Header, "schema"); err != nil {
		return nil, err
	}
	if sc.Database == 0 {
		return nil, types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop schema %s because it is required by the database system", name)
	}
	return sc, nil
}

// emptySchema drops what a schema holds, without a word.
func (e *Env) emptySchema(sc *catalog.Schema) error {
	tell := e.Notice
	e.Notice = nil
	defer func() { e.Notice = tell }()
	return e.dropAll(e.dependents(object{oid: sc.ID}), true)
}

func (e *Env) dropType(s *ast.DropStmt, n catalog.Name) (catalog.Descriptor, error) {
	t, ok := e.resolver().Type(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "type \"%s\" does not exist, skipping", n)
			return nil, nil
		}
		return nil, types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
	}
	return t, e.mustOwn(&t.Header, "type")
}

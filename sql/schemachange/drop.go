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
	for _, n := range s.Objects {
		var parts []string
		switch x := n.(type) {
		case *ast.List:
			parts = stringList(x.Items)
		case *ast.TypeName:
			parts = stringList(x.Names)
		case *ast.String:
			parts = []string{x.Sval}
		}
		if err := e.dropOne(s, splitName(parts)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) dropOne(s *ast.DropStmt, n catalog.Name) error {
	switch s.RemoveType {
	case ast.OBJECT_INDEX:
		return e.dropIndexByName(n, s.MissingOk)
	case ast.OBJECT_TABLE, ast.OBJECT_VIEW, ast.OBJECT_MATVIEW, ast.OBJECT_SEQUENCE:
		return e.dropRelation(s, n)
	case ast.OBJECT_SCHEMA:
		return e.dropSchema(s, n.Name)
	case ast.OBJECT_TYPE, ast.OBJECT_DOMAIN:
		return e.dropType(s, n)
	}
	return types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", dropTag(s.RemoveType))
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
	}
	return "table"
}

func (e *Env) dropRelation(s *ast.DropStmt, n catalog.Name) error {
	word := relationWord(s.RemoveType)
	d, ok := e.resolver().Relation(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "%s \"%s\" does not exist, skipping", word, n)
			return nil
		}
		return types.Errorf(types.CodeUndefinedTable, "%s \"%s\" does not exist", word, n)
	}
	if t, isTable := d.(*catalog.Table); isTable && t.Virtual {
		return types.Errorf(types.CodeInsufficientPrivilege, "permission denied: \"%s\" is a system catalog", n.Name)
	}
	kinds := map[ast.ObjectType]catalog.Kind{ast.OBJECT_TABLE: catalog.KindTable, ast.OBJECT_VIEW: catalog.KindView,
		ast.OBJECT_MATVIEW: catalog.KindView, ast.OBJECT_SEQUENCE: catalog.KindSequence}
	if d.Kind() != kinds[s.RemoveType] {
		article := "a"
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not %s %s", n.Name, article, word).
			WithHint("Use DROP %s to remove %s %s.", map[catalog.Kind]string{catalog.KindTable: "TABLE", catalog.KindView: "VIEW", catalog.KindSequence: "SEQUENCE"}[d.Kind()], article, d.Kind())
	}
	if err := e.mustOwn(d.Head(), word); err != nil {
		return err
	}
	return e.remove(d, s.Behavior == ast.DROP_CASCADE)
}

// remove drops an object and, with cascade, what depends on it.
func (e *Env) remove(d catalog.Descriptor, cascade bool) error {
	h := d.Head()
	if d.Kind() == catalog.KindView && cascade {
		// Before what depends on it: views that CREATE OR REPLACE made depend on
		// each other must not be visited for ever.
		e.Change.Drop(h.ID)
	}
	if err := e.removeViewsOf(h, d.Kind(), cascade); err != nil {
		return err
	}
	switch x := d.(type) {
	case *catalog.Table:
		return e.removeTable(x, cascade)
	case *catalog.Sequence:
		return e.removeSequence(x, cascade)
	}
	e.Change.Drop(h.ID)
	return nil
}

// removeViewsOf drops the views over an object, or refuses.
func (e *Env) removeViewsOf(h *catalog.Header, kind catalog.Kind, cascade bool) error {
	var views []*catalog.View
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if v, ok := d.(*catalog.View); ok && v.ID != h.ID && slices.Contains(v.DependsOn, h.ID) {
			views = append(views, v)
		}
		return true
	})
	for _, v := range views {
		if !cascade {
			return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop %s %s because other objects depend on it", kind, h.Name).
				WithDetail("view %s depends on %s %s", v.Name, kind, h.Name).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
		}
		e.notice("00000", "drop cascades to view %s", v.Name)
		if err := e.remove(v, true); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) removeTable(t *catalog.Table, cascade bool) error {
	for _, in := range t.InboundFKs {
		if in.Table == t.ID {
			continue
		}
		other, err := e.table(in.Table)
		if err != nil {
			return err
		}
		fk, ok := other.Constraint(in.Constraint)
		if !ok {
			continue
		}
		if !cascade {
			return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop table %s because other objects depend on it", t.Name).
				WithDetail("constraint %s on table %s depends on table %s", fk.Name, other.Name, t.Name).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
		}
		e.notice("00000", "drop cascades to constraint %s on table %s", fk.Name, other.Name)
		oid := in.Constraint
		other.Constraints = slices.DeleteFunc(other.Constraints, func(c catalog.Constraint) bool { return c.OID == oid })
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

// removeSequence drops a sequence and, with cascade, the defaults that take
// values from it.
func (e *Env) removeSequence(q *catalog.Sequence, cascade bool) error {
	var lines []string
	var tables []*catalog.Table
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		t, ok := d.(*catalog.Table)
		if !ok || t.State == catalog.Absent {
			return true
		}
		n := len(lines)
		for i := range t.Columns {
			if c := &t.Columns[i]; takesFrom(c, q.ID) {
				lines = append(lines, "default value for column "+c.Name+" of table "+t.Name)
			}
		}
		if len(lines) > n {
			tables = append(tables, t)
		}
		return true
	})
	if len(lines) > 0 && !cascade {
		for i := range lines {
			lines[i] += " depends on sequence " + q.Name
		}
		return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop sequence %s because other objects depend on it", q.Name).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	e.cascadeNotice(lines)
	for _, used := range tables {
		t, err := clone(used)
		if err != nil {
			return err
		}
		for i := range t.Columns {
			if c := &t.Columns[i]; takesFrom(c, q.ID) {
				c.Sequence, c.Default = 0, nil
			}
		}
		e.Change.Put(t)
	}
	e.Change.Drop(q.ID)
	return nil
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

// cascadeNotice tells what a cascade took along.
func (e *Env) cascadeNotice(lines []string) {
	switch len(lines) {
	case 0:
	case 1:
		e.notice("00000", "drop cascades to %s", lines[0])
	default:
		e.notice("00000", "drop cascades to %d other objects", len(lines))
	}
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
		t, _, err := e.ownTable(n.(*ast.RangeVar), false)
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

func (e *Env) dropSchema(s *ast.DropStmt, name string) error {
	sc, ok := e.resolver().Schema(name)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "schema \"%s\" does not exist, skipping", name)
			return nil
		}
		return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	if err := e.mustOwn(&sc.Header, "schema"); err != nil {
		return err
	}
	if sc.Database == 0 {
		return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop schema %s because it is required by the database system", name)
	}
	if err := e.emptySchema(sc, s.Behavior == ast.DROP_CASCADE); err != nil {
		return err
	}
	e.Change.Drop(sc.ID)
	return nil
}

// emptySchema drops what a schema holds, or refuses.
func (e *Env) emptySchema(sc *catalog.Schema, cascade bool) error {
	var held []types.OID
	var first catalog.Descriptor
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if d.Head().Schema == sc.ID {
			held = append(held, d.Head().ID)
			if first == nil {
				first = d
			}
		}
		return true
	})
	if len(held) > 0 && !cascade {
		return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop schema %s because other objects depend on it", sc.Name).
			WithDetail("%s %s.%s depends on schema %s", first.Kind(), sc.Name, first.Head().Name, sc.Name).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	var lines []string
	for _, oid := range held {
		if d, ok := e.Change.Snapshot().ByOID(oid); ok && !ownedSequence(d) {
			lines = append(lines, d.Kind().String()+" "+sc.Name+"."+d.Head().Name)
		}
	}
	e.cascadeNotice(lines)
	for _, oid := range held {
		// Dropping one may have taken others with it.
		if d, ok := e.Change.Snapshot().ByOID(oid); ok && d.Head().ID == oid {
			if err := e.remove(d, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownedSequence reports whether an object goes with the column that owns it.
func ownedSequence(d catalog.Descriptor) bool {
	q, ok := d.(*catalog.Sequence)
	return ok && q.OwnerTable != 0
}

func (e *Env) dropType(s *ast.DropStmt, n catalog.Name) error {
	t, ok := e.resolver().Type(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "type \"%s\" does not exist, skipping", n)
			return nil
		}
		return types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
	}
	if err := e.mustOwn(&t.Header, "type"); err != nil {
		return err
	}
	if err := e.dropColumnsOf(t, s.Behavior == ast.DROP_CASCADE); err != nil {
		return err
	}
	e.Change.Drop(t.ID)
	return nil
}

// dropColumnsOf drops the columns of a type, or refuses.
func (e *Env) dropColumnsOf(t *catalog.Type, cascade bool) error {
	type use struct {
		table  *catalog.Table
		column string
		array  bool
	}
	var uses []use
	for _, array := range []bool{true, false} {
		oid := t.ID
		if array {
			oid = t.Array
		}
		e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
			tb, ok := d.(*catalog.Table)
			for i := 0; ok && oid != 0 && i < len(tb.Columns); i++ {
				if c := &tb.Columns[i]; c.Type.OID == oid && c.State.Readable() {
					uses = append(uses, use{tb, c.Name, array})
				}
			}
			return true
		})
	}
	if len(uses) == 0 {
		return nil
	}
	if !cascade {
		lines := make([]string, len(uses))
		for i, u := range uses {
			lines[i] = "column " + u.column + " of table " + u.table.Name + " depends on type " + t.Name
			if u.array {
				lines[i] += "[]"
			}
		}
		return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop type %s because other objects depend on it", t.Name).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	for _, u := range uses {
		sc, ok := e.Change.Snapshot().ByOID(u.table.Schema)
		if !ok {
			continue
		}
		err := e.alterTable(&ast.AlterTableStmt{
			Relation: &ast.RangeVar{Schemaname: sc.Head().Name, Relname: u.table.Name},
			Objtype:  ast.OBJECT_TABLE,
			Cmds:     []ast.Node{&ast.AlterTableCmd{Subtype: ast.AT_DropColumn, Name: u.column, Behavior: ast.DROP_CASCADE}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

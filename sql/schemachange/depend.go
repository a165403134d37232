package schemachange

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/types"
)

// object is what a DROP may take: a descriptor, or a part of a table.
type object struct {
	class objectClass
	oid   types.OID // of the descriptor
	part  types.OID // the constraint's oid, or the column's id
}

type objectClass uint8

const (
	wholeObject objectClass = iota
	columnObject
	constraintObject
	defaultObject
)

// dependency is an object that cannot do without another.
type dependency struct {
	object
	on object
}

// dependents lists what depends on an object from outside: what goes with it
// silently (a table's indexes, its own keys, the sequence of a serial column) is
// not among them. They are in the order in which they were made.
func (e *Env) dependents(o object) []object {
	var out []object
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		switch x := d.(type) {
		case *catalog.Table:
			if !x.Virtual && x.State != catalog.Absent {
				out = append(out, e.tableDependsOn(x, o)...)
			}
		case *catalog.View:
			if viewDependsOn(x, o) {
				out = append(out, object{oid: x.ID})
			}
		case *catalog.Sequence:
			switch {
			case x.OwnerTable != 0:
				// It goes with its column; what else takes values from it depends on that.
				if x.OwnerTable == o.oid && x.ID != o.oid && (o.class == wholeObject || o.class == columnObject && types.OID(x.OwnerColumn) == o.part) {
					out = append(out, e.foreignDefaults(x)...)
				}
			case o.class == wholeObject && x.Schema == o.oid:
				out = append(out, object{oid: x.ID})
			}
		case *catalog.Type:
			if o.class == wholeObject && x.Schema == o.oid {
				out = append(out, object{oid: x.ID})
			}
		}
		return true
	})
	slices.SortStableFunc(out, func(a, b object) int {
		if x, y := e.arrayColumn(a), e.arrayColumn(b); x != y && o.class == wholeObject {
			// An array type is dropped before that of its elements.
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(age(a), age(b))
	})
	return out
}

func (e *Env) arrayColumn(o object) bool {
	d, _ := e.Change.Snapshot().ByOID(o.oid)
	t, ok := d.(*catalog.Table)
	if !ok || o.class != columnObject {
		return false
	}
	c, ok := t.Column(catalog.ColumnID(o.part))
	return ok && c.Type.IsArray()
}

// age orders objects by when they were made.
func age(o object) types.OID {
	if o.class == constraintObject {
		return o.part
	}
	return o.oid
}

// foreignDefaults are the defaults in other tables that take values from a
// sequence.
func (e *Env) foreignDefaults(q *catalog.Sequence) []object {
	return slices.DeleteFunc(e.dependents(object{oid: q.ID}), func(o object) bool {
		return o.class == defaultObject && o.oid == q.OwnerTable
	})
}

func (e *Env) tableDependsOn(t *catalog.Table, o object) []object {
	if o.class == wholeObject && t.Schema == o.oid {
		return []object{{oid: t.ID}}
	}
	var out []object
	for i := range t.Constraints {
		k := &t.Constraints[i]
		if k.Kind != catalog.ForeignKey || k.RefTable != o.oid || t.ID == o.oid {
			continue
		}
		if o.class == wholeObject || o.class == columnObject && slices.Contains(k.RefColumns, catalog.ColumnID(o.part)) {
			out = append(out, object{constraintObject, t.ID, k.OID})
		}
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if !c.State.Readable() {
			continue
		}
		switch {
		case o.class == wholeObject && (c.Type.OID == o.oid || types.ElemOf(c.Type.OID) == o.oid):
			out = append(out, object{columnObject, t.ID, types.OID(c.ID)})
		case o.class == wholeObject && takesFrom(c, o.oid):
			out = append(out, object{defaultObject, t.ID, types.OID(c.ID)})
		case o.class == columnObject && t.ID == o.oid && c.Generated != nil && readsColumn(c.Generated.Tree, catalog.ColumnID(o.part)):
			out = append(out, object{columnObject, t.ID, types.OID(c.ID)})
		}
	}
	return out
}

func viewDependsOn(v *catalog.View, o object) bool {
	switch o.class {
	case wholeObject:
		return v.ID != o.oid && (v.Schema == o.oid || slices.Contains(v.DependsOn, o.oid))
	case columnObject:
		return readsThrough(v, o.oid, catalog.ColumnID(o.part))
	}
	return false
}

// readsThrough reports whether a view's own query reads a column.
func readsThrough(v *catalog.View, rel types.OID, id catalog.ColumnID) bool {
	return slices.ContainsFunc(v.Refs, func(r catalog.ViewRef) bool {
		return r.OID == rel && slices.ContainsFunc(r.Columns, func(c catalog.ViewColumn) bool { return c.ID == id && c.Used })
	})
}

// viewsReading lists the views whose own queries read a column.
func (e *Env) viewsReading(rel types.OID, id catalog.ColumnID) []*catalog.View {
	var out []*catalog.View
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		if v, ok := d.(*catalog.View); ok && readsThrough(v, rel, id) {
			out = append(out, v)
		}
		return true
	})
	return out
}

// fallout lists what depends on the roots, directly or not, and is none of them:
// each behind what it depends on.
func (e *Env) fallout(roots []object) []dependency {
	seen := make(map[object]bool, len(roots))
	for _, o := range roots {
		seen[o] = true
	}
	var out []dependency
	var visit func(o object)
	visit = func(o object) {
		for _, d := range slices.Backward(e.dependents(o)) {
			if !seen[d] {
				seen[d] = true
				visit(d)
				out = append(out, dependency{d, o})
			}
		}
	}
	for _, o := range roots {
		visit(o)
	}
	slices.Reverse(out)
	// Parts of a table go with it.
	return slices.DeleteFunc(out, func(d dependency) bool { return d.class != wholeObject && seen[object{oid: d.oid}] })
}

// describe names an object as messages do.
func (e *Env) describe(o object) string {
	d, ok := e.Change.Snapshot().ByOID(o.oid)
	if !ok {
		return "object " + strconv.Itoa(int(o.oid))
	}
	h := d.Head()
	name := pgcatalog.QuoteIdent(h.Name)
	switch d.Kind() {
	case catalog.KindTable, catalog.KindView, catalog.KindSequence:
		name, _ = pgcatalog.QualifiedRelation(e.resolver(), h.ID)
	case catalog.KindType:
		name = pgcatalog.TypeName(e.resolver(), types.Of(h.ID))
	}
	whole := d.Kind().String() + " " + name
	t, _ := d.(*catalog.Table)
	switch o.class {
	case constraintObject:
		if k, ok := t.Constraint(o.part); ok {
			return "constraint " + k.Name + " on " + whole
		}
	case columnObject, defaultObject:
		if c, ok := t.Column(catalog.ColumnID(o.part)); ok {
			what := "column " + c.Name + " of " + whole
			if o.class == defaultObject {
				return "default value for " + what
			}
			return what
		}
	}
	return whole
}

// describeOn names what a dependency depends on: for a column of an array type,
// the array.
func (e *Env) describeOn(d dependency) string {
	s := e.describe(d.on)
	if o, _ := e.Change.Snapshot().ByOID(d.on.oid); d.class == columnObject && o.Kind() == catalog.KindType {
		t, err := e.table(d.oid)
		if err != nil {
			return s
		}
		if c, ok := t.Column(catalog.ColumnID(d.part)); ok && types.ElemOf(c.Type.OID) == d.on.oid {
			return s + "[]"
		}
	}
	return s
}

// maxReported bounds the objects that a message names.
const maxReported = 100

// mayDrop refuses to drop the roots while others depend on them, or with cascade
// tells what goes along.
func (e *Env) mayDrop(roots []object, also []dependency, cascade bool) error {
	if len(also) == 0 {
		return nil
	}
	lines := make([]string, 0, len(also))
	for i, d := range also {
		if i == maxReported {
			lines = append(lines, "and "+strconv.Itoa(len(also)-i)+" other objects (see server log for list)")
			break
		}
		if cascade {
			lines = append(lines, "drop cascades to "+e.describe(d.object))
		} else {
			lines = append(lines, e.describe(d.object)+" depends on "+e.describeOn(d))
		}
	}
	detail := strings.Join(lines, "\n")
	switch {
	case cascade && len(also) == 1:
		e.notice("00000", "%s", detail)
	case cascade && e.Notice != nil:
		n := types.Errorf("00000", "drop cascades to %d other objects", len(also)).WithDetail("%s", detail)
		n.Severity = "NOTICE"
		e.Notice(n)
	case cascade:
	default:
		what := "desired object(s) because other objects depend on them"
		if len(roots) == 1 {
			what = e.describe(roots[0]) + " because other objects depend on it"
		}
		return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop %s", what).WithDetail("%s", detail).
			WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	return nil
}

// dropAll drops objects and, with cascade, what depends on them.
func (e *Env) dropAll(roots []object, cascade bool) error {
	also := e.fallout(roots)
	if err := e.mayDrop(roots, also, cascade); err != nil {
		return err
	}
	for _, d := range slices.Backward(also) {
		if err := e.removeObject(d.object); err != nil {
			return err
		}
	}
	for _, o := range roots {
		if err := e.removeObject(o); err != nil {
			return err
		}
	}
	return nil
}

// removeObject takes one object away; what depends on it is gone already. An
// object that has gone with another is no error.
func (e *Env) removeObject(o object) error {
	d, ok := e.Change.Snapshot().ByOID(o.oid)
	if !ok || d.Head().ID != o.oid {
		return nil
	}
	t, isTable := d.(*catalog.Table)
	if !isTable {
		e.Change.Drop(o.oid)
		return nil
	}
	switch o.class {
	case constraintObject:
		return e.removeForeignKey(t, o.part)
	case defaultObject:
		return e.removeDefault(t, catalog.ColumnID(o.part))
	case columnObject:
		c, ok := t.Column(catalog.ColumnID(o.part))
		if !ok || !c.State.Readable() {
			return nil
		}
		return e.alterTable(&ast.AlterTableStmt{
			Relation: &ast.RangeVar{Schemaname: e.schemaName(t.Schema), Relname: t.Name}, Objtype: ast.OBJECT_TABLE,
			Cmds: []ast.Node{&ast.AlterTableCmd{Subtype: ast.AT_DropColumn, Name: c.Name, Behavior: ast.DROP_CASCADE}},
		})
	}
	return e.removeTable(t)
}

func (e *Env) removeForeignKey(t *catalog.Table, oid types.OID) error {
	t, err := clone(t)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.Constraints, func(c catalog.Constraint) bool { return c.OID == oid })
	if i < 0 {
		return nil
	}
	k := t.Constraints[i]
	t.Constraints = slices.Delete(t.Constraints, i, i+1)
	e.Change.Put(t)
	return e.forgetInbound(&k)
}

func (e *Env) removeDefault(t *catalog.Table, id catalog.ColumnID) error {
	t, err := clone(t)
	if err != nil {
		return err
	}
	if c, ok := t.Column(id); ok {
		c.Sequence, c.Default = 0, nil
	}
	e.Change.Put(t)
	return nil
}

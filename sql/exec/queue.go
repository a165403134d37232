package exec

import (
	"strings"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// Queue holds the foreign-key checks and actions that follow a statement, or
// the transaction for deferred constraints. A nil Queue drops nothing: it must
// not be used with tables that have foreign keys.
type Queue struct {
	now, late []fkEvent
	// Deferred says which constraints SET CONSTRAINTS has deferred (true) or
	// made immediate; others follow their declaration.
	Deferred map[types.OID]bool
	AllSet   *bool
	depth    int
}

// fkEvent is one row that a constraint must be checked for.
type fkEvent struct {
	child  types.OID // the table that has the constraint
	con    types.OID
	parent bool // the referenced side lost (or changed) the key
	op     plan.MutationOp
	vals   []types.Datum // of the constraint's columns (or referenced columns)
	newv   []types.Datum // the parent's new key, for ON UPDATE CASCADE
}

func (q *Queue) pending() bool { return q != nil && len(q.now) > 0 }

// Mark returns the number of deferred events, for savepoints.
func (q *Queue) Mark() int { return len(q.late) }

// RollbackTo forgets events since a mark, and those of a failed statement.
func (q *Queue) RollbackTo(mark int) { q.now, q.late = nil, q.late[:min(mark, len(q.late))] }

// Reset forgets everything.
func (q *Queue) Reset() { *q = Queue{} }

func (q *Queue) add(c *catalog.Constraint, e fkEvent) {
	late := c.Deferrable && c.InitiallyDeferred
	if c.Deferrable && q.AllSet != nil {
		late = *q.AllSet
	}
	if v, ok := q.Deferred[c.OID]; ok && c.Deferrable {
		late = v
	}
	if late && !(e.parent && fkAction(c, e.op) != catalog.FKNoAction) {
		q.late = append(q.late, e)
		return
	}
	q.now = append(q.now, e)
}

func fkAction(c *catalog.Constraint, op plan.MutationOp) catalog.FKAction {
	a := c.OnDelete
	if op == plan.Update {
		a = c.OnUpdate
	}
	if a == 0 {
		return catalog.FKNoAction
	}
	return a
}

// fkPlan says what a mutation of a table means for foreign keys.
type fkPlan struct {
	table *catalog.Table
	out   []*catalog.Constraint
	outAt [][]int
	in    []catalog.InboundFK
}

func newFKPlan(t *catalog.Table, op plan.MutationOp, changed map[catalog.ColumnID]bool) *fkPlan {
	f := &fkPlan{table: t}
	for i := range t.Constraints {
		c := &t.Constraints[i]
		if c.Kind != catalog.ForeignKey || !c.State.Writable() || op == plan.Delete {
			continue
		}
		touched := changed == nil
		var at []int
		for _, id := range c.Columns {
			touched = touched || changed[id]
			at = append(at, t.Ordinal(id))
		}
		if touched {
			f.out = append(f.out, c)
			f.outAt = append(f.outAt, at)
		}
	}
	if op != plan.Insert {
		f.in = t.InboundFKs
	}
	return f
}

func (f *fkPlan) empty() bool { return len(f.out) == 0 && len(f.in) == 0 }

func (f *fkPlan) inserted(q *Queue, row []types.Datum) {
	for i, c := range f.out {
		vals, nulls := pick(row, f.outAt[i])
		if nulls > 0 && (c.Match != 'f' || nulls == len(vals)) {
			continue
		}
		q.add(c, fkEvent{child: f.table.ID, con: c.OID, vals: vals})
	}
}

func pick(row []types.Datum, at []int) (vals []types.Datum, nulls int) {
	vals = make([]types.Datum, len(at))
	for i, o := range at {
		if vals[i] = row[o]; vals[i].IsNull() {
			nulls++
		}
	}
	return vals, nulls
}

func (f *fkPlan) removed(q *Queue, row []types.Datum) {
	for _, in := range f.in {
		q.now = append(q.now, fkEvent{child: in.Table, con: in.Constraint, parent: true, op: plan.Delete, vals: row})
	}
}

func (f *fkPlan) updated(q *Queue, old, row []types.Datum) {
	for i, c := range f.out {
		vals, nulls := pick(row, f.outAt[i])
		was, _ := pick(old, f.outAt[i])
		if same(vals, was) || nulls > 0 && (c.Match != 'f' || nulls == len(vals)) {
			continue
		}
		q.add(c, fkEvent{child: f.table.ID, con: c.OID, vals: vals})
	}
	for _, in := range f.in {
		q.now = append(q.now, fkEvent{child: in.Table, con: in.Constraint, parent: true, op: plan.Update, vals: old, newv: row})
	}
}

func same(a, b []types.Datum) bool {
	for i := range a {
		if !a[i].BytesEqual(b[i]) {
			return false
		}
	}
	return true
}

// Drain carries out what a statement has queued; with late also what waited for
// the commit. Actions may queue more.
func (q *Queue) Drain(env *Env, late bool) error {
	if late {
		q.now, q.late = append(q.now, q.late...), nil
	}
	if len(q.now) == 0 {
		return nil
	}
	r := &run{env: env}
	for len(q.now) > 0 {
		events := q.now
		q.now = nil
		if q.depth++; q.depth > 200 {
			return types.Errorf(types.CodeStatementTooComplex, "foreign keys cascade too deeply")
		}
		checked := map[string]bool{}
		for i := range events {
			if err := r.canceled(); err != nil {
				return err
			}
			if err := q.handle(r, &events[i], checked); err != nil {
				return err
			}
		}
	}
	q.depth = 0
	return nil
}

func (q *Queue) handle(r *run, e *fkEvent, checked map[string]bool) error {
	child, c, parent, ok := fkTables(r, e)
	if !ok {
		return nil // dropped in the meantime
	}
	if !e.parent {
		return checkChild(r, e, child, c, parent, checked)
	}
	vals, newv := make([]types.Datum, len(c.RefColumns)), make([]types.Datum, len(c.RefColumns))
	for i, id := range c.RefColumns {
		o := parent.Ordinal(id)
		if vals[i] = e.vals[o]; vals[i].IsNull() {
			return nil // nobody references a NULL
		}
		if e.newv != nil {
			newv[i] = e.newv[o]
		}
	}
	if e.newv != nil && same(vals, newv) {
		return nil
	}
	return q.parentGone(r, e, child, c, parent, vals, newv)
}

func fkTables(r *run, e *fkEvent) (child *catalog.Table, c *catalog.Constraint, parent *catalog.Table, ok bool) {
	d, found := r.env.Snapshot.ByOID(e.child)
	if child, ok = d.(*catalog.Table); !found || !ok {
		return nil, nil, nil, false
	}
	if c, ok = child.Constraint(e.con); !ok {
		return nil, nil, nil, false
	}
	d, _ = r.env.Snapshot.ByOID(c.RefTable)
	parent, ok = d.(*catalog.Table)
	return child, c, parent, ok
}

func columnNames(t *catalog.Table, ids []catalog.ColumnID) string {
	var out []string
	for _, id := range ids {
		if c, ok := t.Column(id); ok {
			out = append(out, c.Name)
		}
	}
	return strings.Join(out, ", ")
}

func valueTexts(r *run, t *catalog.Table, ids []catalog.ColumnID, vals []types.Datum) string {
	var out []string
	for i, id := range ids {
		if c, ok := t.Column(id); ok {
			out = append(out, text(r, c.Type, vals[i]))
		}
	}
	return strings.Join(out, ", ")
}

// checkChild looks for the parent of a new reference and locks it, so that it
// stays.
func checkChild(r *run, e *fkEvent, child *catalog.Table, c *catalog.Constraint, parent *catalog.Table, checked map[string]bool) error {
	for _, d := range e.vals {
		if d.IsNull() { // MATCH FULL with some NULLs
			return types.Errorf(types.CodeForeignKeyViolation, "insert or update on table \"%s\" violates foreign key constraint \"%s\"", child.Name, c.Name).
				WithDetail("MATCH FULL does not allow mixing of null and nonnull key values.").On(schemaName(r, child), child.Name, "", c.Name)
		}
	}
	key, err := parentKey(c, parent, e.vals)
	if err != nil {
		return err
	}
	if checked[string(key)] {
		return nil
	}
	var b kv.Batch
	b.GetLocked(key, api.LockShared, api.WaitBlock)
	if err := r.env.Txn.Send(r.env.Ctx, &b); err != nil {
		return err
	}
	if !b.Responses[0].Exists {
		return types.Errorf(types.CodeForeignKeyViolation, "insert or update on table \"%s\" violates foreign key constraint \"%s\"", child.Name, c.Name).
			WithDetail("Key (%s)=(%s) is not present in table \"%s\".", columnNames(child, c.Columns), valueTexts(r, child, c.Columns, e.vals), parent.Name).
			On(schemaName(r, child), child.Name, "", c.Name)
	}
	checked[string(key)] = true
	return nil
}

// parentKey returns the key of the referenced row in the referenced index.
func parentKey(c *catalog.Constraint, parent *catalog.Table, vals []types.Datum) ([]byte, error) {
	x, ok := parent.Index(c.Index)
	if !ok {
		x = referencedIndex(parent, c.RefColumns)
	}
	if x == nil {
		return nil, types.Errorf(types.CodeInternal, "constraint \"%s\" has no referenced index", c.Name)
	}
	enc, err := encoderOf(parent, x)
	if err != nil {
		return nil, err
	}
	ordered := make([]types.Datum, len(x.Columns))
	for i := range x.Columns {
		for k, id := range c.RefColumns {
			if id == x.Columns[i].Column {
				ordered[i] = vals[k]
			}
		}
	}
	return enc.AppendPoint(nil, ordered), nil
}

func referencedIndex(t *catalog.Table, cols []catalog.ColumnID) *catalog.Index {
	for i := range t.Indexes {
		x := &t.Indexes[i]
		if (!x.Unique && x.OID != t.Primary) || len(x.Columns) != len(cols) || x.Predicate != nil {
			continue
		}
		n := 0
		for _, c := range x.Columns {
			for _, id := range cols {
				if c.Column == id {
					n++
				}
			}
		}
		if n == len(cols) {
			return x
		}
	}
	return nil
}

// parentGone handles references to a key that went away.
func (q *Queue) parentGone(r *run, e *fkEvent, child *catalog.Table, c *catalog.Constraint, parent *catalog.Table, vals, newv []types.Datum) error {
	action := fkAction(c, e.op)
	switch action {
	case catalog.FKCascade, catalog.FKSetNull, catalog.FKSetDefault:
		input, old := childScan(child, c, vals)
		if err := runAction(r, e, child, c, input, old, action, newv); err != nil || action != catalog.FKSetDefault {
			return err
		}
		// The default may be the very key that went away.
	}
	if action != catalog.FKRestrict {
		// Another row may have taken the key since.
		key, err := parentKey(c, parent, vals)
		if err != nil {
			return err
		}
		var b kv.Batch
		b.Get(key)
		if err := r.env.Txn.Send(r.env.Ctx, &b); err != nil {
			return err
		}
		if b.Responses[0].Exists {
			return nil
		}
		late := c.Deferrable && c.InitiallyDeferred
		if q.AllSet != nil && c.Deferrable {
			late = *q.AllSet
		}
		if late && action == catalog.FKNoAction && !e.lateNow() {
			l := *e
			l.op |= lateBit
			q.late = append(q.late, l)
			return nil
		}
	}
	input, _ := childScan(child, c, vals)
	found, err := anyRow(r, input)
	if err != nil || !found {
		return err
	}
	return types.Errorf(types.CodeForeignKeyViolation, "update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"", parent.Name, c.Name, child.Name).
		WithDetail("Key (%s)=(%s) is still referenced from table \"%s\".", columnNames(parent, c.RefColumns), valueTexts(r, parent, c.RefColumns, vals), child.Name).
		On(schemaName(r, child), child.Name, "", c.Name)
}

// lateBit marks an event that has waited for the commit.
const lateBit plan.MutationOp = 0x80

func (e *fkEvent) lateNow() bool {
	late := e.op&lateBit != 0
	e.op &^= lateBit
	return late
}

// childScan is a plan that reads and locks the rows that reference a key.
func childScan(t *catalog.Table, c *catalog.Constraint, vals []types.Datum) (plan.Node, []plan.ColID) {
	var read []catalog.ColumnID
	var out []plan.Column
	old := make([]plan.ColID, len(t.Columns))
	for i := range t.Columns {
		col := &t.Columns[i]
		old[i] = plan.ColID(i + 1)
		read = append(read, col.ID)
		out = append(out, plan.Column{ID: old[i], Name: col.Name, Type: col.Type})
	}
	lock := plan.Locking{Strength: plan.LockUpdate}
	var eq []plan.Scalar
	for i, id := range c.Columns {
		o := t.Ordinal(id)
		typ := t.Columns[o].Type
		ref := &expr.ColumnRef{ID: old[o], Typ: typ, Name: t.Columns[o].Name}
		op, ok := pgfacts.LookupOperator("=", typ.OID, typ.OID)
		if !ok {
			op, _ = pgfacts.LookupOperator("=", types.TextOID, types.TextOID)
		}
		eq = append(eq, &expr.OpExpr{Op: op.OID, Func: op.Func, Name: "=", Typ: types.BoolType,
			Args: []expr.Expr{ref, &expr.Const{Value: vals[i], Typ: typ}}})
	}
	x := prefixIndex(t, c.Columns)
	if x == nil {
		return &plan.Scan{Base: plan.Base{Out: out}, Table: t, Index: t.PrimaryIndex(), Read: read, Filter: eq, Lock: lock}, old
	}
	var span plan.Span
	for _, ic := range x.Columns[:len(c.Columns)] {
		for i, id := range c.Columns {
			if id == ic.Column {
				o := t.Ordinal(id)
				span.Eq = append(span.Eq, plan.SpanKey{Value: &expr.Const{Value: vals[i], Typ: t.Columns[o].Type}})
			}
		}
	}
	if x.OID == t.Primary {
		return &plan.Scan{Base: plan.Base{Out: out}, Table: t, Index: x, Read: read, Spans: []plan.Span{span}, Lock: lock}, old
	}
	var keyOut []plan.Column
	var keyIDs []plan.ColID
	pk := primaryColumns(t)
	for i, id := range pk {
		k := plan.ColID(1000 + i)
		o := t.Ordinal(id)
		keyIDs = append(keyIDs, k)
		keyOut = append(keyOut, plan.Column{ID: k, Name: t.Columns[o].Name, Type: t.Columns[o].Type})
	}
	scan := &plan.Scan{Base: plan.Base{Out: keyOut}, Table: t, Index: x, Read: pk, Spans: []plan.Span{span}}
	return &plan.IndexFetch{Base: plan.Base{Out: out}, Input: scan, Table: t, Key: keyIDs, Read: read, Lock: lock}, old
}

// prefixIndex finds an index that begins with some columns in any order.
func prefixIndex(t *catalog.Table, cols []catalog.ColumnID) *catalog.Index {
	for i := range t.Indexes {
		x := &t.Indexes[i]
		if !x.State.Readable() || x.Predicate != nil || len(x.Columns) < len(cols) {
			continue
		}
		n := 0
		for _, ic := range x.Columns[:len(cols)] {
			for _, id := range cols {
				if ic.Column == id {
					n++
				}
			}
		}
		if n == len(cols) {
			return x
		}
	}
	return nil
}

// afterWrites is env for what follows a statement: it sees all its writes.
func afterWrites(env *Env) *Env {
	e := *env
	e.Seq = 0
	e.MayCommit, e.Measure = false, false
	return &e
}

func anyRow(r *run, n plan.Node) (bool, error) {
	in, err := BuildNode(n)
	if err != nil {
		return false, err
	}
	defer in.Finish()
	if err := in.Run(afterWrites(r.env)); err != nil {
		return false, err
	}
	b, err := in.Next(1)
	return b != nil, err
}

// runAction changes the referencing rows.
func runAction(r *run, e *fkEvent, t *catalog.Table, c *catalog.Constraint, input plan.Node, old []plan.ColID, action catalog.FKAction, newv []types.Datum) error {
	m := &plan.Mutation{Op: plan.Update, Table: t, Input: input, Old: old, Once: true}
	m.Row = make([]plan.ColID, len(t.Columns))
	for i := range m.Row {
		m.Row[i] = plan.ColID(2000 + i)
	}
	if action == catalog.FKCascade && e.op == plan.Delete {
		m.Op, m.Row = plan.Delete, old
	} else {
		for i, id := range c.Columns {
			if action == catalog.FKSetNull && len(c.OnDeleteSet) > 0 && e.op == plan.Delete && !contains(c.OnDeleteSet, id) {
				continue
			}
			col := &t.Columns[t.Ordinal(id)]
			var v plan.Scalar = &expr.Const{Typ: col.Type}
			switch {
			case action == catalog.FKCascade:
				v = &expr.Const{Typ: col.Type, Value: newv[i]}
			case action == catalog.FKSetDefault && col.Default != nil:
				v = col.Default.Tree
			}
			m.Set = append(m.Set, plan.Assign{Column: id, Expr: v})
			if col.NotNull {
				m.NotNull = append(m.NotNull, id)
			}
		}
	}
	storedExprs(m)
	in, err := BuildNode(m)
	if err != nil {
		return err
	}
	defer in.Finish()
	if err := in.Run(afterWrites(r.env)); err != nil {
		return err
	}
	_, err = in.Next(1)
	return err
}

func contains(ids []catalog.ColumnID, id catalog.ColumnID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// storedExprs puts a table's checks, generated columns and index expressions
// over a mutation's row, as the binder does for statements.
func storedExprs(m *plan.Mutation) {
	t := m.Table
	onRow := func(e expr.Expr) expr.Expr {
		return expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
			d := *c
			if o := t.Ordinal(catalog.ColumnID(c.ID)); o >= 0 {
				d.ID = m.Row[o]
			}
			return &d
		})
	}
	if m.Op != plan.Delete {
		for i := range t.Columns {
			if g := t.Columns[i].Generated; g != nil {
				m.Generated = append(m.Generated, plan.Assign{Column: t.Columns[i].ID, Expr: onRow(g.Tree)})
			}
		}
		for i := range t.Constraints {
			if c := &t.Constraints[i]; c.Kind == catalog.CheckConstraint && c.State.Writable() && c.Check != nil {
				m.Checks = append(m.Checks, plan.Check{Name: c.Name, Expr: onRow(c.Check.Tree)})
			}
		}
	}
	for i := range t.Indexes {
		x := &t.Indexes[i]
		ie := plan.IndexExprs{Index: x}
		if x.Predicate != nil {
			ie.Predicate = onRow(x.Predicate.Tree)
		}
		for k := range x.Columns {
			if e := x.Columns[k].Expr; e != nil {
				if ie.Exprs == nil {
					ie.Exprs = make([]plan.Scalar, len(x.Columns))
				}
				ie.Exprs[k] = onRow(e.Tree)
			}
		}
		if ie.Predicate != nil || ie.Exprs != nil {
			m.Indexes = append(m.Indexes, ie)
		}
	}
}

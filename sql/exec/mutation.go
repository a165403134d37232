package exec

import (
	"bytes"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// mutationOp changes rows of one table. It runs to its end on the first call
// and then gives what RETURNING asks for.
type mutationOp struct {
	run    *run
	node   *plan.Mutation
	input  Operator
	in     []plan.Column
	w      *rowWriter
	counts bool // its rows are the statement's
	last   bool // nothing of the statement is read after it
	fk     *fkPlan

	old       []int          // input places of the old row; -1: none
	set       *scan.Instance // over the input
	setAt     []int          // table ordinals
	fromInput []int          // by table ordinal: the place in set's results; -1
	generated []*scan.Instance
	genAt     []int
	notNull   []int
	checks    *scan.Instance
	returning *scan.Instance
	conflict  *conflictPlan
	pkTouched bool

	row   vec.Batch // the new rows, in the shape of Table.Columns
	oldB  vec.Batch
	nulls []*vec.Vector
	out   outbox
	reprs []types.Repr
	done  bool
	seen  map[string]struct{} // old rows changed already, unless Once
	key   []byte
}

func (b *builder) mutation(n *plan.Mutation) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	m := &mutationOp{run: b.run, node: n, input: in, in: n.Input.Columns(), counts: isMain(b.top, n), last: isLast(b.top, n)}
	if m.w, err = newRowWriter(b.run, n); err != nil {
		return nil, err
	}
	for i := range n.Out {
		m.reprs = append(m.reprs, n.Out[i].Type.Repr())
	}
	m.fk = newFKPlan(n.Table, n.Op, m.setColumns())
	if err := m.compileSet(); err != nil {
		return nil, err
	}
	if err := m.compileRow(); err != nil {
		return nil, err
	}
	if n.Conflict != nil {
		m.conflict, err = newConflictPlan(b, m, n)
	}
	m.w.ahead = b.source != nil && m.conflict == nil && m.fk.empty()
	return m, err
}

// isMain reports whether a mutation's count is the statement's.
func isMain(top plan.Node, m *plan.Mutation) bool {
	for top != nil {
		switch n := top.(type) {
		case *plan.Mutation:
			return n == m
		case *plan.With:
			top = n.Body
		case *plan.Project:
			top = n.Input
		case *plan.Apply: // a subquery of RETURNING
			top = n.Left
		default:
			return false
		}
	}
	return false
}

// isLast reports whether nothing of the statement is read after a mutation: the
// subqueries of RETURNING are.
func isLast(top plan.Node, m *plan.Mutation) bool {
	for {
		switch n := top.(type) {
		case *plan.With:
			top = n.Body
		case *plan.Project:
			top = n.Input
		default:
			return top == plan.Node(m)
		}
	}
}

// setColumns are the columns that the statement changes; nil for all of them.
func (m *mutationOp) setColumns() map[catalog.ColumnID]bool {
	if m.node.Op != plan.Update {
		return nil
	}
	out := map[catalog.ColumnID]bool{}
	for _, a := range m.node.Set {
		out[a.Column] = true
	}
	for _, a := range m.node.Generated {
		out[a.Column] = true
	}
	return out
}

func (m *mutationOp) compileSet() error {
	n, t := m.node, m.node.Table
	var es []plan.Scalar
	m.fromInput = make([]int, len(t.Columns))
	for i := range m.fromInput {
		m.fromInput[i] = -1
	}
	for _, a := range n.Set {
		o := t.Ordinal(a.Column)
		m.fromInput[o] = len(es)
		m.setAt = append(m.setAt, o)
		es = append(es, a.Expr)
	}
	var err error
	if m.set, err = compileOpt(es, m.in); err != nil {
		return err
	}
	for _, id := range n.Old {
		p := -1
		if id != 0 {
			if p, err = place(m.in, id); err != nil {
				// A column that nothing needs may have been pruned.
				p = -1
			}
		}
		m.old = append(m.old, p)
	}
	changed := m.setColumns()
	for _, iw := range m.w.indexes {
		iw.touched = changed == nil || indexUses(t, iw.index, changed)
	}
	for _, c := range t.PrimaryIndex().Columns {
		m.pkTouched = m.pkTouched || changed[c.Column]
	}
	if m.pkTouched {
		for _, iw := range m.w.indexes {
			iw.touched = true
		}
	}
	for range t.Columns {
		m.nulls = append(m.nulls, nil)
	}
	m.w.holding = n.Op == plan.Update && m.deferrableKeys()
	return nil
}

// deferrableKeys reports whether the statement may change unique keys that are
// judged only at its end.
func (m *mutationOp) deferrableKeys() bool {
	for i := range m.node.Table.Constraints {
		c := &m.node.Table.Constraints[i]
		if !c.Deferrable || c.Kind == catalog.ForeignKey {
			continue
		}
		if m.pkTouched && c.Index == m.node.Table.Primary {
			return true
		}
		for _, iw := range m.w.indexes {
			if iw.touched && iw.index.OID == c.Index {
				return true
			}
		}
	}
	return false
}

// indexUses reports whether changing columns may change an index's entries.
func indexUses(t *catalog.Table, x *catalog.Index, changed map[catalog.ColumnID]bool) bool {
	if x.Predicate != nil {
		return true
	}
	for _, c := range x.Columns {
		if c.Column == 0 || changed[c.Column] {
			return true
		}
	}
	for _, c := range x.Include {
		if changed[c] {
			return true
		}
	}
	return false
}

// compileRow compiles what is computed over the new row.
func (m *mutationOp) compileRow() error {
	n, t := m.node, m.node.Table
	cols := m.w.rowCols
	for _, g := range n.Generated {
		x, err := compile([]plan.Scalar{g.Expr}, cols)
		if err != nil {
			return err
		}
		m.generated = append(m.generated, x)
		m.genAt = append(m.genAt, t.Ordinal(g.Column))
	}
	for _, id := range n.NotNull {
		m.notNull = append(m.notNull, t.Ordinal(id))
	}
	var es []plan.Scalar
	for _, c := range n.Checks {
		es = append(es, c.Expr)
	}
	var err error
	if m.checks, err = compileOpt(es, cols); err != nil {
		return err
	}
	both := append(append([]plan.Column(nil), cols...), m.in...)
	m.returning, err = compileOpt(n.Returning, both)
	return err
}

// Reset implements Operator.
func (m *mutationOp) Reset() error {
	m.done = false
	m.out.reset()
	m.w.discard()
	m.w.sent, m.w.rows, m.w.held = false, 0, nil
	if m.conflict != nil {
		m.conflict.reset()
	}
	m.seen = nil
	return m.input.Reset()
}

// Close implements Operator.
func (m *mutationOp) Close() {
	m.out.reset()
	m.w.discard()
	m.seen = nil
	m.input.Close()
	if m.conflict != nil && m.conflict.input != nil {
		m.conflict.input.Close()
	}
}

// Next implements Operator.
func (m *mutationOp) Next(want int) (*vec.Batch, error) {
	if !m.done {
		m.done = true
		if err := m.execute(); err != nil {
			m.w.discard()
			return nil, err
		}
	}
	return m.out.next(want), nil
}

func (m *mutationOp) execute() error {
	want := 1
	for {
		if err := m.run.canceled(); err != nil {
			return err
		}
		b, err := m.input.Next(want)
		if err != nil {
			if first := m.w.land(); first != nil {
				return first
			}
			return err
		}
		if b == nil {
			break
		}
		want = vec.NextSize(want)
		if m.node.Op == plan.Insert && m.w.full() {
			if err := m.w.launch(); err != nil {
				return err
			}
		}
		switch m.node.Op {
		case plan.Insert:
			err = m.insert(b)
		case plan.Update:
			err = m.update(b)
		default:
			err = m.remove(b)
		}
		if err != nil {
			return err
		}
	}
	if err := m.w.release(); err != nil {
		return err
	}
	commit := m.run.env.MayCommit && m.counts && m.last && m.fk.empty() && !m.run.env.Queue.pending()
	return m.w.send(commit)
}

// build makes the new rows for the live positions of b in m.row.
func (m *mutationOp) build(b *vec.Batch) error {
	t := m.node.Table
	var vs []*vec.Vector
	var err error
	if m.set != nil {
		if vs, err = m.set.Eval(m.run.ctx(), b); err != nil {
			return err
		}
	}
	m.row = vec.Batch{Cols: m.row.Cols[:0], N: b.N, Sel: b.Sel}
	for i := range t.Columns {
		switch {
		case m.fromInput[i] >= 0:
			m.row.Cols = append(m.row.Cols, vs[m.fromInput[i]])
		case i < len(m.old) && m.old[i] >= 0:
			m.row.Cols = append(m.row.Cols, b.Cols[m.old[i]])
		case t.Columns[i].ID == catalog.RowIDColumn && m.node.Op == plan.Insert:
			m.row.Cols = append(m.row.Cols, m.rowIDs(b))
		default:
			m.row.Cols = append(m.row.Cols, m.null(i))
		}
	}
	for i, g := range m.generated {
		vs, err := g.Eval(m.run.ctx(), &m.row)
		if err != nil {
			return err
		}
		m.row.Cols[m.genAt[i]] = vs[0]
	}
	return m.judge(&m.row)
}

func (m *mutationOp) null(i int) *vec.Vector {
	if m.nulls[i] == nil {
		m.nulls[i] = vec.NewConst(m.node.Table.Columns[i].Type.Repr(), types.Null)
	}
	return m.nulls[i]
}

func (m *mutationOp) rowIDs(b *vec.Batch) *vec.Vector {
	v := vec.New(types.Int64, b.N)
	v.Resize(b.N)
	for i := range b.Len() {
		v.Ints[b.Pos(i)] = m.run.env.RowID()
	}
	return v
}

// judge checks NOT NULL and CHECK for new rows.
func (m *mutationOp) judge(b *vec.Batch) error {
	t := m.node.Table
	for _, o := range m.notNull {
		v := b.Cols[o]
		if !v.HasNulls() {
			continue
		}
		for i := range b.Len() {
			if p := b.Pos(i); v.IsNull(p) {
				m.run.failed = m.w.rows + int64(i) + 1
				c := &t.Columns[o]
				return types.Errorf(types.CodeNotNullViolation, "null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.Name, t.Name).
					WithDetail("%s", failingRow(m.run, t, b.Row(nil, p))).On(schemaName(m.run, t), t.Name, c.Name, "")
			}
		}
	}
	if m.checks == nil {
		return nil
	}
	vs, err := m.checks.Eval(m.run.ctx(), b)
	if err != nil {
		return err
	}
	for i := range b.Len() {
		p := b.Pos(i)
		for k, v := range vs {
			if !v.IsNull(p) && v.Int(p) == 0 {
				m.run.failed = m.w.rows + int64(i) + 1
				name := m.node.Checks[k].Name
				return types.Errorf(types.CodeCheckViolation, "new row for relation \"%s\" violates check constraint \"%s\"", t.Name, name).
					WithDetail("%s", failingRow(m.run, t, b.Row(nil, p))).On(schemaName(m.run, t), t.Name, "", name)
			}
		}
	}
	return nil
}

func (m *mutationOp) count(n int) {
	if m.counts {
		m.run.affected += int64(n)
	}
}

// emit computes RETURNING for the live rows of b, over the input batch in.
func (m *mutationOp) emit(b, in *vec.Batch) error {
	if m.returning == nil {
		return nil
	}
	cols := append(append([]*vec.Vector(nil), b.Cols...), in.Cols...)
	vs, err := m.returning.Eval(m.run.ctx(), &vec.Batch{Cols: cols, N: b.N, Sel: b.Sel})
	if err != nil {
		return err
	}
	out := newBatch(m.reprs)
	for i, v := range vs {
		for k := range b.Len() {
			out.Cols[i].AppendFrom(v, b.Pos(k))
		}
	}
	out.N = b.Len()
	m.out.push(out)
	return m.run.env.Account.Grow(out.MemBytes())
}

// rowDatums copies a row out of a batch.
func rowDatums(b *vec.Batch, p int) []types.Datum {
	return b.Row(make([]types.Datum, 0, len(b.Cols)), p)
}

func (m *mutationOp) prepare(b *vec.Batch) error {
	for _, iw := range m.w.indexes {
		if err := iw.prepare(m.w, b); err != nil {
			return err
		}
	}
	return nil
}

func (m *mutationOp) insert(b *vec.Batch) error {
	if err := m.build(b); err != nil {
		return err
	}
	if m.conflict != nil {
		return m.conflict.insert(b)
	}
	if err := m.prepare(&m.row); err != nil {
		return err
	}
	n := m.row.Len()
	for i := range n {
		p := m.row.Pos(i)
		row := rowDatums(&m.row, p)
		m.w.insert(row, p)
		m.fk.inserted(m.run.env.Queue, row)
	}
	m.count(n)
	return m.emit(&m.row, b)
}

// oldRows makes a view of the old rows in b.
func (m *mutationOp) oldRows(b *vec.Batch) *vec.Batch {
	m.oldB = vec.Batch{Cols: m.oldB.Cols[:0], N: b.N, Sel: b.Sel}
	for i, p := range m.old {
		if p >= 0 {
			m.oldB.Cols = append(m.oldB.Cols, b.Cols[p])
		} else {
			m.oldB.Cols = append(m.oldB.Cols, m.null(i))
		}
	}
	return &m.oldB
}

// once drops rows whose old row was changed already by this statement.
func (m *mutationOp) once(b *vec.Batch) *vec.Batch {
	if m.node.Once {
		return b
	}
	if m.seen == nil {
		m.seen = map[string]struct{}{}
	}
	old := m.oldRows(b)
	sel := make([]int32, 0, b.Len())
	for i := range b.Len() {
		p := b.Pos(i)
		m.key = m.w.primary.AppendKey(m.key[:0], rowDatums(old, p), nil)
		if _, ok := m.seen[string(m.key)]; !ok {
			m.seen[string(m.key)] = struct{}{}
			sel = append(sel, int32(p))
		}
	}
	return &vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}
}

func (m *mutationOp) remove(b *vec.Batch) error {
	b = m.once(b)
	old := m.oldRows(b)
	if err := m.prepare(old); err != nil {
		return err
	}
	n := old.Len()
	for i := range n {
		p := old.Pos(i)
		row := rowDatums(old, p)
		m.w.remove(row, p)
		m.fk.removed(m.run.env.Queue, row)
	}
	m.count(n)
	if err := m.emit(old, b); err != nil {
		return err
	}
	if m.w.full() {
		return m.w.send(false)
	}
	return nil
}

// entryOf is an index entry of the old row.
type entryOf struct {
	key   []byte
	value []byte
	ok    bool
}

func (m *mutationOp) update(b *vec.Batch) error {
	if b = m.once(b); b.Len() == 0 {
		return nil
	}
	if err := m.build(b); err != nil {
		return err
	}
	return m.replace(m.oldRows(b), &m.row, b)
}

// replace writes new rows in the place of old ones. Removals go before the
// writes, so that rows may exchange their keys.
func (m *mutationOp) replace(old, row, in *vec.Batch) error {
	n := row.Len()
	olds, news := make([][]types.Datum, n), make([][]types.Datum, n)
	for i := range n {
		olds[i], news[i] = rowDatums(old, old.Pos(i)), rowDatums(row, row.Pos(i))
	}
	entries := make([][]entryOf, len(m.w.indexes))
	if len(entries) > 0 {
		if err := m.prepare(old); err != nil {
			return err
		}
	}
	for k, iw := range m.w.indexes {
		if !iw.touched {
			continue
		}
		entries[k] = make([]entryOf, n)
		for i := range n {
			if p := old.Pos(i); iw.has(p) {
				entries[k][i] = entryOf{bytes.Clone(m.w.key(iw.enc, olds[i], iw.exprDatums(p))), bytes.Clone(m.w.value(iw.enc, olds[i])), true}
			}
		}
	}
	if len(entries) > 0 {
		if err := m.prepare(row); err != nil {
			return err
		}
	}
	if err := m.removeOld(olds, news, entries, row); err != nil {
		return err
	}
	for i := range n {
		key := m.w.key(m.w.primary, news[i], nil)
		e := api.ExpectAny
		if m.pkTouched && !bytes.Equal(key, m.w.key(m.w.primary, olds[i], nil)) {
			e = api.ExpectAbsent
		}
		m.w.put(m.node.Table.PrimaryIndex(), key, m.w.value(m.w.primary, news[i]), e, news[i], nil)
		m.writeEntries(i, row.Pos(i), news[i], entries)
		m.fk.updated(m.run.env.Queue, olds[i], news[i])
	}
	m.count(n)
	if err := m.emit(row, in); err != nil {
		return err
	}
	if m.w.holding {
		if err := m.run.env.Account.Grow(m.w.heldBytes); err != nil {
			return err
		}
		m.w.heldBytes = 0
	}
	if m.w.full() {
		return m.w.send(false)
	}
	return nil
}

// removeOld deletes keys that the new rows do not have, before anything is
// written.
func (m *mutationOp) removeOld(olds, news [][]types.Datum, entries [][]entryOf, row *vec.Batch) error {
	removed := 0
	for i := range news {
		if m.pkTouched {
			was := m.w.key(m.w.primary, olds[i], nil)
			if !bytes.Equal(was, m.w.key(m.w.primary, news[i], nil)) {
				m.w.del(was)
				removed++
			}
		}
		for k, iw := range m.w.indexes {
			if entries[k] == nil || !entries[k][i].ok {
				continue
			}
			p := row.Pos(i)
			if iw.has(p) && bytes.Equal(entries[k][i].key, m.w.key(iw.enc, news[i], iw.exprDatums(p))) {
				continue
			}
			m.w.del(entries[k][i].key)
			removed++
		}
	}
	if removed > 0 && m.uniqueTouched() {
		return m.w.send(false)
	}
	return nil
}

// uniqueTouched reports whether new keys must be absent: then removals have to
// be known before.
func (m *mutationOp) uniqueTouched() bool {
	if m.pkTouched {
		return true
	}
	for _, iw := range m.w.indexes {
		if iw.touched && iw.index.Unique {
			return true
		}
	}
	return false
}

func (m *mutationOp) writeEntries(i, p int, row []types.Datum, entries [][]entryOf) {
	for k, iw := range m.w.indexes {
		if !iw.touched || !iw.index.State.Writable() || !iw.has(p) {
			continue
		}
		exprs := iw.exprDatums(p)
		key, value := m.w.key(iw.enc, row, exprs), m.w.value(iw.enc, row)
		was := &entries[k][i]
		same := was.ok && bytes.Equal(was.key, key)
		if same && bytes.Equal(was.value, value) {
			continue
		}
		e := api.ExpectAny
		if iw.index.Unique && !same {
			e = api.ExpectAbsent
		}
		m.w.put(iw.index, key, value, e, row, exprs)
	}
}

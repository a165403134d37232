package exec

import (
	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// conflictPlan carries out ON CONFLICT: it looks for rows in the way before it
// writes.
type conflictPlan struct {
	m        *mutationOp
	node     *plan.OnConflict
	arbiters []*arbiter
	all      []catalog.ColumnID
	dec      *rowenc.Decoder
	set      *scan.Instance
	fromSet  []int
	where    *scan.Instance
	input    Operator // computes subqueries above rows; nil without any
	rows     *conflictRows
	taken    map[string]struct{} // arbiter keys of rows this statement wrote
}

// arbiter is a unique index to look at.
type arbiter struct {
	index   *catalog.Index
	enc     *rowenc.IndexEncoder
	iw      *indexWriter // nil for the primary index
	primary bool
	dec     *rowenc.Decoder // the primary key of an entry
}

func newConflictPlan(b *builder, m *mutationOp, n *plan.Mutation) (*conflictPlan, error) {
	c := &conflictPlan{m: m, node: n.Conflict, taken: map[string]struct{}{}}
	t := n.Table
	list := n.Conflict.Arbiters
	if len(list) == 0 {
		for i := range t.Indexes {
			x := &t.Indexes[i]
			if x.Unique && x.State.Readable() && !(x.OID == t.Primary && t.HasRowID()) {
				list = append(list, x)
			}
		}
	}
	for _, x := range list {
		a := &arbiter{index: x, primary: x.OID == t.Primary}
		var err error
		if a.primary {
			a.enc = m.w.primary
		} else {
			for _, iw := range m.w.indexes {
				if iw.index.OID == x.OID {
					a.iw, a.enc = iw, iw.enc
				}
			}
			if a.iw == nil {
				continue
			}
			if a.dec, err = rowenc.NewDecoder(t, x, primaryColumns(t)); err != nil {
				return nil, err
			}
		}
		c.arbiters = append(c.arbiters, a)
	}
	for i := range t.Columns {
		c.all = append(c.all, t.Columns[i].ID)
	}
	var err error
	if c.dec, err = rowenc.NewDecoder(t, t.PrimaryIndex(), c.all); err != nil {
		return nil, err
	}
	return c, c.compile(b, n)
}

// conflictRows is the operator at the bottom of a conflict's subqueries: it gives
// the one batch that it was set to.
type conflictRows struct {
	batch *vec.Batch
	given bool
}

// Next implements Operator.
func (c *conflictRows) Next(int) (*vec.Batch, error) {
	if c.given {
		return nil, nil
	}
	c.given = true
	return c.batch, nil
}

// Reset implements Operator.
func (c *conflictRows) Reset() error { c.given = false; return nil }

// Close implements Operator.
func (c *conflictRows) Close() { c.batch = nil }

// subqueries adds the values of DO UPDATE's subqueries to a pair of rows.
func (c *conflictPlan) subqueries(both *vec.Batch) (*vec.Batch, error) {
	if c.input == nil {
		return both, nil
	}
	c.rows.batch = both
	if err := c.input.Reset(); err != nil {
		return nil, err
	}
	return c.input.Next(1)
}

// compile compiles SET and WHERE over the existing row and, as EXCLUDED, the new
// one.
func (c *conflictPlan) compile(b *builder, n *plan.Mutation) error {
	t := n.Table
	if n.Conflict.Action != plan.ConflictUpdate {
		return nil
	}
	var cols []plan.Column
	for i := range t.Columns {
		cols = append(cols, plan.Column{ID: n.Conflict.Existing[i], Name: t.Columns[i].Name, Type: t.Columns[i].Type})
	}
	cols = append(cols, c.m.w.rowCols...)
	var err error
	if in := n.Conflict.Input; in != nil {
		if c.input, err = b.build(in); err != nil {
			return err
		}
		c.rows, cols = b.conflict, in.Columns()
	}
	c.fromSet = make([]int, len(t.Columns))
	for i := range c.fromSet {
		c.fromSet[i] = -1
	}
	var es []plan.Scalar
	for _, a := range n.Conflict.Set {
		o := t.Ordinal(a.Column)
		c.fromSet[o] = len(es)
		es = append(es, a.Expr)
		for _, p := range t.PrimaryIndex().Columns {
			c.m.pkTouched = c.m.pkTouched || p.Column == a.Column
		}
	}
	if c.set, err = compileOpt(es, cols); err != nil {
		return err
	}
	c.where, err = compileOpt(n.Conflict.Where, cols)
	return err
}

// reset forgets the statement's rows.
func (c *conflictPlan) reset() { c.taken = map[string]struct{}{} }

// insert handles the new rows in m.row one after the other: what one row does
// decides about the next.
func (c *conflictPlan) insert(in *vec.Batch) error {
	m := c.m
	rows := copyBatch(&m.row, m.node.Table)
	input := in
	for i := range rows.N {
		one := &vec.Batch{Cols: rows.Cols, N: rows.N, Sel: []int32{int32(i)}}
		if err := m.prepare(one); err != nil {
			return err
		}
		src := &vec.Batch{Cols: input.Cols, N: input.N, Sel: []int32{int32(input.Pos(i))}}
		if err := c.row(one, src, i); err != nil {
			return err
		}
	}
	return nil
}

// copyBatch copies the live rows, so that they survive other evaluations.
func copyBatch(b *vec.Batch, t *catalog.Table) *vec.Batch {
	out := &vec.Batch{}
	for i, c := range b.Cols {
		v := vec.New(t.Columns[i].Type.Repr(), b.Len())
		for k := range b.Len() {
			v.AppendFrom(c, b.Pos(k))
		}
		out.Cols = append(out.Cols, v)
	}
	out.N = b.Len()
	return out
}

func (c *conflictPlan) row(one, src *vec.Batch, p int) error {
	m := c.m
	row := rowDatums(one, p)
	for {
		existing, own, err := c.find(row, p)
		if err != nil {
			return err
		}
		if existing == nil && !own {
			break
		}
		switch c.node.Action {
		case plan.ConflictNothing:
			return nil
		case plan.ConflictUpdate:
			if own {
				return types.Errorf(types.CodeCardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time").
					WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
			}
			return c.update(existing, one, src)
		default:
			if err := c.remove(existing); err != nil {
				return err
			}
			m.count(1)
		}
	}
	for _, a := range c.arbiters {
		if k := c.keyOf(a, row, p); k != nil {
			c.taken[string(k)] = struct{}{}
		}
	}
	m.w.insert(row, p)
	m.fk.inserted(m.run.env.Queue, row)
	m.count(1)
	return m.emit(one, padded(src, one))
}

// padded makes the input columns of one row addressable at the position that
// the row has in its own batch.
func padded(src, one *vec.Batch) *vec.Batch {
	out := &vec.Batch{N: one.N, Sel: one.Sel}
	at := src.Pos(0)
	for _, v := range src.Cols {
		out.Cols = append(out.Cols, vec.NewConst(v.Repr, v.Datum(at)))
	}
	return out
}

// keyOf returns the row's key in an arbiter, or nil if it cannot conflict.
func (c *conflictPlan) keyOf(a *arbiter, row []types.Datum, p int) []byte {
	var exprs []types.Datum
	if a.iw != nil {
		if !a.iw.has(p) {
			return nil
		}
		exprs = a.iw.exprDatums(p)
	}
	if !a.index.NullsNotDistinct {
		for i := range a.index.Columns {
			var d types.Datum
			if id := a.index.Columns[i].Column; id != 0 {
				d = row[c.m.node.Table.Ordinal(id)]
			} else {
				d = exprs[i]
			}
			if d.IsNull() {
				return nil
			}
		}
	}
	return a.enc.AppendKey(nil, row, exprs)
}

// find returns the row that is in the way; own says that this statement wrote it.
func (c *conflictPlan) find(row []types.Datum, p int) (existing *vec.Batch, own bool, err error) {
	m := c.m
	lock := api.LockNone
	if c.node.Action != plan.ConflictNothing {
		lock = api.LockExclusive
	}
	for _, a := range c.arbiters {
		k := c.keyOf(a, row, p)
		if k == nil {
			continue
		}
		if _, ok := c.taken[string(k)]; ok && c.node.Action != plan.ConflictReplace {
			return nil, true, nil
		}
		seq := m.run.env.Seq
		if c.node.Action == plan.ConflictReplace {
			// REPLACE replaces rows of its own statement too.
			if err := m.w.send(false); err != nil {
				return nil, false, err
			}
			seq = 0
		}
		var b kv.Batch
		b.GetLocked(k, lock, api.WaitBlock)
		b.ReadSeq = seq
		if err := m.run.env.Txn.Send(m.run.env.Ctx, &b); err != nil {
			return nil, false, err
		}
		r := &b.Responses[0]
		if !r.Exists {
			continue
		}
		key, value := k, r.Value
		if !a.primary {
			if key, value, err = c.fetch(a, k, r.Value, lock, seq); err != nil {
				return nil, false, err
			}
			if value == nil {
				continue
			}
		}
		out := newBatch(c.dec.Reprs())
		if err := c.dec.DecodeRow(key, value, out.Cols); err != nil {
			return nil, false, err
		}
		out.N = 1
		return out, false, nil
	}
	return nil, false, nil
}

// fetch reads the row behind a secondary entry.
func (c *conflictPlan) fetch(a *arbiter, k, v []byte, lock api.LockStrength, seq api.Seq) (key, value []byte, err error) {
	e := newBatch(a.dec.Reprs())
	if err := a.dec.DecodeRow(k, v, e.Cols); err != nil {
		return nil, nil, err
	}
	e.N = 1
	key = c.m.w.primary.AppendPoint(nil, e.Row(nil, 0))
	var b kv.Batch
	b.GetLocked(key, lock, api.WaitBlock)
	b.ReadSeq = seq
	if err := c.m.run.env.Txn.Send(c.m.run.env.Ctx, &b); err != nil {
		return nil, nil, err
	}
	if r := &b.Responses[0]; r.Exists {
		return key, r.Value, nil
	}
	return nil, nil, nil
}

// update applies DO UPDATE to the existing row.
func (c *conflictPlan) update(existing, one, src *vec.Batch) error {
	m := c.m
	p := one.Pos(0)
	both := &vec.Batch{N: 1}
	both.Cols = append(both.Cols, existing.Cols...)
	for _, v := range one.Cols {
		both.Cols = append(both.Cols, vec.NewConst(v.Repr, v.Datum(p)))
	}
	both, err := c.subqueries(both)
	if err != nil {
		return err
	}
	if c.where != nil {
		f := *both
		if err := c.where.Filter(m.run.ctx(), &f); err != nil {
			return err
		}
		if f.Len() == 0 {
			return nil
		}
	}
	var vs []*vec.Vector
	if c.set != nil {
		if vs, err = c.set.Eval(m.run.ctx(), both); err != nil {
			return err
		}
	}
	row := &vec.Batch{N: 1}
	for i := range m.node.Table.Columns {
		v := existing.Cols[i]
		if c.fromSet[i] >= 0 {
			v = vec.NewConst(v.Repr, vs[c.fromSet[i]].Datum(both.Pos(0)))
		}
		row.Cols = append(row.Cols, v)
	}
	for i, g := range m.generated {
		vs, err := g.Eval(m.run.ctx(), row)
		if err != nil {
			return err
		}
		row.Cols[m.genAt[i]] = vec.NewConst(vs[0].Repr, vs[0].Datum(0))
	}
	if err := m.judge(row); err != nil {
		return err
	}
	for _, a := range c.arbiters {
		if k := c.keyOf(a, rowDatums(existing, 0), 0); k != nil && a.iw == nil {
			c.taken[string(k)] = struct{}{}
		}
	}
	fkAll := m.fk
	m.fk = newFKPlan(m.node.Table, plan.Update, nil)
	defer func() { m.fk = fkAll }()
	return m.replace(existing, row, padded(src, row))
}

// remove deletes the existing row, for REPLACE.
func (c *conflictPlan) remove(existing *vec.Batch) error {
	m := c.m
	for _, iw := range m.w.indexes {
		saveLive, saveV := iw.live, iw.exprV
		if err := iw.prepare(m.w, existing); err != nil {
			return err
		}
		row := rowDatums(existing, 0)
		if iw.has(0) {
			m.w.del(m.w.key(iw.enc, row, iw.exprDatums(0)))
		}
		iw.live, iw.exprV = saveLive, saveV
	}
	row := rowDatums(existing, 0)
	m.w.del(m.w.key(m.w.primary, row, nil))
	newFKPlan(m.node.Table, plan.Delete, nil).removed(m.run.env.Queue, row)
	return m.w.send(false)
}

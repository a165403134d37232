package exec

import (
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// hashJoinOp builds a table of its right side and probes it with the left.
type hashJoinOp struct {
	run         *run
	node        *plan.HashJoin
	left, right Operator
	lkeys       *scan.Instance
	rkeys       *scan.Instance
	ktypes      []types.Type
	nullEq      []bool
	pair        *pairing

	store *rowStore
	heads map[string]int32
	ints  *vec.IntTable // instead of heads, for a single integer key
	next  []int32
	// nulls are right rows with a NULL among their keys, which matter to NOT IN
	// and IN; nullKeys are their keys.
	nulls    []int32
	nullKeys *rowStore
	held     int
	built    bool
	ended    bool
	key      []byte
}

func (b *builder) hashJoin(n *plan.HashJoin) (Operator, error) {
	l, err := b.build(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := b.build(n.Right)
	if err != nil {
		return nil, err
	}
	lc, rc := n.Left.Columns(), n.Right.Columns()
	j := &hashJoinOp{run: b.run, node: n, left: l, right: r, nullEq: n.NullEq, store: newRowStore(rc), nullKeys: &rowStore{}}
	if j.lkeys, err = compile(n.LeftKeys, lc); err != nil {
		return nil, err
	}
	if j.rkeys, err = compile(n.RightKeys, rc); err != nil {
		return nil, err
	}
	for _, k := range n.LeftKeys {
		j.ktypes = append(j.ktypes, k.Type())
		j.nullKeys.reprs = append(j.nullKeys.reprs, k.Type().Repr())
	}
	if j.nullEq == nil {
		j.nullEq = make([]bool, len(n.LeftKeys))
	}
	j.pair, err = newPairing(b.run, n.Type, lc, rc, n.Residual, nil)
	return j, err
}

func (b *builder) mergeJoin(n *plan.MergeJoin) (Operator, error) {
	// Probing in the left side's order gives the left side's order: a hash join
	// does what a merge join promises, at the price of holding the right side.
	h := &plan.HashJoin{Base: n.Base, Type: n.Type, Left: n.Left, Right: n.Right, Residual: n.Residual}
	ref := func(cols []plan.Column, k plan.SortKey) (plan.Scalar, error) {
		p, err := place(cols, k.Col)
		if err != nil {
			return nil, err
		}
		return &expr.ColumnRef{ID: k.Col, Typ: cols[p].Type, Name: cols[p].Name}, nil
	}
	for i := range n.LeftKeys {
		l, err := ref(n.Left.Columns(), n.LeftKeys[i])
		if err != nil {
			return nil, err
		}
		r, err := ref(n.Right.Columns(), n.RightKeys[i])
		if err != nil {
			return nil, err
		}
		h.LeftKeys, h.RightKeys = append(h.LeftKeys, l), append(h.RightKeys, r)
	}
	return b.hashJoin(h)
}

// nullAware reports whether NULL comparisons matter.
func (j *hashJoinOp) nullAware() bool {
	return j.node.Type == plan.MarkJoin || j.node.Type == plan.AntiJoin && j.node.NullAware
}

// Reset implements Operator.
func (j *hashJoinOp) Reset() error {
	j.free()
	if err := j.left.Reset(); err != nil {
		return err
	}
	return j.right.Reset()
}

func (j *hashJoinOp) free() {
	if j.run.env != nil {
		j.run.env.Account.Release(j.held + j.store.bytes)
	}
	j.store.reset()
	j.nullKeys.reset()
	j.heads, j.ints, j.next, j.nulls, j.held, j.built, j.ended = nil, nil, nil, nil, 0, false, false
	j.pair.reset()
}

// Close implements Operator.
func (j *hashJoinOp) Close() { j.free(); j.left.Close(); j.right.Close() }

func (j *hashJoinOp) build() error {
	j.built = true
	if len(j.ktypes) == 1 && j.ktypes[0].Repr() == types.Int64 && !j.nullEq[0] {
		j.ints = &vec.IntTable{}
	} else {
		j.heads = map[string]int32{}
	}
	for {
		if err := j.run.canceled(); err != nil {
			return err
		}
		b, err := j.right.Next(vec.MaxBatch)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		vs, err := j.rkeys.Eval(j.run.ctx(), b)
		if err != nil {
			return err
		}
		grown := b.Len() * (40 + 16*len(b.Cols))
		for i := range b.Len() {
			grown += j.insert(b, vs, b.Pos(i))
		}
		j.held += grown
		if err := j.run.env.Account.Grow(grown); err != nil {
			return err
		}
	}
	if j.node.Type == plan.RightJoin || j.node.Type == plan.FullJoin {
		j.pair.right = make([]bool, j.store.n)
	}
	j.offerKeys()
	return nil
}

// insert adds a right row and returns the memory that its key takes.
func (j *hashJoinOp) insert(b *vec.Batch, vs []*vec.Vector, p int) int {
	row := int32(j.store.add(b, p))
	j.next = append(j.next, 0)
	if !j.joinable(vs, p) {
		if j.nullAware() {
			j.nulls = append(j.nulls, row)
			t := j.nullKeys.tail()
			for c, v := range vs {
				t.Cols[c].AppendFrom(v, p)
			}
			t.N++
			j.nullKeys.n++
		}
		return 0
	}
	// Chains hold row+1; rows of one key are visited youngest first, so the
	// chain is reversed while probing by walking ids downward only.
	if j.ints != nil {
		head := j.ints.At(vs[0].Int(p))
		j.next[row], *head = *head, row+1
		return 32
	}
	j.key = j.appendKey(j.key[:0], vs, p)
	j.next[row] = j.heads[string(j.key)]
	j.heads[string(j.key)] = row + 1
	return len(j.key) + 40
}

func (j *hashJoinOp) joinable(vs []*vec.Vector, p int) bool {
	for i, v := range vs {
		if v.IsNull(p) && !j.nullEq[i] {
			return false
		}
	}
	return true
}

func (j *hashJoinOp) appendKey(b []byte, vs []*vec.Vector, p int) []byte {
	for i, v := range vs {
		b = rowenc.AppendHashKey(b, j.ktypes[i], v, p)
	}
	return b
}

// Next implements Operator.
func (j *hashJoinOp) Next(want int) (*vec.Batch, error) {
	if !j.built {
		if err := j.build(); err != nil {
			return nil, err
		}
	}
	for {
		if b := j.pair.out.next(want); b != nil {
			return b, nil
		}
		if j.ended {
			return nil, nil
		}
		b, err := j.left.Next(want)
		if err != nil {
			return nil, err
		}
		if b == nil {
			j.ended = true
			if j.pair.right != nil {
				j.pair.padRight(j.store)
			}
			continue
		}
		if err := j.probe(b); err != nil {
			return nil, err
		}
	}
}

func (j *hashJoinOp) probe(b *vec.Batch) error {
	vs, err := j.lkeys.Eval(j.run.ctx(), b)
	if err != nil {
		return err
	}
	j.pair.begin(b)
	for i := range b.Len() {
		p := b.Pos(i)
		if !j.joinable(vs, p) {
			if j.nullAware() {
				if err := j.compareAll(vs, p); err != nil {
					return err
				}
			}
			continue
		}
		var at int32
		if j.ints != nil {
			at = j.ints.Get(vs[0].Int(p))
		} else {
			j.key = j.appendKey(j.key[:0], vs, p)
			at = j.heads[string(j.key)]
		}
		for ; at != 0; at = j.next[at-1] {
			if err := j.pair.add(j.store, p, int(at-1)); err != nil {
				return err
			}
		}
		if len(j.nulls) > 0 {
			if err := j.compareNulls(vs, p); err != nil {
				return err
			}
		}
	}
	return j.pair.end(j.store)
}

// compareNulls finds right rows with NULL keys whose comparison with a left row
// is NULL rather than false.
func (j *hashJoinOp) compareNulls(vs []*vec.Vector, p int) error {
	for i, row := range j.nulls {
		kb, kp := j.nullKeys.at(i)
		if j.maybeEqual(vs, p, kb.Cols, kp) {
			if err := j.nullPair(p, int(row)); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareAll compares a left row with NULL keys to every right row.
func (j *hashJoinOp) compareAll(vs []*vec.Vector, p int) error {
	for at := 0; at < j.store.n; at += vec.MaxBatch {
		b, _ := j.store.at(at)
		rv, err := j.rkeys.Eval(j.run.ctx(), b)
		if err != nil {
			return err
		}
		for r := range b.N {
			if j.maybeEqual(vs, p, rv, r) {
				if err := j.nullPair(p, at+r); err != nil {
					return err
				}
				if j.pair.cond == nil {
					return nil
				}
			}
		}
	}
	return nil
}

// maybeEqual reports whether no pair of known keys differs.
func (j *hashJoinOp) maybeEqual(l []*vec.Vector, lp int, r []*vec.Vector, rp int) bool {
	for i := range l {
		if l[i].IsNull(lp) || r[i].IsNull(rp) {
			continue
		}
		a := rowenc.AppendHashKey(nil, j.ktypes[i], l[i], lp)
		b := rowenc.AppendHashKey(nil, j.ktypes[i], r[i], rp)
		if string(a) != string(b) {
			return false
		}
	}
	return true
}

// nullPair notes that a comparison was NULL, if the pair meets the residual.
func (j *hashJoinOp) nullPair(p, row int) error {
	if j.pair.cond == nil {
		j.pair.matched[p] |= sawNull
		return nil
	}
	b := newBatch(j.pair.reprs)
	for c := range j.pair.nl {
		b.Cols[c].AppendFrom(j.pair.left.Cols[c], p)
	}
	rb, pos := j.store.at(row)
	for c, src := range rb.Cols {
		b.Cols[j.pair.nl+c].AppendFrom(src, pos)
	}
	b.N = 1
	if err := j.pair.cond.Filter(j.run.ctx(), b); err != nil {
		return err
	}
	if b.Len() > 0 {
		j.pair.matched[p] |= sawNull
	}
	return nil
}

// nestedLoopOp joins every left row with every right row.
type nestedLoopOp struct {
	run         *run
	left, right Operator
	pair        *pairing
	store       *rowStore
	built       bool
	ended       bool
	outer       bool
}

func (b *builder) nestedLoop(n *plan.NestedLoop) (Operator, error) {
	l, err := b.build(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := b.build(n.Right)
	if err != nil {
		return nil, err
	}
	j := &nestedLoopOp{run: b.run, left: l, right: r, store: newRowStore(n.Right.Columns()),
		outer: n.Type == plan.RightJoin || n.Type == plan.FullJoin}
	j.pair, err = newPairing(b.run, n.Type, n.Left.Columns(), n.Right.Columns(), n.On, n.MarkCond)
	return j, err
}

// Next implements Operator.
func (j *nestedLoopOp) Next(want int) (*vec.Batch, error) {
	if !j.built {
		j.built = true
		if err := drain(j.run, j.right, j.store); err != nil {
			return nil, err
		}
		if j.outer {
			j.pair.right = make([]bool, j.store.n)
		}
	}
	for {
		if b := j.pair.out.next(want); b != nil {
			return b, nil
		}
		if j.ended {
			return nil, nil
		}
		b, err := j.left.Next(min(want, 64))
		if err != nil {
			return nil, err
		}
		if b == nil {
			j.ended = true
			if j.outer {
				j.pair.padRight(j.store)
			}
			continue
		}
		j.pair.begin(b)
		for i := range b.Len() {
			for r := range j.store.n {
				if err := j.pair.add(j.store, b.Pos(i), r); err != nil {
					return nil, err
				}
			}
		}
		if err := j.pair.end(j.store); err != nil {
			return nil, err
		}
	}
}

// Reset implements Operator.
func (j *nestedLoopOp) Reset() error {
	j.free()
	if err := j.left.Reset(); err != nil {
		return err
	}
	return j.right.Reset()
}

func (j *nestedLoopOp) free() {
	if j.run.env != nil {
		j.run.env.Account.Release(j.store.bytes)
	}
	j.store.reset()
	j.built, j.ended = false, false
	j.pair.reset()
}

// Close implements Operator.
func (j *nestedLoopOp) Close() { j.free(); j.left.Close(); j.right.Close() }

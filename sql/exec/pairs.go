package exec

import (
	"slices"

	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// pairing turns candidate pairs of a left and a right row into what a join of
// some type gives. All joins share it; they differ in how they find candidates.
type pairing struct {
	run   *run
	typ   plan.JoinType
	nl    int // columns of the left side
	reprs []types.Repr
	cond  *scan.Instance // part of the match
	mark  *scan.Instance // the comparison whose NULLs count
	all   bool           // ALL instead of ANY

	left    *vec.Batch
	lpos    []int32
	rrow    []int32
	matched []uint8 // by left position
	right   []bool  // by right row, for RIGHT and FULL
	out     outbox
}

// What is known of a left row.
const (
	sawMatch uint8 = 1 << iota
	sawNull
	sawFalse
	noGuard
)

func newPairing(r *run, typ plan.JoinType, left, right []plan.Column, cond []plan.Scalar, mark plan.Scalar) (*pairing, error) {
	p := &pairing{run: r, typ: typ, nl: len(left)}
	both := append(slices.Clone(left), right...)
	for i := range both {
		p.reprs = append(p.reprs, both[i].Type.Repr())
	}
	var err error
	if p.cond, err = compileOpt(cond, both); err != nil {
		return nil, err
	}
	if mark != nil {
		p.mark, err = compile([]plan.Scalar{mark}, both)
	}
	return p, err
}

func (p *pairing) reset() {
	p.left, p.lpos, p.rrow, p.right = nil, p.lpos[:0], p.rrow[:0], nil
	p.out.reset()
}

// begin starts with a batch of left rows.
func (p *pairing) begin(left *vec.Batch) {
	p.left = left
	if cap(p.matched) < left.N {
		p.matched = make([]uint8, max(left.N, 32))
	}
	p.matched = p.matched[:left.N]
	clear(p.matched)
}

// wantsRows reports whether the joined rows themselves are given out.
func (p *pairing) wantsRows() bool {
	switch p.typ {
	case plan.SemiJoin, plan.AntiJoin, plan.MarkJoin:
		return false
	}
	return true
}

// add offers a candidate.
func (p *pairing) add(store *rowStore, lpos, rrow int) error {
	p.lpos = append(p.lpos, int32(lpos))
	p.rrow = append(p.rrow, int32(rrow))
	if len(p.lpos) == vec.MaxBatch {
		return p.flush(store)
	}
	return nil
}

// flush judges the candidates collected so far.
func (p *pairing) flush(store *rowStore) error {
	if len(p.lpos) == 0 {
		return nil
	}
	defer func() { p.lpos, p.rrow = p.lpos[:0], p.rrow[:0] }()
	if err := p.run.canceled(); err != nil {
		return err
	}
	if !p.wantsRows() && p.cond == nil && p.mark == nil {
		for _, l := range p.lpos {
			p.matched[l] |= sawMatch
		}
		return nil
	}
	if p.oneEach() {
		return p.flushAligned(store)
	}
	b := newBatch(p.reprs)
	for c := range p.nl {
		b.Cols[c].AppendSel(p.left.Cols[c], p.lpos, len(p.lpos))
	}
	for c := p.nl; c < len(b.Cols); c++ {
		store.gather(b.Cols[c], c-p.nl, p.rrow)
	}
	b.N = len(p.lpos)
	if p.cond != nil {
		if err := p.cond.Filter(p.run.ctx(), b); err != nil {
			return err
		}
		b.Sel = slices.Clone(b.Sel)
	}
	if p.mark != nil {
		return p.judge(b)
	}
	return p.accept(b)
}

// oneEach reports whether the pairs are to be given as left rows with a right one
// each, without copying the left ones: where most have one, and none has two.
func (p *pairing) oneEach() bool {
	if p.mark != nil || p.right != nil || p.typ == plan.ScalarJoin || 2*len(p.lpos) < p.left.N {
		return false
	}
	for k := 1; k < len(p.lpos); k++ {
		if p.lpos[k] <= p.lpos[k-1] {
			return false
		}
	}
	return true
}

// flushAligned judges candidates of which every left row has one at most. The
// right rows are put beside the left ones.
func (p *pairing) flushAligned(store *rowStore) error {
	b := &vec.Batch{Cols: slices.Grow(slices.Clone(p.left.Cols), len(p.reprs)-p.nl), N: p.left.N, Sel: slices.Clone(p.lpos)}
	for c, r := range p.reprs[p.nl:] {
		v := vec.New(r, 0)
		v.Resize(p.left.N)
		store.scatter(v, c, p.rrow, p.lpos, 0)
		b.Cols = append(b.Cols, v)
	}
	if p.cond != nil {
		if err := p.cond.Filter(p.run.ctx(), b); err != nil {
			return err
		}
		b.Sel = slices.Clone(b.Sel)
	}
	for _, l := range b.Sel {
		p.matched[l] |= sawMatch
	}
	if p.wantsRows() {
		p.out.push(b)
	}
	return nil
}

// judge notes what the comparison says of each pair.
func (p *pairing) judge(b *vec.Batch) error {
	vs, err := p.mark.Eval(p.run.ctx(), b)
	if err != nil {
		return err
	}
	for i := range b.Len() {
		at := b.Pos(i)
		l := p.lpos[at]
		switch {
		case vs[0].IsNull(at):
			p.matched[l] |= sawNull
		case vs[0].Int(at) != 0:
			p.matched[l] |= sawMatch
		default:
			p.matched[l] |= sawFalse
		}
	}
	return nil
}

func (p *pairing) accept(b *vec.Batch) error {
	for i := range b.Len() {
		at := b.Pos(i)
		l := p.lpos[at]
		if p.typ == plan.ScalarJoin && p.matched[l]&sawMatch != 0 {
			return types.Errorf(types.CodeCardinalityViolation, "more than one row returned by a subquery used as an expression")
		}
		p.matched[l] |= sawMatch
		if p.right != nil {
			p.right[p.rrow[at]] = true
		}
	}
	if p.wantsRows() {
		p.out.push(b)
	}
	return nil
}

// end gives what is owed for the left batch once all its candidates were judged.
func (p *pairing) end(store *rowStore) error {
	if err := p.flush(store); err != nil {
		return err
	}
	switch p.typ {
	case plan.SemiJoin:
		p.out.push(p.leftRows(func(m uint8) bool { return m&sawMatch != 0 }))
	case plan.AntiJoin:
		p.out.push(p.leftRows(func(m uint8) bool { return m&(sawMatch|sawNull) == 0 }))
	case plan.LeftJoin, plan.FullJoin, plan.ScalarJoin:
		p.padLeft()
	case plan.MarkJoin:
		p.marks()
	}
	return nil
}

func (p *pairing) leftRows(keep func(uint8) bool) *vec.Batch {
	sel := make([]int32, 0, p.left.Len())
	for i := range p.left.Len() {
		if at := p.left.Pos(i); keep(p.matched[at]) {
			sel = append(sel, int32(at))
		}
	}
	return &vec.Batch{Cols: p.left.Cols, N: p.left.N, Sel: sel}
}

// padLeft gives the left rows without a match, with NULLs on the right.
func (p *pairing) padLeft() {
	rows := p.leftRows(func(m uint8) bool { return m&sawMatch == 0 })
	n := rows.Len()
	if n == 0 {
		return
	}
	b := newBatch(p.reprs)
	for c := range p.nl {
		b.Cols[c].AppendSel(rows.Cols[c], rows.Sel, rows.N)
	}
	for _, c := range b.Cols[p.nl:] {
		for range n {
			c.AppendNull()
		}
	}
	b.N = n
	p.out.push(b)
}

// marks gives every left row with the answer of ANY or ALL.
func (p *pairing) marks() {
	v := vec.New(types.Int64, p.left.N)
	v.Resize(p.left.N)
	for i := range p.left.Len() {
		at := p.left.Pos(i)
		m := p.matched[at]
		switch {
		case m&noGuard != 0:
			v.SetDatum(at, types.Null)
		case p.all && m&sawFalse != 0:
			v.SetBool(at, false)
		case !p.all && m&sawMatch != 0:
			v.SetBool(at, true)
		case m&sawNull != 0:
			v.SetDatum(at, types.Null)
		default:
			v.SetBool(at, p.all)
		}
	}
	cols := append(slices.Clone(p.left.Cols), v)
	p.out.push(&vec.Batch{Cols: cols, N: p.left.N, Sel: p.left.Sel})
}

// padRight gives the right rows that no left row matched, with NULLs on the
// left: the end of RIGHT and FULL.
func (p *pairing) padRight(store *rowStore) {
	b := newBatch(p.reprs)
	for r, ok := range p.right {
		if ok {
			continue
		}
		for _, c := range b.Cols[:p.nl] {
			c.AppendNull()
		}
		rb, pos := store.at(r)
		for c, src := range rb.Cols {
			b.Cols[p.nl+c].AppendFrom(src, pos)
		}
		if b.N++; b.N == vec.MaxBatch {
			p.out.push(b)
			b = newBatch(p.reprs)
		}
	}
	p.out.push(b)
}

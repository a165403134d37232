package exec

import (
	"bytes"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// valuesOp gives constant rows, each computed when it is asked for.
type valuesOp struct {
	run  *run
	rows [][]*single
	at   int
	out  *vec.Batch
}

func (b *builder) values(n *plan.Values) (Operator, error) {
	v := &valuesOp{run: b.run, out: vec.NewBatch(columnTypes(n.Out), 1)}
	for _, r := range n.Rows {
		row, err := newSingles(r)
		if err != nil {
			return nil, err
		}
		v.rows = append(v.rows, row)
	}
	return v, nil
}

// Next implements Operator.
func (v *valuesOp) Next(want int) (*vec.Batch, error) {
	if v.at >= len(v.rows) {
		return nil, nil
	}
	v.out.Reset()
	for v.at < len(v.rows) && v.out.N < want && v.out.N < vec.MaxBatch {
		for i, s := range v.rows[v.at] {
			d, err := s.value(v.run.ctx())
			if err != nil {
				return nil, err
			}
			v.out.Cols[i].AppendDatum(d)
		}
		v.out.N++
		v.at++
	}
	return v.out, nil
}

// Reset implements Operator.
func (v *valuesOp) Reset() error { v.at = 0; return nil }

// Close implements Operator.
func (v *valuesOp) Close() {}

// filterOp keeps the rows for which all conditions hold.
type filterOp struct {
	run   *run
	input Operator
	conds *scan.Instance
	out   vec.Batch
}

func (b *builder) filter(n *plan.Filter) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	f := &filterOp{run: b.run, input: in}
	f.conds, err = compile(n.Conds, n.Input.Columns())
	return f, err
}

// Next implements Operator.
func (f *filterOp) Next(want int) (*vec.Batch, error) {
	for {
		b, err := f.input.Next(want)
		if b == nil || err != nil {
			return nil, err
		}
		if err := f.run.canceled(); err != nil {
			return nil, err
		}
		f.out = *b
		if err := f.conds.Filter(f.run.ctx(), &f.out); err != nil {
			return nil, err
		}
		if f.out.Len() > 0 {
			return &f.out, nil
		}
	}
}

// Reset implements Operator.
func (f *filterOp) Reset() error { return f.input.Reset() }

// Close implements Operator.
func (f *filterOp) Close() { f.input.Close() }

// projectOp computes its output; column references are passed on.
type projectOp struct {
	run   *run
	input Operator
	inst  *scan.Instance
	cols  []int // place in the input, or -1-i for scalar i
	out   vec.Batch
}

func (b *builder) project(n *plan.Project) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	p := &projectOp{run: b.run, input: in, cols: make([]int, len(n.Exprs))}
	var es []plan.Scalar
	for i, e := range n.Exprs {
		if c, ok := e.(*expr.ColumnRef); ok && c.Outer == 0 {
			if p.cols[i], err = place(n.Input.Columns(), c.ID); err != nil {
				return nil, err
			}
			continue
		}
		p.cols[i] = -1 - len(es)
		es = append(es, e)
	}
	p.out.Cols = make([]*vec.Vector, len(n.Exprs))
	p.inst, err = compileOpt(es, n.Input.Columns())
	return p, err
}

// Next implements Operator.
func (p *projectOp) Next(want int) (*vec.Batch, error) {
	b, err := p.input.Next(want)
	if b == nil || err != nil {
		return nil, err
	}
	var vs []*vec.Vector
	if p.inst != nil {
		if vs, err = p.inst.Eval(p.run.ctx(), b); err != nil {
			return nil, err
		}
	}
	for i, c := range p.cols {
		if c >= 0 {
			p.out.Cols[i] = b.Cols[c]
		} else {
			p.out.Cols[i] = vs[-1-c]
		}
	}
	p.out.N, p.out.Sel = b.N, b.Sel
	return &p.out, nil
}

// Reset implements Operator.
func (p *projectOp) Reset() error { return p.input.Reset() }

// Close implements Operator.
func (p *projectOp) Close() { p.input.Close() }

// limitOp passes some rows after skipping others.
type limitOp struct {
	run           *run
	input         Operator
	count, offset *single
	skip, left    int64 // left < 0: no limit
	ready         bool
	ties          []sortCol
	last          []byte
	key           []byte
	done          bool
}

func (b *builder) limit(n *plan.Limit) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	l := &limitOp{run: b.run, input: in}
	if n.Count != nil {
		if l.count, err = newSingle(n.Count); err != nil {
			return nil, err
		}
	}
	if n.Offset != nil {
		if l.offset, err = newSingle(n.Offset); err != nil {
			return nil, err
		}
	}
	if n.WithTies {
		l.ties, err = sortCols(n.Ties, n.Input.Columns())
	}
	return l, err
}

func (l *limitOp) prepare() error {
	l.ready, l.left, l.skip = true, -1, 0
	if l.count != nil {
		d, err := l.count.value(l.run.ctx())
		if err != nil {
			return err
		}
		if !d.IsNull() {
			if l.left = d.Int(); l.left < 0 {
				return types.Errorf(types.CodeInvalidRowCountInLimit, "LIMIT must not be negative")
			}
		}
	}
	if l.offset != nil {
		d, err := l.offset.value(l.run.ctx())
		if err != nil {
			return err
		}
		if !d.IsNull() {
			if l.skip = d.Int(); l.skip < 0 {
				return types.Errorf(types.CodeInvalidRowCountInOffset, "OFFSET must not be negative")
			}
		}
	}
	return nil
}

// Next implements Operator.
func (l *limitOp) Next(want int) (*vec.Batch, error) {
	if !l.ready {
		if err := l.prepare(); err != nil {
			return nil, err
		}
	}
	for l.skip > 0 {
		b, err := l.input.Next(int(min(l.skip, vec.MaxBatch)))
		if b == nil || err != nil {
			return nil, err
		}
		l.skip -= int64(b.Len())
	}
	if l.left == 0 {
		return l.peers(want)
	}
	if l.left > 0 {
		want = int(min(int64(want), l.left))
	}
	b, err := l.input.Next(want)
	if b == nil || err != nil {
		return nil, err
	}
	if l.left > 0 {
		l.left -= int64(b.Len())
		if l.left == 0 && l.ties != nil {
			l.last = appendSortKey(l.last[:0], l.ties, b, b.Pos(b.Len()-1))
		}
	}
	return b, nil
}

// peers passes the rows that tie with the last one.
func (l *limitOp) peers(int) (*vec.Batch, error) {
	if l.ties == nil || l.done || l.last == nil {
		return nil, nil
	}
	b, err := l.input.Next(1)
	if b == nil || err != nil {
		return nil, err
	}
	l.key = appendSortKey(l.key[:0], l.ties, b, b.Pos(0))
	if !bytes.Equal(l.key, l.last) {
		l.done = true
		return nil, nil
	}
	return b, nil
}

// Reset implements Operator.
func (l *limitOp) Reset() error {
	l.ready, l.done, l.last = false, false, nil
	return l.input.Reset()
}

// Close implements Operator.
func (l *limitOp) Close() { l.input.Close() }

// sortCol is a sort key made concrete.
type sortCol struct {
	place      int
	typ        types.Type
	desc       bool
	nullsFirst bool
}

func sortCols(keys []plan.SortKey, cols []plan.Column) ([]sortCol, error) {
	out := make([]sortCol, len(keys))
	for i, k := range keys {
		p, err := place(cols, k.Col)
		if err != nil {
			return nil, err
		}
		out[i] = sortCol{p, cols[p].Type, k.Desc, k.NullsFirst}
	}
	return out, nil
}

func appendSortKey(b []byte, cols []sortCol, x *vec.Batch, pos int) []byte {
	for i := range cols {
		c := &cols[i]
		b = rowenc.AppendSortKey(b, c.typ, x.Cols[c.place], pos, c.desc, c.nullsFirst)
	}
	return b
}

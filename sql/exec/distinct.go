package exec

import (
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// hashCols makes equality keys of some columns.
type hashCols struct {
	places []int
	types  []types.Type
}

func newHashCols(cols []plan.Column, ids []plan.ColID) (hashCols, error) {
	ps, err := places(cols, ids)
	h := hashCols{places: ps}
	for _, p := range ps {
		h.types = append(h.types, cols[p].Type)
	}
	return h, err
}

func (h *hashCols) append(b []byte, x *vec.Batch, pos int) []byte {
	for i, p := range h.places {
		b = rowenc.AppendHashKey(b, h.types[i], x.Cols[p], pos)
	}
	return b
}

// distinctOp passes the first row of each group of equal columns.
type distinctOp struct {
	run    *run
	input  Operator
	on     hashCols
	sorted bool
	seen   map[string]struct{}
	last   []byte
	any    bool
	key    []byte
	sel    []int32
	held   int
	out    vec.Batch
}

func (b *builder) distinct(n *plan.Distinct) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	d := &distinctOp{run: b.run, input: in, sorted: n.Sorted}
	d.on, err = newHashCols(n.Input.Columns(), n.On)
	return d, err
}

// Next implements Operator.
func (d *distinctOp) Next(want int) (*vec.Batch, error) {
	for {
		b, err := d.input.Next(want)
		if b == nil || err != nil {
			return nil, err
		}
		if err := d.run.canceled(); err != nil {
			return nil, err
		}
		d.sel = d.sel[:0]
		grown := 0
		for i := range b.Len() {
			p := b.Pos(i)
			d.key = d.on.append(d.key[:0], b, p)
			if d.fresh() {
				d.sel = append(d.sel, int32(p))
				grown += len(d.key) + 48
			}
		}
		if !d.sorted {
			d.held += grown
			if err := d.run.env.Account.Grow(grown); err != nil {
				return nil, err
			}
		}
		if len(d.sel) > 0 {
			d.out = vec.Batch{Cols: b.Cols, N: b.N, Sel: d.sel}
			return &d.out, nil
		}
	}
}

// fresh reports whether the key is new, and remembers it.
func (d *distinctOp) fresh() bool {
	if d.sorted {
		if d.any && string(d.last) == string(d.key) {
			return false
		}
		d.any = true
		d.last = append(d.last[:0], d.key...)
		return true
	}
	if _, ok := d.seen[string(d.key)]; ok {
		return false
	}
	d.seen[string(d.key)] = struct{}{}
	return true
}

// Reset implements Operator.
func (d *distinctOp) Reset() error {
	d.free()
	d.seen = map[string]struct{}{}
	d.any = false
	return d.input.Reset()
}

func (d *distinctOp) free() {
	if d.run.env != nil {
		d.run.env.Account.Release(d.held)
	}
	d.seen, d.held = nil, 0
}

// Close implements Operator.
func (d *distinctOp) Close() { d.free(); d.input.Close() }

// setOp combines two inputs.
type setOp struct {
	run         *run
	node        *plan.SetOp
	left, right Operator
	lcols       []int
	rcols       []int
	types       []types.Type
	counts      map[string]*setCount
	phase       int
	key         []byte
	sel         []int32
	held        int
	out         vec.Batch
}

// setCount counts the rows of one group on the right, and whether the group was
// given out.
type setCount struct {
	right int64
	given bool
}

func (b *builder) setOp(n *plan.SetOp) (Operator, error) {
	l, err := b.build(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := b.build(n.Right)
	if err != nil {
		return nil, err
	}
	s := &setOp{run: b.run, node: n, left: l, right: r, types: columnTypes(n.Out)}
	if s.lcols, err = places(n.Left.Columns(), n.LeftCols); err != nil {
		return nil, err
	}
	s.rcols, err = places(n.Right.Columns(), n.RightCols)
	return s, err
}

// pick makes a view of some columns.
func (s *setOp) pick(b *vec.Batch, cols []int) *vec.Batch {
	s.out = vec.Batch{Cols: s.out.Cols[:0], N: b.N, Sel: b.Sel}
	for _, c := range cols {
		s.out.Cols = append(s.out.Cols, b.Cols[c])
	}
	return &s.out
}

func (s *setOp) keyOf(b *vec.Batch, pos int) []byte {
	s.key = s.key[:0]
	for i, c := range b.Cols {
		s.key = rowenc.AppendHashKey(s.key, s.types[i], c, pos)
	}
	return s.key
}

func (s *setOp) count(key []byte) (*setCount, error) {
	c := s.counts[string(key)]
	if c == nil {
		c = &setCount{}
		s.counts[string(key)] = c
		n := len(key) + 80
		s.held += n
		return c, s.run.env.Account.Grow(n)
	}
	return c, nil
}

// Next implements Operator.
func (s *setOp) Next(want int) (*vec.Batch, error) {
	if s.phase == 0 && s.node.Op != plan.Union {
		if err := s.loadRight(); err != nil {
			return nil, err
		}
	}
	s.phase = max(s.phase, 1)
	for s.phase < 3 {
		in, cols := s.left, s.lcols
		if s.phase == 2 {
			in, cols = s.right, s.rcols
		}
		b, err := in.Next(want)
		if err != nil {
			return nil, err
		}
		if b == nil {
			if s.phase++; s.node.Op != plan.Union {
				s.phase = 3
			}
			continue
		}
		if err := s.run.canceled(); err != nil {
			return nil, err
		}
		out := s.pick(b, cols)
		if s.node.Op == plan.Union && s.node.All {
			return out, nil
		}
		s.sel = s.sel[:0]
		for i := range out.Len() {
			p := out.Pos(i)
			c, err := s.count(s.keyOf(out, p))
			if err != nil {
				return nil, err
			}
			if s.passes(c) {
				s.sel = append(s.sel, int32(p))
			}
		}
		if len(s.sel) > 0 {
			out.Sel = s.sel
			return out, nil
		}
	}
	return nil, nil
}

// passes decides about one row of the left side (of either for a union).
func (s *setOp) passes(c *setCount) bool {
	switch {
	case s.node.Op == plan.Union:
	case s.node.All && s.node.Op == plan.Intersect:
		c.right--
		return c.right >= 0
	case s.node.All:
		c.right--
		return c.right < 0
	case (s.node.Op == plan.Intersect) != (c.right > 0):
		return false
	}
	first := !c.given
	c.given = true
	return first
}

func (s *setOp) loadRight() error {
	for {
		b, err := s.right.Next(vec.MaxBatch)
		if err != nil || b == nil {
			return err
		}
		if err := s.run.canceled(); err != nil {
			return err
		}
		out := s.pick(b, s.rcols)
		for i := range out.Len() {
			c, err := s.count(s.keyOf(out, out.Pos(i)))
			if err != nil {
				return err
			}
			c.right++
		}
	}
}

// Reset implements Operator.
func (s *setOp) Reset() error {
	s.free()
	s.counts, s.phase = map[string]*setCount{}, 0
	if err := s.left.Reset(); err != nil {
		return err
	}
	return s.right.Reset()
}

func (s *setOp) free() {
	if s.run.env != nil {
		s.run.env.Account.Release(s.held)
	}
	s.counts, s.held = nil, 0
}

// Close implements Operator.
func (s *setOp) Close() { s.free(); s.left.Close(); s.right.Close() }

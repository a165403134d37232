package builtin

import (
	"encoding/binary"
	"math/big"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func init() {
	aggregates["count"] = func(i *Info) (Aggregator, error) { return &countAgg{star: len(i.ArgTypes) == 0}, nil }
	aggregates["min"] = func(i *Info) (Aggregator, error) { return newExtreme(i, -1), nil }
	aggregates["max"] = func(i *Info) (Aggregator, error) { return newExtreme(i, 1), nil }
	aggregates["sum"] = newSum
	aggregates["avg"] = newAvg
	for _, n := range []string{"bool_and", "every"} {
		aggregates[n] = func(*Info) (Aggregator, error) { return newFold(func(a, b int64) int64 { return a & b }), nil }
	}
	aggregates["bool_or"] = func(*Info) (Aggregator, error) {
		return newFold(func(a, b int64) int64 { return a | b }), nil
	}
	aggregates["bit_and"] = bitAgg(func(a, b int64) int64 { return a & b })
	aggregates["bit_or"] = bitAgg(func(a, b int64) int64 { return a | b })
	aggregates["bit_xor"] = bitAgg(func(a, b int64) int64 { return a ^ b })
}

// countAgg is count(*) and count(x).
type countAgg struct {
	star   bool
	counts []int64
}

// Grow implements Aggregator.
func (a *countAgg) Grow(groups int) {
	for len(a.counts) < groups {
		a.counts = append(a.counts, 0)
	}
}

// Update implements Aggregator.
func (a *countAgg) Update(_ *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error {
	live := n
	if sel != nil {
		live = len(sel)
	}
	if a.star || !args[0].HasNulls() {
		switch {
		case groups == nil:
			a.counts[0] += int64(live)
		case sel == nil:
			for _, g := range groups[:n] {
				a.counts[g]++
			}
		default:
			for _, i := range sel {
				a.counts[groups[i]]++
			}
		}
		return nil
	}
	return eachRow(sel, n, groups, func(i, g int) error {
		if !args[0].IsNull(i) {
			a.counts[g]++
		}
		return nil
	})
}

// Final implements Aggregator.
func (a *countAgg) Final(_ *Ctx, g int, out *vec.Vector) error {
	out.AppendInt(a.counts[g])
	return nil
}

// AppendState implements Aggregator.
func (a *countAgg) AppendState(b []byte, g int) ([]byte, error) {
	return binary.AppendVarint(b, a.counts[g]), nil
}

// MergeState implements Aggregator.
func (a *countAgg) MergeState(g int, state []byte) error {
	r := stateReader{b: state}
	a.counts[g] += r.int()
	return r.err
}

// MemBytes implements Aggregator.
func (a *countAgg) MemBytes() int { return 8 * cap(a.counts) }

// Reset implements Aggregator.
func (a *countAgg) Reset() { a.counts = a.counts[:0] }

// intState is a sum of integers, in big once it leaves 64 bits, and a count.
type intState struct {
	n   int64
	sum int64
	big *big.Int
}

func (s *intState) add(v int64) {
	s.n++
	t := s.sum + v
	if (s.sum^t)&(v^t) < 0 {
		s.spill()
		t = v
	}
	s.sum = t
}

func (s *intState) spill() {
	if s.big == nil {
		s.big = new(big.Int)
	}
	s.big.Add(s.big, big.NewInt(s.sum))
	s.sum = 0
}

func (s *intState) total() types.Numeric {
	if s.big == nil {
		return types.NumericFromInt(s.sum)
	}
	return types.NumericFromBig(new(big.Int).Add(s.big, big.NewInt(s.sum)), 0)
}

// intAgg sums integers for sum and avg.
type intAgg struct {
	stateAgg[intState]
	finish func(s *intState, out *vec.Vector) error
}

func newIntAgg(finish func(s *intState, out *vec.Vector) error) *intAgg {
	a := &intAgg{finish: finish}
	a.final = func(_ *Ctx, s *intState, out *vec.Vector) error {
		if s.n == 0 {
			out.AppendNull()
			return nil
		}
		return finish(s, out)
	}
	a.encode = func(b []byte, s *intState) []byte {
		return types.AppendDatum(binary.AppendVarint(b, s.n), types.NewNumeric(s.total()))
	}
	a.merge = func(s *intState, r *stateReader) error {
		n, d := r.int(), r.datum()
		if r.err != nil {
			return r.err
		}
		if t := d.Numeric(); t.Big != nil {
			s.spill()
			s.big.Add(s.big, t.Big)
		} else {
			s.add(t.Coef)
			s.n--
		}
		s.n += n
		return nil
	}
	return a
}

// Update implements Aggregator.
func (a *intAgg) Update(_ *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if sel == nil && !v.HasNulls() && !v.Const {
		if groups == nil {
			s := &a.states[0]
			for _, x := range v.Ints[:n] {
				s.add(x)
			}
			return nil
		}
		for i, x := range v.Ints[:n] {
			a.states[groups[i]].add(x)
		}
		return nil
	}
	return eachRow(sel, n, groups, func(i, g int) error {
		if !v.IsNull(i) {
			a.states[g].add(v.Int(i))
		}
		return nil
	})
}

func sumInt8(s *intState, out *vec.Vector) error {
	if s.big != nil {
		t := s.total()
		if t.Big != nil {
			return rangeInt8.overflow()
		}
		out.AppendInt(t.Coef)
		return nil
	}
	out.AppendInt(s.sum)
	return nil
}

func sumWide(s *intState, out *vec.Vector) error {
	out.AppendNumeric(s.total())
	return nil
}

func avgInt(s *intState, out *vec.Vector) error {
	q, err := s.total().Div(types.NumericFromInt(s.n))
	if err != nil {
		return err
	}
	out.AppendNumeric(q)
	return nil
}

func newSum(i *Info) (Aggregator, error) {
	switch i.ArgTypes[0].OID {
	case types.Int2OID, types.Int4OID, types.MoneyOID:
		return newIntAgg(sumInt8), nil
	case types.Int8OID:
		return newIntAgg(sumWide), nil
	case types.Float8OID, types.Float4OID:
		return newFloatSum(i.ArgTypes[0].OID == types.Float4OID), nil
	case types.IntervalOID:
		return newIntervalAgg(false), nil
	case types.NumericOID:
		return newNumericAgg(false), nil
	}
	return nil, types.Errorf(types.CodeUndefinedFunction, "function sum(%s) does not exist", i.ArgTypes[0])
}

func newAvg(i *Info) (Aggregator, error) {
	switch i.ArgTypes[0].OID {
	case types.Int2OID, types.Int4OID, types.Int8OID:
		return newIntAgg(avgInt), nil
	case types.Float8OID, types.Float4OID:
		return newMoments(1, func(m *moments) (float64, bool) { return m.sx / m.n, m.n > 0 }), nil
	case types.IntervalOID:
		return newIntervalAgg(true), nil
	case types.NumericOID:
		return newNumericAgg(true), nil
	}
	return nil, types.Errorf(types.CodeUndefinedFunction, "function avg(%s) does not exist", i.ArgTypes[0])
}

// numState is a sum of numerics: coefficients of one scale in 64 bits as long
// as possible.
type numState struct {
	n    int64
	coef int64
	// scale is that of coef; rest takes what does not fit it.
	scale int16
	rest  *types.Numeric
}

func (s *numState) add(n types.Numeric) {
	s.n++
	if n.Big == nil && n.Scale >= 0 {
		if n.Scale == s.scale {
			t := s.coef + n.Coef
			if (s.coef^t)&(n.Coef^t) >= 0 {
				s.coef = t
				return
			}
		} else if s.coef == 0 && n.Scale > s.scale {
			s.scale, s.coef = n.Scale, n.Coef
			return
		}
	}
	r := types.Numeric{}
	if s.rest != nil {
		r = *s.rest
	}
	r = r.Add(n).Add(types.Numeric{Coef: s.coef, Scale: s.scale})
	s.rest, s.coef = &r, 0
}

func (s *numState) total() types.Numeric {
	t := types.Numeric{Coef: s.coef, Scale: s.scale}
	if s.rest != nil {
		t = t.Add(*s.rest)
	}
	return t
}

// numAgg sums numerics for sum and avg.
type numAgg struct{ stateAgg[numState] }

func newNumericAgg(avg bool) *numAgg {
	a := &numAgg{}
	a.final = func(_ *Ctx, s *numState, out *vec.Vector) error {
		if s.n == 0 {
			out.AppendNull()
			return nil
		}
		t := s.total()
		if avg {
			var err error
			if t, err = t.Div(types.NumericFromInt(s.n)); err != nil {
				return err
			}
		}
		out.AppendNumeric(t)
		return nil
	}
	a.encode = func(b []byte, s *numState) []byte {
		return types.AppendDatum(binary.AppendVarint(b, s.n), types.NewNumeric(s.total()))
	}
	a.merge = func(s *numState, r *stateReader) error {
		n, d := r.int(), r.datum()
		if r.err == nil {
			s.add(d.Numeric())
			s.n += n - 1
		}
		return r.err
	}
	return a
}

// Update implements Aggregator.
func (a *numAgg) Update(_ *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if sel == nil && !v.HasNulls() && !v.Const && v.Bigs == nil && groups != nil {
		for i, x := range v.Ints[:n] {
			s := &a.states[groups[i]]
			if t := s.coef + x; v.Scales[i] == s.scale && s.scale >= 0 && (s.coef^t)&(x^t) >= 0 {
				s.coef = t
				s.n++
				continue
			}
			s.add(v.Numeric(i))
		}
		return nil
	}
	return eachRow(sel, n, groups, func(i, g int) error {
		if !v.IsNull(i) {
			a.states[g].add(v.Numeric(i))
		}
		return nil
	})
}

// foldState is a running value that starts with the first input.
type foldState struct {
	any bool
	v   int64
}

func newFold(f func(a, b int64) int64) Aggregator {
	a := &stateAgg[foldState]{notNull: 1}
	step := func(s *foldState, v int64) {
		if s.any {
			v = f(s.v, v)
		}
		s.any, s.v = true, v
	}
	a.update = func(_ *Ctx, s *foldState, args []*vec.Vector, i int) error {
		step(s, args[0].Int(i))
		return nil
	}
	a.final = func(_ *Ctx, s *foldState, out *vec.Vector) error {
		if !s.any {
			out.AppendNull()
		} else {
			out.AppendInt(s.v)
		}
		return nil
	}
	a.encode = func(b []byte, s *foldState) []byte {
		return binary.AppendVarint(binary.AppendVarint(b, b2i(s.any)), s.v)
	}
	a.merge = func(s *foldState, r *stateReader) error {
		any, v := r.int(), r.int()
		if any != 0 {
			step(s, v)
		}
		return nil
	}
	return a
}

func bitAgg(f func(a, b int64) int64) func(*Info) (Aggregator, error) {
	return func(i *Info) (Aggregator, error) {
		if !types.IsIntegerLike(i.ArgTypes[0].OID) {
			return nil, types.Errorf(types.CodeFeatureNotSupported, "function %s(%s) is not supported", i.Name, i.ArgTypes[0])
		}
		return newFold(f), nil
	}
}

// extremeAgg is min (sign -1) and max (sign 1).
type extremeAgg struct {
	oid  types.OID
	sign int
	best *vec.Vector
	any  []bool
}

func newExtreme(i *Info, sign int) *extremeAgg {
	return &extremeAgg{oid: i.ArgTypes[0].OID, sign: sign, best: vec.New(i.ArgTypes[0].Repr(), 0)}
}

// Grow implements Aggregator.
func (a *extremeAgg) Grow(groups int) {
	for len(a.any) < groups {
		a.any = append(a.any, false)
		a.best.AppendNull()
	}
}

func (a *extremeAgg) offer(v *vec.Vector, i, g int) {
	if a.any[g] && vec.Compare(a.oid, v, i, a.best, g)*a.sign <= 0 {
		return
	}
	a.any[g] = true
	if a.best.Repr == types.Bytes {
		a.replaceBytes(v.Bytes(i), g)
		return
	}
	a.best.CopyFrom(g, v, i)
}

// replaceBytes writes over the old value where the new one fits, so that the
// arena does not grow with every improvement.
func (a *extremeAgg) replaceBytes(b []byte, g int) {
	old := a.best.Spans[g]
	a.best.ClearNull(g)
	if uint32(len(b)) <= old.Len {
		copy(a.best.Arena[old.Off:], b)
		a.best.Spans[g].Len = uint32(len(b))
		return
	}
	a.best.SetBytes(g, b)
}

// Update implements Aggregator.
func (a *extremeAgg) Update(_ *Ctx, args []*vec.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if v.Repr == types.Int64 && a.oid != types.XID8OID && a.oid != types.PgLSNOID && !v.HasNulls() && sel == nil && groups == nil && !v.Const && n > 0 {
		best := 0
		for i, x := range v.Ints[:n] {
			if a.sign > 0 && x > v.Ints[best] || a.sign < 0 && x < v.Ints[best] {
				best = i
			}
		}
		a.offer(v, best, 0)
		return nil
	}
	return eachRow(sel, n, groups, func(i, g int) error {
		if !v.IsNull(i) {
			a.offer(v, i, g)
		}
		return nil
	})
}

// Final implements Aggregator.
func (a *extremeAgg) Final(_ *Ctx, g int, out *vec.Vector) error {
	out.AppendFrom(a.best, g)
	return nil
}

// AppendState implements Aggregator.
func (a *extremeAgg) AppendState(b []byte, g int) ([]byte, error) {
	return types.AppendDatum(b, a.best.View(g)), nil
}

// MergeState implements Aggregator.
func (a *extremeAgg) MergeState(g int, state []byte) error {
	r := stateReader{b: state}
	if d := r.datum(); !d.IsNull() && r.err == nil {
		a.offer(vec.NewConst(a.best.Repr, d), 0, g)
	}
	return r.err
}

// MemBytes implements Aggregator.
func (a *extremeAgg) MemBytes() int { return a.best.MemBytes() + cap(a.any) }

// Reset implements Aggregator.
func (a *extremeAgg) Reset() {
	a.best.Reset()
	a.any = a.any[:0]
}

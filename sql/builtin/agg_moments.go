package builtin

import (
	"encoding/binary"
	"math"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// floatState is a plain sum.
type floatState struct {
	any bool
	sum float64
}

func newFloatSum(single bool) Aggregator {
	a := &stateAgg[floatState]{notNull: 1}
	add := func(s *floatState, v float64) error {
		if s.any {
			r := s.sum + v
			if single {
				r = float64(float32(r))
			}
			if math.IsInf(r, 0) && !math.IsInf(s.sum, 0) && !math.IsInf(v, 0) {
				return errFloatOverflow
			}
			v = r
		}
		s.any, s.sum = true, v
		return nil
	}
	a.update = func(_ *Ctx, s *floatState, args []*vec.Vector, i int) error { return add(s, args[0].Float(i)) }
	a.final = func(_ *Ctx, s *floatState, out *vec.Vector) error {
		if !s.any {
			out.AppendNull()
		} else {
			out.AppendFloat(s.sum)
		}
		return nil
	}
	a.encode = func(b []byte, s *floatState) []byte {
		return appendFloatState(binary.AppendVarint(b, b2i(s.any)), s.sum)
	}
	a.merge = func(s *floatState, r *stateReader) error {
		any, v := r.int(), r.float()
		if any == 0 || r.err != nil {
			return r.err
		}
		return add(s, v)
	}
	return a
}

// moments are the sums behind variance, correlation and regression, kept by
// the method of Youngs and Cramer, which loses little precision.
type moments struct {
	n, sx, sxx, sy, syy, sxy float64
}

func (m *moments) addX(x float64) error {
	n, old := m.n, m.sx
	m.n++
	m.sx += x
	if n > 0 {
		t := x*m.n - m.sx
		m.sxx += t * t / (m.n * n)
		if math.IsInf(m.sx, 0) || math.IsInf(m.sxx, 0) {
			if !math.IsInf(old, 0) && !math.IsInf(x, 0) {
				return errFloatOverflow
			}
			m.sxx = math.NaN()
		}
		return nil
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		m.sxx = math.NaN()
	}
	return nil
}

func (m *moments) addXY(y, x float64) error {
	n, oldX, oldY := m.n, m.sx, m.sy
	m.n++
	m.sx += x
	m.sy += y
	if n > 0 {
		tx, ty := x*m.n-m.sx, y*m.n-m.sy
		scale := 1 / (m.n * n)
		m.sxx += tx * tx * scale
		m.syy += ty * ty * scale
		m.sxy += tx * ty * scale
		inf := func(f float64) bool { return math.IsInf(f, 0) }
		if inf(m.sx) || inf(m.sxx) || inf(m.sy) || inf(m.syy) || inf(m.sxy) {
			if (inf(m.sx) || inf(m.sxx)) && !inf(oldX) && !inf(x) || (inf(m.sy) || inf(m.syy)) && !inf(oldY) && !inf(y) ||
				inf(m.sxy) && !inf(oldX) && !inf(x) && !inf(oldY) && !inf(y) {
				return errFloatOverflow
			}
			nan := func(f *float64) {
				if inf(*f) {
					*f = math.NaN()
				}
			}
			nan(&m.sxx)
			nan(&m.syy)
			nan(&m.sxy)
		}
		return nil
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		m.sxx, m.sxy = math.NaN(), math.NaN()
	}
	if math.IsNaN(y) || math.IsInf(y, 0) {
		m.syy, m.sxy = math.NaN(), math.NaN()
	}
	return nil
}

func (m *moments) merge(o *moments) {
	if o.n == 0 {
		return
	}
	if m.n == 0 {
		*m = *o
		return
	}
	n := m.n + o.n
	tx, ty := m.sx/m.n-o.sx/o.n, m.sy/m.n-o.sy/o.n
	m.sxx += o.sxx + m.n*o.n*tx*tx/n
	m.syy += o.syy + m.n*o.n*ty*ty/n
	m.sxy += o.sxy + m.n*o.n*tx*ty/n
	m.n, m.sx, m.sy = n, m.sx+o.sx, m.sy+o.sy
}

// newMoments returns an aggregator over one or two float arguments (y, x).
func newMoments(args int, result func(*moments) (float64, bool)) Aggregator {
	a := &stateAgg[moments]{notNull: args}
	a.update = func(_ *Ctx, m *moments, vs []*vec.Vector, i int) error {
		if args == 1 {
			return m.addX(vs[0].Float(i))
		}
		return m.addXY(vs[0].Float(i), vs[1].Float(i))
	}
	a.final = func(_ *Ctx, m *moments, out *vec.Vector) error {
		if f, ok := result(m); ok {
			out.AppendFloat(f)
		} else {
			out.AppendNull()
		}
		return nil
	}
	a.encode = func(b []byte, m *moments) []byte {
		for _, f := range []float64{m.n, m.sx, m.sxx, m.sy, m.syy, m.sxy} {
			b = appendFloatState(b, f)
		}
		return b
	}
	a.merge = func(m *moments, r *stateReader) error {
		o := moments{r.float(), r.float(), r.float(), r.float(), r.float(), r.float()}
		if r.err == nil {
			m.merge(&o)
		}
		return r.err
	}
	return a
}

func init() {
	varPop := func(m *moments) (float64, bool) { return m.sxx / m.n, m.n > 0 }
	varSamp := func(m *moments) (float64, bool) { return m.sxx / (m.n - 1), m.n > 1 }
	root := func(f func(*moments) (float64, bool)) func(*moments) (float64, bool) {
		return func(m *moments) (float64, bool) {
			v, ok := f(m)
			return math.Sqrt(v), ok
		}
	}
	for name, k := range map[string]struct {
		f            func(*moments) (float64, bool)
		sample, sqrt bool
	}{
		"var_pop": {varPop, false, false}, "var_samp": {varSamp, true, false}, "variance": {varSamp, true, false},
		"stddev_pop": {root(varPop), false, true}, "stddev_samp": {root(varSamp), true, true}, "stddev": {root(varSamp), true, true},
	} {
		aggregates[name] = func(i *Info) (Aggregator, error) {
			if i.ArgTypes[0].Repr() == types.Float64 {
				return newMoments(1, k.f), nil
			}
			return newNumericVariance(k.sample, k.sqrt), nil
		}
	}
	registerRegression()
}

func registerRegression() {
	for name, f := range map[string]func(*moments) (float64, bool){
		"covar_pop":  func(m *moments) (float64, bool) { return m.sxy / m.n, m.n > 0 },
		"covar_samp": func(m *moments) (float64, bool) { return m.sxy / (m.n - 1), m.n > 1 },
		"corr": func(m *moments) (float64, bool) {
			return m.sxy / math.Sqrt(m.sxx*m.syy), m.n > 0 && m.sxx != 0 && m.syy != 0
		},
		"regr_avgx":  func(m *moments) (float64, bool) { return m.sx / m.n, m.n > 0 },
		"regr_avgy":  func(m *moments) (float64, bool) { return m.sy / m.n, m.n > 0 },
		"regr_sxx":   func(m *moments) (float64, bool) { return m.sxx, m.n > 0 },
		"regr_syy":   func(m *moments) (float64, bool) { return m.syy, m.n > 0 },
		"regr_sxy":   func(m *moments) (float64, bool) { return m.sxy, m.n > 0 },
		"regr_slope": func(m *moments) (float64, bool) { return m.sxy / m.sxx, m.n > 0 && m.sxx != 0 },
		"regr_intercept": func(m *moments) (float64, bool) {
			return (m.sy - m.sx*m.sxy/m.sxx) / m.n, m.n > 0 && m.sxx != 0
		},
		"regr_r2": func(m *moments) (float64, bool) {
			if m.syy == 0 {
				return 1, m.n > 0 && m.sxx != 0
			}
			return m.sxy * m.sxy / (m.sxx * m.syy), m.n > 0 && m.sxx != 0
		},
	} {
		aggregates[name] = func(*Info) (Aggregator, error) { return newMoments(2, f), nil }
	}
	aggregates["regr_count"] = func(*Info) (Aggregator, error) {
		a := newMoments(2, nil).(*stateAgg[moments])
		a.update = func(_ *Ctx, m *moments, _ []*vec.Vector, _ int) error {
			m.n++
			return nil
		}
		a.final = func(_ *Ctx, m *moments, out *vec.Vector) error {
			out.AppendInt(int64(m.n))
			return nil
		}
		return a, nil
	}
}

// numVar holds exact sums of values and squares.
type numVar struct {
	n       int64
	sum, sq types.Numeric
}

func newNumericVariance(sample, sqrt bool) Aggregator {
	a := &stateAgg[numVar]{notNull: 1}
	a.update = func(_ *Ctx, s *numVar, args []*vec.Vector, i int) error {
		var v types.Numeric
		if args[0].Repr == types.Int64 {
			v = types.NumericFromInt(args[0].Int(i))
		} else {
			v = args[0].Numeric(i)
		}
		s.n++
		s.sum, s.sq = s.sum.Add(v), s.sq.Add(v.Mul(v))
		return nil
	}
	a.final = func(_ *Ctx, s *numVar, out *vec.Vector) error {
		if s.n == 0 || sample && s.n == 1 {
			out.AppendNull()
			return nil
		}
		r, err := types.NumericVariance(s.n, s.sum, s.sq, sample, sqrt)
		if err == nil {
			out.AppendNumeric(r)
		}
		return err
	}
	a.encode = func(b []byte, s *numVar) []byte {
		b = types.AppendDatum(binary.AppendVarint(b, s.n), types.NewNumeric(s.sum))
		return types.AppendDatum(b, types.NewNumeric(s.sq))
	}
	a.merge = func(s *numVar, r *stateReader) error {
		n, sum, sq := r.int(), r.datum(), r.datum()
		if r.err == nil {
			s.n += n
			s.sum, s.sq = s.sum.Add(sum.Numeric()), s.sq.Add(sq.Numeric())
		}
		return r.err
	}
	return a
}

// spanState is a sum of intervals.
type spanState struct {
	n   int64
	sum types.Interval
}

func newIntervalAgg(avg bool) Aggregator {
	a := &stateAgg[spanState]{notNull: 1}
	a.update = func(_ *Ctx, s *spanState, args []*vec.Vector, i int) error {
		sum, err := addIntervals(s.sum, types.DecodeInterval(args[0].Bytes(i)))
		s.n, s.sum = s.n+1, sum
		return err
	}
	a.final = func(_ *Ctx, s *spanState, out *vec.Vector) error {
		if s.n == 0 {
			out.AppendNull()
			return nil
		}
		v := s.sum
		if avg {
			var err error
			if v, err = divInterval(v, float64(s.n)); err != nil {
				return err
			}
		}
		out.AppendDatum(v.Datum())
		return nil
	}
	a.encode = func(b []byte, s *spanState) []byte {
		return types.AppendDatum(binary.AppendVarint(b, s.n), s.sum.Datum())
	}
	a.merge = func(s *spanState, r *stateReader) error {
		n, d := r.int(), r.datum()
		if r.err != nil {
			return r.err
		}
		sum, err := addIntervals(s.sum, types.DecodeInterval(d.Bytes()))
		s.n, s.sum = s.n+n, sum
		return err
	}
	return a
}

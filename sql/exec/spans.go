package exec

import (
	"bytes"
	"slices"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
)

// keySpan is [start, end) in keys.
type keySpan struct{ start, end []byte }

// spanMaker computes the key spans of a scan from its parameters.
type spanMaker struct {
	enc   *rowenc.IndexEncoder
	spans []spanPlan
	all   keySpan
}

type spanPlan struct {
	eq        []spanKey
	low, high *spanBound
	notNull   bool
}

type spanKey struct {
	value      *single
	null, each bool
}

type spanBound struct {
	value     *single
	inclusive bool
}

func newSpanMaker(enc *rowenc.IndexEncoder, spans []plan.Span) (*spanMaker, error) {
	p := enc.Prefix()
	m := &spanMaker{enc: enc, all: keySpan{p, keys.PrefixEnd(p)}}
	for i := range spans {
		s := &spans[i]
		var sp spanPlan
		for _, e := range s.Eq {
			k := spanKey{null: e.Null, each: e.Each}
			if e.Value != nil {
				v, err := newSingle(e.Value)
				if err != nil {
					return nil, err
				}
				k.value = v
			}
			sp.eq = append(sp.eq, k)
		}
		var err error
		if sp.low, err = newSpanBound(s.Low); err != nil {
			return nil, err
		}
		if sp.high, err = newSpanBound(s.High); err != nil {
			return nil, err
		}
		sp.notNull = s.NotNull || s.Low != nil || s.High != nil
		m.spans = append(m.spans, sp)
	}
	return m, nil
}

func newSpanBound(b *plan.Bound) (*spanBound, error) {
	if b == nil {
		return nil, nil
	}
	v, err := newSingle(b.Value)
	return &spanBound{v, b.Inclusive}, err
}

// make returns the spans in key order, merged where they touch.
func (m *spanMaker) make(c *builtin.Ctx) ([]keySpan, error) {
	if len(m.spans) == 0 {
		return []keySpan{m.all}, nil
	}
	var out []keySpan
	for i := range m.spans {
		var err error
		if out, err = m.expand(c, &m.spans[i], m.enc.Prefix(), 0, out); err != nil {
			return nil, err
		}
	}
	if len(out) < 2 {
		return out, nil
	}
	slices.SortFunc(out, func(a, b keySpan) int { return bytes.Compare(a.start, b.start) })
	merged := out[:1]
	for _, s := range out[1:] {
		last := &merged[len(merged)-1]
		if bytes.Compare(s.start, last.end) < 0 {
			if bytes.Compare(s.end, last.end) > 0 {
				last.end = s.end
			}
			continue
		}
		merged = append(merged, s)
	}
	return merged, nil
}

// expand adds the spans of s behind a prefix that fixes its first at columns.
func (m *spanMaker) expand(c *builtin.Ctx, s *spanPlan, prefix []byte, at int, out []keySpan) ([]keySpan, error) {
	if at == len(s.eq) {
		return m.rangeAfter(c, s, prefix, at, out)
	}
	k := &s.eq[at]
	if k.null {
		p := m.enc.AppendColumns(slices.Clip(prefix), at, []types.Datum{types.Null})
		return m.expand(c, s, p, at+1, out)
	}
	d, err := k.value.value(c)
	if err != nil || d.IsNull() {
		return out, err
	}
	if !k.each {
		p := m.enc.AppendColumns(slices.Clip(prefix), at, []types.Datum{d})
		return m.expand(c, s, p, at+1, out)
	}
	f := types.FlatArray(d.Bytes())
	for i := range f.Len() {
		v := f.At(i)
		if v.IsNull() {
			continue
		}
		p := m.enc.AppendColumns(slices.Clip(prefix), at, []types.Datum{v})
		if out, err = m.expand(c, s, p, at+1, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rangeAfter adds the span of s's range on column at.
func (m *spanMaker) rangeAfter(c *builtin.Ctx, s *spanPlan, prefix []byte, at int, out []keySpan) ([]keySpan, error) {
	if !s.notNull {
		return append(out, keySpan{slices.Clip(prefix), keys.PrefixEnd(prefix)}), nil
	}
	start, end := slices.Clip(prefix), keys.PrefixEnd(prefix)
	if low, high := m.enc.NotNullBounds(at); low != nil {
		start = append(slices.Clip(prefix), low...)
		end = append(slices.Clip(prefix), high...)
	}
	lo, hi := s.low, s.high
	if m.enc.Desc(at) {
		lo, hi = hi, lo
	}
	if lo != nil {
		p, ok, err := m.bound(c, lo, prefix, at)
		if err != nil || !ok {
			return out, err
		}
		if start = p; !lo.inclusive {
			start = keys.PrefixEnd(p)
		}
	}
	if hi != nil {
		p, ok, err := m.bound(c, hi, prefix, at)
		if err != nil || !ok {
			return out, err
		}
		if end = p; hi.inclusive {
			end = keys.PrefixEnd(p)
		}
	}
	if bytes.Compare(start, end) >= 0 {
		return out, nil
	}
	return append(out, keySpan{start, end}), nil
}

func (m *spanMaker) bound(c *builtin.Ctx, b *spanBound, prefix []byte, at int) ([]byte, bool, error) {
	d, err := b.value.value(c)
	if err != nil || d.IsNull() {
		return nil, false, err
	}
	return m.enc.AppendColumns(slices.Clip(prefix), at, []types.Datum{d}), true, nil
}

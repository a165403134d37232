package expr

import (
	"strconv"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// subscriptNode fetches or replaces elements of arrays and jsonb values.
type subscriptNode struct {
	reg          int
	arg, assign  node
	upper, lower []node // nil entries for bounds left out
	slice, jsonb bool
	name         bool // of a name, which is an array of "char" from 0 on
	textSubs     []bool
	elem         types.OID
}

func (c *compiler) subscript(n *Subscript) (node, error) {
	s := &subscriptNode{reg: c.reg(n.Typ.Repr()), slice: n.Lower != nil, jsonb: n.Arg.Type().OID == types.JSONBOID}
	s.elem, s.name = n.Arg.Type().Elem().OID, n.Arg.Type().OID == types.NameOID
	var err error
	if s.arg, err = c.compile(n.Arg); err != nil {
		return nil, err
	}
	if n.Assign != nil {
		if s.assign, err = c.compile(n.Assign); err != nil {
			return nil, err
		}
	}
	if s.upper, err = c.optional(n.Upper); err != nil {
		return nil, err
	}
	for _, u := range n.Upper {
		s.textSubs = append(s.textSubs, u != nil && u.Type().Repr() == types.Bytes)
	}
	s.lower, err = c.optional(n.Lower)
	return s, err
}

func (c *compiler) optional(es []Expr) ([]node, error) {
	out := make([]node, len(es))
	for i, e := range es {
		if e == nil {
			continue
		}
		n, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

func (s *subscriptNode) evalAll(in *Instance, ns []node, sel []int32, n int) ([]*vec.Vector, error) {
	out := make([]*vec.Vector, len(ns))
	for i, nd := range ns {
		if nd == nil {
			continue
		}
		v, err := nd.eval(in, sel, n)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (s *subscriptNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	v, err := s.arg.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	up, err := s.evalAll(in, s.upper, sel, n)
	if err != nil {
		return nil, err
	}
	lo, err := s.evalAll(in, s.lower, sel, n)
	if err != nil {
		return nil, err
	}
	var asg *vec.Vector
	if s.assign != nil {
		if asg, err = s.assign.eval(in, sel, n); err != nil {
			return nil, err
		}
	}
	out := &in.regs[s.reg]
	out.Resize(n)
	for _, p := range selOrAll(sel, n) {
		i := int(p)
		d, err := s.one(v, up, lo, asg, i)
		if err != nil {
			return nil, &RowError{Row: i, Err: err}
		}
		out.SetDatum(i, d)
	}
	return out, nil
}

func (s *subscriptNode) one(v *vec.Vector, up, lo []*vec.Vector, asg *vec.Vector, i int) (types.Datum, error) {
	if asg != nil {
		return s.assignOne(v, up, lo, asg, i)
	}
	if v.IsNull(i) {
		return types.Null, nil
	}
	if s.name {
		return byteOfName(v.Bytes(i), up, i), nil
	}
	if s.jsonb {
		return s.fetchJSON(v, up, i), nil
	}
	f := types.FlatArray(v.Bytes(i))
	if s.slice {
		return sliceArray(f, up, lo, i)
	}
	if len(up) != f.NDim() {
		return types.Null, nil
	}
	at := 0
	for d, u := range up {
		if u.IsNull(i) {
			return types.Null, nil
		}
		l, low := f.Dim(d)
		k := u.Int(i) - int64(low)
		if k < 0 || k >= int64(l) {
			return types.Null, nil
		}
		at = at*int(l) + int(k)
	}
	return f.At(at), nil
}

func (s *subscriptNode) fetchJSON(v *vec.Vector, up []*vec.Vector, i int) types.Datum {
	j := types.JSONB(v.Bytes(i))
	for k, u := range up {
		if u.IsNull(i) {
			return types.Null
		}
		var ok bool
		if s.textSubs[k] {
			if j, ok = jsonStep(j, u.Str(i)); !ok {
				return types.Null
			}
			continue
		}
		if j, ok = jsonStep(j, strconv.FormatInt(u.Int(i), 10)); !ok {
			return types.Null
		}
	}
	return types.NewBytes(j)
}

// jsonStep goes down one step of a path: a key, or an index from either end.
func jsonStep(j types.JSONB, key string) (types.JSONB, bool) {
	switch j.Kind() {
	case types.JSONObject:
		return j.Get(key)
	case types.JSONArray:
		k, err := strconv.Atoi(key)
		if err != nil {
			return nil, false
		}
		if k < 0 {
			k += j.Len()
		}
		if k < 0 || k >= j.Len() {
			return nil, false
		}
		return j.Elem(k), true
	}
	return nil, false
}

func sliceArray(f types.FlatArray, up, lo []*vec.Vector, i int) (types.Datum, error) {
	nd := f.NDim()
	empty := types.ArrayDatum(types.Array{Elem: f.Elem()})
	if len(up) > nd {
		return empty, nil
	}
	from, to := make([]int, nd), make([]int, nd)
	for d := 0; d < nd; d++ {
		l, low := f.Dim(d)
		from[d], to[d] = 0, int(l)
		if d >= len(up) {
			continue
		}
		if lo[d] != nil {
			if lo[d].IsNull(i) {
				return types.Null, nil
			}
			from[d] = max(0, int(lo[d].Int(i))-int(low))
		}
		if up[d] != nil {
			if up[d].IsNull(i) {
				return types.Null, nil
			}
			to[d] = min(int(l), int(up[d].Int(i))-int(low)+1)
		}
		if from[d] >= to[d] {
			return empty, nil
		}
	}
	a := types.Array{Elem: f.Elem()}
	for d := range from {
		a.Dims, a.Lower = append(a.Dims, int32(to[d]-from[d])), append(a.Lower, 1)
	}
	collectSlice(&a, f, from, to, 0, 0)
	return types.ArrayDatum(a), nil
}

func collectSlice(a *types.Array, f types.FlatArray, from, to []int, d, at int) {
	l, _ := f.Dim(d)
	for k := from[d]; k < to[d]; k++ {
		p := at*int(l) + k
		if d+1 < len(from) {
			collectSlice(a, f, from, to, d+1, p)
		} else {
			a.Elems = append(a.Elems, f.At(p))
		}
	}
}

// byteOfName is one byte of a name, zero behind its end.
func byteOfName(name []byte, up []*vec.Vector, i int) types.Datum {
	const nameLen = 64
	if len(up) != 1 || up[0].IsNull(i) || up[0].Int(i) < 0 || up[0].Int(i) >= nameLen {
		return types.Null
	}
	if at := int(up[0].Int(i)); at < len(name) {
		return types.NewInt(int64(int8(name[at])))
	}
	return types.NewInt(0)
}

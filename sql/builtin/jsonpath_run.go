package builtin

import (
	"github.com/pamirdb/pamir/sql/types"
)

// item runs a path from one value; in lax mode arrays are unwrapped where an item
// wants what is in them.
func (r *pathRun) item(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	return r.itemUnwrap(i, v, found, r.lax)
}

// next goes on behind an item with one of its results.
func (r *pathRun) next(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	if i.Next != nil {
		return r.item(i.Next, v, found)
	}
	if found != nil {
		found.add(v)
	}
	return pathOK, nil
}

func (r *pathRun) itemUnwrap(i *types.PathItem, v *pathValue, found *pathFound, unwrap bool) (pathStatus, error) {
	if err := r.c.Canceled(); err != nil {
		return pathFailed, err
	}
	unwrapped := unwrap && v.isArray()
	switch i.Kind {
	case types.PathNull, types.PathBool, types.PathNumber, types.PathString, types.PathVariable:
		return r.literal(i, found)
	case types.PathRoot:
		return r.next(i, r.root, found)
	case types.PathCurrent:
		return r.next(i, r.current, found)
	case types.PathLast:
		return r.next(i, numberValue(types.NumericFromInt(int64(r.size-1))), found)
	case types.PathKey:
		return r.key(i, v, found, unwrapped)
	case types.PathAnyKey:
		switch {
		case v.isObject():
			return r.each(i.Next, v, found, span{1, 1, 1}, false, r.lax)
		case unwrapped:
			return r.elements(i, v, found)
		}
		return r.missing(types.CodeJSONObjectNotFound, "jsonpath wildcard member accessor can only be applied to an object")
	case types.PathAnyArray:
		switch {
		case v.isArray():
			return r.each(i.Next, v, found, span{1, 1, 1}, false, r.lax)
		case r.lax:
			return r.next(i, v, found)
		}
		return r.missing(types.CodeJSONArrayNotFound, "jsonpath wildcard array accessor can only be applied to an array")
	case types.PathIndex:
		return r.subscripts(i, v, found)
	case types.PathAny:
		return r.anyLevel(i, v, found)
	case types.PathAdd, types.PathSub, types.PathMul, types.PathDiv, types.PathMod:
		return r.binary(i, v, found)
	case types.PathPlus, types.PathMinus:
		return r.sign(i, v, found)
	case types.PathFilter:
		if unwrapped {
			return r.elements(i, v, found)
		}
		truth, err := r.filter(i.Left, v)
		if err != nil || truth != pathTrue {
			return pathNone, err
		}
		return r.next(i, v, found)
	case types.PathType, types.PathSize, types.PathAbs, types.PathFloor, types.PathCeiling, types.PathDouble, types.PathDatetime,
		types.PathKeyValue:
		if unwrapped && i.Kind != types.PathType && i.Kind != types.PathSize {
			return r.elements(i, v, found)
		}
		return r.method(i, v, found)
	}
	truth, err := r.predicate(i, v)
	if err != nil {
		return pathFailed, err
	}
	if i.Next == nil && found == nil {
		return pathOK, nil
	}
	out := &types.JSONValue{Kind: types.JSONNull}
	if truth != pathUnknown {
		out = &types.JSONValue{Kind: types.JSONBool, Bool: truth == pathTrue}
	}
	return r.next(i, treeValue(out), found)
}

func (r *pathRun) literal(i *types.PathItem, found *pathFound) (pathStatus, error) {
	out := &types.JSONValue{}
	switch i.Kind {
	case types.PathNull:
		out.Kind = types.JSONNull
	case types.PathBool:
		out.Kind, out.Bool = types.JSONBool, i.Bool
	case types.PathNumber:
		out.Kind, out.Num = types.JSONNumber, i.Num
	case types.PathString:
		out.Kind, out.Str = types.JSONString, i.Str
	default:
		v, ok := r.vars.Get(i.Str)
		if !ok {
			return pathFailed, types.Errorf(types.CodeUndefinedObject, "could not find jsonpath variable \"%s\"", i.Str)
		}
		return r.next(i, &pathValue{j: v, id: 1}, found)
	}
	return r.next(i, treeValue(out), found)
}

func (r *pathRun) key(i *types.PathItem, v *pathValue, found *pathFound, unwrapped bool) (pathStatus, error) {
	switch {
	case v.isObject():
		for k := 0; k < v.j.Len(); k++ {
			if string(v.j.Key(k)) == i.Str {
				return r.next(i, v.child(k), found)
			}
		}
		return r.missing(types.CodeJSONMemberNotFound, "JSON object does not contain key \"%s\"", i.Str)
	case unwrapped:
		return r.elements(i, v, found)
	}
	return r.missing(types.CodeJSONMemberNotFound, "jsonpath member accessor can only be applied to an object")
}

// elements runs an item for each element of an array; what is in them stays as it is.
func (r *pathRun) elements(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	return r.each(i, v, found, span{1, 1, 1}, false, false)
}

// span tells which levels below a value count: level is that of its elements.
type span struct{ level, first, last uint32 }

// each runs an item, or gives out, for the values below a container.
func (r *pathRun) each(i *types.PathItem, v *pathValue, found *pathFound, s span, lenient, unwrap bool) (pathStatus, error) {
	st := pathNone
	if s.level > s.last {
		return st, nil
	}
	leaves := s.first == types.PathLevelLast && s.last == types.PathLevelLast
	for k := 0; k < v.j.Len(); k++ {
		x := v.child(k)
		if s.level >= s.first || leaves && !x.isContainer() {
			if i == nil {
				if found == nil {
					return pathOK, nil
				}
				found.add(x)
				st = pathOK
			} else {
				saved := r.lenient
				r.lenient = r.lenient || lenient
				var err error
				st, err = r.itemUnwrap(i, x, found, unwrap)
				if r.lenient = saved; err != nil || st == pathFailed || st == pathOK && found == nil {
					return st, err
				}
			}
		}
		if s.level < s.last && x.isContainer() {
			var err error
			st, err = r.each(i, x, found, span{s.level + 1, s.first, s.last}, lenient, unwrap)
			if err != nil || st == pathFailed || st == pathOK && found == nil {
				return st, err
			}
		}
	}
	return st, nil
}

// anyLevel runs **.
func (r *pathRun) anyLevel(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	st := pathNone
	if i.First == 0 {
		saved := r.lenient
		r.lenient = true
		var err error
		st, err = r.next(i, v, found)
		if r.lenient = saved; err != nil || st == pathOK && found == nil {
			return st, err
		}
	}
	if !v.isContainer() {
		return st, nil
	}
	return r.each(i.Next, v, found, span{1, i.First, i.Last}, true, r.lax)
}

func (r *pathRun) subscripts(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	if !v.isArray() && !r.lax {
		return r.missing(types.CodeJSONArrayNotFound, "jsonpath array accessor can only be applied to an array")
	}
	saved := r.size
	defer func() { r.size = saved }()
	size := 1
	if v.isArray() {
		size = v.j.Len()
	}
	st := pathNone
	for _, s := range i.Subs {
		r.size = size
		from, st1, err := r.index(s.From, v)
		if st1 == pathFailed || err != nil {
			return st1, err
		}
		to := from
		if s.To != nil {
			if to, st1, err = r.index(s.To, v); st1 == pathFailed || err != nil {
				return st1, err
			}
		}
		if !r.lenient && (from < 0 || from > to || to >= int64(size)) {
			return r.fail(types.CodeInvalidJSONSubscript, "jsonpath array subscript is out of bounds")
		}
		st = pathNone
		for k := max(from, 0); k <= min(to, int64(size)-1); k++ {
			x := v
			if v.isArray() {
				x = v.child(int(k))
			}
			if st, err = r.next(i, x, found); err != nil || st == pathFailed || st == pathOK && found == nil {
				return st, err
			}
		}
	}
	return st, nil
}

// index evaluates a subscript to a number of an element.
func (r *pathRun) index(i *types.PathItem, v *pathValue) (int64, pathStatus, error) {
	found := &pathFound{}
	if st, err := r.item(i, v, found); st == pathFailed || err != nil {
		return 0, st, err
	}
	if len(found.items) != 1 || found.items[0].kind() != types.JSONNumber {
		st, err := r.fail(types.CodeInvalidJSONSubscript, "jsonpath array subscript is not a single numeric value")
		return 0, st, err
	}
	n, ok := found.items[0].j.Num().Trunc(0).Int64()
	if !ok || n != int64(int32(n)) {
		st, err := r.fail(types.CodeInvalidJSONSubscript, "jsonpath array subscript is out of integer range")
		return 0, st, err
	}
	return n, pathOK, nil
}

// values runs an operand; in lax mode arrays among the results are unwrapped, if
// that is wanted.
func (r *pathRun) values(i *types.PathItem, v *pathValue, unwrap bool, found *pathFound) (pathStatus, error) {
	if !unwrap || !r.lax {
		return r.item(i, v, found)
	}
	raw := &pathFound{}
	st, err := r.item(i, v, raw)
	if st == pathFailed || err != nil {
		return st, err
	}
	for _, x := range raw.items {
		if !x.isArray() {
			found.add(x)
		} else if st, err := r.elements(nil, x, found); st == pathFailed || err != nil {
			return st, err
		}
	}
	return pathOK, nil
}

// quietly is values with errors kept quiet.
func (r *pathRun) quietly(i *types.PathItem, v *pathValue, unwrap bool, found *pathFound) (pathStatus, error) {
	saved := r.throws
	r.throws = false
	st, err := r.values(i, v, unwrap, found)
	r.throws = saved
	return st, err
}

func (r *pathRun) binary(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	var num [2]types.Numeric
	var sides [2]pathFound
	for k, side := range []*types.PathItem{i.Left, i.Right} {
		if st, err := r.values(side, v, true, &sides[k]); st == pathFailed || err != nil {
			return st, err
		}
	}
	for k, side := range []string{"left", "right"} {
		items := sides[k].items
		if len(items) != 1 || items[0].kind() != types.JSONNumber {
			return r.fail(types.CodeSingletonJSONItemRequired, "%s operand of jsonpath operator %s is not a single numeric value", side, i.Kind)
		}
		num[k] = items[0].j.Num()
	}
	res, err := pathArithmetic(i.Kind, num[0], num[1])
	if err != nil {
		if !r.throws {
			err = nil
		}
		return pathFailed, err
	}
	if i.Next == nil && found == nil {
		return pathOK, nil
	}
	return r.next(i, numberValue(res), found)
}

func pathArithmetic(k types.PathKind, a, b types.Numeric) (types.Numeric, error) {
	switch k {
	case types.PathAdd:
		return a.Add(b), nil
	case types.PathSub:
		return a.Sub(b), nil
	case types.PathMul:
		return a.Mul(b), nil
	case types.PathDiv:
		return a.Div(b)
	}
	return a.Mod(b)
}

func (r *pathRun) sign(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	all := &pathFound{}
	if st, err := r.values(i.Left, v, true, all); st == pathFailed || err != nil {
		return st, err
	}
	st := pathNone
	for _, x := range all.items {
		isLast := i.Next == nil && found == nil
		if x.kind() != types.JSONNumber {
			if isLast {
				continue
			}
			return r.fail(types.CodeJSONNumberNotFound, "operand of unary jsonpath operator %s is not a numeric value", i.Kind)
		}
		if isLast {
			return pathOK, nil
		}
		if i.Kind == types.PathMinus {
			x = numberValue(x.j.Num().Neg())
		}
		st1, err := r.next(i, x, found)
		if err != nil || st1 == pathFailed {
			return st1, err
		}
		if st1 == pathOK {
			if st = pathOK; found == nil {
				return st, nil
			}
		}
	}
	return st, nil
}

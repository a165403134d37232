package builtin

import (
	"bytes"

	"github.com/pamirdb/pamir/sql/types"
)

// filter is the truth of a predicate for a value that is @ in it.
func (r *pathRun) filter(i *types.PathItem, v *pathValue) (pathTruth, error) {
	saved := r.current
	r.current = v
	truth, err := r.predicate(i, v)
	r.current = saved
	return truth, err
}

// predicate is the truth of a predicate. Both sides of && and || are looked at
// unless the first one decides.
func (r *pathRun) predicate(i *types.PathItem, v *pathValue) (pathTruth, error) {
	switch i.Kind {
	case types.PathAnd, types.PathOr:
		decides := pathFalse
		if i.Kind == types.PathOr {
			decides = pathTrue
		}
		a, err := r.predicate(i.Left, v)
		if err != nil || a == decides {
			return a, err
		}
		b, err := r.predicate(i.Right, v)
		if b == pathTrue+pathFalse-decides {
			return a, err
		}
		return b, err
	case types.PathNot:
		a, err := r.predicate(i.Left, v)
		if a != pathUnknown {
			a = pathTrue - a
		}
		return a, err
	case types.PathIsUnknown:
		a, err := r.predicate(i.Left, v)
		return truthOf(a == pathUnknown), err
	case types.PathExists:
		return r.exists(i.Left, v)
	case types.PathStartsWith:
		return r.pairs(i, v, false, startsWith)
	case types.PathLikeRegex:
		return r.pairs(i, v, false, r.matches)
	}
	return r.pairs(i, v, true, r.compare)
}

func truthOf(v bool) pathTruth {
	if v {
		return pathTrue
	}
	return pathFalse
}

func (r *pathRun) exists(i *types.PathItem, v *pathValue) (pathTruth, error) {
	var found *pathFound
	if !r.lax {
		found = &pathFound{} // an error behind the first result counts, too
	}
	st, err := r.quietly(i, v, false, found)
	switch {
	case st == pathFailed:
		return pathUnknown, err
	case found != nil:
		return truthOf(len(found.items) > 0), err
	}
	return truthOf(st == pathOK), err
}

// pairs is the truth of a predicate over all pairs of its operands' values: true if
// one pair is. In strict mode a pair of which it is unknown spoils that.
func (r *pathRun) pairs(i *types.PathItem, v *pathValue, unwrapRight bool,
	is func(i *types.PathItem, a, b *pathValue) (pathTruth, error)) (pathTruth, error) {
	left, right := &pathFound{}, &pathFound{}
	if st, err := r.quietly(i.Left, v, true, left); st == pathFailed || err != nil {
		return pathUnknown, err
	}
	if i.Right != nil {
		if st, err := r.quietly(i.Right, v, unwrapRight, right); st == pathFailed || err != nil {
			return pathUnknown, err
		}
	} else {
		right.add(nil)
	}
	out := pathFalse
	for _, a := range left.items {
		for _, b := range right.items {
			truth, err := is(i, a, b)
			switch {
			case err != nil:
				return pathUnknown, err
			case truth == pathUnknown && !r.lax:
				return pathUnknown, nil
			case truth == pathTrue && r.lax:
				return pathTrue, nil
			case truth == pathTrue:
				out = pathTrue
			case truth == pathUnknown && out == pathFalse:
				out = pathUnknown
			}
		}
	}
	return out, nil
}

func startsWith(_ *types.PathItem, a, b *pathValue) (pathTruth, error) {
	if a.kind() != types.JSONString || b.kind() != types.JSONString {
		return pathUnknown, nil
	}
	return truthOf(bytes.HasPrefix(a.j.Str(), b.j.Str())), nil
}

func (r *pathRun) matches(i *types.PathItem, a, _ *pathValue) (pathTruth, error) {
	if a.kind() != types.JSONString {
		return pathUnknown, nil
	}
	p, ok := r.cache[i].(*pattern)
	if !ok {
		var err error
		if p, err = likeRegex(i.Str, i.Flags); err != nil {
			return pathUnknown, err
		}
		r.cache[i] = p
	}
	is := p.re.Match(a.j.Str())
	return truthOf(is), p.failed()
}

// compare compares two values; those of different kinds, and containers, cannot be,
// but null is different from everything else.
func (r *pathRun) compare(i *types.PathItem, a, b *pathValue) (pathTruth, error) {
	if a.kind() != b.kind() {
		if a.kind() == types.JSONNull || b.kind() == types.JSONNull {
			return truthOf(i.Kind == types.PathNotEqual), nil
		}
		return pathUnknown, nil
	}
	cmp := 0
	switch a.kind() {
	case types.JSONNull:
	case types.JSONBool, types.JSONNumber:
		cmp = types.CompareJSONB(a.j, b.j)
	case types.JSONString:
		cmp = bytes.Compare(a.j.Str(), b.j.Str())
	case 0:
		var ok bool
		var err error
		if cmp, ok, err = r.compareTimes(a.when, b.when); !ok || err != nil {
			return pathUnknown, err
		}
	default:
		return pathUnknown, nil
	}
	switch i.Kind {
	case types.PathEqual:
		return truthOf(cmp == 0), nil
	case types.PathNotEqual:
		return truthOf(cmp != 0), nil
	case types.PathLess:
		return truthOf(cmp < 0), nil
	case types.PathGreater:
		return truthOf(cmp > 0), nil
	case types.PathLessOrEqual:
		return truthOf(cmp <= 0), nil
	}
	return truthOf(cmp >= 0), nil
}

package pgfacts

import "github.com/pamirdb/pamir/sql/types"

// families collects what the arguments say about the two polymorphic families.
type families struct {
	elem, array, rng types.OID // anyelement and its kin
	unknown          bool      // a polymorphic argument is an unknown literal
	compat           []types.OID
	compatUsed       bool
	nonArray         bool
}

// Polymorphic makes declared argument types and the result type concrete for
// actual argument types. Where nothing is polymorphic it returns the declared
// types themselves.
func Polymorphic(actual, declared []types.OID, ret types.OID) ([]types.OID, types.OID, error) {
	any := types.IsPolymorphic(ret)
	for _, d := range declared {
		any = any || types.IsPolymorphic(d)
	}
	if !any {
		return declared, ret, nil
	}
	var f families
	for i, d := range declared {
		if err := f.learn(actual[i], d); err != nil {
			return nil, 0, err
		}
	}
	if err := f.settle(); err != nil {
		return nil, 0, err
	}
	if f.elem == 0 && f.rng == 0 && f.unknown {
		return nil, 0, types.Errorf(types.CodeDatatypeMismatch, "could not determine polymorphic type because input has type %s", "unknown")
	}
	out := make([]types.OID, len(declared))
	for i, d := range declared {
		t, err := f.concrete(d)
		if err != nil {
			return nil, 0, err
		}
		out[i] = t
	}
	r, err := f.concrete(ret)
	return out, r, err
}

// Consistent reports whether actual argument types fit the polymorphic ones
// among the declared types, taken together.
func Consistent(actual, declared []types.OID) bool {
	var f families
	any := false
	for i, a := range actual {
		if !types.IsPolymorphic(declared[i]) {
			continue
		}
		any = true
		if f.learn(a, declared[i]) != nil {
			return false
		}
	}
	return !any || f.settle() == nil
}

func mismatch(decl string, a, b types.OID) error {
	return types.Errorf(types.CodeDatatypeMismatch, "arguments declared %q are not all alike", decl).
		WithDetail("%s versus %s", types.Format(a, -1), types.Format(b, -1))
}

func (f *families) learn(actual, declared types.OID) error {
	switch declared {
	case types.AnyEnumOID:
		if actual != types.UnknownOID && Category(actual) != 'E' {
			return types.Errorf(types.CodeDatatypeMismatch, "type matched to anyenum is not an enum type: %s", types.Format(actual, -1))
		}
		return f.learnOne(&f.elem, actual, "anyelement")
	case types.AnyElementOID, types.AnyNonArrayOID:
		f.nonArray = f.nonArray || declared == types.AnyNonArrayOID
		return f.learnOne(&f.elem, actual, "anyelement")
	case types.AnyArrayOID:
		return f.learnOne(&f.array, actual, "anyarray")
	case types.AnyRangeOID, types.AnyMultirangeOID, types.AnyCompatibleRangeOID, types.AnyCompatibleMultirangeOID:
		if actual != types.UnknownOID && !isRange(actual) {
			return types.Errorf(types.CodeDatatypeMismatch, "argument declared %s is not a range type but type %s", "anyrange", types.Format(actual, -1))
		}
		return f.learnOne(&f.rng, actual, "anyrange")
	case types.AnyCompatibleOID, types.AnyCompatibleNonArrayOID:
		f.compatUsed = true
		if actual != types.UnknownOID {
			f.compat = append(f.compat, actual)
		}
	case types.AnyCompatibleArrayOID:
		f.compatUsed = true
		if actual == types.UnknownOID {
			return nil
		}
		e := elemOrSelf(actual)
		if e == 0 {
			return notArray("anycompatiblearray", actual)
		}
		f.compat = append(f.compat, e)
	}
	return nil
}

func isRange(oid types.OID) bool {
	i, ok := types.Lookup(oid)
	return ok && (i.Kind == 'r' || i.Kind == 'm')
}

func (f *families) learnOne(slot *types.OID, actual types.OID, decl string) error {
	if actual == types.UnknownOID {
		f.unknown = true
		return nil
	}
	if *slot != 0 && *slot != actual {
		return mismatch(decl, *slot, actual)
	}
	*slot = actual
	return nil
}

func notArray(decl string, actual types.OID) error {
	return types.Errorf(types.CodeDatatypeMismatch, "argument declared %s is not an array but type %s", decl, types.Format(actual, -1))
}

// elemOrSelf returns the element type of an array type; anyarray, as columns of
// pg_statistic have it, stands for itself.
func elemOrSelf(oid types.OID) types.OID {
	if oid == types.AnyArrayOID {
		return types.AnyElementOID
	}
	return types.ElemOf(oid)
}

// settle makes element and array types follow from each other.
func (f *families) settle() error {
	if f.array != 0 {
		e := elemOrSelf(f.array)
		if e == 0 {
			return notArray("anyarray", f.array)
		}
		if f.elem == 0 {
			f.elem = e
		} else if f.elem != e {
			return types.Errorf(types.CodeDatatypeMismatch, "argument declared %s is not consistent with argument declared %s", "anyarray", "anyelement").
				WithDetail("%s versus %s", types.Format(f.array, -1), types.Format(f.elem, -1))
		}
	}
	if f.nonArray && types.ElemOf(f.elem) != 0 {
		return types.Errorf(types.CodeDatatypeMismatch, "type matched to anynonarray is an array type: %s", types.Format(f.elem, -1))
	}
	if f.compatUsed && len(f.compat) == 0 {
		f.compat = []types.OID{types.TextOID}
	}
	if len(f.compat) > 0 {
		t, bad := selectCommon(f.compat)
		if bad >= 0 {
			return types.Errorf(types.CodeDatatypeMismatch, "arguments of anycompatible family cannot be cast to a common type")
		}
		f.compat = []types.OID{t}
	}
	return nil
}

func (f *families) concrete(d types.OID) (types.OID, error) {
	switch d {
	case types.AnyElementOID, types.AnyNonArrayOID, types.AnyEnumOID:
		return f.elem, f.known(f.elem, d)
	case types.AnyArrayOID:
		if f.array != 0 {
			return f.array, nil
		}
		return arrayFor(f.elem)
	case types.AnyRangeOID:
		return f.rng, f.known(f.rng, d)
	case types.AnyCompatibleOID, types.AnyCompatibleNonArrayOID:
		return f.compatType(), f.known(f.compatType(), d)
	case types.AnyCompatibleArrayOID:
		return arrayFor(f.compatType())
	}
	return d, nil
}

func (f *families) compatType() types.OID {
	if len(f.compat) == 0 {
		return 0
	}
	return f.compat[0]
}

func (f *families) known(t, declared types.OID) error {
	if t != 0 {
		return nil
	}
	return types.Errorf(types.CodeDatatypeMismatch, "could not determine actual type of argument declared %s", types.Format(declared, -1))
}

func arrayFor(elem types.OID) (types.OID, error) {
	if elem == types.AnyElementOID {
		return types.AnyArrayOID, nil
	}
	if a := types.ArrayOf(elem); a != 0 {
		return a, nil
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "could not find array type for data type %s", types.Format(elem, -1))
}

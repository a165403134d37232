package pgfacts

import "github.com/pamirdb/pamir/sql/types"

// Context says how eagerly values may be converted.
type Context uint8

// The coercion contexts, from the strictest to the freest.
const (
	Implicit Context = iota
	Assignment
	Explicit
)

// CoercionKind is how a value gets another type.
type CoercionKind uint8

// The coercion kinds.
const (
	NoCoercion  CoercionKind = iota // there is none
	Same                            // the types are equal
	Relabel                         // same image, another name
	CallFunc                        // call Coercion.Func
	ViaIO                           // print and read again
	ElementWise                     // array by array element
	FromUnknown                     // read an unknown literal
)

// Coercion is a way from one type to another.
type Coercion struct {
	Kind CoercionKind
	Func types.OID // of CallFunc
	Elem *Coercion // of ElementWise
}

func castContext(c byte) Context {
	switch c {
	case 'i':
		return Implicit
	case 'a':
		return Assignment
	}
	return Explicit
}

// FindCoercion returns how a value of type from becomes one of type to, Kind
// NoCoercion if it cannot in this context. Modifiers are TypmodCoercion's.
func FindCoercion(from, to types.OID, ctx Context) Coercion {
	if from == to {
		return Coercion{Kind: Same}
	}
	if c, ok := LookupCast(from, to); ok {
		return fromCast(c, ctx)
	}
	if e := arrayCoercion(from, to, ctx); e.Kind != NoCoercion {
		return e
	}
	if ctx >= Assignment && Category(to) == 'S' {
		return Coercion{Kind: ViaIO}
	}
	if ctx >= Explicit && Category(from) == 'S' {
		return Coercion{Kind: ViaIO}
	}
	return Coercion{}
}

func fromCast(c *Cast, ctx Context) Coercion {
	if ctx < castContext(c.Context) {
		return Coercion{}
	}
	switch c.Method {
	case 'f':
		return Coercion{Kind: CallFunc, Func: c.Func}
	case 'i':
		return Coercion{Kind: ViaIO}
	}
	return Coercion{Kind: Relabel}
}

func arrayCoercion(from, to types.OID, ctx Context) Coercion {
	// The vector types are not true arrays: their lower bound is zero.
	if to == types.OIDVectorOID || to == types.Int2VectorOID {
		return Coercion{}
	}
	fe, te := types.ElemOf(from), types.ElemOf(to)
	if fe == 0 || te == 0 {
		return Coercion{}
	}
	e := FindCoercion(fe, te, ctx)
	switch e.Kind {
	case NoCoercion:
		return Coercion{}
	case ViaIO:
		return Coercion{Kind: ViaIO}
	case Same, Relabel:
		return Coercion{Kind: ElementWise, Elem: &e}
	}
	return Coercion{Kind: ElementWise, Elem: &e}
}

// Category is a type's category in resolution.
func Category(oid types.OID) byte {
	if i, ok := types.Lookup(oid); ok {
		return i.Category
	}
	if isComposite(oid) {
		return 'C'
	}
	return types.Of(oid).Category()
}

func isComposite(oid types.OID) bool { return oid >= 10000 && oid < 16384 }

// IsPreferred reports whether oid is its category's preferred type.
func IsPreferred(oid types.OID) bool {
	i, ok := types.Lookup(oid)
	return ok && i.Preferred
}

// CanCoerce reports whether a value of type from may become one of type to.
// Polymorphic targets accept everything here: Consistent looks at all arguments
// together.
func CanCoerce(from, to types.OID, ctx Context) bool {
	switch {
	case from == to, to == types.AnyOID, from == types.UnknownOID, types.IsPolymorphic(to):
		return true
	case to == types.RecordOID && isComposite(from), from == types.RecordOID && isComposite(to):
		return true
	}
	return FindCoercion(from, to, ctx).Kind != NoCoercion
}

// TypmodCoercion returns the function that applies a type modifier to values of
// oid (such as varchar's length), and whether it goes over array elements; 0 if
// the type has none.
func TypmodCoercion(oid types.OID) (fn types.OID, elements bool) {
	if e := types.ElemOf(oid); e != 0 {
		oid, elements = e, true
	}
	if c, ok := LookupCast(oid, oid); ok {
		return c.Func, elements
	}
	return 0, false
}

// CommonType chooses the type for the branches of UNION, CASE, VALUES, ARRAY
// and so on; what names the construct in errors.
func CommonType(what string, ts []types.OID) (types.OID, error) {
	t, bad := selectCommon(ts)
	if bad >= 0 {
		first := t
		return 0, types.Errorf(types.CodeDatatypeMismatch, "%s types %s and %s cannot be matched",
			what, types.Format(first, -1), types.Format(ts[bad], -1))
	}
	return t, nil
}

// selectCommon returns the common type, or the type chosen so far and the index
// of the one that cannot be matched with it (-1 if all can).
func selectCommon(ts []types.OID) (chosen types.OID, bad int) {
	chosen = types.UnknownOID
	for i, t := range ts {
		if t == types.UnknownOID || t == chosen {
			continue
		}
		if chosen == types.UnknownOID {
			chosen = t
			continue
		}
		if Category(t) != Category(chosen) {
			return chosen, i
		}
		// A preferred type stays; else a type that the chosen one converts to,
		// but not the other way round, is the more general one.
		if !IsPreferred(chosen) && CanCoerce(chosen, t, Implicit) && !CanCoerce(t, chosen, Implicit) {
			chosen = t
		}
	}
	if chosen == types.UnknownOID {
		chosen = types.TextOID
	}
	return chosen, -1
}

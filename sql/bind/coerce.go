package bind

import (
	"math"
	"strings"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

func implicitOrText(t types.Type) pgfacts.Context {
	if t.OID == types.UnknownOID {
		return pgfacts.Explicit
	}
	return pgfacts.Implicit
}

// coerce converts e to type t, modifier included. what, if not empty, names the
// construct in the error ("argument of WHERE"); otherwise a failure reads
// "cannot cast type x to y".
func (b *binder) coerce(e expr.Expr, t types.Type, ctx pgfacts.Context, what string, loc int) (expr.Expr, error) {
	from := e.Type()
	if from == t || t.OID == types.AnyOID {
		return e, nil
	}
	if from.OID == types.UnknownOID {
		if r, ok, err := b.coerceUnknown(e, t, ctx, loc); ok || err != nil {
			return r, err
		}
	}
	if from.OID == t.OID {
		return b.applyTypmod(e, t, ctx, loc)
	}
	if r, ok := b.widenLiteral(e, t.OID); ok && !b.exact {
		return b.applyTypmod(r, t, ctx, loc)
	}
	c := pgfacts.FindCoercion(from.OID, t.OID, ctx)
	if row, ok := e.(*expr.RowExpr); ok && c.Kind == pgfacts.NoCoercion && t.OID == types.RecordOID {
		return row, nil
	}
	if c.Kind == pgfacts.NoCoercion {
		return nil, cannotCoerce(from, t, what, loc)
	}
	r, err := b.convert(e, c, t, ctx, loc)
	if err != nil {
		return nil, err
	}
	return b.applyTypmod(r, t, ctx, loc)
}

func cannotCoerce(from, to types.Type, what string, loc int) error {
	if what == "" {
		return types.Errorf(types.CodeCannotCoerce, "cannot cast type %s to %s",
			types.Format(from.OID, -1), types.Format(to.OID, -1)).At(position(loc))
	}
	return types.Errorf(types.CodeDatatypeMismatch, "%s must be type %s, not type %s", what,
		types.Format(to.OID, -1), types.Format(from.OID, -1)).At(position(loc))
}

func form(ctx pgfacts.Context) expr.CoerceForm {
	if ctx == pgfacts.Explicit {
		return expr.ExplicitCast
	}
	return expr.ImplicitCast
}

// convert applies one coercion; the modifier only if it is part of the cast.
func (b *binder) convert(e expr.Expr, c pgfacts.Coercion, to types.Type, ctx pgfacts.Context, loc int) (expr.Expr, error) {
	t := types.Of(to.OID)
	switch c.Kind {
	case pgfacts.Same:
		return e, nil
	case pgfacts.Relabel:
		return &expr.Relabel{Arg: e, Typ: t, Form: form(ctx), Location: position(loc)}, nil
	case pgfacts.ViaIO:
		return &expr.CoerceViaIO{Arg: e, Typ: t, Form: form(ctx), Location: position(loc)}, nil
	case pgfacts.CallFunc:
		p, ok := pgfacts.ProcByOID(c.Func)
		if !ok {
			return nil, types.Errorf(types.CodeInternal, "cast function %d is missing", c.Func)
		}
		args := []expr.Expr{e}
		// A cast function that takes more arguments gets the modifier and
		// whether the cast is explicit.
		if p.NArgs > 1 {
			args = append(args, intConst(to.Mod))
			t = to
		}
		if p.NArgs > 2 {
			args = append(args, boolConst(ctx == pgfacts.Explicit))
		}
		return &expr.FuncExpr{Func: c.Func, Args: args, Typ: t, Form: form(ctx), Name: p.Name,
			Collation: collationOf(e.Type()), Location: position(loc)}, nil
	case pgfacts.ElementWise:
		elem, err := b.convert(&expr.CaseTest{Typ: types.Of(types.ElemOf(e.Type().OID))}, *c.Elem, types.Of(types.ElemOf(t.OID)), ctx, loc)
		if err != nil {
			return nil, err
		}
		return &expr.ArrayCoerce{Arg: e, Elem: elem, Typ: t, Form: form(ctx), Location: position(loc)}, nil
	}
	return nil, cannotCoerce(e.Type(), t, "", loc)
}

// applyTypmod makes values fit a modifier, such as varchar's length.
func (b *binder) applyTypmod(e expr.Expr, t types.Type, ctx pgfacts.Context, loc int) (expr.Expr, error) {
	if t.Mod < 0 || e.Type() == t {
		return e, nil
	}
	fn, elements := pgfacts.TypmodCoercion(t.OID)
	if fn == 0 {
		return &expr.Relabel{Arg: e, Typ: t, Form: expr.ImplicitCast, Location: position(loc)}, nil
	}
	if c, ok := e.(*expr.Const); ok && c.Value.IsNull() {
		return &expr.Const{Typ: t, Location: c.Location}, nil
	}
	p, ok := pgfacts.ProcByOID(fn)
	if !ok {
		return nil, types.Errorf(types.CodeInternal, "length function %d is missing", fn)
	}
	call := func(arg expr.Expr, typ types.Type) expr.Expr {
		args := []expr.Expr{arg, intConst(t.Mod)}
		if p.NArgs > 2 {
			args = append(args, boolConst(ctx == pgfacts.Explicit))
		}
		return &expr.FuncExpr{Func: fn, Args: args, Typ: typ, Form: form(ctx), Name: p.Name,
			Collation: collationOf(typ), Location: position(loc)}
	}
	if !elements {
		return call(e, t), nil
	}
	elem := types.Type{OID: types.ElemOf(t.OID), Mod: -1}
	return &expr.ArrayCoerce{Arg: e, Elem: call(&expr.CaseTest{Typ: elem}, elem.WithMod(t.Mod)), Typ: t,
		Form: form(ctx), Location: position(loc)}, nil
}

// coerceUnknown gives an untyped literal or parameter its type.
func (b *binder) coerceUnknown(e expr.Expr, t types.Type, ctx pgfacts.Context, loc int) (expr.Expr, bool, error) {
	switch n := e.(type) {
	case *expr.Const:
		r, err := b.readLiteral(n, t, ctx, loc)
		return r, true, err
	case *expr.Param:
		if n.Kind == expr.ParamLiteral {
			r, err := b.applyTypmod(b.literal(-n.Num-1, types.Of(t.OID), n.Location), t, ctx, loc)
			return r, true, err
		}
		if n.Kind == expr.ParamExternal {
			typ, err := b.setParam(n, types.Of(t.OID))
			if err != nil {
				return nil, true, err
			}
			r, err := b.coerce(&expr.Param{Num: n.Num, Typ: typ, Location: n.Location}, t, ctx, "", loc)
			return r, true, err
		}
	}
	// Any other value of type unknown is text that nobody typed.
	if t.OID == types.TextOID || t.OID == types.VarCharOID {
		return &expr.Relabel{Arg: e, Typ: types.Of(t.OID), Form: expr.ImplicitCast}, true, nil
	}
	return &expr.CoerceViaIO{Arg: e, Typ: types.Of(t.OID), Form: form(ctx), Location: position(loc)}, true, nil
}

// readLiteral turns the text of a literal into a value of type t.
func (b *binder) readLiteral(n *expr.Const, t types.Type, ctx pgfacts.Context, loc int) (expr.Expr, error) {
	base := types.Of(t.OID)
	if n.Value.IsNull() {
		return &expr.Const{Typ: t, Location: n.Location}, nil
	}
	text := n.Value.Str()
	if dependsOnSession(t.OID) {
		b.settings = true
		if dependsOnClock(text) {
			// 'now' and its kin mean the time of execution in a shared plan;
			// what is no time at all is refused here, where its place is known.
			if err := b.checkLiteral(n, t); err != nil {
				return nil, err
			}
			e := &expr.CoerceViaIO{Arg: &expr.Const{Value: n.Value, Typ: types.TextType}, Typ: base, Form: expr.ExplicitCast, Location: n.Location}
			return b.applyTypmod(e, t, ctx, loc)
		}
	}
	read := base
	if t.OID == types.IntervalOID {
		read = t // the fields of the modifier say what a bare number means
	}
	if b.opts.Input == nil {
		e := &expr.CoerceViaIO{Arg: &expr.Const{Value: n.Value, Typ: types.TextType}, Typ: base, Form: expr.ImplicitCast, Location: n.Location}
		return b.applyTypmod(e, t, ctx, loc)
	}
	d, err := b.opts.Input(read, text)
	if err != nil {
		return nil, at(err, n.Location-1)
	}
	return b.applyTypmod(&expr.Const{Value: d, Typ: base, Location: n.Location}, t, ctx, loc)
}

func (b *binder) checkLiteral(n *expr.Const, t types.Type) error {
	if b.opts.Input == nil {
		return nil
	}
	_, err := b.opts.Input(t, n.Value.Str())
	return at(err, n.Location-1)
}

func dependsOnSession(oid types.OID) bool {
	switch oid {
	case types.DateOID, types.TimeOID, types.TimeTZOID, types.TimestampOID, types.TimestampTZOID, types.IntervalOID,
		types.RegClassOID, types.RegTypeOID, types.RegProcOID, types.RegProcedureOID, types.RegNamespaceOID, types.RegRoleOID,
		types.RegOperOID, types.RegOperatorOID, types.RegConfigOID, types.RegDictionaryOID, types.RegCollationOID:
		return true
	}
	e := types.ElemOf(oid)
	return e != 0 && dependsOnSession(e)
}

func dependsOnClock(text string) bool {
	s := strings.ToLower(text)
	for _, w := range []string{"now", "today", "tomorrow", "yesterday"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// literal returns the parameter for lifted literal index, read as type t.
func (b *binder) literal(index int, t types.Type, location int) *expr.Param {
	want := plan.Literal{Index: index, Type: t}
	for i, l := range b.literals {
		if l == want {
			return &expr.Param{Num: i, Kind: expr.ParamLiteral, Typ: t, Location: location}
		}
	}
	b.literals = append(b.literals, want)
	return &expr.Param{Num: len(b.literals) - 1, Kind: expr.ParamLiteral, Typ: t, Location: location}
}

// setParam infers the type of $n from its use.
func (b *binder) setParam(n *expr.Param, t types.Type) (types.Type, error) {
	have := b.params[n.Num]
	if have.OID != types.UnknownOID {
		// A second use may coerce the type that the first one settled.
		return have, nil
	}
	b.params[n.Num] = t
	return t, nil
}

// param returns the expression for $n.
func (b *binder) param(number, loc int) (expr.Expr, error) {
	if number < 1 || number > math.MaxUint16 || b.opts.NoParams {
		return nil, types.Errorf(types.CodeUndefinedParameter, "there is no parameter $%d", number).At(position(loc))
	}
	for len(b.params) < number {
		b.params = append(b.params, types.UnknownType)
	}
	b.untyped = b.untyped || b.params[number-1].OID == types.UnknownOID
	return &expr.Param{Num: number - 1, Typ: b.params[number-1], Location: position(loc)}, nil
}

// widenLiteral converts number literals in place where no value is lost, so
// that keys of other widths stay plain constants.
func (b *binder) widenLiteral(e expr.Expr, to types.OID) (expr.Expr, bool) {
	from := e.Type().OID
	ok := from == types.Int4OID && (to == types.Int8OID || to == types.NumericOID || to == types.Float8OID || to == types.OIDOID) ||
		from == types.Int8OID && to == types.NumericOID
	if p, lit := e.(*expr.Param); lit && p.Kind == expr.ParamLiteral {
		if ok && to != types.OIDOID || from == types.NumericOID && to == types.Float8OID {
			return b.literal(b.literals[p.Num].Index, types.Of(to), p.Location), true
		}
		return nil, false
	}
	c, lit := e.(*expr.Const)
	if !lit || !ok {
		return nil, false
	}
	d := c.Value
	if !d.IsNull() {
		switch to {
		case types.NumericOID:
			d = types.NewNumeric(types.NumericFromInt(d.Int()))
		case types.Float8OID:
			d = types.NewFloat(float64(d.Int()))
		case types.OIDOID:
			if d.Int() < 0 {
				return nil, false
			}
		}
	}
	return &expr.Const{Value: d, Typ: types.Of(to), Location: c.Location}, true
}

// common brings expressions to one type, as UNION, CASE, VALUES and ARRAY do.
func (b *binder) common(what string, es []expr.Expr, loc int) ([]expr.Expr, types.Type, error) {
	oids := make([]types.OID, len(es))
	for i, e := range es {
		oids[i] = e.Type().OID
	}
	oid, err := pgfacts.CommonType(what, oids)
	if err != nil {
		return nil, types.Type{}, at(err, b.mismatchAt(es, loc))
	}
	t := types.Of(oid)
	t.Mod = commonMod(es, oid)
	out := make([]expr.Expr, len(es))
	for i, e := range es {
		target := t
		if e.Type().OID != oid {
			target = types.Of(oid)
		}
		if out[i], err = b.coerce(e, target, pgfacts.Implicit, "", loc); err != nil {
			return nil, types.Type{}, couldNotConvert(what, e.Type(), t, err, expr.LocationOf(e))
		}
	}
	return out, t, nil
}

func couldNotConvert(what string, from, to types.Type, err error, loc int) error {
	if types.CodeOf(err) != types.CodeCannotCoerce {
		return err
	}
	return types.Errorf(types.CodeCannotCoerce, "%s could not convert type %s to %s", what,
		types.Format(from.OID, -1), types.Format(to.OID, -1)).At(loc)
}

// mismatchAt finds the first expression whose type differs from the first's.
func (b *binder) mismatchAt(es []expr.Expr, loc int) int {
	first := types.UnknownOID
	for _, e := range es {
		t := e.Type().OID
		if t == types.UnknownOID {
			continue
		}
		if first == types.UnknownOID {
			first = t
		} else if pgfacts.Category(t) != pgfacts.Category(first) {
			if l := expr.LocationOf(e); l > 0 {
				return l - 1
			}
		}
	}
	return loc
}

func commonMod(es []expr.Expr, oid types.OID) int32 {
	mod := int32(-1)
	for i, e := range es {
		t := e.Type()
		if t.OID != oid || i > 0 && t.Mod != mod {
			return -1
		}
		mod = t.Mod
	}
	return mod
}

func intConst(v int32) *expr.Const {
	return &expr.Const{Value: types.NewInt(int64(v)), Typ: types.Int4Type}
}

func boolConst(v bool) *expr.Const {
	return &expr.Const{Value: types.NewBool(v), Typ: types.BoolType}
}

// boolean coerces the argument of a clause to boolean.
func (b *binder) boolean(e expr.Expr, what string) (expr.Expr, error) {
	if e.Type().OID == types.BoolOID {
		return e, nil
	}
	loc := expr.LocationOf(e) - 1
	if e.Type().OID != types.UnknownOID {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "argument of %s must be type boolean, not type %s",
			what, types.Format(e.Type().OID, -1)).At(position(loc))
	}
	return b.coerce(e, types.BoolType, pgfacts.Implicit, "", loc)
}

// resolveUnknown makes an untyped literal text; everything else stays.
func (b *binder) resolveUnknown(e expr.Expr) (expr.Expr, error) {
	if e.Type().OID != types.UnknownOID {
		return e, nil
	}
	return b.coerce(e, types.TextType, pgfacts.Implicit, "", -1)
}

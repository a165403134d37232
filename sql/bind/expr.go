package bind

import (
	"math"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// expr binds a scalar expression.
func (q *query) expr(n ast.Node) (expr.Expr, error) {
	if err := q.b.enter(); err != nil {
		return nil, err
	}
	defer q.b.leave()
	switch n := n.(type) {
	case *ast.ColumnRef:
		return q.columnRef(n)
	case *ast.A_Const:
		return q.constant(n)
	case *ast.LiftedConst:
		return q.lifted(n)
	case *ast.ParamRef:
		return q.b.param(int(n.Number), n.Location)
	case *ast.A_Expr:
		return q.operator(n)
	case *ast.BoolExpr:
		return q.boolExpr(n)
	case *ast.FuncCall:
		return q.funcCall(n)
	case *ast.TypeCast:
		return q.cast(n)
	case *ast.SubLink:
		return q.subLink(n)
	case *ast.NullTest:
		return q.nullTest(n)
	case *ast.CaseExpr:
		return q.caseExpr(n)
	case *ast.CoalesceExpr:
		return q.coalesce(n)
	}
	return q.rareExpr(n)
}

func (q *query) rareExpr(n ast.Node) (expr.Expr, error) {
	switch n := n.(type) {
	case *ast.BooleanTest:
		return q.booleanTest(n)
	case *ast.MinMaxExpr:
		return q.minMax(n)
	case *ast.RowExpr:
		return q.rowExpr(n)
	case *ast.A_ArrayExpr:
		return q.arrayExpr(n, types.Type{})
	case *ast.A_Indirection:
		return q.indirection(n)
	case *ast.SQLValueFunction:
		return sqlValueFunction(n)
	case *ast.CollateClause:
		return q.collate(n)
	case *ast.GroupingFunc:
		return q.groupingFunc(n)
	case *ast.SetToDefault:
		return nil, types.Errorf(types.CodeSyntaxError, "DEFAULT is not allowed in this context").At(position(n.Location))
	case *ast.NamedArgExpr:
		return nil, types.Errorf(types.CodeSyntaxError, "named notation used in a call that does not allow it").At(position(n.Location))
	case *ast.List:
		return q.rowOf(n.Items, -1)
	case nil:
		return nil, types.Errorf(types.CodeInternal, "missing expression")
	}
	return nil, unsupported(n, -1)
}

func (q *query) exprs(ns []ast.Node) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(ns))
	for i, n := range ns {
		e, err := q.expr(n)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (q *query) constant(n *ast.A_Const) (expr.Expr, error) {
	loc := position(n.Location)
	if n.Isnull {
		return &expr.Const{Typ: types.UnknownType, Location: loc}, nil
	}
	switch v := n.Val.(type) {
	case *ast.Integer:
		return &expr.Const{Value: types.NewInt(int64(v.Ival)), Typ: types.Int4Type, Location: loc}, nil
	case *ast.Float:
		return q.b.number(v.Fval, loc)
	case *ast.String:
		return &expr.Const{Value: types.NewString(v.Sval), Typ: types.UnknownType, Location: loc}, nil
	case *ast.Boolean:
		return &expr.Const{Value: types.NewBool(v.Boolval), Typ: types.BoolType, Location: loc}, nil
	case *ast.BitString:
		return q.b.bitString(v.Bsval, loc)
	case nil:
		return &expr.Const{Typ: types.UnknownType, Location: loc}, nil
	}
	return nil, unsupported(n.Val, n.Location)
}

func (b *binder) bitString(s string, loc int) (expr.Expr, error) {
	digits := strings.TrimPrefix(s, "b")
	if h, ok := strings.CutPrefix(s, "x"); ok {
		var sb strings.Builder
		for _, c := range h {
			v, err := strconv.ParseUint(string(c), 16, 8)
			if err != nil {
				return nil, types.Errorf(types.CodeInvalidTextRepresentation, "\"%c\" is not a valid hexadecimal digit", c).At(loc)
			}
			sb.WriteString(strconv.FormatUint(v+16, 2)[1:])
		}
		digits = sb.String()
	}
	return b.readLiteral(&expr.Const{Value: types.NewString(digits), Typ: types.UnknownType, Location: loc}, types.Of(types.BitOID), pgfacts.Explicit, -1)
}

// number types a numeric literal that the grammar did not take for an int4.
func (b *binder) number(text string, loc int) (expr.Expr, error) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		if v == math.MinInt32 {
			// The grammar took 2147483648 for no int4 before it saw the sign.
			return &expr.Const{Value: types.NewInt(v), Typ: types.Int4Type, Location: loc}, nil
		}
		return &expr.Const{Value: types.NewInt(v), Typ: types.Int8Type, Location: loc}, nil
	}
	return b.readLiteral(&expr.Const{Value: types.NewString(text), Typ: types.UnknownType, Location: loc}, types.NumericType, pgfacts.Implicit, -1)
}

func (q *query) lifted(n *ast.LiftedConst) (expr.Expr, error) {
	loc := position(n.Location)
	switch n.Class {
	case ast.ClassInt4:
		return q.b.literal(n.Index, types.Int4Type, loc), nil
	case ast.ClassInt8:
		return q.b.literal(n.Index, types.Int8Type, loc), nil
	case ast.ClassNumeric:
		return q.b.literal(n.Index, types.NumericType, loc), nil
	}
	// Its number says which literal it is until a type makes it one of
	// binder.literals.
	q.b.untyped = true
	return &expr.Param{Num: -n.Index - 1, Kind: expr.ParamLiteral, Typ: types.UnknownType, Location: loc}, nil
}

func (q *query) boolExpr(n *ast.BoolExpr) (expr.Expr, error) {
	out := &expr.BoolExpr{Location: position(n.Location)}
	name := "AND"
	switch n.Boolop {
	case ast.OR_EXPR:
		out.Op, name = expr.Or, "OR"
	case ast.NOT_EXPR:
		out.Op, name = expr.Not, "NOT"
	}
	q.conditional++
	defer func() { q.conditional-- }()
	for _, a := range n.Args {
		e, err := q.expr(a)
		if err != nil {
			return nil, err
		}
		if e, err = q.b.boolean(e, name); err != nil {
			return nil, err
		}
		out.Args = append(out.Args, e)
	}
	return out, nil
}

func (q *query) nullTest(n *ast.NullTest) (expr.Expr, error) {
	arg, err := q.expr(n.Arg)
	if err != nil {
		return nil, err
	}
	if arg, err = q.b.resolveUnknown(arg); err != nil {
		return nil, err
	}
	return &expr.NullTest{Arg: arg, Not: n.Nulltesttype == ast.IS_NOT_NULL, Row: arg.Type().OID == types.RecordOID, Location: position(n.Location)}, nil
}

func (q *query) booleanTest(n *ast.BooleanTest) (expr.Expr, error) {
	arg, err := q.expr(n.Arg)
	if err != nil {
		return nil, err
	}
	names := map[ast.BoolTestType]string{ast.IS_TRUE: "IS TRUE", ast.IS_NOT_TRUE: "IS NOT TRUE", ast.IS_FALSE: "IS FALSE",
		ast.IS_NOT_FALSE: "IS NOT FALSE", ast.IS_UNKNOWN: "IS UNKNOWN", ast.IS_NOT_UNKNOWN: "IS NOT UNKNOWN"}
	if arg, err = q.b.boolean(arg, names[n.Booltesttype]); err != nil {
		return nil, err
	}
	kinds := map[ast.BoolTestType]expr.BoolTestKind{ast.IS_TRUE: expr.IsTrue, ast.IS_NOT_TRUE: expr.IsNotTrue, ast.IS_FALSE: expr.IsFalse,
		ast.IS_NOT_FALSE: expr.IsNotFalse, ast.IS_UNKNOWN: expr.IsUnknown, ast.IS_NOT_UNKNOWN: expr.IsNotUnknown}
	return &expr.BooleanTest{Arg: arg, Test: kinds[n.Booltesttype], Location: position(n.Location)}, nil
}

func (q *query) caseExpr(n *ast.CaseExpr) (expr.Expr, error) {
	out := &expr.CaseExpr{Location: position(n.Location)}
	var test expr.Expr
	if n.Arg != nil {
		arg, err := q.expr(n.Arg)
		if err != nil {
			return nil, err
		}
		if arg, err = q.b.resolveUnknown(arg); err != nil {
			return nil, err
		}
		out.Arg, test = arg, &expr.CaseTest{Typ: arg.Type()}
	}
	q.conditional++
	defer func() { q.conditional-- }()
	var results []expr.Expr
	// PostgreSQL chooses the type with ELSE first.
	if n.Defresult != nil {
		e, err := q.expr(n.Defresult)
		if err != nil {
			return nil, err
		}
		results = append(results, e)
	} else {
		results = append(results, &expr.Const{Typ: types.UnknownType})
	}
	for _, a := range n.Args {
		w, ok := a.(*ast.CaseWhen)
		if !ok {
			return nil, unsupported(a, n.Location)
		}
		cond, err := q.expr(w.Expr)
		if err != nil {
			return nil, err
		}
		if test != nil {
			cond, err = q.b.op("=", test, cond, w.Location)
		} else {
			cond, err = q.b.boolean(cond, "CASE/WHEN")
		}
		if err != nil {
			return nil, err
		}
		r, err := q.expr(w.Result)
		if err != nil {
			return nil, err
		}
		out.Whens = append(out.Whens, expr.When{Cond: cond})
		results = append(results, r)
	}
	results, t, err := q.b.common("CASE", results, n.Location)
	if err != nil {
		return nil, err
	}
	out.Typ = t
	if n.Defresult != nil {
		out.Else = results[0]
	}
	for i := range out.Whens {
		out.Whens[i].Result = results[i+1]
	}
	return out, nil
}

func (q *query) coalesce(n *ast.CoalesceExpr) (expr.Expr, error) {
	q.conditional++
	defer func() { q.conditional-- }()
	args, err := q.exprs(n.Args)
	if err != nil {
		return nil, err
	}
	args, t, err := q.b.common("COALESCE", args, n.Location)
	if err != nil {
		return nil, err
	}
	return &expr.Coalesce{Args: args, Typ: t, Location: position(n.Location)}, nil
}

func (q *query) minMax(n *ast.MinMaxExpr) (expr.Expr, error) {
	args, err := q.exprs(n.Args)
	if err != nil {
		return nil, err
	}
	name := "GREATEST"
	if n.Op == ast.IS_LEAST {
		name = "LEAST"
	}
	args, t, err := q.b.common(name, args, n.Location)
	if err != nil {
		return nil, err
	}
	return &expr.MinMax{Least: n.Op == ast.IS_LEAST, Args: args, Typ: t, Location: position(n.Location)}, nil
}

func (q *query) rowExpr(n *ast.RowExpr) (expr.Expr, error) { return q.rowOf(n.Args, n.Location) }

func (q *query) rowOf(ns []ast.Node, loc int) (expr.Expr, error) {
	row := &expr.RowExpr{Typ: types.RecordType, Location: position(loc)}
	for _, a := range ns {
		var fields []expr.Expr
		if star, ok := isStar(a); ok {
			ts, err := q.star(star)
			if err != nil {
				return nil, err
			}
			for _, t := range ts {
				fields = append(fields, t.e)
			}
		} else {
			e, err := q.expr(a)
			if err != nil {
				return nil, err
			}
			fields = append(fields, e)
		}
		for _, e := range fields {
			row.Fields = append(row.Fields, e)
			row.Names = append(row.Names, "f"+strconv.Itoa(len(row.Fields)))
		}
	}
	return row, nil
}

// arrayExpr binds ARRAY[...]; want, if known, is the array type it is cast to.
func (q *query) arrayExpr(n *ast.A_ArrayExpr, want types.Type) (expr.Expr, error) {
	loc := position(n.Location)
	var elems []expr.Expr
	nested := false
	for _, a := range n.Elements {
		var e expr.Expr
		var err error
		if sub, ok := a.(*ast.A_ArrayExpr); ok {
			nested = true
			e, err = q.arrayExpr(sub, want)
		} else {
			e, err = q.expr(a)
		}
		if err != nil {
			return nil, err
		}
		nested = nested || types.ElemOf(e.Type().OID) != 0
		elems = append(elems, e)
	}
	if len(elems) == 0 {
		if want.OID == 0 {
			return nil, types.Errorf(types.CodeIndeterminateDatatype, "cannot determine type of empty array").
				WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[].").At(loc)
		}
		return &expr.ArrayExpr{Typ: want, Location: loc}, nil
	}
	if want.OID != 0 {
		elem := types.Type{OID: types.ElemOf(want.OID), Mod: want.Mod}
		if nested {
			elem = want
		}
		for i, e := range elems {
			c, err := q.b.coerce(e, elem, pgfacts.Explicit, "", n.Location)
			if err != nil {
				return nil, err
			}
			elems[i] = c
		}
		return &expr.ArrayExpr{Elems: elems, Nested: nested, Typ: want, Location: loc}, nil
	}
	elems, t, err := q.b.common("ARRAY", elems, n.Location)
	if err != nil {
		return nil, err
	}
	arr := t
	if !nested {
		if arr = types.Of(types.ArrayOf(t.OID)); arr.OID == 0 {
			return nil, types.Errorf(types.CodeUndefinedObject, "could not find array type for data type %s", types.Format(t.OID, -1)).At(loc)
		}
	}
	return &expr.ArrayExpr{Elems: elems, Nested: nested, Typ: arr, Location: loc}, nil
}

func (q *query) indirection(n *ast.A_Indirection) (expr.Expr, error) {
	e, err := q.expr(n.Arg)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(n.Indirection); i++ {
		switch ind := n.Indirection[i].(type) {
		case *ast.String:
			if e, err = q.field(e, ind.Sval, expr.LocationOf(e)-1); err != nil {
				return nil, err
			}
		case *ast.A_Indices:
			from := i
			for i+1 < len(n.Indirection) {
				if _, ok := n.Indirection[i+1].(*ast.A_Indices); !ok {
					break
				}
				i++
			}
			if e, err = q.subscript(e, n.Indirection[from:i+1]); err != nil {
				return nil, err
			}
		default:
			return nil, unsupported(n, -1)
		}
	}
	return e, nil
}

// maxDimensions bounds the dimensions of an array, as in PostgreSQL.
const maxDimensions = 6

func (q *query) subscript(arg expr.Expr, inds []ast.Node) (expr.Expr, error) {
	s, err := q.subscripts(inds, arg.Type(), expr.LocationOf(arg), false)
	if err != nil {
		return nil, err
	}
	s.Arg = arg
	return s, nil
}

// subscripts binds the subscripts of a value of type t; the result's Typ is that
// of the part they take. In a jsonb value that is assigned to, the type of a
// subscript tells keys from positions.
func (q *query) subscripts(inds []ast.Node, t types.Type, loc int, assign bool) (*expr.Subscript, error) {
	elem := types.ElemOf(t.OID)
	key, result := types.Int4Type, types.Type{OID: elem, Mod: t.Mod}
	switch {
	case t.OID == types.JSONBOID:
		key, result = types.TextType, types.JSONBType
	case t.OID == types.NameOID && !assign:
		elem, result = types.QCharOID, types.QCharType
	case elem == 0:
		return nil, types.Errorf(types.CodeDatatypeMismatch, "cannot subscript type %s because it does not support subscripting",
			types.Format(t.OID, -1)).At(loc)
	}
	if len(inds) > maxDimensions && elem != 0 {
		return nil, types.Errorf(types.CodeProgramLimitExceeded, "number of array dimensions (%d) exceeds the maximum allowed (%d)", len(inds), maxDimensions)
	}
	s := &expr.Subscript{Typ: result, Location: loc}
	slice := false
	for _, n := range inds {
		slice = slice || n.(*ast.A_Indices).IsSlice
	}
	if slice && t.OID == types.JSONBOID {
		return nil, noSlices(inds)
	}
	if slice && t.OID == types.NameOID {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "slices of fixed-length arrays not implemented")
	}
	if slice {
		s.Typ = t
	}
	for _, n := range inds {
		ix := n.(*ast.A_Indices)
		lo, err := q.index(ix.Lidx, key, assign)
		if err != nil {
			return nil, err
		}
		up, err := q.index(ix.Uidx, key, assign)
		if err != nil {
			return nil, err
		}
		if slice && !ix.IsSlice {
			lo = intConst(1)
		}
		if slice {
			s.Lower = append(s.Lower, lo)
		}
		s.Upper = append(s.Upper, up)
	}
	return s, nil
}

func noSlices(inds []ast.Node) error {
	loc := -1
	for _, n := range inds {
		if ix := n.(*ast.A_Indices); ix.IsSlice && loc < 0 {
			if loc = locationOf(ix.Uidx); ix.Uidx == nil {
				loc = locationOf(ix.Lidx)
			}
		}
	}
	return types.Errorf(types.CodeDatatypeMismatch, "jsonb subscript does not support slices").At(position(loc))
}

func (q *query) index(n ast.Node, t types.Type, assign bool) (expr.Expr, error) {
	if n == nil {
		return nil, nil
	}
	e, err := q.expr(n)
	if err != nil {
		return nil, err
	}
	if t.OID == types.TextOID && e.Type().OID == types.Int4OID {
		if assign {
			return e, nil
		}
		return q.b.coerce(e, t, pgfacts.Assignment, "", -1)
	}
	r, err := q.b.coerce(e, t, pgfacts.Assignment, "", expr.LocationOf(e)-1)
	if t.OID == types.Int4OID && types.CodeOf(err) == types.CodeCannotCoerce {
		return nil, types.Errorf(types.CodeDatatypeMismatch, "array subscript must have type integer").At(expr.LocationOf(e))
	}
	return r, err
}

func (q *query) cast(n *ast.TypeCast) (expr.Expr, error) {
	t, err := q.b.typeName(n.TypeName)
	if err != nil {
		return nil, err
	}
	if a, ok := n.Arg.(*ast.A_ArrayExpr); ok && types.ElemOf(t.OID) != 0 {
		e, err := q.arrayExpr(a, types.Type{OID: t.OID, Mod: -1})
		if err != nil {
			return nil, err
		}
		return q.b.coerce(e, t, pgfacts.Explicit, "", n.Location)
	}
	e, err := q.expr(n.Arg)
	if err != nil {
		return nil, err
	}
	loc := n.Location
	if loc < 0 {
		loc = expr.LocationOf(e) - 1
	}
	return q.b.coerce(e, t, pgfacts.Explicit, "", loc)
}

func (q *query) collate(n *ast.CollateClause) (expr.Expr, error) {
	e, err := q.expr(n.Arg)
	if err != nil {
		return nil, err
	}
	if e, err = q.b.resolveUnknown(e); err != nil {
		return nil, err
	}
	_, err = Collation(n, e.Type())
	return e, err
}

// collations are those that exist, by their oids. All of them compare bytes here.
var collations = map[string]types.OID{"default": 100, "C": 950, "POSIX": 951, "ucs_basic": 962}

// Collation finds the collation that a clause names for a value of type t.
func Collation(n *ast.CollateClause, t types.Type) (types.OID, error) {
	if !types.IsCollatable(t.OID) {
		return 0, types.Errorf(types.CodeDatatypeMismatch, "collations are not supported by type %s", types.Format(t.OID, -1)).At(position(n.Location))
	}
	names := stringsOf(n.Collname)
	if oid, ok := collations[names[len(names)-1]]; ok {
		return oid, nil
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "collation \"%s\" for encoding \"UTF8\" does not exist",
		strings.Join(names, ".")).At(position(n.Location))
}

func sqlValueFunction(n *ast.SQLValueFunction) (expr.Expr, error) {
	e := &expr.SQLValueFunction{Location: position(n.Location)}
	mod := int32(-1)
	switch n.Op {
	case ast.SVFOP_CURRENT_TIME_N, ast.SVFOP_CURRENT_TIMESTAMP_N, ast.SVFOP_LOCALTIME_N, ast.SVFOP_LOCALTIMESTAMP_N:
		if mod = n.Typmod; mod > 6 {
			mod = 6
		}
	}
	switch n.Op {
	case ast.SVFOP_CURRENT_DATE:
		e.Func, e.Typ = expr.CurrentDate, types.DateType
	case ast.SVFOP_CURRENT_TIME, ast.SVFOP_CURRENT_TIME_N:
		e.Func, e.Typ = expr.CurrentTime, types.TimeTZType.WithMod(mod)
	case ast.SVFOP_CURRENT_TIMESTAMP, ast.SVFOP_CURRENT_TIMESTAMP_N:
		e.Func, e.Typ = expr.CurrentTimestamp, types.TimestampTZType.WithMod(mod)
	case ast.SVFOP_LOCALTIME, ast.SVFOP_LOCALTIME_N:
		e.Func, e.Typ = expr.LocalTime, types.TimeType.WithMod(mod)
	case ast.SVFOP_LOCALTIMESTAMP, ast.SVFOP_LOCALTIMESTAMP_N:
		e.Func, e.Typ = expr.LocalTimestamp, types.TimestampType.WithMod(mod)
	case ast.SVFOP_CURRENT_ROLE:
		e.Func, e.Typ = expr.CurrentRole, types.NameType
	case ast.SVFOP_CURRENT_USER, ast.SVFOP_USER:
		e.Func, e.Typ = expr.CurrentUser, types.NameType
	case ast.SVFOP_SESSION_USER:
		e.Func, e.Typ = expr.SessionUser, types.NameType
	case ast.SVFOP_CURRENT_CATALOG:
		e.Func, e.Typ = expr.CurrentCatalog, types.NameType
	case ast.SVFOP_CURRENT_SCHEMA:
		e.Func, e.Typ = expr.CurrentSchema, types.NameType
	}
	return e, nil
}

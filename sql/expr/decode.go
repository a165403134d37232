package expr

import (
	"encoding/binary"
	"errors"

	"github.com/pamirdb/pamir/sql/types"
)

// maxDecodeDepth bounds recursion over hostile or corrupt bytes.
const maxDecodeDepth = 10000

type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(types.ErrCorrupt)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(types.ErrCorrupt)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) oid() types.OID { return types.OID(r.uint()) }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(types.ErrCorrupt)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bool() bool { return r.byte() != 0 }

func (r *reader) str() string {
	n := r.uint()
	if uint64(len(r.b)) < n {
		r.fail(types.ErrCorrupt)
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) typ() types.Type { return types.Type{OID: r.oid(), Mod: int32(r.int())} }

// count reads a length; every element takes a byte at least.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail(types.ErrCorrupt)
		return 0
	}
	return int(n)
}

func (r *reader) exprs(depth int) []Expr {
	n := r.count()
	if n == 0 {
		return nil
	}
	es := make([]Expr, n)
	for i := range es {
		es[i] = r.expr(depth)
	}
	return es
}

func (r *reader) oids() []types.OID {
	n := r.count()
	os := make([]types.OID, n)
	for i := range os {
		os[i] = r.oid()
	}
	return os
}

func (r *reader) keys(depth int) []SortKey {
	n := r.count()
	if n == 0 {
		return nil
	}
	ks := make([]SortKey, n)
	for i := range ks {
		ks[i] = SortKey{Arg: r.expr(depth), Desc: r.bool(), NullsFirst: r.bool(), Collation: r.oid()}
	}
	return ks
}

func (r *reader) expr(depth int) Expr {
	if depth++; depth > maxDecodeDepth {
		r.fail(errors.New("expr: tree is too deep"))
		return nil
	}
	k := nodeKind(r.byte())
	if r.err != nil {
		return nil
	}
	switch k {
	case kindNil:
		return nil
	case kindConst:
		n := &Const{Typ: r.typ()}
		d, rest, err := types.DecodeDatum(r.b)
		if err != nil {
			r.fail(err)
			return nil
		}
		n.Value, r.b = d, rest
		return n
	case kindColumnRef:
		return &ColumnRef{ID: ColID(r.int()), Outer: int(r.uint()), Typ: r.typ(), Collation: r.oid(), Name: r.str()}
	case kindParam:
		return &Param{Num: int(r.uint()), Kind: ParamKind(r.byte()), Typ: r.typ()}
	case kindFunc:
		return &FuncExpr{Func: r.oid(), Args: r.exprs(depth), Typ: r.typ(), ReturnSet: r.bool(),
			Variadic: r.bool(), Form: CoerceForm(r.byte()), Collation: r.oid(), Name: r.str()}
	case kindOp:
		return &OpExpr{Op: r.oid(), Func: r.oid(), Name: r.str(), Args: r.exprs(depth), Typ: r.typ(), Collation: r.oid()}
	case kindScalarArrayOp:
		return &ScalarArrayOp{Op: r.oid(), Func: r.oid(), Name: r.str(), All: r.bool(),
			Left: r.expr(depth), Right: r.expr(depth), Collation: r.oid()}
	case kindBool:
		return &BoolExpr{Op: BoolOp(r.byte()), Args: r.exprs(depth)}
	}
	return r.conditional(k, depth)
}

func (r *reader) conditional(k nodeKind, depth int) Expr {
	switch k {
	case kindCase:
		n := &CaseExpr{Arg: r.expr(depth)}
		n.Whens = make([]When, r.count())
		for i := range n.Whens {
			n.Whens[i] = When{Cond: r.expr(depth), Result: r.expr(depth)}
		}
		n.Else, n.Typ = r.expr(depth), r.typ()
		return n
	case kindCaseTest:
		return &CaseTest{Typ: r.typ()}
	case kindCoalesce:
		return &Coalesce{Args: r.exprs(depth), Typ: r.typ()}
	case kindNullIf:
		return &NullIf{Op: r.oid(), Func: r.oid(), Left: r.expr(depth), Right: r.expr(depth), Typ: r.typ(), Collation: r.oid()}
	case kindMinMax:
		return &MinMax{Least: r.bool(), Args: r.exprs(depth), Typ: r.typ()}
	case kindNullTest:
		return &NullTest{Arg: r.expr(depth), Not: r.bool(), Row: r.bool()}
	case kindBooleanTest:
		return &BooleanTest{Arg: r.expr(depth), Test: BoolTestKind(r.byte())}
	case kindDistinct:
		return &DistinctExpr{Op: r.oid(), Func: r.oid(), Name: r.str(), Left: r.expr(depth), Right: r.expr(depth), Collation: r.oid()}
	}
	return r.coercion(k, depth)
}

func (r *reader) coercion(k nodeKind, depth int) Expr {
	switch k {
	case kindRelabel:
		return &Relabel{Arg: r.expr(depth), Typ: r.typ(), Form: CoerceForm(r.byte())}
	case kindCoerceViaIO:
		return &CoerceViaIO{Arg: r.expr(depth), Typ: r.typ(), Form: CoerceForm(r.byte())}
	case kindArrayCoerce:
		return &ArrayCoerce{Arg: r.expr(depth), Elem: r.expr(depth), Typ: r.typ(), Form: CoerceForm(r.byte())}
	case kindArray:
		return &ArrayExpr{Elems: r.exprs(depth), Nested: r.bool(), Typ: r.typ()}
	case kindRow:
		n := &RowExpr{Fields: r.exprs(depth)}
		for i := r.count(); i > 0; i-- {
			n.Names = append(n.Names, r.str())
		}
		n.Typ = r.typ()
		return n
	case kindRowCompare:
		return &RowCompare{Cmp: RowCompareOp(r.byte()), Ops: r.oids(), Funcs: r.oids(), Left: r.exprs(depth), Right: r.exprs(depth)}
	case kindFieldSelect:
		return &FieldSelect{Arg: r.expr(depth), Field: int(r.uint()), Name: r.str(), Typ: r.typ()}
	case kindSubscript:
		n := &Subscript{Arg: r.expr(depth), Upper: r.exprs(depth)}
		slice := r.bool()
		if n.Lower = r.exprs(depth); slice && n.Lower == nil {
			n.Lower = []Expr{}
		}
		n.Assign, n.Typ = r.expr(depth), r.typ()
		return n
	}
	return r.placeholder(k, depth)
}

func (r *reader) placeholder(k nodeKind, depth int) Expr {
	switch k {
	case kindSQLValue:
		return &SQLValueFunction{Func: ValueFunc(r.byte()), Typ: r.typ()}
	case kindSetToDefault:
		return &SetToDefault{Typ: r.typ()}
	case kindAgg:
		return &AggRef{Func: r.oid(), Name: r.str(), Args: r.exprs(depth), Direct: r.exprs(depth), Star: r.bool(),
			Distinct: r.bool(), OrderBy: r.keys(depth), Filter: r.expr(depth), Typ: r.typ(), Collation: r.oid(), Level: int(r.uint())}
	case kindWindow:
		n := &WindowRef{Func: r.oid(), Name: r.str(), Args: r.exprs(depth), Star: r.bool(), Filter: r.expr(depth),
			PartitionBy: r.exprs(depth), OrderBy: r.keys(depth)}
		n.Frame = Frame{Mode: FrameMode(r.byte()), Start: FrameBound(r.byte()), End: FrameBound(r.byte()), Exclude: FrameExclude(r.byte())}
		n.Frame.StartOffset, n.Frame.EndOffset = r.expr(depth), r.expr(depth)
		n.Typ, n.Collation = r.typ(), r.oid()
		return n
	case kindSubquery:
		n := &SubqueryRef{Kind: SubqueryKind(r.byte()), Left: r.exprs(depth), Test: r.expr(depth)}
		for i := r.count(); i > 0; i-- {
			n.Params = append(n.Params, int(r.uint()))
		}
		n.Typ = r.typ()
		plan := r.str()
		if r.err != nil || DecodePlan == nil {
			r.fail(errors.New("expr: a stored subquery cannot be read here"))
			return nil
		}
		p, err := DecodePlan([]byte(plan))
		if err != nil {
			r.fail(err)
		}
		n.Plan = p
		return n
	}
	r.fail(types.ErrCorrupt)
	return nil
}

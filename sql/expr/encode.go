package expr

import (
	"encoding/binary"
	"fmt"

	"github.com/pamirdb/pamir/sql/types"
)

// treeVersion begins every serialized tree.
const treeVersion = 1

// SubqueryCodec lets a subquery's plan travel inside a serialized tree.
type SubqueryCodec interface {
	AppendPlan(b []byte) ([]byte, error)
}

// DecodePlan reads a subquery's plan back; the planner sets it at start-up. It
// is nil where stored subqueries cannot occur.
var DecodePlan func(b []byte) (any, error)

// Encode appends the versioned serialized form of e, which may be nil.
// Locations are not stored.
func Encode(b []byte, e Expr) ([]byte, error) {
	w := writer{b: append(b, treeVersion)}
	w.expr(e)
	return w.b, w.err
}

// Decode reads what Encode wrote and returns what follows it.
func Decode(b []byte) (e Expr, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, types.ErrCorrupt
	}
	if b[0] != treeVersion {
		return nil, nil, &UnknownVersionError{Version: int(b[0])}
	}
	r := reader{b: b[1:]}
	e = r.expr(0)
	return e, r.b, r.err
}

// UnknownVersionError says that a tree or program was written by a newer
// program than this one.
type UnknownVersionError struct{ Version int }

// Error implements error.
func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("expr: unknown format version %d", e.Version)
}

type writer struct {
	b   []byte
	err error
}

func (w *writer) uint(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)     { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) oid(v types.OID) { w.uint(uint64(v)) }
func (w *writer) byte(v byte)     { w.b = append(w.b, v) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) str(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) typ(t types.Type) {
	w.oid(t.OID)
	w.int(int64(t.Mod))
}

func (w *writer) exprs(es []Expr) {
	w.uint(uint64(len(es)))
	for _, e := range es {
		w.expr(e)
	}
}

func (w *writer) oids(os []types.OID) {
	w.uint(uint64(len(os)))
	for _, o := range os {
		w.oid(o)
	}
}

func (w *writer) keys(ks []SortKey) {
	w.uint(uint64(len(ks)))
	for _, k := range ks {
		w.expr(k.Arg)
		w.bool(k.Desc)
		w.bool(k.NullsFirst)
		w.oid(k.Collation)
	}
}

func (w *writer) expr(e Expr) {
	if e == nil {
		w.byte(byte(kindNil))
		return
	}
	w.byte(byte(e.kind()))
	switch n := e.(type) {
	case *Const:
		w.typ(n.Typ)
		w.b = types.AppendDatum(w.b, n.Value)
	case *ColumnRef:
		w.int(int64(n.ID))
		w.uint(uint64(n.Outer))
		w.typ(n.Typ)
		w.oid(n.Collation)
		w.str(n.Name)
	case *Param:
		w.uint(uint64(n.Num))
		w.byte(byte(n.Kind))
		w.typ(n.Typ)
	case *FuncExpr:
		w.oid(n.Func)
		w.exprs(n.Args)
		w.typ(n.Typ)
		w.bool(n.ReturnSet)
		w.bool(n.Variadic)
		w.byte(byte(n.Form))
		w.oid(n.Collation)
		w.str(n.Name)
	case *OpExpr:
		w.oid(n.Op)
		w.oid(n.Func)
		w.str(n.Name)
		w.exprs(n.Args)
		w.typ(n.Typ)
		w.oid(n.Collation)
	case *ScalarArrayOp:
		w.oid(n.Op)
		w.oid(n.Func)
		w.str(n.Name)
		w.bool(n.All)
		w.expr(n.Left)
		w.expr(n.Right)
		w.oid(n.Collation)
	case *BoolExpr:
		w.byte(byte(n.Op))
		w.exprs(n.Args)
	default:
		w.conditional(e)
	}
}

func (w *writer) conditional(e Expr) {
	switch n := e.(type) {
	case *CaseExpr:
		w.expr(n.Arg)
		w.uint(uint64(len(n.Whens)))
		for _, a := range n.Whens {
			w.expr(a.Cond)
			w.expr(a.Result)
		}
		w.expr(n.Else)
		w.typ(n.Typ)
	case *CaseTest:
		w.typ(n.Typ)
	case *Coalesce:
		w.exprs(n.Args)
		w.typ(n.Typ)
	case *NullIf:
		w.oid(n.Op)
		w.oid(n.Func)
		w.expr(n.Left)
		w.expr(n.Right)
		w.typ(n.Typ)
		w.oid(n.Collation)
	case *MinMax:
		w.bool(n.Least)
		w.exprs(n.Args)
		w.typ(n.Typ)
	case *NullTest:
		w.expr(n.Arg)
		w.bool(n.Not)
		w.bool(n.Row)
	case *BooleanTest:
		w.expr(n.Arg)
		w.byte(byte(n.Test))
	case *DistinctExpr:
		w.oid(n.Op)
		w.oid(n.Func)
		w.str(n.Name)
		w.expr(n.Left)
		w.expr(n.Right)
		w.oid(n.Collation)
	default:
		w.coercion(e)
	}
}

func (w *writer) coercion(e Expr) {
	switch n := e.(type) {
	case *Relabel:
		w.expr(n.Arg)
		w.typ(n.Typ)
		w.byte(byte(n.Form))
	case *CoerceViaIO:
		w.expr(n.Arg)
		w.typ(n.Typ)
		w.byte(byte(n.Form))
	case *ArrayCoerce:
		w.expr(n.Arg)
		w.expr(n.Elem)
		w.typ(n.Typ)
		w.byte(byte(n.Form))
	case *ArrayExpr:
		w.exprs(n.Elems)
		w.bool(n.Nested)
		w.typ(n.Typ)
	case *RowExpr:
		w.exprs(n.Fields)
		w.uint(uint64(len(n.Names)))
		for _, s := range n.Names {
			w.str(s)
		}
		w.typ(n.Typ)
	case *RowCompare:
		w.byte(byte(n.Cmp))
		w.oids(n.Ops)
		w.oids(n.Funcs)
		w.exprs(n.Left)
		w.exprs(n.Right)
	case *FieldSelect:
		w.expr(n.Arg)
		w.uint(uint64(n.Field))
		w.str(n.Name)
		w.typ(n.Typ)
	case *Subscript:
		w.expr(n.Arg)
		w.exprs(n.Upper)
		w.bool(n.Lower != nil)
		w.exprs(n.Lower)
		w.expr(n.Assign)
		w.typ(n.Typ)
	default:
		w.placeholder(e)
	}
}

func (w *writer) placeholder(e Expr) {
	switch n := e.(type) {
	case *SQLValueFunction:
		w.byte(byte(n.Func))
		w.typ(n.Typ)
	case *SetToDefault:
		w.typ(n.Typ)
	case *AggRef:
		w.oid(n.Func)
		w.str(n.Name)
		w.exprs(n.Args)
		w.exprs(n.Direct)
		w.bool(n.Star)
		w.bool(n.Distinct)
		w.keys(n.OrderBy)
		w.expr(n.Filter)
		w.typ(n.Typ)
		w.oid(n.Collation)
		w.uint(uint64(n.Level))
	case *WindowRef:
		w.oid(n.Func)
		w.str(n.Name)
		w.exprs(n.Args)
		w.bool(n.Star)
		w.expr(n.Filter)
		w.exprs(n.PartitionBy)
		w.keys(n.OrderBy)
		w.b = append(w.b, byte(n.Frame.Mode), byte(n.Frame.Start), byte(n.Frame.End), byte(n.Frame.Exclude))
		w.expr(n.Frame.StartOffset)
		w.expr(n.Frame.EndOffset)
		w.typ(n.Typ)
		w.oid(n.Collation)
	case *SubqueryRef:
		w.subquery(n)
	}
}

func (w *writer) subquery(n *SubqueryRef) {
	w.byte(byte(n.Kind))
	w.exprs(n.Left)
	w.expr(n.Test)
	w.uint(uint64(len(n.Params)))
	for _, p := range n.Params {
		w.uint(uint64(p))
	}
	w.typ(n.Typ)
	c, ok := n.Plan.(SubqueryCodec)
	if !ok {
		w.err = fmt.Errorf("expr: a subquery of type %T cannot be stored", n.Plan)
		return
	}
	plan, err := c.AppendPlan(nil)
	if err != nil {
		w.err = err
		return
	}
	w.str(string(plan))
}

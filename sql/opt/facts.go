package opt

import (
	"strings"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// volatility returns 'i', 's' or 'v': the worst of the functions in e.
func volatility(e expr.Expr) byte {
	worst := byte('i')
	see := func(fn types.OID) {
		if p, ok := pgfacts.ProcByOID(fn); ok {
			if p.Volatile == 'v' || worst == 'i' {
				worst = p.Volatile
			}
		}
	}
	expr.Walk(e, func(n expr.Expr) bool {
		switch n := n.(type) {
		case *expr.FuncExpr:
			see(n.Func)
		case *expr.OpExpr:
			see(n.Func)
		case *expr.ScalarArrayOp:
			see(n.Func)
		case *expr.SQLValueFunction, *expr.CoerceViaIO:
			if worst == 'i' {
				worst = 's'
			}
		case *expr.WindowRef, *expr.AggRef:
		}
		return worst != 'v'
	})
	return worst
}

func isVolatile(e expr.Expr) bool { return volatility(e) == 'v' }

func anyVolatile(es []expr.Expr) bool {
	for _, e := range es {
		if isVolatile(e) {
			return true
		}
	}
	return false
}

// needsHost reports whether e calls what only the session's own node can
// answer: functions and reg types that look into the catalog or the session.
func needsHost(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		switch n := n.(type) {
		case *expr.FuncExpr:
			p, ok := pgfacts.ProcByOID(n.Func)
			found = found || !ok || p.Volatile != 'i' && hostFunc(p.Name)
		case *expr.CoerceViaIO:
			found = found || isReg(n.Typ.OID) || isReg(n.Arg.Type().OID)
		}
		return !found
	})
	return found
}

func hostFunc(name string) bool {
	for _, prefix := range []string{"pg_", "has_", "to_reg", "txid_", "current_s", "inet_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "obj_description", "col_description", "shobj_description", "format_type", "version", "row_security_active",
		"regclass", "currval", "lastval":
		return true
	}
	return false
}

func isReg(t types.OID) bool {
	switch t {
	case types.RegClassOID, types.RegTypeOID, types.RegProcOID, types.RegProcedureOID, types.RegNamespaceOID, types.RegRoleOID,
		types.RegOperOID, types.RegOperatorOID, types.RegConfigOID, types.RegDictionaryOID, types.RegCollationOID:
		return true
	}
	return false
}

// mayRaiseOps are the operators that can raise an error for some operands; those
// that are not listed cannot.
var mayRaiseOps = map[string]bool{
	"/": true, "%": true, "+": true, "-": true, "*": true, "^": true, "|/": true, "||/": true, "!": true, "@": true,
	"<<": false, ">>": false, "&": false, "|": false, "#": false, "~": true, "!~": true, "~*": true, "!~*": true,
}

// mayRaise reports whether evaluating e can fail: comparisons, boolean logic,
// NULL tests, LIKE and constants cannot.
func mayRaise(e expr.Expr) bool {
	raises := false
	expr.Walk(e, func(n expr.Expr) bool {
		switch n := n.(type) {
		case *expr.OpExpr:
			r, known := mayRaiseOps[n.Name]
			raises = raises || known && r
		case *expr.FuncExpr, *expr.CoerceViaIO, *expr.ArrayCoerce, *expr.Subscript, *expr.SubqueryRef:
			raises = true
		}
		return !raises
	})
	return raises
}

// rejectsNull reports whether e cannot be true when all columns of cols are NULL:
// such a condition turns outer joins into inner ones.
func rejectsNull(e expr.Expr, isNull func(expr.ColID) bool) bool {
	switch n := e.(type) {
	case *expr.OpExpr:
		p, ok := pgfacts.ProcByOID(n.Func)
		return ok && p.Strict && anyNull(n.Args, isNull)
	case *expr.BoolExpr:
		switch n.Op {
		case expr.And:
			for _, a := range n.Args {
				if rejectsNull(a, isNull) {
					return true
				}
			}
			return false
		case expr.Or:
			for _, a := range n.Args {
				if !rejectsNull(a, isNull) {
					return false
				}
			}
			return true
		}
		return nullIfNull(n.Args[0], isNull)
	case *expr.NullTest:
		return n.Not && !n.Row && nullIfNull(n.Arg, isNull)
	case *expr.ScalarArrayOp:
		p, ok := pgfacts.ProcByOID(n.Func)
		return ok && p.Strict && !n.All && nullIfNull(n.Left, isNull)
	case *expr.ColumnRef:
		return isNull(n.ID)
	case *expr.BooleanTest:
		return (n.Test == expr.IsTrue || n.Test == expr.IsFalse || n.Test == expr.IsNotUnknown) && nullIfNull(n.Arg, isNull)
	case *expr.Const:
		return n.Value.IsNull() || n.Typ.OID == types.BoolOID && !n.Value.Bool()
	}
	return false
}

func anyNull(es []expr.Expr, isNull func(expr.ColID) bool) bool {
	for _, e := range es {
		if nullIfNull(e, isNull) {
			return true
		}
	}
	return false
}

// nullIfNull reports whether e is NULL whenever those columns are.
func nullIfNull(e expr.Expr, isNull func(expr.ColID) bool) bool {
	switch n := e.(type) {
	case *expr.ColumnRef:
		return isNull(n.ID)
	case *expr.Relabel:
		return nullIfNull(n.Arg, isNull)
	case *expr.CoerceViaIO:
		return nullIfNull(n.Arg, isNull)
	case *expr.OpExpr:
		p, ok := pgfacts.ProcByOID(n.Func)
		return ok && p.Strict && anyNull(n.Args, isNull)
	case *expr.FuncExpr:
		p, ok := pgfacts.ProcByOID(n.Func)
		return ok && p.Strict && !n.ReturnSet && anyNull(n.Args, isNull)
	case *expr.BoolExpr:
		return n.Op == expr.Not && nullIfNull(n.Args[0], isNull)
	}
	return false
}

// equality is a condition `Left = Right` between hashable values.
type equality struct {
	left, right expr.Expr
	op          *expr.OpExpr
}

// asEquality reads a condition as an equality that a hash or merge join can
// use: both sides must have the same image for equal values.
func asEquality(e expr.Expr) (equality, bool) {
	o, ok := e.(*expr.OpExpr)
	if !ok || len(o.Args) != 2 || o.Name != "=" || pgfacts.StrategyOf(o.Op) != 3 {
		return equality{}, false
	}
	if !sameEquality(o.Args[0].Type().OID, o.Args[1].Type().OID) || !pgfacts.IsHashable(o.Args[0].Type().OID) {
		return equality{}, false
	}
	return equality{o.Args[0], o.Args[1], o}, true
}

// sameEquality reports whether values of two types hash and compare alike.
func sameEquality(a, b types.OID) bool {
	if a == b {
		return true
	}
	return equalityClass(a) != 0 && equalityClass(a) == equalityClass(b)
}

func equalityClass(t types.OID) int {
	switch t {
	case types.Int2OID, types.Int4OID, types.Int8OID:
		return 1
	case types.Float4OID, types.Float8OID:
		return 2
	case types.TextOID, types.VarCharOID:
		return 3
	case types.OIDOID, types.RegClassOID, types.RegTypeOID, types.RegProcOID, types.RegNamespaceOID, types.RegRoleOID:
		return 4
	}
	return 0
}

// stripRelabel removes conversions that keep the image and the order.
func stripRelabel(e expr.Expr) expr.Expr {
	for {
		r, ok := e.(*expr.Relabel)
		if !ok {
			return e
		}
		from, to := r.Arg.Type().OID, r.Typ.OID
		if from != to && !sameEquality(from, to) {
			return e
		}
		e = r.Arg
	}
}

package expr

import (
	"strings"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Volatility says how much an expression's value may change.
type Volatility uint8

// The volatilities, from the steadiest.
const (
	Immutable Volatility = iota
	Stable
	Volatile
)

// VolatilityOf returns the volatility of e: that of its most volatile part.
// Parameters and columns count as immutable.
func VolatilityOf(e Expr) Volatility {
	v := Immutable
	Walk(e, func(n Expr) bool {
		v = max(v, nodeVolatility(n))
		return v != Volatile
	})
	return v
}

func nodeVolatility(e Expr) Volatility {
	switch n := e.(type) {
	case *FuncExpr:
		return procVolatility(n)
	case *OpExpr:
		if p, ok := pgfacts.ProcByOID(n.Func); ok && p.Volatile != 'i' {
			return Stable
		}
	case *SQLValueFunction:
		return Stable
	case *CoerceViaIO:
		if dependsOnSettings(n.Arg.Type()) || dependsOnSettings(n.Typ) || n.Typ.OID == types.TimeOID || n.Typ.OID == types.TimeTZOID {
			return Stable
		}
	case *SubqueryRef:
		return Stable
	}
	return Immutable
}

// dependsOnSettings reports whether reading or printing a type asks for settings
// such as the time zone, or for the catalog.
func dependsOnSettings(t types.Type) bool {
	switch t.OID {
	case types.DateOID, types.TimestampOID, types.TimestampTZOID, types.IntervalOID, types.MoneyOID, types.RecordOID:
		return true
	}
	info, ok := types.Lookup(t.OID)
	return !ok || t.IsArray() || types.ReprOf(t.OID) == types.Int64 && strings.HasPrefix(info.Name, "reg")
}

func procVolatility(n *FuncExpr) Volatility {
	p, ok := pgfacts.ProcByOID(n.Func)
	switch {
	case !ok:
		return Volatile
	case p.Volatile == 'v':
		return Volatile
	case p.Volatile == 's':
		return Stable
	}
	return Immutable
}

// IsConst reports whether e is a literal.
func IsConst(e Expr) bool {
	_, ok := e.(*Const)
	return ok
}

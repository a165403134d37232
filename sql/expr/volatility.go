package expr

import "github.com/pamirdb/pamir/sql/pgfacts"

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
	case *SQLValueFunction, *CoerceViaIO:
		// Input and output depend on settings such as the time zone.
		return Stable
	case *SubqueryRef:
		return Stable
	}
	return Immutable
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

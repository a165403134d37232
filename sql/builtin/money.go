package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
)

func moneyOverflow() error {
	return types.Errorf(types.CodeNumericValueOutOfRange, "money out of range")
}

func init() {
	kernel("cash_pl", wideAdd)
	kernel("cash_mi", wideSub)
	mul := func(ak, bk int) RowFunc {
		return func(c *Call) error {
			v, over := mulOverflows(c.Int(ak), c.Int(bk))
			if over {
				return moneyOverflow()
			}
			return c.RetInt(v)
		}
	}
	scale := func(ak, bk int, f func(a, b float64) float64) RowFunc {
		return func(c *Call) error {
			r := math.RoundToEven(f(float64(c.Int(ak)), c.Float(bk)))
			if math.IsNaN(r) || math.Abs(r) >= 9.2233720368547758e18 {
				return moneyOverflow()
			}
			return c.RetInt(int64(r))
		}
	}
	times := func(a, b float64) float64 { return a * b }
	for _, w := range []string{"int2", "int4", "int8"} {
		row("cash_mul_"+w, mul(0, 1))
		row(w+"_mul_cash", mul(1, 0))
		row("cash_div_"+w, intDiv(rangeInt8))
	}
	for _, w := range []string{"flt4", "flt8"} {
		row("cash_mul_"+w, scale(0, 1, times))
		row(w+"_mul_cash", scale(1, 0, times))
		row("cash_div_"+w, func(c *Call) error {
			if c.Float(1) == 0 {
				return types.ErrDivisionByZero()
			}
			return scale(0, 1, func(a, b float64) float64 { return a / b })(c)
		})
	}
	rows(map[string]RowFunc{
		"cash_div_cash": func(c *Call) error {
			if c.Int(1) == 0 {
				return types.ErrDivisionByZero()
			}
			return c.RetFloat(float64(c.Int(0)) / float64(c.Int(1)))
		},
		"int4_cash": cents, "int8_cash": cents,
		"cash_numeric": func(c *Call) error { return c.RetNum(types.Numeric{Coef: c.Int(0), Scale: 2}) },
		"numeric_cash": func(c *Call) error {
			if c.Num(0).IsSpecial() {
				return numericInt(c, c.Num(0), rangeInt8)
			}
			return numericInt(c, c.Num(0).Shift(2), rangeInt8)
		},
		"text_regclass": func(c *Call) error {
			d, err := types.ParseText(types.RegClassType, c.Str(0), c.Ctx.Set())
			if err != nil {
				return err
			}
			return c.Ret(d)
		},
	})
}

func cents(c *Call) error {
	v, over := mulOverflows(c.Int(0), 100)
	if over {
		return rangeInt8.overflow()
	}
	return c.RetInt(v)
}

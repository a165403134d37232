package builtin

import (
	"math/big"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	kernel("numeric_add", numericAddSub(false))
	kernel("numeric_sub", numericAddSub(true))
	kernel("numeric_mul", numericMul)
	rows(map[string]RowFunc{
		"numeric_div":       num2(types.Numeric.Div),
		"numeric_div_trunc": num2(types.Numeric.DivTrunc),
		"numeric_mod":       num2(types.Numeric.Mod),
		"numeric_power":     num2(types.NumericPower),
		"numeric_log":       num2(types.NumericLog),
		"numeric_gcd":       num2(numericGCD),
		"numeric_lcm":       num2(numericLCM),
		"numeric_sqrt":      num1e(types.NumericSqrt),
		"numeric_exp":       num1e(types.NumericExp),
		"numeric_ln":        num1e(types.NumericLn),
		"numeric_abs":       num1(types.Numeric.Abs),
		"numeric_uminus":    num1(types.Numeric.Neg),
		"numeric_uplus":     num1(func(n types.Numeric) types.Numeric { return n }),
		"numeric_ceil":      num1(types.Numeric.Ceil),
		"numeric_floor":     num1(types.Numeric.Floor),
		"numeric_inc":       num1(func(n types.Numeric) types.Numeric { return n.Add(types.NumericFromInt(1)) }),
		"numeric_sign":      num1(numericSign),
		"numeric_trim_scale": num1(func(n types.Numeric) types.Numeric {
			if n.IsSpecial() {
				return n
			}
			return n.Reduce()
		}),
		"numeric_round": func(c *Call) error { return c.RetNum(c.Num(0).Round(int(c.Int(1)))) },
		"numeric_trunc": func(c *Call) error { return c.RetNum(c.Num(0).Trunc(int(c.Int(1)))) },
		"numeric": func(c *Call) error {
			n, err := types.ApplyNumericMod(c.Num(0), int32(c.Int(1)))
			if err != nil {
				return err
			}
			return c.RetNum(n)
		},
		"numeric_scale":     numericScale(func(n types.Numeric) int64 { return int64(n.Scale) }),
		"numeric_min_scale": numericScale(func(n types.Numeric) int64 { return int64(n.Reduce().Scale) }),
		"numeric_fac":       numericFac,
		"sql:log(numeric)": num1e(func(n types.Numeric) (types.Numeric, error) {
			return types.NumericLog(types.NumericFromInt(10), n)
		}),
		"sql:log10(numeric)": num1e(func(n types.Numeric) (types.Numeric, error) {
			return types.NumericLog(types.NumericFromInt(10), n)
		}),
		"sql:round(numeric)":   num1(func(n types.Numeric) types.Numeric { return n.Round(0) }),
		"sql:trunc(numeric)":   num1(func(n types.Numeric) types.Numeric { return n.Trunc(0) }),
		"width_bucket_numeric": widthBucketNumeric,
	})
}

func num1(f func(types.Numeric) types.Numeric) RowFunc {
	return func(c *Call) error { return c.RetNum(f(c.Num(0))) }
}

func num1e(f func(types.Numeric) (types.Numeric, error)) RowFunc {
	return func(c *Call) error {
		n, err := f(c.Num(0))
		if err != nil {
			return err
		}
		return c.RetNum(n)
	}
}

func num2(f func(a, b types.Numeric) (types.Numeric, error)) RowFunc {
	return func(c *Call) error {
		n, err := f(c.Num(0), c.Num(1))
		if err != nil {
			return err
		}
		return c.RetNum(n)
	}
}

// numericAddSub adds vectors of coefficients while scales agree and nothing
// overflows, which is the rule for columns of one declared type.
func numericAddSub(sub bool) Kernel {
	return func(c *Call) error {
		va, vb, out := c.Args[0], c.Args[1], c.Out
		a, am := lanes(va)
		b, bm := lanes(vb)
		small := va.Bigs == nil && vb.Bigs == nil
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			if sa := va.Scales[i&am]; small && sa == vb.Scales[i&bm] && sa >= 0 {
				x, y := a[i&am], b[i&bm]
				if sub {
					s := x - y
					if (x^y)&(x^s) >= 0 {
						out.Ints[i], out.Scales[i] = s, sa
						continue
					}
				} else if s := x + y; (x^s)&(y^s) >= 0 {
					out.Ints[i], out.Scales[i] = s, sa
					continue
				}
			}
			if sub {
				out.SetNumeric(i, va.Numeric(i).Sub(vb.Numeric(i)))
			} else {
				out.SetNumeric(i, va.Numeric(i).Add(vb.Numeric(i)))
			}
		}
		return nil
	}
}

func numericMul(c *Call) error {
	va, vb, out := c.Args[0], c.Args[1], c.Out
	a, am := lanes(va)
	b, bm := lanes(vb)
	small := va.Bigs == nil && vb.Bigs == nil
	for k, n := 0, c.len(); k < n; k++ {
		i := c.pos(k)
		sa, sb := va.Scales[i&am], vb.Scales[i&bm]
		if small && sa|sb >= 0 && int(sa)+int(sb) < 1000 {
			if p, over := mulOverflows(a[i&am], b[i&bm]); !over {
				out.Ints[i], out.Scales[i] = p, sa+sb
				continue
			}
		}
		out.SetNumeric(i, va.Numeric(i).Mul(vb.Numeric(i)))
	}
	return nil
}

func numericSign(n types.Numeric) types.Numeric {
	if n.IsNaN() {
		return n
	}
	return types.NumericFromInt(int64(n.Sign()))
}

func numericScale(f func(types.Numeric) int64) RowFunc {
	return func(c *Call) error {
		if c.Num(0).IsSpecial() {
			return c.RetNull()
		}
		return c.RetInt(f(c.Num(0)))
	}
}

func numericFac(c *Call) error {
	n := c.Int(0)
	if n < 0 {
		return types.Errorf(types.CodeNumericValueOutOfRange, "factorial of a negative number is undefined")
	}
	if n > 32177 {
		return types.ErrNumericOverflow()
	}
	return c.RetNum(types.NumericFromBig(new(big.Int).MulRange(1, max(n, 1)), 0))
}

func numericGCD(a, b types.Numeric) (types.Numeric, error) {
	if a.IsSpecial() || b.IsSpecial() {
		return types.NumericNaN, nil
	}
	scale := max(a.Scale, b.Scale)
	for b.Sign() != 0 {
		r, err := a.Mod(b)
		if err != nil {
			return a, err
		}
		a, b = b, r
	}
	return a.Abs().Round(int(scale)), nil
}

func numericLCM(a, b types.Numeric) (types.Numeric, error) {
	if a.IsSpecial() || b.IsSpecial() {
		return types.NumericNaN, nil
	}
	scale := int(max(a.Scale, b.Scale))
	if a.Sign() == 0 || b.Sign() == 0 {
		return types.NumericFromInt(0).Round(scale), nil
	}
	g, err := numericGCD(a, b)
	if err != nil {
		return g, err
	}
	q, err := a.DivTrunc(g)
	if err != nil {
		return q, err
	}
	return q.Mul(b).Abs().Round(scale), nil
}

func widthBucketNumeric(c *Call) error {
	x, lo, hi, n := c.Num(0), c.Num(1), c.Num(2), c.Int(3)
	if n <= 0 {
		return types.Errorf(types.CodeInvalidWidthBucketArgument, "count must be greater than zero")
	}
	if x.IsNaN() || lo.IsNaN() || hi.IsNaN() {
		return types.Errorf(types.CodeInvalidWidthBucketArgument, "operand, lower bound, and upper bound cannot be NaN")
	}
	if lo.IsSpecial() || hi.IsSpecial() {
		return types.Errorf(types.CodeInvalidWidthBucketArgument, "lower and upper bounds must be finite")
	}
	dir := lo.Cmp(hi)
	if dir == 0 {
		return types.Errorf(types.CodeInvalidWidthBucketArgument, "lower bound cannot equal upper bound")
	}
	if dir > 0 {
		x, lo, hi = x.Neg(), lo.Neg(), hi.Neg()
	}
	switch {
	case x.Cmp(lo) < 0:
		return c.RetInt(0)
	case x.Cmp(hi) >= 0:
		return c.RetInt(n + 1)
	}
	q, err := x.Sub(lo).Mul(types.NumericFromInt(n)).DivTrunc(hi.Sub(lo))
	if err != nil {
		return err
	}
	return c.RetInt(q.Coef + 1)
}

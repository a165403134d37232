package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
)

var (
	errFloatOverflow  = types.Errorf(types.CodeNumericValueOutOfRange, "value out of range: overflow")
	errFloatUnderflow = types.Errorf(types.CodeNumericValueOutOfRange, "value out of range: underflow")
)

func init() {
	for _, w := range []struct {
		name   string
		single bool
	}{{"float4", true}, {"float8", false}, {"float48", false}, {"float84", false}} {
		kernel(w.name+"pl", floatArith('+', w.single))
		kernel(w.name+"mi", floatArith('-', w.single))
		kernel(w.name+"mul", floatArith('*', w.single))
		kernel(w.name+"div", floatArith('/', w.single))
	}
	for _, n := range []string{"float4", "float8"} {
		row(n+"um", func(c *Call) error { return c.RetFloat(-c.Float(0)) })
		row(n+"up", func(c *Call) error { return c.RetFloat(c.Float(0)) })
		row(n+"abs", func(c *Call) error { return c.RetFloat(math.Abs(c.Float(0))) })
	}
	registerFloatMath()
	registerTrig()
}

// floatArith computes with IEEE numbers and rejects results that became
// infinite, or zero, out of finite and non-zero operands.
func floatArith(op byte, single bool) Kernel {
	return perRow(func(c *Call) error {
		a, b := c.Float(0), c.Float(1)
		var r float64
		switch op {
		case '+':
			r = a + b
		case '-':
			r = a - b
		case '*':
			r = a * b
		default:
			if b == 0 && !math.IsNaN(a) {
				return types.ErrDivisionByZero()
			}
			r = a / b
		}
		if single {
			r = float64(float32(r))
		}
		if math.IsInf(r, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
			return errFloatOverflow
		}
		if r == 0 && (op == '*' && a != 0 && b != 0 || op == '/' && a != 0 && !math.IsInf(b, 0)) {
			return errFloatUnderflow
		}
		return c.RetFloat(r)
	})
}

func float1(f func(float64) float64) RowFunc {
	return func(c *Call) error { return c.RetFloat(f(c.Float(0))) }
}

// floatChecked also rejects an overflow or underflow of a finite argument.
func floatChecked(f func(float64) float64) RowFunc {
	return func(c *Call) error {
		a := c.Float(0)
		r := f(a)
		if math.IsInf(r, 0) && !math.IsInf(a, 0) {
			return errFloatOverflow
		}
		return c.RetFloat(r)
	}
}

func inputOutOfRange() error {
	return types.Errorf(types.CodeNumericValueOutOfRange, "input is out of range")
}

func registerFloatMath() {
	rows(map[string]RowFunc{
		"dceil":  float1(math.Ceil),
		"dfloor": float1(math.Floor),
		"dround": float1(math.RoundToEven),
		"dtrunc": float1(math.Trunc),
		"dcbrt":  float1(math.Cbrt),
		"dsign": float1(func(f float64) float64 {
			switch {
			case f > 0:
				return 1
			case f < 0:
				return -1
			}
			return 0
		}),
		"dpi": func(c *Call) error { return c.RetFloat(math.Pi) },
		"dsqrt": func(c *Call) error {
			if c.Float(0) < 0 {
				return types.Errorf(types.CodeInvalidPowerArgument, "cannot take square root of a negative number")
			}
			return c.RetFloat(math.Sqrt(c.Float(0)))
		},
		"dexp": func(c *Call) error {
			a := c.Float(0)
			r := math.Exp(a)
			switch {
			case math.IsInf(r, 0) && !math.IsInf(a, 0):
				return errFloatOverflow
			case r == 0 && !math.IsInf(a, 0):
				return errFloatUnderflow
			}
			return c.RetFloat(r)
		},
		"dlog1":   floatLog(math.Log),
		"dlog10":  floatLog(math.Log10),
		"dpow":    floatPow,
		"degrees": floatChecked(func(f float64) float64 { return f / (math.Pi / 180) }),
		"radians": float1(func(f float64) float64 { return f * (math.Pi / 180) }),
		"drandom": func(c *Call) error { return c.RetFloat(randomFloat()) },
		"setseed": func(c *Call) error {
			f := c.Float(0)
			if f < -1 || f > 1 || math.IsNaN(f) {
				return types.Errorf(types.CodeInvalidParameterValue, "setseed parameter %v is out of allowed range [-1,1]", f)
			}
			seedRandom(f)
			return c.RetStr("")
		},
		"width_bucket_float8": widthBucketFloat,
	})
}

func floatLog(f func(float64) float64) RowFunc {
	return func(c *Call) error {
		switch a := c.Float(0); {
		case a == 0:
			return types.Errorf(types.CodeInvalidLogArgument, "cannot take logarithm of zero")
		case a < 0:
			return types.Errorf(types.CodeInvalidLogArgument, "cannot take logarithm of a negative number")
		}
		return c.RetFloat(f(c.Float(0)))
	}
}

func floatPow(c *Call) error {
	a, b := c.Float(0), c.Float(1)
	switch {
	case a == 0 && b < 0:
		return types.Errorf(types.CodeInvalidPowerArgument, "zero raised to a negative power is undefined")
	case a < 0 && !math.IsInf(a, 0) && math.Floor(b) != b:
		return types.Errorf(types.CodeInvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
	}
	r := math.Pow(a, b)
	if !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		if math.IsInf(r, 0) {
			return errFloatOverflow
		}
		if r == 0 && a != 0 {
			return errFloatUnderflow
		}
	}
	return c.RetFloat(r)
}

func widthBucketFloat(c *Call) error {
	x, lo, hi, n := c.Float(0), c.Float(1), c.Float(2), c.Int(3)
	bad := func(m string) error { return types.Errorf(types.CodeInvalidWidthBucketArgument, "%s", m) }
	switch {
	case n <= 0:
		return bad("count must be greater than zero")
	case math.IsNaN(x) || math.IsNaN(lo) || math.IsNaN(hi):
		return bad("operand, lower bound, and upper bound cannot be NaN")
	case math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return bad("lower and upper bounds must be finite")
	case lo == hi:
		return bad("lower bound cannot equal upper bound")
	}
	if lo > hi {
		x, lo, hi = -x, -lo, -hi
	}
	switch {
	case x < lo:
		return c.RetInt(0)
	case x >= hi:
		return c.RetInt(n + 1)
	}
	return c.RetInt(min(int64(float64(n)*((x-lo)/(hi-lo))), n-1) + 1)
}

func registerTrig() {
	domain := func(f func(float64) float64, ok func(float64) bool) RowFunc {
		return func(c *Call) error {
			a := c.Float(0)
			if !math.IsNaN(a) && !ok(a) {
				return inputOutOfRange()
			}
			return c.RetFloat(f(a))
		}
	}
	finite := func(a float64) bool { return !math.IsInf(a, 0) }
	unit := func(a float64) bool { return a >= -1 && a <= 1 }
	rows(map[string]RowFunc{
		"dsin": domain(math.Sin, finite), "dcos": domain(math.Cos, finite), "dtan": domain(math.Tan, finite),
		"dcot":  domain(func(a float64) float64 { return 1 / math.Tan(a) }, finite),
		"dasin": domain(math.Asin, unit), "dacos": domain(math.Acos, unit), "datan": float1(math.Atan),
		"datan2":  func(c *Call) error { return c.RetFloat(math.Atan2(c.Float(0), c.Float(1))) },
		"datan2d": func(c *Call) error { return c.RetFloat(math.Atan2(c.Float(0), c.Float(1)) / math.Atan(1) * 45) },
		"dsinh":   float1(math.Sinh), "dcosh": float1(math.Cosh), "dtanh": float1(math.Tanh), "dasinh": float1(math.Asinh),
		"dacosh": domain(math.Acosh, func(a float64) bool { return a >= 1 }),
		"datanh": domain(math.Atanh, unit),
		"dasind": domain(asinDegrees, unit), "dacosd": domain(acosDegrees, unit),
		"datand": float1(func(a float64) float64 { return math.Atan(a) / math.Atan(1) * 45 }),
		"dsind":  domain(sinDegrees, finite),
		"dcosd":  domain(cosDegrees, finite),
		"dtand":  domain(func(a float64) float64 { return sinDegrees(a) / cosDegrees(a) }, finite),
		"dcotd":  domain(func(a float64) float64 { return cosDegrees(a) / sinDegrees(a) }, finite),
	})
}

func cosDegrees(a float64) float64 { return sinDegrees(math.Mod(a, 360) + 90) }

// sinDegrees is exact at the multiples of 30 degrees.
func sinDegrees(a float64) float64 {
	if a = math.Mod(a, 360); math.Abs(a) < 1e-10 {
		return a * (math.Pi / 180)
	}
	if a < 0 {
		a += 360
	}
	sign := 1.0
	if a >= 180 {
		a, sign = a-180, -1
	}
	if a > 90 {
		a = 180 - a
	}
	switch a {
	case 0:
		return 0
	case 30:
		return sign * 0.5
	case 90:
		return sign
	}
	return sign * math.Sin(a*(math.Pi/180))
}

// asinDegrees is exact where the answer is a multiple of thirty degrees.
func asinDegrees(a float64) float64 {
	switch {
	case a < 0:
		return -asinDegrees(-a)
	case a <= 0.5:
		return math.Asin(a) / math.Asin(0.5) * 30
	}
	return 90 - math.Acos(a)/math.Acos(0.5)*60
}

func acosDegrees(a float64) float64 {
	switch {
	case a < 0:
		return 90 + asinDegrees(-a)
	case a <= 0.5:
		return 90 - math.Asin(a)/math.Asin(0.5)*30
	}
	return math.Acos(a) / math.Acos(0.5) * 60
}

package builtin

import (
	"math"
	"math/bits"

	"github.com/pamirdb/pamir/sql/types"
)

// intRange is the range of an integer type.
type intRange struct {
	name     string
	min, max int64
}

var (
	rangeInt2 = intRange{"smallint", math.MinInt16, math.MaxInt16}
	rangeInt4 = intRange{"integer", math.MinInt32, math.MaxInt32}
	rangeInt8 = intRange{"bigint", math.MinInt64, math.MaxInt64}
)

func (r intRange) overflow() error {
	return types.Errorf(types.CodeNumericValueOutOfRange, "%s out of range", r.name)
}

func init() {
	for name, r := range map[string]intRange{"int2": rangeInt2, "int4": rangeInt4, "int24": rangeInt4, "int42": rangeInt4} {
		kernel(name+"pl", narrowArith(r, '+'))
		kernel(name+"mi", narrowArith(r, '-'))
		kernel(name+"mul", narrowArith(r, '*'))
		row(name+"div", intDiv(r))
	}
	for _, name := range []string{"int8", "int28", "int82", "int48", "int84"} {
		kernel(name+"pl", wideAdd)
		kernel(name+"mi", wideSub)
		kernel(name+"mul", wideMul)
		row(name+"div", intDiv(rangeInt8))
	}
	for name, r := range map[string]intRange{"int2": rangeInt2, "int4": rangeInt4, "int8": rangeInt8} {
		registerIntFuncs(name, r)
	}
	row("int8inc", func(c *Call) error { return addTo(c, c.Int(0), 1, rangeInt8) })
	row("int8dec", func(c *Call) error { return addTo(c, c.Int(0), -1, rangeInt8) })
	row("int4inc", func(c *Call) error { return addTo(c, c.Int(0), 1, rangeInt4) })
}

func addTo(c *Call, a, b int64, r intRange) error {
	s, over := addOverflows(a, b)
	if over || s < r.min || s > r.max {
		return r.overflow()
	}
	return c.RetInt(s)
}

func addOverflows(a, b int64) (int64, bool) {
	s := a + b
	return s, (a^s)&(b^s) < 0
}

func mulOverflows(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	// Mul64 is unsigned: correct the high half for negative factors.
	h := int64(hi) - (a>>63)&b - (b>>63)&a
	return int64(lo), h != int64(lo)>>63
}

// narrowArith adds, subtracts or multiplies integers of at most 32 bits, whose
// results fit 64: one check of the range is enough.
func narrowArith(r intRange, op byte) Kernel {
	return func(c *Call) error {
		a, am := lanes(c.Args[0])
		b, bm := lanes(c.Args[1])
		out := c.Out.Ints
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			var s int64
			switch op {
			case '+':
				s = a[i&am] + b[i&bm]
			case '-':
				s = a[i&am] - b[i&bm]
			default:
				s = a[i&am] * b[i&bm]
			}
			if s < r.min || s > r.max {
				c.Row = i
				return r.overflow()
			}
			out[i] = s
		}
		return nil
	}
}

func wideAdd(c *Call) error {
	a, am := lanes(c.Args[0])
	b, bm := lanes(c.Args[1])
	out := c.Out.Ints
	for k, n := 0, c.len(); k < n; k++ {
		i := c.pos(k)
		x, y := a[i&am], b[i&bm]
		s := x + y
		if (x^s)&(y^s) < 0 {
			c.Row = i
			return rangeInt8.overflow()
		}
		out[i] = s
	}
	return nil
}

func wideSub(c *Call) error {
	a, am := lanes(c.Args[0])
	b, bm := lanes(c.Args[1])
	out := c.Out.Ints
	for k, n := 0, c.len(); k < n; k++ {
		i := c.pos(k)
		x, y := a[i&am], b[i&bm]
		s := x - y
		if (x^y)&(x^s) < 0 {
			c.Row = i
			return rangeInt8.overflow()
		}
		out[i] = s
	}
	return nil
}

func wideMul(c *Call) error {
	a, am := lanes(c.Args[0])
	b, bm := lanes(c.Args[1])
	out := c.Out.Ints
	for k, n := 0, c.len(); k < n; k++ {
		i := c.pos(k)
		s, over := mulOverflows(a[i&am], b[i&bm])
		if over {
			c.Row = i
			return rangeInt8.overflow()
		}
		out[i] = s
	}
	return nil
}

func intDiv(r intRange) RowFunc {
	return func(c *Call) error {
		a, b := c.Int(0), c.Int(1)
		if b == 0 {
			return types.ErrDivisionByZero()
		}
		if b == -1 && a == r.min {
			return r.overflow()
		}
		return c.RetInt(a / b)
	}
}

func registerIntFuncs(name string, r intRange) {
	row(name+"mod", func(c *Call) error {
		a, b := c.Int(0), c.Int(1)
		switch b {
		case 0:
			return types.ErrDivisionByZero()
		case -1:
			return c.RetInt(0)
		}
		return c.RetInt(a % b)
	})
	row(name+"abs", func(c *Call) error {
		a := c.Int(0)
		if a == r.min {
			return r.overflow()
		}
		return c.RetInt(max(a, -a))
	})
	row(name+"um", func(c *Call) error {
		if c.Int(0) == r.min {
			return r.overflow()
		}
		return c.RetInt(-c.Int(0))
	})
	row(name+"up", func(c *Call) error { return c.RetInt(c.Int(0)) })
	row(name+"and", func(c *Call) error { return c.RetInt(c.Int(0) & c.Int(1)) })
	row(name+"or", func(c *Call) error { return c.RetInt(c.Int(0) | c.Int(1)) })
	row(name+"xor", func(c *Call) error { return c.RetInt(c.Int(0) ^ c.Int(1)) })
	row(name+"not", func(c *Call) error { return c.RetInt(^c.Int(0)) })
	width := uint(bits.Len64(uint64(r.max)) + 1)
	row(name+"shl", func(c *Call) error { return c.RetInt(signExtend(c.Int(0)<<shiftBy(c.Int(1), width), width)) })
	row(name+"shr", func(c *Call) error { return c.RetInt(c.Int(0) >> shiftBy(c.Int(1), width)) })
	row(name+"gcd", func(c *Call) error {
		g := gcd(c.Int(0), c.Int(1))
		if g < 0 || g > r.max {
			return r.overflow()
		}
		return c.RetInt(g)
	})
	row(name+"lcm", func(c *Call) error {
		a, b := c.Int(0), c.Int(1)
		if a == 0 || b == 0 {
			return c.RetInt(0)
		}
		l, over := mulOverflows(a/gcd(a, b), b)
		if over || l == math.MinInt64 {
			return r.overflow()
		}
		if l = max(l, -l); l > r.max {
			return r.overflow()
		}
		return c.RetInt(l)
	})
}

// shiftBy is the distance the processor shifts by: int2 is shifted as int4.
func shiftBy(n int64, width uint) uint {
	return uint(n) & (max(width, 32) - 1)
}

func signExtend(v int64, width uint) int64 {
	return v << (64 - width) >> (64 - width)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		if b == -1 {
			a, b = 1, 0
			break
		}
		a, b = b, a%b
	}
	if a < 0 {
		return -a
	}
	return a
}

package builtin

import "github.com/pamirdb/pamir/sql/vec"

// cmpOp is a comparison.
type cmpOp uint8

const (
	opEq cmpOp = iota
	opNe
	opLt
	opLe
	opGt
	opGe
)

// holds reports whether the comparison is true of a three-way result.
func (op cmpOp) holds(c int) bool {
	switch op {
	case opEq:
		return c == 0
	case opNe:
		return c != 0
	case opLt:
		return c < 0
	case opLe:
		return c <= 0
	case opGt:
		return c > 0
	case opGe:
		return c >= 0
	}
	return false
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// lanes returns the slice of a vector and the mask that maps every position of
// a constant to its only value.
func lanes(v *vec.Vector) ([]int64, int) {
	if v.Const {
		return v.Ints, 0
	}
	return v.Ints, -1
}

// compareInts is the kernel of every comparison of two Int64 values.
func compareInts(op cmpOp) Kernel {
	return func(c *Call) error {
		a, am := lanes(c.Args[0])
		b, bm := lanes(c.Args[1])
		if c.Sel != nil {
			compareIntsSel(op, a, b, am, bm, c.Out.Ints, c.Sel)
			return nil
		}
		compareIntsAll(op, a, b, am, bm, c.Out.Ints, c.N)
		return nil
	}
}

func compareIntsAll(op cmpOp, a, b []int64, am, bm int, out []int64, n int) {
	out = out[:n]
	switch op {
	case opEq:
		for i := range out {
			out[i] = b2i(a[i&am] == b[i&bm])
		}
	case opNe:
		for i := range out {
			out[i] = b2i(a[i&am] != b[i&bm])
		}
	case opLt:
		for i := range out {
			out[i] = b2i(a[i&am] < b[i&bm])
		}
	case opLe:
		for i := range out {
			out[i] = b2i(a[i&am] <= b[i&bm])
		}
	case opGt:
		for i := range out {
			out[i] = b2i(a[i&am] > b[i&bm])
		}
	case opGe:
		for i := range out {
			out[i] = b2i(a[i&am] >= b[i&bm])
		}
	}
}

func compareIntsSel(op cmpOp, a, b []int64, am, bm int, out []int64, sel []int32) {
	switch op {
	case opEq:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] == b[int(p)&bm])
		}
	case opNe:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] != b[int(p)&bm])
		}
	case opLt:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] < b[int(p)&bm])
		}
	case opLe:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] <= b[int(p)&bm])
		}
	case opGt:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] > b[int(p)&bm])
		}
	case opGe:
		for _, p := range sel {
			out[p] = b2i(a[int(p)&am] >= b[int(p)&bm])
		}
	}
}

// narrowInts appends the selected positions for which the comparison holds.
func narrowInts(op cmpOp) func(*Call, []int32) []int32 {
	return func(c *Call, dst []int32) []int32 {
		a, am := lanes(c.Args[0])
		b, bm := lanes(c.Args[1])
		if c.Sel == nil {
			return narrowIntsAll(op, a, b, am, bm, dst, c.N)
		}
		return narrowIntsSel(op, a, b, am, bm, dst, c.Sel)
	}
}

// The position is written first and kept only if the comparison holds, which
// spares the branch that a selective filter would mispredict.

func narrowIntsAll(op cmpOp, a, b []int64, am, bm int, dst []int32, n int) []int32 {
	dst, k := dst[:n], 0
	switch op {
	case opEq:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] == b[i&bm]))
		}
	case opNe:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] != b[i&bm]))
		}
	case opLt:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] < b[i&bm]))
		}
	case opLe:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] <= b[i&bm]))
		}
	case opGt:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] > b[i&bm]))
		}
	case opGe:
		for i := 0; i < n; i++ {
			dst[k] = int32(i)
			k += int(b2i(a[i&am] >= b[i&bm]))
		}
	}
	return dst[:k]
}

func narrowIntsSel(op cmpOp, a, b []int64, am, bm int, dst []int32, sel []int32) []int32 {
	dst, k := dst[:len(sel)], 0
	switch op {
	case opEq:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] == b[int(p)&bm]))
		}
	case opNe:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] != b[int(p)&bm]))
		}
	case opLt:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] < b[int(p)&bm]))
		}
	case opLe:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] <= b[int(p)&bm]))
		}
	case opGt:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] > b[int(p)&bm]))
		}
	case opGe:
		for _, p := range sel {
			dst[k] = p
			k += int(b2i(a[int(p)&am] >= b[int(p)&bm]))
		}
	}
	return dst[:k]
}

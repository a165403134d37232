package builtin

import (
	"bytes"
	"math/bits"
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// bitText returns a bit string as zeros and ones, the form its functions are
// written in: none of them is hot.
func bitText(b []byte) string { return string(types.AppendTextBytes(nil, types.VarBitOID, b, nil)) }

func retBits(c *Call, s string) error {
	d, err := types.ParseText(types.Of(types.VarBitOID), s, nil)
	if err != nil {
		return err
	}
	return c.Ret(d)
}

func init() {
	logic := func(name string, f func(a, b byte) byte) RowFunc {
		return func(c *Call) error {
			a, b := c.Bytes(0), c.Bytes(1)
			if !bytes.Equal(a[:4], b[:4]) {
				return types.Errorf(types.CodeStringDataLengthMismatch, "cannot %s bit strings of different sizes", name)
			}
			out := append([]byte(nil), a...)
			for i := 4; i < len(out); i++ {
				out[i] = f(a[i], b[i])
			}
			return c.RetBytes(out)
		}
	}
	rows(map[string]RowFunc{
		"bit_and": logic("AND", func(a, b byte) byte { return a & b }),
		"bit_or":  logic("OR", func(a, b byte) byte { return a | b }),
		"bitxor":  logic("XOR", func(a, b byte) byte { return a ^ b }),
		"bitnot": func(c *Call) error {
			return retBits(c, strings.Map(func(r rune) rune { return r ^ 1 }, bitText(c.Bytes(0))))
		},
		"bitcat":           func(c *Call) error { return retBits(c, bitText(c.Bytes(0))+bitText(c.Bytes(1))) },
		"bitlength":        func(c *Call) error { return c.RetInt(int64(len(bitText(c.Bytes(0))))) },
		"bitoctetlength":   func(c *Call) error { return c.RetInt(int64(len(c.Bytes(0))) - 4) },
		"bitshiftleft":     func(c *Call) error { return shiftBits(c, c.Int(1)) },
		"bitshiftright":    func(c *Call) error { return shiftBits(c, -c.Int(1)) },
		"bitsubstr":        func(c *Call) error { return bitSubstr(c, c.Int(2), true) },
		"bitsubstr_no_len": func(c *Call) error { return bitSubstr(c, 0, false) },
		"bitposition": func(c *Call) error {
			s := bitText(c.Bytes(0))
			if s == "" {
				return c.RetInt(0)
			}
			return c.RetInt(int64(strings.Index(s, bitText(c.Bytes(1))) + 1))
		},
		"bitfromint4": func(c *Call) error { return bitsFromInt(c, 32) },
		"bitfromint8": func(c *Call) error { return bitsFromInt(c, 64) },
		"bittoint4":   func(c *Call) error { return bitsToInt(c, rangeInt4, 32) },
		"bittoint8":   func(c *Call) error { return bitsToInt(c, rangeInt8, 64) },
		"bitgetbit": func(c *Call) error {
			s, i := bitText(c.Bytes(0)), c.Int(1)
			if i < 0 || i >= int64(len(s)) {
				return types.Errorf(types.CodeArraySubscriptError, "bit index %d out of valid range (0..%d)", i, len(s)-1)
			}
			return c.RetInt(int64(s[i] - '0'))
		},
		"bitsetbit": func(c *Call) error {
			s, i := []byte(bitText(c.Bytes(0))), c.Int(1)
			if i < 0 || i >= int64(len(s)) {
				return types.Errorf(types.CodeArraySubscriptError, "bit index %d out of valid range (0..%d)", i, len(s)-1)
			}
			if c.Int(2) != 0 && c.Int(2) != 1 {
				return types.Errorf(types.CodeInvalidParameterValue, "new bit must be 0 or 1")
			}
			s[i] = byte('0' + c.Int(2))
			return retBits(c, string(s))
		},
		"bit_bit_count": func(c *Call) error {
			n := 0
			for _, b := range c.Bytes(0)[4:] {
				n += bits.OnesCount8(b)
			}
			return c.RetInt(int64(n))
		},
		"sql:bit_length(bit)": func(c *Call) error { return c.RetInt(int64(len(bitText(c.Bytes(0))))) },
		"bitoverlay":          func(c *Call) error { return bitOverlay(c, c.Int(3)) },
		"bitoverlay_no_len":   func(c *Call) error { return bitOverlay(c, int64(len(bitText(c.Bytes(1))))) },
	})
}

// shiftBits shifts left, or right by a negative distance; the length stays.
func shiftBits(c *Call, n int64) error {
	s := bitText(c.Bytes(0))
	l := int64(len(s))
	k := int(min(max(n, -l), l))
	if k >= 0 {
		return retBits(c, s[k:]+strings.Repeat("0", k))
	}
	return retBits(c, strings.Repeat("0", -k)+s[:int(l)+k])
}

func bitSubstr(c *Call, n int64, hasLen bool) error {
	from, count, err := substrBounds(c.Int(1), n, hasLen)
	if err != nil {
		return err
	}
	s := bitText(c.Bytes(0))
	lo, hi := min(from-1, int64(len(s))), int64(len(s))
	if count >= 0 {
		hi = min(lo+count, hi)
	}
	return retBits(c, s[lo:hi])
}

func bitOverlay(c *Call, n int64) error {
	s, start := bitText(c.Bytes(0)), c.Int(2)
	if start <= 0 {
		return types.Errorf(types.CodeSubstringError, "negative substring length not allowed")
	}
	lo := min(start-1, int64(len(s)))
	hi := min(max(start-1+n, 0), int64(len(s)))
	return retBits(c, s[:lo]+bitText(c.Bytes(1))+s[hi:])
}

// bitsFromInt takes the lowest bits, or extends the sign to the left.
func bitsFromInt(c *Call, width int) error {
	v, want := c.Int(0), int(c.Int(1))
	if want <= 0 {
		want = 1
	}
	if want > types.MaxBits {
		return types.Errorf(types.CodeInvalidParameterValue, "length for type bit cannot exceed %d", types.MaxBits)
	}
	var b strings.Builder
	for i := want - 1; i >= 0; i-- {
		b.WriteByte(byte('0' + v>>min(i, width-1)&1))
	}
	return retBits(c, b.String())
}

func bitsToInt(c *Call, r intRange, width int) error {
	s := bitText(c.Bytes(0))
	if len(s) > width {
		return r.overflow()
	}
	v := uint64(0)
	for i := 0; i < len(s); i++ {
		v = v<<1 | uint64(s[i]-'0')
	}
	return c.RetInt(signExtend(int64(v), uint(width)))
}

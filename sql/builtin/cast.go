package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	widen := func(c *Call) error {
		if types.IsUnsigned32(c.Info.Ret.OID) {
			return widenTo32(c)
		}
		return c.RetInt(c.Int(0))
	}
	narrow := func(r intRange) RowFunc {
		return func(c *Call) error {
			v := c.Int(0)
			if v < r.min || v > r.max {
				return r.overflow()
			}
			return c.RetInt(v)
		}
	}
	toFloat := func(c *Call) error { return c.RetFloat(float64(c.Int(0))) }
	toFloat4 := func(c *Call) error { return c.RetFloat(float64(float32(c.Int(0)))) }
	rows(map[string]RowFunc{
		"i2toi4": widen, "int28": widen, "int48": widen, "oidtoi8": widen, "bool_int4": widen, "xid8toxid": widenTo32,
		"i4toi2": narrow(rangeInt2), "int82": narrow(rangeInt2), "int84": narrow(rangeInt4),
		"i8tooid": func(c *Call) error {
			if v := c.Int(0); v < 0 || v > math.MaxUint32 {
				return types.Errorf(types.CodeNumericValueOutOfRange, "OID out of range")
			}
			return c.RetInt(c.Int(0))
		},
		"int4_bool": func(c *Call) error { return c.RetBool(c.Int(0) != 0) },
		"i2tod":     toFloat, "i4tod": toFloat, "i8tod": toFloat, "i2tof": toFloat4, "i4tof": toFloat4, "i8tof": toFloat4,
		"ftod": func(c *Call) error { return c.RetFloat(c.Float(0)) },
		"dtof": func(c *Call) error {
			f := c.Float(0)
			r := float64(float32(f))
			if math.IsInf(r, 0) && !math.IsInf(f, 0) {
				return errFloatOverflow
			}
			if r == 0 && f != 0 {
				return errFloatUnderflow
			}
			return c.RetFloat(r)
		},
		"dtoi2": floatToInt(rangeInt2), "ftoi2": floatToInt(rangeInt2),
		"dtoi4": floatToInt(rangeInt4), "ftoi4": floatToInt(rangeInt4),
		"dtoi8": floatToInt(rangeInt8), "ftoi8": floatToInt(rangeInt8),
		"int2_numeric": intToNumeric, "int4_numeric": intToNumeric, "int8_numeric": intToNumeric,
		"float8_numeric": floatToNumeric(64), "float4_numeric": floatToNumeric(32),
		"numeric_int2": numericToInt(rangeInt2), "numeric_int4": numericToInt(rangeInt4), "numeric_int8": numericToInt(rangeInt8),
		"numeric_float8": func(c *Call) error { return numericToFloat(c, c.Num(0), false) },
		"numeric_float4": func(c *Call) error { return numericToFloat(c, c.Num(0), true) },
		"booltext": func(c *Call) error {
			if c.Bool(0) {
				return c.RetStr("true")
			}
			return c.RetStr("false")
		},
		"i4tochar": func(c *Call) error {
			if v := c.Int(0); v < -128 || v > 127 {
				return types.Errorf(types.CodeNumericValueOutOfRange, "\"char\" out of range")
			}
			return c.RetInt(int64(uint8(c.Int(0))))
		},
		"chartoi4": func(c *Call) error { return c.RetInt(int64(int8(c.Int(0)))) },
		"text_char": func(c *Call) error {
			d, err := types.ParseText(types.QCharType, c.Str(0), nil)
			if err != nil {
				return err
			}
			return c.Ret(d)
		},
		"char_text":   charToText,
		"char_bpchar": charToText,
		"name_text":   func(c *Call) error { return c.RetBytes(c.Bytes(0)) },
		"name_bpchar": func(c *Call) error { return c.RetBytes(c.Bytes(0)) },
		"text_name":   func(c *Call) error { return c.RetStr(types.TruncateName(c.Str(0))) },
		"bpchar_name": func(c *Call) error {
			return c.RetStr(types.TruncateName(string(types.TrimPadding(c.Bytes(0)))))
		},
		"varchar": applyLength(types.VarCharOID),
		"bpchar":  applyLength(types.BPCharOID),
		"bit":     applyLength(types.BitOID),
		"varbit":  applyLength(types.VarBitOID),
	})
	for name, oid := range map[string]types.OID{"time_scale": types.TimeOID, "timetz_scale": types.TimeTZOID,
		"timestamp_scale": types.TimestampOID, "timestamptz_scale": types.TimestampTZOID, "interval_scale": types.IntervalOID} {
		row(name, func(c *Call) error {
			stamp := oid == types.TimestampOID || oid == types.TimestampTZOID
			if stamp && uint64(c.Int(1)) > 6 && c.Int(1) != -1 && !types.IsInfinite(c.Int(0)) {
				return types.Errorf(types.CodeInvalidParameterValue, "timestamp(%d) precision must be between 0 and 6", c.Int(1))
			}
			d, err := types.ApplyMod(c.Datum(0), types.Type{OID: oid, Mod: int32(c.Int(1))}, false)
			if err != nil {
				return err
			}
			return c.Ret(d)
		})
	}
}

func widenTo32(c *Call) error { return c.RetInt(int64(uint32(c.Int(0)))) }

func charToText(c *Call) error {
	return c.RetBytes(types.AppendTextInt(nil, types.QCharOID, c.Int(0), nil))
}

// applyLength is the length coercion of a string type: value, modifier, and
// whether the cast was explicit.
func applyLength(oid types.OID) RowFunc {
	return func(c *Call) error {
		d, err := types.ApplyMod(c.Datum(0), types.Type{OID: oid, Mod: int32(c.Int(1))}, c.Bool(2))
		if err != nil {
			return err
		}
		return c.Ret(d)
	}
}

func floatToInt(r intRange) RowFunc {
	// The upper bound is compared as the float just above it, exactly.
	lo, hi := float64(r.min), -float64(r.min)
	return func(c *Call) error {
		f := math.RoundToEven(c.Float(0))
		if math.IsNaN(f) || f < lo || f >= hi {
			return r.overflow()
		}
		return c.RetInt(int64(f))
	}
}

func intToNumeric(c *Call) error { return c.RetNum(types.NumericFromInt(c.Int(0))) }

func floatToNumeric(bits int) RowFunc {
	return func(c *Call) error {
		n, err := types.NumericFromFloat(c.Float(0), bits)
		if err != nil {
			return err
		}
		return c.RetNum(n)
	}
}

func numericToInt(r intRange) RowFunc {
	return func(c *Call) error { return numericInt(c, c.Num(0), r) }
}

func numericInt(c *Call, n types.Numeric, r intRange) error {
	if n.IsSpecial() {
		what := "infinity"
		if n.IsNaN() {
			what = "NaN"
		}
		return types.Errorf(types.CodeFeatureNotSupported, "cannot convert %s to %s", what, r.name)
	}
	v, ok := n.Int64()
	if !ok || v < r.min || v > r.max {
		return r.overflow()
	}
	return c.RetInt(v)
}

func numericToFloat(c *Call, n types.Numeric, single bool) error {
	f := n.Float64()
	if single {
		f = float64(float32(f))
	}
	if math.IsInf(f, 0) && !n.IsSpecial() {
		name := "double precision"
		if single {
			name = "real"
		}
		return types.Errorf(types.CodeNumericValueOutOfRange, "\"%s\" is out of range for type %s", n.String(), name)
	}
	return c.RetFloat(f)
}

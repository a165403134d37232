package builtin

import (
	"bytes"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// opSuffixes are the endings of comparison functions' names.
var opSuffixes = [...]struct {
	suffix string
	op     cmpOp
}{{"eq", opEq}, {"ne", opNe}, {"lt", opLt}, {"le", opLe}, {"gt", opGt}, {"ge", opGe}}

func init() {
	for _, s := range opSuffixes {
		for _, p := range []string{"int2", "int4", "int8", "int24", "int42", "int28", "int82", "int48", "int84",
			"date_", "time_", "timestamp_", "bool", "oid", "char", "cash_"} {
			register(p+s.suffix, &Impl{Kernel: compareInts(s.op), Narrow: narrowInts(s.op), Total: true})
		}
		for _, p := range []string{"float4", "float8", "float48", "float84"} {
			total(p+s.suffix, compareFloats(s.op))
		}
		kernel("numeric_"+s.suffix, compareNumerics(s.op))
		for _, p := range []string{"text", "bytea", "name", "text_pattern_", "text_", "uuid_"} {
			if p == "text" && s.op > opNe || p == "text_" && s.op <= opNe || p == "text_pattern_" && s.op <= opNe {
				continue // the equalities are called texteq and textne
			}
			kernel(p+s.suffix, compareRaw(s.op))
		}
		kernel("text"+s.suffix+"name", compareRaw(s.op))
		kernel("name"+s.suffix+"text", compareRaw(s.op))
		kernel("bpchar"+s.suffix, compareTyped(s.op, types.BPCharOID))
		if s.op > opNe {
			kernel("bpchar_pattern_"+s.suffix, compareTyped(s.op, types.BPCharOID))
		}
		for p, oid := range map[string]types.OID{"interval_": types.IntervalOID, "timetz_": types.TimeTZOID,
			"jsonb_": types.JSONBOID, "array_": types.AnyArrayOID, "record_": types.RecordOID,
			"record_image_": types.RecordOID, "oidvector": types.OIDVectorOID, "bit": types.BitOID, "varbit": types.BitOID} {
			if p == "varbit" {
				continue // its functions are bit's
			}
			kernel(p+s.suffix, compareTyped(s.op, oid))
		}
		row("xid8"+s.suffix, compareUnsigned(s.op))
		row("pg_lsn_"+s.suffix, compareUnsigned(s.op))
		row("enum_"+s.suffix, enumCompare(s.op))
	}
	total("xideq", compareInts(opEq))
	total("xidneq", compareInts(opNe))
	total("cideq", compareInts(opEq))
	registerThreeWay()
	registerExtremes()
}

func compareUnsigned(op cmpOp) RowFunc {
	return func(c *Call) error {
		return c.RetBool(op.holds(types.CompareInts(types.XID8OID, c.Int(0), c.Int(1))))
	}
}

func compareFloats(op cmpOp) Kernel {
	return func(c *Call) error {
		a, b, out := c.Args[0], c.Args[1], c.Out.Ints
		one := func(i int) { out[i] = b2i(op.holds(types.CompareFloats(a.Float(i), b.Float(i)))) }
		if c.Sel != nil {
			for _, p := range c.Sel {
				one(int(p))
			}
			return nil
		}
		for i := 0; i < c.N; i++ {
			one(i)
		}
		return nil
	}
}

func compareNumerics(op cmpOp) Kernel {
	slow := perRow(func(c *Call) error { return c.RetBool(op.holds(c.Num(0).Cmp(c.Num(1)))) })
	return func(c *Call) error {
		a, b := c.Args[0], c.Args[1]
		if a.Bigs != nil || b.Bigs != nil {
			return slow(c)
		}
		x, am := lanes(a)
		y, bm := lanes(b)
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			s, t := a.Scales[i&am], b.Scales[i&bm]
			if s == t && s >= 0 {
				u, v := x[i&am], y[i&bm]
				c.Out.Ints[i] = b2i(op.holds(int(b2i(u > v) - b2i(u < v))))
				continue
			}
			c.Out.Ints[i] = b2i(op.holds(a.Numeric(i).Cmp(b.Numeric(i))))
		}
		return nil
	}
}

// len and pos enumerate the selected positions.
func (c *Call) len() int {
	if c.Sel != nil {
		return len(c.Sel)
	}
	return c.N
}

func (c *Call) pos(k int) int {
	if c.Sel != nil {
		return int(c.Sel[k])
	}
	return k
}

// compareRaw compares bytes as they are.
func compareRaw(op cmpOp) Kernel {
	return func(c *Call) error {
		a, b, out := c.Args[0], c.Args[1], c.Out.Ints
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			switch op {
			case opEq:
				out[i] = b2i(a.Str(i) == b.Str(i))
			case opNe:
				out[i] = b2i(a.Str(i) != b.Str(i))
			default:
				out[i] = b2i(op.holds(bytes.Compare(a.Bytes(i), b.Bytes(i))))
			}
		}
		return nil
	}
}

func compareTyped(op cmpOp, oid types.OID) Kernel {
	return func(c *Call) error {
		a, b, out := c.Args[0], c.Args[1], c.Out.Ints
		for k, n := 0, c.len(); k < n; k++ {
			i := c.pos(k)
			out[i] = b2i(op.holds(types.CompareBytes(oid, a.Bytes(i), b.Bytes(i))))
		}
		return nil
	}
}

// threeWay names the btree support functions, by the type they compare.
var threeWay = map[string]types.OID{
	"btint2cmp": types.Int2OID, "btint4cmp": types.Int4OID, "btint8cmp": types.Int8OID,
	"btint24cmp": types.Int8OID, "btint42cmp": types.Int8OID, "btint28cmp": types.Int8OID,
	"btint82cmp": types.Int8OID, "btint48cmp": types.Int8OID, "btint84cmp": types.Int8OID,
	"btfloat4cmp": types.Float4OID, "btfloat8cmp": types.Float8OID, "btfloat48cmp": types.Float8OID,
	"btfloat84cmp": types.Float8OID, "btboolcmp": types.BoolOID, "btcharcmp": types.QCharOID,
	"btoidcmp": types.OIDOID, "btnamecmp": types.NameOID, "bttextcmp": types.TextOID,
	"btnametextcmp": types.TextOID, "bttextnamecmp": types.TextOID, "bttext_pattern_cmp": types.TextOID,
	"bpcharcmp": types.BPCharOID, "btbpchar_pattern_cmp": types.BPCharOID, "byteacmp": types.ByteaOID,
	"numeric_cmp": types.NumericOID, "date_cmp": types.DateOID, "time_cmp": types.TimeOID,
	"timetz_cmp": types.TimeTZOID, "timestamp_cmp": types.TimestampOID, "interval_cmp": types.IntervalOID,
	"uuid_cmp": types.UUIDOID, "jsonb_cmp": types.JSONBOID, "btarraycmp": types.AnyArrayOID,
	"btrecordcmp": types.RecordOID, "btoidvectorcmp": types.OIDVectorOID, "xid8cmp": types.XID8OID,
	"cash_cmp": types.MoneyOID, "bitcmp": types.BitOID, "btrecordimagecmp": types.RecordOID, "pg_lsn_cmp": types.PgLSNOID,
}

func registerThreeWay() {
	for name, oid := range threeWay {
		row(name, func(c *Call) error {
			r := vec.Compare(oid, c.Args[0], c.Row, c.Args[1], c.Row)
			return c.RetInt(int64(max(-1, min(1, r))))
		})
	}
}

// extremes are the transition functions of min and max that can be called.
var extremes = map[string]types.OID{
	"int2": types.Int2OID, "int4": types.Int4OID, "int8": types.Int8OID, "oid": types.OIDOID,
	"float4": types.Float4OID, "float8": types.Float8OID, "numeric_": types.NumericOID, "date_": types.DateOID,
	"time_": types.TimeOID, "timetz_": types.TimeTZOID, "timestamp_": types.TimestampOID,
	"interval_": types.IntervalOID, "text_": types.TextOID, "bpchar_": types.BPCharOID,
	"array_": types.AnyArrayOID, "xid8_": types.XID8OID, "cash": types.MoneyOID, "enum_": types.AnyEnumOID,
}

func registerExtremes() {
	for name, oid := range extremes {
		pick := func(sign int) RowFunc {
			return func(c *Call) error {
				k := 0
				if vec.Compare(oid, c.Args[0], c.Row, c.Args[1], c.Row)*sign < 0 {
					k = 1
				}
				c.Out.CopyFrom(c.Row, c.Args[k], c.Row)
				return nil
			}
		}
		row(name+"larger", pick(1))
		row(name+"smaller", pick(-1))
	}
}

// enumCompare orders enum labels by their declaration, as their images are.
func enumCompare(op cmpOp) RowFunc {
	return func(c *Call) error { return c.RetBool(op.holds(bytes.Compare(c.Bytes(0), c.Bytes(1)))) }
}

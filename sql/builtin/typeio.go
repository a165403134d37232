package builtin

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// The types' own functions for input from text, output as text and as bytes of the
// protocol. Statements may call them like any others.
const (
	inputFuncs = `bit_in boolin bpcharin byteain cash_in charin cidin cstring_in date_in float4in float8in int2in int2vectorin
		int4in int8in interval_in json_in jsonb_in jsonpath_in namein numeric_in oidin oidvectorin pg_lsn_in regclassin
		regnamespacein regoperatorin regoperin regprocedurein regprocin regrolein regtypein textin tidin time_in timestamp_in
		timestamptz_in timetz_in unknownin uuid_in varbit_in varcharin xid8in xidin`
	outputFuncs = `array_out bit_out boolout bpcharout byteaout cash_out charout cidout cstring_out date_out enum_out float4out
		float8out int2out int2vectorout int4out int8out interval_out json_out jsonb_out jsonpath_out nameout numeric_out oidout
		oidvectorout pg_lsn_out record_out regclassout regnamespaceout regoperatorout regoperout regprocedureout regprocout
		regroleout regtypeout textout tidout time_out timestamp_out timestamptz_out timetz_out unknownout uuid_out varbit_out
		varcharout xid8out xidout`
	sendFuncs = `array_send bit_send boolsend bpcharsend byteasend cash_send charsend cidsend cstring_send date_send enum_send
		float4send float8send int2send int2vectorsend int4send int8send interval_send json_send jsonb_send jsonpath_send namesend
		numeric_send oidsend oidvectorsend pg_lsn_send record_send regclasssend regnamespacesend regoperatorsend regopersend
		regproceduresend regprocsend regrolesend regtypesend textsend tidsend time_send timestamp_send timestamptz_send
		timetz_send unknownsend uuid_send varbit_send varcharsend xid8send xidsend`
)

func init() {
	for _, n := range strings.Fields(inputFuncs) {
		row(n, func(c *Call) error {
			t := types.Type{OID: c.Info.Ret.OID, Mod: -1}
			if len(c.Args) > 2 {
				t.Mod = int32(c.Int(2))
			}
			d, err := types.ParseText(t, c.Str(0), c.Ctx.Set())
			if err == nil {
				d, err = types.ApplyMod(d, t, false)
			}
			if err != nil {
				return err
			}
			return c.Ret(d)
		})
	}
	for _, n := range strings.Fields(outputFuncs) {
		row(n, func(c *Call) error { return c.RetStr(types.TextOf(c.Info.ArgTypes[0].OID, c.Datum(0), c.Ctx.Set())) })
	}
	for _, n := range strings.Fields(sendFuncs) {
		row(n, func(c *Call) error {
			return c.RetBytes(types.AppendBinary(nil, c.Info.ArgTypes[0].OID, c.Datum(0), c.Ctx.Set()))
		})
	}
}

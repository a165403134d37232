package expr_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files that need no PostgreSQL anew")

// oracle names a PostgreSQL 15 server; with it the golden answers are asked for
// anew.
var oracle = flag.String("oracle", "", "connection string of a PostgreSQL 15 to take the golden answers from")

const (
	functionsFile  = "../../testdata/expr/functions.tsv"
	aggregatesFile = "../../testdata/expr/aggregates.tsv"
	inputsFile     = "../../testdata/types/inputs.tsv"
	missingFile    = "../../testdata/expr/missing.txt"
	oracleZone     = "America/New_York"
)

// boundary holds the values every function is tried with, by type.
var boundary = map[string][]string{
	"bool":        {"t", "f"},
	"int2":        {"0", "1", "-1", "7", "-32768", "32767"},
	"int4":        {"0", "1", "-1", "7", "2", "-2147483648", "2147483647"},
	"int8":        {"0", "1", "-1", "42", "-9223372036854775808", "9223372036854775807"},
	"numeric":     {"0", "1", "-1.50", "123456789.123456789", "0.0001", "99999999999999999999.99", "NaN", "Infinity", "-Infinity", "2"},
	"float4":      {"0", "1.5", "-2.25", "1e10", "NaN", "Infinity"},
	"float8":      {"0", "1.5", "-2.25", "0.1", "1e300", "-1e-300", "NaN", "Infinity", "-Infinity"},
	"text":        {"", "a", "abc", "Hello World", "héllo ñ", "  x ", "a%b_c", "2"},
	"bpchar":      {"", "a", "abc  ", "Hello"},
	"name":        {"", "abc", "pg_class"},
	"bytea":       {`\x`, `\x00ff`, `\x616263`},
	"char":        {"a", "", "Z"},
	"oid":         {"0", "23", "4294967295"},
	"date":        {"2000-01-01", "1999-12-31", "2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "2023-10-31"},
	"time":        {"00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00"},
	"timetz":      {"00:00:00+00", "12:34:56.789-05", "23:59:59+15:59"},
	"timestamp":   {"2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "2024-02-29 12:34:56.789", "0044-03-15 01:02:03 BC", "infinity", "-infinity"},
	"timestamptz": {"2000-01-01 00:00:00+00", "2024-03-10 07:30:00+00", "2024-11-03 05:30:00+00", "1995-08-06 12:12:12.123+00", "infinity"},
	"interval":    {"00:00:00", "1 day", "-1 mon +3 days -04:05:06.789", "1 year 2 mons 3 days 04:05:06", "40 days", "-00:00:00.000001", "100 years"},
	"uuid":        {"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
	"json":        {`{"a": 1, "b": [1, 2, {"c": null}], "a": "x"}`, `[1, "two", null, [3]]`, `"str\u00e9"`, `1.50`, `null`, `{}`},
	"jsonb":       {`{"a": 1, "b": [1, 2, {"c": null}], "aa": "x"}`, `[1, "two", null, [3]]`, `"str"`, `1.50`, `null`, `{}`, `[]`, `true`},
	"_int4":       {"{}", "{1,2,3}", "{NULL,2}", "{{1,2},{3,4}}", "[0:1]={7,8}"},
	"_text":       {"{}", "{a,b,c}", `{NULL,"x y",""}`, "{0}", "{b,2,c}"},
	"oidvector":   {"", "1 2", "1 3"},
	"regclass":    {"0"},
	"money":       {"$0.00", "$12.34", "-$5.00"},
	"varbit":      {"", "101", "11110000"},
	"xid":         {"0", "5"},
	"xid8":        {"0", "18446744073709551615"},
}

// templates are formats tried with the formatting functions, by the type they
// format.
var templates = map[string][]string{
	"timestamp":   {"YYYY-MM-DD HH24:MI:SS.MS", "Day, DD Month YYYY", "FMDay, FMDD FMMonth YYYY", "DY dy Dy MON mon Mon", "HH12:MI AM p.m.", "DDD DDth FMDDth D ID W WW IW", "IYYY IYY IY I IDDD", "Y,YYY YYY YY Y CC Q", "J SSSS US FF1 FF2 FF6", "RM rm FMRM", "BC ad B.C.", "\"quoted YYYY\" YYYY", "xx", "HH24MISS"},
	"timestamptz": {"YYYY-MM-DD HH24:MI:SS TZ", "TZH:TZM OF", "tz"},
	"interval":    {"YYYY MM DD HH24:MI:SS", "HH12 MS US", "DDD", "FMYYYY-FMMM"},
	"numeric":     {"999", "9,999.99", "FM9,999.99", "0000.00", "FM0.099", "S999.9", "999.9S", "999MI", "FM999MI", "PL999", "SG999", "999PR", "FM999PR", "9.99EEEE", "RN", "FMRN", "99V99", "999th", "\"n=\"999", "$999.99", "9 9 9", "999G999G999D99", "FM999999999990.00", "99,999", "B999"},
	"int4":        {"999", "9,999,999,999", "FM999", "000", "S99999999999", "999PR"},
	"float8":      {"999.99", "FM999.999", "0.9", "9.999EEEE"},
}

var templateValues = map[string][]string{
	"timestamp":   {"2024-02-29 12:34:56.789", "1999-12-31 23:59:59.999999", "0044-03-15 01:02:03 BC", "2000-01-01 00:00:00"},
	"timestamptz": {"2024-03-10 07:30:00+00", "2024-11-03 05:30:00+00"},
	"interval":    {"1 year 2 mons 3 days 04:05:06.789", "-1 mon +3 days -04:05:06.789", "40 days 30:00:00"},
	"numeric":     {"0", "1", "-1.5", "485", "-485", "1234.567", "0.1", "-0.1", "12345678", "148.5", "3999"},
	"int4":        {"0", "7", "-485", "1234567", "482"},
	"float8":      {"0", "1.5", "-2.25", "0.00012345", "123456.789"},
}

var dateInputs = [][2]string{{"2024-02-29", "YYYY-MM-DD"}, {"29 Feb 2024", "DD Mon YYYY"}, {"20240229", "YYYYMMDD"}, {"February 9, 2024", "Month DD, YYYY"},
	{"24-2-9", "YY-MM-DD"}, {"2024-060", "YYYY-DDD"}, {"2024-13-01", "YYYY-MM-DD"}, {"2024-02-30", "YYYY-MM-DD"}, {"xx", "YYYY"}, {"2006-42-4", "IYYY-IW-ID"},
	{"2451545", "J"}, {"44-03-15 BC", "YYYY-MM-DD BC"}, {"2024/02/29", "YYYY-MM-DD"}, {"1 Foo 2024", "DD Mon YYYY"},
	{"2024-02-29 13:14:15.678", "YYYY-MM-DD HH24:MI:SS.MS"}, {"2024-02-29 01:14 PM", "YYYY-MM-DD HH12:MI PM"}, {"13:00 PM", "HH12:MI PM"}, {"12:34", "HH24:MI"},
	{"2024-02-29 25:00", "YYYY-MM-DD HH24:MI"}, {"15.12.2024 07", "DD.MM.YYYY HH24"}, {"2024-02-29 10:00 -05:30", "YYYY-MM-DD HH24:MI TZH:TZM"}}

var numberInputs = [][2]string{{"12,454.8-", "99G999D9S"}, {"1,234.56", "9,999.99"}, {"-12", "999"}, {"$123.45", "L999.99"}, {"12", "99V9"}, {"<123>", "999PR"}, {"abc", "999"}}

// templateRows are the argument lists for a formatting function.
func templateRows(p *pgfacts.Proc, ts []string) [][]string {
	var out [][]string
	switch p.Name {
	case "to_char":
		for _, v := range templateValues[ts[0]] {
			for _, f := range templates[ts[0]] {
				out = append(out, []string{v, f})
			}
		}
	case "to_date", "to_timestamp":
		if len(ts) == 2 {
			for _, in := range dateInputs {
				out = append(out, in[:])
			}
		}
	case "to_number":
		for _, in := range numberInputs {
			out = append(out, in[:])
		}
	}
	return out
}

// concreteType stands in for polymorphic arguments.
var concreteType = map[string]string{"anyarray": "_int4", "anyelement": "int4", "anynonarray": "int4",
	"anycompatiblearray": "_int4", "anycompatible": "int4", "varchar": "text"}

// unsteady functions depend on more than their arguments, or fail differently
// by design.
var unsteady = map[string]bool{"random": true, "setseed": true, "now": true, "clock_timestamp": true, "timeofday": true,
	"statement_timestamp": true, "transaction_timestamp": true, "gen_random_uuid": true, "age": true, "pg_sleep": true,
	"nextval": true, "currval": true, "lastval": true, "setval": true, "version": true, "current_database": true, "current_user": true,
	"session_user": true, "current_schema": true, "current_schemas": true, "getpgusername": true, "pg_column_size": true,
	"repeat": true, "lpad": true, "rpad": true, "timetz": true, "array_fill": true, "factorial": true, "pg_sleep_for": true,
	"format_type": true, "regclass": true, "convert": true, "convert_to": true, "convert_from": true, "getdatabaseencoding": true, "pg_client_encoding": true, "set_config": true}

func hasBody(p *pgfacts.Proc) bool {
	if p.Src == "length_in_encoding" || p.Kind != 'f' || p.RetSet || unsteady[p.Name] || p.Variadic != 0 || strings.HasPrefix(p.Name, "pg_") {
		return false
	}
	for _, t := range append([]types.OID{p.Ret}, p.Args...) {
		if t == types.InternalOID || t == types.CStringOID || t == types.AnyEnumOID || t == types.AnyRangeOID {
			return false
		}
	}
	return builtin.HasBody(p)
}

func argNames(p *pgfacts.Proc) ([]string, bool) {
	var out []string
	for _, a := range p.Args {
		i, ok := types.Lookup(a)
		if !ok {
			return nil, false
		}
		n := i.Name
		if c, ok := concreteType[n]; ok {
			n = c
		}
		if boundary[n] == nil {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// combos returns at most limit argument lists, spread over all of them.
func combos(ts []string, limit int) [][]string {
	total := 1
	for _, t := range ts {
		total *= len(boundary[t])
	}
	var out [][]string
	step := 1
	if total > limit {
		step = total/limit | 1
	}
	for k := 0; k < total; k += step {
		row, x := make([]string, len(ts)), k
		for i, t := range ts {
			row[i] = boundary[t][x%len(boundary[t])]
			x /= len(boundary[t])
		}
		out = append(out, row)
	}
	return out
}

func escapeField(s string) string {
	return strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(s)
}

func unescapeField(s string) string {
	return strings.NewReplacer(`\\`, "\\", `\t`, "\t", `\n`, "\n", `\r`, "\r").Replace(s)
}

// ask returns the text of a query's only value, "~" for NULL, or "!" and the
// error.
func ask(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	rows := conn.PgConn().Exec(context.Background(), sql)
	res, err := rows.ReadAll()
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return "!" + pe.Code + " " + pe.Message
	}
	if err != nil {
		t.Fatal(sql, err)
	}
	last := res[len(res)-1]
	if last.Rows[0][0] == nil {
		return "~"
	}
	return "=" + string(last.Rows[0][0])
}

func connect(t *testing.T) *pgx.Conn {
	conn, err := pgx.Connect(context.Background(), *oracle)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, conn, "set timezone='"+oracleZone+"'; select 1")
	return conn
}

func typeCast(n string) string {
	if n == "char" {
		return `"char"`
	}
	return n
}

func generateFunctions(t *testing.T) {
	conn := connect(t)
	defer conn.Close(context.Background())
	var b strings.Builder
	pgfacts.Procs(func(p *pgfacts.Proc) {
		ts, ok := argNames(p)
		if !ok || !hasBody(p) {
			return
		}
		list := combos(ts, 24)
		if rows := templateRows(p, ts); rows != nil {
			list = rows
		}
		for _, row := range list {
			var args []string
			for i, v := range row {
				args = append(args, builtin.QuoteLiteral(v)+"::"+typeCast(ts[i]))
			}
			got := ask(t, conn, fmt.Sprintf("select pg_catalog.%q(%s)", p.Name, strings.Join(args, ",")))
			for i := range row {
				row[i] = escapeField(row[i])
			}
			fmt.Fprintf(&b, "%d\t%s(%s)\t%s\t%s\n", p.OID, p.Name, strings.Join(ts, ","), strings.Join(row, "\t"), escapeField(got))
		}
	})
	write(t, functionsFile, b.String())
}

func generateAggregates(t *testing.T) {
	conn := connect(t)
	defer conn.Close(context.Background())
	var b strings.Builder
	pgfacts.Procs(func(p *pgfacts.Proc) {
		ts, ok := argNames(p)
		if a, isAgg := pgfacts.AggregateByOID(p.OID); p.Kind != 'a' || !ok || len(ts) == 0 || len(ts) > 2 || isAgg && a.Kind != 'n' || !builtin.HasBody(p) {
			return
		}
		for _, size := range []int{0, 1, 3, 9} {
			var vals []string
			for i, row := range combos(ts, 9) {
				if i == size {
					break
				}
				var args []string
				for k, v := range row {
					args = append(args, builtin.QuoteLiteral(v)+"::"+typeCast(ts[k]))
				}
				vals = append(vals, fmt.Sprintf("(%d,%s)", i, strings.Join(args, ",")))
			}
			from := "(select 0 where false) x(i)"
			cols := "null::" + strings.Join(ts, ",null::")
			if size > 0 {
				from = "(values " + strings.Join(vals, ",") + ") x(i,a,b)"
				if len(ts) == 1 {
					from = "(values " + strings.Join(vals, ",") + ") x(i,a)"
				}
				cols = strings.Join([]string{"a", "b"}[:len(ts)], ",")
			}
			got := ask(t, conn, fmt.Sprintf("select pg_catalog.%q(%s order by i) from %s", p.Name, strings.ReplaceAll(cols, "::char", `::"char"`), strings.ReplaceAll(from, "where false) x(i)", "where false) x(i)")))
			fmt.Fprintf(&b, "%d\t%s(%s)\t%d\t%s\n", p.OID, p.Name, strings.Join(ts, ","), size, escapeField(got))
		}
	})
	write(t, aggregatesFile, b.String())
}

// inputs are texts tried as values of a type, good and bad.
var inputs = map[string][]string{
	"bool":        {"true", "yes", "on", "1", "T", " f ", "no", "of", "o", "2", "", "tru", "truex"},
	"int4":        {" 12 ", "+5", "-0", "2147483648", "-2147483649", "1.5", "", "abc", "0x10", "1_000", "12 3"},
	"int8":        {"9223372036854775808", "-9223372036854775808", "00012", "1e3"},
	"int2":        {"32768", "-32768", "x"},
	"numeric":     {"1.", ".5", "1e5", "1.50e-3", "+7.00", "  -3.140 ", "1e", "e5", ".", "inf", "-inf", "nan", "1 2", "00.10", "1e200", "123456789012345678901234567890.123456789"},
	"float8":      {"1e400", "1e-400", ".5", "5.", "1e", "inf", "-Infinity", "nan", "0.1", "1e15", "1e16", "123456789012345678", "1e-5", "0.0001", "-0"},
	"float4":      {"1e39", "0.1", "1e6", "1e5", "16777217", "1e-46", "3.4028235e38"},
	"bytea":       {`\x12 34`, `\x1`, `\xzz`, `a\\b`, `\001x`, `\9`, "abc"},
	"uuid":        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99", "x"},
	"date":        {"2024-01-15", "1/8/1999", "January 8, 1999", "1999-Jan-08", "08-Jan-1999", "19990108", "990108", "J2451187", "January 8, 99 BC", "epoch", "2024-02-30", "13/13/2000", "2024-1-5", "99-Jan-08", "Jan-08-1999", "2024.123", "5874897-12-31", "5874898-01-01", "4714-11-24 BC", "4714-11-23 BC", "abc", "", "2024-01-15 10:00", "0000-01-01"},
	"time":        {"04:05", "04:05:06.789", "040506", "04:05 AM", "04:05 PM", "12:00 am", "24:00:00", "24:00:01", "25:00", "4:5:6", "allballs", "04:05:06.1234567", "x", "2003-04-12 04:05:06"},
	"timestamp":   {"2024-01-15 10:20:30.123456", "2024-01-15T10:20:30", "20240115 102030", "January 8 04:05:06 1999", "1999-01-08 04:05:06 -8:00", "epoch", "infinity", "294276-12-31 23:59:59", "294277-01-01", "2024-01-15 24:00:00", "2024-01-15 25:00", "4714-11-24 00:00 BC", "Mon Jan 15 10:20:30 2024", "2024-01-15 10:20:30.1234567", "2024-13-01", "bad", "2024-01-15 10:20:30 PM"},
	"timestamptz": {"2024-01-15 10:20:30", "2024-07-15 10:20:30", "2024-01-15 10:20:30+05:30", "2024-01-15 10:20:30 PST", "2024-01-15 10:20:30 America/Los_Angeles", "2024-01-15 10:20:30Z", "2024-03-10 02:30", "2024-11-03 01:30", "1850-01-01 00:00", "2024-01-15 10:20:30 Nowhere/Land", "2024-01-15 10:20:30+16"},
	"timetz":      {"04:05:06+3", "04:05:06 PST", "2003-04-12 04:05:06 America/New_York", "04:05:06Z", "x"},
	"interval":    {"1", "1 day 2 hours", "1-2", "1 2:03:04", "P1Y2M3DT4H5M6S", "P0001-02-03T04:05:06", "1.5 days", "1.5 months", "2 weeks", "1 year ago", "-1 day", "1:2:3", "@ 1 day 2 hours ago", "1 mon -1 day", "1.5 years", "3 decades", "1 century", "1 millennium", "100 ms", "5 us", "1h 30m", "1 foo", "", "PT36H", "1 day 1 day", "-1-2 +3 -4:05:06", "999999999999 years"},
	"json":        {`{"a":1}`, `{"a":}`, `[1,2`, `[1,,2]`, `nul`, `"abc`, `{"a" 1}`, `{a:1}`, `01`, `1.`, `"\x"`, `"\u12"`, ``, `[1] x`, ` [ 1 , 2 ] `, `{"a":1,}`, `-1.5e+3`, "\"a\tb\""},
	"jsonb":       {`{"b":1,"a":2,"b":3}`, `{"bb":1,"a":2}`, `1.50`, `1e5`, `"\u00e9\n\ud83d\ude00"`, `"\u0000"`, `[1, [2, {}]]`, `"\ud83d"`, `123456789012345678901234567890`},
	"_int4":       {"{1,2}", "{ 1 , 2 }", "{{1},{2}}", "{{1},{2,3}}", "{1,{2}}", "{}", "{{}}", "{1", "1}", "", "[2:3]={1,2}", "[1:3]={1,2}", "{1,}", "{NULL,null}", "{1}x"},
	"_text":       {`{"a,b","c\"d","e\\f"}`, `{a b, c }`, `{"NULL",NULL}`, `{""}`, `{a"b}`, `{\{}`},
	"oid":         {"-1", "4294967296", "12", "x"},
	"char":        {"abc", `\101`, ""},
	"name":        {strings.Repeat("x", 70), "a"},
	"oidvector":   {"1  2 3", "x"},
	"money":       {"12.345", "$1,234.5", "-5", "(7)", "x"},
}

var sendNames = map[string]string{"_int4": "array_send", "_text": "array_send", "char": "charsend", "date": "date_send", "time": "time_send",
	"timetz": "timetz_send", "timestamp": "timestamp_send", "timestamptz": "timestamptz_send", "interval": "interval_send", "uuid": "uuid_send",
	"numeric": "numeric_send", "json": "json_send", "jsonb": "jsonb_send", "money": "cash_send"}

func generateInputs(t *testing.T) {
	conn := connect(t)
	defer conn.Close(context.Background())
	var b strings.Builder
	var names []string
	for n := range inputs {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		send := sendNames[n]
		if send == "" {
			send = n + "send"
		}
		for _, v := range append(append([]string(nil), inputs[n]...), boundary[n]...) {
			lit := builtin.QuoteLiteral(v) + "::" + typeCast(n)
			text := ask(t, conn, "select "+lit)
			bin := "~"
			if text[0] == '=' {
				bin = ask(t, conn, "select encode("+send+"("+lit+"),'hex')")
			}
			fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", n, escapeField(v), escapeField(text), bin)
		}
	}
	write(t, inputsFile, b.String())
}

func write(t *testing.T, file, s string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
}

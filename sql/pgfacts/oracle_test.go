package pgfacts

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pamirdb/pamir/sql/types"
)

// rewrite is accepted because all packages are told to rewrite together; the
// golden file here needs PostgreSQL.
var _ = flag.Bool("rewrite", false, "no golden files without PostgreSQL here")

var oracle = flag.String("oracle", "", "connection string of a PostgreSQL 15 to take the golden answers from")

const resolveFile = "../../testdata/pgfacts/resolve.tsv"

// resolveTypes are tried as operands; unknown is a bare literal.
var resolveTypes = strings.Fields("unknown bool int2 int4 int8 numeric float4 float8 text varchar bpchar name \"char\" bytea date time timestamp timestamptz interval uuid jsonb _int4 _text oid regclass")

var resolveOps = strings.Fields("+ - * / % ^ = <> < <= > >= || ~~ ~ ~* && @> <@ -> ->> #> ? & | << # @")

var resolveFuncs = strings.Fields("abs round trunc length lower substring substr sum avg min max count coalesce_none concat date_trunc date_part extract to_char to_date now age mod power sqrt position replace left lpad split_part array_append array_cat array_length unnest cardinality json_build_object to_jsonb jsonb_typeof md5 encode text int4 float8 numeric timestamp date upper btrim generate_series string_agg array_agg bool_and stddev lag")

func operand(t string) string {
	if t == "unknown" {
		return "null"
	}
	return "null::" + t
}

func askType(t *testing.T, conn *pgx.Conn, sql string) string {
	res, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return "!" + pe.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(res[0].Rows) == 0 {
		return "none"
	}
	return string(res[0].Rows[0][0])
}

func generateResolve(t *testing.T) {
	conn, err := pgx.Connect(context.Background(), *oracle)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var b strings.Builder
	for _, op := range resolveOps {
		for _, l := range resolveTypes {
			for _, r := range resolveTypes {
				got := askType(t, conn, fmt.Sprintf("select pg_typeof(%s %s %s)", operand(l), op, operand(r)))
				fmt.Fprintf(&b, "op\t%s\t%s,%s\t%s\n", op, l, r, got)
			}
		}
	}
	for _, f := range resolveFuncs {
		lists := [][]string{nil}
		for _, a := range resolveTypes {
			lists = append(lists, []string{a})
			for _, c := range []string{"unknown", "int4", "text", "numeric", "interval", "timestamp"} {
				lists = append(lists, []string{a, c})
			}
			lists = append(lists, []string{a, "int4", "int4"}, []string{a, "unknown", "unknown"})
		}
		for _, l := range lists {
			var args []string
			for _, a := range l {
				args = append(args, operand(a))
			}
			got := askType(t, conn, fmt.Sprintf("select pg_typeof(pg_catalog.%s(%s))", f, strings.Join(args, ",")))
			fmt.Fprintf(&b, "func\t%s\t%s\t%s\n", f, strings.Join(l, ","), got)
		}
	}
	if err := os.WriteFile(resolveFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func oidNamed(t *testing.T, n string) types.OID {
	i, ok := types.LookupName(strings.Trim(n, `"`))
	if !ok {
		t.Fatal(n)
	}
	return i.OID
}

// TestResolveOracle compares the choice of operators and functions with
// PostgreSQL's, by the type of the result.
func TestResolveOracle(t *testing.T) {
	if *oracle != "" {
		generateResolve(t)
	}
	b, err := os.ReadFile(resolveFile)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, l := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		f := strings.Split(l, "\t")
		var args []types.OID
		for _, n := range strings.Split(f[2], ",") {
			if n != "" {
				args = append(args, oidNamed(t, n))
			}
		}
		var ret types.OID
		var err error
		if f[0] == "op" {
			m, e := ResolveOperator(f[1], args[0], args[1])
			if err = e; e == nil {
				ret = m.Result
			}
		} else {
			m, e := ResolveFunc(FuncCall{Name: f[1], Args: args})
			if err = e; e == nil {
				ret = m.Ret
			}
		}
		got := types.Format(ret, -1)
		if err != nil {
			got = "!" + types.CodeOf(err)
		}
		// Sets of no rows and refusals that come after resolution say nothing.
		if got == f[3] || f[3] == "none" || f[3] == "!42809" || f[3] == "!22004" || f[3] == "!22023" {
			continue
		}
		if bad++; bad < 80 {
			t.Errorf("%s %s(%s): got %s, want %s (%v)", f[0], f[1], f[2], got, f[3], err)
		}
	}
	if bad > 0 {
		t.Errorf("%d differ", bad)
	}
}

package builtin

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

func init() {
	describe := func(f func(*pgfacts.Proc) (string, bool)) RowFunc {
		return func(c *Call) error {
			p, ok := pgfacts.ProcByOID(types.OID(c.Int(0)))
			if !ok {
				return c.RetNull()
			}
			s, ok := f(p)
			if !ok {
				return c.RetNull()
			}
			return c.RetStr(s)
		}
	}
	rows(map[string]RowFunc{
		"pg_get_function_arguments":          describe(func(p *pgfacts.Proc) (string, bool) { return procArguments(p, true, false), true }),
		"pg_get_function_identity_arguments": describe(func(p *pgfacts.Proc) (string, bool) { return procArguments(p, false, false), true }),
		"pg_get_function_result":             describe(procResult),
		"pg_size_pretty":                     func(c *Call) error { return c.RetStr(sizePretty(types.NumericFromInt(c.Int(0)))) },
		"pg_size_pretty_numeric":             func(c *Call) error { return c.RetStr(sizePretty(c.Num(0).Trunc(0))) },
		"pg_size_bytes":                      sizeBytes,
	})
	empty := func(*Ctx, *Info, []types.Datum) (SetIter, error) { return &sliceIter{}, nil }
	// Nothing is partitioned, published or prepared here.
	for _, n := range []string{"pg_partition_ancestors", "pg_partition_tree", "pg_get_publication_tables", "pg_prepared_xact",
		"pg_available_extensions", "pg_available_extension_versions", "pg_extension_update_paths", "pg_tablespace_databases"} {
		setFuncs[n] = empty
	}
	setFuncs["pg_options_to_table"] = func(_ *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
		it := &sliceIter{}
		for _, e := range types.DecodeArray(args[0].Bytes()).Elems {
			name, value, has := strings.Cut(e.Str(), "=")
			row := []types.Datum{types.NewString(name), types.Null}
			if has {
				row[1] = types.NewString(value)
			}
			it.rows = append(it.rows, row)
		}
		return it, nil
	}
}

// procArguments lists the arguments of a function as \df shows them; table
// picks the columns of RETURNS TABLE instead.
func procArguments(p *pgfacts.Proc, defaults, table bool) string {
	all, modes := p.AllArgs, p.ArgModes
	if all == nil {
		all = p.Args
	}
	def := splitDefaults(p.Defaults)
	var parts []string
	in := 0
	for i, a := range all {
		mode := byte('i')
		if i < len(modes) {
			mode = modes[i]
		} else if p.Variadic != 0 && i == len(all)-1 {
			mode = 'v'
		}
		if (mode == 't') != table {
			continue
		}
		s := map[byte]string{'o': "OUT ", 'b': "INOUT ", 'v': "VARIADIC "}[mode]
		if i < len(p.ArgNames) && p.ArgNames[i] != "" {
			s += QuoteIdent(p.ArgNames[i]) + " "
		}
		s += types.Format(a, -1)
		if mode != 'o' && mode != 't' {
			if k := in - (p.NArgs - len(def)); defaults && k >= 0 && k < len(def) {
				s += " DEFAULT " + def[k]
			}
			in++
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// splitDefaults splits a list of expressions at the commas outside of
// parentheses and quotes.
func splitDefaults(s string) []string {
	if s == "" {
		return nil
	}
	var out []string
	depth, from, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

func procResult(p *pgfacts.Proc) (string, bool) {
	if p.Kind == 'p' {
		return "", false
	}
	if strings.IndexByte(p.ArgModes, 't') >= 0 {
		return "TABLE(" + procArguments(p, false, true) + ")", true
	}
	s := types.Format(p.Ret, -1)
	if p.RetSet {
		s = "SETOF " + s
	}
	return s, true
}

var sizeUnits = [...]string{"bytes", "kB", "MB", "GB", "TB", "PB"}

// sizePretty prints a size in the unit that leaves it below 10,240, halves
// rounded up at each step.
func sizePretty(n types.Numeric) string {
	if n.IsSpecial() {
		return n.String()
	}
	const limit = 10240
	two, one := types.NumericFromInt(2), types.NumericFromInt(1)
	div := func(x types.Numeric, by int64) types.Numeric {
		q, err := x.DivTrunc(types.NumericFromInt(by))
		if err != nil {
			return x
		}
		return q
	}
	if n.Abs().Cmp(types.NumericFromInt(limit)) < 0 {
		return n.String() + " bytes"
	}
	// From here on the value is kept doubled, so that halving can round.
	v := div(n, 512)
	for i := 1; ; i++ {
		if v.Abs().Cmp(types.NumericFromInt(2*limit-1)) < 0 || i == len(sizeUnits)-1 {
			if v.Sign() < 0 {
				v = v.Sub(one)
			} else {
				v = v.Add(one)
			}
			q, err := v.DivTrunc(two)
			if err != nil {
				return ""
			}
			return q.String() + " " + sizeUnits[i]
		}
		v = div(v, 1024)
	}
}

func sizeBytes(c *Call) error {
	s := strings.TrimSpace(c.Str(0))
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || strings.IndexByte("+-.eE", s[i]) >= 0 && !strings.HasPrefix(s[i:], "E")) {
		i++
	}
	bad := types.Errorf(types.CodeInvalidParameterValue, "invalid size: \"%s\"", c.Str(0))
	n, err := types.ParseNumeric(s[:i])
	if err != nil {
		return bad
	}
	unit, mult := strings.TrimSpace(s[i:]), types.NumericFromInt(1)
	if unit != "" {
		found := false
		for k, u := range append([]string{"B"}, sizeUnits[:]...) {
			if strings.EqualFold(u, unit) {
				found = true
				for ; k > 1; k-- {
					mult = mult.Mul(types.NumericFromInt(1024))
				}
				break
			}
		}
		if !found {
			return bad.WithDetail("Invalid size unit: %s.", strconv.Quote(unit)).
				WithHint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
		}
	}
	v, ok := n.Mul(mult).Int64()
	if !ok {
		return rangeInt8.overflow()
	}
	return c.RetInt(v)
}

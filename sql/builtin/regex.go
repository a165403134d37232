package builtin

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// pattern is a regular expression made ready at a call site.
type pattern struct {
	source, flags string
	re            matcher
	global        bool
}

// regexFor compiles a pattern, remembering the last one at the call site.
func regexFor(c *Call, source, flags string) (*pattern, error) {
	if p, ok := c.Cache.(*pattern); ok && p.source == source && p.flags == flags {
		return p, nil
	}
	p, err := compilePattern(source, flags)
	if err == nil {
		c.Cache = p
		p.cancelBy(c.Ctx)
	}
	return p, err
}

// compilePattern translates an advanced regular expression of PostgreSQL's into
// the syntax of Go. Back references and look-around have no translation, and make it
// a backRegex.
func compilePattern(source, flags string) (*pattern, error) {
	p := &pattern{source: strings.Clone(source), flags: strings.Clone(flags)}
	fold, newline, literal, expanded := false, "", false, false
	for _, f := range flags {
		switch f {
		case 'g':
			p.global = true
		case 'i':
			fold = true
		case 'c':
			fold = false
		case 'n', 'm':
			newline = "n"
		case 'p':
			newline = "p"
		case 'w':
			newline = "w"
		case 's':
			newline = ""
		case 'q':
			literal = true
		case 'x':
			expanded = true
		case 't', 'b', 'e':
		default:
			return nil, types.Errorf(types.CodeInvalidParameterValue, "invalid regular expression option: \"%c\"", f)
		}
	}
	src := p.source
	var extras []regexExtra
	for strings.HasPrefix(src, "***") {
		switch {
		case strings.HasPrefix(src, "***="):
			literal, src = true, src[4:]
		case strings.HasPrefix(src, "***:"):
			src = src[4:]
		default:
			return nil, badRegex("quantifier operand invalid")
		}
	}
	if literal {
		src = regexp.QuoteMeta(src)
	} else {
		if m := embeddedOptions.FindStringSubmatch(src); m != nil {
			fold = fold || strings.Contains(m[1], "i")
			if strings.ContainsAny(m[1], "nm") {
				newline = "n"
			}
			expanded = expanded || strings.Contains(m[1], "x")
			src = src[len(m[0]):]
		}
		t := &regexTranslation{expanded: expanded}
		var err error
		if src, err = t.translate(src); err != nil {
			return nil, err
		}
		extras = t.extras
	}
	opts := "s"
	switch newline {
	case "n":
		opts = "m"
	case "p":
		opts = ""
	case "w":
		opts = "sm"
	}
	if fold {
		opts += "i"
	}
	// PostgreSQL prefers the longest match unless a quantifier says otherwise.
	longest := !strings.Contains(p.source, "?")
	if len(extras) > 0 {
		var err error
		longest = longest || !nonGreedy.MatchString(p.source)
		p.re, err = compileBack(src, opts, extras, longest)
		return p, err
	}
	if opts != "" {
		src = "(?" + opts + ":" + src + ")"
	}
	re, err := regexp.Compile(src)
	if err != nil {
		return nil, badRegex(regexReason(err))
	}
	if longest {
		re.Longest()
	}
	p.re = re
	return p, nil
}

// nonGreedy matches quantifiers that prefer less.
var nonGreedy = regexp.MustCompile(`[*+?}]\?`)

var embeddedOptions = regexp.MustCompile(`^\(\?([bceimnpqstwx]+)\)`)

func badRegex(reason string) error {
	return types.Errorf(types.CodeInvalidRegularExpression, "invalid regular expression: %s", reason)
}

// regexReason says in PostgreSQL's words what Go found wrong.
func regexReason(err error) string {
	s := err.Error()
	switch {
	case strings.Contains(s, "missing closing )"), strings.Contains(s, "unexpected )"):
		return "parentheses () not balanced"
	case strings.Contains(s, "missing closing ]"):
		return "brackets [] not balanced"
	case strings.Contains(s, "missing argument to repetition"), strings.Contains(s, "invalid nested repetition"):
		return "quantifier operand invalid"
	case strings.Contains(s, "invalid repeat count"):
		return "invalid repetition count(s)"
	case strings.Contains(s, "invalid character class range"):
		return "invalid character range"
	case strings.Contains(s, "trailing backslash"), strings.Contains(s, "invalid escape"):
		return "invalid escape \\ sequence"
	}
	return s
}

// regexTranslation is a pattern on its way into Go's syntax.
type regexTranslation struct {
	expanded bool
	within   bool         // it is a constraint's
	open     []int        // parentheses with the numbers of the groups they make, 0 for none
	groups   int          // begun so far
	closed   map[int]bool // those that have ended
	extras   []regexExtra
}

// paren keeps count of the groups.
func (t *regexTranslation) paren(c byte, isGroup bool) {
	n := len(t.open)
	switch {
	case c == '(' && isGroup:
		t.groups++
		t.open = append(t.open, t.groups)
	case c == '(':
		t.open = append(t.open, 0)
	case n > 0:
		if t.closed == nil {
			t.closed = map[int]bool{}
		}
		t.closed[t.open[n-1]] = true
		t.open = t.open[:n-1]
	}
}

// translate rewrites what the two syntaxes spell differently.
func (t *regexTranslation) translate(s string) (string, error) {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && !inClass && s[i+1] >= '1' && s[i+1] <= '9':
			mark, n, err := t.backReference(s[i+1:])
			if err != nil {
				return "", err
			}
			b.WriteString(mark)
			i += n
		case c == '\\' && i+1 < len(s):
			i++
			e, err := translateEscape(s[i], inClass)
			if err != nil {
				return "", err
			}
			b.WriteString(e)
		case c == '\\':
			return "", badRegex("invalid escape \\ sequence")
		case inClass:
			if c == '[' && i+1 < len(s) && (s[i+1] == ':' || s[i+1] == '.' || s[i+1] == '=') {
				end := strings.Index(s[i+2:], string(s[i+1])+"]")
				if end < 0 {
					return "", badRegex("brackets [] not balanced")
				}
				b.WriteString(s[i : i+2+end+2])
				i += 2 + end + 1
				continue
			}
			if c == '[' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
			inClass = c != ']'
		case c == '[':
			if strings.HasPrefix(s[i:], "[[:<:]]") || strings.HasPrefix(s[i:], "[[:>:]]") {
				b.WriteString(`\b`)
				i += 6
				continue
			}
			inClass = true
			b.WriteByte(c)
			if i+1 < len(s) && s[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
			if i+1 < len(s) && s[i+1] == ']' {
				i++
				b.WriteString(`\]`)
			}
		case c == '(' && strings.HasPrefix(s[i:], "(?") && i+2 < len(s) && strings.IndexByte("=!<", s[i+2]) >= 0:
			mark, n, err := t.lookaround(s[i:])
			if err != nil {
				return "", err
			}
			b.WriteString(mark)
			i += n - 1
		case c == '(' || c == ')':
			t.paren(c, !strings.HasPrefix(s[i:], "(?"))
			b.WriteByte(c)
		case t.expanded && (c == ' ' || c == '\t' || c == '\n'):
		case t.expanded && c == '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	if inClass {
		return "", badRegex("brackets [] not balanced")
	}
	return b.String(), nil
}

func translateEscape(c byte, inClass bool) (string, error) {
	switch {
	case c == 'm' || c == 'M' || c == 'y':
		return `\b`, nil
	case c == 'Y':
		return `\B`, nil
	case c == 'A':
		return `\A`, nil
	case c == 'Z':
		return `\z`, nil
	case c == 'e':
		return `\x1b`, nil
	case c == 'B':
		return `\\`, nil
	case c == 'b': // a backspace, not a word's boundary
		return `\x08`, nil
	case strings.IndexByte("dswDSWnrtfvaxu", c) >= 0:
		if c == 'a' && inClass {
			return `\x07`, nil
		}
		return `\` + string(rune(c)), nil
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return "", badRegex("invalid escape \\ sequence")
	case c >= 0x80:
		return string([]byte{c}), nil
	}
	return `\` + string(rune(c)), nil
}

func init() {
	match := func(not bool, flags string) RowFunc {
		return func(c *Call) error {
			p, err := regexFor(c, c.Str(1), flags)
			if err != nil {
				return err
			}
			is := p.re.Match(c.Bytes(0))
			if err := p.failed(); err != nil {
				return err
			}
			return c.RetBool(is != not)
		}
	}
	for _, t := range []string{"text", "name"} {
		row(t+"regexeq", match(false, ""))
		row(t+"regexne", match(true, ""))
		row(t+"icregexeq", match(false, "i"))
		row(t+"icregexne", match(true, "i"))
	}
	flag := func(c *Call, k int) string {
		if k < len(c.Args) {
			return c.Str(k)
		}
		return ""
	}
	rows(map[string]RowFunc{
		"regexp_like_no_flags": match(false, ""),
		"regexp_like": func(c *Call) error {
			if strings.Contains(flag(c, 2), "g") {
				return types.Errorf(types.CodeInvalidParameterValue, "regexp_like() does not support the \"global\" option")
			}
			return withRegex(c, flag(c, 2), func(p *pattern) error { return c.RetBool(p.re.Match(c.Bytes(0))) })
		},
		"textregexsubstr":                    func(c *Call) error { return withRegex(c, "", func(p *pattern) error { return regexSubstr(c, p) }) },
		"textregexreplace_noopt":             func(c *Call) error { return regexReplace(c, "", 1, 1) },
		"textregexreplace":                   func(c *Call) error { return regexReplaceFlags(c) },
		"textregexreplace_extended":          func(c *Call) error { return regexReplace(c, c.Str(5), c.Int(3), c.Int(4)) },
		"textregexreplace_extended_no_flags": func(c *Call) error { return regexReplace(c, "", c.Int(3), c.Int(4)) },
		"textregexreplace_extended_no_n":     func(c *Call) error { return regexReplace(c, "", c.Int(3), 1) },
		"regexp_match_no_flags":              func(c *Call) error { return regexMatch(c, "") },
		"regexp_match":                       func(c *Call) error { return regexMatch(c, c.Str(2)) },
		"regexp_split_to_array_no_flags":     func(c *Call) error { return regexSplitArray(c, "") },
		"regexp_split_to_array":              func(c *Call) error { return regexSplitArray(c, c.Str(2)) },
		"regexp_count_no_start":              func(c *Call) error { return regexCount(c, 1, "") },
		"regexp_count_no_flags":              func(c *Call) error { return regexCount(c, c.Int(2), "") },
		"regexp_count":                       func(c *Call) error { return regexCount(c, c.Int(2), c.Str(3)) },
		"similar_to_escape_1":                func(c *Call) error { return similarEscape(c, `\`) },
		"similar_to_escape_2":                func(c *Call) error { return similarEscape(c, c.Str(1)) },
		"similar_escape": func(c *Call) error {
			if c.IsNull(0) {
				return c.RetNull()
			}
			if c.IsNull(1) {
				return similarEscape(c, `\`)
			}
			return similarEscape(c, c.Str(1))
		},
	})
	for name, n := range map[string]int{"regexp_substr_no_start": 2, "regexp_substr_no_n": 3, "regexp_substr_no_flags": 4,
		"regexp_substr_no_subexpr": 5, "regexp_substr": 6} {
		row(name, func(c *Call) error { return regexpSubstr(c, n) })
	}
	for name, n := range map[string]int{"regexp_instr_no_start": 2, "regexp_instr_no_n": 3, "regexp_instr_no_endoption": 4,
		"regexp_instr_no_flags": 5, "regexp_instr_no_subexpr": 6, "regexp_instr": 7} {
		row(name, func(c *Call) error { return regexpInstr(c, n) })
	}
	setFuncs["regexp_matches"] = regexMatches
	setFuncs["regexp_matches_no_flags"] = regexMatches
	setFuncs["regexp_split_to_table"] = regexSplitTable
	setFuncs["regexp_split_to_table_no_flags"] = regexSplitTable
}

func withRegex(c *Call, flags string, f func(*pattern) error) error {
	p, err := regexFor(c, c.Str(1), flags)
	if err != nil {
		return err
	}
	if err := f(p); err != nil {
		return err
	}
	return p.failed()
}

// regexSubstr is substring(text from pattern): the first group, or the match.
func regexSubstr(c *Call, p *pattern) error {
	m := p.re.FindSubmatchIndex(c.Bytes(0))
	k := 0
	if len(m) > 2 {
		k = 2
	}
	if m == nil || m[k] < 0 {
		return c.RetNull()
	}
	return c.RetBytes(c.Bytes(0)[m[k]:m[k+1]])
}

func regexReplaceFlags(c *Call) error {
	flags := c.Str(3)
	if flags != "" && flags[0] >= '0' && flags[0] <= '9' {
		return types.Errorf(types.CodeInvalidParameterValue, "invalid regular expression option: \"%c\"", flags[0]).
			WithHint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.")
	}
	n := int64(1)
	if strings.Contains(flags, "g") {
		n = 0
	}
	return regexReplace(c, flags, 1, n)
}

func positive(what string, v int64, least int64) error {
	if v < least {
		return types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"%s\": %d", what, v)
	}
	return nil
}

// regexReplace replaces the n-th match at or after a character, or all for 0.
func regexReplace(c *Call, flags string, start, n int64) error {
	if err := positive("start", start, 1); err != nil {
		return err
	}
	if err := positive("n", n, 0); err != nil {
		return err
	}
	return withRegex(c, flags, func(p *pattern) error {
		s := c.Str(0)
		off := len(s) - len(skipRunes(s, start-1))
		var b []byte
		last, count := 0, int64(0)
		for _, m := range p.re.FindAllSubmatchIndex([]byte(s), -1) {
			if m[0] < off {
				continue
			}
			if count++; n > 0 && count != n {
				continue
			}
			b = append(b, s[last:m[0]]...)
			b = appendReplacement(b, c.Str(2), s, m)
			last = m[1]
			if n > 0 {
				break
			}
		}
		return c.RetBytes(append(b, s[last:]...))
	})
}

// appendReplacement expands \1 to \9, \& and \\.
func appendReplacement(b []byte, repl, s string, m []int) []byte {
	for i := 0; i < len(repl); i++ {
		if repl[i] != '\\' || i+1 == len(repl) {
			b = append(b, repl[i])
			continue
		}
		i++
		switch ch := repl[i]; {
		case ch == '&':
			b = append(b, s[m[0]:m[1]]...)
		case ch >= '1' && ch <= '9':
			if k := int(ch-'0') * 2; k+1 < len(m) && m[k] >= 0 {
				b = append(b, s[m[k]:m[k+1]]...)
			}
		case ch == '\\':
			b = append(b, '\\')
		default:
			b = append(b, '\\', ch)
		}
	}
	return b
}

func groups(s string, m []int) types.Array {
	var out []types.Datum
	from := 2
	if len(m) == 2 {
		from = 0
	}
	for k := from; k < len(m); k += 2 {
		if m[k] < 0 {
			out = append(out, types.Null)
		} else {
			out = append(out, types.NewString(s[m[k]:m[k+1]]))
		}
	}
	return types.NewArray(types.TextOID, out)
}

func noGlobal(flags, fn string) error {
	if strings.Contains(flags, "g") {
		return types.Errorf(types.CodeInvalidParameterValue, "%s does not support the \"global\" option", fn)
	}
	return nil
}

func regexMatch(c *Call, flags string) error {
	if err := noGlobal(flags, "regexp_match()"); err != nil {
		e := err.(*types.Error)
		e.Hint = "Use the regexp_matches function instead."
		return e
	}
	return withRegex(c, flags, func(p *pattern) error {
		m := p.re.FindStringSubmatchIndex(c.Str(0))
		if m == nil {
			return c.RetNull()
		}
		return retArray(c, groups(c.Str(0), m))
	})
}

func regexMatches(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	flags := ""
	if len(args) > 2 {
		flags = args[2].Str()
	}
	p, err := compilePattern(args[1].Str(), flags)
	if err != nil {
		return nil, err
	}
	p.cancelBy(ctx)
	n := 1
	if p.global {
		n = -1
	}
	it, s := &sliceIter{}, args[0].Str()
	for _, m := range p.re.FindAllStringSubmatchIndex(s, n) {
		it.rows = append(it.rows, []types.Datum{types.ArrayDatum(groups(s, m))})
	}
	return it, p.failed()
}

// regexSplit splits at matches; an empty match at the ends splits nothing.
func regexSplit(p *pattern, s string) []types.Datum {
	var out []types.Datum
	last := 0
	for _, m := range p.re.FindAllStringIndex(s, -1) {
		if m[0] == m[1] && (m[0] == last || m[0] >= len(s)) {
			if m[0] != last || m[0] == 0 || m[0] >= len(s) {
				continue
			}
			continue
		}
		out = append(out, types.NewString(s[last:m[0]]))
		last = m[1]
	}
	return append(out, types.NewString(s[last:]))
}

func regexSplitArray(c *Call, flags string) error {
	if err := noGlobal(flags, "regexp_split_to_array()"); err != nil {
		return err
	}
	return withRegex(c, flags, func(p *pattern) error {
		return retArray(c, types.NewArray(types.TextOID, regexSplit(p, c.Str(0))))
	})
}

func regexSplitTable(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
	flags := ""
	if len(args) > 2 {
		flags = args[2].Str()
	}
	if err := noGlobal(flags, "regexp_split_to_table()"); err != nil {
		return nil, err
	}
	p, err := compilePattern(args[1].Str(), flags)
	if err != nil {
		return nil, err
	}
	p.cancelBy(ctx)
	it := &sliceIter{}
	for _, d := range regexSplit(p, args[0].Str()) {
		it.rows = append(it.rows, []types.Datum{d})
	}
	return it, p.failed()
}

func regexCount(c *Call, start int64, flags string) error {
	if err := positive("start", start, 1); err != nil {
		return err
	}
	if err := noGlobal(flags, "regexp_count()"); err != nil {
		return err
	}
	return withRegex(c, flags, func(p *pattern) error {
		return c.RetInt(int64(len(p.re.FindAllStringIndex(skipRunes(c.Str(0), start-1), -1))))
	})
}

// nthMatch returns the n-th match from a character on, relative to all of s.
func nthMatch(c *Call, p *pattern, start, n int64) []int {
	s := c.Str(0)
	off := len(s) - len(skipRunes(s, start-1))
	ms := p.re.FindAllStringSubmatchIndex(s[off:], int(n))
	if int64(len(ms)) < n {
		return nil
	}
	m := ms[n-1]
	for k := range m {
		if m[k] >= 0 {
			m[k] += off
		}
	}
	return m
}

func optInt(args []*vec.Vector, c *Call, k, n int, def int64) int64 {
	if k < n && k < len(args) {
		return c.Int(k)
	}
	return def
}

func regexpSubstr(c *Call, n int) error {
	start, nth := optInt(c.Args, c, 2, n, 1), optInt(c.Args, c, 3, n, 1)
	flags, sub := "", optInt(c.Args, c, 5, n, 0)
	if n > 4 {
		flags = c.Str(4)
	}
	for _, e := range []error{positive("start", start, 1), positive("n", nth, 1), positive("subexpr", sub, 0), noGlobal(flags, "regexp_substr()")} {
		if e != nil {
			return e
		}
	}
	return withRegex(c, flags, func(p *pattern) error {
		m := nthMatch(c, p, start, nth)
		if k := int(sub) * 2; m == nil || k+1 >= len(m) || m[k] < 0 {
			return c.RetNull()
		}
		return c.RetStr(c.Str(0)[m[sub*2]:m[sub*2+1]])
	})
}

func regexpInstr(c *Call, n int) error {
	start, nth, end := optInt(c.Args, c, 2, n, 1), optInt(c.Args, c, 3, n, 1), optInt(c.Args, c, 4, n, 0)
	flags, sub := "", optInt(c.Args, c, 6, n, 0)
	if n > 5 {
		flags = c.Str(5)
	}
	var endErr error
	if end != 0 && end != 1 {
		endErr = types.Errorf(types.CodeInvalidParameterValue, "invalid value for parameter \"%s\": %d", "endoption", end)
	}
	for _, e := range []error{positive("start", start, 1), positive("n", nth, 1), endErr, positive("subexpr", sub, 0), noGlobal(flags, "regexp_instr()")} {
		if e != nil {
			return e
		}
	}
	return withRegex(c, flags, func(p *pattern) error {
		m := nthMatch(c, p, start, nth)
		k := int(sub)*2 + int(end)
		if m == nil || k >= len(m) || m[k] < 0 {
			return c.RetInt(0)
		}
		return c.RetInt(int64(utf8.RuneCountInString(c.Str(0)[:m[k]])) + 1)
	})
}

// similarEscape turns a SIMILAR TO pattern into a regular expression.
func similarEscape(c *Call, esc string) error {
	if utf8.RuneCountInString(esc) > 1 {
		return types.Errorf(types.CodeInvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	return c.RetStr("^(?:" + similarBody(c.Str(0), esc) + ")$")
}

// similarBody translates the inside of a SIMILAR TO pattern.
func similarBody(p, esc string) string {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(p); i++ {
		ch := p[i]
		switch {
		case esc != "" && strings.HasPrefix(p[i:], esc):
			if i += len(esc); i >= len(p) {
				continue
			}
			b.WriteString(regexp.QuoteMeta(string(p[i])))
		case inClass:
			if ch == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(ch)
			inClass = ch != ']'
		case ch == '[':
			b.WriteByte(ch)
			inClass = true
		case ch == '%':
			b.WriteString(".*")
		case ch == '_':
			b.WriteByte('.')
		case ch == '(':
			b.WriteString("(?:")
		case ch == '\\' || ch == '.' || ch == '^' || ch == '$':
			b.WriteByte('\\')
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

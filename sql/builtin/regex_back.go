package builtin

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// matcher is what is asked of a compiled regular expression.
type matcher interface {
	Match(b []byte) bool
	FindSubmatchIndex(b []byte) []int
	FindStringSubmatchIndex(s string) []int
	FindAllSubmatchIndex(b []byte, n int) [][]int
	FindAllStringSubmatchIndex(s string, n int) [][]int
	FindAllStringIndex(s string, n int) [][]int
}

// A regular expression with back references or look-around constraints, which Go's
// engine has not, is matched by backtracking. Where such a thing stands the
// translated pattern has a pair of runes that no pattern means otherwise: one from
// firstMark on, whose distance from it is the number of the extra, then markEnd.
const (
	firstMark = 0xf0000
	lastMark  = 0xf8fff
	markEnd   = 0xffffd
)

// regexExtra is a back reference, or a constraint on what is ahead or behind.
type regexExtra struct {
	group  int            // that a back reference repeats; 0 for a constraint
	inner  *syntax.Regexp // of a constraint
	source string         // of inner, as translated
	behind bool
	not    bool
}

// backRegex is such an expression.
type backRegex struct {
	re      *syntax.Regexp
	extras  []regexExtra
	groups  int
	longest bool
	fold    bool
	cancel  *atomic.Bool // ends a match that takes long; its result is not used then
	// tooDeep says that a match was given up since it nested too deeply.
	tooDeep bool
}

// maxMatchDepth bounds how deeply a match nests, which takes stack.
const maxMatchDepth = 200000

// cancelBy makes long matches end when the statement is canceled.
func (p *pattern) cancelBy(ctx *Ctx) {
	if b, ok := p.re.(*backRegex); ok && ctx != nil {
		b.cancel = ctx.Cancel
	}
}

// failed returns the error of a match that was given up.
func (p *pattern) failed() error {
	if b, ok := p.re.(*backRegex); ok && b.tooDeep {
		b.tooDeep = false
		return badRegex("regular expression is too complex")
	}
	return nil
}

// longestSteps bounds how far a longer match is looked for.
const longestSteps = 100000

// compileBack compiles a translated pattern with extras; opts are flags of Go's.
func compileBack(src, opts string, extras []regexExtra, longest bool) (*backRegex, error) {
	parse := func(s string) (*syntax.Regexp, error) {
		re, err := syntax.Parse("(?"+opts+":"+s+")", syntax.Perl)
		if err != nil {
			return nil, badRegex(regexReason(err))
		}
		return re, nil
	}
	b := &backRegex{extras: extras, longest: longest, fold: strings.Contains(opts, "i")}
	var err error
	if b.re, err = parse(src); err != nil {
		return nil, err
	}
	b.groups = b.re.MaxCap()
	for i := range extras {
		if x := &extras[i]; x.group == 0 {
			if x.inner, err = parse(x.source); err != nil {
				return nil, err
			}
		} else if x.group > b.groups {
			return nil, badRegex("invalid backreference number")
		}
	}
	return b, nil
}

// backMatch is one attempt at a match.
type backMatch struct {
	*backRegex
	s            string
	caps         []int
	steps, depth int
	ended        bool
}

// then is what is left to match behind a position; it reports success.
type then func(pos int) bool

// at finds the match that begins at a position.
func (b *backRegex) at(s string, pos int) []int {
	m := &backMatch{backRegex: b, s: s, caps: make([]int, 2*b.groups+2)}
	for i := range m.caps {
		m.caps[i] = -1
	}
	var best []int
	m.match(b.re, pos, func(end int) bool {
		if best == nil || end > best[1] {
			best = append(best[:0], m.caps...)
			best[0], best[1] = pos, end
		}
		return !b.longest || end == len(s) || m.steps > longestSteps
	})
	return best
}

// match matches an expression at a position, and what is left behind it.
func (m *backMatch) match(re *syntax.Regexp, pos int, k then) bool {
	if m.steps++; m.steps&0xfff == 0 && m.cancel != nil && m.cancel.Load() {
		m.ended = true
	}
	if m.depth++; m.depth > maxMatchDepth {
		m.ended, m.tooDeep = true, true
	}
	defer func() { m.depth-- }()
	if m.ended {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return k(pos)
	case syntax.OpLiteral:
		return m.literal(re, pos, k)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		r, n := utf8.DecodeRuneInString(m.s[pos:])
		return n > 0 && inClass(re, r) && k(pos+n)
	case syntax.OpConcat:
		return m.concat(re.Sub, pos, k)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if m.match(sub, pos, k) {
				return true
			}
		}
		return false
	case syntax.OpCapture:
		return m.capture(re, pos, k)
	case syntax.OpStar:
		return m.repeat(re, 0, -1, pos, -1, k)
	case syntax.OpPlus:
		return m.repeat(re, 1, -1, pos, -1, k)
	case syntax.OpQuest:
		return m.repeat(re, 0, 1, pos, -1, k)
	case syntax.OpRepeat:
		return m.repeat(re, re.Min, re.Max, pos, -1, k)
	}
	return m.holds(re.Op, pos) && k(pos)
}

func inClass(re *syntax.Regexp, r rune) bool {
	switch re.Op {
	case syntax.OpAnyChar:
		return true
	case syntax.OpAnyCharNotNL:
		return r != '\n'
	}
	for i := 0; i+1 < len(re.Rune); i += 2 {
		if r >= re.Rune[i] && r <= re.Rune[i+1] {
			return true
		}
	}
	return false
}

func (m *backMatch) concat(subs []*syntax.Regexp, pos int, k then) bool {
	if len(subs) == 0 {
		return k(pos)
	}
	return m.match(subs[0], pos, func(p int) bool { return m.concat(subs[1:], p, k) })
}

// literal matches characters, and the extras that stand among them.
func (m *backMatch) literal(re *syntax.Regexp, pos int, k then) bool {
	for i := 0; i < len(re.Rune); i++ {
		want := re.Rune[i]
		if want >= firstMark && want <= lastMark && i+1 < len(re.Rune) && re.Rune[i+1] == markEnd {
			var ok bool
			if pos, ok = m.extra(&m.extras[want-firstMark], pos); !ok {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(m.s[pos:])
		if n == 0 || r != want && (re.Flags&syntax.FoldCase == 0 || !foldsTo(r, want)) {
			return false
		}
		pos += n
	}
	return k(pos)
}

// foldsTo reports whether two characters differ in case alone.
func foldsTo(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

// extra matches a back reference or checks a constraint.
func (m *backMatch) extra(x *regexExtra, pos int) (next int, ok bool) {
	if x.group > 0 {
		from, to := m.caps[2*x.group], m.caps[2*x.group+1]
		if from < 0 || len(m.s)-pos < to-from {
			return pos, false
		}
		a, b := m.s[from:to], m.s[pos:pos+to-from]
		return pos + to - from, a == b || m.fold && strings.EqualFold(a, b)
	}
	saved := append([]int(nil), m.caps...) // groups within do not count
	defer copy(m.caps, saved)
	if !x.behind {
		return pos, m.match(x.inner, pos, func(int) bool { return true }) != x.not
	}
	for from := pos; ; {
		if m.match(x.inner, from, func(end int) bool { return end == pos }) {
			return pos, !x.not
		}
		if from == 0 {
			return pos, x.not
		}
		_, n := utf8.DecodeLastRuneInString(m.s[:from])
		from -= n
	}
}

func (m *backMatch) capture(re *syntax.Regexp, pos int, k then) bool {
	if 2*re.Cap+1 >= len(m.caps) {
		return m.match(re.Sub[0], pos, k) // within a constraint
	}
	from, to := m.caps[2*re.Cap], m.caps[2*re.Cap+1]
	if m.match(re.Sub[0], pos, func(end int) bool {
		was0, was1 := m.caps[2*re.Cap], m.caps[2*re.Cap+1]
		m.caps[2*re.Cap], m.caps[2*re.Cap+1] = pos, end
		if k(end) {
			return true
		}
		m.caps[2*re.Cap], m.caps[2*re.Cap+1] = was0, was1
		return false
	}) {
		return true
	}
	m.caps[2*re.Cap], m.caps[2*re.Cap+1] = from, to
	return false
}

// repeat matches an expression some more times; last is where the previous time
// began, so that matches of nothing end.
func (m *backMatch) repeat(re *syntax.Regexp, atLeast, atMost, pos, last int, k then) bool {
	if sub := re.Sub[0]; sub.Op == syntax.OpCharClass || sub.Op == syntax.OpAnyChar || sub.Op == syntax.OpAnyCharNotNL {
		return m.repeatClass(re, atLeast, atMost, pos, k)
	}
	again := func() bool {
		if atMost == 0 || atLeast <= 0 && pos == last {
			return false
		}
		return m.match(re.Sub[0], pos, func(p int) bool { return m.repeat(re, atLeast-1, max(atMost-1, -1), p, pos, k) })
	}
	if atLeast > 0 {
		return again()
	}
	if re.Flags&syntax.NonGreedy != 0 {
		return k(pos) || again()
	}
	return again() || k(pos)
}

// repeatClass is repeat for single characters, which needs no stack for each.
func (m *backMatch) repeatClass(re *syntax.Regexp, atLeast, atMost, pos int, k then) bool {
	ends := []int{pos}
	lazy := re.Flags&syntax.NonGreedy != 0
	for atMost < 0 || len(ends) <= atMost {
		if lazy && len(ends) > atLeast && k(ends[len(ends)-1]) {
			return true
		}
		at := ends[len(ends)-1]
		r, n := utf8.DecodeRuneInString(m.s[at:])
		if n == 0 || !inClass(re.Sub[0], r) {
			if lazy {
				return false
			}
			break
		}
		ends = append(ends, at+n)
	}
	if lazy {
		return len(ends) > atLeast && k(ends[len(ends)-1])
	}
	for i := len(ends) - 1; i >= atLeast; i-- {
		if k(ends[i]) {
			return true
		}
	}
	return false
}

// holds reports whether a position is where an anchor wants it.
func (m *backMatch) holds(op syntax.Op, pos int) bool {
	switch op {
	case syntax.OpBeginText:
		return pos == 0
	case syntax.OpEndText:
		return pos == len(m.s)
	case syntax.OpBeginLine:
		return pos == 0 || m.s[pos-1] == '\n'
	case syntax.OpEndLine:
		return pos == len(m.s) || m.s[pos] == '\n'
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		before, _ := utf8.DecodeLastRuneInString(m.s[:pos])
		after, _ := utf8.DecodeRuneInString(m.s[pos:])
		isBoundary := (pos > 0 && syntax.IsWordChar(before)) != (pos < len(m.s) && syntax.IsWordChar(after))
		return isBoundary == (op == syntax.OpWordBoundary)
	}
	return false
}

// from finds the first match at or behind a position.
func (b *backRegex) from(s string, pos int) []int {
	for pos <= len(s) {
		if m := b.at(s, pos); m != nil {
			return m
		}
		_, n := utf8.DecodeRuneInString(s[pos:])
		pos += max(n, 1)
	}
	return nil
}

// Match implements matcher.
func (b *backRegex) Match(s []byte) bool { return b.from(string(s), 0) != nil }

// FindSubmatchIndex implements matcher.
func (b *backRegex) FindSubmatchIndex(s []byte) []int { return b.from(string(s), 0) }

// FindStringSubmatchIndex implements matcher.
func (b *backRegex) FindStringSubmatchIndex(s string) []int { return b.from(s, 0) }

// FindAllSubmatchIndex implements matcher.
func (b *backRegex) FindAllSubmatchIndex(s []byte, n int) [][]int {
	return b.FindAllStringSubmatchIndex(string(s), n)
}

// FindAllStringIndex implements matcher.
func (b *backRegex) FindAllStringIndex(s string, n int) [][]int {
	return b.FindAllStringSubmatchIndex(s, n)
}

// FindAllStringSubmatchIndex implements matcher: an empty match right behind another
// one does not count.
func (b *backRegex) FindAllStringSubmatchIndex(s string, n int) [][]int {
	var out [][]int
	pos, last := 0, -1
	for (n < 0 || len(out) < n) && pos <= len(s) {
		m := b.from(s, pos)
		if m == nil {
			break
		}
		if m[1] > m[0] || m[0] != last {
			out = append(out, m)
		}
		if last, pos = m[1], m[1]; m[1] == m[0] {
			_, w := utf8.DecodeRuneInString(s[pos:])
			pos += max(w, 1)
		}
	}
	return out
}

// marked is what stands for an extra in a translated pattern.
func marked(extra int) (string, error) {
	if extra > lastMark-firstMark {
		return "", badRegex("regular expression is too complex")
	}
	return "(?:" + string([]rune{rune(firstMark + extra), markEnd}) + ")", nil
}

// constraintEnd finds the parenthesis that closes what follows an opening one.
func constraintEnd(s string) int {
	depth, inClass := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case inClass:
			if c == '[' && i+1 < len(s) && (s[i+1] == ':' || s[i+1] == '.' || s[i+1] == '=') {
				if end := strings.Index(s[i+2:], string(s[i+1])+"]"); end >= 0 {
					i += end + 3
				}
				continue
			}
			inClass = c != ']'
		case c == '[':
			inClass = true
			if strings.HasPrefix(s[i+1:], "^") {
				i++
			}
			if strings.HasPrefix(s[i+1:], "]") {
				i++
			}
		case c == '(':
			depth++
		case c == ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// lookaround takes a constraint off the front of s, which begins with (?=, (?!, (?<=
// or (?<!, and says how long it is.
func (t *regexTranslation) lookaround(s string) (mark string, length int, err error) {
	x := regexExtra{behind: s[2] == '<'}
	open := 3
	if x.behind {
		open = 4
	}
	if len(s) < open || s[open-1] != '=' && s[open-1] != '!' {
		return "", 0, badRegex("quantifier operand invalid")
	}
	x.not = s[open-1] == '!'
	end := constraintEnd(s[open:])
	if end < 0 {
		return "", 0, badRegex("parentheses () not balanced")
	}
	inner := &regexTranslation{expanded: t.expanded, within: true, extras: t.extras}
	if x.source, err = inner.translate(s[open : open+end]); err != nil {
		return "", 0, err
	}
	t.extras = append(inner.extras, x)
	mark, err = marked(len(t.extras) - 1)
	return mark, open + end + 1, err
}

// backReference takes the number of a group off the front of s. Of more digits than
// one that are no group's number the octal ones are a character's code.
func (t *regexTranslation) backReference(s string) (mark string, length int, err error) {
	n := 1
	for n < len(s) && isDigitByte(s[n]) {
		n++
	}
	group, err := strconv.Atoi(s[:n])
	if n > 1 && (err != nil || group > t.groups) {
		for n = 0; n < min(3, len(s)) && s[n] >= '0' && s[n] <= '7'; n++ {
		}
		if n == 0 {
			return "", 0, badRegex("invalid escape \\ sequence")
		}
		code, _ := strconv.ParseUint(s[:n], 8, 16)
		return fmt.Sprintf(`\x{%x}`, code), n, nil
	}
	if t.within || !t.closed[group] {
		return "", 0, badRegex("invalid backreference number")
	}
	t.extras = append(t.extras, regexExtra{group: group})
	mark, err = marked(len(t.extras) - 1)
	return mark, n, err
}

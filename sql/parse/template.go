package parse

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/ast"
)

// Literal is a literal that Template took out of a statement.
type Literal struct {
	Start, End int // its bytes in the statement, quotes included
	Class      ast.LiteralClass
	escaped    bool // holds doubled quotes
}

// Text returns a number as written, or what a string means. It allocates only
// for a string with quotes in it.
func (l Literal) Text(sql string) string {
	if l.Class != ast.ClassUnknown {
		return sql[l.Start:l.End]
	}
	s := sql[l.Start+1 : l.End-1]
	if l.escaped {
		s = strings.ReplaceAll(s, "''", "'")
	}
	return s
}

// Int returns the value of a literal of class int4 or int8; other classes give 0.
func (l Literal) Int(sql string) int64 {
	if l.Class != ast.ClassInt4 && l.Class != ast.ClassInt8 {
		return 0
	}
	var v int64
	for _, c := range []byte(sql[l.Start:l.End]) {
		v = v*10 + int64(c-'0')
	}
	return v
}

// Signed returns what Text does, with the sign that ParseTemplate found in front
// of a number.
func (l Literal) Signed(sql string, negated bool) string {
	if negated {
		return "-" + l.Text(sql)
	}
	return l.Text(sql)
}

// Bounds on what is worth a template: beyond them a plan is not looked for by
// its text.
const (
	maxTemplateBytes    = 256 << 10
	maxTemplateLiterals = 4096
)

// Template lexes one SELECT, INSERT, UPDATE, DELETE, VALUES or WITH statement
// and appends to key the statement with its literals replaced by their classes,
// and to literals what it replaced. Literals whose value the binder consumes
// (ORDER BY 1, numeric(10,2), INTERVAL '1' DAY) stay in the key. ok is false for
// everything else, among it several statements in one string and forms of
// literals that are rare: such text is parsed as it is. It allocates nothing if
// the buffers are large enough, and assumes standard_conforming_strings.
//
// A key that was never seen is made a tree by ParseTemplate, which alone decides
// whether the template can be used.
func Template(sql string, key []byte, literals []Literal) (_ []byte, _ []Literal, ok bool) {
	if len(sql) > maxTemplateBytes {
		return key, literals, false
	}
	l := templateLexer{sql: sql, key: key, literals: literals, byDepth: -1, typmodDepth: -1}
	ok = l.run()
	return l.key, l.literals, ok
}

// last is what the token before was: it decides what a literal means.
type last uint8

const (
	lastStart   last = iota
	lastSymbol       // an operator, a comma, an opening parenthesis
	lastOperand      // a number, a parameter, a closing parenthesis, a quoted name
	lastString
	lastWord
)

type templateLexer struct {
	sql      string
	key      []byte
	literals []Literal
	i        int // next byte to read
	copied   int // next byte that is not in the key yet

	last      last
	wordStart int // of the word, if last is lastWord
	wordEnd   int
	depth     int

	// After ORDER BY or GROUP BY, up to the parenthesis that closes around it, a
	// number right behind BY or a comma is a position.
	byDepth int
	afterBy bool
	// Inside the parentheses of numeric(10,2) and its like.
	typmodDepth int
}

// Markers in the key: control characters that cannot occur in the text around
// them, because any such character makes the lexer give up.
const marker = 0x00

func (l *templateLexer) run() bool {
	l.i = leadingBlanks(l.sql)
	l.copied = l.i
	if !l.startsPlannable() {
		return false
	}
	for l.i < len(l.sql) {
		c := l.sql[l.i]
		switch k := classes[c]; {
		case k&classIdentStart != 0:
			if !l.word() {
				return false
			}
		case k&classBlank != 0:
			l.i++
		case k&classDigit != 0:
			if !l.number() {
				return false
			}
		case k&classOperator != 0:
			if !l.operator() {
				return false
			}
		case c == ';':
			rest := l.sql[l.i+1:]
			l.copyTo(l.i)
			l.key = trimRight(l.key)
			return leadingBlanks(rest) == len(rest) && len(l.literals) <= maxTemplateLiterals
		default:
			if !l.symbol(c) {
				return false
			}
		}
	}
	l.copyTo(len(l.sql))
	l.key = trimRight(l.key)
	return len(l.literals) <= maxTemplateLiterals
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// startsPlannable tells whether the first word begins a statement that has a
// plan.
func (l *templateLexer) startsPlannable() bool {
	rest := l.sql[l.i:]
	for len(rest) > 0 && rest[0] == '(' {
		rest = rest[1:]
	}
	if len(rest) < 4 {
		return false
	}
	switch rest[0] | 0x20 {
	case 's':
		return hasWord(rest, "select")
	case 'i':
		return hasWord(rest, "insert")
	case 'u':
		return hasWord(rest, "update")
	case 'd':
		return hasWord(rest, "delete")
	case 'v':
		return hasWord(rest, "values")
	case 'w':
		return hasWord(rest, "with")
	}
	return false
}

// hasWord tells whether s begins with a word, given in lower case.
func hasWord(s, word string) bool {
	if len(s) < len(word) || len(s) > len(word) && isIdent(s[len(word)]) {
		return false
	}
	return equalFold(s[:len(word)], word)
}

// equalFold compares s with a word of lower-case letters and underscores.
func equalFold(s, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func (l *templateLexer) copyTo(end int) {
	l.key = append(l.key, l.sql[l.copied:end]...)
	l.copied = end
}

// lift replaces the token from start to end by its class.
func (l *templateLexer) lift(start, end int, class ast.LiteralClass, escaped bool) {
	l.copyTo(start)
	l.copied = end
	l.key = append(l.key, marker+byte(class))
	l.literals = append(l.literals, Literal{Start: start, End: end, Class: class, escaped: escaped})
}

func (l *templateLexer) word() bool {
	start := l.i
	end := start + 1
	sql := l.sql
	for end < len(sql) && classes[sql[end]]&classIdent != 0 {
		end++
	}
	l.i = end
	l.last, l.wordStart, l.wordEnd = lastWord, start, end
	l.afterBy = false
	switch end - start {
	case 1:
		return l.stringPrefix(start, end)
	case 2:
		if sql[start]|0x20 == 'b' && sql[start+1]|0x20 == 'y' {
			l.byDepth, l.afterBy = l.depth, true
		}
	}
	return true
}

// stringPrefix passes E'…', B'…', X'…' and N'…', which stay in the key.
func (l *templateLexer) stringPrefix(start, end int) bool {
	if end >= len(l.sql) {
		return true
	}
	c := l.sql[start] | 0x20
	switch l.sql[end] {
	case '&':
		return c != 'u'
	case '\'':
		switch c {
		case 'e':
			l.i = skipEscapeString(l.sql, end)
		case 'b', 'x', 'n':
			l.i = skipQuoted(l.sql, end)
		default:
			return true
		}
		l.last = lastString
	}
	return true
}

func (l *templateLexer) operator() bool {
	c := l.sql[l.i]
	if l.i+1 < len(l.sql) {
		switch d := l.sql[l.i+1]; {
		case c == '-' && d == '-':
			l.dropComment(skipLineComment(l.sql, l.i))
			return true
		case c == '/' && d == '*':
			end, _, closed := skipBlockComment(l.sql, l.i)
			if !closed {
				return false // the grammar says what is wrong
			}
			l.dropComment(end)
			return true
		}
	}
	l.i++
	l.last, l.afterBy = lastSymbol, false
	return true
}

// dropComment leaves a blank in the comment's place.
func (l *templateLexer) dropComment(end int) {
	l.copyTo(l.i)
	l.key = append(l.key, ' ')
	l.i, l.copied = end, end
}

func (l *templateLexer) symbol(c byte) bool {
	switch c {
	case '\'':
		return l.quoted()
	case '"':
		l.i = skipQuoted(l.sql, l.i)
		l.last = lastOperand
	case '$':
		end := skipDollar(l.sql, l.i)
		if end == l.i+1 {
			return false
		}
		l.last = lastOperand
		if !isDigit(l.sql[l.i+1]) {
			l.last = lastString
		} else if end < len(l.sql) && isIdent(l.sql[end]) {
			return false
		}
		l.i = end
	case '(', '[':
		l.openParen(c)
	case ')', ']':
		l.closeParen()
	case ',':
		l.afterBy = l.depth == l.byDepth
		l.last = lastSymbol
		l.i++
		return true
	case '.':
		if l.i+1 < len(l.sql) && isDigit(l.sql[l.i+1]) && l.last != lastOperand && l.last != lastWord {
			return l.number()
		}
		l.last = lastSymbol
		l.i++
	default:
		return false
	}
	l.afterBy = false
	return true
}

func (l *templateLexer) openParen(c byte) {
	if c == '(' && l.last == lastWord && l.typmodDepth < 0 && isTypmodWord(l.sql[l.wordStart:l.wordEnd]) {
		l.typmodDepth = l.depth
	}
	l.depth++
	l.last = lastSymbol
	l.i++
}

func (l *templateLexer) closeParen() {
	l.depth--
	if l.depth < l.byDepth {
		l.byDepth = -1
	}
	if l.depth == l.typmodDepth {
		l.typmodDepth = -1
	}
	l.last = lastOperand
	l.i++
}

// isTypmodWord tells whether numbers in parentheses behind the word are type
// modifiers rather than arguments. A wrong answer costs the template, never a
// result: ParseTemplate sees where the constants really are.
func isTypmodWord(w string) bool {
	switch len(w) {
	case 3:
		return equalFold(w, "bit") || equalFold(w, "dec")
	case 4:
		return equalFold(w, "char") || equalFold(w, "time")
	case 5:
		return equalFold(w, "float") || equalFold(w, "nchar")
	case 6:
		return equalFold(w, "bpchar") || equalFold(w, "timetz") || equalFold(w, "varbit") || equalFold(w, "second")
	case 7:
		return equalFold(w, "numeric") || equalFold(w, "varchar") || equalFold(w, "decimal") || equalFold(w, "varying")
	case 8:
		return equalFold(w, "interval")
	case 9:
		return equalFold(w, "timestamp") || equalFold(w, "character")
	case 11:
		return equalFold(w, "timestamptz")
	}
	return false
}

// Two magnitudes stay in the key, because their type depends on a minus sign in
// front of them: -2147483648 is an int4, 2147483648 an int8.
const (
	edgeInt4 = 1 << 31
	edgeInt8 = 1 << 63
)

func (l *templateLexer) number() bool {
	sql, start := l.sql, l.i
	i := start
	var v, hi uint64
	overflow := false
	for i < len(sql) && classes[sql[i]]&classDigit != 0 {
		if i-start >= 18 {
			hi, v = bits.Mul64(v, 10)
			var carry uint64
			v, carry = bits.Add64(v, uint64(sql[i]-'0'), 0)
			overflow = overflow || hi != 0 || carry != 0
		} else {
			v = v*10 + uint64(sql[i]-'0')
		}
		i++
	}
	class, edge := classOfInt(v, overflow)
	if i < len(sql) && sql[i] == '.' {
		if i+1 < len(sql) && sql[i+1] == '.' {
			return false
		}
		class, edge = ast.ClassNumeric, false
		for i++; i < len(sql) && isDigit(sql[i]); {
			i++
		}
	}
	if i < len(sql) && sql[i]|0x20 == 'e' {
		end, ok := skipExponent(sql, i)
		if !ok {
			return false
		}
		i, class, edge = end, ast.ClassNumeric, false
	}
	// 0x1F, 1_000 and 123abc are the grammar's to judge.
	if i < len(sql) && (isIdent(sql[i]) || sql[i] == '.') {
		return false
	}
	if !l.afterBy && l.typmodDepth < 0 && !edge {
		l.lift(start, i, class, false)
	}
	l.i, l.last, l.afterBy = i, lastOperand, false
	return true
}

func classOfInt(v uint64, overflow bool) (class ast.LiteralClass, edge bool) {
	switch {
	case overflow:
		return ast.ClassNumeric, false
	case v < edgeInt4:
		return ast.ClassInt4, false
	case v < edgeInt8:
		return ast.ClassInt8, v == edgeInt4
	}
	return ast.ClassNumeric, v == edgeInt8
}

func skipExponent(sql string, i int) (int, bool) {
	i++
	if i < len(sql) && (sql[i] == '+' || sql[i] == '-') {
		i++
	}
	start := i
	for i < len(sql) && isDigit(sql[i]) {
		i++
	}
	return i, i > start
}

// quoted takes a plain string. It is lifted where it can only be a value: behind
// an operator, a comma or a parenthesis, or behind one of a few keywords. Behind
// any other word it may be a typed literal.
func (l *templateLexer) quoted() bool {
	sql, start := l.sql, l.i
	escaped := false
	i := start + 1
	for {
		at := strings.IndexByte(sql[i:], '\'')
		if at < 0 {
			return false
		}
		i += at + 1
		if i >= len(sql) || sql[i] != '\'' {
			break
		}
		escaped = true
		i++
	}
	if l.last == lastString || !utf8.ValidString(sql[start:i]) || strings.IndexByte(sql[start:i], 0) >= 0 {
		return false
	}
	switch {
	case l.last == lastSymbol && l.typmodDepth < 0 && !l.afterBy,
		l.last == lastWord && valueFollows(sql[l.wordStart:l.wordEnd]) && !l.afterBy:
		l.lift(start, i, ast.ClassUnknown, escaped)
	}
	l.i, l.last, l.afterBy = i, lastString, false
	return true
}

// valueFollows lists the keywords behind which a string is a value.
func valueFollows(w string) bool {
	switch len(w) {
	case 2:
		return equalFold(w, "or")
	case 3:
		return equalFold(w, "and") || equalFold(w, "not") || equalFold(w, "all")
	case 4:
		return equalFold(w, "like") || equalFold(w, "then") || equalFold(w, "when") || equalFold(w, "else") || equalFold(w, "from") || equalFold(w, "case")
	case 5:
		return equalFold(w, "ilike") || equalFold(w, "where") || equalFold(w, "limit")
	case 6:
		return equalFold(w, "select") || equalFold(w, "escape") || equalFold(w, "offset")
	case 7:
		return equalFold(w, "between")
	case 9:
		return equalFold(w, "returning") || equalFold(w, "symmetric")
	}
	return false
}

// TemplateStatement is a statement whose lifted literals are ast.LiftedConst.
type TemplateStatement struct {
	Statement
	// Negated tells for each literal whether the grammar folded a minus sign in
	// front of it into the constant: the value is then the literal's negative.
	Negated []bool
}

// ParseTemplate parses a statement for which Template answered ok and puts an
// ast.LiftedConst in the place of every literal. ok is false if the grammar
// consumes one of them itself or the binder would by its value: no statement
// with this key can be used as a template. An error is the statement's own.
//
// Even so, constants that are equal by accident are different parameters here:
// if binding the template fails, the statement is to be parsed and bound as it
// is, and that answer counts.
func ParseTemplate(sql string, literals []Literal) (_ *TemplateStatement, ok bool, err error) {
	all, err := Parse(sql)
	if err != nil || len(all) != 1 {
		return nil, false, err
	}
	p := placer{sql: sql, literals: literals, placed: make([]bool, len(literals)), negated: make([]bool, len(literals))}
	switch all[0].Node.(type) {
	case *ast.SelectStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt:
	default:
		return nil, false, nil
	}
	p.place(all[0].Node)
	for _, done := range p.placed {
		if !done {
			return nil, false, nil
		}
	}
	if p.unsafe {
		return nil, false, nil
	}
	return &TemplateStatement{Statement: all[0], Negated: p.negated}, true, nil
}

// placer puts lifted constants into a tree.
type placer struct {
	sql      string
	literals []Literal
	placed   []bool
	negated  []bool
	fixed    int // how many nodes above consume constants by value
	unsafe   bool
}

func (p *placer) place(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.A_Const:
		return p.constant(n)
	case *ast.TypeName, *ast.DefElem, *ast.InferClause, *ast.JsonTable, *ast.IntoClause:
		p.fixed++
		defer func() { p.fixed-- }()
	case *ast.SortBy:
		p.noPosition(n.Node)
	case *ast.SelectStmt:
		if n.IntoClause != nil {
			p.unsafe = true
		}
		for _, g := range n.GroupClause {
			p.noPosition(g)
		}
		for _, d := range n.DistinctClause {
			p.noPosition(d)
		}
	case *ast.GroupingSet:
		for _, g := range n.Content {
			p.noPosition(g)
		}
	}
	ast.MapChildren(n, p.place)
	return n
}

// noPosition gives up on a constant that stands where a position may.
func (p *placer) noPosition(n ast.Node) {
	if c, ok := n.(*ast.A_Const); ok {
		if _, _, lifted := p.find(c.Location); lifted {
			p.unsafe = true
		}
	}
}

func (p *placer) constant(n *ast.A_Const) ast.Node {
	k, negated, ok := p.find(n.Location)
	if !ok || n.Isnull {
		return n
	}
	if p.fixed > 0 || p.placed[k] && p.negated[k] != negated {
		p.unsafe = true
		return n
	}
	p.placed[k], p.negated[k] = true, negated
	return &ast.LiftedConst{Index: k, Class: p.literals[k].Class, Location: n.Location}
}

// find returns the lifted literal that a constant at location comes from. The
// grammar folds minus signs into numbers and then locates the constant at the
// first of them.
func (p *placer) find(location int) (k int, negated, ok bool) {
	i := location
	for i >= 0 && i < len(p.sql) && (p.sql[i] == '-' || i > location && isBlank(p.sql[i])) {
		if p.sql[i] == '-' {
			negated = !negated
		}
		i++
	}
	lo, hi := 0, len(p.literals)
	for lo < hi {
		mid := (lo + hi) / 2
		if p.literals[mid].Start < i {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(p.literals) || p.literals[lo].Start != i {
		return 0, false, false
	}
	return lo, negated, true
}

// Restore puts literals back into a template's tree as the constants that the
// grammar makes of them. It changes and returns the tree given.
func Restore(n ast.Node, sql string, literals []Literal, negated []bool) ast.Node {
	l, ok := n.(*ast.LiftedConst)
	if !ok {
		ast.MapChildren(n, func(c ast.Node) ast.Node { return Restore(c, sql, literals, negated) })
		return n
	}
	return literals[l.Index].Const(sql, negated[l.Index], l.Location)
}

// Const returns the constant that the grammar makes of a literal.
func (l Literal) Const(sql string, negated bool, location int) *ast.A_Const {
	text := l.Text(sql)
	out := &ast.A_Const{Location: location}
	switch l.Class {
	case ast.ClassUnknown:
		out.Val = &ast.String{Sval: text}
	case ast.ClassInt4:
		v := int32(l.Int(sql))
		if negated {
			v = -v
		}
		out.Val = &ast.Integer{Ival: v}
	default:
		out.Val = &ast.Float{Fval: l.Signed(sql, negated)}
	}
	return out
}

// Key returns a literal's text with its class, for messages and tests.
func (l Literal) Key(sql string) string {
	return l.Class.String() + " " + strconv.Quote(l.Text(sql))
}

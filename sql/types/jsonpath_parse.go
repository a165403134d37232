package types

import (
	"strconv"
	"strings"
)

// CheckLikeRegex, if set, checks the regular expression of a jsonpath's like_regex;
// flags are i, s, m and q. Matching is not this package's affair.
var CheckLikeRegex func(pattern, flags string) error

// maxPathDepth bounds how deeply a jsonpath may nest.
const maxPathDepth = 5000

// ParseJSONPath parses a jsonpath.
func ParseJSONPath(s string) (*JSONPath, error) {
	p := &pathParser{scan: pathScanner{s: s}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == 0 {
		return nil, syntaxError("jsonpath", s)
	}
	out := &JSONPath{}
	if p.isWord("strict") || p.isWord("lax") {
		out.Strict = p.isWord("strict")
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	var err error
	if out.Root, err = p.or(); err != nil {
		return nil, err
	}
	if p.tok.kind != 0 {
		return nil, p.fail()
	}
	return out, checkPath(out.Root, 0, false)
}

type pathParser struct {
	scan  pathScanner
	tok   pathToken
	depth int
}

func (p *pathParser) advance() (err error) {
	p.tok, err = p.scan.next()
	return err
}

// fail is a syntax error at the current token. As bison has read a token only when
// it needs one, an error at a word shows as one at the end.
func (p *pathParser) fail() error {
	if p.tok.kind == 'o' {
		return pathError("syntax error", p.tok.raw)
	}
	return pathError("syntax error", "")
}

func (p *pathParser) isWord(w string) bool { return p.tok.kind == 'k' && p.tok.text == w }
func (p *pathParser) isOp(op string) bool  { return p.tok.kind == 'o' && p.tok.text == op }

func (p *pathParser) expect(op string) error {
	if !p.isOp(op) {
		return p.fail()
	}
	return p.advance()
}

func (p *pathParser) expectWord(w string) error {
	if !p.isWord(w) {
		return p.fail()
	}
	return p.advance()
}

// or parses an expression or a predicate; so do the functions below it, each for
// what binds tighter.
func (p *pathParser) or() (*PathItem, error) {
	if p.depth++; p.depth > maxPathDepth {
		return nil, Errorf(CodeStatementTooComplex, "stack depth limit exceeded")
	}
	defer func() { p.depth-- }()
	return p.logical("||", PathOr, func() (*PathItem, error) { return p.logical("&&", PathAnd, p.comparison) })
}

func (p *pathParser) logical(op string, kind PathKind, operand func() (*PathItem, error)) (*PathItem, error) {
	left, err := operand()
	for err == nil && p.isOp(op) {
		if !left.isPredicate() {
			return nil, p.fail()
		}
		if err = p.advance(); err != nil {
			break
		}
		var right *PathItem
		if right, err = operand(); err != nil {
			break
		}
		if !right.isPredicate() {
			return nil, p.fail()
		}
		left = &PathItem{Kind: kind, Left: left, Right: right}
	}
	return left, err
}

var pathComparisons = map[string]PathKind{"==": PathEqual, "!=": PathNotEqual, "<": PathLess, ">": PathGreater,
	"<=": PathLessOrEqual, ">=": PathGreaterOrEqual}

func (p *pathParser) comparison() (*PathItem, error) {
	if p.isOp("!") {
		return p.not()
	}
	left, err := p.additive()
	if err != nil {
		return nil, err
	}
	kind, isComparison := pathComparisons[p.tok.text]
	switch {
	case p.tok.kind == 'o' && isComparison:
		return p.compare(kind, left)
	case p.isWord("starts"):
		return p.startsWith(left)
	case p.isWord("like_regex"):
		return p.likeRegex(left)
	}
	return left, nil
}

func (p *pathParser) compare(kind PathKind, left *PathItem) (*PathItem, error) {
	if left.isPredicate() {
		return nil, p.fail()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	right, err := p.additive()
	if err != nil {
		return nil, err
	}
	if right.isPredicate() {
		return nil, p.fail()
	}
	return &PathItem{Kind: kind, Left: left, Right: right}, nil
}

// not parses ! before a predicate in parentheses or exists.
func (p *pathParser) not() (*PathItem, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	var arg *PathItem
	var err error
	switch {
	case p.isWord("exists"):
		arg, err = p.exists()
	case p.isOp("("):
		arg, err = p.parenthesized()
	default:
		return nil, p.fail()
	}
	if err == nil && !arg.isPredicate() {
		err = p.fail()
	}
	return &PathItem{Kind: PathNot, Left: arg}, err
}

func (p *pathParser) exists() (*PathItem, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.isOp("(") {
		return nil, p.fail()
	}
	arg, err := p.parenthesized()
	if err == nil && arg.isPredicate() {
		err = p.fail()
	}
	return &PathItem{Kind: PathExists, Left: arg}, err
}

// parenthesized parses what stands in parentheses.
func (p *pathParser) parenthesized() (*PathItem, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	return x, p.expect(")")
}

func (p *pathParser) startsWith(left *PathItem) (*PathItem, error) {
	if left.isPredicate() {
		return nil, p.fail()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if err := p.expectWord("with"); err != nil {
		return nil, err
	}
	kind := PathString
	if p.tok.kind == 'v' {
		kind = PathVariable
	} else if p.tok.kind != 's' {
		return nil, p.fail()
	}
	right := &PathItem{Kind: kind, Str: p.tok.text}
	return &PathItem{Kind: PathStartsWith, Left: left, Right: right}, p.advance()
}

func (p *pathParser) likeRegex(left *PathItem) (*PathItem, error) {
	if left.isPredicate() {
		return nil, p.fail()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != 's' {
		return nil, p.fail()
	}
	x := &PathItem{Kind: PathLikeRegex, Left: left, Str: p.tok.text}
	if err := p.advance(); err != nil {
		return nil, err
	}
	given := ""
	if p.isWord("flag") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind != 's' {
			return nil, p.fail()
		}
		given = p.tok.text
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return x, x.setFlags(given)
}

// setFlags checks the flags of like_regex and the regular expression under them.
func (i *PathItem) setFlags(given string) error {
	for _, f := range given {
		if !strings.ContainsRune("ismxq", f) {
			return Errorf(CodeSyntaxError, "invalid input syntax for type jsonpath").
				WithDetail("Unrecognized flag character \"%c\" in LIKE_REGEX predicate.", f)
		}
	}
	for _, f := range "ismxq" {
		if strings.ContainsRune(given, f) {
			i.Flags += string(f)
		}
	}
	if strings.Contains(i.Flags, "x") && !strings.Contains(i.Flags, "q") {
		return Errorf(CodeFeatureNotSupported, "XQuery \"x\" flag (expanded regular expressions) is not implemented")
	}
	if CheckLikeRegex != nil {
		return CheckLikeRegex(i.Str, i.Flags)
	}
	return nil
}

func (p *pathParser) additive() (*PathItem, error) {
	return p.arithmetic(map[string]PathKind{"+": PathAdd, "-": PathSub}, func() (*PathItem, error) {
		return p.arithmetic(map[string]PathKind{"*": PathMul, "/": PathDiv, "%": PathMod}, p.unary)
	})
}

func (p *pathParser) arithmetic(ops map[string]PathKind, operand func() (*PathItem, error)) (*PathItem, error) {
	left, err := operand()
	for err == nil && p.tok.kind == 'o' {
		kind, ok := ops[p.tok.text]
		if !ok {
			break
		}
		if left.isPredicate() {
			return nil, p.fail()
		}
		if err = p.advance(); err != nil {
			break
		}
		var right *PathItem
		if right, err = operand(); err != nil {
			break
		}
		if right.isPredicate() {
			return nil, p.fail()
		}
		left = &PathItem{Kind: kind, Left: left, Right: right}
	}
	return left, err
}

// unary parses signs; those of a number are part of it.
func (p *pathParser) unary() (*PathItem, error) {
	if !p.isOp("+") && !p.isOp("-") {
		return p.primary()
	}
	if p.depth++; p.depth > maxPathDepth {
		return nil, Errorf(CodeStatementTooComplex, "stack depth limit exceeded")
	}
	defer func() { p.depth-- }()
	kind := PathPlus
	if p.isOp("-") {
		kind = PathMinus
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	arg, err := p.unary()
	if err != nil {
		return nil, err
	}
	if arg.isPredicate() {
		return nil, p.fail()
	}
	if arg.Kind == PathNumber && arg.Next == nil {
		if kind == PathMinus {
			arg.Num = arg.Num.Neg()
		}
		return arg, nil
	}
	return &PathItem{Kind: kind, Left: arg}, nil
}

// primary parses a literal, a start of a path or parentheses, and the steps on from
// there.
func (p *pathParser) primary() (*PathItem, error) {
	var x *PathItem
	var err error
	switch {
	case p.isWord("exists"):
		return p.exists()
	case p.isOp("("):
		if x, err = p.parenthesized(); err != nil {
			return nil, err
		}
		if p.isWord("is") {
			return p.isUnknown(x)
		}
	default:
		if x, err = p.start(); err != nil {
			return nil, err
		}
		if err = p.advance(); err != nil {
			return nil, err
		}
	}
	for end := x.end(); ; end = end.Next {
		step, err := p.step()
		if err != nil || step == nil {
			return x, err
		}
		end.Next = step
	}
}

func (p *pathParser) isUnknown(x *PathItem) (*PathItem, error) {
	if !x.isPredicate() {
		return nil, p.fail()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return &PathItem{Kind: PathIsUnknown, Left: x}, p.expectWord("unknown")
}

// start reads the current token as the start of a path.
func (p *pathParser) start() (*PathItem, error) {
	switch t := p.tok; t.kind {
	case 's':
		return &PathItem{Kind: PathString, Str: t.text}, nil
	case 'v':
		return &PathItem{Kind: PathVariable, Str: t.text}, nil
	case 'n':
		n, err := ParseNumeric(t.text)
		return &PathItem{Kind: PathNumber, Num: n}, err
	case 'k':
		switch t.text {
		case "null":
			return &PathItem{Kind: PathNull}, nil
		case "true", "false":
			return &PathItem{Kind: PathBool, Bool: t.text == "true"}, nil
		case "last":
			return &PathItem{Kind: PathLast}, nil
		}
	case 'o':
		switch t.text {
		case "$":
			return &PathItem{Kind: PathRoot}, nil
		case "@":
			return &PathItem{Kind: PathCurrent}, nil
		}
	}
	return nil, p.fail()
}

// step parses an accessor, a filter or a method; nil if none follows.
func (p *pathParser) step() (*PathItem, error) {
	switch {
	case p.isOp("."):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.afterDot()
	case p.isOp("["):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.subscripts()
	case p.isOp("?"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		arg, err := p.parenthesizedPredicate()
		return &PathItem{Kind: PathFilter, Left: arg}, err
	}
	return nil, nil
}

func (p *pathParser) parenthesizedPredicate() (*PathItem, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	x, err := p.or()
	if err == nil && !x.isPredicate() {
		err = p.fail()
	}
	if err != nil {
		return nil, err
	}
	return x, p.expect(")")
}

func (p *pathParser) afterDot() (*PathItem, error) {
	switch t := p.tok; {
	case p.isOp("*"):
		return &PathItem{Kind: PathAnyKey}, p.advance()
	case p.isOp("**"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.levels()
	case t.kind == 'i' || t.kind == 's':
		return &PathItem{Kind: PathKey, Str: t.text}, p.advance()
	case t.kind == 'k':
		if err := p.advance(); err != nil {
			return nil, err
		}
		for k := PathType; k <= PathKeyValue; k++ {
			if k.String() == t.text && p.isOp("(") {
				return p.method(k)
			}
		}
		return &PathItem{Kind: PathKey, Str: t.raw}, nil
	}
	return nil, p.fail()
}

func (p *pathParser) method(k PathKind) (*PathItem, error) {
	x := &PathItem{Kind: k}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if k == PathDatetime && p.tok.kind == 's' {
		x.Left = &PathItem{Kind: PathString, Str: p.tok.text}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return x, p.expect(")")
}

// levels parses what may follow **.
func (p *pathParser) levels() (*PathItem, error) {
	x := &PathItem{Kind: PathAny, Last: PathLevelLast}
	if !p.isOp("{") {
		return x, nil
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var err error
	if x.First, err = p.level(); err != nil {
		return nil, err
	}
	x.Last = x.First
	if p.isWord("to") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if x.Last, err = p.level(); err != nil {
			return nil, err
		}
	}
	return x, p.expect("}")
}

func (p *pathParser) level() (uint32, error) {
	if p.isWord("last") {
		return PathLevelLast, p.advance()
	}
	if p.tok.kind != 'n' || strings.ContainsAny(p.tok.text, ".eE") {
		return 0, p.fail()
	}
	v, err := strconv.ParseInt(p.tok.text, 10, 32)
	if err != nil {
		return 0, Errorf(CodeNumericValueOutOfRange, "value \"%s\" is out of range for type integer", p.tok.text)
	}
	return uint32(v), p.advance()
}

// subscripts parses what follows [.
func (p *pathParser) subscripts() (*PathItem, error) {
	if p.isOp("*") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &PathItem{Kind: PathAnyArray}, p.expect("]")
	}
	x := &PathItem{Kind: PathIndex}
	for {
		var s PathSubscript
		var err error
		if s.From, err = p.additive(); err != nil {
			return nil, err
		}
		if p.isWord("to") {
			if err := p.advance(); err != nil {
				return nil, err
			}
			if s.To, err = p.additive(); err != nil {
				return nil, err
			}
		}
		if s.From.isPredicate() || s.To != nil && s.To.isPredicate() {
			return nil, p.fail()
		}
		x.Subs = append(x.Subs, s)
		if !p.isOp(",") {
			return x, p.expect("]")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// checkPath refuses @ outside of filters and last outside of subscripts; filters is
// how many enclose the item.
func checkPath(i *PathItem, filters int, inSubscript bool) error {
	for ; i != nil; i = i.Next {
		switch {
		case i.Kind == PathCurrent && filters == 0:
			return Errorf(CodeSyntaxError, "@ is not allowed in root expressions")
		case i.Kind == PathLast && !inSubscript:
			return Errorf(CodeSyntaxError, "LAST is allowed only in array subscripts")
		}
		within := filters
		if i.Kind == PathFilter {
			within++
		}
		for _, arg := range []*PathItem{i.Left, i.Right} {
			if err := checkPath(arg, within, inSubscript); err != nil {
				return err
			}
		}
		for _, s := range i.Subs {
			for _, arg := range []*PathItem{s.From, s.To} {
				if err := checkPath(arg, filters, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

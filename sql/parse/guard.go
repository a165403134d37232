package parse

import (
	"strings"
	"unicode/utf8"

	"github.com/pamirdb/pamir/sql/types"
)

// Limits of the guard. The grammars recurse on the C stack and cannot be
// stopped; these are well below what kills them.
const (
	maxStatementBytes = 80 << 20
	maxNesting        = 1000 // open parentheses, brackets and CASEs
	maxChain          = 4000 // depth of the tree that operators build
	maxCommentDepth   = 32
)

// frame is one open parenthesis, bracket or CASE.
type frame struct {
	opener byte // '(', '[' or 'c' for CASE
	spine  int  // set operations and joins so far: each deepens the tree on its left
	arm    int  // depth of the expression being read
	max    int  // deepest expression so far
}

func (f *frame) depth() int { return f.spine + f.arm }

func (f *frame) settle() {
	if d := f.depth(); d > f.max {
		f.max = d
	}
}

// nest estimates the depth of the tree that a grammar will build, from tokens
// alone and never below the truth by more than a constant factor.
type nest struct {
	frames []frame
}

func (n *nest) top() *frame { return &n.frames[len(n.frames)-1] }

// operator notes count operators: the tree on their left gets deeper.
func (n *nest) operator(count int) bool {
	f := n.top()
	f.arm += count
	return f.depth() <= maxChain
}

// endArm starts another expression beside the one before.
func (n *nest) endArm() {
	f := n.top()
	f.settle()
	f.arm = 0
}

func (n *nest) extendSpine() bool {
	n.endArm()
	f := n.top()
	f.spine++
	return f.spine <= maxChain
}

func (n *nest) open(opener byte) bool {
	n.frames = append(n.frames, frame{opener: opener})
	return len(n.frames) <= maxNesting
}

// closeOne leaves the innermost frame; its contents are an operand of the
// expression around it.
func (n *nest) closeOne() bool {
	f := n.top()
	f.settle()
	inner := f.max + 1
	n.frames = n.frames[:len(n.frames)-1]
	outer := n.top()
	outer.arm = max(outer.arm, inner)
	return outer.depth() <= maxChain
}

// close leaves frames up to the one that closer closes, if there is any.
func (n *nest) close(opener byte) bool {
	at := len(n.frames) - 1
	for at > 0 && n.frames[at].opener != opener {
		if opener == 'c' {
			return true // END of something else than a CASE
		}
		at--
	}
	if at == 0 {
		return true // the grammar will object
	}
	for len(n.frames) > at {
		if !n.closeOne() {
			return false
		}
	}
	return true
}

func (n *nest) reset() {
	n.frames = append(n.frames[:0], frame{})
}

func tooComplex(what string, limit int) error {
	return types.Errorf(types.CodeStatementTooComplex, "statement is too complex: %s exceed the limit of %d", what, limit)
}

// guardText refuses what no grammar may see: too many bytes, zero bytes and
// text that is not UTF-8.
func guardText(sql string) error {
	if len(sql) > maxStatementBytes {
		return types.Errorf(types.CodeProgramLimitExceeded, "statement of %d bytes exceeds the limit of %d bytes", len(sql), maxStatementBytes)
	}
	if strings.IndexByte(sql, 0) >= 0 || !utf8.ValidString(sql) {
		return types.CheckUTF8([]byte(sql))
	}
	return nil
}

// guardPostgres is the linear scan before the PostgreSQL grammar.
func guardPostgres(sql string) error {
	if err := guardText(sql); err != nil {
		return err
	}
	n := nest{frames: make([]frame, 1, 16)}
	for i := 0; i < len(sql); {
		next, err := n.token(sql, i)
		if err != nil {
			return err
		}
		i = next
	}
	return nil
}

var (
	errChain   = tooComplex("chained operators", maxChain)
	errNesting = tooComplex("nested parentheses", maxNesting)
	errComment = tooComplex("nested comments", maxCommentDepth)
)

// token takes one token at i and returns where the next begins.
func (n *nest) token(sql string, i int) (int, error) {
	ok, err := true, errChain
	switch c := sql[i]; {
	case isBlank(c):
		i++
	case isIdentStart(c):
		start := i
		i = skipIdent(sql, i)
		if i < len(sql) && sql[i] == '\'' && i-start == 1 && (c|0x20) == 'e' {
			return skipEscapeString(sql, i), nil
		}
		if i-start <= maxGuardWord {
			return i, n.word(sql[start:i])
		}
	case c == '\'':
		i = skipQuoted(sql, i)
	case c == '"':
		i = skipQuoted(sql, i)
	case c == '$':
		i = skipDollar(sql, i)
	case c == '(' || c == '[':
		ok, err, i = n.open(c), errNesting, i+1
	case c == ')':
		ok, i = n.close('('), i+1
	case c == ']':
		ok, i = n.close('['), i+1
	case c == ',':
		n.endArm()
		i++
	case c == ';':
		n.reset()
		i++
	case c == '-' && strings.HasPrefix(sql[i:], "--"):
		i = skipLineComment(sql, i)
	case c == '/' && strings.HasPrefix(sql[i:], "/*"):
		var depth int
		i, depth, _ = skipBlockComment(sql, i)
		ok, err = depth <= maxCommentDepth, errComment
	case isOperator(c):
		var count int
		i, count = skipOperator(sql, i)
		ok = n.operator(count)
	default:
		i++
	}
	if !ok {
		return 0, err
	}
	return i, nil
}

// skipOperator passes a run of operator characters. Plus and minus signs in it
// may each be an operator of their own.
func skipOperator(sql string, i int) (next, count int) {
	count = 1
	start := i
	for i < len(sql) && isOperator(sql[i]) {
		if i > start {
			if strings.HasPrefix(sql[i:], "--") || strings.HasPrefix(sql[i:], "/*") {
				break
			}
			if sql[i] == '+' || sql[i] == '-' {
				count++
			}
		}
		i++
	}
	return i, count
}

const maxGuardWord = 9 // INTERSECT

// word notes what keywords do to the tree.
func (n *nest) word(w string) error {
	var low [maxGuardWord]byte
	for i := 0; i < len(w); i++ {
		low[i] = w[i] | 0x20
	}
	ok := true
	switch string(low[:len(w)]) {
	case "case":
		if !n.open('c') {
			return errNesting
		}
	case "end":
		ok = n.close('c')
	case "and", "or", "when", "then", "else", "select", "from", "where", "having", "group", "order",
		"limit", "values", "set", "on", "returning":
		n.endArm()
	case "union", "intersect", "except", "join":
		ok = n.extendSpine()
	case "not", "is", "isnull", "notnull", "like", "ilike", "similar", "in", "between", "collate", "at", "operator":
		ok = n.operator(1)
	}
	if !ok {
		return errChain
	}
	return nil
}

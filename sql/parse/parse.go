package parse

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// Statement is one statement of a string.
type Statement struct {
	Node ast.Node
	// Text is the statement without surrounding blanks, comments before it and
	// its semicolon; Offset is its first byte's place in the whole string, which
	// node locations count from as well.
	Text   string
	Offset int
}

// Parse parses all statements of a string in the PostgreSQL dialect. A string
// without a statement gives none. Trees may be shared between calls: whoever
// changes one copies it first.
func Parse(sql string) ([]Statement, error) {
	if st, ok := parseTransactionWord(sql); ok {
		return st, nil
	}
	if err := guardPostgres(sql); err != nil {
		return nil, err
	}
	tree, err := parser.ParseToProtobuf(sql)
	if err != nil {
		return nil, grammarError(err, sql)
	}
	var r wireReader
	raws := r.statements(tree)
	if r.bad || r.unknown != 0 {
		return nil, types.Errorf(types.CodeInternal, "the grammar returned a tree that cannot be read (node %d)", r.unknown)
	}
	out := make([]Statement, 0, len(raws))
	for _, raw := range raws {
		out = append(out, newStatement(sql, raw.Stmt, raw.StmtLocation, raw.StmtLen))
	}
	return out, nil
}

// ParseOne parses a string that must hold exactly one statement, as Parse of
// the extended protocol and PREPARE do. ok is false if it holds none.
func ParseOne(sql string) (st Statement, ok bool, err error) {
	all, err := Parse(sql)
	switch {
	case err != nil:
		return Statement{}, false, err
	case len(all) == 0:
		return Statement{}, false, nil
	case len(all) > 1:
		return Statement{}, false, types.Errorf(types.CodeSyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	return all[0], true, nil
}

func newStatement(sql string, node ast.Node, offset, length int) Statement {
	text := sql[offset:]
	if length > 0 {
		text = text[:length]
	}
	skip := leadingBlanks(text)
	return Statement{Node: node, Text: strings.TrimRight(text[skip:], " \t\r\n\f\v;"), Offset: offset + skip}
}

// leadingBlanks counts the bytes of blanks and comments in front of text.
func leadingBlanks(text string) int {
	i := 0
	for i < len(text) {
		switch c := text[i]; {
		case isBlank(c):
			i++
		case c == '-' && strings.HasPrefix(text[i:], "--"):
			i = skipLineComment(text, i)
		case c == '/' && strings.HasPrefix(text[i:], "/*"):
			end, _, closed := skipBlockComment(text, i)
			if !closed {
				return i
			}
			i = end
		default:
			return i
		}
	}
	return i
}

// maxTokenInMessage bounds the part of a statement that an error message
// repeats: a token may be as long as the statement.
const maxTokenInMessage = 512

func grammarError(err error, sql string) error {
	var pe *parser.Error
	if !errors.As(err, &pe) {
		return types.Errorf(types.CodeSyntaxError, "%s", err.Error())
	}
	msg := pe.Message
	if head, ok := strings.CutPrefix(msg, `syntax error at or near "`); ok && len(head) > maxTokenInMessage {
		cut := maxTokenInMessage
		for cut > 0 && !utf8.RuneStart(head[cut]) {
			cut--
		}
		msg = `syntax error at or near "` + head[:cut] + `..."`
	}
	e := types.Errorf(codeOfMessage(msg), "%s", msg).At(pe.Cursorpos)
	if msg == "invalid Unicode escape" {
		if inUnicodeString(sql, pe.Cursorpos) {
			e.Code = types.CodeSyntaxError
			return e.WithHint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
		}
		e = e.WithHint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
	}
	return e
}

// inUnicodeString reports whether the character at a position, from 1, is in a string
// or name that begins with U&.
func inUnicodeString(sql string, position int) bool {
	runes := []rune(sql)
	for i := min(position, len(runes)) - 1; i > 0; i-- {
		if runes[i] == '\'' || runes[i] == '"' {
			return runes[i-1] == '&'
		}
	}
	return false
}

// codesOfMessages gives the SQLSTATE of the grammar's messages that are no
// syntax errors: the grammar reports text only.
var codesOfMessages = []struct{ part, code string }{
	{"not yet implemented", types.CodeFeatureNotSupported},
	{"is not implemented", types.CodeFeatureNotSupported},
	{"is no longer supported", types.CodeFeatureNotSupported},
	{"not supported on recursive views", types.CodeFeatureNotSupported},
	{"current database cannot be changed", types.CodeFeatureNotSupported},
	{"aggregates cannot have output arguments", types.CodeFeatureNotSupported},
	{"precision for type float", types.CodeInvalidParameterValue},
	{"invalid byte sequence", types.CodeCharacterNotInRepertoire},
	{"invalid Unicode escape value", types.CodeSyntaxError},
	{"unsafe use of \\'", types.CodeNonstandardUseOfEscape},
	{"invalid Unicode escape character", types.CodeSyntaxError},
	{"invalid Unicode escape", types.CodeInvalidEscapeSequence},
	{"invalid Unicode surrogate", types.CodeSyntaxError},
	{"unsafe use of string constant", types.CodeFeatureNotSupported},
	{"stack depth limit exceeded", types.CodeStatementTooComplex},
	{"memory exhausted", types.CodeStatementTooComplex},
	{"out of memory", types.CodeOutOfMemory},
	{"there is no parameter", types.CodeUndefinedParameter},
}

func codeOfMessage(msg string) string {
	if strings.HasPrefix(msg, "syntax error") {
		return types.CodeSyntaxError
	}
	for _, m := range codesOfMessages {
		if strings.Contains(msg, m.part) {
			return m.code
		}
	}
	return types.CodeSyntaxError
}

// CharPosition converts a node's location in sql to the position that error
// messages carry: characters, from 1; 0 for an unknown location.
func CharPosition(sql string, location int) int {
	if location < 0 || location > len(sql) {
		return 0
	}
	return utf8.RuneCountInString(sql[:location]) + 1
}

// transactionWords are the statements that clients send around every
// transaction; their trees are made once.
var transactionWords = map[string]*ast.TransactionStmt{
	"begin":             {Kind: ast.TRANS_STMT_BEGIN, Location: -1},
	"begin transaction": {Kind: ast.TRANS_STMT_BEGIN, Location: -1},
	"begin work":        {Kind: ast.TRANS_STMT_BEGIN, Location: -1},
	"start transaction": {Kind: ast.TRANS_STMT_START, Location: -1},
	"commit":            {Kind: ast.TRANS_STMT_COMMIT, Location: -1},
	"end":               {Kind: ast.TRANS_STMT_COMMIT, Location: -1},
	"rollback":          {Kind: ast.TRANS_STMT_ROLLBACK, Location: -1},
	"abort":             {Kind: ast.TRANS_STMT_ROLLBACK, Location: -1},
}

const maxTransactionWord = len("start transaction")

// parseTransactionWord answers the plainest transaction statements without the
// grammar, which costs more than the rest of such a statement.
func parseTransactionWord(sql string) ([]Statement, bool) {
	if len(sql) < 3 || len(sql) > maxTransactionWord+4 {
		return nil, false
	}
	text := strings.TrimRight(sql, " \t\r\n")
	text = strings.TrimSuffix(text, ";")
	if len(text) > maxTransactionWord {
		return nil, false
	}
	var low [maxTransactionWord]byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	node, ok := transactionWords[string(low[:len(text)])]
	if !ok {
		return nil, false
	}
	return []Statement{{Node: node, Text: text}}, true
}

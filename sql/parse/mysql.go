package parse

import (
	"fmt"
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// ParseMySQL parses all statements of a string in the MySQL dialect into the
// same trees as Parse. Names fold to lower case, quoted or not, as MySQL does
// under lower_case_table_names: what was imported can be named without quotes.
// One statement may become several (a table and its indexes), all with the same
// text. Node locations are unknown.
func ParseMySQL(sql string) ([]Statement, error) {
	if err := guardText(sql); err != nil {
		return nil, err
	}
	clean, err := cleanMySQL(sql)
	if err != nil {
		return nil, err
	}
	var out []Statement
	for start := 0; start < len(clean); {
		end := endOfMySQLStatement(clean, start)
		text := clean[start:end]
		lead := len(text) - len(strings.TrimLeft(text, " \t\r\n\f\v"))
		if text = strings.TrimSpace(text); text != "" {
			nodes, err := lowerMySQL(text)
			if err != nil {
				return nil, err
			}
			for _, n := range nodes {
				out = append(out, Statement{Node: n, Text: text, Offset: start + lead})
			}
		}
		start = end + 1
	}
	return out, nil
}

// cleanMySQL blanks comments out and unwraps conditional ones, in place, so that
// offsets stay. On the way it bounds nesting and chains as the other guard does.
func cleanMySQL(sql string) (string, error) {
	n := nest{frames: make([]frame, 1, 16)}
	var b []byte // a copy as soon as something changes
	blank := func(from, to int) {
		if b == nil {
			b = []byte(sql)
		}
		for ; from < to; from++ {
			if b[from] != '\n' {
				b[from] = ' '
			}
		}
	}
	conditional := 0 // open conditional comments
	for i := 0; i < len(sql); {
		end, isComment := skipMySQLComment(sql, i)
		switch {
		case isComment && strings.HasPrefix(sql[i:], "/*!"):
			start := i
			for i += 3; i < len(sql) && isDigit(sql[i]); {
				i++
			}
			blank(start, i)
			conditional++
			continue
		case isComment:
			blank(i, end)
			i = end
			continue
		case conditional > 0 && strings.HasPrefix(sql[i:], "*/"):
			blank(i, i+2)
			conditional--
			i += 2
			continue
		case sql[i] == '\'' || sql[i] == '"':
			i = skipEscapeString(sql, i)
			continue
		case sql[i] == '`':
			i = skipQuoted(sql, i)
			continue
		case sql[i] == '$':
			i++
			continue
		case isOperator(sql[i]):
			// One at a time: what PostgreSQL takes for a comment inside a run of
			// operators is none here.
			if !n.operator(1) {
				return "", errChain
			}
			i++
			continue
		}
		next, err := n.token(sql, i)
		if err != nil {
			return "", err
		}
		i = next
	}
	if b == nil {
		return sql, nil
	}
	return string(b), nil
}

// skipMySQLComment recognizes a comment at i: two dashes need a blank behind
// them here, and # begins a comment too.
func skipMySQLComment(sql string, i int) (end int, ok bool) {
	switch sql[i] {
	case '#':
		return skipLineComment(sql, i), true
	case '-':
		if strings.HasPrefix(sql[i:], "--") && (i+2 == len(sql) || isBlank(sql[i+2])) {
			return skipLineComment(sql, i), true
		}
	case '/':
		if strings.HasPrefix(sql[i:], "/*") {
			if at := strings.Index(sql[i+2:], "*/"); at >= 0 {
				return i + 2 + at + 2, true
			}
			return len(sql), true
		}
	}
	return i, false
}

// endOfMySQLStatement finds the semicolon, or the end, in text without comments.
func endOfMySQLStatement(sql string, i int) int {
	for i < len(sql) {
		switch sql[i] {
		case ';':
			return i
		case '\'', '"':
			i = skipEscapeString(sql, i)
		case '`':
			i = skipQuoted(sql, i)
		default:
			i++
		}
	}
	return len(sql)
}

func unsupportedMySQL(format string, args ...any) error {
	return types.Errorf(types.CodeFeatureNotSupported, "MySQL dialect: "+format, args...)
}

// lowerMySQL lowers one statement without comments.
func lowerMySQL(text string) ([]ast.Node, error) {
	if nodes, ok, err := mysqlCommand(text); ok || err != nil {
		return nodes, err
	}
	st, err := parseMySQLGrammar(text)
	if err != nil {
		return nil, err
	}
	l := mysqlLowerer{}
	n := l.statement(st)
	if l.err != nil {
		return nil, l.err
	}
	return []ast.Node{n}, nil
}

// parseMySQLGrammar runs the grammar, which panics on some input.
func parseMySQLGrammar(text string) (st sqlparser.Statement, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = types.Errorf(types.CodeSyntaxError, "syntax error: %s", fmt.Sprint(r))
		}
	}()
	st, perr := sqlparser.ParseStrictDDL(keepWildcards(text))
	if perr != nil {
		return nil, mysqlSyntaxError(text, perr)
	}
	return st, nil
}

func mysqlSyntaxError(text string, err error) error {
	msg := err.Error()
	e := types.Errorf(types.CodeSyntaxError, "%s", msg)
	var at int
	if _, scanErr := fmt.Sscanf(msg, "syntax error at position %d", &at); scanErr == nil && at > 0 {
		e.Message = "syntax error"
		if _, near, ok := strings.Cut(msg, " near '"); ok {
			e.Message = `syntax error at or near "` + strings.TrimSuffix(near, "'") + `"`
			at -= len(near) - 1
		}
		e.Position = max(1, CharPosition(text, min(max(at-1, 0), len(text))))
	}
	return e
}

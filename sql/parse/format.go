package parse

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// Format writes a statement's tree as SQL of the PostgreSQL dialect. Lifted
// literals are written as parameters.
func Format(n ast.Node) (string, error) {
	if HasNoText(n) {
		return "", types.Errorf(types.CodeFeatureNotSupported, "REPLACE has no form in PostgreSQL's grammar")
	}
	w := wireWriter{}
	w.integer(1, grammarVersion())
	at := w.open(2)
	w.raiseRawStmt(&ast.RawStmt{Stmt: n})
	w.close(at)
	if w.err != nil {
		return "", types.Errorf(types.CodeInternal, "no text for node %s", w.err.Tag())
	}
	text, err := parser.DeparseFromProtobuf(w.b)
	if err != nil {
		var pe *parser.Error
		if errors.As(err, &pe) {
			return "", types.Errorf(types.CodeInternal, "formatting %s: %s", n.Tag(), pe.Message)
		}
		return "", err
	}
	return text, nil
}

// grammarVersion is what the deparser wants to read at the head of a tree: what
// the parser of the same library writes there.
var grammarVersion = sync.OnceValue(func() uint64 {
	var r wireReader
	tree, err := parser.ParseToProtobuf("")
	if err != nil {
		return 0
	}
	_, version, _, _ := r.next(tree)
	return version
})

// FormatExpr writes a scalar expression as SQL.
func FormatExpr(n ast.Node) (string, error) {
	text, err := Format(&ast.SelectStmt{
		TargetList:  []ast.Node{&ast.ResTarget{Val: n}},
		LimitOption: ast.LIMIT_OPTION_DEFAULT,
		Op:          ast.SETOP_NONE,
	})
	return strings.TrimPrefix(text, "SELECT "), err
}

// ParseExpr parses a scalar expression alone.
func ParseExpr(text string) (ast.Node, error) {
	const head = "SELECT "
	st, ok, err := ParseOne(head + text)
	if err != nil {
		var te *types.Error
		if errors.As(err, &te) && te.Position > len(head) {
			moved := *te
			moved.Position -= len(head)
			return nil, &moved
		}
		return nil, err
	}
	if ok {
		sel, isSelect := st.Node.(*ast.SelectStmt)
		if isSelect && len(sel.TargetList) == 1 && len(sel.FromClause) == 0 && sel.WhereClause == nil && sel.Op == ast.SETOP_NONE {
			if target, isTarget := sel.TargetList[0].(*ast.ResTarget); isTarget && target.Name == "" && len(target.Indirection) == 0 {
				return target.Val, nil
			}
		}
	}
	return nil, types.Errorf(types.CodeSyntaxError, "invalid expression: %s", text)
}

// Dump prints a tree for golden files: one field a line, zero fields left out.
func Dump(n ast.Node) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(n), 0)
	return b.String()
}

func dumpValue(b *strings.Builder, v reflect.Value, indent int) {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Invalid:
		b.WriteString("nil\n")
	case reflect.Pointer:
		dumpStruct(b, v.Elem(), indent)
	case reflect.Slice:
		b.WriteByte('\n')
		for i := range v.Len() {
			fmt.Fprintf(b, "%*s- ", indent, "")
			dumpValue(b, v.Index(i), indent+2)
		}
	case reflect.String:
		b.WriteString(strconv.Quote(v.String()) + "\n")
	default:
		fmt.Fprintf(b, "%v\n", v.Interface())
	}
}

func dumpStruct(b *strings.Builder, v reflect.Value, indent int) {
	if !v.IsValid() {
		b.WriteString("nil\n")
		return
	}
	b.WriteString(v.Type().Name() + "\n")
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		fmt.Fprintf(b, "%*s%s: ", indent+2, "", v.Type().Field(i).Name)
		dumpValue(b, f, indent+4)
	}
}

package session

import (
	"strings"
	"unicode"

	"github.com/pamirdb/pamir/sql/ast"
)

// statementWords are the statements whose nodes are not called as they are
// written.
var statementWords = map[string]string{
	"CompositeTypeStmt": "CREATE TYPE AS", "CreateTrigStmt": "CREATE TRIGGER", "RuleStmt": "CREATE RULE", "CreateRangeStmt": "CREATE TYPE AS RANGE",
	"CreateStatsStmt": "CREATE STATISTICS", "AlterStatsStmt": "ALTER STATISTICS", "CreatePLangStmt": "CREATE LANGUAGE", "CreateAmStmt": "CREATE ACCESS METHOD",
	"CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER", "CreateForeignServerStmt": "CREATE SERVER", "CreateEventTrigStmt": "CREATE EVENT TRIGGER",
	"CreateTableSpaceStmt": "CREATE TABLESPACE", "DefineStmt": "this form of CREATE", "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
	"SecLabelStmt": "SECURITY LABEL", "AlterTsdictionaryStmt": "ALTER TEXT SEARCH DICTIONARY", "AlterTsconfigurationStmt": "ALTER TEXT SEARCH CONFIGURATION",
}

// statementName is what a statement is called in messages.
func statementName(n ast.Node) string {
	tag := n.Tag().String()
	if w, ok := statementWords[tag]; ok {
		return w
	}
	var b strings.Builder
	for i, c := range strings.TrimSuffix(tag, "Stmt") {
		if i > 0 && unicode.IsUpper(c) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToUpper(c))
	}
	return b.String()
}

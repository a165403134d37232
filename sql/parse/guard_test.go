package parse

import (
	"strings"
	"testing"

	"github.com/pamirdb/pamir/sql/types"
)

// TestExtremes feeds what would overflow the grammar's stack or its time: each
// must parse or be refused with the given SQLSTATE, and the process must live.
func TestExtremes(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct {
		name, sql, code string
	}{
		{"terms", "SELECT 1" + rep("+1", 100_000), "54001"},
		{"terms at the limit", "SELECT 1" + rep("+1", 3_990), "00000"},
		{"concatenation at the limit", "SELECT ''" + rep("||'a'", 3_990), "00000"},
		{"or arms", "SELECT 1 WHERE a = 1" + rep(" OR a = 1", 50_000), "00000"},
		{"and or arms", "SELECT 1 WHERE a = 1" + rep(" OR a = 1 AND b = 2", 20_000), "00000"},
		{"parentheses", "SELECT " + rep("(", 5_000) + "1" + rep(")", 5_000), "54001"},
		{"parentheses at the limit", "SELECT " + rep("(", 990) + "1" + rep(")", 990), "00000"},
		{"subqueries", rep("SELECT (", 990) + "SELECT 1" + rep(")", 990), "00000"},
		{"subqueries too deep", rep("SELECT (", 5_000) + "SELECT 1" + rep(")", 5_000), "54001"},
		{"subqueries in from", rep("SELECT * FROM (", 900) + "SELECT 1" + rep(") x", 900), "00000"},
		{"in subqueries", rep("SELECT 1 WHERE 1 IN (", 900) + "SELECT 1" + rep(")", 900), "00000"},
		{"left spine", "SELECT " + rep("(", 900) + "1" + rep("+1+1+1+1+1)", 900), "54001"},
		{"left spine at the limit", "SELECT " + rep("(", 900) + "1" + rep("+1+1+1)", 900), "00000"},
		{"brackets", "SELECT a" + rep("[a", 5_000) + rep("]", 5_000), "54001"},
		{"brackets at the limit", "SELECT a" + rep("[a", 990) + rep("]", 990), "00000"},
		{"unclosed", "SELECT " + rep("(", 900), "42601"},
		{"closed only", "SELECT " + rep(")", 100_000), "42601"},
		{"cases", "SELECT " + rep("CASE WHEN true THEN ", 5_000) + "1" + rep(" END", 5_000), "54001"},
		{"cases at the limit", "SELECT " + rep("CASE WHEN true THEN ", 990) + "1" + rep(" END", 990), "00000"},
		{"nots", "SELECT " + rep("NOT ", 100_000) + "true", "54001"},
		{"nots at the limit", "SELECT " + rep("NOT ", 3_990) + "true", "00000"},
		{"minuses", "SELECT " + rep("- ", 100_000) + "a", "54001"},
		{"pluses", "SELECT " + rep("+", 100_000) + "a", "54001"},
		{"casts", "SELECT 1" + rep("::int", 100_000), "54001"},
		{"casts at the limit", "SELECT 1" + rep("::int", 3_990), "00000"},
		{"collations", "SELECT a" + rep(` COLLATE "C"`, 100_000), "54001"},
		{"time zones", "SELECT a" + rep(" AT TIME ZONE 'x'", 100_000), "54001"},
		{"unions", "SELECT 1" + rep(" UNION ALL SELECT 1", 100_000), "54001"},
		{"unions at the limit", "SELECT 1" + rep(" UNION ALL SELECT 1", 3_990), "00000"},
		{"joins", "SELECT 1 FROM a" + rep(" CROSS JOIN a", 100_000), "54001"},
		{"joins at the limit", "SELECT 1 FROM a" + rep(" JOIN a ON x = y", 3_990), "00000"},
		{"right nested joins", "SELECT 1 FROM a" + rep(" JOIN a", 3_990) + rep(" ON x = y", 3_990), "00000"},
		{"calls", "SELECT " + rep("f(", 5_000) + rep(")", 5_000), "54001"},
		{"comments", rep("/*", 100_000) + rep("*/", 100_000), "54001"},
		{"comments at the limit", rep("/*", 32) + rep("*/", 32) + "SELECT 1", "00000"},
		{"unclosed comment", "SELECT 1 /*" + rep("x", 1_000_000), "42601"},
		{"list", "SELECT 1 WHERE 1 IN (1" + rep(",1", 200_000) + ")", "00000"},
		{"dots", "SELECT a" + rep(".a", 20_000), "00000"},
		{"statements", rep("SELECT 1;", 20_000), "00000"},
		{"parentheses in a string", "SELECT '" + rep("(", 100_000) + "'", "00000"},
		{"operators in dollar quotes", "SELECT $x$" + rep("+1", 100_000) + "$x$", "00000"},
		{"operators in a comment", "SELECT 1 -- " + rep("+1", 100_000), "00000"},
		{"long identifier", "SELECT " + rep("a", 1_000_000), "00000"},
		{"zero byte", "SELECT 'a\x00b'", "22021"},
		{"invalid text", "SELECT 'a\xff'", "22021"},
		{"too long", rep(" ", maxStatementBytes+1), "54000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.sql)
			if got := types.CodeOf(err); got != c.code {
				t.Fatalf("got %s, want %s: %.200v", got, c.code, err)
			}
		})
	}
}

// TestLargeLiteral keeps its 64 MB apart from the table above.
func TestLargeLiteral(t *testing.T) {
	if testing.Short() {
		t.Log("short: 4 MB only")
	}
	sql := "SELECT '" + strings.Repeat("x", 64<<20) + "'"
	st, err := Parse(sql)
	if err != nil {
		t.Fatal(err)
	}
	if len(st) != 1 || len(st[0].Text) != len(sql) {
		t.Fatalf("got %d statements", len(st))
	}
}

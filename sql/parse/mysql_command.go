package parse

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// mysqlCommand takes the statements that are translated by words rather than by
// the grammar: definitions, which the grammar only skims, and SHOW and its kin.
// They are written in the PostgreSQL dialect and parsed again.
func mysqlCommand(text string) (nodes []ast.Node, ok bool, err error) {
	p := newMySQLTokens(text)
	var out []string
	switch {
	case p.eat("create"):
		out, err = p.create()
	case p.eat("alter", "table"):
		out, err = p.alterTable()
	case p.eat("drop"):
		out, err = p.drop()
	case p.eat("truncate"):
		p.eat("table")
		out = []string{"TRUNCATE " + p.tableName()}
		err = p.end()
	case p.eat("show"):
		out, err = p.show()
	case p.eat("describe", "table"), p.eat("describe"), p.eat("desc"):
		out = []string{describeMySQL(p.name())}
		err = p.end()
	case p.eat("use"):
		out = []string{"SET search_path TO " + p.ident()}
		err = p.end()
	case p.eat("start", "transaction"):
		out = []string{"START TRANSACTION"}
	case p.eat("savepoint"):
		out = []string{"SAVEPOINT " + p.ident()}
	case p.eat("rollback", "to"):
		p.eat("savepoint")
		out = []string{"ROLLBACK TO " + p.ident()}
	case p.eat("release", "savepoint"):
		out = []string{"RELEASE " + p.ident()}
	case p.eat("set"):
		out, err = p.set()
	case p.eat("lock"), p.eat("unlock"):
		err = unsupportedMySQL("LOCK TABLES is not supported")
	case p.eat("explain"):
		return explainMySQL(p)
	default:
		return nil, false, nil
	}
	if err == nil {
		err = p.err
	}
	if err != nil {
		return nil, false, err
	}
	for _, sql := range out {
		all, err := Parse(sql)
		if err != nil {
			return nil, false, err
		}
		for _, s := range all {
			nodes = append(nodes, s.Node)
		}
	}
	return nodes, true, nil
}

func explainMySQL(p *mysqlTokens) ([]ast.Node, bool, error) {
	if p.i < len(p.tokens) && p.tokens[p.i].kind != mysqlWord {
		nodes, err := lowerMySQL("describe " + p.rest())
		return nodes, err == nil, err
	}
	nodes, err := lowerMySQL(p.rest())
	if err != nil || len(nodes) != 1 {
		return nil, false, err
	}
	return []ast.Node{&ast.ExplainStmt{Query: nodes[0]}}, true, nil
}

// show covers what tools ask first.
func (p *mysqlTokens) show() ([]string, error) {
	const tables = `SELECT tablename AS "Tables" FROM pg_catalog.pg_tables WHERE schemaname = current_schema()`
	p.eat("full")
	switch {
	case p.eat("tables"):
		sql := tables
		if p.eat("from") || p.eat("in") {
			sql = strings.Replace(tables, "current_schema()", quoteText(p.name()), 1)
		}
		if p.eat("like") {
			sql += " AND tablename LIKE " + quoteText(p.text())
		}
		return []string{sql + " ORDER BY 1"}, p.end()
	case p.eat("databases"), p.eat("schemas"):
		return []string{`SELECT nspname AS "Database" FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1`}, p.end()
	case p.eat("columns"), p.eat("fields"):
		if !p.eat("from") && !p.eat("in") {
			return nil, p.unexpected()
		}
		return []string{describeMySQL(p.name())}, p.end()
	case p.eat("index"), p.eat("indexes"), p.eat("keys"):
		if !p.eat("from") && !p.eat("in") {
			return nil, p.unexpected()
		}
		return []string{`SELECT tablename AS "Table", indexname AS "Key_name", indexdef AS "Definition" FROM pg_catalog.pg_indexes WHERE schemaname = current_schema() AND tablename = ` + quoteText(p.name()) + ` ORDER BY 2`}, p.end()
	case p.eat("variables"), p.eat("session", "variables"), p.eat("global", "variables"):
		sql := `SELECT name AS "Variable_name", setting AS "Value" FROM pg_catalog.pg_settings`
		if p.eat("like") {
			sql += " WHERE name LIKE " + quoteText(p.text())
		}
		return []string{sql + " ORDER BY 1"}, p.end()
	case p.eat("warnings"), p.eat("errors"):
		return []string{`SELECT ''::text AS "Level", 0 AS "Code", ''::text AS "Message" WHERE false`}, p.end()
	}
	return nil, unsupportedMySQL("SHOW %s is not supported", p.rest())
}

func describeMySQL(table string) string {
	return `SELECT column_name AS "Field", data_type AS "Type", is_nullable AS "Null", column_default AS "Default"` +
		` FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ` + quoteText(table) +
		` ORDER BY ordinal_position`
}

// set accepts what clients and dumps set at their start; user variables have no
// counterpart.
func (p *mysqlTokens) set() ([]string, error) {
	if p.eat("names") || p.eat("character", "set") {
		return []string{"SET client_encoding TO 'UTF8'"}, nil
	}
	if p.eat("session", "transaction", "isolation", "level") {
		return []string{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL " + p.rest()}, nil
	}
	if p.eat("transaction", "isolation", "level") {
		return []string{"SET TRANSACTION ISOLATION LEVEL " + p.rest()}, nil
	}
	if p.eat("autocommit") && p.symbol("=") {
		if p.text() == "1" {
			return nil, nil
		}
		return nil, unsupportedMySQL("autocommit cannot be switched off")
	}
	if p.i < len(p.tokens) && p.tokens[p.i].kind == mysqlSymbol {
		return nil, unsupportedMySQL("SET %s is not supported", p.rest())
	}
	p.eat("session")
	name := p.name()
	if p.err != nil || !p.symbol("=") {
		return nil, p.unexpected()
	}
	value := quoteText(p.text())
	if serverOnly[name] {
		return nil, p.end()
	}
	if name == "time_zone" {
		name = "timezone"
	}
	return []string{"SET " + quoteName(name) + " TO " + value}, p.end()
}

// serverOnly are settings of MySQL's that mean nothing here and that its clients
// set without asking.
var serverOnly = set(`sql_mode foreign_key_checks unique_checks sql_notes character_set_client
	character_set_results character_set_connection collation_connection wait_timeout net_write_timeout`)

func (p *mysqlTokens) drop() ([]string, error) {
	if p.eat("index") {
		name := p.name()
		if !p.eat("on") {
			return nil, p.unexpected()
		}
		return []string{"DROP INDEX " + quoteName(p.name()+"_"+name)}, p.end()
	}
	var b strings.Builder
	b.WriteString("DROP ")
	switch {
	case p.eat("table"), p.eat("temporary", "table"):
		b.WriteString("TABLE ")
	case p.eat("view"):
		b.WriteString("VIEW ")
	case p.eat("database"), p.eat("schema"):
		b.WriteString("SCHEMA ")
	default:
		return nil, unsupportedMySQL("DROP %s is not supported", p.rest())
	}
	if p.eat("if", "exists") {
		b.WriteString("IF EXISTS ")
	}
	b.WriteString(p.tableName())
	for p.symbol(",") {
		b.WriteString(", " + p.tableName())
	}
	if p.eat("cascade") {
		b.WriteString(" CASCADE")
	}
	p.eat("restrict")
	return []string{b.String()}, p.end()
}

func (p *mysqlTokens) alterTable() ([]string, error) {
	t := mysqlTable{name: p.tableName()}
	t.base = p.lastName
	for {
		if err := p.alterAction(&t); err != nil {
			return nil, err
		}
		if !p.symbol(",") {
			break
		}
	}
	if len(t.actions) > 0 {
		sql := "ALTER TABLE " + t.name + " " + strings.Join(t.actions, ", ")
		t.before = append(t.before, strings.ReplaceAll(sql, identityMark, identityClause))
	}
	return append(t.before, t.after...), p.end()
}

func (p *mysqlTokens) alterAction(t *mysqlTable) error {
	switch {
	case p.eat("add"):
		if p.isTableItem() {
			before := len(t.items)
			if err := p.tableItem(t); err != nil {
				return err
			}
			for _, item := range t.items[before:] {
				t.actions = append(t.actions, "ADD "+item)
			}
			t.items = t.items[:before]
			return nil
		}
		p.eat("column")
		def, err := p.column(t)
		if err != nil {
			return err
		}
		p.placement()
		t.actions = append(t.actions, "ADD COLUMN "+def)
	case p.eat("drop", "primary", "key"):
		t.actions = append(t.actions, "DROP CONSTRAINT "+quoteName(t.base+"_pkey"))
	case p.eat("drop", "foreign", "key"), p.eat("drop", "constraint"):
		t.actions = append(t.actions, "DROP CONSTRAINT "+p.ident())
	case p.eat("drop", "index"), p.eat("drop", "key"):
		t.after = append(t.after, "DROP INDEX "+quoteName(t.base+"_"+p.name()))
	case p.eat("drop"):
		p.eat("column")
		t.actions = append(t.actions, "DROP COLUMN "+p.ident())
	case p.eat("rename"):
		if !p.eat("to") {
			p.eat("as")
		}
		t.after = append(t.after, "ALTER TABLE "+t.name+" RENAME TO "+p.ident())
	case p.eat("modify"):
		p.eat("column")
		return p.modify(t)
	case p.eat("disable", "keys"), p.eat("enable", "keys"):
	case p.peekWord("auto_increment"), p.peekWord("engine"), p.peekWord("comment"), p.peekWord("default"), p.peekWord("charset"):
		p.options(t)
	default:
		return unsupportedMySQL("ALTER TABLE %s is not supported", p.rest())
	}
	return p.err
}

// modify changes a column's type, nullability and identity, as dumps do that
// define keys apart from tables.
func (p *mysqlTokens) modify(t *mysqlTable) error {
	name := p.ident()
	typ, check := p.columnType(name)
	t.actions = append(t.actions, "ALTER COLUMN "+name+" TYPE "+typ)
	if check != "" {
		t.actions = append(t.actions, "ADD "+check)
	}
	c, err := p.columnOptions(t)
	if err != nil {
		return err
	}
	p.placement()
	if c.notNull {
		t.actions = append(t.actions, "ALTER COLUMN "+name+" SET NOT NULL")
	}
	if c.def != "" {
		t.actions = append(t.actions, "ALTER COLUMN "+name+" SET DEFAULT "+c.def)
	}
	if c.identity {
		t.actions = append(t.actions, "ALTER COLUMN "+name+" ADD GENERATED BY DEFAULT AS IDENTITY")
	}
	return nil
}

// placement passes FIRST and AFTER: columns have no places of their own here.
func (p *mysqlTokens) placement() {
	if p.eat("after") {
		p.name()
		return
	}
	p.eat("first")
}

func (p *mysqlTokens) unexpected() error {
	if p.err != nil {
		return p.err
	}
	if p.i >= len(p.tokens) {
		return types.Errorf(types.CodeSyntaxError, "syntax error at end of input").At(CharPosition(p.sql, len(p.sql)))
	}
	t := p.tokens[p.i]
	return types.Errorf(types.CodeSyntaxError, "syntax error at or near %q", p.sql[t.start:t.end]).At(CharPosition(p.sql, t.start))
}

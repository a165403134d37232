package pgcatalog

import (
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// QuoteIdent quotes an identifier where PostgreSQL would.
func QuoteIdent(name string) string {
	plain := name != ""
	for i := 0; i < len(name) && plain; i++ {
		c := name[i]
		plain = c >= 'a' && c <= 'z' || c == '_' || i > 0 && (c >= '0' && c <= '9' || c == '$')
	}
	if plain && !reserved[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// reserved are the key words that cannot stand as a column's or table's name.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric authorization between bigint
		binary bit boolean both case cast char character check coalesce collate collation column concurrently constraint
		create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user
		dec decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze
		from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is
		isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not
		notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary
		real references returning right row select session_user setof similar smallint some substring symmetric table
		tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose
		when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
		xmlserialize xmltable`) {
		m[w] = true
	}
	return m
}()

// qualified prints a relation's name, with its schema unless the search path
// finds it without.
func qualified(r *catalog.SessionResolver, h *catalog.Header, always bool) string {
	if !always {
		if oid, _, ok := r.RelationOID(catalog.Name{Name: h.Name}); ok && oid == h.ID {
			return QuoteIdent(h.Name)
		}
	}
	if d, ok := r.ByOID(h.Schema); ok {
		return QuoteIdent(d.Head().Name) + "." + QuoteIdent(h.Name)
	}
	return QuoteIdent(h.Name)
}

// IndexDef is pg_get_indexdef: the statement that makes the index, or with
// column > 0 the text of that one key column.
func IndexDef(r *catalog.SessionResolver, oid types.OID, column int, pretty bool) (string, bool) {
	d, ok := r.ByOID(oid)
	t, isTable := d.(*catalog.Table)
	if !ok || !isTable {
		return "", false
	}
	x, ok := t.Index(oid)
	if !ok {
		return "", false
	}
	if column > 0 {
		if column > len(x.Columns)+len(x.Include) {
			return "", true
		}
		if column > len(x.Columns) {
			return columnName(t, x.Include[column-len(x.Columns)-1]), true
		}
		return indexColumn(r, t, &x.Columns[column-1], pretty), true
	}
	var b strings.Builder
	b.WriteString("CREATE ")
	if x.Unique {
		b.WriteString("UNIQUE ")
	}
	method := x.Method
	if method == "" {
		method = "btree"
	}
	b.WriteString("INDEX " + QuoteIdent(x.Name) + " ON " + qualified(r, &t.Header, !pretty) + " USING " + method + " (")
	for i := range x.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		c := &x.Columns[i]
		b.WriteString(indexColumn(r, t, c, pretty))
		b.WriteString(indexOrder(c))
	}
	b.WriteByte(')')
	if len(x.Include) > 0 {
		b.WriteString(" INCLUDE (" + columnList(t, x.Include) + ")")
	}
	if x.NullsNotDistinct {
		b.WriteString(" NULLS NOT DISTINCT")
	}
	if x.Predicate != nil {
		b.WriteString(" WHERE " + exprText(r, t, x.Predicate, pretty))
	}
	return b.String(), true
}

// KeyPart is the text of an index's key part as messages show it.
func KeyPart(r *catalog.SessionResolver, t *catalog.Table, c *catalog.IndexColumn) string {
	return indexColumn(r, t, c, true)
}

func indexColumn(r *catalog.SessionResolver, t *catalog.Table, c *catalog.IndexColumn, pretty bool) string {
	if c.Expr == nil {
		return columnName(t, c.Column)
	}
	text := exprText(r, t, c.Expr, pretty)
	if looksLikeCall(c.Expr.Tree) {
		return text
	}
	return "(" + text + ")"
}

func indexOrder(c *catalog.IndexColumn) string {
	switch {
	case c.Desc && c.NullsFirst:
		return " DESC"
	case c.Desc:
		return " DESC NULLS LAST"
	case c.NullsFirst:
		return " NULLS FIRST"
	}
	return ""
}

func columnName(t *catalog.Table, id catalog.ColumnID) string {
	if c, ok := t.Column(id); ok {
		return QuoteIdent(c.Name)
	}
	return "?"
}

func columnList(t *catalog.Table, ids []catalog.ColumnID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = columnName(t, id)
	}
	return strings.Join(names, ", ")
}

// ConstraintDef is pg_get_constraintdef.
func ConstraintDef(r *catalog.SessionResolver, oid types.OID, pretty bool) (string, bool) {
	d, ok := r.ByOID(oid)
	t, isTable := d.(*catalog.Table)
	if !ok || !isTable {
		return "", false
	}
	c, ok := t.Constraint(oid)
	if !ok {
		return "", false
	}
	var b strings.Builder
	switch c.Kind {
	case catalog.CheckConstraint:
		b.WriteString("CHECK (" + exprText(r, t, c.Check, pretty) + ")")
		if c.NoInherit {
			b.WriteString(" NO INHERIT")
		}
	case catalog.PrimaryKey, catalog.UniqueConstraint:
		b.WriteString(map[catalog.ConstraintKind]string{catalog.PrimaryKey: "PRIMARY KEY", catalog.UniqueConstraint: "UNIQUE"}[c.Kind])
		x, _ := t.Index(c.Index)
		if x != nil && x.NullsNotDistinct {
			b.WriteString(" NULLS NOT DISTINCT")
		}
		b.WriteString(" (" + columnList(t, c.Columns) + ")")
		if x != nil && len(x.Include) > 0 {
			b.WriteString(" INCLUDE (" + columnList(t, x.Include) + ")")
		}
	case catalog.ForeignKey:
		foreignKeyDef(&b, r, t, c)
	}
	if c.Deferrable {
		b.WriteString(" DEFERRABLE")
	}
	if c.InitiallyDeferred {
		b.WriteString(" INITIALLY DEFERRED")
	}
	if c.NotValid {
		b.WriteString(" NOT VALID")
	}
	return b.String(), true
}

func foreignKeyDef(b *strings.Builder, r *catalog.SessionResolver, t *catalog.Table, c *catalog.Constraint) {
	b.WriteString("FOREIGN KEY (" + columnList(t, c.Columns) + ") REFERENCES ")
	if d, ok := r.ByOID(c.RefTable); ok {
		if ref, ok := d.(*catalog.Table); ok {
			b.WriteString(qualified(r, &ref.Header, false) + "(" + columnList(ref, c.RefColumns) + ")")
		}
	}
	if c.Match == 'f' {
		b.WriteString(" MATCH FULL")
	}
	if a := fkAction(c.OnUpdate); a != "NO ACTION" {
		b.WriteString(" ON UPDATE " + a)
	}
	if a := fkAction(c.OnDelete); a != "NO ACTION" {
		b.WriteString(" ON DELETE " + a)
		if len(c.OnDeleteSet) > 0 {
			b.WriteString(" (" + columnList(t, c.OnDeleteSet) + ")")
		}
	}
}

func fkAction(a catalog.FKAction) string {
	switch a {
	case catalog.FKRestrict:
		return "RESTRICT"
	case catalog.FKCascade:
		return "CASCADE"
	case catalog.FKSetNull:
		return "SET NULL"
	case catalog.FKSetDefault:
		return "SET DEFAULT"
	}
	return "NO ACTION"
}

// TypeName is format_type for every type, users' included.
func TypeName(r *catalog.SessionResolver, t types.Type) string {
	if _, ok := types.Lookup(t.OID); ok {
		return t.String()
	}
	if e := types.ElemOf(t.OID); e != 0 {
		return TypeName(r, types.Of(e)) + "[]"
	}
	if d, ok := r.ByOID(t.OID); ok {
		if ut, ok := d.(*catalog.Type); ok {
			if found, ok := r.Type(catalog.Name{Name: ut.Name}); ok && found.ID == ut.ID {
				return QuoteIdent(ut.Name)
			}
			if sc, ok := r.ByOID(ut.Schema); ok {
				return QuoteIdent(sc.Head().Name) + "." + QuoteIdent(ut.Name)
			}
			return QuoteIdent(ut.Name)
		}
	}
	name := "???"
	r.Snapshot().Each(func(d catalog.Descriptor) bool {
		switch x := d.(type) {
		case *catalog.Table:
			if x.RowType == t.OID {
				name = qualified(r, &x.Header, false)
				return false
			}
		}
		return true
	})
	return name
}

// RelationVisible is pg_table_is_visible; ok is false for an unknown oid.
func RelationVisible(r *catalog.SessionResolver, oid types.OID) (visible, ok bool) {
	name, found := RelationName(r, oid)
	if !found {
		return false, false
	}
	got, _, hit := r.RelationOID(catalog.Name{Name: name})
	return hit && got == oid, true
}

// RelationName returns the unqualified name of a table, view, sequence or index.
func RelationName(r *catalog.SessionResolver, oid types.OID) (string, bool) {
	d, ok := r.ByOID(oid)
	if !ok {
		return "", false
	}
	if t, ok := d.(*catalog.Table); ok && t.ID != oid {
		if x, ok := t.Index(oid); ok {
			return x.Name, true
		}
		return "", false
	}
	switch d.Kind() {
	case catalog.KindTable, catalog.KindView, catalog.KindSequence:
		return d.Head().Name, true
	}
	return "", false
}

// QualifiedRelation prints a relation as regclass output does.
func QualifiedRelation(r *catalog.SessionResolver, oid types.OID) (string, bool) {
	name, ok := RelationName(r, oid)
	if !ok {
		return "", false
	}
	d, _ := r.ByOID(oid)
	h := *d.Head()
	h.ID, h.Name = oid, name
	return qualified(r, &h, false), true
}

// Comment is obj_description and col_description: the comment on an object of a
// catalog, or on one of its columns.
func Comment(r *catalog.SessionResolver, oid types.OID, column catalog.ColumnID) (string, bool) {
	d, ok := r.ByOID(oid)
	if !ok {
		return "", false
	}
	text := d.Head().Comment
	if column != 0 {
		text = ""
		for _, c := range catalog.ColumnsOf(d) {
			if c.ID == column {
				text = c.Comment
			}
		}
	} else if t, ok := d.(*catalog.Table); ok && t.ID != oid {
		if x, ok := t.Index(oid); ok {
			text = x.Comment
		} else if c, ok := t.Constraint(oid); ok {
			text = c.Comment
		}
	}
	return text, text != ""
}

// defaultOpclass returns the btree operator class of a type.
func defaultOpclass(t types.OID) types.OID {
	t = opclassType(t)
	if rows, ok := pgfacts.Rows("pg_opclass"); ok {
		want := formatOID(t)
		for _, r := range rows.Rows {
			// oid, method, name, namespace, owner, family, intype, default
			if r[1].Text == "403" && r[6].Text == want && r[7].Text == "t" {
				n, _ := atoi(r[0].Text)
				return types.OID(n)
			}
		}
	}
	return 0
}

// opclassType maps a type to the one whose operator class it uses.
func opclassType(t types.OID) types.OID {
	if types.ElemOf(t) != 0 && t != types.NameOID {
		return 2277 // anyarray
	}
	if t == types.VarCharOID {
		return types.TextOID
	}
	return t
}

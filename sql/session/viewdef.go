package session

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/types"
)

// viewDef is pg_get_viewdef: a view's query, with the names that the relations
// in it have now.
func (s *Session) viewDef(oid types.OID) (string, bool) {
	d, ok := s.snapshot().ByOID(oid)
	v, isView := d.(*catalog.View)
	if !ok || !isView {
		return "", false
	}
	return s.viewText(v), true
}

func (s *Session) viewText(v *catalog.View) string {
	text := strings.TrimSuffix(strings.TrimSpace(v.Query), ";")
	if tree, err := parseView(text); err == nil {
		r := s.resolve()
		for rv, ref := range bind.Freeze(tree, v.Refs) {
			renameInView(r, rv, ref)
		}
		if now, err := parse.Format(tree); err == nil {
			text = now
		}
	}
	return " " + text + ";"
}

// renameInView writes the present name of a relation into a view's tree, and
// aliases for what the query calls otherwise.
func renameInView(r *catalog.SessionResolver, rv *ast.RangeVar, ref *catalog.ViewRef) {
	d, ok := r.ByOID(ref.OID)
	if !ok {
		return
	}
	h, was := d.Head(), rv.Relname
	rv.Relname, rv.Schemaname, rv.Catalogname = h.Name, "", ""
	if oid, _, ok := r.RelationOID(catalog.Name{Name: h.Name}); !ok || oid != h.ID {
		if sc, ok := r.ByOID(h.Schema); ok {
			rv.Schemaname = sc.Head().Name
		}
	}
	names := aliasesFor(d, ref, rv.Alias)
	if rv.Alias == nil && (was != h.Name || names != nil) {
		rv.Alias = &ast.Alias{Aliasname: was}
	}
	if rv.Alias != nil && names != nil {
		rv.Alias.Colnames = names
	}
}

// aliasesFor lists what a view's query calls the columns that a relation has
// now, as far as a name differs; nil if none does.
func aliasesFor(d catalog.Descriptor, ref *catalog.ViewRef, a *ast.Alias) []ast.Node {
	called := func(id catalog.ColumnID) (string, bool) {
		i := slices.IndexFunc(ref.Columns, func(c catalog.ViewColumn) bool { return c.ID == id })
		if i < 0 {
			return "", false
		}
		if a != nil && i < len(a.Colnames) {
			if s, ok := a.Colnames[i].(*ast.String); ok {
				return s.Sval, true
			}
		}
		return ref.Columns[i].Name, true
	}
	cols := catalog.ColumnsOf(d)
	var names []ast.Node
	last := 0
	for i := range cols {
		c := &cols[i]
		if c.Hidden || !c.State.Readable() {
			continue
		}
		name := c.Name
		if n, ok := called(c.ID); ok && n != name {
			name, last = n, len(names)+1
		}
		names = append(names, &ast.String{Sval: name})
	}
	if last == 0 {
		return nil
	}
	return names[:last]
}

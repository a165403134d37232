package opt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// testCatalog is an in-memory catalog that understands a little DDL.
type testCatalog struct {
	snap  *catalog.Snapshot
	next  types.OID
	stats map[types.OID]*stats.Table
}

func newTestCatalog() *testCatalog {
	c := &testCatalog{snap: catalog.NewSnapshot(), next: catalog.FirstUserOID, stats: map[types.OID]*stats.Table{}}
	c.put(
		&catalog.Database{Header: catalog.Header{ID: 1, Name: "db"}},
		&catalog.Schema{Header: catalog.Header{ID: catalog.PublicOID, Name: "public", Database: 1}},
		&catalog.Schema{Header: catalog.Header{ID: catalog.PgCatalogOID, Name: "pg_catalog"}},
	)
	for _, r := range pgfacts.CatalogRelations() {
		if r.Schema != "pg_catalog" {
			continue
		}
		t := &catalog.Table{Header: catalog.Header{ID: r.OID, Name: r.Name, Schema: catalog.PgCatalogOID}, Virtual: true}
		for i, col := range r.Columns {
			t.Columns = append(t.Columns, catalog.Column{ID: catalog.ColumnID(i + 1), Name: col.Name, Type: col.Type, NotNull: col.NotNull})
		}
		c.put(t)
	}
	return c
}

func (c *testCatalog) put(ds ...catalog.Descriptor) {
	c.snap = c.snap.With(c.snap.Generation()+1, ds, nil)
}

func (c *testCatalog) resolver() catalog.Resolver {
	db, _ := c.snap.Database("db")
	return catalog.NewSessionResolver(c.snap, db, []string{"public"}, true)
}

func (c *testCatalog) oid() types.OID {
	c.next++
	return c.next
}

// ddl runs the statements of a script.
func (c *testCatalog) ddl(t testing.TB, script string) {
	t.Helper()
	sts, err := parse.Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range sts {
		switch n := st.Node.(type) {
		case *ast.CreateStmt:
			c.createTable(t, n)
		case *ast.IndexStmt:
			c.createIndex(t, n)
		case *ast.ViewStmt:
			q, err := parse.Format(n.Query)
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.prepare(q, *options(c))
			if err != nil {
				t.Fatal(err)
			}
			var cols []catalog.Column
			for i, col := range p.Result {
				cols = append(cols, catalog.Column{ID: catalog.ColumnID(i + 1), Name: col.Name, Type: col.Type})
			}
			c.put(&catalog.View{Columns: cols, Header: catalog.Header{ID: c.oid(), Name: n.View.Relname, Schema: catalog.PublicOID}, Query: q})
		default:
			t.Fatalf("cannot run %s", n.Tag())
		}
	}
}

func (c *testCatalog) createTable(t testing.TB, n *ast.CreateStmt) {
	tab := &catalog.Table{Header: catalog.Header{ID: c.oid(), Name: n.Relation.Relname, Schema: catalog.PublicOID, Database: 1}}
	var later []*ast.Constraint
	for _, e := range n.TableElts {
		switch e := e.(type) {
		case *ast.ColumnDef:
			typ, err := bind.TypeOf(c.resolver(), e.TypeName)
			if err != nil {
				t.Fatal(err)
			}
			id := catalog.ColumnID(len(tab.Columns) + 1)
			tab.Columns = append(tab.Columns, catalog.Column{ID: id, Name: e.Colname, Type: typ})
			for _, k := range e.Constraints {
				con := *k.(*ast.Constraint)
				if con.Contype == ast.CONSTR_NOTNULL {
					tab.Columns[id-1].NotNull = true
					continue
				}
				con.Keys = []ast.Node{&ast.String{Sval: e.Colname}}
				later = append(later, &con)
			}
		case *ast.Constraint:
			later = append(later, e)
		}
	}
	for _, k := range later {
		c.constraint(t, tab, k)
	}
	if tab.Primary == 0 {
		tab.Columns = append(tab.Columns, catalog.Column{ID: catalog.RowIDColumn, Name: "rowid", Type: types.Int8Type, NotNull: true, Hidden: true})
		c.index(tab, tab.Name+"_rowid", []catalog.ColumnID{catalog.RowIDColumn}, true)
		tab.Primary = tab.Indexes[len(tab.Indexes)-1].OID
	}
	c.put(tab)
}

func (c *testCatalog) index(tab *catalog.Table, name string, cols []catalog.ColumnID, unique bool) *catalog.Index {
	x := catalog.Index{OID: c.oid(), Storage: catalog.StorageID(len(tab.Indexes) + 1), Name: name, Unique: unique}
	for _, id := range cols {
		x.Columns = append(x.Columns, catalog.IndexColumn{Column: id})
	}
	tab.Indexes = append(tab.Indexes, x)
	return &tab.Indexes[len(tab.Indexes)-1]
}

func (c *testCatalog) constraint(t testing.TB, tab *catalog.Table, k *ast.Constraint) {
	var cols []catalog.ColumnID
	for _, n := range k.Keys {
		col, ok := tab.ColumnByName(n.(*ast.String).Sval)
		if !ok {
			t.Fatalf("no column %v", n)
		}
		cols = append(cols, col.ID)
	}
	switch k.Contype {
	case ast.CONSTR_PRIMARY:
		x := c.index(tab, tab.Name+"_pkey", cols, true)
		tab.Primary = x.OID
		for _, id := range cols {
			tab.Columns[id-1].NotNull = true
		}
	case ast.CONSTR_UNIQUE:
		names := []string{tab.Name}
		for _, id := range cols {
			names = append(names, tab.Columns[id-1].Name)
		}
		c.index(tab, strings.Join(append(names, "key"), "_"), cols, true)
	case ast.CONSTR_DEFAULT:
		col := &tab.Columns[cols[0]-1]
		e, err := bind.Stored(bind.StoredDefault, k.RawExpr, tab, col.Type, col.Name, c.resolver(), options(nil).bindOptions())
		if err != nil {
			t.Fatal(err)
		}
		col.Default = &catalog.Expr{Tree: e}
	case ast.CONSTR_CHECK:
		e, err := bind.Stored(bind.StoredCheck, k.RawExpr, tab, types.Type{}, "", c.resolver(), options(nil).bindOptions())
		if err != nil {
			t.Fatal(err)
		}
		tab.Constraints = append(tab.Constraints, catalog.Constraint{OID: c.oid(), Name: fmt.Sprintf("%s_check%d", tab.Name, len(tab.Constraints)), Kind: catalog.CheckConstraint, Check: &catalog.Expr{Tree: e}})
	}
}

// RegName implements types.NameResolver.
func (c *testCatalog) RegName(_, _ types.OID) (string, bool) { return "", false }

// EnumLabels implements types.NameResolver.
func (c *testCatalog) EnumLabels(types.OID) (string, []types.Label, bool) { return "", nil, false }

// RegOID implements types.NameResolver for regclass.
func (c *testCatalog) RegOID(_ types.OID, name string) (types.OID, error) {
	n := catalog.Name{Name: name}
	if schema, rest, ok := strings.Cut(name, "."); ok {
		n.Schema, n.Name = schema, rest
	}
	d, ok := c.resolver().Relation(n)
	if !ok {
		return 0, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", name)
	}
	return d.Head().ID, nil
}

func options(c *testCatalog) *Options {
	o := &Options{ParseView: func(q string) (ast.Node, error) {
		st, _, err := parse.ParseOne(q)
		return st.Node, err
	}}
	if c != nil {
		o.Settings = types.DefaultSettings()
		o.Settings.Names = c
		o.Stats = func(t types.OID) *stats.Table { return c.stats[t] }
	}
	return o
}

func (c *testCatalog) createIndex(t testing.TB, n *ast.IndexStmt) {
	d, ok := c.resolver().Relation(catalog.Name{Name: n.Relation.Relname})
	if !ok {
		t.Fatalf("no table %s", n.Relation.Relname)
	}
	tab, err := catalog.Clone(d.(*catalog.Table))
	if err != nil {
		t.Fatal(err)
	}
	x := c.index(tab, n.Idxname, nil, n.Unique)
	for _, p := range n.IndexParams {
		e := p.(*ast.IndexElem)
		col, ok := tab.ColumnByName(e.Name)
		if !ok {
			t.Fatalf("no column %s", e.Name)
		}
		desc := e.Ordering == ast.SORTBY_DESC
		x.Columns = append(x.Columns, catalog.IndexColumn{Column: col.ID, Desc: desc, NullsFirst: desc})
	}
	for _, p := range n.IndexIncludingParams {
		col, _ := tab.ColumnByName(p.(*ast.IndexElem).Name)
		x.Include = append(x.Include, col.ID)
	}
	if n.WhereClause != nil {
		e, err := bind.Stored(bind.StoredPredicate, n.WhereClause, tab, types.Type{}, "", c.resolver(), options(nil).bindOptions())
		if err != nil {
			t.Fatal(err)
		}
		x.Predicate = &catalog.Expr{Tree: e}
	}
	c.put(tab)
}

package pgcatalog

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// testEnv is a catalog with one table that has some of everything.
func testEnv() *Env {
	db := &catalog.Database{Header: catalog.Header{ID: 16384, Name: "defaultdb", Owner: catalog.RootRoleOID}}
	public := &catalog.Schema{Header: catalog.Header{ID: catalog.PublicOID, Name: "public", Database: db.ID, Owner: catalog.RootRoleOID}}
	root := &catalog.Role{Header: catalog.Header{ID: catalog.RootRoleOID, Name: "root"}, Super: true, Login: true, Password: "SCRAM-SHA-256$x"}
	seq := &catalog.Sequence{Header: catalog.Header{ID: 16390, Name: "t_a_seq", Database: db.ID, Schema: public.ID, Owner: root.ID},
		Type: types.Int4OID, Start: 1, Increment: 1, Min: 1, Max: 1<<31 - 1, Cache: 1, OwnerTable: 16400, OwnerColumn: 1}
	t := &catalog.Table{
		Header: catalog.Header{ID: 16400, Name: "t", Database: db.ID, Schema: public.ID, Owner: root.ID, Comment: "a table",
			ACL: []catalog.Grant{{Grantee: 0, Grantor: root.ID, Privileges: "r"}}},
		Columns: []catalog.Column{
			{ID: 1, Name: "a", Type: types.Of(types.Int4OID), NotNull: true, Default: &catalog.Expr{Source: "nextval('t_a_seq'::regclass)"}, Sequence: seq.ID},
			{ID: 2, Name: "B c", Type: types.Type{OID: types.VarCharOID, Mod: 14}, Comment: "second"},
			{ID: 3, Name: "hid", Type: types.Of(types.TextOID), Hidden: true},
			{ID: 4, Name: "arr", Type: types.Of(types.Int4ArrayOID)},
		},
		Indexes: []catalog.Index{
			{OID: 16401, Name: "t_pkey", Unique: true, Columns: []catalog.IndexColumn{{Column: 1}}},
			{OID: 16402, Name: "t_b", Columns: []catalog.IndexColumn{{Column: 2, Desc: true, NullsFirst: true}, {Expr: &catalog.Expr{Source: "lower(\"B c\")"}}},
				Include: []catalog.ColumnID{4}, Predicate: &catalog.Expr{Source: "(a > 0)"}},
		},
		Primary: 16401, RowType: 16403,
		Constraints: []catalog.Constraint{
			{OID: 16404, Name: "t_pkey", Kind: catalog.PrimaryKey, Columns: []catalog.ColumnID{1}, Index: 16401},
			{OID: 16405, Name: "t_check", Kind: catalog.CheckConstraint, Columns: []catalog.ColumnID{1}, Check: &catalog.Expr{Source: "(a > 0)"}},
			{OID: 16406, Name: "t_fk", Kind: catalog.ForeignKey, Columns: []catalog.ColumnID{4}, RefTable: 16400, RefColumns: []catalog.ColumnID{1},
				Index: 16401, OnDelete: catalog.FKCascade},
		},
	}
	v := &catalog.View{Header: catalog.Header{ID: 16410, Name: "v", Database: db.ID, Schema: public.ID, Owner: root.ID},
		Columns: []catalog.Column{{ID: 1, Name: "x", Type: types.Of(types.Int8OID)}}, Query: "SELECT 1::bigint AS x", DependsOn: []types.OID{16400}}
	enum := &catalog.Type{Header: catalog.Header{ID: 16420, Name: "mood", Database: db.ID, Schema: public.ID, Owner: root.ID}, Class: catalog.EnumType,
		Array: types.ArrayOf(16420), Labels: []catalog.EnumLabel{{OID: 16422, Label: "ok", Sort: 1}}}
	snap := catalog.NewSnapshot().With(1, append(Descriptors(), db, public, root, seq, t, v, enum), nil)
	return &Env{Ctx: context.Background(), Resolver: catalog.NewSessionResolver(snap, db, []string{"public"}, true), User: root.ID}
}

// collect scans a table and returns the rows as maps of the non-null columns.
func collect(t *testing.T, env *Env, schema, name string, eqs map[string]types.Datum) []map[string]types.Datum {
	t.Helper()
	d, ok := env.Resolver.Relation(catalog.Name{Schema: schema, Name: name})
	if !ok {
		t.Fatalf("no table %s.%s", schema, name)
	}
	table := d.(*catalog.Table)
	var eq []Eq
	for c, v := range eqs {
		tc, ok := table.ColumnByName(c)
		if !ok {
			t.Fatalf("no column %s", c)
		}
		eq = append(eq, Eq{tc.ID, v})
	}
	var rows []map[string]types.Datum
	err := Scan(env, table, eq, func(row []types.Datum) error {
		m := map[string]types.Datum{}
		for i, d := range row {
			if d.IsNull() {
				if table.Columns[i].NotNull && schema == "pg_catalog" {
					t.Errorf("%s.%s is NULL", name, table.Columns[i].Name)
				}
				continue
			}
			if d.Repr() != table.Columns[i].Type.Repr() {
				t.Fatalf("%s.%s is stored as %v, its type as %v", name, table.Columns[i].Name, d.Repr(), table.Columns[i].Type.Repr())
			}
			m[table.Columns[i].Name] = d
		}
		rows = append(rows, m)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rows
}

// Every table can be read, and its values have their columns' representations.
func TestEveryTableScans(t *testing.T) {
	env := testEnv()
	byOID := map[types.OID]string{catalog.PgCatalogOID: "pg_catalog", catalog.InformationSchemaOID: "information_schema", catalog.PamirInternalOID: "pamir_internal"}
	n := 0
	for _, d := range Descriptors() {
		if tb, ok := d.(*catalog.Table); ok {
			collect(t, env, byOID[tb.Schema], tb.Name, nil)
			n++
		}
	}
	if n < 190 {
		t.Fatalf("only %d tables", n)
	}
	for name := range rowMakers() {
		found := false
		for _, v := range tables().byOID {
			found = found || byOID[v.desc.Schema]+"."+v.desc.Name == name
		}
		if !found {
			t.Errorf("rows are made for %s, which does not exist", name)
		}
	}
}

// An equality gives the same rows as filtering all of them.
func TestEqualitiesOnlyNarrow(t *testing.T) {
	env := testEnv()
	for _, c := range []struct {
		table, column string
		value         types.Datum
	}{
		{"pg_class", "oid", types.NewInt(16400)}, {"pg_class", "oid", types.NewInt(16402)}, {"pg_class", "relname", types.NewString("t_pkey")},
		{"pg_attribute", "attrelid", types.NewInt(16400)}, {"pg_attribute", "attrelid", types.NewInt(16402)}, {"pg_attribute", "attrelid", types.NewInt(16390)},
		{"pg_index", "indrelid", types.NewInt(16400)}, {"pg_index", "indexrelid", types.NewInt(16402)},
		{"pg_constraint", "conrelid", types.NewInt(16400)}, {"pg_constraint", "oid", types.NewInt(16406)},
		{"pg_type", "oid", types.NewInt(23)}, {"pg_type", "typname", types.NewString("mood")}, {"pg_proc", "proname", types.NewString("lower")},
		{"pg_attrdef", "adrelid", types.NewInt(16400)}, {"pg_description", "objoid", types.NewInt(16400)}, {"pg_class", "oid", types.NewInt(99999)},
	} {
		want := 0
		for _, r := range collect(t, env, "pg_catalog", c.table, nil) {
			if v, ok := r[c.column]; ok && v.BytesEqual(c.value) {
				want++
			}
		}
		got := 0
		for _, r := range collect(t, env, "pg_catalog", c.table, map[string]types.Datum{c.column: c.value}) {
			if v, ok := r[c.column]; ok && v.BytesEqual(c.value) {
				got++
			}
		}
		if got != want {
			t.Errorf("%s where %s = ...: %d rows, want %d", c.table, c.column, got, want)
		}
	}
}

func TestDefinitions(t *testing.T) {
	r := testEnv().Resolver
	for oid, want := range map[types.OID]string{
		16401: "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (a)",
		16402: `CREATE INDEX t_b ON public.t USING btree ("B c" DESC, (lower("B c"))) INCLUDE (arr) WHERE (a > 0)`,
	} {
		if got, ok := IndexDef(r, oid, 0, false); !ok || got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for oid, want := range map[types.OID]string{
		16404: "PRIMARY KEY (a)", 16405: "CHECK ((a > 0))", 16406: "FOREIGN KEY (arr) REFERENCES t(a) ON DELETE CASCADE",
	} {
		if got, ok := ConstraintDef(r, oid, false); !ok || got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := TypeName(r, types.Of(types.ArrayOf(16420))); got != "mood[]" {
		t.Error(got)
	}
	if got, ok := QualifiedRelation(r, 16402); !ok || got != "t_b" {
		t.Error(got, ok)
	}
}

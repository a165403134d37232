package catalog

import (
	"reflect"
	"testing"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

func sampleTable() *Table {
	return &Table{
		Header: Header{ID: 20000, Name: "t", Database: 1, Schema: PublicOID, Owner: RootRoleOID, Version: 3,
			ACL: []Grant{{Grantee: 0, Grantor: 10, Privileges: "r"}}},
		Columns: []Column{
			{ID: 1, Name: "a", Type: types.Int4Type, NotNull: true},
			{ID: 3, Name: "c", Type: types.Type{OID: types.VarCharOID, Mod: 14}, State: WriteOnly,
				Default: &Expr{Source: "'x'", Tree: &expr.Const{Value: types.NewString("x"), Typ: types.VarCharType}}},
		},
		Layouts: []Layout{{ID: 1, Columns: []ColumnID{1}}, {ID: 2, Columns: []ColumnID{1, 3}, Missing: []MissingValue{
			{Column: 3, Value: types.NewString("old")},
			{Column: 4, Value: types.NewInt(-7)},
			{Column: 5, Value: types.NewFloat(1.5)},
			{Column: 6, Value: types.NewNumeric(types.Numeric{Coef: 150, Scale: 2})},
			{Column: 7, Value: types.NewNumeric(types.NumericNaN)},
		}}},
		Layout: 2,
		Indexes: []Index{
			{OID: 20001, Storage: 1, Name: "t_pkey", Unique: true, Columns: []IndexColumn{{Column: 1}}},
			{OID: 20002, Storage: 4, Name: "t_c", Columns: []IndexColumn{{Column: 3, Desc: true, NullsFirst: true}}, State: Backfill},
		},
		Primary:     20001,
		Constraints: []Constraint{{OID: 20003, Name: "t_pkey", Kind: PrimaryKey, Columns: []ColumnID{1}, Index: 20001}},
		NextColumn:  8, NextStorage: 5,
	}
}

func TestDescriptorsSurviveStorage(t *testing.T) {
	for _, d := range []Descriptor{
		sampleTable(),
		&Database{Header: Header{ID: 1, Name: "db"}, Encoding: "UTF8"},
		&Schema{Header{ID: 5, Name: "s", Database: 1}},
		&View{Header: Header{ID: 6, Name: "v"}, Query: "SELECT 1", Columns: []Column{{ID: 1, Name: "x", Type: types.TextType}}},
		&Sequence{Header: Header{ID: 7, Name: "q"}, Type: types.Int8OID, Start: 1, Increment: -2, Min: -1 << 63, Max: 1<<63 - 1},
		&Type{Header: Header{ID: 8, Name: "e"}, Class: EnumType, Labels: []EnumLabel{{9, "a", 1}, {10, "b", 1.5}}},
		&Role{Header: Header{ID: 11, Name: "r"}, Login: true, MemberOf: []types.OID{12}},
	} {
		b, err := Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Errorf("%s: stored %+v, read %+v", d.Kind(), d, got)
		}
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	b, err := Encode(sampleTable())
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), b...)
	newer[0] = encodingVersion + 1
	for name, in := range map[string][]byte{
		"empty": nil, "one byte": {1}, "newer": newer, "kind": {1, 99, '{', '}'}, "cut": b[:len(b)/2],
	} {
		if _, err := Decode(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSnapshotNames(t *testing.T) {
	db := &Database{Header: Header{ID: 1, Name: "db"}}
	public := &Schema{Header{ID: PublicOID, Name: "public", Database: 1}}
	other := &Schema{Header{ID: 2300, Name: "other", Database: 1}}
	pgc := &Schema{Header{ID: PgCatalogOID, Name: "pg_catalog"}}
	tab := sampleTable()
	s := NewSnapshot().With(1, []Descriptor{db, public, other, pgc, tab}, nil)
	r := NewSessionResolver(s, db, []string{"missing", "public"}, true)
	if d, ok := r.Relation(Name{Name: "t"}); !ok || d != Descriptor(tab) {
		t.Fatal("t is not found by the path")
	}
	if _, ok := r.Relation(Name{Schema: "other", Name: "t"}); ok {
		t.Fatal("t is found in another schema")
	}
	if _, ok := r.Relation(Name{Name: "t_c"}); ok {
		t.Fatal("an index is a relation to select from")
	}
	if oid, d, ok := r.RelationOID(Name{Name: "t_c"}); !ok || oid != 20002 || d != Descriptor(tab) {
		t.Fatal("an index is not found by name")
	}
	if d, ok := s.ByOID(20003); !ok || d != Descriptor(tab) {
		t.Fatal("a constraint's oid does not lead to its table")
	}
	if sc, ok := r.CreationSchema(); !ok || sc.Name != "public" {
		t.Fatal("new objects do not go to public")
	}

	renamed, err := Clone(tab)
	if err != nil {
		t.Fatal(err)
	}
	renamed.Name, renamed.Indexes[1].State = "t2", Absent
	n := s.With(2, []Descriptor{renamed}, []types.OID{2300})
	if _, _, ok := n.RelationOID(PublicOID, "t"); ok {
		t.Fatal("the old name stayed")
	}
	if _, _, ok := n.RelationOID(PublicOID, "t_c"); ok {
		t.Fatal("a dropped index kept its name")
	}
	if _, ok := n.Schema(1, "other"); ok {
		t.Fatal("a dropped schema stayed")
	}
	if _, _, ok := s.RelationOID(PublicOID, "t"); !ok || s.Generation() != 1 || n.Generation() != 2 {
		t.Fatal("the old snapshot changed")
	}
}

func TestGenerationAdvances(t *testing.T) {
	var g Generation
	if g.Advance(5) != 5 || g.Advance(5) != 6 || g.Advance(2) != 7 || g.Load() != 7 {
		t.Fatal("a generation came twice")
	}
}

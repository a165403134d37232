package pgcatalog

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// factTables are the tables whose built-in rows are PostgreSQL's own, with the
// name of their oid column.
var factTables = map[string]string{
	"pg_aggregate": "aggfnoid", "pg_am": "oid", "pg_amop": "oid", "pg_amproc": "oid", "pg_cast": "oid",
	"pg_collation": "oid", "pg_language": "oid", "pg_opclass": "oid", "pg_operator": "oid",
	"pg_opfamily": "oid", "pg_proc": "oid", "pg_range": "rngtypid", "pg_type": "oid", "pg_description": "objoid",
}

// factRows emits the built-in rows of a fact table. An equality on the oid
// column picks rows before any value is parsed.
func (s *scan) factRows(name string) error {
	t, ok := pgfacts.Rows(name)
	if !ok {
		return nil
	}
	places := make([]int, len(t.Columns))
	oidPlace := -1
	for i, c := range t.Columns {
		p, ok := s.table.columns[c.Name]
		if !ok {
			p = -1
		}
		places[i] = p
		if c.Name == factTables[name] {
			oidPlace = i
		}
	}
	type textEq struct {
		place int
		want  string
	}
	var eqs []textEq
	for i, c := range t.Columns {
		if v, ok := s.wantText(c.Name); ok {
			eqs = append(eqs, textEq{i, v})
		}
	}
	want, byOID := s.wantOID(factTables[name])
	wantText := types.NewInt(int64(want))
rows:
	for _, r := range t.Rows {
		if byOID && oidPlace >= 0 && r[oidPlace].Text != formatOID(types.OID(wantText.Int())) {
			continue
		}
		for _, e := range eqs {
			if r[e.place].Null || r[e.place].Text != e.want {
				continue rows
			}
		}
		clear(s.row)
		for i, f := range r {
			if f.Null || places[i] < 0 {
				continue
			}
			d, err := s.factDatum(s.table.desc.Columns[places[i]].Type, f.Text)
			if err != nil {
				return err
			}
			s.row[places[i]] = d
		}
		if err := s.emit(s.row); err != nil {
			return err
		}
	}
	return nil
}

// factDatum parses a stored field. The facts hold reg* columns as numbers, and
// access lists as what a PostgreSQL superuser granted, which is nobody here.
func (s *scan) factDatum(t types.Type, text string) (types.Datum, error) {
	switch t.OID {
	case types.OIDOID, types.RegProcOID, types.RegTypeOID, types.RegClassOID, types.Int2OID, types.Int4OID:
		if n, ok := atoi(text); ok {
			return types.NewInt(n), nil
		}
	case types.TextOID, types.NameOID, types.PgNodeTreeOID:
		return types.NewString(text), nil
	case types.QCharOID:
		if text == "" {
			return types.NewInt(0), nil
		}
		return types.NewInt(int64(int8(text[0]))), nil
	case types.BoolOID:
		return types.NewBool(text == "t"), nil
	case aclItem, aclItemArray:
		return types.Null, nil
	}
	return parseText(t, text)
}

const aclItemArray types.OID = 1034

const aclItem types.OID = 1033

func factMaker(name string) func(*scan) error {
	return func(s *scan) error { return s.factRows(name) }
}

func namespaceRows(s *scan) error {
	db := s.databaseOID()
	toast := types.OID(99)
	if err := s.put(oidCol("oid", toast), textCol("nspname", "pg_toast"), oidCol("nspowner", catalog.RootRoleOID)); err != nil {
		return err
	}
	return s.each(func(d catalog.Descriptor) error {
		sc, ok := d.(*catalog.Schema)
		if !ok || (sc.Database != 0 && sc.Database != db) {
			return nil
		}
		return s.put(oidCol("oid", sc.ID), textCol("nspname", sc.Name), oidCol("nspowner", sc.Owner), s.acl("nspacl", sc))
	})
}

// typeRows emits the built-in types, then those of users with the row types and
// array types that come with them.
func typeRows(s *scan) error {
	if err := s.factRows("pg_type"); err != nil {
		return err
	}
	return s.each(func(d catalog.Descriptor) error {
		h := d.Head()
		if h.ID < catalog.FirstUserOID || !s.inDatabase(h) {
			return nil
		}
		switch x := d.(type) {
		case *catalog.Type:
			return s.userType(x)
		case *catalog.Table:
			if x.RowType == 0 || x.State == catalog.Absent {
				return nil
			}
			return s.typeRow(x.RowType, h, h.Name, -1, 'c', 'C', h.ID, 0, 0, types.Type{Mod: -1}, false)
		}
		return nil
	})
}

func (s *scan) userType(t *catalog.Type) error {
	category, length, elem := byte('U'), int64(-1), types.OID(0)
	switch t.Class {
	case catalog.EnumType:
		category, length = 'E', 4
	case catalog.CompositeType:
		category = 'C'
	case catalog.DomainType:
		category = t.Base.Category()
	}
	if err := s.typeRow(t.ID, &t.Header, t.Name, length, byte(t.Class), category, 0, elem, t.Array, t.Base, t.NotNul); err != nil {
		return err
	}
	if t.Array == 0 {
		return nil
	}
	return s.typeRow(t.Array, &t.Header, "_"+t.Name, -1, 'b', 'A', 0, t.ID, 0, types.Type{Mod: -1}, false)
}

func (s *scan) typeRow(oid types.OID, h *catalog.Header, name string, length int64, class, category byte,
	rel, elem, array types.OID, base types.Type, notNull bool) error {
	mod := int64(-1)
	if base.OID != 0 {
		mod = int64(base.Mod)
	}
	storage := byte('x')
	if length > 0 {
		storage = 'p'
	}
	return s.put(oidCol("oid", oid), textCol("typname", name), oidCol("typnamespace", h.Schema), oidCol("typowner", h.Owner),
		intCol("typlen", length), boolCol("typbyval", length == 4), charCol("typtype", class), charCol("typcategory", category),
		boolCol("typispreferred", false), boolCol("typisdefined", true), charCol("typdelim", ','), oidCol("typrelid", rel),
		oidCol("typsubscript", 0), oidCol("typelem", elem), oidCol("typarray", array), oidCol("typinput", 0), oidCol("typoutput", 0),
		oidCol("typreceive", 0), oidCol("typsend", 0), oidCol("typmodin", 0), oidCol("typmodout", 0), oidCol("typanalyze", 0),
		charCol("typalign", 'i'), charCol("typstorage", storage), boolCol("typnotnull", notNull), oidCol("typbasetype", base.OID),
		intCol("typtypmod", mod), intCol("typndims", 0), oidCol("typcollation", 0))
}

func enumRows(s *scan) error {
	return s.each(func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Type)
		if !ok || t.Class != catalog.EnumType || !s.inDatabase(&t.Header) {
			return nil
		}
		for _, l := range t.Labels {
			if err := s.put(oidCol("oid", l.OID), oidCol("enumtypid", t.ID), floatCol("enumsortorder", l.Sort), textCol("enumlabel", l.Label)); err != nil {
				return err
			}
		}
		return nil
	})
}

// descriptionRows emits the built-in descriptions and the users' comments.
func descriptionRows(s *scan) error {
	if want, ok := s.wantOID("objoid"); !ok || want < catalog.FirstUserOID {
		if err := s.factRows("pg_description"); err != nil {
			return err
		}
	}
	comment := func(obj, class types.OID, sub int64, text string) error {
		if text == "" {
			return nil
		}
		return s.put(oidCol("objoid", obj), oidCol("classoid", class), intCol("objsubid", sub), textCol("description", text))
	}
	return s.each(func(d catalog.Descriptor) error {
		h := d.Head()
		if !s.inDatabase(h) {
			return nil
		}
		class := map[catalog.Kind]types.OID{catalog.KindSchema: 2615, catalog.KindType: 1247,
			catalog.KindTable: 1259, catalog.KindView: 1259, catalog.KindSequence: 1259}[d.Kind()]
		if class == 0 {
			return nil // shared objects are in pg_shdescription
		}
		if err := comment(h.ID, class, 0, h.Comment); err != nil {
			return err
		}
		for _, c := range catalog.ColumnsOf(d) {
			if err := comment(h.ID, 1259, int64(c.ID), c.Comment); err != nil {
				return err
			}
		}
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Indexes {
			if err := comment(t.Indexes[i].OID, 1259, 0, t.Indexes[i].Comment); err != nil {
				return err
			}
		}
		for i := range t.Constraints {
			if err := comment(t.Constraints[i].OID, 2606, 0, t.Constraints[i].Comment); err != nil {
				return err
			}
		}
		return nil
	})
}

func sharedDescriptionRows(s *scan) error {
	return s.each(func(d catalog.Descriptor) error {
		class := map[catalog.Kind]types.OID{catalog.KindDatabase: 1262, catalog.KindRole: 1260}[d.Kind()]
		if h := d.Head(); class != 0 && h.Comment != "" {
			return s.put(oidCol("objoid", h.ID), oidCol("classoid", class), textCol("description", h.Comment))
		}
		return nil
	})
}

package pgcatalog

import (
	"strings"

	"strconv"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

func (s *scan) catalogName() string {
	if db := s.Resolver.Database(); db != nil {
		return db.Name
	}
	return ""
}

func yesNo(b bool) types.Datum {
	if b {
		return types.NewString("YES")
	}
	return types.NewString("NO")
}

func infoCatalogRows(s *scan) error { return s.put(textCol("catalog_name", s.catalogName())) }

func schemataRows(s *scan) error {
	return s.each(func(d catalog.Descriptor) error {
		sc, ok := d.(*catalog.Schema)
		if !ok || !s.inDatabase(&sc.Header) {
			return nil
		}
		return s.put(textCol("catalog_name", s.catalogName()), textCol("schema_name", sc.Name), textCol("schema_owner", s.name(sc.Owner)))
	})
}

func infoTablesRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		h, kind := d.Head(), "BASE TABLE"
		switch x := d.(type) {
		case *catalog.View:
			if x.Materials != 0 {
				return nil
			}
			kind = "VIEW"
		case *catalog.Table:
			if x.Temporary {
				kind = "LOCAL TEMPORARY"
			}
		default:
			return nil
		}
		return s.put(textCol("table_catalog", s.catalogName()), textCol("table_schema", s.name(h.Schema)), textCol("table_name", h.Name),
			textCol("table_type", kind), col{"is_insertable_into", yesNo(kind == "BASE TABLE")}, col{"is_typed", yesNo(false)})
	})
}

func infoColumnsRows(s *scan) error {
	want, one := s.wantText("table_name")
	return s.eachRelation("", func(d catalog.Descriptor) error {
		h := d.Head()
		if one && want != h.Name {
			return nil
		}
		for i, c := range visibleColumns(d) {
			if err := s.infoColumn(d, i, &c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *scan) infoColumn(d catalog.Descriptor, place int, c *catalog.Column) error {
	h := d.Head()
	_, isTable := d.(*catalog.Table)
	dataType, udt, udtSchema := "USER-DEFINED", "", "pg_catalog"
	if info, ok := types.Lookup(c.Type.OID); ok {
		dataType, udt = types.Format(c.Type.OID, -1), info.Name
	} else {
		udt, udtSchema = s.typeOfUser(c.Type.OID)
	}
	if c.Type.IsArray() {
		dataType = "ARRAY"
	}
	cols := []col{textCol("table_catalog", s.catalogName()), textCol("table_schema", s.name(h.Schema)), textCol("table_name", h.Name),
		textCol("column_name", c.Name), intCol("ordinal_position", int64(place+1)), col{"is_nullable", yesNo(!c.NotNull)},
		textCol("data_type", dataType), textCol("udt_catalog", s.catalogName()), textCol("udt_schema", udtSchema), textCol("udt_name", udt),
		textCol("dtd_identifier", strconv.Itoa(int(c.ID))), col{"is_self_referencing", yesNo(false)}, col{"is_identity", yesNo(c.Identity != 0)},
		col{"is_updatable", yesNo(isTable)}}
	cols = append(cols, s.identity(c)...)
	if c.Generated != nil {
		cols = append(cols, textCol("is_generated", "ALWAYS"), textCol("generation_expression", s.exprText(d, c.Generated)))
	} else {
		cols = append(cols, textCol("is_generated", "NEVER"))
		if e := defaultOf(c); e != nil {
			cols = append(cols, textCol("column_default", s.exprText(d, e)))
		}
	}
	return s.put(append(cols, typeDetails(c.Type)...)...)
}

// typeOfUser returns the bare name of a user's type, or of the array type over it,
// and its schema.
func (s *scan) typeOfUser(oid types.OID) (name, schema string) {
	prefix := ""
	if e := types.ElemOf(oid); e != 0 {
		oid, prefix = e, "_"
	}
	d, ok := s.Resolver.ByOID(oid)
	if !ok {
		return "", ""
	}
	return prefix + d.Head().Name, s.name(d.Head().Schema)
}

// identity shows how an identity column counts.
func (s *scan) identity(c *catalog.Column) []col {
	var cols []col
	switch c.Identity {
	case catalog.IdentityAlways:
		cols = append(cols, textCol("identity_generation", "ALWAYS"))
	case catalog.IdentityByDefault:
		cols = append(cols, textCol("identity_generation", "BY DEFAULT"))
	default:
		return []col{{"identity_cycle", yesNo(false)}}
	}
	d, _ := s.Resolver.ByOID(c.Sequence)
	q, ok := d.(*catalog.Sequence)
	if !ok {
		return cols
	}
	number := func(name string, v int64) col { return textCol(name, strconv.FormatInt(v, 10)) }
	return append(cols, number("identity_start", q.Start), number("identity_increment", q.Increment),
		number("identity_minimum", q.Min), number("identity_maximum", q.Max), col{"identity_cycle", yesNo(q.Cycle)})
}

// typeDetails are the lengths and precisions that information_schema shows.
func typeDetails(t types.Type) []col {
	precision := func(p, radix, scale int64) []col {
		return []col{intCol("numeric_precision", p), intCol("numeric_precision_radix", radix), intCol("numeric_scale", scale)}
	}
	switch t.OID {
	case types.Int2OID:
		return precision(16, 2, 0)
	case types.Int4OID:
		return precision(32, 2, 0)
	case types.Int8OID:
		return precision(64, 2, 0)
	case types.Float4OID:
		return precision(24, 2, 0)[:2]
	case types.Float8OID:
		return precision(53, 2, 0)[:2]
	case types.NumericOID:
		if t.Mod < 0 {
			return []col{intCol("numeric_precision_radix", 10)}
		}
		p, sc := types.NumericMod(t.Mod)
		return precision(int64(p), 10, int64(sc))
	case types.VarCharOID, types.BPCharOID:
		if t.Mod < 0 {
			return []col{intCol("character_octet_length", 1<<30)}
		}
		n := int64(t.Mod - 4)
		return []col{intCol("character_maximum_length", n), intCol("character_octet_length", n*4)}
	case types.BitOID, types.VarBitOID:
		if t.Mod < 0 {
			return nil
		}
		return []col{intCol("character_maximum_length", int64(t.Mod))}
	case types.TextOID:
		return []col{intCol("character_octet_length", 1<<30)}
	case types.DateOID:
		return []col{intCol("datetime_precision", 0)}
	case types.TimeOID, types.TimeTZOID, types.TimestampOID, types.TimestampTZOID, types.IntervalOID:
		if t.Mod >= 0 && t.OID != types.IntervalOID {
			return []col{intCol("datetime_precision", int64(t.Mod))}
		}
		return []col{intCol("datetime_precision", 6)}
	}
	return nil
}

func infoViewsRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		v, ok := d.(*catalog.View)
		if !ok || v.Materials != 0 {
			return nil
		}
		def, check := s.viewText(v), "NONE"
		for _, o := range v.Options {
			if value, ok := strings.CutPrefix(o, "check_option="); ok {
				check = strings.ToUpper(value)
			}
		}
		return s.put(textCol("table_catalog", s.catalogName()), textCol("table_schema", s.name(v.Schema)), textCol("table_name", v.Name),
			textCol("view_definition", def), textCol("check_option", check), col{"is_updatable", yesNo(false)}, col{"is_insertable_into", yesNo(false)},
			col{"is_trigger_updatable", yesNo(false)}, col{"is_trigger_deletable", yesNo(false)}, col{"is_trigger_insertable_into", yesNo(false)})
	})
}

func infoSequencesRows(s *scan) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		q, ok := d.(*catalog.Sequence)
		if !ok || q.Internal {
			return nil
		}
		bits := map[types.OID]int64{types.Int2OID: 16, types.Int4OID: 32}[q.Type]
		if bits == 0 {
			bits = 64
		}
		itoa := func(v int64) string { return strconv.FormatInt(v, 10) }
		return s.put(textCol("sequence_catalog", s.catalogName()), textCol("sequence_schema", s.name(q.Schema)), textCol("sequence_name", q.Name),
			textCol("data_type", types.Format(q.Type, -1)), intCol("numeric_precision", bits), intCol("numeric_precision_radix", 2), intCol("numeric_scale", 0),
			textCol("start_value", itoa(q.Start)), textCol("minimum_value", itoa(q.Min)), textCol("maximum_value", itoa(q.Max)),
			textCol("increment", itoa(q.Increment)), col{"cycle_option", yesNo(q.Cycle)})
	})
}

// eachConstraint calls f for the constraints of visible tables.
func (s *scan) eachConstraint(f func(*catalog.Table, *catalog.Constraint) error) error {
	return s.eachRelation("", func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Constraints {
			if c := &t.Constraints[i]; c.State != catalog.Absent {
				if err := f(t, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *scan) constraintName(t *catalog.Table, c *catalog.Constraint) []col {
	return []col{textCol("constraint_catalog", s.catalogName()), textCol("constraint_schema", s.name(t.Schema)), textCol("constraint_name", c.Name)}
}

func (s *scan) tableName(t *catalog.Table) []col {
	return []col{textCol("table_catalog", s.catalogName()), textCol("table_schema", s.name(t.Schema)), textCol("table_name", t.Name)}
}

func tableConstraintsRows(s *scan) error {
	kinds := map[catalog.ConstraintKind]string{catalog.CheckConstraint: "CHECK", catalog.ForeignKey: "FOREIGN KEY",
		catalog.PrimaryKey: "PRIMARY KEY", catalog.UniqueConstraint: "UNIQUE"}
	return s.eachConstraint(func(t *catalog.Table, c *catalog.Constraint) error {
		cols := append(s.constraintName(t, c), s.tableName(t)...)
		return s.put(append(cols, textCol("constraint_type", kinds[c.Kind]), col{"is_deferrable", yesNo(c.Deferrable)},
			col{"initially_deferred", yesNo(c.InitiallyDeferred)}, col{"enforced", yesNo(true)})...)
	})
}

func keyColumnUsageRows(s *scan) error {
	return s.eachConstraint(func(t *catalog.Table, c *catalog.Constraint) error {
		if c.Kind == catalog.CheckConstraint {
			return nil
		}
		for i, id := range c.Columns {
			tc, ok := t.Column(id)
			if !ok {
				continue
			}
			cols := append(s.constraintName(t, c), s.tableName(t)...)
			cols = append(cols, textCol("column_name", tc.Name), intCol("ordinal_position", int64(i+1)))
			if c.Kind == catalog.ForeignKey {
				cols = append(cols, intCol("position_in_unique_constraint", int64(i+1)))
			}
			if err := s.put(cols...); err != nil {
				return err
			}
		}
		return nil
	})
}

func constraintColumnUsageRows(s *scan) error {
	return s.eachConstraint(func(t *catalog.Table, c *catalog.Constraint) error {
		on, columns := t, c.Columns
		if c.Kind == catalog.ForeignKey {
			d, ok := s.snap.ByOID(c.RefTable)
			ref, isTable := d.(*catalog.Table)
			if !ok || !isTable {
				return nil
			}
			on, columns = ref, c.RefColumns
		}
		for _, id := range columns {
			if tc, ok := on.Column(id); ok {
				cols := append(s.constraintName(t, c), s.tableName(on)...)
				if err := s.put(append(cols, textCol("column_name", tc.Name))...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func referentialRows(s *scan) error {
	return s.eachConstraint(func(t *catalog.Table, c *catalog.Constraint) error {
		if c.Kind != catalog.ForeignKey {
			return nil
		}
		cols := s.constraintName(t, c)
		if d, ok := s.snap.ByOID(c.RefTable); ok {
			if ref, ok := d.(*catalog.Table); ok {
				for i := range ref.Constraints {
					if u := &ref.Constraints[i]; u.Index == c.Index && u.Kind != catalog.ForeignKey {
						cols = append(cols, textCol("unique_constraint_catalog", s.catalogName()),
							textCol("unique_constraint_schema", s.name(ref.Schema)), textCol("unique_constraint_name", u.Name))
					}
				}
			}
		}
		match := "NONE"
		if c.Match == 'f' {
			match = "FULL"
		}
		return s.put(append(cols, textCol("match_option", match), textCol("update_rule", fkAction(c.OnUpdate)), textCol("delete_rule", fkAction(c.OnDelete)))...)
	})
}

func checkConstraintsRows(s *scan) error {
	return s.eachConstraint(func(t *catalog.Table, c *catalog.Constraint) error {
		if c.Kind != catalog.CheckConstraint {
			return nil
		}
		return s.put(append(s.constraintName(t, c), textCol("check_clause", "("+s.exprText(t, c.Check)+")"))...)
	})
}

func enabledRolesRows(s *scan) error {
	return s.eachRole(func(r *catalog.Role) error { return s.put(textCol("role_name", r.Name)) })
}

func characterSetsRows(s *scan) error {
	return s.put(textCol("character_set_name", "UTF8"), textCol("character_repertoire", "UCS"), textCol("form_of_use", "UTF8"),
		textCol("default_collate_catalog", s.catalogName()), textCol("default_collate_schema", "pg_catalog"), textCol("default_collate_name", "C"))
}

// Domains of information_schema, by the oids that the facts have.
const (
	infoCardinal   types.OID = 13221
	infoIdentifier types.OID = 13226
	infoTimestamp  types.OID = 13232
	infoYesOrNo    types.OID = 13234
)

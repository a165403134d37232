package pgcatalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
)

func constraintRows(s *scan) error {
	column := "conrelid"
	if _, ok := s.wantOID("oid"); ok {
		column = "oid"
	}
	return s.eachRelation(column, func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Constraints {
			if c := &t.Constraints[i]; c.State != catalog.Absent {
				if err := s.constraintRow(t, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *scan) constraintRow(t *catalog.Table, c *catalog.Constraint) error {
	cols := []col{oidCol("oid", c.OID), textCol("conname", c.Name), oidCol("connamespace", t.Schema), charCol("contype", byte(c.Kind)),
		boolCol("condeferrable", c.Deferrable), boolCol("condeferred", c.InitiallyDeferred), boolCol("convalidated", !c.NotValid),
		oidCol("conrelid", t.ID), oidCol("contypid", 0), oidCol("conindid", c.Index), oidCol("conparentid", 0), oidCol("confrelid", c.RefTable),
		boolCol("conislocal", true), intCol("coninhcount", 0), boolCol("connoinherit", c.NoInherit || c.Kind != catalog.CheckConstraint)}
	update, del, match := byte(' '), byte(' '), byte(' ')
	if c.Kind == catalog.ForeignKey {
		update, del, match = actionByte(c.OnUpdate), actionByte(c.OnDelete), 's'
		if c.Match != 0 {
			match = c.Match
		}
		cols = append(cols, s.parsed("confkey", columnArray(c.RefColumns)))
	}
	cols = append(cols, charCol("confupdtype", update), charCol("confdeltype", del), charCol("confmatchtype", match))
	if len(c.Columns) > 0 {
		cols = append(cols, s.parsed("conkey", columnArray(c.Columns)))
	}
	if c.Check != nil {
		cols = append(cols, textCol("conbin", s.exprText(t, c.Check)))
	}
	return s.put(cols...)
}

func actionByte(a catalog.FKAction) byte {
	if a == 0 {
		return byte(catalog.FKNoAction)
	}
	return byte(a)
}

func columnArray(ids []catalog.ColumnID) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.Itoa(int(id))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// dependRows records what pg_dump and psql look for: sequences owned by columns
// and the indexes of constraints.
func dependRows(s *scan) error {
	put := func(class, obj types.OID, sub int64, refClass, ref types.OID, refSub int64, kind byte) error {
		return s.put(oidCol("classid", class), oidCol("objid", obj), intCol("objsubid", sub), oidCol("refclassid", refClass),
			oidCol("refobjid", ref), intCol("refobjsubid", refSub), charCol("deptype", kind))
	}
	const classRel, classCon = types.OID(1259), types.OID(2606)
	return s.each(func(d catalog.Descriptor) error {
		if !s.inDatabase(d.Head()) {
			return nil
		}
		if ours(d) {
			class := classRel
			if d.Kind() == catalog.KindSchema {
				class = 2615
			}
			return put(class, d.Head().ID, 0, 3079, extensionOID, 0, 'e')
		}
		if err := s.dependDefaults(d, put); err != nil {
			return err
		}
		switch x := d.(type) {
		case *catalog.Sequence:
			if x.OwnerTable == 0 {
				return nil
			}
			kind := byte('a')
			if x.Internal {
				kind = 'i'
			}
			return put(classRel, x.ID, 0, classRel, x.OwnerTable, int64(x.OwnerColumn), kind)
		case *catalog.View:
			for _, on := range x.DependsOn {
				if err := put(2618, x.ID, 0, classRel, on, 0, 'n'); err != nil {
					return err
				}
			}
		case *catalog.Table:
			for i := range x.Constraints {
				c := &x.Constraints[i]
				if err := put(classCon, c.OID, 0, classRel, x.ID, 0, 'a'); err != nil {
					return err
				}
				if c.Index != 0 && c.Kind != catalog.ForeignKey {
					if err := put(classRel, c.Index, 0, classCon, c.OID, 0, 'i'); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// dependDefaults tells that the defaults of a table go with their columns, and
// need the columns that they read and the sequences that they name.
func (s *scan) dependDefaults(d catalog.Descriptor, put func(class, obj types.OID, sub int64, refClass, ref types.OID, refSub int64, kind byte) error) error {
	const classRel, classDefault = types.OID(1259), types.OID(2604)
	return eachDefault(d, func(c *catalog.Column, e *catalog.Expr) error {
		oid, kind := defaultOID(d.Head().ID, c.ID), byte('a')
		if c.Generated != nil {
			kind = 'i'
		}
		if err := put(classDefault, oid, 0, classRel, d.Head().ID, int64(c.ID), kind); err != nil {
			return err
		}
		for _, read := range columnsRead(e) {
			if err := put(classDefault, oid, 0, classRel, d.Head().ID, int64(read), 'n'); err != nil {
				return err
			}
		}
		var needs []types.OID
		expr.Walk(e.Tree, func(x expr.Expr) bool {
			if k, ok := x.(*expr.Const); ok && k.Typ.OID == types.RegClassOID && !k.Value.IsNull() {
				needs = append(needs, types.OID(k.Value.Int()))
			}
			return true
		})
		for _, on := range needs {
			if err := put(classDefault, oid, 0, classRel, on, 0, 'n'); err != nil {
				return err
			}
		}
		return nil
	})
}

// columnsRead lists the columns that an expression over a row reads.
func columnsRead(e *catalog.Expr) []catalog.ColumnID {
	var out []catalog.ColumnID
	expr.Columns(e.Tree, func(c *expr.ColumnRef) {
		if id := catalog.ColumnID(c.ID); !slices.Contains(out, id) {
			out = append(out, id)
		}
	})
	return out
}

// extensionOID is a built-in extension, to which pamir_internal belongs: tools
// that dump a database leave alone what is an extension's.
const extensionOID types.OID = 13998

func ours(d catalog.Descriptor) bool {
	return d.Head().ID == catalog.PamirInternalOID || d.Head().Schema == catalog.PamirInternalOID
}

func extensionRows(s *scan) error {
	return s.put(oidCol("oid", extensionOID), textCol("extname", "pamir"), oidCol("extowner", catalog.RootRoleOID),
		oidCol("extnamespace", catalog.PamirInternalOID), boolCol("extrelocatable", false), textCol("extversion", "1.0"))
}

func sequenceRows(s *scan) error {
	return s.eachRelation("seqrelid", func(d catalog.Descriptor) error {
		q, ok := d.(*catalog.Sequence)
		if !ok {
			return nil
		}
		return s.put(oidCol("seqrelid", q.ID), oidCol("seqtypid", q.Type), intCol("seqstart", q.Start), intCol("seqincrement", q.Increment),
			intCol("seqmax", q.Max), intCol("seqmin", q.Min), intCol("seqcache", max(q.Cache, 1)), boolCol("seqcycle", q.Cycle))
	})
}

// rewriteRows gives each view its SELECT rule, by which clients find views.
func rewriteRows(s *scan) error {
	return s.eachRelation("ev_class", func(d catalog.Descriptor) error {
		v, ok := d.(*catalog.View)
		if !ok {
			return nil
		}
		return s.put(oidCol("oid", v.ID), textCol("rulename", "_RETURN"), oidCol("ev_class", v.ID), charCol("ev_type", '1'),
			charCol("ev_enabled", 'O'), boolCol("is_instead", true), textCol("ev_qual", "<>"), textCol("ev_action", v.Query))
	})
}

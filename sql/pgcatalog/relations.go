package pgcatalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Access methods, by PostgreSQL's oids.
const (
	heapAM  types.OID = 2
	btreeAM types.OID = 403
)

func atoi(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func formatOID(o types.OID) string { return strconv.FormatUint(uint64(o), 10) }

func (s *scan) databaseOID() types.OID {
	if db := s.Resolver.Database(); db != nil {
		return db.ID
	}
	return 0
}

// inDatabase reports whether the session's database shows the object.
func (s *scan) inDatabase(h *catalog.Header) bool {
	return h.Database == 0 || h.Database == s.databaseOID()
}

func (s *scan) each(f func(catalog.Descriptor) error) error {
	var err error
	s.snap.Each(func(d catalog.Descriptor) bool {
		err = f(d)
		return err == nil
	})
	return err
}

// eachRelation calls f for tables, views and sequences that the session's
// database shows; an equality on the column that holds the relation's oid, or
// that of one of its indexes, finds it at once.
func (s *scan) eachRelation(oidColumn string, f func(catalog.Descriptor) error) error {
	visible := func(d catalog.Descriptor) bool {
		switch x := d.(type) {
		case *catalog.Table:
			return s.inDatabase(&x.Header) && x.State != catalog.Absent
		case *catalog.View, *catalog.Sequence:
			return s.inDatabase(d.Head())
		}
		return false
	}
	if oid, ok := s.wantOID(oidColumn); ok {
		if d, ok := s.snap.ByOID(oid); ok && visible(d) {
			return f(d)
		}
		return nil
	}
	return s.each(func(d catalog.Descriptor) error {
		if !visible(d) {
			return nil
		}
		return f(d)
	})
}

// visibleColumns are the columns that clients may see.
func visibleColumns(d catalog.Descriptor) []catalog.Column {
	all := catalog.ColumnsOf(d)
	out := make([]catalog.Column, 0, len(all))
	for _, c := range all {
		if !c.Hidden && c.State.Readable() {
			out = append(out, c)
		}
	}
	return out
}

func classRows(s *scan) error {
	name, byName := s.wantText("relname")
	return s.eachRelation("oid", func(d catalog.Descriptor) error {
		h := d.Head()
		if !byName || h.Name == name {
			if err := s.classRow(d); err != nil {
				return err
			}
		}
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Indexes {
			x := &t.Indexes[i]
			if showIndex(t, x) && (!byName || x.Name == name) {
				if err := s.indexClassRow(t, x); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// showIndex hides the index that a table without a primary key is stored in.
func showIndex(t *catalog.Table, x *catalog.Index) bool {
	return x.State != catalog.Absent && (x.OID != t.Primary || !t.HasRowID())
}

func (s *scan) classRow(d catalog.Descriptor) error {
	h := d.Head()
	kind, am, attrs, checks, hasIndex, hasTriggers := byte('r'), heapAM, len(visibleColumns(d)), 0, false, false
	rowType, tuples, pages, replica := types.OID(0), -1.0, int64(0), byte('d')
	persistence, options := byte('p'), ""
	switch x := d.(type) {
	case *catalog.View:
		kind, am, tuples, replica = 'v', 0, 0, 'n'
		if x.Materials != 0 {
			kind = 'm'
		}
		options = strings.Join(x.Options, ",")
	case *catalog.Sequence:
		kind, am, attrs, tuples, pages, replica = 'S', 0, 3, 1, 1, 'n'
	case *catalog.Table:
		rowType = x.RowType
		hasTriggers = len(x.InboundFKs) > 0
		for i := range x.Indexes {
			hasIndex = hasIndex || showIndex(x, &x.Indexes[i])
		}
		for i := range x.Constraints {
			if x.Constraints[i].Kind == catalog.CheckConstraint {
				checks++
			}
			hasTriggers = hasTriggers || x.Constraints[i].Kind == catalog.ForeignKey
		}
		if x.Temporary {
			persistence = 't'
		}
		if x.Virtual {
			tuples, replica = 0, 'n'
		} else if n, ok := s.rowCount(h.ID); ok {
			tuples, pages = n, int64(n/100)+1
		}
		for _, k := range slices.Sorted(maps.Keys(x.Options)) {
			options += k + "=" + x.Options[k] + ","
		}
	}
	cols := append(s.classCommon(h.ID, h, h.Name, kind, am, pages, tuples, persistence, replica),
		oidCol("reltype", rowType), intCol("relnatts", int64(attrs)), intCol("relchecks", int64(checks)),
		boolCol("relhasindex", hasIndex), boolCol("relhasrules", kind == 'v'), boolCol("relhastriggers", hasTriggers),
		s.acl("relacl", d))
	if options != "" {
		cols = append(cols, s.parsed("reloptions", "{"+strings.TrimSuffix(options, ",")+"}"))
	}
	return s.put(cols...)
}

func (s *scan) indexClassRow(t *catalog.Table, x *catalog.Index) error {
	persistence := byte('p')
	if t.Temporary {
		persistence = 't'
	}
	return s.put(append(s.classCommon(x.OID, &t.Header, x.Name, 'i', btreeAM, 1, 0, persistence, 'n'),
		oidCol("reltype", 0), intCol("relnatts", int64(len(x.Columns)+len(x.Include))), intCol("relchecks", 0),
		boolCol("relhasindex", false), boolCol("relhasrules", false), boolCol("relhastriggers", false))...)
}

func (s *scan) classCommon(oid types.OID, h *catalog.Header, name string, kind byte, am types.OID, pages int64, tuples float64, persistence, replica byte) []col {
	file := oid
	if kind == 'v' {
		file = 0
	}
	return []col{oidCol("oid", oid), textCol("relname", name), oidCol("relnamespace", h.Schema), oidCol("reloftype", 0),
		oidCol("relowner", h.Owner), oidCol("relam", am), oidCol("relfilenode", file), oidCol("reltablespace", 0),
		intCol("relpages", pages), floatCol("reltuples", tuples), intCol("relallvisible", 0), oidCol("reltoastrelid", 0),
		boolCol("relisshared", false), charCol("relpersistence", persistence), charCol("relkind", kind),
		boolCol("relhassubclass", false), boolCol("relrowsecurity", false), boolCol("relforcerowsecurity", false),
		boolCol("relispopulated", true), charCol("relreplident", replica), boolCol("relispartition", false),
		oidCol("relrewrite", 0), intCol("relfrozenxid", 0), intCol("relminmxid", 0)}
}

func attributeRows(s *scan) error {
	want, one := s.wantOID("attrelid")
	return s.eachRelation("attrelid", func(d catalog.Descriptor) error {
		h := d.Head()
		if !one || want == h.ID {
			for _, c := range visibleColumns(d) {
				if err := s.attributeRow(h.ID, int64(c.ID), &c); err != nil {
					return err
				}
			}
			if _, ok := d.(*catalog.Sequence); ok {
				if err := s.sequenceAttributes(h.ID); err != nil {
					return err
				}
			}
		}
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Indexes {
			x := &t.Indexes[i]
			if !showIndex(t, x) || (one && want != x.OID) {
				continue
			}
			for j := range len(x.Columns) + len(x.Include) {
				c := indexAttribute(t, x, j)
				if err := s.attributeRow(x.OID, int64(j+1), &c); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// sequenceAttributes are the columns that SELECT * FROM a sequence shows.
func (s *scan) sequenceAttributes(oid types.OID) error {
	for i, c := range []catalog.Column{
		{Name: "last_value", Type: types.Of(types.Int8OID), NotNull: true},
		{Name: "log_cnt", Type: types.Of(types.Int8OID), NotNull: true},
		{Name: "is_called", Type: types.Of(types.BoolOID), NotNull: true},
	} {
		if err := s.attributeRow(oid, int64(i+1), &c); err != nil {
			return err
		}
	}
	return nil
}

// indexAttribute describes one column of an index as pg_attribute does.
func indexAttribute(t *catalog.Table, x *catalog.Index, j int) catalog.Column {
	if j >= len(x.Columns) {
		if c, ok := t.Column(x.Include[j-len(x.Columns)]); ok {
			return catalog.Column{Name: c.Name, Type: c.Type, Collation: c.Collation}
		}
		return catalog.Column{Name: "?column?", Type: types.Of(types.TextOID)}
	}
	ic := x.Columns[j]
	if c, ok := t.Column(ic.Column); ok && ic.Column != 0 {
		return catalog.Column{Name: c.Name, Type: c.Type, Collation: c.Collation}
	}
	name := indexColumnNames(t, x)[j]
	typ := types.Of(types.TextOID)
	if ic.Expr != nil && ic.Expr.Tree != nil {
		typ = ic.Expr.Tree.Type()
	}
	return catalog.Column{Name: name, Type: typ}
}

// physical are the facts of a type that its columns repeat. They describe
// PostgreSQL's storage; clients read them.
type physical struct {
	length         int64
	byval          bool
	align, storage byte
	collation      types.OID
}

var physicalFacts = sync.OnceValue(func() map[types.OID]physical {
	m := map[types.OID]physical{}
	rows, ok := pgfacts.Rows("pg_type")
	if !ok {
		return m
	}
	at := map[string]int{}
	for i, c := range rows.Columns {
		at[c.Name] = i
	}
	for _, r := range rows.Rows {
		oid, _ := atoi(r[at["oid"]].Text)
		length, _ := atoi(r[at["typlen"]].Text)
		collation, _ := atoi(r[at["typcollation"]].Text)
		m[types.OID(oid)] = physical{length: int64(length), byval: r[at["typbyval"]].Text == "t",
			align: r[at["typalign"]].Text[0], storage: r[at["typstorage"]].Text[0], collation: types.OID(collation)}
	}
	return m
})

func physicalOf(t types.OID) physical {
	if f, ok := physicalFacts()[t]; ok {
		return f
	}
	if types.IsEnum(t) {
		return physical{length: 4, byval: true, align: 'i', storage: 'p'}
	}
	return physical{length: -1, align: 'i', storage: 'x'}
}

func (s *scan) attributeRow(rel types.OID, num int64, c *catalog.Column) error {
	f := physicalOf(c.Type.OID)
	dims := int64(0)
	if c.Type.IsArray() {
		dims = 1
	}
	collation := c.Collation
	if collation == 0 || !types.IsCollatable(c.Type.OID) {
		collation = f.collation
	}
	generated := byte(0)
	if c.Generated != nil {
		generated = 's'
	}
	return s.put(oidCol("attrelid", rel), textCol("attname", c.Name), oidCol("atttypid", c.Type.OID), intCol("attstattarget", -1),
		intCol("attlen", f.length), intCol("attnum", num), intCol("attndims", dims), intCol("attcacheoff", -1),
		intCol("atttypmod", int64(c.Type.Mod)), boolCol("attbyval", f.byval), charCol("attalign", f.align), charCol("attstorage", f.storage),
		charCol("attcompression", 0), boolCol("attnotnull", c.NotNull), boolCol("atthasdef", defaultOf(c) != nil),
		boolCol("atthasmissing", false), charCol("attidentity", byte(c.Identity)), charCol("attgenerated", generated),
		boolCol("attisdropped", false), boolCol("attislocal", true), intCol("attinhcount", 0), oidCol("attcollation", collation))
}

// defaultOID names a column's default: derived, stable, and above every oid
// that the allocator can give out for long.
func defaultOID(rel types.OID, c catalog.ColumnID) types.OID {
	return 0x8000_0000 | (rel<<11)&0x7fff_f800 | types.OID(c)&0x7ff
}

// defaultOf is what a column is given as a default, or generated from; nil for
// neither. How an identity column is filled is not shown as a default.
func defaultOf(c *catalog.Column) *catalog.Expr {
	switch {
	case c.Generated != nil:
		return c.Generated
	case c.Identity != catalog.NoIdentity:
		return nil
	}
	return c.Default
}

// eachDefault visits the columns of a relation that have a default or are generated.
func eachDefault(d catalog.Descriptor, visit func(*catalog.Column, *catalog.Expr) error) error {
	for _, c := range visibleColumns(d) {
		if e := defaultOf(&c); e != nil {
			if err := visit(&c, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func attrdefRows(s *scan) error {
	return s.eachRelation("adrelid", func(d catalog.Descriptor) error {
		return eachDefault(d, func(c *catalog.Column, e *catalog.Expr) error {
			return s.put(oidCol("oid", defaultOID(d.Head().ID, c.ID)), oidCol("adrelid", d.Head().ID),
				intCol("adnum", int64(c.ID)), textCol("adbin", s.exprText(d, e)))
		})
	})
}

func indexRows(s *scan) error {
	want, one := s.wantOID("indexrelid")
	column := "indrelid"
	if one {
		column = "indexrelid"
	}
	return s.eachRelation(column, func(d catalog.Descriptor) error {
		t, ok := d.(*catalog.Table)
		if !ok {
			return nil
		}
		for i := range t.Indexes {
			x := &t.Indexes[i]
			if !showIndex(t, x) || (one && want != x.OID) {
				continue
			}
			if err := s.indexRow(t, x); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *scan) indexRow(t *catalog.Table, x *catalog.Index) error {
	var key, coll, class, option []string
	for _, c := range x.Columns {
		key = append(key, strconv.Itoa(int(c.Column)))
		flags := 0
		if c.Desc {
			flags |= 1
		}
		if c.NullsFirst {
			flags |= 2
		}
		option = append(option, strconv.Itoa(flags))
		typ := types.Of(types.TextOID)
		if tc, ok := t.Column(c.Column); ok {
			typ = tc.Type
		}
		collation := types.OID(0)
		if types.IsCollatable(typ.OID) {
			collation = catalog.DefaultCollationOID
		}
		coll = append(coll, formatOID(collation))
		class = append(class, formatOID(defaultOpclass(typ.OID)))
	}
	for _, id := range x.Include {
		key = append(key, strconv.Itoa(int(id)))
	}
	immediate := true
	for i := range t.Constraints {
		if c := &t.Constraints[i]; c.Index == x.OID && c.Kind != catalog.ForeignKey {
			immediate = !c.Deferrable
		}
	}
	valid := x.State.Readable()
	cols := []col{oidCol("indexrelid", x.OID), oidCol("indrelid", t.ID), intCol("indnatts", int64(len(key))),
		intCol("indnkeyatts", int64(len(x.Columns))), boolCol("indisunique", x.Unique), boolCol("indnullsnotdistinct", x.NullsNotDistinct),
		boolCol("indisprimary", x.OID == t.Primary), boolCol("indisexclusion", false), boolCol("indimmediate", immediate),
		boolCol("indisclustered", false), boolCol("indisvalid", valid), boolCol("indcheckxmin", false), boolCol("indisready", x.State.Writable()),
		boolCol("indislive", true), boolCol("indisreplident", false), s.parsed("indkey", strings.Join(key, " ")),
		s.parsed("indcollation", strings.Join(coll, " ")), s.parsed("indclass", strings.Join(class, " ")), s.parsed("indoption", strings.Join(option, " "))}
	var exprs []string
	for _, c := range x.Columns {
		if c.Expr != nil {
			exprs = append(exprs, s.exprText(t, c.Expr))
		}
	}
	if exprs != nil {
		cols = append(cols, textCol("indexprs", strings.Join(exprs, ", ")))
	}
	if x.Predicate != nil {
		cols = append(cols, textCol("indpred", s.exprText(t, x.Predicate)))
	}
	return s.put(cols...)
}

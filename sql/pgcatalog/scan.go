package pgcatalog

import (
	"context"
	"sync"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Env is what the rows are made from: the session's view of the catalog and the
// node's live state.
type Env struct {
	Ctx      context.Context
	Resolver *catalog.SessionResolver
	Settings *types.Settings
	// User is the session's role.
	User types.OID
	Live Live
	// ViewText prints the query of a view; nil leaves it as it is stored.
	ViewText func(*catalog.View) string
}

func (e *Env) viewText(v *catalog.View) string {
	if e.ViewText == nil {
		return v.Query
	}
	return e.ViewText(v)
}

// Eq is an equality that all wanted rows satisfy.
type Eq struct {
	Column catalog.ColumnID
	Value  types.Datum
}

// Emit takes one row: a datum for each column of the table, in its order. The
// slice is reused.
type Emit func(row []types.Datum) error

// Scan makes the rows of a virtual table.
func Scan(env *Env, t *catalog.Table, eqs []Eq, emit Emit) error {
	v, ok := tables().byOID[t.ID]
	if !ok || v.rows == nil {
		return nil
	}
	s := &scan{Env: env, snap: env.Resolver.Snapshot(), table: v, emit: emit,
		row: make([]types.Datum, len(v.desc.Columns))}
	for _, e := range eqs {
		if c, ok := t.Column(e.Column); ok && !e.Value.IsNull() {
			if s.eq == nil {
				s.eq = map[string]types.Datum{}
			}
			s.eq[c.Name] = e.Value
		}
	}
	return v.rows(s)
}

// Descriptors returns the schemas and tables that every catalog starts with.
func Descriptors() []catalog.Descriptor { return tables().descriptors }

// virtual is a table with the function that makes its rows; nil for a table
// that is always empty.
type virtual struct {
	desc    *catalog.Table
	columns map[string]int
	rows    func(*scan) error
}

type tableSet struct {
	byOID       map[types.OID]*virtual
	descriptors []catalog.Descriptor
}

var tables = sync.OnceValue(makeTables)

// internalOID numbers the tables of pamir_internal, below user oids.
const internalOID types.OID = 14000

func makeTables() *tableSet {
	set := &tableSet{byOID: map[types.OID]*virtual{}}
	schemas := map[string]types.OID{"pg_catalog": catalog.PgCatalogOID,
		"information_schema": catalog.InformationSchemaOID, "pamir_internal": catalog.PamirInternalOID}
	for _, name := range []string{"pg_catalog", "information_schema", "pamir_internal"} {
		set.descriptors = append(set.descriptors, &catalog.Schema{Header: catalog.Header{
			ID: schemas[name], Name: name, Owner: catalog.RootRoleOID, Version: 1}})
	}
	set.descriptors = append(set.descriptors, catalog.PredefinedRoles()...)
	makers := rowMakers()
	for _, r := range pgfacts.CatalogRelations() {
		schema, ok := schemas[r.Schema]
		if !ok {
			continue
		}
		cols := make([]catalog.Column, len(r.Columns))
		for i, c := range r.Columns {
			cols[i] = catalog.Column{ID: catalog.ColumnID(i + 1), Name: c.Name, Type: baseType(c.Type), NotNull: c.NotNull}
		}
		set.add(r.OID, schema, r.Name, r.RowType, cols, makers[r.Schema+"."+r.Name])
	}
	for i, t := range internalTables() {
		set.add(internalOID+types.OID(i), catalog.PamirInternalOID, t.name, 0, t.columns, t.rows)
	}
	return set
}

// baseType replaces a domain of information_schema by what it is over: clients
// see plain types either way.
func baseType(t types.Type) types.Type {
	if _, ok := types.Lookup(t.OID); ok {
		return t
	}
	switch t.OID {
	case infoCardinal:
		return types.Of(types.Int4OID)
	case infoIdentifier:
		return types.Of(types.NameOID)
	case infoTimestamp:
		return types.Of(types.TimestampTZOID).WithMod(2)
	case infoYesOrNo:
		return types.Of(types.VarCharOID).WithMod(4 + 3)
	}
	return types.Of(types.VarCharOID)
}

func (set *tableSet) add(oid, schema types.OID, name string, rowType types.OID, cols []catalog.Column, rows func(*scan) error) {
	d := &catalog.Table{
		Header:  catalog.Header{ID: oid, Name: name, Schema: schema, Owner: catalog.RootRoleOID, Version: 1},
		Virtual: true, Columns: cols, RowType: rowType, NextColumn: catalog.ColumnID(len(cols) + 1),
	}
	v := &virtual{desc: d, columns: make(map[string]int, len(cols)), rows: rows}
	for i := range cols {
		v.columns[cols[i].Name] = i
	}
	set.byOID[oid] = v
	set.descriptors = append(set.descriptors, d)
}

// scan is one run over a virtual table.
type scan struct {
	*Env
	snap  *catalog.Snapshot
	table *virtual
	eq    map[string]types.Datum
	emit  Emit
	row   []types.Datum
}

// col is one value of a row under construction.
type col struct {
	name  string
	value types.Datum
}

// put emits a row of the named values; other columns are NULL.
func (s *scan) put(cols ...col) error {
	clear(s.row)
	for _, c := range cols {
		i, ok := s.table.columns[c.name]
		if !ok {
			panic("pgcatalog: " + s.table.desc.Name + " has no column " + c.name)
		}
		s.row[i] = c.value
	}
	return s.emit(s.row)
}

// wantOID returns the oid that a column must equal.
func (s *scan) wantOID(column string) (types.OID, bool) {
	d, ok := s.eq[column]
	if !ok || d.Repr() != types.Int64 {
		return 0, false
	}
	return types.OID(d.Int()), true
}

// wantText returns the text that a column must equal.
func (s *scan) wantText(column string) (string, bool) {
	d, ok := s.eq[column]
	if !ok || d.Repr() != types.Bytes {
		return "", false
	}
	return d.Str(), true
}

func oidCol(name string, v types.OID) col { return col{name, types.NewInt(int64(v))} }
func intCol(name string, v int64) col     { return col{name, types.NewInt(v)} }
func boolCol(name string, v bool) col     { return col{name, types.NewBool(v)} }
func textCol(name, v string) col          { return col{name, types.NewString(v)} }
func charCol(name string, v byte) col     { return col{name, types.NewInt(int64(int8(v)))} }
func floatCol(name string, v float64) col { return col{name, types.NewFloat(v)} }
func nullCol(name string) col             { return col{name, types.Null} }
func optTextCol(name, v string) col {
	if v == "" {
		return nullCol(name)
	}
	return textCol(name, v)
}

// parsed returns a value of the column's type from its text form, for arrays and
// vectors.
func (s *scan) parsed(name, text string) col {
	t := s.table.desc.Columns[s.table.columns[name]].Type
	d, err := parseText(t, text)
	if err != nil {
		panic("pgcatalog: " + s.table.desc.Name + "." + name + ": " + err.Error())
	}
	return col{name, d}
}

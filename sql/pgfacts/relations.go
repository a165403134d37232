package pgfacts

import (
	"sync"

	"github.com/pamirdb/pamir/sql/types"
)

// RelColumn is a column of one of PostgreSQL's catalog relations.
type RelColumn struct {
	Name    string
	Type    types.Type
	NotNull bool
}

// Relation is the shape of a relation of pg_catalog or information_schema.
type Relation struct {
	OID     types.OID
	Name    string
	Schema  string
	Kind    byte // r or v
	RowType types.OID
	Columns []RelColumn
}

var relations struct {
	once   sync.Once
	all    []*Relation
	byName map[string]*Relation
}

func loadRelations() {
	relations.byName = make(map[string]*Relation)
	var cur *Relation
	for _, l := range lines("relations").lines {
		r := rowReader{l}
		oid, name, schema, kind, rowType := r.oid(), r.text(), r.text(), r.char(), r.oid()
		r.skip(1)
		if cur == nil || cur.OID != oid {
			cur = &Relation{OID: oid, Name: name, Schema: schema, Kind: kind, RowType: rowType}
			relations.all = append(relations.all, cur)
			relations.byName[schema+"."+name] = cur
		}
		col, typ, mod := r.text(), r.oid(), r.int()
		cur.Columns = append(cur.Columns, RelColumn{col, types.Type{OID: typ, Mod: int32(mod)}, r.bool()})
	}
}

// CatalogRelation returns the shape of a catalog relation.
func CatalogRelation(schema, name string) (*Relation, bool) {
	relations.once.Do(loadRelations)
	r, ok := relations.byName[schema+"."+name]
	return r, ok
}

// CatalogRelations returns the shapes of all catalog relations.
func CatalogRelations() []*Relation {
	relations.once.Do(loadRelations)
	return relations.all
}

package catalog

import (
	"strconv"

	"github.com/tidwall/btree"

	"github.com/pamirdb/pamir/sql/types"
)

// Snapshot is an immutable picture of a whole catalog. Making a changed one
// shares everything that did not change.
type Snapshot struct {
	generation uint64
	byOID      *btree.Map[types.OID, Descriptor]
	byName     *btree.Map[string, types.OID]
	indexes    *btree.Map[types.OID, types.OID] // index or constraint oid -> table
}

// NewSnapshot returns an empty catalog.
func NewSnapshot() *Snapshot {
	return &Snapshot{
		byOID:   new(btree.Map[types.OID, Descriptor]),
		byName:  new(btree.Map[string, types.OID]),
		indexes: new(btree.Map[types.OID, types.OID]),
	}
}

// Generation returns the generation that With was given.
func (s *Snapshot) Generation() uint64 { return s.generation }

// With returns a snapshot in which the descriptors put replace those of the
// same oid and those in drop are gone. s stays as it is.
func (s *Snapshot) With(generation uint64, put []Descriptor, drop []types.OID) *Snapshot {
	n := &Snapshot{
		generation: generation,
		byOID:      s.byOID.Copy(),
		byName:     s.byName.Copy(),
		indexes:    s.indexes.Copy(),
	}
	// All removals first: two objects may swap names.
	for _, oid := range drop {
		n.remove(oid)
	}
	for _, d := range put {
		n.remove(d.Head().ID)
	}
	for _, d := range put {
		n.insert(d)
	}
	return n
}

func (s *Snapshot) remove(oid types.OID) {
	d, ok := s.byOID.Delete(oid)
	if !ok {
		return
	}
	if k, named := nameKey(d); named {
		if cur, ok := s.byName.Get(k); ok && cur == oid {
			s.byName.Delete(k)
		}
	}
	if t, ok := d.(*Table); ok {
		for i := range t.Indexes {
			x := &t.Indexes[i]
			s.indexes.Delete(x.OID)
			k := key(classRelation, t.Schema, x.Name)
			if cur, ok := s.byName.Get(k); ok && cur == x.OID {
				s.byName.Delete(k)
			}
		}
		for i := range t.Constraints {
			s.indexes.Delete(t.Constraints[i].OID)
		}
	}
}

func (s *Snapshot) insert(d Descriptor) {
	h := d.Head()
	s.byOID.Set(h.ID, d)
	if k, named := nameKey(d); named {
		s.byName.Set(k, h.ID)
	}
	if t, ok := d.(*Table); ok && t.State != Absent {
		for i := range t.Indexes {
			x := &t.Indexes[i]
			s.indexes.Set(x.OID, h.ID)
			if x.State != Absent && !(x.OID == t.Primary && t.HasRowID()) {
				s.byName.Set(key(classRelation, t.Schema, x.Name), x.OID)
			}
		}
		for i := range t.Constraints {
			s.indexes.Set(t.Constraints[i].OID, h.ID)
		}
	}
}

// Name spaces: what may not have the same name within a scope.
const (
	classGlobal   = 'g' // databases
	classRole     = 'r'
	classSchema   = 's' // scope: database
	classRelation = 'c' // scope: schema; tables, views, sequences and indexes
	classType     = 't' // scope: schema
)

func key(class byte, scope types.OID, name string) string {
	b := make([]byte, 0, 12+len(name))
	b = append(b, class)
	b = strconv.AppendUint(b, uint64(scope), 36)
	b = append(b, 0)
	return string(append(b, name...))
}

func nameKey(d Descriptor) (string, bool) {
	h := d.Head()
	switch d.Kind() {
	case KindDatabase:
		return key(classGlobal, 0, h.Name), true
	case KindRole:
		return key(classRole, 0, h.Name), true
	case KindSchema:
		return key(classSchema, h.Database, h.Name), true
	case KindType:
		return key(classType, h.Schema, h.Name), true
	case KindTable:
		return key(classRelation, h.Schema, h.Name), d.(*Table).State != Absent
	case KindView, KindSequence:
		return key(classRelation, h.Schema, h.Name), true
	}
	return "", false
}

// ByOID finds a descriptor; an index's or constraint's oid gives its table.
func (s *Snapshot) ByOID(oid types.OID) (Descriptor, bool) {
	if d, ok := s.byOID.Get(oid); ok {
		return d, true
	}
	if t, ok := s.indexes.Get(oid); ok {
		return s.byOID.Get(t)
	}
	return nil, false
}

// Database finds a database by name.
func (s *Snapshot) Database(name string) (*Database, bool) {
	d, ok := s.named(key(classGlobal, 0, name)).(*Database)
	return d, ok
}

// Role finds a role by name.
func (s *Snapshot) Role(name string) (*Role, bool) {
	d, ok := s.named(key(classRole, 0, name)).(*Role)
	return d, ok
}

// Schema finds a schema of a database, or one that all databases share.
func (s *Snapshot) Schema(database types.OID, name string) (*Schema, bool) {
	if d, ok := s.named(key(classSchema, database, name)).(*Schema); ok {
		return d, true
	}
	d, ok := s.named(key(classSchema, 0, name)).(*Schema)
	return d, ok
}

// RelationOID finds the oid of a table, view, sequence or index of a schema,
// and the descriptor that holds it.
func (s *Snapshot) RelationOID(schema types.OID, name string) (types.OID, Descriptor, bool) {
	oid, ok := s.byName.Get(key(classRelation, schema, name))
	if !ok {
		return 0, nil, false
	}
	d, ok := s.ByOID(oid)
	return oid, d, ok
}

// Type finds a user-defined type of a schema.
func (s *Snapshot) Type(schema types.OID, name string) (*Type, bool) {
	d, ok := s.named(key(classType, schema, name)).(*Type)
	return d, ok
}

func (s *Snapshot) named(k string) Descriptor {
	oid, ok := s.byName.Get(k)
	if !ok {
		return nil
	}
	d, _ := s.byOID.Get(oid)
	return d
}

// Each calls f for every descriptor in the order of their oids until f returns
// false.
func (s *Snapshot) Each(f func(Descriptor) bool) {
	s.byOID.Scan(func(_ types.OID, d Descriptor) bool { return f(d) })
}

// Len returns the number of descriptors.
func (s *Snapshot) Len() int { return s.byOID.Len() }

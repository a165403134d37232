package catalog

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// View of a snapshot by a session is a SessionResolver: a database, a search
// path and whether the snapshot holds uncommitted changes. It is a value made
// once for a search path, not for a statement.
type SessionResolver struct {
	snap       *Snapshot
	database   *Database
	path       []types.OID
	shared     bool
	generation uint64
	// temp is the session's schema for temporary objects, 0 if it has none, and
	// createTemp says that unqualified names are created there.
	temp       types.OID
	createTemp bool
}

// TempAlias names the session's own schema for temporary objects, the name of
// which begins with TempPrefix.
const (
	TempAlias  = "pg_temp"
	TempPrefix = "pg_temp_"
)

// NewSessionResolver returns a resolver over s. Names in path that are no
// schemas are ignored, as in PostgreSQL; pg_catalog is searched first unless
// the path names it, and before it the session's temporary schema, which a path
// may begin with; "$user" must have been replaced. shared says that s holds
// committed descriptors only.
func NewSessionResolver(s *Snapshot, db *Database, path []string, shared bool) *SessionResolver {
	r := &SessionResolver{snap: s, database: db, shared: shared, generation: s.Generation()}
	explicit := false
	if len(path) > 0 && strings.HasPrefix(path[0], TempPrefix) {
		if sc, ok := s.Schema(r.databaseID(), path[0]); ok {
			r.temp = sc.ID
		}
		path = path[1:]
	}
	r.createTemp = r.temp != 0 && len(path) > 0 && path[0] == TempAlias
	for _, n := range path {
		if sc, ok := s.Schema(r.databaseID(), n); ok {
			r.path = append(r.path, sc.ID)
			explicit = explicit || sc.ID == PgCatalogOID
		}
	}
	if !explicit {
		r.path = append([]types.OID{PgCatalogOID}, r.path...)
	}
	if r.temp != 0 {
		r.path = append([]types.OID{r.temp}, r.path...)
	}
	return r
}

func (r *SessionResolver) databaseID() types.OID {
	if r.database == nil {
		return 0
	}
	return r.database.ID
}

// WithPath returns a resolver over the same snapshot with another search path:
// a view is bound under the path it was defined with.
func (r *SessionResolver) WithPath(path []string) Resolver {
	return NewSessionResolver(r.snap, r.database, path, r.shared)
}

// Snapshot returns what r resolves against.
func (r *SessionResolver) Snapshot() *Snapshot { return r.snap }

// Database returns the session's database.
func (r *SessionResolver) Database() *Database { return r.database }

// Relation implements Resolver.
func (r *SessionResolver) Relation(n Name) (Descriptor, bool) {
	oid, d, ok := r.RelationOID(n)
	if !ok || d.Head().ID != oid {
		return nil, false // an index is nothing to select from
	}
	return d, true
}

// RelationOID finds a relation of any kind, indexes included.
func (r *SessionResolver) RelationOID(n Name) (types.OID, Descriptor, bool) {
	if n.Database != "" && (r.database == nil || r.database.Name != n.Database) {
		return 0, nil, false
	}
	if n.Schema != "" {
		sc, ok := r.Schema(n.Schema)
		if !ok {
			return 0, nil, false
		}
		return r.snap.RelationOID(sc.ID, n.Name)
	}
	for _, sc := range r.path {
		if oid, d, ok := r.snap.RelationOID(sc, n.Name); ok {
			return oid, d, true
		}
	}
	return 0, nil, false
}

// Type implements Resolver.
func (r *SessionResolver) Type(n Name) (*Type, bool) {
	if n.Schema != "" {
		sc, ok := r.Schema(n.Schema)
		if !ok {
			return nil, false
		}
		return r.snap.Type(sc.ID, n.Name)
	}
	for _, sc := range r.path {
		if t, ok := r.snap.Type(sc, n.Name); ok {
			return t, true
		}
	}
	return nil, false
}

// Schema implements Resolver.
func (r *SessionResolver) Schema(name string) (*Schema, bool) {
	if name == TempAlias && r.temp != 0 {
		d, _ := r.snap.ByOID(r.temp)
		sc, ok := d.(*Schema)
		return sc, ok
	}
	return r.snap.Schema(r.databaseID(), name)
}

// ByOID implements Resolver.
func (r *SessionResolver) ByOID(oid types.OID) (Descriptor, bool) { return r.snap.ByOID(oid) }

// SearchPath implements Resolver.
func (r *SessionResolver) SearchPath() []types.OID { return r.path }

// CreationSchema returns the schema in which unqualified names are created: the
// first of the path that the user named.
func (r *SessionResolver) CreationSchema() (*Schema, bool) {
	for _, oid := range r.path {
		if oid == PgCatalogOID || oid == r.temp && !r.createTemp {
			continue
		}
		if d, ok := r.snap.ByOID(oid); ok {
			sc, ok := d.(*Schema)
			return sc, ok
		}
	}
	return nil, false
}

// Generation implements Resolver.
func (r *SessionResolver) Generation() (uint64, bool) { return r.generation, r.shared }

package catalog

import (
	"sync/atomic"

	"github.com/pamirdb/pamir/sql/types"
)

// Name is a possibly qualified name, as written in a statement.
type Name struct {
	Database string
	Schema   string // empty: by search path
	Name     string
}

// String returns the name with its qualification, unquoted, as messages do.
func (n Name) String() string {
	s := n.Name
	if n.Schema != "" {
		s = n.Schema + "." + s
	}
	if n.Database != "" {
		s = n.Database + "." + s
	}
	return s
}

// Resolver finds what a statement names, as one session in one transaction
// sees it: under its database, search path and uncommitted changes.
type Resolver interface {
	// Relation finds a table, view or sequence, virtual tables included.
	Relation(Name) (Descriptor, bool)
	// Type finds a user-defined type; built-in ones are in sql/types.
	Type(Name) (*Type, bool)
	// Schema finds a schema of the session's database.
	Schema(name string) (*Schema, bool)
	// ByOID finds any descriptor; an index's oid gives its table.
	ByOID(types.OID) (Descriptor, bool)
	// SearchPath lists the schemas searched for unqualified names, in order.
	SearchPath() []types.OID
	// Generation names the catalog that answers come from; ok is false if
	// uncommitted changes are among them, so that nothing may be shared.
	Generation() (generation uint64, shared bool)
}

// Generation is the node's current catalog generation. Plans compare it with
// the one they were made under.
type Generation struct{ v atomic.Uint64 }

// Load returns the current generation.
func (g *Generation) Load() uint64 { return g.v.Load() }

// Advance moves to a generation that is not below to and is above the current.
func (g *Generation) Advance(to uint64) uint64 {
	for {
		cur := g.v.Load()
		next := max(to, cur+1)
		if g.v.CompareAndSwap(cur, next) {
			return next
		}
	}
}

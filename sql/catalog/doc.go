// Package catalog holds the immutable descriptors of everything SQL can name
// and the Resolver through which the binder finds them.
//
// It owns the shape of descriptors, their versioned serialization, the
// in-memory snapshot of a catalog and name lookup by search path. It refuses
// storage (sql/catalog/store), schema-change logic (sql/schemachange) and
// functions, operators and casts (sql/pgfacts).
//
// Invariants:
//  1. A descriptor reachable from a Snapshot never changes. Whoever changes one
//     clones it first.
//  2. Oids of user objects are at least FirstUserOID, unique over all kinds and
//     never reused; so are an index's storage ids within its table.
//  3. Column ids are never reused within a table; a layout never changes.
//  4. A catalog snapshot has one generation, and a plan is valid exactly while
//     the generation it was made under is current.
package catalog

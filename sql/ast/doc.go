// Package ast is the one syntax tree behind both grammars.
//
// It owns the raw nodes, which mirror PostgreSQL's own by name and field and are
// generated from the grammar's bindings, and the walks over them. It refuses
// names, types and everything else that needs a catalog, and it imports nothing.
//
// Invariants:
//  1. A tree that left sql/parse is not changed any more, except by its one
//     owner before it is shared.
//  2. Location and the like are byte offsets into the whole string that was
//     parsed; -1 means unknown.
//  3. An absent node is a nil interface, never a typed nil pointer. A list may
//     hold nil where PostgreSQL's holds NULL: DistinctClause of a plain SELECT
//     DISTINCT is one nil.
//  4. Only LiftedConst has no counterpart in PostgreSQL: it stands where a
//     statement template has a literal.
package ast

//go:generate go run ./internal/gen

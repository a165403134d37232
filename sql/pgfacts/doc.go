// Package pgfacts owns PostgreSQL 15's own catalog facts (types, functions,
// operators, casts, aggregates, operator classes) and the rules that choose
// among them: function and operator resolution, coercions, common types,
// polymorphic types.
//
// It refuses to know user-defined objects: the resolution functions take
// candidate lists, so that a caller with a catalog can add its own.
//
// The facts are embedded as TSV (scripts/pgfacts.sh dumps them) and parsed on
// first use, table by table: a process that never runs SQL pays nothing.
//
// Invariants:
//
//  1. Facts are immutable after parsing; pointers into them may be kept.
//  2. Resolution depends on types only, never on values or settings.
//  3. Errors carry PostgreSQL's SQLSTATE, message and hint.
package pgfacts

// Package schemachange carries out DDL: it turns CREATE, ALTER, DROP, TRUNCATE,
// COMMENT, GRANT and their kin into changed descriptors, and fills and checks
// what exists already (backfills, constraint validation).
//
// It refuses to parse and to keep descriptors (sql/catalog/store does).
//
// Invariants:
//  1. A statement's descriptor changes are in the transaction's Change: they
//     commit and roll back with everything else.
//  2. A descriptor in a snapshot is never written to; it is cloned first.
//  3. An index or constraint becomes public only after every row that exists was
//     entered or checked.
package schemachange

// Package pgcatalog makes the rows of virtual tables: pg_catalog and
// information_schema with PostgreSQL 15's shapes, and pamir_internal with the
// cluster's own state. It owns the descriptors of those tables, the rows, and
// the functions that print definitions (pg_get_indexdef and its kin).
//
// It refuses to store anything and to evaluate SQL: the executor asks for rows
// and applies every filter itself; the equalities it offers only narrow what is
// made.
//
// Invariants:
//  1. Rows come from one catalog snapshot, so that joins between virtual tables
//     agree.
//  2. A table of a feature that Pamir does not have is empty, which is the truth
//     about it.
//  3. Oids of built-in objects are PostgreSQL's.
package pgcatalog

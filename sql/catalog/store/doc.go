// Package store keeps descriptors in kv and hands out immutable snapshots of
// them.
//
// It owns the keys of descriptors and statistics, the allocation of oids, the
// catalog's generation and the leases that nodes hold on it, and the changes
// that a transaction has not committed yet. It refuses to know what a change
// means (sql/schemachange, sql/session).
//
//	/System/catalog            the generation; every change locks it
//	/System/catalog-log/<g>    the oids that generation g changed
//	/System/desc/<oid>         a descriptor
//	/System/catalog-lease/<n>  what node n uses, and until when
//	/System/stats/<oid>        a table's statistics
//
// Invariants:
//  1. A snapshot handed out is never changed.
//  2. At most two adjacent generations are in use: whoever commits generation
//     g+1 has seen that no lease on a generation below g is left.
//  3. A transaction commits only before the lease on the generation that it
//     used expires (its deadline).
//  4. Oids are never reused.
package store

// Package kv is what SQL sees of storage: a database of ordered keys with
// transactions over all of it, wherever its ranges are.
//
// Invariants:
//  1. A transaction's reads see one snapshot (one for each statement at READ
//     COMMITTED) and the transaction's own writes up to the sequence read at.
//  2. A committed serializable transaction is as if executed alone at its
//     commit timestamp.
//  3. Commit answers nil only when the writes are replicated and will be found
//     by every later transaction.
package kv

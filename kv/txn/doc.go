// Package txn is the coordinator: it implements kv.DB and kv.Txn over a sender
// that finds ranges. It owns a transaction's timestamps, its write buffer, what
// it has read and locked, and the way it commits.
//
// It refuses to know where ranges are beyond asking whether keys share one, and
// never looks into a stored value.
//
//	Begin ── reads, locks ──▶ ranges
//	  │
//	  └─ writes ▶ buffer ──Commit──▶ one range:   writes + EndTxn, one proposal
//	                │                else: validate locks ▶ intents ∥ staging record
//	                └─ too large ▶ intents          ▶ acknowledged ▶ told ▶ explicit, resolved
//
// Once the two halves of a parallel commit are there, the other ranges are told,
// so that they hand the locks on. Then the records are made to say it, those of a
// range that become due together in one command with the intents next to them,
// and the intents elsewhere are resolved when their ranges see fit.
//
// Invariants:
//  1. A statement sees the committed state at ReadTS and the transaction's own
//     writes up to its ReadSeq, whether these are in the buffer, travel with the
//     request or are intents.
//  2. ReadTS moves only when everything read since the snapshot was taken is
//     unchanged up to the new ReadTS (refresh), or when nothing was read.
//  3. Every buffered write to a key whose version is known carries it; every
//     lock without a write is validated before the commit (KV.md, 17, 18).
//  4. A staging record is written only at a timestamp at which refresh and
//     validation have succeeded; a write pushed above it means staging again.
//  5. Sequence numbers grow and are never used twice, not even after a rollback
//     to a savepoint or a restart.
//  6. No intent of a parallel commit is resolved, or written over, before the
//     record says that the transaction is committed.
//  7. What a request refers to is never overwritten: a server may keep it.
//  8. While others may find a transaction committed, none of its writes is sent
//     again. Its fate is what the record says, which stays until this coordinator
//     has heard of it: an answer that was lost can be asked for.
package txn

// Package mvcc owns how versions, intents and transaction records lie in an
// engine: their bytes, the rules by which a reader picks one, and the changes
// that turn intents into versions or remove what nobody can read any more.
//
// It refuses to wait, to decide a transaction's fate and to write: it reports
// what it found and returns operations, which evaluation proposes as effects.
//
//	<key>@max        intent: writer, sequence, value, older sequences
//	<key>@30         version (newest first)
//	<key>@10         version or tombstone
//
// Invariants:
//  1. A key has at most one intent, and no version of it lies at or above the
//     intent's timestamp.
//  2. A reader at T sees the newest version at or below T, or its own intent's
//     newest write at or below its sequence that was not rolled back.
//  3. A reader never passes over a foreign intent at or below its uncertainty
//     limit: it reports it, unless the writer is known to be pushed above.
//  4. Bytes handed out alias the engine's and are never changed.
package mvcc

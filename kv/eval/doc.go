// Package eval evaluates batches at a range's leaseholder: it sequences them
// through locks and latches, reads versions and intents, and turns writes into
// effects, which the range replicates and applies as bytes.
//
//	batch ─▶ bounds ─▶ locks ─▶ latches ─▶ lease ─▶ evaluate ─▶ propose ─▶ release ─▶ answer
//	            ▲                                       │
//	            └── wait, push, resolve ◀── conflict ───┘
//
// A range that hears of a commit reads the transaction's intents as the versions
// that they will become, and lets lazy resolutions wait for others, whose command
// they share.
//
// A long scan finds rows in a second goroutine while the first one runs the
// program over those found before.
//
// It refuses to route, to keep leases and to replicate: that is the Range's.
//
// Invariants:
//  1. What a batch read is in the timestamp cache before its latches are
//     released, and before the read itself where it takes no latch.
//  2. A committed version lies above every version of its key and above every
//     other transaction's read of it.
//  3. Latches and locks are given back only once the command has applied or
//     never can.
//  4. A transaction's fate is decided once: a finished record never changes, and
//     an aborted one stays as a tombstone until garbage collection, so that
//     nothing can bring the transaction back.
//  5. An intent whose writer is known to have committed is written over only once
//     the writer's record says so: until then a recovery may look for it.
//  6. A batch is evaluated as a whole or not at all; an error leaves no effect
//     but locks.
package eval

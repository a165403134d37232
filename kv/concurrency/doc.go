// Package concurrency owns what keeps requests and transactions of one range
// apart while they run at its leaseholder: latches, the lock table, the
// timestamp cache, what it has heard of commits, and, for a whole node, the graph
// of who waits for whom.
//
// It refuses to read data, to talk to other ranges and to start goroutines:
// whoever waits does so on its own goroutine, and evaluation pushes and probes.
//
//	request ─▶ locks (held by transactions, waits in FIFO queues)
//	        ─▶ latches (held by requests, until their command has applied)
//	        ─▶ timestamp cache (writes land above what was read)
//
// Invariants:
//  1. Nobody waits for a lock while holding a latch.
//  2. A latch waits only for latches that were asked for before it, so latches
//     never deadlock.
//  3. A read that was served at T is in the timestamp cache, at T or higher,
//     before any later write of the key learns its timestamp.
//  4. A lock passes to the first waiter that it can; a later request never
//     overtakes a waiter that it conflicts with, unless its transaction holds the
//     lock already.
//  5. Forgetting unreplicated locks is always safe: commits check the versions
//     that their writes and locks are based on, and that the locks which they
//     count on were never anybody else's. A lock that is taken again after a loss
//     is another one, by the sequence that it was taken at.
//  6. A commit that was heard of is one: forgetting it costs a push, and no more.
package concurrency

// Package raftgroup runs the Raft groups of one node: Host owns the only map
// from range id to group, and a Group is one hashicorp/raft instance with our
// transport, log store, snapshot store and state engine.
//
//	Propose ─▶ queue ─▶ packed into one entry ─▶ log, synced ─▶ majority ─▶ ApplyBatch ─▶ engine
//	                         ▲                                                  │
//	                         └──────────── the next entry goes out ◀────────────┘──▶ done
//
// Invariants:
//  1. A group's applied index, term and configuration are written in the batch
//     that holds the effects up to it; an index at or below is never applied
//     again.
//  2. A command is handed to Raft at most once, in the order of Propose. Its end
//     is told once: its result, or that it can never apply, or that nobody knows.
//  3. The log is truncated only up to what the engine has flushed.
//  4. Contents of a snapshot are durable, and swapped in whole, before the old log
//     goes; Raft then starts anew from the state in the engine.
//  5. At open, a log that does not continue the durable state is wiped.
//  6. Applying waits for nothing but the node's own log: proposals wait for room
//     in the engine, and so do the appends that a follower receives.
//  7. Nothing is applied, and no follower hears that it is committed, before the
//     leader has written it too.
//
// The package refuses to know what commands mean, and to guess: an outcome that
// is not known is reported as such.
package raftgroup

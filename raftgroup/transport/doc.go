// Package transport carries the messages of all Raft groups of a node over
// pkg/rpc, and sees to it that a group whose leader's node is dead elects
// another one soon.
//
// A frame names the range, the sending and the receiving replica and a request
// number; answers are matched by number. Every group has its own inbound queue.
// Heartbeats are collected per peer for a moment, travel together, and go past
// the queue to the group's heartbeat handler.
//
// Invariants:
//  1. Nothing here blocks the reader of a connection; a full queue is answered
//     with an error.
//  2. Every call ends: by its answer, a timeout, the peer's loss, or Close.
//  3. A message for a replica that is not the one here is refused.
//  4. Heartbeats with a term above the group's go to the queue, for handling
//     them syncs the disk.
//  5. A group is told to campaign out of turn only when its leader's node is
//     known dead: refused or reset, or silent to another voter's node as well.
//
// The package refuses to know what entries and snapshots hold.
package transport

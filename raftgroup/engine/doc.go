// Package engine is one store's ordered key-value state: an in-memory overlay
// over one bbolt file.
//
// A write goes to the overlay and returns; it is not durable. A flusher writes
// whole overlay versions to bbolt, each in one synced transaction. Durability
// before that is the business of the Raft log, which is truncated only up to
// what has been flushed: Write returns a sequence number, and WaitFlushed tells
// when everything up to it is on disk.
//
// Invariants:
//
//  1. One batch is visible, and becomes durable, as a whole.
//
//  2. Batches become durable in the order in which they were written: the file
//     always holds exactly the batches up to some sequence number.
//
//  3. A View never changes.
//
//  4. What a reader needs is published under one lock as one picture: the active
//     tree, the frozen tree that is being flushed, and the bbolt read
//     transaction below both.
//
//  5. A write or sync error of the file ends the process: nothing here can tell
//     what reached the disk.
//
//     Write ─▶ active tree ──(bound, age or request)──▶ frozen tree ──one bbolt transaction──▶ file
//     ▲                                        ▲                                    ▲
//     readers ────┴──────────── newest first ──────────────┴────────── shared read tx ──────────┘
//
// A range deletion empties the active tree's span at once and leaves a span that
// hides what lies in the layers below; flushing turns it into deletions.
//
// The package refuses: keys longer than MaxKeyBytes, and any idea of what the
// bytes mean.
package engine

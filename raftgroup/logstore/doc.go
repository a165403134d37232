// Package logstore keeps the Raft logs and votes of a node's groups: the seam
// that raftgroup hands to hashicorp/raft. On disk all groups of a node share one
// raft-boltdb file with a journal before it, so that the appends of many groups
// share one sync (group commit), and that one overwrites blocks which exist; a
// twin keeps everything in memory.
//
//	group A ─▶ append ─┐
//	group B ─▶ append ─┼─▶ committer ─▶ journal: one frame, one sync ─▶ all three go on
//	group C ─▶ vote ───┘                  └─ a full segment ─▶ drain ─▶ raft.db
//
// Invariants:
//  1. A store is monotonic: it never holds a gap, so that Raft drops a whole old
//     log instead of keeping a divergent one behind a gap.
//  2. The vote (term and candidate) changes in one write, and so does each other
//     value. A crash never shows half of a vote.
//  3. A missing key answers an error that reads exactly "not found"; Raft
//     compares the text.
//  4. A write or sync error ends the process, because Raft would run on.
//  5. The head of a log is never truncated past what its owner wants to keep.
//  6. A frame of the journal counts whole or not at all; a segment is used again
//     only once raft.db says, durably, that it has been drained; until then what
//     it says stands above what raft.db says.
//  7. An append may return ahead of its write only if the owner says so; Durable
//     never counts an entry before all earlier writes are durable.
//
// The package refuses to know what entries mean.
package logstore

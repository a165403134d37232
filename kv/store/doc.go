// Package store is one node's replicas: it gives each range a leaseholder that
// evaluates requests, replicates their effects through the range's Raft group,
// and applies them. It owns leases, splits, membership changes, snapshots'
// contents and the node liveness records.
//
//	Send ─▶ bounds ─▶ lease ─▶ eval.Execute ─▶ Propose ─▶ Raft ─▶ ApplyBatch ─▶ engine
//
// Invariants:
//  1. raftgroup.Host has the only map from range id to replica; a Replica is its
//     group's state machine.
//  2. A command carries the sequence of the lease it was proposed under, and
//     applies only while that lease is the range's: two holders never both write.
//     A command is handed to Raft once, so it never applies twice.
//  3. ApplyBatch reads the replica's own state and the entries, nothing else: no
//     clock, no randomness. What it computes is published in Applied.
//  4. A holder serves timestamp T only if max(now, T) is below the lease's
//     expiration by more than the maximum clock offset, and only under a lease
//     that this process acquired.
//  5. A range's own descriptor is the truth; the meta range's copy follows.
package store

// Package lifecycle keeps ranges as they should be: enough replicas on live nodes
// in different places, replicas and leases spread out, ranges split by size, old
// versions collected. What to do is decided by pure functions over a Picture, so
// that a simulation can run them on imaginary nodes; a Manager on each node acts
// for the ranges that it holds the lease of.
//
// A lease follows its workload: where most of a range's batches come from one
// node, that node gets the lease. What a transaction does in several ranges is then
// near its coordinator, reads need no other node, and the ranges' log entries
// travel together. A leaseholder counts batches by the node that they come from
// (store.Traffic), and nodes say how busy they are along with their counts. Meta
// and liveness ranges follow nobody.
//
// Invariants:
//  1. One change at a time per range and a few per node, and a replica is added
//     before one is removed.
//  2. A decision needs no answer from another node: it is made from the range's
//     descriptor and traffic and the liveness records, which carry each node's
//     counts and load, and repeated until nothing is left to do.
//  3. What only spreads load is not moved unless the move makes the spread strictly
//     better, so that two managers do not move things to and fro. Which ranges go
//     is drawn by lot, for many decide by the same counts, and a move that was begun
//     is finished unless it would be worth its while to move again. A lease that
//     follows its workload makes the spread worse; it is not spread again as long as
//     the workload stays (or its node gets too busy).
//  4. What it takes to move a lease after its workload is more than what it takes to
//     keep it there: shares that are about equal move nothing, a lease that has just
//     moved stays for a while, and the longer the oftener it came back.
//  5. No lease follows to a node that is full, by what that node last said of its
//     processors, or that a spread lease could not go to.
package lifecycle

// Package lifecycle keeps ranges as they should be: enough replicas on live nodes
// in different places, replicas and leases spread out, ranges split by size, old
// versions collected. What to do is decided by pure functions over a Picture, so
// that a simulation can run them on imaginary nodes; a Manager on each node acts
// for the ranges that it holds the lease of.
//
// Invariants:
//  1. One change at a time per range and a few per node, and a replica is added
//     before one is removed.
//  2. A decision needs no answer from another node: it is made from the range's
//     descriptor and the liveness records, which carry each node's counts, and
//     repeated until nothing is left to do.
//  3. Nothing is moved unless the move makes the spread strictly better, so that
//     two managers do not move things to and fro.
package lifecycle

// Package grouptest is a fake of raftgroup without threads, clocks or sockets:
// nodes, their memory engines and the one log of each range live in a Cluster,
// and a test decides when commands commit, where they apply, and who leads.
//
// Invariants:
//  1. Given one seed and one order of calls, every run is the same.
//  2. A proposer hears exactly once of its command: with the result after it
//     applied on its node, with ErrDropped once a later term applied there
//     without it, or with ErrClosed.
//  3. Every replica applies the same entries in the same order.
//
// The package refuses to model networks and elections: leaders are appointed.
package grouptest

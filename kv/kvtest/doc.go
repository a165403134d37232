// Package kvtest is a whole kv in one process and in memory: the real coordinator
// and router over ranges that evaluate for real but apply at once, without Raft.
// It can split its key space anywhere, move leases between several nodes with
// clocks of their own, and put faults between routers and ranges; it also has
// the checkers of histories that tests of transactions share.
//
// It refuses durability and replication: those are kv/store's to test.
package kvtest

// Package rpc carries bytes between nodes: request and answer, one-way messages
// and streams, over two multiplexed connections per pair of nodes (bulk traffic
// has its own), with TLS unless the cluster is insecure. It knows nothing of
// what it carries. MemNetwork is its twin without sockets, for tests under
// virtual time and for several nodes in one process.
//
// Invariants:
//  1. A handler never blocks the reader of a connection: unary and stream
//     handlers run on their own goroutines; one-way handlers must return at once.
//  2. One-way messages of one class to one peer arrive in order or not at all.
//  3. A call ends with an answer, its context's end, or ErrUnreachable.
package rpc

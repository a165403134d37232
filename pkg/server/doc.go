// Package server wires one node from the layers below and stops it in reverse.
// It owns the node's identity, how nodes find each other (join, init, gossip of
// addresses), the listeners, and the providers behind pamir_internal.
//
// Invariants:
//  1. A node serves SQL only once it belongs to a cluster and its store is open.
//  2. A node id is written to the store before any message carries it.
//  3. Stop order: SQL listeners and sessions, kv, Raft groups, network, engine.
package server

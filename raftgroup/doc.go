// Package raftgroup runs the Raft groups of one node: Host owns the only map
// from range id to group, and a Group is one hashicorp/raft instance with our
// transport, log store, snapshot store and state engine.
package raftgroup

// Package api is the language between kv's parts: requests and responses, errors,
// descriptors, leases, transaction records. It holds data and its encoding, no
// behaviour.
//
// Invariants:
//  1. A request names logical keys only; spaces and engine keys stay in a store.
//  2. Everything that crosses nodes or is stored has a version byte.
package api

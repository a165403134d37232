// Package keys owns the key space: the order-preserving encodings that all keys
// are made of, the map of who stores what where, and the printer that shows a
// key to people.
//
// Logical keys (what kv's users and range bounds are made of):
//
//	\x02 <end key of a range>                  meta: range descriptors
//	\x03 <name> ...                            system: nodes, liveness, settings, allocators
//	\x04 <table id> <index id> <columns…>      table data
//
// Engine keys (what a store's engine holds; never seen above kv/store):
//
//	\x01 <name>                                store-local: identity, clock bound, space allocator
//	\x02 <range id> <name>                     replica state addressed by range id
//	\x03 <space id> \x01 <anchor key> <suffix> state addressed by key: transaction records
//	\x03 <space id> \x02 <key> <ts desc>       versions; an intent has the highest timestamp
//
// Invariants:
//  1. Byte order of encoded keys is the order of the values.
//  2. The versions of one key are contiguous in the engine, whatever other keys
//     exist, and lie inside every engine span whose logical span holds the key.
package keys

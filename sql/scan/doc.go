// Package scan runs the part of a plan that is evaluated next to the data:
// decoding the wanted columns, filter, limit and partial aggregates over blocks
// of rows. It implements kv's evaluator and the requester's side of it, so that
// the same code runs here and there.
//
// It owns the program format and the encoding of batches between nodes. It
// refuses to choose what is pushed down (sql/plan) and to read anything itself.
//
// A program is a fixed part, which is compiled once and kept by its bytes, and
// a part that differs by execution: parameters, session settings, and the keys
// that joins have a use for.
//
// Invariants:
//  1. A program gives the same rows wherever and in however many pieces of the
//     span it runs.
//  2. An unknown version is answered with api.ErrUnknownProgram, never guessed.
//  3. The keys and values of a block are not kept after Block returns.
package scan

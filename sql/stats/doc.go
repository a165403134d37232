// Package stats describes how a table's values are distributed and estimates
// from that how many rows a condition keeps.
//
// It owns the descriptors, their serialization, the estimation and the
// collection over an iterator of rows. It refuses to know plans or where
// descriptors are stored.
//
// Invariants:
//  1. A Table is immutable once built; plans may hold it.
//  2. Every selectivity is within [0, 1], whatever a descriptor says: stale or
//     missing statistics make plans slower, never wrong.
//  3. Collecting the same rows in the same order gives the same descriptor.
package stats

// Package meta stores and finds range descriptors in the meta range: under
// keys.Meta(end of a range) is that range's descriptor.
//
// Invariants:
//  1. A range's own replicated descriptor is the truth; the meta entry follows.
//  2. Entries are replaced by newer generations only, so a late writer cannot
//     take a step back.
//  3. Every key is covered by an entry at all times: a split writes the right
//     half's entry before it shrinks the left one's.
package meta

// Package rowenc turns rows and index entries into key-values and back.
//
// It owns the encoding of values in keys, the row format, the shape of index
// entries and the block decoder that fills vectors with the wanted columns
// only. It refuses to know when rows are written (sql/exec) or which columns a
// table has (sql/catalog).
//
// A row is one key-value under its primary index; so is every index entry:
//
//	key    /table/index/<key columns>            primary, or unique without NULL
//	       /table/index/<key columns>/<pk>       other entries
//	value  layout | NULL bitmap | fixed section | end offsets | bytes
//
// The layout word's top bit says that end offsets have four bytes, not two. A
// fixed-width column has its place in the fixed section even when it is NULL,
// so that a column is found by adding constants.
//
// Invariants:
//  1. Byte order of encoded keys is the order of the values under the index, as
//     PostgreSQL's ORDER BY has it; equal keys are equal values.
//  2. A column whose key does not give back its exact image is in the value too.
//  3. Key columns of the primary index have no NULL marker; those of other
//     indexes always have one, whether the column may be NULL now or not.
//  4. A decoder never fails on a row of a known layout, and answers
//     ErrUnknownLayout for one that its descriptor is too old for.
package rowenc

// Package vec owns column vectors and batches: how many values of one column
// lie in memory while a query runs.
//
// It refuses to compute: kernels live in sql/expr and sql/builtin, row formats
// in sql/rowenc. It knows of a type only its representation, and for hashing and
// comparing its oid.
//
//	Batch  N rows, Sel (nil = all rows, else ascending live positions)
//	 └ Vector  Ints | Floats | Spans+Arena | Ints+Scales(+Bigs), null bitmap
//
// Invariants:
//
//  1. Position i of every vector of a batch belongs to the same row. Sel names
//     positions; positions not in Sel hold no meaning and may hold garbage.
//  2. A constant vector has its one value at position 0; accessors that take a
//     position (Int, Bytes, IsNull, Datum) see to it, raw slices do not.
//  3. A bitmap shorter than the vector means "not NULL" beyond its end.
//  4. A vector never writes into an arena it shares with another one.
//  5. A batch is valid until the next call to the operator that made it.
package vec

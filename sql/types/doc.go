// Package types owns SQL types and single SQL values: the oid and modifier of a
// type, how values of it are represented, the Datum struct, text and binary
// input and output as PostgreSQL defines them, and the error type that carries
// a SQLSTATE through the whole SQL layer.
//
// It refuses to know expressions, vectors, the catalog or storage. User-defined
// types reach it only through their oid; whoever owns the catalog resolves them.
//
// Representations (Repr):
//
//	Int64    bool, int2, int4, int8, "char", oid and reg*, xid, cid, money,
//	         date (days), time, timestamp, timestamptz (microseconds)
//	Float64  float4, float8
//	Numeric  numeric: int64 coefficient and display scale, big by value
//	Bytes    everything else, flat and self-describing
//
// Invariants:
//
//  1. A Datum is a struct and never an interface; the zero Datum is NULL.
//  2. Dates and timestamps count from 2000-01-01; the extreme integers of their
//     width are -infinity and infinity.
//  3. interval is 16 bytes (microseconds, days, months), timetz 12 bytes
//     (microseconds, seconds west), uuid 16 bytes, all big-endian: their flat
//     image is their binary wire format.
//  4. Arrays, records and jsonb are flat bytes that name their own element
//     types, so they can be read without a catalog.
//  5. A numeric with a nil Big fits its int64 coefficient; Big is used only for
//     values that do not fit, so equal values have equal forms at one scale.
package types

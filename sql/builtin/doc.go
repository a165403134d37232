// Package builtin owns the bodies of the built-in functions: scalar kernels,
// aggregates, window and set-returning functions, registered under PostgreSQL's
// internal function names (pg_proc.prosrc).
//
// It refuses to know expressions and plans. What a body needs from the session,
// the catalog or storage it asks through Ctx.
//
// A scalar function is a Kernel over vectors or a RowFunc called for each row;
// the caller (sql/expr) handles NULLs of strict functions before, so bodies of
// strict functions never meet one.
//
// Invariants:
//
//  1. A body writes only its output vector, and only at selected positions.
//  2. A body that fails leaves Call.Row at the row that failed.
//  3. A kernel marked Total neither fails nor minds garbage at NULL positions.
//  4. Aggregate states merge: updating in parts and merging equals updating in
//     one, but for the order of inputs.
package builtin

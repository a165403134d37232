// Package bind turns a syntax tree into a plan that could already run: names
// become column ids and oids, every expression gets its type and coercions, and
// every subquery becomes an Apply.
//
// It owns scoping, type inference for parameters, and the shape of the naive
// plan. It refuses to choose access paths or to rewrite for speed (sql/opt),
// and to know what functions do (sql/builtin).
//
//	ast ──query──▶ scalars over column ids ──plant──▶ plan nodes
//
// Invariants:
//  1. Column ids are unique within a statement; a reference to an enclosing
//     query's column is a plain reference to an id that the inner plan does not
//     put out. sql/opt turns these into parameters of the Apply between.
//  2. A plan that leaves this package holds no SubqueryRef, AggRef (outside of
//     aggregations), WindowRef (outside of windows) or SetToDefault.
//  3. Errors carry SQLSTATE, message and position as PostgreSQL gives them;
//     positions are byte offsets from 1.
//  4. An unknown node is refused with 0A000 in one place.
package bind

// Package plan turns a bound statement into a tree of plan nodes.
//
// It owns the IR that sql/exec runs (ir*.go), the rules that rewrite it, the
// choice of access paths and join orders by cost, the printer behind EXPLAIN
// and the entry point Prepare. It refuses name resolution (sql/bind),
// evaluation (sql/expr) and running anything.
//
// Invariants:
//  1. A Plan is immutable once Prepare returns it, and may be run by any number
//     of sessions at once.
//  2. A column id means one column in the whole plan. Scalars of a node name
//     only columns that its children put out; what an inner side takes from an
//     outer one arrives as a parameter that the Apply above it sets.
//  3. A missing rule costs speed, never an answer: the naive plan of every
//     statement runs and gives the same rows.
//  4. What may raise an error never moves below a filter or a limit.
package plan

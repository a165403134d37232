// Package plan is what binder, optimizer and executor agree on: the nodes of a
// plan and the finished Plan.
//
// It owns the IR that sql/exec runs (ir*.go), the walks over it and the printer
// behind EXPLAIN. It refuses name resolution (sql/bind makes naive plans), the
// rules and the entry point Prepare (sql/opt), evaluation (sql/expr) and
// running anything.
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

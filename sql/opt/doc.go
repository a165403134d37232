// Package opt makes runnable plans: it binds a statement, rewrites the naive
// plan by rules, orders joins and chooses access paths by cost, and finishes
// what the executor relies on.
//
// It owns the rules, the cost model and Prepare. It refuses name resolution
// (sql/bind) and the shape of nodes (sql/plan).
//
//	ast ─bind─▶ naive plan ─rules─▶ joins, paths ─finish─▶ Plan
//
// Invariants:
//  1. Every rule keeps the rows, their number and, below a Sort, their order.
//     With Options.Naive no rule runs at all, and the answer is the same.
//  2. Nothing volatile is moved, copied or dropped, unless nothing reads it
//     and PostgreSQL drops it as well.
//  3. What may raise an error never moves below a filter or a limit.
//  4. Only finish gives parameters to correlated columns; before it, an inner
//     side names an outer column by its id.
package opt

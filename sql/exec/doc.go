// Package exec runs plans: an operator for each node of plan's IR, over batches
// of column vectors.
//
// It owns the operators, the memory account of a statement, spilling, and the
// queue of constraint checks that follow a statement. It refuses to choose plans
// (sql/plan), to begin or commit transactions (sql/session) other than in the
// same step as the last write of a statement, and to know the wire.
//
//	plan ──Build──▶ Instance ──Run(env)──▶ Next(want) … nil
//	                    ▲                     │
//	                    └────── reused ◀──────┘
//
// Invariants:
//  1. An operator gives at most want rows, and none evaluates a volatile
//     expression for rows that nobody asked for.
//  2. A batch is valid until the next call to the operator that gave it.
//  3. All reads of a statement are made at its sequence number: it never sees
//     its own writes.
//  4. After an error an Instance may be used again only through Run.
package exec

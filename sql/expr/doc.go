// Package expr owns bound scalar expressions: the immutable tree that binding
// produces and catalogs store, its printed and serialized forms, and the
// compiler that turns trees into register programs of vector kernels.
//
// It refuses to resolve names or overloads (sql/pgfacts does, for the binder),
// to know the functions' bodies (sql/builtin registers them) and to run
// subqueries (the planner turns SubqueryRef into Apply).
//
//	tree ──Compile──▶ Program (immutable, shared) ──NewInstance──▶ Instance
//	                                     Instance.Eval(ctx, batch) ▶ vectors
//
// Invariants:
//
//  1. A tree is never changed after it was built; rewriting makes new nodes.
//  2. A tree holds no session state: types, oids, modifiers and collations only.
//  3. The serialized form begins with a version and is readable for ever.
//  4. A program gives the same answer at every batch size.
//  5. An operand of CASE, COALESCE, AND or OR is evaluated only for the rows
//     that need it; an error names the first row that raised it.
package expr

// Package session is the statement loop of one client: transactions, prepared
// statements, portals, settings, the plan cache, DDL and COPY, over any wire.
//
// It owns what a session remembers, when a statement is retried, and the
// mapping of kv's errors to SQLSTATEs. It refuses the wire format (sql/pgwire),
// the choice of plans (sql/plan) and their execution (sql/exec).
//
//	         Exec / Execute
//	idle ───────────────────▶ statement ──ok──▶ idle or in a block
//	                             │ error
//	          ROLLBACK           ▼
//	idle ◀───────────────── failed block (25P02)
//
// Invariants:
//  1. A session is used by one goroutine at a time; only Cancel and the
//     read-only accessors of Info may be called from others.
//  2. A statement is rerun by the server only while the ResultWriter has let
//     nothing of it out, and only if nothing before it in its transaction would
//     be lost.
//  3. Every error that leaves is a *types.Error.
//  4. A plan is used only under the catalog generation that it was made under,
//     and for the role that it was made for.
package session

// Package pgwire speaks PostgreSQL's wire protocol 3.0 to clients.
//
// It owns the life of a connection: start, encryption, authentication, the
// simple and the extended protocol, COPY, cancel requests, and draining. It
// refuses everything about SQL: what a statement does is a Session's business,
// which it calls on the connection's own goroutine.
//
//	accept ─▶ startup ─▶ (TLS) ─▶ authentication ─▶ ready ◀──────────┐
//	             │                                    │ Query, Sync  │
//	             └ cancel request: cancels, closes    ▼              │
//	                                    Session ─▶ ResultWriter ─▶ one write
//
// Invariants:
//  1. One goroutine reads, executes and writes for a connection. Another may only
//     cancel it, set its read deadline or close it.
//  2. Nothing a client sends harms another connection: a malformed message ends
//     its own connection with 08P01, a message never grows memory past its limit
//     or past what really arrived.
//  3. Before authentication succeeded no session exists and no message beyond a
//     small size is read.
//  4. After an error in the extended protocol everything up to Sync is skipped,
//     and every Sync is answered by exactly one ReadyForQuery.
//  5. What belongs to the current statement and has not left can be discarded
//     exactly, so that the statement can be run again.
package pgwire

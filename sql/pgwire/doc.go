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
// What messages mean, field by field, is pgproto3's: its types decode every
// message of a client and encode every answer but DataRow, straight from and into
// the connection's two buffers. The buffers themselves are here and not
// pgproto3.Backend's, because
// a Backend makes room for what a client announces before it has arrived, cannot
// tell whether another message is there already (draining, idle timeouts, and a
// commit without a second round need that), cannot take back what it has encoded
// (a statement that runs again), gives its output buffer up at each flush, and
// does not negotiate versions it does not know.
//
// Invariants:
//  1. One goroutine reads, executes and writes for a connection. Another may only
//     cancel it, set its read deadline or close it.
//  2. Nothing a client sends harms another connection. A message whose body is
//     malformed fails its transaction with 08P01; one that leaves the two sides
//     out of step ends its own connection. Memory never grows past a message's
//     limit or past what really arrived.
//  3. Before authentication succeeded no session exists and no message beyond a
//     small size is read.
//  4. After an error in the extended protocol everything up to Sync is skipped,
//     and every Sync is answered by exactly one ReadyForQuery.
//  5. What belongs to the current statement and has not left can be discarded
//     exactly, so that the statement can be run again.
package pgwire

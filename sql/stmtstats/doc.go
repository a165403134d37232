// Package stmtstats counts statements by fingerprint: calls, errors, rows,
// latencies and the rate of the last seconds. It is bounded, so that a program
// that never repeats a statement cannot grow it without end.
//
// Invariants:
//  1. Recording a known statement takes no lock and allocates nothing.
//  2. At most MaxStatements are kept; further ones are counted together.
package stmtstats

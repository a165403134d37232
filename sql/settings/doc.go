// Package settings owns a session's configuration parameters: their names,
// defaults, what values they take, and what follows from them for values and
// plans.
//
// It refuses to know transactions: who begins and ends one takes snapshots and
// restores them.
//
// Invariants:
//  1. A value that was accepted is in its canonical form, as SHOW prints it.
//  2. Names are found whatever their case.
package settings

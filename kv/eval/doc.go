// Package eval evaluates batches at a range's leaseholder: it sequences them
// through latches and locks, reads versions and intents, and turns writes into
// effects, which the range replicates and applies as bytes.
package eval

//go:build !invariants

package engine

// invariants makes reads check what they take for granted.
const invariants = false

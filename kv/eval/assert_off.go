//go:build !invariants

package eval

const checkFresh = false

func assert(bool, string, ...any) {}

//go:build invariants

package eval

import "fmt"

// checkFresh makes writes of keys that are said to be new look.
const checkFresh = true

func assert(ok bool, format string, args ...any) {
	if !ok {
		panic("eval: " + fmt.Sprintf(format, args...))
	}
}

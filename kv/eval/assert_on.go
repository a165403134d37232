//go:build invariants

package eval

import "fmt"

// invariants turns assertions on, and makes writes of keys that are said to be
// new look.
const invariants = true

func assert(ok bool, format string, args ...any) {
	if !ok {
		panic("eval: " + fmt.Sprintf(format, args...))
	}
}

//go:build !unix

package server

import "time"

// cpuTime is not known here: the node counts as idle.
func cpuTime() time.Duration { return 0 }

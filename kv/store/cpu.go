package store

import (
	"math"
	"runtime"
	"sync"
	"time"
)

const (
	// cpuHalfLife smooths the load over some heartbeats; cpuMemory is how slowly
	// what others hear of falls, so that a node that has just shed load does not
	// look free and get it back at once.
	cpuHalfLife = 3 * time.Second
	cpuMemory   = 15 * time.Second
)

// cpuLoad is how much of its processors this process uses, from 0 to 1. Nodes that
// share a process each see all of it.
type cpuLoad struct {
	// used returns the CPU time that the process has used; nil if nobody knows.
	used func() time.Duration

	mu          sync.Mutex
	last        time.Time
	lastUsed    time.Duration
	now, lately float64
}

// sample takes a reading; the heartbeat calls it.
func (c *cpuLoad) sample(now time.Time) {
	if c.used == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used()
	d := now.Sub(c.last)
	if c.last.IsZero() {
		c.last, c.lastUsed = now, used
		return
	}
	if d < minLook {
		return
	}
	load := (used - c.lastUsed).Seconds() / d.Seconds() / float64(runtime.GOMAXPROCS(0))
	c.last, c.lastUsed = now, used
	c.now = approach(c.now, min(max(load, 0), 1), d, cpuHalfLife)
	c.lately = max(c.now, approach(c.lately, c.now, d, cpuMemory))
}

func approach(from, to float64, d, halfLife time.Duration) float64 {
	return to + (from-to)*math.Exp2(-float64(d)/float64(halfLife))
}

// load returns the load now and what others are to hear of it.
func (c *cpuLoad) load() (now, lately float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.lately
}

// CPULoad is which part of its processors this process has used in the last
// seconds, from 0 to 1.
func (s *Store) CPULoad() float64 {
	now, _ := s.cpu.load()
	return now
}

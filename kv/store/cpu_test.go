package store

import (
	"runtime"
	"testing"
	"time"
)

// The load follows within seconds; what others hear of it falls slowly.
func TestCPULoad(t *testing.T) {
	var used time.Duration
	c := cpuLoad{used: func() time.Duration { return used }}
	now := time.Unix(1000, 0)
	c.sample(now)
	run := func(seconds int, share float64) (float64, float64) {
		for range seconds {
			now = now.Add(time.Second)
			used += time.Duration(share * float64(runtime.GOMAXPROCS(0)) * float64(time.Second))
			c.sample(now)
		}
		return c.load()
	}
	if l, _ := run(3, 0.8); l < 0.39 || l > 0.41 {
		t.Errorf("a half life after the start: %v", l)
	}
	if l, lately := run(60, 0.8); l < 0.79 || l > 0.81 || lately < 0.79 || lately > 0.81 {
		t.Errorf("a minute after the start: %v, %v", l, lately)
	}
	if l, lately := run(9, 0.2); l > 0.3 || lately < 0.6 {
		t.Errorf("some seconds after the load has ended: %v, %v", l, lately)
	}
	if l, lately := run(90, 0.2); l > 0.21 || lately > 0.23 {
		t.Errorf("long after it: %v, %v", l, lately)
	}
	if l, lately := (&cpuLoad{}).load(); l != 0 || lately != 0 {
		t.Errorf("nobody knows: %v, %v", l, lately)
	}
}

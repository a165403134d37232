package stop

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A group runs what it is given at once, whether goroutines wait for work or not,
// and Stop waits for all of it and lets nothing start any more.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(t.Context())
		var ran atomic.Int32
		for round := range 50 {
			// More at a time than goroutines are kept.
			all := make(chan struct{})
			var wg sync.WaitGroup
			for range 2*maxIdle + round {
				wg.Add(1)
				if !g.Go("one of many", func(context.Context) { ran.Add(1); wg.Done(); <-all }) {
					t.Fatal("not started")
				}
			}
			wg.Wait() // all of them are at it together
			if g.Running() != "one of many" {
				t.Fatalf("running: %s", g.Running())
			}
			close(all)
			synctest.Wait()
			if n := g.idle.Load(); n != maxIdle || g.Running() != "" {
				t.Fatalf("%d goroutines wait; running: %s", n, g.Running())
			}
		}
		if n := ran.Load(); n != 50*2*maxIdle+49*50/2 {
			t.Errorf("%d functions ran", n)
		}
		var cleaned atomic.Bool
		g.Go("last", func(ctx context.Context) { <-ctx.Done(); cleaned.Store(true) })
		before := runtime.NumGoroutine()
		g.Stop()
		if !cleaned.Load() {
			t.Error("Stop did not wait")
		}
		synctest.Wait()
		if after := runtime.NumGoroutine(); before-after < maxIdle {
			t.Errorf("%d goroutines before Stop, %d after", before, after)
		}
		if g.Go("late", func(context.Context) {}) {
			t.Error("started after Stop")
		}
	})
}

// Starting and stopping at the same time loses nothing that was accepted.
func TestGroupRace(t *testing.T) {
	for range 200 {
		g := New(t.Context())
		var accepted, ran atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for g.Go("task", func(context.Context) { ran.Add(1) }) {
					accepted.Add(1)
				}
			}()
		}
		runtime.Gosched()
		g.Stop()
		wg.Wait()
		if a, r := accepted.Load(), ran.Load(); a != r {
			t.Fatalf("%d accepted, %d ran", a, r)
		}
	}
}

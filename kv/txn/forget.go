package txn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// forgetter removes the records of finished transactions a while later, many at
// once: nobody waits for it, and commands that are proposed together share one
// sync of the log.
type forgetter struct {
	mu   sync.Mutex
	list []*cleanup
}

const (
	forgetEvery   = 100 * time.Millisecond
	forgetAtOnce  = 32
	forgetTimeout = 2 * time.Second
)

func (f *forgetter) add(c *cleanup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, c)
}

func (f *forgetter) take() []*cleanup {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// forgetLoop removes what has gathered, now and then.
func (d *DB) forgetLoop(ctx context.Context) {
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.forgetAll(ctx, d.forgets.take())
		}
	}
}

// forgetAll removes records and waits. One that cannot be removed is left for
// garbage collection.
func (d *DB) forgetAll(ctx context.Context, list []*cleanup) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(forgetAtOnce, len(list)) {
		wg.Add(1)
		go func() { // awaited below
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				if err := list[i].sendEnd(ctx, true); err != nil {
					d.stats.backgroundFailures.Add(1)
				}
			}
		}()
	}
	wg.Wait()
}

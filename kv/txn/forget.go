package txn

import (
	"context"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
)

// forgetter removes the records of finished transactions a while later, all of a
// range in one command: nobody waits for it.
type forgetter struct {
	mu   sync.Mutex
	list []*cleanup
}

const (
	forgetEvery   = 100 * time.Millisecond
	forgetAtOnce  = 512
	forgetTimeout = 2 * time.Second
)

func (f *forgetter) add(c ...*cleanup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, c...)
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
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	for len(list) > 0 {
		n := min(forgetAtOnce, len(list))
		ba := &api.BatchRequest{Header: api.Header{Gateway: list[0].meta.Gateway}, Requests: make([]api.Request, 0, n)}
		for _, c := range list[:n] {
			ba.Requests = append(ba.Requests, api.Request{Kind: api.RecoverTxn, Key: c.meta.Anchor,
				Txn: &api.TxnArgs{Pushee: *c.meta, Forget: true}})
		}
		if _, err := d.cfg.Ranges.Send(ctx, ba); err != nil {
			d.stats.backgroundFailures.Add(int64(n))
		}
		list = list[n:]
	}
}

package route

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/meta"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// Config says what a Router stands on.
type Config struct {
	// Local serves the ranges that have a replica on this node. It answers a
	// RangeNotFoundError for others.
	Local api.Sender
	// Node returns this node's id.
	Node func() ids.NodeID
	// Peers reaches other nodes; nil for a single one.
	Peers rpc.Peers
	// FirstRange describes the range that starts the key space (the meta range),
	// which cannot be looked up.
	FirstRange func() (api.RangeDescriptor, bool)
	// Lookup reads descriptors from the meta range through s: the range that
	// holds key first, perhaps some that follow it. Nil means meta.Lookup.
	Lookup func(ctx context.Context, s api.Sender, key api.Key) ([]api.RangeDescriptor, error)
	Clock  *hlc.Clock
	// Alive says which nodes' liveness has not expired: they are asked first, and
	// an answer of one that dies is not waited for. Nil means all.
	Alive func(ids.NodeID) bool
	// MaxFanOut bounds how many ranges one batch is sent to at once (0: 16).
	MaxFanOut int
	// Go starts a function that the sender waits for, best in a goroutine whose
	// stack has grown already; it reports whether it did. Nil means a fresh one.
	Go func(name string, f func(context.Context)) bool
}

// Router is an api.Sender that finds the ranges by itself: it ignores
// Header.RangeID. It is safe for concurrent use.
type Router struct {
	cfg   Config
	cache rangeCache
	// lookups bounds how many goroutines read the meta range at once.
	lookups chan struct{}
	stats   counters
}

type counters struct {
	lookups, redirects, rpcs, splits atomic.Int64
}

// Stats counts what a router did.
type Stats struct {
	Lookups, Redirects, RPCs, Splits int64
	Cached                           int
}

// SpansRangesError answers a batch that ends a transaction and has requests of
// more than one range.
type SpansRangesError struct{}

func (*SpansRangesError) Error() string { return "route: a commit in one step spans ranges" }

// errResplit says that the cache was corrected: the batch must be split anew.
var errResplit = errors.New("route: range has changed")

// New returns a router.
func New(cfg Config) *Router {
	if cfg.MaxFanOut == 0 {
		cfg.MaxFanOut = 16
	}
	if cfg.Lookup == nil {
		cfg.Lookup = meta.Lookup
	}
	return &Router{cfg: cfg, lookups: make(chan struct{}, 4)}
}

// Stats returns the router's counters.
func (r *Router) Stats() Stats {
	return Stats{
		Lookups: r.stats.lookups.Load(), Redirects: r.stats.redirects.Load(),
		RPCs: r.stats.rpcs.Load(), Splits: r.stats.splits.Load(), Cached: len(r.cache.list()),
	}
}

// Send implements api.Sender. It may change ba's header.
func (r *Router) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	for {
		br, err := r.send(ctx, ba)
		if err != errResplit {
			return br, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

func (r *Router) send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	if len(ba.Requests) == 0 {
		return &api.BatchResponse{}, nil
	}
	e, err := r.locate(ctx, ba.Requests[0].Key)
	if err != nil {
		return nil, err
	}
	for i := range ba.Requests {
		if !e.contains(&ba.Requests[i]) {
			return r.sendSplit(ctx, ba)
		}
	}
	return r.sendToRange(ctx, e, ba)
}

// Range returns the descriptor of the range that holds key, as far as the cache
// knows; it must not be changed.
func (r *Router) Range(ctx context.Context, key api.Key) (*api.RangeDescriptor, error) {
	e, err := r.locate(ctx, key)
	if err != nil {
		return nil, err
	}
	return &e.desc, nil
}

// Insert tells the cache what the caller knows of ranges.
func (r *Router) Insert(descs ...api.RangeDescriptor) { r.cache.insert(descs...) }

// locate finds the range that holds key.
func (r *Router) locate(ctx context.Context, key api.Key) (*entry, error) {
	if e := r.cache.at(key); e != nil {
		return e, nil
	}
	return r.find(ctx, key)
}

// find looks a range up in the meta range. Concurrent finders wait for each
// other, for one lookup brings several descriptors.
func (r *Router) find(ctx context.Context, key api.Key) (*entry, error) {
	if !isMeta(key) { // else a lookup that is under way needs it
		select {
		case r.lookups <- struct{}{}:
			defer func() { <-r.lookups }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	wait := backoff{}
	for {
		if e := r.cache.at(key); e != nil {
			return e, nil
		}
		descs, err := r.lookup(ctx, key)
		if err != nil && !isTransient(err) {
			return nil, fmt.Errorf("finding the range of %s: %w", keys.Pretty(key), err)
		}
		r.cache.insert(descs...)
		if e := r.cache.at(key); e != nil {
			return e, nil
		}
		for _, d := range descs {
			if d.Contains(key) { // an older generation than what is cached beside it
				return newEntry(d), nil
			}
		}
		if err := wait.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (r *Router) lookup(ctx context.Context, key api.Key) ([]api.RangeDescriptor, error) {
	r.stats.lookups.Add(1)
	if isMeta(key) {
		if d, ok := r.cfg.FirstRange(); ok {
			return []api.RangeDescriptor{d}, nil
		}
		return nil, nil
	}
	return r.cfg.Lookup(ctx, r, key)
}

// isTransient reports whether another try may go better.
func isTransient(err error) bool {
	var unavailable *api.UnavailableError
	return errors.As(err, &unavailable) || errors.Is(err, rpc.ErrUnreachable)
}

// backoff waits longer each time.
type backoff struct{ next time.Duration }

const (
	minBackoff = 2 * time.Millisecond
	maxBackoff = 250 * time.Millisecond
)

func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(2*b.next, minBackoff), maxBackoff)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package route

import (
	"context"

	"github.com/pamirdb/pamir/kv/api"
)

// Tell hands requests about single keys to the ranges that this node is known to
// hold the leases of, and leaves the others out: for news that need not arrive.
func (r *Router) Tell(ctx context.Context, ba *api.BatchRequest) {
	self := r.cfg.Node()
	rest := ba.Requests
	for len(rest) > 0 {
		e := r.cache.at(rest[0].Key)
		n := 1
		for n < len(rest) && e != nil && e.contains(&rest[n]) {
			n++
		}
		if e != nil && e.leaseholder() == self {
			part := *ba
			part.RangeID, part.Requests = e.desc.RangeID, rest[:n]
			_, _ = r.cfg.Local.Send(ctx, &part) // news, nothing else
		}
		rest = rest[n:]
	}
}

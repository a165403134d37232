package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// sendToRange sends a batch that lies in one range, trying its replicas until
// one serves it.
func (r *Router) sendToRange(ctx context.Context, e *entry, ba *api.BatchRequest) (*api.BatchResponse, error) {
	ba.RangeID, ba.Generation = e.desc.RangeID, e.desc.Generation
	self := r.cfg.Node()
	var tries attempts
	target := e.leaseholder()
	if target != 0 && !r.alive(target) {
		tries.tried = append(tries.tried, target)
		target = r.nextChoice(e, tries.tried)
	}
	if target == 0 && len(e.desc.Replicas) > 0 {
		target = r.firstChoice(e, self)
	}
	for {
		br, err := r.sendTo(ctx, self, target, ba)
		if err == nil {
			if e.leaseholder() != target {
				e.setLeaseholder(target)
			}
			if br.Newer != nil {
				r.cache.insert(*br.Newer)
				br.Newer = nil
			}
			br.Stats.Ranges++
			return br, nil
		}
		if target, err = r.redirect(ctx, e, target, &tries, ba, err); err != nil {
			return nil, err
		}
	}
}

// attempts remembers what was tried since the last pause.
type attempts struct {
	tried  []ids.NodeID
	rounds int
	pause  backoff
}

// redirect decides what follows a failure at a replica: another target, or the
// error that the sender gets.
func (r *Router) redirect(ctx context.Context, e *entry, target ids.NodeID, tries *attempts, ba *api.BatchRequest, err error) (ids.NodeID, error) {
	var holder *api.NotLeaseholderError
	var mismatch *api.RangeMismatchError
	var missing *api.RangeNotFoundError
	var notSent *rpc.NotSentError
	switch {
	case errors.As(err, &mismatch):
		r.stats.redirects.Add(1)
		return 0, r.correct(ctx, e, mismatch, tries, ba.Requests[0].Key)
	case errors.As(err, &holder):
		r.stats.redirects.Add(1)
		if next := hint(e, holder); next != 0 && next != target && r.alive(next) {
			// Two replicas may each name the other while a lease moves: pause then.
			if !slices.Contains(tries.tried, next) {
				tries.tried = append(tries.tried, target)
				return next, nil
			}
			return next, r.pause(ctx, e, tries)
		}
	case errors.As(err, &missing), errors.As(err, &notSent), isUnavailable(err):
		r.stats.redirects.Add(1)
	case errors.Is(err, rpc.ErrUnreachable):
		if !idempotent(ba) {
			return 0, &api.AmbiguousError{Cause: err.Error()}
		}
	default:
		return 0, err
	}
	tries.tried = append(tries.tried, target)
	if next := r.nextChoice(e, tries.tried); next != 0 {
		return next, nil
	}
	if err := r.pause(ctx, e, tries); err != nil {
		return 0, err
	}
	return r.firstChoice(e, r.cfg.Node()), nil
}

// correct takes over what a replica knows of the ranges where we expected e. If
// it does not know the one that holds the batch's first key, it is itself behind,
// or that range is about to open after a split and the meta range has not heard
// of it: then a fresh lookup after a pause decides.
func (r *Router) correct(ctx context.Context, e *entry, m *api.RangeMismatchError, tries *attempts, first api.Key) error {
	r.cache.evict(e)
	news := false
	for i := range m.Descs {
		d := &m.Descs[i]
		news = news || d.Contains(first) && (d.RangeID != e.desc.RangeID || d.Generation > e.desc.Generation)
	}
	r.cache.insert(m.Descs...)
	if !news {
		if err := tries.pause.wait(ctx); err != nil {
			return err
		}
	}
	return errResplit
}

// pause ends a round in which no replica served the batch. The second fruitless
// round looks the range up again, and the first if no replica is left.
func (r *Router) pause(ctx context.Context, e *entry, tries *attempts) error {
	tries.tried = tries.tried[:0]
	if err := tries.pause.wait(ctx); err != nil {
		return err
	}
	left := slices.ContainsFunc(e.desc.Replicas, func(rep api.ReplicaDescriptor) bool { return r.alive(rep.Node) })
	if tries.rounds++; tries.rounds >= 2 || !left {
		r.cache.evict(e)
		return errResplit
	}
	return nil
}

func isUnavailable(err error) bool {
	var u *api.UnavailableError
	return errors.As(err, &u)
}

// hint returns the holder that a replica names, if the range has it.
func hint(e *entry, err *api.NotLeaseholderError) ids.NodeID {
	if err.Lease == nil {
		return 0
	}
	return err.Lease.Holder.Node
}

// alive reports whether a node is worth asking.
func (r *Router) alive(n ids.NodeID) bool {
	return r.cfg.Alive == nil || n == r.cfg.Node() || r.cfg.Alive(n)
}

// firstChoice is whom to ask when the leaseholder is unknown: this node's own
// replica, else a living voter.
func (r *Router) firstChoice(e *entry, self ids.NodeID) ids.NodeID {
	if _, ok := e.desc.Replica(self); ok {
		return self
	}
	if n := r.nextChoice(e, nil); n != 0 {
		return n
	}
	return self
}

// nextChoice returns a replica's node that was not tried, voters first. One that
// does not answer is no choice while others do: a call to it may hang.
func (r *Router) nextChoice(e *entry, tried []ids.NodeID) ids.NodeID {
	var other, silent ids.NodeID
	answers := false
	for _, rep := range e.desc.Replicas {
		alive, untried := r.alive(rep.Node), !slices.Contains(tried, rep.Node)
		answers = answers || alive
		switch {
		case !untried:
		case alive && rep.Type == api.Voter:
			return rep.Node
		case alive && other == 0:
			other = rep.Node
		case !alive && silent == 0:
			silent = rep.Node
		}
	}
	if other == 0 && !answers {
		return silent
	}
	return other
}

// sendTo sends a batch to a replica, here or elsewhere.
func (r *Router) sendTo(ctx context.Context, self, target ids.NodeID, ba *api.BatchRequest) (*api.BatchResponse, error) {
	if target == self {
		return r.cfg.Local.Send(ctx, ba)
	}
	if r.cfg.Peers == nil {
		return nil, &api.RangeNotFoundError{RangeID: ba.RangeID}
	}
	return r.sendRemote(ctx, target, ba)
}

func (r *Router) sendRemote(ctx context.Context, target ids.NodeID, ba *api.BatchRequest) (*api.BatchResponse, error) {
	r.stats.rpcs.Add(1)
	// What this node observed of its own clock says nothing about another's.
	local := ba.Txn
	if local != nil {
		remote := *local
		remote.Observed = observedAt(ba.ObservedAt, target)
		ba.Txn = &remote
	}
	payload := api.AppendBatchRequest(make([]byte, 0, 512), ba)
	ba.Txn = local
	class := rpc.Normal
	if len(payload) > bulkBytes {
		class = rpc.Bulk
	}
	answer, err := r.call(ctx, target, class, payload)
	if err != nil {
		return nil, r.callError(ctx, ba, err)
	}
	br, err := decodeReply(answer, r.cfg.Clock)
	if err == nil {
		br.Stats.RPCs++
	}
	return br, err
}

// A request may rightly wait long, for a lock; but not on a node that has died
// without its connections noticing.
const (
	watchAfter = time.Second
	watchEvery = 500 * time.Millisecond
)

// call sends a request and waits for the answer as long as the target lives.
func (r *Router) call(ctx context.Context, target ids.NodeID, class rpc.Class, payload []byte) ([]byte, error) {
	if r.cfg.Alive == nil {
		return r.cfg.Peers.Call(ctx, target, class, rpc.MethodBatch, payload)
	}
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // guards watch and what follows it
	var watch *time.Timer
	dead, done := false, false
	first := watchAfter
	if !r.cfg.Alive(target) {
		first = watchEvery // it may be back, which is being asked
	}
	mu.Lock()
	watch = time.AfterFunc(first, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case done:
		case r.cfg.Alive(target):
			watch.Reset(watchEvery)
		default:
			dead = true
			cancel()
		}
	})
	mu.Unlock()
	answer, err := r.cfg.Peers.Call(cctx, target, class, rpc.MethodBatch, payload)
	mu.Lock()
	defer mu.Unlock()
	done = true
	watch.Stop()
	if err != nil && dead && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %s is not live", rpc.ErrUnreachable, target)
	}
	return answer, err
}

// bulkBytes is from where a request may delay others on the normal connection.
const bulkBytes = 128 << 10

// callError classifies the failure of a call that may have arrived.
func (r *Router) callError(ctx context.Context, ba *api.BatchRequest, err error) error {
	var remote *rpc.RemoteError
	var notSent *rpc.NotSentError
	switch {
	case errors.As(err, &notSent):
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	case errors.As(err, &remote):
		// The handler itself answers with an encoded error; this one comes from
		// the frame around it, before the batch was looked at.
		return &api.InternalError{Message: remote.Message}
	case ctx.Err() != nil:
		if !idempotent(ba) {
			return &api.AmbiguousError{Cause: ctx.Err().Error()}
		}
		return ctx.Err()
	}
	return err
}

func observedAt(list []api.ObservedTimestamp, n ids.NodeID) (ts hlc.Timestamp) {
	for i := range list {
		if list[i].Node == n {
			return list[i].TS
		}
	}
	return ts
}

// idempotent reports whether executing a batch twice does what executing it once
// does. Intents are: a transaction's write of one sequence number is one write, as
// long as nobody can take the transaction for committed.
func idempotent(ba *api.BatchRequest) bool {
	if ba.Once {
		return false
	}
	for i := range ba.Requests {
		switch req := &ba.Requests[i]; req.Kind {
		case api.Put, api.Delete:
			if ba.Txn == nil {
				return false
			}
		case api.Increment, api.AdminMerge, api.AdminChangeReplicas:
			return false
		case api.EndTxn:
			if req.Txn != nil && req.Txn.Commit {
				return false
			}
		}
	}
	return true
}

package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// A node renews its liveness record every heartbeatEvery for livenessDuration.
const (
	heartbeatEvery   = time.Second
	livenessDuration = 3 * time.Second
)

// LivenessKey is where a node's record is.
func LivenessKey(n ids.NodeID) api.Key { return keys.System("liveness", uint64(n)) }

// loadKey is where a node's load is: beside its record, written with it.
func loadKey(n ids.NodeID) api.Key { return keys.System("load", uint64(n)) }

// Liveness keeps this node's record alive and knows the other nodes'.
type Liveness struct {
	node   ids.NodeID
	clock  *hlc.Clock
	sender api.Sender
	log    *slog.Logger

	// beat is this node's epoch and when it expires, as confirmed by a write; one
	// pointer, lest an old epoch be seen with a new expiration.
	beat     atomic.Pointer[beat]
	draining atomic.Bool
	// counts returns this node's replicas and leases.
	counts func() (replicas, leases int)
	cpu    *cpuLoad
	// needed says that a lease depends on the record.
	needed atomic.Bool

	// turn is held by the heartbeat under way, which may take as long as its
	// context lets it; own is its.
	turn chan struct{}
	own  liveRecord

	mu     sync.Mutex
	others map[ids.NodeID]api.Liveness
	loads  map[ids.NodeID]api.NodeLoad
	readAt time.Time
}

type beat struct{ epoch, expiration int64 }

// liveRecord is a record with the version that the next write is based on.
type liveRecord struct {
	api.Liveness
	version hlc.Timestamp
	exists  bool
}

func newLiveness(node ids.NodeID, clock *hlc.Clock, sender api.Sender, log *slog.Logger, counts func() (replicas, leases int), cpu *cpuLoad) *Liveness {
	l := &Liveness{node: node, clock: clock, sender: sender, log: log, counts: counts, cpu: cpu,
		turn: make(chan struct{}, 1), others: map[ids.NodeID]api.Liveness{}}
	l.beat.Store(&beat{})
	return l
}

// ownExpiration returns when this node's record expires, if its epoch is epoch.
func (l *Liveness) ownExpiration(epoch int64) int64 {
	if b := l.beat.Load(); b.epoch == epoch {
		return b.expiration
	}
	return 0
}

// ownEpoch returns this node's epoch, making the record live first.
func (l *Liveness) ownEpoch(ctx context.Context) (int64, error) {
	l.needed.Store(true)
	if b := l.beat.Load(); l.clock.PhysicalNanos() < b.expiration-int64(l.clock.MaxOffset()) {
		return b.epoch, nil
	}
	if err := l.heartbeat(ctx); err != nil {
		return 0, fmt.Errorf("this node's liveness record cannot be written: %w", err)
	}
	return l.beat.Load().epoch, nil
}

// heartbeat extends this node's record. A process starts with a new epoch: leases
// of its earlier life are over.
func (l *Liveness) heartbeat(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range 5 {
		if !l.own.exists {
			if err := l.readOwn(ctx); err != nil {
				return err
			}
		}
		next := l.own.Liveness
		next.Node = l.node
		if mine := l.beat.Load().epoch; mine == 0 || mine != next.Epoch {
			next.Epoch++ // the first beat of this life, or somebody ended our epoch
			if mine == 0 {
				next.Draining = false
			}
		}
		next.Draining = next.Draining || l.draining.Load()
		replicas, leases := l.counts()
		next.Replicas, next.Leases = int64(replicas), int64(leases)
		l.cpu.sample(time.Now())
		_, cpu := l.cpu.load()
		load := api.NodeLoad{Node: l.node, CPUPermille: int64(1000 * cpu)}
		next.Expiration = l.clock.Now().Add(livenessDuration)
		ok, err := l.write(ctx, &l.own, next, api.Request{Kind: api.Put, Key: loadKey(l.node), Value: api.AppendNodeLoad(nil, &load)})
		if err != nil {
			l.own.exists = false // unknown: read it again
			return err
		}
		if ok {
			l.beat.Store(&beat{next.Epoch, next.Expiration.WallNanos})
			return nil
		}
		l.own.exists = false
	}
	return errors.New("the record keeps changing")
}

func (l *Liveness) readOwn(ctx context.Context) error {
	rec, err := l.read(ctx, l.node)
	if err != nil {
		return err
	}
	l.own = rec
	l.own.exists = true
	return nil
}

func (l *Liveness) read(ctx context.Context, n ids.NodeID) (liveRecord, error) {
	ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.Get, Key: LivenessKey(n)}}}
	br, err := l.sender.Send(ctx, ba)
	if err != nil {
		return liveRecord{}, err
	}
	r := &br.Responses[0]
	if !r.Exists {
		return liveRecord{Liveness: api.Liveness{Node: n}}, nil
	}
	lv, err := api.DecodeLiveness(r.Value)
	return liveRecord{Liveness: lv, version: r.VersionTS, exists: true}, err
}

// write replaces a record if it is still the one that was read, and does what goes
// with it.
func (l *Liveness) write(ctx context.Context, rec *liveRecord, next api.Liveness, with ...api.Request) (ok bool, err error) {
	put := api.Request{Kind: api.Put, Key: LivenessKey(next.Node), Value: api.AppendLiveness(nil, &next),
		Expect: api.Expect{Kind: api.ExpectVersion, Version: rec.version}}
	br, err := l.sender.Send(ctx, &api.BatchRequest{Requests: append([]api.Request{put}, with...)})
	var stale *api.RetryError
	switch {
	case errors.As(err, &stale):
		return false, nil
	case err != nil:
		return false, err
	}
	rec.Liveness, rec.version, rec.exists = next, br.WriteTS, true
	if br.WriteTS.IsZero() {
		rec.exists = false // the version is not known: read it before the next write
	}
	return true, nil
}

// end makes sure that a dead node's epoch is over and returns when its record
// expired. It waits for the expiration.
func (l *Liveness) end(ctx context.Context, n ids.NodeID, epoch int64) (hlc.Timestamp, error) {
	for {
		rec, err := l.read(ctx, n)
		if err != nil {
			return hlc.Timestamp{}, fmt.Errorf("the liveness record of %s cannot be read: %w", n, err)
		}
		if rec.Epoch > epoch {
			// Ended already: by then the record had expired.
			return l.clock.Now(), nil
		}
		if wait := rec.Expiration.WallNanos - l.clock.PhysicalNanos(); wait >= 0 {
			select {
			case <-time.After(time.Duration(wait) + time.Millisecond):
				continue
			case <-ctx.Done():
				return hlc.Timestamp{}, fmt.Errorf("%s may still be alive", n)
			}
		}
		next := rec.Liveness
		next.Epoch++
		if ok, err := l.write(ctx, &rec, next); err != nil {
			return hlc.Timestamp{}, err
		} else if ok {
			l.log.Info("ended the epoch of a dead node", "dead", n, "epoch", next.Epoch)
			return rec.Expiration, nil
		}
	}
}

// All returns every node's record, at most a second old.
func (l *Liveness) All(ctx context.Context) (map[ids.NodeID]api.Liveness, error) {
	l.mu.Lock()
	if time.Since(l.readAt) < heartbeatEvery {
		defer l.mu.Unlock()
		return l.others, nil
	}
	l.mu.Unlock()
	start, end := keys.SystemSpan("liveness")
	loadStart, loadEnd := keys.SystemSpan("load")
	br, err := l.sender.Send(ctx, &api.BatchRequest{Requests: []api.Request{
		{Kind: api.Scan, Key: start, End: end}, {Kind: api.Scan, Key: loadStart, End: loadEnd}}})
	if err != nil {
		return nil, err
	}
	all, loads := map[ids.NodeID]api.Liveness{}, map[ids.NodeID]api.NodeLoad{}
	for _, kv := range br.Responses[0].KVs {
		lv, err := api.DecodeLiveness(kv.Value)
		if err != nil {
			return nil, err
		}
		all[lv.Node] = lv
	}
	for _, kv := range br.Responses[1].KVs {
		if ld, err := api.DecodeNodeLoad(kv.Value); err == nil {
			loads[ld.Node] = ld
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others, l.loads, l.readAt = all, loads, time.Now()
	return all, nil
}

// CPULoad returns how busy a node said it was when All last read its records, from
// 0 to 1; zero if it did not say.
func (l *Liveness) CPULoad(n ids.NodeID) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.loads[n].CPUPermille) / 1000
}

// IsLive reports whether a record says that its node is alive now.
func (l *Liveness) IsLive(lv api.Liveness) bool {
	return lv.Expiration.WallNanos > l.clock.PhysicalNanos()
}

// SetDecommissioning marks a node for good, or takes the mark off.
func (l *Liveness) SetDecommissioning(ctx context.Context, n ids.NodeID, on bool) error {
	for {
		rec, err := l.read(ctx, n)
		if err != nil {
			return err
		}
		if !rec.exists {
			return fmt.Errorf("%s is not a member of the cluster", n)
		}
		next := rec.Liveness
		next.Decommissioning = on
		if ok, err := l.write(ctx, &rec, next); err != nil || ok {
			return err
		}
	}
}

// SetDraining announces that this node is about to stop.
func (l *Liveness) SetDraining(ctx context.Context) error {
	l.draining.Store(true)
	if !l.needed.Load() {
		return nil
	}
	return l.heartbeat(ctx)
}

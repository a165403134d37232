package lifecycle

import (
	"context"
	"log/slog"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/store"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/stop"
)

// Defaults.
const (
	DefaultRangeMaxBytes = 64 << 20
	DefaultDeadAfter     = 30 * time.Second
	// DefaultVersionAge is how long old versions are kept.
	DefaultVersionAge = 10 * time.Minute

	every     = time.Second
	gcEvery   = time.Minute
	opTimeout = time.Minute
)

// Config says what a manager stands on.
type Config struct {
	Store  *store.Store
	Node   ids.NodeID
	Admin  kv.Admin
	Logger *slog.Logger
	// Nodes lists the cluster's nodes.
	Nodes func() []api.NodeDescriptor
	// Replicas is how many voters a range should have.
	Replicas int
	// RangeMaxBytes is the size past which a range splits; DeadAfter how long a
	// node may be silent before its replicas are given up. Zero means defaults.
	RangeMaxBytes int64
	DeadAfter     time.Duration
}

// Manager acts on the ranges that this node holds the lease of.
type Manager struct {
	cfg   Config
	tasks *stop.Group
	// lastGC is when each range's versions were last collected, and how many
	// writes it had seen by then.
	lastGC map[ids.RangeID]time.Time
}

// New returns a manager; Start runs it.
func New(cfg Config) *Manager {
	if cfg.RangeMaxBytes == 0 {
		cfg.RangeMaxBytes = DefaultRangeMaxBytes
	}
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = DefaultDeadAfter
	}
	return &Manager{cfg: cfg, tasks: stop.New(context.Background()), lastGC: map[ids.RangeID]time.Time{}}
}

// Start runs the loop until Close.
func (m *Manager) Start() { m.tasks.Go("lifecycle", m.loop) }

// Close stops the loop; a change under way is broken off and taken up again by
// whoever holds the lease next.
func (m *Manager) Close() { m.tasks.Stop() }

func (m *Manager) loop(ctx context.Context) {
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		wait := every
		if m.round(ctx) {
			wait = 50 * time.Millisecond // there may be more to do
		}
		t.Reset(wait)
	}
}

// round makes at most one change and reports whether it did.
func (m *Manager) round(ctx context.Context) bool {
	var mine []*store.Replica
	m.cfg.Store.Replicas(func(r *store.Replica) bool {
		if r.IsLeaseholder() {
			mine = append(mine, r)
		}
		return true
	})
	p, err := m.picture(ctx)
	if err != nil {
		m.cfg.Logger.Debug("no picture of the cluster", "err", err)
	}
	for _, r := range mine {
		if ctx.Err() != nil {
			return false
		}
		if m.splitBySize(ctx, r) {
			return true
		}
		if p != nil {
			if a, ok := Decide(p, r.Desc(), m.cfg.Node); ok && m.act(ctx, r, a) {
				return true
			}
		}
	}
	m.collectVersions(ctx, mine)
	return false
}

// picture describes the cluster as this node's replicas and the liveness records
// show it; nil for a node alone.
func (m *Manager) picture(ctx context.Context) (*Picture, error) {
	nodes := m.cfg.Nodes()
	if len(nodes) < 2 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	live := m.cfg.Store.Liveness()
	records, err := live.All(ctx)
	if err != nil {
		return nil, err
	}
	p := &Picture{Replicas: m.cfg.Replicas}
	at := map[ids.NodeID]int{}
	for _, d := range nodes {
		r, known := records[d.Node]
		n := Node{ID: d.Node, Locality: d.Locality, Draining: r.Draining, Decommissioning: r.Decommissioning, Live: known && live.IsLive(r)}
		// A node that has not written its record yet has just joined.
		n.Dead = known && time.Since(r.Expiration.Time()) > m.cfg.DeadAfter
		at[d.Node] = len(p.Nodes)
		p.Nodes = append(p.Nodes, n)
	}
	m.cfg.Store.Replicas(func(r *store.Replica) bool {
		for _, rep := range r.Desc().Replicas {
			if i, ok := at[rep.Node]; ok {
				p.Nodes[i].Replicas++
			}
		}
		if i, ok := at[r.Lease().Holder.Node]; ok {
			p.Nodes[i].Leases++
		}
		return true
	})
	return p, nil
}

// act carries out a decision; it reports whether anything changed.
func (m *Manager) act(ctx context.Context, r *store.Replica, a Action) bool {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	req := api.Request{Kind: api.AdminChangeReplicas, Key: r.Desc().Start, Admin: &api.AdminArgs{}}
	switch {
	case a.Transfer != 0:
		req.Kind, req.Admin.Node = api.AdminTransferLease, a.Transfer
	case a.Add != 0:
		req.Admin.Add = []ids.NodeID{a.Add}
	default:
		req.Admin.Remove = []ids.NodeID{a.Remove}
	}
	ba := &api.BatchRequest{Requests: []api.Request{req}}
	ba.RangeID = r.RangeID()
	_, err := m.cfg.Store.Send(ctx, ba)
	attrs := []any{"range", r.RangeID(), "add", a.Add, "remove", a.Remove, "transfer", a.Transfer, "why", a.Why}
	if err != nil {
		m.cfg.Logger.Debug("range not changed", append(attrs, "err", err)...)
		return false
	}
	m.cfg.Logger.Debug("changed a range", attrs...)
	return true
}

// splitBySize halves a range that has grown past the limit.
func (m *Manager) splitBySize(ctx context.Context, r *store.Replica) bool {
	if r.RangeID() <= store.SystemRange || r.Size() < m.cfg.RangeMaxBytes {
		return false
	}
	key := r.MiddleKey()
	if key == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := m.cfg.Admin.Split(ctx, key); err != nil {
		m.cfg.Logger.Debug("range not split", "range", r.RangeID(), "err", err)
		return false
	}
	m.cfg.Logger.Info("split a range by size", "range", r.RangeID(), "at", keys.Pretty(key))
	return true
}

// collectVersions removes versions that nobody can read any more.
func (m *Manager) collectVersions(ctx context.Context, mine []*store.Replica) {
	for _, r := range mine {
		last, seen := m.lastGC[r.RangeID()]
		if !seen {
			m.lastGC[r.RangeID()] = time.Now()
			continue
		}
		if time.Since(last) < gcEvery || !r.WrittenSince() {
			continue
		}
		m.lastGC[r.RangeID()] = time.Now()
		if err := m.collect(ctx, r); err != nil {
			m.cfg.Logger.Debug("old versions not collected", "range", r.RangeID(), "err", err)
		}
	}
}

// collect goes over a range in pieces, so that no command is large.
func (m *Manager) collect(ctx context.Context, r *store.Replica) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	d := r.Desc()
	threshold := r.Clock().Now().Add(-DefaultVersionAge)
	for from := d.Start; from != nil; {
		ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.GC, Key: from, End: d.End, Admin: &api.AdminArgs{Threshold: threshold}}}}
		ba.RangeID = r.RangeID()
		br, err := m.cfg.Store.Send(ctx, ba)
		if err != nil {
			return err
		}
		from = br.Responses[0].Resume
	}
	return nil
}

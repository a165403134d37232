package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
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
	opTimeout = 2 * time.Minute
	// maxChanges is how many ranges this node changes at a time.
	maxChanges = 4
	// drawEvery is how long lots stand. Counts are about two seconds old.
	drawEvery = 10 * time.Second
	// A range whose change failed is left alone for firstPause, then for longer.
	firstPause, maxPause = 2 * time.Second, time.Minute
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
	// wake ends the loop's pause.
	wake chan struct{}
	// lastGC is when each range's versions were last collected. The loop's own.
	lastGC map[ids.RangeID]time.Time
	// turn rotates the order in which ranges are looked at. The loop's own.
	turn int

	// mu guards all below; nothing blocks under it.
	mu sync.Mutex
	// changing holds the ranges that a change is under way for; paused those
	// whose last change failed.
	changing map[ids.RangeID]bool
	paused   map[ids.RangeID]pause
	// budget is how many changes that only spread load may be made until
	// renewAt: counts are about a second old, so more at a time would overshoot.
	budget  int
	renewAt time.Time
	// followAt is when the next lease may follow its workload; followed holds the
	// ranges whose leases did; follows counts them.
	followAt time.Time
	followed map[ids.RangeID]followed
	follows  int64
}

type pause struct {
	until time.Time
	last  time.Duration
}

// New returns a manager; Start runs it.
func New(cfg Config) *Manager {
	if cfg.RangeMaxBytes == 0 {
		cfg.RangeMaxBytes = DefaultRangeMaxBytes
	}
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = DefaultDeadAfter
	}
	return &Manager{cfg: cfg, tasks: stop.New(context.Background()), wake: make(chan struct{}, 1), lastGC: map[ids.RangeID]time.Time{},
		changing: map[ids.RangeID]bool{}, paused: map[ids.RangeID]pause{}, followed: map[ids.RangeID]followed{}}
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
		case <-m.wake:
		case <-ctx.Done():
			return
		}
		m.round(ctx)
		// Jittered, so that nodes do not all decide at the same moment.
		t.Reset(every*3/4 + rand.N(every/2))
	}
}

// round starts the changes that this node's ranges need.
func (m *Manager) round(ctx context.Context) {
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
	m.mu.Lock()
	if now := time.Now(); p != nil && now.After(m.renewAt) {
		m.budget, m.renewAt = p.Budget(m.cfg.Node), now.Add(every)
	}
	m.mu.Unlock()
	m.turn++
	for i := range mine {
		if !m.consider(p, mine[(i+m.turn)%len(mine)]) {
			break
		}
	}
	m.collectVersions(ctx, mine)
}

// consider starts a change of one range if it needs one; false means that enough
// are under way.
func (m *Manager) consider(p *Picture, r *store.Replica) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := r.RangeID()
	if len(m.changing) >= maxChanges {
		return false
	}
	if m.changing[id] || time.Now().Before(m.paused[id].until) {
		return true
	}
	if m.tooBig(r) {
		m.start(r, func(ctx context.Context) error { return m.halve(ctx, r) })
		return true
	}
	if p == nil {
		return true
	}
	u := Use{Traffic: r.Traffic(), Hold: m.followed[id].hold}
	a, ok := Decide(p, r.Desc(), m.cfg.Node, &u)
	if !ok || a.Spread && m.budget == 0 || a.Follow && time.Now().Before(m.followAt) {
		return true
	}
	switch {
	case a.Spread:
		m.budget--
	case a.Follow:
		// Until this one has moved no other does.
		m.followAt = time.Now().Add(opTimeout)
	}
	pause := p.followPause(a.Transfer)
	p.Expect(a, m.cfg.Node)
	m.start(r, func(ctx context.Context) error {
		err := m.act(ctx, r, a)
		if a.Follow {
			m.noteFollow(id, pause, err == nil)
		}
		return err
	})
	return true
}

// noteFollow takes note of a lease that was sent after its workload.
func (m *Manager) noteFollow(id ids.RangeID, pause time.Duration, moved bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.followAt = now.Add(pause)
	for r, f := range m.followed {
		if r != id && f.forgotten(now) {
			delete(m.followed, r)
		}
	}
	if moved {
		m.follows++
		m.followed[id] = m.followed[id].again(now)
	}
}

// Follows returns how many leases this node has sent after their workload.
func (m *Manager) Follows() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.follows
}

// start runs a change of a range; the caller holds mu.
func (m *Manager) start(r *store.Replica, change func(context.Context) error) {
	id := r.RangeID()
	m.changing[id] = true
	started := m.tasks.Go("change a range", func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, opTimeout)
		defer cancel()
		err := change(ctx)
		m.mu.Lock()
		delete(m.changing, id)
		if err == nil {
			delete(m.paused, id)
		} else {
			last := min(max(2*m.paused[id].last, firstPause), maxPause)
			m.paused[id] = pause{time.Now().Add(last/2 + rand.N(last/2)), last}
		}
		m.mu.Unlock()
		if err == nil {
			select { // there may be more to do
			case m.wake <- struct{}{}:
			default:
			}
		}
	})
	if !started {
		delete(m.changing, id)
	}
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
	p := &Picture{Replicas: m.cfg.Replicas, Draw: time.Now().Unix() / int64(drawEvery/time.Second)}
	for _, d := range nodes {
		r, known := records[d.Node]
		n := Node{ID: d.Node, Locality: d.Locality, Draining: r.Draining, Decommissioning: r.Decommissioning, Live: known && live.IsLive(r)}
		// A node that has not written its record yet has just joined.
		n.Dead = known && time.Since(r.Expiration.Time()) > m.cfg.DeadAfter
		n.Replicas, n.Leases, n.CPU = int(r.Replicas), int(r.Leases), live.CPULoad(d.Node)
		if d.Node == m.cfg.Node {
			n.Replicas, n.Leases = m.cfg.Store.Counts()
			n.CPU = m.cfg.Store.CPULoad()
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p, nil
}

// act carries out a decision.
func (m *Manager) act(ctx context.Context, r *store.Replica, a Action) error {
	req := api.Request{Kind: api.AdminChangeReplicas, Key: r.Desc().Start, Admin: &api.AdminArgs{ExpectGeneration: r.Desc().Generation}}
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
	if a.Follow && err == nil {
		m.cfg.Logger.Info("moved a lease", "range", r.RangeID(), "to", a.Transfer, "why", a.Why)
		return nil
	}
	if err != nil {
		m.cfg.Logger.Debug("range not changed", append(attrs, "err", err)...)
		return err
	}
	m.cfg.Logger.Debug("changed a range", attrs...)
	return nil
}

// tooBig reports whether a range has grown past the limit.
func (m *Manager) tooBig(r *store.Replica) bool {
	return r.RangeID() > store.SystemRange && r.Size() >= m.cfg.RangeMaxBytes
}

// halve splits a range in the middle of its data.
func (m *Manager) halve(ctx context.Context, r *store.Replica) error {
	key := r.MiddleKey()
	if key == nil {
		return errOneKey
	}
	if err := m.cfg.Admin.Split(ctx, key); err != nil {
		m.cfg.Logger.Debug("range not split", "range", r.RangeID(), "err", err)
		return err
	}
	m.cfg.Logger.Info("split a range by size", "range", r.RangeID(), "at", keys.Pretty(key))
	return nil
}

var errOneKey = errors.New("the range has no key to split at")

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

package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/pkg/stop"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// How long a lease on a generation lasts, and how often the node looks whether
// there is a newer one and renews it. The lease is renewed long before its end,
// so that a slow write does not fail transactions.
const (
	leaseDuration = 12 * time.Second
	renewAfter    = 4 * time.Second
	pollInterval  = 200 * time.Millisecond
)

func generationKey() []byte          { return keys.System("catalog") }
func logKey(g uint64) []byte         { return keys.System("catalog-log", g) }
func descKey(oid types.OID) []byte   { return keys.System("desc", uint64(oid)) }
func leaseKey(n ids.NodeID) []byte   { return keys.System("catalog-lease", uint64(n)) }
func statsKey(oid types.OID) []byte  { return keys.System("stats", uint64(oid)) }
func oidKey() []byte                 { return keys.System("oid") }
func span(name string) (s, e []byte) { return keys.SystemSpan(name) }

// version is one generation as this node uses it.
type version struct {
	snap *catalog.Snapshot
	// expires is the end of this node's lease on the generation, in wall
	// nanoseconds; it stands still once there is a newer generation.
	expires atomic.Int64
	// users counts open transactions.
	users atomic.Int64
}

// Store is one node's catalog.
type Store struct {
	db   kv.DB
	node ids.NodeID
	base *catalog.Snapshot
	gen  catalog.Generation
	cur  atomic.Pointer[version]

	// mu serializes loading and the lease record. It is held across kv calls,
	// which is sound because no kv call needs the catalog.
	mu    sync.Mutex
	old   []*version // superseded, still used by transactions
	lease leaseImage

	statsMu    sync.Mutex
	stats      map[types.OID]cachedStats
	statsEpoch atomic.Uint64

	// announce tells the other nodes of a new generation; nudged is how they are
	// told. A lost announcement costs a poll interval.
	announce func()
	nudged   chan struct{}

	tasks *stop.Group
}

// New returns a store over db. base are the descriptors that every catalog has
// and that are not stored: the virtual tables. announce, which may be nil, is
// called after every change; it should make the other nodes call Nudge, and must
// not block.
func New(db kv.DB, node ids.NodeID, base []catalog.Descriptor, announce func()) *Store {
	s := &Store{db: db, node: node, stats: map[types.OID]cachedStats{}, announce: announce, nudged: make(chan struct{}, 1)}
	s.base = catalog.NewSnapshot().With(0, base, nil)
	return s
}

// Start creates the catalog if there is none, loads it and keeps it current
// until Close.
func (s *Store) Start(ctx context.Context) error {
	if err := untilKnown(ctx, s.bootstrap); err != nil {
		return fmt.Errorf("creating the catalog: %w", err)
	}
	if err := untilKnown(ctx, s.Refresh); err != nil {
		return fmt.Errorf("loading the catalog: %w", err)
	}
	s.tasks = stop.New(context.Background())
	s.tasks.Go("catalog", s.poll)
	return nil
}

// untilKnown repeats what may be done twice while nobody knows whether it has been
// done: the node that should have told has died.
func untilKnown(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		var ambiguous *api.AmbiguousError
		if !errors.As(err, &ambiguous) || ctx.Err() != nil {
			return err
		}
	}
}

// closeWithin bounds giving up the lease: it expires by itself.
const closeWithin = 200 * time.Millisecond

// Close stops following the catalog and gives up the node's lease.
func (s *Store) Close() {
	if s.tasks == nil {
		return
	}
	s.tasks.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	_ = s.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Delete(leaseKey(s.node), api.Expect{})
		return t.Send(ctx, &b)
	})
}

// Generation is the node's current generation: plans compare with it.
func (s *Store) Generation() *catalog.Generation { return &s.gen }

// Snapshot returns the current snapshot, for looking only.
func (s *Store) Snapshot() *catalog.Snapshot { return s.cur.Load().snap }

// Use is a transaction's hold on a generation.
type Use struct{ v *version }

// Acquire takes the current generation for a transaction.
func (s *Store) Acquire() Use {
	for {
		v := s.cur.Load()
		v.users.Add(1)
		if s.cur.Load() == v {
			return Use{v}
		}
		v.users.Add(-1)
	}
}

// Snapshot returns the generation's snapshot.
func (u Use) Snapshot() *catalog.Snapshot { return u.v.snap }

// Valid reports whether u holds anything.
func (u Use) Valid() bool { return u.v != nil }

// Deadline is the latest time at which the transaction may commit.
func (u Use) Deadline() hlc.Timestamp { return hlc.Timestamp{WallNanos: u.v.expires.Load()} }

// Release ends the hold.
func (u Use) Release() {
	if u.v != nil {
		u.v.users.Add(-1)
	}
}

// NewOID allocates n consecutive oids and returns the first.
func (s *Store) NewOID(ctx context.Context, n int) (types.OID, error) {
	v, err := s.db.Increment(ctx, oidKey(), int64(n))
	if err != nil {
		return 0, err
	}
	return catalog.FirstUserOID + types.OID(v) - types.OID(n), nil
}

// Nudge says that another node has changed the catalog. It does not block.
func (s *Store) Nudge() {
	select {
	case s.nudged <- struct{}{}:
	default: // a look is due already
	}
}

func (s *Store) poll(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.nudged:
		}
		c, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := s.Refresh(c)
		cancel()
		if err != nil && ctx.Err() == nil {
			slog.Debug("catalog not refreshed", "error", err)
		}
	}
}

// Refresh loads a newer generation, if there is one, and renews the lease.
func (s *Store) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gen, err := s.readGeneration(ctx)
	if err != nil {
		return err
	}
	if cur := s.cur.Load(); cur == nil || cur.snap.Generation() != gen {
		if err := s.load(ctx, gen); err != nil {
			return err
		}
	}
	return s.renew(ctx)
}

func (s *Store) readGeneration(ctx context.Context) (gen uint64, err error) {
	err = s.db.Run(ctx, kv.TxnOptions{ReadOnly: true}, func(t kv.Txn) error {
		gen, err = generationIn(ctx, t, api.LockNone)
		return err
	})
	return gen, err
}

func generationIn(ctx context.Context, t kv.Txn, l api.LockStrength) (uint64, error) {
	var b kv.Batch
	b.GetLocked(generationKey(), l, api.WaitBlock)
	if err := t.Send(ctx, &b); err != nil {
		return 0, err
	}
	if r := b.Responses[0]; r.Exists && len(r.Value) == 8 {
		return binary.BigEndian.Uint64(r.Value), nil
	}
	return 0, errors.New("the catalog has no generation")
}

// load makes the snapshot of a newer generation current: by the log of changes
// when the old one is near, else from scratch.
func (s *Store) load(ctx context.Context, want uint64) error {
	var snap *catalog.Snapshot
	err := s.db.Run(ctx, kv.TxnOptions{ReadOnly: true}, func(t kv.Txn) error {
		gen, err := generationIn(ctx, t, api.LockNone)
		if err != nil {
			return err
		}
		if cur := s.cur.Load(); cur != nil {
			if snap, err = s.advance(ctx, t, cur.snap, gen); snap != nil || err != nil {
				return err
			}
		}
		snap, err = s.readAll(ctx, t, gen)
		return err
	})
	if err != nil {
		return err
	}
	s.install(snap)
	return nil
}

// install makes snap current unless a newer one is. Called with mu held.
func (s *Store) install(snap *catalog.Snapshot) *version {
	cur := s.cur.Load()
	if cur != nil && cur.snap.Generation() >= snap.Generation() {
		return cur
	}
	v := &version{snap: snap}
	if cur != nil {
		v.expires.Store(cur.expires.Load())
		s.old = append(s.old, cur)
	}
	s.cur.Store(v)
	s.gen.Advance(snap.Generation())
	return v
}

// maxLogSteps bounds how many generations are caught up with one by one.
const maxLogSteps = 64

func (s *Store) advance(ctx context.Context, t kv.Txn, from *catalog.Snapshot, gen uint64) (*catalog.Snapshot, error) {
	if gen <= from.Generation() || gen-from.Generation() > maxLogSteps {
		return nil, nil
	}
	var b kv.Batch
	for g := from.Generation() + 1; g <= gen; g++ {
		b.Get(logKey(g))
	}
	if err := t.Send(ctx, &b); err != nil {
		return nil, err
	}
	changed := map[types.OID]bool{}
	for i := range b.Responses {
		if !b.Responses[i].Exists {
			return nil, nil
		}
		var oids []types.OID
		if err := json.Unmarshal(b.Responses[i].Value, &oids); err != nil {
			return nil, err
		}
		for _, o := range oids {
			changed[o] = true
		}
	}
	return readChanged(ctx, t, from, gen, changed)
}

func readChanged(ctx context.Context, t kv.Txn, from *catalog.Snapshot, gen uint64, changed map[types.OID]bool) (*catalog.Snapshot, error) {
	var b kv.Batch
	oids := make([]types.OID, 0, len(changed))
	for o := range changed {
		oids = append(oids, o)
		b.Get(descKey(o))
	}
	if len(oids) > 0 {
		if err := t.Send(ctx, &b); err != nil {
			return nil, err
		}
	}
	var put []catalog.Descriptor
	var drop []types.OID
	for i, o := range oids {
		if !b.Responses[i].Exists {
			drop = append(drop, o)
			continue
		}
		d, err := catalog.Decode(b.Responses[i].Value)
		if err != nil {
			return nil, err
		}
		put = append(put, d)
	}
	return from.With(gen, put, drop), nil
}

func (s *Store) readAll(ctx context.Context, t kv.Txn, gen uint64) (*catalog.Snapshot, error) {
	var put []catalog.Descriptor
	start, end := span("desc")
	err := scanAll(ctx, t, start, end, func(_, value []byte) error {
		d, err := catalog.Decode(value)
		put = append(put, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.base.With(gen, put, nil), nil
}

// scanAll calls f for every key-value of a span.
func scanAll(ctx context.Context, t kv.Txn, start, end []byte, f func(k, v []byte) error) error {
	for start != nil {
		var b kv.Batch
		b.Scan(start, end, &api.ScanOptions{MaxRows: 1024})
		if err := t.Send(ctx, &b); err != nil {
			return err
		}
		r := &b.Responses[0]
		for i := range r.KVs {
			if err := f(r.KVs[i].Key, r.KVs[i].Value); err != nil {
				return err
			}
		}
		start = r.Resume
	}
	return nil
}

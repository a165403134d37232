package txn

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/stop"
)

// Ranges is what the coordinator asks of the layer that finds ranges; *route.Router
// is one.
type Ranges interface {
	api.Sender
	// Range returns the descriptor, perhaps stale, of the range that holds key.
	Range(ctx context.Context, key api.Key) (*api.RangeDescriptor, error)
	// Tell brings news to ranges where that costs next to nothing.
	Tell(ctx context.Context, ba *api.BatchRequest)
}

// Limits bound what a transaction buffers and sends; zero values mean defaults.
type Limits struct {
	// FlushBytes and FlushWrites are the size of the write buffer from which it
	// is laid down as intents.
	FlushBytes, FlushWrites int
	// CarryBytes is how much of the buffer travels with a read.
	CarryBytes int
	// BatchBytes is the largest batch of writes.
	BatchBytes int
	// InFlightWrites is how many writes a staging record may list; a larger commit
	// lays its intents first.
	InFlightWrites int
	// BulkWrites is how many writes of one batch are laid at once, past the
	// buffer, if the transaction is too large for one batch anyway.
	BulkWrites int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v *int
		n int
	}{{&l.FlushBytes, 4 << 20}, {&l.FlushWrites, 100_000}, {&l.CarryBytes, 64 << 10},
		{&l.BatchBytes, 256 << 10}, {&l.InFlightWrites, 512}, {&l.BulkWrites, 128}} {
		if *d.v == 0 {
			*d.v = d.n
		}
	}
	return l
}

// Config says what a DB stands on.
type Config struct {
	Ranges Ranges
	Clock  *hlc.Clock
	// Node returns this node's id.
	Node   func() ids.NodeID
	Limits Limits
	// Logger gets what background work could not do; nil means slog.Default.
	Logger *slog.Logger
}

// DB implements kv.DB. Close it before what it stands on.
type DB struct {
	cfg   Config
	group *stop.Group
	// patience is how long the outcome of a commit is looked for.
	patience context.Context
	hurry    context.CancelFunc
	// slots bounds background work; what finds none free runs on the caller's
	// goroutine, which slows the caller down as it should.
	slots chan struct{}
	work  sync.WaitGroup
	open  registry
	stats counters
	// forgets are the records that nothing refers to any more.
	forgets  forgetter
	finishes finisher
}

type counters struct {
	begun, committed, onePhase, parallel, rolledBack                   atomic.Int64
	refreshes, refreshFailures, restarts, flushes, ambiguous, restaged atomic.Int64
	background, backgroundFailures, heartbeats                         atomic.Int64
}

// Stats counts what a DB's transactions did.
type Stats struct {
	Begun, Committed, OnePhase, Parallel, RolledBack                   int64
	Refreshes, RefreshFailures, Restarts, Flushes, Ambiguous, Restaged int64
	Background, BackgroundFailures, Heartbeats                         int64
	Open                                                               int
}

const maxBackground = 256

// NewDB returns a DB over ranges.
func NewDB(cfg Config) *DB {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	d := &DB{cfg: cfg, group: stop.New(context.Background()), slots: make(chan struct{}, maxBackground)}
	d.patience, d.hurry = context.WithCancel(d.group.Context())
	d.group.Go("txn heartbeats", d.heartbeatLoop)
	d.group.Go("txn records", d.forgetLoop)
	return d
}

// closeWait is how long Close waits for what goes on in the background: long
// enough where the ranges answer, short where they have gone.
const closeWait = 400 * time.Millisecond

// Close waits a moment for the background work of finished transactions: what is
// left, others find and finish.
func (d *DB) Close() {
	done := make(chan struct{})
	go func() { // ends with the work that it waits for, which Stop below cancels
		defer close(done)
		d.work.Wait()
		d.forgetAll(d.group.Context(), d.forgets.take())
	}()
	t := time.NewTimer(closeWait)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	d.group.Stop()
	<-done
	d.hurry()
}

// Hurry is for a node that is about to stop: commits whose outcome is not known
// stop looking for it, and say so.
func (d *DB) Hurry() { d.hurry() }

// WaitIdle waits until no background work is left.
func (d *DB) WaitIdle() {
	d.work.Wait()
	d.forgetAll(d.group.Context(), d.forgets.take())
}

// Clock implements kv.DB.
func (d *DB) Clock() *hlc.Clock { return d.cfg.Clock }

// Stats returns the counters.
func (d *DB) Stats() Stats {
	c := &d.stats
	return Stats{
		Begun: c.begun.Load(), Committed: c.committed.Load(), OnePhase: c.onePhase.Load(), Parallel: c.parallel.Load(),
		RolledBack: c.rolledBack.Load(), Refreshes: c.refreshes.Load(), RefreshFailures: c.refreshFailures.Load(),
		Restarts: c.restarts.Load(), Flushes: c.flushes.Load(), Ambiguous: c.ambiguous.Load(), Restaged: c.restaged.Load(),
		Background: c.background.Load(), BackgroundFailures: c.backgroundFailures.Load(), Heartbeats: c.heartbeats.Load(),
		Open: d.open.count(),
	}
}

// Begin implements kv.DB.
func (d *DB) Begin(_ context.Context, o kv.TxnOptions) (kv.Txn, error) { return d.begin(o), nil }

func (d *DB) begin(o kv.TxnOptions) *Txn {
	t := &Txn{db: d, opts: o}
	m := &t.firstMeta
	m.ID = newTxnID()
	m.Isolation = o.Isolation
	m.Gateway = d.cfg.Node()
	t.snapshotInto(m, hlc.Timestamp{})
	m.StartTS = m.ReadTS
	t.meta.Store(m)
	d.stats.begun.Add(1)
	d.open.add(t)
	return t
}

// newTxnID returns a random id. The generator is seeded by the system and has no
// lock, which on the path of a point read matters.
func newTxnID() (id ids.TxnID) {
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// Run implements kv.DB.
func (d *DB) Run(ctx context.Context, o kv.TxnOptions, f func(kv.Txn) error) error {
	t := d.begin(o)
	for try := 0; ; try++ {
		err := f(t)
		if err == nil && t.status() != committed { // f's last batch may have committed
			err = t.Commit(ctx)
		}
		if err == nil {
			return nil
		}
		if !canRestart(err) || ctx.Err() != nil {
			_ = t.Rollback(ctx) // the first error is what went wrong
			return err
		}
		if err := restartAfter(ctx, t, try); err != nil {
			return err
		}
	}
}

func restartAfter(ctx context.Context, t *Txn, try int) error {
	if err := t.Restart(ctx); err != nil {
		_ = t.Rollback(ctx) // the restart's error is what the caller needs
		return err
	}
	if try == 0 {
		return nil
	}
	// Two transactions that restart each other must fall out of step.
	pause := time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 6)))
	if err := sleep(ctx, pause); err != nil {
		_ = t.Rollback(ctx) // the context's end is what the caller needs
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// canRestart reports whether a transaction may start over after err.
func canRestart(err error) bool {
	var retry *api.RetryError
	var aborted *api.AbortedError
	var deadlock *api.DeadlockError
	var deadline *api.DeadlineError
	return errors.As(err, &retry) || errors.As(err, &aborted) || errors.As(err, &deadlock) || errors.As(err, &deadline)
}

// Increment implements kv.DB.
func (d *DB) Increment(ctx context.Context, key api.Key, delta int64) (int64, error) {
	br, err := d.cfg.Ranges.Send(ctx, &api.BatchRequest{
		Header:   api.Header{Gateway: d.cfg.Node()},
		Requests: []api.Request{{Kind: api.Increment, Key: key, Delta: delta}},
	})
	if err != nil {
		return 0, err
	}
	return br.Responses[0].Number, nil
}

// Transactions lists the open transactions of this node.
func (d *DB) Transactions() []kv.TxnInfo {
	var list []kv.TxnInfo
	d.open.each(func(t *Txn) { list = append(list, t.Info()) })
	return list
}

// background runs f on another goroutine if one may start, else here.
func (d *DB) background(what string, f func(context.Context) error) {
	d.stats.background.Add(1)
	run := func(ctx context.Context) {
		if err := f(ctx); err != nil {
			d.stats.backgroundFailures.Add(1)
			d.cfg.Logger.Debug("a finished transaction's cleanup is left to others", "what", what, "err", err)
		}
	}
	select {
	case d.slots <- struct{}{}:
		d.work.Add(1)
		if d.group.Go(what, func(ctx context.Context) {
			defer func() { <-d.slots; d.work.Done() }()
			run(ctx)
		}) {
			return
		}
		<-d.slots
		d.work.Done()
	default:
		run(d.group.Context())
	}
}

const registryShards = 16

// registry holds the open transactions, for heartbeats and for people.
type registry struct {
	shards [registryShards]struct {
		mu   sync.Mutex
		head *Txn
		n    int
		_    [64]byte // keeps the shards' locks on different cache lines
	}
}

func (r *registry) add(t *Txn) {
	s := &r.shards[t.firstMeta.ID[0]%registryShards]
	s.mu.Lock()
	if t.next = s.head; t.next != nil {
		t.next.prev = t
	}
	s.head = t
	s.n++
	s.mu.Unlock()
}

func (r *registry) remove(t *Txn) {
	s := &r.shards[t.firstMeta.ID[0]%registryShards]
	s.mu.Lock()
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	s.n--
	s.mu.Unlock()
}

func (r *registry) count() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += s.n
		s.mu.Unlock()
	}
	return n
}

// each calls f for every open transaction, without a lock.
func (r *registry) each(f func(*Txn)) {
	for i := range r.shards {
		s := &r.shards[i]
		var list []*Txn
		s.mu.Lock()
		for t := s.head; t != nil; t = t.next {
			list = append(list, t)
		}
		s.mu.Unlock()
		for _, t := range list {
			f(t)
		}
	}
}

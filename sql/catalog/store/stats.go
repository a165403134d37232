package store

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// statsTTL is how long figures are used before another node's ANALYZE is looked
// for; statsWait bounds that look.
const (
	statsTTL  = time.Minute
	statsWait = 2 * time.Second
)

// cachedStats are figures as they were loaded; nil for a table without.
type cachedStats struct {
	t      *stats.Table
	loaded int64
}

// Stats returns a table's statistics as last loaded, or nil.
func (s *Store) Stats(table types.OID) *stats.Table {
	now := s.db.Clock().PhysicalNanos()
	s.statsMu.Lock()
	c, ok := s.stats[table]
	s.statsMu.Unlock()
	if ok && now-c.loaded < int64(statsTTL) {
		return c.t
	}
	// A plan without statistics is better than none: do not wait long.
	t := c.t
	ctx, cancel := context.WithTimeout(context.Background(), statsWait)
	defer cancel()
	err := s.db.Run(ctx, kv.TxnOptions{ReadOnly: true}, func(txn kv.Txn) error {
		var b kv.Batch
		b.Get(statsKey(table))
		if err := txn.Send(ctx, &b); err != nil {
			return err
		}
		if !b.Responses[0].Exists {
			return nil
		}
		var err error
		t, err = stats.Decode(b.Responses[0].Value)
		return err
	})
	if err != nil {
		return c.t
	}
	s.statsMu.Lock()
	s.stats[table] = cachedStats{t, now}
	s.statsMu.Unlock()
	return t
}

// StatsEpoch moves with every new statistics on this node: plans made under the
// old figures are stale.
func (s *Store) StatsEpoch() uint64 { return s.statsEpoch.Load() }

// PutStats stores a table's statistics.
func (s *Store) PutStats(ctx context.Context, table types.OID, t *stats.Table) error {
	val, err := t.Encode()
	if err != nil {
		return err
	}
	err = s.db.Run(ctx, kv.TxnOptions{}, func(txn kv.Txn) error {
		var b kv.Batch
		b.Put(statsKey(table), val, api.Expect{})
		return txn.Send(ctx, &b)
	})
	if err != nil {
		return err
	}
	s.statsMu.Lock()
	s.stats[table] = cachedStats{t, s.db.Clock().PhysicalNanos()}
	s.statsMu.Unlock()
	s.statsEpoch.Add(1)
	return nil
}

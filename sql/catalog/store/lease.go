package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/ids"
)

// leaseImage is a node's stored lease: it uses no generation below Generation
// and nothing after Expires.
type leaseImage struct {
	Node       ids.NodeID `json:"node"`
	Generation uint64     `json:"generation"`
	Expires    int64      `json:"expires"`
}

// renew writes the lease record when it is due, or when the oldest generation in
// use has changed. Called with mu held.
func (s *Store) renew(ctx context.Context) error {
	cur := s.cur.Load()
	now := s.db.Clock().Now().WallNanos
	oldest := s.oldest(now)
	if s.lease.Generation == oldest && cur.snap.Generation() == oldest && s.lease.Expires-now > int64(leaseDuration-renewAfter) {
		return nil
	}
	l := leaseImage{Node: s.node, Generation: oldest, Expires: now + int64(leaseDuration)}
	if l.Generation == s.lease.Generation && oldest != cur.snap.Generation() && s.lease.Expires-now > int64(leaseDuration-renewAfter) {
		return nil
	}
	val, err := json.Marshal(l)
	if err != nil {
		return err
	}
	// The generation is read in the same transaction: a lease on one that is
	// current when the lease commits can only be one behind afterwards.
	err = s.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		if _, err := generationIn(ctx, t, api.LockNone); err != nil {
			return err
		}
		var b kv.Batch
		b.Put(leaseKey(s.node), val, api.Expect{})
		return t.Send(ctx, &b)
	})
	if err != nil {
		return err
	}
	s.lease = l
	cur.expires.Store(l.Expires - int64(s.db.Clock().MaxOffset()))
	return nil
}

// oldest returns the oldest generation that a transaction of this node may still
// commit under. Called with mu held.
func (s *Store) oldest(now int64) uint64 {
	keep := s.old[:0]
	oldest := s.cur.Load().snap.Generation()
	for _, v := range s.old {
		if v.users.Load() > 0 && v.expires.Load() > now {
			keep = append(keep, v)
			oldest = min(oldest, v.snap.Generation())
		}
	}
	clear(s.old[len(keep):])
	s.old = keep
	return oldest
}

// AwaitGeneration waits until no node uses a generation below gen any more.
// self says whether this node's own transactions count too.
func (s *Store) AwaitGeneration(ctx context.Context, gen uint64, self bool) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		behind, err := s.behind(ctx, gen, self)
		if err != nil || !behind {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

func (s *Store) behind(ctx context.Context, gen uint64, self bool) (bool, error) {
	now := s.db.Clock().Now().WallNanos
	if self {
		s.mu.Lock()
		behind := s.oldest(now) < gen
		s.mu.Unlock()
		if behind {
			return true, nil
		}
	}
	behind := false
	err := s.db.Run(ctx, kv.TxnOptions{ReadOnly: true}, func(t kv.Txn) error {
		behind = false
		start, end := span("catalog-lease")
		return scanAll(ctx, t, start, end, func(_, value []byte) error {
			var l leaseImage
			if err := json.Unmarshal(value, &l); err != nil {
				return err
			}
			if l.Node != s.node && l.Generation < gen && l.Expires > now {
				behind = true
			}
			return nil
		})
	})
	return behind, err
}

// OtherNodes reports whether any other node holds a lease on the catalog.
func (s *Store) OtherNodes(ctx context.Context) (bool, error) {
	now := s.db.Clock().Now().WallNanos
	found := false
	err := s.db.Run(ctx, kv.TxnOptions{ReadOnly: true}, func(t kv.Txn) error {
		found = false
		start, end := span("catalog-lease")
		return scanAll(ctx, t, start, end, func(_, value []byte) error {
			var l leaseImage
			if err := json.Unmarshal(value, &l); err != nil {
				return err
			}
			found = found || l.Node != s.node && l.Expires > now
			return nil
		})
	})
	return found, err
}

package store

import (
	"context"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// lockPoll is how often a lock that somebody else holds is looked at.
const lockPoll = 20 * time.Millisecond

// LockTables keeps writers out of tables until UnlockTables, until a change puts
// descriptors without the lock, or until it expires. When it returns, every node
// knows, and no transaction that began before can still commit a write: the
// caller must not hold a generation itself.
func (s *Store) LockTables(ctx context.Context, oids []types.OID, owner string, until time.Time) error {
	for {
		held := false
		gen, err := s.changeTables(ctx, oids, func(t *catalog.Table) bool {
			if l := t.WriteLock; l != nil && l.Owner != owner && s.locked(l) {
				held = true
			}
			t.WriteLock = &catalog.WriteLock{Owner: owner, UntilNanos: until.UnixNano()}
			return !held
		})
		if err != nil {
			return err
		}
		if !held {
			return s.AwaitGeneration(ctx, gen, true)
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// UnlockTables takes back what LockTables did, where it is still there.
func (s *Store) UnlockTables(ctx context.Context, oids []types.OID, owner string) error {
	left := false
	for _, oid := range oids {
		d, _ := s.Snapshot().ByOID(oid)
		if t, ok := d.(*catalog.Table); ok && t.WriteLock != nil && t.WriteLock.Owner == owner {
			left = true
		}
	}
	if !left {
		return nil
	}
	_, err := s.changeTables(ctx, oids, func(t *catalog.Table) bool {
		if t.WriteLock != nil && t.WriteLock.Owner == owner {
			t.WriteLock = nil
		}
		return true
	})
	return err
}

// locked reports whether a lock has not expired, by any node's clock.
func (s *Store) locked(l *catalog.WriteLock) bool {
	return s.db.Clock().PhysicalNanos() <= l.UntilNanos+int64(s.db.Clock().MaxOffset())
}

// WriteLocked reports whether writers must stay out of a table now.
func (s *Store) WriteLocked(t *catalog.Table) bool {
	return t.WriteLock != nil && s.locked(t.WriteLock)
}

// changeTables changes descriptors in a transaction of its own and returns the
// generation that has the change. f returns false to leave everything as it is.
func (s *Store) changeTables(ctx context.Context, oids []types.OID, f func(*catalog.Table) bool) (gen uint64, err error) {
	var c *Change
	err = s.db.Run(ctx, kv.TxnOptions{}, func(txn kv.Txn) error {
		if c, err = s.Begin(ctx, txn); err != nil {
			return err
		}
		var puts []catalog.Descriptor
		for _, oid := range oids {
			d, _ := c.Snapshot().ByOID(oid)
			t, ok := d.(*catalog.Table)
			if !ok {
				continue
			}
			if t, err = catalog.Clone(t); err != nil {
				return err
			}
			if !f(t) {
				return nil
			}
			puts = append(puts, t)
		}
		c.Put(puts...)
		return c.Write(ctx, txn)
	})
	if err != nil || c.Empty() {
		return 0, err
	}
	return c.base + 1, c.Publish(ctx)
}

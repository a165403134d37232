package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Change is what a transaction has done to the catalog and not committed. It is
// used by the transaction's goroutine only.
type Change struct {
	store *Store
	base  uint64
	first *catalog.Snapshot
	snap  *catalog.Snapshot
	dirty map[types.OID]catalog.Descriptor // nil: dropped
	// afterCommit runs once the change is committed and published.
	afterCommit []func(ctx context.Context)
}

// Mark is a place in a Change to go back to.
type Mark struct {
	snap  *catalog.Snapshot
	dirty map[types.OID]catalog.Descriptor
	after int
}

// Begin starts changing the catalog in txn: it locks the generation, so that
// changes follow one another, and waits until no node is more than this
// generation behind. The snapshot is the newest one, which may be younger than
// the transaction.
func (s *Store) Begin(ctx context.Context, txn kv.Txn) (*Change, error) {
	gen, err := generationIn(ctx, txn, api.LockExclusive)
	if err != nil {
		return nil, err
	}
	if s.cur.Load().snap.Generation() != gen {
		if err := s.Refresh(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.AwaitGeneration(ctx, gen, false); err != nil {
		return nil, err
	}
	v := s.cur.Load()
	return &Change{store: s, base: gen, first: v.snap, snap: v.snap, dirty: map[types.OID]catalog.Descriptor{}}, nil
}

// Snapshot returns the catalog with the changes.
func (c *Change) Snapshot() *catalog.Snapshot { return c.snap }

// Put adds or replaces a descriptor; it must not be changed afterwards.
func (c *Change) Put(ds ...catalog.Descriptor) {
	for _, d := range ds {
		d.Head().Version++
		c.dirty[d.Head().ID] = d
	}
	c.snap = c.snap.With(c.snap.Generation(), ds, nil)
}

// Drop removes a descriptor.
func (c *Change) Drop(oids ...types.OID) {
	for _, o := range oids {
		c.dirty[o] = nil
	}
	c.snap = c.snap.With(c.snap.Generation(), nil, oids)
}

// Changed reports whether an object was created or changed here.
func (c *Change) Changed(oid types.OID) bool {
	_, ok := c.dirty[oid]
	return ok
}

// Empty reports whether nothing was changed.
func (c *Change) Empty() bool { return len(c.dirty) == 0 }

// AfterCommit adds work for when the change is committed: deleting the data of
// what was dropped.
func (c *Change) AfterCommit(f func(ctx context.Context)) {
	c.afterCommit = append(c.afterCommit, f)
}

// Mark and RollbackTo undo what was done since.
func (c *Change) Mark() Mark {
	return Mark{snap: c.snap, dirty: maps.Clone(c.dirty), after: len(c.afterCommit)}
}

// RollbackTo goes back to m.
func (c *Change) RollbackTo(m Mark) {
	c.snap, c.dirty, c.afterCommit = m.snap, maps.Clone(m.dirty), c.afterCommit[:m.after]
}

// Write puts the changes into the transaction, just before it commits.
func (c *Change) Write(ctx context.Context, txn kv.Txn) error {
	if c.Empty() {
		return nil
	}
	var b kv.Batch
	oids := slices.Sorted(maps.Keys(c.dirty))
	for _, o := range oids {
		d := c.dirty[o]
		if d == nil {
			b.Delete(descKey(o), api.Expect{})
			b.Delete(statsKey(o), api.Expect{})
			continue
		}
		val, err := catalog.Encode(d)
		if err != nil {
			return err
		}
		b.Put(descKey(o), val, api.Expect{})
	}
	list, err := json.Marshal(oids)
	if err != nil {
		return err
	}
	b.Put(logKey(c.base+1), list, api.Expect{})
	if c.base > 2*maxLogSteps {
		b.Delete(logKey(c.base-2*maxLogSteps), api.Expect{})
	}
	b.Put(generationKey(), binary.BigEndian.AppendUint64(nil, c.base+1), api.Expect{})
	return txn.Send(ctx, &b)
}

// Publish makes a committed change current on this node and waits until the
// other nodes have seen it.
func (c *Change) Publish(ctx context.Context) error {
	if c.Empty() {
		return nil
	}
	s := c.store
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	if s.announce != nil {
		s.announce()
	}
	if err := s.AwaitGeneration(ctx, c.base+1, false); err != nil {
		return err
	}
	for _, f := range c.afterCommit {
		f(ctx)
	}
	return nil
}

// Origin is the place before the first change.
func (c *Change) Origin() Mark {
	return Mark{snap: c.first, dirty: map[types.OID]catalog.Descriptor{}}
}

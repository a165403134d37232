package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// base is one bbolt read transaction, shared by every reader of one overlay
// version. Sharing is outside bbolt's contract but sound for reading: the bucket
// is fetched once, and a cursor touches only itself and immutable pages.
type base struct {
	tx      *bolt.Tx
	bucket  *bolt.Bucket
	refs    atomic.Int64
	cursors sync.Pool
	live    *atomic.Int64
}

// newBase opens a read transaction; the caller owns one reference. live counts
// open transactions.
func newBase(db *bolt.DB, live *atomic.Int64) (*base, error) {
	tx, err := db.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("engine: opening a read transaction: %w", err)
	}
	b := &base{tx: tx, bucket: tx.Bucket(dataBucket), live: live}
	if b.bucket == nil {
		_ = tx.Rollback()
		return nil, fmt.Errorf("engine: file has no data bucket")
	}
	b.refs.Store(1)
	live.Add(1)
	return b, nil
}

func (b *base) ref() *base {
	if b != nil {
		b.refs.Add(1)
	}
	return b
}

func (b *base) unref() {
	if b == nil {
		return
	}
	switch n := b.refs.Add(-1); {
	case n == 0:
		// Rolling back a read transaction only unlinks it; it cannot fail here.
		_ = b.tx.Rollback()
		b.live.Add(-1)
	case n < 0:
		panic("engine: view closed twice")
	}
}

func (b *base) cursor() *bolt.Cursor {
	if c, ok := b.cursors.Get().(*bolt.Cursor); ok {
		return c
	}
	return b.bucket.Cursor()
}

func (b *base) release(c *bolt.Cursor) { b.cursors.Put(c) }

// get returns the value of key, in the file's mapping.
func (b *base) get(key []byte) ([]byte, bool) {
	c := b.cursor()
	k, v := c.Seek(key)
	b.release(c)
	if k == nil || string(k) != string(key) {
		return nil, false
	}
	return v, true
}

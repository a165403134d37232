package kvtest_test

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
)

// A transaction of many rows lays its intents as it goes, and keeps little of
// what it has laid.
func TestBulkInsert(t *testing.T) {
	const rows, perBatch = 120_000, 500
	ctx := context.Background()
	db := kvtest.NewDB(kvtest.Options{Splits: []api.Key{key(rows / 3), key(rows / 2)}})
	defer db.Close()
	tx := begin(t, db, kv.TxnOptions{})
	var b kv.Batch
	value := make([]byte, 60)
	var most int
	for i := 0; i < rows; i += perBatch {
		b.Reset()
		for j := i; j < i+perBatch; j++ {
			b.Put(key(j), value, api.Expect{Kind: api.ExpectFresh})
		}
		must(t, tx.Send(ctx, &b))
		most = max(most, tx.Info().BufferBytes)
	}
	if most > 5<<20 {
		t.Errorf("buffered %d bytes", most)
	}
	must(t, tx.Commit(ctx))
	if s := db.Stats(); s.Flushes < 2 {
		t.Errorf("%d flushes", s.Flushes)
	}
	tx = begin(t, db, kv.TxnOptions{})
	n := 0
	for start := key(0); start != nil; {
		b.Reset()
		b.Scan(start, key(rows), &api.ScanOptions{MaxRows: 10_000, KeysOnly: true})
		must(t, tx.Send(ctx, &b))
		n += len(b.Responses[0].KVs)
		start = b.Responses[0].Resume
	}
	if n != rows {
		t.Errorf("%d rows", n)
	}
	must(t, tx.Commit(ctx))
	db.WaitIdle()
	if n := db.Cluster.LargestCommand(); n > 1<<20 {
		t.Errorf("a command of %d bytes", n)
	}
}

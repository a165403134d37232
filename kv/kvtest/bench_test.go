package kvtest_test

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
)

func benchDB(b *testing.B, o kvtest.Options) *kvtest.DB {
	db := kvtest.NewDB(o)
	b.Cleanup(db.Close)
	ctx := context.Background()
	err := db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var batch kv.Batch
		for i := range 100 {
			batch.Put(key(i), val("value %d", i), api.Expect{})
		}
		return t.Send(ctx, &batch)
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return db
}

func BenchmarkPointRead(b *testing.B) {
	db, ctx, k := benchDB(b, kvtest.Options{}), context.Background(), key(42)
	var batch kv.Batch
	for b.Loop() {
		t, _ := db.Begin(ctx, kv.TxnOptions{})
		batch.Reset()
		batch.Get(k)
		if err := t.Send(ctx, &batch); err != nil || !batch.Responses[0].Exists {
			b.Fatal(err)
		}
		if err := t.Commit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLockedUpdate(b *testing.B) {
	db, ctx, k := benchDB(b, kvtest.Options{}), context.Background(), key(42)
	var batch kv.Batch
	for b.Loop() {
		t, _ := db.Begin(ctx, kv.TxnOptions{})
		batch.Reset()
		batch.GetLocked(k, api.LockExclusive, api.WaitBlock)
		if err := t.Send(ctx, &batch); err != nil {
			b.Fatal(err)
		}
		batch.Reset()
		batch.Put(k, []byte("another value"), api.Expect{})
		batch.Commit = true
		if err := t.Send(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsert(b *testing.B) {
	db, ctx := benchDB(b, kvtest.Options{}), context.Background()
	var batch kv.Batch
	i := 1000
	for b.Loop() {
		i++
		t, _ := db.Begin(ctx, kv.TxnOptions{})
		batch.Reset()
		batch.Put(key(i), []byte("another value"), api.Expect{Kind: api.ExpectAbsent})
		batch.Commit = true
		if err := t.Send(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMultiRangeCommit(b *testing.B) {
	db, ctx := benchDB(b, kvtest.Options{Splits: []api.Key{key(20), key(40), key(60)}}), context.Background()
	var batch kv.Batch
	for b.Loop() {
		t, _ := db.Begin(ctx, kv.TxnOptions{})
		batch.Reset()
		for i := 10; i < 90; i += 20 {
			batch.Put(key(i), []byte("another value"), api.Expect{})
		}
		batch.Commit = true
		if err := t.Send(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan100(b *testing.B) {
	db, ctx := benchDB(b, kvtest.Options{}), context.Background()
	var batch kv.Batch
	from, to := key(0), key(100)
	for b.Loop() {
		t, _ := db.Begin(ctx, kv.TxnOptions{})
		batch.Reset()
		batch.Scan(from, to, nil)
		if err := t.Send(ctx, &batch); err != nil || len(batch.Responses[0].KVs) != 100 {
			b.Fatal(err)
		}
		if err := t.Commit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

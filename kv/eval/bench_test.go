package eval_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/ids"
)

func benchCluster(b *testing.B, n int) (*cluster, [][]byte) {
	c := newCluster(nil)
	b.Cleanup(c.close)
	var ks [][]byte
	val := make([]byte, 100)
	for i := 0; i < n; i++ {
		k := []byte(fmt.Sprintf("\x04key%08d", i))
		ks = append(ks, k)
		if _, err := c.Send(context.Background(), &api.BatchRequest{
			Requests: []api.Request{{Kind: api.Put, Key: k, Value: val}}}); err != nil {
			b.Fatal(err)
		}
	}
	return c, ks
}

func benchTxn(c *cluster, anchor []byte) *api.TxnMeta {
	now := c.clock.Now()
	return &api.TxnMeta{ID: ids.NewTxnID(), Anchor: anchor, ReadTS: now, WriteTS: now, UncertaintyLimit: now.Add(250e6),
		Observed: now, StartTS: now, Gateway: 1}
}

func BenchmarkGet(b *testing.B) {
	c, ks := benchCluster(b, 10_000)
	ctx := context.Background()
	r := c.ranges[0]
	txn := benchTxn(c, nil)
	ba := &api.BatchRequest{Requests: make([]api.Request, 1)}
	ba.Txn, ba.NoIntents = txn, true
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ba.Requests[0] = api.Request{Kind: api.Get, Key: ks[i%len(ks)]}
		resp, err := eval.Execute(ctx, r, r.m, ba)
		if err != nil || !resp.Responses[0].Exists {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkLockThenCommit(b *testing.B) {
	c, ks := benchCluster(b, 10_000)
	ctx := context.Background()
	r := c.ranges[0]
	val := make([]byte, 100)
	get := &api.BatchRequest{Requests: make([]api.Request, 1)}
	put := &api.BatchRequest{Requests: make([]api.Request, 2)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k := ks[i%len(ks)]
		txn := benchTxn(c, k)
		get.Txn, get.CanRefresh, get.NoIntents = txn, true, true
		get.Requests[0] = api.Request{Kind: api.Get, Key: k, Lock: api.LockExclusive}
		resp, err := eval.Execute(ctx, r, r.m, get)
		if err != nil {
			b.Fatal(err)
		}
		put.Txn, put.CanRefresh, put.NoIntents = txn, true, true
		put.Requests[0] = api.Request{Kind: api.Put, Key: k, Value: val, Seq: 1,
			Expect: api.Expect{Kind: api.ExpectVersion, Version: resp.Responses[0].VersionTS}}
		put.Requests[1] = api.Request{Kind: api.EndTxn, Key: k,
			Txn: &api.TxnArgs{Commit: true, Locks: []api.Span{{Start: k}}}}
		if _, err := eval.Execute(ctx, r, r.m, put); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkInsertAutocommit(b *testing.B) {
	c, _ := benchCluster(b, 1)
	ctx := context.Background()
	r := c.ranges[0]
	val := make([]byte, 100)
	put := &api.BatchRequest{Requests: make([]api.Request, 2)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k := []byte(fmt.Sprintf("\x04new%08d", i))
		put.Txn, put.CanRefresh, put.NoIntents = benchTxn(c, k), true, true
		put.Requests[0] = api.Request{Kind: api.Put, Key: k, Value: val, Seq: 1, Expect: api.Expect{Kind: api.ExpectAbsent}}
		put.Requests[1] = api.Request{Kind: api.EndTxn, Key: k, Txn: &api.TxnArgs{Commit: true}}
		if _, err := eval.Execute(ctx, r, r.m, put); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkInsertBatch(b *testing.B) {
	c, _ := benchCluster(b, 1)
	ctx := context.Background()
	r := c.ranges[0]
	val := make([]byte, 100)
	const n = 500
	put := &api.BatchRequest{Requests: make([]api.Request, n+1)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		for j := 0; j < n; j++ {
			put.Requests[j] = api.Request{Kind: api.Put, Key: []byte(fmt.Sprintf("\x04new%08d", i)), Value: val, Seq: 1,
				Expect: api.Expect{Kind: api.ExpectAbsent}}
			i++
		}
		k := put.Requests[0].Key
		put.Txn, put.CanRefresh, put.NoIntents = benchTxn(c, k), true, true
		put.Requests[n] = api.Request{Kind: api.EndTxn, Key: k, Txn: &api.TxnArgs{Commit: true}}
		if _, err := eval.Execute(ctx, r, r.m, put); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i), "ns/row")
}

func BenchmarkScan1000(b *testing.B) {
	c, _ := benchCluster(b, 10_000)
	ctx := context.Background()
	r := c.ranges[0]
	b.ReportAllocs()
	for b.Loop() {
		ba := &api.BatchRequest{Requests: []api.Request{{Kind: api.Scan, Key: []byte("\x04key"), End: []byte("\x04kez"),
			Scan: &api.ScanOptions{MaxRows: 1000}}}}
		resp, err := eval.Execute(ctx, r, r.m, ba)
		if err != nil || len(resp.Responses[0].KVs) != 1000 {
			b.Fatal(err)
		}
	}
}

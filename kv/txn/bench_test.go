package txn

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
)

// instant answers every batch at once, to measure the coordinator alone.
type instant struct {
	br   api.BatchResponse
	desc api.RangeDescriptor
}

func (i *instant) Send(context.Context, *api.BatchRequest) (*api.BatchResponse, error) {
	return &i.br, nil
}

func (i *instant) Range(context.Context, api.Key) (*api.RangeDescriptor, error) { return &i.desc, nil }

func BenchmarkCoordinator(b *testing.B) {
	ranges := &instant{desc: api.RangeDescriptor{Start: keys.MinKey, End: keys.MaxKey}}
	ranges.br.Responses = make([]api.Response, 3)
	db := NewDB(Config{Ranges: ranges, Clock: hlc.NewClock(nil, 250*time.Millisecond), Node: func() ids.NodeID { return 1 }})
	defer db.Close()
	ctx, k := context.Background(), api.Key("\x04some key of a table")
	b.Logf("a transaction takes %d bytes", unsafe.Sizeof(Txn{}))
	var batch kv.Batch
	run := func(name string, commit bool, fill func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, _ := db.Begin(ctx, kv.TxnOptions{})
				batch.Reset()
				fill()
				batch.Commit = commit
				if err := t.Send(ctx, &batch); err != nil {
					b.Fatal(err)
				}
				batch.Responses = nil
				if err := t.Rollback(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("point read", true, func() { batch.Get(k) })
	run("locking read", true, func() { batch.GetLocked(k, api.LockExclusive, api.WaitBlock) })
	run("insert", true, func() { batch.Put(k, k, api.Expect{Kind: api.ExpectAbsent}) })
}

func (*instant) Tell(context.Context, *api.BatchRequest) {}

package session

import (
	"context"
	"fmt"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// sink drops results.
type sink struct {
	quiet
	rows int
}

func (s *sink) Batch(b *vec.Batch, _ *types.Settings) error { s.rows += b.Len(); return nil }

func (s *sink) Columns([]plan.ResultColumn, []int16) error { return nil }

func accounts(b *testing.B) *harness {
	h := newHarness(b, kvtest.Options{})
	h.expect("CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))", "CREATE TABLE")
	h.expect("INSERT INTO pgbench_accounts SELECT g, 1, 0, '' FROM generate_series(1, 10000) g", "INSERT 0 10000")
	return h
}

func BenchmarkSelectSimple(b *testing.B) {
	h := accounts(b)
	w := &sink{}
	ctx := context.Background()
	qs := make([]string, 1000)
	for i := range qs {
		qs[i] = fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d;", i*7+1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := h.s.Exec(ctx, qs[i%len(qs)], w); err != nil {
			b.Fatal(err)
		}
	}
	if w.rows != b.N {
		b.Fatal(w.rows, b.N)
	}
}

func BenchmarkSelectPrepared(b *testing.B) {
	h := accounts(b)
	w := &sink{}
	ctx := context.Background()
	if err := h.s.Prepare(ctx, "p", "SELECT abalance FROM pgbench_accounts WHERE aid = $1", nil); err != nil {
		b.Fatal(err)
	}
	_ = h.s.Sync(ctx)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		v := fmt.Appendf(nil, "%d", i%10000+1)
		if err := h.s.Bind(ctx, "", "p", []Param{{Value: v}}, nil); err != nil {
			b.Fatal(err)
		}
		if err := h.s.Execute(ctx, "", 0, w); err != nil {
			b.Fatal(err)
		}
		if err := h.s.Sync(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateSimple(b *testing.B) {
	h := accounts(b)
	w := &sink{}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := h.s.Exec(ctx, fmt.Sprintf("UPDATE pgbench_accounts SET abalance = abalance + %d WHERE aid = %d;", i%100, i%10000+1), w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsertSimple(b *testing.B) {
	h := accounts(b)
	h.expect("CREATE TABLE h (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))", "CREATE TABLE")
	w := &sink{}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := h.s.Exec(ctx, fmt.Sprintf("INSERT INTO h (tid, bid, aid, delta, mtime) VALUES (%d, 1, %d, 5, CURRENT_TIMESTAMP)", i%10, i), w); err != nil {
			b.Fatal(err)
		}
	}
}

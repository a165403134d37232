package stmtstats

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestRecord(t *testing.T) {
	c := New()
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 1000 {
				c.Record(c.Find("SELECT $1", "db"), time.Now(), time.Duration(i+1)*time.Microsecond, 2, i%100 == 0, i%2)
			}
		}()
	}
	wg.Wait()
	all := c.Snapshot()
	if len(all) != 1 {
		t.Fatalf("%d statements", len(all))
	}
	s := all[0]
	if s.Calls != 4000 || s.Errors != 40 || s.Rows != 8000 || s.Retries != 2000 {
		t.Fatalf("%+v", s)
	}
	if s.Mean != 500500*time.Nanosecond {
		t.Errorf("mean %s", s.Mean)
	}
	// A bucket is a quarter of a power of two wide.
	if s.P50 < 500*time.Microsecond || s.P50 > 650*time.Microsecond || s.P99 < 990*time.Microsecond || s.P99 > 1300*time.Microsecond {
		t.Errorf("p50 %s, p99 %s", s.P50, s.P99)
	}
}

func TestBounded(t *testing.T) {
	c := New()
	for i := range MaxStatements + 500 {
		c.Record(c.Find(fmt.Sprint("q", i), "db"), time.Now(), time.Millisecond, 0, false, 0)
	}
	all := c.Snapshot()
	if len(all) > MaxStatements+1 {
		t.Fatalf("%d statements are kept", len(all))
	}
	var calls int64
	for _, s := range all {
		calls += s.Calls
	}
	if calls != MaxStatements+500 {
		t.Fatalf("%d calls are counted", calls)
	}
}

func TestBucketsCoverTheirLatencies(t *testing.T) {
	for us := int64(1); us < 1<<34; us = us*9/8 + 1 {
		d := time.Duration(us) * time.Microsecond
		if b := bucket(d); upper(b) < d || b > 0 && b < nBuckets-1 && upper(b) > 2*d {
			t.Fatalf("%s is in a bucket up to %s", d, upper(b))
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	c, now := New(), time.Now()
	e := c.Find("SELECT abalance FROM pgbench_accounts WHERE aid = $1", "defaultdb")
	b.ReportAllocs()
	for b.Loop() {
		c.Record(e, now, 12*time.Microsecond, 1, false, 0)
	}
}

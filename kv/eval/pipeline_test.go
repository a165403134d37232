package eval_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
)

// longCluster holds n rows whose keys have to be unescaped; every third value
// begins with b.
func longCluster(t testing.TB, n int) (c *cluster, as []string) {
	c = newCluster(nil)
	t.Cleanup(c.close)
	ba := &api.BatchRequest{}
	for i := range n {
		k, v := fmt.Sprintf("\x04k\x00%08d", i), "a"
		if i%3 == 0 {
			v = "b"
		} else {
			as = append(as, k)
		}
		ba.Requests = append(ba.Requests, api.Request{Kind: api.Put, Key: []byte(k), Value: []byte(v + strings.Repeat("-", 60))})
		if len(ba.Requests) == 1000 || i == n-1 {
			if _, err := c.Send(context.Background(), ba); err != nil {
				t.Fatal(err)
			}
			ba = &api.BatchRequest{}
		}
	}
	return c, as
}

func longScan(o api.ScanOptions) *api.BatchRequest {
	o.Program = []byte("a")
	return &api.BatchRequest{Requests: []api.Request{{Kind: api.Scan, Key: []byte("\x04k"), End: []byte("\x04l"), Scan: &o}}}
}

// A long scan, which reads ahead, gives what a short one gives.
func TestLongScans(t *testing.T) {
	c, want := longCluster(t, 20_000)
	for _, reverse := range []bool{false, true} {
		for _, maxBytes := range []int64{0, 500_000} {
			ba := longScan(api.ScanOptions{MaxBytes: maxBytes})
			r := &ba.Requests[0]
			r.Reverse = reverse
			var got []string
			for pages := 0; ; pages++ {
				resp, err := c.Send(context.Background(), ba)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, resp.Responses[0].Result.(*lettersRun).keys...)
				to := resp.Responses[0].Resume
				if to == nil {
					if maxBytes > 0 && pages < 2 {
						t.Errorf("%d bytes at a time took %d answers", maxBytes, pages+1)
					}
					break
				}
				if reverse {
					r.End = to
				} else {
					r.Key = to
				}
			}
			if reverse {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("reverse %v, %d bytes at a time: %d rows, want %d, or others", reverse, maxBytes, len(got), len(want))
			}
		}
	}
}

// What lies in the uncertainty interval far into a scan is found.
func TestLongScanMeetsUncertainty(t *testing.T) {
	c, _ := longCluster(t, 20_000)
	txn := benchTxn(c, nil)
	txn.Observed = txn.UncertaintyLimit
	late := &api.BatchRequest{Requests: []api.Request{{Kind: api.Put, Key: []byte("\x04k\x0000018000"), Value: []byte("a")}}}
	if _, err := c.Send(context.Background(), late); err != nil {
		t.Fatal(err)
	}
	ba := longScan(api.ScanOptions{})
	ba.Txn = txn
	_, err := c.Send(context.Background(), ba)
	var retry *api.RetryError
	if !errors.As(err, &retry) || retry.Reason != api.ReasonUncertain {
		t.Fatalf("%v, want to move up", err)
	}
}

func BenchmarkLongScan(b *testing.B) {
	const n = 100_000
	c, _ := longCluster(b, n)
	r := c.ranges[0]
	r.eval = counter{}
	for b.Loop() {
		if _, err := eval.Execute(context.Background(), r, r.m, longScan(api.ScanOptions{})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}

// counter is an evaluator that looks at every byte.
type counter struct{}

type counterRun struct{ n int64 }

func (counter) Open([]byte, int64) (api.ScanRun, error) { return &counterRun{}, nil }

func (c *counterRun) Block(keys, values [][]byte, pass []int32) (int, []int32, error) {
	for _, v := range values {
		for _, b := range v {
			c.n += int64(b)
		}
	}
	return len(keys), pass, nil
}

func (c *counterRun) Finish() (api.ScanResult, error) { return c, nil }
func (c *counterRun) Encode(b []byte) []byte          { return b }
func (c *counterRun) Size() (int64, int64)            { return 1, 8 }

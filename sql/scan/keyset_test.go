package scan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Filters come back from a program as they went in, dense ones and sparse ones, and
// damaged ones do no harm.
func TestKeyFilters(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	sets := [][]int64{nil, {math.MinInt64, -1, 0, 7, math.MaxInt64}, {-3}}
	for _, width := range []int64{500, 1 << 40} {
		var keys []int64
		for range 300 {
			keys = append(keys, r.Int64N(width)-width/2)
		}
		slices.Sort(keys)
		sets = append(sets, slices.Compact(keys))
	}
	for _, keys := range sets {
		img := AppendKeyFilters(nil, []KeyFilter{{Place: 2, Keys: keys}, {Place: 0, Keys: keys}})
		rd := &reader{b: img}
		got := rd.keyFilters(3)
		if rd.bad || len(got) != 2 || got[0].place != 2 || got[1].place != 0 {
			t.Fatalf("%d filters, damaged: %v", len(got), rd.bad)
		}
		probe := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64}
		for _, k := range keys {
			probe = append(probe, k-1, k, k+1)
		}
		for _, k := range probe {
			if _, want := slices.BinarySearch(keys, k); got[0].has(k) != want {
				t.Errorf("key %d of %d: %v", k, len(keys), !want)
			}
		}
		for cut := range img {
			rd := &reader{b: img[:cut]}
			rd.keyFilters(3)
		}
	}
	if got := (&reader{}).keyFilters(3); got != nil {
		t.Error("a program that ends before its filters has some")
	}
	rd := &reader{b: AppendKeyFilters(nil, []KeyFilter{{Place: 3, Keys: []int64{1}}})}
	if rd.keyFilters(3); !rd.bad {
		t.Error("a filter on a column that is not read is taken")
	}
}

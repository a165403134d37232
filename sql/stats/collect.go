package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

const (
	sampleRows  = 30_000
	buckets     = 100
	commonMax   = 100
	widestValue = 1024 // longer values are neither compared nor kept
)

// Collector builds statistics from rows handed to it one by one. It keeps a
// reservoir of a fixed size, so that its memory does not grow with the table.
type Collector struct {
	columns []catalog.ColumnID
	sample  [][]types.Datum
	seen    int64
	bytes   float64
	rng     *rand.Rand
}

// NewCollector returns a collector for rows of these columns. The same seed and
// rows give the same result.
func NewCollector(columns []catalog.ColumnID, seed uint64) *Collector {
	return &Collector{columns: columns, rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// Add takes one row; it keeps a copy if it keeps it at all.
func (c *Collector) Add(row []types.Datum) {
	c.seen++
	for _, d := range row {
		c.bytes += width(d)
	}
	if len(c.sample) < sampleRows {
		c.sample = append(c.sample, slices.Clone(row))
		return
	}
	if i := c.rng.Int64N(c.seen); i < sampleRows {
		copy(c.sample[i], row)
	}
}

// Rows returns how many rows were added.
func (c *Collector) Rows() int64 { return c.seen }

// Finish returns the statistics. total is the table's row count if more is
// known than was added (a sampled scan), else 0.
func (c *Collector) Finish(total float64, collected int64) *Table {
	if total < float64(c.seen) {
		total = float64(c.seen)
	}
	t := &Table{Rows: total, Collected: collected, Columns: make(map[catalog.ColumnID]*Column, len(c.columns))}
	if c.seen > 0 {
		t.AvgWidth = c.bytes / float64(c.seen)
	}
	for i, id := range c.columns {
		t.Columns[id] = c.column(i, total)
	}
	return t
}

// item is a value with its place in the sample.
type item struct {
	v   types.Datum
	pos int
}

func (c *Collector) column(i int, total float64) *Column {
	col := &Column{}
	items := make([]item, 0, len(c.sample))
	nulls, wide, size := 0, 0, 0.0
	for pos, row := range c.sample {
		d := row[i]
		if d.IsNull() {
			nulls++
			continue
		}
		w := width(d)
		size += w
		if w > widestValue {
			wide++
			continue
		}
		items = append(items, item{d, pos})
	}
	n := len(c.sample)
	if n == 0 {
		return col
	}
	col.NullFrac = float64(nulls) / float64(n)
	if n > nulls {
		col.AvgWidth = size / float64(n-nulls)
	}
	slices.SortStableFunc(items, func(a, b item) int { return compare(a.v, b.v) })
	runs := runsOf(items)
	col.Distinct = distinct(runs, len(items), wide, n, total)
	col.Correlation = correlation(items)
	col.fill(items, runs, n)
	return col
}

// run is a stretch of equal values in the sorted sample.
type run struct{ from, n int }

func runsOf(items []item) []run {
	var runs []run
	for i := range items {
		if i > 0 && compare(items[i-1].v, items[i].v) == 0 {
			runs[len(runs)-1].n++
			continue
		}
		runs = append(runs, run{i, 1})
	}
	return runs
}

// distinct estimates the number of distinct values by Haas and Stokes' Duj1
// estimator, n·d / (n - f1 + f1·n/N), as a share of the table once it seems to
// grow with it.
func distinct(runs []run, values, wide, sample int, total float64) float64 {
	if values+wide == 0 {
		return 0
	}
	once := wide
	for _, r := range runs {
		if r.n == 1 {
			once++
		}
	}
	d := float64(len(runs) + wide)
	n := float64(values + wide)
	nonNull := total * n / float64(sample)
	est := d
	if nonNull > n {
		f1 := float64(once)
		est = n * d / (n - f1 + f1*n/nonNull)
	}
	est = math.Min(math.Max(est, d), nonNull)
	if est > 0.1*total && total > 0 {
		return -est / total
	}
	return math.Round(est)
}

// fill chooses the common values and cuts the rest into equal parts.
func (c *Column) fill(items []item, runs []run, sample int) {
	if len(runs) == 0 {
		return
	}
	byCount := slices.Clone(runs)
	slices.SortStableFunc(byCount, func(a, b run) int { return b.n - a.n })
	average := float64(len(items)) / float64(len(runs))
	common := map[int]bool{}
	for _, r := range byCount {
		all := len(runs) <= commonMax && r.n > 1
		if len(c.Common) == commonMax || !all && (r.n < 2 || float64(r.n) < 1.25*average) {
			break
		}
		c.Common = append(c.Common, Common{items[r.from].v, float64(r.n) / float64(sample)})
		common[r.from] = true
	}
	rest := make([]types.Datum, 0, len(items))
	for _, r := range runs {
		if !common[r.from] {
			for k := 0; k < r.n; k++ {
				rest = append(rest, items[r.from+k].v)
			}
		}
	}
	if len(rest) < 2 {
		return
	}
	parts := min(buckets, len(rest)-1)
	for b := 0; b <= parts; b++ {
		c.Bounds = append(c.Bounds, rest[b*(len(rest)-1)/parts])
	}
}

// correlation of value order and row order, by ranks.
func correlation(items []item) float64 {
	n := float64(len(items))
	if n < 2 {
		return 0
	}
	var sx, sy, sxy, sxx, syy float64
	for i, it := range items {
		x, y := float64(i), float64(it.pos)
		sx, sy, sxy, sxx, syy = sx+x, sy+y, sxy+x*y, sxx+x*x, syy+y*y
	}
	den := math.Sqrt((n*sxx - sx*sx) * (n*syy - sy*sy))
	if den == 0 {
		return 0
	}
	return math.Max(-1, math.Min(1, (n*sxy-sx*sy)/den))
}

func width(d types.Datum) float64 {
	switch d.Repr() {
	case types.Invalid:
		return 0
	case types.Bytes:
		return float64(len(d.Str()))
	case types.Numerics:
		if b := d.Numeric().Big; b != nil {
			return float64(b.BitLen()/8 + 8)
		}
	}
	return 8
}

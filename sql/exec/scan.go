package exec

import (
	"math"
	"slices"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// How much one answer of a scan may hold, and how many spans go in one batch.
const (
	pageBytes  = 8 << 20
	spansABath = 128
)

func lockOf(l plan.Locking) (api.LockStrength, api.WaitPolicy) {
	var s api.LockStrength
	switch l.Strength {
	case plan.LockKeyShare, plan.LockShare:
		s = api.LockShared
	case plan.LockNoKeyUpdate, plan.LockUpdate:
		s = api.LockExclusive
	}
	switch l.Wait {
	case plan.LockSkip:
		return s, api.WaitSkip
	case plan.LockError:
		return s, api.WaitError
	}
	return s, api.WaitBlock
}

// encoderOf compiles the encoder of an index; expression columns have the types
// of their trees.
func encoderOf(t *catalog.Table, x *catalog.Index) (*rowenc.IndexEncoder, error) {
	return rowenc.NewIndexEncoder(t, x, exprTypes(x))
}

func exprTypes(x *catalog.Index) []types.Type {
	out := make([]types.Type, len(x.Columns))
	for i := range x.Columns {
		if e := x.Columns[i].Expr; e != nil && e.Tree != nil {
			out[i] = e.Tree.Type()
		}
	}
	return out
}

// scanOp reads an index through a program that runs at the leaseholder.
type scanOp struct {
	run     *run
	node    *plan.Scan
	fixed   []byte // the program's fixed part
	spans   *spanMaker
	limit   *single
	lock    api.LockStrength
	wait    api.WaitPolicy
	batch   kv.Batch
	opts    []api.ScanOptions
	out     outbox
	prog    []byte
	keys    []scan.KeyFilter
	todo    []keySpan // spans left, in the order of reading
	started bool
	page    int64 // rows asked for by the next request; 0: all
	left    int64 // rows still wanted; < 0: all
}

func (b *builder) scan(n *plan.Scan) (Operator, error) {
	enc, err := encoderOf(n.Table, n.Index)
	if err != nil {
		return nil, err
	}
	s := &scanOp{run: b.run, node: n}
	s.lock, s.wait = lockOf(n.Lock)
	if s.spans, err = newSpanMaker(enc, n.Spans); err != nil {
		return nil, err
	}
	if n.Limit != nil {
		if s.limit, err = newSingle(n.Limit); err != nil {
			return nil, err
		}
	}
	spec, err := scanSpec(n)
	if err != nil {
		return nil, err
	}
	s.fixed, err = spec.Encode(nil)
	return s, err
}

// scanSpec says in a program what the node asks for.
func scanSpec(n *plan.Scan) (*scan.Spec, error) {
	spec := &scan.Spec{Table: n.Table, Index: n.Index, Read: n.Read}
	cols := n.Out
	if n.Partial != nil {
		cols = n.In
	}
	for _, f := range n.Filter {
		e, err := mapScalar(f, cols)
		if err != nil {
			return nil, err
		}
		spec.Filter = append(spec.Filter, e)
	}
	if n.Partial == nil {
		return spec, nil
	}
	spec.Aggregate = true
	var err error
	if spec.GroupBy, err = places(cols, n.Partial.GroupBy); err != nil {
		return nil, err
	}
	for i := range n.Partial.Aggs {
		e, err := mapScalar(n.Partial.Aggs[i].Call, cols)
		if err != nil {
			return nil, err
		}
		spec.Aggs = append(spec.Aggs, e.(*expr.AggRef))
	}
	return spec, nil
}

// Reset implements Operator.
func (s *scanOp) Reset() error {
	s.started = false
	s.todo, s.keys = nil, nil
	s.out.reset()
	return nil
}

// Close implements Operator.
func (s *scanOp) Close() {
	s.out.reset()
	s.batch.Reset()
	s.todo, s.keys = nil, nil
}

func (s *scanOp) start(want int) error {
	s.started = true
	c := s.run.ctx()
	spans, err := s.spans.make(c)
	if err != nil {
		return err
	}
	if s.node.Reverse {
		for i, j := 0, len(spans)-1; i < j; i, j = i+1, j-1 {
			spans[i], spans[j] = spans[j], spans[i]
		}
	}
	s.todo = spans
	s.prog = scan.AppendProgram(s.prog[:0], s.fixed, c)
	if len(s.keys) > 0 {
		s.prog = scan.AppendKeyFilters(s.prog, s.keys)
		for i := range s.keys {
			if len(s.keys[i].Keys) == 0 {
				s.todo = nil // no row has a partner
			}
		}
	}
	s.left = -1
	if s.limit != nil {
		d, err := s.limit.value(c)
		if err != nil {
			return err
		}
		if !d.IsNull() {
			s.left = max(d.Int(), 0)
		}
	}
	// Whoever asks for few rows may stop early: begin with small pages.
	s.page = 0
	if want < vec.MaxBatch {
		s.page = int64(max(want, 32))
	}
	return nil
}

// Next implements Operator.
func (s *scanOp) Next(want int) (*vec.Batch, error) {
	if !s.started {
		if err := s.start(want); err != nil {
			return nil, err
		}
	}
	for {
		if b := s.out.next(want); b != nil {
			return b, nil
		}
		if len(s.todo) == 0 || s.left == 0 {
			return nil, nil
		}
		if err := s.run.canceled(); err != nil {
			return nil, err
		}
		if err := s.fetch(); err != nil {
			return nil, err
		}
	}
}

// fetch asks for the next page. Without a row limit many spans go in one batch.
func (s *scanOp) fetch() error {
	rows := s.page
	if s.left >= 0 && (rows == 0 || s.left < rows) {
		rows = s.left
	}
	n := 1
	if rows == 0 {
		n = min(len(s.todo), spansABath)
	}
	// Partial aggregates are small whatever they are made of: without a bound the
	// ranges of a span are read at the same time.
	size := int64(pageBytes)
	if s.node.Partial != nil && rows == 0 {
		size = 0
	}
	s.batch.Reset()
	s.opts = s.opts[:0]
	for range n {
		s.opts = append(s.opts, api.ScanOptions{Program: s.prog, MaxRows: rows, MaxBytes: size})
	}
	for i := range n {
		sp := s.todo[i]
		s.batch.Requests = append(s.batch.Requests, api.Request{Kind: api.Scan, Key: sp.start, End: sp.end,
			Scan: &s.opts[i], Reverse: s.node.Reverse, Lock: s.lock, Wait: s.wait})
	}
	if err := s.run.send(&s.batch); err != nil {
		return err
	}
	if s.page > 0 {
		if s.page *= 8; s.page > 4*vec.MaxBatch {
			s.page = 0
		}
	}
	return s.take(n, rows)
}

// take collects the answers; a span that was not finished stays to be done.
func (s *scanOp) take(n int, rows int64) error {
	var rest []keySpan
	for i := range n {
		r := &s.batch.Responses[i]
		bs, err := s.run.env.Scan.Batches(s.prog, rows, r)
		if err != nil {
			return err
		}
		got := int64(0)
		for _, b := range bs {
			got += int64(b.Len())
			s.out.push(b)
		}
		if s.left > 0 && s.node.Partial == nil {
			s.left = max(s.left-got, 0)
		}
		if r.Resume != nil {
			sp := s.todo[i]
			if s.node.Reverse {
				sp.end = r.Resume
			} else {
				sp.start = r.Resume
			}
			rest = append(rest, sp)
			if i < n-1 {
				// What the later spans gave would come before the rest of this one:
				// order only matters to ordered scans, which go on span by span.
				if s.node.Ordered {
					return s.reorder(i, n, rest)
				}
			}
		}
	}
	s.todo = append(rest, s.todo[n:]...)
	return nil
}

// reorder forgets the answers after span i, which are to be asked for again.
func (s *scanOp) reorder(i, n int, rest []keySpan) error {
	s.todo = append(rest, s.todo[i+1:]...)
	_ = n
	return nil
}

// pointGetOp reads one row by a unique key: nothing on its path allocates but
// the key and what kv returns.
type pointGetOp struct {
	run    *run
	node   *plan.PointGet
	key    []*single
	enc    *rowenc.IndexEncoder
	dec    *rowenc.Decoder
	fetch  *fetcher // when the entry does not hold all columns
	filter *scan.Instance
	lock   api.LockStrength
	wait   api.WaitPolicy
	vals   []types.Datum
	buf    []byte
	batch  kv.Batch
	out    vec.Batch
	done   bool
}

func (b *builder) pointGet(n *plan.PointGet) (Operator, error) {
	p := &pointGetOp{run: b.run, node: n}
	var err error
	if p.key, err = newSingles(n.Key); err != nil {
		return nil, err
	}
	if p.enc, err = encoderOf(n.Table, n.Index); err != nil {
		return nil, err
	}
	p.lock, p.wait = lockOf(n.Lock)
	if n.Fetch {
		if p.fetch, err = newFetcher(b.run, n.Table, n.Read, n.Lock); err != nil {
			return nil, err
		}
		p.dec, err = rowenc.NewDecoder(n.Table, n.Index, primaryColumns(n.Table))
	} else {
		p.dec, err = rowenc.NewDecoder(n.Table, n.Index, n.Read)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range p.dec.Reprs() {
		p.out.Cols = append(p.out.Cols, vec.New(r, 1))
	}
	p.filter, err = compileOpt(n.Filter, n.Out)
	return p, err
}

func primaryColumns(t *catalog.Table) []catalog.ColumnID {
	var out []catalog.ColumnID
	for _, c := range t.PrimaryIndex().Columns {
		out = append(out, c.Column)
	}
	return out
}

// Reset implements Operator.
func (p *pointGetOp) Reset() error { p.done = false; return nil }

// Close implements Operator.
func (p *pointGetOp) Close() { p.batch.Reset() }

// Next implements Operator.
func (p *pointGetOp) Next(int) (*vec.Batch, error) {
	if p.done {
		return nil, nil
	}
	p.done = true
	p.vals = p.vals[:0]
	for _, s := range p.key {
		d, err := s.value(p.run.ctx())
		if err != nil || d.IsNull() {
			return nil, err
		}
		p.vals = append(p.vals, d)
	}
	// kv may keep the key of a locking read: it gets one of its own.
	if p.lock != api.LockNone {
		p.buf = make([]byte, 0, len(p.buf)+16)
	}
	p.buf = p.enc.AppendPoint(p.buf[:0], p.vals)
	p.batch.Reset()
	lock, wait := p.lock, p.wait
	if p.fetch != nil {
		lock, wait = api.LockNone, api.WaitBlock
	}
	p.batch.GetLocked(p.buf, lock, wait)
	if err := p.run.send(&p.batch); err != nil {
		return nil, err
	}
	r := &p.batch.Responses[0]
	if !r.Exists || r.Skipped {
		return nil, nil
	}
	p.out.Reset()
	if err := p.dec.DecodeRow(p.buf, r.Value, p.out.Cols); err != nil {
		return nil, err
	}
	p.out.N = 1
	b := &p.out
	if p.fetch != nil {
		var err error
		if b, _, err = p.fetch.rows(b); err != nil || b.N == 0 {
			return nil, err
		}
	}
	if p.filter != nil {
		if err := p.filter.Filter(p.run.ctx(), b); err != nil {
			return nil, err
		}
		if b.Len() == 0 {
			return nil, nil
		}
	}
	if m := p.run.measure; m != nil {
		m[p.node.ID].Rows++
		m[p.node.ID].Loops++
	}
	return b, nil
}

// fetcher reads rows by their primary keys.
type fetcher struct {
	run   *run
	enc   *rowenc.IndexEncoder
	dec   *rowenc.Decoder
	lock  api.LockStrength
	wait  api.WaitPolicy
	batch kv.Batch
	vals  []types.Datum
	out   *vec.Batch
	found []int // for each row out, the input row that it belongs to
	keys  [][]byte
	vals2 [][]byte
}

func newFetcher(r *run, t *catalog.Table, read []catalog.ColumnID, l plan.Locking) (*fetcher, error) {
	f := &fetcher{run: r}
	f.lock, f.wait = lockOf(l)
	var err error
	if f.enc, err = encoderOf(t, t.PrimaryIndex()); err != nil {
		return nil, err
	}
	if f.dec, err = rowenc.NewDecoder(t, t.PrimaryIndex(), read); err != nil {
		return nil, err
	}
	f.out = newBatch(f.dec.Reprs())
	return f, nil
}

// rows reads the rows whose primary keys are b's first columns. found gives for
// each row the live row of b that it belongs to.
func (f *fetcher) rows(b *vec.Batch) (out *vec.Batch, found []int, err error) {
	f.batch.Reset()
	f.out.Reset()
	f.found, f.keys, f.vals2 = f.found[:0], f.keys[:0], f.vals2[:0]
	np := len(f.enc.Index.Columns)
	n := b.Len()
	for i := range n {
		f.vals = f.vals[:0]
		for c := range np {
			f.vals = append(f.vals, b.Cols[c].View(b.Pos(i)))
		}
		f.batch.GetLocked(f.enc.AppendPoint(nil, f.vals), f.lock, f.wait)
	}
	if err := f.run.send(&f.batch); err != nil {
		return nil, nil, err
	}
	for i := range n {
		r := &f.batch.Responses[i]
		if !r.Exists || r.Skipped {
			continue
		}
		f.keys = append(f.keys, f.batch.Requests[i].Key)
		f.vals2 = append(f.vals2, r.Value)
		f.found = append(f.found, i)
	}
	err = f.dec.Decode(f.keys, f.vals2, f.out.Cols)
	f.out.N = len(f.keys)
	return f.out, f.found, err
}

// indexFetchOp reads the rows of the primary keys that its input gives.
type indexFetchOp struct {
	run    *run
	input  Operator
	fetch  *fetcher
	key    []int
	pass   []int
	filter *scan.Instance
	keys   vec.Batch
	out    vec.Batch
	passed []*vec.Vector
}

func (b *builder) indexFetch(n *plan.IndexFetch) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	f := &indexFetchOp{run: b.run, input: in}
	if f.fetch, err = newFetcher(b.run, n.Table, n.Read, n.Lock); err != nil {
		return nil, err
	}
	cols := n.Input.Columns()
	if f.key, err = places(cols, n.Key); err != nil {
		return nil, err
	}
	for _, p := range n.Pass {
		i, err := place(cols, p.ID)
		if err != nil {
			return nil, err
		}
		f.pass = append(f.pass, i)
		f.passed = append(f.passed, vec.New(p.Type.Repr(), 0))
	}
	f.filter, err = compileOpt(n.Filter, n.Out)
	return f, err
}

// Next implements Operator.
func (f *indexFetchOp) Next(want int) (*vec.Batch, error) {
	for {
		b, err := f.input.Next(want)
		if b == nil || err != nil {
			return nil, err
		}
		f.keys.Cols = f.keys.Cols[:0]
		for _, k := range f.key {
			f.keys.Cols = append(f.keys.Cols, b.Cols[k])
		}
		f.keys.N, f.keys.Sel = b.N, b.Sel
		rows, found, err := f.fetch.rows(&f.keys)
		if err != nil {
			return nil, err
		}
		f.out = vec.Batch{Cols: append(f.out.Cols[:0], rows.Cols...), N: rows.N}
		for i, p := range f.pass {
			v := f.passed[i]
			v.Reset()
			for _, at := range found {
				v.AppendFrom(b.Cols[p], b.Pos(at))
			}
			f.out.Cols = append(f.out.Cols, v)
		}
		if f.filter != nil {
			if err := f.filter.Filter(f.run.ctx(), &f.out); err != nil {
				return nil, err
			}
		}
		if f.out.Len() > 0 {
			return &f.out, nil
		}
	}
}

// Reset implements Operator.
func (f *indexFetchOp) Reset() error { return f.input.Reset() }

// Close implements Operator.
func (f *indexFetchOp) Close() { f.input.Close() }

// lockRowsOp locks the rows that its input came from.
type lockRowsOp struct {
	run     *run
	input   Operator
	targets []lockTarget
	batch   kv.Batch
	out     vec.Batch
}

type lockTarget struct {
	enc  *rowenc.IndexEncoder
	key  []int
	lock api.LockStrength
	wait api.WaitPolicy
}

func (b *builder) lockRows(n *plan.LockRows) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	l := &lockRowsOp{run: b.run, input: in}
	for _, t := range n.Targets {
		x := lockTarget{}
		if x.enc, err = encoderOf(t.Table, t.Table.PrimaryIndex()); err != nil {
			return nil, err
		}
		if x.key, err = places(n.Input.Columns(), t.Key); err != nil {
			return nil, err
		}
		x.lock, x.wait = lockOf(t.Lock)
		l.targets = append(l.targets, x)
	}
	return l, nil
}

// Next implements Operator.
func (l *lockRowsOp) Next(want int) (*vec.Batch, error) {
	for {
		b, err := l.input.Next(want)
		if b == nil || err != nil {
			return nil, err
		}
		l.out = *b
		for i := range l.targets {
			if err := l.lock(&l.targets[i]); err != nil {
				return nil, err
			}
		}
		if l.out.Len() > 0 {
			return &l.out, nil
		}
	}
}

// lock locks the rows of one table; rows that are skipped leave the batch.
func (l *lockRowsOp) lock(t *lockTarget) error {
	l.batch.Reset()
	b := &l.out
	var at []int32
	for i := range b.Len() {
		p := b.Pos(i)
		vals := make([]types.Datum, len(t.key))
		null := false
		for j, k := range t.key {
			vals[j] = b.Cols[k].View(p)
			null = null || vals[j].IsNull()
		}
		if null {
			continue // the empty side of an outer join
		}
		l.batch.GetLocked(t.enc.AppendPoint(nil, vals), t.lock, t.wait)
		at = append(at, int32(p))
	}
	if len(at) == 0 {
		return nil
	}
	if err := l.run.send(&l.batch); err != nil {
		return err
	}
	skipped := map[int32]bool{}
	for i := range at {
		if l.batch.Responses[i].Skipped {
			skipped[at[i]] = true
		}
	}
	if len(skipped) == 0 {
		return nil
	}
	sel := make([]int32, 0, b.Len())
	for i := range b.Len() {
		if p := int32(b.Pos(i)); !skipped[p] {
			sel = append(sel, p)
		}
	}
	b.Sel = sel
	return nil
}

// Reset implements Operator.
func (l *lockRowsOp) Reset() error { return l.input.Reset() }

// Close implements Operator.
func (l *lockRowsOp) Close() { l.input.Close() }

// virtualOp reads a virtual table.
type virtualOp struct {
	run    *run
	node   *plan.VirtualScan
	eq     []*single
	places []int
	filter *scan.Instance
	out    outbox
	done   bool
}

func (b *builder) virtualScan(n *plan.VirtualScan) (Operator, error) {
	v := &virtualOp{run: b.run, node: n}
	for _, e := range n.Eq {
		s, err := newSingle(e.Value)
		if err != nil {
			return nil, err
		}
		v.eq = append(v.eq, s)
	}
	for _, c := range n.Read {
		v.places = append(v.places, n.Table.Ordinal(c))
	}
	var err error
	v.filter, err = compileOpt(n.Filter, n.Out)
	return v, err
}

func (v *virtualOp) load() error {
	v.done = true
	if v.run.env.Virtual == nil {
		return nil
	}
	var eqs []VirtualEq
	for i, s := range v.eq {
		d, err := s.value(v.run.ctx())
		if err != nil {
			return err
		}
		if d.IsNull() {
			return nil
		}
		eqs = append(eqs, VirtualEq{v.node.Eq[i].Column, d})
	}
	store := newRowStore(v.node.Out)
	row := make([]types.Datum, len(v.places))
	err := v.run.env.Virtual.ScanVirtual(v.run.env.Ctx, v.node.Table, eqs, func(full []types.Datum) error {
		for i, p := range v.places {
			row[i] = full[p]
		}
		store.tail().AppendRow(row)
		store.n++
		if store.n&1023 == 0 {
			return v.run.canceled()
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range store.batches {
		if v.filter != nil {
			if err := v.filter.Filter(v.run.ctx(), b); err != nil {
				return err
			}
			if b.Len() == 0 {
				continue
			}
			// The selection is the filter's own and is needed for the next batch.
			b.Sel = slices.Clone(b.Sel)
		}
		v.out.push(b)
	}
	return nil
}

// Next implements Operator.
func (v *virtualOp) Next(want int) (*vec.Batch, error) {
	if !v.done {
		if err := v.load(); err != nil {
			return nil, err
		}
	}
	return v.out.next(min(want, math.MaxInt32)), nil
}

// Reset implements Operator.
func (v *virtualOp) Reset() error { v.done = false; v.out.reset(); return nil }

// Close implements Operator.
func (v *virtualOp) Close() { v.out.reset() }

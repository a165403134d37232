package exec

import (
	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// applyOp runs its right side for each left row.
type applyOp struct {
	run         *run
	node        *plan.Apply
	left, right Operator
	params      []int // places of the left columns
	guard       *scan.Instance
	pair        *pairing
	store       *rowStore
	kept        bool // store holds the right rows for all left rows
	memo        *memo
	batch       *vec.Batch
	skip        []bool // by live row: not wanted
	at          int
	ended       bool
}

func (b *builder) apply(n *plan.Apply) (Operator, error) {
	l, err := b.build(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := b.build(n.Right)
	if err != nil {
		return nil, err
	}
	lc := n.Left.Columns()
	a := &applyOp{run: b.run, node: n, left: l, right: r, store: newRowStore(n.Right.Columns())}
	for _, p := range n.Params {
		i, err := place(lc, p.Col)
		if err != nil {
			return nil, err
		}
		a.params = append(a.params, i)
	}
	if n.Guard != nil {
		if a.guard, err = compile([]plan.Scalar{n.Guard}, lc); err != nil {
			return nil, err
		}
	}
	a.pair, err = newPairing(b.run, n.Type, lc, n.Right.Columns(), n.On, n.MarkCond)
	if err != nil {
		return nil, err
	}
	a.pair.all = n.MarkAll
	if n.Memo && a.few() > 0 {
		a.memo = newMemo(n.Right.Columns())
	}
	return a, nil
}

// few is how many right rows tell all that the join wants to know, 0 if it wants
// all of them.
func (a *applyOp) few() int {
	if len(a.node.On) == 0 {
		switch a.node.Type {
		case plan.SemiJoin, plan.AntiJoin:
			return 1
		case plan.ScalarJoin:
			return 2
		}
	}
	return 0
}

// Next implements Operator.
func (a *applyOp) Next(want int) (*vec.Batch, error) {
	for {
		if b := a.pair.out.next(want); b != nil {
			return b, nil
		}
		if a.batch != nil {
			if err := a.step(); err != nil {
				return nil, err
			}
			continue
		}
		if a.ended {
			return nil, nil
		}
		b, err := a.left.Next(min(want, vec.MaxBatch))
		if err != nil {
			return nil, err
		}
		if b == nil {
			a.ended = true
			continue
		}
		if err := a.open(b); err != nil {
			return nil, err
		}
	}
}

// open starts with a batch of left rows.
func (a *applyOp) open(b *vec.Batch) error {
	a.batch, a.at = b, 0
	a.skip = a.skip[:0]
	a.pair.begin(b)
	if a.guard == nil {
		return nil
	}
	vs, err := a.guard.Eval(a.run.ctx(), b)
	if err != nil {
		return err
	}
	for i := range b.Len() {
		p := b.Pos(i)
		no := vs[0].IsNull(p) || vs[0].Int(p) == 0
		a.skip = append(a.skip, no)
		if no {
			a.pair.matched[p] |= noGuard
		}
	}
	return nil
}

// step runs the right side for the next left row; after the last one the batch
// is finished. Rows are given out as soon as there are any.
func (a *applyOp) step() error {
	if a.at == a.batch.Len() {
		a.batch = nil
		return a.pair.end(a.store)
	}
	if err := a.run.canceled(); err != nil {
		return err
	}
	i := a.at
	a.at++
	if len(a.skip) > 0 && a.skip[i] {
		return nil
	}
	p := a.batch.Pos(i)
	if a.memo != nil && !a.memo.off {
		at, ok := a.memo.find(a.batch, a.params, p)
		if ok {
			for r := at.from; r < at.from+at.n; r++ {
				if err := a.pair.add(a.memo.store, p, r); err != nil {
					return err
				}
			}
			return a.pair.flush(a.memo.store)
		}
	}
	if err := a.load(p); err != nil {
		return err
	}
	if a.memo != nil {
		a.memo.keep(a.store)
	}
	for r := range a.store.n {
		if err := a.pair.add(a.store, p, r); err != nil {
			return err
		}
	}
	if !a.kept {
		// The next left row's right rows take the store's place.
		return a.pair.flush(a.store)
	}
	return nil
}

// load reads the right rows for the left row at position p.
func (a *applyOp) load(p int) error {
	if a.kept {
		return nil
	}
	ctx := a.run.ctx()
	for i, c := range a.params {
		n := a.node.Params[i].Param
		for n >= len(ctx.ExecParams) {
			ctx.ExecParams = append(ctx.ExecParams, types.Null)
		}
		ctx.ExecParams[n] = a.batch.Cols[c].Datum(p)
	}
	if err := a.right.Reset(); err != nil {
		return err
	}
	a.run.env.Account.Release(a.store.bytes)
	a.store.reset()
	few := a.few()
	if few == 0 {
		if err := drain(a.run, a.right, a.store); err != nil {
			return err
		}
	}
	for a.store.n < few {
		b, err := a.right.Next(few - a.store.n)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		a.store.addBatch(b)
	}
	a.kept = len(a.params) == 0
	return nil
}

// Reset implements Operator.
func (a *applyOp) Reset() error {
	a.free()
	return a.left.Reset()
}

func (a *applyOp) free() {
	if a.run.env != nil {
		a.run.env.Account.Release(a.store.bytes)
	}
	a.store.reset()
	a.pair.reset()
	if a.memo != nil {
		a.memo.reset()
	}
	a.kept, a.ended, a.batch = false, false, nil
}

// Close implements Operator.
func (a *applyOp) Close() { a.free(); a.left.Close(); a.right.Close() }

// lookupOp reads an index for each row of its input, in batches.
type lookupOp struct {
	run   *run
	node  *plan.LookupJoin
	input Operator
	enc   *rowenc.IndexEncoder
	dec   *rowenc.Decoder
	keys  *scan.Instance
	fetch *fetcher
	lock  api.LockStrength
	wait  api.WaitPolicy
	pair  *pairing
	store *rowStore
	owner []int // left position of each row in store
	entry *vec.Batch
	batch kv.Batch
	at    []int // left position of each request
	vals  []types.Datum
	exact bool // every lookup is one key
	ended bool
}

func (b *builder) lookupJoin(n *plan.LookupJoin) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	l := &lookupOp{run: b.run, node: n, input: in, store: newRowStore(n.ReadOut)}
	l.lock, l.wait = lockOf(n.Lock)
	if l.enc, err = encoderOf(n.Table, n.Index); err != nil {
		return nil, err
	}
	if l.keys, err = compile(n.Keys, n.Input.Columns()); err != nil {
		return nil, err
	}
	l.exact = n.Unique && len(n.Keys) == len(n.Index.Columns)
	if n.Fetch {
		if l.fetch, err = newFetcher(b.run, n.Table, n.Read, n.Lock); err != nil {
			return nil, err
		}
		l.lock, l.wait = api.LockNone, api.WaitBlock
		l.dec, err = rowenc.NewDecoder(n.Table, n.Index, primaryColumns(n.Table))
	} else {
		l.dec, err = rowenc.NewDecoder(n.Table, n.Index, n.Read)
	}
	if err != nil {
		return nil, err
	}
	l.entry = newBatch(l.dec.Reprs())
	l.pair, err = newPairing(b.run, n.Type, n.Input.Columns(), n.ReadOut, n.Residual, nil)
	return l, err
}

// Next implements Operator.
func (l *lookupOp) Next(want int) (*vec.Batch, error) {
	for {
		if b := l.pair.out.next(want); b != nil {
			return b, nil
		}
		if l.ended {
			return nil, nil
		}
		b, err := l.input.Next(want)
		if err != nil {
			return nil, err
		}
		if b == nil {
			l.ended = true
			continue
		}
		if err := l.run.canceled(); err != nil {
			return nil, err
		}
		if err := l.look(b); err != nil {
			return nil, err
		}
	}
}

// look finds the matches of a batch.
func (l *lookupOp) look(b *vec.Batch) error {
	vs, err := l.keys.Eval(l.run.ctx(), b)
	if err != nil {
		return err
	}
	l.pair.begin(b)
	l.batch.Reset()
	l.at = l.at[:0]
	l.store.reset()
	l.owner = l.owner[:0]
	for i := range b.Len() {
		p := b.Pos(i)
		l.vals = l.vals[:0]
		null := false
		for _, v := range vs {
			null = null || v.IsNull(p)
			l.vals = append(l.vals, v.View(p))
		}
		if null {
			continue
		}
		k := l.enc.AppendPoint(nil, l.vals)
		if l.exact {
			l.batch.GetLocked(k, l.lock, l.wait)
		} else {
			l.batch.Requests = append(l.batch.Requests, api.Request{Kind: api.Scan, Key: k, End: keys.PrefixEnd(k), Lock: l.lock, Wait: l.wait})
		}
		l.at = append(l.at, p)
	}
	if len(l.at) > 0 {
		if err := l.run.send(&l.batch); err != nil {
			return err
		}
		if err := l.collect(); err != nil {
			return err
		}
	}
	for r, p := range l.owner {
		if err := l.pair.add(l.store, p, r); err != nil {
			return err
		}
	}
	return l.pair.end(l.store)
}

// collect decodes the answers into the store.
func (l *lookupOp) collect() error {
	var ks, vals [][]byte
	var owners []int
	for i := range l.at {
		r := &l.batch.Responses[i]
		if l.exact {
			if r.Exists && !r.Skipped {
				ks, vals = append(ks, l.batch.Requests[i].Key), append(vals, r.Value)
				owners = append(owners, l.at[i])
			}
			continue
		}
		kvs := r.KVs
		resume := r.Resume
		for {
			for j := range kvs {
				ks, vals = append(ks, kvs[j].Key), append(vals, kvs[j].Value)
				owners = append(owners, l.at[i])
			}
			if resume == nil {
				break
			}
			var more kv.Batch
			more.Scan(resume, keys.PrefixEnd(l.batch.Requests[i].Key), nil)
			if err := l.run.send(&more); err != nil {
				return err
			}
			kvs, resume = more.Responses[0].KVs, more.Responses[0].Resume
		}
	}
	for from := 0; from < len(vals); from += vec.MaxBatch {
		to := min(from+vec.MaxBatch, len(vals))
		l.entry.Reset()
		if err := l.dec.Decode(ks[from:to], vals[from:to], l.entry.Cols); err != nil {
			return err
		}
		l.entry.N = to - from
		rows := l.entry
		if l.fetch != nil {
			out, found, err := l.fetch.rows(l.entry)
			if err != nil {
				return err
			}
			rows = out
			for _, f := range found {
				l.owner = append(l.owner, owners[from+f])
			}
		} else {
			l.owner = append(l.owner, owners[from:to]...)
		}
		l.store.addBatch(rows)
	}
	return nil
}

// Reset implements Operator.
func (l *lookupOp) Reset() error {
	l.ended = false
	l.pair.reset()
	l.store.reset()
	return l.input.Reset()
}

// Close implements Operator.
func (l *lookupOp) Close() { l.pair.reset(); l.store.reset(); l.batch.Reset(); l.input.Close() }

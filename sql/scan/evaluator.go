package scan

import (
	"sync"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Evaluator implements api.Evaluator. It is safe for concurrent use.
type Evaluator struct {
	mu    sync.RWMutex
	progs map[string]*program
}

// NewEvaluator returns an evaluator with an empty cache.
func NewEvaluator() *Evaluator { return &Evaluator{progs: map[string]*program{}} }

// maxPrograms bounds the cache of compiled programs; a full one is dropped.
const maxPrograms = 512

// program is a compiled fixed part.
type program struct {
	spec   *Spec
	all    *rowenc.Decoder // of Read
	stages []stage         // of the filter; none: all rows pass
	aggs   *aggProgram
	reprs  []types.Repr
	idle   sync.Pool // of *run
}

// Open implements api.Evaluator.
func (e *Evaluator) Open(prog []byte, maxRows int64) (api.ScanRun, error) {
	fixed, ctx, rest, ok := splitProgram(prog)
	if !ok {
		return nil, api.ErrUnknownProgram
	}
	e.mu.RLock()
	p := e.progs[string(fixed)]
	e.mu.RUnlock()
	if p == nil {
		spec, ok := decodeSpec(fixed)
		if !ok {
			return nil, api.ErrUnknownProgram
		}
		var err error
		if p, err = compile(spec); err != nil {
			return nil, err
		}
		e.mu.Lock()
		if len(e.progs) >= maxPrograms {
			clear(e.progs)
		}
		e.progs[string(fixed)] = p
		e.mu.Unlock()
	}
	r := &reader{b: rest}
	sets := r.keyFilters(len(p.spec.Read))
	if r.bad {
		return nil, api.ErrUnknownProgram
	}
	return p.open(ctx, maxRows, sets)
}

func compile(s *Spec) (*program, error) {
	p := &program{spec: s}
	var err error
	if p.all, err = rowenc.NewDecoder(s.Table, s.Index, s.Read); err != nil {
		return nil, err
	}
	for _, id := range s.Read {
		c, _ := s.Table.Column(id)
		p.reprs = append(p.reprs, c.Type.Repr())
	}
	for from := 0; from < len(s.Filter); {
		n := len(s.Filter)
		if from == 0 {
			n = firstStage(s.Filter)
		}
		st, err := p.compileStage(s.Filter[from:n])
		if err != nil {
			return nil, err
		}
		p.stages = append(p.stages, st)
		from = n
	}
	if s.Aggregate {
		if p.aggs, err = compileAggs(s); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// stage is a part of the filter with the decoder of the columns that it reads: rows
// that do not pass cost no more than these.
type stage struct {
	filter *Exprs
	dec    *rowenc.Decoder
}

// firstStage returns how many conditions are looked at before the columns of the
// others are decoded: those at the beginning that compare one and the same column
// with values, which cannot raise an error.
func firstStage(conds []expr.Expr) int {
	col := expr.ColID(-1)
	for i, e := range conds {
		o, ok := e.(*expr.OpExpr)
		if !ok || len(o.Args) != 2 {
			return max(i, 1)
		}
		switch o.Name {
		case "=", "<>", "<", "<=", ">", ">=":
		default:
			return max(i, 1)
		}
		a, aok := o.Args[0].(*expr.ColumnRef)
		if !aok || i > 0 && a.ID != col {
			return max(i, 1)
		}
		switch o.Args[1].(type) {
		case *expr.Const, *expr.Param:
		default:
			return max(i, 1)
		}
		col = a.ID
	}
	return len(conds)
}

// compileStage maps conditions onto the columns that they read.
func (p *program) compileStage(conds []expr.Expr) (st stage, err error) {
	place := map[expr.ColID]expr.ColID{}
	var cols []int
	es := make([]expr.Expr, len(conds))
	for i, f := range conds {
		es[i] = expr.MapColumns(f, func(c *expr.ColumnRef) expr.Expr {
			n, ok := place[c.ID]
			if !ok {
				n = expr.ColID(len(cols))
				place[c.ID] = n
				cols = append(cols, int(c.ID))
			}
			d := *c
			d.ID = n
			return &d
		})
	}
	want := p.spec.Read[:0:0]
	for _, c := range cols {
		if c < 0 || c >= len(p.spec.Read) {
			return st, types.ErrCorrupt
		}
		want = append(want, p.spec.Read[c])
	}
	if st.dec, err = rowenc.NewDecoder(p.spec.Table, p.spec.Index, want); err != nil {
		return st, err
	}
	st.filter, err = Compile(es)
	return st, err
}

// run is one run of a program.
type run struct {
	p       *program
	ctx     *builtin.Ctx
	maxRows int64
	rows    int64
	out     []*vec.Batch
	stages  []stageRun
	sets    []*keySet
	live    []int32
	ks, vs  [][]byte
	most    int // length that ks and vs have had
	agg     *aggRun
}

type stageRun struct {
	filter  *Instance
	scratch *vec.Batch
}

func (p *program) open(ctx *builtin.Ctx, maxRows int64, sets []*keySet) (*run, error) {
	r, _ := p.idle.Get().(*run)
	if r == nil {
		r = &run{p: p}
		for i := range p.stages {
			r.stages = append(r.stages, stageRun{p.stages[i].filter.New(), newBatch(p.stages[i].dec)})
		}
	}
	r.ctx, r.maxRows, r.rows, r.out, r.sets = ctx, maxRows, 0, nil, sets
	if p.aggs != nil {
		var err error
		if r.agg, err = p.aggs.open(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newBatch(d *rowenc.Decoder) *vec.Batch {
	b := &vec.Batch{}
	for _, r := range d.Reprs() {
		b.Cols = append(b.Cols, vec.New(r, 0))
	}
	return b
}

// Block implements api.ScanRun.
func (r *run) Block(keys, values [][]byte, pass []int32) (int, []int32, error) {
	consumed := len(values)
	ks, vs := keys, values
	var live []int32 // positions of ks and vs; nil: all
	for i := range r.stages {
		var err error
		if live, ks, vs, err = r.filter(i, live, ks, vs); err != nil {
			return 0, pass, err
		}
	}
	if len(r.sets) > 0 {
		var err error
		if live, ks, vs, err = r.narrow(live, ks, vs); err != nil {
			return 0, pass, err
		}
	}
	if left := r.maxRows - r.rows; r.maxRows > 0 && int64(len(vs)) >= left {
		ks, vs = ks[:left], vs[:left]
		consumed = int(left)
		if left > 0 && live != nil {
			consumed = int(live[left-1]) + 1
		}
	}
	for i := range vs {
		if live != nil {
			pass = append(pass, live[i])
		} else {
			pass = append(pass, int32(i))
		}
	}
	r.rows += int64(len(vs))
	return consumed, pass, r.take(ks, vs)
}

// filter drops the rows that a stage of the filter rejects.
func (r *run) filter(i int, live []int32, ks, vs [][]byte) ([]int32, [][]byte, [][]byte, error) {
	s := &r.stages[i]
	s.scratch.Reset()
	if len(vs) == 0 {
		return live, ks, vs, nil
	}
	if err := r.p.stages[i].dec.Decode(ks, vs, s.scratch.Cols); err != nil {
		return nil, nil, nil, err
	}
	s.scratch.N = len(vs)
	if err := s.filter.Filter(r.ctx, s.scratch); err != nil || s.scratch.Sel == nil {
		return live, ks, vs, err
	}
	sel := s.scratch.Sel
	if live == nil {
		// The caller's slices are not ours to change.
		r.ks, r.vs, r.live = r.ks[:0], r.vs[:0], append(r.live[:0], sel...)
		for _, i := range sel {
			r.ks, r.vs = append(r.ks, ks[i]), append(r.vs, vs[i])
		}
		r.most = max(r.most, len(r.ks))
		return r.live, r.ks, r.vs, nil
	}
	for n, i := range sel {
		live[n], ks[n], vs[n] = live[i], ks[i], vs[i]
	}
	n := len(sel)
	return live[:n], ks[:n], vs[:n], nil
}

// narrow drops rows whose keys no join has a use for.
func (r *run) narrow(live []int32, ks, vs [][]byte) ([]int32, [][]byte, [][]byte, error) {
	if live == nil {
		r.ks, r.vs, r.live = append(r.ks[:0], ks...), append(r.vs[:0], vs...), r.live[:0]
		r.most = max(r.most, len(r.ks))
		for i := range vs {
			r.live = append(r.live, int32(i))
		}
		live, ks, vs = r.live, r.ks, r.vs
	}
	for _, s := range r.sets {
		var err error
		if live, ks, vs, err = s.narrow(r.p, live, ks, vs); err != nil {
			return nil, nil, nil, err
		}
	}
	return live, ks, vs, nil
}

// take decodes the rows that passed into the result, or aggregates them.
func (r *run) take(ks, vs [][]byte) error {
	if len(vs) == 0 {
		return nil
	}
	if r.agg != nil {
		return r.agg.add(r, ks, vs)
	}
	var b *vec.Batch
	if n := len(r.out); n > 0 && r.out[n-1].N+len(vs) <= vec.MaxBatch {
		b = r.out[n-1]
	} else {
		b = newBatch(r.p.all)
		if n > 0 || len(vs) > vec.MaxBatch/4 {
			// More is to be expected.
			for _, c := range b.Cols {
				c.Grow(vec.MaxBatch)
			}
		}
		r.out = append(r.out, b)
	}
	if err := r.p.all.Decode(ks, vs, b.Cols); err != nil {
		return err
	}
	b.N += len(vs)
	return nil
}

// Finish implements api.ScanRun.
func (r *run) Finish() (api.ScanResult, error) {
	res := &Result{Batches: r.out}
	if r.agg != nil {
		b, err := r.agg.finish(r.ctx)
		if err != nil {
			return nil, err
		}
		res.Batches = []*vec.Batch{b}
	}
	r.out, r.ctx, r.agg, r.sets = nil, nil, nil, nil
	clear(r.ks[:r.most])
	clear(r.vs[:r.most])
	r.ks, r.vs, r.most = r.ks[:0], r.vs[:0], 0
	r.p.idle.Put(r)
	return res, nil
}

// Result implements api.ScanResult: the rows, in scan order.
type Result struct{ Batches []*vec.Batch }

// Encode implements api.ScanResult.
func (r *Result) Encode(dst []byte) []byte {
	for _, b := range r.Batches {
		dst = AppendBatch(dst, b)
	}
	return dst
}

// Size implements api.ScanResult.
func (r *Result) Size() (rows, bytes int64) {
	for _, b := range r.Batches {
		rows += int64(b.Len())
		bytes += int64(b.MemBytes())
	}
	return rows, bytes
}

// Batches returns the rows of a scan's answer, in whatever form it came.
func (e *Evaluator) Batches(prog []byte, maxRows int64, resp *api.Response) ([]*vec.Batch, error) {
	switch {
	case len(resp.Parts) > 0:
		// A scan over several ranges has an answer of each, in scan order.
		var out []*vec.Batch
		for i := range resp.Parts {
			bs, err := e.Batches(prog, maxRows, &resp.Parts[i])
			if err != nil {
				return nil, err
			}
			out = append(out, bs...)
		}
		return out, nil
	case resp.Result != nil:
		if r, ok := resp.Result.(*Result); ok {
			return r.Batches, nil
		}
	case resp.Encoded != nil:
		var out []*vec.Batch
		for b := resp.Encoded; len(b) > 0; {
			x, rest, err := DecodeBatch(b)
			if err != nil {
				return nil, err
			}
			out, b = append(out, x), rest
		}
		return out, nil
	case len(resp.KVs) > 0:
		return e.local(prog, maxRows, resp.KVs)
	}
	return nil, nil
}

// local runs a program over raw rows: the leaseholder did not know it.
func (e *Evaluator) local(prog []byte, maxRows int64, kvs []api.KeyValue) ([]*vec.Batch, error) {
	r, err := e.Open(prog, maxRows)
	if err != nil {
		return nil, err
	}
	ks, vs := make([][]byte, 0, vec.MaxBatch), make([][]byte, 0, vec.MaxBatch)
	for len(kvs) > 0 {
		n := min(len(kvs), vec.MaxBatch)
		ks, vs = ks[:0], vs[:0]
		for i := range n {
			ks, vs = append(ks, kvs[i].Key), append(vs, kvs[i].Value)
		}
		consumed, _, err := r.Block(ks, vs, nil)
		if err != nil {
			return nil, err
		}
		if consumed < n {
			break
		}
		kvs = kvs[n:]
	}
	res, err := r.Finish()
	if err != nil {
		return nil, err
	}
	return res.(*Result).Batches, nil
}

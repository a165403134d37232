package exec

import (
	"slices"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// setCall is a call of a set-returning function with its compiled arguments.
type setCall struct {
	run    *run
	info   builtin.Info
	body   builtin.SetFunc
	strict bool
	args   *scan.Instance
	nargs  int
	scalar *scan.Instance // a function that returns one value, in FROM
	reprs  []types.Repr
	iter   builtin.SetIter
	cols   []*vec.Vector
	ended  bool
	single bool
	// elements says that the results are rows that an argument holds.
	elements bool
	row      []plan.Column // what a record is taken apart into
	// fields and parts make one record of several results.
	fields []types.Field
	parts  []*vec.Vector
}

func newSetCall(r *run, e plan.Scalar, cols []plan.Column, reprs []types.Repr) (*setCall, error) {
	s := &setCall{run: r, reprs: reprs}
	for _, x := range reprs {
		s.cols = append(s.cols, vec.New(x, 0))
	}
	f, ok := e.(*expr.FuncExpr)
	if !ok || !f.ReturnSet {
		s.single = true
		var err error
		s.scalar, err = compile([]plan.Scalar{e}, cols)
		return s, err
	}
	p, ok := pgfacts.ProcByOID(f.Func)
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedFunction, "function %d does not exist", f.Func)
	}
	s.info = builtin.Info{Proc: f.Func, Name: p.Name, Src: p.Src, Ret: f.Typ, Collation: f.Collation, Variadic: f.Variadic}
	for _, a := range f.Args {
		s.info.ArgTypes = append(s.info.ArgTypes, a.Type())
	}
	s.strict, s.nargs, s.elements = p.Strict, len(f.Args), p.Ret == types.AnyElementOID
	if f.Typ.OID == types.RecordOID && len(reprs) == 1 {
		s.shape(p)
	}
	var err error
	if s.body, err = builtin.LookupSet(p); err != nil {
		return nil, err
	}
	s.args, err = compileOpt(f.Args, cols)
	return s, err
}

// open starts the function for the row at position p of b.
func (s *setCall) open(b *vec.Batch, p int) error {
	s.ended, s.iter = false, nil
	if s.single {
		vs, err := s.scalar.Eval(s.run.ctx(), b)
		if err != nil {
			return err
		}
		one := &oneValue{d: vs[0].Datum(p)}
		if s.iter = one; s.row != nil {
			s.iter = &oneRow{oneValue: *one, cols: s.row}
		}
		return nil
	}
	args := make([]types.Datum, s.nargs)
	if s.args != nil {
		vs, err := s.args.Eval(s.run.ctx(), b)
		if err != nil {
			return err
		}
		for i, v := range vs {
			if args[i] = v.Datum(p); args[i].IsNull() && s.strict {
				s.ended = true
				return nil
			}
		}
	}
	var err error
	if s.iter, err = s.body(s.run.ctx(), &s.info, args); err == nil && s.row != nil {
		s.iter = &rowsOf{iter: s.iter, cols: s.row, record: []*vec.Vector{vec.New(types.RecordType.Repr(), 0)}}
	}
	return err
}

// fill reads up to want rows into cols.
func (s *setCall) fill(want int) (int, error) {
	for _, c := range s.cols {
		c.Reset()
	}
	if s.ended {
		return 0, nil
	}
	n, err := s.next(want)
	if n == 0 {
		s.ended = true
	}
	return n, err
}

// shape makes the call give its several results as fields of one record.
func (s *setCall) shape(p *pgfacts.Proc) {
	for i, t := range p.AllArgs {
		if i < len(p.ArgModes) && (p.ArgModes[i] == 'o' || p.ArgModes[i] == 't' || p.ArgModes[i] == 'b') {
			s.fields = append(s.fields, types.Field{Type: t, Name: p.ArgNames[i]})
			s.parts = append(s.parts, vec.New(types.ReprOf(t), 0))
		}
	}
}

func (s *setCall) next(want int) (int, error) {
	if s.fields == nil {
		return s.iter.Next(s.cols, want)
	}
	for _, v := range s.parts {
		v.Reset()
	}
	n, err := s.iter.Next(s.parts, want)
	for k := range n {
		for i, v := range s.parts {
			s.fields[i].Value = v.Datum(k)
		}
		s.cols[0].AppendBytes(types.AppendRecord(nil, s.fields))
	}
	return n, err
}

// oneValue is a SetIter over one value.
type oneValue struct {
	d     types.Datum
	spent bool
}

// Next implements builtin.SetIter.
func (o *oneValue) Next(out []*vec.Vector, _ int) (int, error) {
	if o.spent || len(out) == 0 {
		return 0, nil
	}
	o.spent = true
	out[0].AppendDatum(o.d)
	return 1, nil
}

// oneRow is a SetIter over one record, whose fields are the columns.
type oneRow struct {
	oneValue
	cols []plan.Column
}

// Next implements builtin.SetIter.
func (o *oneRow) Next(out []*vec.Vector, _ int) (int, error) {
	if o.spent {
		return 0, nil
	}
	o.spent = true
	return 1, takeApart(o.d, o.cols, out)
}

// rowsOf is a SetIter whose records' fields are the columns.
type rowsOf struct {
	iter   builtin.SetIter
	cols   []plan.Column
	record []*vec.Vector
	like   []types.Field // the first row
}

// Next implements builtin.SetIter.
func (r *rowsOf) Next(out []*vec.Vector, want int) (int, error) {
	r.record[0].Reset()
	n, err := r.iter.Next(r.record, want)
	for k := range n {
		d := r.record[0].Datum(k)
		if !d.IsNull() {
			fields := types.DecodeRecord(d.Bytes())
			if r.like == nil {
				r.like = fields
			}
			same := func(a, b types.Field) bool { return a.Type == b.Type }
			if !slices.EqualFunc(fields, r.like, same) {
				return k, types.Errorf(types.CodeDatatypeMismatch, "rows returned by function are not all of the same row type")
			}
		}
		if err := takeApart(d, r.cols, out); err != nil {
			return k, err
		}
	}
	return n, err
}

// takeApart appends a record's fields to columns that a query has declared.
func takeApart(d types.Datum, cols []plan.Column, out []*vec.Vector) error {
	if d.IsNull() {
		for _, v := range out {
			v.AppendNull()
		}
		return nil
	}
	fields := types.DecodeRecord(d.Bytes())
	differs := types.Errorf(types.CodeDatatypeMismatch, "function return row and query-specified return row do not match")
	if len(fields) != len(out) {
		return differs.WithDetail("Returned row contains %d attribute%s, but query expects %d.", len(fields), plural(len(fields)), len(out))
	}
	for i, f := range fields {
		if want := cols[i].Type.OID; f.Type != want && !(f.Type == types.UnknownOID && want == types.TextOID) {
			return differs.WithDetail("Returned type %s at ordinal position %d, but query expects %s.", types.Of(f.Type), i+1, types.Of(want))
		}
		out[i].AppendDatum(f.Value)
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// functionOp reads set-returning functions in lockstep.
type functionOp struct {
	run   *run
	calls []*setCall
	ord   bool
	n     int64
	out   *vec.Batch
	open  bool
}

func (b *builder) functionScan(n *plan.FunctionScan) (Operator, error) {
	f := &functionOp{run: b.run, ord: n.Ordinality, out: vec.NewBatch(columnTypes(n.Out), 0)}
	at := 0
	for i, c := range n.Calls {
		var reprs []types.Repr
		for range n.Widths[i] {
			reprs = append(reprs, n.Out[at].Type.Repr())
			at++
		}
		s, err := newSetCall(b.run, c, nil, reprs)
		if err != nil {
			return nil, err
		}
		if (s.single || s.elements) && c.Type().OID == types.RecordOID {
			s.row = n.Out[at-n.Widths[i] : at]
		}
		f.calls = append(f.calls, s)
	}
	return f, nil
}

// Next implements Operator.
func (f *functionOp) Next(want int) (*vec.Batch, error) {
	if !f.open {
		f.open = true
		f.n = 0
		for _, c := range f.calls {
			if err := c.open(&vec.Batch{N: 1}, 0); err != nil {
				return nil, err
			}
		}
	}
	if err := f.run.canceled(); err != nil {
		return nil, err
	}
	want = min(want, vec.MaxBatch)
	rows := 0
	counts := make([]int, len(f.calls))
	for i, c := range f.calls {
		n, err := c.fill(want)
		if err != nil {
			return nil, err
		}
		counts[i] = n
		rows = max(rows, n)
	}
	if rows == 0 {
		return nil, nil
	}
	f.out.Reset()
	at := 0
	for i, c := range f.calls {
		for _, v := range c.cols {
			for k := range rows {
				if k < counts[i] {
					f.out.Cols[at].AppendFrom(v, k)
				} else {
					f.out.Cols[at].AppendNull()
				}
			}
			at++
		}
	}
	if f.ord {
		for k := range rows {
			f.out.Cols[at].AppendInt(f.n + int64(k) + 1)
		}
	}
	f.n += int64(rows)
	f.out.N = rows
	return f.out, nil
}

// Reset implements Operator.
func (f *functionOp) Reset() error { f.open = false; return nil }

// Close implements Operator.
func (f *functionOp) Close() {}

// projectSetOp expands set-returning calls in a select list.
type projectSetOp struct {
	run   *run
	input Operator
	calls []*setCall
	batch *vec.Batch
	at    int
	open  bool
	nin   int
	out   *vec.Batch
}

func (b *builder) projectSet(n *plan.ProjectSet) (Operator, error) {
	in, err := b.build(n.Input)
	if err != nil {
		return nil, err
	}
	cols := n.Input.Columns()
	p := &projectSetOp{run: b.run, input: in, nin: len(cols), out: vec.NewBatch(columnTypes(n.Out), 0)}
	for i, c := range n.Calls {
		s, err := newSetCall(b.run, c, cols, []types.Repr{n.Out[len(cols)+i].Type.Repr()})
		if err != nil {
			return nil, err
		}
		p.calls = append(p.calls, s)
	}
	return p, nil
}

// Next implements Operator.
func (p *projectSetOp) Next(want int) (*vec.Batch, error) {
	want = min(want, vec.MaxBatch)
	for {
		if p.batch == nil {
			b, err := p.input.Next(1)
			if b == nil || err != nil {
				return nil, err
			}
			p.batch, p.at, p.open = b, 0, false
		}
		if p.at == p.batch.Len() {
			p.batch = nil
			continue
		}
		if err := p.run.canceled(); err != nil {
			return nil, err
		}
		n, err := p.expand(p.batch.Pos(p.at), want)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			p.at++
			p.open = false
			continue
		}
		return p.out, nil
	}
}

// expand gives the next rows of one input row.
func (p *projectSetOp) expand(pos, want int) (int, error) {
	if !p.open {
		p.open = true
		for _, c := range p.calls {
			if err := c.open(p.batch, pos); err != nil {
				return 0, err
			}
		}
	}
	p.out.Reset()
	rows := 0
	for i, c := range p.calls {
		n, err := c.fill(want)
		if err != nil {
			return 0, err
		}
		dst := p.out.Cols[p.nin+i]
		for k := range n {
			dst.AppendFrom(c.cols[0], k)
		}
		rows = max(rows, n)
	}
	for i := range p.calls {
		dst := p.out.Cols[p.nin+i]
		for dst.Len() < rows {
			dst.AppendNull()
		}
	}
	for i := range p.nin {
		for range rows {
			p.out.Cols[i].AppendFrom(p.batch.Cols[i], pos)
		}
	}
	p.out.N = rows
	return rows, nil
}

// Reset implements Operator.
func (p *projectSetOp) Reset() error { p.batch = nil; return p.input.Reset() }

// Close implements Operator.
func (p *projectSetOp) Close() { p.input.Close() }

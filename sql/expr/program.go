package expr

import (
	"errors"

	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Ctx is what a running expression sees of its surroundings.
type Ctx = builtin.Ctx

// Program is a compiled list of expressions. It is immutable: goroutines share
// it, each with an Instance of its own.
type Program struct {
	outs  []node
	types []types.Type
	regs  []types.Repr // representation of each register
	calls []*callNode
	sels  int // number of selection buffers
	memos int
}

// Instance is the changeable part of a running program: registers, selection
// buffers, call frames.
type Instance struct {
	prog  *Program
	regs  []vec.Vector
	calls []builtin.Call
	args  []*vec.Vector
	sels  [][]int32
	memos []memoState
	epoch uint64
	ctx   *Ctx
	cols  []*vec.Vector
	outs  []*vec.Vector
	one   vec.Batch
}

// RowError is an error raised for one row.
type RowError struct {
	// Row is the position in the batch; rows before it raised nothing.
	Row int
	Err error
}

// Error implements error.
func (e *RowError) Error() string { return e.Err.Error() }

// Unwrap returns the SQL error.
func (e *RowError) Unwrap() error { return e.Err }

// node is a compiled expression: it leaves its value for the selected positions
// in a vector, usually a register of the instance.
type node interface {
	eval(in *Instance, sel []int32, n int) (*vec.Vector, error)
}

// Types returns the types of the program's expressions.
func (p *Program) Types() []types.Type { return p.types }

// NewInstance returns an instance; it may be reused for any number of
// evaluations, one at a time.
func (p *Program) NewInstance() *Instance {
	in := &Instance{
		prog:  p,
		regs:  make([]vec.Vector, len(p.regs)),
		outs:  make([]*vec.Vector, len(p.outs)),
		memos: make([]memoState, p.memos),
		sels:  make([][]int32, p.sels),
		calls: make([]builtin.Call, len(p.calls)),
	}
	for i, r := range p.regs {
		in.regs[i].Repr = r
	}
	total := 0
	for _, c := range p.calls {
		total += len(c.args)
	}
	in.args = make([]*vec.Vector, total)
	rest := in.args
	for i, c := range p.calls {
		in.calls[i].Info = c.info
		in.calls[i].Args, rest = rest[:len(c.args):len(c.args)], rest[len(c.args):]
	}
	return in
}

// Program returns what in is an instance of.
func (in *Instance) Program() *Program { return in.prog }

// Eval evaluates the expressions for the live rows of b. The result vectors are
// indexed by the positions of b, may be constant or be columns of b, and are
// valid until the next evaluation. A failure is a *RowError.
func (in *Instance) Eval(ctx *Ctx, b *vec.Batch) ([]*vec.Vector, error) {
	in.begin(ctx, b.Cols)
	if err := in.run(b.Sel, b.N); err != nil {
		return nil, in.firstError(err, b)
	}
	return in.outs, nil
}

func (in *Instance) begin(ctx *Ctx, cols []*vec.Vector) {
	in.ctx, in.cols = ctx, cols
	in.epoch++
}

func (in *Instance) run(sel []int32, n int) error {
	if n == 0 || sel != nil && len(sel) == 0 {
		for i := range in.outs {
			in.outs[i] = &emptyVectors[in.prog.types[i].Repr()]
		}
		return nil
	}
	for i, o := range in.prog.outs {
		v, err := o.eval(in, sel, n)
		if err != nil {
			return err
		}
		in.outs[i] = v
	}
	return nil
}

// emptyVectors stand for results over no rows, by representation.
var emptyVectors = func() (t [8]vec.Vector) {
	for r := types.Int64; r <= types.Numerics; r++ {
		t[r].SetConst(types.Null)
		t[r].Repr = r
	}
	return t
}()

// firstError finds the first row that fails: expressions run one after another
// over the whole batch, so an earlier row may fail in a later expression.
func (in *Instance) firstError(err error, b *vec.Batch) error {
	for {
		re := asRowError(err, b.Sel)
		before := rowsBefore(b.Sel, re.Row)
		if len(before) == 0 {
			return re
		}
		in.epoch++
		again := in.run(before, b.N)
		if again == nil {
			return re
		}
		err = again
	}
}

func asRowError(err error, sel []int32) *RowError {
	var re *RowError
	if errors.As(err, &re) {
		return re
	}
	row := 0
	if len(sel) > 0 {
		row = int(sel[0])
	}
	return &RowError{Row: row, Err: err}
}

func rowsBefore(sel []int32, row int) []int32 {
	all := selOrAll(sel, row)
	i := 0
	for i < len(all) && int(all[i]) < row {
		i++
	}
	return all[:i]
}

// EvalOne evaluates a program of one expression over no input row, as for
// defaults and folding.
func (in *Instance) EvalOne(ctx *Ctx) (types.Datum, error) {
	in.one = vec.Batch{N: 1}
	out, err := in.Eval(ctx, &in.one)
	if err != nil {
		var re *RowError
		if errors.As(err, &re) {
			return types.Null, re.Err
		}
		return types.Null, err
	}
	return out[0].Datum(0), nil
}

// Filter narrows b.Sel to the rows for which every expression of the program is
// true. The new selection is owned by the instance and valid until its next
// evaluation.
func (in *Instance) Filter(ctx *Ctx, b *vec.Batch) error {
	in.begin(ctx, b.Cols)
	sel, err := in.narrowAll(b.Sel, b.N)
	if err != nil {
		return in.firstFilterError(err, b)
	}
	if sel == nil {
		return nil // nothing was rejected
	}
	b.Sel = sel
	return nil
}

func (in *Instance) narrowAll(sel []int32, n int) ([]int32, error) {
	if n == 0 {
		return sel, nil
	}
	for i, o := range in.prog.outs {
		if sel != nil && len(sel) == 0 {
			return sel, nil
		}
		// Buffers 0 and 1 belong to the filter itself, by turns.
		next, err := in.narrow(o, sel, n, i&1)
		if err != nil {
			return nil, err
		}
		sel = next
	}
	return sel, nil
}

// narrower is a node that can select without making a boolean vector.
type narrower interface {
	narrow(in *Instance, sel []int32, n int, dst []int32) (out []int32, ok bool, err error)
}

func (in *Instance) narrow(o node, sel []int32, n, buf int) ([]int32, error) {
	dst := in.selBuf(buf, n)
	if nr, can := o.(narrower); can {
		if out, ok, err := nr.narrow(in, sel, n, dst); ok || err != nil {
			in.sels[buf] = out[:0]
			return out, err
		}
	}
	v, err := o.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	return keepTrue(v, sel, n, dst), nil
}

func keepTrue(v *vec.Vector, sel []int32, n int, dst []int32) []int32 {
	if v.Const {
		if v.IsNull(0) || v.Ints[0] == 0 {
			return dst[:0]
		}
		return append(dst[:0], selOrAll(sel, n)...)
	}
	dst = dst[:0]
	nulls := v.HasNulls()
	for _, i := range selOrAll(sel, n) {
		if v.Ints[i] != 0 && !(nulls && v.IsNull(int(i))) {
			dst = append(dst, i)
		}
	}
	return dst
}

func (in *Instance) firstFilterError(err error, b *vec.Batch) error {
	for {
		re := asRowError(err, b.Sel)
		before := rowsBefore(b.Sel, re.Row)
		if len(before) == 0 {
			return re
		}
		in.epoch++
		if _, again := in.narrowAll(append([]int32(nil), before...), b.N); again != nil {
			err = again
			continue
		}
		return re
	}
}

// identity holds 0, 1, 2, …: the selection of all rows.
var identity = func() (t [vec.MaxBatch]int32) {
	for i := range t {
		t[i] = int32(i)
	}
	return t
}()

// selOrAll returns sel, or the selection of the first n rows if it is nil.
func selOrAll(sel []int32, n int) []int32 {
	if sel != nil {
		return sel
	}
	if n <= len(identity) {
		return identity[:n:n]
	}
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// selBuf returns an empty selection buffer with room for n positions.
func (in *Instance) selBuf(i, n int) []int32 {
	if cap(in.sels[i]) < n {
		in.sels[i] = make([]int32, 0, n)
	}
	return in.sels[i][:0]
}

// memoState remembers a shared subexpression's value within one evaluation.
type memoState struct {
	epoch uint64
	v     *vec.Vector
}

// memoNode evaluates a subexpression that occurs several times only once. It
// stands only where the selection can but narrow during an evaluation, so the
// first value covers all later uses.
type memoNode struct {
	inner node
	slot  int
}

func (m *memoNode) eval(in *Instance, sel []int32, n int) (*vec.Vector, error) {
	s := &in.memos[m.slot]
	if s.epoch == in.epoch {
		return s.v, nil
	}
	v, err := m.inner.eval(in, sel, n)
	if err != nil {
		return nil, err
	}
	s.epoch, s.v = in.epoch, v
	return v, nil
}

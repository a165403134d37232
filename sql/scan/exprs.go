package scan

import (
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Exprs is a list of compiled scalars over rows of one shape. It is immutable.
type Exprs struct {
	prog *expr.Program
	n    int
}

// Compile compiles scalars whose column ids are places in the input's batch.
func Compile(es []expr.Expr) (*Exprs, error) {
	p, err := expr.Compile(es, expr.Options{})
	if err != nil {
		return nil, err
	}
	return &Exprs{prog: p, n: len(es)}, nil
}

// Len returns the number of scalars.
func (e *Exprs) Len() int { return e.n }

// New returns an instance, which one goroutine may use.
func (e *Exprs) New() *Instance { return &Instance{inst: e.prog.NewInstance()} }

// Instance evaluates compiled scalars.
type Instance struct{ inst *expr.Instance }

// Eval returns a vector for each scalar, aligned with b; only live positions
// have a meaning.
func (x *Instance) Eval(ctx *builtin.Ctx, b *vec.Batch) ([]*vec.Vector, error) {
	return x.inst.Eval(ctx, b)
}

// One evaluates the only scalar, which reads no columns.
func (x *Instance) One(ctx *builtin.Ctx) (types.Datum, error) { return x.inst.EvalOne(ctx) }

// Filter narrows b to the rows for which every scalar is true. The selection is
// the instance's own and valid until its next use.
func (x *Instance) Filter(ctx *builtin.Ctx, b *vec.Batch) error { return x.inst.Filter(ctx, b) }

package exec

import (
	"context"
	"fmt"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// VirtualTables makes the rows of virtual tables.
type VirtualTables interface {
	ScanVirtual(ctx context.Context, t *catalog.Table, eqs []VirtualEq, emit func(row []types.Datum) error) error
}

// VirtualEq is an equality that the wanted rows of a virtual table satisfy.
type VirtualEq struct {
	Column catalog.ColumnID
	Value  types.Datum
}

// Env is what a statement runs in.
type Env struct {
	Ctx  context.Context
	Eval *builtin.Ctx
	// Txn may be nil for plans that touch no table. Seq is what reads see.
	Txn kv.Txn
	Seq api.Seq
	// Scan runs programs where the leaseholder did not.
	Scan *scan.Evaluator
	// Snapshot is the catalog, for foreign keys.
	Snapshot *catalog.Snapshot
	Virtual  VirtualTables
	Account  *Account
	SpillDir string
	Queue    *Queue
	// RowID gives new hidden rowids, in ascending order.
	RowID func() int64
	// KeyPart is the text of an index's key part, for messages.
	KeyPart func(t *catalog.Table, c *catalog.IndexColumn) string
	// MayCommit lets the statement commit with its last write; Committed says
	// that it did.
	MayCommit, Committed bool
	// Measure counts rows and time by node, for EXPLAIN ANALYZE.
	Measure bool
}

// Operator gives rows in batches.
type Operator interface {
	// Next returns at most want rows and at least one, or nil at the end.
	Next(want int) (*vec.Batch, error)
	// Reset starts over with the parameters as they are now.
	Reset() error
	// Close frees what the operator holds.
	Close()
}

// run is what the operators of an instance share.
type run struct {
	env  *Env
	ctes map[int]*cteState
	work map[int]*rowStore
	// affected counts the rows of the top mutation.
	affected int64
	// failed is the inserted row that an error is about, counted from 1.
	failed  int64
	measure []NodeStats
}

func (r *run) ctx() *builtin.Ctx { return r.env.Eval }

// canceled is asked once a batch.
func (r *run) canceled() error {
	if err := r.env.Eval.Canceled(); err != nil {
		return err
	}
	return r.env.Ctx.Err()
}

// send runs a batch of reads at the statement's sequence.
func (r *run) send(b *kv.Batch) error {
	b.ReadSeq = r.env.Seq
	return r.env.Txn.Send(r.env.Ctx, b)
}

// Instance is a plan made ready to run. One session uses it, again and again.
type Instance struct {
	Plan *plan.Plan
	root Operator
	run  run
}

// Build makes an instance of a plan.
func Build(p *plan.Plan) (*Instance, error) {
	in := &Instance{Plan: p}
	b := &builder{run: &in.run, top: p.Root}
	root, err := b.build(p.Root)
	if err != nil {
		return nil, err
	}
	in.root = root
	return in, nil
}

// BuildNode makes an instance of a subtree that stands alone.
func BuildNode(n plan.Node) (*Instance, error) { return Build(&plan.Plan{Root: n}) }

// Run starts an execution.
func (in *Instance) Run(env *Env) error {
	in.run.env = env
	in.run.affected, in.run.failed = 0, 0
	in.run.measure = nil
	if env.Measure {
		in.run.measure = make([]NodeStats, in.Plan.Nodes+1)
	}
	if n := in.Plan.ExecParams; n > len(env.Eval.ExecParams) {
		env.Eval.ExecParams = make([]types.Datum, n)
	}
	for _, c := range in.run.ctes {
		c.reset()
	}
	return in.root.Reset()
}

// Next returns the next rows, nil at the end.
func (in *Instance) Next(want int) (*vec.Batch, error) { return in.root.Next(want) }

// Affected is the number of rows that the statement changed.
func (in *Instance) Affected() int64 { return in.run.affected }

// FailedRow is the place, from 1, among the rows inserted of the one that broke a
// constraint, and 0 if the error was another.
func (in *Instance) FailedRow() int64 { return in.run.failed }

// Stats returns what was measured, by node id.
func (in *Instance) Stats() []NodeStats { return in.run.measure }

// Finish ends an execution, keeping the operators for the next one.
func (in *Instance) Finish() {
	in.root.Close()
	in.run.env = nil
}

// builder makes operators.
type builder struct {
	run    *run
	top    plan.Node
	source Operator // in the place of Values, for COPY
	// conflict is what the last ConflictRows that was built gives.
	conflict *conflictRows
}

func (b *builder) build(n plan.Node) (Operator, error) {
	op, err := b.operator(n)
	if err != nil {
		return nil, err
	}
	if _, ok := n.(*plan.PointGet); ok {
		return op, nil // measured by itself: no extra call on the fast path
	}
	return &measured{run: b.run, id: n.Common().ID, op: op}, nil
}

func (b *builder) operator(n plan.Node) (Operator, error) {
	switch n := n.(type) {
	case *plan.Values:
		if b.source != nil {
			return b.source, nil
		}
		return b.values(n)
	case *plan.Scan:
		return b.scan(n)
	case *plan.PointGet:
		return b.pointGet(n)
	case *plan.IndexFetch:
		return b.indexFetch(n)
	case *plan.VirtualScan:
		return b.virtualScan(n)
	case *plan.Filter:
		return b.filter(n)
	case *plan.Project:
		return b.project(n)
	case *plan.ProjectSet:
		return b.projectSet(n)
	case *plan.FunctionScan:
		return b.functionScan(n)
	case *plan.Limit:
		return b.limit(n)
	case *plan.Sort:
		return b.sort(n)
	case *plan.Distinct:
		return b.distinct(n)
	case *plan.SetOp:
		return b.setOp(n)
	case *plan.LockRows:
		return b.lockRows(n)
	case *plan.With:
		return b.with(n)
	case *plan.CTEScan:
		return b.cteScan(n)
	case *plan.RecursiveCTE:
		return b.recursive(n)
	case *plan.WorkTableScan:
		return b.workTable(n)
	case *plan.ConflictRows:
		b.conflict = &conflictRows{}
		return b.conflict, nil
	}
	return b.operator2(n)
}

func (b *builder) operator2(n plan.Node) (Operator, error) {
	switch n := n.(type) {
	case *plan.Aggregate:
		return b.aggregate(n)
	case *plan.GroupingSets:
		return b.groupingSets(n)
	case *plan.Window:
		return b.window(n)
	case *plan.HashJoin:
		return b.hashJoin(n)
	case *plan.MergeJoin:
		return b.mergeJoin(n)
	case *plan.NestedLoop:
		return b.nestedLoop(n)
	case *plan.LookupJoin:
		return b.lookupJoin(n)
	case *plan.Apply:
		return b.apply(n)
	case *plan.Mutation:
		return b.mutation(n)
	}
	return nil, types.Errorf(types.CodeFeatureNotSupported, "plan node %T cannot be executed", n)
}

// mapScalar replaces column ids by places in cols.
func mapScalar(e plan.Scalar, cols []plan.Column) (plan.Scalar, error) {
	var bad error
	out := expr.MapColumns(e, func(c *expr.ColumnRef) expr.Expr {
		for i := range cols {
			if cols[i].ID == c.ID {
				d := *c
				d.ID = expr.ColID(i)
				return &d
			}
		}
		bad = fmt.Errorf("exec: column %d (%s) is not in the input", c.ID, c.Name)
		return c
	})
	return out, bad
}

// compile compiles scalars over rows of the given columns.
func compile(es []plan.Scalar, cols []plan.Column) (*scan.Instance, error) {
	mapped := make([]expr.Expr, len(es))
	for i, e := range es {
		m, err := mapScalar(e, cols)
		if err != nil {
			return nil, err
		}
		mapped[i] = m
	}
	x, err := scan.Compile(mapped)
	if err != nil {
		return nil, err
	}
	return x.New(), nil
}

// compileOpt is compile for a list that may be empty: nil then.
func compileOpt(es []plan.Scalar, cols []plan.Column) (*scan.Instance, error) {
	if len(es) == 0 {
		return nil, nil
	}
	return compile(es, cols)
}

// place finds a column id.
func place(cols []plan.Column, id plan.ColID) (int, error) {
	for i := range cols {
		if cols[i].ID == id {
			return i, nil
		}
	}
	return 0, fmt.Errorf("exec: column %d is not in the input", id)
}

func places(cols []plan.Column, ids []plan.ColID) ([]int, error) {
	out := make([]int, len(ids))
	for i, id := range ids {
		p, err := place(cols, id)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

func columnTypes(cols []plan.Column) []types.Type {
	out := make([]types.Type, len(cols))
	for i := range cols {
		out[i] = cols[i].Type
	}
	return out
}

// single evaluates one scalar that reads parameters only. Constants and
// parameters, which are nearly all, take no program.
type single struct {
	e    plan.Scalar
	kind uint8 // of parameter, if direct
	num  int
	mode uint8
	inst *scan.Instance
}

const (
	singleConst uint8 = iota
	singleParam
	singleProgram
)

func newSingle(e plan.Scalar) (*single, error) {
	s := &single{e: e}
	x := e
	for {
		r, ok := x.(*expr.Relabel)
		if !ok {
			break
		}
		x = r.Arg
	}
	switch c := x.(type) {
	case *expr.Const:
		s.e = c
		return s, nil
	case *expr.Param:
		s.mode, s.kind, s.num = singleParam, uint8(c.Kind), c.Num
		return s, nil
	}
	s.mode = singleProgram
	var err error
	s.inst, err = compile([]plan.Scalar{e}, nil)
	return s, err
}

func newSingles(es []plan.Scalar) ([]*single, error) {
	out := make([]*single, len(es))
	for i, e := range es {
		s, err := newSingle(e)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

// value evaluates the scalar.
func (s *single) value(c *builtin.Ctx) (types.Datum, error) {
	switch s.mode {
	case singleConst:
		return s.e.(*expr.Const).Value, nil
	case singleParam:
		list := c.Params
		switch expr.ParamKind(s.kind) {
		case expr.ParamLiteral:
			list = c.Literals
		case expr.ParamExec:
			list = c.ExecParams
		}
		if s.num >= len(list) {
			return types.Null, types.Errorf(types.CodeUndefinedParameter, "there is no parameter $%d", s.num+1)
		}
		return list[s.num], nil
	}
	vs, err := s.inst.Eval(c, &vec.Batch{N: 1})
	if err != nil {
		return types.Null, err
	}
	return vs[0].Datum(0), nil
}

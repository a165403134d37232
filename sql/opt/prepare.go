package opt

import (
	"context"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// Options are what planning needs besides the statement and the catalog.
type Options struct {
	// Params are the declared types of $1, $2, ...; a zero or unknown type is
	// inferred.
	Params []types.Type
	// NoParams refuses parameters.
	NoParams bool
	// Settings are what literals are read under; nil means the defaults.
	Settings *types.Settings
	// ParseView parses the query of a view.
	ParseView func(query string) (ast.Node, error)
	// Allow checks privileges; see bind.Options.
	Allow func(role types.OID, d catalog.Descriptor, privilege byte) error
	// Stats returns a table's statistics, or nil.
	Stats func(table types.OID) *stats.Table
	// Values are those of $1, $2, ... for a custom plan, which is good for them
	// alone; nil makes a generic one.
	Values []types.Datum
	// Naive skips all rules: for comparing answers.
	Naive bool
}

func (o *Options) bindOptions() bind.Options {
	st := o.Settings
	if st == nil {
		st = types.DefaultSettings()
	}
	return bind.Options{Params: o.Params, NoParams: o.NoParams, ParseView: o.ParseView, Allow: o.Allow, Input: func(t types.Type, text string) (types.Datum, error) {
		return types.ParseText(t, text, st)
	}}
}

// Prepare plans one statement.
func Prepare(ctx context.Context, stmt ast.Node, r catalog.Resolver, o Options) (*plan.Plan, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	res, err := bind.Bind(stmt, r, o.bindOptions())
	if err != nil {
		return nil, err
	}
	gen, shared := r.Generation()
	p := &plan.Plan{
		Root: res.Root, Tag: res.Tag, Params: res.Params, Literals: res.Literals, Result: res.Result,
		Generation: gen, Dependencies: res.Depends, Notices: res.Notices,
	}
	p.Flags.Uncacheable = !shared
	p.Flags.SettingsBound = res.Settings
	if ex, ok := res.Root.(*plan.Explain); ok {
		if ex.Target, err = Prepare(ctx, ex.Stmt, r, o); err != nil {
			return nil, err
		}
		p.Params, p.Literals, p.Dependencies = ex.Target.Params, ex.Target.Literals, ex.Target.Dependencies
		p.ExecParams = ex.Target.ExecParams
		finish(p)
		return p, nil
	}
	if o.Values != nil {
		withValues(p, o.Values)
	}
	c := &optimizer{opts: o, next: res.NextCol}
	if !o.Naive {
		p.Root = c.optimize(p.Root)
	}
	finish(p)
	return p, nil
}

// withValues puts the values of parameters in their places.
func withValues(p *plan.Plan, values []types.Datum) {
	p.Flags.Uncacheable = true
	plan.Walk(p.Root, func(n plan.Node) {
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			return expr.Rewrite(e, func(x expr.Expr) expr.Expr {
				if v, ok := x.(*expr.Param); ok && v.Kind == expr.ParamExternal && v.Num < len(values) {
					return &expr.Const{Value: values[v.Num], Typ: v.Typ, Location: v.Location}
				}
				return x
			})
		})
	})
}

// optimizer carries what rules need.
type optimizer struct {
	opts Options
	next plan.ColID
	cols map[plan.ColID]colInfo
	// underLimit is a locking node that must not hand its lock to a scan.
	underLimit *plan.LockRows
}

func (c *optimizer) newCol() plan.ColID {
	id := c.next
	c.next++
	return id
}

func (c *optimizer) stats(t *catalog.Table) *stats.Table {
	if c.opts.Stats == nil || t == nil {
		return nil
	}
	return c.opts.Stats(t.ID)
}

// optimize runs the phases in order.
func (c *optimizer) optimize(n plan.Node) plan.Node {
	n = c.inlineCTEs(n)
	n = c.fold(n)
	n = reshape(c.decorrelate(n))
	n = reshape(c.pushDown(n))
	n = reshape(c.orderJoins(n))
	c.prune(n)
	n = c.chooseAccess(n)
	n = c.chooseJoins(n)
	n = reshape(n)
	n = c.orderings(n)
	n = c.aggregates(n)
	n = c.tidy(n)
	c.orderFilters(n)
	c.estimate(n)
	return n
}

func ref(c plan.Column) *expr.ColumnRef {
	r := &expr.ColumnRef{ID: c.ID, Typ: c.Type, Name: c.Name}
	if types.IsCollatable(c.Type.OID) {
		r.Collation = catalog.DefaultCollationOID
	}
	return r
}

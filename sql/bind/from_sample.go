package bind

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

const randomOID types.OID = 1598

// rangeSample binds TABLESAMPLE: each row is taken with the probability that is
// asked for, whichever of the two methods is named.
func (q *query) rangeSample(n *ast.RangeTableSample, left []*item) (source, error) {
	src, err := q.fromEntry(n.Relation, left)
	if err != nil {
		return source{}, err
	}
	it := src.items[0]
	if it.table == nil || it.table.Virtual {
		loc := n.Location
		if rv, ok := n.Relation.(*ast.RangeVar); ok {
			loc = rv.Location
		}
		return source{}, types.Errorf(types.CodeFeatureNotSupported, "TABLESAMPLE clause can only be applied to tables and materialized views").At(position(loc))
	}
	names := stringsOf(n.Method)
	method := names[len(names)-1]
	switch {
	case method != "bernoulli" && method != "system":
		return source{}, types.Errorf(types.CodeUndefinedObject, "tablesample method %s does not exist", method).At(position(n.Location))
	case len(n.Args) != 1:
		return source{}, types.Errorf(types.CodeInvalidTablesampleArgument, "tablesample method %s requires %d argument, not %d", method, 1, len(n.Args)).At(position(n.Location))
	case n.Repeatable != nil:
		return source{}, types.Errorf(types.CodeFeatureNotSupported, "TABLESAMPLE %s with REPEATABLE is not supported", strings.ToUpper(method)).At(position(n.Location))
	}
	if l, lifted := n.Args[0].(*ast.LiftedConst); lifted {
		// The percentage is judged here, so it has to be known.
		return source{}, unsupported(l, l.Location)
	}
	var share expr.Expr
	err = q.beside(left, false, func() error {
		if share, err = q.expr(n.Args[0]); err == nil {
			share, err = q.b.coerce(share, types.Of(types.Float8OID), pgfacts.Assignment, "", expr.LocationOf(share)-1)
		}
		return err
	})
	if err != nil {
		return source{}, err
	}
	if c, ok := share.(*expr.Const); ok {
		switch {
		case c.Value.IsNull():
			return source{}, types.Errorf(types.CodeInvalidTablesampleArgument, "TABLESAMPLE parameter cannot be null")
		case !(c.Value.Float() >= 0 && c.Value.Float() <= 100):
			return source{}, types.Errorf(types.CodeInvalidTablesampleArgument, "sample percentage must be between 0 and 100")
		}
	}
	random := &expr.FuncExpr{Func: randomOID, Name: "random", Typ: types.Of(types.Float8OID)}
	percent := &expr.Const{Value: types.NewFloat(100), Typ: types.Of(types.Float8OID)}
	drawn, err := q.b.op("*", random, percent, -1)
	if err != nil {
		return source{}, err
	}
	if drawn, err = q.b.op("<", drawn, share, -1); err != nil {
		return source{}, err
	}
	src.node = &plan.Filter{Base: plan.Base{Out: src.node.Columns()}, Input: src.node, Conds: []expr.Expr{drawn}}
	return src, nil
}

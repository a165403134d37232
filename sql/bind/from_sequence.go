package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

const sequenceLastValueOID types.OID = 4032

// sequenceSource reads a sequence as a table of one row: the last value given
// out, or the first one to come.
func (b *binder) sequenceSource(d *catalog.Sequence, alias, schema string, n *ast.RangeVar) (source, error) {
	last := func() expr.Expr {
		return &expr.FuncExpr{Func: sequenceLastValueOID, Name: "pg_sequence_last_value", Typ: types.Int8Type, Args: []expr.Expr{
			&expr.Const{Value: types.NewInt(int64(d.ID)), Typ: types.RegClassType},
		}}
	}
	start := &expr.Const{Value: types.NewInt(d.Start), Typ: types.Int8Type}
	values := []struct {
		name string
		e    expr.Expr
	}{
		{"last_value", &expr.Coalesce{Args: []expr.Expr{last(), start}, Typ: types.Int8Type}},
		{"log_cnt", &expr.Const{Value: types.NewInt(0), Typ: types.Int8Type}},
		{"is_called", &expr.NullTest{Arg: last(), Not: true}},
	}
	p := &plan.Project{Input: oneRow()}
	it := &item{alias: alias, schema: schema, relVisible: true, colsVisible: true}
	for _, v := range values {
		id := b.newCol(v.name, v.e.Type())
		p.Out = append(p.Out, plan.Column{ID: id, Name: v.name, Type: v.e.Type()})
		p.Exprs = append(p.Exprs, v.e)
		it.cols = append(it.cols, column{name: v.name, id: id, typ: v.e.Type()})
	}
	if err := it.rename(n.Alias); err != nil {
		return source{}, err
	}
	return source{p, []*item{it}}, nil
}

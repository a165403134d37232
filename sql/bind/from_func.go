package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// rangeFunction binds functions in FROM; their arguments may use entries to the
// left without LATERAL.
func (q *query) rangeFunction(n *ast.RangeFunction, left []*item) (source, error) {
	scan := &plan.FunctionScan{Ordinality: n.Ordinality}
	alias := ""
	if n.Alias != nil {
		alias = n.Alias.Aliasname
	}
	it := &item{colsVisible: true, relVisible: true}
	err := q.beside(left, true, func() error {
		for _, f := range n.Functions {
			if err := q.oneFunction(n, f, alias, scan, it); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return source{}, err
	}
	if it.alias = alias; alias == "" {
		it.alias = funcAlias(n)
	}
	scan.Alias = it.alias
	if n.Ordinality {
		q.b.addFuncColumn(scan, it, "ordinality", types.Int8Type)
	}
	if err := it.rename(n.Alias); err != nil {
		return source{}, err
	}
	return source{scan, []*item{it}}, nil
}

func funcAlias(n *ast.RangeFunction) string {
	if len(n.Functions) == 0 {
		return ""
	}
	f := n.Functions[0]
	if l, ok := f.(*ast.List); ok && len(l.Items) > 0 {
		f = l.Items[0]
	}
	return figureName(f)
}

func (b *binder) addFuncColumn(scan *plan.FunctionScan, it *item, name string, t types.Type) {
	id := b.newCol(name, t)
	scan.Out = append(scan.Out, plan.Column{ID: id, Name: name, Type: t})
	it.cols = append(it.cols, column{name: name, id: id, typ: t})
}

func (q *query) oneFunction(n *ast.RangeFunction, f ast.Node, alias string, scan *plan.FunctionScan, it *item) error {
	defs := n.Coldeflist
	if l, ok := f.(*ast.List); ok && len(l.Items) > 0 {
		if len(l.Items) > 1 {
			if d, ok := l.Items[1].(*ast.List); ok && len(d.Items) > 0 {
				defs = d.Items
			}
		}
		f = l.Items[0]
	}
	// unnest of several arrays means several unnests in lockstep.
	if c, ok := f.(*ast.FuncCall); ok && len(c.Args) > 1 && figureName(c) == "unnest" {
		for _, a := range c.Args {
			one := *c
			one.Args = []ast.Node{a}
			if err := q.oneFunction(n, &one, "", scan, it); err != nil {
				return err
			}
		}
		return nil
	}
	e, err := q.expr(f)
	if err != nil {
		return err
	}
	if e, err = q.b.resolveUnknown(e); err != nil {
		return err
	}
	before := len(scan.Out)
	if err := q.functionColumns(e, f, alias, defs, scan, it); err != nil {
		return err
	}
	if fn, ok := e.(*expr.FuncExpr); ok && len(defs) > 0 && takesShape(fn.Name) {
		e = withShape(fn, scan.Out[before:])
	}
	scan.Calls = append(scan.Calls, e)
	scan.Widths = append(scan.Widths, len(scan.Out)-before)
	return nil
}

func (q *query) functionColumns(e expr.Expr, f ast.Node, alias string, defs []ast.Node, scan *plan.FunctionScan, it *item) error {
	if len(defs) > 0 {
		if e.Type().OID != types.RecordOID {
			return types.Errorf(types.CodeSyntaxError, "a column definition list is only allowed for functions returning \"record\"").At(expr.LocationOf(e))
		}
		for _, d := range defs {
			cd, ok := d.(*ast.ColumnDef)
			if !ok {
				return unsupported(d, -1)
			}
			t, err := q.b.typeName(cd.TypeName)
			if err != nil {
				return err
			}
			q.b.addFuncColumn(scan, it, cd.Colname, t)
		}
		return nil
	}
	if fn, ok := e.(*expr.FuncExpr); ok {
		if p, ok := pgfacts.ProcByOID(fn.Func); ok && p.AllArgs != nil {
			if q.b.outColumns(p, scan, it) {
				return nil
			}
		}
		if fn.Typ.OID == types.RecordOID {
			return types.Errorf(types.CodeSyntaxError, "a column definition list is required for functions returning \"record\"").At(fn.Location)
		}
	}
	name := resultName(e)
	if name == "" {
		name = alias
	}
	if name == "" {
		name = figureName(f)
	}
	q.b.addFuncColumn(scan, it, name, e.Type())
	return nil
}

// resultName is the name of a function's one OUT argument; empty if there is
// none or no such function.
func resultName(e expr.Expr) string {
	fn, ok := e.(*expr.FuncExpr)
	if !ok {
		return ""
	}
	if p, ok := pgfacts.ProcByOID(fn.Func); ok {
		if outs := outArgs(p); len(outs) == 1 {
			return outs[0].name
		}
	}
	return ""
}

// outArg is an OUT argument of a function.
type outArg struct {
	name string
	typ  types.OID
}

func outArgs(p *pgfacts.Proc) []outArg {
	var outs []outArg
	for i, t := range p.AllArgs {
		if i < len(p.ArgModes) && (p.ArgModes[i] == 'o' || p.ArgModes[i] == 't' || p.ArgModes[i] == 'b') {
			o := outArg{typ: t}
			if i < len(p.ArgNames) {
				o.name = p.ArgNames[i]
			}
			outs = append(outs, o)
		}
	}
	return outs
}

// outColumns adds a column for each OUT argument, if there are several.
func (b *binder) outColumns(p *pgfacts.Proc, scan *plan.FunctionScan, it *item) bool {
	outs := outArgs(p)
	if len(outs) < 2 || p.Ret != types.RecordOID {
		return false
	}
	for _, o := range outs {
		b.addFuncColumn(scan, it, o.name, types.Of(o.typ))
	}
	return true
}

// takesShape reports whether a function has to know the columns that its caller
// expects.
func takesShape(name string) bool {
	switch name {
	case "json_to_record", "jsonb_to_record", "json_to_recordset", "jsonb_to_recordset":
		return true
	}
	return false
}

// withShape passes the columns of a definition list on to the function: their
// names, types and modifiers, as arrays behind its own arguments.
func withShape(f *expr.FuncExpr, cols []plan.Column) expr.Expr {
	var names, oids, mods []types.Datum
	for _, c := range cols {
		names = append(names, types.NewString(c.Name))
		oids = append(oids, types.NewInt(int64(c.Type.OID)))
		mods = append(mods, types.NewInt(int64(c.Type.Mod)))
	}
	array := func(elem types.OID, vs []types.Datum) expr.Expr {
		return &expr.Const{Typ: types.Of(types.ArrayOf(elem)), Value: types.ArrayDatum(types.NewArray(elem, vs))}
	}
	shaped := *f
	shaped.Args = append(append([]expr.Expr(nil), f.Args...), array(types.TextOID, names), array(types.OIDOID, oids), array(types.Int4OID, mods))
	return &shaped
}

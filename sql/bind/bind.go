package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// Options are what binding needs besides the catalog.
type Options struct {
	// Params are the declared types of $1, $2, ...; a zero or unknown type is
	// inferred, as are parameters beyond.
	Params []types.Type
	// NoParams refuses parameters: nobody can give them values.
	NoParams bool
	// Input reads a literal; it is the type's input function under the
	// session's settings.
	Input func(t types.Type, text string) (types.Datum, error)
	// ParseView parses the query of a view.
	ParseView func(query string) (ast.Node, error)
	// Trace asks for the result's Trace.
	Trace bool
	// Allow fails if a role lacks a privilege (by PostgreSQL's letter: r, a, w, d)
	// on a relation, or U on a schema; nil allows everything. The role is the owner
	// of the view that names the relation, 0 for the session's own.
	Allow func(role types.OID, d catalog.Descriptor, privilege byte) error
}

// Result is a bound statement.
type Result struct {
	Root     plan.Node
	Tag      plan.Tag
	Params   []types.Type
	Literals []plan.Literal
	Result   []plan.ResultColumn
	Depends  []plan.Dependency
	// Settings says that a literal was read under session settings (dates and
	// times), so that the plan is good for sessions with the same ones only.
	Settings bool
	// Trace tells what names stand for, if Options asked for it.
	Trace *Trace
	// Notices are what the client is told about the statement.
	Notices []*types.Error
	// NextCol is the first column id that is free.
	NextCol plan.ColID
}

// binder is the state of binding one statement.
type binder struct {
	resolver catalog.Resolver
	opts     Options
	meta     []colMeta // by column id
	params   []types.Type
	literals []plan.Literal
	depends  map[types.OID]uint64
	order    []types.OID // of depends
	settings bool
	// exact keeps number literals as they were written, for expressions that are
	// shown again.
	exact   bool
	untyped bool // a parameter or lifted literal was met before its type
	ctes    int
	depth   int
	notices []*types.Error
	views   []types.OID // being expanded
	// rows are the columns of the rows that a writer changes.
	rows map[plan.ColID]*writer
	// freeze is what the names in the view being expanded stand for.
	freeze map[*ast.RangeVar]*catalog.ViewRef
	trace  *Trace
}

// colMeta is what the binder remembers of a column id.
type colMeta struct {
	name  string
	typ   types.Type
	coll  types.OID
	item  string // alias of its FROM entry
	table types.OID
	attr  catalog.ColumnID
}

// maxDepth bounds the nesting of expressions and queries, so that no statement
// overflows a stack.
const maxDepth = 4500

func newBinder(r catalog.Resolver, o Options) *binder {
	b := &binder{resolver: r, opts: o, meta: make([]colMeta, 1, 16)}
	b.params = append(b.params, o.Params...)
	for i := range b.params {
		if b.params[i].OID == 0 {
			b.params[i] = types.UnknownType
		}
	}
	return b
}

// Bind binds one statement.
func Bind(stmt ast.Node, r catalog.Resolver, o Options) (*Result, error) {
	b := newBinder(r, o)
	if o.Trace {
		b.trace = newTrace()
	}
	res, err := b.statement(stmt)
	if err != nil {
		return nil, err
	}
	res.Trace = b.trace
	if err := b.settleParams(); err != nil {
		return nil, err
	}
	b.settleTree(res.Root)
	res.Params, res.Literals = b.params, b.literals
	res.Settings, res.Notices = b.settings, b.notices
	res.NextCol = plan.ColID(len(b.meta))
	for _, oid := range b.order {
		res.Depends = append(res.Depends, plan.Dependency{OID: oid, Version: b.depends[oid]})
	}
	return res, nil
}

func (b *binder) statement(stmt ast.Node) (*Result, error) {
	switch s := stmt.(type) {
	case *ast.RawStmt:
		return b.statement(s.Stmt)
	case *ast.SelectStmt:
		if s.IntoClause != nil {
			return b.utility(s, s)
		}
		rel, err := b.selectStmt(nil, s, nil)
		if err != nil {
			return nil, err
		}
		rel, err = b.settleUnknown(rel)
		if err != nil {
			return nil, err
		}
		return &Result{Root: rel.node, Tag: plan.TagSelect, Result: b.resultColumns(rel)}, nil
	case *ast.InsertStmt:
		return b.mutation(plan.TagInsert, func() (*relation, error) { return b.insert(nil, s) })
	case *ast.UpdateStmt:
		return b.mutation(plan.TagUpdate, func() (*relation, error) { return b.update(nil, s) })
	case *ast.DeleteStmt:
		return b.mutation(plan.TagDelete, func() (*relation, error) { return b.delete(nil, s) })
	case *ast.ExplainStmt:
		return b.explain(s)
	}
	return b.utility(stmt, nil)
}

func (b *binder) mutation(tag plan.Tag, f func() (*relation, error)) (*Result, error) {
	rel, err := f()
	if err != nil {
		return nil, err
	}
	if rel, err = b.settleUnknown(rel); err != nil {
		return nil, err
	}
	res := &Result{Root: rel.node, Tag: tag}
	if len(rel.cols) > 0 {
		res.Result = b.resultColumns(rel)
	}
	return res, nil
}

// allowed asks whether the statement, or the view in it that is being expanded, may
// do that to a relation it names.
func (b *binder) allowed(d catalog.Descriptor, privilege byte) error {
	if b.opts.Allow == nil {
		return nil
	}
	role := types.OID(0)
	if n := len(b.views); n > 0 {
		v, ok := b.resolver.ByOID(b.views[n-1])
		view, isView := v.(*catalog.View)
		if ok && !(isView && view.ByInvoker()) {
			role = v.Head().Owner
		}
	}
	return b.opts.Allow(role, d, privilege)
}

// relation is a bound query: a node and the columns that it shows, in order.
type relation struct {
	node plan.Node
	cols []outCol
}

// outCol is a column of a bound query.
type outCol struct {
	name string
	id   plan.ColID
	typ  types.Type
	loc  int // where it stands in the statement, from 1; 0 unknown
}

func (b *binder) resultColumns(rel *relation) []plan.ResultColumn {
	out := make([]plan.ResultColumn, len(rel.cols))
	for i, c := range rel.cols {
		m := b.meta[c.id]
		out[i] = plan.ResultColumn{Name: c.name, Type: c.typ, Table: m.table, Attr: m.attr}
	}
	return out
}

// settleUnknown makes the columns of the outermost query that are still
// untyped literals text, as PostgreSQL does.
func (b *binder) settleUnknown(rel *relation) (*relation, error) {
	none := true
	for _, c := range rel.cols {
		none = none && c.typ.OID != types.UnknownOID
	}
	if none {
		return rel, nil
	}
	target := make([]types.Type, len(rel.cols))
	for i, c := range rel.cols {
		if target[i] = c.typ; c.typ.OID == types.UnknownOID {
			target[i] = types.TextType
		}
	}
	return b.retype(rel, target)
}

// retype gives the columns of a query other types. Where they come from a
// Project or Values just below, literals are read as the new type directly.
func (b *binder) retype(rel *relation, target []types.Type) (*relation, error) {
	same := true
	for i, c := range rel.cols {
		same = same && c.typ == target[i]
	}
	if same {
		return rel, nil
	}
	exprs := make([]expr.Expr, len(rel.cols))
	cols := make([]outCol, len(rel.cols))
	out := make([]plan.Column, len(rel.cols))
	for i, c := range rel.cols {
		e := b.unknownSource(rel.node, c)
		if c.typ != target[i] {
			var err error
			if e, err = b.coerce(e, target[i], implicitOrText(c.typ), "", -1); err != nil {
				return nil, err
			}
			id := b.newCol(c.name, target[i])
			cols[i] = outCol{c.name, id, target[i], c.loc}
		} else {
			cols[i] = c
		}
		exprs[i] = e
		out[i] = plan.Column{ID: cols[i].id, Name: c.name, Type: cols[i].typ}
	}
	return &relation{&plan.Project{Base: plan.Base{Out: out}, Input: rel.node, Exprs: exprs}, cols}, nil
}

// unknownSource returns the literal behind a column of type unknown, if it is
// to be found, else a reference to the column.
func (b *binder) unknownSource(n plan.Node, c outCol) expr.Expr {
	ref := b.ref(c.id, c.typ)
	if c.typ.OID != types.UnknownOID {
		return ref
	}
	for {
		switch x := n.(type) {
		case *plan.Project:
			for i, o := range x.Out {
				if o.ID == c.id {
					switch e := x.Exprs[i].(type) {
					case *expr.Const, *expr.Param:
						return e
					case *expr.ColumnRef:
						return b.unknownSource(x.Input, outCol{c.name, e.ID, e.Typ, c.loc})
					}
					return ref
				}
			}
			return ref
		case *plan.Sort:
			n = x.Input
		case *plan.Limit:
			n = x.Input
		case *plan.Filter:
			n = x.Input
		default:
			return ref
		}
	}
}

func (b *binder) newCol(name string, t types.Type) plan.ColID {
	b.meta = append(b.meta, colMeta{name: name, typ: t, coll: collationOf(t)})
	return plan.ColID(len(b.meta) - 1)
}

func (b *binder) ref(id plan.ColID, t types.Type) *expr.ColumnRef {
	m := &b.meta[id]
	return &expr.ColumnRef{ID: id, Typ: t, Collation: m.coll, Name: m.name}
}

func collationOf(t types.Type) types.OID {
	if types.IsCollatable(t.OID) {
		return catalog.DefaultCollationOID
	}
	return 0
}

func (b *binder) dependOn(h *catalog.Header) {
	if b.depends == nil {
		b.depends = make(map[types.OID]uint64, 4)
	}
	if _, ok := b.depends[h.ID]; !ok {
		b.order = append(b.order, h.ID)
	}
	b.depends[h.ID] = h.Version
}

// settleParams gives parameters that nothing typed the type text, and refuses
// numbers that are not used at all.
func (b *binder) settleParams() error {
	for i := range b.params {
		if b.params[i].OID == types.UnknownOID {
			return types.Errorf(types.CodeIndeterminateDatatype, "could not determine data type of parameter $%d", i+1)
		}
	}
	return nil
}

// settleTree types what stayed unknown: values below a projection that reads
// them as another type already, which only a naive plan computes.
func (b *binder) settleTree(root plan.Node) {
	if !b.untyped {
		return
	}
	plan.Walk(root, func(n plan.Node) {
		plan.MapScalars(n, func(e plan.Scalar) plan.Scalar {
			return expr.Rewrite(e, func(x expr.Expr) expr.Expr {
				p, ok := x.(*expr.Param)
				if !ok || p.Typ.OID != types.UnknownOID {
					return x
				}
				if p.Kind == expr.ParamLiteral {
					return b.literal(-p.Num-1, types.TextType, p.Location)
				}
				c := *p
				c.Typ = b.params[p.Num]
				return &c
			})
		})
	})
}

// enter guards recursion.
func (b *binder) enter() error {
	if b.depth++; b.depth > maxDepth {
		return types.Errorf(types.CodeStatementTooComplex, "stack depth limit exceeded").
			WithHint("The statement nests too deeply.")
	}
	return nil
}

func (b *binder) leave() { b.depth-- }

// unsupported is the one place where what the binder does not know is refused.
func unsupported(n ast.Node, loc int) error {
	what := "this statement"
	if n != nil {
		what = n.Tag().String()
	}
	return types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", what).At(position(loc))
}

// position turns a byte offset of the syntax tree into an error position.
func position(loc int) int {
	if loc < 0 {
		return 0
	}
	return loc + 1
}

// at adds a position to an error that has none.
func at(err error, loc int) error {
	if e, ok := err.(*types.Error); ok && loc >= 0 {
		return e.At(position(loc))
	}
	return err
}

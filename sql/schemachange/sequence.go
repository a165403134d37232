package schemachange

import (
	"math"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/types"
)

func quoteIdent(s string) string { return pgcatalog.QuoteIdent(s) }

// Oids of what a serial column's default calls.
const (
	nextvalProc types.OID = 1574
	int8ToInt4  types.OID = 480
	int8ToInt2  types.OID = 714
)

// nextvalExpr is nextval(seq), as the column's type.
func nextvalExpr(seq types.OID, to types.Type) (expr.Expr, error) {
	call := expr.Expr(&expr.FuncExpr{Func: nextvalProc, Args: []expr.Expr{&expr.Const{Typ: types.Of(types.RegClassOID), Value: types.NewInt(int64(seq))}},
		Typ: types.Of(types.Int8OID)})
	switch to.OID {
	case types.Int4OID:
		call = &expr.FuncExpr{Func: int8ToInt4, Args: []expr.Expr{call}, Typ: to, Form: expr.ImplicitCast}
	case types.Int2OID:
		call = &expr.FuncExpr{Func: int8ToInt2, Args: []expr.Expr{call}, Typ: to, Form: expr.ImplicitCast}
	}
	return call, nil
}

// sequenceFor makes the sequence of a serial or identity column.
func (m *tableMaker) sequenceFor(c *catalog.Column, typ types.OID, options []ast.Node) (*catalog.Sequence, error) {
	var taken []string
	for _, d := range m.put {
		taken = append(taken, d.Head().Name)
	}
	h, err := m.header(m.freeName(m.t.Schema, append(taken, m.names()...), m.t.Name, c.Name, "seq"), nil)
	if err != nil {
		return nil, err
	}
	h.Schema, h.Owner = m.t.Schema, m.t.Owner
	q := &catalog.Sequence{Header: h, Type: typ, OwnerTable: m.t.ID, OwnerColumn: c.ID, StorageID: 1}
	return q, m.sequenceOptions(q, options, true)
}

func (e *Env) createSequence(s *ast.CreateSeqStmt) error {
	n := rangeName(s.Sequence)
	sc, err := e.schemaFor(s.Sequence)
	if err != nil {
		return err
	}
	if e.relationExists(sc, n.Name) {
		if s.IfNotExists {
			e.notice(types.CodeDuplicateTable, "relation \"%s\" already exists, skipping", n.Name)
			return nil
		}
		return duplicateRelation(n.Name)
	}
	h, err := e.header(n.Name, sc)
	if err != nil {
		return err
	}
	q := &catalog.Sequence{Header: h, Type: types.Int8OID, StorageID: 1}
	if err := e.sequenceOptions(q, s.Options, true); err != nil {
		return err
	}
	e.Change.Put(q)
	return nil
}

func (e *Env) alterSequence(s *ast.AlterSeqStmt) error {
	n := rangeName(s.Sequence)
	d, ok := e.resolver().Relation(n)
	if !ok {
		if s.MissingOk {
			e.notice("00000", "relation \"%s\" does not exist, skipping", n)
			return nil
		}
		return types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
	}
	q, ok := d.(*catalog.Sequence)
	if !ok {
		return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a sequence", n.Name)
	}
	if err := e.mustOwn(&q.Header, "sequence"); err != nil {
		return err
	}
	q, err := clone(q)
	if err != nil {
		return err
	}
	was := *q
	if err := e.sequenceOptions(q, s.Options, false); err != nil {
		return err
	}
	if q.StorageID == was.StorageID && (q.Increment != was.Increment || q.Start != was.Start) {
		return e.recount(q)
	}
	e.Change.Put(q)
	return nil
}

// recount gives a sequence a new counter that goes on after the last value: a
// counter means what it does by the sequence's start and increment.
func (e *Env) recount(q *catalog.Sequence) error {
	oid := strconv.FormatUint(uint64(q.ID), 10) + "::regclass"
	var last types.Datum
	err := e.Query(e.Ctx, "SELECT pg_catalog.pg_sequence_last_value("+oid+")", func(r []types.Datum) error {
		last = r[0]
		return nil
	})
	if err != nil {
		return err
	}
	q.StorageID++
	e.Change.Put(q)
	if last.IsNull() {
		return nil
	}
	return e.Query(e.Ctx, "SELECT pg_catalog.setval("+oid+", "+strconv.FormatInt(last.Int(), 10)+")", nil)
}

// sequenceOptions applies options to a sequence; a new one gets defaults.
func (e *Env) sequenceOptions(q *catalog.Sequence, options []ast.Node, isNew bool) error {
	given := map[string]*ast.DefElem{}
	for _, n := range options {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		if _, dup := given[d.Defname]; dup {
			return types.Errorf(types.CodeSyntaxError, "conflicting or redundant options").At(position(d.Location))
		}
		given[d.Defname] = d
	}
	was := q.Type
	if d := given["as"]; d != nil {
		if err := e.sequenceType(q, d); err != nil {
			return err
		}
	}
	if isNew {
		q.Increment, q.Cache = 1, 1
	}
	if err := setInt(&q.Increment, given["increment"]); err != nil {
		return err
	}
	if q.Increment == 0 {
		return types.Errorf(types.CodeInvalidParameterValue, "INCREMENT must not be zero")
	}
	if err := sequenceBounds(q, was, given, isNew); err != nil {
		return err
	}
	if isNew && given["start"] == nil {
		q.Start = q.Min
		if q.Increment < 0 {
			q.Start = q.Max
		}
	}
	if err := setInt(&q.Start, given["start"]); err != nil {
		return err
	}
	if q.Start < q.Min || q.Start > q.Max {
		what := "less than MINVALUE (" + strconv.FormatInt(q.Min, 10)
		if q.Start > q.Max {
			what = "greater than MAXVALUE (" + strconv.FormatInt(q.Max, 10)
		}
		return types.Errorf(types.CodeInvalidParameterValue, "START value (%d) cannot be %s)", q.Start, what)
	}
	if err := setInt(&q.Cache, given["cache"]); err != nil {
		return err
	}
	if q.Cache < 1 {
		return types.Errorf(types.CodeInvalidParameterValue, "CACHE (%d) must be greater than zero", q.Cache)
	}
	if d := given["cycle"]; d != nil {
		q.Cycle = defBool(d)
	}
	if d := given["restart"]; d != nil && !isNew {
		return e.restartSequence(q, d)
	}
	if d := given["owned_by"]; d != nil {
		return e.ownedBy(q, d)
	}
	return nil
}

func (e *Env) sequenceType(q *catalog.Sequence, d *ast.DefElem) error {
	tn, ok := d.Arg.(*ast.TypeName)
	if !ok {
		return types.Errorf(types.CodeSyntaxError, "sequence type is missing")
	}
	t, err := bind.TypeOf(e.resolver(), tn)
	if err != nil {
		return err
	}
	if t.OID != types.Int2OID && t.OID != types.Int4OID && t.OID != types.Int8OID {
		return types.Errorf(types.CodeInvalidParameterValue, "sequence type must be smallint, integer, or bigint")
	}
	q.Type = t.OID
	return nil
}

// sequenceRange is the range of a sequence's type.
func sequenceRange(t types.OID) (low, high int64) {
	switch t {
	case types.Int2OID:
		return math.MinInt16, math.MaxInt16
	case types.Int4OID:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

// sequenceBounds sets the bounds. Those that were the bounds of the type that the
// sequence had become those of its new type.
func sequenceBounds(q *catalog.Sequence, was types.OID, given map[string]*ast.DefElem, isNew bool) error {
	low, high := sequenceRange(q.Type)
	oldLow, oldHigh := sequenceRange(was)
	isRetyped := !isNew && given["as"] != nil
	resetMin, resetMax := isRetyped && q.Min == oldLow, isRetyped && q.Max == oldHigh
	minD, maxD := given["minvalue"], given["maxvalue"]
	if isNew || minD != nil && minD.Arg == nil || resetMin {
		if q.Min = 1; q.Increment < 0 || resetMin {
			q.Min = low
		}
	}
	if isNew || maxD != nil && maxD.Arg == nil || resetMax {
		if q.Max = high; q.Increment < 0 && !resetMax {
			q.Max = -1
		}
	}
	if minD != nil && minD.Arg != nil {
		if err := setInt(&q.Min, minD); err != nil {
			return err
		}
	}
	if maxD != nil && maxD.Arg != nil {
		if err := setInt(&q.Max, maxD); err != nil {
			return err
		}
	}
	if q.Max > high || q.Max < low {
		return types.Errorf(types.CodeInvalidParameterValue, "MAXVALUE (%d) is out of range for sequence data type %s", q.Max, types.Format(q.Type, -1))
	}
	if q.Min > high || q.Min < low {
		return types.Errorf(types.CodeInvalidParameterValue, "MINVALUE (%d) is out of range for sequence data type %s", q.Min, types.Format(q.Type, -1))
	}
	if q.Min >= q.Max {
		return types.Errorf(types.CodeInvalidParameterValue, "MINVALUE (%d) must be less than MAXVALUE (%d)", q.Min, q.Max)
	}
	return nil
}

// restartSequence gives the sequence a new counter, so that the restart rolls
// back with the transaction. A counter starts at Start: RESTART WITH n moves it
// by a setval in the new storage.
func (e *Env) restartSequence(q *catalog.Sequence, d *ast.DefElem) error {
	q.StorageID++
	if d.Arg == nil {
		return nil
	}
	var at int64
	if err := setInt(&at, d); err != nil {
		return err
	}
	if at < q.Min || at > q.Max {
		return types.Errorf(types.CodeInvalidParameterValue, "RESTART value (%d) cannot be outside of MINVALUE and MAXVALUE", at)
	}
	e.Change.Put(q)
	return e.Query(e.Ctx, "SELECT pg_catalog.setval("+strconv.FormatUint(uint64(q.ID), 10)+"::regclass, "+strconv.FormatInt(at, 10)+", false)", nil)
}

func (e *Env) ownedBy(q *catalog.Sequence, d *ast.DefElem) error {
	l, ok := d.Arg.(*ast.List)
	if !ok {
		return types.Errorf(types.CodeSyntaxError, "invalid OWNED BY option")
	}
	names := stringList(l.Items)
	if len(names) == 1 && strings.EqualFold(names[0], "none") {
		q.OwnerTable, q.OwnerColumn = 0, 0
		return nil
	}
	if len(names) < 2 {
		return types.Errorf(types.CodeSyntaxError, "invalid OWNED BY option").WithHint("Specify OWNED BY table.column or OWNED BY NONE.")
	}
	rel, err := e.relation(splitName(names[:len(names)-1]), -1)
	if err != nil {
		return err
	}
	t, ok := rel.(*catalog.Table)
	if !ok {
		return types.Errorf(types.CodeWrongObjectType, "sequence cannot be owned by relation \"%s\"", rel.Head().Name)
	}
	if t.Owner != q.Owner {
		return types.Errorf(types.CodeObjectNotInPrerequisite, "sequence must have same owner as table it is linked to")
	}
	if t.Schema != q.Schema {
		return types.Errorf(types.CodeObjectNotInPrerequisite, "sequence must be in same schema as table it is linked to")
	}
	c, ok := t.ColumnByName(names[len(names)-1])
	if !ok {
		return types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", names[len(names)-1], t.Name)
	}
	q.OwnerTable, q.OwnerColumn = t.ID, c.ID
	return nil
}

// setInt reads an option's integer, if the option is there.
func setInt(dst *int64, d *ast.DefElem) error {
	if d == nil || d.Arg == nil {
		return nil
	}
	v, err := strconv.ParseInt(defText(d), 10, 64)
	if err != nil {
		return types.Errorf(types.CodeSyntaxError, "%s requires an integer value", d.Defname).At(position(d.Location))
	}
	*dst = v
	return nil
}

// defText returns an option's value as text.
func defText(d *ast.DefElem) string {
	switch a := d.Arg.(type) {
	case *ast.String:
		return a.Sval
	case *ast.Integer:
		return strconv.Itoa(int(a.Ival))
	case *ast.Float:
		return a.Fval
	case *ast.Boolean:
		return strconv.FormatBool(a.Boolval)
	case *ast.TypeName:
		return strings.Join(stringList(a.Names), ".")
	}
	return ""
}

// defBool reads an option as PostgreSQL does: nothing means true.
func defBool(d *ast.DefElem) bool {
	switch a := d.Arg.(type) {
	case nil:
		return true
	case *ast.Boolean:
		return a.Boolval
	case *ast.Integer:
		return a.Ival != 0
	}
	switch strings.ToLower(defText(d)) {
	case "false", "off", "0", "no":
		return false
	}
	return true
}

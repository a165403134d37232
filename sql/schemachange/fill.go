package schemachange

import (
	"context"
	"errors"
	"strings"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
	"golang.org/x/sync/errgroup"
)

const (
	// fillRows is how many rows are read, and entered into an index, at a time.
	fillRows = 2000
	// fillBytes bounds a transaction of entries so that it commits in one phase:
	// one proposal, without intents that somebody had to resolve.
	fillBytes = 128 << 10
	// fillWriters is how many of them are under way at a time.
	fillWriters = 4
)

// filler enters the rows of a table into indexes that are new to it.
type filler struct {
	*Env
	writers  *errgroup.Group // nil if the entries belong to the statement's transaction
	ctx      context.Context // of the writers
	from, to *catalog.Table
	targets  []*fillTarget
	decoder  *rowenc.Decoder
	cols     []*vec.Vector
	row      []types.Datum // parallel to to.Columns
	place    []int         // column of to.Columns -> column of from.Columns, or -1
}

// fillTarget is one index being filled.
type fillTarget struct {
	x       *catalog.Index
	enc     *rowenc.IndexEncoder
	program *expr.Instance // the index's expressions, then its predicate
	exprs   []int          // key part of each expression
	entries
}

// entries are requests for one index, and for a unique one the values of their
// keys.
type entries struct {
	batch kv.Batch
	rows  []keyValues
	bytes int
}

// keyValues are an index key's parts, for the error that names them.
type keyValues []types.Datum

// fill enters every row of from (as stored) into those indexes of to that from
// does not have.
func (e *Env) fill(from, to *catalog.Table) error {
	f := &filler{Env: e, from: from, to: to, row: make([]types.Datum, len(to.Columns))}
	for i := range to.Indexes {
		x := &to.Indexes[i]
		if old, ok := from.Index(x.OID); ok && old.Storage == x.Storage {
			continue
		}
		t, err := f.target(x)
		if err != nil {
			return err
		}
		f.targets = append(f.targets, t)
	}
	if len(f.targets) == 0 {
		return nil
	}
	var want []catalog.ColumnID
	for i := range from.Columns {
		want = append(want, from.Columns[i].ID)
		f.cols = append(f.cols, vec.New(from.Columns[i].Type.Repr(), 1))
	}
	for i := range to.Columns {
		f.place = append(f.place, from.Ordinal(to.Columns[i].ID))
	}
	var err error
	if f.decoder, err = rowenc.NewDecoder(from, from.PrimaryIndex(), want); err != nil {
		return err
	}
	if !f.Alone {
		return f.scan()
	}
	f.writers, f.ctx = errgroup.WithContext(f.Ctx)
	f.writers.SetLimit(fillWriters)
	err = f.scan()
	// A writer's error is the cause, and the scan's is that it was cancelled.
	if werr := f.writers.Wait(); werr != nil {
		return werr
	}
	return err
}

func (f *filler) target(x *catalog.Index) (*fillTarget, error) {
	t := &fillTarget{x: x}
	var es []expr.Expr
	exprTypes := make([]types.Type, len(x.Columns))
	for i, c := range x.Columns {
		if c.Expr != nil {
			es = append(es, c.Expr.Tree)
			t.exprs = append(t.exprs, i)
			exprTypes[i] = c.Expr.Tree.Type()
		}
	}
	if x.Predicate != nil {
		es = append(es, x.Predicate.Tree)
	}
	var err error
	if t.enc, err = rowenc.NewIndexEncoder(f.to, x, exprTypes); err != nil {
		return nil, err
	}
	if len(es) > 0 {
		p, err := expr.Compile(es, expr.Options{Ordinal: func(c expr.ColID) (int, bool) {
			i := f.from.Ordinal(catalog.ColumnID(c))
			return i, i >= 0
		}})
		if err != nil {
			return nil, err
		}
		t.program = p.NewInstance()
	}
	// A change that was rolled back may have left entries under this storage id.
	start := t.enc.Prefix()
	return t, f.DB.Admin().ClearSpan(f.Ctx, start, keys.PrefixEnd(start))
}

// scan reads the table in pieces.
func (f *filler) scan() error {
	start := keys.TableIndex(uint32(f.from.ID), uint32(f.from.PrimaryIndex().Storage))
	end := keys.PrefixEnd(start)
	var b kv.Batch
	for {
		b.Reset()
		b.Scan(start, end, &api.ScanOptions{MaxRows: fillRows})
		if err := f.Txn.Send(f.Ctx, &b); err != nil {
			return err
		}
		r := &b.Responses[0]
		if err := f.enter(r.KVs); err != nil {
			return err
		}
		if r.Resume == nil {
			return nil
		}
		start = append([]byte(nil), r.Resume...)
	}
}

// enter writes the entries of some rows.
func (f *filler) enter(rows []api.KeyValue) error {
	if len(rows) == 0 {
		return nil
	}
	ks, vs := make([][]byte, len(rows)), make([][]byte, len(rows))
	for i := range rows {
		ks[i], vs[i] = rows[i].Key, rows[i].Value
	}
	for _, c := range f.cols {
		c.Reset()
	}
	if err := f.decoder.Decode(ks, vs, f.cols); err != nil {
		return err
	}
	batch := &vec.Batch{Cols: f.cols, N: len(rows)}
	for _, t := range f.targets {
		if err := f.enterIndex(t, batch); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) enterIndex(t *fillTarget, batch *vec.Batch) error {
	var values []*vec.Vector
	if t.program != nil {
		var err error
		if values, err = t.program.Eval(&builtin.Ctx{Settings: types.DefaultSettings()}, batch); err != nil {
			return err
		}
	}
	exprs := make([]types.Datum, len(t.x.Columns))
	for i := range batch.N {
		for k, part := range t.exprs {
			exprs[part] = values[k].Datum(i)
		}
		if t.x.Predicate != nil {
			if d := values[len(t.exprs)].Datum(i); d.IsNull() || !d.Bool() {
				continue
			}
		}
		for k := range f.row {
			f.row[k] = types.Null
			if p := f.place[k]; p >= 0 {
				f.row[k] = f.cols[p].Datum(i)
			}
		}
		if t.enc.Primary {
			if err := f.keyNotNull(t.x); err != nil {
				return err
			}
		}
		expect := api.Expect{}
		if t.x.Unique {
			expect.Kind = api.ExpectAbsent
		}
		if t.x.Unique {
			t.rows = append(t.rows, f.keyOf(t.x, exprs))
		}
		key, value := t.enc.AppendKey(nil, f.row, exprs), t.enc.AppendValue(nil, f.row)
		t.batch.Put(key, value, expect)
		if t.bytes += len(key) + len(value); t.bytes >= fillBytes {
			if err := f.write(t); err != nil {
				return err
			}
		}
	}
	return f.write(t)
}

// write sends a target's entries: in the transaction if statements that follow
// in it must see them, else in transactions of their own, which keeps the size
// of a large table out of one transaction. Nobody else knows the storage yet.
func (f *filler) write(t *fillTarget) error {
	e := t.entries
	t.entries = entries{}
	if len(e.batch.Requests) == 0 {
		return nil
	}
	if f.writers == nil {
		return f.duplicate(t.x, &e, f.Txn.Send(f.Ctx, &e.batch))
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	f.writers.Go(func() error {
		return f.duplicate(t.x, &e, f.DB.Run(f.ctx, kv.TxnOptions{}, func(txn kv.Txn) error {
			b := e.batch
			b.Responses, b.Commit = nil, true
			return txn.Send(f.ctx, &b)
		}))
	})
	return nil
}

// duplicate says which values are there twice, if that is the error.
func (f *filler) duplicate(x *catalog.Index, entries *entries, err error) error {
	var dup *api.ConditionFailedError
	if errors.As(err, &dup) {
		e := types.Errorf(types.CodeUniqueViolation, "could not create unique index \"%s\"", x.Name)
		e.Schema, e.Table, e.Constraint = f.schemaName(f.to.Schema), f.to.Name, x.Name
		if dup.Index >= 0 && dup.Index < len(entries.rows) {
			e.Detail = f.duplicated(x, entries.rows[dup.Index])
		}
		return e
	}
	return err
}

// keyOf copies the values of an index key's parts.
func (f *filler) keyOf(x *catalog.Index, exprs []types.Datum) keyValues {
	out := make(keyValues, len(x.Columns))
	for i, c := range x.Columns {
		if out[i] = exprs[i]; c.Column != 0 {
			out[i] = f.row[f.to.Ordinal(c.Column)]
		}
	}
	return out
}

func (f *filler) duplicated(x *catalog.Index, vals keyValues) string {
	var names, texts []string
	for i, c := range x.Columns {
		t := types.TextType
		if c.Column != 0 {
			tc, _ := f.to.Column(c.Column)
			names, t = append(names, tc.Name), tc.Type
		} else {
			names, t = append(names, c.Expr.Source), c.Expr.Tree.Type()
		}
		text := "null"
		if !vals[i].IsNull() {
			text = types.TextOf(t.OID, vals[i], types.DefaultSettings())
		}
		texts = append(texts, text)
	}
	return "Key (" + strings.Join(names, ", ") + ")=(" + strings.Join(texts, ", ") + ") is duplicated."
}

func (f *filler) keyNotNull(x *catalog.Index) error {
	for _, c := range x.Columns {
		i := f.to.Ordinal(c.Column)
		if f.row[i].IsNull() {
			return containsNulls(f.to, &f.to.Columns[i])
		}
	}
	return nil
}

func containsNulls(t *catalog.Table, c *catalog.Column) error {
	return types.Errorf(types.CodeNotNullViolation, "column \"%s\" of relation \"%s\" contains null values", c.Name, t.Name).On("", t.Name, c.Name, "")
}

func (e *Env) schemaName(oid types.OID) string {
	if d, ok := e.Change.Snapshot().ByOID(oid); ok {
		return d.Head().Name
	}
	return ""
}

// sqlName is a table's qualified, quoted name.
func (e *Env) sqlName(t *catalog.Table) string {
	return quoteIdent(e.schemaName(t.Schema)) + "." + quoteIdent(t.Name)
}

// errFound stops a query at its first row.
var errFound = errors.New("found")

// firstRow runs a query and returns its first row, nil if there is none.
func (e *Env) firstRow(sql string) ([]types.Datum, error) {
	var row []types.Datum
	err := e.Query(e.Ctx, sql, func(r []types.Datum) error {
		row = append([]types.Datum(nil), r...)
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return row, err
}

// validateCheck fails if a row of the table violates a CHECK.
func (e *Env) validateCheck(t *catalog.Table, c *catalog.Constraint) error {
	row, err := e.firstRow("SELECT 1 FROM " + e.sqlName(t) + " WHERE NOT (" + c.Check.Source + ") LIMIT 1")
	if err == nil && row != nil {
		err = types.Errorf(types.CodeCheckViolation, "check constraint \"%s\" of relation \"%s\" is violated by some row", c.Name, t.Name).
			On(e.schemaName(t.Schema), t.Name, "", c.Name)
	}
	return err
}

func (e *Env) validateNotNull(t *catalog.Table, c *catalog.Column) error {
	row, err := e.firstRow("SELECT 1 FROM " + e.sqlName(t) + " WHERE " + quoteIdent(c.Name) + " IS NULL LIMIT 1")
	if err == nil && row != nil {
		err = containsNulls(t, c)
	}
	return err
}

// validateFK fails if a row of the table references nothing.
func (e *Env) validateFK(t *catalog.Table, c *catalog.Constraint) error {
	ref, err := e.table(c.RefTable)
	if err != nil {
		return err
	}
	var texts, join, notNull, names []string
	for i := range c.Columns {
		a, _ := t.Column(c.Columns[i])
		b, _ := ref.Column(c.RefColumns[i])
		names = append(names, a.Name)
		texts = append(texts, "f."+quoteIdent(a.Name)+"::text")
		join = append(join, "p."+quoteIdent(b.Name)+" = f."+quoteIdent(a.Name))
		notNull = append(notNull, "f."+quoteIdent(a.Name)+" IS NOT NULL")
	}
	row, err := e.firstRow("SELECT " + strings.Join(texts, ", ") + " FROM " + e.sqlName(t) + " f WHERE " + strings.Join(notNull, " AND ") +
		" AND NOT EXISTS (SELECT 1 FROM " + e.sqlName(ref) + " p WHERE " + strings.Join(join, " AND ") + ") LIMIT 1")
	if err != nil || row == nil {
		return err
	}
	var vals []string
	for _, d := range row {
		vals = append(vals, d.Str())
	}
	return types.Errorf(types.CodeForeignKeyViolation, "insert or update on table \"%s\" violates foreign key constraint \"%s\"", t.Name, c.Name).
		WithDetail("Key (%s)=(%s) is not present in table \"%s\".", strings.Join(names, ", "), strings.Join(vals, ", "), ref.Name).
		On(e.schemaName(t.Schema), t.Name, "", c.Name)
}

package schemachange

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/builtin"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgcatalog"
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
	// fillArena is how much room for entries is made at a time.
	fillArena = 256 << 10
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
	values  []*vec.Vector  // what it gave for the rows at hand
	parts   []types.Datum  // of the row at hand, parallel to x.Columns; the expressions alone
	exprs   []int          // key part of each expression
	arena   []byte         // of keys and values
	entries

	// As long as the keys of a unique index come in their order, none can be there
	// already, and the greatest so far tells that they do. From the first on that
	// does not, each is looked up where it is written, when those before it are there.
	ascending bool
	greatest  []byte
	written   sync.WaitGroup // what was sent while they came in order
}

// entries are requests for one index.
type entries struct {
	batch kv.Batch
	bytes int
}

// duplicateKeyError says that a unique index would have a key twice.
type duplicateKeyError struct {
	target *fillTarget
	key    []byte
}

func (*duplicateKeyError) Error() string { return "duplicate key" }

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
	err = f.run()
	var dup *duplicateKeyError
	if errors.As(err, &dup) {
		return f.duplicate(dup)
	}
	return err
}

func (f *filler) run() error {
	if !f.Alone {
		return f.scan(f.enter)
	}
	f.writers, f.ctx = errgroup.WithContext(f.Ctx)
	f.writers.SetLimit(fillWriters)
	err := f.scan(f.enter)
	// A writer's error is the cause, and the scan's is that it was cancelled.
	if werr := f.writers.Wait(); werr != nil {
		return werr
	}
	return err
}

func (f *filler) target(x *catalog.Index) (*fillTarget, error) {
	t := &fillTarget{x: x, parts: make([]types.Datum, len(x.Columns)), ascending: true}
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

// scan reads the table in pieces and gives them to visit.
func (f *filler) scan(visit func(*vec.Batch) error) error {
	start := keys.TableIndex(uint32(f.from.ID), uint32(f.from.PrimaryIndex().Storage))
	end := keys.PrefixEnd(start)
	var b kv.Batch
	var ks, vs [][]byte
	for {
		b.Reset()
		b.Scan(start, end, &api.ScanOptions{MaxRows: fillRows})
		if err := f.Txn.Send(f.Ctx, &b); err != nil {
			return err
		}
		r := &b.Responses[0]
		ks, vs = ks[:0], vs[:0]
		for i := range r.KVs {
			ks, vs = append(ks, r.KVs[i].Key), append(vs, r.KVs[i].Value)
		}
		for _, c := range f.cols {
			c.Reset()
		}
		if err := f.decoder.Decode(ks, vs, f.cols); err != nil {
			return err
		}
		if len(ks) > 0 {
			if err := visit(&vec.Batch{Cols: f.cols, N: len(ks)}); err != nil {
				return err
			}
		}
		if r.Resume == nil {
			return nil
		}
		start = append([]byte(nil), r.Resume...)
	}
}

// enter writes the entries of some rows.
func (f *filler) enter(batch *vec.Batch) error {
	for _, t := range f.targets {
		if err := f.enterIndex(t, batch); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) enterIndex(t *fillTarget, batch *vec.Batch) error {
	if err := f.evaluate(t, batch); err != nil {
		return err
	}
	for i := range batch.N {
		if !f.take(t, i) {
			continue
		}
		if t.enc.Primary {
			if err := f.keyNotNull(t.x); err != nil {
				return err
			}
		}
		key, value := t.encode(f.row)
		expect := t.expect(key)
		if expect == api.ExpectAbsent && t.ascending {
			// From here on a key may be one that is still on its way.
			if err := f.write(t); err != nil {
				return err
			}
			t.ascending = false
			t.written.Wait()
		}
		t.batch.Put(key, value, api.Expect{Kind: expect})
		if t.bytes += len(key) + len(value); t.bytes >= fillBytes {
			if err := f.write(t); err != nil {
				return err
			}
		}
	}
	return f.write(t)
}

// evaluate computes an index's expressions and predicate for some rows.
func (f *filler) evaluate(t *fillTarget, batch *vec.Batch) (err error) {
	if t.program != nil {
		t.values, err = t.program.Eval(&builtin.Ctx{Settings: types.DefaultSettings()}, batch)
	}
	return err
}

// take makes the i-th of the rows the one at hand. It reports whether the index
// has an entry for it.
func (f *filler) take(t *fillTarget, i int) bool {
	if t.x.Predicate != nil {
		if d := t.values[len(t.exprs)].Datum(i); d.IsNull() || !d.Bool() {
			return false
		}
	}
	for k, part := range t.exprs {
		t.parts[part] = t.values[k].Datum(i)
	}
	for k := range f.row {
		f.row[k] = types.Null
		if p := f.place[k]; p >= 0 {
			f.row[k] = f.cols[p].Datum(i)
		}
	}
	return true
}

// encode makes the entry of a row. It stays valid.
func (t *fillTarget) encode(row []types.Datum) (key, value []byte) {
	if cap(t.arena)-len(t.arena) < fillArena/16 {
		t.arena = make([]byte, 0, fillArena)
	}
	at := len(t.arena)
	t.arena = t.enc.AppendKey(t.arena, row, t.parts)
	mid := len(t.arena)
	t.arena = t.enc.AppendValue(t.arena, row)
	return t.arena[at:mid:mid], t.arena[mid:len(t.arena):len(t.arena)]
}

// expect says what must be known of an entry where it is written. Nobody else
// knows the storage, and the entries of an index that is not unique differ by the
// keys of their rows.
func (t *fillTarget) expect(key []byte) api.ExpectKind {
	switch {
	case !t.x.Unique:
		return api.ExpectFresh
	case t.ascending && bytes.Compare(key, t.greatest) > 0:
		t.greatest = key
		return api.ExpectFresh
	}
	return api.ExpectAbsent
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
		return t.duplicate(f.Txn.Send(f.Ctx, &e.batch))
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	inOrder := t.ascending
	if inOrder {
		t.written.Add(1)
	}
	f.writers.Go(func() error {
		if inOrder {
			defer t.written.Done()
		}
		return t.duplicate(f.DB.Run(f.ctx, kv.TxnOptions{}, func(txn kv.Txn) error {
			b := e.batch
			b.Responses, b.Commit = nil, true
			return txn.Send(f.ctx, &b)
		}))
	})
	return nil
}

// duplicate recognizes an entry that is there already.
func (t *fillTarget) duplicate(err error) error {
	var failed *api.ConditionFailedError
	if errors.As(err, &failed) {
		return &duplicateKeyError{target: t, key: failed.Key}
	}
	return err
}

// errFound stops a search.
var errFound = errors.New("found")

// duplicate says which values are there twice. It looks for a row that has them:
// keys do not always give them back.
func (f *filler) duplicate(dup *duplicateKeyError) error {
	t := dup.target
	e := types.Errorf(types.CodeUniqueViolation, "could not create unique index \"%s\"", t.x.Name)
	e.Schema, e.Table, e.Constraint = f.schemaName(f.to.Schema), f.to.Name, t.x.Name
	err := f.scan(func(batch *vec.Batch) error {
		if err := f.evaluate(t, batch); err != nil {
			return err
		}
		for i := range batch.N {
			if !f.take(t, i) {
				continue
			}
			t.arena = t.enc.AppendKey(t.arena[:0], f.row, t.parts)
			if bytes.Equal(t.arena, dup.key) {
				e.Detail = f.duplicated(t)
				return errFound
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return err
	}
	return e
}

// duplicated is the detail about the row at hand.
func (f *filler) duplicated(t *fillTarget) string {
	var names, texts []string
	for i, c := range t.x.Columns {
		typ, v := types.TextType, t.parts[i]
		if c.Column != 0 {
			at := f.to.Ordinal(c.Column)
			names, typ, v = append(names, f.to.Columns[at].Name), f.to.Columns[at].Type, f.row[at]
		} else {
			names, typ = append(names, pgcatalog.KeyPart(f.resolver(), f.to, &t.x.Columns[i])), c.Expr.Tree.Type()
		}
		text := "null"
		if !v.IsNull() {
			text = types.TextOf(typ.OID, v, types.DefaultSettings())
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

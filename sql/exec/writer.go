package exec

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/scan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// rowWriter turns rows of a table, in the shape of Table.Columns, into the
// key-values of all its indexes.
type rowWriter struct {
	run     *run
	table   *catalog.Table
	primary *rowenc.IndexEncoder
	indexes []*indexWriter
	rowCols []plan.Column // the columns that stored expressions read

	batch kv.Batch
	meta  []reqMeta
	arena []byte
	bytes int
	sent  bool  // something was sent that is not committed
	rows  int64 // inserted so far, for the row that an error is about

	// holding keeps new entries back in held until the statement has removed all
	// the old ones, as deferrable keys need.
	holding bool
	held    []heldPut
	// heldBytes is what of it is not accounted for yet.
	heldBytes int

	// ahead lets rows be read while earlier ones are being written: only if
	// reading them does not need the transaction.
	ahead  bool
	flight *flight
}

// reqMeta says what a request is about, for the message of a violation.
type reqMeta struct {
	index *catalog.Index
	row   []types.Datum
	exprs []types.Datum
	nth   int64 // of the rows inserted
}

// heldPut is an entry that waits for the end of the statement.
type heldPut struct {
	key, value []byte
	expect     api.ExpectKind
	meta       reqMeta
}

// flight is what is being written while further rows are read.
type flight struct {
	batch kv.Batch
	meta  []reqMeta
	done  chan error // nil while nothing is under way
}

// indexWriter maintains one secondary index.
type indexWriter struct {
	index     *catalog.Index
	enc       *rowenc.IndexEncoder
	predicate *scan.Instance
	exprs     *scan.Instance // the expression columns only
	exprAt    []int          // Index.Columns place of each of exprs
	touched   bool           // an UPDATE may change its entries

	// For the batch at hand: which rows have entries, and their expressions.
	live  []bool
	exprV []*vec.Vector
}

func newRowWriter(r *run, n *plan.Mutation) (*rowWriter, error) {
	w := &rowWriter{run: r, table: n.Table}
	for i := range n.Table.Columns {
		id := plan.ColID(0)
		if i < len(n.Row) {
			id = n.Row[i]
		}
		w.rowCols = append(w.rowCols, plan.Column{ID: id, Name: n.Table.Columns[i].Name, Type: n.Table.Columns[i].Type})
	}
	var err error
	if w.primary, err = encoderOf(n.Table, n.Table.PrimaryIndex()); err != nil {
		return nil, err
	}
	for i := range n.Table.Indexes {
		x := &n.Table.Indexes[i]
		if x.OID == n.Table.Primary || !x.State.Deletable() {
			continue
		}
		iw := &indexWriter{index: x, touched: true}
		if iw.enc, err = encoderOf(n.Table, x); err != nil {
			return nil, err
		}
		if err := iw.compile(n, w.rowCols); err != nil {
			return nil, err
		}
		w.indexes = append(w.indexes, iw)
	}
	return w, nil
}

func (iw *indexWriter) compile(n *plan.Mutation, cols []plan.Column) error {
	for i := range n.Indexes {
		ie := &n.Indexes[i]
		if ie.Index.OID != iw.index.OID {
			continue
		}
		var err error
		if ie.Predicate != nil {
			if iw.predicate, err = compile([]plan.Scalar{ie.Predicate}, cols); err != nil {
				return err
			}
		}
		var es []plan.Scalar
		for k, e := range ie.Exprs {
			if e != nil {
				es = append(es, e)
				iw.exprAt = append(iw.exprAt, k)
			}
		}
		iw.exprs, err = compileOpt(es, cols)
		return err
	}
	return nil
}

// prepare evaluates the index's predicate and expressions for the rows of b.
func (iw *indexWriter) prepare(w *rowWriter, b *vec.Batch) error {
	iw.live = nil
	if iw.predicate != nil {
		vs, err := iw.predicate.Eval(w.run.ctx(), b)
		if err != nil {
			return err
		}
		iw.live = make([]bool, b.N)
		for i := range b.Len() {
			p := b.Pos(i)
			iw.live[p] = !vs[0].IsNull(p) && vs[0].Int(p) != 0
		}
	}
	if iw.exprs == nil {
		return nil
	}
	vs, err := iw.exprs.Eval(w.run.ctx(), b)
	if err != nil {
		return err
	}
	// The vectors are the program's own; the next evaluation overwrites them.
	iw.exprV = iw.exprV[:0]
	for i, v := range vs {
		c := vec.New(iw.enc.ColumnType(iw.exprAt[i]).Repr(), b.N)
		for p := range b.N {
			if b.Sel == nil || i >= 0 {
				c.AppendFrom(v, p)
			}
		}
		iw.exprV = append(iw.exprV, c)
	}
	return nil
}

// has reports whether the row at position p has an entry.
func (iw *indexWriter) has(p int) bool { return iw.live == nil || iw.live[p] }

// exprDatums returns the expression columns of the row at position p, parallel
// to Index.Columns.
func (iw *indexWriter) exprDatums(p int) []types.Datum {
	if iw.exprs == nil {
		return nil
	}
	out := make([]types.Datum, len(iw.index.Columns))
	for i, at := range iw.exprAt {
		out[at] = iw.exprV[i].Datum(p)
	}
	return out
}

// reserve makes room in the arena, so that slices into it stay where they are.
func (w *rowWriter) reserve() {
	if cap(w.arena)-len(w.arena) < 4096 {
		w.arena = make([]byte, 0, max(64<<10, 8192))
	}
}

func (w *rowWriter) key(enc *rowenc.IndexEncoder, row, exprs []types.Datum) []byte {
	w.reserve()
	at := len(w.arena)
	w.arena = enc.AppendKey(w.arena, row, exprs)
	return w.arena[at:len(w.arena):len(w.arena)]
}

func (w *rowWriter) value(enc *rowenc.IndexEncoder, row []types.Datum) []byte {
	w.reserve()
	at := len(w.arena)
	w.arena = enc.AppendValue(w.arena, row)
	return w.arena[at:len(w.arena):len(w.arena)]
}

func (w *rowWriter) put(x *catalog.Index, key, value []byte, e api.ExpectKind, row, exprs []types.Datum) {
	if w.holding {
		w.held = append(w.held, heldPut{bytes.Clone(key), bytes.Clone(value), e, reqMeta{x, row, exprs, w.rows}})
		w.heldBytes += 2*(len(key)+len(value)) + 64*(len(row)+1)
		return
	}
	w.batch.Put(key, value, api.Expect{Kind: e})
	w.meta = append(w.meta, reqMeta{x, row, exprs, w.rows})
	w.bytes += len(key) + len(value)
}

func (w *rowWriter) del(key []byte) {
	w.batch.Delete(key, api.Expect{})
	w.meta = append(w.meta, reqMeta{})
	w.bytes += len(key)
}

// insert adds the requests for a new row at position p of the prepared batch.
func (w *rowWriter) insert(row []types.Datum, p int) {
	e := api.ExpectAbsent
	if w.table.HasRowID() {
		e = api.ExpectFresh
	}
	w.put(w.table.PrimaryIndex(), w.key(w.primary, row, nil), w.value(w.primary, row), e, row, nil)
	for _, iw := range w.indexes {
		if iw.index.State.Writable() && iw.has(p) {
			w.insertEntry(iw, row, iw.exprDatums(p))
		}
	}
	w.rows++
}

func (w *rowWriter) insertEntry(iw *indexWriter, row, exprs []types.Datum) {
	e := api.ExpectAny
	if iw.index.Unique {
		e = api.ExpectAbsent
	}
	w.put(iw.index, w.key(iw.enc, row, exprs), w.value(iw.enc, row), e, row, exprs)
}

// remove adds the requests that delete an old row.
func (w *rowWriter) remove(row []types.Datum, p int) {
	w.del(w.key(w.primary, row, nil))
	for _, iw := range w.indexes {
		if iw.has(p) {
			w.del(w.key(iw.enc, row, iw.exprDatums(p)))
		}
	}
}

// release sends what was held back, all but the last part of it.
func (w *rowWriter) release() error {
	held := w.held
	w.held = nil
	for i := range held {
		h := &held[i]
		w.batch.Put(h.key, h.value, api.Expect{Kind: h.expect})
		w.meta = append(w.meta, h.meta)
		w.bytes += len(h.key) + len(h.value)
		if w.full() {
			if err := w.send(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bounds on what is sent at once.
const (
	sendRows  = 2048
	sendBytes = 512 << 10
)

func (w *rowWriter) full() bool { return len(w.meta) >= sendRows || w.bytes >= sendBytes }

// send sends what has been collected, committing with it if commit is set.
func (w *rowWriter) send(commit bool) error {
	if err := w.land(); err != nil || len(w.meta) == 0 {
		return err
	}
	env := w.run.env
	w.batch.ReadSeq = env.Seq
	w.batch.Commit = commit
	err := env.Txn.Send(env.Ctx, &w.batch)
	if err == nil && commit {
		env.Committed = true
	}
	w.sent = true
	if err != nil {
		err = w.violation(err, w.meta)
	}
	w.discard()
	return err
}

// launch sends what has been collected while the caller goes on collecting. Its
// failure is the next call's.
func (w *rowWriter) launch() error {
	if !w.ahead {
		return w.send(false)
	}
	if err := w.land(); err != nil {
		return err
	}
	if w.flight == nil {
		w.flight = &flight{}
	}
	f, env := w.flight, w.run.env
	f.batch, w.batch = w.batch, f.batch
	f.meta, w.meta = w.meta, f.meta
	w.arena, w.bytes, w.sent = nil, 0, true
	f.batch.ReadSeq, f.batch.Commit = env.Seq, false
	f.done = make(chan error, 1)
	go func() { f.done <- env.Txn.Send(env.Ctx, &f.batch) }() // land awaits it
	return nil
}

// land waits for what was launched.
func (w *rowWriter) land() error {
	f := w.flight
	if f == nil || f.done == nil {
		return nil
	}
	err := <-f.done
	f.done = nil
	if err != nil {
		err = w.violation(err, f.meta)
	}
	f.batch.Reset()
	clear(f.meta)
	f.meta = f.meta[:0]
	return err
}

// discard forgets what has been collected.
func (w *rowWriter) discard() {
	_ = w.land() // whoever discards has an error already, or none will come
	w.batch.Reset()
	clear(w.meta)
	w.meta = w.meta[:0]
	w.arena = w.arena[:0]
	w.bytes = 0
	if cap(w.arena) > 1<<20 {
		w.arena = nil
	}
}

// violation makes 23505 of a condition that failed.
func (w *rowWriter) violation(err error, meta []reqMeta) error {
	var failed *api.ConditionFailedError
	if !errors.As(err, &failed) || failed.Index >= len(meta) || failed.Index < 0 {
		return err
	}
	m := &meta[failed.Index]
	if m.index == nil {
		return err
	}
	w.run.failed = m.nth + 1
	return uniqueViolation(w.run, w.table, m.index, m.row, m.exprs)
}

func uniqueViolation(r *run, t *catalog.Table, x *catalog.Index, row, exprs []types.Datum) error {
	names, vals := make([]string, 0, 4), make([]string, 0, 4)
	for i := range x.Columns {
		c := &x.Columns[i]
		if c.Column == 0 {
			names = append(names, r.keyPart(t, c))
			vals = append(vals, text(r, c.Expr.Tree.Type(), exprs[i]))
			continue
		}
		o := t.Ordinal(c.Column)
		names = append(names, t.Columns[o].Name)
		vals = append(vals, text(r, t.Columns[o].Type, row[o]))
	}
	return types.Errorf(types.CodeUniqueViolation, "duplicate key value violates unique constraint \"%s\"", x.Name).
		WithDetail("Key (%s)=(%s) already exists.", strings.Join(names, ", "), strings.Join(vals, ", ")).
		On(schemaName(r, t), t.Name, "", x.Name)
}

func (r *run) keyPart(t *catalog.Table, c *catalog.IndexColumn) string {
	if r.env.KeyPart == nil {
		return c.Expr.Source
	}
	return r.env.KeyPart(t, c)
}

func schemaName(r *run, t *catalog.Table) string {
	if r.env.Snapshot == nil {
		return ""
	}
	if d, ok := r.env.Snapshot.ByOID(t.Schema); ok {
		return d.Head().Name
	}
	return ""
}

func text(r *run, t types.Type, d types.Datum) string {
	if d.IsNull() {
		return "null"
	}
	return types.TextOf(t.OID, d, r.ctx().Set())
}

// maxDetail is how much of a value a message shows.
const maxDetail = 64

// failingRow describes a row as PostgreSQL does in details.
func failingRow(r *run, t *catalog.Table, row []types.Datum) string {
	var out []string
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Hidden || !c.State.Readable() {
			continue
		}
		s := text(r, c.Type, row[i])
		if len(s) > maxDetail {
			s = strings.ToValidUTF8(s[:maxDetail], "") + "..."
		}
		out = append(out, s)
	}
	return "Failing row contains (" + strings.Join(out, ", ") + ")."
}

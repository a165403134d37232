package session

import (
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/copyfmt"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/opt"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// copyStmt carries out COPY between a table or a query and the client or a file
// of this node.
func (s *Session) copyStmt(n *ast.CopyStmt, w ResultWriter) (string, error) {
	if n.Filename != "" {
		if err := s.mayCopyFile(n); err != nil {
			return "", err
		}
	}
	if n.IsFrom {
		return s.copyIn(n, w)
	}
	return s.copyOut(n, w)
}

// copyTable resolves the table and the columns of COPY.
func (s *Session) copyTable(n *ast.CopyStmt) (*catalog.Table, []*catalog.Column, error) {
	name := catalog.Name{Database: n.Relation.Catalogname, Schema: n.Relation.Schemaname, Name: n.Relation.Relname}
	d, ok := s.resolve().Relation(name)
	if !ok {
		return nil, nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", name)
	}
	t, ok := d.(*catalog.Table)
	if !ok {
		return nil, nil, types.Errorf(types.CodeWrongObjectType, "cannot copy from or to %s \"%s\"", d.Kind(), name.Name).
			WithHint("Try the COPY (SELECT ...) TO variant.")
	}
	var cols []*catalog.Column
	if len(n.Attlist) == 0 {
		for i := range t.Columns {
			if c := &t.Columns[i]; c.State.Readable() && !c.Hidden && c.Generated == nil {
				cols = append(cols, c)
			}
		}
		return t, cols, nil
	}
	for _, a := range n.Attlist {
		x := constText(a)
		c, ok := t.ColumnByName(x)
		if !ok {
			return nil, nil, types.Errorf(types.CodeUndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", x, t.Name)
		}
		for _, o := range cols {
			if o == c {
				return nil, nil, types.Errorf(types.CodeDuplicateColumn, "column \"%s\" specified more than once", x)
			}
		}
		cols = append(cols, c)
	}
	return t, cols, nil
}

// copyOptions reads COPY's options; names are those of the columns.
func copyOptions(list []ast.Node, names []string) (copyfmt.Options, error) {
	format, given := "text", map[string]bool{}
	for _, n := range list {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		if given[d.Defname] {
			return copyfmt.Options{}, types.Errorf(types.CodeSyntaxError, "conflicting or redundant options").At(int(d.Location) + 1)
		}
		given[d.Defname] = true
		if d.Defname == "format" {
			format = strings.ToLower(constText(d.Arg))
		}
	}
	o := copyfmt.Text()
	switch format {
	case "text":
	case "csv":
		o = copyfmt.CSV()
	case "binary":
		o.Binary = true
	default:
		return o, types.Errorf(types.CodeInvalidParameterValue, "COPY format \"%s\" not recognized", format)
	}
	for _, n := range list {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		if err := copyOption(&o, d, names); err != nil {
			return o, err
		}
	}
	return o, o.Check()
}

func copyOption(o *copyfmt.Options, d *ast.DefElem, names []string) error {
	oneByte := func(dst *byte, what string) error {
		v := constText(d.Arg)
		if len(v) != 1 {
			return types.Errorf(types.CodeFeatureNotSupported, "COPY %s must be a single one-byte character", what)
		}
		*dst = v[0]
		return nil
	}
	name := strings.ToLower(d.Defname)
	switch {
	case o.Binary && (name == "delimiter" || name == "null"):
		return types.Errorf(types.CodeSyntaxError, "cannot specify %s in BINARY mode", strings.ToUpper(name))
	case o.Binary && name == "header":
		return types.Errorf(types.CodeFeatureNotSupported, "cannot specify HEADER in BINARY mode")
	case !o.CSV && (name == "quote" || name == "escape"):
		return types.Errorf(types.CodeFeatureNotSupported, "COPY %s available only in CSV mode", name)
	}
	switch name {
	case "format", "freeze", "encoding":
	case "delimiter":
		return oneByte(&o.Delimiter, "delimiter")
	case "null":
		o.Null = constText(d.Arg)
	case "header":
		if strings.EqualFold(constText(d.Arg), "match") {
			o.HeaderMatch = true
		} else {
			o.Header = boolOption(d)
		}
	case "quote":
		return oneByte(&o.Quote, "quote")
	case "escape":
		return oneByte(&o.Escape, "escape")
	case "force_quote":
		if _, star := d.Arg.(*ast.A_Star); star {
			o.ForceQuoteAll = true
			return nil
		}
		return columnFlags(&o.ForceQuote, d.Arg, names)
	case "force_null":
		return columnFlags(&o.ForceNull, d.Arg, names)
	case "force_not_null":
		return columnFlags(&o.ForceNotNull, d.Arg, names)
	default:
		return types.Errorf(types.CodeSyntaxError, "option \"%s\" not recognized", d.Defname)
	}
	return nil
}

func columnFlags(dst *[]bool, n ast.Node, names []string) error {
	*dst = make([]bool, len(names))
	list, ok := n.(*ast.List)
	if !ok {
		return nil
	}
	for _, x := range list.Items {
		found := false
		for i, name := range names {
			if name == constText(x) {
				(*dst)[i], found = true, true
			}
		}
		if !found {
			return types.Errorf(types.CodeInvalidColumnReference, "column \"%s\" not referenced by COPY", constText(x))
		}
	}
	return nil
}

// copyIn loads the client's rows through the same Mutation as INSERT, fed by
// the reader in place of VALUES.
func (s *Session) copyIn(n *ast.CopyStmt, w ResultWriter) (string, error) {
	if s.t.readOnly {
		return "", types.Errorf(types.CodeReadOnlyTransaction, "cannot execute COPY FROM in a read-only transaction")
	}
	if n.WhereClause != nil {
		return "", types.Errorf(types.CodeFeatureNotSupported, "COPY FROM ... WHERE is not supported")
	}
	t, cols, err := s.copyTable(n)
	if err != nil {
		return "", err
	}
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	o, err := copyOptions(n.Options, names)
	if err != nil {
		return "", err
	}
	p, err := s.insertPlan(n.Relation, cols)
	if err != nil {
		return "", err
	}
	src := &copySource{session: s, table: t, cols: cols}
	in, err := exec.BuildWithSource(p, src)
	if err != nil {
		return "", err
	}
	defer in.Finish()
	if err := s.ensureTxn(); err != nil {
		return "", err
	}
	r, err := copyInput(n, w, len(cols), o.Binary)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if src.binary = o.Binary; o.Binary {
		src.open(copyfmt.NewBinaryReader(r, len(cols)))
	} else {
		src.open(copyfmt.NewReader(r, o, names))
	}
	if n.Filename == "" {
		// What the client sends is read once: from here on nothing can be run again.
		s.t.statements++
	}
	run := &runner{}
	s.arm(run, p)
	if err := in.Run(&run.env); err != nil {
		return "", err
	}
	if _, err := in.Next(vec.MaxBatch); err != nil {
		return "", src.context(err, in.FailedRow())
	}
	if err := s.t.queue.Drain(&run.env, false); err != nil {
		return "", err
	}
	return "COPY " + itoa(in.Affected()), nil
}

// insertPlan is the plan of INSERT INTO t (cols) VALUES ($1, ...), not optimized:
// a Mutation right above the Values that the rows will come from.
func (s *Session) insertPlan(rv *ast.RangeVar, cols []*catalog.Column) (*plan.Plan, error) {
	ins := &ast.InsertStmt{Relation: rv, Override: ast.OVERRIDING_SYSTEM_VALUE}
	row := &ast.List{}
	var declared []types.Type
	for i, c := range cols {
		ins.Cols = append(ins.Cols, &ast.ResTarget{Name: c.Name})
		row.Items = append(row.Items, &ast.ParamRef{Number: int32(i + 1)})
		declared = append(declared, c.Type)
	}
	ins.SelectStmt = &ast.SelectStmt{ValuesLists: []ast.Node{row}}
	return opt.Prepare(s.ctx, ins, s.resolve(), opt.Options{Params: declared, Settings: s.set.Types(), ParseView: parseView, Allow: s.allow, Naive: true})
}

// copySource is the operator that gives the client's rows.
type copySource struct {
	session *Session
	table   *catalog.Table
	cols    []*catalog.Column
	reader  rowReader
	binary  bool
	out     *vec.Batch
	col     int // being read, for the context of an error
	text    []byte

	// Where the last rows came from: lines of those from the row first on, and the
	// texts of the newest batch.
	first int64
	lines []int32
	texts []byte
	ends  []int32
}

// keptLines is how many rows' lines are kept: more than can be on their way to
// the ranges.
const keptLines = 16 << 10

// rowReader divides what the client sends into rows and fields, and says where
// it is.
type rowReader interface {
	Read() ([]copyfmt.Field, error)
	Line() int
	Column() int
	Text() []byte
}

func (c *copySource) open(r rowReader) {
	c.reader = r
	ts := make([]types.Type, len(c.cols))
	for i, x := range c.cols {
		ts[i] = x.Type
	}
	c.out = vec.NewBatch(ts, vec.MaxBatch)
}

// Next implements exec.Operator.
func (c *copySource) Next(want int) (*vec.Batch, error) {
	c.out.Reset()
	c.texts, c.ends = c.texts[:0], c.ends[:0]
	if old := len(c.lines) - keptLines; old > keptLines {
		c.first += int64(old)
		c.lines = append(c.lines[:0], c.lines[old:]...)
	}
	st := c.session.set.Types()
	for c.out.N < min(want, vec.MaxBatch) {
		c.col = -1
		fields, err := c.reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.col = c.reader.Column()
			return nil, err
		}
		for i := range fields {
			f := &fields[i]
			v := c.out.Cols[i]
			if f.Null {
				v.AppendNull()
				continue
			}
			c.col, c.text = i, f.Text
			if c.binary {
				err = appendBinaryField(v, c.cols[i].Type, f.Text, st)
			} else {
				err = appendField(v, c.cols[i].Type, f.Text, st)
			}
			if err != nil {
				return nil, err
			}
		}
		c.out.N++
		c.lines = append(c.lines, int32(c.reader.Line()))
		c.texts = append(c.texts, c.reader.Text()...)
		c.ends = append(c.ends, int32(len(c.texts)))
	}
	c.col = -1
	if c.out.N == 0 {
		return nil, nil
	}
	return c.out, nil
}

// appendField reads one value; the commonest types take no detour.
func appendField(v *vec.Vector, t types.Type, text []byte, st *types.Settings) error {
	switch t.OID {
	case types.TextOID:
		v.AppendBytes(text)
		return nil
	case types.Int4OID, types.Int8OID, types.Int2OID:
		if x, ok := smallInt(text); ok && (t.OID != types.Int2OID || x == int64(int16(x))) {
			v.AppendInt(x)
			return nil
		}
	}
	d, err := types.ParseText(t, string(text), st)
	if err != nil {
		return err
	}
	// No assignment cast stands between here and the table.
	if d, err = types.ApplyMod(d, t, false); err != nil {
		return err
	}
	v.AppendDatum(d)
	return nil
}

func appendBinaryField(v *vec.Vector, t types.Type, b []byte, st *types.Settings) error {
	d, err := types.DecodeBinary(t, b, st)
	var e *types.Error
	if errors.As(err, &e) {
		c := *e
		c.Message = strings.TrimSuffix(c.Message, " in bind parameter")
		return &c
	}
	v.AppendDatum(d)
	return err
}

// smallInt reads a plain integer of at most nine digits.
func smallInt(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	var v int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	if neg {
		v = -v
	}
	return v, true
}

// context says in an error where in the data it was: at the row that broke a
// constraint, counted from 1, or where the reader is.
func (c *copySource) context(err error, row int64) error {
	var e *types.Error
	if !errors.As(err, &e) || e.Where != "" || c.reader.Line() == 0 {
		return err
	}
	e.Where = "COPY " + c.table.Name + ", line "
	if n := row - 1 - c.first; row > 0 && n >= 0 && n < int64(len(c.lines)) {
		e.Where += strconv.Itoa(int(c.lines[n]))
		if text := c.textOf(int(n)); e.Code != types.CodeUniqueViolation && len(text) > 0 {
			e.Where += ": " + excerpt(text)
		}
		return e
	}
	e.Where += strconv.Itoa(c.reader.Line())
	switch text := c.reader.Text(); {
	case c.col >= 0 && c.binary:
		e.Where += ", column " + c.cols[c.col].Name
	case c.col >= 0:
		e.Where += ", column " + c.cols[c.col].Name + ": " + excerpt(c.text)
	case len(text) > 0 && e.Code == types.CodeBadCopyFileFormat:
		e.Where += ": " + excerpt(text)
	}
	return e
}

// textOf is the line of a row of the newest batch, nil for older ones.
func (c *copySource) textOf(n int) []byte {
	i := n - (len(c.lines) - len(c.ends))
	if i < 0 {
		return nil
	}
	from := int32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.texts[from:c.ends[i]]
}

func excerpt(text []byte) string {
	return "\"" + strings.ToValidUTF8(string(text[:min(len(text), 100)]), "?") + "\""
}

// Reset implements exec.Operator.
func (c *copySource) Reset() error { return nil }

// Close implements exec.Operator.
func (c *copySource) Close() {}

// copyOut sends a table or a query's rows.
func (s *Session) copyOut(n *ast.CopyStmt, w ResultWriter) (string, error) {
	query := n.Query
	if query == nil {
		_, cols, err := s.copyTable(n)
		if err != nil {
			return "", err
		}
		sel := &ast.SelectStmt{FromClause: []ast.Node{n.Relation}}
		for _, c := range cols {
			sel.TargetList = append(sel.TargetList, &ast.ResTarget{Val: &ast.ColumnRef{Fields: []ast.Node{&ast.String{Sval: c.Name}}}})
		}
		query = sel
	}
	p, err := s.makePlanAlone(s.ctx, query)
	if err != nil {
		return "", err
	}
	if p.Result == nil {
		return "", types.Errorf(types.CodeFeatureNotSupported, "COPY query must have a RETURNING clause")
	}
	names := make([]string, len(p.Result))
	for i := range p.Result {
		names[i] = p.Result[i].Name
	}
	o, err := copyOptions(n.Options, names)
	if err != nil {
		return "", err
	}
	out, err := copyOutput(n, w, len(names), o.Binary)
	if err != nil {
		return "", err
	}
	if n.Filename != "" {
		defer out.Close()
	}
	if o.Binary {
		return s.copyOutBinary(p, out)
	}
	// A row is a message: clients read them one by one.
	var buf, arena []byte
	if o.Header {
		if _, err := out.Write(o.AppendHeader(nil, names)); err != nil {
			return "", err
		}
	}
	rows := int64(0)
	fields := make([]copyfmt.Field, len(names))
	st := s.set.Types()
	_, err = s.runPlan(p, nil, func(b *vec.Batch) error {
		for i := range b.Len() {
			pos := b.Pos(i)
			arena = arena[:0]
			for c, v := range b.Cols {
				if v.IsNull(pos) {
					fields[c] = copyfmt.Field{Null: true}
					continue
				}
				at := len(arena)
				arena = types.AppendText(arena, p.Result[c].Type.OID, v.View(pos), st)
				fields[c] = copyfmt.Field{Text: arena[at:len(arena):len(arena)]}
			}
			buf = o.AppendRow(buf[:0], fields)
			if _, err := out.Write(buf); err != nil {
				return err
			}
		}
		rows += int64(b.Len())
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := out.Close(); err != nil {
		return "", err
	}
	return "COPY " + itoa(rows), nil
}

// copyOutBinary sends a plan's rows in binary format. The header goes with the
// first row, as clients of PostgreSQL are used to.
func (s *Session) copyOutBinary(p *plan.Plan, out io.WriteCloser) (string, error) {
	buf := []byte(copyfmt.BinaryHeader)
	rows, st := int64(0), s.set.Types()
	_, err := s.runPlan(p, nil, func(b *vec.Batch) error {
		for i := range b.Len() {
			pos := b.Pos(i)
			buf = binary.BigEndian.AppendUint16(buf, uint16(len(b.Cols)))
			for c, v := range b.Cols {
				if v.IsNull(pos) {
					buf = binary.BigEndian.AppendUint32(buf, 1<<32-1)
					continue
				}
				at := len(buf)
				buf = types.AppendBinary(append(buf, 0, 0, 0, 0), p.Result[c].Type.OID, v.View(pos), st)
				binary.BigEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
			}
			if _, err := out.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		rows += int64(b.Len())
		return nil
	})
	if err != nil {
		return "", err
	}
	if _, err := out.Write(append(buf, copyfmt.BinaryTrailer...)); err != nil {
		return "", err
	}
	return "COPY " + itoa(rows), out.Close()
}

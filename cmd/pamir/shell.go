package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/term"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/parse"
)

// shell runs what a person types or a script holds, statement by statement.
type shell struct {
	t        shellTarget
	c        *pgconn.PgConn
	in       func(prompt string) (string, error) // a line, without the newline
	script   *bufio.Reader                       // where in takes lines from; nil for a terminal
	out, err io.Writer
	// terminal says that a person types; cancels, that Ctrl-C during a statement
	// is meant for that and not for the process.
	terminal, cancels bool
	failed            bool
	statement         splitter
}

// runShell reads statements until the input ends. What a script runs goes on after
// an error, but fails in the end.
func runShell(ctx context.Context, out io.Writer, t shellTarget, cancels bool) error {
	s := &shell{t: t, out: out, err: os.Stderr, cancels: cancels}
	s.open(ctx)
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer func() { _ = s.c.Close(context.WithoutCancel(ctx)) }() // it is over in any case
	if s.terminal {
		fmt.Fprintln(out, `Type \? for help, \q to leave.`)
	}
	return s.loop(ctx)
}

func (s *shell) connect(ctx context.Context) (err error) {
	s.c, err = s.t.connect(ctx)
	return err
}

func (s *shell) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		line, err := s.in(s.prompt())
		if err != nil && err != io.EOF && !s.terminal {
			return fmt.Errorf("reading statements: %w", err)
		}
		if err != nil {
			break // the end of the input, or an interrupted one
		}
		trimmed := strings.TrimSpace(line)
		if !s.statement.pending() && (strings.HasPrefix(trimmed, `\`) || trimmed == "exit" || trimmed == "quit" || trimmed == "help") {
			if leave := s.command(ctx, trimmed); leave {
				break
			}
			continue
		}
		for _, sql := range s.statement.feed(line) {
			s.run(ctx, sql)
			if err := s.reconnect(ctx); err != nil {
				return err
			}
		}
	}
	if sql := s.statement.rest(); sql != "" && !s.terminal && ctx.Err() == nil {
		s.run(ctx, sql)
	}
	if s.failed && !s.terminal {
		return &exitError{1}
	}
	return nil
}

// prompt tells whether a transaction is open (*) or has failed (!), and whether a
// statement goes on.
func (s *shell) prompt() string {
	p := s.t.user + "@" + s.t.addr + "/" + s.t.database
	if s.statement.pending() {
		return strings.Repeat(" ", len(p)-1) + "-> "
	}
	switch s.c.TxStatus() {
	case 'T':
		return p + "*> "
	case 'E':
		return p + "!> "
	}
	return p + "> "
}

func (s *shell) reconnect(ctx context.Context) error {
	if !s.c.IsClosed() || ctx.Err() != nil {
		return nil
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "reconnected")
	return nil
}

const shellHelp = `End a statement with ; to run it.
  \d [TABLE]   tables, or the columns, indexes and constraints of one
  \di, \du     indexes, users
  \l, \c DB    databases; connect to one
  \r [TABLE]   ranges
  \q           leave
psql works, too, and does more.`

const hiddenSchemas = "('pg_catalog', 'information_schema', 'pg_toast', 'pamir_internal')"

// listings are the commands that run a query.
var listings = map[string]string{
	`\d`:  "SELECT schemaname AS schema, tablename AS name, 'table' AS kind, tableowner AS owner FROM pg_tables WHERE schemaname NOT IN " + hiddenSchemas + " UNION ALL SELECT schemaname, viewname, 'view', viewowner FROM pg_views WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2",
	`\dt`: "SELECT schemaname AS schema, tablename AS table, tableowner AS owner FROM pg_tables WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2",
	`\di`: "SELECT schemaname AS schema, tablename AS table, indexname AS index, indexdef AS definition FROM pg_indexes WHERE schemaname NOT IN " + hiddenSchemas + " ORDER BY 1, 2, 3",
	`\du`: "SELECT rolname AS user, rolsuper AS superuser, rolcanlogin AS login FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY 1",
	`\l`:  "SELECT datname AS database FROM pg_database WHERE NOT datistemplate ORDER BY 1",
	`\r`:  "SHOW RANGES",
}

// described are the queries of \d TABLE, for a name as text.
var described = []string{
	`SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS nullable,
	coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS default FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
	`SELECT pg_get_indexdef(indexrelid) AS indexes FROM pg_index WHERE indrelid = %s::regclass ORDER BY 1`,
	`SELECT conname AS constraint, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY 1`,
}

// command runs a line that is no SQL; it reports whether to leave.
func (s *shell) command(ctx context.Context, line string) (leave bool) {
	name, arg, _ := strings.Cut(strings.TrimRight(line, "; "), " ")
	arg = strings.TrimSpace(arg)
	switch {
	case name == `\q` || name == "exit" || name == "quit":
		return true
	case name == `\?` || name == "help":
		fmt.Fprintln(s.out, shellHelp)
	case name == `\d` && arg != "":
		for _, q := range described {
			if !s.list(ctx, fmt.Sprintf(q, "'"+strings.ReplaceAll(arg, "'", "''")+"'")) {
				break
			}
		}
	case name == `\r` && arg != "":
		s.run(ctx, "SHOW RANGES FROM TABLE "+arg)
	case name == `\c` && arg != "":
		if in, ok := strings.CutPrefix(arg, `"`); ok {
			arg = strings.ReplaceAll(strings.TrimSuffix(in, `"`), `""`, `"`)
		}
		s.use(ctx, arg)
	case listings[name] != "" && arg == "":
		s.list(ctx, listings[name])
	default:
		s.failed = true
		fmt.Fprintf(s.err, "invalid command %s. Try \\? for help.\n", name)
	}
	return false
}

// use connects to another database, and stays where it is if that fails.
func (s *shell) use(ctx context.Context, database string) {
	t := s.t
	t.database = database
	c, err := t.connect(ctx)
	if err != nil {
		s.failed = true
		printError(s.err, "", err)
		return
	}
	_ = s.c.Close(ctx) // the new one serves from here on
	s.t, s.c = t, c
}

// run runs one statement and prints what it gives; it reports success.
func (s *shell) run(ctx context.Context, sql string) bool {
	return s.report(sql, s.execute(ctx, sql))
}

// list runs a query of the shell's own: where in it an error is means nothing to
// who has not written it.
func (s *shell) list(ctx context.Context, sql string) bool {
	return s.report("", s.execute(ctx, sql))
}

func (s *shell) report(sql string, err error) bool {
	if err != nil {
		s.failed = true
		printError(s.err, sql, err)
	}
	return err == nil
}

func (s *shell) execute(ctx context.Context, sql string) (err error) {
	began := time.Now()
	if s.cancels {
		defer s.listen(ctx)()
	}
	kind, binary := copies(sql)
	switch kind {
	case copyFrom:
		err = s.copyIn(ctx, sql, binary)
	case copyTo:
		_, err = s.c.CopyTo(ctx, s.out, sql)
	default:
		err = s.query(ctx, sql)
	}
	if err == nil && s.terminal {
		fmt.Fprintf(s.out, "Time: %.1f ms\n", float64(time.Since(began).Microseconds())/1000)
	}
	return err
}

// copyIn runs a COPY with the data that follow it: lines up to one that is \.
// alone, or all that is left if they are binary.
func (s *shell) copyIn(ctx context.Context, sql string, binary bool) error {
	var data io.Reader = &copyLines{s: s}
	if s.script != nil && binary {
		data = s.script
	}
	tag, err := s.c.CopyFrom(ctx, data, sql)
	if err == nil {
		fmt.Fprintln(s.out, tag)
	} else if !s.terminal {
		_, _ = io.Copy(io.Discard, data) // data of a copy that failed is no SQL
	}
	return err
}

// listen makes Ctrl-C cancel the statement that runs, until the function that it
// returns is called.
func (s *shell) listen(ctx context.Context) (done func()) {
	interrupts, end, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		defer close(ended)
		for {
			select {
			case <-interrupts:
				s.cancel(ctx)
			case <-end:
				return
			}
		}
	}()
	return func() {
		signal.Stop(interrupts)
		close(end)
		<-ended // lest a late request cancels the next statement
	}
}

// cancelWithin bounds how long the server may take to take a request to cancel.
const cancelWithin = 5 * time.Second

func (s *shell) cancel(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, cancelWithin)
	defer done()
	if err := s.c.CancelRequest(ctx); err != nil {
		fmt.Fprintln(s.err, "canceling failed:", err)
	}
}

// query runs a string of statements that need no more of the client.
func (s *shell) query(ctx context.Context, sql string) error {
	mrr := s.c.Exec(ctx, sql)
	for mrr.NextResult() {
		rr := mrr.ResultReader()
		var header []string
		for _, f := range rr.FieldDescriptions() {
			header = append(header, f.Name)
		}
		var rows [][]string
		for rr.NextRow() {
			row := make([]string, len(rr.Values()))
			for i, v := range rr.Values() {
				if v == nil {
					row[i] = "NULL"
				} else {
					row[i] = string(v)
				}
			}
			rows = append(rows, row)
		}
		tag, err := rr.Close()
		if err != nil {
			break
		}
		if header != nil {
			printTable(s.out, header, rows)
		} else {
			fmt.Fprintln(s.out, tag)
		}
	}
	return mrr.Close()
}

type copyKind int

const (
	copyNone copyKind = iota
	copyFrom
	copyTo
)

// copies tells whether a statement is a COPY that the client takes part in, and
// whether its data are binary.
func copies(sql string) (kind copyKind, binary bool) {
	st, ok, err := parse.ParseOne(sql)
	if err != nil || !ok {
		return copyNone, false // the server says what is wrong
	}
	n, ok := st.Node.(*ast.CopyStmt)
	if !ok || n.Filename != "" || n.IsProgram {
		return copyNone, false
	}
	for _, o := range n.Options {
		if d, ok := o.(*ast.DefElem); ok && d.Defname == "format" {
			format, _ := d.Arg.(*ast.String)
			binary = format != nil && strings.EqualFold(format.Sval, "binary")
		}
	}
	if n.IsFrom {
		return copyFrom, binary
	}
	return copyTo, binary
}

// copyLines are the lines of data that follow a COPY, up to one that is \. alone.
type copyLines struct {
	s    *shell
	rest []byte
	part bool // of a line that is longer than the buffer has gone by
	done bool
}

var errCopyLeft = errors.New(`interrupted; \. on a line of its own ends the data`)

// Read implements io.Reader.
func (c *copyLines) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next takes a line. Those of a script stay as they are: a carriage return may
// belong to a value, and the last line may have no end.
func (c *copyLines) next() (err error) {
	if c.s.script == nil {
		line, err := c.s.in(">> ")
		if err != nil {
			return errCopyLeft
		}
		c.rest = append(append(c.rest[:0], line...), '\n')
	} else {
		c.rest, err = c.s.script.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		c.done = err == io.EOF
	}
	if !c.part && string(bytes.TrimRight(c.rest, "\r\n")) == `\.` {
		c.rest, c.done = nil, true
	}
	c.part = err == bufio.ErrBufferFull
	return nil
}

// open makes lines of standard input, which a person edits on a terminal.
func (s *shell) open(ctx context.Context) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		s.in, s.terminal = terminalReader(ctx, fd), true
		return
	}
	s.script = bufio.NewReaderSize(os.Stdin, 64<<10)
	s.in = func(string) (string, error) {
		line, err := s.script.ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		return strings.TrimSuffix(line, "\n"), err
	}
}

// terminalReader edits lines and keeps a history of them. The end of ctx ends the
// reading: the terminal is then as it was before.
func terminalReader(ctx context.Context, fd int) func(prompt string) (string, error) {
	tm := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, "")
	// The data of COPY have tabs, which the terminal would drop.
	tm.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return line[:pos] + "\t" + line[pos:], pos + 1, true
	}
	type result struct {
		line string
		err  error
	}
	return func(prompt string) (string, error) {
		tm.SetPrompt(prompt)
		if width, height, err := term.GetSize(fd); err == nil && width > 0 {
			if err := tm.SetSize(width, height); err != nil {
				return "", err
			}
		}
		// Raw only while a line is edited, so that a result prints as usual and
		// Ctrl-C during a statement is a signal.
		old, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer func() { _ = term.Restore(fd, old) }() // nothing to be done about a broken terminal
		read := make(chan result, 1)
		go func() {
			line, err := tm.ReadLine()
			read <- result{line, err}
		}()
		select {
		case r := <-read:
			if errors.Is(r.err, term.ErrPasteIndicator) {
				r.err = nil // a line that was pasted is one
			}
			return r.line, r.err
		case <-ctx.Done():
			// Nothing ends a read of a terminal; the process does, presently.
			return "", ctx.Err()
		}
	}
}
